//! The prior of a model: what is drawn from it, and the components of one that was learned.

use std::cmp::Ordering;

use crate::engine::Record;
use crate::error::{Error, Result};
use crate::evaluate::{Model, check_temperature, stream};
use crate::kernels::philox::{key, philox, purpose};
use crate::model::Use;
use crate::model::prior::{LOGITS, PSEUDO_INPUTS, pseudo_image};

/// The components of a learned prior, a mixture Σ πₖ N(μₖ, σₖ²) of normals of independent dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct Components {
    /// Dimensions of z.
    pub latent: usize,
    /// πₖ (components), which add up to 1.
    pub weights: Vec<f64>,
    /// μₖ (components, latent).
    pub means: Vec<f64>,
    /// log σₖ² (components, latent), within their bounds.
    pub log_vars: Vec<f64>,
}

impl Components {
    /// Those of logits, and of rows [μ | log σ²] of 2 · `latent` numbers.
    fn new(latent: usize, logits: &[f32], parts: &[f32]) -> Self {
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let each = logits.iter().map(|&logit| f64::from(logit - most).exp());
        let sum: f64 = each.clone().sum();
        let (lowest, highest) = crate::config::LOG_VAR_BOUNDS;
        let of = |half: usize| {
            let rows = parts.chunks(2 * latent);
            rows.flat_map(move |row| &row[half * latent..][..latent]).copied()
        };
        Self {
            latent,
            weights: each.map(|one| one / sum).collect(),
            means: of(0).map(f64::from).collect(),
            log_vars: of(1).map(|v| f64::from(v.clamp(lowest, highest))).collect(),
        }
    }

    /// Makes standard normals z of the places from `first` on (images, latent) draws of the mixture.
    fn take(&self, z: &mut [f32], first: usize, seed: u64) {
        for (place, z) in z.chunks_mut(self.latent).enumerate() {
            let purpose = 16 * stream::PRIOR + purpose::COMPONENT;
            let [high, low, ..] = philox([0, (first + place) as u32, 0, purpose], key(seed));
            let word = (u64::from(high) << 32 | u64::from(low)) >> 11;
            let k = self.at(word as f64 / (1_u64 << 53) as f64);
            for (j, z) in z.iter_mut().enumerate() {
                let at = k * self.latent + j;
                let deviation = (0.5 * self.log_vars[at]).exp();
                *z = (self.means[at] + deviation * f64::from(*z)) as f32;
            }
        }
    }

    /// The component that a uniform number in [0, 1) falls to.
    fn at(&self, mut left: f64) -> usize {
        let found = self.weights.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        // By rounding the weights may add up to a little less than 1.
        found.unwrap_or(self.weights.len() - 1)
    }

    /// μ and log σ² of each component in a dimension, with its weight.
    fn along(&self, j: usize) -> impl Iterator<Item = [f64; 3]> {
        let own = move |of: &[f64], k: usize| of[k * self.latent + j];
        let all = self.weights.iter().enumerate();
        all.map(move |(k, &weight)| [weight, own(&self.means, k), own(&self.log_vars, k)])
    }

    /// The mean and the deviation of each dimension of z, whatever the others are (latent each).
    #[must_use]
    pub fn moments(&self) -> [Vec<f32>; 2] {
        let of = |j: usize| {
            let mean: f64 = self.along(j).map(|[weight, mu, _]| weight * mu).sum();
            let around = |[weight, mu, v]: [f64; 3]| weight * (v.exp() + (mu - mean).powi(2));
            (mean as f32, self.along(j).map(around).sum::<f64>().sqrt() as f32)
        };
        let (means, deviations) = (0..self.latent).map(of).unzip();
        [means, deviations]
    }

    /// log p of a number as dimension j of z, in nats, whatever the others are.
    #[must_use]
    pub fn log_density(&self, j: usize, z: f64) -> f64 {
        let term = |[weight, mu, log_var]: [f64; 3]| weight.ln() + log_normal(z, mu, log_var);
        let most = self.along(j).map(term).fold(f64::NEG_INFINITY, f64::max);
        most + self.along(j).map(|one| (term(one) - most).exp()).sum::<f64>().ln()
    }
}

/// log N(z; μ, σ²), in nats.
pub(super) fn log_normal(z: f64, mu: f64, log_var: f64) -> f64 {
    let tau = std::f64::consts::TAU.ln();
    -0.5 * ((z - mu).powi(2) / log_var.exp() + log_var + tau)
}

