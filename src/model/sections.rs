//! What a model's programs are made of: stretches of dispatches, recorded once.

use crate::config::{Config, Pixels};
use crate::engine::plan::Dispatch;
use crate::engine::{BufferId, Parameters, Plan, Program, Tape, Tensor};
use crate::kernels::average::average;
use crate::kernels::finite::check_finite;
use crate::kernels::gather::{Shard, gather};
use crate::kernels::gaussian::{Noise, gaussian};
use crate::kernels::importance::importance;
use crate::kernels::matmul::{Fusion, fuse};
use crate::kernels::optimizer::update;
use crate::kernels::random::draw_normals;
use crate::kernels::reduce::{Reports, reduce};
use crate::model::likelihood::likelihood;
use crate::model::network::{LayerNames, decoder, encoder};
use crate::model::{Programs, TrainingNoise};

/// The tensors that do not depend on the layers.
pub(super) struct Room {
    pub(super) reports: Reports,
    pub(super) x: Tensor,
    pub(super) image: Tensor,
    pub(super) eps: Tensor,
    /// ε = 0, for z = μ.
    pub(super) at_mean: Tensor,
    pub(super) z: Tensor,
    pub(super) kl: Tensor,
    pub(super) nll: Tensor,
    /// What else is minimised, of each image.
    pub(super) extra: Tensor,
    pub(super) highest: Tensor,
    pub(super) total: Tensor,
}

impl Room {
    pub(super) fn new(plan: &mut Plan, config: &Config, pixels: usize) -> Self {
        let (batch, latent) = (config.train.part_size(), config.model.latent);
        Self {
            reports: Reports::new(plan),
            x: plan.matrix("x", batch, pixels),
            image: plan.words("image", batch),
            eps: plan.matrix("eps", batch, latent),
            at_mean: plan.matrix("eps at the mean", batch, latent),
            z: plan.matrix("z", batch, latent),
            kl: plan.vector("kl", batch),
            nll: plan.vector("nll", batch),
            extra: plan.vector("what else is minimised", batch),
            highest: plan.vector("highest importance weight", batch),
            total: plan.vector("sum of importance weights", batch),
        }
    }
}

/// What programs are made of: stretches of dispatches, recorded once.
pub(super) struct Sections {
    pub(super) h: Tensor,
    pub(super) made: Tensor,
    encoder: Vec<Dispatch>,
    posterior: Vec<Dispatch>,
    decoder: Vec<Dispatch>,
    likelihood: Vec<Dispatch>,
    /// The way back and the report.
    learning: Vec<Dispatch>,
    /// The guard's look at the gradients, the update, and the averages.
    update: Vec<Dispatch>,
    /// The buffers of the parameters' gradients.
    grads: Vec<BufferId>,
    /// The report of what only looks.
    end: Vec<Dispatch>,
}

impl Sections {
    /// Records the network and its learning.
    pub(super) fn record(
        plan: &mut Plan,
        parameters: &mut Parameters,
        config: &Config,
        room: &Room,
        noise: TrainingNoise,
        pixels: usize,
    ) -> Self {
        let &Room { reports, x, image, eps, z, kl, nll, extra, .. } = room;
        let mut tape = Tape::new(plan);
        let names = LayerNames::of(config);
        let h = encoder(&mut tape, parameters, config, &names, x);
        let encoder = tape.take();
        let noise = match noise {
            TrainingNoise::Drawn => Noise::Drawn { image },
            TrainingNoise::Given => Noise::Given,
        };
        gaussian(&mut tape, noise, h, (eps, z, kl));
        let posterior = tape.take();
        let made = decoder(&mut tape, parameters, config, &names, (z, pixels));
        let decoder = tape.take();
        likelihood(&mut tape, config, (made, x), nll);
        let likelihood = tape.take();
        tape.backward();
        // Among the gradients of parameters, which wait for nothing either, and before the update,
        // which a broken loss must stop.
        reduce(&mut tape, (nll, kl, extra), 1, reports, true);
        let learning = tape.take();
        if config.optimizer.average > 0.0 {
            parameters.make_averages(tape.plan);
        }
        let arenas = parameters.arenas(tape.plan);
        for arena in &arenas {
            check_finite(&mut tape, arena.grads, reports.guard);
        }
        update(&mut tape, &config.optimizer, &arenas, reports.guard);
        for arena in &arenas {
            if let Some(averages) = parameters.average_of(arena.values) {
                average(&mut tape, reports.guard, arena.values, averages);
            }
        }
        let update = tape.take();
        reduce(&mut tape, (nll, kl, extra), 1, reports, false);
        let end = tape.take();
        let grads = arenas.iter().map(|arena| arena.grads.buffer()).collect();
        Self { h, made, encoder, posterior, decoder, likelihood, learning, update, grads, end }
    }

    /// Puts the programs together. What only looks is recorded on a tape of its own, since its
    /// rules for the way back are not wanted.
    pub(super) fn programs(
        &self,
        plan: &mut Plan,
        config: &Config,
        room: &Room,
        (train, test): (&[Shard], &[Shard]),
    ) -> Programs {
        let &Room { x, image, eps, at_mean, z, kl, nll, highest, total, .. } = room;
        let binarise = config.train.pixels == Pixels::Binarised;
        let mut tape = Tape::new(plan);
        gather(&mut tape, train, binarise, (x, image));
        let gather_train = tape.take();
        gather(&mut tape, test, binarise, (x, image));
        let gather_test = tape.take();
        gaussian(&mut tape, Noise::Given, self.h, (at_mean, z, kl));
        let mean = tape.take();
        gaussian(&mut tape, Noise::Drawn { image }, self.h, (eps, z, kl));
        let drawn = tape.take();
        draw_normals(&mut tape, z);
        let prior = tape.take();
        importance(&mut tape, (nll, self.h), (eps, z), (highest, total));
        let weigh = tape.take();

        let Self { encoder, posterior, decoder, likelihood, learning, update, end, .. } = self;
        let look = |name: &str, sample: &Vec<Dispatch>| {
            Program::new(name, &[&gather_test, encoder, sample, decoder, likelihood, end])
        };
        let gradients =
            [gather_train.as_slice(), encoder, posterior, decoder, likelihood, learning].concat();
        let step = Program::new("step", &[&gradients, update]);
        let parts = (config.train.accumulate > 1).then(|| self.parts(&gradients));
        let fused = |name: &str, plan: &mut Plan, fusion| {
            Program::new(name, &[&fuse(plan, &step.dispatches, fusion)])
        };
        Programs {
            cpu_step: fused("step on a CPU", plan, Fusion::Updates),
            gpu_step: fused("step on a GPU", plan, Fusion::All),
            step,
            parts,
            evaluate: look("evaluate", &drawn),
            evaluate_at_mean: look("evaluate at the mean", &mean),
            encode: Program::new("encode", &[&gather_test, encoder, &drawn, end]),
            weigh: Program::new("weigh", &[&drawn, decoder, likelihood, &weigh, end]),
            prior: Program::new("prior", &[&prior, end]),
            decode: Program::new("decode", &[decoder, end]),
        }
    }
    /// The parts of a step: what makes gradients, storing or adding them, and at last the update.
    fn parts(&self, gradients: &[Dispatch]) -> [Program; 3] {
        let add = |dispatch: &Dispatch| dispatch.clone().adding(&self.grads);
        let adding: Vec<_> = gradients.iter().map(add).collect();
        [
            Program::new("first part of a step", &[gradients]),
            Program::new("middle part of a step", &[&adding]),
            Program::new("last part of a step", &[&adding, &self.update]),
        ]
    }
}
