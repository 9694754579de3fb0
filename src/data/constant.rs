//! The best model that knows nothing of an image, which every other must beat.

use std::f64::consts::{E, PI};

use rayon::prelude::*;

use crate::config::{LOG_SCALE_BOUNDS, Likelihood, ModelConfig, Scale};
use crate::data::Dataset;
use crate::data::held::block;
use crate::error::{Error, Result};

/// Images that are looked at, spread over all.
const ASKED: usize = 4096;

/// So many blocks of them are in memory at once, and so many of their pixels are added up by one thread.
const BLOCKS: usize = 16;
const TOGETHER: usize = 256;

/// What the pixels of a dataset are like, by as many images as tell.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Moments {
    /// The mean of each pixel over the images.
    means: Vec<f64>,
    /// Its variance.
    variances: Vec<f64>,
}

impl Dataset {
    /// The mean and the variance of each pixel over the images, or over some thousands of them.
    ///
    /// # Errors
    ///
    /// If the file that the images lie in cannot be read.
    pub(crate) fn moments(&self) -> Result<Moments> {
        let (len, step) = (self.size.len(), self.count.div_ceil(ASKED).max(1));
        let images: Vec<u32> = (0..self.count).step_by(step).map(|image| image as u32).collect();
        let white = if self.values.are_bytes() { 255.0 } else { 1.0 };
        let mean = |of: &(dyn Fn(usize, f64) -> f64 + Sync)| {
            let mut means = vec![0.0; len];
            for some in images.chunks(block(len) * BLOCKS) {
                let rows = self.values.gather(len, some)?;
                let rows = rows.view();
                means.par_chunks_mut(TOGETHER).enumerate().for_each(|(i, means)| {
                    let first = i * TOGETHER;
                    for row in (0..some.len()).map(|image| image * len + first) {
                        for (j, mean) in means.iter_mut().enumerate() {
                            *mean += of(first + j, f64::from(rows.at(row + j)) / white);
                        }
                    }
                });
            }
            means.iter_mut().for_each(|mean| *mean /= images.len() as f64);
            Ok::<_, Error>(means)
        };
        let means = mean(&|_, v| v)?;
        let variances = mean(&|pixel, v| (v - means[pixel]).powi(2))?;
        Ok(Moments { means, variances })
    }
}

impl Moments {
    /// The root of the mean variance of a pixel.
    pub(crate) fn deviation(&self) -> f64 {
        (self.variances.iter().sum::<f64>() / self.variances.len() as f64).sqrt()
    }

    /// −log p(x) in nats per image of the best model that makes the same of every image, where it has a
    /// closed form: for a Bernoulli likelihood the entropies of the mean pixels, for a normal one of
    /// the deviation σ, Σ ½ (v / σ² + log 2πσ²) with the variances v, and where σ is learned the mean
    /// v for σ².
    pub(crate) fn constant_loss(&self, model: &ModelConfig) -> Option<f64> {
        let term = |p: f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
        match (model.likelihood, model.scale) {
            (Likelihood::Bernoulli, _) => {
                Some(self.means.iter().map(|&m| term(m) + term(1.0 - m)).sum())
            }
            (Likelihood::Normal, Scale::Fixed) => {
                let square = model.sigma * model.sigma;
                let loss = |v: &f64| 0.5 * (v / square + (2.0 * PI * square).ln());
                Some(self.variances.iter().map(loss).sum())
            }
            (Likelihood::Normal, Scale::Shared) => {
                let least = f64::from(LOG_SCALE_BOUNDS.0).exp().powi(2);
                let square = self.deviation().powi(2).max(least);
                Some(0.5 * self.means.len() as f64 * (2.0 * PI * E * square).ln())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: two pixels, of which one is always white and the other a fair coin.
    #[test]
    fn the_best_constant_model_is_by_its_formula() {
        let data = Dataset::from_bytes([1, 2], vec![255, 0, 255, 255]).expect("two images");
        let moments = data.moments().expect("moments");
        assert_eq!(
            (&moments.means[..], &moments.variances[..]),
            (&[1.0, 0.5][..], &[0.0, 0.25][..])
        );
        let loss = |likelihood, scale, sigma| {
            let model = ModelConfig { likelihood, scale, sigma, ..ModelConfig::default() };
            moments.constant_loss(&model).expect("a closed form")
        };
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a}, expected {b}");
        near(loss(Likelihood::Bernoulli, Scale::Fixed, 1.0), 2.0_f64.ln());
        near(loss(Likelihood::Normal, Scale::Fixed, 0.5), 0.5 + (PI / 2.0).ln());
        near(loss(Likelihood::Normal, Scale::Shared, 1.0), (2.0 * PI * E * 0.125).ln());
        near(moments.deviation(), 0.125_f64.sqrt());
        let model = ModelConfig { likelihood: Likelihood::Categorical, ..ModelConfig::default() };
        assert_eq!(moments.constant_loss(&model), None, "no closed form");
    }
}
