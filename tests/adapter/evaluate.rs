//! What a model says of images: its losses agree with one another, and its marginal likelihood with the
//! one that is known. Needs an adapter.

use elbo::checkpoint::State;
use elbo::config::Likelihood;
use elbo::evaluate::{Z, dimensions, estimate};
use elbo::{Config, Dataset, Device, ErrorKind, Model, Trainer};

pub(crate) fn devices() -> [Device; 2] {
    let (gpu, _) = Device::choose("gpu", 0).expect("an adapter: `./test` installs one");
    [Device::Cpu(2), gpu]
}

/// A model of 5 × 6 pixels and 3 dimensions of z after a few steps, and images.
fn trained(likelihood: Likelihood) -> (State, Dataset) {
    let data = Dataset::synthetic(150, [5, 6], 3).expect("a dataset");
    let mut config = Config::default();
    config.model.encoder = [16].into();
    config.model.decoder = [16].into();
    config.model.latent = 3;
    config.model.likelihood = likelihood;
    config.train.batch_size = 25;
    let mut trainer = Trainer::new(&Device::Cpu(1), &config, &data, &data).expect("a trainer");
    trainer.advance(60).expect("steps");
    (trainer.state().expect("a state"), data)
}

/// log N(x; b, W Wᵀ + s² I) for W (4, 2), by the determinant and the inverse in two dimensions
/// (Woodbury): what a linear decoder with a normal likelihood says of x.
pub(crate) fn log_normal(x: &[f64], w: &[f32], b: &[f32], s: f64) -> f64 {
    let r: Vec<f64> = x.iter().zip(b).map(|(x, &b)| x - f64::from(b)).collect();
    let w = |i: usize, j: usize| f64::from(w[2 * i + j]);
    let inner = |i: usize, j: usize| (0..4).map(|k| w(k, i) * w(k, j)).sum::<f64>();
    // M = s² I + Wᵀ W, and v = Wᵀ r.
    let (a, d, c) = (s * s + inner(0, 0), s * s + inner(1, 1), inner(0, 1));
    let det = a * d - c * c;
    let v = [0, 1].map(|j| (0..4).map(|k| w(k, j) * r[k]).sum::<f64>());
    let through = (d * v[0] * v[0] - 2.0 * c * v[0] * v[1] + a * v[1] * v[1]) / det;
    let square = (r.iter().map(|r| r * r).sum::<f64>() - through) / (s * s);
    let log_det = det.ln() + 2.0 * (s * s).ln();
    -0.5 * (4.0 * std::f64::consts::TAU.ln() + log_det + square)
}

