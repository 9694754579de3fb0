//! Judges a configuration: with the rules of each table, the only place where a user's numbers are.

use std::fmt::Display;

use crate::config::{Config, Gradient, MOST, ObjectiveConfig, Pixels, Posterior};
use crate::error::{Error, Result};

impl Config {
    /// Judges every number, so that nothing after this has to.
    ///
    /// # Errors
    ///
    /// A [`Config`](crate::error::ErrorKind::Config) error that names the field, its value and the
    /// rule it breaks.
    pub fn validate(&self) -> Result<()> {
        self.model.validate()?;
        self.objective.validate()?;
        if !self.model.posterior.is_density() {
            self.objective.has_no_divergence()?;
        }
        self.has_formula()?;
        self.optimizer.validate()?;
        self.data.validate()?;
        self.train.validate()?;
        self.counts()?;
        self.in_parts()
    }

    /// Refuses a KL divergence by its formula where there is none, and gradients that levels of z have not.
    fn has_formula(&self) -> Result<()> {
        let weighs = self.objective.weighs();
        let levels = self.model.above.len() + 1;
        // Of a level they are of the samples' mean; of a dimension the formula is needed.
        let free = self.objective.free_bits > 0.0;
        let one = self.objective.importance == 1;
        has_effect("free-bits", !free || one, "`importance = 1`")?;
        let can = levels > 1 || !weighs;
        has_effect("free-bits", !free || can, "`kl = \"analytic\"`, or several levels of z")?;
        if levels > 1 && weighs && self.objective.gradient != Gradient::Standard {
            let what = format!("`gradient` is not standard, and z has {levels} levels (`above`)");
            return Err(Error::config(what).hint(
                "the posterior of a level hangs on the z below, which is no parameter of it: leave `gradient` out",
            ));
        }
        if self.model.kl_has_formula() || weighs {
            return Ok(());
        }
        let family = self.model.posterior;
        let of = match levels {
            _ if family != Posterior::Normal => format!("of the posterior `{}`", family.name()),
            1 => format!("from the prior `{}`", self.model.prior.name()),
            _ => format!("of z of {levels} levels (`above`)"),
        };
        let what = format!("`kl` is analytic, and the KL divergence {of} has no formula");
        Err(Error::config(what).hint("add `--set objective.kl=sampled`, or `--importance` above 1"))
    }

    /// Refuses to toss coins for pixels that are counts, and to change these as if they were images.
    fn counts(&self) -> Result<()> {
        let likelihood = self.model.likelihood;
        if !likelihood.is_of_counts() {
            return Ok(());
        }
        let name = likelihood.name();
        if let Some(key) = self.train.augments().first() {
            let what = format!("`{key}` changes images, and the likelihood `{name}` is of counts");
            return Err(Error::config(what).hint("leave it out, or choose another `--likelihood`"));
        }
        if self.train.pixels == Pixels::Grey {
            return Ok(());
        }
        let what = format!("`pixels` binarises, and the likelihood `{name}` is of counts");
        Err(Error::config(what).hint("leave out `--pixels`, or add `--likelihood bernoulli`"))
    }

    /// Refuses what needs statistics of a whole minibatch where that is computed in parts.
    fn in_parts(&self) -> Result<()> {
        let &ObjectiveConfig { free_bits, capacity, total_correlation, mmd, .. } = &self.objective;
        for (name, set) in [
            ("free-bits", free_bits > 0.0),
            ("capacity", capacity > 0.0),
            ("total-correlation", total_correlation != 1.0),
            ("mmd", mmd > 0.0),
        ] {
            if set && self.train.accumulate > 1 {
                let what = format!("`{name}` needs a whole minibatch, and `accumulate` divides it");
                return Err(Error::config(what).hint("leave out one of the two"));
            }
        }
        Ok(())
    }
}

const HINT: &str = "`elbo config` prints its default and what it means";

pub(super) fn fail(name: &str, value: &dyn Display, rule: &str) -> Result<()> {
    Err(Error::config(format!("`{name}` is {value}; it must be {rule}")).hint(HINT))
}

pub(super) fn size(name: &str, value: usize) -> Result<()> {
    count(name, value, 1, MOST)
}

