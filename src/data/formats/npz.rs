//! NumPy's `.npz` archives: the arrays of images in a zip file, read as streams and never extracted.
#![warn(clippy::arithmetic_side_effects)]

use std::io::{self, Cursor, Read, Seek};
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

use crate::config::DataConfig;
use crate::data::formats::array::Reader;
use crate::data::formats::npy;
use crate::data::formats::sparse::csr;
use crate::data::raw::{Found, Raw};
use crate::data::source::{Ask, WHOLE, check_unpacked};
use crate::data::stored::Space;
use crate::error::{Error, Result};

/// How every zip file with a member starts.
pub(in crate::data) const MAGIC: [u8; 4] = *b"PK\x03\x04";

/// How the entry of a member in the central directory starts.
const ENTRY: [u8; 4] = *b"PK\x01\x02";

/// How the 64-bit end of the central directory starts; two counts of members follow at 24 and 32.
const END_64: [u8; 4] = *b"PK\x06\x06";

/// An entry, or the end, is looked for in so many bytes; so many are read at once.
const WINDOW: usize = 40;
const BUFFER: u64 = 1 << 20;

/// The most members that are read: each costs the reader more memory than it has in the file.
const MOST_MEMBERS: u64 = 4096;

/// Under which names the training and the test images are looked for.
pub(super) const PAIRS: [(&str, &str); 3] =
    [("x_train", "x_test"), ("train", "test"), ("train_images", "test_images")];

/// Under which names the labels of the training and of the test images are looked for.
pub(super) const LABELS: [[&str; 2]; 2] = [["y_train", "train_labels"], ["y_test", "test_labels"]];

/// Under which names the labels of the only images are looked for.
pub(super) const SINGLE_LABELS: [&str; 4] = ["y", "labels", "label", "target"];

/// Under which names the only images are looked for.
pub(super) const SINGLE: [&str; 4] = ["images", "imgs", "x", "data"];

/// Reads the images of an archive; `path` is named in errors.
///
/// They are the arrays `x_train` and `x_test`, as in the `mnist.npz` of Keras, `train` and `test`,
/// or `train_images` and `test_images`, as in `MedMNIST`; else `images`, `imgs`, `x` or `data`; else the only
/// array there is. Small and capital letters are alike. Each is read as by [`npy::read`]. Labels are read
/// where they are: in `y_train` and `y_test` or `train_labels` and `test_labels`, else in `y`, `labels`,
/// `label` or `target`, as `[images]` or `[images, 1]` numbers, or `[images, classes]` with a one in each
/// row; of what cannot be classes, the reason is kept. Other arrays are not looked at. The rows of a sparse
/// matrix that `scipy` saved are images of one line.
///
/// # Errors
///
/// A [`Data`](crate::ErrorKind::Data) error if the bytes are no such archive, an array is not of
/// images, or a member is encrypted, compressed by another method than deflate, or would unpack to more
/// than 8 MiB and 256 times its size.
pub fn read(path: &Path, bytes: &[u8], config: &DataConfig) -> Result<Found> {
    let (mut from, len) = (Cursor::new(bytes), bytes.len() as u64);
    check_directory(path, &mut from)?;
    read_from(path, (from, len), Ask { config, space: &Space::default() })
}

/// The same of an archive of so many bytes that is read where it lies, whose directory was checked.
pub(super) fn read_from<R: Read + Seek>(
    path: &Path,
    (from, len): (R, u64),
    ask: Ask<'_>,
) -> Result<Found> {
    let zip = ZipArchive::new(from).map_err(|error| broken(path, &error))?;
    let mut names = Vec::new();
    for name in zip.file_names() {
        let name = name.map_err(|error| broken(path, &error))?;
        names.extend(name.strip_suffix(".npy").map(str::to_owned));
    }
    let mut archive = Archive { path, zip, names, len };
    if let Some((train, test)) = PAIRS.into_iter().find(|(train, _)| archive.find(train).is_some())
    {
        let [train_labels, test_labels] = LABELS;
        let train = archive.images(train, &train_labels, ask)?;
        let test = archive.find(test).map(|name| archive.images(&name, &test_labels, ask));
        return Ok(Found { train, test: test.transpose()? });
    }
    if ["format", "shape", "data"].iter().all(|name| archive.find(name).is_some()) {
        return Ok(archive.sparse(ask.config)?.into());
    }
    let single = SINGLE.into_iter().find_map(|name| archive.find(name));
    let only = archive.names.first().filter(|_| archive.names.len() == 1);
    if let Some(name) = single.or(only.cloned()) {
        return Ok(archive.images(&name, &SINGLE_LABELS, ask)?.into());
    }
    let names = archive.names;
    let listed: Vec<_> =
        names.iter().take(16).map(|name| format!("`{}`", name.escape_debug())).collect();
    let listed = if listed.is_empty() { "no array".to_owned() } else { listed.join(", ") };
    let what = format!("holds {listed}; expected `x_train` and `x_test`, or one array");
    Err(Error::data(path, what)
        .hint("also read: `train` and `test`, or one of `images`, `imgs`, `x` and `data`"))
}

