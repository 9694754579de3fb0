//! The sum of two tensors, which ends a residual block where its last product does not.

use std::ops::Range;

use crate::config::Activation;
use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, GradSite, Grid, Kernel, PAD, Real, Record, Rows, Schedule, Tape,
    Tensor, uncounted,
};
use crate::kernels::activation::{BACKWARD_AT_OUTPUT, params_of};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{plain, wgsl};

params! {
    /// Parameters of the kernel that adds.
    pub struct Add {
        /// Elements, with the padding.
        len: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("add.wgsl"), Cover::Items(64))];

/// y = a + b, of one shape.
pub static FORWARD: Kernel<Add, 3> = Kernel {
    name: "add.forward",
    entry: "forward",
    bindings: [Binding::read("a"), Binding::read("b"), Binding::write("y")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (forward, forward),
    cpu: Cpu::Rows(rows),
    turns: |_| 0,
    flops: uncounted,
};

fn rows(p: &Add) -> Rows<Add, 3> {
    let part = |_: &Add, rows: Range<usize>| Add { len: size(rows.len() * PAD) };
    Rows { images: p.len as usize / PAD, elements: [PAD; 3], part }
}

fn forward<T: Real>(_: &Add, _: &Record, [a, b, y]: [Arg<'_, T>; 3]) {
    let terms = a.read().iter().zip(b.read());
    y.write().iter_mut().zip(terms).for_each(|(y, (&a, &b))| *y = a + b);
}

/// Records y = a + b, and the gradients of those of the two that want one.
///
/// # Panics
///
/// If they are not of one shape.
pub fn add(tape: &mut Tape<'_>, name: &str, terms: [(Tensor, bool); 2]) -> Tensor {
    let [(a, _), (b, _)] = terms;
    let sides = |of: Tensor| [of.rows(), of.cols()];
    assert_eq!(sides(a), sides(b), "add `{name}`: two tensors of one shape");
    let y = tape.plan.matrix(name, a.rows(), a.cols());
    tape.dispatch(&FORWARD, Add { len: size(y.words()) }, [a, b, y], Grid::Flat(y.words()));
    let inputs: Vec<_> =
        terms.into_iter().filter(|(_, wanted)| *wanted).map(|(of, _)| of).collect();
    tape.on_backward(&inputs.clone(), move |tape| {
        let dy = tape.grad(y, GradSite::Output).expect("something used the sum");
        inputs.iter().for_each(|&of| add_gradient(tape, of, dy));
    });
    y
}

/// Adds a gradient to that of a tensor, or begins it.
pub fn add_gradient(tape: &mut Tape<'_>, of: Tensor, dy: Tensor) {
    let dx = tape.grad_out(of, GradSite::Output);
    let mut p = params_of(Activation::Identity, of);
    p.accumulate = dx.accumulate();
    tape.dispatch(&BACKWARD_AT_OUTPUT, p, [of, dy, dx.at], Grid::Flat(of.words()));
}

/// The same, where the gradient that is given is no longer wanted once this tensor's is added to: if this is its first, they
/// are one.
pub fn pass_on_gradient(tape: &mut Tape<'_>, of: Tensor, dy: Tensor) {
    match tape.grad(of, GradSite::Output) {
        None => tape.set_grad(of, dy),
        Some(_) => add_gradient(tape, of, dy),
    }
}

/// Ragged, two users of one term, a term twice, and more than 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    [(1, 1), (13, 37), (64, 65_600)].into_iter().map(case).collect()
}

fn case((rows, cols): (usize, usize)) -> Case {
    let mut case = Case::new(format!("add {rows}×{cols}"), rows);
    let [a, b] = [("a", 1), ("b", 2)]
        .map(|(name, seed)| case.input(name, [rows, cols], Fill::Uniform(seed, -2.0, 2.0)));
    let weights = [0; 2].map(|_| case.weight([rows, cols]));
    let (made, gradients) = case.record(|tape| {
        let made = [[a, b], [b, b]].map(|terms| add(tape, "y", terms.map(|of| (of, true))));
        made.iter().zip(weights).for_each(|(&made, weight)| tape.set_grad(made, weight));
        tape.backward();
        let gradient = |of| (of, tape.grad(of, GradSite::Output).expect("the rules wrote it"));
        (made, [a, b].map(gradient))
    });
    case.outputs.extend(made.into_iter().zip(weights.map(Weight::Of)));
    case.gradients.extend(gradients);
    case
}
