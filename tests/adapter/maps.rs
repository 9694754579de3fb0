//! Networks with convolutions: by PyTorch's numbers, whole steps, gradients, files and first values. Needs an adapter.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use elbo::config::{Config, ImageSize, Init, Layers, Likelihood, OutputBias, Rule, Scale};
use elbo::engine::Fusion;
use elbo::model::{DataSpec, TrainingNoise, Use, Vae};
use elbo::session::Device;
use elbo::train::first_values;
use elbo::{Dataset, Trainer};

use crate::common::golden::Golden;
use crate::common::{
    Bench, distance, gpu, gradients_of_images_hold, mnist_bytes, small, steps_of_images_hold,
};

/// A list of layers as a configuration writes it.
fn layers(text: &str) -> Layers {
    let config = Config::from_toml(&format!("model.encoder = [{text}]")).expect("layers");
    config.model.encoder
}

/// A model of few layers.
pub(crate) fn model(encoder: &str, decoder: &str, change: fn(&mut Config)) -> Config {
    let mut config = small();
    (config.model.encoder, config.model.decoder) = (layers(encoder), layers(decoder));
    change(&mut config);
    config
}

/// 40 images of 8 × 8, the middle of those of MNIST; a pixel's channels are the same pixel of as many images.
pub(crate) fn images(channels: usize) -> (Vec<u8>, ImageSize) {
    let bytes = mnist_bytes(40 * channels);
    let mut cut = Vec::new();
    for image in 0..40 {
        for place in 0..64 {
            let at = (10 + place / 8) * 28 + 10 + place % 8;
            let of = |channel| bytes[(image * channels + channel) * 784 + at];
            cut.extend((0..channels).map(of));
        }
    }
    (cut, [8, 8, channels].into())
}

const TWICE: &str = "'conv 5 3x3 stride 2', 'relu', 16";
const BACK: &str = "'linear 32', 'tanh', 'map 4x4x2', 'conv 3 3x3', 'silu', 24";
const TO_THE_END: &str =
    "'linear 128', 'relu', 'map 8x8x2', 'conv 3 2x2 pad 1', 'conv 4 2 pad 0', 'relu'";

fn models() -> Vec<(&'static str, usize, Config)> {
    vec![
        ("convolutions in between", 1, model(TWICE, BACK, |_| ())),
        ("a convolution at the end", 1, model(TWICE, TO_THE_END, |_| ())),
        (
            "no layer after a convolution",
            1,
            model("'conv 3 4 stride 4 pad 0'", "'map 1x5x1', 'conv 2 1x3 pad 0'", |_| ()),
        ),
        (
            "a learned scale",
            1,
            model(TWICE, TO_THE_END, |c| {
                (c.model.likelihood, c.model.scale) = (Likelihood::Normal, Scale::Pixel);
            }),
        ),
        ("three z of an image", 1, model(TWICE, TO_THE_END, |c| c.objective.importance = 3)),
        ("colour", 3, model(TWICE, TO_THE_END, |c| c.model.likelihood = Likelihood::Logistic)),
        (
            "colour of two numbers, clipped",
            3,
            model("'gelu', 'conv 17 3', 'gelu', 'conv 2 8 pad 0'", TO_THE_END, |c| {
                (c.model.likelihood, c.model.scale) = (Likelihood::Laplace, Scale::Pixel);
                c.optimizer.clip_norm = 0.5;
            }),
        ),
        (
            "what takes maps as rows",
            1,
            model(
                "'conv 3 3', 'norm', 'relu', 'conv 2 3 stride 3', 'dropout 0.3'",
                "'map 1x5x1', 'dropout 0.1', 'conv 3 1x3 pad 0', 'norm', 9",
                |_| (),
            ),
        ),
        (
            "classes, places that are repeated",
            1,
            model(
                "16",
                "12, 'map 2x2x3', 'conv 3 3x3 upsample 2', 'relu', 'conv 2 3 upsample 2'",
                |c| c.model.classes = 3,
            ),
        ),
    ]
}

