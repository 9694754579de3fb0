//! What a user can choose: plain values and closed enums, read from TOML, checked in one place.

pub mod data;
mod layer;
mod likelihood;
mod model;
mod objective;
mod optimizer;
mod preset;
mod train;
mod validate;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

pub use data::{
    Background, Channels, DataConfig, ImageSize, Layout, MOST_CHANNELS, Range, Split, image_size,
};
pub use layer::{Entry, Layer, Layers};
pub use likelihood::{Likelihood, Makes, Mean, Scale, Support};
pub use model::{Activation, Init, ModelConfig, OutputBias, Posterior};
pub use objective::{Gradient, KlEstimate, ObjectiveConfig, Reduction};
pub use optimizer::{OptimizerConfig, Rule, Schedule};
pub use preset::{PRESETS, Preset, Published, Quantity};
pub use train::{Corruption, NonFinite, Pixels, TrainConfig};

/// The smallest and the largest log σ² of a posterior; it is clamped where it is made, and outside
/// these bounds its gradient is zero. They span σ from 3·10⁻⁷ to 2·10⁴.
pub const LOG_VAR_BOUNDS: (f32, f32) = (-30.0, 20.0);

/// The smallest and the largest logarithm of a likelihood's learned scale; it is clamped where it is used,
/// and outside these bounds its gradient is zero. They span scales from 3·10⁻⁴, a twelfth of the
/// distance between two bytes, to 3·10³.
pub const LOG_SCALE_BOUNDS: (f32, f32) = (-8.0, 8.0);

/// The smallest and the largest logarithm of the mean of a count; it is clamped where it is used, and outside
/// these bounds its gradient is zero. They span means from 10⁻²⁶ to 5·10⁸.
pub const LOG_MEAN_BOUNDS: (f32, f32) = (-60.0, 20.0);

/// The most dimensions of z: shaders loop over them, and some software adapters leave a loop after 65,535
/// turns.
pub const MOST_LATENT: usize = 32_768;

/// The most images in a batch, units in a layer, and epochs.
pub const MOST: usize = 1_000_000;

/// The most z's of an image in a step.
pub const MOST_SAMPLES: usize = 4096;

/// The most bytes of a configuration; a whole one has a hundredth of that.
pub const MOST_TOML: usize = 256 << 10;

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
    /// How files become images.
    pub data: DataConfig,
    /// The data and how long to train on it.
    pub train: TrainConfig,
}

impl Config {
    /// The whole schedule of a preset by name: `classic` is the default.
    ///
    /// # Errors
    ///
    /// If there is no preset of that name.
    pub fn preset(name: &str) -> Result<Self> {
        Ok(Preset::named(name)?.config)
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

    /// Refuses a model that has no density q(z | x), and so no bound on the likelihood p(x).
    ///
    /// # Errors
    ///
    /// If its posterior is a point.
    pub fn check_density(&self) -> Result<()> {
        if self.model.posterior.is_density() {
            return Ok(());
        }
        let what = "a plain autoencoder (`posterior = \"point\"`) has no likelihood p(x)";
        Err(Error::config(what).hint("train another model, with `--set model.posterior=normal`"))
    }

    /// Refuses a model whose codes were never held to a prior.
    ///
    /// # Errors
    ///
    /// If its posterior is a point and no discrepancy from the prior was minimised.
    pub fn check_prior(&self) -> Result<()> {
        if self.model.posterior.is_density() || self.objective.mmd > 0.0 {
            return Ok(());
        }
        let what = "a plain autoencoder (`posterior = \"point\"`) has no prior to draw z from";
        Err(Error::config(what).hint(
            "train another model, with `--set model.posterior=normal` or `--set objective.mmd=100`",
        ))
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
    fn unknown_keys_are_refused() {
        let error = Config::from_toml("[train]\nepoch = 3\n").expect_err("`epoch` is no key");
        assert!(error.to_string().contains("epochs"), "{error}");
    }
}
