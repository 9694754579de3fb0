//! Thrift's compact protocol, in which Parquet writes what it says of its data. What cannot be read is none.
#![warn(clippy::arithmetic_side_effects)]

/// Structs may lie in one another so deep.
const MOST_DEEP: usize = 16;

/// Bytes that are read from their start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thrift<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

/// The types of fields that are looked at.
pub(super) const TRUE: u8 = 1;
pub(super) const FALSE: u8 = 2;
pub(super) const BINARY: u8 = 8;
pub(super) const LIST: u8 = 9;
pub(super) const STRUCT: u8 = 12;

impl<'a> Thrift<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at = self.at.checked_add(1)?;
        Some(byte)
    }

    /// A number of 7 bits in each byte, the lowest first.
    pub(super) fn unsigned(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// A number whose lowest bit is its sign.
    pub(super) fn signed(&mut self) -> Option<i64> {
        let number = self.unsigned()?;
        Some((number >> 1) as i64 ^ (number & 1).wrapping_neg() as i64)
    }

    /// A number that counts something.
    pub(super) fn count(&mut self) -> Option<u64> {
        u64::try_from(self.signed()?).ok()
    }

    pub(super) fn binary(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.unsigned()?).ok()?;
        let end = self.at.checked_add(len)?;
        let bytes = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    /// How many elements a list has, and of which type. Each has at least a byte.
    pub(super) fn list(&mut self) -> Option<(usize, u8)> {
        let head = self.byte()?;
        let few = usize::from(head >> 4);
        let len = if few == 15 { usize::try_from(self.unsigned()?).ok()? } else { few };
        (len <= self.bytes.len().saturating_sub(self.at)).then_some((len, head & 0x0f))
    }

    /// Hands on the number and the type of each field of a struct; what is not taken is passed.
    pub(super) fn fields(
        &mut self,
        take: &mut dyn FnMut(&mut Self, i64, u8) -> Option<bool>,
    ) -> Option<()> {
        self.fields_of(take, 0)
    }

    fn fields_of(
        &mut self,
        take: &mut dyn FnMut(&mut Self, i64, u8) -> Option<bool>,
        deep: usize,
    ) -> Option<()> {
        let mut id = 0_i64;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(());
            }
            id = match head >> 4 {
                0 => self.signed()?,
                more => id.checked_add(more.into())?,
            };
            let kind = head & 0x0f;
            if !take(self, id, kind)? {
                self.skip(kind, deep)?;
            }
        }
    }

    fn skip(&mut self, kind: u8, deep: usize) -> Option<()> {
        let deeper = deep.checked_add(1).filter(|&deep| deep <= MOST_DEEP)?;
        match kind {
            TRUE | FALSE => {}
            3 => drop(self.byte()?),
            4..=6 => drop(self.unsigned()?),
            7 => {
                self.at = self.at.checked_add(8).filter(|&at| at <= self.bytes.len())?;
            }
            BINARY => drop(self.binary()?),
            LIST | 10 => {
                let (len, kind) = self.list()?;
                for _ in 0..len {
                    self.element(kind, deeper)?;
                }
            }
            11 => {
                let len = usize::try_from(self.unsigned()?).ok()?;
                let kinds = if len > 0 { self.byte()? } else { 0 };
                if len > self.bytes.len().saturating_sub(self.at) {
                    return None;
                }
                for _ in 0..len {
                    self.element(kinds >> 4, deeper)?;
                    self.element(kinds & 0x0f, deeper)?;
                }
            }
            STRUCT => self.fields_of(&mut |_, _, _| Some(false), deeper)?,
            _ => return None,
        }
        Some(())
    }

    /// Passes an element of a list, where a truth has a byte.
    fn element(&mut self, kind: u8, deep: usize) -> Option<()> {
        match kind {
            TRUE | FALSE => self.byte().map(drop),
            kind => self.skip(kind, deep),
        }
    }
}
