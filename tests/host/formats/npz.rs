//! NumPy archives: under which names images are found, and malformed archives.

use std::io::{Cursor, Write};
use std::path::Path;

use elbo::Dataset;
use elbo::config::DataConfig;
use elbo::data::formats::npz::read;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{Corpus, NAME, assert_all_refused, assert_refusal, bytes, fixture, images, labelled};

/// The two sets of an archive, each array read by its own content.
#[derive(Debug)]
struct Sets {
    train: Dataset,
    test: Option<Dataset>,
}

fn from_bytes(path: &Path, bytes: &[u8]) -> elbo::Result<Sets> {
    let found = read(path, bytes, &DataConfig::before())?;
    let test = found.test.map(|test| test.by_file(path)).transpose()?;
    Ok(Sets { train: found.train.by_file(path)?, test })
}

/// A deflated or stored archive of these members.
fn zip(members: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(*name, options).expect("a member");
        writer.write_all(content).expect("memory takes what is written");
    }
    writer.finish().expect("an archive").into_inner()
}

fn stored(members: &[(&str, &[u8])]) -> Vec<u8> {
    zip(members, CompressionMethod::Stored)
}

/// An array of bytes of this shape, and its content.
fn array(shape: &str, body: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}\n");
    let len = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\0", len.as_slice(), header.as_bytes(), body].concat()
}

/// Labels of this type and shape.
fn labels(descr: &str, shape: &str, body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(&array(shape, &[])[10..]).replace("|u1", descr);
    let len = (text.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\0", len.as_slice(), text.as_bytes(), body].concat()
}

/// The place of the first such bytes in a file.
fn find(file: &[u8], what: &[u8]) -> usize {
    file.windows(what.len()).position(|window| window == what).expect("what is looked for")
}

/// The file with other bytes at a place after the first `mark`.
fn patched(mut file: Vec<u8>, mark: &[u8], after: usize, bytes: &[u8]) -> Vec<u8> {
    let at = find(&file, mark) + after;
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

const ENTRY: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";
const END: &[u8] = b"PK\x05\x06";

/// An end of the directory in 64 bits, which says that there are so many members.
fn end_64(members: u64) -> Vec<u8> {
    let mut end = b"PK\x06\x06".to_vec();
    end.extend(44_u64.to_le_bytes());
    end.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    end.extend([members.to_le_bytes(), members.to_le_bytes()].concat());
    // The directory's size, and where it starts.
    end.extend([(46 * members).to_le_bytes(), 100_u64.to_le_bytes()].concat());
    end.extend(b"PK\x06\x07\0\0\0\0");
    end.extend(0_u64.to_le_bytes());
    end.extend(1_u32.to_le_bytes());
    end.extend([b"PK\x05\x06".as_slice(), &[0; 4], &[0xff; 12], &[0; 2]].concat());
    end
}

#[rustfmt::skip]
fn malformed() -> Corpus {
    let good = array("(3, 2, 4)", &images());
    let one = stored(&[("x.npy", &good)]);
    let packed = zip(&[("x.npy", &good)], CompressionMethod::Deflated);
    let bomb = array("(10000, 100, 100)", &vec![0; 100_000_000]);
    let bomb = zip(&[("x.npy", &bomb)], CompressionMethod::Deflated);
    let many: Vec<_> = (0..4097).map(|i| format!("{i}.npy")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), [].as_slice())).collect();
    let archive = "cannot be read as an archive";
    vec![
        ("empty", vec![], archive),
        ("magic alone", LOCAL.to_vec(), archive),
        ("text", b"x_train, x_test".to_vec(), archive),
        ("an array", good.clone(), archive),
        ("no members", stored(&[]), "holds no array"),
        ("an end alone", [END, &[0; 18]].concat(), "holds no array"),
        ("cut at the end", one[..one.len() - 1].to_vec(), archive),
        ("cut in the directory", one[..find(&one, ENTRY) + 20].to_vec(), archive),
        ("cut in the member", one[..60].to_vec(), archive),
        ("the directory gone", [&one[..find(&one, ENTRY)], &one[find(&one, END)..]].concat(), archive),
        ("the start gone", one[40..].to_vec(), archive),
        ("no .npy", stored(&[("x_train", &good), ("readme.txt", b"x")]), "holds no array"),
        ("two arrays", stored(&[("a.npy", &good), ("b.npy", &good)]), "holds `a`, `b`; expected `x_train`"),
        ("test alone of two", stored(&[("x_test.npy", &good), ("y_test.npy", &good)]), "holds `x_test`, `y_test`"),
        ("no array inside", stored(&[("x.npy", b"PK\x03\x04")]), "some/file/x`: is no NumPy array"),
        ("an empty member", stored(&[("x.npy", &[])]), "is no NumPy array"),
        ("a short array", stored(&[("x.npy", &good[..good.len() - 1])]), "found 23"),
        ("a long array", stored(&[("x.npy", &[good.as_slice(), &[0]].concat())]), "found 25"),
        ("labels", stored(&[("x.npy", &array("(24,)", &images()))]), "has the shape [24]"),
        ("wrong test images", stored(&[("x_train.npy", &good), ("x_test.npy", b"x")]), "some/file/x_test`: is no NumPy array"),
        ("wrong checksum", patched(one.clone(), ENTRY, 16, &[1, 2, 3, 4]), "Invalid checksum"),
        ("another byte", patched(one.clone(), b"\x0b\x16\x21", 0, &[9]), "Invalid checksum"),
        ("another byte, packed", patched(packed.clone(), LOCAL, 60, &[0xff; 8]), "some/file/x`"),
        ("an unknown method", patched(patched(one.clone(), ENTRY, 10, &[99, 0]), LOCAL, 8, &[99, 0]), "cannot be unpacked"),
        ("zstd", patched(patched(one.clone(), ENTRY, 10, &[93, 0]), LOCAL, 8, &[93, 0]), "cannot be unpacked"),
        ("encrypted", patched(patched(one.clone(), ENTRY, 8, &[1]), LOCAL, 6, &[1]), archive),
        ("a member outside", patched(one.clone(), ENTRY, 42, &[0xff, 0xff, 0, 0]), archive),
        ("a member of 4 GiB", patched(one.clone(), ENTRY, 20, &[0xfe, 0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff]), "unpack to 4294967294"),
        ("unpacks to 4 GiB", patched(packed.clone(), ENTRY, 24, &[0xfe, 0xff, 0xff, 0xff]), "unpack to 4294967294"),
        ("unpacks to less", patched(packed.clone(), ENTRY, 24, &[90, 0, 0, 0]), "some/file/x`"),
        ("many members", stored(&many), "4097 members or more"),
        ("2^60 members in 64 bits", [one.as_slice(), &end_64(1 << 50)].concat(), "1125899906842624 members"),
        ("a bomb", bomb, "unpack to 1000000"),
    ]
}

