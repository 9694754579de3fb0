//! Free bits and a capacity: what is minimised in the place of the KL divergence, and its gradient.

use std::ops::Range;

use crate::engine::kernel::params;
use crate::engine::record::rate;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, GradSite, Grid, Kernel, Real, Record, Rows, Schedule, Tape, Tensor,
    each_row, real, uncounted,
};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{halvings, plain, turns, wgsl};
use crate::kernels::gaussian::clamped;

params! {
    /// Parameters of the divergence kernels.
    pub struct Divergence {
        /// Rows of h, with the padding.
        rows: u32,
        /// Dimensions of z, n.
        latent: u32,
        /// The distance between rows of h.
        h_stride: u32,
        /// Whether a capacity is aimed at (1), else bits are free (0).
        capacity: u32,
        /// Whether `extra`, or dh, is added to what is there.
        accumulate: u32,
    }
}

const ITEMS: &[Schedule] = &[plain(wgsl!("divergence.wgsl"), Cover::Items(64))];

/// Invocations of a workgroup.
const LANES: u32 = 64;

/// K (n) = the mean over the minibatch of each dimension's ½ (μ² + σ² − 1 − log σ²), in nats, for
/// h (batch, 2 n) = [μ | log σ²]: Kingma and Welling 2014, appendix B.
pub static MEANS: Kernel<Divergence, 2> = Kernel {
    name: "divergence.means",
    entry: "means",
    bindings: [Binding::read("h"), Binding::write_within("means_of_kl")],
    overrides: &[],
    schedules: &[plain(wgsl!("divergence.wgsl"), Cover::Row)],
    reference: (means::<f32, false>, means::<f64, false>),
    cpu: Cpu::Own(means::<f32, true>),
    turns: |p| turns(p.rows, LANES) + halvings(LANES),
    flops: uncounted,
};

/// extra (batch): what each image has more than its share of w KL, in nats: w Σ max(λ − K, 0)
/// with free bits (Kingma et al. 2016, eq. 15), w (|Σ K − C| − Σ K) with a capacity C (Burgess et
/// al. 2018, eq. 8); and its derivatives `slopes` (n) by each K, over w; for K (n,
/// `kl_by_dimension`).
pub static WEIGH: Kernel<Divergence, 3> = Kernel {
    name: "divergence.weigh",
    entry: "weigh",
    bindings: [
        Binding::read("kl_by_dimension"),
        Binding::write_within("slopes"),
        Binding::write_within("extra"),
    ],
    overrides: &[],
    schedules: ITEMS,
    reference: (weigh, weigh),
    cpu: Cpu::Reference,
    turns: |p| turns(p.latent, 1),
    flops: uncounted,
};

/// dh (batch, 2 n): the gradient of `extra` at h (batch, 2 n), w s μ and ½ w s (σ² − 1) times the
/// record's `loss_scale`, for the slopes s (n). Where log σ² is out of its bounds it has none.
pub static BACKWARD: Kernel<Divergence, 3> = Kernel {
    name: "divergence.backward",
    entry: "backward",
    bindings: [Binding::read("back_h"), Binding::read("given_slopes"), Binding::write_within("dh")],
    overrides: &[],
    schedules: ITEMS,
    reference: (backward, backward),
    cpu: Cpu::Rows(rows),
    turns: |_| 0,
    flops: uncounted,
};

fn rows(p: &Divergence) -> Rows<Divergence, 3> {
    let part = |p: &Divergence, rows: Range<usize>| Divergence { rows: rows.len() as u32, ..*p };
    let h = p.h_stride as usize;
    Rows { images: p.rows as usize, elements: [h, 0, h], part }
}

