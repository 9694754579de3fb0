//! Layer normalisation: each row of a layer made of mean 0 and variance 1, then scaled and shifted.

use std::ops::Range;

use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Dtype, GradSite, Grid, Kernel, PAD, Real, Record, Rows, Schedule,
    Tape, Tensor, each_row, real, uncounted,
};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{halvings, plain, turns, wgsl};
use crate::kernels::matmul::Learned;

/// What is added to the variance; that of `PyTorch`'s `LayerNorm`.
pub const EPSILON: f64 = 1e-5;

params! {
    /// Parameters of the kernels of layer normalisation.
    pub struct LayerNorm {
        /// Rows of x, with the padding.
        rows: u32,
        /// Elements of a row that count, n.
        cols: u32,
        /// The distance between rows.
        stride: u32,
        /// Whether the gradient is added to what is there.
        accumulate: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("layer_norm.wgsl"), Cover::Row)];

/// Invocations of a workgroup.
const LANES: u32 = 64;

/// y = g ⊗ normal + b, for x, normal and y (rows, n), gain g and bias b (n), where normal = (x −
/// mean) · inverse and inverse (rows) = 1 / √(variance + ε), of each row: Ba et al. 2016, eq. 4,
/// the variance divided by n.
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
    cpu: Cpu::Rows(|p| rows(p, |n| [n, 0, 0, n, 1, n])),
    turns: |p| 2 * turns(p.cols, LANES) + turns(p.stride, LANES) + 2 * halvings(LANES),
    flops: uncounted,
};

/// dx = inverse · (dn − mean(dn) − normal · mean(dn ⊗ normal)) with dn = dy ⊗ g, for normal, dy
/// and dx (rows, n), inverse (rows) and gain g (n); the means are of each row.
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
    cpu: Cpu::Rows(|p| rows(p, |n| [n, n, 1, 0, n])),
    turns: |p| turns(p.cols, LANES) + turns(p.stride, LANES) + 2 * halvings(LANES),
    flops: uncounted,
};

/// dgain (n) = Σ dy ⊗ normal and dbias (n) = Σ dy over the rows, for normal and dy (rows, n).
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
    reference: (backward_parameters::<f32, false>, backward_parameters::<f64, false>),
    cpu: Cpu::Own(backward_parameters::<f32, true>),
    turns: |p| turns(p.rows, LANES) + 2 * halvings(LANES),
    flops: uncounted,
};

/// Rows of so many elements of each binding, which depend on the row's length.
fn rows<const N: usize>(p: &LayerNorm, elements: fn(usize) -> [usize; N]) -> Rows<LayerNorm, N> {
    let part = |p: &LayerNorm, rows: Range<usize>| LayerNorm { rows: rows.len() as u32, ..*p };
    Rows { images: p.rows as usize, elements: elements(p.stride as usize), part }
}

fn mean<T: Real>(values: impl ExactSizeIterator<Item = T>) -> T {
    let count = real::<T>(values.len() as f64);
    // In blocks, so that f32 keeps its digits over the widest layers.
    let (mut sum, mut block) = (T::zero(), T::zero());
    for (i, value) in values.enumerate() {
        block += value;
        if i % 256 == 255 {
            sum += block;
            block = T::zero();
        }
    }
    (sum + block) / count
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

/// Columns whose sums one task makes: four cache lines of each row.
const COLUMNS: usize = 4 * PAD;

/// The sums of some columns over the rows, in the rows' order; `add` adds to them what lies at some places
/// of a row.
fn add_rows<T: Real, const PARALLEL: bool>(
    p: &LayerNorm,
    sums: &mut [T],
    add: impl Fn(&mut [T], Range<usize>) + Sync,
) {
    let (rows, stride) = (p.rows as usize, p.stride as usize);
    each_row::<_, PARALLEL>(&mut sums[..stride], COLUMNS, rows * COLUMNS, |block, sums| {
        if p.accumulate == 0 {
            sums.fill(T::zero());
        }
        for row in 0..rows {
            let first = row * stride + block * COLUMNS;
            add(sums, first..first + sums.len());
        }
    });
}

fn backward_parameters<T: Real, const PARALLEL: bool>(
    p: &LayerNorm,
    _: &Record,
    [normal, dy, dgain, dbias]: [Arg<'_, T>; 4],
) {
    let (normal, dy) = (normal.read(), dy.read());
    add_rows::<T, PARALLEL>(p, dgain.write(), |sums, at| {
        let terms = dy[at.clone()].iter().zip(&normal[at]);
        sums.iter_mut().zip(terms).for_each(|(sum, (&dy, &normal))| *sum += dy * normal);
    });
    add_rows::<T, PARALLEL>(p, dbias.write(), |sums, at| {
        sums.iter_mut().zip(&dy[at]).for_each(|(sum, &dy)| *sum += dy);
    });
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
