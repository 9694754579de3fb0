//! How the lines of a table are written, which its content tells.
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;

use crate::data::formats::table::fields::Fields;
use crate::data::formats::table::number::looks;

/// What is looked at of a table.
const SAMPLE: usize = 1 << 20;

/// The most lines of it.
const MOST_LINES: usize = 32;

/// The longest field that is looked at.
const MOST_FIELD: usize = 256;

/// What divides the fields of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Separator {
    Comma,
    Semicolon,
    Tab,
    /// As much of it as there is.
    White,
}

impl Separator {
    /// All, those first that are taken if nothing tells more.
    const ALL: [Self; 4] = [Self::Comma, Self::Semicolon, Self::Tab, Self::White];

    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
            Self::White => b' ',
        }
    }

    /// What to say of it, if it is not what a reader of such a file expects.
    pub(super) fn note(self) -> Option<&'static str> {
        match self {
            Self::Comma => None,
            Self::Semicolon => Some("semicolons divide the fields"),
            Self::Tab => Some("tabs divide the fields"),
            Self::White => Some("white space divides the fields"),
        }
    }
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) separator: Separator,
    /// Whether there is a separator behind the last field.
    pub(super) trailing: bool,
}

/// What the first lines of a text are if they are written so.
#[derive(Default)]
struct Look {
    /// By how many fields more are numbers than are none, in lines of more than one.
    numbers: i64,
    /// How many fields each line has, and whether the last is empty.
    lines: Vec<(usize, bool)>,
}

impl Look {
    fn at(path: &Path, text: &[u8], form: Form) -> Self {
        let mut fields = Fields::of((path, text), 0, "", form);
        let mut look = Self::default();
        let (mut count, mut numbers) = (0_usize, 0_i64);
        let mut buffer = [0; MOST_FIELD];
        while let Ok(Some((field, ends))) = fields.next(&mut buffer) {
            count = count.saturating_add(1);
            numbers = numbers.saturating_add(match field {
                _ if looks(field) => 1,
                "" => 0,
                _ => -1,
            });
            if ends {
                look.lines.push((count, field.is_empty()));
                look.numbers = look.numbers.saturating_add(if count > 1 { numbers } else { 0 });
                (count, numbers) = (0, 0);
                if look.lines.len() == MOST_LINES {
                    break;
                }
            }
        }
        look
    }

    /// Whether all lines end with a separator; the first may lack it where it holds names.
    fn trailing(&self) -> bool {
        let (first, others) = match self.lines.as_slice() {
            [] => return false,
            [only] => (only, self.lines.as_slice()),
            [first, others @ ..] => (first, others),
        };
        let fewer = others.first().is_some_and(|(count, _)| first.0 < *count);
        let empty = |(count, empty): &(usize, bool)| *empty && *count > 1;
        others.iter().all(empty) && (fewer || empty(first))
    }
}

impl Form {
    /// That of a text by its first lines: the separator between most numbers, else the one that occurs.
    pub(super) fn of(path: &Path, text: &[u8]) -> Self {
        let start = text.get(..SAMPLE).unwrap_or(text);
        let whole = start.iter().rposition(|&byte| byte == b'\n').filter(|_| text.len() > SAMPLE);
        let start = start.get(..whole.unwrap_or(start.len())).unwrap_or(start);
        let look = |separator| {
            let form = Self { separator, trailing: false };
            (separator, Look::at(path, start, form))
        };
        let mut best = look(Separator::Comma);
        for separator in Separator::ALL.into_iter().skip(1) {
            let other = look(separator);
            let fields = |look: &Look| look.lines.first().map_or(0, |(count, _)| *count);
            let none = best.1.numbers <= 0 && other.1.numbers <= 0;
            let more = match none {
                true => fields(&best.1) <= 1 && fields(&other.1) > 1,
                false => other.1.numbers > best.1.numbers,
            };
            if more {
                best = other;
            }
        }
        let (separator, look) = best;
        Self { separator, trailing: separator != Separator::White && look.trailing() }
    }
}
