//! Datasets: images in memory as bytes or floats, as they will lie on the device.

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
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::config::ImageSize;
use crate::data::held::Held;
use crate::data::labels::Labels;
use crate::data::raw::{Part, Values};
use crate::engine::PAD;
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::philox::{key, normals_of, philox};
use crate::model::DataSpec;

pub use open::{Opened, Progress, Sources};
pub use raw::{Found, Raw};
pub use reading::Reading;
pub use room::Room;
pub use stored::Cache;

/// Images of one size, one row of pixels after another, and the class of each if that is known. A clone
/// shares the pixels.
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
    /// Images of bytes, which are taken as byte / 255: of `[height, width]`, or of `[height, width,
    /// channels]`.
    ///
    /// # Errors
    ///
    /// If the bytes are not a whole number of images, at least one.
    pub fn from_bytes(size: impl Into<ImageSize>, bytes: Vec<u8>) -> Result<Self> {
        Self::made(size.into(), Values::Bytes(bytes))
    }

    /// Images of floats, of `[height, width]`, or of `[height, width, channels]`.
    ///
    /// # Errors
    ///
    /// If the floats are not a whole number of images, at least one, or if one is not finite.
    pub fn from_floats(size: impl Into<ImageSize>, floats: Vec<f32>) -> Result<Self> {
        if let Some(at) = floats.iter().position(|v| !v.is_finite()) {
            let what = format!("pixel {at} of the dataset is {}; pixels are finite", floats[at]);
            return Err(Error::new(ErrorKind::Data, what));
        }
        Self::made(size.into(), Values::Floats(floats))
    }

    /// Images that were made in memory, of finite values.
    fn made(size: ImageSize, values: Values) -> Result<Self> {
        let values = values.into();
        let reading = Reading::of_values(&values, size.len())?;
        Self::whole(size, values, reading)
    }

    /// Images that were read from a file.
    fn read(path: &Path, size: ImageSize, values: Held, reading: Reading) -> Result<Self> {
        if !values.are_bytes() {
            let pixels = size.len();
            if let Some(at) = values.position(pixels, |_| false, |v| !v.is_finite())? {
                let row = values.gather(pixels, &[(at / pixels) as u32])?;
                return Err(source::not_finite(path, at, row.view().at(at % pixels)));
            }
        }
        Self::whole(size, values, reading)
    }

    fn whole(size: ImageSize, values: Held, reading: Reading) -> Result<Self> {
        let count = whole_images(size, values.len())?;
        let (values, labels, label_fault) = (Arc::new(values), None, None);
        Ok(Self { size, count, values, labels, label_fault, reading, window: None })
    }

    /// Made images: blots of a random place and width, as bytes. The same for the same seed.
    ///
    /// # Errors
    ///
    /// If there would be no image, no pixel, or more of them than memory can hold.
    pub fn synthetic(count: usize, [height, width]: [usize; 2], seed: u64) -> Result<Self> {
        let mut bytes = Vec::new();
        let len = height.checked_mul(width).and_then(|pixels| pixels.checked_mul(count));
        if len.is_none_or(|len| bytes.try_reserve_exact(len).is_err()) {
            let what = format!("no memory for {count} images of {height}×{width}");
            return Err(Error::new(ErrorKind::Limit, what).hint("make fewer or smaller images"));
        }
        for image in 0..count {
            let drawn: [f64; 4] = normals_of(philox([image as u32, 0, 0, 0x5e7], key(seed)));
            let place = |size: usize, v: f64| size as f64 * (0.5 + 0.17 * v);
            let (top, left) = (place(height, drawn[0]), place(width, drawn[1]));
            let spread = (height.min(width) as f64 * 0.12 * (0.4 * drawn[2]).exp()).max(0.5);
            for y in 0..height {
                for x in 0..width {
                    let distance = (y as f64 - top).powi(2) + (x as f64 - left).powi(2);
                    bytes.push((255.0 * (-0.5 * distance / (spread * spread)).exp()) as u8);
                }
            }
        }
        Self::from_bytes([height, width], bytes)
    }

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
        DataSpec { images: self.count, pixels: self.size.len(), bytes, window: self.window }
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
