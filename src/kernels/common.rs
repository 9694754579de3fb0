//! What several kernels share: the step's record and the activations, as `common.wgsl` has them.

use crate::config::{Activation, OptimizerConfig, Rule};
use crate::engine::{Plan, Real, Tensor, real};

/// Records that fit the tables on the device: as many steps as one submit may hold.
pub const SLOTS: usize = 64;
/// Words before the first slot: the tick, then padding.
pub const HEAD: usize = 16;
/// Words, and rates, of a slot.
pub const SLOT: usize = 16;

/// A kernel's source: what kernels share, then its own file.
macro_rules! wgsl {
    ($($file:literal),+) => {
        concat!(
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/common.wgsl"))
            $(, "\n", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $file)))+
        )
    };
}
pub(crate) use wgsl;

/// A flat or row-wise schedule that runs everywhere.
pub(crate) const fn plain(
    source: &'static str,
    cover: crate::engine::Cover,
) -> crate::engine::Schedule {
    crate::engine::Schedule { name: "plain", source, needs: crate::engine::Needs::Nothing, cover }
}

/// Everything a step is told; the device finds it in slot `tick mod SLOTS` of two tables.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record {
    /// The position in the epoch of the minibatch's first image.
    pub first: u32,
    /// Images in this minibatch; the rest of a batch's rows are zero.
    pub rows: u32,
    /// The step, which noise depends on.
    pub step: u32,
    /// The epoch, which the order of images depends on.
    pub epoch: u32,
    /// Images in the dataset.
    pub images: u32,
    /// Whether the images come in the epoch's order or in the file's.
    pub shuffle: bool,
    /// What the noise is for: a stream of its own for training, tests and pictures.
    pub stream: u32,
    /// The seed.
    pub seed: u64,
    /// The per-step numbers, in the order of the constants below.
    pub rates: [f64; SLOT],
}

/// Positions of the words of a record.
pub mod word {
    /// The position in the epoch of the first image.
    pub const FIRST: usize = 0;
    /// Images in this minibatch.
    pub const ROWS: usize = 1;
    /// The step.
    pub const STEP: usize = 2;
    /// The epoch.
    pub const EPOCH: usize = 3;
    /// Images in the dataset.
    pub const IMAGES: usize = 4;
    /// 1 if the images come in the epoch's order.
    pub const SHUFFLE: usize = 5;
    /// What the noise is for.
    pub const STREAM: usize = 6;
    /// The seed's lower half.
    pub const SEED_LOW: usize = 7;
    /// The seed's upper half.
    pub const SEED_HIGH: usize = 8;
}

/// Positions of the rates of a record.
pub mod rate {
    /// What a loss per image is multiplied by: 1, or 1 / rows.
    pub const LOSS_SCALE: usize = 0;
    /// The weight of the KL divergence.
    pub const KL_WEIGHT: usize = 1;
    /// The learning rate.
    pub const RATE: usize = 2;
    /// β₁.
    pub const BETA1: usize = 3;
    /// 1 − β₁, computed in f64: near 1 the f32 difference has few digits.
    pub const ONE_MINUS_BETA1: usize = 4;
    /// β₂.
    pub const BETA2: usize = 5;
    /// 1 − β₂.
    pub const ONE_MINUS_BETA2: usize = 6;
    /// The learning rate over 1 − β₁ᵗ.
    pub const STEP_SIZE: usize = 7;
    /// 1 / √(1 − β₂ᵗ).
    pub const ROOT_CORRECTION: usize = 8;
    /// What is added to the root of the second moment.
    pub const EPSILON: usize = 9;
    /// Weight decay.
    pub const DECAY: usize = 10;
    /// Momentum.
    pub const MOMENTUM: usize = 11;
    /// The largest norm of the gradients.
    pub const MAX_NORM: usize = 12;
}

/// The rates of an optimiser's step number `t`, counted from one, at a learning rate; the losses
/// count once.
#[must_use]
pub fn optimizer_rates(config: &OptimizerConfig, lr: f64, t: u64) -> [f64; SLOT] {
    let mut rates = [0.0; SLOT];
    let power = |beta: f64| beta.powf(t as f64);
    rates[rate::LOSS_SCALE] = 1.0;
    rates[rate::KL_WEIGHT] = 1.0;
    rates[rate::RATE] = lr;
    if config.rule != Rule::Sgd {
        rates[rate::BETA1] = config.beta1;
        rates[rate::ONE_MINUS_BETA1] = 1.0 - config.beta1;
        rates[rate::BETA2] = config.beta2;
        rates[rate::ONE_MINUS_BETA2] = 1.0 - config.beta2;
        rates[rate::STEP_SIZE] = lr / (1.0 - power(config.beta1));
        rates[rate::ROOT_CORRECTION] = 1.0 / (1.0 - power(config.beta2)).sqrt();
        rates[rate::EPSILON] = config.epsilon;
    }
    rates[rate::DECAY] = config.weight_decay;
    rates[rate::MOMENTUM] = config.momentum;
    rates[rate::MAX_NORM] = config.clip_norm;
    rates
}

