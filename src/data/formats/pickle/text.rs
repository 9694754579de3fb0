//! The strings of a pickle, which stay where they are in the file until they are wanted.
#![warn(clippy::arithmetic_side_effects)]

use std::borrow::Cow;

/// How a string stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As its own bytes, or as UTF-8.
    Plain,
    /// In quotes, with backslashes: a string of protocol 0.
    Quoted,
    /// As Python writes Unicode in protocol 0: Latin-1, with `\u` for the rest.
    Raw,
}

/// A string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) form: Form,
    /// Whether the bytes are its characters' numbers, as Python 3 writes bytes for Python 2.
    pub(super) latin: bool,
}

impl Text {
    /// The bytes of the string, if it is well written.
    pub(super) fn bytes<'a>(&self, file: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let stored = file.get(self.start..self.end)?;
        let bytes = match self.form {
            Form::Plain => Cow::Borrowed(stored),
            Form::Quoted => Cow::Owned(unquoted(stored)?),
            Form::Raw => Cow::Owned(raw(stored)?),
        };
        if !self.latin {
            return Some(bytes);
        }
        if bytes.is_ascii() {
            return Some(bytes);
        }
        let text = str::from_utf8(&bytes).ok()?;
        let latin: Option<Vec<u8>> =
            text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
        latin.map(Cow::Owned)
    }
}

/// The number of so many hexadecimal digits, which are passed.
fn hex(rest: &mut &[u8], digits: usize) -> Option<u32> {
    let (number, behind) = rest.split_at_checked(digits)?;
    *rest = behind;
    if !number.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(str::from_utf8(number).ok()?, 16).ok()
}

/// The bytes of `'a\n\x00'`.
fn unquoted(stored: &[u8]) -> Option<Vec<u8>> {
    let stored = stored.trim_ascii();
    let (&quote, rest) = stored.split_first()?;
    if quote != b'\'' && quote != b'"' {
        return None;
    }
    let mut rest = rest.strip_suffix(&[quote])?;
    let mut bytes = Vec::new();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let (&escaped, behind) = rest.split_first()?;
        rest = behind;
        bytes.push(match escaped {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'x' => u8::try_from(hex(&mut rest, 2)?).ok()?,
            b'\\' | b'\'' | b'"' => escaped,
            _ => return None,
        });
    }
    Some(bytes)
}

/// The UTF-8 of Latin-1 with `\u0000` and `\U00000000`.
fn raw(stored: &[u8]) -> Option<Vec<u8>> {
    let mut rest = stored;
    let mut text = String::new();
    while let Some((&byte, behind)) = rest.split_first() {
        let digits = match rest {
            [b'\\', b'u', ..] => 4,
            [b'\\', b'U', ..] => 8,
            _ => 0,
        };
        rest = behind;
        if digits == 0 {
            text.push(char::from(byte));
            continue;
        }
        rest = rest.get(1..)?;
        text.push(char::from_u32(hex(&mut rest, digits)?)?);
    }
    Some(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &[u8], form: Form, latin: bool) -> Option<Vec<u8>> {
        let text = Text { start: 0, end: file.len(), form, latin };
        text.bytes(file).map(Cow::into_owned)
    }

    #[test]
    fn strings_are_read_as_python_writes_them() {
        let quoted = |file: &[u8]| read(file, Form::Quoted, false);
        assert_eq!(
            quoted(br"'a\n\x00\xff\'\\'").as_deref(),
            Some(b"a\n\0\xff'\\".as_slice()),
            "all"
        );
        assert_eq!(quoted(b"\"it's\" ").as_deref(), Some(b"it's".as_slice()), "other quotes");
        for wrong in [br"'a".as_slice(), br"a'", br"'\", br"'\x0'", br"'\q'", b""] {
            assert_eq!(quoted(wrong), None, "{}", wrong.escape_ascii());
        }
        let raw = read(b"a\\u00ff\xe9\\n", Form::Raw, false);
        assert_eq!(raw.as_deref(), Some("a\u{ff}\u{e9}\\n".as_bytes()), "Unicode of protocol 0");
        assert_eq!(read(b"\\u00f", Form::Raw, false), None, "cut");
        let latin = read("\0\u{ff}a".as_bytes(), Form::Plain, true);
        assert_eq!(latin.as_deref(), Some(b"\0\xffa".as_slice()), "bytes for Python 2");
        assert_eq!(read("\u{100}".as_bytes(), Form::Plain, true), None, "no byte");
        assert_eq!(read(b"\xff", Form::Plain, true), None, "no text");
        assert_eq!(read(b"\xff", Form::Raw, true).as_deref(), Some(b"\xff".as_slice()), "both");
    }
}
