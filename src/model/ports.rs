//! The tensors of a model that hosts write and read.

use crate::config::Config;
use crate::engine::{Plan, ReportSpec, Tensor};
use crate::kernels::gather::Shard;
use crate::kernels::reduce::reports;
use crate::model::{EXTRA, GRADIENT_NORM, KL, RECON};

/// The tensors of a model that hosts write and read.
///
/// Shapes, with n the images that are computed at once and s the z's of each: `x` (n, pixels),
/// `h` (n, 2 · latent) = [μ | log σ²], `eps` and `z` (n · s, latent) and `made` (n · s, all blocks), which lies as
/// [`Blocks`](crate::config::Blocks) say, image by image; `kl` (n), `nll` and `log_ratio` (n · s)
/// in nats. Of a plain autoencoder `h` (n, latent) is `z`, and `kl` is zero. A program that is fused
/// does not fill them all.
#[derive(Clone, Debug)]
pub struct Ports {
    /// What its programs report: [`RECON`], [`KL`] and, where they learn, [`EXTRA`]; logged steps [`GRADIENT_NORM`] too.
    pub reports: ReportSpec,
    /// The training images.
    pub train: Vec<Shard>,
    /// The test images.
    pub test: Vec<Shard>,
    /// The minibatch.
    pub x: Tensor,
    /// Which images of the dataset the minibatch is.
    pub image: Tensor,
    /// The class of each image of the minibatch, if the model is told.
    pub label: Option<Tensor>,
    /// What the encoder's last hidden layer makes (n, units), if it has such a layer.
    pub hidden: Option<Tensor>,
    /// Mean and log-variance of the posterior, or the point; of a ladder those of each z (n · s, 2 · latent).
    pub h: Tensor,
    /// ε.
    pub eps: Tensor,
    /// ε = 0, for z = μ.
    pub(super) at_mean: Tensor,
    /// The latent.
    pub z: Tensor,
    /// What the decoder made, block by block, logits or locations first.
    pub made: Tensor,
    /// −log p(x | z) of each z.
    pub nll: Tensor,
    /// KL divergence of each image.
    pub kl: Tensor,
    /// log p(z) − log q(z | x) of each z.
    pub log_ratio: Tensor,
    /// [μ | log σ²] of the components of a learned prior (K, 2 · latent), as the parameters or the encoder have them.
    pub components: Option<Tensor>,
    /// The levels of z above the first.
    pub above: Vec<LevelPorts>,
    /// [μ | log σ²] that the way up makes of each level (n, 2 · its latent), from below upwards, of which z is drawn with no more
    /// of the image: those of a ladder, or of the first level alone.
    pub up: Vec<Tensor>,
    /// What else is minimised, of each image.
    pub extra: Tensor,
    /// The largest logarithm of an importance weight of each image.
    pub highest: Tensor,
    /// The sum of each image's importance weights over the exponential of `highest`.
    pub total: Tensor,
}

/// The tensors of a level of z above another, whose rows are those of the z below; h of a ladder's highest level has a row for each image.
#[derive(Clone, Copy, Debug)]
pub struct LevelPorts {
    /// [μ | log σ²] of its posterior (n · s, 2 · latent).
    pub h: Tensor,
    /// ε (n · s, latent).
    pub eps: Tensor,
    /// The latent (n · s, latent).
    pub z: Tensor,
    /// log p − log q of this level and those above it, of each z, in nats.
    pub log_ratio: Tensor,
    /// [μ | log σ²] of the prior of the z below (n · s, 2 · its latent).
    pub prior: Tensor,
}

impl Ports {
    /// Makes room for what does not depend on the network; what does comes with the first recording.
    pub(super) fn new(
        plan: &mut Plan,
        config: &Config,
        pixels: usize,
        data: [Vec<Shard>; 2],
    ) -> Self {
        let (batch, latent) = (config.train.part_size(), config.model.latent);
        let rows = batch * config.objective.z_per_image();
        let [train, test] = data;
        let z = plan.matrix("z", rows, latent);
        Self {
            reports: reports(plan, &[RECON, KL, EXTRA, GRADIENT_NORM]),
            train,
            test,
            x: plan.matrix("x", batch, pixels),
            image: plan.words("image", batch),
            label: (config.model.classes > 0).then(|| plan.words("label", batch)),
            hidden: None,
            h: z,
            eps: plan.matrix("eps", rows, latent),
            at_mean: plan.matrix("eps at the mean", rows, latent),
            z,
            made: z,
            nll: plan.vector("nll", rows),
            kl: plan.vector("kl", batch),
            log_ratio: plan.vector("log-ratio", rows),
            components: None,
            above: Vec::new(),
            up: Vec::new(),
            extra: plan.vector("what else is minimised", batch),
            highest: plan.vector("highest importance weight", batch),
            total: plan.vector("sum of importance weights", batch),
        }
    }

    /// What holds something when no program runs, but for the data, which no program writes.
    pub(super) fn tensors(&self) -> Vec<Tensor> {
        let &Self { x, image, label, hidden, h, eps, at_mean, z, made, nll, kl, .. } = self;
        let &Self { log_ratio, components, extra, highest, total, ref reports, .. } = self;
        let slots = reports.slots;
        let always =
            [x, image, h, eps, at_mean, z, made, nll, kl, log_ratio, extra, highest, total];
        let reported = [slots.values, slots.guard];
        let above = self.above.iter().flat_map(|of| [of.h, of.eps, of.z, of.log_ratio, of.prior]);
        [label, hidden, components]
            .into_iter()
            .flatten()
            .chain(above)
            .chain(self.up.iter().copied())
            .chain(always)
            .chain(reported)
            .collect()
    }
}
