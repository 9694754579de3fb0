//! IDX files (the MNIST family), plain or gzip: read whole, and refused unless every byte fits.
//!
//! A file is believed only as far as its own length bears it out: no header makes this module
//! allocate more than the file can hold, and a compressed file is never read beyond what its header
//! promises.
#![warn(clippy::arithmetic_side_effects)]

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::data::labels::Labels;
use crate::data::raw::{Found, Kind, Raw, Values};
use crate::data::source::{self, WHOLE, check_unpacked};
use crate::error::{Error, ErrorKind, Result};

/// How every gzip file starts; the content decides, since a name may lie.
pub(in crate::data) const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The third byte of the magic that says "unsigned bytes"; the fourth is the number of dimensions.
const UNSIGNED_BYTES: u32 = 0x0800;

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
    let ([count, height, width], pixels) = read(source, "images")?;
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
    let ([_count], labels) = read(source, "labels")?;
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

/// The images of a folder as [`read_folder`] finds them.
pub(in crate::data) fn read_raw(folder: &Path) -> Result<Found> {
    let files = read_folder(folder)?;
    let with = |images: Images, labels: Option<Vec<u8>>| {
        let images = raw(folder, images)?;
        Ok::<_, Error>(match labels {
            Some(values) => images.with(Ok(Labels { values, names: None })),
            None => images,
        })
    };
    let test = with(files.test, files.test_labels)?;
    Ok(Found { train: with(files.train, files.train_labels)?, test: Some(test) })
}

