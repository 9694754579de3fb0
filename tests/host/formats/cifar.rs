//! CIFAR and STL-10: bare bytes, folders and tars.

use std::fs;
use std::io::Write;
use std::path::Path;

use elbo::Dataset;
use elbo::config::{Config, DataConfig};
use elbo::data::formats::cifar::{read, read_tar, stl_images};
use elbo::data::{Opened, Sources};

use super::{Corpus, NAME, assert_all_refused, assert_refusal, fixture};

const PLANE: usize = 32 * 32;

/// A record of these classes, with planes that count up from `first`.
fn record(classes: &[u8], first: u8) -> Vec<u8> {
    let pixels = (0..3 * PLANE).map(|i| ((i * 5) as u8).wrapping_add(first));
    classes.iter().copied().chain(pixels).collect()
}

/// The pixels of that record, channels side by side.
fn pixels(first: u8) -> Vec<u8> {
    let planes = record(&[], first);
    (0..PLANE).flat_map(|at| [0, 1, 2].map(|c| planes[c * PLANE + at])).collect()
}

fn load(path: &Path, file: &[u8]) -> elbo::Result<Dataset> {
    read(path, file, &DataConfig::default())?.by_file(path)
}

fn colour(images: &[u8]) -> Dataset {
    let all = images.iter().flat_map(|&first| pixels(first)).collect();
    Dataset::from_bytes([32, 32, 3], all).expect("whole images")
}

fn open(data: &Path) -> elbo::Result<Opened> {
    let config = Config::default();
    Sources::new(data, &config).open()
}

#[test]
fn records_are_read() {
    let path = Path::new(NAME);
    let ten = load(path, &[record(&[3], 1), record(&[9], 2)].concat()).expect("CIFAR-10");
    assert_eq!(
        (ten.fingerprint().expect("a fingerprint"), ten.labels()),
        (colour(&[1, 2]).fingerprint().expect("a fingerprint"), Some([3, 9].as_slice())),
        "CIFAR-10"
    );
    let hundred =
        load(path, &[record(&[19, 99], 1), record(&[0, 4], 2)].concat()).expect("CIFAR-100");
    assert_eq!(
        hundred.fingerprint().expect("a fingerprint"),
        colour(&[1, 2]).fingerprint().expect("a fingerprint"),
        "CIFAR-100"
    );
    assert_eq!(hundred.labels(), Some([99, 4].as_slice()), "the fine classes");
    let planes: Vec<u8> = (0..3 * 96 * 96_u32).map(|i| (i % 251) as u8).collect();
    let stl = stl_images(path, &planes).and_then(|raw| raw.by_file(path)).expect("STL-10");
    let at = |y: usize, x: usize, c: usize| planes[c * 96 * 96 + x * 96 + y];
    let expected = (0..96).flat_map(|y| (0..96).flat_map(move |x| [0, 1, 2].map(|c| (y, x, c))));
    let expected = expected.map(|(y, x, c)| at(y, x, c)).collect();
    let expected = Dataset::from_bytes([96, 96, 3], expected).expect("an image");
    assert_eq!(
        stl.fingerprint().expect("a fingerprint"),
        expected.fingerprint().expect("a fingerprint"),
        "STL-10, upright"
    );
}

#[test]
fn folders_are_read_by_their_names() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let put = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, content).expect("a file");
        path
    };
    let one =
        put("cifar-10-batches-bin/data_batch_1.bin", &[record(&[3], 1), record(&[9], 2)].concat());
    put("cifar-10-batches-bin/data_batch_2.bin", &record(&[0], 3));
    put("cifar-10-batches-bin/test_batch.bin", &record(&[5], 4));
    put("cifar-10-batches-bin/batches.meta.txt", b"a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
    for place in ["", "cifar-10-batches-bin"] {
        let opened = open(&folder.path().join(place)).expect("a folder");
        assert_eq!(
            opened.train.fingerprint().expect("a fingerprint"),
            colour(&[1, 2, 3]).fingerprint().expect("a fingerprint"),
            "in their order"
        );
        assert_eq!(
            opened.test.fingerprint().expect("a fingerprint"),
            colour(&[4]).fingerprint().expect("a fingerprint"),
            "to test on"
        );
        assert_eq!(opened.train.labels(), Some([3, 9, 0].as_slice()), "the classes");
        assert_eq!(
            opened.train.class_names().map(|names| names[9].as_str()),
            Some("j"),
            "their names"
        );
        let said = opened.said.join("\n");
        assert!(said.contains("2 of the 5 batches"), "{said}");
    }
    put("cifar-10-batches-bin/test_batch.bin", &record(&[5], 4)[..3072]);
    let error = open(folder.path()).expect_err("a batch cut").to_string();
    assert!(error.contains("test_batch.bin") && error.contains("3072 bytes"), "{error}");
    let alone = open(&one).expect("two images, divided");
    assert_eq!((alone.train.len(), alone.test.len()), (1, 1), "a batch alone");
}

