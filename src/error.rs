//! What can go wrong: one error with a kind, a message and a hint.

use std::fmt;
use std::path::Path;

/// The result of every fallible call of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What sort of thing went wrong; the program's exit code follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A flag or a configuration that cannot be meant.
    Config,
    /// A file whose content is not what it should be.
    Data,
    /// No adapter, or one that refused what was asked of it.
    Device,
    /// A plan that does not fit the device's limits.
    Limit,
    /// The device was lost or its memory ran out.
    Lost,
    /// The device did not answer in time.
    Timeout,
    /// A loss, gradient or weight stopped being a finite number.
    Numbers,
    /// The system refused input or output.
    Io,
    /// Another process is at it.
    InUse,
}

impl ErrorKind {
    /// The exit code of the program: 1 failed, 2 misused, 3 the numbers broke, 74 input or output
    /// refused, 75 in use by another process.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Data | Self::Device | Self::Limit | Self::Lost | Self::Timeout => 1,
            Self::Config => 2,
            Self::Numbers => 3,
            Self::Io => 74,
            Self::InUse => 75,
        }
    }
}

/// An error that names the thing, says what was expected, and may hint at what to do.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Inner>);

#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    source: Option<std::io::Error>,
}

impl Error {
    /// An error of a kind, with a message that names the thing and what was expected of it.
    pub fn new(kind: ErrorKind, message: impl fmt::Display) -> Self {
        Self(Box::new(Inner { kind, message: message.to_string(), hint: None, source: None }))
    }

    /// A configuration that cannot be meant.
    pub fn config(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// A file whose content is not what it should be.
    pub fn data(path: &Path, message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Data, format!("`{}`: {message}", readable(path)))
    }

    /// The system refused to do `action` (such as "read") with a path.
    #[must_use]
    pub fn io(action: &str, path: &Path, source: std::io::Error) -> Self {
        let message = format!("cannot {action} `{}`: {source}", readable(path));
        Self(Box::new(Inner { kind: ErrorKind::Io, message, hint: None, source: Some(source) }))
    }

    /// The same error with a hint at what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.0.hint = Some(hint.to_string());
        self
    }

    /// What sort of thing went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What to do about it, where there is something to do.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

/// A path without what would move a terminal's cursor: names come out of archives too.
fn readable(path: &Path) -> String {
    let one = |c: char| match c.is_control() {
        true => c.escape_debug().to_string(),
        false => c.to_string(),
    };
    path.to_string_lossy().chars().map(one).collect()
}
