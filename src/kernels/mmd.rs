//! The maximum mean discrepancy of codes and draws of the prior, and its gradient.

use crate::engine::kernel::params;
use crate::engine::record::rate;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, GradSite, Grid, Kernel, Real, Record, Schedule, Tape, Tensor,
    each_row, real, uncounted,
};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{halvings, plain, turns, wgsl};

params! {
    /// Parameters of the kernels of the discrepancy.
    pub struct Mmd {
        /// Rows of z, with the padding.
        rows: u32,
        /// Dimensions of z, n.
        latent: u32,
        /// The distance between rows of z and y.
        z_stride: u32,
        /// The distance between rows of the matrices of pairs.
        stride: u32,
        /// Whether `extra`, or dz, is added to what is there.
        accumulate: u32,
        /// The weight of MMD².
        weight: f32,
        /// g: what a squared distance is multiplied by, 1 / (n · scale).
        narrow: f32,
    }
}

const ITEMS: &[Schedule] = &[plain(wgsl!("mmd.wgsl"), Cover::Items(64))];

/// near, across and gap (batch, batch) of each pair of images: k(zᵢ, zⱼ), k(zᵢ, yⱼ) and the
/// summand k(zᵢ, zⱼ) + k(yᵢ, yⱼ) − 2 k(zᵢ, yⱼ) of MMD², for codes z and draws y of the prior
/// (batch, n) and k(a, b) = exp(−g ‖a − b‖²): Gretton et al. 2012, eq. 5, with its diagonals;
/// Zhao et al. 2019, eq. 6.
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
    reference: (pairs::<f32, false>, pairs::<f64, false>),
    cpu: Cpu::Own(pairs::<f32, true>),
    turns: |p| turns(p.latent, 1),
    flops: uncounted,
};

/// extra (batch) = weight · MMD² = weight / M² · Σ gap, the same for each of the M images that
/// the record fills, for gap (batch, batch).
pub static DISCREPANCY: Kernel<Mmd, 2> = Kernel {
    name: "mmd.discrepancy",
    entry: "discrepancy",
    bindings: [Binding::read("given_gap"), Binding::write("extra")],
    overrides: &[],
    schedules: &[plain(wgsl!("mmd.wgsl"), Cover::Row)],
    reference: (discrepancy::<f32, false>, discrepancy::<f64, false>),
    cpu: Cpu::Own(discrepancy::<f32, true>),
    turns: discrepancy_turns,
    flops: uncounted,
};

/// dz (batch, n): the gradient at z of the sum of `extra` over the images, for z and y (batch, n)
/// and near and across (batch, batch).
pub static BACKWARD: Kernel<Mmd, 5> = Kernel {
    name: "mmd.backward",
    entry: "backward",
    bindings: [
        Binding::read("back_z"),
        Binding::read("back_y"),
        Binding::read("back_near"),
        Binding::read("back_across"),
        Binding::write_within("dz"),
    ],
    overrides: &[],
    schedules: ITEMS,
    reference: (backward::<f32, false>, backward::<f64, false>),
    cpu: Cpu::Own(backward::<f32, true>),
    turns: |p| turns(p.rows, 1),
    flops: uncounted,
};

/// Lanes of the workgroup that adds up all pairs, and that its rows of pairs are shared by.
const WIDE: u32 = 256;

fn discrepancy_turns(p: &Mmd) -> u64 {
    let of_a_row = 1 + turns(p.stride / 4, WIDE);
    u64::from(p.rows) * of_a_row + 1 + halvings(WIDE) + turns(p.rows, WIDE)
}

