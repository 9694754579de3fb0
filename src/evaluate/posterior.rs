//! What the encoder makes of images, and which dimensions of z are used.

use std::ops::Range;

use rayon::prelude::*;

use crate::config::{LOG_VAR_BOUNDS, Posterior};
use crate::error::Result;
use crate::evaluate::Model;
use crate::evaluate::prior::{Components, log_normal};
use crate::model::Use;

/// A dimension of z is active if the variance of its posterior mean over the images is larger (Burda et
/// al. 2016, section 5.2).
pub const ACTIVE: f64 = 0.01;

/// The posteriors of images, each (images, latent).
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// Whose parameters these are.
    pub posterior: Posterior,
    /// μ, or the point.
    pub mean: Vec<f32>,
    /// log σ², within its bounds; a point has none, so that this is empty.
    pub log_var: Vec<f32>,
    /// One z of each posterior, or the point.
    pub z: Vec<f32>,
    /// The prior that they are held to, if it is learned; else it is N(0, I).
    pub prior: Option<Components>,
}

/// What an encoder tells images by: rows of numbers, one for each image.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Whether they are what the last hidden layer makes, else the means μ, of an encoder without hidden layers.
    pub hidden: bool,
    /// The numbers of a row.
    pub columns: usize,
    /// All rows.
    pub values: Vec<f32>,
}

/// How one dimension of z is used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dimension {
    /// The KL divergence of the posterior from the prior in this dimension, nats per image.
    pub kl: f64,
    /// The variance of the posterior mean over the images.
    pub variance: f64,
}

/// The fewest images whose means have a variance that says something.
const ENOUGH: usize = 50;

/// A dimension whose KL is below this many nats is the prior's for every image.
const IDLE: f64 = 0.01;

/// How many dimensions say something of so many images: by the variance of their means, or where images are
/// few, by whether the posterior differs from the prior.
#[must_use]
pub fn used(dimensions: &[Dimension], images: usize) -> usize {
    let says = |d: &&Dimension| if images >= ENOUGH { d.is_active() } else { d.kl > IDLE };
    dimensions.iter().filter(says).count()
}

/// The numbers of dimensions, from the largest KL divergence down; of equal ones the first comes first.
#[must_use]
pub fn by_kl(dimensions: &[Dimension]) -> Vec<usize> {
    let mut order: Vec<_> = (0..dimensions.len()).collect();
    order.sort_by(|&a, &b| dimensions[b].kl.total_cmp(&dimensions[a].kl));
    order
}

impl Dimension {
    /// Whether the code says anything of the image here.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.variance > ACTIVE
    }
}

impl Model {
    /// The posteriors of some images.
    ///
    /// # Errors
    ///
    /// If there are no such images, or the device is lost.
    pub fn encode(&mut self, images: Range<usize>) -> Result<Codes> {
        self.within(&images)?;
        let (posterior, latent) = (self.config.model.posterior, self.config.model.latent);
        let [mean, log_var, z] = [const { Vec::new() }; 3];
        let mut codes = Codes { posterior, mean, log_var, z, prior: None };
        for part in self.batches(images) {
            let rows = part.len();
            self.run_one(Use::Encode, self.place(part))?;
            for h in self
                .session
                .read(self.vae.ports.h.first_rows(rows))?
                .chunks(self.vae.ports.h.cols())
            {
                let (mean, rest) = h.split_at(latent);
                codes.mean.extend(mean);
                match posterior {
                    Posterior::Normal => {
                        let (lowest, highest) = LOG_VAR_BOUNDS;
                        codes.log_var.extend(rest.iter().map(|v| v.clamp(lowest, highest)));
                    }
                    Posterior::Point => {}
                }
            }
            let all = rows * self.config.objective.z_per_image();
            let z = self.session.read(self.vae.ports.z.first_rows(all))?;
            codes.z.extend(self.first_of_each(z, latent));
        }
        codes.prior = self.known_components()?;
        Ok(codes)
    }

