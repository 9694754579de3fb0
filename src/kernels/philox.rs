//! Philox4x32-10 (Salmon et al. 2011) and what is made of its words, as `philox.wgsl` has it.
//!
//! There is no generator state: a random number is a function of the seed, of what it is for, and
//! of the step, image and element it belongs to.

use crate::engine::{Real, real};

/// What a random word is for; a purpose is added to sixteen times the record's stream.
pub mod purpose {
    /// ε of the posterior.
    pub const NOISE: u32 = 0;
    /// Coins for pixels.
    pub const PIXELS: u32 = 1;
    /// The order of an epoch.
    pub const ORDER: u32 = 2;
    /// First values of parameters.
    pub const INIT: u32 = 3;
    /// Which outputs of a layer a step leaves out.
    pub const DROPOUT: u32 = 4;
    /// Draws of the prior that codes are compared with.
    pub const PRIOR: u32 = 8;
    /// What is wrong with an image that an encoder sees.
    pub const CORRUPTION: u32 = 9;
    /// Coins for pixels that are tossed once, whatever the step.
    pub const PIXELS_ONCE: u32 = 10;
    /// Pixels drawn from p(x | z), on the host.
    pub const DRAWN: u32 = 11;
    /// How a training image is changed before anything sees it.
    pub const AUGMENT: u32 = 13;
    /// What is drawn by mixtures of codes and for their fits, on the host.
    pub const SAMPLER: u32 = 12;
    /// Which component of a learned prior a z is of, on the host.
    pub const COMPONENT: u32 = 14;
}

/// Loop turns of [`philox`] in a shader, with the look that ends them.
pub(crate) const PHILOX: u64 = 11;

/// Loop turns of [`shuffled`] in a shader, for an allowance of 64 walks through the four rounds. A walk is
/// repeated with a probability of at most ¾, and on a GPU until the last lane has ended: more than 64
/// are one in 10⁸.
pub(crate) const SHUFFLED: u64 = 64 * (2 + 4 * (1 + PHILOX));

/// Four random words of a counter and a key.
#[must_use]
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
    const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
    let wide = |a: u32, b: u32| u64::from(a) * u64::from(b);
    let ([mut c0, mut c1, mut c2, mut c3], [mut k0, mut k1]) = (counter, key);
    for _ in 0..10 {
        let (p0, p1) = (wide(MULTIPLIERS[0], c0), wide(MULTIPLIERS[1], c2));
        (c0, c2) = ((p1 >> 32) as u32 ^ c1 ^ k0, (p0 >> 32) as u32 ^ c3 ^ k1);
        (c1, c3) = (p1 as u32, p0 as u32);
        (k0, k1) = (k0.wrapping_add(WEYL[0]), k1.wrapping_add(WEYL[1]));
    }
    [c0, c1, c2, c3]
}

/// The key of a seed.
#[must_use]
pub fn key(seed: u64) -> [u32; 2] {
    [seed as u32, (seed >> 32) as u32]
}

/// The logarithm of a uniform number in (0, 1): (2 ⌊word / 2⁹⌋ + 1) / 2²⁴.
pub(crate) fn log_uniform<T: Real>(word: u32) -> T {
    let m = 2 * (word >> 9) + 1;
    let e = m.ilog2();
    let fraction = m << (23 - e);
    let upper = fraction > 11_863_283;
    let scale = if upper { 24 } else { 23 };
    let f = real::<T>(f64::from(fraction) / f64::from(1 << scale));
    let s = (f - T::one()) / (f + T::one());
    let q = s * s;
    let mut series = T::zero();
    for k in [9.0, 7.0, 5.0, 3.0, 1.0] {
        series = series * q + real(2.0 / k);
    }
    let exponent = f64::from(e) - if upper { 23.0 } else { 24.0 };
    real::<T>(exponent) * real(std::f64::consts::LN_2) + s * series
}

/// Cosine and sine of ⌊word / 2⁸⌋ / 2²⁴ of a turn.
fn cos_sin_turn<T: Real>(word: u32) -> [T; 2] {
    let turn = (word >> 8) as i32;
    let quarter = (turn + 0x20_0000) >> 22;
    let x = real::<T>(f64::from(turn - (quarter << 22)) * std::f64::consts::TAU / 16_777_216.0);
    let q = x * x;
    let (mut s, mut c) = (T::zero(), T::zero());
    for k in [362_880.0, -5_040.0, 120.0, -6.0, 1.0] {
        s = s * q + real(1.0 / k);
    }
    for k in [-3_628_800.0, 40_320.0, -720.0, 24.0, -2.0, 1.0] {
        c = c * q + real(1.0 / k);
    }
    s *= x;
    match quarter & 3 {
        0 => [c, s],
        1 => [-s, c],
        2 => [-c, -s],
        _ => [s, -c],
    }
}

/// Four independent standard normals of four random words (Box and Muller 1958).
#[must_use]
pub fn normals_of<T: Real>(words: [u32; 4]) -> [T; 4] {
    let pair = |a, b| {
        let radius = (log_uniform::<T>(a) * real(-2.0)).sqrt();
        cos_sin_turn::<T>(b).map(|v| v * radius)
    };
    let ([a, b], [c, d]) = (pair(words[0], words[1]), pair(words[2], words[3]));
    [a, b, c, d]
}