/// Archives of three images whose labels cannot be used, with what the reason must say.
#[rustfmt::skip]
fn unusable_labels() -> Corpus {
    let good = array("(3, 2, 4)", &images());
    let with = |y: Vec<u8>| stored(&[("x.npy", &good), ("y.npy", &y)]);
    let claim = "{'descr': '|u1', 'fortran_order': False, 'shape': (18446744073709551615,)}";
    let claim = [b"\x93NUMPY\x01\0", (claim.len() as u16).to_le_bytes().as_slice(), claim.as_bytes()].concat();
    let zeros = zip(&[("x.npy", &good), ("y.npy", &labels("|u1", "(20000000,)", &vec![0; 20_000_000]))], CompressionMethod::Deflated);
    vec![
        ("too few labels", with(labels("|u1", "(2,)", &[1, 2])), "there are 2 labels for 3 images"),
        ("too many labels", with(labels("|u1", "(4,)", &[1, 2, 3, 4])), "there are 4 labels for 3 images"),
        ("no labels", with(labels("|u1", "(0,)", &[])), "1 or more"),
        ("rows without a one", with(labels("|u1", "(3, 2)", &[0; 6])), "its rows of 2 are not zeros with a one"),
        ("rows with two", with(labels("|u1", "(3, 2)", &[0, 1, 1, 1, 1, 0])), "its rows of 2 are not zeros with a one"),
        ("NaN", with(labels("<f4", "(3,)", &f32::NAN.to_le_bytes().repeat(3))), "value 0 is NaN"),
        ("one label", with(labels("|u1", "()", &[7])), "has the shape [], expected [images]"),
        ("words as labels", with(labels("<U3", "(3,)", &[0; 36])), "values of type `<U3`"),
        ("labels cut", with(labels("<i8", "(3,)", &[0; 23])), "expected 24 bytes after the header, found 23"),
        ("2^64 - 1 labels", with(claim), "expected 18446744073709551615 bytes after the header, found 0"),
        ("labels that are no array", with(b"1,2,3".to_vec()), "some/file/y`: is no NumPy array"),
        ("a bomb of labels", zeros, "unpack to 20000"),
    ]
}

/// Nobody asked for them, so the images are read.
#[test]
fn unusable_labels_are_told_and_refuse_no_images() {
    for (case, file, says) in unusable_labels() {
        let train = from_bytes(Path::new(NAME), &file).expect(case).train;
        assert_eq!((train.len(), train.labels()), (3, None), "{case}");
        let fault = train.label_fault().unwrap_or_default();
        assert!(fault.contains(says), "{case}: `{fault}` does not say `{says}`");
        let refused = train.check_classes(3).expect_err(case).to_string();
        assert!(refused.contains(fault), "{case}: `{refused}` when there must be classes");
    }
}

