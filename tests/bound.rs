//! Several z of an image: bounds and gradients equal PyTorch's, and have the properties that are proved of
//! them. The whole steps need an adapter.
#![allow(clippy::print_stdout, reason = "tests may talk")]

mod common;

use common::golden::{Golden, NAMES, fill, set_weights, value};
use common::{Bench, cut, distance, gpu, gradients_hold, small, steps_hold};
use elbo::config::{Config, Gradient, KlEstimate, Likelihood, Rule};
use elbo::engine::Record;
use elbo::model::TrainingNoise;
use elbo::session::Device;

/// Has `config` draw M · K z, of which K are under one logarithm; a bound of one is sampled.
fn bound(config: &mut Config, [samples, importance]: [usize; 2], gradient: Gradient) {
    let objective = &mut config.objective;
    (objective.samples, objective.importance) = (samples, importance);
    objective.gradient = gradient;
    if importance == 1 {
        objective.kl = KlEstimate::Sampled;
    }
}

/// A small model whose bound is of so many z.
fn small_bound(groups: [usize; 2], gradient: Gradient) -> Config {
    let mut config = small();
    bound(&mut config, groups, gradient);
    config
}

/// Of each image: the mean of nll, with the KL and what else is minimised.
fn objectives(bench: &mut Bench, record: &Record) -> Vec<f64> {
    let (nll, kl) = (bench.session.read(bench.vae.nll), bench.session.read(bench.vae.kl));
    let extra = bench.session.read(bench.vae.extra);
    let samples = nll.len() / kl.len();
    let mean = nll.chunks(samples).map(|nll| nll.iter().sum::<f64>() / samples as f64);
    let beta = record.rates[elbo::engine::rate::KL_WEIGHT];
    mean.zip(kl.iter().zip(&extra)).map(|(nll, (kl, extra))| nll + beta * kl + extra).collect()
}

#[test]
fn bounds_and_gradients_equal_pytorch() {
    let golden = Golden::read("bound.safetensors");
    let images: Vec<u8> =
        (0..5 * 13).map(|i| ((value(1001, i) + 1.0) / 2.0 * 256.0) as u8).collect();
    let variants = [
        ("elbo5", [5, 1], Gradient::Standard),
        ("sampled1", [1, 1], Gradient::Standard),
        ("stl1", [1, 1], Gradient::Stl),
        ("iwae50", [1, 50], Gradient::Standard),
        ("stl50", [1, 50], Gradient::Stl),
        ("dreg50", [1, 50], Gradient::Dreg),
        ("miwae4x5", [4, 5], Gradient::Standard),
        ("dreg4x5", [4, 5], Gradient::Dreg),
    ];
    let targets = [
        ("oracle", None, 1e-12),
        ("cpu", Some(Device::Cpu(2)), 1e-5),
        ("gpu", Some(Device::Gpu(gpu())), 1e-5),
    ];
    for (target, device, allowed) in &targets {
        let mut worst = 0.0_f64;
        for (size, scale) in [("small", 0.5), ("large", 1.0)] {
            for (name, groups, gradient) in variants {
                let mut config = Config::default();
                (config.model.encoder, config.model.decoder) = ([7].into(), [7].into());
                (config.model.latent, config.train.batch_size) = (3, 5);
                bound(&mut config, groups, gradient);
                if name == "elbo5" {
                    config.objective.kl = KlEstimate::Analytic;
                }
                let data = (images.as_slice(), 13);
                let mut bench = Bench::new(&config, data, TrainingNoise::Given, device.as_ref());
                set_weights(&mut bench, scale);
                let eps = bench.vae.eps;
                bench.session.write(eps, &fill(5001, eps.rows() * eps.cols(), 2.0));
                let record = bench.record(1);
                bench.objective(record);
                let mut compare = |key: &str, found: &[f64]| {
                    let way = format!("{size}.{name}/{key}");
                    // The decoder's gradient is the standard one, whatever the encoder's is.
                    let standard = match name {
                        "stl1" => "sampled1",
                        "dreg4x5" => "miwae4x5",
                        _ => "iwae50",
                    };
                    let own = golden.has(&way);
                    let from = if own { &way } else { &format!("{size}.{standard}/{key}") };
                    let apart = distance(found, &golden.floats(from));
                    worst = worst.max(apart);
                    assert!(apart <= *allowed, "{target} {way}: {apart:e} apart");
                };
                let objectives = objectives(&mut bench, &record);
                compare("bound", &objectives);
                for (key, found) in bench.read_all(|parameter| parameter.grad) {
                    compare(&format!("grad.{key}"), &found);
                }
            }
        }
        println!("{target}: at most {worst:.1e} from PyTorch");
    }
}

