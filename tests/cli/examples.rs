//! The examples run, and say what they should.

use std::path::PathBuf;
use std::process::Command;

use crate::program::{output, text};

/// What an example prints. `cargo test` builds the examples before it runs any test.
fn said(name: &str, device: &[&str]) -> String {
    let tests = std::env::current_exe().expect("this program");
    let built = tests.ancestors().nth(2).expect("the folder of the profile").join("examples");
    let program: PathBuf = built.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(program.is_file(), "{} is not there: run `cargo build --examples`", program.display());
    let mut command = Command::new(&program);
    command.args(device);
    // Without it the Vulkan loader complains on stderr.
    command.env("XDG_RUNTIME_DIR", env!("CARGO_TARGET_TMPDIR"));
    let output = output(command);
    assert!(output.status.success(), "{name}: {output:?}");
    text(&output.stdout).to_owned()
}

/// The first number behind some words, of each line that has them.
fn numbers(said: &str, behind: &str) -> Vec<f64> {
    let number = |line: &str| {
        let word = line.split_once(behind)?.1.split_whitespace().next()?;
        word.parse::<f64>().ok()
    };
    said.lines().filter_map(number).collect()
}

#[test]
fn training_in_ten_lines() {
    let said = said("train_in_ten_lines", &[]);
    let losses: Vec<_> =
        (1..=5).flat_map(|epoch| numbers(&said, &format!("epoch {epoch}:"))).collect();
    assert_eq!(losses.len(), 5, "{said}");
    // A model that makes the same of every image has 206 nats or so.
    assert!(losses[4] < 195.0 && losses[4] < losses[0], "{said}");
    assert!(said.contains(".safetensors"), "{said}");
}

#[test]
fn drawing_sprites() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().to_str().expect("a name in UTF-8");
    let said = said("sprites", &[folder]);
    assert!(said.contains("4608 images of 32×32"), "{said}");
    let factors = std::fs::read_to_string(dir.path().join("factors.csv")).expect("factors");
    assert_eq!(factors.lines().last(), Some("2,3,5,7,7"), "the last combination");
}

#[test]
fn resuming() {
    let said = said("resume", &[]);
    assert!(said.contains("went on to 40 steps"), "{said}");
    assert!(said.contains("the same weights as without the stop: true"), "{said}");
}

#[test]
fn a_device_of_the_host() {
    let losses = numbers(&said("host_device", &[]), "−ELBO");
    assert!(losses.len() == 2 && losses[1] < losses[0], "{losses:?} fall");
}

#[test]
fn a_likelihood_of_ones_own() {
    // The best that makes the same of every image has −79.
    let [cpu, gpu] = ["cpu", "gpu"].map(|device| {
        let losses = numbers(&said("custom_likelihood", &[device]), "−ELBO");
        assert!(losses.len() == 7 && losses[6] < -200.0, "{device}: {losses:?}");
        losses
    });
    // The shader and the loop are one formula.
    assert!((cpu[0] - gpu[0]).abs() < 1e-3 * cpu[0], "{cpu:?} and {gpu:?}");
}

#[test]
fn encoding_and_searching() {
    let said = said("encode_and_search", &[]);
    let line = said.lines().last().expect("a last line");
    let share: f64 = line.split(' ').next().expect("a word").parse().expect("a share");
    assert!(share > 50.0, "{share} % of neighbours agree, by chance 10: {said}");
}
