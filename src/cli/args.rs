//! What was typed of a model and its training, and what it means.

mod device;
mod flags;

use std::path::{Path, PathBuf};

use elbo::config::{Config, ImageSize, PRESETS, Preset};
use elbo::{Error, Result};

use crate::cli::config_file::{self, ConfigFile};
use crate::cli::reading::ReadingArgs;
use crate::cli::settings::Settings;

pub(super) use device::{DeviceArgs, Precision, TuneArg};
pub(super) use flags::words;

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
    /// Start from a preset, such as classic (784-400-20)
    #[arg(long, short, value_name = "NAME", value_parser = PRESETS, conflicts_with = "config", help_heading = "Configuration")]
    preset: Option<String>,
    /// Start from a TOML file, such as the config.toml of a run
    #[arg(long, short, value_name = "FILE", help_heading = "Configuration")]
    config: Option<PathBuf>,
    /// Set any key that `elbo config` prints, such as objective.free-bits=0.2; may be repeated
    #[arg(long, value_name = "TABLE.KEY=VALUE", value_parser = setting, help_heading = "Configuration")]
    set: Vec<(String, String)>,
    #[command(flatten)]
    model: flags::ModelFlags,
    #[command(flatten)]
    objective: flags::ObjectiveFlags,
    #[command(flatten)]
    optimiser: flags::OptimiserFlags,
    #[command(flatten)]
    training: flags::TrainingFlags,
    #[command(flatten)]
    data: flags::DataFlags,
    #[command(flatten)]
    reading: ReadingArgs,
}

/// Reads what `--set` takes.
fn setting(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) => Ok((key.trim().to_owned(), value.trim().to_owned())),
        None => Err("write TABLE.KEY=VALUE, such as objective.beta=4".to_owned()),
    }
}

/// A value as it is typed: TOML, or a text without its quotes.
fn value(text: &str) -> toml::Value {
    let line = toml::from_str::<toml::Table>(&format!("value = {text}"));
    let value = line.ok().filter(|line| line.len() == 1).and_then(|mut line| line.remove("value"));
    value.unwrap_or_else(|| text.into())
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

    /// Whether `--set` has a key of the table.
    fn sets(&self, table: &str, keys: &[&str]) -> bool {
        let named = |(key, _): &(String, String)| {
            key.split_once('.').is_some_and(|(of, key)| of == table && keys.contains(&key))
        };
        self.set.iter().any(named)
    }

    /// Whether the sizes of layers were given.
    pub(super) fn names_layers(&self) -> bool {
        let typed = self.model.hidden.is_some() || self.model.latent.is_some();
        typed
            || self.config.is_some()
            || self.preset.is_some()
            || self.sets("model", &["encoder", "decoder", "latent"])
    }

    /// Whether nobody said how large a minibatch is.
    pub(super) fn batch_is_default(&self) -> bool {
        let typed = self.training.batch_size.is_some() || self.training.accumulate.is_some();
        !typed && !self.sets("train", &["batch-size", "accumulate"]) && self.is_preset()
    }

    /// Whether nobody said what p(x | z) is.
    pub(super) fn likelihood_is_default(&self) -> bool {
        let flags::ModelFlags { likelihood, scale, sigma, .. } = &self.model;
        let typed = likelihood.is_some() || scale.is_some() || sigma.is_some();
        let said = typed
            || self.data.pixels.is_some()
            || self.sets("model", &["likelihood", "scale", "sigma"])
            || self.sets("train", &["pixels"]);
        !said && self.preset.is_none() && self.is_preset()
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
        self.over(base, settings)
    }

    /// The images that the preset is for, or a configuration that names none.
    pub(super) fn images(&self) -> Result<ImageSize> {
        Ok(Preset::named(self.preset.as_deref().unwrap_or("classic"))?.images)
    }

    /// The configuration of a run that goes on, where only its end may be put off, and what a file
    /// says of how to run.
    pub(super) fn resumed(&self, was: &Config) -> Result<(Config, Settings)> {
        let file = self.config.as_deref().map(ConfigFile::read).transpose()?.unwrap_or_default();
        let decides = file.decides_numbers();
        let settings = match self.config {
            Some(_) => file.into_parts().1,
            None => self.settings.clone(),
        };
        let (config, settings) = self.over(was.clone(), settings)?;
        let mut masked = config.clone();
        masked.train.epochs = was.train.epochs;
        masked.train.max_steps = was.train.max_steps;
        masked.train.patience = was.train.patience;
        if decides || self.preset.is_some() || masked != *was {
            let what = "a run that is resumed keeps its configuration";
            return Err(Error::config(what).hint(
                "beside `--resume` only `--epochs`, `--max-steps`, `--patience` and what [run] has may \
                 change, by flags, by `--set` or by a `--config` with the table [run] alone; for other \
                 changes begin a new run: `elbo train --config RUN/config.toml` and your flags",
            ));
        }
        Ok((config, settings))
    }

    /// What was typed, over another configuration and other settings: flags over `--set`; judged.
    fn over(&self, config: Config, settings: Settings) -> Result<(Config, Settings)> {
        let (mut config, settings) = match self.set.as_slice() {
            [] => (config, settings),
            set => over(set, config, settings)?,
        };
        self.model.over(&mut config)?;
        self.objective.over(&mut config);
        // Of what was typed the divergence may have no formula.
        let typed =
            self.model.names_prior() || self.sets("model", &["prior", "above", "posterior"]);
        if typed && !self.sets("objective", &["kl"]) {
            flags::sample_kl(&mut config);
        }
        self.optimiser.over(&mut config);
        self.training.over(&mut config);
        self.data.over(&mut config);
        self.reading.over(&mut config.data)?;
        config.validate()?;
        Ok((config, settings))
    }
}

/// What `--set` says, over a configuration and settings.
fn over(
    set: &[(String, String)],
    config: Config,
    settings: Settings,
) -> Result<(Config, Settings)> {
    let mut table = toml::Table::try_from(ConfigFile::whole(config, settings))
        .map_err(|e| Error::config(e).hint("give numbers that TOML can hold"))?;
    for (key, text) in set {
        let set = |table: &mut _, value| config_file::set(table, key, value);
        // A number may be the name of a device or of a folder.
        set(&mut table, value(text))
            .or_else(|error| set(&mut table, text.as_str().into()).map_err(|_| error))?;
    }
    Ok(ConfigFile::from_table(table)?.into_parts())
}
