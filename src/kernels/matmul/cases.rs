//! What the product is tested and timed with.

use super::{Affine, BLOCK, Bytes, Compared, DrawAt, Input, linear, linear_bernoulli, linear_draw};
use crate::config::{Activation, OptimizerConfig, Pixels, Rule};
use crate::engine::record::rate;
use crate::engine::{Dtype, Fusion, GradSite, Init, Program, Tape, Tensor};
use crate::kernels::activation::activation;
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::optimizer_rates;
use crate::kernels::gather::{Shard, gather};
use crate::kernels::label::append;
use crate::kernels::norm::NormAt;
use crate::kernels::optimizer::learn;
use crate::kernels::reduce::{Term, reduce, reports};

/// Sizes of one, a tile and one more or less, ragged in every dimension; every activation before
/// and after; an input with two users; sums over more rows than a block, and than a loop's turns on some
/// adapters; the classic model's layers for the benches.
pub(crate) fn cases() -> Vec<Case> {
    let relu = Activation::Relu;
    let mut cases = Vec::new();
    for [rows, inputs, outputs] in [
        [1, 1, 1],
        [15, 31, 33],
        [16, 16, 32],
        [17, 33, 31],
        [31, 32, 33],
        [33, 20, 65],
        [65, 7, 3],
    ] {
        cases.push(layer(rows, inputs, outputs, relu));
    }
    for kind in Activation::ALL {
        cases.push(layer(19, 21, 37, kind));
    }
    cases.push(two_users());
    cases.extend([(1, 1), (9, 18), (33, 20)].map(|(rows, width)| used_twice(rows, width)));
    cases.push(told(19, 13, 5, 21));
    cases.push(told(5, 16, 2, 3));
    cases.push(compared([7, 3, 5], 9, 37));
    cases.push(compared([13, 5, 13], 20, 70));
    for [rows, inputs, outputs] in
        [[1, 1, 1], [17, 33, 31], [65, 70, 85], [128, 400, 784], [2065, 33, 31], [262_201, 3, 2]]
    {
        cases.push(added(rows, inputs, outputs));
    }
    cases.push(layer(BLOCK, 5, 3, relu));
    cases.push(layer(2 * BLOCK + 17, 21, 33, relu));
    for [rows, inputs, outputs] in
        [[128, 784, 400], [128, 400, 40], [128, 20, 400], [128, 400, 784]]
    {
        cases.push(layer(rows, inputs, outputs, relu));
    }
    cases.extend(fused_steps());
    cases
}

/// A layer's parameters in a case, as inputs.
fn affine(case: &mut Case, name: &str, inputs: usize, outputs: usize) -> Affine {
    let spread = 2.0 / (inputs as f32).sqrt();
    let shape = [outputs, inputs];
    let w = case.input(&format!("{name}.w"), shape, Fill::Uniform(2, -spread, spread));
    let fill = Fill::Uniform(3, -0.5, 0.5);
    let b = case.input_line(&format!("{name}.b"), outputs, Dtype::F32, fill);
    Affine { w, b }
}

/// Tensors with their gradients, which the way back has made.
fn gradients(tape: &Tape<'_>, of: impl IntoIterator<Item = Tensor>) -> Vec<(Tensor, Tensor)> {
    let gradient = |of| (of, tape.grad(of, GradSite::Output).expect("the way back made it"));
    of.into_iter().map(gradient).collect()
}

/// A layer after a small one with the same activation, so that both epilogues see it.
fn layer(rows: usize, inputs: usize, outputs: usize, kind: Activation) -> Case {
    let name = format!("matmul {rows}×{inputs}→{outputs} {}", kind.name());
    let mut case = Case::new(name, rows);
    let x = case.input("x", [rows, 5], Fill::Uniform(1, -1.0, 1.0));
    let before = affine(&mut case, "before", 5, inputs);
    let after = affine(&mut case, "after", inputs, outputs);
    let weight = case.weight([rows, outputs]);
    let (y, gradients) = case.record(|tape| {
        let made = linear(tape, "made", Input::Made(x), before, kind);
        let y = linear(tape, "y", Input::Made(made), after, kind);
        tape.set_grad(y, weight);
        tape.backward();
        (y, gradients(tape, [before.w, before.b, after.w, after.b, x]))
    });
    case.outputs.push((y, Weight::Of(weight)));
    case.gradients = gradients;
    case.tolerance = 3e-6;
    case
}

