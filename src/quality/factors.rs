//! How far each latent dimension stands for one known factor of the images, and each factor for one dimension.

use nalgebra::{DMatrix, DVector};

use crate::error::Result;
use crate::kernels::philox::{key, purpose, shuffled};
use crate::probe::Features;
use crate::quality::information::{bins, information, places};
use crate::quality::lasso::Products;
use crate::quality::refuse;

/// The fewest images for each value of a factor: with fewer, its information is that of chance.
const EACH: usize = 10;

/// Penalties that are tried, each so many times the next.
const PENALTIES: u32 = 17;
const STEP: f64 = 1.778_279_410_038_922_8;

/// Parts of the images: one is judged on, one chooses the penalty, the others are learned from.
const PARTS: usize = 5;

/// The true factors of images, such as a shape's place or size: numbers, of which equal ones are one value.
#[derive(Clone, Debug, PartialEq)]
pub struct Factors {
    names: Vec<String>,
    /// A column for each factor.
    values: Vec<Vec<f32>>,
    /// The names of columns that never change.
    constant: Vec<String>,
}

impl Factors {
    /// Of rows of factors, with their columns' names. A column that never changes tells nothing and is left out.
    ///
    /// # Errors
    ///
    /// If there are not as many names as columns, or fewer than two factors change.
    pub fn new(rows: Features<'_>, names: &[String]) -> Result<Self> {
        if names.len() != rows.columns() {
            let what = format!("{} names for {} factors", names.len(), rows.columns());
            return Err(refuse(what).hint("give the name of each column"));
        }
        let (mut factors, columns) = (Self::none(), rows.columns());
        for (at, name) in names.iter().enumerate() {
            let column: Vec<f32> =
                rows.values().iter().copied().skip(at).step_by(columns).collect();
            match column.iter().all(|v| *v == column[0]) {
                true => factors.constant.push(name.clone()),
                false => {
                    factors.names.push(name.clone());
                    factors.values.push(column);
                }
            }
        }
        match factors.names.len() {
            0 | 1 => {
                let what = format!("{} of {columns} factors change", factors.names.len());
                Err(refuse(format!("{what}, expected two or more"))
                    .hint("give a column for each factor that the images differ in"))
            }
            _ => Ok(factors),
        }
    }

    fn none() -> Self {
        Self { names: Vec::new(), values: Vec::new(), constant: Vec::new() }
    }

    /// The names of the factors, those that change.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The names of those that never change, which are left out.
    #[must_use]
    pub fn constant(&self) -> &[String] {
        &self.constant
    }

    /// Refuses codes that are not of these images, or of one dimension, which nothing can be compared with.
    fn check(&self, codes: Features<'_>) -> Result<()> {
        let (rows, images) = (codes.rows(), self.values[0].len());
        if rows != images {
            return Err(refuse(format!("factors of {images} images, and codes of {rows}"))
                .hint("give the factors of just these images, in their order"));
        }
        if codes.columns() < 2 {
            return Err(refuse("codes of one dimension, expected two or more".to_owned()).hint(
                "one dimension is all that there is for every factor; train a larger `--latent`",
            ));
        }
        Ok(())
    }
}

/// Column `at` of the codes.
fn column(codes: Features<'_>, at: usize) -> impl Iterator<Item = f64> {
    codes.values().iter().skip(at).step_by(codes.columns()).map(|&v| f64::from(v))
}

/// The mutual information gap of each factor (Chen et al. 2018, eq. 6): how much more the most informative
/// dimension says of it than the next, as a share of the factor's entropy. 1 where one dimension says all and
/// no other anything. Their mean is the MIG. The means μ are put into 20 equal bins between the smallest and
/// the largest, as `disentanglement_lib` does (Locatello et al. 2019); the paper integrates q(z | x).
///
/// # Errors
///
/// If there are not as many codes as rows of factors, the codes have one dimension, or a factor has more
/// values than a tenth of the images, as a continuous one.
pub fn mig(codes: Features<'_>, factors: &Factors) -> Result<Vec<f64>> {
    factors.check(codes)?;
    let binned: Vec<_> = (0..codes.columns()).map(|at| bins(column(codes, at))).collect();
    let mut gaps = Vec::new();
    for (name, values) in factors.names.iter().zip(&factors.values) {
        let places = places(values);
        let (distinct, images) = (places.iter().max().map_or(0, |most| most + 1), values.len());
        if distinct * EACH > images {
            let what = format!("factor `{name}` has {distinct} values in {images} images");
            return Err(refuse(format!("{what}, expected {EACH} images or more for each"))
                .hint("round continuous factors to a few values, or give more images"));
        }
        let entropy = information(&places, &places);
        let mut told: Vec<_> = binned.iter().map(|bins| information(bins, &places)).collect();
        told.sort_unstable_by(|a, b| b.total_cmp(a));
        gaps.push((told[0] - told[1]) / entropy);
    }
    Ok(gaps)
}

