//! MATLAB's files of version 5: arrays of numbers, plain or packed, read without anything else of them.
//!
//! Version 7.3 is HDF5, and is refused as that.
#![warn(clippy::arithmetic_side_effects)]

mod images;

use std::borrow::Cow;
use std::path::Path;

use flate2::bufread::ZlibDecoder;

pub use images::read;
pub(in crate::data) use images::read_file;

use crate::data::formats::array::Array;
use crate::data::source::{WHOLE, most_unpacked, unpack};
use crate::error::{Error, Result};

/// Bytes before the first variable.
const HEADER: usize = 128;

/// A variable's name, type and shape are within so many bytes.
const START: u64 = 4096;

/// The most variables and axes that are looked at.
const MOST_VARIABLES: usize = 4096;
const MOST_AXES: usize = 8;

/// What a tag says that an element is.
const MATRIX: u32 = 14;
const PACKED: u32 = 15;

/// How types of numbers are numbered, and what NumPy calls them.
const TYPES: [(u32, &str); 10] = [
    (1, "i1"),
    (2, "u1"),
    (3, "i2"),
    (4, "u2"),
    (5, "i4"),
    (6, "u4"),
    (7, "f4"),
    (9, "f8"),
    (12, "i8"),
    (13, "u8"),
];

/// The class of arrays of unsigned bytes, and those of all numbers.
const BYTES: u32 = 9;
const NUMBERS: std::ops::RangeInclusive<u32> = 6..=15;

/// Whether a file starts as one of version 5.
pub(in crate::data) fn is_one(start: &[u8]) -> bool {
    matches!(start.get(124..HEADER), Some([0, 1, b'I', b'M'] | [1, 0, b'M', b'I']))
}

/// A variable, whose values are not looked at yet.
#[derive(Clone, Debug)]
struct Variable {
    name: String,
    class: u32,
    complex: bool,
    shape: Vec<usize>,
    /// The type of the values as they are stored, which may be a narrower one.
    stored: u32,
    /// Where the values are in the element, and how many bytes they have.
    data: (usize, usize),
    /// Where the element is in the file, and whether it is packed.
    element: (usize, usize),
    packed: bool,
}

impl Variable {
    /// Whether it is an array of real numbers.
    fn is_array(&self) -> bool {
        NUMBERS.contains(&self.class)
            && !self.complex
            && TYPES.iter().any(|(code, _)| *code == self.stored)
    }

    /// What it is, for messages.
    fn described(&self) -> String {
        let sizes: Vec<_> = self.shape.iter().map(usize::to_string).collect();
        let kind = match self.class {
            1 => " (a cell)",
            2 => " (a struct)",
            3 => " (an object)",
            4 => " (text)",
            5 => " (sparse)",
            _ if self.complex => " (complex)",
            _ => "",
        };
        format!("`{}` of {}{kind}", self.name.escape_debug(), sizes.join(" × "))
    }
}

/// The bytes of a file or of an element, read one part after another.
#[derive(Clone, Copy)]
struct Parts<'a> {
    bytes: &'a [u8],
    at: usize,
    big: bool,
}

impl<'a> Parts<'a> {
    fn word(&mut self) -> Option<u32> {
        let word = *self.bytes.get(self.at..)?.first_chunk()?;
        self.at = self.at.checked_add(4)?;
        Some(if self.big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
    }

    /// The tag of the next part: its type, where its content is, and how long it is. The next part lies on a
    /// multiple of 8 bytes.
    fn tag(&mut self) -> Option<(u32, usize, usize)> {
        let first = self.word()?;
        if first >> 16 != 0 {
            // Up to four bytes lie in the tag itself.
            let at = self.at;
            self.word()?;
            return Some((first & 0xffff, at, usize::try_from(first >> 16).ok()?.min(4)));
        }
        let (len, at) = (usize::try_from(self.word()?).ok()?, self.at);
        self.at = at.checked_add(len)?.checked_next_multiple_of(8)?;
        Some((first, at, len))
    }

    /// The content of the next part, if it is all there.
    fn part(&mut self) -> Option<(u32, &'a [u8])> {
        let (kind, at, len) = self.tag()?;
        Some((kind, self.bytes.get(at..at.checked_add(len)?)?))
    }
}

/// A file whose variables are known.
struct Mat<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    big: bool,
    variables: Vec<Variable>,
}

