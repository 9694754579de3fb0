//! How images are shown: their size, and which pixels are black and white.

use elbo::checkpoint::State;
use elbo::config::ImageSize;
use elbo::{Dataset, Model};

/// How images are shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::cli) struct Look {
    pub(in crate::cli) size: ImageSize,
    /// The pixels that are black and white.
    pub(in crate::cli) range: [f32; 2],
}

impl Look {
    /// How a run shows its images.
    pub(in crate::cli) fn of(state: &State) -> Self {
        Self { size: state.size, range: state.reading.shown }
    }

    /// How a model shows its images.
    pub(in crate::cli) fn new(model: &Model) -> Self {
        Self { size: model.image_size(), range: model.reading().shown }
    }

    /// How images are shown that were read.
    pub(in crate::cli) fn read(data: &Dataset) -> Self {
        Self { size: data.size(), range: data.reading().shown }
    }

    /// Images from 0 (black) to 1 (white).
    #[cfg(test)]
    pub(in crate::cli) fn unit(size: impl Into<ImageSize>) -> Self {
        Self { size: size.into(), range: [0.0, 1.0] }
    }

    /// The colour of a pixel: grey of one or two values, colour of three or four. The last of two and
    /// four, which is alpha, is not shown.
    pub(in crate::cli) fn color(&self, pixel: &[f32]) -> [u8; 3] {
        let [low, high] = self.range;
        let shade = |v: f32| shade((v - low) / (high - low));
        match *pixel {
            [r, g, b, ..] => [shade(r), shade(g), shade(b)],
            [v, ..] => [shade(v); 3],
            [] => [0; 3],
        }
    }

    /// Red, green or blue (0 to 2) of all pixels of an image, from 0 to 1.
    pub(in crate::cli) fn plane(&self, image: &[f32], channel: usize) -> Vec<f32> {
        let ([low, high], channels) = (self.range, self.size.channels.max(1));
        let channel = if channels < 3 { 0 } else { channel };
        let values = image.iter().skip(channel).step_by(channels);
        values.map(|v| (v - low) / (high - low)).collect()
    }
}

/// The nearest of 256 shades; the cast takes what is not a number to 0.
pub(super) fn shade(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shade_is_its_own_nearest() {
        for byte in 0..=255_u8 {
            let value = f32::from(byte) / 255.0;
            for near in [value - 0.4 / 255.0, value, value + 0.4 / 255.0] {
                assert_eq!(shade(near), byte, "the shade of {near}");
            }
        }
        let odd = [f32::NAN, f32::NEG_INFINITY, -0.0, 1.5, f32::INFINITY].map(shade);
        assert_eq!(odd, [0, 0, 0, 255, 255], "what lies outside");
    }
}
