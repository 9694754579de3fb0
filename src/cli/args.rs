//! What was typed of a model and its training, and what it means.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, Resettable, TypedValueParser};
use elbo::config::{
    Activation, Config, Init, Likelihood, Mean, NonFinite, Pixels, Reduction, Rule, Scale, Schedule,
};
use elbo::gpu::Tune;
use elbo::{Device, Error, Result};
use serde::{Deserialize, Serialize};

use crate::cli::config_file::ConfigFile;
use crate::cli::reading::ReadingArgs;
use crate::cli::settings::Settings;

/// What products are computed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Precision {
    /// Operands and sums in f32
    #[default]
    F32,
    /// Operands in f16 and sums in f32, where the adapter has cooperative matrices and passes a test
    Mixed,
}

impl Precision {
    /// A device that computes so, and what came of it.
    pub(super) fn of(self, device: Device) -> Result<(Device, String)> {
        match (self, device) {
            (Self::F32, device) => Ok((device, "f32".to_owned())),
            (Self::Mixed, Device::Gpu(gpu)) => {
                let (gpu, why) = gpu.with_mixed_precision()?;
                Ok((Device::Gpu(gpu), why))
            }
            (Self::Mixed, cpu) => Ok((cpu, "f32, since the CPU session has no other".to_owned())),
        }
    }
}

/// When schedules are measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum TuneArg {
    /// Once for each device and shape, on hardware, if the result is kept for the next run
    #[default]
    Auto,
    /// Never: a rule chooses, by shape
    Off,
    /// Anew, on any adapter
    Always,
}

impl From<TuneArg> for Tune {
    fn from(arg: TuneArg) -> Self {
        match arg {
            TuneArg::Auto => Self::Auto,
            TuneArg::Off => Self::Off,
            TuneArg::Always => Self::Always,
        }
    }
}

/// The flags that choose a device and how it works.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DeviceArgs {
    /// auto (a hardware GPU, else the CPU), cpu, gpu, or a number or part of a name from
    /// `elbo devices` [default: auto]
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// What products are computed in [default: f32]
    #[arg(long, value_enum)]
    precision: Option<Precision>,
    /// Threads of the CPU session [default: one a core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// When to measure which schedules of products are the fastest on a GPU [default: auto]
    #[arg(long, value_enum)]
    tune: Option<TuneArg>,
    /// Keep nothing for the next run: nothing that a GPU compiles, that was measured, or that was decoded
    #[arg(long)]
    pub(super) no_cache: bool,
}

impl DeviceArgs {
    /// The device, why it is that one, and what its products are computed in.
    pub(super) fn open(&self) -> Result<(Device, String, String)> {
        self.over(Settings::default()).open()
    }

    /// What was typed, over what a file says.
    pub(super) fn over(&self, file: Settings) -> Settings {
        Settings {
            device: self.device.clone().unwrap_or(file.device),
            precision: self.precision.unwrap_or(file.precision),
            threads: self.threads.unwrap_or(file.threads),
            tune: self.tune.unwrap_or(file.tune),
            no_cache: self.no_cache || file.no_cache,
            ..file
        }
    }
}

