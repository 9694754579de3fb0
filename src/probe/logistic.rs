//! Multinomial logistic regression with a penalty on the weights, fitted to convergence.

use rayon::prelude::*;

use crate::error::Result;
use crate::kernels::fast::vectorised;
use crate::probe::minimise::{Found, minimise};
use crate::probe::{Features, refuse};

/// Images of a task. Fixed, so that the bits do not depend on the number of threads.
const CHUNK: usize = 512;

/// Scores of classes lie in groups of so many, which are computed together.
const LANES: usize = 4;

/// Where a fit ends: the norm of the gradient in the scaled weights, whose curvature is about 1, so
/// that the loss summed over all images is within about 10⁻⁸ of its minimum.
const TOLERANCE: f64 = 1e-4;

const MOST_ITERATIONS: usize = 5000;

/// A fitted linear classifier: p(class | x) = softmax(W x + b).
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    classes: Vec<u8>,
    columns: usize,
    weights: Vec<f64>,
    intercepts: Vec<f64>,
    iterations: usize,
    converged: bool,
}

impl Logistic {
    /// Fits W and b to features, a row for each image, and their labels by minimising
    /// C Σ −log p(label | x) + ½ ‖W‖², in nats, summed over the images. This is what scikit-learn's
    /// `LogisticRegression` means by its defaults, with C = 1: b has no penalty, features are taken
    /// as they are, and two classes have one row of weights, the other one's being 0 (Bishop 2006,
    /// 4.3.2 and 4.3.4).
    ///
    /// The search runs over features that are centred and scaled, which does not change the
    /// minimum, so badly scaled features only cost iterations. The bits do not depend on the number
    /// of threads.
    ///
    /// # Errors
    ///
    /// If there is not one label for each image, all images are of one class, or C is not a finite
    /// number above 0.
    pub fn fit(features: Features<'_>, labels: &[u8], c: f64) -> Result<Self> {
        features.check_labels(labels)?;
        if !(c.is_finite() && c > 0.0) {
            let what = format!("C is {c}, expected a finite number above 0");
            return Err(refuse(what).hint("1 is usual; a smaller one holds the weights smaller"));
        }
        let mut classes = labels.to_vec();
        classes.sort_unstable();
        classes.dedup();
        if let [only] = *classes {
            let what = format!("all {} images are of the class {only}", labels.len());
            return Err(refuse(what).hint("give images of two classes or more"));
        }
        let problem = Problem::new(features, labels, &classes, c);
        let start = vec![0.0; problem.rows * (features.columns + 1)];
        let Found { at, iterations, converged } =
            minimise(start, TOLERANCE, MOST_ITERATIONS, |at| problem.loss(at));
        let (weights, intercepts) = problem.unscaled(&at);
        let columns = features.columns;
        Ok(Self { classes, columns, weights, intercepts, iterations, converged })
    }

    /// The class with the highest score for each row; the lowest of those if several have it.
    ///
    /// # Errors
    ///
    /// If the rows are not of as many columns as those that were fitted.
    pub fn predict(&self, features: Features<'_>) -> Result<Vec<u8>> {
        features.check_columns(self.columns)?;
        let score = |x: &[f32], row: usize| {
            let weights = &self.weights[row * self.columns..][..self.columns];
            let sum: f64 = x.iter().zip(weights).map(|(&x, w)| f64::from(x) * w).sum();
            self.intercepts[row] + sum
        };
        // The first of two classes scores 0.
        let (start, best) = if self.intercepts.len() == 1 { (1, 0.0) } else { (0, f64::MIN) };
        let predict = |x: &[f32]| {
            let scores = (0..self.intercepts.len()).map(|row| (row + start, score(x, row)));
            let higher = |best: (usize, f64), next: (usize, f64)| {
                if next.1 > best.1 { next } else { best }
            };
            self.classes[scores.fold((0, best), higher).0]
        };
        Ok(features.values.par_chunks(self.columns).map(predict).collect())
    }

