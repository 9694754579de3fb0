//! The rows of one Parquet file, or of several that are parts of one: which columns are images and classes.
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;

use crate::config::{Channels, DataConfig, ImageSize};
use crate::data::channels;
use crate::data::formats::parquet::footer::{Column, Footer, Stored};
use crate::data::formats::parquet::pages::{self, Fault};
use crate::data::formats::parquet::values::Cell;
use crate::data::formats::parquet::{REWRITE, footer_of};
use crate::data::formats::pictures;
use crate::data::labels::Labels;
use crate::data::raw::{Kind, Raw, Values};
use crate::data::source::{check_unpacked, square};
use crate::error::{Error, Result};

/// Names of columns of classes.
const LABELS: [&str; 7] = ["label", "labels", "fine_label", "class", "target", "y", "digit"];

/// The longest word that is taken for a class, and the most classes that are words.
const MOST_WORD: usize = 256;
const MOST_WORDS: usize = 257;

/// What the images of a file are.
#[derive(Clone, Debug, PartialEq)]
enum Images {
    /// Pictures in this column.
    Pictures(usize),
    /// A value of each of these columns for each pixel.
    Pixels(Vec<usize>),
}

/// Images and classes as they arrive.
#[derive(Debug)]
pub(super) struct Sheet<'a> {
    config: &'a DataConfig,
    size: Option<ImageSize>,
    values: Values,
    kind: Kind,
    /// Whether a picture has colour; those that have not are kept as if they had.
    coloured: bool,
    /// A number for each image; of classes that are words the place among these.
    classes: Vec<f64>,
    words: Vec<String>,
    has_classes: bool,
    fault: Option<String>,
    notes: Vec<String>,
}

impl<'a> Sheet<'a> {
    pub(super) fn new(config: &'a DataConfig) -> Self {
        Self {
            config,
            size: None,
            values: Values::Bytes(Vec::new()),
            kind: Kind::Bytes,
            coloured: false,
            classes: Vec::new(),
            words: Vec::new(),
            has_classes: false,
            fault: None,
            notes: Vec::new(),
        }
    }

    /// Adds the rows of a file.
    pub(super) fn add(&mut self, path: &Path, bytes: &[u8]) -> Result<()> {
        let footer = footer_of(path, bytes)?;
        let label = self.label(path, &footer)?;
        let images = self.images(path, &footer, label)?;
        let rows = footer.groups.iter().try_fold(0_u64, |sum, group| sum.checked_add(group.rows));
        let rows = rows.unwrap_or(u64::MAX);
        check_unpacked(path, bytes.len() as u64, rows)?;
        match &images {
            Images::Pictures(column) => self.pictures(path, bytes, &footer, (*column, rows))?,
            Images::Pixels(columns) => self.pixels(path, bytes, &footer, (columns, rows))?,
        }
        if let Some(label) = label {
            self.has_classes = true;
            let read = self.classes(bytes, &footer, label);
            // Nobody may have asked for them.
            if let Err(fault) = read {
                let name = footer.columns[label].name.escape_debug();
                self.fault.get_or_insert(format!("the column `{name}` {fault}"));
            }
        }
        Ok(())
    }

    /// All images.
    pub(super) fn finish(self, path: &Path) -> Result<Raw> {
        let Some(size) = self.size else {
            return Err(
                Error::data(path, "has no rows, expected images").hint("give at least one image")
            );
        };
        let mut raw = Raw::new(path, size, self.values, self.kind)?;
        if matches!(self.kind, Kind::Pictures { .. }) && !self.coloured {
            raw = channels::wanted(path, raw, Channels::Grey)?;
        }
        raw.notes = self.notes;
        if !self.has_classes {
            return Ok(raw);
        }
        let labels = match (self.fault, self.words.is_empty()) {
            (Some(fault), _) => Err(fault),
            (None, true) => Labels::of_numbers(&self.classes),
            (None, false) => Labels::of_words(&self.words).map(|of| Labels {
                values: self
                    .classes
                    .iter()
                    .map(|&at| of.values.get(at as usize).copied().unwrap_or(0))
                    .collect(),
                names: of.names,
            }),
        };
        Ok(raw.with(labels))
    }

