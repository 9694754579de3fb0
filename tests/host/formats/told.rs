//! What is made of tables and said of them: separators, headers, indices, classes and groups.

use std::fs;
use std::path::Path;

use elbo::config::{Config, DataConfig, ImageSize, Range};
use elbo::data::Sources;
use elbo::data::formats::table::read;
use elbo::{Dataset, ErrorKind};
use flate2::{Compression, write::GzEncoder};

use super::{NAME, bytes, floats, labelled};

fn with(change: impl FnOnce(&mut DataConfig)) -> DataConfig {
    let mut config = DataConfig::default();
    change(&mut config);
    config
}

fn label(column: &str) -> DataConfig {
    with(|config| config.label_column = Some(column.to_owned()))
}

fn of(text: &str, config: &DataConfig) -> Dataset {
    let path = Path::new(NAME);
    read(path, text.as_bytes(), config).expect(text).by_file(path).expect(text)
}

/// The images of a file as numbers, and what is said of them.
fn opened(name: &str, content: &[u8], data: DataConfig) -> (Dataset, Vec<String>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    fs::write(&path, content).expect("the temporary folder takes a file");
    let config = Config { data: DataConfig { range: Range::None, ..data }, ..Config::default() };
    let sources = Sources { test: Some(&path), ..Sources::new(&path, &config) };
    let opened = sources.open().expect(name);
    (opened.train, opened.said)
}

#[track_caller]
fn said(text: &str, config: DataConfig) -> String {
    opened("x.csv", text.as_bytes(), config).1.join("\n")
}

#[track_caller]
fn refused(text: &str, config: &DataConfig, says: &str, advice: &str) {
    let error = read(Path::new(NAME), text.as_bytes(), config).expect_err(text);
    let (found, hint) = (error.to_string(), error.advice().unwrap_or_default());
    assert_eq!(error.kind(), ErrorKind::Data, "the kind of `{found}`");
    assert!(found.contains(says), "`{found}` does not say `{says}`");
    assert!(hint.contains(advice), "`{hint}` does not say `{advice}`");
}

#[test]
fn separators_are_told_from_the_content() {
    let plain = DataConfig::default();
    let expected = floats([1, 3], vec![0.5, -2.0, 3.0, 4.0, 5.25, 6.0]);
    for (text, note) in [
        ("0.5,-2,3\n4,5.25,6\n", ""),
        ("0.5,-2,3,\n4,5.25,6,\n", ""),
        ("a,b,c\n0.5,-2,3,\n4,5.25,6,", ""),
        ("a,b,c,\r\n0.5,-2,3,\r\n4,5.25,6, \r\n", ""),
        ("0.5, -2, 3\n4, 5.25, 6\n", ""),
        ("\"0.5\", \"-2\",3\n4,5.25,6\n", ""),
        ("0.5;-2;3\n4;5.25;6\n", "semicolons divide the fields"),
        (
            "a;b;c\n0,5;-2;3\n4;5,25;6\n",
            "semicolons divide the fields, and decimals are behind commas",
        ),
        ("0,5;-2;3;\n4;5,25;6;\n", "and decimals are behind commas"),
        ("\"0,5\",\"-2\",3\n4,\"5,25\",6\n", "decimals are behind commas"),
        ("0.5\t-2\t3\n4\t5.25\t6\n", "tabs divide the fields"),
        ("0,5\t-2\t3\n4\t5,25\t6\n", "tabs divide the fields, and decimals are behind commas"),
        ("  0.5   -2 \t3 \n 4 5.25 6\n\n", "white space divides the fields"),
        ("0,5 -2 3\n4 5,25 6\n", "white space divides the fields, and decimals are behind commas"),
        ("\"a b\" \"c\" \"d\"\n0.5 -2 3\n4 5.25 6\n", "white space divides the fields"),
        ("# exported 2024\n0.5,-2,3\n% and more\n4,5.25,6\n", ""),
        ("# a b c\n0.5 -2 3\n4 5.25 6\n", "the last comment is taken for the columns' names"),
        ("\u{feff}\"a\",\"b\",\"c\"\r\n0.5,-2,3\r\n\r\n4,5.25,6", ""),
    ] {
        assert_eq!(of(text, &plain), expected, "{text:?}");
        let said = said(text, plain.clone());
        assert!(said.contains(note) && (said.is_empty() == note.is_empty()), "{text:?}: `{said}`");
    }
    assert_eq!(of("1,5\n2,6\n", &plain), bytes([1, 2], vec![1, 5, 2, 6]), "commas divide");
    let thousands = of("1,234;0,5\n2,345;6\n", &plain);
    assert_eq!(thousands, floats([1, 2], vec![1.234, 0.5, 2.345, 6.0]), "another number tells");
}

