//! `elbo quality`: how near samples and reconstructions come to images, and dimensions of z to known factors.

mod factors;
mod samples;

use std::path::PathBuf;

use elbo::checkpoint::State;
use elbo::evaluate::{Estimate, estimate};
use elbo::quality::{psnr, ssim};
use elbo::{Dataset, Device, Error, Model, Result};
use serde_json::json;

use crate::cli::run_name::run_name;
use crate::cli::sampler::{SampleFrom, SamplerArgs};
use crate::cli::subject::{DataArgs, ModelArgs};
use crate::cli::{print_line, talk};

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo quality runs/0001
  elbo quality runs/0001 --from prior,gmm,two-stage
  elbo quality runs/0001 --features runs/0002  # by another run's encoder
  elbo quality runs/0003 --factors factors.csv # disentanglement: MIG and DCI

The Fréchet distance between features is computed as the FID is, but of the run's own encoder: it compares only with distances of the same encoder and the same number of samples. The line of the training images is what real images have; smooth samples may be nearer.";

/// Images whose reconstructions are in memory at once.
const TOGETHER: usize = 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// What z is drawn from [default: prior; of a plain autoencoder gmm]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "FROM,…")]
    from: Vec<SampleFrom>,
    #[command(flatten)]
    sampler: SamplerArgs,
    /// How many samples, and as many test and training images [default: 5000, or as many as there are]
    #[arg(long, short = 'n', value_name = "N")]
    count: Option<usize>,
    /// The run whose encoder makes the features [default: the run itself]
    #[arg(long, value_name = "RUN", value_parser = run_name())]
    features: Option<PathBuf>,
    /// Known factors of the images: a .npy of shape (images, factors) or a .csv, in the order of the
    /// images' file
    #[arg(long, value_name = "FILE")]
    factors: Option<PathBuf>,
    /// The seed of the samples [default: that of the run]
    #[arg(long, short, value_name = "SEED")]
    seed: Option<u64>,
    #[command(flatten)]
    data: DataArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What is measured, and by what.
#[derive(Clone, Copy)]
struct Measured<'a> {
    args: &'a Args,
    state: &'a State,
    device: &'a Device,
}

/// How near reconstructions come to their images.
struct Reconstructions {
    images: usize,
    psnr: Estimate,
    /// None of images that hold no window.
    ssim: Option<Estimate>,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    let state = args.model.state()?;
    let from = match args.from.as_slice() {
        [] if state.config.check_prior().is_err() => vec![SampleFrom::Gmm],
        [] => vec![SampleFrom::Prior],
        typed => typed.to_vec(),
    };
    args.sampler.check(&from)?;
    from.iter().try_for_each(|from| from.check(&state))?;
    if state.config.model.likelihood.is_of_counts() {
        let what = "this model is of counts, whose errors have no peak and whose samples no pixels";
        return Err(Error::config(what).hint("`elbo evaluate` tells its likelihood"));
    }
    if args.count.is_some_and(|count| count < samples::LEAST) {
        let what = format!("`--count` must be {} or more", samples::LEAST);
        return Err(Error::config(what).hint("5000 is a good guess"));
    }
    let device = args.model.device()?;
    let measured = Measured { args, state: &state, device: &device };
    // What the user has to put right comes before what takes long.
    let factors =
        args.factors.as_deref().map(|path| factors::measure(measured, path)).transpose()?;
    let [train, test] = args.data.open_both(&state, args.model.manner(args.json))?;
    let reconstructions = measured.reconstructions(&test)?;
    let compared = samples::compare(measured, &from, [&train, &test])?;
    let mut line = json!({"event": "quality", "step": state.trained.step});
    if let Some(found) = &reconstructions {
        line["images"] = json!(found.images);
        line["psnr"] = json!(found.psnr.mean);
        line["psnr_margin"] = json!(found.psnr.margin);
        line["ssim"] = json!(found.ssim.map(|ssim| ssim.mean));
        line["ssim_margin"] = json!(found.ssim.map(|ssim| ssim.margin));
    }
    compared.tell(&mut line);
    factors.iter().for_each(|found| found.tell(&mut line));
    if args.json {
        return print_line(&line.to_string()).map(|()| 0);
    }
    let mut lines = reconstructions.map_or(Vec::new(), |found| found.lines(state.trained.step));
    lines.extend(compared.lines());
    lines.extend(factors.iter().flat_map(factors::Found::lines));
    lines.iter().try_for_each(|line| print_line(line))?;
    Ok(0)
}

impl Measured<'_> {
    /// Whether nothing but the result is shown.
    fn quiet(self) -> bool {
        self.args.json || self.args.model.quiet
    }

    /// The errors at z = μ, of pixels from 0 to 1; others have no peak.
    fn reconstructions(self, test: &Dataset) -> Result<Option<Reconstructions>> {
        let (low, high) = test.range()?;
        if low < 0.0 || high > 1.0 {
            talk(&format!(
                "note: pixels go from {low} to {high}: PSNR and SSIM are of pixels from 0 to 1"
            ));
            return Ok(None);
        }
        let mut model = Model::new(self.device, self.state, Some(test))?;
        let (size, images) = (model.image_size(), model.images());
        let windows = size.height >= elbo::quality::WINDOW && size.width >= elbo::quality::WINDOW;
        let (mut errors, mut similar) = (Vec::new(), Vec::new());
        for first in (0..images).step_by(TOGETHER) {
            let (x, made) = model.reconstruct(first..images.min(first + TOGETHER))?;
            errors.extend(psnr(&x, &made, size)?);
            if windows {
                similar.extend(ssim(&x, &made, size)?);
            }
        }
        Ok(Some(Reconstructions {
            images,
            psnr: estimate(&errors),
            ssim: windows.then(|| estimate(&similar)),
        }))
    }
}

impl Reconstructions {
    fn lines(&self, step: u64) -> Vec<String> {
        let Self { images, psnr, ssim } = self;
        vec![
            format!("reconstructions at z = μ of {images} test images, weights after step {step}"),
            format!("  PSNR  {:7.2} ± {:.2} dB, the mean of each image's", psnr.mean, psnr.margin),
            match ssim {
                Some(ssim) => format!("  SSIM  {:7.4} ± {:.4}", ssim.mean, ssim.margin),
                None => "  SSIM        – (of images from 11×11 on)".to_owned(),
            },
        ]
    }
}
