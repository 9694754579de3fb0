//! Conditional models: PyTorch's numbers, whole steps and gradients, classes that are not the data's,
//! and that samples are of the class that was asked for. Needs an adapter.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use elbo::checkpoint::State;
use elbo::config::{Activation, Config, Corruption, Likelihood, NonFinite, Pixels, Scale};
use elbo::engine::Fusion;
use elbo::evaluate::Z;
use elbo::model::{TrainingNoise, Use};
use elbo::probe::{Features, Logistic, accuracy};
use elbo::session::Device;
use elbo::{Dataset, Error, ErrorKind, Losses, Model, Trainer};
use proptest::prelude::*;

use crate::common::golden::Golden;
use crate::common::{Bench, distance, gpu, gradients_hold, mnist, mnist_bytes, small, steps_hold};

/// The net of `conditional.py`.
fn golden_config() -> Config {
    let mut config = Config::default();
    (config.model.encoder, config.model.decoder) = ([19].into(), [19].into());
    (config.model.latent, config.model.classes, config.train.batch_size) = (3, 4, 7);
    config
}

/// Takes the ten steps of `conditional.py` with these labels: the largest distance of the losses and
/// gradients of the first, and of the weights after the last.
fn apart(golden: &Golden, labels: &[u8], device: Option<&Device>, step: Fusion) -> [f64; 2] {
    let (images, noise) = (golden.bytes("images"), TrainingNoise::Given);
    let mut bench = Bench::with_step(&golden_config(), (&images, 37), noise, device, step);
    bench.tell(labels);
    bench.write_all(|key, _| golden.floats(&format!("start.{key}")));
    let eps = golden.floats("eps");
    let (mut first, mut last) = (0.0_f64, 0.0_f64);
    for t in 1..=10 {
        let tensor = bench.vae.ports.eps;
        bench.session.write(tensor, &eps[(t - 1) * 21..t * 21]);
        let sums = bench.step(bench.record(t as u64));
        if t == 1 {
            let expected = ["recon", "kl"].map(|key| golden.floats(key).iter().sum::<f64>());
            first = first.max(distance(&sums, &expected));
            // Where it is fused, the gradients are not stored.
            let grad = bench.vae.parameters.list()[0].grad;
            if bench.vae.program(Use::Step(step)).expect("a program").writes(grad) {
                for (key, grad) in bench.read_all(|p| p.grad) {
                    first = first.max(distance(&grad, &golden.floats(&format!("grad.{key}"))));
                }
            }
        }
    }
    for (key, weights) in bench.read_all(|p| p.value) {
        last = last.max(distance(&weights, &golden.floats(&format!("after10.{key}"))));
    }
    [first, last]
}

#[test]
fn losses_gradients_and_weights_are_pytorchs() {
    let golden = Golden::read("conditional.safetensors");
    let labels = golden.bytes("labels");
    let steps = [Fusion::Nothing, Fusion::Updates, Fusion::All];
    for (name, device, allowed) in [
        ("oracle", None, [1e-9; 2]),
        ("cpu", Some(Device::Cpu(2)), [1e-5, 2e-5]),
        ("gpu", Some(Device::Gpu(gpu())), [1e-5, 2e-5]),
    ] {
        for (way, step) in ["recorded", "as on a CPU", "as on a GPU"].iter().zip(steps) {
            let [first, last] = apart(&golden, &labels, device.as_ref(), step);
            println!("{name}, {way}: {first:.1e} at step 1, {last:.1e} after step 10");
            assert!(
                first <= allowed[0] && last <= allowed[1],
                "{name}, {way}: {first:e}, {last:e}"
            );
        }
    }
    // The numbers tell whose class is whose.
    let mut swapped = labels.clone();
    let other =
        (1..7).find(|&i| labels[i] != labels[0]).expect("two classes in the first minibatch");
    swapped.swap(0, other);
    let [first, last] = apart(&golden, &swapped, None, Fusion::Nothing);
    assert!(first > 1e-3 && last > 1e-6, "swapped labels: {first:e}, {last:e}");
}

/// What any objective and likelihood may have besides.
fn much_else(config: &mut Config) {
    let Config { model, train, optimizer, .. } = config;
    (model.layer_norm, model.dropout, model.activation) = (true, 0.2, Activation::Tanh);
    (train.corruption, train.corruption_level) = (Corruption::Normal, 0.3);
    optimizer.average = 0.9;
}

