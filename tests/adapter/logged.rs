//! Steps that are logged: their numbers, the norm of their gradient, and that nothing else is other than in others.

use elbo::config::{Config, Likelihood, NonFinite, Reduction, Rule, Scale};
use elbo::engine::{Fusion, Parameter};
use elbo::model::{DataSpec, TrainingNoise, Use, Vae};
use elbo::train::{Event, Step};
use elbo::{Dataset, Device, Trainer};

use crate::common::{Bench, cut, gpu, kind, small};

/// Small models whose gradients are stored, used at once, or both.
fn kinds() -> Vec<(&'static str, Config)> {
    vec![
        kind("classic", |_| ()),
        kind("adamw", |c| (c.optimizer.rule, c.optimizer.weight_decay) = (Rule::Adamw, 0.1)),
        kind("adamax", |c| c.optimizer.rule = Rule::Adamax),
        kind("rmsprop", |c| c.optimizer.rule = Rule::Rmsprop),
        kind("adagrad", |c| c.optimizer.rule = Rule::Adagrad),
        kind("sgd, clipped", |c| {
            (c.optimizer.rule, c.optimizer.clip_norm) = (Rule::Sgd, 0.1);
        }),
        kind("clipped", |c| c.optimizer.clip_norm = 0.1),
        kind("normalised gradients, sgd", |c| {
            (c.optimizer.rule, c.optimizer.normalise) = (Rule::Sgd, true);
        }),
        kind("mean, layer norm", |c| {
            (c.objective.reduction, c.model.layer_norm) = (Reduction::Mean, true);
        }),
        kind("classes, averaged", |c| (c.model.classes, c.optimizer.average) = (3, 0.9)),
        kind("several z, deep", |c| {
            c.objective.samples = 3;
            (c.model.encoder, c.model.decoder) = ([31, 17, 9].into(), [9, 33].into());
        }),
        kind("weighed z, shallow", |c| {
            c.objective.importance = 3;
            (c.model.encoder, c.model.decoder) = ([].into(), [].into());
        }),
        kind("one learned scale", |c| {
            (c.model.likelihood, c.model.scale) = (Likelihood::Normal, Scale::Shared);
        }),
    ]
}

/// What a step leaves: weights and moments.
const LEFT: [fn(&Parameter) -> elbo::engine::Tensor; 3] =
    [|p: &Parameter| p.value, |p: &Parameter| p.first, |p: &Parameter| p.second];

#[test]
fn the_norm_is_that_of_all_gradients_and_changes_no_bit() {
    let (images, gpu) = (cut(300, 37), gpu());
    let (data, noise) = ((images.as_slice(), 37), TrainingNoise::Drawn);
    let schedule = |name| Some(Device::Gpu(gpu.clone().with_schedule(name)));
    let ways = [
        ("oracle as on a GPU", None, Fusion::All, 1e-12),
        ("oracle as on a CPU", None, Fusion::Updates, 1e-12),
        ("cpu", Some(Device::Cpu(2)), Fusion::Updates, 2e-5),
        ("cpu as recorded", Some(Device::Cpu(2)), Fusion::Nothing, 2e-5),
        ("gpu", Some(Device::Gpu(gpu.clone())), Fusion::All, 2e-5),
        ("gpu, register", schedule("register"), Fusion::All, 2e-5),
        ("gpu, wide", schedule("wide"), Fusion::All, 2e-5),
        ("gpu, deep", schedule("deep"), Fusion::All, 2e-5),
        ("gpu as recorded", Some(Device::Gpu(gpu.clone())), Fusion::Nothing, 2e-5),
    ];
    for (name, config) in kinds() {
        // Its step leaves gradients as they are.
        let mut as_they_are = config.clone();
        as_they_are.optimizer.normalise = false;
        for (way, device, step, allowed) in &ways {
            let mut judge = Bench::new(&as_they_are, data, noise, None);
            let mut recorded = Bench::new(&config, data, noise, None);
            let bench = |step| Bench::with_use(&config, data, noise, device.as_ref(), step);
            let [mut plain, mut logged] = [Use::Step(*step), Use::LoggedStep(*step)].map(bench);
            [&mut recorded, &mut plain, &mut logged].into_iter().for_each(|bench| bench.start(7));
            for t in 1..=2 {
                let record = recorded.record(t);
                let values = recorded.read_all(|parameter| parameter.value);
                let of = |name: &str| values.iter().find(|(key, _)| key == name);
                judge.write_all(|key, _| of(key).expect("a parameter").1.clone());
                [&mut recorded, &mut judge].into_iter().for_each(|bench| {
                    bench.step(record);
                });
                let all = judge.read_all(|parameter| parameter.grad);
                let squares = all.iter().flat_map(|(_, gradient)| gradient).map(|g| g * g);
                let (found, expected) = (logged.gradient_norm(record), squares.sum::<f64>().sqrt());
                let apart = (found - expected).abs() / expected;
                assert!(apart <= *allowed, "{name}, {way}, step {t}: {found}, {expected}");
                plain.step(record);
                for place in LEFT {
                    let same = plain.read_all(place) == logged.read_all(place);
                    assert!(same, "{name}, {way}, step {t}: what a logged step leaves");
                }
            }
        }
    }
}

