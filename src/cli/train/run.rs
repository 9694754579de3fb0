//! A run: epochs of training, their reports and pictures, and the states that are saved.

mod end;

use std::time::{Duration, Instant};

use elbo::checkpoint::{Best, Course, State, Trained};
use elbo::evaluate::active;
use elbo::train::Diagnosis;
use elbo::{Dataset, Device, Evaluation, Result, Trainer};

use crate::cli::settings::Settings;
use crate::cli::signals::Signals;
use crate::cli::train::Args;
use crate::cli::train::dashboard::Progress;
use crate::cli::train::log::{Epoch, Log};

/// What came of training.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// The last epoch or step.
    Done,
    /// No epoch was better for too long.
    Patience,
    /// The time was up.
    Time,
    /// A key asked for it.
    Asked,
    /// A signal.
    Signal(usize),
}

impl End {
    fn status(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Patience => "patience",
            Self::Time => "time",
            Self::Asked => "asked",
            Self::Signal(_) => "signal",
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::Signal(signal) => 128 + u8::try_from(signal).unwrap_or(0),
            _ => 0,
        }
    }

    /// Whether the run came to its own end, and was not cut off.
    fn is_whole(self) -> bool {
        matches!(self, Self::Done | Self::Patience)
    }
}

/// What a run has from its beginning to its end.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) start: Instant,
    /// When the time is up.
    pub(super) until: Option<Instant>,
    pub(super) device: Device,
    /// The test images, where training looks at others.
    pub(super) test: Option<Dataset>,
}