fn models_with_blocks() -> Vec<(&'static str, usize, Config)> {
    vec![
        (
            "blocks, groups and means",
            1,
            model(
                "'conv 4 3x3', {residual = ['group-norm 2', 'relu', 'conv 4 3x3', 'gelu', 'conv 4 3x3']}, 'relu', \
                 'pool 3', {residual = ['conv 6 3x3'], shortcut = ['conv 6 1x1']}, 'silu'",
                "8, {residual = [8]}, 'linear 32', 'map 4x4x2', 'pool 2', {residual = ['conv 2 3', 'relu']}, \
                 {residual = ['conv 2 3', 'group-norm 1']}, 'tanh'",
                |_| (),
            ),
        ),
        (
            "attention",
            1,
            model(
                "'conv 4 4 stride 2', {residual = ['group-norm 2', 'attention 2']}, 'tanh', 8",
                "'linear 32', 'map 4x4x2', 'attention 1', 'relu', {residual = ['attention 2'], shortcut = ['conv 2 3']}",
                // Adam would make steps of the roundings by which the biases of keys learn.
                |c| c.optimizer.rule = Rule::Sgd,
            ),
        ),
        (
            "blocks within blocks, of the image itself",
            1,
            model(
                "{residual = ['dropout 0.2', 'conv 1 3']}, {residual = [{residual = ['conv 1 5']}, 'conv 1 3']}, \
                 'gelu'",
                "'linear 48', 'map 4x4x3', {residual = [{residual = ['relu', 'conv 3 3']}, 'relu', 'conv 3 1']}, \
                 'conv 3 3x3 upsample 2', 'relu'",
                |c| c.objective.samples = 2,
            ),
        ),
    ]
}

#[test]
fn models_with_convolutions_hold() {
    let gpu = gpu();
    for (name, channels, config) in models().into_iter().chain(models_with_blocks()) {
        let (bytes, size) = images(channels);
        steps_of_images_hold(name, &config, &gpu, (&bytes, size));
        let worst = gradients_of_images_hold(name, &config, (&bytes, size));
        println!("{name}: at most {worst:.1e} of the largest entry from central differences");
    }
}

/// The networks of `conv_vae.py` by the names of their files, as there.
const NETS: [(&str, &str, &str); 2] = [
    (
        "conv_vae",
        "'conv 4 3x3 stride 2', 'relu', 'conv 5 3x2 pad 0', 'relu'",
        "'linear 126', 'relu', 'map 6x7x3'",
    ),
    (
        "block_vae",
        "'conv 8 3x3', {residual = ['group-norm 2', 'relu', 'conv 4 1x1', 'gelu', 'conv 8 3x3']}, 'tanh', 'pool 2', \
         {residual = ['group-norm 4', 'attention 2']}, \
         {residual = ['conv 6 3x3 stride 2'], shortcut = ['conv 6 1x1 stride 2']}, 'silu'",
        "'linear 126', 'relu', 'map 6x7x3', {residual = ['group-norm 1', 'relu', 'conv 3 3x3']}",
    ),
];

/// Takes the steps of `conv_vae.py`: the largest distances of the first losses and gradients, and of losses and weights
/// after 1, 10 and 100.
fn apart(
    (name, encoder, decoder): (&str, &str, &str),
    device: Option<&Device>,
    step: Fusion,
) -> [f64; 4] {
    let golden = Golden::read(&format!("{name}.safetensors"));
    let mut config = model(encoder, decoder, |_| ());
    (config.model.latent, config.train.batch_size) = (3, 7);
    let images: Vec<u8> = (1..=3).flat_map(|t| golden.bytes(&format!("images{t}"))).collect();
    let (data, noise) = ((images.as_slice(), [6, 7, 2].into()), TrainingNoise::Given);
    let mut bench = Bench::of_images(&config, data, noise, device, Use::Step(step));
    bench.write_all(|key, _| golden.floats(&format!("start.{key}")));
    let mut worst = [0.0_f64; 4];
    for t in 1..=100_u64 {
        let (eps, turn) = (bench.vae.ports.eps, (t - 1) % 3 + 1);
        bench.session.write(eps, &golden.floats(&format!("eps{turn}")));
        let mut record = bench.record(t);
        record.first = 7 * (turn as u32 - 1);
        let [recon, kl] = bench.step(record);
        if t == 1 {
            // The first moment, (1 − β₁) g, tells the gradient however the step is fused.
            let share = 1.0 - config.optimizer.beta1;
            for (key, first) in bench.read_all(|parameter| parameter.first) {
                let gradient: Vec<_> = first.iter().map(|first| first / share).collect();
                let expected = golden.floats(&format!("grad.{key}"));
                worst[0] = worst[0].max(distance(&gradient, &expected));
            }
        }
        let Some(kept) = [1, 10, 100].into_iter().position(|kept| kept == t) else { continue };
        let mut note = |apart: f64| worst[kept + 1] = worst[kept + 1].max(apart);
        for (key, sum) in [("recon", recon), ("kl", kl)] {
            let expected: f64 = golden.floats(&format!("{key}{t}")).iter().sum();
            note((sum - expected).abs() / expected);
        }
        for (key, mut weights) in bench.read_all(|parameter| parameter.value) {
            let expected = golden.floats(&format!("after{t}.{key}"));
            if key.ends_with("in_proj.bias") {
                // Those of keys shift all scores of a query alike, and learn from roundings.
                let third = weights.len() / 3;
                weights[third..2 * third].copy_from_slice(&expected[third..2 * third]);
            }
            note(distance(&weights, &expected));
        }
    }
    worst
}

