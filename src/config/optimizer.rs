//! How the parameters follow their gradients.

use serde::{Deserialize, Serialize};

use crate::config::MOST;
use crate::config::validate::{apart, fail, has_effect, positive, within};
use crate::error::Result;

/// The update rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Rule {
    /// Adam (Kingma and Ba 2015); `weight-decay` is added to the gradient.
    Adam,
    /// Adam with `weight-decay` apart from the gradient (Loshchilov and Hutter 2019).
    Adamw,
    /// Adam with the largest gradient in place of the root of the second moment (Kingma and Ba 2015,
    /// algorithm 2); ε is added to each gradient's size, as `PyTorch` does.
    Adamax,
    /// The gradient over the root of its decayed mean square (Tieleman and Hinton 2012), with
    /// `momentum` as `PyTorch` has it.
    Rmsprop,
    /// The gradient over the root of the sum of its squares (Duchi et al. 2011).
    Adagrad,
    /// Stochastic gradient descent with `momentum`.
    Sgd,
}

/// How the learning rate changes as training goes on. An epoch is one of all training images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Schedule {
    /// Not at all.
    Constant,
    /// Times `decay-factor` after every `decay-epochs` epochs.
    Step,
    /// Down to `final-lr` along half a cosine over the `epochs` (Loshchilov and Hutter 2017, eq. 5); a
    /// `max-steps` cuts it short.
    Cosine,
    /// Times `decay-factor` whenever the test loss has not fallen for `decay-epochs` epochs.
    Plateau,
    /// In stages of 3⁰, 3¹, … epochs down to a tenth (Burda et al. 2016, section 5): stage i has
    /// 10^(−(i−1)/7) of the rate, of which their code takes ten times as much, rounded to one digit
    /// behind the point. After the last stage the rate stays.
    Burda,
}

/// How the parameters follow their gradients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct OptimizerConfig {
    /// The update rule.
    pub rule: Rule,
    /// The learning rate.
    pub lr: f64,
    /// Decay of Adam's and Adamax's first moment.
    pub beta1: f64,
    /// Decay of Adam's second moment, and of Adamax's largest gradient.
    pub beta2: f64,
    /// Decay of `RMSprop`'s mean square.
    pub alpha: f64,
    /// What Adagrad's sums of squares begin with.
    pub initial_accumulator: f64,
    /// What every rule but `sgd` adds to what it divides by. `PyTorch`'s default for Adagrad is
    /// 10⁻¹⁰.
    pub epsilon: f64,
    /// Weight decay, L2 or apart by the rule.
    pub weight_decay: f64,
    /// Momentum of `sgd` and `rmsprop`.
    pub momentum: f64,
    /// Whether `sgd` looks ahead (Nesterov).
    pub nesterov: bool,
    /// The gradients' norm is scaled down to this; 0 leaves it as it is.
    pub clip_norm: f64,
    /// Whether each tensor's gradient g is g / (‖g‖ + 10⁻⁷) before its moments follow it, and before weight decay
    /// (`AdamNormGrad` in the code of Tomczak and Welling 2018). A tensor is what files know by one name.
    pub normalise: bool,
    /// How the learning rate changes as training goes on.
    pub schedule: Schedule,
    /// Steps over which the rate rises linearly from zero, whatever the schedule (Goyal et al. 2017,
    /// section 2.2); 0 is none.
    pub warmup_steps: u64,
    /// Epochs between two falls of `step`, or without a lower test loss before one of `plateau`.
    pub decay_epochs: u64,
    /// What a fall of `step` or `plateau` multiplies the rate by.
    pub decay_factor: f64,
    /// The rate at the end of `cosine`.
    pub final_lr: f64,
    /// Stages of `burda`: eight take 3280 epochs.
    pub stages: u32,
    /// Decay a step of an average of the parameters (Polyak and Juditsky 1992), which is what is
    /// looked at and exported instead of them; 0 keeps none. The first steps have (1 + t) / (10 + t)
    /// if that is less, as `TensorFlow`'s `ExponentialMovingAverage`, so that the first values soon
    /// leave it.
    pub average: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            rule: Rule::Adam,
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            alpha: 0.99,
            initial_accumulator: 0.0,
            epsilon: 1e-8,
            weight_decay: 0.0,
            momentum: 0.0,
            nesterov: false,
            clip_norm: 0.0,
            normalise: false,
            schedule: Schedule::Constant,
            warmup_steps: 0,
            decay_epochs: 10,
            decay_factor: 0.1,
            final_lr: 0.0,
            stages: 8,
            average: 0.0,
        }
    }
}

impl OptimizerConfig {
    pub(super) fn validate(&self) -> Result<()> {
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
        // Either is the norm that the moments see.
        apart("clip-norm", "normalise", self.clip_norm != 0.0 && self.normalise)?;
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
