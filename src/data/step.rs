//! What becomes of values between a file and the device, row by row: the same in memory at once, and of those
//! that lie in a file when they are read.
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use crate::data::channels;
use crate::data::raw::Values;
use crate::data::source::reserved;
use crate::error::Result;

/// A change of whole rows of values.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Pixels with other channels than they have.
    Channels { has: usize, gets: usize },
    /// Images of this height, width and channels that lie column by column become such that lie row by row.
    Upright([usize; 3]),
    /// Bytes as floats.
    Floats,
    /// Floats below 0 and above 1 become these.
    Clamped,
    /// Values times so much, which are bytes.
    Times(u8),
    /// v / white.
    Over(f32),
    /// (v − low) / (high − low).
    Between { low: f32, high: f32 },
    /// (v − mean) / deviation.
    Standardised { mean: f32, deviation: f32 },
    /// The same of each column, by its means and deviations.
    Columns(Arc<[Vec<f32>; 2]>),
}

impl Step {
    /// The values of whole rows, changed; `path` is named in errors.
    pub(super) fn take(&self, path: &Path, values: Values) -> Result<Values> {
        Ok(match self {
            &Self::Channels { has, gets } => channels::changed(&values, has, gets),
            &Self::Upright(sides) => upright(values, sides),
            Self::Floats => Values::Floats(floats(path, values)?),
            Self::Clamped => Values::Floats(mapped(path, values, |_, v| v.clamp(0.0, 1.0))?),
            &Self::Times(factor) => Values::Bytes(times(path, values, factor)?),
            &Self::Over(white) => Values::Floats(mapped(path, values, |_, v| v / white)?),
            &Self::Between { low, high } => {
                let span = high - low;
                Values::Floats(mapped(path, values, |_, v| (v - low) / span)?)
            }
            &Self::Standardised { mean, deviation } => {
                Values::Floats(mapped(path, values, |_, v| (v - mean) / deviation)?)
            }
            Self::Columns(columns) => {
                let [means, deviations] = &**columns;
                let of = |i: usize, v: f32| {
                    let column = i.checked_rem(means.len()).unwrap_or_default();
                    (v - means[column]) / deviations[column]
                };
                Values::Floats(mapped(path, values, of)?)
            }
        })
    }

    /// How many values a row of so many has then.
    pub(super) fn row(&self, row: usize) -> usize {
        match self {
            Self::Channels { has, gets } => {
                row.checked_div(*has).unwrap_or_default().saturating_mul(*gets)
            }
            _ => row,
        }
    }

    /// Whether values are bytes then, which are bytes before or are not.
    pub(super) fn are_bytes(&self, before: bool) -> bool {
        match self {
            Self::Channels { .. } | Self::Upright(_) => before,
            Self::Times(_) => true,
            _ => false,
        }
    }
}

fn floats(path: &Path, values: Values) -> Result<Vec<f32>> {
    match values {
        Values::Bytes(bytes) => {
            let mut floats = reserved(path, bytes.len() as u64)?;
            floats.extend(bytes.iter().map(|&v| f32::from(v)));
            Ok(floats)
        }
        Values::Floats(floats) => Ok(floats),
    }
}

fn times(path: &Path, values: Values, factor: u8) -> Result<Vec<u8>> {
    match values {
        Values::Bytes(mut v) => {
            v.par_iter_mut().for_each(|v| *v = v.saturating_mul(factor));
            Ok(v)
        }
        Values::Floats(v) => {
            let mut bytes = reserved(path, v.len() as u64)?;
            bytes.extend(v.iter().map(|v| (v * f32::from(factor)) as u8));
            Ok(bytes)
        }
    }
}

/// All values, changed by their place and what they were.
fn mapped(path: &Path, values: Values, of: impl Fn(usize, f32) -> f32 + Sync) -> Result<Vec<f32>> {
    let mut floats = floats(path, values)?;
    floats.par_iter_mut().enumerate().for_each(|(i, v)| *v = of(i, *v));
    Ok(floats)
}

/// The same images, whose values lie column by column in each, row by row.
fn upright(mut values: Values, sides: [usize; 3]) -> Values {
    fn turn<T: Copy>(all: &mut [T], [height, width, channels]: [usize; 3]) {
        let len = height.saturating_mul(width).saturating_mul(channels);
        let mut turned = Vec::with_capacity(len);
        for image in all.chunks_exact_mut(len.max(1)) {
            turned.clear();
            for y in 0..height {
                for x in 0..width {
                    let at = x.saturating_mul(height).saturating_add(y).saturating_mul(channels);
                    turned.extend(image.iter().skip(at).take(channels));
                }
            }
            image.copy_from_slice(&turned);
        }
    }
    match &mut values {
        Values::Bytes(v) => turn(v, sides),
        Values::Floats(v) => turn(v, sides),
    }
    values
}
