//! What of a step is fused.

use crate::config::{Config, Corruption, Layer, Likelihood, Pixels, Posterior, Prior};
use crate::engine::{Dtype, Fusion};
use crate::kernels::gather::Shard;
use crate::kernels::matmul::BLOCK;
use crate::kernels::optimizer::updates_at_once;
use crate::model::programs::{Recorder, Sampling};
use crate::nn::{Node, Placed};

/// What of a step's forward way is done where its operands are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fused {
    /// z is drawn by the product that makes its posterior.
    pub(super) draw: bool,
    /// Logits are compared with the images by the product that makes them.
    pub(super) bernoulli: bool,
    /// Products read the images as bytes.
    pub(super) bytes: bool,
}

impl Recorder<'_> {
    /// What of a step can be fused, if all is that can.
    pub(super) fn fused(&self, noise: Sampling) -> Fused {
        let Config { model, objective, optimizer, train, .. } = self.config;
        let all = self.tape.fusion() == Fusion::All;
        // Its log-ratio is not stored.
        let one = objective.z_per_image() == 1 && !objective.weighs();
        let bernoulli = all
            && model.likelihood == Likelihood::Bernoulli
            && self.networks.decoder.ends_fully_connected();
        let data = match self.ports.train[..] {
            [Shard { data, .. }] => data.dtype() == Dtype::U32,
            _ => false,
        };
        // Nothing but products may read the images: not an encoder without a hidden layer, whose one
        // product draws, and no sum in parts; nor may the first layer have a gradient by pseudo-inputs too.
        let products = model.prior != Prior::Vamp
            && train.corruption == Corruption::None
            && train.pixels == Pixels::Grey
            && train.augments().is_empty()
            && matches!(
                self.networks.encoder.nodes(),
                [Node::Layer(Placed { layer: Layer::Linear(_), .. }), _, ..]
            )
            && updates_at_once(self.tape.fusion(), optimizer)
            && self.ports.x.padded_rows() <= BLOCK;
        Fused {
            draw: all && one && model.posterior == Posterior::Normal && noise == Sampling::Drawn,
            bernoulli,
            bytes: bernoulli && data && products,
        }
    }
}
