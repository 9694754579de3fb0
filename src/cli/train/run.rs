//! A run: epochs of training, their reports and pictures, and the states that are saved.

use std::path::Path;
use std::time::{Duration, Instant};

use elbo::checkpoint::{Best, Course, State, Trained};
use elbo::train::{Broken, Way};
use elbo::{Device, Error, Evaluation, Losses, Result, Trainer};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::cli::picture::{Labels, grid};
use crate::cli::run_folder::{METRICS, RunFolder};
use crate::cli::signals::Signals;
use crate::cli::train::Args;
use crate::cli::{print_line, talk};

/// What came of training.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// The last epoch or step.
    Done,
    /// No epoch was better for too long.
    Patience,
    /// The time was up.
    Time,
    /// A signal.
    Signal(usize),
}

impl End {
    fn status(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Patience => "patience",
            Self::Time => "time",
            Self::Signal(_) => "signal",
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::Signal(signal) => 128 + u8::try_from(signal).unwrap_or(0),
            _ => 0,
        }
    }
}

pub(super) struct Run<'a> {
    args: &'a Args,
    trainer: Trainer,
    folder: RunFolder,
    signals: Signals,
    bar: ProgressBar,
    course: Course,
    /// The step of the newest state that was saved.
    saved: Option<u64>,
    /// When the time is up.
    until: Option<Instant>,
    last: Option<Evaluation>,
}

