//! What should be said of values that are taken as they are, since a network learns little from some.
#![warn(clippy::arithmetic_side_effects)]

use crate::data::raw::Values;

/// How many values are sorted, spread over all.
const SAMPLE: usize = 1 << 17;

/// Numbers that tables have where something is missing.
const MARKS: [f32; 8] = [-999.0, -9999.0, -99999.0, -99.0, 999.0, 9999.0, 99999.0, 1e20];

/// The largest number that a network should see without being told.
const LARGE: f32 = 100.0;

/// What looks like a mark, an outlier or a scale that was forgotten.
pub(super) fn warnings(values: &Values, columns: usize) -> Vec<String> {
    let sorted = sorted(values);
    let (Some(&low), Some(&high)) = (sorted.first(), sorted.last()) else { return Vec::new() };
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
    let scales = scales(values, columns);
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
    said
}

/// Values in their order: all, or as many spread over all.
fn sorted(values: &Values) -> Vec<f32> {
    let step = values.len().div_ceil(SAMPLE).max(1);
    let mut sorted: Vec<f32> = match values {
        // Marks and outliers of a few rows are among them.
        _ if step == 1 => (0..values.len()).map(|i| values.get(i)).collect(),
        _ => {
            let ends = (0..values.len()).map(|i| values.get(i));
            let (low, high) = ends.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| {
                (low.min(v), high.max(v))
            });
            let some = (0..values.len()).step_by(step).map(|i| values.get(i));
            some.chain([low, high]).collect()
        }
    };
    sorted.sort_by(f32::total_cmp);
    sorted
}

/// The least and the largest deviation of columns that are not constant, of a table of few.
fn scales(values: &Values, columns: usize) -> Option<(f64, f64)> {
    const MOST: usize = 1024;
    let rows = values.len().checked_div(columns).filter(|&rows| rows > 1 && columns <= MOST)?;
    let deviation = |column: usize| {
        let at =
            |row: usize| f64::from(values.get(row.saturating_mul(columns).saturating_add(column)));
        let mean = (0..rows).map(at).sum::<f64>() / rows as f64;
        ((0..rows).map(|row| (at(row) - mean).powi(2)).sum::<f64>() / rows as f64).sqrt()
    };
    let all = (0..columns).map(deviation).filter(|&deviation| deviation > 0.0);
    all.fold(None, |found, v| {
        let (least, most) = found.unwrap_or((v, v));
        Some((v.min(least), v.max(most)))
    })
}
