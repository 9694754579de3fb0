//! Finds the images that are most like another, by where the encoder puts them.
//!
//! `cargo run --release --example encode_and_search`
#![allow(clippy::print_stdout, reason = "an example talks")]

use std::path::Path;

use elbo::data::Sources;
use elbo::{Config, Device, Model, Trainer};

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/mnist");

/// How many neighbours are found.
const FOUND: usize = 5;

fn main() -> elbo::Result<()> {
    let mut config = Config::default();
    config.model.latent = 10;
    let images = Sources::new(Path::new(MNIST), &config).open()?;
    let (train, test) = (images.train.limited(4_000), images.test.limited(1_000));
    let (device, _why) = Device::choose("auto", 0)?;
    let mut trainer = Trainer::new(&device, &config, &train, &test)?;
    trainer.advance(4 * trainer.steps_per_epoch())?;

    // A model that is only used: no gradients, no moments. It looks at the images that it is given.
    let mut model = Model::new(&device, &trainer.state()?, Some(&test))?;
    // The mean of each image's posterior is its code: 10 numbers in place of 784.
    let codes = model.encode(0..test.len())?.mean;
    let codes: Vec<&[f32]> = codes.chunks(config.model.latent).collect();
    let labels = test.labels().expect("MNIST has labels");

    for query in 0..5 {
        let digits: Vec<u8> = nearest(&codes, query).into_iter().map(|i| labels[i]).collect();
        println!("image {query} is a {}, its neighbours are {digits:?}", labels[query]);
    }
    // The model was never told a label; by chance a tenth of the neighbours would agree.
    let queries = 0..200;
    let agree = |query: usize| {
        let found = nearest(&codes, query);
        found.into_iter().filter(|&i| labels[i] == labels[query]).count()
    };
    let share = queries.clone().map(agree).sum::<usize>() as f64 / (FOUND * queries.len()) as f64;
    println!("{:.1} % of the neighbours are of the same digit", 100.0 * share);
    Ok(())
}

/// The images whose codes are the nearest to that of one image, which is left out.
fn nearest(codes: &[&[f32]], query: usize) -> Vec<usize> {
    let distance = |other: usize| -> f32 {
        let pairs = codes[query].iter().zip(codes[other]);
        pairs.map(|(a, b)| (a - b).powi(2)).sum()
    };
    let others = (0..codes.len()).filter(|&other| other != query);
    let mut others: Vec<_> = others.map(|other| (distance(other), other)).collect();
    others.sort_by(|a, b| a.0.total_cmp(&b.0));
    others.into_iter().take(FOUND).map(|(_, other)| other).collect()
}
