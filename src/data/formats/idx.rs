//! IDX files (the MNIST family), plain or gzip: read whole, and refused unless every byte fits.
//!
//! A file is believed only as far as its own length bears it out: no header makes this module
//! allocate more than the file can hold, and a compressed file is never read beyond what its header
//! promises.
#![warn(clippy::arithmetic_side_effects)]

mod family;
mod mapping;
mod place;
mod stream;

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::{DataConfig, Layout};
use crate::data::formats::array::Array;
use crate::data::formats::idx::stream::{Source, missing, refuse};
use crate::data::labels::Labels;
use crate::data::raw::{Kind, Raw, Values};
use crate::data::source::{WHOLE, check_unpacked};
use crate::error::{Error, ErrorKind, Result};

pub(in crate::data) use place::{read_archive, read_file, read_folder as read_family};

/// The words that a file of images and a file of labels start with: unsigned bytes of three dimensions and
/// of one.
const IMAGE_BYTES: u32 = 0x0803;
const LABEL_BYTES: u32 = 0x0801;

/// The columns of QMNIST's labels, the first of which is the digit.
const QMNIST: u32 = 8;

/// How a file of images is called, behind the name of its set.
const IMAGES: [&str; 2] = ["images-idx3-ubyte", "images.idx3-ubyte"];

/// How a file of labels is called.
const LABELS: [&str; 2] = ["labels-idx1-ubyte", "labels.idx1-ubyte"];

/// Grey images of one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// How many images there are; at least 1.
    pub count: usize,
    /// Pixels from top to bottom; at least 1.
    pub height: usize,
    /// Pixels from left to right; at least 1.
    pub width: usize,
    /// `count * height * width` bytes, 0 (black) to 255: one image after another, row by row.
    pub pixels: Vec<u8>,
}

/// The two sets of a folder, of one image size, and the labels that lie beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// The images to learn from.
    pub train: Images,
    /// The images kept apart for evaluation.
    pub test: Images,
    /// The class of each image to learn from, if there is a file of them.
    pub train_labels: Option<Vec<u8>>,
    /// The class of each image kept apart, if there is a file of them.
    pub test_labels: Option<Vec<u8>>,
}

/// Reads a file of images (magic 0x00000803), plain or gzip.
///
/// A gzip file may have several members (RFC 1952, 2.2): they are read as one. Anything else after
/// the first member is damage.
///
/// # Errors
///
/// [`ErrorKind::Io`] when the file is missing, unreadable or no regular file; [`ErrorKind::Data`]
/// when its content is not exactly the images that its header promises.
pub fn read_images(path: &Path) -> Result<Images> {
    images_of(Source::open(path)?)
}

/// Reads what a file of images holds, plain or gzip; `path` is named in errors.
///
/// # Errors
///
/// As [`read_images`].
pub fn images_from_bytes(path: &Path, bytes: &[u8]) -> Result<Images> {
    images_of(Source::over(path, bytes, bytes.len() as u64)?)
}

fn images_of(source: Source<'_>) -> Result<Images> {
    let ([count, height, width], pixels) = read_bytes(source, "images")?;
    Ok(Images { count, height, width, pixels })
}

/// Reads a file of labels (magic 0x00000801), plain or gzip: one byte for each image.
///
/// # Errors
///
/// As [`read_images`].
pub fn read_labels(path: &Path) -> Result<Vec<u8>> {
    labels_of(Source::open(path)?)
}

/// Reads what a file of labels holds, plain or gzip; `path` is named in errors.
///
/// # Errors
///
/// As [`read_images`].
pub fn labels_from_bytes(path: &Path, bytes: &[u8]) -> Result<Vec<u8>> {
    labels_of(Source::over(path, bytes, bytes.len() as u64)?)
}

fn labels_of(source: Source<'_>) -> Result<Vec<u8>> {
    let ([_count], labels) = read_bytes(source, "labels")?;
    Ok(labels)
}

