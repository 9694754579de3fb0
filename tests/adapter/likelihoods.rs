//! Every likelihood is what it is called: PyTorch's numbers, sums of 1, moments of what is drawn, whole steps.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use std::path::Path;

use elbo::checkpoint::State;
use elbo::config::{
    Blocks, Config, LOG_SCALE_BOUNDS, Likelihood, Mean, ModelConfig, Pixels, Scale, Support,
};
use elbo::cpu::Session;
use elbo::engine::{GradSite, Parameters, Plan, Program, Record, Tape, rate};
use elbo::evaluate::Shown;
use elbo::kernels::bernoulli::bernoulli;
use elbo::kernels::case::Case;
use elbo::kernels::counts::log_means;
use elbo::kernels::likelihood::{Observed, likelihood};
use elbo::model::TrainingNoise;
use elbo::{Dataset, Device, Model, Trainer};
use serde_json::Value;

use crate::common::{Bench, cut, distance, gpu, gradients_hold, small, steps_hold};

/// −log p of each row, its gradient at what was made, and at the shared log-scale.
struct Found {
    nll: Vec<f64>,
    gradient: Vec<f64>,
    dlog_scale: f64,
}

/// Runs a model's likelihood in the oracle, on rows of so many pixels.
fn run(model: &ModelConfig, pixels: usize, made: &[f64], x: &[f64], log_scale: f64) -> Found {
    let rows = x.len() / pixels;
    let mut plan = Plan::new();
    let blocks = Blocks::of(model, pixels, 1);
    let (at, image) = (plan.matrix("made", rows, blocks.numbers()), plan.matrix("x", rows, pixels));
    let shared = plan.vector("log-scale", 1);
    let nll = plan.vector("nll", rows);
    let mut parameters = Parameters::new();
    let mut tape = Tape::new(&mut plan, &mut parameters);
    match model.likelihood {
        Likelihood::Bernoulli => bernoulli(&mut tape, at, image, nll),
        _ => {
            let log_scale = (model.scale == Scale::Shared).then_some(shared);
            let made = match model.mean {
                Mean::Softmax if model.likelihood.is_of_counts() => log_means(&mut tape, at, image),
                _ => at,
            };
            likelihood(&mut tape, model, 1, Observed { made, blocks, x: image, nll }, log_scale);
        }
    }
    tape.backward();
    let gradient = tape.grad(at, GradSite::Output).expect("the loss made it");
    let at_scale = tape.grad(shared, GradSite::Output);
    let dispatches = tape.take();
    let mut session = Session::<f64>::new(&plan, None, 1).expect("enough memory");
    let program = session.load(&Program::new("likelihood", &[&dispatches]));
    session.write(at, made);
    session.write(image, x);
    session.write(shared, &[log_scale]);
    let mut rates = Case::new(String::new(), rows).record.rates;
    rates[rate::LOSS_SCALE] = 1.0;
    let record = Record { rates, ..Case::new(String::new(), rows).record };
    session.run(program, &[record]);
    let dlog_scale = at_scale.map_or(0.0, |at| session.read(at)[0]);
    Found { nll: session.read(nll), gradient: session.read(gradient), dlog_scale }
}

fn model(likelihood: Likelihood, scale: Scale) -> ModelConfig {
    let mut model = ModelConfig { likelihood, scale, ..ModelConfig::default() };
    if likelihood.support() == Support::Levels {
        model.levels = 16;
    }
    if likelihood.is_of_counts() {
        // Those of a softmax are of all pixels of an image.
        model.mean = Mean::Free;
    }
    model
}

/// Every family, with each scale that it may have.
fn every() -> Vec<ModelConfig> {
    let scales = [Scale::Fixed, Scale::Shared, Scale::Pixel];
    let all = Likelihood::ALL.into_iter().flat_map(|family| {
        let fits = move |&scale: &Scale| family.has_scale() || scale == Scale::Fixed;
        scales.into_iter().filter(fits).map(move |scale| model(family, scale))
    });
    all.collect()
}

