//! Layer normalisation: each row of a layer made of mean 0 and variance 1, then scaled and shifted.

use std::ops::Range;

use crate::config::Activation;
use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Dtype, GradSite, Grid, Kernel, PAD, Real, Record, Rows, Schedule,
    Tape, Tensor, each_row, real, uncounted,
};
use crate::kernels::activation::{gradient_before, note_applied};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{
    activate, activation_of, halvings, plain, turns, turns_in_parts, wgsl,
};

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
        /// The code of the activation that is applied to y.
        activation: u32,
        /// Whether the gradient is added to what is there.
        accumulate: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("common.total.wgsl", "layer_norm.wgsl"), Cover::Row)];

/// Invocations of a workgroup.
const LANES: u32 = 64;

/// y = f(g ⊗ normal + b), for x, normal and y (rows, n), gain g and bias b (n), where normal = (x −
/// mean) · inverse and inverse (rows) = 1 / √(variance + ε), of each row: Ba et al. 2016, eq. 4,
/// the variance divided by n; f is the activation.
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
    overrides: &["activation"],
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
    turns: |p| turns_in_parts(p.rows, LANES) + 2 * halvings(LANES),
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
    let kind = activation_of(p.activation);
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
            y[j] = activate(kind, gain[j] * normal[j] + bias[j]);
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

/// The gain and the bias (n) of a normalised layer.
#[derive(Clone, Copy, Debug)]
pub struct Norm {
    /// What normalised rows are multiplied by.
    pub gain: Tensor,
    /// What is added to them.
    pub bias: Tensor,
}

/// Records y (rows, n) = f(gain ⊗ normal + bias) of x (rows, n), for an activation whose slope is known at
/// its output, and the gradients of x, gain and bias.
///
/// # Panics
///
/// If the shapes do not fit, or the activation's slope is taken at its input.
pub fn layer_norm(
    tape: &mut Tape<'_>,
    name: &str,
    x: Tensor,
    Norm { gain, bias }: Norm,
    kind: Activation,
) -> Tensor {
    let (rows, cols) = (x.rows(), x.cols());
    let lengths = [gain, bias].map(|of| of.cols());
    assert_eq!(lengths, [cols; 2], "layer_norm: gain and bias of {cols} columns");
    assert!(kind.slope_from_output(), "layer_norm: {} is applied apart", kind.name());
    let normal = tape.plan.matrix(&format!("{name}.normal"), rows, cols);
    let inverse = tape.plan.vector(&format!("{name}.inverse"), rows);
    let y = tape.plan.matrix(name, rows, cols);
    let p = LayerNorm {
        rows: size(x.padded_rows()),
        cols: size(cols),
        stride: size(x.stride()),
        activation: kind.code(),
        accumulate: 0,
    };
    let grid = Grid::Rows(x.padded_rows());
    tape.dispatch(&FORWARD, p, [x, gain, bias, normal, inverse, y], grid);
    note_applied(tape, y, kind);
    tape.on_backward(&[x], move |tape| {
        let dy = gradient_before(tape, kind, y);
        let dx = tape.grad_out(x, GradSite::Output);
        let back = LayerNorm { accumulate: dx.accumulate(), ..p };
        tape.dispatch(&BACKWARD, back, [normal, dy, inverse, gain, dx.at], grid);
        tape.leaf(&[gain, bias], false, move |tape, _| {
            let [dgain, dbias] = [gain, bias].map(|of| tape.grad_out(of, GradSite::Output));
            let p = LayerNorm { accumulate: dgain.accumulate(), ..p };
            // A workgroup a column.
            let bindings = [normal, dy, dgain.at, dbias.at];
            tape.dispatch(&BACKWARD_PARAMETERS, p, bindings, Grid::Rows(x.stride()));
        });
    });
    y
}

/// One element, less and more than a workgroup's lanes, ragged, two users of the input, the classic
/// size, and more than 65,535 workgroups of rows and of columns.
pub(crate) fn cases() -> Vec<Case> {
    let small = [(1, 1, 1), (3, 3, 1), (13, 37, 2), (5, 64, 1), (7, 65, 1)];
    let large = [(128, 400, 1), (65_600, 8, 1), (2, 65_600, 1)];
    let plain = small.into_iter().chain(large).map(|shape| case(shape, Activation::Identity));
    let kinds = Activation::ALL.into_iter().filter(|kind| kind.slope_from_output());
    plain.chain(kinds.map(|kind| case((13, 37, 2), kind))).collect()
}

fn case((rows, cols, users): (usize, usize, usize), kind: Activation) -> Case {
    let name = format!("layer_norm {rows}×{cols}, {users} users, {}", kind.name());
    let mut case = Case::new(name, rows);
    let x = case.input("x", [rows, cols], Fill::Uniform(1, -2.0, 3.0));
    let mut vector =
        |seed, name: &str| case.input_line(name, cols, Dtype::F32, Fill::Uniform(seed, 0.5, 1.5));
    let norms: Vec<_> = (0..users as u32)
        .map(|user| Norm { gain: vector(2 + 2 * user, "gain"), bias: vector(3 + 2 * user, "bias") })
        .collect();
    let weights: Vec<_> = (0..users).map(|_| case.weight([rows, cols])).collect();
    let (ys, gradients) = case.record(|tape| {
        let ys: Vec<_> = norms.iter().map(|&norm| layer_norm(tape, "y", x, norm, kind)).collect();
        ys.iter().zip(&weights).for_each(|(&y, &weight)| tape.set_grad(y, weight));
        tape.backward();
        let of = norms.iter().flat_map(|norm| [norm.bias, norm.gain]).chain([x]);
        let gradient = |of| (of, tape.grad(of, GradSite::Output).expect("the rules wrote it"));
        (ys, of.map(gradient).collect::<Vec<_>>())
    });
    case.outputs.extend(ys.into_iter().zip(weights.into_iter().map(Weight::Of)));
    // A row of one element is its own mean: neither it nor its gain has a gradient to compare.
    let biases = gradients.iter().copied().filter(|(of, _)| norms.iter().any(|n| n.bias == *of));
    case.gradients = if cols > 1 { gradients } else { biases.collect() };
    // The sums over a row cancel against its elements.
    case.tolerance = 5e-6;
    case
}
