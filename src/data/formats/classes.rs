//! The classes of images in a file of their own: IDX, an array, or a class a line.
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;

use crate::data::formats::{idx, npy};
use crate::data::labels::Labels;
use crate::data::source;
use crate::error::{Error, Result};

const HINT: &str =
    "give an IDX file of labels, a .npy of a number for each image, or text with a class a line";

/// Reads the classes of a file by what is in it.
///
/// # Errors
///
/// If it cannot be read, or does not hold classes.
pub(in crate::data) fn read(path: &Path) -> Result<Labels> {
    let bytes = source::read(path)?;
    let refuse = |fault: String| Error::data(path, fault).hint(HINT);
    if bytes.starts_with(&source::GZIP) || bytes.starts_with(&[0, 0]) {
        return idx::classes(path, &bytes)?.map_err(refuse);
    }
    if bytes.starts_with(&npy::MAGIC) {
        let mut from = bytes.as_slice();
        let found = npy::read_labels(path, &mut from, (bytes.len() as u64, true), ())?;
        return found.map_err(refuse);
    }
    let text = str::from_utf8(&bytes).map_err(|_| refuse("is no text in UTF-8".to_owned()))?;
    let text = text.trim_start_matches('\u{feff}');
    let words: Vec<String> =
        text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    if let Some(line) = words.iter().position(|word| word.contains([',', ';', '\t'])) {
        return Err(refuse(format!("line {}: more than one field", line.saturating_add(1))));
    }
    // A first line that is no number, above numbers, names the column.
    let number = |word: &String| word.parse::<f64>().is_ok();
    let header = words.len() > 1 && !number(&words[0]) && words[1..].iter().all(number);
    Labels::of_words(&words[usize::from(header)..]).map_err(refuse)
}
