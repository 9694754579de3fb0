//! Trains variational autoencoders with WGSL compute shaders, on any GPU that wgpu reaches.
//!
//! The same programs run on a device of our own, on a host application's `Device` and `Queue`, or
//! on the CPU, which is also the oracle that the tests hold the shaders to.
//!
//! ```
//! use elbo::{Config, Dataset, Device, Trainer};
//!
//! let (train, test) = (Dataset::synthetic(512, [12, 12], 1)?, Dataset::synthetic(64, [12, 12], 2)?);
//! let mut config = Config::default();
//! config.train.batch_size = 64;
//! let (device, _why) = Device::choose("auto", 0)?;
//! let mut trainer = Trainer::new(&device, &config, &train, &test)?;
//! let before = trainer.evaluate()?.sampled.loss;
//! trainer.advance(100)?;
//! let losses = trainer.evaluate()?.sampled;
//! println!("−ELBO {} = {} + {} nats per image", losses.loss, losses.recon, losses.kl);
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("weights.safetensors");
//! trainer.save_weights(&path)?;
//! # assert!(losses.loss < 0.6 * before, "{} nats before, {} after", before, losses.loss);
//! # Ok::<(), elbo::Error>(())
//! ```
//!
//! [`Config`] says what to train, [`Dataset`] on what, [`Device`] where. Losses are in nats per
//! image, summed over pixels and latent dimensions and averaged over images; `loss` is always the
//! negative ELBO.
//!
//! To train inside a wgpu application, hand over its device with [`gpu::Gpu::from_wgpu`]: none of
//! its handlers is touched, and nothing panics. To write models of your own, start from
//! [`engine`], [`kernels`] and [`nn`], whose interfaces may still change in any minor release.

pub mod bench;
pub mod checkpoint;
pub mod config;
pub mod cpu;
pub mod data;
pub mod engine;
pub mod error;
pub mod evaluate;
mod files;
pub mod gpu;
pub mod kernels;
pub mod metrics;
pub mod model;
pub mod nn;
pub mod optim;
pub mod probe;
pub mod selftest;
pub mod session;
pub mod train;

pub use config::Config;
pub use data::Dataset;
pub use error::{Error, ErrorKind, Result};
pub use evaluate::{Evaluation, Model};
pub use gpu::wgpu;
pub use metrics::Losses;
pub use session::Device;
pub use train::Trainer;

/// The README's example, compiled as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
