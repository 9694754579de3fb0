//! `elbo sample --by-level`: what each level of z decides.

use elbo::{Error, Model, Result};

use crate::cli::gallery::PictureArgs;
use crate::cli::picture::{Labels, Look, check};
use crate::cli::subject::ModelArgs;

/// Images in a row.
const ACROSS: usize = 10;

/// What is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// Images in a row.
    pub(super) count: Option<usize>,
    pub(super) seed: Option<u64>,
    /// The classes that were asked for.
    pub(super) classes: &'a [u8],
}

/// A row of images for each level, the highest first: each holds what is above its level and draws the level anew.
pub(super) fn show(args: &ModelArgs, picture: &PictureArgs, wanted: Wanted<'_>) -> Result<u8> {
    let state = args.state()?;
    let levels = state.config.model.latents().len();
    if levels == 1 {
        let what = "`--by-level` shows what each level of z decides, and this model's z has one";
        return Err(Error::config(what)
            .hint("leave it out, or train a model with levels above: `--set model.above=[…]`"));
    }
    let class = match wanted.classes {
        [] => (state.config.model.classes > 0).then_some(0),
        [class] => Some(*class),
        all => {
            let what = format!("`--by-level` shows one class, and {} were given", all.len());
            return Err(Error::config(what).hint("give one `--class`"));
        }
    };
    let (look, count) = (Look::of(&state), wanted.count.unwrap_or(ACROSS));
    check(levels * count, look, count)?;
    let mut model = Model::new(&args.device()?, &state, None)?;
    if let Some(seed) = wanted.seed {
        model.reseed(seed);
    }
    let images = model.decisions(count, class)?;
    let rows: Vec<_> = (1..=levels).rev().map(|level| format!("z {level} drawn anew")).collect();
    let told = class.map_or(String::new(), |class| format!(", of the class {class}"));
    let caption = format!(
        "What each level of z decides{told}: what is above it is held, what is below it is at its mean, after step {}",
        state.trained.step
    );
    let labels = Labels { caption: &caption, rows: &rows, ..Labels::default() };
    picture.images(args, "levels", (&images, look, count), labels)
}
