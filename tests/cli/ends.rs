//! What a run says at its end, which weights it stands for, and that it can be used from any folder.

use std::fs;

use elbo::checkpoint::State;
use serde_json::Value;

use crate::program::{elbo, events, output, place, refusal_fault, succeed, text, train, tree};

/// A rate at which the loss rises before long.
const RISES: &str = "--epochs 60 --lr 0.05 --seed 3 --patience 2";

fn end(said: &str) -> Value {
    events(said).pop().expect("an end").1
}

#[test]
fn early_stopping_takes_the_best_epoch() {
    let dir = place();
    let said = end(&succeed(train(&dir, &format!("{RISES} --json --quiet"))));
    assert_eq!(said["status"], "patience", "{said}");
    let read = |name: &str| fs::read(dir.path().join("out").join(name)).expect("a file");
    let state = |name: &str| State::read(&dir.path().join("out").join(name)).expect("a state");
    let (best, newest) = (state("best.safetensors"), state("checkpoint.safetensors"));
    assert_eq!(newest.course.epochs, best.course.epochs + 2, "two epochs were worse");
    assert_eq!(said["best_epoch"], best.course.epochs, "{said}");
    assert_eq!(said["weights_step"], best.trained.step, "{said}");
    let loss = newest.course.best.expect("a best epoch").loss;
    assert_eq!(said["test_loss"], loss, "the end tells the loss of the weights that it wrote");
    let card = String::from_utf8(read("model-card.md")).expect("text");
    assert!(card.contains("whose weights these are: chosen on the test images"), "{card}");
    // What uses the run takes the same, unless the other is asked for.
    for (flags, expected) in [("", true), ("--best", true), ("--last", false)] {
        let out = format!("weights{flags}.safetensors");
        succeed(elbo(&dir, &format!("export out {flags} --out {out}")));
        let exported = fs::read(dir.path().join(out)).expect("weights");
        assert_eq!(exported == read("weights.safetensors"), expected, "export {flags}");
        let told = output(elbo(&dir, &format!("evaluate out {flags} --json --device cpu")));
        let step = if expected { best.trained.step } else { newest.trained.step };
        assert_eq!(end(text(&told.stdout))["step"], step, "evaluate {flags}");
        assert_eq!(text(&told.stderr).contains("early stopping"), flags.is_empty(), "{told:?}");
    }
    // Its loss was told in training, to the digit.
    let told = end(&succeed(elbo(&dir, "evaluate out --json --quiet --device cpu")));
    let apart = told["loss"].as_f64().expect("a loss") - loss;
    assert!(apart.abs() < 1e-5, "{apart} between training and evaluation");
    let fault = refusal_fault(
        "--best of a file",
        &output(elbo(&dir, "evaluate out/best.safetensors --best --device cpu")),
        2,
        "`--best` takes the folder of a run",
    );
    assert_eq!(fault, None, "a file");
    // More patience goes on from the newest, not from the best.
    let said = succeed(elbo(&dir, "train --resume out --patience 4 --json --quiet --device cpu"));
    let first = &events(&said)[1].1;
    assert_eq!(first["epoch"], newest.course.epochs + 1, "{first}");
}

#[test]
fn a_finished_run_is_left_as_it_is() {
    let dir = place();
    succeed(train(&dir, "--epochs 2 --quiet"));
    let whole = tree(dir.path());
    let said = succeed(elbo(&dir, "train --resume out --device cpu --json"));
    let end = &events(&said).pop().expect("an end").1;
    assert_eq!((&end["status"], &end["step"]), (&"finished".into(), &8.into()), "{said}");
    let told = output(elbo(&dir, "train --resume out --device cpu "));
    assert!(text(&told.stdout).contains("`out` is finished: all 2 epochs are done"), "{told:?}");
    assert!(text(&told.stderr).contains("`elbo train --resume out --epochs 4`"), "{told:?}");
    assert!(tree(dir.path()) == whole, "a finished run is left as it is");
    for (flags, says) in
        [("--epochs 1", "`--epochs` is 1"), ("--max-steps 7", "`--max-steps` is 7")]
    {
        let told = output(elbo(&dir, &format!("train --resume out --device cpu {flags}")));
        assert_eq!(refusal_fault(flags, &told, 2, says), None, "less than is done");
    }
    assert!(tree(dir.path()) == whole, "and by what is refused");
}

