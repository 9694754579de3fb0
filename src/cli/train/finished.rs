//! Whether a run that is to go on has anything left to do.

use std::path::Path;

use elbo::checkpoint::State;
use elbo::config::{Config, Schedule};
use elbo::{Error, Result};
use serde_json::Value;

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
    let name = run.display();
    let more = match to.optimizer.schedule {
        Schedule::Cosine => "its learning rate has fallen to the end of the schedule `cosine`; \
                             a new run may begin with more `--epochs`"
            .to_owned(),
        _ => format!("`elbo train --resume {name} --epochs {}` trains on", 2 * epochs.max(done)),
    };
    let since = state.course.best.map_or(0, |best| done - best.epoch);
    let patience = to.train.patience;
    let why = if done >= epochs {
        [format!("all {} are done", counted(epochs, "epoch")), more]
    } else if steps > 0 && step >= steps {
        let on = format!("`elbo train --resume {name} --max-steps {}` trains on", 2 * steps);
        [format!("all {} are done", counted(steps, "step")), on]
    } else if patience > 0 && since >= patience {
        let on = format!("`elbo train --resume {name} --patience {}` trains on", 2 * patience);
        [format!("early stopping ended it after epoch {done}"), on]
    } else {
        return Ok(None);
    };
    Ok(Some(why).filter(|_| is_written(run, step)))
}

/// Whether the run came to its end at this step, and all was written: it says so last.
fn is_written(run: &Path, step: u64) -> bool {
    let end = lines(&run.join(TIMINGS)).filter(|line| line["event"] == "end").last();
    let whole = |end: &Value| end["step"] == step && end["status"] != "failed";
    end.as_ref().is_some_and(whole) && run.join(WEIGHTS).exists()
}
