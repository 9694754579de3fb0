//! Models of several levels of z: their marginal likelihood where it is known, their prior by level, and what is told of each
//! level. Needs an adapter.

use elbo::config::{Inference, KlEstimate, Level, Likelihood};
use elbo::evaluate::{Held, Z, estimate};
use elbo::{Config, Dataset, Device, ErrorKind, Model, Trainer};

use crate::evaluate::{devices, log_normal};

/// Two levels of two dimensions each, without hidden layers: x, z and z above are normal together.
#[test]
fn the_marginal_likelihood_of_linear_levels_is_known() {
    let values: Vec<f32> = (0..4 * 520).map(|i| 0.5 + 0.4 * (i as f32 * 1.7).sin()).collect();
    let data = Dataset::from_floats([2, 2], values.clone()).expect("images");
    let mut config = Config::default();
    (config.model.encoder, config.model.decoder) = ([].into(), [].into());
    (config.model.latent, config.model.likelihood) = (2, Likelihood::Normal);
    (config.model.sigma, config.train.batch_size) = (0.5, 10);
    config.model.above = vec![Level { encoder: [].into(), latent: 2, decoder: [].into() }];
    config.objective.kl = KlEstimate::Sampled;
    let mut trainer = Trainer::new(&Device::Cpu(1), &config, &data, &data).expect("a trainer");
    let mut state = trainer.state().expect("a state");
    for tensor in state.tensors.iter_mut().filter(|t| !t.key.starts_with("optimizer")) {
        for (i, value) in tensor.values.iter_mut().enumerate() {
            *value = match tensor.key.as_str() {
                // Near the true posterior's deviations, so that few samples suffice.
                "posterior.log_var.bias" => -0.6,
                "above.0.posterior.log_var.bias" => 0.0,
                "posterior.log_var.weight" | "above.0.posterior.log_var.weight" => 0.0,
                // σ² of z given the level above, which does not depend on it.
                "above.0.prior.log_var.bias" => [-0.8, -0.5][i],
                "above.0.prior.log_var.weight" => 0.0,
                "decoder.0.bias" => 0.5,
                "decoder.0.weight" => 0.6 * *value,
                "above.0.prior.mean.weight" => *value,
                _ => 0.2 * *value,
            };
        }
    }
    let tensor = |key| &state.tensors.iter().find(|t| t.key == key).expect(key).values;
    let (w, b) = (tensor("decoder.0.weight"), tensor("decoder.0.bias"));
    let (a, shift) = (tensor("above.0.prior.mean.weight"), tensor("above.0.prior.mean.bias"));
    // z ~ N(shift, A Aᵀ + D), of which L Lᵀ by hand: x ~ N(b + W shift, W L (W L)ᵀ + s² I).
    let covariance = |i: usize, j: usize| {
        let own = if i == j { [-0.8_f32, -0.5][i].exp() } else { 0.0 };
        a[2 * i] * a[2 * j] + a[2 * i + 1] * a[2 * j + 1] + own
    };
    let first = covariance(0, 0).sqrt();
    let below = covariance(0, 1) / first;
    let last = (covariance(1, 1) - below * below).sqrt();
    let row = |k: usize| [w[2 * k] * first + w[2 * k + 1] * below, w[2 * k + 1] * last];
    let through: Vec<f32> = (0..4).flat_map(row).collect();
    let middle = |k: usize| b[k] + w[2 * k] * shift[0] + w[2 * k + 1] * shift[1];
    let middle: Vec<f32> = (0..4).map(middle).collect();
    let x: Vec<f64> = values.iter().map(|&v| f64::from(v)).collect();
    let exact: Vec<_> = x.chunks(4).map(|x| log_normal(x, &through, &middle, 0.5)).collect();
    for device in devices() {
        let mut model = Model::new(&device, &state, Some(&data)).expect("a model");
        let found = model.log_likelihood(2000, |_| ()).expect("likelihoods");
        for (image, (found, exact)) in found.iter().zip(&exact).enumerate() {
            let off = (found - exact).abs();
            assert!(off < 0.2, "{}: image {image}: {found}, expected {exact}", device.name());
        }
        let (found, exact) = (estimate(&found).mean, estimate(&exact).mean);
        assert!((found - exact).abs() < 5e-3, "{}: {found}, expected {exact}", device.name());
        let elbo = -model.evaluate().expect("losses").sampled.loss;
        assert!(elbo < exact - 0.02, "there is a gap to close: {elbo}, {exact}");
    }
}

