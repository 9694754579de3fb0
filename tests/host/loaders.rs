//! What the loaders make of good files, hostile files and the real MNIST; and grids as pictures.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use elbo::data::formats::idx::{Folder, Images, read_folder, read_images, read_labels};
use elbo::{Error, ErrorKind};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use tempfile::TempDir;

const IMAGES: u32 = 0x0803;
const LABELS: u32 = 0x0801;
/// The bytes of the header of a file of images.
const HEADER: usize = 16;

/// An IDX file: a magic, the dimensions and `body` bytes that count up.
fn idx(magic: u32, dims: &[u32], body: usize) -> Vec<u8> {
    let words = std::iter::once(magic).chain(dims.iter().copied());
    words.flat_map(u32::to_be_bytes).chain((0..body).map(|i| i as u8)).collect()
}

/// Two images of 3 x 4.
fn good() -> Vec<u8> {
    idx(IMAGES, &[2, 3, 4], 24)
}

fn gz(content: &[u8]) -> Vec<u8> {
    pack(content, Compression::default())
}

fn pack(content: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(content).expect("memory takes what is written");
    encoder.finish().expect("memory takes what is written")
}

fn gz_cut(content: &[u8], from_end: usize) -> Vec<u8> {
    let mut file = gz(content);
    file.truncate(file.len() - from_end);
    file
}

/// A gzip file with one of the last 8 bytes (checksum, then length) wrong.
fn gz_bad(content: &[u8], from_end: usize) -> Vec<u8> {
    let mut file = gz(content);
    let at = file.len() - from_end;
    file[at] ^= 0x55;
    file
}

fn join(first: &[u8], second: &[u8]) -> Vec<u8> {
    [first, second].concat()
}

fn put(dir: &TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, content).expect("the temporary folder takes a file");
    path
}

fn temp() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Each refusal has the right kind, names the file, says `says`, and hints at what to do.
fn assert_refused(case: &str, error: &Error, path: &Path, kind: ErrorKind, says: &str) {
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{case}: the kind of `{text}`");
    assert!(text.contains(says), "{case}: `{text}` does not say `{says}`");
    let name = path.to_str().expect("temporary names are Unicode");
    assert!(text.contains(name), "{case}: `{text}` does not name the file");
    assert!(error.advice().is_some(), "{case}: `{text}` has no hint");
}

