//! The fields of a text, one by one: a line may be as long as the file.
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;

use csv_core::{ReadFieldResult, Reader, ReaderBuilder};

use crate::data::formats::table::form::{Form, Separator};
use crate::error::{Error, Result};

/// The longest number; a double written out has 24 characters.
pub(in crate::data) const MOST_FIELD: usize = 64;

/// The fields of a text without the white space around them.
pub(in crate::data) struct Fields<'a> {
    path: &'a Path,
    reader: Reader,
    all: &'a [u8],
    rest: &'a [u8],
    hint: &'static str,
    /// How the lines of a table are written; without it commas divide them and nothing is left out.
    form: Option<Form>,
    /// Whether the next field is the first of its line.
    fresh: bool,
}

impl<'a> Fields<'a> {
    /// Those of a file that is named in errors, whose hint says what it should hold.
    pub(in crate::data) fn new(path: &'a Path, all: &'a [u8], hint: &'static str) -> Self {
        Self { path, reader: Reader::new(), all, rest: all, hint, form: None, fresh: true }
    }

    /// Those of a table from some byte on. Blank lines and lines of comments are left out.
    pub(super) fn of(
        (path, all): (&'a Path, &'a [u8]),
        from: usize,
        hint: &'static str,
        form: Form,
    ) -> Self {
        let reader = ReaderBuilder::new().delimiter(form.separator.byte()).build();
        let rest = all.get(from..).unwrap_or_default();
        Self { path, reader, all, rest, hint, form: Some(form), fresh: true }
    }

    /// Bytes that were read.
    pub(super) fn read(&self) -> usize {
        self.all.len().saturating_sub(self.rest.len())
    }

    /// The next one, and whether it is the last of its line.
    pub(in crate::data) fn next<'b, const N: usize>(
        &mut self,
        buffer: &'b mut [u8; N],
    ) -> Result<Option<(&'b str, bool)>> {
        if self.fresh {
            self.skip_lines();
        }
        let white = self.form.is_some_and(|form| form.separator == Separator::White);
        let found = if white { self.run(buffer)? } else { self.part(buffer)? };
        let Some((len, mut ends)) = found else { return Ok(None) };
        if !ends && self.form.is_some_and(|form| form.trailing) && self.at_end() {
            // What is behind the last separator of a line.
            let _ = self.part(&mut [0; N])?;
            ends = true;
        }
        self.fresh = ends;
        let text = str::from_utf8(buffer.get(..len).unwrap_or_default());
        let text = text.unwrap_or("\u{fffd}").trim();
        let inside = || text.strip_prefix('"')?.strip_suffix('"');
        Ok(Some((self.form.and_then(|_| inside()).unwrap_or(text), ends)))
    }

    /// A field up to the next separator: its length in the buffer, and whether it is the last one.
    fn part<const N: usize>(&mut self, buffer: &mut [u8; N]) -> Result<Option<(usize, bool)>> {
        let mut filled = 0_usize;
        loop {
            let free = buffer.get_mut(filled..).unwrap_or_default();
            let (result, read, written) = self.reader.read_field(self.rest, free);
            self.rest = self.rest.get(read..).unwrap_or_default();
            filled = filled.saturating_add(written);
            match result {
                // All was taken in at once, so this is the end, which the reader is told next.
                ReadFieldResult::InputEmpty => {}
                ReadFieldResult::OutputFull => return Err(self.too_long(N)),
                ReadFieldResult::Field { record_end } => return Ok(Some((filled, record_end))),
                ReadFieldResult::End => return Ok(None),
            }
        }
    }

    /// A field up to the next white space, likewise; in quotes it may hold some.
    fn run<const N: usize>(&mut self, buffer: &mut [u8; N]) -> Result<Option<(usize, bool)>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        // No more is looked at than may be a field, since a line may be as long as the file.
        let most = self.rest.get(..N.saturating_add(1)).unwrap_or(self.rest);
        let ends = |byte: &u8| matches!(byte, b'"' | b'\r' | b'\n');
        let inside = most.strip_prefix(b"\"").and_then(|rest| {
            rest.iter().position(ends).filter(|&end| rest.get(end) == Some(&b'"'))
        });
        let len = match inside {
            Some(inside) => inside.saturating_add(2),
            None => most.iter().position(u8::is_ascii_whitespace).unwrap_or(most.len()),
        };
        let (field, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, &[]));
        self.rest = skip(rest, |byte| byte.is_ascii_whitespace() && !matches!(byte, b'\r' | b'\n'));
        let Some(place) = buffer.get_mut(..len) else { return Err(self.too_long(N)) };
        place.copy_from_slice(field);
        Ok(Some((len, self.at_end())))
    }

    fn too_long(&self, most: usize) -> Error {
        self.refuse(&format!("a field of more than {most} characters"))
    }

    /// Whether nothing is left of this line.
    fn at_end(&self) -> bool {
        let rest = skip(self.rest, |byte| byte == b' ');
        rest.first().is_none_or(|byte| matches!(byte, b'\r' | b'\n'))
    }

    /// Goes to the next line of a table that is neither blank nor a comment.
    fn skip_lines(&mut self) {
        let Some(form) = self.form else { return };
        // A tab may stand behind a field that is missing.
        let tab = form.separator == Separator::Tab;
        let blank = |byte: u8| byte.is_ascii_whitespace() && !(tab && byte == b'\t');
        loop {
            self.rest = skip(self.rest, blank);
            if !is_comment(self.rest) {
                return;
            }
            self.rest = skip(self.rest, |byte| !matches!(byte, b'\r' | b'\n'));
        }
    }

    /// The line of the last field, from 1.
    pub(super) fn line(&self) -> usize {
        let before = self.all.get(..self.read().saturating_sub(1)).unwrap_or_default();
        before.iter().filter(|&&byte| byte == b'\n').count().saturating_add(1)
    }

    /// An error in the line of the last field.
    pub(in crate::data) fn refuse(&self, what: &str) -> Error {
        Error::data(self.path, format!("line {}: {what}", self.line())).hint(self.hint)
    }

    /// An error in the line of the last field and in a column of this name.
    pub(super) fn refuse_in(&self, column: &str, what: &str) -> Error {
        Error::data(self.path, format!("line {}, {column} {what}", self.line())).hint(self.hint)
    }
}

/// Whether a line is a comment. A spreadsheet writes `#N/A` for what is missing.
pub(super) fn is_comment(line: &[u8]) -> bool {
    matches!(line.first(), Some(b'#' | b'%')) && !line.starts_with(b"#N/A")
}

/// What is behind the first bytes of some kind.
fn skip(bytes: &[u8], kind: impl Fn(u8) -> bool) -> &[u8] {
    let first = bytes.iter().position(|&byte| !kind(byte)).unwrap_or(bytes.len());
    bytes.get(first..).unwrap_or_default()
}
