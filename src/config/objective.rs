//! What is minimised.

use serde::{Deserialize, Serialize};

use crate::config::MOST_SAMPLES;
use crate::config::validate::{apart, fail, has_effect, positive, within};
use crate::error::Result;

/// The most steps of a schedule, as of training.
const MOST_STEPS: u64 = u32::MAX as u64;

/// What of a batch is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Reduction {
    /// The sum over the images, as the PyTorch example does.
    Sum,
    /// The mean over the images.
    Mean,
}

/// How the KL divergence is estimated (Kingma and Welling 2014, section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KlEstimate {
    /// By its formula: their estimator B, eq. 7.
    Analytic,
    /// log q(z | x) − log p(z) at each z that is drawn: their estimator A, eq. 6.
    Sampled,
}

/// Which estimate of the encoder's gradient is taken; the decoder's is the standard one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gradient {
    /// The derivative of what is minimised.
    Standard,
    /// Sticking the landing (Roeder et al. 2017): the path through z alone, without the score of q. With
    /// `importance` above 1 it is biased (Tucker et al. 2018, section 3).
    Stl,
    /// Doubly reparameterised (Tucker et al. 2018, eq. 8): unbiased for every `importance`.
    Dreg,
}

impl Gradient {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Standard, Self::Stl, Self::Dreg];

    /// The number that shaders know it by.
    #[must_use]
    pub fn code(self) -> u32 {
        self as u32
    }
}

/// What is minimised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ObjectiveConfig {
    /// The weight of the KL divergence (Higgins et al. 2017); 1 is the ELBO.
    pub beta: f64,
    /// Sum or mean over the batch.
    pub reduction: Reduction,
    /// Steps over which β rises linearly from 0 (Bowman et al. 2016, Sønderby et al. 2016); with 0 it
    /// is whole from the first on.
    pub warmup_steps: u64,
    /// Steps of a cycle, in each of which β rises anew from 0 (Fu et al. 2019, eq. 6); 0 is none.
    pub cycle_steps: u64,
    /// The share of a cycle in which β rises, R of Fu et al. 2019.
    pub cycle_rise: f64,
    /// λ: nats of KL, the mean over the minibatch, that each dimension of z has for nothing (Kingma et
    /// al. 2016, eq. 15), or where z has several levels, each level.
    pub free_bits: f64,
    /// Steps after which none is free any more; with 0 they always are.
    pub free_bits_steps: u64,
    /// C: nats of KL that are aimed at, by β · |KL − C| in the place of β · KL (Burgess et al. 2018,
    /// eq. 8); 0 aims at none.
    pub capacity: f64,
    /// Steps over which C rises linearly from 0.
    pub capacity_steps: u64,
    /// The weight of the total correlation of z, beyond its share in the KL divergence (Chen et al.
    /// 2018, eq. 4); 1 is the ELBO.
    pub total_correlation: f64,
    /// The weight of the squared maximum mean discrepancy of the codes and the prior (Zhao et al.
    /// 2019, eq. 6); 0 is none.
    pub mmd: f64,
    /// The width of its kernel, exp(−‖a − b‖² / (latent · scale)). 2 makes ‖a − b‖² of two draws of the
    /// prior as large as the divisor (Tolstikhin et al. 2018, section 4); Zhao's own code has `latent`.
    pub mmd_scale: f64,
    /// Estimates of the bound that are averaged for each image: L of Kingma and Welling 2014, eq. 7, or
    /// with `importance` above 1 M of Rainforth et al. 2018, eq. 9.
    pub samples: usize,
    /// z's under one logarithm: K of Burda et al. 2016, eq. 8; 1 is the ELBO.
    pub importance: usize,
    /// How the encoder's gradient is estimated.
    pub gradient: Gradient,
    /// How the KL divergence is estimated; with `importance` above 1 it is always sampled.
    pub kl: KlEstimate,
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self {
            beta: 1.0,
            reduction: Reduction::Sum,
            warmup_steps: 0,
            cycle_steps: 0,
            cycle_rise: 0.5,
            free_bits: 0.0,
            free_bits_steps: 0,
            capacity: 0.0,
            capacity_steps: 0,
            total_correlation: 1.0,
            mmd: 0.0,
            mmd_scale: 2.0,
            samples: 1,
            importance: 1,
            gradient: Gradient::Standard,
            kl: KlEstimate::Analytic,
        }
    }
}

impl ObjectiveConfig {
    /// How many z each image has.
    #[must_use]
    pub fn z_per_image(&self) -> usize {
        self.samples.saturating_mul(self.importance)
    }

    /// Whether z's are weighed: what is minimised is made of log p(x, z) / q(z | x) at each.
    #[must_use]
    pub fn weighs(&self) -> bool {
        self.importance > 1 || self.kl == KlEstimate::Sampled
    }

