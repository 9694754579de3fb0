//! Reports of runs: whole, killed and damaged ones.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::program::{elbo, events, output, place, refusal_fault, succeed, train, tree};

fn page(dir: &TempDir) -> String {
    fs::read_to_string(dir.path().join("out/report.html")).expect("a report")
}

#[test]
fn a_run_has_a_report() {
    let dir = place();
    succeed(train(&dir, "--epochs 3"));
    let told = page(&dir);
    fs::remove_file(dir.path().join("out/report.html")).expect("training writes one");
    let before = tree(&dir.path().join("out"));
    let path = Path::new("out").join("report.html").display().to_string();
    assert_eq!(succeed(elbo(&dir, "report out")), format!("{path}\n"), "its path alone");
    let first = page(&dir);
    assert_eq!(first, told, "as training wrote it");
    for part in ["<h1>Run out</h1>", "Loss (−ELBO)", "Throughput", "batch-size", "epoch 3: test "]
    {
        assert!(first.contains(part), "`{part}` is in {first}");
    }
    assert_eq!(first.matches("data:image/png;base64,").count(), 6, "three epochs of two kinds");
    // Again, since it may be older than the run; and nothing else is touched.
    let said = events(&succeed(elbo(&dir, "report out/ --json")));
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!((said[0].0.as_str(), &said[0].1["report"]), ("report", &"out/report.html".into()));
    assert_eq!(page(&dir), first, "the same run, the same report");
    let mut after = tree(&dir.path().join("out"));
    after.remove(&dir.path().join("out/report.html"));
    assert!(after == before, "the run is as it was: {:?}", after.keys());
}

/// As a kill leaves it: with half a line, before the first epoch, or without pictures.
#[test]
fn a_killed_run_has_a_report_too() {
    let dir = place();
    succeed(train(&dir, "--epochs 2"));
    let out = dir.path().join("out");
    for name in ["metrics.jsonl", "timings.jsonl"] {
        let mut lines = fs::read_to_string(out.join(name)).expect("lines");
        lines.push_str("{\"event\":\"epoch\",\"epo");
        fs::write(out.join(name), lines).expect("a file");
    }
    succeed(elbo(&dir, "report out"));
    assert!(page(&dir).contains("epoch 2: test "), "what is whole is told");
    fs::remove_dir_all(out.join("images")).expect("a folder of pictures");
    succeed(elbo(&dir, "report out"));
    assert!(!page(&dir).contains("<img"), "no pictures");
    for name in ["metrics.jsonl", "timings.jsonl"] {
        fs::remove_file(out.join(name)).expect("a file");
    }
    succeed(elbo(&dir, "report out"));
    assert!(page(&dir).contains("No epoch was finished yet"), "{}", page(&dir));
}

#[test]
fn what_is_no_run_is_refused() {
    let dir = place();
    succeed(train(&dir, "--epochs 1"));
    let out = dir.path().join("out");
    let mut faults = Vec::new();
    let mut refused = |case: &str, run: &str, code, says: &str| {
        let before = tree(dir.path());
        let output = output(elbo(&dir, &format!("report {run}")));
        faults.extend(refusal_fault(case, &output, code, says));
        if tree(dir.path()) != before {
            faults.push(format!("{case}: something was left or changed"));
        }
    };
    refused("no run named", "", 2, "required");
    refused("no folder", "missing", 74, "`missing/config.toml`");
    refused("a folder that is no run", "data", 74, "`data/config.toml`");
    refused("a file", "out/config.toml", 74, "config.toml/config.toml`");
    for (name, content, says) in [
        ("config.toml", b"not [[ TOML".as_slice(), "`out/config.toml`: is no configuration"),
        (
            "config.toml",
            b"name = \"\xff\"",
            "`out/config.toml`: is no configuration: it is not UTF-8",
        ),
        (
            "metrics.jsonl",
            b"{\"event\":\"start\"}\nnonsense\n",
            "`out/metrics.jsonl`: line 2: expected a JSON",
        ),
        ("metrics.jsonl", b"[1]\n", "`out/metrics.jsonl`: line 1: expected a JSON object"),
        ("metrics.jsonl", b"{\"event\":\"epoch\"}\n", "line 1: `epoch` is null"),
        ("timings.jsonl", b"\xff\xfe\n", "`out/timings.jsonl`: line 1"),
        ("timings.jsonl", b"{\"epoch\":1,\"images_per_s\":\"x\"}\n", "`images_per_s` is \"x\""),
        ("images/sample_1.png", b"no PNG", "sample_1.png`: is no PNG"),
    ] {
        let good = fs::read(out.join(name)).expect("a file of the run");
        fs::write(out.join(name), content).expect("a file");
        refused(says, "out", 1, says);
        fs::write(out.join(name), good).expect("a file");
    }
    fs::remove_file(out.join("metrics.jsonl")).expect("a file");
    fs::create_dir(out.join("metrics.jsonl")).expect("a folder");
    refused("a folder for a file", "out", 74, "metrics.jsonl`");
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
