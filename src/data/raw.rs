//! What a file holds, before it is decided how its values become pixels.
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;

use crate::config::ImageSize;
use crate::data::Dataset;
use crate::data::held::{Held, take_out};
use crate::data::labels::Labels;
use crate::data::reading::Reading;
use crate::data::step::Step;
use crate::data::stored::{Sink, Space};
use crate::error::{Error, Result};

/// Numbers in memory, as they stand in a file, or as they lie on the device.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    Bytes(Vec<u8>),
    Floats(Vec<f32>),
}

/// Some of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part<'a> {
    Bytes(&'a [u8]),
    Floats(&'a [f32]),
}

impl Part<'_> {
    /// One of them; zero behind the end.
    pub(super) fn at(&self, at: usize) -> f32 {
        match self {
            Self::Bytes(v) => v.get(at).copied().unwrap_or_default().into(),
            Self::Floats(v) => v.get(at).copied().unwrap_or_default(),
        }
    }

    /// Hands each on with its place.
    pub(super) fn each(&self, mut take: impl FnMut(usize, f32)) {
        match self {
            Self::Bytes(v) => v.iter().enumerate().for_each(|(i, &v)| take(i, v.into())),
            Self::Floats(v) => v.iter().enumerate().for_each(|(i, &v)| take(i, v)),
        }
    }
}

impl Values {
    /// All of them.
    pub(super) fn view(&self) -> Part<'_> {
        match self {
            Self::Bytes(v) => Part::Bytes(v),
            Self::Floats(v) => Part::Floats(v),
        }
    }

    /// Adds more behind them; bytes become floats where those are.
    pub(super) fn extend(&mut self, more: Part<'_>) {
        match (self, more) {
            (Self::Bytes(v), Part::Bytes(more)) => v.extend_from_slice(more),
            (Self::Floats(v), Part::Floats(more)) => v.extend_from_slice(more),
            (Self::Floats(v), Part::Bytes(more)) => v.extend(more.iter().map(|&v| f32::from(v))),
            (all @ Self::Bytes(_), Part::Floats(more)) => {
                let mut floats = std::mem::replace(all, Self::Bytes(Vec::new())).into_floats();
                floats.extend_from_slice(more);
                *all = Self::Floats(floats);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Bytes(v) => v.len(),
            Self::Floats(v) => v.len(),
        }
    }

    /// Adds so many zeros.
    pub(super) fn grow(&mut self, more: usize) {
        let len = self.len().saturating_add(more);
        match self {
            Self::Bytes(v) => v.resize(len, 0),
            Self::Floats(v) => v.resize(len, 0.0),
        }
    }

    /// Sets one of them; bytes become floats where the value is no byte.
    pub(super) fn set(&mut self, at: usize, value: f32) {
        if let Self::Bytes(v) = self {
            if f32::from(value as u8) == value {
                v.get_mut(at).into_iter().for_each(|v| *v = value as u8);
                return;
            }
            *self = Self::Floats(std::mem::take(v).into_iter().map(f32::from).collect());
        }
        if let Self::Floats(v) = self {
            v.get_mut(at).into_iter().for_each(|v| *v = value);
        }
    }

    pub(super) fn into_floats(self) -> Vec<f32> {
        match self {
            Self::Bytes(v) => v.into_iter().map(f32::from).collect(),
            Self::Floats(v) => v,
        }
    }

    /// Gives back the room behind them.
    pub(super) fn shrink(&mut self) {
        match self {
            Self::Bytes(v) => v.shrink_to_fit(),
            Self::Floats(v) => v.shrink_to_fit(),
        }
    }

    pub(super) fn truncate(&mut self, len: usize) {
        match self {
            Self::Bytes(v) => v.truncate(len),
            Self::Floats(v) => v.truncate(len),
        }
    }
}

/// What numbers are by the file's kind alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Pixels of pictures, whose format says which value is white.
    #[cfg_attr(not(feature = "pictures"), allow(dead_code, reason = "no reader makes it"))]
    Pictures { white: u16 },
    /// Bytes of an array or of IDX, as pixels are stored.
    Bytes,
    /// Numbers of a table, or of an array of anything else.
    Numbers,
}

/// Images whose values are still those of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Raw {
    pub(super) size: ImageSize,
    pub(super) count: usize,
    pub(super) values: Held,
    pub(super) kind: Kind,
    pub(super) labels: Option<Labels>,
    /// Why there are labels that cannot be used, which matters to who needs them.
    pub(super) label_fault: Option<String>,
    /// What must not be divided, by number: one for each image.
    pub(super) groups: Option<Vec<u32>>,
    /// What was taken for what, left out or converted, in words.
    pub(super) notes: Vec<String>,
}