/// What linear regressions find of factors in codes (Eastwood and Williams 2018, section 2).
#[derive(Clone, Debug, PartialEq)]
pub struct Dci {
    /// How far each dimension says something of one factor alone, the mean over dimensions weighted by how
    /// much they say: from 0 to 1.
    pub disentanglement: f64,
    /// How far one dimension alone says something of each factor, from 0 to 1. Of a factor that is hardly told,
    /// whose error is near 1, it means nothing.
    pub completeness: Vec<f64>,
    /// The mean of these, weighted by how much is said of each factor.
    pub mean_completeness: f64,
    /// The root of the mean squared error of each factor's prediction over its deviation, on images that
    /// nothing was learned from: 0 is perfect, 1 what the mean does.
    pub errors: Vec<f64>,
    /// The absolute weight of each dimension for each factor, a row for each dimension.
    pub importance: Vec<Vec<f64>>,
}

/// Disentanglement, completeness and the errors of predictions, by a lasso for each factor on standardised
/// codes and factors, as in the paper. Of five parts of the images, by chance but always the same, one is
/// judged on; another chose the penalty among 17 from the largest that has an effect down to a ten thousandth.
///
/// A regression is linear: a factor that codes tell in another way, such as an angle by its sine, counts as
/// told badly.
///
/// # Errors
///
/// If there are not as many codes as rows of factors, fewer than twenty, or the codes have one dimension.
pub fn dci(codes: Features<'_>, factors: &Factors) -> Result<Dci> {
    factors.check(codes)?;
    let images = codes.rows();
    if images < PARTS * 4 {
        return Err(refuse(format!("{images} images, expected {} or more", PARTS * 4))
            .hint("give more images with their factors"));
    }
    let order: Vec<_> = (0..images as u32)
        .map(|at| shuffled(at, images as u32, 0, purpose::SAMPLER, key(0)) as usize)
        .collect();
    let fifth = images / PARTS;
    let (judged, rest) = order.split_at(fifth);
    let (choosing, learned) = rest.split_at(fifth);
    let (mut importance, mut errors) = (vec![Vec::new(); codes.columns()], Vec::new());
    let all = Standardised::of(codes, rest);
    for values in &factors.values {
        let targets = Targets::of(values, rest);
        let products = |rows: &[usize]| all.products(rows, &targets);
        let (learning, whole) = (products(learned), products(rest));
        let largest = learning.largest_penalty();
        let tried = (0..PENALTIES).map(|step| {
            let share = STEP.powi(-(step as i32));
            (share, all.error(choosing, &targets, &learning.lasso(largest * share)))
        });
        let best = tried.reduce(|best, other| if other.1 < best.1 { other } else { best });
        let share = best.map_or(1.0, |(share, _)| share);
        let weights = whole.lasso(whole.largest_penalty() * share);
        importance.iter_mut().zip(&weights).for_each(|(row, weight)| row.push(weight.abs()));
        let mean = all.error(judged, &targets, &DVector::zeros(weights.len()));
        errors.push((all.error(judged, &targets, &weights) / mean).sqrt());
    }
    let completeness = completeness(&importance);
    let said = |at: usize| importance.iter().map(|row| row[at]).sum::<f64>();
    let all: f64 = (0..completeness.len()).map(said).sum();
    let weighted: f64 = completeness.iter().enumerate().map(|(at, of)| said(at) * of).sum();
    Ok(Dci {
        disentanglement: disentanglement(&importance),
        completeness,
        mean_completeness: if all > 0.0 { weighted / all } else { 0.0 },
        errors,
        importance,
    })
}

/// Σ ρᵢ (1 − H(Pᵢ)), the entropy of each dimension's shares to the base of the number of factors, ρᵢ the
/// dimension's share of all weights. 0 where no dimension says anything.
fn disentanglement(importance: &[Vec<f64>]) -> f64 {
    let all: f64 = importance.iter().flatten().sum();
    let of = |row: &Vec<f64>| row.iter().sum::<f64>() / all * concentration(row);
    if all > 0.0 { importance.iter().map(of).sum() } else { 0.0 }
}

