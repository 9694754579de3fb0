//! Which kind of picture a file is, by how it starts.
#![warn(clippy::arithmetic_side_effects)]

use std::fmt::{self, Display};

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
