//! The flags of the commonest hyperparameters, under the headings that `--help` has them by.
//! `help.rs` adds the default of each.

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, Resettable, TypedValueParser};
use elbo::config::{
    Activation, Config, Init, KlEstimate, Likelihood, Mean, NonFinite, Pixels, Prior, Reduction,
    Rule, Scale, Schedule,
};
use elbo::{Error, Result};

/// The flags of the networks and of p(x | z).
#[derive(Debug, Default, clap::Args)]
pub(super) struct ModelFlags {
    /// Units of the encoder's hidden layers, such as 512,256, or none; the decoder mirrors them
    #[arg(long, value_name = "UNITS", help_heading = "Model")]
    pub(super) hidden: Option<String>,
    /// Dimensions of the latent variable z
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub(super) latent: Option<usize>,
    /// The prior p(z); one that is learned, mixture or vamp, has its KL divergence sampled
    #[arg(long, value_parser = words::<Prior>(), help_heading = "Model")]
    prior: Option<Prior>,
    /// Components of a learned prior
    #[arg(long, value_name = "K", help_heading = "Model")]
    prior_components: Option<usize>,
    /// The activation of the hidden layers
    #[arg(long, value_parser = words::<Activation>(), help_heading = "Model")]
    activation: Option<Activation>,
    /// The initialisation of the weights
    #[arg(long, value_parser = words::<Init>(), help_heading = "Model")]
    init: Option<Init>,
    /// Normalise hidden layers before their activation (layer normalisation)
    #[arg(long, help_heading = "Model")]
    layer_norm: bool,
    /// Drop this share of the hidden layers' outputs in each training step
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, help_heading = "Model")]
    dropout: Option<f64>,
    /// The likelihood p(x | z)
    #[arg(long, value_parser = words::<Likelihood>(), help_heading = "Model")]
    pub(super) likelihood: Option<Likelihood>,
    /// The means of counts: shares of each image's own total (softmax), or free
    #[arg(long, value_parser = words::<Mean>(), help_heading = "Model")]
    mean: Option<Mean>,
    /// The likelihood's scale: fixed at --sigma, one learned for all pixels, or one for each pixel
    #[arg(long, value_parser = words::<Scale>(), help_heading = "Model")]
    pub(super) scale: Option<Scale>,
    /// The fixed scale of the likelihood, such as a normal distribution's standard deviation
    #[arg(long, value_name = "SIGMA", allow_negative_numbers = true, help_heading = "Model")]
    pub(super) sigma: Option<f64>,
    /// Train a conditional VAE on labels of N classes; 0 uses no labels
    #[arg(long, value_name = "N", help_heading = "Model")]
    classes: Option<usize>,
}

/// The flags of the loss.
#[derive(Debug, Default, clap::Args)]
pub(super) struct ObjectiveFlags {
    /// The weight of the KL divergence (β-VAE); for KL annealing see --set objective.warmup-steps
    #[arg(long, value_name = "BETA", allow_negative_numbers = true, help_heading = "Objective")]
    beta: Option<f64>,
    /// Minimise the sum or the mean of the losses of a minibatch's images
    #[arg(long, value_parser = words::<Reduction>(), help_heading = "Objective")]
    reduction: Option<Reduction>,
    /// Draw N latent samples z for each image in a step, and average their bounds
    #[arg(long, value_name = "N", help_heading = "Objective")]
    samples: Option<usize>,
    /// Weigh K latent samples z for each image by their importance (IWAE); 1 is the ELBO
    #[arg(long, value_name = "K", help_heading = "Objective")]
    importance: Option<usize>,
}

