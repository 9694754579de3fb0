//! What the lines of a table are like, looked through before any value is taken.
#![warn(clippy::arithmetic_side_effects)]

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher};
use std::path::Path;

use crate::data::formats::table::fields::Fields;
use crate::data::formats::table::number::{Comma, POINTS, comma, number};
use crate::data::formats::table::{HINT, MOST_WORD};
use crate::data::source::reserved;
use crate::error::{Error, Result};

/// The most classes that are guessed from numbers alone: half of what a byte can be.
const MOST_CLASSES: usize = 128;

/// What the values of a column are like.
pub(super) struct Column {
    /// Whether all are whole numbers.
    pub(super) whole: bool,
    /// Whether they count up by one, from 0 or 1.
    pub(super) counts: bool,
    /// The number that they count from.
    from: usize,
    /// The different whole numbers, as far as they may be classes.
    values: BTreeSet<i64>,
}

impl Default for Column {
    fn default() -> Self {
        Self { whole: true, counts: true, from: 0, values: BTreeSet::new() }
    }
}

impl Column {
    fn take(&mut self, line: usize, field: &str) {
        if self.counts {
            let found = field.parse::<usize>().ok();
            if line == 0 {
                self.from = found.unwrap_or(usize::MAX);
            }
            self.counts = self.from <= 1 && found == line.checked_add(self.from);
        }
        if self.whole {
            let value = number(field, true).filter(|v| v.is_finite() && v.trunc() == *v);
            self.whole = value.is_some();
            if self.values.len() <= MOST_CLASSES {
                self.values.extend(value.map(|v| v as i64));
            }
        }
    }

    /// How many classes its values are, if they can be classes: whole numbers, of which at least two and
    /// far fewer than a pixel may have are there, each in two lines or more.
    pub(super) fn classes(&self, lines: usize) -> Option<usize> {
        let count = self.values.len();
        let few = (2..=MOST_CLASSES).contains(&count) && count <= lines.div_euclid(2);
        (self.whole && few).then_some(count)
    }
}

/// What all lines are like.
#[derive(Default)]
pub(super) struct Survey {
    /// The fields of a line.
    pub(super) columns: usize,
    /// How many lines of values there are.
    pub(super) lines: usize,
    /// The first column.
    pub(super) first: Column,
    /// The last column.
    pub(super) last: Column,
    /// Whether no two lines have the same in the first column.
    pub(super) distinct: bool,
    /// Whether commas stand before decimals.
    pub(super) decimal: bool,
}

/// What commas in numbers are.
#[derive(Default)]
struct Commas {
    /// Whether one is before decimals and cannot be between thousands.
    decimal: bool,
    /// Whether some numbers have points.
    points: bool,
    /// What is wrong with the first comma, if they are not all before decimals.
    unclear: Option<Error>,
}

impl Commas {
    fn take(&mut self, fields: &Fields<'_>, field: &str) {
        self.points |= field.contains('.') && field.parse::<f32>().is_ok();
        match comma(field) {
            Some(Comma::Decimal) => self.decimal = true,
            Some(Comma::Either) if self.unclear.is_none() => {
                let what = format!(
                    "`{field}` is {} or {}, and no other number says which",
                    field.replace(',', "."),
                    field.replace(',', "")
                );
                self.unclear = Some(fields.refuse(&what).hint(POINTS));
            }
            _ => {}
        }
    }
}

impl Survey {
    /// Looks through all lines from some byte on. They have as many fields as there are names, or one more
    /// if lines have names of their own. Where `named` says so, the first column may number the lines.
    pub(super) fn of(
        (path, text): (&Path, &[u8]),
        mut fields: Fields<'_>,
        names: Option<usize>,
        named: bool,
    ) -> Result<Self> {
        let body = text.get(fields.read()..).unwrap_or_default();
        // A reader of fields hands on no comma but those in quotes and those that divide nothing.
        let commas_occur = body.contains(&b',');
        let most = if named {
            body.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count()
        } else {
            0
        };
        let mut hashes: Vec<u64> = reserved(path, most.saturating_add(1) as u64)?;
        let (mut survey, mut commas) = (Self::default(), Commas::default());
        let (mut place, mut buffer) = (0_usize, [0; MOST_WORD]);
        while let Some((field, ends)) = fields.next(&mut buffer)? {
            if commas_occur {
                commas.take(&fields, field);
            }
            if place == 0 {
                survey.first.take(survey.lines, field);
                if named {
                    hashes.push(hash(field));
                }
            }
            place = place.saturating_add(1);
            if !ends {
                continue;
            }
            survey.last.take(survey.lines, field);
            survey
                .end_line(std::mem::take(&mut place), names)
                .map_err(|what| fields.refuse(&what))?;
        }
        if survey.lines == 0 {
            let what = "holds no line of numbers, expected an image a line";
            return Err(Error::data(path, what).hint(HINT));
        }
        hashes.sort_unstable();
        survey.distinct = named && hashes.windows(2).all(|two| two.first() != two.last());
        survey.decimal = commas.decimal && !commas.points;
        match commas.unclear {
            Some(error) if !survey.decimal => Err(error),
            _ => Ok(survey),
        }
    }

    fn end_line(&mut self, fields: usize, names: Option<usize>) -> std::result::Result<(), String> {
        if self.lines == 0 {
            let more = names.is_some_and(|names| names.checked_add(1) == Some(fields));
            self.columns = if more { fields } else { names.unwrap_or(fields) };
        }
        self.lines = self.lines.saturating_add(1);
        match self.columns == fields {
            true => Ok(()),
            false => {
                let columns = self.columns;
                Err(format!("{fields} fields, expected {columns} as in the first line"))
            }
        }
    }
}

/// A number that equal words have in common.
pub(super) fn hash(word: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(word.as_bytes());
    hasher.finish()
}