/// A layer's output that two layers and an activation use: the first way back to come stores, the
/// others add, before the activation and after it.
fn two_users() -> Case {
    let (rows, inputs, between, outputs) = (9, 6, 18, 7);
    let mut case = Case::new("matmul with three users".to_owned(), rows);
    let x = case.input("x", [rows, inputs], Fill::Uniform(1, -1.0, 1.0));
    let shared = affine(&mut case, "shared", inputs, between);
    let users = ["first", "second"].map(|name| affine(&mut case, name, between, outputs));
    let weights = [outputs, outputs, between].map(|cols| case.weight([rows, cols]));
    let (ys, gradients) = case.record(|tape| {
        let made = linear(tape, "made", Input::Made(x), shared, Activation::Tanh);
        let first = linear(tape, "a", Input::Made(made), users[0], Activation::Identity);
        let second = linear(tape, "b", Input::Made(made), users[1], Activation::Sigmoid);
        let third = activation(tape, Activation::Silu, made);
        let ys = [first, second, third];
        for (y, weight) in ys.into_iter().zip(weights) {
            tape.set_grad(y, weight);
        }
        tape.backward();
        let layers = [shared, users[0], users[1]].into_iter();
        (ys, gradients(tape, layers.flat_map(|layer| [layer.w, layer.b]).chain([x])))
    });
    case.outputs.extend(ys.into_iter().zip(weights.map(Weight::Of)));
    case.gradients = gradients;
    case
}

/// A weight and a bias that are used twice, y = w (w x + b) + b: each use adds to their gradients.
fn used_twice(rows: usize, width: usize) -> Case {
    let mut case = Case::new(format!("matmul {rows}×{width}, used twice"), rows);
    let x = case.input("x", [rows, width], Fill::Uniform(1, -1.0, 1.0));
    let layer = affine(&mut case, "layer", width, width);
    let weight = case.weight([rows, width]);
    let (y, gradients) = case.record(|tape| {
        let made = linear(tape, "made", Input::Made(x), layer, Activation::Identity);
        let y = linear(tape, "y", Input::Made(made), layer, Activation::Identity);
        tape.set_grad(y, weight);
        tape.backward();
        (y, gradients(tape, [layer.w, layer.b, x]))
    });
    case.outputs.push((y, Weight::Of(weight)));
    case.gradients = gradients;
    case
}

/// A layer that sees classes beside what another made, on a tape that fuses: the gradient goes past the classes.
fn told(rows: usize, inputs: usize, classes: usize, outputs: usize) -> Case {
    let name = format!("matmul {rows}×{inputs}→{outputs}, told one of {classes}");
    let mut case = Case::new(name, rows);
    let x = case.input("x", [rows, inputs], Fill::Uniform(1, -1.0, 1.0));
    let words = (0..rows).map(|row| (row * 5 % classes) as u32).collect();
    let label = case.input_line("label", rows, Dtype::U32, Fill::Words(words));
    let layer = affine(&mut case, "layer", inputs + classes, outputs);
    let weight = case.weight([rows, outputs]);
    let (dispatches, y, gradients) = {
        let mut tape = Tape::new(&mut case.plan, &mut case.parameters).fused(Fusion::All);
        let given = append(&mut tape, (x, true), label, classes);
        let y = linear(&mut tape, "y", Input::Made(given), layer, Activation::Identity);
        tape.set_grad(y, weight);
        tape.backward();
        let gradients = gradients(&tape, [layer.w, layer.b, x]);
        (tape.take(), y, gradients)
    };
    case.program = Program::new(&case.name, &[&dispatches]);
    case.outputs.push((y, Weight::Of(weight)));
    case.gradients = gradients;
    case
}

