//! `elbo bench`: what a device can do, how near a model's steps come, and whether its bits repeat.

mod about;
mod against;
mod args;
mod commit;
mod compare;
mod csv;
mod endure;
mod output;
mod quality;
mod results;
mod text;
mod workload;

use std::time::{Duration, Instant};

use elbo::bench::{self, Figure, KernelTime, Others, Pace, Probe, Steps};
use elbo::model::Architecture;
use elbo::{Device, Error, Result};

use crate::cli::bench::about::About;
use crate::cli::bench::compare::{OTHERS, Old};
use crate::cli::bench::output::{Format, Printer, Row};
use crate::cli::bench::workload::{Workload, one};
use crate::cli::talk;

pub(super) use args::Args;

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo bench
  elbo bench --device gpu --model classic,big --kernels
  elbo bench --batch-size 32,64,128 --device all
  elbo bench --format md
  elbo bench --json > old.jsonl
  elbo bench --compare old.jsonl
  elbo bench --against ./elbo-before --fail-if-slower
  elbo bench --to-loss 106
  elbo bench --model big --stress 10

--device all measures every device that `elbo devices` lists, one after another.

Figures of the device: multiply-adds, of f16 and int32 too, and copy are the peaks that a probe reached; host to device and device to host are copies of 32 MiB; dependent dispatch is the time of a small kernel that waits for the one before; submit and wait is a round trip to the device; CPU of others is what other programs took of all cores' time.

Figures of a model: half of the time, steps are queued as in training (steps, images, products, bound, host); the other half, each step is waited for (step p50 and p99). The images are synthetic.

products: GFLOP/s of the matrix products, counted from the model; the share of multiply-adds compares them with the probe.

bound: GB/s if each dispatch reads and writes its buffers once, which is the least that it moves.

host: time of the CPU to encode and submit, without waiting for the GPU. CPU time a step: of all threads together, in queued steps; other programs change it less than the rates.

first step: time from the model's plan to the end of the first step, including --tune; since start: from the start of the process.

depth: the longest chain of dispatches that wait for each other.

--kernels: of bound is the part of a kernel's time that its multiply-adds or its bytes take at the least, by the probe's peaks; bound by tells which of the two it is. A cache can bring it above 100 %.

Each figure is the median of the rounds, between the lowest and the highest. All are measured once in every round.

--compare and --against: faster and slower are said where a 99 % interval of the ratio (bootstrap by rounds) lies beyond 1 %; else the change is within noise. --compare widens it by what the machine drifted and by what other programs took.";

/// How often what takes long says that it is still at it.
const TOLD: Duration = Duration::from_secs(10);

/// Says how far the rounds are.
struct Progress<'a> {
    args: &'a Args,
    rounds: usize,
    told: Instant,
}

impl<'a> Progress<'a> {
    fn new(args: &'a Args, pace: Pace) -> Self {
        Self { args, rounds: pace.repetitions(), told: Instant::now() }
    }

    fn round(&mut self, number: usize) {
        if self.told.elapsed() > TOLD {
            self.told = Instant::now();
            self.args.talk(&format!("{} of {} rounds", number + 1, self.rounds));
        }
    }
}

pub(super) fn run(args: &Args, start: Instant) -> Result<u8> {
    // Everything that was typed is judged before any work is done.
    let pace = Pace::new(args.repetitions, args.seconds)?;
    let workloads = args.workloads()?;
    let old = args.compare.as_deref().map(Old::read).transpose()?;
    if args.fail_if_slower && old.is_none() && args.against.is_none() {
        let what = "`--fail-if-slower` needs something to compare with";
        return Err(Error::config(what).hint("add `--compare OLD` or `--against PROGRAM`"));
    }
    let minutes = args.stress.map(endure::minutes).transpose()?;
    let alone = args.to_loss.is_some() || minutes.is_some();
    let one = if alone { Some(one(&workloads)?) } else { None };
    let devices = args.devices()?;
    let several = devices.len() > 1;
    let mut printer = Printer::new(if args.json { Format::Json } else { args.format }, old);
    let mut ended = Ok(0);
    for flags in devices {
        let mut measured = || {
            let (device, why, precision) = flags.open()?;
            args.talk(&format!("device: {why}; precision: {precision}"));
            match (one, args.to_loss, minutes, &args.against) {
                (Some(one), Some(loss), ..) => {
                    quality::to_loss(args, &device, one, loss, &mut printer)
                }
                (Some(one), _, Some(time), _) => {
                    endure::stress(args, &device, one, time, &mut printer)
                }
                (.., Some(path)) => {
                    against::against(args, path, device, (pace, &workloads), &mut printer)
                }
                _ => measure(args, &device, (pace, start), &workloads, &mut printer),
            }
        };
        match measured() {
            Ok(code) => ended = ended.map(|worst: u8| worst.max(code)),
            Err(error) if several => {
                // The others can be measured all the same.
                talk(&format!("{}: {error}", flags.word().unwrap_or_default()));
                ended = Err(error);
            }
            Err(error) => ended = Err(error),
        }
    }
    match ended {
        Ok(_) => printer.end()?,
        Err(ref error) => printer.failed(error)?,
    }
    let slower = u8::from(args.fail_if_slower && printer.slower > 0);
    ended.map(|code| code.max(slower))
}

