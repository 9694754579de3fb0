//! The fully connected layer: a product with bias and activation, and both products of its way back.

mod cases;
mod fuse;
mod fused;
mod gemm;
mod tiles;

use crate::config::Activation;
use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{Arg, Binding, GradSite, Grid, Kernel, Real, Record, Tape, Tensor};
use crate::kernels::activation::{activation, through_activation};
use crate::kernels::common::{activate, activation_of, slope_at_output};
use tiles::{ENTRY, schedules};

params! {
    /// Parameters of a product C = op(A) op(B); all sizes count the padding.
    pub struct Product {
        /// Rows of C.
        rows: u32,
        /// Columns of C.
        cols: u32,
        /// Terms of each sum.
        depth: u32,
        /// The distance between rows of A as it is stored.
        a_stride: u32,
        /// The distance between rows of B as it is stored.
        b_stride: u32,
        /// The distance between rows of C.
        c_stride: u32,
        /// Columns of C that are no padding.
        inside: u32,
        /// The code of the activation: of the result, or of what made x.
        activation: u32,
        /// Whether the result is added to what is there.
        accumulate: u32,
        /// Dimensions of z, where h or z is made.
        latent: u32,
        /// The distance between rows of another matrix that the epilogue uses.
        other_stride: u32,
        /// The distance between rows of the losses' parts, of 32 columns each.
        parts: u32,
        /// Where the bias begins, behind the weight.
        bias: u32,
        /// Whether weight decay is apart from the gradient.
        decoupled: u32,
    }
}

pub(crate) use cases::{cases, trial};
pub use fuse::{Fusion, fuse};
pub use fused::{ADAM, ADAM_BYTES, BACKWARD_DRAW, BERNOULLI, BERNOULLI_BYTES, DRAW, FORWARD_BYTES};

/// y = f(x wᵀ + b).
pub static FORWARD: Kernel<Product, 4> = Kernel {
    name: "matmul.forward",
    entry: ENTRY,
    bindings: [Binding::read("x"), Binding::read("b"), Binding::read("w"), Binding::write("y")],
    overrides: &["activation"],
    schedules: schedules!(Nt: "forward.wgsl", "finish.layer.wgsl"),
    reference: (forward, forward),
    cpu: Some(gemm::forward),
};

/// dx = (dy w) ⊗ f'(x).
pub static BACKWARD_X: Kernel<Product, 4> = Kernel {
    name: "matmul.backward_x",
    entry: ENTRY,
    bindings: [
        Binding::read("dy"),
        Binding::read("made"),
        Binding::read("w"),
        Binding::write("dx"),
    ],
    overrides: &["activation"],
    schedules: schedules!(Nn: "backward_x.wgsl"),
    reference: (backward_x, backward_x),
    cpu: Some(gemm::backward_x),
};

/// dw = dyᵀ x, db = Σ dy.
pub static BACKWARD_W: Kernel<Product, 4> = Kernel {
    name: "matmul.backward_w",
    entry: ENTRY,
    bindings: [Binding::read("dy"), Binding::read("x"), Binding::write("dw"), Binding::write("db")],
    overrides: &[],
    schedules: schedules!(Tn: "backward_w.wgsl"),
    reference: (backward_w, backward_w),
    cpu: Some(gemm::backward_w),
};

/// Calls `f` with each row, column and place in C.
fn each(p: &Product, mut f: impl FnMut(usize, usize, usize)) {
    for row in 0..p.rows as usize {
        for col in 0..p.cols as usize {
            f(row, col, row * p.c_stride as usize + col);
        }
    }
}

/// Σ f(k) over the depth.
fn sum<T: Real>(p: &Product, f: impl Fn(usize) -> T) -> T {
    let mut total = T::zero();
    (0..p.depth as usize).for_each(|k| total += f(k));
    total
}

