//! What the dashboard knows of a run; training tells it, and whoever draws takes a copy.

use std::sync::Arc;
use std::time::{Duration, Instant};

use elbo::Losses;

use crate::cli::picture::Look;

/// As many messages as the tallest pane shows.
const MESSAGES: usize = 50;
/// As many rates as the widest line shows.
const RATES: usize = 512;
/// As many points of the running loss as the widest chart can tell apart.
const RUNNING: usize = 500;
/// Rates over less time than this jump by the number of steps that happened to end in it.
const RATE_TIME: Duration = Duration::from_millis(500);

/// What a run is, in words.
#[derive(Clone, Debug, Default)]
pub(in crate::cli::train) struct About {
    pub(in crate::cli::train) model: String,
    pub(in crate::cli::train) device: String,
    pub(in crate::cli::train) data: String,
    /// The images that it looks at: `validation` or `test`.
    pub(in crate::cli::train) looked_at: &'static str,
    pub(in crate::cli::train) seed: u64,
    /// Bytes on the device that are planned.
    pub(in crate::cli::train) memory: u64,
    pub(in crate::cli::train) run: String,
}

/// The losses after an epoch, in nats per image.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli::train) struct Point {
    pub(in crate::cli::train) epoch: u64,
    pub(in crate::cli::train) train: Losses,
    pub(in crate::cli::train) test: Losses,
}

/// Test images, the same images reconstructed, and samples of the prior, one after another.
#[derive(Clone, Debug)]
pub(in crate::cli::train) struct Pictures {
    pub(in crate::cli::train) epoch: u64,
    /// How they are shown.
    pub(in crate::cli::train) look: Look,
    pub(in crate::cli::train) tests: Vec<f32>,
    pub(in crate::cli::train) made: Vec<f32>,
    pub(in crate::cli::train) samples: Vec<f32>,
}

/// How far training is.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli::train) struct Progress {
    pub(in crate::cli::train) step: u64,
    /// The mean losses of the epoch so far.
    pub(in crate::cli::train) losses: Losses,
    /// Images that were trained on since this epoch began or was gone on with.
    pub(in crate::cli::train) images: usize,
    /// The learning rate of the next step.
    pub(in crate::cli::train) rate: f64,
}

/// Where training began and where it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) per_epoch: u64,
    pub(super) since: Instant,
}

/// What a run does at the moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Doing {
    Training,
    Evaluating,
}

#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) about: About,
    /// Whether the terminal shows colours, without which there are no pictures.
    pub(super) colors: bool,
    pub(super) epochs: Vec<Point>,
    pub(super) epoch: u64,
    pub(super) of: usize,
    pub(super) bounds: Option<Bounds>,
    pub(super) step: u64,
    pub(super) doing: Doing,
    pub(super) running: Option<Losses>,
    pub(super) learning_rate: Option<f64>,
    /// The epoch, with the part of it that is done, and the mean loss so far.
    pub(super) curve: Vec<(f64, f64)>,
    /// Images a second, the newest last.
    pub(super) rates: Vec<f64>,
    /// The newest rate, of steps.
    pub(super) steps_per_s: Option<f64>,
    /// When training was last heard of, and its steps and the epoch's images by then.
    from: Option<(Instant, u64, usize)>,
    /// Time, steps and images of training since the newest rate.
    counted: (Duration, u64, usize),
    pub(super) pictures: Option<Arc<Pictures>>,
    pub(super) messages: Vec<String>,
    /// Whether the newest message tells of a save, which the next save replaces.
    saved: bool,
}

impl View {
    pub(super) fn new(about: About, epochs: Vec<Point>) -> Self {
        Self {
            about,
            colors: true,
            epochs,
            epoch: 0,
            of: 0,
            bounds: None,
            step: 0,
            doing: Doing::Training,
            running: None,
            learning_rate: None,
            curve: Vec::new(),
            rates: Vec::new(),
            steps_per_s: None,
            from: None,
            counted: (Duration::ZERO, 0, 0),
            pictures: None,
            messages: Vec::new(),
            saved: false,
        }
    }

