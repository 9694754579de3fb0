//! What a step is told of learning: the rates of its record.

use crate::config::{Config, Reduction};
use crate::engine::record::{RATES, rate};
use crate::kernels::common::optimizer_rates;

/// The rates of training step `t`, counted from one, on a minibatch of so many images; the learning
/// rate is multiplied by `scale`.
#[must_use]
pub fn rates(config: &Config, scale: f64, t: u64, rows: usize) -> [f64; RATES] {
    let mut rates = optimizer_rates(&config.optimizer, scale * config.optimizer.lr, t);
    rates[rate::LEARNING] = 1.0;
    rates[rate::KL_WEIGHT] = config.objective.beta;
    rates[rate::LOSS_SCALE] = match config.objective.reduction {
        Reduction::Sum => 1.0,
        Reduction::Mean => 1.0 / rows as f64,
    };
    rates
}
