//! Presets: configurations by name, with what was published of those that others have trained.

use serde::Deserialize;

use crate::config::{Config, ImageSize};
use crate::error::{Error, Result};

/// The names of the presets.
pub const PRESETS: [&str; 12] = [
    "classic",
    "big",
    "flax",
    "iwae-1",
    "iwae-5",
    "iwae-50",
    "iwae-5-two",
    "dreg-50",
    "conditional",
    "conv-28",
    "conv-32",
    "resnet-64",
];

/// The files, in the same order.
const FILES: [&str; PRESETS.len()] = [
    include_str!("presets/classic.toml"),
    include_str!("presets/big.toml"),
    include_str!("presets/flax.toml"),
    include_str!("presets/iwae-1.toml"),
    include_str!("presets/iwae-5.toml"),
    include_str!("presets/iwae-50.toml"),
    include_str!("presets/iwae-5-two.toml"),
    include_str!("presets/dreg-50.toml"),
    include_str!("presets/conditional.toml"),
    include_str!("presets/conv-28.toml"),
    include_str!("presets/conv-32.toml"),
    include_str!("presets/resnet-64.toml"),
];

/// A configuration by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Preset {
    /// The whole schedule.
    pub config: Config,
    /// The images that it is for, where the data do not say.
    pub images: ImageSize,
    /// A schedule that takes minutes, if the whole one has one.
    pub short: Option<Config>,
    /// What others got, if they did.
    pub published: Option<Published>,
}

/// What was published of a model, and how it came about.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Published {
    /// The data: results of different protocols must not be compared.
    pub protocol: String,
    /// Who says so, and where.
    pub source: String,
    /// What was measured.
    pub quantity: Quantity,
    /// What came out, in nats per image.
    pub value: f64,
    /// How far from it the same may come out again, either way: other seeds, and what the source leaves
    /// open.
    pub band: f64,
    /// The test loss after each epoch, if it is known.
    #[serde(default)]
    pub curve: Vec<f64>,
}

/// What was measured of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// −ELBO with one sampled z.
    Loss,
    /// −log p(x) by importance samples.
    Nll,
}

impl Preset {
    /// A preset by name.
    ///
    /// # Errors
    ///
    /// If there is no preset of that name.
    pub fn named(name: &str) -> Result<Self> {
        let Some(place) = PRESETS.iter().position(|&known| known == name) else {
            return Err(Error::config(format!("there is no preset `{name}`"))
                .hint(format!("the presets are {}", PRESETS.join(", "))));
        };
        Self::from_toml(FILES[place])
    }

    /// Reads a configuration with the key `images`, if they are not of 28 × 28, and the tables `[published]` and `[short]`,
    /// which holds what the short schedule has otherwise.
    fn from_toml(text: &str) -> Result<Self> {
        let fail = |e: toml::de::Error| Error::config(e.to_string().trim_end());
        let mut table: toml::Table = toml::from_str(text).map_err(fail)?;
        let images = table.remove("images").map(toml::Value::try_into);
        let published = table.remove("published").map(toml::Value::try_into);
        let short = table.remove("short").map(|short| {
            let mut whole = toml::Value::Table(table.clone());
            put_over(&mut whole, short);
            whole.try_into()
        });
        Ok(Self {
            config: table.try_into().map_err(fail)?,
            images: images.transpose().map_err(fail)?.unwrap_or([28, 28].into()),
            short: short.transpose().map_err(fail)?,
            published: published.transpose().map_err(fail)?,
        })
    }
}

/// Puts values over those of the same keys, table by table.
fn put_over(whole: &mut toml::Value, part: toml::Value) {
    match (whole, part) {
        (toml::Value::Table(whole), toml::Value::Table(part)) => {
            for (key, value) in part {
                let empty = toml::Value::Table(toml::Table::new());
                put_over(whole.entry(key).or_insert(empty), value);
            }
        }
        (whole, part) => *whole = part,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid_short_and_survive_toml() {
        for (name, file) in PRESETS.iter().zip(FILES) {
            let preset = Preset::named(name).expect("a listed preset exists");
            for config in [Some(preset.config.clone()), preset.short.clone()].iter().flatten() {
                config.validate().expect("a preset is valid");
                let read = Config::from_toml(&config.to_toml()).expect("what is written is read");
                assert_eq!(read, *config, "preset {name}");
            }
            let lines = file.lines().count();
            assert!(lines < 40, "{name} has {lines} lines");
            assert!(file.starts_with("# "), "{name} says what it is");
            let published = preset.published.is_some();
            assert_eq!(
                published,
                preset.short.is_some(),
                "{name}: what can be reproduced, shortly"
            );
            assert_ne!(preset.short, Some(preset.config), "{name}: the short schedule is another");
        }
        assert_eq!(Config::preset("classic").ok(), Some(Config::default()), "the default");
    }

    /// The short schedule has the whole one's values but for its own.
    #[test]
    fn the_short_schedule_lies_over_the_whole_one() {
        let text = "[model]\nlatent = 7\n[train]\nepochs = 90\nseed = 4\n[short]\ntrain.epochs = 3";
        let preset = Preset::from_toml(text).expect("a preset");
        let short = preset.short.expect("a short schedule");
        assert_eq!(
            (short.model.latent, short.train.epochs, short.train.seed),
            (7, 3, 4),
            "{short:?}"
        );
        assert_eq!(preset.config.train.epochs, 90, "the whole schedule");
        let error = Preset::from_toml("[train]\nepoch = 3").expect_err("`epoch` is no key");
        assert!(error.to_string().contains("epochs"), "{error}");
    }
}
