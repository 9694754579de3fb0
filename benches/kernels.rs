//! The kernels' cases, by every schedule that the device can run, and on the CPU session.
//!
//! `cargo bench --bench kernels` times the cases of about a model's size, in about a minute;
//! with `ELBO_BENCH_ALL=1` every case, which takes much longer. A part of them:
//! `cargo bench --bench kernels -- matmul`, or a regular expression. The device is the first
//! hardware adapter, else the first there is.
//!
//! A case is a whole operation, forward and, where there is one, backward. Throughput is in
//! floating-point operations where a case counts them; else in bytes, each binding of a dispatch
//! counted once and whole, though a kernel may use less of it.
#![allow(clippy::print_stderr, reason = "a bench says where it runs")]

use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode, Throughput};
use elbo::cpu::{self, ProgramId};
use elbo::engine::Program;
use elbo::gpu::{self, Gpu};
use elbo::kernels::case::Case;
use elbo::selftest::schedules;
use elbo::{Device, kernels};

/// Bytes of the cases' plans that are timed by default; the largest operations of the classic
/// model are about in the middle.
const MODEL_SIZE: std::ops::RangeInclusive<u64> = 64 << 10..=16 << 20;

/// How long the work of one submit should take, so that the submit itself does not count.
const SUBMIT: f64 = 0.02;

/// The most times that a case is repeated in one submit.
const REPEATS: u64 = 64;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .without_plots()
        .configure_from_args();
    let gpu = gpu();
    let cases = chosen(kernels::cases());
    let mut rest = cases.as_slice();
    while let Some(first) = rest.first() {
        let same = rest.iter().take_while(|case| family(case) == family(first)).count();
        let (group, others) = rest.split_at(same);
        time(&mut criterion, family(first), group, gpu.as_ref());
        rest = others;
    }
    criterion.final_summary();
}

/// The first hardware adapter, else the first; without any the GPU's benches are left out.
fn gpu() -> Option<Gpu> {
    match Device::choose("gpu", 0) {
        Ok((Device::Gpu(gpu), why)) => {
            eprintln!("gpu: {} ({why})", gpu.description().name);
            Some(gpu)
        }
        Ok((device, _)) => unreachable!("`gpu` gave {}", device.name()),
        Err(error) => {
            eprintln!("gpu: none, its benches are left out ({error})");
            None
        }
    }
}

/// The file of a case's kernels: the name of its first dispatch, up to the dot.
fn family(case: &Case) -> &'static str {
    let name = case.program.dispatches[0].kernel.name();
    name.split('.').next().unwrap_or(name)
}

/// The cases of a model's size, and of a family without any the largest that is smaller; or all.
fn chosen(cases: Vec<Case>) -> Vec<Case> {
    if std::env::var_os("ELBO_BENCH_ALL").is_some() {
        return cases;
    }
    let fits = |case: &Case| MODEL_SIZE.contains(&case.plan.bytes());
    let with: Vec<_> = cases.iter().filter(|case| fits(case)).map(family).collect();
    let largest = |name: &str| {
        let small =
            cases.iter().filter(|c| family(c) == name && c.plan.bytes() < *MODEL_SIZE.start());
        small.map(|case| case.plan.bytes()).max()
    };
    let keep: Vec<bool> = cases
        .iter()
        .map(|case| {
            let name = family(case);
            fits(case) || !with.contains(&name) && Some(case.plan.bytes()) == largest(name)
        })
        .collect();
    cases.into_iter().zip(keep).filter_map(|(case, keep)| keep.then_some(case)).collect()
}

fn throughput(case: &Case) -> Throughput {
    let flops = case.program.flops();
    if flops > 0 {
        return Throughput::Elements(flops);
    }
    let bindings = case.program.dispatches.iter().flat_map(|d| &d.bindings);
    Throughput::Bytes(bindings.map(|tensor| 4 * tensor.words() as u64).sum())
}

/// Times the cases of one family.
fn time(criterion: &mut Criterion, family: &str, cases: &[Case], gpu: Option<&Gpu>) {
    let mut group = criterion.benchmark_group(family);
    group.sampling_mode(SamplingMode::Flat);
    for case in cases {
        group.throughput(throughput(case));
        // Each is made on first use, since a filter may leave it out, and dropped before the next.
        for schedule in gpu.map_or_else(Vec::new, |gpu| schedules(case, gpu)) {
            let Some(gpu) = gpu else { continue };
            let mut made = None;
            group.bench_function(format!("{}, gpu {schedule}", case.name), |bencher| {
                let made = made.get_or_insert_with(|| {
                    OnGpu::new(case, &gpu.clone().with_schedule(schedule)).expect("the case fits")
                });
                bencher.iter_custom(|times| made.time(times).expect("the device works"));
            });
        }
        let mut made = None;
        group.bench_function(format!("{}, cpu", case.name), |bencher| {
            let (session, program) = made.get_or_insert_with(|| on_cpu(case).expect("it fits"));
            bencher.iter(|| session.run(*program, &[case.record]));
        });
    }
    group.finish();
}

/// A case in the CPU session, with its inputs.
fn on_cpu(case: &Case) -> elbo::Result<(cpu::Session<f32>, ProgramId)> {
    let mut session = cpu::Session::new(&case.plan, None, 0)?;
    for (tensor, fill) in &case.inputs {
        session.write_bits(*tensor, 0, &fill.bits(*tensor));
    }
    let program = session.load(&case.program);
    Ok((session, program))
}

/// A case on the device, with its inputs, repeated in one command buffer.
struct OnGpu<'a> {
    case: &'a Case,
    session: gpu::Session,
    program: ProgramId,
    repeats: u64,
}

impl<'a> OnGpu<'a> {
    fn new(case: &'a Case, gpu: &Gpu) -> elbo::Result<Self> {
        let mut session = gpu::Session::new(gpu, &case.plan, None)?;
        for (tensor, fill) in &case.inputs {
            session.write_bits(*tensor, 0, &fill.bits(*tensor))?;
        }
        let program = session.load(&case.program)?;
        let mut made = Self { case, session, program, repeats: 1 };
        // The first run compiles.
        made.time(1)?;
        let seconds = made.time(1)?.as_secs_f64();
        made.repeats = (SUBMIT / seconds).clamp(1.0, REPEATS as f64) as u64;
        let once = case.program.dispatches.as_slice();
        let repeated = Program::new(&case.name, &vec![once; made.repeats as usize]);
        made.program = made.session.load(&repeated)?;
        Ok(made)
    }

    /// The time of so many runs, from whole submits; the last is waited for by reading the smallest
    /// buffer.
    fn time(&mut self, times: u64) -> elbo::Result<Duration> {
        let submits = times.div_ceil(self.repeats);
        let buffers = self.case.plan.buffers();
        let smallest = (0..buffers.len()).min_by_key(|&i| buffers[i].words);
        let smallest = smallest.expect("a case has a buffer");
        let start = Instant::now();
        for _ in 0..submits {
            self.session.run(self.program, &[self.case.record])?;
        }
        self.session.read_buffer(smallest)?;
        Ok(start.elapsed().mul_f64(times as f64 / (submits * self.repeats) as f64))
    }
}
