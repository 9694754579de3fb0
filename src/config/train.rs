//! The data and how long to train on it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::MOST;
use crate::config::validate::{count, fail, has_effect, size, within};
use crate::error::Result;

/// How the pixels of a file become the numbers that are modelled. Results of different protocols
/// must not be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Pixels {
    /// The pixel, used as it is.
    Grey,
    /// A coin with that probability, tossed anew each time the image is used.
    Binarised,
    /// A coin with that probability, tossed once for each pixel of the training and of the test images.
    /// The protocol is that of the fixed binarised MNIST (Larochelle and Murray 2011); the coins are
    /// those of the seed, not those of its files.
    BinarisedOnce,
}

/// What the encoder sees of a training image, whose likelihood is that of the whole image: a denoising
/// autoencoder (Vincent et al. 2008), or with a normal posterior Im et al. 2017.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Corruption {
    /// The image.
    None,
    /// Some pixels are black, a share of `corruption-level` in the mean.
    Mask,
    /// Normal noise of the deviation `corruption-level` is added to each pixel.
    Normal,
}

/// What is done when a loss, a gradient or a weight stops being a finite number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum NonFinite {
    /// Training ends with an error that names the step and the tensor.
    Stop,
    /// The step is left out, and training goes on with the next.
    Skip,
    /// Training goes back to the last state with finite test losses, or to where it began or was
    /// resumed, and on from there with half the learning rate.
    RollBack,
}

/// The least jitter that changes anything.
const LEAST_JITTER: f64 = 0.001;

/// The data and how long to train on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TrainConfig {
    /// The images, as [`Sources::open`](crate::data::Sources::open) reads them; if there are none, they
    /// are looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// The images to test on, where `data` does not hold them too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_data: Option<PathBuf>,
    /// Passes over the training images.
    pub epochs: usize,
    /// Evaluates, draws pictures and reports after every so many epochs, and after the last.
    pub evaluate_every: usize,
    /// Logs each step whose number, counted from one over the whole run, this divides: its losses, rates and
    /// gradient's norm, as [`Step`](crate::train::Step) has them; 0 logs none.
    pub log_every: u64,
    /// Images in a minibatch.
    pub batch_size: usize,
    /// Parts that a minibatch is computed in, one after another, so that it takes less memory: their
    /// gradients are added before the update.
    pub accumulate: usize,
    /// The seed of everything random.
    pub seed: u64,
    /// Grey, binarised or binarised once.
    pub pixels: Pixels,
    /// What the encoder sees of a training image.
    pub corruption: Corruption,
    /// The share of black pixels, or the deviation of noise.
    pub corruption_level: f64,
    /// Whether training steps mirror every other image, in the mean: left and right change places.
    pub flip: bool,
    /// The most pixels that training steps shift an image in each direction; what lies beyond an edge is the pixel at the
    /// edge.
    pub shift: usize,
    /// How far training steps change contrast and brightness: a pixel v becomes a v + b, with a and b drawn for each image
    /// and channel from 1 ± jitter and ± jitter, within [0, 1] and on the nearest level where the likelihood needs that.
    pub jitter: f64,
    /// Stops after so many steps; 0 is no limit.
    pub max_steps: u64,
    /// Uses only the first so many training images; 0 uses them all.
    pub limit: usize,
    /// Stops after so many epochs without a lower loss on the images that training looks at, to test or to
    /// validate on; 0 never does.
    pub patience: u64,
    /// What is done when the numbers break.
    pub non_finite: NonFinite,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            data: None,
            test_data: None,
            epochs: 10,
            evaluate_every: 1,
            log_every: 50,
            batch_size: 128,
            accumulate: 1,
            seed: 1,
            pixels: Pixels::Grey,
            corruption: Corruption::None,
            corruption_level: 0.0,
            flip: false,
            shift: 0,
            jitter: 0.0,
            max_steps: 0,
            limit: 0,
            patience: 0,
            non_finite: NonFinite::Stop,
        }
    }
}

impl TrainConfig {
    /// The most images that are computed at once.
    #[must_use]
    pub fn part_size(&self) -> usize {
        self.batch_size / self.accumulate
    }

    /// What changes images in training steps: the keys that are set.
    #[must_use]
    pub fn augments(&self) -> Vec<&'static str> {
        let keys = [("flip", self.flip), ("shift", self.shift > 0), ("jitter", self.jitter > 0.0)];
        keys.into_iter().filter_map(|(key, set)| set.then_some(key)).collect()
    }

    pub(super) fn validate(&self) -> Result<()> {
        size("batch-size", self.batch_size)?;
        size("epochs", self.epochs)?;
        size("evaluate-every", self.evaluate_every)?;
        let most = if self.corruption == Corruption::Mask { 1.0 } else { 1e6 };
        within("corruption-level", self.corruption_level, 0.0, most)?;
        let corrupts = self.corruption != Corruption::None;
        has_effect("corruption-level", self.corruption_level == 0.0 || corrupts, "a corruption")?;
        has_effect("corruption", !corrupts || self.corruption_level > 0.0, "a corruption-level")?;
        count("shift", self.shift, 0, MOST)?;
        if self.jitter != 0.0 {
            // Less would be lost: what is drawn is counted in parts of 2¹⁶.
            within("jitter", self.jitter, LEAST_JITTER, 1.0)?;
        }
        let grey = self.pixels == Pixels::Grey;
        has_effect(
            "jitter",
            self.jitter == 0.0 || grey,
            "`pixels = \"grey\"`: coins have no contrast",
        )?;
        if self.accumulate == 0 || !self.batch_size.is_multiple_of(self.accumulate) {
            let rule = format!("a divisor of `batch-size`, {}", self.batch_size);
            return fail("accumulate", &self.accumulate, &rule);
        }
        for (name, path) in [("data", &self.data), ("test-data", &self.test_data)] {
            if let Some(path) = path.as_ref().filter(|path| path.to_str().is_none()) {
                return fail(name, &path.display(), "of Unicode, to be kept with the run");
            }
        }
        Ok(())
    }
}
