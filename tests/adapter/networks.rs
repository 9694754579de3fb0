//! Networks of any shape: layer normalisation and dropout by PyTorch's numbers, whole steps and
//! gradients, and first values by their closed forms. Needs an adapter.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use elbo::config::{Activation, Config, Init, Layers, Likelihood, OutputBias};
use elbo::engine::{Fusion, rate};
use elbo::model::{DataSpec, TrainingNoise, Use, Vae};
use elbo::session::Device;
use elbo::train::first_values;
use elbo::{Dataset, Trainer};

use crate::common::golden::Golden;
use crate::common::{Bench, cut, distance, gpu, gradients_hold, small, steps_hold};

type Step = Fusion;

/// Takes the steps of a network of `layer_norm.py`: the largest distance of losses, gradients and
/// weights.
fn apart(network: &str, config: &Config, steps: u64, device: Option<&Device>, step: Step) -> f64 {
    let (golden, mut worst) = (Golden::read("layer_norm.safetensors"), 0.0_f64);
    let at = |key: &str| format!("{network}/{key}");
    let images: Vec<u8> =
        (1..=steps).flat_map(|step| golden.bytes(&at(&format!("images{step}")))).collect();
    let noise = TrainingNoise::Given;
    let mut bench = Bench::with_step(config, (&images, 37), noise, device, step);
    bench.write_all(|key, _| golden.floats(&at(&format!("start.{key}"))));
    for t in 1..=steps {
        let eps = bench.vae.ports.eps;
        bench.session.write(eps, &golden.floats(&at(&format!("eps{t}"))));
        let [recon, kl] = bench.step(bench.record(t));
        if t == 1 {
            for (key, sum) in [("recon", recon), ("kl", kl)] {
                let expected: f64 = golden.floats(&at(key)).iter().sum();
                worst = worst.max((sum - expected).abs() / expected);
            }
            // The first moment, (1 − β₁) g, tells the gradient however the step is fused.
            let share = 1.0 - config.optimizer.beta1;
            for (key, first) in bench.read_all(|parameter| parameter.first) {
                let expected = golden.floats(&at(&format!("grad.{key}")));
                let gradient: Vec<_> = first.iter().map(|first| first / share).collect();
                worst = worst.max(distance(&gradient, &expected));
            }
        }
    }
    for (key, weights) in bench.read_all(|parameter| parameter.value) {
        if steps > 1 {
            let expected = golden.floats(&at(&format!("after{steps}.{key}")));
            worst = worst.max(distance(&weights, &expected));
        }
    }
    worst
}

#[test]
fn layer_norm_equals_pytorch() {
    let mut wide = Config::default();
    (wide.model.encoder, wide.model.decoder) = ([19].into(), [19].into());
    (wide.model.latent, wide.train.batch_size, wide.model.layer_norm) = (3, 7, true);
    let mut deep = wide.clone();
    (deep.model.encoder, deep.model.decoder) = ([11, 9].into(), [8].into());
    deep.model.activation = Activation::Sigmoid;
    for (network, config, steps) in [("wide", &wide, 10), ("deep", &deep, 1)] {
        let gpu = Device::Gpu(gpu());
        let ways: [(_, Option<&Device>, Step, f64); 4] = [
            ("oracle", None, Fusion::Nothing, 1e-9),
            ("cpu", Some(&Device::Cpu(2)), Fusion::Updates, 1e-5),
            ("gpu as recorded", Some(&gpu), Fusion::Nothing, 1e-5),
            ("gpu", Some(&gpu), Fusion::All, 1e-5),
        ];
        for (way, device, step, allowed) in ways {
            let apart = apart(network, config, steps, device, step);
            println!("{network}, {way}: {apart:.1e} from PyTorch");
            assert!(apart <= allowed, "{network}, {way}: {apart:e} apart, {allowed:e} allowed");
        }
    }
}

/// A list of layers as a configuration writes it.
fn layers(text: &str) -> Layers {
    let config = Config::from_toml(&format!("model.encoder = [{text}]")).expect("layers");
    config.model.encoder
}