#[test]
fn headers_are_no_images() {
    let plain = DataConfig::default();
    for (text, expected, note) in [
        ("0,1,2,3\n5.5,6,7,8\n", floats([2, 2], vec![5.5, 6.0, 7.0, 8.0]), "the first line counts"),
        ("0,1\n5.5,6.0\n", floats([1, 2], vec![5.5, 6.0]), "the first line counts from 0"),
        ("0,1\n1,0\n", bytes([1, 2], vec![0, 255, 255, 0]), ""),
        (
            ",0,1\n0,7,8\n1,9,2\n",
            bytes([1, 2], vec![7, 8, 9, 2]),
            "has no name, tells the lines apart",
        ),
        (
            "Unnamed: 0,a,b\n4,7,8\n2,9,2\n",
            bytes([1, 2], vec![7, 8, 9, 2]),
            "the column `Unnamed: 0` tells",
        ),
        (
            "\"a\" \"b\"\n\"1\" 7 8\n\"2\" 9 2\n",
            bytes([1, 2], vec![7, 8, 9, 2]),
            "the first column, which has no name",
        ),
        (
            ",A,B\nCELL0,7,8\nCELL1,9,2\n",
            bytes([1, 2], vec![7, 8, 9, 2]),
            "which has no name, tells the lines apart",
        ),
        (
            "id,A,B\nS0,7,8\nS1,9,2\n",
            bytes([1, 2], vec![7, 8, 9, 2]),
            "the column `id` tells the lines apart",
        ),
        ("id,A,B\n3,7,8\n3,9,2\n", bytes([1, 3], vec![3, 7, 8, 3, 9, 2]), ""),
        ("t,A,B\n0,7,8\n1,9,2\n", bytes([1, 3], vec![0, 7, 8, 1, 9, 2]), ""),
    ] {
        assert_eq!(of(text, &plain), expected, "{text}");
        let said = said(text, plain.clone());
        assert!(said.contains(note) && (said.is_empty() == note.is_empty()), "{text}: `{said}`");
    }
    let lines: String = (0..12).map(|i| format!("{i},7,{}\n", 100 + i)).collect();
    let values = (0..12).flat_map(|i| [7, 100 + i]).collect();
    assert_eq!(of(&lines, &plain), bytes([1, 2], values), "lines that count");
    refused("id,A\nx,1\nx,2\n", &plain, "line 2, column `id` is `x`", "leave the column out");
}

#[test]
fn labels_are_found_by_name() {
    let plain = DataConfig::default();
    let expected = labelled(bytes([1, 2], vec![7, 8, 9, 2]), &[5, 0]);
    for text in [
        "label,a,b\n5,7,8\n0,9,2\n",
        "a,b,Class\n7,8,5\n9,2,0\n",
        "a,b,target\n7,8,5.0\n9,2,0.0\n",
        "Y;a;b\n5,0;7;8\n0,0;9;2\n",
        ",y,a,b\n0,5,7,8\n1,0,9,2\n",
        "0,1,label\n7,8,5\n9,2,0\n",
    ] {
        assert_eq!(of(text, &plain), expected, "{text}");
        let said = said(text, plain.clone());
        assert!(said.contains("is taken for labels; `--label-column none`"), "{text}: `{said}`");
    }
    let named = |text: &str, names: [&str; 2], values: [u8; 2]| {
        let data = of(text, &plain);
        assert_eq!(data.labels(), Some(values.as_slice()), "{text}");
        assert_eq!(data.class_names(), Some(names.map(str::to_owned).as_slice()), "{text}");
    };
    named("label,a\ndog,1\ncat,2\n", ["cat", "dog"], [1, 0]);
    named("label,a\n1,1\n-1.0,2\n", ["-1", "1"], [1, 0]);
    // A coordinate is no class, unless it is said.
    assert_eq!(of("x,y\n1,2\n3,4\n", &plain), bytes([1, 2], vec![1, 2, 3, 4]), "x and y");
    // What cannot be used is left out, and who needs it is told.
    let many: String = (0..300).map(|i| format!("7,{i}.5\n")).collect();
    for (text, fault) in [
        (format!("a,y\n{many}"), "there are more than 256 different classes"),
        ("a,y\n7,1\n7,\n".to_owned(), "line 3 has no class"),
        ("a,y\n7,1\n7,\u{fffd}\n".to_owned(), "line 3 has a class that is no UTF-8"),
    ] {
        let data = of(&text, &plain);
        assert_eq!((data.size(), data.labels()), ([1, 1].into(), None), "{fault}");
        let expected = format!("the labels of the column `y`: {fault}");
        assert_eq!(data.label_fault(), Some(expected.as_str()), "{fault}");
        assert!(said(&text, plain.clone()).contains(fault), "{fault}");
        refused(&text, &label("y"), fault, "`--label-column none` has no class");
    }
}

