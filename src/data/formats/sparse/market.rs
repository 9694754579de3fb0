//! Matrix Market files: a matrix as text, an entry a line.
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;

use crate::config::DataConfig;
use crate::data::formats::sparse::Dense;
use crate::data::raw::Raw;
use crate::data::source::WHOLE;
use crate::error::{Error, Result};

/// How every such file starts.
pub(in crate::data) const MAGIC: &[u8] = b"%%MatrixMarket";

/// What the comments of 10x Genomics start with, whose matrices have a row for each gene.
const TURNED: &str = "metadata_json:";

const HINT: &str = "`scipy.io.mmwrite(\"x.mtx\", matrix)` writes such a file";

/// How entries are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Row, column, and a value unless it is a pattern of ones.
    Coordinate { pattern: bool },
    /// All values, column by column.
    Array,
}

/// A line, numbered from 1.
type Line<'a> = (usize, &'a str);

/// Reads a matrix of integers or reals, or a pattern of ones, whose rows are images of one line; `path` is
/// named in errors. Entries of one place are added up. With the layout `hwn` its columns are images.
///
/// # Errors
///
/// A [`Data`](crate::ErrorKind::Data) error, with the line, if the bytes are no such file or its entries are
/// not those that it says; or if all values with the zeros would be more than 2^30, or more than 2^21 and 256
/// for each entry.
pub fn read(path: &Path, bytes: &[u8], config: &DataConfig) -> Result<Raw> {
    let fail =
        |line: usize, what: &str| Error::data(path, format!("line {line}: {what}")).hint(HINT);
    let text = str::from_utf8(bytes);
    let text = text.map_err(|_| Error::data(path, "is no text in UTF-8").hint(WHOLE))?;
    let mut lines = (1_usize..).zip(text.lines().map(str::trim));
    let (_, header) = lines.next().unwrap_or((1, ""));
    let form = form(header).map_err(|what| fail(1, &what))?;
    let mut turned = false;
    let mut lines = lines.filter(|(_, line)| {
        turned |= line.starts_with('%') && line.contains(TURNED);
        !line.is_empty() && !line.starts_with('%')
    });
    let (line, sizes) = lines.next().unwrap_or((1, ""));
    let expected =
        if form == Form::Array { "rows and columns" } else { "rows, columns and entries" };
    let sizes: Option<Vec<u64>> =
        sizes.split_whitespace().take(4).map(|word| word.parse().ok()).collect();
    let (rows, columns, entries) = match (sizes.as_deref(), form) {
        (Some(&[rows, columns]), Form::Array) => (rows, columns, rows.checked_mul(columns)),
        (Some(&[rows, columns, entries]), Form::Coordinate { .. }) => {
            (rows, columns, Some(entries))
        }
        _ => return Err(fail(line, &format!("expected the numbers of {expected}"))),
    };
    let shortest = if form == Form::Array { 2 } else { 4 };
    let most = (bytes.len() as u64).div_euclid(shortest).saturating_add(1);
    let Some(entries) = entries.filter(|&entries| entries <= most) else {
        let what =
            format!("is to hold more entries than the {} bytes of the file can", bytes.len());
        return Err(Error::data(path, what).hint(WHOLE));
    };
    let mut dense = Dense::new(path, [rows, columns], entries, config)?;
    let mut found = 0_u64;
    for (line, text) in lines {
        if found == entries {
            return Err(fail(
                line,
                &format!("goes on behind the {entries} entries that it is to hold"),
            ));
        }
        let (place, value) =
            entry((line, text), form, (found, rows)).map_err(|what| fail(line, &what))?;
        dense.add(place, value).map_err(|what| fail(line, &what))?;
        found = found.saturating_add(1);
    }
    if found < entries {
        let what = format!("holds {found} entries, expected {entries} as its start says");
        return Err(Error::data(path, what).hint(WHOLE));
    }
    if turned && config.layout.is_none() {
        let what = format!(
            "is a matrix of 10x Genomics, whose {columns} columns are cells and whose {rows} rows are genes"
        );
        return Err(Error::data(path, what).hint(
            "say which are images: `--layout hwn` takes the columns, `--layout nhwc` the rows",
        ));
    }
    dense.raw(config)
}

/// What the first line says.
fn form(header: &str) -> std::result::Result<Form, String> {
    let words: Vec<String> = header.split_whitespace().take(6).map(str::to_lowercase).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let &["%%matrixmarket", "matrix", form, field, symmetry] = words.as_slice() else {
        return Err(
            "expected `%%MatrixMarket matrix`, a format, a kind of values and `general`".to_owned()
        );
    };
    if symmetry != "general" {
        let symmetry = symmetry.escape_debug();
        return Err(format!(
            "the matrix is `{symmetry}`, expected `general`, as rows of images are"
        ));
    }
    match (form, field) {
        ("coordinate", "integer" | "real" | "pattern") => {
            Ok(Form::Coordinate { pattern: field == "pattern" })
        }
        ("array", "integer" | "real") => Ok(Form::Array),
        _ => {
            let (form, field) = (form.escape_debug(), field.escape_debug());
            Err(format!("holds `{form} {field}`, expected coordinate or array of integer or real"))
        }
    }
}

/// The place of the next entry, counted from 0, and its value.
fn entry(
    (_, text): Line<'_>,
    form: Form,
    (found, rows): (u64, u64),
) -> std::result::Result<([usize; 2], f32), String> {
    let mut words = text.split_whitespace();
    let mut number = |what: &str| {
        let word = words.next().ok_or_else(|| format!("ends before the {what}"))?;
        let number = word.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        number.ok_or_else(|| format!("the {what} is `{}`, expected 1 or more", shown(word)))
    };
    let place = match form {
        Form::Coordinate { .. } => [number("row")?, number("column")?],
        // Not more than there are entries.
        Form::Array => {
            [found.checked_rem(rows), found.checked_div(rows)].map(|at| at.unwrap_or(0) as usize)
        }
    };
    let value = match form {
        Form::Coordinate { pattern: true } => 1.0,
        _ => {
            let word = words.next().ok_or("ends before the value")?;
            let value = word.parse::<f32>().ok().filter(|value| value.is_finite());
            value.ok_or_else(|| {
                format!("the value is `{}`, expected a finite number", shown(word))
            })?
        }
    };
    match words.next() {
        None => Ok((place, value)),
        Some(word) => Err(format!("`{}` is one word too many", shown(word))),
    }
}

/// The start of a word, escaped.
fn shown(word: &str) -> String {
    word.chars().take(64).collect::<String>().escape_debug().to_string()
}
