//! What a file holds, before it is decided how its values become pixels.
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;

use crate::config::{Channels, DataConfig, ImageSize, Range};
use crate::data::Dataset;
use crate::data::labels::Labels;
use crate::data::reading::Reading;
use crate::error::{Error, Result};

/// Numbers as they stand in a file, or as they lie on the device.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    Bytes(Vec<u8>),
    Floats(Vec<f32>),
}

impl Values {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Bytes(v) => v.len(),
            Self::Floats(v) => v.len(),
        }
    }

    /// One of them; zero behind the end.
    pub(super) fn get(&self, at: usize) -> f32 {
        match self {
            Self::Bytes(v) => v.get(at).copied().unwrap_or_default().into(),
            Self::Floats(v) => v.get(at).copied().unwrap_or_default(),
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
    pub(super) values: Values,
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
    pub(super) fn new(path: &Path, size: ImageSize, values: Values, kind: Kind) -> Result<Self> {
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

    /// The same with the channels that were asked for. Pictures have them already.
    pub(super) fn with_channels(self, config: &DataConfig) -> Self {
        let channels = self.size.channels;
        let pictures = matches!(self.kind, Kind::Pictures { .. });
        if pictures || config.range == Range::ByFile {
            return self;
        }
        match (config.channels, channels) {
            (Channels::AsFiles, 2 | 4) => self.noted(format!(
                "images have {channels} channels, and the last is modelled as the others; `--grey` and \
                 `--color` leave it out"
            )),
            (Channels::AsFiles, _) | (Channels::Grey, 1) | (Channels::Color, 3) => self,
            (Channels::Grey, 3 | 4) => self.mapped(1, |pixel| {
                let [r, g, b] = [pixel[0], pixel[1], pixel[2]];
                [0.299 * r + 0.587 * g + 0.114 * b; 3]
            }),
            (Channels::Grey, _) => self.mapped(1, |pixel| [pixel[0]; 3]),
            (Channels::Color, 4) => self.mapped(3, |pixel| [pixel[0], pixel[1], pixel[2]]),
            (Channels::Color, _) => self.mapped(3, |pixel| [pixel[0]; 3]),
        }
    }

    /// The same with other channels, each pixel of which comes of one.
    fn mapped(self, channels: usize, of: impl Fn(&[f32]) -> [f32; 3]) -> Self {
        let was = self.size.channels.max(1);
        let note = format!("{was} channels became {channels}");
        let pixels = self.values.len().checked_div(was).unwrap_or_default();
        let pixel = |i: usize| -> Vec<f32> {
            let first = i.saturating_mul(was);
            (first..first.saturating_add(was)).map(|at| self.values.get(at)).collect()
        };
        let made = (0..pixels).flat_map(|i| of(&pixel(i)).into_iter().take(channels));
        let values = match &self.values {
            // Rounded to the nearest byte.
            Values::Bytes(_) => Values::Bytes(made.map(|v| (v + 0.5) as u8).collect()),
            Values::Floats(_) => Values::Floats(made.collect()),
        };
        let size = ImageSize { channels, ..self.size };
        Self { size, values, ..self }.noted(note)
    }

    /// The same with a note.
    pub(super) fn noted(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The images at these places, in their order, and the others, in theirs. Those stay where they are in
    /// memory, so that it holds little more than all images once.
    pub(super) fn divided(self, taken: &[bool]) -> (Self, Self) {
        let mut kept = self;
        let row = kept.size.len();
        let values = match &mut kept.values {
            Values::Bytes(v) => Values::Bytes(take_out(v, row, taken)),
            Values::Floats(v) => Values::Floats(take_out(v, row, taken)),
        };
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

/// Moves the taken rows out, and the others together.
fn take_out<T: Copy>(all: &mut Vec<T>, row: usize, taken: &[bool]) -> Vec<T> {
    let rows = taken.iter().filter(|&&taken| taken).count();
    let mut out = Vec::with_capacity(rows.saturating_mul(row));
    let mut kept = 0_usize;
    for (index, &taken) in taken.iter().enumerate() {
        let first = index.saturating_mul(row);
        let range = first..first.saturating_add(row);
        if taken {
            out.extend_from_slice(&all[range]);
        } else {
            all.copy_within(range, kept);
            kept = kept.saturating_add(row);
        }
    }
    all.truncate(kept);
    out
}

/// The images of one place.
#[derive(Debug)]
pub struct Found {
    /// Those to learn from, or all that there are.
    pub train: Raw,
    /// Those kept apart for evaluation, if there are such.
    pub test: Option<Raw>,
}

impl From<Raw> for Found {
    fn from(train: Raw) -> Self {
        Self { train, test: None }
    }
}
