//! Counts: −log p and its slopes, draws, and what they need of the gamma function.

use crate::config::LOG_MEAN_BOUNDS;
use crate::engine::{Real, real};
use crate::kernels::philox::normals_of;

/// Binet's c(y) = log Γ(y) − (y − ½) log y + y − ½ log 2π for y > 0, and its slope: Stirling's series (Abramowitz and
/// Stegun 6.1.40) from 10 on, and below it by c(y) = c(y + 1) + (y + ½) log(1 + 1 / y) − 1. Log Γ and its slope by it
/// are within 4·10⁻¹⁵ of themselves, or of 1 where they are smaller.
pub(super) fn binet<T: Real>(y: T) -> [T; 2] {
    // B₂ₙ / (2n (2n − 1)).
    const SERIES: [f64; 8] = [
        1.0 / 12.0,
        -1.0 / 360.0,
        1.0 / 1260.0,
        -1.0 / 1680.0,
        1.0 / 1188.0,
        -691.0 / 360_360.0,
        1.0 / 156.0,
        -3617.0 / 122_400.0,
    ];
    let (mut y, mut found, one, half) = (y, [T::zero(); 2], T::one(), real::<T>(0.5));
    while y < real(10.0) {
        let log = (one / y).ln_1p();
        found[0] += (y + half) * log - one;
        found[1] += log - (y + half) / (y * (y + one));
        y += one;
    }
    let (mut series, mut slope) = (T::zero(), T::zero());
    for (n, term) in SERIES.into_iter().enumerate().rev() {
        series = series / (y * y) + real(term);
        slope = slope / (y * y) - real(term * (2 * n + 1) as f64);
    }
    [found[0] + series / y, found[1] + slope / (y * y)]
}

/// The logarithm of a mean within its bounds, and its slope there: 1, or 0 outside.
pub(super) fn bounded_mean<T: Real>(raw: T) -> (T, T) {
    let (lowest, highest) = LOG_MEAN_BOUNDS;
    let value = raw.max(T::from_f32(lowest)).min(T::from_f32(highest));
    (value, if value == raw { T::one() } else { T::zero() })
}

/// −log of the Poisson probability μ − x m + log Γ(x + 1) of the count x, where m = log μ, and its slope at m.
///
/// With d = m − log x it is x (exp d − 1 − d) + ½ log(2π x) + c(x) (Loader 2000, eq. 3 and 4), of terms that are
/// no larger than it: the plain formula has none of its digits left in f32 where x is large.
pub(super) fn poisson<T: Real>(x: T, m: T) -> [T; 2] {
    let mean = m.exp();
    if x == T::zero() {
        return [mean, mean];
    }
    let d = m - x.ln();
    [x * (d.exp_m1() - d) + half_log(x) + binet(x)[0], mean - x]
}

/// ½ log(2π v).
fn half_log<T: Real>(v: T) -> T {
    real::<T>(0.5) * (v * real(std::f64::consts::TAU)).ln()
}

/// −log of the negative binomial probability of the count x with the mean μ = exp m and the inverse dispersion
/// r = exp `log_r`, whose variance is μ + μ² / r:
/// log Γ(r) + log Γ(x + 1) − log Γ(x + r) − r log(r / (r + μ)) − x log(μ / (r + μ)) (Lopez et al. 2018), and its slopes
/// at m and at log r.
///
/// Taken together by their size (Loader 2000), as in [`poisson`]: with u = (μ − x) / (r + x) and w = −u r / μ it is
/// r log(1 + u) + x log(1 + w) + ½ log(2π x (x + r) / r) + c(r) + c(x) − c(x + r), of which only the first
/// is left where x is 0.
pub(super) fn negative_binomial<T: Real>(x: T, m: T, log_r: T) -> [T; 3] {
    let (mean, r, half) = (m.exp(), log_r.exp(), real::<T>(0.5));
    // log(1 + u), of which 1 + u is the quotient: where u is near −1 the sum has few digits.
    let by_r = log_near((mean - x) / (r + x), (r + mean) / (r + x));
    let off = (mean - x) / (r + mean);
    let mut found = [r * by_r, r * off, r * (by_r - off)];
    if x > T::zero() {
        let (high, low) = (r * (x - mean), mean * (x + r));
        let by_x = if high.abs() < low * real(0.25) {
            (high / low).ln_1p()
        } else {
            // log(1 + r / μ) − log(1 + r / x).
            let t = log_r - m;
            t.max(T::zero()) + (-t.abs()).exp().ln_1p() - (r / x).ln_1p()
        };
        let [[of_r, at_r], [of_x, _], [of_both, at_both]] = [r, x, x + r].map(binet);
        found[0] += x * by_x + half_log(x * (x + r) / r) + of_r + of_x - of_both;
        found[2] += r * (at_r - at_both) - half * x / (x + r);
    }
    found
}

