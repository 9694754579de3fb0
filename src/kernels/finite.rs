//! The guard: a sticky status that is set by what is not finite, and stops the optimiser. Gradients
//! are judged here, losses where they are summed, weights where they are updated.

use rayon::prelude::*;

use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Dtype, Grid, Kernel, Plan, Real, Record, Schedule, Tape, Tensor,
    real, uncounted,
};
use crate::kernels::case::{Case, Fill};
use crate::kernels::common::{plain, wgsl};

params! {
    /// Parameters of the guard.
    pub struct Finite {
        /// Groups of four gradients.
        len: u32,
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

/// Gradients that one task looks at.
const PART: usize = 16_384;

/// Sets the guard's status, its first word of two, if one of the gradients (4 · `len`) is not
/// finite or has a square that is not.
pub static CHECK: Kernel<Finite, 2> = Kernel {
    name: "finite.check",
    entry: "check",
    bindings: [Binding::read_bits("grads"), Binding::write_words("guard_words")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (check::<f32, false>, check::<f64, false>),
    cpu: Cpu::Own(check::<f32, true>),
    turns: |_| 0,
    flops: uncounted,
};

fn check<T: Real, const PARALLEL: bool>(p: &Finite, _: &Record, [grads, guard]: [Arg<'_, T>; 2]) {
    let limit = real::<T>(LARGEST);
    // Counted without a branch, so that the loop can be vectorised; a NaN is not below the limit.
    let too_large = |values: &[T]| values.iter().filter(|v| v.abs() < limit).count() < values.len();
    let grads = &grads.read()[..4 * p.len as usize];
    let found = match PARALLEL {
        true => grads.par_chunks(PART).any(too_large),
        false => grads.chunks(PART).any(too_large),
    };
    if found {
        guard.words_mut()[0] |= GRADIENT;
    }
}

/// The guard's words in a plan: the status, and what the running step has found since.
pub fn guard(plan: &mut Plan) -> Tensor {
    plan.words("guard", 2)
}

/// Records the look at the gradients of an arena.
pub fn check_finite(tape: &mut Tape<'_>, grads: Tensor, guard: Tensor) {
    let len = grads.words() / 4;
    tape.dispatch(&CHECK, Finite { len: size(len) }, [grads, guard], Grid::Flat(len));
}

/// Clean, and with one broken value at the first or the last place; more than 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    let (infinite, below) = (f32::NEG_INFINITY, LARGEST as f32 * 0.99);
    let inputs = [
        ("clean", 640, (0, 1.0)),
        ("clean, of the classic size", 660_000, (0, 1.0)),
        ("of one gradient", 1, (0, f32::NAN)),
        ("of a NaN gradient", 640, (639, f32::NAN)),
        ("of an infinite gradient", 640, (0, infinite)),
        ("of a gradient without a square", 640, (3, -LARGEST as f32)),
        ("of a gradient just below", 640, (3, below)),
        ("at the end of many", 17_000_000, (16_999_999, f32::NAN)),
    ];
    let case = |(name, len, (at, value)): (&str, usize, (usize, f32))| {
        let mut case = Case::new(format!("finite.check {name}"), 1);
        let grads = case.input_line("grads", len, Dtype::F32, Fill::OnesBut(at, value));
        let guard = guard(&mut case.plan);
        case.record(|tape| check_finite(tape, grads, guard));
        case
    };
    inputs.map(case).into()
}