impl Model {
    /// The components of the prior, if it is learned.
    ///
    /// # Errors
    ///
    /// If the device is lost.
    pub fn components(&mut self) -> Result<Option<Components>> {
        if self.vae.ports.components.is_none() {
            return Ok(None);
        }
        self.run_one(Use::Prior, self.place(0..1))?;
        self.known_components()
    }

    /// The components that a program has made.
    pub(super) fn known_components(&mut self) -> Result<Option<Components>> {
        let Some(parts) = self.vae.ports.components else { return Ok(None) };
        let logits = match self.vae.parameters.named(LOGITS) {
            Some(parameter) => self.session.read(parameter.in_use())?,
            None => vec![0.0; parts.rows()],
        };
        let parts = self.session.read(parts)?;
        Ok(Some(Components::new(self.config.model.highest_latent(), &logits, &parts)))
    }

    /// The pseudo-inputs of a `VampPrior` as images (components, pixels), if the prior is one.
    ///
    /// # Errors
    ///
    /// If the device is lost.
    pub fn pseudo_inputs(&mut self) -> Result<Option<Vec<f32>>> {
        let Some(own) = self.vae.parameters.named(PSEUDO_INPUTS) else { return Ok(None) };
        let values = self.session.read(own.in_use())?;
        let support = self.config.model.likelihood.support();
        Ok(Some(values.into_iter().map(|value| pseudo_image(support, value)).collect()))
    }

    /// z of the prior, whose deviation, or that of each component of a learned one, is multiplied by `temperature`,
    /// (count, latent): what [`sample`](Self::sample) decodes. The same for the same [seed](Self::reseed), and each z a
    /// function of its place alone, so that more of them begin with the same.
    ///
    /// # Errors
    ///
    /// If the temperature is no number of 0 or more, the model has no prior, or the device is lost.
    pub fn prior(&mut self, count: usize, temperature: f32) -> Result<Vec<f32>> {
        self.prior_by_level(count, &vec![temperature; self.config.model.latents().len()])
    }

    /// The same with a temperature for each level of z, from below upwards.
    ///
    /// # Errors
    ///
    /// As [`prior`](Self::prior), or if there are not as many temperatures as levels.
    pub fn prior_by_level(&mut self, count: usize, temperatures: &[f32]) -> Result<Vec<f32>> {
        self.config.check_prior()?;
        temperatures.iter().try_for_each(|&t| check_temperature(t))?;
        let levels = self.config.model.latents().len();
        let Some((&highest, lower)) =
            temperatures.split_last().filter(|_| temperatures.len() == levels)
        else {
            let what = format!("{} temperatures, and z has {levels} levels", temperatures.len());
            return Err(Error::config(what)
                .hint("give one for each level, from below upwards, or one for all"));
        };
        let mut noise = self.noise(count)?;
        for (noise, temperature) in noise.iter_mut().zip(lower) {
            noise.iter_mut().for_each(|v| *v *= temperature);
        }
        let z = &mut noise[levels - 1];
        z.iter_mut().for_each(|z| *z *= highest);
        if let Some(components) = self.known_components()? {
            components.take(z, 0, self.seed());
        }
        self.descend(&noise)
    }

    /// The standard normals that z of the prior is made of, level by level from below upwards, each (count, its latent).
    fn noise(&mut self, count: usize) -> Result<Vec<Vec<f32>>> {
        let ports = &self.vae.ports;
        let highest = ports.above.last().map_or(ports.z, |level| level.z);
        let all = std::iter::once(ports.eps).chain(ports.above.iter().map(|level| level.eps));
        let mut tensors: Vec<_> = all.collect();
        tensors.pop();
        tensors.push(highest);
        let mut all = vec![Vec::new(); tensors.len()];
        for part in self.batches(0..count) {
            let rows = part.len();
            let record =
                Record { stream: stream::PRIOR, step: 0, seed: self.seed(), ..self.place(part) };
            self.run_one(Use::Prior, record)?;
            for (all, tensor) in all.iter_mut().zip(&tensors) {
                all.extend(self.session.read(tensor.first_rows(rows))?);
            }
        }
        Ok(all)
    }

