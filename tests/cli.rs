//! The program as its users meet it: verbs, run folders, refusals, signals and closed pipes.
#![cfg(feature = "cli")]
#![allow(clippy::print_stdout, reason = "tests may talk")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// What a small training is given where a test does not say otherwise.
const USUAL: [(&str, &str); 7] = [
    ("--data", "data"),
    ("--out", "out"),
    ("--device", "cpu"),
    ("--hidden", "8"),
    ("--latent", "2"),
    ("--batch-size", "16"),
    ("--epochs", "1"),
];

/// An IDX file of `count` images of 8 x 8.
fn images(count: u32) -> Vec<u8> {
    let pixels = (0..count * 64).map(|i| (i * 7 + i / 64 * 13) as u8);
    [0x0803, count, 8, 8].into_iter().flat_map(u32::to_be_bytes).chain(pixels).collect()
}

/// A folder to work in, with 64 training and 16 test images in `data`.
fn place() -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(dir.path().join("data")).expect("a folder for the data");
    for (set, count) in [("train", 64), ("t10k", 16)] {
        let path = dir.path().join(format!("data/{set}-images-idx3-ubyte"));
        fs::write(path, images(count)).expect("the temporary folder takes a file");
    }
    dir
}

/// The program with space-separated flags, in a folder.
fn elbo(dir: &TempDir, flags: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elbo"));
    command.args(flags.split_whitespace()).current_dir(dir).env_remove("ELBO_DATA");
    // Without it the Vulkan loader complains on stderr, which is ours alone here.
    command.env("XDG_RUNTIME_DIR", env!("CARGO_TARGET_TMPDIR"));
    command
}

/// `elbo train` with these flags, and the usual ones that are not among them.
fn train(dir: &TempDir, flags: &str) -> Command {
    let mut command = elbo(dir, "train");
    let flags: Vec<_> = flags.split_whitespace().collect();
    let config = flags.contains(&"--config");
    for (flag, value) in USUAL.into_iter().take(if config { 3 } else { USUAL.len() }) {
        if !flags.contains(&flag) {
            command.args([flag, value]);
        }
    }
    command.args(flags);
    command
}

/// What a command prints and ends with; none of ours takes a minute.
fn output(command: Command) -> Output {
    let mut command = assert_cmd::Command::from_std(command);
    command.timeout(Duration::from_secs(60)).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the program speaks UTF-8")
}

/// The stdout of a command that must succeed.
fn succeed(command: Command) -> String {
    let shown = format!("{command:?}");
    let output = output(command);
    assert_eq!(output.status.code(), Some(0), "{shown}: {output:?}");
    text(&output.stdout).to_owned()
}

/// The objects of JSON lines, each with its event.
fn events(lines: &str) -> Vec<(String, Value)> {
    let event = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("`{line}`: {e}"));
        let name = value["event"].as_str().unwrap_or_else(|| panic!("no event in `{line}`"));
        (name.to_owned(), value)
    };
    lines.lines().map(event).collect()
}

/// Every file below a folder with its content, and every folder with nothing.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("a folder that can be read") {
        let path = entry.expect("an entry of a folder").path();
        if path.is_dir() {
            found.extend(tree(&path));
            found.insert(path, Vec::new());
        } else {
            let content = fs::read(&path).expect("a file that can be read");
            found.insert(path, content);
        }
    }
    found
}

/// What is wrong with a refusal; it should have this exit code and say this in its first line.
fn refusal_faults(case: &str, output: &Output, code: i32, says: &str) -> Vec<String> {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    let error = stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
    // The parser of the command line has words of its own.
    let hint = |line: &str| line.starts_with("hint: ") || line.contains("try '--help'");
    let rules = [
        (output.status.code() == Some(code), format!("the exit code is {code}")),
        (error.contains(says), format!("an error line names `{says}`")),
        (stderr.lines().any(hint), "a hint line follows".to_owned()),
        (!stderr.contains("panicked"), "nothing panics".to_owned()),
        (stdout.is_empty(), "stdout is empty".to_owned()),
    ];
    let broken = rules.into_iter().filter(|(holds, _)| !holds);
    broken
        .map(|(_, rule)| format!("{case}: not so: {rule}; {}: {stdout}{stderr}", output.status))
        .collect()
}

