//! The network and its distributions.

use serde::{Deserialize, Serialize};

use crate::config::validate::{count, fail, has_effect, positive, within};
use crate::config::{
    Inference, Layers, Level, Likelihood, MOST_LATENT, MOST_LEVELS, MOST_PRIOR_COMPONENTS, Makes,
    Mean, Posterior, Prior, Scale, Support,
};
use crate::error::{Error, Result};

/// What `layer-norm` and `dropout` belong to.
const HIDDEN: &str = "a hidden layer whose units are given as a number";

/// What `scale` and `sigma` belong to.
const LOCATED: &str =
    "a likelihood with a scale (`normal`, `laplace`, `logistic`, `negative-binomial`)";

/// A function applied to each unit of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Activation {
    /// x
    Identity,
    /// max(x, 0)
    Relu,
    /// x, or 0.01 x below zero
    LeakyRelu,
    /// tanh x
    Tanh,
    /// σ(x) = 1 / (1 + exp(−x))
    Sigmoid,
    /// log(1 + exp x)
    Softplus,
    /// x σ(x) (Hendrycks and Gimpel 2016)
    Silu,
    /// x Φ(x), with the error function (Hendrycks and Gimpel 2016)
    Gelu,
}

impl Activation {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Identity,
        Self::Relu,
        Self::LeakyRelu,
        Self::Tanh,
        Self::Sigmoid,
        Self::Softplus,
        Self::Silu,
        Self::Gelu,
    ];

    /// The number that shaders know it by.
    #[must_use]
    pub fn code(self) -> u32 {
        self as u32
    }

    /// The name in configurations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Relu => "relu",
            Self::LeakyRelu => "leaky-relu",
            Self::Tanh => "tanh",
            Self::Sigmoid => "sigmoid",
            Self::Softplus => "softplus",
            Self::Silu => "silu",
            Self::Gelu => "gelu",
        }
    }

    /// Whether the slope can be had from the output alone. Then the activation is part of the
    /// product that makes its input; otherwise the input is kept, and it is a dispatch of its own.
    #[must_use]
    pub fn slope_from_output(self) -> bool {
        !matches!(self, Self::Silu | Self::Gelu)
    }
}

/// The first values of weights; n is a layer's number of inputs, m its number of outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Init {
    /// Uniform in ±1/√n, and the biases too, as `PyTorch`'s linear layers.
    Pytorch,
    /// Uniform in ±√(6 / (n + m)), biases 0 (Glorot and Bengio 2010, eq. 16).
    Glorot,
    /// N(0, 2 / n), biases 0 (He et al. 2015, eq. 10).
    He,
    /// N(0, `init-deviation`²), biases 0 (Kingma and Welling 2014, section 5).
    Normal,
}

/// The first values of the decoder's last bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputBias {
    /// As every bias.
    Init,
    /// What makes the mean of the training images, whatever z is (as in the code of Burda et al. 2016).
    DataMean,
}

