//! What the loaders of NumPy arrays, CSV and PNG make of good files and of malformed ones, and how a
//! path decides which of them reads it.

mod beyond;
mod cifar;
mod folders;
mod idx;
mod kinds;
mod later;
mod mat;
mod named;
mod npy;
mod npz;
mod open;
mod parquet;
mod pickle;
mod pictures;
mod reading;
mod rows;
mod sparse;
mod table;
mod told;

use std::path::{Path, PathBuf};

use elbo::config::{Config, DataConfig};
use elbo::data::{Raw, Sources};
use elbo::{Dataset, Error, ErrorKind};

/// What errors call a file that is in memory only.
const NAME: &str = "some/file";

/// A file that NumPy wrote; `tests/data/arrays.py` says what is in it.
fn fixture(name: &str) -> (PathBuf, Vec<u8>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    let bytes = std::fs::read(&path).expect(name);
    (path, bytes)
}

/// What a reader makes of a file where each is read by its own content.
fn by_file(
    read: impl Fn(&Path, &[u8], &DataConfig) -> elbo::Result<Raw>,
) -> impl Fn(&Path, &[u8]) -> elbo::Result<Dataset> {
    move |path, bytes| read(path, bytes, &DataConfig::before())?.by_file(path)
}

/// The two sets of a place, divided and read as before there was a choice.
fn open(data: &Path, test: Option<&Path>) -> elbo::Result<(Dataset, Dataset)> {
    let config = Config { data: DataConfig::before(), ..Config::default() };
    let opened = Sources { test, ..Sources::new(data, &config) }.open()?;
    Ok((opened.train, opened.test))
}

/// The three images of 2 x 4 in the fixtures.
fn images() -> Vec<u8> {
    (0..24_u32).map(|i| (i * 11 % 256) as u8).collect()
}

/// Images of bytes.
fn bytes(size: [usize; 2], values: Vec<u8>) -> Dataset {
    Dataset::from_bytes(size, values).expect("whole images")
}

/// Images of floats.
fn floats(size: [usize; 2], values: Vec<f32>) -> Dataset {
    Dataset::from_floats(size, values).expect("whole images")
}

/// Images with a class for each.
fn labelled(images: Dataset, labels: &[u8]) -> Dataset {
    images.with_labels(labels.to_vec()).expect("a label for each image")
}

/// The malformed files of a loader, with what the refusal of each must say.
type Corpus = Vec<(&'static str, Vec<u8>, &'static str)>;

/// Every file is refused as wrong content, by name, with what `says` and a hint.
fn assert_all_refused<T: std::fmt::Debug>(
    corpus: &Corpus,
    load: impl Fn(&Path, &[u8]) -> elbo::Result<T>,
) {
    assert!(corpus.len() >= 25, "only {} malformed files", corpus.len());
    for (case, file, says) in corpus {
        match load(Path::new(NAME), file) {
            Ok(data) => panic!("{case}: was read as {data:?}"),
            Err(error) => assert_refusal(case, &error, NAME, says),
        }
    }
}

fn assert_refusal(case: &str, error: &Error, name: &str, says: &str) {
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Data, "{case}: the kind of `{text}`");
    assert!(!says.is_empty() && text.contains(says), "{case}: `{text}` does not say `{says}`");
    assert!(text.contains(name), "{case}: `{text}` does not name the file");
    assert!(error.advice().is_some(), "{case}: `{text}` has no hint");
}
