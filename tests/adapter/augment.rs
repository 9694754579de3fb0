//! Images that training steps change: whole steps, the same bits however they are run, and looks that know nothing of it.

use elbo::checkpoint::State;
use elbo::config::{Config, ImageSize, Likelihood, Pixels, Rule};
use elbo::engine::{Fusion, Parameter, Record};
use elbo::model::{TrainingNoise, Use};
use elbo::{Dataset, Device, Trainer};

use crate::common::{Bench, cut, gpu, kind, small, steps_of_images_hold};

/// Every way in which a step goes on from changed images, with their extents.
fn kinds() -> Vec<(&'static str, Config, [usize; 3])> {
    let of = |name, extents, change: fn(&mut Config)| {
        let (name, config) = kind(name, change);
        (name, config, extents)
    };
    vec![
        of("mirrored", [5, 7, 1], |c| c.train.flip = true),
        of("shifted, told", [5, 7, 1], |c| (c.train.shift, c.model.classes) = (3, 3)),
        of("colour, all at once", [3, 4, 3], |c| {
            (c.train.flip, c.train.shift, c.train.jitter) = (true, 2, 0.2);
        }),
        of("levels", [3, 4, 3], |c| {
            (c.train.flip, c.train.jitter) = (true, 0.3);
            c.model.likelihood = Likelihood::Logistic;
        }),
        of("tossed", [5, 7, 1], |c| {
            (c.train.flip, c.train.shift, c.train.pixels) = (true, 1, Pixels::Binarised);
        }),
        of("tossed once", [5, 7, 1], |c| {
            (c.train.shift, c.train.pixels) = (2, Pixels::BinarisedOnce);
        }),
        of("weighed, normal", [5, 7, 1], |c| {
            (c.train.shift, c.train.jitter, c.objective.importance) = (1, 0.1, 3);
            c.model.likelihood = Likelihood::Normal;
        }),
    ]
}

#[test]
fn steps_hold() {
    let gpu = gpu();
    for (name, config, extents) in kinds() {
        let size = ImageSize::from(extents);
        steps_of_images_hold(name, &config, &gpu, (&cut(300, size.len()), size));
    }
}

/// A step that moves images is the step of data that hold them so: the encoder and the likelihood see the same.
#[test]
fn a_step_is_that_of_data_that_are_so() {
    let size = ImageSize::from([5, 7]);
    let (bytes, noise, step) = (cut(300, 35), TrainingNoise::Drawn, Use::Step(Fusion::Nothing));
    for classes in [0, 3] {
        let mut config = small();
        (config.optimizer.rule, config.optimizer.lr) = (Rule::Sgd, 1e-3);
        config.model.classes = classes;
        let plain = config.clone();
        (config.train.flip, config.train.shift) = (true, 2);
        let run = |config: &Config, bytes: &[u8]| {
            let mut bench = Bench::of_images(config, (bytes, size), noise, None, step);
            bench.start(7);
            let objective = bench.objective(bench.record(1));
            let x = bench.session.read(bench.vae.ports.x);
            (objective, bench.read_all(|p: &Parameter| p.value), x)
        };
        let found = run(&config, &bytes);
        let mut held: Vec<_> = found.2.iter().map(|v| (v * 255.0).round() as u8).collect();
        assert!(held != bytes[..held.len()], "nothing was moved");
        // The others are not looked at.
        held.extend_from_slice(&bytes[held.len()..]);
        let expected = run(&plain, &held);
        assert!(found == expected, "{} is {} of the data", found.0, expected.0);
    }
}

