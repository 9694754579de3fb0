//! What models of counts do beside their likelihood: what the encoder sees, and means that share an image's total.

use std::ops::Range;

use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, GradSite, Grid, Kernel, Real, Record, Rows, Schedule, Tape, Tensor,
    rows_of, uncounted,
};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{halvings, plain, sum, turns, wgsl};

params! {
    /// Parameters of the kernels of counts.
    pub struct Counts {
        /// Groups of four pixels, with the padding.
        len: u32,
        /// Rows of what the decoder makes, with the padding.
        rows: u32,
        /// Pixels of an image, n.
        pixels: u32,
        /// Numbers that the decoder makes of an image: blocks of all pixels.
        cols: u32,
        /// The distance between rows of what the decoder makes.
        stride: u32,
        /// The distance between rows of x.
        x_stride: u32,
        /// Rows of one image.
        samples: u32,
        /// Whether the gradient is added to what is there.
        accumulate: u32,
    }
}

/// The total of an image without counts.
pub const LEAST: f32 = 1e-6;

const BY_ROW: &[Schedule] = &[plain(wgsl!("counts.wgsl"), Cover::Row)];
const BY_ITEM: &[Schedule] = &[plain(wgsl!("counts.wgsl"), Cover::Items(64))];

/// Invocations of a workgroup.
const LANES: u32 = 64;

/// logs (images, n) = log(1 + x) of counts x (images, n): what the encoder sees, since counts span decades
/// (Lopez et al. 2018).
pub static SEEN: Kernel<Counts, 2> = Kernel {
    name: "counts.seen",
    entry: "seen",
    bindings: [Binding::read("counts"), Binding::write("logs")],
    overrides: &[],
    schedules: BY_ITEM,
    reference: (seen, seen),
    cpu: Cpu::Rows(|p| Rows { images: p.len as usize, elements: [4, 4], part: |p, _| *p }),
    turns: |_| 0,
    flops: uncounted,
};

/// `log_mean` (images · samples, outputs · n) = log Σ x + made − log Σ exp made, with both sums over the n pixels, for
/// made (images · samples, outputs · n) and x (images, n): the mean of a pixel is the share that the softmax of
/// the row gives it of what the image counts (Lopez et al. 2018). Blocks past the first are passed on; rows that
/// the record does not fill are zero.
pub static SHARES: Kernel<Counts, 3> = Kernel {
    name: "counts.shares",
    entry: "shares",
    bindings: [Binding::read("made"), Binding::read("x"), Binding::write("log_mean")],
    overrides: &[],
    schedules: BY_ROW,
    reference: (shares, shares),
    cpu: Cpu::Rows(|p| rows(p, |x, made| [made, x, made])),
    turns: |p| 2 * turns(p.pixels, LANES) + turns(p.stride, LANES) + 2 * halvings(LANES),
    flops: uncounted,
};

/// dmade = dm − share Σ dm, for dm and dmade (images · samples, outputs · n), where share = exp m / Σ exp m is
/// the softmax; the sums are over the n pixels of a row. Nothing is added in rows that the record does not fill.
pub static BACKWARD: Kernel<Counts, 3> = Kernel {
    name: "counts.backward",
    entry: "backward",
    bindings: [Binding::read("made_log_mean"), Binding::read("dlog_mean"), Binding::write("dmade")],
    overrides: &[],
    schedules: BY_ROW,
    reference: (backward, backward),
    cpu: Cpu::Rows(|p| rows(p, |_, made| [made; 3])),
    turns: |p| turns(p.pixels, LANES) + turns(p.stride, LANES) + halvings(LANES),
    flops: uncounted,
};

/// Images with so many elements of each binding, by those of an image's x and of what was made of it.
fn rows<const N: usize>(p: &Counts, elements: fn(usize, usize) -> [usize; N]) -> Rows<Counts, N> {
    let part = |p: &Counts, images: Range<usize>| Counts {
        rows: rows_of(images, p.samples, p.rows),
        ..*p
    };
    let elements = elements(p.x_stride as usize, (p.samples * p.stride) as usize);
    Rows { images: p.rows.div_ceil(p.samples) as usize, elements, part }
}

