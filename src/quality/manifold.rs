//! Precision and recall: which rows of features lie within the manifold of others.

use rayon::prelude::*;

use crate::error::Result;
use crate::probe::{Blocks, Features, QUERIES, scale};
use crate::quality::refuse;

/// The neighbours that a manifold is usually made by (Kynkäänniemi et al. 2019, section 3).
pub const DEFAULT_K: usize = 3;

/// The rows of a set, with a ball round each that reaches to its k-th nearest neighbour: together they
/// stand for the manifold that the rows were drawn from (Kynkäänniemi et al. 2019, eq. 1).
///
/// The share of samples within the manifold of images is the **precision**, how much of what a model makes
/// is like images; the share of images within the manifold of samples is the **recall**, how much of the
/// images it can make (eq. 2). Both grow with k and depend on the number of rows: compare only with
/// the same of both.
#[derive(Clone, Debug)]
pub struct Manifold<'a> {
    rows: Features<'a>,
    /// The squared distance to the k-th nearest neighbour of each row, in the units of the features.
    radii: Vec<f32>,
    k: usize,
}

impl<'a> Manifold<'a> {
    /// Of these rows, by Euclidean distance in f32: rows × rows × columns operations.
    ///
    /// # Errors
    ///
    /// If k is 0, or there are not more rows than k.
    pub fn new(rows: Features<'a>, k: usize) -> Result<Self> {
        let count = rows.rows();
        if k == 0 || k >= count {
            let what = format!("k is {k}, expected 1 to {}", count - 1);
            return Err(refuse(format!("{what}, as {count} rows have so many neighbours"))
                .hint(format!("{DEFAULT_K} is usual; give more images")));
        }
        let mut manifold = Self { rows, radii: Vec::new(), k };
        manifold.radii = manifold.radii_at(scale(&[rows.values()]));
        Ok(manifold)
    }

    /// How many neighbours its balls reach to.
    #[must_use]
    pub fn k(&self) -> usize {
        self.k
    }

    /// Which of these rows lie in a ball, or on its surface.
    ///
    /// # Errors
    ///
    /// If their columns are not as many as those of its own rows.
    pub fn holds(&self, queries: Features<'_>) -> Result<Vec<bool>> {
        queries.check_columns(self.rows.columns())?;
        // Distances are compared with radii, so both are taken at the scale that holds all.
        let (own, both) =
            (scale(&[self.rows.values()]), scale(&[self.rows.values(), queries.values()]));
        let again = (own != both).then(|| self.radii_at(both));
        let radii = again.as_ref().unwrap_or(&self.radii);
        let blocks = Blocks::new(self.rows, both);
        let chunks = queries.values().par_chunks(QUERIES * queries.columns());
        let found = chunks.flat_map_iter(|some| {
            let mut inside = vec![false; some.len() / queries.columns()];
            blocks.each(some, |query, first, distances| {
                let mut pairs = distances.iter().zip(&radii[first..]);
                inside[query] = inside[query] || pairs.any(|(distance, radius)| distance <= radius);
            });
            inside
        });
        Ok(found.collect())
    }

    /// The radii, squared, of rows that are multiplied by `scale`.
    fn radii_at(&self, scale: f64) -> Vec<f32> {
        let blocks = Blocks::new(self.rows, scale);
        let chunks = self.rows.values().par_chunks(QUERIES * self.rows.columns());
        // A row is the nearest to itself, or as near as those that are equal to it.
        let radii = chunks.flat_map_iter(|some| {
            let near = blocks.compare(some, self.k + 1);
            near.into_iter().map(|near| near.last().map_or(0.0, |&(distance, _)| distance))
        });
        radii.collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::quality::golden::{count, golden, golden_rows};

    fn rows(values: &[f32]) -> Features<'_> {
        Features::new(values, 1).expect("rows")
    }

    #[test]
    fn balls_reach_to_the_kth_neighbour() {
        let line = [0.0, 1.0, 3.0, 100.0];
        let held = |k, query: f32| {
            let manifold = Manifold::new(rows(&line), k).expect("a manifold");
            manifold.holds(rows(&[query])).expect("an answer")[0]
        };
        // By one neighbour the radii are 1, 1, 2 and 97; by two 3, 2, 3 and 99.
        for (k, query, expected) in [
            (1, -1.0, true),
            (1, -1.01, false),
            (2, -3.0, true),
            (2, -3.01, false),
            (1, 2.99, true),
            (1, 197.0, true),
            (1, 197.1, false),
        ] {
            assert_eq!(held(k, query), expected, "{query} by {k}");
        }
    }

    /// Rows far behind the first block, and distances whose squares f32 does not hold.
    #[test]
    fn every_row_has_its_ball() {
        for size in [1.0_f32, 1e-30, 1e30] {
            let line: Vec<_> = (0..300).map(|i| i as f32 * size).collect();
            let manifold = Manifold::new(rows(&line), 2).expect("a manifold");
            let queries: Vec<_> =
                [150.4, 299.9, 301.0, 301.1, -2.1, 3000.0].map(|x: f32| x * size).into();
            let found = manifold.holds(rows(&queries)).expect("answers");
            assert_eq!(found, [true, true, true, false, false, false], "at {size}");
        }
    }

    #[test]
    fn equal_rows_have_balls_of_no_size() {
        let manifold = Manifold::new(rows(&[5.0; 10]), 3).expect("a manifold");
        let found = manifold.holds(rows(&[5.0, 5.001])).expect("answers");
        assert_eq!(found, [true, false], "the rows themselves, and nothing beside");
    }

    #[test]
    fn manifolds_hold_what_they_do_in_f64() {
        let all = golden("distances");
        for case in all.as_array().expect("cases") {
            let rows = golden_rows(case);
            let [one, other] =
                [0, 1].map(|i| Features::new(&rows[i], count(case, "columns")).expect("rows"));
            for k in [1, 3] {
                for (key, rows, queries) in [("precision", one, other), ("recall", other, one)] {
                    let found = Manifold::new(rows, k).expect("a manifold").holds(queries);
                    let expected: Vec<_> = case[key][k.to_string()].as_array().expect(key).clone();
                    let expected: Vec<_> = expected.iter().filter_map(Value::as_bool).collect();
                    assert_eq!(found.expect("answers"), expected, "{} {key} {k}", case["name"]);
                }
            }
        }
    }

    #[test]
    fn too_few_rows_are_refused() {
        for k in [0, 3] {
            let error = Manifold::new(rows(&[1.0, 2.0, 3.0]), k).expect_err("k");
            assert!(error.to_string().contains(&format!("k is {k}, expected 1 to 2")), "{error}");
        }
        let manifold = Manifold::new(rows(&[1.0, 2.0, 3.0]), 1).expect("a manifold");
        let wide = Features::new(&[1.0, 2.0], 2).expect("a row");
        assert!(manifold.holds(wide).is_err(), "two columns");
    }
}
