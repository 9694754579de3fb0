//! Sweeps: every combination or random ones, stopped and gone on with, and their refusals.

use std::collections::BTreeSet;
use std::fs;
#[cfg(unix)]
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

#[cfg(unix)]
use crate::program::Running;
use crate::program::{elbo, events, output, place, refusal_fault, succeed, text, tree};
use crate::runs::assert_narrow;

/// What the runs of most tests here share.
const BASE: &str = "[model]\nencoder = [8]\ndecoder = [8]\nlatent = 2\n\
                    [train]\ndata = 'data'\nbatch-size = 16\nepochs = 2\n";

const GRID: &str = "[grid]\nobjective.beta = [0.5, 4]\noptimizer.lr = [1e-3, 3e-4]\n";

fn write(dir: &TempDir, text: &str) {
    fs::write(dir.path().join("file.toml"), text).expect("a file");
}

/// The combinations of a file with what they came to, by JSON.
fn listed(dir: &TempDir, flags: &str) -> Vec<Value> {
    let lines = events(&succeed(elbo(dir, &format!("sweep file.toml --json {flags}"))));
    lines.into_iter().filter(|(name, _)| name == "sweep-run").map(|(_, line)| line).collect()
}

#[test]
fn a_grid_is_trained_once() {
    let dir = place();
    write(&dir, &format!("{BASE}{GRID}"));
    let names = ["beta=0.5,lr=0.001", "beta=0.5,lr=0.0003", "beta=4,lr=0.001", "beta=4,lr=0.0003"];
    let planned = succeed(elbo(&dir, "sweep file.toml --dry-run"));
    assert!(names.iter().all(|name| planned.contains(name)), "{planned}");
    assert_eq!(planned.matches("to do").count(), 4, "{planned}");
    let out = dir.path().join("sweeps/file");
    assert!(!out.exists(), "a dry run writes nothing");
    let said = succeed(elbo(&dir, "sweep file.toml --device cpu --quiet"));
    let at = said.find("run  ").expect("a table");
    assert_narrow(&said[at..]);
    let table: Vec<_> = said[at..].lines().skip(1).map(|line| line.split_whitespace()).collect();
    let rows: Vec<Vec<_>> = table.into_iter().map(Iterator::collect).collect();
    let all: BTreeSet<_> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(all, names.into(), "{said}");
    assert!(rows.iter().all(|row| row[1..3] == ["done", "2/2"]), "{said}");
    let losses: Vec<f64> = rows.iter().map(|row| row[3].parse().expect("a loss")).collect();
    assert!(losses.is_sorted(), "the best comes first: {said}");
    for name in names {
        let config = fs::read_to_string(out.join(name).join("config.toml")).expect("a config");
        let config: toml::Table = config.parse().expect("TOML");
        let [beta, lr] = [("objective", "beta"), ("optimizer", "lr")]
            .map(|(table, key)| config[table][key].as_float().expect("a number"));
        assert_eq!(format!("beta={beta},lr={lr}"), name, "what it is called is what it is");
    }
    let csv = fs::read_to_string(out.join("sweep.csv")).expect("a file of values");
    let lines: Vec<_> = csv.lines().collect();
    let head = "run,state,objective.beta,optimizer.lr,epochs,best_loss,best_epoch,last_loss";
    assert_eq!((lines[0], lines.len()), (head, 5), "{csv}");
    assert!(lines[1].starts_with(&format!("\"{}\",done,", rows[0][0])), "sorted too: {csv}");
    // Again, nothing is left to train; a value more is one run more for each other key.
    let before = tree(&out);
    let again = succeed(elbo(&dir, "sweep file.toml --device cpu"));
    assert_eq!(again, said[at..], "the table alone");
    assert!(tree(&out) == before, "what is done stays as it is");
    write(&dir, &format!("{BASE}{}", GRID.replace("0.5, 4", "0.5, 4, 1")));
    let more = listed(&dir, "--device cpu --quiet");
    assert!(more.len() == 6 && more.iter().all(|run| run["state"] == "done"), "{more:?}");
    let mut after = tree(&out);
    after.retain(|path, _| before.contains_key(path));
    after.insert(out.join("sweep.csv"), before[&out.join("sweep.csv")].clone());
    assert!(after == before, "the four are as they were");
}

