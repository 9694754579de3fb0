//! The practical peaks of a device, by kernels that do one thing each.

use std::time::Duration;

use crate::bench::{Figure, percentile, timed};
use crate::cpu::ProgramId;
use crate::engine::plan::MAX_BINDING_BYTES;
use crate::engine::record::{RATES, Record, SLOTS};
use crate::engine::{Parameters, Plan, Program, Tape, Tensor};
use crate::error::Result;
use crate::kernels::probe::{
    F16, FLOPS, record_copy, record_multiply_add, record_multiply_add_f16, record_multiply_add_i32,
    record_touch,
};
use crate::kernels::reduce::reports;
use crate::session::{Device, Session};

/// Elements that the multiply-adds run over: a thread each for four times as many as any device has.
const WIDE: usize = 1 << 20;

/// Elements of a copy: the largest binding, so that no cache holds it.
const LONG: usize = (MAX_BINDING_BYTES / 4) as usize;

/// Words that are sent to a device and back: 32 MiB.
const SENT: usize = 8 << 20;

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
    /// What was measured, in the order of [`Probe`].
    pub figures: Vec<Figure>,
    /// What the device lacks, each with why.
    pub lacks: Vec<(&'static str, &'static str)>,
}

impl Peaks {
    fn find(&self, name: &str) -> &Figure {
        let found = self.figures.iter().find(|figure| figure.name == name);
        found.expect("each device has multiply-adds and copies")
    }

    /// Multiply-adds in f32, each two operations, in GFLOP/s.
    #[must_use]
    pub fn multiply_add(&self) -> &Figure {
        self.find("multiply-adds")
    }

    /// Reading and writing, both counted, in GB/s.
    #[must_use]
    pub fn copy(&self) -> &Figure {
        self.find("copy")
    }
}

/// What one figure comes from.
#[derive(Debug)]
enum Work {
    /// A program, how many runs a sample takes, and what a run does.
    Rate(ProgramId, usize, f64),
    /// Bytes to the device, until it has them.
    Upload,
    /// Bytes back from it, until the host has them.
    Readback,
    /// The slope between a chain of one touch and one of [`CHAIN`].
    Dispatch([ProgramId; 2]),
    /// A submit of one touch.
    Submit(ProgramId),
}

/// Finds a device's practical peaks: multiply-adds in f32, in f16 where the device has it, and of 32-bit
/// integers; copies; transfers to a GPU and back; the times of a dispatch that waits for the one before
/// it and of a submit that is waited for. It takes about a second, and 300 MiB of the device.
#[derive(Debug)]
pub struct Probe {
    session: Session,
    plan: Plan,
    x: Tensor,
    work: Vec<(Work, Figure)>,
    lacks: Vec<(&'static str, &'static str)>,
}

impl Probe {
    /// Prepares everything, and finds how much a sample takes.
    ///
    /// # Errors
    ///
    /// If the device lacks the memory, is lost, or refuses.
    pub fn new(device: &Device) -> Result<Self> {
        let mut plan = Plan::new();
        let slots = reports(&mut plan, &[]).slots;
        let [x, y] = ["probe x", "probe y"].map(|name| plan.vector(name, LONG));
        let words = ["probe words", "probe sums"].map(|name| plan.words(name, WIDE));
        let counter = plan.vector("probe counter", 64);
        let session = Session::new(device, &plan, slots)?;
        let mut probe = Self { session, plan, x, work: Vec::new(), lacks: Vec::new() };
        let floats = [x, y].map(|all| Tensor { cols: WIDE, stride: WIDE, words: WIDE, ..all });
        probe.multiply_add("multiply-adds", "GFLOP/s", floats, record_multiply_add)?;
        match device {
            Device::Gpu(gpu) if gpu.can_run(&F16) => {
                probe.multiply_add(
                    "f16 multiply-adds",
                    "GFLOP/s",
                    floats,
                    record_multiply_add_f16,
                )?;
            }
            Device::Gpu(_) => probe.lacks.push(("f16 multiply-adds", "no f16 on this adapter")),
            Device::Cpu(_) => probe.lacks.push(("f16 multiply-adds", "the CPU computes in f32")),
        }
        probe.multiply_add("int32 multiply-adds", "GOP/s", words, record_multiply_add_i32)?;
        let copy = probe.load(|tape| record_copy(tape, x, y))?;
        probe.rate("copy", "GB/s", copy, 2.0 * MAX_BINDING_BYTES as f64 / 1e9)?;
        match device {
            Device::Gpu(_) => {
                probe.add("host to device", "GB/s", Work::Upload);
                probe.add("device to host", "GB/s", Work::Readback);
            }
            Device::Cpu(_) => {
                probe.lacks.push(("host to device", "the CPU computes in host memory"));
            }
        }
        let [one, many] = [1, CHAIN].map(|count| probe.touches(counter, count));
        let (one, many) = (one?, many?);
        probe.add("dependent dispatch", "µs", Work::Dispatch([one, many]));
        probe.add("submit and wait", "µs", Work::Submit(one));
        Ok(probe)
    }