/// Measures a device and models on it, each once in every round.
fn measure(
    args: &Args,
    device: &Device,
    (pace, start): (Pace, Instant),
    workloads: &[Workload],
    printer: &mut Printer,
) -> Result<u8> {
    let timed = match device {
        Device::Gpu(gpu) if args.kernels && !gpu.has_timestamps() => {
            // Even if no talk was wanted: rows that were asked for are left out.
            talk(&format!("`{}` has no timestamps: its kernels are not timed", device.name()));
            false
        }
        _ => args.kernels,
    };
    let load = bench::load();
    // The first step comes before the probe, so that nothing else is in its time.
    let mut steps = Vec::new();
    let mut since = None;
    for Workload { config, images, .. } in workloads {
        let notice = Architecture::of(&config.model, *images)?.notice(*images);
        notice.iter().for_each(|notice| args.talk(notice));
        steps.push(Steps::new(device, config, *images)?);
        since.get_or_insert_with(|| start.elapsed().as_secs_f64());
    }
    let mut probe = Probe::new(device)?;
    let (mut others, mut shares) = (Others::new(), Vec::new());
    let mut progress = Progress::new(args, pace);
    for number in 0..pace.repetitions() {
        probe.round()?;
        for steps in &mut steps {
            steps.round(pace)?;
            if timed {
                steps.kernels()?;
            }
        }
        shares.extend(others.as_mut().and_then(|others| Some(100.0 * others.share()?)));
        progress.round(number);
    }
    let mut peaks = probe.peaks();
    let others = Figure::new(OTHERS, "%", shares);
    let mut unsure: Vec<_> = peaks.figures.iter().take(1).filter_map(bench::unsure).collect();
    if !others.samples.is_empty() {
        printer.others = others.median() / 100.0;
        peaks.figures.push(others);
    }
    printer.start(About::of(device))?;
    let row = Row { subject: "device".to_owned(), ..Row::default() };
    printer.row(row, &peaks.figures, (&[], None))?;
    peaks.lacks.iter().try_for_each(|(what, why)| printer.lacks(what, why))?;
    for (workload, steps) in workloads.iter().zip(steps) {
        let row = workload.row(workload.images, steps.schedules())?;
        let mut measured = steps.row(peaks.multiply_add().median())?;
        if let Some(since) = since.take() {
            measured.figures.push(Figure::new("first step since start", "s", vec![since]));
        }
        let named = |figure: &Figure| Figure {
            name: format!("{} of {}", figure.name, row.name()),
            ..figure.clone()
        };
        unsure.extend(measured.figures.iter().take(1).map(named).filter_map(|f| bench::unsure(&f)));
        let kernels: &[KernelTime] = &measured.kernels;
        printer.row(row, &measured.figures, (kernels, Some(&peaks)))?;
        printer.alone(&measured.alone)?;
    }
    remarks(printer, &unsure, load)?;
    Ok(0)
}

/// Says what makes the figures unsure, if anything does.
fn remarks(printer: &Printer, unsure: &[String], load: Option<f64>) -> Result<()> {
    if !unsure.is_empty() {
        let what = unsure.join(", ");
        printer.note(&format!(
            "The machine was not quiet: {what}. Close other programs, or take more rounds."
        ))?;
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let load = load.filter(|load| load / cores > 0.2);
    if printer.others > 0.05 || load.is_some() {
        let load = load.map_or(String::new(), |load| format!("; the load before was {load:.1}"));
        let part = 100.0 * printer.others;
        printer.note(&format!(
            "Other programs took {part:.0} % of the CPU while this was measured{load}."
        ))?;
    }
    Ok(())
}
