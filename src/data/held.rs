//! Where the values of images are held, in memory or in a file, and how all of them are gone through.
#![warn(clippy::arithmetic_side_effects)]

use std::ops::ControlFlow;
use std::path::Path;

use crate::data::raw::{Part, Values};
use crate::data::source::reserved;
use crate::data::step::Step;
use crate::data::stored::Stored;
use crate::error::{Error, ErrorKind, Result};

/// Values are added up in blocks of whole rows of about so many values, and parts of a file are made of whole
/// blocks: so sums have the same bits wherever the values are held.
const BLOCK: usize = 1 << 16;

/// A part of a file has about so many bytes; in tests fewer, so that there are several.
const PART: usize = if cfg!(test) { 1 << 18 } else { 4 << 20 };

/// The rows of a block.
pub(super) fn block(row: usize) -> usize {
    BLOCK.checked_div(row).unwrap_or_default().max(1)
}

/// The values of images.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Held {
    /// Row after row.
    Memory(Values),
    /// In a file, from which rows are read when they are needed.
    Stored(Stored),
}

impl From<Values> for Held {
    fn from(values: Values) -> Self {
        Self::Memory(values)
    }
}

impl Held {
    /// The number of values.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Memory(values) => values.len(),
            Self::Stored(stored) => stored.count().saturating_mul(stored.row()),
        }
    }

    /// Whether they are bytes, else they are floats.
    pub(super) fn are_bytes(&self) -> bool {
        match self {
            Self::Memory(values) => matches!(values, Values::Bytes(_)),
            Self::Stored(stored) => stored.are_bytes(),
        }
    }

    /// The bytes that they take in memory, if they are there, or would take.
    pub(super) fn bytes(&self) -> u64 {
        let each = if self.are_bytes() { 1 } else { 4 };
        (self.len() as u64).saturating_mul(each)
    }

    /// Goes through all values in parts of whole rows of so many, each with the number of its first row: those
    /// in memory are one part.
    pub(super) fn each_part(
        &self,
        row: usize,
        take: &mut dyn FnMut(usize, Part<'_>) -> Result<()>,
    ) -> Result<()> {
        self.until(row, &mut |first, part| take(first, part).map(ControlFlow::Continue))
    }

    /// The same until a part is told to be the last.
    fn until(
        &self,
        row: usize,
        take: &mut dyn FnMut(usize, Part<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let stored = match self {
            Self::Memory(values) => return take(0, values.view()).map(|_| ()),
            Self::Stored(stored) => stored,
        };
        let bytes = block(row).saturating_mul(stored.row_bytes());
        let rows = block(row).saturating_mul(PART.checked_div(bytes).unwrap_or_default().max(1));
        for first in (0..stored.count()).step_by(rows) {
            let end = stored.count().min(first.saturating_add(rows));
            let part = stored.gather(&(first as u32..end as u32).collect::<Vec<_>>())?;
            if take(first, part.view())?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The place of the first value that is one of these.
    pub(super) fn position(
        &self,
        row: usize,
        byte: impl Fn(u8) -> bool,
        float: impl Fn(f32) -> bool,
    ) -> Result<Option<usize>> {
        let mut found = None;
        self.until(row, &mut |first, part| {
            let at = match part {
                Part::Bytes(v) => v.iter().position(|&v| byte(v)),
                Part::Floats(v) => v.iter().position(|&v| float(v)),
            };
            found = at.map(|at| first.saturating_mul(row).saturating_add(at));
            Ok(if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(found)
    }

    /// The rows of these images, one behind the other.
    pub(super) fn gather(&self, row: usize, images: &[u32]) -> Result<Values> {
        let values = match self {
            Self::Memory(values) => values,
            Self::Stored(stored) => return stored.gather(images),
        };
        fn rows<T: Copy>(all: &[T], row: usize, images: &[u32]) -> Result<Vec<T>> {
            let mut some = Vec::with_capacity(images.len().saturating_mul(row));
            for &image in images {
                let first = (image as usize).saturating_mul(row);
                let found = all.get(first..first.saturating_add(row));
                let count = all.len().checked_div(row).unwrap_or_default();
                some.extend_from_slice(found.ok_or_else(|| none(image, count))?);
            }
            Ok(some)
        }
        Ok(match values {
            Values::Bytes(v) => Values::Bytes(rows(v, row, images)?),
            Values::Floats(v) => Values::Floats(rows(v, row, images)?),
        })
    }

    /// What becomes of them: at once in memory, of those in a file when they are read.
    pub(super) fn stepped(self, path: &Path, step: Step) -> Result<Self> {
        Ok(match self {
            Self::Memory(values) => Self::Memory(step.take(path, values)?),
            Self::Stored(stored) => Self::Stored(stored.stepped(step)),
        })
    }

    /// Keeps so many rows.
    pub(super) fn truncate(&mut self, row: usize, count: usize) {
        match self {
            Self::Memory(values) => values.truncate(count.saturating_mul(row)),
            Self::Stored(stored) => stored.keep(|image| image < count),
        }
    }

    /// Takes the rows of these images out.
    pub(super) fn take_out(&mut self, row: usize, taken: &[bool]) -> Self {
        match self {
            Self::Memory(Values::Bytes(v)) => Values::Bytes(take_out(v, row, taken)).into(),
            Self::Memory(Values::Floats(v)) => Values::Floats(take_out(v, row, taken)).into(),
            Self::Stored(stored) => {
                let is = |image: usize| taken.get(image).copied().unwrap_or_default();
                let mut out = stored.clone();
                out.keep(is);
                stored.keep(|image| !is(image));
                Self::Stored(out)
            }
        }
    }

    /// The same values in memory.
    pub(super) fn in_memory(self) -> Result<Self> {
        let Self::Stored(stored) = &self else { return Ok(self) };
        let (path, len) = (stored.path(), self.len() as u64);
        let mut all = match stored.are_bytes() {
            true => Values::Bytes(reserved(path, len)?),
            false => Values::Floats(reserved(path, len)?),
        };
        self.each_part(stored.row(), &mut |_, part| {
            all.extend(part);
            Ok(())
        })?;
        Ok(all.into())
    }
}

/// That there is no such image.
pub(super) fn none(image: u32, count: usize) -> Error {
    let what = format!("there is no image {image}, since there are {count}, counted from 0");
    Error::new(ErrorKind::Data, what).hint("ask for images that there are")
}

/// Moves the taken rows out, and the others together.
pub(super) fn take_out<T: Copy>(all: &mut Vec<T>, row: usize, taken: &[bool]) -> Vec<T> {
    let rows = taken.iter().filter(|&&taken| taken).count();
    let mut out = Vec::with_capacity(rows.saturating_mul(row));
    let mut kept = 0_usize;
    for (index, &taken) in taken.iter().enumerate() {
        let first = index.saturating_mul(row);
        let range = first..first.saturating_add(row);
        if taken {
            out.extend_from_slice(&all[range]);
        } else {
            all.copy_within(range, kept);
            kept = kept.saturating_add(row);
        }
    }
    all.truncate(kept);
    out
}