/// Malformed files of images, with what their refusal must say.
#[rustfmt::skip]
fn malformed_plain() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let huge = u32::MAX;
    vec![
        ("empty", vec![], "holds 0 bytes, expected images with a header of 16"),
        ("three bytes", vec![0, 0, 8], "holds 3 bytes"),
        ("magic alone", idx(IMAGES, &[], 0), "holds 4 bytes"),
        ("header cut", idx(IMAGES, &[2, 3], 3), "holds 15 bytes"),
        ("wrong magic", idx(0xdead_beef, &[2, 3, 4], 24), "no IDX data (magic 0xdeadbeef), expected images (magic 0x00000803)"),
        ("little endian", idx(IMAGES.swap_bytes(), &[2, 3, 4], 24), "no IDX data (magic 0x03080000)"),
        ("labels", idx(LABELS, &[24], 24), "holds labels (magic 0x00000801), expected images (magic 0x00000803)"),
        ("labels, few", idx(LABELS, &[1], 1), "holds labels"),
        ("signed bytes", idx(0x0903, &[2, 3, 4], 24), "signed bytes of 3 dimensions"),
        ("16-bit integers", idx(0x0b03, &[2, 3, 4], 48), "16-bit integers of 3 dimensions"),
        ("32-bit integers", idx(0x0c03, &[2, 3, 4], 96), "32-bit integers"),
        ("floats", idx(0x0d03, &[2, 3, 4], 96), "32-bit floats of 3 dimensions (magic 0x00000d03)"),
        ("doubles", idx(0x0e03, &[2, 3, 4], 192), "64-bit floats"),
        ("unknown type", idx(0x0703, &[2, 3, 4], 24), "no IDX data"),
        ("high bytes set", idx(0x0100_0803, &[2, 3, 4], 24), "no IDX data"),
        ("two dimensions", idx(0x0802, &[2, 12], 24), "bytes of 2 dimensions"),
        ("four dimensions", idx(0x0804, &[2, 3, 4, 1], 24), "bytes of 4 dimensions"),
        ("header alone", idx(IMAGES, &[2, 3, 4], 0), "expected 24 bytes after the header, found 0"),
        ("one byte short", idx(IMAGES, &[2, 3, 4], 23), "2 images of 3 x 4, expected 24 bytes after the header, found 23"),
        ("one byte over", idx(IMAGES, &[2, 3, 4], 25), "expected 24 bytes after the header, found 25"),
        ("2^31 rows", idx(IMAGES, &[2, 1 << 31, 28], 24), "2 images of 2147483648 x 28, expected 120259084288 bytes"),
        ("2^31 images", idx(IMAGES, &[1 << 31, 28, 28], 24), "expected 1683627180032 bytes"),
        ("all dimensions 2^32 - 1", idx(IMAGES, &[huge; 3], 24), "more than memory can hold"),
        ("product wraps to 24", idx(IMAGES, &[1 << 31, 1 << 31, 24], 24), "more than memory can hold"),
        ("product wraps to 0", idx(IMAGES, &[1 << 31, 1 << 31, 4], 0), "more than memory can hold"),
        ("no images", idx(IMAGES, &[0, 3, 4], 0), "promises 0 images of 3 x 4, expected at least 1"),
        ("no height", idx(IMAGES, &[2, 0, 4], 0), "2 images of 0 x 4, expected at least 1"),
        ("no width", idx(IMAGES, &[2, 3, 0], 0), "2 images of 3 x 0, expected at least 1"),
        ("no width, huge rest", idx(IMAGES, &[huge, huge, 0], 24), "expected at least 1"),
        ("text", b"label,pixel0,pixel1\n5,0,0\n".to_vec(), "no IDX data (magic 0x6c616265)"),
        ("a PNG", b"\x89PNG\r\n\x1a\n and so on and on".to_vec(), "no IDX data (magic 0x89504e47)"),
        ("a zip", b"PK\x03\x04 and so on and on".to_vec(), "no IDX data (magic 0x504b0304)"),
    ]
}

/// Malformed gzip files of images, with what their refusal must say.
#[rustfmt::skip]
fn malformed_gzip() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let content = good();
    let noise: Vec<u8> = (0..4000_u32).flat_map(|i| i.wrapping_mul(0x9e37_79b9).to_be_bytes()).collect();
    let bomb = join(&content, &vec![0; 10_000_000]);
    let cut = "its gzip data end too early";
    vec![
        ("gz: two bytes", vec![0x1f, 0x8b], cut),
        ("gz: header alone", gz(&content)[..10].to_vec(), cut),
        ("gz: header cut", gz(&content)[..7].to_vec(), cut),
        ("gz: wrong method", join(&[0x1f, 0x8b, 7], &[0; 30]), "damaged gzip data"),
        ("gz: noise", join(&gz(&content)[..10], &[0xff; 30]), "damaged gzip data"),
        ("gz: of nothing", gz(&[]), "holds 0 bytes"),
        ("gz: of a cut header", gz(&content[..15]), "holds 15 bytes"),
        ("gz: cut in the middle", gz_cut(&join(&idx(IMAGES, &[1, 160, 100], 0), &noise), 9000), cut),
        ("gz: cut before the trailer", gz_cut(&content, 8), cut),
        ("gz: cut in the checksum", gz_cut(&content, 6), cut),
        ("gz: cut in the length", gz_cut(&content, 1), cut),
        ("gz: wrong checksum", gz_bad(&content, 8), "damaged gzip data"),
        ("gz: wrong length", gz_bad(&content, 4), "damaged gzip data"),
        ("gz: of a short file", gz(&content[..39]), "2 images of 3 x 4, expected 24 bytes after the header, found 23"),
        ("gz: of a long file", gz(&join(&content, &[0])), "expected 24 bytes after the header, found more"),
        ("gz: second member", join(&gz(&content), &gz(&[7])), "found more"),
        ("gz: second file", join(&gz(&content), &gz(&content)), "found more"),
        ("gz: second member cut", join(&gz(&content), &gz(&[])[..12]), cut),
        ("gz: text behind", join(&gz(&content), b"and so on and on"), "damaged gzip data"),
        ("gz: less than a header behind", join(&gz(&content), b"end"), cut),
        ("gz: zeros behind", join(&gz(&content), &[0; 512]), "damaged gzip data"),
        // Its end is missing, which must not be noticed: nothing beyond the promise is unpacked.
        ("gz: bomb", gz_cut(&bomb, 20), "expected 24 bytes after the header, found more"),
        ("gz: in gz", gz(&gz(&content)), "no IDX data (magic 0x1f8b"),
        ("gz: labels", gz(&idx(LABELS, &[24], 24)), "holds labels"),
        ("gz: no images", gz(&idx(IMAGES, &[0, 28, 28], 0)), "expected at least 1"),
        ("gz: 2^31 rows", gz(&idx(IMAGES, &[2, 1 << 31, 28], 24)), "compressed bytes are to unpack to"),
        ("gz: all dimensions 2^32 - 1", gz(&idx(IMAGES, &[u32::MAX; 3], 24)), "more than memory can hold"),
        ("gz: product wraps to 24", gz(&idx(IMAGES, &[1 << 31, 1 << 31, 24], 24)), "more than memory can hold"),
    ]
}

