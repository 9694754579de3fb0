//! `elbo reproduce`: trains what others have published, and holds the result against theirs.

use std::path::{Path, PathBuf};

use elbo::checkpoint::State;
use elbo::config::{Config, PRESETS, Preset, Published, Quantity};
use elbo::data::Sources;
use elbo::evaluate::{Estimate, Z, estimate};
use elbo::{Error, Model, Result};
use serde_json::json;

use crate::cli::evaluate::{check_samples, nlls};
use crate::cli::report::test_losses;
use crate::cli::run_folder::CHECKPOINT;
use crate::cli::settings::{RunArgs, Settings};
use crate::cli::{print_line, talk, train};

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo reproduce                       # the list, with the epochs of each
  elbo reproduce classic
  elbo reproduce classic --short --out runs/classic-short --json

If it was stopped, the same command goes on. The exit code is 1 if the result differs from the published one.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The preset to reproduce [default: list them]
    #[arg(value_name = "NAME", value_parser = elbo::config::PRESETS, hide_possible_values = true)]
    name: Option<String>,
    /// Train for minutes only; the result is compared where a published one is known for that epoch
    #[arg(long)]
    short: bool,
    /// MNIST [default: assets/mnist, here or beside the program]
    #[arg(long, short, value_name = "PATH")]
    data: Option<PathBuf>,
    /// The folder of the run [default: runs/NAME, or runs/NAME-short]
    #[arg(long, short, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Importance samples, if the published result is an NLL [default: 5000, with --short 1000]
    #[arg(long, value_name = "K")]
    samples: Option<usize>,
    #[command(flatten)]
    run: RunArgs,
    /// Print no progress on stderr
    #[arg(long, short)]
    quiet: bool,
    /// Print one JSON object on each line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    check_samples(args.samples)?;
    let Some(name) = &args.name else { return list(args.json) };
    let preset = Preset::named(name)?;
    let (Some(published), Some(short)) = (preset.published, preset.short) else {
        let known: Vec<_> = all().map(|(name, ..)| name).collect();
        return Err(Error::config(format!("there is no published result for the preset `{name}`"))
            .hint(format!("there is one for {}", known.join(", "))));
    };
    if args.samples.is_some() && published.quantity == Quantity::Loss {
        let what =
            format!("`--samples` is for an NLL, and the published result of `{name}` is a loss");
        return Err(Error::config(what).hint("leave `--samples` out"));
    }
    let config = if args.short { short } else { preset.config.clone() };
    let out = args.out.clone().unwrap_or_else(|| {
        Path::new("runs").join(if args.short { format!("{name}-short") } else { name.clone() })
    });
    let state = train_it(args, name, &config, &out)?;
    let state = match state {
        Ok(state) => state,
        Err(code) => return Ok(code),
    };
    if state.course.epochs < config.train.epochs as u64 {
        let (done, all) = (state.course.epochs, config.train.epochs);
        talk(&format!("{done} of {all} epochs are done; the same command goes on"));
        return Ok(0);
    }
    let whole = preset.config.train.epochs;
    let result = measure(args, &state, &published, whole, &out)?;
    match args.json {
        true => print_line(&result.json(name).to_string())?,
        false => result.lines(name).iter().try_for_each(|line| print_line(line))?,
    }
    Ok(u8::from(result.within == Some(false)))
}

/// The presets of which something was published.
fn all() -> impl Iterator<Item = (&'static str, Preset, Published)> {
    let presets = PRESETS.iter().filter_map(|&name| Some((name, Preset::named(name).ok()?)));
    presets.filter_map(|(name, preset)| {
        let published = preset.published.clone()?;
        Some((name, preset, published))
    })
}

fn list(json: bool) -> Result<u8> {
    for (name, preset, published) in all() {
        let epochs = preset.config.train.epochs;
        let short = preset.short.map_or(epochs, |short| short.train.epochs);
        let Published { protocol, source, quantity, value, band, .. } = published;
        if json {
            let line = json!({
                "event": "preset", "name": name, "protocol": protocol, "source": source,
                "quantity": quantity_in_json(quantity), "published": value, "band": band,
                "epochs": epochs, "short_epochs": short,
            });
            print_line(&line.to_string())?;
            continue;
        }
        print_line(&format!(
            "{name}: {} {value} ± {band} nats after {epochs} epochs ({short} with --short)\n  \
             {protocol}\n  {source}",
            quantity_in_words(quantity)
        ))?;
    }
    Ok(0)
}

fn quantity_in_json(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Loss => "loss",
        Quantity::Nll => "nll",
    }
}

fn quantity_in_words(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Loss => "loss (−ELBO, one sampled z)",
        Quantity::Nll => "NLL (importance-weighted)",
    }
}

