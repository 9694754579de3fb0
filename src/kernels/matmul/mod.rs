//! The fully connected layer: a product with bias and activation, and both products of its way back.

mod cases;
pub mod convolution;
mod fused;
pub(super) mod gemm;
mod record;
mod tiles;

use crate::engine::kernel::params;
use crate::engine::{Arg, Binding, Cpu, Kernel, Real, Record};
use crate::kernels::common::{activate, activation_of, slope_at_output, turns};
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
        /// Which of the model's draws it is, where z is drawn.
        site: u32,
        /// How many rows each image has, where rows are compared with images.
        samples: u32,
    }
}

pub(crate) use cases::{cases, trial};
pub(super) use fused::PART;
pub use fused::{
    ADAM, ADAM_BYTES, ADAM_BYTES_SQUARES, ADAM_SQUARES, BACKWARD_DRAW, BERNOULLI, BERNOULLI_BYTES,
    DRAW, FORWARD_BYTES,
};
pub use record::{
    Affine, BLOCK, Bytes, Compared, DrawAt, Input, linear, linear_bernoulli, linear_draw,
};

/// y = f(x wᵀ + b).
pub static FORWARD: Kernel<Product, 4> = Kernel {
    name: "matmul.forward",
    entry: ENTRY,
    bindings: [Binding::read("x"), Binding::read("b"), Binding::read("w"), Binding::write("y")],
    overrides: &["activation"],
    schedules: schedules!(Nt: "forward.wgsl", "finish.layer.wgsl"),
    reference: (forward, forward),
    cpu: Cpu::Own(gemm::forward),
    turns: |p| turns_of(p, 97),
    flops: |_, [x, _, _, y]| operations(y.rows(), y.cols(), x.cols()),
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
    schedules: schedules!(Nn: "backward_x.wgsl", "finish.slope.wgsl"),
    reference: (backward_x, backward_x),
    cpu: Cpu::Own(gemm::backward_x),
    turns: |p| turns_of(p, 177),
    flops: |_, [dy, _, _, dx]| operations(dx.rows(), dx.cols(), dy.cols()),
};

/// dw = dyᵀ x, db = Σ dy.
pub static BACKWARD_W: Kernel<Product, 4> = Kernel {
    name: "matmul.backward_w",
    entry: ENTRY,
    bindings: [Binding::read("dy"), Binding::read("x"), Binding::write("dw"), Binding::write("db")],
    overrides: &[],
    schedules: schedules!(Tn: "backward_w.wgsl", "finish.weight.wgsl", "finish.bias.wgsl", "squares.none.wgsl"),
    reference: (backward_w, backward_w),
    cpu: Cpu::Own(gemm::backward_w),
    turns: |p| turns_of(p, 32) + turns(p.depth, 1),
    flops: |_, [dy, x, ..]| operations(dy.rows(), dy.cols(), x.cols()),
};

/// Loop turns over the depth, of which the register tile has most, four terms a turn; and those of what is
/// done with the sums, by the tile that has most. The tiles with cooperative matrices have more, but run
/// only on hardware, which ends no loop.
fn turns_of(p: &Product, ending: u64) -> u64 {
    4 * u64::from(p.depth.div_ceil(16)) + 1 + ending
}

/// Floating-point operations of a product: each term is multiplied and added.
fn operations(rows: usize, cols: usize, depth: usize) -> u64 {
    2 * rows as u64 * cols as u64 * depth as u64
}

/// Σ f(k) over the depth.
fn sum<T: Real>(p: &Product, f: impl Fn(usize) -> T) -> T {
    let mut total = T::zero();
    (0..p.depth as usize).for_each(|k| total += f(k));
    total
}

/// A row of C: Σ a(k) · row k of B over the depth. Of every column a term at a time, whose neighbours lie
/// side by side; a column's terms are still added in their order.
fn sum_rows<T: Real>(p: &Product, a: impl Fn(usize) -> T, b: &[T], totals: &mut [T]) {
    totals.fill(T::zero());
    for (k, b) in b.chunks(p.b_stride as usize).enumerate().take(p.depth as usize) {
        let a = a(k);
        totals.iter_mut().zip(b).for_each(|(total, &b)| *total += a * b);
    }
}

fn forward<T: Real>(p: &Product, _: &Record, [x, b, w, y]: [Arg<'_, T>; 4]) {
    let (x, b, w, y) = (x.read(), b.read(), w.read(), y.write());
    let kind = activation_of(p.activation);
    for row in 0..p.rows as usize {
        for col in 0..p.cols as usize {
            let (x, w) = (&x[row * p.a_stride as usize..], &w[col * p.b_stride as usize..]);
            let total = b[col] + sum(p, |k| x[k] * w[k]);
            let inside = col < p.inside as usize;
            y[row * p.c_stride as usize + col] =
                if inside { activate(kind, total) } else { T::zero() };
        }
    }
}

fn backward_x<T: Real>(p: &Product, _: &Record, [dy, x, w, dx]: [Arg<'_, T>; 4]) {
    let (dy, x, w, dx) = (dy.read(), x.read(), w.read(), dx.write());
    let kind = activation_of(p.activation);
    let mut totals = vec![T::zero(); p.cols as usize];
    for (row, dy) in dy.chunks(p.a_stride as usize).enumerate().take(p.rows as usize) {
        sum_rows(p, |k| dy[k], w, &mut totals);
        for (col, &total) in totals.iter().enumerate() {
            let at = row * p.c_stride as usize + col;
            let before = if p.accumulate != 0 { dx[at] } else { T::zero() };
            let value = before + total * slope_at_output(kind, x[at]);
            dx[at] = if col < p.inside as usize { value } else { T::zero() };
        }
    }
}

fn backward_w<T: Real>(p: &Product, _: &Record, [dy, x, dw, db]: [Arg<'_, T>; 4]) {
    let (dy, x, dw, db) = (dy.read(), x.read(), dw.write(), db.write());
    let a = p.a_stride as usize;
    let before = |value: T| if p.accumulate != 0 { value } else { T::zero() };
    let mut totals = vec![T::zero(); p.cols as usize];
    for (row, dw) in dw.chunks_mut(p.c_stride as usize).enumerate().take(p.rows as usize) {
        sum_rows(p, |k| dy[k * a + row], x, &mut totals);
        dw.iter_mut().zip(&totals).for_each(|(dw, &total)| *dw = before(*dw) + total);
    }
    for (row, db) in db.iter_mut().enumerate() {
        *db = before(*db) + sum(p, |k| dy[k * a + row]);
    }
}
