//! NumPy's `.npy` arrays of numbers: read whole, and refused unless every byte fits.
//!
//! A header is at most 64 KiB and is read by a grammar without recursion, and its dimensions must
//! multiply to what the file holds before anything is made of them.
#![warn(clippy::arithmetic_side_effects)]

mod header;

use std::io::{self, Read};
use std::path::Path;

use half::f16;

use crate::data::Dataset;
use crate::data::labels::CLASSES;
use crate::data::npy::header::{Content, Dtype, Header};
use crate::data::source::{WHOLE, check_finite, reserved, spread};
use crate::error::{Error, ErrorKind, Result};

/// How every `.npy` file starts.
pub(super) const MAGIC: [u8; 6] = *b"\x93NUMPY";

/// Values are taken over from a buffer of so many bytes, a multiple of each size of a value.
const BUFFER: usize = 1 << 14;

/// Reads the images of an array; `path` is named in errors.
///
/// The shape is `[images, height, width]`, the same with an axis of one channel before or after the
/// pixels, or `[images, pixels]`, where the images are squares if the pixels make one, else rows.
/// C order or Fortran order, little or big endian. Integers from 0 to 255 become bytes; if all are
/// 0 or 1, and for booleans, black and white. Floats of 16, 32 or 64 bits become f32.
///
/// # Errors
///
/// A [`Data`](crate::ErrorKind::Data) error if the bytes are not exactly such an array, integers
/// leave 0 to 255, with the range that was seen, or a float is not finite in f32.
pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Dataset> {
    let mut from = bytes;
    read(path, &mut from, bytes.len() as u64, true)
}

/// Reads an array from a stream that is to have `len` bytes. If `stored`, those bytes exist;
/// otherwise they are a promise, and room is made only for what arrives.
pub(super) fn read(
    path: &Path,
    mut from: &mut dyn Read,
    len: u64,
    stored: bool,
) -> Result<Dataset> {
    let header = Header::read(path, &mut from, len, Content::Images)?;
    let [count, height, width] = header.images;
    let data = if header.dtype.is_float() {
        let mut floats: Vec<f32> = reserved(path, header.room(stored))?;
        each(path, &mut from, &header, |value| floats.push(float(header.dtype, value)))?;
        check_finite(path, &floats)?;
        Dataset::from_floats([height, width], in_c_order(path, floats, &header)?)
    } else {
        let levels =
            integers(path, &mut from, &header, stored, "scale them to bytes, or save floats")?;
        Dataset::from_bytes([height, width], in_c_order(path, spread(levels), &header)?)
    }?;
    debug_assert_eq!(data.len(), count, "the images of an array of {:?}", header.images);
    Ok(data)
}

/// Reads an array of `[rows, columns]` floats in either order; the columns, and the values row by row.
pub(super) fn read_rows(path: &Path, mut bytes: &[u8]) -> Result<(usize, Vec<f32>)> {
    let len = bytes.len() as u64;
    let header = Header::read(path, &mut bytes, len, Content::Rows)?;
    let mut floats: Vec<f32> = reserved(path, header.room(true))?;
    each(path, &mut bytes, &header, |value| floats.push(float(header.dtype, value)))?;
    check_finite(path, &floats)?;
    Ok((header.images[2], in_c_order(path, floats, &header)?))
}

/// The bytes of an array of f32 of this shape, in C order and little endian, as `numpy.load` reads
/// it: version 1.0, with its values on a multiple of 64 bytes.
///
/// # Errors
///
/// If the shape is not of as many values.
pub fn to_bytes(shape: &[usize], values: &[f32]) -> Result<Vec<u8>> {
    let len = shape.iter().try_fold(1_usize, |len, &size| len.checked_mul(size));
    if len != Some(values.len()) {
        let what = format!("{} values are no array of the shape {shape:?}", values.len());
        return Err(Error::new(ErrorKind::Data, what).hint("give as many as its sizes multiply to"));
    }
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({sizes}), }}");
    // Behind the magic come two bytes of version and two of length; a line feed ends the header.
    let before = MAGIC.len().saturating_add(4);
    let end = before.saturating_add(text.len()).saturating_add(1).next_multiple_of(64);
    let padded = end.saturating_sub(before).saturating_sub(1);
    text = format!("{text:padded$}\n");
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    Ok(bytes)
}

