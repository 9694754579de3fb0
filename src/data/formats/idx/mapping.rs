//! The characters of EMNIST's classes. A file beside the images lists them, a class a line: its number and the
//! code point of its character, or of both letters, large and small, that are one class.
#![warn(clippy::arithmetic_side_effects)]

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use crate::data::raw::Raw;
use crate::error::{Error, Result};

/// The characters of classes by their numbers.
pub(super) type Characters = BTreeMap<u8, String>;

/// The most characters that are one class.
const MOST: usize = 2;

/// Reads such a list; `path` is named in errors.
///
/// # Errors
///
/// If a line is none of such a list, or two classes would have one name.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<Characters> {
    let (mut found, mut seen) = (Characters::new(), HashSet::new());
    for (at, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let of_line = |what: &str| {
            let what = format!("line {}: {what}", at.saturating_add(1));
            Error::data(path, what).hint("fetch it again, or give the classes no names: remove it")
        };
        let (class, name) = parse(line).ok_or_else(|| {
            of_line(
                "expected the number of a class and the code point of its character, as `10 65`",
            )
        })?;
        if !seen.insert(name.clone()) || found.insert(class, name).is_some() {
            return Err(of_line("the class or its character was there before"));
        }
    }
    Ok(found)
}

fn parse(line: &[u8]) -> Option<(u8, String)> {
    let mut words = str::from_utf8(line).ok()?.split_ascii_whitespace();
    let class = words.next()?.parse().ok()?;
    let points: Vec<&str> = words.take(MOST.saturating_add(1)).collect();
    let character = |point: &&str| {
        let c = char::from_u32(point.parse().ok()?)?;
        (!c.is_control() && !c.is_whitespace()).then_some(c)
    };
    let name: String = points.iter().map(character).collect::<Option<_>>()?;
    (1..=MOST).contains(&points.len()).then_some((class, name))
}

/// Images with the names of their classes, or with a word of why these have none: nobody may have asked
/// for them.
pub(super) fn named(mut images: Raw, characters: &Result<Characters>) -> Raw {
    let Some(labels) = &mut images.labels else { return images };
    let unknown =
        |known: &Characters| labels.values.iter().filter(|v| !known.contains_key(v)).min().copied();
    let fault = match characters {
        Err(error) => error.to_string(),
        Ok(known) => match unknown(known) {
            Some(class) => format!("the file that names them has no line for the class {class}"),
            None => {
                let last = known.last_key_value().map_or(0, |(class, _)| *class);
                // A number that no image has, as 0 of the letters, needs a name that is no character's.
                let name = |class| known.get(&class).cloned().unwrap_or(format!("class {class}"));
                labels.names = Some((0..=last).map(name).collect());
                return images;
            }
        },
    };
    images.noted(format!("classes keep their numbers: {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_a_class_and_its_characters() {
        let path = Path::new("emnist-letters-mapping.txt");
        let known = read(path, b"1 65 97\r\n2 66 98\n\n10 48").expect("three classes");
        let expected = [(1, "Aa"), (2, "Bb"), (10, "0")];
        assert!(known.iter().map(|(&c, n)| (c, n.as_str())).eq(expected), "{known:?}");
        for (bad, says) in [
            (b"0 48\n1 x".as_slice(), "line 2: expected the number of a class"),
            (b"0", "line 1"),
            (b"256 48", "line 1"),
            (b"-1 48", "line 1"),
            (b"0 48 49 50", "line 1"),
            (b"0 10", "line 1"),
            (b"0 55296", "line 1"),
            (b"0 99999999999", "line 1"),
            (b"\xff\xfe 48", "line 1"),
            (b"0 48\n0 49", "line 2: the class or its character was there before"),
            (b"0 48\n1 48", "line 2: the class or its character was there before"),
        ] {
            let error = read(path, bad).expect_err(says).to_string();
            assert!(error.contains(says) && error.contains("letters-mapping"), "{error}");
        }
    }
}
