//! Lines of numbers: headers, labels and forms of numbers that are read, and malformed files.

use std::path::Path;

use elbo::Dataset;
use elbo::data::formats::csv::read;

use super::{Corpus, NAME, assert_all_refused, by_file, bytes, floats, labelled};

fn from_bytes(path: &Path, bytes: &[u8]) -> elbo::Result<Dataset> {
    by_file(read)(path, bytes)
}

#[rustfmt::skip]
fn malformed() -> Corpus {
    let text = |text: &str| text.as_bytes().to_vec();
    let utf_16: Vec<u8> = "\u{feff}1,2\n3,4\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    vec![
        ("empty", vec![], "holds no line of numbers"),
        ("a mark alone", text("\u{feff}"), "holds no line of numbers"),
        ("blank lines", text("\n\r\n\n"), "holds no line of numbers"),
        ("a header alone", text("label,pixel0\n"), "holds no line of numbers"),
        ("names alone", text("pixel0,pixel1"), "holds no line of numbers"),
        ("a label alone", text("label\n3\n"), "line 1: no pixels beside the label"),
        ("a label in the middle", text("a,label,b\n1,2,3\n"), "line 1: the column `label` is not the first one"),
        ("a label at the end", text("0,1,Label\n1,2,3\n"), "the column `label` is not the first one"),
        ("an index", text(",p0,p1\n0,1,2\n"), "line 1: the first column has no name"),
        ("a word in the first line", text("1,x,3\n4,5,6\n"), "line 1: `x` is no number, and not all fields are names"),
        ("a word in the second line", text("1,2,3\n4,x,6\n"), "line 2: `x` is no number"),
        ("a word after blank lines", text("1,2\n\n\n3,x\n"), "line 4: `x` is no number"),
        ("names twice", text("a,b\na,b\n1,2\n"), "line 2: `a` is no number"),
        ("a short line", text("1,2,3\n4,5\n"), "line 2: 2 fields, expected 3 as in the first line"),
        ("a long line", text("1,2,3\n4,5,6,7\n"), "line 2: more than 3 fields"),
        ("a short last line", text("1,2,3\n4,5,6\n7"), "line 3: 1 fields, expected 3"),
        ("fewer than names", text("a,b,c\n1,2\n"), "line 2: 2 fields, expected 3"),
        ("more than names", text("a,b\n1,2,3\n"), "line 2: more than 2 fields"),
        ("a comma at the end", text("1,2\n3,4,\n"), "line 2: more than 2 fields"),
        ("nothing between commas", text("1,2,3\n4,,6\n"), "line 2: `` is no number"),
        ("commas alone", text(",,,\n,,,\n"), "line 1: the first column has no name"),
        ("NaN", text("1,2\n3,NaN\n"), "line 2: `NaN` is not finite"),
        ("infinite", text("1,2\n-inf,4\n"), "line 2: `-inf` is not finite"),
        ("beyond f32", text("1,2\n3,1e39\n"), "line 2: `1e39` is not finite"),
        ("semicolons", text("1;2;3\n4;5;6\n"), "line 2: `4;5;6` is no number"),
        ("tabs", text("1\t2\n3\t4\n"), "line 2: `3\\t4` is no number"),
        ("decimal commas", text("\"1,5\";\"2,5\"\n\"1,5\";\"2,5\"\n"), "is no number"),
        ("a quote not closed", text(&format!("1,2\n\"{}\n", "3,4\n".repeat(20))), "a field of more than 64 characters"),
        ("a field without end", vec![b'1'; 100_000], "line 1: a field of more than 64 characters"),
        ("hexadecimal", text("1,2\n0x10,3\n"), "`0x10` is no number"),
        ("thousands", text("1,2\n1_000,3\n"), "`1_000` is no number"),
        ("UTF-16", utf_16, "is no number"),
        ("not UTF-8", b"1,2\n\xff\xfe,3\n".to_vec(), "line 2: `\u{fffd}` is no number"),
        ("zeros", vec![0; 50], "holds no line of numbers"),
        ("a negative label", text("label,a\n1,2\n-1,3\n"), "line 3: the label is `-1`, expected an integer from 0 to 255"),
        ("a label too many", text("label,a\n256,2\n"), "line 2: the label is `256`"),
        ("a word as a label", text("label,a\ncat,2\n"), "the label is `cat`"),
        ("a fraction as a label", text("label,a\n1.5,2\n"), "the label is `1.5`"),
        ("no label", text("label,a\n1,2\n,2\n"), "line 3: the label is ``"),
        ("a label beyond all", text("label,a\n18446744073709551616,2\n"), "the label is `18446744073709551616`"),
        ("an escape", text("1,2\n\u{1b}[2J,3\n"), "line 2: `\\u{1b}[2J` is no number"),
    ]
}

