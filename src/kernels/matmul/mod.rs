//! The fully connected layer: a product with bias and activation, and both products of its way back.

mod gemm;
#[cfg(test)]
mod generate;

use crate::config::Activation;
use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Dtype, GradSite, Grid, Kernel, Needs, Real, Record, Schedule, Tape, Tensor,
};
use crate::kernels::activation::{activation, through_activation};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{activate, activation_of, slope_at_output, wgsl};

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
    }
}

/// How a tile is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tile {
    /// Each invocation makes 4 × 4 elements from vector loads; a workgroup is 8 × 8 of them. It
    /// needs nothing.
    Register,
    /// A workgroup is one subgroup of 8 lanes; it makes 16 × 32 elements. Each lane owns four
    /// columns, the lanes load different k of A and hand them round: few loads for many products,
    /// which is what counts where a load costs more than twenty multiply-adds.
    Broadcast,
}

const LANES: usize = 8;

impl Tile {
    /// Rows and columns of C that one workgroup makes.
    const fn cover(self) -> (usize, usize) {
        match self {
            Self::Register => (32, 32),
            Self::Broadcast => (16, 4 * LANES),
        }
    }
}

const fn cover(tile: Tile) -> Cover {
    let (rows, cols) = tile.cover();
    Cover::Tile(rows, cols)
}

const SCHEDULES: &[Schedule] = &[
    Schedule {
        name: "broadcast",
        source: wgsl!("matmul.broadcast.wgsl"),
        needs: Needs::Subgroups(8),
        cover: cover(Tile::Broadcast),
    },
    Schedule {
        name: "register",
        source: wgsl!("matmul.wgsl"),
        needs: Needs::Nothing,
        cover: cover(Tile::Register),
    },
];

/// y = f(x wᵀ + b).
pub static FORWARD: Kernel<Product, 4> = Kernel {
    name: "matmul.forward",
    entry: "forward",
    bindings: [Binding::read("x"), Binding::read("b"), Binding::read("w"), Binding::write("y")],
    overrides: &["activation"],
    schedules: SCHEDULES,
    reference: (forward, forward),
    cpu: Some(gemm::forward),
};

/// dx = (dy w) ⊗ f'(x).
pub static BACKWARD_X: Kernel<Product, 4> = Kernel {
    name: "matmul.backward_x",
    entry: "backward_x",
    bindings: [
        Binding::read("dy"),
        Binding::read("x_in"),
        Binding::read("w"),
        Binding::write("dx"),
    ],
    overrides: &["activation"],
    schedules: SCHEDULES,
    reference: (backward_x, backward_x),
    cpu: Some(gemm::backward_x),
};

