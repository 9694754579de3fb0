//! `elbo traverse`: what each dimension of z does, or for two of them the whole plane.

use elbo::evaluate::{Held, by_kl, dimensions};
use elbo::{Error, Model, Result};

use crate::cli::gallery::PictureArgs;
use crate::cli::picture::{Labels, Look, check};
use crate::cli::subject::{DataArgs, ModelArgs, Split, classes_in_turn, decode};

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo traverse runs/0001
  elbo traverse runs/0001 --image 7 --range 2 --steps 15
  elbo traverse runs/0001 --dimensions 3,11,5
  elbo traverse runs/plane --plane --steps 25  # a model with --latent 2
  elbo traverse runs/digits --class 7          # a conditional model";

/// The most places of a dimension.
const MOST: usize = 100;
/// Dimensions that are shown if none is named: those with the largest KL divergence.
const SHOWN: usize = 12;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Keep the other dimensions as this test image has them, counted from 0 [default: keep them at the
    /// prior's mean]
    #[arg(long, value_name = "I")]
    image: Option<usize>,
    /// The class of a conditional model's images [default: that of --image]
    #[arg(long, value_name = "C")]
    class: Option<u8>,
    /// Go from -Z to Z, in standard deviations of the prior
    #[arg(long, default_value_t = 3.0, value_name = "Z", allow_negative_numbers = true)]
    range: f32,
    /// Images in each row
    #[arg(long, default_value_t = 11, value_name = "N")]
    steps: usize,
    /// The dimensions to show, counted from 0 [default: the twelve with the largest KL divergence over all
    /// test images, as elbo evaluate tells it]
    #[arg(long, value_delimiter = ',', value_name = "J,…")]
    dimensions: Vec<usize>,
    /// Show the whole plane of a two-dimensional z, at the quantiles of the prior
    #[arg(long, conflicts_with_all = ["image", "range", "dimensions"])]
    plane: bool,
    #[command(flatten)]
    picture: PictureArgs,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    let (steps, range) = (args.steps, args.range);
    if !(2..=MOST).contains(&steps) {
        return Err(Error::config(format!(
            "`--steps` is {steps}; it must be between 2 and {MOST}"
        ))
        .hint("11 go through 0 in the middle"));
    }
    if !(range > 0.0 && range <= 100.0) {
        return Err(Error::config(format!(
            "`--range` is {range}; it must be above 0, at most 100"
        ))
        .hint("3 holds nearly all of the prior"));
    }
    args.picture.check()?;
    let state = args.model.state()?;
    // Places on the way are deviations of the prior.
    state.config.check_prior()?;
    let (latent, step) = (state.config.model.latent, state.trained.step);
    if let Some(dimension) = args.dimensions.iter().find(|&&j| j >= latent) {
        let what =
            format!("`--dimensions` has {dimension}; the {latent} dimensions are counted from 0");
        return Err(Error::config(what)
            .hint("leave `--dimensions` out to see those with the largest KL divergence"));
    }
    if args.plane {
        if latent != 2 {
            let what = format!("`--plane` needs a model of 2 dimensions; this one has {latent}");
            return Err(Error::config(what).hint("train one with `--latent 2`, or leave it out"));
        }
        if state.config.model.posterior.is_density() && !state.config.model.prior_is_standard() {
            let what =
                "`--plane` lies at the quantiles of N(0, I), which is not this model's prior";
            return Err(Error::config(what).hint("leave it out, and traverse each dimension"));
        }
        check(steps * steps, Look::of(&state), steps)?;
        let classes = classes_in_turn(&state, args.class.as_slice(), steps * steps)?;
        let mut model = args.model.open(&state, None)?;
        return plane(args, &mut model, classes.as_deref(), step);
    }
    if args.image.is_none() {
        // Refused before anything is read.
        classes_in_turn(&state, args.class.as_slice(), 1)?;
    }
    let data = args.data.all(&state, args.picture.manner(&args.model))?.test;
    let mut of_image = None;
    if state.config.model.classes > 0 {
        let labels = args.data.labels(&state, Split::Test, &data)?;
        of_image = args.image.map(|image| labels.get(image).copied().unwrap_or_default());
    }
    let rows = if args.dimensions.is_empty() { SHOWN.min(latent) } else { args.dimensions.len() };
    check(rows.saturating_mul(steps), Look::of(&state), steps)?;
    let count = rows.saturating_mul(steps);
    let classes = classes_in_turn(&state, args.class.or(of_image).as_slice(), count)?;
    let mut model = args.model.open(&state, Some(&data))?;
    lines(args, &mut model, classes.as_deref(), step)
}