/// A member of a tar.
fn member(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    header[156] = b'0';
    header[257..262].copy_from_slice(b"ustar");
    let padding = content.len().next_multiple_of(512) - content.len();
    [header.as_slice(), content, &vec![0; padding]].concat()
}

#[test]
fn a_tar_is_read_in_memory() {
    let (_, batch) = fixture("others/batch_2.pkl");
    let tar = [
        member("cifar-10-batches-py/test_batch", &batch),
        member("cifar-10-batches-py/data_batch_1", &batch),
        member("cifar-10-batches-py/data_batch_2", &batch),
        vec![0; 1024],
    ]
    .concat();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("cifar-10-python.tar.gz");
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gz.write_all(&tar).expect("memory takes what is written");
    for (name, content) in [("x.tar", tar.clone()), ("x.tar.gz", gz.finish().expect("an end"))] {
        let path = path.with_file_name(name);
        fs::write(&path, content).expect("a file");
        let opened = open(&path).expect(name);
        assert_eq!((opened.train.len(), opened.test.len()), (4, 2), "{name}");
        assert_eq!(opened.train.labels(), Some([3, 5, 3, 5].as_slice()), "{name}: the classes");
        assert_eq!(opened.train.size(), [4, 4, 3].into(), "{name}: colour");
    }
    let load = |file: &[u8]| read_tar(Path::new(NAME), file, &DataConfig::default());
    let error = load(&member("photos/a.jpg", &[1; 600])).expect_err("pictures");
    assert_refusal("pictures", &error, NAME, "is a tar of 1 files, such as `a.jpg`");
    assert!(error.advice().is_some_and(|advice| advice.contains("tar xf")), "{error}");
    let error = load(&tar[..2000]).expect_err("a header cut");
    assert_refusal("a header cut", &error, NAME, "ends within the header of a member");
    for (case, file) in [
        ("cut", tar[..1000].to_vec()),
        ("a size of words", {
            let mut file = tar.clone();
            file[124..130].copy_from_slice(b"words!");
            file
        }),
        ("a size of 8 GiB", {
            let mut file = tar.clone();
            file[124..135].copy_from_slice(b"77777777777");
            file
        }),
    ] {
        let error = load(&file).expect_err(case);
        assert_refusal(case, &error, NAME, "ends within its member `cifar-10-batches-py/");
    }
    let error = load(&[]).expect_err("nothing");
    assert_refusal("nothing", &error, NAME, "is a tar of 0 files");
}

#[rustfmt::skip]
fn malformed() -> Corpus {
    let with = |place: usize, class: u8| {
        let mut file = [record(&[1], 0), record(&[2], 0), record(&[3], 0)].concat();
        file[place * 3073] = class;
        file
    };
    let fine = |coarse: u8, class: u8| [record(&[1, 1], 0), record(&[coarse, class], 0)].concat();
    let no = "which are no whole records of CIFAR";
    let mut cases = vec![
        ("a class of 10", with(0, 10), no),
        ("a class of 10, later", with(2, 10), "record 2 is of the class 10, expected one below 10"),
        ("a class of 255", with(1, 255), "record 1 is of the class 255"),
        ("a coarse class of 20", fine(20, 0), "record 1 is of the class 20, expected one below 20"),
        ("a fine class of 100", fine(19, 100), "record 1 is of the class 100, expected one below 100"),
        ("a fine class of 255", fine(0, 255), "record 1 is of the class 255"),
        ("a first coarse class of 20", record(&[20, 0], 0), no),
        ("a first fine class of 100", record(&[0, 100], 0), no),
    ];
    const LENGTHS: [(&str, usize); 17] = [
        ("empty", 0), ("a byte", 1), ("an image alone", 3072), ("3071 bytes", 3071), ("3075 bytes", 3075), ("6145 bytes", 6145),
        ("6147 bytes", 6147), ("6144 bytes", 6144), ("1024 bytes", 1024), ("9218 bytes", 9218), ("9220 bytes", 9220),
        ("30729 bytes", 30_729), ("27648 bytes", 27_648), ("100 bytes", 100), ("1000 bytes", 1000), ("10000 bytes", 10_000), ("30739 bytes", 30_739),
    ];
    cases.extend(LENGTHS.map(|(name, len)| (name, vec![0; len], no)));
    cases
}

#[test]
fn malformed_batches_are_refused() {
    assert_all_refused(&malformed(), load);
}
