//! The values of a file as pixels, by a reading.
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;

use rayon::prelude::*;

use crate::data::Dataset;
use crate::data::raw::{Kind, Raw, Values};
use crate::data::reading::{Extent, How, OVERSHOOT, Reading, WHITE, column_of, extent_of};
use crate::data::source::reserved;
use crate::error::{Error, Result};

/// White where all bits of pictures are used.
const FULL: [f32; 2] = [255.0, 65535.0];

impl Reading {
    /// The values of a file as pixels, which are said about where they are not as the run's are.
    pub(in crate::data) fn apply(
        &self,
        path: &Path,
        raw: Raw,
        said: &mut Vec<String>,
    ) -> Result<Dataset> {
        let seen = extent_of(&raw.values);
        said.extend(self.beyond(seen));
        let Raw { size, values, labels, label_fault, kind, .. } = raw;
        let values = match &self.how {
            How::ByFile => by_file(values),
            How::AsItIs => match values {
                Values::Bytes(v) => Values::Floats(floats(path, &v)?),
                floats => clamped(floats, seen, said),
            },
            // Pictures of 16 bits beside those of 8 have a white of their own.
            &How::Over { white } => match kind {
                Kind::Pictures { white: own } if FULL.contains(&white) => {
                    over(path, values, own.into(), seen)?
                }
                _ => over(path, values, white, seen)?,
            },
            &How::Between { low, high } => {
                let span = high - low;
                Values::Floats(mapped(path, values, |_, v| (v - low) / span)?)
            }
            &How::Standardise { mean, deviation } => {
                Values::Floats(mapped(path, values, |_, v| (v - mean) / deviation)?)
            }
            How::Columns { means, deviations } => {
                let len = means.len();
                if len != size.len() {
                    let what = format!("has {} values in a row, expected {len}", size.len());
                    return Err(Error::data(path, what).hint(
                        "the run standardises each column by itself: give the same columns",
                    ));
                }
                let of = |i: usize, v: f32| {
                    let column = column_of(i, len);
                    (v - means[column]) / deviations[column]
                };
                Values::Floats(mapped(path, values, of)?)
            }
        };
        let reading = match self.how {
            // It is what the file's own values said.
            How::ByFile => Self::of_values(&values),
            _ => self.clone(),
        };
        let data = Dataset::read(path, size, values, reading)?;
        Ok(Dataset { labels, label_fault, ..data })
    }

    /// That images go far beyond the values of those that were trained on, if they do.
    fn beyond(&self, found: Extent) -> Option<String> {
        let [low, high] = self.seen;
        let room = 10.0 * (high - low);
        let far = found.low < low - room || found.high > high + room;
        (far && self.how != How::ByFile).then(|| {
            format!(
                "there are values from {} to {}, far beyond those of the images to train on, from {low} to {high}",
                found.low, found.high
            )
        })
    }
}

/// As older runs read: bytes that are all 0 or 1 are black and white.
fn by_file(values: Values) -> Values {
    match values {
        Values::Bytes(mut v) if v.iter().all(|&v| v <= 1) => {
            v.iter_mut().for_each(|v| *v = v.saturating_mul(255));
            Values::Bytes(v)
        }
        values => values,
    }
}

/// Values over that of white. Bytes stay bytes where they can.
fn over(path: &Path, values: Values, white: f32, seen: Extent) -> Result<Values> {
    let Extent { low, high, whole } = seen;
    // Over 1 a value is what it was.
    if !whole && white != 1.0 || low < 0.0 {
        let what = format!(
            "holds values from {low} to {high}, and those of the run's data are whole numbers, divided by {white}"
        );
        return Err(Error::data(path, what)
            .hint("give values of the same kind as those that the run was trained on"));
    }
    match values {
        Values::Bytes(v) if white == WHITE => Ok(Values::Bytes(v)),
        // The same quotient, since 255 / white is whole.
        Values::Bytes(mut v) if WHITE % white == 0.0 && high <= white => {
            let factor = (WHITE / white) as u8;
            v.par_iter_mut().for_each(|v| *v = v.saturating_mul(factor));
            Ok(Values::Bytes(v))
        }
        Values::Floats(v) if whole && WHITE % white == 0.0 && high <= white => {
            let factor = WHITE / white;
            let mut bytes = reserved(path, v.len() as u64)?;
            bytes.extend(v.iter().map(|v| (v * factor) as u8));
            Ok(Values::Bytes(bytes))
        }
        values => Ok(Values::Floats(mapped(path, values, |_, v| v / white)?)),
    }
}

/// Floats a hair outside [0, 1] become its bounds.
fn clamped(values: Values, Extent { low, high, .. }: Extent, said: &mut Vec<String>) -> Values {
    let out = low < 0.0 || high > 1.0;
    match values {
        Values::Floats(mut v) if out && low >= -OVERSHOOT && high <= 1.0 + OVERSHOOT => {
            said.push(format!("values from {low} to {high} are cut off at 0 and 1"));
            v.par_iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
            Values::Floats(v)
        }
        values => values,
    }
}

fn floats(path: &Path, bytes: &[u8]) -> Result<Vec<f32>> {
    let mut floats = reserved(path, bytes.len() as u64)?;
    floats.extend(bytes.iter().map(|&v| f32::from(v)));
    Ok(floats)
}

/// All values, changed by their place and what they were.
fn mapped(path: &Path, values: Values, of: impl Fn(usize, f32) -> f32 + Sync) -> Result<Vec<f32>> {
    let mut floats = match values {
        Values::Bytes(v) => floats(path, &v)?,
        Values::Floats(v) => v,
    };
    floats.par_iter_mut().enumerate().for_each(|(i, v)| *v = of(i, *v));
    Ok(floats)
}
