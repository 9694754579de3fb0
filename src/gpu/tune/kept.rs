//! What was measured, in a file for each device.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files::write_whole;
use crate::gpu::Gpu;
use crate::gpu::tune::Choices;

/// A file of choices, and what they hold for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct File {
    pub(super) version: String,
    pub(super) adapter: String,
    pub(super) driver: String,
    pub(super) backend: String,
    pub(super) mixed: bool,
    pub(super) schedules: Choices,
}

impl File {
    pub(super) fn of(gpu: &Gpu) -> Self {
        let about = gpu.description();
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            adapter: about.name.clone(),
            driver: about.driver.clone(),
            backend: about.backend.clone(),
            mixed: gpu.mixed,
            schedules: Choices::new(),
        }
    }

    pub(super) fn path(&self, folder: &Path) -> PathBuf {
        let head = Self { schedules: Choices::new(), ..self.clone() };
        let mut crc = flate2::Crc::new();
        crc.update(format!("{head:?}").as_bytes());
        folder.join(format!("schedules-{:08x}.toml", crc.sum()))
    }

    /// Takes the choices of the file in a folder, if it has any for the same device.
    pub(super) fn read(mut self, folder: &Path) -> Self {
        let path = self.path(folder);
        let Ok(text) = std::fs::read_to_string(&path) else { return self };
        match toml::from_str::<Self>(&text) {
            Ok(found) if Self { schedules: Choices::new(), ..found.clone() } == self => {
                self.schedules = found.schedules;
            }
            _ => tracing::warn!("`{}` has no schedules of this device", path.display()),
        }
        self
    }

    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let text = toml::to_string(self).expect("strings and a table of strings");
        std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
        write_whole(&self.path(folder), text.as_bytes())
    }
}
