//! What both languages know, constants and codes, is the same in both; needs no GPU.

use std::collections::BTreeSet;

use elbo::config::{
    Activation, Gradient, LOG_MEAN_BOUNDS, LOG_SCALE_BOUNDS, LOG_VAR_BOUNDS, Likelihood, Makes,
    Scale,
};
use elbo::engine::record::{self, rate};
use elbo::engine::report::SLOT;
use elbo::kernels::common;
use elbo::kernels::counts;
use elbo::kernels::gather::ONCE;
use elbo::kernels::gaussian::SAMPLE;
use elbo::kernels::philox::purpose;
use elbo::kernels::{ALL, finite, layer_norm, norm};
use naga::{Literal, Statement};

use crate::wgsl::{constant, parse};

/// The first schedule's source of a kernel.
fn source(name: &str) -> String {
    let kernel = ALL.iter().find(|kernel| kernel.name() == name);
    kernel.unwrap_or_else(|| panic!("no kernel {name}")).schedules()[0].wgsl()
}

fn assert_words(source: &str, expected: &[(&str, usize)]) {
    for &(name, value) in expected {
        let found = constant(source, name, "u32");
        assert_eq!(found, Literal::U32(value as u32), "{name} in the shader, and in Rust");
    }
}

fn assert_floats(source: &str, expected: &[(&str, f32)]) {
    for &(name, value) in expected {
        let found = constant(source, name, "f32");
        assert_eq!(found, Literal::F32(value), "{name} in the shader, and in Rust");
    }
}

#[test]
fn what_kernels_share_is_the_same_in_both_languages() {
    let source = include_str!("../../shaders/common.wgsl");
    let leak = -common::activate::<f64>(Activation::LeakyRelu, -1.0);
    assert_floats(source, &[("LEAK", leak as f32), ("SHRINK", norm::SHRINK as f32)]);
    assert_words(source, &[("WHOLE", record::WHOLE as usize)]);
    // Nothing that is added to the file is left out here.
    let declared = source.lines().filter_map(|line| line.strip_prefix("const "));
    let declared: Vec<_> = declared.filter_map(|rest| rest.split([' ', ':']).next()).collect();
    assert_eq!(
        declared,
        ["WHOLE", "LEAK", "LOWEST", "HIGHEST", "SHRINK"],
        "the constants of common.wgsl, and those compared"
    );
}

#[test]
fn rates_are_the_fields_of_their_names() {
    for (place, name) in [
        (rate::LOSS_SCALE, "loss_scale"),
        (rate::KL_WEIGHT, "kl_weight"),
        (rate::RATE, "rate"),
        (rate::BETA1, "beta1"),
        (rate::ONE_MINUS_BETA1, "one_minus_beta1"),
        (rate::BETA2, "beta2"),
        (rate::ONE_MINUS_BETA2, "one_minus_beta2"),
        (rate::STEP_SIZE, "step_size"),
        (rate::ROOT_CORRECTION, "root_correction"),
        (rate::EPSILON, "epsilon"),
        (rate::DECAY, "decay"),
        (rate::MOMENTUM, "momentum"),
        (rate::MAX_NORM, "max_norm"),
        (rate::LEARNING, "learning"),
        (rate::CAPACITY, "capacity"),
        (rate::ACCUMULATOR, "accumulator"),
        (rate::AVERAGING, "averaging"),
    ] {
        assert_eq!(record::FIELDS[record::WORDS + place], name, "the rate at {place}");
    }
}

