//! The CPU schedules of attention: products by the `gemm` crate, an image a task.

use rayon::prelude::*;

use super::Attention;
use crate::engine::{Arg, Record};
use crate::kernels::matmul::Product;
use crate::kernels::matmul::gemm::{Blocks, View, product};

impl Attention {
    /// A product of so many rows, columns and terms, whose result has rows so far apart.
    fn of(rows: usize, cols: usize, depth: usize, c_stride: u32) -> Product {
        let [rows, cols, depth] = [rows, cols, depth].map(|of| of as u32);
        Product { rows, cols, depth, c_stride, ..Product::default() }
    }

    /// A head's part of an image: of the queries (0), the keys (1) or the values (2).
    fn view<'a>(&self, image: &'a [f32], head: usize, which: usize) -> View<'a> {
        View::rows(&image[self.part(0, head, 0, which)..], self.stride)
    }

    /// Every query with every key, over √each.
    fn scores(&self, image: &[f32], head: usize) -> Vec<f32> {
        let (places, each) = (self.places as usize, self.each as usize);
        let mut scores = vec![0.0; places * places];
        let operands = (self.view(image, head, 0), self.view(image, head, 1).transposed());
        let of = Self::of(places, places, each, self.places);
        product(&of, &mut scores, operands, false, Blocks::ONE);
        let scale = self.scale::<f32>();
        scores.iter_mut().for_each(|score| *score *= scale);
        scores
    }

    /// The shares of every key for every query, and the slopes of the scores, in their unit.
    fn slopes(&self, [image, logs, y, dy]: [&[f32]; 4], head: usize) -> [Vec<f32>; 2] {
        let (places, each) = (self.places as usize, self.each as usize);
        let mut shares = self.scores(image, head);
        let mut slopes = vec![0.0; places * places];
        let made = self.made(0, head, 0);
        let operands =
            (View::rows(&dy[made..], self.y_stride), self.view(image, head, 2).transposed());
        let of = Self::of(places, places, each, self.places);
        product(&of, &mut slopes, operands, false, Blocks::ONE);
        let scale = self.scale::<f32>();
        for i in 0..places {
            let log = logs[i * self.logs_stride as usize + head];
            let made = self.made(0, head, i);
            let mean = super::dot(&dy[made..][..each], &y[made..][..each]);
            let row = i * places..(i + 1) * places;
            for (share, slope) in shares[row.clone()].iter_mut().zip(&mut slopes[row]) {
                *share = (*share - log).exp();
                *slope = *share * (*slope - mean) * scale;
            }
        }
        [shares, slopes]
    }
}

pub(super) fn forward(p: &Attention, _: &Record, [x, logs, y]: [Arg<'_, f32>; 3]) {
    let places = p.places as usize;
    let [of_x, of_logs, of_y] =
        [p.stride, p.logs_stride, p.y_stride].map(|of| places * of as usize);
    let images = x.read().par_chunks(of_x).zip(logs.write().par_chunks_mut(of_logs));
    let images = images.zip(y.write().par_chunks_mut(of_y)).take(p.images as usize);
    images.for_each(|((x, logs), y)| {
        for head in 0..p.heads as usize {
            let mut shares = p.scores(x, head);
            for (i, row) in shares.chunks_mut(places).enumerate() {
                let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                row.iter_mut().for_each(|share| *share = (*share - top).exp());
                let all = row.iter().sum::<f32>();
                row.iter_mut().for_each(|share| *share /= all);
                logs[i * p.logs_stride as usize + head] = top + all.ln();
            }
            let of = Attention::of(places, p.each as usize, places, p.y_stride);
            let operands = (View::rows(&shares, p.places), p.view(x, head, 2));
            product(&of, &mut y[p.made(0, head, 0)..], operands, false, Blocks::ONE);
        }
    });
}

pub(super) fn backward_queries(p: &Attention, _: &Record, args: [Arg<'_, f32>; 5]) {
    by_image(p, args, |image, head, dx| {
        let [_, slopes] = p.slopes(image, head);
        let of = Attention::of(p.places as usize, p.each as usize, p.places as usize, p.stride);
        let operands = (View::rows(&slopes, p.places), p.view(image[0], head, 1));
        product(&of, &mut dx[p.part(0, head, 0, 0)..], operands, p.accumulate != 0, Blocks::ONE);
    });
}

pub(super) fn backward_keys(p: &Attention, _: &Record, args: [Arg<'_, f32>; 5]) {
    by_image(p, args, |image, head, dx| {
        let [shares, slopes] = p.slopes(image, head);
        let of = Attention::of(p.places as usize, p.each as usize, p.places as usize, p.stride);
        let dy = View::rows(&image[3][p.made(0, head, 0)..], p.y_stride);
        for (which, sums, with) in [(1, &slopes, p.view(image[0], head, 0)), (2, &shares, dy)] {
            let operands = (View::rows(sums, p.places).transposed(), with);
            let dx = &mut dx[p.part(0, head, 0, which)..];
            product(&of, dx, operands, p.accumulate != 0, Blocks::ONE);
        }
    });
}

/// Calls `f` for every head of every image, with its parts of what is read and its gradient.
fn by_image(
    p: &Attention,
    [x, logs, y, dy, dx]: [Arg<'_, f32>; 5],
    f: impl Fn([&[f32]; 4], usize, &mut [f32]) + Sync,
) {
    let read = [x, logs, y, dy].map(Arg::read);
    let strides = [p.stride, p.logs_stride, p.y_stride, p.y_stride];
    let images = dx.write().par_chunks_mut(p.places as usize * p.stride as usize);
    images.enumerate().take(p.images as usize).for_each(|(image, dx)| {
        let mut strides = strides.iter().map(|&stride| p.places as usize * stride as usize);
        let parts = read.map(|of| {
            let length = strides.next().expect("one a binding");
            &of[image * length..][..length]
        });
        (0..p.heads as usize).for_each(|head| f(parts, head, dx));
    });
}
