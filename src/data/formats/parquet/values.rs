//! The values of a page: one behind another, or as places in a dictionary.
#![warn(clippy::arithmetic_side_effects)]

use crate::data::formats::parquet::footer::Stored;
use crate::data::formats::parquet::pages::Fault;
use crate::data::formats::parquet::thrift::Thrift;

/// A value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Missing,
    Number(f64),
    Bytes(&'a [u8]),
}

/// What places stand for.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    page: Vec<u8>,
    /// Where each value begins.
    starts: Vec<u32>,
}

impl Dictionary {
    pub(super) fn parse(page: Vec<u8>, values: u64, stored: Stored) -> Result<Self, Fault> {
        let mut starts = Vec::new();
        let mut at = 0;
        for _ in 0..values {
            starts.push(u32::try_from(at).map_err(|_| "has a dictionary of more than 4 GiB")?);
            (_, at) = plain(&page, at, stored).ok_or("ends within its dictionary")?;
        }
        Ok(Self { page, starts })
    }

    fn get(&self, place: u32, stored: Stored) -> Option<Cell<'_>> {
        let start = *self.starts.get(usize::try_from(place).ok()?)?;
        plain(&self.page, usize::try_from(start).ok()?, stored).map(|(cell, _)| cell)
    }
}

/// The value that stands at a byte, and where the next one stands.
fn plain(page: &[u8], at: usize, stored: Stored) -> Option<(Cell<'_>, usize)> {
    let rest = page.get(at..)?;
    let (number, len) = match stored {
        Stored::Int32 => (i32::from_le_bytes(*rest.first_chunk()?).into(), 4),
        Stored::Int64 => (i64::from_le_bytes(*rest.first_chunk()?) as f64, 8),
        Stored::Float => (f32::from_le_bytes(*rest.first_chunk()?).into(), 4),
        Stored::Double => (f64::from_le_bytes(*rest.first_chunk()?), 8),
        Stored::Bytes => {
            let (len, behind) = rest.split_first_chunk()?;
            let len = u32::from_le_bytes(*len) as usize;
            let next = at.checked_add(4)?.checked_add(len)?;
            return Some((Cell::Bytes(behind.get(..len)?), next));
        }
        Stored::Bool | Stored::Other => return None,
    };
    Some((Cell::Number(number), at.checked_add(len)?))
}

/// Values that are taken one by one.
#[derive(Debug)]
pub(super) enum Values<'a> {
    /// Bytes, and the place of the next value: a byte, or of truths a bit.
    Plain(&'a [u8], usize),
    Places(Runs<'a>),
}

impl<'a> Values<'a> {
    pub(super) fn next<'b>(
        &mut self,
        stored: Stored,
        dictionary: &'b Dictionary,
    ) -> Option<Cell<'b>>
    where
        'a: 'b,
    {
        match self {
            Self::Plain(bytes, at) if stored == Stored::Bool => {
                let bit = bytes.get(*at >> 3)? >> (*at & 7) & 1;
                *at = at.checked_add(1)?;
                Some(Cell::Number(bit.into()))
            }
            Self::Plain(bytes, at) => {
                let (cell, next) = plain(bytes, *at, stored)?;
                *at = next;
                Some(cell)
            }
            Self::Places(runs) if stored == Stored::Bool => Some(Cell::Number(runs.next()?.into())),
            Self::Places(runs) => dictionary.get(runs.next()?, stored),
        }
    }
}

/// Small numbers of so many bits: runs of one, and numbers side by side, eight at a time.
#[derive(Debug)]
pub(super) struct Runs<'a> {
    thrift: Thrift<'a>,
    width: u32,
    left: u64,
    /// The number of a run; in its place, the next bit of numbers side by side.
    run: Result<u32, usize>,
}

impl<'a> Runs<'a> {
    pub(super) fn new(bytes: &'a [u8], width: u32) -> Self {
        Self { thrift: Thrift::new(bytes), width, left: 0, run: Ok(0) }
    }

    pub(super) fn next(&mut self) -> Option<u32> {
        if self.width > 32 {
            return None;
        }
        while self.left == 0 {
            let head = self.thrift.unsigned()?;
            if head & 1 == 0 {
                let mut word = [0; 4];
                for byte in word.iter_mut().take(self.width.div_ceil(8) as usize) {
                    *byte = self.thrift.byte()?;
                }
                (self.left, self.run) = (head >> 1, Ok(u32::from_le_bytes(word)));
                continue;
            }
            let groups = usize::try_from(head >> 1).ok()?;
            let bits = self.thrift.at.checked_mul(8)?;
            let end = self.thrift.at.checked_add(groups.checked_mul(self.width as usize)?)?;
            // Each group of eight numbers has as many bytes as a number has bits.
            self.thrift.at = (end <= self.thrift.bytes.len()).then_some(end)?;
            (self.left, self.run) = ((head >> 1).checked_mul(8)?, Err(bits));
        }
        self.left = self.left.checked_sub(1)?;
        match &mut self.run {
            Ok(number) => Some(*number),
            Err(bit) => {
                let mut number = 0_u64;
                let first = *bit >> 3;
                for (shift, at) in (first..first.checked_add(5)?).enumerate() {
                    let byte = self.thrift.bytes.get(at).copied().unwrap_or_default();
                    number |= u64::from(byte) << (shift << 3);
                }
                let number = number >> (*bit & 7) & (1_u64 << self.width).wrapping_sub(1);
                *bit = bit.checked_add(self.width as usize)?;
                u32::try_from(number).ok()
            }
        }
    }
}
