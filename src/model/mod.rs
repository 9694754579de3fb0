//! The variational autoencoder: its plan, its parameters and its programs. It records, never runs.

mod draw;
mod fits;
mod hierarchy;
pub(crate) mod likelihood;
mod network;
mod objective;
mod ports;
pub(crate) mod prior;
mod programs;
mod uses;

use std::collections::{BTreeMap, HashSet};

use crate::config::{Config, ImageSize};
use crate::engine::plan::MAX_BINDING_BYTES;
use crate::engine::record::SLOTS;
use crate::engine::reuse::reuse;
use crate::engine::{BufferId, Fusion, PAD, Parameter, Parameters, Plan, Program, Tape, Tensor};
use crate::error::Result;
use crate::kernels::gather::Shard;
use fits::fits;
use programs::{Made, Recorder};

pub use network::{Above, Architecture};
pub use ports::{LevelPorts, Ports};
pub use uses::{Part, Use};

/// The name that Σ −log p(x | z) of a minibatch is reported under, in nats.
pub const RECON: &str = "recon";
/// The name of Σ KL.
pub const KL: &str = "kl";
/// The name of what else is minimised.
pub const EXTRA: &str = "extra";
/// The name of the norm of the gradient as it is stored or used, before clipping: of the sum over the minibatch, or
/// of the mean, by [`Reduction`](crate::config::Reduction). Only what is logged reports it; else nothing is said.
pub const GRADIENT_NORM: &str = "gradient norm";

/// What a model must know of a dataset to make room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataSpec {
    /// The number of images.
    pub images: usize,
    /// The size of an image.
    pub size: ImageSize,
    /// Whether the pixels are bytes, else floats.
    pub bytes: bool,
    /// The most bytes of them that a device holds at once, if they are not to lie there whole.
    pub window: Option<u64>,
}

impl DataSpec {
    /// The numbers of an image.
    #[must_use]
    pub fn pixels(&self) -> usize {
        self.size.len()
    }
}

/// Where ε of a training step comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrainingNoise {
    /// Drawn for each image and step.
    Drawn,
    /// As it stands in [`Ports::eps`], to compare with other frameworks.
    Given,
}

/// A variational autoencoder (Kingma and Welling 2014) as buffers and programs.
///
/// Its plan holds what the programs need that were wanted so far.
#[derive(Clone, Debug)]
pub struct Vae {
    /// Every buffer.
    pub plan: Plan,
    /// The parameters.
    pub parameters: Parameters,
    /// What hosts write and read.
    pub ports: Ports,
    config: Config,
    networks: Architecture,
    size: ImageSize,
    noise: TrainingNoise,
    programs: BTreeMap<Use, Program>,
}

/// The most bytes of a window: as much goes to a device at once.
const WINDOW: u64 = 8 << 20;

