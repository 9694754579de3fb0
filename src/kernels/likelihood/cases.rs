//! What the kernels of likelihoods are tested by.

use super::*;
use crate::config::OptimizerConfig;
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::optimizer_rates;

/// Every family with every scale: one, ragged, a partial batch, several samples of an image, scales and
/// locations past all bounds, the classic size, and more than 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for likelihood in Likelihood::ALL.into_iter().filter(|&l| l != Likelihood::Bernoulli) {
        let scales = [Scale::Fixed, Scale::Shared, Scale::Pixel];
        for scale in scales.into_iter().filter(|&s| s == Scale::Fixed || likelihood.has_scale()) {
            let mut model = ModelConfig { likelihood, scale, sigma: 0.7, ..ModelConfig::default() };
            if likelihood == Likelihood::Categorical {
                model.levels = 10;
            }
            for (shape, samples, rows) in
                [([1, 1, 1], 1, 1), ([5, 37, 1], 1, 5), ([17, 21, 3], 1, 11), ([6, 75, 1], 3, 5)]
            {
                cases.push(case(&model, shape, samples, rows, false));
            }
            cases.push(case(&model, [9, 50, 1], 1, 9, true));
            if likelihood.is_of_counts() {
                cases.push(many(&model, [7, 90]));
            }
        }
        let model = ModelConfig { likelihood, ..ModelConfig::default() };
        cases.push(case(&model, [32, 784, 1], 1, 32, false));
    }
    cases.extend(of_colours());
    let shared = ModelConfig {
        likelihood: Likelihood::Normal,
        scale: Scale::Shared,
        ..ModelConfig::default()
    };
    cases.push(case(&shared, [65_600, 3, 1], 1, 65_599, false));
    let updates = [(1, 0, false), (70, 0, false), (300, 0, true), (7, 2, true)];
    cases.extend(updates.map(updated));
    cases
}

/// Places of two to four channels, none and many of them past a workgroup's lanes and past the places that the CPU computes at
/// a time; one component and many, few levels, and a minibatch of colour pictures.
fn of_colours() -> Vec<Case> {
    let model = |components, levels| ModelConfig {
        likelihood: Likelihood::ColourMixture,
        components,
        levels,
        ..ModelConfig::default()
    };
    let sizes = [
        (model(1, 256), [3, 3, 3], 1, 3),
        (model(3, 2), [4, 14, 2], 2, 3),
        (model(2, 32), [2, 40, 4], 1, 2),
        (model(5, 256), [3, 771, 3], 1, 2),
        (model(5, 256), [32, 3072, 3], 1, 32),
    ];
    let near = sizes.map(|(model, shape, samples, rows)| case(&model, shape, samples, rows, false));
    let far = [2, 256].map(|levels| case(&model(10, levels), [5, 201, 3], 1, 5, true));
    near.into_iter().chain(far).collect()
}

/// Counts up to 30,000 with means round them, of which −log p is a small difference of large terms.
fn many(model: &ModelConfig, [images, pixels]: [usize; 2]) -> Case {
    let name = format!("many counts, {} {:?}", model.likelihood.name(), model.scale);
    let mut case = Case::new(name, images);
    let count = |i: usize| ((i % 90) as f32 * 0.11 + 0.5).exp().floor();
    let counts = (0..images * pixels).map(|i| count(i).to_bits()).collect();
    let x = case.input("x", [images, pixels], Fill::Words(counts));
    let blocks = Blocks::of(model, pixels, 1);
    let cols = blocks.numbers();
    let value = |i: usize| match i % cols {
        j if j < pixels => count(i / cols * pixels + j).ln() + 0.02 * (i * 41 % 29) as f32 - 0.28,
        _ => -3.0 + 0.4 * (i * 17 % 23) as f32,
    };
    let made = (0..images * cols).map(|i| value(i).to_bits()).collect();
    let made = case.input("made", [images, cols], Fill::Words(made));
    compared(&mut case, model, (made, blocks, x), 1, true);
    // A mean of 10⁴ is the exponential of 9, which devices may have within 21 roundings of f32.
    case.tolerance = 6e-6;
    case
}

/// Adam's update of a shared scale by what so many rows have of its gradient.
fn updated((rows, status, squared): (usize, u32, bool)) -> Case {
    let name =
        format!("the update of a shared scale by {rows} rows, status {status}, squared {squared}");
    let mut case = Case::new(name, rows);
    case.record.rates = optimizer_rates(&OptimizerConfig::default(), 1e-3, 3);
    let each = case.input_line("each", rows, Dtype::F32, Fill::Uniform(1, 0.1, 1.0));
    let guard = case.input_line("guard", 2, Dtype::U32, Fill::Words(vec![status, 0]));
    let one = |case: &mut Case, name, seed| {
        case.input_line(name, 1, Dtype::F32, Fill::Uniform(seed, 0.1, 0.5))
    };
    let weight = one(&mut case, "log_scale", 2);
    let [first, second] = [one(&mut case, "first", 3), one(&mut case, "second", 4)];
    let p = Pixelwise { rows: size(rows), ..Pixelwise::default() };
    case.record(|tape| {
        let bindings = [each, guard, weight, first, second];
        if !squared {
            tape.dispatch(&SUM_ADAM, p, bindings, Grid::Rows(1));
            return;
        }
        let squares = tape.plan.vector("squares", 4);
        let bindings = [each, guard, weight, first, second, squares];
        tape.dispatch(&SUM_ADAM_SQUARES, p, bindings, Grid::Rows(1));
    });
    case.tolerance = 3e-6;
    case
}

