//! Whether a figure changed from one run to another, by more than chance and the machine explain.
//!
//! The ratio of two runs comes with a 99 % interval by the percentile bootstrap (Efron and Tibshirani,
//! An Introduction to the Bootstrap, 1993, chapter 13): rounds are drawn again, with replacement, since
//! samples of one round share what the machine did meanwhile. The draws' seed is fixed, so that the same
//! samples give the same verdict.

use crate::bench::{median, percentile};
use crate::kernels::philox::philox;

/// Which values of a figure are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Large ones: rates.
    Higher,
    /// Small ones: times.
    Lower,
}

impl Better {
    /// Of a unit; `None` of what is neither good nor bad, such as counts and losses.
    #[must_use]
    pub fn of(unit: &str) -> Option<Self> {
        match unit {
            "s" | "µs" => Some(Self::Lower),
            unit if unit.ends_with("/s") => Some(Self::Higher),
            _ => None,
        }
    }
}

/// What a comparison of two runs says of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It became better.
    Faster,
    /// It became worse.
    Slower,
    /// The runs do not tell.
    Noise,
}

impl Verdict {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::Noise => "within noise",
        }
    }
}

/// How the rounds of two runs belong together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Design {
    /// Round i of one was measured beside round i of the other: the ratio is the median of theirs.
    Paired,
    /// One run came after the other, so that the machine may have changed between: the ratio is that of
    /// the medians, and its interval is wider by the drift within the runs, and by the share of the CPU
    /// that other programs took, from 0 to 1, in the earlier run and the later one.
    Apart([f64; 2]),
}

/// A figure now over what it was, with the interval that holds the ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Now over then.
    pub ratio: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// A change of less than this is of no use to know, and is never called one.
const LEAST: f64 = 0.01;

/// How sure an interval is.
const LEVEL: f64 = 0.99;

/// Draws of a bootstrap: the ends of an interval are their 10th from either end.
const DRAWS: u32 = 2000;

/// The fewest rounds from which the design can tell anything at that level.
#[must_use]
pub fn fewest(design: Design) -> usize {
    match design {
        // All ratios on one side of 1 come by chance in 2 of 2⁸ cases, ...
        Design::Paired => 8,
        // ... and all samples of one run above all of the other's in 2 of 252.
        Design::Apart(_) => 5,
    }
}

impl Comparison {
    /// Compares two runs, `was` and `now`; `None` if there are too few rounds to tell, or if a sample
    /// is not a positive number.
    #[must_use]
    pub fn of(was: &[f64], now: &[f64], design: Design) -> Option<Self> {
        let few = was.len().min(now.len()) < fewest(design);
        if few || was.iter().chain(now).any(|&v| !(v > 0.0 && v.is_finite())) {
            return None;
        }
        let mut dice = Dice { drawn: 0, words: [0; 4] };
        let (center, [low, high], slack) = match design {
            Design::Paired => {
                let logs: Vec<_> = was.iter().zip(now).map(|(was, now)| (now / was).ln()).collect();
                (median(&logs), interval(|| median(&dice.draw(&logs))), 0.0)
            }
            Design::Apart(others) => {
                let log = |was: &[f64], now: &[f64]| (median(now) / median(was)).ln();
                let ends = interval(|| log(&dice.draw(was), &dice.draw(now)));
                let others: f64 =
                    others.iter().map(|share| -(1.0 - share.clamp(0.0, 0.9)).ln()).sum();
                (log(was, now), ends, drift(was).hypot(drift(now)) + others)
            }
        };
        let [ratio, low, high] = [center, low - slack, high + slack].map(f64::exp);
        Some(Self { ratio, low, high })
    }

    /// What the interval says, where one direction is better.
    #[must_use]
    pub fn verdict(&self, better: Better) -> Verdict {
        let (up, down) = match better {
            Better::Higher => (Verdict::Faster, Verdict::Slower),
            Better::Lower => (Verdict::Slower, Verdict::Faster),
        };
        match self {
            _ if self.low > 1.0 + LEAST => up,
            _ if self.high < 1.0 - LEAST => down,
            _ => Verdict::Noise,
        }
    }
}

/// The log of the second half's median over the first half's: what the machine itself changed while it
/// was measured, as far as that can be seen.
pub(super) fn drift(samples: &[f64]) -> f64 {
    let half = samples.len() / 2;
    (median(&samples[samples.len() - half..]) / median(&samples[..half])).ln().abs()
}

/// The interval between the percentiles of many draws.
fn interval(mut draw: impl FnMut() -> f64) -> [f64; 2] {
    let draws: Vec<_> = (0..DRAWS).map(|_| draw()).collect();
    [0.5 * (1.0 - LEVEL), 0.5 * (1.0 + LEVEL)].map(|part| percentile(&draws, part))
}

/// Random numbers from a fixed seed.
struct Dice {
    drawn: u32,
    words: [u32; 4],
}

impl Dice {
    /// As many samples as there are, each any of them.
    fn draw(&mut self, samples: &[f64]) -> Vec<f64> {
        samples.iter().map(|_| samples[self.below(samples.len())]).collect()
    }

