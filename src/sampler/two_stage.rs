//! A second VAE that learns the codes of the first.

use crate::checkpoint::{State, Weight};
use crate::config::{Config, Likelihood, Scale, Schedule};
use crate::data::Dataset;
use crate::error::Result;
use crate::evaluate::{Model, Shown};
use crate::sampler::{check, divided, prior_log_likelihood};
use crate::session::Device;
use crate::train::Trainer;

/// The units of its hidden layers, on either side.
const HIDDEN: [usize; 2] = [256, 256];

/// The fewest and the most codes of a minibatch, within which it is so small a part of all.
const BATCH: [usize; 2] = [32, 256];
const PART: usize = 20;

/// Steps that are aimed at, within so few and so many epochs.
const STEPS: u64 = 5_000;
const EPOCHS: [u64; 2] = [20, 200];

/// The tensors of a file beside the weights: what standardises codes.
const MEANS: &str = "codes.mean";
const DEVIATIONS: &str = "codes.deviation";

/// A second VAE, whose images are the codes of the first (Dai and Wipf 2019, section 4): z = μ(u) + γ ε for
/// u ~ N(0, I) of as many dimensions as z, with one scale γ that is learned. The codes fill all dimensions of their
/// space, as images do not of theirs, so that the second aggregate posterior comes nearer to its prior than
/// the first.
///
/// Codes are standardised, each dimension by its mean and deviation, so that the one scale fits all of them.
#[derive(Clone, Debug)]
pub struct TwoStage {
    state: State,
    means: Vec<f32>,
    deviations: Vec<f32>,
}

/// How a second VAE went.
#[derive(Clone, Debug)]
pub struct FittedStage {
    /// It.
    pub two_stage: TwoStage,
    /// The ELBO of codes that were held out, a lower bound of their mean log-density, in nats per code.
    pub elbo: f64,
    /// The mean log-density of the same codes under the prior N(0, I), in nats per code.
    pub prior: f64,
    /// Epochs that it was trained for.
    pub epochs: u64,
}

impl TwoStage {
    /// Trains a VAE on nine tenths of the codes, rows of `latent` numbers in any unit: 256 units in each of two
    /// hidden layers on either side, by Adam at 10⁻³ along half a cosine, for about 5,000 steps of 32
    /// to 256 codes, and 20 to 200 epochs; the weight of the KL divergence grows to 1 over the first half.
    /// `done` is told the share that is done. The same for the same codes, seed and device.
    ///
    /// # Errors
    ///
    /// If there are fewer than twenty codes, one is not finite, the numbers break, or the device is lost.
    pub fn fit(
        device: &Device,
        codes: &[f32],
        latent: usize,
        seed: u64,
        mut done: impl FnMut(f64),
    ) -> Result<FittedStage> {
        check(codes, latent)?;
        let [fit, held] = divided(codes, latent, seed);
        let (means, deviations) = moments(&fit, latent);
        let [train, test] = [&fit, &held].map(|codes| {
            let standardised = codes
                .iter()
                .enumerate()
                .map(|(i, &code)| (code - means[i % latent]) / deviations[i % latent]);
            Dataset::from_floats([1, latent], standardised.collect())
        });
        let (train, test) = (train?, test?);
        let batch = (train.len() / PART).clamp(BATCH[0], BATCH[1]).min(train.len());
        let per_epoch = train.len().div_ceil(batch) as u64;
        let epochs = (STEPS / per_epoch).clamp(EPOCHS[0], EPOCHS[1]);
        let mut config = config(latent, seed, epochs);
        config.train.batch_size = batch;
        // Codes are so near to a normal that without it the decoder would take them for noise alone.
        config.objective.warmup_steps = per_epoch * epochs / 2;
        let mut trainer = Trainer::new(device, &config, &train, &test)?;
        for epoch in 1..=epochs {
            trainer.advance(per_epoch)?;
            trainer.finish()?;
            done(epoch as f64 / epochs as f64);
        }
        let loss = trainer.evaluate()?.sampled.loss;
        let widths: f64 = deviations.iter().map(|&v| f64::from(v).ln()).sum();
        let prior = prior_log_likelihood(&held, latent);
        let mut state = trainer.state()?;
        state.tensors = state.weights();
        let two_stage = Self { state, means, deviations };
        Ok(FittedStage { two_stage, elbo: -loss - widths, prior, epochs })
    }

    /// z (count, latent): u ~ N(0, `temperature`² I) decoded, and γ ε added, as Dai and Wipf draw z from
    /// p(z | u). The same for the same seed and device.
    ///
    /// # Errors
    ///
    /// If the temperature is no number of 0 or more, the tensors were not such a model's, or the device is lost.
    pub fn draw(
        &self,
        device: &Device,
        count: usize,
        temperature: f32,
        seed: u64,
    ) -> Result<Vec<f32>> {
        let mut model = Model::new(device, &self.state, None)?;
        model.show(Shown::Drawn);
        // The first model may draw pixels by the seed, and its noise is to be another.
        model.reseed(!seed);
        let mut z = model.sample(count, temperature)?;
        let latent = self.means.len();
        z.iter_mut().enumerate().for_each(|(i, z)| {
            *z = *z * self.deviations[i % latent] + self.means[i % latent];
        });
        Ok(z)
    }

