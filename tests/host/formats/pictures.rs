//! PNG pictures of every colour type and depth, folders of them as runs before 0.2 read them, and malformed
//! ones.

use std::io::Write;
use std::path::Path;

use elbo::config::DataConfig;
use elbo::data::formats::pictures::{self, from_bytes};
use flate2::{Compression, Crc, write::ZlibEncoder};
use png::{BitDepth, ColorType};

use super::{Corpus, assert_all_refused, assert_refusal, bytes};

fn chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(kind);
    crc.update(content);
    let len = (content.len() as u32).to_be_bytes();
    [&len, kind, content, &crc.sum().to_be_bytes()].concat()
}

fn header(width: u32, height: u32, rest: [u8; 5]) -> Vec<u8> {
    chunk(b"IHDR", &[width.to_be_bytes().as_slice(), &height.to_be_bytes(), &rest].concat())
}

fn pixels(content: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).expect("memory takes what is written");
    chunk(b"IDAT", &encoder.finish().expect("memory takes what is written"))
}

fn png(chunks: &[Vec<u8>]) -> Vec<u8> {
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunks.concat()].concat()
}

const GREY: [u8; 5] = [8, 0, 0, 0, 0];

/// A grey picture of 2 x 2.
fn good() -> Vec<Vec<u8>> {
    vec![header(2, 2, GREY), pixels(&[0, 10, 20, 0, 30, 40]), chunk(b"IEND", &[])]
}

/// A picture that the encoder wrote.
fn encoded(size: [u32; 2], color: ColorType, depth: BitDepth, data: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, size[1], size[0]);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if color == ColorType::Indexed {
        encoder.set_palette([0, 0, 0, 255, 0, 0, 0, 0, 255, 255, 255, 255].as_slice());
    }
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(data).expect("a picture");
    writer.finish().expect("an end");
    file
}

#[rustfmt::skip]
fn malformed() -> Corpus {
    let [ihdr, idat, iend] = <[_; 3]>::try_from(good()).expect("three chunks");
    let whole = png(&good());
    let with = |header: Vec<u8>| png(&[header, pixels(&[0; 6]), chunk(b"IEND", &[])]);
    let mut crc = whole.clone();
    crc[30] ^= 1;
    let mut data = whole.clone();
    data[45] ^= 0xff;
    let bad = "cannot be read as a PNG";
    vec![
        ("empty", vec![], "is empty, expected a picture"),
        ("half a signature", whole[..4].to_vec(), bad),
        ("the signature alone", whole[..8].to_vec(), bad),
        ("another signature", b"GIF89a and so on and on".to_vec(), "is a picture of 24864 x 25710, expected at most"),
        ("text mode", whole.iter().copied().filter(|&byte| byte != b'\r').collect(), bad),
        ("header cut", whole[..20].to_vec(), bad),
        ("header alone", png(std::slice::from_ref(&ihdr)), bad),
        ("no pixels", png(&[ihdr.clone(), iend.clone()]), bad),
        ("no header", png(&[idat.clone(), iend.clone()]), bad),
        ("pixels cut", whole[..50].to_vec(), bad),
        ("no end", png(&[ihdr.clone(), idat.clone()]), bad),
        ("end cut", whole[..whole.len() - 6].to_vec(), bad),
        ("few pixels", png(&[ihdr.clone(), pixels(&[0, 10, 20]), iend.clone()]), bad),
        ("no bytes of pixels", png(&[ihdr.clone(), chunk(b"IDAT", &[]), iend.clone()]), bad),
        ("pixels of noise", png(&[ihdr.clone(), chunk(b"IDAT", &[0x5a; 40]), iend.clone()]), bad),
        ("an unknown filter", png(&[ihdr.clone(), pixels(&[9, 10, 20, 9, 30, 40]), iend.clone()]), bad),
        ("wrong checksum of the header", crc, bad),
        ("wrong checksum of the pixels", data, bad),
        ("no width", with(header(0, 2, GREY)), bad),
        ("no height", with(header(2, 0, GREY)), bad),
        ("60000 x 60000", with(header(60000, 60000, GREY)), "is a picture of 60000 x 60000, expected at most 3355"),
        ("2^31 - 1 each way", with(header(0x7fff_ffff, 0x7fff_ffff, GREY)), "2147483647 x 2147483647"),
        ("2^32 - 1 each way", with(header(u32::MAX, u32::MAX, [16, 6, 0, 0, 0])), "4294967295 x 4294967295, expected at most"),
        ("2^31 - 1 rows", with(header(1, 0x7fff_ffff, GREY)), "2147483647, expected at most"),
        ("one row of 2^31 - 1", with(header(0x7fff_ffff, 1, GREY)), "2147483647 x 1"),
        ("4000 x 4000 in colour", with(header(4000, 4000, [8, 6, 0, 0, 0])), "4000 x 4000, expected at most"),
        ("5000 x 5000, interlaced", with(header(5000, 5000, [16, 2, 0, 0, 1])), "5000 x 5000, expected at most"),
        ("depth of 3", with(header(2, 2, [3, 0, 0, 0, 0])), bad),
        ("unknown colour", with(header(2, 2, [8, 5, 0, 0, 0])), bad),
        ("unknown compression", with(header(2, 2, [8, 0, 1, 0, 0])), bad),
        ("unknown filters", with(header(2, 2, [8, 0, 0, 1, 0])), bad),
        ("unknown interlacing", with(header(2, 2, [8, 0, 0, 0, 2])), bad),
        ("indexed without a palette", with(header(2, 2, [8, 3, 0, 0, 0])), bad),
        ("a palette of 4 bytes", png(&[header(2, 2, [8, 3, 0, 0, 0]), chunk(b"PLTE", &[0; 4]), pixels(&[0; 6]), iend.clone()]), "a palette of 4 bytes, expected 3 for each"),
        ("an unknown critical chunk", png(&[ihdr.clone(), chunk(b"ABCD", &[]), idat.clone(), iend.clone()]), bad),
        ("a chunk of 4 GiB", png(&[ihdr, vec![0xff, 0xff, 0xff, 0xff, b't', b'E', b'X', b't'], idat, iend]), bad),
    ]
}

