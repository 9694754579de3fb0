//! Which kind of picture a file is: by how it starts, and what its name's ending leads to expect.
#![warn(clippy::arithmetic_side_effects)]

use std::fmt::{self, Display};
use std::path::Path;

/// So many bytes tell the kind of a picture.
pub(super) const LOOKED_AT: usize = 32;

/// A kind of picture that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// Portable Network Graphics.
    Png,
    /// JPEG, baseline or progressive.
    Jpeg,
    /// WebP, lossy or lossless.
    WebP,
    /// Windows bitmaps.
    Bmp,
    /// Tagged Image File Format, whose first page is read.
    Tiff,
    /// Portable anymaps: PBM, PGM, PPM and PAM.
    Pnm,
    /// GIF, whose first frame is read.
    Gif,
}

impl Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::WebP => "WebP",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
            Self::Pnm => "PNM",
            Self::Gif => "GIF",
        })
    }
}

impl Format {
    /// The kind of a picture that starts like this.
    pub(in crate::data) fn of(start: &[u8]) -> Option<Self> {
        let webp = start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP");
        // The length of its second header, which other files that start with BM do not have there.
        let bitmap = |start: &[u8]| {
            let header = start.get(14..).and_then(|rest| rest.first_chunk()).copied();
            let known = [12, 40, 52, 56, 64, 108, 124];
            header.is_some_and(|bytes| known.contains(&u32::from_le_bytes(bytes)))
        };
        match start {
            [0x89, b'P', b'N', b'G', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Some(Self::Tiff),
            [b'P', b'1'..=b'6', space, next, ..]
                if space.is_ascii_whitespace()
                    && (next.is_ascii_digit() || *next == b'#' || next.is_ascii_whitespace()) =>
            {
                Some(Self::Pnm)
            }
            [b'P', b'7', b'\n' | b'\r', ..] => Some(Self::Pnm),
            [b'B', b'M', ..] if bitmap(start) => Some(Self::Bmp),
            _ if webp => Some(Self::WebP),
            _ => None,
        }
    }
}

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
pub(super) enum Named {
    /// A picture of a kind that is read; its content says which.
    Picture,
    /// A picture of a kind that is not.
    Unread,
    /// Anything.
    Else,
}

impl Named {
    pub(super) fn of(path: &Path) -> Self {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let among = |all: &[&str]| all.iter().any(|one| ending.eq_ignore_ascii_case(one));
        match () {
            () if among(&READ) => Self::Picture,
            () if among(&UNREAD) => Self::Unread,
            () => Self::Else,
        }
    }
}

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