/// Models of every kind that are told classes.
fn kinds() -> Vec<(&'static str, Config)> {
    let kind = |name, classes, change: fn(&mut Config)| {
        let mut config = small();
        config.model.classes = classes;
        change(&mut config);
        (name, config)
    };
    vec![
        kind("of two classes", 2, |_| ()),
        kind("whose classes fill the padding", 11, |_| ()),
        kind("of the most classes", 256, |_| ()),
        kind("without hidden layers", 10, |c| {
            (c.model.encoder, c.model.decoder) = ([].into(), [].into());
        }),
        kind("deep", 10, |c| {
            (c.model.encoder, c.model.decoder) = ([19, 17].into(), [18, 21].into());
            c.model.activation = Activation::Gelu;
        }),
        kind("normal", 10, |c| (c.model.likelihood, c.model.sigma) = (Likelihood::Normal, 0.5)),
        kind("binarised", 10, |c| c.train.pixels = Pixels::Binarised),
        kind("clipped, that skips", 10, |c| {
            (c.optimizer.clip_norm, c.train.non_finite) = (1.0, NonFinite::Skip);
        }),
        // Where features meet, a factor may be lost.
        kind("of weighed z with much else", 3, |c| {
            (c.objective.samples, c.objective.importance) = (2, 3);
            (c.model.likelihood, c.model.scale) = (Likelihood::Normal, Scale::Shared);
            much_else(c);
        }),
        kind("whose minibatch is compared, with much else", 3, |c| {
            let o = &mut c.objective;
            (o.free_bits, o.total_correlation, o.mmd) = (0.03, 4.0, 10.0);
            (c.model.likelihood, c.model.scale) = (Likelihood::Laplace, Scale::Pixel);
            much_else(c);
        }),
    ]
}

#[test]
fn steps_and_gradients_of_conditional_models_hold() {
    let gpu = gpu();
    for (name, config) in kinds() {
        steps_hold(name, &config, &gpu);
        let worst = gradients_hold(name, &config);
        println!("{name}: gradients at most {worst:.1e} of the largest from differences");
    }
}

/// Images of 5 × 6 with these labels.
fn labelled(labels: Vec<u8>) -> Dataset {
    let data = Dataset::synthetic(labels.len(), [5, 6], 3).expect("images");
    data.with_labels(labels).expect("a label each")
}

/// A model of three classes after a few steps, and its images.
fn trained() -> (State, Dataset) {
    let data = labelled((0..150).map(|i| (i % 3) as u8).collect());
    let mut config = small();
    (config.model.latent, config.model.classes) = (4, 3);
    let mut trainer = Trainer::new(&Device::Cpu(1), &config, &data, &data).expect("a trainer");
    trainer.advance(40).expect("steps");
    (trainer.state().expect("a state"), data)
}

fn says<T>(result: Result<T, Error>, kind: ErrorKind, words: &[&str]) {
    let Err(error) = result else { panic!("{words:?} was not refused") };
    assert_eq!(error.kind(), kind, "{error}");
    let told = format!("{error} {}", error.advice().expect("a hint"));
    for word in words {
        assert!(told.contains(word), "`{told}` does not say `{word}`");
    }
}

#[test]
fn data_without_its_classes_is_refused() {
    let mut config = small();
    config.model.classes = 3;
    let good = labelled((0..40).map(|i| (i % 3) as u8).collect());
    let bare = Dataset::synthetic(40, [5, 6], 3).expect("images");
    let other = labelled((0..40).map(|i| if i == 17 { 7 } else { 0 }).collect());
    let make = |train: &Dataset, test: &Dataset| {
        Trainer::new(&Device::Cpu(1), &config, train, test).map(drop)
    };
    make(&good, &good).expect("its classes");
    for (train, test) in [(&bare, &good), (&good, &bare)] {
        says(make(train, test), ErrorKind::Data, &["have no labels", "3 classes", "`--classes`"]);
    }
    let known = ["image 17", "class 7", "knows 3 classes", "`--classes 8`"];
    for (train, test) in [(&other, &good), (&good, &other)] {
        says(make(train, test), ErrorKind::Data, &known);
    }
    let (state, _) = trained();
    let model = |data| Model::new(&Device::Cpu(1), &state, Some(data)).map(drop);
    says(model(&bare), ErrorKind::Data, &["have no labels"]);
    says(model(&other), ErrorKind::Data, &known);
    config.model.classes = 0;
    Trainer::new(&Device::Cpu(1), &config, &bare, &other).expect("nobody looks at its labels");
}

