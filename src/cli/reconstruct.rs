//! `elbo reconstruct`: images, and what becomes of them.

use elbo::{Error, Result};

use crate::cli::gallery::PictureArgs;
use crate::cli::picture::{Labels, Look, check};
use crate::cli::subject::{ImageArgs, ModelArgs, Split};

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo reconstruct runs/0001
  elbo reconstruct runs/0001 --split train --first 100 --count 30";

/// Pairs side by side.
const ACROSS: usize = 10;
/// Pairs if no number is given.
const SHOWN: usize = 20;
/// The most pairs of one picture.
const MOST: usize = 5000;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    images: ImageArgs,
    /// The first image, counted from 0
    #[arg(long, default_value_t = 0, value_name = "I")]
    first: usize,
    /// How many images [default: 20, or as many as there are]
    #[arg(long, short = 'n', value_name = "N")]
    count: Option<usize>,
    #[command(flatten)]
    picture: PictureArgs,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    let first = args.first;
    if let Some(count) = args.count.filter(|count| !(1..=MOST).contains(count)) {
        return Err(Error::config(format!(
            "`--count` is {count}; it must be between 1 and {MOST}"
        ))
        .hint("20 make a picture of 10 by 2 pairs"));
    }
    args.picture.check()?;
    let state = args.model.state()?;
    let data = args.images.open(&state, args.picture.manner(&args.model))?;
    let look = Look::of(&state);
    let count = args.count.unwrap_or(data.len().saturating_sub(first).clamp(1, SHOWN));
    check(count.next_multiple_of(ACROSS).saturating_mul(2), look, ACROSS)?;
    let mut model = args.model.open(&state, Some(&data))?;
    let (images, means) = model.reconstruct(first..first.saturating_add(count))?;
    let across = count.min(ACROSS);
    let row = across * look.size.len();
    let (mut all, mut rows) = (Vec::new(), Vec::new());
    for (images, means) in images.chunks(row).zip(means.chunks(row)) {
        for (name, values) in [("image", images), ("reconstruction", means)] {
            all.extend(values);
            // A last row may be shorter: what is not there is black.
            all.resize(all.len().next_multiple_of(row), 0.0);
            rows.push(name.to_owned());
        }
    }
    let caption = format!(
        "{} images {first} to {}, and the decoder's means at z = μ, after step {}",
        match args.images.split {
            Split::Test => "Test",
            Split::Train => "Training",
            Split::Validation => "Validation",
        },
        first + count - 1,
        state.trained.step
    );
    let labels = Labels { caption: &caption, rows: &rows, ..Labels::default() };
    args.picture.images(&args.model, "reconstruct", (&all, look, across), labels)
}
