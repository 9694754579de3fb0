//! The trainer: steps are queued, and reports come back when they do.

// First, so that rustdoc lists it first: methods come in the order of modules.
mod new;

mod broken;
mod diagnosis;
mod event;
mod looks;
mod parts;
mod queue;
mod state;

use std::collections::VecDeque;

use crate::checkpoint::{State, Trained};
use crate::config::{Config, ImageSize, NonFinite};
use crate::engine::record::{Record, SLOTS, rate};
use crate::engine::{Fusion, Init, Program, Tensor};
use crate::error::Result;
use crate::evaluate::{Model, stream};
use crate::kernels::random::{initial_normal, initial_uniform};
use crate::metrics::{Losses, Sums};
use crate::model::{Use, Vae};
use crate::optim::{At, rates};
use crate::session::{Device, Session};

pub use broken::{Broken, Way};
pub use diagnosis::{Diagnosis, scale_is_far};
pub use event::{Event, Step, UNTAKEN};
use parts::Pending;

/// What a training step on a device is. One that may have to be left out is not fused: there every
/// gradient is judged before the first weight changes. Nor is one that may come in parts, whose
/// gradients are stored.
fn step_of(device: &Device, config: &Config) -> Use {
    Use::Step(match device {
        _ if config.train.non_finite == NonFinite::Skip => Fusion::Nothing,
        _ if config.train.accumulate > 1 => Fusion::Nothing,
        Device::Cpu(_) => Fusion::Updates,
        Device::Gpu(_) => Fusion::All,
    })
}

fn steps_per_epoch(config: &Config, images: usize) -> u64 {
    images.div_ceil(config.train.batch_size) as u64
}

/// The record of a training step, counted from zero, on so many images; the learning rate is
/// multiplied by `scale`.
fn record_of(config: &Config, images: usize, scale: f64, step: u64) -> Record {
    let steps = steps_per_epoch(config, images);
    let (epoch, position) = (step / steps, step % steps);
    let batch = config.train.batch_size;
    let first = position as usize * batch;
    let rows = batch.min(images - first);
    Record {
        first: first as u32,
        rows: rows as u32,
        step: step as u32,
        epoch: epoch as u32,
        images: images as u32,
        shuffle: true,
        window: None,
        stream: stream::TRAIN,
        seed: config.train.seed,
        rates: rates(config, At { step: step + 1, per_epoch: steps, scale }, rows),
    }
}

/// Trains a variational autoencoder on a device.
///
/// ```
/// use elbo::{Config, Dataset, Device, Trainer};
///
/// let (train, test) = (Dataset::synthetic(256, [8, 8], 1)?, Dataset::synthetic(64, [8, 8], 2)?);
/// let mut config = Config::default();
/// (config.model.encoder, config.model.decoder) = ([32].into(), [32].into());
/// (config.model.latent, config.train.batch_size) = (4, 32);
/// let mut trainer = Trainer::new(&Device::Cpu(0), &config, &train, &test)?;
/// for epoch in 1..=3 {
///     trainer.advance(trainer.steps_per_epoch())?;
///     // The mean losses of the epoch's steps, and those on the test images.
///     let (trained, tested) = (trainer.finish()?, trainer.evaluate()?.sampled);
///     println!("epoch {epoch}: {:.2} to train, {:.2} to test", trained.loss, tested.loss);
/// }
/// // What it has learned can be asked for at any time.
/// let sixteen_images = trainer.model()?.sample(16, 1.0)?;
/// assert_eq!(sixteen_images.len(), 16 * 64);
/// # Ok::<(), elbo::Error>(())
/// ```
#[derive(Debug)]
pub struct Trainer {
    pub(crate) model: Model,
    /// What a training step is.
    pub(crate) step_use: Use,
    images: usize,
    /// The loss of the best model that makes the same of every image, where it has a closed form.
    constant: Option<f64>,
    /// The deviation of pixels, the root of their mean variance.
    deviation: f64,
    schedules: &'static str,
    /// What computes, for whom its bits matter.
    device: String,
    /// The fingerprints of the training and the test images, as far as the model is told of them.
    data: [String; 2],
    /// How far training is: steps that were queued, and what came of those that reported.
    pub(crate) trained: Trained,
    /// The step that training is on its way to.
    target: u64,
    /// Steps, or parts of them, whose reports have not come back.
    pending: VecDeque<Pending>,
    /// What the parts of the step under way have reported.
    under_way: Sums,
    /// What there is to tell since it was last asked for.
    events: VecDeque<Event>,
    /// The last good state, if training goes back to it when the numbers break, and how often it has.
    good: Option<(Box<State>, u32)>,
}

impl Trainer {
    /// The model's plan, parameters and programs.
    #[must_use]
    pub fn vae(&self) -> &Vae {
        &self.model.vae
    }