    /// Takes a sample of each figure.
    ///
    /// # Errors
    ///
    /// If the device is lost or does not finish in time.
    pub fn round(&mut self) -> Result<()> {
        let mut work = std::mem::take(&mut self.work);
        let sampled = work.iter_mut().try_for_each(|(work, figure)| {
            figure.samples.push(self.sample(work)?);
            Ok(())
        });
        self.work = work;
        sampled
    }

    /// What was measured.
    #[must_use]
    pub fn peaks(self) -> Peaks {
        Peaks {
            figures: self.work.into_iter().map(|(_, figure)| figure).collect(),
            lacks: self.lacks,
        }
    }

    fn add(&mut self, name: &str, unit: &'static str, work: Work) {
        self.work.push((work, Figure::new(name, unit, Vec::new())));
    }

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

    /// Adds how often `work` is done in a second, by as many runs as a sample takes.
    fn rate(
        &mut self,
        name: &str,
        unit: &'static str,
        program: ProgramId,
        work: f64,
    ) -> Result<()> {
        let once = self.seconds(program, 1)?.min(self.seconds(program, 1)?);
        let runs = ((SAMPLE / once).ceil() as usize).clamp(1, SLOTS);
        self.add(name, unit, Work::Rate(program, runs, work));
        Ok(())
    }

    fn multiply_add(
        &mut self,
        name: &str,
        unit: &'static str,
        [x, y]: [Tensor; 2],
        record: fn(&mut Tape<'_>, Tensor, Tensor, u32),
    ) -> Result<()> {
        let mut rounds = 2;
        let program = loop {
            let program = self.load(|tape| record(tape, x, y, rounds))?;
            // The first run compiles.
            let once = self.seconds(program, 1)?.min(self.seconds(program, 1)?);
            if once > ENOUGH || rounds > 1 << 20 {
                break program;
            }
            rounds *= 4;
        };
        self.rate(name, unit, program, (FLOPS * WIDE) as f64 * f64::from(rounds) / 1e9)
    }

    fn touches(&mut self, counter: Tensor, count: usize) -> Result<ProgramId> {
        let program = self.load(|tape| (0..count).for_each(|_| record_touch(tape, counter)))?;
        self.seconds(program, 1)?;
        Ok(program)
    }

    fn sample(&mut self, work: &Work) -> Result<f64> {
        let part = Tensor { cols: SENT, stride: SENT, words: SENT, ..self.x };
        let rate = |time: Duration| 4e-9 * SENT as f64 / time.as_secs_f64();
        match *work {
            Work::Rate(program, runs, work) => {
                Ok(work * runs as f64 / self.seconds(program, runs)?)
            }
            Work::Upload => {
                let words = vec![0; SENT];
                let ((), time) = timed(|| {
                    self.session.write_bits(part, 0, &words)?;
                    self.session.wait()
                })?;
                Ok(rate(time))
            }
            Work::Readback => Ok(rate(timed(|| self.session.read_bits(part))?.1)),
            Work::Dispatch([one, many]) => {
                let slope = self.middle(many)? - self.middle(one)?;
                Ok(slope / (CHAIN - 1) as f64 * 1e6)
            }
            Work::Submit(one) => Ok(self.middle(one)? * 1e6),
        }
    }

    /// The median of the seconds of several submits, which differ by far more than what they do.
    fn middle(&mut self, program: ProgramId) -> Result<f64> {
        let times: Result<Vec<_>> = (0..SUBMITS).map(|_| self.seconds(program, 1)).collect();
        Ok(percentile(&times?, 0.5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No time is asserted, but a rate below this comes from a slip in the units.
    #[test]
    fn the_cpu_has_peaks() {
        let mut probe = Probe::new(&Device::Cpu(1)).expect("the CPU works");
        (0..2).for_each(|_| probe.round().expect("the CPU works"));
        let peaks = probe.peaks();
        for figure in &peaks.figures {
            assert_eq!(figure.samples.len(), 2, "samples of {}", figure.name);
            assert!(figure.low().is_finite(), "{figure:?}");
        }
        assert!(peaks.multiply_add().low() > 0.0 && peaks.copy().low() > 0.0, "{peaks:?}");
        let lacks: Vec<_> = peaks.lacks.iter().map(|(what, _)| *what).collect();
        assert_eq!(lacks, ["f16 multiply-adds", "host to device"], "what the CPU lacks");
    }
}