    /// The classes that were seen, in their order.
    #[must_use]
    pub fn classes(&self) -> &[u8] {
        &self.classes
    }

    /// W, a row of weights for each class; for two classes one row, the second one's.
    #[must_use]
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// b, one for each row of weights.
    #[must_use]
    pub fn intercepts(&self) -> &[f64] {
        &self.intercepts
    }

    /// Steps of the search.
    #[must_use]
    pub fn iterations(&self) -> usize {
        self.iterations
    }

    /// Whether the search came to the minimum within 5000 steps.
    #[must_use]
    pub fn converged(&self) -> bool {
        self.converged
    }
}

/// What is minimised, over weights v of features (x − mean) ⊗ scale, so that W = v ⊗ scale.
struct Problem<'a> {
    features: Features<'a>,
    /// For each image the place of its class.
    places: Vec<usize>,
    c: f64,
    mean: Vec<f64>,
    scale: Vec<f64>,
    intercept_scale: f64,
    /// Rows of weights: one for each class, or one for two classes.
    rows: usize,
    /// The class whose weights the first row holds.
    first: usize,
}

impl<'a> Problem<'a> {
    fn new(features: Features<'a>, labels: &[u8], classes: &[u8], c: f64) -> Self {
        let n = features.rows() as f64;
        let sums = |term: &dyn Fn(usize, f64) -> f64| {
            let mut sums = vec![0.0; features.columns];
            for x in features.values.chunks(features.columns) {
                let values = sums.iter_mut().zip(x).enumerate();
                values.for_each(|(j, (sum, &x))| *sum += term(j, f64::from(x)));
            }
            sums
        };
        let mean: Vec<_> = sums(&|_, x| x).iter().map(|sum| sum / n).collect();
        let squares = sums(&|j, x| (x - mean[j]).powi(2));
        // The curvature of the loss at v = 0 along one weight: Σ p (1 − p) x², and the penalty's 1.
        let p = 1.0 / classes.len() as f64;
        let curvature = c * p * (1.0 - p);
        let scale = squares.iter().map(|sum| (curvature * sum + 1.0).sqrt().recip()).collect();
        let place = |label| classes.binary_search(label).expect("each label is of a class");
        let rows = if classes.len() == 2 { 1 } else { classes.len() };
        Self {
            features,
            places: labels.iter().map(place).collect(),
            c,
            mean,
            scale,
            intercept_scale: (curvature * n).sqrt().recip(),
            rows,
            first: classes.len() - rows,
        }
    }

    /// The number of groups of scores.
    fn groups(&self) -> usize {
        (self.first + self.rows).div_ceil(LANES)
    }

    /// C Σ −log p + ½ ‖W‖² and its gradient. The vector has the rows of v one after another, each
    /// with its intercept behind it, as the gradient has.
    fn loss(&self, at: &[f64]) -> (f64, Vec<f64>) {
        let (columns, groups) = (self.features.columns, self.groups());
        // Classes side by side for each column, as the loops below need them.
        let mut weights = vec![[0.0; LANES]; (columns + 1) * groups];
        for (row, v) in at.chunks(columns + 1).enumerate() {
            let class = row + self.first;
            for (j, v) in v.iter().enumerate() {
                let scale = self.scale.get(j).copied().unwrap_or(self.intercept_scale);
                weights[j * groups + class / LANES][class % LANES] = v * scale;
            }
        }
        let chunks = self.features.values.par_chunks(CHUNK * columns);
        let chunks = chunks.zip(self.places.par_chunks(CHUNK)).map(|(x, places)| {
            vectorised(
                #[inline(always)]
                || self.chunk(x, places, &weights),
            )
        });
        let parts: Vec<_> = chunks.collect();
        let (mut loss, mut sums) = (0.0, vec![[0.0; LANES]; weights.len()]);
        for (part, gradients) in &parts {
            loss += part;
            let pairs = sums.as_flattened_mut().iter_mut().zip(gradients.as_flattened());
            pairs.for_each(|(sum, g)| *sum += g);
        }
        let mut gradient = vec![0.0; at.len()];
        let mut penalty = 0.0;
        for (row, d) in gradient.chunks_mut(columns + 1).enumerate() {
            let class = row + self.first;
            for (j, d) in d.iter_mut().enumerate() {
                let place = j * groups + class / LANES;
                let dw = self.c * sums[place][class % LANES];
                let Some(scale) = self.scale.get(j) else {
                    *d = dw * self.intercept_scale;
                    continue;
                };
                let w = weights[place][class % LANES];
                penalty += 0.5 * w * w;
                *d = (dw + w) * scale;
            }
        }
        (self.c * loss + penalty, gradient)
    }

