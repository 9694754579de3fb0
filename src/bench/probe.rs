//! The practical peaks of a device, by kernels that do one thing each.

use crate::bench::{Figure, percentile, timed};
use crate::cpu::ProgramId;
use crate::engine::plan::MAX_BINDING_BYTES;
use crate::engine::record::{RATES, Record, SLOTS};
use crate::engine::{Parameters, Plan, Program, Tape, Tensor};
use crate::error::Result;
use crate::kernels::probe::{FLOPS, record_copy, record_multiply_add, record_touch};
use crate::kernels::reduce::reports;
use crate::session::{Device, Session};

/// Elements that the multiply-adds run over: a thread each for four times as many as any device has.
const WIDE: usize = 1 << 20;

/// Elements of a copy: the largest binding, so that no cache holds it.
const LONG: usize = (MAX_BINDING_BYTES / 4) as usize;

/// Touches in the longer of two chains, whose difference is the cost of one more.
const CHAIN: usize = 257;

/// A dispatch of multiply-adds takes at least this, so that starting it counts little, ...
const ENOUGH: f64 = 5e-3;

/// ... and a sample this: several runs, in one submit.
const SAMPLE: f64 = 20e-3;

/// Submits of which a sample of their cost is the median.
const SUBMITS: usize = 9;

/// What a device can do at best, as this crate's kernels see it.
#[derive(Clone, Debug)]
pub struct Peaks {
    /// Multiply-adds in f32, each two operations, in GFLOP/s.
    pub multiply_add: Figure,
    /// Reading and writing, both counted, in GB/s.
    pub copy: Figure,
    /// A dispatch that waits for the one before it, in µs.
    pub dispatch: Figure,
    /// A submit of one small dispatch, from the call until it is known to be done, in µs.
    pub submit: Figure,
}

impl Peaks {
    /// All four.
    #[must_use]
    pub fn list(&self) -> [&Figure; 4] {
        [&self.multiply_add, &self.copy, &self.dispatch, &self.submit]
    }
}

/// Finds a device's practical peaks, each so many times; takes about a second, and 256 MiB.
///
/// # Errors
///
/// If the device lacks the memory, is lost, or refuses.
pub fn probe(device: &Device, repetitions: usize) -> Result<Peaks> {
    let mut plan = Plan::new();
    let slots = reports(&mut plan, &[]).slots;
    let mut vector = |name, len| plan.vector(name, len);
    let (x, y) = (vector("probe x", LONG), vector("probe y", LONG));
    let counter = vector("probe counter", 64);
    let session = Session::new(device, &plan, slots)?;
    let mut probe = Probe { session, plan, repetitions };
    let part = |tensor: Tensor| Tensor { cols: WIDE, stride: WIDE, words: WIDE, ..tensor };
    Ok(Peaks {
        multiply_add: probe.multiply_add(part(x), part(y))?,
        copy: probe.copy(x, y)?,
        dispatch: probe.dispatch(counter)?,
        submit: probe.submit(counter)?,
    })
}

struct Probe {
    session: Session,
    plan: Plan,
    repetitions: usize,
}

impl Probe {
    fn load(&mut self, record: impl FnOnce(&mut Tape<'_>)) -> Result<ProgramId> {
        let mut parameters = Parameters::new();
        let mut tape = Tape::new(&mut self.plan, &mut parameters);
        record(&mut tape);
        let program = Program::new("probe", &[&tape.take()]);
        self.session.load(&program)
    }

    /// The seconds that a submit of so many runs takes.
    fn seconds(&mut self, program: ProgramId, runs: usize) -> Result<f64> {
        // The probes read no record.
        let record = Record {
            first: 0,
            rows: 0,
            step: 0,
            epoch: 0,
            images: 0,
            shuffle: false,
            window: None,
            stream: 0,
            seed: 0,
            rates: [0.0; RATES],
        };
        let records = vec![record; runs];
        let ((), time) = timed(|| {
            self.session.run(program, &records)?;
            self.session.wait()
        })?;
        Ok(time.as_secs_f64())
    }

    fn samples(&mut self, mut sample: impl FnMut(&mut Self) -> Result<f64>) -> Result<Vec<f64>> {
        (0..self.repetitions).map(|_| sample(self)).collect()
    }

    /// How often `work` is done in a second, after a warm-up, by as many runs as a sample takes.
    fn rates(&mut self, program: ProgramId, work: f64) -> Result<Vec<f64>> {
        let once = self.seconds(program, 1)?.min(self.seconds(program, 1)?);
        let runs = ((SAMPLE / once).ceil() as usize).clamp(1, SLOTS);
        self.samples(|probe| Ok(work * runs as f64 / probe.seconds(program, runs)?))
    }

    fn multiply_add(&mut self, x: Tensor, y: Tensor) -> Result<Figure> {
        let mut rounds = 2;
        let program = loop {
            let program = self.load(|tape| record_multiply_add(tape, x, y, rounds))?;
            // The first run compiles.
            let once = self.seconds(program, 1)?.min(self.seconds(program, 1)?);
            if once > ENOUGH || rounds > 1 << 20 {
                break program;
            }
            rounds *= 4;
        };
        let work = (FLOPS * WIDE) as f64 * f64::from(rounds) / 1e9;
        Ok(Figure::new("multiply-adds", "GFLOP/s", self.rates(program, work)?))
    }

    fn copy(&mut self, x: Tensor, y: Tensor) -> Result<Figure> {
        let program = self.load(|tape| record_copy(tape, x, y))?;
        let work = 2.0 * MAX_BINDING_BYTES as f64 / 1e9;
        Ok(Figure::new("copy", "GB/s", self.rates(program, work)?))
    }

    fn touches(&mut self, counter: Tensor, count: usize) -> Result<ProgramId> {
        let program = self.load(|tape| (0..count).for_each(|_| record_touch(tape, counter)))?;
        self.seconds(program, 1)?;
        Ok(program)
    }

    fn dispatch(&mut self, counter: Tensor) -> Result<Figure> {
        let (one, many) = (self.touches(counter, 1)?, self.touches(counter, CHAIN)?);
        let samples = self.samples(|probe| {
            let slope = probe.seconds(many, 1)? - probe.seconds(one, 1)?;
            Ok(slope / (CHAIN - 1) as f64 * 1e6)
        })?;
        Ok(Figure::new("dependent dispatch", "µs", samples))
    }

    fn submit(&mut self, counter: Tensor) -> Result<Figure> {
        let one = self.touches(counter, 1)?;
        let samples = self.samples(|probe| {
            let times: Result<Vec<_>> = (0..SUBMITS).map(|_| probe.seconds(one, 1)).collect();
            Ok(percentile(&times?, 0.5) * 1e6)
        })?;
        Ok(Figure::new("submit and wait", "µs", samples))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No time is asserted, but a rate below this comes from a slip in the units.
    #[test]
    fn the_cpu_has_peaks() {
        let peaks = probe(&Device::Cpu(1), 2).expect("the CPU works");
        for figure in peaks.list() {
            assert_eq!(figure.samples.len(), 2, "samples of {}", figure.name);
            assert!(figure.low().is_finite(), "{figure:?}");
        }
        assert!(peaks.multiply_add.low() > 0.0 && peaks.copy.low() > 0.0, "{peaks:?}");
    }
}
