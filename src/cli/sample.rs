//! `elbo sample`: images from the prior, or from a model of the codes.

use clap::ValueEnum;
use elbo::checkpoint::State;
use elbo::evaluate::{Shown, check_temperature};
use elbo::{Config, Device, Error, Model, Result};

use crate::cli::gallery::PictureArgs;
use crate::cli::levels::{self, Wanted};
use crate::cli::picture::{Labels, Look, check};
use crate::cli::sampler::{SampleFrom, Sampler, SamplerArgs, Subject};
use crate::cli::subject::{DataArgs, ModelArgs};
use crate::cli::{components, talk};

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo sample runs/0001
  elbo sample runs/0001 --seed 2          # other images
  elbo sample runs/0001 --count 100 --temperature 0.7 --out calm.png
  elbo sample runs/digits                 # conditional: a row shares its z
  elbo sample runs/digits --class 3,8 --count 16
  elbo sample runs/0001 --pixels drawn    # pixels sampled from p(x | z)
  elbo sample runs/0001 --from gmm        # z of a mixture fitted to the codes
  elbo sample runs/0001 --from two-stage  # z of a second VAE, trained on them
  elbo sample runs/vamp --prior-components   # what a learned prior is made of
  elbo sample runs/deep --by-level           # what each level of z decides
  elbo sample runs/deep --temperature 0.7,1  # z 1 less varied, z 2 as it is

What is fitted is kept in the run's folder, and fitted anew when the weights or the training images are others.";

/// What is shown of p(x | z).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PixelsShown {
    /// The means of the pixels
    Mean,
    /// Pixels sampled from p(x | z), each independently
    Drawn,
}

/// The most samples of one picture.
const MOST: usize = 10_000;
/// Columns that a row of few classes is filled up to.
const WANTED: usize = 10;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// What z is drawn from; all but the prior are fitted to the codes of the training images
    #[arg(long, value_enum, default_value_t)]
    from: SampleFrom,
    #[command(flatten)]
    sampler: SamplerArgs,
    /// How many images [default: 64; of a conditional model 8 of each class]
    #[arg(long, short = 'n', value_name = "N")]
    count: Option<usize>,
    /// The classes of a conditional model's images: each z is shown as each of them [default: all]
    #[arg(long, value_delimiter = ',', value_name = "C,…")]
    class: Vec<u8>,
    /// The standard deviation of z, of each component of a gmm, or of the second VAE's own latent: below 1
    /// samples are more alike, above 1 more unusual. Of several levels of z one for all, or one for each, z 1 first
    #[arg(
        long,
        default_value = "1",
        value_name = "T,…",
        value_delimiter = ',',
        allow_negative_numbers = true
    )]
    temperature: Vec<f32>,
    /// Show the means of p(x | z), or pixels sampled from it
    #[arg(long, value_enum, default_value_t = PixelsShown::Mean)]
    pixels: PixelsShown,
    /// The seed of the samples: another one gives other images [default: that of the run]
    #[arg(long, short, value_name = "SEED")]
    seed: Option<u64>,
    /// Show the components of a learned prior, the heaviest first, in place of samples: pseudo-inputs, and the
    /// decoder's means
    #[arg(long, conflicts_with_all = ["from", "class", "temperature", "pixels", "seed"])]
    prior_components: bool,
    /// Show what each level of z decides, in place of samples: a row holds what is above a level and draws it anew
    #[arg(long, conflicts_with_all = ["from", "temperature", "pixels", "prior_components"])]
    by_level: bool,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    picture: PictureArgs,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    if let Some(count) = args.count.filter(|count| !(1..=MOST).contains(count)) {
        return Err(Error::config(format!(
            "`--count` is {count}; it must be between 1 and {MOST}"
        ))
        .hint("64 make a picture of 8 by 8"));
    }
    args.picture.check()?;
    if args.prior_components {
        return components::show(&args.model, &args.picture, args.count);
    }
    if args.by_level {
        let Args { count, seed, class, .. } = args;
        let wanted = Wanted { count: *count, seed: *seed, classes: class };
        return levels::show(&args.model, &args.picture, wanted);
    }
    args.temperature.iter().try_for_each(|&t| check_temperature(t))?;
    args.sampler.check(&[args.from])?;
    if args.from == SampleFrom::Prior && args.data.is_given() {
        return Err(Error::config("`--data` names images to fit to, and the prior is not fitted")
            .hint("add `--from gmm` or `--from two-stage`, or leave `--data` out"));
    }
    let state = args.model.state()?;
    args.from.check(&state)?;
    let temperatures = args.temperatures(&state)?;
    let classes =
        if args.class.is_empty() { all_classes(&state.config) } else { args.class.clone() };
    let of = classes.len();
    let count = args.count.unwrap_or(if of > 1 { 8 * of } else { 64 });
    let columns = match of {
        0 | 1 => count.isqrt() + usize::from(count.isqrt().pow(2) < count),
        of => columns_of(of, count),
    };
    check(count, Look::of(&state), columns)?;
    let device = args.model.device()?;
    let sampler = args.sampler(&state, &device)?;
    let mut model = Model::new(&device, &state, None)?;
    let (shown, what) = match args.pixels {
        PixelsShown::Mean => (Shown::Mean, "The decoder's means"),
        PixelsShown::Drawn => (Shown::Drawn, "Pixels drawn"),
    };
    model.show(shown);
    if let Some(seed) = args.seed {
        model.reseed(seed);
    }
    let seed = args.seed.unwrap_or(state.config.train.seed);
    let wanted = (count, seed);
    let images = match of {
        0 => sampler.images(&device, &mut model, wanted, &temperatures, None)?,
        // z of a conditional model is the prior's.
        _ => by_class(&mut model, &classes, count, &temperatures)?,
    };
    let prior = args.told(sampler.name);
    let (told, names) = match classes.as_slice() {
        [] => (String::new(), Vec::new()),
        [class] => (format!(" and the class {class}"), Vec::new()),
        classes => {
            let same = if columns == of { "row" } else { &format!("{of} columns") };
            let told = format!(", one for each {same}, and the class of each column");
            (told, names(classes, columns))
        }
    };
    let step = state.trained.step;
    let seed = args.seed.map_or(String::new(), |seed| format!(", seed {seed}"));
    let caption = format!("{what} at z drawn from {prior}{told}, after step {step}{seed}");
    let group = if of > 1 { of } else { 0 };
    let labels = Labels { caption: &caption, columns: &names, group, ..Labels::default() };
    args.picture.images(&args.model, "sample", (&images, Look::of(&state), columns), labels)
}

