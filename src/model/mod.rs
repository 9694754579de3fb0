//! The variational autoencoder: its plan, its parameters and its programs. It records, never runs.

pub(crate) mod likelihood;
mod network;
mod objective;
mod sections;

use crate::config::Config;
use crate::engine::plan::MAX_BINDING_BYTES;
use crate::engine::{PAD, Parameter, Parameters, Plan, Program, ReportSpec, Tensor};
use crate::error::{Error, Result};
use crate::kernels::gather::Shard;
use sections::{Room, Sections};

/// The name that Σ −log p(x | z) of a minibatch is reported under, in nats.
pub const RECON: &str = "recon";
/// The name of Σ KL.
pub const KL: &str = "kl";
/// The name of what else is minimised.
pub const EXTRA: &str = "extra";

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
    /// A minibatch of the training images: losses, gradients, update; as recorded, so that every
    /// activation and every gradient is stored.
    pub step: Program,
    /// The same step as the CPU session trains by: the update is fused with the gradients.
    pub cpu_step: Program,
    /// The same step as a GPU trains by: whatever can be fused is.
    pub gpu_step: Program,
    /// The parts of a step whose minibatch is not computed at once, as recorded: the first stores
    /// gradients, those in the middle add to them, the last adds and updates.
    pub parts: Option<[Program; 3]>,
    /// A minibatch of the test images: losses with sampled z.
    pub evaluate: Program,
    /// A minibatch of the test images: losses at z = μ.
    pub evaluate_at_mean: Program,
    /// A minibatch of the test images: their posteriors, and one z of each.
    pub encode: Program,
    /// One more z of the posteriors that were encoded: its importance weights, which a point has not.
    pub weigh: Program,
    /// z from the prior.
    pub prior: Program,
    /// z decoded.
    pub decode: Program,
}

impl Programs {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<&Program> {
        let Self { step, cpu_step, gpu_step, evaluate, evaluate_at_mean, .. } = self;
        let Self { encode, weigh, prior, decode, .. } = self;
        let steps = [gpu_step, cpu_step, step].into_iter().chain(self.parts.iter().flatten());
        steps.chain([evaluate, evaluate_at_mean, encode, weigh, prior, decode]).collect()
    }

    /// Has all that only look use the averages of the parameters, where there are any.
    fn look_at_averages(&mut self, parameters: &Parameters) {
        let Self { evaluate, evaluate_at_mean, encode, weigh, prior, decode, .. } = self;
        for program in [evaluate, evaluate_at_mean, encode, weigh, prior, decode] {
            for tensor in program.dispatches.iter_mut().flat_map(|d| &mut d.bindings) {
                *tensor = parameters.average_of(*tensor).unwrap_or(*tensor);
            }
        }
    }
}

/// A variational autoencoder (Kingma and Welling 2014) as buffers and programs.
///
/// Shapes, with n the images that are computed at once and s the z's of each: `x` (n, pixels),
/// `h` (n, 2 · latent) = [μ | log σ²], `eps` and `z` (n · s, latent) and `made` (n · s, outputs · pixels), by
/// [`Likelihood::outputs`](crate::config::Likelihood::outputs), image by image; `kl` (n) and `nll` (n · s)
/// in nats. Of a plain autoencoder `h` (n, latent) is `z`, and `kl` is zero.
#[derive(Clone, Debug)]
pub struct Vae {
    /// Every buffer.
    pub plan: Plan,
    /// The parameters.
    pub parameters: Parameters,
    /// What its programs report: [`RECON`], [`KL`] and, where they learn, [`EXTRA`].
    pub reports: ReportSpec,
    /// The training images.
    pub train: Vec<Shard>,
    /// The test images.
    pub test: Vec<Shard>,
    /// The minibatch.
    pub x: Tensor,
    /// Which images of the dataset the minibatch is.
    pub image: Tensor,
    /// The class of each image of the minibatch, if the model is told.
    pub label: Option<Tensor>,
    /// Mean and log-variance of the posterior, or the point.
    pub h: Tensor,
    /// ε.
    pub eps: Tensor,
    /// The latent.
    pub z: Tensor,
    /// What the decoder made: blocks of all pixels, logits or locations first.
    pub made: Tensor,
    /// The decoder's last bias.
    pub output_bias: Tensor,
    /// −log p(x | z) of each z.
    pub nll: Tensor,
    /// KL divergence of each image.
    pub kl: Tensor,
    /// What else is minimised, of each image.
    pub extra: Tensor,
    /// The largest logarithm of an importance weight of each image.
    pub highest: Tensor,
    /// The sum of each image's importance weights over the exponential of `highest`.
    pub total: Tensor,
    /// What it can do.
    pub programs: Programs,
}

