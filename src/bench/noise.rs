//! How quiet the machine was: the spread of a figure, its outliers, its drift.

use crate::bench::verdict::drift;
use crate::bench::{Figure, median};

/// A spread of which a user should know: half of the samples are further from the median than this.
const SPREAD: f64 = 0.05;

/// A drift of which a user should know, ...
const DRIFT: f64 = 0.1;

/// ... if it is this many times as large as what the samples of either half scatter by.
const CLEAR: f64 = 3.0;

/// A sample as many times as far from the median as half of the others are is an outlier: modified
/// z-scores above 10, where 3.5 is usual for what is odd and 14.8 is what hyperfine takes.
const OUTLIER: f64 = 14.826;

/// The median distance of the samples from their median, over the median.
fn deviation(samples: &[f64]) -> f64 {
    let middle = median(samples);
    let distances: Vec<_> = samples.iter().map(|v| (v - middle).abs()).collect();
    median(&distances) / middle.abs()
}

/// What makes a figure unsure, if anything does, as `steps scatter by 12 %`.
#[must_use]
pub fn unsure(figure: &Figure) -> Option<String> {
    let Figure { name, samples, .. } = figure;
    // Of fewer nothing can be said.
    if samples.len() < 4 {
        return None;
    }
    let (spread, moved) = (deviation(samples), drift(samples));
    let percent = |part: f64| format!("{:.0} %", 100.0 * part);
    let (first, last) = samples.split_at(samples.len() / 2);
    if moved > DRIFT && moved > CLEAR * deviation(first).max(deviation(last)) {
        return Some(format!("{name} drifted by {}", percent(moved)));
    }
    if spread > SPREAD {
        return Some(format!("{name} scatter by {}", percent(spread)));
    }
    let middle = median(samples);
    let far = |v: &&f64| ((*v - middle) / middle).abs() > (OUTLIER * spread).max(SPREAD);
    match samples.iter().filter(far).count() {
        0 => None,
        1 => Some(format!("{name} have one outlier in {}", samples.len())),
        count => Some(format!("{name} have {count} outliers in {}", samples.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_named() {
        let told = |samples: &[f64]| unsure(&Figure::new("steps", "1/s", samples.to_vec()));
        assert_eq!(told(&[100.0, 101.0, 99.0, 100.0, 102.0, 100.0]), None, "quiet");
        assert_eq!(told(&[100.0, 30.0, 70.0]), None, "too few to tell");
        let said = |samples: &[f64]| told(samples).expect("a remark");
        assert_eq!(said(&[100.0, 80.0, 120.0, 60.0, 100.0, 130.0]), "steps scatter by 20 %");
        assert_eq!(said(&[100.0, 101.0, 99.0, 80.0, 81.0, 79.0]), "steps drifted by 22 %");
        assert_eq!(said(&[100.0, 101.0, 99.0, 100.0, 60.0, 100.0]), "steps have one outlier in 6");
    }
}
