//! Convolutions beside PyTorch's numbers and beside the sum as it is written, in f64; devices are held to that by
//! their cases.

use elbo::config::Activation;
use elbo::cpu::Session;
use elbo::engine::{Dtype, GradSite, Parameters, Plan, Program, Tape, Tensor};
use elbo::kernels::case::{Case, Fill};
use elbo::kernels::matmul::Affine;
use elbo::kernels::matmul::convolution::{Map, Windows, convolution};
use elbo::selftest::{Target, check, expected};

use crate::common::golden::{Golden, fill};
use crate::common::gpu;

/// A convolution of maps of these extents.
#[derive(Clone, Copy)]
struct Shape {
    images: usize,
    extents: [usize; 2],
    channels: usize,
    outputs: usize,
    windows: Windows,
}

impl Shape {
    fn new(sizes: [usize; 10]) -> Self {
        let [images, height, width, channels, outputs, down, right, stride, padding, zoom] = sizes;
        let windows = Windows { kernel: [down, right], stride, padding, zoom };
        Self { images, extents: [height, width], channels, outputs, windows }
    }

    fn made(&self) -> [usize; 2] {
        self.windows.made(self.extents).expect("a window fits")
    }

    /// Values of x, w, b and y.
    fn lengths(&self) -> [usize; 4] {
        let ([height, width], [down, right]) = (self.extents, self.windows.kernel);
        let map = self.images * height * width * self.channels;
        let made = self.images * self.made().iter().product::<usize>() * self.outputs;
        [map, self.outputs * down * right * self.channels, self.outputs, made]
    }
}

/// As in tests/golden/convolution.py.
const SHAPES: [[usize; 10]; 7] = [
    [2, 5, 4, 3, 5, 3, 3, 1, 1, 1],
    [2, 8, 7, 16, 17, 4, 4, 2, 1, 1],
    [3, 9, 5, 1, 2, 5, 3, 3, 2, 1],
    [1, 3, 3, 17, 3, 7, 7, 1, 3, 1],
    [2, 6, 7, 3, 4, 1, 1, 2, 0, 1],
    [2, 3, 4, 5, 3, 3, 3, 1, 1, 2],
    [1, 2, 3, 3, 2, 5, 4, 1, 2, 3],
];

/// The values of a tensor without what pads its taps.
fn read(session: &mut Session<f64>, tensor: Tensor, channels: usize) -> Vec<f64> {
    let padded = channels.next_multiple_of(4);
    let all = session.read(tensor);
    all.chunks(padded).flat_map(|tap| &tap[..channels]).copied().collect()
}

/// y, dx, dw and db of x, w, b and the gradient g at y.
fn run(shape: Shape, [x, w, b, g]: [&[f64]; 4]) -> [Vec<f64>; 4] {
    let Shape { images, extents: [height, width], channels, outputs, windows } = shape;
    let (mut plan, mut parameters) = (Plan::new(), Parameters::new());
    let at = plan.matrix("x", images * height * width, channels);
    let weight = plan.matrix("w", outputs, windows.columns(channels));
    let bias = plan.vector("b", outputs);
    let [down, right] = shape.made();
    let given = plan.matrix("g", images * down * right, outputs);
    let mut tape = Tape::new(&mut plan, &mut parameters);
    let layer = Affine { w: weight, b: bias };
    let map = Map { at, height, width };
    let y = convolution(&mut tape, "y", (map, true), layer, windows, Activation::Identity);
    assert_eq!([y.height, y.width], shape.made(), "the extents of y");
    tape.set_grad(y.at, given);
    tape.backward();
    let site = GradSite::Output;
    let [dx, dw, db] = [at, weight, bias].map(|of| tape.grad(of, site).expect("a gradient"));
    let program = Program::new("convolution", &[&tape.take()]);
    let mut session = Session::<f64>::new(&plan, None, 1).expect("a small session");
    let padded = channels.next_multiple_of(4);
    let spread: Vec<_> = w
        .chunks(channels)
        .flat_map(|tap| tap.iter().copied().chain(std::iter::repeat_n(0.0, padded - channels)))
        .collect();
    for (tensor, values) in [(at, x), (weight, &spread), (bias, b), (given, g)] {
        session.write(tensor, values);
    }
    let program = session.load(&program);
    session.run(program, &[Case::new(String::new(), images).record]);
    let dw = read(&mut session, dw, channels);
    [session.read(y.at), session.read(dx), dw, session.read(db)]
}

/// The largest difference, as a share of the largest value.
fn apart(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len(), "as many values");
    let largest = expected.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    let pairs = found.iter().zip(expected);
    pairs.fold(0.0, |most: f64, (a, b)| most.max((a - b).abs())) / largest
}

