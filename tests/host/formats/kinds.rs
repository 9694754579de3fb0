//! Pictures of every kind against what Pillow reads, and malformed ones.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use std::path::{Path, PathBuf};

use elbo::config::ImageSize;
use elbo::data::formats::pictures::{Format, Picture, Samples, from_bytes};
use sha2::{Digest, Sha256};

use super::{Corpus, NAME, assert_all_refused};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pictures")
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).expect(name)
}

fn read(name: &str) -> Picture {
    from_bytes(Path::new(name), &file(name)).expect(name)
}

/// Of 16 bits the low byte first.
fn bytes_of(samples: &Samples) -> Vec<u8> {
    match samples {
        Samples::Bytes(bytes) => bytes.clone(),
        Samples::Words(words) => words.iter().flat_map(|word| word.to_le_bytes()).collect(),
    }
}

/// Lossless pictures to the bit; lossy ones at most 3 levels apart on 99.9 of 100 samples.
#[test]
fn pictures_are_what_pillow_reads() {
    let expected = String::from_utf8(file("expected.txt")).expect("text");
    let (mut apart, mut wrong) = ([0_usize; 256], Vec::new());
    for line in expected.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [name, height, width, channels, bits, digest] = fields[..] else {
            panic!("six fields in `{line}`")
        };
        let Picture { size, samples, .. } = match from_bytes(Path::new(name), &file(name)) {
            Ok(picture) => picture,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let bytes = bytes_of(&samples);
        let number = |text: &str| text.parse().expect("a number");
        let wanted: ImageSize = [number(height), number(width), number(channels)].into();
        let depth = if matches!(samples, Samples::Words(_)) { "16" } else { "8" };
        if (size, depth) != (wanted, bits) {
            wrong.push(format!("{name}: {size} of {depth} bits, expected {wanted} of {bits}"));
        } else if digest == "lossy" {
            let raw = file(&format!("{name}.raw"));
            let most = bytes.iter().zip(&raw).map(|(a, b)| a.abs_diff(*b)).max();
            bytes.iter().zip(&raw).for_each(|(a, b)| apart[usize::from(a.abs_diff(*b))] += 1);
            if most > Some(3) {
                wrong.push(format!("{name}: {most:?} levels apart"));
            }
        } else {
            let found: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
            if found != digest {
                wrong.push(format!("{name}: other samples"));
            }
        }
    }
    let far: usize = apart[4..].iter().sum();
    let all: usize = apart.iter().sum();
    println!("of {all} lossy samples {:?} are 0 to 7 levels apart", &apart[..8]);
    assert!(expected.lines().count() >= 60, "fixtures");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(far * 1000 <= all, "{far} of {all} lossy samples are over 3 levels apart");
}

#[test]
fn what_a_picture_was_is_known() {
    let was = |name: &str| read(name).was;
    for (name, format) in [
        ("l8.png", Format::Png),
        ("named.jpg", Format::Png),
        ("JPEG.png", Format::Jpeg),
        ("lossy.webp", Format::WebP),
        ("l8.bmp", Format::Bmp),
        ("l16_big.tif", Format::Tiff),
        ("text.pbm", Format::Pnm),
        ("l8.gif", Format::Gif),
    ] {
        assert_eq!(was(name).format, format, "{name}");
    }
    for name in ["turned6.png", "turned2.jpg", "turned.webp", "turned3.tif"] {
        assert!(was(name).turned, "{name} was turned");
    }
    assert!(!was("turned1.jpg").turned, "an orientation of 1 is none");
    for name in ["animated.png", "animated.webp", "animated.gif", "pages.tif"] {
        assert!(was(name).more, "there is more in {name}");
    }
    for name in ["l8.gif", "lossless.webp", "l8.tif", "l16_big.tif", "l8.png"] {
        assert!(!was(name).more, "there is no more in {name}");
    }
    assert!(was("cmyk.jpg").cmyk && was("cmyk.tif").cmyk, "for print");
    assert!(was("p4.png").palette && !was("rgb.png").palette, "a palette");
}

/// The end of a JPEG, whose scan may be cut at any place: what is missing is not painted grey.
#[test]
fn cut_pictures_are_refused() {
    for name in ["rgb420.jpg", "progressive.jpg", "turned6.jpg", "cmyk.jpg", "l8.png", "rgb16.png"]
        .into_iter()
        .chain(["lossless.webp", "lossy.webp", "lossy_alpha.webp", "rgb.bmp", "l8.pgm"])
        .chain(["rgb_None.tif", "rgb_tiff_lzw.tif", "l8.gif", "animated.gif"])
    {
        let whole = file(name);
        let good = read(name);
        for len in 0..whole.len() {
            // What is left may be whole, as where only the last line's end is missing.
            if let Ok(picture) = from_bytes(Path::new(name), &whole[..len]) {
                assert_eq!(picture.samples, good.samples, "{name}, {len} of {} bytes", whole.len());
            }
        }
    }
}

/// A JPEG with other numbers in its header.
fn jpeg(name: &str, height: u16, width: u16) -> Vec<u8> {
    let mut file = file(name);
    let at = file.windows(2).position(|two| matches!(two, [0xff, 0xc0 | 0xc2])).expect("a frame");
    file[at + 5..at + 7].copy_from_slice(&height.to_be_bytes());
    file[at + 7..at + 9].copy_from_slice(&width.to_be_bytes());
    file
}

fn patched(name: &str, at: usize, new: &[u8]) -> Vec<u8> {
    let mut file = file(name);
    file[at..at + new.len()].copy_from_slice(new);
    file
}

fn half(name: &str) -> Vec<u8> {
    let file = file(name);
    file[..file.len() / 2].to_vec()
}