/// Holds a network of `conv_vae.py` to PyTorch's numbers in float64, and on either device.
pub(crate) fn equals_pytorch(net: (&str, &str, &str)) {
    let gpu = Device::Gpu(gpu());
    let ways: [(_, Option<&Device>, Fusion, [f64; 4]); 4] = [
        ("oracle", None, Fusion::Nothing, [1e-9; 4]),
        ("cpu", Some(&Device::Cpu(2)), Fusion::Updates, [1e-5; 4]),
        ("gpu as recorded", Some(&gpu), Fusion::Nothing, [1e-5; 4]),
        ("gpu", Some(&gpu), Fusion::All, [1e-5; 4]),
    ];
    for (way, device, step, allowed) in ways {
        let apart = apart(net, device, step);
        let shown = apart.map(|apart| format!("{apart:.1e}")).join(", ");
        println!("{}, {way}: {shown} from PyTorch", net.0);
        let holds = apart.iter().zip(allowed).all(|(&apart, allowed)| apart <= allowed);
        assert!(holds, "{}, {way}: {apart:?} apart, {allowed:?} allowed", net.0);
    }
}

#[test]
fn convolutions_of_a_model_equal_pytorch() {
    NETS.into_iter().for_each(equals_pytorch);
}

/// A run that stops goes on with the same bits, and its files have the shapes of PyTorch.
#[test]
fn states_hold_weights_as_pytorch_does() {
    let (bytes, size) = images(3);
    let data = Dataset::from_bytes(size, bytes).expect("images");
    let mut config = model(TWICE, TO_THE_END, |c| c.optimizer.average = 0.9);
    config.train.batch_size = 7;
    for device in [Device::Cpu(2), Device::Gpu(gpu())] {
        let trainer = || Trainer::new(&device, &config, &data, &data).expect("a trainer");
        let (mut whole, mut first) = (trainer(), trainer());
        whole.advance(9).expect("steps");
        first.advance(4).expect("steps");
        let state = first.state().expect("a state");
        let mut second = Trainer::resume(&device, &state, &data, &data).expect("it goes on");
        second.advance(5).expect("steps");
        let [whole, second] = [&mut whole, &mut second].map(|t| t.state().expect("a state"));
        assert!(whole.tensors == second.tensors, "{}: the same bits", device.name());
        let shape = |key: &str| {
            let found = whole.tensors.iter().find(|tensor| tensor.key == key);
            found.unwrap_or_else(|| panic!("no {key}")).shape.clone()
        };
        for prefix in ["", "optimizer.first.", "optimizer.second.", "average."] {
            assert_eq!(shape(&format!("{prefix}encoder.0.weight")), [5, 3, 3, 3], "{prefix}");
            assert_eq!(shape(&format!("{prefix}decoder.6.weight")), [3, 4, 3, 3], "{prefix}");
        }
        let zeros = |t: &&elbo::checkpoint::Weight| t.values.iter().all(|&v| v == 0.0);
        let still = whole.tensors.iter().find(zeros).map(|tensor| &tensor.key);
        assert_eq!(still, None, "all learn");
    }
}

/// What a decoder ends in lies in blocks of all pixels, in each of which a pixel's channels are side by side.
#[test]
fn the_last_map_goes_to_blocks_of_pixels() {
    let (bytes, size) = images(3);
    let config = model("7", TO_THE_END, |c| {
        (c.model.likelihood, c.model.scale) = (Likelihood::Normal, Scale::Pixel);
    });
    let step = Use::Step(Fusion::Nothing);
    let mut bench = Bench::of_images(&config, (&bytes, size), TrainingNoise::Drawn, None, step);
    let bias = [0.1, 0.2, 0.3, -0.1, -0.2, -0.3];
    bench.write_all(|key, len| match key {
        "decoder.6.bias" => bias.to_vec(),
        _ => vec![0.0; len],
    });
    let _ = bench.step(bench.record(1));
    let made = bench.session.read(bench.vae.ports.made);
    assert_eq!(made.len(), 12 * 2 * 192, "a mean and a log-scale of each number");
    for (i, &found) in made.iter().enumerate() {
        let (block, channel) = (i / 192 % 2, i % 3);
        assert_eq!(found, bias[3 * block + channel], "number {i}");
    }
}

