//! A minibatch that is computed in parts equals one that is computed at once.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use elbo::config::{
    Config, Corruption, Gradient, Likelihood, NonFinite, Pixels, Reduction, Rule, Scale,
};
use elbo::cpu::ProgramId;
use elbo::engine::{Fusion, Parameter, Record};
use elbo::metrics::Terms;
use elbo::model::{DataSpec, Part, TrainingNoise, Use, Vae};
use elbo::train::Way;
use elbo::{Dataset, Device, ErrorKind, Losses, Trainer};

use crate::common::{Bench, Under, cut, distance, gpu, kind, small, survived};

fn kinds() -> Vec<(&'static str, Config)> {
    vec![
        kind("classic", |_| ()),
        kind("mean", |c| c.objective.reduction = Reduction::Mean),
        kind("binarised", |c| c.train.pixels = Pixels::Binarised),
        kind("another contrast", |c| c.train.jitter = 0.2),
        kind("clipped", |c| c.optimizer.clip_norm = 0.1),
        kind("normalised gradients", |c| c.optimizer.normalise = true),
        kind("momentum", |c| (c.optimizer.rule, c.optimizer.momentum) = (Rule::Sgd, 0.9)),
        kind("deep, averaged", |c| {
            (c.model.encoder, c.model.decoder) = ([31, 17].into(), [].into());
            c.optimizer.average = 0.9;
        }),
        kind("several z, one scale", |c| {
            (c.objective.samples, c.objective.reduction) = (3, Reduction::Mean);
            (c.model.likelihood, c.model.scale) = (Likelihood::Normal, Scale::Shared);
        }),
        kind("weighed z, normalised, left out", |c| {
            (c.objective.samples, c.objective.importance) = (2, 3);
            c.objective.gradient = Gradient::Dreg;
            (c.model.layer_norm, c.model.dropout) = (true, 0.2);
            (c.train.corruption, c.train.corruption_level) = (Corruption::Mask, 0.3);
        }),
        kind("normalised, with dropout", |c| (c.model.layer_norm, c.model.dropout) = (true, 0.3)),
        kind("one learned scale", |c| {
            (c.model.likelihood, c.model.scale) = (Likelihood::Normal, Scale::Shared);
        }),
        kind("IWAE", |c| c.objective.importance = 3),
        kind("told, corrupted", |c| {
            (c.model.classes, c.train.corruption) = (3, Corruption::Mask);
            c.train.corruption_level = 0.3;
        }),
        kind("MIWAE with one learned scale, the mean", |c| {
            (c.objective.samples, c.objective.importance) = (2, 2);
            c.objective.reduction = Reduction::Mean;
            (c.model.likelihood, c.model.scale) = (Likelihood::Laplace, Scale::Shared);
            (c.model.layer_norm, c.model.classes) = (true, 3);
        }),
    ]
}

/// Runs a program of a bench by hand.
fn run(bench: &mut Bench, program: ProgramId, record: Record) -> Terms {
    let Under::Oracle(session) = &mut bench.session else { panic!("the oracle") };
    session.run(program, &[record]);
    let report = session.next_report().expect("a report");
    bench.places.terms(&report)
}

/// The parts of a record by its definition: so many images each, at the same step and rates.
fn part(record: Record, from: u32, most: u32) -> Record {
    Record { first: record.first + from, rows: most.min(record.rows - from), ..record }
}

#[test]
fn parts_equal_the_whole_in_the_oracle() {
    let images = cut(300, 37);
    let data = (images.as_slice(), 37);
    let mut worst = 0.0_f64;
    for (name, config) in kinds() {
        for accumulate in [2, 3, 12] {
            let mut in_parts = config.clone();
            in_parts.train.accumulate = accumulate;
            let mut whole = Bench::new(&config, data, TrainingNoise::Drawn, None);
            let mut parts = Bench::new(&in_parts, data, TrainingNoise::Drawn, None);
            let Under::Oracle(session) = &mut parts.session else { panic!("the oracle") };
            let [first, middle, last] = [Part::First, Part::Middle, Part::Last].map(|part| {
                let program = parts.vae.program(Use::Part(part)).expect("a program").clone();
                session.extend(&parts.vae.plan).expect("enough memory");
                session.load(&program)
            });
            whole.start(7);
            parts.start(7);
            // Full, and with a smaller last part.
            for (t, rows) in [(1, 12), (2, 7), (3, 12)] {
                let record = Record { rows, ..whole.record(t) };
                let expected = whole.terms(record);
                let expected = [expected.recon, expected.kl, expected.extra];
                let most = 12 / accumulate as u32;
                let mut found = [0.0; 3];
                for from in (0..rows).step_by(most as usize) {
                    let program = match from {
                        0 => first,
                        from if from + most >= rows => last,
                        _ => middle,
                    };
                    let terms = run(&mut parts, program, part(record, from, most));
                    found[0] += terms.recon;
                    found[1] += terms.kl;
                    found[2] += terms.extra;
                }
                worst = worst.max(distance(&found, &expected));
                for place in [|p: &Parameter| p.value, |p: &Parameter| p.first] {
                    let all = whole.read_all(place);
                    for ((key, found), (_, expected)) in parts.read_all(place).iter().zip(&all) {
                        let apart = distance(found, expected);
                        worst = worst.max(apart);
                        assert!(apart <= 1e-12, "{name}, {accumulate}, {key}: {apart:e} apart");
                    }
                }
            }
        }
    }
    println!("parts and wholes are at most {worst:e} apart");
    assert!(worst <= 1e-12, "losses: {worst:e}");
}