/// The flags of the update.
#[derive(Debug, Default, clap::Args)]
pub(super) struct OptimiserFlags {
    /// The update rule
    #[arg(long, value_parser = words::<Rule>(), help_heading = "Optimiser")]
    optimizer: Option<Rule>,
    /// The learning rate
    #[arg(long, value_name = "RATE", allow_negative_numbers = true, help_heading = "Optimiser")]
    lr: Option<f64>,
    /// The learning-rate schedule
    #[arg(long, value_parser = words::<Schedule>(), help_heading = "Optimiser")]
    schedule: Option<Schedule>,
    /// Weight decay: L2 regularisation, with adamw decoupled from the gradient
    #[arg(long, value_name = "DECAY", allow_negative_numbers = true, help_heading = "Optimiser")]
    weight_decay: Option<f64>,
    /// Momentum of sgd and rmsprop
    #[arg(
        long,
        value_name = "MOMENTUM",
        allow_negative_numbers = true,
        help_heading = "Optimiser"
    )]
    momentum: Option<f64>,
    /// Clip the norm of the gradients to this (gradient clipping); 0 does not
    #[arg(long, value_name = "NORM", allow_negative_numbers = true, help_heading = "Optimiser")]
    clip_norm: Option<f64>,
    /// Evaluate and export a moving average of the weights that keeps this share of itself in each
    /// step, such as 0.999 (EMA, Polyak averaging); 0 keeps none
    #[arg(long, value_name = "DECAY", allow_negative_numbers = true, help_heading = "Optimiser")]
    average: Option<f64>,
}

/// The flags of how long and how training goes.
#[derive(Debug, Default, clap::Args)]
pub(super) struct TrainingFlags {
    /// Passes over the training images
    #[arg(long, short, value_name = "N", help_heading = "Training")]
    epochs: Option<usize>,
    /// Images in a minibatch
    #[arg(long, short, value_name = "N", help_heading = "Training")]
    pub(super) batch_size: Option<usize>,
    /// Compute a minibatch in N parts and add their gradients, which takes less memory (gradient
    /// accumulation)
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub(super) accumulate: Option<usize>,
    /// Stop after N steps; 0 sets no limit
    #[arg(long, value_name = "N", help_heading = "Training")]
    max_steps: Option<u64>,
    /// Stop after N epochs without a lower test or validation loss, and take the best epoch's weights
    /// (early stopping); 0 never does
    #[arg(long, value_name = "N", help_heading = "Training")]
    patience: Option<u64>,
    /// Evaluate and draw pictures after every N epochs, and after the last
    #[arg(long, value_name = "N", help_heading = "Training")]
    evaluate_every: Option<usize>,
    /// Log the losses, rates and gradient norm of each N-th step; 0 logs none
    #[arg(long, value_name = "N", help_heading = "Training")]
    log_every: Option<u64>,
    /// What to do when a loss, a gradient or a weight is not finite
    #[arg(long, value_parser = words::<NonFinite>(), value_name = "WAY", help_heading = "Training")]
    non_finite: Option<NonFinite>,
    /// The seed of everything random
    #[arg(long, short, value_name = "SEED", help_heading = "Training")]
    seed: Option<u64>,
}

/// The flags of which images are used.
#[derive(Debug, Default, clap::Args)]
pub(super) struct DataFlags {
    /// Use only the first N training images; 0 uses all
    #[arg(long, value_name = "N", help_heading = "Data")]
    limit: Option<usize>,
    /// Use pixels as they are, or binarise them at random: anew each time, or once
    #[arg(long, value_parser = words::<Pixels>(), help_heading = "Data")]
    pub(super) pixels: Option<Pixels>,
    /// Set this share of the images apart to test on, where there are no test images
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, help_heading = "Data")]
    test_fraction: Option<f64>,
    /// Set this share of the training images apart for validation; the test images are then used once,
    /// at the end
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, help_heading = "Data")]
    validation_fraction: Option<f64>,
    /// The seed that chooses those images, apart from --seed
    #[arg(long, value_name = "SEED", help_heading = "Data")]
    split_seed: Option<u64>,
}

