//! The classes of the nearest neighbours, by comparing every image with every other.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::error::Result;
use crate::probe::{Features, refuse};

/// Rows that are compared with one query at a time: a block, which stays in the nearest cache for all
/// queries of a task. Every kind of vector divides it into groups of [`VECTORS`].
const LANES: usize = 64;

/// Vectors of sums that are held in registers, so that no sum waits for the one before it.
const VECTORS: usize = 4;

/// Queries of a task.
pub(crate) const QUERIES: usize = 64;

/// For each row of `queries`, the commonest class among its k nearest rows of `train`, by Euclidean
/// distance (Cover and Hart 1967). Of rows as near, those that come first in `train` are taken; of
/// classes as common, the one with the nearest row.
///
/// Every query is compared with every row, in f32, rows × queries × columns operations.
///
/// # Errors
///
/// If there is not one label for each row of `train`, k is 0 or more than there are rows, or the
/// columns of both differ.
pub fn nearest(
    train: Features<'_>,
    labels: &[u8],
    queries: Features<'_>,
    k: usize,
) -> Result<Vec<u8>> {
    train.check_labels(labels)?;
    queries.check_columns(train.columns)?;
    if k == 0 || k > train.rows() {
        let what = format!("k is {k}, expected 1 to the {} images to compare with", train.rows());
        return Err(refuse(what).hint("5 is usual"));
    }
    let blocks = Blocks::new(train, scale(&[train.values, queries.values]));
    let chunks = queries.values.par_chunks(QUERIES * queries.columns);
    let votes = chunks.flat_map_iter(|queries| {
        let near = blocks.compare(queries, k);
        near.into_iter().map(|near| vote(&near, labels))
    });
    Ok(votes.collect())
}

/// A power of two that brings all values to at most 1: so squares neither leave f32 nor vanish, and
/// the distances keep their order.
pub(crate) fn scale(values: &[&[f32]]) -> f64 {
    let all = values.iter().flat_map(|values| values.iter());
    let largest = all.fold(0.0_f32, |largest, v| largest.max(v.abs()));
    match largest > 0.0 {
        true => (-f64::from(largest).log2().ceil()).exp2(),
        false => 1.0,
    }
}

/// The rows of `train` in blocks of [`LANES`], column by column.
pub(crate) struct Blocks {
    columns: usize,
    rows: usize,
    scale: f64,
    values: Vec<[f32; LANES]>,
}

/// A row's distance, squared, and its place.
pub(crate) type Neighbour = (f32, usize);

impl Blocks {
    /// The rows, multiplied by a scale that their queries are compared at.
    pub(crate) fn new(train: Features<'_>, scale: f64) -> Self {
        let columns = train.columns;
        let mut values = vec![[0.0; LANES]; train.rows().div_ceil(LANES) * columns];
        for (row, x) in train.values.chunks(columns).enumerate() {
            let block = &mut values[row / LANES * columns..][..columns];
            let pairs = block.iter_mut().zip(x);
            pairs.for_each(|(to, &x)| to[row % LANES] = (f64::from(x) * scale) as f32);
        }
        Self { columns, rows: train.rows(), scale, values }
    }

    /// The k nearest rows of each query, the nearest first.
    pub(crate) fn compare(&self, queries: &[f32], k: usize) -> Vec<Vec<Neighbour>> {
        let mut near = vec![Vec::with_capacity(k + 1); queries.len() / self.columns];
        self.each(queries, |query, first, distances| keep(&mut near[query], k, first, distances));
        near
    }

    /// Hands on the squared distances of each query from the rows of each block, with the query's place and
    /// that of the first row.
    pub(crate) fn each(&self, queries: &[f32], mut take: impl FnMut(usize, usize, &[f32])) {
        let scaled = queries.iter().map(|&x| (f64::from(x) * self.scale) as f32);
        let queries: Vec<f32> = scaled.collect();
        let mut distances = vec![[0.0; LANES]; queries.len() / self.columns];
        for (block, values) in self.values.chunks_exact(self.columns).enumerate() {
            Arch::new().dispatch(Compare { queries: &queries, values, out: &mut distances });
            let first = block * LANES;
            let held = LANES.min(self.rows - first);
            for (query, distances) in distances.iter().enumerate() {
                take(query, first, &distances[..held]);
            }
        }
    }
}

/// The squared distances of some queries from the rows of a block. Written in vectors, since what
/// compilers make of the plain loop is four times slower at one of two levels of optimisation.
struct Compare<'a> {
    queries: &'a [f32],
    values: &'a [[f32; LANES]],
    out: &'a mut [[f32; LANES]],
}

