//! Judges a configuration: the only place where a user's numbers are.

use crate::config::{Config, Likelihood, MOST, Rule};
use crate::error::{Error, Result};

impl Config {
    /// Judges every number, so that nothing after this has to.
    ///
    /// # Errors
    ///
    /// A [`Config`](crate::error::ErrorKind::Config) error that names the field, its value and the
    /// rule it breaks.
    pub fn validate(&self) -> Result<()> {
        let fail = |name: &str, value: &dyn std::fmt::Display, rule: &str| {
            Err(Error::config(format!("`{name}` is {value}; it must be {rule}")).hint(HINT))
        };
        let size = |name: &str, value: usize| match value {
            1..=MOST => Ok(()),
            _ => fail(name, &value, &format!("between 1 and {MOST}")),
        };
        let within = |name: &str, value: f64, low: f64, high: f64| {
            if value.is_finite() && value >= low && value < high {
                return Ok(());
            }
            fail(name, &value, &format!("a number from {low} to below {high}"))
        };
        size("latent", self.model.latent)?;
        for (name, layers) in [("encoder", &self.model.encoder), ("decoder", &self.model.decoder)] {
            if layers.len() > 32 {
                return fail(name, &format!("{} layers", layers.len()), "at most 32 layers");
            }
            layers.iter().try_for_each(|&units| size(name, units))?;
        }
        size("batch-size", self.train.batch_size)?;
        size("epochs", self.train.epochs)?;
        positive("sigma", self.model.sigma, 1e6)?;
        within("beta", self.objective.beta, 0.0, 1e6)?;
        let optimizer = &self.optimizer;
        positive("lr", optimizer.lr, f64::from(f32::MAX))?;
        within("beta1", optimizer.beta1, 0.0, 1.0)?;
        within("beta2", optimizer.beta2, 0.0, 1.0)?;
        positive("epsilon", optimizer.epsilon, 1.0)?;
        within("weight-decay", optimizer.weight_decay, 0.0, 1e6)?;
        within("momentum", optimizer.momentum, 0.0, 1.0)?;
        if optimizer.clip_norm != 0.0 {
            positive("clip-norm", optimizer.clip_norm, 1e30)?;
        }
        for (name, path) in [("data", &self.train.data), ("test-data", &self.train.test_data)] {
            if let Some(path) = path.as_ref().filter(|path| path.to_str().is_none()) {
                return fail(name, &path.display(), "of Unicode, to be kept with the run");
            }
        }
        self.without_effect()
    }

    /// Refuses what would be ignored.
    fn without_effect(&self) -> Result<()> {
        let (model, optimizer) = (&self.model, &self.optimizer);
        let sgd = optimizer.rule == Rule::Sgd;
        let unused = [
            ("sigma", model.sigma != 1.0 && model.likelihood != Likelihood::Normal, "`normal`"),
            ("momentum", optimizer.momentum != 0.0 && !sgd, "`sgd`"),
            ("nesterov", optimizer.nesterov && (!sgd || optimizer.momentum == 0.0), "momentum"),
        ];
        match unused.iter().find(|(_, unused, _)| *unused) {
            None => Ok(()),
            Some((name, _, needs)) => {
                Err(Error::config(format!("`{name}` is set, but it does nothing without {needs}"))
                    .hint("leave it out, or ask for what it belongs to"))
            }
        }
    }
}

const HINT: &str = "leave it out to take the preset's; `elbo config` says what it is";

fn positive(name: &str, value: f64, below: f64) -> Result<()> {
    // Below the smallest normal f32 a value would reach the device as zero.
    if value.is_finite() && value >= f64::from(f32::MIN_POSITIVE) && value < below {
        return Ok(());
    }
    Err(Error::config(format!("`{name}` is {value}; it must be positive and below {below:e}"))
        .hint(HINT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_numbers_are_named() {
        type Spoil = fn(&mut Config);
        let cases: [(&str, Spoil); 12] = [
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
        ];
        for (name, spoil) in cases {
            let mut config = Config::default();
            spoil(&mut config);
            let error = config.validate().expect_err(name);
            assert!(error.to_string().contains(&format!("`{name}`")), "{name}: {error}");
        }
    }
}
