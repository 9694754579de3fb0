//! Zips of other things than arrays: of IDX files they are read, and of all else refused for what it is.
#![warn(clippy::arithmetic_side_effects)]

use std::io::Cursor;
use std::path::Path;

use zip::ZipArchive;

use crate::config::DataConfig;
use crate::data::formats::{idx, kinds, npz};
use crate::data::raw::Found;
use crate::data::source::{check_unpacked, unpack};
use crate::error::Result;

/// Reads the images of a zip; `path` is named in errors.
///
/// # Errors
///
/// If it is no archive of arrays as [`npz::read`] reads, nor of IDX files.
pub(in crate::data) fn read(path: &Path, bytes: &[u8], config: &DataConfig) -> Result<Found> {
    npz::check_directory(path, bytes)?;
    let Ok(mut zip) = ZipArchive::new(Cursor::new(bytes)) else {
        return npz::read(path, bytes, config);
    };
    let names: Vec<String> =
        zip.file_names().filter_map(|name| name.ok().map(std::borrow::Cow::into_owned)).collect();
    if names.is_empty() || names.iter().any(|name| name.ends_with(".npy")) {
        return npz::read(path, bytes, config);
    }
    if names.iter().any(|name| name.ends_with("/data.pkl")) {
        return Err(kinds::torch(path));
    }
    let mut load = |at: usize| {
        let broken = |error| npz::broken(path, &error);
        let mut member = zip.by_name(&names[at]).map_err(broken)?;
        let (packed, unpacked) = (member.compressed_size().min(bytes.len() as u64), member.size());
        let inside = path.join(&names[at]);
        check_unpacked(&inside, packed, unpacked)?;
        unpack(&inside, &mut member, (packed, unpacked), "zip")
    };
    if let Some(found) = idx::read_archive(path, &names, &mut load, config)? {
        return Ok(found);
    }
    let first = names.first().map(|name| name.escape_debug().to_string()).unwrap_or_default();
    let what = format!("is a zip of {} files, such as `{first}`", names.len());
    Err(kinds::must_unpack(path, &what, "unzip"))
}