    /// Training begins after step `first` and ends after step `last`.
    pub(super) fn begin(&mut self, first: u64, last: u64, per_epoch: u64, now: Instant) {
        self.step = first;
        self.bounds = Some(Bounds { first, last, per_epoch, since: now });
    }

    /// An epoch begins.
    pub(super) fn epoch(&mut self, epoch: u64, of: usize, now: Instant) {
        (self.epoch, self.of, self.doing) = (epoch, of, Doing::Training);
        self.curve.clear();
        // The time of evaluation is none of training.
        self.from = Some((now, self.step, 0));
    }

    pub(super) fn progress(&mut self, told: Progress, now: Instant) {
        let Progress { step, losses, images, rate } = told;
        self.step = step;
        self.learning_rate = Some(rate);
        self.running = Some(losses);
        if let Some(Bounds { per_epoch, .. }) = self.bounds {
            self.curve.push((step as f64 / per_epoch.max(1) as f64, losses.loss));
            if self.curve.len() > RUNNING {
                // Every other point: the curve keeps its form.
                let mut keep = false;
                self.curve.retain(|_| {
                    keep = !keep;
                    keep
                });
            }
        }
        self.rate(step, images, now);
    }

    /// Counts what was trained since the last call.
    fn rate(&mut self, step: u64, images: usize, now: Instant) {
        let (since, first_step, first_image) =
            self.from.replace((now, step, images)).unwrap_or((now, step, images));
        let steps = step.checked_sub(first_step);
        // Going back takes steps away, and before the first image there is only preparation.
        let Some(steps) = steps.filter(|_| images > first_image) else { return };
        let (time, all_steps, all_images) = &mut self.counted;
        *time += now.duration_since(since);
        *all_steps += steps;
        *all_images += images - first_image;
        if *time >= RATE_TIME {
            let seconds = time.as_secs_f64();
            self.steps_per_s = Some(*all_steps as f64 / seconds);
            self.rates.push(*all_images as f64 / seconds);
            if self.rates.len() > RATES {
                self.rates.remove(0);
            }
            self.counted = (Duration::ZERO, 0, 0);
        }
    }

    /// An epoch was evaluated; one that is trained again takes the place of the first.
    pub(super) fn evaluated(&mut self, point: Point) {
        while self.epochs.pop_if(|was| was.epoch >= point.epoch).is_some() {}
        self.epochs.push(point);
        self.curve.clear();
    }

    pub(super) fn say(&mut self, line: &str) {
        self.saved = false;
        self.push(line);
    }

    pub(super) fn saved(&mut self, step: u64) {
        if self.saved {
            self.messages.pop();
        }
        self.push(&format!("saved after step {step}"));
        self.saved = true;
    }

    fn push(&mut self, line: &str) {
        self.messages.push(line.to_owned());
        if self.messages.len() > MESSAGES {
            self.messages.remove(0);
        }
    }

    /// The epoch with the lowest test loss; the first of equal ones, as it is saved.
    pub(super) fn best(&self) -> Option<Point> {
        let finite = self.epochs.iter().filter(|point| point.test.loss.is_finite());
        finite.copied().min_by(|a, b| a.test.loss.total_cmp(&b.test.loss))
    }

    /// The part that is done, from 0 to 1.
    pub(super) fn done(&self) -> f64 {
        let last = self.bounds.map_or(0, |bounds| bounds.last);
        if last == 0 { 0.0 } else { (self.step as f64 / last as f64).min(1.0) }
    }

    /// The time since training began here.
    pub(super) fn elapsed(&self, now: Instant) -> Option<Duration> {
        Some(now.duration_since(self.bounds?.since))
    }

    /// The time left at the pace so far, evaluation included.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        let Bounds { first, last, since, .. } = self.bounds?;
        let done = self.step.checked_sub(first).filter(|&done| done > 0)?;
        let left = last.saturating_sub(self.step) as f64;
        let seconds = now.duration_since(since).as_secs_f64() / done as f64 * left;
        Duration::try_from_secs_f64(seconds.round()).ok()
    }
}
