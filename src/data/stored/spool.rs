//! Images that are more than memory is to hold go to a file as they are read.
#![warn(clippy::arithmetic_side_effects)]

use std::cell::{Cell, RefCell};
use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::Crc;
use tempfile::NamedTempFile;

use super::disk::{PREFIX, check_free, make, no_space, refused};
use super::{Stored, Table, read_at};
use crate::data::held::Held;
use crate::data::raw::{Part, Values};
use crate::data::source::reserved;
use crate::error::{Error, ErrorKind, Result};

/// How every such file starts; the rows lie behind it.
pub(super) const START: [u8; 64] =
    *b"images that elbo decoded, version 1; it makes them anew if lost\n";

/// Bytes that are written at once.
const BUFFER: usize = 1 << 20;

/// Floats that are turned into bytes at once.
const FLOATS: usize = 4096;

/// Where images lie that memory does not hold, and decoded ones for the next run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache<'a> {
    /// The folder, which is made if it is not there.
    pub folder: &'a Path,
    /// Whether files of images that took long to decode, or that memory does not hold, are kept for the next
    /// run; else they are gone when the images are.
    pub keep: bool,
}

/// The room for what one call reads.
#[derive(Debug)]
pub(in crate::data) struct Space<'a> {
    pub(super) budget: u64,
    pub(super) cache: Option<Cache<'a>>,
    /// Bytes in memory so far.
    pub(super) taken: Cell<u64>,
    /// What should be said of files.
    said: RefCell<Vec<String>>,
    /// The kept files that were opened, with those that are removed where one is damaged.
    opened: RefCell<Vec<(Arc<Table>, [PathBuf; 2])>>,
}

impl<'a> Space<'a> {
    pub(in crate::data) fn new(budget: u64, cache: Option<Cache<'a>>) -> Self {
        let (taken, said, opened) = (Cell::new(0), RefCell::default(), RefCell::default());
        Self { budget, cache, taken, said, opened }
    }

    /// Has something said.
    pub(super) fn say(&self, what: String) {
        self.said.borrow_mut().push(what);
    }

    /// What should be said by now.
    pub(in crate::data) fn said(&self) -> Vec<String> {
        self.said.take()
    }

    /// A kept file was opened, which may turn out to be damaged.
    pub(super) fn opened(&self, table: &Arc<Table>, paths: [PathBuf; 2]) {
        self.opened.borrow_mut().push((table.clone(), paths));
    }

    /// Removes kept files that turned out to be damaged, if there are such: what was read of them must be read
    /// anew.
    pub(in crate::data) fn was_damaged(&self) -> bool {
        let opened = self.opened.take();
        // What was said goes for a reading that is of no use.
        self.said.take();
        let damaged = opened.iter().filter(|(table, _)| table.damaged.load(Ordering::Relaxed));
        let paths: Vec<_> = damaged.flat_map(|(_, paths)| paths).collect();
        for path in &paths {
            if fs::remove_file(path).is_ok() {
                self.say(format!("`{}` is damaged, and is made anew", path.display()));
            }
        }
        self.taken.set(0);
        !paths.is_empty()
    }

    /// Takes so many bytes of memory for what is not yet done.
    pub(in crate::data) fn hold(&self, bytes: u64) {
        self.taken.set(self.taken.get().saturating_add(bytes));
    }

    /// The folder for what has no room in memory.
    pub(super) fn place(&self) -> Result<Cache<'a>> {
        self.cache.ok_or_else(|| {
            let what = "memory has no room for more images, and there is no folder for them";
            Error::new(ErrorKind::Limit, what).hint("give them more memory")
        })
    }

    /// How many bytes there is room for in memory; without a folder for them all stay there.
    pub(in crate::data) fn left(&self) -> u64 {
        match self.cache {
            Some(_) => self.budget.saturating_sub(self.taken.get()),
            None => u64::MAX,
        }
    }
}

impl Default for Space<'_> {
    /// Memory alone.
    fn default() -> Self {
        Self::new(u64::MAX, None)
    }
}

/// Values on their way from a reader to where they are held.
#[derive(Debug)]
pub(in crate::data) struct Sink<'a> {
    /// What is read.
    of: &'a Path,
    space: &'a Space<'a>,
    /// Values of a row.
    row: usize,
    /// How many values there are to be in all.
    expected: u64,
    being: Being,
}

