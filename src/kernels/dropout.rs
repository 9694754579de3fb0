//! Dropout: a training step leaves out a share of a layer's outputs, drawn for each image.

use std::ops::Range;

use crate::engine::kernel::params;
use crate::engine::record::rate;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Dtype, GradSite, Grid, Kernel, Real, Record, Rows, Tape, Tensor,
    real, rows_of, uncounted,
};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{plain, wgsl};
use crate::kernels::philox::{PHILOX, key, philox, purpose};

params! {
    /// Parameters of the dropout kernel.
    pub struct Dropout {
        /// Rows of x, with the padding.
        rows: u32,
        /// Groups of four columns of x, with the padding.
        quads: u32,
        /// Rows of one image.
        samples: u32,
        /// The layer's number, so that each draws anew.
        layer: u32,
        /// Of 2²⁴ random numbers, those that keep an element.
        keep: u32,
        /// Whether y is added to what is there.
        accumulate: u32,
    }
}

/// y (rows, n) = x ⊗ m / P(m = 1) for x (rows, n), each element of m being 1 or, with the layer's
/// share, 0: inverted dropout (Srivastava et al. 2014, section 10). The gradient takes the same
/// way. `image` (rows / samples) says which image's rows they are; where the record's `learning`
/// is 0, y = x.
pub static APPLY: Kernel<Dropout, 3> = Kernel {
    name: "dropout.apply",
    entry: "apply",
    bindings: [Binding::read_words("image"), Binding::read("x"), Binding::write("y")],
    overrides: &[],
    schedules: &[plain(wgsl!("philox.wgsl", "dropout.wgsl"), Cover::Items(32))],
    reference: (apply, apply),
    cpu: Cpu::Rows(rows),
    turns: |_| PHILOX,
    flops: uncounted,
};

/// One row: its number, its elements, and where they go.
fn apply_row<T: Real>(
    p: &Dropout,
    record: &Record,
    image: &[u32],
    (row, x, y): (usize, &[T], &mut [T]),
) {
    let learning = record.rates[rate::LEARNING] != 0.0;
    let scale = real::<T>(f64::from(1 << 24) / f64::from(p.keep));
    let purpose = (p.layer << 16) + 16 * record.stream + purpose::DROPOUT;
    let (image, sample) = (image[row / p.samples as usize], row as u32 % p.samples);
    for (quad, (x, y)) in (0..).zip(x.chunks(4).zip(y.chunks_mut(4))) {
        let counter = [sample * p.quads + quad, image, record.step, purpose];
        let words = if learning { philox(counter, key(record.seed)) } else { [0; 4] };
        for (word, (&x, y)) in words.into_iter().zip(x.iter().zip(y)) {
            let before = if p.accumulate != 0 { *y } else { T::zero() };
            let value = match learning {
                true if word >> 8 < p.keep => x * scale,
                true => T::zero(),
                false => x,
            };
            *y = before + value;
        }
    }
}

fn apply<T: Real>(p: &Dropout, record: &Record, [image, x, y]: [Arg<'_, T>; 3]) {
    let (image, stride) = (image.words(), 4 * p.quads as usize);
    for (row, (x, y)) in x.read().chunks(stride).zip(y.write().chunks_mut(stride)).enumerate() {
        apply_row(p, record, image, (row, x, y));
    }
}

fn rows(p: &Dropout) -> Rows<Dropout, 3> {
    let of_an_image = (4 * p.quads * p.samples) as usize;
    let part = |p: &Dropout, images: Range<usize>| Dropout {
        rows: rows_of(images, p.samples, p.rows),
        ..*p
    };
    let images = p.rows.div_ceil(p.samples) as usize;
    Rows { images, elements: [1, of_an_image, of_an_image], part }
}

/// What a layer leaves out.
#[derive(Clone, Copy, Debug)]
pub struct Drops {
    /// The share of elements, from 0 to below 1.
    pub share: f64,
    /// The layer's number, so that each draws anew.
    pub layer: usize,
    /// Rows of one image, one after another.
    pub samples: usize,
}

/// Records y (rows, n) of x (rows, n) with some elements left out, and its gradient; `image` says which
/// image's rows they are.
pub fn dropout(tape: &mut Tape<'_>, name: &str, x: Tensor, image: Tensor, drops: Drops) -> Tensor {
    let y = tape.plan.matrix(name, x.rows(), x.cols());
    let kept = ((1.0 - drops.share) * f64::from(1 << 24)).round() as u32;
    let p = Dropout {
        rows: size(x.padded_rows()),
        quads: size(x.stride() / 4),
        samples: size(drops.samples),
        layer: size(drops.layer),
        // A share so near to 1 that none would be left.
        keep: kept.max(1),
        accumulate: 0,
    };
    let grid = Grid::Flat(x.words() / 4);
    tape.dispatch(&APPLY, p, [image, x, y], grid);
    tape.on_backward(move |tape| {
        let dy = tape.grad(y, GradSite::Output).expect("something used the layer's output");
        let (dx, accumulate) = tape.grad_out(x, GradSite::Output);
        let p = Dropout { accumulate: u32::from(accumulate), ..p };
        tape.dispatch(&APPLY, p, [image, dy, dx], grid);
    });
    y
}

/// One, ragged, several samples of each image, two layers that use the input, a step that only looks, the
/// classic size, and more than 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    vec![
        case([1, 1], 1, 0.5, 1.0, &[0]),
        case([13, 37], 1, 0.25, 1.0, &[7, 8]),
        case([26, 37], 2, 0.25, 1.0, &[7, 8]),
        case([13, 37], 1, 0.25, 0.0, &[7]),
        case([128, 400], 1, 0.1, 1.0, &[1]),
        case([64, 131_200], 1, 0.5, 1.0, &[63]),
    ]
}

fn case(
    [rows, cols]: [usize; 2],
    samples: usize,
    share: f64,
    learning: f64,
    layers: &[usize],
) -> Case {
    let name = format!("dropout of {share}, {rows}×{cols}, {samples} samples, learning {learning}");
    let mut case = Case::new(name, rows / samples);
    case.record.rates[rate::LEARNING] = learning;
    let x = case.input("x", [rows, cols], Fill::Uniform(1, 0.5, 2.0));
    let image = case.input_line("image", rows / samples, Dtype::U32, Fill::RandomWords(7));
    let weights: Vec<_> = layers.iter().map(|_| case.weight([rows, cols])).collect();
    let (ys, dx) = case.record(|tape| {
        let drops = |layer| Drops { share, layer, samples };
        let ys: Vec<_> =
            layers.iter().map(|&layer| dropout(tape, "y", x, image, drops(layer))).collect();
        ys.iter().zip(&weights).for_each(|(&y, &weight)| tape.set_grad(y, weight));
        tape.backward();
        (ys, tape.grad(x, GradSite::Output).expect("the rule wrote it"))
    });
    case.outputs.extend(ys.into_iter().zip(weights.into_iter().map(Weight::Of)));
    case.gradients.push((x, dx));
    case
}
