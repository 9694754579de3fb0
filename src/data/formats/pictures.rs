//! Folders of PNG pictures, which become grey images of one size.
#![warn(clippy::arithmetic_side_effects)]

use std::fs;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};

use png::{ColorType, Decoder, DecodingError, Limits, Transformations};

use crate::config::DataConfig;
use crate::data::labels::{Labels, check_class};
use crate::data::raw::{Kind, Raw, Values};
use crate::data::source::{self, WHOLE, check_unpacked, reserved};
use crate::error::{Error, Result};

/// How every PNG starts.
pub(in crate::data) const MAGIC: [u8; 4] = *b"\x89PNG";

/// The most bytes of one picture with all its channels: 2896 × 2896 in colour, 5792 × 5792 in grey.
/// A larger one is no image for a fully connected layer.
const MOST_BYTES: usize = 32 << 20;

/// The most bytes of what is not pixels, such as profiles.
const MOST_ELSE: usize = 8 << 20;

/// A grey picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels from top to bottom; at least 1.
    pub height: usize,
    /// Pixels from left to right; at least 1.
    pub width: usize,
    /// `height * width` bytes, 0 (black) to 255, row by row.
    pub pixels: Vec<u8>,
}

/// Reads a PNG of any colour type and depth; `path` is named in errors.
///
/// Grey of 8 bits is taken as it is, fewer bits are spread to 0..=255, and of 16 bits the upper 8
/// are taken. Colours become (299 red + 587 green + 114 blue) / 1000, rounded, which are the weights
/// of Rec. 601. What is transparent lies on black. Of an animation the first picture is read.
///
/// # Errors
///
/// A [`Data`](crate::ErrorKind::Data) error if the bytes are no whole PNG, or its pixels would take
/// more than 32 MiB with all channels.
pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Picture> {
    let broken = |error: DecodingError| {
        let what = match error {
            // The reader's text has a place in it, but no file.
            DecodingError::LimitsExceeded => "is larger than is read".to_owned(),
            error => format!("cannot be read as a PNG: {error}"),
        };
        Error::data(path, what).hint(WHOLE)
    };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: MOST_ELSE });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let info = decoder.read_header_info().map_err(broken)?;
    let (width, height) = (info.width as usize, info.height as usize);
    let too_large = || {
        let what = format!(
            "is a picture of {width} x {height}, expected at most {MOST_BYTES} bytes of pixels"
        );
        Error::data(path, what).hint("scale the pictures down: each pixel is an input of the model")
    };
    // One channel of a byte is the least there can be; rows are made room for next.
    if width.checked_mul(height).is_none_or(|pixels| pixels > MOST_BYTES) {
        return Err(too_large());
    }
    let mut reader = decoder.read_info().map_err(broken)?;
    // The reader would panic at a part of a colour.
    let palette = reader.info().palette.as_ref().map_or(3, |palette| palette.len());
    if palette == 0 || palette > 768 || !palette.is_multiple_of(3) {
        let what = format!("has a palette of {palette} bytes, expected 3 for each of 256 or fewer");
        return Err(Error::data(path, what).hint(WHOLE));
    }
    let room = reader.output_buffer_size().filter(|&room| room <= MOST_BYTES);
    let room = room.ok_or_else(too_large)?;
    let mut pixels: Vec<u8> = reserved(path, room as u64)?;
    pixels.resize(room, 0);
    let (color, _) = reader.output_color_type();
    reader.next_frame(&mut pixels).map_err(broken)?;
    reader.finish().map_err(broken)?;
    Ok(Picture { height, width, pixels: grey(pixels, color) })
}

