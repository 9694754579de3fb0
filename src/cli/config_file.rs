//! Configuration files: what decides the numbers of a run, and the `[run]` table of the program.

mod fault;

use std::path::Path;

use elbo::checkpoint::read_whole;
use elbo::config::{
    Config, DataConfig, MOST_TOML, ModelConfig, ObjectiveConfig, OptimizerConfig, TrainConfig,
};
use elbo::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::cli::settings::Settings;

const KEYS: &str = "`elbo config` prints every key, its default and what it means";

/// Puts a value under a dotted key of a configuration, such as `objective.beta`, in place of what was
/// there. The key is known and the value of its type afterwards; whether it fits the others is for
/// [`Config::validate`].
pub(super) fn set(table: &mut toml::Table, key: &str, value: toml::Value) -> Result<()> {
    if let Some(what) = fault::of_value(key, &value) {
        return Err(Error::config(what).hint(KEYS));
    }
    let (above, name) = key.split_once('.').unwrap_or_default();
    let entry = table.entry(above).or_insert_with(|| toml::Value::Table(toml::Table::new()));
    if let Some(inner) = entry.as_table_mut() {
        inner.insert(name.to_owned(), value);
    }
    Ok(())
}

/// The tables of a file, those that it has.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ConfigFile {
    model: Option<ModelConfig>,
    objective: Option<ObjectiveConfig>,
    optimizer: Option<OptimizerConfig>,
    data: Option<DataConfig>,
    train: Option<TrainConfig>,
    run: Option<Settings>,
}

impl ConfigFile {
    /// Reads a file, of which no more is read than a configuration may have.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = read_whole(path, MOST_TOML as u64, "`--config` takes a TOML file")?;
        if bytes.len() > MOST_TOML {
            let what = format!("`{}` has more than 256 KiB", path.display());
            return Err(Error::config(what).hint("is it a configuration?"));
        }
        let text = String::from_utf8(bytes).map_err(|_| {
            let what = format!("`{}` is no text in UTF-8", path.display());
            Error::config(what).hint("`--config` takes a TOML file")
        })?;
        Self::from_toml(&text)
            .map_err(|what| Error::config(format!("`{}`: {what}", path.display())).hint(KEYS))
    }

    /// Reads a text; what is wrong with it in words.
    fn from_toml(text: &str) -> std::result::Result<Self, String> {
        toml::from_str(text).map_err(|error| fault::words(text, &error))
    }

    /// Reads a table that [`set`] or a file has filled.
    pub(super) fn from_table(table: toml::Table) -> Result<Self> {
        table.try_into().map_err(|e: toml::de::Error| Error::config(e.message()).hint(KEYS))
    }

    /// A file that says all.
    pub(super) fn whole(config: Config, settings: Settings) -> Self {
        let Config { model, objective, optimizer, data, train } = config;
        Self {
            model: Some(model),
            objective: Some(objective),
            optimizer: Some(optimizer),
            data: Some(data),
            train: Some(train),
            run: Some(settings),
        }
    }

    /// Whether it says anything but how a run is done.
    pub(super) fn decides_numbers(&self) -> bool {
        *self != Self { run: self.run.clone(), ..Self::default() }
    }

    /// The configuration and the settings, with defaults for what the file leaves out.
    pub(super) fn into_parts(self) -> (Config, Settings) {
        let config = Config {
            model: self.model.unwrap_or_default(),
            objective: self.objective.unwrap_or_default(),
            optimizer: self.optimizer.unwrap_or_default(),
            data: self.data.unwrap_or_default(),
            train: self.train.unwrap_or_default(),
        };
        (config, self.run.unwrap_or_default())
    }
}
