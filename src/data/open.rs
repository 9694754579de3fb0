//! What lies at a path decides how it is read: the content of a file, the entries of a folder.

use std::io::Read;
use std::path::Path;

use crate::data::labels::Labels;
use crate::data::{Dataset, Sets, Values, csv, idx, npy, npz, pictures, source};
use crate::error::{Error, Result};

/// Where no test images are given, every so many-th image is one.
const TEST_EVERY: usize = 10;

const FORMATS: &str = "give a folder of IDX files or of PNGs, or a file: IDX, IDX.gz, .npy, .npz \
                       or .csv";

impl Dataset {
    /// The training and the test images of what lies at a path: a folder of IDX files, a folder of
    /// PNGs or with folders of them named `train` and `test`, a NumPy `.npz` or `.npy`, one IDX
    /// file, each plain or gz, or a `.csv`. The modules of [`data`](crate::data) say what each may
    /// hold.
    ///
    /// With `test`, which may be of another kind, its test images are taken, or all its images if
    /// they are not divided, and those of `data` but the training images are left out. Where there
    /// are no test images at all, every tenth image of `data` is one (the 10th, the 20th and so on)
    /// and the others are for training: the same ones each time.
    ///
    /// Labels come along where there are such, and are read with the images, so broken ones are an
    /// error here. Classes that have names, as folders do, have the same numbers in both sets.
    ///
    /// # Errors
    ///
    /// If something cannot be read or is not of a kind named above, the two sets differ in the size
    /// of their images, there are less than ten images to divide, or labels are not one for each
    /// image and from 0 to 255.
    pub fn open(data: &Path, test: Option<&Path>) -> Result<(Self, Self)> {
        let found = look(data)?;
        let (train, test, of) = match (test, found) {
            (Some(path), found) => {
                let other = look(path)?;
                (found.train, other.test.unwrap_or(other.train), path)
            }
            (None, Sets { train, test: Some(test) }) => (train, test, data),
            (None, Sets { train, test: None }) => {
                let (train, test) = train.divided(data)?;
                (train, test, data)
            }
        };
        if train.size() != test.size() {
            let ([a, b], [c, d]) = (train.size(), test.size());
            let what = format!("its test images are of {c} x {d}, expected {a} x {b} as to train");
            return Err(Error::data(of, what).hint("take both sets from one dataset"));
        }
        let test = test.numbered_as(of, &train)?;
        Ok((train, test))
    }

    /// Takes every tenth image out.
    fn divided(mut self, path: &Path) -> Result<(Self, Self)> {
        if self.count < TEST_EVERY {
            let count = self.count;
            let what = format!("holds {count} images, expected {TEST_EVERY} or more to divide");
            return Err(Error::data(path, what).hint("give test images of their own, or more"));
        }
        let pixels = self.height * self.width;
        let (values, kept) = match &mut self.values {
            Values::Bytes(all) => {
                let taken = take_out(all, pixels);
                (Values::Bytes(taken), all.len())
            }
            Values::Floats(all) => {
                let taken = take_out(all, pixels);
                (Values::Floats(taken), all.len())
            }
        };
        let labels = self.labels.as_mut().map(|labels| {
            let values = take_out(&mut labels.values, 1);
            Labels { values, names: labels.names.clone() }
        });
        let all = std::mem::replace(&mut self.count, kept / pixels);
        let test = Self { count: all - self.count, values, labels, ..self };
        Ok((self, test))
    }
}

/// Moves every tenth row out, and the others together.
fn take_out<T: Copy>(all: &mut Vec<T>, row: usize) -> Vec<T> {
    let rows = all.len() / row;
    let mut taken = Vec::with_capacity(rows / TEST_EVERY * row);
    let mut kept = 0;
    for at in 0..rows {
        let range = at * row..(at + 1) * row;
        if (at + 1).is_multiple_of(TEST_EVERY) {
            taken.extend_from_slice(&all[range]);
        } else {
            all.copy_within(range, kept);
            kept += row;
        }
    }
    all.truncate(kept);
    taken
}

/// Reads what lies at a path.
fn look(path: &Path) -> Result<Sets> {
    if path.is_dir() { look_into(path) } else { look_at(path) }
}

/// Reads a file by how it starts; only text is told by its name.
fn look_at(path: &Path) -> Result<Sets> {
    let one = |train| Sets { train, test: None };
    let (file, _) = source::open(path)?;
    let mut start = Vec::new();
    let read = file.take(8).read_to_end(&mut start);
    read.map_err(|error| Error::io("read", path, error).hint(FORMATS))?;
    if start.starts_with(&idx::GZIP) || start.starts_with(&[0, 0]) {
        let idx::Images { height, width, pixels, .. } = idx::read_images(path)?;
        return Ok(one(Dataset::from_bytes([height, width], pixels)?));
    }
    if start.starts_with(&npy::MAGIC) {
        return npy::from_bytes(path, &source::read(path)?).map(one);
    }
    if start.starts_with(&npz::MAGIC) {
        return npz::from_bytes(path, &source::read(path)?);
    }
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv")) {
        return csv::from_bytes(path, &source::read(path)?).map(one);
    }
    let found = match start.as_slice() {
        [] => "is empty".to_owned(),
        start if start.starts_with(&pictures::MAGIC) => "is one PNG".to_owned(),
        start => format!("starts with \"{}\", as no kind that is read", start.escape_ascii()),
    };
    Err(Error::data(path, format!("{found}; expected images")).hint(FORMATS))
}

/// Reads a folder by what is in it.
fn look_into(folder: &Path) -> Result<Sets> {
    if idx::is_in(folder) {
        let (train, test) = Dataset::from_idx_folder(folder)?;
        return Ok(Sets { train, test: Some(test) });
    }
    let [train, test] = ["train", "test"].map(|name| folder.join(name));
    if train.is_dir() && test.is_dir() {
        let test = Some(pictures::read_folder(&test)?);
        return Ok(Sets { train: pictures::read_folder(&train)?, test });
    }
    pictures::read_folder(folder).map(|train| Sets { train, test: None })
}
