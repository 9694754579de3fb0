//! The header of a `.npy` array: a Python dictionary of three keys, read without recursion.
#![warn(clippy::arithmetic_side_effects)]

use std::io::Read;
use std::path::Path;

use crate::config::{DataConfig, ImageSize};
use crate::data::formats::npy::{MAGIC, broken, layout};
use crate::data::labels::CLASSES;
use crate::data::source::{WHOLE, reserved};
use crate::error::{Error, Result};

/// The longest header that is read; NumPy's own limit is 10,000 bytes.
const MOST_HEADER: u64 = 64 << 10;

/// The most dimensions that are read; images have four.
const MOST_DIMS: usize = 8;

/// Room is made at once for what so many bytes hold; beyond, only for what arrives.
const TRUSTED: u64 = 8 << 20;

const KINDS: &str = "save integers, booleans, float16, float32 or float64";

const FLOATS: &str = "save a row of numbers for each image, as float16, float32 or float64";

/// The type of the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dtype {
    /// `b`, `i`, `u` or `f`.
    pub(super) kind: u8,
    size: u8,
    pub(super) big_endian: bool,
}

impl Dtype {
    /// Bytes of a value: 1, 2, 4 or 8.
    pub(super) fn size(self) -> usize {
        usize::from(self.size)
    }

    pub(super) fn is_float(self) -> bool {
        self.kind == b'f'
    }

    /// Whether the values are unsigned bytes, as pixels are stored.
    pub(super) fn is_byte(self) -> bool {
        self.kind == b'u' && self.size == 1
    }

    /// Reads a description as `<f4`.
    fn parse(text: &str) -> Option<Self> {
        let &[order, kind, size] = text.as_bytes().as_array::<3>()?;
        let size = size.checked_sub(b'0')?;
        let sizes: &[u8] = match kind {
            b'b' => &[1],
            b'i' | b'u' => &[1, 2, 4, 8],
            b'f' => &[2, 4, 8],
            _ => &[],
        };
        let big_endian = match order {
            b'<' => false,
            b'>' => true,
            // "Native" and "no matter": written by the machine that reads, as far as one can know.
            b'=' | b'|' => cfg!(target_endian = "big"),
            _ => return None,
        };
        sizes.contains(&size).then_some(Self { kind, size, big_endian })
    }
}

/// What an array is to hold.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content<'a> {
    Images(&'a DataConfig),
    /// Numbers, one for each image, or a row of zeros with a one.
    Labels,
    /// Floats, a row of them for each image.
    Rows,
}

/// Where the images, their rows, columns and channels lie in an array: how many there are, and how many
/// values from one to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Axes {
    pub(super) sizes: [usize; 4],
    pub(super) steps: [usize; 4],
}

impl Axes {
    /// Whether the values lie as they are wanted.
    pub(super) fn in_order(&self) -> bool {
        let mut step = 1_usize;
        self.sizes.iter().zip(self.steps).rev().all(|(&size, found)| {
            let expected = step;
            step = step.saturating_mul(size);
            size == 1 || found == expected
        })
    }

    pub(super) fn image(&self) -> ImageSize {
        let [_, height, width, channels] = self.sizes;
        [height, width, channels].into()
    }
}

/// What a header says, borne out by the length of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) dtype: Dtype,
    pub(super) axes: Axes,
    /// What was taken for what, where it could be something else.
    pub(super) note: Option<String>,
    /// Bytes of all values, which are all that follows the header.
    pub(super) bytes: u64,
}

impl Header {
    /// The number of values.
    pub(super) fn values(&self) -> u64 {
        self.bytes.div_euclid(self.dtype.size() as u64)
    }

    /// For how many values room is made at once, if all bytes are there, and if they may not be.
    pub(super) fn room(&self, stored: bool) -> u64 {
        let bytes = if stored { self.bytes } else { self.bytes.min(TRUSTED) };
        bytes.div_euclid(self.dtype.size() as u64)
    }

    /// Reads what stands before the values in a stream of `len` bytes.
    pub(super) fn read(
        path: &Path,
        from: &mut impl Read,
        len: u64,
        content: Content<'_>,
    ) -> Result<Self> {
        let fail = |what: String| Err(Error::data(path, what).hint(WHOLE));
        let mut take = |most: u64| {
            let mut some = reserved(path, most)?;
            from.take(most).read_to_end(&mut some).map_err(|error| broken(path, &error))?;
            Ok::<_, Error>(some)
        };
        let start = take(8)?;
        if !start.starts_with(&MAGIC) {
            let what = "is no NumPy array: it does not start with \\x93NUMPY".to_owned();
            return Err(Error::data(path, what).hint("write it with `numpy.save`"));
        }
        let version = start.get(6..8).unwrap_or_default();
        // The header's length has two bytes in version 1, four in the later ones.
        let width = match version {
            [1, 0] => 2_u64,
            [2 | 3, 0] => 4,
            _ => return fail(format!("is of the .npy version {version:?}, expected 1.0 to 3.0")),
        };
        let mut said = [0; 8];
        let word = take(width)?;
        if word.len() as u64 != width {
            return fail("ends in the length of its header".to_owned());
        }
        said[..word.len()].copy_from_slice(&word);
        let said = u64::from_le_bytes(said);
        if said > MOST_HEADER {
            return fail(format!(
                "has a header of {said} bytes, expected {MOST_HEADER} at the most"
            ));
        }
        let text = take(said)?;
        if text.len() as u64 != said {
            return fail(format!("has {} bytes of header, expected {said}", text.len()));
        }
        let before = 8_u64.saturating_add(width).saturating_add(said);
        match parse(&text) {
            Ok(entries) => entries.check(path, len.saturating_sub(before), content),
            Err(expected) => fail(format!("has a header that cannot be read: expected {expected}")),
        }
    }
}

