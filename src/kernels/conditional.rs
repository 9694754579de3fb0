//! The prior of a level that those above it make: log p(z | z above), and its gradients.

use std::ops::Range;

use crate::config::{Gradient, Posterior};
use crate::engine::kernel::params;
use crate::engine::record::rate;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, GradSite, Grid, Kernel, Real, Record, Rows, Schedule, Tape, Tensor,
    real, rows_of, uncounted,
};
use crate::kernels::bernoulli::bernoulli;
use crate::kernels::bound::{Losses, bound};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{plain, turns, wgsl};
use crate::kernels::draw::{self, Draw, weighed};
use crate::kernels::gaussian::{LocationScale, Noise, clamped, gaussian};

params! {
    /// Parameters of the kernels below.
    pub struct Conditional {
        /// Rows of z, with the padding.
        rows: u32,
        /// Dimensions of z, n.
        latent: u32,
        /// The distance between rows of z and dz.
        z_stride: u32,
        /// The distance between rows of the parts and their gradient.
        parts_stride: u32,
        /// How many z each image has.
        samples: u32,
        /// Whether dz is added to what is there.
        accumulate: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("conditional.wgsl"), Cover::Items(32))];

/// `log_ratio` (images · samples), log N(z; 0, I) − log q(z | below) before, is log p(z | above) − log q(z | below) plus `above`
/// (images · samples), the sum of the same over the levels above, then, in nats; for z (images · samples, n) and parts (images ·
/// samples, 2 n) = [μ | log σ²] of p(z | above).
pub static RELATE: Kernel<Conditional, 4> = Kernel {
    name: "conditional.relate",
    entry: "relate",
    bindings: [
        Binding::read("z"),
        Binding::read("parts"),
        Binding::read("above"),
        Binding::write_within("log_ratio"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (relate, relate),
    cpu: Cpu::Rows(|p| rows(p, |own, z, parts| [z, parts, own, own])),
    turns: |p| turns(p.latent, 1),
    flops: uncounted,
};

/// dz (images · samples, n) gets c ω ((z − μ) / σ² − z), the slope of −log p(z | above) less that of the standard normal, which the
/// posterior's rule adds, and dparts (images · samples, 2 n) is −c ω (z − μ) / σ² and ½ c ω (1 − (z − μ)² / σ²); c = loss scale ·
/// KL weight / samples, for ω (images · samples). Out of its bounds log σ² has none.
pub static BACKWARD: Kernel<Conditional, 5> = Kernel {
    name: "conditional.backward",
    entry: "backward",
    bindings: [
        Binding::read("z"),
        Binding::read("parts"),
        Binding::read("weight"),
        Binding::write_within("dz"),
        Binding::write_within("dparts"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (backward, backward),
    cpu: Cpu::Rows(|p| rows(p, |own, z, parts| [z, parts, own, z, parts])),
    turns: |_| 0,
    flops: uncounted,
};

/// Images with so many elements of each binding, which depend on how many z an image has, and on the elements of these and of
/// their parts.
fn rows<const N: usize>(
    p: &Conditional,
    elements: fn(usize, usize, usize) -> [usize; N],
) -> Rows<Conditional, N> {
    let part = |p: &Conditional, images: Range<usize>| Conditional {
        rows: rows_of(images, p.samples, p.rows),
        ..*p
    };
    let own = p.samples as usize;
    let elements = elements(own, own * p.z_stride as usize, own * p.parts_stride as usize);
    Rows { images: p.rows.div_ceil(p.samples) as usize, elements, part }
}

fn relate<T: Real>(p: &Conditional, record: &Record, args: [Arg<'_, T>; 4]) {
    let [z, parts, above, log_ratio] = args;
    let (z, parts, above) = (z.read(), parts.read(), above.read());
    let latent = p.latent as usize;
    for (row, log_ratio) in log_ratio.write().iter_mut().enumerate().take(p.rows as usize) {
        if row / p.samples as usize >= record.rows as usize {
            *log_ratio = T::zero();
            continue;
        }
        let z = &z[row * p.z_stride as usize..][..latent];
        let (mu, log_var) = parts[row * p.parts_stride as usize..][..2 * latent].split_at(latent);
        let mut sum = T::zero();
        for ((&z, &mu), &log_var) in z.iter().zip(mu).zip(log_var) {
            let log_var = clamped(log_var);
            sum += (z * z - log_var - (z - mu) * (z - mu) * (-log_var).exp()) * real(0.5);
        }
        *log_ratio += above[row] + sum;
    }
}

fn backward<T: Real>(p: &Conditional, record: &Record, args: [Arg<'_, T>; 5]) {
    let [z, parts, weight, dz, dparts] = args;
    let (z, parts, weight) = (z.read(), parts.read(), weight.read());
    let (dz, dparts) = (dz.write(), dparts.write());
    let rate = record.rates[rate::LOSS_SCALE] * record.rates[rate::KL_WEIGHT];
    let scale = real::<T>(rate / f64::from(p.samples));
    let latent = p.latent as usize;
    for (row, &weight) in weight.iter().enumerate().take(p.rows as usize) {
        let inside = row / (p.samples as usize) < record.rows as usize;
        let c = if inside { scale * weight } else { T::zero() };
        for j in 0..latent {
            let at = row * p.z_stride as usize + j;
            let [at_mu, at_log_var] = [0, latent].map(|of| row * p.parts_stride as usize + of + j);
            let raw = parts[at_log_var];
            let off = z[at] - parts[at_mu];
            let slope = off * (-clamped(raw)).exp();
            let before = if p.accumulate != 0 { dz[at] } else { T::zero() };
            let of = |value: T| if inside { c * value } else { T::zero() };
            dz[at] = before + of(slope - z[at]);
            dparts[at_mu] = -of(slope);
            let free = raw == clamped(raw);
            let at_width = of((T::one() - off * slope) * real(0.5));
            dparts[at_log_var] = if free { at_width } else { T::zero() };
        }
    }
}

/// Records that z is of N(μ, σ²), for parts = [μ | log σ²] (images · samples, 2 n) of the z of the draw `above`, after both draws: the
/// log-ratio of `draw` is the sum over both levels, and those above, then. What is minimised must weigh samples of `draw`, which
/// those above follow.
///
/// # Panics
///
/// If the shapes do not fit, or on the way back if no sample is weighed.
pub fn conditional(tape: &mut Tape<'_>, parts: Tensor, (draw, above): (Draw, Draw), images: usize) {
    let stores = "a draw of a level stores its log-ratio";
    let [log_ratio, total] = [draw, above].map(|draw| draw.log_ratio.expect(stores));
    let z = draw.z;
    assert_eq!(
        [parts.rows(), parts.cols()],
        [z.rows(), 2 * z.cols()],
        "conditional: a mean and a log-variance for each z"
    );
    let p = Conditional {
        rows: size(z.padded_rows()),
        latent: size(z.cols()),
        z_stride: size(z.stride()),
        parts_stride: size(parts.stride()),
        samples: size(z.rows() / images),
        accumulate: 0,
    };
    let rows = Grid::Flat(z.padded_rows());
    tape.dispatch(&RELATE, p, [z, parts, total, log_ratio], rows);
    tape.on_backward(&[z, parts], move |tape| {
        let how = weighed(tape, z).expect("levels weigh samples");
        // A level with bits for nothing has weights of its own.
        if weighed(tape, above.z).is_none() {
            draw::weigh(tape, above, how);
        }
        let [dz, dparts] = [z, parts].map(|of| tape.grad_out(of, GradSite::Output));
        assert!(!dparts.add, "conditional: only one prior reads its parts");
        let p = Conditional { accumulate: dz.accumulate(), ..p };
        let bindings = [z, parts, how.weight, dz.at, dparts.at];
        tape.dispatch(&BACKWARD, p, bindings, Grid::Flat(z.padded_rows() * z.cols()));
    });
}

/// One image and several, one z and several, under one logarithm and apart; a partial batch; log σ² past its bounds; more than
/// 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    [
        ([1, 1, 1], [1, 1], 1.5),
        ([7, 3, 6], [1, 1], 1.5),
        ([13, 5, 11], [2, 3], 1.5),
        ([20, 33, 20], [1, 4], 1.5),
        ([5, 2, 5], [1, 1], 40.0),
        ([2100, 1000, 2099], [1, 1], 1.0),
    ]
    .map(|(shape, groups, reach)| case(shape, groups, reach))
    .into()
}

/// A posterior of z, whose logits it is; one of a level above, of h that hangs on nothing; and parts as if of that.
fn case(
    [images, latent, inside]: [usize; 3],
    [groups, importance]: [usize; 2],
    reach: f32,
) -> Case {
    let name =
        format!("conditional {inside}/{images}×{latent} of {groups}×{importance} within ±{reach}");
    let mut case = Case::new(name, inside);
    let rows = images * groups * importance;
    let uniform = |seed, most: f32| Fill::Uniform(seed, -most, most);
    let parts = case.input("parts", [rows, 2 * latent], uniform(1, reach));
    let x = case.input("x", [images, latent], Fill::Uniform(2, 0.0, 1.0));
    let [nll, kl, extra] = [("nll", rows), ("kl", images), ("extra", images)]
        .map(|(name, len)| case.plan.vector(name, len));
    let mut level = |seed: u32, rows_of_h: usize, kl: Option<Tensor>| {
        let h = case.input("h", [rows_of_h, 2 * latent], uniform(seed, 1.0));
        let eps = case.input("eps", [rows, latent], uniform(seed + 1, 1.5));
        let z = case.plan.matrix("z", rows, latent);
        let log_ratio = Some(case.plan.vector("log-ratio", rows));
        let kl = kl.unwrap_or_else(|| case.plan.vector("kl above", rows_of_h));
        (
            LocationScale { h, family: Posterior::Normal, images, eps, site: 0 },
            Draw { z, log_ratio, kl },
        )
    };
    let (of, own) = level(10, images, Some(kl));
    let (of_above, above) = level(20, rows, None);
    let dz_above = case.plan.matrix("dz above", rows, latent);
    let gradients = case.record(|tape| {
        gaussian(tape, of, Noise::Given, own);
        gaussian(tape, of_above, Noise::Given, above);
        conditional(tape, parts, (own, above), images);
        bernoulli(tape, own.z, x, nll);
        let dz = tape.grad(own.z, GradSite::Output).expect("the likelihood made it");
        let way = (importance, Gradient::Standard);
        bound(tape, own, way, Losses { nll, extra }, &[dz]);
        // No network makes a gradient at it.
        tape.set_grad(above.z, dz_above);
        tape.backward();
        let at = |of| tape.grad(of, GradSite::Output).expect("the rules wrote it");
        [of.h, of_above.h, parts].map(|of| (of, at(of)))
    });
    if reach < 2.0 {
        let scale = case.record.rates[rate::LOSS_SCALE];
        let of_kl = scale * case.record.rates[rate::KL_WEIGHT];
        case.outputs = vec![
            (nll, Weight::Same(scale / (groups * importance) as f64)),
            // By the KL from N(0, I), which the bound has less.
            (kl, Weight::Same(of_kl)),
            (extra, Weight::Same(scale)),
        ];
        case.gradients = gradients.into();
    }
    case.tolerance = 2e-5;
    case
}
