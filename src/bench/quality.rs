//! The time that training takes to reach a test loss.

use std::time::{Duration, Instant};

use crate::bench::timed;
use crate::config::Config;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::session::Device;
use crate::train::Trainer;

/// How training came out.
#[derive(Clone, Copy, Debug)]
pub struct Quality {
    /// Whether the test loss came to the target.
    pub reached: bool,
    /// Epochs that were trained.
    pub epochs: usize,
    /// The last test loss, in nats per image, with a sampled z.
    pub loss: f64,
    /// The time of the training steps alone.
    pub training: Duration,
    /// All of it: also plan, upload, pipelines and evaluations.
    pub total: Duration,
}

/// Trains until the test loss, evaluated after each epoch, is at or below `target` nats per image,
/// but no longer than the configuration's epochs. `after` hears of each epoch and its test loss.
///
/// # Errors
///
/// As [`Trainer::new`] and [`Trainer::advance`], or if the target is not a number.
pub fn to_loss(
    device: &Device,
    config: &Config,
    (train, test): (&Dataset, &Dataset),
    target: f64,
    mut after: impl FnMut(usize, f64),
) -> Result<Quality> {
    if !target.is_finite() {
        return Err(Error::config(format!("`to-loss` is {target}; it must be a number"))
            .hint("it is in nats per image: 106 suits the classic model on MNIST"));
    }
    let start = Instant::now();
    let mut trainer = Trainer::new(device, config, train, test)?;
    let (mut training, mut loss, mut epoch) = (Duration::ZERO, f64::INFINITY, 0);
    while loss > target && epoch < config.train.epochs {
        let ((), time) = timed(|| {
            trainer.advance(trainer.steps_per_epoch())?;
            trainer.wait()
        })?;
        training += time;
        epoch += 1;
        loss = trainer.evaluate()?.sampled.loss;
        after(epoch, loss);
    }
    Ok(Quality { reached: loss <= target, epochs: epoch, loss, training, total: start.elapsed() })
}
