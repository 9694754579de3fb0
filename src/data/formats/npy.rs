//! NumPy's `.npy` arrays of numbers: read whole, and refused unless every byte fits.
//!
//! A header is at most 64 KiB and is read by a grammar without recursion, and its dimensions must
//! multiply to what the file holds before anything is made of them.
#![warn(clippy::arithmetic_side_effects)]

mod header;
mod layout;

use std::io::{self, BufReader, Read};
use std::path::Path;

use half::f16;

use crate::config::DataConfig;
use crate::data::formats::npy::header::{Axes, Content, Dtype, Header};
use crate::data::labels::Labels;
use crate::data::raw::{Kind, Part, Raw, Values};
use crate::data::source::{self, Ask, WHOLE, not_finite, reserved};
use crate::data::stored::{Sink, Space};
use crate::error::{Error, ErrorKind, Result};

/// How every `.npy` file starts.
pub(in crate::data) const MAGIC: [u8; 6] = *b"\x93NUMPY";

/// Values are taken over from a buffer of so many bytes, a multiple of each size of a value.
const BUFFER: usize = 1 << 14;

/// Reads the images of an array; `path` is named in errors.
///
/// The shape is `[images, height, width]`, the same with an axis of 1 to 4 channels before or after the
/// pixels, or `[images, pixels]`, where the images are squares if the pixels make one, else rows; what
/// could be read in two ways is said by `layout` or `image-size`. C order or Fortran order, little or big
/// endian. Integers, booleans, and floats of 16, 32 or 64 bits.
///
/// # Errors
///
/// A [`Data`](crate::ErrorKind::Data) error if the bytes are not exactly such an array, its shape could be
/// read in two ways, or a float is not finite in f32.
pub fn read(path: &Path, bytes: &[u8], config: &DataConfig) -> Result<Raw> {
    let (mut from, len) = (bytes, (bytes.len() as u64, true));
    read_stream(path, &mut from, len, Ask { config, space: &Space::default() })
}

/// Reads the images of a file that is no gz.
pub(in crate::data) fn read_file(path: &Path, ask: Ask<'_>) -> Result<Raw> {
    let (file, len) = source::open(path)?;
    read_stream(path, &mut BufReader::new(file), (len, true), ask)
}

/// Reads an array from a stream that is to have so many bytes. If they are `stored`, they exist;
/// otherwise they are a promise, and room is made only for what arrives.
pub(super) fn read_stream(
    path: &Path,
    mut from: &mut dyn Read,
    (len, stored): (u64, bool),
    ask: Ask<'_>,
) -> Result<Raw> {
    let header = Header::read(path, &mut from, len, Content::Images(ask.config))?;
    let image = header.axes.image();
    let values = match header.axes.in_order() {
        true => {
            let sizes = (header.values(), header.room(stored));
            let bytes = !header.dtype.is_float();
            let mut sink = Sink::new((path, ask.space), image.len(), sizes, bytes)?;
            numbers(path, &mut from, &header, |some| sink.push(some))?;
            sink.done()?
        }
        // What lies in another order is in memory while it is put into its own.
        false => ordered(path, in_memory(path, &mut from, &header, stored)?, &header.axes)?.into(),
    };
    let kind = if header.dtype.is_byte() { Kind::Bytes } else { Kind::Numbers };
    let raw = Raw::new(path, image, values, kind)?;
    Ok(match header.note {
        Some(note) => raw.noted(note),
        None => raw,
    })
}

/// The numbers of an array as they stand there: bytes, if all are integers from 0 to 255.
fn in_memory(path: &Path, from: &mut impl Read, header: &Header, stored: bool) -> Result<Values> {
    let room = header.room(stored);
    let mut values = match header.dtype.is_float() {
        true => Values::Floats(reserved(path, room)?),
        false => Values::Bytes(reserved(path, room)?),
    };
    numbers(path, from, header, |some| {
        values.extend(some);
        Ok(())
    })?;
    Ok(values)
}

