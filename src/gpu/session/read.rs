//! Reading tensors back.

use std::sync::mpsc::channel;

use crate::engine::{Dtype, Tensor};
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::Session;
use crate::gpu::ring::CALLBACK_PATIENCE;

impl Session {
    /// Reads all elements of a buffer, as bits. Waits for the device.
    ///
    /// # Errors
    ///
    /// If the device is lost or does not answer in time.
    pub fn read_buffer(&self, index: usize) -> Result<Vec<u32>> {
        let buffer = &self.buffers[index];
        match buffer.size() {
            0 => Ok(Vec::new()),
            size => self.read_range(buffer, 0..size),
        }
    }

    /// Reads a tensor's elements, row by row, without padding. Waits for the device.
    ///
    /// # Errors
    ///
    /// If the device is lost or does not answer in time.
    pub fn read(&self, tensor: Tensor) -> Result<Vec<f32>> {
        assert_eq!(tensor.dtype(), Dtype::F32, "words are not read as floats");
        let range = tensor.range();
        let bytes = 4 * range.start as u64..4 * range.end as u64;
        let bits = self.read_range(&self.buffers[tensor.buffer().index()], bytes)?;
        let (rows, cols, stride) = (tensor.rows(), tensor.cols(), tensor.stride());
        let row = |row: usize| &bits[row * stride..row * stride + cols];
        Ok((0..rows).flat_map(row).map(|&bits| f32::from_bits(bits)).collect())
    }

    /// Reads elements with the padding, from `first` on, as bits. Waits for the device.
    pub(crate) fn read_bits(&self, tensor: Tensor, first: usize, len: usize) -> Result<Vec<u32>> {
        let (buffer, start) = self.start(tensor);
        let start = start + 4 * first as u64;
        self.read_range(buffer, start..start + 4 * len as u64)
    }

    pub(in crate::gpu) fn read_range(
        &self,
        buffer: &wgpu::Buffer,
        range: std::ops::Range<u64>,
    ) -> Result<Vec<u32>> {
        let size = range.end - range.start;
        let (sender, mapped) = channel();
        let (staging, submission) = self.gpu.guarded("read a tensor", || {
            let staging = self.gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("elbo staging"),
                size,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(buffer, range.start, &staging, 0, size);
            let submission = self.gpu.queue.submit([encoder.finish()]);
            staging.map_async(wgpu::MapMode::Read, .., move |result| {
                // A receiver that is gone no longer wants to know.
                drop(sender.send(result));
            });
            (staging, submission)
        })?;
        self.gpu.wait(Some(submission), "copy a tensor back")?;
        let lost = || Error::new(ErrorKind::Lost, "the device was lost while it was read");
        let answer = mapped.recv_timeout(CALLBACK_PATIENCE).map_err(|_| lost())?;
        answer.map_err(|_| lost())?;
        let view = staging.get_mapped_range(..).map_err(|_| lost())?;
        Ok(bytemuck::cast_slice(&view).to_vec())
    }
}
