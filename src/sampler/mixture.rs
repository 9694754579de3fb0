//! A mixture of normal distributions with full covariances, fitted to codes.

use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use crate::checkpoint::Weight;
use crate::error::{Error, ErrorKind, Result};
use crate::sampler::centres::{centres, nearest};
use crate::sampler::expectation::{Codes, Component, log_likelihood, maximised, turn};
use crate::sampler::{Draw, check, divided, prior_log_likelihood};

/// The numbers of components that are usually tried.
pub const COMPONENTS: [usize; 6] = [1, 2, 5, 10, 20, 50];

/// Turns of expectation and maximisation at the most, and the growth of the mean log-likelihood, in nats,
/// below which they end: those of scikit-learn.
const TURNS: usize = 100;
const TOLERANCE: f64 = 1e-3;

/// What is added to each variance of a component, as a share of the codes' mean variance.
const FLOOR: f64 = 1e-6;

/// Codes for each component at the least, where the numbers to try were not asked for by name.
const EACH: usize = 20;

/// A mixture Σ πₖ N(μₖ, Σₖ) of normal distributions over z, each with a covariance of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    components: Vec<Component>,
}

/// How likely codes that were held out are under a mixture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tried {
    /// Its components.
    pub components: usize,
    /// Their mean log-density, in nats per code.
    pub log_likelihood: f64,
}

/// The mixture that was chosen, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The one under which codes that were held out are the likeliest.
    pub mixture: Mixture,
    /// All that were tried, in the order of their components.
    pub tried: Vec<Tried>,
    /// The mean log-density of the same codes under the prior N(0, I), in nats per code.
    pub prior: f64,
}

impl Mixture {
    /// Fits a mixture of each of these numbers of components to nine tenths of the codes, rows of `latent`
    /// numbers in any unit, and takes the one under which the last tenth is the likeliest, as Ghosh et al. 2020,
    /// section 4, sample a deterministic autoencoder. Components begin by k-means++ (Arthur and Vassilvitskii
    /// 2007), and expectation and maximisation (Dempster et al. 1977) move them. A number that
    /// leaves fewer than 20 codes for each component is left out, unless it is the only one. `done` is told
    /// each that was tried. The same for the same codes and seed.
    ///
    /// # Errors
    ///
    /// If there are fewer than twenty codes, one is not finite, a number of components is 0 or more than the
    /// codes that are fitted to, or all codes are alike.
    pub fn fit(
        codes: &[f32],
        latent: usize,
        components: &[usize],
        seed: u64,
        mut done: impl FnMut(Tried),
    ) -> Result<Fitted> {
        check(codes, latent)?;
        let [fit, held] = divided(codes, latent, seed);
        let [fit, others] = [&fit, &held].map(|codes| Codes::new(codes, latent));
        let floor = FLOOR * mean_variance(&fit)?;
        let mut best: Option<(f64, Self)> = None;
        let mut tried = Vec::new();
        for &count in components {
            if count == 0 || count > fit.count() {
                let what = format!("{count} components for {} codes", fit.count());
                return Err(Error::config(what).hint("1, 2, 5, 10, 20 and 50 are usual"));
            }
            if components.len() > 1 && count > 1 && count * EACH > fit.count() {
                continue;
            }
            let mixture = Self::with(&fit, count, floor, seed)?;
            let likelihood = log_likelihood(&mixture.components, &others)?;
            let this = Tried { components: count, log_likelihood: likelihood };
            done(this);
            tried.push(this);
            if best.as_ref().is_none_or(|(highest, _)| likelihood > *highest) {
                best = Some((likelihood, mixture));
            }
        }
        let (_, mixture) = best.ok_or_else(|| {
            Error::config("no number of components to try").hint("give one or more")
        })?;
        Ok(Fitted { mixture, tried, prior: prior_log_likelihood(&held, latent) })
    }

