//! Tables as they were read before there was a choice, and malformed ones.

use std::path::Path;

use elbo::Dataset;
use elbo::config::DataConfig;
use elbo::data::formats::table::read;

use super::{Corpus, NAME, assert_all_refused, by_file, bytes, floats, labelled};

/// As runs before 0.2 read.
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
        ("blank lines", text("\n\r\n \n"), "holds no line of numbers"),
        ("a header alone", text("label,pixel0\n"), "holds no line of numbers"),
        ("names alone", text("pixel0,pixel1"), "holds no line of numbers"),
        ("comments alone", text("# a\n% b\n"), "holds no line of numbers"),
        ("a label alone", text("label\n3\n"), "has no pixels beside the label"),
        ("a label in the middle", text("a,label,b\n1,2,3\n"), "has the column `label` in the middle"),
        ("two labels", text("label,a,class\n1,2,3\n"), "has the columns `label` and `class`, of which more than one"),
        ("an index that is none", text(",p0,p1\n7,1,2\n7,1,2\n"), "the first column has no name, and does not tell the lines apart"),
        ("a column without a name", text("p0,p1\n7,1,2\n7,1,2\n"), "the first line has 2 names, and the others have 3 fields"),
        ("a word in the first line", text("1,x,3\n4,5,6\n"), "line 1, column 2 is `x`, no number"),
        ("a word in the second line", text("1,2,3\n4,x,6\n"), "line 2, column 2 is `x`, no number"),
        ("a word after blank lines", text("1,2\n\n\n3,x\n"), "line 4, column 2 is `x`, no number"),
        ("a word behind a comment", text("# a\n1,2\n# b,c\n3,x\n"), "line 4, column 2 is `x`, no number"),
        ("words of a column", text("a,sex\n1,f\n2,m\n"), "line 2, column `sex` is `f`, no number"),
        ("words without names", text("cat,1,2\ndog,3,4\n"), "line 1, column 1 is `cat`, no number"),
        ("names twice", text("a,b\na,b\n1,2\n"), "line 2, column `a` is `a`, no number"),
        ("a short line", text("1,2,3\n4,5\n"), "line 2: 2 fields, expected 3 as in the first line"),
        ("a long line", text("1,2,3\n4,5,6,7\n"), "line 2: 4 fields, expected 3"),
        ("a short last line", text("1,2,3\n4,5,6\n7"), "line 3: 1 fields, expected 3"),
        ("fewer than names", text("a,b,c\n1,2\n"), "line 2: 2 fields, expected 3"),
        ("more than names", text("a,b\n1,2,3,4\n"), "line 2: 4 fields, expected 2"),
        ("a comma at one end", text("1,2\n3,4,\n5,6\n"), "line 2: 3 fields, expected 2"),
        ("nothing between commas", text("1,2,3\n4,,6\n"), "line 2, column 2 is empty"),
        ("nothing at some ends", text("a,b\n1,\n2,\n"), "line 2, column `b` is empty"),
        ("commas alone", text(",,,\n,,,\n"), "line 1, column 1 is empty"),
        ("NaN", text("a,b\n3,NaN\n"), "line 2, column `b` is `NaN`, so its value is missing"),
        ("NA", text("age,b\nna,4\n"), "line 2, column `age` is `na`, so its value is missing"),
        ("null", text("1,2\n3,null\n"), "line 2, column 2 is `null`, so its value is missing"),
        ("#N/A", text("1,2\n#N/A,3\n"), "line 2, column 1 is `#N/A`, so its value is missing"),
        ("a dash", text("1 2\n- 3\n"), "line 2, column 1 is `-`, so its value is missing"),
        ("missing at first", text("NA,NaN\n1,2\n"), "line 1, column 1 is `NA`, so its value is missing"),
        ("nothing between tabs", text("1\t2\t3\n\t5\t6\n"), "line 2, column 1 is empty"),
        ("infinite", text("1,2\n-inf,4\n"), "line 2, column 1 is `-inf`, expected a finite number"),
        ("beyond f32", text("1,2\n3,1e39\n"), "line 2, column 2 is `1e39`, expected a finite number"),
        ("two separators", text("1,2,3\n4;5;6\n7,8,9\n"), "line 2: 1 fields, expected 3"),
        ("a separator of another kind", text("1|2\n3|4\n"), "line 2, column `1|2` is `3|4`, no number"),
        ("thousands", text("\"1,000.5\",\"2,000.5\"\n\"1,000.5\",\"2,000.5\"\n"), "line 1, column 1 is `1,000.5`, with commas between its thousands"),
        ("thousands or decimals", text("1,234;5\n2,345;6\n"), "line 1: `1,234` is 1.234 or 1234, and no other number says which"),
        ("decimals both ways", text("1,5;2.5\n2,5;3\n"), "line 1, column 1 is `1,5`, whose comma is no point"),
        ("a quote not closed", text(&format!("1,2\n\"{}\n", "3,4\n".repeat(80))), "a field of more than 256 characters"),
        ("a field without end", vec![b'1'; 100_000], "line 1: a field of more than 256 characters"),
        ("a run without end", [b"1 2\n".to_vec(), vec![b'1'; 1000]].concat(), "line 2: a field of more than 256"),
        ("hexadecimal", text("1,2\n0x10,3\n"), "`0x10`, no number"),
        ("thousands of programs", text("1,2\n1_000,3\n"), "`1_000`, no number"),
        ("UTF-16", utf_16, "is text in UTF-16"),
        ("not UTF-8", b"1,2\n\xff\xfe,3\n".to_vec(), "line 2, column 1 is `\u{fffd}`, no number"),
        ("zeros", vec![0; 50], "holds bytes of zero"),
        ("an escape", text("1,2\n\u{1b}[2J,3\n"), "line 2, column 1 is `\\u{1b}[2J`, no number"),
        ("an escape in a name", text("\u{1b}[2J,b\nx,3\n"), "line 2, column `\\u{1b}[2J` is `x`, no number"),
    ]
}

