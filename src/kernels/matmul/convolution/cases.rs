//! What convolutions are tested and timed with.

use super::{Ending, Map, Windows, convolution, transposed};
use crate::config::Activation;
use crate::engine::{Dtype, GradSite, Tape, Tensor};
use crate::kernels::activation::activation;
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::matmul::{Affine, Input, linear};

/// A convolution in a case.
#[derive(Clone, Copy)]
struct Shape {
    images: usize,
    extents: [usize; 2],
    channels: [usize; 2],
    windows: Windows,
    kind: Activation,
}

/// Kernels of one to seven places, strides that leave places over, padding, channels that are no multiple of four or of
/// sixteen, extents that differ, a map that is smaller than the kernel, places that are repeated, sums over more rows than a
/// block; every activation; an input with two users.
pub(crate) fn cases() -> Vec<Case> {
    let relu = Activation::Relu;
    let of = |images, extents, channels, (kernel, stride, padding)| Shape {
        images,
        extents,
        channels,
        windows: Windows { kernel, stride, padding, zoom: 1 },
        kind: relu,
    };
    let repeated =
        |zoom, shape: Shape| Shape { windows: Windows { zoom, ..shape.windows }, ..shape };
    let mut shapes = vec![
        of(1, [1, 1], [1, 1], ([1, 1], 1, 0)),
        of(3, [5, 4], [3, 5], ([3, 3], 1, 1)),
        of(2, [7, 6], [16, 17], ([4, 4], 2, 1)),
        of(2, [8, 5], [5, 16], ([5, 3], 3, 2)),
        of(2, [3, 3], [17, 3], ([7, 7], 1, 3)),
        of(3, [2, 3], [4, 20], ([5, 5], 2, 3)),
        of(2, [6, 7], [3, 4], ([1, 1], 2, 0)),
        of(2, [5, 7], [2, 3], ([2, 4], 3, 0)),
        of(1, [9, 9], [64, 33], ([3, 3], 2, 1)),
        of(3, [29, 28], [3, 5], ([3, 3], 1, 0)),
        repeated(2, of(2, [3, 4], [5, 6], ([3, 3], 1, 1))),
        repeated(3, of(1, [2, 5], [17, 3], ([5, 2], 1, 2))),
    ];
    for kind in Activation::ALL {
        shapes.push(Shape { kind, ..of(2, [5, 4], [6, 7], ([3, 3], 2, 1)) });
    }
    let spread = spread(of).into_iter().map(|shape| case(shape, true));
    let blocks = [(1, relu), (2, Activation::Identity), (2, relu), (3, Activation::Gelu)];
    let blocks = blocks.into_iter().map(|(layers, kind)| block(layers, kind));
    let shapes = shapes.into_iter().map(|shape| case(shape, false));
    let all = shapes.chain([two_users()]).chain(blocks);
    all.chain(spread).chain([users_of_both_kinds()]).collect()
}

/// Transposed convolutions: kernels of one to five places, strides beyond them, which leave places that nothing reaches,
/// padding, a single place, sums over more rows of x, and of y, than a block; every activation.
fn spread(
    of: impl Fn(usize, [usize; 2], [usize; 2], ([usize; 2], usize, usize)) -> Shape,
) -> Vec<Shape> {
    let mut shapes = vec![
        of(1, [1, 1], [1, 1], ([1, 1], 1, 0)),
        of(3, [1, 1], [6, 5], ([3, 2], 1, 0)),
        of(3, [5, 4], [3, 5], ([3, 3], 1, 1)),
        of(2, [4, 3], [16, 17], ([4, 4], 2, 1)),
        of(2, [3, 2], [5, 16], ([5, 3], 3, 2)),
        of(2, [4, 3], [17, 3], ([2, 5], 1, 1)),
        of(2, [3, 4], [3, 4], ([1, 1], 2, 0)),
        of(2, [2, 3], [2, 3], ([2, 4], 3, 0)),
        of(1, [5, 5], [33, 20], ([3, 3], 2, 1)),
        of(3, [29, 28], [3, 2], ([2, 2], 1, 0)),
        of(4, [25, 25], [1, 3], ([1, 1], 3, 0)),
    ];
    for kind in Activation::ALL {
        shapes.push(Shape { kind, ..of(2, [3, 4], [6, 7], ([3, 3], 2, 1)) });
    }
    shapes
}