impl WithSimd for Compare<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (query, out) in self.queries.chunks_exact(self.values.len()).zip(self.out) {
            let (out, _) = S::as_mut_simd_f32s(out.as_mut_slice());
            let groups = out.as_chunks_mut::<VECTORS>().0.iter_mut().enumerate();
            for (group, out) in groups {
                let mut sums = [simd.splat_f32s(0.0); VECTORS];
                for (&q, x) in query.iter().zip(self.values) {
                    let q = simd.splat_f32s(q);
                    let x = S::as_simd_f32s(x.as_slice()).0.as_chunks::<VECTORS>().0[group];
                    for (sum, x) in sums.iter_mut().zip(x) {
                        let apart = simd.sub_f32s(x, q);
                        *sum = simd.add_f32s(*sum, simd.mul_f32s(apart, apart));
                    }
                }
                *out = sums;
            }
        }
    }
}

/// Takes in the rows of a block that are among the k nearest so far.
fn keep(near: &mut Vec<Neighbour>, k: usize, first: usize, distances: &[f32]) {
    for (place, &distance) in distances.iter().enumerate() {
        let full = near.len() == k;
        // Rows come in their order, so one that is as near as the last comes behind it.
        if !full || near.last().is_some_and(|&(last, _)| distance < last) {
            let at = near.partition_point(|&(other, _)| other <= distance);
            near.insert(at, (distance, first + place));
            near.truncate(k);
        }
    }
}

/// The commonest class of neighbours that stand in the order of their distance.
fn vote(near: &[Neighbour], labels: &[u8]) -> u8 {
    let mut counts = [0_usize; 256];
    let classes = || near.iter().map(|&(_, row)| labels[row]);
    classes().for_each(|class| counts[usize::from(class)] += 1);
    let most = counts.into_iter().max().unwrap_or_default();
    classes().find(|&class| counts[usize::from(class)] == most).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_a_line(train: &[f32], labels: &[u8], query: f32, k: usize) -> u8 {
        let query = [query];
        let [train, query] = [train, &query].map(|x| Features::new(x, 1).expect("rows"));
        nearest(train, labels, query, k).expect("a vote")[0]
    }

    #[test]
    fn the_commonest_class_wins() {
        let train = [0.0, 1.0, 2.0, 10.0, 11.0];
        let labels = [7, 3, 3, 9, 9];
        assert_eq!(on_a_line(&train, &labels, 0.4, 1), 7, "the nearest");
        assert_eq!(on_a_line(&train, &labels, 0.4, 3), 3, "two of three");
        // 0 and 1 vote for two classes, of which 7 is nearer to 0.4, and 3 to 0.6.
        assert_eq!(on_a_line(&train, &labels, 0.4, 2), 7, "the nearest of two");
        assert_eq!(on_a_line(&train, &labels, 0.6, 2), 3, "the other of two");
        // 3 and 9 twice, 7 once: 9 is nearer to 8, though 7 is not farthest.
        assert_eq!(on_a_line(&train, &labels, 8.0, 5), 9, "the nearest of the commonest");
        // As far from 1 as from 2: the first of both.
        assert_eq!(on_a_line(&[2.0, 1.0], &[5, 4], 1.5, 1), 5, "the first of those as near");
        assert_eq!(on_a_line(&[1.0; 100], &[1; 100], 1.5, 100), 1, "all of one class");
    }

    /// Rows far behind the first block, and distances whose squares f32 does not hold.
    #[test]
    fn every_row_is_compared() {
        for size in [1.0_f32, 1e-30, 1e30, 3e38] {
            let train: Vec<_> = (0..300).map(|i| i as f32 / 300.0 * size).collect();
            let labels: Vec<_> = (0..300).map(|i| (i % 256) as u8).collect();
            let queries: Vec<_> = train.iter().map(|x| x + size / 1000.0).collect();
            let [train, queries] = [&train, &queries].map(|x| Features::new(x, 1).expect("rows"));
            let found = nearest(train, &labels, queries, 1).expect("votes");
            assert_eq!(found, labels, "each row is its query's nearest, at {size}");
        }
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let x = Features::new(&[1.0, 2.0], 1).expect("two rows");
        let wide = Features::new(&[1.0, 2.0], 2).expect("a row");
        for (labels, queries, k, says) in [
            ([1, 2].as_slice(), x, 0, "k is 0, expected 1 to the 2 images"),
            (&[1, 2], x, 3, "k is 3"),
            (&[1], x, 1, "1 labels for 2 images"),
            (&[1, 2], wide, 1, "images of 2 features, expected 1"),
        ] {
            let error = nearest(x, labels, queries, k).expect_err(says);
            assert!(error.to_string().contains(says), "`{error}` does not say `{says}`");
            assert!(error.advice().is_some(), "`{error}` has no hint");
        }
    }
}
