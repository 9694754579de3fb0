//! `elbo bench`: four formats of the same figures, ratios to an earlier run, and what is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;
use tempfile::TempDir;

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

/// Figures by subject, batch and name; each with median, low, high, unit, and what is beside it.
type Figures = BTreeMap<[String; 3], Vec<String>>;

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned).replace("null", "")
}

fn figure_lines(lines: &str) -> Vec<Value> {
    let figures = events(lines).into_iter().filter(|(name, _)| name == "figure");
    figures.map(|(_, line)| line).collect()
}

fn from_json(lines: &str) -> Figures {
    let figure = |line: &Value| {
        let [key, values] = [["subject", "batch", "figure", ""], ["median", "low", "high", "unit"]];
        let key = [0, 1, 2].map(|i| shown(&line[key[i]]));
        (key, values.map(|name| shown(&line[name])).to_vec())
    };
    figure_lines(lines).iter().map(figure).collect()
}

/// No name here holds a comma, a quote or a bar.
fn from_cells<'a>(rows: impl Iterator<Item = Vec<&'a str>>) -> Figures {
    let own = |cell: &&str| (*cell).to_owned();
    rows.map(|cells| {
        let key = [0, 1, 2].map(|i| cells[i].to_owned());
        (key, cells[3..].iter().map(own).collect())
    })
    .collect()
}

fn from_csv(lines: &str) -> Figures {
    from_cells(lines.lines().skip(1).map(|line| line.split(',').collect()))
}

fn from_markdown(lines: &str) -> Figures {
    let rows = lines.lines().filter(|line| line.starts_with("| ") && !line.contains("---"));
    from_cells(rows.skip(1).map(|row| row.trim_matches('|').split('|').map(str::trim).collect()))
}

