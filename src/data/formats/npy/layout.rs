//! Which axis of an array is what. What could be read in two ways is refused until it is said.
#![warn(clippy::arithmetic_side_effects)]

use crate::config::{DataConfig, ImageSize, Layout, MOST_CHANNELS, Range};
use crate::data::formats::npy::header::Axes;
use crate::data::source::square;

/// The axes and what to say of them, or what is wrong and what to do.
type Found = Result<(Axes, Option<String>), (String, String)>;

/// The axes of an array of this shape, given which of them the images, rows, columns and channels are.
fn axes(shape: &[usize], fortran: bool, which: [Option<usize>; 4]) -> Axes {
    let mut steps = vec![1; shape.len()];
    let mut step = 1_usize;
    let order: Vec<usize> =
        if fortran { (0..shape.len()).collect() } else { (0..shape.len()).rev().collect() };
    for axis in order {
        steps[axis] = step;
        step = step.saturating_mul(shape[axis]);
    }
    Axes {
        sizes: which.map(|axis| axis.map_or(1, |axis| shape[axis])),
        steps: which.map(|axis| axis.map_or(0, |axis| steps[axis])),
    }
}

fn fault(shape: &[usize], what: &str, hint: impl Into<String>) -> Found {
    Err((format!("has the shape {shape:?}, {what}"), hint.into()))
}

/// The axes of an array of one or two dimensions whose first are images.
pub(super) fn of_rows(shape: &[usize], fortran: bool, expected: &str, hint: &str) -> Found {
    let which = match shape {
        [_] if expected == "[images]" => [Some(0), None, None, None],
        [_, _] => [Some(0), None, Some(1), None],
        _ => return fault(shape, &format!("expected {expected}"), hint),
    };
    Ok((axes(shape, fortran, which), None))
}

/// The axes of an array of images.
pub(super) fn of_images(shape: &[usize], fortran: bool, config: &DataConfig) -> Found {
    // Runs that began before there was a choice read on as they did.
    let before = config.range == Range::ByFile;
    let layout = config.layout.or(before.then_some(Layout::Nhwc));
    match *shape {
        [_, _] => flat(shape, fortran, layout, config.image_size),
        [a, b, c] => {
            let colour = (3..=MOST_CHANNELS).contains(&c) && a.min(b) > MOST_CHANNELS;
            let which = match layout {
                Some(Layout::Hwn) => [2, 0, 1],
                Some(Layout::Nhwc | Layout::Nchw) => [0, 1, 2],
                None if config.image_size.is_some_and(|size| size == [a, b, c].into()) => {
                    let which = [None, Some(0), Some(1), Some(2)];
                    return Ok((axes(shape, fortran, which), None));
                }
                None if config.image_size.is_some_and(|size| size.sides() == [b, c]) => [0, 1, 2],
                None if colour => {
                    return fault(
                        shape,
                        &format!(
                            "which is one image of {a} × {b} in colour, or {a} images of {b} × {c}"
                        ),
                        format!("say which: `--image-size {a}x{b}x{c}` or `--layout nhwc`"),
                    );
                }
                None if a == b && b != c => {
                    return fault(
                        shape,
                        &format!(
                            "which is {c} images of {a} × {b} with the images last, or {a} images of {b} × {c}"
                        ),
                        "say which: `--layout hwn` or `--layout nhwc`",
                    );
                }
                None => [0, 1, 2],
            };
            let [images, height, width] = which.map(Some);
            Ok((axes(shape, fortran, [images, height, width, None]), None))
        }
        [_, _, _, _] => with_channels(shape, fortran, layout.filter(|_| !before)),
        _ => fault(
            shape,
            "expected [images, height, width]",
            "also read: [images, pixels], and an axis of 1 to 4 channels before or after the pixels",
        ),
    }
}

