//! `elbo sample --prior-components`: what a learned prior is made of.

use elbo::{Error, Model, Result};

use crate::cli::gallery::PictureArgs;
use crate::cli::picture::{Labels, Look, check};
use crate::cli::subject::ModelArgs;

/// Components in a row.
const ACROSS: usize = 10;
/// Components that are shown if nobody said how many.
const SHOWN: usize = 40;

/// Shows so many components, the heaviest first: of a `VampPrior` each pseudo-input above what the decoder makes at the mean of
/// its posterior, of other mixtures what it makes at each mean.
pub(super) fn show(args: &ModelArgs, picture: &PictureArgs, count: Option<usize>) -> Result<u8> {
    let state = args.state()?;
    if !state.config.model.prior.is_learned() {
        let what =
            "`--prior-components` shows those of a learned prior, and this model's is N(0, I)";
        return Err(Error::config(what).hint("train one with `--prior vamp`, or leave it out"));
    }
    let all = state.config.model.prior_components;
    let count = count.unwrap_or(SHOWN).min(all);
    let (look, across) = (Look::of(&state), count.min(ACROSS));
    check(2 * count.next_multiple_of(across), look, across)?;
    let mut model = Model::new(&args.device()?, &state, None)?;
    let Some(components) = model.components()? else { return Ok(0) };
    let mut order: Vec<_> = (0..all).collect();
    order.sort_by(|&a, &b| components.weights[b].total_cmp(&components.weights[a]));
    order.truncate(count);
    let mean = |&k: &usize| &components.means[k * components.latent..][..components.latent];
    let z: Vec<_> = order.iter().flat_map(mean).map(|&v| v as f32).collect();
    // Of several levels those below are at their means.
    let latents = state.config.model.latents().into_iter();
    let mut levels: Vec<_> = latents.map(|latent| vec![0.0; count * latent]).collect();
    levels.pop();
    levels.push(z);
    let z = model.descend(&levels)?;
    let mut ways = vec![("decoder", model.decode(&z)?)];
    let pixels = look.size.len();
    if let Some(own) = model.pseudo_inputs()? {
        let chosen = order.iter().flat_map(|&k| own[k * pixels..][..pixels].iter().copied());
        ways.insert(0, ("pseudo-input", chosen.collect()));
    }
    let (mut images, mut rows) = (Vec::new(), Vec::new());
    for first in (0..count).step_by(across) {
        for (name, of) in &ways {
            let last = count.min(first + across);
            images.extend(&of[first * pixels..last * pixels]);
            // A last row may be shorter: what is not there is black.
            images.resize(images.len().next_multiple_of(across * pixels), 0.0);
            rows.push((*name).to_owned());
        }
    }
    let caption = format!(
        "{count} of {all} components of the prior, and the decoder's means at theirs, after step {}",
        state.trained.step
    );
    let labels = Labels { caption: &caption, rows: &rows, ..Labels::default() };
    picture.images(args, "components", (&images, look, across), labels)
}
