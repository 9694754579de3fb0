//! Networks with transposed convolutions: by PyTorch's numbers, whole steps, gradients and first values. Needs an adapter.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use elbo::config::{Config, Init, Likelihood};
use elbo::model::{DataSpec, Vae};
use elbo::train::first_values;

use crate::common::{gpu, gradients_of_images_hold, steps_of_images_hold};
use crate::maps::{equals_pytorch, images, model};

#[test]
fn models_with_transposed_convolutions_hold() {
    let gpu = gpu();
    for (name, channels, config) in [
        (
            "transposed, of z and in a block",
            1,
            model(
                "'conv 4 3x3 stride 2', 'relu', 'transposed 3 4 stride 2', 'gelu', 9",
                "'transposed 6 2x2 pad 0', 'relu', 'transposed 5 4 stride 2', {residual = ['transposed 5 3']}, 'tanh', \
                 'transposed 3 4x4 stride 2', 'silu'",
                |_| (),
            ),
        ),
        (
            "transposed, of the image, with places that nothing reaches",
            3,
            model(
                "'transposed 2 1 stride 2 pad 0', 'sigmoid', 'conv 2 3 stride 3'",
                "'linear 32', 'map 4x4x2', 'transposed 3 2 stride 2 pad 0', 'leaky-relu'",
                |c| c.model.likelihood = Likelihood::Logistic,
            ),
        ),
        (
            "transposed, three z of an image, classes",
            1,
            model("16", "'transposed 3 5x3 pad 0', 'transposed 2 3 pad 0', 'norm', 'relu'", |c| {
                (c.model.classes, c.objective.importance) = (3, 3);
            }),
        ),
    ] {
        let (bytes, size) = images(channels);
        steps_of_images_hold(name, &config, &gpu, (&bytes, size));
        let worst = gradients_of_images_hold(name, &config, (&bytes, size));
        println!("{name}: at most {worst:.1e} of the largest entry from central differences");
    }
}

#[test]
fn transposed_convolutions_of_a_model_equal_pytorch() {
    equals_pytorch((
        "transposed_vae",
        "'conv 4 3x3 stride 3 pad 0', 'relu', 'transposed 5 2x1 stride 3 pad 0', 'silu', 'conv 4 3x3 stride 2', 'tanh'",
        "'transposed 6 3x4 pad 0', 'gelu', 'transposed 3 4x3 stride 2', 'relu'",
    ));
}

/// First values go by what a place sums; PyTorch counts the outputs under a window.
#[test]
fn first_values_count_what_a_place_sums() {
    let mut config = model("'conv 40 1', 'transposed 15 4x6 stride 2', 'relu'", "7", |_| ());
    for (init, expected) in [
        (Init::Pytorch, 1.0 / (3.0 * 15.0 * 24.0)),
        (Init::Glorot, 2.0 / (40.0 * 6.0 + 15.0 * 24.0)),
        (Init::He, 2.0 / (40.0 * 6.0)),
    ] {
        config.model.init = init;
        let spec = DataSpec { images: 40, size: [8, 8].into(), bytes: true, window: None };
        let vae = Vae::new(&config, spec, spec).expect("a valid configuration");
        let all = first_values(&vae, 11);
        let [weight, bias] = [2, 3].map(|at| &vae.parameters.list()[at]);
        assert_eq!((weight.name.as_str(), weight.len()), ("encoder.1.weight", 40 * 15 * 24));
        assert_eq!((bias.name.as_str(), bias.len()), ("encoder.1.bias", 15));
        let shapes: Vec<_> = weight.shapes().map(|(_, shape)| shape).collect();
        assert_eq!(shapes, [[40, 15, 4, 6]], "as PyTorch has it");
        let (_, values) = all.iter().find(|(tensor, _)| *tensor == weight.value).expect("its own");
        let squares = values.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>();
        let variance = squares / weight.len() as f64;
        assert!((variance / expected - 1.0).abs() < 0.06, "{init:?}: {variance}, not {expected}");
    }
}

#[test]
fn maps_that_cannot_be_spread_are_refused_with_their_place() {
    for (encoder, decoder, change, says, hint) in [
        (
            "7",
            "'linear 4', 'map 2x2x1', 'transposed 3 3x3 pad 2'",
            (|_| ()) as fn(&mut Config),
            "`decoder.2`, the layer `transposed 3 3x3 pad 2`, takes 2 × 2 × 1 numbers; it must be so large",
            "less `pad`",
        ),
        (
            "7",
            "'transposed 1 64 pad 0', 'transposed 3 3 stride 15'",
            |_| (),
            "takes 64 × 64 × 1 numbers; it must be so small that 896 places a side",
            "a smaller `stride`",
        ),
        (
            "'norm', 'transposed 4 3'",
            "7",
            |c| c.model.classes = 3,
            "`encoder.1`, the layer `transposed 4 3x3`, takes the image with its class behind it",
            "fully connected",
        ),
    ] {
        let config = model(encoder, decoder, change);
        config.validate().expect("each layer by itself is sound");
        let spec = DataSpec { images: 40, size: [8, 8].into(), bytes: true, window: None };
        let error = Vae::new(&config, spec, spec).expect_err("it does not fit");
        let advice = error.advice().expect("a hint");
        assert!(error.to_string().contains(says), "{encoder}; {decoder}: {error}");
        assert!(advice.contains(hint), "{encoder}; {decoder}: {advice}");
    }
}
