//! How the values of files become pixels: decided once, by the training images, and kept with the run.
#![warn(clippy::arithmetic_side_effects)]

mod apply;
mod deviation;
mod warn;

use std::fmt::{self, Display};
use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::config::{ModelConfig, Pixels, Range};
use crate::data::fit;
use crate::data::held::Held;
use crate::data::raw::{Kind, Part, Raw};
use crate::error::{Error, Result};

/// The byte of white.
const WHITE: f32 = 255.0;

/// How far outside [0, 1] a float may be and still be taken for its bound, as resizing makes them.
const OVERSHOOT: f32 = 1e-5;

/// Values are looked through in parts of so many.
const PART: usize = 1 << 16;

/// What becomes of a value v.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case", deny_unknown_fields)]
pub enum How {
    /// Whatever the file's own values suggest, as older runs read.
    ByFile,
    /// v.
    AsItIs,
    /// v / white.
    Over {
        /// The value of white.
        white: f32,
    },
    /// (v − low) / (high − low).
    Between {
        /// The value of black.
        low: f32,
        /// The value of white.
        high: f32,
    },
    /// (v − mean) / deviation.
    Standardise {
        /// The mean of all values.
        mean: f32,
        /// Their deviation.
        deviation: f32,
    },
    /// (v − mean) / deviation, of each column.
    Columns {
        /// The mean of each column.
        means: Vec<f32>,
        /// Its deviation, or 1 where all values are alike.
        deviations: Vec<f32>,
    },
}

/// How the values of a run's files become pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Reading {
    /// The smallest and the largest value of the training images, as they stand in the file.
    pub seen: [f32; 2],
    /// The pixels that pictures show in black and in white.
    pub shown: [f32; 2],
    /// The mean over the training images of the sum of their pixels, where these are counts: what images that are
    /// made of z alone share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<f32>,
    /// What becomes of a value.
    pub how: How,
}

impl Default for Reading {
    /// That of runs which began before there was a choice.
    fn default() -> Self {
        Self { seen: [0.0, 1.0], shown: [0.0, 1.0], total: None, how: How::ByFile }
    }
}

impl Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [low, high] = self.seen;
        match &self.how {
            How::ByFile => write!(f, "each file by its own content, as older runs read"),
            How::AsItIs => write!(f, "values from {low} to {high}, taken as they are"),
            How::Over { white } => write!(f, "values from {low} to {high}, divided by {white}"),
            How::Between { low: black, high: white } => {
                write!(f, "values from {low} to {high}, mapped from [{black}, {white}] to [0, 1]")
            }
            How::Standardise { mean, deviation } => write!(
                f,
                "values from {low} to {high}, standardised: less their mean {mean}, over their deviation {deviation}"
            ),
            How::Columns { .. } => write!(
                f,
                "values from {low} to {high}, each column standardised by its own mean and deviation"
            ),
        }
    }
}

impl Reading {
    /// What is wrong with a reading that a file tells, if anything: its numbers are finite, ranges go up,
    /// divisors are positive, and each column has a mean and a deviation.
    pub(crate) fn fault(&self) -> Option<String> {
        let goes_up = |[low, high]: [f32; 2]| low.is_finite() && high.is_finite() && low <= high;
        let finite = |values: &[f32]| values.iter().all(|v| v.is_finite());
        let positive = |values: &[f32]| values.iter().all(|&v| v.is_finite() && v > 0.0);
        let how = match &self.how {
            How::ByFile | How::AsItIs => true,
            &How::Over { white } => positive(&[white]),
            &How::Between { low, high } => goes_up([low, high]) && low < high,
            &How::Standardise { mean, deviation } => finite(&[mean]) && positive(&[deviation]),
            How::Columns { means, deviations } => {
                means.len() == deviations.len() && finite(means) && positive(deviations)
            }
        };
        let ranges = goes_up(self.seen) && goes_up(self.shown);
        let total = self.total.is_none_or(|total| total.is_finite() && total >= 0.0);
        (!(how && ranges && total)).then(|| format!("its reading of values cannot be: {self}"))
    }
}

