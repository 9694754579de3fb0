//! The features of the family compose: whole steps and gradients of models that have several at once,
//! runs that stop and go on, and any configuration at all. Needs an adapter.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use elbo::checkpoint::State;
use elbo::config::{Config, Gradient, NonFinite, Reduction};
use elbo::{Dataset, Device, ErrorKind, Trainer};
use proptest::prelude::*;
use toml::{Table, Value};

use crate::common::{gpu, gradients_hold, small, steps_hold, survived};
use values::VALUES;

mod values;

/// A configuration with some values set, each under its table and key.
fn with(config: &Config, set: &str) -> Config {
    let mut table: Table = config.to_toml().parse().expect("its own TOML");
    for (name, keys) in set.parse::<Table>().expect("dotted keys") {
        let Value::Table(keys) = keys else { panic!("{name} is no table") };
        let of = table.get_mut(&name).and_then(Value::as_table_mut);
        of.unwrap_or_else(|| panic!("no table {name}")).extend(keys);
    }
    Config::from_toml(&table.to_string()).expect("keys of a configuration")
}

/// Smooth, so that it has central differences everywhere.
const SMOOTH: &str = "model.activation = 'tanh'";

const KINDS: &[(&str, &str)] = &[
    (
        "IWAE of a told, normalised net with dropout and one learned scale",
        "objective.importance = 3
        model.layer-norm = true
        model.dropout = 0.3
        model.classes = 3
        model.likelihood = 'normal'
        model.scale = 'shared'",
    ),
    (
        "MIWAE 2 × 2 by DReG of a logistic mixture",
        "objective.samples = 2
        objective.importance = 2
        objective.gradient = 'dreg'
        model.likelihood = 'logistic-mixture'
        model.components = 3",
    ),
    (
        "a told, denoising, plain autoencoder with mmd",
        "model.posterior = 'point'
        model.classes = 4
        train.corruption = 'normal'
        train.corruption-level = 0.3
        objective.mmd = 20.0",
    ),
    (
        "three samples with free bits of a continuous Bernoulli",
        "objective.samples = 3
        objective.free-bits = 0.05
        model.likelihood = 'continuous-bernoulli'",
    ),
    (
        "capacity with categorical pixels",
        "objective.capacity = 3.0
        objective.beta = 4.0
        model.likelihood = 'categorical'",
    ),
    (
        "IWAE of images that are binarised once",
        "objective.importance = 5
        train.pixels = 'binarised-once'",
    ),
    (
        "averaged Adamax with normalised layers",
        "optimizer.rule = 'adamax'
        optimizer.average = 0.9
        model.layer-norm = true",
    ),
    (
        "averaged RMSprop with normalised layers and a sampled KL",
        "optimizer.rule = 'rmsprop'
        optimizer.average = 0.9
        model.layer-norm = true
        objective.kl = 'sampled'
        objective.beta = 0.7",
    ),
    (
        "a ladder of three levels, with dropout and importance",
        "model.above = [{ encoder = [5], latent = 2, decoder = [6, 4] }, { encoder = [], latent = 3, decoder = [4] }]
        model.inference = 'ladder'
        model.dropout = 0.2
        objective.samples = 2
        objective.importance = 3",
    ),
    (
        "a ladder under a mixture, with bits for nothing",
        "model.above = [{ encoder = [5], latent = 4, decoder = [] }]
        model.inference = 'ladder'
        model.prior = 'mixture'
        model.prior-components = 3
        objective.free-bits = 0.3
        objective.samples = 2
        objective.kl = 'sampled'
        objective.beta = 0.7",
    ),
    (
        "β-TC with classes and dropout",
        "objective.total-correlation = 4.0
        model.classes = 3
        model.dropout = 0.2",
    ),
    (
        "three samples of masked images with capacity and one learned scale",
        "objective.samples = 3
        objective.capacity = 2.0
        model.likelihood = 'laplace'
        model.scale = 'shared'
        train.corruption = 'mask'
        train.corruption-level = 0.4",
    ),
    (
        "MIWAE of logistic pixels with one learned scale, the mean over the images",
        "objective.samples = 2
        objective.importance = 3
        objective.reduction = 'mean'
        model.likelihood = 'logistic'
        model.scale = 'shared'
        train.corruption = 'normal'
        train.corruption-level = 0.1",
    ),
    (
        "IWAE of counts that share a total, told, one learned dispersion",
        "objective.importance = 3
        model.likelihood = 'negative-binomial'
        model.scale = 'shared'
        model.classes = 3
        train.corruption = 'mask'
        train.corruption-level = 0.2",
    ),
    (
        "a mixture as prior, told, with dropout",
        "model.prior = 'mixture'
        model.prior-components = 6
        model.classes = 3
        model.dropout = 0.2
        objective.kl = 'sampled'
        objective.beta = 0.7",
    ),
    (
        "a ladder of three levels, with dropout and importance",
        "model.above = [{ encoder = [5], latent = 2, decoder = [6, 4] }, { encoder = [], latent = 3, decoder = [4] }]
        model.inference = 'ladder'
        model.dropout = 0.2
        objective.samples = 2
        objective.importance = 3",
    ),
    (
        "a ladder under a mixture, with bits for nothing",
        "model.above = [{ encoder = [5], latent = 4, decoder = [] }]
        model.inference = 'ladder'
        model.prior = 'mixture'
        model.prior-components = 3
        objective.free-bits = 0.3
        objective.samples = 2
        objective.kl = 'sampled'
        objective.beta = 0.7",
    ),
    (
        "VampPrior of normalised layers, averaged, by DReG",
        "model.prior = 'vamp'
        model.prior-components = 19
        model.layer-norm = true
        optimizer.average = 0.9
        objective.samples = 2
        objective.importance = 3
        objective.gradient = 'dreg'",
    ),
    (
        "VampPrior of counts with as many components as images, by STL",
        "model.prior = 'vamp'
        model.prior-components = 7
        model.likelihood = 'poisson'
        objective.kl = 'sampled'
        objective.gradient = 'stl'",
    ),
    (
        "two levels, averaged, with dropout",
        "model.above = [{ encoder = [5], latent = 2, decoder = [6, 4] }]
        model.dropout = 0.2
        optimizer.average = 0.9
        objective.kl = 'sampled'
        objective.beta = 0.7",
    ),
    (
        "a ladder of three levels, with dropout and importance",
        "model.above = [{ encoder = [5], latent = 2, decoder = [6, 4] }, { encoder = [], latent = 3, decoder = [4] }]
        model.inference = 'ladder'
        model.dropout = 0.2
        objective.samples = 2
        objective.importance = 3",
    ),
    (
        "a ladder under a mixture, with bits for nothing",
        "model.above = [{ encoder = [5], latent = 4, decoder = [] }]
        model.inference = 'ladder'
        model.prior = 'mixture'
        model.prior-components = 3
        objective.free-bits = 0.3
        objective.samples = 2
        objective.kl = 'sampled'
        objective.beta = 0.7",
    ),
    (
        "MIWAE of three levels and a mixture, told, of normalised layers",
        "model.above = [{ encoder = [5], latent = 4, decoder = [] }, { encoder = [], latent = 1, decoder = [3] }]
        model.prior = 'mixture'
        model.prior-components = 3
        model.classes = 3
        model.layer-norm = true
        objective.samples = 2
        objective.importance = 3",
    ),
    (
        "three samples of free Poisson means, denoising",
        "objective.samples = 3
        model.likelihood = 'poisson'
        model.mean = 'free'
        train.corruption = 'normal'
        train.corruption-level = 0.2",
    ),
];

