//! Losses as they are reported: nats per image, averaged over images.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::engine::{Record, Report, ReportSpec, rate};
use crate::model::{EXTRA, GRADIENT_NORM, KL, RECON};

/// Nats as they are shown: with the decimals of the format, but 1.6e20 in place of so many digits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nats(pub f64);

impl fmt::Display for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value) = self;
        let text = match f.precision() {
            Some(decimals) if value.abs() < 1e7 => format!("{value:.decimals$}"),
            None if value.abs() < 1e7 => value.to_string(),
            _ => format!("{value:.1e}"),
        };
        write!(f, "{text:>width$}", width = f.width().unwrap_or(0))
    }
}

/// The terms of what a step minimises: sums over the minibatch's images, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// Σ −log p(x | z).
    pub recon: f64,
    /// Σ KL.
    pub kl: f64,
    /// What else the images add to what is minimised, besides Σ −log p(x | z) and the weighted KL.
    pub extra: f64,
}

/// Where reports have the terms.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    recon: usize,
    kl: usize,
    extra: usize,
    norm: usize,
}

impl Places {
    /// Looks the names up, once for all reports.
    ///
    /// # Panics
    ///
    /// If one is not reported, which is a fault of who recorded the model.
    #[must_use]
    pub fn of(spec: &ReportSpec) -> Self {
        let place = |name| {
            let found = spec.place(name);
            found.unwrap_or_else(|| panic!("`{name}` is not reported: {:?}", spec.names))
        };
        let [recon, kl, extra] = [RECON, KL, EXTRA].map(place);
        Self { recon, kl, extra, norm: place(GRADIENT_NORM) }
    }

    /// The terms of a report.
    #[must_use]
    pub fn terms(&self, report: &Report) -> Terms {
        let value = |place: usize| report.values[place];
        Terms { recon: value(self.recon), kl: value(self.kl), extra: value(self.extra) }
    }

    /// The [norm of the gradient](GRADIENT_NORM), in the report of a step that is logged.
    #[must_use]
    pub fn gradient_norm(&self, report: &Report) -> f64 {
        report.values[self.norm]
    }
}

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

#[cfg(test)]
mod tests {
    use super::Nats;

    #[test]
    fn huge_losses_have_few_digits() {
        assert_eq!(format!("{:.2}|{:9.3}", Nats(106.126), Nats(1.5)), "106.13|    1.500");
        assert_eq!(
            format!("{:.2}", Nats(159_862_866_116_113_006_592.0)),
            "1.6e20",
            "a broken loss"
        );
        assert_eq!(
            format!("{:10.2}|{:.2}", Nats(-2e9), Nats(f64::NAN)),
            "    -2.0e9|NaN",
            "others"
        );
    }
}
