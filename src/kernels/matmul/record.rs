//! Records fully connected layers, and what their products finish at once: a draw, a likelihood.

use super::fused::{
    ADAM, ADAM_BYTES, ADAM_BYTES_SQUARES, ADAM_SQUARES, BACKWARD_DRAW, BERNOULLI, BERNOULLI_BYTES,
    DRAW, FORWARD_BYTES, PART,
};
use super::{BACKWARD_W, BACKWARD_X, FORWARD, Product};
use crate::config::{Activation, Posterior};
use crate::engine::tensor::size;
use crate::engine::{Dtype, GradSite, Grid, Tape, Tensor, Update};
use crate::kernels::activation::{activation, applied, gradient_before, note_applied};
use crate::kernels::draw::Draw;
use crate::kernels::gaussian::{self, LocationScale};
use crate::kernels::label::without_classes;

/// A layer's weight (outputs, inputs) and bias (outputs).
#[derive(Clone, Copy, Debug)]
pub struct Affine {
    /// The weight.
    pub w: Tensor,
    /// The bias.
    pub b: Tensor,
}

impl From<[Tensor; 2]> for Affine {
    fn from([w, b]: [Tensor; 2]) -> Self {
        Self { w, b }
    }
}

/// The minibatch's rows of a dataset of bytes, which products read by themselves.
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    /// The dataset, four bytes to a word.
    pub pixels: Tensor,
    /// The image of each row of the minibatch, which the first product chooses.
    pub image: Tensor,
    /// Bytes of a row that are read: the pixels, and the class behind them where it is asked for.
    pub cols: usize,
    /// The distance between rows, in bytes, a multiple of [`PAD`](crate::engine::PAD).
    pub stride: usize,
}

/// What a layer is applied to: a matrix (rows, inputs).
#[derive(Clone, Copy, Debug)]
pub enum Input {
    /// What another operation made, which wants its gradient.
    Made(Tensor),
    /// Data, which wants none.
    Data(Tensor),
    /// Data that is still bytes.
    Bytes(Bytes),
}

impl Input {
    fn rows(self) -> usize {
        match self {
            Self::Made(x) | Self::Data(x) => x.rows(),
            Self::Bytes(bytes) => bytes.image.cols(),
        }
    }

    /// Its inputs.
    #[must_use]
    pub fn cols(self) -> usize {
        match self {
            Self::Made(x) | Self::Data(x) => x.cols(),
            Self::Bytes(bytes) => bytes.cols,
        }
    }

    /// The matrix of floats.
    ///
    /// # Panics
    ///
    /// If it is still bytes, which products alone read.
    #[must_use]
    pub fn tensor(self) -> Tensor {
        match self {
            Self::Made(x) | Self::Data(x) => x,
            Self::Bytes(bytes) => panic!("products alone read bytes: {bytes:?}"),
        }
    }

    /// The distance between rows, in elements.
    fn stride(self) -> usize {
        match self {
            Self::Made(x) | Self::Data(x) => x.stride(),
            Self::Bytes(bytes) => bytes.stride,
        }
    }
}

/// Rows that a sum over the minibatch takes in one dispatch. Longer sums are made of parts that are added
/// in order, so that no invocation's loop is longer than adapters run, and bits depend on shapes alone.
pub const BLOCK: usize = 2048;

/// Records y (rows, outputs) = f(x wᵀ + b), for x (rows, inputs), and its gradients.
///
/// # Panics
///
/// If the shapes do not fit, naming them.
pub fn linear(
    tape: &mut Tape<'_>,
    name: &str,
    x: Input,
    layer: Affine,
    kind: Activation,
) -> Tensor {
    let fused = if kind.slope_from_output() { kind } else { Activation::Identity };
    let path = if fused == kind { name.to_owned() } else { format!("{name}.input") };
    let y = tape.plan.matrix(&path, x.rows(), layer.w.rows());
    let p = Product { activation: fused.code(), ..forward(x, layer, y) };
    let grid = Grid::Matrix(y.padded_rows(), y.stride());
    let Affine { w, b } = layer;
    match x {
        Input::Made(x) | Input::Data(x) => tape.dispatch(&FORWARD, p, [x, b, w, y], grid),
        Input::Bytes(Bytes { pixels, image, .. }) => {
            tape.dispatch(&FORWARD_BYTES, p, [pixels, b, w, y, image], grid);
        }
    }
    note_applied(tape, y, fused);
    tape.on_backward(x.wants(), move |tape| {
        let dy = gradient_before(tape, fused, y);
        backward(tape, x, layer, dy);
    });
    if fused == kind { y } else { activation(tape, kind, y) }
}

impl Input {
    /// What wants a gradient.
    fn wants(&self) -> &[Tensor] {
        match self {
            Self::Made(x) => std::slice::from_ref(x),
            Self::Data(_) | Self::Bytes(_) => &[],
        }
    }
}

