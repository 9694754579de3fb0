//! A long run of a small network: no false alarm, and no growth of memory, files or threads.
//! `ELBO_SOAK_STEPS` says how long; CI has time for a tenth of what a release is tested with.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout, reason = "tests may talk")]

mod common;

use std::fs;

use common::gpu;
use elbo::config::Config;
use elbo::{Dataset, Device, Trainer};

/// Resident memory in KiB, open files, and threads of this process.
fn used() -> [usize; 3] {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells");
    let number = |key: &str| {
        let line = status.lines().find(|line| line.starts_with(key)).expect("a line of it");
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
    };
    let files = fs::read_dir("/proc/self/fd").expect("Linux tells").count();
    [number("VmRSS:"), files, number("Threads:")]
}

fn soak(device: &Device, steps: u64) {
    let mut config = Config::default();
    (config.model.encoder, config.model.decoder) = ([16].into(), [16].into());
    (config.model.latent, config.train.batch_size) = (2, 16);
    let data = |count, seed| Dataset::synthetic(count, [8, 8], seed).expect("made images");
    let trainer = Trainer::new(device, &config, &data(160, 1), &data(32, 2));
    let mut trainer = trainer.expect("a trainer");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state");
    let to = |trainer: &mut Trainer, end: u64| {
        while trainer.steps_taken() < end {
            let count = (end - trainer.steps_taken()).min(200);
            trainer.advance(count).expect("clean steps, no alarm");
            let losses = trainer.finish().expect("clean steps, no alarm");
            assert!(losses.loss.is_finite(), "{losses:?}");
            trainer.evaluate().expect("finite losses");
            let state = trainer.state().and_then(|state| state.to_bytes()).expect("a state");
            elbo::checkpoint::write_whole(&path, &state).expect("a file");
        }
        used()
    };
    let early = to(&mut trainer, steps / 10);
    let late = to(&mut trainer, steps);
    let kind = device.kind();
    println!("{kind}, {steps} steps: KiB, files, threads {early:?} after a tenth, then {late:?}");
    assert!(late[0] <= early[0] + 2048, "{kind}: memory grew from {} to {} KiB", early[0], late[0]);
    assert_eq!(late[1..], early[1..], "{kind}: files and threads");
}

/// One after the other, since both count what the process uses.
#[test]
fn nothing_grows() {
    let steps = std::env::var("ELBO_SOAK_STEPS").map_or(10_000, |n| n.parse().expect("a number"));
    soak(&Device::Cpu(2), steps);
    soak(&Device::Gpu(gpu()), steps);
}