impl Raw {
    /// Images of one size without labels.
    pub(super) fn new(
        path: &Path,
        size: ImageSize,
        values: impl Into<Held>,
        kind: Kind,
    ) -> Result<Self> {
        let values = values.into();
        let elements = values.len();
        let len = size.checked_len().filter(|&len| elements > 0 && elements.is_multiple_of(len));
        let Some(len) = len else {
            let what = format!("holds {elements} values, no whole number of {size} images");
            return Err(Error::data(path, what).hint("give height × width values for each image"));
        };
        let count = elements.checked_div(len).unwrap_or_default();
        let (labels, label_fault, groups, notes) = (None, None, None, Vec::new());
        Ok(Self { size, count, values, kind, labels, label_fault, groups, notes })
    }

    /// The images by their own values, as older runs read each file: integers from 0 to 255 as bytes
    /// over 255, those that are all 0 or 1 as black and white, floats as they are.
    ///
    /// # Errors
    ///
    /// If a value is not finite.
    pub fn by_file(self, path: &Path) -> Result<Dataset> {
        Reading::default().apply(path, self, &mut Vec::new())
    }

    /// The same with a class for each image, or with what is wrong with the classes.
    pub(super) fn with(mut self, labels: std::result::Result<Labels, String>) -> Self {
        let count = self.count;
        match labels {
            Ok(labels) if labels.values.len() == count => self.labels = Some(labels),
            Ok(labels) => {
                let found = labels.values.len();
                self.label_fault = Some(format!("there are {found} labels for {count} images"));
            }
            Err(fault) => self.label_fault = Some(fault),
        }
        self
    }

    /// The same with a note.
    pub(super) fn noted(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The same images, whose values lie column by column in each, row by row.
    pub(super) fn upright(self, path: &Path) -> Result<Self> {
        let sides = [self.size.height, self.size.width, self.size.channels];
        let values = self.values.stepped(path, Step::Upright(sides))?;
        Ok(Self { values, ..self })
    }

    /// Hands the values on to where those of so many sets of images are held, of which this is the first.
    pub(super) fn sink<'a>(
        &mut self,
        (path, space): (&'a Path, &'a Space<'a>),
        sets: usize,
    ) -> Result<Sink<'a>> {
        let (row, bytes) = (self.size.len(), self.values.are_bytes());
        let all = (self.values.len() as u64).saturating_mul(sets as u64);
        let mut sink = Sink::new((path, space), row, (all, all), bytes)?;
        let values = std::mem::replace(&mut self.values, Values::Bytes(Vec::new()).into());
        values.each_part(row, &mut |_, part| sink.push(part))?;
        Ok(sink)
    }

    /// These images and behind them others of the same kind, whose values go where those of the first are.
    ///
    /// # Errors
    ///
    /// If the others are of another size or of other numbers.
    pub(super) fn joined(mut self, path: &Path, other: Self, sink: &mut Sink<'_>) -> Result<Self> {
        if self.size != other.size || self.kind != other.kind {
            let (first, second) = (self.size, other.size);
            let what = format!("has parts of {first} and of {second} pixels, or of other numbers");
            return Err(Error::data(path, what).hint("take all parts from one dataset"));
        }
        other.values.each_part(self.size.len(), &mut |_, part| sink.push(part))?;
        self.count = self.count.saturating_add(other.count);
        self.label_fault = self.label_fault.or(other.label_fault);
        self.labels = match (self.labels, other.labels) {
            (Some(mut labels), Some(more)) if labels.names == more.names => {
                labels.values.extend(more.values);
                Some(labels)
            }
            (None, None) => None,
            _ => {
                self.label_fault
                    .get_or_insert("its parts do not all have the same classes".to_owned());
                None
            }
        };
        for note in other.notes {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        Ok(self)
    }

    /// The images at these places, in their order, and the others, in theirs. Those stay where they are in
    /// memory, so that it holds little more than all images once; in a file all stay.
    pub(super) fn divided(self, taken: &[bool]) -> (Self, Self) {
        let mut kept = self;
        let row = kept.size.len();
        let values = kept.values.take_out(row, taken);
        let labels = kept.labels.as_mut().map(|labels| Labels {
            values: take_out(&mut labels.values, 1, taken),
            names: labels.names.clone(),
        });
        let count = taken.iter().filter(|&&taken| taken).count();
        kept.count = kept.count.saturating_sub(count);
        kept.groups = None;
        let label_fault = kept.label_fault.clone();
        let (size, kind) = (kept.size, kept.kind);
        let (groups, notes) = (None, Vec::new());
        (Self { size, count, values, kind, labels, label_fault, groups, notes }, kept)
    }
}

/// The images of one place.
#[derive(Debug)]
pub struct Found {
    /// Those to learn from, or all that there are.
    pub train: Raw,
    /// Those kept apart for evaluation, if there are such.
    pub test: Option<Raw>,
}

impl Found {
    /// The same with a note, if there is one.
    pub(super) fn noted(mut self, note: Option<String>) -> Self {
        self.train.notes.extend(note);
        self
    }

    /// The same, with a word of where in a folder the images lie.
    pub(super) fn below(self, folder: &Path, place: &Path) -> Self {
        let note = format!("the images are those of `{}`", place.display());
        self.noted((folder != place).then_some(note))
    }
}

impl From<Raw> for Found {
    fn from(train: Raw) -> Self {
        Self { train, test: None }
    }
}
