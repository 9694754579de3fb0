//! Tables of counts: read as they are, their means share a total, and what is learned beats the best constant.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use std::path::Path;

use elbo::checkpoint::State;
use elbo::config::{Config, Init, Likelihood, Mean, OutputBias, Scale};
use elbo::data::reading::How;
use elbo::data::{Opened, Sources};
use elbo::evaluate::Shown;
use elbo::kernels::philox::{key, philox};
use elbo::{Dataset, Device, Model, Trainer};

use crate::common::gpu;

const GENES: usize = 40;

/// Counts of cells of four kinds, each of which has genes of its own; cells differ in their totals by
/// a factor of up to eight.
fn table(cells: usize, seed: u64) -> Vec<f32> {
    let unit = |cell: usize, gene: usize| {
        let word = philox([gene as u32, cell as u32, 0, 0], key(seed))[0];
        (f64::from(word) + 0.5) / 4_294_967_296.0
    };
    let count = |i: usize| {
        let (cell, gene) = (i / GENES, i % GENES);
        let own = if gene % 4 == cell % 4 { 12.0 } else { 0.8 };
        let depth = (2.1 * unit(cell, GENES)).exp();
        // Twice as many as a Poisson count varies.
        let mean = own * depth * (1.0 + (gene % 7) as f64);
        (mean + (12.0 * mean).sqrt() * 2.0 * (unit(cell, gene) - 0.5)).round().max(0.0) as f32
    };
    (0..cells * GENES).map(count).collect()
}

fn data(cells: usize, seed: u64) -> Dataset {
    Dataset::from_floats([1, GENES], table(cells, seed)).expect("whole numbers")
}

fn config(likelihood: Likelihood, mean: Mean) -> Config {
    let mut config = Config::default();
    (config.model.encoder, config.model.decoder) = ([32].into(), [32].into());
    (config.model.latent, config.train.batch_size) = (4, 50);
    (config.model.likelihood, config.model.mean) = (likelihood, mean);
    config.model.output_bias = OutputBias::DataMean;
    config
}

/// log Γ(x + 1) of a count.
fn log_factorial(x: f64) -> f64 {
    libm::lgamma(x + 1.0)
}

/// −log p of an image under the best Poisson model that knows nothing of it but, with a softmax, its total.
fn constant(table: &[f32], mean: Mean) -> f64 {
    let cells = table.len() / GENES;
    let of = |gene: usize| table.iter().skip(gene).step_by(GENES).map(|&x| f64::from(x));
    let sums: Vec<f64> = (0..GENES).map(|gene| of(gene).sum()).collect();
    let all: f64 = sums.iter().sum();
    let mut nll = 0.0;
    for row in table.chunks(GENES) {
        let total: f64 = row.iter().map(|&x| f64::from(x)).sum();
        for (&x, sum) in row.iter().zip(&sums) {
            let (x, rate) = (
                f64::from(x),
                match mean {
                    Mean::Softmax => total * sum / all,
                    Mean::Free => sum / cells as f64,
                },
            );
            nll += rate - x * rate.ln() + log_factorial(x);
        }
    }
    nll / cells as f64
}

/// Trained on every device, a model of counts beats the best constant one, and its loss is the same on both.
#[test]
fn training_beats_the_best_constant() {
    let (train, test) = (data(600, 1), data(200, 2));
    for mean in [Mean::Softmax, Mean::Free] {
        let best = constant(&table(200, 2), mean);
        for (likelihood, scale) in
            [(Likelihood::Poisson, Scale::Fixed), (Likelihood::NegativeBinomial, Scale::Shared)]
        {
            let mut config = config(likelihood, mean);
            config.model.scale = scale;
            let losses = [Device::Cpu(2), Device::Gpu(gpu())].map(|device| {
                let mut trainer = Trainer::new(&device, &config, &train, &test).expect("a model");
                trainer.advance(12).expect("steps");
                let early = trainer.evaluate().expect("losses").sampled.loss;
                trainer.advance(12 * 24).expect("steps");
                [early, trainer.evaluate().expect("losses").sampled.loss]
            });
            println!("{likelihood:?} {mean:?}: {losses:?}, the best constant {best}");
            let [[cpu, late], [gpu, other]] = losses;
            assert!(
                (cpu - gpu).abs() < 1e-4 * cpu,
                "{likelihood:?}: {cpu} and {gpu} after an epoch"
            );
            for loss in [late, other] {
                assert!(loss < 0.8 * best, "{likelihood:?} {mean:?}: {loss}, a constant {best}");
            }
        }
    }
}

