//! Sums of columns over rows: the gradient of a bias that was added to each of them.

use rayon::prelude::*;

use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, GradSite, Grid, Kernel, Real, Record, Schedule, Tape, Tensor,
    uncounted,
};
use crate::kernels::common::{halvings, plain, turns, wgsl};

params! {
    /// Parameters of sums of columns.
    pub struct Columns {
        /// Rows of the matrix, with the padding.
        rows: u32,
        /// The distance between its rows.
        stride: u32,
        /// Whether the sums are added to what is there.
        accumulate: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("common.total.wgsl", "columns.wgsl"), Cover::Row)];

/// Invocations of a workgroup.
const LANES: u32 = 64;

/// Rows that a dispatch sums up. Longer sums are made of parts, so that f32 keeps its digits and no loop is long.
const ROWS: usize = 1 << 14;

/// Rows that the CPU sums up one after another.
const PART: usize = 512;

/// sums (columns) = Σ x over the rows.
pub static SUM: Kernel<Columns, 2> = Kernel {
    name: "columns.sum",
    entry: "sum",
    bindings: [Binding::read("x"), Binding::write("sums")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (sum, sum),
    cpu: Cpu::Own(sum_in_parts),
    turns: |p| turns(p.rows, LANES) + 4 * halvings(LANES),
    flops: uncounted,
};

/// The sums of some rows one after another.
fn of_rows<T: Real>(rows: &[T], stride: usize) -> Vec<T> {
    let mut sums = vec![T::zero(); stride];
    for row in rows.chunks(stride) {
        sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += x);
    }
    sums
}

fn store<T: Real>(p: &Columns, sums: &mut [T], parts: &[Vec<T>]) {
    for (column, to) in sums.iter_mut().enumerate() {
        let sum = parts.iter().fold(T::zero(), |sum, part| sum + part[column]);
        *to = if p.accumulate != 0 { *to + sum } else { sum };
    }
}

fn sum<T: Real>(p: &Columns, _: &Record, [x, sums]: [Arg<'_, T>; 2]) {
    let stride = p.stride as usize;
    let parts: Vec<_> = x.read().chunks(PART * stride).map(|rows| of_rows(rows, stride)).collect();
    store(p, sums.write(), &parts);
}

fn sum_in_parts(p: &Columns, _: &Record, [x, sums]: [Arg<'_, f32>; 2]) {
    let stride = p.stride as usize;
    let parts = x.read().par_chunks(PART * stride).map(|rows| of_rows(rows, stride));
    store(p, sums.write(), &parts.collect::<Vec<_>>());
}

/// Records that the gradient of `of` (columns) is the sums of dy's columns, or more of it.
///
/// # Panics
///
/// If they have not as many columns.
pub(crate) fn sum_columns(tape: &mut Tape<'_>, dy: Tensor, of: Tensor) {
    assert_eq!(dy.cols(), of.cols(), "columns: the sums of {dy:?} are no gradient of {of:?}");
    for first in (0..dy.padded_rows()).step_by(ROWS) {
        let rows = ROWS.min(dy.padded_rows() - first);
        let sums = tape.grad_out(of, GradSite::Output);
        let p =
            Columns { rows: size(rows), stride: size(dy.stride()), accumulate: sums.accumulate() };
        let dy = dy.block(first..first + rows);
        tape.dispatch(&SUM, p, [dy, sums.at], Grid::Rows(dy.stride() / 4));
    }
}
