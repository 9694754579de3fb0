//! Whether data and a configuration are of one size, which every device counts.

use crate::config::{Config, ImageSize, Prior};
use crate::engine::PAD;
use crate::engine::plan::MAX_BINDING_BYTES;
use crate::error::{Error, Result};
use crate::model::{Architecture, DataSpec};
use crate::nn::{Dims, Sequential};

/// The most shards of a dataset: 128 GiB.
const MOST_SHARDS: u128 = 1024;

/// The most images that a convolution takes at once.
const MOST_MAPS: usize = 4096;

/// Judges the data against the configuration.
pub(super) fn fits(config: &Config, train: DataSpec, test: DataSpec) -> Result<()> {
    let batch = config.train.batch_size;
    if train.images == 0 || test.images == 0 || train.pixels() == 0 {
        return Err(Error::config("a dataset without images or pixels cannot be trained on")
            .hint("give at least one image to train on and one to test"));
    }
    if train.size != test.size {
        let (a, b) = (train.size, test.size);
        return Err(Error::config(format!("training images are {a}, test images {b}"))
            .hint("both must be of one size"));
    }
    if batch > train.images {
        let what = format!("`batch-size` is {batch}, but there are {} images", train.images);
        return Err(
            Error::config(what).hint(format!("`--batch-size {}` takes all of them", train.images))
        );
    }
    augmented(config, train.size)?;
    let most = crate::config::MOST;
    if train.pixels() > most || train.images.max(test.images) > u32::MAX as usize / 2 {
        let what = format!("{} images of {} pixels", train.images, train.pixels());
        return Err(Error::config(format!("{what} are too many; {most} pixels are the most"))
            .hint("train on a part of the data, or on smaller images"));
    }
    // What is computed at once.
    let part = config.train.part_size();
    let rows = part.saturating_mul(config.objective.z_per_image());
    if rows > most {
        let what = format!("a batch of {part} images with {} z's each", rows / part);
        return Err(Error::config(format!("{what} has {rows} rows; {most} are the most")).hint(
            "choose a smaller `--batch-size`, fewer `--samples` or `--importance`, or more parts of a \
             minibatch (`--accumulate`)",
        ));
    }
    for spec in [train, test] {
        let bytes = spec.images as u128 * 4u128.pow(u32::from(!spec.bytes)) * spec.pixels() as u128;
        if spec.window.is_none() && bytes > u128::from(MAX_BINDING_BYTES) * MOST_SHARDS {
            let what = format!("{} images of {} pixels", spec.images, spec.pixels());
            return Err(Error::config(format!("{what} take {bytes} bytes, which no device holds"))
                .hint("train on a part of the data, or on smaller images"));
        }
    }
    // Every matrix is counted with 32 bits, those of activations as those of weights.
    let networks = Architecture::of(&config.model, train.size)?;
    let seen = pseudo_inputs(config);
    if seen > MOST_MAPS {
        maps_fit(&networks.encoder, seen)
            .map_err(|e| e.hint("choose fewer `--prior-components`"))?;
    }
    for (network, of_images) in networks.all() {
        maps_fit(network, if of_images { part } else { rows })?;
    }
    matrices_fit(config, &networks, (part, rows))
}

/// Refuses matrices with more elements than are counted: of weights, and of what so many images and so many z make.
fn matrices_fit(
    config: &Config,
    networks: &Architecture,
    (part, rows): (usize, usize),
) -> Result<()> {
    let seen = pseudo_inputs(config);
    let weights = networks.all().flat_map(|(network, _)| network.weights());
    let weights = weights.map(|[outputs, inputs]| ("layer", [inputs, outputs]));
    let made = networks.all().flat_map(|(network, of_images)| {
        let rows = if of_images { part.max(seen) } else { rows };
        network.dims().flat_map(move |dims| of_batch(rows, dims))
    });
    let pairs = config.objective.pairs().then_some(("batch", [part, part]));
    let shares =
        ("batch with its shares of the prior's components", [rows, config.model.prior_components]);
    let shares = config.model.prior.is_learned().then_some(shares);
    for (what, sides) in weights.chain(made).chain(pairs).chain(shares) {
        let padded = sides.map(|side| side.saturating_add(PAD - 1) / PAD * PAD);
        if padded[0].saturating_mul(padded[1]) >= 1 << 31 {
            let what = format!("a {what} of {} × {} has 2³¹ elements or more", sides[0], sides[1]);
            return Err(Error::config(what)
                .hint("choose smaller layers, a smaller `--batch-size` or more parts of it (`--accumulate`)"));
        }
    }
    Ok(())
}

