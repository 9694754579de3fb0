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
    /// Steps over which β rises linearly from 0 (Bowman et al. 2016, Sønderby et al. 2016); with 0 it
    /// is whole from the first on.
    pub warmup_steps: u64,
    /// Steps of a cycle, in each of which β rises anew from 0 (Fu et al. 2019, eq. 6); 0 is none.
    pub cycle_steps: u64,
    /// The share of a cycle in which β rises, R of Fu et al. 2019.
    pub cycle_rise: f64,
    /// λ: nats of KL, the mean over the minibatch, that each dimension of z has for nothing (Kingma et
    /// al. 2016, eq. 15).
    pub free_bits: f64,
    /// C: nats of KL that are aimed at, by β · |KL − C| in the place of β · KL (Burgess et al. 2018,
    /// eq. 8); 0 aims at none.
    pub capacity: f64,
    /// Steps over which C rises linearly from 0.
    pub capacity_steps: u64,
    /// The weight of the total correlation of z, beyond its share in the KL divergence (Chen et al.
    /// 2018, eq. 4); 1 is the ELBO.
    pub total_correlation: f64,
    /// The weight of the squared maximum mean discrepancy of the codes and the prior (Zhao et al.
    /// 2019, eq. 6); 0 is none.
    pub mmd: f64,
    /// The width of its kernel, exp(−‖a − b‖² / (latent · scale)). 2 makes ‖a − b‖² of two draws of the
    /// prior as large as the divisor (Tolstikhin et al. 2018, section 4); Zhao's own code has `latent`.
    pub mmd_scale: f64,
}

impl ObjectiveConfig {
    /// Whether pairs of a minibatch's images are compared.
    pub(crate) fn pairs(&self) -> bool {
        self.total_correlation != 1.0 || self.mmd != 0.0
    }
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self {
            beta: 1.0,
            reduction: Reduction::Sum,
            warmup_steps: 0,
            cycle_steps: 0,
            cycle_rise: 0.5,
            free_bits: 0.0,
            capacity: 0.0,
            capacity_steps: 0,
            total_correlation: 1.0,
            mmd: 0.0,
            mmd_scale: 2.0,
        }
    }
}
