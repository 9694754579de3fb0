//! The minibatch's rows out of a resident dataset, in the epoch's order: bytes to floats.

use std::ops::Range;

use crate::config::Pixels;
use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Dtype, Grid, Kernel, Real, Record, Rows, Schedule, Tape, Tensor,
    real, uncounted,
};
use crate::kernels::case::{Case, Fill};
use crate::kernels::common::{plain, turns, wgsl};
use crate::kernels::philox::{PHILOX, SHUFFLED, coin, key, philox, purpose, shuffled};

params! {
    /// Parameters of the gather kernels.
    pub struct Gather {
        /// Blocks of sixteen pixels in x, with the padding.
        len: u32,
        /// The distance between rows of x.
        stride: u32,
        /// The distance between the dataset's rows, in pixels.
        row_stride: u32,
        /// Pixels of an image.
        cols: u32,
        /// Whether classes lie behind the pixels of the dataset's rows.
        told: u32,
        /// The shard's first image.
        shard_first: u32,
        /// Images in the shard.
        shard_rows: u32,
        /// Whether each pixel is a coin, tossed for each step (1) or once for all (2).
        binarise: u32,
    }
}

/// The code of pixels that are tossed once.
pub const ONCE: u32 = 2;

/// The code of what becomes of pixels.
fn code(pixels: Pixels) -> u32 {
    match pixels {
        Pixels::Grey => 0,
        Pixels::Binarised => 1,
        Pixels::BinarisedOnce => ONCE,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("philox.wgsl", "gather.wgsl"), Cover::Items(64))];

/// x (batch, n) = the record's images out of a shard of bytes, or a window of them, (shard rows, n), four to a word,
/// over 255, or coins of that probability; and image (batch) = which they are. Rows of other
/// shards are left, those that the record does not fill become zero. Classes behind the pixels are
/// left out.
pub static BYTES: Kernel<Gather, 3> = Kernel {
    name: "gather.bytes",
    entry: "bytes",
    bindings: [Binding::read_words("pixels"), Binding::write("x"), Binding::write_words("image")],
    overrides: &["told"],
    schedules: SCHEDULES,
    reference: (bytes, bytes),
    cpu: Cpu::Rows(rows),
    turns: gather_turns,
    flops: uncounted,
};

