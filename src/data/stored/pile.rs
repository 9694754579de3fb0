//! What has no room in memory until it is known what becomes of it.
#![warn(clippy::arithmetic_side_effects)]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::disk::{make, no_space, refused};
use super::{Space, read_at};
use crate::error::Result;

impl Space<'_> {
    /// Gives so many bytes of memory back.
    pub(in crate::data) fn free(&self, bytes: u64) {
        self.taken.set(self.taken.get().saturating_sub(bytes));
    }

    /// A file without a name for what is not yet done and has no room in memory.
    pub(in crate::data) fn pile(&self) -> Result<Pile> {
        self.place().and_then(|cache| Pile::new(cache.folder))
    }
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