/// Stopped by the clock and gone on with, a run has the bits of one that was not.
#[test]
fn a_sweep_goes_on() {
    let dir = place();
    write(&dir, &format!("{BASE}{GRID}[run]\nkeep = 2\n"));
    let stopped = listed(&dir, "--device cpu --quiet --max-time 1ms");
    assert!(stopped.iter().all(|run| run["state"] == "stopped"), "{stopped:?}");
    let done = listed(&dir, "--device cpu --quiet");
    assert!(done.iter().all(|run| run["state"] == "done"), "{done:?}");
    let whole = listed(&dir, "--device cpu --quiet --out whole");
    for run in &whole {
        let path = run["run"].as_str().expect("a folder");
        let read = |path: &str| {
            fs::read(dir.path().join(path).join("weights.safetensors")).expect("weights")
        };
        assert!(read(path) == read(&path.replace("whole", "sweeps/file")), "{path}");
        for path in [path.to_owned(), path.replace("whole", "sweeps/file")] {
            let names = tree(&dir.path().join(&path)).into_keys();
            let kept = names.filter(|name| name.to_string_lossy().contains("/checkpoint-0"));
            assert_eq!(kept.count(), 2, "`keep` of [run] holds in {path}");
        }
    }
    // What a killed process had not written yet is written now.
    let first = dir.path().join(whole[0]["run"].as_str().expect("a folder"));
    fs::remove_file(first.join("weights.safetensors")).expect("weights");
    listed(&dir, "--device cpu --quiet --out whole");
    assert!(first.join("weights.safetensors").exists(), "weights of a run that was trained");
    // Its runs would not be one sweep with others.
    write(&dir, &format!("{BASE}{GRID}").replace("epochs = 2", "epochs = 3"));
    let refused = output(elbo(&dir, "sweep file.toml --device cpu"));
    let says = "`train.epochs` = 2, and the file now says 3";
    assert_eq!(refusal_fault("another base", &refused, 2, says), None);
}

#[test]
#[cfg(unix)]
fn a_signal_ends_a_sweep() {
    let dir = place();
    write(&dir, &format!("{BASE}{GRID}").replace("epochs = 2", "epochs = 1000000"));
    let file = |name: &str| fs::File::create(dir.path().join(name)).expect("a file");
    let mut command = elbo(&dir, "sweep file.toml --device cpu");
    let mut running = Running::start(command.stdout(file("stdout")).stderr(file("stderr")));
    let said = |name| fs::read_to_string(dir.path().join(name)).expect("what it says");
    running.until("an epoch", || said("stdout").contains("epoch "));
    running.signal("INT");
    assert_eq!(running.wait().code(), Some(130), "{}", said("stderr"));
    let (stdout, stderr) = (said("stdout"), said("stderr"));
    assert!(stdout.contains("beta=0.5,lr=0.001   stopped"), "{stdout}");
    assert_eq!(stdout.matches("to do").count(), 3, "the others were not begun: {stdout}");
    assert!(stderr.contains("the same command goes on"), "{stderr}");
}

/// Two processes may share a sweep: what one is at, the other leaves to it.
#[test]
#[cfg(unix)]
fn a_run_in_use_is_left_alone() {
    let dir = place();
    write(&dir, &format!("{BASE}{GRID}"));
    succeed(elbo(&dir, "sweep file.toml --device cpu --quiet --max-time 1ms"));
    let run = "sweeps/file/beta=0.5,lr=0.001";
    let mut other = elbo(&dir, &format!("train --resume {run} --device cpu --epochs 1000000"));
    let log = dir.path().join(run).join("metrics.jsonl");
    let mut other = Running::start(other.stdout(Stdio::null()).stderr(Stdio::null()));
    other.until("an epoch", || log.exists());
    let shared = output(elbo(&dir, "sweep file.toml --device cpu"));
    assert_eq!(shared.status.code(), Some(75), "{shared:?}");
    assert!(text(&shared.stderr).contains("is in use by process"), "{shared:?}");
    let said = text(&shared.stdout);
    assert!(said.contains("beta=0.5,lr=0.001   in use"), "{said}");
    assert_eq!(said.matches("  done  ").count(), 3, "the others were trained: {said}");
    other.signal("INT");
    assert_eq!(other.wait().code(), Some(130));
    // What a kill before the first save has left is told with a way on.
    for name in ["checkpoint.safetensors", "best.safetensors"] {
        fs::remove_file(dir.path().join(run).join(name)).expect("a file");
    }
    let refused = output(elbo(&dir, "sweep file.toml --device cpu"));
    assert_eq!(refusal_fault("never saved", &refused, 2, "holds a run already"), None);
    assert!(text(&refused.stderr).contains("move the folder away"), "{refused:?}");
    fs::rename(dir.path().join(run), dir.path().join("away")).expect("a new place");
    succeed(elbo(&dir, "sweep file.toml --device cpu"));
}