#[test]
fn convolutions_are_pytorchs() {
    let golden = Golden::read("convolution.safetensors");
    for (k, sizes) in SHAPES.into_iter().enumerate() {
        let shape = Shape::new(sizes);
        let mut seed = 4 * k as u64;
        let inputs = shape.lengths().map(|len| {
            seed += 1;
            fill(seed, len, 1.0)
        });
        let found = run(shape, [0, 1, 2, 3].map(|i| inputs[i].as_slice()));
        for (name, found) in ["y", "dx", "dw", "db"].into_iter().zip(found) {
            let worst = apart(&found, &golden.floats(&format!("{k}.{name}")));
            assert!(worst < 1e-13, "{name} of shape {k}, {sizes:?}: {worst:e}");
        }
    }
}

/// ⟨x ∗ w, g⟩ = ⟨x, g ∗ᵀ w⟩ = ⟨w, dw⟩, and y is the sum as it is written.
#[test]
fn convolutions_are_their_sum_and_adjoint() {
    let mut sizes = SHAPES.to_vec();
    for (kernel, stride, padding, zoom) in [
        (1, 3, 2, 1),
        (3, 2, 0, 1),
        (3, 3, 3, 1),
        (4, 1, 2, 1),
        (5, 2, 3, 1),
        (7, 3, 1, 1),
        (4, 3, 0, 1),
        (1, 1, 0, 2),
        (4, 1, 3, 2),
        (7, 1, 0, 4),
    ] {
        for channels in [1, 3, 5] {
            sizes.push([2, 7, 8, channels, 2, kernel, kernel, stride, padding, zoom]);
        }
    }
    for sizes in sizes {
        let shape = Shape::new(sizes);
        let mut seed = 100;
        let [x, w, _, g] = shape.lengths().map(|len| {
            seed += 1;
            fill(seed, len, 1.0)
        });
        let [y, dx, dw, _] = run(shape, [&x, &w, &vec![0.0; shape.outputs], &g]);
        assert!(apart(&y, &written(shape, &x, &w)) < 1e-13, "y of {sizes:?}");
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (expected, size) = (product(&y, &g), product(&y, &y).sqrt() * product(&g, &g).sqrt());
        for (name, found) in [("x", product(&x, &dx)), ("w", product(&w, &dw))] {
            let error = (found - expected).abs() / size;
            assert!(error < 1e-12, "the adjoint by {name} of {sizes:?}: {error:e}");
        }
    }
}

/// The gradients of weight and bias on devices where they are sums over many blocks of rows.
#[test]
fn sums_over_many_rows_are_right() {
    let gpu = gpu();
    for (images, height, width) in [(2, 190, 185), (8, 194, 194)] {
        let rows = images * height * width;
        let mut case = Case::new(format!("a sum over {rows} rows"), images);
        let at = case.input("x", [rows, 1], Fill::Uniform(1, -1.0, 1.0));
        let windows = Windows { kernel: [3, 3], stride: 1, padding: 1, zoom: 1 };
        let w = case.input("w", [2, windows.columns(1)], Fill::Uniform(2, -1.0, 1.0));
        let b = case.input_line("b", 2, Dtype::F32, Fill::Uniform(3, -1.0, 1.0));
        let given = case.input("g", [rows, 2], Fill::Uniform(4, -1.0, 1.0));
        case.gradients = case.record(|tape| {
            let (map, layer) = (Map { at, height, width }, Affine { w, b });
            let y = convolution(tape, "y", (map, false), layer, windows, Activation::Identity);
            tape.set_grad(y.at, given);
            tape.backward();
            [w, b].map(|of| (of, tape.grad(of, GradSite::Output).expect("a gradient"))).into()
        });
        case.tolerance = 3e-6;
        let expected = expected(&case).expect("enough memory");
        for target in [Target::Cpu, Target::Gpu(&gpu)] {
            let outcome = check(&case, &expected, target).expect("the device works");
            assert!(outcome.failure.is_none(), "{outcome:?}");
        }
    }
}

/// Σ over taps and channels, place by place.
fn written(shape: Shape, x: &[f64], w: &[f64]) -> Vec<f64> {
    let Shape { images, extents: [height, width], channels, outputs, windows } = shape;
    let Windows { kernel: [down, right], stride, padding, zoom } = windows;
    let [made_down, made_right] = shape.made();
    let mut y = Vec::new();
    for image in 0..images {
        for (top, left) in (0..made_down).flat_map(|y| (0..made_right).map(move |x| (y, x))) {
            for output in 0..outputs {
                let mut sum = 0.0;
                for (tap_y, tap_x) in (0..down).flat_map(|y| (0..right).map(move |x| (y, x))) {
                    let at = |first: usize, tap: usize| (first * stride + tap).checked_sub(padding);
                    let (Some(y), Some(x_at)) = (at(top, tap_y), at(left, tap_x)) else { continue };
                    let (y, x_at) = (y / zoom, x_at / zoom);
                    if y >= height || x_at >= width {
                        continue;
                    }
                    for channel in 0..channels {
                        let from = ((image * height + y) * width + x_at) * channels + channel;
                        let weight = ((output * down + tap_y) * right + tap_x) * channels + channel;
                        sum += x[from] * w[weight];
                    }
                }
                y.push(sum);
            }
        }
    }
    y
}