    /// A mixture of so many components.
    fn with(codes: &Codes, count: usize, floor: f64, seed: u64) -> Result<Self> {
        let centres = centres(codes, count, seed);
        let even = |mean| Component::round(mean, 1.0 / count as f64);
        let mut components: Vec<_> = centres.iter().cloned().map(even).collect();
        let nearest = nearest(codes, &centres);
        // The first ones are those of the codes that are nearest to each centre.
        components = maximised(&components, codes, floor, |part, first| {
            let mut shares = vec![vec![0.0; part.ncols()]; count];
            (0..part.ncols()).for_each(|i| shares[nearest[first + i].0][i] = 1.0);
            Ok(shares)
        })?;
        let mut before = f64::NEG_INFINITY;
        for _ in 0..TURNS {
            let (next, likelihood) = turn(&components, codes, floor)?;
            components = next;
            if likelihood - before < TOLERANCE {
                break;
            }
            before = likelihood;
        }
        Ok(Self { components })
    }

    /// The number of components.
    #[must_use]
    pub fn components(&self) -> usize {
        self.components.len()
    }

    /// The dimensions of z.
    #[must_use]
    pub fn latent(&self) -> usize {
        self.components[0].mean.len()
    }

    /// The mean log-density of codes, rows of as many numbers as [`latent`](Self::latent), in nats per code.
    ///
    /// # Errors
    ///
    /// If the codes are no whole number of rows, or a covariance has no inverse.
    pub fn log_likelihood(&self, codes: &[f32]) -> Result<f64> {
        let latent = self.latent();
        if codes.is_empty() || !codes.len().is_multiple_of(latent) {
            let what = format!("{} numbers are no codes of {latent} dimensions", codes.len());
            return Err(Error::new(ErrorKind::Data, what).hint("give codes of the same model"));
        }
        log_likelihood(&self.components, &Codes::new(codes, latent))
    }

    /// z (count, latent) drawn from the mixture, each component's deviations multiplied by `temperature`. The
    /// same for the same seed, whatever the count.
    #[must_use]
    pub fn draw(&self, count: usize, temperature: f64, seed: u64) -> Vec<f32> {
        let each = (0..count as u32).into_par_iter().flat_map_iter(|place| {
            let draw = Draw { place, seed };
            let mut left = draw.uniform();
            let chosen = self.components.iter().find(|component| {
                left -= component.weight;
                left < 0.0
            });
            // By rounding the weights may add up to a little less than 1.
            let component = chosen.unwrap_or(&self.components[self.components.len() - 1]);
            let noise = DVector::from_vec(draw.normals::<f64>(self.latent()));
            let z = &component.mean + &component.factor * noise * temperature;
            z.iter().map(|&v| v as f32).collect::<Vec<_>>()
        });
        each.collect()
    }

    /// The mixture as tensors: `weights` (components), `means` (components, latent) and `factors`
    /// (components, latent, latent), the lower Cholesky factors of the covariances.
    #[must_use]
    pub fn tensors(&self) -> Vec<Weight> {
        let (count, latent) = (self.components(), self.latent());
        let all = |of: &dyn Fn(&Component) -> Vec<f64>| -> Vec<f32> {
            self.components.iter().flat_map(of).map(|v| v as f32).collect()
        };
        // nalgebra keeps columns together, files keep rows.
        let rows = |c: &Component| c.factor.transpose().as_slice().to_vec();
        let tensor = |key: &str, shape: &[usize], values| Weight {
            key: key.to_owned(),
            shape: shape.to_vec(),
            values,
        };
        vec![
            tensor("factors", &[count, latent, latent], all(&rows)),
            tensor("means", &[count, latent], all(&|c| c.mean.as_slice().to_vec())),
            tensor("weights", &[count], all(&|c| vec![c.weight])),
        ]
    }

