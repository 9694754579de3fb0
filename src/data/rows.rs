//! Rows of numbers, such as the codes of images: arrays of two axes, and lines of a table.
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;

use crate::data::formats::npy;
use crate::data::formats::table::{Fields, MOST_FIELD};
use crate::data::source::reserved;
use crate::error::{Error, Result};

/// The most columns of a table, each of whose names is kept.
const MOST_COLUMNS: usize = 1 << 18;

const NUMBERS: &str = "write a line of numbers for each image, with commas between them, below a \
                       line of their names or none";

/// Rows of as many finite numbers each; one at least.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// The numbers of a row.
    pub columns: usize,
    /// All numbers, row by row.
    pub values: Vec<f32>,
}

/// Reads a `.npy` array of `[rows, columns]` floats of 16, 32 or 64 bits, of either order and endian;
/// `path` is named in errors.
///
/// # Errors
///
/// A [`Data`](crate::ErrorKind::Data) error if the bytes are not exactly such an array, or a number is
/// not finite in f32.
pub fn from_npy(path: &Path, bytes: &[u8]) -> Result<Rows> {
    let (columns, values) = npy::read_rows(path, bytes)?;
    Ok(Rows { columns, values })
}

/// Reads lines of numbers; `path` is named in errors.
///
/// If no field of the first line is a number, they are the columns' names, and the columns that are
/// called by the first of `names` that occurs are read, in the order of their numbers: `z_0`, `z_1`
/// and so on by `z`. The others may hold anything. Where no such column occurs, all are read.
///
/// # Errors
///
/// A [`Data`](crate::ErrorKind::Data) error, with the line, if a field that is read is no finite
/// number, columns are missing or twice there, lines are of different lengths, or there are none.
pub fn from_csv(path: &Path, bytes: &[u8], names: &[&str]) -> Result<Rows> {
    // Each value has a character and one that ends it, and nothing else does.
    let values = reserved(path, bytes.len().div_ceil(2).saturating_add(1) as u64)?;
    let mut table = Table { names, values, ..Table::default() };
    let mut fields = Fields::new(path, bytes, NUMBERS);
    let mut buffer = [0; MOST_FIELD];
    while let Some((field, ends)) = fields.next(&mut buffer)? {
        let taken = table.take(field).and_then(|()| if ends { table.end_line() } else { Ok(()) });
        taken.map_err(|what| fields.refuse(&what))?;
    }
    if table.values.is_empty() {
        let what = "holds no line of numbers, expected one for each image";
        return Err(Error::data(path, what).hint(NUMBERS));
    }
    Ok(Rows { columns: table.row.len(), values: table.values })
}

/// What was read so far.
#[derive(Default)]
struct Table<'n> {
    /// What the columns that are looked for may be called.
    names: &'n [&'n str],
    /// The fields of the first line, before its end.
    first: Vec<String>,
    /// Which number of the row each column holds, if it is read; none before the first line's end.
    places: Vec<Option<usize>>,
    /// Fields in this line so far.
    place: usize,
    /// The numbers of this line.
    row: Vec<f32>,
    /// The numbers of all lines.
    values: Vec<f32>,
}

/// What was read, or what is wrong with it.
type Taken<T> = std::result::Result<T, String>;

impl Table<'_> {
    fn take(&mut self, field: &str) -> Taken<()> {
        if self.places.is_empty() {
            if self.first.len() == MOST_COLUMNS {
                return Err(format!("more than {MOST_COLUMNS} columns"));
            }
            self.first.push(field.to_owned());
            return Ok(());
        }
        let Some(place) = self.places.get(self.place) else {
            let columns = self.places.len();
            return Err(format!("more than {columns} fields, as are in the first line"));
        };
        self.place = self.place.saturating_add(1);
        if let Some(place) = *place {
            self.row[place] = match field.parse::<f32>() {
                Ok(value) if value.is_finite() => value,
                Ok(_) => {
                    return Err(format!("`{field}` is not finite, expected a number of f32"));
                }
                Err(_) => return Err(format!("`{}` is no number", field.escape_debug())),
            };
        }
        Ok(())
    }

    fn end_line(&mut self) -> Taken<()> {
        if self.places.is_empty() {
            return self.end_first_line();
        }
        let (place, columns) = (std::mem::take(&mut self.place), self.places.len());
        if place != columns {
            return Err(format!("{place} fields, expected {columns} as in the first line"));
        }
        self.values.extend_from_slice(&self.row);
        Ok(())
    }

    /// Decides whether the first line holds names or numbers, and which columns are read.
    fn end_first_line(&mut self) -> Taken<()> {
        let first = std::mem::take(&mut self.first);
        let mut words = first.iter().filter(|field| field.parse::<f32>().is_err());
        let word = words.next();
        let names = word.is_some() && words.count().saturating_add(1) == first.len();
        if let Some(word) = word.filter(|_| !names) {
            let word = word.escape_debug();
            return Err(format!("`{word}` is no number, and not all fields are names"));
        }
        self.places = match names {
            true => chosen(&first, self.names)?,
            false => (0..first.len()).map(Some).collect(),
        };
        self.row = vec![0.0; self.places.iter().flatten().count()];
        if names {
            return Ok(());
        }
        first.iter().try_for_each(|field| self.take(field))?;
        self.end_line()
    }
}

/// The place of each column's numbers in a row, for those that are read.
fn chosen(header: &[String], names: &[&str]) -> Taken<Vec<Option<usize>>> {
    for name in names {
        let number = |field: &String| field.strip_prefix(name)?.strip_prefix('_')?.parse().ok();
        let places: Vec<Option<usize>> = header.iter().map(number).collect();
        let mut found: Vec<_> = places.iter().flatten().collect();
        if found.is_empty() {
            continue;
        }
        found.sort_unstable();
        let missing = found.iter().enumerate().find(|&(place, &&number)| place != number);
        return match missing {
            None => Ok(places),
            Some((place, _)) => Err(format!(
                "of {} columns `{name}_…`, each from `{name}_0` on is expected once; look at \
                 `{name}_{place}` and the one before it",
                found.len()
            )),
        };
    }
    Ok((0..header.len()).map(Some).collect())
}