/// The network and its distributions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ModelConfig {
    /// The encoder's layers from the image on, before that which makes the posterior.
    pub encoder: Layers,
    /// Dimensions of z.
    pub latent: usize,
    /// q(z | x).
    pub posterior: Posterior,
    /// p(z).
    pub prior: Prior,
    /// Components of a learned prior, K.
    pub prior_components: usize,
    /// The decoder's layers from z on, before that which makes what the likelihood takes.
    pub decoder: Layers,
    /// The activation of the hidden layers.
    pub activation: Activation,
    /// The first values of weights and biases.
    pub init: Init,
    /// The deviation of first values that are normal.
    pub init_deviation: f64,
    /// The first values of the decoder's last bias.
    pub output_bias: OutputBias,
    /// Whether hidden layers are normalised before their activation (Ba et al. 2016, eq. 4).
    pub layer_norm: bool,
    /// The share of each hidden layer's outputs that a training step leaves out (Srivastava et al. 2014).
    pub dropout: f64,
    /// p(x | z).
    pub likelihood: Likelihood,
    /// What the decoder's outputs say of the means of [counts](Likelihood::is_of_counts).
    pub mean: Mean,
    /// Where the scale of a likelihood comes from that [has one](Likelihood::has_scale).
    pub scale: Scale,
    /// The fixed scale: the deviation of a normal, b of a Laplace, s of a logistic likelihood, in units of
    /// a pixel's range from 0 to 1; the inverse dispersion r of a negative binomial one.
    pub sigma: f64,
    /// The number of classes; the encoder and the decoder are told each image's, as a one-hot vector
    /// behind x and behind z: a model of p(x | y) (Kingma et al. 2014, section 2.2, with every y
    /// observed; Sohn et al. 2015, eq. 4, with a prior that does not depend on y). 0 models p(x).
    pub classes: usize,
    /// Levels of a pixel of a logistic, logistic-mixture, colour-mixture or categorical likelihood.
    pub levels: usize,
    /// Components of a mixture of logistics.
    pub components: usize,
    /// Levels of z above that which the decoder takes, from below upwards: p(z) is the prior of the highest, of the others what
    /// the next makes (Burda et al. 2016, section 5).
    pub above: Vec<Level>,
    /// How several levels are inferred.
    pub inference: Inference,
}

fn size_of_level(latent: usize) -> Result<()> {
    count("above.latent", latent, 1, MOST_LATENT)
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            encoder: [400].into(),
            latent: 20,
            posterior: Posterior::Normal,
            prior: Prior::Normal,
            prior_components: 100,
            decoder: [400].into(),
            activation: Activation::Relu,
            init: Init::Pytorch,
            init_deviation: 0.01,
            output_bias: OutputBias::Init,
            layer_norm: false,
            dropout: 0.0,
            likelihood: Likelihood::Bernoulli,
            mean: Mean::Softmax,
            scale: Scale::Fixed,
            sigma: 1.0,
            classes: 0,
            levels: 256,
            components: 5,
            above: Vec::new(),
            inference: Inference::BottomUp,
        }
    }
}

impl ModelConfig {
    pub(super) fn validate(&self) -> Result<()> {
        count("latent", self.latent, 1, MOST_LATENT)?;
        self.validate_prior()?;
        self.validate_levels()?;
        for (name, layers) in [("encoder", &self.encoder), ("decoder", &self.decoder)] {
            layers.validate(name, self)?;
        }
        positive("init-deviation", self.init_deviation, 1e6)?;
        let drawn = self.init == Init::Normal;
        has_effect("init-deviation", self.init_deviation == 0.01 || drawn, "`init = \"normal\"`")?;
        within("dropout", self.dropout, 0.0, 1.0)?;
        let hidden = self.encoder.has_hidden() || self.decoder.has_hidden();
        has_effect("layer-norm", !self.layer_norm || hidden, HIDDEN)?;
        has_effect("dropout", self.dropout == 0.0 || hidden, HIDDEN)?;
        // The number of a class is a byte, and to be told of the only one says nothing.
        if self.classes == 1 || self.classes > 256 {
            return fail("classes", &self.classes, "0, or between 2 and 256");
        }
        let located = self.likelihood.output_of_mean(0.5).is_some();
        let bias = self.output_bias == OutputBias::Init || located;
        let needs = "a likelihood of one logit, location or mean for each pixel";
        has_effect("output-bias", bias, needs)?;
        let means = self.mean == Mean::Softmax || self.likelihood.is_of_counts();
        has_effect("mean", means, "the likelihood `poisson` or `negative-binomial`")?;
        let has_scale = self.likelihood.has_scale();
        has_effect("scale", self.scale == Scale::Fixed || has_scale, LOCATED)?;
        positive("sigma", self.sigma, 1e6)?;
        let fixed = has_scale && self.scale == Scale::Fixed;
        let needs = if has_scale { "`scale = \"fixed\"`" } else { LOCATED };
        has_effect("sigma", self.sigma == 1.0 || fixed, needs)?;
        count("levels", self.levels, 2, 256)?;
        let leveled = self.likelihood.support() == Support::Levels;
        let needs =
            "the likelihood `logistic`, `logistic-mixture`, `colour-mixture` or `categorical`";
        has_effect("levels", self.levels == Self::default().levels || leveled, needs)?;
        count("components", self.components, 1, 32)?;
        let mixture = self.likelihood.makes() == Makes::Components;
        let components = self.components == Self::default().components;
        let needs = "the likelihood `logistic-mixture` or `colour-mixture`";
        has_effect("components", components || mixture, needs)
    }

