//! What is done when the numbers break: what broke is named, and training stops, leaves the step out,
//! or goes back.

use crate::config::NonFinite;
use crate::engine::Fusion;
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::finite::WEIGHT;
use crate::model::Use;
use crate::train::diagnosis::LARGE;
use crate::train::{Event, Trainer};

/// How often training goes back to one state, with half the rate each time, before it stops.
const MOST_RETURNS: u32 = 20;

/// How training went on after the numbers broke.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    /// With the next step, as if this one had not been.
    Skipped,
    /// From an earlier state.
    RolledBack {
        /// The steps that had been taken there.
        to: u64,
        /// What the configured learning rate is multiplied by from now on.
        rate_scale: f64,
    },
}

/// A step whose numbers broke, and that training survived.
#[derive(Clone, Debug, PartialEq)]
pub struct Broken {
    /// The step, counted from one.
    pub step: u64,
    /// The first tensor that was not finite, and a value in it.
    pub what: String,
    /// How training went on.
    pub way: Way,
}

impl Trainer {
    /// Keeps the state as a good one, if training may have to go back to it.
    pub(crate) fn keep_good(&mut self) -> Result<()> {
        if self.model.config.train.non_finite == NonFinite::RollBack {
            let state = self.state()?;
            self.good = Some((Box::new(state), 0));
        }
        Ok(())
    }

    /// Goes on after a step that broke, counted from zero, or does not.
    pub(super) fn broke(&mut self, step: u64, status: u32) -> Result<()> {
        let what = self.name_broken(step, status);
        let step = step + 1;
        // What is in flight changes nothing, and its reports say nothing new.
        self.pending.clear();
        let way = match self.model.config.train.non_finite {
            // Some weights may have been written before another was found to break.
            NonFinite::Skip if status & WEIGHT == 0 => {
                self.clear_guard()?;
                self.trained.step = step;
                self.trained.skipped += 1;
                Way::Skipped
            }
            NonFinite::RollBack => {
                let target = self.target;
                let way = self.roll_back()?;
                // The steps that were asked for still are.
                self.target = target;
                match way {
                    Some(way) => way,
                    None => return Err(self.stopped(step, &what)),
                }
            }
            NonFinite::Skip | NonFinite::Stop => return Err(self.stopped(step, &what)),
        };
        self.note_broken(step, what, way);
        Ok(())
    }

    pub(crate) fn note_broken(&mut self, step: u64, what: String, way: Way) {
        tracing::warn!("the numbers broke at step {step}: {what}; {way:?}");
        self.tell(Event::Broken(Broken { step, what, way }));
    }

    /// Goes back to the last good state with half the rate, unless that was tried often enough.
    pub(crate) fn roll_back(&mut self) -> Result<Option<Way>> {
        let Some((good, returns)) = self.good.take() else { return Ok(None) };
        if returns == MOST_RETURNS {
            return Ok(None);
        }
        let (scale, skipped) = (0.5 * self.trained.rate_scale, self.trained.skipped);
        let rolled_back = self.trained.rolled_back + 1;
        self.put(&good)?;
        (self.trained.rate_scale, self.trained.skipped) = (scale, skipped);
        self.trained.rolled_back = rolled_back;
        let to = self.trained.step;
        self.good = Some((good, returns + 1));
        Ok(Some(Way::RolledBack { to, rate_scale: scale }))
    }

    pub(super) fn clear_guard(&mut self) -> Result<()> {
        let guard = self.model.vae.ports.reports.slots.guard;
        self.model.session.write_bits(guard, 0, &vec![0; guard.words()])
    }

    fn stopped(&self, step: u64, what: &str) -> Error {
        let pixel = self.model.reading.shown.iter().fold(0.0, |most: f32, v| most.max(v.abs()));
        let optimizer = &self.model.config.optimizer;
        let hint = match optimizer.clip_norm {
            _ if pixel > LARGE => {
                "pixels are so large that no learning rate fits them: `--range standardise` brings them near 1, \
                 `--range columns` each column"
            }
            0.0 if !optimizer.normalise => {
                "lower the learning rate (`--lr`), or clip the gradients (`--clip-norm`)"
            }
            _ => "lower the learning rate (`--lr`)",
        };
        let what = format!("the numbers broke at step {step}: {what}");
        Error::new(ErrorKind::Numbers, what).hint(hint)
    }

    /// Says what broke. If it was a loss or a gradient, the step runs again, and the first tensor that
    /// is not finite is named, in the program's order. A fused step may have updated other weights
    /// by then, and what broke need not break again.
    fn name_broken(&mut self, step: u64, status: u32) -> String {
        let found = if status == WEIGHT { Ok(None) } else { self.replay(step) };
        match found {
            Ok(Some(found)) => found,
            Ok(None) if status == WEIGHT => "the update of the weights left f32's range".to_owned(),
            Ok(None) => "a gradient left f32's range".to_owned(),
            Err(e) => format!("what broke is not known, since {e}"),
        }
    }

    fn replay(&mut self, step: u64) -> Result<Option<String>> {
        let parts = self.parts(step);
        // Where it was fused, not everything was stored.
        let whole = Use::Step(Fusion::Nothing);
        for record in parts {
            let found = self.model.first_broken(whole, record)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}
