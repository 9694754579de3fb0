//! p(x | z): which kernel compares what the decoder made with the image.

use crate::config::{Config, Likelihood};
use crate::engine::{Tape, Tensor};
use crate::kernels::bernoulli::bernoulli;
use crate::kernels::normal::normal;

/// Records nll (n), and the gradient at what the decoder made.
pub(super) fn likelihood(
    tape: &mut Tape<'_>,
    config: &Config,
    (made, x): (Tensor, Tensor),
    nll: Tensor,
) {
    match config.model.likelihood {
        Likelihood::Bernoulli => bernoulli(tape, made, x, nll),
        Likelihood::Normal => normal(tape, config.model.sigma, (made, x), nll),
    }
}
