//! Parquet files: every way of writing that is read, and what is malformed.

use std::path::{Path, PathBuf};

use elbo::Dataset;
use elbo::config::{Config, DataConfig};
use elbo::data::Sources;
use elbo::data::formats::parquet::read;

use super::{Corpus, assert_all_refused, assert_refusal, bytes, fixture, floats, images, labelled};

fn load_by(config: &DataConfig, path: &Path, file: &[u8]) -> elbo::Result<Dataset> {
    read(path, file, config)?.by_file(path)
}

fn load(path: &Path, file: &[u8]) -> elbo::Result<Dataset> {
    load_by(&DataConfig::default(), path, file)
}

fn other(name: &str) -> (PathBuf, Vec<u8>) {
    fixture(&format!("others/{name}.parquet"))
}

#[test]
fn columns_are_read_in_every_way_of_writing() {
    let expected = labelled(bytes([2, 4], images()), &[7, 0, 9]);
    for name in ["pictures", "gzip", "none"] {
        let (path, file) = other(name);
        assert_eq!(load(&path, &file).expect(name), expected, "{name}");
    }
    let (path, file) = other("bare");
    let bare = load(&path, &file).expect("bare pictures");
    assert_eq!(
        bare.fingerprint().expect("a fingerprint"),
        expected.fingerprint().expect("a fingerprint"),
        "bare pictures"
    );
    assert_eq!(bare.labels(), Some([1, 0, 1].as_slice()), "words by their letters");
    assert_eq!(bare.class_names(), Some(["cat", "dog"].map(str::to_owned).as_slice()), "the words");
    let size = DataConfig { image_size: Some([2, 4].into()), ..DataConfig::default() };
    for name in ["flat", "flat_2"] {
        let (path, file) = other(name);
        assert_eq!(load_by(&size, &path, &file).expect(name), expected, "{name}");
        let row = load(&path, &file).expect(name);
        assert_eq!((row.len(), row.size()), (3, [1, 8].into()), "eight values are a row");
    }
    let (path, file) = other("halves");
    let row = |image: usize| {
        let pixels = images().into_iter().skip(8 * image).take(4).map(|v| f32::from(v) / 2.0);
        pixels.chain([f32::from(u8::from(image != 1))]).collect::<Vec<_>>()
    };
    let expected = floats([1, 5], [row(0), row(1), row(2)].concat());
    assert_eq!(load(&path, &file).expect("halves"), expected, "floats and truths");
}

#[test]
fn the_column_of_classes_is_the_users() {
    let (path, file) = other("flat");
    let by = |column: &str| DataConfig {
        label_column: Some(column.to_owned()),
        ..DataConfig::default()
    };
    let none = load_by(&by("none"), &path, &file).expect("no classes");
    assert_eq!((none.labels(), none.size()), (None, [3, 3].into()), "none");
    let last = load_by(&by("last"), &path, &file).expect("the last");
    assert_eq!(last.labels(), Some([77, 165, 253].as_slice()), "the last column");
    let named = load_by(&by("p0"), &path, &file).expect("by its name");
    assert_eq!(named.labels(), Some([0, 88, 176].as_slice()), "a name");
    let error = load_by(&by("q"), &path, &file).expect_err("no such column");
    assert_refusal(
        "no such column",
        &error,
        "flat.parquet",
        "has no column `q`; its columns are `label`, `p0`",
    );
}

#[test]
fn what_is_not_read_is_named() {
    for (name, says) in [
        ("zstd", "packed by the codec 6, Zstandard"),
        ("delta", "has the encoding 5, expected plain values or a dictionary"),
        ("lists", "has the columns `x."),
        ("missing", "its column `x` has nothing in row 1"),
    ] {
        let (path, file) = other(&format!("refused_{name}"));
        let error = load(&path, &file).expect_err(name);
        assert_refusal(name, &error, &format!("refused_{name}"), says);
    }
}