/// 1 − H of each factor's shares of the dimensions, to the base of their number.
fn completeness(importance: &[Vec<f64>]) -> Vec<f64> {
    let factors = importance.first().map_or(0, Vec::len);
    let column = |at: usize| importance.iter().map(|row| row[at]).collect::<Vec<_>>();
    (0..factors).map(|at| concentration(&column(at))).collect()
}

/// 1 less the entropy of shares to the base of their number; 0 where there are none.
fn concentration(weights: &[f64]) -> f64 {
    let all: f64 = weights.iter().sum();
    if all <= 0.0 {
        return 0.0;
    }
    let shares = weights.iter().map(|weight| weight / all).filter(|share| *share > 0.0);
    1.0 + shares.map(|share| share * share.ln()).sum::<f64>() / (weights.len() as f64).ln()
}

/// Codes, less the mean and over the deviation that some of them have; a dimension that never changes is zero.
struct Standardised(DMatrix<f64>);

impl Standardised {
    fn of(codes: Features<'_>, some: &[usize]) -> Self {
        let columns = (0..codes.columns()).map(|at| {
            let column: Vec<_> = column(codes, at).collect();
            DVector::from_vec(standardised(&column, some))
        });
        Self(DMatrix::from_columns(&columns.collect::<Vec<_>>()))
    }

    fn products(&self, rows: &[usize], targets: &Targets) -> Products {
        let (x, y) = (self.0.select_rows(rows), targets.0.select_rows(rows));
        let count = rows.len() as f64;
        Products { inputs: x.tr_mul(&x) / count, targets: x.tr_mul(&y) / count }
    }

    /// The mean squared error of predictions by these weights.
    fn error(&self, rows: &[usize], targets: &Targets, weights: &DVector<f64>) -> f64 {
        let apart = targets.0.select_rows(rows) - self.0.select_rows(rows) * weights;
        apart.norm_squared() / rows.len() as f64
    }
}

/// A factor, standardised likewise.
struct Targets(DVector<f64>);

impl Targets {
    fn of(values: &[f32], some: &[usize]) -> Self {
        let values: Vec<_> = values.iter().map(|&v| f64::from(v)).collect();
        Self(DVector::from_vec(standardised(&values, some)))
    }
}

