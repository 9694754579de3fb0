//! Averages of the weights: PyTorch's numbers, what looks at them, and what a state keeps of them.

mod common;

use common::golden::{Golden, assert_close, given_step, set_weights, small_images};
use common::{Bench, gpu, small, steps_hold};
use elbo::checkpoint::{AVERAGE, State, Weight};
use elbo::config::{Config, NonFinite, Rule, Schedule};
use elbo::engine::Program;
use elbo::model::{Programs, TrainingNoise};
use elbo::{Dataset, Device, Model, Trainer};

fn devices() -> [Device; 2] {
    [Device::Cpu(2), Device::Gpu(gpu())]
}

fn data() -> Dataset {
    Dataset::synthetic(50, [5, 6], 3).expect("made images")
}

fn trainer(device: &Device, config: &Config) -> Trainer {
    Trainer::new(device, config, &data(), &data()).expect("a trainer")
}

fn averaged() -> Config {
    let mut config = small();
    config.optimizer.average = 0.95;
    config
}

/// The tensors under a prefix, under their own names.
fn under(state: &State, prefix: &str) -> Vec<Weight> {
    let of = |weight: &Weight| {
        let key = weight.key.strip_prefix(prefix)?.to_owned();
        (!key.starts_with("optimizer.") && (!prefix.is_empty() || !key.starts_with(AVERAGE)))
            .then(|| Weight { key, ..weight.clone() })
    };
    state.tensors.iter().filter_map(of).collect()
}

#[test]
fn averages_equal_pytorch() {
    let (golden, images) = (Golden::read("optimisers.safetensors"), small_images());
    let mut config = Config::default();
    (config.model.encoder, config.model.decoder) = ([19].into(), [19].into());
    (config.model.latent, config.train.batch_size) = (3, 7);
    config.optimizer.average = 0.95;
    let recorded: fn(&Programs) -> &Program = |p| &p.step;
    let [cpu, gpu] = devices();
    for (way, device, step, allowed) in [
        ("oracle", None, recorded, 1e-9),
        ("cpu", Some(cpu), |p: &Programs| &p.cpu_step, 1e-5),
        ("gpu", Some(gpu), |p: &Programs| &p.gpu_step, 1e-5),
    ] {
        let data = (images.as_slice(), 37);
        let mut bench =
            Bench::with_step(&config, data, TrainingNoise::Given, device.as_ref(), step);
        set_weights(&mut bench, 0.5);
        for parameter in bench.vae.parameters.list().to_vec() {
            let values = bench.session.read(parameter.value);
            bench.session.write(parameter.average.expect("an average"), &values);
        }
        for t in 1..=100 {
            given_step(&mut bench, t);
        }
        for (key, found) in bench.read_all(|p| p.average.expect("an average")) {
            let expected = golden.floats(&format!("average/after100.{key}"));
            assert_close(&format!("{way}, the average of {key}"), &found, &expected, allowed);
        }
    }
    steps_hold("averaged", &averaged(), &common::gpu());
}

#[test]
fn averages_are_looked_at_and_leave_training_alone() {
    for device in devices() {
        let mut plain = trainer(&device, &small());
        let mut trainer = trainer(&device, &averaged());
        let mut losses = Vec::new();
        for _ in 0..3 {
            for trainer in [&mut plain, &mut trainer] {
                trainer.advance(4).expect("steps");
            }
            losses.push(trainer.evaluate().expect("finite losses"));
            // However often it is looked at, and by whatever program.
            assert_eq!(trainer.evaluate().expect("again"), losses[losses.len() - 1]);
            trainer.model().and_then(|model| model.sample(3, 1.0)).expect("samples");
        }
        let (state, raw) = (trainer.state().expect("a state"), plain.state().expect("a state"));
        assert!(under(&state, "") == under(&raw, ""), "the raw weights are those of no average");
        let averages = under(&state, AVERAGE);
        assert!(averages != under(&state, ""), "the averages are others");
        assert!(state.weights() == averages, "what goes to other programs");
        assert!(trainer.weights().expect("weights") == averages, "what is saved");
        // A model of the state has its averages.
        let data = data();
        let mut model = Model::new(&device, &state, Some(&data)).expect("a model");
        let codes = trainer.model().and_then(|model| model.encode(0..20)).expect("codes");
        let same = model.encode(0..20).expect("codes");
        let apart = codes.mean.iter().zip(&same.mean).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f32::max) < 1e-5, "codes on {}", device.kind());
        // A trainer without averages whose weights they are has the same losses.
        let mut with = raw;
        for weight in averages {
            let at = with.tensors.iter().position(|w| w.key == weight.key).expect("the same names");
            with.tensors[at] = weight;
        }
        plain.restore(&with).expect("the same shapes");
        let found = plain.evaluate().expect("finite losses");
        assert_eq!(found, losses[2], "the test losses on {}", device.kind());
    }
}

