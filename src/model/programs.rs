//! Records a model's programs, each from the images to what it is for.

mod fused;
mod minibatch;

use crate::config::{Activation, Config, Corruption, ImageSize};
use crate::engine::{BufferId, Dispatch, Program, Tape, Tensor};
use crate::kernels::bound::{self, bound};
use crate::kernels::corrupt::{PixelNoise, corrupt};
use crate::kernels::counts;
use crate::kernels::draw::Draw;
use crate::kernels::importance::{Sums, importance};
use crate::kernels::label::append;
use crate::kernels::likelihood::Observed;
use crate::kernels::matmul::{
    Affine, Bytes, Compared, DrawAt, Input, linear, linear_bernoulli, linear_draw,
};
use crate::kernels::norm::NormAt;
use crate::kernels::optimizer::{learn, settle};
use crate::kernels::reduce::{Term, reduce};
use crate::model::draw::{Drawn, Sampling};
use crate::model::likelihood::likelihood;
use crate::model::objective::objective;
use crate::model::{
    Architecture, EXTRA, GRADIENT_NORM, KL, LevelPorts, Part, Ports, RECON, TrainingNoise, Use,
};
use crate::nn::{Network, Top};

/// The losses of a minibatch: tensors that add up to them.
#[derive(Clone, Copy, Debug)]
struct Losses {
    nll: Tensor,
    kl: Tensor,
}

/// What a recording has made that hosts read and write.
#[derive(Clone, Debug)]
pub(super) struct Made {
    /// What the encoder's last hidden layer makes of the minibatch, if it has such a layer.
    pub(super) hidden: Option<Tensor>,
    pub(super) h: Tensor,
    pub(super) z: Tensor,
    pub(super) made: Tensor,
    /// The components of a learned prior.
    pub(super) components: Option<Tensor>,
    /// The levels of z above the first.
    pub(super) above: Vec<LevelPorts>,
    /// What the way up makes.
    pub(super) up: Vec<Tensor>,
}

/// A program that is being recorded.
pub(super) struct Recorder<'v> {
    pub(super) tape: Tape<'v>,
    pub(super) config: &'v Config,
    pub(super) ports: &'v Ports,
    pub(super) networks: &'v Architecture,
    pub(super) size: ImageSize,
}

impl<'v> Recorder<'v> {
    /// Records what a model is asked for; beside it the buffers of gradients that are not of parameters.
    pub(super) fn record(mut self, wanted: Use, noise: TrainingNoise) -> (Program, Vec<BufferId>) {
        let drawn = noise == TrainingNoise::Drawn;
        let noise = if drawn { Sampling::Drawn } else { Sampling::Given };
        let dispatches = match wanted {
            Use::Step(fusion) | Use::LoggedStep(fusion) => {
                self.tape = self.tape.fused(fusion);
                let logged = matches!(wanted, Use::LoggedStep(_));
                self.step(noise, logged.then(|| self.norm_at()));
                self.tape.take()
            }
            Use::Part(part) => self.part(part, noise),
            _ => {
                self.look(wanted);
                self.tape.take()
            }
        };
        (Program::new(wanted.name(), &[&dispatches]), self.tape.gradients())
    }

    /// Where the norm of the gradient is reported.
    fn norm_at(&self) -> NormAt {
        NormAt::of(&self.ports.reports, GRADIENT_NORM)
    }

    /// Records a whole step, which reports the norm of the gradient if there is a place for it.
    fn step(&mut self, noise: Sampling, norm: Option<NormAt>) {
        let losses = self.forward(noise);
        let (optimizer, guard) = (&self.config.optimizer, self.ports.reports.slots.guard);
        let (ports, samples) = (self.ports, self.config.objective.z_per_image());
        learn(&mut self.tape, optimizer, (guard, norm), |tape| {
            report(tape, ports, losses, samples, true);
        });
    }

    /// Records a part of a step: what makes gradients, storing or adding them, and at last the update.
    fn part(&mut self, part: Part, noise: Sampling) -> Vec<Dispatch> {
        let losses = self.forward(noise);
        self.tape.backward();
        self.report(losses, true);
        let stored = self.tape.take();
        if part == Part::First {
            return stored;
        }
        let Tape { plan, parameters, .. } = &mut self.tape;
        let ranges = parameters.ranges(&[]).into_iter();
        let grads: Vec<_> =
            ranges.map(|values| parameters.arena(plan, values).grads.buffer()).collect();
        let mut adding: Vec<_> = stored.into_iter().map(|d| d.adding(&grads)).collect();
        if matches!(part, Part::Last | Part::LoggedLast) {
            let norm = (part == Part::LoggedLast).then(|| self.norm_at());
            let (optimizer, guard) = (&self.config.optimizer, self.ports.reports.slots.guard);
            settle(&mut self.tape, optimizer, (guard, norm), Vec::new());
            adding.append(&mut self.tape.take());
        }
        adding
    }

