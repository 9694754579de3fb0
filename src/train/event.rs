//! What a trainer tells of single steps: the numbers of those that are logged, and what broke.

use crate::engine::{Record, rate};
use crate::metrics::{Losses, Sums};
use crate::train::{Broken, Trainer};

/// The most events that are kept for nobody; of more, the newest are.
pub const UNTAKEN: usize = 65_536;

/// What came of a training step that is [logged](crate::config::TrainConfig::log_every): means over the images of its
/// minibatch, in nats per image, before its update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The step, counted from one.
    pub step: u64,
    /// The epoch that it is of, counted from one.
    pub epoch: u64,
    /// The mean losses.
    pub losses: Losses,
    /// The mean of what is minimised: reconstruction, weighted KL, and what else the objective has.
    pub objective: f64,
    /// The learning rate, by its schedule.
    pub learning_rate: f64,
    /// The weight of the KL, β as far as it has risen.
    pub kl_weight: f64,
    /// ‖∇‖, the L2 norm of the gradient of `objective` by all parameters together, before clipping or normalising and
    /// without weight decay. With [`Reduction::Sum`](crate::config::Reduction) the optimiser gets, and `clip_norm` limits, as many
    /// times this as the minibatch has images.
    pub gradient_norm: f64,
}

impl Step {
    /// What a step reported, whose last part has this record, and the norm of its gradient.
    pub(super) fn new(record: &Record, sums: &Sums, norm: f64) -> Self {
        Self {
            step: u64::from(record.step) + 1,
            epoch: u64::from(record.epoch) + 1,
            losses: sums.losses(),
            objective: sums.objective(),
            learning_rate: record.rates[rate::RATE],
            kl_weight: record.rates[rate::KL_WEIGHT],
            gradient_norm: norm / (record.rates[rate::LOSS_SCALE] * sums.images() as f64),
        }
    }
}

/// What a trainer has to tell of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// It is logged.
    Step(Step),
    /// Its numbers broke, and training survived.
    Broken(Broken),
}

impl Trainer {
    /// What there is to tell since the last call of the steps that have reported, in its order. Of what nobody takes
    /// the newest [`UNTAKEN`] are kept.
    ///
    /// ```
    /// use elbo::train::Event;
    /// use elbo::{Config, Dataset, Device, Trainer};
    ///
    /// let (train, test) = (Dataset::synthetic(256, [8, 8], 1)?, Dataset::synthetic(64, [8, 8], 2)?);
    /// let mut config = Config::default();
    /// (config.model.latent, config.train.batch_size, config.train.log_every) = (4, 32, 2);
    /// let mut trainer = Trainer::new(&Device::Cpu(0), &config, &train, &test)?;
    /// trainer.advance(6)?;
    /// trainer.wait()?;
    /// let mut logged = Vec::new();
    /// for event in trainer.take_events() {
    ///     match event {
    ///         Event::Step(step) => {
    ///             println!("{}: {:.2}, ‖∇‖ {:.2}", step.step, step.objective, step.gradient_norm);
    ///             logged.push(step.step);
    ///         }
    ///         Event::Broken(broken) => println!("{}: {}", broken.step, broken.what),
    ///     }
    /// }
    /// assert_eq!(logged, [2, 4, 6]);
    /// # Ok::<(), elbo::Error>(())
    /// ```
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events).into()
    }

    pub(super) fn tell(&mut self, event: Event) {
        if self.events.len() == UNTAKEN {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}