/// A minibatch in parts learns what a whole one does.
#[test]
fn parts_of_a_minibatch_add_up() {
    let (bytes, size) = images(1);
    let data = Dataset::from_bytes(size, bytes).expect("images");
    for device in [Device::Cpu(2), Device::Gpu(gpu())] {
        let weights = [1, 3].map(|parts| {
            let mut config = model(TWICE, TO_THE_END, |_| ());
            config.train.accumulate = parts;
            let mut trainer = Trainer::new(&device, &config, &data, &data).expect("a trainer");
            trainer.advance(5).expect("steps");
            let weights = trainer.weights().expect("weights").into_iter();
            weights.flat_map(|weight| weight.values).map(f64::from).collect::<Vec<_>>()
        });
        let apart = distance(&weights[1], &weights[0]);
        assert!(apart < 1e-5, "{}: {apart:e} apart", device.name());
    }
}

/// First values go by what is under a window, and the padding of channels has none.
#[test]
fn first_values_count_what_is_under_a_window() {
    let mut config = model("'conv 64 5x3 pad 0'", "7", |_| ());
    for (init, expected) in [
        (Init::Pytorch, 1.0 / (3.0 * 45.0)),
        (Init::Glorot, 2.0 / (45.0 + 64.0 * 15.0)),
        (Init::He, 2.0 / 45.0),
    ] {
        config.model.init = init;
        let spec = DataSpec { images: 40, size: [8, 8, 3].into(), bytes: true, window: None };
        let vae = Vae::new(&config, spec, spec).expect("a valid configuration");
        let all = first_values(&vae, 11);
        let weight = &vae.parameters.list()[0];
        assert_eq!((weight.name.as_str(), weight.len()), ("encoder.0.weight", 64 * 45));
        let (_, values) = all.iter().find(|(tensor, _)| *tensor == weight.value).expect("its own");
        assert_eq!(values.len(), 64 * 60, "four columns a tap");
        let padding = values.iter().skip(3).step_by(4).filter(|&&value| value != 0.0).count();
        assert_eq!(padding, 0, "{init:?}: the fourth channel of each tap");
        let squares = values.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>();
        let variance = squares / weight.len() as f64;
        assert!((variance / expected - 1.0).abs() < 0.12, "{init:?}: {variance}, not {expected}");
    }
}

#[test]
fn maps_that_do_not_fit_are_refused_with_their_place() {
    let refused = |encoder: &str, decoder: &str, change: fn(&mut Config)| {
        let config = model(encoder, decoder, change);
        config.validate().expect("each layer by itself is sound");
        let spec = DataSpec { images: 40, size: [8, 8].into(), bytes: true, window: None };
        let error = Vae::new(&config, spec, spec).expect_err("it does not fit");
        (error.to_string(), error.advice().expect("a hint").to_owned())
    };
    let same: fn(&mut Config) = |_| ();
    for (encoder, decoder, change, says, hint) in [
        (
            "9, 'conv 4 3x3'",
            "7",
            same,
            "`encoder.1`, the layer `conv 4 3x3`, takes 1 × 1 × 9 numbers; it must be a map of several places",
            "put a layer \"map HxWxC\" before it",
        ),
        (
            "'conv 4 9x9 pad 0'",
            "7",
            same,
            "`encoder.0`, the layer `conv 4 9x9 pad 0`, takes 8 × 8 × 1 numbers; it must be at least as large",
            "smaller kernel",
        ),
        (
            "7",
            "9, 'map 2x2x2'",
            same,
            "takes 1 × 1 × 9 numbers; it must be 8",
            "a layer of 8 units",
        ),
        (
            "'norm', 'conv 4 3'",
            "7",
            |c| c.model.classes = 3,
            "`encoder.1`, the layer `conv 4 3x3`, takes the image with its class behind it",
            "fully connected",
        ),
        (
            "7",
            "'linear 64', 'map 8x8x1'",
            |c| c.model.output_bias = OutputBias::DataMean,
            "a map of 8 × 8 × 1, whose last bias has no pixel of its own",
            "leave out `output-bias`",
        ),
        (
            "'conv 4 3x3'",
            "7",
            |c| c.train.batch_size = 5000,
            "there are 40 images",
            "takes all of them",
        ),
        (
            "7",
            TO_THE_END,
            |c| c.objective.samples = 400,
            "a convolution of 4800 images at once",
            "fewer `--samples`",
        ),
    ] {
        let (error, advice) = refused(encoder, decoder, change);
        assert!(error.contains(says), "{encoder}; {decoder}: {error}");
        assert!(advice.contains(hint), "{encoder}; {decoder}: {advice}");
    }
}
