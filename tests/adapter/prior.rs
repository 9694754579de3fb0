//! Learned priors: bounds, gradients and training equal PyTorch's. Needs an adapter.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use elbo::config::{Config, Gradient, Inference, KlEstimate, Level, Posterior, Prior};
use elbo::engine::rate;
use elbo::model::TrainingNoise;
use elbo::session::Device;

use crate::common::golden::{Golden, NAMES, fill, value};
use crate::common::{Bench, distance, gpu};

/// A kind of prior, how many levels there are above the first, and how these are inferred.
type Kind = (Prior, usize, Inference);

const KINDS: [(&str, Kind); 10] = [
    ("mixture", (Prior::Mixture, 0, Inference::BottomUp)),
    ("vamp", (Prior::Vamp, 0, Inference::BottomUp)),
    ("levels", (Prior::Normal, 1, Inference::BottomUp)),
    ("levels_mixture", (Prior::Mixture, 1, Inference::BottomUp)),
    ("ladder", (Prior::Normal, 1, Inference::Ladder)),
    ("ladder_mixture", (Prior::Mixture, 1, Inference::Ladder)),
    ("levels_free", (Prior::Normal, 1, Inference::BottomUp)),
    ("ladder_free", (Prior::Normal, 1, Inference::Ladder)),
    ("laplace", (Prior::Normal, 0, Inference::BottomUp)),
    ("logistic", (Prior::Normal, 0, Inference::BottomUp)),
];

/// Nats of each level that are free.
const FREE: f64 = 0.75;

/// The parameters beyond those of the classic net, with the seeds and scales of `golden/prior.py`; the scale of a level's is half
/// that of the net.
const OWN: [(&str, u64, Option<f64>); 15] = [
    ("prior.components", 21, Some(1.0)),
    ("prior.logits", 22, Some(1.0)),
    ("prior.pseudo_inputs", 23, Some(2.0)),
    ("above.0.encoder.0.weight", 31, None),
    ("above.0.encoder.0.bias", 32, None),
    ("above.0.posterior.mean.weight", 33, None),
    ("above.0.posterior.mean.bias", 34, None),
    ("above.0.posterior.log_var.weight", 35, None),
    ("above.0.posterior.log_var.bias", 36, None),
    ("above.0.decoder.0.weight", 37, None),
    ("above.0.decoder.0.bias", 38, None),
    ("above.0.prior.mean.weight", 39, None),
    ("above.0.prior.mean.bias", 40, None),
    ("above.0.prior.log_var.weight", 41, None),
    ("above.0.prior.log_var.bias", 42, None),
];

/// The small net of `golden/prior.py`.
fn config(
    (prior, levels, inference): Kind,
    [samples, importance]: [usize; 2],
    gradient: Gradient,
) -> Config {
    let mut config = Config::default();
    (config.model.encoder, config.model.decoder) = ([7].into(), [7].into());
    (config.model.latent, config.train.batch_size) = (3, 5);
    config.model.prior = prior;
    if prior.is_learned() {
        config.model.prior_components = 4;
    }
    config.model.above =
        vec![Level { encoder: [4].into(), latent: 2, decoder: [4].into() }; levels];
    config.model.inference = inference;
    (config.objective.samples, config.objective.importance) = (samples, importance);
    config.objective.gradient = gradient;
    if importance == 1 {
        config.objective.kl = KlEstimate::Sampled;
    }
    config
}

/// The family of q(z | x).
fn family(kind: &str) -> Posterior {
    match kind {
        "laplace" => Posterior::Laplace,
        "logistic" => Posterior::Logistic,
        _ => Posterior::Normal,
    }
}

/// The images of so many steps.
fn images(steps: u64) -> Vec<u8> {
    let byte = |value: f64| ((value + 1.0) / 2.0 * 256.0) as u8;
    (1..=steps).flat_map(|step| (0..5 * 13).map(move |i| byte(value(1000 + step, i)))).collect()
}

fn set_weights(bench: &mut Bench, scale: f64) {
    bench.write_all(|key, len| match OWN.iter().find(|(name, ..)| *name == key) {
        Some(&(_, seed, own)) => fill(seed, len, own.unwrap_or(scale / 2.0)),
        None => {
            let place = NAMES.iter().position(|&name| name == key).expect("a name");
            fill(1 + place as u64, len, scale)
        }
    });
}

/// Writes the noise of a step to every level.
fn give_noise(bench: &mut Bench, step: u64) {
    let ports = &bench.vae.ports;
    let all: Vec<_> =
        std::iter::once(ports.eps).chain(ports.above.iter().map(|of| of.eps)).collect();
    for (seed, eps) in [5000, 6000].into_iter().zip(all) {
        bench.session.write(eps, &fill(seed + step, eps.rows() * eps.cols(), 2.0));
    }
}

