//! Training steps of a model, timed as they come and one by one.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::bench::count::{bound_bytes, dispatch_bytes, products};
use crate::bench::{Figure, KernelTime, Pace, cpu_time, percentile, timed};
use crate::config::{Config, ImageSize};
use crate::data::Dataset;
use crate::engine::Program;
use crate::error::{Error, Result};
use crate::session::Device;
use crate::train::Trainer;

/// Minibatches of made images: enough that the images of a step are not those of the last.
const BATCHES: usize = 8;

/// What was measured of a model.
#[derive(Clone, Debug)]
pub struct Row {
    /// The number of parameters.
    pub parameters: usize,
    /// What was measured, once a round.
    pub figures: Vec<Figure>,
    /// The kernels of a step, if they were timed; the slowest first.
    pub kernels: Vec<KernelTime>,
    /// For each round, the seconds of each step that ran alone.
    pub alone: Vec<Vec<f64>>,
}

/// A trainer of a configuration on made images of a size.
pub(super) fn trainer(device: &Device, config: &Config, size: ImageSize) -> Result<Trainer> {
    let batch = config.train.batch_size;
    if config.train.accumulate > 1 {
        let what = format!("`accumulate` is {}; it must be 1", config.train.accumulate);
        return Err(Error::config(what)
            .hint("a benchmark's step is one program: lower `--batch-size` instead"));
    }
    // The classes in turn, for who is told.
    let data = |batches: usize, seed| {
        let data = Dataset::synthetic(batches.saturating_mul(batch), size, seed)?;
        let class = |image: usize| (image % config.model.classes.max(1)) as u8;
        let labels = (0..data.len()).map(class).collect();
        data.with_labels(labels)
    };
    Trainer::new(device, config, &data(BATCHES, 1)?, &data(1, 2)?)
}

/// The raw times of one round, in seconds.
#[derive(Debug)]
struct Times {
    /// A step, of many that were queued as training queues them.
    queued: f64,
    /// The CPU time of all threads for a queued step, where the system tells.
    cpu: Option<f64>,
    /// The host's work for a step: encoding and submitting the first of them, the device idle.
    host: f64,
    /// Each of as many steps that were queued alone, until it was known to be done.
    alone: Vec<f64>,
}

/// A model whose steps are measured.
#[derive(Debug)]
pub struct Steps<'d> {
    device: &'d Device,
    trainer: Trainer,
    /// Seconds until the first step was done, since before the trainer was made: plan, upload,
    /// pipelines and the step itself.
    first: f64,
    /// Steps of each half of a round, once they are known, and how many share a submit.
    count: Option<(u64, u64)>,
    times: Vec<Times>,
    /// For each kernel how often a step has it, what that does, and its times in µs, one a round.
    kernels: BTreeMap<String, (usize, KernelTime)>,
}

impl<'d> Steps<'d> {
    /// Takes the first step of a configuration on made images of a size. Pipelines that an earlier model has
    /// made on the device are there already.
    ///
    /// # Errors
    ///
    /// If the configuration is not valid or does not fit the device, or as [`Trainer::advance`].
    pub fn new(device: &'d Device, config: &Config, size: ImageSize) -> Result<Self> {
        let start = Instant::now();
        let mut trainer = trainer(device, config, size)?;
        alone(&mut trainer)?;
        let first = start.elapsed().as_secs_f64();
        let (times, kernels) = (Vec::new(), BTreeMap::new());
        Ok(Self { device, trainer, first, count: None, times, kernels })
    }

