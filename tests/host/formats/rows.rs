//! Rows of numbers, as `elbo decode` takes them: arrays and tables that are read, and malformed ones.

use std::path::Path;

use elbo::data::formats::npy::to_bytes;
use elbo::data::rows::{Rows, from_csv, from_npy};

use super::{Corpus, NAME, assert_all_refused, fixture};

fn csv(path: &Path, bytes: &[u8]) -> elbo::Result<Rows> {
    from_csv(path, bytes, &["z", "mean"])
}

fn rows(columns: usize, values: &[f32]) -> Rows {
    Rows { columns, values: values.to_vec() }
}

/// An array of this type, order and shape, with so many bytes of 7.
fn array(descr: &str, fortran: &str, shape: &str, body: usize) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}}}\n");
    let len = (text.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\0", len.as_slice(), text.as_bytes(), &vec![7; body]].concat()
}

#[rustfmt::skip]
fn malformed_arrays() -> Corpus {
    let f4 = |shape: &str, body| array("<f4", "False", shape, body);
    let good = to_bytes(&[2, 3], &[0.5; 6]).expect("an array");
    let with = |value: f32| to_bytes(&[2, 2], &[0.5, 0.5, value, 0.5]).expect("an array");
    vec![
        ("empty", vec![], "does not start with \\x93NUMPY"),
        ("text", b"0.5,0.5\n".to_vec(), "does not start with \\x93NUMPY"),
        ("an archive", b"PK\x03\x04".to_vec(), "does not start with \\x93NUMPY"),
        ("magic alone", good[..6].to_vec(), "version []"),
        ("cut in its header", good[..40].to_vec(), "bytes of header, expected"),
        ("cut", good[..good.len() - 1].to_vec(), "expected 24 bytes after the header, found 23"),
        ("no values", good[..good.len() - 24].to_vec(), "expected 24 bytes after the header, found 0"),
        ("too long", [good.as_slice(), &[0]].concat(), "expected 24 bytes after the header, found 25"),
        ("one axis", f4("(6,)", 24), "has the shape [6], expected [rows, columns]"),
        ("no axis", f4("()", 4), "has the shape [], expected [rows, columns]"),
        ("three axes", f4("(1, 2, 3)", 24), "has the shape [1, 2, 3], expected [rows, columns]"),
        ("four axes", f4("(1, 1, 2, 3)", 24), "expected [rows, columns]"),
        ("nine axes", f4("(1, 1, 1, 1, 1, 1, 1, 2, 3)", 24), "8 dimensions at the most"),
        ("no rows", f4("(0, 3)", 0), "has the shape [0, 3], expected 1 or more"),
        ("no columns", f4("(3, 0)", 0), "has the shape [3, 0], expected 1 or more"),
        ("sizes that overflow", f4("(4294967296, 4294967296)", 24), "more than 2^64 - 1"),
        ("sizes near overflow", f4("(4611686018427387904, 1)", 24), "found 24"),
        ("a size too large for 64 bits", f4("(18446744073709551616, 1)", 24), "dimensions from 0"),
        ("a negative size", f4("(-2, 3)", 24), "dimensions from 0"),
        ("bytes", array("|u1", "False", "(2, 3)", 6), "values of type `|u1`, expected floats"),
        ("integers", array("<i8", "False", "(2, 3)", 48), "values of type `<i8`, expected floats"),
        ("booleans", array("|b1", "False", "(2, 3)", 6), "values of type `|b1`, expected floats"),
        ("complex numbers", array("<c8", "False", "(2, 3)", 48), "type `<c8`, expected numbers"),
        ("objects", array("|O", "False", "(2, 3)", 48), "type `|O`, expected numbers"),
        ("an order that is none", array("<f4", "0", "(2, 3)", 24), "to be True or False"),
        ("NaN", with(f32::NAN), "value 2 is NaN"),
        ("infinite", with(f32::NEG_INFINITY), "value 2 is -inf"),
    ]
}

