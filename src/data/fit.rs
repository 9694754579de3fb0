//! Whether pixels are what a likelihood, or the tossing of coins, has a meaning for.

use crate::config::{Likelihood, ModelConfig, Pixels, Support};
use crate::data::Dataset;
use crate::data::raw::Values;
use crate::error::{Error, ErrorKind, Result};

/// Whether pixels must be in [0, 1].
pub(super) fn must_be_unit(model: &ModelConfig, pixels: Pixels) -> bool {
    let unit = matches!(model.likelihood.support(), Support::Unit | Support::Levels);
    unit || pixels != Pixels::Grey
}

/// How far from its level a float may be.
const NEAR: f32 = 1e-6;

impl Dataset {
    /// Refuses data that a likelihood, or the tossing of coins, has no meaning for.
    ///
    /// # Errors
    ///
    /// If pixels leave [0, 1] where they must not, with the range that was seen; or if one is on no level, or
    /// is no count, where all must be, with the first such.
    pub fn check(&self, model: &ModelConfig, pixels: Pixels) -> Result<()> {
        let (likelihood, tossed) = (model.likelihood, pixels != Pixels::Grey);
        if !must_be_unit(model, pixels) {
            return match likelihood.support() {
                Support::Counts => self.check_counts(likelihood),
                _ => Ok(()),
            };
        }
        let (low, high) = self.range()?;
        if low < 0.0 || high > 1.0 {
            let what = format!("pixels go from {low} to {high}; ");
            let what = match tossed {
                true => what + "as probabilities of coins they must be in [0, 1]",
                false => format!("{what}the likelihood `{}` needs [0, 1]", likelihood.name()),
            };
            return Err(Error::new(ErrorKind::Data, what)
                .hint("scale the data, or add `--likelihood normal`, which takes any numbers"));
        }
        match likelihood.support() {
            // Coins are on the first and the last level.
            Support::Levels if !tossed => self.check_levels(likelihood, model.levels),
            _ => Ok(()),
        }
    }

    fn check_levels(&self, likelihood: Likelihood, levels: usize) -> Result<()> {
        let steps = levels - 1;
        let off = self.values.position(
            self.size.len(),
            |v| !(usize::from(v) * steps).is_multiple_of(255),
            |v| (v - (v * steps as f32).round() / steps as f32).abs() > NEAR,
        )?;
        let Some(at) = off else { return Ok(()) };
        let (found, name) = (self.at(at)?, likelihood.name());
        let what = format!(
            "{found}, on none of the {levels} levels k / {steps} that the likelihood `{name}` needs"
        );
        Err(Error::new(ErrorKind::Data, what).hint(
            "`--set model.levels=N` for the N levels of the data, or round the data, or take another `--likelihood`",
        ))
    }

    fn check_counts(&self, likelihood: Likelihood) -> Result<()> {
        let off = self.values.position(
            self.size.len(),
            |v| v != 0 && v != 255,
            |v| v < 0.0 || v != v.trunc(),
        )?;
        let Some(at) = off else { return Ok(()) };
        let (found, name) = (self.at(at)?, likelihood.name());
        let what = format!("{found}; the likelihood `{name}` needs counts: 0, 1, 2, …");
        Err(Error::new(ErrorKind::Data, what).hint(
            "give raw counts, not scaled and without a logarithm, and no `--range` that changes them; \
             `--likelihood normal --scale shared` takes any numbers",
        ))
    }

    /// What stands at a place, in words.
    fn at(&self, at: usize) -> Result<String> {
        let pixels = self.size.len();
        let (image, pixel) = (at / pixels, at % pixels);
        let value = match self.values.gather(pixels, &[image as u32])? {
            Values::Bytes(v) => format!("{} / 255", v[pixel]),
            Values::Floats(v) => v[pixel].to_string(),
        };
        Ok(format!("pixel {pixel} of image {image} is {value}"))
    }

