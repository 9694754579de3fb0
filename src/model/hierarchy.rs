//! Levels of z above the first: upwards each is drawn from the one below, downwards each makes the prior of the one below.

use crate::config::Activation;
use crate::engine::Tensor;
use crate::kernels::conditional::conditional;
use crate::kernels::draw::Draw;
use crate::kernels::gaussian::{Noise, Normal, gaussian};
use crate::kernels::matmul::{Input, linear};
use crate::kernels::philox::purpose;
use crate::kernels::prior::{Mixture, mixture};
use crate::kernels::random::draw_normals;
use crate::model::LevelPorts;
use crate::model::programs::{Recorder, Sampling};
use crate::nn::Sequential;

impl Recorder<'_> {
    /// Records the levels above the first draw and the highest's prior, so that the log-ratio of the first is the sum over all:
    /// log p(z, z above) − log q(z, z above | x) (Burda et al. 2016, eq. 8 of their section 5's nets).
    pub(super) fn levels(
        &mut self,
        first: Draw,
        noise: Sampling,
        prior: Option<Mixture>,
    ) -> Vec<LevelPorts> {
        let images = self.ports.image.cols();
        let (networks, mut draws, mut levels) = (self.networks, vec![first], Vec::new());
        for (place, level) in networks.above.iter().enumerate() {
            let below = draws[place].z;
            let h = self.through(&level.encoder, below);
            let (rows, latent) = (below.rows(), h.cols() / 2);
            let name = |what: &str| format!("{what} of level {}", place + 2);
            let plan = &mut self.tape.plan;
            let z = plan.matrix(&name("z"), rows, latent);
            let eps = plan.matrix(&name("eps"), rows, latent);
            let log_ratio = plan.vector(&name("log-ratio"), rows);
            let kl = plan.vector(&name("KL from the standard normal"), rows);
            let draw = Draw { z, log_ratio: Some(log_ratio), kl };
            self.reparameterise((h, place + 1), noise, eps, draw);
            draws.push(draw);
            // Its decoder comes later.
            levels.push(LevelPorts { h, eps, z, log_ratio, prior: z });
        }
        if let (Some(prior), Some(&highest)) = (prior, draws.last()) {
            mixture(&mut self.tape, prior, highest, images);
        }
        for place in (0..levels.len()).rev() {
            let parts = self.through(&networks.above[place].decoder, levels[place].z);
            levels[place].prior = parts;
            conditional(&mut self.tape, parts, (draws[place], draws[place + 1]), images);
        }
        levels
    }

    /// Records a network of a level, on rows of z.
    fn through(&mut self, network: &Sequential, z: Tensor) -> Tensor {
        let samples = self.config.objective.z_per_image();
        let mut of = self.network();
        let top = of.hidden(network, Input::Made(z), samples);
        let top = of.rows(top);
        let (path, layer) = of.last_affine(network, top.cols());
        linear(&mut self.tape, &path, top, layer, Activation::Identity)
    }

    /// Records ε for every level; that of the highest is its z, of the standard normal.
    pub(super) fn draw_noise(&mut self) {
        let ports = self.ports;
        let highest = ports.above.last().map_or(ports.z, |level| level.z);
        let lower = ports.above.iter().rev().skip(1).map(|level| level.eps);
        let first = (!ports.above.is_empty()).then_some(ports.eps);
        let all = std::iter::once(highest).chain(lower).chain(first);
        for (place, to) in all.enumerate() {
            // Each level has noise of its own; that of the highest is what a model of one level has.
            draw_normals(&mut self.tape, (place as u32) << 16 | purpose::NOISE, to);
        }
    }

    /// Records the way from the highest z down to the first, by the ε of each level.
    pub(super) fn descend(&mut self) {
        let ports = self.ports;
        let networks = self.networks;
        for place in (0..ports.above.len()).rev() {
            let LevelPorts { z, .. } = ports.above[place];
            let h = self.through(&networks.above[place].decoder, z);
            let (z, eps) = match place {
                0 => (ports.z, ports.eps),
                _ => (ports.above[place - 1].z, ports.above[place - 1].eps),
            };
            let [kl, log_ratio] = ["KL of a prior", "log-ratio of a prior"]
                .map(|name| self.tape.plan.vector(name, z.rows()));
            let draw = Draw { z, log_ratio: Some(log_ratio), kl };
            let normal = Normal { h, images: ports.image.cols(), eps, site: 0 };
            gaussian(&mut self.tape, normal, Noise::Given, draw);
        }
    }
}