    /// What the encoder's last hidden layer makes of some images, behind its activation: the features that
    /// distances between sets of images are measured by. Dimensions of μ may have collapsed, and then say nothing;
    /// an encoder without hidden layers has no others.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn features(&mut self, images: Range<usize>) -> Result<Seen> {
        let Some(hidden) = self.vae.ports.hidden else {
            let (columns, values) = (self.config.model.latent, self.encode(images)?.mean);
            return Ok(Seen { hidden: false, columns, values });
        };
        self.within(&images)?;
        let mut values = Vec::new();
        for part in self.batches(images) {
            let rows = part.len();
            self.run_one(Use::Encode, self.place(part))?;
            values.extend(self.session.read(hidden.first_rows(rows))?);
        }
        Ok(Seen { hidden: true, columns: hidden.cols(), values })
    }
}

/// The most codes whose z estimate a KL divergence that has no formula.
const SAMPLED: usize = 1000;

/// How each of `latent` dimensions is used by these posteriors. Kingma and Welling 2014, appendix B:
/// KL = ½ (μ² + σ² − 1 − log σ²). From a learned prior it has no formula: it is the mean of log q(z | x) − log p(z) in the
/// dimension alone over the z of at most 1,000 images at equal distances. Points have none, which counts as zero.
#[must_use]
pub fn dimensions(codes: &Codes, latent: usize) -> Vec<Dimension> {
    let images = codes.mean.len() / latent.max(1);
    let column = |values: &[f32], j: usize| -> Vec<f64> {
        values.iter().skip(j).step_by(latent).map(|&v| f64::from(v)).collect()
    };
    let mean_of =
        |values: &mut dyn Iterator<Item = f64>, count: usize| values.sum::<f64>() / count as f64;
    let of = |j: usize| {
        let (mean, log_var) = (column(&codes.mean, j), column(&codes.log_var, j));
        let all = mean.iter().zip(&log_var);
        let kl = match (codes.posterior, &codes.prior) {
            (Posterior::Point, _) => 0.0,
            (Posterior::Normal, None) => {
                mean_of(&mut all.map(|(m, v)| 0.5 * (m * m + v.exp_m1() - v)), images)
            }
            (Posterior::Normal, Some(prior)) => {
                let every = images.div_ceil(SAMPLED).max(1);
                let all = all.zip(column(&codes.z, j)).step_by(every);
                let ratio = |((&m, &v), z): ((&f64, &f64), f64)| {
                    log_normal(z, m, v) - prior.log_density(j, z)
                };
                mean_of(&mut all.map(ratio), images.div_ceil(every))
            }
        };
        let middle = mean_of(&mut mean.iter().copied(), images);
        let variance = mean_of(&mut mean.iter().map(|m| (m - middle).powi(2)), images);
        Dimension { kl, variance }
    };
    (0..latent).into_par_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::{Codes, Dimension, Posterior, by_kl, dimensions};

    /// By hand: KL(N(1, e) ‖ N(0, 1)) = ½ (1 + e − 1 − 1), and nothing where the posterior is the prior.
    #[test]
    fn dimensions_are_judged_each_by_itself() {
        let mean = vec![1.0, 0.0, -1.0, 0.0];
        let (log_var, z) = (vec![1.0, 0.0, 1.0, 0.0], vec![0.0; 4]);
        let codes = Codes { posterior: Posterior::Normal, mean, log_var, z, prior: None };
        let [used, idle] = dimensions(&codes, 2)[..] else { panic!("two dimensions") };
        let kl = 0.5 * (1.0_f64.exp() - 1.0);
        assert!((used.kl - kl).abs() < 1e-12 && (used.variance - 1.0).abs() < 1e-12, "{used:?}");
        assert!(used.is_active() && !idle.is_active() && idle.kl == 0.0, "{idle:?}");
        let some = [1.0, 3.0, 0.5, 3.0].map(|kl| Dimension { kl, variance: 0.0 });
        assert_eq!(by_kl(&some), [1, 3, 0, 2], "the largest first");
    }
}