#[test]
fn constants_of_single_kernels_are_the_same_in_both_languages() {
    let (lowest, highest) = LOG_VAR_BOUNDS;
    let gaussian = source("gaussian.draw");
    assert_floats(&gaussian, &[("LOWEST", lowest), ("HIGHEST", highest)]);
    assert_words(&gaussian, &[("SAMPLE", SAMPLE as usize)]);
    assert_words(
        &source("finite.check"),
        &[("LARGEST", (finite::LARGEST as f32).to_bits() as usize)],
    );
    let epsilon = layer_norm::EPSILON as f32;
    assert_floats(&source("layer_norm.forward"), &[("EPSILON", epsilon)]);
    let purposes = [
        ("NOISE", purpose::NOISE as usize),
        ("PIXELS", purpose::PIXELS as usize),
        ("ORDER", purpose::ORDER as usize),
        ("DROPOUT", purpose::DROPOUT as usize),
        ("CORRUPTION", purpose::CORRUPTION as usize),
        ("PIXELS_ONCE", purpose::PIXELS_ONCE as usize),
        ("AUGMENT", purpose::AUGMENT as usize),
    ];
    assert_words(&source("random.words"), &purposes);
    assert_words(&source("gather.bytes"), &[("ONCE", ONCE as usize)]);
    let pixelwise = source("likelihood.forward");
    let families = Likelihood::ALL.into_iter().filter(|&family| {
        // The others have kernels of their own, or are what happens by default.
        let own = family == Likelihood::Bernoulli || family.makes() == Makes::Components;
        !own && family != Likelihood::Logistic
    });
    for family in families {
        let name = family.name().replace('-', "_").to_uppercase();
        assert_words(&pixelwise, &[(&name, family.code() as usize)]);
    }
    assert_words(&pixelwise, &[("PIXEL", Scale::Pixel.code() as usize)]);
    let (lowest, highest) = LOG_SCALE_BOUNDS;
    assert_floats(&pixelwise, &[("LOWEST_SCALE", lowest), ("HIGHEST_SCALE", highest)]);
    let (lowest, highest) = LOG_MEAN_BOUNDS;
    assert_floats(&pixelwise, &[("LOWEST_MEAN", lowest), ("HIGHEST_MEAN", highest)]);
    assert_floats(&source("counts.shares"), &[("LEAST", counts::LEAST)]);
    let bound = [("STANDARD", Gradient::Standard), ("DREG", Gradient::Dreg)];
    for (name, gradient) in bound {
        assert_words(&gaussian, &[(name, gradient as usize)]);
    }
    assert_words(&source("reduce.terms"), &[("SLOT", SLOT)]);
}

/// The codes that a shader's function of an activation tells apart.
fn codes(function: &str) -> BTreeSet<u32> {
    let module = parse(function, include_str!("../../shaders/common.wgsl"));
    let mut functions = module.functions.iter();
    let (_, body) = functions
        .find(|(_, f)| f.name.as_deref() == Some(function))
        .unwrap_or_else(|| panic!("no function {function}"));
    let cases = body.body.iter().find_map(|statement| match statement {
        Statement::Switch { cases, .. } => Some(cases),
        _ => None,
    });
    let cases = cases.unwrap_or_else(|| panic!("{function} has no switch")).iter();
    let code = |case: &naga::SwitchCase| match case.value {
        naga::SwitchValue::U32(code) => Some(code),
        _ => None,
    };
    cases.filter_map(code).collect()
}

#[test]
fn likelihoods_have_their_codes() {
    for (place, family) in Likelihood::ALL.into_iter().enumerate() {
        assert_eq!(family.code() as usize, place, "the code of {}, and its place", family.name());
    }
}

#[test]
fn activations_have_their_codes() {
    for (place, kind) in Activation::ALL.into_iter().enumerate() {
        assert_eq!(kind.code() as usize, place, "the code of {}, and its place", kind.name());
    }
    // The identity is what happens by default.
    let kinds = || Activation::ALL.into_iter().filter(|&kind| kind != Activation::Identity);
    let all: BTreeSet<_> = kinds().map(Activation::code).collect();
    assert_eq!(codes("activate"), all, "the codes in `activate`, and all of them");
    let sloped = kinds().filter(|kind| kind.slope_from_output());
    let sloped: BTreeSet<_> = sloped.map(Activation::code).collect();
    assert_eq!(codes("slope_at_output"), sloped, "the codes in `slope_at_output`");
}
