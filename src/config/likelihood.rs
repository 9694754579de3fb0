//! p(x | z), and the facts of its families.

use serde::{Deserialize, Serialize};

use crate::config::ModelConfig;

/// p(x | z): how what the decoder makes is compared with the image, pixel by pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Likelihood {
    /// Each pixel is a coin with the decoder's logit; grey pixels are soft targets.
    Bernoulli,
    /// Each pixel has the density C(λ) λˣ (1 − λ)¹⁻ˣ on [0, 1], with the decoder's logit of λ
    /// (Loaiza-Ganem and Cunningham 2019, eq. 4 to 8).
    ContinuousBernoulli,
    /// Each pixel is normal round the decoder's location.
    Normal,
    /// Each pixel has a Laplace density round the decoder's location.
    Laplace,
    /// Each pixel is one of `levels` levels, whose bin a logistic distribution round the decoder's
    /// location hits (Kingma et al. 2016, appendix; Salimans et al. 2017, eq. 2).
    Logistic,
    /// As `Logistic`, of a mixture of `components` (Salimans et al. 2017, section 2.1).
    LogisticMixture,
    /// The channels of a place share the component of such a mixture, and the location of each follows those before it
    /// linearly (Salimans et al. 2017, section 2.2). Of one channel it is `LogisticMixture`.
    ColourMixture,
    /// Each pixel is one of `levels` levels, with a logit each.
    Categorical,
    /// Each pixel is a count, of the Poisson distribution of a mean that the decoder makes.
    Poisson,
    /// Each pixel is a count, of the negative binomial distribution of a mean μ that the decoder makes and an
    /// inverse dispersion r, its scale: the variance is μ + μ² / r (Lopez et al. 2018).
    NegativeBinomial,
}

/// The pixels that a likelihood has a meaning for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// Numbers from 0 to 1.
    Unit,
    /// The levels k / (levels − 1).
    Levels,
    /// Any numbers.
    Line,
    /// Whole numbers from 0 on.
    Counts,
}

/// What the decoder makes of a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Makes {
    /// A logit.
    Logit,
    /// A location and, where the scale is each pixel's own, its logarithm.
    Location,
    /// For each component of a mixture a logit, and of each number that it is of a location, a log-scale, and
    /// coefficients of the numbers before it.
    Components,
    /// A logit for each level.
    Levels,
    /// The logarithm of a mean, as [`Mean`] says, and where the scale is each pixel's own, its logarithm.
    LogMean,
}

impl Likelihood {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Bernoulli,
        Self::ContinuousBernoulli,
        Self::Normal,
        Self::Laplace,
        Self::Logistic,
        Self::LogisticMixture,
        Self::ColourMixture,
        Self::Categorical,
        Self::Poisson,
        Self::NegativeBinomial,
    ];

    /// The number that shaders know it by.
    #[must_use]
    pub fn code(self) -> u32 {
        self as u32
    }

    /// The name in configurations.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bernoulli => "bernoulli",
            Self::ContinuousBernoulli => "continuous-bernoulli",
            Self::Normal => "normal",
            Self::Laplace => "laplace",
            Self::Logistic => "logistic",
            Self::LogisticMixture => "logistic-mixture",
            Self::ColourMixture => "colour-mixture",
            Self::Categorical => "categorical",
            Self::Poisson => "poisson",
            Self::NegativeBinomial => "negative-binomial",
        }
    }

    /// The pixels that it has a meaning for.
    #[must_use]
    pub fn support(self) -> Support {
        match self {
            Self::Bernoulli | Self::ContinuousBernoulli => Support::Unit,
            Self::Normal | Self::Laplace => Support::Line,
            Self::Logistic | Self::LogisticMixture | Self::ColourMixture | Self::Categorical => {
                Support::Levels
            }
            Self::Poisson | Self::NegativeBinomial => Support::Counts,
        }
    }

    /// What the decoder makes of a pixel.
    #[must_use]
    pub fn makes(self) -> Makes {
        match self {
            Self::Bernoulli | Self::ContinuousBernoulli => Makes::Logit,
            Self::Normal | Self::Laplace | Self::Logistic => Makes::Location,
            Self::LogisticMixture | Self::ColourMixture => Makes::Components,
            Self::Categorical => Makes::Levels,
            Self::Poisson | Self::NegativeBinomial => Makes::LogMean,
        }
    }

    /// Whether it gives probabilities, not densities, so that −log p(x) can be told in bits.
    #[must_use]
    pub fn is_discrete(self) -> bool {
        let counted = matches!(self.support(), Support::Levels | Support::Counts);
        self == Self::Bernoulli || counted
    }

    /// Whether it has a scale, which `scale` and `sigma` are of: the width round a location, or the inverse
    /// dispersion of counts.
    #[must_use]
    pub fn has_scale(self) -> bool {
        self.makes() == Makes::Location || self == Self::NegativeBinomial
    }

    /// Whether pixels are counts, whose means are as [`Mean`] says.
    #[must_use]
    pub fn is_of_counts(self) -> bool {
        self.support() == Support::Counts
    }

    /// What the decoder's first block makes for a pixel whose mean is `mean`: the location, the logit for a mean
    /// that is kept within [0.001, 0.999], or the logarithm of a mean from 0.0001 on; of families with no
    /// such number, nothing.
    #[must_use]
    pub fn output_of_mean(self, mean: f64) -> Option<f64> {
        let within = mean.clamp(0.001, 0.999);
        match (self, self.makes()) {
            (Self::ContinuousBernoulli, _) => Some(continuous_logit(within)),
            (_, Makes::Logit) => Some((within / (1.0 - within)).ln()),
            (_, Makes::Location) => Some(mean),
            (_, Makes::LogMean) => Some(mean.max(1e-4).ln()),
            (_, Makes::Components | Makes::Levels) => None,
        }
    }

    /// How many numbers of an image are modelled together, of so many channels: one, or those of a place.
    fn together(self, channels: usize) -> usize {
        if self == Self::ColourMixture { channels.max(1) } else { 1 }
    }
}

