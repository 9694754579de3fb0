//! The families of pixels, each from its formula: −log p and its gradient, the mean, and a draw.

use super::Pixelwise;
use super::gamma::{bounded_mean, gamma_draw, negative_binomial, poisson, poisson_draw, uniform};
use super::mixture;
use crate::config::{LOG_SCALE_BOUNDS, Likelihood, ModelConfig, Scale};
use crate::engine::{Real, real};
use crate::kernels::common::{sigmoid, softplus, sum};
use crate::kernels::philox::normals_of;

/// A log-scale within its bounds, and its slope there: 1, or 0 outside.
pub(super) fn bounded<T: Real>(raw: T) -> (T, T) {
    let (lowest, highest) = LOG_SCALE_BOUNDS;
    let value = raw.max(T::from_f32(lowest)).min(T::from_f32(highest));
    (value, if value == raw { T::one() } else { T::zero() })
}

/// −log p of the pixel x in nats, of what the decoder `made` of it, and the slope at a `log_scale` that
/// is not the decoder's. The gradient at what was made goes to `d`.
pub(super) fn pixel<T: Real>(p: &Pixelwise, made: &[T], x: T, log_scale: T, d: &mut [T]) -> [T; 2] {
    let family = Likelihood::ALL[p.family as usize];
    match family {
        Likelihood::Bernoulli => unreachable!("its kernel is `bernoulli.forward`"),
        Likelihood::ContinuousBernoulli => {
            d[0] = unit_mean(made[0]) - x;
            [log_integral(made[0]) - made[0] * x, T::zero()]
        }
        Likelihood::Normal | Likelihood::Laplace | Likelihood::Logistic => {
            let own = made.get(1).map(|&raw| bounded(raw));
            let (log_scale, slope) = own.unwrap_or((log_scale, T::one()));
            let [nll, at_location, at_scale] = match family {
                Likelihood::Normal => normal(x, made[0], log_scale),
                Likelihood::Laplace => laplace(x, made[0], log_scale),
                _ => logistic(p.levels, x, made[0], log_scale),
            };
            d[0] = at_location;
            if let Some(d) = d.get_mut(1) {
                *d = at_scale * slope;
            }
            [nll, at_scale]
        }
        Likelihood::Poisson => {
            let (log_mean, slope) = bounded_mean(made[0]);
            let [nll, at_mean] = poisson(x, log_mean);
            d[0] = at_mean * slope;
            [nll, T::zero()]
        }
        Likelihood::NegativeBinomial => {
            let (log_mean, slope) = bounded_mean(made[0]);
            let own = made.get(1).map(|&raw| bounded(raw));
            let (log_r, slope_at_r) = own.unwrap_or((log_scale, T::one()));
            let [nll, at_mean, at_r] = negative_binomial(x, log_mean, log_r);
            d[0] = at_mean * slope;
            if let Some(d) = d.get_mut(1) {
                *d = at_r * slope_at_r;
            }
            [nll, at_r]
        }
        Likelihood::LogisticMixture | Likelihood::ColourMixture => {
            unreachable!("their kernel is `likelihood.mixture`")
        }
        Likelihood::Categorical => {
            let level = level(p.levels, x);
            let all = log_sum(made);
            for (k, (d, &logit)) in d.iter_mut().zip(made).enumerate() {
                let here = if k == level { T::one() } else { T::zero() };
                *d = (logit - all).exp() - here;
            }
            [all - made[level], T::zero()]
        }
    }
}

/// The level of a pixel, counted from zero.
fn level<T: Real>(levels: u32, x: T) -> usize {
    (x * real(f64::from(levels - 1))).round().to_usize().expect("pixels are on levels")
}

/// The value of a level.
fn value(levels: usize, level: usize) -> f64 {
    level as f64 / (levels - 1) as f64
}

/// log Σ exp v.
pub(super) fn log_sum<T: Real>(v: &[T]) -> T {
    let high = v.iter().fold(T::neg_infinity(), |high, &v| high.max(v));
    high + sum(v.iter().map(|&v| (v - high).exp())).ln()
}

