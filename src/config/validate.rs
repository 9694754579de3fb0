//! Judges a configuration: with the rules of each table, the only place where a user's numbers are.

use std::fmt::Display;

use crate::config::{
    Config, Corruption, Gradient, Init, KlEstimate, Likelihood, MOST, MOST_SAMPLES, ModelConfig,
    ObjectiveConfig, OptimizerConfig, OutputBias, Posterior, Rule, Scale, Schedule, Support,
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
        if self.model.posterior == Posterior::Point {
            self.objective.has_no_divergence()?;
        }
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
            if self.layer_norm && layers.contains(&1) {
                return fail(name, &"of 1 unit", "of 2 or more, to be normalised by `layer-norm`");
            }
        }
        positive("init-deviation", self.init_deviation, 1e6)?;
        let drawn = self.init == Init::Normal;
        has_effect("init-deviation", self.init_deviation == 0.01 || drawn, "`init = \"normal\"`")?;
        within("dropout", self.dropout, 0.0, 1.0)?;
        let hidden = !(self.encoder.is_empty() && self.decoder.is_empty());
        has_effect("layer-norm", !self.layer_norm || hidden, "a hidden layer")?;
        has_effect("dropout", self.dropout == 0.0 || hidden, "a hidden layer")?;
        // The number of a class is a byte, and to be told of the only one says nothing.
        if self.classes == 1 || self.classes > 256 {
            return fail("classes", &self.classes, "0, or between 2 and 256");
        }
        let located = self.likelihood.output_of_mean(0.5).is_some();
        let bias = self.output_bias == OutputBias::Init || located;
        has_effect("output-bias", bias, "a likelihood of one logit or location for each pixel")?;
        let has_scale = self.likelihood.has_scale();
        has_effect("scale", self.scale == Scale::Fixed || has_scale, LOCATED)?;
        positive("sigma", self.sigma, 1e6)?;
        let fixed = has_scale && self.scale == Scale::Fixed;
        let needs = if has_scale { "`scale = \"fixed\"`" } else { LOCATED };
        has_effect("sigma", self.sigma == 1.0 || fixed, needs)?;
        count("levels", self.levels, 2, 256)?;
        let leveled = self.likelihood.support() == Support::Levels;
        let needs = "the likelihood `logistic`, `logistic-mixture` or `categorical`";
        has_effect("levels", self.levels == Self::default().levels || leveled, needs)?;
        count("components", self.components, 1, 32)?;
        let mixture = self.likelihood == Likelihood::LogisticMixture;
        let components = self.components == Self::default().components;
        has_effect("components", components || mixture, "the likelihood `logistic-mixture`")
    }
}

impl ObjectiveConfig {
    fn validate(&self) -> Result<()> {
        within("beta", self.beta, 0.0, 1e6)?;
        within("cycle-rise", self.cycle_rise, f64::from(f32::MIN_POSITIVE), 1.0 + f64::EPSILON)?;
        within("free-bits", self.free_bits, 0.0, 1e6)?;
        within("capacity", self.capacity, 0.0, 1e6)?;
        within("total-correlation", self.total_correlation, 0.0, 1e6)?;
        within("mmd", self.mmd, 0.0, 1e9)?;
        positive("mmd-scale", self.mmd_scale, 1e6)?;
        let default = Self::default();
        let scheduled = self.cycle_steps > 0;
        has_effect(
            "cycle-rise",
            self.cycle_rise == default.cycle_rise || scheduled,
            "cycle-steps",
        )?;
        has_effect(
            "capacity-steps",
            self.capacity_steps == 0 || self.capacity > 0.0,
            "a capacity",
        )?;
        has_effect("mmd-scale", self.mmd_scale == default.mmd_scale || self.mmd > 0.0, "mmd")?;
        for (name, set) in [
            ("warmup-steps", self.warmup_steps > 0),
            ("cycle-steps", scheduled),
            ("free-bits", self.free_bits > 0.0),
            ("capacity", self.capacity > 0.0),
        ] {
            has_effect(name, !set || self.beta > 0.0, "a beta above 0")?;
        }
        // A KL that is to be small beyond what is free has no size to aim at, and β one course.
        let apart = |name, other, both| match both {
            true => Err(Error::config(format!("`{name}` and `{other}` are both set"))
                .hint("each takes the other's place: choose one")),
            false => Ok(()),
        };
        apart("free-bits", "capacity", self.free_bits > 0.0 && self.capacity > 0.0)?;
        apart("warmup-steps", "cycle-steps", self.warmup_steps > 0 && scheduled)?;
        self.validate_samples()
    }

    /// Judges how many z an image has, and what becomes of them.
    fn validate_samples(&self) -> Result<()> {
        for (name, count) in [("samples", self.samples), ("importance", self.importance)] {
            if !(1..=MOST_SAMPLES).contains(&count) {
                return fail(name, &count, &format!("between 1 and {MOST_SAMPLES}"));
            }
        }
        if self.z_per_image() > MOST_SAMPLES {
            let all = format!("{}, with {} samples", self.importance, self.samples);
            return fail("importance", &all, &format!("at most {MOST_SAMPLES} z's of an image"));
        }
        let weighted = self.importance > 1;
        if weighted && self.beta != 1.0 {
            return fail(
                "beta",
                &self.beta,
                "1 with `importance` above 1, whose bound has no KL part",
            );
        }
        let sampled = self.kl == KlEstimate::Sampled;
        has_effect("kl", !(sampled && weighted), "`importance = 1`")?;
        match self.gradient {
            Gradient::Standard => Ok(()),
            Gradient::Stl => has_effect("gradient", self.weighs(), "a sampled KL or `importance`"),
            Gradient::Dreg => has_effect("gradient", weighted, "`importance` above 1"),
        }?;
        self.weighs_alone()
    }