/// The parameters of y = x wᵀ.
fn forward(x: Input, Affine { w, b }: Affine, y: Tensor) -> Product {
    let (rows, inputs) = (x.rows(), x.cols());
    assert_eq!(inputs, w.cols(), "linear: x ({rows}, {inputs}) does not fit w {w:?}");
    assert_eq!(b.cols(), w.rows(), "linear: b {b:?} does not fit w {w:?}");
    Product {
        rows: size(y.padded_rows()),
        cols: size(y.stride()),
        depth: size(x.stride()),
        a_stride: size(x.stride()),
        b_stride: size(w.stride()),
        c_stride: size(y.stride()),
        inside: size(w.rows()),
        ..Product::default()
    }
}

/// Where a layer draws z: the tensors that are there, and its place in the model.
#[derive(Clone, Copy, Debug)]
pub struct DrawAt {
    /// The image of each row (images).
    pub image: Tensor,
    /// The noise (images, n).
    pub eps: Tensor,
    /// The latent (images, n).
    pub z: Tensor,
    /// Which of the model's draws it is; the first is 0.
    pub site: usize,
}

/// Records h (images, 2 n) = [μ | log σ²] = x wᵀ + b and at once a draw of z, one of each image, whose KL comes
/// in parts that are to be added and whose log-ratio is not stored; and their gradients. It returns h and
/// the draw.
///
/// # Panics
///
/// If the shapes do not fit, naming them.
pub fn linear_draw(
    tape: &mut Tape<'_>,
    name: &str,
    x: Input,
    layer: Affine,
    DrawAt { image, eps, z, site }: DrawAt,
) -> (Tensor, Draw) {
    let (Input::Made(from) | Input::Data(from)) = x else {
        panic!("no product draws by bytes: {x:?}")
    };
    let h = tape.plan.matrix(name, x.rows(), layer.w.rows());
    assert_eq!(h.cols(), 2 * z.cols(), "linear_draw: a mean and a log-variance for each z");
    assert_eq!(h.rows(), z.rows(), "linear_draw: one z of each image");
    let cols = 2 * z.cols().next_multiple_of(2);
    let kl = tape.plan.matrix("kl parts", z.rows(), cols.div_ceil(PART));
    let p = Product {
        cols: size(cols),
        latent: size(z.cols()),
        other_stride: size(z.stride()),
        parts: size(kl.stride()),
        site: size(site),
        ..forward(x, layer, h)
    };
    let Affine { w, b } = layer;
    let grid = Grid::Matrix(z.padded_rows(), cols);
    tape.dispatch(&DRAW, p, [from, b, w, image, h, eps, z, kl], grid);
    tape.on_backward(x.wants(), move |tape| {
        let dy = tape.grad(h, GradSite::Output).expect("z was used");
        backward(tape, x, layer, dy);
    });
    let draw = Draw { z, log_ratio: None, kl };
    gaussian::on_backward(
        tape,
        LocationScale { h, family: Posterior::Normal, images: h.rows(), eps, site },
        draw,
    );
    (h, draw)
}

/// What a layer makes that is compared with images at once.
#[derive(Clone, Copy, Debug)]
pub struct Compared {
    /// −log p(images | logits) of each row, in parts (rows, parts) that are to be added, in nats.
    pub nll: Tensor,
    /// The gradient at the logits (rows, pixels), which are not kept.
    pub dlogits: Tensor,
}

/// Records −log p(images | x wᵀ + b), Bernoulli, without keeping the logits, and the gradients. Each image has
/// as many rows of x, one after another.
///
/// # Panics
///
/// If the shapes do not fit, naming them.
pub fn linear_bernoulli(tape: &mut Tape<'_>, x: Tensor, layer: Affine, images: Input) -> Compared {
    let (rows, cols) = (x.rows(), layer.w.rows());
    let samples = rows / images.rows();
    assert_eq!(images.cols(), cols, "linear_bernoulli: a logit for each pixel");
    assert_eq!(rows, samples * images.rows(), "linear_bernoulli: every image has as many rows");
    let dlogits = tape.plan.matrix("dlogits", rows, cols);
    let nll = tape.plan.matrix("nll parts", rows, dlogits.stride().div_ceil(PART));
    let p = Product {
        other_stride: size(images.stride()),
        samples: size(samples),
        parts: size(nll.stride()),
        ..forward(Input::Made(x), layer, dlogits)
    };
    let grid = Grid::Matrix(dlogits.padded_rows(), dlogits.stride());
    let Affine { w, b } = layer;
    match images {
        Input::Made(images) | Input::Data(images) => {
            tape.dispatch(&BERNOULLI, p, [x, b, w, images, dlogits, nll], grid);
        }
        Input::Bytes(Bytes { pixels, image, .. }) => {
            let bindings = [x, b, w, pixels, image, dlogits, nll];
            tape.dispatch(&BERNOULLI_BYTES, p, bindings, grid);
        }
    }
    tape.on_backward(&[x], move |tape| backward(tape, Input::Made(x), layer, dlogits));
    Compared { nll, dlogits }
}

