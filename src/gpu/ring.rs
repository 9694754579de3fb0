//! Metrics on their way back: staging buffers that are mapped in turn, without waiting.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use crate::engine::record::SLOTS;
use crate::engine::report::{Report, SLOT, Untaken, VALUES};
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::Gpu;
use crate::gpu::pace::{Pace, Submit};

/// Submits that may be in flight: one that runs, one that waits, and one that is being encoded.
const STAGES: usize = 3;

/// How long a mapping's callback may be under way when the wait for its submit has ended: another
/// thread may be the one that calls it.
pub(super) const CALLBACK_PATIENCE: Duration = Duration::from_secs(10);

/// Words of a staging buffer that are for metric slots; the two of the guard follow.
const SLOT_WORDS: usize = SLOTS * SLOT;

const STAGE_BYTES: u64 = 4 * (SLOT_WORDS as u64 + 2);

/// One submit whose metrics have not been read.
#[derive(Debug)]
struct Flight {
    buffer: wgpu::Buffer,
    submission: wgpu::SubmissionIndex,
    mapped: Receiver<std::result::Result<(), wgpu::BufferAsyncError>>,
    first_tick: u32,
    /// Whether somebody waits for its reports.
    awaited: bool,
    submit: Submit,
}

/// The staging buffers: free ones, and those in flight in the order of their submits. A full ring
/// holds the producer back; no value is dropped.
#[derive(Debug)]
pub(super) struct Ring {
    free: Vec<wgpu::Buffer>,
    flights: VecDeque<Flight>,
    untaken: Untaken,
    /// What the reports' arrival says of the steps' time.
    pub(super) pace: Pace,
}

impl Ring {
    /// Makes the staging buffers; inside an error scope.
    pub(super) fn new(gpu: &Gpu) -> Self {
        let make = |_| {
            gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("elbo metrics staging"),
                size: STAGE_BYTES,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        };
        Self {
            free: (0..STAGES).map(make).collect(),
            flights: VecDeque::new(),
            untaken: Untaken::default(),
            pace: Pace::default(),
        }
    }

    /// A free staging buffer; waits for the oldest submit if there is none.
    pub(super) fn take(&mut self, gpu: &Gpu) -> Result<wgpu::Buffer> {
        self.collect(gpu, false)?;
        if self.free.is_empty() {
            self.collect(gpu, true)?;
        }
        let missing = || Error::new(ErrorKind::Device, "a staging buffer did not come back");
        self.free.pop().ok_or_else(missing)
    }

    /// Encodes the copies of so many metric slots, and of the guard; inside an error scope.
    pub(super) fn copy(
        encoder: &mut wgpu::CommandEncoder,
        (metrics, metrics_at): (&wgpu::Buffer, u64),
        (guard, guard_at): (&wgpu::Buffer, u64),
        stage: &wgpu::Buffer,
        steps: usize,
    ) {
        let bytes = (4 * SLOT * steps) as u64;
        encoder.copy_buffer_to_buffer(metrics, metrics_at, stage, 0, bytes);
        encoder.copy_buffer_to_buffer(guard, guard_at, stage, 4 * SLOT_WORDS as u64, 8);
    }

    /// Asks for a submit's metrics to be mapped once it is done; inside an error scope.
    pub(super) fn map(
        &mut self,
        buffer: wgpu::Buffer,
        submission: wgpu::SubmissionIndex,
        (first_tick, awaited): (u32, bool),
        submit: Submit,
    ) {
        let (sender, mapped) = channel();
        // A receiver that is gone belongs to a session that was dropped.
        buffer.map_async(wgpu::MapMode::Read, .., move |result| drop(sender.send(result)));
        self.flights.push_back(Flight { buffer, submission, mapped, first_tick, awaited, submit });
    }

    /// Takes in the metrics of submits that are done; with `wait`, of the oldest at least.
    pub(super) fn collect(&mut self, gpu: &Gpu, wait: bool) -> Result<()> {
        gpu.poll()?;
        let mut wait = wait;
        while let Some(flight) = self.flights.front() {
            let mut waited = false;
            let result = match flight.mapped.try_recv() {
                Err(TryRecvError::Empty) if wait => {
                    waited = true;
                    gpu.wait(Some(flight.submission.clone()), "finish a submit")?;
                    flight.mapped.recv_timeout(CALLBACK_PATIENCE).map_err(|_| unmapped())?
                }
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(unmapped()),
                Ok(result) => result,
            };
            wait = false;
            result.map_err(|_| unmapped())?;
            let Some(flight) = self.flights.pop_front() else { return Ok(()) };
            self.pace.arrived(flight.submit, Instant::now(), waited);
            let view = flight.buffer.get_mapped_range(..).map_err(|_| unmapped())?;
            let words = bytemuck::cast_slice(&view);
            for report in reports(words, flight.first_tick, flight.submit.steps) {
                self.untaken.keep(report, flight.awaited);
            }
            drop(view);
            flight.buffer.unmap();
            self.free.push(flight.buffer);
        }
        Ok(())
    }

    /// Whether a submit's metrics have not been read.
    pub(super) fn in_flight(&self) -> bool {
        !self.flights.is_empty()
    }

    /// The oldest step's report.
    pub(super) fn next(&mut self) -> Option<Report> {
        self.untaken.take()
    }
}

/// The reports in a staging buffer. A slot holds the status that the steps before left, so that a
/// step's own is in the next one, and the last step's is what the guard says in the end.
fn reports(words: &[u32], first_tick: u32, steps: usize) -> impl Iterator<Item = Report> {
    (0..steps).map(move |step| {
        let mut values = [0.0; VALUES];
        let slot = &words[step * SLOT + 1..(step + 1) * SLOT];
        let found = slot.iter().map(|&bits| f64::from(f32::from_bits(bits)));
        values.iter_mut().zip(found).for_each(|(value, found)| *value = found);
        let status = if step + 1 < steps {
            f32::from_bits(words[(step + 1) * SLOT]) as u32
        } else {
            words[SLOT_WORDS] | words[SLOT_WORDS + 1]
        };
        Report { tick: first_tick.wrapping_add(step as u32), values, status }
    })
}

/// Mapping fails only on a device that is lost or was destroyed by its owner.
fn unmapped() -> Error {
    Error::new(ErrorKind::Lost, "the device was lost: its memory cannot be read any more")
        .hint("start again from what was saved last")
}
