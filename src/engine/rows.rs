//! Runs a reference over parts of its rows, side by side, in the CPU session.

use std::ops::Range;

use rayon::prelude::*;

use crate::engine::kernel::{Arg, Params, Reference};
use crate::engine::record::Record;

/// Elements of all bindings that one task takes at least, a microsecond's work of the cheapest kernel; less is
/// not shared out.
const PART: usize = 4096;

/// How the work of a dispatch falls into images, or into rows, that do not need one another.
#[derive(Clone, Copy, Debug)]
pub struct Rows<P, const N: usize> {
    /// How many images there are, with the padding.
    pub images: usize,
    /// The elements of each binding that belong to one image; 0 of what is read by all.
    pub elements: [usize; N],
    /// The parameters of some of the images.
    pub part: fn(&P, Range<usize>) -> P,
}

/// The rows of some images that have `samples` rows each, of `all` rows: the last image may have fewer, since
/// rows are padded together.
#[must_use]
pub fn rows_of(images: Range<usize>, samples: u32, all: u32) -> u32 {
    let row = |image: usize| (image as u32).saturating_mul(samples).min(all);
    row(images.end) - row(images.start)
}

/// Runs a reference over parts of its images. A part depends on the shapes alone, and is told of its
/// images what the whole is told of all: so results depend neither on the threads nor on the parts.
///
/// # Panics
///
/// If a binding that is written has no elements for each image.
pub fn by_rows<P: Params, const N: usize>(
    rows: Rows<P, N>,
    p: &P,
    record: &Record,
    mut args: [Arg<'_, f32>; N],
    run: Reference<P, f32, N>,
) {
    let Rows { images, elements, part } = rows;
    let at_once = PART.div_ceil(elements.iter().sum::<usize>().max(1));
    if images <= at_once {
        return run(p, record, args);
    }
    let parts = (0..images).step_by(at_once).map(|first| {
        let of = first..images.min(first + at_once);
        let args = std::array::from_fn(|i| args[i].take_off(elements[i] * of.len()));
        (part(p, of), record.after_rows(first), args)
    });
    let parts: Vec<_> = parts.collect();
    parts.into_par_iter().for_each(|(p, record, args)| run(&p, &record, args));
}

impl<T> Arg<'_, T> {
    /// Takes the first elements off, or as many as there are; of 0 the whole is shared.
    fn take_off(&mut self, elements: usize) -> Self {
        let some = |len: usize| ..elements.min(len);
        match self {
            Self::Read(data) if elements == 0 => Self::Read(data),
            Self::ReadWords(data) if elements == 0 => Self::ReadWords(data),
            Self::Read(data) => Self::Read(data.split_off(some(data.len())).unwrap_or_default()),
            Self::ReadWords(data) => {
                Self::ReadWords(data.split_off(some(data.len())).unwrap_or_default())
            }
            Self::Write(data) => {
                assert!(elements > 0, "what is written belongs to some image");
                Self::Write(data.split_off_mut(some(data.len())).unwrap_or_default())
            }
            Self::WriteWords(data) => {
                assert!(elements > 0, "what is written belongs to some image");
                Self::WriteWords(data.split_off_mut(some(data.len())).unwrap_or_default())
            }
        }
    }
}

/// Calls `f` with the number and the elements of each row, for kernels whose rows need one another's input;
/// if `PARALLEL`, side by side, unless all rows together, which take so many turns each, are little work.
pub fn each_row<T: Send, const PARALLEL: bool>(
    data: &mut [T],
    stride: usize,
    turns: usize,
    f: impl Fn(usize, &mut [T]) + Sync,
) {
    if PARALLEL && data.len() / stride * turns > PART {
        data.par_chunks_mut(stride).enumerate().for_each(|(row, data)| f(row, data));
    } else {
        data.chunks_mut(stride).enumerate().for_each(|(row, data)| f(row, data));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::case::Case;

    crate::engine::kernel::params! {
        /// Parameters of the kernel below.
        #[allow(unreachable_pub, reason = "the macro declares what others may see")]
        pub struct Count {
            /// Rows of y.
            rows: u32,
            /// Rows of an image.
            samples: u32,
        }
    }

    /// y = the image's number in the minibatch, the row's in the image, and what the record fills.
    fn count(p: &Count, record: &Record, [shared, x, y]: [Arg<'_, f32>; 3]) {
        let (shared, x, y) = (shared.read(), x.read(), y.write());
        assert_eq!(y.len(), 3 * p.rows as usize, "the rows of a part");
        for row in 0..p.rows as usize {
            let image = row / p.samples as usize;
            let inside = image < record.rows as usize;
            let at = record.first as usize + image;
            y[3 * row] = x[image] + shared[at];
            y[3 * row + 1] = (row % p.samples as usize) as f32;
            y[3 * row + 2] = f32::from(u8::from(inside));
        }
    }

    #[test]
    fn parts_make_what_the_whole_makes() {
        for (rows, samples, filled) in [(1, 1, 1), (1600, 1, 1590), (4800, 7, 500), (16_384, 3, 1)]
        {
            let images = (rows as usize).div_ceil(samples as usize);
            let shared: Vec<_> = (0..images).map(|i| (i * i) as f32).collect();
            let x: Vec<_> = (0..images).map(|i| i as f32).collect();
            let record = Case::new(String::new(), filled).record;
            let p = Count { rows, samples };
            let run = |apart: bool| {
                let mut y = vec![-1.0; 3 * rows as usize];
                let args = [Arg::Read(&shared[..]), Arg::Read(&x), Arg::Write(&mut y)];
                let cut = Rows {
                    images,
                    elements: [0, 1, 3 * samples as usize],
                    part: |p: &Count, images| Count {
                        rows: rows_of(images, p.samples, p.rows),
                        ..*p
                    },
                };
                if apart {
                    by_rows(cut, &p, &record, args, count);
                } else {
                    count(&p, &record, args);
                }
                y
            };
            assert_eq!(run(true), run(false), "{rows} rows, {samples} of each image");
        }
    }
}