fn read_folder(folder: &Path) -> elbo::Result<elbo::Dataset> {
    pictures::read_folder(folder, &DataConfig::before())?.train.by_file(folder)
}

#[test]
fn malformed_pictures_are_refused() {
    assert_all_refused(&malformed(), from_bytes);
}

#[test]
#[rustfmt::skip]
fn every_colour_becomes_grey_as_before() {
    use BitDepth::{Eight, Four, One, Sixteen, Two};
    use ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba};
    let cases: Vec<(_, _, &[u8], [u8; 4])> = vec![
        (Grayscale, Eight, &[0, 1, 200, 255], [0, 1, 200, 255]),
        (Grayscale, One, &[0b0100_0000, 0b1000_0000], [0, 255, 255, 0]),
        (Grayscale, Two, &[0b0001_0000, 0b1011_0000], [0, 85, 170, 255]),
        (Grayscale, Four, &[0x01, 0xef], [0, 17, 238, 255]),
        (Grayscale, Sixteen, &[0, 255, 1, 0, 200, 99, 255, 255], [0, 1, 200, 255]),
        // Half transparent white is half as bright.
        (GrayscaleAlpha, Eight, &[255, 0, 255, 128, 100, 255, 9, 0], [0, 128, 100, 0]),
        // 0.299, 0.587 and 0.114 of 255.
        (Rgb, Eight, &[255, 0, 0, 0, 255, 0, 0, 0, 255, 77, 77, 77], [76, 150, 29, 77]),
        (Rgba, Eight, &[255, 0, 0, 255, 0, 255, 0, 128, 0, 0, 255, 0, 7, 7, 7, 255], [76, 75, 0, 7]),
        (Indexed, Eight, &[0, 1, 2, 3], [0, 76, 29, 255]),
        (Indexed, Two, &[0b0001_0000, 0b1011_0000], [0, 76, 29, 255]),
    ];
    for (color, depth, data, expected) in cases {
        let file = encoded([2, 2], color, depth, data);
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(dir.path().join("0.png"), &file).expect("a file");
        let data = read_folder(dir.path()).expect("a picture");
        assert_eq!(data, bytes([2, 2], expected.to_vec()), "{color:?} of {depth:?}");
    }
}

#[test]
fn folders_are_read_as_before() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let put = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, content).expect("the temporary folder takes a file");
        path
    };
    let picture = |v: u8| encoded([1, 2], ColorType::Grayscale, BitDepth::Eight, &[v, v + 1]);
    let error = read_folder(dir.path()).expect_err("no pictures");
    assert!(error.to_string().contains("cannot find IDX files or pictures in"), "{error}");
    // Classes of images, each in its folder.
    put("b/1.png", &picture(30));
    put("a/2.png", &picture(20));
    put("a/1.PNG", &picture(10));
    let data = read_folder(dir.path()).expect("three pictures");
    let images = bytes([1, 2], vec![10, 11, 20, 21, 30, 31]);
    assert_eq!(
        data.fingerprint().expect("a fingerprint"),
        images.fingerprint().expect("a fingerprint"),
        "by folder and name"
    );
    assert_eq!(data.labels(), Some([0, 0, 1].as_slice()), "the folders are classes");
    assert_eq!(data.class_names(), Some(["a", "b"].map(str::to_owned).as_slice()), "their names");
    // A folder without pictures is no class.
    put("aa/notes.txt", b"no picture");
    let data = read_folder(dir.path()).expect("three pictures");
    assert_eq!(data.labels(), Some([0, 0, 1].as_slice()), "two classes");
    // Pictures of the folder itself come before.
    put("10.png", &picture(4));
    put("2.png", &picture(6));
    put("._2.png", b"what another system keeps beside a file");
    put("notes.txt", b"no picture");
    let data = read_folder(dir.path()).expect("two pictures");
    assert_eq!(data, bytes([1, 2], vec![4, 5, 6, 7]), "10 before 2, and no labels");
    let other = encoded([2, 1], ColorType::Grayscale, BitDepth::Eight, &[1, 2]);
    put("3.png", &other);
    let error = read_folder(dir.path()).expect_err("another size");
    assert_refusal("another size", &error, "3.png", "is of 2 x 1, expected 1 x 2 as");
    put("3.png", b"no picture");
    let error = read_folder(dir.path()).expect_err("no picture");
    assert_refusal("no picture", &error, "3.png", "cannot be read as a PNG");
}

#[test]
fn more_classes_than_a_byte_counts_are_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let picture = encoded([1, 1], ColorType::Grayscale, BitDepth::Eight, &[7]);
    for class in 0..257 {
        let folder = dir.path().join(format!("{class:03}"));
        std::fs::create_dir(&folder).expect("a folder");
        if class < 256 {
            std::fs::write(folder.join("0.png"), &picture).expect("a picture");
        }
    }
    let data = read_folder(dir.path()).expect("256 classes");
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(data.labels(), Some(all.as_slice()), "256 classes");
    std::fs::write(dir.path().join("256/0.png"), &picture).expect("a picture");
    let error = read_folder(dir.path()).expect_err("257 classes");
    let name = dir.path().to_str().expect("temporary names are Unicode");
    assert_refusal("classes", &error, name, "has the class 256, expected 256 folders");
}