/// Every malformed file is wrong content, under whatever name.
#[test]
fn malformed_images_are_refused() {
    let dir = temp();
    for (case, content, says) in malformed_plain().into_iter().chain(malformed_gzip()) {
        for name in ["file", "file.gz"] {
            let path = put(&dir, name, &content);
            let error = read_images(&path).expect_err(case);
            assert_refused(case, &error, &path, ErrorKind::Data, says);
        }
    }
}

#[test]
#[rustfmt::skip]
fn malformed_labels_are_refused() {
    let dir = temp();
    let cases = [
        ("empty", vec![], "holds 0 bytes, expected labels with a header of 8"),
        ("images", good(), "holds images (magic 0x00000803), expected labels (magic 0x00000801)"),
        ("images, gz", gz(&good()), "holds images"),
        ("no labels", idx(LABELS, &[0], 0), "promises 0 labels, expected at least 1"),
        ("one short", idx(LABELS, &[5], 4), "5 labels, expected 5 bytes after the header, found 4"),
        ("one over", idx(LABELS, &[5], 6), "expected 5 bytes after the header, found 6"),
        ("2^32 - 1", idx(LABELS, &[u32::MAX], 5), "expected 4294967295 bytes"),
        ("2^32 - 1, gz", gz(&idx(LABELS, &[u32::MAX], 5)), "compressed bytes are to unpack to"),
        ("one over, gz", gz(&idx(LABELS, &[5], 6)), "found more"),
    ];
    for (case, content, says) in cases {
        let path = put(&dir, "labels", &content);
        let error = read_labels(&path).expect_err(case);
        assert_refused(case, &error, &path, ErrorKind::Data, says);
    }
}

#[test]
fn what_is_no_file_is_refused_by_the_system() {
    let dir = temp();
    let missing = dir.path().join("missing");
    let below = put(&dir, "file", &good()).join("below");
    let folder = dir.path().to_owned();
    let mut cases = vec![("missing", missing), ("a folder", folder), ("below a file", below)];
    if cfg!(unix) {
        cases.push(("a device", PathBuf::from("/dev/zero")));
    }
    for (case, path) in cases {
        let error = read_images(&path).expect_err(case);
        assert_refused(case, &error, &path, ErrorKind::Io, "cannot read");
        assert_eq!(error.kind().exit_code(), 74, "{case}: the exit code");
    }
}

