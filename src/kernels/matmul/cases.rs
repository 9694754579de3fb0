//! What the product is tested and timed with.

use super::fuse::{Fusion, fuse};
use super::{Learned, MOST_ROWS, linear};
use crate::config::{Activation, OptimizerConfig, Pixels, Rule};
use crate::engine::params::Arena;
use crate::engine::plan::OFFSET_ALIGNMENT;
use crate::engine::record::{SLOTS, rate};
use crate::engine::{Dtype, GradSite, Tensor};
use crate::kernels::activation::activation;
use crate::kernels::bernoulli::bernoulli;
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::optimizer_rates;
use crate::kernels::finite::check_finite;
use crate::kernels::gather::{Shard, gather};
use crate::kernels::gaussian::{Divergence, Noise, gaussian};
use crate::kernels::optimizer::update;
use crate::kernels::reduce::{METRICS, Reports, TERMS, reduce};

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
    for [rows, inputs, outputs] in
        [[1, 1, 1], [17, 33, 31], [65, 70, 85], [128, 400, 784], [2065, 33, 31], [262_201, 3, 2]]
    {
        cases.push(added(rows, inputs, outputs));
    }
    cases.push(layer(MOST_ROWS, 5, 3, relu));
    cases.push(layer(2 * MOST_ROWS + 17, 21, 33, relu));
    for [rows, inputs, outputs] in
        [[128, 784, 400], [128, 400, 40], [128, 20, 400], [128, 400, 784]]
    {
        cases.push(layer(rows, inputs, outputs, relu));
    }
    cases.extend(fused_steps());
    cases
}

/// A layer's inputs in a case, and its share of what gradients are compared.
fn learned(case: &mut Case, name: &str, inputs: usize, outputs: usize) -> (Learned, Learned) {
    let spread = 2.0 / (inputs as f32).sqrt();
    let shape = [outputs, inputs];
    let value = case.input(&format!("{name}.w"), shape, Fill::Uniform(2, -spread, spread));
    let w = Learned { value, grad: case.plan.matrix(&format!("d{name}.w"), outputs, inputs) };
    let fill = Fill::Uniform(3, -0.5, 0.5);
    let value = case.input_line(&format!("{name}.b"), outputs, Dtype::F32, fill);
    let b = Learned { value, grad: case.plan.vector(&format!("d{name}.b"), outputs) };
    case.gradients.extend([(w.value, w.grad), (b.value, b.grad)]);
    (w, b)
}

/// A layer after a small one with the same activation, so that both epilogues see it.
fn layer(rows: usize, inputs: usize, outputs: usize, kind: Activation) -> Case {
    let name = format!("matmul {rows}×{inputs}→{outputs} {}", kind.name());
    let mut case = Case::new(name, rows);
    let x = case.input("x", [rows, 5], Fill::Uniform(1, -1.0, 1.0));
    let before = learned(&mut case, "before", 5, inputs);
    let after = learned(&mut case, "after", inputs, outputs);
    let weight = case.weight([rows, outputs]);
    let (y, dx) = case.record(|tape| {
        let made = linear(tape, "made", (x, true), before, kind);
        let y = linear(tape, "y", (made, true), after, kind);
        tape.set_grad(y, weight);
        tape.backward();
        (y, tape.grad(x, GradSite::Output).expect("the first layer wants it"))
    });
    case.outputs.push((y, Weight::Of(weight)));
    case.gradients.push((x, dx));
    case.flops = 6 * (rows * inputs * (outputs + 5)) as u64;
    case.tolerance = 3e-6;
    case
}

/// A layer's output that two layers and an activation use: the first way back to come stores, the
/// others add, before the activation and after it.
fn two_users() -> Case {
    let (rows, inputs, between, outputs) = (9, 6, 18, 7);
    let mut case = Case::new("matmul with three users".to_owned(), rows);
    let x = case.input("x", [rows, inputs], Fill::Uniform(1, -1.0, 1.0));
    let shared = learned(&mut case, "shared", inputs, between);
    let users = ["first", "second"].map(|name| learned(&mut case, name, between, outputs));
    let weights = [outputs, outputs, between].map(|cols| case.weight([rows, cols]));
    let (ys, dx) = case.record(|tape| {
        let made = linear(tape, "made", (x, true), shared, Activation::Tanh);
        let first = linear(tape, "a", (made, true), users[0], Activation::Identity);
        let second = linear(tape, "b", (made, true), users[1], Activation::Sigmoid);
        let third = activation(tape, Activation::Silu, made);
        let ys = [first, second, third];
        for (y, weight) in ys.into_iter().zip(weights) {
            tape.set_grad(y, weight);
        }
        tape.backward();
        (ys, tape.grad(x, GradSite::Output).expect("the first layer wants it"))
    });
    case.outputs.extend(ys.into_iter().zip(weights.map(Weight::Of)));
    case.gradients.push((x, dx));
    case
}

