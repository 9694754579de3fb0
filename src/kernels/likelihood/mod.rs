//! −log p(x | z) of the families but Bernoulli's, with its gradient in the same dispatch.

mod cases;
mod family;
mod gamma;
mod lanes;
mod mixture;

use std::ops::Range;

use crate::config::{Blocks, Likelihood, Makes, ModelConfig, Scale};
use crate::engine::kernel::params;
use crate::engine::record::rate;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Dtype, GradSite, Grid, Kernel, Real, Record, Rows, Schedule, Tape,
    Tensor, Update, real, rows_of, uncounted,
};
use crate::kernels::common::{self, Sum, halvings, plain, turns, turns_in_parts, wgsl};
use crate::kernels::norm::scaled_square;
use crate::kernels::optimizer::{Optimizer, adam_by};
use crate::kernels::philox::philox;

pub(crate) use cases::cases;
pub(crate) use family::{draw, mean};
pub use mixture::{MIXTURE, Mixture};

params! {
    /// Parameters of the likelihood kernels.
    pub struct Pixelwise {
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
        /// The likelihood's code.
        family: u32,
        /// The code of where the scale comes from.
        scale: u32,
        /// Levels of a pixel.
        levels: u32,
        /// Whether the gradient of the one log-scale is added to what is there.
        accumulate: u32,
        /// Whether weight decay is apart from the gradient.
        decoupled: u32,
        /// The fixed scale, in units of the pixels, or the inverse dispersion.
        sigma: f32,
    }
}

const SCHEDULES: &[Schedule] =
    &[plain(wgsl!("likelihood.wgsl", "likelihood.pixels.wgsl"), Cover::Row)];

/// Invocations of a workgroup.
const LANES: u32 = 64;

/// nll (images · samples) = −log p(x | made), in nats, and its gradient dmade (images · samples,
/// outputs · n) times the record's `loss_scale` over the samples, for made (images · samples,
/// outputs · n), in blocks of all pixels, and x (images, n). The families and their sources are
/// in `family`. Rows that the record does not fill are zero.
pub static FORWARD: Kernel<Pixelwise, 4> = Kernel {
    name: "likelihood.forward",
    entry: "forward",
    bindings: [
        Binding::read("made"),
        Binding::read("x"),
        Binding::write("nll"),
        Binding::write("dmade"),
    ],
    overrides: &["family", "scale"],
    schedules: SCHEDULES,
    reference: (forward, forward),
    cpu: Cpu::Rows(|p| rows(p, |x, made, own| [made, x, own, made])),
    turns: row_turns,
    flops: uncounted,
};

/// The same with one log-scale (1) for all pixels; `dlog_scale` (images · samples) is its gradient
/// of each row.
pub static FORWARD_SHARED: Kernel<Pixelwise, 6> = Kernel {
    name: "likelihood.forward_shared",
    entry: "forward_shared",
    bindings: [
        Binding::read("made"),
        Binding::read("x"),
        Binding::write("nll"),
        Binding::write("dmade"),
        Binding::read("log_scale"),
        Binding::write("dlog_scale"),
    ],
    overrides: &["family", "scale"],
    schedules: SCHEDULES,
    reference: (forward_shared, forward_shared),
    cpu: Cpu::Rows(|p| rows(p, |x, made, own| [made, x, own, made, 0, own])),
    turns: row_turns,
    flops: uncounted,
};