/// Logits that are compared with images at once, several rows of each image.
fn compared([images, samples, inside]: [usize; 3], inputs: usize, pixels: usize) -> Case {
    let name = format!("matmul {inside}/{images}·{samples}×{inputs}→{pixels}, compared");
    let mut case = Case::new(name, inside);
    let x = case.input("x", [images * samples, inputs], Fill::Uniform(1, -1.0, 1.0));
    let seen = case.input("images", [images, pixels], Fill::Uniform(4, 0.0, 1.0));
    let layer = affine(&mut case, "layer", inputs, pixels);
    let (nll, gradients) = case.record(|tape| {
        let Compared { nll, .. } = linear_bernoulli(tape, x, layer, Input::Data(seen));
        tape.backward();
        (nll, gradients(tape, [layer.w, layer.b, x]))
    });
    let weight = case.record.rates[rate::LOSS_SCALE] / samples as f64;
    case.outputs.push((nll, Weight::Same(weight)));
    case.gradients = gradients;
    case.tolerance = 3e-6;
    case
}

/// A layer whose weights' gradients are added to what is there, as in the parts of a minibatch.
fn added(rows: usize, inputs: usize, outputs: usize) -> Case {
    let mut case = Case::new(format!("matmul {rows}×{inputs}→{outputs}, added"), rows);
    let x = case.input("x", [rows, inputs], Fill::Uniform(1, -1.0, 1.0));
    let layer = affine(&mut case, "layer", inputs, outputs);
    let weight = case.weight([rows, outputs]);
    let made = case.record(|tape| {
        let y = linear(tape, "y", Input::Data(x), layer, Activation::Identity);
        tape.set_grad(y, weight);
        tape.backward();
        gradients(tape, [layer.w, layer.b])
    });
    case.inputs.extend(made.iter().map(|&(_, grad)| (grad, Fill::Uniform(4, -9.0, 9.0))));
    let buffers: Vec<_> = made.iter().map(|(_, grad)| grad.buffer()).collect();
    let stored = std::mem::take(&mut case.program.dispatches).into_iter();
    case.program.dispatches = stored.map(|dispatch| dispatch.adding(&buffers)).collect();
    case.tolerance = 3e-6;
    case
}

/// A layer and its gradients, ragged in each dimension and without a kink, that tells whether a
/// device multiplies.
pub(crate) fn trial() -> Case {
    layer(37, 70, 85, Activation::Sigmoid)
}

/// What a fused case is: images in the dataset, bytes behind the pixels of each that the first layer alone
/// sees, rows of the batch, images in the minibatch; and whether the norm of the gradients is reported.
struct Batch {
    images: usize,
    behind: usize,
    rows: usize,
    filled: usize,
    normed: bool,
}

