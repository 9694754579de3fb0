//! Sparse matrices, as Matrix Market files and as `scipy` saves them, and malformed ones.

use std::io::{Cursor, Write};
use std::path::Path;

use elbo::Dataset;
use elbo::config::{DataConfig, Layout};
use elbo::data::formats::{market, npz};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::{Corpus, NAME, assert_all_refused, assert_refusal, bytes, fixture, floats};

const COUNTS: [f32; 12] = [0.0, 3.0, 0.0, 7.0, 0.0, 0.0, 0.0, 0.0, 300.0, 0.0, 1.0, 0.0];

fn config(layout: Option<Layout>) -> DataConfig {
    DataConfig { layout, ..DataConfig::default() }
}

fn from_market(path: &Path, bytes: &[u8]) -> elbo::Result<Dataset> {
    market::read(path, bytes, &DataConfig::default())?.by_file(path)
}

fn from_npz(path: &Path, bytes: &[u8]) -> elbo::Result<Dataset> {
    npz::read(path, bytes, &DataConfig::default())?.train.by_file(path)
}

/// The matrix of the fixtures, by rows or by columns.
fn expected(turned: bool) -> Dataset {
    let at = |i: usize| COUNTS[if turned { i % 3 * 4 + i / 3 } else { i }];
    floats(if turned { [1, 3] } else { [1, 4] }, (0..12).map(at).collect())
}

#[test]
fn rows_or_columns_are_images() {
    for name in ["counts.mtx", "dense.mtx", "csr.npz", "csc.npz"] {
        let (path, file) = fixture(name);
        for (layout, turned) in
            [(None, false), (Some(Layout::Nhwc), false), (Some(Layout::Hwn), true)]
        {
            let config = config(layout);
            let raw = match name.ends_with("mtx") {
                true => market::read(&path, &file, &config),
                false => npz::read(&path, &file, &config).map(|found| found.train),
            };
            let data = raw.expect(name).by_file(&path).expect(name);
            assert_eq!(data, expected(turned), "{name}, {layout:?}");
        }
    }
    let (path, file) = fixture("pattern.mtx");
    let ones = COUNTS.map(|count| u8::from(count > 0.0) * 255);
    assert_eq!(from_market(&path, &file).expect("ones"), bytes([1, 4], ones.to_vec()), "a pattern");
    let twice =
        b"%%MatrixMarket matrix coordinate real general\r\n2 1 3\r\n1 1 2\r\n1 1 3\r\n2 1 .5\r\n";
    let sums = from_market(Path::new(NAME), twice).expect("an entry twice");
    assert_eq!(sums, floats([1, 1], vec![5.0, 0.5]), "entries of one place are added up");
    for (name, says) in [("refused_coo.npz", "format `coo`"), ("refused_bsr.npz", "format `bsr`")] {
        let (path, file) = fixture(name);
        assert_refusal(name, &from_npz(&path, &file).expect_err(name), name, says);
    }
}

#[rustfmt::skip]
fn malformed() -> Corpus {
    let file = |form: &str, rest: &str| format!("%%MatrixMarket matrix {form}\n{rest}").into_bytes();
    let of = |rest: &str| file("coordinate real general", rest);
    let all = |rest: &str| file("array integer general", rest);
    vec![
        ("empty", vec![], "line 1: expected `%%MatrixMarket matrix`"),
        ("a word alone", b"%%MatrixMarket".to_vec(), "line 1: expected `%%MatrixMarket matrix`"),
        ("no matrix", b"%%MatrixMarket vector coordinate real general\n1 1 1\n1 1 1\n".to_vec(), "line 1: expected"),
        ("a header alone", of(""), "expected the numbers of rows, columns and entries"),
        ("comments alone", of("% a\n%b\n"), "expected the numbers of rows, columns and entries"),
        ("two sizes", of("2 2\n1 1 1\n"), "line 2: expected the numbers of rows, columns and entries"),
        ("three sizes", all("2 2 2\n"), "line 2: expected the numbers of rows and columns"),
        ("a size below 0", of("-2 2 1\n1 1 1\n"), "line 2: expected the numbers"),
        ("a size of a word", of("a b c\n"), "line 2: expected the numbers"),
        ("complex", file("coordinate complex general", "1 1 1\n1 1 1 1\n"), "holds `coordinate complex`"),
        ("pattern of all", file("array pattern general", "1 1\n"), "holds `array pattern`"),
        ("symmetric", file("coordinate real symmetric", "1 1 1\n1 1 1\n"), "the matrix is `symmetric`"),
        ("no rows", of("0 5 0\n"), "has 0 rows of 5 values"),
        ("no columns", of("5 0 0\n"), "has 5 rows of 0 values"),
        ("row 0", of("2 2 1\n0 1 5\n"), "line 3: the row is `0`, expected 1 or more"),
        ("column 3", of("2 2 1\n1 3 5\n"), "line 3: there is an entry outside the 2 rows of 2 columns"),
        ("row 3", of("2 2 1\n% a\n3 1 5\n"), "line 4: there is an entry outside"),
        ("a row beyond all", of("2 2 1\n18446744073709551615 1 5\n"), "line 3: there is an entry outside"),
        ("a row that is too long", of("2 2 1\n18446744073709551616 1 5\n"), "line 3: the row is"),
        ("a row of a word", of("2 2 1\n\u{1b}[2J 1 5\n"), "line 3: the row is `\\u{1b}[2J`"),
        ("no column", of("2 2 1\n1\n"), "line 3: ends before the column"),
        ("no value", of("2 2 1\n1 1\n"), "line 3: ends before the value"),
        ("a word too many", of("2 2 1\n1 1 5 6\n"), "line 3: `6` is one word too many"),
        ("NaN", of("2 2 1\n1 1 nan\n"), "line 3: the value is `nan`"),
        ("beyond f32", of("2 2 1\n1 1 1e39\n"), "line 3: the value is `1e39`"),
        ("a sum beyond f32", of("2 2 2\n1 1 3e38\n1 1 3e38\n"), "line 4: there is an entry that is not finite"),
        ("too few entries", of("2 2 3\n1 1 5\n"), "holds 1 entries, expected 3"),
        ("too many entries", of("2 2 1\n1 1 5\n1 2 5\n"), "line 4: goes on behind the 1 entries"),
        ("too few values", all("2 2\n1\n2\n3\n"), "holds 3 entries, expected 4"),
        ("too many values", all("1 1\n1\n2\n"), "line 4: goes on behind the 1 entries"),
        ("entries that no file holds", of("2 2 1000000000000\n1 1 5\n"), "more entries than the"),
        ("values that no file holds", all("4294967296 4294967296\n1\n"), "more entries than the"),
        ("all but empty", of("4000000 4000000 1\n1 1 5\n"), "has 4000000 rows of 4000000 values, 1 of them not zero; expected 2097152"),
        ("sizes that wrap", of("4294967297 4294967297 1\n1 1 5\n"), "expected 2097152 values at the most"),
        ("not UTF-8", [of("1 1 1\n"), vec![0xff]].concat(), "is no text in UTF-8"),
        ("10x Genomics", of("%metadata_json: {\"software_version\": \"7\"}\n2 2 1\n1 1 5\n"), "whose 2 columns are cells and whose 2 rows are genes"),
    ]
}

