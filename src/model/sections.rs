//! What a model's programs are made of: stretches of dispatches, recorded once.

use crate::config::{Config, Corruption, Posterior, TrainConfig};
use crate::engine::plan::Dispatch;
use crate::engine::{BufferId, Parameters, Plan, Program, ReportSpec, Tape, Tensor};
use crate::kernels::average::average;
use crate::kernels::bound::{Samples, divergence, weigh_samples, weighing};
use crate::kernels::corrupt::{self, corrupt};
use crate::kernels::finite::check_finite;
use crate::kernels::gather::{Shard, gather};
use crate::kernels::gaussian::{Divergence, Noise, gaussian};
use crate::kernels::importance::importance;
use crate::kernels::label::{append, gather_labels};
use crate::kernels::matmul::{Fusion, fuse};
use crate::kernels::optimizer::update;
use crate::kernels::philox::purpose;
use crate::kernels::random::draw_normals;
use crate::kernels::reduce::{Term, reduce, reports};
use crate::model::likelihood::likelihood;
use crate::model::network::{LayerNames, decoder, encoder};
use crate::model::objective::objective;
use crate::model::{EXTRA, KL, Programs, RECON, TrainingNoise};
use crate::nn::Network;

/// The tensors that do not depend on the layers.
pub(super) struct Room {
    pub(super) reports: ReportSpec,
    pub(super) x: Tensor,
    pub(super) image: Tensor,
    /// The class of each image, if the model is told.
    pub(super) label: Option<Tensor>,
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
        let labelled = config.model.classes > 0;
        let rows = batch * config.objective.z_per_image();
        Self {
            reports: reports(plan, &[RECON, KL, EXTRA]),
            x: plan.matrix("x", batch, pixels),
            image: plan.words("image", batch),
            label: labelled.then(|| plan.words("label", batch)),
            eps: plan.matrix("eps", rows, latent),
            at_mean: plan.matrix("eps at the mean", rows, latent),
            z: plan.matrix("z", rows, latent),
            kl: plan.vector("kl", batch),
            nll: plan.vector("nll", rows),
            extra: plan.vector("what else is minimised", batch),
            highest: plan.vector("highest importance weight", batch),
            total: plan.vector("sum of importance weights", batch),
        }
    }
}

