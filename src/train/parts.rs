//! The parts of a training step: one, or several whose gradients are added before the update.

use crate::engine::Record;
use crate::error::Result;
use crate::evaluate::Model;
use crate::model::{Part, Use};
use crate::train::Trainer;

/// A part whose report has not come back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    /// What its report goes by.
    pub(super) tick: u32,
    pub(super) record: Record,
    /// Whether a step begins with it, and whether one ends.
    pub(super) ends: [bool; 2],
}

/// What a submit runs.
pub(super) struct Submit {
    pub(super) wanted: Use,
    pub(super) records: Vec<Record>,
    /// Whether steps begin with each of them, and whether they end.
    pub(super) ends: [bool; 2],
}

/// The parts of a step with this record, of at most so many images.
pub(super) fn parts_of(record: Record, most: usize) -> Vec<Record> {
    let (mut parts, mut rest) = (Vec::new(), record);
    while rest.rows > 0 {
        parts.push(Record { rows: rest.rows.min(most as u32), ..rest });
        rest = rest.after_rows(most);
    }
    parts
}

/// Loads the programs of steps in parts, if the model's steps may have several.
pub(super) fn load(model: &mut Model) -> Result<()> {
    if model.config.train.accumulate > 1 {
        for part in [Part::First, Part::Middle, Part::Last] {
            model.load(Use::Part(part))?;
        }
    }
    Ok(())
}

impl Trainer {
    /// The records of a step's parts; the step is counted from zero.
    pub(super) fn parts(&self, step: u64) -> Vec<Record> {
        parts_of(self.record(step), self.model.config.train.part_size())
    }

    /// What runs so many steps from one on; where they have parts, that is one step.
    pub(super) fn submits(&self, from: u64, count: u64) -> Vec<Submit> {
        let mut records: Vec<_> = (from..from + count).flat_map(|step| self.parts(step)).collect();
        let whole = |records| Submit { wanted: self.step_use, records, ends: [true; 2] };
        if self.model.config.train.accumulate == 1 {
            return vec![whole(records)];
        }
        let Some(end) = records.pop() else { return Vec::new() };
        if records.is_empty() {
            // The last minibatch of an epoch may have no more images than a part.
            return vec![whole(vec![end])];
        }
        let begin = vec![records.remove(0)];
        let mut submits =
            vec![Submit { wanted: Use::Part(Part::First), records: begin, ends: [true, false] }];
        let middle = Use::Part(Part::Middle);
        submits.extend(records.chunks(self.model.most(middle)).map(|records| Submit {
            wanted: middle,
            records: records.to_vec(),
            ends: [false; 2],
        }));
        submits.push(Submit {
            wanted: Use::Part(Part::Last),
            records: vec![end],
            ends: [false, true],
        });
        submits
    }
}