#[test]
fn labels_are_read_where_they_are_said_to_be() {
    let expected = labelled(bytes([1, 2], vec![7, 8, 9, 2]), &[5, 0]);
    for (text, column) in [
        ("7,8,5\n9,2,0\n", "last"),
        ("5,7,8\n0,9,2\n", "first"),
        ("a,Digit,b\n7,5,8\n9,0,2\n", "digit"),
        ("a,first,b\n7,5,8\n9,0,2\n", "first"),
        (",k,a,b\n0,5,7,8\n1,0,9,2\n", "first"),
        ("id,a,b\n5,7,8\n0,9,2\n", "id"),
        ("5 7 8\n0 9 2\n", "first"),
    ] {
        assert_eq!(of(text, &label(column)), expected, "{text}");
    }
    let words = of("dog,1,2\ncat,3,4\n", &label("first"));
    assert_eq!(words.labels(), Some([1, 0].as_slice()), "words without a header");
    let none = of("label,a,b\n5,7,8\n", &label("none"));
    assert_eq!(none, bytes([1, 3], vec![5, 7, 8]), "no label");
    refused(
        "a,b\n1,2\n",
        &label("c"),
        "has no column `c`; its columns are `a`, `b`",
        "one of them",
    );
    refused("1,2\n3,4\n", &label("c"), "has no line of names", "`--label-column first` or");
    refused("c,b,c\n1,2,3\n", &label("c"), "has the column `c` more than once", "of its own");
    refused(
        "a,label,b\n1,2,3\n",
        &DataConfig::default(),
        "in the middle",
        "`--label-column label`",
    );
    refused("a,sex\n1,f\n", &DataConfig::default(), "`f`, no number", "say `--label-column sex`");
    refused("1,f\n2,m\n", &DataConfig::default(), "`f`, no number", "say `--label-column last`");
}

/// Squares of 4 x 4 with one value more.
fn squares(first: impl Fn(usize) -> String, last: impl Fn(usize) -> String) -> String {
    let line = |i| format!("{}{}{}\n", first(i), ",3".repeat(15), last(i));
    (0..40).map(line).collect()
}

#[test]
fn one_value_more_than_a_square_may_be_the_class() {
    let plain = DataConfig::default();
    let class = |i: usize| (i % 4).to_string();
    let (none, zero) = (|_| String::new(), |_| ",0".to_owned());
    let first = squares(class, zero);
    let data = of(&first, &plain);
    assert_eq!(data.size(), [4, 4].into(), "squares");
    let expected: Vec<u8> = (0..40).map(|i| i % 4).collect();
    assert_eq!(data.labels(), Some(expected.as_slice()), "the first column");
    let note = said(&first, plain.clone());
    assert!(
        note.contains("17 values, which is 4 × 4 and one more: the first one is taken"),
        "{note}"
    );
    assert!(note.contains("of 4 classes; `--label-column none` makes it a pixel"), "{note}");
    let last = squares(|_| "0".to_owned(), |i| format!(",{}.0", i % 4));
    assert_eq!(of(&last, &plain).labels(), Some(expected.as_slice()), "the last column");
    assert_eq!(of(&first, &label("none")).size(), [1, 17].into(), "a pixel");
    // What could be either, or is none, stays what it is.
    let warns = "if that is the class, `--label-column first` or `--label-column last` says so";
    for (case, text) in [
        ("both", squares(class, |i| format!(",{}", i % 3))),
        ("neither", squares(|_| "3".to_owned(), zero)),
        ("too many", squares(|i| i.to_string(), zero).replacen("0,", "9,", 1)),
        ("a fraction", squares(|i| format!("{}.5", i % 4), zero)),
    ] {
        let data = of(&text, &plain);
        assert_eq!((data.size(), data.labels()), ([1, 17].into(), None), "{case}");
        let note = said(&text, plain.clone());
        assert!(note.contains(warns), "{case}: `{note}`");
    }
    let named =
        format!("{}\n{first}", (0..17).map(|i| format!("p{i}")).collect::<Vec<_>>().join(","));
    assert!(said(&named, plain.clone()).contains("`--label-column NAME` says so"), "names");
    let curves: String = (0..9).map(|i| format!("{i}.5,2.25,-1.5,{}\n", i % 2)).collect();
    let note = said(&curves, plain.clone());
    assert!(note.contains("the last column alone holds whole numbers, 2 different ones"), "{note}");
    assert!(said(&squares(none, none).replace("\n,", "\n")[1..], plain).is_empty(), "15 values");
}