/// Reads the training and the test images of a folder that is laid out like MNIST, and their labels
/// if there are files of them.
///
/// The files are `train-images-idx3-ubyte` and `t10k-images-idx3-ubyte`, or the same with
/// `.idx3-ubyte`, each with or without `.gz`; where several are there, a plain file comes first.
/// Those of labels are called `labels-idx1` in the place of `images-idx3`.
///
/// # Errors
///
/// [`ErrorKind::Io`] when the folder or one of the files of images is missing; [`ErrorKind::Data`]
/// when the two sets differ in image size, or there are not as many labels as images; else as
/// [`read_images`].
pub fn read_folder(dir: &Path) -> Result<Folder> {
    let refuse = |error| {
        Error::io("read the folder", dir, error).hint("give the folder that holds the IDX files")
    };
    if !fs::metadata(dir).map_err(refuse)?.is_dir() {
        return Err(refuse(io::ErrorKind::NotADirectory.into()));
    }
    let (train_path, test_path) = (find_images(dir, "train")?, find_images(dir, "t10k")?);
    let (train, test) = (read_images(&train_path)?, read_images(&test_path)?);
    if (train.height, train.width) != (test.height, test.width) {
        let message = format!(
            "holds images of {} x {}, expected {} x {} as in `{}`",
            test.height,
            test.width,
            train.height,
            train.width,
            train_path.display()
        );
        return Err(Error::data(&test_path, message).hint("take both files from one dataset"));
    }
    let (train_labels, test_labels) =
        (labels_beside(dir, "train", &train)?, labels_beside(dir, "t10k", &test)?);
    Ok(Folder { train, test, train_labels, test_labels })
}

/// Reads images of any numbers, plain or gz; `path` is named in errors.
///
/// The dimensions are images, height and width, and perhaps an axis of 1 to 4 channels; or images and
/// pixels. Unsigned bytes are taken as pixels; signed bytes, integers of 16 and 32 bits and floats as
/// numbers.
///
/// # Errors
///
/// As [`read_images`], and if the channels could be more than one axis.
pub fn read(path: &Path, bytes: &[u8], config: &DataConfig) -> Result<Raw> {
    raw_of(Source::over(path, bytes, bytes.len() as u64)?, config)
}

fn raw_of(source: Source<'_>, config: &DataConfig) -> Result<Raw> {
    let path = source.path;
    let (kind, dims, body) = read_any(source, "images", IMAGE_BYTES, 2..=4)?;
    if let (8, &[_, height, width]) = (kind, dims.as_slice()) {
        // Each is a factor of the body's length.
        let size = [height as usize, width as usize];
        return Raw::new(path, size.into(), Values::Bytes(body), Kind::Bytes);
    }
    // The first dimension is that of the images.
    let layout = config.layout.or((dims.len() == 3).then_some(Layout::Nhwc));
    array(path, kind, &dims, body).images(&DataConfig { layout, ..config.clone() })
}

/// The numbers of a file as NumPy would save them.
fn array<'a>(path: &Path, kind: u8, dims: &[u32], body: Vec<u8>) -> Array<'a> {
    let descr = match kind {
        0x08 => "|u1",
        0x09 => "|i1",
        0x0b => ">i2",
        0x0c => ">i4",
        0x0d => ">f4",
        _ => ">f8",
    };
    Array {
        path: path.to_owned(),
        descr: descr.to_owned(),
        fortran: false,
        shape: dims.iter().map(|&dim| dim as usize).collect(),
        data: Cow::Owned(body),
    }
}

/// Reads the classes of images, of any numbers, plain or gz; of the eight columns of QMNIST the first. In
/// place of classes, why they are none.
///
/// # Errors
///
/// As [`read_labels`].
pub(super) fn classes(path: &Path, bytes: &[u8]) -> Result<std::result::Result<Labels, String>> {
    classes_of(Source::over(path, bytes, bytes.len() as u64)?)
}

fn classes_of(source: Source<'_>) -> Result<std::result::Result<Labels, String>> {
    let path = source.path;
    let (kind, mut dims, mut body) = read_any(source, "labels", LABEL_BYTES, 1..=2)?;
    if kind == 8 && dims.len() == 1 {
        return Ok(Ok(Labels { values: body, names: None }));
    }
    if let (0x0c, &[count, QMNIST]) = (kind, dims.as_slice()) {
        body = body.chunks_exact(32).flat_map(|row| row.iter().take(4).copied()).collect();
        dims = vec![count];
    }
    array(path, kind, &dims, body).labels()
}