#[test]
fn gradients_of_bounds_equal_central_differences() {
    for (name, groups, change) in [
        ("L = 5", [5, 1], |c: &mut Config| c.objective.kl = KlEstimate::Analytic),
        ("sampled", [1, 1], |c: &mut Config| c.objective.beta = 3.0),
        ("sampled, L = 3", [3, 1], |_: &mut Config| ()),
        ("IWAE", [1, 7], |_: &mut Config| ()),
        ("MIWAE", [3, 4], |c: &mut Config| c.model.likelihood = Likelihood::Normal),
    ] as [(&str, [usize; 2], fn(&mut Config)); 5]
    {
        let mut config = small_bound(groups, Gradient::Standard);
        change(&mut config);
        println!("{name}: at most {:.1e} of the largest", gradients_hold(name, &config));
    }
}

#[test]
fn steps_of_bounds_equal_the_oracle() {
    let gpu = gpu();
    let analytic = |c: &mut Config| c.objective.kl = KlEstimate::Analytic;
    let same = |_: &mut Config| ();
    for (name, groups, gradient, change) in [
        ("L = 3", [3, 1], Gradient::Standard, analytic as fn(&mut Config)),
        ("sampled", [1, 1], Gradient::Standard, |c| c.objective.beta = 2.0),
        ("STL", [1, 1], Gradient::Stl, same),
        ("IWAE", [1, 5], Gradient::Standard, same),
        ("IWAE, normal", [1, 5], Gradient::Standard, |c| c.model.likelihood = Likelihood::Normal),
        ("MIWAE, DReG", [2, 3], Gradient::Dreg, same),
    ] {
        let mut config = small_bound(groups, gradient);
        change(&mut config);
        steps_hold(name, &config, &gpu);
    }
}

/// The oracle of a small model whose steps change nothing, with images of 13 pixels.
fn still(mut config: Config) -> Bench {
    (config.optimizer.rule, config.optimizer.lr) = (Rule::Sgd, 1e-30);
    config.train.batch_size = 4;
    (config.model.encoder, config.model.decoder) = ([6].into(), [6].into());
    config.model.latent = 2;
    let mut oracle = Bench::new(&config, (&cut(300, 13), 13), TrainingNoise::Drawn, None);
    // Large enough that the posterior is not the prior, and samples weigh differently.
    set_weights(&mut oracle, 1.0);
    oracle
}

#[test]
fn the_bound_of_one_sample_is_the_elbo_by_the_estimator_a() {
    let mut oracle = still(small_bound([1, 1], Gradient::Standard));
    let record = oracle.record(1);
    oracle.objective(record);
    let found = objectives(&mut oracle, &record);
    let vae = &oracle.vae;
    let [h, eps, z, nll] = [vae.h, vae.eps, vae.z, vae.nll].map(|t| oracle.session.read(t));
    for (image, found) in found.iter().enumerate() {
        // log q(z | x) − log p(z), by the densities of normals.
        let kl: f64 = (0..2)
            .map(|j| {
                let (at, log_var) = (2 * image + j, h[4 * image + 2 + j]);
                let log_q = -0.5 * (eps[at] * eps[at] + log_var);
                log_q + 0.5 * z[at] * z[at]
            })
            .sum();
        let expected = nll[image] + kl;
        assert!((found - expected).abs() <= 1e-12 * expected, "{found}, expected {expected}");
    }
}

