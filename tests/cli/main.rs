//! The program as its users meet it: verbs, run folders, signals, closed pipes and refusals.
#![cfg(feature = "cli")]

mod bench;
mod codes;
mod columns;
mod compare;
mod conditional;
mod config;
#[cfg(unix)]
mod dashboard;
mod data;
mod devices;
#[cfg(unix)]
mod durable;
mod earlier;
mod ends;
mod epochs;
mod examples;
mod export;
mod family;
mod fetch;
mod figures;
#[cfg(unix)]
mod first_hour;
mod guide;
mod levels;
mod look;
mod manual;
mod maps;
mod names;
mod plain;
mod prior;
mod program;
mod quality;
mod refusals;
mod report;
mod reproduce;
mod resume;
mod runs;
#[cfg(unix)]
mod signals;
mod stream;
mod sweep;
#[path = "use.rs"]
mod uses;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use program::{elbo, events, output, place, refusal_fault, succeed, text, train, tree, weights};

#[test]
fn training_leaves_a_run() {
    let dir = place();
    let said = succeed(train(&dir, ""));
    assert!(said.contains("weights.safetensors"), "`{said}` says where the weights are");
    let out = dir.path().join("out");
    let names: BTreeSet<_> = tree(&out)
        .into_keys()
        .map(|path| path.strip_prefix(&out).expect("a path below").display().to_string())
        .collect();
    for name in ["config.toml", "metrics.jsonl", "timings.jsonl", "weights.safetensors"] {
        assert!(names.contains(name), "{name} is among {names:?}");
    }
    let events = names.iter().filter(|name| name.starts_with("events.out.tfevents."));
    assert_eq!(events.count(), 1, "what TensorBoard reads is among {names:?}");
    assert!(!names.iter().any(|name| name.contains(".elbo-")), "no partial file: {names:?}");
    // Eight columns of 144 pixels with what is between and around them; words take the rest.
    for (name, size) in [("reconstruction", (1481, 407)), ("sample", (1292, 1343))] {
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
    // What differs between equal runs stands in another file.
    let metrics = fs::read_to_string(dir.path().join("out/metrics.jsonl")).expect("metrics");
    for (line, (_, epoch)) in metrics.lines().zip(&events[1..3]) {
        let mut expected = epoch.as_object().expect("an object").clone();
        expected.remove("images_per_s");
        let found: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(found, Value::Object(expected), "a line of metrics.jsonl");
    }
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
    // By the rule's schedules, as on hardware the first run would measure, and the next use it.
    let flags = "--device gpu --tune off --epochs 3 --batch-size 12";
    let first = numbers(&dir, "first", flags);
    for steps in [1, 7] {
        let other =
            numbers(&dir, &steps.to_string(), &format!("{flags} --steps-per-submit {steps}"));
        assert!(other == first, "{steps} steps a submit give other bytes");
    }
}

/// Needs an adapter too. Elsewhere caches lie where a test should not write.
#[cfg(target_os = "linux")]
#[test]
fn a_cache_is_kept_unless_it_is_refused() {
    let dir = place();
    let run = |out: &str, flags: &str, caches: &Path| {
        let flags = format!("--device gpu --max-steps 1 --quiet --out {out} {flags}");
        let mut command = train(&dir, &flags);
        command.env("MESA_SHADER_CACHE_DIR", env!("CARGO_TARGET_TMPDIR"));
        command.env("XDG_CACHE_HOME", caches);
        succeed(command);
    };
    let (caches, file) = (dir.path().join("caches"), dir.path().join("file"));
    run("refused", "--no-cache", &caches);
    assert!(!caches.join("elbo").exists(), "nothing is kept");
    run("kept", "--tune always", &caches);
    let kept = || fs::read_dir(caches.join("elbo")).expect("a folder of ours").flatten();
    let schedules = |e: fs::DirEntry| e.file_name().to_string_lossy().starts_with("schedules-");
    assert!(kept().any(schedules), "what was measured is kept");
    for entry in kept() {
        fs::write(entry.path(), "broken").expect("a file");
    }
    run("broken", "--tune always", &caches);
    fs::write(&file, "").expect("a file");
    run("no_folder", "", &file);
}

#[test]
fn runs_are_numbered() {
    let dir = place();
    for run in ["runs/0001", "runs/0002"] {
        let mut command = elbo(&dir, "train --data data --hidden 8 --latent 2 --batch-size 16");
        command.args(["--epochs", "1", "--device", "cpu", "--json", "--quiet"]);
        let end = events(&succeed(command)).pop().expect("an end").1;
        assert_eq!(end["run"].as_str().map(Path::new), Some(Path::new(run)), "{end}");
        weights(&dir.path().join(run).join("weights.safetensors"));
    }
}

/// No adapter is no reason to fail, unless one was asked for.
#[test]
#[cfg(target_os = "linux")]
fn without_an_adapter_the_cpu_trains() {
    let dir = place();
    let hidden = |flags: &str| {
        let mut command = train(&dir, flags);
        command.env("VK_ICD_FILENAMES", "missing").env("VK_DRIVER_FILES", "missing");
        output(command)
    };
    let refused = hidden("--device gpu --quiet");
    assert_eq!(refusal_fault("no adapter", &refused, 1, "no device `gpu`"), None, "{refused:?}");
    let trained = hidden("--device auto");
    assert_eq!(trained.status.code(), Some(0), "{trained:?}");
    let first = text(&trained.stderr).lines().next().unwrap_or_default();
    assert!(first.contains("CPU") && first.contains("no adapter"), "`{first}` says which and why");
}

/// As in `elbo train | head -1`, where the reader is the first to go.
#[test]
fn closed_pipes_do_not_stop_training() {
    for json in ["", "--json"] {
        for closed in ["stdout", "stderr", "both"] {
            let dir = place();
            let mut command = train(&dir, json);
            let pipe = |open: &str| match closed == open {
                true => Stdio::null(),
                false => std::io::pipe().expect("a pipe").1.into(),
            };
            command.stdout(pipe("stderr")).stderr(pipe("stdout"));
            let status = command.status().expect("the program starts");
            assert_eq!(status.code(), Some(0), "`{json}` with {closed} closed");
            weights(&dir.path().join("out/weights.safetensors"));
        }
    }
    let dir = place();
    for verb in ["devices", "info", "info --json", "--help", "--version", "nonsense"] {
        let (_, closed) = std::io::pipe().expect("a pipe");
        let also = closed.try_clone().expect("a second end of a pipe");
        let status = elbo(&dir, verb).stdout(closed).stderr(also).status();
        let code = status.expect("the program starts").code();
        assert!(matches!(code, Some(0 | 2)), "`{verb}` with closed pipes ends with {code:?}");
    }
}

#[test]
fn info_counts() {
    let dir = place();
    let text = succeed(elbo(&dir, "info"));
    assert!(text.starts_with("652824 parameters, "), "`{text}`");
    let lines = events(&succeed(elbo(&dir, "info --json")));
    let all = |event: &str| -> Vec<&Value> {
        lines.iter().filter(|(name, _)| name == event).map(|(_, line)| line).collect()
    };
    let plan = all("plan")[0];
    assert_eq!(plan["parameters"], 652_824, "784-400-20: {plan}");
    let size = |p: &Value| -> u64 {
        p["shape"].as_array().expect("a shape").iter().filter_map(Value::as_u64).product()
    };
    let parameters = all("parameter");
    assert_eq!(parameters.len(), 10, "weights and biases: {parameters:?}");
    assert_eq!(parameters.iter().map(|p| size(p)).sum::<u64>(), 652_824, "their sizes");
    let bytes = all("buffer").iter().filter_map(|buffer| buffer["bytes"].as_u64()).sum::<u64>();
    assert_eq!(Some(bytes), plan["bytes"].as_u64(), "the bytes of the buffers, and of the plan");
    // 70,000 images of 784 bytes and three copies of each parameter, at the least.
    assert!(bytes > 70_000 * 784 + 3 * 4 * 652_824, "{bytes} bytes are too few");
    for program in all("program") {
        let kernels = program["kernels"].as_array().expect("kernels");
        assert_eq!(program["dispatches"], kernels.len(), "{program}");
        assert!(!kernels.is_empty(), "{program}");
    }
    let step = all("program").into_iter().find(|p| p["name"] == "step").expect("a step");
    assert!(step["dispatches"].as_u64() <= Some(18), "the classic step grew: {step}");
    // What the flags say of the data is heard, and of the pixels too.
    let flags =
        "--images 9 --test-images 5 --batch-size 4 --hidden 8 --latent 2 --pixels binarised";
    let small = events(&succeed(elbo(&dir, &format!("info --json {flags}"))));
    assert_eq!(small[0].1["parameters"], 13_396, "784-8-2: {}", small[0].1);
    assert!(small[0].1["bytes"].as_u64() < Some(1_000_000), "for 14 images: {}", small[0].1);
}

#[test]
fn selftest_passes_on_the_cpu() {
    let lines = events(&succeed(elbo(&place(), "selftest --device cpu --json")));
    let (start, end) = (&lines[0], &lines[lines.len() - 1]);
    assert_eq!((start.0.as_str(), &start.1["device"]), ("start", &"cpu".into()), "{}", start.1);
    assert_eq!((end.0.as_str(), &end.1["failed"]), ("end", &0.into()), "{}", end.1);
    let passed = lines.iter().filter(|(name, line)| name == "case" && line["passed"] == true);
    assert_eq!(end.1["cases"], passed.count(), "{}", end.1);
    assert!(end.1["cases"].as_u64() > Some(50), "too few cases: {}", end.1);
}

#[test]
fn every_verb_has_an_example() {
    let dir = place();
    let version = format!("elbo {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(succeed(elbo(&dir, "--version")), version, "the version");
    let help = succeed(elbo(&dir, "--help"));
    let verbs = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let verbs: Vec<_> = verbs
        .take_while(|line| !line.is_empty())
        // What a verb does may take a second line, which stands farther right.
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|&verb| verb != "help")
        .collect();
    assert!(verbs.contains(&"train") && verbs.len() > 3, "verbs {verbs:?} in `{help}`");
    for verb in verbs {
        let help = succeed(elbo(&dir, &format!("{verb} --help")));
        let example = help.split_once("Example").map_or("", |(_, example)| example);
        assert!(example.contains(&format!("elbo {verb}")), "{verb}: `{help}`");
    }
}
