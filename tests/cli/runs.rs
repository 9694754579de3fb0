//! Runs by name: `elbo runs`, `elbo info RUN`, and the word `latest`.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{assert_refused, elbo, events, output, place, refusal_fault};
use crate::program::{succeed, text, train, tree};

/// Fails if a line does not fit a terminal.
pub(crate) fn assert_narrow(lines: &str) {
    let wide: Vec<_> = lines.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(wide.is_empty(), "wider than 80 columns: {wide:#?}");
}

/// Runs of one, two and three epochs under `runs`, the second of which was saved last.
fn three() -> TempDir {
    let dir = place();
    for (number, age) in [(1, 60), (2, 0), (3, 30)] {
        succeed(train(&dir, &format!("--epochs {number} --out runs/000{number}")));
        let path = dir.path().join(format!("runs/000{number}/checkpoint.safetensors"));
        let time = SystemTime::now() - Duration::from_secs(age);
        let file = File::options().append(true).open(path).expect("a checkpoint");
        file.set_modified(time).expect("a time of the past");
    }
    dir
}

fn last_line(path: &Path) -> Value {
    let lines = fs::read_to_string(path).expect("lines");
    serde_json::from_str(lines.lines().last().expect("a line")).expect("JSON")
}

/// The first words of a table's lines, below its head.
fn names(table: &str) -> Vec<&str> {
    table.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect()
}

#[test]
fn runs_are_listed() {
    let dir = three();
    let runs = dir.path().join("runs");
    succeed(elbo(&dir, "evaluate 0003 --samples 3 --device cpu"));
    for name in ["empty", "damaged", "half", "begun", "notes", "more", "more/one"] {
        fs::create_dir(runs.join(name)).expect("a folder");
    }
    let checkpoint = fs::read(runs.join("0001/checkpoint.safetensors")).expect("a checkpoint");
    fs::write(runs.join("half/checkpoint.safetensors"), &checkpoint[..checkpoint.len() - 9])
        .expect("a file");
    fs::write(runs.join("damaged/checkpoint.safetensors"), [9; 99]).expect("a file");
    fs::copy(runs.join("0001/config.toml"), runs.join("begun/config.toml")).expect("a file");
    fs::write(runs.join("notes/notes.txt"), "mine").expect("a file");
    fs::write(runs.join("file"), "no folder").expect("a file");
    fs::write(runs.join("more/one/checkpoint.safetensors"), "x").expect("a file");
    // A torn line is not of the run.
    let log = runs.join("0002/metrics.jsonl");
    let told = fs::read_to_string(&log).expect("lines");
    fs::write(&log, format!("{told}no JSON\n{{\"event\":\"epoch\",\"ep")).expect("a file");
    let before = tree(dir.path());
    let table = output(elbo(&dir, "runs"));
    assert_eq!(table.status.code(), Some(0), "{table:?}");
    assert!(text(&table.stderr).contains("hint: `elbo info runs/damaged`"), "{table:?}");
    let table = text(&table.stdout);
    assert_narrow(table);
    let all = ["0001", "0002", "0003", "begun", "damaged", "empty", "half", "more", "notes"];
    assert_eq!(names(table), all, "by name: {table}");
    for (name, words) in [
        ("0001 ", "64-8-2 "),
        ("0001 ", " 1/1 "),
        ("0003 ", " 3/3 "),
        ("begun", "not saved yet"),
        ("damaged", "damaged "),
        ("empty", "empty "),
        ("half", "damaged "),
        ("more", "holds 1 run"),
        ("notes", "no run"),
    ] {
        let line = table.lines().find(|line| line.starts_with(name)).expect("a line");
        assert!(line[name.len()..].contains(words), "{name} is {words}: {line}");
    }
    let listed = events(&succeed(elbo(&dir, "runs --json")));
    let run = |name: &str| {
        let found = listed.iter().find(|(_, run)| run["run"] == format!("runs/{name}"));
        &found.unwrap_or_else(|| panic!("{name} is in {listed:?}")).1
    };
    for name in ["0001", "0003"] {
        let (run, last) = (run(name), last_line(&runs.join(name).join("metrics.jsonl")));
        for (key, of) in [("last_loss", "test_loss"), ("epochs", "epoch"), ("step", "step")] {
            assert_eq!(run[key], last[of], "{key} of {name}: {run}");
        }
        let shown = format!("{:.2}", last["test_loss"].as_f64().expect("a loss"));
        assert!(table.contains(&shown), "{shown} is in {table}");
        let bytes: usize = tree(&runs.join(name)).values().map(Vec::len).sum();
        assert_eq!(run["bytes"], bytes, "all files of {name}, with its pictures");
        assert_eq!(run["done"], true, "{run}");
    }
    let nll = &last_line(&runs.join("0003/timings.jsonl"))["nll"];
    assert!(nll.is_f64() && run("0003")["nll"] == *nll, "{nll} is that of {}", run("0003"));
    assert!(run("0001")["nll"].is_null() && run("0001").get("fault").is_none(), "{listed:?}");
    assert!(run("half")["fault"].as_str().is_some_and(|f| f.contains("expected")), "{listed:?}");
    assert!(tree(dir.path()) == before, "listing changes nothing");
}