    fn below(&mut self, len: usize) -> usize {
        let at = self.drawn as usize % 4;
        if at == 0 {
            self.words = philox([self.drawn / 4, 0, 0, 0], [15, 0xb007]);
        }
        self.drawn += 1;
        ((u64::from(self.words[at]) * len as u64) >> 32) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rates about a centre with normal noise of a relative size, by the Box-Muller transform.
    fn made(seed: u32, count: usize, center: f64, noise: f64) -> Vec<f64> {
        let normal = |i: usize| {
            let [a, b, ..] = philox([i as u32, 0, 0, 0], [seed, 7]);
            let unit = |word: u32| (f64::from(word) + 0.5) / 4_294_967_296.0;
            (-2.0 * unit(a).ln()).sqrt() * (std::f64::consts::TAU * unit(b)).cos()
        };
        (0..count).map(|i| center * (noise * normal(i)).exp()).collect()
    }

    fn verdict(was: &[f64], now: &[f64], design: Design) -> Verdict {
        Comparison::of(was, now, design).expect("enough rounds").verdict(Better::Higher)
    }

    const QUIET: Design = Design::Apart([0.0, 0.0]);

    #[test]
    fn a_run_is_as_fast_as_itself() {
        for noise in [0.0, 0.01, 0.3] {
            let samples = made(1, 10, 100.0, noise);
            for design in [QUIET, Design::Paired] {
                let found = Comparison::of(&samples, &samples, design).expect("enough rounds");
                assert!((found.ratio - 1.0).abs() < 1e-12, "{found:?}");
                assert_eq!(found.verdict(Better::Higher), Verdict::Noise, "{noise}: {found:?}");
            }
        }
    }

    #[test]
    fn a_change_is_told_by_its_direction() {
        let was = made(2, 10, 100.0, 0.005);
        let slower: Vec<_> = was.iter().map(|v| v * 0.95).collect();
        for design in [QUIET, Design::Paired] {
            assert_eq!(verdict(&was, &slower, design), Verdict::Slower, "{design:?}");
            assert_eq!(verdict(&slower, &was, design), Verdict::Faster, "{design:?}");
            let times = Comparison::of(&was, &slower, design).expect("enough rounds");
            assert_eq!(times.verdict(Better::Lower), Verdict::Faster, "less time: {times:?}");
        }
        let (was, slower) = (made(3, 10, 100.0, 0.2), made(4, 10, 95.0, 0.2));
        assert_eq!(verdict(&was, &slower, QUIET), Verdict::Noise, "5 % in noise of 20 %");
        let units = ["GFLOP/s", "1/s", "GB/s", "µs", "s", "%", "", "nats"].map(Better::of);
        let (higher, lower) = (Some(Better::Higher), Some(Better::Lower));
        assert_eq!(units, [higher, higher, higher, lower, lower, None, None, None]);
    }

    #[test]
    fn what_the_machine_did_is_allowed_for() {
        let (was, now) = (made(5, 10, 100.0, 0.002), made(6, 10, 90.0, 0.002));
        assert_eq!(verdict(&was, &now, QUIET), Verdict::Slower, "10 % on a quiet machine");
        let busy = Design::Apart([0.0, 0.2]);
        assert_eq!(verdict(&was, &now, busy), Verdict::Noise, "others took a fifth of the CPU");
        let fell: Vec<_> =
            now.iter().enumerate().map(|(i, v)| v * if i < 5 { 1.1 } else { 0.9 }).collect();
        assert_eq!(verdict(&was, &fell, QUIET), Verdict::Noise, "it fell by more while measured");
        // The same drift in both, as when two programs run in turn, hides nothing.
        let both: Vec<_> =
            was.iter().enumerate().map(|(i, v)| v * if i < 5 { 1.1 } else { 0.9 }).collect();
        assert_eq!(verdict(&both, &fell, Design::Paired), Verdict::Slower, "in turn");
    }

    #[test]
    fn too_few_rounds_tell_nothing() {
        let samples = made(7, 10, 1.0, 0.01);
        assert!(Comparison::of(&samples[..4], &samples, QUIET).is_none(), "four rounds");
        assert!(Comparison::of(&samples[..5], &samples[..5], QUIET).is_some(), "five");
        assert!(Comparison::of(&samples[..7], &samples, Design::Paired).is_none(), "seven pairs");
        assert!(Comparison::of(&[0.0; 9], &samples, QUIET).is_none(), "no rate");
    }

    /// Of runs of one distribution about one in a hundred may differ; of runs that are 5 % apart in noise
    /// of 1 % nearly all must.
    #[test]
    fn errors_are_as_rare_as_they_should_be() {
        let tried = 200;
        let count = |design, factor: f64, noise| {
            let wrong = |seed: &u32| {
                let (was, now) =
                    (made(100 + seed, 10, 1.0, noise), made(9000 + seed, 10, factor, noise));
                verdict(&was, &now, design) != Verdict::Noise
            };
            (0..tried).filter(wrong).count()
        };
        for design in [QUIET, Design::Paired] {
            // With noise of 5 % the least change of 1 % counts for little.
            let wrong = count(design, 1.0, 0.05);
            assert!(wrong <= 6, "{design:?}: {wrong} of {tried} told a change where none was");
            let found = count(design, 0.95, 0.01);
            assert!(found >= 190, "{design:?}: {found} of {tried} told 5 %");
        }
    }
}