/// One byte for each pixel.
fn grey(mut pixels: Vec<u8>, color: ColorType) -> Vec<u8> {
    let luma = |[r, g, b]: [u8; 3]| {
        let sum = [(r, 299_u32), (g, 587), (b, 114)].map(|(v, w)| u32::from(v).saturating_mul(w));
        (sum.iter().sum::<u32>().saturating_add(500) / 1000) as u8
    };
    let on_black = |v: u8, alpha: u8| {
        (u32::from(v).saturating_mul(alpha.into()).saturating_add(127) / 255) as u8
    };
    let pixel = |some: &[u8]| match *some {
        [v] => v,
        [v, alpha] => on_black(v, alpha),
        [r, g, b] => luma([r, g, b]),
        [r, g, b, alpha] => on_black(luma([r, g, b]), alpha),
        _ => 0,
    };
    let channels = color.samples();
    if channels > 1 {
        let mut count = 0_usize;
        // In place: a pixel is written where it or one before it stood.
        for from in (0..pixels.len()).step_by(channels) {
            let some = pixels.get(from..from.saturating_add(channels)).unwrap_or_default();
            pixels[count] = pixel(some);
            count = count.saturating_add(1);
        }
        pixels.truncate(count);
        pixels.shrink_to_fit();
    }
    pixels
}

/// Reads all pictures of a folder, which must be of one size, in the order of their names: byte by
/// byte, so `10.png` comes before `2.png`. If there are none, those of its subfolders, each of which
/// is a class: their sorted names are 0, 1 and so on. Other files, and hidden ones, are not looked
/// at, nor are subfolders without pictures.
///
/// # Errors
///
/// If there is no picture, one is not as [`from_bytes`] reads it or of another size than the first,
/// all would unpack to more than 8 MiB and 256 times their files, or there are more than 256
/// classes.
pub fn read_folder(folder: &Path, _config: &DataConfig) -> Result<Raw> {
    let (paths, labels) = list(folder)?;
    let Some(first) = paths.first() else {
        let none = io::Error::from(io::ErrorKind::NotFound);
        return Err(Error::io("find IDX files or PNGs in", folder, none).hint(
            "IDX files are named train-images-idx3-ubyte and t10k-images-idx3-ubyte, with or \
             without .gz; PNGs lie in the folder, or in folders below it, as `train` and `test`",
        ));
    };
    let mut bytes_of_files = 0_u64;
    for path in &paths {
        let about = fs::metadata(path).map_err(|e| refuse("read", path, e))?;
        bytes_of_files = bytes_of_files.saturating_add(about.len());
    }
    let mut size = None;
    let mut all = Vec::new();
    for path in &paths {
        let Picture { height, width, pixels } = from_bytes(path, &source::read(path)?)?;
        let [first_height, first_width] = *size.get_or_insert([height, width]);
        if [height, width] != [first_height, first_width] {
            let what = format!(
                "is of {height} x {width}, expected {first_height} x {first_width} as `{}`",
                first.display()
            );
            return Err(Error::data(path, what).hint("scale all pictures to one size"));
        }
        if all.is_empty() {
            let bytes = (pixels.len() as u64).saturating_mul(paths.len() as u64);
            check_unpacked(folder, bytes_of_files, bytes)?;
            all = reserved(folder, bytes)?;
        }
        all.extend_from_slice(&pixels);
    }
    let size = size.unwrap_or_default().into();
    let raw = Raw::new(folder, size, Values::Bytes(all), Kind::Pictures { white: 255 })?;
    Ok(Raw { labels, ..raw })
}

/// The pictures of a folder, or of its subfolders, which then are their classes.
fn list(folder: &Path) -> Result<(Vec<PathBuf>, Option<Labels>)> {
    let (pictures, folders) = entries(folder)?;
    if !pictures.is_empty() {
        return Ok((pictures, None));
    }
    let (mut all, mut values, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for below in folders {
        let (pictures, _) = entries(&below)?;
        if pictures.is_empty() {
            continue;
        }
        let class = check_class(folder, names.len())?;
        names.push(below.file_name().unwrap_or_default().to_string_lossy().into_owned());
        all.extend(pictures);
        values.resize(all.len(), class);
    }
    Ok((all, Some(Labels { values, names: Some(names) })))
}

/// The pictures and the folders in a folder, in the order of their names.
pub(super) fn entries(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let fail = |error| refuse("read the folder", folder, error);
    let (mut pictures, mut folders) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden {
            continue;
        }
        if path.is_dir() {
            folders.push(path);
        } else if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png")) {
            pictures.push(path);
        }
    }
    pictures.sort();
    folders.sort();
    Ok((pictures, folders))
}

fn refuse(action: &str, path: &Path, error: io::Error) -> Error {
    Error::io(action, path, error).hint("give a folder of PNGs that can be read")
}
