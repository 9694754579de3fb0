//! The tensors of a state: what they are called, and which of them are the model's weights.

use std::path::Path;

use crate::checkpoint::{State, Weight};
use crate::config::Config;
use crate::error::{Error, Result};

/// What stands before a parameter's name in that of its first moments, or its momentum.
pub const FIRST: &str = "optimizer.first.";
/// What stands before a parameter's name in that of its second moments.
pub const SECOND: &str = "optimizer.second.";
/// What stands before a parameter's name in that of its average over steps.
pub const AVERAGE: &str = "average.";

/// What stands before a parameter's name in a state of this configuration: of itself, nothing.
#[must_use]
pub fn prefixes(config: &Config) -> &'static [&'static str] {
    let all = &["", FIRST, SECOND, AVERAGE];
    if config.optimizer.average > 0.0 { all } else { &all[..3] }
}

impl State {
    /// The parameters without their moments, as they go to other programs: their averages, if there
    /// are any.
    #[must_use]
    pub fn weights(&self) -> Vec<Weight> {
        let all = self.tensors.iter();
        if self.config.optimizer.average > 0.0 {
            let average = |w: &Weight| {
                let key = w.key.strip_prefix(AVERAGE)?.to_owned();
                Some(Weight { key, ..w.clone() })
            };
            return all.filter_map(average).collect();
        }
        let moment = |w: &&Weight| w.key.starts_with(FIRST) || w.key.starts_with(SECOND);
        all.filter(|w| !moment(w)).cloned().collect()
    }
}

/// Refuses tensors that are not exactly those expected, by name and shape; `path` is named in
/// errors.
///
/// # Errors
///
/// A [`Data`](crate::ErrorKind::Data) error that names the first tensor that is missing, of another shape,
/// or too many.
pub fn check_tensors(
    path: &Path,
    expected: &[(String, Vec<usize>)],
    found: &[Weight],
) -> Result<()> {
    let fail = |what: String| {
        let hint = "the file must be of the same model: look at `--hidden` and `--latent`";
        Err(Error::data(path, what).hint(hint))
    };
    for (key, shape) in expected {
        match found.iter().find(|weight| weight.key == *key) {
            None => return fail(format!("has no `{key}`, expected one of the shape {shape:?}")),
            Some(weight) if weight.shape != *shape => {
                let is = &weight.shape;
                return fail(format!("`{key}` has the shape {is:?}, expected {shape:?}"));
            }
            Some(_) => {}
        }
    }
    match found.iter().find(|weight| expected.iter().all(|(key, _)| *key != weight.key)) {
        Some(weight) => fail(format!("has `{}`, which this model has not", weight.key)),
        None => Ok(()),
    }
}
