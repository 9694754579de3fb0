//! MATLAB's files: which axis the images lie along, and what is malformed.

use std::path::{Path, PathBuf};

use elbo::Dataset;
use elbo::config::{DataConfig, Layout};
use elbo::data::formats::mat::read;

use super::{Corpus, assert_all_refused, assert_refusal, bytes, fixture, floats, images, labelled};

fn load_by(
    config: &DataConfig,
    path: &Path,
    file: &[u8],
) -> elbo::Result<(Dataset, Option<Dataset>)> {
    let found = read(path, file, config)?;
    let test = found.test.map(|test| test.by_file(path)).transpose()?;
    Ok((found.train.by_file(path)?, test))
}

fn load(path: &Path, file: &[u8]) -> elbo::Result<(Dataset, Option<Dataset>)> {
    load_by(&DataConfig::default(), path, file)
}

fn other(name: &str) -> (PathBuf, Vec<u8>) {
    fixture(&format!("others/{name}.mat"))
}

#[test]
fn arrays_are_read_along_the_right_axis() {
    // Columns are images of 28 × 20, row by row.
    let (path, file) = other("faces");
    let column = |image: usize| (0..560).map(move |i| ((3 * i + image) % 251) as u8);
    let expected: Vec<u8> = (0..3).flat_map(column).collect();
    assert_eq!(load(&path, &file).expect("faces").0, bytes([28, 20], expected), "Frey's faces");
    // [2, 2, 3, 5]: the classes tell that the last axis is the images', and 10 is 0.
    let (path, file) = other("last");
    let at = |n: usize, place: usize| (place * 5 + n) * 3 % 256;
    let expected = (0..5).flat_map(|n| (0..12).map(move |place| at(n, place) as u8)).collect();
    let expected = Dataset::from_bytes([2, 2, 3], expected).expect("five images");
    assert_eq!(
        load(&path, &file).expect("images last").0,
        labelled(expected, &[1, 2, 10, 4, 5]),
        "images last"
    );
    // [2, 9] and [3, 9]: rows are images, which lie column by column.
    let (path, file) = other("flat");
    let (train, test) = load(&path, &file).expect("rows");
    let turned = |first: u8| [0, 3, 6, 1, 4, 7, 2, 5, 8].map(|i| first + i);
    let expected = bytes([3, 3], [turned(0), turned(9)].concat());
    assert_eq!(train, labelled(expected, &[4, 6]), "rows");
    assert_eq!(test, Some(bytes([3, 3], vec![7; 27])), "the test images");
    // [2, 4, 3] of doubles.
    let (path, file) = other("numbers");
    let halves: Vec<f32> = images().iter().map(|&v| f32::from(v) / 2.0).collect();
    let (train, _) = load(&path, &file).expect("doubles");
    assert_eq!(train, labelled(floats([2, 4], halves), &[7, 0, 9]), "doubles");
}

#[test]
fn what_could_be_either_is_asked() {
    let (path, file) = other("refused_which");
    let error = load(&path, &file).expect_err("4 × 9");
    assert_refusal("4 × 9", &error, "refused_which", "either axis may be that of the images");
    assert!(error.advice().is_some_and(|advice| advice.contains("--layout hwn")), "{error}");
    for (layout, count, size) in [(Layout::Hwn, 9, [2, 2]), (Layout::Nhwc, 4, [3, 3])] {
        let config = DataConfig { layout: Some(layout), ..DataConfig::default() };
        let (train, _) = load_by(&config, &path, &file).expect("with a layout");
        assert_eq!((train.len(), train.size()), (count, size.into()), "{layout:?}");
    }
    let (path, file) = other("refused_cell");
    let error = load(&path, &file).expect_err("a cell");
    assert_refusal(
        "a cell",
        &error,
        "refused_cell",
        "`data` of 1 × 2 (a cell), `x` of 2 × 2 (complex)",
    );
}

