//! What a user can choose: plain values and closed enums, read from TOML, checked in one place.

mod validate;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The smallest and the largest log σ² of a posterior; it is clamped where it is made, and outside
/// these bounds its gradient is zero. They span σ from 3·10⁻⁷ to 2·10⁴.
pub const LOG_VAR_BOUNDS: (f32, f32) = (-30.0, 20.0);

/// The most images in a batch, units in a layer, and epochs.
pub const MOST: usize = 1_000_000;

/// A function applied to each unit of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// x
    Identity,
    /// max(x, 0)
    Relu,
    /// x, or 0.01 x below zero
    LeakyRelu,
    /// tanh x
    Tanh,
    /// σ(x) = 1 / (1 + exp(−x))
    Sigmoid,
    /// log(1 + exp x)
    Softplus,
    /// x σ(x) (Hendrycks and Gimpel 2016)
    Silu,
    /// x Φ(x), with the error function (Hendrycks and Gimpel 2016)
    Gelu,
}

impl Activation {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Identity,
        Self::Relu,
        Self::LeakyRelu,
        Self::Tanh,
        Self::Sigmoid,
        Self::Softplus,
        Self::Silu,
        Self::Gelu,
    ];

    /// The number that shaders know it by.
    #[must_use]
    pub fn code(self) -> u32 {
        self as u32
    }

    /// The name in configurations.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Relu => "relu",
            Self::LeakyRelu => "leaky-relu",
            Self::Tanh => "tanh",
            Self::Sigmoid => "sigmoid",
            Self::Softplus => "softplus",
            Self::Silu => "silu",
            Self::Gelu => "gelu",
        }
    }

    /// Whether the slope can be had from the output alone. Then the activation is part of the
    /// product that makes its input; otherwise the input is kept, and it is a dispatch of its own.
    #[must_use]
    pub fn slope_from_output(self) -> bool {
        !matches!(self, Self::Silu | Self::Gelu)
    }
}

/// p(x | z): how the decoder's output is compared with the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Likelihood {
    /// Each pixel is a coin with the decoder's logit; grey pixels are soft targets.
    Bernoulli,
    /// Each pixel is normal round the decoder's output, with the fixed deviation `sigma`.
    Normal,
}

/// How the pixels of a file become the numbers that are modelled. Results of different protocols
/// must not be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pixels {
    /// byte / 255, used as it is.
    Grey,
    /// A coin with that probability, tossed anew each time the image is used.
    Binarised,
}

/// What of a batch is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reduction {
    /// The sum over the images, as the PyTorch example does.
    Sum,
    /// The mean over the images.
    Mean,
}

/// The update rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Adam (Kingma and Ba 2015); `weight-decay` is added to the gradient.
    Adam,
    /// Adam with `weight-decay` apart from the gradient (Loshchilov and Hutter 2019).
    Adamw,
    /// Stochastic gradient descent with `momentum`.
    Sgd,
}

/// What is done when a loss, a gradient or a weight stops being a finite number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NonFinite {
    /// Training ends with an error that names the step and the tensor.
    Stop,
    /// The step is left out, and training goes on with the next.
    Skip,
    /// Training goes back to the last state with finite test losses, or to where it began or was
    /// resumed, and on from there with half the learning rate.
    RollBack,
}

/// The network and its distributions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ModelConfig {
    /// Units of the encoder's hidden layers, from the image on.
    pub encoder: Vec<usize>,
    /// Dimensions of z.
    pub latent: usize,
    /// Units of the decoder's hidden layers, from z on.
    pub decoder: Vec<usize>,
    /// The activation of the hidden layers.
    pub activation: Activation,
    /// p(x | z).
    pub likelihood: Likelihood,
    /// The deviation of the normal likelihood.
    pub sigma: f64,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            encoder: vec![400],
            latent: 20,
            decoder: vec![400],
            activation: Activation::Relu,
            likelihood: Likelihood::Bernoulli,
            sigma: 1.0,
        }
    }
}

/// What is minimised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ObjectiveConfig {
    /// The weight of the KL divergence (Higgins et al. 2017); 1 is the ELBO.
    pub beta: f64,
    /// Sum or mean over the batch.
    pub reduction: Reduction,
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self { beta: 1.0, reduction: Reduction::Sum }
    }
}