/// Reads the words of an enum of the configuration. What they mean is for `elbo config` to say, so that the
/// help has them without their documentation.
pub(in crate::cli) fn words<T: ValueEnum + Send + Sync + 'static>()
-> impl TypedValueParser<Value = T> {
    let words = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    PossibleValuesParser::new(words.map(|word| word.help(Resettable::Reset)))
        .map(|word| T::from_str(&word, false).expect("the parser lets no other word through"))
}

fn set<T, U: From<T>>(to: &mut U, from: Option<T>) {
    if let Some(value) = from {
        *to = value.into();
    }
}

/// The sizes of hidden layers as they are typed.
fn units(text: &str) -> Result<Vec<usize>> {
    if text == "none" {
        return Ok(Vec::new());
    }
    let units: std::result::Result<_, _> = text.split(',').map(|n| n.trim().parse()).collect();
    units.map_err(|_| {
        Error::config(format!("`--hidden` is `{text}`; it must be sizes of layers"))
            .hint("such as `--hidden 400`, `--hidden 512,256`, or `--hidden none`")
    })
}

impl ModelFlags {
    pub(super) fn over(&self, config: &mut Config) -> Result<()> {
        let model = &mut config.model;
        if let Some(hidden) = &self.hidden {
            let units = units(hidden)?;
            model.decoder = units.iter().rev().copied().collect::<Vec<_>>().into();
            model.encoder = units.into();
        }
        set(&mut model.latent, self.latent);
        set(&mut model.prior, self.prior);
        set(&mut model.prior_components, self.prior_components);
        set(&mut model.activation, self.activation);
        set(&mut model.init, self.init);
        model.layer_norm |= self.layer_norm;
        set(&mut model.dropout, self.dropout);
        set(&mut model.likelihood, self.likelihood);
        set(&mut model.mean, self.mean);
        set(&mut model.scale, self.scale);
        set(&mut model.sigma, self.sigma);
        set(&mut model.classes, self.classes);
        Ok(())
    }

    pub(super) fn names_prior(&self) -> bool {
        self.prior.is_some()
    }
}

/// Has the KL divergence sampled where it has no formula.
pub(super) fn sample_kl(config: &mut Config) {
    if !config.model.kl_has_formula() && !config.objective.weighs() {
        config.objective.kl = KlEstimate::Sampled;
    }
}

impl ObjectiveFlags {
    pub(super) fn over(&self, config: &mut Config) {
        set(&mut config.objective.beta, self.beta);
        set(&mut config.objective.reduction, self.reduction);
        set(&mut config.objective.samples, self.samples);
        set(&mut config.objective.importance, self.importance);
    }
}

impl OptimiserFlags {
    pub(super) fn over(&self, config: &mut Config) {
        set(&mut config.optimizer.rule, self.optimizer);
        set(&mut config.optimizer.lr, self.lr);
        set(&mut config.optimizer.schedule, self.schedule);
        set(&mut config.optimizer.weight_decay, self.weight_decay);
        set(&mut config.optimizer.momentum, self.momentum);
        set(&mut config.optimizer.clip_norm, self.clip_norm);
        set(&mut config.optimizer.average, self.average);
    }
}

impl TrainingFlags {
    pub(super) fn over(&self, config: &mut Config) {
        set(&mut config.train.epochs, self.epochs);
        set(&mut config.train.batch_size, self.batch_size);
        set(&mut config.train.accumulate, self.accumulate);
        set(&mut config.train.max_steps, self.max_steps);
        set(&mut config.train.patience, self.patience);
        set(&mut config.train.evaluate_every, self.evaluate_every);
        set(&mut config.train.log_every, self.log_every);
        set(&mut config.train.non_finite, self.non_finite);
        set(&mut config.train.seed, self.seed);
    }
}

impl DataFlags {
    pub(super) fn over(&self, config: &mut Config) {
        set(&mut config.train.limit, self.limit);
        set(&mut config.train.pixels, self.pixels);
        set(&mut config.data.test_fraction, self.test_fraction);
        set(&mut config.data.validation_fraction, self.validation_fraction);
        set(&mut config.data.split_seed, self.split_seed);
    }
}
