//! What a file is told to be, and the way on from what is not read.

use std::fs;
use std::path::Path;

use elbo::config::Config;
use elbo::data::Sources;
use elbo::{Error, ErrorKind};

use super::fixture;

fn open(data: &Path) -> elbo::Result<elbo::data::Opened> {
    let config = Config::default();
    Sources::new(data, &config).open()
}

#[test]
fn what_is_not_read_is_named_with_a_way_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let record = [&[5, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, b'\n'], [0; 30].as_slice()].concat();
    let matlab = [b"MATLAB 7.3 MAT-file, Platform: GLNXA64".as_slice(), &[b' '; 90]].concat();
    let old = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    for (name, content, says, hint) in [
        ("x.h5", b"\x89HDF\r\n\x1a\n\0\0\0".to_vec(), "is HDF5", "h5py.File("),
        ("x.mat", matlab, "MATLAB file of version 7.3, which is HDF5", "f[k][()].T"),
        ("x.pt", b"PK\x03\x04\0\0\0\0\0\0\0\0".to_vec(), "is a file of PyTorch", "torch.load("),
        ("weights", old, "is a file of PyTorch", "torch.load("),
        ("x.7z", b"7z\xbc\xaf\x27\x1c....".to_vec(), "is a 7z archive", "7z x "),
        ("x.rar", b"Rar!\x1a\x07\x01\0".to_vec(), "is a RAR archive", "unrar x "),
        ("x.xz", b"\xfd7zXZ\0...".to_vec(), "is packed by xz", "xz -dk "),
        ("x.zst", b"\x28\xb5\x2f\xfd...".to_vec(), "is packed by zstd", "zstd -d "),
        ("x.bz2", b"BZh91AY...".to_vec(), "is packed by bzip2", "bunzip2 -k "),
        ("x.jpg", b"\xff\xd8\xff\xe0..JFIF".to_vec(), "is one JPEG", "folder of pictures"),
        ("x.gif", b"GIF89a....".to_vec(), "is one GIF", "folder of pictures"),
        ("x.tif", b"II*\0....".to_vec(), "is one TIFF", "folder of pictures"),
        ("x.json", b"{\"a\": 1}".to_vec(), "is JSON", "json.load("),
        ("data", b" [[0, 1], [2, 3]]".to_vec(), "is JSON", "json.load("),
        ("train.tfrecord", record.clone(), "is a TFRecord", "TensorFlow"),
        ("shard", record, "is a TFRecord", "TensorFlow"),
        ("x.raw", vec![0; 784], "perhaps bare bytes", "numpy.fromfile("),
        ("x.raw", vec![0x90; 784], "perhaps bare bytes", "reshape(-1, 28, 28)"),
        ("page.npz", b"<!doctype html><title>404".to_vec(), "is a web page", "fetch it again"),
        ("x.csv.gz", b"<html>".to_vec(), "is a web page, not a gz file", "fetch it again"),
        ("x.npy", Vec::new(), "is empty", "give a folder"),
        ("words.txt", b"some words\n".to_vec(), "holds no line of numbers", "an image a line"),
        ("a name 'b'.h5", b"\x89HDF\r\n\x1a\n\0\0\0".to_vec(), "is HDF5", "h5py.File('FILE')"),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("a file");
        let error: Error = open(&path).map(|_| ()).expect_err(name);
        let (text, advice) = (error.to_string(), error.advice().unwrap_or_default());
        assert_eq!(error.kind(), ErrorKind::Data, "{name}: the kind of `{text}`");
        assert!(text.contains(says) && text.contains(name), "{name}: `{text}` lacks `{says}`");
        assert!(advice.contains(hint), "{name}: `{advice}` lacks `{hint}`");
    }
}

#[test]
fn a_folder_of_other_files_says_what_it_holds() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["b.npz", "a.txt", "c.csv", "d.md", "e.md", "f.md", ".hidden"] {
        fs::write(folder.path().join(name), b"x").expect("a file");
    }
    let error = open(folder.path()).map(|_| ()).expect_err("no images");
    let text = error.to_string();
    assert!(text.contains("holds `a.txt`, `b.npz`, `c.csv`, `d.md` and 2 more files"), "{text}");
    assert!(error.advice().is_some_and(|advice| advice.contains("a.txt`")), "{error}");
}

#[test]
fn a_gz_of_any_kind_is_read() {
    use std::io::Write;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_, array) = fixture("u1.npy");
    for (name, content) in [("x.npy.gz", array), ("x.pkl.gz", fixture("others/array.pkl").1)] {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gz.write_all(&content).expect("memory takes what is written");
        let path = folder.path().join(name);
        fs::write(&path, gz.finish().expect("an end")).expect("a file");
        let config = Config::default();
        let opened = Sources { test: Some(&path), ..Sources::new(&path, &config) }.open();
        assert_eq!(opened.expect(name).train.len(), 3, "{name}");
    }
}