/// Images whose values are still bytes.
pub(in crate::data) fn raw(path: &Path, images: Images) -> Result<Raw> {
    let Images { height, width, pixels, .. } = images;
    Raw::new(path, [height, width].into(), Values::Bytes(pixels), Kind::Bytes)
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

/// Whether a folder holds images under one of these names.
pub(in crate::data) fn is_in(dir: &Path) -> bool {
    ["train", "t10k"].iter().any(|set| find_images(dir, set).is_ok())
}

/// A file of one set in a folder, under the first of its names.
fn find(dir: &Path, set: &str, names: [&str; 2]) -> Result<Option<PathBuf>> {
    for ending in ["", ".gz"] {
        for name in names {
            let path = dir.join(format!("{set}-{name}{ending}"));
            if path.try_exists().map_err(|error| refuse(&path, error))? {
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

/// What stands at a path cannot be read.
fn refuse(path: &Path, error: io::Error) -> Error {
    Error::io("read", path, error).hint("give a readable IDX file, plain or gzip")
}

/// Reads a file of unsigned bytes with `DIMS` dimensions: the dimensions, then the bytes.
fn read<const DIMS: usize>(mut source: Source<'_>, name: &str) -> Result<([usize; DIMS], Vec<u8>)> {
    let path = source.path;
    let mut header = Vec::new();
    let size = const { 4 + 4 * DIMS };
    source.read(size as u64, &mut header)?;
    let mut words = header.as_chunks().0.iter().map(|word| u32::from_be_bytes(*word));
    if let Some(magic) = words.next() {
        check_magic(path, name, magic, DIMS)?;
    }
    if header.len() < size {
        let found = header.len();
        let message = format!("holds {found} bytes, expected {name} with a header of {size}");
        return Err(Error::data(path, message).hint(WHOLE));
    }
    let mut promised = [0; DIMS];
    for (dim, word) in promised.iter_mut().zip(words) {
        *dim = word;
    }
    let bytes = check_promise(&source, name, &promised, size as u64)?;
    let body = source.body(&describe(name, &promised), bytes)?;
    // The body has as many bytes as the product of the dimensions, so each of them is a usize too.
    Ok((promised.map(|dim| dim as usize), body))
}

/// Refuses every first word but that of unsigned bytes with `dims` dimensions.
fn check_magic(path: &Path, name: &str, magic: u32, dims: usize) -> Result<()> {
    let expected = UNSIGNED_BYTES | dims as u32;
    if magic == expected {
        return Ok(());
    }
    let of = |kind: &str| format!("{kind} of {} dimensions", magic & 0xff);
    let found = match magic {
        0x0801 => "labels".to_owned(),
        0x0803 => "images".to_owned(),
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
        0x0801 | 0x0803 => "the images' and the labels' file may have changed places",
        _ => "only IDX files of unsigned bytes, plain or gzip, are read here",
    };
    Err(Error::data(path, message).hint(hint))
}

/// The number of bytes that the dimensions promise, refused where the file cannot hold them.
fn check_promise(source: &Source<'_>, name: &str, dims: &[u32], header: u64) -> Result<u64> {
    let refuse = |why: String| {
        let message = format!("promises {}, {why}", describe(name, dims));
        Err(Error::data(source.path, message).hint(WHOLE))
    };
    if dims.contains(&0) {
        return refuse("expected at least 1 in every dimension".to_owned());
    }
    let product = dims.iter().try_fold(1_u64, |product, &dim| product.checked_mul(dim.into()));
    let Some(bytes) = product.filter(|&bytes| usize::try_from(bytes).is_ok()) else {
        return refuse("more than memory can hold".to_owned());
    };
    if source.packed {
        check_unpacked(source.path, source.len, bytes)?;
    } else {
        let found = source.len.saturating_sub(header);
        if found != bytes {
            return refuse(format!("expected {bytes} bytes after the header, found {found}"));
        }
    }
    Ok(bytes)
}

/// What a header promises, in words: "60000 images of 28 x 28".
fn describe(name: &str, dims: &[u32]) -> String {
    match dims {
        [count, height, width] => format!("{count} {name} of {height} x {width}"),
        [count, ..] => format!("{count} {name}"),
        [] => name.to_owned(),
    }
}

/// An open file, decompressed as it is read.
struct Source<'a> {
    path: &'a Path,
    content: Box<dyn Read + 'a>,
    /// Bytes of the file as it lies on the disk.
    len: u64,
    packed: bool,
}

impl<'a> Source<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        let (file, len) = source::open(path)?;
        Self::over(path, BufReader::new(file), len)
    }

    fn over(path: &'a Path, mut file: impl BufRead + 'a, len: u64) -> Result<Self> {
        let start = file.fill_buf().map_err(|error| refuse(path, error))?;
        let packed = start.starts_with(&GZIP);
        let content: Box<dyn Read + 'a> =
            if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        Ok(Self { path, content, len, packed })
    }

    /// Appends the next bytes, `most` of them or fewer where the content ends.
    fn read(&mut self, most: u64, into: &mut Vec<u8>) -> Result<()> {
        let failure = match (&mut self.content).take(most).read_to_end(into) {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        // The decoder speaks of damage in the system's words; what is left is the system's own.
        Err(match failure.kind() {
            io::ErrorKind::UnexpectedEof if self.packed => {
                Error::data(self.path, "is cut off: its gzip data end too early").hint(WHOLE)
            }
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData if self.packed => {
                Error::data(self.path, format!("holds damaged gzip data: {failure}")).hint(WHOLE)
            }
            _ => {
                Error::io("read", self.path, failure).hint("try again, or copy the file elsewhere")
            }
        })
    }

    /// The rest of the content, which must be exactly as long as promised.
    fn body(mut self, promise: &str, bytes: u64) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        if !self.packed {
            // The file's length bears the promise out; a compressed one grows with what arrives.
            body.try_reserve_exact(bytes as usize).map_err(|error| {
                Error::io("read", self.path, error.into()).hint("free some memory")
            })?;
        }
        // One byte more than promised tells a file that goes on, and reading up to the end is what
        // makes the decoder compare its checksum.
        self.read(bytes.saturating_add(1), &mut body)?;
        let found = body.len() as u64;
        if found != bytes {
            let found = if found > bytes { "more".to_owned() } else { found.to_string() };
            let message = format!(
                "promises {promise}, expected {bytes} bytes after the header, found {found}"
            );
            return Err(Error::data(self.path, message).hint(WHOLE));
        }
        body.shrink_to_fit();
        Ok(body)
    }
}
