//! `elbo evaluate`: what a trained model is worth.

use std::f64::consts::LN_2;
use std::time::Instant;

use elbo::config::{Likelihood, Posterior, Prior};
use elbo::evaluate::{ACTIVE, Dimension, Estimate, Z, active, by_kl, estimate, total_kl, used};
use elbo::{Error, Model, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::cli::run_folder::{TIMINGS, note};
use crate::cli::subject::{ImageArgs, ModelArgs, Split, fingerprint};
use crate::cli::{print_line, talk};

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo evaluate runs/0001
  elbo evaluate runs/0001 --samples               # the NLL, by 5000 samples
  elbo evaluate runs/0001 --samples 50 --limit 1000 --json
  elbo evaluate runs/0001 --data other-images/

The NLL by K importance samples takes as long as K evaluations: 5000 of the classic model took 4 minutes on two CPU cores.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    images: ImageArgs,
    /// Use only the first N images [default: all]
    #[arg(long, default_value_t = 0, value_name = "N", hide_default_value = true)]
    limit: usize,
    /// Estimate the marginal likelihood (NLL) with K importance samples; without a number 5000
    #[arg(long, value_name = "K", num_args = 0..=1, default_missing_value = "5000")]
    samples: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The marginal likelihood.
struct Nll {
    nll: Estimate,
    samples: usize,
    seconds: f64,
}

/// All that is told.
struct Report {
    step: u64,
    images: usize,
    pixels: usize,
    loss: Estimate,
    recon: f64,
    kl: f64,
    at_mean: f64,
    nll: Option<Nll>,
    /// Those of each level of z, from below upwards.
    levels: Vec<Vec<Dimension>>,
    likelihood: Likelihood,
    posterior: Posterior,
    prior: Prior,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    check_samples(args.samples)?;
    let state = args.model.state()?;
    if args.samples.is_some() {
        state.config.check_density()?;
    }
    let data = args.images.open(&state, args.model.manner(args.json))?.limited(args.limit);
    let mut model = args.model.open(&state, Some(&data))?;
    let report = measure(args, &mut model, state.trained.step)?;
    let line = report.json(args.images.split).to_string();
    if args.json {
        print_line(&line)?;
    } else {
        report.lines(args.images.split).iter().try_for_each(|line| print_line(line))?;
    }
    if let Some(warning) = report.collapse() {
        talk(&warning);
    }
    // What a report of the run tells: of the weights that it stands for and all its own test images, by what
    // they hold, since a folder's images may have changed.
    let of_run = args.model.weights.are_the_runs(&args.model.run);
    let own = || match fingerprint(&state, Split::Test) {
        Some(test) => Ok(*test == data.fingerprint_for(state.config.model.classes)?),
        None => Ok::<_, Error>(false),
    };
    if of_run && args.images.split == Split::Test && own()? {
        // The result was told; a run that cannot be written to is none the worse.
        if let Err(e) = note(&args.model.run, TIMINGS, &line) {
            talk(&format!("the run's report will not tell of this: {e}"));
        }
    }
    Ok(0)
}

/// Refuses to estimate anything with no samples.
pub(super) fn check_samples(samples: Option<usize>) -> Result<()> {
    match samples {
        Some(0) => Err(Error::config("`--samples` is 0; it must be 1 or more")
            .hint("5000 is usual in publications; without `--samples` only the ELBO is computed")),
        _ => Ok(()),
    }
}

fn measure(args: &Args, model: &mut Model, step: u64) -> Result<Report> {
    let each = model.each(Z::Sampled)?;
    let mean = |of: fn(&[f64; 2]) -> f64| estimate(&each.iter().map(of).collect::<Vec<_>>());
    let at_mean: Vec<_> = model.each(Z::Mean)?.iter().map(|[nll, kl]| nll + kl).collect();
    Ok(Report {
        step,
        images: each.len(),
        pixels: model.image_size().len(),
        loss: mean(|[nll, kl]| nll + kl),
        recon: mean(|[nll, _]| *nll).mean,
        kl: mean(|[_, kl]| *kl).mean,
        at_mean: estimate(&at_mean).mean,
        nll: args.samples.map(|samples| marginal(args, model, samples)).transpose()?,
        levels: model.dimensions(0..model.images())?,
        likelihood: model.config().model.likelihood,
        posterior: model.config().model.posterior,
        prior: model.config().model.prior,
    })
}

fn marginal(args: &Args, model: &mut Model, samples: usize) -> Result<Nll> {
    let start = Instant::now();
    let nlls = nlls(model, samples, args.model.quiet)?;
    Ok(Nll { nll: estimate(&nlls), samples, seconds: start.elapsed().as_secs_f64() })
}

/// −log p(x) of each image by importance samples, with a bar on stderr that tells how far it is.
pub(super) fn nlls(model: &mut Model, samples: usize, quiet: bool) -> Result<Vec<f64>> {
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(1000) };
    let style = ProgressStyle::with_template("{prefix} samples {wide_bar} {percent} %  {eta} left");
    let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_prefix(samples.to_string());
    let logs = model.log_likelihood(samples, |share| bar.set_position((1000.0 * share) as u64));
    bar.finish_and_clear();
    Ok(logs?.iter().map(|log| -log).collect())
}

