//! The MNIST family: other numbers than bytes, other names, other places, and what is malformed.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use elbo::config::{Config, DataConfig};
use elbo::data::formats::idx::read;
use elbo::data::{Opened, Sources};
use elbo::{Dataset, Error};
use flate2::{Compression, write::GzEncoder};
use tempfile::TempDir;

use super::{Corpus, NAME, assert_all_refused, bytes, floats};

/// An IDX file of values of this type.
fn idx(kind: u8, dims: &[u32], body: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, kind, dims.len() as u8];
    file.extend(dims.iter().flat_map(|dim| dim.to_be_bytes()));
    file.extend(body);
    file
}

fn counting(dims: &[u32]) -> Vec<u8> {
    let len: u32 = dims.iter().product();
    idx(8, dims, &(0..len).map(|i| (i % 251) as u8).collect::<Vec<_>>())
}

fn gz(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).expect("memory takes what is written");
    encoder.finish().expect("memory takes what is written")
}

fn read_default(path: &Path, file: &[u8]) -> elbo::Result<Dataset> {
    read(path, file, &DataConfig::default())?.by_file(path)
}

#[rustfmt::skip]
fn malformed() -> Corpus {
    let good = counting(&[2, 3, 4]);
    vec![
        ("empty", vec![], "holds 0 bytes, expected images with a header of 16"),
        ("three bytes", vec![0, 0, 8], "holds 3 bytes"),
        ("no dimensions", vec![0, 0, 8, 0], "bytes of 0 dimensions"),
        ("one dimension", counting(&[24]), "holds labels"),
        ("five dimensions", counting(&[1, 2, 3, 2, 2]), "bytes of 5 dimensions"),
        ("255 dimensions", [vec![0, 0, 8, 255], vec![1; 1020]].concat(), "bytes of 255 dimensions"),
        ("an unknown type", idx(10, &[2, 3, 4], &[0; 24]), "no IDX data (magic 0x00000a03)"),
        ("a type of 7", idx(7, &[2, 3, 4], &[0; 24]), "no IDX data"),
        ("no zeros", [&[1], &good[1..]].concat(), "no IDX data (magic 0x01000803)"),
        ("little endian", [vec![3, 8, 0, 0], good[4..].to_vec()].concat(), "no IDX data"),
        ("header cut", good[..14].to_vec(), "holds 14 bytes, expected images with a header of 16"),
        ("one byte short", good[..39].to_vec(), "expected 24 bytes after the header, found 23: 1 are missing"),
        ("half", good[..28].to_vec(), "found 12: 12 are missing"),
        ("one byte over", [good.as_slice(), &[0]].concat(), "found 25"),
        ("no images", counting(&[0, 3, 4]), "promises 0 images of 3 x 4"),
        ("no columns", counting(&[2, 3, 0]), "at least 1"),
        ("no channels", counting(&[2, 3, 4, 0]), "2 images of 3 x 4 x 0"),
        ("doubles cut", idx(14, &[2, 3, 4], &[0; 190]), "expected 192 bytes after the header, found 190"),
        ("shorts as bytes", idx(11, &[2, 3, 4], &[0; 24]), "expected 48 bytes after the header, found 24: 24 are missing"),
        ("a product that wraps", idx(14, &[1 << 31, 1 << 31, 1], &[0; 24]), "more than memory can hold"),
        ("all dimensions 2^32 - 1", idx(13, &[u32::MAX; 4], &[0; 24]), "more than memory can hold"),
        ("2^31 floats", idx(13, &[1 << 31, 1, 1], &[0; 24]), "expected 8589934592 bytes"),
        ("not finite", idx(13, &[1, 1, 1], &f32::NAN.to_be_bytes()), "finite"),
        ("no channels to be told", counting(&[2, 2, 2, 2]), "of which more than one axis, or none, can be the 1 to 4 channels"),
        ("gz: cut", { let mut file = gz(&counting(&[9, 30, 40])); file.truncate(file.len() / 2); file }, "of the 10800 bytes of 9 images of 30 x 40"),
        ("gz: of less", gz(&good[..39]), "found 23: 1 are missing"),
        ("gz: of more", gz(&[good.as_slice(), &[0]].concat()), "found more"),
        ("gz: in gz", gz(&gz(&good)), "no IDX data"),
        ("a page", b"<!DOCTYPE html><html>404</html>".to_vec(), "is a web page, not a file of images"),
        ("a page below spaces", b"\r\n  <HTML><body>".to_vec(), "is a web page"),
        ("text", b"label,pixel0\n5,0\n".to_vec(), "no IDX data"),
    ]
}

#[test]
fn malformed_files_are_refused() {
    assert_all_refused(&malformed(), read_default);
}

