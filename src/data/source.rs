//! What the readers of files share: how a file is opened, and how much of it is believed.
#![warn(clippy::arithmetic_side_effects)]

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::error::{Error, Result};

/// Packed data may always unpack to so many bytes: small files of blank pictures do.
const MOST_FROM_ANYTHING: u64 = 8 << 20;

/// Beyond that, a packed byte may unpack to so many: what photographs, digits and binary sprites
/// reach is 100, what deflate can reach is 1032.
const MOST_FROM_A_BYTE: u64 = 256;

pub(super) const WHOLE: &str = "the file may be damaged or half copied: fetch it again";

/// Opens a regular file, and says how long it is.
pub(super) fn open(path: &Path) -> Result<(File, u64)> {
    let refuse = |error| {
        Error::io("read", path, error)
            .hint("give a readable file: IDX, IDX.gz, .npy, .npz, .csv, or a folder of PNGs")
    };
    // Looked at before it is opened, since opening a named pipe would wait for a writer.
    let about = fs::metadata(path).map_err(refuse)?;
    if about.is_dir() {
        return Err(refuse(io::ErrorKind::IsADirectory.into()));
    }
    if !about.is_file() {
        return Err(refuse(io::Error::other("not a regular file")));
    }
    let file = File::open(path).map_err(refuse)?;
    let len = file.metadata().map_err(refuse)?.len();
    Ok((file, len))
}

/// All bytes of a regular file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let (file, len) = open(path)?;
    let mut bytes = reserved(path, len)?;
    // No more than was reserved, though the file may grow meanwhile.
    let read = file.take(len).read_to_end(&mut bytes);
    read.map_err(|e| Error::io("read", path, e).hint("try again, or copy the file elsewhere"))?;
    Ok(bytes)
}

/// An empty vector with room for `len` elements, or an error where there is no such room.
pub(super) fn reserved<T>(path: &Path, len: u64) -> Result<Vec<T>> {
    let mut vec = Vec::new();
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    vec.try_reserve_exact(len)
        .map_err(|e| Error::io("read", path, e.into()).hint("free some memory"))?;
    Ok(vec)
}

/// Refuses to unpack `packed` bytes to `unpacked` ones if no honest file would need that.
pub(super) fn check_unpacked(path: &Path, packed: u64, unpacked: u64) -> Result<()> {
    let most = packed.saturating_mul(MOST_FROM_A_BYTE).max(MOST_FROM_ANYTHING);
    if unpacked <= most {
        return Ok(());
    }
    let what = format!(
        "its {packed} compressed bytes are to unpack to {unpacked}, expected {most} at the most"
    );
    Err(Error::data(path, what).hint("if the file is to be trusted, unpack it first"))
}

/// Makes black and white of bytes that are all 0 or 1, as masks and binarised images are stored: as
/// they are they would be two shades of black.
pub(super) fn spread(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.iter().all(|&byte| byte <= 1) {
        bytes.iter_mut().for_each(|byte| *byte = byte.saturating_mul(255));
    }
    bytes
}

/// Refuses floats that are not finite, with the first one.
pub(super) fn check_finite(path: &Path, floats: &[f32]) -> Result<()> {
    match floats.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(at) => {
            let what = format!("value {at} is {}, expected finite numbers of f32", floats[at]);
            Err(Error::data(path, what).hint("replace or leave out what is missing"))
        }
    }
}

/// Height and width of images that are rows of `values` numbers: a square if they make one.
pub(super) fn square(values: usize) -> [usize; 2] {
    let side = values.isqrt();
    if side.checked_mul(side) == Some(values) { [side, side] } else { [1, values] }
}
