//! What a step reports: the sums of its terms, and the status that the steps before left.

use crate::engine::kernel::params;
use crate::engine::record::SLOTS;
use crate::engine::report::{SLOT, Slots, VALUES};
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Dtype, Grid, Kernel, Plan, Real, Record, ReportSpec, Schedule, Tape,
    Tensor, real, uncounted,
};
use crate::kernels::case::{Case, Fill};
use crate::kernels::common::{halvings, plain, sum, turns, wgsl};
use crate::kernels::finite::{LOSS, guard};

params! {
    /// Parameters of the reduce kernel, of three terms.
    pub struct Reduce {
        /// Groups of four elements of the first term, with the padding, which is zero.
        first_len: u32,
        /// Groups of four elements of the second.
        second_len: u32,
        /// Groups of four elements of the third.
        third_len: u32,
        /// How many elements of the first term an image has: its sum is divided by that.
        first_each: u32,
        /// How many of the second.
        second_each: u32,
        /// How many of the third.
        third_each: u32,
        /// The place of the first term's sum among the numbers of a report.
        place: u32,
        /// Whether a sum that is not finite sets the guard's status.
        judged: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("reduce.wgsl"), Cover::Row)];

/// Terms of one dispatch.
const TOGETHER: usize = 3;

/// The sums of three terms over a minibatch's images, to the run's slot (slots · [`SLOT`]), behind the
/// guard's status, of its two words, as the steps before left it: each term is a vector or a matrix, of which
/// an image has so many elements that are averaged.
pub static TERMS: Kernel<Reduce, 5> = Kernel {
    name: "reduce.terms",
    entry: "terms",
    bindings: [
        Binding::read("first"),
        Binding::read("second"),
        Binding::read("third"),
        Binding::write_words("guard_words"),
        Binding::write("slots"),
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
    let added = [p.first_len, p.second_len, p.third_len].map(|len| turns(len, LANES));
    added.iter().sum::<u64>() + halvings(LANES)
}

fn terms<T: Real>(p: &Reduce, _: &Record, args: [Arg<'_, T>; 5]) {
    let [first, second, third, guard, slots] = args;
    let (guard, slots) = (guard.words_mut(), slots.write());
    let mean = |term: Arg<'_, T>, len: u32, each: u32| {
        sum(term.read()[..4 * len as usize].iter().copied()) / real(f64::from(each))
    };
    let sums = [
        mean(first, p.first_len, p.first_each),
        mean(second, p.second_len, p.second_each),
        mean(third, p.third_len, p.third_each),
    ];
    let before = guard[0] | guard[1];
    let place = p.place as usize;
    // The first dispatch of a step sees the status that the step before left.
    if place == 0 {
        slots[0] = real(f64::from(before));
    }
    slots[1 + place..][..TOGETHER].copy_from_slice(&sums);
    let broken = p.judged != 0 && !sums.iter().all(|sum| sum.is_finite());
    guard[0] = before | if broken { LOSS } else { 0 };
}

/// Makes room in a plan for what its programs report: numbers under these names, and the guard.
///
/// # Panics
///
/// If there are more names than a report has numbers.
pub fn reports(plan: &mut Plan, names: &[&str]) -> ReportSpec {
    assert!(names.len() <= VALUES, "{} numbers in a report of {VALUES}", names.len());
    ReportSpec {
        names: names.iter().map(|&name| name.to_owned()).collect(),
        slots: Slots { values: plan.vector("metrics", SLOTS * SLOT), guard: guard(plan) },
    }
}

/// What is reported under a name: a sum.
#[derive(Clone, Copy, Debug)]
pub struct Term<'a> {
    /// The name.
    pub name: &'a str,
    /// What is added up; padding is zero.
    pub of: Tensor,
    /// How many elements each image has, of which the mean is reported.
    pub each: usize,
}