#[test]
fn losses_and_gradients_equal_pytorch() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/likelihood.json");
    let text = std::fs::read_to_string(path).expect("the golden numbers are checked in");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let (mut seen, mut worst) = (Vec::new(), 0.0_f64);
    for case in &cases {
        let line = |key: &str| -> Vec<f64> {
            let all = case[key].as_array().unwrap_or_else(|| panic!("{key} of {}", case["model"]));
            all.iter().map(|v| v.as_f64().expect("a number")).collect()
        };
        let model: ModelConfig = serde_json::from_value(case["model"].clone()).expect("a model");
        let log_scale = case["log_scale"].as_f64().unwrap_or(0.0);
        let found = run(&model, 5, &line("made"), &line("x"), log_scale);
        let mut pairs = vec![("nll", found.nll), ("gradient", found.gradient)];
        if model.scale == Scale::Shared {
            pairs.push(("dlog_scale", vec![found.dlog_scale]));
        }
        for (key, found) in pairs {
            let expected = case[key].as_f64().map_or_else(|| line(key), |v| vec![v]);
            let apart = distance(&found, &expected);
            worst = worst.max(apart);
            assert!(apart < 1e-10, "{key} of {}: {apart:e} apart", case["model"]);
        }
        seen.push((model.likelihood, model.scale, model.mean));
    }
    println!("{} cases: at most {worst:.1e} apart", cases.len());
    // The first is compared with the classic model, the second by places in `colour.rs`.
    let elsewhere = [Likelihood::Bernoulli, Likelihood::ColourMixture];
    for model in every().iter().filter(|model| !elsewhere.contains(&model.likelihood)) {
        for mean in [model.mean, Mean::Softmax] {
            let kind = (model.likelihood, model.scale, mean);
            assert!(seen.contains(&kind), "{kind:?} has a witness");
        }
    }
}

/// The values of a pixel with their shares of an integral: levels, or Simpson's rule.
fn grid(model: &ModelConfig) -> Vec<(f64, f64)> {
    let (low, high, n) = match (model.likelihood, model.likelihood.support()) {
        (Likelihood::Bernoulli, _) => return vec![(0.0, 1.0), (1.0, 1.0)],
        (_, Support::Levels) => {
            let value = |k: usize| k as f64 / (model.levels - 1) as f64;
            return (0..model.levels).map(|k| (value(k), 1.0)).collect();
        }
        // What is left out has less than 10⁻¹².
        (_, Support::Counts) => return (0..3000).map(|count| (f64::from(count), 1.0)).collect(),
        (_, Support::Unit) => (0.0, 1.0, 4000),
        // A kink of Laplace's at a location of a tenth lies on the grid.
        (_, Support::Line) => (-40.0, 40.0, 80_000),
    };
    let step = (high - low) / f64::from(n);
    let share = |i: i32| match i {
        0 => 1.0,
        i if i == n => 1.0,
        i if i % 2 == 1 => 4.0,
        _ => 2.0,
    };
    (0..=n).map(|i| (low + f64::from(i) * step, share(i) * step / 3.0)).collect()
}

/// The sum of p over all pixels' values, their mean and their variance.
fn moments(model: &ModelConfig, made: &[f64], log_scale: f64) -> [f64; 3] {
    let grid = grid(model);
    let x: Vec<_> = grid.iter().map(|(x, _)| *x).collect();
    let found = run(model, 1, &made.repeat(x.len()), &x, log_scale);
    let p: Vec<_> =
        found.nll.iter().zip(&grid).map(|(nll, (_, share))| (-nll).exp() * share).collect();
    let over = |of: &dyn Fn(f64) -> f64| p.iter().zip(&x).map(|(p, &x)| p * of(x)).sum::<f64>();
    let mean = over(&|x| x);
    [over(&|_| 1.0), mean, over(&|x| (x - mean).powi(2))]
}

/// What the decoder could make of a pixel, and the shared log-scale.
fn pixel(model: &ModelConfig, i: usize) -> (Vec<f64>, f64) {
    let wave = |k: usize| (1.3 * (k + 7 * i) as f64 + 0.2).sin();
    let tenth = |v: f64| (10.0 * v).round() / 10.0;
    let locations = |count: usize| (0..count).map(move |k| tenth(0.5 + 0.5 * wave(k)));
    let outputs = Blocks::of(model, 1, 1).count;
    let made = match model.likelihood {
        Likelihood::LogisticMixture | Likelihood::ColourMixture => {
            let logits = (0..model.components).map(wave);
            let scales = (0..model.components).map(|k| -2.0 + wave(k + 3));
            logits.chain(locations(model.components)).chain(scales).collect()
        }
        family if family.has_scale() => {
            let scale = (1..outputs).map(|k| -2.0 + wave(k + 3));
            locations(1).chain(scale).collect()
        }
        _ => (0..outputs).map(|k| 2.0 * wave(k)).collect(),
    };
    (made, -1.5)
}