#[test]
fn the_marginal_likelihood_of_a_linear_model_is_known() {
    let values: Vec<f32> = (0..4 * 520).map(|i| 0.5 + 0.4 * (i as f32 * 1.7).sin()).collect();
    let data = Dataset::from_floats([2, 2], values.clone()).expect("images");
    let mut config = Config::default();
    (config.model.encoder, config.model.decoder) = ([].into(), [].into());
    (config.model.latent, config.model.likelihood) = (2, Likelihood::Normal);
    (config.model.sigma, config.train.batch_size) = (0.5, 10);
    let mut trainer = Trainer::new(&Device::Cpu(1), &config, &data, &data).expect("a trainer");
    let mut state = trainer.state().expect("a state");
    for tensor in state.tensors.iter_mut().filter(|t| !t.key.starts_with("optimizer")) {
        for (i, value) in tensor.values.iter_mut().enumerate() {
            *value = match tensor.key.as_str() {
                // Near the true posterior's deviation, so that few samples suffice.
                "posterior.log_var.bias" => -0.8,
                "decoder.0.weight" => 0.6 * (i as f32 * 2.3).cos(),
                "decoder.0.bias" => 0.5,
                _ => 0.2 * *value,
            };
        }
    }
    let tensor = |key| &state.tensors.iter().find(|t| t.key == key).expect(key).values;
    let (w, b) = (tensor("decoder.0.weight"), tensor("decoder.0.bias"));
    let x: Vec<f64> = values.iter().map(|&v| f64::from(v)).collect();
    let exact: Vec<_> = x.chunks(4).map(|x| log_normal(x, w, b, 0.5)).collect();
    for device in devices() {
        let mut model = Model::new(&device, &state, Some(&data)).expect("a model");
        let mut shares = Vec::new();
        let found = model.log_likelihood(2000, |share| shares.push(share)).expect("likelihoods");
        for (image, (found, exact)) in found.iter().zip(&exact).enumerate() {
            let off = (found - exact).abs();
            assert!(off < 0.2, "{}: image {image}: {found}, expected {exact}", device.name());
        }
        let (found, exact) = (estimate(&found).mean, estimate(&exact).mean);
        assert!((found - exact).abs() < 5e-3, "{}: {found}, expected {exact}", device.name());
        assert!(shares.is_sorted() && shares.last() == Some(&1.0), "{shares:?}");
        // Fewer samples give a lower bound; one gives the ELBO.
        let mean = |model: &mut Model, k| {
            estimate(&model.log_likelihood(k, |_| ()).expect("likelihoods")).mean
        };
        let bounds = [1, 10, 100].map(|k| mean(&mut model, k));
        assert!(bounds.is_sorted() && bounds[2] < exact + 5e-3, "{bounds:?}, then {exact}");
        let elbo = -model.evaluate().expect("losses").sampled.loss;
        assert!((bounds[0] - elbo).abs() < 0.3, "{} and {elbo} are one estimate", bounds[0]);
        assert!(bounds[0] < exact - 0.02, "there is a gap to close: {bounds:?}, {exact}");
    }
}

/// A model that is being trained with several z of each image answers as one that is used.
#[test]
fn a_model_of_many_samples_is_asked_the_same() {
    let data = Dataset::synthetic(40, [5, 6], 3).expect("a dataset");
    let mut config = Config::default();
    (config.model.encoder, config.model.decoder) = ([16].into(), [16].into());
    (config.model.latent, config.train.batch_size) = (3, 12);
    (config.objective.samples, config.objective.importance) = (2, 3);
    for device in devices() {
        let mut trainer = Trainer::new(&device, &config, &data, &data).expect("a trainer");
        trainer.advance(20).expect("steps");
        let state = trainer.state().expect("a state");
        let mut used = Model::new(&device, &state, Some(&data)).expect("a model");
        let asked = trainer.model().expect("its model");
        let near = |what: &str, a: &[f32], b: &[f32]| {
            assert_eq!(a.len(), b.len(), "{what} on {}", device.name());
            let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "{what} on {}: {worst} apart", device.name());
        };
        let (a, b) = (asked.encode(3..37).expect("codes"), used.encode(3..37).expect("codes"));
        near("means", &a.mean, &b.mean);
        near("z", &a.z, &b.z);
        near("decoded", &asked.decode(&a.z).expect("images"), &used.decode(&a.z).expect("images"));
        let made = |model: &mut Model| model.reconstruct(1..30).expect("images");
        let ((x, means), (same, others)) = (made(asked), made(&mut used));
        near("pixels", &x, &same);
        near("reconstructions", &means, &others);
        let samples = |model: &mut Model| model.sample(17, 0.7).expect("images");
        near("samples", &samples(asked), &samples(&mut used));
        let likelihoods = |model: &mut Model| -> Vec<f32> {
            let logs = model.log_likelihood(7, |_| ()).expect("likelihoods");
            logs.into_iter().map(|log| log as f32).collect()
        };
        near("likelihoods", &likelihoods(asked), &likelihoods(&mut used));
        // Six z of each image say the same of the loss as one, but for their noise.
        let evaluation = asked.evaluate().expect("losses");
        let each = asked.each(Z::Sampled).expect("losses");
        let mean = each.iter().map(|[nll, kl]| nll + kl).sum::<f64>() / 40.0;
        assert!((mean - evaluation.sampled.loss).abs() < 1e-4, "{mean}, {evaluation:?}");
        let one = used.evaluate().expect("losses");
        assert!((one.sampled.kl - evaluation.sampled.kl).abs() < 1e-4, "{one:?}, {evaluation:?}");
        let apart = (one.at_mean.loss - evaluation.at_mean.loss).abs();
        assert!(apart < 1e-4, "{one:?}, {evaluation:?}");
        let apart = (one.sampled.loss - evaluation.sampled.loss).abs();
        assert!(apart > 0.0 && apart < 0.5, "{one:?}, {evaluation:?}");
    }
}

