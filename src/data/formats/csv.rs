//! Images as lines of comma-separated numbers.
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;

use csv_core::{ReadFieldResult, Reader};

use crate::config::DataConfig;
use crate::data::labels::Labels;
use crate::data::raw::{Kind, Raw, Values};
use crate::data::source::{reserved, square};
use crate::error::{Error, Result};

/// The longest field; a double written out has 24 characters.
pub(in crate::data) const MOST_FIELD: usize = 64;

const NUMBERS: &str = "write an image a line, its pixels as numbers with commas between them; the \
                       column `label` holds classes from 0 to 255";

/// Reads a file of one image a line; `path` is named in errors.
///
/// If all fields are integers from 0 to 255 they are bytes, and if all are 0 or 1, black and white;
/// otherwise all are floats. The images are squares if their pixels make one, else rows. The first
/// line may name the columns: if it calls the first one `label`, as MNIST does where it is given as
/// CSV, that column holds the labels. Without such a line every column is a pixel.
///
/// # Errors
///
/// A [`Data`](crate::ErrorKind::Data) error, with the line, if a field is no finite number, a label
/// is no integer from 0 to 255, lines are of different lengths, or there are none.
pub fn read(path: &Path, bytes: &[u8], _config: &DataConfig) -> Result<Raw> {
    // Each value has a character and one that ends it, and nothing else does.
    let ends = bytes.iter().filter(|byte| matches!(byte, b',' | b'\n' | b'\r')).count();
    let most = ends.saturating_add(1).min(bytes.len().div_ceil(2).saturating_add(1));
    let values = reserved(path, most as u64)?;
    let mut table = Table { values, bytes: true, ..Table::default() };
    let mut fields = Fields::new(path, bytes, NUMBERS);
    let mut buffer = [0; MOST_FIELD];
    while let Some((field, ends)) = fields.next(&mut buffer)? {
        let taken = table.take(field).and_then(|()| if ends { table.end_line() } else { Ok(()) });
        taken.map_err(|what| fields.refuse(&what))?;
    }
    let Table { values, columns, pixels, label, labels, bytes: small, .. } = table;
    let labels = label.then_some(labels);
    if columns == 0 || values.is_empty() {
        let what = "holds no line of numbers, expected an image a line";
        return Err(Error::data(path, what).hint(NUMBERS));
    }
    let values = if small {
        let mut levels = reserved(path, values.len() as u64)?;
        // Each was read as a byte.
        levels.extend(values.iter().map(|&value| value as u8));
        Values::Bytes(levels)
    } else {
        Values::Floats(values)
    };
    let raw = Raw::new(path, square(pixels).into(), values, Kind::Numbers)?;
    Ok(match labels {
        Some(values) => raw.with(Ok(Labels { values, names: None })),
        None => raw,
    })
}

/// The fields of a file, one by one: a line may be as long as the file.
pub(in crate::data) struct Fields<'a> {
    path: &'a Path,
    reader: Reader,
    all: &'a [u8],
    rest: &'a [u8],
    hint: &'static str,
}

impl<'a> Fields<'a> {
    /// Those of a file that is named in errors, whose hint says what it should hold.
    pub(in crate::data) fn new(path: &'a Path, all: &'a [u8], hint: &'static str) -> Self {
        Self { path, reader: Reader::new(), all, rest: all, hint }
    }

