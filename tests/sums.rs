//! Sums lose few digits however long they are, in f32, by the CPU session and on a device.
#![allow(clippy::print_stdout, reason = "tests may talk")]

mod common;

use std::ops::Range;

use common::gpu;
use elbo::config::{Likelihood, ModelConfig, OptimizerConfig, Scale};
use elbo::cpu;
use elbo::engine::params::Arena;
use elbo::engine::{Dtype, Tensor};
use elbo::gpu::{self, Gpu};
use elbo::kernels::bernoulli::bernoulli;
use elbo::kernels::case::{Case, Fill};
use elbo::kernels::common::optimizer_rates;
use elbo::kernels::divergence::{Aim, divergence};
use elbo::kernels::finite;
use elbo::kernels::gaussian::{Divergence, Noise, gaussian};
use elbo::kernels::layer_norm::layer_norm;
use elbo::kernels::likelihood::likelihood;
use elbo::kernels::matmul::Learned;
use elbo::kernels::optimizer::update;
use elbo::kernels::reduce::{Term, reduce, reports};

/// How far from itself a sum may be: three roundings of f32.
const ALLOWED: f64 = 2e-7;

/// The same of KL divergences, in the CPU session and on a device, whose terms are differences and so
/// off by more than a rounding themselves.
const OF_DIFFERENCES: [f64; 2] = [3e-7, 4e-7];

/// Of each sum the worst of so many random fillings counts.
const SEEDS: u32 = 20;

/// Of the sums that take long; with all [`SEEDS`] they are 1.3·10⁻⁷ off at the most.
const FEW: u32 = 3;

const ROWS: usize = 400_000;

/// A program, and where its sums are.
struct Sums {
    case: Case,
    sums: Vec<(Tensor, Range<usize>)>,
    /// What the terms add up to without their signs, at the least: where they cancel, the sum is held to
    /// that.
    terms: f64,
}

/// How far the sums are from the oracle's, as a share of them, in the CPU session and on a device.
fn errors(Sums { case, sums, terms }: &Sums, gpu: &Gpu) -> [f64; 2] {
    let mut oracle = cpu::Session::<f64>::new(&case.plan, None, 1).expect("memory");
    let mut cpu = cpu::Session::<f32>::new(&case.plan, None, 2).expect("memory");
    let mut device = gpu::Session::new(gpu, &case.plan, None).expect("memory");
    for (tensor, fill) in &case.inputs {
        let bits = fill.bits(*tensor);
        oracle.write_bits(*tensor, 0, &bits);
        cpu.write_bits(*tensor, 0, &bits);
        device.write_bits(*tensor, 0, &bits).expect("the device works");
    }
    let program = oracle.load(&case.program);
    oracle.run(program, &[case.record]);
    let program = cpu.load(&case.program);
    cpu.run(program, &[case.record]);
    let program = device.load(&case.program).expect("the device takes it");
    device.run(program, &[case.record]).expect("the device works");
    let mut worst = [0.0_f64; 2];
    for (tensor, places) in sums {
        let expected = oracle.read(*tensor);
        let found = [cpu.read(*tensor), device.read(*tensor).expect("the device works")];
        for (worst, found) in worst.iter_mut().zip(found) {
            for (found, expected) in found[places.clone()].iter().zip(&expected[places.clone()]) {
                let error = (f64::from(*found) - expected).abs() / expected.abs().max(*terms);
                assert!(error.is_finite(), "{found} and {expected}");
                *worst = worst.max(error);
            }
        }
    }
    worst
}

/// Holds the worst of all seeds to what is allowed in the CPU session and on a device; gives what is wrong.
fn fault(
    name: &str,
    (gpu, seeds): (&Gpu, u32),
    allowed: [f64; 2],
    of: impl Fn(u32) -> Sums,
) -> Option<String> {
    let mut worst = [0.0_f64; 2];
    for seed in 0..seeds {
        let found = errors(&of(100 + 10 * seed), gpu);
        worst.iter_mut().zip(found).for_each(|(worst, found)| *worst = worst.max(found));
    }
    let told = format!("{name}: CPU {:.1e}, device {:.1e}", worst[0], worst[1]);
    println!("{told}");
    let fine = worst[0] <= allowed[0] && worst[1] <= allowed[1];
    (!fine).then(|| format!("{told}, {allowed:?} allowed"))
}

