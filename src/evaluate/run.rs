//! How a model's programs are run, each on the images that it takes.

use std::borrow::Cow;

use crate::cpu::ProgramId;
use crate::engine::record::SLOTS;
use crate::engine::{Access, Dtype, Record};
use crate::error::{Error, ErrorKind, Result};
use crate::evaluate::Model;
use crate::kernels::finite::LARGEST;
use crate::model::Use;

/// Which images a program takes from where they come to the device, if it does: those to train on, or those
/// to look at.
fn feed_of(wanted: Use) -> Option<usize> {
    match wanted {
        Use::Step(_) | Use::LoggedStep(_) | Use::Part(_) => Some(0),
        Use::Evaluate | Use::EvaluateAtMean | Use::Encode => Some(1),
        Use::Weigh | Use::Prior | Use::Descend | Use::Decode => None,
    }
}

impl Model {
    /// A program of the model, which is recorded and loaded when it is first wanted.
    pub(crate) fn load(&mut self, wanted: Use) -> Result<ProgramId> {
        if let Some(&id) = self.loaded.get(&wanted) {
            return Ok(id);
        }
        let program = self.vae.program(wanted)?.clone();
        self.session.extend(&self.vae.plan)?;
        let id = self.session.load(&program)?;
        self.loaded.insert(wanted, id);
        Ok(id)
    }

    /// How many steps of a program one submit may hold at the most.
    pub(crate) fn most(&self, wanted: Use) -> usize {
        feed_of(wanted).map_or(SLOTS, |feed| self.feeds[feed].room())
    }

    /// How many steps of a program the next submit may hold.
    pub(crate) fn room(&self, wanted: Use) -> usize {
        let steps = self.steps_per_submit.unwrap_or_else(|| {
            let loaded = self.loaded.get(&wanted);
            loaded.map_or(1, |&program| self.session.steps_per_submit(program))
        });
        steps.min(self.most(wanted))
    }

    /// Whether a training step is logged.
    pub(crate) fn is_logged(&self, record: &Record) -> bool {
        let every = self.config.train.log_every;
        every > 0 && (u64::from(record.step) + 1).is_multiple_of(every)
    }

    /// Runs a program once for each record, on its images, or where a step is logged, the program that does that;
    /// gives the tick of the first.
    pub(crate) fn submit(&mut self, wanted: Use, records: &[Record]) -> Result<u32> {
        let program = self.load(wanted)?;
        let mut programs = vec![program; records.len()];
        for (program, record) in programs.iter_mut().zip(records) {
            if let Some(logged) = wanted.logged().filter(|_| self.is_logged(record)) {
                *program = self.load(logged)?;
            }
        }
        let placed = self.placed(wanted, records)?;
        self.session.run_awaited(program, &programs, &placed)
    }

    /// Runs a program once, on its images, and gives the kernels' names with the seconds of each dispatch.
    pub(crate) fn profile(&mut self, wanted: Use, record: Record) -> Result<Vec<(String, f64)>> {
        let program = self.load(wanted)?;
        let placed = self.placed(wanted, std::slice::from_ref(&record))?;
        self.session.profile(program, placed[0])
    }

    /// The records, with the place of their images where a window holds them, which they are brought into.
    fn placed<'r>(&mut self, wanted: Use, records: &'r [Record]) -> Result<Cow<'r, [Record]>> {
        match feed_of(wanted) {
            None => Ok(Cow::Borrowed(records)),
            Some(feed) => self.feeds[feed].place(&mut self.session, records),
        }
    }

    /// How many minibatches are being read ahead for a program, and how many more may be.
    pub(crate) fn ahead(&self, wanted: Use) -> (u64, u64) {
        feed_of(wanted).map_or((0, 0), |feed| self.feeds[feed].ahead())
    }

    /// Has the images of records that will be submitted read ahead.
    pub(crate) fn expect(
        &mut self,
        wanted: Use,
        coming: impl Iterator<Item = Record>,
    ) -> Result<()> {
        feed_of(wanted).map_or(Ok(()), |feed| self.feeds[feed].expect(coming))
    }

    /// Runs a program once, and waits until it is done. Reports before its own belong to nobody.
    pub(crate) fn run_one(&mut self, wanted: Use, record: Record) -> Result<()> {
        let tick = self.submit(wanted, &[record])?;
        if !record.shuffle {
            let next = record.after_rows(record.rows as usize);
            let rows = record.rows.min(record.images.saturating_sub(next.first));
            self.expect(wanted, (rows > 0).then_some(Record { rows, ..next }).into_iter())?;
        }
        while let Some(report) = self.session.next_report(true)? {
            if report.tick == tick {
                return Ok(());
            }
        }
        Err(Error::new(ErrorKind::Device, "a report did not come back"))
    }

    /// Runs a program again, and names the first tensor that it makes which is not finite, or a gradient
    /// that is too large, in the program's order.
    pub(crate) fn first_broken(&mut self, wanted: Use, record: Record) -> Result<Option<String>> {
        self.run_one(wanted, record)?;
        let program = self.vae.program(wanted)?.clone();
        for dispatch in &program.dispatches {
            for (&tensor, binding) in dispatch.bindings.iter().zip(dispatch.kernel.bindings()) {
                if binding.access == Access::Read || tensor.dtype() == Dtype::U32 {
                    continue;
                }
                let gradient = self.vae.parameters.list().iter().any(|p| p.grad == tensor);
                let limit = if gradient { LARGEST } else { f64::INFINITY };
                let values = self.session.read(tensor)?;
                let broken = |v: &&f32| !v.is_finite() || f64::from(v.abs()) >= limit;
                if let Some(value) = values.iter().find(broken) {
                    let name = self.vae.describe(tensor);
                    return Ok(Some(format!("`{name}` holds {value:e}")));
                }
            }
        }
        Ok(None)
    }
}
