//! Matrices of which only what is not zero is written, such as counts of genes: a row is an image.
#![warn(clippy::arithmetic_side_effects)]

pub(super) mod csr;
pub mod market;

use std::path::Path;

use crate::config::{DataConfig, ImageSize, Layout};
use crate::data::formats::table::levels;
use crate::data::raw::{Kind, Raw, Values};
use crate::data::source::reserved;
use crate::error::{Error, Result};

/// So many numbers may always be made of a matrix.
const MOST_FROM_ANYTHING: u64 = 1 << 21;

/// Beyond that, so many for each entry: of counts of genes, one in ten to one in a hundred is not zero.
const MOST_FROM_AN_ENTRY: u64 = 256;

/// The most numbers of all: 4 GiB.
const MOST: u64 = 1 << 30;

const SMALLER: &str = "images are kept with all their zeros: take fewer columns, such as the most variable genes, \
                       or fewer rows";

/// The numbers of a matrix with its zeros.
struct Dense<'a> {
    path: &'a Path,
    /// Rows and columns as the file has them.
    sides: [usize; 2],
    /// Whether columns are images.
    turned: bool,
    size: ImageSize,
    values: Vec<f32>,
}

impl<'a> Dense<'a> {
    /// Zeros of a matrix that has so many entries in its file.
    fn new(
        path: &'a Path,
        [rows, columns]: [u64; 2],
        entries: u64,
        config: &DataConfig,
    ) -> Result<Self> {
        let refuse = |what: String, hint: &str| Err(Error::data(path, what).hint(hint));
        let most = entries.saturating_mul(MOST_FROM_AN_ENTRY).clamp(MOST_FROM_ANYTHING, MOST);
        let len = rows.saturating_mul(columns);
        if len == 0 {
            return refuse(
                format!("has {rows} rows of {columns} values"),
                "give one of each at least",
            );
        }
        if len > most {
            let what = format!(
                "has {rows} rows of {columns} values, {entries} of them not zero; expected {most} values at the most"
            );
            return refuse(what, SMALLER);
        }
        // Their product is at most 2^30.
        let sides = [rows as usize, columns as usize];
        let turned = config.layout == Some(Layout::Hwn);
        let pixels = if turned { sides[0] } else { sides[1] };
        let size = match config.image_size {
            None => [1, pixels].into(),
            Some(size) if size.len() == pixels => size,
            Some(size) => {
                let what = format!(
                    "has images of {pixels} values, and those of {size} have {}",
                    size.len()
                );
                return refuse(what, "give the `--image-size` that a row makes");
            }
        };
        let mut values = reserved(path, len)?;
        values.resize(len as usize, 0.0);
        Ok(Self { path, sides, turned, size, values })
    }

    /// Adds an entry to what is at its place, counted from 0; says what is wrong where it has none.
    fn add(&mut self, [row, column]: [usize; 2], value: f32) -> std::result::Result<(), String> {
        let [rows, columns] = self.sides;
        let at = if self.turned {
            column.checked_mul(rows).and_then(|first| first.checked_add(row))
        } else {
            row.checked_mul(columns).and_then(|first| first.checked_add(column))
        };
        let inside = row < rows && column < columns;
        let place = at.filter(|_| inside).and_then(|at| self.values.get_mut(at));
        let Some(place) = place else {
            return Err(format!("there is an entry outside the {rows} rows of {columns} columns"));
        };
        *place += value;
        match place.is_finite() {
            true => Ok(()),
            false => {
                Err("there is an entry that is not finite, expected numbers of f32".to_owned())
            }
        }
    }

    /// The images.
    fn raw(self, config: &DataConfig) -> Result<Raw> {
        let Self { path, sides: [rows, columns], turned, size, values } = self;
        let byte = |value: &f32| (0.0..=255.0).contains(value) && value.trunc() == *value;
        let bytes = values.iter().all(byte);
        let values =
            if bytes { Values::Bytes(levels(path, values)?) } else { Values::Floats(values) };
        let raw = Raw::new(path, size, values, Kind::Numbers)?;
        Ok(match (turned, config.layout) {
            (false, None) => raw.noted(format!(
                "the {rows} rows of the matrix are taken for images of {columns} values; `--layout hwn` takes \
                 its columns"
            )),
            _ => raw,
        })
    }
}
