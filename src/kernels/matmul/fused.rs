//! Products that finish what their sums are for: a draw, a likelihood, the update of the weights.
//!
//! Each is two or three kernels in one, so that what is between them is neither stored nor waited
//! for. Their references put those kernels' references together.

use super::tiles::{ENTRY, schedules};
use super::{Product, backward_w, backward_x, forward, gemm, operations, turns_of};
use crate::config::Posterior;
use crate::engine::{Arg, Binding, Cpu, Kernel, Real, Record};
use crate::kernels::bernoulli::{self, Bernoulli};
use crate::kernels::common::turns;
use crate::kernels::gather::{chosen, levels};
use crate::kernels::gaussian::{self, Gaussian, Parts};
use crate::kernels::norm::scaled_square;
use crate::kernels::optimizer::{Optimizer, adam_by};
use crate::kernels::philox::{PHILOX, SHUFFLED};

/// Columns whose losses, or squares, are added up before they are stored: the narrowest tile's.
pub(in crate::kernels) const PART: usize = 32;

/// y = f(x wᵀ + b), x being rows of a dataset of bytes, chosen here.
pub static FORWARD_BYTES: Kernel<Product, 5> = Kernel {
    name: "matmul.forward_bytes",
    entry: ENTRY,
    bindings: [
        Binding::read_words("pixels"),
        Binding::read("b"),
        Binding::read("w"),
        Binding::write("y"),
        Binding::write_words("chosen"),
    ],
    overrides: &["activation"],
    schedules: schedules!(Nt: "forward_bytes.wgsl", "finish.layer.wgsl"),
    reference: (forward_bytes, forward_bytes),
    cpu: Cpu::Reference,
    turns: |p| turns_of(p, 97) + 4 * SHUFFLED,
    flops: |_, [_, _, w, y, _]| operations(y.rows(), y.cols(), w.cols()),
};

/// h = x wᵀ + b, and the draw of z with its KL.
pub static DRAW: Kernel<Product, 8> = Kernel {
    name: "matmul.draw",
    entry: ENTRY,
    bindings: [
        Binding::read("x"),
        Binding::read("b"),
        Binding::read("w"),
        Binding::read_words("image"),
        Binding::write_within("h"),
        Binding::write_within("eps"),
        Binding::write_within("z"),
        Binding::write_within("kl"),
    ],
    overrides: &[],
    schedules: schedules!(Nt: "draw.wgsl"),
    reference: (draw, draw),
    cpu: Cpu::Reference,
    turns: |p| turns_of(p, 16 * (5 + PHILOX)),
    flops: |_, [x, _, _, _, _, _, z, _]| operations(x.rows(), x.cols(), 2 * z.cols()),
};

/// −log p(images | x wᵀ + b) and its gradient at the logits.
pub static BERNOULLI: Kernel<Product, 6> = Kernel {
    name: "matmul.bernoulli",
    entry: ENTRY,
    bindings: [
        Binding::read("x"),
        Binding::read("b"),
        Binding::read("w"),
        Binding::read("images"),
        Binding::write_within("dlogits"),
        Binding::write_within("nll"),
    ],
    overrides: &[],
    schedules: schedules!(Nt: "bernoulli.wgsl", "finish.bernoulli.wgsl"),
    reference: (bernoulli, bernoulli),
    cpu: Cpu::Reference,
    turns: |p| turns_of(p, 64),
    flops: |_, [x, _, _, _, dlogits, _]| operations(x.rows(), x.cols(), dlogits.cols()),
};

/// The same for images in a dataset of bytes.
pub static BERNOULLI_BYTES: Kernel<Product, 7> = Kernel {
    name: "matmul.bernoulli_bytes",
    entry: ENTRY,
    bindings: [
        Binding::read("x"),
        Binding::read("b"),
        Binding::read("w"),
        Binding::read_words("pixels"),
        Binding::read_words("image"),
        Binding::write_within("dlogits"),
        Binding::write_within("nll"),
    ],
    overrides: &[],
    schedules: schedules!(Nt: "bernoulli_bytes.wgsl", "finish.bernoulli.wgsl"),
    reference: (bernoulli_bytes, bernoulli_bytes),
    cpu: Cpu::Reference,
    turns: |p| turns_of(p, 64),
    flops: |_, [x, _, _, _, _, dlogits, _]| operations(x.rows(), x.cols(), dlogits.cols()),
};