#[test]
fn malformed_matrices_are_refused() {
    assert_all_refused(&malformed(), from_market);
    let genes =
        "%%MatrixMarket matrix coordinate integer general\n%metadata_json: {}\n2 1 1\n1 1 5\n";
    let cells = market::read(Path::new(NAME), genes.as_bytes(), &config(Some(Layout::Hwn)));
    let cells = cells.expect("cells").by_file(Path::new(NAME)).expect("cells");
    assert_eq!(cells, bytes([1, 2], vec![5, 0]), "the columns of 10x Genomics");
}

/// An array of 64-bit integers.
fn array(values: &[i64]) -> Vec<u8> {
    let text =
        format!("{{'descr': '<i8', 'fortran_order': False, 'shape': ({},), }}\n", values.len());
    let len = (text.len() as u16).to_le_bytes();
    let body: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    [b"\x93NUMPY\x01\0", len.as_slice(), text.as_bytes(), &body].concat()
}

fn archive(format: &[u8], arrays: [&[i64]; 4]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let mut put = |name: &str, content: &[u8]| {
        let options =
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        writer.start_file(format!("{name}.npy"), options).expect("a member");
        writer.write_all(content).expect("memory takes what is written");
    };
    put("format", format);
    for (name, values) in ["shape", "indptr", "indices", "data"].iter().zip(arrays) {
        put(name, &array(values));
    }
    writer.finish().expect("an archive").into_inner()
}

#[test]
fn malformed_archives_are_refused() {
    let good = from_npz(Path::new(NAME), &archive(b"csr", [&[2, 2], &[0, 1, 1], &[1], &[5]]));
    assert_eq!(good.expect("a matrix"), bytes([1, 2], vec![0, 5, 0, 0]), "a sound one");
    for (case, arrays, says) in [
        ("one side", [[2].as_slice(), &[0, 1, 1], &[1], &[5]], "`shape` has 1 numbers, expected 2"),
        (
            "few starts",
            [&[2, 2], &[0, 1], &[1], &[5]],
            "`indptr` has 2 numbers, expected 3 that go up",
        ),
        ("starts that go down", [&[2, 2], &[0, 2, 1], &[1], &[5]], "that go up from 0 to 1"),
        ("starts beyond the end", [&[2, 2], &[0, 1, 9], &[1], &[5]], "that go up from 0 to 1"),
        ("a late start", [&[2, 2], &[1, 1, 1], &[1], &[5]], "that go up from 0 to 1"),
        ("few values", [&[2, 2], &[0, 1, 1], &[1], &[5, 6]], "`data` has 2 numbers, expected 1"),
        (
            "a place outside",
            [&[2, 2], &[0, 1, 1], &[2], &[5]],
            "an entry outside the 2 rows of 2 columns",
        ),
        (
            "a place below 0",
            [&[2, 2], &[0, 1, 1], &[-1], &[5]],
            "other numbers than integers from 0 on",
        ),
        (
            "a side below 0",
            [&[2, -2], &[0, 1, 1], &[1], &[5]],
            "other numbers than integers from 0 on",
        ),
        ("no columns", [&[2, 0], &[0, 1, 1], &[1], &[5]], "has 2 rows of 0 values"),
        (
            "a great side",
            [&[2, i64::MAX], &[0, 1, 1], &[1], &[5]],
            "expected 2097152 values at the most",
        ),
        ("many rows", [&[i64::MAX, 2], &[0, 1, 1], &[1], &[5]], "`indptr` has 3 numbers, expected"),
    ] {
        let error = from_npz(Path::new(NAME), &archive(b"csr", arrays)).expect_err(case);
        assert_refusal(case, &error, NAME, says);
    }
    let arrays: [&[i64]; 4] = [&[2, 2], &[0, 1, 1], &[1], &[5]];
    let error = from_npz(Path::new(NAME), &archive(b"", arrays)).expect_err("no format");
    assert_refusal("no format", &error, NAME, "in the format ``");
}