/// How what the decoder makes of an image lies: block by block, each of a number for every pixel, or for every place
/// where its channels are modelled together. Logits or locations come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// How many blocks there are.
    pub count: usize,
    /// The numbers of a block.
    pub len: usize,
}

impl Blocks {
    /// What the decoder of a model makes of an image of so many pixels, in so many channels at each place.
    #[must_use]
    pub fn of(model: &ModelConfig, pixels: usize, channels: usize) -> Self {
        let together = model.likelihood.together(channels);
        let count = match model.likelihood.makes() {
            Makes::Logit => 1,
            Makes::Location | Makes::LogMean => 1 + usize::from(model.scale == Scale::Pixel),
            // Of all components logits, then locations and log-scales, then coefficients of each pair.
            Makes::Components => {
                model.components * (1 + 2 * together + together * (together - 1) / 2)
            }
            Makes::Levels => model.levels,
        };
        Self { count, len: pixels / together }
    }

    /// All numbers of an image, or the largest there is if they are more.
    #[must_use]
    pub fn numbers(self) -> usize {
        self.count.saturating_mul(self.len)
    }
}

/// The logit l of a continuous Bernoulli pixel of this mean, which is not σ(l) but 1 / (1 − exp −l) − 1 / l
/// (Loaiza-Ganem and Cunningham 2019, eq. 9): by halving, from the means of the logits 0 to 1000, which are
/// ½ to 0.999, and their mirror images.
fn continuous_logit(mean: f64) -> f64 {
    if mean < 0.5 {
        return -continuous_logit(1.0 - mean);
    }
    let (mut low, mut high) = (0.0_f64, 1000.0_f64);
    for _ in 0..60 {
        let l = 0.5 * (low + high);
        if -1.0 / (-l).exp_m1() - 1.0 / l < mean {
            low = l;
        } else {
            high = l;
        }
    }
    high
}

/// What the decoder's outputs say of the means of counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Mean {
    /// Their softmax over an image is the share of each pixel in the image's own total, Σ x (Lopez et al. 2018):
    /// what is modelled is p(x | z, Σ x).
    Softmax,
    /// Each is the logarithm of a mean.
    Free,
}

/// Where the scale of a likelihood comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Scale {
    /// It is `sigma`.
    Fixed,
    /// One for all pixels and images, learned from 1 on (Rybkin et al. 2021, section 3, σ-VAE).
    Shared,
    /// The decoder makes the logarithm of one for each pixel, behind the locations.
    Pixel,
}

impl Scale {
    /// The number that shaders know it by.
    #[must_use]
    pub fn code(self) -> u32 {
        self as u32
    }
}