/// What programs are made of: stretches of dispatches, recorded once.
pub(super) struct Sections {
    pub(super) h: Tensor,
    /// The codes, which a point posterior makes itself.
    pub(super) z: Tensor,
    pub(super) made: Tensor,
    pub(super) output_bias: Tensor,
    encoder: Vec<Dispatch>,
    posterior: Vec<Dispatch>,
    decoder: Vec<Dispatch>,
    likelihood: Vec<Dispatch>,
    /// What else is minimised: the weights of the samples, where it is a bound of weighed ones.
    bound: Vec<Dispatch>,
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
        let mut tape = Tape::new(plan);
        let mut sections = Self::forward(&mut tape, parameters, config, room, (noise, pixels));
        sections.learn(&mut tape, parameters, config, room);
        sections
    }

    /// Records the way from images to what is minimised.
    fn forward(
        tape: &mut Tape<'_>,
        parameters: &mut Parameters,
        config: &Config,
        room: &Room,
        (noise, pixels): (TrainingNoise, usize),
    ) -> Self {
        let &Room { x, image, label, eps, kl, nll, extra, .. } = room;
        let (model, goal) = (&config.model, &config.objective);
        let names = LayerNames::of(config);
        let told = |tape: &mut Tape<'_>, a, wants_da| match label {
            Some(label) => append(tape, (a, wants_da), label, model.classes),
            None => a,
        };
        let seen = corrupted(tape, &config.train, (image, x));
        let given = told(tape, seen, false);
        let h = encoder(Network { tape, parameters, model, image }, &names, given);
        let encoder = tape.take();
        let noise = match noise {
            TrainingNoise::Drawn => Noise::Drawn { image },
            TrainingNoise::Given => Noise::Given,
        };
        let weighs = goal.weighs();
        let kl_share = if weighs { divergence(goal.gradient) } else { Divergence::Whole };
        let z = match model.posterior {
            Posterior::Point => h,
            Posterior::Normal => {
                gaussian(tape, noise, h, (eps, room.z, kl), kl_share);
                room.z
            }
        };
        let samples = Samples { h, eps, z };
        let weighing = weighs.then(|| weighing(tape, samples, goal.importance, goal.gradient));
        let posterior = tape.take();
        let given = told(tape, z, true);
        let network = Network { tape, parameters, model, image };
        let made = decoder(network, &names, (given, goal.z_per_image()), pixels);
        let output_bias = parameters.list().last().expect("a decoder has a last layer").value;
        let decoder = tape.take();
        let gradients = likelihood(tape, parameters, config, (made, x), nll);
        let likelihood = tape.take();
        match weighing {
            Some(weighing) => weigh_samples(tape, weighing, &gradients, (nll, kl, extra)),
            None => objective(tape, config, (z, h), extra),
        }
        let bound = tape.take();
        let (learning, update, grads, end) = Default::default();
        Self {
            h,
            z,
            made,
            output_bias,
            encoder,
            posterior,
            decoder,
            likelihood,
            bound,
            learning,
            update,
            grads,
            end,
        }
    }

    /// Records the way back, the update and the reports.
    fn learn(
        &mut self,
        tape: &mut Tape<'_>,
        parameters: &mut Parameters,
        config: &Config,
        room: &Room,
    ) {
        let &Room { kl, nll, extra, .. } = room;
        let (reports, guard) = (&room.reports, room.reports.slots.guard);
        let recon = Term { name: RECON, of: nll, each: config.objective.z_per_image() };
        let kl = Term { name: KL, of: kl, each: 1 };
        let extra = Term { name: EXTRA, of: extra, each: 1 };
        tape.backward();
        // Among the gradients of parameters, which wait for nothing either, and before the update,
        // which a broken loss must stop.
        reduce(tape, reports, &[recon, kl, extra], true);
        self.learning = tape.take();
        if config.optimizer.average > 0.0 {
            parameters.make_averages(tape.plan);
        }
        let arenas = parameters.arenas(tape.plan);
        for arena in &arenas {
            check_finite(tape, arena.grads, guard);
        }
        update(tape, &config.optimizer, &arenas, guard);
        for arena in &arenas {
            if let Some(averages) = parameters.average_of(arena.values) {
                average(tape, guard, arena.values, averages);
            }
        }
        self.update = tape.take();
        self.grads = arenas.iter().map(|arena| arena.grads.buffer()).collect();
        reduce(tape, reports, &[recon, kl], false);
        self.end = tape.take();
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
        let &Room { x, image, label, eps, at_mean, kl, nll, highest, total, .. } = room;
        let z = self.z;
        let pixels = config.train.pixels;
        let mut tape = Tape::new(plan);
        let mut gathered = |shards| {
            gather(&mut tape, shards, pixels, (x, image));
            if let Some(label) = label {
                gather_labels(&mut tape, shards, image, label);
            }
            tape.take()
        };
        let (gather_train, gather_test) = (gathered(train), gathered(test));
        // A point is its own mean and its own draw, and has no density to weigh.
        let normal = config.model.posterior == Posterior::Normal;
        if normal {
            gaussian(&mut tape, Noise::Given, self.h, (at_mean, z, kl), Divergence::Elsewhere);
        }
        let mean = tape.take();
        if normal {
            gaussian(
                &mut tape,
                Noise::Drawn { image },
                self.h,
                (eps, z, kl),
                Divergence::Elsewhere,
            );
        }
        let drawn = tape.take();
        draw_normals(&mut tape, purpose::NOISE, z);
        let prior = tape.take();
        if normal {
            importance(&mut tape, (nll, self.h), (eps, z), (highest, total));
        }
        let weigh = tape.take();

        let Self { encoder, posterior, decoder, likelihood, bound, learning, .. } = self;
        let Self { update, end, .. } = self;
        let look = |name: &str, sample: &Vec<Dispatch>| {
            Program::new(name, &[&gather_test, encoder, sample, decoder, likelihood, end])
        };
        let forward = [gather_train.as_slice(), encoder, posterior, decoder, likelihood];
        let gradients = [&forward[..], &[bound, learning]].concat().concat();
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

/// What the encoder sees of images x.
fn corrupted(tape: &mut Tape<'_>, config: &TrainConfig, (image, x): (Tensor, Tensor)) -> Tensor {
    let level = config.corruption_level;
    match config.corruption {
        Corruption::None => x,
        Corruption::Mask => corrupt(tape, corrupt::Noise::Mask(level), (image, x)),
        Corruption::Normal => corrupt(tape, corrupt::Noise::Normal(level), (image, x)),
    }
}
