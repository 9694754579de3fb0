//! The two halves of a ladder (Sønderby et al. 2016): means that go up, and the product of what both ways say of z.

use std::ops::Range;

use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, GradSite, Grid, Kernel, Real, Record, Rows, Schedule, Tape, Tensor,
    rows_of, uncounted,
};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{plain, turns, wgsl};
use crate::kernels::gaussian::clamped;

params! {
    /// Parameters of the kernels below.
    pub struct Ladder {
        /// Rows of what is written, with the padding.
        rows: u32,
        /// Dimensions of z, n.
        latent: u32,
        /// The distance between rows of h and of dh.
        h_stride: u32,
        /// The distance between rows of means.
        z_stride: u32,
        /// The distance between rows of the parts, of both and of their gradients.
        parts_stride: u32,
        /// How many rows of the parts each row of h has.
        samples: u32,
        /// Whether a gradient is added to what is there.
        accumulate: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("ladder.wgsl"), Cover::Items(32))];

/// means (images, n) of h (images, 2 n) = [μ | log σ²].
pub static MEAN: Kernel<Ladder, 2> = Kernel {
    name: "ladder.mean",
    entry: "mean",
    bindings: [Binding::read("h"), Binding::write("means")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (mean, mean),
    cpu: Cpu::Rows(|p| rows(p, |h, means, _| [h, means])),
    turns: |_| 0,
    flops: uncounted,
};

/// dh (images, 2 n) gets dmeans (images, n) at μ.
pub static MEAN_BACKWARD: Kernel<Ladder, 2> = Kernel {
    name: "ladder.mean_backward",
    entry: "mean_backward",
    bindings: [Binding::read("dmeans"), Binding::write("dh_of_means")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (mean_backward, mean_backward),
    cpu: Cpu::Rows(|p| rows(p, |h, means, _| [means, h])),
    turns: |_| 0,
    flops: uncounted,
};

/// both (images · samples, 2 n) = [μ | log σ²] of the normal that is the product of those of h (images, 2 n) and of parts (images ·
/// samples, 2 n): with the share s = σ² / σ²ₕ = 1 / (1 + σ²ₕ / σ²ₚ) of h in the precision, μ = s μₕ + (1 − s) μₚ and log σ² =
/// log σ²ₕ + log s (Sønderby et al. 2016, eq. 17 to 19). log σ² of h and parts is kept within its bounds.
pub static MERGE: Kernel<Ladder, 3> = Kernel {
    name: "ladder.merge",
    entry: "merge",
    bindings: [Binding::read("h"), Binding::read("parts"), Binding::write("both")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (merge, merge),
    cpu: Cpu::Rows(|p| rows(p, |h, _, parts| [h, parts, parts])),
    turns: |_| 0,
    flops: uncounted,
};

/// dparts (images · samples, 2 n): with d = s (1 − s) (μₕ − μₚ) dμ it is (1 − s) dμ, and d + (1 − s) dlog σ². Out of its bounds log
/// σ² has none.
pub static PARTS_BACKWARD: Kernel<Ladder, 4> = Kernel {
    name: "ladder.parts_backward",
    entry: "parts_backward",
    bindings: [
        Binding::read("h"),
        Binding::read("parts"),
        Binding::read("dboth"),
        Binding::write_within("dparts"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (parts_backward, parts_backward),
    cpu: Cpu::Rows(|p| rows(p, |h, _, parts| [h, parts, parts, parts])),
    turns: |_| 0,
    flops: uncounted,
};

/// dh (images, 2 n): the sum over the samples of s dμ, and of s dlog σ² − d.
pub static H_BACKWARD: Kernel<Ladder, 4> = Kernel {
    name: "ladder.h_backward",
    entry: "h_backward",
    bindings: [
        Binding::read("h"),
        Binding::read("parts"),
        Binding::read("dboth"),
        Binding::write_within("dh"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (h_backward, h_backward),
    cpu: Cpu::Rows(|p| rows(p, |h, _, parts| [h, parts, parts, h])),
    turns: |p| turns(p.samples, 1),
    flops: uncounted,
};

/// Images with so many elements of each binding, which depend on those of h, of means and of the parts.
fn rows<const N: usize>(
    p: &Ladder,
    elements: fn(usize, usize, usize) -> [usize; N],
) -> Rows<Ladder, N> {
    let part = |p: &Ladder, images: Range<usize>| Ladder {
        rows: rows_of(images, p.samples, p.rows),
        ..*p
    };
    let [h, z] = [p.h_stride, p.z_stride].map(|stride| stride as usize);
    let elements = elements(h, z, p.samples as usize * p.parts_stride as usize);
    Rows { images: p.rows.div_ceil(p.samples) as usize, elements, part }
}

fn mean<T: Real>(p: &Ladder, record: &Record, [h, means]: [Arg<'_, T>; 2]) {
    let (h, latent) = (h.read(), p.latent as usize);
    let rows = means.write().chunks_mut(p.z_stride as usize);
    for (row, means) in rows.enumerate() {
        means.fill(T::zero());
        if row < record.rows as usize {
            means[..latent].copy_from_slice(&h[row * p.h_stride as usize..][..latent]);
        }
    }
}

fn mean_backward<T: Real>(p: &Ladder, record: &Record, [dmeans, dh]: [Arg<'_, T>; 2]) {
    let (dmeans, latent) = (dmeans.read(), p.latent as usize);
    for (row, dh) in dh.write().chunks_mut(p.h_stride as usize).enumerate() {
        if p.accumulate == 0 {
            dh.fill(T::zero());
        }
        if row < record.rows as usize {
            let own = &dmeans[row * p.z_stride as usize..][..latent];
            dh.iter_mut().zip(own).for_each(|(dh, &d)| *dh += d);
        }
    }
}

/// The share of what comes from below in the precision of both.
fn share<T: Real>(of_h: T, of_parts: T) -> T {
    T::one() / (T::one() + (clamped(of_h) - clamped(of_parts)).exp())
}

fn merge<T: Real>(p: &Ladder, record: &Record, [h, parts, both]: [Arg<'_, T>; 3]) {
    let (h, parts, latent) = (h.read(), parts.read(), p.latent as usize);
    let stride = p.parts_stride as usize;
    for (row, both) in both.write().chunks_mut(stride).enumerate() {
        both.fill(T::zero());
        let image = row / p.samples as usize;
        if image >= record.rows as usize {
            continue;
        }
        let (h, parts) = (&h[image * p.h_stride as usize..], &parts[row * stride..]);
        for j in 0..latent {
            let own = share(h[latent + j], parts[latent + j]);
            both[j] = parts[j] + own * (h[j] - parts[j]);
            both[latent + j] = clamped(h[latent + j]) + own.ln();
        }
    }
}

fn parts_backward<T: Real>(p: &Ladder, record: &Record, args: [Arg<'_, T>; 4]) {
    let [h, parts, dboth, dparts] = args;
    let (h, parts, dboth, dparts) = (h.read(), parts.read(), dboth.read(), dparts.write());
    let (latent, stride) = (p.latent as usize, p.parts_stride as usize);
    for row in 0..p.rows as usize {
        let image = row / p.samples as usize;
        for j in 0..latent {
            let (at_h, at) = (image * p.h_stride as usize + j, row * stride + j);
            let raw = parts[at + latent];
            let own = share(h[at_h + latent], raw);
            let rest = T::one() - own;
            let through = own * rest * (h[at_h] - parts[at]) * dboth[at];
            let inside = image < record.rows as usize;
            let set = |at: usize, value: T, counts: bool, dparts: &mut [T]| {
                let before = if p.accumulate != 0 { dparts[at] } else { T::zero() };
                dparts[at] = before + if counts { value } else { T::zero() };
            };
            set(at, rest * dboth[at], inside, dparts);
            let free = inside && raw == clamped(raw);
            set(at + latent, through + rest * dboth[at + latent], free, dparts);
        }
    }
}

fn h_backward<T: Real>(p: &Ladder, record: &Record, args: [Arg<'_, T>; 4]) {
    let [h, parts, dboth, dh] = args;
    let (h, parts, dboth, dh) = (h.read(), parts.read(), dboth.read(), dh.write());
    let (latent, stride, samples) =
        (p.latent as usize, p.parts_stride as usize, p.samples as usize);
    for image in 0..(p.rows as usize).div_ceil(samples) {
        for j in 0..latent {
            let at_h = image * p.h_stride as usize + j;
            let raw = h[at_h + latent];
            let [mut d_mu, mut d_log_var] = [T::zero(); 2];
            for row in image * samples..(p.rows as usize).min((image + 1) * samples) {
                let at = row * stride + j;
                let own = share(raw, parts[at + latent]);
                let through = own * (T::one() - own) * (h[at_h] - parts[at]) * dboth[at];
                d_mu += own * dboth[at];
                d_log_var += own * dboth[at + latent] - through;
            }
            let inside = image < record.rows as usize;
            for (at, value, counts) in
                [(at_h, d_mu, inside), (at_h + latent, d_log_var, inside && raw == clamped(raw))]
            {
                let before = if p.accumulate != 0 { dh[at] } else { T::zero() };
                dh[at] = before + if counts { value } else { T::zero() };
            }
        }
    }
}

fn params_of(h: Tensor, rows: usize, parts: Option<Tensor>) -> Ladder {
    Ladder {
        rows: size(rows),
        latent: size(h.cols() / 2),
        h_stride: size(h.stride()),
        z_stride: 0,
        parts_stride: size(parts.map_or(0, |parts| parts.stride())),
        samples: size(parts.map_or(1, |parts| parts.rows() / h.rows())),
        accumulate: 0,
    }
}

/// Records the means (images, n) of h (images, 2 n) = [μ | log σ²], and the gradient at h.
pub fn means(tape: &mut Tape<'_>, name: &str, h: Tensor) -> Tensor {
    let means = tape.plan.matrix(name, h.rows(), h.cols() / 2);
    let p = Ladder { z_stride: size(means.stride()), ..params_of(h, means.padded_rows(), None) };
    tape.dispatch(&MEAN, p, [h, means], Grid::Flat(means.words()));
    tape.on_backward(&[h], move |tape| {
        let Some(dmeans) = tape.grad(means, GradSite::Output) else { return };
        let dh = tape.grad_out(h, GradSite::Output);
        let p = Ladder { accumulate: dh.accumulate(), ..p };
        tape.dispatch(&MEAN_BACKWARD, p, [dmeans, dh.at], Grid::Flat(h.words()));
    });
    means
}

/// Records [μ | log σ²] (images · samples, 2 n) of the product of the normals of h (images, 2 n) and of parts (images · samples, 2
/// n), and the gradients at both.
///
/// # Panics
///
/// If the shapes do not fit.
pub fn merge_normals(tape: &mut Tape<'_>, name: &str, h: Tensor, parts: Tensor) -> Tensor {
    assert_eq!(h.cols(), parts.cols(), "ladder: as many dimensions from both ways");
    assert_eq!(parts.rows() % h.rows(), 0, "ladder: every row of h has as many parts");
    let both = tape.plan.matrix(name, parts.rows(), parts.cols());
    let p = params_of(h, both.padded_rows(), Some(parts));
    tape.dispatch(&MERGE, p, [h, parts, both], Grid::Flat(both.words()));
    tape.on_backward(&[h, parts], move |tape| {
        let Some(dboth) = tape.grad(both, GradSite::Output) else { return };
        let [dh, dparts] = [h, parts].map(|of| tape.grad_out(of, GradSite::Output));
        let latent = h.cols() / 2;
        let of_parts = Ladder { accumulate: dparts.accumulate(), ..p };
        let grid = Grid::Flat(both.padded_rows() * latent);
        tape.dispatch(&PARTS_BACKWARD, of_parts, [h, parts, dboth, dparts.at], grid);
        let of_h = Ladder { accumulate: dh.accumulate(), ..p };
        let grid = Grid::Flat(both.padded_rows().div_ceil(p.samples as usize) * latent);
        tape.dispatch(&H_BACKWARD, of_h, [h, parts, dboth, dh.at], grid);
    });
    both
}

/// One image and several, one z and several; a partial batch; log σ² past its bounds; more than 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    [
        ([1, 1, 1, 1], 1.5),
        ([7, 3, 6, 1], 1.5),
        ([13, 5, 11, 6], 1.5),
        ([20, 33, 20, 2], 1.5),
        ([5, 2, 5, 3], 40.0),
        ([2100, 1000, 2099, 1], 1.0),
    ]
    .map(|(shape, reach)| case(shape, reach))
    .into()
}

/// h, whose means and whose product with parts have the gradients that a sum of weighed elements gives.
fn case([images, latent, inside, samples]: [usize; 4], reach: f32) -> Case {
    let name = format!("ladder {inside}/{images}×{latent} of {samples} within ±{reach}");
    let mut case = Case::new(name, inside);
    let uniform = |seed, most: f32| Fill::Uniform(seed, -most, most);
    let h = case.input("h", [images, 2 * latent], uniform(1, reach));
    let parts = case.input("parts", [images * samples, 2 * latent], uniform(2, reach));
    let dmeans = case.input("dmeans", [images, latent], uniform(3, 1.0));
    let dboth = case.input("dboth", [images * samples, 2 * latent], uniform(4, 1.0));
    let (means, both, gradients) = case.record(|tape| {
        let means = means(tape, "means", h);
        let both = merge_normals(tape, "both", h, parts);
        tape.set_grad(means, dmeans);
        tape.set_grad(both, dboth);
        tape.backward();
        let at = |of| tape.grad(of, GradSite::Output).expect("the rules wrote it");
        (means, both, [h, parts].map(|of| (of, at(of))))
    });
    if reach < 2.0 {
        case.outputs = vec![(means, Weight::Of(dmeans)), (both, Weight::Of(dboth))];
        case.gradients = gradients.into();
    }
    case
}