fn means<T: Real, const PARALLEL: bool>(
    p: &Divergence,
    record: &Record,
    [h, means]: [Arg<'_, T>; 2],
) {
    let (h, means) = (h.read(), means.write());
    let (latent, rows) = (p.latent as usize, record.rows as usize);
    each_row::<_, PARALLEL>(&mut means[..latent], 1, rows, |j, mean| {
        let mut sum = T::zero();
        for h in h.chunks(p.h_stride as usize).take(rows) {
            let (mu, log_var) = (h[j], clamped(h[latent + j]));
            sum += (mu * mu + log_var.exp_m1() - log_var) * real(0.5);
        }
        mean[0] = sum / real(rows as f64);
    });
}

fn weigh<T: Real>(p: &Divergence, record: &Record, [means, slopes, extra]: [Arg<'_, T>; 3]) {
    let (latent, slopes, extra) = (p.latent as usize, slopes.write(), extra.write());
    let means = &means.read()[..latent];
    let rate = |place: usize| real::<T>(record.rates[place]);
    let (goal, free) = (rate(rate::CAPACITY), rate(rate::FREE));
    let mut all = T::zero();
    means.iter().for_each(|&mean| all += mean);
    let (mut missing, below) = (T::zero(), all < goal);
    for (slope, &mean) in slopes.iter_mut().zip(means) {
        missing += (free - mean).max(T::zero());
        // The derivative of what is wanted is 1 or 0, and ±1; that of KL, which counts anyway, is 1.
        let wants = match p.capacity {
            0 => f64::from(u8::from(mean >= free)),
            _ if below => -1.0,
            _ => 1.0,
        };
        *slope = real(wants - 1.0);
    }
    let beyond = match p.capacity {
        0 => missing,
        // |K − C| − K without the digits that K would cancel.
        _ if below => goal - all * real(2.0),
        _ => -goal,
    };
    for (row, extra) in extra[..p.rows as usize].iter_mut().enumerate() {
        let before = if p.accumulate != 0 { *extra } else { T::zero() };
        let inside = row < record.rows as usize;
        let more = if inside { rate(rate::KL_WEIGHT) * beyond } else { T::zero() };
        *extra = before + more;
    }
}

fn backward<T: Real>(p: &Divergence, record: &Record, [h, slopes, dh]: [Arg<'_, T>; 3]) {
    let (h, slopes, dh) = (h.read(), slopes.read(), dh.write());
    let latent = p.latent as usize;
    let rate = |place: usize| real::<T>(record.rates[place]);
    let weight = rate(rate::KL_WEIGHT) * rate(rate::LOSS_SCALE);
    for row in 0..p.rows as usize {
        for (j, &slope) in slopes[..latent].iter().enumerate() {
            let at = row * p.h_stride as usize + j;
            let (mu, raw) = (h[at], h[at + latent]);
            let weight = if row < record.rows as usize { weight * slope } else { T::zero() };
            let mut d_log_var = weight * clamped(raw).exp_m1() * real(0.5);
            if raw != clamped(raw) {
                d_log_var = T::zero();
            }
            let before = |at: usize| if p.accumulate != 0 { dh[at] } else { T::zero() };
            let (first, second) = (before(at) + weight * mu, before(at + latent) + d_log_var);
            (dh[at], dh[at + latent]) = (first, second);
        }
    }
}

/// What is minimised in the place of w KL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// w Σⱼ max(λ, Kⱼ), for the record's nats λ.
    FreeBits,
    /// w |K − C|, for the record's capacity C.
    Capacity,
}

/// Records what is minimised beside w KL of h (batch, 2 n) = [μ | log σ²], added to `extra` (batch) if
/// others wrote it before; and the gradient at h, beside that of w KL.
pub fn divergence(tape: &mut Tape<'_>, aim: Aim, h: Tensor, (extra, accumulate): (Tensor, bool)) {
    let latent = h.cols() / 2;
    let p = Divergence {
        rows: size(h.padded_rows()),
        latent: size(latent),
        h_stride: size(h.stride()),
        capacity: u32::from(aim == Aim::Capacity),
        accumulate: u32::from(accumulate),
    };
    let means = tape.plan.vector("mean KL of each dimension", latent);
    let slopes = tape.plan.vector("slope of each dimension", latent);
    tape.dispatch(&MEANS, p, [h, means], Grid::Rows(latent));
    let items = Grid::Flat(h.padded_rows().max(latent));
    tape.dispatch(&WEIGH, p, [means, slopes, extra], items);
    tape.on_backward(&[h], move |tape| {
        let dh = tape.grad_out(h, GradSite::Output);
        let p = Divergence { accumulate: dh.accumulate(), ..p };
        tape.dispatch(&BACKWARD, p, [h, slopes, dh.at], Grid::Flat(h.padded_rows() * latent));
    });
}

/// Free bits that some dimensions reach and others do not, and a capacity on either side; a partial
/// batch, more dimensions than rows, log σ² past both bounds, an h with two users, and more than 65,535
/// workgroups.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, latent, record_rows, reach) in
        [(1, 1, 1, 2.0), (7, 40, 7, 2.0), (33, 20, 30, 2.0), (20, 9, 20, 60.0), (128, 20, 128, 2.0)]
    {
        let shape = ([rows, latent], record_rows, reach);
        // No mean KL divergence reaches it.
        let high = if reach > 2.0 { 1e11 } else { 1e2 };
        cases.push(case("free bits", shape, &[Aim::FreeBits], 0.0));
        cases.push(case("a low capacity", shape, &[Aim::Capacity], 0.1));
        cases.push(case("a high capacity", shape, &[Aim::Capacity], high));
        cases.push(case("both", shape, &[Aim::FreeBits, Aim::Capacity], high));
    }
    let long = ([65_535 * 64 / 20 + 17, 21], 65_535 * 3, 2.0);
    cases.push(case("free bits", long, &[Aim::FreeBits], 0.0));
    cases
}

fn case(
    name: &str,
    ([rows, latent], record_rows, reach): ([usize; 2], usize, f32),
    aims: &[Aim],
    capacity: f64,
) -> Case {
    let name = format!("divergence {name} {record_rows}/{rows}×{latent} within ±{reach}");
    let mut case = Case::new(name, record_rows);
    case.record.rates[rate::CAPACITY] = capacity;
    case.record.rates[rate::FREE] = 1.5;
    let h = case.input("h", [rows, 2 * latent], Fill::Uniform(1, -reach, reach));
    let extra = case.plan.vector("extra", rows);
    let dh = case.record(|tape| {
        for (place, &aim) in aims.iter().enumerate() {
            divergence(tape, aim, h, (extra, place > 0));
        }
        tape.backward();
        tape.grad(h, GradSite::Output).expect("the rule wrote it")
    });
    case.outputs.push((extra, Weight::Same(case.record.rates[rate::LOSS_SCALE])));
    // Where all dimensions have what is free, and above a capacity, w KL alone has a gradient.
    if capacity > 1.0 || (reach == 2.0 && capacity == 0.0 && rows > 1) {
        case.gradients.push((h, dh));
    }
    // A plain f32 sum over 196,605 rows errs by about √196,605 roundings.
    case.tolerance = if rows > 1000 { 3e-5 } else { 3e-6 };
    case
}
