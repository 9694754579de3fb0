//! The numbers of epochs, and of steps, in what a run leaves.

use std::fs;

use elbo::checkpoint::State;

use crate::program::{events, place, succeed, train};

/// Steps may end before the epoch that would be reported next.
#[test]
fn an_epoch_that_training_ends_with_has_its_own_number() {
    for (steps, reported) in [
        (6, vec![(1, 6)]),
        (24, vec![(3, 18), (4, 24)]),
        // In the middle of the fourth epoch, and of the first.
        (20, vec![(3, 18), (4, 20)]),
        (2, vec![(1, 2)]),
    ] {
        // 64 images by 12 are 6 steps an epoch.
        let dir = place();
        let flags = format!("--batch-size 12 --epochs 9 --evaluate-every 3 --max-steps {steps}");
        let said = succeed(train(&dir, &format!("{flags} --json")));
        let run = dir.path().join("out");
        let log = fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
        for lines in [&said, &log] {
            let lines = events(lines).into_iter().filter(|(event, _)| event == "epoch");
            let number =
                |line: &serde_json::Value, key: &str| line[key].as_u64().expect("a number");
            let found: Vec<_> =
                lines.map(|(_, line)| (number(&line, "epoch"), number(&line, "step"))).collect();
            assert_eq!(found, reported, "epochs and steps of a run of {steps} steps");
        }
        // The best of the whole epochs.
        let loss = |line: &serde_json::Value| line["test_loss"].as_f64().expect("a loss");
        let whole = events(&log).into_iter().map(|(_, line)| line);
        let whole = whole.filter(|line| line["step"].as_u64().is_some_and(|step| step % 6 == 0));
        let best = whole.min_by(|a, b| loss(a).total_cmp(&loss(b)));
        let best = best.map(|line| line["epoch"].as_u64().expect("a number"));
        let path = run.join("best.safetensors");
        let found = path.exists().then(|| State::read(&path).expect("a state").course.best);
        let found = found.flatten().map(|best| best.epoch);
        assert_eq!(found, best, "the best epoch of a run of {steps} steps");
        let picture = |epoch| run.join(format!("images/reconstruction_{epoch}.png")).exists();
        let drawn: Vec<u64> = (1..10).filter(|&epoch| picture(epoch)).collect();
        let expected: Vec<_> = reported.iter().map(|&(epoch, _)| epoch).collect();
        assert_eq!(drawn, expected, "epochs with pictures of a run of {steps} steps");
    }
}

/// Times and speeds are of one run alone, and stand where nothing has to be equal.
#[test]
fn each_nth_step_is_logged_and_its_time_apart() {
    let dir = place();
    let flags = "--batch-size 12 --epochs 3 --lr 0.01";
    let said = succeed(train(&dir, &format!("{flags} --log-every 4 --json")));
    let read = |name| fs::read_to_string(dir.path().join("out").join(name)).expect("a log");
    let (metrics, timings) = (read("metrics.jsonl"), read("timings.jsonl"));
    let steps = |text: &str| -> Vec<_> {
        let lines = events(text).into_iter().filter(|(event, _)| event == "step");
        lines.map(|(_, line)| line).collect()
    };
    let logged = steps(&metrics);
    let numbers: Vec<_> = logged.iter().map(|line| line["step"].as_u64()).collect();
    // 64 images by 12 are 6 steps an epoch.
    assert_eq!(numbers, [4, 8, 12, 16].map(Some), "{metrics}");
    let epochs: Vec<_> = logged.iter().map(|line| line["epoch"].as_u64()).collect();
    assert_eq!(epochs, [1, 2, 2, 3].map(Some), "{metrics}");
    assert_eq!(steps(&said), logged, "what is told, and what is kept");
    for line in &logged {
        let number = |key: &str| line[key].as_f64().unwrap_or_else(|| panic!("{key} of {line}"));
        assert!((number("recon") + number("kl") - number("loss")).abs() < 1e-9, "{line}");
        assert!((number("objective") - number("loss")).abs() < 1e-9, "{line}");
        assert_eq!((number("lr"), number("beta")), (0.01, 1.0), "{line}");
        assert!(number("grad_norm") > 0.0, "{line}");
    }
    // The line of an epoch's speed is no event.
    let of_events = timings.lines().filter(|line| line.contains("\"event\"")).collect::<Vec<_>>();
    let timed = steps(&of_events.join("\n"));
    assert_eq!(timed.last().map(|line| &line["step"]), logged.last().map(|line| &line["step"]));
    let key = |line: &serde_json::Value, key: &str| line[key].is_f64() || line[key].is_string();
    assert!(timed.iter().all(|line| key(line, "seconds") && key(line, "date")), "{timings}");
    for word in ["seconds", "date", "images_per_s", "time"] {
        assert!(!metrics.contains(word), "`{word}` differs between equal runs: {metrics}");
    }
    succeed(train(&dir, &format!("{flags} --log-every 0 --out none --quiet")));
    let none = fs::read_to_string(dir.path().join("none/metrics.jsonl")).expect("a log");
    assert!(steps(&none).is_empty(), "{none}");
}

/// Who goes on from a state finds the lines of all steps before it, and of none after.
#[test]
fn a_state_knows_the_lines_of_its_steps() {
    let dir = place();
    succeed(train(
        &dir,
        "--batch-size 12 --epochs 2 --log-every 1 --save-every 2 --keep 99 --quiet",
    ));
    let run = dir.path().join("out");
    let log = fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
    for step in [2, 4, 8, 10, 12_usize] {
        let state = State::read(&run.join(format!("checkpoint-{step:012}.safetensors")));
        let bytes = state.expect("a state").course.log_bytes;
        let known = &log[..usize::try_from(bytes).expect("a short log")];
        let lines = events(known).into_iter().filter(|(event, _)| event == "step");
        let steps: Vec<_> = lines.filter_map(|(_, line)| line["step"].as_u64()).collect();
        assert_eq!(steps, (1..=step as u64).collect::<Vec<_>>(), "lines of the state of {step}");
    }
}
