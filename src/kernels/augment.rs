//! What a training step makes of an image before anything sees it: a mirror image, shifts, another contrast and brightness.

use std::ops::Range;

use crate::config::ImageSize;
use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Dtype, Grid, Kernel, Real, Record, Rows, Schedule, Tape, Tensor,
    real, uncounted,
};
use crate::kernels::case::{Case, Fill};
use crate::kernels::common::{plain, turns, wgsl};
use crate::kernels::philox::{PHILOX, key, philox, purpose};

params! {
    /// Parameters of the augment kernel.
    pub struct Augment {
        /// Groups of four numbers, with the padding.
        len: u32,
        /// Numbers of an image, n.
        cols: u32,
        /// The distance between rows.
        stride: u32,
        /// Places of a line of an image.
        width: u32,
        /// Numbers of a place.
        channels: u32,
        /// Whether every other image, in the mean, is mirrored.
        flip: u32,
        /// The most places that an image is shifted in each direction.
        shift: u32,
        /// The most that a differs from 1 and b from 0, in parts of 2¹⁶.
        jitter: u32,
        /// The number of the highest level where numbers are to stay on levels, else 0.
        steps: u32,
        /// Whether numbers are to stay in [0, 1].
        unit: u32,
        /// Whether each number then is the probability of a coin.
        coins: u32,
    }
}

/// What a and b are counted in.
const PARTS: i32 = 1 << 16;

const SCHEDULES: &[Schedule] = &[plain(wgsl!("philox.wgsl", "augment.wgsl"), Cover::Items(64))];

