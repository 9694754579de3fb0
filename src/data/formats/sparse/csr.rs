//! The sparse matrices that `scipy` saves in an archive of arrays, by rows (CSR) or by columns (CSC).
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;

use crate::config::DataConfig;
use crate::data::formats::sparse::Dense;
use crate::data::raw::Raw;
use crate::error::{Error, Result};

/// The arrays of a matrix.
pub(in crate::data::formats) struct Arrays {
    /// Whether entries lie column by column.
    pub(in crate::data::formats) by_columns: bool,
    /// Rows and columns.
    pub(in crate::data::formats) shape: Vec<u64>,
    /// Where the entries of each row start, and where the last ones end.
    pub(in crate::data::formats) starts: Vec<u64>,
    /// The column of each entry.
    pub(in crate::data::formats) places: Vec<u64>,
    pub(in crate::data::formats) values: Vec<f32>,
}

/// Whether a matrix lies column by column, by the word for its format in one byte or four for each letter.
pub(in crate::data::formats) fn by_columns(path: &Path, format: Vec<u8>) -> Result<bool> {
    let format: Vec<u8> = format.into_iter().filter(|&byte| byte != 0).collect();
    let word = format.get(format.len().saturating_sub(3)..).unwrap_or_default();
    match word {
        b"csr" => Ok(false),
        b"csc" => Ok(true),
        _ => {
            let word = word.escape_ascii();
            let what =
                format!("holds a sparse matrix in the format `{word}`, expected `csr` or `csc`");
            Err(Error::data(path, what)
                .hint("save it by `scipy.sparse.save_npz(path, matrix.tocsr())`"))
        }
    }
}

/// The images of a matrix.
pub(in crate::data::formats) fn images(
    path: &Path,
    arrays: Arrays,
    config: &DataConfig,
) -> Result<Raw> {
    let fail = |what: String| {
        Err(Error::data(path, what).hint("`scipy.sparse.save_npz` writes such a file"))
    };
    let Arrays { by_columns, shape, starts, places, values } = arrays;
    let &[rows, columns] = shape.as_slice() else {
        return fail(format!("its array `shape` has {} numbers, expected 2", shape.len()));
    };
    let (lines, entries) = (if by_columns { columns } else { rows }, places.len());
    if values.len() != entries {
        return fail(format!(
            "its array `data` has {} numbers, expected {entries} as `indices`",
            values.len()
        ));
    }
    let expected = lines.checked_add(1);
    let ends = starts.first() == Some(&0) && starts.last() == Some(&(entries as u64));
    if expected != Some(starts.len() as u64) || !ends || !starts.is_sorted() {
        return fail(format!(
            "its array `indptr` has {} numbers, expected {} that go up from 0 to {entries}",
            starts.len(),
            lines.saturating_add(1)
        ));
    }
    let mut dense = Dense::new(path, [rows, columns], entries as u64, config)?;
    for (line, ends) in starts.windows(2).enumerate() {
        let &[first, end] = ends else { continue };
        // Both are at most the number of entries.
        let range = first as usize..end as usize;
        let places = places.get(range.clone()).unwrap_or_default();
        for (&place, &value) in places.iter().zip(values.get(range).unwrap_or_default()) {
            let place = usize::try_from(place).unwrap_or(usize::MAX);
            let place = if by_columns { [place, line] } else { [line, place] };
            if let Err(what) = dense.add(place, value) {
                return fail(what);
            }
        }
    }
    dense.raw(config)
}
