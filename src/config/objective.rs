//! What is minimised.

use serde::{Deserialize, Serialize};

/// What of a batch is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reduction {
    /// The sum over the images, as the PyTorch example does.
    Sum,
    /// The mean over the images.
    Mean,
}

/// How the KL divergence is estimated (Kingma and Welling 2014, section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KlEstimate {
    /// By its formula: their estimator B, eq. 7.
    Analytic,
    /// log q(z | x) − log p(z) at each z that is drawn: their estimator A, eq. 6.
    Sampled,
}

/// Which estimate of the encoder's gradient is taken; the decoder's is the standard one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gradient {
    /// The derivative of what is minimised.
    Standard,
    /// Sticking the landing (Roeder et al. 2017): the path through z alone, without the score of q. With
    /// `importance` above 1 it is biased (Tucker et al. 2018, section 3).
    Stl,
    /// Doubly reparameterised (Tucker et al. 2018, eq. 8): unbiased for every `importance`.
    Dreg,
}

impl Gradient {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Standard, Self::Stl, Self::Dreg];

    /// The number that shaders know it by.
    #[must_use]
    pub fn code(self) -> u32 {
        self as u32
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
    /// Estimates of the bound that are averaged for each image: L of Kingma and Welling 2014, eq. 7, or
    /// with `importance` above 1 M of Rainforth et al. 2018, eq. 9.
    pub samples: usize,
    /// z's under one logarithm: K of Burda et al. 2016, eq. 8; 1 is the ELBO.
    pub importance: usize,
    /// How the encoder's gradient is estimated.
    pub gradient: Gradient,
    /// How the KL divergence is estimated; with `importance` above 1 it is always sampled.
    pub kl: KlEstimate,
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self {
            beta: 1.0,
            reduction: Reduction::Sum,
            samples: 1,
            importance: 1,
            gradient: Gradient::Standard,
            kl: KlEstimate::Analytic,
        }
    }
}

impl ObjectiveConfig {
    /// How many z each image has.
    #[must_use]
    pub fn z_per_image(&self) -> usize {
        self.samples.saturating_mul(self.importance)
    }

    /// Whether z's are weighed: what is minimised is made of log p(x, z) / q(z | x) at each.
    #[must_use]
    pub fn weighs(&self) -> bool {
        self.importance > 1 || self.kl == KlEstimate::Sampled
    }

    /// Whether what is minimised is the loss that is reported, reconstruction + KL.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        self.beta == 1.0 && !self.weighs()
    }

    /// What a model needs that is used and not trained: one z of each image.
    pub(crate) fn to_use(&self) -> Self {
        let Self { samples, importance, gradient, kl, .. } = Self::default();
        Self { samples, importance, gradient, kl, ..self.clone() }
    }
}