#[test]
fn numbers_of_every_type_are_read() {
    let path = Path::new(NAME);
    let with =
        |kind, body: &[u8]| read_default(path, &idx(kind, &[2, 1, 2], body)).expect("an IDX file");
    assert_eq!(with(8, &[1, 2, 3, 200]), bytes([1, 2], vec![1, 2, 3, 200]), "bytes");
    assert_eq!(with(9, &[1, 2, 255, 4]), floats([1, 2], vec![1.0, 2.0, -1.0, 4.0]), "signed bytes");
    let shorts: Vec<u8> = [1_i16, -300, 7, 255].iter().flat_map(|v| v.to_be_bytes()).collect();
    assert_eq!(with(11, &shorts), floats([1, 2], vec![1.0, -300.0, 7.0, 255.0]), "16 bits");
    let ints: Vec<u8> = [1_i32, 70_000, 7, 255].iter().flat_map(|v| v.to_be_bytes()).collect();
    assert_eq!(with(12, &ints), floats([1, 2], vec![1.0, 7e4, 7.0, 255.0]), "32 bits");
    let halves = [0.5_f32, -1.0, 2.0, 8.25];
    let singles: Vec<u8> = halves.iter().flat_map(|v| v.to_be_bytes()).collect();
    assert_eq!(with(13, &singles), floats([1, 2], halves.to_vec()), "floats");
    let doubles: Vec<u8> = halves.iter().flat_map(|v| f64::from(*v).to_be_bytes()).collect();
    assert_eq!(with(14, &doubles), floats([1, 2], halves.to_vec()), "doubles");
    // Four dimensions are colours, two are images and pixels.
    let colour = read_default(path, &counting(&[2, 5, 6, 3])).expect("colour");
    assert_eq!((colour.len(), colour.size()), (2, [5, 6, 3].into()), "colour");
    let flat = read_default(path, &counting(&[2, 9])).expect("rows");
    assert_eq!((flat.len(), flat.size()), (2, [3, 3].into()), "rows of nine");
    // The first dimension is that of the images, whatever the others are.
    let square = read_default(path, &counting(&[28, 28, 3])).expect("images");
    assert_eq!((square.len(), square.size()), (28, [28, 3].into()), "28 images");
}

struct Place(TempDir);

impl Place {
    fn new(files: &[(&str, Vec<u8>)]) -> Self {
        let place = Self(tempfile::tempdir().expect("a temporary folder"));
        files.iter().for_each(|(name, content)| drop(place.put(name, content)));
        place
    }

    fn put(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, content).expect("the temporary folder takes a file");
        path
    }

    fn open(&self, name: &str) -> elbo::Result<Opened> {
        let (data, config) = (self.0.path().join(name), Config::default());
        Sources::new(&data, &config).open()
    }
}

/// `count` images of 2 x 2 that count up from `first`.
fn images(count: u8, first: u8) -> Vec<u8> {
    idx(8, &[count.into(), 2, 2], &(0..4 * count).map(|i| 128 + first + i).collect::<Vec<_>>())
}

fn labels(classes: &[u8]) -> Vec<u8> {
    idx(8, &[classes.len() as u32], classes)
}

#[track_caller]
fn refused(opened: elbo::Result<Opened>, says: &[&str]) -> String {
    let error: Error = opened.map(|_| ()).expect_err(says[0]);
    let (text, advice) = (error.to_string(), error.advice().unwrap_or_default().to_owned());
    for says in says {
        assert!(
            text.contains(says) || advice.contains(says),
            "`{text}` / `{advice}` lacks `{says}`"
        );
    }
    assert!(!advice.is_empty(), "`{text}` has no hint");
    advice
}

#[test]
fn files_are_found_where_they_lie() {
    for (case, files) in [
        (
            "kaggle's folders beside",
            ["train-images.idx3-ubyte", "t10k-images.idx3-ubyte", "train-labels.idx1-ubyte"],
        ),
        (
            "kaggle's folders alone",
            [
                "train-images-idx3-ubyte/train-images-idx3-ubyte",
                "t10k-images-idx3-ubyte/t10k-images-idx3-ubyte",
                "train-labels-idx1-ubyte/train-labels-idx1-ubyte",
            ],
        ),
        (
            "torchvision",
            [
                "MNIST/raw/train-images-idx3-ubyte",
                "MNIST/raw/t10k-images-idx3-ubyte",
                "MNIST/raw/train-labels-idx1-ubyte",
            ],
        ),
        (
            "one below",
            [
                "raw/train-images-idx3-ubyte",
                "raw/t10k-images-idx3-ubyte",
                "raw/train-labels-idx1-ubyte",
            ],
        ),
        (
            "a prefix",
            [
                "kmnist-train-images-idx3-ubyte",
                "kmnist-test-images-idx3-ubyte",
                "kmnist-train-labels-idx1-ubyte",
            ],
        ),
    ] {
        let content = [images(3, 0), images(2, 50), labels(&[7, 8, 9])];
        let place = Place::new(&files.into_iter().zip(content).collect::<Vec<_>>());
        if case.ends_with("beside") {
            place.put("train-images-idx3-ubyte/other", b"x");
        }
        let opened = place.open("").expect(case);
        assert_eq!((opened.train.len(), opened.test.len()), (3, 2), "{case}");
        assert_eq!(opened.train.labels(), Some([7, 8, 9].as_slice()), "{case}: the classes");
    }
    let two = Place::new(&[
        ("a/train-images-idx3-ubyte", images(3, 0)),
        ("b/train-images-idx3-ubyte", images(3, 0)),
    ]);
    refused(two.open(""), &["holds IDX files in", "/a`", "/b`", "name one of them"]);
}