fn progress(args: &Args) -> ProgressBar {
    if args.quiet {
        return ProgressBar::hidden();
    }
    let template = "epoch {prefix} {wide_bar} {pos}/{len}  {msg}  {eta} left";
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

impl<'a> Run<'a> {
    pub(super) fn new(
        args: &'a Args,
        (trainer, folder, signals): (Trainer, RunFolder, Signals),
        course: Course,
        until: Option<Instant>,
    ) -> Self {
        let (bar, step) = (progress(args), trainer.steps_taken());
        let saved = args.resume.as_ref().map(|_| step);
        Self { args, trainer, folder, signals, bar, course, saved, until, last: None }
    }

    /// Trains, saves and tells what came of it.
    pub(super) fn train(mut self) -> Result<u8> {
        let end = self.epochs();
        self.bar.finish_and_clear();
        match end {
            Ok(end) => self.finish(end),
            Err(error) => self.fail(error),
        }
    }

    pub(super) fn start(&self, device: &Device, precision: &str) -> Result<()> {
        let (step, run) = (self.trainer.steps_taken(), self.folder.path().display());
        if !self.args.quiet && self.args.resume.is_some() {
            talk(&format!("`{run}` goes on after step {step}"));
        }
        if !self.args.json {
            return Ok(());
        }
        let config = &self.trainer.config().train;
        let data = config.data.as_deref().unwrap_or(Path::new("")).display();
        let line = json!({
            "event": "start", "device": device.kind(), "adapter": device.name(),
            "precision": precision, "schedules": self.trainer.schedules(),
            "parameters": self.trainer.vae().parameters.count(),
            "seed": config.seed, "data": data.to_string(), "run": run.to_string(), "step": step,
        });
        print_line(&line.to_string())
    }

    fn epochs(&mut self) -> Result<End> {
        let config = self.trainer.config().train.clone();
        let per_epoch = self.trainer.steps_per_epoch();
        let all = per_epoch * config.epochs as u64;
        let last = if config.max_steps > 0 { all.min(config.max_steps) } else { all };
        self.bar.set_length(last);
        loop {
            if self.patience_is_over() {
                return Ok(End::Patience);
            }
            let epoch = self.course.epochs + 1;
            if self.course.epochs * per_epoch >= last {
                return Ok(End::Done);
            }
            self.bar.set_prefix(format!("{epoch}/{}", config.epochs));
            let end = (epoch * per_epoch).min(last);
            let (speed, came) = self.steps_to(end)?;
            if let Some(came) = came {
                return Ok(came);
            }
            let whole = end == epoch * per_epoch;
            if !whole {
                // A run that is given more steps later goes on from here, and reports the whole
                // epoch as if it had never stopped.
                self.save()?;
            }
            let losses = self.trainer.finish()?;
            let evaluation = self.trainer.evaluate_or_go_back()?;
            self.say_what_broke()?;
            let Some(evaluation) = evaluation else { continue };
            self.last = Some(evaluation);
            self.report(epoch, losses, evaluation, speed)?;
            self.pictures(epoch)?;
            if !whole {
                return Ok(End::Done);
            }
            let course = self.course_after(epoch, evaluation.sampled.loss);
            if course.best != self.course.best {
                let state = self.trainer.state()?;
                self.folder.save_best(&State { course, ..state })?;
            }
            self.course = course;
            self.save()?;
        }
    }

    fn course_after(&self, epoch: u64, loss: f64) -> Course {
        let best = match self.course.best {
            Some(best) if best.loss <= loss => best,
            _ => Best { epoch, loss },
        };
        Course { epochs: epoch, log_bytes: self.folder.log_bytes(), best: Some(best) }
    }

    fn patience_is_over(&self) -> bool {
        let patience = self.trainer.config().train.patience;
        let since = self.course.best.map_or(0, |best| self.course.epochs - best.epoch);
        patience > 0 && since >= patience
    }

    /// Saves the state.
    fn save(&mut self) -> Result<()> {
        let mut state = self.trainer.state()?;
        self.say_what_broke()?;
        self.course.log_bytes = self.folder.log_bytes();
        state.course = self.course;
        self.folder.save(&state, self.args.keep)?;
        self.saved = Some(state.trained.step);
        Ok(())
    }

    /// Trains to a step, unless a signal comes or the time is up; with it, images a second of
    /// training alone, if any step was timed.
    fn steps_to(&mut self, end: u64) -> Result<(Option<f64>, Option<End>)> {
        let mut images = 0;
        let mut start = Instant::now();
        let mut shown = start;
        while self.trainer.steps_taken() < end {
            if let Some(came) = self.end_came() {
                return Ok((None, Some(came)));
            }
            let from = self.trainer.steps_taken();
            let mut count = (end - from).min(self.trainer.steps_per_submit() as u64);
            if let Some(every) = self.args.save_every {
                count = count.min(every - from % every);
            }
            // The first step compiles and warms up; it is not timed.
            let first = from == 0;
            self.trainer.advance(if first { 1 } else { count })?;
            if first {
                self.trainer.wait()?;
                start = Instant::now();
            }
            let now = self.trainer.steps_taken();
            images += (from..if first { 0 } else { now })
                .map(|s| self.trainer.images_in_step(s))
                .sum::<usize>();
            self.say_what_broke()?;
            let due = self.args.save_every.is_some_and(|every| now.is_multiple_of(every));
            if self.signals.save() || (due && now < end) {
                self.save()?;
            }
            if shown.elapsed() > Duration::from_millis(100) {
                shown = Instant::now();
                let speed = images as f64 / start.elapsed().as_secs_f64();
                let loss = self.trainer.so_far().loss;
                self.bar.set_message(format!("loss {loss:.2}  {speed:.0} images/s"));
                self.bar.set_position(now);
            }
            if now >= end {
                // The numbers may yet be found to have broken, and training to go back.
                self.trainer.wait()?;
                self.say_what_broke()?;
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        Ok(((images > 0).then(|| images as f64 / seconds), None))
    }

    /// Whether training is to end before its time.
    fn end_came(&self) -> Option<End> {
        match self.signals.end() {
            0 => self.until.filter(|until| Instant::now() >= *until).map(|_| End::Time),
            signal => Some(End::Signal(signal)),
        }
    }

    /// Tells of steps whose numbers broke, and that training survived.
    fn say_what_broke(&mut self) -> Result<()> {
        for Broken { step, what, way } in self.trainer.take_broken() {
            let (event, to, scale) = match way {
                Way::Skipped => ("skipped", None, None),
                Way::RolledBack { to, rate_scale } => ("rolled-back", Some(to), Some(rate_scale)),
            };
            let line = json!({
                "event": event, "step": step, "what": what, "to": to, "rate_scale": scale,
            });
            self.folder.append(METRICS, &line.to_string())?;
            let went_on = match way {
                Way::Skipped => "left out".to_owned(),
                Way::RolledBack { to, rate_scale } => {
                    format!("back after step {to}, at {rate_scale} of the learning rate")
                }
            };
            let text = format!("the numbers broke at step {step}: {what}; {went_on}");
            match self.args.json {
                true => print_line(&line.to_string())?,
                false => self.bar.suspend(|| talk(&text)),
            }
        }
        Ok(())
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
        self.folder.append(METRICS, &line.to_string())?;
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
        let size = self.trainer.image_size();
        let (mut images, made) = self.trainer.reconstruct(8)?;
        let columns = images.len() / (size[0] * size[1]);
        images.extend(made);
        let rows = ["test image", "reconstruction"].map(str::to_owned);
        let caption = format!("Test images, and the decoder's means at z = μ after epoch {epoch}");
        let labels = Labels { caption: &caption, rows: &rows, ..Labels::default() };
        let picture = grid(&images, size, columns, labels)?;
        self.folder.write_image(&format!("reconstruction_{epoch}.png"), &picture)?;
        let caption = format!("The decoder's means at z drawn from the prior, after epoch {epoch}");
        let labels = Labels { caption: &caption, ..Labels::default() };
        let picture = grid(&self.trainer.sample(64)?, size, 8, labels)?;
        self.folder.write_image(&format!("sample_{epoch}.png"), &picture)
    }

    fn finish(mut self, end: End) -> Result<u8> {
        if self.saved != Some(self.trainer.steps_taken()) {
            self.save()?;
        }
        let weights = self.folder.path().join("weights.safetensors");
        self.trainer.save_weights(&weights)?;
        let (run, step) = (self.folder.path().display().to_string(), self.trainer.steps_taken());
        // Cut short, the last evaluation is of earlier weights.
        let whole = matches!(end, End::Done | End::Patience);
        let last = self.last.filter(|_| whole);
        let loss = last.map(|last| last.sampled.loss);
        let Trained { skipped, rolled_back, .. } = self.trainer.trained();
        if self.args.json {
            let line = json!({
                "event": "end", "status": end.status(), "step": step, "test_loss": loss,
                "skipped": skipped, "rolled_back": rolled_back, "run": run,
            });
            print_line(&line.to_string())?;
            return Ok(end.code());
        }
        if let Some(last) = last {
            let Losses { loss, recon, kl } = last.sampled;
            print_line(&format!(
                "test loss {loss:.2} nats per image (recon {recon:.2} + KL {kl:.2}; one sampled z)"
            ))?;
        }
        if skipped + rolled_back > 0 {
            print_line(&format!(
                "the numbers broke {} times: {skipped} steps left out, {rolled_back} times back",
                skipped + rolled_back
            ))?;
        }
        print_line(&format!("saved after step {step}: {}", weights.display()))?;
        Ok(end.code())
    }

    /// Tells of an error that ended training, and where it can go on.
    fn fail(&self, error: Error) -> Result<u8> {
        let run = self.folder.path().display();
        if self.args.json {
            let line = json!({
                "event": "end", "status": "failed", "step": self.trainer.steps_taken(),
                "saved": self.saved, "error": error.to_string(), "run": run.to_string(),
            });
            print_line(&line.to_string())?;
        } else if let Some(step) = self.saved {
            talk(&format!(
                "saved last after step {step}: `elbo train --resume {run}` goes on there"
            ));
        }
        Err(error)
    }
}
