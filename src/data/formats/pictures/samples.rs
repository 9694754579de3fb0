//! The samples of a picture: turned upright, without channels that say nothing, on black.
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;

use crate::config::ImageSize;
use crate::data::source::reserved;
use crate::error::Result;

/// Samples of a picture, row by row, the channels of a pixel side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Samples {
    /// Of 8 bits.
    Bytes(Vec<u8>),
    /// Of 16 bits.
    Words(Vec<u16>),
}

/// A number of 8 or 16 bits.
pub(super) trait Sample: Copy + PartialEq + Default + Into<u32> + Send + Sync {
    /// The largest one: white, or opaque.
    const WHITE: u32;

    /// From what is at most white.
    fn of(value: u32) -> Self;
}

impl Sample for u8 {
    const WHITE: u32 = 255;

    fn of(value: u32) -> Self {
        value.min(Self::WHITE) as Self
    }
}

impl Sample for u16 {
    const WHITE: u32 = 65535;

    fn of(value: u32) -> Self {
        value.min(Self::WHITE) as Self
    }
}

impl Samples {
    /// Black, of 8 or 16 bits.
    pub(super) fn zeros(path: &Path, size: ImageSize, wide: bool) -> Result<Self> {
        fn zeros<T: Sample>(path: &Path, len: usize) -> Result<Vec<T>> {
            let mut samples = reserved(path, len as u64)?;
            samples.resize(len, T::default());
            Ok(samples)
        }
        let len = size.len();
        Ok(if wide { Self::Words(zeros(path, len)?) } else { Self::Bytes(zeros(path, len)?) })
    }

    pub(super) fn as_bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Bytes(samples) => samples,
            Self::Words(samples) => bytemuck::cast_slice_mut(samples),
        }
    }

    /// Bytes of a sample.
    pub(super) fn bytes_each(&self) -> u64 {
        match self {
            Self::Bytes(_) => 1,
            Self::Words(_) => 2,
        }
    }

    /// Bytes of all samples.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Bytes(samples) => samples.len() as u64,
            Self::Words(samples) => (samples.len() as u64).saturating_mul(2),
        }
    }
}

/// Turns a picture upright that lies as an orientation of EXIF says: 1 to 8.
pub(super) fn turn(
    path: &Path,
    size: &mut ImageSize,
    samples: &mut Samples,
    orientation: u8,
) -> Result<()> {
    match samples {
        Samples::Bytes(samples) => *samples = turned(path, *size, samples, orientation)?,
        Samples::Words(samples) => *samples = turned(path, *size, samples, orientation)?,
    }
    if orientation > 4 {
        (size.height, size.width) = (size.width, size.height);
    }
    Ok(())
}

fn turned<T: Copy>(path: &Path, size: ImageSize, samples: &[T], orientation: u8) -> Result<Vec<T>> {
    let ImageSize { height, width, channels } = size;
    let mut to = reserved(path, samples.len() as u64)?;
    let (rows, columns) = if orientation > 4 { (width, height) } else { (height, width) };
    let last = |side: usize, place: usize| side.saturating_sub(1).saturating_sub(place);
    for row in 0..rows {
        for column in 0..columns {
            let (y, x) = match orientation {
                2 => (row, last(width, column)),
                3 => (last(height, row), last(width, column)),
                4 => (last(height, row), column),
                5 => (column, row),
                6 => (last(height, column), row),
                7 => (last(height, column), last(width, row)),
                8 => (column, last(width, row)),
                _ => (row, column),
            };
            let from = y.saturating_mul(width).saturating_add(x).saturating_mul(channels);
            let pixel = samples.get(from..from.saturating_add(channels));
            to.extend_from_slice(pixel.unwrap_or_default());
        }
    }
    Ok(to)
}

/// Leaves out what says nothing, alpha of opaque pictures and colours that are grey, and puts colours on
/// black: with white behind it, a pixel has white less its alpha more. Says how many channels are left.
pub(super) fn reduce(samples: &mut Samples, channels: usize) -> usize {
    match samples {
        Samples::Bytes(samples) => reduced(samples, channels),
        Samples::Words(samples) => reduced(samples, channels),
    }
}

fn reduced<T: Sample>(samples: &mut Vec<T>, channels: usize) -> usize {
    let alpha = channels.is_multiple_of(2);
    let colors = if alpha { channels.saturating_sub(1) } else { channels };
    let opaque = |pixel: &[T]| pixel.last().is_some_and(|&a| a.into() == T::WHITE);
    let keeps = alpha && !samples.chunks_exact(channels).all(opaque);
    if keeps {
        for pixel in samples.chunks_exact_mut(channels) {
            if let Some((alpha, colors)) = pixel.split_last_mut() {
                colors.iter_mut().for_each(|v| *v = part(*v, *alpha));
            }
        }
    }
    let grey = colors < 3
        || samples.chunks_exact(channels).all(|pixel| match pixel {
            [r, g, b, ..] => r == g && g == b,
            _ => true,
        });
    let kept = if grey { 1 } else { colors };
    let left = kept.saturating_add(usize::from(keeps));
    if left < channels {
        let mut to = 0_usize;
        // In place: a pixel is written where it or one before it stood.
        for from in (0..samples.len()).step_by(channels) {
            let end = from.saturating_add(channels);
            samples.copy_within(from..from.saturating_add(kept), to);
            to = to.saturating_add(kept);
            if keeps {
                samples.copy_within(end.saturating_sub(1)..end, to);
                to = to.saturating_add(1);
            }
        }
        samples.truncate(to);
        samples.shrink_to_fit();
    }
    left
}

/// A colour on black, rounded.
pub(super) fn part<T: Sample>(color: T, alpha: T) -> T {
    let half = T::WHITE / 2;
    let product = color.into().saturating_mul(alpha.into()).saturating_add(half);
    T::of(product.checked_div(T::WHITE).unwrap_or_default())
}