/// Runs cases that must be refused and leave everything as it was.
fn assert_refused(dir: &TempDir, cases: &[(&str, i32, &str)]) {
    let before = tree(dir.path());
    let mut faults = Vec::new();
    for &(flags, code, says) in cases {
        let output = output(train(dir, &format!("{flags} --quiet")));
        faults.extend(refusal_faults(flags, &output, code, says));
        let after = tree(dir.path());
        if after != before {
            let names: Vec<_> = after.keys().filter(|name| !before.contains_key(*name)).collect();
            faults.push(format!("{flags}: it left {names:?}, or changed what was there"));
            // The next case must not stumble over it.
            let _ = fs::remove_dir_all(dir.path().join("out"));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

fn weights(path: &Path) -> BTreeMap<String, Vec<usize>> {
    let bytes = fs::read(path).expect("weights that can be read");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("a safetensors file");
    for (name, tensor) in file.iter() {
        let mut values = tensor.data().chunks(4).map(|v| v.try_into().map(f32::from_le_bytes));
        assert!(values.all(|v| v.is_ok_and(f32::is_finite)), "{name} has finite values");
    }
    file.iter().map(|(name, tensor)| (name.to_owned(), tensor.shape().to_vec())).collect()
}

#[test]
fn training_leaves_a_run() {
    let dir = place();
    let said = succeed(train(&dir, ""));
    assert!(said.contains("out/weights.safetensors"), "`{said}` says where the weights are");
    let out = dir.path().join("out");
    let names: BTreeSet<_> = tree(&out)
        .into_keys()
        .map(|path| path.strip_prefix(&out).expect("a path below").display().to_string())
        .collect();
    for name in ["config.toml", "metrics.jsonl", "timings.jsonl", "weights.safetensors"] {
        assert!(names.contains(name), "{name} is among {names:?}");
    }
    assert!(!names.iter().any(|name| name.contains(".elbo-")), "no partial file: {names:?}");
    // Eight columns of 8 pixels with 2 between and around them.
    for (name, size) in [("reconstruction", (82, 22)), ("sample", (82, 82))] {
        let path = out.join(format!("images/{name}_1.png"));
        let file = std::io::BufReader::new(fs::File::open(&path).expect("a picture"));
        let mut reader = png::Decoder::new(file).read_info().expect("a PNG header");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a small picture")];
        let info = reader.next_frame(&mut pixels).expect("a whole picture");
        assert_eq!((info.width, info.height), size, "the size of {}", path.display());
    }
    let expected = [
        ("fc1.weight", vec![8, 64]),
        ("fc1.bias", vec![8]),
        ("fc21.weight", vec![2, 8]),
        ("fc21.bias", vec![2]),
        ("fc22.weight", vec![2, 8]),
        ("fc22.bias", vec![2]),
        ("fc3.weight", vec![8, 2]),
        ("fc3.bias", vec![8]),
        ("fc4.weight", vec![64, 8]),
        ("fc4.bias", vec![64]),
    ];
    let expected: BTreeMap<_, _> = expected.map(|(k, shape)| (k.to_owned(), shape)).into();
    assert_eq!(weights(&out.join("weights.safetensors")), expected, "keys and shapes");
}

#[test]
fn json_keeps_the_contract() {
    let dir = place();
    let output = output(train(&dir, "--json --quiet --epochs 2 --seed 5"));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(text(&output.stderr), "", "stderr with --quiet");
    let events = events(text(&output.stdout));
    let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["start", "epoch", "epoch", "end"], "the events");
    let start = &events[0].1;
    assert_eq!((&start["device"], &start["seed"]), (&"cpu".into(), &5.into()), "{start}");
    assert_eq!(start["parameters"], 1156, "64-8-2-8-64 has 520 + 2 · 18 + 24 + 576: {start}");
    assert!(start["adapter"].is_string(), "{start}");
    for (number, (_, epoch)) in (1..).zip(&events[1..3]) {
        assert_eq!((&epoch["epoch"], &epoch["step"]), (&number.into(), &(4 * number).into()));
        let value = |key: &str| epoch[key].as_f64().unwrap_or_else(|| panic!("{key} in {epoch}"));
        for set in ["train", "test"] {
            let term = |name: &str| value(&format!("{set}_{name}"));
            let (loss, sum) = (term("loss"), term("recon") + term("kl"));
            assert!((loss - sum).abs() < 1e-9 * loss, "{set}: {loss} is recon + kl, {sum}");
        }
        assert!(value("test_loss_at_mean") > 0.0, "{epoch}");
        assert!(value("images_per_s") > 0.0, "{epoch}");
    }
    let end = &events[3].1;
    let run = dir.path().join(end["run"].as_str().expect("the run's folder"));
    assert!(run.join("weights.safetensors").is_file(), "a run in {end}");
}

/// Trains into a folder of that name; what must be equal between equal runs.
fn numbers(dir: &TempDir, out: &str, flags: &str) -> [Vec<u8>; 2] {
    succeed(train(dir, &format!("--out {out} {flags} --quiet")));
    let read = |name| fs::read(dir.path().join(out).join(name)).expect("a file of the run");
    ["weights.safetensors", "metrics.jsonl"].map(read)
}

#[test]
fn equal_runs_have_equal_bytes_on_the_cpu() {
    let dir = place();
    // The last minibatch of an epoch has four images.
    let flags = "--epochs 2 --batch-size 12 --seed 3";
    let first = numbers(&dir, "first", flags);
    for (out, other) in [
        ("again", flags.to_owned()),
        ("one", format!("{flags} --threads 1")),
        ("two", format!("{flags} --threads 2")),
        ("submits", format!("{flags} --steps-per-submit 1")),
        ("config", "--config first/config.toml".to_owned()),
    ] {
        assert!(numbers(&dir, out, &other) == first, "`{other}` gives other bytes");
    }
    let other = numbers(&dir, "seed", "--epochs 2 --batch-size 12 --seed 4");
    assert!(other != first, "another seed gives the same bytes");
}

/// Needs an adapter, as all tests that name a GPU.
#[test]
fn equal_runs_have_equal_bytes_on_a_gpu() {
    let dir = place();
    let flags = "--device gpu --epochs 3 --batch-size 12";
    let first = numbers(&dir, "first", flags);
    for steps in [1, 7] {
        let other =
            numbers(&dir, &steps.to_string(), &format!("{flags} --steps-per-submit {steps}"));
        assert!(other == first, "{steps} steps a submit give other bytes");
    }
}

#[test]
fn runs_are_numbered() {
    let dir = place();
    for run in ["runs/0001", "runs/0002"] {
        let mut command = elbo(&dir, "train --data data --hidden 8 --latent 2 --batch-size 16");
        command.args(["--epochs", "1", "--device", "cpu", "--json", "--quiet"]);
        let end = events(&succeed(command)).pop().expect("an end").1;
        assert_eq!(end["run"].as_str(), Some(run), "{end}");
        weights(&dir.path().join(run).join("weights.safetensors"));
    }
}

#[test]
fn misuse_is_refused() {
    let dir = place();
    fs::write(dir.path().join("key.toml"), "[train]\nepoch = 3\n").expect("a file");
    fs::write(dir.path().join("no.toml"), "not [[ TOML").expect("a file");
    fs::write(dir.path().join("latent.toml"), "[model]\nlatent = -2\n").expect("a file");
    assert_refused(
        &dir,
        &[
            ("--data missing", 74, "`missing`"),
            ("--data key.toml", 74, "`key.toml`"),
            ("--batch-size 0", 2, "`batch-size` is 0"),
            ("--batch-size 65", 2, "`batch-size` is 65"),
            ("--limit 15", 2, "15 images"),
            ("--lr nan", 2, "`lr` is NaN"),
            ("--lr -1", 2, "`lr` is -1"),
            ("--lr inf", 2, "`lr` is inf"),
            ("--latent 0", 2, "`latent` is 0"),
            ("--hidden 0", 2, "`encoder` is 0"),
            ("--epochs 0", 2, "`epochs` is 0"),
            ("--steps-per-submit 0", 2, "steps-per-submit"),
            ("--device nonsense", 1, "`nonsense`"),
            ("--preset nonsense", 2, "`nonsense`"),
            ("--config missing.toml", 74, "`missing.toml`"),
            ("--config key.toml", 2, "key.toml"),
            ("--config no.toml", 2, "no.toml"),
            ("--config latent.toml", 2, "latent.toml"),
            ("--nonsense", 2, "--nonsense"),
            ("--out key.toml", 74, "`key.toml`"),
            ("--out key.toml/below", 74, "`key.toml/below`"),
        ],
    );
}
