//! How a path decides what is read, and how images are divided.

use std::fs;
use std::path::{Path, PathBuf};

use elbo::{Dataset, Error, ErrorKind};
use tempfile::TempDir;

use super::{bytes, fixture, images, labelled, open};

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn put(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, content).expect("the temporary folder takes a file");
        path
    }
}

/// An IDX file of `count` images of 1 x 1 that count up from `first`.
fn idx(count: u8, first: u8) -> Vec<u8> {
    let header = [0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 1, 0, 0, 0, 1];
    header.into_iter().chain((0..count).map(|i| first + i)).collect()
}

fn png(values: [u8; 2]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 2, 1);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&values).expect("a picture");
    writer.finish().expect("an end");
    file
}

fn column(values: &[u8]) -> Dataset {
    bytes([1, 1], values.to_vec())
}

#[track_caller]
fn refused(data: &Path, test: Option<&Path>, kind: ErrorKind, says: &str) {
    let error: Error = open(data, test).expect_err(says);
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "the kind of `{text}`");
    assert!(text.contains(says), "`{text}` does not say `{says}`");
    assert!(error.advice().is_some(), "`{text}` has no hint");
}

#[test]
fn every_tenth_image_is_a_test_image() {
    let folder = Folder::new();
    let lines: String = (0..25).map(|i| format!("{}\n", 100 + i)).collect();
    let (train, test) = open(&folder.put("x.csv", lines.as_bytes()), None).expect("a CSV");
    assert_eq!(test, column(&[109, 119]), "the 10th and the 20th");
    let others: Vec<u8> = (100..125).filter(|v| ![109, 119].contains(v)).collect();
    assert_eq!(train, column(&others), "the others");
    let halves: String = (0..10).map(|i| format!("{}.5\n", 100 + i)).collect();
    let (train, test) = open(&folder.put("x.csv", halves.as_bytes()), None).expect("floats");
    assert_eq!(
        (train.len(), test.len(), test.range().expect("a range")),
        (9, 1, (109.5, 109.5)),
        "floats"
    );
    refused(&folder.put("9", &idx(9, 1)), None, ErrorKind::Data, "9 images cannot be divided");
}

#[test]
fn test_images_of_their_own_are_taken() {
    let folder = Folder::new();
    let (data, tests) = (folder.put("data", &idx(3, 1)), folder.put("tests", &idx(2, 7)));
    let (train, test) = open(&data, Some(&tests)).expect("two files");
    assert_eq!((train, test), (column(&[1, 2, 3]), column(&[7, 8])), "two IDX files");
    // Of what is divided, the training images of one and the test images of the other.
    let both = fixture("keras.npz").0;
    let (train, test) = open(&both, Some(&fixture("packed.npz").0)).expect("two archives");
    assert_eq!((train.len(), test.len()), (3, 2), "two archives");
    let (train, test) = open(&both, Some(&fixture("u1.npy").0)).expect("two kinds");
    assert_eq!(
        train.fingerprint().expect("a fingerprint"),
        test.fingerprint().expect("a fingerprint"),
        "an archive and an array"
    );
    assert_eq!((train.labels(), test.labels()), (Some([0, 1, 2].as_slice()), None), "labels");
    refused(&both, Some(&data), ErrorKind::Data, "its test images are of 1 × 1, expected 2 × 4");
    refused(&both, Some(&folder.0.path().join("none")), ErrorKind::Io, "none");
}

#[test]
fn the_content_decides() {
    let folder = Folder::new();
    let array = fixture("keras.npz").1;
    for name in ["x.npz", "x.csv", "x", "x.png"] {
        let (train, test) = open(&folder.put(name, &array), None).expect(name);
        let expected = labelled(bytes([2, 4], images()), &[0, 1, 2]);
        assert_eq!(train, expected, "the training images of {name}");
        assert_eq!(test.len(), 2, "the test images of {name}");
    }
    let many = idx(20, 0);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gz, &many).expect("memory takes what is written");
    for (name, content) in [("x.csv", many), ("y.csv", gz.finish().expect("an end"))] {
        let (train, test) = open(&folder.put(name, &content), None).expect(name);
        assert_eq!((train.len(), test), (18, column(&[9, 19])), "{name}");
    }
    for (name, content, says) in [
        ("empty", b"".as_slice(), "is empty; expected images"),
        ("text", b"1,2,3\n", "starts with \"1,2,3\\n\", as no kind that is read"),
        ("one.png", &png([1, 2]), "is one PNG; expected images"),
        ("x.npy", b"\x93NUMPY\x09\0", "version [9, 0]"),
        ("x.npz", b"PK\x03\x04....", "cannot be read as an archive"),
        ("x.csv", b"1,2\nx,y\n", "line 2, column 1 is `x`, no number"),
        ("x.gz", b"\x1f\x8b\x08", "gzip data end too early"),
    ] {
        refused(&folder.put(name, content), None, ErrorKind::Data, says);
    }
}