/// Means and their standard errors over draws.
#[derive(Default)]
struct Moments {
    count: f64,
    sums: Vec<[f64; 2]>,
}

impl Moments {
    fn add(&mut self, values: &[f64]) {
        self.sums.resize(values.len(), [0.0; 2]);
        self.count += 1.0;
        for (sums, v) in self.sums.iter_mut().zip(values) {
            *sums = [sums[0] + v, sums[1] + v * v];
        }
    }

    fn mean(&self, i: usize) -> f64 {
        self.sums[i][0] / self.count
    }

    fn variance(&self, i: usize) -> f64 {
        (self.sums[i][1] / self.count - self.mean(i).powi(2)) * self.count / (self.count - 1.0)
    }

    fn total_variance(&self) -> f64 {
        (0..self.sums.len()).map(|i| self.variance(i)).sum()
    }

    /// How many standard errors of the difference two means are apart at the most.
    fn apart(&self, other: &Self) -> f64 {
        let error = |m: &Self, i| m.variance(i) / m.count;
        let apart = |i| {
            let error: f64 = error(self, i) + error(other, i);
            if error == 0.0 { 0.0 } else { (self.mean(i) - other.mean(i)).abs() / error.sqrt() }
        };
        (0..self.sums.len()).map(apart).fold(0.0, f64::max)
    }
}

/// A record with the noise of another step.
fn at(record: Record, step: u32) -> Record {
    Record { step, ..record }
}

/// The mean objective of the images, of so many draws of noise.
fn bounds_of(oracle: &mut Bench, draws: u32) -> Vec<f64> {
    let record = oracle.record(1);
    (0..draws).map(|step| oracle.objective(at(record, step))).collect()
}

#[test]
fn the_bound_rises_with_the_samples() {
    let means: Vec<_> = [[1, 1], [8, 1], [1, 2], [1, 8], [1, 50]]
        .map(|groups| bounds_of(&mut still(small_bound(groups, Gradient::Standard)), 2000))
        .into();
    let compare = |a: usize, b: usize| {
        let mut apart = Moments::default();
        means[a].iter().zip(&means[b]).for_each(|(a, b)| apart.add(&[a - b]));
        apart.mean(0) / (apart.variance(0) / apart.count).sqrt()
    };
    // What is minimised falls, from one z to two under a logarithm, to eight, to fifty.
    for (a, b) in [(0, 2), (2, 3), (3, 4)] {
        let errors = compare(a, b);
        assert!(errors > 6.0, "it falls by {errors} standard errors from {a} to {b}");
    }
    // The mean of eight estimates is no better than one, but for its noise.
    assert!(compare(0, 1).abs() < 4.0, "{} standard errors", compare(0, 1));
    let spread = |of: usize| {
        let mut spread = Moments::default();
        means[of].iter().for_each(|&v| spread.add(&[v]));
        spread.variance(0)
    };
    assert!(spread(1) < spread(0) / 4.0, "variances {} and {}", spread(1), spread(0));
}

/// The encoder's gradient and the decoder's, over so many draws of noise.
fn gradients_of(groups: [usize; 2], gradient: Gradient, draws: u32) -> [Moments; 2] {
    let mut oracle = still(small_bound(groups, gradient));
    let record = oracle.record(1);
    let mut found = [Moments::default(), Moments::default()];
    // Each way has noise of its own, so that the means are independent.
    let first = 1_000_000 * gradient.code();
    for step in first..first + draws {
        oracle.objective(at(record, step));
        let all = oracle.read_all(|parameter| parameter.grad);
        for (found, encoder) in found.iter_mut().zip([true, false]) {
            let some = all.iter().filter(|(key, _)| encoder == NAMES[..6].contains(&&**key));
            let values: Vec<f64> = some.flat_map(|(_, values)| values.clone()).collect();
            found.add(&values);
        }
    }
    found
}