/// Classes that are no numbers from 0 to 255 are numbered by their order, and keep their names.
#[test]
fn other_labels_become_classes() {
    let good = array("(3, 2, 4)", &images());
    let one_hot = [0, 1, 0, 0, 0, 1, 1, 0, 0];
    let floats: Vec<u8> = [2.0_f32, 0.0, 1.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    for (case, y, classes, names) in [
        ("one of a kind", labels("|u1", "(3, 3)", &one_hot), [1, 2, 0], None),
        ("floats", labels("<f4", "(3,)", &floats), [2, 0, 1], None),
        ("signs", labels("|i1", "(3,)", &[1, 255, 1]), [1, 0, 1], Some(["-1", "1"])),
        (
            "beyond a byte",
            labels("<i2", "(3,)", &[0, 1, 0, 1, 7, 0]),
            [1, 1, 0],
            Some(["7", "256"]),
        ),
    ] {
        let file = stored(&[("X.npy", &good), ("Y.npy", &y)]);
        let train = from_bytes(Path::new(NAME), &file).expect(case).train;
        assert_eq!(train.labels(), Some(classes.as_slice()), "{case}: {:?}", train.label_fault());
        let names = names.map(|names| names.map(str::to_owned).to_vec());
        assert_eq!(train.class_names().map(<[_]>::to_vec), names, "{case}");
    }
}

#[test]
fn malformed_archives_are_refused() {
    assert_all_refused(&malformed(), from_bytes);
}

#[test]
fn what_numpy_wrote_is_read() {
    let train = bytes([2, 4], images());
    let test = bytes([2, 4], images().iter().take(16).map(|v| 255 - v).collect());
    for (name, has_test, has_labels) in [
        ("keras", true, true),
        ("packed", true, true),
        ("pair", true, false),
        ("one", false, false),
        ("named", false, true),
    ] {
        let with = |images: &Dataset, labels: &[u8]| match has_labels {
            true => labelled(images.clone(), labels),
            false => images.clone(),
        };
        let (path, file) = fixture(&format!("{name}.npz"));
        let sets = from_bytes(&path, &file).expect(name);
        assert_eq!(sets.train, with(&train, &[0, 1, 2]), "the training images of {name}");
        let expected = has_test.then(|| with(&test, &[0, 1]));
        assert_eq!(sets.test, expected, "the test images of {name}");
    }
    for (name, says) in [("names", "holds `a`, `b`; expected"), ("none", "holds no array")] {
        let (path, file) = fixture(&format!("refused_{name}.npz"));
        let error = from_bytes(&path, &file).expect_err(name);
        assert_refusal(name, &error, &format!("refused_{name}.npz"), says);
    }
}

#[test]
fn labels_of_every_type_are_read() {
    let wide = |size: usize, big: bool| -> Vec<u8> {
        let value = |v: u8| {
            let mut word = vec![0; size];
            word[if big { size - 1 } else { 0 }] = v;
            word
        };
        [7, 0, 9].into_iter().flat_map(value).collect()
    };
    let good = array("(3, 2, 4)", &images());
    let expected = labelled(bytes([2, 4], images()), &[7, 0, 9]);
    for (descr, size, big) in [
        ("|u1", 1, false),
        ("|i1", 1, false),
        ("<i2", 2, false),
        (">u2", 2, true),
        ("<u4", 4, false),
        (">i4", 4, true),
        ("<i8", 8, false),
        (">u8", 8, true),
    ] {
        for shape in ["(3,)", "(3, 1)"] {
            let y = labels(descr, shape, &wide(size, big));
            for (x, name) in [("x", "y"), ("images", "labels"), ("train_images", "train_labels")] {
                let [x, name] = [x, name].map(|name| format!("{name}.npy"));
                let file = stored(&[(&x, &good), (&name, &y)]);
                let sets = from_bytes(Path::new(NAME), &file).expect(descr);
                assert_eq!(sets.train, expected, "{name} of {descr} and {shape}");
            }
        }
    }
}

#[test]
fn training_images_alone_are_read() {
    let file = stored(&[("y.npy", b"x"), ("x_train.npy", &array("(1, 2, 2)", &[1, 2, 3, 4]))]);
    let sets = from_bytes(Path::new(NAME), &file).expect("one array of images");
    assert_eq!(sets.train, bytes([2, 2], vec![1, 2, 3, 4]), "the images");
    assert_eq!(sets.test, None, "no test images");
}
