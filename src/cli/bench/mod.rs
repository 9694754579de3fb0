//! `elbo bench`: what a device can do, how near a model's steps come, and whether its bits repeat.

mod compare;
mod output;
mod text;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use elbo::bench::{self, Begun, Figure, Pace, Quality, Stress};
use elbo::config::PRESETS;
use elbo::data::{Opened, Sources};
use elbo::model::Architecture;
use elbo::{Config, Device, Error, Result};

use crate::cli::args::DeviceArgs;
use crate::cli::bench::compare::Old;
use crate::cli::bench::output::{About, Format, Printer, Row};
use crate::cli::card::{dashed, widths};
use crate::cli::find::data_folder;
use crate::cli::talk;

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo bench
  elbo bench --device gpu --model classic --model big --kernels
  elbo bench --json > old.jsonl
  elbo bench --compare old.jsonl --format markdown
  elbo bench --to-loss 106
  elbo bench --model big --stress 10

Figures of the device: multiply-adds and copy are the peaks that a probe reached; dependent dispatch is the time of a small kernel that waits for the one before; submit and wait is a round trip to the device.

Figures of a model: half of the time, steps are queued as in training (steps, images, products, bound, host); the other half, each step is waited for (step p50 and p99). The images are synthetic.

products: GFLOP/s of the matrix products, counted from the model; the share of multiply-adds compares them with the probe.

bound: GB/s if each dispatch reads and writes its buffers once, which is the least that it moves.

host: time of the CPU to encode and submit, without waiting for the GPU.

first step: time from the model's plan to the end of the first step, including --tune; since start: from the start of the process.

depth: the longest chain of dispatches that wait for each other.

Each figure is the median of the repetitions, between the lowest and the highest.";

/// Steps of a round of `--stress`.
const ROUND: u64 = 64;

/// How often `--stress` says that it is still at it.
const TOLD: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A preset, such as classic or big; may be repeated [default: classic]
    #[arg(long, value_name = "NAME", value_parser = PRESETS)]
    model: Vec<String>,
    /// A model of your own in a TOML file, such as the config.toml of a run
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Images in a minibatch; may be repeated [default: that of the model]
    #[arg(long, short, value_name = "N")]
    batch_size: Vec<usize>,
    #[command(flatten)]
    device: DeviceArgs,
    /// How often to measure each figure
    #[arg(long, default_value_t = 5, value_name = "N")]
    repetitions: usize,
    /// Seconds for each repetition
    #[arg(long, default_value_t = 1.0, value_name = "S", allow_negative_numbers = true)]
    seconds: f64,
    /// Also time each kernel of a step
    #[arg(long)]
    kernels: bool,
    /// The format of the output
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// The same as --format json: one object on each line
    #[arg(long)]
    json: bool,
    /// Compare with the output of an earlier `elbo bench --json`
    #[arg(long, value_name = "OLD")]
    compare: Option<PathBuf>,
    /// Train until the test loss is at most this, in nats per image, and tell the time
    #[arg(long, value_name = "LOSS", conflicts_with_all = ["kernels", "stress"], allow_negative_numbers = true)]
    to_loss: Option<f64>,
    /// The most epochs of --to-loss
    #[arg(long, short, default_value_t = 20, value_name = "N", requires = "to_loss")]
    epochs: usize,
    /// The images of --to-loss [default: as `elbo train`]
    #[arg(long, short, value_name = "PATH", requires = "to_loss")]
    data: Option<PathBuf>,
    /// Repeat the same steps for this many minutes (stress test, burn-in); the exit code is 3 if their
    /// bits ever differ
    #[arg(long, value_name = "MINUTES", conflicts_with_all = ["kernels", "compare"], allow_negative_numbers = true)]
    stress: Option<f64>,
    /// Print no progress on stderr
    #[arg(long, short)]
    quiet: bool,
}

/// A model under the name it is shown by.
struct Workload {
    name: String,
    config: Config,
}

