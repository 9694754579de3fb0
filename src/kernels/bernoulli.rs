//! The Bernoulli likelihood from logits, with its gradient in the same dispatch.

use std::ops::Range;

use crate::engine::kernel::params;
use crate::engine::record::rate;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, GradSite, Grid, Kernel, Real, Record, Rows, Schedule, Tape, Tensor,
    by_rows, real, rows_of, uncounted,
};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{Sum, halvings, plain, sigmoid, softplus, turns, wgsl};
use crate::kernels::fast::{exp_negative, ln_1p_unit, vectorised};

params! {
    /// Parameters of the Bernoulli kernel.
    pub struct Bernoulli {
        /// Rows of the logits, with the padding.
        rows: u32,
        /// Pixels of an image, n.
        cols: u32,
        /// The distance between rows of the logits and of x.
        stride: u32,
        /// Rows of the logits for each image.
        samples: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("bernoulli.wgsl"), Cover::Row)];

/// Invocations of a workgroup.
const LANES: u32 = 64;

/// nll (images · samples) = −log p(x | logits) = Σ (log(1 + exp l) − l x) over the pixels, in
/// nats; and its gradient dlogits (images · samples, n) = (σ(l) − x) · scale / samples, for
/// logits (images · samples, n), x (images, n) and the record's `loss_scale`: Kingma and Welling
/// 2014, appendix C.1. Both are zero in rows that the record does not fill.
pub static FORWARD: Kernel<Bernoulli, 4> = Kernel {
    name: "bernoulli.forward",
    entry: "forward",
    bindings: [
        Binding::read("logits"),
        Binding::read("x"),
        Binding::write("nll"),
        Binding::write("dlogits"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (forward, forward),
    cpu: Cpu::Own(forward_cpu),
    turns: |p| turns(p.stride / 4, LANES) + halvings(LANES),
    flops: uncounted,
};

fn forward<T: Real>(p: &Bernoulli, record: &Record, [logits, x, nll, dlogits]: [Arg<'_, T>; 4]) {
    let given = (logits.read(), x.read());
    forward_in_parts(p, record, given, nll.write(), dlogits.write(), (1, p.cols as usize));
}

/// The losses of each row in parts: how many, and of how many pixels.
pub(super) fn forward_in_parts<T: Real>(
    p: &Bernoulli,
    record: &Record,
    (logits, x): (&[T], &[T]),
    nll: &mut [T],
    dlogits: &mut [T],
    (parts, width): (usize, usize),
) {
    let scale = real::<T>(record.rates[rate::LOSS_SCALE] / f64::from(p.samples));
    let (cols, stride) = (p.cols as usize, p.stride as usize);
    for row in 0..p.rows as usize {
        let nll = &mut nll[row * parts..(row + 1) * parts];
        nll.fill(T::zero());
        dlogits[row * stride..(row + 1) * stride].fill(T::zero());
        let of = row / p.samples as usize;
        if of >= record.rows as usize {
            continue;
        }
        for (nll, first) in nll.iter_mut().zip((0..cols).step_by(width)) {
            let mut sum = Sum::new();
            for col in first..cols.min(first + width) {
                let (at, x) = (row * stride + col, x[of * stride + col]);
                sum.add(softplus(logits[at]) - logits[at] * x);
                dlogits[at] = (sigmoid(logits[at]) - x) * scale;
            }
            *nll = sum.total();
        }
    }
}

fn forward_cpu(p: &Bernoulli, record: &Record, args: [Arg<'_, f32>; 4]) {
    let part = |p: &Bernoulli, images: Range<usize>| Bernoulli {
        rows: rows_of(images, p.samples, p.rows),
        ..*p
    };
    let (samples, stride) = (p.samples as usize, p.stride as usize);
    let elements = [samples * stride, stride, samples, samples * stride];
    let images = p.rows.div_ceil(p.samples) as usize;
    by_rows(Rows { images, elements, part }, p, record, args, forward_fast);
}

/// The formula by functions that are vectorised.
fn forward_fast(p: &Bernoulli, record: &Record, [logits, x, nll, dlogits]: [Arg<'_, f32>; 4]) {
    let (rows, samples) = (record.rows as usize, p.samples as usize);
    let scale = (record.rates[rate::LOSS_SCALE] / samples as f64) as f32;
    let (logits, x, nll, dlogits) = (logits.read(), x.read(), nll.write(), dlogits.write());
    let (cols, stride) = (p.cols as usize, p.stride as usize);
    let outputs = nll.iter_mut().zip(dlogits.chunks_mut(stride));
    logits.chunks(stride).zip(outputs).enumerate().for_each(|(row, (logits, made))| {
        let ((nll, dlogits), of) = (made, row / samples);
        if of >= rows {
            dlogits.fill(0.0);
            *nll = 0.0;
        } else {
            let x = &x[of * stride..(of + 1) * stride];
            *nll = vectorised(
                #[inline(always)]
                || row_cpu(cols, scale, logits, x, dlogits),
            );
        }
    });
}

/// Pixels whose losses are added lane by lane: a wider image is a sum of so wide ones.
const WIDE: usize = 1024;

/// −log p of one row.
#[inline(always)]
fn row_cpu(cols: usize, scale: f32, logits: &[f32], x: &[f32], dlogits: &mut [f32]) -> f32 {
    let (inside, padding) = dlogits.split_at_mut(cols);
    padding.fill(0.0);
    let given = logits[..cols].chunks(WIDE).zip(x[..cols].chunks(WIDE));
    let mut total = Sum::new();
    for ((logits, x), dlogits) in given.zip(inside.chunks_mut(WIDE)) {
        total.add(part_cpu(scale, logits, x, dlogits));
    }
    total.total()
}

/// −log p of some pixels, in sixteen lanes that are added at the end.
#[inline(always)]
fn part_cpu(scale: f32, logits: &[f32], x: &[f32], dlogits: &mut [f32]) -> f32 {
    const PART: usize = 256;
    let mut lanes = [0.0f32; 16];
    let given = logits.chunks(PART).zip(x.chunks(PART));
    for (dlogits, (logits, x)) in dlogits.chunks_mut(PART).zip(given) {
        // The losses are kept and added apart: a loop that also adds is not vectorised.
        let mut losses = [0.0f32; PART];
        let made = losses.iter_mut().zip(dlogits);
        for ((loss, dlogit), (&l, &x)) in made.zip(logits.iter().zip(x)) {
            let e = exp_negative(-l.abs());
            let positive = if l < 0.0 { 0.0 } else { l };
            *loss = positive - l * x + ln_1p_unit(e);
            let mean = if l < 0.0 { e } else { 1.0 } / (1.0 + e);
            *dlogit = scale * (mean - x);
        }
        for losses in losses.as_chunks::<16>().0 {
            lanes.iter_mut().zip(losses).for_each(|(lane, loss)| *lane += loss);
        }
    }
    lanes.iter().sum()
}

/// Records nll (images · samples), in nats, of x (images, n) under logits (images · samples, n), image
/// by image. The gradient at the logits, times the record's scale over the samples, is made at once.
pub fn bernoulli(tape: &mut Tape<'_>, logits: Tensor, x: Tensor, nll: Tensor) {
    assert_eq!(logits.stride(), x.stride(), "bernoulli: logits and x have one layout");
    let dlogits = tape.plan.matrix("dlogits", logits.rows(), logits.cols());
    let p = Bernoulli {
        rows: size(logits.padded_rows()),
        cols: size(x.cols()),
        stride: size(x.stride()),
        samples: size(logits.rows() / x.rows()),
    };
    let bindings = [logits, x, nll, dlogits];
    tape.dispatch(&FORWARD, p, bindings, Grid::Rows(logits.padded_rows()));
    tape.set_grad(logits, dlogits);
}

/// One, ragged, several z of an image, a partial batch, the classic size, and more than 65,535
/// workgroups.
pub(crate) fn cases() -> Vec<Case> {
    let one = [(1, 1, 1), (5, 37, 5), (17, 300, 11), (128, 784, 128), (65_600, 3, 65_599)];
    let mut cases: Vec<_> =
        one.map(|(images, cols, inside)| case([images, cols, inside, 1])).into();
    cases.extend([[7, 21, 5, 3], [17, 9, 17, 16]].map(case));
    cases
}

fn case([images, cols, inside, samples]: [usize; 4]) -> Case {
    let rows = images * samples;
    let mut case = Case::new(format!("bernoulli {inside}/{images}×{cols}, {samples} z"), inside);
    let made = case.input("made", [rows, cols], Fill::Uniform(1, -6.0, 6.0));
    let x = case.input("x", [images, cols], Fill::Uniform(2, 0.0, 1.0));
    let nll = case.plan.vector("nll", rows);
    let gradient = case.record(|tape| {
        bernoulli(tape, made, x, nll);
        tape.grad(made, GradSite::Output).expect("the loss made it")
    });
    let scale = case.record.rates[rate::LOSS_SCALE] / samples as f64;
    case.outputs.push((nll, Weight::Same(scale)));
    case.gradients.push((made, gradient));
    case
}