/// How many pseudo-inputs the encoder sees.
fn pseudo_inputs(config: &Config) -> usize {
    match config.model.prior {
        Prior::Vamp => config.model.prior_components,
        Prior::Normal | Prior::Mixture => 0,
    }
}

/// Refuses changes of images that these are too small for, as rows of tables are.
fn augmented(config: &Config, size: ImageSize) -> Result<()> {
    let least = size.height.min(size.width);
    let (flip, shift) = (config.train.flip, config.train.shift);
    if flip && least < 2 {
        let what = format!("`flip` mirrors images, and these are {size}");
        return Err(Error::config(what).hint(
            "leave it out; of rows that are images, `--image-size` says which, such as `28x28`",
        ));
    }
    if shift >= least {
        let what =
            format!("`shift` is {shift}, and images are {size}; it must be less than both sides");
        return Err(Error::config(what).hint(
            "choose fewer pixels; of rows that are images, `--image-size` says which, such as `28x28`",
        ));
    }
    Ok(())
}

/// The matrices of so many images' numbers: by image, and by place where these are a map.
fn of_batch(images: usize, dims: Dims) -> impl Iterator<Item = (&'static str, [usize; 2])> {
    let by_place = [images.saturating_mul(dims.places()), dims.channels];
    let by_place = dims.is_map().then_some(("batch of maps", by_place));
    std::iter::once(("batch", [images, dims.count()])).chain(by_place)
}

/// Refuses more images of a map than the kernels of convolutions count.
fn maps_fit(network: &Sequential, images: usize) -> Result<()> {
    let mut layers = network.layers();
    let convolves = layers.any(|placed| placed.layer.convolves());
    if !convolves || images <= MOST_MAPS {
        return Ok(());
    }
    let what = format!("a convolution of {images} images at once; {MOST_MAPS} are the most");
    Err(Error::config(what)
        .hint("choose a smaller `--batch-size`, fewer `--samples`, or more parts of a minibatch (`--accumulate`)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Vae;

    /// Attention has convolutions of its own, which count no more images.
    #[test]
    fn more_maps_than_are_counted_are_refused() {
        let spec = DataSpec { images: 5000, size: [4, 4].into(), bytes: true, window: None };
        for layer in ["conv 2 3x3", "transposed 2 3x3", "attention 1"] {
            let text = format!("model.encoder = ['{layer}']\ntrain.batch-size = 4096");
            let mut config = Config::from_toml(&text).expect("a configuration");
            fits(&config, spec, spec).expect("as many as are counted");
            config.train.batch_size = 4097;
            let error = fits(&config, spec, spec).expect_err("one more");
            assert!(error.to_string().contains("4097 images at once; 4096"), "{layer}: {error}");
        }
    }

    #[test]
    fn changes_that_images_are_too_small_for_are_refused() {
        let of = |sides: [usize; 2], flip: bool, shift: usize| {
            let spec = DataSpec { images: 1000, size: sides.into(), bytes: true, window: None };
            let mut config = Config::default();
            (config.train.flip, config.train.shift) = (flip, shift);
            fits(&config, spec, spec).err().map(|error| error.to_string())
        };
        for (sides, flip, shift, key) in [
            ([1, 12], true, 0, "flip"),
            ([12, 1], true, 0, "flip"),
            ([1, 12], false, 1, "shift"),
            ([5, 4], false, 4, "shift"),
            ([3, 4], true, 3, "shift"),
        ] {
            let error = of(sides, flip, shift).expect("too small");
            assert!(error.starts_with(&format!("`{key}`")), "{sides:?}: {error}");
        }
        assert_eq!(of([2, 2], true, 1), None, "the smallest");
        assert_eq!(of([1, 12], false, 0), None, "a row");
    }

    #[test]
    fn more_rows_than_a_device_counts_are_refused() {
        let spec = DataSpec { images: 1000, size: [1, 4].into(), bytes: true, window: None };
        let mut config = Config::default();
        (config.train.batch_size, config.objective.samples) = (250, 4000);
        fits(&config, spec, spec).expect("a million rows");
        config.objective.samples = 4001;
        let error = Vae::new(&config, spec, spec).expect_err("more than a million");
        assert!(error.to_string().contains("4001 z's each has 1000250 rows"), "{error}");
        let mut parts = config.clone();
        parts.train.accumulate = 2;
        fits(&parts, spec, spec).expect("half as many rows at once");
        // z alone may be too large for 32 bits, whatever the layers are.
        (config.objective.samples, config.model.latent) = (4000, 3000);
        let error = Vae::new(&config, spec, spec).expect_err("a z of 3·10⁹ elements");
        assert!(error.to_string().contains("2³¹ elements"), "{error}");
    }
}