    /// The column of the classes, if there is one.
    fn label(&self, path: &Path, footer: &Footer) -> Result<Option<usize>> {
        let columns = &footer.columns;
        let place = |name: &str| columns.iter().position(|c| c.name.eq_ignore_ascii_case(name));
        let Some(wanted) = self.config.label_column.as_deref() else {
            return Ok(LABELS.into_iter().find_map(place).filter(|&at| !columns[at].repeated));
        };
        match (wanted, place(wanted)) {
            (_, Some(at)) => Ok(Some(at)),
            ("none", _) => Ok(None),
            ("first", _) => Ok(Some(0)),
            ("last", _) => Ok(columns.len().checked_sub(1)),
            _ => {
                let what =
                    format!("has no column `{wanted}`; its columns are {}", listed(columns.iter()));
                Err(Error::data(path, what).hint("name one of them as `--label-column`, or `none`"))
            }
        }
    }

    /// The columns of the images.
    fn images(&mut self, path: &Path, footer: &Footer, label: Option<usize>) -> Result<Images> {
        let columns = || footer.columns.iter().enumerate().filter(|(at, _)| Some(*at) != label);
        let bytes =
            || columns().filter(|(_, c)| c.stored == Stored::Bytes && !c.text && !c.repeated);
        let named = |(_, c): &(usize, &Column)| c.name.ends_with(".bytes");
        let mut found: Vec<_> = bytes().filter(named).collect();
        if found.is_empty() {
            found = bytes().collect();
        }
        if let &[(at, _)] = found.as_slice() {
            let parts = footer.columns[at].name.strip_suffix("bytes").unwrap_or("\0");
            let left: Vec<_> =
                columns().filter(|(i, c)| *i != at && !c.name.starts_with(parts)).collect();
            if !left.is_empty() {
                self.note(format!(
                    "left out are the columns {}",
                    listed(left.iter().map(|(_, c)| *c))
                ));
            }
            return Ok(Images::Pictures(at));
        }
        let number = |c: &Column| !matches!(c.stored, Stored::Bytes | Stored::Other) && !c.repeated;
        // Pandas writes the number of each row.
        let (index, pixels): (Vec<_>, Vec<_>) =
            columns().partition(|(_, c)| c.name.starts_with("__index_level_"));
        if found.is_empty() && !pixels.is_empty() && pixels.iter().all(|(_, c)| number(c)) {
            if let Some((_, index)) = index.first() {
                self.note(format!("left out is the column `{}`", index.name.escape_debug()));
            }
            return Ok(Images::Pixels(pixels.into_iter().map(|(at, _)| at).collect()));
        }
        let what = format!(
            "has the columns {}; expected one of pictures, or numbers alone",
            listed(footer.columns.iter())
        );
        Err(Error::data(path, what).hint(
            "write the pictures' files as a column of bytes, or a column for each pixel; lists are not read",
        ))
    }

    fn pictures(
        &mut self,
        path: &Path,
        bytes: &[u8],
        footer: &Footer,
        (at, rows): (usize, u64),
    ) -> Result<()> {
        let column = &footer.columns[at];
        let mut row = 0_usize;
        let mut stopped = None;
        for group in &footer.groups {
            let read = pages::each(bytes, (column, group.chunks[at]), group.rows, &mut |cell| {
                let Cell::Bytes(file) = cell else {
                    return Err(format!("has no picture in row {row}"));
                };
                let inside = path.join(format!("row {row}"));
                row = row.saturating_add(1);
                // The error of a picture is one already.
                self.picture(&inside, file, (path, bytes.len() as u64, rows)).map_err(|error| {
                    stopped = Some(error);
                    String::new()
                })
            });
            if let Err(fault) = read {
                return Err(stopped.unwrap_or_else(|| broken(path, column, &fault)));
            }
        }
        Ok(())
    }

