//! Mixtures of normals as priors: log p(z), the KL divergence that it leaves, and their gradients.

mod cases;
mod reference;

use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Binding, Cover, Cpu, GradSite, Grid, Kernel, Schedule, Tape, Tensor, uncounted,
};
use crate::kernels::common::{halvings, plain, turns, wgsl};
use crate::kernels::draw::{Draw, Weighed, weighed};
use reference::{
    backward_logits, backward_parts, backward_z, densities, mean_ratio, prepare, share,
};

pub(crate) use cases::cases;

params! {
    /// Parameters of the kernels of learned priors.
    pub struct Prior {
        /// Rows of z, with the padding.
        rows: u32,
        /// Dimensions of z, n.
        latent: u32,
        /// Components, K.
        count: u32,
        /// Rows of the components' parts, with the padding.
        parts_rows: u32,
        /// The distance between rows of z and dz.
        z_stride: u32,
        /// The distance between rows of the parts.
        parts_stride: u32,
        /// The distance between rows of the shares.
        stride: u32,
        /// How many z each image has.
        samples: u32,
        /// Whether a gradient is added to what is there.
        accumulate: u32,
    }
}

const SOURCE: &[crate::engine::Wgsl] = wgsl!("common.total.wgsl", "prior.wgsl");
const SCHEDULES: &[Schedule] = &[plain(SOURCE, Cover::Items(64))];
const ROWS: &[Schedule] = &[plain(SOURCE, Cover::Row)];

/// Invocations of a workgroup.
const LANES: u32 = 64;