/// A layer whose weights' gradients are added to what is there, as in the parts of a minibatch.
fn added(rows: usize, inputs: usize, outputs: usize) -> Case {
    let mut case = Case::new(format!("matmul {rows}×{inputs}→{outputs}, added"), rows);
    let x = case.input("x", [rows, inputs], Fill::Uniform(1, -1.0, 1.0));
    let (w, b) = learned(&mut case, "layer", inputs, outputs);
    case.gradients.clear();
    let grads = [w.grad, b.grad];
    case.inputs.extend(grads.map(|grad| (grad, Fill::Uniform(4, -9.0, 9.0))));
    let weight = case.weight([rows, outputs]);
    case.record(|tape| {
        let y = linear(tape, "y", (x, false), (w, b), Activation::Identity);
        tape.set_grad(y, weight);
        tape.backward();
    });
    let stored = std::mem::take(&mut case.program.dispatches).into_iter();
    case.program.dispatches = stored.map(|d| d.adding(&grads.map(|grad| grad.buffer()))).collect();
    case.tolerance = 3e-6;
    case
}

/// A layer and its gradients, ragged in each dimension and without a kink, that tells whether a
/// device multiplies.
pub(crate) fn trial() -> Case {
    layer(37, 70, 85, Activation::Sigmoid)
}

/// What a fused case is: images in the dataset, rows of the batch, images in the minibatch.
struct Batch {
    images: usize,
    rows: usize,
    filled: usize,
}

/// Whole steps of a small model with everything fused: each entry ragged in each dimension, latents
/// that are no multiple of two or fill more than one tile, a partial batch, bytes and floats, both
/// rules, the guard set, and a gradient and a weight that break.
fn fused_steps() -> Vec<Case> {
    let adam = OptimizerConfig::default;
    let decayed = OptimizerConfig { rule: Rule::Adamw, weight_decay: 0.1, ..adam() };
    let of = |images, rows, filled| Batch { images, rows, filled };
    vec![
        fused_step(of(1, 1, 1), [1, 1, 1], Dtype::U32, &adam(), 0),
        fused_step(of(40, 19, 17), [37, 21, 3], Dtype::U32, &adam(), 0),
        fused_step(of(40, 33, 33), [70, 65, 20], Dtype::F32, &decayed, 0),
        fused_step(of(50, 16, 16), [33, 16, 67], Dtype::U32, &decayed, 0),
        fused_step(of(40, 19, 17), [37, 21, 3], Dtype::F32, &adam(), 1),
        fused_step(of(300, 128, 128), [784, 400, 20], Dtype::U32, &adam(), 0),
        too_large(fused_step(of(40, 19, 19), [37, 21, 3], Dtype::F32, &adam(), 0)),
        still(Dtype::U32),
        still(Dtype::F32),
    ]
}