/// Makes room for a dataset, in shards below the largest binding, and for which of so many classes its
/// images are of, if the model is told. A window is one shard of some minibatches.
fn shards(
    plan: &mut Plan,
    name: &str,
    spec: DataSpec,
    (batch, classes): (usize, usize),
) -> Vec<Shard> {
    let stride =
        if spec.bytes { spec.pixels() + classes } else { spec.pixels() }.next_multiple_of(PAD);
    let row_bytes = if spec.bytes { stride } else { 4 * stride };
    // One row of padding less, since a matrix of floats is padded to sixteen rows.
    let most = MAX_BINDING_BYTES as usize / row_bytes / 16 * 16;
    let held = spec.window.map_or(spec.images, |bytes| {
        let most = (bytes.min(WINDOW) / (batch * row_bytes) as u64).clamp(1, SLOTS as u64);
        spec.images.min(most as usize * batch)
    });
    let mut shards = Vec::new();
    for first in (0..held).step_by(most.max(1)) {
        let rows = most.max(1).min(held - first);
        let data = if spec.bytes {
            plan.words(name, rows * stride / 4)
        } else {
            plan.matrix(name, rows, spec.pixels())
        };
        let labels = (classes > 0).then(|| plan.words(&format!("classes of {name}"), rows));
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
        let mut plan = Plan::new().shared();
        let rows = (config.train.part_size(), config.model.classes);
        let train = train.map(|train| shards(&mut plan, "training images", train, rows));
        let images = shards(&mut plan, "test images", test, rows);
        let data = [train.unwrap_or_else(|| images.clone()), images];
        let ports = Ports::new(&mut plan, config, test.pixels(), data);
        let parameters = match config.optimizer.average > 0.0 {
            true => Parameters::averaged(),
            false => Parameters::new(),
        };
        let networks = Architecture::of(&config.model, test.size)?;
        let config = config.clone();
        let programs = BTreeMap::new();
        let size = test.size;
        let mut vae = Self { plan, parameters, ports, config, networks, size, noise, programs };
        // What every model can do; by it the network's parameters and tensors are known.
        let (made, evaluate) = vae.recorder().first();
        let Made { hidden, h, z, made, components, above, up } = made;
        (vae.ports.above, vae.ports.up) = (above, up);
        (vae.ports.hidden, vae.ports.h, vae.ports.components) = (hidden, h, components);
        (vae.ports.z, vae.ports.made) = (z, made);
        evaluate.check(&vae.plan)?;
        vae.programs.insert(Use::Evaluate, evaluate);
        Ok(vae)
    }

    /// The layers of both networks.
    #[must_use]
    pub fn networks(&self) -> &Architecture {
        &self.networks
    }

    fn recorder(&mut self) -> Recorder<'_> {
        Recorder {
            tape: Tape::new(&mut self.plan, &mut self.parameters),
            config: &self.config,
            ports: &self.ports,
            networks: &self.networks,
            size: self.size,
        }
    }

    /// A program of the model, recorded if it was not wanted before; then the plan has room for it, which a
    /// session that was made before must be [told](crate::session::Session::extend).
    ///
    /// # Errors
    ///
    /// If some dispatch is more than every adapter runs.
    pub fn program(&mut self, wanted: Use) -> Result<&Program> {
        if !self.programs.contains_key(&wanted) {
            let noise = self.noise;
            let (mut program, gradients) = self.recorder().record(wanted, noise);
            // By the step that stores everything what broke is named.
            if wanted.learns() && wanted != Use::Step(Fusion::Nothing) {
                self.reuse(&mut program, gradients);
            }
            program.check(&self.plan)?;
            self.programs.insert(wanted, program);
        }
        Ok(&self.programs[&wanted])
    }

    /// Has the gradients that only this program makes take room that it needs no more.
    fn reuse(&mut self, program: &mut Program, mut gradients: Vec<BufferId>) {
        let used: HashSet<_> = self.programs.values().flat_map(Program::buffers).collect();
        gradients.retain(|buffer| !used.contains(buffer));
        let of_parameters = self.parameters.list().iter().flat_map(Parameter::tensors);
        let kept =
            of_parameters.chain(self.ports.tensors()).map(|tensor| tensor.buffer()).collect();
        reuse(&mut self.plan, &mut program.dispatches, gradients, &kept);
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

    /// The values of the decoder's last bias.
    ///
    /// # Panics
    ///
    /// Never: every decoder has a last layer.
    #[must_use]
    pub fn output_bias(&self) -> Tensor {
        let name = format!("{}.bias", self.networks.decoder.last().path);
        self.parameters.named(&name).expect("a decoder has a last layer").value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_that_some_adapter_would_leave_are_refused() {
        let spec = DataSpec { images: 200, size: [1, 4].into(), bytes: true, window: None };
        let mut config = Config::default();
        config.model.latent = 15_000;
        Vae::new(&config, spec, spec).expect("as many turns as every adapter makes");
        config.model.latent = 20_000;
        let error = Vae::new(&config, spec, spec).expect_err("more turns than llvmpipe makes");
        let text = error.to_string();
        // A group of four dimensions turns 17 times: for itself, its words and its four elements.
        assert!(text.contains("`gaussian.draw`") && text.contains("`eps`"), "{text}");
        assert!(text.contains("85017 times"), "{text}");
        let hint = error.advice().expect("a hint");
        assert!(hint.contains("latent"), "{hint}");
    }

    #[test]
    fn large_data_is_split_below_the_largest_binding() {
        for (bytes, images, expected) in
            [(true, 60_000, 1), (true, 200_000, 2), (false, 60_000, 2), (false, 42_799, 2)]
        {
            let mut plan = Plan::new();
            let spec = DataSpec { images, size: [1, 784].into(), bytes, window: None };
            let shards = shards(&mut plan, "images", spec, (100, 10));
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
