//! The Fréchet distance between two sets of features, each taken for a normal distribution.

use nalgebra::{DMatrix, DVector, SymmetricEigen};

use crate::error::{Error, ErrorKind, Result};
use crate::probe::Features;
use crate::quality::refuse;

/// The most turns of the eigenvalues' iteration: each needs about two.
const TURNS: usize = 100;

/// Rows that are added up together.
const ROWS: usize = 1024;

/// The mean and the covariance of rows of features.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    mean: DVector<f64>,
    covariance: DMatrix<f64>,
}

impl Moments {
    /// Of these rows, in f64; the covariance is the sample's, over n − 1.
    ///
    /// # Errors
    ///
    /// If there is one row alone, which has no covariance.
    pub fn of(features: Features<'_>) -> Result<Self> {
        let (rows, columns) = (features.rows(), features.columns());
        if rows < 2 {
            return Err(refuse(format!("{rows} row of features has no covariance"))
                .hint("give the features of two images or more"));
        }
        let parts = || {
            let parts = features.values().chunks(ROWS * columns);
            parts.map(|part| part.iter().copied().map(f64::from).collect::<Vec<_>>())
        };
        let mut mean = DVector::zeros(columns);
        for part in parts() {
            part.chunks(columns).for_each(|row| {
                mean.iter_mut().zip(row).for_each(|(mean, v)| *mean += v);
            });
        }
        mean /= rows as f64;
        let mut covariance = DMatrix::zeros(columns, columns);
        for mut part in parts() {
            part.chunks_mut(columns).for_each(|row| {
                row.iter_mut().zip(&mean).for_each(|(v, mean)| *v -= mean);
            });
            // A column of the matrix is a row of features.
            let apart = DMatrix::from_vec(columns, part.len() / columns, part);
            covariance += &apart * apart.transpose();
        }
        covariance /= (rows - 1) as f64;
        Ok(Self { mean, covariance })
    }

    /// The squared Fréchet distance |μ₁ − μ₂|² + Tr(Σ₁ + Σ₂ − 2 (Σ₁^½ Σ₂ Σ₁^½)^½) between the normal
    /// distributions of these moments (Dowson and Landau 1982), as Heusel et al. 2017, eq. 6, take it between
    /// features: in the squared unit of the features, 0 for equal moments.
    ///
    /// Of few rows it is too large in the mean, by about the number of features over that of rows: compare
    /// only distances of as many rows.
    ///
    /// # Errors
    ///
    /// If the columns of both differ, or numbers leave the range of f64.
    pub fn frechet(&self, other: &Self) -> Result<f64> {
        let (columns, others) = (self.mean.len(), other.mean.len());
        if columns != others {
            return Err(refuse(format!(
                "{others} features, expected {columns} as the others have"
            ))
            .hint("make all features by one encoder"));
        }
        // The eigenvalues of Σ₁^½ Σ₂ Σ₁^½ are those of Σ₁ Σ₂, and none is negative but by rounding.
        let (values, vectors) = eigen(self.covariance.clone())?;
        let half = &vectors * DMatrix::from_diagonal(&values.map(root)) * vectors.transpose();
        let product = &half * &other.covariance * &half;
        let (values, _) = eigen((&product + product.transpose()) * 0.5)?;
        let traces = self.covariance.trace() + other.covariance.trace();
        let means = (&self.mean - &other.mean).norm_squared();
        Ok((means + traces - 2.0 * values.map(root).sum()).max(0.0))
    }
}

fn root(value: f64) -> f64 {
    value.max(0.0).sqrt()
}

/// The eigenvalues and eigenvectors of a symmetric matrix.
fn eigen(matrix: DMatrix<f64>) -> Result<(DVector<f64>, DMatrix<f64>)> {
    let turns = TURNS * matrix.nrows();
    let finite = matrix.iter().all(|v| v.is_finite());
    // Numbers that are not finite would have it turn for nothing.
    let found = finite.then(|| SymmetricEigen::try_new(matrix, f64::EPSILON, turns)).flatten();
    let failed = || {
        let what = "the covariance of the features has no eigenvalues in f64";
        Error::new(ErrorKind::Numbers, what).hint("look at the model's weights: features are huge")
    };
    found.map(|e| (e.eigenvalues, e.eigenvectors)).ok_or_else(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::golden::{assert_near, count, golden, golden_rows, number};

    fn moments(rows: &[f32], columns: usize) -> Moments {
        Moments::of(Features::new(rows, columns).expect("rows")).expect("moments")
    }

    /// Along the axes the distance is that of each: (μ₁ − μ₂)² + (σ₁ − σ₂)².
    #[test]
    fn along_axes_it_is_that_of_each() {
        // Variances 8/3 and 2/3, means 0, of one; 2/3 and 32/3, means 3 and 1, of the other.
        let one = [2.0, 1.0, -2.0, 1.0, 2.0, -1.0, -2.0, -1.0];
        let other = [4.0, 5.0, 2.0, 5.0, 4.0, -3.0, 2.0, -3.0];
        let (one, other) = (moments(&one, 2), moments(&other, 2));
        // Halves of the deviations 2 s and s, and s and 4 s, where s² = 4/3.
        let (s, near) = (4.0_f64 / 3.0, |a: f64, b: f64| (a - b).abs() < 1e-12);
        let expected = 9.0 + 1.0 + s * (1.0 - 2.0_f64).powi(2) + s * (1.0 - 4.0_f64).powi(2);
        let found = one.frechet(&other).expect("a distance");
        assert!(near(found, expected), "{found}, not {expected}");
        assert!(near(found, other.frechet(&one).expect("a distance")), "it has no direction");
        assert!(near(one.frechet(&one).expect("a distance"), 0.0), "none from itself");
    }

    /// A feature that never changes, as of a unit that died, leaves a covariance without an inverse.
    #[test]
    fn dead_features_do_no_harm() {
        let one = moments(&[1.0, 7.0, 3.0, 7.0], 2);
        let other = moments(&[2.0, 7.0, 4.0, 7.0], 2);
        let found = one.frechet(&other).expect("a distance");
        assert!((found - 1.0).abs() < 1e-12, "{found}");
    }

    #[test]
    fn distances_are_those_of_scipy() {
        let all = golden("distances");
        for case in all.as_array().expect("cases") {
            let [rows, columns] = ["rows", "columns"].map(|key| count(case, key));
            let [one, other] = golden_rows(case);
            let found = moments(&one, columns).frechet(&moments(&other, columns));
            let expected = number(case, "frechet");
            let what = format!("{}: {rows} rows", case["name"]);
            assert_near(&[found.expect("a distance")], &[expected], 1e-9, &what);
        }
    }

    #[test]
    fn what_has_no_distance_is_refused() {
        let one = Features::new(&[1.0, 2.0], 2).expect("a row");
        let error = Moments::of(one).expect_err("one row");
        assert!(error.to_string().contains("1 row"), "{error}");
        let error = moments(&[1.0, 2.0], 1).frechet(&moments(&[0.0; 4], 2)).expect_err("columns");
        assert!(error.to_string().contains("2 features, expected 1"), "{error}");
        let huge = moments(&[3e38, -3e38], 1);
        assert!(huge.frechet(&huge).is_ok(), "the squares of f32 are within f64");
    }
}