/// Trains, or goes on with, a preset's run; its last state, or the code that training ended with.
fn train_it(
    args: &Args,
    name: &str,
    config: &Config,
    out: &Path,
) -> Result<std::result::Result<State, u8>> {
    let checkpoint = out.join(CHECKPOINT);
    let resume = checkpoint.exists();
    if resume {
        let mut was = State::read(&checkpoint)?.config;
        (was.train.data, was.train.test_data) = (None, None);
        if was != *config {
            let what =
                format!("`{}` holds a run of another configuration than `{name}`", out.display());
            return Err(Error::config(what).hint("choose another folder by `--out`"));
        }
    }
    let code = train::run(&train::Args::of(
        (config.clone(), Settings::default()),
        (args.data.clone(), out.to_owned(), resume),
        args.run.clone(),
        [args.quiet, args.json],
    ))?;
    match code {
        0 => State::read(&checkpoint).map(Ok),
        code => Ok(Err(code)),
    }
}

/// What came out, beside what was published.
struct Outcome {
    published: Published,
    /// The published figure after as many epochs, if it is known.
    expected: Option<f64>,
    /// Epochs here, and in the whole schedule.
    epochs: [usize; 2],
    here: Estimate,
    samples: usize,
    /// The test loss after each epoch.
    curve: Vec<f64>,
    /// Whether the result is that which was published, where the two can be compared.
    within: Option<bool>,
}

fn measure(
    args: &Args,
    state: &State,
    published: &Published,
    whole: usize,
    out: &Path,
) -> Result<Outcome> {
    let config = &state.config.train;
    let data = config.data.as_deref().unwrap_or(Path::new("assets/mnist"));
    let (test, reading) = (config.test_data.as_deref(), Some(&state.reading));
    let test = Sources { test, reading, ..Sources::new(data, &state.config) }.open()?.test;
    let (device, ..) = args.run.over(Settings::default())?.open()?;
    let mut model = Model::new(&device, state, Some(&test))?;
    let samples = args.samples.unwrap_or(if args.short { 1000 } else { 5000 });
    let each = match published.quantity {
        Quantity::Loss => model.each(Z::Sampled)?.iter().map(|[nll, kl]| nll + kl).collect(),
        Quantity::Nll => nlls(&mut model, samples, args.quiet)?,
    };
    let here = estimate(&each);
    let expected = match config.epochs == whole {
        true => Some(published.value),
        false => published.curve.get(config.epochs.wrapping_sub(1)).copied(),
    };
    Ok(Outcome {
        expected,
        epochs: [config.epochs, whole],
        here,
        samples,
        curve: test_losses(out)?,
        within: expected.map(|expected| (here.mean - expected).abs() <= published.band),
        published: published.clone(),
    })
}

impl Outcome {
    fn json(&self, name: &str) -> serde_json::Value {
        let Published { protocol, source, quantity, band, value, curve } = &self.published;
        let [epochs, whole] = self.epochs;
        json!({
            "event": "reproduction", "name": name, "protocol": protocol, "source": source,
            "quantity": quantity_in_json(*quantity),
            "samples": (*quantity == Quantity::Nll).then_some(self.samples),
            "epochs": epochs, "published_epochs": whole, "here": self.here.mean,
            "margin": self.here.margin, "published": value, "expected": self.expected, "band": band,
            "within": self.within, "curve": self.curve, "published_curve": curve,
        })
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let Published { protocol, source, quantity, value, band, curve } = &self.published;
        let ([epochs, whole], Estimate { mean, margin }) = (self.epochs, self.here);
        let samples = match quantity {
            Quantity::Loss => String::new(),
            Quantity::Nll => format!(", {} samples", self.samples),
        };
        let mut lines = vec![
            format!("{name}: {protocol}"),
            format!("{}{samples}, nats per image", quantity_in_words(*quantity)),
            format!("  here       {mean:8.2} ± {margin:.2} over images, after {epochs} epochs"),
            format!(
                "  published  {value:8.2} ± {band:.2} as judged, after {whole} epochs; {source}"
            ),
        ];
        if let (Some(expected), true) = (self.expected, epochs < whole) {
            lines.push(format!("  published  {expected:8.2} after {epochs} epochs"));
        }
        let apart = self.expected.map(|expected| mean - expected);
        lines.push(match (apart, self.within) {
            (Some(apart), Some(true)) => format!("  {apart:+.2}: within the band"),
            (Some(apart), _) => format!("  {apart:+.2}: outside the band, not reproduced"),
            _ => format!("a short schedule, {epochs} epochs of {whole}: not to be compared"),
        });
        if !curve.is_empty() {
            let row = |values: &[f64]| -> String {
                values.iter().take(epochs).map(|v| format!("{v:8.2}")).collect()
            };
            lines.push(format!("test loss by epoch, here      {}", row(&self.curve)));
            lines.push(format!("test loss by epoch, published {}", row(curve)));
        }
        lines
    }
}
