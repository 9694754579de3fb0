//! What a training step computes and touches, counted from the model and its program.

use crate::engine::{Program, Tensor};
use crate::model::Vae;

/// Floating-point operations of the products of a training step on so many images, which may be
/// computed in parts. Everything else in a step is small beside them.
#[must_use]
pub fn products(vae: &Vae, images: usize) -> u64 {
    vae.programs.step.flops() * images as u64 / vae.x.rows() as u64
}

/// Bytes that the dispatches of a training step bind, each binding once; of the training images,
/// the minibatch. The step moves at least these, unless a cache keeps some from dispatch to
/// dispatch.
#[must_use]
pub fn bound_bytes(vae: &Vae, step: &Program) -> u64 {
    let row = vae.train.first().map_or(0, |shard| shard.data.words() / shard.rows);
    let minibatch = vae.x.rows() * row;
    let shards = || vae.train.iter();
    // A minibatch comes from all shards together.
    let words = |tensor: &Tensor| match tensor {
        data if shards().any(|shard| shard.data == *data) => minibatch / vae.train.len(),
        labels if shards().any(|shard| shard.labels == Some(*labels)) => {
            vae.x.rows() / vae.train.len()
        }
        other => other.words(),
    };
    let bindings = step.dispatches.iter().flat_map(|d| &d.bindings);
    4 * bindings.map(words).sum::<usize>() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::model::{DataSpec, Programs};

    #[test]
    fn the_classic_step_is_counted() {
        let spec = |images| DataSpec { images, pixels: 784, bytes: true };
        let vae = |images| {
            let config = Config::default();
            Vae::new(&config, spec(images), spec(256)).expect("the classic model")
        };
        // Inputs times outputs: fc1, [fc21 | fc22], fc3, fc4.
        let (first, others) = (784 * 400, 400 * 40 + 20 * 400 + 400 * 784);
        // Forward and to the weights, and but for the first layer to the input.
        let expected = 2 * 128 * (2 * first + 3 * others);
        let classic = vae(256);
        assert_eq!(products(&classic, 128), expected, "operations of a step");
        for step in [&classic.programs.cpu_step, &classic.programs.gpu_step] {
            assert_eq!(step.flops(), expected, "{} has the products of the step", step.name);
        }
        let big = Config::preset("big").expect("a preset");
        let big = Vae::new(&big, spec(1024), spec(256)).expect("the big model");
        let others = 2048 * 2048 + 2048 * 128 + 64 * 2048 + 2048 * 2048 + 2048 * 784;
        let of_big = 2 * 512 * (2 * 784 * 2048 + 3 * others);
        assert_eq!(products(&big, 512), of_big, "operations of the big model's step");
        let mut config = Config::default();
        config.train.accumulate = 2;
        let parts = Vae::new(&config, spec(256), spec(256)).expect("the classic model in parts");
        assert_eq!(products(&parts, 128), expected, "in two parts");
        let mut config = Config::default();
        (config.objective.samples, config.objective.importance) = (2, 5);
        let sampled = Vae::new(&config, spec(256), spec(256)).expect("the classic model");
        let decoder = 2 * 128 * 9 * 3 * (20 * 400 + 400 * 784);
        assert_eq!(products(&sampled, 128), expected + decoder, "with ten z of each image");
        let bytes = |images, step: fn(&Programs) -> &Program| {
            let vae = vae(images);
            bound_bytes(&vae, step(&vae.programs))
        };
        // Six words a parameter at the least: forward, backward, and the update's four.
        let recorded = bytes(256, |programs| &programs.step);
        assert!(recorded > 6 * 4 * 652_824 && recorded < 100_000_000, "{recorded} bytes");
        let fused = bytes(256, |programs| &programs.gpu_step);
        assert!(fused < recorded, "{fused} bytes, {recorded} as recorded");
        let told = |images| {
            let mut config = Config::default();
            config.model.classes = 10;
            let vae = Vae::new(&config, spec(images), spec(256)).expect("a conditional model");
            bound_bytes(&vae, &vae.programs.step)
        };
        assert_eq!(told(256), told(60_000), "nor with its labels");
        for step in [(|p| &p.step) as fn(&Programs) -> &Program, |p| &p.gpu_step] {
            assert_eq!(bytes(256, step), bytes(60_000, step), "it does not grow with the dataset");
        }
    }
}