    /// Refuses what has no meaning where several z are weighed, or compared within the minibatch.
    fn weighs_alone(&self) -> Result<()> {
        let pairs =
            [("total-correlation", self.total_correlation != 1.0), ("mmd", self.mmd != 0.0)];
        let of_kl = [("free-bits", self.free_bits > 0.0), ("capacity", self.capacity > 0.0)];
        for (name, set) in pairs {
            has_effect(name, !set || self.z_per_image() == 1, "one z of each image (`samples`)")?;
        }
        for (name, set) in pairs.into_iter().chain(of_kl) {
            has_effect(name, !set || !self.weighs(), "`kl = \"analytic\"` and `importance = 1`")?;
        }
        for (name, set) in [("warmup-steps", self.warmup_steps), ("cycle-steps", self.cycle_steps)]
        {
            has_effect(name, set == 0 || self.importance == 1, "`importance = 1`")?;
        }
        Ok(())
    }

    /// Refuses what is about KL divergences, where there is none.
    fn has_no_divergence(&self) -> Result<()> {
        for (name, set) in [
            ("beta", self.beta != Self::default().beta),
            ("warmup-steps", self.warmup_steps > 0),
            ("cycle-steps", self.cycle_steps > 0),
            ("free-bits", self.free_bits > 0.0),
            ("capacity", self.capacity > 0.0),
            ("total-correlation", self.total_correlation != 1.0),
            ("samples", self.samples > 1),
            ("importance", self.importance > 1),
            ("kl", self.kl == KlEstimate::Sampled),
        ] {
            has_effect(name, !set, "`posterior = \"normal\"`")?;
        }
        Ok(())
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
        size("evaluate-every", self.evaluate_every)?;
        let most = if self.corruption == Corruption::Mask { 1.0 } else { 1e6 };
        within("corruption-level", self.corruption_level, 0.0, most)?;
        let corrupts = self.corruption != Corruption::None;
        has_effect("corruption-level", self.corruption_level == 0.0 || corrupts, "a corruption")?;
        has_effect("corruption", !corrupts || self.corruption_level > 0.0, "a corruption-level")?;
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

const LOCATED: &str = "the likelihood `normal`, `laplace` or `logistic`";

const HINT: &str = "leave it out to take the preset's; `elbo config` says what it is";

fn fail(name: &str, value: &dyn Display, rule: &str) -> Result<()> {
    Err(Error::config(format!("`{name}` is {value}; it must be {rule}")).hint(HINT))
}

fn size(name: &str, value: usize) -> Result<()> {
    count(name, value, 1, MOST)
}

fn count(name: &str, value: usize, fewest: usize, most: usize) -> Result<()> {
    if (fewest..=most).contains(&value) {
        return Ok(());
    }
    fail(name, &value, &format!("between {fewest} and {most}"))
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
        let cases: &[(&str, Spoil)] = &[
            ("batch-size", |c| c.train.batch_size = 0),
            ("latent", |c| c.model.latent = 0),
            ("lr", |c| c.optimizer.lr = f64::NAN),
            ("lr", |c| c.optimizer.lr = -1.0),
            ("lr", |c| c.optimizer.lr = 1e-60),
            ("encoder", |c| c.model.encoder = vec![1 << 31]),
            ("beta2", |c| c.optimizer.beta2 = 1.0),
            ("epochs", |c| c.train.epochs = usize::MAX),
            ("evaluate-every", |c| c.train.evaluate_every = 0),
            ("clip-norm", |c| c.optimizer.clip_norm = 1e-46),
            ("momentum", |c| c.optimizer.momentum = 0.9),
            ("nesterov", |c| (c.optimizer.rule, c.optimizer.nesterov) = (Rule::Sgd, true)),
            ("sigma", |c| c.model.sigma = 2.0),
            ("init-deviation", |c| c.model.init_deviation = 0.02),
            ("init-deviation", |c| {
                (c.model.init, c.model.init_deviation) = (Init::Normal, f64::NAN);
            }),
            ("dropout", |c| c.model.dropout = 1.0),
            ("dropout", |c| {
                (c.model.encoder, c.model.decoder, c.model.dropout) = (vec![], vec![], 0.1);
            }),
            ("decoder", |c| (c.model.decoder, c.model.layer_norm) = (vec![1], true)),
            ("layer-norm", |c| {
                (c.model.encoder, c.model.decoder, c.model.layer_norm) = (vec![], vec![], true);
            }),
            ("cycle-rise", |c| c.objective.cycle_rise = 0.7),
            ("cycle-rise", |c| (c.objective.cycle_steps, c.objective.cycle_rise) = (9, 0.0)),
            ("free-bits", |c| c.objective.free_bits = -0.1),
            ("free-bits", |c| (c.objective.beta, c.objective.free_bits) = (0.0, 0.1)),
            ("free-bits", |c| (c.objective.capacity, c.objective.free_bits) = (9.0, 0.1)),
            ("warmup-steps", |c| (c.objective.beta, c.objective.warmup_steps) = (0.0, 9)),
            ("cycle-steps", |c| (c.objective.cycle_steps, c.objective.warmup_steps) = (9, 9)),
            ("capacity-steps", |c| c.objective.capacity_steps = 9),
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
            ("stages", |c| c.optimizer.stages = 0),
            ("stages", |c| c.optimizer.stages = 7),
        ];
        for &(name, spoil) in cases {
            let mut config = Config::default();
            spoil(&mut config);
            let error = config.validate().expect_err(name);
            assert!(error.to_string().contains(&format!("`{name}`")), "{name}: {error}");
        }
    }
}