fn trained(device: &Device, config: &Config) -> (Vec<f64>, Losses) {
    let data = Dataset::synthetic(50, [7, 9], 5).expect("a dataset");
    let data = data.with_labels((0..50).map(|image| image % 3).collect()).expect("a label each");
    let mut trainer = Trainer::new(device, config, &data, &data).expect("a trainer");
    // The last minibatch of an epoch has two images.
    trainer.advance(7).expect("steps");
    trainer.evaluate().expect("finite losses");
    trainer.advance(5).expect("steps");
    let losses = trainer.finish().expect("losses");
    let weights = trainer.weights().expect("weights").into_iter().flat_map(|w| w.values);
    (weights.map(f64::from).collect(), losses)
}

#[test]
fn a_trainer_in_parts_ends_where_one_at_once_does() {
    for device in [Device::Cpu(2), Device::Gpu(gpu())] {
        for (name, config) in kinds() {
            let (expected, losses) = trained(&device, &config);
            for accumulate in [2, 6] {
                let mut config = config.clone();
                config.train.accumulate = accumulate;
                let (found, sums) = trained(&device, &config);
                let apart = distance(&found, &expected);
                println!("{name} on {}, {accumulate} parts: {apart:e} apart", device.kind());
                assert!(apart <= 1e-6, "{name} on {}: {apart:e} apart", device.kind());
                let apart = (sums.loss - losses.loss).abs() / losses.loss;
                assert!(apart <= 1e-6, "{name}, the losses: {sums:?}, {losses:?}");
            }
        }
    }
}

#[test]
fn parts_take_less_memory() {
    let data = DataSpec { images: 1000, size: [1, 784].into(), bytes: true, window: None };
    let plan = |accumulate| {
        let mut config = Config::default();
        config.train.accumulate = accumulate;
        let mut vae = Vae::new(&config, data, data).expect("a plan");
        let _ = vae.program(Use::Step(Fusion::Nothing)).expect("a program");
        vae
    };
    let (whole, parts) = (plan(1), plan(8));
    assert_eq!((whole.ports.x.rows(), parts.ports.x.rows()), (128, 16), "rows of the minibatch");
    // Activations and their gradients, 2 · (784 + 400) floats an image at the least.
    let saved = whole.plan.bytes() - parts.plan.bytes();
    assert!(saved > 2 * (784 + 400) * 4 * 112, "{saved} bytes");
}

/// A fault in one image breaks the step that uses it, whichever part of it that is in.
#[test]
fn what_breaks_in_a_part_breaks_its_step() {
    const PIXELS: usize = 16;
    let data = |fault: Option<usize>| {
        let mut pixels: Vec<_> = (0..60 * PIXELS).map(|i| (i * 37 % 101) as f32 / 101.0).collect();
        if let Some(image) = fault {
            pixels[image * PIXELS] = 1e30;
        }
        Dataset::from_floats([4, 4], pixels).expect("finite pixels")
    };
    let mut config = small();
    config.model.likelihood = Likelihood::Normal;
    config.train.accumulate = 4;
    let mut steps = std::collections::BTreeSet::new();
    for device in [Device::Cpu(2), Device::Gpu(gpu())] {
        for image in [0, 7, 23, 41, 59] {
            let run = |config: &Config, way| {
                let mut config = config.clone();
                config.train.non_finite = way;
                let trainer = Trainer::new(&device, &config, &data(Some(image)), &data(None));
                let mut trainer = trainer.expect("a trainer");
                let done = trainer.advance(5).and_then(|()| trainer.wait());
                (trainer, done)
            };
            let (mut skipped, done) = run(&config, NonFinite::Skip);
            done.expect("a step is left out");
            let broken = survived(&mut skipped);
            let [broken] = &broken[..] else { panic!("one step: {broken:?}") };
            assert!(broken.way == Way::Skipped && broken.what.contains('`'), "{broken:?}");
            assert_eq!(skipped.trained().sums.images(), 48, "its other parts do not count");
            let mut at_once = config.clone();
            at_once.train.accumulate = 1;
            let (mut whole, done) = run(&at_once, NonFinite::Skip);
            done.expect("a step is left out");
            assert_eq!(&survived(&mut whole)[0].step, &broken.step, "the same step");
            let weights = |trainer: &mut Trainer| -> Vec<f64> {
                let weights = trainer.weights().expect("weights").into_iter();
                weights.flat_map(|w| w.values).map(f64::from).collect()
            };
            let apart = distance(&weights(&mut skipped), &weights(&mut whole));
            assert!(apart <= 1e-6, "{apart:e} apart without that step");
            let (_, stopped) = run(&config, NonFinite::Stop);
            let error = stopped.expect_err("a broken step");
            assert_eq!(error.kind(), ErrorKind::Numbers, "{error}");
            assert!(error.to_string().contains(&format!("at step {}:", broken.step)), "{error}");
            steps.insert(broken.step);
        }
    }
    assert!(steps.len() > 2, "only steps {steps:?}");
}
