//! The total correlation of z, by minibatch-weighted sampling, and its gradients.

use crate::engine::kernel::params;
use crate::engine::record::rate;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, GradSite, Grid, Kernel, Real, Record, Schedule, Tape, Tensor, real,
};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{plain, sum, wgsl};
use crate::kernels::gaussian::clamped;

params! {
    /// Parameters of the kernels of the total correlation.
    pub struct TotalCorrelation {
        /// Rows, with the padding.
        rows: u32,
        /// Dimensions of z.
        latent: u32,
        /// The distance between rows of h.
        h_stride: u32,
        /// The distance between rows of z.
        z_stride: u32,
        /// The distance between rows of what is told of pairs.
        stride: u32,
        /// Whether what is written is added to what is there.
        add: u32,
        /// The weight, less the one that the KL divergence gives.
        weight: f32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("total_correlation.wgsl"), Cover::Items(64))];

/// log q(z | x) of each z and each image's posterior.
pub static DENSITIES: Kernel<TotalCorrelation, 3> = Kernel {
    name: "total_correlation.densities",
    entry: "densities",
    bindings: [Binding::read("z"), Binding::read("h"), Binding::write("joint")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (densities, densities),
    cpu: None,
};

/// The logarithm of the sum of the posteriors' densities, of each dimension alone.
pub static SINGLE: Kernel<TotalCorrelation, 3> = Kernel {
    name: "total_correlation.single",
    entry: "single",
    bindings: [Binding::read("z"), Binding::read("h"), Binding::write("marginals")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (single, single),
    cpu: None,
};

/// What each image has more for it.
pub static PENALTY: Kernel<TotalCorrelation, 4> = Kernel {
    name: "total_correlation.penalty",
    entry: "penalty",
    bindings: [
        Binding::read("given_joint"),
        Binding::read("given_marginals"),
        Binding::write("total"),
        Binding::write("extra"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (penalty, penalty),
    cpu: None,
};

const BACK: [Binding; 6] = [
    Binding::read("back_z"),
    Binding::read("back_h"),
    Binding::read("back_joint"),
    Binding::read("back_total"),
    Binding::read("back_marginals"),
    Binding::write("grad"),
];

/// The gradient at z.
pub static BACKWARD_Z: Kernel<TotalCorrelation, 6> = Kernel {
    name: "total_correlation.backward_z",
    entry: "backward_z",
    bindings: BACK,
    overrides: &[],
    schedules: SCHEDULES,
    reference: (backward_z, backward_z),
    cpu: None,
};

/// The gradient at the posteriors.
pub static BACKWARD_H: Kernel<TotalCorrelation, 6> = Kernel {
    name: "total_correlation.backward_h",
    entry: "backward_h",
    bindings: BACK,
    overrides: &[],
    schedules: SCHEDULES,
    reference: (backward_h, backward_h),
    cpu: None,
};

/// The z and the posteriors of a minibatch.
#[derive(Clone, Copy)]
struct Batch<'a, T> {
    z: &'a [T],
    h: &'a [T],
    p: &'a TotalCorrelation,
    rows: usize,
}

impl<T: Real> Batch<'_, T> {
    /// zᵢ, μⱼ and log σⱼ² of dimension d.
    fn of(&self, i: usize, j: usize, d: usize) -> [T; 3] {
        let at = j * self.p.h_stride as usize + d;
        let log_var = clamped(self.h[at + self.p.latent as usize]);
        [self.z[i * self.p.z_stride as usize + d], self.h[at], log_var]
    }

    /// log N(zᵢ; μⱼ, σⱼ²) in dimension d.
    fn log_density(&self, i: usize, j: usize, d: usize) -> T {
        let [z, mu, log_var] = self.of(i, j, d);
        let tau = real::<T>(std::f64::consts::TAU.ln());
        -((z - mu) * (z - mu) / log_var.exp() + log_var + tau) * real(0.5)
    }
}

/// log Σ exp.
fn log_sum<T: Real>(values: impl Iterator<Item = T> + Clone) -> T {
    let most = values.clone().fold(T::from_f32(f32::MIN), T::max);
    most + sum(values.map(|value| (value - most).exp())).ln()
}

fn densities<T: Real>(p: &TotalCorrelation, record: &Record, [z, h, joint]: [Arg<'_, T>; 3]) {
    let batch = Batch { z: z.read(), h: h.read(), p, rows: record.rows as usize };
    for (i, row) in joint.write().chunks_mut(p.stride as usize).enumerate() {
        row.fill(T::zero());
        if i >= batch.rows {
            continue;
        }
        for (j, joint) in row[..batch.rows].iter_mut().enumerate() {
            *joint = sum((0..p.latent as usize).map(|d| batch.log_density(i, j, d)));
        }
    }
}

fn single<T: Real>(p: &TotalCorrelation, record: &Record, [z, h, marginals]: [Arg<'_, T>; 3]) {
    let batch = Batch { z: z.read(), h: h.read(), p, rows: record.rows as usize };
    for (i, row) in marginals.write().chunks_mut(p.z_stride as usize).enumerate() {
        row.fill(T::zero());
        if i >= batch.rows {
            continue;
        }
        for (d, marginal) in row[..p.latent as usize].iter_mut().enumerate() {
            *marginal = log_sum((0..batch.rows).map(|j| batch.log_density(i, j, d)));
        }
    }
}

fn penalty<T: Real>(p: &TotalCorrelation, record: &Record, args: [Arg<'_, T>; 4]) {
    let [joint, marginals, total, extra] = args;
    let (joint, marginals) = (joint.read(), marginals.read());
    let (total, extra) = (total.write(), extra.write());
    let rows = record.rows as usize;
    // q(z) and each q(z_d) are sums over N M.
    let pairs = real::<T>((f64::from(record.images) * f64::from(record.rows)).ln());
    for i in 0..p.rows as usize {
        let before = if p.add != 0 { extra[i] } else { T::zero() };
        (total[i], extra[i]) = (T::zero(), before);
        if i < rows {
            total[i] = log_sum(joint[i * p.stride as usize..][..rows].iter().copied());
            let own = &marginals[i * p.z_stride as usize..][..p.latent as usize];
            let apart = sum(own.iter().map(|&marginal| marginal - pairs));
            extra[i] = before + T::from_f32(p.weight) * (total[i] - pairs - apart);
        }
    }
}

/// The derivative of log q(zᵢ) − Σ log q of each dimension by log q(zᵢ | xⱼ) in dimension d.
fn share<T: Real>(batch: Batch<'_, T>, [joint, total, marginals]: [&[T]; 3], at: [usize; 3]) -> T {
    let ([i, j, d], p) = (at, batch.p);
    let together = (joint[i * p.stride as usize + j] - total[i]).exp();
    let alone = batch.log_density(i, j, d) - marginals[i * p.z_stride as usize + d];
    together - alone.exp()
}

fn backward_z<T: Real>(p: &TotalCorrelation, record: &Record, args: [Arg<'_, T>; 6]) {
    let [z, h, joint, total, marginals, dz] = args;
    let batch = Batch { z: z.read(), h: h.read(), p, rows: record.rows as usize };
    let (sums, dz) = ([joint.read(), total.read(), marginals.read()], dz.write());
    let weight = T::from_f32(p.weight) * real(record.rates[rate::LOSS_SCALE]);
    for i in 0..p.rows as usize {
        for d in 0..p.latent as usize {
            let mut sum = T::zero();
            for j in (0..batch.rows).filter(|_| i < batch.rows) {
                let [z, mu, log_var] = batch.of(i, j, d);
                sum -= share(batch, sums, [i, j, d]) * (z - mu) / log_var.exp();
            }
            let at = i * p.z_stride as usize + d;
            dz[at] = if p.add != 0 { dz[at] } else { T::zero() } + weight * sum;
        }
    }
}

fn backward_h<T: Real>(p: &TotalCorrelation, record: &Record, args: [Arg<'_, T>; 6]) {
    let [z, h, joint, total, marginals, dh] = args;
    let batch = Batch { z: z.read(), h: h.read(), p, rows: record.rows as usize };
    let (sums, dh) = ([joint.read(), total.read(), marginals.read()], dh.write());
    let (latent, one) = (p.latent as usize, T::one());
    let weight = T::from_f32(p.weight) * real(record.rates[rate::LOSS_SCALE]);
    for j in 0..p.rows as usize {
        for d in 0..latent {
            let (mut d_mu, mut d_log_var) = (T::zero(), T::zero());
            for i in (0..batch.rows).filter(|_| j < batch.rows) {
                let [z, mu, log_var] = batch.of(i, j, d);
                let (share, off) = (share(batch, sums, [i, j, d]), z - mu);
                d_mu += share * off / log_var.exp();
                d_log_var += share * (off * off / log_var.exp() - one) * real(0.5);
            }
            let at = j * p.h_stride as usize + d;
            let raw = batch.h[at + latent];
            if raw != clamped(raw) {
                d_log_var = T::zero();
            }
            for (at, value) in [(at, d_mu), (at + latent, d_log_var)] {
                dh[at] = if p.add != 0 { dh[at] } else { T::zero() } + weight * value;
            }
        }
    }
}

/// Records `weight` times the total correlation of z (batch, n), drawn from the posteriors h (batch, 2 n)
/// = [μ | log σ²], added to `extra` (batch) if others wrote it before; and the gradients at both.
pub fn total_correlation(
    tape: &mut Tape<'_>,
    weight: f64,
    (z, h): (Tensor, Tensor),
    (extra, add): (Tensor, bool),
) {
    let (rows, latent) = (z.padded_rows(), z.cols());
    let joint = tape.plan.matrix("log q(z | x) of pairs", z.rows(), z.rows());
    let marginals = tape.plan.matrix("log q of each dimension", z.rows(), latent);
    let total = tape.plan.vector("log q(z)", z.rows());
    let p = TotalCorrelation {
        rows: size(rows),
        latent: size(latent),
        h_stride: size(h.stride()),
        z_stride: size(z.stride()),
        stride: size(joint.stride()),
        add: u32::from(add),
        weight: weight as f32,
    };
    let items = Grid::Flat(rows * latent);
    tape.dispatch(&DENSITIES, p, [z, h, joint], Grid::Flat(joint.words()));
    tape.dispatch(&SINGLE, p, [z, h, marginals], items);
    tape.dispatch(&PENALTY, p, [joint, marginals, total, extra], Grid::Flat(rows));
    tape.on_backward(move |tape| {
        for (kernel, of) in [(&BACKWARD_Z, z), (&BACKWARD_H, h)] {
            let (grad, add) = tape.grad_out(of, GradSite::Output);
            let p = TotalCorrelation { add: u32::from(add), ..p };
            tape.dispatch(kernel, p, [z, h, joint, total, marginals, grad], items);
        }
    });
}

/// One image, ragged sizes, a partial batch, log σ² past both bounds, a z and h with two users, the
/// classic size, and more than 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, latent, record_rows, reach) in [
        (1, 1, 1, 1.0),
        (2, 3, 2, 1.0),
        (7, 3, 7, 1.0),
        (33, 20, 30, 1.0),
        (20, 9, 20, 40.0),
        (128, 20, 128, 1.0),
    ] {
        cases.push(case([rows, latent], record_rows, reach, 1));
    }
    cases.push(case([7, 3], 6, 1.0, 2));
    cases.push(case([2064, 3], 5, 1.0, 1));
    cases
}

fn case([rows, latent]: [usize; 2], record_rows: usize, reach: f32, times: usize) -> Case {
    let name = format!("total_correlation {record_rows}/{rows}×{latent} within ±{reach}, {times}×");
    let mut case = Case::new(name, record_rows);
    case.record.images = 60_000;
    let z = case.input("z", [rows, latent], Fill::Uniform(1, -2.0, 2.0));
    let h = case.input("h", [rows, 2 * latent], Fill::Uniform(2, -reach, reach));
    let extra = case.plan.vector("extra", rows);
    let grads = case.record(|tape| {
        for time in 0..times {
            total_correlation(tape, 5.0, (z, h), (extra, time > 0));
        }
        tape.backward();
        [z, h].map(|of| tape.grad(of, GradSite::Output).expect("the rule wrote it"))
    });
    case.outputs.push((extra, Weight::Same(case.record.rates[rate::LOSS_SCALE])));
    if record_rows > 1 && reach < 2.0 {
        case.gradients.extend([(z, grads[0]), (h, grads[1])]);
    }
    case.tolerance = 1e-5;
    case
}
