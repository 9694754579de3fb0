//! What a run tells of single steps: those that are logged, and those whose numbers broke.

use std::time::Instant;

use elbo::train::{Broken, Event, Step, Way};
use elbo::{Result, Trainer};
use serde_json::{Value, json};

use crate::cli::print_line;
use crate::cli::run_folder::{METRICS, TIMINGS, lines};
use crate::cli::train::log::{Log, now};

/// What a number of a step is.
type Number = fn(&Step) -> f64;

/// The numbers of a step by their names in a line of `metrics.jsonl`; in TensorBoard they stand under `step/`.
const NUMBERS: [(&str, Number); 7] = [
    ("loss", |step| step.losses.loss),
    ("recon", |step| step.losses.recon),
    ("kl", |step| step.losses.kl),
    ("objective", |step| step.objective),
    ("lr", |step| step.learning_rate),
    ("beta", |step| step.kl_weight),
    ("grad_norm", |step| step.gradient_norm),
];

/// What the speed between lines of `timings.jsonl` is measured by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// When this session of the run began.
    start: Instant,
    /// The step of the line before, or where timing began, and when that was.
    last: (u64, Instant),
}

impl Clock {
    pub(super) fn new(start: Instant) -> Self {
        Self { start, last: (0, Instant::now()) }
    }
}

impl Log {
    /// Has the speed of steps be measured from here on: what came before was not training alone.
    pub(in crate::cli::train) fn time_from(&mut self, step: u64) {
        self.clock.last = (step, Instant::now());
    }

    /// Tells of steps that were logged, and of those that broke, in their order.
    pub(in crate::cli::train) fn steps(
        &mut self,
        trainer: &Trainer,
        events: Vec<Event>,
    ) -> Result<()> {
        let (mut text, mut last) = (String::new(), None);
        for event in events {
            let line = match event {
                Event::Step(step) => {
                    let numbers = NUMBERS.map(|(name, of)| (name, of(&step)));
                    self.events.scalars(step.step, &tagged(&numbers))?;
                    last = Some(step.step);
                    line(&step, &numbers)
                }
                Event::Broken(broken) => self.broken(&broken)?,
            };
            if self.json {
                print_line(&line)?;
            }
            text.push_str(&line);
            text.push('\n');
        }
        if !text.is_empty() {
            self.folder.add(METRICS, &text)?;
        }
        last.map_or(Ok(()), |step| self.time(trainer, step))
    }

    /// Notes when the report of a step came, the last of those that came together, and how fast training was since
    /// the line before.
    fn time(&mut self, trainer: &Trainer, step: u64) -> Result<()> {
        let (at, (from, since)) = (Instant::now(), self.clock.last);
        let images: usize = (from..step).map(|step| trainer.images_in_step(step)).sum();
        let seconds = at.duration_since(since).as_secs_f64();
        // Training may have gone back.
        let speed = (step > from && seconds > 0.0).then(|| images as f64 / seconds);
        self.clock.last = (step, at);
        let line = json!({
            "event": "step", "step": step, "images_per_s": speed,
            "seconds": at.duration_since(self.clock.start).as_secs_f64(), "date": now(),
        });
        self.folder.add(TIMINGS, &format!("{line}\n"))
    }

    /// Says that the numbers of a step broke, and gives the line of it.
    fn broken(&mut self, Broken { step, what, way }: &Broken) -> Result<String> {
        let (event, to, scale) = match *way {
            Way::Skipped => ("skipped", None, None),
            Way::RolledBack { to, rate_scale } => ("rolled-back", Some(to), Some(rate_scale)),
        };
        if let Some(to) = to {
            // Steps from there on will be trained again.
            self.events.go_on(to + 1)?;
        }
        let went_on = match way {
            Way::Skipped => "left out".to_owned(),
            Way::RolledBack { to, rate_scale } => {
                format!("back after step {to}, at {rate_scale} of the learning rate")
            }
        };
        if !self.json {
            self.screen.say(&format!("the numbers broke at step {step}: {what}; {went_on}"));
        }
        let line = json!({
            "event": event, "step": step, "what": what, "to": to, "rate_scale": scale,
        });
        Ok(line.to_string())
    }

    /// Goes on after a step: what older event files tell of later ones is void, but for those that were logged before
    /// the state was saved, which will not be trained again.
    pub(super) fn go_on(&mut self, step: u64) -> Result<()> {
        self.events.go_on(step + 1)?;
        let mut logged: Vec<Value> = Vec::new();
        for line in lines(&self.folder.path().join(METRICS)) {
            let number = |key: &str| line[key].as_u64().unwrap_or(0);
            match line["event"].as_str() {
                Some("step") if number("step") > step => logged.push(line),
                Some("rolled-back") => {
                    logged.retain(|known| known["step"].as_u64().unwrap_or(0) <= number("to"));
                }
                _ => {}
            }
        }
        for line in logged {
            let number = |name: &str| line[name].as_f64().unwrap_or(f64::NAN);
            let numbers = NUMBERS.map(|(name, _)| (name, number(name)));
            self.events.scalars(line["step"].as_u64().unwrap_or(0), &tagged(&numbers))?;
        }
        Ok(())
    }
}

/// A step as a line of `metrics.jsonl`, in which nothing stands that differs between equal runs.
fn line(step: &Step, numbers: &[(&str, f64)]) -> String {
    let mut line = json!({"event": "step", "epoch": step.epoch, "step": step.step});
    for &(name, number) in numbers {
        line[name] = json!(number);
    }
    line.to_string()
}

/// The numbers of a step by their tags in TensorBoard.
fn tagged(numbers: &[(&str, f64)]) -> Vec<(String, f64)> {
    numbers.iter().map(|&(name, number)| (format!("step/{name}"), number)).collect()
}