#[test]
fn folders_are_told_by_their_entries() {
    let folder = Folder::new();
    let path = folder.0.path();
    refused(path, None, ErrorKind::Io, "cannot find IDX files or pictures in");
    for i in 0..10 {
        folder.put(&format!("{i}.png"), &png([i, i + 1]));
    }
    let (train, test) = open(path, None).expect("ten pictures");
    assert_eq!((train.len(), test), (9, bytes([1, 2], vec![9, 10])), "pictures");
    folder.put("train/0.png", &png([50, 51]));
    let (train, _) = open(path, None).expect("still those of the folder itself");
    assert_eq!(train.len(), 9, "`train` alone");
    folder.put("test/cats/0.png", &png([60, 61]));
    let (train, test) = open(path, None).expect("two folders");
    assert_eq!(train, bytes([1, 2], vec![50, 51]), "the training pictures");
    let pictures = bytes([1, 2], vec![60, 61]);
    assert_eq!(
        test.fingerprint().expect("a fingerprint"),
        pictures.fingerprint().expect("a fingerprint"),
        "the test pictures"
    );
    // IDX files come first; those to train may be alone, those to test may not.
    folder.put("t10k-images-idx3-ubyte", &idx(2, 7));
    refused(path, None, ErrorKind::Io, "cannot find `train-images-idx3-ubyte`");
    folder.put("train-images-idx3-ubyte", &idx(3, 1));
    let (train, test) = open(path, None).expect("IDX files");
    assert_eq!((train, test), (column(&[1, 2, 3]), column(&[7, 8])), "IDX files");
}

#[test]
fn labels_stay_with_their_images() {
    let folder = Folder::new();
    let lines: String = (0..25).map(|i| format!("{},{}\n", 200 + i, 100 + i)).collect();
    let file = folder.put("x.csv", format!("label,pixel\n{lines}").as_bytes());
    let (train, test) = open(&file, None).expect("a CSV");
    assert_eq!(test, labelled(column(&[109, 119]), &[209, 219]), "the 10th and the 20th");
    let of = |first: u8| (first..first + 25).filter(move |i| ![9, 19].contains(&(i - first)));
    let others: (Vec<u8>, Vec<u8>) = of(100).zip(of(200)).unzip();
    assert_eq!(train, labelled(column(&others.0), &others.1), "the others");
    let few = labelled(column(&[100, 101, 102]), &[200, 201, 202]);
    assert_eq!(train.clone().limited(3), few, "the first three");
    // They are not trained on.
    assert_eq!(
        train.fingerprint().expect("a fingerprint"),
        column(&others.0).fingerprint().expect("a fingerprint"),
        "the fingerprint"
    );
    let error = column(&[1, 2]).with_labels(vec![1]).expect_err("one label");
    assert!(error.to_string().contains("1 labels for 2 images, expected 2"), "{error}");
    assert!(error.advice().is_some(), "`{error}` has no hint");
}

#[test]
fn classes_have_the_same_number_in_both_sets() {
    let folder = Folder::new();
    for name in ["train/bird/0", "train/cat/0", "train/dog/0", "test/ant/0", "test/cat/0"] {
        folder.put(&format!("{name}.png"), &png([1, 2]));
    }
    folder.put("test/dog/0.png", &png([3, 4]));
    let (train, test) = open(folder.0.path(), None).expect("two folders");
    assert_eq!(train.labels(), Some([0, 1, 2].as_slice()), "bird, cat, dog");
    // The ant that training does not know comes behind.
    assert_eq!(test.labels(), Some([3, 1, 2].as_slice()), "ant, cat, dog");
    let names = ["bird", "cat", "dog", "ant"].map(str::to_owned);
    assert_eq!(test.class_names(), Some(names.as_slice()), "the names");
    assert_eq!(train.class_names(), Some(&names[..3]), "the names to train");
}

#[test]
fn labels_beside_idx_files_are_read() {
    let folder = Folder::new();
    let labels = |values: &[u8]| [&[0, 0, 8, 1, 0, 0, 0, values.len() as u8], values].concat();
    folder.put("train-images-idx3-ubyte", &idx(3, 1));
    folder.put("t10k-images-idx3-ubyte", &idx(2, 7));
    let open = || open(folder.0.path(), None);
    folder.put("train-labels-idx1-ubyte", &labels(&[4, 5, 255]));
    let (train, test) = open().expect("labels to train");
    let expected = labelled(column(&[1, 2, 3]), &[4, 5, 255]);
    assert_eq!((train, test.labels()), (expected, None), "labels to train alone");
    folder.put("t10k-labels.idx1-ubyte", &labels(&[6, 9]));
    assert_eq!(open().expect("both").1, labelled(column(&[7, 8]), &[6, 9]), "test labels");
    for (content, says) in [
        (labels(&[1, 2, 3]), "there are 3 labels for 2 images"),
        (idx(2, 7), "holds images"),
        (Vec::new(), "holds 0 bytes"),
    ] {
        // Nobody asked for them, so the images are read, and the fault is kept.
        folder.put("t10k-labels.idx1-ubyte", &content);
        let (_, test) = open().expect(says);
        let fault = test.label_fault().unwrap_or_default();
        assert!(test.labels().is_none() && fault.contains(says), "`{fault}` lacks `{says}`");
    }
}