#[test]
fn parts_are_read_as_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let put = |name: &str, from: &str| {
        std::fs::write(folder.path().join(name), other(from).1).expect("a file");
    };
    let open = |name: &str| {
        let (data, config) = (folder.path().join(name), Config::default());
        Sources::new(&data, &config).open()
    };
    put("train-00000-of-00002.parquet", "pictures");
    let error = open("").expect_err("a part is missing").to_string();
    assert!(error.contains("of the set `train` the parts 0 of 2"), "{error}");
    put("train-00001-of-00002.parquet", "gzip");
    put("test-00000-of-00001.parquet", "none");
    put("validation-00000-of-00001.parquet", "none");
    for name in ["", "train-00000-of-00002.parquet", "train-00001-of-00002.parquet"] {
        let opened = open(name).expect("all parts");
        assert_eq!((opened.train.len(), opened.test.len()), (6, 3), "`{name}`");
        assert_eq!(
            opened.train.labels(),
            Some([7, 0, 9, 7, 0, 9].as_slice()),
            "the classes of `{name}`"
        );
        let said = opened.said.join("\n");
        assert!(
            said.contains("2 files of the set `train`") && said.contains("`validation`"),
            "{said}"
        );
    }
}

#[rustfmt::skip]
fn malformed() -> Corpus {
    let (_, pictures) = other("pictures");
    let (_, flat) = other("flat");
    let len = pictures.len();
    let footer = u32::from_le_bytes(pictures[len - 8..len - 4].try_into().expect("a word")) as usize;
    let patched = |at: usize, with: &[u8]| {
        let mut file = pictures.clone();
        file[at..at + with.len()].copy_from_slice(with);
        file
    };
    let described = |description: &[u8]| [b"PAR1".as_slice(), description, &(description.len() as u32).to_le_bytes(), b"PAR1"].concat();
    let find = |what: &[u8]| pictures.windows(what.len()).position(|w| w == what).expect("what is looked for");
    let read = "cannot be read";
    vec![
        ("empty", vec![], "does not start with PAR1"),
        ("a start alone", b"PAR1".to_vec(), "has a description"),
        ("two marks", b"PAR1PAR1".to_vec(), read),
        ("cut in the middle", pictures[..len / 2].to_vec(), "does not end with PAR1"),
        ("cut by a byte", pictures[..len - 1].to_vec(), "does not end with PAR1"),
        ("encrypted", [&pictures[..len - 4], b"PARE"].concat(), "does not end with PAR1"),
        ("the start gone", pictures[4..].to_vec(), "does not start with PAR1"),
        ("a description of 4 GiB", patched(len - 8, &[0xff; 4]), read),
        ("a description of nothing", patched(len - 8, &[0; 4]), read),
        ("a description that is longer", patched(len - 8, &(len as u32 - 8).to_le_bytes()), read),
        ("no columns", described(&[0]), read),
        ("columns without names", described(&[0x29, 0x1c, 0, 0]), read),
        ("2^28 columns", described(&[0x29, 0xfc, 0xff, 0xff, 0xff, 0x7f, 0]), read),
        ("deep structs", described(&[0x1c; 4000]), read),
        ("deep lists", described(&[0x19; 4000]), read),
        ("an endless number", described(&[0x15, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), read),
        ("zeros in its place", patched(len - 8 - footer, &vec![0; footer]), read),
        ("0xff in its place", patched(len - 8 - footer, &vec![0xff; footer]), read),
        ("the first page's header gone", patched(4, &[0; 8]), "its column `image.bytes`"),
        ("the first page's header of 0xff", patched(4, &[0xff; 8]), "has a page whose header cannot be read"),
        ("pages of another kind", patched(5, &[0x1e]), "has a page of the unknown kind 15"),
        ("a damaged page", patched(40, &[0xff; 30]), "row 0`: cannot be read as a PNG"),
        ("a damaged picture", patched(find(b"IDAT"), b"IDOT"), "row 0`: cannot be read as a PNG"),
        ("no picture", patched(find(b"\x89PNG"), b"JPEG"), "as no picture does that is read"),
        ("numbers, cut within", [&flat[..20], &flat[40..]].concat(), "has"),
        ("numbers, a page of zeros", { let mut f = flat.clone(); f[4..200].fill(0); f }, "its column"),
        ("numbers of 0xff", { let mut f = flat.clone(); f[4..200].fill(0xff); f }, "its column"),
        ("text", b"PAR1,PAR2\n1,2\nPAR1".to_vec(), read),
    ]
}

#[test]
fn malformed_files_are_refused() {
    assert_all_refused(&malformed(), load);
}
