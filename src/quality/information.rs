//! The mutual information of columns whose values are bins.

use std::collections::BTreeMap;

/// The bins of a latent dimension's histogram, from its smallest to its largest value.
const BINS: usize = 20;

/// The bin of each value.
pub(super) fn bins(values: impl Iterator<Item = f64>) -> Vec<usize> {
    let values: Vec<_> = values.collect();
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let edges: Vec<_> = (1..BINS).map(|i| low + i as f64 * ((high - low) / BINS as f64)).collect();
    values.iter().map(|v| if high > low { edges.partition_point(|e| e <= v) } else { 0 }).collect()
}

/// Which of a column's values each is, counted in their order.
pub(super) fn places(values: &[f32]) -> Vec<usize> {
    let mut all = values.to_vec();
    all.sort_unstable_by(f32::total_cmp);
    all.dedup();
    values.iter().map(|v| all.partition_point(|other| other < v)).collect()
}

/// The mutual information of two columns of places in nats: Σ p(a, b) log p(a, b) / p(a) p(b).
pub(super) fn information(a: &[usize], b: &[usize]) -> f64 {
    let count = |places: &[usize]| {
        let mut counts = BTreeMap::<_, f64>::new();
        places.iter().for_each(|&place| *counts.entry(place).or_default() += 1.0);
        counts
    };
    let mut both = BTreeMap::<_, f64>::new();
    a.iter().zip(b).for_each(|pair| *both.entry(pair).or_default() += 1.0);
    let (ours, theirs, all) = (count(a), count(b), a.len() as f64);
    let terms = both.iter().map(|((a, b), n)| n / all * (n * all / (ours[a] * theirs[b])).ln());
    terms.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As by `numpy.histogram`: a value on an edge is of the bin above it, the largest of the last.
    #[test]
    fn edges_belong_to_the_bin_above() {
        let found = bins((0..=20).map(f64::from));
        let expected: Vec<_> = (0..20).chain([19]).collect();
        assert_eq!(found, expected, "twenty bins from 0 to 20");
        assert_eq!(bins([3.0; 4].into_iter()), [0; 4], "one value");
    }

    #[test]
    fn a_column_tells_its_own_entropy() {
        let [halves, other] = [[0, 0, 1, 1], [0, 1, 0, 1]];
        assert!((information(&halves, &halves) - 2.0_f64.ln()).abs() < 1e-12, "log 2");
        assert!(information(&halves, &other).abs() < 1e-12, "nothing of another");
        assert_eq!(places(&[2.5, -1.0, 2.5, 7.0]), [1, 0, 1, 2], "in their order");
    }
}
