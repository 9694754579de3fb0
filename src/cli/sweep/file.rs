//! The file of a sweep: a configuration, and which of its keys vary.

use std::path::{Path, PathBuf};

use elbo::config::{
    Config, DataConfig, ModelConfig, ObjectiveConfig, OptimizerConfig, TrainConfig,
};
use elbo::{Error, Result};
use serde::Deserialize;

use crate::cli::config_file::{ConfigFile, from_toml, read_text, set};
use crate::cli::settings::Settings;
use crate::cli::sweep::plan::{self, Combination, Way};

const HINT: &str = "`elbo sweep --help` shows a whole file, and `elbo config` prints every key of a \
                    configuration";

/// The tables that no configuration has.
const OWN: [&str; 3] = ["sweep", "grid", "random"];

/// The tables of a file. Those of a configuration are judged here, with their lines, and read again
/// as what they set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Tables {
    #[serde(default)]
    sweep: SweepTable,
    grid: Option<toml::Table>,
    random: Option<toml::Table>,
    #[serde(rename = "model")]
    _model: Option<ModelConfig>,
    #[serde(rename = "objective")]
    _objective: Option<ObjectiveConfig>,
    #[serde(rename = "optimizer")]
    _optimizer: Option<OptimizerConfig>,
    #[serde(rename = "data")]
    _data: Option<DataConfig>,
    #[serde(rename = "train")]
    _train: Option<TrainConfig>,
    #[serde(rename = "run")]
    _run: Option<Settings>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct SweepTable {
    preset: Option<String>,
    config: Option<PathBuf>,
    out: Option<PathBuf>,
    runs: Option<usize>,
    seed: Option<u64>,
}

/// What is to be trained.
#[derive(Debug)]
pub(super) struct Sweep {
    pub(super) out: PathBuf,
    /// The configuration that all runs share, but for the keys that vary.
    pub(super) base: toml::Table,
    pub(super) settings: Settings,
    pub(super) combinations: Vec<Combination>,
}

impl Sweep {
    /// Reads a file, and judges every combination of it.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text =
            read_text(path, "`elbo sweep` takes a TOML file; `elbo sweep --help` shows one")?;
        let name = path.file_stem().unwrap_or_default();
        let mut sweep = Self::from_text(&text, &Path::new("sweeps").join(name)).map_err(|e| {
            let advice = e.advice().unwrap_or(HINT).to_owned();
            Error::new(e.kind(), format!("`{}`: {e}", path.display())).hint(advice)
        })?;
        sweep.base.remove("run");
        Ok(sweep)
    }

    /// Reads a text, whose runs go to a folder if it names none.
    fn from_text(text: &str, out: &Path) -> Result<Self> {
        let wrong = |what: String| Error::config(what).hint(HINT);
        let tables: Tables = from_toml(text).map_err(wrong)?;
        let SweepTable { preset, config, out: named, runs, seed } = tables.sweep;
        let base = match (preset, config) {
            (Some(_), Some(_)) => {
                return Err(wrong(
                    "[sweep] has `preset` and `config`; it takes one of them".to_owned(),
                ));
            }
            (_, Some(path)) => ConfigFile::read(&path)?,
            (preset, None) => {
                let config = Config::preset(preset.as_deref().unwrap_or("classic"))?;
                ConfigFile::whole(config, Settings::default())
            }
        };
        let mut base = base.into_table()?;
        let own: toml::Table = from_toml(text).map_err(wrong)?;
        for (name, table) in own.iter().filter(|(name, _)| !OWN.contains(&name.as_str())) {
            for (key, value) in table.as_table().into_iter().flatten() {
                set(&mut base, &format!("{name}.{key}"), value.clone())?;
            }
        }
        let (varied, way) = match (tables.grid, tables.random) {
            (Some(grid), None) => match (runs, seed) {
                (None, None) => (grid, Way::Grid),
                _ => {
                    let what = "[sweep] has `runs` or `seed`, which belong to [random], and there is [grid]";
                    return Err(wrong(what.to_owned()));
                }
            },
            (None, Some(random)) => {
                (random, Way::Random { runs: runs.unwrap_or(10), seed: seed.unwrap_or(0) })
            }
            (Some(_), Some(_)) => {
                return Err(wrong(
                    "there are [grid] and [random]; a sweep has one of them".to_owned(),
                ));
            }
            (None, None) => {
                return Err(wrong(
                    "it needs a table [grid] or [random] of keys to vary".to_owned(),
                ));
            }
        };
        Ok(Self {
            out: named.unwrap_or_else(|| out.to_owned()),
            combinations: plan::combinations(&varied, way, &base)?,
            settings: ConfigFile::from_table(base.clone())?.into_parts().1,
            base,
        })
    }
}