/// Values that break the numbers do not stop the others.
#[test]
fn a_broken_run_is_told() {
    let dir = place();
    write(&dir, &format!("{BASE}[optimizer]\nrule = 'sgd'\n[grid]\noptimizer.lr = [1e25, 1e-3]\n"));
    let broken = output(elbo(&dir, "sweep file.toml --device cpu"));
    assert_eq!(broken.status.code(), Some(3), "{broken:?}");
    assert!(text(&broken.stderr).contains("error: the numbers broke"), "{broken:?}");
    let said = text(&broken.stdout);
    assert!(said.contains("lr=1e25   numbers broke"), "{said}");
    assert!(said.contains("lr=0.001  done"), "{said}");
}

#[test]
fn random_draws_are_of_their_seed() {
    let dir = place();
    let drawn = |head: &str| {
        let random = "[random]\noptimizer.lr = { min = 1e-4, max = 1e-2, log = true }\n\
                      model.latent = { min = 2, max = 4 }\nobjective.beta = [0.5, 1]\n";
        write(&dir, &format!("[sweep]\n{head}\n{BASE}{random}").replace("latent = 2\n", ""));
        let runs = listed(&dir, "--dry-run");
        runs.iter().map(|run| run["values"].clone()).collect::<Vec<_>>()
    };
    let (ten, more) = (drawn(""), drawn("runs = 40"));
    assert_eq!((ten.len(), more.len()), (10, 40), "ten if nobody says more");
    assert_eq!(more[..10], ten, "more runs are the same ones first");
    assert_ne!(drawn("seed = 1"), ten, "another seed");
    let all = |key: &'static str| more.iter().map(move |run| run[key].as_f64().expect("a number"));
    assert!(all("optimizer.lr").all(|lr| (1e-4..=1e-2).contains(&lr)), "{more:?}");
    let low = all("optimizer.lr").filter(|lr| *lr < 1e-3).count();
    assert!((10..=30).contains(&low), "half of a logarithmic range: {low} of 40");
    let seen = |key: &'static str| all(key).map(|value| value.to_string()).collect::<BTreeSet<_>>();
    assert_eq!(seen("model.latent"), ["2", "3", "4"].map(str::to_owned).into(), "both ends");
    assert_eq!(seen("objective.beta"), ["0.5", "1"].map(str::to_owned).into(), "all of a list");
    // What is drawn twice is trained once.
    write(&dir, &format!("[sweep]\nruns = 30\n{BASE}[random]\ntrain.seed = [1, 2]\n"));
    assert_eq!(listed(&dir, "--dry-run").len(), 2);
}

#[test]
fn names_tell_values_apart() {
    let dir = place();
    let list = "[grid]\nmodel.hidden = [[16, 8], 5]\noptimizer.warmup-steps = [0, 10]\n\
                data.group-column = ['a/b', 'a b']\n";
    write(&dir, list);
    let runs = listed(&dir, "--dry-run");
    let names: BTreeSet<_> = runs.iter().map(|run| run["run"].to_string()).collect();
    assert_eq!((runs.len(), names.len()), (8, 8), "{names:?}");
    assert!(names.iter().all(|name| name.matches('/').count() == 2), "one folder: {names:?}");
    assert!(
        names.iter().any(|name| name.contains("hidden=16-8,optimizer.warmup-steps=10")),
        "{names:?}"
    );
    write(&dir, &format!("{BASE}[grid]\nmodel.hidden = [[16, 8]]\n"));
    let trained = listed(&dir, "--device cpu --quiet");
    assert_eq!(trained[0]["model"], "64-16-8-2", "{trained:?}");
    let info = &events(&succeed(elbo(&dir, "info sweeps/file/hidden=16-8 --json")))[0].1;
    assert_eq!(info["decoder"], "2-8-16-64", "mirrored: {info}");
}

