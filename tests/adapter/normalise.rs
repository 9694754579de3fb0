//! Gradients over their own norms: PyTorch's weights after steps by them (`tests/golden/`), and norms that are one.

use elbo::config::{Config, Likelihood, Rule, Scale};
use elbo::engine::Fusion;
use elbo::model::{TrainingNoise, Use};
use elbo::session::Device;

use crate::common::golden::{Golden, assert_close, fill, set_weights, small_images};
use crate::common::{Bench, cut, gpu, mnist_bytes, small, steps_of_images_hold};

/// The small net of `tests/golden/`.
fn witness(change: fn(&mut Config)) -> Config {
    let mut config = Config::default();
    (config.model.encoder, config.model.decoder) = ([19].into(), [19].into());
    (config.model.latent, config.train.batch_size) = (3, 7);
    config.optimizer.normalise = true;
    change(&mut config);
    config
}

#[test]
fn weights_and_norms_equal_pytorch() {
    let (golden, images) = (Golden::read("normalise.safetensors"), small_images());
    let gpu = Device::Gpu(gpu());
    let variants = [
        ("adam", witness(|_| ())),
        ("adam_decay", witness(|c| c.optimizer.weight_decay = 0.01)),
        ("adamw", witness(|c| (c.optimizer.rule, c.optimizer.weight_decay) = (Rule::Adamw, 0.01))),
        (
            "momentum",
            witness(|c| {
                (c.optimizer.rule, c.optimizer.momentum) = (Rule::Sgd, 0.9);
                c.optimizer.weight_decay = 0.01;
            }),
        ),
    ];
    for (way, device, step, allowed) in [
        ("oracle", None, Fusion::Nothing, 1e-9),
        ("cpu", Some(Device::Cpu(2)), Fusion::Updates, 1e-5),
        ("gpu as recorded", Some(gpu.clone()), Fusion::Nothing, 1e-5),
        ("gpu", Some(gpu), Fusion::All, 1e-5),
    ] {
        for (name, config) in &variants {
            let (data, noise) = ((images.as_slice(), 37), TrainingNoise::Given);
            let logged = Use::LoggedStep(step);
            let mut bench = Bench::with_use(config, data, noise, device.as_ref(), logged);
            set_weights(&mut bench, 0.5);
            let norms = golden.floats(&format!("{name}/grad_norm"));
            for (t, norm) in (1..).zip(norms) {
                let eps = bench.vae.ports.eps;
                bench.session.write(eps, &fill(5000 + t, eps.rows() * eps.cols(), 2.0));
                let found = bench.gradient_norm(bench.record(t));
                assert_close(&format!("{way}, {name}, norm {t}"), &[found], &[norm], allowed);
                if ![1, 10, 100].contains(&t) {
                    continue;
                }
                for (key, found) in bench.read_all(|parameter| parameter.value) {
                    let expected = golden.floats(&format!("{name}/after{t}.{key}"));
                    let what = format!("{way}, {name}, {key} after {t}");
                    assert_close(&what, &found, &expected, allowed);
                }
            }
        }
    }
}

/// Models of images of 6 × 4 whose parameters are of every kind.
fn kinds() -> Vec<(&'static str, Config)> {
    let written = |text: &str| {
        let mut config = Config::from_toml(text).expect("a configuration");
        (config.model.latent, config.train.batch_size) = (5, 12);
        // The gradient of keys' biases is rounding alone, of which Adam would make whole steps.
        (config.optimizer.rule, config.optimizer.normalise) = (Rule::Sgd, true);
        config
    };
    let mut scale = small();
    (scale.model.likelihood, scale.model.scale) = (Likelihood::Normal, Scale::Shared);
    (scale.model.layer_norm, scale.optimizer.normalise) = (true, true);
    vec![
        ("one scale, layer norm", scale),
        (
            "convolutions and blocks",
            written(
                "model.encoder = ['conv 4 3x3', {residual = ['group-norm 2', 'attention 2']}, 'pool 2', 'gelu', 9]
                model.decoder = [12, 'map 3x2x2', 'transposed 1 4x4 stride 2']",
            ),
        ),
        // Weights of more elements than a partial sum has.
        ("wide", written("model.encoder = [300, 200]\nmodel.decoder = [300]")),
    ]
}

#[test]
fn every_tensors_gradient_has_norm_one() {
    let images: Vec<_> = mnist_bytes(40).chunks(784).flat_map(|x| x[300..324].to_vec()).collect();
    let (size, noise) = ([6, 4].into(), TrainingNoise::Drawn);
    let (recorded, gpu) = (Use::Step(Fusion::Nothing), gpu());
    for (name, config) in kinds() {
        for device in [None, Some(Device::Cpu(2)), Some(Device::Gpu(gpu.clone()))] {
            let device = device.as_ref();
            let mut bench = Bench::of_images(&config, (&images, size), noise, device, recorded);
            bench.start(7);
            bench.step(bench.record(1));
            for (key, gradient) in bench.read_all(|parameter| parameter.grad) {
                let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
                let allowed = if device.is_none() { 1e-6 } else { 1e-5 };
                assert!((norm - 1.0).abs() <= allowed, "{name}, {key}: {norm}");
            }
        }
        steps_of_images_hold(name, &config, &gpu, (&images, size));
    }
}

/// A tensor whose gradient is exactly zero, and its weights, stay as they are.
#[test]
fn no_gradient_stays_none() {
    let images = cut(300, 37);
    for device in [None, Some(Device::Cpu(2)), Some(Device::Gpu(gpu()))] {
        let config = witness(|c| c.train.batch_size = 12);
        let recorded = Fusion::Nothing;
        let noise = TrainingNoise::Drawn;
        let mut bench = Bench::with_step(&config, (&images, 37), noise, device.as_ref(), recorded);
        // With no weight behind z and none of what it is decoded by, nothing but the last bias has a slope.
        bench.write_all(|key, len| vec![if key == "fc1.bias" { 1.0 } else { 0.0 }; len]);
        bench.step(bench.record(1));
        for (key, gradient) in bench.read_all(|parameter| parameter.grad) {
            let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            let expected = f64::from(u8::from(key == "fc4.bias"));
            assert!((norm - expected).abs() <= 1e-5, "{key}: {norm}");
        }
        for (key, values) in bench.read_all(|parameter| parameter.value) {
            let moved = values.iter().any(|&v| v != f64::from(u8::from(key == "fc1.bias")));
            assert_eq!(moved, key == "fc4.bias", "{key}");
        }
    }
}