    /// What the schedules of its step were chosen by: `measured`, or `rule`.
    #[must_use]
    pub fn schedules(&self) -> &'static str {
        self.trainer.schedules()
    }

    /// Measures a round.
    ///
    /// For a repetition's time it runs steps queued as [`Trainer::advance`] queues them, with one wait
    /// at the end; they give `steps`, and what follows from it. Then as many steps are each submitted
    /// alone and waited for; their times give `step p50` and `step p99`, which a submit and a wait are a
    /// part of.
    ///
    /// # Errors
    ///
    /// As [`Trainer::advance`].
    pub fn round(&mut self, pace: Pace) -> Result<()> {
        let (steps, per_submit) = match self.count {
            Some(count) => {
                // What ran in between has left neither caches nor clocks as they were.
                alone(&mut self.trainer)?;
                count
            }
            None => {
                let steps = warm_up(&mut self.trainer, pace.seconds / 2.0)?;
                let per_submit = (self.trainer.steps_per_submit() as u64).min(steps);
                self.trainer.set_steps_per_submit(per_submit as usize);
                *self.count.insert((steps, per_submit))
            }
        };
        self.times.push(repetition(&mut self.trainer, steps, per_submit)?);
        Ok(())
    }

    /// Times each kernel of a step once, by the device's timestamps around passes of their own, or by the
    /// host's clock on the CPU. A pass of its own takes longer than a dispatch among others, so that the
    /// sum exceeds a step's time.
    ///
    /// # Errors
    ///
    /// As [`Trainer::advance`], or if the device has no timestamps.
    pub fn kernels(&mut self) -> Result<()> {
        let trainer = &mut self.trainer;
        let record = trainer.record(trainer.steps_taken());
        let times = trainer.model.profile(trainer.step_use, record)?;
        let dispatches = trainer.program()?.dispatches.clone();
        let first = self.kernels.is_empty();
        self.kernels.values_mut().for_each(|(_, kernel)| kernel.figure.samples.push(0.0));
        for ((name, seconds), dispatch) in times.into_iter().zip(&dispatches) {
            let (count, kernel) = self.kernels.entry(name).or_insert_with_key(|name| {
                let figure = Figure::new(name, "µs", vec![0.0]);
                (0, KernelTime { figure, flops: 0, bytes: 0 })
            });
            *kernel.figure.samples.last_mut().expect("a sample a round") += seconds * 1e6;
            if first {
                *count += 1;
                kernel.flops += dispatch.flops();
                kernel.bytes += dispatch_bytes(trainer.vae(), dispatch);
            }
        }
        Ok(())
    }

    /// What was measured; `peak`, in GFLOP/s, is what the products' rate is a share of.
    ///
    /// # Errors
    ///
    /// If the program of a step cannot be recorded, as [`Trainer::program`].
    pub fn row(mut self, peak: f64) -> Result<Row> {
        let step = self.trainer.program()?.clone();
        let mut figures = speeds(&self.trainer, &step, &self.times, peak);
        if let Device::Gpu(_) = self.device {
            figures.extend(host(&step, &self.times));
        }
        let cpu: Vec<_> = self.times.iter().filter_map(|t| Some(t.cpu? * 1e6)).collect();
        if !cpu.is_empty() {
            figures.push(Figure::new("CPU time a step", "µs", cpu));
        }
        figures.push(Figure::new("first step", "s", vec![self.first]));
        let count = |name, count: usize| Figure::new(name, "", vec![count as f64]);
        figures.push(count("dispatches", step.dispatches.len()));
        figures.push(count("barriers", step.barriers()));
        figures.push(count("depth", step.depth()));
        let named = |(name, (count, mut kernel)): (String, (usize, KernelTime))| {
            kernel.figure.name = format!("{name} ×{count}");
            kernel
        };
        let mut kernels: Vec<_> = self.kernels.into_iter().map(named).collect();
        kernels.sort_by(|a, b| b.figure.median().total_cmp(&a.figure.median()));
        let alone = self.times.into_iter().map(|times| times.alone).collect();
        Ok(Row { parameters: self.trainer.vae().parameters.count(), figures, kernels, alone })
    }
}

/// One step from queueing to its report, in seconds.
fn alone(trainer: &mut Trainer) -> Result<f64> {
    let ((), time) = timed(|| {
        trainer.advance(1)?;
        trainer.wait()
    })?;
    Ok(time.as_secs_f64())
}

/// Runs steps as training does, until no more of them share a submit and for half a share of time at
/// least; gives how many fit in one.
fn warm_up(trainer: &mut Trainer, seconds: f64) -> Result<u64> {
    let (start, mut least, mut shared) = (Instant::now(), f64::INFINITY, 0);
    while trainer.steps_per_submit() > shared || start.elapsed().as_secs_f64() < seconds / 2.0 {
        shared = trainer.steps_per_submit();
        let ((), time) = timed(|| {
            trainer.advance(shared as u64)?;
            trainer.wait()
        })?;
        least = least.min(time.as_secs_f64() / shared as f64);
    }
    Ok(((seconds / least) as u64).max(1))
}

fn repetition(trainer: &mut Trainer, steps: u64, per_submit: u64) -> Result<Times> {
    let (start, cpu) = (Instant::now(), cpu_time());
    trainer.advance(per_submit)?;
    let host = start.elapsed().as_secs_f64() / per_submit as f64;
    trainer.advance(steps - per_submit)?;
    trainer.wait()?;
    let queued = start.elapsed().as_secs_f64() / steps as f64;
    let cpu = cpu.and_then(|before| Some((cpu_time()? - before) / steps as f64));
    let alone: Result<_> = (0..steps).map(|_| alone(trainer)).collect();
    Ok(Times { queued, cpu, host, alone: alone? })
}