/// How far values go.
#[derive(Clone, Copy, Debug)]
struct Extent {
    low: f32,
    high: f32,
    /// Whether all are whole numbers.
    whole: bool,
}

fn extent_of(values: &Held, row: usize) -> Result<Extent> {
    let none = Extent { low: f32::INFINITY, high: f32::NEG_INFINITY, whole: true };
    let join = |a: Extent, b: Extent| Extent {
        low: a.low.min(b.low),
        high: a.high.max(b.high),
        whole: a.whole && b.whole,
    };
    let one = |v: f32| Extent { low: v, high: v, whole: v == v.trunc() };
    let mut all = none;
    values.each_part(row, &mut |_, part| {
        let found = match part {
            Part::Bytes(v) => v
                .par_chunks(PART)
                .map(|part| part.iter().map(|&v| one(v.into())).fold(none, join))
                .reduce(|| none, join),
            Part::Floats(v) => v
                .par_chunks(PART)
                .map(|part| part.iter().map(|&v| one(v)).fold(none, join))
                .reduce(|| none, join),
        };
        all = join(all, found);
        Ok(())
    })?;
    Ok(all)
}

/// What was decided, and what should be said of it.
type Decided = (Reading, Vec<String>);

impl Reading {
    /// Decides how values become pixels, by the training images and what was asked for.
    pub(super) fn decide(
        (path, raw): (&Path, &Raw),
        range: Range,
        (model, pixels): (&ModelConfig, Pixels),
    ) -> Result<Decided> {
        let seen = extent_of(&raw.values, raw.size.len())?;
        let mut said = Vec::new();
        let how = match range {
            Range::ByFile => return Ok((Self::default(), said)),
            Range::Auto => auto(path, raw, seen, (model, pixels), &mut said)?,
            Range::None => How::AsItIs,
            Range::Bytes => How::Over { white: WHITE },
            Range::Between(low, high) => How::Between { low, high },
            Range::Standardise => deviation::standardise(path, raw)?,
            Range::Columns => deviation::columns(path, raw)?,
        };
        let Extent { low, high, .. } = seen;
        let reading = Self { seen: [low, high], how, ..Self::default() };
        let shown = reading.shown_by(&raw.values, raw.size.len())?;
        Ok((Self { shown, ..reading }, said))
    }

    /// That of images that were made in memory: bytes over 255, floats as they are.
    pub(super) fn of_values(values: &Held, row: usize) -> Result<Self> {
        let (seen, how) = match values.are_bytes() {
            true => ([0.0, WHITE], How::Over { white: WHITE }),
            false => {
                let Extent { low, high, .. } = extent_of(values, row)?;
                ([low, high], How::AsItIs)
            }
        };
        let reading = Self { seen, how, ..Self::default() };
        let shown = reading.shown_by(values, row)?;
        Ok(Self { shown, ..reading })
    }

    /// The pixels that pictures show in black and in white: [0, 1] if pixels are there, else what the
    /// training images have.
    fn shown_by(&self, values: &Held, row: usize) -> Result<[f32; 2]> {
        let [low, high] = match &self.how {
            How::ByFile | How::Over { .. } | How::Between { .. } => return Ok([0.0, 1.0]),
            How::AsItIs => self.seen,
            How::Standardise { mean, deviation } => self.seen.map(|v| (v - mean) / deviation),
            How::Columns { means, deviations } => {
                let len = means.len().max(1);
                let mut ends = [0.0_f32, 0.0];
                values.each_part(row, &mut |_, part| {
                    part.each(|i, v| {
                        let column = column_of(i, len);
                        let v = (v - means[column]) / deviations[column];
                        ends = [ends[0].min(v), ends[1].max(v)];
                    });
                    Ok(())
                })?;
                ends
            }
        };
        let unit = low >= -OVERSHOOT && high <= 1.0 + OVERSHOOT;
        Ok(if unit || low >= high { [0.0, 1.0] } else { [low, high] })
    }
}

