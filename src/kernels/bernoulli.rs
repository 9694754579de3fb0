//! The Bernoulli likelihood from logits, with its gradient in the same dispatch.

use rayon::prelude::*;

use crate::engine::kernel::params;
use crate::engine::record::rate;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, GradSite, Grid, Kernel, Real, Record, Schedule, Tape, Tensor, real,
};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{Sum, plain, sigmoid, softplus, wgsl};
use crate::kernels::fast::{exp_negative, ln_1p_unit, vectorised};

params! {
    /// Parameters of the Bernoulli kernel.
    pub struct Bernoulli {
        /// Rows, with the padding.
        rows: u32,
        /// Pixels of an image.
        cols: u32,
        /// The distance between rows.
        stride: u32,
        /// How many z each image has.
        samples: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("bernoulli.wgsl"), Cover::Row)];

/// −log p(x | logits) of each image, and its gradient.
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
    cpu: Some(forward_cpu),
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

fn forward_cpu(p: &Bernoulli, record: &Record, [logits, x, nll, dlogits]: [Arg<'_, f32>; 4]) {
    let (rows, samples) = (record.rows as usize, p.samples as usize);
    let scale = (record.rates[rate::LOSS_SCALE] / samples as f64) as f32;
    let (logits, x, nll, dlogits) = (logits.read(), x.read(), nll.write(), dlogits.write());
    let (cols, stride) = (p.cols as usize, p.stride as usize);
    let outputs = nll.par_iter_mut().zip(dlogits.par_chunks_mut(stride));
    logits.par_chunks(stride).zip(outputs).enumerate().for_each(|(row, (logits, made))| {
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
