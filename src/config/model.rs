//! The network and its distributions.

use serde::{Deserialize, Serialize};

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
    /// The number of classes; the encoder and the decoder are told each image's, as a one-hot vector
    /// behind x and behind z: a model of p(x | y) (Kingma et al. 2014, section 2.2, with every y
    /// observed; Sohn et al. 2015, eq. 4, with a prior that does not depend on y). 0 models p(x).
    pub classes: usize,
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
            classes: 0,
        }
    }
}