#[test]
fn a_logged_step_has_one_dispatch_more() {
    let data = DataSpec { images: 60_000, size: [1, 784].into(), bytes: true, window: None };
    let mut vae = Vae::new(&Config::default(), data, data).expect("the classic model");
    let step = vae.program(Use::LoggedStep(Fusion::All)).expect("a program");
    let names: Vec<_> = step.dispatches.iter().map(|d| d.kernel.name()).collect();
    let expected = [
        "matmul.adam_squares",
        "matmul.adam_squares",
        "matmul.adam_squares",
        "matmul.adam_bytes_squares",
        "norm.report",
    ];
    assert_eq!(names[8..], expected, "the updates of the classic step, and the norm");
    assert_eq!((step.dispatches.len(), step.depth()), (13, 9), "dispatches, and their depth");
}

fn trainer(device: &Device, config: &Config) -> Trainer {
    let data = Dataset::synthetic(64, [6, 6], 1).expect("a dataset");
    Trainer::new(device, config, &data, &data).expect("a trainer")
}

fn logged(trainer: &mut Trainer) -> Vec<Step> {
    trainer.wait().expect("steps");
    let events = trainer.take_events().into_iter();
    let step = |event| match event {
        Event::Step(step) => step,
        Event::Broken(broken) => panic!("nothing breaks here: {broken:?}"),
    };
    events.map(step).collect()
}

#[test]
fn steps_are_logged_by_their_numbers() {
    let mut config = small();
    (config.train.log_every, config.objective.warmup_steps) = (3, 8);
    config.optimizer.warmup_steps = 4;
    for device in [Device::Cpu(1), Device::Gpu(gpu())] {
        let mut whole = trainer(&device, &config);
        whole.advance(17).expect("steps");
        let expected = logged(&mut whole);
        let numbers: Vec<_> = expected.iter().map(|s| (s.step, s.epoch)).collect();
        // 64 images by 12 are 6 steps an epoch.
        assert_eq!(numbers, [(3, 1), (6, 1), (9, 2), (12, 2), (15, 3)], "{}", device.kind());
        let rates: Vec<_> = expected.iter().map(|s| (s.learning_rate, s.kl_weight)).collect();
        assert_eq!(rates[..2], [(0.75e-3, 0.25), (1e-3, 0.625)], "of the third step and the sixth");
        assert!(logged(&mut whole).is_empty(), "they are told once");
        for per_submit in [1, 4, 64] {
            let mut other = trainer(&device, &config);
            other.set_steps_per_submit(per_submit);
            other.advance(7).expect("steps");
            let state = other.state().expect("a state");
            let mut found = logged(&mut other);
            let mut resumed = trainer(&device, &config);
            resumed.set_steps_per_submit(per_submit);
            resumed.restore(&state).expect("its state");
            resumed.advance(10).expect("steps");
            found.extend(logged(&mut resumed));
            assert_eq!(found, expected, "{}, {per_submit} steps a submit", device.kind());
        }
        config.train.log_every = 0;
        let mut silent = trainer(&device, &config);
        silent.advance(17).expect("steps");
        assert!(logged(&mut silent).is_empty(), "none is logged");
        let states = [&mut whole, &mut silent].map(|t| t.state().expect("a state").tensors);
        assert!(states[0] == states[1], "weights and moments, {}", device.kind());
        config.train.log_every = 3;
    }
}

