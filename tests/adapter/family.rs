//! The features of the family compose: whole steps and gradients of models that have several at once,
//! runs that stop and go on, and any configuration at all. Needs an adapter.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use elbo::checkpoint::State;
use elbo::config::{Config, Gradient, NonFinite, Reduction};
use elbo::{Dataset, Device, ErrorKind, Trainer};
use proptest::prelude::*;
use toml::{Table, Value};

use crate::common::{gpu, gradients_hold, small, steps_hold, survived};
use kinds::KINDS;
use values::VALUES;

mod kinds;
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