/// The flags that make a configuration. What is not given is the configuration file's, and what
/// that leaves out the preset's.
#[derive(Debug, Default, clap::Args)]
pub(super) struct ConfigArgs {
    /// What to start from in place of a preset or a file, where a verb knows it.
    #[arg(skip)]
    base: Option<Config>,
    /// How to run where no file says it.
    #[arg(skip)]
    settings: Settings,
    /// Start from a preset, such as classic (784-400-20, batch 128); another name lists them
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    preset: Option<String>,
    /// Start from a TOML file, such as the config.toml of a run; `elbo config` prints every key
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Units of the hidden layers, from the image to z and, mirrored, back: 400, 512,256 or none
    #[arg(long, value_name = "UNITS")]
    hidden: Option<String>,
    /// Dimensions of z
    #[arg(long, value_name = "N")]
    latent: Option<usize>,
    /// The activation of the hidden layers
    #[arg(long, value_parser = words::<Activation>())]
    activation: Option<Activation>,
    /// The first values of weights
    #[arg(long, value_parser = words::<Init>())]
    init: Option<Init>,
    /// Normalise hidden layers before their activation
    #[arg(long)]
    layer_norm: bool,
    /// The share of hidden layers' outputs that a training step leaves out
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    dropout: Option<f64>,
    /// p(x | z)
    #[arg(long, value_parser = words::<Likelihood>())]
    likelihood: Option<Likelihood>,
    /// The means of counts: the softmax of what the decoder makes, of an image's own total, or free
    #[arg(long, value_parser = words::<Mean>())]
    mean: Option<Mean>,
    /// Where the likelihood's scale comes from, if it has one: it is --sigma, one learned for all pixels, or
    /// one that the decoder makes for each
    #[arg(long, value_parser = words::<Scale>())]
    scale: Option<Scale>,
    /// The fixed scale of a likelihood that has one
    #[arg(long, value_name = "SIGMA", allow_negative_numbers = true)]
    sigma: Option<f64>,
    /// Tell encoder and decoder each image's class, one of N: a model that samples by class
    #[arg(long, value_name = "N")]
    classes: Option<usize>,
    /// The weight of the KL divergence
    #[arg(long, value_name = "BETA", allow_negative_numbers = true)]
    beta: Option<f64>,
    /// What of a batch is minimised
    #[arg(long, value_parser = words::<Reduction>())]
    reduction: Option<Reduction>,
    /// Estimates of the bound that are averaged for each image in a step
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// z's of each image under one logarithm (IWAE)
    #[arg(long, value_name = "K")]
    importance: Option<usize>,
    /// Use pixels as they are, or toss a coin for each, anew each time or once for all
    #[arg(long, value_parser = words::<Pixels>())]
    pixels: Option<Pixels>,
    /// The update rule
    #[arg(long, value_parser = words::<Rule>())]
    optimizer: Option<Rule>,
    /// The learning rate
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    lr: Option<f64>,
    /// Weight decay
    #[arg(long, value_name = "DECAY", allow_negative_numbers = true)]
    weight_decay: Option<f64>,
    /// Momentum of sgd and rmsprop
    #[arg(long, value_name = "MOMENTUM", allow_negative_numbers = true)]
    momentum: Option<f64>,
    /// Scale the gradients' norm down to this; 0 leaves it
    #[arg(long, value_name = "NORM", allow_negative_numbers = true)]
    clip_norm: Option<f64>,
    /// How the learning rate changes as training goes on
    #[arg(long, value_parser = words::<Schedule>())]
    schedule: Option<Schedule>,
    /// Look at and export averages of the parameters, which decay by this a step
    #[arg(long, value_name = "DECAY", allow_negative_numbers = true)]
    average: Option<f64>,
    /// Images in a minibatch
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Compute a minibatch in N parts, one after another, to take less memory
    #[arg(long, value_name = "N")]
    accumulate: Option<usize>,
    /// Passes over the training images
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Evaluate and draw pictures after every N epochs, and after the last
    #[arg(long, value_name = "N")]
    evaluate_every: Option<usize>,
    /// Stop after so many steps
    #[arg(long, value_name = "N")]
    max_steps: Option<u64>,
    /// Use only the first N training images
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    reading: ReadingArgs,
    /// The share of images that is kept to test on, where none are given for that
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    test_fraction: Option<f64>,
    /// The share of the training images that is set apart to validate: training looks at them after each epoch,
    /// and at the test images once, at the end
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    validation_fraction: Option<f64>,
    /// The seed that draws them, apart from that of training
    #[arg(long, value_name = "SEED")]
    split_seed: Option<u64>,
    /// Stop after so many epochs without a lower test loss
    #[arg(long, value_name = "EPOCHS")]
    patience: Option<u64>,
    /// What to do when a loss, a gradient or a weight is not finite
    #[arg(long, value_parser = words::<NonFinite>(), value_name = "WAY")]
    non_finite: Option<NonFinite>,
    /// The seed of everything random
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
}

/// Reads the words of an enum of the configuration. What they mean is for `elbo config` to say, so that the
/// help has them without their documentation.
pub(super) fn words<T: ValueEnum + Send + Sync + 'static>() -> impl TypedValueParser<Value = T> {
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
            .hint("such as `400`, `512,256`, or `none`")
    })
}

/// The configuration of a TOML file, for who has no use for how `elbo train` runs.
pub(super) fn read_config(path: &Path) -> Result<Config> {
    Ok(ConfigFile::read(path)?.into_parts().0)
}

impl ConfigArgs {
    /// No flags over a configuration and settings.
    pub(super) fn of(base: Config, settings: Settings) -> Self {
        Self { base: Some(base), settings, ..Self::default() }
    }

    /// Whether the sizes of layers were given.
    pub(super) fn names_layers(&self) -> bool {
        let typed = self.hidden.is_some() || self.latent.is_some();
        typed || self.config.is_some() || self.preset.is_some()
    }

