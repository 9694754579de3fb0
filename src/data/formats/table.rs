//! Tables: images as lines of numbers, in text.
#![warn(clippy::arithmetic_side_effects)]

mod fields;
mod form;
mod head;
mod number;
mod roles;
mod survey;
mod words;

use std::path::Path;

use crate::config::{DataConfig, ImageSize, Range};
use crate::data::formats::table::form::Form;
use crate::data::formats::table::head::{Head, is_index};
use crate::data::formats::table::number::{fault, number};
use crate::data::formats::table::roles::{Known, Role, Roles};
use crate::data::formats::table::survey::Survey;
use crate::data::formats::table::words::{Classes, Groups};
use crate::data::raw::{Kind, Raw, Values};
use crate::data::source::{reserved, square};
use crate::error::{Error, Result};

pub(in crate::data) use fields::{Fields, MOST_FIELD};

/// The longest word, such as the name of a column or of a class.
const MOST_WORD: usize = 256;

const HINT: &str = "write an image a line, its pixels as numbers with commas between them; a first line may \
                    name the columns, of which `label` holds classes";

const CLASSES: &str = "give a class for each line, 256 different ones at the most; `--label-column none` has no class";

/// Reads a table of one image a line; `path` is named in errors.
///
/// The fields of a line are divided by commas, semicolons, tabs or white space, whichever are between most
/// numbers of the first lines; a separator at the end of all lines divides nothing. Blank lines and those
/// that start with `#` or `%` are left out. Where no number has a point, decimals may be behind a comma.
///
/// The first line names the columns if it has no numbers, or none but those that count up from 0 as pandas
/// writes them. A first column that counts the lines, or tells them apart and has no name or that of an
/// index, is left out. The column that `label-column` names holds the class, or the first or last one if it
/// is called label, class, target or y; and without names, the first or last if the others are squares of
/// pixels and it alone can be classes. The column that `group-column` names holds groups.
///
/// All other columns are pixels, bytes if all are whole numbers from 0 to 255. The images are of
/// `image-size`, else squares if their pixels make one, else rows.
///
/// # Errors
///
/// A [`Data`](crate::ErrorKind::Data) error, with the line and the column, if a pixel is missing or no finite
/// number, lines are of different lengths, there are none, or a column that was asked for is not there or is
/// not what was asked for.
pub fn read(path: &Path, bytes: &[u8], config: &DataConfig) -> Result<Raw> {
    check_text(path, bytes)?;
    let mark = "\u{feff}".as_bytes();
    let start = if bytes.starts_with(mark) { mark.len() } else { 0 };
    let form = Form::of(path, bytes.get(start..).unwrap_or_default());
    let text = (path, bytes);
    let head = Head::of(text, start, form, config)?;
    let index = head.names.is_some_and(|names| names.of(0).is_none_or(|name| is_index(&name)));
    let fields = || Fields::of(text, head.body, HINT, form);
    let survey = Survey::of(text, fields(), head.names.map(|names| names.count), index)?;
    let names = head.names.map(|names| names.over(survey.columns));
    let known = Known { path, names, survey: &survey, config };
    let roles = known.roles()?;
    let table = Table::read(&known, &roles, fields())?;
    let mut notes: Vec<String> = form.separator.note().map(str::to_owned).into_iter().collect();
    if let Some(note) = notes.first_mut().filter(|_| survey.decimal) {
        note.push_str(", and decimals are behind commas");
    } else if survey.decimal {
        notes.push("decimals are behind commas".to_owned());
    }
    notes.extend(head.note.iter().chain(&roles.notes).cloned());
    table.images(&known, roles, notes)
}

/// Whether what starts so may be a table, or a matrix as text.
pub(in crate::data) fn is_text(start: &[u8]) -> bool {
    let control = |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace();
    !matches!(start.first(), None | Some(b'<' | b'{' | b'[')) && !start.iter().any(control)
}

/// Refuses what is no text of bytes.
fn check_text(path: &Path, bytes: &[u8]) -> Result<()> {
    let what = match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "is text in UTF-16, expected UTF-8",
        _ if bytes.iter().take(1024).any(|&byte| byte == 0) => {
            "holds bytes of zero, which no text does; expected a line of numbers for each image"
        }
        _ => return Ok(()),
    };
    Err(Error::data(path, what).hint("save it as CSV in UTF-8"))
}

/// What was read of the columns.
struct Table {
    values: Vec<f32>,
    /// Whether all are bytes.
    bytes: bool,
    classes: Classes,
    groups: Groups,
}

impl Table {
    fn read(known: &Known<'_>, roles: &Roles, mut fields: Fields<'_>) -> Result<Self> {
        let Known { path, survey, config, .. } = *known;
        let before = config.range == Range::ByFile;
        let values = roles.pixels.saturating_mul(survey.lines);
        let (classes, groups) = (Classes::default(), Groups::default());
        let mut table =
            Self { values: reserved(path, values as u64)?, bytes: true, classes, groups };
        let (mut place, mut line, mut buffer) = (0_usize, 0_usize, [0; MOST_WORD]);
        while let Some((field, ends)) = fields.next(&mut buffer)? {
            let taken = match roles.of(place) {
                Role::Pixel => table.take(field, survey.decimal, before),
                Role::Label => {
                    table.classes.take(field, survey.decimal, || fields.line());
                    Ok(())
                }
                Role::Group => table.groups.take(field),
                Role::Index => Ok(()),
            };
            if let Err((what, hint)) = taken {
                let hint =
                    if hint.is_empty() { way_on(known, place, line) } else { hint.to_owned() };
                return Err(fields.refuse_in(&known.name(place), &what).hint(hint));
            }
            place = place.saturating_add(1);
            if ends {
                (place, line) = (0, line.saturating_add(1));
            }
        }
        Ok(table)
    }