#[test]
fn a_run_goes_on_with_its_own_labels_only() {
    let (state, data) = trained();
    let swapped = labelled((0..150).map(|i| ((i + 1) % 3) as u8).collect());
    let resume = |train, test| Trainer::resume(&Device::Cpu(1), &state, train, test).map(drop);
    resume(&data, &data).expect("its own");
    let own = ["images or their labels are not the checkpoint's"];
    says(resume(&swapped, &data), ErrorKind::Data, &["training", own[0]]);
    says(resume(&data, &swapped), ErrorKind::Data, &["test", own[0]]);
    // Only who is told knows the difference.
    assert_eq!(
        data.fingerprint().expect("a fingerprint"),
        swapped.fingerprint().expect("a fingerprint"),
        "the images are the same"
    );
    assert_eq!(
        data.fingerprint_for(0).expect("a fingerprint"),
        data.fingerprint().expect("a fingerprint"),
        "without classes"
    );
    assert_ne!(
        data.fingerprint_for(3).expect("a fingerprint"),
        swapped.fingerprint_for(3).expect("a fingerprint"),
        "with classes"
    );
}

#[test]
fn what_is_decoded_is_told_its_class() {
    let (state, data) = trained();
    for device in [Device::Cpu(2), Device::Gpu(gpu())] {
        let mut model = Model::new(&device, &state, Some(&data)).expect("a model");
        let labels = data.labels().expect("labels").to_vec();
        let codes = model.encode(0..150).expect("codes");
        let (_, means) = model.reconstruct(0..150).expect("reconstructions");
        assert_eq!(model.decode_of(&codes.mean, &labels).expect("images"), means, "at z = μ");
        let others: Vec<_> = labels.iter().map(|label| (label + 1) % 3).collect();
        let made = model.decode_of(&codes.mean, &others).expect("images");
        for (image, (a, b)) in made.chunks(30).zip(means.chunks(30)).enumerate() {
            assert!(a != b, "image {image} is the same of another class");
        }
        // Of more than a minibatch; an image depends on its place and its class alone.
        let classes: Vec<u8> = (0..300).map(|i| (i / 7 % 3) as u8).collect();
        let made = model.sample_of(&classes, 1.0).expect("samples");
        assert_eq!(made.len(), 300 * 30, "pixels");
        let ones = model.sample_of(&[1; 300], 1.0).expect("samples");
        for (image, (a, b)) in made.chunks(30).zip(ones.chunks(30)).enumerate() {
            assert_eq!(a == b, classes[image] == 1, "image {image}");
        }
        // Looks that gather their labels again are as before.
        assert_eq!(model.reconstruct(0..150).expect("again").1, means, "after samples");
        let mut unseen = Model::new(&device, &state, None).expect("a model");
        let few = unseen.sample_of(&classes[..20], 1.0).expect("samples");
        assert_eq!(few, made[..600], "without images");
        let each = model.each(Z::Sampled).expect("losses");
        let nll = model.log_likelihood(64, |_| ()).expect("likelihoods");
        let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
        let bound = mean(&each.iter().map(|[a, b]| -a - b).collect::<Vec<_>>());
        assert!(mean(&nll) > bound, "64 samples are a tighter bound: {} and {bound}", mean(&nll));
    }
}

