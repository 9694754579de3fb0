//! Pictures of one size: scaled, cut and padded.
#![warn(clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;
use std::path::Path;

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma, LumaA, Pixel, Rgb, Rgba};

use super::samples::{Sample, Samples};
use crate::config::{DataConfig, ImageSize};
use crate::error::{Error, Result};

/// Scales a picture as is asked for: its short side to `resize`, and the middle is kept; or with `pad` its
/// long side, and nothing is cut. Colours are on black already, so that transparent ones do not bleed.
pub(super) fn scale(size: &mut ImageSize, samples: &mut Samples, config: &DataConfig) {
    let (DataConfig { pad, .. }, to) = (config, config.resize);
    if to == 0 || size.sides() == [to, to] {
        return;
    }
    let [short, long] =
        [size.height.min(size.width), size.height.max(size.width)].map(|side| side.max(1));
    let by = if *pad { long } else { short };
    let side = |side: usize| {
        // Half up; a side of 0 would be no picture.
        let twice = side.saturating_mul(to).saturating_mul(2).saturating_add(by);
        twice.checked_div(by.saturating_mul(2)).unwrap_or_default().max(1)
    };
    let full = ImageSize { height: side(size.height), width: side(size.width), ..*size };
    let kept = match pad {
        true => full,
        false => ImageSize { height: to, width: to, ..*size },
    };
    match samples {
        Samples::Bytes(v) => *v = scaled(std::mem::take(v), *size, full, kept),
        Samples::Words(v) => *v = scaled(std::mem::take(v), *size, full, kept),
    }
    *size = kept;
}

/// By a triangle, which has no overshoot, as wide as a pixel of the smaller size.
fn scaled<T: Sample + image::Primitive + 'static>(
    samples: Vec<T>,
    from: ImageSize,
    full: ImageSize,
    kept: ImageSize,
) -> Vec<T>
where
    Luma<T>: Pixel<Subpixel = T>,
    LumaA<T>: Pixel<Subpixel = T>,
    Rgb<T>: Pixel<Subpixel = T>,
    Rgba<T>: Pixel<Subpixel = T>,
{
    match from.channels {
        1 => scaled_as::<Luma<T>>(samples, from, full, kept),
        2 => scaled_as::<LumaA<T>>(samples, from, full, kept),
        3 => scaled_as::<Rgb<T>>(samples, from, full, kept),
        _ => scaled_as::<Rgba<T>>(samples, from, full, kept),
    }
}

fn scaled_as<P: Pixel + 'static>(
    samples: Vec<P::Subpixel>,
    from: ImageSize,
    full: ImageSize,
    kept: ImageSize,
) -> Vec<P::Subpixel> {
    let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    let buffer = ImageBuffer::<P, _>::from_raw(side(from.width), side(from.height), samples);
    let Some(buffer) = buffer else { return Vec::new() };
    let mut scaled =
        imageops::resize(&buffer, side(full.width), side(full.height), FilterType::Triangle);
    let middle = |full: usize, kept: usize| side(full.saturating_sub(kept) / 2);
    let [x, y] = [middle(full.width, kept.width), middle(full.height, kept.height)];
    imageops::crop(&mut scaled, x, y, side(kept.width), side(kept.height)).to_image().into_raw()
}

/// How many pictures there are of each size.
#[derive(Debug, Default)]
pub(super) struct Sizes(BTreeMap<[usize; 2], usize>);

impl Sizes {
    pub(super) fn add(&mut self, size: ImageSize) {
        let count = self.0.entry(size.sides()).or_default();
        *count = count.saturating_add(1);
    }

    pub(super) fn are_one(&self) -> bool {
        self.0.len() < 2
    }

    /// The largest height and the largest width.
    pub(super) fn largest(&self) -> [usize; 2] {
        let side = |of: fn(&[usize; 2]) -> usize| self.0.keys().map(of).max().unwrap_or_default();
        [side(|sides| sides[0]), side(|sides| sides[1])]
    }

    /// Refuses pictures of several sizes, of which `read` of `all` were looked at.
    pub(super) fn refuse(&self, folder: &Path, read: usize, all: usize) -> Error {
        let mut sizes: Vec<_> = self.0.iter().map(|(size, count)| (*count, *size)).collect();
        sizes.sort_by_key(|&(count, _)| std::cmp::Reverse(count));
        let some: Vec<_> = sizes
            .iter()
            .take(4)
            .map(|(count, [height, width])| format!("{count} of {height} × {width}"))
            .collect();
        let mut text = some.join(", ");
        if let more @ 1.. = sizes.len().saturating_sub(some.len()) {
            text += &format!(", and {more} other sizes");
        }
        let among = if read < all { format!("among the first {read}, ") } else { String::new() };
        let what = format!("its {all} pictures are of different sizes: {among}{text}");
        Error::data(folder, what).hint(
            "`--resize 64` scales them and cuts out the middle of 64 × 64; with `--pad` nothing is cut, and \
             `--pad` alone pads all to the largest",
        )
    }
}

/// The size that all pictures get, and what is done to get there, in words.
pub(super) fn common(
    (folder, count): (&Path, usize),
    sizes: &Sizes,
    config: &DataConfig,
) -> Result<([usize; 2], Option<String>)> {
    let to = config.resize;
    let one = sizes.are_one();
    match (to, config.pad) {
        (0, false) if !one => Err(sizes.refuse(folder, count, count)),
        (0, pad) => {
            let largest = sizes.largest();
            let Some(to) = config.image_size.map(ImageSize::sides).filter(|_| pad) else {
                let [height, width] = largest;
                let said =
                    format!("pictures are padded to {height} × {width}, the largest of each side");
                return Ok((largest, (pad && !one).then_some(said)));
            };
            let [height, width] = to;
            if largest[0] > height || largest[1] > width {
                let what = format!(
                    "has pictures up to {} × {}, expected at most {height} × {width}, which all are padded to",
                    largest[0], largest[1]
                );
                return Err(Error::data(folder, what).hint(
                    "make these smaller; a run of pictures that were scaled by `--resize` takes any size",
                ));
            }
            let said = format!("pictures are padded to {height} × {width}");
            Ok((to, (!one || largest != to).then_some(said)))
        }
        (_, false) => {
            let said = format!(
                "pictures are scaled until their short side is {to}, and the middle of {to} × {to} is kept"
            );
            Ok(([to, to], Some(said)))
        }
        (_, true) => {
            let said = format!(
                "pictures are scaled until their long side is {to}, and padded to {to} × {to}"
            );
            Ok(([to, to], Some(said)))
        }
    }
}