#[test]
fn every_family_sums_to_one() {
    for mut model in every() {
        if model.likelihood.has_scale() && model.scale == Scale::Fixed {
            model.sigma = 0.3;
        }
        for i in 0..6 {
            let (made, log_scale) = pixel(&model, i);
            let [sum, ..] = moments(&model, &made, log_scale);
            assert!((sum - 1.0).abs() < 1e-9, "{model:?} at {made:?}: the sum is {sum}");
        }
    }
    // λ = ½ ± 10⁻⁶ and steep ones, whose constant C has no digits of its own by the plain formula.
    let continuous = model(Likelihood::ContinuousBernoulli, Scale::Fixed);
    for l in [0.0, 4e-6, -4e-6, 1e-9, 0.3, -0.99, 1.01, 25.0, -40.0] {
        let [sum, mean, _] = moments(&continuous, &[l], 0.0);
        assert!((sum - 1.0).abs() < 1e-9, "logit {l}: the integral is {sum}");
        let gradient = run(&continuous, 1, &[l], &[0.0], 0.0).gradient[0];
        assert!((gradient - mean).abs() < 1e-9, "logit {l}: the mean is {mean}, by it {gradient}");
    }
    // Far off and with the narrowest and the widest scale nothing is lost either, nor is a log of 0 taken.
    for levels in [2, 256] {
        let logistic = ModelConfig { levels, ..model(Likelihood::Logistic, Scale::Pixel) };
        for (location, scale) in
            [(0.5, LOG_SCALE_BOUNDS.0), (-3.0, LOG_SCALE_BOUNDS.0), (9.0, -3.0), (0.2, 8.0)]
        {
            let [sum, ..] = moments(&logistic, &[location, f64::from(scale)], 0.0);
            assert!((sum - 1.0).abs() < 1e-9, "{levels} levels at {location}: the sum is {sum}");
        }
    }
    let far = run(&model(Likelihood::Logistic, Scale::Fixed), 1, &[1e6], &[7.0 / 15.0], 0.0);
    assert!(far.nll[0] > 9e5 && far.nll[0].is_finite() && far.gradient[0] > 0.9, "{:?}", far.nll);
}

/// A state whose decoder makes the same of each z: its last bias.
fn constant(model: &ModelConfig, made: &[Vec<f64>], log_scale: f64) -> State {
    let mut config = Config { model: model.clone(), ..Config::default() };
    (config.model.encoder, config.model.decoder, config.model.latent) = ([].into(), [].into(), 2);
    config.train.batch_size = 100;
    let data = Dataset::from_bytes([2, 3], vec![0; 600]).expect("images");
    let mut trainer = Trainer::new(&Device::Cpu(1), &config, &data, &data).expect("a trainer");
    let mut state = trainer.state().expect("a state");
    for tensor in &mut state.tensors {
        match tensor.key.as_str() {
            "decoder.0.weight" => tensor.values.fill(0.0),
            "decoder.0.bias" => {
                for (i, value) in tensor.values.iter_mut().enumerate() {
                    *value = made[i % 6][i / 6] as f32;
                }
            }
            "likelihood.log_scale" => tensor.values.fill(log_scale as f32),
            _ => (),
        }
    }
    state
}