/// Weights and a bias as inputs.
fn affine(case: &mut Case, name: &str, inputs: usize, outputs: usize) -> Affine {
    let spread = 2.0 / (inputs as f32).sqrt();
    let fill = Fill::Uniform(2, -spread, spread);
    let w = case.input(&format!("{name}.w"), [outputs, inputs], fill);
    let b = case.input_line(&format!("{name}.b"), outputs, Dtype::F32, Fill::Uniform(3, -0.5, 0.5));
    Affine { w, b }
}

fn gradients(tape: &Tape<'_>, of: impl IntoIterator<Item = Tensor>) -> Vec<(Tensor, Tensor)> {
    let gradient = |of| (of, tape.grad(of, GradSite::Output).expect("the way back made it"));
    of.into_iter().map(gradient).collect()
}

/// The weight and the bias of a transposed convolution as inputs.
fn affine_of_transposed(
    case: &mut Case,
    [inputs, outputs]: [usize; 2],
    windows: Windows,
) -> Affine {
    let Affine { w, .. } = affine(case, "after", windows.columns(outputs), inputs);
    let fill = Fill::Uniform(4, -0.5, 0.5);
    Affine { w, b: case.input_line("after.spread.b", outputs, Dtype::F32, fill) }
}

/// A convolution, or a transposed one, after a layer of each place with the same activation, so that both epilogues see it.
fn case(shape: Shape, is_transposed: bool) -> Case {
    let Shape { images, extents: [height, width], channels, windows, kind } = shape;
    let ([inputs, outputs], Windows { kernel: [down, right], stride, padding, zoom }) =
        (channels, windows);
    let (what, zoom) = match is_transposed {
        true => ("transposed", String::new()),
        false => ("convolution", format!(", zoom {zoom}")),
    };
    let name = format!(
        "matmul {what} {images}·{height}×{width}×{inputs}→{outputs}, {down}×{right} by {stride}, padding {padding}{zoom}, {}",
        kind.name()
    );
    let mut case = Case::new(name, images);
    let x = case.input("x", [images * height * width, 3], Fill::Uniform(1, -1.0, 1.0));
    let before = affine(&mut case, "before", 3, inputs);
    let (after, made) = match is_transposed {
        true => {
            (affine_of_transposed(&mut case, channels, windows), windows.spread([height, width]))
        }
        false => (
            affine(&mut case, "after", windows.columns(inputs), outputs),
            windows.made([height, width]),
        ),
    };
    let made = made.expect("a window fits");
    let weight = case.weight([images * made[0] * made[1], outputs]);
    let (y, gradients) = case.record(|tape| {
        let x_map =
            (Map { at: linear(tape, "made", Input::Made(x), before, kind), height, width }, true);
        let y = match is_transposed {
            true => transposed(tape, "y", x_map, after, windows, kind),
            false => convolution(tape, "y", x_map, after, windows, kind),
        };
        tape.set_grad(y.at, weight);
        tape.backward();
        (y.at, gradients(tape, [before.w, before.b, after.w, after.b, x]))
    });
    case.outputs.push((y, Weight::Of(weight)));
    case.gradients = gradients;
    case.tolerance = 3e-6;
    case
}

/// A map that a convolution and two transposed ones use, one of which makes what the other takes.
fn users_of_both_kinds() -> Case {
    let (images, height, width) = (2, 3, 4);
    let mut case = Case::new("matmul transposed and not, with one input".to_owned(), images);
    let x = case.input("x", [images * height * width, 3], Fill::Uniform(1, -1.0, 1.0));
    let before = affine(&mut case, "before", 3, 6);
    let windows = |kernel, stride| Windows { kernel, stride, padding: 1, zoom: 1 };
    let (of, spread, again) = (windows([3, 3], 1), windows([4, 4], 2), windows([2, 3], 1));
    let ordinary = affine(&mut case, "ordinary", of.columns(6), 4);
    let layers = [([6, 5], spread), ([6, 3], spread), ([3, 2], again)]
        .map(|(channels, windows)| (affine_of_transposed(&mut case, channels, windows), windows));
    let weights = [(12, 4), (48, 5), (40, 2)];
    let weights = weights.map(|(places, channels)| case.weight([images * places, channels]));
    let (ys, gradients) = case.record(|tape| {
        let at = linear(tape, "made", Input::Made(x), before, Activation::Tanh);
        let x_map = (Map { at, height, width }, true);
        let y = convolution(tape, "ordinary", x_map, ordinary, of, Activation::Gelu);
        let [(first, of_first), (second, of_second), (third, of_third)] = layers;
        let a = transposed(tape, "first", x_map, first, of_first, Activation::Silu);
        let b = transposed(tape, "second", x_map, second, of_second, Activation::Relu);
        let c = transposed(tape, "third", (b, true), third, of_third, Activation::Identity);
        let ys = [y.at, a.at, c.at];
        ys.into_iter().zip(weights).for_each(|(y, weight)| tape.set_grad(y, weight));
        tape.backward();
        let layers = layers.iter().map(|(layer, _)| layer).chain([&ordinary, &before]);
        let learned = layers.flat_map(|layer| [layer.w, layer.b]);
        (ys, gradients(tape, learned.chain([x])))
    });
    case.outputs.extend(ys.into_iter().zip(weights.map(Weight::Of)));
    case.gradients = gradients;
    case.tolerance = 3e-6;
    case
}

