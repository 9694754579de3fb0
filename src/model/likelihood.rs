//! p(x | z): which kernel compares what the decoder made with the image.

use crate::config::{Config, Likelihood, Scale};
use crate::engine::{GradSite, Init, Parameters, Tape, Tensor};
use crate::kernels::bernoulli::bernoulli;
use crate::kernels::likelihood::likelihood as pixelwise;
use crate::kernels::matmul::Learned;

/// The one learned log-scale of all pixels, where there is one.
pub(crate) const LOG_SCALE: &str = "likelihood.log_scale";

/// Records nll, a number a row of what the decoder made; the gradients that are made at once, a row or a
/// number each of a row of that.
pub(super) fn likelihood(
    tape: &mut Tape<'_>,
    parameters: &mut Parameters,
    config: &Config,
    (made, x): (Tensor, Tensor),
    nll: Tensor,
) -> Vec<Tensor> {
    let model = &config.model;
    let log_scale = (model.scale == Scale::Shared).then(|| {
        // Zero: a scale of 1, the whole range of a pixel (Rybkin et al. 2021).
        let made = parameters.vector(tape.plan, LOG_SCALE, 1, Init::Constant(0.0));
        Learned { value: made.value, grad: made.grad }
    });
    match model.likelihood {
        Likelihood::Bernoulli => bernoulli(tape, made, x, nll),
        _ => pixelwise(tape, model, made.rows() / x.rows(), (made, x), log_scale, nll),
    }
    let all = [Some(made), log_scale.map(|learned| learned.value)];
    let gradient = |of| tape.grad(of, GradSite::Output).expect("the likelihood made it");
    all.into_iter().flatten().map(gradient).collect()
}