    /// Whether nobody said how large a minibatch is.
    pub(super) fn batch_is_default(&self) -> bool {
        self.batch_size.is_none() && self.accumulate.is_none() && self.is_preset()
    }

    /// Whether nobody said what p(x | z) is.
    pub(super) fn likelihood_is_default(&self) -> bool {
        let said = self.likelihood.is_some() || self.scale.is_some() || self.sigma.is_some();
        !said && self.pixels.is_none() && self.preset.is_none() && self.is_preset()
    }

    fn is_preset(&self) -> bool {
        self.config.is_none() && self.base.is_none()
    }

    /// The configuration that the flags mean, judged.
    pub(super) fn config(&self) -> Result<Config> {
        Ok(self.read()?.0)
    }

    /// The configuration that the flags mean, judged, and what the file says of how to run.
    pub(super) fn read(&self) -> Result<(Config, Settings)> {
        let (base, settings) = match (&self.base, &self.config, &self.preset) {
            (Some(base), ..) => (base.clone(), self.settings.clone()),
            (_, Some(path), _) => ConfigFile::read(path)?.into_parts(),
            (_, None, preset) => {
                let config = Config::preset(preset.as_deref().unwrap_or("classic"))?;
                (config, self.settings.clone())
            }
        };
        Ok((self.over(base)?, settings))
    }

    /// The configuration of a run that goes on, where only its end may be put off, and what a file
    /// says of how to run.
    pub(super) fn resumed(&self, was: &Config) -> Result<(Config, Settings)> {
        let file = self.config.as_deref().map(ConfigFile::read).transpose()?.unwrap_or_default();
        let config = self.over(was.clone())?;
        let mut masked = config.clone();
        masked.train.epochs = was.train.epochs;
        masked.train.max_steps = was.train.max_steps;
        masked.train.patience = was.train.patience;
        if file.decides_numbers() || self.preset.is_some() || masked != *was {
            let what = "a run goes on with the configuration that it began with";
            return Err(Error::config(what).hint(
                "with `--resume` give only `--epochs`, `--max-steps` or `--patience` of it, and a \
                 `--config` of [run] alone; a new run may begin with `--config RUN/config.toml` \
                 and other flags",
            ));
        }
        let settings = match self.config {
            Some(_) => file.into_parts().1,
            None => self.settings.clone(),
        };
        Ok((config, settings))
    }

    /// What was typed, over another configuration; judged.
    fn over(&self, mut config: Config) -> Result<Config> {
        if let Some(hidden) = &self.hidden {
            let units = units(hidden)?;
            config.model.decoder = units.iter().rev().copied().collect::<Vec<_>>().into();
            config.model.encoder = units.into();
        }
        set(&mut config.model.latent, self.latent);
        set(&mut config.model.activation, self.activation);
        set(&mut config.model.init, self.init);
        config.model.layer_norm |= self.layer_norm;
        set(&mut config.model.dropout, self.dropout);
        set(&mut config.model.likelihood, self.likelihood);
        set(&mut config.model.mean, self.mean);
        set(&mut config.model.scale, self.scale);
        set(&mut config.model.sigma, self.sigma);
        set(&mut config.model.classes, self.classes);
        set(&mut config.objective.beta, self.beta);
        set(&mut config.objective.reduction, self.reduction);
        set(&mut config.objective.samples, self.samples);
        set(&mut config.objective.importance, self.importance);
        set(&mut config.train.pixels, self.pixels);
        set(&mut config.optimizer.rule, self.optimizer);
        set(&mut config.optimizer.lr, self.lr);
        set(&mut config.optimizer.weight_decay, self.weight_decay);
        set(&mut config.optimizer.momentum, self.momentum);
        set(&mut config.optimizer.clip_norm, self.clip_norm);
        set(&mut config.optimizer.schedule, self.schedule);
        set(&mut config.optimizer.average, self.average);
        self.reading.over(&mut config.data)?;
        set(&mut config.data.test_fraction, self.test_fraction);
        set(&mut config.data.validation_fraction, self.validation_fraction);
        set(&mut config.data.split_seed, self.split_seed);
        set(&mut config.train.batch_size, self.batch_size);
        set(&mut config.train.accumulate, self.accumulate);
        set(&mut config.train.epochs, self.epochs);
        set(&mut config.train.evaluate_every, self.evaluate_every);
        set(&mut config.train.max_steps, self.max_steps);
        set(&mut config.train.limit, self.limit);
        set(&mut config.train.patience, self.patience);
        set(&mut config.train.non_finite, self.non_finite);
        set(&mut config.train.seed, self.seed);
        config.validate()?;
        Ok(config)
    }
}
