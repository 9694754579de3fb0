//! Bounds of importance-weighted samples, and the ways to the encoder's gradient.

use std::ops::Range;

use crate::config::Gradient;
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
use crate::kernels::gaussian::{KlGradient, Noise, clamped, gaussian};

params! {
    /// Parameters of the kernels of bounds.
    pub struct Bound {
        /// Rows of z, with the padding.
        rows: u32,
        /// Dimensions of z, n.
        latent: u32,
        /// The distance between rows of h.
        h_stride: u32,
        /// The distance between rows of z, ε and dz; of `scale`, those of the gradient.
        z_stride: u32,
        /// How many z each image has, S.
        samples: u32,
        /// How many of them are under one logarithm, K.
        importance: u32,
        /// The code of the way that the encoder's gradient goes.
        gradient: u32,
        /// Whether dz is added to what is there.
        accumulate: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("philox.wgsl", "bound.wgsl"), Cover::Items(32))];

/// log w (images · S) of each z, in nats: −nll + ½ β Σ (ε² + log σ² − z²), as the constants of both
/// normals cancel, for nll (images · S), h (images, 2 n) = [μ | log σ²], ε and z (images · S, n);
/// β is the record's KL weight. Burda et al. 2016, eq. 8.
pub static MEASURE: Kernel<Bound, 5> = Kernel {
    name: "bound.measure",
    entry: "measure",
    bindings: [
        Binding::read("nll"),
        Binding::read("h"),
        Binding::read("eps"),
        Binding::read("z"),
        Binding::write("log_weight"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (measure, measure),
    cpu: Cpu::Rows(|p| rows(p, |own, h, z| [own, h, z, z, own])),
    turns: |p| turns(p.latent, 1),
    flops: uncounted,
};

/// The weight ω (images · S) = K w / Σ w of each z, of mean 1 among the K of a group, and extra
/// (images): what the bound −1/M Σ log 1/K Σ w over the M = S / K groups, in nats, is more than
/// the mean of nll and the weighted KL, for log w (`measured`) and nll (`lost`), both (images ·
/// S), and kl (images). Burda et al. 2016, eq. 8 and 14; Rainforth et al. 2018, eq. 9.
pub static WEIGH: Kernel<Bound, 5> = Kernel {
    name: "bound.weigh",
    entry: "weigh",
    bindings: [
        Binding::read("measured"),
        Binding::read("lost"),
        Binding::read("kl"),
        Binding::write("weight"),
        Binding::write("extra"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (weigh, weigh),
    cpu: Cpu::Rows(|p| rows(p, |own, _, _| [own, own, 1, own, 1])),
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
    cpu: Cpu::Rows(|p| rows(p, |own, _, z| [own, z])),
    turns: |_| 0,
    flops: uncounted,
};

/// dz (images · S, n) with the prior's share of the bound's gradient and, but for the standard
/// gradient, that of the posterior's density at z: dz + c ω (z − ε / σ), for ω (images · S), h
/// (images, 2 n), ε and z (images · S, n) and c = loss scale · KL weight / S (Roeder et al.
/// 2017); doubly reparameterised, ω² / K stands for ω (Tucker et al. 2018, eq. 8).
pub static BACKWARD: Kernel<Bound, 5> = Kernel {
    name: "bound.backward",
    entry: "backward",
    bindings: [
        Binding::read("back_weight"),
        Binding::read("back_h"),
        Binding::read("back_eps"),
        Binding::read("back_z"),
        Binding::write("dz"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (backward, backward),
    cpu: Cpu::Rows(|p| rows(p, |own, h, z| [own, h, z, z, z])),
    turns: |_| 0,
    flops: uncounted,
};

/// Images with so many elements of each binding, which depend on how many samples an image has, and on the
/// elements of its h and z.
fn rows<const N: usize>(
    p: &Bound,
    elements: fn(usize, usize, usize) -> [usize; N],
) -> Rows<Bound, N> {
    let part =
        |p: &Bound, images: Range<usize>| Bound { rows: rows_of(images, p.samples, p.rows), ..*p };
    let (samples, h) = (p.samples as usize, p.h_stride as usize);
    let elements = elements(samples, h, samples * p.z_stride as usize);
    Rows { images: p.rows.div_ceil(p.samples) as usize, elements, part }
}

/// Each group's samples are looked at three times: for the highest, the sum and the weights.
fn weigh_turns(p: &Bound) -> u64 {
    let groups = u64::from(p.samples / p.importance);
    groups * (1 + 3 * turns(p.importance, 1)) + 1
}

fn measure<T: Real>(p: &Bound, record: &Record, [nll, h, eps, z, log_weight]: [Arg<'_, T>; 5]) {
    let (nll, h, eps, z) = (nll.read(), h.read(), eps.read(), z.read());
    let log_weight = log_weight.write();
    let latent = p.latent as usize;
    for row in 0..p.rows as usize {
        let of = row / p.samples as usize;
        if of >= record.rows as usize {
            log_weight[row] = T::zero();
            continue;
        }
        // log p(z) − log q(z | x), together, since both are far larger than their difference.
        let mut ratio = T::zero();
        for j in 0..latent {
            let at = row * p.z_stride as usize + j;
            let log_var = clamped(h[of * p.h_stride as usize + latent + j]);
            ratio += (eps[at] * eps[at] + log_var - z[at] * z[at]) * real(0.5);
        }
        log_weight[row] = ratio * real(record.rates[rate::KL_WEIGHT]) - nll[row];
    }
}

fn weigh<T: Real>(
    p: &Bound,
    record: &Record,
    [log_weight, nll, kl, omega, extra]: [Arg<'_, T>; 5],
) {
    let (log_weight, nll, kl) = (log_weight.read(), nll.read(), kl.read());
    let (omega, extra) = (omega.write(), extra.write());
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
            let most = log_weight[group.clone()].iter().fold(T::neg_infinity(), |a, &b| a.max(b));
            let mut total = T::zero();
            log_weight[group.clone()].iter().for_each(|&log_w| total += (log_w - most).exp());
            for row in group {
                omega[row] = count(importance) * (log_weight[row] - most).exp() / total;
            }
            bound -= most + (total / count(importance)).ln();
        }
        let mut losses = T::zero();
        nll[first..first + samples].iter().for_each(|&nll| losses += nll);
        extra[of] = bound / count(samples / importance)
            - losses / count(samples)
            - kl[of] * real(record.rates[rate::KL_WEIGHT]);
    }
}

fn scale<T: Real>(p: &Bound, _: &Record, [omega, gradient]: [Arg<'_, T>; 2]) {
    let rows = gradient.write().chunks_mut(p.z_stride as usize);
    for (row, &omega) in rows.zip(omega.read()).take(p.rows as usize) {
        row.iter_mut().for_each(|d| *d *= omega);
    }
}

fn backward<T: Real>(p: &Bound, record: &Record, [omega, h, eps, z, dz]: [Arg<'_, T>; 5]) {
    let (omega, h, eps, z, dz) = (omega.read(), h.read(), eps.read(), z.read(), dz.write());
    let (latent, samples) = (p.latent as usize, p.samples as usize);
    let rate = |place: usize| real::<T>(record.rates[place]);
    let weight = rate(rate::LOSS_SCALE) * rate(rate::KL_WEIGHT) / real(f64::from(p.samples));
    for (row, &omega) in omega.iter().enumerate().take(p.rows as usize) {
        let of = row / samples;
        for j in 0..latent {
            let at = row * p.z_stride as usize + j;
            let sigma = (clamped(h[of * p.h_stride as usize + latent + j]) * real(0.5)).exp();
            // −∂log p(z)/∂z = z, −∂log q(z | x)/∂z = (z − μ) / σ² = ε / σ.
            let (prior, posterior) = (z[at], eps[at] / sigma);
            let before = if p.accumulate != 0 { dz[at] } else { T::zero() };
            let through_z = match Gradient::ALL[p.gradient as usize] {
                Gradient::Standard => before + weight * omega * prior,
                Gradient::Stl => before + weight * omega * (prior - posterior),
                Gradient::Dreg => {
                    let share = omega / real(f64::from(p.importance));
                    share * (before + weight * omega * (prior - posterior))
                }
            };
            dz[at] = if of < record.rows as usize { through_z } else { T::zero() };
        }
    }
}

/// What of the KL's gradient does not come through z: in the standard one, what q's density has at h.
#[must_use]
pub fn kl_gradient(gradient: Gradient) -> KlGradient {
    match gradient {
        Gradient::Standard => KlGradient::Entropy,
        Gradient::Stl | Gradient::Dreg => KlGradient::Elsewhere,
    }
}

/// What of an image's z's a bound is made of: h (images, 2 n), ε and z (images · samples, n).
#[derive(Clone, Copy, Debug)]
pub struct Samples {
    /// μ and log σ².
    pub h: Tensor,
    /// ε.
    pub eps: Tensor,
    /// The latent.
    pub z: Tensor,
}

/// A bound that is recorded: its parameters and the weights of its samples.
#[derive(Clone, Copy, Debug)]
pub struct Weighing {
    p: Bound,
    of: Samples,
    log_weight: Tensor,
    weight: Tensor,
}

/// Records, right after `gaussian`, that dz gets the prior's and the posterior's share of a bound of
/// groups of `importance` samples, on the way back. The weights come with [`weigh_samples`].
pub fn weighing(
    tape: &mut Tape<'_>,
    of: Samples,
    importance: usize,
    gradient: Gradient,
) -> Weighing {
    let Samples { h, eps, z } = of;
    let samples = z.rows() / h.rows();
    assert_eq!(samples % importance, 0, "bound: {samples} samples in groups of {importance}");
    let p = Bound {
        rows: size(z.padded_rows()),
        latent: size(z.cols()),
        h_stride: size(h.stride()),
        z_stride: size(z.stride()),
        samples: size(samples),
        importance: size(importance),
        gradient: gradient.code(),
        accumulate: 0,
    };
    let log_weight = tape.plan.vector("log-weights", z.rows());
    let weight = tape.plan.vector("weights of samples", z.rows());
    tape.on_backward(move |tape| {
        let (dz, accumulate) = tape.grad_out(z, GradSite::Output);
        let p = Bound { accumulate: u32::from(accumulate), ..p };
        let grid = Grid::Flat(z.padded_rows() * z.cols());
        tape.dispatch(&BACKWARD, p, [weight, h, eps, z, dz], grid);
    });
    Weighing { p, of, log_weight, weight }
}

/// Records, after the likelihood, the weights of samples whose losses are `nll` (images · samples); the
/// `gradients` that the likelihood made, rows or numbers each of a sample, times them; and `extra`
/// (images), which makes the objective the bound.
pub fn weigh_samples(
    tape: &mut Tape<'_>,
    weighing: Weighing,
    gradients: &[Tensor],
    (nll, kl, extra): (Tensor, Tensor, Tensor),
) {
    let Weighing { p, of: Samples { h, eps, z }, log_weight, weight } = weighing;
    let rows = z.padded_rows();
    tape.dispatch(&MEASURE, p, [nll, h, eps, z, log_weight], Grid::Flat(rows));
    let images = rows.div_ceil(p.samples as usize);
    tape.dispatch(&WEIGH, p, [log_weight, nll, kl, weight, extra], Grid::Flat(images));
    // Alone in its group a sample weighs 1.
    if p.importance > 1 {
        for &gradient in gradients {
            let stride = gradient.words() / rows;
            let p = Bound { z_stride: size(stride), ..p };
            tape.dispatch(&SCALE, p, [weight, gradient], Grid::Flat(gradient.words()));
        }
    }
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
            cases.push(case(shape, groups, within, gradient));
        }
    }
    cases
}

fn case(
    [images, latent, pixels, inside]: [usize; 4],
    [groups, importance]: [usize; 2],
    within: (f32, f32),
    gradient: Gradient,
) -> Case {
    let name = format!(
        "bound {gradient:?} {inside}/{images}×{latent} of {groups}×{importance} within {within:?}"
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
    let (dmade, dh) = case.record(|tape| {
        gaussian(tape, Noise::Given, h, (eps, z, kl), kl_gradient(gradient));
        let weighing = weighing(tape, Samples { h, eps, z }, importance, gradient);
        bernoulli(tape, made, x, nll);
        let dmade = tape.grad(made, GradSite::Output).expect("the likelihood made it");
        weigh_samples(tape, weighing, &[dmade, each], (nll, kl, extra));
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