/// What a block holds that a decoder makes.
#[derive(Clone, Copy)]
enum Holds {
    Logits,
    Locations,
    LogScales,
    Coefficients,
}

/// The lowest and the highest number of a block; `far` goes past all that models make.
fn interval(holds: Holds, far: bool) -> (f64, f64) {
    match (holds, far) {
        (Holds::Logits, false) => (-3.0, 3.0),
        (Holds::Logits, true) => (-60.0, 60.0),
        (Holds::Locations, false) => (-0.5, 1.5),
        (Holds::Locations, true) => (-20.0, 20.0),
        // Steeper ones have no central differences; they are compared with the reference alone.
        (Holds::LogScales, false) => (-2.5, 9.0),
        (Holds::LogScales, true) => (-10.0, 10.0),
        (Holds::Coefficients, false) => (-2.0, 2.0),
        (Holds::Coefficients, true) => (-20.0, 20.0),
    }
}

/// What is made of so many rows, block by block.
fn made_of(model: &ModelConfig, (rows, blocks, pixels): (usize, Blocks, usize), far: bool) -> Fill {
    let together = pixels / blocks.len;
    let holds = |block: usize| match model.likelihood.makes() {
        Makes::Components => match block / model.components {
            0 => Holds::Logits,
            group if group <= together => Holds::Locations,
            group if group <= 2 * together => Holds::LogScales,
            _ => Holds::Coefficients,
        },
        Makes::Location if block == 0 => Holds::Locations,
        Makes::Location | Makes::LogMean if block == 1 => Holds::LogScales,
        // Logarithms of means lie as logits do.
        _ => Holds::Logits,
    };
    let value = |i: usize| {
        let word = philox([i as u32, 0, 0, 0], [11, 0x0ca5_e000])[0];
        let unit = f64::from(word >> 8) / 16_777_216.0;
        let (low, high) = interval(holds(i % blocks.numbers() / blocks.len), far);
        ((low + unit * (high - low)) as f32).to_bits()
    };
    Fill::Words((0..rows * blocks.numbers()).map(value).collect())
}

fn case(
    model: &ModelConfig,
    [images, pixels, channels]: [usize; 3],
    samples: usize,
    rows: usize,
    far: bool,
) -> Case {
    let (blocks, all) = (Blocks::of(model, pixels, channels), images * samples);
    let (name, scale) = (model.likelihood.name(), model.scale);
    let far_away = if far { ", far" } else { "" };
    let mut name = format!("{name} {scale:?} {rows}/{images}×{samples}×{pixels}{far_away}");
    if blocks.len < pixels {
        name += &format!(", {channels} channels, {} of {} levels", model.components, model.levels);
    }
    let mut case = Case::new(name, rows);
    let made = made_of(model, (all, blocks, pixels), far);
    let made = case.input("made", [all, blocks.numbers()], made);
    // The ends of the range are among the levels; those of bytes do for all families but of counts.
    let level = |i: usize| match model.likelihood.is_of_counts() {
        true => ((i * 89 + i / 5) % 17 / 2 * (i % 3)) as f32,
        false => ((i * 89 + i / 5) % model.levels) as f32 / (model.levels - 1) as f32,
    };
    let levels = (0..images * pixels).map(|i| level(i).to_bits()).collect();
    let x = case.input("x", [images, pixels], Fill::Words(levels));
    compared(&mut case, model, (made, blocks, x), samples, !far);
    // Far from the pixels, and at steep scales, elements are differences of numbers a hundred times as large.
    case.tolerance = match (far, blocks.len < pixels) {
        // Shares of components whose −log p are tens of thousands, of which f32 holds thousandths.
        (true, true) => 5e-5,
        (true, false) => 5e-6,
        (false, _) => 3e-6,
    };
    case
}

/// Records the comparison of what was made with the pixels, and what gradients are taken of, if they are.
fn compared(
    case: &mut Case,
    model: &ModelConfig,
    (made, blocks, x): (Tensor, Blocks, Tensor),
    samples: usize,
    differentiated: bool,
) {
    let log_scale = (model.scale == Scale::Shared)
        .then(|| case.input_line("log_scale", 1, Dtype::F32, Fill::Uniform(3, -0.9, -0.8)));
    let nll = case.plan.vector("nll", made.rows());
    let gradients = case.record(|tape| {
        likelihood(tape, model, samples, Observed { made, blocks, x, nll }, log_scale);
        tape.backward();
        let gradient = |of| (of, tape.grad(of, GradSite::Output).expect("the loss made it"));
        [made].into_iter().chain(log_scale).map(gradient).collect::<Vec<_>>()
    });
    if differentiated {
        let weight = case.record.rates[rate::LOSS_SCALE] / samples as f64;
        case.outputs.push((nll, Weight::Same(weight)));
        case.gradients = gradients;
    }
}