    /// Whether what is minimised is the loss that is reported, reconstruction + KL.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        let Self { reduction, samples, .. } = *self;
        *self == Self { reduction, samples, ..Self::default() }
    }

    /// Whether pairs of a minibatch's images are compared.
    pub(crate) fn pairs(&self) -> bool {
        self.total_correlation != 1.0 || self.mmd != 0.0
    }

    /// What a model needs that is used and not trained: one z of each image.
    pub(crate) fn to_use(&self) -> Self {
        let Self { samples, importance, gradient, .. } = Self::default();
        // With several z under one logarithm the KL divergence was sampled too.
        let kl = if self.weighs() { KlEstimate::Sampled } else { self.kl };
        Self { samples, importance, gradient, kl, ..self.clone() }
    }

    pub(super) fn validate(&self) -> Result<()> {
        within("beta", self.beta, 0.0, 1e6)?;
        if !(self.cycle_rise > 0.0 && self.cycle_rise <= 1.0) {
            return fail("cycle-rise", &self.cycle_rise, "a number above 0 and at most 1");
        }
        for (name, steps) in [
            ("warmup-steps", self.warmup_steps),
            ("cycle-steps", self.cycle_steps),
            ("capacity-steps", self.capacity_steps),
        ] {
            if steps > MOST_STEPS {
                return fail(name, &steps, &format!("at most {MOST_STEPS}"));
            }
        }
        within("free-bits", self.free_bits, 0.0, 1e6)?;
        within("capacity", self.capacity, 0.0, 1e6)?;
        within("total-correlation", self.total_correlation, 0.0, 1e6)?;
        within("mmd", self.mmd, 0.0, 1e9)?;
        positive("mmd-scale", self.mmd_scale, 1e6)?;
        let default = Self::default();
        let scheduled = self.cycle_steps > 0;
        has_effect(
            "cycle-rise",
            self.cycle_rise == default.cycle_rise || scheduled,
            "cycle-steps",
        )?;
        has_effect(
            "capacity-steps",
            self.capacity_steps == 0 || self.capacity > 0.0,
            "a capacity",
        )?;
        let free = self.free_bits > 0.0;
        has_effect("free-bits-steps", self.free_bits_steps == 0 || free, "`free-bits`")?;
        has_effect("mmd-scale", self.mmd_scale == default.mmd_scale || self.mmd > 0.0, "mmd")?;
        for (name, set) in [
            ("warmup-steps", self.warmup_steps > 0),
            ("cycle-steps", scheduled),
            ("free-bits", self.free_bits > 0.0),
            ("capacity", self.capacity > 0.0),
        ] {
            has_effect(name, !set || self.beta > 0.0, "a beta above 0")?;
        }
        // A KL that is to be small beyond what is free has no size to aim at, and β one course.
        apart("free-bits", "capacity", self.free_bits > 0.0 && self.capacity > 0.0)?;
        apart("warmup-steps", "cycle-steps", self.warmup_steps > 0 && scheduled)?;
        self.validate_samples()
    }

    /// Judges how many z an image has, and what becomes of them.
    fn validate_samples(&self) -> Result<()> {
        for (name, count) in [("samples", self.samples), ("importance", self.importance)] {
            if !(1..=MOST_SAMPLES).contains(&count) {
                return fail(name, &count, &format!("between 1 and {MOST_SAMPLES}"));
            }
        }
        if self.z_per_image() > MOST_SAMPLES {
            let all = format!("{}, with {} samples", self.importance, self.samples);
            return fail("importance", &all, &format!("at most {MOST_SAMPLES} z's of an image"));
        }
        let weighted = self.importance > 1;
        if weighted && self.beta != 1.0 {
            return fail(
                "beta",
                &self.beta,
                "1 with `importance` above 1, whose bound has no KL part",
            );
        }
        let sampled = self.kl == KlEstimate::Sampled;
        has_effect("kl", !(sampled && weighted), "`importance = 1`")?;
        match self.gradient {
            Gradient::Standard => Ok(()),
            Gradient::Stl => has_effect(
                "gradient",
                self.weighs(),
                "`--set objective.kl=sampled` or `--importance` above 1",
            ),
            Gradient::Dreg => has_effect("gradient", weighted, "`--importance` above 1"),
        }?;
        self.weighs_alone()
    }

    /// Refuses what has no meaning where several z are weighed, or compared within the minibatch.
    fn weighs_alone(&self) -> Result<()> {
        let pairs =
            [("total-correlation", self.total_correlation != 1.0), ("mmd", self.mmd != 0.0)];
        let of_kl = [("capacity", self.capacity > 0.0)];
        for (name, set) in pairs {
            has_effect(
                name,
                !set || self.z_per_image() == 1,
                "one z of each image (`--samples 1`)",
            )?;
        }
        for (name, set) in pairs.into_iter().chain(of_kl) {
            has_effect(name, !set || !self.weighs(), "`kl = \"analytic\"` and `importance = 1`")?;
        }
        for (name, set) in [("warmup-steps", self.warmup_steps), ("cycle-steps", self.cycle_steps)]
        {
            has_effect(name, set == 0 || self.importance == 1, "`importance = 1`")?;
        }
        Ok(())
    }

    /// Refuses what is about KL divergences, where there is none.
    pub(super) fn has_no_divergence(&self) -> Result<()> {
        for (name, set) in [
            ("beta", self.beta != Self::default().beta),
            ("warmup-steps", self.warmup_steps > 0),
            ("cycle-steps", self.cycle_steps > 0),
            ("free-bits", self.free_bits > 0.0),
            ("capacity", self.capacity > 0.0),
            ("total-correlation", self.total_correlation != 1.0),
            ("samples", self.samples > 1),
            ("importance", self.importance > 1),
            ("kl", self.kl == KlEstimate::Sampled),
        ] {
            has_effect(name, !set, "`posterior = \"normal\"`")?;
        }
        Ok(())
    }
}
