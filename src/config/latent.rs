//! z: its posterior, its prior and its levels.

use serde::{Deserialize, Serialize};

use crate::config::Layers;

/// q(z | x): what the encoder makes of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Posterior {
    /// Each dimension of z is normal, with a mean and a deviation of its own.
    Normal,
    /// Each is of a Laplace distribution, with a location and a scale of its own.
    Laplace,
    /// Each is of a logistic distribution, with a location and a scale of its own.
    Logistic,
    /// z is what the encoder makes: a plain autoencoder, without a KL divergence.
    Point,
}

impl Posterior {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Normal, Self::Laplace, Self::Logistic, Self::Point];

    /// Its place among them, which kernels know it by.
    pub(crate) fn code(self) -> u32 {
        self as u32
    }

    /// The name in configurations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Laplace => "laplace",
            Self::Logistic => "logistic",
            Self::Point => "point",
        }
    }

    /// −log f(ε) in nats, f being its density of location 0 and scale 1. A point has none, which counts as zero.
    #[must_use]
    pub fn surprise(self, noise: f64) -> f64 {
        match self {
            Self::Normal => 0.5 * (noise * noise + std::f64::consts::TAU.ln()),
            Self::Laplace => noise.abs() + std::f64::consts::LN_2,
            Self::Logistic => noise.abs() + 2.0 * (-noise.abs()).exp().ln_1p(),
            Self::Point => 0.0,
        }
    }

    /// Whether it is a density, from which z is drawn. A point has none, and so no divergence from a prior
    /// and no bound on p(x).
    #[must_use]
    pub fn is_density(self) -> bool {
        match self {
            Self::Normal | Self::Laplace | Self::Logistic => true,
            Self::Point => false,
        }
    }

    /// What the encoder's last layer makes for each dimension of z: the names in files, and in words.
    #[must_use]
    pub fn makes(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Normal => &[("mean", "mean"), ("log_var", "log-variance")],
            // Under the same names in files: σ is the scale.
            Self::Laplace | Self::Logistic => {
                &[("mean", "mean"), ("log_var", "logarithm of the squared scale")]
            }
            Self::Point => &[("code", "z")],
        }
    }
}

/// p(z): what z is drawn from where there is no image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Prior {
    /// N(0, I).
    Normal,
    /// A mixture of normals of independent dimensions, whose weights, means and deviations are learned.
    Mixture,
    /// A mixture, equally weighed, of the posteriors of pseudo-inputs that are learned: `VampPrior` (Tomczak and
    /// Welling 2018, eq. 9).
    Vamp,
}

impl Prior {
    /// Whether it is learned with the model: a mixture, of which the KL divergence has no formula.
    #[must_use]
    pub fn is_learned(self) -> bool {
        self != Self::Normal
    }

    /// The name in configurations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Mixture => "mixture",
            Self::Vamp => "vamp",
        }
    }
}

/// A level of z above another, by networks as those of images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Level {
    /// The layers of q(z | z below), from the z below on, before that which makes the posterior.
    pub encoder: Layers,
    /// Dimensions of z.
    pub latent: usize,
    /// The layers of p(z below | z), from z on, before that which makes the mean and the log-variance of the z below.
    pub decoder: Layers,
}

/// How z of several levels is inferred of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inference {
    /// Each level from the z drawn below it (Burda et al. 2016, section 5).
    #[default]
    BottomUp,
    /// The highest from means that go up, each below by what these say of it and what the z drawn above it says: the product of
    /// both normals (Sønderby et al. 2016).
    Ladder,
}