#[test]
fn runs_are_sorted() {
    let dir = three();
    let runs = dir.path().join("runs");
    for (name, losses) in [("0001", "5 7 6"), ("0002", "8 4 9"), ("0003", "null 6")] {
        let line = |(loss, epoch)| {
            format!("{{\"event\":\"epoch\",\"epoch\":{epoch},\"test_loss\":{loss}}}\n")
        };
        let lines: String = losses.split(' ').zip(1..).map(line).collect();
        fs::write(runs.join(name).join("metrics.jsonl"), lines).expect("a file");
    }
    fs::create_dir(runs.join("0000")).expect("a folder");
    for (sort, order) in [
        ("name", ["0000", "0001", "0002", "0003"]),
        ("loss", ["0002", "0001", "0003", "0000"]),
        ("date", ["0002", "0003", "0001", "0000"]),
    ] {
        let table = succeed(elbo(&dir, &format!("runs --sort {sort}")));
        assert_eq!(names(&table), order, "by {sort}: {table}");
    }
    let best = &events(&succeed(elbo(&dir, "runs --json --sort loss")))[0].1;
    assert_eq!((&best["best_loss"], &best["best_epoch"]), (&4.0.into(), &2.into()), "{best}");
    // Of long names, each is whole on a line of its own.
    let long = "x".repeat(75);
    fs::rename(runs.join("0001"), runs.join(&long)).expect("a new name");
    let table = succeed(elbo(&dir, "runs"));
    assert_narrow(&table);
    assert!(table.lines().any(|line| line == long), "{table}");
    let one = succeed(elbo(&dir, "runs runs/0002"));
    assert_eq!(names(&one), ["0002"], "a run's folder is its own list: {one}");
}

#[test]
fn without_runs_there_is_a_way_on() {
    let dir = place();
    let none = output(elbo(&dir, "runs"));
    assert_eq!((none.status.code(), none.stdout.is_empty()), (Some(0), true), "{none:?}");
    assert!(text(&none.stderr).contains("`elbo train` makes one"), "{none:?}");
    for (flags, code, says) in [
        ("runs nowhere", 74, "nowhere"),
        ("info latest", 2, "no run was saved under `runs`"),
        ("info nowhere", 1, "`nowhere` is not there"),
        ("info data", 1, "`data` holds no run"),
        ("info data/train-images-idx3-ubyte", 2, "takes the folder of a run"),
        ("info latest --beta 3", 2, "'latest'"),
        ("info data --grey", 2, "cannot be used with"),
        ("info data --images 3", 2, "cannot be used with"),
        ("info data --preset big", 2, "cannot be used with"),
    ] {
        let refused = output(elbo(&dir, flags));
        assert_eq!(refusal_fault(flags, &refused, code, says), None);
    }
    assert_refused(&dir, &[("--resume latest", 2, "`elbo train` makes one")]);
}

#[test]
fn latest_is_the_run_that_was_saved_last() {
    let dir = three();
    let is_second = |said: &str| assert!(said.contains("runs/0002"), "of the second run: {said}");
    is_second(&succeed(elbo(&dir, "info latest")));
    is_second(&succeed(elbo(&dir, "report latest")));
    is_second(&succeed(elbo(&dir, "sample latest --device cpu --count 4")));
    let step = |said: &str| events(said).pop().expect("a line").1["step"].clone();
    let newest = step(&succeed(elbo(&dir, "evaluate latest --device cpu --json")));
    assert_eq!(newest, 8, "two epochs of four steps");
    succeed(elbo(&dir, "export latest --out w.safetensors"));
    let weights = |path: &str| fs::read(dir.path().join(path)).expect("weights");
    assert!(weights("w.safetensors") == weights("runs/0002/weights.safetensors"), "its weights");
    // A name alone is one of those under runs.
    let first = step(&succeed(elbo(&dir, "evaluate 0001 --device cpu --json")));
    assert_eq!(first, 4, "one epoch");
    let gone_on = succeed(elbo(&dir, "train --resume 0001 --device cpu --epochs 2 --json"));
    assert_eq!(events(&gone_on).pop().expect("an end").1["run"], "runs/0001", "{gone_on}");
    // Now that one was saved last.
    let newest = succeed(elbo(&dir, "info latest --json"));
    assert_eq!(events(&newest)[0].1["run"], "runs/0001", "{newest}");
    // What is there under the word is meant.
    fs::rename(dir.path().join("runs/0003"), dir.path().join("latest")).expect("a new name");
    let there = succeed(elbo(&dir, "info latest --json"));
    assert_eq!(events(&there)[0].1["run"], "latest", "{there}");
}