/// The same for a shard of floats, `values` (shard rows, n).
pub static FLOATS: Kernel<Gather, 3> = Kernel {
    name: "gather.floats",
    entry: "floats",
    bindings: [Binding::read("values"), Binding::write("x"), Binding::write_words("image")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (floats, floats),
    cpu: Cpu::Rows(rows),
    turns: gather_turns,
    flops: uncounted,
};

/// An invocation finds one image and makes four groups of four pixels, each of which may be coins.
fn gather_turns(_: &Gather) -> u64 {
    SHUFFLED + turns(4, 1) + 4 * PHILOX + turns(4, 1)
}

fn rows(p: &Gather) -> Rows<Gather, 3> {
    let stride = p.stride as usize;
    let part =
        |p: &Gather, rows: Range<usize>| Gather { len: rows.len() as u32 * p.stride / 16, ..*p };
    Rows { images: 16 * p.len as usize / stride, elements: [0, stride, 1], part }
}

/// The image that a row of the minibatch holds, if any.
pub(super) fn chosen(record: &Record, row: u32) -> Option<u32> {
    if row >= record.rows {
        return None;
    }
    let position = record.first + row;
    if !record.shuffle {
        return Some(position);
    }
    Some(shuffled(position, record.images, record.epoch, purpose::ORDER, key(record.seed)))
}

/// The images of a record's minibatch.
pub(crate) fn images_of(record: &Record) -> Vec<u32> {
    (0..record.rows).filter_map(|row| chosen(record, row)).collect()
}

/// What each byte stands for.
pub(super) fn levels<T: Real>() -> [T; 256] {
    std::array::from_fn(|byte| real::<T>(byte as f64) / real(255.0))
}

/// Calls `fill` with each row of x that the shard serves, its place in the shard and its image;
/// rows past the record's become zero.
fn fill_rows<T: Real>(
    p: &Gather,
    record: &Record,
    (x, image): (&mut [T], &mut [u32]),
    mut fill: impl FnMut(&mut [T], usize, u32),
) {
    for (row, x) in x.chunks_mut(p.stride as usize).enumerate() {
        let Some(source) = chosen(record, row as u32) else {
            x.fill(T::zero());
            image[row] = 0;
            continue;
        };
        let at = record.row_of(source, row as u32).checked_sub(p.shard_first);
        if let Some(at) = at.filter(|&at| at < p.shard_rows) {
            image[row] = source;
            fill(x, at as usize, source);
        }
    }
}

/// The random word of a pixel.
fn coin_word(p: &Gather, record: &Record, pixel: usize, source: u32) -> u32 {
    let (step, purpose) = match p.binarise {
        ONCE => (0, purpose::PIXELS_ONCE),
        _ => (record.step, purpose::PIXELS),
    };
    let purpose = 16 * record.stream + purpose;
    philox([pixel as u32 / 4, source, step, purpose], key(record.seed))[pixel % 4]
}

fn bytes<T: Real>(p: &Gather, record: &Record, [pixels, x, image]: [Arg<'_, T>; 3]) {
    let pixels = pixels.words();
    let levels = levels::<T>();
    let words = p.row_stride as usize / 4;
    fill_rows(p, record, (x.write(), image.words_mut()), |x, at, source| {
        let packed = &pixels[at * words..(at + 1) * words];
        for (four, word) in x.chunks_exact_mut(4).zip(packed) {
            for (x, byte) in four.iter_mut().zip(word.to_le_bytes()) {
                *x = levels[usize::from(byte)];
            }
        }
        if p.binarise != 0 {
            for (pixel, x) in x.iter_mut().enumerate() {
                let byte = packed[pixel / 4].to_le_bytes()[pixel % 4];
                let heads = coin(u32::from(byte), coin_word(p, record, pixel, source));
                *x = if heads { T::one() } else { T::zero() };
            }
        }
        if p.told != 0 {
            x[p.cols as usize..].fill(T::zero());
        }
    });
}

fn floats<T: Real>(p: &Gather, record: &Record, [values, x, image]: [Arg<'_, T>; 3]) {
    let values = values.read();
    let stride = p.row_stride as usize;
    fill_rows(p, record, (x.write(), image.words_mut()), |x, at, source| {
        x.copy_from_slice(&values[at * stride..(at + 1) * stride]);
        if p.binarise != 0 {
            for (pixel, x) in x.iter_mut().enumerate() {
                let word = f64::from(coin_word(p, record, pixel, source) >> 8);
                let heads = real::<T>(word) < *x * real(16_777_216.0);
                *x = if heads { T::one() } else { T::zero() };
            }
        }
    });
}

/// A part of a dataset in one buffer.
#[derive(Clone, Copy, Debug)]
pub struct Shard {
    /// The rows: words of four bytes, or a matrix of floats. Where the model is told, an image's class
    /// lies behind its bytes as the encoder sees it: a byte for each class, 255 for its own, else 0.
    pub data: Tensor,
    /// The class of each image, where the model is told.
    pub labels: Option<Tensor>,
    /// The first image.
    pub first: usize,
    /// The number of images.
    pub rows: usize,
}

impl Shard {
    /// The distance between the rows, in pixels.
    #[must_use]
    pub fn stride(&self) -> usize {
        match self.data.dtype() {
            Dtype::U32 => 4 * self.data.cols() / self.rows,
            Dtype::F32 => self.data.stride(),
        }
    }

    /// The words of a row.
    pub(crate) fn row_words(&self) -> usize {
        match self.data.dtype() {
            Dtype::U32 => self.stride() / 4,
            Dtype::F32 => self.stride(),
        }
    }
}

/// Records x (batch, n) = the record's rows of a dataset in shards, and image (batch) = which.
pub fn gather(tape: &mut Tape<'_>, shards: &[Shard], pixels: Pixels, (x, image): (Tensor, Tensor)) {
    for shard in shards {
        let len = x.words() / 16;
        let (kernel, told) = match shard.data.dtype() {
            Dtype::U32 => (&BYTES, shard.labels.is_some()),
            Dtype::F32 => (&FLOATS, false),
        };
        let p = Gather {
            len: size(len),
            stride: size(x.stride()),
            row_stride: size(shard.stride()),
            cols: size(x.cols()),
            told: u32::from(told),
            shard_first: size(shard.first),
            shard_rows: size(shard.rows),
            binarise: code(pixels),
        };
        tape.dispatch(kernel, p, [shard.data, x, image], Grid::Flat(len));
    }
}

/// Bytes and floats, in order and shuffled, grey, binarised and binarised once, one and two shards, a
/// partial batch, more than 65,535 workgroups, classes behind bytes that fit their padding or not, and windows
/// of more images than they hold.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let (grey, tossed, once) = (Pixels::Grey, Pixels::Binarised, Pixels::BinarisedOnce);
    let shapes: [(usize, usize, [usize; 2], usize, bool, Pixels); 10] = [
        (1, 1, [1, 0], 1, false, grey),
        (7, 10, [37, 0], 7, true, grey),
        (16, 40, [16, 0], 13, true, tossed),
        (16, 40, [37, 0], 13, true, once),
        (128, 300, [784, 0], 128, true, tossed),
        (256_100, 300_000, [17, 0], 256_100, true, grey),
        (1, 1, [1, 2], 1, false, grey),
        (7, 10, [37, 11], 7, true, grey),
        (16, 40, [34, 256], 13, true, tossed),
        (128, 300, [784, 10], 128, true, grey),
    ];
    let windows = [
        (16, 48, [37, 11], 13, true, grey),
        (16, 48, [34, 0], 13, true, tossed),
        (128, 300, [784, 10], 127, true, grey),
    ];
    let whole = shapes.into_iter().map(|shape| (shape, None));
    let shapes = whole.chain(windows.into_iter().map(|shape| (shape, Some(18))));
    for (dtype, kind) in [(Dtype::U32, "bytes"), (Dtype::F32, "floats")] {
        for (shape, window) in shapes.clone() {
            let (rows, images, [cols, classes], record_rows, shuffle, become_of) = shape;
            let name =
                format!("gather.{kind} {record_rows} of {images}×{cols} + {classes}, {window:?}");
            let mut case = Case::new(name, record_rows);
            case.record.images = (images * window.map_or(1, |_| 9)) as u32;
            case.record.window = window;
            case.record.shuffle = shuffle;
            case.record.first = (images - record_rows) as u32;
            let stride = (cols + classes).next_multiple_of(16);
            let mut shards = Vec::new();
            let half = images.div_ceil(2);
            for (i, (first, rows)) in [(0, half), (half, images - half)].into_iter().enumerate() {
                if rows == 0 {
                    continue;
                }
                let seed = 5 + i as u32;
                let data = match dtype {
                    Dtype::U32 => {
                        let fill = Fill::RandomWords(seed);
                        case.input_line("pixels", rows * stride / 4, dtype, fill)
                    }
                    Dtype::F32 => case.input("values", [rows, cols], Fill::Uniform(seed, 0.0, 1.0)),
                };
                let labels = (classes > 0).then(|| case.plan.words("classes", rows));
                shards.push(Shard { data, labels, first, rows });
            }
            let x = case.plan.matrix("x", rows, cols);
            let image = case.plan.words("image", rows);
            case.record(|tape| gather(tape, &shards, become_of, (x, image)));
            cases.push(case);
        }
    }
    cases
}