#[derive(Debug)]
enum Being {
    Memory(Values),
    File(Spool),
}

impl<'a> Sink<'a> {
    /// For so many values in rows, bytes or floats, of which `there` are known to exist: for these room is made
    /// in memory, if they are to lie there.
    pub(in crate::data) fn new(
        (of, space): (&'a Path, &'a Space<'a>),
        row: usize,
        (expected, there): (u64, u64),
        bytes: bool,
    ) -> Result<Self> {
        let values = match bytes {
            true => Values::Bytes(Vec::new()),
            false => Values::Floats(Vec::new()),
        };
        let mut sink = Self { of, space, row, expected, being: Being::Memory(values) };
        if sink.needs(bytes) > space.left() {
            sink.being = Being::File(sink.spool(bytes)?);
        }
        match &mut sink.being {
            Being::Memory(Values::Bytes(v)) => *v = reserved(of, there)?,
            Being::Memory(Values::Floats(v)) => *v = reserved(of, there)?,
            Being::File(_) => {}
        }
        Ok(sink)
    }

    /// Bytes of all values.
    fn needs(&self, bytes: bool) -> u64 {
        self.expected.saturating_mul(if bytes { 1 } else { 4 })
    }

    fn spool(&self, bytes: bool) -> Result<Spool> {
        Spool::new(self.space.place()?, self.row, bytes, self.needs(bytes))
    }

    /// Takes the next values. If they are floats where others were bytes, all become floats.
    pub(in crate::data) fn push(&mut self, more: Part<'_>) -> Result<()> {
        let widens = match (&self.being, more) {
            (Being::Memory(Values::Bytes(_)), Part::Floats(_)) => true,
            (Being::File(spool), Part::Floats(_)) => spool.bytes,
            _ => false,
        };
        if widens {
            self.widen()?;
        }
        match &mut self.being {
            Being::Memory(values) => values.extend(more),
            Being::File(spool) => spool.push(more)?,
        }
        Ok(())
    }

    /// What came as bytes becomes floats, for which there may be no room in memory.
    fn widen(&mut self) -> Result<()> {
        let fits = self.needs(false) <= self.space.left();
        let mut wide = if fits { None } else { Some(self.spool(false)?) };
        match (&mut self.being, &mut wide) {
            // They are widened as floats come.
            (Being::Memory(_), None) => return Ok(()),
            (Being::Memory(values), Some(wide)) => wide.push(values.view())?,
            (Being::File(narrow), Some(wide)) => narrow.copy_to(wide)?,
            (Being::File(_), None) => {}
        }
        if let Some(wide) = wide {
            self.being = Being::File(wide);
        }
        Ok(())
    }

    /// All values.
    pub(in crate::data) fn done(self) -> Result<Held> {
        match self.being {
            Being::Memory(mut values) => {
                values.shrink();
                let held = Held::from(values);
                self.space.hold(held.bytes());
                Ok(held)
            }
            Being::File(spool) => Ok(Held::Stored(spool.done(self.of)?)),
        }
    }
}

/// A file of rows as it is written.
#[derive(Debug)]
pub(super) struct Spool {
    out: BufWriter<NamedTempFile>,
    /// The bytes that are to be written.
    needs: u64,
    row_bytes: usize,
    bytes: bool,
    /// Of the row that is being written: its checksum, and how many of its bytes there are.
    crc: Crc,
    filled: usize,
    sums: Vec<u32>,
}

impl Spool {
    fn new(Cache { folder, keep }: Cache<'_>, row: usize, bytes: bool, needs: u64) -> Result<Self> {
        make(folder)?;
        let row_bytes = if bytes { row } else { row.saturating_mul(4) };
        check_free(folder, needs)?;
        let file = tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder);
        let file = file.map_err(|error| refused("make a file in", folder, error))?;
        // Who tidies up leaves what a process has a lock on.
        // Where a disk knows no locks, nothing is removed either.
        let _ = file.as_file().try_lock();
        if cfg!(unix) && !keep {
            // Then it is gone however the process ends; on other systems it is when the images are.
            fs::remove_file(file.path()).map_err(|error| refused("unlink", file.path(), error))?;
        }
        let out = BufWriter::with_capacity(BUFFER, file);
        let (crc, filled, sums) = (Crc::new(), 0, Vec::new());
        let mut spool = Self { out, needs, row_bytes, bytes, crc, filled, sums };
        spool.write(&START)?;
        Ok(spool)
    }