/// Records both products of the way back, from dy (rows, outputs).
fn backward(tape: &mut Tape<'_>, x: Input, layer: Affine, dy: Tensor) {
    if let Input::Made(x) = x {
        backward_to_input(tape, x, layer.w, dy);
    }
    let Affine { w, b } = layer;
    // Longer sums have parts, of which only the last could update; their gradients are stored.
    let at_once = dy.padded_rows() <= BLOCK;
    tape.leaf(&[w, b], at_once, move |tape, update| match update {
        None => backward_to_weight(tape, x, layer, dy),
        Some(update) => update_weight(tape, x, layer, dy, update),
    });
}

fn backward_to_input(tape: &mut Tape<'_>, x: Tensor, w: Tensor, dy: Tensor) {
    let x = without_classes(tape, x).unwrap_or(x);
    let made_by = applied(tape, x);
    let p = Product {
        rows: size(x.padded_rows()),
        cols: size(x.stride()),
        depth: size(dy.stride()),
        a_stride: size(dy.stride()),
        b_stride: size(w.stride()),
        c_stride: size(x.stride()),
        inside: size(x.cols()),
        activation: made_by.code(),
        ..Product::default()
    };
    let grid = Grid::Matrix(x.padded_rows(), x.stride());
    if let Some(LocationScale { h, eps, .. }) = gaussian::alone(tape, x) {
        // The product that makes dz makes dh of it, and dz is not kept.
        let p = Product {
            c_stride: size(h.stride()),
            other_stride: size(eps.stride()),
            latent: size(x.cols()),
            ..p
        };
        let dh = tape.grad_out(h, GradSite::Output).at;
        tape.dispatch(&BACKWARD_DRAW, p, [dy, w, h, eps, dh], grid);
        return;
    }
    let site = if made_by == Activation::Identity { GradSite::Output } else { GradSite::Input };
    let dx = tape.grad_out(x, site);
    let p = Product { accumulate: dx.accumulate(), ..p };
    tape.dispatch(&BACKWARD_X, p, [dy, x, w, dx.at], grid);
}

/// The parameters of dw = dyᵀ x over so many rows.
fn to_weight(x_stride: usize, w: Tensor, dy: Tensor, rows: usize) -> Product {
    Product {
        rows: size(w.padded_rows()),
        cols: size(w.stride()),
        depth: size(rows),
        a_stride: size(dy.stride()),
        b_stride: size(x_stride),
        c_stride: size(w.stride()),
        inside: size(w.cols()),
        ..Product::default()
    }
}

/// The gradients of the weight and the bias, a dispatch for each block of rows.
fn backward_to_weight(tape: &mut Tape<'_>, x: Input, Affine { w, b }: Affine, dy: Tensor) {
    let (Input::Made(x) | Input::Data(x)) = x else {
        panic!("the gradient by bytes is not stored: {x:?}")
    };
    let grid = Grid::Matrix(w.padded_rows(), w.stride());
    for first in (0..dy.padded_rows()).step_by(BLOCK) {
        let rows = BLOCK.min(dy.padded_rows() - first);
        let [dw, db] = [w, b].map(|of| tape.grad_out(of, GradSite::Output));
        let [dy, x] = [dy, x].map(|of| of.block(first..first + rows));
        let p = Product { accumulate: dw.accumulate(), ..to_weight(x.stride(), w, dy, rows) };
        tape.dispatch(&BACKWARD_W, p, [dy, x, dw.at, db.at], grid);
    }
}

/// Adam's update of the weight and the bias, by gradients that are not stored.
fn update_weight(tape: &mut Tape<'_>, x: Input, layer: Affine, dy: Tensor, update: Update) {
    let Affine { w, b } = layer;
    let (first_word, end) = (w.range().start, b.range().end);
    let both = Tensor::vector(w.buffer(), first_word, end - first_word, Dtype::F32);
    let [first, second] = tape.parameters.moments_of(tape.plan, both);
    let p = Product {
        bias: size(b.range().start - first_word),
        decoupled: u32::from(update.decoupled),
        ..to_weight(x.stride(), w, dy, dy.padded_rows())
    };
    let grid = Grid::Matrix(w.padded_rows(), w.stride());
    let guard = update.guard;
    match (x, update.squares) {
        (Input::Made(x) | Input::Data(x), None) => {
            tape.dispatch(&ADAM, p, [dy, x, guard, both, first, second], grid);
        }
        (Input::Made(x) | Input::Data(x), Some(squares)) => {
            let bindings = [dy, x, guard, both, first, second, squares];
            tape.dispatch(&ADAM_SQUARES, p, bindings, grid);
        }
        (Input::Bytes(Bytes { pixels, image, .. }), None) => {
            let bindings = [dy, pixels, image, guard, both, first, second];
            tape.dispatch(&ADAM_BYTES, p, bindings, grid);
        }
        (Input::Bytes(Bytes { pixels, image, .. }), Some(squares)) => {
            let bindings = [dy, pixels, image, guard, both, first, second, squares];
            tape.dispatch(&ADAM_BYTES_SQUARES, p, bindings, grid);
        }
    }
}