/// log ∫ exp(l x) over [0, 1] = log((exp l − 1) / l): log(1 + exp l) − log C(σ(l)) of Loaiza-Ganem and
/// Cunningham (2019, eq. 7 and 8), where 1 − 2 σ(l) = −tanh(l / 2) and so C = l / tanh(l / 2).
fn log_integral<T: Real>(l: T) -> T {
    let a = l.abs();
    if a == T::zero() {
        return T::zero();
    }
    l.max(T::zero()) + (-(-a).exp_m1() / a).ln()
}

/// The mean of the density that is proportional to exp(l x) on [0, 1], 1 / (1 − exp −l) − 1 / l: the
/// mean of the continuous Bernoulli (eq. 9). Near zero, where the difference has few digits, it is the
/// series of Bernoulli numbers B₂ₙ l²ⁿ⁻¹ / (2n)!.
fn unit_mean<T: Real>(l: T) -> T {
    const SERIES: [f64; 8] = [
        1.0 / 12.0,
        -1.0 / 720.0,
        1.0 / 30_240.0,
        -1.0 / 1_209_600.0,
        1.0 / 47_900_160.0,
        -691.0 / 1_307_674_368_000.0,
        1.0 / 74_724_249_600.0,
        -3617.0 / 10_670_622_842_880_000.0,
    ];
    if l.abs() > T::one() {
        return -T::one() / (-l).exp_m1() - T::one() / l;
    }
    let mut series = T::zero();
    for term in SERIES.into_iter().rev() {
        series = series * l * l + real(term);
    }
    real::<T>(0.5) + series * l
}

/// −log N(x; m, s²), and its slopes at m and at log s.
fn normal<T: Real>(x: T, m: T, log_scale: T) -> [T; 3] {
    let (s, half) = (log_scale.exp(), real::<T>(0.5));
    let error = (x - m) / s;
    let log_norm = log_scale + half * real(std::f64::consts::TAU.ln());
    [half * error * error + log_norm, -error / s, T::one() - error * error]
}

/// −log of the Laplace density exp(−|x − m| / s) / (2 s), and its slopes at m and at log s.
fn laplace<T: Real>(x: T, m: T, log_scale: T) -> [T; 3] {
    let s = log_scale.exp();
    let error = (x - m) / s;
    let side = if error == T::zero() { error } else { error.signum() };
    let log_norm = log_scale + real(std::f64::consts::LN_2);
    [error.abs() + log_norm, -side / s, T::one() - error.abs()]
}

/// −log P of the level x: of what a logistic distribution puts into its bin, from a to b in units of the
/// scale, of which the first and the last are open (Kingma et al. 2016, appendix; Salimans et al. 2017,
/// eq. 2); and its slopes at m and at log s. Since σ(a) − σ(b) = σ(a) σ(−b) (1 − exp(b − a)), its
/// logarithm is a sum of three that lose no digits, and there is no floor.
pub(super) fn logistic<T: Real>(levels: u32, x: T, m: T, log_scale: T) -> [T; 3] {
    let steps = real::<T>(f64::from(levels - 1));
    let (s, half, level) = (log_scale.exp(), real::<T>(0.5) / steps, (x * steps).round());
    let (a, b) = ((x - m + half) / s, (x - m - half) / s);
    let mut found = [T::zero(); 3];
    let mut add = |terms: [T; 3]| found.iter_mut().zip(terms).for_each(|(f, t)| *f += t);
    if level < steps {
        add([softplus(-a), sigmoid(-a) / s, a * sigmoid(-a)]);
    }
    if level > T::zero() {
        add([softplus(b), -sigmoid(b) / s, -b * sigmoid(b)]);
    }
    if level > T::zero() && level < steps {
        let width = half / s * real(2.0);
        add([-(-(-width).exp_m1()).ln(), T::zero(), width / width.exp_m1()]);
    }
    found
}

/// A location within a pixel's range.
pub(super) fn within<T: Real>(m: T) -> T {
    m.max(T::zero()).min(T::one())
}

/// The level nearest to a number.
pub(super) fn nearest(model: &ModelConfig, v: f64) -> f64 {
    let steps = (model.levels - 1) as f64;
    (v.clamp(0.0, 1.0) * steps).round() / steps
}