/// Refuses directories that would make the zip reader allocate more than the file bears out.
pub(super) fn check_directory(path: &Path, from: &mut (impl Read + Seek)) -> Result<()> {
    let refuse = |error: io::Error| Error::io("read", path, error).hint(WHOLE);
    let mut members = 0_u64;
    let mut buffer = Vec::new();
    loop {
        let kept = buffer.len();
        from.by_ref().take(BUFFER).read_to_end(&mut buffer).map_err(refuse)?;
        if buffer.len() == kept && kept > 0 || buffer.is_empty() {
            break;
        }
        for window in buffer.windows(WINDOW.min(buffer.len())) {
            // Most bytes of data are neither, so one is compared before four are.
            if window.first() != Some(&b'P') {
                continue;
            }
            if window.starts_with(&ENTRY) {
                members = members.saturating_add(1);
            } else if window.starts_with(&END_64) {
                let count = |at| window.get(at..).and_then(|word| word.first_chunk());
                let said =
                    [24, 32].into_iter().filter_map(count).map(|word| u64::from_le_bytes(*word));
                members = said.fold(members, u64::max);
            }
            if members > MOST_MEMBERS {
                let what =
                    format!("has {members} members or more, expected {MOST_MEMBERS} at the most");
                return Err(Error::data(path, what).hint("save the images as one array"));
            }
        }
        // No window begins in what is kept but those that were not whole.
        buffer.drain(..buffer.len().saturating_sub(WINDOW.saturating_sub(1)));
    }
    from.rewind().map_err(refuse)
}

/// An open archive.
struct Archive<'a, R> {
    path: &'a Path,
    zip: ZipArchive<R>,
    /// The names of its arrays.
    names: Vec<String>,
    /// Bytes of the file.
    len: u64,
}

impl<R: Read + Seek> Archive<'_, R> {
    /// The array of this name, however its letters are written.
    fn find(&self, name: &str) -> Option<String> {
        let exact = self.names.iter().find(|other| *other == name);
        exact.or_else(|| self.names.iter().find(|other| other.eq_ignore_ascii_case(name))).cloned()
    }

    /// The images of one array, with the labels of the first of these arrays that is there.
    fn images(&mut self, name: &str, labels: &[&str], ask: Ask<'_>) -> Result<Raw> {
        let name = self.find(name).unwrap_or_else(|| name.to_owned());
        let images = self.array(&name, npy::read_stream, ask)?;
        let Some(labels) = labels.iter().find_map(|name| self.find(name)) else {
            return Ok(images);
        };
        let found = self.array(&labels, npy::read_labels, ());
        // Nobody may have asked for them.
        let found = found.unwrap_or_else(|error| Err(error.to_string()));
        Ok(images.with(found.map_err(|fault| format!("the labels `{labels}`: {fault}"))))
    }

    /// The images of a sparse matrix of `scipy`.
    fn sparse(&mut self, config: &DataConfig) -> Result<Raw> {
        let word = |path: &Path, from: &mut dyn Read, _: (u64, bool), (): ()| {
            let mut word = Vec::new();
            let read = from.take(1 << 10).read_to_end(&mut word);
            read.map_err(|error| npy::broken(path, &error))?;
            Ok(word)
        };
        let format = self.array("format", word, ())?;
        let arrays = csr::Arrays {
            by_columns: csr::by_columns(self.path, format)?,
            shape: self.array("shape", npy::read_integers, ())?,
            starts: self.array("indptr", npy::read_integers, ())?,
            places: self.array("indices", npy::read_integers, ())?,
            values: self.array("data", npy::read_floats, ())?,
        };
        csr::images(self.path, arrays, config)
    }

    /// Reads one array.
    fn array<T, C>(&mut self, name: &str, read: Reader<T, C>, config: C) -> Result<T> {
        let path = self.path;
        let member = self.zip.by_name(&format!("{name}.npy"));
        let mut member = member.map_err(|error| broken(path, &error))?;
        let (packed, unpacked) = (member.compressed_size().min(self.len), member.size());
        // Errors name the array as if it lay in a folder.
        let inside = path.join(name);
        check_unpacked(&inside, packed, unpacked)?;
        read(&inside, &mut member, (unpacked, unpacked <= packed), config)
    }
}

pub(super) fn broken(path: &Path, error: &ZipError) -> Error {
    let what = format!("cannot be read as an archive of arrays: {error}");
    Error::data(path, what).hint(match error {
        ZipError::UnsupportedArchive(_) => "write it with `numpy.savez` or `savez_compressed`",
        _ => WHOLE,
    })
}
