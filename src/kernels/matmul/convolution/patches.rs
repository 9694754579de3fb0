//! The CPU schedules of convolutions: windows are gathered a tile at a time, which stays in the cache, and multiplied by
//! the `gemm` crate. Tiles depend on shapes alone, so that results do not on the threads.

use std::cell::RefCell;

use rayon::prelude::*;

use super::Convolution;
use crate::engine::{Arg, Record};
use crate::kernels::common::{activation_of, slope_at_output};
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

impl Convolution {
    /// Gathers windows from `first` on, so many columns of each from `col` on.
    fn gather(
        &self,
        (map, stride): (&[f32], u32),
        first: usize,
        (col, cols): (usize, usize),
        to: &mut [f32],
    ) {
        for (row, patch) in to.chunks_mut(cols).enumerate() {
            self.patch(map, stride, first + row, col, patch);
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
    y.par_chunks_mut(TILE * stride).enumerate().for_each(|(tile, y)| {
        let rows = y.len() / stride;
        with_room([rows * depth, 0], |windows, _| {
            p.gather((x, p.a_stride), tile * TILE, (0, depth), windows);
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
    let (dy, x, w, dx) = (dy.read(), x.read(), w.read(), dx.write());
    let (depth, cols, stride) = (p.depth as usize, p.cols as usize, p.c_stride as usize);
    let mut weights = vec![0.0; depth * cols];
    for (term, to) in weights.chunks_mut(cols).enumerate() {
        let from = p.reaching(w, term);
        let known = cols.min(from.len());
        to[..known].copy_from_slice(&from[..known]);
    }
    let places = p.made_height as usize * p.made_width as usize;
    let windows_each = p.down as usize * p.right as usize;
    // A task has whole images, so that what it writes lies together.
    let images = TILE.div_ceil(windows_each);
    let (within, padding) = dx.split_at_mut(p.made_rows as usize * stride);
    if p.made_end > p.made_rows && p.accumulate == 0 {
        padding.fill(0.0);
    }
    within.par_chunks_mut(images * places * stride).enumerate().for_each(|(task, dx)| {
        let first_place = task * images * places;
        let first = task * images * windows_each;
        let all = dx.len() / (places * stride) * windows_each;
        for start in (0..all).step_by(TILE) {
            let rows = TILE.min(all - start);
            with_room([rows * depth, rows * cols], |windows, sums| {
                p.gather((dy, p.a_stride), first + start, (0, depth), windows);
                let part = Product { rows: rows as u32, c_stride: p.cols, ..p.product() };
                let operands = (View::rows(windows, p.depth), View::rows(&weights, p.cols));
                product(&part, sums, operands, false, Blocks::ONE);
                for (row, sums) in sums.chunks(cols).enumerate() {
                    let place = p.made(first + start + row).expect("a window makes a place");
                    let dx = &mut dx[(place - first_place) * stride..][..cols];
                    finish(p, sums, &x[place * stride..][..cols], dx);
                }
            });
        }
    });
}

/// The gradient at a place: the sums times the slope of what made x.
fn finish(p: &Convolution, sums: &[f32], x: &[f32], dx: &mut [f32]) {
    let (kind, inside) = (activation_of(p.activation), p.inside as usize);
    for ((dx, &sum), &x) in dx.iter_mut().zip(sums).zip(x).take(inside) {
        let own = sum * slope_at_output(kind, x);
        *dx = if p.accumulate != 0 { *dx + own } else { own };
    }
    dx[inside..].fill(0.0);
}

pub(super) fn convolve_backward_w(p: &Convolution, _: &Record, args: [Arg<'_, f32>; 4]) {
    let [dy, x, dw, db] = args;
    let (dy, x, dw, db) = (dy.read(), x.read(), dw.write(), db.write());
    let (outputs, cols, depth) = (p.rows as usize, p.cols as usize, p.depth as usize);
    let stride = p.c_stride as usize;
    let of_part = |(first, begins): (usize, usize)| {
        let width = COLUMNS.min(cols - first);
        let mut sums = vec![0.0; outputs * width];
        let end = depth.min(begins + ROWS);
        for start in (begins..end).step_by(TILE) {
            let rows = TILE.min(end - start);
            with_room([rows * width, 0], |windows, _| {
                p.gather((x, p.b_stride), start, (first, width), windows);
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
    sum_bias(&p.product(), dy, db);
}
