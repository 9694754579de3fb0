//! The maximum mean discrepancy of codes and draws of the prior, and its gradient.

use crate::engine::kernel::params;
use crate::engine::record::rate;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, GradSite, Grid, Kernel, Real, Record, Schedule, Tape, Tensor, real,
};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{Sum, plain, sum, wgsl};

params! {
    /// Parameters of the kernels of the discrepancy.
    pub struct Mmd {
        /// Rows, with the padding.
        rows: u32,
        /// Dimensions of z.
        latent: u32,
        /// The distance between rows of z and y.
        z_stride: u32,
        /// The distance between rows of what is told of pairs.
        stride: u32,
        /// Whether what is written is added to what is there.
        add: u32,
        /// The weight.
        weight: f32,
        /// What a squared distance is multiplied by: 1 / (n · scale).
        narrow: f32,
    }
}

const ITEMS: &[Schedule] = &[plain(wgsl!("mmd.wgsl"), Cover::Items(64))];

/// The kernel of each pair.
pub static PAIRS: Kernel<Mmd, 5> = Kernel {
    name: "mmd.pairs",
    entry: "pairs",
    bindings: [
        Binding::read("z"),
        Binding::read("y"),
        Binding::write("near"),
        Binding::write("across"),
        Binding::write("gap"),
    ],
    overrides: &[],
    schedules: ITEMS,
    reference: (pairs, pairs),
    cpu: None,
};

/// What each image has more for it.
pub static DISCREPANCY: Kernel<Mmd, 2> = Kernel {
    name: "mmd.discrepancy",
    entry: "discrepancy",
    bindings: [Binding::read("given_gap"), Binding::write("extra")],
    overrides: &[],
    schedules: &[plain(wgsl!("mmd.wgsl"), Cover::Row)],
    reference: (discrepancy, discrepancy),
    cpu: None,
};

/// The gradient at z.
pub static BACKWARD: Kernel<Mmd, 5> = Kernel {
    name: "mmd.backward",
    entry: "backward",
    bindings: [
        Binding::read("back_z"),
        Binding::read("back_y"),
        Binding::read("back_near"),
        Binding::read("back_across"),
        Binding::write("dz"),
    ],
    overrides: &[],
    schedules: ITEMS,
    reference: (backward, backward),
    cpu: None,
};

