//! Calls on the device, whose errors and losses become ours, and panics that are ours stay panics.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::PoisonError;

use crate::error::{Error, ErrorKind, Result};
use crate::gpu::Gpu;

/// What a poll that returned says.
type Polled = std::result::Result<wgpu::PollStatus, wgpu::PollError>;

/// Whether wgpu panicked since a device was lost while it was polled; its message begins so.
fn is_a_loss(panic: &(dyn Any + Send)) -> bool {
    panic.downcast_ref::<String>().is_some_and(|text| text.starts_with("Error in Device::poll"))
}

impl Gpu {
    /// Makes calls on the device inside error scopes of our own, and gives their first error. A panic
    /// goes through: of these calls none panics in wgpu, so it is ours, and says itself what is wrong.
    pub(crate) fn guarded<R>(&self, what: &str, calls: impl FnOnce() -> R) -> Result<R> {
        self.check_lost()?;
        let scopes = [
            wgpu::ErrorFilter::Internal,
            wgpu::ErrorFilter::OutOfMemory,
            wgpu::ErrorFilter::Validation,
        ]
        .map(|filter| self.device.push_error_scope(filter));
        let result = calls();
        let mut first = None;
        for scope in scopes.into_iter().rev() {
            first = first.or(pollster::block_on(scope.pop()));
        }
        self.check_lost()?;
        match first {
            None => Ok(result),
            Some(wgpu::Error::OutOfMemory { .. }) => {
                let message = format!("the device ran out of memory: {what}");
                Err(Error::new(ErrorKind::Lost, message).hint("choose a smaller batch or model"))
            }
            Some(error) => {
                Err(Error::new(ErrorKind::Device, format!("the device refused to {what}: {error}"))
                    .hint("`elbo selftest` tells whether the driver works"))
            }
        }
    }

    fn lost_error(&self, what: &str) -> Error {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = lost.as_deref().unwrap_or("no reason was given");
        let message = format!("the device `{}` was lost: {reason} ({what})", self.description.name);
        Error::new(ErrorKind::Lost, message).hint("start again from what was saved last")
    }

    fn check_lost(&self) -> Result<()> {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if lost { Err(self.lost_error("before a call")) } else { Ok(()) }
    }

    /// Waits for a submission, but not forever.
    pub(crate) fn wait(&self, submission: Option<wgpu::SubmissionIndex>, what: &str) -> Result<()> {
        let timeout = Some(self.timeout);
        match self.polled(wgpu::PollType::Wait { submission_index: submission, timeout }) {
            Some(Ok(_)) => self.check_lost(),
            Some(Err(wgpu::PollError::Timeout)) => {
                let seconds = self.timeout.as_secs_f64();
                let message = format!("the device did not {what} within {seconds} s");
                Err(Error::new(ErrorKind::Timeout, message).hint("try fewer steps a submit"))
            }
            Some(Err(_)) | None => Err(self.lost_error(what)),
        }
    }

    /// Lets callbacks run, without waiting.
    pub(crate) fn poll(&self) -> Result<()> {
        match self.polled(wgpu::PollType::Poll) {
            Some(Ok(_)) => self.check_lost(),
            Some(Err(_)) | None => Err(self.lost_error("poll")),
        }
    }

    /// The one place that polls: wgpu panics when a device is lost during a poll, which is `None` here.
    /// A panic of anything else, as of a host's callback that the poll runs, goes through.
    fn polled(&self, how: wgpu::PollType) -> Option<Polled> {
        match catch_unwind(AssertUnwindSafe(|| self.device.poll(how))) {
            Ok(polled) => Some(polled),
            Err(panic) if is_a_loss(&*panic) => None,
            Err(panic) => resume_unwind(panic),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu() -> Gpu {
        Gpu::open(0).expect("an adapter; install mesa-vulkan-drivers")
    }

    fn message(panic: &(dyn Any + Send)) -> String {
        panic.downcast_ref::<&str>().map_or_else(|| "no text".to_owned(), |&text| text.to_owned())
    }

    #[test]
    fn a_panic_of_ours_stays_one() {
        let gpu = gpu();
        let run = || gpu.guarded("run", || panic!("a grid of no workgroups"));
        let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("a fault of ours");
        assert_eq!(message(&*panic), "a grid of no workgroups", "its own words");
        // Neither the device nor its error scopes are the worse for it.
        let refused = gpu.guarded("make a buffer that maps both ways", || {
            let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::MAP_WRITE;
            let label = None;
            let size = 16;
            let mapped_at_creation = false;
            gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label,
                size,
                usage,
                mapped_at_creation,
            })
        });
        assert_eq!(refused.expect_err("WebGPU has no such").kind(), ErrorKind::Device);
        gpu.guarded("do nothing", || ()).expect("the device works");
    }

    #[test]
    fn a_callback_that_panics_in_a_poll_is_no_lost_device() {
        let gpu = gpu();
        gpu.queue.submit([]);
        gpu.queue.on_submitted_work_done(|| panic!("a host's own fault"));
        let wait = || gpu.wait(None, "finish");
        let panic = catch_unwind(AssertUnwindSafe(wait)).expect_err("the callback's panic");
        assert_eq!(message(&*panic), "a host's own fault", "its own words");
    }
}