#[test]
fn files_of_several_families_are_told_apart() {
    let place = Place::new(&[
        ("emnist-letters-train-images-idx3-ubyte.gz", gz(&images(3, 0))),
        ("emnist-letters-train-labels-idx1-ubyte.gz", gz(&labels(&[1, 2, 3]))),
        ("emnist-letters-test-images-idx3-ubyte.gz", gz(&images(2, 60))),
        ("emnist-digits-train-images-idx3-ubyte.gz", gz(&images(4, 0))),
    ]);
    refused(
        place.open(""),
        &[
            "`emnist-digits`, `emnist-letters`",
            "emnist-digits-train-images-idx3-ubyte.gz",
            "found beside it",
        ],
    );
    let opened = place.open("emnist-letters-train-images-idx3-ubyte.gz").expect("letters");
    // Pixels lie column by column.
    let turned = |first: u8| [0, 2, 1, 3].map(|i| 128 + first + i);
    let expected = [turned(0), turned(4), turned(8)].concat();
    assert_eq!(
        opened.train.fingerprint().expect("a fingerprint"),
        bytes([2, 2], expected).fingerprint().expect("a fingerprint"),
        "upright"
    );
    assert_eq!(opened.train.labels(), Some([1, 2, 3].as_slice()), "the classes beside them");
    let test = [turned(60), turned(64)].concat();
    assert_eq!(
        opened.test.fingerprint().expect("a fingerprint"),
        bytes([2, 2], test).fingerprint().expect("a fingerprint"),
        "the test images beside them"
    );
    let said = opened.said.join("\n");
    assert!(
        said.contains("turned upright") && said.contains("emnist-letters-test-images"),
        "{said}"
    );
    // Runs that began before read what they read.
    let data = place.0.path().join("emnist-letters-train-images-idx3-ubyte.gz");
    let before = Config { data: DataConfig::before(), ..Config::default() };
    let read = Sources { test: Some(&data), ..Sources::new(&data, &before) }.open();
    let train = read.expect("letters").train;
    assert_eq!(
        train.fingerprint().expect("a fingerprint"),
        bytes([2, 2], (128..140).collect()).fingerprint().expect("a fingerprint"),
        "as they lie"
    );
    assert_eq!(train.labels(), None, "no classes");
    // MNIST's own names come first.
    place.put("train-images-idx3-ubyte", &images(5, 0));
    place.put("t10k-images-idx3-ubyte", &images(1, 0));
    let opened = place.open("").expect("MNIST's own");
    assert_eq!(opened.train.len(), 5, "MNIST's own names");
    assert!(opened.said.iter().any(|said| said.contains("`emnist-letters`")), "{:?}", opened.said);
}

/// EMNIST publishes beside its files which character each class is.
#[test]
fn classes_have_the_names_of_characters() {
    let letters = |train: &[u8]| {
        Place::new(&[
            ("emnist-letters-train-images-idx3-ubyte", images(train.len() as u8, 0)),
            ("emnist-letters-train-labels-idx1-ubyte", labels(train)),
            ("emnist-letters-test-images-idx3-ubyte", images(2, 60)),
            ("emnist-letters-test-labels-idx1-ubyte", labels(&[2, 1])),
            // Both letters are one class, and the classes begin at 1.
            ("emnist-letters-mapping.txt", b"1 65 97\r\n2 66 98\r\n3 67 99\r\n".to_vec()),
        ])
    };
    let named = ["class 0", "Aa", "Bb", "Cc"].map(str::to_owned);
    let place = letters(&[3, 1, 2]);
    for path in ["", "emnist-letters-train-images-idx3-ubyte"] {
        let opened = place.open(path).expect("letters");
        for (data, values) in [(&opened.train, [3, 1, 2].as_slice()), (&opened.test, &[2, 1])] {
            assert_eq!(data.labels(), Some(values), "{path}: numbers stay");
            assert_eq!(data.class_names(), Some(named.as_slice()), "{path}: names");
        }
    }
    // What is no such list, or another's, refuses no images.
    let (path, list) = ("emnist-letters-mapping.txt", b"1 65 97\n2 66 98\n".as_slice());
    for (list, says) in [
        (list, "no line for the class 3"),
        (b"", "no line for the class 1"),
        (b"1 65\n2 B\n3 67", "line 2: expected the number of a class"),
        (b"\xff", "line 1: expected"),
    ] {
        place.put(path, list);
        let opened = place.open("").expect(says);
        assert_eq!(opened.train.class_names(), None, "{says}");
        let said = opened.said.join("\n");
        assert!(said.contains("classes keep their numbers") && said.contains(says), "{said}");
    }
    // The list of another family is not this one's.
    place.put("emnist-digits-mapping.txt", b"1 49\n2 50\n3 51");
    fs::remove_file(place.0.path().join(path)).expect("the list");
    let opened = place.open("").expect("letters");
    assert_eq!(opened.train.class_names(), None, "another family's");
}

