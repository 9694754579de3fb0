//! What a model can be asked for.

use crate::config::Config;
use crate::engine::Fusion;

/// What a model can be asked to do. Each is a program, recorded when it is first wanted, and a function of
/// its record's number of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Use {
    /// A minibatch of the training images: losses, gradients, update. With nothing fused every activation
    /// and every gradient is stored.
    Step(Fusion),
    /// The same, which reports the norm of the gradient too.
    LoggedStep(Fusion),
    /// A part of a step whose minibatch is not computed at once; nothing is fused.
    Part(Part),
    /// A minibatch of the test images: losses with sampled z.
    Evaluate,
    /// A minibatch of the test images: losses at z = μ.
    EvaluateAtMean,
    /// A minibatch of the test images: their posteriors, and one z of each.
    Encode,
    /// One more z of the posteriors that were encoded: its importance weights, which a point has not.
    Weigh,
    /// z from the prior; of several levels the highest, and the noise of the others.
    Prior,
    /// From the highest z down to the first, by that noise.
    Descend,
    /// z decoded.
    Decode,
}

/// Which part of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Stores the gradients of parameters.
    First,
    /// Adds to them.
    Middle,
    /// Adds to them, and updates the parameters.
    Last,
    /// The same, which reports the norm of the gradient too.
    LoggedLast,
}

impl Use {
    /// All that a model of this configuration can be asked for.
    #[must_use]
    pub fn all(config: &Config) -> Vec<Self> {
        let steps = [Fusion::All, Fusion::Updates, Fusion::Nothing].map(Self::Step);
        let parts = [Part::First, Part::Middle, Part::Last].map(Self::Part);
        let parts = parts.into_iter().filter(|_| config.train.accumulate > 1);
        let steps = steps.into_iter().chain(parts);
        let logged =
            |step: Self| [Some(step), step.logged().filter(|_| config.train.log_every > 0)];
        let steps = steps.flat_map(logged).flatten();
        let looks = [Self::Evaluate, Self::EvaluateAtMean, Self::Encode, Self::Weigh];
        let looks = looks.into_iter().chain([Self::Prior, Self::Decode]);
        let descends = (!config.model.above.is_empty()).then_some(Self::Descend);
        let looks = looks.chain(descends);
        steps.chain(looks).collect()
    }

    /// What runs in place of a step, or of its last part, that is logged; nothing else can be.
    #[must_use]
    pub fn logged(self) -> Option<Self> {
        match self {
            Self::Step(fusion) => Some(Self::LoggedStep(fusion)),
            Self::Part(Part::Last) => Some(Self::Part(Part::LoggedLast)),
            _ => None,
        }
    }

    /// Whether it makes gradients.
    #[must_use]
    pub fn learns(self) -> bool {
        matches!(self, Self::Step(_) | Self::LoggedStep(_) | Self::Part(_))
    }

    /// What it is called in lists and errors.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Step(Fusion::Nothing) => "step",
            Self::Step(Fusion::Updates) => "step on a CPU",
            Self::Step(Fusion::All) => "step on a GPU",
            Self::LoggedStep(Fusion::Nothing) => "logged step",
            Self::LoggedStep(Fusion::Updates) => "logged step on a CPU",
            Self::LoggedStep(Fusion::All) => "logged step on a GPU",
            Self::Part(Part::First) => "first part of a step",
            Self::Part(Part::Middle) => "middle part of a step",
            Self::Part(Part::Last) => "last part of a step",
            Self::Part(Part::LoggedLast) => "last part of a logged step",
            Self::Evaluate => "evaluate",
            Self::EvaluateAtMean => "evaluate at the mean",
            Self::Encode => "encode",
            Self::Weigh => "weigh",
            Self::Prior => "prior",
            Self::Descend => "descend",
            Self::Decode => "decode",
        }
    }
}
