//! The CPU schedules of convolutions: windows are gathered a tile at a time, which stays in the cache, and multiplied by
//! the `gemm` crate. Tiles depend on shapes alone, so that results do not on the threads.

use std::cell::RefCell;

use rayon::prelude::*;

use super::{Convolution, OFFSET};
use crate::config::Activation;
use crate::engine::{Arg, Record};
use crate::kernels::common::{activation_of, slope_at_output};
use crate::kernels::fast::vectorised;
use crate::kernels::matmul::Product;
use crate::kernels::matmul::gemm::{Blocks, View, finish_row, product, sum_bias};

/// Windows of a tile.
const TILE: usize = 128;
/// Columns of a weight whose gradient one task makes, of so many rows of dy: a narrow weight has tasks too.
const COLUMNS: usize = 256;
const ROWS: usize = 512;

thread_local! {
    /// The windows of a tile, and sums; kept, since memory that is new is slow to touch.
    static TILES: RefCell<[Vec<f32>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// Calls `f` with room for so many windows and so many sums, which hold anything.
fn with_room(lengths: [usize; 2], f: impl FnOnce(&mut [f32], &mut [f32])) {
    TILES.with_borrow_mut(|rooms| {
        for (room, length) in rooms.iter_mut().zip(lengths) {
            room.resize(room.len().max(length), 0.0);
        }
        let [windows, sums] = rooms;
        f(&mut windows[..lengths[0]], &mut sums[..lengths[1]]);
    });
}

/// Neighbouring columns of every window that lie under taps of one line.
struct Run {
    /// How far their line is from that of the window's first tap, and how far their first place is.
    apart: [u32; 2],
    /// How many taps they are under.
    taps: u32,
    /// The first column of the first of them.
    first: usize,
    columns: usize,
}

/// Reads windows of a map, with what is the same for all of them worked out once.
struct Windows<'a> {
    p: &'a Convolution,
    map: &'a [f32],
    stride: usize,
    /// The line, and the place in a line, of the map under a coordinate that counts from `OFFSET`; none outside.
    under: [Vec<Option<u32>>; 2],
}

impl<'a> Windows<'a> {
    fn new(p: &'a Convolution, map: &'a [f32], stride: u32) -> Self {
        let under = |extent: u32, windows: u32, first: u32, taps: u32| {
            let all = windows * p.step + first + taps;
            let at = |at: u32| Some(at.checked_sub(OFFSET)? / p.zoom).filter(|&at| at < extent);
            (0..all).map(at).collect()
        };
        let under = [
            under(p.height, p.down, p.top, p.taps_down),
            under(p.width, p.right, p.left, p.taps_right),
        ];
        Self { p, map, stride: stride as usize, under }
    }

    /// The runs of so many columns from `col` on.
    fn runs(&self, col: usize, cols: usize) -> Vec<Run> {
        let (p, channels) = (self.p, self.p.channels as usize);
        let apart =
            |tap: u32, turn: u32| (tap / turn).wrapping_add(p.sign.wrapping_mul(tap % turn));
        // Taps of a line lie side by side, and so do their channels.
        let joined =
            p.zoom == 1 && p.sign == 1 && p.turn_right == p.taps_right && self.stride == channels;
        let (mut runs, mut at): (Vec<Run>, _) = (Vec::new(), col);
        while at < col + cols {
            let (tap, first) = ((at / channels) as u32, at % channels);
            let [down, right] = [tap / p.taps_right, tap % p.taps_right];
            let columns = (channels - first).min(col + cols - at);
            at += columns;
            match runs.last_mut() {
                // Past the last tap there is nothing.
                _ if down >= p.taps_down => {
                    runs.push(Run { apart: [0; 2], taps: 0, first, columns });
                }
                Some(run) if joined && right > 0 => {
                    run.taps += 1;
                    run.columns += columns;
                }
                _ => {
                    let apart = [apart(down, p.turn_down), apart(right, p.turn_right)];
                    runs.push(Run { apart, taps: 1, first, columns });
                }
            }
        }
        runs
    }

    /// Writes windows from `first` on, so many columns of each from `col` on.
    fn gather(&self, first: usize, (col, cols): (usize, usize), to: &mut [f32]) {
        let runs = self.runs(col, cols);
        for (row, mut to) in to.chunks_mut(cols).enumerate() {
            let window = self.p.window(first + row);
            for run in &runs {
                let (own, rest) = to.split_at_mut(run.columns);
                self.read(window, run, own);
                to = rest;
            }
        }
    }

    fn read(&self, [image, top, left]: [u32; 3], run: &Run, to: &mut [f32]) {
        let [lines, places] = &self.under;
        let line = (run.taps > 0).then(|| lines[top.wrapping_add(run.apart[0]) as usize]).flatten();
        let Some(line) = line else { return to.fill(0.0) };
        let start = (image * self.p.height + line) as usize * self.p.width as usize;
        let left = left.wrapping_add(run.apart[1]) as usize;
        let at = |place: u32| (start + place as usize) * self.stride;
        match (places[left], places[left + run.taps as usize - 1]) {
            (Some(place), Some(_)) => {
                to.copy_from_slice(&self.map[at(place) + run.first..][..to.len()]);
            }
            _ => {
                let (mut first, mut to) = (run.first, to);
                for place in &places[left..left + run.taps as usize] {
                    let columns = (self.p.channels as usize - first).min(to.len());
                    let (own, rest) = to.split_at_mut(columns);
                    match place {
                        Some(place) => {
                            own.copy_from_slice(&self.map[at(*place) + first..][..columns]);
                        }
                        None => own.fill(0.0),
                    }
                    (first, to) = (0, rest);
                }
            }
        }
    }
}

pub(super) fn convolve(p: &Convolution, _: &Record, args: [Arg<'_, f32>; 4]) {
    convolve_and(p, args, None);
}

pub(super) fn convolve_add(p: &Convolution, _: &Record, args: [Arg<'_, f32>; 5]) {
    let [x, b, w, y, skip] = args;
    convolve_and(p, [x, b, w, y], Some(skip.read()));
}

/// Makes y of a convolution, with what is added before its activation if there is any.
fn convolve_and(p: &Convolution, [x, b, w, y]: [Arg<'_, f32>; 4], skip: Option<&[f32]>) {
    let (x, b, y) = (x.read(), b.read(), y.write());
    let w = View::rows(w.read(), p.b_stride).transposed();
    let (depth, stride) = (p.depth as usize, p.c_stride as usize);
    let of_x = Windows::new(p, x, p.a_stride);
    y.par_chunks_mut(TILE * stride).enumerate().for_each(|(tile, y)| {
        let rows = y.len() / stride;
        with_room([rows * depth, 0], |windows, _| {
            of_x.gather(tile * TILE, (0, depth), windows);
            let part = Product { rows: rows as u32, ..p.product() };
            product(&part, y, (View::rows(windows, p.depth), w), false, Blocks::ONE);
        });
        if let Some(skip) = skip {
            y.iter_mut().zip(&skip[tile * TILE * stride..]).for_each(|(y, skip)| *y += skip);
        }
        y.chunks_mut(stride).for_each(|y| finish_row(&p.product(), y, b));
    });
}

pub(super) fn convolve_backward_x(p: &Convolution, _: &Record, args: [Arg<'_, f32>; 4]) {
    let [dy, x, w, dx] = args;
    let x = x.read();
    by_phase(p, [dy.read(), w.read()], dx.write(), |at, sums, dx| {
        finish(p, sums, &x[at..][..sums.len()], dx);
    });
}

pub(super) fn transposed(p: &Convolution, _: &Record, [x, b, w, y]: [Arg<'_, f32>; 4]) {
    let (b, product) = (b.read(), p.product());
    by_phase(p, [x.read(), w.read()], y.write(), |_, sums, y| {
        y.copy_from_slice(sums);
        finish_row(&product, y, b);
    });
}

/// Sums what reaches each place of a phase from a map; `end` makes of that a row, whose first element lies somewhere.
fn by_phase(
    p: &Convolution,
    [map, w]: [&[f32]; 2],
    made: &mut [f32],
    end: impl Fn(usize, &[f32], &mut [f32]) + Sync,
) {
    let (depth, cols, stride) = (p.depth as usize, p.cols as usize, p.c_stride as usize);
    let mut weights = vec![0.0; depth * cols];
    for (term, to) in weights.chunks_mut(cols).enumerate() {
        let from = p.reaching(w, term);
        let known = cols.min(from.len());
        to[..known].copy_from_slice(&from[..known]);
    }
    let of_map = Windows::new(p, map, p.a_stride);
    let places = p.made_height as usize * p.made_width as usize;
    let windows_each = p.down as usize * p.right as usize;
    // A task has whole images, so that what it writes lies together.
    let images = TILE.div_ceil(windows_each);
    let (within, padding) = made.split_at_mut(p.made_rows as usize * stride);
    if p.made_end > p.made_rows && p.accumulate == 0 {
        padding.fill(0.0);
    }
    within.par_chunks_mut(images * places * stride).enumerate().for_each(|(task, made)| {
        let first_place = task * images * places;
        let first = task * images * windows_each;
        let all = made.len() / (places * stride) * windows_each;
        for start in (0..all).step_by(TILE) {
            let rows = TILE.min(all - start);
            with_room([rows * depth, rows * cols], |windows, sums| {
                of_map.gather(first + start, (0, depth), windows);
                let part = Product { rows: rows as u32, c_stride: p.cols, ..p.product() };
                let operands = (View::rows(windows, p.depth), View::rows(&weights, p.cols));
                product(&part, sums, operands, false, Blocks::ONE);
                for (row, sums) in sums.chunks(cols).enumerate() {
                    let place = p.made(first + start + row).expect("a window makes a place");
                    let own = &mut made[(place - first_place) * stride..][..cols];
                    end(place * stride, sums, own);
                }
            });
        }
    });
}

/// Rows past the last window, which repeat it elsewhere, are the padding, which is zero here.
pub(super) fn transposed_backward_x(p: &Convolution, _: &Record, args: [Arg<'_, f32>; 4]) {
    let [dy, x, w, dx] = args;
    let (x, w) = (x.read(), View::rows(w.read(), p.b_stride).transposed());
    let (depth, cols, stride) = (p.depth as usize, p.cols as usize, p.c_stride as usize);
    let of_dy = Windows::new(p, dy.read(), p.a_stride);
    let (within, padding) = dx.write().split_at_mut(p.windows() * stride);
    if p.accumulate == 0 {
        padding.fill(0.0);
    }
    within.par_chunks_mut(TILE * stride).enumerate().for_each(|(tile, dx)| {
        let rows = dx.len() / stride;
        with_room([rows * depth, rows * cols], |windows, sums| {
            of_dy.gather(tile * TILE, (0, depth), windows);
            let part = Product { rows: rows as u32, c_stride: p.cols, ..p.product() };
            product(&part, sums, (View::rows(windows, p.depth), w), false, Blocks::ONE);
            let x = x[tile * TILE * stride..].chunks(stride);
            for ((sums, dx), x) in sums.chunks(cols).zip(dx.chunks_mut(stride)).zip(x) {
                finish(p, sums, x, dx);
            }
        });
    });
}

/// The gradient at a place: the sums times the slope of what made x.
fn finish(p: &Convolution, sums: &[f32], x: &[f32], dx: &mut [f32]) {
    let (kind, inside) = (activation_of(p.activation), p.inside as usize);
    let (within, padding) = dx.split_at_mut(inside);
    vectorised(
        #[inline(always)]
        || {
            // The commonest two stand apart so that their loops are vectorised.
            let terms = within.iter_mut().zip(sums).zip(x);
            match (kind, p.accumulate != 0) {
                (Activation::Identity, false) => terms.for_each(|((dx, &sum), _)| *dx = sum),
                (Activation::Relu, false) => terms.for_each(|((dx, &sum), &x)| {
                    *dx = sum * f32::from(u8::from(x > 0.0));
                }),
                (_, false) => {
                    terms.for_each(|((dx, &sum), &x)| *dx = sum * slope_at_output(kind, x));
                }
                (_, true) => {
                    terms.for_each(|((dx, &sum), &x)| *dx += sum * slope_at_output(kind, x));
                }
            }
        },
    );
    padding.fill(0.0);
}

pub(super) fn convolve_backward_w(p: &Convolution, _: &Record, args: [Arg<'_, f32>; 4]) {
    let [dy, x, dw, db] = args;
    let dy = dy.read();
    weight_gradient(p, dy, x.read(), dw.write());
    sum_bias(&p.product(), dy, db.write());
}

pub(super) fn transposed_backward_w(p: &Convolution, _: &Record, args: [Arg<'_, f32>; 3]) {
    let [x, dy, dw] = args;
    // The padding of x need not be zero.
    let p = Convolution { depth: p.windows_left(), ..*p };
    weight_gradient(&p, x.read(), dy.read(), dw.write());
}

/// dw = dyᵀ · windows of x.
fn weight_gradient(p: &Convolution, dy: &[f32], x: &[f32], dw: &mut [f32]) {
    let (outputs, cols, depth) = (p.rows as usize, p.cols as usize, p.depth as usize);
    let stride = p.c_stride as usize;
    let of_x = Windows::new(p, x, p.b_stride);
    let of_part = |(first, begins): (usize, usize)| {
        let width = COLUMNS.min(cols - first);
        let mut sums = vec![0.0; outputs * width];
        let end = depth.min(begins + ROWS);
        for start in (begins..end).step_by(TILE) {
            let rows = TILE.min(end - start);
            with_room([rows * width, 0], |windows, _| {
                of_x.gather(start, (first, width), windows);
                let part = Product {
                    cols: width as u32,
                    depth: rows as u32,
                    c_stride: width as u32,
                    ..p.product()
                };
                let dy = View::rows(&dy[start * p.a_stride as usize..], p.a_stride).transposed();
                let operands = (dy, View::rows(windows, width as u32));
                product(&part, &mut sums, operands, start > begins, Blocks::ONE);
            });
        }
        (first, width, sums)
    };
    let parts = (0..depth).step_by(ROWS);
    let parts =
        parts.flat_map(|begins| (0..cols).step_by(COLUMNS).map(move |first| (first, begins)));
    let parts: Vec<_> = parts.collect();
    let parts: Vec<_> = parts.into_par_iter().map(of_part).collect();
    // Added in the order of the rows.
    for (at, (first, width, sums)) in parts.into_iter().enumerate() {
        let adds = p.accumulate != 0 || at >= cols.div_ceil(COLUMNS);
        for (row, sums) in sums.chunks(width).enumerate() {
            let dw = &mut dw[row * stride + first..][..width];
            if adds {
                dw.iter_mut().zip(sums).for_each(|(dw, sum)| *dw += sum);
            } else {
                dw.copy_from_slice(sums);
            }
        }
    }
}