#[test]
fn info_tells_what_a_run_is() {
    let dir = place();
    succeed(train(&dir, "--epochs 2 --beta 0.5 --hidden 8,5 --max-steps 6 --limit 60"));
    let out = dir.path().join("out");
    let before = tree(dir.path());
    let told = succeed(elbo(&dir, "info out"));
    assert_narrow(&told);
    let flat = |told: &str| told.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "64-8-5-2, 1228 parameters in all",
        "decoder 2-5-8-64",
        "activation relu",
        "bernoulli",
        "β = 0.5",
        "Adam, learning rate 0.001",
        "batch 16",
        "/data images",
        "8 × 8; the first 60 training images: values from 0 to 255, divided by 255",
        "6 steps, 1 of 2 epochs; the lowest test loss is ",
        "encoder.0.weight 8 × 64 512 ",
        "metrics.jsonl ",
        "images/ ",
        "ended all epochs or steps are done",
    ] {
        assert!(flat(&told).contains(words), "`{words}` is in {told}");
    }
    let order: Vec<_> =
        ["encoder.0.w", "encoder.1.w", "posterior.mean.w", "decoder.0.w", "decoder.2.w"]
            .map(|name| told.find(name).expect(name))
            .into();
    assert!(order.is_sorted(), "layers from x on: {told}");
    let run = &events(&succeed(elbo(&dir, "info out --json")))[0].1;
    assert_eq!(run["parameters"], 1228, "{run}");
    assert_eq!(run["weights"]["posterior.mean.weight"], serde_json::json!([2, 5]), "{run}");
    assert_eq!(run["config"]["objective"]["beta"], 0.5, "{run}");
    assert_eq!((&run["step"], &run["done"]), (&6.into(), &true.into()), "{run}");
    let print = run["fingerprints"]["training"].as_str().expect("a fingerprint");
    assert!(told.contains(&format!("{}… (training)", &print[..12])), "{print} is in {told}");
    assert!(tree(dir.path()) == before, "telling changes nothing");
    let log = out.join("timings.jsonl");
    let lines = fs::read_to_string(&log).expect("lines");
    for (status, words) in
        [("patience", "early stopping"), ("signal", "Ctrl-C"), ("time", "max-time")]
    {
        let end =
            format!("{{\"event\":\"end\",\"status\":\"{status}\",\"step\":6,\"seconds\":63.2}}\n");
        fs::write(&log, format!("{lines}{end}")).expect("a file");
        let told = flat(&succeed(elbo(&dir, "info out")));
        assert!(told.contains(words) && told.contains("took 1m 3s"), "{status}: {told}");
        let run = &events(&succeed(elbo(&dir, "info out --json")))[0].1;
        assert_eq!((&run["ended"], &run["seconds"]), (&status.into(), &63.2.into()), "{run}");
        // A session that began later has not ended.
        fs::write(&log, format!("{end}{lines}")).expect("a file");
        assert!(!succeed(elbo(&dir, "info out")).contains(words), "{status} of an older session");
    }
}

/// Whatever `info` says to type next can be typed.
#[test]
fn the_next_commands_can_be_typed() {
    let dir = place();
    succeed(train(&dir, "--epochs 3 --max-steps 6 --out steps"));
    let told = succeed(elbo(&dir, "info steps"));
    assert!(told.contains("elbo train --resume steps --max-steps 12\n"), "{told}");
    succeed(train(&dir, ""));
    let told = succeed(elbo(&dir, "info out"));
    let next: Vec<_> = told.lines().skip_while(|line| *line != "next").skip(1).collect();
    assert!(next.len() >= 4, "{told}");
    for command in next {
        let flags = command.trim().strip_prefix("elbo ").expect("a command");
        succeed(elbo(&dir, flags));
    }
    let after = succeed(elbo(&dir, "info out"));
    assert!(after.contains("2 of 2 epochs") && after.contains("NLL "), "{after}");
    assert!(!after.contains("elbo evaluate"), "it was evaluated: {after}");
}
