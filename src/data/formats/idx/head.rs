//! The header of an IDX file: what it promises, as far as the file's length bears it out.
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;

use crate::data::formats::idx::stream::{Source, missing};
use crate::data::formats::idx::{IMAGE_BYTES, LABEL_BYTES};
use crate::data::source::{WHOLE, check_unpacked};
use crate::error::{Error, Result};

/// What a header promises.
pub(super) struct Head {
    /// The type of the values.
    pub(super) kind: u8,
    pub(super) dims: Vec<u32>,
    /// Bytes of all values.
    pub(super) bytes: u64,
}

impl Head {
    /// Reads the header of a file of any numbers with so many dimensions. `expected` is what it most often
    /// starts with; if that has as many dimensions as are read at all, only that is.
    pub(super) fn read(
        source: &mut Source<'_>,
        name: &str,
        expected: u32,
        dims: std::ops::RangeInclusive<usize>,
    ) -> Result<Self> {
        let path = source.path;
        let (mut header, cut) = (Vec::new(), |_| "in its header".to_owned());
        let mut size = header_of(expected);
        source.fetch(4, &mut header, cut)?;
        let mut kind = 0;
        if let Some(&magic) = header.first_chunk() {
            let [zero, none, word, count] = magic;
            let strict = dims.start() == dims.end();
            let known = if strict { word == 8 } else { size_of(word) > 0 };
            if [zero, none] != [0, 0] || !known || !dims.contains(&usize::from(count)) {
                return Err(wrong_magic(path, name, (u32::from_be_bytes(magic), expected)));
            }
            (kind, size) = (word, header_of(count.into()));
            source.fetch(size.saturating_sub(4), &mut header, cut)?;
        }
        if header.len() as u64 != size {
            let found = header.len();
            let message = format!("holds {found} bytes, expected {name} with a header of {size}");
            return Err(Error::data(path, message).hint(WHOLE));
        }
        let words = header.as_chunks().0.iter().skip(1);
        let dims: Vec<u32> = words.map(|word| u32::from_be_bytes(*word)).collect();
        let bytes = check_promise(source, name, (&dims, size_of(kind)), size)?;
        Ok(Self { kind, dims, bytes })
    }
}

/// Bytes of the header that such a word begins.
fn header_of(magic: u32) -> u64 {
    u64::from(magic & 0xff).saturating_mul(4).saturating_add(4)
}

/// Bytes of a value of a type; 0 if there is no such type.
fn size_of(kind: u8) -> u64 {
    match kind {
        0x08 | 0x09 => 1,
        0x0b => 2,
        0x0c | 0x0d => 4,
        0x0e => 8,
        _ => 0,
    }
}

/// Another first word than is expected.
pub(super) fn wrong_magic(path: &Path, name: &str, (magic, expected): (u32, u32)) -> Error {
    let of = |kind: &str| format!("{kind} of {} dimensions", magic & 0xff);
    let found = match magic {
        LABEL_BYTES => "labels".to_owned(),
        IMAGE_BYTES => "images".to_owned(),
        0x0800..=0x08ff => of("bytes"),
        0x0900..=0x09ff => of("signed bytes"),
        0x0b00..=0x0bff => of("16-bit integers"),
        0x0c00..=0x0cff => of("32-bit integers"),
        0x0d00..=0x0dff => of("32-bit floats"),
        0x0e00..=0x0eff => of("64-bit floats"),
        _ => "no IDX data".to_owned(),
    };
    let message =
        format!("holds {found} (magic 0x{magic:08x}), expected {name} (magic 0x{expected:08x})");
    let hint = match magic {
        LABEL_BYTES | IMAGE_BYTES => "the images' and the labels' file may have changed places",
        _ => "give an IDX file of that kind, plain or gzip",
    };
    Error::data(path, message).hint(hint)
}

/// The number of bytes that the dimensions promise, refused where the file cannot hold them.
fn check_promise(
    source: &Source<'_>,
    name: &str,
    (dims, size): (&[u32], u64),
    header: u64,
) -> Result<u64> {
    let refuse = |why: String| {
        let message = format!("promises {}, {why}", describe(name, dims));
        Err(Error::data(source.path, message).hint(WHOLE))
    };
    if dims.contains(&0) {
        return refuse("expected at least 1 in every dimension".to_owned());
    }
    let product = dims.iter().try_fold(size, |product, &dim| product.checked_mul(dim.into()));
    let Some(bytes) = product.filter(|&bytes| usize::try_from(bytes).is_ok()) else {
        return refuse("more than memory can hold".to_owned());
    };
    if source.packed {
        check_unpacked(source.path, source.len, bytes)?;
    } else {
        let found = source.len.saturating_sub(header);
        if found != bytes {
            let missing = missing(bytes, found);
            return refuse(format!(
                "expected {bytes} bytes after the header, found {found}{missing}"
            ));
        }
    }
    Ok(bytes)
}

/// What a header promises, in words: "60000 images of 28 x 28".
pub(super) fn describe(name: &str, dims: &[u32]) -> String {
    match dims {
        [count, height, width] => format!("{count} {name} of {height} x {width}"),
        [count, a, b, c] => format!("{count} {name} of {a} x {b} x {c}"),
        [count, columns] => format!("{count} {name} of {columns}"),
        [count, ..] => format!("{count} {name}"),
        [] => name.to_owned(),
    }
}