fn seen<T: Real>(_: &Counts, _: &Record, [x, logs]: [Arg<'_, T>; 2]) {
    logs.write().iter_mut().zip(x.read()).for_each(|(to, x)| *to = x.ln_1p());
}

/// Makes the logits of shares, in place, the logarithms of means of this total.
pub(crate) fn share<T: Real>(logits: &mut [T], total: T) {
    let high = logits.iter().fold(T::neg_infinity(), |high, &v| high.max(v));
    let all = sum(logits.iter().map(|&v| (v - high).exp()));
    let shift = total.max(T::from_f32(LEAST)).ln() - all.ln();
    logits.iter_mut().for_each(|v| *v = (*v - high) + shift);
}

fn shares<T: Real>(p: &Counts, record: &Record, [made, x, log_mean]: [Arg<'_, T>; 3]) {
    let (made, x, to) = (made.read(), x.read(), log_mean.write());
    let (pixels, cols, stride) = (p.pixels as usize, p.cols as usize, p.stride as usize);
    for (row, to) in to.chunks_mut(stride).enumerate().take(p.rows as usize) {
        to.fill(T::zero());
        if row < (record.rows * p.samples) as usize {
            let x = &x[row / p.samples as usize * p.x_stride as usize..][..pixels];
            to[..cols].copy_from_slice(&made[row * stride..][..cols]);
            share(&mut to[..pixels], sum(x.iter().copied()));
        }
    }
}

fn backward<T: Real>(p: &Counts, record: &Record, [log_mean, d, to]: [Arg<'_, T>; 3]) {
    let (log_mean, d, to) = (log_mean.read(), d.read(), to.write());
    let (pixels, cols, stride) = (p.pixels as usize, p.cols as usize, p.stride as usize);
    for (row, to) in to.chunks_mut(stride).enumerate().take(p.rows as usize) {
        if p.accumulate == 0 {
            to.fill(T::zero());
        }
        if row >= (record.rows * p.samples) as usize {
            continue;
        }
        let (log_mean, d) = (&log_mean[row * stride..][..pixels], &d[row * stride..][..cols]);
        let all = sum(log_mean.iter().map(|m| m.exp()));
        let slope = sum(d[..pixels].iter().copied());
        to.iter_mut().zip(d).for_each(|(to, &d)| *to += d);
        to.iter_mut().zip(log_mean).for_each(|(to, m)| *to -= m.exp() / all * slope);
    }
}

/// Records what the encoder sees (images, n) of counts x (images, n).
pub fn see(tape: &mut Tape<'_>, x: Tensor) -> Tensor {
    let logs = tape.plan.matrix("log(1 + x)", x.rows(), x.cols());
    let len = x.words() / 4;
    tape.dispatch(
        &SEEN,
        Counts { len: size(len), ..Counts::default() },
        [x, logs],
        Grid::Flat(len),
    );
    logs
}

/// Records the logarithms of means that share the total of each of the images x (images, n), out of what the
/// decoder made of them (images · samples, outputs · n), and the gradient at that.
pub fn log_means(tape: &mut Tape<'_>, made: Tensor, x: Tensor) -> Tensor {
    let log_mean = tape.plan.matrix("log means", made.rows(), made.cols());
    let p = Counts {
        len: 0,
        rows: size(made.padded_rows()),
        pixels: size(x.cols()),
        cols: size(made.cols()),
        stride: size(made.stride()),
        x_stride: size(x.stride()),
        samples: size(made.rows() / x.rows()),
        accumulate: 0,
    };
    let grid = Grid::Rows(made.padded_rows());
    tape.dispatch(&SHARES, p, [made, x, log_mean], grid);
    tape.on_backward(&[made], move |tape| {
        let d = tape.grad(log_mean, GradSite::Output).expect("the likelihood made it");
        let to = tape.grad_out(made, GradSite::Output);
        let p = Counts { accumulate: to.accumulate(), ..p };
        tape.dispatch(&BACKWARD, p, [log_mean, d, to.at], grid);
    });
    log_mean
}

/// One pixel, ragged sizes, a log-scale behind the logits, several samples, partial batches, an image without
/// counts, two users, the size of a table of genes, and more than 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<_> = [(1, 1), (7, 37), (128, 2000), (262_200, 3)].map(seen_case).into();
    for (shape, outputs, samples, rows) in [
        ([1, 1], 1, 1, 1),
        ([5, 37], 1, 1, 5),
        ([17, 21], 2, 1, 11),
        ([6, 75], 2, 3, 5),
        ([64, 2000], 1, 1, 64),
        ([65_600, 3], 1, 1, 65_599),
    ] {
        cases.push(shares_case(shape, outputs, samples, rows));
    }
    cases
}

fn seen_case((rows, cols): (usize, usize)) -> Case {
    let mut case = Case::new(format!("counts.seen {rows}×{cols}"), rows);
    let x = case.input("x", [rows, cols], Fill::Words(counts(rows * cols, 9000)));
    case.record(|tape| see(tape, x));
    case
}

/// Counts below a bound, as bits: many small ones, and some zeros.
fn counts(len: usize, below: usize) -> Vec<u32> {
    (0..len).map(|i| ((i * i * 7 % below * (i % 3) / 2) as f32).to_bits()).collect()
}

fn shares_case([images, pixels]: [usize; 2], outputs: usize, samples: usize, rows: usize) -> Case {
    let name = format!("counts.shares {rows}/{images}×{samples}×{outputs}·{pixels}");
    let mut case = Case::new(name, rows);
    let shape = [images * samples, outputs * pixels];
    let made = case.input("made", shape, Fill::Uniform(1, -4.0, 4.0));
    let mut x = counts(images * pixels, 50);
    if images > 1 {
        x[pixels..2 * pixels].fill(0);
    }
    let x = case.input("x", [images, pixels], Fill::Words(x));
    let weights = [0; 2].map(|_| case.weight(shape));
    let (means, gradient) = case.record(|tape| {
        let means = [0; 2].map(|_| log_means(tape, made, x));
        means.iter().zip(&weights).for_each(|(&m, &weight)| tape.set_grad(m, weight));
        tape.backward();
        (means, tape.grad(made, GradSite::Output).expect("two rules wrote it"))
    });
    case.outputs.extend(means.into_iter().zip(weights.map(Weight::Of)));
    // The one pixel of an image has all of its total, whatever is made of it.
    if pixels > 1 {
        case.gradients.push((made, gradient));
    }
    // A sum over a row cancels against its elements.
    case.tolerance = 3e-6;
    case
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_share_the_total() {
        let mut logits = [0.3_f64, -50.0, 4.0, 1.5, -2.0, 0.0];
        let weights = logits.map(f64::exp);
        share(&mut logits, 1234.0);
        let all: f64 = weights.iter().sum();
        for (log_mean, weight) in logits.iter().zip(weights) {
            let expected = 1234.0 * weight / all;
            assert!((log_mean.exp() / expected - 1.0).abs() < 1e-13, "{log_mean} for {expected}");
        }
    }
}
