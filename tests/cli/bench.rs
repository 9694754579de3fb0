//! `elbo bench`: four formats of the same figures, ratios to an earlier run, and what is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::figures::{Figures, figure_lines, from_csv, from_json, from_markdown, from_text, shown};
use crate::program::{elbo, events, output, place, refusal_fault, succeed, text};

/// A folder with a small model in `small.toml`.
fn small() -> TempDir {
    let dir = place();
    let model = "[model]\nencoder = [8]\nlatent = 2\ndecoder = [8]\n[train]\nbatch-size = 16\n";
    fs::write(dir.path().join("small.toml"), model).expect("a file");
    dir
}

/// Flags of a measurement that takes no longer than it must.
const SHORT: &str = "bench --device cpu --config small.toml --repetitions 2 --seconds 0.02 --quiet";

#[test]
fn four_formats_hold_the_same_figures() {
    let dir = small();
    let run = |format: &str| succeed(elbo(&dir, &format!("{SHORT} --kernels {format}")));
    let json = run("--json");
    let expected = from_json(&json);
    let names: BTreeSet<_> = expected.keys().map(|key| key[2].as_str()).collect();
    for name in ["multiply-adds", "copy", "dependent dispatch", "submit and wait", "steps"] {
        assert!(names.contains(name), "{name} is among {names:?}");
    }
    let found = [
        ("json", from_json(&run("--format json"))),
        ("csv", from_csv(&run("--format csv"))),
        ("markdown", from_markdown(&run("--format md"))),
        ("text", from_text(&run("--format text"))),
    ];
    for (format, figures) in found {
        let keys = |figures: &Figures| figures.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&figures), keys(&expected), "the figures of {format}");
        for (key, values) in &figures {
            let number = |i: usize| -> f64 {
                // Of what was measured once there is no lowest and no highest.
                let number = if values[i].is_empty() { &values[0] } else { &values[i] }.parse();
                number.unwrap_or_else(|e| panic!("{format}: {key:?}: {values:?}: {e}"))
            };
            let [median, low, high] = [0, 1, 2].map(number);
            assert!(low <= median && median <= high, "{format}: {key:?}: {values:?}");
            let unit = values.get(3).map_or("", String::as_str);
            assert_eq!(unit, expected[key][3], "{format}: the unit of {key:?}");
            // Counts do not differ from run to run.
            if unit.is_empty() {
                let counted: f64 = expected[key][0].parse().expect("a count");
                assert_eq!(median, counted, "{format}: {key:?}");
            }
        }
    }
}

#[test]
fn json_says_on_what_and_keeps_all_samples() {
    let dir = small();
    let lines = succeed(elbo(&dir, &format!("{SHORT} --json --batch-size 8,4")));
    let events = events(&lines);
    let (first, start) = &events[0];
    assert_eq!(first, "start", "{start}");
    for key in ["driver", "backend"] {
        assert_eq!(start[key], "", "{key} in {start}");
    }
    for key in
        ["device", "adapter", "threads", "cpu", "memory", "system", "date", "version", "commit"]
    {
        assert!(start[key].as_str().is_some_and(|value| !value.is_empty()), "{key} in {start}");
    }
    let date = start["date"].as_str().unwrap_or_default();
    assert!(date.len() == 20 && date.ends_with('Z') && date.contains('T'), "RFC 3339: {date}");
    let all = |event: &str| events.iter().filter(|(name, _)| name == event).collect::<Vec<_>>();
    assert_eq!(all("row").len(), 3, "the device, and two batches");
    assert_eq!(all("row")[1].1["model"], "784-8-2 relu bernoulli adam", "pixels come first");
    assert_eq!(all("samples").len(), 4, "two repetitions of two batches");
    for (_, line) in all("samples") {
        assert!(line["step_us"].as_array().is_some_and(|s| !s.is_empty()), "{line}");
    }
    let figures = figure_lines(&lines);
    let steps = figures.iter().filter(|line| line["figure"] == "steps");
    let counts: Vec<_> = steps.map(|l| l["samples"].as_array().map(Vec::len)).collect();
    assert_eq!(counts, [Some(2), Some(2)], "a sample a repetition");
    let first = |name: &str| {
        let steps = figures.iter().filter(|line| line["figure"] == name);
        steps.map(|line| line["median"].as_f64()).collect::<Vec<_>>()
    };
    let (since_plan, since_start) = (first("first step"), first("first step since start"));
    assert_eq!((since_plan.len(), since_start.len()), (2, 1), "of the first model alone");
    assert!(since_start[0] >= since_plan[0], "{since_start:?}, {since_plan:?}");
    let (last, end) = &events[events.len() - 1];
    assert_eq!((last.as_str(), &end["figures"]), ("end", &figures.len().into()), "{end}");
}

