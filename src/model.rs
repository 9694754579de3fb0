//! The variational autoencoder: its plan, its parameters and its programs. It records, never runs.

use crate::config::{Activation, Config, Likelihood, Pixels};
use crate::engine::plan::{Dispatch, MAX_BINDING_BYTES};
use crate::engine::{Parameters, Plan, Program, Tape, Tensor};
use crate::error::{Error, Result};
use crate::kernels::bernoulli::bernoulli;
use crate::kernels::common::Steps;
use crate::kernels::finite::{check_finite, guard};
use crate::kernels::gather::{Shard, gather};
use crate::kernels::gaussian::{Noise, gaussian};
use crate::kernels::normal::normal;
use crate::kernels::optimizer::update;
use crate::kernels::random::draw_normals;
use crate::kernels::reduce::{metric_slots, reduce};
use crate::nn::Network;

/// What a model must know of a dataset to make room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataSpec {
    /// The number of images.
    pub images: usize,
    /// Pixels of an image.
    pub pixels: usize,
    /// Whether the pixels are bytes, else floats.
    pub bytes: bool,
}

/// Where ε of a training step comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrainingNoise {
    /// Drawn for each image and step.
    Drawn,
    /// As it stands in [`Vae::eps`], to compare with other frameworks.
    Given,
}

/// The programs of a model; each is a function of its record's number of rows.
#[derive(Clone, Debug)]
pub struct Programs {
    /// A minibatch of the training images: losses, gradients, update.
    pub step: Program,
    /// A minibatch of the test images: losses with sampled z.
    pub evaluate: Program,
    /// A minibatch of the test images: losses at z = μ.
    pub evaluate_at_mean: Program,
    /// z from the prior, decoded.
    pub sample: Program,
}

impl Programs {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> [&Program; 4] {
        [&self.step, &self.evaluate, &self.evaluate_at_mean, &self.sample]
    }
}

/// A variational autoencoder (Kingma and Welling 2014) as buffers and programs.
///
/// Shapes, with n the batch size: `x` and `made` (n, pixels), `h` (n, 2 · latent) = [μ | log σ²],
/// `eps` and `z` (n, latent), `nll` and `kl` (n) in nats per image.
#[derive(Clone, Debug)]
pub struct Vae {
    /// Every buffer.
    pub plan: Plan,
    /// The parameters.
    pub parameters: Parameters,
    /// The tables of records.
    pub steps: Steps,
    /// The metric slots.
    pub metrics: Tensor,
    /// The training images.
    pub train: Vec<Shard>,
    /// The test images.
    pub test: Vec<Shard>,
    /// The minibatch.
    pub x: Tensor,
    /// Mean and log-variance of the posterior.
    pub h: Tensor,
    /// ε.
    pub eps: Tensor,
    /// The latent.
    pub z: Tensor,
    /// What the decoder made: logits, or the mean.
    pub made: Tensor,
    /// −log p(x | z) of each image.
    pub nll: Tensor,
    /// KL divergence of each image.
    pub kl: Tensor,
    /// What it can do.
    pub programs: Programs,
}

/// The names of layers: those of the `PyTorch` example for its own shape, paths for all others.
struct LayerNames {
    encoder: Vec<String>,
    posterior: String,
    /// Mean and log-variance, which are one layer here and two in files.
    halves: [String; 2],
    /// The hidden layers and the last.
    decoder: Vec<String>,
}

impl LayerNames {
    fn of(config: &Config) -> Self {
        let (encoder, decoder) = (config.model.encoder.len(), config.model.decoder.len());
        let all = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        if (encoder, decoder) == (1, 1) {
            return Self {
                encoder: all(&["fc1"]),
                posterior: "fc2".to_owned(),
                halves: ["fc21", "fc22"].map(str::to_owned),
                decoder: all(&["fc3", "fc4"]),
            };
        }
        let numbered = |path: &str, count| (0..count).map(|i| format!("{path}.{i}")).collect();
        Self {
            encoder: numbered("encoder", encoder),
            posterior: "posterior".to_owned(),
            halves: ["posterior.mean", "posterior.log_var"].map(str::to_owned),
            decoder: numbered("decoder", decoder + 1),
        }
    }
}