/// The gradient at z = dy w, and at once the posterior's, dh.
pub static BACKWARD_DRAW: Kernel<Product, 5> = Kernel {
    name: "matmul.backward_draw",
    entry: ENTRY,
    bindings: [
        Binding::read("dy"),
        Binding::read("w"),
        Binding::read("h"),
        Binding::read("eps"),
        Binding::write_within("dh"),
    ],
    overrides: &[],
    schedules: schedules!(Narrow: "backward_draw.wgsl"),
    reference: (backward_draw, backward_draw),
    cpu: Cpu::Reference,
    turns: |p| turns_of(p, 97),
    flops: |_, [dy, _, _, eps, _]| operations(dy.rows(), dy.cols(), eps.cols()),
};

/// Adam's update of a weight and the bias behind it, by gradients that are not stored.
pub static ADAM: Kernel<Product, 6> = Kernel {
    name: "matmul.adam",
    entry: ENTRY,
    bindings: [
        Binding::read("dy"),
        Binding::read("x"),
        Binding::flags("guard_words"),
        Binding::write("weights"),
        Binding::write("first"),
        Binding::write("second"),
    ],
    overrides: &[],
    schedules: schedules!(Tn: "adam.wgsl", "finish.adam.wgsl", "squares.none.wgsl"),
    reference: (adam, adam),
    cpu: Cpu::Own(gemm::adam),
    turns: |p| turns_of(p, 32) + turns(p.depth, 1),
    flops: |_, [dy, x, ..]| operations(dy.rows(), dy.cols(), x.cols()),
};

/// The same where x is rows of a dataset of bytes.
pub static ADAM_BYTES: Kernel<Product, 7> = Kernel {
    name: "matmul.adam_bytes",
    entry: ENTRY,
    bindings: [
        Binding::read("dy"),
        Binding::read_words("pixels"),
        Binding::read_words("image"),
        Binding::flags("guard_words"),
        Binding::write("weights"),
        Binding::write("first"),
        Binding::write("second"),
    ],
    overrides: &[],
    schedules: schedules!(Tn: "adam_bytes.wgsl", "finish.adam.wgsl", "squares.none.wgsl"),
    reference: (adam_bytes, adam_bytes),
    cpu: Cpu::Reference,
    turns: |p| turns_of(p, 32) + turns(p.depth, 1),
    flops: |p, [dy, ..]| operations(dy.rows(), dy.cols(), p.inside as usize),
};

/// [`ADAM`], and sums of the squares of the gradients: of each 32 neighbours in a row of the weight, row by
/// row, then of each four biases, in the unit of [`SHRINK`](crate::kernels::norm::SHRINK). They are zero while the guard's status is set.
pub static ADAM_SQUARES: Kernel<Product, 7> = Kernel {
    name: "matmul.adam_squares",
    entry: ENTRY,
    bindings: [
        Binding::read("dy"),
        Binding::read("x"),
        Binding::flags("guard_words"),
        Binding::write("weights"),
        Binding::write("first"),
        Binding::write("second"),
        Binding::write("squares"),
    ],
    overrides: &[],
    schedules: schedules!(
        Tn: "adam.wgsl", "adam_squares.wgsl", "finish.adam.wgsl", "squares.wgsl"
    ),
    reference: (adam_squares, adam_squares),
    cpu: Cpu::Own(gemm::adam_squares),
    turns: |p| turns_of(p, 64) + turns(p.depth, 1),
    flops: |_, [dy, x, ..]| operations(dy.rows(), dy.cols(), x.cols()),
};