    /// Adds a picture, which must be of the size of the first.
    fn picture(
        &mut self,
        inside: &Path,
        file: &[u8],
        (path, len, rows): (&Path, u64, u64),
    ) -> Result<()> {
        let (size, pixels, coloured) = pictures::rgb(inside, file)?;
        self.coloured |= coloured;
        if *self.size.get_or_insert(size) != size {
            let first = self.size.unwrap_or(size);
            let what = format!("is of {size}, expected {first} as the first picture");
            return Err(Error::data(inside, what).hint("scale all pictures to one size"));
        }
        self.kind = Kind::Pictures { white: 255 };
        if let Values::Bytes(all) = &mut self.values {
            if all.is_empty() {
                check_unpacked(path, len, rows.saturating_mul(pixels.len() as u64))?;
            }
            all.extend_from_slice(&pixels);
        }
        Ok(())
    }

    fn pixels(
        &mut self,
        path: &Path,
        bytes: &[u8],
        footer: &Footer,
        (columns, rows): (&[usize], u64),
    ) -> Result<()> {
        let width = columns.len();
        let size = self.config.image_size.unwrap_or_else(|| square(width).into());
        if size.len() != width || self.size.is_some_and(|other| other != size) {
            let what =
                format!("has {width} columns of numbers, and images of {size} have {}", size.len());
            return Err(Error::data(path, what).hint("give the `--image-size` that a row makes"));
        }
        if self.size.is_none() && self.config.image_size.is_none() && size.height > 1 {
            self.note(format!(
                "rows of {width} values are taken for {size} pixels; `--image-size` says otherwise"
            ));
        }
        self.size = Some(size);
        let byte = |at: &usize| footer.columns[*at].byte;
        if !columns.iter().all(byte) {
            self.kind = Kind::Numbers;
        }
        let values = rows.saturating_mul(width as u64);
        check_unpacked(path, bytes.len() as u64, values.saturating_mul(4))?;
        let before = self.values.len();
        self.values.grow(usize::try_from(values).unwrap_or(usize::MAX));
        for (x, &at) in columns.iter().enumerate() {
            let column = &footer.columns[at];
            let mut to = before.saturating_add(x);
            for group in &footer.groups {
                pages::each(bytes, (column, group.chunks[at]), group.rows, &mut |cell| {
                    let row = to.saturating_sub(before).checked_div(width).unwrap_or_default();
                    let number = match cell {
                        Cell::Number(number) if (number as f32).is_finite() => number as f32,
                        Cell::Number(number) => return Err(format!("has {number} in row {row}")),
                        _ => return Err(format!("has nothing in row {row}")),
                    };
                    self.values.set(to, number);
                    to = to.saturating_add(width);
                    Ok(())
                })
                .map_err(|fault| broken(path, column, &fault))?;
            }
        }
        Ok(())
    }

    fn classes(
        &mut self,
        bytes: &[u8],
        footer: &Footer,
        at: usize,
    ) -> std::result::Result<(), Fault> {
        let column = &footer.columns[at];
        if column.repeated {
            return Err("has lists".to_owned());
        }
        for group in &footer.groups {
            pages::each(bytes, (column, group.chunks[at]), group.rows, &mut |cell| {
                let class = match cell {
                    Cell::Number(number) if self.words.is_empty() => number,
                    Cell::Bytes(word) if word.len() <= MOST_WORD => self.word(word)?,
                    Cell::Missing => return Err("has rows without a class".to_owned()),
                    _ => return Err("is of different kinds".to_owned()),
                };
                self.classes.push(class);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The place of a word among those that were there before.
    fn word(&mut self, word: &[u8]) -> std::result::Result<f64, Fault> {
        let word = String::from_utf8_lossy(word);
        let place = self.words.iter().position(|other| *other == word);
        if place.is_none() {
            if self.words.len() >= MOST_WORDS {
                return Err("has more than 256 different classes".to_owned());
            }
            self.words.push(word.into_owned());
        }
        Ok(place.unwrap_or(self.words.len().saturating_sub(1)) as f64)
    }

    pub(super) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// The names of some columns, for messages.
fn listed<'a>(columns: impl Iterator<Item = &'a Column>) -> String {
    let mut names: Vec<_> =
        columns.take(9).map(|c| format!("`{}`", c.name.escape_debug())).collect();
    if names.len() > 8 {
        names[8] = "others".to_owned();
    }
    names.join(", ")
}

fn broken(path: &Path, column: &Column, fault: &str) -> Error {
    let what = format!("its column `{}` {fault}", column.name.escape_debug());
    Error::data(path, what).hint(REWRITE)
}
