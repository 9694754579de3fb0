//! What a run shows while it trains: a bar on stderr and lines above it, or a dashboard.

use std::collections::VecDeque;

use elbo::Result;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::signals::Signals;
use crate::cli::train::Args;
use crate::cli::train::dashboard::{About, Dashboard, Pictures, Point, Progress};
use crate::cli::{print_line, talk};

/// As many results and messages each as stay on the terminal after a dashboard.
const KEPT: usize = 20;

#[derive(Debug)]
pub(super) struct Screen {
    bar: ProgressBar,
    /// What a dashboard is to show, until it does.
    to_show: Option<(About, Vec<Point>, Signals)>,
    dashboard: Option<Dashboard>,
    /// What to say and to print once the dashboard has gone.
    said: VecDeque<String>,
    printed: VecDeque<String>,
    /// What stands above them.
    head: Option<String>,
    /// Results that had no room among these.
    left_out: usize,
}

impl Screen {
    pub(super) fn new(args: &Args) -> Self {
        let bar = if args.quiet || args.tui {
            ProgressBar::hidden()
        } else {
            let template = "epoch {prefix} {wide_bar} {pos}/{len}  {msg}  {eta} left";
            let style = ProgressStyle::with_template(template);
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        };
        Self {
            bar,
            to_show: None,
            dashboard: None,
            said: VecDeque::new(),
            printed: VecDeque::new(),
            head: None,
            left_out: 0,
        }
    }

    /// Shows a dashboard as soon as training begins, with what was trained before.
    pub(super) fn show(&mut self, about: About, epochs: Vec<Point>, signals: Signals) {
        self.to_show = Some((about, epochs, signals));
    }

    /// Training begins after so many steps, and ends after so many.
    pub(super) fn begin(&mut self, [first, last]: [u64; 2], per_epoch: u64) -> Result<()> {
        self.bar.set_length(last);
        if let Some((about, epochs, signals)) = self.to_show.take() {
            let dashboard = Dashboard::start(about, epochs, signals)?;
            dashboard.begin(first, last, per_epoch);
            self.dashboard = Some(dashboard);
        }
        Ok(())
    }

    /// An epoch begins.
    pub(super) fn epoch(&mut self, epoch: u64, of: usize) {
        self.bar.set_prefix(format!("{epoch}/{of}"));
        if let Some(dashboard) = &self.dashboard {
            dashboard.epoch(epoch, of);
        }
    }

    /// Training is so far, at so many images a second.
    pub(super) fn progress(&mut self, told: Progress, speed: f64) {
        self.bar.set_message(format!("loss {:.2}  {speed:.0} images/s", told.losses.loss));
        self.bar.set_position(told.step);
        if let Some(dashboard) = &self.dashboard {
            dashboard.progress(told);
        }
    }

    /// The test images are being evaluated.
    pub(super) fn evaluating(&mut self) {
        if let Some(dashboard) = &self.dashboard {
            dashboard.evaluating();
        }
    }

    /// The head of the table of epochs.
    pub(super) fn head(&mut self, line: String) -> Result<()> {
        if self.dashboard().is_none() {
            return self.bar.suspend(|| print_line(&line));
        }
        self.head = Some(line);
        Ok(())
    }

    /// An epoch was evaluated, which is told by a line.
    pub(super) fn evaluated(&mut self, point: Point, line: String) -> Result<()> {
        let Some(dashboard) = self.dashboard() else {
            return self.bar.suspend(|| print_line(&line));
        };
        dashboard.evaluated(point);
        self.printed.push_back(line);
        if self.printed.len() > KEPT {
            self.printed.pop_front();
            self.left_out += 1;
        }
        Ok(())
    }

    /// Whether somebody looks at pictures.
    pub(super) fn takes_pictures(&self) -> bool {
        self.dashboard.is_some()
    }

    pub(super) fn pictures(&mut self, pictures: Pictures) {
        if let Some(dashboard) = &self.dashboard {
            dashboard.pictures(pictures);
        }
    }

    /// The state was saved.
    pub(super) fn saved(&mut self, step: u64) {
        if let Some(dashboard) = &self.dashboard {
            dashboard.saved(step);
        }
    }

    /// Says something on stderr.
    pub(super) fn say(&mut self, line: &str) {
        let Some(dashboard) = self.dashboard() else {
            return self.bar.suspend(|| talk(line));
        };
        dashboard.say(line);
        self.said.push_back(line.to_owned());
        if self.said.len() > KEPT {
            self.said.pop_front();
        }
    }

    /// The dashboard, if it is there; if it was and is over, what it kept is told now.
    fn dashboard(&mut self) -> Option<&Dashboard> {
        if self.dashboard.as_ref().is_some_and(|dashboard| !dashboard.is_up()) {
            self.end();
        }
        self.dashboard.as_ref()
    }

    /// Training is over: from here on lines are printed as ever.
    pub(super) fn end(&mut self) {
        self.bar.finish_and_clear();
        let Some(mut dashboard) = self.dashboard.take() else { return };
        if let Some(e) = dashboard.end() {
            talk(&format!("the dashboard ended: {e}"));
        }
        self.said.drain(..).for_each(|line| talk(&line));
        if self.left_out > 0 {
            talk(&format!("metrics.jsonl tells of {} epochs before these", self.left_out));
        }
        for line in self.head.take().into_iter().chain(self.printed.drain(..)) {
            // It was a terminal, so that nothing but the user can be gone.
            let _ = print_line(&line);
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.end();
    }
}
