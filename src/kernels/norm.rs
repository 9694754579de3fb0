//! The norm of all gradients of a step, from sums of squares that are made where the gradients are.

use crate::engine::kernel::params;
use crate::engine::plan::OFFSET_ALIGNMENT;
use crate::engine::record::SLOTS;
use crate::engine::report::SLOT;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Dtype, Grid, Kernel, Leaf, Real, Record, ReportSpec, Schedule, Tape,
    Tensor, real, uncounted,
};
use crate::kernels::case::{Case, Fill};
use crate::kernels::common::{halvings, plain, sum, turns, wgsl};
use crate::kernels::fast::vectorised;
use crate::kernels::matmul::PART;

params! {
    /// Parameters of the norm.
    pub struct Norm {
        /// Groups of four partial sums.
        len: u32,
        /// The place of the norm among the numbers of a report.
        place: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("norm.wgsl"), Cover::Row)];

/// What gradients are multiplied by before they are squared, 2⁻¹⁶. One that is not broken is below 2⁶⁴, so that
/// the sum of the squares of 2³² of them is in f32's range; one above 10⁻¹⁴ is not lost. The scaling is exact.
pub const SHRINK: f64 = 1.0 / 65_536.0;

/// The norm ‖g‖ of the gradients whose squares `sums` (4 · `len`) add up to, in the unit of [`SHRINK`] squared,
/// goes to the run's slot (slots · [`SLOT`]) under its place. Padding is zero.
pub static REPORT: Kernel<Norm, 2> = Kernel {
    name: "norm.report",
    entry: "report",
    bindings: [Binding::read("sums"), Binding::write("slots")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (report_norm, report_norm),
    cpu: Cpu::Own(report_norm_cpu),
    turns: |p| turns(p.len, 256) + halvings(256),
    flops: uncounted,
};

fn report_norm<T: Real>(p: &Norm, _: &Record, [sums, slots]: [Arg<'_, T>; 2]) {
    let total = sum(sums.read()[..4 * p.len as usize].iter().copied());
    slots.write()[1 + p.place as usize] = total.sqrt() / real(SHRINK);
}

/// One thread adds up all sums while the others wait: in lanes, which in f64 lose nothing.
fn report_norm_cpu(p: &Norm, _: &Record, [sums, slots]: [Arg<'_, f32>; 2]) {
    let (whole, rest) = sums.read()[..4 * p.len as usize].as_chunks::<8>();
    let total = vectorised(
        #[inline(always)]
        || {
            let mut lanes = [0.0_f64; 8];
            for some in whole {
                for i in 0..8 {
                    lanes[i] += f64::from(some[i]);
                }
            }
            lanes.iter().sum::<f64>() + rest.iter().map(|&sum| f64::from(sum)).sum::<f64>()
        },
    );
    slots.write()[1 + p.place as usize] = (total.sqrt() / SHRINK) as f32;
}

/// The sum of the squares of gradients, in the unit of [`SHRINK`] squared.
pub(super) fn scaled_square<T: Real>(gradients: &[T]) -> T {
    let mut total = T::zero();
    for &gradient in gradients {
        let shrunk = gradient * real(SHRINK);
        total += shrunk * shrunk;
    }
    total
}

/// Where the norm of the gradients is reported.
#[derive(Clone, Copy, Debug)]
pub struct NormAt {
    slots: Tensor,
    place: usize,
}

impl NormAt {
    /// Under this name in a report.
    ///
    /// # Panics
    ///
    /// If the report does not know the name.
    #[must_use]
    pub fn of(reports: &ReportSpec, name: &str) -> Self {
        let place = reports.place(name);
        let place = place.unwrap_or_else(|| panic!("`{name}` is not among {:?}", reports.names));
        Self { slots: reports.slots.values, place }
    }
}

/// Where the sums of squares lie that the norm is made of: those of gradients that are stored, then of each leaf
/// that updates at once.
#[derive(Clone, Debug)]
pub struct Squares {
    all: Tensor,
    /// For the gradients that are stored, if there are any.
    pub stored: Option<Tensor>,
    /// For each leaf.
    pub updated: Vec<Tensor>,
}

impl Squares {
    /// Makes room for so many sums of stored gradients, and for those of leaves.
    pub fn new(tape: &mut Tape<'_>, stored: usize, updating: &[Leaf]) -> Self {
        let (mut end, mut ranges) = (stored, Vec::new());
        for leaf in updating {
            let first = end.next_multiple_of(OFFSET_ALIGNMENT);
            end = first + leaf.makes.iter().map(|&parameter| sums_of(parameter)).sum::<usize>();
            ranges.push((first, end - first));
        }
        let all = tape.plan.vector("gradient square sums", end);
        let part =
            |(first, len)| Tensor::vector(all.buffer(), all.range().start + first, len, Dtype::F32);
        let stored = (stored > 0).then(|| part((0, stored)));
        Self { all, stored, updated: ranges.into_iter().map(part).collect() }
    }

    /// Records the norm, once all sums are made.
    pub fn report(&self, tape: &mut Tape<'_>, NormAt { slots, place }: NormAt) {
        let p = Norm { len: size(self.all.words() / 4), place: size(place) };
        tape.dispatch(&REPORT, p, [self.all, slots], Grid::Rows(1));
    }
}

/// The sums of squares of a parameter's gradient, where it is updated at once: of each [`PART`] neighbours in a
/// row of a matrix, or of each four of a vector.
fn sums_of(parameter: Tensor) -> usize {
    match parameter.padded_rows() {
        1 => parameter.words() / 4,
        rows => rows * parameter.stride().div_ceil(PART),
    }
}

/// Fewer sums than lanes and more, the largest and the smallest gradients that count, and none that is not zero.
pub(crate) fn cases() -> Vec<Case> {
    let case = |(len, fill): (usize, Fill)| {
        let mut case = Case::new(format!("norm.report of {len}, {fill:?}"), 1);
        let sums = case.input_line("sums", len, Dtype::F32, fill);
        let slots = case.input_line("slots", SLOTS * SLOT, Dtype::F32, Fill::OnesBut(0, 2.0));
        let p = Norm { len: size(sums.words() / 4), place: 3 };
        case.record(|tape| tape.dispatch(&REPORT, p, [sums, slots], Grid::Rows(1)));
        case
    };
    let largest = (LARGEST_SUM, LARGEST_SUM);
    [
        (1, Fill::Uniform(1, 0.5, 2.0)),
        (1023, Fill::Uniform(2, 0.0, 2.0)),
        (20_601, Fill::Uniform(3, 0.0, 1e-9)),
        (1000, Fill::Uniform(4, largest.0, largest.1)),
        (1000, Fill::Uniform(5, 1e-38, 2e-38)),
        (100, Fill::Uniform(6, 0.0, 0.0)),
    ]
    .map(case)
    .into()
}

/// The square of a gradient just below 2⁶⁴, of 32 such, in the unit of [`SHRINK`] squared.
const LARGEST_SUM: f32 = 2.5e30;
