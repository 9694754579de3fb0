//! Losses as they are reported: nats per image, averaged over images.

use serde::{Deserialize, Serialize};

use crate::cpu::Terms;
use crate::engine::{Record, rate};

/// Sums over images, from which the means are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sums {
    recon: f64,
    kl: f64,
    #[serde(default)]
    objective: f64,
    images: usize,
}

impl Sums {
    /// Adds a minibatch.
    pub fn add(&mut self, terms: Terms, record: &Record) {
        self.recon += terms.recon;
        self.kl += terms.kl;
        self.objective += terms.recon + record.rates[rate::KL_WEIGHT] * terms.kl + terms.extra;
        self.images += record.rows as usize;
    }

    /// Adds what others add up to.
    pub(crate) fn join(&mut self, others: &Self) {
        self.recon += others.recon;
        self.kl += others.kl;
        self.objective += others.objective;
        self.images += others.images;
    }

    /// The number of images.
    #[must_use]
    pub fn images(&self) -> usize {
        self.images
    }

    /// The means; of no images, NaN.
    #[must_use]
    pub fn losses(&self) -> Losses {
        let count = self.images as f64;
        let (recon, kl) = (self.recon / count, self.kl / count);
        Losses { loss: recon + kl, recon, kl }
    }

    /// The mean of what was minimised, per image; of no images, NaN.
    #[must_use]
    pub fn objective(&self) -> f64 {
        self.objective / self.images as f64
    }
}

/// Mean losses in nats per image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Losses {
    /// −ELBO = reconstruction + KL, whatever is minimised.
    pub loss: f64,
    /// −log p(x | z).
    pub recon: f64,
    /// KL(q(z | x) ‖ p(z)).
    pub kl: f64,
}