/// The most shards of a dataset: 128 GiB.
const MOST_SHARDS: u128 = 1024;

/// Makes room for a dataset, in shards below the largest binding, and for its classes if the model is
/// told them.
fn shards(plan: &mut Plan, name: &str, spec: DataSpec, labelled: bool) -> Vec<Shard> {
    let stride = spec.pixels.next_multiple_of(PAD);
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
        let labels = labelled.then(|| plan.words(&format!("classes of {name}"), rows));
        shards.push(Shard { data, labels, first, rows });
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

    /// Records a model that is used and not trained: if it were, it would be on the images that it looks
    /// at.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn to_use(config: &Config, data: DataSpec) -> Result<Self> {
        // It has one set of parameters, and no gradients to add.
        let mut config = config.clone();
        (config.optimizer.average, config.train.accumulate) = (0.0, 1);
        Self::record(&config, None, data, TrainingNoise::Drawn)
    }

    /// What a tensor is, in words: a parameter, the gradient of one, or its buffer's name.
    #[must_use]
    pub fn describe(&self, tensor: Tensor) -> String {
        let list = self.parameters.list();
        let owner = |of: fn(&Parameter) -> Tensor| list.iter().find(|&p| of(p) == tensor);
        match (owner(|p| p.value), owner(|p| p.grad)) {
            (Some(parameter), _) => parameter.name.clone(),
            (_, Some(parameter)) => format!("the gradient of {}", parameter.name),
            _ => self.plan.name(tensor).to_owned(),
        }
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
        Self::record(config, Some(train), test, noise)
    }

    fn record(
        config: &Config,
        train: Option<DataSpec>,
        test: DataSpec,
        noise: TrainingNoise,
    ) -> Result<Self> {
        config.validate()?;
        fits(config, train.unwrap_or(test), test)?;
        let pixels = test.pixels;
        let mut plan = Plan::new();
        let room = Room::new(&mut plan, config, pixels);
        let labelled = config.model.classes > 0;
        let train = train.map(|train| shards(&mut plan, "training images", train, labelled));
        let test = shards(&mut plan, "test images", test, labelled);
        let train = train.unwrap_or_else(|| test.clone());
        let mut parameters = Parameters::new();
        let network = Sections::record(&mut plan, &mut parameters, config, &room, noise, pixels);
        let mut programs = network.programs(&mut plan, config, &room, (&train, &test));
        programs.look_at_averages(&parameters);
        let Sections { h, z, made, output_bias, .. } = network;
        let Room { reports, x, image, label, eps, nll, kl, extra, highest, total, .. } = room;
        Ok(Self {
            plan,
            parameters,
            reports,
            train,
            test,
            x,
            image,
            label,
            h,
            eps,
            z,
            made,
            output_bias,
            nll,
            kl,
            extra,
            highest,
            total,
            programs,
        })
    }
}

