//! Transposed convolutions: what each place of a map spreads to places of a larger one.
//!
//! With C the convolution that makes a map like x of one like y, which is linear, it is y = f(Cᵀ x + b): the way back of C
//! (Dumoulin and Visin 2016, chapter 4). Its own way back is C of dy, and the gradient of its weight that of C with the two
//! maps in each other's places.

use super::record::{by_phase, counts, windows_of};
use super::{Convolution, Map, Windows, each_of_phase, patches};
use crate::config::Activation;
use crate::engine::tensor::size;
use crate::engine::{Arg, Binding, Cpu, GradSite, Grid, Kernel, Real, Record, Tape, Tensor};
use crate::kernels::activation::{activation, applied, gradient_before, note_applied};
use crate::kernels::columns::sum_columns;
use crate::kernels::common::{activate, activation_of, slope_at_output};
use crate::kernels::matmul::tiles::{ENTRY, schedules};
use crate::kernels::matmul::{Affine, BLOCK, Product, operations, sum_rows};

/// y = f(windows of x · the weights that reach a place + b), for the places of a phase.
pub static TRANSPOSED: Kernel<Convolution, 4> = Kernel {
    name: "matmul.transposed",
    entry: ENTRY,
    bindings: [Binding::read("x"), Binding::read("b"), Binding::read("w"), Binding::write("y")],
    overrides: super::CONVOLVE_BACKWARD_X.overrides,
    schedules: schedules!(Windows Nn: "convolve_phase.wgsl", "transposed.wgsl"),
    reference: (forward, forward),
    cpu: Cpu::Own(patches::transposed),
    turns: super::CONVOLVE_BACKWARD_X.turns,
    flops: super::CONVOLVE_BACKWARD_X.flops,
};

/// dx = (windows of dy · wᵀ) ⊗ f'(x).
pub static TRANSPOSED_BACKWARD_X: Kernel<Convolution, 4> = Kernel {
    name: "matmul.transposed_backward_x",
    entry: ENTRY,
    bindings: [
        Binding::read("dy"),
        Binding::read("made"),
        Binding::read("w"),
        Binding::write("dx"),
    ],
    overrides: super::CONVOLVE.overrides,
    schedules: schedules!(Windows Nt: "transposed_backward_x.wgsl", "finish.slope.wgsl"),
    reference: (backward_x, backward_x),
    cpu: Cpu::Own(patches::transposed_backward_x),
    turns: super::CONVOLVE.turns,
    flops: |_, [_, _, w, dx]| operations(dx.rows(), dx.cols(), w.cols()),
};

/// dw = xᵀ · windows of dy.
pub static TRANSPOSED_BACKWARD_W: Kernel<Convolution, 3> = Kernel {
    name: "matmul.transposed_backward_w",
    entry: ENTRY,
    bindings: [Binding::read("x"), Binding::read("dy"), Binding::write("dw")],
    overrides: super::CONVOLVE_BACKWARD_W.overrides,
    schedules: schedules!(
        Windows Tn: "transposed_backward_w.wgsl", "finish.weight.wgsl", "squares.none.wgsl"
    ),
    reference: (backward_w, backward_w),
    cpu: Cpu::Own(patches::transposed_backward_w),
    turns: super::CONVOLVE_BACKWARD_W.turns,
    flops: |_, [x, _, dw]| operations(x.rows(), dw.rows(), dw.cols()),
};

