//! Whether a run that is to go on has anything left to do.

use std::path::Path;

use elbo::checkpoint::State;
use elbo::{Config, Error, Result};
use serde_json::Value;

use crate::cli::limit::Limit;
use crate::cli::run_folder::{TIMINGS, WEIGHTS, lines};
use crate::cli::train::about::counted;

/// Why a run has nothing left to do, and how it could go on, if it is finished and all was written that a
/// finished run has.
///
/// # Errors
///
/// If it is to end before where it is.
pub(super) fn finished(run: &Path, state: &State, to: &Config) -> Result<Option<[String; 2]>> {
    let (done, step) = (state.course.epochs, state.trained.step);
    let (epochs, steps) = (to.train.epochs as u64, to.train.max_steps);
    for (flag, to, done, what) in [
        ("--epochs", epochs, done, "epoch"),
        ("--max-steps", if steps > 0 { steps } else { step }, step, "step"),
    ] {
        if to < done {
            let what = format!("`{flag}` is {to}, but {} are done", counted(done, what));
            return Err(Error::config(what)
                .hint("give a larger number; a run cannot go back to before what it has learned"));
        }
    }
    let Some(limit) = Limit::reached(&to.train, &state.course, step) else { return Ok(None) };
    let why = match limit {
        Limit::Epochs(epochs) => format!("all {} are done", counted(epochs, "epoch")),
        Limit::Steps(steps) => format!("all {} are done", counted(steps, "step")),
        Limit::Patience(_) => format!("early stopping ended it after epoch {done}"),
    };
    let more = match limit.more(run, to) {
        Some(command) => format!("`{command}` trains on"),
        None => {
            "its learning rate has fallen to the end of the schedule `cosine`; a new run may begin \
                 with more `--epochs`"
                .to_owned()
        }
    };
    Ok(Some([why, more]).filter(|_| is_written(run, step)))
}

/// Whether the run came to its end at this step, and all was written: it says so last.
pub(in crate::cli) fn is_written(run: &Path, step: u64) -> bool {
    let end = lines(&run.join(TIMINGS)).filter(|line| line["event"] == "end").last();
    let whole = |end: &Value| end["step"] == step && end["status"] != "failed";
    end.as_ref().is_some_and(whole) && run.join(WEIGHTS).exists()
}
