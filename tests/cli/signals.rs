//! What ends a run from outside: Ctrl-C, SIGTERM and a terminal that closes. Each saves first.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::program::{Running, elbo, events, line, place, succeed, terminal, train, weights};

/// Starts a training that takes hours, with its stdout and its stderr in files.
fn start_long(dir: &TempDir) -> Running {
    Running::start(&mut long(dir))
}

fn long(dir: &TempDir) -> Command {
    let file = |name| fs::File::create(dir.path().join(name)).expect("a file for what it says");
    let mut command = hearing(&train(dir, "--epochs 1000000 --json"));
    command.stdout(file("stdout")).stderr(file("stderr"));
    command
}

/// The same command, which hears SIGHUP even where these tests are run under `nohup`.
fn hearing(of: &Command) -> Command {
    let mut command = Command::new("env");
    // A shell cannot listen to what was ignored before it began.
    command.args(DEFAULT_SIGNAL).arg(of.get_program()).args(of.get_args());
    for (name, value) in of.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir(of.get_current_dir().expect("a folder of its own"));
    command
}

/// The flag of `env` for it, which GNU's has.
const DEFAULT_SIGNAL: &[&str] =
    if cfg!(target_os = "linux") { &["--default-signal=HUP"] } else { &[] };

fn read(dir: &TempDir, name: &str) -> String {
    fs::read_to_string(dir.path().join(name)).unwrap_or_default()
}

/// Fails unless a run was saved when it was ended by a signal, and goes on from there.
fn assert_saved(dir: &TempDir) {
    let timings = read(dir, "out/timings.jsonl");
    let end: serde_json::Value =
        timings.lines().last().and_then(|line| serde_json::from_str(line).ok()).expect("a line");
    assert_eq!((&end["event"], &end["status"]), (&"end".into(), &"signal".into()), "{end}");
    assert_eq!(weights(&dir.path().join("out/weights.safetensors")).len(), 10, "weights");
    assert!(!dir.path().join("out/lock").exists(), "the run is free");
    let step = end["step"].as_u64().expect("a step");
    let flags = format!("train --resume out --device cpu --json --max-steps {}", step + 1);
    let said = events(&succeed(elbo(dir, &flags)));
    assert_eq!(said[0].1["step"], step, "it goes on where it ended");
}

#[test]
fn a_signal_saves_and_ends() {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let dir = place();
        let mut running = start_long(&dir);
        running.until("an epoch", || read(&dir, "stdout").contains("\"epoch\""));
        running.signal(signal);
        let status = running.wait();
        assert_eq!(status.code(), Some(code), "after {signal}: {}", read(&dir, "stderr"));
        let (name, end) = events(&read(&dir, "stdout")).pop().expect("a last line");
        assert_eq!((name.as_str(), &end["status"]), ("end", &"signal".into()), "{end}");
        assert_eq!(end["run"], "out", "{end}");
        let metrics = events(&read(&dir, "out/metrics.jsonl"));
        let epochs = events(&read(&dir, "stdout")).len() - 2;
        assert_eq!(metrics.len(), epochs, "epochs in metrics.jsonl, and on stdout");
        assert_saved(&dir);
    }
}

/// With a pipe that nobody reads the program cannot get to its end by itself.
#[test]
fn a_second_signal_ends_at_once() {
    let dir = place();
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let stdout = writer.try_clone().expect("a second end of a pipe");
    let filler = std::thread::spawn(move || while writer.write_all(&[b' '; 4096]).is_ok() {});
    let mut command = train(&dir, "--epochs 1000000 --json --quiet");
    let mut running = Running::start(command.stdout(stdout));
    running.until("a run folder", || dir.path().join("out/config.toml").exists());
    std::thread::sleep(Duration::from_millis(300));
    // A terminal that closes sends its signal more than once.
    for signal in ["HUP", "HUP", "INT"] {
        running.signal(signal);
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(running.status(), None, "{signal} waits for what is under way");
    }
    running.signal("INT");
    let status = running.wait();
    assert_eq!(status.code(), Some(130), "after the second signal: {status:?}");
    drop(reader);
    filler.join().expect("writing to a closed pipe ends");
}

/// What `nohup` does: the run outlives its terminal.
#[test]
fn a_signal_that_is_to_be_ignored_is() {
    let dir = place();
    let command = train(&dir, "--epochs 1000000 --json");
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(command.get_program());
    shell.args(command.get_args()).current_dir(dir.path());
    let file = |name| fs::File::create(dir.path().join(name)).expect("a file for what it says");
    let mut running = Running::start(shell.stdout(file("stdout")).stderr(file("stderr")));
    let epochs = || read(&dir, "stdout").matches("\"epoch\"").count();
    running.until("an epoch", || epochs() > 0);
    running.signal("HUP");
    let before = epochs();
    running.until("more epochs after the signal", || epochs() > before + 1);
    running.signal("TERM");
    assert_eq!(running.wait().code(), Some(143));
}

/// Nothing can be written to a terminal that is gone, and its run is saved all the same.
#[test]
fn a_terminal_that_closes_saves_and_ends() {
    for flags in ["", "--tui", "--json"] {
        let dir = place();
        let command = train(&dir, &format!("--epochs 1000000 {flags}"));
        // The terminal's own process is the program, as a shell's would be.
        let line = format!("exec env {} {}", DEFAULT_SIGNAL.join(" "), line(&command));
        let Some(terminal) = terminal(&dir, &line) else { return };
        let mut terminal = Running::of(terminal);
        terminal.until("an epoch", || read(&dir, "out/metrics.jsonl").lines().count() > 1);
        let process = read(&dir, "out/lock").trim().to_owned();
        terminal.signal("KILL");
        terminal.wait();
        let start = std::time::Instant::now();
        while Path::new("/proc").join(&process).exists() {
            assert!(start.elapsed() < Duration::from_secs(60), "`{flags}` ends with its terminal");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_saved(&dir);
    }
}