/// Whether a coin of probability `byte` / 255 shows heads, for a random word.
#[must_use]
pub fn coin(byte: u32, word: u32) -> bool {
    u64::from(word >> 8) * 255 < u64::from(byte) << 24
}

/// The image at a position of an epoch's order: a bijection of 0 … n − 1 keyed by (seed, epoch).
#[must_use]
pub fn shuffled(position: u32, n: u32, epoch: u32, purpose: u32, key: [u32; 2]) -> u32 {
    let half = ((33 - (n - 1).leading_zeros()) / 2).max(1);
    let mask = (1u32 << half) - 1;
    let mut at = position;
    loop {
        let (mut left, mut right) = (at >> half, at & mask);
        for round in 0..4 {
            let f = philox([right, round, epoch, purpose], key)[0] & mask;
            (left, right) = (right, left ^ f);
        }
        at = (left << half) | right;
        if at < n {
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors published with Random123 (`kat_vectors`, philox4x32 10).
    pub(crate) const VECTORS: [([u32; 4], [u32; 2], [u32; 4]); 3] = [
        ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
        ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
        (
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        ),
    ];

    #[test]
    fn published_vectors() {
        for (counter, key, expected) in VECTORS {
            assert_eq!(philox(counter, key), expected, "counter {counter:x?} key {key:x?}");
        }
    }

    #[test]
    fn an_order_is_a_permutation_and_changes_with_the_epoch() {
        for n in [1u32, 2, 3, 4, 5, 16, 17, 1000, 60_000] {
            let order = |epoch| -> Vec<u32> {
                (0..n).map(|i| shuffled(i, n, epoch, purpose::ORDER, key(7))).collect()
            };
            let (first, second) = (order(1), order(2));
            let mut sorted = first.clone();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..n), "epoch 1 of {n} is a permutation");
            assert!(n < 16 || first != second, "epochs 1 and 2 of {n} differ");
        }
    }

    #[test]
    fn an_order_is_well_mixed() {
        // The position of image i is uniform: over many epochs its mean is (n − 1) / 2, and
        // neighbours in the file are not neighbours in the order.
        let (n, epochs) = (101u32, 400u32);
        let mut near = 0;
        let mut sum = 0u64;
        for epoch in 0..epochs {
            let at = |i| shuffled(i, n, epoch, purpose::ORDER, key(3));
            sum += u64::from(at(0));
            near += (0..n - 1).filter(|&i| at(i + 1) == at(i) + 1).count();
        }
        let mean = sum as f64 / f64::from(epochs);
        assert!((mean - 50.0).abs() < 6.0, "the mean of position 0 is {mean}, sd 1.46");
        let expected = f64::from(epochs) * f64::from(n - 1) / f64::from(n);
        assert!((near as f64 - expected).abs() < 120.0, "{near} neighbours, expected {expected}");
    }

    #[test]
    fn normals_have_the_moments_and_the_quantiles() {
        let n = 400_000;
        let mut values = Vec::with_capacity(n);
        for i in 0..n as u32 / 4 {
            values.extend(normals_of::<f64>(philox([i, 0, 0, 0], key(11))));
        }
        let mean = |f: &dyn Fn(f64) -> f64| values.iter().map(|&v| f(v)).sum::<f64>() / n as f64;
        let share = |limit: f64| mean(&|v| f64::from(u8::from(v.abs() < limit)));
        // Each bound is five standard errors.
        assert!(mean(&|v| v).abs() < 0.008, "mean");
        assert!((mean(&|v| v * v) - 1.0).abs() < 0.012, "variance");
        assert!((mean(&|v| v.powi(4)) - 3.0).abs() < 0.08, "fourth moment");
        assert!((share(1.0) - 0.682_689).abs() < 0.0038, "within one sigma");
        assert!((share(3.0) - 0.997_300).abs() < 0.0005, "within three sigma");
        let pairs = values.chunks_exact(2).map(|p| p[0] * p[1]).sum::<f64>() / (n / 2) as f64;
        assert!(pairs.abs() < 0.012, "the two of a pair are uncorrelated: {pairs}");
    }

    #[test]
    fn the_polynomials_are_the_functions() {
        for i in 0..10_000u32 {
            let word = i.wrapping_mul(0x9e37_79b9) ^ (i << 7);
            let u = f64::from(2 * (word >> 9) + 1) / 16_777_216.0;
            let log: f64 = log_uniform(word);
            assert!((log - u.ln()).abs() < 2e-9 + 1e-8 * u.ln().abs(), "log {u}: {log}");
            let angle = f64::from(word >> 8) / 16_777_216.0 * std::f64::consts::TAU;
            let [c, s]: [f64; 2] = cos_sin_turn(word);
            assert!((c - angle.cos()).abs() < 3e-9, "cos {angle}: {c}");
            assert!((s - angle.sin()).abs() < 3e-9, "sin {angle}: {s}");
        }
    }

    #[test]
    fn coins_are_exact_at_the_ends_and_fair_between() {
        for word in [0, 1, 0x8000_0000, u32::MAX] {
            assert!(!coin(0, word), "a black pixel stays black");
            assert!(coin(255, word), "a white pixel stays white");
        }
        let heads = (0..100_000).filter(|&i| coin(51, philox([i, 1, 2, 3], key(5))[0])).count();
        assert!((heads as f64 - 20_000.0).abs() < 640.0, "51 / 255 = 0.2: {heads} of 100,000");
    }
}
