//! Pickles as Python writes them, by every protocol, and those that are malformed or would run something.

use std::path::Path;

use elbo::Dataset;
use elbo::config::DataConfig;
use elbo::data::formats::pickle::read;

use super::{Corpus, assert_all_refused, assert_refusal, bytes, fixture, floats, images, labelled};

fn load(path: &Path, file: &[u8]) -> elbo::Result<(Dataset, Option<Dataset>)> {
    let found = read(path, file, &DataConfig::default())?;
    let test = found.test.map(|test| test.by_file(path)).transpose()?;
    Ok((found.train.by_file(path)?, test))
}

fn other(name: &str) -> (std::path::PathBuf, Vec<u8>) {
    fixture(&format!("others/{name}"))
}

#[test]
fn batches_are_read_by_every_protocol() {
    // 48 values of planes of 4 x 4, with the channels side by side.
    let planes: Vec<u8> = (0..96_u32).map(|i| (i * 7 % 256) as u8).collect();
    let pixel = |image: usize, at: usize| (0..3).map(move |c| 48 * image + 16 * c + at);
    let places = (0..2).flat_map(|image| (0..16).flat_map(move |at| pixel(image, at)));
    let pixels: Vec<u8> = places.map(|at| planes[at]).collect();
    let expected = Dataset::from_bytes([4, 4, 3], pixels).expect("two images");
    for protocol in 0..6 {
        let (path, file) = other(&format!("batch_{protocol}.pkl"));
        let (train, test) = load(&path, &file).expect("a batch");
        assert_eq!(train, labelled(expected.clone(), &[3, 5]), "protocol {protocol}");
        assert_eq!(test, None, "a batch alone");
    }
}

#[test]
fn pairs_are_read_by_every_protocol() {
    let quarters: Vec<f32> = images().iter().map(|&v| f32::from(v) / 256.0).collect();
    for protocol in 0..6 {
        let (path, file) = other(&format!("pairs_{protocol}.pkl"));
        let (train, test) = load(&path, &file).expect("pairs");
        assert_eq!(
            train,
            labelled(floats([2, 4], quarters.clone()), &[7, 0, 9]),
            "protocol {protocol}"
        );
        let expected = labelled(floats([2, 4], quarters[8..].to_vec()), &[0, 9]);
        assert_eq!(test, Some(expected), "the last pair, protocol {protocol}");
    }
    let (path, file) = other("array.pkl");
    assert_eq!(load(&path, &file).expect("an array").0, bytes([2, 4], images()), "Fortran's order");
    let (path, file) = other("named.pkl");
    let (train, test) = load(&path, &file).expect("names");
    assert_eq!(train, labelled(bytes([2, 4], images()), &[7, 0, 9]), "x_train");
    assert_eq!(test, Some(bytes([2, 4], images()[..8].to_vec())), "x_test");
}

#[test]
fn what_is_no_plain_value_is_refused() {
    for (name, says) in [
        ("set", "holds a set"),
        ("object", "an array without numbers"),
        ("record", "an array of records"),
        ("function", "names `posixpath.join`, which is none of the plain arrays"),
    ] {
        let (path, file) = other(&format!("refused_{name}.pkl"));
        let error = load(&path, &file).expect_err(name);
        assert_refusal(name, &error, &format!("refused_{name}.pkl"), says);
    }
}

