//! IDX files (the MNIST family), plain or gzip: read whole, and refused unless every byte fits.
//!
//! A file is believed only as far as its own length bears it out: no header makes this module
//! allocate more than the file can hold, and a compressed file is never read beyond what its header
//! promises.
#![warn(clippy::arithmetic_side_effects)]

mod family;
mod head;
mod mapping;
mod place;
mod stream;

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::{DataConfig, ImageSize, Layout};
use crate::data::formats::array::Array;
use crate::data::formats::idx::head::{Head, describe, wrong_magic};
use crate::data::formats::idx::stream::{Source, refuse};
use crate::data::labels::Labels;
use crate::data::raw::{Kind, Part, Raw};
use crate::data::source::Ask;
use crate::data::stored::{Sink, Space};
use crate::error::{Error, ErrorKind, Result};

pub(in crate::data) use place::{beside, read_archive, read_file, read_folder as read_family};

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
    let ask = Ask { config, space: &Space::default() };
    raw_of(Source::over(path, bytes, bytes.len() as u64)?, ask)
}

fn raw_of(mut source: Source<'_>, ask: Ask<'_>) -> Result<Raw> {
    let (path, packed) = (source.path, source.packed);
    let Head { kind, dims, bytes } = Head::read(&mut source, "images", IMAGE_BYTES, 2..=4)?;
    let promise = describe("images", &dims);
    if let (8, &[_, height, width]) = (kind, dims.as_slice()) {
        // Each is a factor of the body's length.
        let size = ImageSize::from([height as usize, width as usize]);
        let there = if packed { 0 } else { bytes };
        let mut sink = Sink::new((path, ask.space), size.len(), (bytes, there), true)?;
        source.each(&promise, bytes, &mut |some| sink.push(Part::Bytes(some)))?;
        return Raw::new(path, size, sink.done()?, Kind::Bytes);
    }
    // The first dimension is that of the images.
    let layout = ask.config.layout.or((dims.len() == 3).then_some(Layout::Nhwc));
    let config = &DataConfig { layout, ..ask.config.clone() };
    let numbers = |body| array(path, kind, &dims, body);
    match bytes > ask.space.left() {
        true => numbers(Vec::new()).images_of(&mut source, (bytes, !packed), Ask { config, ..ask }),
        false => numbers(source.body(&promise, bytes)?).images(config),
    }
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
    let (path, mut source) = (source.path, source);
    let Head { kind, mut dims, bytes } = Head::read(&mut source, "labels", LABEL_BYTES, 1..=2)?;
    let mut body = source.body(&describe("labels", &dims), bytes)?;
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
    mut source: Source<'_>,
    name: &str,
) -> Result<([usize; DIMS], Vec<u8>)> {
    let (expected, path) = (0x0800 | DIMS as u32, source.path);
    let Head { kind, dims, bytes } = Head::read(&mut source, name, expected, DIMS..=DIMS)?;
    let body = source.body(&describe(name, &dims), bytes)?;
    let found = u32::from(kind) << 8 | dims.len() as u32;
    match <[u32; DIMS]>::try_from(dims) {
        // The body has as many bytes as their product, so each of them is a usize too.
        Ok(dims) if found == expected => Ok((dims.map(|dim| dim as usize), body)),
        _ => Err(wrong_magic(path, name, (found, expected))),
    }
}
