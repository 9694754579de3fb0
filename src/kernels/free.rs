//! Free bits of the levels of z: what a level has of KL for nothing.

use crate::config::{Gradient, Posterior};
use crate::engine::kernel::params;
use crate::engine::record::rate;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Dtype, GradSite, Grid, Kernel, Real, Record, Tape, Tensor, real,
    uncounted,
};
use crate::kernels::bernoulli::bernoulli;
use crate::kernels::bound::{Losses, bound};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{halvings, plain, turns, wgsl};
use crate::kernels::draw::{self, Draw, Weighed, weighed};
use crate::kernels::gaussian::{LocationScale, Noise, gaussian};

params! {
    /// Parameters of the kernel below.
    pub struct Free {
        /// Rows of z, with the padding.
        rows: u32,
        /// Numbers of `extra`, with the padding.
        images: u32,
        /// How many z each image has.
        samples: u32,
    }
}

/// Invocations of a workgroup.
const LANES: u32 = 64;

/// gated (images · samples) = ω, or 0 where K is less than λ nats, for K = the mean over the minibatch of log q − log p of a level,
/// which is `above` − `log_ratio` (both images · samples), and the record's λ; and `extra` (images) gets w max(λ − K, 0), what w max(λ, K)
/// is more than w K (Kingma et al. 2016, eq. 15, with a level in place of a dimension).
pub static GATE: Kernel<Free, 5> = Kernel {
    name: "free.gate",
    entry: "gate",
    bindings: [
        Binding::read("log_ratio"),
        Binding::read("above"),
        Binding::read("weight"),
        Binding::write_within("gated"),
        Binding::write_within("extra"),
    ],
    overrides: &[],
    schedules: &[plain(wgsl!("common.total.wgsl", "free.wgsl"), Cover::Row)],
    reference: (gate, gate),
    cpu: Cpu::Reference,
    turns: |p| 2 * turns(p.rows, LANES) + turns(p.images, LANES) + halvings(LANES),
    flops: uncounted,
};

fn gate<T: Real>(p: &Free, record: &Record, args: [Arg<'_, T>; 5]) {
    let [log_ratio, above, weight, gated, extra] = args;
    let (log_ratio, above, weight) = (log_ratio.read(), above.read(), weight.read());
    let inside = (record.rows * p.samples) as usize;
    let mut sum = T::zero();
    log_ratio.iter().zip(above).take(inside).for_each(|(&own, &above)| sum += above - own);
    let mean = sum / real(inside as f64);
    let rate = |place: usize| real::<T>(record.rates[place]);
    let free = rate(rate::FREE);
    let gates = gated.write().iter_mut().zip(weight);
    for (gated, &weight) in gates.take(p.rows as usize) {
        *gated = if mean >= free { weight } else { T::zero() };
    }
    let missing = rate(rate::KL_WEIGHT) * (free - mean).max(T::zero());
    extra.write().iter_mut().take(record.rows as usize).for_each(|extra| *extra += missing);
}

/// Records, after the bound, that a level of z has bits for nothing, so many nats as the record says: `log_ratio` and `above` are
/// log p − log q of it and of what is above it, and of what is above it alone; z is its draw, `first` that of the first level.
///
/// # Panics
///
/// If no sample of the first level is weighed.
pub fn free(tape: &mut Tape<'_>, (of, first): (Draw, Draw), above: Option<Tensor>, extra: Tensor) {
    let how = weighed(tape, first.z).expect("levels weigh samples");
    let log_ratio = of.log_ratio.expect("a draw of a level stores its log-ratio");
    let rows = of.z.rows();
    // Nothing writes it: zeros.
    let above = above.unwrap_or_else(|| tape.plan.vector("log-ratio above the highest", rows));
    let gated = tape.plan.vector("weights of samples of a level", rows);
    let p = Free {
        rows: size(of.z.padded_rows()),
        images: size(extra.words()),
        samples: size(rows / extra.cols()),
    };
    tape.dispatch(&GATE, p, [log_ratio, above, how.weight, gated, extra], Grid::Rows(1));
    draw::weigh(tape, of, Weighed { weight: gated, ..how });
}

/// Levels that have more than is free and that have less; one image and several, one z and several; a partial batch; more rows
/// than lanes.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for shape in [[1, 1, 1, 1], [7, 3, 6, 1], [13, 5, 11, 4], [300, 2, 290, 3]] {
        cases.extend([-20.0, 20.0].map(|free| case(shape, free)));
    }
    cases
}

fn case([images, latent, inside, samples]: [usize; 4], free_nats: f64) -> Case {
    let name = format!("free {inside}/{images}×{latent} of {samples}, {free_nats} nats");
    let mut case = Case::new(name, inside);
    case.record.rates[rate::FREE] = free_nats;
    let rows = images * samples;
    let h = case.input("h", [images, 2 * latent], Fill::Uniform(1, -1.0, 1.0));
    let eps = case.input("eps", [rows, latent], Fill::Uniform(2, -1.5, 1.5));
    let x = case.input("x", [images, latent], Fill::Uniform(3, 0.0, 1.0));
    let above = case.input_line("above", rows, Dtype::F32, Fill::Uniform(4, -1.0, 1.0));
    let [nll, kl, extra] = [("nll", rows), ("kl", images), ("extra", images)]
        .map(|(name, len)| case.plan.vector(name, len));
    let z = case.plan.matrix("z", rows, latent);
    let draw = Draw { z, log_ratio: Some(case.plan.vector("log-ratio", rows)), kl };
    let dh = case.record(|tape| {
        gaussian(
            tape,
            LocationScale { h, family: Posterior::Normal, images, eps, site: 0 },
            Noise::Given,
            draw,
        );
        bernoulli(tape, z, x, nll);
        let dz = tape.grad(z, GradSite::Output).expect("the likelihood made it");
        let way = (1, Gradient::Standard);
        bound(tape, draw, way, Losses { nll, extra }, &[dz]);
        free(tape, (draw, draw), Some(above), extra);
        tape.backward();
        tape.grad(h, GradSite::Output).expect("the rule wrote it")
    });
    let scale = case.record.rates[rate::LOSS_SCALE];
    let of_kl = scale * case.record.rates[rate::KL_WEIGHT];
    case.outputs = vec![
        (nll, Weight::Same(scale / samples as f64)),
        (kl, Weight::Same(of_kl)),
        (extra, Weight::Same(scale)),
    ];
    case.gradients = vec![(h, dh)];
    case.tolerance = 2e-5;
    case
}
