//! What a step is told of learning: the rates of its record, by the schedule of the learning rate.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::config::{Config, OptimizerConfig, Reduction, Schedule};
use crate::engine::record::{RATES, rate};
use crate::kernels::common::optimizer_rates;

/// Where in training a step is.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// The step, counted from one.
    pub step: u64,
    /// Steps in an epoch.
    pub per_epoch: u64,
    /// What the learning rate is multiplied by, besides its schedule.
    pub scale: f64,
}

/// The rates of a training step on a minibatch of so many images.
#[must_use]
pub fn rates(config: &Config, at: At, rows: usize) -> [f64; RATES] {
    let lr = at.scale * learning_rate(config, at.step, at.per_epoch);
    let mut rates = optimizer_rates(&config.optimizer, lr, at.step);
    let t = at.step as f64;
    rates[rate::AVERAGING] = 1.0 - config.optimizer.average.min((1.0 + t) / (10.0 + t));
    rates[rate::LEARNING] = 1.0;
    rates[rate::KL_WEIGHT] = config.objective.beta;
    rates[rate::LOSS_SCALE] = match config.objective.reduction {
        Reduction::Sum => 1.0,
        Reduction::Mean => 1.0 / rows as f64,
    };
    rates
}

/// The learning rate of a step, counted from one, where so many are an epoch; of `plateau` before the
/// first fall.
#[must_use]
pub fn learning_rate(config: &Config, step: u64, per_epoch: u64) -> f64 {
    let optimizer = &config.optimizer;
    let (lr, done) = (optimizer.lr, step - 1);
    let scheduled = match optimizer.schedule {
        Schedule::Constant | Schedule::Plateau => lr,
        Schedule::Step => {
            let falls = done / per_epoch / optimizer.decay_epochs;
            lr * optimizer.decay_factor.powf(falls as f64)
        }
        Schedule::Cosine => {
            let all = config.train.epochs as f64 * per_epoch as f64;
            let part = (done as f64 / all).min(1.0);
            let last = optimizer.final_lr;
            last + 0.5 * (lr - last) * (1.0 + (PI * part).cos())
        }
        Schedule::Burda => lr * burda(done / per_epoch, optimizer.stages),
    };
    match optimizer.warmup_steps {
        0 => scheduled,
        steps => scheduled * (step as f64 / steps as f64).min(1.0),
    }
}

/// The share of the rate in an epoch, counted from zero: 10^(1 − (i − 1)/7), rounded to one digit behind
/// the point as in the code of Burda et al. 2016, over ten.
fn burda(epoch: u64, stages: u32) -> f64 {
    // Stage i ends after (3ⁱ − 1)/2 epochs.
    let over = |&stage: &u32| epoch >= (3_u64.pow(stage) - 1) / 2;
    let before = (1..stages).take_while(over).count();
    let tenfold = 10.0 * 10_f64.powf(1.0 - before as f64 / 7.0);
    tenfold.round() / 100.0
}

/// What the schedule `plateau` knows of the test losses after epochs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plateau {
    /// The lowest.
    best: f64,
    /// Losses since then, or since the rate fell, if that was later.
    pub(crate) since: u64,
    /// How often the rate fell.
    pub(crate) falls: u64,
    /// The step that the last one was of.
    pub(crate) step: u64,
}

impl Plateau {
    /// What is known before the first epoch has ended.
    pub const NONE: Self = Self { best: f64::INFINITY, since: 0, falls: 0, step: 0 };

    /// Takes note of the test loss after a step, unless that was done.
    pub fn note(&mut self, config: &OptimizerConfig, step: u64, loss: f64) {
        if step == self.step {
            return;
        }
        self.step = step;
        self.since += 1;
        if loss < self.best {
            (self.best, self.since) = (loss, 0);
        }
        if self.since >= config.decay_epochs {
            (self.falls, self.since) = (self.falls + 1, 0);
        }
    }

    /// What the learning rate is multiplied by.
    #[must_use]
    pub fn factor(&self, config: &OptimizerConfig) -> f64 {
        config.decay_factor.powf(self.falls as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheduled(schedule: Schedule) -> Config {
        let mut config = Config::default();
        config.optimizer.schedule = schedule;
        config
    }

    /// Burda et al. 2016, section 5: 3280 epochs in all, and the rates of their code by hand.
    #[test]
    fn the_stages_of_burda_are_theirs() {
        let config = scheduled(Schedule::Burda);
        let (mut stages, mut begun) = (Vec::new(), 0);
        for epoch in 0..=3280 {
            let rate = learning_rate(&config, epoch * 7 + 3, 7);
            if stages.last().is_none_or(|&(_, last)| last != rate) {
                stages.push((epoch - begun, rate));
                begun = epoch;
            }
        }
        let lengths: Vec<_> = stages[1..].iter().map(|stage| stage.0).collect();
        assert_eq!(lengths, [1, 3, 9, 27, 81, 243, 729], "epochs of the stages before the last");
        assert_eq!(begun + 2187, 3280, "the last ends");
        let expected = [1e-3, 7.2e-4, 5.2e-4, 3.7e-4, 2.7e-4, 1.9e-4, 1.4e-4, 1e-4];
        for ((_, rate), expected) in stages.iter().zip(expected) {
            assert!((rate / expected - 1.0).abs() < 1e-12, "{rate}, expected {expected}");
        }
        assert_eq!(stages.len(), expected.len());
        let mut short = config.clone();
        short.optimizer.stages = 3;
        assert_eq!(learning_rate(&short, 4 * 7 + 1, 7), learning_rate(&short, 3000 * 7, 7));
    }

    #[test]
    fn the_rate_warms_up_on_any_schedule() {
        for schedule in [Schedule::Constant, Schedule::Cosine, Schedule::Burda, Schedule::Step] {
            let plain = scheduled(schedule);
            let mut warm = plain.clone();
            warm.optimizer.warmup_steps = 4;
            let share = |step| learning_rate(&warm, step, 5) / learning_rate(&plain, step, 5);
            let found: Vec<_> = (1..=6).map(share).collect();
            let expected = [0.25, 0.5, 0.75, 1.0, 1.0, 1.0];
            let apart = found.iter().zip(expected).map(|(a, b): (&f64, f64)| (a - b).abs());
            assert!(apart.fold(0.0, f64::max) < 1e-12, "{schedule:?}: {found:?}");
        }
    }

    #[test]
    fn the_cosine_ends_where_it_should() {
        let mut config = scheduled(Schedule::Cosine);
        (config.train.epochs, config.optimizer.final_lr) = (4, 1e-5);
        assert_eq!(learning_rate(&config, 1, 5), 1e-3, "the first step");
        assert!((learning_rate(&config, 11, 5) - 5.05e-4).abs() < 1e-15, "half way");
        assert_eq!(learning_rate(&config, 21, 5), 1e-5, "past the end");
        assert_eq!(learning_rate(&config, 99, 5), 1e-5, "far past the end");
    }
}