/// The entries of a header, as they stand there.
struct Entries {
    descr: String,
    fortran: bool,
    shape: Vec<u64>,
}

impl Entries {
    /// Compares the entries with what can be read and with the bytes that follow.
    fn check(self, path: &Path, rest: u64, content: Content<'_>) -> Result<Header> {
        let Self { descr, fortran, shape } = self;
        let Some(dtype) = Dtype::parse(&descr) else {
            let what = format!("holds values of type `{}`, expected numbers", descr.escape_debug());
            return Err(Error::data(path, what).hint(KINDS));
        };
        if matches!(content, Content::Rows) && !dtype.is_float() {
            let what = format!("holds values of type `{descr}`, expected floats");
            return Err(Error::data(path, what).hint(FLOATS));
        }
        if shape.contains(&0) {
            let what = format!("has the shape {shape:?}, expected 1 or more in each dimension");
            return Err(Error::data(path, what).hint("save at least one image"));
        }
        let sizes = shape.iter().copied();
        let bytes = sizes.chain([u64::from(dtype.size)]).try_fold(1_u64, u64::checked_mul);
        if bytes != Some(rest) {
            let need = bytes.map_or("more than 2^64 - 1".to_owned(), |bytes| bytes.to_string());
            let what = format!(
                "has the shape {shape:?} of `{descr}`, expected {need} bytes after the header, \
                 found {rest}"
            );
            return Err(Error::data(path, what).hint(WHOLE));
        }
        // Each is at most the number of bytes in memory.
        let sizes: Vec<usize> = shape.iter().map(|&size| size as usize).collect();
        let (axes, note) = match content {
            Content::Images(config) => layout::of_images(&sizes, fortran, config),
            Content::Labels => layout::of_rows(&sizes, fortran, "[images]", CLASSES),
            Content::Rows => layout::of_rows(&sizes, fortran, "[rows, columns]", FLOATS),
        }
        .map_err(|(what, hint)| Error::data(path, what).hint(hint))?;
        Ok(Header { dtype, axes, note, bytes: rest })
    }
}

/// What was read, or what was expected in its place.
type Parsed<T> = std::result::Result<T, &'static str>;

/// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}`, in any order of the keys; says
/// what was expected where it cannot.
fn parse(text: &[u8]) -> Parsed<Entries> {
    let mut text = Text(text);
    let (mut descr, mut fortran, mut shape) = (None, None, None);
    text.expect(b'{', "a `{`")?;
    while !text.next_is(b'}') {
        let key = text.string()?;
        text.expect(b':', "a `:`")?;
        let again = match key {
            "descr" => descr.replace(text.string()?.to_owned()).is_some(),
            "fortran_order" => fortran.replace(text.boolean()?).is_some(),
            "shape" => shape.replace(text.shape()?).is_some(),
            _ => return Err("the keys `descr`, `fortran_order` and `shape`"),
        };
        if again {
            return Err("each key once");
        }
        if !text.next_is(b',') {
            text.expect(b'}', "a `,` or `}`")?;
            break;
        }
    }
    text.skip_space();
    match (descr, fortran, shape) {
        _ if !text.0.is_empty() => Err("nothing behind the `}`"),
        (Some(descr), Some(fortran), Some(shape)) => Ok(Entries { descr, fortran, shape }),
        _ => Err("all of `descr`, `fortran_order` and `shape`"),
    }
}

/// What is left of a header.
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    fn skip_space(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }

    /// Whether this byte is next; if so, it is passed.
    fn next_is(&mut self, byte: u8) -> bool {
        self.skip_space();
        let rest = self.0.strip_prefix(&[byte]);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Parsed<()> {
        if self.next_is(byte) { Ok(()) } else { Err(what) }
    }

    /// The bytes up to the first that does not belong.
    fn run(&mut self, belongs: impl Fn(u8) -> bool) -> &'a str {
        self.skip_space();
        let end = self.0.iter().position(|&byte| !belongs(byte)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        str::from_utf8(taken).unwrap_or_default()
    }

    fn string(&mut self) -> Parsed<&'a str> {
        const WHAT: &str = "a word in quotes; structured arrays are not read";
        let quote = if self.next_is(b'"') { b'"' } else { b'\'' };
        if quote == b'\'' {
            self.expect(quote, WHAT)?;
        }
        // No key and no type of numbers has a backslash.
        let word = self.run(|byte| byte != quote && byte != b'\\');
        self.expect(quote, WHAT)?;
        Ok(word)
    }

    fn boolean(&mut self) -> Parsed<bool> {
        match self.run(|byte| byte.is_ascii_alphabetic()) {
            "True" => Ok(true),
            "False" => Ok(false),
            _ => Err("`fortran_order` to be True or False"),
        }
    }

    fn shape(&mut self) -> Parsed<Vec<u64>> {
        let mut shape = Vec::new();
        self.expect(b'(', "a `(`")?;
        while !self.next_is(b')') {
            let number = self.run(|byte| byte.is_ascii_digit());
            shape.push(number.parse().map_err(|_| "dimensions from 0 to 2^64 - 1")?);
            if shape.len() > MOST_DIMS {
                return Err("8 dimensions at the most");
            }
            // Python 2 marked long integers.
            let _long = self.0.strip_prefix(b"L").map(|rest| self.0 = rest);
            if !self.next_is(b',') {
                self.expect(b')', "a `,` or `)`")?;
                break;
            }
        }
        Ok(shape)
    }
}
