//! The end of a step: sums of the losses to the metric slot, and the tick advances.

use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Dtype, Grid, Kernel, Plan, Real, Schedule, Tape, Tensor, real,
};
use crate::kernels::case::{Case, Fill};
use crate::kernels::common::{SLOTS, Steps, plain, wgsl};

params! {
    /// Parameters of the reduce kernel.
    pub struct Reduce {
        /// Rows, with the padding, which is zero.
        rows: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("reduce.wgsl"), Cover::Row)];

/// Floats in a metric slot: the sum of nll, the sum of KL, the guard's status, and one unused.
pub const METRICS: usize = 4;

/// The sums of a step's losses, and the next tick.
pub static TERMS: Kernel<Reduce, 5> = Kernel {
    name: "reduce.terms",
    entry: "terms",
    bindings: [
        Binding::write_words("clock"),
        Binding::read("nll"),
        Binding::read("kl"),
        Binding::write_words("guard_words"),
        Binding::write("metrics"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (terms, terms),
    cpu: None,
};

fn terms<T: Real>(p: &Reduce, [clock, nll, kl, guard, metrics]: [Arg<'_, T>; 5]) {
    let (clock, guard, metrics) = (clock.words_mut(), guard.words_mut(), metrics.write());
    let total = |values: &[T]| {
        let mut sum = T::zero();
        values[..p.rows as usize].iter().for_each(|&v| sum += v);
        sum
    };
    guard[0] |= guard[1];
    let slot = clock[0] as usize % SLOTS * METRICS;
    metrics[slot] = total(nll.read());
    metrics[slot + 1] = total(kl.read());
    metrics[slot + 2] = real(f64::from(guard[0]));
    metrics[slot + 3] = T::zero();
    clock[0] = clock[0].wrapping_add(1);
}

/// The metric slots of a plan.
pub fn metric_slots(plan: &mut Plan) -> Tensor {
    plan.vector("metrics", SLOTS * METRICS)
}

/// Records the end of a step, for nll and KL of (rows).
pub fn reduce(
    tape: &mut Tape<'_>,
    steps: Steps,
    (nll, kl): (Tensor, Tensor),
    guard: Tensor,
    metrics: Tensor,
) {
    let p = Reduce { rows: size(nll.words()) };
    tape.dispatch(&TERMS, p, [steps.words, nll, kl, guard, metrics], Grid::Rows(1));
}

/// Fewer rows than lanes, as many, and more.
pub(crate) fn cases() -> Vec<Case> {
    let case = |rows: usize| {
        let mut case = Case::new(format!("reduce.terms {rows}"), rows);
        let fill = |seed| Fill::Uniform(seed, 0.0, 200.0);
        let nll = case.input_line("nll", rows, Dtype::F32, fill(1));
        let kl = case.input_line("kl", rows, Dtype::F32, fill(2));
        let guard = case.input_line("guard", 2, Dtype::U32, Fill::Words(vec![1, 4]));
        let metrics = metric_slots(&mut case.plan);
        case.record(|tape, steps| reduce(tape, steps, (nll, kl), guard, metrics));
        // The reference's plain f32 sum errs by about √rows roundings.
        case.tolerance = 5e-6;
        case
    };
    [1, 63, 64, 65, 128, 5000].map(case).into()
}