/// A map that two convolutions of different strides use: the first way back to come stores, the other adds.
fn two_users() -> Case {
    let (images, height, width) = (2, 5, 3);
    let mut case = Case::new("matmul convolutions with one input".to_owned(), images);
    let at = case.input("x", [images * height * width, 6], Fill::Uniform(1, -1.0, 1.0));
    let windows = [([3, 3], 1, 1), ([3, 2], 2, 1)].map(|(kernel, stride, padding)| Windows {
        kernel,
        stride,
        padding,
        zoom: 1,
    });
    let layers = [
        affine(&mut case, "first", windows[0].columns(6), 4),
        affine(&mut case, "second", windows[1].columns(6), 5),
    ];
    let weights = [0, 1].map(|i| {
        let made = windows[i].made([height, width]).expect("a window fits");
        case.weight([images * made[0] * made[1], layers[i].w.rows()])
    });
    let (ys, gradients) = case.record(|tape| {
        let x = Map { at, height, width };
        let ys = [0, 1].map(|i| {
            let name = ["first", "second"][i];
            convolution(tape, name, (x, true), layers[i], windows[i], Activation::Tanh).at
        });
        ys.into_iter().zip(weights).for_each(|(y, weight)| tape.set_grad(y, weight));
        tape.backward();
        let layers = layers.iter().flat_map(|layer| [layer.w, layer.b]);
        (ys, gradients(tape, layers.chain([at])))
    });
    case.outputs.extend(ys.into_iter().zip(weights.map(Weight::Of)));
    case.gradients = gradients;
    case
}

/// Convolutions one after another, the last of which adds what the first took, which the activation of a layer made.
fn block(layers: usize, kind: Activation) -> Case {
    let name = format!("matmul convolutions, a block of {layers}, {}", kind.name());
    let ([images, height, width], channels) = ([2, 5, 3], 6);
    let mut case = Case::new(name, images);
    let rows = images * height * width;
    let x = case.input("x", [rows, 3], Fill::Uniform(1, -1.0, 1.0));
    let windows = Windows { kernel: [3, 3], stride: 1, padding: 1, zoom: 1 };
    let before = affine(&mut case, "before", 3, channels);
    let of_block: Vec<_> = (0..layers)
        .map(|_| affine(&mut case, "layer", windows.columns(channels), channels))
        .collect();
    let weight = case.weight([rows, channels]);
    let (y, gradients) = case.record(|tape| {
        let skip = linear(tape, "made", Input::Made(x), before, Activation::Relu);
        let mut y = Map { at: skip, height, width };
        for (i, &layer) in of_block.iter().enumerate() {
            let last = Ending { kind, skip: Some((skip, true)) };
            let ending = if i + 1 == layers { last } else { Activation::Tanh.into() };
            y = convolution(tape, &format!("y{i}"), (y, true), layer, windows, ending);
        }
        // What begins at y would be written to where the block passes its gradient on.
        let y = activation(tape, Activation::Silu, y.at);
        tape.set_grad(y, weight);
        tape.backward();
        let learned = of_block.iter().chain([&before]).flat_map(|layer| [layer.w, layer.b]);
        (y, gradients(tape, learned.chain([x])))
    });
    case.outputs.push((y, Weight::Of(weight)));
    case.gradients = gradients;
    case.tolerance = 3e-6;
    case
}
