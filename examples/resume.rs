//! Stops a training, saves its state, and goes on from the file: with the same bits as without the stop.
//!
//! `cargo run --release --example resume`
#![allow(clippy::print_stdout, reason = "an example talks")]

use std::path::Path;

use elbo::checkpoint::{State, write_whole};
use elbo::data::Sources;
use elbo::{Config, Device, Trainer};

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/mnist");

fn main() -> elbo::Result<()> {
    let config = Config::default();
    let images = Sources::new(Path::new(MNIST), &config).open()?;
    let (train, test) = (images.train.limited(2_000), images.test.limited(500));
    let (device, _why) = Device::choose("auto", 0)?;
    let path = std::env::temp_dir().join("elbo-example-state.safetensors");

    // Twenty steps, which end within the second epoch. A state holds the configuration, the weights and the
    // optimiser's moments, and how far training is; it is written whole or not at all.
    let mut first = Trainer::new(&device, &config, &train, &test)?;
    first.advance(20)?;
    write_whole(&path, &first.state()?.to_bytes()?)?;
    println!("stopped after {} steps: {}", first.steps_taken(), path.display());
    drop(first);

    // Perhaps in another process, on another day. The data must be that of the state, or it is refused.
    let state = State::read(&path)?;
    let mut second = Trainer::resume(&device, &state, &train, &test)?;
    second.advance(20)?;
    println!("went on to {} steps", second.steps_taken());

    // The order of images and all noise are functions of the seed and the step, so that nothing differs.
    let mut whole = Trainer::new(&device, &config, &train, &test)?;
    whole.advance(40)?;
    let same = second.weights()? == whole.weights()?;
    println!("the same weights as without the stop: {same}");
    Ok(())
}