/// The lines of a run with each figure's samples, and what its start says, changed.
fn planted(lines: &str, change: impl Fn(&str, f64) -> f64) -> String {
    let plant = |(event, mut line): (String, Value)| {
        if event == "start" {
            line["adapter"] = "another".into();
        }
        let name = shown(&line["figure"]);
        let samples = line["samples"].as_array_mut();
        for sample in samples.into_iter().flatten() {
            *sample = change(&name, sample.as_f64().expect("a number")).into();
        }
        if name == "barriers" {
            line["figure"] = "bygone".into();
        }
        line.to_string() + "\n"
    };
    events(lines).into_iter().map(plant).collect()
}

#[test]
fn a_planted_change_is_found() {
    let dir = small();
    let short = SHORT.replace("--repetitions 2", "--repetitions 5");
    let lines = succeed(elbo(&dir, &format!("{short} --json")));
    // As if the earlier run had been on another adapter with half the dispatches, and far slower at steps:
    // by more than whatever else runs here explains, even if the machine's pace changes in between.
    let change = |name: &str, value: f64| match name {
        "dispatches" => value / 2.0,
        "steps" => value / 1e6,
        _ => value,
    };
    fs::write(dir.path().join("old.jsonl"), planted(&lines, change)).expect("a file");
    let flags = short.trim_end_matches(" --quiet").to_owned() + " --compare old.jsonl";
    let json = output(elbo(&dir, &format!("{flags} --json --fail-if-slower")));
    for line in figure_lines(text(&json.stdout)) {
        let verdict = line["verdict"].as_str();
        match line["figure"].as_str() {
            Some("dispatches") => {
                assert_eq!((verdict, &line["ratio"]), (Some("changed"), &2.0.into()));
            }
            Some("barriers") => {
                assert_eq!((verdict, &line["ratio"]), (None, &Value::Null), "{line}");
            }
            Some("depth") => assert_eq!((verdict, &line["ratio"]), (Some("same"), &1.0.into())),
            Some("steps") => {
                assert_eq!(verdict, Some("faster"), "{line}");
                let [low, ratio, high] = ["ratio_low", "ratio", "ratio_high"]
                    .map(|key| line[key].as_f64().expect("a number"));
                assert!(low <= ratio && ratio <= high && low > 1.0, "{line}");
                assert!(line["old_low"].as_f64() <= line["old_high"].as_f64(), "{line}");
            }
            Some("first step") => assert_eq!(verdict, Some("too few"), "one sample: {line}"),
            _ => {}
        }
    }
    let found = events(text(&json.stdout));
    let differs: Vec<_> = found.iter().filter(|(name, _)| name == "differs").collect();
    assert_eq!(differs.len(), 1, "only the adapter differs: {differs:?}");
    let expected = (&Value::from("adapter"), &Value::from("another"));
    assert_eq!((&differs[0].1["what"], &differs[0].1["old"]), expected, "what differs");
    let rest = "only in the earlier run: one figure of small, batch 16";
    assert!(found.iter().any(|(name, line)| name == "note" && line["text"] == rest), "{json:?}");
    // As if steps had been far faster: the exit code tells.
    let faster = |name: &str, value: f64| if name == "steps" { value * 1e6 } else { value };
    fs::write(dir.path().join("old.jsonl"), planted(&lines, faster)).expect("a file");
    let slow = output(elbo(&dir, &format!("{flags} --fail-if-slower")));
    assert_eq!(slow.status.code(), Some(1), "{slow:?}");
    let said = text(&slow.stdout);
    assert!(said.contains("adapter was another"), "`{said}`");
    // Numbers that are too long for a row stand below their name: its verdict comes next in either form.
    let verdict = |name: &str| {
        let (_, row) = said.split_once(&format!("\n{name}")).expect("a row");
        row.split_whitespace().find(|word| ["faster", "slower", "noise", "same"].contains(word))
    };
    assert_eq!(verdict("steps"), Some("slower"), "`{said}`");
    assert_eq!(verdict("depth"), Some("same"), "`{said}`");
    let lines = succeed(elbo(&dir, &format!("{flags} --format csv")));
    let (head, rest) = lines.split_once('\n').expect("lines");
    let column = |name| head.split(',').position(|column| column == name);
    assert_eq!(column("old adapter"), column("adapter").map(|at| at + 12), "`{head}`");
    assert!(rest.lines().all(|line| line.contains(",another,")), "both adapters: `{rest}`");
    let steps = rest.lines().find(|line| line.starts_with("small,16,steps,")).expect("steps");
    assert_eq!(
        steps.split(',').nth(column("verdict").expect("a column")),
        Some("slower"),
        "`{steps}`"
    );
}