#[rustfmt::skip]
fn malformed() -> Corpus {
    let good = other("pairs_4.pkl").1;
    let old = other("batch_0.pkl").1;
    let many = [b"(".to_vec(), b"N".repeat(600_000), b"l.".to_vec()].concat();
    let named: Vec<u8> = (0..300_000_u32).flat_map(|i| [b"Nr".as_slice(), &i.to_le_bytes(), b"0"].concat()).collect();
    let system = b"cos\nsystem\n(S'echo ran'\ntR.".to_vec();
    let array = |shape: &str, dtype: &str, data: &str| {
        format!("cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n({shape}tcnumpy\ndtype\n(S'{dtype}'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'{data}'\ntb.").into_bytes()
    };
    vec![
        ("empty", vec![], "is cut off"),
        ("a protocol alone", vec![0x80, 2], "is cut off"),
        ("cut in the middle", good[..good.len() / 2].to_vec(), "is cut off"),
        ("cut at the end", good[..good.len() - 1].to_vec(), "is cut off"),
        ("old, cut", old[..old.len() / 2].to_vec(), "is cut off"),
        ("nothing", b".".to_vec(), "takes a value where there is none"),
        ("none", b"N.".to_vec(), "is a pickle of one value"),
        ("a number", b"I7\n.".to_vec(), "is a pickle of one value"),
        ("an empty list", b"].".to_vec(), "a list of 0 parts"),
        ("a dictionary of others", b"(S'a'\nI1\nd.".to_vec(), "a dictionary of `a`"),
        ("a list of four", b"(NNNNt.".to_vec(), "a list of 4 parts"),
        ("pairs of nothing", b"((NNt(NNtt.".to_vec(), "one has no images"),
        ("a command", system.clone(), "names `os.system`"),
        ("a command, by the stack", b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02ls\x85R.".to_vec(), "names `posix.system`, which is none"),
        ("eval", b"cbuiltins\neval\n(S'1'\ntR.".to_vec(), "nothing of it was run"),
        ("a name with escapes", b"ca\x1b[31m\nb\n.".to_vec(), "names `a\\u{1b}[31m.b`"),
        ("an instance", b"(ios\nsystem\n.".to_vec(), "makes an object"),
        ("a new object", b"cnumpy\nndarray\n)\x81.".to_vec(), "makes an object"),
        ("kept elsewhere", b"Pa\n.".to_vec(), "kept elsewhere"),
        ("a buffer elsewhere", b"\x80\x05\x97.".to_vec(), "kept elsewhere"),
        ("an extension", b"\x82\x01.".to_vec(), "by a number"),
        ("an unknown operation", b"\xff.".to_vec(), "no operation 0xff (byte 0"),
        ("an end without a begin", b"t.".to_vec(), "ends what was not begun"),
        ("a mark taken as a value", b"((a.".to_vec(), "takes a value where there is none"),
        ("an unnamed place", b"h\x05.".to_vec(), "recalls what was not named"),
        ("added to a number", b"I1\nI2\na.".to_vec(), "adds to what is no list"),
        ("set in a list", b"]I1\nI2\ns.".to_vec(), "no dictionary"),
        ("half an entry", b"(I1\nd.".to_vec(), "a name without a value"),
        ("a call of a string", b"S'a'\n)R.".to_vec(), "calls what is no function"),
        ("a call by a number", b"cnumpy\ndtype\nI1\nR.".to_vec(), "calls what is no function"),
        ("a call by other arguments", b"cnumpy\ndtype\n)R.".to_vec(), "arguments that it does not have"),
        ("another code", b"c_codecs\nencode\n(Va\nVutf-16\ntR.".to_vec(), "another code than latin1"),
        ("a number of 20 bytes", [b"\x8a\x14".as_slice(), &[1; 20], b"."].concat(), "a number of 20 bytes"),
        ("a string behind the end", b"X\xff\xff\xff\xffabc".to_vec(), "is cut off"),
        ("a string of 2^64", [b"\x8d".as_slice(), &[0xff; 8], b"abc."].concat(), "is cut off"),
        ("no number", b"Ix\n.".to_vec(), "has a number that is none"),
        ("many values", many, "more than 524288 values"),
        ("many names", named, "names more than 262144 values"),
        ("deep lists", [b"]".repeat(60_000), b"a".repeat(59_999), b".".to_vec()].concat(), "a list of 1 parts"),
        ("deeper lists", b"]".repeat(70_000), "more than 65536 lists and arrays"),
        ("open lists", b"(".repeat(70_000), "more than 65536 lists and arrays"),
        ("itself", b"](\x94h\x00e.".to_vec(), "a list of 1 parts"),
        ("a short array", array("I3\nI2\nI4\n", "u1", "abc"), "expected 24 bytes after the header, found 3"),
        ("2^64 images", array("I9223372036854775807\nI9223372036854775807\nI8\n", "u1", "abc"), "found 3"),
        ("a negative shape", array("I-3\nI2\nI4\n", "u1", "abc"), "no known shape"),
        ("a shape of words", array("S'a'\n", "u1", "abc"), "no known shape"),
        ("an unknown type", array("I3\nI1\nI1\n", "O8", "abc"), "values of type `<O8`"),
        ("a type that breaks out", array("I3\nI1\nI1\n", "u1', 'x", "abc"), "has a header that cannot be read"),
        ("an array of no data", b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nI0\nS'b'\ntR.".to_vec(), "without numbers"),
    ]
}

#[test]
fn malformed_pickles_are_refused() {
    assert_all_refused(&malformed(), load);
}
