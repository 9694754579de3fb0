//! Activations as dispatches of their own, and the slopes of those that a product has applied.

use std::ops::Range;

use crate::config::Activation;
use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, GradSite, Grid, Kernel, Real, Record, Rows, Schedule, Tape, Tensor,
    uncounted,
};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{activate, activation_of, plain, slope, slope_at_output, wgsl};

params! {
    /// Parameters of the activation kernels.
    pub struct Activate {
        /// Elements of x, with the padding.
        len: u32,
        /// Columns of x without the padding.
        cols: u32,
        /// The distance between rows of x and y.
        stride: u32,
        /// The code of f.
        activation: u32,
        /// Whether dx is added to what is there.
        accumulate: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("activation.wgsl"), Cover::Items(64))];

/// y = f(x), for x and y (rows, n). The padding of columns becomes zero, since f(0) need not be.
pub static FORWARD: Kernel<Activate, 2> = Kernel {
    name: "activation.forward",
    entry: "forward",
    bindings: [Binding::read("x"), Binding::write("y")],
    overrides: &["activation"],
    schedules: SCHEDULES,
    reference: (forward, forward),
    cpu: Cpu::Rows(rows),
    turns: |_| 0,
    flops: uncounted,
};

/// dx = f'(x) dy, or that added to dx, for x, dy and dx (rows, n).
pub static BACKWARD: Kernel<Activate, 3> = Kernel {
    name: "activation.backward",
    entry: "backward",
    bindings: [Binding::read("x"), Binding::read("dy"), Binding::write("dx")],
    overrides: &["activation"],
    schedules: SCHEDULES,
    reference: (backward, backward),
    cpu: Cpu::Rows(rows),
    turns: |_| 0,
    flops: uncounted,
};

/// The same from `output` = f(x) (rows, n), for those f whose slope follows from it.
pub static BACKWARD_AT_OUTPUT: Kernel<Activate, 3> = Kernel {
    name: "activation.backward_at_output",
    entry: "backward_at_output",
    bindings: [Binding::read("output"), Binding::read("dy"), Binding::write("dx")],
    overrides: &["activation"],
    schedules: SCHEDULES,
    reference: (backward_at_output, backward_at_output),
    cpu: Cpu::Rows(rows),
    turns: |_| 0,
    flops: uncounted,
};

fn rows<const N: usize>(p: &Activate) -> Rows<Activate, N> {
    let stride = p.stride as usize;
    let part =
        |p: &Activate, rows: Range<usize>| Activate { len: rows.len() as u32 * p.stride, ..*p };
    Rows { images: p.len as usize / stride, elements: [stride; N], part }
}

fn forward<T: Real>(p: &Activate, _: &Record, [x, y]: [Arg<'_, T>; 2]) {
    let kind = activation_of(p.activation);
    for (i, (y, &x)) in y.write().iter_mut().zip(x.read()).enumerate() {
        let inside = i % (p.stride as usize) < p.cols as usize;
        *y = if inside { activate(kind, x) } else { T::zero() };
    }
}

fn scale<T: Real>(p: &Activate, [at, dy, dx]: [Arg<'_, T>; 3], slope: fn(Activation, T) -> T) {
    let kind = activation_of(p.activation);
    for ((dx, &dy), &at) in dx.write().iter_mut().zip(dy.read()).zip(at.read()) {
        let before = if p.accumulate != 0 { *dx } else { T::zero() };
        *dx = before + dy * slope(kind, at);
    }
}

fn backward<T: Real>(p: &Activate, _: &Record, args: [Arg<'_, T>; 3]) {
    scale(p, args, slope);
}

fn backward_at_output<T: Real>(p: &Activate, _: &Record, args: [Arg<'_, T>; 3]) {
    scale(p, args, slope_at_output);
}

pub(super) fn params_of(kind: Activation, x: Tensor) -> Activate {
    let (cols, stride) = (size(x.cols()), size(x.stride()));
    Activate { len: size(x.words()), cols, stride, activation: kind.code(), accumulate: 0 }
}

/// Records y = f(x), of x's shape, and its gradient. The padding of columns stays zero.
pub fn activation(tape: &mut Tape<'_>, kind: Activation, x: Tensor) -> Tensor {
    let name = format!("{}.{}", tape.plan.name(x).trim_end_matches(".input"), kind.name());
    let y = tape.plan.matrix(&name, x.rows(), x.cols());
    let p = params_of(kind, x);
    tape.dispatch(&FORWARD, p, [x, y], Grid::Flat(x.words()));
    tape.on_backward(&[x], move |tape| {
        let dy = tape.grad(y, GradSite::Output).expect("something used the activation's output");
        let dx = tape.grad_out(x, GradSite::Output);
        let p = Activate { accumulate: dx.accumulate(), ..p };
        tape.dispatch(&BACKWARD, p, [x, dy, dx.at], Grid::Flat(x.words()));
    });
    y
}

/// The activation that was applied in the dispatch that made a tensor.
#[derive(Clone, Copy, Debug)]
struct Applied(Activation);

/// Notes that `y` is the output of an activation that was applied where `y` was made, so that who makes
/// the gradient of `y` may make at once that before the activation ([`GradSite::Input`]).
pub fn note_applied(tape: &mut Tape<'_>, y: Tensor, kind: Activation) {
    tape.note(y, Applied(kind));
}

/// The activation that was applied where `x` was made; the identity if none was.
#[must_use]
pub fn applied(tape: &Tape<'_>, x: Tensor) -> Activation {
    tape.noted(x).map_or(Activation::Identity, |Applied(kind)| kind)
}

/// The gradient before the activation that was applied where y was made. Where some operation wrote the
/// gradient of y itself, its way through the activation is recorded.
///
/// # Panics
///
/// If nothing wrote either.
pub fn gradient_before(tape: &mut Tape<'_>, kind: Activation, y: Tensor) -> Tensor {
    let site = match kind {
        Activation::Identity => GradSite::Output,
        _ => {
            through_activation(tape, kind, y);
            GradSite::Input
        }
    };
    tape.grad(y, site).expect("something used the layer's output")
}

fn through_activation(tape: &mut Tape<'_>, kind: Activation, y: Tensor) {
    let Some(dy) = tape.grad(y, GradSite::Output) else { return };
    let dx = tape.grad_out(y, GradSite::Input);
    let p = Activate { accumulate: dx.accumulate(), ..params_of(kind, y) };
    tape.dispatch(&BACKWARD_AT_OUTPUT, p, [y, dy, dx.at], Grid::Flat(y.words()));
}

/// Every activation with two users, ragged, and with more than 65,535 workgroups; the slopes at the
/// output are cases of the product.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, cols) in [(1, 1), (13, 37), (64, 65_600)] {
        for kind in Activation::ALL {
            if cols > 1000 && kind != Activation::Silu {
                continue;
            }
            let mut case = Case::new(format!("activation {rows}×{cols} {}", kind.name()), rows);
            let x = case.input("x", [rows, cols], Fill::Uniform(1, -5.0, 5.0));
            let weights = [case.weight([rows, cols]), case.weight([rows, cols])];
            let (ys, dx) = case.record(|tape| {
                let ys = [activation(tape, kind, x), activation(tape, kind, x)];
                for (y, weight) in ys.into_iter().zip(weights) {
                    tape.set_grad(y, weight);
                }
                tape.backward();
                (ys, tape.grad(x, GradSite::Output).expect("two rules wrote it"))
            });
            case.outputs.extend(ys.into_iter().zip(weights.map(Weight::Of)));
            case.gradients.push((x, dx));
            cases.push(case);
        }
    }
    cases
}
