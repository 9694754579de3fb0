//! Where the components of a mixture begin: k-means++ and a few turns of Lloyd's algorithm.

use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use crate::sampler::Draw;
use crate::sampler::expectation::Codes;

/// Turns in which the centres move to the means of the codes that are nearest to them.
const TURNS: usize = 10;

/// The nearest of some centres to each code, and the squared distance.
pub(super) fn nearest(codes: &Codes, centres: &[DVector<f64>]) -> Vec<(usize, f64)> {
    let parts = codes.parts().par_iter().flat_map_iter(|part| {
        part.column_iter().map(|code| {
            let apart = |centre: &DVector<f64>| {
                code.iter().zip(centre).map(|(a, b)| (a - b) * (a - b)).sum::<f64>()
            };
            let all = centres.iter().map(apart).enumerate();
            all.min_by(|(_, a), (_, b)| a.total_cmp(b)).unwrap_or_default()
        })
    });
    parts.collect()
}

/// The first centres: each a code, drawn by its squared distance from the nearest that was drawn before, then
/// moved to the means of the codes nearest to them.
pub(super) fn centres(codes: &Codes, count: usize, seed: u64) -> Vec<DVector<f64>> {
    // Draws of samples have places from 0 on.
    let uniform = |place: usize| Draw { place: u32::MAX - place as u32, seed }.uniform();
    let mut centres = vec![codes.code((uniform(0) * codes.count() as f64) as usize)];
    let mut distances: Vec<f64> = nearest(codes, &centres).into_iter().map(|(_, d)| d).collect();
    while centres.len() < count {
        let mut left = uniform(centres.len()) * distances.iter().sum::<f64>();
        let chosen = distances.iter().position(|distance| {
            left -= distance;
            left < 0.0
        });
        let centre = codes.code(chosen.unwrap_or(centres.len()));
        let near = nearest(codes, std::slice::from_ref(&centre));
        distances.iter_mut().zip(near).for_each(|(d, (_, new))| *d = d.min(new));
        centres.push(centre);
    }
    for _ in 0..TURNS {
        let near = nearest(codes, &centres);
        let mut sums = vec![(DVector::zeros(centres[0].len()), 0.0); count];
        let all = codes.parts().iter().flat_map(DMatrix::column_iter);
        for (code, (centre, _)) in all.zip(&near) {
            sums[*centre].0 += code;
            sums[*centre].1 += 1.0;
        }
        for (centre, (sum, codes)) in centres.iter_mut().zip(sums) {
            if codes > 0.0 {
                *centre = sum / codes;
            }
        }
    }
    centres
}