/// The same where x is rows of a dataset of bytes.
pub static ADAM_BYTES_SQUARES: Kernel<Product, 8> = Kernel {
    name: "matmul.adam_bytes_squares",
    entry: ENTRY,
    bindings: [
        Binding::read("dy"),
        Binding::read_words("pixels"),
        Binding::read_words("image"),
        Binding::flags("guard_words"),
        Binding::write("weights"),
        Binding::write("first"),
        Binding::write("second"),
        Binding::write("squares"),
    ],
    overrides: &[],
    schedules: schedules!(
        Tn: "adam_bytes.wgsl", "adam_bytes_squares.wgsl", "finish.adam.wgsl", "squares.wgsl"
    ),
    reference: (adam_bytes_squares, adam_bytes_squares),
    cpu: Cpu::Reference,
    turns: ADAM_SQUARES.turns,
    flops: |p, [dy, ..]| operations(dy.rows(), dy.cols(), p.inside as usize),
};

/// The rows of a dataset of bytes as floats, `stride` pixels apart.
fn rows_of<T: Real>(record: &Record, (pixels, stride): (&[u32], u32), images: &[u32]) -> Vec<T> {
    let (levels, words) = (levels::<T>(), stride as usize / 4);
    let row = |(row, &image): (u32, &u32)| {
        let at = record.row_of(image, row) as usize;
        &pixels[at * words..(at + 1) * words]
    };
    let bytes = (0..).zip(images).flat_map(row).flat_map(|word| word.to_le_bytes());
    bytes.map(|byte| levels[usize::from(byte)]).collect()
}