    /// Takes a pixel.
    fn take(
        &mut self,
        field: &str,
        decimal: bool,
        before: bool,
    ) -> std::result::Result<(), (String, &'static str)> {
        if let Ok(byte) = field.parse::<u8>() {
            self.values.push(byte.into());
            return Ok(());
        }
        match number(field, decimal) {
            Some(value) if value.is_finite() => {
                // Runs that began before there was a choice take 1.0 as it is, and 1 over 255.
                let byte = (0.0..=255.0).contains(&value) && value.trunc() == value;
                self.bytes &= byte && !before;
                self.values.push(value);
                Ok(())
            }
            _ => Err(fault(field)),
        }
    }

    /// The images, with what is said of them.
    fn images(self, known: &Known<'_>, roles: Roles, mut notes: Vec<String>) -> Result<Raw> {
        let Known { path, config, .. } = *known;
        let Self { values, bytes, classes, groups } = self;
        let before = config.range == Range::ByFile;
        let size = size_of(path, roles.pixels, config)?;
        let label = roles.label.map(|place| (known.name(place), classes.labels()));
        match &label {
            Some((name, Err(fault))) if roles.asked => {
                let what = format!("the {name} cannot be the class: {fault}");
                return Err(Error::data(path, what).hint(CLASSES));
            }
            Some((name, Err(fault))) => {
                notes.push(format!("the {name} is called as labels are, and is left out: {fault}"));
            }
            Some((_, Ok(_))) => notes.extend(roles.label_note),
            None if !before && known.names.is_none() && config.label_column.is_none() => {
                notes.extend(suspect(&values, roles.pixels));
            }
            None => {}
        }
        if !before && config.image_size.is_none() {
            notes.extend(note_of(roles.pixels, size));
        }
        let values =
            if bytes { Values::Bytes(levels(path, values)?) } else { Values::Floats(values) };
        let mut raw = Raw::new(path, size, values, Kind::Numbers)?;
        if let Some((name, labels)) = label {
            raw = raw.with(labels.map_err(|fault| format!("the labels of the {name}: {fault}")));
        }
        let groups = groups.numbered();
        raw.groups = Some(groups).filter(|groups| !groups.is_empty());
        raw.notes = notes;
        Ok(raw)
    }
}

/// Height, width and channels of images of so many pixels.
pub(super) fn size_of(path: &Path, pixels: usize, config: &DataConfig) -> Result<ImageSize> {
    match config.image_size {
        None => Ok(square(pixels).into()),
        Some(size) if size.len() == pixels => Ok(size),
        Some(size) => {
            let what =
                format!("has {pixels} values a line, and images of {size} have {}", size.len());
            Err(Error::data(path, what).hint("give the `--image-size` that a line makes"))
        }
    }
}

/// Numbers that are all whole and from 0 to 255.
pub(super) fn levels(path: &Path, values: Vec<f32>) -> Result<Vec<u8>> {
    let mut levels = reserved(path, values.len() as u64)?;
    levels.extend(values.iter().map(|&value| value as u8));
    Ok(levels)
}

/// What lines of so many values are taken for, if that is to be said.
fn note_of(pixels: usize, size: ImageSize) -> Option<String> {
    if size.height > 1 {
        return Some(format!(
            "rows of {pixels} values are taken for {size} pixels; `--image-size` says otherwise"
        ));
    }
    let side = pixels.div_euclid(3).isqrt();
    let colour =
        side >= 8 && side.checked_mul(side).and_then(|len| len.checked_mul(3)) == Some(pixels);
    colour.then(|| {
        format!("rows of {pixels} values are taken for {size}; `--image-size {side}x{side}x3` takes them for colour")
    })
}

/// What to do about a word where a pixel should be.
fn way_on(known: &Known<'_>, column: usize, line: usize) -> String {
    let named = known.names.and_then(|names| names.of(column));
    let flag = match named {
        Some(name) => name.escape_debug().to_string(),
        None if column == 0 => "first".to_owned(),
        None if known.survey.columns.checked_sub(1) == Some(column) => "last".to_owned(),
        None => return "leave the column out, or write numbers; a first line of names has a name for each column".to_owned(),
    };
    let names = if line == 0 && known.names.is_none() {
        "; a first line of names has a name for each column"
    } else {
        ""
    };
    format!("leave the column out, or, if it is the class, say `--label-column {flag}`{names}")
}

/// What to say of a first or last column that holds whole numbers beside fractions: it may be the class.
fn suspect(values: &[f32], columns: usize) -> Option<String> {
    const MOST: usize = 20;
    let last = columns.checked_sub(1).filter(|&last| last > 1)?;
    let mut whole = vec![true; columns];
    let mut found: [Vec<f32>; 2] = Default::default();
    for row in values.chunks_exact(columns) {
        for (whole, value) in whole.iter_mut().zip(row) {
            *whole &= value.trunc() == *value;
        }
        for (found, place) in found.iter_mut().zip([0, last]) {
            let value = row.get(place)?;
            if found.len() <= MOST && !found.contains(value) {
                found.push(*value);
            }
        }
    }
    let alone = whole.iter().filter(|&&whole| whole).count() == 1;
    let [first, last] = [whole.first(), whole.last()].map(|whole| whole == Some(&true));
    let (which, found) = match (first, last, &found) {
        (true, _, [found, _]) => ("first", found),
        (_, true, [_, found]) => ("last", found),
        _ => return None,
    };
    let classes = found.len();
    let several = values.len().div_euclid(columns).div_euclid(2) >= classes;
    (alone && several && (2..=MOST).contains(&classes)).then(|| {
        format!(
            "the {which} column alone holds whole numbers, {classes} different ones: if it is the class, \
             `--label-column {which}` says so"
        )
    })
}