/// Pixels that are tossed once for all steps are moved; those that are tossed anew are others.
#[test]
fn coins_that_are_tossed_once_are_moved() {
    let (bytes, noise, step) = (cut(300, 35), TrainingNoise::Drawn, Use::Step(Fusion::Nothing));
    for (pixels, stays) in [(Pixels::BinarisedOnce, true), (Pixels::Binarised, false)] {
        let mut config = small();
        (config.train.flip, config.train.pixels) = (true, pixels);
        let mut bench = Bench::of_images(&config, (&bytes, [5, 7].into()), noise, None, step);
        bench.start(7);
        let record = bench.record(1);
        let mut steps = Vec::new();
        for step in 0..3 {
            bench.objective(Record { step, ..record });
            steps.push(bench.session.read(bench.vae.ports.x));
        }
        let mirrored = |x: &[f64]| {
            let lines = x.chunks(7).map(|line| line.iter().rev().copied());
            lines.flatten().collect::<Vec<_>>()
        };
        let mut same = true;
        for (now, then) in [(0, 1), (1, 2)] {
            let rows = steps[now].chunks(35).zip(steps[then].chunks(35));
            same &= rows.into_iter().all(|(a, b)| a == b || a == mirrored(b));
        }
        assert_eq!(same, stays, "{pixels:?} stay as they are");
        assert!(steps[0] != steps[1], "{pixels:?}: nothing is mirrored");
    }
}

fn data([height, width, channels]: [usize; 3]) -> [Dataset; 2] {
    [(50, 1), (20, 2)].map(|(count, seed)| {
        let grey = Dataset::synthetic(count, [height, width * channels], seed).expect("images");
        let pixels = grey.pixels(0..count).expect("pixels");
        let bytes = pixels.iter().map(|v| (v * 255.0).round() as u8).collect();
        let images = Dataset::from_bytes([height, width, channels], bytes).expect("bytes");
        images.with_labels((0..count).map(|i| (i % 3) as u8).collect()).expect("a class each")
    })
}

/// Losses, a look and the state after so many more steps.
fn end(trainer: &mut Trainer, steps: u64) -> (Vec<u8>, String) {
    trainer.advance(steps).expect("steps");
    let losses = trainer.finish().expect("losses");
    let looked = trainer.evaluate().expect("test losses");
    (trainer.state().expect("a state").to_bytes().expect("bytes"), format!("{losses:?} {looked:?}"))
}

#[test]
fn bits_are_the_same_in_any_submit_and_after_a_stop() {
    for (name, config, extents) in kinds() {
        let [train, test] = data(extents);
        for device in [Device::Cpu(2), Device::Gpu(gpu())] {
            let new = || Trainer::new(&device, &config, &train, &test).expect("a trainer");
            let mut alone = new();
            alone.set_steps_per_submit(1);
            let expected = end(&mut alone, 13);
            for (stop, per_submit) in [(3, 5), (9, 64)] {
                let mut first = new();
                first.set_steps_per_submit(per_submit);
                first.advance(stop).expect("steps");
                let bytes = first.state().expect("a state").to_bytes().expect("bytes");
                let state = State::from_bytes("state".as_ref(), &bytes).expect("what was written");
                let resumed = Trainer::resume(&device, &state, &train, &test);
                let mut resumed = resumed.expect("its own state");
                resumed.set_steps_per_submit(per_submit);
                let found = end(&mut resumed, 13 - stop);
                assert!(found == expected, "{name}, {}: stopped at {stop}", device.kind());
            }
        }
    }
}

#[test]
fn looks_know_nothing_of_it() {
    for (name, config, extents) in kinds() {
        let [train, test] = data(extents);
        let mut plain = config.clone();
        (plain.train.flip, plain.train.shift, plain.train.jitter) = (false, 0, 0.0);
        for device in [Device::Cpu(2), Device::Gpu(gpu())] {
            let mut changing = Trainer::new(&device, &config, &train, &test).expect("a trainer");
            changing.advance(5).expect("steps");
            let trained = changing.finish().expect("losses");
            let mut state = changing.state().expect("a state");
            state.config = plain.clone();
            let mut other = Trainer::resume(&device, &state, &train, &test).expect("its weights");
            let [found, expected] = [&mut changing, &mut other]
                .map(|trainer| format!("{:?}", trainer.evaluate().expect("losses")));
            assert_eq!(found, expected, "{name} on {}", device.kind());
            let mut never = Trainer::new(&device, &plain, &train, &test).expect("a trainer");
            never.advance(5).expect("steps");
            let untouched = never.finish().expect("losses");
            assert!(trained.loss != untouched.loss, "{name}: steps that change nothing");
        }
    }
}
