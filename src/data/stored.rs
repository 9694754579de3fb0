//! Images whose values lie in a file, from which rows are read by their position, each compared with its
//! checksum.
#![warn(clippy::arithmetic_side_effects)]

mod cache;
mod disk;
mod entry;
mod key;
#[cfg(feature = "pictures")]
mod pile;
mod spool;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::Crc;
use rayon::prelude::*;
use tempfile::TempPath;

use crate::data::held;
use crate::data::raw::Values;
use crate::data::source::reserved;
use crate::data::step::Step;
use crate::error::{Error, Result};

pub(super) use cache::{Entry, fitted};
#[cfg(feature = "pictures")]
pub(super) use pile::Pile;
pub use spool::Cache;
use spool::Spool;
pub(super) use spool::{Sink, Space};

/// Rows that follow one another are read at once, but no more bytes than these.
const RUN: usize = 1 << 20;

/// A file of rows of one length.
#[derive(Debug)]
pub(super) struct Table {
    path: PathBuf,
    file: File,
    /// Removes the file with the images, if it is not kept.
    temporary: Option<TempPath>,
    /// The byte at which the first row lies.
    start: u64,
    /// Bytes of a row.
    row_bytes: usize,
    /// Whether the values are bytes, else f32 with the lowest byte first.
    bytes: bool,
    /// The CRC-32 of each row.
    sums: Vec<u32>,
    /// Whether a row was not what was written.
    damaged: AtomicBool,
}

impl Table {
    /// Values of a row.
    fn row(&self) -> usize {
        if self.bytes { self.row_bytes } else { self.row_bytes / 4 }
    }

    /// Reads rows that follow one another.
    fn read(&self, first: u32, rows: &mut [u8]) -> Result<()> {
        let at = u64::from(first).saturating_mul(self.row_bytes as u64).saturating_add(self.start);
        read_at(&self.file, rows, at).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                self.damaged(self.whole_rows().max(first), "ends before or within")
            }
            _ => Error::io("read", &self.path, error).hint(self.way_on()),
        })?;
        for (row, image) in rows.chunks_exact(self.row_bytes.max(1)).zip(first..) {
            if self.sums.get(image as usize) != Some(&checksum(row)) {
                return Err(self.damaged(image, "has other bytes than were written of"));
            }
        }
        Ok(())
    }

    /// So many rows lie before the file's end.
    fn whole_rows(&self) -> u32 {
        let len = self.file.metadata().map_or(0, |about| about.len()).saturating_sub(self.start);
        let rows = len.checked_div(self.row_bytes as u64).unwrap_or_default();
        u32::try_from(rows).unwrap_or(u32::MAX)
    }

    fn damaged(&self, image: u32, how: &str) -> Error {
        self.damaged.store(true, Ordering::Relaxed);
        let count = self.sums.len();
        let what = format!("{how} image {image} of its {count}, counted from 0");
        Error::data(&self.path, what).hint(self.way_on())
    }

    fn way_on(&self) -> &'static str {
        "remove this file: it is made anew from the images that it was made of"
    }
}

/// Rows of such a file, and what becomes of them when they are read.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    table: Arc<Table>,
    /// Which rows of the file they are.
    own: Arc<[u32]>,
    steps: Vec<Step>,
}

impl PartialEq for Stored {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.table, &other.table) && self.own == other.own && self.steps == other.steps
    }
}

impl Stored {
    /// All rows of a file.
    fn all(table: Table) -> Self {
        // A file with more rows is not made.
        let own = (0..table.sums.len() as u32).collect();
        Self { table: Arc::new(table), own, steps: Vec::new() }
    }

    /// The file, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.table.path
    }

    /// How many images there are.
    pub(super) fn count(&self) -> usize {
        self.own.len()
    }

    /// Values of a row as it is read.
    pub(super) fn row(&self) -> usize {
        self.steps.iter().fold(self.table.row(), |row, step| step.row(row))
    }

    /// Bytes of a row in the file.
    pub(super) fn row_bytes(&self) -> usize {
        self.table.row_bytes
    }

    /// Whether values are bytes as they are read.
    pub(super) fn are_bytes(&self) -> bool {
        self.steps.iter().fold(self.table.bytes, |bytes, step| step.are_bytes(bytes))
    }

    /// The same with a change of what is read.
    pub(super) fn stepped(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Keeps those images of which it is said.
    pub(super) fn keep(&mut self, is: impl Fn(usize) -> bool) {
        let own = self.own.iter().enumerate().filter(|(image, _)| is(*image));
        self.own = own.map(|(_, &row)| row).collect();
    }

    /// The rows of these images, one behind the other.
    pub(super) fn gather(&self, images: &[u32]) -> Result<Values> {
        let row_bytes = self.table.row_bytes;
        let bytes = images.len().saturating_mul(row_bytes);
        let mut buffer: Vec<u8> = reserved(&self.table.path, bytes as u64)?;
        buffer.resize(bytes, 0);
        let runs = self.runs(images)?;
        let mut parts = Vec::with_capacity(runs.len());
        let mut rest = buffer.as_mut_slice();
        for (first, count) in runs {
            let (part, behind) = rest.split_at_mut(count.saturating_mul(row_bytes).min(rest.len()));
            parts.push((first, part));
            rest = behind;
        }
        // A few rows are read by one thread, since each may take no more than a microsecond.
        let parts = parts.into_par_iter().with_min_len(4);
        parts.try_for_each(|(first, part)| self.table.read(first, part))?;
        let mut values = match self.table.bytes {
            true => Values::Bytes(buffer),
            false => {
                let words = buffer.as_chunks().0;
                Values::Floats(words.iter().map(|word| f32::from_le_bytes(*word)).collect())
            }
        };
        for step in &self.steps {
            values = step.take(&self.table.path, values)?;
        }
        Ok(values)
    }

    /// The rows of the file that are read at once for these images: the first and how many.
    fn runs(&self, images: &[u32]) -> Result<Vec<(u32, usize)>> {
        let most = RUN.checked_div(self.table.row_bytes).unwrap_or_default().max(1);
        let mut runs: Vec<(u32, usize)> = Vec::new();
        for &image in images {
            let row = self.own.get(image as usize);
            let &row = row.ok_or_else(|| held::none(image, self.own.len()))?;
            match runs.last_mut() {
                Some((first, count))
                    if *count < most && first.checked_add(*count as u32) == Some(row) =>
                {
                    *count = count.saturating_add(1);
                }
                _ => runs.push((row, 1)),
            }
        }
        Ok(runs)
    }
}

/// The checksum of a row.
fn checksum(row: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(row);
    crc.sum()
}

/// Reads so many bytes from a position on, wherever others read.
#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, at)
}

/// Reads so many bytes from a position on, wherever others read.
#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<()> {
    let (mut rest, mut at) = (buffer, at);
    while !rest.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, rest, at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                rest = rest.get_mut(read..).unwrap_or_default();
                at = at.saturating_add(read as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