/// A header may promise, within what is believed of 9 MB, 2 GiB; only what arrives is allocated.
#[test]
#[cfg(target_os = "linux")]
fn a_broken_promise_allocates_nothing() {
    fn peak() -> u64 {
        let status = fs::read_to_string("/proc/self/status").expect("the kernel's own words");
        let line = status.lines().find(|line| line.starts_with("VmPeak:")).expect("a peak");
        let digits: String = line.chars().filter(char::is_ascii_digit).collect();
        digits.parse::<u64>().expect("a number of KiB") / 1024
    }
    let dir = temp();
    // Stored, not compressed: 9 MB on the disk, which could as well be 9 GB.
    let content = idx(IMAGES, &[1 << 11, 1 << 10, 1 << 10], 9 << 20);
    let path = put(&dir, "promise.gz", &pack(&content, Compression::none()));
    let before = peak();
    let error = read_images(&path).expect_err("less than was promised");
    let grown = peak() - before;
    assert!(grown < 512, "the peak of virtual memory grew by {grown} MiB");
    assert_refused("promise", &error, &path, ErrorKind::Data, "found 9437184");
}

#[test]
fn good_files_are_read_whatever_their_name() {
    let dir = temp();
    let pixels: Vec<u8> = (0..24).collect();
    let expected = Images { count: 2, height: 3, width: 4, pixels };
    let whole = good();
    let (first, second) = whole.split_at(20);
    let cases = [
        ("plain", good()),
        ("plain.gz", good()),
        ("packed", gz(&good())),
        ("packed.gz", gz(&good())),
        ("stored.gz", pack(&good(), Compression::none())),
        // One gzip file may have several members, wherever they meet.
        ("members.gz", join(&gz(first), &gz(second))),
        ("empty member.gz", join(&gz(&good()), &gz(&[]))),
    ];
    for (name, content) in cases {
        let images = read_images(&put(&dir, name, &content)).expect(name);
        assert_eq!(images, expected, "{name}");
    }
    for content in [idx(LABELS, &[3], 3), gz(&idx(LABELS, &[3], 3))] {
        let labels = read_labels(&put(&dir, "labels", &content)).expect("three labels");
        assert_eq!(labels, [0, 1, 2], "three labels");
    }
}

#[test]
fn folders_are_read_under_either_name() {
    for (train, test) in [
        ("train-images-idx3-ubyte", "t10k-images.idx3-ubyte.gz"),
        ("train-images.idx3-ubyte", "t10k-images-idx3-ubyte.gz"),
    ] {
        let dir = temp();
        put(&dir, train, &good());
        put(&dir, test, &gz(&idx(IMAGES, &[1, 3, 4], 12)));
        let folder = read_folder(dir.path()).expect(train);
        assert_eq!((folder.train.count, folder.test.count), (2, 1), "{train} and {test}");
        // A plain file comes before a packed one.
        put(&dir, "t10k-images-idx3-ubyte", &idx(IMAGES, &[5, 3, 4], 60));
        let folder = read_folder(dir.path()).expect(train);
        assert_eq!(folder.test.count, 5, "the plain file beside {test}");
    }
}

#[test]
fn wrong_folders_are_refused() {
    let dir = temp();
    let missing = dir.path().join("missing");
    let error = read_folder(&missing).expect_err("no folder");
    assert_refused("no folder", &error, &missing, ErrorKind::Io, "cannot read the folder");
    let file = put(&dir, "file", &good());
    let error = read_folder(&file).expect_err("a file");
    assert_refused("a file", &error, &file, ErrorKind::Io, "not a directory");

    let error = read_folder(dir.path()).expect_err("no files");
    assert_refused("no files", &error, dir.path(), ErrorKind::Io, "`train-images-idx3-ubyte`");
    let advice = error.advice().unwrap_or_default();
    assert!(advice.contains("train-images.idx3-ubyte"), "`{advice}` names the other spelling");
    let train = put(&dir, "train-images-idx3-ubyte", &good());
    let error = read_folder(dir.path()).expect_err("no test images");
    assert_refused("no test images", &error, dir.path(), ErrorKind::Io, "`t10k-images-idx3-ubyte`");

    // The same number of pixels, but not the same shape.
    let test = put(&dir, "t10k-images-idx3-ubyte", &idx(IMAGES, &[1, 4, 3], 12));
    let error = read_folder(dir.path()).expect_err("two sizes");
    assert_refused("two sizes", &error, &test, ErrorKind::Data, "4 x 3, expected 3 x 4");
    assert_refused("two sizes", &error, &train, ErrorKind::Data, "4 x 3, expected 3 x 4");
}

