//! The seam of all that is stochastic: what a draw of z leaves to whatever comes after it.
//!
//! A posterior is an operation that records z, log p(z) − log q(z | x) and, where it has one, the KL
//! divergence from the prior, and leaves a rule for the way back. That rule takes the gradient at z from
//! the tape; the KL's by its formula, unless what is minimised weighs samples, which is [noted](weighed).
//! Bounds, importance weights and evaluation read these tensors and know no posterior.

use crate::config::Gradient;
use crate::engine::{Tape, Tensor};

/// A draw of z, several of each image or one, image by image.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// The latent (images · samples, n).
    pub z: Tensor,
    /// log p(z) − log q(z | x) of each z (images · samples), in nats, where it is stored.
    pub log_ratio: Option<Tensor>,
    /// The KL divergence of each image (images), in nats, or parts that add up to it.
    pub kl: Tensor,
}

/// What is minimised of a draw instead of its KL: −log p(x | z) − log p(z) + log q(z | x) of weighed samples.
#[derive(Clone, Copy, Debug)]
pub struct Weighed {
    /// ω (images · samples), the weight of each sample, of mean 1 among those of one logarithm.
    pub weight: Tensor,
    /// How many samples are under one logarithm.
    pub importance: usize,
    /// Which way the gradient at the posterior goes.
    pub gradient: Gradient,
}

/// Notes that a draw's samples are weighed, for its rule of the way back.
pub fn weigh(tape: &mut Tape<'_>, draw: Draw, weighed: Weighed) {
    tape.note(draw.z, weighed);
}

/// How a draw's samples are weighed, if they are.
#[must_use]
pub fn weighed(tape: &Tape<'_>, z: Tensor) -> Option<Weighed> {
    tape.noted(z)
}