#[test]
#[rustfmt::skip]
fn malformed_pictures_of_other_kinds_are_refused() {
    let is = |kind: &'static str| -> &'static str {
        match kind {
            "jpeg" => "cannot be read as a JPEG",
            "webp" => "cannot be read as a WebP",
            "bmp" => "cannot be read as a BMP",
            "tiff" => "cannot be read as a TIFF",
            "pnm" => "cannot be read as a PNM",
            _ => "cannot be read as a GIF",
        }
    };
    let screen = |width: u16, height: u16| patched("l8.gif", 6, &[width.to_le_bytes(), height.to_le_bytes()].concat());
    let corpus: Corpus = vec![
        ("nothing", vec![], "is empty, expected a picture"),
        ("text", b"a,b\n1,2\n".to_vec(), "starts with \"a,b\\n1,2\\n\", as no picture"),
        ("a web page", b"<!DOCTYPE html><html>".to_vec(), "is a web page, which is not read"),
        ("an iPhone's", b"\0\0\0\x24ftypheic\0\0\0\0mif1".to_vec(), "is a HEIC picture"),
        ("AVIF", b"\0\0\0\x20ftypavif\0\0\0\0".to_vec(), "is an AVIF picture"),
        ("SVG", b"<svg xmlns='x'/>".to_vec(), "is an SVG"),
        ("a pointer", b"version https://git-lfs.github.com/spec/v1\n".to_vec(), "a pointer of Git LFS"),
        ("JPEG, the start", b"\xff\xd8\xff\xe0".to_vec(), is("jpeg")),
        ("JPEG, half", half("rgb420.jpg"), "it ends before its pixels do"),
        ("JPEG, half, progressive", half("progressive.jpg"), "it ends before its pixels do"),
        ("JPEG, no pixels", b"\xff\xd8\xff\xd9".to_vec(), is("jpeg")),
        ("JPEG, 65535 x 65535", jpeg("rgb420.jpg", 65535, 65535), "is a picture of 65535 x 65535, expected at most"),
        ("JPEG, progressive, 3000 x 3000", jpeg("progressive.jpg", 3000, 3000), "is a picture of 3000 x 3000"),
        ("JPEG, higher than its pixels", jpeg("rgb420.jpg", 9999, 26), "it is too short for 26 x 9999 pixels"),
        ("JPEG, progressive, larger than its pixels", jpeg("progressive.jpg", 300, 300), is("jpeg")),
        ("JPEG, no width", jpeg("rgb420.jpg", 19, 0), is("jpeg")),
        ("WebP, the start", b"RIFF\x10\0\0\0WEBP".to_vec(), is("webp")),
        ("WebP, half", half("lossy.webp"), "it ends before its parts do"),
        ("WebP, half, lossless", half("lossless.webp"), "it ends before its parts do"),
        ("WebP, other chunks", patched("lossless.webp", 12, b"ABCD"), is("webp")),
        ("WebP, 16383 wide", patched("lossless.webp", 21, &[0xfe, 0xbf, 0xff]), "is a picture of 16383 x"),
        ("BMP, half", half("rgb.bmp"), is("bmp")),
        ("BMP, 2^30 wide", patched("rgb.bmp", 18, &(1_u32 << 30).to_le_bytes()), is("bmp")),
        ("BMP, 60000 x 60000", patched("rgb.bmp", 18, &[96, 234, 0, 0, 96, 234, 0, 0]), "is a picture of 60000 x 60000"),
        ("BMP, 99 bits", patched("rgb.bmp", 28, &[99]), is("bmp")),
        ("BMP, no width", patched("rgb.bmp", 18, &[0; 4]), is("bmp")),
        ("TIFF, the start", b"II*\0".to_vec(), is("tiff")),
        ("TIFF, half", half("rgb_None.tif"), is("tiff")),
        ("TIFF, half, packed", half("rgb_tiff_lzw.tif"), is("tiff")),
        ("TIFF, a page behind the end", patched("l8.tif", 4, &[0xff; 4]), is("tiff")),
        ("TIFF, a text of 2 GiB", patched("l8.tif", 12, &[2, 0, 0, 0, 0, 0x80]), "a text of it would be longer than the file"),
        ("TIFF, no page", patched("l8.tif", 4, &[0; 4]), is("tiff")),
        ("PGM, the header", b"P5 3 3 255\n".to_vec(), is("pnm")),
        ("PGM, half", half("l8.pgm"), is("pnm")),
        ("PGM, 60000 x 60000", b"P5 60000 60000 255\n".to_vec(), "is a picture of 60000 x 60000"),
        ("PGM, a size of words", b"P5 \n\x1b[31mred 3 255\n".to_vec(), is("pnm")),
        ("PGM, no white", b"P5 1 1 0\n\0".to_vec(), is("pnm")),
        ("PGM, a white of 2^20", b"P5 1 1 1048576\n\0\0\0\0".to_vec(), is("pnm")),
        ("PPM, few words", b"P3 2 2 255 1 2 3".to_vec(), is("pnm")),
        ("GIF, the start", b"GIF89a".to_vec(), is("gif")),
        ("GIF, half", half("l8.gif"), is("gif")),
        ("GIF, no frame", [&file("l8.gif")[..13], b";"].concat(), is("gif")),
        ("GIF, 65535 x 65535", screen(65535, 65535), "is a picture of 65535 x 65535"),
        ("GIF, no width", screen(0, 19), is("gif")),
    ];
    assert_all_refused(&corpus, from_bytes);
    for (case, file, _) in &corpus {
        let error = from_bytes(Path::new(NAME), file).expect_err(case).to_string();
        assert!(!error.contains('\x1b'), "{case}: `{}` moves the cursor", error.escape_debug());
    }
}
