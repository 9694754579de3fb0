//! Datasets: images in memory as bytes or floats, as they will lie on the device.

pub mod csv;
mod fit;
pub mod idx;
mod labels;
pub mod npy;
pub mod npz;
mod open;
pub mod pictures;
pub mod rows;
mod source;

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::data::labels::Labels;
use crate::engine::PAD;
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::philox::{key, normals_of, philox};
use crate::model::DataSpec;

#[derive(Clone, Debug, PartialEq)]
enum Values {
    Bytes(Vec<u8>),
    Floats(Vec<f32>),
}

/// Images of one size, one row of pixels after another, and the class of each if that is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    height: usize,
    width: usize,
    count: usize,
    values: Values,
    labels: Option<Labels>,
}

/// The images that were found in one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Sets {
    /// The images to learn from, or all that there are.
    pub train: Dataset,
    /// The images kept apart for evaluation, if there are such.
    pub test: Option<Dataset>,
}

impl Dataset {
    /// Images of `height` × `width` bytes, which are taken as byte / 255.
    ///
    /// # Errors
    ///
    /// If the bytes are not a whole number of images, at least one.
    pub fn from_bytes([height, width]: [usize; 2], bytes: Vec<u8>) -> Result<Self> {
        let count = whole_images([height, width], bytes.len())?;
        Ok(Self { height, width, count, values: Values::Bytes(bytes), labels: None })
    }