fn none(faults: &[String]) {
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn terms_of_a_report() {
    let mut faults = Vec::new();
    faults.extend(fault("reduce.terms", (&gpu(), SEEDS), [ALLOWED; 2], |seed| {
        let mut case = Case::new("terms".to_owned(), ROWS);
        let names = ["a", "b", "c", "d"];
        let terms = names.map(|name| {
            let fill = Fill::Uniform(seed + u32::from(name.as_bytes()[0]), 0.0, 200.0);
            Term { name, of: case.input_line(name, ROWS, Dtype::F32, fill), each: 1 }
        });
        let reports = reports(&mut case.plan, &names);
        case.record(|tape| reduce(tape, &reports, &terms, true));
        // After the status.
        Sums { case, sums: vec![(reports.slots.values, 1..5)], terms: 0.0 }
    }));
    none(&faults);
}

/// Pixels on the levels of bytes.
fn pixels(case: &mut Case, seed: u32, [rows, cols]: [usize; 2]) -> Tensor {
    let level = |i: usize| (i * 89 + i / 5 + seed as usize * 31) % 256;
    let words = (0..rows * cols).map(|i| (level(i) as f32 / 255.0).to_bits()).collect();
    case.input("x", [rows, cols], Fill::Words(words))
}

#[test]
fn losses_of_an_image() {
    let mut faults = Vec::new();
    let gpu = gpu();
    for cols in [784, 3072, 12_288] {
        for family in Likelihood::ALL {
            let mut model =
                ModelConfig { likelihood: family, sigma: 0.7, ..ModelConfig::default() };
            model.levels = if family == Likelihood::Categorical { 16 } else { 256 };
            faults.extend(fault(
                &format!("{} of {cols} pixels", family.name()),
                (&gpu, SEEDS),
                [ALLOWED; 2],
                |seed| {
                    let mut case = Case::new("losses".to_owned(), 3);
                    let shape = [3, model.likelihood.outputs(&model) * cols];
                    let made = case.input("made", shape, Fill::Uniform(seed, -1.0, 1.0));
                    let x = pixels(&mut case, seed, [3, cols]);
                    let nll = case.plan.vector("nll", 3);
                    case.record(|tape| match family {
                        Likelihood::Bernoulli => bernoulli(tape, made, x, nll),
                        _ => likelihood(tape, &model, 1, (made, x), None, nll),
                    });
                    let terms = cols as f64 / 2.0;
                    Sums { case, sums: vec![(nll, 0..3)], terms }
                },
            ));
        }
    }
    none(&faults);
}

#[test]
fn the_gradient_of_one_scale() {
    let mut faults = Vec::new();
    let model = ModelConfig {
        likelihood: Likelihood::Normal,
        scale: Scale::Shared,
        ..ModelConfig::default()
    };
    faults.extend(fault("likelihood.sum", (&gpu(), FEW), [ALLOWED; 2], |seed| {
        let mut case = Case::new("scale".to_owned(), ROWS);
        // So far from the pixels that every slope has one sign.
        let made = case.input("made", [ROWS, 1], Fill::Uniform(seed, 4.0, 9.0));
        let x = pixels(&mut case, seed, [ROWS, 1]);
        let value = case.input_line("log_scale", 1, Dtype::F32, Fill::OnesBut(0, 0.0));
        let log_scale = Learned { value, grad: case.plan.vector("d log_scale", 1) };
        let nll = case.plan.vector("nll", ROWS);
        case.record(|tape| {
            likelihood(tape, &model, 1, (made, x), Some(log_scale), nll);
            tape.backward();
        });
        Sums { case, sums: vec![(log_scale.grad, 0..1)], terms: 0.0 }
    }));
    none(&faults);
}

#[test]
fn divergences() {
    let mut faults = Vec::new();
    let gpu = gpu();
    for latent in [20, 300, 2048] {
        faults.extend(fault(
            &format!("KL of {latent} dimensions"),
            (&gpu, SEEDS),
            OF_DIFFERENCES,
            |seed| {
                let mut case = Case::new("KL".to_owned(), 5);
                let h = case.input("h", [5, 2 * latent], Fill::Uniform(seed, -2.0, 2.0));
                let image = case.input_line("image", 5, Dtype::U32, Fill::RandomWords(7));
                let [eps, z] = ["eps", "z"].map(|name| case.plan.matrix(name, 5, latent));
                let kl = case.plan.vector("kl", 5);
                let noise = Noise::Drawn { image };
                case.record(|tape| gaussian(tape, noise, h, (eps, z, kl), Divergence::Whole));
                Sums { case, sums: vec![(kl, 0..5)], terms: 0.0 }
            },
        ));
    }
    for (rows, latent) in [(ROWS, 1), (50, 2048)] {
        faults.extend(fault(
            &format!("free bits, {rows} × {latent}"),
            (&gpu, SEEDS),
            OF_DIFFERENCES,
            |seed| {
                let mut case = Case::new("free bits".to_owned(), rows);
                let h = case.input("h", [rows, 2 * latent], Fill::Uniform(seed, -2.0, 2.0));
                let extra = case.plan.vector("extra", rows);
                // More than any dimension has, so that no sum is a difference.
                case.record(|tape| divergence(tape, Aim::FreeBits(1000.0), h, (extra, false)));
                let means = case.program.dispatches[0].bindings[1];
                Sums { case, sums: vec![(means, 0..latent), (extra, 0..rows)], terms: 0.0 }
            },
        ));
    }
    none(&faults);
}

#[test]
fn normalised_layers() {
    let mut faults = Vec::new();
    let gpu = gpu();
    for (rows, cols) in [(3, 784), (3, 12_288), (3, 65_600), (ROWS, 2)] {
        let seeds = if rows == ROWS { FEW } else { SEEDS };
        let name = format!("layer norm, {rows} × {cols}");
        faults.extend(fault(&name, (&gpu, seeds), [ALLOWED; 2], |seed| {
            let mut case = Case::new("layer norm".to_owned(), rows);
            let x = case.input("x", [rows, cols], Fill::Uniform(seed, -2.0, 3.0));
            let mut learned = |seed, name: &str| {
                let value = case.input_line(name, cols, Dtype::F32, Fill::Uniform(seed, 0.5, 1.5));
                Learned { value, grad: case.plan.vector(&format!("d{name}"), cols) }
            };
            let (gain, bias) = (learned(seed + 1, "gain"), learned(seed + 2, "bias"));
            let dy = case.input("dy", [rows, cols], Fill::Uniform(seed + 3, 0.0, 1.0));
            case.record(|tape| {
                let y = layer_norm(tape, "y", x, (gain, bias));
                tape.set_grad(y, dy);
                tape.backward();
            });
            let inverse = case.program.dispatches[0].bindings[4];
            let mut sums = vec![(bias.grad, 0..cols)];
            // Of two elements the variance is a difference.
            if cols > 2 {
                sums.push((inverse, 0..rows));
            }
            Sums { case, sums, terms: 0.0 }
        }));
    }
    none(&faults);
}

#[test]
fn the_norm_of_gradients() {
    let mut faults = Vec::new();
    let config = OptimizerConfig { clip_norm: 1.0, ..OptimizerConfig::default() };
    for len in [5000, 660_000] {
        faults.extend(fault(&format!("norm of {len}"), (&gpu(), SEEDS), [ALLOWED; 2], |seed| {
            let mut case = Case::new("norm".to_owned(), 1);
            case.record.rates = optimizer_rates(&config, 1e-3, 3);
            let [values, first, second] = ["w", "m", "v"].map(|name| case.plan.vector(name, len));
            let grads = case.input_line("g", len, Dtype::F32, Fill::Uniform(seed, -2.0, 2.0));
            let guard = finite::guard(&mut case.plan);
            let arena = Arena { values, grads, first, second };
            case.record(|tape| update(tape, &config, &[arena], guard));
            let clip = case.program.dispatches.iter().find(|d| d.kernel.name() == "optimizer.clip");
            let norms = clip.expect("the norm is clipped").bindings[2];
            Sums { case, sums: vec![(norms, 0..2)], terms: 0.0 }
        }));
    }
    none(&faults);
}