fn forward_bytes<T: Real>(p: &Product, record: &Record, args: [Arg<'_, T>; 5]) {
    let [pixels, b, w, y, images] = args;
    let images = images.words_mut();
    for row in 0..p.rows {
        images[row as usize] = chosen(record, row).unwrap_or(0);
    }
    let x = rows_of(record, (pixels.words(), p.a_stride), &images[..p.rows as usize]);
    forward(p, record, [Arg::Read(&x), b, w, y]);
}

fn draw<T: Real>(p: &Product, record: &Record, args: [Arg<'_, T>; 8]) {
    let [x, b, w, image, h, eps, z, kl] = args;
    let (h, kl) = (h.write(), kl.write());
    // The tile's columns alternate; those of h are the means, then the log-variances.
    let whole = Product { cols: p.c_stride, inside: 2 * p.latent, ..*p };
    forward(&whole, record, [x, b, w, Arg::Write(h)]);
    let posterior = gaussian_of(p);
    let parts = Parts { count: p.parts as usize, width: PART / 2 };
    let (given, made) = ((image.words(), &*h), (eps.write(), z.write()));
    gaussian::draw_in_parts(&posterior, record, given, made, (kl, parts));
}

fn gaussian_of(p: &Product) -> Gaussian {
    Gaussian {
        rows: p.rows,
        latent: p.latent,
        h_stride: p.c_stride,
        z_stride: p.other_stride,
        samples: 1,
        each: 1,
        site: p.site,
        family: Posterior::Normal.code(),
        importance: 1,
        gradient: 0,
        accumulate: 0,
    }
}

fn bernoulli<T: Real>(p: &Product, record: &Record, args: [Arg<'_, T>; 6]) {
    let [x, b, w, images, dlogits, nll] = args;
    let mut logits = vec![T::zero(); (p.rows * p.c_stride) as usize];
    forward(p, record, [x, b, w, Arg::Write(&mut logits)]);
    let (rows, samples) = (p.rows, p.samples);
    let likelihood = Bernoulli { rows, cols: p.inside, stride: p.c_stride, samples };
    let parts = (p.parts as usize, PART);
    bernoulli::forward_in_parts(
        &likelihood,
        record,
        (&logits, images.read()),
        nll.write(),
        dlogits.write(),
        parts,
    );
}

fn bernoulli_bytes<T: Real>(p: &Product, record: &Record, args: [Arg<'_, T>; 7]) {
    let [x, b, w, pixels, image, dlogits, nll] = args;
    let images = &image.words()[..p.rows.div_ceil(p.samples) as usize];
    let images = rows_of::<T>(record, (pixels.words(), p.other_stride), images);
    // A class may lie behind the pixels.
    let pixels = images.chunks(p.other_stride as usize).flat_map(|row| &row[..p.c_stride as usize]);
    let images: Vec<_> = pixels.copied().collect();
    bernoulli(p, record, [x, b, w, Arg::Read(&images), dlogits, nll]);
}

fn backward_draw<T: Real>(p: &Product, record: &Record, args: [Arg<'_, T>; 5]) {
    let [dy, w, h, eps, dh] = args;
    let mut dz = vec![T::zero(); (p.rows * p.other_stride) as usize];
    let unused = dz.clone();
    let product = Product { c_stride: p.other_stride, ..*p };
    backward_x(&product, record, [dy, Arg::Read(&unused), w, Arg::Write(&mut dz)]);
    gaussian::backward(&gaussian_of(p), record, [h, eps, Arg::Read(&dz), dh]);
}

/// The gradients of a weight and of the bias behind it.
fn gradients<T: Real>(p: &Product, record: &Record, [dy, x]: [Arg<'_, T>; 2]) -> Vec<T> {
    let (rows, bias) = (p.rows as usize, p.bias as usize);
    let mut g = vec![T::zero(); bias + rows];
    let (dw, db) = g.split_at_mut(bias);
    backward_w(p, record, [dy, x, Arg::Write(dw), Arg::Write(db)]);
    g
}

fn adam<T: Real>(p: &Product, record: &Record, args: [Arg<'_, T>; 6]) {
    let [dy, x, guard, weights, first, second] = args;
    let rule = Optimizer { decoupled: p.decoupled, ..Optimizer::default() };
    let g = gradients(p, record, [dy, x]);
    adam_by(&rule, record, (&g, T::one()), [weights, first, second], guard.words_mut());
}

fn adam_squares<T: Real>(p: &Product, record: &Record, args: [Arg<'_, T>; 7]) {
    let [dy, x, guard, weights, first, second, squares] = args;
    let rule = Optimizer { decoupled: p.decoupled, ..Optimizer::default() };
    let g = gradients(p, record, [dy, x]);
    let (guard, cols, rows) = (guard.words_mut(), p.cols as usize, p.rows as usize);
    let (of_weight, of_bias) = squares.write().split_at_mut(rows * cols.div_ceil(PART));
    let sum = |g: &[T]| if guard[0] == 0 { scaled_square(g) } else { T::zero() };
    let weight = g[..rows * cols].chunks(cols).flat_map(|row| row.chunks(PART));
    of_weight.iter_mut().zip(weight).for_each(|(to, g)| *to = sum(g));
    let bias = g[p.bias as usize..].chunks(4);
    of_bias.iter_mut().zip(bias).for_each(|(to, g)| *to = sum(g));
    adam_by(&rule, record, (&g, T::one()), [weights, first, second], guard);
}

fn adam_bytes<T: Real>(p: &Product, record: &Record, args: [Arg<'_, T>; 7]) {
    let [dy, pixels, image, guard, weights, first, second] = args;
    let images = &image.words()[..p.depth as usize];
    let x = rows_of(record, (pixels.words(), p.b_stride), images);
    adam(p, record, [dy, Arg::Read(&x), guard, weights, first, second]);
}

fn adam_bytes_squares<T: Real>(p: &Product, record: &Record, args: [Arg<'_, T>; 8]) {
    let [dy, pixels, image, guard, weights, first, second, squares] = args;
    let images = &image.words()[..p.depth as usize];
    let x = rows_of(record, (pixels.words(), p.b_stride), images);
    adam_squares(p, record, [dy, Arg::Read(&x), guard, weights, first, second, squares]);
}