/// wide (2 n, K) = [μ; 1 / σ²] and base (K) = log π − ½ Σ log σ² of components whose weights π are the softmax of logits (K),
/// for parts (K, 2 n) = [μ | log σ²], log σ² within its bounds.
pub static PREPARE: Kernel<Prior, 4> = Kernel {
    name: "prior.prepare",
    entry: "prepare",
    bindings: [
        Binding::read("logits"),
        Binding::read("parts"),
        Binding::write_within("wide"),
        Binding::write_within("base"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (prepare, prepare),
    cpu: Cpu::Reference,
    turns: |p| turns(p.latent, 1) + 2 * turns(p.count, 1),
    flops: uncounted,
};

/// terms (images · samples, K) = log `π_k` N(z; `μ_k`, `σ_k`²) + ½ n log 2π, for z (images · samples, n), wide (2 n, K) and
/// base (K); zero in rows that the record does not fill.
pub static DENSITIES: Kernel<Prior, 4> = Kernel {
    name: "prior.densities",
    entry: "densities",
    bindings: [
        Binding::read("z"),
        Binding::read("given_wide"),
        Binding::read("given_base"),
        Binding::write("terms"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (densities::<f32, false>, densities::<f64, false>),
    cpu: Cpu::Own(densities::<f32, true>),
    turns: |p| turns(p.latent, 1),
    flops: uncounted,
};

/// shares (images · samples, K): from the terms of log p(z) to the components' shares of it, which add up to 1; and
/// `log_ratio` (images · samples), log N(z; 0, I) − log q(z | x) before, is log p(z) − log q(z | x) then, in nats.
pub static SHARE: Kernel<Prior, 3> = Kernel {
    name: "prior.share",
    entry: "share",
    bindings: [
        Binding::read("z"),
        Binding::write_within("shares"),
        Binding::write_within("log_ratio"),
    ],
    overrides: &[],
    schedules: ROWS,
    reference: (share::<f32, false>, share::<f64, false>),
    cpu: Cpu::Own(share::<f32, true>),
    turns: |p| 3 * turns(p.count, LANES) + turns(p.latent, LANES) + 3 * halvings(LANES),
    flops: uncounted,
};

/// kl (images) = −mean of `log_ratio` (images · samples) over the z of each image, in nats: the KL divergence of q(z | x) from
/// p(z) as its samples estimate it (Kingma and Welling 2014, eq. 6).
pub static DIVERGENCE: Kernel<Prior, 2> = Kernel {
    name: "prior.divergence",
    entry: "divergence",
    bindings: [Binding::read("given_log_ratio"), Binding::write_within("kl")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (mean_ratio, mean_ratio),
    cpu: Cpu::Reference,
    turns: |p| turns(p.samples, 1),
    flops: uncounted,
};

/// dz (images · samples, n) gets c ω (Σ `share_k` (z − `μ_k`) / `σ_k`² − z), the slope of −log p(z) less that of the standard
/// normal, which the posterior's rule adds; c = loss scale · KL weight / samples, for ω (images · samples).
pub static BACKWARD_Z: Kernel<Prior, 5> = Kernel {
    name: "prior.backward_z",
    entry: "backward_z",
    bindings: [
        Binding::read("z"),
        Binding::read("given_wide"),
        Binding::read("given_shares"),
        Binding::read("weight"),
        Binding::write_within("dz"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (backward_z::<f32, false>, backward_z::<f64, false>),
    cpu: Cpu::Own(backward_z::<f32, true>),
    turns: |p| turns(p.count, 1),
    flops: uncounted,
};

/// dparts (K, 2 n): the same at μ and log σ² of the components, the sum over all z; log σ² has none out of its bounds.
pub static BACKWARD_PARTS: Kernel<Prior, 6> = Kernel {
    name: "prior.backward_parts",
    entry: "backward_parts",
    bindings: [
        Binding::read("z"),
        Binding::read("given_wide"),
        Binding::read("given_shares"),
        Binding::read("weight"),
        Binding::write_within("dparts"),
        Binding::read("back_parts"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (backward_parts::<f32, false>, backward_parts::<f64, false>),
    cpu: Cpu::Own(backward_parts::<f32, true>),
    turns: |p| turns(p.rows, 1),
    flops: uncounted,
};

/// dlogits (K): the same at the logits.
pub static BACKWARD_LOGITS: Kernel<Prior, 4> = Kernel {
    name: "prior.backward_logits",
    entry: "backward_logits",
    bindings: [
        Binding::read("logits"),
        Binding::read("summed_shares"),
        Binding::read("summed_weight"),
        Binding::write_within("dlogits"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (backward_logits, backward_logits),
    cpu: Cpu::Reference,
    turns: |p| 2 * turns(p.count, 1) + turns(p.rows, 1),
    flops: uncounted,
};

/// The components of a mixture of normals of independent dimensions.
#[derive(Clone, Copy, Debug)]
pub struct Mixture {
    /// [μ | log σ²] of each (K, 2 n).
    pub parts: Tensor,
    /// What their weights are the softmax of (K).
    pub logits: Tensor,
    /// Whether the logits are learned.
    pub learns_logits: bool,
}

/// Records that z is of a mixture, after a draw whose log-ratio is to the standard normal: the log-ratio is to the mixture
/// then. What is minimised must weigh samples, and the
/// gradients at z and at the mixture are of that (Tomczak and Welling 2018, eq. 5; the formulas from softmax and the normal
/// density).
///
/// # Panics
///
/// If the shapes do not fit, or on the way back if no sample is weighed.
pub fn mixture(tape: &mut Tape<'_>, of: Mixture, draw: Draw, images: usize) {
    let Mixture { parts, logits, learns_logits } = of;
    let Draw { z, log_ratio, .. } = draw;
    let log_ratio = log_ratio.expect("a draw of a mixture stores its log-ratio");
    let (latent, count) = (z.cols(), parts.rows());
    assert_eq!(parts.cols(), 2 * latent, "mixture: a mean and a log-variance for each z");
    assert_eq!(logits.cols(), count, "mixture: a logit for each component");
    let wide = tape.plan.matrix("components side by side", 2 * latent, count);
    let base = tape.plan.vector("log-weights of components", count);
    let shares = tape.plan.matrix("shares of components", z.rows(), count);
    let p = Prior {
        rows: size(z.padded_rows()),
        latent: size(latent),
        count: size(count),
        parts_rows: size(parts.padded_rows()),
        z_stride: size(z.stride()),
        parts_stride: size(parts.stride()),
        stride: size(shares.stride()),
        samples: size(z.rows() / images),
        accumulate: 0,
    };
    tape.dispatch(&PREPARE, p, [logits, parts, wide, base], Grid::Flat(count));
    tape.dispatch(&DENSITIES, p, [z, wide, base, shares], Grid::Flat(shares.words()));
    tape.dispatch(&SHARE, p, [z, shares, log_ratio], Grid::Rows(z.padded_rows()));
    tape.on_backward(&[z, parts], move |tape| {
        let Weighed { weight, .. } = weighed(tape, z).expect("a learned prior weighs samples");
        let mut to = |of| {
            let grad = tape.grad_out(of, GradSite::Output);
            (Prior { accumulate: grad.accumulate(), ..p }, grad.at)
        };
        let [(at_z, dz), (at_parts, dparts)] = [z, parts].map(&mut to);
        let at_logits = learns_logits.then(|| to(logits));
        let each = Grid::Flat(z.padded_rows() * latent);
        tape.dispatch(&BACKWARD_Z, at_z, [z, wide, shares, weight, dz], each);
        let each = Grid::Flat(parts.padded_rows() * latent);
        let bindings = [z, wide, shares, weight, dparts, parts];
        tape.dispatch(&BACKWARD_PARTS, at_parts, bindings, each);
        if let Some((p, dlogits)) = at_logits {
            let bindings = [logits, shares, weight, dlogits];
            tape.dispatch(&BACKWARD_LOGITS, p, bindings, Grid::Flat(count));
        }
    });
}

/// Records kl (images), the divergence that the log-ratios (images · samples) of z estimate.
pub fn divergence(tape: &mut Tape<'_>, log_ratio: Tensor, (z, kl): (Tensor, Tensor)) {
    let samples = size(z.rows() / kl.cols());
    let p = Prior { rows: size(z.padded_rows()), samples, ..Prior::default() };
    let images = Grid::Flat(z.padded_rows().div_ceil(samples as usize));
    tape.dispatch(&DIVERGENCE, p, [log_ratio, kl], images);
}