impl Workload {
    /// For images of so many pixels. A decoder that mirrors the encoder goes without saying, as in
    /// 784-400-20.
    fn row(&self, pixels: usize) -> Result<Row> {
        let model = &self.config.model;
        let Architecture { encoder, decoder } = Architecture::of(model, pixels)?;
        let mut layers = widths([pixels, model.latent], &encoder);
        let decoder = widths([model.latent, pixels], &decoder);
        if !decoder.iter().eq(layers.iter().rev()) {
            layers.extend(&decoder[1..]);
        }
        let (rule, activation) = (self.config.optimizer.rule, model.activation);
        let mut shape =
            format!("{} {activation:?} {:?} {rule:?}", dashed(&layers), model.likelihood);
        for list in [&model.encoder, &model.decoder].into_iter().filter(|l| l.units().is_none()) {
            shape += &format!(" [{list}]");
        }
        if model.layer_norm {
            shape += " layer-norm";
        }
        if model.dropout != 0.0 {
            shape += &format!(" dropout-{}", model.dropout);
        }
        let batch = self.config.train.batch_size;
        Ok(Row { subject: self.name.clone(), batch: Some(batch), shape: shape.to_lowercase() })
    }
}

impl Args {
    fn talk(&self, line: &str) {
        if !self.quiet {
            talk(line);
        }
    }

    fn workloads(&self) -> Result<Vec<Workload>> {
        let mut models = Vec::new();
        for name in &self.model {
            models.push((name.clone(), Config::preset(name)?));
        }
        if let Some(path) = &self.config {
            let stem = path.file_stem().unwrap_or(path.as_os_str());
            models.push((stem.to_string_lossy().into_owned(), super::args::read_config(path)?));
        }
        if models.is_empty() {
            models.push(("classic".to_owned(), Config::preset("classic")?));
        }
        let mut workloads = Vec::new();
        for (name, config) in models {
            let own = [config.train.batch_size];
            let batches = if self.batch_size.is_empty() { &own[..] } else { &self.batch_size };
            for &batch in batches {
                let mut config = config.clone();
                config.train.batch_size = batch;
                config.validate()?;
                workloads.push(Workload { name: name.clone(), config });
            }
        }
        Ok(workloads)
    }
}

/// The one workload of what takes no more.
fn one(workloads: &[Workload]) -> Result<&Workload> {
    match workloads {
        [workload] => Ok(workload),
        _ => {
            let what = format!("one model and batch, not {}, can be", workloads.len());
            Err(Error::config(format!("{what} trained to a loss or stressed"))
                .hint("run `elbo bench` once for each"))
        }
    }
}

pub(super) fn run(args: &Args, start: Instant) -> Result<u8> {
    // Everything that was typed is judged before any work is done.
    let pace = Pace::new(args.repetitions, args.seconds)?;
    let workloads = args.workloads()?;
    let old = args.compare.as_deref().map(Old::read).transpose()?;
    let minutes = args.stress.map(minutes).transpose()?;
    let alone = args.to_loss.is_some() || minutes.is_some();
    let one = if alone { Some(one(&workloads)?) } else { None };
    let (device, why, precision) = args.device.open()?;
    args.talk(&format!("device: {} ({why}), precision: {precision}", device.name()));
    let format = if args.json { Format::Json } else { args.format };
    let mut printer = Printer::new(format, About::of(&device), old);
    let result = match (one, args.to_loss, minutes) {
        (Some(workload), Some(target), _) => to_loss(args, &device, workload, target, &mut printer),
        (Some(workload), _, Some(time)) => stress(args, &device, workload, time, &mut printer),
        _ => measure(args, &device, (pace, start), &workloads, &mut printer),
    };
    match result {
        Ok(_) => printer.end()?.iter().for_each(|line| args.talk(line)),
        Err(ref error) => printer.failed(error)?,
    }
    result
}

fn minutes(minutes: f64) -> Result<Duration> {
    if !(minutes > 0.0 && minutes <= 1e6) {
        let what = format!("`stress` is {minutes}; it must be above 0 and at most a million");
        return Err(Error::config(what).hint("it is in minutes, and may be a fraction"));
    }
    Ok(Duration::from_secs_f64(60.0 * minutes))
}

