//! Configurations from presets and TOML, and as TOML.

use crate::config::{Config, MOST_TOML, Preset};
use crate::error::{Error, Result};

impl Config {
    /// The whole schedule of a preset by name: `classic` is the default.
    ///
    /// # Errors
    ///
    /// If there is no preset of that name.
    pub fn preset(name: &str) -> Result<Self> {
        Ok(Preset::named(name)?.config)
    }

    /// Reads a configuration from TOML; what it leaves out is the classic preset's.
    ///
    /// # Errors
    ///
    /// If it is not TOML, names a key that does not exist, or has more than 256 KiB.
    pub fn from_toml(text: &str) -> Result<Self> {
        // The reader needs many times as much memory.
        if text.len() > MOST_TOML {
            let what = format!("a configuration of {} bytes, expected 256 KiB or less", text.len());
            return Err(Error::config(what).hint("is it a configuration?"));
        }
        toml::from_str(text).map_err(|e| {
            Error::config(e.to_string().trim_end())
                .hint("the keys are the fields of `Config`; `elbo config` prints them all")
        })
    }

    /// Refuses a model that has no density q(z | x), and so no bound on the likelihood p(x).
    ///
    /// # Errors
    ///
    /// If its posterior is a point.
    pub fn check_density(&self) -> Result<()> {
        if self.model.posterior.is_density() {
            return Ok(());
        }
        let what = "a plain autoencoder (`posterior = \"point\"`) has no likelihood p(x)";
        Err(Error::config(what).hint("train another model, with `--set model.posterior=normal`"))
    }

    /// Refuses a model whose codes were never held to a prior.
    ///
    /// # Errors
    ///
    /// If its posterior is a point and no discrepancy from the prior was minimised.
    pub fn check_prior(&self) -> Result<()> {
        if self.model.posterior.is_density() || self.objective.mmd > 0.0 {
            return Ok(());
        }
        let what = "a plain autoencoder (`posterior = \"point\"`) has no prior to draw z from";
        Err(Error::config(what).hint(
            "`elbo sample --from gmm` draws z from a mixture that is fitted to the codes; or train another \
             model, with `--set model.posterior=normal` or `--set objective.mmd=100`",
        ))
    }

    /// Writes the configuration as TOML.
    ///
    /// # Panics
    ///
    /// Never: every field has a TOML form.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("every field of a configuration has a TOML form")
    }
}