fn pairs<T: Real, const PARALLEL: bool>(
    p: &Mmd,
    record: &Record,
    [z, y, near, across, gap]: [Arg<'_, T>; 5],
) {
    let (z, y) = (z.read(), y.read());
    let (near, across, gap) = (near.write(), across.write(), gap.write());
    let (rows, latent, stride) = (record.rows as usize, p.latent as usize, p.stride as usize);
    let k = |(a, i): (&[T], usize), (b, j): (&[T], usize)| {
        let row = |of: usize| of * p.z_stride as usize..of * p.z_stride as usize + latent;
        let mut sum = T::zero();
        a[row(i)].iter().zip(&b[row(j)]).for_each(|(&a, &b)| sum += (a - b) * (a - b));
        (-sum * T::from_f32(p.narrow)).exp()
    };
    // A matrix of what each pair of images has, zero where one is padding.
    let fill = |matrix: &mut [T], of: &(dyn Fn(usize, usize) -> T + Sync)| {
        each_row::<_, PARALLEL>(matrix, stride, rows * latent, |i, row| {
            for (j, value) in row.iter_mut().enumerate() {
                *value = if i < rows && j < rows { of(i, j) } else { T::zero() };
            }
        });
    };
    fill(near, &|i, j| k((z, i), (z, j)));
    fill(across, &|i, j| k((z, i), (y, j)));
    let at = |i: usize, j: usize| i * stride + j;
    let (near, across) = (&*near, &*across);
    fill(gap, &|i, j| near[at(i, j)] + k((y, i), (y, j)) - across[at(i, j)] * real(2.0));
}

fn discrepancy<T: Real, const PARALLEL: bool>(
    p: &Mmd,
    record: &Record,
    [gap, extra]: [Arg<'_, T>; 2],
) {
    let (gap, extra, rows) = (gap.read(), extra.write(), record.rows as usize);
    // Row by row, so that an f32 sum of many pairs has many digits.
    let mut parts = vec![T::zero(); rows];
    each_row::<_, PARALLEL>(&mut parts, 1, rows, |i, part| {
        gap[i * p.stride as usize..][..rows].iter().for_each(|&gap| part[0] += gap);
    });
    let mut sum = T::zero();
    parts.into_iter().for_each(|part| sum += part);
    let more = T::from_f32(p.weight) * sum / real((rows * rows) as f64);
    for (i, extra) in extra[..p.rows as usize].iter_mut().enumerate() {
        let before = if p.accumulate != 0 { *extra } else { T::zero() };
        *extra = before + if i < rows { more } else { T::zero() };
    }
}

fn backward<T: Real, const PARALLEL: bool>(
    p: &Mmd,
    record: &Record,
    [z, y, near, across, dz]: [Arg<'_, T>; 5],
) {
    let (z, y, near, across) = (z.read(), y.read(), near.read(), across.read());
    let (rows, latent, stride) = (record.rows as usize, p.latent as usize, p.z_stride as usize);
    let dz = &mut dz.write()[..p.rows as usize * stride];
    // ∂k(a, b)/∂a = −2 g (a − b) k(a, b); each z is in two pairs with each other one, and with each y.
    let slope = real::<T>(-2.0) * T::from_f32(p.narrow);
    let images = real::<T>(record.rates[rate::LOSS_SCALE] * rows as f64);
    let weight = T::from_f32(p.weight) * images / real((rows * rows) as f64);
    each_row::<_, PARALLEL>(dz, stride, rows * latent, |i, dz| {
        for (d, dz) in dz[..latent].iter_mut().enumerate() {
            let at = i * stride + d;
            let mut sum = T::zero();
            for j in (0..rows).filter(|_| i < rows) {
                let (pair, other) = (i * p.stride as usize + j, j * stride + d);
                sum += near[pair] * (z[at] - z[other]) * real(2.0);
                sum -= across[pair] * (z[at] - y[other]) * real(2.0);
            }
            let before = if p.accumulate != 0 { *dz } else { T::zero() };
            *dz = before + weight * slope * sum;
        }
    });
}

/// Records `weight` · MMD² of z and draws y of the prior, both (batch, n), with the kernel
/// exp(−‖a − b‖² / (n · scale)), added to `extra` (batch) if others wrote it before; and the gradient at z.
pub fn mmd(
    tape: &mut Tape<'_>,
    [weight, scale]: [f64; 2],
    (z, y): (Tensor, Tensor),
    (extra, accumulate): (Tensor, bool),
) {
    let (rows, latent) = (z.padded_rows(), z.cols());
    let [near, across, gap] = ["k(z, z) of pairs", "k(z, y) of pairs", "MMD of pairs"]
        .map(|name| tape.plan.matrix(name, z.rows(), z.rows()));
    let p = Mmd {
        rows: size(rows),
        latent: size(latent),
        z_stride: size(z.stride()),
        stride: size(near.stride()),
        accumulate: u32::from(accumulate),
        weight: weight as f32,
        narrow: (1.0 / (latent as f64 * scale)) as f32,
    };
    tape.dispatch(&PAIRS, p, [z, y, near, across, gap], Grid::Flat(near.words()));
    tape.dispatch(&DISCREPANCY, p, [gap, extra], Grid::Rows(1));
    tape.on_backward(&[z], move |tape| {
        let dz = tape.grad_out(z, GradSite::Output);
        let p = Mmd { accumulate: dz.accumulate(), ..p };
        tape.dispatch(&BACKWARD, p, [z, y, near, across, dz.at], Grid::Flat(rows * latent));
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
