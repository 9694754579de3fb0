//! What a step reports: the sums of its losses, and the status that the steps before left.

use crate::engine::kernel::params;
use crate::engine::record::SLOTS;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Dtype, Grid, Kernel, Plan, Real, Record, Schedule, Tape, Tensor,
    real, uncounted,
};
use crate::kernels::case::{Case, Fill};
use crate::kernels::common::{halvings, plain, turns, wgsl};
use crate::kernels::finite::{LOSS, guard};

params! {
    /// Parameters of the reduce kernel.
    pub struct Reduce {
        /// Groups of four elements of nll, with the padding, which is zero.
        nll_len: u32,
        /// Groups of four elements of KL, with the padding.
        kl_len: u32,
        /// Groups of four elements of what else is minimised, with the padding.
        extra_len: u32,
        /// How many z of an image nll has.
        samples: u32,
        /// Whether a sum that is not finite sets the guard's status.
        judged: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("reduce.wgsl"), Cover::Row)];

/// Floats in a metric slot: the sum of nll over the images, that of KL, the guard's status as the steps
/// before left it, and the sum of what else is minimised.
pub const METRICS: usize = 4;

/// The sums over a minibatch's images, in nats, to the step's slot of metrics (slots ·
/// [`METRICS`]): of nll (images · samples) over the samples, of kl (images) and of extra
/// (images), with the guard's status, of its two words, as the steps before left it.
pub static TERMS: Kernel<Reduce, 5> = Kernel {
    name: "reduce.terms",
    entry: "terms",
    bindings: [
        Binding::read("nll"),
        Binding::read("kl"),
        Binding::read("extra"),
        Binding::write_words("guard_words"),
        Binding::write("metrics"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (terms, terms),
    cpu: Cpu::Reference,
    turns: terms_turns,
    flops: uncounted,
};

fn terms_turns(p: &Reduce) -> u64 {
    const LANES: u32 = 128;
    let added = [p.nll_len, p.kl_len, p.extra_len].map(|len| turns(len, LANES));
    added.iter().sum::<u64>() + halvings(LANES)
}

fn terms<T: Real>(p: &Reduce, _: &Record, [nll, kl, extra, guard, metrics]: [Arg<'_, T>; 5]) {
    let (guard, metrics) = (guard.words_mut(), metrics.write());
    let total = |values: &[T], len: u32| {
        let mut sum = T::zero();
        values[..4 * len as usize].iter().for_each(|&v| sum += v);
        sum
    };
    let recon = total(nll.read(), p.nll_len) / real(f64::from(p.samples));
    let divergence = total(kl.read(), p.kl_len);
    // What only looks has no objective.
    let judged = p.judged != 0;
    let extra = if judged { total(extra.read(), p.extra_len) } else { T::zero() };
    let before = guard[0] | guard[1];
    metrics[..METRICS].copy_from_slice(&[recon, divergence, real(f64::from(before)), extra]);
    let finite = [recon, divergence, extra].iter().all(|sum| sum.is_finite());
    let broken = judged && !finite;
    guard[0] = before | if broken { LOSS } else { 0 };
}

/// Where a session finds what a step reports.
#[derive(Clone, Copy, Debug)]
pub struct Reports {
    /// The metric slots.
    pub metrics: Tensor,
    /// The guard's words: what one says or the other is the status.
    pub guard: Tensor,
}

impl Reports {
    /// Adds both to a plan.
    pub fn new(plan: &mut Plan) -> Self {
        Self { metrics: plan.vector("metrics", SLOTS * METRICS), guard: guard(plan) }
    }
}

/// Records the sums over images of nll, which has so many `samples` of each, of KL, and of what else is
/// minimised. In training they are `judged`, before the optimiser; where a program only looks, a
/// broken loss is no reason to stop the training that may follow.
pub fn reduce(
    tape: &mut Tape<'_>,
    (nll, kl, extra): (Tensor, Tensor, Tensor),
    samples: usize,
    reports: Reports,
    judged: bool,
) {
    let p = Reduce {
        nll_len: size(nll.words() / 4),
        kl_len: size(kl.words() / 4),
        extra_len: size(extra.words() / 4),
        samples: size(samples),
        judged: u32::from(judged),
    };
    tape.dispatch(&TERMS, p, [nll, kl, extra, reports.guard, reports.metrics], Grid::Rows(1));
}

/// Fewer rows than lanes, as many, and more; a matrix; a status from before; sums that break at the
/// first or the last place, judged or not.
pub(crate) fn cases() -> Vec<Case> {
    let plain = |seed| Fill::Uniform(seed, 0.0, 200.0);
    let mut cases: Vec<_> = [1, 63, 64, 255, 1024, 1025, 5000]
        .map(|rows| {
            case(
                &format!("{rows}"),
                ([1, rows], plain(1)),
                (rows, plain(2), plain(3)),
                [1, 4],
                true,
            )
        })
        .into();
    cases.push(case("of parts", ([37, 20], plain(1)), (37, plain(2), plain(3)), [0, 0], true));
    let one = |at, value| Fill::OnesBut(at, value);
    for judged in [true, false] {
        let mut broken = |what: &str, nll: Fill, kl: Fill, extra: Fill| {
            let name = format!("of {what}, judged {judged}");
            cases.push(case(&name, ([1, 700], nll), (700, kl, extra), [2, 0], judged));
        };
        broken("a NaN loss", one(699, f32::NAN), one(0, 1.0), one(0, 1.0));
        broken("an infinite loss", one(0, f32::NEG_INFINITY), one(0, 1.0), one(0, 1.0));
        broken("an infinite KL", one(0, 1.0), one(699, f32::INFINITY), one(0, 1.0));
        broken("a NaN of another kind", one(0, 1.0), one(0, 1.0), one(699, f32::NAN));
    }
    cases
}

fn case(
    name: &str,
    ([rows, cols], nll): ([usize; 2], Fill),
    (images, kl, extra): (usize, Fill, Fill),
    status: [u32; 2],
    judged: bool,
) -> Case {
    let mut case = Case::new(format!("reduce.terms {name}"), images);
    let nll = match rows {
        1 => case.input_line("nll", cols, Dtype::F32, nll),
        _ => case.input("nll", [rows, cols], nll),
    };
    let kl = case.input_line("kl", images, Dtype::F32, kl);
    let extra = case.input_line("extra", images, Dtype::F32, extra);
    let reports = Reports::new(&mut case.plan);
    case.inputs.push((reports.guard, Fill::Words(status.into())));
    case.record(|tape| reduce(tape, (nll, kl, extra), 5, reports, judged));
    // The reference's plain f32 sum errs by about √rows roundings.
    case.tolerance = 5e-6;
    case
}
