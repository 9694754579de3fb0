//! Columns that are no pixels: classes, and groups that must not be divided.
#![warn(clippy::arithmetic_side_effects)]

use std::collections::HashMap;

use crate::data::formats::table::number::{missing, number};
use crate::data::formats::table::survey::hash;
use crate::data::labels::Labels;

/// What stands where a field is no text.
const DAMAGED: char = '\u{fffd}';

/// The classes of the lines so far, each word once.
#[derive(Default)]
pub(super) struct Classes {
    words: Vec<String>,
    places: HashMap<String, u16>,
    of: Vec<u16>,
    fault: Option<String>,
}

impl Classes {
    /// Takes the class of a line, whose number is asked for if it has none. Numbers are classes by value.
    pub(super) fn take(&mut self, field: &str, decimal: bool, line: impl Fn() -> usize) {
        if self.fault.is_some() {
            return;
        }
        // These may be the names of classes.
        let none = missing(field) && !["-", "?", "None"].contains(&field);
        if none || field.contains(DAMAGED) {
            let what = if none { "has no class" } else { "has a class that is no UTF-8" };
            return self.end(format!("line {} {what}", line()));
        }
        let value = number(field, decimal).filter(|value| value.is_finite());
        let word = match value {
            // The nearest f64 of what is written, as in a file of classes.
            Some(_) => {
                field.replace(',', ".").parse().map_or(field.to_owned(), |v: f64| v.to_string())
            }
            None => field.to_owned(),
        };
        let place = match self.places.get(&word) {
            Some(&place) => place,
            None if self.words.len() > 256 => {
                return self.end("there are more than 256 different classes".to_owned());
            }
            None => {
                let place = self.words.len() as u16;
                self.words.push(word.clone());
                self.places.insert(word, place);
                place
            }
        };
        if self.of.try_reserve(1).is_err() {
            return self.end("there is no memory for them".to_owned());
        }
        self.of.push(place);
    }

    fn end(&mut self, fault: String) {
        *self = Self { fault: Some(fault), ..Self::default() };
    }

    /// The classes, or what is wrong with them.
    pub(super) fn labels(self) -> Result<Labels, String> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let Labels { values, names } = Labels::of_words(&self.words)?;
        let value = |place: u16| values.get(usize::from(place)).copied().unwrap_or_default();
        Ok(Labels { values: self.of.into_iter().map(value).collect(), names })
    }
}

/// The groups of the lines so far.
#[derive(Default)]
pub(super) struct Groups(Vec<u64>);

impl Groups {
    /// Takes the group of a line.
    pub(super) fn take(&mut self, field: &str) -> Result<(), (String, &'static str)> {
        const HINT: &str = "give each line a group, or leave `--group-column` out";
        if missing(field) {
            return Err(("has no group".to_owned(), HINT));
        }
        if field.contains(DAMAGED) {
            return Err(("has a group that is no UTF-8".to_owned(), "save the file as UTF-8"));
        }
        self.0.push(hash(field));
        Ok(())
    }

    /// The groups, numbered.
    pub(super) fn numbered(self) -> Vec<u32> {
        let mut all = self.0.clone();
        all.sort_unstable();
        all.dedup();
        let place = |hash: &u64| all.binary_search(hash).unwrap_or_default() as u32;
        self.0.iter().map(place).collect()
    }
}
