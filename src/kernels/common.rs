//! What several kernels share: the rates of an optimiser, and the activations as `common.wgsl` has them.

use crate::config::{Activation, OptimizerConfig, Rule};
use crate::engine::record::{RATES, rate};
use crate::engine::{Real, real};

/// A file under `shaders/`, as a part of a source.
macro_rules! shader {
    ($file:expr) => {
        $crate::engine::Wgsl::Text(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/shaders/",
            $file
        )))
    };
}
pub(crate) use shader;

/// A kernel's source: what kernels share, then its own files.
macro_rules! wgsl {
    ($($file:expr),+) => {
        &[
            $crate::kernels::common::shader!("common.wgsl"),
            $($crate::kernels::common::shader!($file)),+
        ]
    };
}
pub(crate) use wgsl;

/// What every source begins with: the step's record, indices of folded grids, activations, formulas that
/// several kernels share.
pub const COMMON: crate::engine::Wgsl = shader!("common.wgsl");

/// The source of random words, to come between [`COMMON`] and a kernel's own that draws.
pub const PHILOX: crate::engine::Wgsl = shader!("philox.wgsl");

/// A flat or row-wise schedule that runs everywhere.
#[must_use]
pub const fn plain(
    source: &'static [crate::engine::Wgsl],
    cover: crate::engine::Cover,
) -> crate::engine::Schedule {
    use crate::engine::{Needs, Schedule, Suits};
    Schedule { name: "plain", source, needs: Needs::Nothing, suits: Suits::All, cover }
}

/// Turns of a loop in which so many lanes share the elements, each taking every `lanes`-th, with the
/// look that ends it.
pub(crate) fn turns(elements: u32, lanes: u32) -> u64 {
    u64::from(elements.div_ceil(lanes)) + 1
}

/// Turns of the same where each lane's sum is one of short sums, of 32 elements each.
pub(crate) fn turns_in_parts(elements: u32, lanes: u32) -> u64 {
    // The look that ends a short sum, and the turn that adds it.
    turns(elements, lanes) + 2 * u64::from(elements.div_ceil(32 * lanes))
}

/// Turns of adding up a workgroup's lanes by halves.
pub(crate) fn halvings(lanes: u32) -> u64 {
    u64::from(lanes.ilog2()) + 1
}

/// The rates of an optimiser's step number `t`, counted from one, at a learning rate; the losses
/// count once.
#[must_use]
pub fn optimizer_rates(config: &OptimizerConfig, lr: f64, t: u64) -> [f64; RATES] {
    let mut rates = [0.0; RATES];
    let power = |beta: f64| beta.powf(t as f64);
    let (beta1, beta2) = match config.rule {
        Rule::Adam | Rule::Adamw | Rule::Adamax => (config.beta1, config.beta2),
        Rule::Rmsprop => (0.0, config.alpha),
        Rule::Adagrad | Rule::Sgd => (0.0, 0.0),
    };
    rates[rate::LOSS_SCALE] = 1.0;
    rates[rate::KL_WEIGHT] = 1.0;
    rates[rate::RATE] = lr;
    rates[rate::BETA1] = beta1;
    rates[rate::ONE_MINUS_BETA1] = 1.0 - beta1;
    rates[rate::BETA2] = beta2;
    rates[rate::ONE_MINUS_BETA2] = 1.0 - beta2;
    rates[rate::STEP_SIZE] = lr / (1.0 - power(beta1));
    rates[rate::ROOT_CORRECTION] = 1.0 / (1.0 - power(beta2)).sqrt();
    rates[rate::EPSILON] = config.epsilon;
    rates[rate::ACCUMULATOR] = config.initial_accumulator;
    rates[rate::DECAY] = config.weight_decay;
    rates[rate::MOMENTUM] = config.momentum;
    rates[rate::MAX_NORM] = config.clip_norm;
    rates
}

/// A sum that loses few digits however long it is: of partial sums of sixteen, two of equal length are
/// added at a time (Higham 1993).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sum<T> {
    /// The partial sum under way.
    part: T,
    count: u64,
    /// Sums of 16 · 2ⁱ terms, of which those count that the number of whole parts has a bit for.
    levels: [T; 32],
}

impl<T: Real> Sum<T> {
    pub(crate) fn new() -> Self {
        Self { part: T::zero(), count: 0, levels: [T::zero(); 32] }
    }

    #[inline]
    pub(crate) fn add(&mut self, value: T) {
        self.part += value;
        self.count += 1;
        if self.count.is_multiple_of(16) {
            self.carry();
        }
    }

    fn carry(&mut self) {
        let mut level = 0;
        // The parts before this one.
        let parts = self.count / 16 - 1;
        while parts >> level & 1 == 1 {
            self.part = self.levels[level] + self.part;
            level += 1;
        }
        self.levels[level] = self.part;
        self.part = T::zero();
    }

    pub(crate) fn total(&self) -> T {
        let parts = self.count / 16;
        let mut total = self.part;
        for level in (0..self.levels.len()).filter(|level| parts >> level & 1 == 1) {
            total = self.levels[level] + total;
        }
        total
    }
}

/// The sum of some numbers, as [`Sum`] makes it.
pub(crate) fn sum<T: Real>(values: impl IntoIterator<Item = T>) -> T {
    let mut sum = Sum::new();
    values.into_iter().for_each(|value| sum.add(value));
    sum.total()
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
