//! Folders of PNGs as older runs read them, which must go on to find the same images.
#![warn(clippy::arithmetic_side_effects)]

use std::fs;
use std::path::{Path, PathBuf};

use super::decode::{self, Decoded};
use super::folder::{none, refuse};
use super::samples::{self, Samples};
use crate::config::ImageSize;
use crate::data::channels;
use crate::data::labels::{Labels, check_class};
use crate::data::raw::{Found, Kind, Raw, Values};
use crate::data::source::{self, check_unpacked, reserved};
use crate::error::{Error, Result};

/// Reads the PNGs of a folder, or of its folders `train` and `test`.
pub(super) fn read(folder: &Path) -> Result<Found> {
    let [train, test] = ["train", "test"].map(|name| folder.join(name));
    if train.is_dir() && test.is_dir() {
        return Ok(Found { train: of(&train)?, test: Some(of(&test)?) });
    }
    of(folder).map(Raw::into)
}

/// Grey images of one size, of files that are called `.png`, in the order of their names: byte by byte.
/// If there are none, those of the subfolders, each of which is a class: their sorted names are 0, 1 and
/// so on. Other files, and hidden ones, are not looked at, nor are subfolders without pictures.
fn of(folder: &Path) -> Result<Raw> {
    let (paths, labels) = list(folder)?;
    let Some(first) = paths.first() else { return Err(none(folder)) };
    let mut bytes_of_files = 0_u64;
    for path in &paths {
        let about = fs::metadata(path).map_err(|e| refuse("read", path, e))?;
        bytes_of_files = bytes_of_files.saturating_add(about.len());
    }
    let mut size = None;
    let mut all = Vec::new();
    for path in &paths {
        let ([height, width], pixels) = grey(path)?;
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

/// The upper 8 bits of a PNG in grey, on black. It is not turned.
fn grey(path: &Path) -> Result<([usize; 2], Vec<u8>)> {
    let (Decoded { size, samples, .. }, _) = decode::png(path, &source::read(path)?, true)?;
    let ImageSize { height, width, channels } = size;
    let Samples::Bytes(mut pixels) = samples else { return Ok(([height, width], Vec::new())) };
    let luma = |rgb: [u8; 3]| channels::luma(rgb.map(u32::from)) as u8;
    let pixel = |some: &[u8]| match *some {
        [v] => v,
        [v, alpha] => samples::part(v, alpha),
        [r, g, b] => luma([r, g, b]),
        [r, g, b, alpha] => samples::part(luma([r, g, b]), alpha),
        _ => 0,
    };
    if channels > 1 {
        pixels = pixels.chunks_exact(channels).map(pixel).collect();
    }
    Ok(([height, width], pixels))
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
fn entries(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
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