/// The axes of an array of images with channels.
fn with_channels(shape: &[usize], fortran: bool, layout: Option<Layout>) -> Found {
    let [b, c, d] = [shape[1], shape[2], shape[3]];
    let few = |size: usize| size <= MOST_CHANNELS;
    let which = match layout {
        Some(Layout::Nhwc) => [0, 1, 2, 3],
        Some(Layout::Nchw) => [0, 2, 3, 1],
        Some(Layout::Hwn) => [3, 0, 1, 2],
        None if b == 1 => [0, 2, 3, 1],
        None if d == 1 || few(d) && !few(b) => [0, 1, 2, 3],
        None if few(b) && !few(d) => [0, 2, 3, 1],
        None if few(c) && !few(b) => [3, 0, 1, 2],
        None => {
            return fault(
                shape,
                "of which more than one axis, or none, can be the 1 to 4 channels",
                "say which: `--layout nhwc`, `nchw` or `hwn`",
            );
        }
    };
    let found = axes(shape, fortran, which.map(Some));
    match found.sizes[3] {
        channels if few(channels) => Ok((found, note_of(which))),
        channels => {
            let what = format!("and so {channels} channels, expected 1 to {MOST_CHANNELS}");
            fault(shape, &what, "another `--layout` may be meant: nhwc, nchw or hwn")
        }
    }
}

fn note_of(which: [usize; 4]) -> Option<String> {
    (which[0] == 3).then(|| "the last axis of the array is taken for the images".to_owned())
}

/// The axes of an array of images and pixels.
fn flat(
    shape: &[usize],
    fortran: bool,
    layout: Option<Layout>,
    wanted: Option<ImageSize>,
) -> Found {
    let turned = layout == Some(Layout::Hwn);
    let [images, pixels] = if turned { [1, 0] } else { [0, 1] };
    let len = shape[pixels];
    let image = match wanted {
        Some(size) if size.len() == len => size,
        Some(size) if size.len() == shape[images] && layout.is_none() => {
            let what = format!("of which the first axis is that of the {size} pixels");
            return fault(shape, &what, "the array is transposed: `--layout hwn` reads it so");
        }
        Some(size) if Some(size.len()) == shape[0].checked_mul(shape[1]) => {
            let which = [None, Some(0), Some(1), None];
            return Ok((axes(shape, fortran, which), None));
        }
        Some(size) => {
            let what = format!("and images of {size} have {} values", size.len());
            return fault(shape, &what, "give the `--image-size` that a row makes");
        }
        None if layout.is_none() && shape[0] == shape[1] && shape[0] > 1 => {
            let side = shape[0];
            return fault(
                shape,
                &format!("which is one image of {side} × {side}, or {side} rows of {side} values"),
                format!("say which: `--image-size {side}x{side}`, or `--layout nhwc` for rows"),
            );
        }
        None => square(len).into(),
    };
    // The pixels of an image are one axis, which becomes two or three.
    let Axes { sizes: [count, ..], steps: [next, step, ..] } =
        axes(shape, fortran, [Some(images), Some(pixels), None, None]);
    let ImageSize { height, width, channels } = image;
    let line = width.saturating_mul(channels).saturating_mul(step);
    let steps = match layout {
        // All of red comes first.
        Some(Layout::Nchw) => {
            let row = width.saturating_mul(step);
            [next, row, step, row.saturating_mul(height)]
        }
        _ => [next, line, channels.saturating_mul(step), step],
    };
    let colours = square(len.checked_div(3).filter(|_| len.is_multiple_of(3)).unwrap_or(1));
    let note = match (wanted.is_none() && layout.is_none(), height > 1, colours) {
        (true, true, _) => Some(format!(
            "rows of {len} values are taken for {image} pixels; `--image-size` says otherwise"
        )),
        (true, false, [side, _]) if side > 2 => Some(format!(
            "rows of {len} values are taken as they are; if they are colours, say so: `--image-size \
             {side}x{side}x3`, and `--layout nchw` if all of red comes first, as in CIFAR"
        )),
        _ => None,
    };
    Ok((Axes { sizes: [count, height, width, channels], steps }, note))
}