/// A program that prints what it is told stands for another build.
#[cfg(unix)]
#[test]
fn two_builds_run_in_turn() {
    use std::os::unix::fs::PermissionsExt;
    let dir = small();
    let lines =
        succeed(elbo(&dir, &format!("{} --json", SHORT.replace("repetitions 2", "repetitions 1"))));
    fs::write(dir.path().join("theirs.jsonl"), planted(&lines, |_, value| value)).expect("a file");
    let program = dir.path().join("theirs");
    let script = |content: &str| {
        fs::write(&program, format!("#!/bin/sh\necho $@ >> calls\n{content}\n")).expect("a file");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("permissions");
    };
    script("cat theirs.jsonl");
    let flags = format!("{SHORT} --batch-size 16 --json --against ./theirs");
    let lines = succeed(elbo(&dir, &flags));
    let steps = figure_lines(&lines).into_iter().find(|line| line["figure"] == "steps");
    let steps = steps.expect("steps");
    assert_eq!(steps["samples"].as_array().map(Vec::len), Some(2), "{steps}");
    assert_eq!(
        (&steps["verdict"], &steps["old"]),
        (&"too few".into(), &steps["old_low"]),
        "{steps}"
    );
    let calls = fs::read_to_string(dir.path().join("calls")).expect("a file");
    let call = "bench --json --quiet --repetitions 1 --seconds 0.02 --device cpu --config small.toml \
                --batch-size 16";
    assert_eq!(calls.lines().collect::<Vec<_>>(), [call, call], "once a round");
    for (content, says) in [("exit 3", "exit status: 3"), ("echo no", "printed no benchmark")] {
        script(content);
        let fault = refusal_fault(content, &output(elbo(&dir, &flags)), 1, says);
        assert_eq!(fault, None, "{content}");
    }
}

#[test]
fn time_to_quality_is_told() {
    let dir = small();
    let run = |flags: &str| {
        let flags = format!("{SHORT} --json --data data --to-loss={flags}");
        let output = output(elbo(&dir, &flags));
        let figures = figure_lines(text(&output.stdout)).into_iter();
        let named = figures.map(|line| (shown(&line["figure"]), line["median"].as_f64()));
        (output.status.code(), named.collect::<BTreeMap<_, _>>())
    };
    let (code, easy) = run("1e6");
    assert_eq!((code, easy["reached"], easy["epochs"]), (Some(0), Some(1.0), Some(1.0)));
    assert!(easy["with load and evaluation"] >= easy["training"], "{easy:?}");
    let (code, hard) = run("-1 --epochs 2");
    assert_eq!((code, hard["reached"], hard["epochs"]), (Some(1), Some(0.0), Some(2.0)));
    assert!(hard["test loss"] > Some(0.0), "{hard:?}");
}