    /// The mixture of such tensors, if they are one: weights of 0 or more with a sum of 1, factors with a
    /// positive diagonal.
    #[must_use]
    pub fn from_tensors(tensors: &[Weight]) -> Option<Self> {
        let named = |key: &str| tensors.iter().find(|tensor| tensor.key == key);
        let [factors, means, weights] = [named("factors")?, named("means")?, named("weights")?];
        let &[count, latent] = means.shape.as_slice() else { return None };
        let shapes = weights.shape == [count] && factors.shape == [count, latent, latent];
        if !shapes || count == 0 || latent == 0 {
            return None;
        }
        let wide = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
        let component = |at: usize| Component {
            weight: f64::from(weights.values[at]),
            mean: DVector::from_vec(wide(&means.values[at * latent..][..latent])),
            factor: DMatrix::from_row_slice(
                latent,
                latent,
                &wide(&factors.values[at * latent * latent..][..latent * latent]),
            ),
        };
        let components: Vec<_> = (0..count).map(component).collect();
        let sum: f64 = components.iter().map(|c| c.weight).sum();
        let fits = |c: &Component| c.weight >= 0.0 && c.factor.diagonal().iter().all(|v| *v > 0.0);
        ((sum - 1.0).abs() < 1e-4 && components.iter().all(fits)).then_some(Self { components })
    }
}