    /// The next one without the white space around it, and whether it is the last of its line.
    pub(in crate::data) fn next<'b>(
        &mut self,
        buffer: &'b mut [u8; MOST_FIELD],
    ) -> Result<Option<(&'b str, bool)>> {
        let mut filled = 0_usize;
        loop {
            let free = buffer.get_mut(filled..).unwrap_or_default();
            let (result, read, written) = self.reader.read_field(self.rest, free);
            self.rest = self.rest.get(read..).unwrap_or_default();
            filled = filled.saturating_add(written);
            match result {
                // All was taken in at once, so this is the end, which the reader is told next.
                ReadFieldResult::InputEmpty => {}
                ReadFieldResult::OutputFull => {
                    return Err(
                        self.refuse(&format!("a field of more than {MOST_FIELD} characters"))
                    );
                }
                ReadFieldResult::Field { record_end } => {
                    let text = str::from_utf8(buffer.get(..filled).unwrap_or_default());
                    return Ok(Some((text.unwrap_or("\u{fffd}").trim(), record_end)));
                }
                ReadFieldResult::End => return Ok(None),
            }
        }
    }

    /// An error in the line of the last field.
    pub(in crate::data) fn refuse(&self, what: &str) -> Error {
        let read = self.all.len().saturating_sub(self.rest.len()).saturating_sub(1);
        let before = self.all.get(..read).unwrap_or_default();
        let line = before.iter().filter(|&&byte| byte == b'\n').count().saturating_add(1);
        Error::data(self.path, format!("line {line}: {what}")).hint(self.hint)
    }
}

/// What was read so far.
#[derive(Default)]
struct Table {
    /// The pixels of all lines.
    values: Vec<f32>,
    /// The fields of the first line, then of each; 0 before its end.
    columns: usize,
    /// The pixels of a line.
    pixels: usize,
    /// Whether the first column is no pixel but a label.
    label: bool,
    /// The labels of all lines.
    labels: Vec<u8>,
    /// Fields in this line so far.
    place: usize,
    /// Fields of the first line that are no numbers.
    words: usize,
    /// The first of them.
    word: String,
    /// Whether all values are integers from 0 to 255.
    bytes: bool,
}

impl Table {
    fn take(&mut self, field: &str) -> std::result::Result<(), String> {
        let first_line = self.columns == 0;
        let place = self.place;
        self.place = place.saturating_add(1);
        if self.label && place == 0 {
            return self.take_label(field);
        }
        if !first_line && place >= self.columns {
            return Err(format!("more than {} fields, as are in the first line", self.columns));
        }
        if let Ok(byte) = field.parse::<u8>() {
            self.values.push(byte.into());
            return Ok(());
        }
        match field.parse::<f32>() {
            Ok(value) if value.is_finite() => {
                self.bytes = false;
                self.values.push(value);
            }
            Ok(_) => return Err(format!("`{field}` is not finite, expected a number of f32")),
            Err(_) if first_line => {
                let label = field.eq_ignore_ascii_case("label");
                if label && place > 0 {
                    return Err("the column `label` is not the first one".to_owned());
                }
                self.label |= label;
                if self.words == 0 {
                    self.word = field.to_owned();
                }
                self.words = self.words.saturating_add(1);
            }
            Err(_) => {
                let field = field.escape_debug();
                return Err(format!("`{field}` is no number, expected pixels"));
            }
        }
        Ok(())
    }

    fn take_label(&mut self, field: &str) -> std::result::Result<(), String> {
        let label = field.parse().map_err(|_| {
            format!("the label is `{}`, expected an integer from 0 to 255", field.escape_debug())
        })?;
        self.labels.try_reserve(1).map_err(|_| "no memory for its label".to_owned())?;
        self.labels.push(label);
        Ok(())
    }

    fn end_line(&mut self) -> std::result::Result<(), String> {
        let place = std::mem::take(&mut self.place);
        if self.columns == 0 {
            self.end_first_line(place)?;
        } else if place != self.columns {
            return Err(format!("{place} fields, expected {} as in the first line", self.columns));
        }
        Ok(())
    }

    /// Decides whether the first line holds names or numbers.
    fn end_first_line(&mut self, columns: usize) -> std::result::Result<(), String> {
        self.columns = columns;
        self.pixels = columns.saturating_sub(usize::from(self.label));
        if self.pixels == 0 {
            return Err("no pixels beside the label".to_owned());
        }
        if self.words == columns || self.label {
            if self.word.is_empty() {
                let what = "the first column has no name, as an index is written; leave it out";
                return Err(what.to_owned());
            }
            self.values.clear();
            self.bytes = true;
        } else if self.words > 0 {
            let word = self.word.escape_debug();
            return Err(format!("`{word}` is no number, and not all fields are names"));
        }
        Ok(())
    }
}