/// whole (1) = Σ each (images · samples), in a fixed order.
pub static SUM: Kernel<Pixelwise, 2> = Kernel {
    name: "likelihood.sum",
    entry: "sum",
    bindings: [Binding::read("each"), Binding::write("whole")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (sum, sum),
    cpu: Cpu::Reference,
    turns: |p| turns_in_parts(p.rows, LANES) + halvings(LANES),
    flops: uncounted,
};

/// Adam's update of the one log-scale, by the sum over the rows.
pub static SUM_ADAM: Kernel<Pixelwise, 5> = Kernel {
    name: "likelihood.sum_adam",
    entry: "sum_adam",
    bindings: [
        Binding::read("each"),
        Binding::flags("guard_words"),
        Binding::write("weights"),
        Binding::write("first"),
        Binding::write("second"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (sum_adam, sum_adam),
    cpu: Cpu::Reference,
    turns: SUM.turns,
    flops: uncounted,
};

/// [`SUM_ADAM`], and the square of the gradient (4), in the unit of [`SHRINK`](crate::kernels::norm::SHRINK) squared, for the norm of all: zero
/// while the guard's status is set.
pub static SUM_ADAM_SQUARES: Kernel<Pixelwise, 6> = Kernel {
    name: "likelihood.sum_adam_squares",
    entry: "sum_adam_squares",
    bindings: [
        Binding::read("each"),
        Binding::flags("guard_words"),
        Binding::write("weights"),
        Binding::write("first"),
        Binding::write("second"),
        Binding::write("squares"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (sum_adam_squares, sum_adam_squares),
    cpu: Cpu::Reference,
    turns: SUM.turns,
    flops: uncounted,
};

/// Turns in which a shader brings the argument of the gamma function to where its series is good.
const SHIFTS: u64 = 5;

/// The lanes share the pixels of a row, and each looks twice at the levels of its own; a row
/// that the record does not fill is zeroed instead.
fn row_turns(p: &Pixelwise) -> u64 {
    let of_a_pixel = match Likelihood::ALL[p.family as usize] {
        Likelihood::Categorical => 2 * turns(p.levels, 1),
        Likelihood::Poisson => SHIFTS,
        Likelihood::NegativeBinomial => 3 * SHIFTS,
        _ => 0,
    };
    let pixels = turns_in_parts(p.pixels, LANES) + u64::from(p.pixels.div_ceil(LANES)) * of_a_pixel;
    let filled = pixels + turns(p.stride - p.cols, LANES);
    filled.max(turns(p.stride, LANES)) + halvings(LANES)
}

/// Images with so many elements of each binding, which depend on those of an image's x, of what was made of
/// it, and on how many rows it has.
fn rows<const N: usize>(
    p: &Pixelwise,
    elements: fn(usize, usize, usize) -> [usize; N],
) -> Rows<Pixelwise, N> {
    let part = |p: &Pixelwise, images: Range<usize>| Pixelwise {
        rows: rows_of(images, p.samples, p.rows),
        ..*p
    };
    let samples = p.samples as usize;
    let elements = elements(p.x_stride as usize, samples * p.stride as usize, samples);
    Rows { images: p.rows.div_ceil(p.samples) as usize, elements, part }
}

/// −log p of one row of what was made, and the slope at a log-scale that is not the decoder's, both
/// before any weight; the gradient at what was made goes to `d`, times `weight`.
fn row<T: Real>(
    p: &Pixelwise,
    (made, x): (&[T], &[T]),
    log_scale: T,
    (d, weight): (&mut [T], T),
) -> [T; 2] {
    let (pixels, cols) = (p.pixels as usize, p.cols as usize);
    let mut own = vec![T::zero(); cols / pixels];
    let mut slopes = own.clone();
    let mut sums = [Sum::new(); 2];
    for (j, &x) in x[..pixels].iter().enumerate() {
        own.iter_mut()
            .zip(made[j..cols].iter().step_by(pixels))
            .for_each(|(own, &made)| *own = made);
        let found = family::pixel(p, &own, x, log_scale, &mut slopes);
        sums.iter_mut().zip(found).for_each(|(sum, found)| sum.add(found));
        for (d, &slope) in d[j..cols].iter_mut().step_by(pixels).zip(&slopes) {
            *d = slope * weight;
        }
    }
    d[cols..].fill(T::zero());
    sums.map(|sum| sum.total())
}

/// Makes the loss `nll` of row `at` and its gradient `d`, or zeros if the record does not fill
/// it; gives the slope at a log-scale that is not the decoder's, times the weight.
fn one<T: Real>(
    p: &Pixelwise,
    record: &Record,
    (made, x): (&[T], &[T]),
    log_scale: T,
    (at, nll, d): (usize, &mut T, &mut [T]),
) -> T {
    let (samples, stride) = (p.samples as usize, p.x_stride as usize);
    if at >= record.rows as usize * samples {
        *nll = T::zero();
        d.fill(T::zero());
        return T::zero();
    }
    let weight = real::<T>(record.rates[rate::LOSS_SCALE] / f64::from(p.samples));
    let x = &x[at / samples * stride..][..stride];
    let made = &made[at * p.stride as usize..][..p.stride as usize];
    let [loss, slope] = row(p, (made, x), log_scale, (d, weight));
    *nll = loss;
    slope * weight
}

fn forward<T: Real>(p: &Pixelwise, record: &Record, [made, x, nll, d]: [Arg<'_, T>; 4]) {
    let (given, log_scale) = ((made.read(), x.read()), T::from_f32(p.sigma).ln());
    let rows = nll.write().iter_mut().zip(d.write().chunks_mut(p.stride as usize));
    for (at, (nll, d)) in rows.enumerate().take(p.rows as usize) {
        one(p, record, given, log_scale, (at, nll, d));
    }
}

fn forward_shared<T: Real>(p: &Pixelwise, record: &Record, args: [Arg<'_, T>; 6]) {
    let [made, x, nll, d, log_scale, slopes] = args;
    let (given, (log_scale, slope)) =
        ((made.read(), x.read()), family::bounded(log_scale.read()[0]));
    let rows = nll.write().iter_mut().zip(d.write().chunks_mut(p.stride as usize));
    for (at, ((nll, d), to)) in rows.zip(slopes.write()).enumerate().take(p.rows as usize) {
        *to = slope * one(p, record, given, log_scale, (at, nll, d));
    }
}

/// The sum over the rows.
fn sum_of<T: Real>(p: &Pixelwise, each: &[T]) -> T {
    common::sum(each[..p.rows as usize].iter().copied())
}

fn sum<T: Real>(p: &Pixelwise, _: &Record, [each, whole]: [Arg<'_, T>; 2]) {
    let whole = whole.write();
    let before = if p.accumulate != 0 { whole[0] } else { T::zero() };
    whole[0] = before + sum_of(p, each.read());
}

fn sum_adam<T: Real>(p: &Pixelwise, record: &Record, args: [Arg<'_, T>; 5]) {
    let [each, guard, w, m, v] = args;
    let g = sum_of(p, each.read());
    let rule = Optimizer { decoupled: p.decoupled, ..Optimizer::default() };
    adam_by(&rule, record, (&[g], T::one()), [w, m, v], guard.words_mut());
}

fn sum_adam_squares<T: Real>(p: &Pixelwise, record: &Record, args: [Arg<'_, T>; 6]) {
    let [each, guard, w, m, v, squares] = args;
    let (each, guard) = (each.read(), guard.words_mut());
    let g = sum_of(p, each);
    squares.write()[0] = if guard[0] == 0 { scaled_square(&[g]) } else { T::zero() };
    sum_adam(p, record, [Arg::Read(each), Arg::WriteWords(guard), w, m, v]);
}

/// Records nll, in nats, of x (images, n) under what was made of it (images · samples, all blocks), which of counts has
/// the logarithms of means first, with the one log-scale (1) where the scale is shared. The gradient at what was made, times the record's scale
/// over the samples, is made at once; so is that at the log-scale, of which each row has its share: it
/// is returned, and on the way back it becomes one number.
pub fn likelihood(
    tape: &mut Tape<'_>,
    model: &ModelConfig,
    samples: usize,
    observed: Observed,
    log_scale: Option<Tensor>,
) -> Option<Tensor> {
    let Observed { made, blocks, x, nll } = observed;
    assert_eq!(made.cols(), blocks.numbers(), "likelihood: {blocks:?} of an image");
    assert_eq!(made.rows(), samples * x.rows(), "likelihood: {samples} rows of an image");
    if model.likelihood.makes() == Makes::Components {
        mixture::mixture(tape, model, samples, observed);
        return None;
    }
    assert_eq!(blocks.len, x.cols(), "likelihood: a block of all pixels");
    let dmade = tape.plan.matrix("dmade", made.rows(), made.cols());
    let p = Pixelwise {
        rows: size(made.padded_rows()),
        pixels: size(x.cols()),
        cols: size(made.cols()),
        stride: size(made.stride()),
        x_stride: size(x.stride()),
        samples: size(samples),
        family: model.likelihood.code(),
        scale: model.scale.code(),
        levels: size(model.levels),
        accumulate: 0,
        decoupled: 0,
        sigma: model.sigma as f32,
    };
    let grid = Grid::Rows(made.padded_rows());
    tape.set_grad(made, dmade);
    let Some(log_scale) = log_scale else {
        tape.dispatch(&FORWARD, p, [made, x, nll, dmade], grid);
        return None;
    };
    let each = tape.plan.vector("dlog_scale", made.rows());
    tape.dispatch(&FORWARD_SHARED, p, [made, x, nll, dmade, log_scale, each], grid);
    tape.leaf(&[log_scale], true, move |tape, update| match update {
        None => {
            let whole = tape.grad_out(log_scale, GradSite::Output);
            let p = Pixelwise { accumulate: whole.accumulate(), ..p };
            tape.dispatch(&SUM, p, [each, whole.at], Grid::Rows(1));
        }
        Some(Update { guard, decoupled, squares }) => {
            let [first, second] = tape.parameters.moments_of(tape.plan, log_scale);
            let p = Pixelwise { decoupled: u32::from(decoupled), ..p };
            let bindings = [each, guard, log_scale, first, second];
            match squares {
                None => tape.dispatch(&SUM_ADAM, p, bindings, Grid::Rows(1)),
                Some(squares) => {
                    let bindings = [each, guard, log_scale, first, second, squares];
                    tape.dispatch(&SUM_ADAM_SQUARES, p, bindings, Grid::Rows(1));
                }
            }
        }
    });
    Some(each)
}

/// What a likelihood compares, and the loss that it makes.
#[derive(Clone, Copy, Debug)]
pub struct Observed {
    /// What the decoder made (images · samples, all blocks).
    pub made: Tensor,
    /// How that lies.
    pub blocks: Blocks,
    /// The images (images, pixels).
    pub x: Tensor,
    /// −log p(x | z) of each row (images · samples), nats.
    pub nll: Tensor,
}
