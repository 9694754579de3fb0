//! p(x | z): which kernel compares what the decoder made with the image.

use crate::config::{Likelihood, Mean, ModelConfig, Scale};
use crate::engine::{GradSite, Init, Tape, Tensor};
use crate::kernels::bernoulli::bernoulli;
use crate::kernels::counts::log_means;
use crate::kernels::likelihood::{Observed, likelihood as pixelwise};

/// The one learned log-scale of all pixels, where there is one.
pub(crate) const LOG_SCALE: &str = "likelihood.log_scale";

/// Records nll, a number a row of what the decoder made; the gradients that are made at once, a row or a
/// number each of a row of that.
pub(super) fn likelihood(
    tape: &mut Tape<'_>,
    model: &ModelConfig,
    observed: Observed,
) -> Vec<Tensor> {
    let Observed { made, x, nll, .. } = observed;
    // Zero: a scale of 1, the whole range of a pixel (Rybkin et al. 2021).
    let log_scale =
        (model.scale == Scale::Shared).then(|| tape.parameter(LOG_SCALE, 1, Init::Constant(0.0)));
    let made = match model.mean {
        Mean::Softmax if model.likelihood.is_of_counts() => log_means(tape, made, x),
        _ => made,
    };
    let observed = Observed { made, ..observed };
    let at_scale = match model.likelihood {
        Likelihood::Bernoulli => {
            bernoulli(tape, made, x, nll);
            None
        }
        _ => pixelwise(tape, model, made.rows() / x.rows(), observed, log_scale),
    };
    let at_made = tape.grad(made, GradSite::Output).expect("the likelihood made it");
    std::iter::once(at_made).chain(at_scale).collect()
}
