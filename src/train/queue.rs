//! Steps on their way: submitted, with the images of those behind them read meanwhile, and reported.

use crate::checkpoint::MOST_STEPS;
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::Sums;
use crate::train::parts::{Pending, Submit};
use crate::train::{Event, Step, Trainer};

impl Trainer {
    /// Queues training steps, many to a submit. On a GPU they may still run on return; what they
    /// report is taken in as it comes.
    ///
    /// # Errors
    ///
    /// A [`Numbers`](crate::ErrorKind::Numbers) error if a step was found to break, and
    /// [`NonFinite`](crate::config::NonFinite) has training stop there: its update and all later ones were
    /// not made. Also if the device is lost or does not finish in time, images cannot be read any more, or
    /// steps outgrow 32 bits.
    pub fn advance(&mut self, steps: u64) -> Result<()> {
        let target = self.target.saturating_add(steps);
        if target > MOST_STEPS {
            let what = format!("{target} steps are more than {MOST_STEPS}, which is the most");
            return Err(Error::new(ErrorKind::Limit, what).hint("begin anew with the weights"));
        }
        self.target = target;
        self.queue()
    }

    fn queue(&mut self) -> Result<()> {
        while self.trained.step < self.target {
            let from = self.trained.step;
            let count = (self.target - from).min(self.steps_per_submit() as u64);
            let submitted = self.submit(from, count);
            if submitted.is_err() {
                // Those before it are whole, and can be saved.
                self.target = from;
            }
            submitted?;
            self.trained.step += count;
            self.collect(false)?;
        }
        Ok(())
    }

    /// Submits so many steps from one on, and has the images of those behind them read meanwhile.
    fn submit(&mut self, from: u64, count: u64) -> Result<()> {
        for Submit { wanted, records, ends } in self.submits(from, count) {
            let first = self.model.submit(wanted, &records)?;
            let reports = (first..).zip(records);
            self.pending.extend(reports.map(|(tick, record)| Pending { tick, record, ends }));
        }
        let (asked, room) = self.model.ahead(self.step_use);
        let next = from + count;
        let coming: Vec<_> = match self.model.config.train.accumulate {
            1 => (next + asked..next + asked + room).map(|step| self.record(step)).collect(),
            _ => (next..next + asked + room).flat_map(|step| self.parts(step)).collect(),
        };
        self.model.expect(self.step_use, coming.into_iter())
    }

    /// Takes in the reports that have come, or all that will.
    fn collect(&mut self, wait: bool) -> Result<()> {
        while let Some(&Pending { tick, record, ends: [begins, ends] }) = self.pending.front() {
            let Some(report) = self.model.session.next_report(wait)? else { return Ok(()) };
            // Left over from an evaluation that timed out, or of a program that a host ran.
            if report.tick != tick {
                continue;
            }
            self.pending.pop_front();
            match report.status {
                0 => {
                    if begins {
                        self.under_way = Sums::default();
                    }
                    self.under_way.add(self.model.places.terms(&report), &record);
                    if ends {
                        self.trained.sums.join(&self.under_way);
                        if self.model.is_logged(&record) {
                            let norm = self.model.places.gradient_norm(&report);
                            let step = Step::new(&record, &self.under_way, norm);
                            self.tell(Event::Step(step));
                        }
                    }
                }
                status => self.broke(u64::from(record.step), status)?,
            }
        }
        Ok(())
    }

    /// Waits for all steps that were asked for.
    ///
    /// # Errors
    ///
    /// As [`advance`](Self::advance).
    pub fn wait(&mut self) -> Result<()> {
        self.collect(true)?;
        while self.trained.step < self.target {
            self.queue()?;
            self.collect(true)?;
        }
        Ok(())
    }
}
