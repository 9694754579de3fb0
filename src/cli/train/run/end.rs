//! The end of a run: the weights that it stands for, their losses, and what is told and written of it.

use elbo::checkpoint::{State, Trained, write_whole};
use elbo::{Error, ErrorKind, Evaluation, Model, Result};
use serde_json::json;

use crate::cli::card::card;
use crate::cli::limit::Limit;
use crate::cli::report;
use crate::cli::run_folder::{BEST, WEIGHTS};
use crate::cli::train::about::{Outcome, counted};
use crate::cli::train::run::{End, Run};
use crate::cli::{print_line, talk};

impl Run<'_> {
    pub(super) fn finish(&mut self, end: End) -> Result<u8> {
        let Trained { step, skipped, rolled_back, .. } = self.trainer.trained();
        if self.saved != Some((step, rolled_back)) {
            self.save()?;
        }
        let best = self.take_best()?;
        let takes_best = best.is_some();
        let state = &best.map_or_else(|| self.state(), Ok)?;
        let weights = self.log.folder.path().join(WEIGHTS);
        self.trainer.save_weights(&weights)?;
        let tested = self.tested(end, state)?;
        self.describe(state, &tested)?;
        if let Some((_, test)) = tested.last().filter(|_| end.is_whole()) {
            let best = self.course.best.map(|best| best.loss);
            self.log.result(state.trained.step, test.sampled, best)?;
        }
        let took = self.span.start.elapsed();
        self.log.end((end.status(), None), step, took.as_secs_f64())?;
        self.report()?;
        let folder = self.log.folder.path();
        if self.args.json {
            let mut line = json!({
                "event": "end", "status": end.status(), "step": step, "test_loss": null,
                "skipped": skipped, "rolled_back": rolled_back, "seconds": took.as_secs_f64(),
                "best_epoch": self.course.best.map(|best| best.epoch),
                "weights_step": state.trained.step, "run": folder.display().to_string(),
            });
            for (which, tested) in &tested {
                line[format!("{which}_loss")] = json!(tested.sampled.loss);
            }
            print_line(&line.to_string())?;
            return Ok(end.code());
        }
        let outcome = Outcome {
            why: self.why(end),
            limit: Limit::reached(&self.trainer.config().train, &self.course, step)
                .filter(|_| end.is_whole()),
            step,
            took,
            config: self.trainer.config(),
            tested: &tested,
            best: self.course.best,
            epochs: self.course.epochs,
            takes_best,
            broke: [skipped, rolled_back],
            folder: (!self.args.fast_dev_run).then_some(folder),
        };
        outcome.lines().iter().try_for_each(|line| print_line(line))?;
        Ok(end.code())
    }

    /// Why the run ended, in words.
    fn why(&self, end: End) -> String {
        let config = self.trainer.config();
        let train = &config.train;
        match end {
            End::Done if self.course.epochs >= train.epochs as u64 => {
                format!("done: {}", counted(self.course.epochs, "epoch"))
            }
            End::Done => "done: as far as --max-steps".to_owned(),
            End::Patience => format!(
                "stopped early: no lower {} loss in {} (--patience)",
                config.data.looked_at(),
                counted(train.patience, "epoch")
            ),
            End::Time => "stopped: the time is up (--max-time)".to_owned(),
            End::Asked | End::Signal(_) => {
                format!("stopped by {}", self.signals.why_end().unwrap_or("a signal"))
            }
        }
    }

    /// Takes the weights of the best epoch, if early stopping chose one; its state.
    fn take_best(&mut self) -> Result<Option<State>> {
        if self.trainer.config().train.patience == 0 || self.course.best.is_none() {
            return Ok(None);
        }
        let best = State::read(&self.log.folder.path().join(BEST))?;
        self.over = true;
        self.trainer.restore(&best)?;
        Ok(Some(best))
    }

    /// The losses of the weights that the run stands for, by the images that they are of. Who cuts a run off
    /// does not wait for them.
    fn tested(&mut self, end: End, state: &State) -> Result<Vec<(&'static str, Evaluation)>> {
        let step = state.trained.step;
        // Cut short, the last evaluation is of earlier weights.
        let known = self.last.filter(|(at, _)| *at == step).map(|(_, last)| last);
        let looked_at = match known {
            None if end.is_whole() => Some(self.trainer.evaluate()?),
            known => known,
        };
        let mut tested: Vec<_> = looked_at
            .map(|tested| (self.trainer.config().data.looked_at(), tested))
            .into_iter()
            .collect();
        if let Some(test) = self.span.test.as_ref().filter(|_| end.is_whole()) {
            let mut model = Model::new(&self.span.device, state, Some(test))?;
            tested.push(("test", model.evaluate()?));
        }
        Ok(tested)
    }

    /// Writes what people read of the run.
    fn describe(&self, state: &State, tested: &[(&str, Evaluation)]) -> Result<()> {
        let about = card(state, tested)?;
        write_whole(&self.log.folder.path().join("model-card.md"), about.as_bytes())
    }

    fn report(&self) -> Result<()> {
        match report::write(self.log.folder.path()) {
            // The page is of other files too; what is wrong with those does not undo the run.
            Err(e) if e.kind() == ErrorKind::Data => {
                talk(&format!("there is no report: {e}"));
                Ok(())
            }
            written => written.map(drop),
        }
    }

    /// Tells of an error that ended training, and where it can go on.
    pub(super) fn fail(&mut self, error: Error) -> Result<u8> {
        let _ = self.tell_steps();
        let Trained { step, rolled_back, .. } = self.trainer.trained();
        let new = !self.over && self.saved != Some((step, rolled_back));
        if new && matches!(error.kind(), ErrorKind::Io | ErrorKind::Data) {
            // Images could not be read any more: the steps before are whole.
            let _ = self.save();
        }
        // What ended training matters more than whether this can be told.
        let _ = self.log.end(
            ("failed", Some(error.to_string())),
            step,
            self.span.start.elapsed().as_secs_f64(),
        );
        let _ = self.log.failed();
        let _ = report::write(self.log.folder.path());
        let (run, saved) = (self.log.folder.path().display(), self.saved.map(|(step, _)| step));
        if self.args.json {
            let line = json!({
                "event": "end", "status": "failed", "step": self.trainer.steps_taken(),
                "saved": saved, "error": error.to_string(), "run": run.to_string(),
            });
            let _ = print_line(&line.to_string());
        } else if let Some(step) = saved {
            let way = match error.kind() {
                // The same steps would break again.
                ErrorKind::Numbers => format!("`elbo export {run}` gives its weights"),
                _ => format!("`elbo train --resume {run}` goes on there"),
            };
            talk(&format!("saved last after step {step}: {way}"));
        }
        Err(error)
    }
}