/// The labels of one set in a folder, if there is a file of them.
fn labels_beside(dir: &Path, set: &str, images: &Images) -> Result<Option<Vec<u8>>> {
    let Some(path) = find(dir, set, LABELS)? else { return Ok(None) };
    let labels = read_labels(&path)?;
    if labels.len() != images.count {
        let (found, expected) = (labels.len(), images.count);
        let message = format!("holds {found} labels, expected {expected} as there are images");
        return Err(Error::data(&path, message).hint("take both files from one dataset"));
    }
    Ok(Some(labels))
}

/// A file of one set in a folder, under the first of its names.
fn find(dir: &Path, set: &str, names: [&str; 2]) -> Result<Option<PathBuf>> {
    for ending in ["", ".gz"] {
        for name in names {
            let path = dir.join(format!("{set}-{name}{ending}"));
            // What Kaggle unpacks has folders of the files' names.
            if path.try_exists().map_err(|error| refuse(&path, error))? && !path.is_dir() {
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
}

/// The images of one set in a folder.
fn find_images(dir: &Path, set: &str) -> Result<PathBuf> {
    if let Some(path) = find(dir, set, IMAGES)? {
        return Ok(path);
    }
    let missing = format!("cannot find `{set}-images-idx3-ubyte` in `{}`", dir.display());
    Err(Error::new(ErrorKind::Io, missing).hint(format!(
        "accepted names: {set}-images-idx3-ubyte and {set}-images.idx3-ubyte, with or without .gz"
    )))
}

/// Reads a file of unsigned bytes with `DIMS` dimensions: the dimensions, then the bytes.
fn read_bytes<const DIMS: usize>(
    source: Source<'_>,
    name: &str,
) -> Result<([usize; DIMS], Vec<u8>)> {
    let (expected, path) = (0x0800 | DIMS as u32, source.path);
    let (kind, dims, body) = read_any(source, name, expected, DIMS..=DIMS)?;
    let found = u32::from(kind) << 8 | dims.len() as u32;
    match <[u32; DIMS]>::try_from(dims) {
        // The body has as many bytes as their product, so each of them is a usize too.
        Ok(dims) if found == expected => Ok((dims.map(|dim| dim as usize), body)),
        _ => Err(wrong_magic(path, name, (found, expected))),
    }
}

/// A type of values, the dimensions, and the bytes of the values.
type Numbers = (u8, Vec<u32>, Vec<u8>);

/// Reads a file of any numbers with so many dimensions. `expected` is what it most often starts with; if that
/// has as many dimensions as are read at all, only that is.
fn read_any(
    mut source: Source<'_>,
    name: &str,
    expected: u32,
    dims: std::ops::RangeInclusive<usize>,
) -> Result<Numbers> {
    let path = source.path;
    let (mut header, cut) = (Vec::new(), |_| "in its header".to_owned());
    let mut size = header_of(expected);
    source.read(4, &mut header, cut)?;
    let mut kind = 0;
    if let Some(&magic) = header.first_chunk() {
        let [zero, none, word, count] = magic;
        let strict = dims.start() == dims.end();
        let known = if strict { word == 8 } else { size_of(word) > 0 };
        if [zero, none] != [0, 0] || !known || !dims.contains(&usize::from(count)) {
            return Err(wrong_magic(path, name, (u32::from_be_bytes(magic), expected)));
        }
        (kind, size) = (word, header_of(count.into()));
        source.read(size.saturating_sub(4), &mut header, cut)?;
    }
    if header.len() as u64 != size {
        let found = header.len();
        let message = format!("holds {found} bytes, expected {name} with a header of {size}");
        return Err(Error::data(path, message).hint(WHOLE));
    }
    let words = header.as_chunks().0.iter().skip(1);
    let promised: Vec<u32> = words.map(|word| u32::from_be_bytes(*word)).collect();
    let bytes = check_promise(&source, name, (&promised, size_of(kind)), size)?;
    let body = source.body(&describe(name, &promised), bytes)?;
    Ok((kind, promised, body))
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
fn wrong_magic(path: &Path, name: &str, (magic, expected): (u32, u32)) -> Error {
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
fn describe(name: &str, dims: &[u32]) -> String {
    match dims {
        [count, height, width] => format!("{count} {name} of {height} x {width}"),
        [count, a, b, c] => format!("{count} {name} of {a} x {b} x {c}"),
        [count, columns] => format!("{count} {name} of {columns}"),
        [count, ..] => format!("{count} {name}"),
        [] => name.to_owned(),
    }
}
