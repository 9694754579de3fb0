//! Losses, gradients and trained weights equal PyTorch's numbers (`tests/golden/`), with given noise.

use elbo::config::{Activation, Config, Likelihood, Reduction, Rule};
use elbo::engine::Fusion;
use elbo::model::{TrainingNoise, Use};
use elbo::session::Device;

use crate::common::golden::{
    Golden, NAMES, assert_close, fill, given_step, set_weights, small_images,
};
use crate::common::{Bench, gpu, mnist_bytes};

/// What may differ: the f64 oracle from PyTorch's f64, and f32 from it, as shares of a norm.
const ORACLE: f64 = 1e-9;
const SINGLE: f64 = 1e-5;

/// A way to run: its name, the device, and what it may differ.
type Target = (&'static str, Option<Device>, f64);

/// The three ways to run.
fn targets() -> Vec<Target> {
    vec![
        ("oracle", None, ORACLE),
        ("cpu", Some(Device::Cpu(2)), SINGLE),
        ("gpu", Some(Device::Gpu(gpu())), SINGLE),
    ]
}

/// What takes a step, and its name.
type Step = (&'static str, Fusion);

/// Every way to run, by the step as it was recorded and as it was fused for that way.
fn targets_and_steps() -> Vec<(Target, Step)> {
    let recorded: Step = ("recorded", Fusion::Nothing);
    let fused = |target: &str| -> Step {
        match target {
            "cpu" => ("fused", Fusion::Updates),
            _ => ("fused", Fusion::All),
        }
    };
    let ways = targets().into_iter().flat_map(|target| {
        let fused = fused(target.0);
        [(target.clone(), recorded), (target, fused)]
    });
    ways.collect()
}

/// The product's schedules that are not chosen here, each as a way to run.
fn other_schedules() -> Vec<(Target, Step)> {
    let gpu = gpu();
    let others = ["register", "wide", "deep"].map(|name| {
        let device = Device::Gpu(gpu.clone().with_schedule(name));
        let step: Step = ("fused", Fusion::All);
        ((name, Some(device), SINGLE), step)
    });
    others.into()
}

fn small_config(variant: &str) -> Config {
    let mut config = Config::default();
    config.model.encoder = [19].into();
    config.model.decoder = [19].into();
    config.model.latent = 3;
    config.train.batch_size = 7;
    let (model, optimizer) = (&mut config.model, &mut config.optimizer);
    match variant {
        "likelihood_normal" => model.likelihood = Likelihood::Normal,
        "likelihood_normal_half" => {
            model.likelihood = Likelihood::Normal;
            model.sigma = 0.5;
        }
        "opt_adamw" => (optimizer.rule, optimizer.weight_decay) = (Rule::Adamw, 0.01),
        "opt_adam_l2" => optimizer.weight_decay = 0.01,
        "opt_sgd" => optimizer.rule = Rule::Sgd,
        "opt_momentum" | "opt_nesterov" => {
            (optimizer.rule, optimizer.weight_decay) = (Rule::Sgd, 0.01);
            (optimizer.momentum, optimizer.nesterov) = (0.9, variant == "opt_nesterov");
        }
        "clip" => optimizer.clip_norm = 1.0,
        "beta4" => config.objective.beta = 4.0,
        "mean_reduction" => config.objective.reduction = Reduction::Mean,
        name => {
            let activation = name.trim_start_matches("act_").replace('_', "-");
            let known = Activation::ALL.into_iter().find(|a| a.name() == activation);
            model.activation = known.unwrap_or_else(|| panic!("no variant {name}"));
        }
    }
    config
}

const VARIANTS: [&str; 18] = [
    "act_identity",
    "act_relu",
    "act_leaky_relu",
    "act_tanh",
    "act_sigmoid",
    "act_softplus",
    "act_silu",
    "act_gelu",
    "likelihood_normal",
    "likelihood_normal_half",
    "opt_adamw",
    "opt_adam_l2",
    "opt_sgd",
    "opt_momentum",
    "opt_nesterov",
    "clip",
    "beta4",
    "mean_reduction",
];

/// The norm of PyTorch's gradients, whatever the rule does with them.
#[test]
fn norms_of_gradients_equal_pytorch() {
    let (golden, images) = (Golden::read("small.safetensors"), small_images());
    let ways = targets_and_steps().into_iter().chain(other_schedules());
    for ((target, device, allowed), (fused, step)) in ways {
        for variant in VARIANTS {
            let config = small_config(variant);
            let (data, noise) = ((images.as_slice(), 37), TrainingNoise::Given);
            let logged = Use::LoggedStep(step);
            let mut bench = Bench::with_use(&config, data, noise, device.as_ref(), logged);
            set_weights(&mut bench, 0.5);
            let eps = bench.vae.ports.eps;
            bench.session.write(eps, &fill(5001, eps.rows() * eps.cols(), 2.0));
            let record = bench.record(1);
            let found = bench.gradient_norm(record);
            let of = |key: &&str| golden.floats(&format!("{variant}/grad.{key}"));
            let expected = NAMES.iter().flat_map(of).map(|g| g * g).sum::<f64>().sqrt();
            let apart = (found - expected).abs() / expected;
            assert!(apart <= allowed, "{target} {fused} {variant}: {found}, {expected}");
        }
    }
}

#[test]
fn small_nets_equal_pytorch() {
    let (golden, images) = (Golden::read("small.safetensors"), small_images());
    let ways = targets_and_steps().into_iter().chain(other_schedules());
    for ((target, device, allowed), (fused, step)) in ways {
        for variant in VARIANTS {
            let config = small_config(variant);
            let (data, noise) = ((images.as_slice(), 37), TrainingNoise::Given);
            let mut bench = Bench::with_step(&config, data, noise, device.as_ref(), step);
            set_weights(&mut bench, 0.5);
            let at = |key: &str| format!("{target} {fused} {variant} {key}");
            let trained = golden.has(&format!("{variant}/after100.fc1.weight"));
            for t in 1..=if trained { 100 } else { 1 } {
                given_step(&mut bench, t);
                // What is fused is not stored.
                if t == 1 && fused == "recorded" {
                    let (nll, kl) = (bench.vae.ports.nll, bench.vae.ports.kl);
                    for (key, tensor) in [("recon", nll), ("kl", kl)] {
                        let expected = golden.floats(&format!("{variant}/{key}"));
                        assert_close(&at(key), &bench.session.read(tensor), &expected, allowed);
                    }
                    for (key, found) in bench.read_all(|parameter| parameter.grad) {
                        let expected = golden.floats(&format!("{variant}/grad.{key}"));
                        assert_close(&at(&format!("gradient {key}")), &found, &expected, allowed);
                    }
                }
                if trained && [1, 10, 100].contains(&t) {
                    for (key, found) in bench.read_all(|parameter| parameter.value) {
                        let expected = golden.floats(&format!("{variant}/after{t}.{key}"));
                        assert_close(&at(&format!("{key} after {t}")), &found, &expected, allowed);
                    }
                }
            }
        }
    }
}

#[test]
fn gradients_at_trained_weights_equal_pytorch() {
    let (golden, images) = (Golden::read("small.safetensors"), small_images());
    for (target, device, allowed) in targets() {
        let config = small_config("act_relu");
        let data = (images.as_slice(), 37);
        let mut bench = Bench::new(&config, data, TrainingNoise::Given, device.as_ref());
        bench.write_all(|key, _| golden.floats(&format!("act_relu/after100.{key}")));
        given_step(&mut bench, 101);
        for (key, found) in bench.read_all(|parameter| parameter.grad) {
            let expected = golden.floats(&format!("act_relu/grad101.{key}"));
            assert_close(&format!("{target} gradient {key}"), &found, &expected, allowed);
        }
    }
}

/// Compares a whole tensor's norm, and the entries that were kept.
fn assert_sampled(golden: &Golden, what: &str, key: &str, found: &[f64], allowed: f64) {
    let norm = found.iter().map(|v| v * v).sum::<f64>().sqrt();
    let expected = golden.floats(&format!("{key}.norm"))[0];
    let apart = (norm - expected).abs() / expected;
    assert!(apart <= allowed, "{what} {key}: the norm is {apart:e} apart, {allowed:e} allowed");
    let sample: Vec<_> =
        golden.indices(&format!("{key}.index")).into_iter().map(|i| found[i]).collect();
    let expected = golden.floats(&format!("{key}.sample"));
    assert_close(&format!("{what} {key}"), &sample, &expected, allowed);
}

#[test]
fn the_classic_net_on_mnist_equals_pytorch() {
    let (golden, images) = (Golden::read("classic.safetensors"), mnist_bytes(101 * 128));
    for ((target, device, allowed), (fused, step)) in targets_and_steps() {
        let config = Config::default();
        let (data, noise) = ((images.as_slice(), 784), TrainingNoise::Given);
        let mut bench = Bench::with_step(&config, data, noise, device.as_ref(), step);
        set_weights(&mut bench, 1.0 / 32.0);
        let (recons, kls) = (golden.floats("loss_recon"), golden.floats("loss_kl"));
        for t in 1..=100 {
            let [recon, kl] = given_step(&mut bench, t).map(|sum| sum / 128.0);
            let at = t as usize - 1;
            assert_close(&format!("{target} recon of step {t}"), &[recon], &[recons[at]], allowed);
            assert_close(&format!("{target} KL of step {t}"), &[kl], &[kls[at]], allowed);
            if t == 1 && fused == "recorded" {
                for (key, found) in bench.read_all(|parameter| parameter.grad) {
                    let key = format!("grad.{key}");
                    assert_sampled(&golden, target, &key, &found, allowed);
                }
            }
            if [1, 10, 100].contains(&t) {
                for (key, found) in bench.read_all(|parameter| parameter.value) {
                    let key = format!("after{t}.{key}");
                    assert_sampled(&golden, target, &key, &found, allowed);
                }
            }
        }
    }
}