/// One change to a file: overwrite, flip a bit, insert, remove or truncate at a place.
fn mutate(file: &mut Vec<u8>, (what, place, byte): (u8, prop::sample::Index, u8)) {
    if file.len() < HEADER {
        return;
    }
    let at = place.index(file.len());
    match what {
        0 => file[at] = byte,
        1 => file[at] ^= 1 << (byte % 8),
        2 => file.insert(at, byte),
        3 => drop(file.remove(at)),
        4 => file.truncate(at),
        _ => file[at % HEADER] = byte,
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(3000)
    })]

    /// Whatever happens to a file, it is read exactly or refused as wrong content.
    #[test]
    fn mutations_never_panic(
        packed: bool,
        repack: bool,
        changes in prop::collection::vec((0..6_u8, any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        // Changed before it is packed, after it, or never packed at all.
        let mut file = if packed { gz(&good()) } else { good() };
        changes.into_iter().for_each(|change| mutate(&mut file, change));
        let content = (!packed).then(|| file.clone());
        file = if !packed && repack { gz(&file) } else { file };
        let dir = temp();
        let path = put(&dir, "mutated", &file);
        match read_images(&path) {
            Ok(images) => {
                let size = images.count * images.height * images.width;
                prop_assert_eq!(images.pixels.len(), size, "pixels of {:?}", &file);
                prop_assert!(size > 0, "no pixels in {:?}", &file);
                if let Some(content) = content {
                    prop_assert_eq!(&images.pixels, &content[HEADER..], "the pixels");
                }
            }
            Err(error) => assert_refused("mutated", &error, &path, ErrorKind::Data, ""),
        }
    }
}

/// The sums were computed from the same files with Python's gzip module and plain slices.
#[test]
fn the_real_mnist_is_what_it_should_be() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/mnist");
    let sum = |pixels: &[u8]| pixels.iter().map(|&pixel| u64::from(pixel)).sum::<u64>();
    let Folder { train, test, train_labels, test_labels } =
        read_folder(&dir).expect("MNIST lies in assets/mnist");
    for (name, images, count, first, last, all) in [
        ("train", train, 60_000, 27_525, 20_920, 1_567_298_545),
        ("test", test, 10_000, 18_454, 41_833, 264_923_200),
    ] {
        let shape = (images.count, images.height, images.width);
        assert_eq!(shape, (count, 28, 28), "the shape of {name}");
        assert_eq!(images.pixels.len(), count * 784, "the pixels of {name}");
        assert_eq!(sum(&images.pixels[..784]), first, "the first image of {name}");
        assert_eq!(sum(&images.pixels[(count - 1) * 784..]), last, "the last image of {name}");
        assert_eq!(sum(&images.pixels), all, "all images of {name}");
    }
    for (name, found, count, first, all) in [
        ("train", train_labels, 60_000, [5, 0, 4, 1, 9, 2, 1, 3, 1, 4], 267_236),
        ("t10k", test_labels, 10_000, [7, 2, 1, 0, 4, 1, 4, 9, 5, 9], 44_434),
    ] {
        let labels = read_labels(&dir.join(format!("{name}-labels-idx1-ubyte.gz"))).expect(name);
        assert_eq!(found.as_ref(), Some(&labels), "the labels beside {name}");
        assert_eq!(labels.len(), count, "the labels of {name}");
        assert_eq!(labels[..10], first, "the first labels of {name}");
        assert_eq!(sum(&labels), all, "all labels of {name}");
    }
}
