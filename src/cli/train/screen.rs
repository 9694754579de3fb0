//! What a run shows while it trains: a bar on stderr, and lines above it.

use elbo::Result;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::train::Args;
use crate::cli::{print_line, talk};

#[derive(Debug)]
pub(super) struct Screen {
    bar: ProgressBar,
}

impl Screen {
    pub(super) fn new(args: &Args) -> Self {
        if args.quiet {
            return Self { bar: ProgressBar::hidden() };
        }
        let template = "epoch {prefix} {wide_bar} {pos}/{len}  {msg}  {eta} left";
        let style = ProgressStyle::with_template(template);
        let bar = ProgressBar::new(0);
        Self { bar: bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())) }
    }

    /// Training begins, and ends after so many steps.
    pub(super) fn begin(&mut self, steps: u64) {
        self.bar.set_length(steps);
    }

    /// An epoch begins.
    pub(super) fn epoch(&mut self, epoch: u64, of: usize) {
        self.bar.set_prefix(format!("{epoch}/{of}"));
    }

    /// So many steps are done, at this mean loss of the epoch so far and so many images a second.
    pub(super) fn progress(&mut self, step: u64, loss: f64, speed: f64) {
        self.bar.set_message(format!("loss {loss:.2}  {speed:.0} images/s"));
        self.bar.set_position(step);
    }

    /// Says something on stderr.
    pub(super) fn say(&mut self, line: &str) {
        self.bar.suspend(|| talk(line));
    }

    /// Prints a result.
    pub(super) fn print(&mut self, line: &str) -> Result<()> {
        self.bar.suspend(|| print_line(line))
    }

    /// Training is over: from here on lines are printed as ever.
    pub(super) fn end(&mut self) {
        self.bar.finish_and_clear();
    }
}