#[test]
fn labels_are_read_or_their_fault_is_kept() {
    // QMNIST has eight columns of 32 bits.
    let row = |digit: u32| {
        [digit, 9, 9, 9, 9, 9, 9, 9].into_iter().flat_map(u32::to_be_bytes).collect::<Vec<_>>()
    };
    let eight = idx(12, &[3, 8], &[row(4), row(0), row(7)].concat());
    let place = Place::new(&[
        ("qmnist-train-images-idx3-ubyte", images(3, 0)),
        ("qmnist-train-labels-idx2-int", eight.clone()),
        ("qmnist-test-images-idx3-ubyte", images(1, 0)),
        ("one-images-idx3-ubyte", images(20, 0)),
        ("one-labels-idx1-ubyte", labels(&[1; 20])),
    ]);
    let opened = place.open("qmnist-train-images-idx3-ubyte").expect("QMNIST");
    assert_eq!(opened.train.labels(), Some([4, 0, 7].as_slice()), "the first column");
    let one = place.open("one-images-idx3-ubyte").expect("images");
    assert_eq!(one.train.labels().map(<[u8]>::len), Some(18), "beside a file of another name");
    for (content, says) in [
        (labels(&[1, 2]), "there are 2 labels for 3 images"),
        (images(3, 0), "holds images"),
        (b"<html>".to_vec(), "web page"),
        (Vec::new(), "holds 0 bytes"),
        (eight[..40].to_vec(), "are missing"),
    ] {
        place.put("qmnist-train-labels-idx2-int", &content);
        let train = place.open("qmnist-train-images-idx3-ubyte").expect(says).train;
        let fault = train.label_fault().unwrap_or_default();
        assert!(train.labels().is_none() && fault.contains(says), "`{fault}` lacks `{says}`");
    }
}

#[test]
fn a_zip_of_files_is_read_in_memory() {
    let zip = |members: &[(&str, Vec<u8>)]| {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in members {
            let options = zip::write::SimpleFileOptions::default();
            writer.start_file(*name, options).expect("a member");
            writer.write_all(content).expect("memory takes what is written");
        }
        writer.finish().expect("an archive").into_inner()
    };
    let good = zip(&[
        ("raw/train-images.idx3-ubyte", images(3, 0)),
        ("raw/t10k-images.idx3-ubyte.gz", gz(&images(2, 40))),
        ("raw/train-labels.idx1-ubyte", labels(&[3, 2, 1])),
    ]);
    let balanced = zip(&[
        ("gzip/emnist-balanced-mapping.txt", b"0 48\n1 49\n10 65".to_vec()),
        ("gzip/emnist-balanced-train-images-idx3-ubyte.gz", gz(&images(20, 0))),
        ("gzip/emnist-balanced-train-labels-idx1-ubyte.gz", gz(&labels(&[10, 1].repeat(10)))),
    ]);
    let place = Place::new(&[
        ("good.zip", good),
        ("balanced.zip", balanced),
        ("pictures.zip", zip(&[("a/b.png", vec![1]), ("a/c.png", vec![2])])),
        ("x.zip", zip(&[("archive/data.pkl", vec![1])])),
        ("test.zip", zip(&[("t10k-images-idx3-ubyte", images(2, 0))])),
    ]);
    let opened = place.open("good.zip").expect("a zip");
    assert_eq!((opened.train.len(), opened.test.len()), (3, 2), "two sets");
    assert_eq!(opened.train.labels(), Some([3, 2, 1].as_slice()), "the classes");
    let balanced = place.open("balanced.zip").expect("a family in a zip").train;
    assert_eq!(balanced.class_names().expect("names")[10], "A", "the list in the zip");
    refused(place.open("pictures.zip"), &["is a zip of 2 files, such as `a/", "unzip "]);
    refused(place.open("x.zip"), &["is a file of PyTorch", "torch.load"]);
    refused(place.open("test.zip"), &["train-images-idx3-ubyte"]);
}