#[rustfmt::skip]
fn malformed() -> Corpus {
    let (plain, packed) = (other("numbers").1, other("flat").1);
    let patched = |file: &[u8], at: usize, with: &[u8]| {
        let mut file = file.to_vec();
        file[at..at + with.len()].copy_from_slice(with);
        file
    };
    // A variable: its tag, then flags, dimensions, name and values, each with a tag of its own.
    let word = |v: u32| v.to_le_bytes();
    let (start, len) = (128, u32::from_le_bytes(plain[132..136].try_into().expect("a word")));
    let (class, dims) = (start + 16, start + 24);
    let bomb = {
        use std::io::Write;
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        let whole = [&word(14)[..], &word(100_000_056), &word(6), &word(8), &word(9), &word(0), &word(5), &word(12), &word(10_000), &word(100), &word(100), &word(0), &word(1 | 1 << 16), b"X\0\0\0", &word(2), &word(100_000_000), &vec![0; 100_000_000]].concat();
        encoder.write_all(&whole).expect("memory takes what is written");
        let body = encoder.finish().expect("an end");
        [&plain[..128], &word(15), &word(body.len() as u32), &body].concat()
    };
    let none = "holds no variable";
    vec![
        ("empty", vec![], "is no MATLAB file of version 5"),
        ("text alone", plain[..120].to_vec(), "is no MATLAB file"),
        ("version 7.3", patched(&plain, 124, &[0, 2]), "is no MATLAB file of version 5"),
        ("another order of bytes", patched(&plain, 126, b"MI"), "is no MATLAB file"),
        ("a header alone", plain[..128].to_vec(), none),
        ("half a tag", plain[..132].to_vec(), "ends in the tag of a variable, at byte 128"),
        ("cut in the values", plain[..plain.len() - 120].to_vec(), "are missing"),
        ("cut by a byte", plain[..plain.len() - 1].to_vec(), "1 are missing"),
        ("a packed one cut", packed[..packed.len() - 3].to_vec(), "3 are missing"),
        ("a variable of 4 GiB", patched(&plain, 132, &word(u32::MAX)), "is cut off within a variable of 4294967295 bytes"),
        ("an unknown element", patched(&plain, 128, &word(99)), "`label`"),
        ("a variable without parts", [&plain[..128], &word(14), &word(0)].concat(), none),
        ("a variable of flags", [&plain[..128], &word(14), &word(16), &plain[136..152]].concat(), none),
        ("a cell's class", patched(&plain, class, &[1]), "`data` of 2 × 4 × 3 (a cell)"),
        ("sparse", patched(&plain, class, &[5]), "(sparse)"),
        ("complex", patched(&plain, class + 1, &[8]), "(complex)"),
        ("an unknown class", patched(&plain, class, &[77]), "holds `data`"),
        ("other dimensions", patched(&plain, dims + 8, &word(3)), "bytes after the header, found 192"),
        ("no dimension", patched(&plain, dims + 8, &word(0)), "1 or more in each dimension"),
        ("dimensions that wrap", patched(&plain, dims + 8, &[word(u32::MAX), word(u32::MAX), word(u32::MAX)].concat()), "bytes after the header"),
        ("dimensions of 4 GiB", patched(&plain, dims + 4, &word(u32::MAX)), "holds `label`"),
        ("flags of 4 GiB", patched(&plain, start + 12, &word(u32::MAX)), "holds `label`"),
        ("values of another type", patched(&plain, start + 56, &word(2)), "bytes after the header, found 192"),
        ("values of no type", patched(&plain, start + 56, &word(99)), "holds `data`"),
        ("values cut", patched(&plain, start + 60, &word(len)), "ends before the last of its values"),
        ("values of 4 GiB", patched(&plain, start + 60, &word(u32::MAX)), "ends before the last of its values"),
        ("packed: damaged", patched(&packed, 138, &[0xff; 40]), "holds"),
        ("packed: its end damaged", { let len = u32::from_le_bytes(packed[132..136].try_into().expect("a word")); patched(&packed, 128 + len as usize, &[0xff; 8]) }, "some/file/train_data`: "),
        ("packed: of nothing", [&packed[..128], &word(15), &word(0)].concat(), none),
        ("a bomb", bomb, "unpack to"),
        ("text", b"MATLAB 5.0 MAT-file, but no more".to_vec(), "is no MATLAB file"),
    ]
}

#[test]
fn malformed_files_are_refused() {
    assert_all_refused(&malformed(), load);
}
