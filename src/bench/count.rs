//! What a training step computes and touches, counted from the model and its program.

use crate::engine::{Dispatch, Program, Tensor};
use crate::model::Vae;

/// Floating-point operations of the products of a training step on so many images, which may be
/// computed in parts. Everything else in a step is small beside them.
#[must_use]
pub fn products(vae: &Vae, step: &Program, images: usize) -> u64 {
    step.flops() * images as u64 / vae.ports.x.rows() as u64
}

/// Bytes that the dispatches of a training step bind, each binding once; of the training images,
/// the minibatch. The step moves at least these, unless a cache keeps some from dispatch to
/// dispatch.
#[must_use]
pub fn bound_bytes(vae: &Vae, step: &Program) -> u64 {
    step.dispatches.iter().map(|dispatch| dispatch_bytes(vae, dispatch)).sum()
}

/// Those of one dispatch.
pub(super) fn dispatch_bytes(vae: &Vae, dispatch: &Dispatch) -> u64 {
    let row = vae.ports.train.first().map_or(0, |shard| shard.data.words() / shard.rows);
    let minibatch = vae.ports.x.rows() * row;
    let shards = || vae.ports.train.iter();
    // A minibatch comes from all shards together.
    let words = |tensor: &Tensor| match tensor {
        data if shards().any(|shard| shard.data == *data) => minibatch / vae.ports.train.len(),
        labels if shards().any(|shard| shard.labels == Some(*labels)) => {
            vae.ports.x.rows() / vae.ports.train.len()
        }
        other => other.words(),
    };
    4 * dispatch.bindings.iter().map(words).sum::<usize>() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::engine::Fusion;
    use crate::model::{DataSpec, Use};

    #[test]
    fn the_classic_step_is_counted() {
        let spec = |images| DataSpec { images, size: [1, 784].into(), bytes: true, window: None };
        let vae = |images| {
            let config = Config::default();
            Vae::new(&config, spec(images), spec(256)).expect("the classic model")
        };
        // Inputs times outputs: fc1, [fc21 | fc22], fc3, fc4.
        let (first, others) = (784 * 400, 400 * 40 + 20 * 400 + 400 * 784);
        // Forward and to the weights, and but for the first layer to the input.
        let expected = 2 * 128 * (2 * first + 3 * others);
        let operations = |vae: &mut Vae, fusion, images| {
            let step = vae.program(Use::Step(fusion)).expect("a step").clone();
            products(vae, &step, images)
        };
        let mut classic = vae(256);
        for fusion in [Fusion::Nothing, Fusion::Updates, Fusion::All] {
            let found = operations(&mut classic, fusion, 128);
            assert_eq!(found, expected, "operations of a step, {fusion:?} fused");
        }
        let big = Config::preset("big").expect("a preset");
        let mut big = Vae::new(&big, spec(1024), spec(256)).expect("the big model");
        let others = 2048 * 2048 + 2048 * 128 + 64 * 2048 + 2048 * 2048 + 2048 * 784;
        let of_big = 2 * 512 * (2 * 784 * 2048 + 3 * others);
        assert_eq!(
            operations(&mut big, Fusion::All, 512),
            of_big,
            "operations of the big model's step"
        );
        let mut config = Config::default();
        config.train.accumulate = 2;
        let mut parts =
            Vae::new(&config, spec(256), spec(256)).expect("the classic model in parts");
        assert_eq!(operations(&mut parts, Fusion::Nothing, 128), expected, "in two parts");
        let mut config = Config::default();
        (config.objective.samples, config.objective.importance) = (2, 5);
        let mut sampled = Vae::new(&config, spec(256), spec(256)).expect("the classic model");
        let decoder = 2 * 128 * 9 * 3 * (20 * 400 + 400 * 784);
        let found = operations(&mut sampled, Fusion::All, 128);
        assert_eq!(found, expected + decoder, "with ten z of each image");
        let bytes = |images, fusion| {
            let mut vae = vae(images);
            let step = vae.program(Use::Step(fusion)).expect("a step").clone();
            bound_bytes(&vae, &step)
        };
        // Six words a parameter at the least: forward, backward, and the update's four.
        let recorded = bytes(256, Fusion::Nothing);
        assert!(recorded > 6 * 4 * 652_824 && recorded < 100_000_000, "{recorded} bytes");
        let fused = bytes(256, Fusion::All);
        assert!(fused < recorded, "{fused} bytes, {recorded} as recorded");
        let told = |images| {
            let mut config = Config::default();
            config.model.classes = 10;
            let mut vae = Vae::new(&config, spec(images), spec(256)).expect("a conditional model");
            let step = vae.program(Use::Step(Fusion::Nothing)).expect("a step").clone();
            bound_bytes(&vae, &step)
        };
        assert_eq!(told(256), told(60_000), "nor with its labels");
        for step in [Fusion::Nothing, Fusion::All] {
            assert_eq!(bytes(256, step), bytes(60_000, step), "it does not grow with the dataset");
        }
    }
}
