//! How long each dispatch of a program takes: a pass of its own for each, between two timestamps.

use crate::cpu::ProgramId;
use crate::engine::Record;
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{Gpu, Session};

/// What a device needs to tell times.
pub(super) const FEATURE: wgpu::Features = wgpu::Features::TIMESTAMP_QUERY;

/// Bytes of a timestamp.
const STAMP: u64 = 8;

impl Gpu {
    /// Whether the device tells how long its passes take.
    #[must_use]
    pub fn has_timestamps(&self) -> bool {
        self.device.features().contains(FEATURE)
    }
}

impl Session {
    /// Waits until everything that was submitted is done.
    ///
    /// # Errors
    ///
    /// If the device is lost or does not finish in time.
    pub fn wait(&self) -> Result<()> {
        self.gpu().wait(None, "finish")
    }

    /// Runs a program once, each dispatch in a pass of its own, and gives the names of the kernels and
    /// of schedules that were chosen with the seconds that the device says each took. Passes cost time that dispatches within one do
    /// not. The step's report is not sent back.
    ///
    /// # Errors
    ///
    /// If the device was not granted `TIMESTAMP_QUERY`, is lost, or does not finish in time.
    pub fn profile(&mut self, program: ProgramId, record: Record) -> Result<Vec<(String, f64)>> {
        let gpu = self.gpu().clone();
        if !gpu.has_timestamps() {
            let what = format!("`{}` has no timestamps", gpu.description().name);
            return Err(Error::new(ErrorKind::Device, what).hint("kernels cannot be timed there"));
        }
        let dispatches = self.programs[program.0].dispatches.iter();
        let names: Vec<_> = dispatches.map(|d| d.name.clone()).collect();
        let queries = 2 * names.len() as u32;
        let submitted = gpu.guarded("profile a program", || {
            self.records.write(&gpu.queue, &[record]);
            let set = gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("elbo profile"),
                ty: wgpu::QueryType::Timestamp,
                count: queries,
            });
            let stamps = gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("elbo timestamps"),
                size: STAMP * u64::from(queries),
                usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            });
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            for (first, dispatch) in (0..).step_by(2).zip(&self.programs[program.0].dispatches) {
                let around = wgpu::ComputePassTimestampWrites {
                    query_set: &set,
                    beginning_of_pass_write_index: Some(first),
                    end_of_pass_write_index: Some(first + 1),
                };
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                    label: None,
                    timestamp_writes: Some(around),
                });
                pass.set_bind_group(1, self.records.group(0), &[]);
                dispatch.encode(&mut pass);
            }
            encoder.resolve_query_set(&set, 0..queries, &stamps, 0);
            gpu.queue.submit([encoder.finish()]);
            stamps
        });
        let stamps = self.note(submitted)?;
        let words = self.read_range(&stamps, 0..STAMP * u64::from(queries))?;
        let stamps: Vec<_> =
            words.chunks(2).map(|w| u64::from(w[0]) | u64::from(w[1]) << 32).collect();
        let period = f64::from(gpu.queue.get_timestamp_period()) * 1e-9;
        // A device may count backwards across a reset of its clock; such a pair says nothing.
        let seconds = stamps.chunks(2).map(|s| s[1].saturating_sub(s[0]) as f64 * period);
        Ok(names.into_iter().zip(seconds).collect())
    }
}
