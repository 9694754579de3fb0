//! Levels of z above the first: upwards each is drawn from the one below, downwards each makes the prior of the one below.

use crate::config::{Activation, Inference, Level, Posterior};
use crate::engine::Tensor;
use crate::kernels::conditional::conditional;
use crate::kernels::draw::Draw;
use crate::kernels::free::free;
use crate::kernels::gaussian::{LocationScale, Noise, gaussian};
use crate::kernels::ladder::{means, merge_normals};
use crate::kernels::matmul::{Input, linear};
use crate::kernels::philox::purpose;
use crate::kernels::prior::{Mixture, mixture};
use crate::kernels::random::draw_normals;
use crate::model::draw::Sampling;
use crate::model::programs::Recorder;
use crate::model::{LevelPorts, Ports};
use crate::nn::Sequential;

impl Recorder<'_> {
    /// Records what the way up makes of each level: of a ladder from the means of the level below (Sønderby et al. 2016, eq. 12 to
    /// 14), else of the first alone, since the others hang on what is drawn.
    pub(super) fn ascend(&mut self, h: Tensor) -> Vec<Tensor> {
        let networks = self.networks;
        let mut up = vec![h];
        if networks.inference == Inference::BottomUp {
            return up;
        }
        for (place, level) in networks.above.iter().enumerate() {
            let name = format!("means of level {}", place + 1);
            let below = means(&mut self.tape, &name, up[place]);
            up.push(self.through(&level.encoder, below));
        }
        up
    }

    /// Records the draws of all levels and the highest's prior, so that the log-ratio of the first is the sum over all: log p(z, z
    /// above) − log q(z, z above | x) (Burda et al. 2016, eq. 8 of their section 5's nets). What z was drawn from comes first.
    pub(super) fn levels(
        &mut self,
        up: &[Tensor],
        first: Draw,
        noise: Sampling,
        prior: Option<Mixture>,
    ) -> (Tensor, Vec<LevelPorts>) {
        match self.networks.inference {
            Inference::BottomUp => (up[0], self.bottom_up(up[0], first, noise, prior)),
            Inference::Ladder => {
                let mut levels = self.room();
                let h = self.ladder(up, first, &mut levels, (noise, prior));
                (h, levels)
            }
        }
    }

    /// Records z at its mean, after the draws that say what the KL is: of a ladder at the means of all levels.
    pub(super) fn at_means(&mut self, up: &[Tensor], first: Draw) {
        match self.networks.inference {
            Inference::BottomUp => {
                let eps = self.ports.eps;
                self.reparameterise((up[0], 0), Sampling::Mean, eps, first);
            }
            Inference::Ladder => {
                let mut levels = self.room();
                self.ladder(up, first, &mut levels, (Sampling::Mean, None));
            }
        }
    }

    /// Records, after the bound, that each level of z has bits for nothing.
    pub(super) fn free_levels(&mut self, first: Draw, above: &[LevelPorts], extra: Tensor) {
        let of = |level: &LevelPorts| Draw {
            z: level.z,
            log_ratio: Some(level.log_ratio),
            kl: first.kl,
        };
        let all: Vec<_> = std::iter::once(first).chain(above.iter().map(of)).collect();
        // The first last, since its weights are those that there are.
        for (place, &draw) in all.iter().enumerate().rev() {
            let over = all.get(place + 1).and_then(|above| above.log_ratio);
            free(&mut self.tape, (draw, first), over, extra);
        }
    }

    /// Makes room for the levels above the first; what their networks make comes with them.
    fn room(&mut self) -> Vec<LevelPorts> {
        let (config, rows) = (self.config, self.ports.z.rows());
        let plan = &mut self.tape.plan;
        let level = |(place, level): (usize, &Level)| {
            let name = |what: &str| format!("{what} of level {}", place + 2);
            let z = plan.matrix(&name("z"), rows, level.latent);
            let eps = plan.matrix(&name("eps"), rows, level.latent);
            let log_ratio = plan.vector(&name("log-ratio"), rows);
            LevelPorts { h: z, eps, z, log_ratio, prior: z }
        };
        config.model.above.iter().enumerate().map(level).collect()
    }

    /// The draw of a level above the first, of so many rows of h.
    fn draw_of(&mut self, level: &LevelPorts, rows: usize) -> Draw {
        let kl = self.tape.plan.vector("KL of a level from the standard normal", rows);
        Draw { z: level.z, log_ratio: Some(level.log_ratio), kl }
    }

    /// Each level from the z below it, upwards; then its prior, downwards.
    fn bottom_up(
        &mut self,
        h: Tensor,
        first: Draw,
        noise: Sampling,
        prior: Option<Mixture>,
    ) -> Vec<LevelPorts> {
        let &Ports { image, eps, .. } = self.ports;
        self.reparameterise((h, 0), noise, eps, first);
        let (networks, mut draws, mut levels) = (self.networks, vec![first], self.room());
        for (place, level) in networks.above.iter().enumerate() {
            let h = self.through(&level.encoder, draws[place].z);
            levels[place].h = h;
            let draw = self.draw_of(&levels[place], h.rows());
            self.reparameterise((h, place + 1), noise, levels[place].eps, draw);
            draws.push(draw);
        }
        if let (Some(prior), Some(&highest)) = (prior, draws.last()) {
            mixture(&mut self.tape, prior, highest, image.cols());
        }
        for place in (0..levels.len()).rev() {
            let parts = self.through(&networks.above[place].decoder, levels[place].z);
            levels[place].prior = parts;
            conditional(&mut self.tape, parts, (draws[place], draws[place + 1]), image.cols());
        }
        levels
    }

    /// From the highest level down, each from the product of what the way up makes and of its prior by the z above.
    fn ladder(
        &mut self,
        up: &[Tensor],
        first: Draw,
        levels: &mut [LevelPorts],
        (noise, prior): (Sampling, Option<Mixture>),
    ) -> Tensor {
        let (networks, image) = (self.networks, self.ports.image);
        let highest = levels.len();
        let mut h = up[highest];
        levels[highest - 1].h = h;
        let mut above = self.draw_of(&levels[highest - 1], h.rows());
        self.reparameterise((h, highest), noise, levels[highest - 1].eps, above);
        if let Some(prior) = prior {
            mixture(&mut self.tape, prior, above, image.cols());
        }
        for place in (0..highest).rev() {
            let parts = self.through(&networks.above[place].decoder, above.z);
            levels[place].prior = parts;
            let name = format!("posterior of level {}", place + 1);
            h = merge_normals(&mut self.tape, &name, up[place], parts);
            let (own, eps) = match place {
                0 => (first, self.ports.eps),
                _ => {
                    levels[place - 1].h = h;
                    (self.draw_of(&levels[place - 1], h.rows()), levels[place - 1].eps)
                }
            };
            self.reparameterise((h, place), noise, eps, own);
            conditional(&mut self.tape, parts, (own, above), image.cols());
            above = own;
        }
        h
    }

    /// Records a network of a level, on rows of z or of means.
    fn through(&mut self, network: &Sequential, z: Tensor) -> Tensor {
        let samples = z.rows() / self.ports.image.cols();
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
            let normal = LocationScale {
                h,
                family: Posterior::Normal,
                images: ports.image.cols(),
                eps,
                site: 0,
            };
            gaussian(&mut self.tape, normal, Noise::Given, draw);
        }
    }
}
