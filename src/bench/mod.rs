//! What a device can do at best, and how near a model's training steps come: what `elbo bench` shows.
//!
//! Times are wall-clock times of this process; nothing else should run on the machine. What is measured is
//! measured in rounds, each figure once a round, so that what the machine does meanwhile shows in all of them.

mod count;
mod machine;
mod noise;
mod probe;
mod quality;
mod roof;
mod steps;
mod stress;
mod verdict;

use std::time::{Duration, Instant};

use crate::error::{Error, Result};

pub use count::{bound_bytes, products};
pub use machine::{Machine, Others, cpu_time, load, temperature};
pub use noise::unsure;
pub use probe::{Peaks, Probe};
pub use quality::{Quality, to_loss};
pub use roof::{Bound, KernelTime};
pub use steps::{Row, Steps};
pub use stress::{Stress, Stressed};
pub use verdict::{Better, Comparison, Design, Verdict, fewest};

/// One quantity, measured once a round.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The unit, as `GFLOP/s`; of a count, nothing.
    pub unit: String,
    /// One value a round.
    pub samples: Vec<f64>,
}

impl Figure {
    /// A quantity with its samples.
    #[must_use]
    pub fn new(name: &str, unit: &str, samples: Vec<f64>) -> Self {
        Self { name: name.to_owned(), unit: unit.to_owned(), samples }
    }

    /// Which of its values are good; `None` of what is neither good nor bad.
    #[must_use]
    pub fn better(&self) -> Option<Better> {
        Better::of(&self.unit)
    }

    /// The middle of the samples; of an even number the mean of the two in the middle.
    #[must_use]
    pub fn median(&self) -> f64 {
        median(&self.samples)
    }

    /// The smallest sample.
    #[must_use]
    pub fn low(&self) -> f64 {
        self.samples.iter().copied().fold(f64::NAN, f64::min)
    }

    /// The largest sample.
    #[must_use]
    pub fn high(&self) -> f64 {
        self.samples.iter().copied().fold(f64::NAN, f64::max)
    }
}

/// How often and how long is measured.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    repetitions: usize,
    seconds: f64,
}

impl Pace {
    /// So many repetitions of about so many seconds.
    ///
    /// # Errors
    ///
    /// If there is no repetition or more than 1000, or if one takes no time or more than an hour.
    pub fn new(repetitions: usize, seconds: f64) -> Result<Self> {
        if !(1..=1000).contains(&repetitions) {
            let what = format!("`repetitions` is {repetitions}; it must be from 1 to 1000");
            return Err(Error::config(what).hint("10 show the spread"));
        }
        if !(seconds > 0.0 && seconds <= 3600.0) {
            let what = format!("`seconds` is {seconds}; it must be above 0 and at most 3600");
            return Err(Error::config(what).hint("0.5 is enough for most devices"));
        }
        Ok(Self { repetitions, seconds })
    }

    /// The rounds.
    #[must_use]
    pub fn repetitions(&self) -> usize {
        self.repetitions
    }
}

/// The middle of some samples; of an even number the mean of the two in the middle.
fn median(samples: &[f64]) -> f64 {
    let sorted = sorted(samples);
    match sorted.len() {
        0 => f64::NAN,
        len => 0.5 * (sorted[(len - 1) / 2] + sorted[len / 2]),
    }
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The smallest sample that so large a part of them does not exceed (nearest rank).
fn percentile(samples: &[f64], part: f64) -> f64 {
    let rank = (part * samples.len() as f64).ceil() as usize;
    sorted(samples).get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

fn timed<R>(run: impl FnOnce() -> Result<R>) -> Result<(R, Duration)> {
    let start = Instant::now();
    let result = run()?;
    Ok((result, start.elapsed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_up() {
        let figure = |samples: &[f64]| Figure::new("x", "", samples.to_vec());
        let odd = figure(&[5.0, 1.0, 3.0]);
        assert_eq!((odd.low(), odd.median(), odd.high()), (1.0, 3.0, 5.0), "three samples");
        assert_eq!(figure(&[4.0, 1.0, 3.0, 2.0]).median(), 2.5, "four samples");
        assert!(figure(&[]).median().is_nan(), "none");
        let hundred: Vec<_> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&hundred, 0.5), 50.0, "p50 of a hundred");
        assert_eq!(percentile(&hundred, 0.99), 99.0, "p99 of a hundred");
        assert_eq!(percentile(&[7.0], 0.99), 7.0, "p99 of one");
    }

    #[test]
    fn a_pace_that_cannot_be_meant_is_refused() {
        for (repetitions, seconds) in [(0, 1.0), (1001, 1.0), (5, 0.0), (5, -1.0), (5, f64::NAN)] {
            assert!(Pace::new(repetitions, seconds).is_err(), "{repetitions} of {seconds} s");
        }
        assert!(Pace::new(1, 0.01).is_ok(), "a short one");
    }
}