    /// From z of the highest level (count, its latent), which comes last, by standard normals of each level below, from below
    /// upwards, to the z that the decoder takes (count, latent): that of level l is μ + σ ε, of the normal that the level
    /// above makes. Of a model of one level it is what was given.
    ///
    /// # Errors
    ///
    /// If these are not as many rows of finite numbers for each level, or the device is lost.
    pub fn descend(&mut self, levels: &[Vec<f32>]) -> Result<Vec<f32>> {
        let ports = self.vae.ports.clone();
        let above = ports.above.iter().map(|level| (level.eps, level.z));
        let places: Vec<_> = std::iter::once((ports.eps, ports.z)).chain(above).collect();
        let count = levels.first().map_or(0, Vec::len) / ports.z.cols();
        let fit = levels.iter().zip(&places).all(|(own, (_, z))| own.len() == count * z.cols());
        if levels.len() != places.len() || !fit || levels.iter().flatten().any(|v| !v.is_finite()) {
            let of: Vec<_> = places.iter().map(|(_, z)| z.cols().to_string()).collect();
            let what = format!("rows that are not {} finite numbers by level", of.join(", "));
            return Err(Error::config(what).hint("give as many rows for each level of z"));
        }
        let Some((highest, lower)) = levels.split_last().filter(|(_, lower)| !lower.is_empty())
        else {
            return Ok(levels.concat());
        };
        let mut made = Vec::new();
        for part in self.batches(0..count) {
            let rows = part.len();
            let of =
                |values: &[f32], cols: usize| values[part.start * cols..part.end * cols].to_vec();
            let top = places[places.len() - 1].1;
            self.session.write(top.first_rows(rows), &of(highest, top.cols()))?;
            for (noise, (eps, _)) in lower.iter().zip(&places) {
                self.session.write(eps.first_rows(rows), &of(noise, eps.cols()))?;
            }
            self.run_one(Use::Descend, self.place(0..rows))?;
            made.extend(self.session.read(ports.z.first_rows(rows))?);
        }
        Ok(made)
    }

    /// What each level of z decides, from the highest down, (levels, count, pixels) as is [shown](Self::show): of one draw of
    /// the prior each row of images takes what is above its level, draws the level anew for each image but the first, and has
    /// those below at their means. Of a conditional model all are of the class `told`.
    ///
    /// # Errors
    ///
    /// If the model has no prior, is conditional and no class was told or one that it does not know, or the device is lost.
    pub fn decisions(&mut self, count: usize, told: Option<u8>) -> Result<Vec<f32>> {
        self.config.check_prior()?;
        let mut drawn = self.noise(count)?;
        if let (Some(components), Some(z)) = (self.known_components()?, drawn.last_mut()) {
            components.take(z, 0, self.seed());
        }
        let classes = told.map(|class| vec![class; count]);
        let mut images = Vec::new();
        for level in (0..drawn.len()).rev() {
            let rows = |(at, own): (usize, &Vec<f32>)| match at.cmp(&level) {
                Ordering::Less => vec![0.0; own.len()],
                Ordering::Equal => own.clone(),
                Ordering::Greater => own[..own.len() / count].repeat(count),
            };
            let noise: Vec<_> = drawn.iter().enumerate().map(rows).collect();
            let z = self.descend(&noise)?;
            images.extend(match &classes {
                Some(classes) => self.decode_of(&z, classes)?,
                None => self.decode(&z)?,
            });
        }
        Ok(images)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: ½ N(1; 0, 1) + ½ N(1; 2, e²).
    #[test]
    fn a_dimension_has_the_density_of_its_components() {
        let logits = [2.0; 2];
        let parts = [5.0, 0.0, 9.0, 0.0, 6.0, 2.0, 9.0, 2.0];
        let of = Components::new(2, &logits, &parts);
        let normal = |off: f64, deviation: f64| {
            (-0.5 * (off / deviation).powi(2)).exp() / deviation / std::f64::consts::TAU.sqrt()
        };
        let e = 1.0_f64.exp();
        let expected = 0.5 * normal(1.0, 1.0) + 0.5 * normal(-1.0, e);
        let found = of.log_density(1, 1.0).exp();
        assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
        // ½ · 0 + ½ · 2, and ½ (1 + 1) + ½ (e² + 1).
        let variance = 0.5 * 2.0 + 0.5 * (e * e + 1.0);
        let [means, deviations] = of.moments();
        let off = (f64::from(deviations[1]).powi(2) - variance).abs();
        assert!(means == [5.5, 1.0] && off < 1e-5, "{means:?}, {deviations:?}");
        assert_eq!([0.0, 0.4999, 0.5001, 0.9999, 1.0].map(|u| of.at(u)), [0, 0, 1, 1, 1]);
    }
}