pub(super) fn count(name: &str, value: usize, fewest: usize, most: usize) -> Result<()> {
    if (fewest..=most).contains(&value) {
        return Ok(());
    }
    fail(name, &value, &format!("between {fewest} and {most}"))
}

pub(super) fn within(name: &str, value: f64, low: f64, high: f64) -> Result<()> {
    if value.is_finite() && value >= low && value < high {
        return Ok(());
    }
    fail(name, &value, &format!("a number from {low} to below {high}"))
}

/// Refuses what would be ignored: a setting is the default's, or what it belongs to is asked for.
pub(super) fn has_effect(name: &str, effect: bool, needs: &str) -> Result<()> {
    if effect {
        return Ok(());
    }
    Err(Error::config(format!("`{name}` is set, but it does nothing without {needs}"))
        .hint("leave it out, or set that too"))
}

/// Refuses two settings that cannot both be meant.
pub(super) fn apart(name: &str, other: &str, both: bool) -> Result<()> {
    if !both {
        return Ok(());
    }
    Err(Error::config(format!("`{name}` and `{other}` are both set"))
        .hint("each takes the other's place: choose one"))
}

pub(super) fn positive(name: &str, value: f64, below: f64) -> Result<()> {
    // Below the smallest normal f32 a value would reach the device as zero.
    if value.is_finite() && value >= f64::from(f32::MIN_POSITIVE) && value < below {
        return Ok(());
    }
    // Of the largest f32 all digits would say no more.
    let below = if below > 1e30 { format!("{below:.1e}") } else { format!("{below:e}") };
    fail(name, &value, &format!("positive and below {below}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        Corruption, Entry, Init, KlEstimate, Layer, Layers, Level, Likelihood, Mean, OutputBias,
        Prior, Rule, Scale,
    };

    type Spoil = fn(&mut Config);

    fn level(latent: usize) -> Level {
        Level { encoder: [3].into(), latent, decoder: [3].into() }
    }

    /// What must be named, and what spoils it.
    const CASES: &[(&str, Spoil)] = &[
        ("batch-size", |c| c.train.batch_size = 0),
        ("latent", |c| c.model.latent = 0),
        ("lr", |c| c.optimizer.lr = f64::NAN),
        ("lr", |c| c.optimizer.lr = -1.0),
        ("lr", |c| c.optimizer.lr = 1e-60),
        ("encoder", |c| c.model.encoder = [1 << 31].into()),
        ("beta2", |c| c.optimizer.beta2 = 1.0),
        ("epochs", |c| c.train.epochs = usize::MAX),
        ("evaluate-every", |c| c.train.evaluate_every = 0),
        ("clip-norm", |c| c.optimizer.clip_norm = 1e-46),
        ("clip-norm", |c| (c.optimizer.clip_norm, c.optimizer.normalise) = (1.0, true)),
        ("normalise", |c| (c.optimizer.clip_norm, c.optimizer.normalise) = (1.0, true)),
        ("momentum", |c| c.optimizer.momentum = 0.9),
        ("nesterov", |c| (c.optimizer.rule, c.optimizer.nesterov) = (Rule::Sgd, true)),
        ("sigma", |c| c.model.sigma = 2.0),
        ("init-deviation", |c| c.model.init_deviation = 0.02),
        ("init-deviation", |c| {
            (c.model.init, c.model.init_deviation) = (Init::Normal, f64::NAN);
        }),
        ("dropout", |c| c.model.dropout = 1.0),
        ("dropout", |c| {
            (c.model.encoder, c.model.decoder, c.model.dropout) = ([].into(), [].into(), 0.1);
        }),
        ("decoder", |c| (c.model.decoder, c.model.layer_norm) = ([1].into(), true)),
        ("encoder", |c| c.model.encoder = Layers(vec![Entry::Layer(Layer::Linear(0))])),
        ("decoder", |c| c.model.decoder = Layers(vec![Entry::Layer(Layer::Dropout(1.0))])),
        ("decoder", |c| c.model.decoder = [1; 33].into()),
        ("layer-norm", |c| {
            let layer = Entry::Layer(Layer::Linear(9));
            (c.model.encoder, c.model.decoder) = (Layers(vec![layer]), [].into());
            c.model.layer_norm = true;
        }),
        ("layer-norm", |c| {
            (c.model.encoder, c.model.decoder, c.model.layer_norm) = ([].into(), [].into(), true);
        }),
        ("cycle-rise", |c| c.objective.cycle_rise = 0.7),
        ("cycle-rise", |c| (c.objective.cycle_steps, c.objective.cycle_rise) = (9, 0.0)),
        ("free-bits", |c| c.objective.free_bits = -0.1),
        ("free-bits", |c| (c.objective.beta, c.objective.free_bits) = (0.0, 0.1)),
        ("free-bits", |c| (c.objective.capacity, c.objective.free_bits) = (9.0, 0.1)),
        ("warmup-steps", |c| (c.objective.beta, c.objective.warmup_steps) = (0.0, 9)),
        ("cycle-steps", |c| (c.objective.cycle_steps, c.objective.warmup_steps) = (9, 9)),
        ("capacity-steps", |c| c.objective.capacity_steps = 9),
        ("warmup-steps", |c| c.objective.warmup_steps = u64::MAX),
        ("cycle-steps", |c| c.objective.cycle_steps = u64::MAX),
        ("latent", |c| c.model.latent = 32_769),
        ("prior-components", |c| c.model.prior_components = 9),
        ("prior-components", |c| (c.model.prior, c.model.prior_components) = (Prior::Vamp, 0)),
        ("prior-components", |c| {
            (c.model.prior, c.model.prior_components) = (Prior::Mixture, 8193);
        }),
        ("kl", |c| c.model.prior = Prior::Mixture),
        ("kl", |c| c.model.above = vec![level(2)]),
        ("gradient", |c| {
            (c.model.above, c.objective.importance) = (vec![level(2)], 5);
            c.objective.gradient = Gradient::Dreg;
        }),
        ("above", |c| (c.model.above, c.objective.importance) = (vec![level(2); 32], 5)),
        ("above.latent", |c| (c.model.above, c.objective.importance) = (vec![level(0)], 5)),
        ("above", |c| (c.model.above, c.model.posterior) = (vec![level(2)], Posterior::Point)),
        ("prior", |c| {
            (c.model.above, c.objective.importance) = (vec![level(2)], 5);
            c.model.prior = Prior::Vamp;
        }),
        ("prior", |c| (c.model.prior, c.model.posterior) = (Prior::Mixture, Posterior::Point)),
        ("classes", |c| {
            (c.model.prior, c.objective.importance, c.model.classes) = (Prior::Vamp, 5, 10);
        }),
        ("dropout", |c| {
            (c.model.prior, c.objective.importance, c.model.dropout) = (Prior::Vamp, 5, 0.1);
        }),
        ("dropout", |c| {
            (c.model.prior, c.objective.importance) = (Prior::Vamp, 5);
            c.model.encoder = Layers(vec![Entry::Layer(Layer::Dropout(0.1))]);
        }),
        ("free-bits", |c| {
            (c.model.prior, c.objective.kl) = (Prior::Mixture, KlEstimate::Sampled);
            c.objective.free_bits = 0.1;
        }),
        ("total-correlation", |c| c.objective.total_correlation = f64::INFINITY),
        ("mmd", |c| c.objective.mmd = -1.0),
        ("mmd-scale", |c| c.objective.mmd_scale = 3.0),
        ("free-bits", |c| {
            (c.model.posterior, c.objective.free_bits) = (Posterior::Point, 0.1);
        }),
        ("corruption-level", |c| c.train.corruption_level = 0.1),
        ("corruption", |c| c.train.corruption = Corruption::Normal),
        ("corruption-level", |c| {
            (c.train.corruption, c.train.corruption_level) = (Corruption::Mask, 1.0);
        }),
        ("shift", |c| c.train.shift = usize::MAX),
        ("jitter", |c| c.train.jitter = -0.1),
        ("jitter", |c| c.train.jitter = 1e-4),
        ("jitter", |c| c.train.jitter = 1.0),
        ("jitter", |c| (c.train.jitter, c.train.pixels) = (0.1, Pixels::Binarised)),
        ("jitter", |c| (c.train.jitter, c.train.pixels) = (0.1, Pixels::BinarisedOnce)),
        ("flip", |c| (c.train.flip, c.model.likelihood) = (true, Likelihood::Poisson)),
        ("shift", |c| {
            (c.train.shift, c.model.likelihood) = (1, Likelihood::NegativeBinomial);
        }),
        ("classes", |c| c.model.classes = 1),
        ("classes", |c| c.model.classes = 257),
        ("sigma", |c| {
            (c.model.likelihood, c.model.scale) = (Likelihood::Laplace, Scale::Shared);
            c.model.sigma = 2.0;
        }),
        ("scale", |c| c.model.scale = Scale::Pixel),
        ("scale", |c| {
            (c.model.likelihood, c.model.scale) = (Likelihood::LogisticMixture, Scale::Shared);
        }),
        ("scale", |c| {
            (c.model.likelihood, c.model.scale) = (Likelihood::Poisson, Scale::Shared);
        }),
        ("mean", |c| c.model.mean = Mean::Free),
        ("pixels", |c| {
            (c.model.likelihood, c.train.pixels) =
                (Likelihood::NegativeBinomial, Pixels::Binarised);
        }),
        ("levels", |c| (c.model.likelihood, c.model.levels) = (Likelihood::Categorical, 1)),
        ("levels", |c| (c.model.likelihood, c.model.levels) = (Likelihood::Logistic, 257)),
        ("levels", |c| c.model.levels = 16),
        ("components", |c| {
            (c.model.likelihood, c.model.components) = (Likelihood::LogisticMixture, 33);
        }),
        ("components", |c| c.model.components = 10),
        ("samples", |c| c.objective.samples = 0),
        ("samples", |c| c.objective.samples = 4097),
        ("importance", |c| c.objective.importance = 0),
        ("importance", |c| (c.objective.samples, c.objective.importance) = (65, 64)),
        ("beta", |c| (c.objective.importance, c.objective.beta) = (5, 4.0)),
        ("kl", |c| {
            (c.objective.importance, c.objective.kl) = (5, KlEstimate::Sampled);
        }),
        ("gradient", |c| c.objective.gradient = Gradient::Stl),
        ("gradient", |c| {
            (c.objective.kl, c.objective.gradient) = (KlEstimate::Sampled, Gradient::Dreg);
        }),
        ("alpha", |c| c.optimizer.alpha = 0.9),
        ("alpha", |c| (c.optimizer.rule, c.optimizer.alpha) = (Rule::Rmsprop, 1.0)),
        ("initial-accumulator", |c| c.optimizer.initial_accumulator = 0.1),
        ("warmup-steps", |c| c.optimizer.warmup_steps = u64::MAX),
        ("decay-epochs", |c| c.optimizer.decay_epochs = 0),
        ("decay-epochs", |c| c.optimizer.decay_epochs = 3),
        ("decay-factor", |c| c.optimizer.decay_factor = 0.5),
        ("decay-factor", |c| c.optimizer.decay_factor = 1.0),
        ("final-lr", |c| c.optimizer.final_lr = 1e-4),
        ("final-lr", |c| c.optimizer.final_lr = 2e-3),
        ("stages", |c| c.optimizer.stages = 9),
        ("average", |c| c.optimizer.average = 1.0),
        ("accumulate", |c| c.train.accumulate = 0),
        ("accumulate", |c| c.train.accumulate = 3),
        ("mmd", |c| (c.train.accumulate, c.objective.mmd) = (2, 1.0)),
        ("mmd", |c| (c.objective.samples, c.objective.mmd) = (2, 1.0)),
        ("free-bits", |c| (c.objective.importance, c.objective.free_bits) = (2, 0.1)),
        ("capacity", |c| {
            (c.objective.kl, c.objective.capacity) = (KlEstimate::Sampled, 9.0);
        }),
        ("warmup-steps", |c| (c.objective.importance, c.objective.warmup_steps) = (2, 9)),
        ("samples", |c| (c.model.posterior, c.objective.samples) = (Posterior::Point, 2)),
        ("output-bias", |c| {
            (c.model.likelihood, c.model.output_bias) =
                (Likelihood::Categorical, OutputBias::DataMean);
        }),
        ("stages", |c| c.optimizer.stages = 0),
        ("stages", |c| c.optimizer.stages = 7),
    ];

    #[test]
    fn bad_numbers_are_named() {
        for &(name, spoil) in CASES {
            let mut config = Config::default();
            spoil(&mut config);
            let error = config.validate().expect_err(name);
            assert!(error.to_string().contains(&format!("`{name}`")), "{name}: {error}");
        }
    }
}
