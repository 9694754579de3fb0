//! `elbo train`: trains, says how it goes, and leaves a run folder.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use elbo::data::grid::encode_grid;
use elbo::engine::record::SLOTS;
use elbo::{Dataset, Error, ErrorKind, Evaluation, Losses, Result, Trainer};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::cli::args::{ConfigArgs, DeviceArgs};
use crate::cli::find::data_folder;
use crate::cli::run_folder::RunFolder;
use crate::cli::{print_line, talk};

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo train
  elbo train --device gpu --epochs 3 --out runs/first
  elbo train --data fashion-mnist --hidden 512,256 --latent 32 --beta 4";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// A folder of IDX files, plain or gz [default: assets/mnist, here or beside the program]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The folder of the run [default: the next number under runs]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Steps in one submit to a GPU, from 1 to 64 [default: as many as take it 50 ms]
    #[arg(long, value_name = "N")]
    steps_per_submit: Option<usize>,
    /// No progress on stderr
    #[arg(long)]
    quiet: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// The signal that came, or 0. A second one ends the program at once.
fn signals() -> Result<Arc<AtomicUsize>> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag;
    let came = Arc::new(AtomicUsize::new(0));
    let second = Arc::new(std::sync::atomic::AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let code = 128 + signal;
        flag::register_conditional_shutdown(signal, code, Arc::clone(&second))
            .and_then(|_| flag::register(signal, Arc::clone(&second)))
            .and_then(|_| flag::register_usize(signal, Arc::clone(&came), signal as usize))
            .map_err(|e| Error::new(ErrorKind::Io, format!("cannot listen for signals: {e}")))?;
    }
    Ok(came)
}

/// What came of training.
enum End {
    /// The last epoch or step.
    Done,
    /// A signal.
    Signal(usize),
}

struct Run<'a> {
    args: &'a Args,
    trainer: Trainer,
    folder: RunFolder,
    signal: Arc<AtomicUsize>,
    bar: ProgressBar,
    last: Option<Evaluation>,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    let mut config = args.config.config()?;
    if let Some(steps) = args.steps_per_submit.filter(|steps| !(1..=SLOTS).contains(steps)) {
        let what = format!("`--steps-per-submit` is {steps}; it must be between 1 and {SLOTS}");
        return Err(Error::config(what).hint("leave it out: the results do not depend on it"));
    }
    RunFolder::refuse_taken(args.out.as_deref())?;
    let data = data_folder(args.data.as_deref().or(config.train.data.as_deref()))?;
    let (train, test) = Dataset::from_idx_folder(&data)?;
    config.train.data = Some(data.clone());
    let train = train.limited(config.train.limit);
    let (device, why, precision) = args.device.open()?;
    if !args.quiet {
        talk(&format!("device: {} ({why}), precision: {precision}", device.name()));
    }
    let mut trainer = Trainer::new(&device, &config, &train, &test)?;
    if let Some(steps) = args.steps_per_submit {
        trainer.set_steps_per_submit(steps);
    }
    let parameters = trainer.vae().parameters.count();
    if !args.quiet {
        let bytes = trainer.vae().plan.bytes() >> 20;
        let (images, tests) = (train.len(), test.len());
        talk(&format!(
            "{parameters} parameters, {bytes} MiB planned, {images} images of `{}` to train on, \
             {tests} to test, seed {}, schedules by {}",
            data.display(),
            config.train.seed,
            trainer.schedules()
        ));
    }
    // The data lies on the device now.
    drop((train, test));
    let signal = signals()?;
    let folder = RunFolder::create(args.out.as_deref(), &config)?;
    if args.json {
        let line = json!({
            "event": "start", "device": device.kind(), "adapter": device.name(),
            "precision": precision, "schedules": trainer.schedules(),
            "parameters": parameters, "seed": config.train.seed, "data": data.display().to_string(),
            "run": folder.path().display().to_string(),
        });
        print_line(&line.to_string())?;
    }
    let bar = progress(args);
    let mut run = Run { args, trainer, folder, signal, bar, last: None };
    let end = run.epochs();
    run.bar.finish_and_clear();
    match end {
        Ok(end) => run.finish(end),
        Err(error) => {
            if args.json {
                let (step, path) = (run.trainer.steps_taken(), run.folder.path().display());
                let line = json!({
                    "event": "end", "status": "failed", "step": step,
                    "error": error.to_string(), "run": path.to_string(),
                });
                print_line(&line.to_string())?;
            }
            Err(error)
        }
    }
}

