//! The guard: a sticky status that is set by what is not finite, and stops the optimiser.

use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Dtype, Grid, Kernel, Plan, Real, Schedule, Tape, Tensor, real,
};
use crate::kernels::case::{Case, Fill};
use crate::kernels::common::{plain, wgsl};

params! {
    /// Parameters of the guard.
    pub struct Finite {
        /// Groups of four gradients.
        len: u32,
        /// Images.
        rows: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("finite.wgsl"), Cover::Items(64))];

/// A loss is not finite.
pub const LOSS: u32 = 1;
/// A gradient is not finite, or too large for its square to be.
pub const GRADIENT: u32 = 2;
/// A weight or a moment would not have been finite.
pub const WEIGHT: u32 = 4;

/// Gradients from here on have no finite square in f32.
pub const LARGEST: f64 = 18_446_744_073_709_551_616.0;

/// Looks at losses and gradients.
pub static CHECK: Kernel<Finite, 4> = Kernel {
    name: "finite.check",
    entry: "check",
    bindings: [
        Binding::read_bits("grads"),
        Binding::read_bits("nll"),
        Binding::read_bits("kl"),
        Binding::write_words("guard_words"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (check, check),
    cpu: None,
};

fn check<T: Real>(p: &Finite, [grads, nll, kl, guard]: [Arg<'_, T>; 4]) {
    let (rows, limit) = (p.rows as usize, real::<T>(LARGEST));
    let guard = guard.words_mut();
    // Counted without a branch, so that the loop can be vectorised; a NaN is not below the limit.
    let too_large = |values: &[T]| values.iter().filter(|v| v.abs() < limit).count() < values.len();
    if grads.read()[..4 * p.len as usize].chunks(4096).any(too_large) {
        guard[0] |= GRADIENT;
    }
    let broken = |losses: &[T]| losses[..rows].iter().any(|v| !v.is_finite());
    if broken(nll.read()) || broken(kl.read()) {
        guard[0] |= LOSS;
    }
}

/// The guard's words in a plan: the status, and what the running step has found since.
pub fn guard(plan: &mut Plan) -> Tensor {
    plan.words("guard", 2)
}

/// Records the look at the gradients of an arena, and at nll and KL of (rows).
pub fn check_finite(
    tape: &mut Tape<'_>,
    grads: Tensor,
    (nll, kl): (Tensor, Tensor),
    guard: Tensor,
) {
    let (len, rows) = (grads.words() / 4, nll.words());
    let p = Finite { len: size(len), rows: size(rows) };
    tape.dispatch(&CHECK, p, [grads, nll, kl, guard], Grid::Flat(len.max(rows)));
}

/// Clean, and with one broken value at the first or the last place of each tensor; more than
/// 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    let (infinite, below) = (f32::NEG_INFINITY, LARGEST as f32 * 0.99);
    let one = |at: usize, value: f32| Fill::OnesBut(at, value);
    let ones = || Fill::OnesBut(0, 1.0);
    let inputs = [
        ("clean", 640, 7, ones(), ones(), ones()),
        ("clean, of the classic size", 660_000, 128, ones(), ones(), ones()),
        ("of a NaN gradient", 640, 7, one(639, f32::NAN), ones(), ones()),
        ("of an infinite gradient", 640, 7, one(0, infinite), ones(), ones()),
        ("of a gradient without a square", 640, 7, one(3, -LARGEST as f32), ones(), ones()),
        ("of a gradient just below", 640, 7, one(3, below), ones(), ones()),
        ("of a NaN loss", 16, 700, ones(), one(699, f32::NAN), ones()),
        ("of an infinite KL", 640, 7, ones(), ones(), one(0, f32::INFINITY)),
        ("at the end of many", 17_000_000, 7, one(16_999_999, f32::NAN), ones(), ones()),
    ];
    let case = |(name, len, rows, grads, nll, kl): (&str, usize, usize, Fill, Fill, Fill)| {
        let mut case = Case::new(format!("finite.check {name}"), rows);
        let grads = case.input_line("grads", len, Dtype::F32, grads);
        let nll = case.input_line("nll", rows, Dtype::F32, nll);
        let kl = case.input_line("kl", rows, Dtype::F32, kl);
        let guard = guard(&mut case.plan);
        case.record(|tape, _| check_finite(tape, grads, (nll, kl), guard));
        case
    };
    inputs.map(case).into()
}
