//! The first line of a table: names of its columns, or numbers.
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;

use crate::config::{DataConfig, Range};
use crate::data::formats::table::fields::{Fields, is_comment};
use crate::data::formats::table::form::Form;
use crate::data::formats::table::number::{looks, missing};
use crate::data::formats::table::{HINT, MOST_WORD};
use crate::error::Result;

/// What a column of classes is called, in any case.
const LABELS: [&str; 5] = ["label", "labels", "class", "target", "y"];

/// What a column is called that numbers the lines, in any case.
const INDEX: [&str; 5] = ["", "unnamed: 0", "index", "idx", "id"];

/// With so many columns, numbers that count up from 0 are names; with fewer, if fractions are below.
const COUNTED: usize = 4;

/// Whether a column of this name holds classes.
pub(super) fn is_label(name: &str, config: &DataConfig) -> bool {
    // Runs that began before there was a choice know one name.
    let known = if config.range == Range::ByFile { &LABELS[..1] } else { &LABELS };
    known.iter().any(|label| label.eq_ignore_ascii_case(name))
}

/// Whether a column of this name numbers the lines.
pub(super) fn is_index(name: &str) -> bool {
    INDEX.iter().any(|index| index.eq_ignore_ascii_case(name))
}

/// The names of columns, which are read again where one is needed: there may be very many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'a> {
    path: &'a Path,
    line: &'a [u8],
    form: Form,
    /// How many there are.
    pub(super) count: usize,
    /// How many columns are before the first one that has a name.
    pub(super) before: usize,
}

impl Names<'_> {
    /// The same of a table of so many columns, of which the first may have no name.
    pub(super) fn over(self, columns: usize) -> Self {
        Self { before: columns.saturating_sub(self.count), ..self }
    }

    /// The places of those that are wanted, with their names; at most three.
    pub(super) fn places(&self, wanted: impl Fn(usize, &str) -> bool) -> Vec<(usize, String)> {
        self.find(3, wanted)
    }

    /// The first names.
    pub(super) fn first(&self, most: usize) -> Vec<String> {
        self.find(most, |_, _| true).into_iter().map(|(_, name)| name).collect()
    }

    fn find(&self, most: usize, wanted: impl Fn(usize, &str) -> bool) -> Vec<(usize, String)> {
        let mut fields = Fields::of((self.path, self.line), 0, HINT, self.form);
        let (mut buffer, mut place, mut found) = ([0; MOST_WORD], self.before, Vec::new());
        while let Ok(Some((name, ends))) = fields.next(&mut buffer) {
            if wanted(place, name) {
                found.push((place, name.to_owned()));
            }
            place = place.saturating_add(1);
            if ends || found.len() == most {
                break;
            }
        }
        found
    }

    /// The name of a column, if it has one.
    pub(super) fn of(&self, column: usize) -> Option<String> {
        let found = self.find(1, |place, _| place == column).pop();
        found.map(|(_, name)| name).filter(|name| !name.is_empty())
    }
}

/// What the start of a table is.
pub(super) struct Head<'a> {
    /// The names of the columns, if there are such.
    pub(super) names: Option<Names<'a>>,
    /// Where the lines of values start.
    pub(super) body: usize,
    /// What to say of it.
    pub(super) note: Option<String>,
}

/// What the fields of a line are.
#[derive(Default)]
struct Line {
    fields: usize,
    /// Those that are no numbers.
    words: usize,
    /// Whether one of them says more than that a value is missing.
    filled: bool,
    /// Whether the numbers are 0, 1, 2 and so on.
    counts: bool,
    /// Whether all words are names that say what their column is.
    known: bool,
    /// Whether the first field is empty.
    unnamed: bool,
    /// Whether all numbers are written with a point or a power.
    fractions: bool,
}

impl Line {
    fn next(fields: &mut Fields<'_>, known: impl Fn(&str) -> bool) -> Result<Self> {
        let mut line = Self { counts: true, known: true, fractions: true, ..Self::default() };
        let mut buffer = [0; MOST_WORD];
        while let Some((field, ends)) = fields.next(&mut buffer)? {
            if looks(field) && !missing(field) {
                let number = line.fields.saturating_sub(line.words);
                line.counts &= field.parse() == Ok(number);
                line.fractions &= field.contains(['.', ',', 'e', 'E']);
            } else {
                line.unnamed |= line.fields == 0 && field.is_empty();
                line.words = line.words.saturating_add(1);
                line.filled |= !missing(field);
                line.known &= known(field) && (!field.is_empty() || line.fields == 0);
            }
            line.fields = line.fields.saturating_add(1);
            if ends {
                break;
            }
        }
        Ok(line)
    }

    fn is_names(&self, config: &DataConfig) -> bool {
        if self.words == self.fields {
            return self.filled;
        }
        // A first value that is missing would else name the column of an index.
        self.words > 0
            && self.known
            && (self.counts || !self.unnamed && self.filled)
            && (config.range != Range::ByFile || self.filled)
    }

    /// Whether the numbers of this line name the columns of the next one, as pandas writes them.
    fn is_counted(&self, next: &Self, config: &DataConfig) -> bool {
        let counts = self.words == 0 && self.counts && next.fields > 0;
        let enough = self.fields >= COUNTED || self.fields > 1 && next.fractions;
        counts && enough && config.range != Range::ByFile
    }
}

impl<'a> Head<'a> {
    /// Looks at the first lines of a table from some byte on.
    pub(super) fn of(
        (path, text): (&'a Path, &'a [u8]),
        start: usize,
        form: Form,
        config: &DataConfig,
    ) -> Result<Self> {
        let known = |name: &str| {
            let asked = [&config.label_column, &config.group_column].into_iter().flatten();
            is_label(name, config) || is_index(name) || asked.into_iter().any(|asked| asked == name)
        };
        let mut fields = Fields::of((path, text), start, HINT, form);
        let first = Line::next(&mut fields, known)?;
        let after = fields.read();
        let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        let names = |line, count| Some(Names { path, line, form, count, before: 0 });
        if first.is_names(config) {
            let names = names(part(start, after), first.fields);
            return Ok(Self { names, body: after, note: None });
        }
        let next = Line::next(&mut fields, known)?;
        if first.is_counted(&next, config) {
            let note =
                "the first line counts from 0 and is taken for the columns' names".to_owned();
            return Ok(Self { names: None, body: after, note: Some(note) });
        }
        let comment = last_comment(part(start, after));
        let line = Line::next(&mut Fields::of((path, comment), 0, HINT, form), known);
        let line = line.unwrap_or_default();
        if first.fields > 1 && line.fields == first.fields && line.is_names(config) {
            let note = "the last comment is taken for the columns' names".to_owned();
            return Ok(Self { names: names(comment, line.fields), body: start, note: Some(note) });
        }
        Ok(Self { names: None, body: start, note: None })
    }
}

/// What the last comment before the first line of values says.
fn last_comment(text: &[u8]) -> &[u8] {
    let lines = text.split(|byte| matches!(byte, b'\r' | b'\n')).map(<[u8]>::trim_ascii);
    let comments = lines.filter(|line| !line.is_empty()).take_while(|line| is_comment(line));
    comments.last().and_then(|line| line.get(1..)).unwrap_or_default()
}
