//! What a user can choose: plain values and closed enums, read from TOML, checked in one place.

// First, so that rustdoc lists it first: methods come in the order of modules.
mod text;

mod convolution;
pub mod data;
mod latent;
mod layer;
mod layers;
mod likelihood;
mod model;
mod objective;
mod optimizer;
mod preset;
mod train;
mod validate;

use serde::{Deserialize, Serialize};

pub use convolution::Convolution;
pub(crate) use convolution::{places_reached, windows_that_fit};
pub use data::{
    Background, Channels, DataConfig, ImageSize, Layout, MOST_CHANNELS, Range, Split, image_size,
};
pub use latent::{Inference, Level, Posterior, Prior};
pub use layer::Layer;
pub use layers::{Entry, Layers, Residual, hidden_layers};
pub use likelihood::{Blocks, Likelihood, Makes, Mean, Scale, Support};
pub use model::{Activation, Init, ModelConfig, OutputBias};
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

/// The most components of a learned prior, of each of which every z has a share.
pub const MOST_PRIOR_COMPONENTS: usize = 8192;

/// The most levels of z above the first.
pub const MOST_LEVELS: usize = 31;

/// The most images in a batch, units in a layer, and epochs.
pub const MOST: usize = 1_000_000;

/// The most z's of an image in a step.
pub const MOST_SAMPLES: usize = 4096;

/// The most bytes of a configuration; a whole one has a hundredth of that.
pub const MOST_TOML: usize = 256 << 10;

/// Everything that decides the numbers of a run. The default is the classic VAE of the PyTorch
/// example: 784-400-20 on grey MNIST, batch 128, Adam 10⁻³ on the sum over the batch, 10 epochs.
///
/// ```
/// use elbo::Config;
/// use elbo::config::Likelihood;
///
/// // What a file leaves out is the default.
/// let mut config = Config::from_toml("model.latent = 2\nobjective.beta = 4.0")?;
/// (config.model.encoder, config.model.decoder) = ([256, 64].into(), [64, 256].into());
/// config.model.likelihood = Likelihood::ContinuousBernoulli;
/// config.train.epochs = 30;
/// // Whatever cannot be meant is refused by name, here as by everything that takes a configuration.
/// config.validate()?;
/// assert_eq!(Config::from_toml(&config.to_toml())?, config);
/// # Ok::<(), elbo::Error>(())
/// ```
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_refused() {
        let error = Config::from_toml("[train]\nepoch = 3\n").expect_err("`epoch` is no key");
        assert!(error.to_string().contains("epochs"), "{error}");
    }
}