#[test]
fn groups_are_no_pixels_and_are_not_divided() {
    let lines: String = (0..60).map(|i| format!("p{},{i},9\n", i / 3)).collect();
    let text = format!("patient,a,b\n{lines}");
    let config = with(|config| config.group_column = Some("patient".to_owned()));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("x.csv");
    fs::write(&path, &text).expect("the temporary folder takes a file");
    let all = Config { data: config.clone(), ..Config::default() };
    let opened = Sources::new(&path, &all).open();
    let opened = opened.expect("sixty images");
    assert_eq!((opened.train.size(), opened.test.len()), ([1, 2].into(), 6), "a tenth of pairs");
    // A group is three lines, each of another image.
    assert_eq!((opened.train.len() % 3, opened.test.len() % 3), (0, 0), "whole groups");
    refused(
        "g,a\n,1\n",
        &with(|c| c.group_column = Some("g".to_owned())),
        "line 2, column `g` has no group",
        "`--group-column`",
    );
    let both =
        with(|c| (c.group_column, c.label_column) = (Some("g".to_owned()), Some("g".to_owned())));
    refused("g,a\n1,1\n", &both, "the column `g` for the class and for the group", "two columns");
}

#[test]
fn images_have_the_size_that_is_said() {
    let sized = |size: ImageSize| with(|config| config.image_size = Some(size));
    let text = "1,2,3,4,5,6\n7,8,9,10,11,12\n";
    assert_eq!(of(text, &sized([2, 3].into())).size(), [2, 3].into(), "2 x 3");
    assert_eq!(of(text, &sized([1, 2, 3].into())).size(), [1, 2, 3].into(), "in colour");
    refused(
        text,
        &sized([2, 2].into()),
        "has 6 values a line, and images of 2 × 2 have 4",
        "`--image-size`",
    );
    let note = said("1,2,3,4\n", DataConfig::default());
    assert_eq!(
        note, "rows of 4 values are taken for 2 × 2 pixels; `--image-size` says otherwise",
        "squares"
    );
    let colour = format!("1{}\n", ",2".repeat(191));
    assert!(
        said(&colour, DataConfig::default()).contains("`--image-size 8x8x3` takes them for colour"),
        "colour"
    );
}

#[test]
fn floats_and_integers_are_read_alike_and_endings_are_known() {
    let lines = |point: &str| -> String {
        (0..30)
            .map(|i| format!("{}{point},16{point},{}{point},0{point}\n", i % 17, i / 17))
            .collect()
    };
    let fingerprints = |text: &str| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("x.csv");
        fs::write(&path, text).expect("the temporary folder takes a file");
        let config = Config::default();
        let sources = Sources::new(&path, &config);
        let opened = sources.open().expect("thirty images");
        [
            opened.train.fingerprint().expect("a fingerprint"),
            opened.test.fingerprint().expect("a fingerprint"),
        ]
    };
    assert_eq!(fingerprints(&lines("")), fingerprints(&lines(".0")), "with and without a point");
    let text = b"0.5 1\n0.25 3\n";
    let mut gz = GzEncoder::new(Vec::new(), Compression::default());
    std::io::Write::write_all(&mut gz, text).expect("memory takes what is written");
    let packed = gz.finish().expect("an end");
    let expected = opened("x.csv", text, DataConfig::default()).0;
    for name in ["x.tsv", "x.TXT", "x.amat", "x.data", "x.dat"] {
        assert_eq!(opened(name, text, DataConfig::default()).0, expected, "{name}");
    }
    for name in ["x.csv.gz", "x", "x.npy"] {
        assert_eq!(opened(name, &packed, DataConfig::default()).0, expected, "{name}");
    }
}