#[test]
fn losses_of_images_are_the_losses() {
    for likelihood in [Likelihood::Bernoulli, Likelihood::Normal] {
        let (state, data) = trained(likelihood);
        let mut all = Vec::new();
        for device in devices() {
            let mut model = Model::new(&device, &state, Some(&data)).expect("a model");
            let evaluation = model.evaluate().expect("losses");
            for (z, losses) in [(Z::Sampled, evaluation.sampled), (Z::Mean, evaluation.at_mean)] {
                let each = model.each(z).expect("losses");
                assert_eq!(each.len(), 150, "a pair for each image");
                for (i, mean) in [losses.recon, losses.kl].into_iter().enumerate() {
                    let sum: f64 = each.iter().map(|pair| pair[i]).sum();
                    assert!((sum / 150.0 - mean).abs() < 1e-5 * mean.abs(), "{z:?} {i}: {mean}");
                }
            }
            let codes = model.encode(0..150).expect("codes");
            let kl: f64 = dimensions(&codes, 3).iter().map(|d| d.kl).sum();
            let losses = evaluation.sampled;
            assert!((kl - losses.kl).abs() < 1e-5 * losses.kl, "{kl} is {}", losses.kl);
            all.push((codes, model.sample(5, 0.7).expect("samples"), losses));
        }
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
        let (cpu, gpu) = (&all[0], &all[1]);
        assert!(near(&cpu.0.mean, &gpu.0.mean) && near(&cpu.0.z, &gpu.0.z), "codes");
        assert!(near(&cpu.0.log_var, &gpu.0.log_var) && near(&cpu.1, &gpu.1), "and samples");
    }
}

#[test]
fn codes_are_decoded_to_what_they_came_from() {
    let (state, data) = trained(Likelihood::Bernoulli);
    for device in devices() {
        let mut model = Model::new(&device, &state, Some(&data)).expect("a model");
        let codes = model.encode(7..140).expect("codes");
        let (_, means) = model.reconstruct(7..140).expect("reconstructions");
        assert_eq!(model.decode(&codes.mean).expect("images"), means, "of z = μ");
        assert!(means.iter().all(|v| (0.0..=1.0).contains(v)), "they are probabilities");
        // The sampled z is the one that the losses are of: z = μ + ε σ with ε of unit variance.
        let eps = codes.z.iter().zip(codes.mean.iter().zip(&codes.log_var));
        let eps: Vec<_> = eps.map(|(z, (m, v))| f64::from((z - m) / (0.5 * v).exp())).collect();
        let square = eps.iter().map(|e| e * e).sum::<f64>() / eps.len() as f64;
        assert!((square - 1.0).abs() < 0.25, "ε² is {square} in the mean");
        // At temperature 0 every sample is the prior's mean.
        let still = model.sample(3, 0.0).expect("samples");
        let middle = model.decode(&[0.0; 3]).expect("an image");
        assert!(still.chunks(30).all(|image| image == middle), "z = 0");
        let more = model.sample(4, 1.0).expect("samples");
        assert_eq!(model.sample(3, 1.0).expect("samples"), more[..90], "the same again");
    }
}

