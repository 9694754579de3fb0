//! Importance weights of z from the posterior, summed as they come.

use std::ops::Range;

use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Dtype, Grid, Kernel, Real, Record, Rows, Schedule, Tape, Tensor,
    uncounted,
};
use crate::kernels::case::{Case, Fill};
use crate::kernels::common::{plain, wgsl};

params! {
    /// Parameters of the importance kernel.
    pub struct Importance {
        /// Images, with the padding.
        rows: u32,
        /// How many z each image has, of which the first is weighed.
        samples: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("importance.wgsl"), Cover::Items(32))];

/// One more importance weight w = p(x | z) p(z) / q(z | x) of each image, log w = `log_ratio` − nll in nats, of
/// the first sample's nll and `log_ratio` = log p(z) − log q(z | x) (images · samples; Burda et al. 2016,
/// eq. 8). `highest` (images) keeps the largest log w so far, and `total` (images) the sum of
/// w / exp(highest); step 0 of the record begins anew.
pub static WEIGH: Kernel<Importance, 4> = Kernel {
    name: "importance.weigh",
    entry: "weigh",
    bindings: [
        Binding::read("nll"),
        Binding::read("log_ratio"),
        Binding::write("highest"),
        Binding::write("total"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (weigh, weigh),
    cpu: Cpu::Rows(rows),
    turns: |_| 0,
    flops: uncounted,
};

fn rows(p: &Importance) -> Rows<Importance, 4> {
    let part =
        |p: &Importance, images: Range<usize>| Importance { rows: images.len() as u32, ..*p };
    let samples = p.samples as usize;
    Rows { images: p.rows as usize, elements: [samples, samples, 1, 1], part }
}

fn weigh<T: Real>(p: &Importance, record: &Record, args: [Arg<'_, T>; 4]) {
    let [nll, log_ratio, highest, total] = args;
    let (nll, log_ratio) = (nll.read(), log_ratio.read());
    let (highest, total) = (highest.write(), total.write());
    for row in 0..p.rows as usize {
        let first = row * p.samples as usize;
        if row >= record.rows as usize {
            (highest[row], total[row]) = (T::zero(), T::zero());
            continue;
        }
        let weight = log_ratio[first] - nll[first];
        if record.step == 0 {
            (highest[row], total[row]) = (weight, T::one());
            continue;
        }
        let most = weight.max(highest[row]);
        total[row] = total[row] * (highest[row] - most).exp() + (weight - most).exp();
        highest[row] = most;
    }
}

/// Where the importance weights of images are summed.
#[derive(Clone, Copy, Debug)]
pub struct Sums {
    /// The largest log w of each image (images).
    pub highest: Tensor,
    /// Σ w / exp(highest) of each image (images).
    pub total: Tensor,
}

/// Records the weights of the first z of each image, `log_ratio` = log p(z) − log q(z | x) and
/// nll = −log p(x | z) being (images · samples), in nats.
pub fn importance(tape: &mut Tape<'_>, nll: Tensor, log_ratio: Tensor, sums: Sums) {
    let Sums { highest, total } = sums;
    let samples = nll.cols() / highest.cols();
    let p = Importance { rows: size(highest.words()), samples: size(samples) };
    let rows = Grid::Flat(highest.words());
    tape.dispatch(&WEIGH, p, [nll, log_ratio, highest, total], rows);
}

/// The first z of an image and a later one, that weighs more or less than those before; a partial batch, and
/// more than 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, record_rows) in [(1, 1), (33, 30), (128, 128)] {
        for step in [0, 1, 4999] {
            cases.push(case([rows, 1], record_rows, step));
        }
    }
    cases.push(case([13, 3], 11, 1));
    cases.push(case([65_535 * 32 + 1, 1], 65_535 * 32, 7));
    cases
}

fn case([rows, samples]: [usize; 2], record_rows: usize, step: u32) -> Case {
    let name = format!("importance.weigh {record_rows}/{rows}, z {step}");
    let name = if samples > 1 { format!("{name}, the first of {samples}") } else { name };
    let all = rows * samples;
    let mut case = Case::new(name, record_rows);
    case.record.step = step;
    let nll = case.input_line("nll", all, Dtype::F32, Fill::Uniform(1, 80.0, 100.0));
    let log_ratio = case.input_line("log-ratio", all, Dtype::F32, Fill::Uniform(2, -30.0, 10.0));
    let highest = case.input_line("highest", rows, Dtype::F32, Fill::Uniform(5, -100.0, -80.0));
    let total = case.input_line("total", rows, Dtype::F32, Fill::Uniform(6, 1.0, 3.0));
    case.record(|tape| importance(tape, nll, log_ratio, Sums { highest, total }));
    case.tolerance = 1e-5;
    case
}