    /// Records what only looks: the parameters are their averages, where these are made.
    fn look(&mut self, wanted: Use) {
        self.tape.use_averages();
        let &Ports { z, nll, kl, log_ratio, highest, total, .. } = self.ports;
        match wanted {
            Use::Evaluate => {
                self.losses(Sampling::Drawn);
                return;
            }
            Use::EvaluateAtMean => {
                self.losses(Sampling::Mean);
                return;
            }
            Use::Encode => {
                let prior = self.prior();
                let (_, h) = self.posterior_of_test_images();
                let up = self.ascend(h);
                self.draw(&up, Sampling::Drawn, prior);
            }
            Use::Weigh => {
                let (prior, ports) = (self.known_prior(), self.ports);
                self.draw(&ports.up, Sampling::Drawn, prior);
                let made = self.decode(z);
                self.compare(made);
                if self.draws() {
                    importance(&mut self.tape, nll, log_ratio, Sums { highest, total });
                }
            }
            Use::Prior => {
                self.prior();
                self.draw_noise();
            }
            Use::Descend => self.descend(),
            Use::Decode => {
                self.decode(z);
            }
            Use::Step(_) | Use::LoggedStep(_) | Use::Part(_) => {
                unreachable!("steps do more than look")
            }
        }
        self.report(Losses { nll, kl }, false);
    }

    /// Records the losses of test images, as [`Use::Evaluate`] does.
    pub(super) fn first(mut self) -> (Made, Program) {
        self.tape.use_averages();
        let made = self.losses(Sampling::Drawn);
        (made, Program::new(Use::Evaluate.name(), &[&self.tape.take()]))
    }

    fn losses(&mut self, noise: Sampling) -> Made {
        let prior = self.prior();
        let (hidden, h) = self.posterior_of_test_images();
        let up = self.ascend(h);
        let Drawn { draw: Draw { z, .. }, h, above } = self.draw(&up, noise, prior);
        let made = self.decode(z);
        self.compare(made);
        let &Ports { nll, kl, .. } = self.ports;
        self.report(Losses { nll, kl }, false);
        Made { hidden, h, z, made, components: prior.map(|prior| prior.parts), above, up }
    }

    /// What the encoder's last hidden layer makes of test images, if it has one, and their posterior.
    fn posterior_of_test_images(&mut self) -> (Option<Tensor>, Tensor) {
        self.gather(&self.ports.test);
        let top = self.encoder(None);
        let (path, layer) = self.posterior(top);
        let hidden = if let Input::Made(hidden) = top { Some(hidden) } else { None };
        (hidden, linear(&mut self.tape, &path, top, layer, Activation::Identity))
    }

    /// Records the way from the training images to what is minimised.
    fn forward(&mut self, noise: Sampling) -> Losses {
        let fused = self.fused(noise);
        let &Ports { x, image, eps, z, nll, extra, .. } = self.ports;
        let goal = &self.config.objective;
        let prior = self.prior();
        let bytes = fused.bytes.then(|| {
            let shard = self.ports.train[0];
            Bytes { pixels: shard.data, image, cols: x.cols(), stride: shard.stride() }
        });
        if bytes.is_none() {
            self.gather_to_learn();
        }
        let top = self.encoder(bytes);
        if bytes.is_some() {
            // Their images are chosen by now.
            self.gather_labels(&self.ports.train);
        }
        let (path, layer) = self.posterior(top);
        let (h, draw, above) = if fused.draw {
            let at = DrawAt { image, eps, z, site: 0 };
            let (h, draw) = linear_draw(&mut self.tape, &path, top, layer, at);
            (h, draw, Vec::new())
        } else {
            let h = linear(&mut self.tape, &path, top, layer, Activation::Identity);
            let up = self.ascend(h);
            let Drawn { draw, above, .. } = self.draw(&up, noise, prior);
            (h, draw, above)
        };
        let top = self.decoder(draw.z);
        let (nll, gradients) = if fused.bernoulli {
            let networks = self.networks;
            let top = self.network().rows(top).tensor();
            let (_, layer) = self.network().last_affine(&networks.decoder, top.cols());
            let images = bytes.map_or(Input::Data(x), Input::Bytes);
            let Compared { nll, dlogits } = linear_bernoulli(&mut self.tape, top, layer, images);
            (nll, vec![dlogits])
        } else {
            let made = self.made(top);
            (nll, self.compare(made))
        };
        if goal.weighs() {
            let way = (goal.importance, goal.gradient);
            let losses = bound::Losses { nll, extra };
            bound(&mut self.tape, draw, way, losses, &gradients);
            if goal.free_bits > 0.0 {
                self.free_levels(draw, &above, extra);
            }
        } else {
            objective(&mut self.tape, self.config, (draw.z, h), extra);
        }
        Losses { nll, kl: draw.kl }
    }