/// The mean of a pixel, or of each number that is modelled together, of what the decoder `made` of it, or of a count of
/// the logarithm of its mean. That of a logistic distribution is its location within the pixel's range, which differs from
/// the mean of its levels where the scale is not small against the location's distance from the ends.
pub(crate) fn mean<T: Real>(model: &ModelConfig, made: &[T], to: &mut [T]) {
    to[0] = match model.likelihood {
        Likelihood::Bernoulli => sigmoid(made[0]),
        Likelihood::ContinuousBernoulli => unit_mean(made[0]),
        Likelihood::Normal | Likelihood::Laplace => made[0],
        Likelihood::Logistic => within(made[0]),
        Likelihood::LogisticMixture | Likelihood::ColourMixture => {
            return mixture::means(model, made, to);
        }
        Likelihood::Categorical => {
            let all = log_sum(made);
            let parts = made.iter().enumerate();
            let parts = parts.map(|(k, &logit)| (logit - all).exp() * real(value(model.levels, k)));
            parts.fold(T::zero(), |mean, part| mean + part)
        }
        Likelihood::Poisson | Likelihood::NegativeBinomial => mean_count(made),
    };
}

/// The mean of a count.
fn mean_count<T: Real>(made: &[T]) -> T {
    bounded_mean(made[0]).0.exp()
}

/// A pixel drawn from its distribution, or all numbers that are modelled together, of what the decoder `made` of it, as for
/// its [`mean`]; `shared` is the log-scale of all pixels where there is one. `more` has four random words of each number
/// from 0 on, of which most families need the first four.
pub(crate) fn draw(
    model: &ModelConfig,
    made: &[f64],
    shared: f64,
    to: &mut [f64],
    more: impl Fn(u32) -> [u32; 4],
) {
    let words = more(0);
    let (u, odds) = (uniform(words[0]), logit(uniform(words[1])));
    let s = match model.scale {
        Scale::Fixed => model.sigma,
        Scale::Shared => bounded(shared).0.exp(),
        Scale::Pixel => bounded(made[made.len() - 1]).0.exp(),
    };
    to[0] = match model.likelihood {
        Likelihood::Bernoulli => f64::from(u < sigmoid(made[0])),
        Likelihood::ContinuousBernoulli => unit_draw(made[0], u),
        Likelihood::Normal => made[0] + s * normals_of::<f64>(words)[0],
        Likelihood::Laplace => {
            made[0] - s * (u - 0.5).signum() * (1.0 - (2.0 * u - 1.0).abs()).ln()
        }
        Likelihood::Logistic => nearest(model, made[0] + s * odds),
        Likelihood::LogisticMixture | Likelihood::ColourMixture => {
            return mixture::draw(model, made, to, more);
        }
        Likelihood::Categorical => value(model.levels, chosen(made, u)),
        Likelihood::Poisson => poisson_draw(mean_count(made), words),
        // A Poisson count of a gamma mean.
        Likelihood::NegativeBinomial => {
            let rate = gamma_draw(s, |k| more(k + 1)) * mean_count(made) / s;
            poisson_draw(rate, words)
        }
    };
}

/// log(u / (1 − u)): a standard logistic number of a uniform one.
pub(super) fn logit(u: f64) -> f64 {
    u.ln() - (-u).ln_1p()
}

/// Where the distribution function of the continuous Bernoulli, (exp(l x) − 1) / (exp l − 1), is u.
fn unit_draw(l: f64, u: f64) -> f64 {
    match l {
        // The mirror image, so that no exponential overflows.
        l if l > 0.0 => 1.0 - unit_draw(-l, 1.0 - u),
        l if l > -1e-9 => u,
        l => (u * l.exp_m1()).ln_1p() / l,
    }
}

/// Which of some logits a uniform number chooses.
pub(super) fn chosen(logits: &[f64], u: f64) -> usize {
    let all = log_sum(logits);
    let mut below = 0.0;
    let passed = logits.iter().take_while(|&&logit| {
        below += (logit - all).exp();
        below <= u
    });
    passed.count().min(logits.len() - 1)
}
