//! What a step is told of learning: the rates of its record.

use crate::config::{Config, ObjectiveConfig, Reduction};
use crate::engine::record::{RATES, rate};
use crate::kernels::common::optimizer_rates;

/// The rates of training step `t`, counted from one, on a minibatch of so many images; the learning
/// rate is multiplied by `scale`.
#[must_use]
pub fn rates(config: &Config, scale: f64, t: u64, rows: usize) -> [f64; RATES] {
    let mut rates = optimizer_rates(&config.optimizer, scale * config.optimizer.lr, t);
    rates[rate::LEARNING] = 1.0;
    rates[rate::KL_WEIGHT] = kl_weight(&config.objective, t);
    rates[rate::CAPACITY] = capacity(&config.objective, t);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn course(rate: usize, ts: &[u64], set: fn(&mut ObjectiveConfig)) -> Vec<f64> {
        let mut config = Config::default();
        set(&mut config.objective);
        ts.iter().map(|&t| rates(&config, 1.0, t, 128)[rate]).collect()
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
}