/// Everything that a state keeps of averages, schedules and parts, on both sessions.
#[test]
fn a_run_that_stopped_ends_with_the_same_bits() {
    let mut config = averaged();
    (config.optimizer.rule, config.optimizer.momentum) = (Rule::Rmsprop, 0.5);
    (config.optimizer.schedule, config.optimizer.decay_epochs) = (Schedule::Plateau, 1);
    // A rate at which the noise of a look decides whether the test loss falls.
    (config.optimizer.lr, config.optimizer.decay_factor) = (1e-6, 0.7);
    config.train.accumulate = 4;
    for device in devices() {
        let epochs = |trainer: &mut Trainer, count| {
            for _ in 0..count {
                let left = 5 - trainer.steps_taken() % 5;
                trainer.advance(left).expect("an epoch");
                trainer.evaluate().expect("finite losses");
            }
            trainer.state().expect("a state")
        };
        let never_stopped = epochs(&mut trainer(&device, &config), 6);
        let plateau = never_stopped.trained.plateau.expect("the schedule's");
        assert!(plateau.factor(&config.optimizer) < 1.0, "the rate fell: {plateau:?}");
        for (whole, more) in [(2, 0), (3, 2), (0, 1)] {
            let mut first = trainer(&device, &config);
            epochs(&mut first, whole);
            first.advance(more).expect("steps");
            let bytes = first.state().and_then(|state| state.to_bytes()).expect("a state");
            let state = State::from_bytes("a.safetensors".as_ref(), &bytes).expect("a state");
            let mut resumed =
                Trainer::resume(&device, &state, &data(), &data()).expect("its own data");
            let found = epochs(&mut resumed, 6 - whole);
            assert!(found == never_stopped, "{whole} epochs on {}", device.name());
        }
    }
}

/// The cosine ends with the last epoch, so that no other number of epochs may follow.
#[test]
fn a_cosine_keeps_its_epochs() {
    let mut config = small();
    config.optimizer.schedule = Schedule::Cosine;
    let state = trainer(&Device::Cpu(1), &config).state().expect("a state");
    config.train.epochs += 1;
    let error = trainer(&Device::Cpu(1), &config).restore(&state).expect_err("another end");
    assert!(error.to_string().contains("`epochs` is 11"), "{error}");
    assert!(error.advice().is_some(), "{error} has a hint");
    config.optimizer.schedule = Schedule::Constant;
    let mut other = state.clone();
    other.config = small();
    trainer(&Device::Cpu(1), &config).restore(&other).expect("the end is free");
}

/// A step that broke moves no average.
#[test]
fn averages_survive_a_broken_step() {
    let mut config = averaged();
    (config.optimizer.rule, config.optimizer.lr) = (Rule::Sgd, 3e38);
    for way in [NonFinite::Stop, NonFinite::Skip] {
        config.train.non_finite = way;
        for device in devices() {
            let mut trainer = trainer(&device, &config);
            let before = under(&trainer.state().expect("a state"), AVERAGE);
            let error = trainer.step().and_then(|()| trainer.wait());
            error.expect_err("3e38 is too much for weights");
            assert!(trainer.weights().expect("weights") == before, "{way:?}, {}", device.kind());
        }
    }
}