#[test]
fn malformed_files_are_refused() {
    assert_all_refused(&malformed(), from_bytes);
}

#[test]
fn bytes_are_read() {
    let expected = bytes([2, 2], vec![0, 1, 2, 255, 4, 5, 6, 7]);
    for text in [
        "0,1,2,255\n4,5,6,7\n",
        "0,1,2,255\n4,5,6,7",
        "0,1,2,255\r\n4,5,6,7\r\n",
        "\u{feff}0,1,2,255\n4,5,6,7\n",
        "\n0,1,2,255\n\n\n4,5,6,7\n\n",
        " 0, 1 ,2,255\n4,5,\t6,7 \n",
        "\"0\",\"1\",2,255\n4,5,6,7\n",
        "a,b,c,d\n0,1,2,255\n4,5,6,7\n",
    ] {
        let data = from_bytes(Path::new(NAME), text.as_bytes()).expect(text);
        assert_eq!(data, expected, "{text}");
    }
}

#[test]
fn labels_are_read() {
    let expected = labelled(bytes([2, 2], vec![0, 1, 2, 255, 4, 5, 6, 7]), &[9, 255]);
    for text in [
        "label,1x1,1x2,2x1,2x2\n9,0,1,2,255\n255,4,5,6,7\n",
        "Label,0,1,2,999\r\n009,0,1,2,255\r\n255,4,5,6,7",
        "\"label\",a,b,c,d\n\"9\",0,1,2,255\n 255 ,4,5,6,7\n",
    ] {
        let data = from_bytes(Path::new(NAME), text.as_bytes()).expect(text);
        assert_eq!(data, expected, "{text}");
    }
    // Labels make neither floats nor black and white of the pixels.
    let data = from_bytes(Path::new(NAME), b"label,a,b\n7,0,1\n0,0.5,1\n").expect("floats");
    assert_eq!(data, labelled(floats([1, 2], vec![0.0, 1.0, 0.5, 1.0]), &[7, 0]), "floats");
    let data = from_bytes(Path::new(NAME), b"label,a,b\n7,0,1\n1,1,0\n").expect("masks");
    assert_eq!(data, labelled(bytes([1, 2], vec![0, 255, 255, 0]), &[7, 1]), "masks");
}

#[test]
fn other_numbers_are_read() {
    let read = |text: &str| from_bytes(Path::new(NAME), text.as_bytes()).expect(text);
    // One number that is no byte makes floats of all.
    assert_eq!(
        read("0,1,2\n3,4,256\n"),
        floats([1, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 256.0]),
        "256"
    );
    assert_eq!(read("7\n-1\n"), floats([1, 1], vec![7.0, -1.0]), "-1");
    assert_eq!(read("0,0.5\n1e-1,.25\n"), floats([1, 2], vec![0.0, 0.5, 0.1, 0.25]), "fractions");
    // A column is left out only if it is called so.
    assert_eq!(read("5,1,2\n6,3,4\n"), bytes([1, 3], vec![5, 1, 2, 6, 3, 4]), "no header");
    // Black and white.
    assert_eq!(read("0,1\n1,0\n"), bytes([1, 2], vec![0, 255, 255, 0]), "0 and 1");
    assert_eq!(read("0,1\n1,2\n"), bytes([1, 2], vec![0, 1, 1, 2]), "0 to 2");
}
