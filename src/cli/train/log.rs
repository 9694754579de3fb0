//! What a run tells of itself: to its folder, to TensorBoard, to who watches it.

mod steps;

use std::borrow::Cow;
use std::time::Instant;

use elbo::evaluate::{Dimension, active, total_kl};
use elbo::model::Architecture;
use elbo::train::Diagnosis;
use elbo::{Device, Evaluation, Losses, Model, Result, Trainer};
use serde_json::json;

use crate::cli::events::{EventFile, hparams};
use crate::cli::now;
use crate::cli::picture::{Labels, Look, grid, shown};
use crate::cli::print_line;
use crate::cli::run_folder::{METRICS, RunFolder, TIMINGS, lines};
use crate::cli::sample::{all_classes, by_class, columns_of, names};
use crate::cli::signals::Signals;
use crate::cli::train::Args;
use crate::cli::train::dashboard::{About, Pictures, Point};
use crate::cli::train::log::steps::Clock;
use crate::cli::train::screen::Screen;
use crate::cli::widths::{way, ways};

/// An epoch that was evaluated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Epoch<'a> {
    pub(super) epoch: u64,
    pub(super) step: u64,
    pub(super) train: Losses,
    /// The mean of what was minimised, if that is not the loss.
    pub(super) objective: Option<f64>,
    pub(super) test: Evaluation,
    /// What the dimensions of z say of the first test images, level by level from below upwards.
    pub(super) levels: &'a [Vec<Dimension>],
    /// Images a second of training alone, if any step was timed.
    pub(super) speed: Option<f64>,
}

pub(super) struct Log {
    pub(super) folder: RunFolder,
    pub(super) screen: Screen,
    events: EventFile,
    json: bool,
    /// The images that training looks at: `validation` or `test`.
    looked_at: &'static str,
    /// Where its data lies.
    data: String,
    /// Whether the table of epochs has its head.
    headed: bool,
    clock: Clock,
}

