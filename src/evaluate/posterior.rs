//! What the encoder makes of images, and which dimensions of z are used.

use std::ops::Range;

use rayon::prelude::*;

use crate::config::{LOG_VAR_BOUNDS, Posterior};
use crate::engine::Tensor;
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
    /// The prior that they are held to.
    pub prior: Held,
}

/// The prior that codes are held to.
#[derive(Clone, Debug, PartialEq)]
pub enum Held {
    /// N(0, I).
    Normal,
    /// A mixture that was learned.
    Mixture(Components),
    /// For each its own normal, which the level above makes of one z of its own.
    Above {
        /// The means (images, latent).
        mean: Vec<f32>,
        /// The log-variances (images, latent), within their bounds.
        log_var: Vec<f32>,
    },
}

/// Splits rows [μ | log σ²] of so many columns, or points, of `latent` numbers each, into both, log σ² within its bounds.
fn split(rows: &[f32], (cols, latent): (usize, usize), [mean, log_var]: [&mut Vec<f32>; 2]) {
    let (lowest, highest) = LOG_VAR_BOUNDS;
    for row in rows.chunks(cols) {
        let (own, rest) = row.split_at(latent);
        mean.extend(own);
        log_var.extend(rest.iter().map(|v| v.clamp(lowest, highest)));
    }
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
    /// The posteriors of some images, of the z that the decoder takes.
    ///
    /// # Errors
    ///
    /// If there are no such images, or the device is lost.
    pub fn encode(&mut self, images: Range<usize>) -> Result<Codes> {
        Ok(self.encode_levels(images)?.swap_remove(0))
    }

    /// The posteriors of some images, level by level from below upwards, each by the z that was drawn of the level below.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn encode_levels(&mut self, images: Range<usize>) -> Result<Vec<Codes>> {
        self.within(&images)?;
        let ports = self.vae.ports.clone();
        let first = (ports.h, ports.z, 1);
        let samples = self.config.objective.z_per_image();
        let above = ports.above.iter().map(|level| (level.h, level.z, samples));
        let levels: Vec<_> = std::iter::once(first).chain(above).collect();
        let posterior = self.config.model.posterior;
        let empty = |place: usize| Codes {
            posterior,
            mean: Vec::new(),
            log_var: Vec::new(),
            z: Vec::new(),
            prior: match place < ports.above.len() {
                true => Held::Above { mean: Vec::new(), log_var: Vec::new() },
                false => Held::Normal,
            },
        };
        let mut all: Vec<_> = (0..levels.len()).map(empty).collect();
        for part in self.batches(images) {
            let rows = part.len();
            self.run_one(Use::Encode, self.place(part))?;
            for (place, (codes, &(h, z, of_h))) in all.iter_mut().zip(&levels).enumerate() {
                let latent = z.cols();
                let mut of = |tensor: Tensor, each: usize| -> Result<Vec<f32>> {
                    let values = self.session.read(tensor.first_rows(rows * each))?;
                    let rows = values.chunks(tensor.cols()).step_by(each);
                    Ok(rows.flat_map(|row| row.iter().copied()).collect())
                };
                codes.z.extend(of(z, samples)?);
                let h_rows = of(h, of_h)?;
                let to = [&mut codes.mean, &mut codes.log_var];
                split(&h_rows, (h.cols(), latent), to);
                if let Held::Above { mean, log_var } = &mut codes.prior {
                    let prior = ports.above[place].prior;
                    split(&of(prior, samples)?, (prior.cols(), latent), [mean, log_var]);
                }
            }
        }
        if let (Some(highest), Some(prior)) = (all.last_mut(), self.known_components()?) {
            highest.prior = Held::Mixture(prior);
        }
        Ok(all)
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
/// KL = ½ (μ² + σ² − 1 − log σ²), and from a normal of its own as that is; from a learned prior it has no formula: it is the mean of log q(z | x) − log p(z) in the
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
            (Posterior::Normal, Held::Normal) => {
                mean_of(&mut all.map(|(m, v)| 0.5 * (m * m + v.exp_m1() - v)), images)
            }
            // Given the z above, it has a formula.
            (Posterior::Normal, Held::Above { mean, log_var }) => {
                let prior = column(mean, j).into_iter().zip(column(log_var, j));
                let kl = |((m, v), (of, width)): ((&f64, &f64), (f64, f64))| {
                    let off = (m - of).powi(2) * (-width).exp();
                    0.5 * ((v - width).exp_m1() - (v - width) + off)
                };
                mean_of(&mut all.zip(prior).map(kl), images)
            }
            (Posterior::Normal, Held::Mixture(prior)) => {
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
    use super::{Codes, Dimension, Held, Posterior, by_kl, dimensions};

    /// By hand: KL(N(1, e) ‖ N(1, 1)) = ½ (e − 1 − 1), KL(N(0, 1) ‖ N(0, e)) = ½ (e⁻¹ − 1 + 1).
    #[test]
    fn a_level_is_held_to_what_is_above() {
        let prior = Held::Above { mean: vec![1.0, 0.0], log_var: vec![0.0, 1.0] };
        let (mean, log_var, z) = (vec![1.0, 0.0], vec![1.0, 0.0], vec![0.0; 2]);
        let codes = Codes { posterior: Posterior::Normal, mean, log_var, z, prior };
        let e = 1.0_f64.exp();
        let found: Vec<_> = dimensions(&codes, 2).iter().map(|d| d.kl).collect();
        let expected = [0.5 * (e - 2.0), 0.5 / e];
        let near = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(near, "{found:?}, not {expected:?}");
    }

    /// By hand: KL(N(1, e) ‖ N(0, 1)) = ½ (1 + e − 1 − 1), and nothing where the posterior is the prior.
    #[test]
    fn dimensions_are_judged_each_by_itself() {
        let mean = vec![1.0, 0.0, -1.0, 0.0];
        let (log_var, z) = (vec![1.0, 0.0, 1.0, 0.0], vec![0.0; 4]);
        let codes = Codes { posterior: Posterior::Normal, mean, log_var, z, prior: Held::Normal };
        let [used, idle] = dimensions(&codes, 2)[..] else { panic!("two dimensions") };
        let kl = 0.5 * (1.0_f64.exp() - 1.0);
        assert!((used.kl - kl).abs() < 1e-12 && (used.variance - 1.0).abs() < 1e-12, "{used:?}");
        assert!(used.is_active() && !idle.is_active() && idle.kl == 0.0, "{idle:?}");
        let some = [1.0, 3.0, 0.5, 3.0].map(|kl| Dimension { kl, variance: 0.0 });
        assert_eq!(by_kl(&some), [1, 3, 0, 2], "the largest first");
    }
}
