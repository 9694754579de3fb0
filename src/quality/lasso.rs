//! Linear regression with a penalty on the absolute weights, by coordinate descent.

use nalgebra::{DMatrix, DVector};

/// The most turns over all weights, and the change of a weight that ends them.
const TURNS: usize = 10_000;
const TOLERANCE: f64 = 1e-10;

/// What a regression needs of inputs X and targets y of n rows: Xᵀ X / n and Xᵀ y / n.
#[derive(Clone, Debug)]
pub(super) struct Products {
    pub(super) inputs: DMatrix<f64>,
    pub(super) targets: DVector<f64>,
}

impl Products {
    /// The smallest penalty under which every weight is zero.
    pub(super) fn largest_penalty(&self) -> f64 {
        self.targets.amax()
    }

    /// The weights w that minimise |y − X w|² / 2 n + α |w|₁ (Tibshirani 1996), each set in turn to its own
    /// minimum (Friedman et al. 2010, eq. 5 and 9). An input that is always zero has none.
    pub(super) fn lasso(&self, alpha: f64) -> DVector<f64> {
        let mut weights = DVector::zeros(self.targets.len());
        // Xᵀ X w / n.
        let mut made = DVector::zeros(self.targets.len());
        for _ in 0..TURNS {
            let mut most = 0.0_f64;
            for j in 0..weights.len() {
                let (before, own): (f64, f64) = (weights[j], self.inputs[(j, j)]);
                if own <= 0.0 {
                    continue;
                }
                let pull: f64 = self.targets[j] - made[j] + own * before;
                let weight = pull.signum() * (pull.abs() - alpha).max(0.0) / own;
                if weight != before {
                    made.axpy(weight - before, &self.inputs.column(j), 1.0);
                    weights[j] = weight;
                    most = most.max((weight - before).abs());
                }
            }
            if most < TOLERANCE {
                break;
            }
        }
        weights
    }
}
