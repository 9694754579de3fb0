//! What a file's name leads to expect, and what is known of files that are no pictures.
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;

/// Endings of the pictures that are read.
const READ: [&str; 18] = [
    "png", "apng", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "dib", "tif", "tiff", "pbm", "pgm",
    "ppm", "pnm", "pam", "gif", "giff",
];

/// Endings of pictures that are not: some of these files start as a TIFF does, whose first picture is a
/// thumbnail.
const UNREAD: [&str; 31] = [
    "heic", "heif", "avif", "jxl", "jp2", "j2k", "jpx", "psd", "svg", "ico", "tga", "dds", "exr",
    "hdr", "qoi", "dng", "cr2", "cr3", "nef", "arw", "orf", "rw2", "raf", "pef", "srw", "xcf",
    "eps", "pcx", "dcm", "fits", "nii",
];

/// What a file is by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data) enum Named {
    /// A picture of a kind that is read; its content says which.
    Picture,
    /// A picture of a kind that is not.
    Unread,
    /// Anything.
    Else,
}

impl Named {
    pub(in crate::data) fn of(path: &Path) -> Self {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let among = |all: &[&str]| all.iter().any(|one| ending.eq_ignore_ascii_case(one));
        match () {
            () if among(&READ) => Self::Picture,
            () if among(&UNREAD) => Self::Unread,
            () => Self::Else,
        }
    }
}

#[cfg(feature = "pictures")]
/// What a file is called that starts as no picture does which is read, if it is known.
pub(super) fn known_as(start: &[u8]) -> Option<&'static str> {
    let text = start.trim_ascii_start();
    let is =
        |some: &[u8]| text.len() >= some.len() && text[..some.len()].eq_ignore_ascii_case(some);
    match start {
        [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', ..] => Some("an AVIF picture"),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some("a HEIC picture or a video"),
        [0xff, 0x0a, ..] | [0, 0, 0, 12, b'J', b'X', b'L', ..] => Some("a JPEG XL picture"),
        [0, 0, 0, 12, b'j', b'P', ..] => Some("a JPEG 2000 picture"),
        [b'8', b'B', b'P', b'S', ..] => Some("a Photoshop file"),
        _ if is(b"<svg") || is(b"<?xml") => Some("an SVG or other XML"),
        _ if is(b"<!doctype") || is(b"<html") => Some("a web page"),
        _ if is(b"version https://git-lfs") => Some("a pointer of Git LFS, not the picture itself"),
        _ => None,
    }
}
