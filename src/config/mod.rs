//! What a user can choose: plain values and closed enums, read from TOML, checked in one place.

mod model;
mod objective;
mod optimizer;
mod train;
mod validate;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

pub use model::{Activation, Likelihood, ModelConfig};
pub use objective::{ObjectiveConfig, Reduction};
pub use optimizer::{OptimizerConfig, Rule, Schedule};
pub use train::{NonFinite, Pixels, TrainConfig};

/// The smallest and the largest log σ² of a posterior; it is clamped where it is made, and outside
/// these bounds its gradient is zero. They span σ from 3·10⁻⁷ to 2·10⁴.
pub const LOG_VAR_BOUNDS: (f32, f32) = (-30.0, 20.0);

/// The most images in a batch, units in a layer, and epochs.
pub const MOST: usize = 1_000_000;

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