#[test]
fn steps_of_compositions_hold() {
    let gpu = gpu();
    for (name, set) in KINDS {
        steps_hold(name, &with(&small(), set), &gpu);
    }
}

#[test]
fn gradients_of_compositions_hold() {
    for (name, set) in KINDS {
        let mut config = with(&with(&small(), set), SMOOTH);
        // Other estimates of the gradient have its mean, not its values; a mean is a sum, scaled.
        config.objective.gradient = Gradient::Standard;
        config.objective.reduction = Reduction::Sum;
        let worst = gradients_hold(name, &config);
        println!("{name}: at most {worst:.1e} of the largest entry");
    }
}

/// Images with labels, of which an epoch of 12 takes four steps and one of two images.
fn data(count: usize, seed: u64, classes: usize) -> Dataset {
    let labels = (0..count).map(|image| (image % classes) as u8).collect();
    let images = Dataset::synthetic(count, [5, 6], seed).expect("made images");
    images.with_labels(labels).expect("a label each")
}

const ALL_AT_ONCE: &str = "
    objective.importance = 3
    objective.samples = 2
    model.dropout = 0.2
    model.layer-norm = true
    model.classes = 3
    optimizer.average = 0.9
    optimizer.schedule = 'cosine'
    optimizer.warmup-steps = 4
    optimizer.clip-norm = 50.0
    train.epochs = 3
    train.accumulate = 3
    train.corruption = 'mask'
    train.corruption-level = 0.1
    train.pixels = 'binarised-once'";