    pub(super) fn network(&mut self) -> Network<'_, 'v> {
        let (model, image) = (&self.config.model, self.ports.image);
        Network { tape: &mut self.tape, model, image }
    }

    /// Records the hidden layers of the encoder, over the minibatch that was gathered or its bytes.
    fn encoder(&mut self, bytes: Option<Bytes>) -> Input {
        let &Ports { x, image, .. } = self.ports;
        let x = match bytes {
            // The class lies behind the pixels already.
            Some(bytes) => {
                Input::Bytes(Bytes { cols: bytes.cols + self.config.model.classes, ..bytes })
            }
            None => {
                let level = self.config.train.corruption_level;
                let noise = match self.config.train.corruption {
                    Corruption::None => None,
                    Corruption::Mask => Some(PixelNoise::Mask(level)),
                    Corruption::Normal => Some(PixelNoise::Normal(level)),
                };
                let x = match self.config.model.likelihood.is_of_counts() {
                    true => counts::see(&mut self.tape, x),
                    false => x,
                };
                let seen = noise.map_or(x, |noise| corrupt(&mut self.tape, noise, (image, x)));
                Input::Data(self.told(seen, false))
            }
        };
        self.hidden_of(x)
    }

    /// Records the hidden layers of the encoder, of what they see.
    pub(super) fn hidden_of(&mut self, x: Input) -> Input {
        let (networks, mut network) = (self.networks, self.network());
        let top = network.hidden(&networks.encoder, x, 1);
        network.rows(top)
    }

    /// The path and the parameters of the layer that makes h = [μ | log σ²], or the point.
    pub(super) fn posterior(&mut self, top: Input) -> (String, Affine) {
        let networks = self.networks;
        self.network().last_affine(&networks.encoder, top.cols())
    }

    /// Records the hidden layers of the decoder.
    fn decoder(&mut self, z: Tensor) -> Top {
        let samples = self.config.objective.z_per_image();
        let given = self.told(z, true);
        let networks = self.networks;
        self.network().hidden(&networks.decoder, Input::Made(given), samples)
    }

    /// Records the layer that makes what the likelihood takes, block by block.
    fn made(&mut self, top: Top) -> Tensor {
        let networks = self.networks;
        self.network().last(&networks.decoder, top, networks.made.len)
    }

    /// Records what the decoder makes of z.
    fn decode(&mut self, z: Tensor) -> Tensor {
        let top = self.decoder(z);
        self.made(top)
    }

    /// Records −log p(x | z) of what was made; the gradients that are made at once, a row or a number each
    /// of a row of that.
    fn compare(&mut self, made: Tensor) -> Vec<Tensor> {
        let (&Ports { x, nll, .. }, blocks) = (self.ports, self.networks.made);
        likelihood(&mut self.tape, &self.config.model, Observed { made, blocks, x, nll })
    }

    /// What a conditional model's networks see: a with the class of its image.
    fn told(&mut self, a: Tensor, wants_da: bool) -> Tensor {
        match self.ports.label {
            Some(label) => append(&mut self.tape, (a, wants_da), label, self.config.model.classes),
            None => a,
        }
    }

    fn report(&mut self, losses: Losses, judged: bool) {
        let samples = self.config.objective.z_per_image();
        report(&mut self.tape, self.ports, losses, samples, judged);
    }
}

/// Records the sums of the losses.
fn report(tape: &mut Tape<'_>, ports: &Ports, losses: Losses, samples: usize, judged: bool) {
    let Losses { nll, kl } = losses;
    let recon = Term { name: RECON, of: nll, each: samples };
    let kl = Term { name: KL, of: kl, each: 1 };
    let extra = Term { name: EXTRA, of: ports.extra, each: 1 };
    // What only looks has no objective.
    let terms = if judged { &[recon, kl, extra][..] } else { &[recon, kl] };
    reduce(tape, &ports.reports, terms, judged);
}