/// A row for each dimension.
fn lines(args: &Args, model: &mut Model, classes: Option<&[u8]>, step: u64) -> Result<u8> {
    let latent = model.config().model.latent;
    let codes = model.encode(0..model.images())?;
    let all = dimensions(&codes, latent);
    // Of each dimension, whatever the others are.
    let [means, deviations] = match codes.prior {
        Held::Mixture(prior) => prior.moments(),
        Held::Normal => [vec![0.0; latent], vec![1.0; latent]],
        // By what the levels above make, which has no formula.
        Held::Above { .. } => moments(&model.prior(DRAWN, 1.0)?, latent),
    };
    let mut chosen = args.dimensions.clone();
    if chosen.is_empty() {
        chosen = by_kl(&all);
        chosen.truncate(SHOWN);
    }
    let base = match args.image {
        Some(image) => model.encode(image..image.saturating_add(1))?.mean,
        None => means.clone(),
    };
    let value = |step: usize| args.range * (2.0 * step as f32 / (args.steps - 1) as f32 - 1.0);
    let mut z = Vec::new();
    for &dimension in &chosen {
        for step in 0..args.steps {
            let mut place = base.clone();
            place[dimension] = means[dimension] + deviations[dimension] * value(step);
            z.extend(place);
        }
    }
    let images = decode(model, &z, classes)?;
    let rows: Vec<_> = chosen.iter().map(|&j| format!("z{j}  KL {:.2}", all[j].kl)).collect();
    let columns = signed(&(0..args.steps).map(value).collect::<Vec<_>>());
    let rest = match args.image {
        Some(image) => format!("the others as test image {image} has them"),
        None if !model.config().model.prior_is_standard() => {
            "the others at the prior's mean".to_owned()
        }
        None => "the others at 0".to_owned(),
    };
    let caption = format!(
        "One dimension of z at a time, {rest}{}; with its KL divergence in nats over {} test images; \
         after step {step}",
        told(classes),
        model.images()
    );
    let labels = Labels { caption: &caption, rows: &rows, columns: &columns, ..Labels::default() };
    args.picture.images(&args.model, "traverse", (&images, Look::new(model), args.steps), labels)
}

/// Draws of a prior that its mean and deviation are taken of.
const DRAWN: usize = 4096;

/// The mean and the deviation of each dimension of draws (count, latent).
fn moments(draws: &[f32], latent: usize) -> [Vec<f32>; 2] {
    let count = (draws.len() / latent) as f64;
    let of = |j: usize| {
        let own = || draws.iter().skip(j).step_by(latent).map(|&z| f64::from(z));
        let mean = own().sum::<f64>() / count;
        let variance = own().map(|z| (z - mean).powi(2)).sum::<f64>() / count;
        (mean as f32, variance.sqrt() as f32)
    };
    let (means, deviations) = (0..latent).map(of).unzip();
    [means, deviations]
}

/// The images of a plane of z, each at the middle of an equal share of the prior (Kingma and Welling
/// 2014, figure 4).
fn plane(args: &Args, model: &mut Model, classes: Option<&[u8]>, step: u64) -> Result<u8> {
    let side = args.steps;
    let quantile = |i: usize| normal_quantile((i as f64 + 0.5) / side as f64) as f32;
    let z: Vec<_> = (0..side)
        .rev()
        .flat_map(|up| (0..side).flat_map(move |right| [quantile(right), quantile(up)]))
        .collect();
    let images = decode(model, &z, classes)?;
    let most = quantile(side - 1);
    let caption = format!(
        "The plane of z at the prior's quantiles: z0 from {:.1} to {most:.1} rightwards, z1 upwards{}; \
         after step {step}",
        -most,
        told(classes)
    );
    let labels = Labels { caption: &caption, joined: true, ..Labels::default() };
    args.picture.images(&args.model, "plane", (&images, Look::new(model), side), labels)
}

/// Places with their signs and as many decimals as tell them, at most two.
fn signed(values: &[f32]) -> Vec<String> {
    let whole = |digits: i32| {
        let scale = 10_f32.powi(digits);
        values.iter().all(|v| (v * scale - (v * scale).round()).abs() < 1e-3 * scale.max(1.0))
    };
    let digits = (0..2).find(|&digits| whole(digits)).unwrap_or(2) as usize;
    let told = |value: &f32| match format!("{value:+.digits$}") {
        // At the prior's mean there is no side.
        text if text.bytes().all(|b| b"+-0.".contains(&b)) => "0".to_owned(),
        text => text.replacen('-', "−", 1),
    };
    values.iter().map(told).collect()
}

/// The class of all images, in words.
fn told(classes: Option<&[u8]>) -> String {
    let class = classes.and_then(<[u8]>::first);
    class.map_or(String::new(), |class| format!("; class {class}"))
}

/// Where the standard normal distribution function is `share`, to 10⁻¹² by halving.
fn normal_quantile(share: f64) -> f64 {
    let below = |x: f64| 0.5 * libm::erfc(-x / std::f64::consts::SQRT_2);
    let (mut low, mut high) = (-10.0, 10.0);
    while high - low > 1e-12 {
        let middle = 0.5 * (low + high);
        if below(middle) < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::{normal_quantile, signed};

    #[test]
    fn places_have_the_decimals_that_tell_them() {
        for (values, expected) in [
            (&[-3.0, -2.4, 0.0, 0.6, 3.0][..], "−3.0 −2.4 0 +0.6 +3.0"),
            (&[-2.0, -1.0, 0.0, 1.0], "−2 −1 0 +1"),
            (&[-3.0, -18.0 / 7.0, -3.0 / 7.0, 0.0], "−3.00 −2.57 −0.43 0"),
            (&[-0.001, 0.25], "0 +0.25"),
        ] {
            assert_eq!(signed(values).join(" "), expected, "{values:?}");
        }
    }

    /// Against published tables of the normal distribution.
    #[test]
    fn quantiles_are_those_of_tables() {
        for (share, expected) in [
            (0.5, 0.0),
            (0.975, 1.959_963_984_540),
            (0.05, -1.644_853_626_951),
            (0.999, 3.090_232_306_168),
        ] {
            let found = normal_quantile(share);
            assert!((found - expected).abs() < 1e-9, "{share}: {found}, expected {expected}");
        }
    }
}