/// Records the sums of some terms, three names of the report at a time; a name beside a term's that has none itself is
/// reported as zero, and three names of which none has one are left to who else makes them.
/// In training they are `judged`, before the optimiser; where a program only looks, a broken loss is no
/// reason to stop the training that may follow.
///
/// # Panics
///
/// If there is no term, or one has a name that the report does not know.
pub fn reduce(tape: &mut Tape<'_>, reports: &ReportSpec, terms: &[Term<'_>], judged: bool) {
    assert!(!terms.is_empty(), "a report of no terms");
    for Term { name, .. } in terms {
        assert!(reports.place(name).is_some(), "`{name}` is not among {:?}", reports.names);
    }
    for (group, names) in reports.names.chunks(TOGETHER).enumerate() {
        let found =
            |at: usize| terms.iter().find(|term| names.get(at).is_some_and(|n| n == term.name));
        let found = [0, 1, 2].map(found);
        if found.iter().all(Option::is_none) {
            continue;
        }
        let len = |at: usize| found[at].map_or(0, |term| size(term.of.words() / 4));
        let each = |at: usize| found[at].map_or(1, |term| size(term.each));
        let p = Reduce {
            first_len: len(0),
            second_len: len(1),
            third_len: len(2),
            first_each: each(0),
            second_each: each(1),
            third_each: each(2),
            place: size(TOGETHER * group),
            judged: u32::from(judged),
        };
        // Something must be bound for a term that is not there; none of it is read.
        let other = found.into_iter().flatten().next().unwrap_or(&terms[0]).of;
        let [first, second, third] = found.map(|term| term.map_or(other, |term| term.of));
        let bindings = [first, second, third, reports.slots.guard, reports.slots.values];
        tape.dispatch(&TERMS, p, bindings, Grid::Rows(1));
    }
}

/// Fewer rows than lanes, as many, and more; a matrix; a status from before; sums that break at the
/// first or the last place, judged or not; more terms than one dispatch takes, and fewer.
pub(crate) fn cases() -> Vec<Case> {
    let plain = |seed| Fill::Uniform(seed, 0.0, 200.0);
    let three = |rows: usize| [([1, rows], plain(1)), ([1, rows], plain(2)), ([1, rows], plain(3))];
    let mut cases: Vec<_> = [1, 63, 64, 255, 1024, 1025, 5000, 400_000]
        .map(|rows| case(&format!("{rows}"), &three(rows), [1, 4], true))
        .into();
    let matrix = [([37, 20], plain(1)), ([1, 37], plain(2)), ([1, 37], plain(3))];
    cases.push(case("of parts", &matrix, [0, 0], true));
    let many = |count| (1..=count).map(|seed| ([1, 70 * seed as usize], plain(seed)));
    for count in [1, 2, 4, 7, VALUES as u32] {
        let name = format!("of {count} terms");
        cases.push(case(&name, &many(count).collect::<Vec<_>>(), [0, 2], true));
    }
    let one = |at, value| ([1, 700], Fill::OnesBut(at, value));
    let well = || one(0, 1.0);
    for judged in [true, false] {
        let mut broken = |what: &str, terms: &[_]| {
            cases.push(case(&format!("of {what}, judged {judged}"), terms, [2, 0], judged));
        };
        broken("a NaN first", &[one(699, f32::NAN), well(), well()]);
        broken("an infinite first", &[one(0, f32::NEG_INFINITY), well(), well()]);
        broken("an infinite second", &[well(), one(699, f32::INFINITY), well()]);
        broken("a NaN third", &[well(), well(), one(699, f32::NAN)]);
        broken("a NaN fourth", &[well(), well(), well(), one(0, f32::NAN)]);
    }
    cases
}

fn case(name: &str, terms: &[([usize; 2], Fill)], status: [u32; 2], judged: bool) -> Case {
    let mut case = Case::new(format!("reduce.terms {name}"), 1);
    let names: Vec<_> = (0..terms.len()).map(|i| format!("term {i}")).collect();
    let terms: Vec<_> = (0..)
        .zip(&names)
        .zip(terms)
        .map(|((i, name), ([rows, cols], fill))| {
            let of = match rows {
                1 => case.input_line(name, *cols, Dtype::F32, fill.clone()),
                _ => case.input(name, [*rows, *cols], fill.clone()),
            };
            Term { name, of, each: [5, 1, 3][i % 3] }
        })
        .collect();
    // A name without a term is reported as zero, whatever was there before, or left alone.
    let names: Vec<_> = names.iter().map(String::as_str).chain(["none"]).take(VALUES).collect();
    let reports = reports(&mut case.plan, &names);
    case.inputs.push((reports.slots.guard, Fill::Words(status.into())));
    case.inputs.push((reports.slots.values, Fill::OnesBut(0, 1.0)));
    case.record(|tape| reduce(tape, &reports, &terms, judged));
    case.tolerance = 2e-7;
    case
}