/// Means are the means of the densities, and what is drawn has their mean and variance.
#[test]
fn what_is_shown_has_the_moments_of_every_family() {
    const COUNT: usize = 6000;
    for mut model in every() {
        if model.likelihood.has_scale() && model.scale == Scale::Fixed {
            model.sigma = 0.15;
        }
        let made: Vec<_> = (0..6).map(|i| pixel(&model, i).0).collect();
        let log_scale = -1.5;
        let state = constant(&model, &made, log_scale);
        let mut shown = Model::new(&Device::Cpu(1), &state, None).expect("a model");
        let means = shown.decode(&[0.0; 2]).expect("an image");
        shown.show(Shown::Drawn);
        let drawn = shown.sample(COUNT, 1.0).expect("samples");
        assert_eq!(shown.sample(3, 1.0).expect("samples"), drawn[..18], "the same again");
        for (j, made) in made.iter().enumerate() {
            let [_, mean, variance] = moments(&model, made, log_scale);
            let all = drawn.iter().skip(j).step_by(6).map(|&v| f64::from(v));
            let found = all.clone().sum::<f64>() / COUNT as f64;
            let spread = all.clone().map(|v| (v - found).powi(2)).sum::<f64>() / COUNT as f64;
            let error = (variance / COUNT as f64).sqrt();
            let what = format!("{:?} {:?} of {made:?}", model.likelihood, model.scale);
            assert!(
                (found - mean).abs() < 4.5 * error,
                "{what}: the mean {found}, expected {mean}"
            );
            // Overdispersed counts have long tails.
            let allowed = if model.likelihood.is_of_counts() { 0.3 } else { 0.15 };
            assert!(
                (spread / variance - 1.0).abs() < allowed,
                "{what}: {spread}, expected {variance}"
            );
            let off = (f64::from(means[j]) - mean).abs();
            let logistic = model.likelihood.support() == Support::Levels
                && model.likelihood != Likelihood::Categorical;
            // The location within the range stands for the mean of a logistic pixel.
            assert!(off < if logistic { 0.2 } else { 1e-5 }, "{what}: shown {}, {mean}", means[j]);
            if model.likelihood.support() == Support::Levels {
                let steps = (model.levels - 1) as f64;
                let off = |v: f64| (v * steps - (v * steps).round()).abs();
                assert!(all.clone().all(|v| (0.0..=1.0).contains(&v) && off(v) < 1e-4), "{what}");
            }
        }
    }
}

#[test]
fn steps_of_every_family_equal_the_oracle() {
    let gpu = gpu();
    for model in every() {
        let name = format!("{:?} {:?}", model.likelihood, model.scale);
        let mut config = small();
        let ModelConfig { likelihood, scale, levels, mean, .. } = model;
        (config.model.likelihood, config.model.scale, config.model.levels) =
            (likelihood, scale, levels);
        for mean in [Some(mean), likelihood.is_of_counts().then_some(Mean::Softmax)] {
            let Some(mean) = mean else { continue };
            config.model.mean = mean;
            steps_hold(&name, &config, &gpu);
            let worst = gradients_hold(&name, &config);
            println!("{name}: gradients within {worst:.1e} of central differences");
        }
    }
}

/// Coins that are tossed once are the same in every step and epoch, others for other seeds and for test
/// images, and heads as often as the pixel is bright.
#[test]
fn pixels_binarised_once_stay_so() {
    let (images, mut config) = (cut(300, 37), small());
    config.train.pixels = Pixels::BinarisedOnce;
    steps_hold("binarised once", &config, &gpu());
    let tossed = |seed: u64, stream: u32, step: u32, pixels: Pixels| {
        let mut config = config.clone();
        (config.train.seed, config.train.pixels) = (seed, pixels);
        let mut bench = Bench::new(&config, (&images, 37), TrainingNoise::Drawn, None);
        bench.start(1);
        let record = bench.record(1);
        bench.step(Record { stream, step, epoch: step, ..record });
        bench.session.read(bench.vae.ports.x)
    };
    let once = |seed, stream, step| tossed(seed, stream, step, Pixels::BinarisedOnce);
    let first = once(1, 1, 0);
    assert!(first.iter().all(|&v| v == 0.0 || v == 1.0), "coins");
    assert_eq!(first, once(1, 1, 77), "the same in another step");
    for (what, other) in [("seed", once(2, 1, 0)), ("stream", once(1, 2, 0))] {
        assert!(first != other, "coins of another {what}");
    }
    assert!(first != tossed(1, 1, 0, Pixels::Binarised), "coins of their own");
    let heads = (0..40).map(|seed| once(seed, 1, 0));
    let mut mean = vec![0.0; first.len()];
    heads.for_each(|x| mean.iter_mut().zip(x).for_each(|(m, x)| *m += x / 40.0));
    let grey = tossed(1, 1, 0, Pixels::Grey);
    let off = mean.iter().zip(&grey).map(|(a, b)| (a - b).abs()).sum::<f64>() / grey.len() as f64;
    assert!(off < 0.04, "the mean of 40 tosses is {off} from the pixels");
}
