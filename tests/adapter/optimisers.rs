//! The update rules and the schedules of the learning rate equal PyTorch's (`tests/golden/`).

use elbo::config::{Config, Rule, Schedule};
use elbo::engine::Fusion;
use elbo::model::TrainingNoise;
use elbo::optim::{Plateau, learning_rate};
use elbo::session::Device;

use crate::common::golden::{Golden, assert_close, given_step, set_weights, small_images};
use crate::common::{Bench, gpu, small, steps_hold};

/// The small net of `tests/golden/`.
fn witness() -> Config {
    let mut config = Config::default();
    (config.model.encoder, config.model.decoder) = ([19].into(), [19].into());
    (config.model.latent, config.train.batch_size) = (3, 7);
    config
}

/// Ways to run: a device, or the oracle, by one of the programs, and what may differ.
type Way = (&'static str, Option<Device>, Fusion, f64);

fn ways() -> [Way; 4] {
    let gpu = Device::Gpu(gpu());
    [
        ("oracle", None, Fusion::Nothing, 1e-9),
        ("cpu", Some(Device::Cpu(2)), Fusion::Updates, 1e-5),
        ("gpu as recorded", Some(gpu.clone()), Fusion::Nothing, 1e-5),
        ("gpu", Some(gpu), Fusion::All, 1e-5),
    ]
}

#[test]
fn rules_equal_pytorch() {
    let (golden, images) = (Golden::read("optimisers.safetensors"), small_images());
    let rule = |rule, lr, change: fn(&mut Config)| {
        let mut config = witness();
        (config.optimizer.rule, config.optimizer.lr) = (rule, lr);
        change(&mut config);
        config
    };
    let variants = [
        ("adamax", rule(Rule::Adamax, 2e-3, |_| ())),
        (
            "adamax_decay",
            rule(Rule::Adamax, 2e-3, |c| {
                (c.optimizer.beta1, c.optimizer.beta2) = (0.8, 0.99);
                c.optimizer.weight_decay = 0.01;
            }),
        ),
        ("rmsprop", rule(Rule::Rmsprop, 1e-3, |_| ())),
        (
            "rmsprop_momentum",
            rule(Rule::Rmsprop, 1e-3, |c| {
                (c.optimizer.alpha, c.optimizer.momentum) = (0.9, 0.9);
                c.optimizer.weight_decay = 0.01;
            }),
        ),
        ("adagrad", rule(Rule::Adagrad, 1e-2, |_| ())),
        (
            "adagrad_begun",
            rule(Rule::Adagrad, 1e-2, |c| {
                (c.optimizer.initial_accumulator, c.optimizer.weight_decay) = (0.1, 0.01);
            }),
        ),
    ];
    for (way, device, step, allowed) in ways() {
        for (name, config) in &variants {
            let (data, noise) = ((images.as_slice(), 37), TrainingNoise::Given);
            let mut bench = Bench::with_step(config, data, noise, device.as_ref(), step);
            set_weights(&mut bench, 0.5);
            for t in 1..=100 {
                given_step(&mut bench, t);
            }
            for (key, found) in bench.read_all(|parameter| parameter.value) {
                let expected = golden.floats(&format!("{name}/after100.{key}"));
                assert_close(&format!("{way}, {name}, {key}"), &found, &expected, allowed);
            }
        }
    }
}

#[test]
fn steps_of_every_rule_equal_the_oracle() {
    let gpu = gpu();
    for rule in [Rule::Adamax, Rule::Rmsprop, Rule::Adagrad] {
        for (clip_norm, normalise) in [(0.0, false), (0.1, false), (0.0, true)] {
            let mut config = small();
            (config.optimizer.rule, config.optimizer.clip_norm) = (rule, clip_norm);
            (config.optimizer.weight_decay, config.optimizer.normalise) = (0.1, normalise);
            let name = format!("{rule:?}, clipped to {clip_norm}, normalised: {normalise}");
            steps_hold(&name, &config, &gpu);
        }
    }
}

#[test]
fn schedules_equal_pytorch() {
    let golden = Golden::read("optimisers.safetensors");
    let mut config = Config::default();
    config.optimizer.schedule = Schedule::Cosine;
    (config.optimizer.final_lr, config.train.epochs) = (1e-5, 8);
    // Of 40 steps in 8 epochs.
    let found: Vec<_> = (1..=40).map(|step| learning_rate(&config, step, 5)).collect();
    assert_close("cosine", &found, &golden.floats("schedule/cosine"), 1e-12);
    config.optimizer.schedule = Schedule::Step;
    (config.optimizer.decay_epochs, config.optimizer.decay_factor) = (3, 0.5);
    // The first and the last step of each epoch.
    for at in [1, 5] {
        let found: Vec<_> =
            (0..20).map(|epoch| learning_rate(&config, epoch * 5 + at, 5)).collect();
        assert_close("step", &found, &golden.floats("schedule/step"), 1e-12);
    }
    config.optimizer.schedule = Schedule::Plateau;
    config.optimizer.decay_factor = 0.2;
    let mut plateau = Plateau::NONE;
    let mut found = Vec::new();
    for (epoch, &loss) in (0..).zip(&golden.floats("schedule/plateau_losses")) {
        found.push(learning_rate(&config, epoch * 5 + 1, 5) * plateau.factor(&config.optimizer));
        // The second look of an epoch changes nothing.
        for _ in 0..2 {
            plateau.note(&config.optimizer, ((epoch + 1) * 5, 5), loss);
        }
    }
    assert_close("plateau", &found, &golden.floats("schedule/plateau"), 1e-12);
}

/// By hand: losses of every third epoch that do not fall count the epochs between them too.
#[test]
fn a_plateau_counts_epochs_and_not_looks() {
    let mut config = Config::default();
    (config.optimizer.schedule, config.optimizer.decay_epochs) = (Schedule::Plateau, 5);
    let mut plateau = Plateau::NONE;
    let factors = [3, 6, 9, 12, 15, 18].map(|epoch| {
        plateau.note(&config.optimizer, (epoch * 7, 7), if epoch == 9 { 1.0 } else { 2.0 });
        plateau.factor(&config.optimizer)
    });
    // The lowest is that of epoch 9; six epochs later the rate falls.
    assert_eq!(factors, [1.0, 1.0, 1.0, 1.0, 0.1, 0.1]);
}