/// Hands on the numbers of an array a piece at a time: bytes, as long as all are integers from 0 to 255, or
/// finite floats.
fn numbers(
    path: &Path,
    from: &mut impl Read,
    header: &Header,
    mut take: impl FnMut(Part<'_>) -> Result<()>,
) -> Result<()> {
    let (dtype, mut before) = (header.dtype, 0_usize);
    let (mut bytes, mut floats) = (Vec::with_capacity(BUFFER), Vec::with_capacity(BUFFER));
    each(path, from, header, |some| {
        let values = some.chunks_exact(dtype.size());
        let count = values.len();
        bytes.clear();
        floats.clear();
        if dtype.is_float() {
            floats.extend(values.map(|value| float(dtype, value)));
            if let Some(at) = floats.iter().position(|v| !v.is_finite()) {
                return Err(not_finite(path, before.saturating_add(at), floats[at]));
            }
            take(Part::Floats(&floats))?;
        } else {
            bytes
                .extend(values.clone().map_while(|value| u8::try_from(integer(dtype, value)).ok()));
            if bytes.len() == count {
                take(Part::Bytes(&bytes))?;
            } else {
                floats.extend(values.map(|value| integer(dtype, value) as f32));
                take(Part::Floats(&floats))?;
            }
        }
        before = before.saturating_add(count);
        Ok(())
    })
}

/// Reads an array of `[rows, columns]` floats in either order; the columns, and the values row by row.
pub(crate) fn read_rows(path: &Path, mut bytes: &[u8]) -> Result<(usize, Vec<f32>)> {
    let len = bytes.len() as u64;
    let header = Header::read(path, &mut bytes, len, Content::Rows)?;
    let mut floats: Vec<f32> = reserved(path, header.room(true))?;
    numbers(path, &mut bytes, &header, |some| {
        if let Part::Floats(some) = some {
            floats.extend_from_slice(some);
        }
        Ok(())
    })?;
    Ok((header.axes.image().len(), in_order(path, floats, &header.axes)?))
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

/// Reads the classes of an array of `[images]` or `[images, 1]` numbers, or of `[images, classes]` zeros
/// with a one in each row; of the stream as [`read_stream`]. In place of classes, why they are none.
pub(in crate::data) fn read_labels(
    path: &Path,
    mut from: &mut dyn Read,
    (len, stored): (u64, bool),
    (): (),
) -> Result<std::result::Result<Labels, String>> {
    let header = Header::read(path, &mut from, len, Content::Labels)?;
    let values = in_memory(path, &mut from, &header, stored)?;
    let columns = header.axes.image().len();
    let floats = match values {
        Values::Bytes(v) if columns == 1 => return Ok(Ok(Labels { values: v, names: None })),
        Values::Bytes(v) => v.iter().map(|&v| f32::from(v)).collect(),
        Values::Floats(v) => v,
    };
    let floats = in_order(path, floats, &header.axes)?;
    if columns == 1 {
        return Ok(Labels::of_numbers(&floats.iter().map(|&v| f64::from(v)).collect::<Vec<_>>()));
    }
    let one = |row: &[f32]| {
        let ones = row.iter().filter(|&&v| v == 1.0).count();
        let others = row.iter().all(|&v| v == 0.0 || v == 1.0);
        row.iter().position(|&v| v == 1.0).filter(|_| ones == 1 && others).map(|at| at as f64)
    };
    let classes: Option<Vec<f64>> = floats.chunks_exact(columns).map(one).collect();
    Ok(classes
        .ok_or_else(|| format!("its rows of {columns} are not zeros with a one"))
        .and_then(|classes| Labels::of_numbers(&classes)))
}

/// Reads an array of integers from 0 on, in a row; of the stream as [`read_stream`].
pub(super) fn read_integers(
    path: &Path,
    mut from: &mut dyn Read,
    (len, stored): (u64, bool),
    (): (),
) -> Result<Vec<u64>> {
    let header = Header::read(path, &mut from, len, Content::Labels)?;
    let (mut integers, mut whole) =
        (reserved(path, header.room(stored))?, !header.dtype.is_float());
    each(path, &mut from, &header, |some| {
        for value in some.chunks_exact(header.dtype.size()) {
            match u64::try_from(integer(header.dtype, value)) {
                Ok(integer) => integers.push(integer),
                Err(_) => whole = false,
            }
        }
        Ok(())
    })?;
    if whole {
        return Ok(integers);
    }
    let what = "holds other numbers than integers from 0 on";
    Err(Error::data(path, what).hint("save it as integers"))
}

/// Reads an array of numbers in a row as floats; of the stream as [`read_stream`].
pub(super) fn read_floats(
    path: &Path,
    mut from: &mut dyn Read,
    (len, stored): (u64, bool),
    (): (),
) -> Result<Vec<f32>> {
    let header = Header::read(path, &mut from, len, Content::Labels)?;
    Ok(match in_memory(path, &mut from, &header, stored)? {
        Values::Bytes(v) => v.into_iter().map(f32::from).collect(),
        Values::Floats(v) => v,
    })
}

/// Hands on the bytes of whole values, some at a time, and refuses a stream that ends before or after the last.
fn each(
    path: &Path,
    from: &mut impl Read,
    header: &Header,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut buffer = [0; BUFFER];
    let mut rest = header.bytes;
    while rest > 0 {
        let some = usize::try_from(rest).unwrap_or(BUFFER).min(BUFFER);
        let some = &mut buffer[..some];
        from.read_exact(some).map_err(|error| broken(path, &error))?;
        take(some)?;
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

/// The values image by image, row by row and pixel by pixel.
fn ordered(path: &Path, values: Values, axes: &Axes) -> Result<Values> {
    Ok(match values {
        Values::Bytes(v) => Values::Bytes(in_order(path, v, axes)?),
        Values::Floats(v) => Values::Floats(in_order(path, v, axes)?),
    })
}

/// The same of values of one type.
fn in_order<T: Copy>(path: &Path, values: Vec<T>, axes: &Axes) -> Result<Vec<T>> {
    if axes.in_order() {
        return Ok(values);
    }
    let ([images, height, width, channels], steps) = (axes.sizes, axes.steps);
    let mut ordered = reserved(path, values.len() as u64)?;
    // All below the number of values.
    let at = |place: [usize; 4]| {
        let terms = place.iter().zip(steps).map(|(&place, step)| place.saturating_mul(step));
        terms.fold(0, usize::saturating_add)
    };
    for image in 0..images {
        for y in 0..height {
            for x in 0..width {
                ordered.extend((0..channels).map(|channel| values[at([image, y, x, channel])]));
            }
        }
    }
    Ok(ordered)
}
