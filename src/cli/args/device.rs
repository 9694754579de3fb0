//! The flags that choose a device, and what becomes of them.

use clap::ValueEnum;
use elbo::gpu::Tune;
use elbo::{Device, Result};
use serde::{Deserialize, Serialize};

use crate::cli::settings::Settings;

/// The precision of matrix products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) enum Precision {
    /// Single precision throughout
    #[default]
    F32,
    /// Operands in f16, sums in f32, where the GPU has cooperative matrices and passes a test
    Mixed,
}

impl Precision {
    /// A device that computes so, and what came of it.
    pub(in crate::cli) fn of(self, device: Device) -> Result<(Device, String)> {
        match (self, device) {
            (Self::F32, device) => Ok((device, "f32".to_owned())),
            (Self::Mixed, Device::Gpu(gpu)) => {
                let (gpu, why) = gpu.with_mixed_precision()?;
                Ok((Device::Gpu(gpu), why))
            }
            (Self::Mixed, cpu) => Ok((cpu, "f32, the only one of the CPU".to_owned())),
        }
    }
}

/// When ways to compute products are measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) enum TuneArg {
    /// Once for each device and shape, on a hardware GPU, if a cache keeps the result
    #[default]
    Auto,
    /// Never: a rule chooses by the shape
    Off,
    /// In every run, on any device
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
pub(in crate::cli) struct DeviceArgs {
    /// auto (a hardware GPU, else the CPU), cpu, gpu, or a number or a part of a name from `elbo devices`
    #[arg(long, value_name = "DEVICE", help_heading = "Device")]
    device: Option<String>,
    /// The precision of matrix products: f32, or mixed precision where the GPU has matrix units
    #[arg(long, value_enum, help_heading = "Device")]
    precision: Option<Precision>,
    /// Threads of the CPU [default: one for each core]
    #[arg(long, value_name = "N", help_heading = "Device")]
    threads: Option<usize>,
    /// Whether to measure which way of computing matrix products is the fastest on this GPU (autotuning)
    #[arg(long, value_enum, help_heading = "Device")]
    tune: Option<TuneArg>,
    /// Keep no cache: no compiled shaders, no measured times, no decoded images
    #[arg(long, help_heading = "Device")]
    pub(in crate::cli) no_cache: bool,
}

impl DeviceArgs {
    /// The device, why it is that one, and what its products are computed in.
    pub(in crate::cli) fn open(&self) -> Result<(Device, String, String)> {
        self.over(Settings::default()).open()
    }

    /// The device that was typed.
    pub(in crate::cli) fn word(&self) -> Option<&str> {
        self.device.as_deref()
    }

    /// The same flags for another device.
    pub(in crate::cli) fn on(&self, word: String) -> Self {
        Self { device: Some(word), ..self.clone() }
    }

    /// The flags as they are typed.
    pub(in crate::cli) fn flags(&self) -> Vec<String> {
        fn word<T: ValueEnum>(value: T) -> Option<String> {
            value.to_possible_value().map(|word| word.get_name().to_owned())
        }
        let flags = [
            ("--device", self.device.clone()),
            ("--precision", self.precision.and_then(word)),
            ("--threads", self.threads.map(|count| count.to_string())),
            ("--tune", self.tune.and_then(word)),
        ];
        let given = flags.into_iter().filter_map(|(flag, value)| Some([flag.to_owned(), value?]));
        given.flatten().chain(self.no_cache.then(|| "--no-cache".to_owned())).collect()
    }

    /// What was typed, over what a file says.
    pub(in crate::cli) fn over(&self, file: Settings) -> Settings {
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
