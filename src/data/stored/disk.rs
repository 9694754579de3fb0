//! The disk that images lie on: how much of it is free, and what its refusals mean.
#![warn(clippy::arithmetic_side_effects)]

use std::fs;
use std::io;
use std::path::Path;

use crate::error::{Error, Result};

/// How unfinished files begin.
pub(super) const PREFIX: &str = ".elbo-";

const WAY_ON: &str = "free some space there, or give images more memory, so that they need no file";

/// Bytes that a user may write where a folder lies, if the system says so.
#[cfg(unix)]
pub(super) fn free(folder: &Path) -> Option<u64> {
    let about = rustix::fs::statvfs(folder).ok()?;
    Some(about.f_bavail.saturating_mul(about.f_frsize))
}

/// Bytes that a user may write where a folder lies, if the system says so.
#[cfg(not(unix))]
pub(super) fn free(_: &Path) -> Option<u64> {
    None
}

/// Refuses to begin a file of so many bytes where there is no room for it.
pub(super) fn check_free(folder: &Path, needs: u64) -> Result<()> {
    match free(folder) {
        Some(free) if free < needs => {
            let what = format!("{free} bytes are free, and images need {needs}");
            Err(no_space(folder, needs, io::Error::new(io::ErrorKind::StorageFull, what)))
        }
        _ => Ok(()),
    }
}

/// So many bytes of images could not be written.
pub(super) fn no_space(path: &Path, needs: u64, error: io::Error) -> Error {
    Error::io(&format!("write {needs} bytes of images to"), path, error).hint(WAY_ON)
}

/// The system refused something else.
pub(super) fn refused(action: &str, path: &Path, error: io::Error) -> Error {
    Error::io(action, path, error)
        .hint("images that are larger than memory need a folder for caches that can be written")
}

/// Makes a folder if it is not there.
pub(super) fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| refused("make the folder", folder, error))
}
