//! The normal likelihood with a fixed deviation, with its gradient in the same dispatch.

use crate::engine::kernel::params;
use crate::engine::record::rate;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, GradSite, Grid, Kernel, Real, Record, Schedule, Tape, Tensor, real,
};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{plain, wgsl};

params! {
    /// Parameters of the normal kernel.
    pub struct Normal {
        /// Rows, with the padding.
        rows: u32,
        /// Pixels of an image.
        cols: u32,
        /// The distance between rows.
        stride: u32,
        /// How many z each image has.
        samples: u32,
        /// 1 / σ.
        inverse_sigma: f32,
        /// ½ log 2πσ².
        log_norm: f32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("normal.wgsl"), Cover::Row)];

/// −log N(x; m, σ²) of each image, and its gradient.
pub static FORWARD: Kernel<Normal, 4> = Kernel {
    name: "normal.forward",
    entry: "forward",
    bindings: [Binding::read("m"), Binding::read("x"), Binding::write("nll"), Binding::write("dm")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (forward, forward),
    cpu: None,
};

fn forward<T: Real>(p: &Normal, record: &Record, [m, x, nll, dm]: [Arg<'_, T>; 4]) {
    let scale = real::<T>(record.rates[rate::LOSS_SCALE] / f64::from(p.samples));
    let (m, x, nll, dm) = (m.read(), x.read(), nll.write(), dm.write());
    let (cols, stride) = (p.cols as usize, p.stride as usize);
    // Both parameters follow from σ; the oracle takes the constant from it in full precision.
    let inverse = T::from_f32(p.inverse_sigma);
    let log_norm = real::<T>(0.5 * std::f64::consts::TAU.ln()) - inverse.ln();
    for row in 0..p.rows as usize {
        nll[row] = T::zero();
        dm[row * stride..(row + 1) * stride].fill(T::zero());
        let of = row / p.samples as usize;
        if of >= record.rows as usize {
            continue;
        }
        for col in 0..cols {
            let at = row * stride + col;
            let error = (m[at] - x[of * stride + col]) * inverse;
            nll[row] += error * error * real(0.5) + log_norm;
            dm[at] = error * inverse * scale;
        }
    }
}

/// Records nll (images · samples), in nats, of x (images, n) round m (images · samples, n) with
/// deviation `sigma`. The gradient at m, times the record's scale over the samples, is made at once.
pub fn normal(tape: &mut Tape<'_>, sigma: f64, (m, x): (Tensor, Tensor), nll: Tensor) {
    assert_eq!(m.stride(), x.stride(), "normal: m and x have one layout");
    let dm = tape.plan.matrix("dm", m.rows(), m.cols());
    let p = Normal {
        rows: size(m.padded_rows()),
        cols: size(x.cols()),
        stride: size(x.stride()),
        samples: size(m.rows() / x.rows()),
        inverse_sigma: (1.0 / sigma) as f32,
        log_norm: (0.5 * (std::f64::consts::TAU * sigma * sigma).ln()) as f32,
    };
    let bindings = [m, x, nll, dm];
    tape.dispatch(&FORWARD, p, bindings, Grid::Rows(m.padded_rows()));
    tape.set_grad(m, dm);
}

/// One, ragged, several z of an image, a partial batch, the classic size, and more than 65,535
/// workgroups.
pub(crate) fn cases() -> Vec<Case> {
    let one = [(1, 1, 1), (5, 37, 5), (17, 300, 11), (128, 784, 128), (65_600, 3, 65_599)];
    let mut cases: Vec<_> =
        one.map(|(images, cols, inside)| case([images, cols, inside, 1])).into();
    cases.extend([[7, 21, 5, 3], [17, 9, 17, 16]].map(case));
    cases
}

fn case([images, cols, inside, samples]: [usize; 4]) -> Case {
    let rows = images * samples;
    let mut case = Case::new(format!("normal {inside}/{images}×{cols}, {samples} z"), inside);
    let made = case.input("made", [rows, cols], Fill::Uniform(1, -6.0, 6.0));
    let x = case.input("x", [images, cols], Fill::Uniform(2, 0.0, 1.0));
    let nll = case.plan.vector("nll", rows);
    let gradient = case.record(|tape| {
        normal(tape, 0.7, (made, x), nll);
        tape.grad(made, GradSite::Output).expect("the loss made it")
    });
    let scale = case.record.rates[rate::LOSS_SCALE] / samples as f64;
    case.outputs.push((nll, Weight::Same(scale)));
    case.gradients.push((made, gradient));
    // A plain f32 sum over the pixels of an image errs by about √784 roundings.
    case.tolerance = 3e-6;
    case
}
