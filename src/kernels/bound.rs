//! Bounds of importance-weighted samples, and the ways to the encoder's gradient.

use std::ops::Range;

use crate::config::{Gradient, Posterior};
use crate::engine::kernel::params;
use crate::engine::record::rate;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Dtype, GradSite, Grid, Kernel, Real, Record, Rows, Schedule, Tape,
    Tensor, real, rows_of, uncounted,
};
use crate::kernels::bernoulli::bernoulli;
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{plain, turns, wgsl};
use crate::kernels::draw::{self, Draw, Weighed};
use crate::kernels::gaussian::{LocationScale, Noise, gaussian};

params! {
    /// Parameters of the kernels of bounds.
    pub struct Bound {
        /// Rows of z, with the padding.
        rows: u32,
        /// The distance between rows of the gradient that is scaled.
        stride: u32,
        /// How many z each image has, S.
        samples: u32,
        /// How many of them are under one logarithm, K.
        importance: u32,
        /// In how many parts the loss of a z comes.
        parts: u32,
        /// The distance between the first parts of two z.
        parts_stride: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("bound.wgsl"), Cover::Items(32))];

/// The weight ω (images · S) = K w / Σ w of each z, of mean 1 among the K of a group, and extra
/// (images): what the bound −1/M Σ log 1/K Σ w over the M = S / K groups, in nats, is more than
/// the mean of nll and the weighted KL, for log w = β `log_ratio` − nll, both (images · S), and kl
/// (images); β is the record's KL weight. Burda et al. 2016, eq. 8 and 14; Rainforth et al. 2018, eq. 9.
pub static WEIGH: Kernel<Bound, 5> = Kernel {
    name: "bound.weigh",
    entry: "weigh",
    bindings: [
        Binding::read("nll"),
        Binding::read("log_ratio"),
        Binding::read("kl"),
        Binding::write_within("weight"),
        Binding::write_within("extra"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (weigh, weigh),
    cpu: Cpu::Rows(|p| rows(p, |own, _, losses| [losses, own, 1, own, 1])),
    turns: weigh_turns,
    flops: uncounted,
};

/// dmade (images · S, n) ← ω dmade, row by row, for ω (images · S).
pub static SCALE: Kernel<Bound, 2> = Kernel {
    name: "bound.scale",
    entry: "scale",
    bindings: [Binding::read("row_weight"), Binding::write("dmade")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (scale, scale),
    cpu: Cpu::Rows(|p| rows(p, |own, gradient, _| [own, gradient])),
    turns: |_| 0,
    flops: uncounted,
};

/// Images with so many elements of each binding, which depend on how many samples an image has, and on the
/// elements of its gradient and of its losses.
fn rows<const N: usize>(
    p: &Bound,
    elements: fn(usize, usize, usize) -> [usize; N],
) -> Rows<Bound, N> {
    let part =
        |p: &Bound, images: Range<usize>| Bound { rows: rows_of(images, p.samples, p.rows), ..*p };
    let samples = p.samples as usize;
    let per_sample = [p.stride, p.parts_stride].map(|n| samples * n as usize);
    let elements = elements(samples, per_sample[0], per_sample[1]);
    Rows { images: p.rows.div_ceil(p.samples) as usize, elements, part }
}

/// Each group's samples are looked at four times: for log w, the highest, the sum and the weights.
fn weigh_turns(p: &Bound) -> u64 {
    let groups = u64::from(p.samples / p.importance);
    let parts = u64::from(p.samples) * turns(p.parts, 1);
    groups * (1 + 4 * turns(p.importance, 1)) + parts + 1
}

fn weigh<T: Real>(p: &Bound, record: &Record, [nll, log_ratio, kl, omega, extra]: [Arg<'_, T>; 5]) {
    let (nll, log_ratio, kl) = (nll.read(), log_ratio.read(), kl.read());
    let (omega, extra) = (omega.write(), extra.write());
    let kl_weight = real::<T>(record.rates[rate::KL_WEIGHT]);
    let loss = |row: usize| {
        let parts = &nll[row * p.parts_stride as usize..][..p.parts as usize];
        parts.iter().fold(T::zero(), |sum, &part| sum + part)
    };
    let log_weight = |row: usize| log_ratio[row] * kl_weight - loss(row);
    let (samples, importance) = (p.samples as usize, p.importance as usize);
    let count = |n: usize| real::<T>(n as f64);
    for first in (0..p.rows as usize).step_by(samples) {
        let of = first / samples;
        if of >= record.rows as usize {
            omega[first..(p.rows as usize).min(first + samples)].fill(T::zero());
            extra[of] = T::zero();
            continue;
        }
        let mut bound = T::zero();
        for group in 0..samples / importance {
            let group = first + group * importance..first + (group + 1) * importance;
            let most = group.clone().map(log_weight).fold(T::neg_infinity(), T::max);
            let mut total = T::zero();
            group.clone().for_each(|row| total += (log_weight(row) - most).exp());
            for row in group {
                omega[row] = count(importance) * (log_weight(row) - most).exp() / total;
            }
            bound -= most + (total / count(importance)).ln();
        }
        let mut losses = T::zero();
        (first..first + samples).for_each(|row| losses += loss(row));
        extra[of] =
            bound / count(samples / importance) - losses / count(samples) - kl[of] * kl_weight;
    }
}

fn scale<T: Real>(p: &Bound, _: &Record, [omega, gradient]: [Arg<'_, T>; 2]) {
    let rows = gradient.write().chunks_mut(p.stride as usize);
    for (row, &omega) in rows.zip(omega.read()).take(p.rows as usize) {
        row.iter_mut().for_each(|d| *d *= omega);
    }
}

/// What a bound is made of, and where what it adds to the objective goes.
#[derive(Clone, Copy, Debug)]
pub struct Losses {
    /// −log p(x | z) of each z (images · samples), or in parts (images · samples, parts), in nats.
    pub nll: Tensor,
    /// What the bound is more than the mean of nll and the weighted KL (images), in nats.
    pub extra: Tensor,
}

/// Records, after the likelihood, the weights of a draw's samples, `importance` under one logarithm; the
/// `gradients` that the likelihood made, rows or numbers each of a sample, times them; and `extra`, which
/// makes the objective the bound. The gradient at the posterior goes the way that is asked for.
pub fn bound(
    tape: &mut Tape<'_>,
    draw: Draw,
    (importance, gradient): (usize, Gradient),
    Losses { nll, extra }: Losses,
    gradients: &[Tensor],
) {
    let Draw { z, log_ratio, kl } = draw;
    let (rows, samples) = (z.padded_rows(), z.rows() / kl.cols());
    assert_eq!(samples % importance, 0, "bound: {samples} samples in groups of {importance}");
    let log_ratio = log_ratio.expect("a draw whose samples are weighed stores its log-ratio");
    let weight = tape.plan.vector("weights of samples", z.rows());
    // A vector is one row.
    let [parts, parts_stride] = if nll.rows() == 1 { [1; 2] } else { [nll.cols(), nll.stride()] };
    let p = Bound {
        rows: size(rows),
        stride: 1,
        samples: size(samples),
        importance: size(importance),
        parts: size(parts),
        parts_stride: size(parts_stride),
    };
    let images = Grid::Flat(rows.div_ceil(samples));
    tape.dispatch(&WEIGH, p, [nll, log_ratio, kl, weight, extra], images);
    // Alone in its group a sample weighs 1.
    if importance > 1 {
        for &gradient in gradients {
            let p = Bound { stride: size(gradient.words() / rows), ..p };
            tape.dispatch(&SCALE, p, [weight, gradient], Grid::Flat(gradient.words()));
        }
    }
    draw::weigh(tape, draw, Weighed { weight, importance, gradient });
}

/// One sample, one group, several groups, groups of one; a partial batch, log σ² past its lower bound, more
/// than 65,535 workgroups; every gradient, of which the standard one is a derivative.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, groups, within) in [
        ([1, 1, 5, 1], [1, 1], (-2.0, 2.0)),
        ([7, 3, 9, 6], [1, 8], (-2.0, 2.0)),
        ([13, 5, 21, 11], [3, 4], (-2.0, 2.0)),
        ([19, 2, 4, 19], [5, 1], (-2.0, 2.0)),
        ([5, 3, 4, 5], [1, 50], (-34.0, 3.0)),
        ([101, 40, 1, 99], [2, 260], (-1.0, 1.0)),
    ] {
        for gradient in Gradient::ALL {
            cases.push(case(shape, groups, within, (gradient, Posterior::Normal)));
        }
    }
    for gradient in Gradient::ALL {
        for family in [Posterior::Laplace, Posterior::Logistic] {
            cases.push(case([7, 3, 9, 6], [2, 4], (-2.0, 2.0), (gradient, family)));
        }
    }
    cases
}

fn case(
    [images, latent, pixels, inside]: [usize; 4],
    [groups, importance]: [usize; 2],
    within: (f32, f32),
    (gradient, family): (Gradient, Posterior),
) -> Case {
    let name = format!(
        "bound {gradient:?} {family:?} {inside}/{images}×{latent} of {groups}×{importance} within {within:?}"
    );
    let mut case = Case::new(name, inside);
    let rows = images * groups * importance;
    // Means within the upper limit: in z² of larger ones f32 loses what samples differ by.
    let (low, high) = within;
    let wave = |i: usize| (1.7 * i as f32).sin();
    let value = |i: usize| match i % (2 * latent) < latent {
        true => high * wave(i),
        false => low + (high - low) * (0.5 + 0.5 * wave(i)),
    };
    let values = (0..images * 2 * latent).map(|i| value(i).to_bits()).collect();
    let h = case.input("h", [images, 2 * latent], Fill::Words(values));
    let eps = case.input("eps", [rows, latent], Fill::Uniform(2, -1.0, 1.0));
    let made = case.input("made", [rows, pixels], Fill::Uniform(3, -1.0, 1.0));
    let x = case.input("x", [images, pixels], Fill::Uniform(4, 0.0, 1.0));
    let z = case.plan.matrix("z", rows, latent);
    // A gradient of one number a row.
    let each = case.input_line("each", rows, Dtype::F32, Fill::Uniform(5, -1.0, 1.0));
    let (nll, kl) = (case.plan.vector("nll", rows), case.plan.vector("kl", images));
    let extra = case.plan.vector("extra", images);
    let dz = case.plan.matrix("dz", rows, latent);
    let log_ratio = Some(case.plan.vector("log-ratio", rows));
    let draw = Draw { z, log_ratio, kl };
    let (dmade, dh) = case.record(|tape| {
        gaussian(tape, LocationScale { h, family, images, eps, site: 0 }, Noise::Given, draw);
        bernoulli(tape, made, x, nll);
        let dmade = tape.grad(made, GradSite::Output).expect("the likelihood made it");
        bound(tape, draw, (importance, gradient), Losses { nll, extra }, &[dmade, each]);
        // No decoder makes a gradient at z.
        tape.set_grad(z, dz);
        tape.backward();
        (dmade, tape.grad(h, GradSite::Output).expect("the rules wrote it"))
    });
    let scale = case.record.rates[rate::LOSS_SCALE];
    if gradient == Gradient::Standard {
        let kl_weight = scale * case.record.rates[rate::KL_WEIGHT];
        let of_nll = scale / (groups * importance) as f64;
        case.outputs = vec![
            (nll, Weight::Same(of_nll)),
            (kl, Weight::Same(kl_weight)),
            (extra, Weight::Same(scale)),
        ];
        case.gradients = vec![(made, dmade), (h, dh)];
    }
    // A weight is the exponential of a difference of sums over the dimensions.
    case.tolerance = 2e-5;
    case
}