/// The example that the help shows is one.
#[test]
fn the_file_of_the_help_is_taken() {
    let dir = place();
    let help = succeed(elbo(&dir, "sweep --help"));
    let file = help.lines().skip_while(|line| !line.starts_with("  [sweep]"));
    let file: Vec<_> = file.take_while(|line| line.is_empty() || line.starts_with("  ")).collect();
    write(&dir, &file.join("\n"));
    let runs = listed(&dir, "--dry-run");
    assert_eq!(runs.len(), 8, "4 × 2: {file:#?}");
    assert!(
        runs.iter().all(|run| run["run"].as_str().is_some_and(|r| r.starts_with("sweeps/beta/")))
    );
    let range = "optimizer.lr = { min = 1e-4, max = 1e-2, log = true }";
    assert!(help.split_whitespace().collect::<Vec<_>>().join(" ").contains(range), "{help}");
    write(&dir, &format!("[random]\n{range}\n"));
    assert_eq!(listed(&dir, "--dry-run").len(), 10);
}

#[test]
fn files_are_refused_with_words() {
    let dir = place();
    let mut faults = Vec::new();
    for (file, code, says) in [
        ("", 2, "it needs a table [grid] or [random]"),
        ("[grid]", 2, "[grid] makes 0 runs"),
        ("[gird]\nx = 1", 2, "unknown table [gird], line 1; did you mean [grid]?"),
        ("[sweep]\nrun = 1", 2, "unknown key `run` in [sweep], line 2; did you mean `runs`?"),
        ("[train]\nepoch = 1\n[grid]\ntrain.seed = [1]", 2, "line 2; did you mean `epochs`?"),
        (
            "[grid]\nobjective.bta = [1]",
            2,
            "unknown key `bta` in [objective]; did you mean `beta`?",
        ),
        ("[grid]\nbeta = [1]", 2, "`beta` needs its table: `objective.beta`"),
        (
            "[grid]\nobjective.beta = ['x']",
            2,
            "`beta` in [objective] is `\"x\"`; it must be a number",
        ),
        ("[grid]\nobjective.beta = [-1]", 2, "beta=-1: `beta` is -1; it must be"),
        ("[grid]\nobjective.beta = 1", 2, "`objective.beta` in [grid] is 1; it must be a list"),
        ("[grid]\nobjective.beta = []", 2, "has no values"),
        ("[grid]\nobjective.beta = { min = 1, max = 2 }", 2, "it must be a list"),
        ("[random]\nobjective.beta = { min = 2, max = 1 }", 2, "expected numbers that go up"),
        ("[random]\nobjective.beta = { min = 0, max = 1, log = true }", 2, "from above 0"),
        ("[random]\nobjective.beta = { mn = 0, max = 1 }", 2, "is no range: unknown field `mn`"),
        ("[random]\nobjective.beta = { min = nan, max = 1 }", 2, "expected numbers that go up"),
        ("[sweep]\nruns = 0\n[random]\ntrain.seed = [1]", 2, "[random] makes 0 runs"),
        ("[sweep]\nruns = 99999\n[random]\ntrain.seed = [1]", 2, "1 to 10000"),
        ("[sweep]\nseed = 1\n[grid]\ntrain.seed = [1]", 2, "which belong to [random]"),
        ("[grid]\ntrain.seed = [1]\n[random]\ntrain.seed = [1]", 2, "a sweep has one of them"),
        ("[grid]\nrun.device = ['cpu']", 2, "`run.device` in [grid] cannot vary"),
        ("[run]\nkeep = 0\n[grid]\ntrain.seed = [1]", 2, "`keep` is 0"),
        ("[sweep]\npreset = 'x'\n[grid]\ntrain.seed = [1]", 2, "there is no preset `x`"),
        ("[sweep]\nconfig = 'x'\n[grid]\ntrain.seed = [1]", 74, "cannot read `x`"),
        ("[sweep]\nconfig = 'x'\npreset = 'big'\n[grid]\ntrain.seed = [1]", 2, "one of them"),
        ("[sweep", 2, "line 1 is no TOML"),
    ] {
        write(&dir, file);
        let refused = output(elbo(&dir, "sweep file.toml"));
        faults.extend(refusal_fault(file, &refused, code, says));
    }
    faults.extend(refusal_fault(
        "no file",
        &output(elbo(&dir, "sweep none.toml")),
        74,
        "none.toml",
    ));
    write(&dir, &format!("{BASE}{GRID}"));
    fs::write(dir.path().join("taken"), "a file").expect("a file");
    faults.extend(refusal_fault(
        "a file",
        &output(elbo(&dir, "sweep file.toml --out taken")),
        74,
        "taken",
    ));
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(!dir.path().join("sweeps").exists(), "nothing was begun");
}
