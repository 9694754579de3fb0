//! Parquet files that are parts of one dataset, by their names: `train-00000-of-00002.parquet`.
#![warn(clippy::arithmetic_side_effects)]

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::DataConfig;
use crate::data::formats::parquet::sheet::Sheet;
use crate::data::raw::{Found, Raw};
use crate::data::source;
use crate::error::{Error, Result};

/// What the name of a file says: its set, and of how many parts it is which.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    set: String,
    of: usize,
    at: usize,
    path: PathBuf,
}

impl Part {
    fn parse(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        let name = name.strip_suffix(".parquet")?;
        let numbered = name.rsplit_once("-of-").and_then(|(before, of)| {
            let (set, at) = before.rsplit_once('-')?;
            Some((set, of.parse().ok()?, at.parse().ok()?))
        });
        let (set, of, at) = numbered.unwrap_or((name, 1, 0));
        Some(Self { set: set.to_owned(), of, at, path: path.to_owned() })
    }
}

/// The parts of all sets in a folder.
fn list(folder: &Path) -> Vec<Part> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut parts: Vec<_> = entries
        .map(|entry| entry.path())
        .filter_map(|path| Part::parse(&path))
        .filter(|part| part.path.is_file())
        .collect();
    parts.sort();
    parts
}

/// Reads the training images of a folder, or of `data` in it, and those to test on, if there are files of such
/// names.
///
/// # Errors
///
/// If a part is missing or one cannot be read.
pub(in crate::data) fn read_folder(folder: &Path, config: &DataConfig) -> Result<Option<Found>> {
    for place in [folder.to_owned(), folder.join("data")] {
        let parts = list(&place);
        if parts.iter().any(|part| part.set == "train") {
            return Ok(Some(sets(&place, &parts, config)?.below(folder, &place)));
        }
    }
    Ok(None)
}

/// Reads a file, with the other parts of its set, and if it is to train, with those to test on.
///
/// # Errors
///
/// As [`read_folder`].
pub(in crate::data) fn read_file(path: &Path, config: &DataConfig) -> Result<Found> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let Some(own) = Part::parse(path) else {
        return Ok(super::read(path, &source::content(path)?, config)?.into());
    };
    let parts = list(folder);
    if own.set == "train" {
        return sets(folder, &parts, config);
    }
    if own.of > 1 {
        return Ok(set(folder, &parts, &own.set, config)?
            .map_or_else(|| Err(missing(path)), Ok)?
            .into());
    }
    Ok(super::read(path, &source::content(path)?, config)?.into())
}

fn missing(path: &Path) -> Error {
    Error::data(path, "is not in its folder").hint("give a file that can be read")
}

/// The images of the sets `train` and `test`.
fn sets(folder: &Path, parts: &[Part], config: &DataConfig) -> Result<Found> {
    let train = set(folder, parts, "train", config)?.ok_or_else(|| missing(folder))?;
    let test = set(folder, parts, "test", config)?;
    let mut left: Vec<_> = parts.iter().map(|part| part.set.as_str()).collect();
    left.retain(|set| ["validation", "valid", "val", "dev"].contains(set));
    let train = match left.first() {
        Some(set) => train.noted(format!("the set `{set}` beside the others is left out")),
        None => train,
    };
    let tests =
        parts.iter().find(|part| part.set == "test").map(|part| part.path.display().to_string());
    let train = match tests {
        Some(path) => train.noted(format!("the images to test on are those of `{path}`")),
        None => train,
    };
    Ok(Found { train, test })
}

/// The images of all parts of a set, which must all be there.
fn set(folder: &Path, parts: &[Part], name: &str, config: &DataConfig) -> Result<Option<Raw>> {
    let parts: Vec<_> = parts.iter().filter(|part| part.set == name).collect();
    let Some(first) = parts.first() else { return Ok(None) };
    let all =
        |of: usize| parts.len() == of && parts.iter().enumerate().all(|(i, part)| part.at == i);
    if !all(first.of) {
        let found: Vec<_> =
            parts.iter().take(8).map(|part| format!("{} of {}", part.at, part.of)).collect();
        let what = format!(
            "holds of the set `{}` the parts {}, counted from 0; expected all of them",
            name.escape_debug(),
            found.join(", ")
        );
        return Err(Error::data(folder, what).hint("fetch the parts that are missing"));
    }
    let mut sheet = Sheet::new(config);
    for part in &parts {
        sheet.add(&part.path, &source::content(&part.path)?)?;
    }
    if parts.len() > 1 {
        sheet.note(format!(
            "the {} files of the set `{}` are read as one",
            parts.len(),
            name.escape_debug()
        ));
    }
    sheet.finish(&first.path).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_parts() {
        let of = |name: &str| Part::parse(Path::new(name)).map(|part| (part.set, part.at, part.of));
        let is = |set: &str, at, of| Some((set.to_owned(), at, of));
        assert_eq!(of("a/train-00001-of-00002.parquet"), is("train", 1, 2), "numbered");
        assert_eq!(of("Test.PARQUET"), is("test", 0, 1), "alone");
        assert_eq!(of("my-of-x.parquet"), is("my-of-x", 0, 1), "no numbers");
        assert_eq!(of("train.csv"), None, "another kind");
    }
}