    /// Images of `height` × `width` floats.
    ///
    /// # Errors
    ///
    /// If the floats are not a whole number of images, at least one, or if one is not finite.
    pub fn from_floats([height, width]: [usize; 2], floats: Vec<f32>) -> Result<Self> {
        let count = whole_images([height, width], floats.len())?;
        if let Some(at) = floats.iter().position(|v| !v.is_finite()) {
            let what = format!("pixel {at} of the dataset is {}; pixels are finite", floats[at]);
            return Err(Error::new(ErrorKind::Data, what));
        }
        Ok(Self { height, width, count, values: Values::Floats(floats), labels: None })
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

    /// The training and the test images of a folder of IDX files, plain or gz, with their labels if
    /// there are files of them.
    ///
    /// # Errors
    ///
    /// If a file of images is missing, or one cannot be read or does not hold what it should.
    pub fn from_idx_folder(folder: &Path) -> Result<(Self, Self)> {
        let files = idx::read_folder(folder)?;
        let dataset = |images: idx::Images, labels| {
            let data = Self::from_bytes([images.height, images.width], images.pixels)?;
            data.labelled(folder, labels)
        };
        let train = dataset(files.train, files.train_labels)?;
        Ok((train, dataset(files.test, files.test_labels)?))
    }

    /// The same dataset with only its first `count` images and their labels; 0 keeps them all.
    #[must_use]
    pub fn limited(mut self, count: usize) -> Self {
        if count > 0 && count < self.count {
            self.count = count;
            let len = count * self.height * self.width;
            match &mut self.values {
                Values::Bytes(bytes) => bytes.truncate(len),
                Values::Floats(floats) => floats.truncate(len),
            }
            if let Some(labels) = &mut self.labels {
                labels.values.truncate(count);
            }
        }
        self
    }

    /// The number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no images, which cannot be.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Height and width of an image.
    #[must_use]
    pub fn size(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// What a model must know to make room.
    #[must_use]
    pub fn spec(&self) -> DataSpec {
        let bytes = matches!(self.values, Values::Bytes(_));
        DataSpec { images: self.count, pixels: self.height * self.width, bytes }
    }

    /// The smallest and the largest pixel, as the model sees them.
    #[must_use]
    pub fn range(&self) -> (f32, f32) {
        let fold = |(low, high): (f32, f32), v: f32| (low.min(v), high.max(v));
        let start = (f32::INFINITY, f32::NEG_INFINITY);
        match &self.values {
            Values::Bytes(v) => v.iter().map(|&v| f32::from(v) / 255.0).fold(start, fold),
            Values::Floats(v) => v.iter().copied().fold(start, fold),
        }
    }

    /// The mean of each pixel over the images, as the model sees them; of pixels that are coins, the mean
    /// of their probabilities.
    #[must_use]
    pub fn mean_image(&self) -> Vec<f64> {
        let pixels = self.height * self.width;
        let mean = |values: &mut dyn Iterator<Item = f64>| {
            let mut sums = vec![0.0; pixels];
            values.enumerate().for_each(|(i, value)| sums[i % pixels] += value);
            sums.into_iter().map(|sum| sum / self.count as f64).collect()
        };
        match &self.values {
            Values::Bytes(v) => mean(&mut v.iter().map(|&v| f64::from(v) / 255.0)),
            Values::Floats(v) => mean(&mut v.iter().map(|&v| f64::from(v))),
        }
    }

    /// A hash of the images, their sizes and their number (SHA-256, in hexadecimal digits): two
    /// datasets with the same one train the same. Labels are not in it, since only conditional models
    /// learn from them.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        digits(self.hashed())
    }

    /// The fingerprint of what a model of so many classes learns from: where there are any, the labels
    /// are in it too.
    #[must_use]
    pub fn fingerprint_for(&self, classes: usize) -> String {
        let mut hash = self.hashed();
        if let Some(labels) = self.labels().filter(|_| classes > 0) {
            hash.update(b"labels");
            hash.update(labels);
        }
        digits(hash)
    }

    fn hashed(&self) -> Sha256 {
        let mut hash = Sha256::new();
        for size in [self.count, self.height, self.width] {
            hash.update((size as u64).to_le_bytes());
        }
        match &self.values {
            Values::Bytes(bytes) => {
                hash.update(b"bytes");
                hash.update(bytes);
            }
            Values::Floats(floats) => {
                hash.update(b"floats");
                // A buffer of some size, as most machines need no change of order.
                for some in floats.chunks(4096) {
                    let bytes: Vec<u8> = some.iter().flat_map(|v| v.to_le_bytes()).collect();
                    hash.update(&bytes);
                }
            }
        }
        hash
    }

    /// The elements of images `first` to `first + rows` as they lie on the device: bytes four to a
    /// word, or the bits of floats, each row padded with zeros. Where a model is told classes, a byte for
    /// each follows an image's own: 255, which stands for 1, for the class that it is of.
    pub(crate) fn device_words(&self, first: usize, rows: usize, classes: usize) -> Vec<u32> {
        let pixels = self.height * self.width;
        let range = first * pixels..(first + rows) * pixels;
        match &self.values {
            Values::Bytes(bytes) => {
                let stride = (pixels + classes).next_multiple_of(PAD);
                let mut padded = vec![0; rows * stride];
                for (padded, row) in padded.chunks_mut(stride).zip(bytes[range].chunks(pixels)) {
                    padded[..pixels].copy_from_slice(row);
                }
                let labels = self.labels().filter(|_| classes > 0).unwrap_or_default();
                for (padded, &label) in padded.chunks_mut(stride).zip(labels.iter().skip(first)) {
                    padded[pixels + usize::from(label)] = 255;
                }
                padded.as_chunks().0.iter().map(|&four| u32::from_le_bytes(four)).collect()
            }
            Values::Floats(floats) => {
                let stride = pixels.next_multiple_of(PAD);
                let mut words = vec![0u32; rows * stride];
                let padded = words.chunks_mut(stride);
                for (padded, row) in padded.zip(floats[range].chunks(pixels)) {
                    padded.iter_mut().zip(row).for_each(|(word, v)| *word = v.to_bits());
                }
                words
            }
        }
    }
}

/// A hash in hexadecimal digits.
fn digits(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The number of images in so many elements.
fn whole_images([height, width]: [usize; 2], elements: usize) -> Result<usize> {
    let pixels = height.checked_mul(width).filter(|&pixels| pixels > 0);
    match pixels {
        Some(pixels) if elements > 0 && elements.is_multiple_of(pixels) => Ok(elements / pixels),
        _ => {
            let what = format!("{elements} pixels are no whole number of {height}×{width} images");
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
        let words = data.device_words(1, 1, 0);
        assert_eq!(words, [0x0908_0706, 0x0a, 0, 0], "the second image");
        let told = data.clone().with_labels(vec![1, 2]).expect("a label each");
        let words = told.device_words(1, 1, 3);
        assert_eq!(words, [0x0908_0706, 0xff00_000a, 0, 0], "the third of three classes behind it");
        assert_eq!(
            told.device_words(0, 2, 12).len(),
            2 * 8,
            "twelve classes do not fit the padding"
        );
        assert_eq!(told.device_words(0, 2, 0), data.device_words(0, 2, 0), "nobody is told");
        assert_eq!(data.clone().limited(1).len(), 1, "limited to one");
    }

    #[test]
    fn the_mean_image_is_over_images() {
        let bytes = Dataset::from_bytes([1, 2], vec![0, 255, 255, 255]).expect("two images");
        assert_eq!(bytes.mean_image(), [0.5, 1.0], "bytes over 255");
        let floats = Dataset::from_floats([1, 2], vec![-1.0, 8.0, 4.0, 9.0]).expect("two images");
        assert_eq!(floats.clone().mean_image(), [1.5, 8.5], "floats as they are");
        assert_eq!(floats.limited(1).mean_image(), [-1.0, 8.0], "of the images that are kept");
    }

    #[test]
    fn what_is_no_dataset_is_refused() {
        assert!(Dataset::from_floats([1, 1], vec![f32::NAN]).is_err(), "NaN is refused");
        assert!(Dataset::from_bytes([0, 5], Vec::new()).is_err(), "no pixels");
    }
}
