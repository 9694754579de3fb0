//! What is drawn of z, as the configuration says, and from where its noise comes.

use crate::config::{Inference, Posterior};
use crate::engine::Tensor;
use crate::kernels::draw::Draw;
use crate::kernels::gaussian::{LocationScale, Noise, gaussian};
use crate::kernels::prior::{Mixture, divergence};
use crate::model::programs::Recorder;
use crate::model::{LevelPorts, Ports};

/// Where the noise of z comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sampling {
    /// Drawn for each image and step.
    Drawn,
    /// As it stands in the port.
    Given,
    /// There is none: z = μ.
    Mean,
}

/// What was drawn.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    pub(super) draw: Draw,
    /// What z was drawn from.
    pub(super) h: Tensor,
    /// The levels of z above the first.
    pub(super) above: Vec<LevelPorts>,
}

impl Recorder<'_> {
    /// Whether z is drawn: a point is its own draw, and has no density to weigh.
    pub(super) fn draws(&self) -> bool {
        self.config.model.posterior.is_density()
    }

    /// Records a draw from what the way up makes, with those of the levels above, or takes the point, whose KL is zero.
    pub(super) fn draw(&mut self, up: &[Tensor], noise: Sampling, prior: Option<Mixture>) -> Drawn {
        let &Ports { z, eps, kl, log_ratio, .. } = self.ports;
        let draw = Draw { z, log_ratio: Some(log_ratio), kl };
        let h = up[0];
        match self.config.model.posterior {
            Posterior::Point => {
                Drawn { draw: Draw { z: h, log_ratio: None, kl }, h, above: Vec::new() }
            }
            _ if self.config.model.kl_has_formula() => {
                self.reparameterise((h, 0), noise, eps, draw);
                Drawn { draw, h, above: Vec::new() }
            }
            _ => {
                // Of each row of what it is drawn from, and not told.
                let rows = match self.networks.inference {
                    Inference::BottomUp => h.rows(),
                    Inference::Ladder => z.rows(),
                };
                let of_normal = self.tape.plan.vector("KL from the standard normal", rows);
                let own = Draw { kl: of_normal, ..draw };
                // The samples estimate the KL divergence, which the mean alone does not.
                let drawn = if noise == Sampling::Mean { Sampling::Drawn } else { noise };
                let (h, above) = self.levels(up, own, drawn, prior);
                divergence(&mut self.tape, log_ratio, (z, kl));
                if noise == Sampling::Mean {
                    self.at_means(up, own);
                }
                Drawn { draw, h, above }
            }
        }
    }

    /// Records z = μ + ε ⊗ σ of h = [μ | log σ²], of a level; for z = μ there is no ε.
    pub(super) fn reparameterise(
        &mut self,
        (h, site): (Tensor, usize),
        noise: Sampling,
        eps: Tensor,
        draw: Draw,
    ) {
        let &Ports { at_mean, image, .. } = self.ports;
        let (noise, eps) = match noise {
            Sampling::Drawn => (Noise::Drawn { image }, eps),
            Sampling::Given => (Noise::Given, eps),
            // Nothing is written there: ε = 0.
            Sampling::Mean if site > 0 => (
                Noise::Given,
                self.tape.plan.matrix("eps at the mean of a level", eps.rows(), eps.cols()),
            ),
            Sampling::Mean => (Noise::Given, at_mean),
        };
        let normal = LocationScale {
            h,
            family: self.config.model.posterior,
            images: image.cols(),
            eps,
            site,
        };
        gaussian(&mut self.tape, normal, noise, draw);
    }
}
