//! Products that finish what their sums are for: a draw, a likelihood, the update of the weights.
//!
//! Each is two or three kernels in one, so that what is between them is neither stored nor waited
//! for. Their references put those kernels' references together.

use super::tiles::{ENTRY, schedules};
use super::{Product, backward_w, backward_x, forward, gemm};
use crate::engine::{Arg, Binding, Kernel, Real, Record, real};
use crate::kernels::bernoulli::{self, Bernoulli};
use crate::kernels::finite::{GRADIENT, LARGEST, WEIGHT};
use crate::kernels::gather::{chosen, levels};
use crate::kernels::gaussian::{self, Gaussian};
use crate::kernels::optimizer::{Optimizer, adam_element, fits};

/// Columns whose losses are added up before they are stored: the narrowest tile's.
pub(super) const PART: usize = 32;

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
    cpu: None,
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
        Binding::write("h"),
        Binding::write("eps"),
        Binding::write("z"),
        Binding::write("kl"),
    ],
    overrides: &[],
    schedules: schedules!(Nt: "draw.wgsl"),
    reference: (draw, draw),
    cpu: None,
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
        Binding::write("dlogits"),
        Binding::write("nll"),
    ],
    overrides: &[],
    schedules: schedules!(Nt: "bernoulli.wgsl", "finish.bernoulli.wgsl"),
    reference: (bernoulli, bernoulli),
    cpu: None,
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
        Binding::write("dlogits"),
        Binding::write("nll"),
    ],
    overrides: &[],
    schedules: schedules!(Nt: "bernoulli_bytes.wgsl", "finish.bernoulli.wgsl"),
    reference: (bernoulli_bytes, bernoulli_bytes),
    cpu: None,
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
        Binding::write("dh"),
    ],
    overrides: &[],
    schedules: schedules!(Narrow: "backward_draw.wgsl"),
    reference: (backward_draw, backward_draw),
    cpu: None,
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
    schedules: schedules!(Tn: "adam.wgsl", "finish.adam.wgsl"),
    reference: (adam, adam),
    cpu: Some(gemm::adam),
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
    schedules: schedules!(Tn: "adam_bytes.wgsl", "finish.adam.wgsl"),
    reference: (adam_bytes, adam_bytes),
    cpu: None,
};

/// The rows of a dataset of bytes as floats, `stride` pixels apart.
fn rows_of<T: Real>(pixels: &[u32], stride: usize, images: &[u32]) -> Vec<T> {
    let (levels, words) = (levels::<T>(), stride / 4);
    let row = |&image: &u32| &pixels[image as usize * words..(image as usize + 1) * words];
    let bytes = images.iter().flat_map(row).flat_map(|word| word.to_le_bytes());
    bytes.map(|byte| levels[usize::from(byte)]).collect()
}

fn forward_bytes<T: Real>(p: &Product, record: &Record, args: [Arg<'_, T>; 5]) {
    let [pixels, b, w, y, images] = args;
    let images = images.words_mut();
    for row in 0..p.rows {
        images[row as usize] = chosen(record, row).unwrap_or(0);
    }
    let x = rows_of(pixels.words(), p.a_stride as usize, &images[..p.rows as usize]);
    forward(p, record, [Arg::Read(&x), b, w, y]);
}

fn draw<T: Real>(p: &Product, record: &Record, args: [Arg<'_, T>; 8]) {
    let [x, b, w, image, h, eps, z, kl] = args;
    let (h, kl) = (h.write(), kl.write());
    // The tile's columns alternate; those of h are the means, then the log-variances.
    let whole = Product { cols: p.c_stride, inside: 2 * p.latent, ..*p };
    forward(&whole, record, [x, b, w, Arg::Write(h)]);
    let posterior = gaussian_of(p);
    let parts = (p.parts as usize, PART / 2);
    gaussian::draw_in_parts(
        &posterior,
        record,
        (image.words(), h),
        (eps.write(), z.write()),
        kl,
        parts,
    );
}

fn gaussian_of(p: &Product) -> Gaussian {
    Gaussian {
        rows: p.rows,
        latent: p.latent,
        h_stride: p.c_stride,
        z_stride: p.other_stride,
        samples: 1,
        divergence: gaussian::Divergence::Whole.code(),
        accumulate: 0,
    }
}

fn bernoulli<T: Real>(p: &Product, record: &Record, args: [Arg<'_, T>; 6]) {
    let [x, b, w, images, dlogits, nll] = args;
    let mut logits = vec![T::zero(); (p.rows * p.c_stride) as usize];
    forward(p, record, [x, b, w, Arg::Write(&mut logits)]);
    let likelihood = Bernoulli { rows: p.rows, cols: p.inside, stride: p.c_stride, samples: 1 };
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
    let images = &image.words()[..p.rows as usize];
    let images = rows_of(pixels.words(), p.other_stride as usize, images);
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

fn adam<T: Real>(p: &Product, record: &Record, args: [Arg<'_, T>; 6]) {
    let [dy, x, guard, weights, first, second] = args;
    let (guard, w, m, v) = (guard.words_mut(), weights.write(), first.write(), second.write());
    if guard[0] != 0 {
        return;
    }
    let rule = Optimizer { decoupled: p.decoupled, ..Optimizer::default() };
    let rates = record.rates.map(real::<T>);
    let mut g = vec![T::zero(); w.len()];
    let (dw, db) = g.split_at_mut(p.bias as usize);
    backward_w(p, record, [dy, x, Arg::Write(dw), Arg::Write(&mut db[..p.rows as usize])]);
    for i in 0..w.len() {
        let new = adam_element(&rule, &rates, T::one(), g[i], [w[i], m[i], v[i]]);
        if g[i].abs() < real(LARGEST) && new.iter().all(|&value| fits(value)) {
            [w[i], m[i], v[i]] = new;
        } else {
            guard[1] |= if g[i].abs() < real(LARGEST) { WEIGHT } else { GRADIENT };
        }
    }
}

fn adam_bytes<T: Real>(p: &Product, record: &Record, args: [Arg<'_, T>; 7]) {
    let [dy, pixels, image, guard, weights, first, second] = args;
    let images = &image.words()[..p.depth as usize];
    let x = rows_of(pixels.words(), p.b_stride as usize, images);
    adam(p, record, [dy, Arg::Read(&x), guard, weights, first, second]);
}