    /// Σ −log p over some images, and its gradient in the weights of centred features.
    #[inline(always)]
    fn chunk(
        &self,
        x: &[f32],
        places: &[usize],
        weights: &[[f64; LANES]],
    ) -> (f64, Vec<[f64; LANES]>) {
        let (groups, classes) = (self.groups(), self.first + self.rows);
        let mut loss = 0.0;
        let mut gradients = vec![[0.0; LANES]; weights.len()];
        let mut scores = vec![[0.0; LANES]; groups];
        let mut centred = vec![1.0; self.features.columns + 1];
        for (x, &place) in x.chunks_exact(self.features.columns).zip(places) {
            // The 1 behind the last stays, for the intercept.
            for ((to, &x), mean) in centred.iter_mut().zip(x).zip(&self.mean) {
                *to = f64::from(x) - mean;
            }
            scores.fill([0.0; LANES]);
            for (x, weights) in centred.iter().zip(weights.chunks_exact(groups)) {
                for (score, w) in scores.iter_mut().zip(weights) {
                    score.iter_mut().zip(w).for_each(|(score, w)| *score += x * w);
                }
            }
            let flat = &mut scores.as_flattened_mut()[..classes];
            loss -= flat[place];
            let highest = flat.iter().copied().fold(f64::MIN, f64::max);
            let mut sum = 0.0;
            for score in flat.iter_mut() {
                *score = (*score - highest).exp();
                sum += *score;
            }
            loss += highest + sum.ln();
            // The gradient of −log softmax: p, less 1 for the image's own class.
            flat.iter_mut().for_each(|score| *score /= sum);
            flat[place] -= 1.0;
            for (x, gradients) in centred.iter().zip(gradients.chunks_exact_mut(groups)) {
                for (d, score) in gradients.iter_mut().zip(&scores) {
                    d.iter_mut().zip(score).for_each(|(d, score)| *d += x * score);
                }
            }
        }
        (loss, gradients)
    }