/// Adds what is told of the dimensions of a level.
fn tell(dimensions: &[Dimension], line: &mut serde_json::Value) {
    line["active_units"] = json!(active(dimensions));
    line["kl_by_dimension"] = dimensions.iter().map(|d| d.kl).collect();
    line["variance_by_dimension"] = dimensions.iter().map(|d| d.variance).collect();
}

impl Report {
    /// The dimensions of the z that the decoder takes.
    fn dimensions(&self) -> &[Dimension] {
        &self.levels[0]
    }

    /// By the best estimate of −log p(x) that there is.
    fn bits_per_dimension(&self) -> Option<f64> {
        let nats = self.nll.as_ref().map_or(self.loss.mean, |nll| nll.nll.mean);
        // A density of pixels, which depends on their units, has no bits; nor has what is no bound.
        let told = self.posterior.is_density() && self.likelihood.is_discrete();
        told.then(|| nats / (LN_2 * self.pixels as f64))
    }

    fn json(&self, split: Split) -> serde_json::Value {
        let mut line = json!({
            "event": "evaluation", "images": self.images, "split": split.name(), "step": self.step,
            "loss": self.loss.mean, "loss_margin": self.loss.margin, "recon": self.recon,
            "kl": self.kl, "loss_at_mean": self.at_mean,
        });
        if let Some(Nll { nll, samples, seconds }) = &self.nll {
            line["nll"] = json!(nll.mean);
            line["nll_margin"] = json!(nll.margin);
            line["samples"] = json!(samples);
            line["seconds"] = json!(seconds);
        }
        line["bits_per_dimension"] = json!(self.bits_per_dimension());
        tell(self.dimensions(), &mut line);
        if self.levels.len() > 1 {
            let each = self.levels.iter().map(|level| {
                let mut line = json!({"kl": total_kl(level)});
                tell(level, &mut line);
                line
            });
            line["levels"] = each.collect();
        }
        line
    }

    fn lines(&self, split: Split) -> Vec<String> {
        let Self { images, step, loss, recon, kl, at_mean, .. } = self;
        let mut lines = vec![format!(
            "{images} {} images, weights after step {step}; nats per image",
            split.name()
        )];
        lines.extend(match self.posterior.is_density() {
            false => vec![format!(
                "loss (reconstruction, no ELBO)  {:9.3} ± {:.3}",
                loss.mean, loss.margin
            )],
            true => vec![
                format!("loss (−ELBO, one sampled z)     {:9.3} ± {:.3}", loss.mean, loss.margin),
                format!("  reconstruction, −log p(x|z)   {recon:9.3}"),
                format!("  KL divergence                 {kl:9.3}"),
                format!("loss at z = μ, not the ELBO     {at_mean:9.3}"),
            ],
        });
        let mut by = "loss";
        if let Some(Nll { nll, samples, seconds }) = &self.nll {
            by = "NLL";
            lines.push(format!(
                "NLL (importance-weighted)       {:9.3} ± {:.3}  {samples} samples, {seconds:.1} s",
                nll.mean, nll.margin
            ));
        }
        if let Some(bits) = self.bits_per_dimension() {
            lines.push(format!("bits per dimension, by the {by:<4} {bits:9.4}"));
        }
        lines.push(format!(
            "active dimensions of z          {:4} of {}  (variance of μ over images > {ACTIVE})",
            active(self.dimensions()),
            self.dimensions().len()
        ));
        lines.extend(self.level_lines());
        lines.push("± is half a 95 % confidence interval over images".to_owned());
        if !self.posterior.is_density() {
            return lines;
        }
        for (number, level) in (1..).zip(&self.levels) {
            let of = if self.levels.len() > 1 { &format!(" of level {number}") } else { "" };
            let from = match number == self.levels.len() {
                false => " given the level above",
                true if self.prior.is_learned() => ", each from the prior's own, by samples",
                true if self.posterior != Posterior::Normal => ", by samples",
                true => "",
            };
            lines.push(format!("KL by dimension of z{of}{from}, largest first:"));
            let told = |&j: &usize| format!("{j:>4}: {:5.2}", level[j].kl);
            let shown: Vec<_> = by_kl(level).iter().map(told).collect();
            lines.extend(shown.chunks(7).map(|some| some.concat()));
        }
        lines
    }

    /// A table of the levels of z, if there are several.
    fn level_lines(&self) -> Vec<String> {
        if self.levels.len() == 1 {
            return Vec::new();
        }
        let head = "level of z  dimensions  active  KL divergence".to_owned();
        let line = |(number, level): (usize, &Vec<Dimension>)| {
            format!(
                "{number:>10} {:>11} {:>7} {:>14.3}",
                level.len(),
                active(level),
                total_kl(level)
            )
        };
        std::iter::once(head).chain((1..).zip(&self.levels).map(line)).collect()
    }

    /// A warning if most of z says nothing of the image, where there are images enough to tell.
    fn collapse(&self) -> Option<String> {
        let (active, all) = (active(self.dimensions()), self.dimensions().len());
        (self.posterior.is_density() && 2 * used(self.dimensions(), self.images) < all).then(|| {
            format!(
                "warning: the posterior has collapsed in {} of {all} dimensions, which carry no information: \
                 train with `--set objective.free-bits=0.2`, with KL annealing \
                 (`--set objective.warmup-steps=1000`), a smaller `--beta` or a smaller `--latent`",
                all - active
            )
        })
    }
}
