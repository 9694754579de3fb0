//! The tuner: which schedule of a product is the fastest on this device is measured, once.
//!
//! It works on a device of its own, so that ours goes on whatever a schedule does to that one.

mod kept;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::cpu::ProgramId;
use crate::engine::record::{Record, SLOTS};
use crate::engine::{Access, Dispatch, Dtype, Plan, Program, Schedule, Suits, Tensor};
use crate::error::{ErrorKind, Result};
use crate::gpu::tune::kept::File;
use crate::gpu::{Gpu, Options, Session};

/// When schedules are measured rather than chosen by rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tune {
    /// Never.
    #[default]
    Off,
    /// What is not known yet, on hardware, if there is a folder to keep it in: measured anew in
    /// every run, the choice could differ, and with it the last bits of a model.
    Auto,
    /// All, on any adapter, whatever is known.
    Always,
}

/// When measuring stops, after the schedule that it is at. What is left then is for the next run, and
/// until all is known the rule chooses, so that a model's bits change once at most.
const BUDGET: Duration = Duration::from_secs(4);

/// How long a schedule may take for one dispatch. A slower one may have hung.
const PATIENCE: Duration = Duration::from_secs(2);

/// Repetitions, of which the fastest counts: the others were disturbed.
const ROUNDS: usize = 5;

/// About how long a repetition takes: many dispatches of a small product, one of a large one.
const REPETITION: Duration = Duration::from_millis(2);

/// The share of the rule's time that another schedule must stay below.
const GAIN: f64 = 0.95;

/// Words at each end of a tensor that are compared. All tiles run the same code.
const WINDOW: usize = 1 << 16;

/// The largest error that passes, as a share of the largest element of a [`BLOCK`]: sums of positive
/// numbers in another order, in f32, or with operands in f16.
const TOLERANCE: [f64; 2] = [1e-4, 5e-3];

/// Neighbours that are judged by the largest of them. Biases, whose gradients are larger than those
/// of weights, begin at such a multiple.
const BLOCK: usize = 64;

/// Names of schedules by what they were measured for.
pub(super) type Choices = BTreeMap<String, String>;

/// What a choice is made for: a kernel and its parameters, which are the sizes of its product. One that sums squares
/// beside its product takes what was chosen for the one that does not.
pub(super) fn key(dispatch: &Dispatch) -> String {
    let name = dispatch.kernel.name();
    let name = name.strip_suffix("_squares").unwrap_or(name);
    let fields = dispatch.kernel.params_fields().iter();
    let words =
        dispatch.params.chunks_exact(4).map(|b| u32::from_ne_bytes([b[0], b[1], b[2], b[3]]));
    let fields = fields.zip(words).filter(|(_, word)| *word != 0);
    let fields: Vec<_> = fields.map(|(name, word)| format!("{name}={word}")).collect();
    format!("{name} {}", fields.join(" "))
}

impl Gpu {
    /// Measures which schedules run the dispatches of a program the fastest, if
    /// [`Options::tune`] asks for it, for sessions that are made after it. Only a device of our own
    /// is measured. It takes a few seconds, and as much memory as the plan until it returns. If they
    /// are not enough, the next call goes on, and the rule chooses until then.
    ///
    /// A schedule whose results are not those of the schedule that runs everywhere, or that the
    /// driver refuses, is left out; whatever else goes wrong leaves the choice to the rule.
    pub fn tune(&self, plan: &Plan, program: &Program, record: &Record) {
        let Some((number, options)) = &self.own else { return };
        let wanted = match options.tune {
            Tune::Off => false,
            Tune::Auto => options.cache.is_some() && !self.description.software,
            Tune::Always => true,
        };
        if wanted && self.schedule.is_none() {
            self.tune_anew(*number, options, &Task { plan, program, record, budget: BUDGET });
        }
    }

    /// Whether the schedules of a program were measured.
    #[must_use]
    pub fn is_tuned(&self, program: &Program) -> bool {
        let tuned = self.tuned();
        let mut choices = program.dispatches.iter().filter(|d| self.candidates(d).len() > 1);
        !tuned.is_empty() && choices.all(|dispatch| tuned.contains_key(&key(dispatch)))
    }

