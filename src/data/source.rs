//! What the readers of files share: how a file is opened, and how much of it is believed.
#![warn(clippy::arithmetic_side_effects)]

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, Result};
use crate::files;
pub(super) use crate::files::reserved;

/// Packed data may always unpack to so many bytes: small files of blank pictures do.
const MOST_FROM_ANYTHING: u64 = 8 << 20;

/// Beyond that, a packed byte may unpack to so many: what photographs, digits and binary sprites
/// reach is 100, what deflate can reach is 1032.
const MOST_FROM_A_BYTE: u64 = 256;

pub(super) const WHOLE: &str = "the file may be damaged or half copied: fetch it again";

const FORMATS: &str = "give a readable file: IDX, IDX.gz, .npy, .npz, .csv, or a folder of PNGs";

/// Opens a regular file, and says how long it is.
pub(super) fn open(path: &Path) -> Result<(File, u64)> {
    files::open_regular(path, FORMATS)
}

/// All bytes of a regular file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    files::read_whole(path, u64::MAX, FORMATS)
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

/// How the content of gzip data starts, as far as it can be unpacked.
pub(super) fn start_of(packed: &[u8]) -> Vec<u8> {
    let mut start = Vec::new();
    let _ = MultiGzDecoder::new(packed).take(64).read_to_end(&mut start);
    start
}

/// The content of gzip data, which may have several members.
pub(super) fn unpacked(path: &Path, packed: &[u8]) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    // More is read only as far as an honest file may hold more.
    let most = (packed.len() as u64).saturating_mul(MOST_FROM_A_BYTE).max(MOST_FROM_ANYTHING);
    let mut from = MultiGzDecoder::new(packed).take(most.saturating_add(1));
    from.read_to_end(&mut content).map_err(|error| {
        let what = match error.kind() {
            io::ErrorKind::UnexpectedEof => "is cut off: its gzip data end too early".to_owned(),
            io::ErrorKind::OutOfMemory => {
                "needs more memory to be unpacked than there is".to_owned()
            }
            _ => format!("holds damaged gzip data: {error}"),
        };
        Error::data(path, what).hint(WHOLE)
    })?;
    check_unpacked(path, packed.len() as u64, content.len() as u64)?;
    Ok(content)
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
