//! What was typed of a benchmark, and what it means.

use std::path::PathBuf;

use elbo::config::{PRESETS, Preset};
use elbo::gpu::adapters;
use elbo::{Error, Result};

use crate::cli::args::{DeviceArgs, read_config};
use crate::cli::bench::output::Format;
use crate::cli::bench::workload::Workload;
use crate::cli::talk;

/// The word for every device that there is.
const ALL: &str = "all";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Presets, such as classic or classic,big [default: classic]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = PRESETS)]
    pub(super) model: Vec<String>,
    /// A model of your own in a TOML file, such as the config.toml of a run
    #[arg(long, short, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Images in a minibatch, such as 128 or 32,64,128 [default: that of the model]
    #[arg(long, short, value_name = "SIZES", value_delimiter = ',')]
    pub(super) batch_size: Vec<usize>,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
    /// Rounds: how often each figure is measured
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub(super) repetitions: usize,
    /// Seconds for the queued steps of a round, and again for those that are waited for
    #[arg(long, default_value_t = 0.5, value_name = "S", allow_negative_numbers = true)]
    pub(super) seconds: f64,
    /// Also time each kernel of a step, and hold it against the device's peaks (roofline)
    #[arg(long)]
    pub(super) kernels: bool,
    /// The format of the output
    #[arg(long, value_enum, default_value = "text", hide_possible_values = true)]
    pub(super) format: Format,
    /// The same as --format json: one object on each line
    #[arg(long)]
    pub(super) json: bool,
    /// Compare with the output of an earlier `elbo bench --json`
    #[arg(long, value_name = "OLD")]
    pub(super) compare: Option<PathBuf>,
    /// Compare with another build of elbo, run in turn with this one: finds changes that are too small for
    /// --compare
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["compare", "kernels", "stress", "to_loss"])]
    pub(super) against: Option<PathBuf>,
    /// Exit with 1 if any figure became slower
    #[arg(long)]
    pub(super) fail_if_slower: bool,
    /// Train until the test loss is at most this, in nats per image, and tell the time
    #[arg(long, value_name = "LOSS", conflicts_with_all = ["kernels", "stress"], allow_negative_numbers = true)]
    pub(super) to_loss: Option<f64>,
    /// The most epochs of --to-loss
    #[arg(long, short, default_value_t = 20, value_name = "N", requires = "to_loss")]
    pub(super) epochs: usize,
    /// The images of --to-loss [default: as `elbo train`]
    #[arg(long, short, value_name = "PATH", requires = "to_loss")]
    pub(super) data: Option<PathBuf>,
    /// Repeat the same steps for this many minutes (stress test, burn-in): shows their speed over time; the
    /// exit code is 3 if their bits ever differ
    #[arg(long, value_name = "MINUTES", conflicts_with_all = ["kernels", "compare"], allow_negative_numbers = true)]
    pub(super) stress: Option<f64>,
    /// Print no progress on stderr
    #[arg(long, short)]
    pub(super) quiet: bool,
}

impl Args {
    pub(super) fn talk(&self, line: &str) {
        if !self.quiet {
            talk(line);
        }
    }

    pub(super) fn workloads(&self) -> Result<Vec<Workload>> {
        let mut models = Vec::new();
        let classic = ["classic".to_owned()];
        let named = match (&self.model[..], &self.config) {
            ([], None) => &classic[..],
            (named, _) => named,
        };
        for name in named {
            let Preset { config, images, .. } = Preset::named(name)?;
            models.push((name.clone(), config, images));
        }
        if let Some(path) = &self.config {
            let stem = path.file_stem().unwrap_or(path.as_os_str());
            let config = read_config(path)?;
            let images = config.data.image_size.unwrap_or([28, 28].into());
            models.push((stem.to_string_lossy().into_owned(), config, images));
        }
        let mut workloads = Vec::new();
        for (name, config, images) in models {
            let own = [config.train.batch_size];
            let batches = if self.batch_size.is_empty() { &own[..] } else { &self.batch_size };
            for &batch in batches {
                let mut config = config.clone();
                config.train.batch_size = batch;
                config.validate()?;
                workloads.push(Workload { name: name.clone(), config, images });
            }
        }
        Ok(workloads)
    }

    /// The devices to measure: one, or all.
    pub(super) fn devices(&self) -> Result<Vec<DeviceArgs>> {
        if self.device.word() != Some(ALL) {
            return Ok(vec![self.device.clone()]);
        }
        if self.against.is_some() {
            let what = "`--against` measures one device, not all";
            return Err(Error::config(what).hint("run it once for each that `elbo devices` lists"));
        }
        let numbers = (0..adapters().len()).map(|number| number.to_string());
        let words = std::iter::once("cpu".to_owned()).chain(numbers);
        Ok(words.map(|word| self.device.on(word)).collect())
    }
}