/// The mean over an epoch is that of its steps, each by its images.
#[test]
fn an_epoch_is_the_mean_of_its_steps() {
    let mut config = small();
    (config.train.log_every, config.objective.beta) = (1, 3.0);
    let mut trainer = trainer(&Device::Cpu(1), &config);
    trainer.advance(6).expect("steps");
    let steps = logged(&mut trainer);
    let images: Vec<_> = (0..6).map(|step| trainer.images_in_step(step) as f64).collect();
    let mean = |of: fn(&Step) -> f64| {
        steps.iter().zip(&images).map(|(step, images)| of(step) * images).sum::<f64>() / 64.0
    };
    let (objective, losses) = (trainer.objective(), trainer.finish().expect("losses"));
    for (what, found, expected) in [
        ("loss", mean(|s| s.losses.loss), losses.loss),
        ("recon", mean(|s| s.losses.recon), losses.recon),
        ("KL", mean(|s| s.losses.kl), losses.kl),
        ("objective", mean(|s| s.objective), objective),
        ("recon + 3 KL", mean(|s| s.losses.recon + 3.0 * s.losses.kl), objective),
    ] {
        assert!((found - expected).abs() <= 1e-12 * expected.abs(), "{what}: {found}, {expected}");
    }
}

/// A change of a configuration.
type Change = fn(&mut Config);

/// A minibatch in parts, one whose steps may be left out, and sums in place of means: the same gradient.
#[test]
fn the_norm_is_that_of_the_mean_of_the_whole_minibatch() {
    for device in [Device::Cpu(1), Device::Gpu(gpu())] {
        let steps = |change: Change| {
            let mut config = small();
            config.train.log_every = 1;
            // The rule's ε has no part in it.
            (config.optimizer.rule, config.optimizer.lr) = (Rule::Sgd, 1e-6);
            change(&mut config);
            let mut trainer = trainer(&device, &config);
            trainer.advance(6).expect("steps");
            logged(&mut trainer)
        };
        let expected = steps(|c| c.objective.reduction = Reduction::Mean);
        let ways: [(&str, Change); 4] = [
            ("a sum", |c| c.optimizer.lr /= 12.0),
            ("parts", |c| (c.train.accumulate, c.optimizer.lr) = (3, 1e-6 / 12.0)),
            ("parts of the mean", |c| {
                (c.train.accumulate, c.objective.reduction) = (4, Reduction::Mean);
            }),
            ("steps that may be left out", |c| {
                (c.train.non_finite, c.objective.reduction) = (NonFinite::Skip, Reduction::Mean);
            }),
        ];
        for (way, change) in ways {
            for (found, expected) in steps(change).iter().zip(&expected) {
                let apart = found.gradient_norm / expected.gradient_norm - 1.0;
                assert!(apart.abs() <= 2e-5, "{way}, {}: {found:?}, {expected:?}", device.kind());
                assert!((found.objective / expected.objective - 1.0).abs() <= 2e-5, "{found:?}");
            }
        }
    }
}