/// Whole steps of a small model with everything fused: each entry ragged in each dimension, latents
/// that are no multiple of two or fill more than one tile, a partial batch, bytes and floats, both
/// rules, the guard set, a gradient and a weight that break, a window, and classes behind the pixels
/// within their padding, up to its end and beyond.
fn fused_steps() -> Vec<Case> {
    let adam = OptimizerConfig::default;
    let decayed = OptimizerConfig { rule: Rule::Adamw, weight_decay: 0.1, ..adam() };
    let of = |images, rows, filled| Batch { images, behind: 0, rows, filled, normed: false };
    let told = |behind| Batch { behind, ..of(40, 19, 17) };
    let normed = |batch| Batch { normed: true, ..batch };
    vec![
        fused_step(normed(told(10)), [48, 33, 3], Dtype::U32, &adam(), 0),
        fused_step(normed(of(1, 1, 1)), [1, 1, 1], Dtype::U32, &adam(), 0),
        fused_step(normed(of(40, 19, 17)), [37, 21, 3], Dtype::U32, &adam(), 0),
        fused_step(normed(of(40, 33, 33)), [70, 65, 20], Dtype::F32, &decayed, 0),
        fused_step(normed(of(50, 16, 16)), [33, 16, 67], Dtype::U32, &decayed, 0),
        fused_step(normed(of(40, 19, 17)), [37, 21, 3], Dtype::F32, &adam(), 1),
        fused_step(normed(of(40, 19, 17)), [37, 21, 3], Dtype::U32, &adam(), 2),
        fused_step(normed(of(300, 128, 128)), [784, 400, 20], Dtype::U32, &adam(), 0),
        too_large(fused_step(normed(of(40, 19, 19)), [37, 21, 3], Dtype::F32, &adam(), 0)),
        fused_step(told(2), [1, 3, 1], Dtype::U32, &adam(), 0),
        fused_step(told(10), [37, 21, 3], Dtype::U32, &adam(), 0),
        fused_step(told(11), [37, 21, 3], Dtype::U32, &decayed, 0),
        fused_step(told(12), [37, 21, 3], Dtype::U32, &adam(), 0),
        fused_step(told(10), [48, 33, 3], Dtype::U32, &adam(), 0),
        fused_step(told(256), [9, 21, 3], Dtype::U32, &adam(), 0),
        fused_step(of(1, 1, 1), [1, 1, 1], Dtype::U32, &adam(), 0),
        fused_step(of(40, 19, 17), [37, 21, 3], Dtype::U32, &adam(), 0),
        fused_step(of(40, 33, 33), [70, 65, 20], Dtype::F32, &decayed, 0),
        fused_step(of(50, 16, 16), [33, 16, 67], Dtype::U32, &decayed, 0),
        fused_step(of(40, 19, 17), [37, 21, 3], Dtype::F32, &adam(), 1),
        fused_step(of(300, 128, 128), [784, 400, 20], Dtype::U32, &adam(), 0),
        windowed(fused_step(told(10), [37, 21, 3], Dtype::U32, &adam(), 0)),
        too_large(fused_step(of(40, 19, 19), [37, 21, 3], Dtype::F32, &adam(), 0)),
        still(Dtype::U32, false),
        still(Dtype::F32, false),
        still(Dtype::U32, true),
        still(Dtype::F32, true),
    ]
}

fn fused_step(
    batch: Batch,
    [pixels, hidden, latent]: [usize; 3],
    dtype: Dtype,
    rule: &OptimizerConfig,
    status: u32,
) -> Case {
    let Batch { images, behind, rows, filled, normed } = batch;
    let kind = if dtype == Dtype::U32 { "bytes" } else { "floats" };
    let name = format!(
        "matmul fused {filled}/{rows} {kind}, {pixels}-{hidden}-{latent}, {behind} behind, {:?}, status {status}, \
         normed {normed}",
        rule.rule
    );
    let mut case = Case::new(name, filled);
    case.record.images = images as u32;
    case.record.shuffle = true;
    let scale = case.record.rates;
    case.record.rates = optimizer_rates(rule, 1e-3, 3);
    case.record.rates[..2].copy_from_slice(&scale[..2]);
    let inputs = pixels + behind;
    let shard = dataset(&mut case, dtype, [images, inputs]);
    let plan = &mut case.plan;
    let (x, image) = (plan.matrix("x", rows, pixels), plan.words("image", rows));
    let [eps, z] = ["eps", "z"].map(|name| plan.matrix(name, rows, latent));
    let extra = plan.vector("extra", rows);
    let reports = reports(plan, &["nll", "kl", "extra", "norm"]);
    let norm = normed.then(|| NormAt::of(&reports, "norm"));
    let guard = reports.slots.guard;
    case.inputs.push((guard, Fill::Words(vec![status, 0])));
    let shapes = [[hidden, inputs], [2 * latent, hidden], [hidden, latent], [pixels, hidden]];
    let (dispatches, losses) = {
        let mut tape = Tape::new(&mut case.plan, &mut case.parameters).fused(Fusion::All);
        let unset = [Init::Constant(0.0); 2];
        let mut number = 0;
        let layers = shapes.map(|shape| {
            number += 1;
            Affine::from(tape.layer(&format!("fc{number}"), shape, unset, &[]))
        });
        let [seen, compared] = match dtype {
            Dtype::U32 => [inputs, pixels].map(|cols| {
                Input::Bytes(Bytes { pixels: shard.data, image, cols, stride: shard.stride() })
            }),
            Dtype::F32 => {
                gather(&mut tape, &[shard], Pixels::Grey, (x, image));
                [Input::Data(x); 2]
            }
        };
        let top = linear(&mut tape, "fc1", seen, layers[0], Activation::Relu);
        let at = DrawAt { image, eps, z, site: 0 };
        let (_, draw) = linear_draw(&mut tape, "fc2", Input::Made(top), layers[1], at);
        let kl = draw.kl;
        let top = linear(&mut tape, "fc3", Input::Made(z), layers[2], Activation::Tanh);
        let Compared { nll, .. } = linear_bernoulli(&mut tape, top, layers[3], compared);
        let terms = [("nll", nll), ("kl", kl), ("extra", extra)];
        let terms = terms.map(|(name, of)| Term { name, of, each: 1 });
        learn(&mut tape, rule, (guard, norm), |tape| reduce(tape, &reports, &terms, true));
        (tape.take(), [nll, kl])
    };
    case.program = Program::new(&case.name, &[&dispatches]);
    fill_parameters(&mut case, &shapes.map(|[_, inputs]| inputs));
    let scale = case.record.rates[rate::LOSS_SCALE];
    let weights = [scale, scale * case.record.rates[rate::KL_WEIGHT]];
    case.outputs = losses.into_iter().zip(weights.map(Weight::Same)).collect();
    // Errors of the whole step add up, and moments divide by small numbers.
    case.tolerance = 1e-5;
    case
}

