//! The adapters that wgpu finds.

/// An adapter that wgpu found.
#[derive(Clone, Debug)]
pub struct AdapterDescription {
    /// Its name.
    pub name: String,
    /// The driver and its version.
    pub driver: String,
    /// The API it is reached through, as `vulkan`.
    pub backend: String,
    /// Whether it is a program that plays a GPU on the CPU.
    pub software: bool,
    /// Lanes of the smallest and the largest subgroup.
    pub subgroups: (u32, u32),
}

impl AdapterDescription {
    pub(super) fn of(info: &wgpu::AdapterInfo) -> Self {
        Self {
            name: info.name.clone(),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            backend: info.backend.to_string(),
            software: info.device_type == wgpu::DeviceType::Cpu,
            subgroups: (info.subgroup_min_size, info.subgroup_max_size),
        }
    }
}

pub(super) fn instance() -> wgpu::Instance {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    // In percent of the driver's budget, where it tells: beyond it drivers move buffers to and fro.
    descriptor.memory_budget_thresholds.for_resource_creation = Some(90);
    wgpu::Instance::new(descriptor)
}

/// The adapters that wgpu finds, in the order that [`Gpu::open`](crate::gpu::Gpu::open) counts them.
#[must_use]
pub fn adapters() -> Vec<AdapterDescription> {
    let all = wgpu::Backends::all();
    let found = pollster::block_on(instance().enumerate_adapters(all));
    found.iter().map(|adapter| AdapterDescription::of(&adapter.get_info())).collect()
}
