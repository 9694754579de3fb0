//! Probes: what simple classifiers find in the features of images, such as their latent means, and
//! how well scores tell two kinds of images apart. Plain arithmetic on the host, without a session.
//!
//! How good a representation is, is told by how well a linear classifier does on it while the
//! encoder stays as it is (Alain and Bengio 2016), and by the classes of its nearest neighbours.
//!
//! ```
//! use elbo::probe::{Features, Logistic, accuracy, nearest};
//!
//! // Four points of two features.
//! let points = [0.0, 0.1, 0.2, 0.0, 1.0, 0.9, 0.8, 1.0];
//! let (points, labels) = (Features::new(&points, 2)?, [3, 3, 7, 7]);
//! let model = Logistic::fit(points, &labels, 1.0)?;
//! assert_eq!(accuracy(&model.predict(points)?, &labels)?, 1.0);
//! assert_eq!(nearest(points, &labels, points, 1)?, labels);
//! # Ok::<(), elbo::Error>(())
//! ```

mod logistic;
mod minimise;
mod neighbours;

pub use logistic::Logistic;
pub use neighbours::nearest;
pub(crate) use neighbours::{Blocks, QUERIES, scale};

use crate::error::{Error, ErrorKind, Result};

/// The inverse of the penalty's weight that [`Logistic::fit`] is usually given, as in scikit-learn.
pub const DEFAULT_C: f64 = 1.0;

/// The number of neighbours that [`nearest`] is usually given, as in scikit-learn.
pub const DEFAULT_K: usize = 5;

/// A row of numbers for each image, one row after another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Features<'a> {
    values: &'a [f32],
    columns: usize,
}

impl<'a> Features<'a> {
    /// Rows of so many columns; any units.
    ///
    /// # Errors
    ///
    /// If the values are no whole number of rows, at least one, or if one is not finite.
    pub fn new(values: &'a [f32], columns: usize) -> Result<Self> {
        if columns == 0 || values.is_empty() || !values.len().is_multiple_of(columns) {
            let what = format!("{} features are no rows of {columns} columns", values.len());
            return Err(refuse(what).hint("give one value or more for each of one image or more"));
        }
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            let (row, column) = (at / columns, at % columns);
            let what = format!("feature {column} of image {row} is {}, expected", values[at]);
            return Err(refuse(format!("{what} a finite number")).hint(WHY_NOT_FINITE));
        }
        Ok(Self { values, columns })
    }

    /// The number of images.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    /// The features of an image.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All of them, row by row.
    #[must_use]
    pub fn values(&self) -> &'a [f32] {
        self.values
    }

    /// Refuses labels that are not one for each image.
    fn check_labels(&self, labels: &[u8]) -> Result<()> {
        if labels.len() != self.rows() {
            let what = format!("{} labels for {} images", labels.len(), self.rows());
            return Err(refuse(what).hint("give the label of each image whose features are given"));
        }
        Ok(())
    }

    /// Refuses features of other images that are not of as many columns as these were.
    pub(crate) fn check_columns(&self, columns: usize) -> Result<()> {
        if self.columns != columns {
            let what = format!("images of {} features, expected {columns}", self.columns);
            return Err(refuse(what).hint("make all features by one encoder"));
        }
        Ok(())
    }
}

const WHY_NOT_FINITE: &str = "numbers that broke make others break: look at the model's weights";

/// The share of labels that are predicted right, from 0 to 1.
///
/// # Errors
///
/// If there are none, or not as many of the one as of the other.
pub fn accuracy(predicted: &[u8], labels: &[u8]) -> Result<f64> {
    check_pairs("predictions", predicted.len(), "labels", labels.len())?;
    let right = predicted.iter().zip(labels).filter(|(a, b)| a == b).count();
    Ok(right as f64 / labels.len() as f64)
}