/// Judges the data against the configuration.
fn fits(config: &Config, train: DataSpec, test: DataSpec) -> Result<()> {
    let batch = config.train.batch_size;
    if train.images == 0 || test.images == 0 || train.pixels == 0 {
        return Err(Error::config("a dataset without images or pixels cannot be trained on")
            .hint("give at least one image to train on and one to test"));
    }
    if train.pixels != test.pixels {
        let (a, b) = (train.pixels, test.pixels);
        return Err(Error::config(format!("training images have {a} pixels, test images {b}"))
            .hint("both must be of one size"));
    }
    if batch > train.images {
        let what = format!("`batch-size` is {batch}, but there are {} images", train.images);
        return Err(Error::config(what).hint("choose a batch no larger than the training set"));
    }
    let most = crate::config::MOST;
    if train.pixels > most || train.images.max(test.images) > u32::MAX as usize / 2 {
        let what = format!("{} images of {} pixels", train.images, train.pixels);
        return Err(Error::config(format!("{what} are too many; {most} pixels are the most"))
            .hint("train on a part of the data, or on smaller images"));
    }
    // What is computed at once.
    let part = config.train.part_size();
    let rows = part.saturating_mul(config.objective.z_per_image());
    if rows > most {
        let what = format!("a batch of {part} images with {} z's each", rows / part);
        return Err(Error::config(format!("{what} has {rows} rows; {most} are the most")).hint(
            "choose a smaller batch, fewer `samples` or less `importance`, or more parts \
             (`accumulate`)",
        ));
    }
    for spec in [train, test] {
        let bytes = spec.images as u128 * 4u128.pow(u32::from(!spec.bytes)) * spec.pixels as u128;
        if bytes > u128::from(MAX_BINDING_BYTES) * MOST_SHARDS {
            let what = format!("{} images of {} pixels", spec.images, spec.pixels);
            return Err(Error::config(format!("{what} take {bytes} bytes, which no device holds"))
                .hint("train on a part of the data, or on smaller images"));
        }
    }
    // Every matrix is counted with 32 bits, those of activations as those of weights.
    let (model, pixels) = (&config.model, train.pixels);
    let ends = |first, middle: &[usize], last| [&[first], middle, &[last]].concat();
    let made = model.likelihood.outputs(model) * pixels;
    let encoder = ends(pixels + model.classes, &model.encoder, 2 * model.latent);
    let decoder = ends(model.latent + model.classes, &model.decoder, made);
    let pairs = if config.objective.pairs() { vec![1, part] } else { Vec::new() };
    for (widths, batch) in [(encoder, part), (decoder, rows), (pairs, part)] {
        for (&inputs, &outputs) in widths.iter().zip(widths.iter().skip(1)) {
            // What a batch has of the first layer's inputs is the pixels, or z.
            for (what, rows, outputs) in
                [("layer", inputs, outputs), ("batch", batch, inputs), ("batch", batch, outputs)]
            {
                if rows.next_multiple_of(PAD) * outputs.next_multiple_of(PAD) >= 1 << 31 {
                    let what = format!("a {what} of {rows} × {outputs} has 2³¹ elements or more");
                    return Err(Error::config(what)
                        .hint("choose smaller layers or batches, or more parts (`accumulate`)"));
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_rows_than_a_device_counts_are_refused() {
        let spec = DataSpec { images: 1000, pixels: 4, bytes: true };
        let mut config = Config::default();
        (config.train.batch_size, config.objective.samples) = (250, 4000);
        Vae::new(&config, spec, spec).expect("a million rows");
        config.objective.samples = 4001;
        let error = Vae::new(&config, spec, spec).expect_err("more than a million");
        assert!(error.to_string().contains("4001 z's each has 1000250 rows"), "{error}");
        let mut parts = config.clone();
        parts.train.accumulate = 2;
        Vae::new(&parts, spec, spec).expect("half as many rows at once");
        // z alone may be too large for 32 bits, whatever the layers are.
        (config.objective.samples, config.model.latent) = (4000, 3000);
        let error = Vae::new(&config, spec, spec).expect_err("a z of 3·10⁹ elements");
        assert!(error.to_string().contains("2³¹ elements"), "{error}");
    }

    #[test]
    fn large_data_is_split_below_the_largest_binding() {
        for (bytes, images, expected) in
            [(true, 60_000, 1), (true, 200_000, 2), (false, 60_000, 2), (false, 42_799, 2)]
        {
            let mut plan = Plan::new();
            let spec = DataSpec { images, pixels: 784, bytes };
            let shards = shards(&mut plan, "images", spec, true);
            assert_eq!(shards.len(), expected, "{images} images, bytes {bytes}");
            let mut next = 0;
            for shard in shards {
                assert_eq!(shard.first, next, "shards follow one another");
                assert!(4 * shard.data.words() as u64 <= MAX_BINDING_BYTES, "{shard:?}");
                assert_eq!(shard.labels.map(|l| l.cols()), Some(shard.rows), "a class each");
                next += shard.rows;
            }
            assert_eq!(next, images, "every image is in a shard");
        }
    }
}