    fn tune_anew(&self, number: usize, options: &Options, task: &Task<'_>) {
        let folder = options.cache.as_deref();
        let read = || folder.map_or_else(|| File::of(self), |folder| File::of(self).read(folder));
        // What this device was measured for already, it keeps.
        let mut known = self.tuned().clone();
        if options.tune == Tune::Auto {
            known.extend(read().schedules);
        }
        let mut asked: BTreeMap<String, &Dispatch> = BTreeMap::new();
        for dispatch in &task.program.dispatches {
            let (candidates, key) = (self.candidates(dispatch), key(dispatch));
            let name = known.get(&key);
            if candidates.len() > 1
                && !candidates.iter().any(|c| Some(c.name) == name.map(|n| &**n))
            {
                asked.insert(key, dispatch);
            }
        }
        let count = asked.len();
        if count > 0 {
            // If it cannot be kept, the next run would measure anew, and choose otherwise.
            let kept = folder.map_or(Ok(()), |folder| read().write(folder));
            if let Err(e) = kept {
                tracing::warn!("schedules are not measured, as they cannot be kept: {e}");
                return;
            }
            let found = self.measure(number, task, asked).unwrap_or_else(|e| {
                tracing::warn!("schedules were not measured: {e}");
                Choices::new()
            });
            let done = found.len();
            tracing::info!("the schedules of {done} of {count} products were measured");
            known.extend(found.clone());
            let mut file = read();
            file.schedules.extend(found);
            if let Some(Err(e)) = folder.map(|folder| file.write(folder)) {
                tracing::warn!("the schedules that were measured were not kept: {e}");
                return;
            }
            if done < count {
                return;
            }
        }
        self.tuned().extend(known);
    }

    /// The schedules that a dispatch may run by here, in the row's order.
    fn candidates(&self, dispatch: &Dispatch) -> Vec<&'static Schedule> {
        let fit = |s: &&Schedule| self.can_run(s) && (s.suits != Suits::Mixed || self.mixed);
        dispatch.kernel.schedules().iter().filter(fit).collect()
    }

    /// The fastest schedules of dispatches, as far as time allows.
    fn measure(
        &self,
        number: usize,
        task: &Task<'_>,
        asked: BTreeMap<String, &Dispatch>,
    ) -> Result<Choices> {
        let start = Instant::now();
        let mut gpu = Self::open_for(number, &Options::default(), self.mixed)?;
        (gpu.mixed, gpu.timeout) = (self.mixed, PATIENCE);
        let session = Session::new(&gpu, task.plan, None)?;
        let mut bench = Bench { session, record: *task.record, end: start + task.budget };
        let mut choices = Choices::new();
        for (key, dispatch) in asked {
            if Instant::now() > bench.end {
                break;
            }
            match bench.fastest(dispatch) {
                Ok(Some(schedule)) => drop(choices.insert(key, schedule.to_owned())),
                Ok(None) => break,
                Err(e) => {
                    // The device is lost or busy for good. Not to be tried again.
                    tracing::warn!("a schedule of `{key}` failed: {e}");
                    choices.insert(key, self.schedule_by_rule(dispatch).name.to_owned());
                    if e.kind() == ErrorKind::Timeout {
                        // To drop a queue is to wait for it, here perhaps for ever.
                        std::mem::forget((bench, gpu));
                    }
                    break;
                }
            }
        }
        Ok(choices)
    }
}

/// What is tuned for.
struct Task<'t> {
    plan: &'t Plan,
    program: &'t Program,
    record: &'t Record,
    budget: Duration,
}

/// Where schedules are measured.
struct Bench {
    session: Session,
    record: Record,
    /// When to stop.
    end: Instant,
}