    /// The program of a training step, where it does not come in parts.
    ///
    /// # Errors
    ///
    /// None: it was recorded when the trainer was made.
    pub fn program(&mut self) -> Result<&Program> {
        self.model.vae.program(self.step_use)
    }

    /// What the schedules of a training step were chosen by: `measured` by the tuner, or `rule`.
    #[must_use]
    pub fn schedules(&self) -> &'static str {
        self.schedules
    }

    /// What the bits of its numbers depend on besides the configuration and the data.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.model.config
    }

    /// The size of an image.
    #[must_use]
    pub fn image_size(&self) -> ImageSize {
        self.model.size
    }

    /// The model, to be asked of what it has learned from all steps that were asked for.
    ///
    /// # Errors
    ///
    /// As [`advance`](Self::advance).
    pub fn model(&mut self) -> Result<&mut Model> {
        self.wait()?;
        self.model.step = self.trained.step;
        Ok(&mut self.model)
    }

    /// The session, to read and write tensors of the model.
    pub fn session(&mut self) -> &mut Session {
        &mut self.model.session
    }

    /// How many steps share a submit from now on, from 1 to 64. The results do not depend on it.
    /// Unless it is set, a GPU gets as many as take it 50 ms, by the time that the last ones took.
    pub fn set_steps_per_submit(&mut self, steps: usize) {
        self.model.steps_per_submit = Some(steps.clamp(1, SLOTS));
    }

    /// How many training steps the next submit holds, if so many are asked for. One that comes in parts
    /// takes several submits.
    #[must_use]
    pub fn steps_per_submit(&self) -> usize {
        match self.model.config.train.accumulate {
            1 => self.model.room(self.step_use),
            _ => 1,
        }
    }

    /// Steps in an epoch; the last may have a smaller minibatch.
    #[must_use]
    pub fn steps_per_epoch(&self) -> u64 {
        steps_per_epoch(&self.model.config, self.images)
    }

    /// How far training is.
    #[must_use]
    pub fn trained(&self) -> Trained {
        self.trained
    }

    /// Steps that were queued so far. Fewer than were asked for if the numbers broke and training
    /// went back, until the next call that trains or waits.
    #[must_use]
    pub fn steps_taken(&self) -> u64 {
        self.trained.step
    }

    /// Images that training step `step`, counted from zero, uses.
    #[must_use]
    pub fn images_in_step(&self, step: u64) -> usize {
        self.record(step).rows as usize
    }

    /// The learning rate of the next step, by its schedule.
    #[must_use]
    pub fn learning_rate(&self) -> f64 {
        self.record(self.trained.step).rates[rate::RATE]
    }

    /// The record of a training step, counted from zero.
    pub(crate) fn record(&self, step: u64) -> Record {
        let config = &self.model.config;
        let factor = self.trained.plateau.map_or(1.0, |p| p.factor(&config.optimizer));
        record_of(config, self.images, factor * self.trained.rate_scale, step)
    }

    /// Takes one training step; see [`advance`](Self::advance).
    ///
    /// # Errors
    ///
    /// As `advance`.
    pub fn step(&mut self) -> Result<()> {
        self.advance(1)
    }

    /// Waits for all steps that were asked for, and gives the mean losses since the last call.
    ///
    /// # Errors
    ///
    /// As [`advance`](Self::advance).
    pub fn finish(&mut self) -> Result<Losses> {
        self.wait()?;
        Ok(std::mem::take(&mut self.trained.sums).losses())
    }

    /// The mean of what was minimised, in nats per image, in the steps that have reported since the last
    /// [`finish`](Self::finish).
    #[must_use]
    pub fn objective(&self) -> f64 {
        self.trained.sums.objective()
    }

    /// The mean losses of the steps that have reported since the last [`finish`](Self::finish).
    #[must_use]
    pub fn so_far(&self) -> Losses {
        self.trained.sums.losses()
    }
}

/// The parameters before the first step, a function of the seed; their averages begin there.
pub fn first_values(vae: &Vae, seed: u64) -> Vec<(Tensor, Vec<f32>)> {
    let mut all = Vec::new();
    for (index, parameter) in vae.parameters.list().iter().enumerate() {
        let value = |i| match parameter.init {
            Init::Uniform(bound) => bound * initial_uniform(seed, index, i),
            Init::Normal(deviation) => deviation * initial_normal(seed, index, i),
            Init::Constant(value) => value,
        };
        let values = (0..parameter.len()).map(|i| value(i) as f32).collect();
        let values = parameter.from_file(values);
        all.extend(parameter.average.map(|average| (average, values.clone())));
        all.push((parameter.value, values));
    }
    all
}