/// The area under the ROC curve of scores that are to be higher for what is positive: the share of
/// pairs of a positive and another one in which the positive one has the higher score, a tie counted
/// as a half. 1 is perfect and ½ is chance. `None` if all are of one kind.
///
/// It is U / (n₁ n₀), where U = R₁ − n₁ (n₁ + 1) / 2 and R₁ is the sum of the ranks of the positive
/// scores, tied ones having the mean of their ranks (Mann and Whitney 1947; that this is the area:
/// Hanley and McNeil 1982).
///
/// # Errors
///
/// If there are no scores, not as many as marks, or one is not finite.
pub fn auroc(scores: &[f64], positive: &[bool]) -> Result<Option<f64>> {
    check_pairs("scores", scores.len(), "marks", positive.len())?;
    if let Some(at) = scores.iter().position(|v| !v.is_finite()) {
        let what = format!("score {at} is {}, expected a finite number", scores[at]);
        return Err(refuse(what).hint(WHY_NOT_FINITE));
    }
    let mut pairs: Vec<_> = scores.iter().copied().zip(positive.iter().copied()).collect();
    pairs.sort_unstable_by(|(a, _), (b, _)| a.total_cmp(b));
    // Twice U, counted in integers: of each tied run, twice the others below and once those beside.
    let (mut twice, mut below, mut found) = (0_u128, 0, 0);
    for tied in pairs.chunk_by(|(a, _), (b, _)| a == b) {
        let positives = tied.iter().filter(|(_, positive)| *positive).count() as u128;
        let others = tied.len() as u128 - positives;
        twice += positives * (2 * below + others);
        below += others;
        found += positives;
    }
    Ok((found > 0 && below > 0).then(|| twice as f64 / (2 * found * below) as f64))
}

/// Refuses lists that do not go together, or are empty.
fn check_pairs(one: &str, ones: usize, other: &str, others: usize) -> Result<()> {
    if ones == others && ones > 0 {
        return Ok(());
    }
    let what = format!("{ones} {one} and {others} {other}, expected as many of both, and some");
    Err(refuse(what).hint("give one of each for each image"))
}

fn refuse(what: String) -> Error {
    Error::new(ErrorKind::Data, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_those_counted_by_hand() {
        let area = |scores: &[f64], positive: &[u8]| {
            let positive: Vec<_> = positive.iter().map(|&p| p == 1).collect();
            auroc(scores, &positive).expect("finite scores")
        };
        assert_eq!(area(&[0.1, 0.4, 0.35, 0.8], &[0, 0, 1, 1]), Some(0.75), "3 of 4 pairs");
        assert_eq!(area(&[3.0, 2.0, 1.0], &[0, 1, 1]), Some(0.0), "all wrong");
        assert_eq!(area(&[7.0; 5], &[0, 1, 1, 0, 1]), Some(0.5), "all tied");
        // Pairs: 1 < 2 yes, 1 < 1 half, 2 < 2 half, 2 < 1 no.
        assert_eq!(area(&[1.0, 2.0, 2.0, 1.0], &[0, 0, 1, 1]), Some(0.5), "ties count half");
        assert_eq!(area(&[0.0, -0.0, 1.0], &[0, 1, 1]), Some(0.75), "both zeros are one");
        assert_eq!(area(&[1.0, 2.0], &[1, 1]), None, "no others");
        assert_eq!(area(&[1.0, 2.0], &[0, 0]), None, "no positives");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let says = |result: Result<f64>, what: &str| {
            let error = result.expect_err(what);
            assert!(error.to_string().contains(what), "`{error}` does not say `{what}`");
            assert!(error.advice().is_some(), "`{error}` has no hint");
        };
        let rows = |values: &[f32], columns| Features::new(values, columns).map(|_| 0.0);
        says(rows(&[], 2), "0 features are no rows of 2 columns");
        says(rows(&[1.0, 2.0, 3.0], 2), "3 features");
        says(rows(&[1.0], 0), "rows of 0 columns");
        says(rows(&[1.0, 2.0, f32::NAN, 4.0], 2), "feature 0 of image 1 is NaN");
        says(accuracy(&[1, 2], &[1]), "2 predictions and 1 labels");
        says(accuracy(&[], &[]), "0 predictions and 0 labels");
        let area = |scores: &[f64], positive: &[bool]| auroc(scores, positive).map(|_| 0.0);
        says(area(&[1.0], &[]), "1 scores and 0 marks");
        says(area(&[], &[]), "0 scores");
        says(area(&[1.0, f64::INFINITY], &[true, false]), "score 1 is inf");
    }

    #[test]
    fn accuracy_is_a_share() {
        assert_eq!(accuracy(&[1, 2, 3, 4], &[1, 2, 3, 5]).ok(), Some(0.75), "three of four");
    }
}
