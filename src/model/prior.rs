//! Where the components of a learned prior come from.

use crate::config::Activation;
use crate::config::{Prior, Support};
use crate::engine::{Init, Tensor};
use crate::kernels::activation::activation;
use crate::kernels::matmul::{Input, linear};
use crate::kernels::prior::Mixture;
use crate::model::programs::Recorder;

/// [μ | log σ²] of the components of a mixture (K, 2 · latent).
pub(crate) const COMPONENTS: &str = "prior.components";
/// What the weights of its components are the softmax of (K).
pub(crate) const LOGITS: &str = "prior.logits";
/// The pseudo-inputs of a `VampPrior` (K, pixels), as [`pseudo_input`] has them.
pub(crate) const PSEUDO_INPUTS: &str = "prior.pseudo_inputs";

/// The deviation of first values.
const SPREAD: f64 = 0.5;

impl Recorder<'_> {
    /// Records where the components of a learned prior lie.
    pub(super) fn prior(&mut self) -> Option<Mixture> {
        let (model, pixels) = (&self.config.model, self.ports.x.cols());
        let (count, latent) = (model.prior_components, model.highest_latent());
        match model.prior {
            Prior::Normal => None,
            Prior::Mixture => {
                let init = Init::Normal(SPREAD);
                let parts = self.tape.matrix(COMPONENTS, [count, 2 * latent], init);
                Some(self.mixture_of(parts))
            }
            Prior::Vamp => {
                let own = self.tape.matrix(PSEUDO_INPUTS, [count, pixels], Init::Normal(SPREAD));
                let u = match model.likelihood.support() {
                    Support::Unit | Support::Levels => {
                        activation(&mut self.tape, Activation::Sigmoid, own)
                    }
                    Support::Line | Support::Counts => own,
                };
                let top = self.hidden_of(Input::Made(u));
                let (path, layer) = self.posterior(top);
                let parts = linear(&mut self.tape, &path, top, layer, Activation::Identity);
                Some(self.mixture_of(parts))
            }
        }
    }

    /// The same, of components that another program made.
    pub(super) fn known_prior(&mut self) -> Option<Mixture> {
        let parts = self.ports.components?;
        Some(self.mixture_of(parts))
    }

    fn mixture_of(&mut self, parts: Tensor) -> Mixture {
        let count = parts.rows();
        match self.config.model.prior {
            // Each pseudo-input weighs as much: zeros, which nothing writes.
            Prior::Vamp => Mixture {
                parts,
                logits: self.tape.plan.vector("logits of pseudo-inputs", count),
                learns_logits: false,
            },
            _ => Mixture {
                parts,
                logits: self.tape.parameter(LOGITS, count, Init::Constant(0.0)),
                learns_logits: true,
            },
        }
    }
}

/// What the encoder is shown of a pseudo-input's number: the image's, from which [`pseudo_input`] leads back to it.
pub(crate) fn pseudo_image(support: Support, value: f32) -> f32 {
    match support {
        Support::Unit | Support::Levels => 1.0 / (1.0 + (-value).exp()),
        Support::Counts => value.exp_m1(),
        Support::Line => value,
    }
}

/// What a pseudo-input begins with, of a number that the encoder takes: where pixels have bounds it is what the sigmoid makes
/// the number of, pressed a little inwards, so that it can move.
pub(crate) fn pseudo_input(support: Support, number: f32) -> f32 {
    match support {
        Support::Unit | Support::Levels => {
            let inside = 0.05 + 0.9 * number;
            (inside / (1.0 - inside)).ln()
        }
        Support::Counts => number.ln_1p(),
        Support::Line => number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pseudo_inputs_are_the_images_that_they_begin_as() {
        for (support, number, shown) in [
            (Support::Unit, 0.0, 0.05),
            (Support::Levels, 1.0, 0.95),
            (Support::Unit, 0.5, 0.5),
            (Support::Counts, 7.0, 7.0),
            (Support::Line, -3.0, -3.0),
        ] {
            let found = pseudo_image(support, pseudo_input(support, number));
            assert!((found - shown).abs() < 1e-5, "{support:?}: {found}, not {shown}");
        }
    }
}
