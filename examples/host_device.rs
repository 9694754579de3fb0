//! Trains inside an application that has a wgpu device of its own, between its frames.
//!
//! `cargo run --release --example host_device`
#![allow(clippy::print_stdout, reason = "an example talks")]

use std::path::Path;

use elbo::data::Sources;
use elbo::gpu::Gpu;
// The same version as elbo's: devices of another would be other types.
use elbo::wgpu;
use elbo::{Config, Device, Trainer};

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/mnist");

fn main() -> elbo::Result<()> {
    let Some((device, queue)) = open_device() else {
        println!("this machine has no adapter that wgpu can use");
        return Ok(());
    };
    // A small model, so that this takes seconds on a software adapter too.
    let mut config = Config::default();
    (config.model.encoder, config.model.decoder) = ([64].into(), [64].into());
    config.train.batch_size = 64;
    let images = Sources::new(Path::new(MNIST), &config).open()?;
    let (train, test) = (images.train.limited(1_000), images.test.limited(128));

    // Clones of handles: the device stays the application's. None of its handlers is touched, and what goes
    // wrong comes back as an error.
    let shared = Device::Gpu(Gpu::from_wgpu(device.clone(), queue.clone()));
    let mut trainer = Trainer::new(&shared, &config, &train, &test)?;
    // A submit is at most one step, so that no frame waits long.
    trainer.set_steps_per_submit(1);

    let canvas = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("what the application draws to"),
        size: 1 << 16,
        usage: wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    for frame in 1..=16 {
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.clear_buffer(&canvas, 0, None);
        queue.submit([encoder.finish()]);
        // One step is queued behind what the application drew.
        trainer.step()?;
        if frame % 8 == 0 {
            let loss = trainer.evaluate()?.sampled.loss;
            println!("frame {frame}: −ELBO {loss:.2} nats per image");
        }
    }
    Ok(())
}

/// What an application does at its start, with limits and features of its own choice.
fn open_device() -> Option<(wgpu::Device, wgpu::Queue)> {
    let instance = wgpu::Instance::default();
    let options = wgpu::RequestAdapterOptions::default();
    let adapter = pollster::block_on(instance.request_adapter(&options)).ok()?;
    println!("the application's device is {}", adapter.get_info().name);
    pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).ok()
}
