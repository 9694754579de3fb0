//! What the readers of files share: how a file is opened, and how much of it is believed.
#![warn(clippy::arithmetic_side_effects)]

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::config::DataConfig;
use crate::data::stored::Space;
use crate::error::{Error, Result};
use crate::files;
pub(super) use crate::files::reserved;

/// Packed data may always unpack to so many bytes: small files of blank pictures do.
const MOST_FROM_ANYTHING: u64 = 8 << 20;

/// Beyond that, a packed byte may unpack to so many: what photographs, digits and binary sprites
/// reach is 100, what deflate can reach is 1032.
const MOST_FROM_A_BYTE: u64 = 256;

pub(super) const WHOLE: &str = "the file may be damaged or half copied: fetch it again";

const FORMATS: &str = "give a readable file or folder of images";

/// How every gzip file starts; the content decides, since a name may lie.
pub(super) const GZIP: [u8; 2] = [0x1f, 0x8b];

/// So many bytes tell what a file is: a tar names itself behind the first 257.
const START: u64 = 512;

/// What readers are told: how files become images, and the room for them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    pub(super) config: &'a DataConfig,
    pub(super) space: &'a Space<'a>,
}

/// What can be told of a file without reading it all.
#[derive(Debug)]
pub(super) struct Start {
    /// Its first bytes, unpacked if it is a gz.
    pub(super) bytes: Vec<u8>,
    /// Whether it is a gz.
    pub(super) packed: bool,
    /// Bytes of the file as it lies on the disk.
    pub(super) len: u64,
}

/// Opens a regular file, and says how long it is.
pub(super) fn open(path: &Path) -> Result<(File, u64)> {
    files::open_regular(path, FORMATS)
}

/// All bytes of a regular file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    files::read_whole(path, u64::MAX, FORMATS)
}

/// The start of a regular file. Of a damaged gz it may be empty: who reads the file finds out.
pub(super) fn start(path: &Path) -> Result<Start> {
    let (file, len) = open(path)?;
    let mut bytes = Vec::new();
    file.take(START.saturating_mul(8))
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io("read", path, error).hint(FORMATS))?;
    let packed = bytes.starts_with(&GZIP);
    if packed {
        let mut unpacked = Vec::new();
        let _ = MultiGzDecoder::new(bytes.as_slice()).take(START).read_to_end(&mut unpacked);
        bytes = unpacked;
    }
    bytes.truncate(START as usize);
    Ok(Start { bytes, packed, len })
}

/// All bytes of a regular file, unpacked if it is a gz.
pub(super) fn content(path: &Path) -> Result<Vec<u8>> {
    let bytes = read(path)?;
    if bytes.starts_with(&GZIP) { unpacked(path, &bytes) } else { Ok(bytes) }
}

/// What a gz unpacks to, if that is no more than an honest file would.
pub(super) fn unpacked(path: &Path, packed: &[u8]) -> Result<Vec<u8>> {
    let most = most_unpacked(packed.len() as u64);
    unpack(path, MultiGzDecoder::new(BufReader::new(packed)), (packed.len() as u64, most), "gz")
}

/// All that a decoder gives of so many packed bytes, refused where it is more than `most`.
pub(super) fn unpack(
    path: &Path,
    decoder: impl Read,
    (packed, most): (u64, u64),
    kind: &str,
) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = decoder.take(most.saturating_add(1)).read_to_end(&mut bytes);
    let found = bytes.len() as u64;
    if found > most {
        check_unpacked(path, packed, found)?;
        let what = format!("unpacks to more than the {most} bytes that it says");
        return Err(Error::data(path, what).hint(WHOLE));
    }
    read.map_err(|error| {
        let what = match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                format!("is cut off: its {kind} data end too early, after {found} unpacked bytes")
            }
            _ => format!("holds damaged {kind} data: {error}"),
        };
        Error::data(path, what).hint(WHOLE)
    })?;
    bytes.shrink_to_fit();
    Ok(bytes)
}

/// To how many bytes so many packed ones are believed to unpack.
pub(super) fn most_unpacked(packed: u64) -> u64 {
    packed.saturating_mul(MOST_FROM_A_BYTE).max(MOST_FROM_ANYTHING)
}

/// Refuses to unpack `packed` bytes to `unpacked` ones if no honest file would need that.
pub(super) fn check_unpacked(path: &Path, packed: u64, unpacked: u64) -> Result<()> {
    let most = most_unpacked(packed);
    if unpacked <= most {
        return Ok(());
    }
    let what = format!(
        "its {packed} compressed bytes are to unpack to {unpacked}, expected {most} at the most"
    );
    Err(Error::data(path, what).hint("if the file is to be trusted, unpack it first"))
}

/// Refuses a web page, which servers give in the place of a file that is not there.
pub(super) fn check_not_a_page(path: &Path, start: &[u8]) -> Result<()> {
    let text = start.trim_ascii_start();
    let is =
        |word: &[u8]| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    if !is(b"<!doctype") && !is(b"<html") && !is(b"<head") && !is(b"<?xml") {
        return Ok(());
    }
    let packed = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz"));
    let expected = if packed { "a gz file" } else { "a file of images" };
    Err(Error::data(path, format!("is a web page, not {expected}")).hint(
        "fetch it again: the server gave a page in its place; a text editor shows what it says",
    ))
}

/// A value that is not finite, at its place among all.
pub(super) fn not_finite(path: &Path, at: usize, value: f32) -> Error {
    let what = format!("value {at} is {value}, expected finite numbers of f32");
    Error::data(path, what).hint("replace or leave out what is missing")
}

/// Height and width of images that are rows of `values` numbers: a square if they make one.
pub(super) fn square(values: usize) -> [usize; 2] {
    let side = values.isqrt();
    if side.checked_mul(side) == Some(values) { [side, side] } else { [1, values] }
}
