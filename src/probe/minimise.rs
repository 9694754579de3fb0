//! The minimum of a smooth convex function, by L-BFGS (Liu and Nocedal 1989, algorithm 2.1).

use std::collections::VecDeque;

/// Pairs of steps and changes of the gradient that stand for the curvature.
const MEMORY: usize = 12;

/// What a step must win of what its slope promises (Armijo 1966).
const LEAST_GAIN: f64 = 1e-4;

/// How often a step is halved before there is nothing left to win in f64.
const MOST_HALVINGS: usize = 40;

/// Where a search ended.
pub(super) struct Found {
    pub(super) at: Vec<f64>,
    pub(super) iterations: usize,
    /// Whether the gradient became as small as was asked, or the value cannot become smaller in f64.
    pub(super) converged: bool,
}

/// Goes down from `at` until the norm of the gradient is at most `tolerance`. The function gives
/// its value and its gradient.
pub(super) fn minimise(
    mut at: Vec<f64>,
    tolerance: f64,
    most_iterations: usize,
    function: impl Fn(&[f64]) -> (f64, Vec<f64>),
) -> Found {
    let (mut value, mut gradient) = function(&at);
    let mut pairs: VecDeque<Pair> = VecDeque::new();
    for iterations in 0..most_iterations {
        if dot(&gradient, &gradient).sqrt() <= tolerance {
            return Found { at, iterations, converged: true };
        }
        let direction = descent(&gradient, &pairs);
        let slope = dot(&direction, &gradient);
        // The first step has no curvature to go by, so it is of length 1 at the most.
        let first = dot(&direction, &direction).sqrt().recip().min(1.0);
        let mut step = if pairs.is_empty() { first } else { 1.0 };
        let taken = (0..MOST_HALVINGS).find_map(|_| {
            let next: Vec<_> = at.iter().zip(&direction).map(|(x, d)| x + step * d).collect();
            let (next_value, next_gradient) = function(&next);
            let gain = value - next_value;
            if gain >= -LEAST_GAIN * step * slope && gain > 0.0 {
                return Some((next, next_value, next_gradient));
            }
            step *= 0.5;
            None
        });
        let Some((next, next_value, next_gradient)) = taken else {
            // As low as rounding lets see, unless there was nothing to see.
            let seen = value.is_finite() && slope.is_finite();
            return Found { at, iterations, converged: seen };
        };
        let moved = difference(&next, &at);
        let change = difference(&next_gradient, &gradient);
        let curvature = dot(&moved, &change);
        // Rounding alone can leave none in a convex function.
        if curvature > 1e-12 * dot(&change, &change).sqrt() * dot(&moved, &moved).sqrt() {
            pairs.truncate(MEMORY - 1);
            pairs.push_front(Pair { moved, change, curvature });
        }
        (at, value, gradient) = (next, next_value, next_gradient);
    }
    Found { at, iterations: most_iterations, converged: false }
}

/// A step that was made, how the gradient changed, and the product of both.
struct Pair {
    moved: Vec<f64>,
    change: Vec<f64>,
    curvature: f64,
}

/// −H g, where H is the inverse curvature that the pairs, the newest first, stand for (Nocedal 1980).
fn descent(gradient: &[f64], pairs: &VecDeque<Pair>) -> Vec<f64> {
    let mut d: Vec<_> = gradient.iter().map(|g| -g).collect();
    let mut shares = Vec::new();
    for Pair { moved, change, curvature } in pairs {
        let share = dot(moved, &d) / curvature;
        add(&mut d, -share, change);
        shares.push(share);
    }
    if let Some(Pair { change, curvature, .. }) = pairs.front() {
        let scale = curvature / dot(change, change);
        d.iter_mut().for_each(|d| *d *= scale);
    }
    for (Pair { moved, change, curvature }, share) in pairs.iter().zip(shares).rev() {
        let back = dot(change, &d) / curvature;
        add(&mut d, share - back, moved);
    }
    d
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], scale: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += scale * what);
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ½ Σ λᵢ (xᵢ − i)², whose minimum is known.
    #[test]
    fn a_bowl_is_gone_down() {
        let curvatures: Vec<f64> = (0..30).map(|i| 10_f64.powf(f64::from(i) / 10.0)).collect();
        let bowl = |x: &[f64]| {
            let apart = x.iter().zip(0..).map(|(x, i)| x - f64::from(i));
            let gradient: Vec<_> = apart.zip(&curvatures).map(|(a, c)| a * c).collect();
            let value = gradient.iter().zip(&curvatures).map(|(g, c)| 0.5 * g * g / c).sum();
            (value, gradient)
        };
        let found = minimise(vec![0.0; 30], 1e-7, 1000, bowl);
        assert!(found.converged, "after {} iterations", found.iterations);
        assert!(found.iterations < 300, "{} iterations", found.iterations);
        for (i, x) in found.at.iter().enumerate() {
            assert!((x - i as f64).abs() < 1e-6, "x{i} = {x}");
        }
        let short = minimise(vec![0.0; 30], 1e-7, 3, bowl);
        assert!(!short.converged && short.iterations == 3, "three iterations are too few");
    }
}