/// The mean over dimensions of the codes' variance.
fn mean_variance(codes: &Codes) -> Result<f64> {
    let count = codes.count() as f64;
    let mean = codes.parts().iter().map(DMatrix::column_sum).sum::<DVector<f64>>() / count;
    let squares: f64 = codes
        .parts()
        .iter()
        .flat_map(|part| part.column_iter().map(|code| (code - &mean).norm_squared()))
        .sum();
    let variance = squares / count / mean.len() as f64;
    match variance.is_finite() && variance > 0.0 {
        true => Ok(variance),
        false => Err(Error::new(ErrorKind::Numbers, "all codes are the same")
            .hint("the encoder tells images apart by nothing; train longer, or with a smaller β")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::golden::{assert_near, count, features, golden, number, numbers};

    #[test]
    fn turns_are_those_of_scikit_learn() {
        let all = golden("mixtures");
        for case in all.as_array().expect("cases") {
            let [seed, rows, columns, components, turns] =
                ["seed", "rows", "columns", "components", "turns"].map(|key| count(case, key));
            let mut x = features(seed as u64, rows, columns);
            x[..rows / 3 * columns].iter_mut().for_each(|v| *v += 1.5);
            let codes = Codes::new(&x, columns);
            let weight = 1.0 / components as f64;
            let first = |i| Component::round(codes.code(i * (rows / components)), weight);
            let mut mixture: Vec<_> = (0..components).map(first).collect();
            for _ in 0..turns {
                mixture = turn(&mixture, &codes, number(case, "floor")).expect("a turn").0;
            }
            let found = |of: &dyn Fn(&Component) -> Vec<f64>| -> Vec<f64> {
                mixture.iter().flat_map(of).collect()
            };
            let covariance = |c: &Component| (&c.factor * c.factor.transpose()).as_slice().to_vec();
            for (key, found) in [
                ("weights", found(&|c| vec![c.weight])),
                ("means", found(&|c| c.mean.as_slice().to_vec())),
                ("covariances", found(&covariance)),
            ] {
                assert_near(&found, &numbers(&case[key]), 1e-9, key);
            }
            let likelihood = Mixture { components: mixture }.log_likelihood(&x).expect("a mean");
            assert_near(&[likelihood], &[number(case, "likelihood")], 1e-9, "likelihood");
        }
    }

    /// Three heaps that are far apart, of three sizes.
    fn heaps() -> Vec<f32> {
        let code = |i: u32| {
            let heap = [0, 0, 0, 1, 1, 2][i as usize % 6];
            let noise = Draw { place: i, seed: 9 }.normals::<f32>(2);
            let [x, y] = [[0.0, 0.0], [20.0, 0.0], [0.0, 30.0]][heap];
            [x + noise[0], y + 2.0 * noise[1] + noise[0]]
        };
        (0..3000).flat_map(code).collect()
    }

    #[test]
    fn heaps_are_found_and_drawn() {
        let codes = heaps();
        let mut told = Vec::new();
        let fitted = Mixture::fit(&codes, 2, &[1, 2, 3], 1, |tried| told.push(tried));
        let fitted = fitted.expect("a fit");
        assert_eq!(told, fitted.tried, "each is told");
        assert_eq!(fitted.mixture.components(), 3, "{told:?}");
        let mut weights: Vec<_> = fitted.mixture.components.iter().map(|c| c.weight).collect();
        weights.sort_by(f64::total_cmp);
        assert_near(&weights, &[1.0 / 6.0, 1.0 / 3.0, 0.5], 0.02, "weights");
        // −½ log (2π)² |Σ| − 1 of a heap, |Σ| being 4, and the entropy of which heap.
        let entropy: f64 = weights.iter().map(|w| -w * w.ln()).sum();
        let expected = -(2.0 * std::f64::consts::PI).ln() - 2.0_f64.ln() - 1.0 - entropy;
        assert!((told[2].log_likelihood - expected).abs() < 0.15, "{told:?}, not {expected}");
        let z = fitted.mixture.draw(20_000, 1.0, 4);
        let share = z.chunks(2).filter(|z| z[1] > 15.0).count() as f64 / 20_000.0;
        assert!((share - 1.0 / 6.0).abs() < 0.01, "{share} of the third heap");
        assert_eq!(fitted.mixture.draw(10, 1.0, 4), z[..20], "whatever the count");
        assert_ne!(fitted.mixture.draw(10, 1.0, 5), z[..20], "another seed");
        let cold = fitted.mixture.draw(10, 0.0, 4);
        let is_mean = |z: &[f32]| {
            fitted
                .mixture
                .components
                .iter()
                .any(|c| (c.mean[0] as f32, c.mean[1] as f32) == (z[0], z[1]))
        };
        assert!(cold.chunks(2).all(is_mean), "without temperature, the means");
        let again = Mixture::fit(&codes, 2, &[1, 2, 3], 1, |_| ()).expect("a fit");
        assert_eq!(again, fitted, "the same codes and seed");
    }

    /// The deviations of what is drawn are those that the covariances say, across dimensions too.
    #[test]
    fn draws_have_the_covariance() {
        let codes = heaps();
        let one: Vec<f32> = codes.chunks(2).step_by(6).flatten().copied().collect();
        let fitted = Mixture::fit(&one, 2, &[1], 1, |_| ()).expect("a fit");
        let z = fitted.mixture.draw(40_000, 2.0, 3);
        let mean = |of: fn(&[f32]) -> f32| z.chunks(2).map(|z| f64::from(of(z))).sum::<f64>() / 4e4;
        let moments = [mean(|z| z[0] * z[0]), mean(|z| z[0] * z[1]), mean(|z| z[1] * z[1])];
        assert_near(&moments, &[4.0, 4.0, 20.0], 0.15, "twice the deviations 1, 1 and √5");
    }

    #[test]
    fn tensors_come_back() {
        let mixture = Mixture::fit(&heaps(), 2, &[2], 1, |_| ()).expect("a fit").mixture;
        let back = Mixture::from_tensors(&mixture.tensors()).expect("a mixture");
        let [a, b] = [&mixture, &back].map(|m| m.draw(50, 1.0, 2));
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-4), "but for rounding to f32");
        let again = Mixture::from_tensors(&back.tensors()).expect("a mixture");
        assert_eq!(again, back, "what was rounded stays");
        for at in 0..3 {
            let mut broken = mixture.tensors();
            broken[at].values[0] = -1.0;
            assert_eq!(Mixture::from_tensors(&broken).is_none(), at != 1, "tensor {at}");
            broken.remove(at);
            assert!(Mixture::from_tensors(&broken).is_none(), "without tensor {at}");
        }
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let says = |codes: &[f32], latent, components: &[usize], what: &str| {
            let error = Mixture::fit(codes, latent, components, 0, |_| ()).expect_err(what);
            assert!(error.to_string().contains(what), "`{error}` does not say `{what}`");
            assert!(error.advice().is_some(), "`{error}` has no hint");
        };
        let mut codes = heaps();
        says(&codes[..38], 2, &[1], "expected 20 codes or more of 2 dimensions");
        says(&codes[..41], 2, &[1], "41 numbers");
        says(&codes[..60], 2, &[28], "28 components for 27 codes");
        says(&codes[..60], 2, &[0], "0 components");
        says(&[2.0; 60], 2, &[1], "all codes are the same");
        codes[7] = f32::NAN;
        says(&codes, 2, &[1], "dimension 1 of code 3 is NaN");
    }
}