/// How the parameters follow their gradients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct OptimizerConfig {
    /// The update rule.
    pub rule: Rule,
    /// The learning rate.
    pub lr: f64,
    /// Decay of Adam's first moment.
    pub beta1: f64,
    /// Decay of Adam's second moment.
    pub beta2: f64,
    /// What Adam adds to the root of the second moment.
    pub epsilon: f64,
    /// Weight decay, L2 or apart by the rule.
    pub weight_decay: f64,
    /// Momentum of `sgd`.
    pub momentum: f64,
    /// Whether `sgd` looks ahead (Nesterov).
    pub nesterov: bool,
    /// The gradients' norm is scaled down to this; 0 leaves it as it is.
    pub clip_norm: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            rule: Rule::Adam,
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            momentum: 0.0,
            nesterov: false,
            clip_norm: 0.0,
        }
    }
}

/// The most bytes of a configuration; a whole one has a hundredth of that.
pub const MOST_TOML: usize = 256 << 10;

/// The data and how long to train on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TrainConfig {
    /// The images, as [`Dataset::open`](crate::Dataset::open) reads them; if there are none, they
    /// are looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// The images to test on, where `data` does not hold them too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_data: Option<PathBuf>,
    /// Passes over the training images.
    pub epochs: usize,
    /// Images in a minibatch.
    pub batch_size: usize,
    /// The seed of everything random.
    pub seed: u64,
    /// Grey or binarised.
    pub pixels: Pixels,
    /// Stops after so many steps; 0 is no limit.
    pub max_steps: u64,
    /// Uses only the first so many training images; 0 uses them all.
    pub limit: usize,
    /// Stops after so many epochs without a lower test loss; 0 never does.
    pub patience: u64,
    /// What is done when the numbers break.
    pub non_finite: NonFinite,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            data: None,
            test_data: None,
            epochs: 10,
            batch_size: 128,
            seed: 1,
            pixels: Pixels::Grey,
            max_steps: 0,
            limit: 0,
            patience: 0,
            non_finite: NonFinite::Stop,
        }
    }
}

/// Everything that decides the numbers of a run. The default is the classic VAE of the PyTorch
/// example: 784-400-20 on grey MNIST, batch 128, Adam 10⁻³ on the sum over the batch, 10 epochs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The network and its distributions.
    pub model: ModelConfig,
    /// What is minimised.
    pub objective: ObjectiveConfig,
    /// How the parameters follow their gradients.
    pub optimizer: OptimizerConfig,
    /// The data and how long to train on it.
    pub train: TrainConfig,
}

/// The names of the presets.
pub const PRESETS: [&str; 2] = ["classic", "big"];

impl Config {
    /// A preset by name: `classic` is the default; `big` is 784-2048-2048-64 with batch 512, a load
    /// for benchmarks.
    ///
    /// # Errors
    ///
    /// If there is no preset of that name.
    pub fn preset(name: &str) -> Result<Self> {
        match name {
            "classic" => Ok(Self::default()),
            "big" => Ok(Self {
                model: ModelConfig {
                    encoder: vec![2048, 2048],
                    latent: 64,
                    decoder: vec![2048, 2048],
                    ..ModelConfig::default()
                },
                optimizer: OptimizerConfig { lr: 1e-4, ..OptimizerConfig::default() },
                train: TrainConfig { batch_size: 512, ..TrainConfig::default() },
                ..Self::default()
            }),
            _ => Err(Error::config(format!("there is no preset `{name}`"))
                .hint(format!("the presets are {}", PRESETS.join(", ")))),
        }
    }

    /// Reads a configuration from TOML; what it leaves out is the classic preset's.
    ///
    /// # Errors
    ///
    /// If it is not TOML, names a key that does not exist, or has more than 256 KiB.
    pub fn from_toml(text: &str) -> Result<Self> {
        // The reader needs many times as much memory.
        if text.len() > MOST_TOML {
            let what = format!("a configuration of {} bytes, expected 256 KiB or less", text.len());
            return Err(Error::config(what).hint("is it a configuration?"));
        }
        toml::from_str(text).map_err(|e| {
            Error::config(e.to_string().trim_end())
                .hint("the keys are the fields of `Config`; `elbo config` prints them all")
        })
    }

    /// Writes the configuration as TOML.
    ///
    /// # Panics
    ///
    /// Never: every field has a TOML form.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("every field of a configuration has a TOML form")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid_and_survive_toml() {
        for name in PRESETS {
            let config = Config::preset(name).expect("a listed preset exists");
            config.validate().expect("a preset is valid");
            let read = Config::from_toml(&config.to_toml()).expect("what is written can be read");
            assert_eq!(read, config, "preset {name}");
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = Config::from_toml("[train]\nepoch = 3\n").expect_err("`epoch` is no key");
        assert!(error.to_string().contains("epochs"), "{error}");
    }
}