/// Makes room for a dataset, in shards below the largest binding.
fn shards(plan: &mut Plan, name: &str, spec: DataSpec) -> Vec<Shard> {
    let stride = spec.pixels.next_multiple_of(crate::engine::PAD);
    let row_bytes = if spec.bytes { stride } else { 4 * stride };
    // One row of padding less, since a matrix of floats is padded to sixteen rows.
    let most = MAX_BINDING_BYTES as usize / row_bytes / 16 * 16;
    let mut shards = Vec::new();
    for first in (0..spec.images).step_by(most.max(1)) {
        let rows = most.max(1).min(spec.images - first);
        let data = if spec.bytes {
            plan.words(name, rows * stride / 4)
        } else {
            plan.matrix(name, rows, spec.pixels)
        };
        shards.push(Shard { data, first, rows });
    }
    shards
}

impl Vae {
    /// Records a model for two datasets of the same shape.
    ///
    /// # Errors
    ///
    /// If the configuration is not valid, or the data does not fit it.
    pub fn new(config: &Config, train: DataSpec, test: DataSpec) -> Result<Self> {
        Self::with_noise(config, train, test, TrainingNoise::Drawn)
    }

    /// Records a model whose training steps take ε from where it says.
    ///
    /// # Errors
    ///
    /// If the configuration is not valid, or the data does not fit it.
    pub fn with_noise(
        config: &Config,
        train: DataSpec,
        test: DataSpec,
        noise: TrainingNoise,
    ) -> Result<Self> {
        config.validate()?;
        fits(config, train, test)?;
        let (batch, latent) = (config.train.batch_size, config.model.latent);
        let mut plan = Plan::new();
        let steps = Steps::new(&mut plan);
        let (metrics, guard) = (metric_slots(&mut plan), guard(&mut plan));
        let pixels = test.pixels;
        let train = shards(&mut plan, "training images", train);
        let test = shards(&mut plan, "test images", test);
        let x = plan.matrix("x", batch, pixels);
        let image = plan.words("image", batch);
        let eps = plan.matrix("eps", batch, latent);
        let at_mean = plan.matrix("eps at the mean", batch, latent);
        let z = plan.matrix("z", batch, latent);
        let (kl, nll) = (plan.vector("kl", batch), plan.vector("nll", batch));
        let drawn = Noise::Drawn { image };
        let training = if noise == TrainingNoise::Given { Noise::Given } else { drawn };

        let mut parameters = Parameters::new();
        let mut tape = Tape::new(&mut plan);
        let names = LayerNames::of(config);
        let h = encoder(&mut tape, &mut parameters, config, &names, x);
        let encoder = tape.take();
        gaussian(&mut tape, steps, training, h, (eps, z, kl));
        let posterior = tape.take();
        let made = decoder(&mut tape, &mut parameters, config, &names, (z, pixels));
        let decoder = tape.take();
        likelihood(&mut tape, config, steps, (made, x), nll);
        let likelihood = tape.take();
        tape.backward();
        let arenas = parameters.arenas(tape.plan);
        for arena in &arenas {
            check_finite(&mut tape, arena.grads, (nll, kl), guard);
        }
        update(&mut tape, &config.optimizer, steps, &arenas, guard);
        let learning = tape.take();
        reduce(&mut tape, steps, (nll, kl), guard, metrics);
        let end = tape.take();

        // What only looks has a tape of its own: its rules for the way back are not wanted.
        let mut tape = Tape::new(&mut plan);
        let binarise = config.train.pixels == Pixels::Binarised;
        gather(&mut tape, steps, &train, binarise, (x, image));
        let gather_train = tape.take();
        gather(&mut tape, steps, &test, binarise, (x, image));
        let gather_test = tape.take();
        gaussian(&mut tape, steps, Noise::Given, h, (at_mean, z, kl));
        let posterior_mean = tape.take();
        gaussian(&mut tape, steps, drawn, h, (eps, z, kl));
        let posterior_drawn = tape.take();
        draw_normals(&mut tape, steps, z);
        let prior = tape.take();

        let step: [&[Dispatch]; 7] =
            [&gather_train, &encoder, &posterior, &decoder, &likelihood, &learning, &end];
        let look = |name: &str, sample: &Vec<Dispatch>| {
            Program::new(name, &[&gather_test, &encoder, sample, &decoder, &likelihood, &end])
        };
        let programs = Programs {
            step: Program::new("step", &step),
            evaluate: look("evaluate", &posterior_drawn),
            evaluate_at_mean: look("evaluate at the mean", &posterior_mean),
            sample: Program::new("sample", &[&prior, &decoder, &end]),
        };
        Ok(Self {
            plan,
            parameters,
            steps,
            metrics,
            train,
            test,
            x,
            h,
            eps,
            z,
            made,
            nll,
            kl,
            programs,
        })
    }
}

