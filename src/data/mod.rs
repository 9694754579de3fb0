//! Datasets: images in memory as bytes or floats, as they will lie on the device.

// First, so that rustdoc lists it first: methods come in the order of modules.
mod made;

mod channels;
mod constant;
mod fit;
pub mod formats;
mod held;
mod labels;
mod open;
mod raw;
pub mod reading;
mod room;
pub mod rows;
mod source;
mod split;
mod step;
mod stored;

use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::config::ImageSize;
use crate::data::held::Held;
use crate::data::labels::Labels;
use crate::data::raw::{Part, Values};
use crate::engine::PAD;
use crate::error::{Error, ErrorKind, Result};
use crate::model::DataSpec;

pub use open::{Opened, Progress, Sources};
pub use raw::{Found, Raw};
pub use reading::Reading;
pub use room::Room;
pub use stored::Cache;

/// Images of one size, one row of pixels after another, and the class of each if that is known. A clone
/// shares the pixels. [`Sources`] reads files.
///
/// ```
/// use elbo::Dataset;
///
/// // Two grey images of 2 × 3 pixels: 0 is black, 255 white.
/// let images = Dataset::from_bytes([2, 3], vec![0, 51, 255, 0, 0, 0, 255, 255, 255, 0, 0, 0])?;
/// assert_eq!(images.len(), 2);
/// assert_eq!(images.pixels(0..1)?, [0.0, 0.2, 1.0, 0.0, 0.0, 0.0]);
/// # Ok::<(), elbo::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    size: ImageSize,
    count: usize,
    values: Arc<Held>,
    labels: Option<Labels>,
    /// Why there are labels that cannot be used.
    label_fault: Option<String>,
    /// How the values became pixels.
    reading: Reading,
    /// The most bytes of it that a device holds at once, if it is not to lie there whole.
    window: Option<u64>,
}

impl Dataset {
    /// The same dataset with only its first `count` images and their labels; 0 keeps them all.
    #[must_use]
    pub fn limited(mut self, count: usize) -> Self {
        if count > 0 && count < self.count {
            self.count = count;
            Arc::make_mut(&mut self.values).truncate(self.size.len(), count);
            if let Some(labels) = &mut self.labels {
                labels.values.truncate(count);
            }
        }
        self
    }

    /// The same dataset, of which a device holds at most so many bytes at once, and a minibatch at the
    /// least: a thread reads the images ahead of the steps. The numbers do not depend on it.
    #[must_use]
    pub fn streamed(self, bytes: u64) -> Self {
        Self { window: Some(bytes), ..self }
    }

    /// The number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Always false: a dataset has at least one image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The size of an image.
    #[must_use]
    pub fn size(&self) -> ImageSize {
        self.size
    }

