//! Importance weights of z from the posterior, summed as they come.

use std::ops::Range;

use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Dtype, Grid, Kernel, Real, Record, Rows, Schedule, Tape, Tensor,
    real, uncounted,
};
use crate::kernels::case::{Case, Fill};
use crate::kernels::common::{plain, turns, wgsl};
use crate::kernels::gaussian::clamped;

params! {
    /// Parameters of the importance kernel.
    pub struct Importance {
        /// Images, with the padding.
        rows: u32,
        /// Dimensions of z, n.
        latent: u32,
        /// The distance between rows of h.
        h_stride: u32,
        /// The distance between rows of z and ε.
        z_stride: u32,
        /// How many z each image has, of which the first is weighed.
        samples: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("philox.wgsl", "importance.wgsl"), Cover::Items(32))];

/// One more importance weight w = p(x | z) p(z) / q(z | x) of each image, in nats:
/// log w = −nll + ½ Σ (ε² + log σ² − z²), for the first sample's nll (images · samples), ε and z
/// (images · samples, n) and h (images, 2 n) = [μ | log σ²] (Burda et al. 2016, eq. 8).
/// `highest` (images) keeps the largest log w so far, and `total` (images) the sum of
/// w / exp(highest); step 0 of the record begins anew.
pub static WEIGH: Kernel<Importance, 6> = Kernel {
    name: "importance.weigh",
    entry: "weigh",
    bindings: [
        Binding::read("nll"),
        Binding::read("h"),
        Binding::read("eps"),
        Binding::read("z"),
        Binding::write("highest"),
        Binding::write("total"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (weigh, weigh),
    cpu: Cpu::Rows(rows),
    turns: |p| turns(p.latent, 1),
    flops: uncounted,
};

fn rows(p: &Importance) -> Rows<Importance, 6> {
    let part =
        |p: &Importance, images: Range<usize>| Importance { rows: images.len() as u32, ..*p };
    let (h, samples) = (p.h_stride as usize, p.samples as usize);
    let z = samples * p.z_stride as usize;
    Rows { images: p.rows as usize, elements: [samples, h, z, z, 1, 1], part }
}

fn weigh<T: Real>(p: &Importance, record: &Record, args: [Arg<'_, T>; 6]) {
    let [nll, h, eps, z, highest, total] = args;
    let (nll, h, eps, z) = (nll.read(), h.read(), eps.read(), z.read());
    let (highest, total) = (highest.write(), total.write());
    let latent = p.latent as usize;
    for row in 0..p.rows as usize {
        let first = row * p.samples as usize;
        if row >= record.rows as usize {
            (highest[row], total[row]) = (T::zero(), T::zero());
            continue;
        }
        // log p(z) − log q(z | x).
        let mut ratio = T::zero();
        for j in 0..latent {
            let at = first * p.z_stride as usize + j;
            let log_var = clamped(h[row * p.h_stride as usize + latent + j]);
            ratio += (eps[at] * eps[at] - z[at] * z[at] + log_var) * real(0.5);
        }
        let weight = ratio - nll[first];
        if record.step == 0 {
            (highest[row], total[row]) = (weight, T::one());
            continue;
        }
        let most = weight.max(highest[row]);
        total[row] = total[row] * (highest[row] - most).exp() + (weight - most).exp();
        highest[row] = most;
    }
}

/// Records the weights of the first z of each image, z (images · samples, n) being drawn by ε
/// from h = [μ | log σ²] (images, 2 n), and −log p(x | z) being nll (images · samples): the
/// largest log w goes to `highest` (images), Σ w / exp(highest) to `total` (images).
pub fn importance(
    tape: &mut Tape<'_>,
    (nll, h): (Tensor, Tensor),
    (eps, z): (Tensor, Tensor),
    (highest, total): (Tensor, Tensor),
) {
    let p = Importance {
        rows: size(highest.words()),
        latent: size(z.cols()),
        h_stride: size(h.stride()),
        z_stride: size(z.stride()),
        samples: size(z.rows() / h.rows()),
    };
    let rows = Grid::Flat(highest.words());
    tape.dispatch(&WEIGH, p, [nll, h, eps, z, highest, total], rows);
}

/// The first z of an image and a later one, that weighs more or less than those before; latents round
/// a multiple of four, a partial batch, log σ² past both bounds, and more than 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, latent, record_rows, reach) in
        [(1, 1, 1, 2.0), (33, 20, 30, 2.0), (20, 9, 20, 60.0), (128, 20, 128, 2.0)]
    {
        for step in [0, 1, 4999] {
            cases.push(case([rows, latent, 1], record_rows, reach, step));
        }
    }
    cases.push(case([13, 5, 3], 11, 2.0, 1));
    cases.push(case([65_535 * 32 + 1, 1, 1], 65_535 * 32, 2.0, 7));
    cases
}

fn case([rows, latent, samples]: [usize; 3], record_rows: usize, reach: f32, step: u32) -> Case {
    let name = format!("importance.weigh {record_rows}/{rows}×{latent} within ±{reach}, z {step}");
    let name = if samples > 1 { format!("{name}, the first of {samples}") } else { name };
    let all = rows * samples;
    let mut case = Case::new(name, record_rows);
    case.record.step = step;
    let nll = case.input_line("nll", all, Dtype::F32, Fill::Uniform(1, 80.0, 100.0));
    let h = case.input("h", [rows, 2 * latent], Fill::Uniform(2, -reach, reach));
    let eps = case.input("eps", [all, latent], Fill::Uniform(3, -2.0, 2.0));
    let z = case.input("z", [all, latent], Fill::Uniform(4, -2.0, 2.0));
    let highest = case.input_line("highest", rows, Dtype::F32, Fill::Uniform(5, -100.0, -80.0));
    let total = case.input_line("total", rows, Dtype::F32, Fill::Uniform(6, 1.0, 3.0));
    case.record(|tape| importance(tape, (nll, h), (eps, z), (highest, total)));
    case.tolerance = 1e-5;
    case
}