/// dw = dyᵀ x, db = Σ dy.
pub static BACKWARD_W: Kernel<Product, 4> = Kernel {
    name: "matmul.backward_w",
    entry: "backward_w",
    bindings: [
        Binding::read("dy"),
        Binding::read("x_in"),
        Binding::write("dw"),
        Binding::write("db"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
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
    };
    let grid = Grid::Matrix(x.padded_rows(), x.stride());
    tape.dispatch(&BACKWARD_X, p, [dy, x, w, dx], grid);
}

fn backward_to_weight(
    tape: &mut Tape<'_>,
    (x, y): (Tensor, Tensor),
    (w, b): (Learned, Learned),
    dy: Tensor,
) {
    let p = Product {
        rows: size(w.value.padded_rows()),
        cols: size(w.value.stride()),
        depth: size(x.padded_rows()),
        a_stride: size(y.stride()),
        b_stride: size(x.stride()),
        c_stride: size(w.value.stride()),
        inside: size(w.value.cols()),
        activation: 0,
        accumulate: 0,
    };
    let grid = Grid::Matrix(w.value.padded_rows(), w.value.stride());
    tape.leaf(&BACKWARD_W, p, [dy, x, w.grad, b.grad], grid);
}

/// Sizes of one, a tile and one more or less, ragged in every dimension; every activation before
/// and after; an input with two users; the classic model's layers for the benches.
pub(crate) fn cases() -> Vec<Case> {
    let relu = Activation::Relu;
    let mut cases = Vec::new();
    for [rows, inputs, outputs] in [
        [1, 1, 1],
        [15, 31, 33],
        [16, 16, 32],
        [17, 33, 31],
        [31, 32, 33],
        [33, 20, 65],
        [65, 7, 3],
    ] {
        cases.push(layer(rows, inputs, outputs, relu));
    }
    for kind in Activation::ALL {
        cases.push(layer(19, 21, 37, kind));
    }
    cases.push(two_users());
    for [rows, inputs, outputs] in
        [[128, 784, 400], [128, 400, 40], [128, 20, 400], [128, 400, 784]]
    {
        cases.push(layer(rows, inputs, outputs, relu));
    }
    cases
}

/// A layer's inputs in a case, and its share of what gradients are compared.
fn learned(case: &mut Case, name: &str, inputs: usize, outputs: usize) -> (Learned, Learned) {
    let spread = 2.0 / (inputs as f32).sqrt();
    let shape = [outputs, inputs];
    let value = case.input(&format!("{name}.w"), shape, Fill::Uniform(2, -spread, spread));
    let w = Learned { value, grad: case.plan.matrix(&format!("d{name}.w"), outputs, inputs) };
    let fill = Fill::Uniform(3, -0.5, 0.5);
    let value = case.input_line(&format!("{name}.b"), outputs, Dtype::F32, fill);
    let b = Learned { value, grad: case.plan.vector(&format!("d{name}.b"), outputs) };
    case.gradients.extend([(w.value, w.grad), (b.value, b.grad)]);
    (w, b)
}

/// A layer after a small one with the same activation, so that both epilogues see it.
fn layer(rows: usize, inputs: usize, outputs: usize, kind: Activation) -> Case {
    let name = format!("matmul {rows}×{inputs}→{outputs} {}", kind.name());
    let mut case = Case::new(name, rows);
    let x = case.input("x", [rows, 5], Fill::Uniform(1, -1.0, 1.0));
    let before = learned(&mut case, "before", 5, inputs);
    let after = learned(&mut case, "after", inputs, outputs);
    let weight = case.weight([rows, outputs]);
    let (y, dx) = case.record(|tape| {
        let made = linear(tape, "made", (x, true), before, kind);
        let y = linear(tape, "y", (made, true), after, kind);
        tape.set_grad(y, weight);
        tape.backward();
        (y, tape.grad(x, GradSite::Output).expect("the first layer wants it"))
    });
    case.outputs.push((y, Weight::Of(weight)));
    case.gradients.push((x, dx));
    case.flops = 6 * (rows * inputs * (outputs + 5)) as u64;
    case.tolerance = 3e-6;
    case
}

/// A layer's output that two layers and an activation use: the first way back to come stores, the
/// others add, before the activation and after it.
fn two_users() -> Case {
    let (rows, inputs, between, outputs) = (9, 6, 18, 7);
    let mut case = Case::new("matmul with three users".to_owned(), rows);
    let x = case.input("x", [rows, inputs], Fill::Uniform(1, -1.0, 1.0));
    let shared = learned(&mut case, "shared", inputs, between);
    let users = ["first", "second"].map(|name| learned(&mut case, name, between, outputs));
    let weights = [outputs, outputs, between].map(|cols| case.weight([rows, cols]));
    let (ys, dx) = case.record(|tape| {
        let made = linear(tape, "made", (x, true), shared, Activation::Tanh);
        let first = linear(tape, "a", (made, true), users[0], Activation::Identity);
        let second = linear(tape, "b", (made, true), users[1], Activation::Sigmoid);
        let third = activation(tape, Activation::Silu, made);
        let ys = [first, second, third];
        for (y, weight) in ys.into_iter().zip(weights) {
            tape.set_grad(y, weight);
        }
        tape.backward();
        (ys, tape.grad(x, GradSite::Output).expect("the first layer wants it"))
    });
    case.outputs.extend(ys.into_iter().zip(weights.map(Weight::Of)));
    case.gradients.push((x, dx));
    case
}