fn fused_step(
    batch: Batch,
    [pixels, hidden, latent]: [usize; 3],
    dtype: Dtype,
    rule: &OptimizerConfig,
    status: u32,
) -> Case {
    let Batch { images, rows, filled } = batch;
    let kind = if dtype == Dtype::U32 { "bytes" } else { "floats" };
    let name = format!(
        "matmul fused {filled}/{rows} {kind}, {pixels}-{hidden}-{latent}, {:?}, status {status}",
        rule.rule
    );
    let mut case = Case::new(name, filled);
    case.record.images = images as u32;
    case.record.shuffle = true;
    let scale = case.record.rates;
    case.record.rates = optimizer_rates(rule, 1e-3, 3);
    case.record.rates[..2].copy_from_slice(&scale[..2]);
    let data = match dtype {
        Dtype::U32 => {
            let words = images * pixels.next_multiple_of(16) / 4;
            case.input_line("pixels", words, dtype, Fill::RandomWords(5))
        }
        Dtype::F32 => case.input("values", [images, pixels], Fill::Uniform(5, 0.0, 1.0)),
    };
    let shard = Shard { data, labels: None, first: 0, rows: images };
    let plan = &mut case.plan;
    let (x, image) = (plan.matrix("x", rows, pixels), plan.words("image", rows));
    let [eps, z] = ["eps", "z"].map(|name| plan.matrix(name, rows, latent));
    let [nll, kl, extra] = ["nll", "kl", "extra"].map(|name| plan.vector(name, rows));
    let metrics = plan.vector("metrics", SLOTS * METRICS);
    let guard = case.input_line("guard", 2, Dtype::U32, Fill::Words(vec![status, 0]));
    let reports = Reports { metrics, guard };
    let shapes = [[hidden, pixels], [2 * latent, hidden], [hidden, latent], [pixels, hidden]];
    let (arena, layers) = arena_of(&mut case, shapes);
    case.record(|tape| {
        gather(tape, &[shard], Pixels::Grey, (x, image));
        let top = linear(tape, "fc1", (x, false), layers[0], Activation::Relu);
        let h = linear(tape, "fc2", (top, true), layers[1], Activation::Identity);
        gaussian(tape, Noise::Drawn { image }, h, (eps, z, kl), Divergence::Whole);
        let top = linear(tape, "fc3", (z, true), layers[2], Activation::Tanh);
        let logits = linear(tape, "fc4", (top, true), layers[3], Activation::Identity);
        bernoulli(tape, logits, x, nll);
        tape.backward();
        reduce(tape, (nll, kl, extra), 1, reports, true);
        check_finite(tape, arena.grads, guard);
        update(tape, rule, &[arena], guard);
    });
    case.program.dispatches = fuse(&mut case.plan, &case.program.dispatches, Fusion::All);
    // Errors of the whole step add up, and moments divide by small numbers.
    case.tolerance = 1e-5;
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
fn still(dtype: Dtype) -> Case {
    let batch = Batch { images: 9, rows: 7, filled: 5 };
    let mut case = fused_step(batch, [13, 6, 3], dtype, &OptimizerConfig::default(), 0);
    case.name += ", still";
    let rates = &mut case.record.rates;
    (rates[rate::BETA1], rates[rate::ONE_MINUS_BETA1]) = (0.0, 1.0);
    (rates[rate::STEP_SIZE], rates[rate::RATE]) = (0.0, 0.0);
    let [nll_weight, kl_weight] = [rates[rate::LOSS_SCALE], rates[rate::KL_WEIGHT]];
    let terms = case.program.dispatches.iter().find(|d| d.kernel.name() == TERMS.name);
    let terms = terms.expect("a step ends with its sums");
    let [nll, kl] = [terms.bindings[0], terms.bindings[1]];
    case.outputs =
        vec![(nll, Weight::Same(nll_weight)), (kl, Weight::Same(nll_weight * kl_weight))];
    // Values, then first moments, of weights and biases in turn, as `arena_of` filled them.
    let filled: Vec<Tensor> = case.inputs.iter().map(|&(tensor, _)| tensor).collect();
    let learned = &filled[filled.len() - 24..];
    for layer in learned.chunks(6) {
        case.gradients.extend([(layer[0], layer[2]), (layer[1], layer[3])]);
    }
    case
}

/// An arena that holds a weight and a bias for each shape.
fn arena_of(case: &mut Case, shapes: [[usize; 2]; 4]) -> (Arena, [(Learned, Learned); 4]) {
    let mut len = 0;
    let mut places = Vec::new();
    for [outputs, inputs] in shapes {
        let (weight, bias) =
            (len, len + outputs.next_multiple_of(16) * inputs.next_multiple_of(16));
        let bias = bias.next_multiple_of(OFFSET_ALIGNMENT);
        len = (bias + outputs.next_multiple_of(16)).next_multiple_of(OFFSET_ALIGNMENT);
        places.push((weight, bias));
    }
    let [values, grads, first, second] =
        ["parameters", "gradients", "first moments", "second moments"]
            .map(|name| case.plan.vector(name, len));
    let layer = |i: usize, all: Tensor| {
        let ([outputs, inputs], (weight, bias)) = (shapes[i], places[i]);
        let start = all.range().start;
        let weight = Tensor::matrix(all.buffer(), start + weight, outputs, inputs);
        (weight, Tensor::vector(all.buffer(), start + bias, outputs, Dtype::F32))
    };
    for (i, [_, inputs]) in shapes.iter().enumerate() {
        let spread = 1.0 / (*inputs as f32).sqrt();
        for (seed, all, low, high) in
            [(1, values, -spread, spread), (2, first, -0.5, 0.5), (3, second, 0.01, 1.0)]
        {
            let (weight, bias) = layer(i, all);
            let fill = |seed| Fill::Uniform(seed, low, high);
            case.inputs.push((weight, fill(10 * seed + i as u32)));
            case.inputs.push((bias, fill(50 + 10 * seed + i as u32)));
        }
    }
    let learned = |i| {
        let ((w, b), (dw, db)) = (layer(i, values), layer(i, grads));
        (Learned { value: w, grad: dw }, Learned { value: b, grad: db })
    };
    (Arena { values, grads, first, second }, [0, 1, 2, 3].map(learned))
}
