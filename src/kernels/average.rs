//! Running averages of the parameters, which are what is looked at instead of them.

use std::ops::Range;

use crate::engine::kernel::params;
use crate::engine::record::rate;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Dtype, Grid, Kernel, Real, Record, Rows, Schedule, Tape, Tensor,
    real, uncounted,
};
use crate::kernels::case::{Case, Fill};
use crate::kernels::common::{plain, wgsl};

params! {
    /// Parameters of the averages.
    pub struct Average {
        /// Groups of four weights.
        len: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("average.wgsl"), Cover::Items(64))];

/// a ← a + s (w − a), for weights w and their averages a (4 · `len`), s being the record's
/// `averaging`: the running average of Polyak and Juditsky (1992), with exponential weights.
/// Nothing changes while a word of the guard (2) is set; what would not be finite keeps its
/// value.
pub static UPDATE: Kernel<Average, 3> = Kernel {
    name: "average.update",
    entry: "update",
    bindings: [Binding::read_words("guard_words"), Binding::read("w"), Binding::write("a")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (update, update),
    cpu: Cpu::Rows(groups),
    turns: |_| 0,
    flops: uncounted,
};

/// Groups of four weights.
fn groups(p: &Average) -> Rows<Average, 3> {
    let part = |_: &Average, groups: Range<usize>| Average { len: groups.len() as u32 };
    Rows { images: p.len as usize, elements: [0, 4, 4], part }
}

fn update<T: Real>(p: &Average, record: &Record, [guard, w, a]: [Arg<'_, T>; 3]) {
    let (share, guard) = (real::<T>(record.rates[rate::AVERAGING]), guard.words());
    if guard[0] | guard[1] != 0 {
        return;
    }
    let len = 4 * p.len as usize;
    for (a, &w) in a.write()[..len].iter_mut().zip(w.read()) {
        let apart = w - *a;
        if apart.abs() <= T::from_f32(f32::MAX) {
            *a += share * apart;
        }
    }
}

/// Records the averages' way towards the weights, after these were updated.
pub fn average(tape: &mut Tape<'_>, guard: Tensor, weights: Tensor, averages: Tensor) {
    let len = weights.words() / 4;
    tape.dispatch(&UPDATE, Average { len: size(len) }, [guard, weights, averages], Grid::Flat(len));
}

/// One weight and many, more than 65,535 workgroups, either word of the guard set, and weights at the
/// ends of the range.
pub(crate) fn cases() -> Vec<Case> {
    let weights = Fill::Uniform(1, -1.0, 1.0);
    let case = |(len, weights, status): (usize, Fill, [u32; 2])| {
        let mut case = Case::new(format!("average.update {len} status {status:?}"), 1);
        let w = case.input_line("w", len, Dtype::F32, weights);
        let a = case.input_line("a", len, Dtype::F32, Fill::Uniform(2, -1.0, 1.0));
        let guard = case.input_line("guard", 2, Dtype::U32, Fill::Words(status.into()));
        case.record.rates[rate::AVERAGING] = 0.1;
        case.record(|tape| average(tape, guard, w, a));
        case
    };
    let ends = Fill::OnesBut(7, -f32::MAX);
    [
        (1, weights.clone(), [0, 0]),
        (5000, weights.clone(), [0, 0]),
        (17_000_000, weights.clone(), [0, 0]),
        (100, weights.clone(), [2, 0]),
        (100, weights, [0, 4]),
        (100, ends, [0, 0]),
    ]
    .map(case)
    .into()
}
