//! What a step is told of learning: the rates of its record, by the schedule of the learning rate.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::config::{Config, ObjectiveConfig, OptimizerConfig, Reduction, Schedule};
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
    rates[rate::KL_WEIGHT] = kl_weight(&config.objective, at.step);
    rates[rate::CAPACITY] = capacity(&config.objective, at.step);
    rates[rate::FREE] = free_bits(&config.objective, at.step);
    rates[rate::LOSS_SCALE] = match config.objective.reduction {
        Reduction::Sum => 1.0,
        Reduction::Mean => 1.0 / rows as f64,
    };
    rates
}

/// How far step `t` is on a linear way of so many steps from 0 to 1; there is no way of none.
fn risen(t: u64, steps: f64) -> f64 {
    if steps > 0.0 { ((t - 1) as f64 / steps).min(1.0) } else { 1.0 }
}

/// β as far as it has risen: once (Sønderby et al. 2016), or in each cycle anew (Fu et al. 2019, eq. 6).
fn kl_weight(objective: &ObjectiveConfig, t: u64) -> f64 {
    objective.beta
        * match objective.cycle_steps {
            0 => risen(t, objective.warmup_steps as f64),
            steps => risen((t - 1) % steps + 1, objective.cycle_rise * steps as f64),
        }
}

/// C of Burgess et al. 2018, eq. 8, as far as it has risen.
fn capacity(objective: &ObjectiveConfig, t: u64) -> f64 {
    objective.capacity * risen(t, objective.capacity_steps as f64)
}

/// λ of Kingma et al. 2016, eq. 15, so long as bits are free.
fn free_bits(objective: &ObjectiveConfig, t: u64) -> f64 {
    match objective.free_bits_steps {
        0 => objective.free_bits,
        steps if t <= steps => objective.free_bits,
        _ => 0.0,
    }
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
    /// Epochs since then, or since the rate fell, if that was later.
    pub(crate) since: u64,
    /// How often the rate fell.
    pub(crate) falls: u64,
    /// The step that the last one was of.
    pub(crate) step: u64,
}

impl Plateau {
    /// What is known before the first epoch has ended.
    pub const NONE: Self = Self { best: f64::INFINITY, since: 0, falls: 0, step: 0 };

    /// Takes note of the test loss after a step, where so many are an epoch, unless that was done. Epochs
    /// in between may have had none.
    pub fn note(&mut self, config: &OptimizerConfig, (step, per_epoch): (u64, u64), loss: f64) {
        if step == self.step {
            return;
        }
        self.since += step.saturating_sub(self.step) / per_epoch;
        self.step = step;
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

    fn course(rate: usize, ts: &[u64], set: fn(&mut ObjectiveConfig)) -> Vec<f64> {
        let mut config = Config::default();
        set(&mut config.objective);
        let at = |&step| At { step, per_epoch: 469, scale: 1.0 };
        ts.iter().map(|t| rates(&config, at(t), 128)[rate]).collect()
    }

    /// By hand: four steps up from 0, with β = 2.
    #[test]
    fn beta_warms_up_once() {
        let ts = [1, 2, 3, 4, 5, 6, 1000];
        let found = course(rate::KL_WEIGHT, &ts, |o| (o.beta, o.warmup_steps) = (2.0, 4));
        assert_eq!(found, [0.0, 0.5, 1.0, 1.5, 2.0, 2.0, 2.0]);
        let whole = course(rate::KL_WEIGHT, &ts, |o| o.beta = 2.0);
        assert_eq!(whole, [2.0; 7], "without a warm-up it is whole at once");
    }

    #[test]
    fn bits_are_free_so_long() {
        let set = |o: &mut ObjectiveConfig| (o.free_bits, o.free_bits_steps) = (0.5, 7);
        assert_eq!(course(rate::FREE, &[1, 7, 8, 1000], set), [0.5, 0.5, 0.0, 0.0]);
        assert_eq!(course(rate::FREE, &[1, 1000], |o| o.free_bits = 0.5), [0.5; 2], "always");
    }

    /// By hand: in cycles of eight steps, of which the first half rises.
    #[test]
    fn beta_rises_in_each_cycle() {
        let ts: Vec<u64> = (1..=17).collect();
        let cycle = [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0];
        let expected = [cycle.as_slice(), &cycle, &[0.0]].concat();
        assert_eq!(course(rate::KL_WEIGHT, &ts, |o| o.cycle_steps = 8), expected);
        let set = |o: &mut ObjectiveConfig| (o.cycle_steps, o.cycle_rise) = (4, 1.0);
        let found = course(rate::KL_WEIGHT, &[1, 2, 3, 4, 5], set);
        assert_eq!(found, [0.0, 0.25, 0.5, 0.75, 0.0], "all of a cycle rises");
    }

    /// By hand: to 25 nats in 100 steps.
    #[test]
    fn the_capacity_rises_to_its_end() {
        let set = |o: &mut ObjectiveConfig| (o.capacity, o.capacity_steps) = (25.0, 100);
        let found = course(rate::CAPACITY, &[1, 51, 101, 500], set);
        assert_eq!(found, [0.0, 12.5, 25.0, 25.0]);
        let fixed = course(rate::CAPACITY, &[1, 500], |o| o.capacity = 25.0);
        assert_eq!(fixed, [25.0; 2], "without steps it is there at once");
    }

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