fn forward<T: Real>(p: &Convolution, _: &Record, [x, b, w, y]: [Arg<'_, T>; 4]) {
    let (x, b, w, y) = (x.read(), b.read(), w.read(), y.write());
    let kind = activation_of(p.activation);
    each_of_phase(p, x, w, |place, totals| {
        for (col, &total) in totals.iter().enumerate() {
            let inside = col < p.inside as usize && place < p.made_rows as usize;
            y[place * p.c_stride as usize + col] =
                if inside { activate(kind, total + b[col]) } else { T::zero() };
        }
    });
}

fn backward_x<T: Real>(p: &Convolution, _: &Record, [dy, x, w, dx]: [Arg<'_, T>; 4]) {
    let (dy, x, w, dx) = (dy.read(), x.read(), w.read(), dx.write());
    let (kind, stride) = (activation_of(p.activation), p.c_stride as usize);
    let patches = p.patches(dy, p.a_stride, p.rows, p.depth);
    for (row, patch) in patches.chunks(p.depth as usize).enumerate() {
        for (col, w) in w.chunks(p.b_stride as usize).enumerate().take(p.cols as usize) {
            let at = row * stride + col;
            // The padding of a gradient is zero.
            let own = if row < p.windows() && col < p.inside as usize {
                let total = patch.iter().zip(w).fold(T::zero(), |sum, (&dy, &w)| sum + dy * w);
                total * slope_at_output(kind, x[at])
            } else {
                T::zero()
            };
            dx[at] = if p.accumulate != 0 { dx[at] + own } else { own };
        }
    }
}

fn backward_w<T: Real>(p: &Convolution, _: &Record, [x, dy, dw]: [Arg<'_, T>; 3]) {
    let (x, dy, dw) = (x.read(), dy.read(), dw.write());
    // The padding of x need not be zero.
    let p = Convolution { depth: p.windows_left(), ..*p };
    let patches = p.patches(dy, p.b_stride, p.depth, p.cols);
    let product = Product { b_stride: p.cols, ..p.product() };
    let mut totals = vec![T::zero(); p.cols as usize];
    for (row, dw) in dw.chunks_mut(p.c_stride as usize).enumerate().take(p.rows as usize) {
        sum_rows(&product, |k| x[k * p.a_stride as usize + row], &patches, &mut totals);
        for (dw, &total) in dw.iter_mut().zip(&totals) {
            *dw = if p.accumulate != 0 { *dw + total } else { total };
        }
    }
}

/// Records y = f(Cᵀ x + b), C being the convolution of these windows that makes a map like x of one like y, for a map x, w
/// (inputs, [`Windows::columns`] of the outputs) in the order line, place, output, and b (outputs), and its gradients.
/// `wants` says whether x wants its own.
///
/// # Panics
///
/// If the shapes do not fit, naming them; if places are repeated; or as [`convolution`](super::convolution) of y would.
pub fn transposed(
    tape: &mut Tape<'_>,
    name: &str,
    (x, wants): (Map, bool),
    layer: Affine,
    windows: Windows,
    kind: Activation,
) -> Map {
    let [height, width] = windows.spread([x.height, x.width]).unwrap_or_else(|| {
        panic!("transposed `{name}`: {windows:?} leave no place of {} × {}", x.height, x.width)
    });
    let fused = if kind.slope_from_output() { kind } else { Activation::Identity };
    let path = if fused == kind { name.to_owned() } else { format!("{name}.input") };
    let Affine { w, b } = layer;
    let y = tape.plan.matrix(&path, x.images() * height * width, b.cols());
    let y = Map { at: y, height, width };
    check(name, [x, y], w, windows);
    for (p, grid) in by_phase(y, w, x, windows) {
        let p = Convolution { activation: fused.code(), ..p };
        tape.dispatch(&TRANSPOSED, p, [x.at, b, w, y.at], grid);
    }
    note_applied(tape, y.at, fused);
    tape.on_backward(if wants { std::slice::from_ref(&x.at) } else { &[] }, move |tape| {
        let dy = Map { at: gradient_before(tape, fused, y.at), ..y };
        let p = windows_of(dy, x, windows);
        if wants {
            to_input(tape, x.at, w, dy.at, p);
        }
        // At once, as those of a convolution.
        to_weight(tape, x.at, w, dy.at, p);
        sum_columns(tape, dy.at, b);
    });
    let at = if fused == kind { y.at } else { activation(tape, kind, y.at) };
    Map { at, ..y }
}

fn check(name: &str, [x, y]: [Map; 2], w: Tensor, windows: Windows) {
    let (inputs, columns) = (x.at.cols(), windows.columns(y.at.cols()));
    assert_eq!(
        [w.rows(), w.cols()],
        [inputs, columns],
        "transposed `{name}`: w {w:?} does not fit {windows:?} of {inputs} to {} channels",
        y.at.cols()
    );
    let places = x.images() * x.height * x.width;
    assert_eq!(x.at.rows(), places, "transposed `{name}`: x {:?} is no whole images", x.at);
    assert_eq!(windows.zoom, 1, "transposed `{name}`: {windows:?} repeat places");
    [x, y].into_iter().for_each(|map| counts(name, map, windows));
}

fn to_input(tape: &mut Tape<'_>, x: Tensor, w: Tensor, dy: Tensor, windows: Convolution) {
    let made_by = applied(tape, x);
    let site = if made_by == Activation::Identity { GradSite::Output } else { GradSite::Input };
    let dx = tape.grad_out(x, site);
    let p = Convolution {
        rows: size(x.padded_rows()),
        cols: size(x.stride()),
        depth: size(w.stride()),
        a_stride: size(dy.stride()),
        b_stride: size(w.stride()),
        c_stride: size(x.stride()),
        inside: size(x.cols()),
        activation: made_by.code(),
        accumulate: dx.accumulate(),
        ..windows
    };
    let grid = Grid::Matrix(x.padded_rows(), x.stride());
    tape.dispatch(&TRANSPOSED_BACKWARD_X, p, [dy, x, w, dx.at], grid);
}

/// The gradient of the weight, a dispatch for each block of rows.
fn to_weight(tape: &mut Tape<'_>, x: Tensor, w: Tensor, dy: Tensor, windows: Convolution) {
    let grid = Grid::Matrix(w.padded_rows(), w.stride());
    for first in (0..x.padded_rows()).step_by(BLOCK) {
        let rows = BLOCK.min(x.padded_rows() - first);
        let dw = tape.grad_out(w, GradSite::Output);
        let p = Convolution {
            rows: size(w.padded_rows()),
            cols: size(w.stride()),
            depth: size(rows),
            a_stride: size(x.stride()),
            b_stride: size(dy.stride()),
            c_stride: size(w.stride()),
            inside: size(w.cols()),
            accumulate: dw.accumulate(),
            first: size(first),
            ..windows
        };
        let x = x.block(first..first + rows);
        tape.dispatch(&TRANSPOSED_BACKWARD_W, p, [x, dy, dw.at], grid);
    }
}
