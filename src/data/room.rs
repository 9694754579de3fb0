//! How much memory images may take, and what is done where that is less than they need.

use crate::cpu::free_memory;
use crate::data::Dataset;

/// The share of a budget that a window takes. As much is read ahead twice, and is on its way once.
const WINDOW: u64 = 4;

/// The memory that images may take on the host, and as much on a device. What needs more comes through a
/// window, ahead of the steps, and the numbers are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// So many bytes.
    pub budget: u64,
    /// Images come through a window even if they would fit.
    pub stream: bool,
}

impl Default for Room {
    /// Half of the memory that is free, where the system tells.
    fn default() -> Self {
        Self { budget: free_memory().map_or(u64::MAX, |free| free / 2), stream: false }
    }
}

impl Room {
    /// The sets of images as there is room for them; and what is said of it.
    pub(super) fn lay(&self, sets: Vec<Dataset>) -> (Vec<Dataset>, Option<String>) {
        let bytes = sets.iter().fold(0, |sum: u64, set| sum.saturating_add(set.bytes()));
        if bytes <= self.budget && !self.stream {
            return (sets, None);
        }
        let why = match self.stream {
            true => "as asked".to_owned(),
            false => format!("they may take {} (`--memory-budget`)", in_words(self.budget)),
        };
        let said = format!("the images, {}, are streamed: {why}", in_words(bytes));
        let window = self.budget / WINDOW;
        (sets.into_iter().map(|data| data.streamed(window)).collect(), Some(said))
    }
}

/// Bytes in words.
pub(super) fn in_words(bytes: u64) -> String {
    match bytes >> 20 {
        0 => format!("{bytes} bytes"),
        mib => format!("{mib} MiB"),
    }
}