/// A dataset of bytes or floats in one shard, as an input.
fn dataset(case: &mut Case, dtype: Dtype, [images, cols]: [usize; 2]) -> Shard {
    let data = match dtype {
        Dtype::U32 => {
            let words = images * cols.next_multiple_of(16) / 4;
            case.input_line("pixels", words, dtype, Fill::RandomWords(5))
        }
        Dtype::F32 => case.input("values", [images, cols], Fill::Uniform(5, 0.0, 1.0)),
    };
    Shard { data, labels: None, first: 0, rows: images }
}

/// Weights, biases and moments of layers of so many inputs.
fn fill_parameters(case: &mut Case, inputs: &[usize]) {
    for (i, layer) in case.parameters.list().to_vec().into_iter().enumerate() {
        let (seed, spread) = (i as u32, 1.0 / (inputs[i / 2] as f32).sqrt());
        let filled = [
            (layer.value, Fill::Uniform(10 + seed, -spread, spread)),
            (layer.first, Fill::Uniform(20 + seed, -0.5, 0.5)),
            (layer.second, Fill::Uniform(30 + seed, 0.01, 1.0)),
        ];
        case.inputs.extend(filled);
    }
}

/// A fused step whose dataset of 40 images is a window of many more.
fn windowed(mut case: Case) -> Case {
    case.name += ", windowed";
    case.record.images = 360;
    case.record.window = Some(21);
    case
}

/// A fused step where some gradients are finite, but have no finite square.
fn too_large(mut case: Case) -> Case {
    case.name += ", too large";
    case.fits_f16 = false;
    case.record.rates[rate::LOSS_SCALE] = 1e20;
    case
}

/// A fused step whose weights stay, and whose first moments are the gradients, to differentiate.
fn still(dtype: Dtype, normed: bool) -> Case {
    let batch = Batch { images: 9, behind: 0, rows: 7, filled: 5, normed };
    let mut case = fused_step(batch, [13, 6, 3], dtype, &OptimizerConfig::default(), 0);
    case.name += ", still";
    let rates = &mut case.record.rates;
    (rates[rate::BETA1], rates[rate::ONE_MINUS_BETA1]) = (0.0, 1.0);
    (rates[rate::STEP_SIZE], rates[rate::RATE]) = (0.0, 0.0);
    let learned = case.parameters.list().iter().map(|layer| (layer.value, layer.first));
    case.gradients = learned.collect();
    case
}
