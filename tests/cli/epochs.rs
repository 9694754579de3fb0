//! The numbers of epochs in what a run leaves.

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