/// What is taken where nothing was asked for.
fn auto(
    path: &Path,
    raw: &Raw,
    seen: Extent,
    (model, pixels): (&ModelConfig, Pixels),
    said: &mut Vec<String>,
) -> Result<How> {
    let Extent { low, high, whole } = seen;
    if model.likelihood.is_of_counts() {
        return Ok(How::AsItIs);
    }
    if let Kind::Pictures { white } = raw.kind {
        return Ok(How::Over { white: white_of(white, high, said) });
    }
    if whole && low >= 0.0 && high > 1.0 {
        if raw.kind == Kind::Numbers || !(128.0..=WHITE).contains(&high) {
            said.push(format!(
                "if whole numbers from {low} to {high} are counts, `--likelihood poisson` and \
                 `negative-binomial` take them as they are"
            ));
            return Ok(How::Over { white: high });
        }
        // A picture may lack its whitest byte.
        return Ok(How::Over { white: WHITE });
    }
    if whole && low >= 0.0 {
        // Black and white, which bytes hold.
        return Ok(How::Over { white: 1.0 });
    }
    if low >= -OVERSHOOT && high <= 1.0 + OVERSHOOT {
        return Ok(How::AsItIs);
    }
    if !fit::must_be_unit(model, pixels) {
        said.extend(warn::warnings(&raw.values, raw.size.len())?);
        return Ok(How::AsItIs);
    }
    if low >= -1.0 - OVERSHOOT && high <= 1.0 + OVERSHOOT {
        return Ok(How::Between { low: -1.0, high: 1.0 });
    }
    let name = model.likelihood.name();
    let mut what =
        format!("holds values from {low} to {high}; the likelihood `{name}` needs [0, 1]");
    for warning in warn::warnings(&raw.values, raw.size.len())?.iter().take(1) {
        what += &format!("; {warning}");
    }
    Err(Error::data(path, what).hint(
        "`--range standardise --likelihood normal --scale shared` takes any numbers; `--range LOW,HIGH` maps \
         what lies between to [0, 1]",
    ))
}

/// The value of white in pictures of so many: those of 16 bits may use 10, 12 or 14 of them.
fn white_of(white: u16, high: f32, said: &mut Vec<String>) -> f32 {
    let full = f32::from(white);
    if white <= 255 {
        return full;
    }
    let narrow = [1023.0, 4095.0, 16383.0].into_iter().find(|&most| high <= most && high > 255.0);
    if let Some(narrow) = narrow {
        said.push(format!(
            "the pictures have 16 bits and values up to {high}: they are divided by {narrow}, not by {full}"
        ));
    }
    narrow.unwrap_or(full)
}

/// The column of a value in rows of so many.
fn column_of(at: usize, columns: usize) -> usize {
    at.checked_rem(columns).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file may tell anything, and what is told is divided by and looked up.
    #[test]
    fn readings_that_cannot_be_are_known() {
        let good = Reading { seen: [-1.0, 4.0], ..Reading::default() };
        let columns = |means: &[f32], deviations: &[f32]| How::Columns {
            means: means.to_vec(),
            deviations: deviations.to_vec(),
        };
        let of = |how| Reading { how, ..good.clone() };
        for how in [
            How::ByFile,
            How::AsItIs,
            How::Over { white: 255.0 },
            How::Between { low: -1.0, high: 1.0 },
            How::Standardise { mean: -3.0, deviation: 0.1 },
            columns(&[1.0, 2.0], &[1.0, 0.5]),
        ] {
            assert_eq!(of(how.clone()).fault(), None, "{how:?}");
        }
        for bad in [
            of(How::Over { white: 0.0 }),
            of(How::Over { white: f32::NAN }),
            of(How::Between { low: 1.0, high: 1.0 }),
            of(How::Standardise { mean: 0.0, deviation: -1.0 }),
            of(columns(&[1.0, 2.0], &[1.0])),
            of(columns(&[f32::INFINITY], &[1.0])),
            of(columns(&[0.0], &[0.0])),
            Reading { shown: [0.0, f32::NAN], ..good.clone() },
            Reading { seen: [2.0, 1.0], ..good.clone() },
            Reading { total: Some(f32::INFINITY), ..good.clone() },
        ] {
            assert!(bad.fault().is_some(), "{bad:?}");
        }
    }
}