impl<'a> Mat<'a> {
    fn parse(path: &'a Path, bytes: &'a [u8]) -> Result<Self> {
        let fail = |what: String| Error::data(path, what).hint(WHOLE);
        if !is_one(bytes) {
            return Err(fail("is no MATLAB file of version 5".to_owned()));
        }
        let big = bytes.get(126) == Some(&b'M');
        let mut parts = Parts { bytes, at: HEADER, big };
        let mut variables = Vec::new();
        while parts.at < bytes.len() && variables.len() < MOST_VARIABLES {
            let place = parts.at;
            let Some((kind, at, len)) = parts.tag() else {
                return Err(fail(format!("ends in the tag of a variable, at byte {place}")));
            };
            let end = at.saturating_add(len);
            let Some(element) = bytes.get(at..end) else {
                let missing = end.saturating_sub(bytes.len());
                let what =
                    format!("is cut off within a variable of {len} bytes: {missing} are missing");
                return Err(fail(what));
            };
            // Elements of a file follow one another without gaps.
            parts.at = end;
            let start = match kind {
                MATRIX => Cow::Borrowed(element),
                PACKED => Cow::Owned(first_of(element)),
                _ => continue,
            };
            let found = variable(Parts { bytes: &start, at: 0, big }, kind == PACKED, (at, len));
            variables.extend(found);
        }
        Ok(Self { path, bytes, big, variables })
    }

    /// The values of a variable.
    fn array(&self, variable: &Variable) -> Result<Array<'a>> {
        let path = self.path.join(variable.name.escape_debug().to_string());
        let (at, len) = variable.element;
        let element = self.bytes.get(at..at.saturating_add(len)).unwrap_or_default();
        let (start, len) = variable.data;
        let end = start.saturating_add(len);
        let short = || Error::data(&path, "ends before the last of its values").hint(WHOLE);
        let data = match variable.packed {
            true => {
                let packed = element.len() as u64;
                let mut all = unpack(
                    &path,
                    ZlibDecoder::new(element),
                    (packed, most_unpacked(packed)),
                    "zlib",
                )?;
                all.truncate(end);
                if start > all.len() {
                    return Err(short());
                }
                Cow::Owned(all.split_off(start))
            }
            false => Cow::Borrowed(element.get(start..end).ok_or_else(short)?),
        };
        let name = TYPES.iter().find(|(code, _)| *code == variable.stored);
        let name = name.map_or("", |(_, name)| name);
        let order = if self.big { '>' } else { '<' };
        let order = if name.ends_with('1') { '|' } else { order };
        let shape = variable.shape.clone();
        Ok(Array { path, descr: format!("{order}{name}"), fortran: true, shape, data })
    }

    /// The variable of this name, however its letters are written and with or without `_`.
    fn find(&self, name: &str) -> Option<&Variable> {
        let plain = |name: &str| name.replace('_', "").to_ascii_lowercase();
        self.variables.iter().find(|variable| plain(&variable.name) == name)
    }
}

/// The first bytes that an element unpacks to, as many as there are of a damaged one.
fn first_of(packed: &[u8]) -> Vec<u8> {
    let mut start = Vec::new();
    let _ = std::io::Read::read_to_end(
        &mut std::io::Read::take(ZlibDecoder::new(packed), START),
        &mut start,
    );
    start
}

/// What an element says of its variable, if it is one.
fn variable(mut parts: Parts<'_>, packed: bool, element: (usize, usize)) -> Option<Variable> {
    if packed && parts.word()? != MATRIX {
        return None;
    }
    if packed {
        parts.word()?;
    }
    let (_, flags) = parts.part()?;
    let flags = Parts { bytes: flags, at: 0, big: parts.big }.word()?;
    let (_, dims) = parts.part()?;
    let mut sizes = Parts { bytes: dims, at: 0, big: parts.big };
    let mut shape = Vec::new();
    while let Some(size) = sizes.word().filter(|_| shape.len() < MOST_AXES) {
        shape.push(usize::try_from(size).ok()?);
    }
    let (_, name) = parts.part()?;
    let name = String::from_utf8_lossy(name.get(..64).unwrap_or(name)).into_owned();
    let (class, complex) = (flags & 0xff, flags & 0x0800 != 0);
    let (stored, start, len) = parts.tag().filter(|_| NUMBERS.contains(&class)).unwrap_or_default();
    Some(Variable { name, class, complex, shape, stored, data: (start, len), element, packed })
}