fn pairs<T: Real>(p: &Mmd, record: &Record, [z, y, near, across, gap]: [Arg<'_, T>; 5]) {
    let (z, y) = (z.read(), y.read());
    let (near, across, gap) = (near.write(), across.write(), gap.write());
    let (rows, latent) = (record.rows as usize, p.latent as usize);
    let row = |of: &[T], i: usize| of[i * p.z_stride as usize..][..latent].to_vec();
    let k = |a: &[T], b: &[T]| {
        let squares = sum(a.iter().zip(b).map(|(&a, &b)| (a - b) * (a - b)));
        (-squares * T::from_f32(p.narrow)).exp()
    };
    for i in 0..p.rows as usize {
        for j in 0..p.stride as usize {
            let at = i * p.stride as usize + j;
            (near[at], across[at], gap[at]) = (T::zero(), T::zero(), T::zero());
            if i < rows && j < rows {
                near[at] = k(&row(z, i), &row(z, j));
                across[at] = k(&row(z, i), &row(y, j));
                gap[at] = near[at] + k(&row(y, i), &row(y, j)) - across[at] * real(2.0);
            }
        }
    }
}

fn discrepancy<T: Real>(p: &Mmd, record: &Record, [gap, extra]: [Arg<'_, T>; 2]) {
    let (gap, extra, rows) = (gap.read(), extra.write(), record.rows as usize);
    let gaps = gap.chunks(p.stride as usize).take(rows).flat_map(|row| &row[..rows]);
    let more = T::from_f32(p.weight) * sum(gaps.copied()) / real((rows * rows) as f64);
    for (i, extra) in extra[..p.rows as usize].iter_mut().enumerate() {
        let before = if p.add != 0 { *extra } else { T::zero() };
        *extra = before + if i < rows { more } else { T::zero() };
    }
}

fn backward<T: Real>(p: &Mmd, record: &Record, [z, y, near, across, dz]: [Arg<'_, T>; 5]) {
    let (z, y, near, across) = (z.read(), y.read(), near.read(), across.read());
    let (dz, rows, stride) = (dz.write(), record.rows as usize, p.z_stride as usize);
    // ∂k(a, b)/∂a = −2 g (a − b) k(a, b); each z is in two pairs with each other one, and with each y.
    let slope = real::<T>(-2.0) * T::from_f32(p.narrow);
    let images = real::<T>(record.rates[rate::LOSS_SCALE] * rows as f64);
    let weight = T::from_f32(p.weight) * images / real((rows * rows) as f64);
    for i in 0..p.rows as usize {
        for at in i * stride..i * stride + p.latent as usize {
            let mut sum = Sum::new();
            for j in (0..rows).filter(|_| i < rows) {
                let (pair, other) = (i * p.stride as usize + j, j * stride + at - i * stride);
                sum.add(near[pair] * (z[at] - z[other]) * real(2.0));
                sum.add(across[pair] * (y[other] - z[at]) * real(2.0));
            }
            let before = if p.add != 0 { dz[at] } else { T::zero() };
            dz[at] = before + weight * slope * sum.total();
        }
    }
}

/// Records `weight` · MMD² of z and draws y of the prior, both (batch, n), with the kernel
/// exp(−‖a − b‖² / (n · scale)), added to `extra` (batch) if others wrote it before; and the gradient at z.
pub fn mmd(
    tape: &mut Tape<'_>,
    [weight, scale]: [f64; 2],
    (z, y): (Tensor, Tensor),
    (extra, add): (Tensor, bool),
) {
    let (rows, latent) = (z.padded_rows(), z.cols());
    let [near, across, gap] = ["k(z, z) of pairs", "k(z, y) of pairs", "MMD of pairs"]
        .map(|name| tape.plan.matrix(name, z.rows(), z.rows()));
    let p = Mmd {
        rows: size(rows),
        latent: size(latent),
        z_stride: size(z.stride()),
        stride: size(near.stride()),
        add: u32::from(add),
        weight: weight as f32,
        narrow: (1.0 / (latent as f64 * scale)) as f32,
    };
    tape.dispatch(&PAIRS, p, [z, y, near, across, gap], Grid::Flat(near.words()));
    tape.dispatch(&DISCREPANCY, p, [gap, extra], Grid::Rows(1));
    tape.on_backward(move |tape| {
        let (dz, add) = tape.grad_out(z, GradSite::Output);
        let p = Mmd { add: u32::from(add), ..p };
        tape.dispatch(&BACKWARD, p, [z, y, near, across, dz], Grid::Flat(rows * latent));
    });
}

/// One image, ragged sizes, a partial batch, a z with two users, the classic size, more than 65,535
/// workgroups, and a batch of more pairs than a sum of 65,535 turns by 64 lanes would have.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, latent, record_rows) in
        [(1, 1, 1), (2, 3, 2), (7, 3, 7), (33, 20, 30), (65, 16, 65), (128, 20, 128)]
    {
        cases.push(case([rows, latent], record_rows, 1));
    }
    cases.push(case([7, 3], 6, 2));
    cases.push(case([2064, 3], 70, 1));
    cases.push(case([2100, 2], 2100, 1));
    cases
}

fn case([rows, latent]: [usize; 2], record_rows: usize, times: usize) -> Case {
    let mut case = Case::new(format!("mmd {record_rows}/{rows}×{latent}, {times}×"), record_rows);
    let z = case.input("z", [rows, latent], Fill::Uniform(1, -1.0, 3.0));
    let y = case.input("y", [rows, latent], Fill::Uniform(2, -2.0, 2.0));
    let extra = case.plan.vector("extra", rows);
    let dz = case.record(|tape| {
        for time in 0..times {
            mmd(tape, [100.0, 2.0], (z, y), (extra, time > 0));
        }
        tape.backward();
        tape.grad(z, GradSite::Output).expect("the rule wrote it")
    });
    case.outputs.push((extra, Weight::Same(case.record.rates[rate::LOSS_SCALE])));
    case.gradients.push((z, dz));
    // The discrepancy is a difference of sums ten times as large.
    case.tolerance = 1e-5;
    case
}