#[test]
fn a_run_with_all_at_once_goes_on_with_the_same_bits() {
    let config = with(&small(), ALL_AT_ONCE);
    let (train, test) = (data(50, 1, 3), data(20, 2, 3));
    let end = |trainer: &mut Trainer, steps| {
        trainer.advance(steps).expect("steps");
        let losses = trainer.finish().expect("losses");
        let looked = trainer.evaluate().expect("test losses");
        (trainer.state().expect("a state").to_bytes().expect("bytes"), losses, looked)
    };
    for device in [Device::Cpu(2), Device::Gpu(gpu())] {
        let new = || Trainer::new(&device, &config, &train, &test).expect("a trainer");
        let never_stopped = end(&mut new(), 15);
        assert!(never_stopped.1.loss.is_finite(), "{:?}", never_stopped.1);
        for stop in [1, 4, 5, 11] {
            let mut first = new();
            first.set_steps_per_submit(3);
            first.advance(stop).expect("steps");
            let bytes = first.state().expect("a state").to_bytes().expect("bytes");
            let state = State::from_bytes("state".as_ref(), &bytes).expect("what was written");
            let resumed = Trainer::resume(&device, &state, &train, &test);
            let found = end(&mut resumed.expect("its own state"), 15 - stop);
            assert!(found == never_stopped, "{}: {stop}", device.name());
        }
    }
}

#[test]
fn every_key_has_values() {
    let mut all: Vec<_> = VALUES.iter().map(|(key, _)| (*key).to_owned()).collect();
    let table: Table = Config::default().to_toml().parse().expect("TOML");
    let keys = table.iter().flat_map(|(name, keys)| {
        let keys = keys.as_table().expect("a table").keys();
        keys.map(move |key| format!("{name}.{key}"))
    });
    let mut keys: Vec<_> = keys.collect();
    all.sort();
    keys.sort();
    assert_eq!(all, keys, "the keys with values, and those of a configuration");
}

/// Images of 5 × 6 in floats, from so far below zero to as far above one.
fn floats(count: usize, beyond: f32) -> Dataset {
    let unit = (0..count * 30).map(|i| (i * 37 % 101) as f32 / 100.0);
    let pixels = unit.map(|v| v * (1.0 + 2.0 * beyond) - beyond).collect();
    let images = Dataset::from_floats([5, 6], pixels).expect("finite pixels");
    images.with_labels((0..count).map(|image| (image % 2) as u8).collect()).expect("a label each")
}

/// Trains, stops, goes on and looks; whether all that it says is a number, or an error.
fn lives(config: &Config, train: &Dataset, test: &Dataset) -> elbo::Result<bool> {
    let device = Device::Cpu(1);
    let mut trainer = Trainer::new(&device, config, train, test)?;
    trainer.advance(2)?;
    trainer.wait()?;
    let (minimised, losses) = (trainer.objective(), trainer.finish()?);
    let broken = survived(&mut trainer).len();
    // The mean of no step has no value.
    let left_out = broken == 2 && config.train.non_finite == NonFinite::Skip;
    let mut finite = losses.loss.is_finite() && minimised.is_finite() || left_out;
    let looked = trainer.evaluate()?;
    finite &= looked.sampled.loss.is_finite() && looked.at_mean.loss.is_finite();
    let mut again = Trainer::resume(&device, &trainer.state()?, train, test)?;
    for trainer in [&mut trainer, &mut again] {
        trainer.advance(1)?;
        trainer.finish()?;
    }
    if survived(&mut trainer).is_empty() && survived(&mut again).is_empty() {
        assert!(trainer.state()? == again.state()?, "a run that went on: {}", config.to_toml());
    }
    let model = trainer.model()?;
    model.encode(0..2)?;
    match config.model.classes {
        0 => model.sample(2, 1.0)?,
        _ => model.sample_of(&[0, 1], 1.0)?,
    };
    let known = model.log_likelihood(3, |_| ())?;
    Ok(finite && known.iter().all(|value| value.is_finite()))
}

/// Numbers may break, and then that is said.
fn trains(config: &Config, train: &Dataset, test: &Dataset) -> Result<(), TestCaseError> {
    let told = config.to_toml();
    match lives(config, train, test) {
        Ok(finite) => prop_assert!(finite, "losses that are no numbers, and no error, of {told}"),
        Err(error) => {
            let kind = error.kind();
            let known = [ErrorKind::Numbers, ErrorKind::Config, ErrorKind::Data].contains(&kind);
            prop_assert!(known, "{kind:?}: {error} of {told}");
            prop_assert!(error.advice().is_some(), "{error} has no hint");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    /// Any values are judged, with a hint if they are refused; what is not refused trains.
    #[test]
    fn any_configuration_trains_or_is_refused(
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..60),
        beyond in prop::sample::select(vec![None, Some(0.0), Some(1.0)]),
    ) {
        let mut config = with(&small(), "model.encoder = [6]\nmodel.decoder = [6]");
        for (key, value) in edits {
            let &(key, values) = key.get(VALUES);
            let values: Table = format!("all = [{values}]").parse().expect("a list");
            let values = values["all"].as_array().expect("a list");
            let set = with(&config, &format!("{key} = {}", value.get(values)));
            match set.validate() {
                Ok(()) => config = set,
                Err(e) => prop_assert!(e.advice().is_some(), "{e} has no hint"),
            }
        }
        let [train, test] = [20, 7].map(|count| match beyond {
            None => data(count, 1, 2),
            Some(beyond) => floats(count, beyond),
        });
        trains(&config, &train, &test)?;
    }
}