impl Bench {
    /// The name of the fastest schedule of a dispatch that computes what the last of the row does,
    /// unless time is up.
    ///
    /// # Errors
    ///
    /// If the device is of no use any more.
    fn fastest(&mut self, dispatch: &Dispatch) -> Result<Option<&'static str>> {
        let right = self.right(dispatch)?;
        if Instant::now() > self.end {
            return Ok(None);
        }
        let times = self.times(&right)?;
        let rule = self.session.gpu().schedule_by_rule(dispatch).name;
        Ok(Some(choose(&times, rule).unwrap_or(rule)))
    }

    /// The schedules of a dispatch that compute what the last of the row does, that one first, as
    /// programs.
    fn right(&mut self, dispatch: &Dispatch) -> Result<Vec<(&'static Schedule, ProgramId)>> {
        let gpu = self.session.gpu().clone();
        for (&tensor, binding) in dispatch.bindings.iter().zip(dispatch.kernel.bindings()) {
            if binding.access == Access::Read {
                self.session.write_bits(tensor, 0, &content(tensor))?;
            }
        }
        let mut right: Vec<(&'static Schedule, ProgramId)> = Vec::new();
        let mut expected = None;
        for schedule in gpu.candidates(dispatch).into_iter().rev() {
            if Instant::now() > self.end {
                break;
            }
            let program = Program::new("a schedule", &[std::slice::from_ref(dispatch)]);
            let loaded = match self.session.load_by(&program, schedule.name) {
                Err(e) if e.kind() == ErrorKind::Device => {
                    tracing::debug!("`{}` is refused: {e}", schedule.name);
                    continue;
                }
                loaded => loaded?,
            };
            let found = self.results(dispatch, loaded)?;
            let tolerance = TOLERANCE[usize::from(schedule.suits == Suits::Mixed)];
            if agree(expected.get_or_insert_with(|| found.clone()), &found, tolerance) {
                right.push((schedule, loaded));
            } else {
                tracing::debug!("`{}` computes something else", schedule.name);
            }
        }
        Ok(right)
    }

    /// What a program leaves of a dispatch that started from zeros, at the ends of each tensor that
    /// it writes.
    fn results(&mut self, dispatch: &Dispatch, program: ProgramId) -> Result<Vec<Written>> {
        let mut parts = Vec::new();
        for (&tensor, binding) in dispatch.bindings.iter().zip(dispatch.kernel.bindings()) {
            if binding.access == Access::Write {
                let length = tensor.words().min(WINDOW);
                let last = tensor.words() - length;
                parts.extend([(tensor, 0, length), (tensor, last, length)]);
            }
        }
        for &(tensor, first, length) in &parts {
            self.session.write_bits(tensor, first, &vec![0; length])?;
        }
        self.session.run(program, &[self.record])?;
        let read = |(tensor, first, length): (Tensor, usize, usize)| {
            let bits = self.session.read_bits(tensor, first, length)?;
            Ok(Written { floats: tensor.dtype() == Dtype::F32, bits })
        };
        parts.into_iter().map(read).collect()
    }

    /// Seconds that each program takes, in rounds of all in turn.
    fn times(&mut self, programs: &[(&'static Schedule, ProgramId)]) -> Result<Vec<Timed>> {
        let mut times: Vec<Timed> = programs.iter().map(|(s, _)| (s.name, f64::INFINITY)).collect();
        if times.len() < 2 {
            return Ok(times);
        }
        for _ in 0..ROUNDS {
            for (time, &(_, program)) in times.iter_mut().zip(programs) {
                // The first time is that of a dispatch alone, and too long for it.
                let fit = (REPETITION.as_secs_f64() / time.1) as usize;
                let records = vec![self.record; fit.clamp(1, SLOTS)];
                let start = Instant::now();
                self.session.run(program, &records)?;
                self.session.wait()?;
                time.1 = time.1.min(start.elapsed().as_secs_f64() / records.len() as f64);
            }
            if Instant::now() > self.end {
                break;
            }
        }
        Ok(times)
    }
}

/// A schedule's name and the seconds that it took.
type Timed = (&'static str, f64);

/// The fastest schedule, or the rule's if that is about as fast: then the machine's noise would
/// choose.
fn choose(times: &[Timed], rule: &str) -> Option<&'static str> {
    let fastest = times.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let ruled = times.iter().find(|(name, _)| *name == rule);
    Some(ruled.filter(|ruled| fastest.1 > GAIN * ruled.1).unwrap_or(fastest).0)
}

/// What a tensor is filled with: positive numbers, so that sums have no digits to lose, of a size
/// that makes sums of a row's products about one; or places from 0 on. Padding is zero.
fn content(tensor: Tensor) -> Vec<u32> {
    let mut bits = vec![0; tensor.words()];
    let mut state = 1_u32;
    for (row, bits) in bits.chunks_mut(tensor.stride()).take(tensor.rows()).enumerate() {
        for (col, bits) in bits.iter_mut().take(tensor.cols()).enumerate() {
            *bits = match tensor.dtype() {
                Dtype::U32 => (row * tensor.cols() + col) as u32,
                Dtype::F32 => {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let unit = (state >> 8) as f32 / 16_777_216.0;
                    ((0.5 + unit) / (tensor.cols() as f32).sqrt()).to_bits()
                }
            };
        }
    }
    bits
}

/// Part of a tensor that a schedule wrote.
#[derive(Clone, Debug)]
struct Written {
    floats: bool,
    bits: Vec<u32>,
}

/// Whether results are those expected: words to the bit, floats by the largest of their block.
fn agree(expected: &[Written], found: &[Written], tolerance: f64) -> bool {
    expected.iter().zip(found).all(|(expected, found)| {
        if !expected.floats {
            return expected.bits == found.bits;
        }
        let float = |bits: &u32| f64::from(f32::from_bits(*bits));
        let mut blocks = expected.bits.chunks(BLOCK).zip(found.bits.chunks(BLOCK));
        blocks.all(|(expected, found)| {
            let largest = expected.iter().map(float).fold(0.0, |most: f64, v| most.max(v.abs()));
            let mut pairs = expected.iter().zip(found);
            // Written so that a NaN fails.
            pairs.all(|(e, f)| (float(e) - float(f)).abs() <= tolerance * largest)
        })
    })
}

#[cfg(test)]
mod tests;
