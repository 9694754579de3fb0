//! The records of a submit's steps: one uniform buffer, and a bind group for each place in it.

use crate::engine::Record;
use crate::engine::record::SLOTS;
use crate::gpu::Gpu;

/// The distance between records: WebGPU's default alignment of what is bound.
const STRIDE: usize = 256;

/// The layout of group 1, the same in every pipeline, so that a pass binds its record once.
pub(super) fn layout(device: &wgpu::Device) -> wgpu::BindGroupLayout {
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some("elbo record"),
        entries: &[wgpu::BindGroupLayoutEntry {
            binding: 0,
            visibility: wgpu::ShaderStages::COMPUTE,
            count: None,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Uniform,
                has_dynamic_offset: false,
                min_binding_size: None,
            },
        }],
    })
}

/// Room for as many records as a submit may have.
#[derive(Debug)]
pub(super) struct Records {
    buffer: wgpu::Buffer,
    groups: Vec<wgpu::BindGroup>,
}

impl Records {
    /// Makes the buffer and the bind groups; inside an error scope.
    pub(super) fn new(gpu: &Gpu) -> Self {
        let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("elbo records"),
            size: (SLOTS * STRIDE) as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let layout = layout(&gpu.device);
        let group = |slot: usize| {
            gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("elbo record"),
                layout: &layout,
                entries: &[wgpu::BindGroupEntry {
                    binding: 0,
                    resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                        buffer: &buffer,
                        offset: (slot * STRIDE) as u64,
                        size: std::num::NonZeroU64::new(STRIDE as u64),
                    }),
                }],
            })
        };
        let groups = (0..SLOTS).map(group).collect();
        Self { buffer, groups }
    }

    /// Writes the records of the next submit. The queue does this before that submit's commands and
    /// after the last one's, so that steps in flight are not disturbed.
    pub(super) fn write(&self, queue: &wgpu::Queue, records: &[Record]) {
        let mut bytes = vec![0; records.len() * STRIDE];
        for (slot, (to, record)) in bytes.chunks_mut(STRIDE).zip(records).enumerate() {
            to[..Record::BYTES].copy_from_slice(&record.bytes(slot));
        }
        queue.write_buffer(&self.buffer, 0, &bytes);
    }

    /// What group 1 is for the submit's step number `slot`.
    pub(super) fn group(&self, slot: usize) -> &wgpu::BindGroup {
        &self.groups[slot]
    }
}