fn targets() -> [(&'static str, Option<Device>, f64); 3] {
    [
        ("oracle", None, 1e-12),
        ("cpu", Some(Device::Cpu(2)), 1e-5),
        ("gpu", Some(Device::Gpu(gpu())), 1e-5),
    ]
}

#[test]
fn bounds_and_gradients_equal_pytorch() {
    let golden = Golden::read("prior.safetensors");
    let images = images(1);
    let variants = [
        ("sampled1", [1, 1], Gradient::Standard),
        ("stl1", [1, 1], Gradient::Stl),
        ("miwae2x5", [2, 5], Gradient::Standard),
        ("stl10", [1, 10], Gradient::Stl),
        ("dreg2x5", [2, 5], Gradient::Dreg),
    ];
    for (target, device, allowed) in &targets() {
        let mut worst = 0.0_f64;
        for (kind, prior) in KINDS {
            for (name, groups, gradient) in variants {
                let free = kind.ends_with("free");
                if prior.1 > 0 && gradient != Gradient::Standard || free && groups[1] > 1 {
                    continue;
                }
                let mut config = config(prior, groups, gradient);
                config.objective.free_bits = if free { FREE } else { 0.0 };
                config.model.posterior = family(kind);
                let data = (images.as_slice(), 13);
                let mut bench = Bench::new(&config, data, TrainingNoise::Given, device.as_ref());
                set_weights(&mut bench, 1.0);
                give_noise(&mut bench, 1);
                let record = bench.record(1);
                bench.objective(record);
                let mut compare = |key: &str, found: &[f64]| {
                    let key = format!("{kind}.{name}/{key}");
                    let apart = distance(found, &golden.floats(&key));
                    worst = worst.max(apart);
                    assert!(apart <= *allowed, "{target} {key}: {apart:e} apart");
                };
                let ports = bench.vae.ports.clone();
                let [nll, kl, extra] =
                    [ports.nll, ports.kl, ports.extra].map(|of| bench.session.read(of));
                let each = nll.chunks(groups[0] * groups[1]);
                let mean = each.map(|nll| nll.iter().sum::<f64>() / nll.len() as f64);
                let weight = record.rates[rate::KL_WEIGHT];
                let rest = kl.iter().zip(&extra).map(|(kl, extra)| weight * kl + extra);
                compare("bound", &mean.zip(rest).map(|(a, b)| a + b).collect::<Vec<_>>());
                let grads = bench.read_all(|parameter| parameter.grad);
                let learned = if prior.0 == Prior::Mixture { 2 } else { 0 };
                let own = if prior.0 == Prior::Vamp { 1 } else { 12 * prior.1 + learned };
                assert_eq!(grads.len(), 10 + own, "{kind}");
                grads.iter().for_each(|(key, found)| compare(&format!("grad.{key}"), found));
            }
        }
        println!("{target}: at most {worst:.1e} from PyTorch");
    }
}

#[test]
fn losses_of_200_steps_equal_pytorchs() {
    let golden = Golden::read("prior.safetensors");
    let images = images(200);
    for (target, device, _) in &targets() {
        for (kind, prior) in KINDS {
            let mut config = config(prior, [1, 1], Gradient::Standard);
            if kind.ends_with("free") {
                config.objective.free_bits = FREE;
            }
            config.model.posterior = family(kind);
            let data = (images.as_slice(), 13);
            let mut bench = Bench::new(&config, data, TrainingNoise::Given, device.as_ref());
            set_weights(&mut bench, 0.5);
            let expected = golden.floats(&format!("{kind}.trained/loss"));
            let mut worst = 0.0_f64;
            for (step, expected) in (1..).zip(expected) {
                give_noise(&mut bench, step);
                let record = bench.record(step);
                let [recon, kl] = bench.step(record);
                // What is free beyond the KL is no loss.
                let extra: f64 = match kind.ends_with("free") {
                    true => bench.session.read(bench.vae.ports.extra).iter().sum(),
                    false => 0.0,
                };
                // Sums over five images.
                let apart = ((recon + kl + extra) / 5.0 - expected).abs() / expected;
                worst = worst.max(apart);
                let allowed = if device.is_some() { 1e-4 } else { 1e-12 };
                assert!(apart <= allowed, "{target} {kind}, step {step}: {apart:e} apart");
            }
            println!("{target} {kind}: at most {worst:.1e} from PyTorch in 200 steps");
        }
    }
}