impl Log {
    /// Begins to tell of a run. If it goes on after a step, what older event files tell of later ones,
    /// which will be trained again, is void.
    pub(super) fn new(
        args: &Args,
        folder: RunFolder,
        resumed: Option<u64>,
        (data, looked_at): (String, &'static str),
        start: Instant,
    ) -> Result<Self> {
        let events = EventFile::create(folder.path())?;
        let (screen, json, clock) = (Screen::new(args), args.json, Clock::new(start));
        let mut log = Self { folder, screen, events, json, looked_at, data, headed: false, clock };
        if let Some(step) = resumed {
            log.go_on(step)?;
        }
        Ok(log)
    }

    pub(super) fn start(
        &mut self,
        trainer: &Trainer,
        device: &Device,
        precision: &str,
    ) -> Result<()> {
        let config = &trainer.config().train;
        let (run, step) = (self.folder.path().display().to_string(), trainer.steps_taken());
        let mut line = json!({
            "event": "start", "device": device.kind(), "adapter": device.name(),
            "precision": precision, "schedules": trainer.schedules(),
            "parameters": trainer.vae().parameters.count(), "seed": config.seed, "step": step,
            "version": env!("CARGO_PKG_VERSION"),
            "date": now(),
        });
        self.folder.append(TIMINGS, &line.to_string())?;
        self.events.hparams(trainer.config())?;
        if self.json {
            line["data"] = json!(self.data);
            line["run"] = json!(run);
            print_line(&line.to_string())?;
        }
        Ok(())
    }

    /// Has a dashboard shown, with the epochs that were logged before.
    pub(super) fn show(
        &mut self,
        trainer: &Trainer,
        device: &Device,
        precision: &str,
        signals: &Signals,
    ) -> Result<()> {
        let (config, size) = (trainer.config(), trainer.image_size());
        let networks = Architecture::of(&config.model, size)?;
        let [up, _] = ways(&config.model, &networks, (size.len(), 0));
        let layers = way(&up);
        let count = trainer.vae().parameters.count();
        let about = About {
            model: format!("{layers}, {count} parameters, β = {}", config.objective.beta),
            device: format!("{}, {precision}", device.name()),
            data: self.data.clone(),
            looked_at: self.looked_at,
            seed: config.train.seed,
            memory: trainer.vae().plan.bytes(),
            run: self.folder.path().display().to_string(),
        };
        self.screen.show(about, self.logged(), signals.clone());
        Ok(())
    }

    /// The losses of the epochs in the log; of one that was trained again, the newer ones.
    fn logged(&self) -> Vec<Point> {
        let mut points: Vec<Point> = Vec::new();
        for line in lines(&self.folder.path().join(METRICS)) {
            let number = |key: &str| line[key].as_f64().unwrap_or(f64::NAN);
            let losses = |of: &str| Losses {
                loss: number(&format!("{of}_loss")),
                recon: number(&format!("{of}_recon")),
                kl: number(&format!("{of}_kl")),
            };
            if let Some(epoch) = line["epoch"].as_u64().filter(|_| line["event"] == "epoch") {
                while points.pop_if(|was| was.epoch >= epoch).is_some() {}
                points.push(Point { epoch, train: losses("train"), test: losses(self.looked_at) });
            }
        }
        points
    }

    /// Tells what is wrong with the model, or that it is no more.
    pub(super) fn diagnosis(&mut self, found: Option<&Diagnosis>, active: usize, all: usize) {
        self.screen.say(&match found {
            Some(found) => format!("warning: {found}\nhint: {}", found.hint()),
            None => format!("{active} of {all} dimensions of z are active again"),
        });
    }

    pub(super) fn epoch(&mut self, told: &Epoch) -> Result<()> {
        let Epoch { epoch, step, train, objective, test, levels, speed } = *told;
        let first = active(&levels[0]);
        let Evaluation { sampled, at_mean, .. } = test;
        // Nothing that differs between equal runs stands in this line.
        let mut line = json!({
            "event": "epoch", "epoch": epoch, "step": step,
            "train_loss": train.loss, "train_recon": train.recon, "train_kl": train.kl,
        });
        let of = self.looked_at;
        for (name, value) in [
            ("loss", sampled.loss),
            ("recon", sampled.recon),
            ("kl", sampled.kl),
            ("loss_at_mean", at_mean.loss),
        ] {
            line[format!("{of}_{name}")] = json!(value);
        }
        line["active_units"] = json!(first);
        if levels.len() > 1 {
            line["kl_by_level"] = levels.iter().map(|level| total_kl(level)).collect();
            line["active_units_by_level"] = levels.iter().map(|level| active(level)).collect();
        }
        if let Some(objective) = objective {
            line["train_objective"] = json!(objective);
        }
        self.folder.append(METRICS, &line.to_string())?;
        let timing = json!({"epoch": epoch, "step": step, "images_per_s": speed});
        self.folder.append(TIMINGS, &timing.to_string())?;
        let mut scalars = vec![
            ("train/loss".to_owned(), train.loss),
            ("train/recon".to_owned(), train.recon),
            ("train/kl".to_owned(), train.kl),
            (format!("{of}/loss"), sampled.loss),
            (format!("{of}/recon"), sampled.recon),
            (format!("{of}/kl"), sampled.kl),
            (format!("{of}/loss_at_mean"), at_mean.loss),
            (format!("{of}/active_units"), first as f64),
        ];
        for (number, level) in (1..).zip(levels).filter(|_| levels.len() > 1) {
            scalars.push((format!("{of}/kl/level_{number}"), total_kl(level)));
            scalars.push((format!("{of}/active_units/level_{number}"), active(level) as f64));
        }
        scalars.extend(objective.map(|objective| ("train/objective".to_owned(), objective)));
        scalars.extend(speed.map(|speed| ("images_per_s".to_owned(), speed)));
        self.events.scalars(step, &scalars)?;
        if self.json {
            line["images_per_s"] = json!(speed);
            return print_line(&line.to_string());
        }
        if !self.headed {
            self.headed = true;
            self.screen.head(head(of, objective.is_some()))?;
        }
        self.screen.evaluated(Point { epoch, train, test: sampled }, row(told))
    }

    /// Tells how the KL of the dimensions of z is distributed, level by level.
    pub(super) fn dimensions(&mut self, step: u64, levels: &[Vec<Dimension>]) -> Result<()> {
        for (number, dimensions) in (1..).zip(levels) {
            let kl: Vec<_> = dimensions.iter().map(|dimension| dimension.kl).collect();
            let mut name = format!("{}/kl_per_dimension", self.looked_at);
            if levels.len() > 1 {
                name += &format!("/level_{number}");
            }
            self.events.histogram(step, &name, &kl)?;
        }
        Ok(())
    }

    /// Tells TensorBoard's table what a whole run came to: its losses, and the lowest of its epochs.
    pub(super) fn result(&mut self, step: u64, tested: Losses, best: Option<f64>) -> Result<()> {
        let Losses { loss, recon, kl } = tested;
        let numbers = [loss, recon, kl, best.unwrap_or(loss)];
        let scalars: Vec<_> = hparams::METRICS.into_iter().zip(numbers).collect();
        self.events.scalars(step, &scalars)?;
        self.events.hparams_end(true)
    }

    /// Tells TensorBoard's table that a run failed.
    pub(super) fn failed(&mut self) -> Result<()> {
        self.events.hparams_end(false)
    }

    /// Tells why this session of the run ended, when, and with which error, if it failed.
    pub(super) fn end(
        &self,
        (status, error): (&str, Option<String>),
        step: u64,
        seconds: f64,
    ) -> Result<()> {
        let mut line = json!({"event": "end", "status": status, "step": step, "seconds": seconds});
        if let Some(error) = error {
            line["error"] = json!(error);
        }
        self.folder.append(TIMINGS, &line.to_string())
    }

    /// Eight test images above their reconstructions, and 64 samples of the prior, or 8 of each class.
    pub(super) fn pictures(&mut self, epoch: u64, step: u64, model: &mut Model) -> Result<()> {
        let (look, count) = (Look::new(model), model.images().min(8));
        let (tests, made) = model.reconstruct(0..count)?;
        let prior = model.config().check_prior().is_ok();
        let classes = model.config().model.classes;
        let told = all_classes(model.config());
        let columns = if classes > 0 { columns_of(classes, 8 * classes) } else { 8 };
        let samples = match classes {
            _ if !prior => Vec::new(),
            0 => model.sample(64, 1.0)?,
            _ => {
                let usual = vec![1.0; model.config().model.latents().len()];
                by_class(model, &told, 8 * classes, &usual)?
            }
        };
        let rows = [format!("{} image", self.looked_at), "reconstruction".to_owned()];
        let which = if self.looked_at == "test" { "Test" } else { "Validation" };
        let caption =
            format!("{which} images, and the decoder's means at z = μ after epoch {epoch}");
        let labels = Labels { caption: &caption, rows: &rows, ..Labels::default() };
        let reconstruction = grid(&[tests.as_slice(), &made].concat(), look, count, labels);
        let caption = format!("The decoder's means at z drawn from the prior, after epoch {epoch}");
        let names = names(&told, columns);
        let labels =
            Labels { caption: &caption, columns: &names, group: classes, ..Labels::default() };
        let sample = prior.then(|| ("sample", grid(&samples, look, columns, labels)));
        for (name, picture) in [("reconstruction", reconstruction)].into_iter().chain(sample) {
            let picture = match picture {
                Ok(picture) => picture,
                // Images may be too large to be drawn, which is no reason not to train on them.
                Err(e) => {
                    if epoch == 1 {
                        self.screen.say(&format!("no picture of {name}s: {e}"));
                    }
                    continue;
                }
            };
            self.folder.write_image(&format!("{name}_{epoch}.png"), &picture)?;
            self.events.image(step, &format!("images/{name}"), &picture)?;
        }
        if self.screen.takes_pictures() {
            let [(tests, seen), (made, _), (samples, _)] =
                [&tests, &made, &samples].map(|images| shown(images, look));
            let [tests, made, samples] = [tests, made, samples].map(Cow::into_owned);
            let look = seen;
            self.screen.pictures(Pictures { epoch, look, tests, made, samples });
        }
        Ok(())
    }
}

/// The head of the table of epochs, which fits 80 columns.
fn head(looked_at: &str, minimised: bool) -> String {
    let (epoch, train, loss, speed) = ("epoch", "train", looked_at, "images/s");
    let minimised = if minimised { format!(" {:>10}", "minimised") } else { String::new() };
    format!(
        "{epoch:>7} {train:>9}{minimised} {loss:>10} {:>9} {:>8} {:>9} {speed:>8}",
        "recon", "KL", "at mean"
    )
}

/// An epoch as a row of the table.
fn row(told: &Epoch) -> String {
    let Epoch { epoch, train, objective, test, speed, .. } = told;
    let Evaluation { sampled, at_mean, .. } = test;
    let minimised = objective.map_or(String::new(), |of| format!(" {:>10}", figure(of)));
    let speed = speed.map_or("-".to_owned(), |speed| format!("{speed:.0}"));
    format!(
        "{epoch:>7} {:>9}{minimised} {:>10} {:>9} {:>8} {:>9} {speed:>8}",
        figure(train.loss),
        figure(sampled.loss),
        figure(sampled.recon),
        figure(sampled.kl),
        figure(at_mean.loss)
    )
}

/// Nats with two decimals, or with two digits where there would be more than fit.
fn figure(nats: f64) -> String {
    if nats.abs() < 1e5 { format!("{nats:.2}") } else { format!("{nats:.1e}") }
}