pub(super) struct Run<'a> {
    args: &'a Args,
    settings: Settings,
    trainer: Trainer,
    log: Log,
    signals: Signals,
    course: Course,
    /// The steps of the newest state that was saved, and how often training had gone back by then.
    saved: Option<(u64, u64)>,
    span: Span,
    /// The fingerprint of the test images, where training looks at others.
    test: Option<String>,
    /// Nothing is trained any more, and the trainer has the weights that the run stands for.
    over: bool,
    /// The last evaluation, and the step that it is of.
    last: Option<(u64, Evaluation)>,
    /// What was wrong with the model when it was last asked.
    diagnosis: Option<Diagnosis>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        (args, settings): (&'a Args, Settings),
        (trainer, log, signals): (Trainer, Log, Signals),
        course: Course,
        span: Span,
    ) -> Result<Self> {
        let Trained { step, rolled_back, .. } = trainer.trained();
        let saved = args.resume.as_ref().map(|_| (step, rolled_back));
        let classes = trainer.config().model.classes;
        let test = span.test.as_ref().map(|test| test.fingerprint_for(classes)).transpose()?;
        Ok(Self {
            args,
            settings,
            trainer,
            log,
            signals,
            course,
            saved,
            span,
            test,
            over: false,
            last: None,
            diagnosis: None,
        })
    }

    /// Trains, saves and tells what came of it.
    pub(super) fn train(mut self) -> Result<u8> {
        let end = self.epochs();
        self.log.screen.end();
        end.and_then(|end| self.finish(end)).or_else(|error| self.fail(error))
    }

    fn epochs(&mut self) -> Result<End> {
        let config = self.trainer.config().train.clone();
        let per_epoch = self.trainer.steps_per_epoch();
        let all = per_epoch * config.epochs as u64;
        let last = if config.max_steps > 0 { all.min(config.max_steps) } else { all };
        self.log.screen.begin([self.trainer.steps_taken(), last], per_epoch)?;
        loop {
            if self.patience_is_over() {
                return Ok(End::Patience);
            }
            if self.course.epochs * per_epoch >= last {
                return Ok(End::Done);
            }
            // The next that is reported: one that `every` divides, or where training ends.
            let every = config.evaluate_every as u64;
            let end = ((self.course.epochs / every + 1) * every * per_epoch).min(last);
            let epoch = end.div_ceil(per_epoch);
            self.log.screen.epoch(epoch, config.epochs);
            let (speed, came) = self.steps_to(end)?;
            if let Some(came) = came {
                return Ok(came);
            }
            // Whatever happens while it is evaluated, its steps are not lost. A run that ends within an
            // epoch and is given more steps later goes on from here, as if it had never stopped.
            self.save()?;
            if let Some(came) = self.end_came() {
                return Ok(came);
            }
            let whole = end == epoch * per_epoch;
            self.trainer.wait()?;
            let other = !self.trainer.config().objective.is_loss();
            let objective = other.then(|| self.trainer.objective());
            let losses = self.trainer.finish()?;
            self.log.screen.evaluating();
            let evaluation = self.trainer.evaluate_or_go_back()?;
            self.tell_steps()?;
            let Some(evaluation) = evaluation else { continue };
            let step = self.trainer.steps_taken();
            self.last = Some((step, evaluation));
            let (levels, found) = self.trainer.diagnose(&evaluation)?;
            let (train, test) = (losses, evaluation);
            let told = Epoch { epoch, step, train, objective, test, levels: &levels, speed };
            self.log.epoch(&told)?;
            self.log.dimensions(step, &levels)?;
            self.tell(found, active(&levels[0]));
            self.log.pictures(epoch, step, self.trainer.model()?)?;
            if !whole {
                return Ok(End::Done);
            }
            let loss = evaluation.sampled.loss;
            let better = self.course.best.is_none_or(|best| best.loss > loss);
            if better {
                self.course.best = Some(Best { epoch, loss });
            }
            self.course.epochs = epoch;
            // Read once, and the best first: a checkpoint that tells of a best epoch has it beside it.
            let state = self.state()?;
            if better {
                self.log.folder.save_best(&state)?;
            }
            self.keep(&state)?;
        }
    }

    /// Says what is wrong with the model as soon as it can be known, and when that is over.
    fn tell(&mut self, found: Option<Diagnosis>, active: usize) {
        let new = match (&found, &self.diagnosis) {
            (Some(found), Some(was)) => !found.is_like(was),
            (found, was) => found.is_some() != was.is_some(),
        };
        if new {
            self.log.diagnosis(found.as_ref(), active, self.trainer.config().model.latent);
        }
        self.diagnosis = found;
    }

    fn patience_is_over(&self) -> bool {
        let patience = self.trainer.config().train.patience;
        patience > 0 && self.course.since_best() >= patience
    }

    /// Tells of the steps that have reported since the last time: of those that are logged, and that broke.
    pub(super) fn tell_steps(&mut self) -> Result<()> {
        let events = self.trainer.take_events();
        self.log.steps(&self.trainer, events)
    }

    /// Saves the state.
    pub(super) fn save(&mut self) -> Result<()> {
        let state = self.state()?;
        self.keep(&state)
    }

    /// The state of the trainer and of the run.
    fn state(&mut self) -> Result<State> {
        let state = self.trainer.state()?;
        self.tell_steps()?;
        self.course.log_bytes = self.log.folder.log_bytes()?;
        Ok(State { course: self.course, test: self.test.clone(), ..state })
    }

    /// Writes the state that the run would go on from.
    fn keep(&mut self, state: &State) -> Result<()> {
        self.log.folder.save(state, self.settings.keep)?;
        self.saved = Some((state.trained.step, state.trained.rolled_back));
        self.log.screen.saved(state.trained.step);
        Ok(())
    }

    /// Trains to a step, unless a signal comes or the time is up; with it, images a second of
    /// training alone, if any step was timed.
    fn steps_to(&mut self, end: u64) -> Result<(Option<f64>, Option<End>)> {
        let mut images = 0;
        let mut start = Instant::now();
        let mut shown = start;
        self.log.time_from(self.trainer.steps_taken());
        while self.trainer.steps_taken() < end {
            if let Some(came) = self.end_came() {
                return Ok((None, Some(came)));
            }
            let from = self.trainer.steps_taken();
            let mut count = (end - from).min(self.trainer.steps_per_submit() as u64);
            if let Some(every) = self.settings.save_every {
                count = count.min(every - from % every);
            }
            // The first step compiles and warms up; it is not timed.
            let first = from == 0;
            self.trainer.advance(if first { 1 } else { count })?;
            if first {
                self.trainer.wait()?;
                start = Instant::now();
                self.log.time_from(1);
            }
            let now = self.trainer.steps_taken();
            images += (from..if first { 0 } else { now })
                .map(|s| self.trainer.images_in_step(s))
                .sum::<usize>();
            let due = self.settings.save_every.is_some_and(|every| now.is_multiple_of(every));
            if self.signals.save() || (due && now < end) {
                self.save()?;
            }
            if now >= end {
                // The numbers may yet be found to have broken, and training to go back.
                self.trainer.wait()?;
            }
            if now >= end || shown.elapsed() > Duration::from_millis(100) {
                shown = Instant::now();
                self.tell_steps()?;
                let speed = images as f64 / start.elapsed().as_secs_f64();
                let (losses, rate) = (self.trainer.so_far(), self.trainer.learning_rate());
                self.log.screen.progress(Progress { step: now, losses, images, rate }, speed);
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        Ok(((images > 0).then(|| images as f64 / seconds), None))
    }

    /// Whether training is to end before its time.
    fn end_came(&self) -> Option<End> {
        match self.signals.end() {
            0 if self.signals.asked() => Some(End::Asked),
            0 => self.span.until.filter(|until| Instant::now() >= *until).map(|_| End::Time),
            signal => Some(End::Signal(signal)),
        }
    }
}