fn speeds(trainer: &Trainer, program: &Program, times: &[Times], peak: f64) -> Vec<Figure> {
    let batch = trainer.config().train.batch_size;
    let (flops, bytes) =
        (products(trainer.vae(), program, batch), bound_bytes(trainer.vae(), program));
    let per_second = |name, unit, work: f64| {
        Figure::new(name, unit, times.iter().map(|t| work / t.queued).collect())
    };
    let step = |name, part| {
        let samples = times.iter().map(|t| percentile(&t.alone, part) * 1e6).collect();
        Figure::new(name, "µs", samples)
    };
    vec![
        per_second("steps", "1/s", 1.0),
        per_second("images", "1/s", batch as f64),
        step("step p50", 0.5),
        step("step p99", 0.99),
        per_second("products", "GFLOP/s", flops as f64 / 1e9),
        per_second("share of multiply-adds", "%", flops as f64 / 1e9 / peak * 100.0),
        per_second("bound", "GB/s", bytes as f64 / 1e9),
    ]
}

fn host(program: &Program, times: &[Times]) -> [Figure; 2] {
    let dispatches = program.dispatches.len() as f64;
    let micros = |name, parts: f64| {
        Figure::new(name, "µs", times.iter().map(|t| t.host / parts * 1e6).collect())
    };
    [micros("host a step", 1.0), micros("host a dispatch", dispatches)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Config {
        let mut config = Config::default();
        (config.model.encoder, config.model.decoder) = ([8].into(), [8].into());
        config.train.batch_size = 4;
        config
    }

    fn measured() -> Row {
        let pace = Pace::new(3, 0.02).expect("a pace");
        let mut steps =
            Steps::new(&Device::Cpu(1), &small(), [28, 28].into()).expect("the CPU works");
        for _ in 0..3 {
            steps.round(pace).expect("the CPU works");
            steps.kernels().expect("the CPU works");
        }
        steps.row(10.0).expect("a program")
    }

    #[test]
    fn figures_follow_from_one_another() {
        let row = measured();
        let figure = |name: &str| {
            let found = row.figures.iter().find(|f| f.name == name);
            found.unwrap_or_else(|| panic!("no {name} in {:?}", row.figures))
        };
        let (steps, products) = (figure("steps"), figure("products"));
        assert_eq!(steps.samples.len(), 3, "rounds");
        for i in 0..3 {
            let close = |name: &str, expected: f64| {
                let found = figure(name).samples[i];
                assert!((found / expected - 1.0).abs() < 1e-9, "{name}: {found}, {expected}");
            };
            close("images", 4.0 * steps.samples[i]);
            close("share of multiply-adds", products.samples[i] / 10.0 * 100.0);
            close("step p50", percentile(&row.alone[i], 0.5) * 1e6);
            assert!(figure("step p99").samples[i] >= figure("step p50").samples[i], "{row:?}");
        }
        assert!(row.figures.iter().all(|f| f.name != "host a step"), "the CPU encodes nothing");
        // All threads of this process count, other tests' too: rounds took some of its time, and together no more than all.
        if let Some(all) = cpu_time() {
            let cpu = &figure("CPU time a step").samples;
            let rounds =
                cpu.iter().zip(&row.alone).map(|(cpu, alone)| cpu * alone.len() as f64 / 1e6);
            let rounds: Vec<f64> = rounds.collect();
            assert!(
                rounds.iter().all(|&s| s > 0.0) && rounds.iter().sum::<f64>() <= all,
                "{rounds:?}"
            );
        }
    }

    #[test]
    fn kernels_are_those_of_a_step() {
        let row = measured();
        let mut trainer = trainer(&Device::Cpu(1), &small(), [28, 28].into()).expect("a trainer");
        let program = trainer.program().expect("a step").clone();
        let counted = |kernel: &KernelTime| {
            let (_, count) = kernel.figure.name.split_once(" ×").expect("a count");
            count.parse::<usize>().expect("a number")
        };
        let kernels = &row.kernels;
        assert_eq!(kernels.iter().map(counted).sum::<usize>(), program.dispatches.len(), "{row:?}");
        assert!(kernels.iter().all(|k| k.figure.samples.len() == 3), "{row:?}");
        assert!(kernels.iter().all(|k| k.figure.low() >= 0.0), "{row:?}");
        // Together they do what the step does.
        let flops: u64 = kernels.iter().map(|kernel| kernel.flops).sum();
        assert_eq!(flops, products(trainer.vae(), &program, 4), "{row:?}");
        let bytes: u64 = kernels.iter().map(|kernel| kernel.bytes).sum();
        assert_eq!(bytes, bound_bytes(trainer.vae(), &program), "{row:?}");
        let forward = kernels.iter().find(|k| k.figure.name.starts_with("matmul.forward "));
        assert!(forward.is_some_and(|kernel| kernel.flops > 0), "{row:?}");
    }
}