fn progress(args: &Args) -> ProgressBar {
    if args.quiet {
        return ProgressBar::hidden();
    }
    let template = "epoch {prefix} {wide_bar} {pos}/{len}  {msg}  {eta} left";
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

impl Run<'_> {
    fn epochs(&mut self) -> Result<End> {
        let config = self.trainer.config().clone();
        let per_epoch = self.trainer.steps_per_epoch();
        let all = per_epoch * config.train.epochs as u64;
        let last = if config.train.max_steps > 0 { all.min(config.train.max_steps) } else { all };
        self.bar.set_length(last);
        while self.trainer.steps_taken() < last {
            let epoch = self.trainer.steps_taken() / per_epoch + 1;
            self.bar.set_prefix(format!("{epoch}/{}", config.train.epochs));
            let end = (epoch * per_epoch).min(last);
            let (speed, signal) = self.steps_to(end)?;
            if signal != 0 {
                return Ok(End::Signal(signal));
            }
            let losses = self.trainer.finish()?;
            let evaluation = self.trainer.evaluate()?;
            self.last = Some(evaluation);
            self.report(epoch, losses, evaluation, speed)?;
            self.pictures(epoch)?;
        }
        Ok(End::Done)
    }

    /// Trains to a step, unless a signal comes; with it, images a second of training alone, if any
    /// step was timed.
    fn steps_to(&mut self, end: u64) -> Result<(Option<f64>, usize)> {
        let mut images = 0;
        if self.trainer.steps_taken() == 0 {
            // The first step compiles and warms up; it is not timed.
            self.trainer.advance(1)?;
            self.trainer.wait()?;
        }
        let start = Instant::now();
        let mut shown = start;
        while self.trainer.steps_taken() < end {
            let signal = self.signal.load(Ordering::Relaxed);
            if signal != 0 {
                return Ok((None, signal));
            }
            let from = self.trainer.steps_taken();
            let count = (end - from).min(self.trainer.steps_per_submit() as u64);
            self.trainer.advance(count)?;
            images += (from..from + count).map(|s| self.trainer.images_in_step(s)).sum::<usize>();
            if shown.elapsed() > Duration::from_millis(100) {
                shown = Instant::now();
                let speed = images as f64 / start.elapsed().as_secs_f64();
                let loss = self.trainer.so_far().loss;
                self.bar.set_message(format!("loss {loss:.2}  {speed:.0} images/s"));
                self.bar.set_position(self.trainer.steps_taken());
            }
        }
        self.trainer.wait()?;
        let seconds = start.elapsed().as_secs_f64();
        Ok(((images > 0).then(|| images as f64 / seconds), 0))
    }

    fn report(
        &self,
        epoch: u64,
        train: Losses,
        test: Evaluation,
        speed: Option<f64>,
    ) -> Result<()> {
        let step = self.trainer.steps_taken();
        let Evaluation { sampled, at_mean, .. } = test;
        // Nothing that differs between equal runs stands in this line.
        let mut line = json!({
            "event": "epoch", "epoch": epoch, "step": step,
            "train_loss": train.loss, "train_recon": train.recon, "train_kl": train.kl,
            "test_loss": sampled.loss, "test_recon": sampled.recon, "test_kl": sampled.kl,
            "test_loss_at_mean": at_mean.loss,
        });
        self.folder.append("metrics.jsonl", &line.to_string())?;
        let timing = json!({"epoch": epoch, "step": step, "images_per_s": speed});
        self.folder.append("timings.jsonl", &timing.to_string())?;
        if self.args.json {
            line["images_per_s"] = json!(speed);
            return print_line(&line.to_string());
        }
        let speed = speed.map_or(String::new(), |speed| format!("  {speed:.0} images/s"));
        let text = format!(
            "epoch {epoch:>3}  train {:.2}  test {:.2} = recon {:.2} + KL {:.2}  \
             at the mean {:.2}{speed}",
            train.loss, sampled.loss, sampled.recon, sampled.kl, at_mean.loss
        );
        self.bar.suspend(|| print_line(&text))
    }

    /// Eight test images above their reconstructions, and 64 samples of the prior.
    fn pictures(&mut self, epoch: u64) -> Result<()> {
        let [height, width] = self.trainer.image_size();
        let (mut images, made) = self.trainer.reconstruct(8)?;
        let columns = images.len() / (height * width);
        images.extend(made);
        let picture = encode_grid(&images, height, width, columns)?;
        self.folder.write_image(&format!("reconstruction_{epoch}.png"), &picture)?;
        let picture = encode_grid(&self.trainer.sample(64)?, height, width, 8)?;
        self.folder.write_image(&format!("sample_{epoch}.png"), &picture)
    }

    fn finish(mut self, end: End) -> Result<u8> {
        let weights = self.folder.path().join("weights.safetensors");
        self.trainer.save_weights(&weights)?;
        let (status, code) = match end {
            End::Done => ("done", 0),
            End::Signal(signal) => ("signal", 128 + u8::try_from(signal).unwrap_or(0)),
        };
        let (run, step) = (self.folder.path().display().to_string(), self.trainer.steps_taken());
        // After a signal the last evaluation is of earlier weights.
        let last = self.last.filter(|_| code == 0);
        let loss = last.map(|last| last.sampled.loss);
        if self.args.json {
            let line = json!({
                "event": "end", "status": status, "step": step, "test_loss": loss, "run": run,
            });
            print_line(&line.to_string())?;
            return Ok(code);
        }
        if let Some(last) = last {
            let Losses { loss, recon, kl } = last.sampled;
            print_line(&format!(
                "test loss {loss:.2} nats per image (recon {recon:.2} + KL {kl:.2}; one sampled z)"
            ))?;
        }
        print_line(&format!("saved after step {step}: {}", weights.display()))?;
        Ok(code)
    }
}