/// log(1 + u), where 1 + u is known.
fn log_near<T: Real>(u: T, sum: T) -> T {
    if u.abs() < real(0.25) { u.ln_1p() } else { sum.ln() }
}

/// Uniform in (0, 1), without its ends.
pub(super) fn uniform(word: u32) -> f64 {
    (f64::from(word) + 0.5) / 4_294_967_296.0
}

/// The mean from which on Poisson counts are drawn as rounded normal numbers: their skewness is below 0.045.
const NORMAL: f64 = 500.0;

/// A Poisson count of this mean by four random words: where its distribution function passes a uniform number,
/// or from [`NORMAL`] on the rounded normal number of the same mean and variance.
pub(super) fn poisson_draw(mean: f64, words: [u32; 4]) -> f64 {
    if mean > NORMAL {
        return (mean + mean.sqrt() * normals_of::<f64>(words)[0]).round().max(0.0);
    }
    let (u, mut count, mut p) = (uniform(words[0]), 0.0, (-mean).exp());
    let mut below = p;
    while below <= u && p > 0.0 {
        count += 1.0;
        p *= mean / count;
        below += p;
    }
    count
}

/// A gamma number of this shape and the scale 1 (Marsaglia and Tsang 2000), by as many words as it takes: `words` has
/// four of each number from 0 on.
pub(super) fn gamma_draw(shape: f64, words: impl Fn(u32) -> [u32; 4]) -> f64 {
    // Γ(a) is Γ(a + 1) times the power 1 / a of a uniform number.
    let (raised, factor) = match shape {
        a if a < 1.0 => (a + 1.0, (uniform(words(0)[3]).ln() / a).exp()),
        a => (a, 1.0),
    };
    let d = raised - 1.0 / 3.0;
    let accepted = (0..64).find_map(|k| {
        let words = words(k);
        let x = normals_of::<f64>(words)[0];
        let v = (1.0 + x / (9.0 * d).sqrt()).powi(3);
        let fits = v > 0.0 && uniform(words[2]).ln() < 0.5 * x * x + d - d * v + d * v.ln();
        fits.then_some(d * v)
    });
    // One in twenty is refused at the most: 64 in a row never are.
    factor * accepted.unwrap_or(d)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::philox::{key, philox};

    /// 10⁻⁴ to 10⁶, with whole numbers among them.
    fn places() -> impl Iterator<Item = f64> {
        let even = (0..=1000).map(|i| 10f64.powf(-4.0 + f64::from(i) / 100.0));
        even.chain((1..=40).map(f64::from))
    }

    fn log_gamma<T: Real>(y: T) -> T {
        (y - real(0.5)) * y.ln() - y + half_log(T::one()) + binet(y)[0]
    }

    #[test]
    fn the_gamma_function_is_that_of_libm() {
        let (mut worst, mut single) = (0.0_f64, 0.0_f64);
        for y in places() {
            let expected = libm::lgamma(y);
            let size = expected.abs().max(1.0);
            worst = worst.max((log_gamma(y) - expected).abs() / size);
            let expected = libm::lgamma(f64::from(y as f32));
            single = single.max((f64::from(log_gamma(y as f32)) - expected).abs() / size);
        }
        assert!(worst < 4e-15 && single < 1e-6, "{worst:e} in f64, {single:e} in f32");
    }

    /// ψ(y) = log y − 1 / (2 y) + c′(y): where it is known, by its recurrence, and by differences.
    #[test]
    fn the_slope_is_that_of_the_gamma_function() {
        let digamma = |y: f64| y.ln() - 0.5 / y + binet(y)[1];
        const EULER: f64 = 0.577_215_664_901_532_9;
        assert!((digamma(1.0) + EULER).abs() < 1e-15, "ψ(1)");
        assert!((digamma(0.5) + EULER + 4f64.ln()).abs() < 4e-15, "ψ(½)");
        for y in places() {
            let apart = (digamma(y + 1.0) - digamma(y) - 1.0 / y).abs();
            assert!(apart < 4e-15 * (1.0 / y).max(15.0), "ψ({y} + 1): {apart:e}");
            let h = 1e-4 * y;
            let [low, high] = [y - h, y + h].map(libm::lgamma);
            let expected = (high - low) / (2.0 * h);
            let apart = (digamma(y) - expected).abs() / expected.abs().max(1.0);
            assert!(apart < 1e-7, "ψ({y}): {apart:e} from differences");
        }
    }

    /// The plain formulas in f64; both precisions of ours.
    #[test]
    fn probabilities_are_those_of_the_plain_formulas() {
        for x in [0.0, 1.0, 2.0, 7.0, 30.0, 500.0, 20_000.0] {
            for off in [-3.0, -0.4, -0.01, 0.0, 0.02, 0.7, 4.0] {
                let m = f64::max(x, 0.3).ln() + off;
                let plain = m.exp() - x * m + libm::lgamma(x + 1.0);
                let close = |found: f64, plain: f64, tolerance: f64| {
                    (found - plain).abs() < tolerance * plain.abs().max(1.0)
                };
                // What is lost of the plain sum is a share of its terms.
                let lost = 1e-15 * (x * m.abs() + m.exp());
                assert!(close(poisson(x, m)[0], plain, 1e-14 + lost), "Poisson {x} at {m}");
                let m = f64::from(m as f32);
                let exact = poisson(x, m)[0];
                let found = f64::from(poisson(x as f32, m as f32)[0]);
                assert!(
                    close(found, exact, 1e-6 + 1e-6 * x * off.abs() / exact.max(1.0)),
                    "{x} at {m}: {found}, {exact}"
                );
                for log_r in [-8.0, -2.0, 0.0, 1.5, 8.0_f64] {
                    let r = log_r.exp();
                    let both = libm::lgamma(r) + libm::lgamma(x + 1.0) - libm::lgamma(x + r);
                    let sum = (r + m.exp()).ln();
                    let plain = both - r * (log_r - sum) - x * (m - sum);
                    let lost = 1e-15 * (x + r) * (x + r).ln().abs().max(10.0);
                    let exact = negative_binomial(x, m, log_r)[0];
                    assert!(
                        close(exact, plain, 1e-13 + lost),
                        "{x} at {m}, {log_r}: {exact}, {plain}"
                    );
                    let found = f64::from(negative_binomial(x as f32, m as f32, log_r as f32)[0]);
                    let lost = 1e-6 * x * off.abs() / exact.max(1.0);
                    assert!(
                        close(found, exact, 2e-6 + lost),
                        "{x} at {m}, {log_r}: {found}, {exact}"
                    );
                }
            }
        }
    }

    /// Mean and variance within five standard errors.
    #[test]
    fn draws_have_their_moments() {
        const COUNT: u32 = 20_000;
        let words = |i: u32, k: u32| philox([i, 7, k, 0], key(5));
        let hold = |what: String, [mean, variance]: [f64; 2], draw: &dyn Fn(u32) -> f64| {
            let all: Vec<_> = (0..COUNT).map(draw).collect();
            let found = all.iter().sum::<f64>() / f64::from(COUNT);
            let squares = all.iter().map(|v| (v - found).powi(2));
            let spread = squares.clone().sum::<f64>() / f64::from(COUNT);
            let fourth = squares.map(|v| v * v).sum::<f64>() / f64::from(COUNT);
            let errors = [variance.sqrt(), (fourth - spread * spread).sqrt()];
            let errors = errors.map(|e| 5.0 * e / f64::from(COUNT).sqrt());
            assert!((found - mean).abs() < errors[0], "{what}: the mean is {found}, not {mean}");
            assert!((spread - variance).abs() < errors[1], "{what}: {spread}, not {variance}");
        };
        for mean in [1e-3, 0.7, 12.0, 499.0, 501.0, 1e6] {
            hold(format!("Poisson {mean}"), [mean; 2], &|i| poisson_draw(mean, words(i, 0)));
        }
        for shape in [0.05, 0.6, 1.0, 3.5, 2000.0] {
            hold(format!("gamma {shape}"), [shape; 2], &|i| gamma_draw(shape, |k| words(i, k)));
        }
    }
}
