//! NumPy arrays: every type and order that is read, and malformed headers.

use std::path::Path;

use elbo::Dataset;
use elbo::data::formats::npy::read;

use super::{Corpus, assert_all_refused, assert_refusal, by_file, bytes, fixture, floats, images};

/// An array of format version `version` with a header and what follows it.
fn npy(version: [u8; 2], header: &str, body: &[u8]) -> Vec<u8> {
    let len = header.len() as u32;
    let len =
        if version[0] == 1 { len.to_le_bytes()[..2].to_vec() } else { len.to_le_bytes().to_vec() };
    [b"\x93NUMPY", version.as_slice(), &len, header.as_bytes(), body].concat()
}

/// Version 1, with a usual header of this type and shape.
fn array(descr: &str, shape: &str, body: usize) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    npy([1, 0], &header, &vec![7; body])
}

/// Version 1, with this header and 24 bytes.
fn header(text: &str) -> Vec<u8> {
    npy([1, 0], text, &[7; 24])
}

fn from_bytes(path: &Path, bytes: &[u8]) -> elbo::Result<Dataset> {
    by_file(read)(path, bytes)
}

#[rustfmt::skip]
fn malformed() -> Corpus {
    let good = array("|u1", "(3, 2, 4)", 24);
    let mut cut = good.clone();
    cut.truncate(60);
    let mut long = npy([2, 0], "{}", &[0; 24]);
    long[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    vec![
        ("empty", vec![], "does not start with \\x93NUMPY"),
        ("magic cut", good[..5].to_vec(), "does not start with \\x93NUMPY"),
        ("no version", good[..6].to_vec(), "version []"),
        ("no length", good[..8].to_vec(), "ends in the length"),
        ("half a length", good[..9].to_vec(), "ends in the length"),
        ("half a long length", npy([2, 0], "", &[])[..10].to_vec(), "ends in the length"),
        ("header cut", cut, "has 50 bytes of header"),
        ("a text file", b"1,2,3\n4,5,6\n".to_vec(), "does not start with \\x93NUMPY"),
        ("version 4", npy([4, 0], "{}", &[]), "version [4, 0]"),
        ("version 1.1", npy([1, 1], "{}", &[]), "version [1, 1]"),
        ("a header of 4 GiB", long, "a header of 4294967295 bytes, expected 65536"),
        ("a header of 64 KiB and one", npy([3, 0], &" ".repeat(65537), &[]), "a header of 65537 bytes"),
        ("a header of spaces", header("      "), "expected a `{`"),
        ("an empty header", header(""), "expected a `{`"),
        ("no keys", header("{}"), "expected all of `descr`"),
        ("a list", header("['descr']"), "expected a `{`"),
        ("no shape", header("{'descr': '|u1', 'fortran_order': False}"), "expected all of"),
        ("no order", header("{'descr': '|u1', 'shape': (3, 2, 4)}"), "expected all of"),
        ("another key", header("{'descr': '|u1', 'fortran_order': False, 'shape': (3, 2, 4), 'x': 1}"), "expected the keys"),
        ("a key twice", header("{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (3, 2, 4)}"), "each key once"),
        ("not closed", header("{'descr': '|u1', 'fortran_order': False, 'shape': (3, 2, 4)"), "expected a `,` or `}`"),
        ("closed twice", header("{'descr': '|u1', 'fortran_order': False, 'shape': (3, 2, 4)}}"), "nothing behind"),
        ("code", header("__import__('os').abort()"), "expected a `{`"),
        ("code as a shape", header("{'descr': '|u1', 'fortran_order': False, 'shape': exit()}"), "expected a `(`"),
        ("deep brackets", header(&"(".repeat(60000)), "expected a `{`"),
        ("a deep shape", header(&format!("{{'shape': {}", "(".repeat(60000))), "dimensions from 0"),
        ("a quote not closed", header("{'descr': '|u1"), "a word in quotes"),
        ("an order of 1", header("{'descr': '|u1', 'fortran_order': 1, 'shape': (3, 2, 4)}"), "True or False"),
        ("negative dimension", array("|u1", "(3, -2, 4)", 24), "dimensions from 0"),
        ("float dimension", array("|u1", "(3, 2.0, 4)", 24), "expected a `,` or `)`"),
        ("2^64", array("|u1", "(18446744073709551616, 1, 1)", 24), "dimensions from 0 to 2^64 - 1"),
        ("2^63 images", array("|u1", "(9223372036854775808, 1, 1)", 24), "expected 9223372036854775808 bytes"),
        ("2^63 doubles", array("<f8", "(9223372036854775808, 1, 1)", 24), "more than 2^64 - 1"),
        ("product wraps to 4", array("|u1", "(4194305, 4194305, 211106198978564)", 4), "more than 2^64 - 1"),
        ("product wraps to 1", array("|u1", "(9223372036854775807, 9223372036854775807, 1)", 1), "more than 2^64 - 1"),
        ("product wraps to 0", array("|u1", "(4294967296, 4294967296, 1)", 0), "more than 2^64 - 1"),
        ("nine dimensions", array("|u1", "(1, 1, 1, 1, 1, 1, 1, 1, 24)", 24), "8 dimensions"),
        ("60,000 dimensions", array("|u1", &format!("({})", "1,".repeat(30000)), 24), "8 dimensions"),
        ("five dimensions", array("|u1", "(3, 2, 4, 1, 1)", 24), "expected [images, height, width]"),
        ("no images", array("|u1", "(0, 2, 4)", 0), "1 or more"),
        ("no width", array("|u1", "(3, 2, 0)", 0), "1 or more"),
        ("no width, huge rest", array("|u1", "(18446744073709551615, 18446744073709551615, 0)", 0), "1 or more"),
        ("one byte short", array("|u1", "(3, 2, 4)", 23), "expected 24 bytes after the header, found 23"),
        ("one byte over", array("|u1", "(3, 2, 4)", 25), "expected 24 bytes after the header, found 25"),
        ("nothing behind", array("<f4", "(3, 2, 4)", 0), "expected 96 bytes after the header, found 0"),
        ("a second array behind", [good.clone(), good].concat(), "found 121"),
        ("objects", array("|O", "(3, 2, 4)", 24), "type `|O`"),
        ("no byte order", array("u1", "(3, 2, 4)", 24), "type `u1`"),
        ("integers of 3 bytes", array("<i3", "(3, 2, 4)", 72), "type `<i3`"),
        ("floats of 16 bytes", array("<f16", "(3, 2, 4)", 384), "type `<f16`"),
        ("floats of 1 byte", array("<f1", "(3, 2, 4)", 24), "type `<f1`"),
        ("dates", array("<M8[s]", "(3, 2, 4)", 192), "type `<M8[s]`"),
        ("a type of control characters", array("\u{1b}[2J", "(3, 2, 4)", 24), "type `\\u{1b}[2J`"),
        ("not UTF-8", [b"\x93NUMPY\x01\0\x04\0".as_slice(), b"{'\xff\xfe"].concat(), "expected"),
        ("huge floats", npy([1, 0], "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1, 1)}", &f64::MAX.to_le_bytes()), "value 0 is inf"),
    ]
}

#[test]
fn malformed_arrays_are_refused() {
    assert_all_refused(&malformed(), from_bytes);
}

#[test]
fn what_numpy_wrote_is_read() {
    let expected = bytes([2, 4], images());
    for name in [
        "u1",
        "u2",
        "be_u2",
        "u4",
        "be_u4",
        "u8",
        "be_u8",
        "i2",
        "be_i2",
        "i4",
        "be_i4",
        "i8",
        "be_i8",
        "fortran",
        "fortran_channel",
        "channel_first",
        "channel_last",
    ] {
        let (path, file) = fixture(&format!("{name}.npy"));
        assert_eq!(from_bytes(&path, &file).expect(name), expected, "{name}");
    }
    let quarters: Vec<_> = images().iter().map(|&v| f32::from(v) / 4.0 - 10.25).collect();
    let expected = floats([2, 4], quarters);
    for name in ["f2", "be_f2", "f4", "be_f4", "f8", "be_f8", "fortran_floats"] {
        let (path, file) = fixture(&format!("{name}.npy"));
        assert_eq!(from_bytes(&path, &file).expect(name), expected, "{name}");
    }
    let odd: Vec<_> = images().iter().map(|v| v % 2 * 255).collect();
    let half = images().iter().map(|v| v / 2).collect();
    for (name, expected) in [
        ("i1", bytes([2, 4], half)),
        ("bool", bytes([2, 4], odd.clone())),
        ("binary", bytes([2, 4], odd)),
        ("pixels", bytes([1, 8], images())),
        ("fortran_pixels", bytes([1, 8], images())),
        ("square", bytes([3, 3], (0..18).collect())),
        ("fortran_square", bytes([3, 3], (0..18).collect())),
    ] {
        let (path, file) = fixture(&format!("{name}.npy"));
        assert_eq!(from_bytes(&path, &file).expect(name), expected, "{name}");
    }
}

#[test]
fn what_numpy_wrote_of_other_things_is_refused() {
    for (name, says) in [
        ("complex", "type `<c8`"),
        ("text", "type `<U3`"),
        ("record", "structured arrays are not read"),
        ("object", "type `|O`"),
        ("nan", "value 0 is NaN, expected finite numbers"),
        ("flat", "has the shape [24], expected [images, height, width]"),
        ("scalar", "has the shape []"),
        ("colour", "has the shape [3, 4, 4, 3]"),
        ("empty", "has the shape [0, 2, 4], expected 1 or more"),
    ] {
        let (path, file) = fixture(&format!("refused_{name}.npy"));
        let error = from_bytes(&path, &file).expect_err(name);
        assert_refusal(name, &error, &format!("refused_{name}.npy"), says);
    }
}

/// Headers that NumPy does not write today but has written, or reads.
#[test]
fn unusual_headers_are_read() {
    let expected = bytes([2, 4], vec![7; 24]);
    for text in [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (3L, 2L, 4L)}",
        "{\"shape\":(3,2,4,),\"fortran_order\":False,\"descr\":\"<u1\"}",
        "  { 'descr' : '=u1' ,\n'fortran_order' : True , 'shape' : ( 3 , 2 , 4 ) , } \n ",
    ] {
        for version in [[1, 0], [2, 0], [3, 0]] {
            let file = npy(version, text, &[7; 24]);
            let data = from_bytes(Path::new(super::NAME), &file).expect(text);
            assert_eq!(data, expected, "{text}");
        }
    }
}