fn forward<T: Real>(p: &Product, _: &Record, [x, b, w, y]: [Arg<'_, T>; 4]) {
    let (x, b, w, y) = (x.read(), b.read(), w.read(), y.write());
    let kind = activation_of(p.activation);
    each(p, |row, col, at| {
        let (x, w) = (&x[row * p.a_stride as usize..], &w[col * p.b_stride as usize..]);
        let total = b[col] + sum(p, |k| x[k] * w[k]);
        y[at] = if col < p.inside as usize { activate(kind, total) } else { T::zero() };
    });
}

fn backward_x<T: Real>(p: &Product, _: &Record, [dy, x, w, dx]: [Arg<'_, T>; 4]) {
    let (dy, x, w, dx) = (dy.read(), x.read(), w.read(), dx.write());
    let kind = activation_of(p.activation);
    each(p, |row, col, at| {
        let dy = &dy[row * p.a_stride as usize..];
        let total = sum(p, |k| dy[k] * w[k * p.b_stride as usize + col]);
        let before = if p.accumulate != 0 { dx[at] } else { T::zero() };
        let inside = col < p.inside as usize;
        let value = before + total * slope_at_output(kind, x[at]);
        dx[at] = if inside { value } else { T::zero() };
    });
}

fn backward_w<T: Real>(p: &Product, _: &Record, [dy, x, dw, db]: [Arg<'_, T>; 4]) {
    let (dy, x, dw, db) = (dy.read(), x.read(), dw.write(), db.write());
    let (a, b) = (p.a_stride as usize, p.b_stride as usize);
    let before = |value: T| if p.accumulate != 0 { value } else { T::zero() };
    each(p, |row, col, at| {
        dw[at] = before(dw[at]) + sum(p, |k| dy[k * a + row] * x[k * b + col]);
    });
    for (row, db) in db.iter_mut().enumerate() {
        *db = before(*db) + sum(p, |k| dy[k * a + row]);
    }
}

/// A layer's weight (outputs, inputs) or bias (outputs), with its gradient.
#[derive(Clone, Copy, Debug)]
pub struct Learned {
    /// The values.
    pub value: Tensor,
    /// The gradient.
    pub grad: Tensor,
}

/// Records y (rows, outputs) = f(x wᵀ + b), for x (rows, inputs), and its gradients.
///
/// `wants_dx` is false for the first layer, whose input is data.
///
/// # Panics
///
/// If the shapes do not fit, naming them.
pub fn linear(
    tape: &mut Tape<'_>,
    name: &str,
    (x, wants_dx): (Tensor, bool),
    (w, b): (Learned, Learned),
    kind: Activation,
) -> Tensor {
    let (rows, inputs, outputs) = (x.rows(), x.cols(), w.value.rows());
    assert_eq!(inputs, w.value.cols(), "linear: x ({rows}, {inputs}) does not fit w {:?}", w.value);
    assert_eq!(b.value.cols(), outputs, "linear: b {:?} does not fit w {:?}", b.value, w.value);
    let fused = if kind.slope_from_output() { kind } else { Activation::Identity };
    let y = if fused == kind {
        tape.plan.matrix(name, rows, outputs)
    } else {
        tape.plan.matrix(&format!("{name}.input"), rows, outputs)
    };
    let p = Product {
        rows: size(y.padded_rows()),
        cols: size(y.stride()),
        depth: size(x.stride()),
        a_stride: size(x.stride()),
        b_stride: size(w.value.stride()),
        c_stride: size(y.stride()),
        inside: size(outputs),
        activation: fused.code(),
        accumulate: 0,
        ..Product::default()
    };
    let grid = Grid::Matrix(y.padded_rows(), y.stride());
    tape.dispatch(&FORWARD, p, [x, b.value, w.value, y], grid);
    tape.set_activation(y, fused);
    tape.on_backward(move |tape| {
        let site = if fused == Activation::Identity { GradSite::Output } else { GradSite::Input };
        if site == GradSite::Input {
            through_activation(tape, fused, y);
        }
        let dy = tape.grad(y, site).expect("something used the layer's output");
        if wants_dx {
            backward_to_input(tape, (x, y), w.value, dy);
        }
        backward_to_weight(tape, (x, y), (w, b), dy);
    });
    if fused == kind { y } else { activation(tape, kind, y) }
}

fn backward_to_input(tape: &mut Tape<'_>, (x, y): (Tensor, Tensor), w: Tensor, dy: Tensor) {
    let made_by = tape.activation(x);
    let site = if made_by == Activation::Identity { GradSite::Output } else { GradSite::Input };
    let (dx, accumulate) = tape.grad_out(x, site);
    let p = Product {
        rows: size(x.padded_rows()),
        cols: size(x.stride()),
        depth: size(y.stride()),
        a_stride: size(y.stride()),
        b_stride: size(w.stride()),
        c_stride: size(x.stride()),
        inside: size(x.cols()),
        activation: made_by.code(),
        accumulate: u32::from(accumulate),
        ..Product::default()
    };
    let grid = Grid::Matrix(x.padded_rows(), x.stride());
    tape.dispatch(&BACKWARD_X, p, [dy, x, w, dx], grid);
}

/// The most rows that one dispatch sums over. More are summed in blocks, which are added in order: an
/// adapter may leave a loop after 65,535 turns, and sums of parts lose fewer digits. It holds on every
/// device, so that bits depend on shapes alone.
const MOST_ROWS: usize = 2048;

fn backward_to_weight(
    tape: &mut Tape<'_>,
    (x, y): (Tensor, Tensor),
    (w, b): (Learned, Learned),
    dy: Tensor,
) {
    let p = Product {
        rows: size(w.value.padded_rows()),
        cols: size(w.value.stride()),
        a_stride: size(y.stride()),
        b_stride: size(x.stride()),
        c_stride: size(w.value.stride()),
        inside: size(w.value.cols()),
        ..Product::default()
    };
    let grid = Grid::Matrix(w.value.padded_rows(), w.value.stride());
    let rows = x.padded_rows();
    for first in (0..rows).step_by(MOST_ROWS) {
        let block = first..rows.min(first + MOST_ROWS);
        let p = Product { depth: size(block.len()), accumulate: u32::from(first > 0), ..p };
        let bindings = [dy.block(block.clone()), x.block(block), w.grad, b.grad];
        tape.leaf(&BACKWARD_W, p, bindings, grid);
    }
}