fn from_text(lines: &str) -> Figures {
    let (mut subject, mut batch, mut long) = (String::new(), String::new(), String::new());
    let mut figures = Figures::new();
    for line in lines.lines().skip(1).filter(|line| !line.trim_start().starts_with("median")) {
        if let Some(figure) = line.strip_prefix("  ") {
            let (name, rest): (Vec<_>, Vec<_>) =
                figure.chars().enumerate().partition(|(i, _)| *i < 25);
            let word =
                |part: Vec<(usize, char)>| part.into_iter().map(|(_, c)| c).collect::<String>();
            let (name, rest) = (word(name), word(rest));
            // A name that is too long has a line of its own, before that of its numbers.
            if rest.is_empty() || !rest.starts_with(' ') {
                long = figure.trim().to_owned();
                continue;
            }
            let name = match name.trim() {
                "" => std::mem::take(&mut long),
                name => name.to_owned(),
            };
            let values: Vec<_> = rest.split_whitespace().map(str::to_owned).collect();
            // One that was measured once has no lowest and no highest.
            let once = values.get(1).is_none_or(|low| low.parse::<f64>().is_err());
            let at = if once { [0, 0, 0] } else { [0, 1, 2] };
            let unit = &values[if once { 1 } else { 3 }..];
            let values = at.iter().map(|&i| &values[i]).chain(unit).cloned().collect();
            figures.insert([subject.clone(), batch.clone(), name], values);
        } else if !line.is_empty() {
            let mut words = line.split([',', ' ']).filter(|word| !word.is_empty());
            subject = words.next().unwrap_or_default().to_owned();
            batch = words.nth(1).unwrap_or_default().to_owned();
        }
    }
    figures
}

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
        ("markdown", from_markdown(&run("--format markdown"))),
        ("text", from_text(&run("--format text"))),
    ];
    for (format, figures) in found {
        let keys = |figures: &Figures| figures.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&figures), keys(&expected), "the figures of {format}");
        for (key, values) in &figures {
            let number = |i: usize| -> f64 {
                let number = values[i].parse();
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
    let lines = succeed(elbo(&dir, &format!("{SHORT} --json --batch-size 8 --batch-size 4")));
    let events = events(&lines);
    let (first, start) = &events[0];
    assert_eq!(first, "start", "{start}");
    for key in ["device", "adapter", "driver", "backend", "version", "commit"] {
        assert!(start[key].is_string(), "{key} in {start}");
    }
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

#[test]
fn a_planted_change_is_found() {
    let dir = small();
    let lines = succeed(elbo(&dir, &format!("{SHORT} --json")));
    // As if the earlier run had had half the dispatches, another adapter, and no barriers told.
    let plant = |(event, mut line): (String, Value)| {
        if event == "start" {
            line["adapter"] = "another".into();
        }
        if line["figure"] == "dispatches" {
            let count = line["median"].as_f64().expect("a count");
            line["median"] = (count / 2.0).into();
        }
        if line["figure"] == "barriers" {
            line["figure"] = "bygone".into();
        }
        line.to_string()
    };
    let old: Vec<_> = events(&lines).into_iter().map(plant).collect();
    fs::write(dir.path().join("old.jsonl"), old.join("\n")).expect("a file");
    let flags = SHORT.trim_end_matches(" --quiet").to_owned() + " --compare old.jsonl";
    let json = output(elbo(&dir, &format!("{flags} --json")));
    assert_eq!(json.status.code(), Some(0), "{json:?}");
    for line in figure_lines(text(&json.stdout)) {
        let value = |key: &str| line[key].as_f64();
        match line["figure"].as_str() {
            Some("dispatches") => assert_eq!(value("ratio"), Some(2.0), "{line}"),
            Some("barriers") => assert_eq!(value("ratio"), None, "{line}"),
            Some("depth") => assert_eq!(value("ratio"), Some(1.0), "{line}"),
            _ => {
                let values = ["median", "old", "ratio"].map(|key| value(key).expect("a number"));
                let [median, old, ratio] = values;
                assert!((ratio * old - median).abs() <= 1e-9 * median.abs(), "{line}");
            }
        }
    }
    let differs: Vec<_> =
        events(text(&json.stdout)).into_iter().filter(|(name, _)| name == "differs").collect();
    assert_eq!(differs.len(), 1, "only the adapter differs: {differs:?}");
    let expected = (&Value::from("adapter"), &Value::from("another"));
    assert_eq!((&differs[0].1["what"], &differs[0].1["old"]), expected, "what differs");
    assert!(text(&json.stderr).contains("small, batch 16: bygone"), "{json:?}");
    let said = succeed(elbo(&dir, &flags));
    assert!(said.contains("adapter was another"), "`{said}`");
    let counts = from_text(&said);
    let key = ["small", "16", "dispatches"].map(str::to_owned);
    assert_eq!(counts[&key].last().map(String::as_str), Some("2"), "`{said}`");
    let lines = succeed(elbo(&dir, &format!("{flags} --format csv")));
    let (head, rest) = lines.split_once('\n').expect("lines");
    let column = |name| head.split(',').position(|column| column == name);
    assert_eq!(column("old adapter"), column("adapter").map(|at| at + 7), "`{head}`");
    assert!(rest.lines().all(|line| line.contains(",another,")), "both adapters: `{rest}`");
    let csv = from_csv(&lines);
    assert_eq!(csv[&key][5], "2", "{:?}", csv[&key]);
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
fn a_burn_in_passes_on_both() {
    let dir = small();
    for device in ["cpu", "gpu"] {
        let flags = format!("bench --device {device} --config small.toml --stress 0.0001 --json");
        let figures = figure_lines(&succeed(elbo(&dir, &flags)));
        let checks = figures.iter().find(|line| line["figure"] == "checks passed");
        let checks = checks.and_then(|line| line["median"].as_f64());
        assert!(checks >= Some(65.0), "{device}: a round of 64 steps and its state: {checks:?}");
    }
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
        ("--stress 1 --batch-size 4 --batch-size 8", 2, "one model"),
        ("--device nonsense", 1, "`nonsense`"),
    ];
    let fault = |&(flags, code, says): &(&str, i32, &str)| {
        let output = output(elbo(&dir, &format!("bench --quiet {flags}")));
        refusal_fault(flags, &output, code, says)
    };
    let faults: Vec<_> = cases.iter().filter_map(fault).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
