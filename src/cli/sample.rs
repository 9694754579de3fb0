//! `elbo sample`: images from the prior.

use clap::ValueEnum;
use elbo::evaluate::Shown;
use elbo::{Error, Result};

use crate::cli::gallery::PictureArgs;
use crate::cli::picture::{Labels, check};
use crate::cli::subject::ModelArgs;

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo sample runs/0001
  elbo sample runs/0001 --count 100 --temperature 0.7 --out calm.png
  elbo sample runs/0001 --pixels drawn                # pixels of p(x | z), not their means";

/// What is shown of p(x | z).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PixelsShown {
    /// The means of the pixels
    Mean,
    /// Pixels drawn from the likelihood, each independently
    Drawn,
}

/// The most samples of one picture.
const MOST: usize = 10_000;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// How many
    #[arg(long, default_value_t = 64, value_name = "N")]
    count: usize,
    /// The deviation of z: below 1 samples are more alike, above it stranger
    #[arg(long, default_value_t = 1.0, value_name = "T", allow_negative_numbers = true)]
    temperature: f32,
    /// What is shown of p(x | z)
    #[arg(long, value_enum, default_value_t = PixelsShown::Mean)]
    pixels: PixelsShown,
    #[command(flatten)]
    picture: PictureArgs,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    let (count, temperature) = (args.count, args.temperature);
    if !(1..=MOST).contains(&count) {
        return Err(Error::config(format!(
            "`--count` is {count}; it must be between 1 and {MOST}"
        ))
        .hint("64 make a picture of 8 by 8"));
    }
    args.picture.check()?;
    let state = args.model.state()?;
    let columns = count.isqrt() + usize::from(count.isqrt().pow(2) < count);
    check(count, state.size, columns)?;
    let mut model = args.model.open(&state, None)?;
    let (shown, what) = match args.pixels {
        PixelsShown::Mean => (Shown::Mean, "The decoder's means"),
        PixelsShown::Drawn => (Shown::Drawn, "Pixels drawn"),
    };
    model.show(shown);
    let images = model.sample(count, temperature)?;
    let prior = match temperature {
        1.0 => "the prior".to_owned(),
        t => format!("the prior at temperature {t}"),
    };
    let step = state.trained.step;
    let caption = format!("{what} at z drawn from {prior}, after step {step}");
    let labels = Labels { caption: &caption, ..Labels::default() };
    args.picture.images(&args.model, "sample", (&images, state.size, columns), labels)
}
