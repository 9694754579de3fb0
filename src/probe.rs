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

mod detection;
mod logistic;
mod minimise;
mod neighbours;

pub use detection::{Detection, detection};
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
        let area = |scores: &[f64], positive: &[bool]| detection(scores, positive).map(|_| 0.0);
        says(area(&[1.0], &[]), "1 scores and 0 marks");
        says(area(&[], &[]), "0 scores");
        says(area(&[1.0, f64::INFINITY], &[true, false]), "score 1 is inf");
    }

    #[test]
    fn accuracy_is_a_share() {
        assert_eq!(accuracy(&[1, 2, 3, 4], &[1, 2, 3, 5]).ok(), Some(0.75), "three of four");
    }
}
