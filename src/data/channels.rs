//! Images in the channels that are wanted, where a file has others.
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;

use crate::config::{Channels, ImageSize};
use crate::data::raw::{Kind, Raw, Values};
use crate::data::step::Step;
use crate::error::Result;

/// Thousandths of red, green and blue in grey, by Rec. 601.
const WEIGHTS: [u16; 3] = [299, 587, 114];

/// Grey by these weights, rounded.
pub(in crate::data) fn luma(rgb: [u32; 3]) -> u32 {
    let parts = rgb.into_iter().zip(WEIGHTS).map(|(v, w)| v.saturating_mul(w.into()));
    parts.sum::<u32>().saturating_add(500) / 1000
}

/// The same images in grey or in colour. Of two channels and of four the last is transparency, which is left
/// out where grey or colour is asked for; where nothing is, it is modelled as the others, which is said.
pub(super) fn wanted(path: &Path, raw: Raw, channels: Channels) -> Result<Raw> {
    let pictures = matches!(raw.kind, Kind::Pictures { .. });
    Ok(match (channels, raw.size.channels) {
        (Channels::AsFiles, has @ (2 | 4)) if !pictures => raw.noted(format!(
            "images have {has} channels, and the last is modelled as the others; `--grey` and `--color` leave it out"
        )),
        (Channels::AsFiles, _) | (Channels::Grey, 1) | (Channels::Color, 3) => raw,
        (Channels::Grey, _) => return with(path, raw, 1),
        (Channels::Color, _) => return with(path, raw, 3),
    })
}

/// Images with so many channels.
fn with(path: &Path, raw: Raw, gets: usize) -> Result<Raw> {
    let values = raw.values.stepped(path, Step::Channels { has: raw.size.channels, gets })?;
    Ok(Raw { size: ImageSize { channels: gets, ..raw.size }, values, ..raw })
}

/// The same pixels with one channel or three.
pub(super) fn changed(values: &Values, has: usize, gets: usize) -> Values {
    match (has, gets) {
        (3 | 4, 1) => each(values, has, grey_byte, grey),
        (_, 1) => each(values, has, |v| [v[0]], |v| [v[0]]),
        (4, _) => each(values, has, |v| [v[0], v[1], v[2]], |v| [v[0], v[1], v[2]]),
        _ => each(values, has, |v| [v[0]; 3], |v| [v[0]; 3]),
    }
}

fn grey_byte(pixel: &[u8]) -> [u8; 1] {
    [luma([pixel[0], pixel[1], pixel[2]].map(u32::from)) as u8]
}

fn grey(pixel: &[f32]) -> [f32; 1] {
    let parts = pixel.iter().zip(WEIGHTS).map(|(&v, w)| v * f32::from(w));
    [parts.sum::<f32>() / 1000.0]
}

/// Each pixel made of what it was.
fn each<const N: usize>(
    values: &Values,
    has: usize,
    byte: fn(&[u8]) -> [u8; N],
    float: fn(&[f32]) -> [f32; N],
) -> Values {
    let has = has.max(1);
    match values {
        Values::Bytes(v) => Values::Bytes(v.chunks_exact(has).flat_map(byte).collect()),
        Values::Floats(v) => Values::Floats(v.chunks_exact(has).flat_map(float).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(channels: usize, values: Values) -> Raw {
        let size = [1, 2, channels].into();
        Raw::new(Path::new("x"), size, values, Kind::Bytes).expect("images")
    }

    fn wanted_of(raw: Raw, channels: Channels) -> Raw {
        wanted(Path::new("x"), raw, channels).expect("images")
    }

    #[test]
    fn colours_become_grey_and_grey_colours() {
        let colour = || raw(3, Values::Bytes(vec![255, 0, 0, 10, 20, 30]));
        let grey = wanted_of(colour(), Channels::Grey);
        assert_eq!(
            (grey.size, grey.values),
            ([1, 2].into(), Values::Bytes(vec![76, 18]).into()),
            "grey"
        );
        let floats = raw(3, Values::Floats(vec![1.0, 0.0, 0.0, 0.5, 0.5, 0.5]));
        assert_eq!(
            wanted_of(floats, Channels::Grey).values,
            Values::Floats(vec![0.299, 0.5]).into(),
            "floats"
        );
        let back = wanted_of(raw(1, Values::Bytes(vec![7, 9])), Channels::Color);
        assert_eq!(back.size, [1, 2, 3].into(), "colour");
        assert_eq!(back.values, Values::Bytes(vec![7, 7, 7, 9, 9, 9]).into(), "colour");
        assert_eq!(wanted_of(colour(), Channels::AsFiles), colour(), "as it is");
        let four = || raw(4, Values::Bytes(vec![255, 0, 0, 9, 10, 20, 30, 9]));
        assert_eq!(
            wanted_of(four(), Channels::Grey).values,
            Values::Bytes(vec![76, 18]).into(),
            "four to grey"
        );
        assert_eq!(wanted_of(four(), Channels::Color), colour(), "without transparency");
        assert_eq!(wanted_of(four(), Channels::AsFiles).notes.len(), 1, "which is said");
    }
}