#[test]
fn dreg_has_the_mean_of_the_standard_gradient_and_stl_has_not() {
    // Over some 100 entries, the largest of which would be 3.5 by chance.
    let draws = 20_000;
    for groups in [[1, 8], [2, 4]] {
        let [standard, decoder] = gradients_of(groups, Gradient::Standard, draws);
        let [dreg, dreg_decoder] = gradients_of(groups, Gradient::Dreg, draws);
        let [stl, stl_decoder] = gradients_of(groups, Gradient::Stl, draws);
        let apart = dreg.apart(&standard);
        let (less, more) = (dreg.total_variance(), standard.total_variance());
        println!("{groups:?}: DReG {apart:.2} standard errors, variance {less:.2} of {more:.2}");
        assert!(apart < 4.0, "DReG is {apart} standard errors from the standard gradient");
        assert!(less < more, "the variance of DReG is {less}, of the standard gradient {more}");
        // Tucker et al. 2018, section 3: without the score it is another gradient's estimate.
        let biased = stl.apart(&standard);
        println!("{groups:?}: STL {biased:.2} standard errors");
        assert!(biased > 10.0, "STL is {biased} standard errors from the standard gradient");
        for other in [dreg_decoder, stl_decoder] {
            let apart = other.apart(&decoder);
            assert!(apart < 4.0, "the decoder's gradients are {apart} standard errors apart");
        }
    }
    let [standard, _] = gradients_of([1, 1], Gradient::Standard, draws);
    let [stl, _] = gradients_of([1, 1], Gradient::Stl, draws);
    let apart = stl.apart(&standard);
    println!("one sample: STL {apart:.2} standard errors");
    assert!(apart < 4.0, "of one sample STL is {apart} standard errors from the standard gradient");
}

/// A linear decoder with a normal likelihood, and the encoder that gives its true posterior: there the path
/// gradients have no variance at all, as Roeder et al. 2017 and Tucker et al. 2018 say.
#[test]
fn at_the_true_posterior_the_path_gradients_vanish() {
    for (groups, gradient, vanishes) in [
        ([1, 1], Gradient::Standard, false),
        ([1, 1], Gradient::Stl, true),
        ([1, 6], Gradient::Standard, false),
        ([1, 6], Gradient::Stl, true),
        ([2, 3], Gradient::Dreg, true),
    ] {
        let mut config = small_bound(groups, gradient);
        (config.optimizer.rule, config.optimizer.lr) = (Rule::Sgd, 1e-30);
        (config.model.encoder, config.model.decoder) = ([].into(), [].into());
        (config.model.latent, config.model.likelihood) = (1, Likelihood::Normal);
        config.model.sigma = 0.5;
        config.train.batch_size = 4;
        let mut oracle = Bench::new(&config, (&cut(300, 13), 13), TrainingNoise::Drawn, None);
        // p(x | z) = N(x; W z + b, s²): the posterior's variance is v = 1 / (1 + Wᵀ W / s²), its mean
        // v Wᵀ (x − b) / s² (Bishop 2006, eq. 2.116).
        let (w, b) = (fill(1, 13, 0.5), fill(2, 13, 0.5));
        let v = 1.0 / (1.0 + w.iter().map(|w| w * w).sum::<f64>() / 0.25);
        let offset: f64 = w.iter().zip(&b).map(|(w, b)| -v * w * b / 0.25).sum();
        oracle.write_all(|key, len| match key {
            "posterior.mean.weight" => w.iter().map(|w| v * w / 0.25).collect(),
            "posterior.mean.bias" => vec![offset],
            "posterior.log_var.bias" => vec![v.ln()],
            "decoder.0.weight" => w.clone(),
            "decoder.0.bias" => b.clone(),
            _ => vec![0.0; len],
        });
        oracle.objective(oracle.record(1));
        let all = oracle.read_all(|parameter| parameter.grad);
        let encoder = all.iter().filter(|(key, _)| key.starts_with("posterior"));
        let largest = encoder.flat_map(|(_, g)| g).fold(0.0, |a: f64, b| a.max(b.abs()));
        let what = format!("{groups:?} {gradient:?}: the largest of the encoder's is {largest:e}");
        assert!(if vanishes { largest < 1e-12 } else { largest > 1e-2 }, "{what}");
    }
}