/// Needs an adapter, as all tests that name a GPU.
#[test]
fn a_burn_in_passes_on_all_devices() {
    let dir = small();
    let flags = "bench --device all --config small.toml --stress 0.0001 --json";
    let lines = succeed(elbo(&dir, flags));
    let found = events(&lines);
    let starts: Vec<_> = found.iter().filter(|(name, _)| name == "start").collect();
    assert_eq!(starts[0].1["device"], "cpu", "{starts:?}");
    assert!(
        starts.len() > 1 && starts[1..].iter().all(|(_, s)| s["device"] == "gpu"),
        "{starts:?}"
    );
    let checks: Vec<_> =
        figure_lines(&lines).into_iter().filter(|line| line["figure"] == "checks passed").collect();
    assert_eq!(checks.len(), starts.len(), "{checks:?}");
    let enough = |line: &Value| line["median"].as_f64() >= Some(65.0);
    assert!(checks.iter().all(enough), "a round of 64 steps and its state: {checks:?}");
}

/// As on a device that computes wrongly: what was done is told, and how it ended.
#[test]
fn a_burn_in_that_fails_says_what_it_did() {
    let dir = small();
    let path = dir.path().join("small.toml");
    let model = fs::read_to_string(&path).expect("a file");
    fs::write(&path, model + "[optimizer]\nlr = 1e30\n").expect("a file");
    let flags = "bench --device cpu --config small.toml --stress 0.0001 --json";
    let output = output(elbo(&dir, flags));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let events = events(text(&output.stdout));
    let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["start", "row", "figure", "figure", "figure", "end"], "{output:?}");
    let end = &events[5].1;
    assert_eq!(end["status"], "failed", "{end}");
    assert!(end["error"].as_str().is_some_and(|why| why.contains("broke")), "{end}");
}

/// Needs an adapter. One without timestamps says so.
#[test]
fn kernels_are_timed_on_a_gpu() {
    let dir = small();
    let flags = format!("{} --kernels --json", SHORT.replace("cpu", "gpu"));
    let output = output(elbo(&dir, &flags));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    if said.contains("has no timestamps") {
        return;
    }
    let figures = figure_lines(text(&output.stdout));
    let names: Vec<_> = figures.iter().map(|line| shown(&line["figure"])).collect();
    assert!(names.iter().any(|name| name.starts_with("matmul.forward (")), "{names:?}: {said}");
    assert!(names.iter().any(|name| name == "host a dispatch"), "{names:?}");
}

#[test]
fn misuse_is_refused() {
    let dir = small();
    fs::write(dir.path().join("no.jsonl"), "{\"event\":\"start\"}\n").expect("a file");
    fs::write(dir.path().join("text.jsonl"), "steps 12\n").expect("a file");
    let cases = [
        ("--model nonsense", 2, "'nonsense'"),
        ("--config missing.toml", 74, "`missing.toml`"),
        ("--batch-size 0", 2, "`batch-size` is 0"),
        ("--repetitions 0", 2, "`repetitions` is 0"),
        ("--seconds 0", 2, "`seconds` is 0"),
        ("--seconds nan", 2, "`seconds` is NaN"),
        ("--format nonsense", 2, "nonsense"),
        ("--compare missing.jsonl", 74, "`missing.jsonl`"),
        ("--compare no.jsonl", 1, "`no.jsonl`"),
        ("--compare text.jsonl", 1, "line 1"),
        ("--to-loss x", 2, "x"),
        ("--to-loss nan --data data", 2, "`to-loss` is NaN"),
        ("--to-loss 9 --stress 1", 2, "--stress"),
        ("--to-loss 9 --model classic --model big", 2, "one model"),
        ("--epochs 3", 2, "required"),
        ("--stress 0", 2, "`stress` is 0"),
        ("--stress -1", 2, "`stress` is -1"),
        ("--stress 1 --batch-size 4,8", 2, "one model"),
        ("--batch-size 4,", 2, "batch-size"),
        ("--fail-if-slower", 2, "`--fail-if-slower`"),
        ("--against elbo --compare no.jsonl", 2, "--compare"),
        ("--against ./missing --device cpu", 74, "`./missing`"),
        ("--against elbo --device all", 2, "`--against`"),
        ("--device nonsense", 1, "`nonsense`"),
    ];
    let fault = |&(flags, code, says): &(&str, i32, &str)| {
        let output = output(elbo(&dir, &format!("bench --quiet {flags}")));
        refusal_fault(flags, &output, code, says)
    };
    let faults: Vec<_> = cases.iter().filter_map(fault).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
