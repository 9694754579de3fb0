//! `elbo encode`: what the encoder makes of images, as a file.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use elbo::checkpoint::{Weight, weights_to_bytes, write_new};
use elbo::data::formats::npy;
use elbo::evaluate::Codes;
use elbo::{Error, ErrorKind, Result};
use serde_json::json;

use crate::cli::place::{check_free, known_ending};
use crate::cli::print_line;
use crate::cli::subject::{ImageArgs, ModelArgs};

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo encode runs/0001 --out codes.npy          # the mean μ of each test image
  elbo encode runs/0001 --split train --out train.npy
  elbo encode runs/0001 --what z --out z.npy     # a z drawn from each posterior
  elbo encode runs/0001 --out codes.csv          # image, label, μ, log σ² and z
  elbo encode runs/0001 --out codes.safetensors  # tensors mean, log_var and z
  elbo encode runs/deep --level 2 --out above.npy    # z above the first

`elbo decode` makes images from such files.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    images: ImageArgs,
    /// The new file to write: .npy, .csv or .safetensors
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// Which array to write to a .npy file; the other formats hold all of them [default: mean]
    #[arg(long, value_enum)]
    what: Option<What>,
    /// The level of z whose codes are written, 1 being that of the decoder; those above are of the z drawn below
    #[arg(long, default_value_t = 1, value_name = "L", hide_default_value = true)]
    level: usize,
    /// Use only the first N images [default: all]
    #[arg(long, default_value_t = 0, value_name = "N", hide_default_value = true)]
    limit: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A part of the posteriors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum What {
    /// μ
    #[default]
    Mean,
    /// log σ²
    LogVar,
    /// One z drawn from each, the same ones each time
    Z,
}

impl What {
    const ALL: [Self; 3] = [Self::Mean, Self::LogVar, Self::Z];

    /// As in files.
    fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::LogVar => "log_var",
            Self::Z => "z",
        }
    }

    /// Those that there are: a point has no log σ².
    fn all(codes: &Codes) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|what| !what.of(codes).is_empty())
    }

    fn of(self, codes: &Codes) -> &[f32] {
        match self {
            Self::Mean => &codes.mean,
            Self::LogVar => &codes.log_var,
            Self::Z => &codes.z,
        }
    }
}

/// What is written.
#[derive(Clone, Copy, Debug)]
enum Format {
    Npy(What),
    Csv,
    Safetensors,
}

impl Format {
    fn parts(self, codes: &Codes) -> Vec<What> {
        match self {
            Self::Npy(what) => vec![what],
            _ => What::all(codes).collect(),
        }
    }
}

pub(super) fn run(args: &Args) -> Result<u8> {
    let format = format(&args.out, args.what)?;
    check_free(&args.out)?;
    let state = args.model.state()?;
    let data = args.images.open(&state, args.model.manner(args.json))?.limited(args.limit);
    if matches!(format, Format::Npy(What::LogVar)) && !state.config.model.posterior.is_density() {
        let what = "`--what log-var`, but a plain autoencoder's codes are points";
        return Err(Error::config(what).hint("leave it out: a point is its mean and its z"));
    }
    let latents = state.config.model.latents();
    let Some(&latent) = args.level.checked_sub(1).and_then(|place| latents.get(place)) else {
        let what =
            format!("there is no level {}; z of this model has {}", args.level, latents.len());
        return Err(Error::config(what)
            .hint("levels are counted from 1; leave `--level` out for that of the decoder"));
    };
    let mut model = args.model.open(&state, Some(&data))?;
    let images = model.images();
    let codes = model.encode_levels(0..images)?.swap_remove(args.level - 1);
    check_finite(&codes, latent)?;
    write_new(&args.out, &bytes(format, &codes, data.labels(), latent)?)?;
    let (step, out) = (state.trained.step, args.out.display());
    let parts: Vec<_> = format.parts(&codes).into_iter().map(What::name).collect();
    let of = if latents.len() > 1 { format!(" of z {}", args.level) } else { String::new() };
    print_line(&match args.json {
        true => json!({
            "event": "codes", "images": images, "split": args.images.split.name(), "step": step,
            "level": args.level, "latent": latent, "parts": parts, "labels": data.labels().is_some(),
            "out": args.out.to_string_lossy(),
        })
        .to_string(),
        false => format!(
            "{} of {images} {} images in {latent} dimensions{of}, after step {step}: {out}",
            parts.join(", "),
            args.images.split.name()
        ),
    })?;
    Ok(0)
}

/// What a file's name means.
fn format(out: &Path, what: Option<What>) -> Result<Format> {
    let hint = "`.npy` takes one array; `.csv` and `.safetensors` take mean, log_var and z";
    let ending = known_ending(out, &["npy", "csv", "safetensors"], hint)?;
    let format = match (ending.as_str(), what) {
        ("npy", what) => Format::Npy(what.unwrap_or_default()),
        ("csv", None) => Format::Csv,
        (_, None) => Format::Safetensors,
        (_, Some(_)) => {
            let what = format!("`--what` chooses one array, and `{}` holds all", out.display());
            return Err(
                Error::config(what).hint("leave out `--what`, or let `--out` end in `.npy`")
            );
        }
    };
    Ok(format)
}

/// Refuses codes that are no numbers, which nobody could use.
fn check_finite(codes: &Codes, latent: usize) -> Result<()> {
    for what in What::ALL {
        if let Some(at) = what.of(codes).iter().position(|v| !v.is_finite()) {
            let (name, value) = (what.name(), what.of(codes)[at]);
            let what = format!("`{name}` of image {} is {value}", at / latent);
            return Err(Error::new(ErrorKind::Numbers, what)
                .hint("take a state from before the numbers broke"));
        }
    }
    Ok(())
}

fn bytes(format: Format, codes: &Codes, labels: Option<&[u8]>, latent: usize) -> Result<Vec<u8>> {
    let shape = [codes.mean.len() / latent, latent];
    match format {
        Format::Npy(what) => npy::to_bytes(&shape, what.of(codes)),
        Format::Csv => Ok(table(codes, labels, latent).into_bytes()),
        Format::Safetensors => {
            let tensor = |what: What| Weight {
                key: what.name().to_owned(),
                shape: shape.to_vec(),
                values: what.of(codes).to_vec(),
            };
            weights_to_bytes(&What::all(codes).map(tensor).collect::<Vec<_>>())
        }
    }
}

/// A line for each image below one of names; numbers are the shortest that read back to the same f32.
fn table(codes: &Codes, labels: Option<&[u8]>, latent: usize) -> String {
    let mut text = "image".to_owned();
    if labels.is_some() {
        text.push_str(",label");
    }
    for what in What::all(codes) {
        for j in 0..latent {
            let _ = write!(text, ",{}_{j}", what.name());
        }
    }
    text.push('\n');
    for image in 0..codes.mean.len() / latent {
        let _ = write!(text, "{image}");
        if let Some(label) = labels.and_then(|labels| labels.get(image)) {
            let _ = write!(text, ",{label}");
        }
        for value in What::all(codes).flat_map(|what| &what.of(codes)[image * latent..][..latent]) {
            let _ = write!(text, ",{value:?}");
        }
        text.push('\n');
    }
    text
}