/// Reads the labels of an array of `[images]` or `[images, 1]` integers from 0 to 255, of any width;
/// of the stream as [`read`].
pub(super) fn read_labels(
    path: &Path,
    mut from: &mut dyn Read,
    len: u64,
    stored: bool,
) -> Result<Vec<u8>> {
    let header = Header::read(path, &mut from, len, Content::Labels)?;
    integers(path, &mut from, &header, stored, CLASSES)
}

/// The integers of an array, which must be from 0 to 255; the hint says what to do if they are not.
fn integers(
    path: &Path,
    from: &mut impl Read,
    header: &Header,
    stored: bool,
    hint: &str,
) -> Result<Vec<u8>> {
    let mut levels: Vec<u8> = reserved(path, header.room(stored))?;
    let (mut low, mut high) = (i128::MAX, i128::MIN);
    each(path, from, header, |value| {
        let value = integer(header.dtype, value);
        (low, high) = (low.min(value), high.max(value));
        levels.push(value as u8);
    })?;
    if low < 0 || high > 255 {
        let what = format!("its integers go from {low} to {high}, expected 0 to 255");
        return Err(Error::data(path, what).hint(hint));
    }
    Ok(levels)
}

/// Hands on the bytes of each value, and refuses a stream that ends before or after the last.
fn each(
    path: &Path,
    from: &mut impl Read,
    header: &Header,
    mut take: impl FnMut(&[u8]),
) -> Result<()> {
    let mut buffer = [0; BUFFER];
    let mut rest = header.bytes;
    while rest > 0 {
        let some = usize::try_from(rest).unwrap_or(BUFFER).min(BUFFER);
        let some = &mut buffer[..some];
        from.read_exact(some).map_err(|error| broken(path, &error))?;
        some.chunks_exact(header.dtype.size()).for_each(&mut take);
        rest = rest.saturating_sub(some.len() as u64);
    }
    // Reading up to the end is what makes a decoder compare its checksum.
    match from.read(&mut buffer).map_err(|error| broken(path, &error))? {
        0 => Ok(()),
        _ => Err(Error::data(path, "goes on behind the array, expected its end").hint(WHOLE)),
    }
}

/// A stream that cannot be read on. There is a file in memory behind it, so its content is at fault.
pub(super) fn broken(path: &Path, error: &io::Error) -> Error {
    let what = match error.kind() {
        io::ErrorKind::UnexpectedEof => "ends before the last value of its array".to_owned(),
        io::ErrorKind::Unsupported => format!("cannot be unpacked: {error}"),
        _ => format!("holds damaged data: {error}"),
    };
    Error::data(path, what).hint(WHOLE)
}

/// An integer or a boolean as it stands in the file.
fn integer(dtype: Dtype, value: &[u8]) -> i128 {
    let mut word = [0; 8];
    let size = value.len().min(8);
    word[..size].copy_from_slice(&value[..size]);
    if dtype.big_endian {
        word[..size].reverse();
    }
    let unsigned = u64::from_le_bytes(word);
    match dtype.kind {
        b'b' => i128::from(unsigned != 0),
        b'i' => {
            let unused = 64_u32.saturating_sub((size as u32).saturating_mul(8));
            i128::from((unsigned << unused) as i64 >> unused)
        }
        _ => i128::from(unsigned),
    }
}

/// A float as it stands in the file, rounded to f32.
fn float(dtype: Dtype, value: &[u8]) -> f32 {
    let mut word = [0; 8];
    let size = value.len().min(8);
    word[..size].copy_from_slice(&value[..size]);
    if dtype.big_endian {
        word[..size].reverse();
    }
    let bits = u64::from_le_bytes(word);
    match size {
        2 => f16::from_bits(bits as u16).to_f32(),
        4 => f32::from_bits(bits as u32),
        _ => f64::from_bits(bits) as f32,
    }
}

/// The values image by image and row by row, as Fortran does not store them.
fn in_c_order<T: Copy>(path: &Path, values: Vec<T>, header: &Header) -> Result<Vec<T>> {
    if !header.fortran {
        return Ok(values);
    }
    let [count, height, width] = header.images;
    // The image is the fastest index; rows of a square that was given as pixels are not an axis.
    let (lines, line) =
        if header.flat { (1, height.saturating_mul(width)) } else { (height, width) };
    let mut ordered = reserved(path, values.len() as u64)?;
    for image in 0..count {
        for y in 0..lines {
            // The first of a line, and then one value of each column: all below the length.
            let first = image.saturating_add(count.saturating_mul(y));
            let step = count.saturating_mul(lines).max(1);
            ordered.extend(values.iter().skip(first).step_by(step).take(line).copied());
        }
    }
    Ok(ordered)
}
