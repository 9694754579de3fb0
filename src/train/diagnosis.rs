//! What is wrong with a model that trains, as far as its losses and its codes can tell.

use std::fmt::{self, Display};

use crate::config::{Likelihood, ModelConfig, Scale};
use crate::error::Result;
use crate::evaluate::{Dimension, Evaluation, used};
use crate::metrics::{Losses, Nats};
use crate::train::Trainer;

/// Before so many steps a model has no codes to speak of.
const FIRST_STEPS: u64 = 100;

/// Test images that codes are judged by.
const ASKED: usize = 1000;

/// The largest pixel that a network learns well from.
pub(super) const LARGE: f32 = 100.0;

/// How far a fixed scale may be from the data's deviation.
const FAR: f64 = 4.0;

/// What is wrong with a model.
#[derive(Clone, Debug, PartialEq)]
pub enum Diagnosis {
    /// It is worse than one that makes the same of every image.
    Worse {
        /// The test loss, nats per image.
        loss: f64,
        /// That of the best model that makes the same of every image.
        constant: f64,
        /// The KL, if it is far above what tells all images apart, and that.
        kl: Option<[f64; 2]>,
        /// The largest pixel, if it is so large that training cannot do well.
        large: Option<f32>,
    },
    /// Most dimensions of z say nothing of the image.
    Collapsed {
        /// The dimensions that do.
        active: usize,
        /// All of them.
        all: usize,
        /// The fixed scale of the likelihood and the deviation of the data, if those are to blame.
        scale: Option<[f64; 2]>,
    },
}

impl Diagnosis {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Worse { large: Some(_), .. } => {
                "`--range standardise` brings the pixels near 1, `--range columns` each column"
            }
            Self::Worse { kl: Some(_), .. } => {
                "training has diverged: start again with a lower learning rate (`--lr`)"
            }
            Self::Worse { .. } => "train longer, or try another learning rate (`--lr`)",
            Self::Collapsed { scale: Some(_), .. } => "`--scale shared` learns the scale",
            Self::Collapsed { .. } => {
                "this is posterior collapse: try `--set objective.free-bits=0.2`, KL annealing \
                 (`--set objective.warmup-steps=1000`) or a smaller `--beta`"
            }
        }
    }

    /// Whether both are of one kind, however far they went.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worse { loss, constant, kl, large } => {
                write!(
                    f,
                    "the held-out loss is {:.2}: worse than {constant:.2}, that of the best constant image",
                    Nats(*loss)
                )?;
                if let Some([kl, enough]) = kl {
                    write!(
                        f,
                        "; its KL is {:.2}, and {enough:.2} nats suffice to tell all images apart",
                        Nats(*kl)
                    )?;
                }
                large.map_or(Ok(()), |pixel| write!(f, "; pixels go up to {pixel}"))
            }
            Self::Collapsed { active, all, scale } => {
                write!(
                    f,
                    "only {active} of {all} dimensions of z are active; the others carry no information"
                )?;
                let Some([sigma, deviation]) = scale else { return Ok(()) };
                write!(
                    f,
                    "; the likelihood's scale is fixed at {sigma}, but the pixels' standard deviation is \
                     {deviation:.3}"
                )
            }
        }
    }
}

/// The fixed scale of a likelihood and the deviation of pixels, if they are far apart.
#[must_use]
pub fn scale_is_far(model: &ModelConfig, deviation: f64) -> Option<[f64; 2]> {
    let scaled = matches!(model.likelihood, Likelihood::Normal | Likelihood::Laplace);
    let ratio = deviation / model.sigma;
    let far = scaled && model.scale == Scale::Fixed && !(1.0 / FAR..=FAR).contains(&ratio);
    far.then_some([model.sigma, deviation])
}

impl Trainer {
    /// The deviation of the training images' pixels: the root of their mean variance.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        self.deviation
    }

    /// What the dimensions of z say of the first test images, level by level from below upwards, and what is wrong with the
    /// model, if it can be known after so few steps.
    ///
    /// # Errors
    ///
    /// As [`advance`](Self::advance).
    pub fn diagnose(
        &mut self,
        test: &Evaluation,
    ) -> Result<(Vec<Vec<Dimension>>, Option<Diagnosis>)> {
        let (steps, constant, deviation) = (self.trained.step, self.constant, self.deviation);
        // A code that tells each image from all others has so many nats.
        let enough = (self.images as f64).ln();
        let model = self.model()?;
        let (config, asked) = (model.config.model.clone(), model.images().min(ASKED));
        let levels = model.dimensions(0..asked)?;
        let pixel = model.reading().shown.iter().fold(0.0, |most: f32, v| most.max(v.abs()));
        let Losses { loss, kl, .. } = test.sampled;
        let kl = Some([kl, enough]).filter(|[kl, enough]| *kl > 4.0 * enough + 20.0);
        let early = steps < FIRST_STEPS;
        let large = Some(pixel).filter(|&pixel| pixel > LARGE);
        let worse = |constant| Diagnosis::Worse { loss, constant, kl, large };
        let above = constant.filter(|&constant| loss > constant);
        // What the decoder takes; levels above it may well say nothing.
        let (used, all) = (used(&levels[0], asked), config.latent);
        let found = match (above, kl) {
            // Even early: nothing makes such codes but steps that are too long.
            (Some(constant), Some([kl, _])) if !early || kl > 1e4 => Some(worse(constant)),
            _ if early => None,
            _ if config.posterior.is_density() && 2 * used < all => {
                let scale = scale_is_far(&config, deviation);
                Some(Diagnosis::Collapsed { active: used, all, scale })
            }
            (above, _) => above.map(worse),
        };
        Ok((levels, found))
    }
}
