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
