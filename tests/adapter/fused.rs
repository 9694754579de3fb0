//! A fused step is the recorded step in fewer dispatches: the same numbers, on every device.

use elbo::config::{Activation, Config, Likelihood, Pixels, Rule};
use elbo::engine::{Fusion, Parameter};
use elbo::model::{DataSpec, TrainingNoise, Use, Vae};

use crate::common::{Bench, cut, gpu, mnist_bytes, small, steps_hold};

#[test]
fn a_step_has_few_dispatches() {
    let images = mnist_bytes(128);
    let bench = |config: &Config| Bench::new(config, (&images, 784), TrainingNoise::Drawn, None);
    let mut classic = bench(&Config::default()).vae;
    let count = classic.parameters.count();
    let step = classic.program(Use::Step(Fusion::Nothing)).expect("a program");
    assert_eq!(step.dispatches.len(), 18, "dispatches of the classic step");
    assert_eq!(step.barriers(), 16, "barriers of the classic step");
    assert_eq!(step.depth(), 14, "dispatches that wait for one another");
    assert_eq!(count, 652_824, "parameters of the classic model");
    // What nothing in a step waits for is no link of the chain.
    let names: Vec<_> = step.dispatches.iter().map(|dispatch| dispatch.kernel.name()).collect();
    let end = ["reduce.terms", "finite.check", "optimizer.adam"];
    assert_eq!(names[15..], end, "the end of the classic step");
}

#[test]
fn a_fused_step_has_few_dependent_dispatches() {
    let images = mnist_bytes(128);
    let mut bench = Bench::new(&Config::default(), (&images, 784), TrainingNoise::Drawn, None);
    let step = bench.vae.program(Use::Step(Fusion::All)).expect("a program");
    let names: Vec<_> = step.dispatches.iter().map(|d| d.kernel.name()).collect();
    let expected = [
        "matmul.forward_bytes",
        "matmul.draw",
        "matmul.forward",
        "matmul.bernoulli_bytes",
        "matmul.backward_x",
        "matmul.backward_draw",
        "matmul.backward_x",
        "reduce.terms",
        "matmul.adam",
        "matmul.adam",
        "matmul.adam",
        "matmul.adam_bytes",
    ];
    assert_eq!(names, expected, "the classic step, fused");
    assert_eq!(step.depth(), 8, "dispatches that wait for one another");
    assert_eq!(step.barriers(), 11, "barriers of the fused classic step");
}

/// Small models of every kind, with the dispatches that each takes when it is fused as far as it
/// can be.
fn kinds() -> Vec<(&'static str, Config, usize)> {
    let kind = |name, change: fn(&mut Config), dispatches| {
        let mut config = small();
        change(&mut config);
        (name, config, dispatches)
    };
    vec![
        kind("classic", |_| (), 12),
        // An activation whose slope is taken at its input is a dispatch of its own.
        kind("gelu", |c| c.model.activation = Activation::Gelu, 16),
        kind(
            "deep",
            |c| (c.model.encoder, c.model.decoder) = ([31, 17, 9].into(), [9, 33].into()),
            21,
        ),
        // Its one product draws, and cannot gather as well.
        kind("shallow", |c| (c.model.encoder, c.model.decoder) = ([].into(), [].into()), 7),
        kind("normal", |c| c.model.likelihood = Likelihood::Normal, 14),
        kind("binarised", |c| c.train.pixels = Pixels::Binarised, 13),
        kind("adamw", |c| (c.optimizer.rule, c.optimizer.weight_decay) = (Rule::Adamw, 0.1), 12),
        kind("sgd", |c| c.optimizer.rule = Rule::Sgd, 15),
        kind("clipped", |c| c.optimizer.clip_norm = 0.1, 17),
        // Two of each weight and each bias in the place of the two of clipping.
        kind("normalised gradients", |c| c.optimizer.normalise = true, 35),
    ]
}

#[test]
fn a_fused_step_of_every_kind_of_model_equals_the_recorded_one() {
    let (images, gpu) = (cut(300, 37), gpu());
    for (name, config, dispatches) in kinds() {
        let mut bench = Bench::new(&config, (&images, 37), TrainingNoise::Drawn, None);
        let count = bench.vae.program(Use::Step(Fusion::All)).expect("a program").dispatches.len();
        assert_eq!(count, dispatches, "dispatches of {name}, fused");
        steps_hold(name, &config, &gpu);
    }
}

/// Layers that fill more than one arena: a bias lies behind its weight all the same, so that one dispatch
/// updates both.
#[test]
fn a_bias_lies_behind_its_weight() {
    let mut config = Config::default();
    config.model.encoder = [1024, 31_952].into();
    let data = DataSpec { images: 128, size: [1, 784].into(), bytes: true, window: None };
    let mut vae = Vae::new(&config, data, data).expect("a plan of large layers");
    let list = vae.parameters.list();
    let buffers: Vec<_> = list.iter().map(|p| p.value.buffer()).collect();
    assert!(buffers.iter().any(|&other| other != buffers[0]), "one arena does not hold them");
    let together = |p: &[Parameter]| p[0].value.buffer() == p[1].value.buffer();
    assert!(list.chunks(2).all(together), "a weight and its bias lie together");
    let step = &vae.program(Use::Step(Fusion::All)).expect("a program").dispatches;
    let apart = step.iter().filter(|d| d.kernel.name() == "optimizer.adam").count();
    assert_eq!(apart, 0, "updates by gradients that were stored");
}

/// Gradients that are made in blocks of rows are stored; the update comes after them.
#[test]
fn sums_over_more_rows_than_a_block_are_stored() {
    let data = DataSpec { images: 6000, size: [1, 37].into(), bytes: true, window: None };
    let of = |batch: usize| {
        let mut config = small();
        config.train.batch_size = batch;
        let mut vae = Vae::new(&config, data, data).expect("a small plan");
        let step = &vae.program(Use::Step(Fusion::All)).expect("a step").dispatches;
        ["matmul.backward_w", "optimizer.adam", "matmul.adam", "matmul.adam_bytes"]
            .map(|name| step.iter().filter(|d| d.kernel.name() == name).count())
    };
    assert_eq!(of(2048), [0, 0, 3, 1], "one block of rows");
    assert_eq!(of(2049), [8, 1, 0, 0], "two blocks");
    assert_eq!(of(4096), [8, 1, 0, 0], "two whole blocks");
    assert_eq!(of(4097), [12, 1, 0, 0], "three blocks");
}