    /// Dimensions of z, level by level from below upwards.
    #[must_use]
    pub fn latents(&self) -> Vec<usize> {
        let above = self.above.iter().map(|level| level.latent);
        std::iter::once(self.latent).chain(above).collect()
    }

    /// Dimensions of the z that the prior is of: the highest.
    #[must_use]
    pub fn highest_latent(&self) -> usize {
        self.above.last().map_or(self.latent, |level| level.latent)
    }

    /// Whether the KL divergence has a formula: it is that of a normal from N(0, I), or a point's, which is zero.
    #[must_use]
    pub fn kl_has_formula(&self) -> bool {
        let own = matches!(self.posterior, Posterior::Normal | Posterior::Point);
        own && self.prior_is_standard()
    }

    /// Whether p(z) is N(0, I).
    #[must_use]
    pub fn prior_is_standard(&self) -> bool {
        !self.prior.is_learned() && self.above.is_empty()
    }

    fn validate_levels(&self) -> Result<()> {
        let count = self.above.len();
        if count > MOST_LEVELS {
            return fail("above", &count, &format!("at most {MOST_LEVELS} levels"));
        }
        let density = self.posterior.is_density();
        has_effect("above", density || count == 0, "a posterior that is a density")?;
        let usual = self.inference == Inference::BottomUp;
        has_effect("inference", usual || count > 0, "levels of z (`above`)")?;
        let normal = self.posterior == Posterior::Normal;
        has_effect(
            "inference",
            usual || normal,
            "`posterior = \"normal\"`, of which a ladder makes products",
        )?;
        for level in &self.above {
            size_of_level(level.latent)?;
            level.encoder.validate("above", self)?;
            level.decoder.validate("above", self)?;
        }
        if self.prior == Prior::Vamp && count > 0 {
            let what = "`prior` is vamp, whose pseudo-inputs are images, and the highest level of `above` does not see images";
            return Err(Error::config(what).hint("choose `--prior mixture`, or leave out `above`"));
        }
        Ok(())
    }

    /// Judges the prior, and refuses what its pseudo-inputs cannot have.
    fn validate_prior(&self) -> Result<()> {
        count("prior-components", self.prior_components, 1, MOST_PRIOR_COMPONENTS)?;
        let default = self.prior_components == Self::default().prior_components;
        let needs = "the prior `mixture` or `vamp`";
        has_effect("prior-components", default || self.prior.is_learned(), needs)?;
        let density = self.posterior.is_density();
        has_effect("prior", density || !self.prior.is_learned(), "a posterior that is a density")?;
        if self.prior != Prior::Vamp {
            return Ok(());
        }
        let refuse = |what: &str, hint: &str| Err(Error::config(what).hint(hint));
        if self.posterior != Posterior::Normal {
            return refuse(
                "`prior` is vamp, a mixture of normals, and `posterior` is another family",
                "choose `--prior mixture`, or leave out `posterior`",
            );
        }
        if self.classes > 0 {
            return refuse(
                "`prior` is vamp, whose pseudo-inputs have no class, and `classes` tells the encoder one",
                "choose `--prior mixture`, or leave out `--classes`",
            );
        }
        if self.encoder.drops(self) {
            return refuse(
                "`prior` is vamp, of which each step has one mixture for all images, and `dropout` draws an encoder for each",
                "leave `dropout` out of the encoder, or choose `--prior mixture`",
            );
        }
        Ok(())
    }
}
