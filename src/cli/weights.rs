//! Which weights of a run a verb takes: those of its best epoch, or the newest.

use std::path::{Path, PathBuf};

use elbo::checkpoint::State;
use elbo::{Error, Result};

use crate::cli::run_folder::{BEST, CHECKPOINT};
use crate::cli::summary::Header;

/// The flags that choose. Without one, early stopping decides.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct WeightArgs {
    /// Take the weights of the best epoch, which is the default after early stopping (`--patience`)
    #[arg(long, conflicts_with = "last")]
    best: bool,
    /// Take the newest weights, which is the default without early stopping
    #[arg(long)]
    last: bool,
}

/// Weights that were chosen.
#[derive(Debug)]
pub(super) struct Chosen {
    /// Where they lie.
    pub(super) path: PathBuf,
    pub(super) state: State,
    /// What is to be said where early stopping chose them.
    pub(super) said: Option<String>,
}

/// Whether a run that stopped early if it could has a best epoch, whose weights it stands for.
pub(super) fn stands_for_best(run: &Path) -> bool {
    let header = Header::read(&run.join(CHECKPOINT));
    header.is_ok_and(|run| run.config.train.patience > 0) && run.join(BEST).exists()
}

impl WeightArgs {
    /// Whether these are the weights that the run stands for.
    pub(super) fn are_the_runs(self, run: &Path) -> bool {
        let best = stands_for_best(run);
        run.is_dir() && !(if best { self.last } else { self.best })
    }

    /// The weights of a run's folder, or of the checkpoint that was named.
    pub(super) fn of(self, run: &Path) -> Result<Chosen> {
        if !run.is_dir() {
            let flag = if self.best { "--best" } else { "--last" };
            if (self.best || self.last) && run.exists() {
                let what = format!(
                    "`{flag}` takes the folder of a run, and `{}` is a file",
                    run.display()
                );
                return Err(
                    Error::config(what).hint(format!("name the folder, or leave `{flag}` out"))
                );
            }
            return Ok(Chosen { path: run.to_owned(), state: State::read(run)?, said: None });
        }
        let by_default = !self.best && !self.last && stands_for_best(run);
        let path = run.join(if self.best || by_default { BEST } else { CHECKPOINT });
        if self.best && !path.exists() && run.join(CHECKPOINT).exists() {
            let what = format!("`{}` has no best epoch: none was evaluated yet", run.display());
            return Err(Error::config(what).hint("leave `--best` out to take the newest weights"));
        }
        let state = State::read(&path)?;
        let said = by_default.then(|| {
            format!(
                "weights: of the best epoch, {}, as early stopping chose; `--last` takes the newest",
                state.course.epochs
            )
        });
        Ok(Chosen { path, state, said })
    }
}