    /// The model as tensors: its weights, and `codes.mean` and `codes.deviation` (latent).
    #[must_use]
    pub fn tensors(&self) -> Vec<Weight> {
        let tensor = |key: &str, values: &[f32]| Weight {
            key: key.to_owned(),
            shape: vec![values.len()],
            values: values.to_vec(),
        };
        let mut all = self.state.tensors.clone();
        all.extend([tensor(MEANS, &self.means), tensor(DEVIATIONS, &self.deviations)]);
        all.sort_by(|a, b| a.key.cmp(&b.key));
        all
    }

    /// The model of such tensors, if they standardise codes of so many dimensions; whether the weights are its own
    /// is known when it first [draws](Self::draw).
    #[must_use]
    pub fn from_tensors(mut tensors: Vec<Weight>, latent: usize) -> Option<Self> {
        let mut taken = |key: &str| {
            let at = tensors.iter().position(|tensor| tensor.key == key)?;
            Some(tensors.swap_remove(at)).filter(|tensor| tensor.shape == [latent])
        };
        let (means, deviations) = (taken(MEANS)?.values, taken(DEVIATIONS)?.values);
        deviations.iter().all(|v| *v > 0.0).then_some(())?;
        let state = State::untrained(config(latent, 0, EPOCHS[0]), [1, latent], tensors);
        Some(Self { state, means, deviations })
    }
}

/// The configuration of the second VAE.
fn config(latent: usize, seed: u64, epochs: u64) -> Config {
    let mut config = Config::default();
    (config.model.encoder, config.model.decoder) = (HIDDEN.into(), HIDDEN.into());
    config.model.latent = latent;
    (config.model.likelihood, config.model.scale) = (Likelihood::Normal, Scale::Shared);
    config.optimizer.schedule = Schedule::Cosine;
    (config.train.seed, config.train.epochs) = (seed, epochs as usize);
    config
}

/// The mean of each dimension, and its deviation; 1 where all codes are alike.
fn moments(codes: &[f32], latent: usize) -> (Vec<f32>, Vec<f32>) {
    let count = (codes.len() / latent) as f64;
    let column = |at: usize| codes.iter().skip(at).step_by(latent).map(|&v| f64::from(v));
    let of = |at: usize| {
        let mean = column(at).sum::<f64>() / count;
        let variance = column(at).map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        let deviation = variance.sqrt() as f32;
        (mean as f32, if deviation > 0.0 { deviation } else { 1.0 })
    };
    (0..latent).map(of).unzip()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::Draw;

    /// Codes near a line, far from the prior and narrow in the last dimension.
    #[test]
    fn codes_are_learned_and_drawn() {
        let code = |place: u32| {
            let noise = Draw { place, seed: 3 }.normals::<f32>(4);
            let [x, y, z] = std::array::from_fn(|i| noise[0] + 0.2 * noise[i + 1]);
            [7.0 + 4.0 * x, y, 0.01 * z - 5.0]
        };
        let codes: Vec<f32> = (0..160).flat_map(code).collect();
        let device = Device::Cpu(0);
        let mut last = 0.0;
        let fitted = TwoStage::fit(&device, &codes, 3, 1, |share| last = share).expect("a fit");
        assert_eq!((last, fitted.epochs), (1.0, EPOCHS[1]), "all of it");
        assert!(fitted.elbo > fitted.prior + 10.0, "{} and {}", fitted.elbo, fitted.prior);
        let draw = |two_stage: &TwoStage, seed| two_stage.draw(&device, 500, 1.0, seed).expect("z");
        let z = draw(&fitted.two_stage, 4);
        // Means, deviations and correlations as of the codes, whose units differ.
        let column = |at: usize, mean: f64, deviation: f64| -> Vec<f64> {
            z.iter().skip(at).step_by(3).map(|&v| (f64::from(v) - mean) / deviation).collect()
        };
        let columns = [column(0, 7.0, 4.0), column(1, 0.0, 1.0), column(2, -5.0, 0.01)];
        let mean = |of: &mut dyn Iterator<Item = f64>| of.sum::<f64>() / 500.0;
        for (i, a) in columns.iter().enumerate() {
            assert!(mean(&mut a.iter().copied()).abs() < 0.3, "the mean of dimension {i}");
            for (j, b) in columns.iter().enumerate() {
                let product = mean(&mut a.iter().zip(b).map(|(a, b)| a * b));
                assert!((0.7..1.5).contains(&product), "dimensions {i} and {j}: {product}");
            }
        }
        let back = TwoStage::from_tensors(fitted.two_stage.tensors(), 3).expect("a model");
        assert_eq!(draw(&back, 4), z, "from its tensors");
        assert_ne!(draw(&back, 5), z, "another seed");
        assert!(TwoStage::from_tensors(fitted.two_stage.tensors(), 2).is_none(), "of 3 dimensions");
    }
}