fn standardised(values: &[f64], some: &[usize]) -> Vec<f64> {
    let count = some.len() as f64;
    let mean = some.iter().map(|&i| values[i]).sum::<f64>() / count;
    let variance = some.iter().map(|&i| (values[i] - mean).powi(2)).sum::<f64>() / count;
    let over = if variance > 0.0 { variance.sqrt().recip() } else { 0.0 };
    values.iter().map(|v| (v - mean) * over).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::golden::{assert_near, count, golden, number, numbers, value};

    /// The factors and codes of the golden file.
    fn case() -> (serde_json::Value, Factors, Vec<f32>) {
        let case = golden("factors");
        let [seed, images] = ["seed", "images"].map(|key| count(&case, key));
        let (seed, steps) = (seed as u64, numbers(&case["steps"]));
        let factor = |i: usize, f: usize| ((value(seed, 3 * i + f) + 1.0) / 2.0 * steps[f]).floor();
        let (mut rows, mut codes) = (Vec::new(), Vec::new());
        for i in 0..images {
            rows.extend((0..3).map(|f| factor(i, f) as f32));
            codes.extend((0..4).map(|j| {
                let mix = |f: usize| case["mix"][f][j].as_f64().expect("a number");
                let mixed: f64 = (0..3).map(|f| factor(i, f) * mix(f)).sum();
                (mixed + 0.3 * value(seed + 1, 4 * i + j)) as f32
            }));
        }
        let names = ["a", "b", "c"].map(str::to_owned);
        let factors = Factors::new(Features::new(&rows, 3).expect("rows"), &names);
        (case, factors.expect("factors"), codes)
    }

    #[test]
    fn gaps_are_those_of_scikit_learn() {
        let (case, factors, codes) = case();
        let found = mig(Features::new(&codes, 4).expect("codes"), &factors).expect("gaps");
        assert_near(&found, &numbers(&case["mig"]), 1e-12, "gaps");
    }

    #[test]
    fn regressions_and_scores_are_those_of_scikit_learn_and_scipy() {
        let (case, factors, codes) = case();
        let all: Vec<_> = (0..count(&case, "images")).collect();
        let standardised = Standardised::of(Features::new(&codes, 4).expect("codes"), &all);
        let mut importance = vec![Vec::new(); 4];
        for (values, expected) in factors.values.iter().zip(case["lasso"].as_array().expect("rows"))
        {
            let products = standardised.products(&all, &Targets::of(values, &all));
            let weights = products.lasso(0.01 * products.largest_penalty());
            assert_near(weights.as_slice(), &numbers(expected), 1e-8, "weights");
            assert_eq!(products.lasso(products.largest_penalty()).amax(), 0.0, "none is left");
            importance.iter_mut().zip(&weights).for_each(|(row, weight)| row.push(weight.abs()));
        }
        let expected = number(&case, "disentanglement");
        assert_near(&[disentanglement(&importance)], &[expected], 1e-8, "disentanglement");
        assert_near(
            &completeness(&importance),
            &numbers(&case["completeness"]),
            1e-8,
            "completeness",
        );
    }

    /// Codes that are the factors score 1, and codes that each mix all of them 0.
    #[test]
    fn perfect_codes_are_perfect_and_mixed_ones_are_not() {
        let rows: Vec<_> =
            (0..300).flat_map(|i| [(i % 3) as f32, (i / 3 % 5) as f32, 7.0]).collect();
        let names = ["a", "b", "flat"].map(str::to_owned);
        let factors =
            Factors::new(Features::new(&rows, 3).expect("rows"), &names).expect("factors");
        assert_eq!((factors.names(), factors.constant()), (&names[..2], &names[2..]), "names");
        let codes = |of: fn(f32, f32) -> [f32; 2]| -> Vec<f32> {
            rows.chunks(3)
                .flat_map(|row| of(row[0] - 1.0, (row[1] - 2.0) / 3.0_f32.sqrt()))
                .collect()
        };
        let (same, turned) = (codes(|a, b| [a, b]), codes(|a, b| [a + b, a - b]));
        let of =
            |codes: &[f32]| dci(Features::new(codes, 2).expect("codes"), &factors).expect("scores");
        let (perfect, mixed) = (of(&same), of(&turned));
        let scores = [perfect.disentanglement, perfect.completeness[0], perfect.completeness[1]];
        assert_near(&scores, &[1.0; 3], 1e-9, "perfect");
        assert_near(&[perfect.mean_completeness], &[1.0], 1e-9, "of both");
        assert!(perfect.errors.iter().all(|e| *e < 1e-3), "{:?}", perfect.errors);
        assert!(mixed.disentanglement < 0.01 && mixed.mean_completeness < 0.01, "{mixed:?}");
        // The second factor is not in these codes, and what little is said of it hardly counts.
        let of_one = of(&codes(|a, _| [a, a.abs()]));
        assert!(of_one.mean_completeness > 0.9 && of_one.errors[1] > 0.9, "{of_one:?}");
        assert!(mixed.errors.iter().all(|e| *e < 1e-3), "a turn loses nothing: {:?}", mixed.errors);
        let gaps = mig(Features::new(&same, 2).expect("codes"), &factors).expect("gaps");
        assert_near(&gaps, &[1.0, 1.0], 1e-2, "gaps");
    }

    #[test]
    fn what_tells_nothing_is_refused() {
        let says = |error: crate::Error, what: &str| {
            assert!(error.to_string().contains(what), "`{error}` does not say `{what}`");
            assert!(error.advice().is_some(), "`{error}` has no hint");
        };
        let rows: Vec<_> = (0..60).map(|i| i as f32).collect();
        let rows = Features::new(&rows, 2).expect("rows");
        let names = ["a", "b"].map(str::to_owned);
        says(Factors::new(rows, &names[..1]).expect_err("names"), "1 names for 2 factors");
        let flat = Features::new(&[1.0, 2.0, 1.0, 3.0], 2).expect("rows");
        says(Factors::new(flat, &names).expect_err("flat"), "1 of 2 factors change");
        let factors = Factors::new(rows, &names).expect("factors");
        says(mig(rows, &factors).expect_err("continuous"), "factor `a` has 30 values in 30 images");
        says(dci(flat, &factors).expect_err("rows"), "factors of 30 images, and codes of 2");
        let thin = Features::new(&rows.values()[..30], 1).expect("codes");
        says(mig(thin, &factors).expect_err("one"), "codes of one dimension");
    }
}