    /// The weights and intercepts of features as they were given.
    fn unscaled(&self, at: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (mut weights, mut intercepts) = (Vec::new(), Vec::new());
        for v in at.chunks(self.features.columns + 1) {
            let (b, v) = v.split_last().expect("a row has its intercept");
            let start = weights.len();
            weights.extend(v.iter().zip(&self.scale).map(|(v, scale)| v * scale));
            let shift: f64 = weights[start..].iter().zip(&self.mean).map(|(w, m)| w * m).sum();
            intercepts.push(b * self.intercept_scale - shift);
        }
        (weights, intercepts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::accuracy;

    /// By symmetry b = 0; at the minimum w = C Σ |x| (1 − σ(w |x|)), solved by hand below.
    #[test]
    fn two_points_have_the_weight_of_the_formula() {
        let x = Features::new(&[1.0, -1.0], 1).expect("two rows");
        let model = Logistic::fit(x, &[4, 2], 1.0).expect("a fit");
        let (w, b) = (model.weights()[0], model.intercepts()[0]);
        let sigmoid = 1.0 / (1.0 + (-w).exp());
        assert!((w - 2.0 * (1.0 - sigmoid)).abs() < 1e-4, "w = {w}");
        assert!(b.abs() < 1e-6, "b = {b}");
        assert_eq!(model.classes(), [2, 4], "the classes");
        assert_eq!(model.predict(x).ok(), Some(vec![4, 2]), "the points");
        assert!(model.converged(), "{} iterations", model.iterations());
    }

    /// Constant features say nothing: what is left is how often each class is seen.
    #[test]
    fn intercepts_have_no_penalty() {
        let x = Features::new(&[5.0; 10], 1).expect("ten rows");
        let labels = [0, 0, 0, 0, 0, 1, 1, 1, 2, 2];
        let model = Logistic::fit(x, &labels, 1e-3).expect("a fit");
        assert_eq!(model.weights(), [0.0; 3], "weights of a constant");
        let b = model.intercepts();
        for (class, share) in [0.5_f64, 0.3, 0.2].into_iter().enumerate() {
            let sum: f64 = b.iter().map(|b| b.exp()).sum();
            let found = b[class].exp() / sum;
            assert!((found - share).abs() < 1e-4, "p of {class} is {found}, not {share}");
        }
    }

    /// Three blots in four columns, one of which says nothing.
    fn blots(scale: [f32; 4]) -> (Vec<f32>, Vec<u8>) {
        let mut state = 1_u64;
        let mut draw = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        let labels: Vec<u8> = (0..600).map(|i| (i % 3) as u8).collect();
        let row = |&label: &u8| {
            let near = |class: u8| if label == class { 0.8 } else { 0.0 };
            [near(0), near(1), near(2), 0.0].map(|middle: f32| middle + draw())
        };
        let rows: Vec<_> = labels.iter().map(row).collect();
        let scaled = rows.iter().flat_map(|row| row.iter().zip(scale).map(|(x, s)| x * s));
        (scaled.collect(), labels)
    }

    #[test]
    fn badly_scaled_features_are_as_good() {
        let found = [[1.0; 4], [1000.0, 1.0, 1.0, 1.0], [1e6, 1.0, 1e3, 1e12]].map(|scale| {
            let (values, labels) = blots(scale);
            let x = Features::new(&values, 4).expect("rows");
            let model = Logistic::fit(x, &labels, 1.0).expect("a fit");
            assert!(model.converged(), "{scale:?}: {} iterations", model.iterations());
            let predicted = model.predict(x).expect("the same rows");
            accuracy(&predicted, &labels).expect("as many labels")
        });
        assert!(found[0] > 0.7, "{found:?}");
        assert!(found.iter().all(|one| (one - found[0]).abs() < 0.01), "{found:?}");
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let (values, labels) = blots([1.0; 4]);
        let values: Vec<_> = values.iter().cycle().take(4 * values.len()).copied().collect();
        let labels: Vec<_> = labels.iter().cycle().take(4 * labels.len()).copied().collect();
        let [one, three] = [1, 3].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let x = Features::new(&values, 4).expect("rows");
            pool.expect("threads").install(|| Logistic::fit(x, &labels, 1.0)).expect("a fit")
        });
        assert_eq!(one, three, "fits of one and of three threads");
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let x = Features::new(&[1.0, 2.0, 3.0], 1).expect("three rows");
        for (labels, c, says) in [
            (vec![7, 7, 7], 1.0, "all 3 images are of the class 7"),
            (vec![1, 2], 1.0, "2 labels for 3 images"),
            (vec![], 1.0, "0 labels for 3 images"),
            (vec![1, 2, 3], 0.0, "C is 0, expected"),
            (vec![1, 2, 3], f64::NAN, "C is NaN"),
        ] {
            let error = Logistic::fit(x, &labels, c).expect_err(says);
            assert!(error.to_string().contains(says), "`{error}` does not say `{says}`");
            assert!(error.advice().is_some(), "`{error}` has no hint");
        }
        let model = Logistic::fit(x, &[1, 1, 2], 1.0).expect("a fit");
        let wide = Features::new(&[1.0, 2.0], 2).expect("a row");
        let error = model.predict(wide).expect_err("two columns");
        assert!(error.to_string().contains("images of 2 features, expected 1"), "{error}");
    }
}