#[test]
fn levels_are_drawn_by_their_own_temperatures_and_judged_each_by_itself() {
    let data = Dataset::synthetic(300, [5, 6], 3).expect("a dataset");
    let mut config = Config::default();
    (config.model.encoder, config.model.decoder) = ([16].into(), [16].into());
    (config.model.latent, config.train.batch_size) = (3, 25);
    let level = |latent| Level { encoder: [8].into(), latent, decoder: [8].into() };
    config.model.above = vec![level(2), level(4)];
    config.objective.kl = KlEstimate::Sampled;
    let ways = [Inference::BottomUp, Inference::Ladder];
    for (device, way) in
        devices().into_iter().flat_map(|device| ways.map(|way| (device.clone(), way)))
    {
        config.model.inference = way;
        let mut trainer = Trainer::new(&device, &config, &data, &data).expect("a trainer");
        trainer.advance(200).expect("steps");
        let state = trainer.state().expect("a state");
        let mut model = Model::new(&device, &state, Some(&data)).expect("a model");
        let mut drawn = |temperatures: &[f32]| {
            let z = model.prior_by_level(4, temperatures).expect("z");
            z.chunks(3).map(<[f32]>::to_vec).collect::<Vec<_>>()
        };
        let cold = drawn(&[0.0; 3]);
        assert!(cold.iter().all(|z| *z == cold[0]), "every level at its mean: {cold:?}");
        let all = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]].map(|t| drawn(&t));
        for (level, z) in all.iter().enumerate() {
            assert!(z[0] != z[1] && z[0] != cold[0], "level {level} decides something: {z:?}");
        }
        let z = |rows: Vec<Vec<f32>>| rows.concat();
        assert_eq!(z(drawn(&[1.0; 3])), model.prior(4, 1.0).expect("z"), "one for all");
        let refused = model.prior_by_level(1, &[1.0, 1.0]).expect_err("too few");
        assert_eq!(refused.kind(), ErrorKind::Config, "{refused}");
        assert!(refused.to_string().contains("2 temperatures, and z has 3 levels"), "{refused}");
        for rows in [vec![vec![0.0; 3]; 3], vec![vec![0.0; 3]], vec![vec![], vec![0.0; 2], vec![]]]
        {
            let refused = model.descend(&rows).expect_err("other rows");
            assert!(refused.to_string().contains("3, 2, 4 finite numbers"), "{refused}");
        }
        // In the row of the lowest level the first image is the first sample; in each the level is another for every image.
        let rows = model.decisions(4, None).expect("images");
        let first = model.sample(1, 1.0).expect("a sample");
        assert_eq!(rows[2 * 4 * 30..][..30], first, "all levels as they were drawn");
        for row in rows.chunks(4 * 30) {
            let [a, b] = [&row[..30], &row[30..60]];
            assert!(a != b, "drawn anew");
        }
        // By other draws than the losses', which differ as these do among the images.
        let each = model.each(Z::Sampled).expect("losses");
        let kl = estimate(&each.iter().map(|[_, kl]| *kl).collect::<Vec<_>>());
        let levels = model.dimensions(0..300).expect("dimensions");
        assert_eq!(levels.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2, 4]);
        let sum: f64 = levels.iter().flatten().map(|d| d.kl).sum();
        assert!((sum - kl.mean).abs() < 3.0 * kl.margin, "{sum} nats, and {kl:?}");
        let by_codes = by_codes(&mut model);
        for (by_codes, [_, kl]) in by_codes.iter().zip(&each) {
            assert!((by_codes - kl).abs() < 1e-3 * kl.abs().max(1.0), "{by_codes}, not {kl}");
        }
    }
}

/// The sum over levels of log q − log p of each of 300 images, of the same draws as its KL divergence.
fn by_codes(model: &mut Model) -> Vec<f64> {
    let mut by_codes = vec![0.0; 300];
    for codes in model.encode_levels(0..300).expect("codes") {
        let latent = codes.mean.len() / 300;
        for (at, z) in codes.z.iter().enumerate() {
            let log = |mean: f32, log_var: f32| {
                let off = f64::from(z - mean).powi(2) / f64::from(log_var).exp();
                -0.5 * (off + f64::from(log_var))
            };
            let of_prior = match &codes.prior {
                Held::Above { mean, log_var } => log(mean[at], log_var[at]),
                _ => log(0.0, 0.0),
            };
            by_codes[at / latent] += log(codes.mean[at], codes.log_var[at]) - of_prior;
        }
    }
    by_codes
}
