//! Whole training steps on each device, by `Trainer`; throughput is in images.
//!
//! `cargo bench --bench step` takes about half a minute. One device: `cargo bench --bench step -- cpu`,
//! or `-- gpu`, which is the first hardware adapter, else the first there is. With
//! `ELBO_BENCH_BIG=1` the preset `big` is timed too: 784-2048-2048-64, batches of 512.
#![allow(clippy::print_stderr, reason = "a bench says where it runs")]

use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode, Throughput};
use elbo::{Config, Dataset, Device, Trainer};

/// Batches in the dataset: enough that the images of a step are not those of the last.
const BATCHES: usize = 8;

/// Steps in a submit where the host's work is timed: few enough that the device takes them all
/// without holding the host back.
const ENCODED: u64 = 8;

/// How a device is asked to train.
struct Way {
    name: String,
    device: Device,
    /// None leaves it to the time that steps take.
    steps_per_submit: Option<usize>,
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4))
        .without_plots()
        .configure_from_args();
    let gpu = gpu();
    for preset in presets() {
        whole_steps(&mut criterion, preset, gpu.as_ref());
        if let Some(device) = &gpu {
            host_work(&mut criterion, preset, device);
        }
    }
    criterion.final_summary();
}

/// The presets to time.
fn presets() -> Vec<&'static str> {
    match std::env::var_os("ELBO_BENCH_BIG") {
        Some(_) => vec!["classic", "big"],
        None => vec!["classic"],
    }
}

/// The first hardware adapter, else the first; without any the GPU's benches are left out.
fn gpu() -> Option<Device> {
    match Device::choose("gpu", 0) {
        Ok((device, why)) => {
            eprintln!("gpu: {} ({why})", device.name());
            Some(device)
        }
        Err(error) => {
            eprintln!("gpu: none, its benches are left out ({error})");
            None
        }
    }
}

/// On the CPU by one thread and by one a core, on the GPU with few and with many steps in a submit.
fn ways(gpu: Option<&Device>) -> Vec<Way> {
    let cpu = |threads, name: &str| Way {
        name: format!("cpu, {name}"),
        device: Device::Cpu(threads),
        steps_per_submit: None,
    };
    let mut ways = vec![cpu(1, "1 thread"), cpu(0, "a thread a core")];
    if let Some(device) = gpu {
        ways.extend([Some(1), Some(8), Some(64), None].map(|steps| Way {
            name: match steps {
                Some(steps) => format!("gpu, steps in a submit: {steps}"),
                None => "gpu, steps in a submit: by their time".to_owned(),
            },
            device: device.clone(),
            steps_per_submit: steps,
        }));
    }
    ways
}

fn trainer(preset: &str, way: &Way) -> Trainer {
    let config = Config::preset(preset).expect("a listed preset exists");
    let batch = config.train.batch_size;
    let data = |batches, seed| Dataset::synthetic(batches * batch, [28, 28], seed);
    let train = data(BATCHES, 1).expect("a dataset of some images");
    let test = data(1, 2).expect("a dataset of some images");
    let mut trainer = Trainer::new(&way.device, &config, &train, &test).expect("a trainer");
    if let Some(steps) = way.steps_per_submit {
        trainer.set_steps_per_submit(steps);
    }
    trainer
}

/// From the first step that is queued to the report of the last.
fn whole_steps(criterion: &mut Criterion, preset: &str, gpu: Option<&Device>) {
    let batch = Config::preset(preset).expect("a listed preset exists").train.batch_size;
    let mut group = criterion.benchmark_group(format!("step/{preset}"));
    group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(batch as u64));
    for way in ways(gpu) {
        // Made on first use, since a filter may leave it out.
        let mut made = None;
        group.bench_function(&way.name, |bencher| {
            let trainer = made.get_or_insert_with(|| trainer(preset, &way));
            bencher.iter_custom(|steps| {
                let start = Instant::now();
                trainer.advance(steps).expect("the steps");
                trainer.wait().expect("the last report");
                start.elapsed()
            });
        });
    }
    group.finish();
}

/// What a step costs the host: records, encoding and submitting, with the device idle before.
fn host_work(criterion: &mut Criterion, preset: &str, gpu: &Device) {
    let way = Way {
        name: format!("gpu, encode and submit {ENCODED} at once"),
        device: gpu.clone(),
        steps_per_submit: Some(ENCODED as usize),
    };
    let mut group = criterion.benchmark_group(format!("host/{preset}"));
    group.sampling_mode(SamplingMode::Flat);
    let mut made = None;
    group.bench_function(&way.name, |bencher| {
        let trainer = made.get_or_insert_with(|| trainer(preset, &way));
        bencher.iter_custom(|steps| {
            // Always whole submits, whose cost is shared.
            let submits = steps.div_ceil(ENCODED);
            let mut spent = Duration::ZERO;
            for _ in 0..submits {
                let start = Instant::now();
                trainer.advance(ENCODED).expect("the steps");
                spent += start.elapsed();
                trainer.wait().expect("the last report");
            }
            spent.mul_f64(steps as f64 / (submits * ENCODED) as f64)
        });
    });
    group.finish();
}
