//! The numbers of other programs that tests compare with, and the inputs that they were made of;
//! `tests/golden/quality.py` says how.

use serde_json::Value;

/// A part of the file.
pub(crate) fn golden(part: &str) -> Value {
    let text = include_str!("../../tests/golden/quality.json");
    let all: Value = serde_json::from_str(text).expect("the golden file");
    all[part].clone()
}

/// The generator of `tests/golden/README.md`, in [-1, 1).
pub(crate) fn value(seed: u64, i: usize) -> f64 {
    let mixed = (seed << 32).wrapping_add(i as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let z = z ^ (z >> 31);
    (z >> 40) as f64 / f64::from(1 << 24) * 2.0 - 1.0
}

/// Rows of features.
pub(crate) fn features(seed: u64, rows: usize, columns: usize) -> Vec<f32> {
    let last = |i: usize| i - i % columns + columns - 1;
    (0..rows * columns).map(|i| (value(seed, i) + value(seed, last(i))) as f32).collect()
}

/// Both sets of features of a case of distances.
pub(crate) fn golden_rows(case: &Value) -> [Vec<f32>; 2] {
    let [seed, rows, columns] = ["seed", "rows", "columns"].map(|key| count(case, key));
    let [factor, shift] = ["factor", "shift"].map(|key| number(case, key) as f32);
    let other = features(seed as u64 + 1, rows, columns);
    [features(seed as u64, rows, columns), other.iter().map(|v| v * factor + shift).collect()]
}

pub(crate) fn number(of: &Value, key: &str) -> f64 {
    of[key].as_f64().expect(key)
}

pub(crate) fn count(of: &Value, key: &str) -> usize {
    of[key].as_u64().expect(key) as usize
}

pub(crate) fn numbers(list: &Value) -> Vec<f64> {
    let list = list.as_array().expect("a list");
    list.iter().map(|v| v.as_f64().expect("a number")).collect()
}

/// Fails unless numbers are as near as this.
pub(crate) fn assert_near(found: &[f64], expected: &[f64], within: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= within * b.abs().max(1.0), "{what}: number {i} is {a}, not {b}");
    }
}