fn measure(
    args: &Args,
    device: &Device,
    (pace, start): (Pace, Instant),
    workloads: &[Workload],
    printer: &mut Printer,
) -> Result<u8> {
    let timed = match device {
        Device::Gpu(gpu) if args.kernels && !gpu.has_timestamps() => {
            // Even if no talk was wanted: rows that were asked for are left out.
            talk(&format!("`{}` has no timestamps: its kernels are not timed", device.name()));
            false
        }
        _ => args.kernels,
    };
    // The first step comes before the probe, so that nothing else is in its time.
    let first = workloads.first().map(|w| Begun::new(device, &w.config)).transpose()?;
    let mut first = first.map(|begun| (begun, start.elapsed().as_secs_f64()));
    printer.start()?;
    args.talk("probing the device");
    let peaks = bench::probe(device, args.repetitions)?;
    printer.row(Row { subject: "device".to_owned(), batch: None, shape: String::new() })?;
    peaks.list().into_iter().try_for_each(|figure| printer.figure(figure))?;
    for workload in workloads {
        let row = workload.row(bench::SIZE.iter().product())?;
        args.talk(&format!(
            "measuring {}, batch {}",
            row.subject, workload.config.train.batch_size
        ));
        let (begun, since) = match first.take() {
            Some((begun, since)) => (begun, Some(since)),
            None => (Begun::new(device, &workload.config)?, None),
        };
        let measured = bench::measure(begun, pace, peaks.multiply_add.median())?;
        printer.row(row)?;
        measured.figures.iter().try_for_each(|figure| printer.figure(figure))?;
        if let Some(since) = since {
            printer.figure(&Figure::new("first step since start", "s", vec![since]))?;
        }
        printer.alone(&measured.alone)?;
        if timed {
            let figures = bench::kernels(device, &workload.config, pace)?;
            figures.iter().try_for_each(|figure| printer.figure(figure))?;
        }
    }
    Ok(0)
}

fn to_loss(
    args: &Args,
    device: &Device,
    workload: &Workload,
    target: f64,
    printer: &mut Printer,
) -> Result<u8> {
    let mut config = workload.config.clone();
    config.train.epochs = args.epochs;
    config.validate()?;
    let given = args.data.as_deref().or(config.train.data.as_deref());
    // Test images that a configuration names belong to the data that it names.
    let tests = config.train.test_data.as_deref().filter(|_| args.data.is_none());
    let data = data_folder(given)?;
    let Opened { train, test, .. } =
        Sources { test: tests, ..Sources::new(&data, &config) }.open()?;
    let train = train.limited(config.train.limit);
    let Quality { reached, epochs, loss, training, total } =
        bench::to_loss(device, &config, (&train, &test), target, |epoch, loss| {
            args.talk(&format!("epoch {epoch}: test loss {loss:.2}"));
        })?;
    printer.start()?;
    printer.row(workload.row(train.size().len())?)?;
    let figures = [
        Figure::new("target", "nats", vec![target]),
        Figure::new("test loss", "nats", vec![loss]),
        Figure::new("epochs", "", vec![epochs as f64]),
        Figure::new("training", "s", vec![training.as_secs_f64()]),
        Figure::new("with load and evaluation", "s", vec![total.as_secs_f64()]),
        Figure::new("reached", "", vec![f64::from(u8::from(reached))]),
    ];
    figures.iter().try_for_each(|figure| printer.figure(figure))?;
    if !reached {
        args.talk(&format!("the test loss did not come to {target} in {epochs} epochs"));
    }
    Ok(u8::from(!reached))
}

fn stress(
    args: &Args,
    device: &Device,
    workload: &Workload,
    time: Duration,
    printer: &mut Printer,
) -> Result<u8> {
    let mut told = Instant::now();
    let mut stress = Stress::new(device, &workload.config, ROUND)?;
    let ended = stress.run(time, |done| {
        if told.elapsed() > TOLD {
            told = Instant::now();
            args.talk(&format!("{} steps, {} checks passed", done.steps, done.checks));
        }
    });
    let done = stress.done();
    printer.start()?;
    printer.row(workload.row(bench::SIZE.iter().product())?)?;
    let count = |name, count: u64| Figure::new(name, "", vec![count as f64]);
    let figures = [
        count("rounds", done.rounds),
        count("steps run", done.steps),
        count("checks passed", done.checks),
    ];
    figures.iter().try_for_each(|figure| printer.figure(figure))?;
    ended.map(|_| 0)
}
