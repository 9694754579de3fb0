//! Expectation and maximisation for a mixture of normals, in f64: the sums over codes are products of matrices.

use nalgebra::{Cholesky, DMatrix, DVector};
use rayon::prelude::*;

use crate::error::{Error, ErrorKind, Result};

/// Codes that are looked at together.
const ROWS: usize = 2048;

/// Codes, each a column.
#[derive(Clone, Debug)]
pub(super) struct Codes(Vec<DMatrix<f64>>);

/// A normal distribution with its weight in a mixture.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Component {
    pub(super) weight: f64,
    pub(super) mean: DVector<f64>,
    /// The Cholesky factor L of its covariance L Lᵀ.
    pub(super) factor: DMatrix<f64>,
}

/// What codes tell of one component: the sums of their shares, of what they are apart from its mean, and of
/// the squares of that.
struct Sums {
    shares: f64,
    apart: DVector<f64>,
    squares: DMatrix<f64>,
}

impl Codes {
    pub(super) fn new(codes: &[f32], latent: usize) -> Self {
        let part = |some: &[f32]| {
            let values = some.iter().map(|&v| f64::from(v)).collect();
            DMatrix::from_vec(latent, some.len() / latent, values)
        };
        Self(codes.chunks(ROWS * latent).map(part).collect())
    }

    pub(super) fn count(&self) -> usize {
        self.0.iter().map(DMatrix::ncols).sum()
    }

    pub(super) fn code(&self, at: usize) -> DVector<f64> {
        self.0[at / ROWS].column(at % ROWS).into_owned()
    }

    pub(super) fn parts(&self) -> &[DMatrix<f64>] {
        &self.0
    }
}

impl Component {
    /// The normal of unit covariance round a mean.
    pub(super) fn round(mean: DVector<f64>, weight: f64) -> Self {
        let factor = DMatrix::identity(mean.len(), mean.len());
        Self { weight, mean, factor }
    }

    /// The logarithm of its weighted density at each code of a part.
    fn log_densities(&self, codes: &DMatrix<f64>) -> Result<Vec<f64>> {
        let latent = self.mean.len();
        let inverse = self.factor.solve_lower_triangular(&DMatrix::identity(latent, latent));
        let inverse = inverse.ok_or_else(singular)?;
        let apart = &inverse * codes;
        let middle = &inverse * &self.mean;
        let logs: f64 = self.factor.diagonal().iter().map(|v| v.ln()).sum();
        let all = self.weight.ln() - logs - 0.5 * latent as f64 * (2.0 * std::f64::consts::PI).ln();
        let squares = apart
            .column_iter()
            .map(|column| column.iter().zip(&middle).map(|(a, b)| (a - b) * (a - b)).sum::<f64>());
        Ok(squares.map(|square| all - 0.5 * square).collect())
    }

    /// The component that codes make by their sums, with the floor added to each variance.
    fn of(&self, sums: Sums, count: usize, floor: f64) -> Result<Self> {
        // As little as keeps a component that no code is of from being divided by nothing.
        let shares = sums.shares + 10.0 * f64::EPSILON;
        let moved = sums.apart / shares;
        let mut covariance = sums.squares / shares - &moved * moved.transpose();
        covariance.iter_mut().step_by(self.mean.len() + 1).for_each(|variance| *variance += floor);
        let factor = Cholesky::new(covariance).ok_or_else(singular)?.unpack();
        Ok(Self { weight: shares / count as f64, mean: &self.mean + moved, factor })
    }
}

fn singular() -> Error {
    Error::new(ErrorKind::Numbers, "the codes of a component have a covariance without an inverse")
        .hint("fit fewer components; or the codes are of numbers too large or too small for f64")
}

/// The mean log-density of codes under a mixture, in nats.
pub(super) fn log_likelihood(mixture: &[Component], codes: &Codes) -> Result<f64> {
    let mut sum = 0.0;
    for part in &codes.0 {
        sum += shares(mixture, part)?.1;
    }
    Ok(sum / codes.count() as f64)
}

/// The share of each component in each code of a part, and the sum of the codes' log-densities.
fn shares(mixture: &[Component], part: &DMatrix<f64>) -> Result<(Vec<Vec<f64>>, f64)> {
    let logs: Result<Vec<_>> =
        mixture.par_iter().map(|component| component.log_densities(part)).collect();
    let mut logs = logs?;
    let mut all = 0.0;
    for code in 0..part.ncols() {
        let highest = logs.iter().map(|of| of[code]).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logs.iter().map(|of| (of[code] - highest).exp()).sum();
        let log = highest + sum.ln();
        logs.iter_mut().for_each(|of| of[code] = (of[code] - log).exp());
        all += log;
    }
    Ok((logs, all))
}

/// One turn of expectation and maximisation (Dempster et al. 1977), and the mean log-likelihood before it.
pub(super) fn turn(
    mixture: &[Component],
    codes: &Codes,
    floor: f64,
) -> Result<(Vec<Component>, f64)> {
    let mut likelihood = 0.0;
    let next = maximised(mixture, codes, floor, |part, _| {
        let (shares, sum) = shares(mixture, part)?;
        likelihood += sum;
        Ok(shares)
    })?;
    Ok((next, likelihood / codes.count() as f64))
}

/// The mixture that is likeliest for these shares of each part's codes, the place of whose first is told too.
pub(super) fn maximised(
    mixture: &[Component],
    codes: &Codes,
    floor: f64,
    mut shares: impl FnMut(&DMatrix<f64>, usize) -> Result<Vec<Vec<f64>>>,
) -> Result<Vec<Component>> {
    let latent = mixture[0].mean.len();
    let nothing = |_: &Component| Sums {
        shares: 0.0,
        apart: DVector::zeros(latent),
        squares: DMatrix::zeros(latent, latent),
    };
    let mut sums: Vec<_> = mixture.iter().map(nothing).collect();
    let mut first = 0;
    for part in &codes.0 {
        let shares = shares(part, first)?;
        first += part.ncols();
        let each = sums.par_iter_mut().zip(mixture).zip(&shares);
        each.for_each(|((sums, component), shares)| {
            let mut apart = part.clone();
            let mut weighted = part.clone();
            let columns = apart.column_iter_mut().zip(weighted.column_iter_mut()).zip(shares);
            for ((mut apart, mut weighted), &share) in columns {
                apart -= &component.mean;
                weighted.copy_from(&apart);
                weighted *= share;
                sums.shares += share;
                sums.apart += &weighted;
            }
            sums.squares += weighted * apart.transpose();
        });
    }
    let count = codes.count();
    let pairs = mixture.iter().zip(sums);
    pairs.map(|(component, sums)| component.of(sums, count, floor)).collect()
}
