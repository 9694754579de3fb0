//! How a device is opened, or taken from a host application.

use std::sync::{Arc, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::gpu::abilities::WANTED;
use crate::gpu::adapter::instance;
use crate::gpu::cache::Cache;
use crate::gpu::{AdapterDescription, DEFAULT_TIMEOUT, Gpu, Options, mixed, profile, wgpu};

impl Gpu {
    /// Opens a device of our own on the adapter of this number in [`adapters`](crate::gpu::adapters).
    ///
    /// # Errors
    ///
    /// If there is no such adapter, or it refuses WebGPU's default limits.
    pub fn open(number: usize) -> Result<Self> {
        Self::open_with(number, &Options::default())
    }

    /// The same, by choice.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with(number: usize, options: &Options) -> Result<Self> {
        Self::open_for(number, options, false)
    }

    pub(super) fn open_for(number: usize, options: &Options, mixed: bool) -> Result<Self> {
        let all = wgpu::Backends::all();
        let found = pollster::block_on(instance().enumerate_adapters(all));
        let count = found.len();
        let Some(adapter) = found.into_iter().nth(number) else {
            let what = format!("there is no adapter {number}; wgpu found {count}");
            return Err(Error::new(ErrorKind::Device, what).hint("`elbo devices` lists them"));
        };
        let description = AdapterDescription::of(&adapter.get_info());
        let matrices = if mixed { mixed::sizes(&adapter) } else { Vec::new() };
        let special = if matrices.is_empty() { wgpu::Features::empty() } else { mixed::FEATURES };
        let mut wanted = WANTED | wgpu::Features::SHADER_F16 | profile::FEATURE;
        wanted.set(wgpu::Features::PIPELINE_CACHE, options.cache.is_some());
        // What a large map needs; all else that runs everywhere is within the defaults.
        let granted = adapter.limits();
        let limits = wgpu::Limits {
            max_buffer_size: granted.max_buffer_size,
            max_storage_buffer_binding_size: granted.max_storage_buffer_binding_size,
            ..wgpu::Limits::default()
        };
        let request = adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("elbo"),
            required_features: adapter.features() & wanted | special,
            required_limits: limits,
            experimental_features: mixed::experimental(!matrices.is_empty()),
            ..Default::default()
        });
        let (device, queue) = pollster::block_on(request).map_err(|e| {
            let what = format!("`{}` gives no device: {e}", description.name);
            Error::new(ErrorKind::Device, what).hint("`--device cpu` runs without one")
        })?;
        let own = Some((number, options.clone()));
        let mut gpu = Self { own, matrices, ..Self::from_wgpu(device, queue) };
        let lost = Arc::clone(&gpu.lost);
        gpu.device.set_device_lost_callback(move |reason, message| {
            let mut lost = lost.lock().unwrap_or_else(PoisonError::into_inner);
            *lost = Some(format!("{reason:?} {message}").trim().to_owned());
        });
        // Nothing of ours runs outside an error scope; if something does, it must not panic.
        gpu.device.on_uncaptured_error(Arc::new(|error: wgpu::Error| {
            tracing::error!("an error outside every scope: {error}");
        }));
        gpu.cache = options.cache.as_ref().and_then(|f| Cache::open(&gpu, f)).map(Arc::new);
        Ok(gpu)
    }

    /// Takes the host application's device. Its handlers and its limits stay as they are; whatever
    /// the device was not granted is not used.
    ///
    /// wgpu panics when a device is lost while it is waited for. That becomes an error here, but
    /// only in programs that unwind: one built with `panic = "abort"` would end.
    ///
    /// ```no_run
    /// use elbo::gpu::Gpu;
    /// use elbo::{Config, Dataset, Device, Trainer, wgpu};
    ///
    /// fn trainer(device: &wgpu::Device, queue: &wgpu::Queue, images: &Dataset) -> elbo::Result<Trainer> {
    ///     let device = Device::Gpu(Gpu::from_wgpu(device.clone(), queue.clone()));
    ///     Trainer::new(&device, &Config::default(), images, images)
    /// }
    /// ```
    #[must_use]
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        let description = AdapterDescription::of(&device.adapter_info());
        Self {
            device,
            queue,
            description,
            timeout: DEFAULT_TIMEOUT,
            schedule: None,
            own: None,
            matrices: Vec::new(),
            mixed: false,
            tuned: Arc::default(),
            pipelines: Arc::default(),
            cache: None,
            lost: Arc::default(),
        }
    }
}
