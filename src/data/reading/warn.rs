//! What should be said of values that are taken as they are, since a network learns little from some.
#![warn(clippy::arithmetic_side_effects)]

use crate::data::held::Held;
use crate::error::{Error, Result};

/// How many values are sorted, spread over all.
const SAMPLE: usize = 1 << 17;

/// Numbers that tables have where something is missing.
const MARKS: [f32; 8] = [-999.0, -9999.0, -99999.0, -99.0, 999.0, 9999.0, 99999.0, 1e20];

/// The largest number that a network should see without being told.
const LARGE: f32 = 100.0;

/// What looks like a mark, an outlier or a scale that was forgotten.
pub(super) fn warnings(values: &Held, columns: usize) -> Result<Vec<String>> {
    let sorted = sorted(values, columns)?;
    let (Some(&low), Some(&high)) = (sorted.first(), sorted.last()) else { return Ok(Vec::new()) };
    let share = |share: f64| sorted[((sorted.len() as f64 - 1.0) * share) as usize];
    let (q1, q99) = (share(0.01), share(0.99));
    let spread = (q99 - q1).max(f32::MIN_POSITIVE);
    let far = |v: f32| v < q1 - 20.0 * spread || v > q99 + 20.0 * spread;
    let mut said = Vec::new();
    for end in [low, high] {
        let count = sorted.iter().filter(|&&v| v == end).count();
        if MARKS.contains(&end) && (far(end) || count > 1) && end != q1 && end != q99 {
            said.push(format!(
                "the value {end} looks like a mark of what is missing: replace it, since it is taken as a number"
            ));
        } else if far(end) {
            said.push(format!(
                "the value {end} is far from all others, which lie from {q1} to {q99}: is it an error?"
            ));
        }
    }
    let scales = scales(values, columns)?;
    if let Some((least, most)) = scales.filter(|(least, most)| most / least > 1e3) {
        let (least, most) = (least as f32, most as f32);
        said.push(format!(
            "columns have deviations from {least} to {most}: `--range columns` standardises each by itself"
        ));
    } else if said.is_empty() && low.abs().max(high.abs()) > LARGE {
        said.push(format!(
            "values from {low} to {high} are large for a network: `--range standardise` brings them near 1"
        ));
    }
    Ok(said)
}

/// Values in their order: all, or as many spread over all.
fn sorted(values: &Held, row: usize) -> Result<Vec<f32>> {
    let step = values.len().div_ceil(SAMPLE).max(1);
    let (mut sorted, mut ends) = (Vec::new(), [f32::INFINITY, f32::NEG_INFINITY]);
    values.each_part(row, &mut |first, part| {
        let first = first.saturating_mul(row);
        part.each(|i, v| {
            if first.saturating_add(i).is_multiple_of(step) {
                sorted.push(v);
            }
            ends = [ends[0].min(v), ends[1].max(v)];
        });
        Ok(())
    })?;
    if step > 1 {
        // Marks and outliers of a few rows are among them.
        sorted.extend(ends);
    }
    sorted.sort_by(f32::total_cmp);
    Ok(sorted)
}

/// The least and the largest deviation of columns that are not constant, of a table of few.
fn scales(values: &Held, columns: usize) -> Result<Option<(f64, f64)>> {
    const MOST: usize = 1024;
    let rows = values.len().checked_div(columns).filter(|&rows| rows > 1 && columns <= MOST);
    let Some(rows) = rows else { return Ok(None) };
    let mean = |of: &dyn Fn(usize, f64) -> f64| {
        let mut means = vec![0.0; columns];
        values.each_part(columns, &mut |_, part| {
            part.each(|i, v| {
                let column = i.checked_rem(columns).unwrap_or_default();
                means[column] += of(column, v.into());
            });
            Ok(())
        })?;
        means.iter_mut().for_each(|mean| *mean /= rows as f64);
        Ok::<_, Error>(means)
    };
    let means = mean(&|_, v| v)?;
    let variances = mean(&|column, v| (v - means[column]).powi(2))?;
    let all = variances.iter().map(|v| v.sqrt()).filter(|&deviation| deviation > 0.0);
    Ok(all.fold(None, |found, v| {
        let (least, most) = found.unwrap_or((v, v));
        Some((v.min(least), v.max(most)))
    }))
}
