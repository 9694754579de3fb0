//! Means and deviations of values, by which they are standardised.
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;

use rayon::prelude::*;

use crate::data::held::block;
use crate::data::raw::{Part, Raw};
use crate::data::reading::{How, column_of};
use crate::error::{Error, Result};

/// The mean and the deviation of all values.
pub(super) fn standardise(path: &Path, raw: &Raw) -> Result<How> {
    let (row, len) = (raw.size.len(), raw.values.len() as f64);
    let block = row.saturating_mul(block(row)).max(1);
    let sum = |of: &(dyn Fn(f64) -> f64 + Sync)| {
        let mut sum = 0.0;
        raw.values.each_part(row, &mut |_, part| {
            let sums: Vec<f64> = match part {
                Part::Bytes(v) => {
                    let blocks = v.par_chunks(block);
                    blocks.map(|v| v.iter().map(|&v| of(v.into())).sum()).collect()
                }
                Part::Floats(v) => {
                    let blocks = v.par_chunks(block);
                    blocks.map(|v| v.iter().map(|&v| of(v.into())).sum()).collect()
                }
            };
            sums.iter().for_each(|block| sum += block);
            Ok(())
        })?;
        Ok::<f64, Error>(sum)
    };
    let mean = sum(&|v| v)? / len;
    let deviation = (sum(&|v| (v - mean) * (v - mean))? / len).sqrt() as f32;
    if deviation > 0.0 {
        return Ok(How::Standardise { mean: mean as f32, deviation });
    }
    let what = format!("holds nothing but the value {mean}, which cannot be standardised");
    Err(Error::data(path, what).hint("give images that differ"))
}

/// The mean and the deviation of each column.
pub(super) fn columns(path: &Path, raw: &Raw) -> Result<How> {
    const MOST: usize = 8192;
    let (cols, rows) = (raw.size.len(), raw.count as f64);
    if cols > MOST {
        let what =
            format!("has {cols} columns, of which at most {MOST} are standardised one by one");
        return Err(Error::data(path, what).hint("`--range standardise` has one mean for all"));
    }
    let (mut means, mut squares) = (vec![0.0_f64; cols], vec![0.0_f64; cols]);
    raw.values.each_part(cols, &mut |_, part| {
        part.each(|i, v| means[column_of(i, cols)] += f64::from(v));
        Ok(())
    })?;
    means.iter_mut().for_each(|mean| *mean /= rows);
    raw.values.each_part(cols, &mut |_, part| {
        part.each(|i, v| {
            let column = column_of(i, cols);
            squares[column] += (f64::from(v) - means[column]).powi(2);
        });
        Ok(())
    })?;
    let deviation = |square: &f64| match (square / rows).sqrt() as f32 {
        deviation if deviation > 0.0 => deviation,
        _ => 1.0,
    };
    let deviations = squares.iter().map(deviation).collect();
    Ok(How::Columns { means: means.iter().map(|&mean| mean as f32).collect(), deviations })
}
