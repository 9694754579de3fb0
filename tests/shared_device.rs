//! Trainers inside a host application's device: its handlers stay, its limits hold, nothing panics.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use elbo::checkpoint::State;
use elbo::config::Config;
use elbo::gpu::{Gpu, wgpu};
use elbo::{Dataset, Device, ErrorKind, Trainer};

/// A host application: it opens a device and listens for errors and for the device's loss.
struct Host {
    device: wgpu::Device,
    queue: wgpu::Queue,
    errors: Arc<AtomicUsize>,
    losses: Arc<AtomicUsize>,
}

impl Host {
    fn new(limits: impl FnOnce(&mut wgpu::Limits)) -> Self {
        let instance = wgpu::Instance::default();
        let options = wgpu::RequestAdapterOptions::default();
        let adapter = pollster::block_on(instance.request_adapter(&options)).expect("an adapter");
        let mut required_limits = wgpu::Limits::default();
        limits(&mut required_limits);
        let descriptor = wgpu::DeviceDescriptor { required_limits, ..Default::default() };
        let (device, queue) =
            pollster::block_on(adapter.request_device(&descriptor)).expect("a device");
        let (errors, losses) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&errors);
        device.on_uncaptured_error(Arc::new(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        }));
        let count = Arc::clone(&losses);
        device.set_device_lost_callback(move |_, _| {
            count.fetch_add(1, Ordering::SeqCst);
        });
        Self { device, queue, errors, losses }
    }

    fn gpu(&self) -> Device {
        Device::Gpu(Gpu::from_wgpu(self.device.clone(), self.queue.clone()))
    }

    /// A mistake of the host's own, outside every scope.
    fn blunder(&self) {
        let _ = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("a host's mistake"),
            size: 16,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::MAP_WRITE,
            mapped_at_creation: false,
        });
    }
}

fn trainer(device: &Device) -> elbo::Result<Trainer> {
    let data = Dataset::synthetic(96, [8, 8], 1)?;
    let mut config = Config::default();
    (config.model.encoder, config.model.decoder) = ([16].into(), [16].into());
    (config.model.latent, config.train.batch_size) = (2, 32);
    Trainer::new(device, &config, &data, &data)
}

#[test]
fn two_trainers_share_a_device_with_its_host() {
    let host = Host::new(|_| {});
    let (mut first, mut second) =
        (trainer(&host.gpu()).expect("a trainer"), trainer(&host.gpu()).expect("another"));
    let before = first.evaluate().expect("losses").sampled.loss;
    for _ in 0..20 {
        first.advance(5).expect("steps");
        second.advance(5).expect("steps");
        // The host goes on with its own work between.
        host.queue.submit([host.device.create_command_encoder(&Default::default()).finish()]);
    }
    let after = first.evaluate().expect("losses").sampled.loss;
    assert!(after < before, "training helped: {before} before, {after} after");
    let weights = |trainer: &mut Trainer| trainer.weights().expect("the weights");
    assert!(weights(&mut first) == weights(&mut second), "equal runs side by side");

    // A trainer on a device of our own, which may run by another schedule, ends at the same loss.
    let mut own = trainer(&Device::choose("gpu", 0).expect("an adapter").0).expect("a trainer");
    own.advance(100).expect("steps");
    let losses = |t: &mut Trainer| t.evaluate().expect("losses").sampled.loss;
    let apart = (losses(&mut own) - after).abs();
    assert!(apart < 1e-3, "own and borrowed device are {apart} nats apart");

    assert_eq!(host.errors.load(Ordering::SeqCst), 0, "no error of ours reached the host");
    host.blunder();
    assert_eq!(host.errors.load(Ordering::SeqCst), 1, "the host's handler is still its own");
}

#[test]
fn a_device_with_small_limits_is_refused_by_name() {
    let host = Host::new(|limits| {
        limits.max_storage_buffer_binding_size = 4096;
        limits.max_buffer_size = 4096;
    });
    let error = trainer(&host.gpu()).expect_err("the plan does not fit");
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
    assert!(error.to_string().contains('`'), "a buffer is named: {error}");
    assert!(error.advice().is_some(), "there is a hint: {error}");

    let small: [fn(&mut wgpu::Limits); 6] = [
        |limits| limits.max_bind_groups = 1,
        |limits| limits.max_uniform_buffers_per_shader_stage = 1,
        |limits| limits.max_storage_buffers_per_shader_stage = 4,
        |limits| limits.max_compute_workgroup_size_x = 32,
        |limits| limits.max_compute_workgroups_per_dimension = 100,
        |limits| limits.max_compute_workgroup_storage_size = 256,
    ];
    for small in small {
        let host = Host::new(small);
        let error = trainer(&host.gpu()).expect_err("a limit is too small");
        assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
        assert_eq!(host.errors.load(Ordering::SeqCst), 0, "the host heard nothing of it");
    }
}

#[test]
fn a_host_may_destroy_its_device() {
    let host = Host::new(|_| {});
    let mut lost = trainer(&host.gpu()).expect("a trainer");
    lost.advance(10).expect("steps");
    let saved = lost.state().and_then(|state| state.to_bytes()).expect("a state");
    lost.advance(3).expect("steps");
    host.device.destroy();
    let mut error = None;
    for _ in 0..50 {
        if let Err(e) = lost.advance(5).and_then(|()| lost.wait()) {
            error = Some(e);
            break;
        }
    }
    let error = error.expect("a destroyed device is noticed");
    let expected = matches!(error.kind(), ErrorKind::Lost | ErrorKind::Device);
    assert!(expected, "{:?}: {error}", error.kind());
    assert!(lost.weights().is_err(), "stale weights are not given out");
    assert_eq!(host.losses.load(Ordering::SeqCst), 1, "the host's own callback was called");
    assert_eq!(host.errors.load(Ordering::SeqCst), 0, "no error of ours reached the host");

    // What was saved goes on, on a new device, as if nothing had been.
    let state = State::from_bytes(Path::new("saved"), &saved).expect("what was saved");
    let mut next = trainer(&Host::new(|_| {}).gpu()).expect("a new device");
    next.restore(&state).expect("a state of the same model");
    next.advance(10).expect("training goes on");
    let mut never = trainer(&Host::new(|_| {}).gpu()).expect("a trainer");
    never.advance(20).expect("steps");
    let state = |trainer: &mut Trainer| trainer.state().expect("a state");
    assert!(state(&mut next) == state(&mut never), "the same bits as without a loss");
}

#[test]
fn a_wait_ends() {
    let host = Host::new(|_| {});
    let Device::Gpu(gpu) = host.gpu() else { unreachable!("a GPU") };
    let mut hasty = trainer(&Device::Gpu(gpu.with_timeout(Duration::ZERO))).expect("a trainer");
    let error = hasty.advance(64).and_then(|()| hasty.wait());
    let error = error.expect_err("nothing is done in no time");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
}

#[test]
fn a_failed_submit_breaks_the_session() {
    let host = Host::new(|_| {});
    let mut trainer = trainer(&host.gpu()).expect("a trainer");
    trainer.advance(10).and_then(|()| trainer.wait()).expect("steps, and nothing in flight");
    host.device.destroy();
    let first = trainer.advance(1).expect_err("nothing can be submitted");
    let second = trainer.advance(1).expect_err("it is not known what the device holds");
    assert_eq!(second.kind(), ErrorKind::Lost, "{first}, then {second}");
    assert!(second.to_string().contains("an earlier submit failed"), "{first}, then {second}");
}
