//! What ends a run by itself, and what may be typed to have it go on.

use std::path::Path;

use elbo::checkpoint::Course;
use elbo::config::{Config, Schedule, TrainConfig};

use crate::cli::run_name::typed;

/// A limit that a run has reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Limit {
    Epochs(u64),
    Steps(u64),
    /// Epochs without a better one.
    Patience(u64),
}

impl Limit {
    /// The limit that a run has reached after so many steps, if it has.
    pub(super) fn reached(train: &TrainConfig, course: &Course, step: u64) -> Option<Self> {
        let (epochs, steps) = (train.epochs as u64, train.max_steps);
        match train.patience {
            _ if course.epochs >= epochs => Some(Self::Epochs(epochs)),
            _ if steps > 0 && step >= steps => Some(Self::Steps(steps)),
            patience @ 1.. if course.since_best() >= patience => Some(Self::Patience(patience)),
            _ => None,
        }
    }

    /// The command that trains on; none where the learning rate has fallen to the end of its schedule, which a
    /// run cannot put off.
    pub(super) fn more(self, run: &Path, config: &Config) -> Option<String> {
        let (flag, most) = match self {
            Self::Epochs(_) if config.optimizer.schedule == Schedule::Cosine => return None,
            Self::Epochs(epochs) => ("epochs", epochs),
            Self::Steps(steps) => ("max-steps", steps),
            Self::Patience(patience) => ("patience", patience),
        };
        let twice = most.saturating_mul(2);
        Some(format!("elbo train --resume {} --{flag} {twice}", typed(run)))
    }
}

#[cfg(test)]
mod tests {
    use elbo::checkpoint::Best;

    use super::*;

    #[test]
    fn what_ended_a_run_can_be_put_off_or_not() {
        let mut config = Config::default();
        (config.train.epochs, config.train.max_steps, config.train.patience) = (9, 40, 3);
        let best = Some(Best { epoch: 2, loss: 1.0 });
        let course = |epochs, best| Course { epochs, best, ..Course::default() };
        let reached = |course: &Course, step| Limit::reached(&config.train, course, step);
        assert_eq!(reached(&course(4, best), 39), None, "two epochs were not better");
        assert_eq!(reached(&course(5, best), 39), Some(Limit::Patience(3)), "three were not");
        assert_eq!(reached(&course(5, None), 39), None, "there is no best to wait after");
        assert_eq!(reached(&course(4, best), 40), Some(Limit::Steps(40)), "steps");
        assert_eq!(reached(&course(9, best), 39), Some(Limit::Epochs(9)), "epochs");
        let run = Path::new("my runs/1");
        let more = |limit: Limit, config: &Config| limit.more(run, config).unwrap_or_default();
        let typed = "elbo train --resume 'my runs/1' --patience 6";
        assert_eq!(more(Limit::Patience(3), &config), typed, "as a shell takes it");
        assert!(more(Limit::Epochs(9), &config).ends_with("--epochs 18"), "epochs");
        config.optimizer.schedule = Schedule::Cosine;
        assert_eq!(more(Limit::Epochs(9), &config), "", "the rate has fallen to its end");
        assert!(more(Limit::Steps(40), &config).ends_with("--max-steps 80"), "steps");
    }
}
