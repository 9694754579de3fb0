//! A compute pipeline of a kernel's schedule.

use crate::engine::{Access, AnyKernel, Schedule};
use crate::gpu::records::layout;

/// Makes the pipeline of a schedule, from the cache where it is known; inside an error scope.
pub(super) fn make_pipeline(
    device: &wgpu::Device,
    kernel: &dyn AnyKernel,
    schedule: &Schedule,
    constants: &[(&str, f64)],
    cache: Option<&wgpu::PipelineCache>,
) -> wgpu::ComputePipeline {
    let label = format!("elbo {} ({})", kernel.name(), schedule.name);
    let storage = kernel.bindings().iter().map(|binding| wgpu::BufferBindingType::Storage {
        read_only: binding.access == Access::Read,
    });
    let types = std::iter::once(wgpu::BufferBindingType::Uniform).chain(storage);
    let entries: Vec<_> = (0..)
        .zip(types)
        .map(|(binding, ty)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            count: None,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        })
        .collect();
    let group = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some(&label),
        entries: &entries,
    });
    let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(&label),
        bind_group_layouts: &[Some(&group), Some(&layout(device))],
        immediate_size: 0,
    });
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(&label),
        source: wgpu::ShaderSource::Wgsl(schedule.wgsl().into()),
    });
    device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(&label),
        layout: Some(&layout),
        module: &module,
        entry_point: Some(kernel.entry()),
        compilation_options: wgpu::PipelineCompilationOptions {
            constants,
            // Every kernel writes its workgroup memory before it reads it.
            zero_initialize_workgroup_memory: false,
        },
        cache,
    })
}
