//! Zips of other things than arrays: of IDX files they are read, and of all else refused for what it is.
#![warn(clippy::arithmetic_side_effects)]

use std::borrow::Cow;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::Path;

use zip::ZipArchive;

use crate::data::formats::{idx, kinds, npz};
use crate::data::raw::Found;
use crate::data::source::{self, Ask, WHOLE, check_unpacked, unpack};
use crate::error::{Error, Result};

/// Reads the images of a zip; `path` is named in errors.
///
/// # Errors
///
/// If it is no archive of arrays as [`npz::read`] reads, nor of IDX files.
pub(in crate::data) fn read(path: &Path, bytes: &[u8], ask: Ask<'_>) -> Result<Found> {
    read_from(path, (Cursor::new(bytes), bytes.len() as u64), ask)
}

/// Reads the images of a zip that is no gz.
pub(in crate::data) fn read_file(path: &Path, ask: Ask<'_>) -> Result<Found> {
    let (file, len) = source::open(path)?;
    read_from(path, (BufReader::new(file), len), ask)
}

fn read_from<R: Read + Seek>(
    path: &Path,
    (mut from, len): (R, u64),
    ask: Ask<'_>,
) -> Result<Found> {
    npz::check_directory(path, &mut from)?;
    let names: Vec<String> = match ZipArchive::new(&mut from) {
        Err(_) => Vec::new(),
        Ok(zip) => zip.file_names().filter_map(|name| name.ok().map(Cow::into_owned)).collect(),
    };
    if names.is_empty() || names.iter().any(|name| name.ends_with(".npy")) {
        from.rewind().map_err(|error| Error::io("read", path, error).hint(WHOLE))?;
        return npz::read_from(path, (from, len), ask);
    }
    if names.iter().any(|name| name.ends_with("/data.pkl")) {
        return Err(kinds::torch(path));
    }
    let broken = |error| npz::broken(path, &error);
    let mut zip = ZipArchive::new(from).map_err(broken)?;
    let mut load = |at: usize| {
        let mut member = zip.by_name(&names[at]).map_err(broken)?;
        let (packed, unpacked) = (member.compressed_size().min(len), member.size());
        let inside = path.join(&names[at]);
        check_unpacked(&inside, packed, unpacked)?;
        unpack(&inside, &mut member, (packed, unpacked), "zip")
    };
    if let Some(found) = idx::read_archive(path, &names, &mut load, ask)? {
        return Ok(found);
    }
    let first = names.first().map(|name| name.escape_debug().to_string()).unwrap_or_default();
    let what = format!("is a zip of {} files, such as `{first}`", names.len());
    Err(kinds::must_unpack(path, &what, "unzip"))
}