    /// How the values became pixels.
    #[must_use]
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// The bytes of its pixels.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.values.bytes()
    }

    /// What a model must know to make room.
    #[must_use]
    pub fn spec(&self) -> DataSpec {
        let bytes = self.values.are_bytes();
        DataSpec { images: self.count, size: self.size, bytes, window: self.window }
    }

    /// The smallest and the largest pixel, as the model sees them.
    ///
    /// # Errors
    ///
    /// If the file that the images lie in cannot be read, as of all that looks at pixels.
    pub fn range(&self) -> Result<(f32, f32)> {
        let fold = |(low, high): (f32, f32), v: f32| (low.min(v), high.max(v));
        let mut range = (f32::INFINITY, f32::NEG_INFINITY);
        self.values.each_part(self.size.len(), &mut |_, part| {
            range = match part {
                Part::Bytes(v) => v.iter().map(|&v| f32::from(v) / 255.0).fold(range, fold),
                Part::Floats(v) => v.iter().copied().fold(range, fold),
            };
            Ok(())
        })?;
        Ok(range)
    }

    /// The mean of each pixel over the images, as the model sees them; of pixels that are coins, the mean
    /// of their probabilities.
    ///
    /// # Errors
    ///
    /// As [`range`](Self::range).
    pub fn mean_image(&self) -> Result<Vec<f64>> {
        let pixels = self.size.len();
        let white = if self.values.are_bytes() { 255.0 } else { 1.0 };
        let mut sums = vec![0.0; pixels];
        self.values.each_part(pixels, &mut |_, part| {
            part.each(|i, v| sums[i % pixels] += f64::from(v) / white);
            Ok(())
        })?;
        Ok(sums.into_iter().map(|sum| sum / self.count as f64).collect())
    }

    /// A hash of each image's values: equal images have the same one.
    ///
    /// # Errors
    ///
    /// As [`range`](Self::range).
    pub fn hashes(&self) -> Result<Vec<u128>> {
        split::hashes(&self.values, self.size.len(), 0)
    }

    /// The pixels of images, as the model sees them.
    ///
    /// # Errors
    ///
    /// If there are no such images, and as [`range`](Self::range).
    pub fn pixels(&self, images: Range<usize>) -> Result<Vec<f32>> {
        let images: Vec<u32> = images.map(|image| image as u32).collect();
        Ok(match self.values.gather(self.size.len(), &images)? {
            Values::Bytes(v) => v.iter().map(|&v| f32::from(v) / 255.0).collect(),
            Values::Floats(v) => v,
        })
    }

    /// A hash of the images, their sizes and their number (SHA-256, in hexadecimal digits): two
    /// datasets with the same one train the same. Labels are not in it, since only conditional models
    /// learn from them.
    ///
    /// # Errors
    ///
    /// As [`range`](Self::range).
    pub fn fingerprint(&self) -> Result<String> {
        self.hashed().map(digits)
    }

    /// The fingerprint of what a model of so many classes learns from: where there are any, the labels
    /// are in it too.
    ///
    /// # Errors
    ///
    /// As [`range`](Self::range).
    pub fn fingerprint_for(&self, classes: usize) -> Result<String> {
        let mut hash = self.hashed()?;
        if let Some(labels) = self.labels().filter(|_| classes > 0) {
            hash.update(b"labels");
            hash.update(labels);
        }
        Ok(digits(hash))
    }

    fn hashed(&self) -> Result<Sha256> {
        let mut hash = Sha256::new();
        let ImageSize { height, width, channels } = self.size;
        for size in [self.count, height, width] {
            hash.update((size as u64).to_le_bytes());
        }
        if channels > 1 {
            hash.update((channels as u64).to_le_bytes());
        }
        hash.update(if self.values.are_bytes() { "bytes" } else { "floats" });
        self.values.each_part(self.size.len(), &mut |_, part| {
            match part {
                Part::Bytes(bytes) => hash.update(bytes),
                // A buffer of some size, as most machines need no change of order.
                Part::Floats(floats) => floats.chunks(4096).for_each(|some| {
                    let bytes: Vec<u8> = some.iter().flat_map(|v| v.to_le_bytes()).collect();
                    hash.update(&bytes);
                }),
            }
            Ok(())
        })?;
        Ok(hash)
    }

    /// The elements of some images as they lie on the device: bytes four to a word, or the bits of floats,
    /// each row padded with zeros. Where a model is told classes, a byte for each follows an image's own:
    /// 255, which stands for 1, for the class that it is of.
    pub(crate) fn words_of(&self, images: &[u32], classes: usize) -> Result<Vec<u32>> {
        let pixels = self.size.len();
        Ok(match self.values.gather(pixels, images)? {
            Values::Bytes(bytes) => {
                let labels = self.labels().filter(|_| classes > 0);
                let stride = (pixels + classes).next_multiple_of(PAD);
                let mut padded = vec![0; images.len() * stride];
                let rows = padded.chunks_mut(stride).zip(bytes.chunks(pixels)).zip(images);
                for ((padded, row), &image) in rows {
                    padded[..pixels].copy_from_slice(row);
                    if let Some(labels) = labels {
                        padded[pixels + usize::from(labels[image as usize])] = 255;
                    }
                }
                padded.as_chunks().0.iter().map(|&four| u32::from_le_bytes(four)).collect()
            }
            Values::Floats(floats) => {
                let stride = pixels.next_multiple_of(PAD);
                let mut words = vec![0u32; images.len() * stride];
                for (padded, row) in words.chunks_mut(stride).zip(floats.chunks(pixels)) {
                    padded.iter_mut().zip(row).for_each(|(word, v)| *word = v.to_bits());
                }
                words
            }
        })
    }

    /// The class of each of some images as a word; none where there are no labels.
    pub(crate) fn classes_of(&self, images: &[u32]) -> Vec<u32> {
        let labels = self.labels().unwrap_or_default();
        let class = |&image: &u32| labels.get(image as usize).copied().map(u32::from);
        images.iter().filter_map(class).collect()
    }
}

/// A hash in hexadecimal digits.
fn digits(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The number of images in so many elements.
fn whole_images(size: ImageSize, elements: usize) -> Result<usize> {
    match size.checked_len() {
        Some(len) if elements > 0 && elements.is_multiple_of(len) => Ok(elements / len),
        _ => {
            let what = format!("{elements} values are no whole number of {size} images");
            Err(Error::new(ErrorKind::Data, what).hint("give height × width values for each image"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_packed_and_padded() {
        let data = Dataset::from_bytes([1, 5], (1..=10).collect()).expect("two images of five");
        let words = data.words_of(&[1], 0).expect("an image");
        assert_eq!(words, [0x0908_0706, 0x0a, 0, 0], "the second image");
        let told = data.clone().with_labels(vec![1, 2]).expect("a label each");
        let words = told.words_of(&[1], 3).expect("an image");
        assert_eq!(words, [0x0908_0706, 0xff00_000a, 0, 0], "the third of three classes behind it");
        let words = |data: &Dataset, classes| data.words_of(&[1, 0], classes).expect("images");
        assert_eq!(words(&told, 12).len(), 2 * 8, "twelve classes do not fit the padding");
        assert_eq!(words(&told, 0), words(&data, 0), "nobody is told");
        assert_eq!(words(&data, 0)[4..], [0x0403_0201, 5, 0, 0], "the first behind the second");
        assert_eq!(data.clone().limited(1).len(), 1, "limited to one");
    }

    #[test]
    fn the_mean_image_is_over_images() {
        let bytes = Dataset::from_bytes([1, 2], vec![0, 255, 255, 255]).expect("two images");
        assert_eq!(bytes.mean_image().expect("a mean"), [0.5, 1.0], "bytes over 255");
        let floats = Dataset::from_floats([1, 2], vec![-1.0, 8.0, 4.0, 9.0]).expect("two images");
        assert_eq!(floats.clone().mean_image().expect("a mean"), [1.5, 8.5], "floats as they are");
        assert_eq!(
            floats.limited(1).mean_image().expect("a mean"),
            [-1.0, 8.0],
            "of the images that are kept"
        );
    }

    #[test]
    fn what_is_no_dataset_is_refused() {
        assert!(Dataset::from_floats([1, 1], vec![f32::NAN]).is_err(), "NaN is refused");
        assert!(Dataset::from_bytes([0, 5], Vec::new()).is_err(), "no pixels");
    }
}