impl Record {
    /// The words of the record's slot.
    #[must_use]
    pub fn words(&self) -> [u32; SLOT] {
        let mut words = [0; SLOT];
        words[word::FIRST] = self.first;
        words[word::ROWS] = self.rows;
        words[word::STEP] = self.step;
        words[word::EPOCH] = self.epoch;
        words[word::IMAGES] = self.images;
        words[word::SHUFFLE] = u32::from(self.shuffle);
        words[word::STREAM] = self.stream;
        words[word::SEED_LOW] = self.seed as u32;
        words[word::SEED_HIGH] = (self.seed >> 32) as u32;
        words
    }
}

/// The two tables of records in a plan.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    /// The tick and the words of every slot.
    pub words: Tensor,
    /// The rates of every slot.
    pub rates: Tensor,
}

impl Steps {
    /// Adds the tables to a plan.
    pub fn new(plan: &mut Plan) -> Self {
        let words = plan.words("step words", HEAD + SLOTS * SLOT);
        let rates = plan.vector("step rates", SLOTS * SLOT);
        Self { words, rates }
    }
}

/// The words of the running step's record, for a reference.
#[must_use]
pub fn step_words(steps: &[u32]) -> &[u32] {
    let at = HEAD + steps[0] as usize % SLOTS * SLOT;
    &steps[at..at + SLOT]
}

/// The rates of the running step's record, for a reference.
#[must_use]
pub fn step_rates<'a, T>(steps: &[u32], rates: &'a [T]) -> &'a [T; SLOT] {
    &rates.as_chunks().0[steps[0] as usize % SLOTS]
}

/// log(1 + exp x), without overflow.
#[must_use]
pub fn softplus<T: Real>(x: T) -> T {
    x.max(T::zero()) + (-x.abs()).exp().ln_1p()
}

/// 1 / (1 + exp(−x)), without overflow.
#[must_use]
pub fn sigmoid<T: Real>(x: T) -> T {
    let e = (-x.abs()).exp();
    if x >= T::zero() { T::one() / (T::one() + e) } else { e / (T::one() + e) }
}

/// The normal distribution function.
fn normal_cdf<T: Real>(x: T) -> T {
    real::<T>(0.5) * (T::one() + (x * real(std::f64::consts::FRAC_1_SQRT_2)).erf())
}

const LEAK: f64 = 0.01;

/// An activation at x.
#[must_use]
pub fn activate<T: Real>(kind: Activation, x: T) -> T {
    match kind {
        Activation::Identity => x,
        Activation::Relu => x.max(T::zero()),
        Activation::LeakyRelu => {
            if x > T::zero() {
                x
            } else {
                x * real(LEAK)
            }
        }
        Activation::Tanh => x.tanh(),
        Activation::Sigmoid => sigmoid(x),
        Activation::Softplus => softplus(x),
        Activation::Silu => x * sigmoid(x),
        Activation::Gelu => x * normal_cdf(x),
    }
}

/// The slope of an activation at x, from the derivative of its formula.
#[must_use]
pub fn slope<T: Real>(kind: Activation, x: T) -> T {
    let one = T::one();
    match kind {
        Activation::Identity => one,
        Activation::Relu => {
            if x > T::zero() {
                one
            } else {
                T::zero()
            }
        }
        Activation::LeakyRelu => {
            if x > T::zero() {
                one
            } else {
                real(LEAK)
            }
        }
        Activation::Tanh => one - x.tanh() * x.tanh(),
        Activation::Sigmoid => sigmoid(x) * sigmoid(-x),
        Activation::Softplus => sigmoid(x),
        Activation::Silu => sigmoid(x) * (one + x * sigmoid(-x)),
        Activation::Gelu => {
            let density = (-x * x * real(0.5)).exp() / real(std::f64::consts::TAU.sqrt());
            normal_cdf(x) + x * density
        }
    }
}

/// The slope of an activation at the place where its output is y.
#[must_use]
pub fn slope_at_output<T: Real>(kind: Activation, y: T) -> T {
    let one = T::one();
    match kind {
        Activation::Identity => one,
        Activation::Relu => {
            if y > T::zero() {
                one
            } else {
                T::zero()
            }
        }
        Activation::LeakyRelu => {
            if y > T::zero() {
                one
            } else {
                real(LEAK)
            }
        }
        Activation::Tanh => one - y * y,
        Activation::Sigmoid => y * (one - y),
        Activation::Softplus => -(-y).exp_m1(),
        Activation::Silu | Activation::Gelu => {
            unreachable!("the slope of {} is taken at its input", kind.name())
        }
    }
}

/// The activation of a code that a shader was given.
#[must_use]
pub fn activation_of(code: u32) -> Activation {
    Activation::ALL[code as usize]
}
