//! Layer normalisation: each row of a layer made of mean 0 and variance 1, then scaled and shifted.

use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Dtype, GradSite, Grid, Kernel, Real, Record, Schedule, Tape, Tensor, real,
};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{Sum, plain, sum, wgsl};
use crate::kernels::matmul::Learned;

/// What is added to the variance; that of `PyTorch`'s `LayerNorm`.
pub const EPSILON: f64 = 1e-5;

params! {
    /// Parameters of the kernels of layer normalisation.
    pub struct LayerNorm {
        /// Rows, with the padding.
        rows: u32,
        /// Elements of a row that count.
        cols: u32,
        /// The distance between rows.
        stride: u32,
        /// Whether the gradient is added to what is there.
        accumulate: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("layer_norm.wgsl"), Cover::Row)];

/// y = g ⊗ normal + b, with the normalised rows and 1 / √(variance + ε) of each.
pub static FORWARD: Kernel<LayerNorm, 6> = Kernel {
    name: "layer_norm.forward",
    entry: "forward",
    bindings: [
        Binding::read("x"),
        Binding::read("gain"),
        Binding::read("bias"),
        Binding::write("normal"),
        Binding::write("inverse"),
        Binding::write("y"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (forward, forward),
    cpu: None,
};

/// The gradient at x.
pub static BACKWARD: Kernel<LayerNorm, 5> = Kernel {
    name: "layer_norm.backward",
    entry: "backward",
    bindings: [
        Binding::read("made_normal"),
        Binding::read("dy"),
        Binding::read("made_inverse"),
        Binding::read("back_gain"),
        Binding::write("dx"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (backward, backward),
    cpu: None,
};

/// The gradients of gain and bias: sums over the rows.
pub static BACKWARD_PARAMETERS: Kernel<LayerNorm, 4> = Kernel {
    name: "layer_norm.backward_parameters",
    entry: "backward_parameters",
    bindings: [
        Binding::read("made_normal"),
        Binding::read("dy"),
        Binding::write("dgain"),
        Binding::write("dbias"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (backward_parameters, backward_parameters),
    cpu: None,
};

fn mean<T: Real>(values: impl ExactSizeIterator<Item = T>) -> T {
    let count = real::<T>(values.len() as f64);
    sum(values) / count
}

fn forward<T: Real>(
    p: &LayerNorm,
    _: &Record,
    [x, gain, bias, normal, inverse, y]: [Arg<'_, T>; 6],
) {
    let (x, gain, bias) = (x.read(), gain.read(), bias.read());
    let (normal, inverse, y) = (normal.write(), inverse.write(), y.write());
    let (cols, stride) = (p.cols as usize, p.stride as usize);
    for (row, inverse) in inverse.iter_mut().enumerate().take(p.rows as usize) {
        let whole = row * stride..(row + 1) * stride;
        let (normal, y) = (&mut normal[whole.clone()], &mut y[whole.clone()]);
        let x = &x[whole][..cols];
        let middle = mean(x.iter().copied());
        let variance = mean(x.iter().map(|&x| (x - middle) * (x - middle)));
        *inverse = T::one() / (variance + real(EPSILON)).sqrt();
        normal.fill(T::zero());
        y.fill(T::zero());
        for j in 0..cols {
            normal[j] = (x[j] - middle) * *inverse;
            y[j] = gain[j] * normal[j] + bias[j];
        }
    }
}

/// The Jacobian of `normal` at x is `inverse` times (I − 1 1ᵀ/n − normal normalᵀ/n), which is symmetric.
fn backward<T: Real>(p: &LayerNorm, _: &Record, [normal, dy, inverse, gain, dx]: [Arg<'_, T>; 5]) {
    let (normal, dy) = (normal.read(), dy.read());
    let (inverse, gain, dx) = (inverse.read(), gain.read(), dx.write());
    let (cols, stride) = (p.cols as usize, p.stride as usize);
    for (row, &inverse) in inverse.iter().enumerate().take(p.rows as usize) {
        let whole = row * stride..(row + 1) * stride;
        let (normal, dy) = (&normal[whole.clone()], &dy[whole.clone()]);
        let dx = &mut dx[whole];
        let dn = |j: usize| dy[j] * gain[j];
        let (across, along) = (mean((0..cols).map(dn)), mean((0..cols).map(|j| dn(j) * normal[j])));
        for j in 0..cols {
            let before = if p.accumulate != 0 { dx[j] } else { T::zero() };
            dx[j] = before + inverse * (dn(j) - across - normal[j] * along);
        }
        dx[cols..].fill(T::zero());
    }
}

fn backward_parameters<T: Real>(
    p: &LayerNorm,
    _: &Record,
    [normal, dy, dgain, dbias]: [Arg<'_, T>; 4],
) {
    let (normal, dy, dgain, dbias) = (normal.read(), dy.read(), dgain.write(), dbias.write());
    let stride = p.stride as usize;
    let mut sums = vec![[Sum::new(); 2]; stride];
    for (normal, dy) in normal.chunks(stride).zip(dy.chunks(stride)) {
        for (j, [gain, bias]) in sums.iter_mut().enumerate() {
            gain.add(dy[j] * normal[j]);
            bias.add(dy[j]);
        }
    }
    for (j, [gain, bias]) in sums.iter().enumerate() {
        let before = |d: T| if p.accumulate != 0 { d } else { T::zero() };
        (dgain[j], dbias[j]) = (before(dgain[j]) + gain.total(), before(dbias[j]) + bias.total());
    }
}

/// Records y (rows, n) of x (rows, n), gain and bias (n), and the gradients of all three.
///
/// # Panics
///
/// If the shapes do not fit.
pub fn layer_norm(
    tape: &mut Tape<'_>,
    name: &str,
    x: Tensor,
    (gain, bias): (Learned, Learned),
) -> Tensor {
    let (rows, cols) = (x.rows(), x.cols());
    let lengths = [gain, bias].map(|learned| learned.value.cols());
    assert_eq!(lengths, [cols; 2], "layer_norm: gain and bias of {cols} columns");
    let normal = tape.plan.matrix(&format!("{name}.normal"), rows, cols);
    let inverse = tape.plan.vector(&format!("{name}.inverse"), rows);
    let y = tape.plan.matrix(name, rows, cols);
    let p = LayerNorm {
        rows: size(x.padded_rows()),
        cols: size(cols),
        stride: size(x.stride()),
        accumulate: 0,
    };
    let grid = Grid::Rows(x.padded_rows());
    tape.dispatch(&FORWARD, p, [x, gain.value, bias.value, normal, inverse, y], grid);
    tape.on_backward(move |tape| {
        let dy = tape.grad(y, GradSite::Output).expect("something used the normalised layer");
        let (dx, accumulate) = tape.grad_out(x, GradSite::Output);
        let back = LayerNorm { accumulate: u32::from(accumulate), ..p };
        tape.dispatch(&BACKWARD, back, [normal, dy, inverse, gain.value, dx], grid);
        let bindings = [normal, dy, gain.grad, bias.grad];
        // A workgroup a column.
        tape.leaf(&BACKWARD_PARAMETERS, p, bindings, Grid::Rows(x.stride()));
    });
    y
}

/// One element, less and more than a workgroup's lanes, ragged, two users of the input, the classic
/// size, and more than 65,535 workgroups of rows and of columns.
pub(crate) fn cases() -> Vec<Case> {
    let small = [(1, 1, 1), (3, 3, 1), (13, 37, 2), (5, 64, 1), (7, 65, 1)];
    let large = [(128, 400, 1), (65_600, 8, 1), (2, 65_600, 1)];
    small.into_iter().chain(large).map(case).collect()
}

fn case((rows, cols, users): (usize, usize, usize)) -> Case {
    let mut case = Case::new(format!("layer_norm {rows}×{cols}, {users} users"), rows);
    let x = case.input("x", [rows, cols], Fill::Uniform(1, -2.0, 3.0));
    let mut learned = |seed, name: &str| {
        let value = case.input_line(name, cols, Dtype::F32, Fill::Uniform(seed, 0.5, 1.5));
        Learned { value, grad: case.plan.vector(&format!("d{name}"), cols) }
    };
    let learned: Vec<_> = (0..users as u32)
        .map(|user| (learned(2 + 2 * user, "gain"), learned(3 + 2 * user, "bias")))
        .collect();
    let weights: Vec<_> = (0..users).map(|_| case.weight([rows, cols])).collect();
    let (ys, dx) = case.record(|tape| {
        let ys: Vec<_> = learned.iter().map(|&both| layer_norm(tape, "y", x, both)).collect();
        ys.iter().zip(&weights).for_each(|(&y, &weight)| tape.set_grad(y, weight));
        tape.backward();
        (ys, tape.grad(x, GradSite::Output).expect("the rule wrote it"))
    });
    case.outputs.extend(ys.into_iter().zip(weights.into_iter().map(Weight::Of)));
    for (gain, bias) in learned {
        case.gradients.push((bias.value, bias.grad));
        // A row of one element is its own mean: neither it nor its gain has a gradient to compare.
        if cols > 1 {
            case.gradients.push((gain.value, gain.grad));
        }
    }
    if cols > 1 {
        case.gradients.push((x, dx));
    }
    // The sums over a row cancel against its elements.
    case.tolerance = 5e-6;
    case
}