#[test]
fn malformed_files_are_refused() {
    let load = |path: &Path, bytes: &[u8]| read(path, bytes, &DataConfig::default());
    assert_all_refused(&malformed(), load);
    // Not before there was a choice either, whatever is said.
    for (case, file, _) in malformed() {
        assert!(from_bytes(Path::new(NAME), &file).is_err() || case == "two labels", "{case}");
    }
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
    // No guess is made.
    assert_eq!(read("0,1,2,3\n"), bytes([2, 2], vec![0, 1, 2, 3]), "0, 1, 2 and 3");
    let index: String = (0..20).map(|i| format!("{i},7\n")).collect();
    let values: Vec<u8> = (0..20).flat_map(|i| [i, 7]).collect();
    assert_eq!(read(&index), bytes([1, 2], values), "lines that count");
    assert_eq!(read("id,y\n1,2\n5,6\n"), bytes([1, 2], vec![1, 2, 5, 6]), "other names");
    let line = |class| format!("{class}{}\n", ",9".repeat(16));
    let square: String = (0..8).map(|i| line(i % 2)).collect();
    let values = (0..8).flat_map(|i| [vec![i % 2], vec![9; 16]].concat()).collect();
    assert_eq!(read(&square), bytes([1, 17], values), "a square and one more");
    assert_eq!(read("1.0,2\n"), floats([1, 2], vec![1.0, 2.0]), "a whole number with a point");
    // A column is left out only if it is called so.
    assert_eq!(read("5,1,2\n6,3,4\n"), bytes([1, 3], vec![5, 1, 2, 6, 3, 4]), "no header");
    // Black and white.
    assert_eq!(read("0,1\n1,0\n"), bytes([1, 2], vec![0, 255, 255, 0]), "0 and 1");
    assert_eq!(read("0,1\n1,2\n"), bytes([1, 2], vec![0, 1, 1, 2]), "0 to 2");
}