/// What an image gets depends on the image, not on how many are looked at together.
#[test]
fn batches_do_not_matter() {
    let bytes: Vec<u8> = (0..600 * 30).map(|i| (i * 97 % 251) as u8).collect();
    let data = Dataset::from_bytes([5, 6], bytes.clone()).expect("images");
    let (state, _) = trained(Likelihood::Bernoulli);
    let (wide, mut results) = ([128, 500], Vec::new());
    for batch in wide {
        let mut state = state.clone();
        state.config.train.batch_size = batch;
        let mut model = Model::new(&Device::Cpu(2), &state, Some(&data)).expect("a model");
        let pixels = model.pixels(599..600).expect("pixels");
        let expected: Vec<_> = bytes[599 * 30..].iter().map(|&b| f32::from(b) / 255.0).collect();
        assert_eq!(pixels, expected, "the last image as it lies there");
        let codes = model.encode(0..600).expect("codes");
        let likelihoods = model.log_likelihood(20, |_| ()).expect("likelihoods");
        // More of the same samples: the sum of two is not that of one twice.
        let [one, two] = [1, 2].map(|k| model.log_likelihood(k, |_| ()).expect("likelihoods"));
        let same = one.iter().zip(&two).filter(|(a, b)| (*a - *b).abs() < 1e-4).count();
        assert!(same < 30, "each z has noise of its own: {same} of 600 are equal");
        let samples = model.sample(300, 1.0).expect("samples");
        let mut unseen = Model::new(&Device::Cpu(2), &state, None).expect("a model");
        let others = unseen.sample(300, 1.0).expect("samples");
        let near = samples.iter().zip(&others).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(near, "samples do not depend on the images");
        results.push((codes, likelihoods));
    }
    let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
    let [(a, first), (b, second)] = &results[..] else { panic!("two batches") };
    assert!(near(&a.mean, &b.mean) && near(&a.z, &b.z), "codes");
    assert!(first.iter().zip(second).all(|(a, b)| (a - b).abs() < 1e-3), "likelihoods");
}

/// Whatever it looks at, pictures map by what it learned from.
#[test]
fn a_model_has_the_reading_of_its_run() {
    let (mut state, data) = trained(Likelihood::Normal);
    (state.reading.seen, state.reading.shown) = ([-3.0, 5.0], [-3.0, 5.0]);
    for data in [None, Some(&data)] {
        let model = Model::new(&Device::Cpu(1), &state, data).expect("a model");
        assert_eq!(model.reading(), &state.reading, "with images: {}", data.is_some());
    }
}

#[test]
fn what_a_model_cannot_do_is_refused() {
    let (state, data) = trained(Likelihood::Bernoulli);
    let other = Dataset::synthetic(20, [6, 5], 1).expect("a dataset");
    let refused = Model::new(&Device::Cpu(1), &state, Some(&other)).expect_err("another size");
    assert!(refused.to_string().contains("6 × 5"), "{refused}");
    let mut model = Model::new(&Device::Cpu(1), &state, Some(&data)).expect("a model");
    let says = |what: &str, refused: elbo::Result<()>, kind| {
        let error = refused.expect_err(what);
        assert_eq!(error.kind(), kind, "{what}: {error}");
        assert!(error.advice().is_some(), "{what}: {error}");
    };
    says("no samples", model.log_likelihood(0, |_| ()).map(drop), ErrorKind::Config);
    says("beyond the last", model.encode(149..151).map(drop), ErrorKind::Config);
    says("none", model.reconstruct(4..4).map(drop), ErrorKind::Config);
    says("half a z", model.decode(&[0.0; 4]).map(drop), ErrorKind::Data);
    says("a NaN", model.decode(&[f32::NAN; 3]).map(drop), ErrorKind::Data);
    says("cold", model.sample(1, -1.0).map(drop), ErrorKind::Config);
    // Without images it samples; of imported weights only the number of pixels is known.
    let mut unseen = Model::new(&Device::Cpu(1), &state, None).expect("a model");
    assert_eq!(unseen.sample(2, 1.0).expect("samples").len(), 60);
    let imported = State { data: None, ..state };
    Model::new(&Device::Cpu(1), &imported, Some(&other)).expect("as many pixels");
}