impl Args {
    /// What z is drawn from, with its temperatures.
    fn told(&self, name: String) -> String {
        match &self.temperature[..] {
            [1.0] => name,
            [t] => format!("{name} at temperature {t}"),
            all => {
                let all: Vec<_> = all.iter().map(f32::to_string).collect();
                format!("{name} at the temperatures {} from z 1 upwards", all.join(", "))
            }
        }
    }

    /// The temperature of each level of z, from below upwards.
    fn temperatures(&self, state: &State) -> Result<Vec<f32>> {
        let levels = match self.from {
            SampleFrom::Prior => state.config.model.latents().len(),
            SampleFrom::Gmm | SampleFrom::TwoStage => 1,
        };
        match &self.temperature[..] {
            &[of_all] => Ok(vec![of_all; levels]),
            all if all.len() == levels => Ok(all.to_vec()),
            all => {
                let what = match levels {
                    1 => "z is drawn from one distribution".to_owned(),
                    _ => format!("z has {levels} levels"),
                };
                Err(Error::config(format!("`--temperature` gives {}, and {what}", all.len()))
                    .hint("give one for all, or one for each level, z 1 first"))
            }
        }
    }

    /// What z is drawn from; what was fitted is said.
    fn sampler(&self, state: &State, device: &Device) -> Result<Sampler> {
        let Self { model, data, sampler: args, .. } = self;
        let quiet = self.picture.quiet(model);
        let sampler =
            Subject { model, state, data, args, device, quiet }.sampler(self.from, None)?;
        sampler.said.iter().filter(|_| !model.quiet).for_each(|said| talk(said));
        Ok(sampler)
    }
}

/// All classes that a model knows.
pub(super) fn all_classes(config: &Config) -> Vec<u8> {
    (0..=255).take(config.model.classes).collect()
}

/// Images of classes in so many, side by side for each z of the prior (Kingma et al. 2014, figure 1), z after
/// z. The first z is that of the first image which a model without classes would show.
pub(super) fn by_class(
    model: &mut Model,
    classes: &[u8],
    count: usize,
    temperatures: &[f32],
) -> Result<Vec<f32>> {
    let latent = model.config().model.latent;
    let draws = model.prior_by_level(count.div_ceil(classes.len()), temperatures)?;
    let mut z: Vec<f32> = draws.chunks(latent).flat_map(|z| z.repeat(classes.len())).collect();
    z.truncate(count * latent);
    let told: Vec<u8> = classes.iter().copied().cycle().take(count).collect();
    model.decode_of(&z, &told)
}

/// The columns of such images: those of one z, or where classes are few those of several.
pub(super) fn columns_of(classes: usize, count: usize) -> usize {
    let draws = count.div_ceil(classes);
    classes * (WANTED / classes).clamp(1, draws.isqrt().max(1))
}

/// The names of the columns, whose classes take turns.
pub(super) fn names(classes: &[u8], columns: usize) -> Vec<String> {
    classes.iter().cycle().take(columns).map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::columns_of;

    #[test]
    fn few_classes_make_no_strip() {
        for (classes, count, columns) in
            [(10, 80, 10), (2, 16, 4), (3, 24, 6), (2, 5, 2), (2, 1, 2), (47, 376, 47), (5, 40, 10)]
        {
            assert_eq!(columns_of(classes, count), columns, "{count} images of {classes} classes");
        }
    }
}