/// Numbers mean layers that can also be written one by one: the same steps to the last bit, but under
/// other names.
#[test]
fn numbers_are_short_for_layers() {
    let mut short = small();
    (short.model.encoder, short.model.decoder) = ([19, 7].into(), [9].into());
    short.model.activation = Activation::Gelu;
    (short.model.layer_norm, short.model.dropout) = (true, 0.3);
    let mut long = small();
    let rest = "'norm', 'gelu', 'dropout 0.3'";
    long.model.encoder = layers(&format!("'linear 19', {rest}, 'linear 7', {rest}"));
    long.model.decoder = layers(&format!("'linear 9', {rest}"));
    let images = Dataset::from_bytes([1, 37], cut(40, 37)).expect("images");
    for device in [Device::Cpu(1), Device::Gpu(gpu())] {
        let [short, long] = [&short, &long].map(|config| {
            let mut trainer = Trainer::new(&device, config, &images, &images).expect("a trainer");
            trainer.advance(7).expect("steps");
            let losses = trainer.finish().expect("losses");
            let state = trainer.state().expect("a state");
            let bits = state
                .tensors
                .iter()
                .map(|t| t.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
            let mut bits: Vec<_> = bits.collect();
            bits.sort();
            (losses, bits, state.tensors.iter().map(|t| t.key.clone()).collect::<Vec<_>>())
        });
        assert_eq!(short.0, long.0, "{}: losses", device.name());
        assert!(short.1 == long.1, "{}: weights and moments", device.name());
        for (keys, has, lacks) in [
            (&short.2, "encoder.1.norm.weight", "encoder.4.weight"),
            (&long.2, "encoder.4.weight", "encoder.1.norm.weight"),
        ] {
            let known = |name: &str| keys.iter().any(|key| key == name);
            assert!(known(has) && !known(lacks), "{has} and not {lacks} in {keys:?}");
        }
        assert!(long.2.iter().any(|key| key == "decoder.4.bias"), "the last layer's place");
    }
}

#[test]
fn layers_that_do_not_fit_are_refused_with_their_place() {
    let mut config = small();
    config.model.decoder = layers("5, 'linear 1', 'norm'");
    config.validate().expect("each layer by itself is sound");
    let spec = DataSpec { images: 40, size: [1, 37].into(), bytes: true, window: None };
    let error = Vae::new(&config, spec, spec).expect_err("one number alone");
    assert!(
        error.to_string().starts_with("`decoder.2`, the layer `norm`, takes 1 × 1 × 1"),
        "{error}"
    );
    assert!(error.advice().is_some(), "{error} has a hint");
}

/// Networks of every depth, with all that a layer may have. Where biases start at zero, a blank image is
/// a row without variance in every layer, whose gradient grows by 1/√ε, 316, in each: few layers, then.
#[test]
fn models_of_any_shape_hold() {
    let gpu = gpu();
    let shape = |encoder: &[usize], decoder: &[usize], change: fn(&mut Config)| {
        let mut config = small();
        (config.model.encoder, config.model.decoder) =
            (encoder.to_vec().into(), decoder.to_vec().into());
        change(&mut config);
        config
    };
    let both = |c: &mut Config| (c.model.layer_norm, c.model.dropout) = (true, 0.3);
    let models = [
        ("no layers", shape(&[], &[], |c| c.model.init = Init::Glorot)),
        ("a decoder alone", shape(&[], &[17], both)),
        (
            "an encoder alone, gelu",
            shape(&[18], &[], |c| {
                (c.model.layer_norm, c.model.activation) = (true, Activation::Gelu);
            }),
        ),
        (
            "five layers, tanh",
            shape(&[31, 7, 20, 16, 9], &[9, 16, 5, 33, 21], |c| {
                (c.model.layer_norm, c.model.dropout) = (true, 0.2);
                c.model.activation = Activation::Tanh;
            }),
        ),
        (
            "mixed widths, softplus",
            shape(&[3, 65], &[40, 3, 18], |c| {
                (c.model.layer_norm, c.model.dropout) = (true, 0.5);
                (c.model.activation, c.model.likelihood) =
                    (Activation::Softplus, Likelihood::Normal);
            }),
        ),
        ("dropout of relu", shape(&[23], &[23], |c| c.model.dropout = 0.4)),
        (
            "dropout of silu",
            shape(&[23], &[23], |c| {
                (c.model.dropout, c.model.activation) = (0.4, Activation::Silu);
                c.model.init = Init::He;
            }),
        ),
        (
            "norm of identity",
            shape(&[23], &[23], |c| {
                (c.model.layer_norm, c.model.activation) = (true, Activation::Identity);
                c.optimizer.clip_norm = 0.5;
            }),
        ),
    ];
    let written = ("layers in any order", {
        let mut config = small();
        config.model.encoder =
            layers("'norm', 'dropout 0.2', 'linear 18', 'relu', 'tanh', 'norm', 11");
        config.model.decoder = layers("'silu', 'linear 9', 'dropout 0.3', 'dropout 0.1', 7");
        (config.model.activation, config.model.classes) = (Activation::Gelu, 3);
        config
    });
    for (name, config) in models.into_iter().chain([written]) {
        steps_hold(name, &config, &gpu);
        let worst = gradients_hold(name, &config);
        println!("{name}: at most {worst:.1e} of the largest entry from central differences");
    }
}

/// The first values of all weights and of all biases of a model of 200-150-40 and back through 90.
fn started(change: impl Fn(&mut Config)) -> Vec<(String, [usize; 2], Vec<f64>)> {
    let mut config = Config::default();
    (config.model.encoder, config.model.decoder) = ([150].into(), [90].into());
    (config.model.latent, config.train.batch_size) = (40, 4);
    change(&mut config);
    let spec = DataSpec { images: 4, size: [1, 200].into(), bytes: true, window: None };
    let vae = Vae::new(&config, spec, spec).expect("a valid configuration");
    let first = first_values(&vae, 11).into_iter().zip(vae.parameters.list());
    let all = first.flat_map(|((tensor, values), parameter)| {
        assert_eq!(tensor, parameter.value, "in the parameters' order");
        let cols = if parameter.is_vector() { 1 } else { tensor.cols() };
        let values: Vec<_> = values.into_iter().map(f64::from).collect();
        let part = |first: usize, rows: usize| values[first * cols..][..rows * cols].to_vec();
        let exports = parameter.exports.iter();
        exports.map(|e| (e.key.clone(), [e.rows, cols], part(e.first, e.rows))).collect::<Vec<_>>()
    });
    all.collect()
}

/// Mean, variance and bounds of each init are those of its formula; n inputs and m outputs are those of
/// the layers in files, of which mean and log-variance are two.
#[test]
fn first_values_have_their_moments() {
    // Whether it is uniform, and the variance.
    type Formula = (bool, fn(f64, f64) -> f64);
    let inits: [(Init, Formula); 4] = [
        (Init::Pytorch, (true, |n, _| 1.0 / (3.0 * n))),
        (Init::Glorot, (true, |n, m| 2.0 / (n + m))),
        (Init::He, (false, |n, _| 2.0 / n)),
        (Init::Normal, (false, |_, _| 0.05 * 0.05)),
    ];
    for (init, (uniform, variance)) in inits {
        let values = started(|config| {
            config.model.init = init;
            config.model.init_deviation = if init == Init::Normal { 0.05 } else { 0.01 };
        });
        let mut weights = 0;
        for (name, [m, n], values) in &values {
            let at = format!("{init:?}, {name}");
            if name.ends_with("bias") {
                let zero = values.iter().all(|&value| value == 0.0);
                assert_eq!(zero, init != Init::Pytorch, "{at}: biases of zero");
                continue;
            }
            weights += 1;
            let (count, expected) = ((m * n) as f64, variance(*n as f64, *m as f64));
            let mean = values.iter().sum::<f64>() / count;
            let squares = values.iter().map(|v| v * v).sum::<f64>() / count;
            // Four standard errors; the fourth moment is 9/5 of σ⁴ where uniform, else 3.
            let spread = if uniform { 0.8_f64 } else { 2.0 };
            let (of_mean, of_squares) =
                ((expected / count).sqrt(), expected * (spread / count).sqrt());
            assert!(mean.abs() < 4.0 * of_mean, "{at}: the mean is {mean}");
            let off = (squares - expected).abs();
            assert!(off < 4.0 * of_squares, "{at}: the variance is {squares}, not {expected}");
            let largest = values.iter().fold(0.0_f64, |most, v| most.max(v.abs()));
            let bound = (3.0 * expected).sqrt();
            // Of thousands of values the largest is near a uniform bound, and far past it if normal.
            let near = (0.99 * bound..=bound * (1.0 + 1e-6)).contains(&largest);
            assert!(if uniform { near } else { largest > 1.5 * bound }, "{at}: up to {largest}");
        }
        assert_eq!(weights, 5, "fc1, fc21, fc22, fc3 and fc4");
    }
}

#[test]
fn norms_start_as_they_change_nothing() {
    let values = started(|config| config.model.layer_norm = true);
    for layer in ["fc1", "fc3"] {
        for (kind, first) in [("weight", 1.0), ("bias", 0.0)] {
            let name = format!("{layer}.norm.{kind}");
            let (_, _, found) = values.iter().find(|(key, ..)| *key == name).expect("its name");
            assert!(found.iter().all(|&value| value == first), "{name} is {first}");
        }
    }
}

/// With weights of nearly zero the decoder makes the mean image of any z.
#[test]
fn the_output_starts_at_the_data_s_mean() {
    let bytes = cut(300, 37);
    let count = bytes.len() / 37;
    let floats: Vec<f32> = bytes.iter().map(|&b| 3.0 * f32::from(b) / 255.0 - 1.0).collect();
    let mean = |pixel: usize, value: &dyn Fn(usize) -> f64| {
        (0..count).map(|image| value(37 * image + pixel)).sum::<f64>() / count as f64
    };
    let datasets = [
        (Likelihood::Bernoulli, Dataset::from_bytes([1, 37], bytes.clone())),
        (Likelihood::ContinuousBernoulli, Dataset::from_bytes([1, 37], bytes.clone())),
        (Likelihood::Normal, Dataset::from_floats([1, 37], floats.clone())),
    ];
    for (likelihood, data) in datasets {
        let data = data.expect("images");
        let mut config = small();
        (config.model.init, config.model.init_deviation) = (Init::Normal, 1e-8);
        (config.model.likelihood, config.model.output_bias) = (likelihood, OutputBias::DataMean);
        let mut trainer = Trainer::new(&Device::Cpu(1), &config, &data, &data).expect("a model");
        let samples = trainer.model().expect("it works").sample(2, 1.0).expect("samples");
        let mut blank = 0;
        for (i, &found) in samples.iter().enumerate() {
            let expected = match likelihood {
                Likelihood::Bernoulli | Likelihood::ContinuousBernoulli => {
                    let mean = mean(i % 37, &|at| f64::from(bytes[at]) / 255.0);
                    blank += usize::from(mean < 0.001);
                    mean.clamp(0.001, 0.999)
                }
                _ => mean(i % 37, &|at| f64::from(floats[at])),
            };
            let apart = (f64::from(found) - expected).abs();
            assert!(apart < 1e-6, "{likelihood:?}, pixel {i}: {found}, the mean is {expected}");
        }
        let clipped = likelihood != Likelihood::Normal;
        assert_eq!(blank > 0, clipped, "some pixels are always black, and were clipped");
    }
}

/// What a step leaves out of a layer: drawn anew for each layer and step, none where it only looks.
#[test]
fn a_step_leaves_out_the_share_that_was_asked_for() {
    let mut config = small();
    (config.model.encoder, config.model.decoder) = ([400].into(), [400].into());
    (config.model.dropout, config.model.activation) = (0.3, Activation::Sigmoid);
    let images = cut(300, 37);
    let mut bench = Bench::new(&config, (&images, 37), TrainingNoise::Drawn, None);
    bench.start(3);
    let step = bench.vae.program(Use::Step(Fusion::Nothing)).expect("a program").clone();
    let mut masks = Vec::new();
    for t in 1..=2 {
        let record = bench.record(t);
        let _ = bench.step(record);
        for layer in ["fc1", "fc3"] {
            let find = |name: &str| {
                let mut all = step.dispatches.iter().flat_map(|d| &d.bindings);
                *all.find(|&&tensor| bench.vae.plan.name(tensor) == name).expect("a tensor")
            };
            let (before, after) = (find(layer), find(&format!("{layer}.dropout")));
            let (before, after) = (bench.session.read(before), bench.session.read(after));
            // A sigmoid is never zero.
            let kept: Vec<_> = after.iter().map(|&value| value != 0.0).collect();
            for ((before, after), kept) in before.iter().zip(&after).zip(&kept) {
                let right = (after - before / 0.7).abs() < 1e-6 * before;
                assert!(!kept || right, "{before} became {after}");
            }
            masks.push(kept);
        }
    }
    // Four standard errors of 4,800 coins.
    let share =
        |values: &mut dyn Iterator<Item = bool>| values.filter(|&v| v).count() as f64 / 4800.0;
    let error = |p: f64| 4.0 * (p * (1.0 - p) / 4800.0).sqrt();
    for (i, mask) in masks.iter().enumerate() {
        let kept = share(&mut mask.iter().copied());
        assert!((kept - 0.7).abs() < error(0.7), "{kept} were kept in {i}");
        for other in &masks[..i] {
            let same = share(&mut mask.iter().zip(other).map(|(a, b)| a == b));
            assert!((same - 0.58).abs() < error(0.58), "{same} of two masks are the same");
        }
    }
}

/// A look leaves nothing out: it finds what a model without dropout finds.
#[test]
fn only_learning_leaves_out() {
    let images = cut(300, 37);
    let objective = |dropout, learning| {
        let mut config = small();
        config.model.dropout = dropout;
        let mut bench = Bench::new(&config, (&images, 37), TrainingNoise::Drawn, None);
        bench.start(3);
        let mut record = bench.record(1);
        record.rates[rate::LEARNING] = learning;
        bench.objective(record)
    };
    assert_eq!(objective(0.3, 0.0), objective(0.0, 0.0), "where a program only looks");
    assert_ne!(objective(0.3, 1.0), objective(0.0, 1.0), "in a training step");
}
