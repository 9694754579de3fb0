//! An IDX file as it is read: plain or gz, whole or cut off.
#![warn(clippy::arithmetic_side_effects)]

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::data::source::{self, GZIP, WHOLE, check_not_a_page, reserved};
use crate::error::{Error, Result};

/// So many bytes are handed on at once.
const PIECE: u64 = 1 << 20;

/// An open file, decompressed as it is read.
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    content: Box<dyn Read + 'a>,
    /// Bytes of the file as it lies on the disk.
    pub(super) len: u64,
    pub(super) packed: bool,
}

impl<'a> Source<'a> {
    pub(super) fn open(path: &'a Path) -> Result<Self> {
        let (file, len) = source::open(path)?;
        Self::over(path, BufReader::new(file), len)
    }

    pub(super) fn over(path: &'a Path, mut file: impl BufRead + 'a, len: u64) -> Result<Self> {
        let start = file.fill_buf().map_err(|error| refuse(path, error))?;
        check_not_a_page(path, start)?;
        let packed = start.starts_with(&GZIP);
        let content: Box<dyn Read + 'a> =
            if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        Ok(Self { path, content, len, packed })
    }

    /// Appends the next bytes, `most` of them or fewer where the content ends; of a file that is cut off,
    /// `cut` says where.
    pub(super) fn fetch(
        &mut self,
        most: u64,
        into: &mut Vec<u8>,
        cut: impl FnOnce(usize) -> String,
    ) -> Result<()> {
        let failure = match (&mut self.content).take(most).read_to_end(into) {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        // The decoder speaks of damage in the system's words; what is left is the system's own.
        Err(match failure.kind() {
            io::ErrorKind::UnexpectedEof if self.packed => {
                let what = format!("is cut off: its gzip data end too early, {}", cut(into.len()));
                Error::data(self.path, what).hint(WHOLE)
            }
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData if self.packed => {
                Error::data(self.path, format!("holds damaged gzip data: {failure}")).hint(WHOLE)
            }
            _ => {
                Error::io("read", self.path, failure).hint("try again, or copy the file elsewhere")
            }
        })
    }

    /// The rest of the content, which must be exactly as long as promised.
    pub(super) fn body(self, promise: &str, bytes: u64) -> Result<Vec<u8>> {
        // The file's length bears the promise out; a compressed one grows with what arrives.
        let mut body = reserved(self.path, if self.packed { 0 } else { bytes })?;
        self.each(promise, bytes, &mut |some| {
            body.extend_from_slice(some);
            Ok(())
        })?;
        body.shrink_to_fit();
        Ok(body)
    }

    /// The same, handed on a piece at a time.
    pub(super) fn each(
        mut self,
        promise: &str,
        bytes: u64,
        take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let (mut piece, mut found) = (Vec::new(), 0_u64);
        loop {
            piece.clear();
            // One byte more than promised tells a file that goes on, and reading up to the end is what
            // makes the decoder compare its checksum.
            let most = PIECE.min(bytes.saturating_add(1).saturating_sub(found));
            self.fetch(most, &mut piece, |some| {
                let found = found.saturating_add(some as u64);
                format!("behind {found} of the {bytes} bytes of {promise}{}", missing(bytes, found))
            })?;
            found = found.saturating_add(piece.len() as u64);
            if piece.is_empty() || found > bytes {
                break;
            }
            take(&piece)?;
        }
        if found != bytes {
            let missing = missing(bytes, found);
            let found = if found > bytes { "more".to_owned() } else { found.to_string() };
            let message = format!(
                "promises {promise}, expected {bytes} bytes after the header, found {found}{missing}"
            );
            return Err(Error::data(self.path, message).hint(WHOLE));
        }
        Ok(())
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.content.read(buffer)
    }
}

/// What stands at a path cannot be read.
pub(super) fn refuse(path: &Path, error: io::Error) -> Error {
    Error::io("read", path, error).hint("give a readable IDX file, plain or gzip")
}

/// How much is missing, if anything is.
pub(super) fn missing(expected: u64, found: u64) -> String {
    match expected.checked_sub(found) {
        Some(missing) if missing > 0 => format!(": {missing} are missing"),
        _ => String::new(),
    }
}
