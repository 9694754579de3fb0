//! The values of a file as pixels, by a reading.
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;

use crate::data::Dataset;
use crate::data::held::Held;
use crate::data::raw::{Kind, Raw};
use crate::data::reading::{Extent, How, OVERSHOOT, Reading, WHITE, extent_of};
use crate::data::step::Step;
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
        let row = raw.size.len();
        let seen = extent_of(&raw.values, row)?;
        said.extend(self.beyond(seen));
        let Raw { size, values, labels, label_fault, kind, .. } = raw;
        let values = match self.step(path, row, (&values, kind), seen, said)? {
            Some(step) => values.stepped(path, step)?,
            None => values,
        };
        let reading = match self.how {
            // It is what the file's own values said.
            How::ByFile => Self::of_values(&values, row)?,
            _ => self.clone(),
        };
        let data = Dataset::read(path, size, values, reading)?;
        Ok(Dataset { labels, label_fault, ..data })
    }

    /// What becomes of values that go so far, if anything.
    fn step(
        &self,
        path: &Path,
        row: usize,
        (values, kind): (&Held, Kind),
        seen: Extent,
        said: &mut Vec<String>,
    ) -> Result<Option<Step>> {
        let bytes = values.are_bytes();
        Ok(match &self.how {
            // As older runs read: bytes that are all 0 or 1 are black and white.
            How::ByFile => (bytes && seen.high <= 1.0).then_some(Step::Times(u8::MAX)),
            How::AsItIs if bytes => Some(Step::Floats),
            How::AsItIs => clamped(seen, said),
            // Pictures of 16 bits beside those of 8 have a white of their own.
            &How::Over { white } => match kind {
                Kind::Pictures { white: own } if FULL.contains(&white) => {
                    over(path, bytes, own.into(), seen)?
                }
                _ => over(path, bytes, white, seen)?,
            },
            &How::Between { low, high } => Some(Step::Between { low, high }),
            &How::Standardise { mean, deviation } => Some(Step::Standardised { mean, deviation }),
            How::Columns { means, deviations } => {
                let len = means.len();
                if len != row {
                    let what = format!("has {row} values in a row, expected {len}");
                    return Err(Error::data(path, what).hint(
                        "the run standardises each column by itself: give the same columns",
                    ));
                }
                Some(Step::Columns([means.clone(), deviations.clone()].into()))
            }
        })
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

/// Values over that of white. Bytes stay bytes where they can.
fn over(path: &Path, bytes: bool, white: f32, seen: Extent) -> Result<Option<Step>> {
    let Extent { low, high, whole } = seen;
    // Over 1 a value is what it was.
    if !whole && white != 1.0 || low < 0.0 {
        let what = format!(
            "holds values from {low} to {high}, and those of the run's data are whole numbers, divided by {white}"
        );
        return Err(Error::data(path, what)
            .hint("give values of the same kind as those that the run was trained on"));
    }
    Ok(match whole && WHITE % white == 0.0 && high <= white {
        _ if bytes && white == WHITE => None,
        // The same quotient, since 255 / white is whole.
        true => Some(Step::Times((WHITE / white) as u8)),
        false => Some(Step::Over(white)),
    })
}

/// Floats a hair outside [0, 1] become its bounds.
fn clamped(Extent { low, high, .. }: Extent, said: &mut Vec<String>) -> Option<Step> {
    let out = low < 0.0 || high > 1.0;
    (out && low >= -OVERSHOOT && high <= 1.0 + OVERSHOOT).then(|| {
        said.push(format!("values from {low} to {high} are cut off at 0 and 1"));
        Step::Clamped
    })
}
