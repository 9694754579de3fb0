//! The disk that images lie on: how much of it is free, and what its refusals mean.
#![warn(clippy::arithmetic_side_effects)]

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::read_at;
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

/// A file without a name, which is gone when this is: pieces of bytes, one behind the other.
#[derive(Debug)]
pub(in crate::data) struct Pile {
    folder: PathBuf,
    file: File,
    len: u64,
}

impl Pile {
    pub(super) fn new(folder: &Path) -> Result<Self> {
        make(folder)?;
        let file = tempfile::tempfile_in(folder);
        let file = file.map_err(|error| refused("make a file in", folder, error))?;
        Ok(Self { folder: folder.to_owned(), file, len: 0 })
    }

    /// The folder, for messages.
    pub(in crate::data) fn path(&self) -> &Path {
        &self.folder
    }

    /// Puts bytes behind the others, and says where.
    pub(in crate::data) fn put(&mut self, bytes: &[u8]) -> Result<u64> {
        let (at, needs) = (self.len, bytes.len() as u64);
        self.file.write_all(bytes).map_err(|error| no_space(&self.folder, needs, error))?;
        self.len = self.len.saturating_add(needs);
        Ok(at)
    }

    /// Reads bytes that were put there.
    pub(in crate::data) fn read(&self, at: u64, bytes: &mut [u8]) -> Result<()> {
        read_at(&self.file, bytes, at).map_err(|error| refused("read", &self.folder, error))
    }
}