#[test]
fn classes_are_asked_for_where_there_are_some() {
    let (state, data) = trained();
    let mut model = Model::new(&Device::Cpu(1), &state, Some(&data)).expect("a model");
    let which = ["conditional on 3 classes", "no class was given", "`--class`"];
    says(model.sample(2, 1.0), ErrorKind::Config, &which);
    says(model.decode(&[0.0; 8]), ErrorKind::Config, &which);
    let known = ["no class 3", "knows 0 to 2"];
    says(model.sample_of(&[0, 3], 1.0), ErrorKind::Config, &known);
    says(model.decode_of(&[0.0; 8], &[3, 0]), ErrorKind::Config, &known);
    says(model.decode_of(&[0.0; 8], &[0]), ErrorKind::Config, &["1 classes for 2 images"]);
    says(model.sample_of(&[0], -1.0), ErrorKind::Config, &["temperature"]);
    says(model.decode_of(&[0.0; 3], &[0]), ErrorKind::Data, &["rows of 4"]);
    let mut trainer =
        Trainer::new(&Device::Cpu(1), &small(), &data, &data).expect("a model without classes");
    let model = trainer.model().expect("a model");
    says(model.sample_of(&[0], 1.0), ErrorKind::Config, &["not conditional", "`--classes`"]);
    says(model.decode_of(&[0.0; 5], &[0]), ErrorKind::Config, &["not conditional"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any labels are either all known or refused, with the largest named; what is known trains.
    #[test]
    fn any_labels_train_or_are_refused(
        labels in proptest::collection::vec(any::<u8>(), 12..40),
        classes in 2..=256_usize,
    ) {
        let largest = labels.iter().copied().max().expect("some");
        let data = labelled(labels);
        let mut config = small();
        config.model.classes = classes;
        match Trainer::new(&Device::Cpu(1), &config, &data, &data) {
            Ok(mut trainer) => {
                prop_assert!(usize::from(largest) < classes, "{largest} of {classes}");
                trainer.advance(1).and_then(|()| trainer.wait()).expect("a step");
            }
            Err(error) => {
                prop_assert!(usize::from(largest) >= classes, "{error}");
                prop_assert!(error.to_string().contains(&format!("class {largest};")), "{error}");
            }
        }
    }

    /// Any classes are decoded or refused, by their number and their values.
    #[test]
    fn any_classes_are_decoded_or_refused(
        classes in proptest::collection::vec(prop_oneof![0..3_u8, any::<u8>()], 0..6),
        rows in 0..6_usize,
    ) {
        thread_local!(static STATE: (State, Dataset) = trained());
        let state = STATE.with(|(state, _)| state.clone());
        let mut model = Model::new(&Device::Cpu(1), &state, None).expect("a model");
        let good = classes.len() == rows && classes.iter().all(|&class| class < 3);
        let made = model.decode_of(&vec![0.5; 4 * rows], &classes);
        prop_assert_eq!(made.as_ref().ok().map(Vec::len), good.then_some(30 * rows));
    }
}

/// What a model of some classes, or of none, learns of the first 12,000 images of MNIST.
fn learned(classes: usize) -> (Trainer, Losses) {
    let (train, test) = mnist();
    let (train, test) = (train.limited(12_000), test.limited(2000));
    let mut config = Config::default();
    (config.model.encoder, config.model.decoder) = ([200].into(), [200].into());
    (config.model.latent, config.model.classes) = (10, classes);
    (config.train.batch_size, config.optimizer.lr) = (32, 3e-3);
    let mut trainer = Trainer::new(&Device::Cpu(0), &config, &train, &test).expect("a trainer");
    trainer.advance(6 * trainer.steps_per_epoch()).expect("steps");
    let losses = trainer.evaluate().expect("losses").sampled;
    (trainer, losses)
}

#[test]
fn samples_are_of_the_class_that_was_asked_for() {
    let (mut told, losses) = learned(10);
    let asked: Vec<u8> = (0..10).flat_map(|class| [class; 30]).collect();
    let samples = told.model().and_then(|model| model.sample_of(&asked, 1.0)).expect("samples");
    // A classifier of real images.
    let (real, _) = mnist();
    let real = real.limited(5000);
    let pixels: Vec<_> = mnist_bytes(5000).iter().map(|&b| f32::from(b) / 255.0).collect();
    let rows = |values| Features::new(values, 784).expect("pixels");
    let fitted = Logistic::fit(rows(&pixels), real.labels().expect("labels"), 0.01);
    let seen = fitted.and_then(|fitted| fitted.predict(rows(&samples))).expect("classes");
    let share = accuracy(&seen, &asked).expect("a share");
    let (_, alone) = learned(0);
    println!(
        "recognised: {share}; loss {:.2} with classes, {:.2} without",
        losses.loss, alone.loss
    );
    assert!(share > 0.6, "{share} of the samples are of the class asked for");
    assert!(losses.loss < alone.loss, "{} with classes, {} without", losses.loss, alone.loss);
}