#[test]
fn validation_images_are_looked_at_in_place_of_the_test_images() {
    let dir = place();
    let flags = format!("{RISES} --validation-fraction 0.25 --json --quiet");
    let lines = events(&succeed(train(&dir, &flags)));
    let (_, first) = &lines[1];
    assert!(first["validation_loss"].is_number() && first["test_loss"].is_null(), "{first}");
    let said = &lines.last().expect("an end").1;
    let (held, test) = (&said["validation_loss"], &said["test_loss"]);
    assert!(held.is_number() && test.is_number() && held != test, "{said}");
    let state = State::read(&dir.path().join("out/checkpoint.safetensors")).expect("a state");
    let held_out = state.data.as_ref().map(|[_, held_out]| held_out);
    assert!(state.test.is_some() && state.test.as_ref() != held_out, "two fingerprints");
    // Each set is found again, and is the run's own.
    for (split, images, loss) in
        [("test", 16, Some(test)), ("validation", 16, Some(held)), ("train", 48, None)]
    {
        let told = output(elbo(&dir, &format!("evaluate out --split {split} --json --device cpu")));
        let line = end(text(&told.stdout));
        assert_eq!(line["images"], images, "{split}: {line}");
        assert!(!text(&told.stderr).contains("these are not"), "{split}: {told:?}");
        if let Some(loss) = loss.and_then(Value::as_f64) {
            let apart = line["loss"].as_f64().expect("a loss") - loss;
            assert!(apart.abs() < 1e-5, "{split}: {apart} from what training told");
        }
    }
    let card = fs::read_to_string(dir.path().join("out/model-card.md")).expect("a card");
    for row in ["| training | `", "| validation | `", "| test | `", "16 validation images"] {
        assert!(card.contains(row), "`{row}` is in the card:\n{card}");
    }
    let info = &events(&succeed(elbo(&dir, "info out --json")))[0].1;
    let [learned, held] = state.data.as_ref().expect("fingerprints");
    assert_eq!(
        info["fingerprints"],
        serde_json::json!({"training": learned, "validation": held, "test": state.test}),
        "{info}"
    );
    succeed(elbo(&dir, "train --resume out --patience 3 --device cpu"));
    // A run without has none.
    succeed(train(&dir, "--out plain --quiet"));
    let told = output(elbo(&dir, "evaluate plain --split validation --device cpu"));
    assert_eq!(refusal_fault("none", &told, 2, "no validation images"), None);
    let refused = output(train(&dir, "--out odd --validation-fraction 1 --quiet"));
    assert_eq!(refusal_fault("all", &refused, 2, "`validation-fraction` is 1"), None);
}

#[test]
fn a_run_works_from_any_folder() {
    let dir = place();
    succeed(train(&dir, "--quiet"));
    let elsewhere = tempfile::tempdir().expect("a folder");
    let run = dir.path().join("out").display().to_string();
    for verb in ["evaluate", "train --epochs 2 --resume", "reconstruct --out x.png"] {
        let told = output(elbo(&elsewhere, &format!("{verb} {run} --device cpu")));
        assert_eq!(told.status.code(), Some(0), "{verb}: {told:?}");
    }
    // What was found by default is looked for again, where a verb runs.
    let mut found =
        elbo(&dir, "train --hidden 8 --latent 2 --batch-size 16 --epochs 1 --out found");
    fs::create_dir_all(dir.path().join("assets")).expect("a folder");
    fs::rename(dir.path().join("data"), dir.path().join("assets/mnist")).expect("the data");
    found.args(["--device", "cpu", "--quiet"]);
    succeed(found);
    let config = fs::read_to_string(dir.path().join("found/config.toml")).expect("a file");
    assert!(!config.contains("\ndata = "), "{config}");
    fs::rename(dir.path().join("assets"), elsewhere.path().join("assets")).expect("the data");
    let run = dir.path().join("found").display().to_string();
    let told = output(elbo(&elsewhere, &format!("evaluate {run} --device cpu")));
    assert_eq!(told.status.code(), Some(0), "{told:?}");
    assert!(!text(&told.stderr).contains("these are not"), "{told:?}");
}

#[test]
fn a_run_says_why_it_ended_and_what_to_type() {
    let dir = place();
    for (flags, why, next) in [
        ("--out all --epochs 2", "done: 2 epochs, 8 steps, in ", "--resume all --epochs 4"),
        ("--out steps --max-steps 3", "done: as far as --max-steps, 3 s", "--max-steps 6"),
        ("--out time --epochs 99 --max-time 1ms", "stopped: the time is up", "--resume time"),
        ("--out early --epochs 60 --lr 0.05 --patience 1", "stopped early: no l", "evaluate early"),
    ] {
        let told = succeed(train(&dir, &format!("{flags} --quiet")));
        assert!(told.contains(why), "{flags}: `{why}` is in {told}");
        let last = told.lines().last().unwrap_or_default();
        assert!(last.starts_with("next: elbo ") && last.contains(next), "{flags}: {told}");
        let report = told.lines().find_map(|line| line.strip_prefix("report: ")).expect("a report");
        assert!(dir.path().join(report).is_file(), "{told}");
        // What it says to type can be typed.
        let typed = last.trim_start_matches("next: elbo ").replace("--samples", "--samples 3");
        succeed(elbo(&dir, &format!("{typed} --device cpu --quiet")));
    }
}

#[test]
fn a_fast_dev_run_tries_everything_and_keeps_nothing() {
    let dir = place();
    let before = tree(dir.path());
    let mut command = elbo(&dir, "train --data data --hidden 8 --latent 2 --batch-size 8");
    command.args(["--device", "cpu", "--fast-dev-run", "--patience", "1"]);
    let said = succeed(command);
    assert!(said.contains("4 steps") && said.contains("nothing was kept"), "{said}");
    assert!(tree(dir.path()) == before, "nothing is left");
}
