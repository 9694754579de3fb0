//! Training steps of a model, timed as they come and one by one.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::bench::count::{bound_bytes, products};
use crate::bench::{Figure, Pace, percentile, timed};
use crate::config::Config;
use crate::data::Dataset;
use crate::engine::Program;
use crate::error::{Error, Result};
use crate::session::Device;
use crate::train::Trainer;

/// Minibatches of made images: enough that the images of a step are not those of the last.
const BATCHES: usize = 8;

/// Height and width of the made images.
pub const SIZE: [usize; 2] = [28, 28];

/// What was measured of a model.
#[derive(Clone, Debug)]
pub struct Row {
    /// The number of parameters.
    pub parameters: usize,
    /// What was measured, once a repetition.
    pub figures: Vec<Figure>,
    /// For each repetition, the seconds of each step that ran alone.
    pub alone: Vec<Vec<f64>>,
}

/// A trainer of a configuration on made images.
pub(super) fn trainer(device: &Device, config: &Config) -> Result<Trainer> {
    let batch = config.train.batch_size;
    if config.train.accumulate > 1 {
        let what = format!("`accumulate` is {}; it must be 1", config.train.accumulate);
        return Err(Error::config(what)
            .hint("a benchmark's step is one program: lower `--batch-size` instead"));
    }
    // The classes in turn, for who is told.
    let data = |batches: usize, seed| {
        let data = Dataset::synthetic(batches.saturating_mul(batch), SIZE, seed)?;
        let class = |image: usize| (image % config.model.classes.max(1)) as u8;
        let labels = (0..data.len()).map(class).collect();
        data.with_labels(labels)
    };
    Trainer::new(device, config, &data(BATCHES, 1)?, &data(1, 2)?)
}

/// The raw times of one repetition, in seconds.
struct Times {
    /// A step, of many that were queued as training queues them.
    queued: f64,
    /// The host's work for a step: encoding and submitting the first of them, the device idle.
    host: f64,
    /// Each of as many steps that were queued alone, until it was known to be done.
    alone: Vec<f64>,
}

/// A model that has taken its first step.
#[derive(Debug)]
pub struct Begun<'d> {
    device: &'d Device,
    trainer: Trainer,
    /// Seconds until the first step was done, since before the trainer was made: plan, upload,
    /// pipelines and the step itself.
    first: f64,
}

impl<'d> Begun<'d> {
    /// Takes the first step of a configuration on made images. Pipelines that an earlier model has
    /// made on the device are there already.
    ///
    /// # Errors
    ///
    /// If the configuration is not valid or does not fit the device, or as [`Trainer::advance`].
    pub fn new(device: &'d Device, config: &Config) -> Result<Self> {
        let start = Instant::now();
        let mut trainer = trainer(device, config)?;
        alone(&mut trainer)?;
        Ok(Self { device, trainer, first: start.elapsed().as_secs_f64() })
    }
}

/// Measures training steps of a model. `peak`, in GFLOP/s, is what the products' rate is a share of.
///
/// Half of a repetition's time runs steps queued as [`Trainer::advance`] queues them, with one wait
/// at the end; they give `steps`, and what follows from it. In the other half each step is
/// submitted alone and waited for; their times give `step p50` and `step p99`, which a submit and a
/// wait are a part of.
///
/// # Errors
///
/// As [`Trainer::advance`].
pub fn measure(begun: Begun<'_>, pace: Pace, peak: f64) -> Result<Row> {
    let Begun { device, mut trainer, first } = begun;
    let steps = warm_up(&mut trainer, pace.seconds / 2.0)?;
    let per_submit = (trainer.steps_per_submit() as u64).min(steps);
    trainer.set_steps_per_submit(per_submit as usize);
    let times: Result<Vec<_>> =
        (0..pace.repetitions).map(|_| repetition(&mut trainer, steps, per_submit)).collect();
    let times = times?;
    let step = trainer.program()?.clone();
    let mut figures = speeds(&trainer, &step, &times, peak);
    if let Device::Gpu(_) = device {
        figures.extend(host(&step, &times));
    }
    figures.push(Figure::new("first step", "s", vec![first]));
    let count = |name, count: usize| Figure::new(name, "", vec![count as f64]);
    figures.push(count("dispatches", step.dispatches.len()));
    figures.push(count("barriers", step.barriers()));
    figures.push(count("depth", step.depth()));
    let parameters = trainer.vae().parameters.count();
    Ok(Row { parameters, figures, alone: times.into_iter().map(|t| t.alone).collect() })
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
    let start = Instant::now();
    trainer.advance(per_submit)?;
    let host = start.elapsed().as_secs_f64() / per_submit as f64;
    trainer.advance(steps - per_submit)?;
    trainer.wait()?;
    let queued = start.elapsed().as_secs_f64() / steps as f64;
    let alone: Result<_> = (0..steps).map(|_| alone(trainer)).collect();
    Ok(Times { queued, host, alone: alone? })
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

/// The time of each kernel in a step of a configuration, in µs, by the device's timestamps around
/// passes of their own, or by the host's clock on the CPU. A pass of its own takes longer than a
/// dispatch among others, so that the sum exceeds a step's time.
///
/// # Errors
///
/// As [`Begun::new`], or if the device has no timestamps.
pub fn kernels(device: &Device, config: &Config, pace: Pace) -> Result<Vec<Figure>> {
    let mut trainer = trainer(device, config)?;
    alone(&mut trainer)?;
    let record = trainer.record(trainer.steps_taken());
    let mut found: BTreeMap<String, (usize, Vec<f64>)> = BTreeMap::new();
    for repetition in 0..pace.repetitions {
        for (name, seconds) in trainer.model.profile(trainer.step_use, record)? {
            let (count, samples) = found.entry(name).or_default();
            samples.resize(repetition + 1, 0.0);
            samples[repetition] += seconds * 1e6;
            *count += usize::from(repetition == 0);
        }
    }
    let figure = |(name, (count, samples))| Figure::new(&format!("{name} ×{count}"), "µs", samples);
    let mut figures: Vec<_> = found.into_iter().map(figure).collect();
    figures.sort_by(|a, b| b.median().total_cmp(&a.median()));
    Ok(figures)
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

    #[test]
    fn figures_follow_from_one_another() {
        let pace = Pace::new(3, 0.02).expect("a pace");
        let begun = Begun::new(&Device::Cpu(1), &small()).expect("the CPU works");
        let row = measure(begun, pace, 10.0).expect("the CPU works");
        let figure = |name: &str| {
            let found = row.figures.iter().find(|f| f.name == name);
            found.unwrap_or_else(|| panic!("no {name} in {:?}", row.figures))
        };
        let (steps, products) = (figure("steps"), figure("products"));
        assert_eq!(steps.samples.len(), 3, "repetitions");
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
    }

    #[test]
    fn kernels_are_those_of_a_step() {
        let pace = Pace::new(2, 1.0).expect("a pace");
        let figures = kernels(&Device::Cpu(1), &small(), pace).expect("the CPU works");
        let mut trainer = trainer(&Device::Cpu(1), &small()).expect("a trainer");
        let dispatches = &trainer.program().expect("a step").dispatches;
        let counted = |f: &Figure| {
            let (_, count) = f.name.split_once(" ×").expect("a count");
            count.parse::<usize>().expect("a number")
        };
        assert_eq!(figures.iter().map(counted).sum::<usize>(), dispatches.len(), "{figures:?}");
        assert!(figures.iter().all(|f| f.samples.len() == 2), "{figures:?}");
    }
}