    /// What should be known of losses on this data, if anything: that under a Bernoulli likelihood those
    /// of grey pixels are cross-entropies, which include the entropy of the targets, and no
    /// −log p of binary data.
    ///
    /// # Errors
    ///
    /// If the file that the images lie in cannot be read.
    pub fn notice(&self, model: &ModelConfig, pixels: Pixels) -> Result<Option<&'static str>> {
        if model.likelihood != Likelihood::Bernoulli || pixels != Pixels::Grey {
            return Ok(None);
        }
        let grey = self.values.position(
            self.size.len(),
            |v| v != 0 && v != 255,
            |v| v != 0.0 && v != 1.0,
        )?;
        Ok(grey.map(|_| {
            "note: pixels are grey, so the Bernoulli loss is a cross-entropy, not the negative log-likelihood of \
             binary data (`--pixels binarised` makes it one)"
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(likelihood: Likelihood, levels: usize) -> ModelConfig {
        ModelConfig { likelihood, levels, ..ModelConfig::default() }
    }

    fn floats(values: &[f32]) -> Dataset {
        Dataset::from_floats([1, 2], values.to_vec()).expect("finite floats")
    }

    /// Every family takes what it has a meaning for, and names what it has none for.
    #[test]
    fn every_likelihood_checks_its_pixels() {
        let (wide, unit) = (floats(&[0.5, 1.5]), floats(&[0.0, 0.3, 1.0, 0.3]));
        let levels = floats(&[0.0, 1.0, 2.0 / 3.0, 1.0 / 3.0 + 5e-7]);
        let bytes = Dataset::from_bytes([1, 2], vec![0, 255, 1, 85]).expect("bytes");
        for likelihood in Likelihood::ALL.into_iter().filter(|l| !l.is_of_counts()) {
            let (four, all) = (model(likelihood, 4), model(likelihood, 256));
            let fits = |data: &Dataset, model| data.check(model, Pixels::Grey);
            let support = likelihood.support();
            let refused = fits(&wide, &four).err().map(|e| e.to_string());
            assert_eq!(refused.is_none(), support == Support::Line, "{likelihood:?}: {refused:?}");
            assert!(
                refused.is_none_or(|e| e.contains("0.5 to 1.5")),
                "{likelihood:?} names the range"
            );
            assert!(fits(&levels, &four).is_ok(), "{likelihood:?}: levels of four");
            assert!(fits(&bytes, &all).is_ok(), "{likelihood:?}: bytes are levels");
            for (data, what) in
                [(&unit, "pixel 1 of image 0 is 0.3"), (&bytes, "pixel 0 of image 1 is 1 / 255")]
            {
                let refused = fits(data, &four).err().map(|e| e.to_string());
                assert_eq!(
                    refused.is_some(),
                    support == Support::Levels,
                    "{likelihood:?}: {refused:?}"
                );
                assert!(refused.is_none_or(|e| e.contains(what)), "{likelihood:?} names the pixel");
                for tossed in [Pixels::Binarised, Pixels::BinarisedOnce] {
                    assert!(data.check(&four, tossed).is_ok(), "{likelihood:?}: coins are levels");
                    assert!(wide.check(&four, tossed).is_err(), "{likelihood:?}: no probability");
                }
            }
        }
    }

    #[test]
    fn counts_are_whole_numbers_from_zero_on() {
        let taken = floats(&[0.0, 3.0, 12_000.0, 1.0]);
        let bytes = |last| Dataset::from_bytes([1, 2], vec![0, 255, 0, last]).expect("bytes");
        for likelihood in Likelihood::ALL.into_iter().filter(|l| l.is_of_counts()) {
            let check = |data: &Dataset| data.check(&model(likelihood, 256), Pixels::Grey);
            check(&taken).expect("counts");
            check(&bytes(255)).expect("0 and 1");
            for (data, what) in [
                (floats(&[0.0, 3.0, 2.0, 0.5]), "pixel 1 of image 1 is 0.5"),
                (floats(&[-1.0, 3.0]), "pixel 0 of image 0 is -1"),
                (bytes(7), "pixel 1 of image 1 is 7 / 255"),
            ] {
                let error = check(&data).expect_err(what);
                assert!(error.to_string().contains(what), "{likelihood:?}: {error}");
                assert!(error.to_string().contains(likelihood.name()), "{error}");
                assert!(error.advice().is_some_and(|hint| hint.contains("--range")), "{error}");
            }
        }
    }

    #[test]
    fn soft_targets_are_noticed() {
        let (grey, black) = (floats(&[0.0, 0.3]), floats(&[0.0, 1.0]));
        let bernoulli = model(Likelihood::Bernoulli, 256);
        let noticed = |data: &Dataset, model: &ModelConfig, pixels| {
            data.notice(model, pixels).expect("pixels in memory").is_some()
        };
        assert!(noticed(&grey, &bernoulli, Pixels::Grey), "grey pixels");
        assert!(!noticed(&black, &bernoulli, Pixels::Grey), "black and white ones");
        assert!(!noticed(&grey, &bernoulli, Pixels::Binarised), "coins");
        assert!(!noticed(&grey, &model(Likelihood::Normal, 256), Pixels::Grey), "a density");
    }
}