/// Records h (n, 2 · latent) = [μ | log σ²] of x.
fn encoder(
    tape: &mut Tape<'_>,
    parameters: &mut Parameters,
    config: &Config,
    names: &LayerNames,
    x: Tensor,
) -> Tensor {
    let mut network = Network { tape, parameters };
    let (hidden, latent) = (config.model.activation, config.model.latent);
    let mut top = (x, false);
    for (name, &units) in names.encoder.iter().zip(&config.model.encoder) {
        top = (network.layer(name, top, units, hidden, &[]), true);
    }
    let [mean, log_var] = &names.halves;
    let halves = [(mean.as_str(), latent), (log_var.as_str(), latent)];
    network.layer(&names.posterior, top, 2 * latent, Activation::Identity, &halves)
}

/// Records what the decoder makes of z: logits, or means, of so many pixels.
fn decoder(
    tape: &mut Tape<'_>,
    parameters: &mut Parameters,
    config: &Config,
    names: &LayerNames,
    (z, pixels): (Tensor, usize),
) -> Tensor {
    let mut network = Network { tape, parameters };
    let hidden = config.model.activation;
    let mut top = (z, true);
    for (name, &units) in names.decoder.iter().zip(&config.model.decoder) {
        top = (network.layer(name, top, units, hidden, &[]), true);
    }
    let last = &names.decoder[names.decoder.len() - 1];
    network.layer(last, top, pixels, Activation::Identity, &[])
}

/// Records nll (n), and the gradient at what the decoder made.
fn likelihood(
    tape: &mut Tape<'_>,
    config: &Config,
    steps: Steps,
    (made, x): (Tensor, Tensor),
    nll: Tensor,
) {
    match config.model.likelihood {
        Likelihood::Bernoulli => bernoulli(tape, steps, made, x, nll),
        Likelihood::Normal => normal(tape, steps, config.model.sigma, (made, x), nll),
    }
}

/// Judges the data against the configuration.
fn fits(config: &Config, train: DataSpec, test: DataSpec) -> Result<()> {
    let batch = config.train.batch_size;
    if train.images == 0 || test.images == 0 || train.pixels == 0 {
        return Err(Error::config("a dataset without images or pixels cannot be trained on"));
    }
    if train.pixels != test.pixels {
        let (a, b) = (train.pixels, test.pixels);
        return Err(Error::config(format!("training images have {a} pixels, test images {b}")));
    }
    if batch > train.images {
        let what = format!("`batch-size` is {batch}, but there are {} images", train.images);
        return Err(Error::config(what).hint("choose a batch no larger than the training set"));
    }
    let most = crate::config::MOST;
    if train.pixels > most || train.images.max(test.images) > u32::MAX as usize / 2 {
        let what = format!("{} images of {} pixels", train.images, train.pixels);
        return Err(Error::config(format!("{what} are too many; {most} pixels are the most")));
    }
    Ok(())
}
