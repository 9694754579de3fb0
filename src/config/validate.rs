//! Judges a configuration: with the rules of each table, the only place where a user's numbers are.

use std::fmt::Display;

use crate::config::{
    Config, Likelihood, MOST, ModelConfig, ObjectiveConfig, OptimizerConfig, Rule, Schedule,
    TrainConfig,
};
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
        self.optimizer.validate()?;
        self.train.validate()
    }
}

impl ModelConfig {
    fn validate(&self) -> Result<()> {
        size("latent", self.latent)?;
        for (name, layers) in [("encoder", &self.encoder), ("decoder", &self.decoder)] {
            if layers.len() > 32 {
                return fail(name, &format!("{} layers", layers.len()), "at most 32 layers");
            }
            layers.iter().try_for_each(|&units| size(name, units))?;
        }
        positive("sigma", self.sigma, 1e6)?;
        let normal = self.likelihood == Likelihood::Normal;
        has_effect("sigma", self.sigma == 1.0 || normal, "`normal`")
    }
}

impl ObjectiveConfig {
    fn validate(&self) -> Result<()> {
        within("beta", self.beta, 0.0, 1e6)
    }
}

impl OptimizerConfig {
    fn validate(&self) -> Result<()> {
        positive("lr", self.lr, f64::from(f32::MAX))?;
        within("beta1", self.beta1, 0.0, 1.0)?;
        within("beta2", self.beta2, 0.0, 1.0)?;
        within("alpha", self.alpha, 0.0, 1.0)?;
        within("initial-accumulator", self.initial_accumulator, 0.0, 1e30)?;
        positive("epsilon", self.epsilon, 1.0)?;
        within("weight-decay", self.weight_decay, 0.0, 1e6)?;
        within("momentum", self.momentum, 0.0, 1.0)?;
        if self.clip_norm != 0.0 {
            positive("clip-norm", self.clip_norm, 1e30)?;
        }
        let (sgd, rmsprop) = (self.rule == Rule::Sgd, self.rule == Rule::Rmsprop);
        let accumulates = self.initial_accumulator == 0.0 || self.rule == Rule::Adagrad;
        has_effect("alpha", self.alpha == 0.99 || rmsprop, "`rmsprop`")?;
        has_effect("initial-accumulator", accumulates, "`adagrad`")?;
        has_effect("momentum", self.momentum == 0.0 || sgd || rmsprop, "`sgd` or `rmsprop`")?;
        has_effect("nesterov", !self.nesterov || sgd && self.momentum != 0.0, "momentum")?;
        self.validate_schedule()
    }

    fn validate_schedule(&self) -> Result<()> {
        let (default, schedule) = (Self::default(), self.schedule);
        if self.warmup_steps > MOST as u64 {
            return fail("warmup-steps", &self.warmup_steps, &format!("at most {MOST}"));
        }
        if !(1..=MOST as u64).contains(&self.decay_epochs) {
            return fail("decay-epochs", &self.decay_epochs, &format!("between 1 and {MOST}"));
        }
        within("average", self.average, 0.0, 1.0)?;
        within("decay-factor", self.decay_factor, 0.0, 1.0)?;
        if !(0.0..=self.lr).contains(&self.final_lr) {
            return fail("final-lr", &self.final_lr, "a number from 0 to `lr`");
        }
        if !(1..=8).contains(&self.stages) {
            return fail("stages", &self.stages, "between 1 and 8");
        }
        let falls = matches!(schedule, Schedule::Step | Schedule::Plateau);
        let needs = "the schedule `step` or `plateau`";
        has_effect("decay-epochs", self.decay_epochs == default.decay_epochs || falls, needs)?;
        has_effect("decay-factor", self.decay_factor == default.decay_factor || falls, needs)?;
        let cosine = schedule == Schedule::Cosine;
        has_effect("final-lr", self.final_lr == 0.0 || cosine, "the schedule `cosine`")?;
        let burda = schedule == Schedule::Burda;
        has_effect("stages", self.stages == default.stages || burda, "the schedule `burda`")
    }
}

impl TrainConfig {
    fn validate(&self) -> Result<()> {
        size("batch-size", self.batch_size)?;
        size("epochs", self.epochs)?;
        // What needs statistics of a whole minibatch refuses here to be computed in parts.
        if self.accumulate == 0 || !self.batch_size.is_multiple_of(self.accumulate) {
            let rule = format!("a divisor of `batch-size`, {}", self.batch_size);
            return fail("accumulate", &self.accumulate, &rule);
        }
        for (name, path) in [("data", &self.data), ("test-data", &self.test_data)] {
            if let Some(path) = path.as_ref().filter(|path| path.to_str().is_none()) {
                return fail(name, &path.display(), "of Unicode, to be kept with the run");
            }
        }
        Ok(())
    }
}

const HINT: &str = "leave it out to take the preset's; `elbo config` says what it is";

fn fail(name: &str, value: &dyn Display, rule: &str) -> Result<()> {
    Err(Error::config(format!("`{name}` is {value}; it must be {rule}")).hint(HINT))
}

fn size(name: &str, value: usize) -> Result<()> {
    match value {
        1..=MOST => Ok(()),
        _ => fail(name, &value, &format!("between 1 and {MOST}")),
    }
}

fn within(name: &str, value: f64, low: f64, high: f64) -> Result<()> {
    if value.is_finite() && value >= low && value < high {
        return Ok(());
    }
    fail(name, &value, &format!("a number from {low} to below {high}"))
}

/// Refuses what would be ignored: a setting is the default's, or what it belongs to is asked for.
fn has_effect(name: &str, effect: bool, needs: &str) -> Result<()> {
    if effect {
        return Ok(());
    }
    Err(Error::config(format!("`{name}` is set, but it does nothing without {needs}"))
        .hint("leave it out, or ask for what it belongs to"))
}

fn positive(name: &str, value: f64, below: f64) -> Result<()> {
    // Below the smallest normal f32 a value would reach the device as zero.
    if value.is_finite() && value >= f64::from(f32::MIN_POSITIVE) && value < below {
        return Ok(());
    }
    fail(name, &value, &format!("positive and below {below:e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_numbers_are_named() {
        type Spoil = fn(&mut Config);
        let cases: [(&str, Spoil); 28] = [
            ("batch-size", |c| c.train.batch_size = 0),
            ("latent", |c| c.model.latent = 0),
            ("lr", |c| c.optimizer.lr = f64::NAN),
            ("lr", |c| c.optimizer.lr = -1.0),
            ("lr", |c| c.optimizer.lr = 1e-60),
            ("encoder", |c| c.model.encoder = vec![1 << 31]),
            ("beta2", |c| c.optimizer.beta2 = 1.0),
            ("epochs", |c| c.train.epochs = usize::MAX),
            ("clip-norm", |c| c.optimizer.clip_norm = 1e-46),
            ("momentum", |c| c.optimizer.momentum = 0.9),
            ("nesterov", |c| (c.optimizer.rule, c.optimizer.nesterov) = (Rule::Sgd, true)),
            ("sigma", |c| c.model.sigma = 2.0),
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
            ("stages", |c| c.optimizer.stages = 0),
            ("stages", |c| c.optimizer.stages = 7),
        ];
        for (name, spoil) in cases {
            let mut config = Config::default();
            spoil(&mut config);
            let error = config.validate().expect_err(name);
            assert!(error.to_string().contains(&format!("`{name}`")), "{name}: {error}");
        }
    }
}
