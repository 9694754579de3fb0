//! Datasets of values in memory or of a file's, and synthetic ones.

use std::path::Path;
use std::sync::Arc;

use crate::config::ImageSize;
use crate::data::held::Held;
use crate::data::raw::Values;
use crate::data::{Dataset, Reading, source, whole_images};
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::philox::{key, normals_of, philox};

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
    pub(super) fn read(
        path: &Path,
        size: ImageSize,
        values: Held,
        reading: Reading,
    ) -> Result<Self> {
        if !values.are_bytes() {
            let pixels = size.len();
            if let Some(at) = values.position(pixels, |_| false, |v| !v.is_finite())? {
                let row = values.gather(pixels, &[(at / pixels) as u32])?;
                return Err(source::not_finite(path, at, row.view().at(at % pixels)));
            }
        }
        Self::whole(size, values, reading)
    }

    pub(super) fn whole(size: ImageSize, values: Held, reading: Reading) -> Result<Self> {
        let count = whole_images(size, values.len())?;
        let (values, labels, label_fault) = (Arc::new(values), None, None);
        Ok(Self { size, count, values, labels, label_fault, reading, window: None })
    }

    /// Made images: blots of a random place and width, wider in each further channel, as bytes. The same for the same seed.
    ///
    /// # Errors
    ///
    /// If there would be no image, no pixel, or more of them than memory can hold.
    pub fn synthetic(count: usize, size: impl Into<ImageSize>, seed: u64) -> Result<Self> {
        let size @ ImageSize { height, width, channels } = size.into();
        let mut bytes = Vec::new();
        let len = [width, channels, count].into_iter().try_fold(height, usize::checked_mul);
        if len.is_none_or(|len| bytes.try_reserve_exact(len).is_err()) {
            let what = format!("no memory for {count} images of {size}");
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
                    for channel in 1..=channels {
                        let wide = channel as f64 * spread * spread;
                        bytes.push((255.0 * (-0.5 * distance / wide).exp()) as u8);
                    }
                }
            }
        }
        Self::from_bytes(size, bytes)
    }
}