/// x (batch, n) = the images (batch, n), which are the dataset's `image` (batch), as this step sees them. Of a place (i, j) and
/// a channel k, v is the image at (i − s, j − t) and k, with s and t drawn from −shift to shift and what is beyond an edge
/// taken from the edge; at the mirrored place if a coin says so. Then x = a v + b, where a and b are drawn for each
/// image and channel from 1 ± jitter and ± jitter, kept within [0, 1] or on the nearest level; then x is a coin of
/// that probability, if coins are asked for. Rows that the record does not fill are zero.
pub static CHANGE: Kernel<Augment, 3> = Kernel {
    name: "augment.change",
    entry: "change",
    bindings: [Binding::read_words("image"), Binding::read("images"), Binding::write("x")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (change, change),
    cpu: Cpu::Rows(rows),
    // The words of an image, of the channels of four numbers, and of their coins.
    turns: |p| {
        let of_channels = if p.jitter == 0 { 0 } else { 4 * PHILOX };
        PHILOX + turns(4, 1) + of_channels + if p.coins == 0 { 0 } else { PHILOX }
    },
    flops: uncounted,
};

fn rows(p: &Augment) -> Rows<Augment, 3> {
    let stride = p.stride as usize;
    let part =
        |p: &Augment, rows: Range<usize>| Augment { len: rows.len() as u32 * p.stride / 4, ..*p };
    Rows { images: 4 * p.len as usize / stride, elements: [1, stride, stride], part }
}

/// A whole number from −most to most.
fn around(word: u32, most: u32) -> i32 {
    let drawn = (u64::from(word) * u64::from(2 * most + 1)) >> 32;
    drawn as i32 - most as i32
}

/// a v + b. Between levels all is whole numbers, so that every device comes to the same level.
fn jittered<T: Real>(p: &Augment, value: T, [slope, offset]: [i32; 2]) -> T {
    if p.steps != 0 {
        let steps = p.steps as i32;
        let level = (value * real(f64::from(p.steps)) + real(0.5)).floor().widen() as i32;
        let moved = (slope * level + offset * steps + PARTS / 2).max(0) / PARTS;
        return real::<T>(f64::from(moved.min(steps))) / real(f64::from(steps));
    }
    let [slope, offset, parts] = [slope, offset, PARTS].map(|v| real::<T>(f64::from(v)));
    let moved = (slope * value + offset) / parts;
    if p.unit == 0 { moved } else { moved.max(T::zero()).min(T::one()) }
}

fn change<T: Real>(p: &Augment, record: &Record, [image, images, x]: [Arg<'_, T>; 3]) {
    let (image, images, x) = (image.words(), images.read(), x.write());
    let [cols, stride, width, channels] =
        [p.cols, p.stride, p.width, p.channels].map(|extent| extent as usize);
    let [last_line, last] = [cols / (width * channels) - 1, width - 1];
    x.fill(T::zero());
    for (row, x) in x.chunks_mut(stride).enumerate().take(record.rows as usize) {
        let drawn = |element: usize, purpose: u32| {
            let counter = [element as u32, image[row], record.step, 16 * record.stream + purpose];
            philox(counter, key(record.seed))
        };
        let [coin, to_right, down, _] = drawn(0, purpose::AUGMENT);
        let [to_right, down] = [to_right, down].map(|word| around(word, p.shift));
        let turned = p.flip != 0 && coin >= 1 << 31;
        let within =
            |at: usize, by: i32, last: usize| (at as i32 - by).clamp(0, last as i32) as usize;
        for (at, x) in x[..cols].iter_mut().enumerate() {
            let (place, channel) = (at / channels, at % channels);
            let line = within(place / width, down, last_line);
            let across = within(place % width, to_right, last);
            let across = if turned { last - across } else { across };
            *x = images[row * stride + (line * width + across) * channels + channel];
        }
        if p.jitter != 0 {
            for channel in 0..channels {
                let [slope, offset, ..] =
                    drawn(1 + channel, purpose::AUGMENT).map(|word| around(word, p.jitter));
                for x in x[channel..cols].iter_mut().step_by(channels) {
                    *x = jittered(p, *x, [PARTS + slope, offset]);
                }
            }
        }
        if p.coins != 0 {
            for (at, four) in x[..cols].chunks_mut(4).enumerate() {
                for (word, x) in drawn(at, purpose::PIXELS).into_iter().zip(four) {
                    let heads = real::<T>(f64::from(word >> 8)) < *x * real(16_777_216.0);
                    *x = if heads { T::one() } else { T::zero() };
                }
            }
        }
    }
}

/// How images are changed.
#[derive(Clone, Copy, Debug)]
pub struct Changes {
    /// The extents of an image.
    pub size: ImageSize,
    /// Whether every other image, in the mean, is mirrored: left and right change places.
    pub flip: bool,
    /// The most pixels that an image is shifted in each direction.
    pub shift: usize,
    /// The most that contrast and brightness are changed.
    pub jitter: f64,
    /// Where numbers stay.
    pub kept: Kept,
    /// Whether each number then is the probability of a coin, which is tossed.
    pub coins: bool,
}

/// Where numbers stay whose contrast and brightness change.
#[derive(Clone, Copy, Debug)]
pub enum Kept {
    /// Anywhere.
    Free,
    /// In [0, 1].
    Unit,
    /// On so many levels, the nearest.
    Levels(usize),
}

/// Records x (batch, n) = the images (batch, n), whose numbers are `image` (batch), changed.
pub fn augment(tape: &mut Tape<'_>, (image, images): (Tensor, Tensor), x: Tensor, how: Changes) {
    assert_eq!(images.words(), x.words(), "{images:?} and {x:?} have the same shape");
    assert_eq!(x.cols(), how.size.len(), "{x:?} holds images of {}", how.size);
    let len = x.words() / 4;
    let p = Augment {
        len: size(len),
        cols: size(x.cols()),
        stride: size(x.stride()),
        width: size(how.size.width),
        channels: size(how.size.channels),
        flip: u32::from(how.flip),
        shift: size(how.shift),
        jitter: (how.jitter * f64::from(PARTS)).round() as u32,
        steps: if let Kept::Levels(levels) = how.kept { size(levels - 1) } else { 0 },
        unit: u32::from(matches!(how.kept, Kept::Unit)),
        coins: u32::from(how.coins),
    };
    tape.dispatch(&CHANGE, p, [image, images, x], Grid::Flat(len));
}

/// One pixel, each change alone and all together, odd widths, one to four channels, a partial batch, levels, numbers that leave
/// [0, 1], coins, the classic size, and more than 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    let (unit, levels) = (Kept::Unit, Kept::Levels(256));
    vec![
        case([1, 1], [1, 1, 1], (false, 0, 0.0), unit, false),
        case([7, 6], [3, 5, 1], (true, 0, 0.0), unit, false),
        case([7, 7], [3, 5, 3], (false, 2, 0.0), unit, false),
        case([7, 7], [4, 3, 2], (false, 0, 0.3), unit, false),
        case([7, 5], [2, 9, 4], (true, 1, 0.3), Kept::Free, false),
        case([33, 33], [5, 7, 3], (true, 4, 0.2), levels, false),
        case([33, 30], [5, 7, 1], (true, 3, 0.9), Kept::Levels(2), false),
        case([33, 33], [5, 7, 1], (true, 3, 0.0), unit, true),
        case([128, 128], [28, 28, 1], (true, 2, 0.1), unit, false),
        case([128, 128], [32, 32, 3], (true, 4, 0.1), levels, false),
        case([262_200, 262_190], [1, 3, 1], (false, 2, 0.0), unit, false),
    ]
}

fn case(
    [rows, record_rows]: [usize; 2],
    extents: [usize; 3],
    (flip, shift, jitter): (bool, usize, f64),
    kept: Kept,
    coins: bool,
) -> Case {
    let size = ImageSize::from(extents);
    let how = Changes { size, flip, shift, jitter, kept, coins };
    let name = format!("augment {record_rows}/{rows} by {how:?}");
    let mut case = Case::new(name, record_rows);
    let image = case.input_line("image", rows, Dtype::U32, Fill::RandomWords(7));
    let images = match kept {
        Kept::Levels(levels) => {
            // Every other one is less than its level, by no more than data may be.
            let level = |i: usize| {
                let less = if i.is_multiple_of(2) { 4e-7 } else { 0.0 };
                (i * 37 % levels) as f32 / (levels - 1) as f32 - less
            };
            let bits = (0..rows * size.len()).map(|i| level(i).to_bits()).collect();
            case.input("images", [rows, size.len()], Fill::Words(bits))
        }
        _ => case.input("images", [rows, size.len()], Fill::Uniform(1, 0.0, 1.0)),
    };
    let x = case.plan.matrix("x", rows, size.len());
    case.record(|tape| augment(tape, (image, images), x, how));
    case.tolerance = 2e-6;
    case
}
