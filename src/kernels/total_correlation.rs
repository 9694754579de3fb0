//! The total correlation of z, by minibatch-weighted sampling, and its gradients.

use crate::engine::kernel::params;
use crate::engine::record::rate;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, GradSite, Grid, Kernel, Real, Record, Schedule, Tape, Tensor,
    each_row, real, uncounted,
};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{plain, turns, wgsl};
use crate::kernels::gaussian::clamped;

params! {
    /// Parameters of the kernels of the total correlation.
    pub struct TotalCorrelation {
        /// Rows of z, with the padding.
        rows: u32,
        /// Dimensions of z, n.
        latent: u32,
        /// The distance between rows of h.
        h_stride: u32,
        /// The distance between rows of z.
        z_stride: u32,
        /// The distance between rows of the matrix of pairs.
        stride: u32,
        /// Whether `extra`, or a gradient, is added to what is there.
        accumulate: u32,
        /// The weight, less the one that the KL divergence gives.
        weight: f32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("total_correlation.wgsl"), Cover::Items(64))];

/// joint (batch, batch) = log q(zᵢ | xⱼ) = Σ log N(zᵢ; μⱼ, σⱼ²) over the dimensions, for z
/// (batch, n) and h (batch, 2 n) = [μ | log σ²].
pub static DENSITIES: Kernel<TotalCorrelation, 3> = Kernel {
    name: "total_correlation.densities",
    entry: "densities",
    bindings: [Binding::read("z"), Binding::read("h"), Binding::write("joint")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (densities::<f32, false>, densities::<f64, false>),
    cpu: Cpu::Own(densities::<f32, true>),
    turns: |p| turns(p.latent, 1),
    flops: uncounted,
};

/// marginals (batch, n) = log Σⱼ N(zᵢ; μⱼ, σⱼ²) of each dimension alone, for z (batch, n) and h
/// (batch, 2 n).
pub static SINGLE: Kernel<TotalCorrelation, 3> = Kernel {
    name: "total_correlation.single",
    entry: "single",
    bindings: [Binding::read("z"), Binding::read("h"), Binding::write_within("marginals")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (single::<f32, false>, single::<f64, false>),
    cpu: Cpu::Own(single::<f32, true>),
    turns: |p| 2 * turns(p.rows, 1),
    flops: uncounted,
};

/// total (batch) = log Σⱼ q(zᵢ | xⱼ), and extra (batch) = weight · (log q(z) − Σ log q of each
/// dimension), in nats, where q is 1 / (N M) of the sum over the M images of the minibatch, of N
/// (Chen et al. 2018, eq. 4 and S5); for joint (batch, batch) and marginals (batch, n).
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
    reference: (penalty::<f32, false>, penalty::<f64, false>),
    cpu: Cpu::Own(penalty::<f32, true>),
    turns: |p| 2 * turns(p.rows, 1) + turns(p.latent, 1),
    flops: uncounted,
};

const BACK: [Binding; 6] = [
    Binding::read("back_z"),
    Binding::read("back_h"),
    Binding::read("back_joint"),
    Binding::read("back_total"),
    Binding::read("back_marginals"),
    Binding::write_within("grad"),
];

/// grad (batch, n): the gradient at z of the sum of `extra`, for z (batch, n), h (batch, 2 n),
/// joint (batch, batch), total (batch) and marginals (batch, n).
pub static BACKWARD_Z: Kernel<TotalCorrelation, 6> = Kernel {
    name: "total_correlation.backward_z",
    entry: "backward_z",
    bindings: BACK,
    overrides: &[],
    schedules: SCHEDULES,
    reference: (backward_z::<f32, false>, backward_z::<f64, false>),
    cpu: Cpu::Own(backward_z::<f32, true>),
    turns: |p| turns(p.rows, 1),
    flops: uncounted,
};

/// grad (batch, 2 n): the same at the posteriors h.
pub static BACKWARD_H: Kernel<TotalCorrelation, 6> = Kernel {
    name: "total_correlation.backward_h",
    entry: "backward_h",
    bindings: BACK,
    overrides: &[],
    schedules: SCHEDULES,
    reference: (backward_h::<f32, false>, backward_h::<f64, false>),
    cpu: Cpu::Own(backward_h::<f32, true>),
    turns: |p| turns(p.rows, 1),
    flops: uncounted,
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

    /// How often one image meets a dimension of another.
    fn turns(&self) -> usize {
        self.rows * self.p.latent as usize
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
    let mut sum = T::zero();
    values.for_each(|value| sum += (value - most).exp());
    most + sum.ln()
}

fn densities<T: Real, const PARALLEL: bool>(
    p: &TotalCorrelation,
    record: &Record,
    [z, h, joint]: [Arg<'_, T>; 3],
) {
    let batch = Batch { z: z.read(), h: h.read(), p, rows: record.rows as usize };
    let (stride, turns) = (p.stride as usize, batch.turns());
    each_row::<_, PARALLEL>(joint.write(), stride, turns, |i, row| {
        row.fill(T::zero());
        if i >= batch.rows {
            return;
        }
        for (j, joint) in row[..batch.rows].iter_mut().enumerate() {
            (0..p.latent as usize).for_each(|d| *joint += batch.log_density(i, j, d));
        }
    });
}

fn single<T: Real, const PARALLEL: bool>(
    p: &TotalCorrelation,
    record: &Record,
    [z, h, marginals]: [Arg<'_, T>; 3],
) {
    let batch = Batch { z: z.read(), h: h.read(), p, rows: record.rows as usize };
    let (stride, turns) = (p.z_stride as usize, batch.turns());
    each_row::<_, PARALLEL>(marginals.write(), stride, turns, |i, row| {
        row.fill(T::zero());
        if i >= batch.rows {
            return;
        }
        for (d, marginal) in row[..p.latent as usize].iter_mut().enumerate() {
            *marginal = log_sum((0..batch.rows).map(|j| batch.log_density(i, j, d)));
        }
    });
}

fn penalty<T: Real, const PARALLEL: bool>(
    p: &TotalCorrelation,
    record: &Record,
    [joint, marginals, total, extra]: [Arg<'_, T>; 4],
) {
    let (joint, marginals) = (joint.read(), marginals.read());
    let (total, extra) = (&mut total.write()[..p.rows as usize], extra.write());
    let rows = record.rows as usize;
    each_row::<_, PARALLEL>(total, 1, rows, |i, total| {
        let own = || joint[i * p.stride as usize..][..rows].iter().copied();
        total[0] = if i < rows { log_sum(own()) } else { T::zero() };
    });
    // q(z) and each q(z_d) are sums over N M.
    let pairs = real::<T>((f64::from(record.images) * f64::from(record.rows)).ln());
    for (i, (extra, &total)) in extra.iter_mut().zip(&*total).enumerate() {
        let before = if p.accumulate != 0 { *extra } else { T::zero() };
        *extra = before;
        if i < rows {
            let mut apart = T::zero();
            let own = &marginals[i * p.z_stride as usize..][..p.latent as usize];
            own.iter().for_each(|&marginal| apart += marginal - pairs);
            *extra = before + T::from_f32(p.weight) * (total - pairs - apart);
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

fn backward_z<T: Real, const PARALLEL: bool>(
    p: &TotalCorrelation,
    record: &Record,
    args: [Arg<'_, T>; 6],
) {
    let [z, h, joint, total, marginals, dz] = args;
    let batch = Batch { z: z.read(), h: h.read(), p, rows: record.rows as usize };
    let (sums, stride) = ([joint.read(), total.read(), marginals.read()], p.z_stride as usize);
    let dz = &mut dz.write()[..p.rows as usize * stride];
    let weight = T::from_f32(p.weight) * real(record.rates[rate::LOSS_SCALE]);
    each_row::<_, PARALLEL>(dz, stride, batch.turns(), |i, dz| {
        for (d, dz) in dz[..p.latent as usize].iter_mut().enumerate() {
            let mut sum = T::zero();
            for j in (0..batch.rows).filter(|_| i < batch.rows) {
                let [z, mu, log_var] = batch.of(i, j, d);
                sum -= share(batch, sums, [i, j, d]) * (z - mu) / log_var.exp();
            }
            *dz = if p.accumulate != 0 { *dz } else { T::zero() } + weight * sum;
        }
    });
}

fn backward_h<T: Real, const PARALLEL: bool>(
    p: &TotalCorrelation,
    record: &Record,
    args: [Arg<'_, T>; 6],
) {
    let [z, h, joint, total, marginals, dh] = args;
    let batch = Batch { z: z.read(), h: h.read(), p, rows: record.rows as usize };
    let (sums, stride) = ([joint.read(), total.read(), marginals.read()], p.h_stride as usize);
    let dh = &mut dh.write()[..p.rows as usize * stride];
    let (latent, one) = (p.latent as usize, T::one());
    let weight = T::from_f32(p.weight) * real(record.rates[rate::LOSS_SCALE]);
    each_row::<_, PARALLEL>(dh, stride, batch.turns(), |j, dh| {
        for d in 0..latent {
            let (mut d_mu, mut d_log_var) = (T::zero(), T::zero());
            for i in (0..batch.rows).filter(|_| j < batch.rows) {
                let [z, mu, log_var] = batch.of(i, j, d);
                let (share, off) = (share(batch, sums, [i, j, d]), z - mu);
                d_mu += share * off / log_var.exp();
                d_log_var += share * (off * off / log_var.exp() - one) * real(0.5);
            }
            let raw = batch.h[j * stride + latent + d];
            if raw != clamped(raw) {
                d_log_var = T::zero();
            }
            for (at, value) in [(d, d_mu), (d + latent, d_log_var)] {
                dh[at] = if p.accumulate != 0 { dh[at] } else { T::zero() } + weight * value;
            }
        }
    });
}

/// Records `weight` times the total correlation of z (batch, n), drawn from the posteriors h (batch, 2 n)
/// = [μ | log σ²], added to `extra` (batch) if others wrote it before; and the gradients at both.
pub fn total_correlation(
    tape: &mut Tape<'_>,
    weight: f64,
    (z, h): (Tensor, Tensor),
    (extra, accumulate): (Tensor, bool),
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
        accumulate: u32::from(accumulate),
        weight: weight as f32,
    };
    let items = Grid::Flat(rows * latent);
    tape.dispatch(&DENSITIES, p, [z, h, joint], Grid::Flat(joint.words()));
    tape.dispatch(&SINGLE, p, [z, h, marginals], items);
    tape.dispatch(&PENALTY, p, [joint, marginals, total, extra], Grid::Flat(rows));
    tape.on_backward(&[z, h], move |tape| {
        for (kernel, of) in [(&BACKWARD_Z, z), (&BACKWARD_H, h)] {
            let grad = tape.grad_out(of, GradSite::Output);
            let p = TotalCorrelation { accumulate: grad.accumulate(), ..p };
            tape.dispatch(kernel, p, [z, h, joint, total, marginals, grad.at], items);
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