/// Means share an image's own total where it is known, and else that of the training images, which a state
/// keeps; what is drawn are counts round them.
#[test]
fn means_share_a_total() {
    let (train, test) = (data(200, 3), data(50, 4));
    let totals = |table: &[f32]| -> Vec<f64> {
        table.chunks(GENES).map(|row| row.iter().map(|&x| f64::from(x)).sum()).collect()
    };
    let mean = totals(&table(200, 3)).iter().sum::<f64>() / 200.0;
    for likelihood in [Likelihood::Poisson, Likelihood::NegativeBinomial] {
        let mut config = config(likelihood, Mean::Softmax);
        config.model.sigma = if likelihood == Likelihood::Poisson { 1.0 } else { 50.0 };
        let mut trainer = Trainer::new(&Device::Cpu(1), &config, &train, &test).expect("a model");
        trainer.advance(4).expect("steps");
        let state = trainer.state().expect("a state");
        let bytes = state.to_bytes().expect("bytes");
        let state = State::from_bytes(Path::new("state"), &bytes).expect("what was written");
        for data in [Some(&test), None] {
            let mut model = Model::new(&Device::Cpu(1), &state, data).expect("a model");
            for total in totals(&model.sample(5, 1.0).expect("samples")) {
                assert!((total / mean - 1.0).abs() < 1e-5, "{likelihood:?}: {total}, not {mean}");
            }
            model.show(Shown::Drawn);
            let drawn = model.sample(400, 1.0).expect("samples");
            assert!(drawn.iter().all(|&v| v >= 0.0 && v == v.trunc()), "{likelihood:?} of counts");
            let found = totals(&drawn).iter().sum::<f64>() / 400.0;
            assert!((found / mean - 1.0).abs() < 0.02, "{likelihood:?}: {found}, not {mean}");
        }
        let mut model = Model::new(&Device::Cpu(1), &state, Some(&test)).expect("a model");
        let (images, means) = model.reconstruct(0..50).expect("images");
        assert_eq!(images, table(50, 4), "as they are");
        for (found, expected) in totals(&means).iter().zip(totals(&images)) {
            assert!((found / expected - 1.0).abs() < 1e-5, "{likelihood:?}: {found}, {expected}");
        }
    }
}

/// An image without any counts has losses and gradients that are numbers, and shares nothing.
#[test]
fn an_image_without_counts_is_taken() {
    let mut counts = table(100, 5);
    counts[..2 * GENES].fill(0.0);
    let data = Dataset::from_floats([1, GENES], counts).expect("whole numbers");
    for likelihood in [Likelihood::Poisson, Likelihood::NegativeBinomial] {
        for device in [Device::Cpu(1), Device::Gpu(gpu())] {
            let config = config(likelihood, Mean::Softmax);
            let mut trainer = Trainer::new(&device, &config, &data, &data).expect("a model");
            trainer.advance(10).expect("steps");
            let loss = trainer.finish().expect("losses").loss;
            assert!(loss.is_finite(), "{likelihood:?}: {loss}");
            let (_, means) = trainer.model().expect("it works").reconstruct(0..1).expect("images");
            assert!(means.iter().all(|&v| (0.0..1e-6).contains(&v)), "{likelihood:?}: {means:?}");
        }
    }
}

/// Where the bias says it and weights are nearly zero, a model begins with the mean image.
#[test]
fn counts_start_at_their_mean() {
    let counts = table(100, 6);
    let data = Dataset::from_floats([1, GENES], counts.clone()).expect("whole numbers");
    for mean in [Mean::Softmax, Mean::Free] {
        let mut config = config(Likelihood::Poisson, mean);
        (config.model.init, config.model.init_deviation) = (Init::Normal, 1e-8);
        let mut trainer = Trainer::new(&Device::Cpu(1), &config, &data, &data).expect("a model");
        let found = trainer.model().expect("it works").sample(1, 1.0).expect("a sample");
        for (gene, &found) in found.iter().enumerate() {
            let column = counts.iter().skip(gene).step_by(GENES);
            let expected = column.map(|&x| f64::from(x)).sum::<f64>() / 100.0;
            let apart = (f64::from(found) / expected - 1.0).abs();
            assert!(apart < 1e-5, "{mean:?}, gene {gene}: {found}, the mean is {expected}");
        }
    }
}

/// A table of counts as text, read for a likelihood with these keys of `[data]`.
fn read(text: &str, likelihood: Likelihood, keys: &str) -> elbo::Result<Opened> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("counts.csv");
    std::fs::write(&path, text).expect("a file");
    let mut config = Config::from_toml(&format!("[data]\n{keys}")).expect("keys");
    config.model.likelihood = likelihood;
    Sources { test: Some(&path), ..Sources::new(&path, &config) }.open()
}

#[test]
fn tables_of_counts_are_read_as_they_are() {
    let text = "a,b,c\n0,3,140\n7,0,1\n12,5,0\n";
    let opened = read(text, Likelihood::NegativeBinomial, "").expect("counts");
    assert_eq!(opened.reading.how, How::AsItIs, "{:?}", opened.reading);
    assert_eq!(opened.reading.seen, [0.0, 140.0], "what is there");
    assert_eq!(opened.train.range().expect("a range"), (0.0, 140.0), "what the model sees");
    // Who divides them learns of another way, whatever the largest is.
    for text in [text, "a,b\n0,3\n14,1\n", "a,b\n0,3\n5000,1\n"] {
        let said = read(text, Likelihood::Bernoulli, "").expect("grey images").said;
        let about = said.iter().find(|said| said.contains("are counts"));
        let about = about.unwrap_or_else(|| panic!("nothing was said of {text}: {said:?}"));
        assert!(
            about.contains("`--likelihood poisson` and `negative-binomial` take them"),
            "{about}"
        );
    }
    for (range, likelihood) in
        [("bytes", Likelihood::Poisson), ("standardise", Likelihood::Poisson)]
    {
        let config = Config::default();
        let opened = read(text, likelihood, &format!("range = '{range}'")).expect("pixels");
        let mut config =
            Config { model: elbo::config::ModelConfig { likelihood, ..config.model }, ..config };
        config.train.batch_size = 1;
        let trained = Trainer::new(&Device::Cpu(1), &config, &opened.train, &opened.test);
        let error = trained.expect_err("no counts any more");
        assert!(error.advice().is_some_and(|hint| hint.contains("`--range`")), "{error}");
    }
}
