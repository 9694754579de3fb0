//! Which dimensions of z are used, level by level.

use std::ops::Range;

use rayon::prelude::*;

use crate::config::Posterior;
use crate::error::Result;
use crate::evaluate::posterior::{Codes, Held};
use crate::evaluate::prior::log_normal;
use crate::evaluate::{Model, stream};

/// A dimension of z is active if the variance of its posterior mean over the images is larger (Burda et
/// al. 2016, section 5.2).
pub const ACTIVE: f64 = 0.01;

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

/// How many of these dimensions are active.
#[must_use]
pub fn active(dimensions: &[Dimension]) -> usize {
    dimensions.iter().filter(|d| d.is_active()).count()
}

/// The KL divergence of all of these dimensions, nats per image.
#[must_use]
pub fn total_kl(dimensions: &[Dimension]) -> f64 {
    dimensions.iter().map(|d| d.kl).sum()
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
    /// How the dimensions of z are used by some images, level by level from below upwards.
    ///
    /// Of several levels each is judged by two draws of the others of each image: a dimension's KL is the mean over both, and its
    /// variance their covariance over the images, which is the variance of the mean over such draws (Burda et al. 2016, section
    /// 5.2: of E q(u | x) u), where what the draws alone make vary has no part.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn dimensions(&mut self, images: Range<usize>) -> Result<Vec<Vec<Dimension>>> {
        let first = self.encode_levels(images.clone())?;
        let latents = self.config.model.latents();
        let mut all: Vec<_> =
            first.iter().zip(&latents).map(|(codes, &latent)| dimensions(codes, latent)).collect();
        if all.len() > 1 {
            let second = self.codes(images, stream::IMPORTANCE)?;
            let both = first.iter().zip(&second).zip(latents).zip(&mut all);
            for (((first, second), latent), level) in both {
                let again = dimensions(second, latent);
                let together = covariances([&first.mean, &second.mean], latent);
                for ((of, again), variance) in level.iter_mut().zip(again).zip(together) {
                    *of = Dimension { kl: 0.5 * (of.kl + again.kl), variance };
                }
            }
        }
        Ok(all)
    }
}

/// The covariance of each column of two sets of rows.
fn covariances(rows: [&[f32]; 2], columns: usize) -> Vec<f64> {
    let count = (rows[0].len() / columns).max(1) as f64;
    let of = |j: usize| {
        let [a, b] = rows.map(|rows| column(rows, j, columns));
        let [of_a, of_b] = [&a, &b].map(|values| values.iter().sum::<f64>() / count);
        a.iter().zip(&b).map(|(a, b)| (a - of_a) * (b - of_b)).sum::<f64>() / count
    };
    (0..columns).into_par_iter().map(of).collect()
}

/// log q of a number, of a location and of the logarithm of the squared scale, in nats.
fn log_density(family: Posterior, z: f64, location: f64, log_var: f64) -> f64 {
    -family.surprise((z - location) / (0.5 * log_var).exp()) - 0.5 * log_var
}

fn column(rows: &[f32], j: usize, columns: usize) -> Vec<f64> {
    rows.iter().skip(j).step_by(columns).map(|&v| f64::from(v)).collect()
}

/// The most codes whose z estimate a KL divergence that has no formula.
const SAMPLED: usize = 1000;

/// How each of `latent` dimensions is used by these posteriors. Kingma and Welling 2014, appendix B:
/// KL = ½ (μ² + σ² − 1 − log σ²) of a normal from N(0, I). Of another family, or from a learned prior, it is the mean of
/// log q(z | x) − log p(z) in the dimension alone over the z of at most 1,000 images at equal distances; from what the level
/// above makes of a z that was drawn by this one, that of log q(z | below) − log p(z | above) over all images. Points have none,
/// which counts as zero.
#[must_use]
pub fn dimensions(codes: &Codes, latent: usize) -> Vec<Dimension> {
    let images = codes.mean.len() / latent.max(1);
    let column = |values: &[f32], j: usize| column(values, j, latent);
    let mean_of =
        |values: &mut dyn Iterator<Item = f64>, count: usize| values.sum::<f64>() / count as f64;
    let of = |j: usize| {
        let (own_mean, own_log_var) = (column(&codes.mean, j), column(&codes.log_var, j));
        let all = own_mean.iter().zip(&own_log_var);
        let kl = match (codes.posterior, &codes.prior) {
            (Posterior::Point, _) => 0.0,
            (Posterior::Normal, Held::Normal) => {
                mean_of(&mut all.map(|(m, v)| 0.5 * (m * m + v.exp_m1() - v)), images)
            }
            // The z above was drawn by this very z, so that no formula for all others is of use.
            (family, Held::Above { mean, log_var }) => {
                let (of_mean, of_log_var) = (column(mean, j), column(log_var, j));
                let z = column(&codes.z, j).into_iter().enumerate();
                let ratio = |(at, z): (usize, f64)| {
                    log_density(family, z, own_mean[at], own_log_var[at])
                        - log_normal(z, of_mean[at], of_log_var[at])
                };
                mean_of(&mut z.map(ratio), images)
            }
            (family, Held::Normal | Held::Mixture(_)) => {
                let log_prior = |z| match &codes.prior {
                    Held::Mixture(prior) => prior.log_density(j, z),
                    Held::Normal | Held::Above { .. } => log_normal(z, 0.0, 0.0),
                };
                let every = images.div_ceil(SAMPLED).max(1);
                let all = all.zip(column(&codes.z, j)).step_by(every);
                let ratio = |((&m, &v), z): ((&f64, &f64), f64)| {
                    log_density(family, z, m, v) - log_prior(z)
                };
                mean_of(&mut all.map(ratio), images.div_ceil(every))
            }
        };
        let middle = mean_of(&mut own_mean.iter().copied(), images);
        let variance = mean_of(&mut own_mean.iter().map(|m| (m - middle).powi(2)), images);
        Dimension { kl, variance }
    };
    (0..latent).into_par_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: of (1, 2, 3) and (2, 4, 9) it is (−1 · −3 + 0 · −1 + 1 · 4) / 3.
    #[test]
    fn draws_that_differ_by_chance_vary_together_by_what_is_the_images() {
        let (a, b) = ([1.0, 5.0, 2.0, 5.0, 3.0, 5.0], [2.0, 1.0, 4.0, 7.0, 9.0, 4.0]);
        let found = covariances([&a, &b], 2);
        assert!((found[0] - 7.0 / 3.0).abs() < 1e-12 && found[1] == 0.0, "{found:?}");
    }

    /// By hand: log N(2; 1, e) − log N(2; 1, 1) = −½ (e⁻¹ + 1) + ½, and log N(0; 0, 1) − log N(0; 0, e) = ½.
    #[test]
    fn a_level_is_held_to_what_is_above_of_the_z_that_was_drawn() {
        let prior = Held::Above { mean: vec![1.0, 0.0], log_var: vec![0.0, 1.0] };
        let (mean, log_var, z) = (vec![1.0, 0.0], vec![1.0, 0.0], vec![2.0, 0.0]);
        let codes = Codes { posterior: Posterior::Normal, mean, log_var, z, prior };
        let found: Vec<_> = dimensions(&codes, 2).iter().map(|d| d.kl).collect();
        let expected = [-0.5 * (-1.0_f64).exp(), 0.5];
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