#[rustfmt::skip]
fn malformed_tables() -> Corpus {
    let text = |text: &str| text.as_bytes().to_vec();
    let wide = ",".repeat(1 << 18);
    vec![
        ("empty", vec![], "holds no line of numbers"),
        ("a mark alone", text("\u{feff}"), "holds no line of numbers"),
        ("blank lines", text("\n\r\n\n"), "holds no line of numbers"),
        ("names alone", text("z_0,z_1\n"), "holds no line of numbers"),
        ("zeros", vec![0; 50], "holds no line of numbers"),
        ("a word in the first line", text("1,x\n"), "line 1: `x` is no number, and not all fields are names"),
        ("an index above numbers", text(",0,1\n0,0.5,0.5\n"), "line 1: `` is no number"),
        ("a word in the second line", text("1,2\n3,x\n"), "line 2: `x` is no number"),
        ("a word among z", text("a,z_0\nx,1\nx,y\n"), "line 3: `y` is no number"),
        ("a word where all are read", text("a,b\n1,2\n1,y\n"), "line 3: `y` is no number"),
        ("a short line", text("1,2\n3\n"), "line 2: 1 fields, expected 2 as in the first line"),
        ("a long line", text("1,2\n3,4,5\n"), "line 2: more than 2 fields"),
        ("a long line behind z", text("z_0,a\n3,4,5\n"), "line 2: more than 2 fields"),
        ("fewer than names", text("a,z_0\n3\n"), "line 2: 1 fields, expected 2"),
        ("a comma at the end", text("1,2\n3,4,\n"), "line 2: more than 2 fields"),
        ("nothing between commas", text("1,2,3\n1,,3\n"), "line 2: `` is no number"),
        ("nothing for z", text("z_0,a\n,3\n"), "line 2: `` is no number"),
        ("NaN", text("1,2\n3,nan\n"), "line 2: `nan` is not finite"),
        ("NaN in the first line", text("1,nan\n"), "line 1: `nan` is not finite"),
        ("infinite", text("z_0\n-inf\n"), "line 2: `-inf` is not finite"),
        ("beyond f32", text("1\n1e39\n"), "line 2: `1e39` is not finite"),
        ("z from 1", text("z_1,z_2\n1,2\n"), "line 1: of 2 columns `z_…`"),
        ("a z left out", text("z_0,z_2\n1,2\n"), "look at `z_1` and the one before it"),
        ("a z twice", text("z_0,z_0\n1,2\n"), "line 1: of 2 columns `z_…`"),
        ("a mean twice", text("mean_0,mean_1,mean_1\n1,2,3\n"), "look at `mean_2`"),
        ("a z far away", text("z_0,z_18446744073709551615\n1,2\n"), "look at `z_1`"),
        ("semicolons", text("1;2\n3;4\n"), "line 2: `3;4` is no number"),
        ("a quote not closed", text(&format!("1,2\n\"{}\n", "3,4\n".repeat(20))), "a field of more than 64 characters"),
        ("a field without end", vec![b'1'; 100_000], "line 1: a field of more than 64 characters"),
        ("not UTF-8", b"1,2\n\xff\xfe,3\n".to_vec(), "line 2: `\u{fffd}` is no number"),
        ("an escape", text("1,2\n\u{1b}[2J,3\n"), "line 2: `\\u{1b}[2J` is no number"),
        ("too many columns", text(&wide), "more than 262144 columns"),
    ]
}

#[test]
fn malformed_files_are_refused() {
    assert_all_refused(&malformed_arrays(), from_npy);
    assert_all_refused(&malformed_tables(), csv);
}

#[test]
fn arrays_of_either_order_are_read() {
    let values: Vec<f32> = (0..6).map(|i| i as f32 * 0.5 - 1.0).collect();
    let written = to_bytes(&[2, 3], &values).expect("an array");
    assert_eq!(from_npy(Path::new(NAME), &written).expect("rows"), rows(3, &values));
    // By NumPy, of three images of eight pixels.
    let (path, file) = fixture("pixels.npy");
    let refused = from_npy(&path, &file).expect_err("bytes are no z").to_string();
    assert!(refused.contains("expected floats"), "{refused}");
    let mut turned = array("<f4", "True", "(2, 3)", 0);
    let column_by_column = [0, 3, 1, 4, 2, 5].map(|i| values[i]);
    turned.extend(column_by_column.iter().flat_map(|v| v.to_le_bytes()));
    assert_eq!(from_npy(Path::new(NAME), &turned).expect("rows"), rows(3, &values), "Fortran");
    let mut big = array(">f8", "False", "(3, 2)", 0);
    big.extend(values.iter().flat_map(|&v| f64::from(v).to_be_bytes()));
    assert_eq!(from_npy(Path::new(NAME), &big).expect("rows"), rows(2, &values), "big endian");
}

#[test]
fn arrays_are_written_as_numpy_does() {
    for (shape, says) in [
        ([6].as_slice(), "'shape': (6, ), }"),
        (&[2, 3], "'shape': (2, 3, ), }"),
        (&[1, 2, 3], "'shape': (1, 2, 3, ), }"),
    ] {
        let file = to_bytes(shape, &[1.5; 6]).expect("an array");
        let header = file.len() - 24;
        assert!(header.is_multiple_of(64), "values begin at {header}");
        let (start, text) = file[..header].split_at(10);
        assert_eq!(start[..8], *b"\x93NUMPY\x01\0", "version 1.0");
        assert_eq!(u16::from_le_bytes([start[8], start[9]]) as usize, text.len(), "its length");
        let text = str::from_utf8(text).expect("ASCII");
        let expected = format!("{{'descr': '<f4', 'fortran_order': False, {says}");
        assert_eq!(text.trim_end(), expected, "the header of {shape:?}");
        assert!(text.ends_with('\n'), "`{text}` ends its line");
    }
    let refused = to_bytes(&[2, 2], &[0.0; 6]).expect_err("six are not four").to_string();
    assert!(refused.contains("6 values are no array of the shape [2, 2]"), "{refused}");
    assert!(to_bytes(&[usize::MAX, 2], &[0.0; 6]).is_err(), "sizes that overflow");
}

#[test]
fn columns_are_chosen_by_their_names() {
    let half = rows(2, &[0.5, -1.0, 2.0, 3.0]);
    for text in [
        "0.5,-1\n2,3\n",
        "0.5,-1\r\n2,3",
        "\u{feff}z_0,z_1\n0.5,-1\n2,3\n",
        "a,b\n0.5,-1\n2,3\n",
        "mean_0,mean_1\n0.5,-1\n2,3\n",
        "image,mean_0,z_0,z_1\n0,9,0.5,-1\n1,9,2,3\n",
        // In the order of their numbers, wherever they stand.
        "z_1,z_0\n-1,0.5\n3,2\n",
        // What is not read may hold anything.
        ",label,mean_0,z_0,log_var_0,z_1\n7,cat,nan,0.5,inf,-1\n,,x,\" 2 \",,3\n",
        "z,z_,z_x,z_-1,mean_0,mean_1\nx,x,x,x,0.5,-1\nx,x,x,x,2,3\n",
    ] {
        let found = csv(Path::new(NAME), text.as_bytes()).expect(text);
        assert_eq!(found, half, "{text}");
    }
}
