//! Trains a variational autoencoder on MNIST, in ten lines, and saves its weights for PyTorch.
//!
//! `cargo run --release --example train_in_ten_lines`
#![allow(clippy::print_stdout, reason = "an example talks")]

use std::path::Path;

use elbo::data::Sources;
use elbo::{Config, Device, Trainer};

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/mnist");

fn main() -> elbo::Result<()> {
    // 784-400-20-400-784 with ReLU, Bernoulli pixels and Adam; every key of `elbo config` is a field.
    let config = Config::default();
    let images = Sources::new(Path::new(MNIST), &config).open()?;
    // Some of the images, so that this takes seconds on any machine; without these two lines it takes all.
    let (train, test) = (images.train.limited(2_500), images.test.limited(500));
    // A hardware GPU if there is one, else all cores; `why` says which it is.
    let (device, why) = Device::choose("auto", 0)?;
    println!("training on {} ({why})", device.name());
    let mut trainer = Trainer::new(&device, &config, &train, &test)?;
    for epoch in 1..=5 {
        trainer.advance(trainer.steps_per_epoch())?;
        // −ELBO = −log p(x|z) + KL, in nats per image of the test set.
        let losses = trainer.evaluate()?.sampled;
        println!("epoch {epoch}: {:.2} = {:.2} + {:.2}", losses.loss, losses.recon, losses.kl);
    }
    let path = std::env::temp_dir().join("elbo-example.safetensors");
    trainer.save_weights(&path)?;
    println!("the weights are in {}", path.display());
    Ok(())
}