    /// A file of values that are in memory.
    pub(super) fn all(folder: &Path, row: usize, values: Part<'_>) -> Result<Stored> {
        let (bytes, len) = match values {
            Part::Bytes(v) => (true, v.len() as u64),
            Part::Floats(v) => (false, (v.len() as u64).saturating_mul(4)),
        };
        let mut spool = Self::new(Cache { folder, keep: true }, row, bytes, len)?;
        spool.push(values)?;
        spool.done(folder)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let needs = self.needs;
        self.out.write_all(bytes).map_err(|error| no_space(self.out.get_ref().path(), needs, error))
    }

    fn push(&mut self, more: Part<'_>) -> Result<()> {
        match more {
            Part::Bytes(v) if self.bytes => self.rows(v),
            Part::Bytes(v) => v.chunks(FLOATS).try_for_each(|some| {
                let floats = some.iter().flat_map(|&v| f32::from(v).to_le_bytes());
                self.rows(&floats.collect::<Vec<u8>>())
            }),
            Part::Floats(v) => v.chunks(FLOATS).try_for_each(|some| {
                self.rows(&some.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
            }),
        }
    }

    /// Writes the bytes of rows, which may begin and end anywhere.
    fn rows(&mut self, mut more: &[u8]) -> Result<()> {
        while !more.is_empty() {
            let (own, rest) =
                more.split_at(more.len().min(self.row_bytes.saturating_sub(self.filled)));
            self.write(own)?;
            self.crc.update(own);
            self.filled = self.filled.saturating_add(own.len());
            if self.filled == self.row_bytes {
                self.sums.push(self.crc.sum());
                self.crc.reset();
                self.filled = 0;
            }
            if own.is_empty() || self.sums.len() >= u32::MAX as usize {
                let what = "there are more than 2^32 - 2 images, or they have no pixels";
                return Err(Error::new(ErrorKind::Limit, what).hint("give fewer images"));
            }
            more = rest;
        }
        Ok(())
    }

    /// Writes the values once more, to a file of floats.
    fn copy_to(&mut self, wide: &mut Self) -> Result<()> {
        let path = self.out.get_ref().path().to_owned();
        let needs = self.needs;
        self.out.flush().map_err(|error| no_space(&path, needs, error))?;
        let rows = (self.sums.len() as u64).saturating_mul(self.row_bytes as u64);
        let written = rows.saturating_add(self.filled as u64);
        let mut buffer = vec![0; BUFFER];
        let mut at = 0_u64;
        while at < written {
            let some = usize::try_from(written.saturating_sub(at)).unwrap_or(BUFFER).min(BUFFER);
            let some = &mut buffer[..some];
            read_at(self.out.get_ref().as_file(), some, at.saturating_add(START.len() as u64))
                .map_err(|error| refused("read", &path, error))?;
            wide.push(Part::Bytes(some))?;
            at = at.saturating_add(some.len() as u64);
        }
        Ok(())
    }

    /// The rows, which are read from now on.
    fn done(self, of: &Path) -> Result<Stored> {
        if self.filled > 0 {
            let what = format!("ends within image {}", self.sums.len());
            return Err(Error::data(of, what).hint(crate::data::source::WHOLE));
        }
        let needs = self.needs;
        let path = self.out.get_ref().path().to_owned();
        let file = self.out.into_inner().map_err(|error| error.into_error());
        let (file, temporary) = file.map_err(|error| no_space(&path, needs, error))?.into_parts();
        let (start, row_bytes) = (START.len() as u64, self.row_bytes);
        let temporary = Some(temporary);
        let Self { bytes, sums, .. } = self;
        let damaged = AtomicBool::new(false);
        Ok(Stored::all(Table { path, file, temporary, start, row_bytes, bytes, sums, damaged }))
    }
}
