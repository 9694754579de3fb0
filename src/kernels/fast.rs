//! Elementary functions in f32 that compilers can vectorise, for the CPU schedules.
//!
//! The loops they stand in are compiled for each kind of processor by `pulp`; all must be inlined
//! there. The functions have neither branches nor tables; the errors stated are held by the tests below. A NaN or
//! an infinity comes through as one, so that it is found.

/// exp x for x ≤ 0, within 2·10⁻⁷ of itself; below −87 it is zero or nearly so.
#[inline(always)]
pub(crate) fn exp_negative(x: f32) -> f32 {
    let clamped = if x < -87.3 { -87.3 } else { x };
    // The clamp makes a number of −∞; 0 · x makes it NaN again.
    exp_bounded(clamped) + 0.0 * x
}

/// exp x for x from −87.3 to 87.3, within 2·10⁻⁷ of itself.
#[inline(always)]
pub(crate) fn exp_bounded(x: f32) -> f32 {
    // Adding 1.5 · 2²³ rounds to an integer, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // The rest in two steps, since ln 2 in one f32 is not exact enough.
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    // Taylor to the seventh power: |r| is at most ½ log 2.
    let mut series = 1.0 / 5040.0;
    for k in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0] {
        series = series * r + k;
    }
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    (1.0 + series * r) * power
}

/// log(1 + e) for 0 ≤ e ≤ 1, within 1.5·10⁻⁷ absolutely.
#[inline(always)]
pub(crate) fn ln_1p_unit(e: f32) -> f32 {
    // log(1 + e) = 2 artanh(e / (2 + e)), whose argument is at most a third.
    let s = e / (2.0 + e);
    let q = s * s;
    let series = 2.0
        + q * (0.666_666_7
            + q * (0.4
                + q * (0.285_714_3 + q * (0.222_222_2 + q * (0.181_818_2 + q * 0.153_846)))));
    s * series
}

/// log(1 − e) for 0 ≤ e ≤ 0.4, within 2.5·10⁻⁷ of itself.
#[inline(always)]
pub(crate) fn ln_1m(e: f32) -> f32 {
    // −2 artanh(e / (2 − e)), whose argument is at most a quarter.
    let s = e / (2.0 - e);
    let q = s * s;
    let series = 2.0
        + q * (0.666_666_7 + q * (0.4 + q * (0.285_714_3 + q * (0.222_222_2 + q * 0.181_818_2))));
    -s * series
}

/// Runs a loop as compiled for the widest vectors of this processor. No multiplication is fused
/// with an addition, so every processor computes the same bits. The closure must be marked
/// `#[inline(always)]` too: a large one is otherwise compiled apart, for the smallest processor.
#[inline(always)]
pub(crate) fn vectorised<R>(run: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_as_stated() {
        for i in 0..=870_000 {
            let x = -(i as f32) * 1e-4;
            let (found, exact) = (f64::from(exp_negative(x)), f64::from(x).exp());
            assert!((found - exact).abs() <= 2e-7 * exact, "exp {x}: {found}, {exact}");
        }
        for i in -870_000..=870_000 {
            let x = i as f32 * 1e-4;
            let (found, exact) = (f64::from(exp_bounded(x)), f64::from(x).exp());
            assert!((found - exact).abs() <= 2e-7 * exact, "exp {x}: {found}, {exact}");
        }
        for i in 1..=400_000 {
            let e = i as f32 * 1e-6;
            let (found, exact) = (f64::from(ln_1m(e)), (-f64::from(e)).ln_1p());
            assert!((found / exact - 1.0).abs() <= 2.5e-7, "log(1 − {e}): {found}, {exact}");
        }
        for i in 0..=1_000_000 {
            let e = i as f32 * 1e-6;
            let (found, exact) = (f64::from(ln_1p_unit(e)), f64::from(e).ln_1p());
            assert!((found - exact).abs() <= 1.5e-7, "ln_1p {e}: {found}, {exact}");
        }
    }

    #[test]
    fn what_is_not_finite_stays_so() {
        assert!(exp_negative(f32::NAN).is_nan(), "exp NaN");
        assert!(!exp_negative(f32::NEG_INFINITY).is_finite(), "an infinite logit is found");
        assert!(ln_1p_unit(f32::NAN).is_nan(), "log NaN");
    }
}
