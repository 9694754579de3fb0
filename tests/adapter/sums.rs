//! Sums lose few digits however long they are, in f32, by the CPU session and on a device.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use std::ops::Range;

use elbo::config::{Blocks, Likelihood, ModelConfig, Scale};
use elbo::cpu;
use elbo::engine::{Dtype, GradSite, Tensor};
use elbo::gpu::{self, Gpu};
use elbo::kernels::bernoulli::bernoulli;
use elbo::kernels::case::{Case, Fill};
use elbo::kernels::likelihood::{Observed, likelihood};
use elbo::kernels::reduce::{Term, reduce, reports};

use crate::common::gpu;

/// How far from itself a sum may be: three roundings of f32.
const ALLOWED: f64 = 2e-7;

/// Of each sum the worst of so many random fillings counts.
const SEEDS: u32 = 20;

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
fn fault(name: &str, gpu: &Gpu, allowed: [f64; 2], of: impl Fn(u32) -> Sums) -> Option<String> {
    let mut worst = [0.0_f64; 2];
    for seed in 0..SEEDS {
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
    faults.extend(fault("reduce.terms", &gpu(), [ALLOWED; 2], |seed| {
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

/// Pixels on the levels of bytes, or counts.
fn pixels(case: &mut Case, seed: u32, [rows, cols]: [usize; 2], counts: bool) -> Tensor {
    let level = |i: usize| (i * 89 + i / 5 + seed as usize * 31) % 256;
    let value = |i: usize| if counts { (level(i) / 32) as f32 } else { level(i) as f32 / 255.0 };
    let words = (0..rows * cols).map(|i| value(i).to_bits()).collect();
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
                &gpu,
                [ALLOWED; 2],
                |seed| {
                    let mut case = Case::new("losses".to_owned(), 3);
                    let blocks = Blocks::of(&model, cols, 3);
                    let made =
                        case.input("made", [3, blocks.numbers()], Fill::Uniform(seed, -1.0, 1.0));
                    let x = pixels(&mut case, seed, [3, cols], family.is_of_counts());
                    let nll = case.plan.vector("nll", 3);
                    case.record(|tape| match family {
                        Likelihood::Bernoulli => bernoulli(tape, made, x, nll),
                        _ => {
                            likelihood(tape, &model, 1, Observed { made, blocks, x, nll }, None);
                        }
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
    faults.extend(fault("likelihood.sum", &gpu(), [ALLOWED; 2], |seed| {
        let mut case = Case::new("scale".to_owned(), ROWS);
        let made = case.plan.matrix("made", ROWS, 1);
        let x = case.plan.matrix("x", ROWS, 1);
        let scale = case.input_line("log_scale", 1, Dtype::F32, Fill::OnesBut(0, 0.0));
        let nll = case.plan.vector("nll", ROWS);
        let whole = case.record(|tape| {
            likelihood(
                tape,
                &model,
                1,
                Observed { made, blocks: Blocks::of(&model, x.cols(), 1), x, nll },
                Some(scale),
            );
            tape.backward();
            tape.grad(scale, GradSite::Output).expect("the rows' sum")
        });
        // The sum alone: the rows' slopes are given, and all of one sign.
        case.program.dispatches.retain(|dispatch| dispatch.kernel.name() == "likelihood.sum");
        let each = case.program.dispatches[0].bindings[0];
        case.inputs.push((each, Fill::Uniform(seed, -80.0, -10.0)));
        Sums { case, sums: vec![(whole, 0..1)], terms: 0.0 }
    }));
    none(&faults);
}
