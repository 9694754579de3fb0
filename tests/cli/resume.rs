//! Runs that stop and go on: by a limit, a signal, a kill; and who may write to a folder.

use std::fs;
use std::path::Path;
#[cfg(unix)]
use std::time::Duration;

use elbo::checkpoint::State;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

#[cfg(unix)]
use crate::program::Running;
use crate::program::{
    assert_refused, elbo, events, output, place, refusal_fault, succeed, text, train, tree, weights,
};

/// What must be equal in runs that stopped and runs that did not.
const EQUAL: [&str; 4] =
    ["weights.safetensors", "checkpoint.safetensors", "best.safetensors", "metrics.jsonl"];

/// Hashes of these files. What states say of when their run is to end is left out: it may have been
/// put off since.
pub(crate) fn hashes(run: &Path) -> Vec<String> {
    let hash = |name: &&str| {
        let path = run.join(name);
        let bytes = match *name {
            "checkpoint.safetensors" | "best.safetensors" => {
                let mut state = State::read(&path).expect("a state");
                (state.config.train.epochs, state.config.train.max_steps) = (1, 0);
                state.to_bytes().expect("bytes")
            }
            _ => fs::read(&path).unwrap_or_else(|e| panic!("{name}: {e}")),
        };
        let digits = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect::<String>();
        format!("{name} {digits}")
    };
    EQUAL.iter().map(hash).collect()
}

/// `elbo train --resume out`, with these flags.
pub(crate) fn resume(dir: &TempDir, flags: &str) -> std::process::Command {
    elbo(dir, &format!("train --device cpu --quiet --resume out {flags}"))
}

/// 64 images by 12 are 6 steps an epoch, the last of 4 images.
const RUN: &str = "--batch-size 12 --seed 7 --log-every 5";

#[test]
fn a_run_that_goes_on_equals_one_that_never_stopped() {
    for device in ["cpu", "gpu"] {
        let dir = place();
        let whole = format!("{RUN} --epochs 4 --device {device} --tune off --out whole");
        succeed(train(&dir, &format!("{whole} --quiet")));
        let expected = hashes(&dir.path().join("whole"));
        // The first, in the middle of an epoch, at its edge, near the end, the last.
        for (stop, other) in [
            (1, "--steps-per-submit 1"),
            (7, "--save-every 2"),
            (12, "--keep 3"),
            (23, "--steps-per-submit 5 --save-every 1"),
            (24, ""),
        ] {
            let flags =
                format!("{RUN} --epochs 4 --device {device} --tune off --max-steps {stop} {other}");
            succeed(train(&dir, &format!("{flags} --quiet")));
            let on = format!("train --device {device} --tune off --quiet --resume out");
            succeed(elbo(&dir, &format!("{on} --max-steps 0")));
            // Its configuration says that it was once to stop earlier no more.
            assert_eq!(hashes(&dir.path().join("out")), expected, "{device}: {stop} {other}");
            fs::remove_dir_all(dir.path().join("out")).expect("a folder");
        }
    }
}

#[test]
fn epochs_without_a_report_are_trained_alike() {
    let (dir, flags) = (place(), format!("{RUN} --epochs 5 --evaluate-every 2"));
    succeed(train(&dir, &format!("{flags} --quiet --out whole")));
    let log = fs::read_to_string(dir.path().join("whole/metrics.jsonl")).expect("metrics");
    let lines = events(&log).into_iter().filter(|(event, _)| event == "epoch");
    let epochs: Vec<_> = lines.map(|(_, line)| line["epoch"].as_u64()).collect();
    assert_eq!(epochs, [Some(2), Some(4), Some(5)], "the epochs that are reported");
    // 15 steps end in the middle of the third epoch.
    succeed(train(&dir, &format!("{flags} --quiet --max-steps 15")));
    succeed(resume(&dir, "--max-steps 0"));
    let [whole, resumed] = ["whole", "out"].map(|run| hashes(&dir.path().join(run)));
    assert_eq!(resumed, whole, "the bytes of a run that stopped");
}

#[test]
fn more_epochs_may_follow() {
    let dir = place();
    succeed(train(&dir, &format!("{RUN} --epochs 4 --out whole --quiet")));
    succeed(train(&dir, &format!("{RUN} --epochs 2 --quiet")));
    succeed(resume(&dir, "--epochs 4"));
    assert_eq!(hashes(&dir.path().join("out")), hashes(&dir.path().join("whole")));
}

/// What people read of a run that is over is not undone by who resumes it once more.
#[test]
fn a_run_that_is_over_keeps_its_card() {
    let dir = place();
    succeed(train(&dir, "--epochs 2 --quiet"));
    let card = || fs::read_to_string(dir.path().join("out/model-card.md")).expect("a card");
    let before = card();
    // What a killed process had not written yet is written now.
    fs::remove_file(dir.path().join("out/weights.safetensors")).expect("weights");
    succeed(resume(&dir, ""));
    assert_eq!(card(), before, "the same weights, the same card");
    assert!(dir.path().join("out/weights.safetensors").exists(), "weights");
    // Only what it derived is left, and a new run does not mix with it.
    let derived = dir.path().join("derived");
    fs::create_dir(&derived).expect("a folder");
    for name in ["events.out.tfevents.1.2.3", "checkpoint-000000000004.safetensors", "report.html"]
    {
        fs::write(derived.join(name), "of another run").expect("a file");
        assert_refused(&dir, &[("--out derived", 2, "holds a run already")]);
        fs::remove_file(derived.join(name)).expect("a file");
    }
    // A page that cannot be made does not undo a run.
    fs::write(dir.path().join("out/images/odd.png"), "no picture").expect("a file");
    let told = output(resume(&dir, "--epochs 3"));
    assert_eq!(told.status.code(), Some(0), "{}", text(&told.stderr));
    assert!(text(&told.stderr).contains("no report"), "{}", text(&told.stderr));
}

/// Images that are too large to be drawn are trained on.
#[test]
fn pictures_are_no_reason_to_stop() {
    let dir = place();
    let wide = vec!["0.5"; 90_001].join(",");
    let row = |i: usize| format!("0.{i},{wide}");
    let rows = (10..22).map(row).collect::<Vec<_>>().join("\n");
    fs::write(dir.path().join("wide.csv"), rows).expect("a file");
    let flags = "train --data wide.csv --image-size 90002x1 --device cpu --hidden 2 --latent 2 --batch-size 2 --epochs 2 --out out";
    let told = output(elbo(&dir, flags));
    assert_eq!(told.status.code(), Some(0), "{}", text(&told.stderr));
    assert!(text(&told.stderr).contains("no picture of samples"), "{}", text(&told.stderr));
}

#[test]
fn the_last_checkpoints_are_kept() {
    let dir = place();
    succeed(train(&dir, &format!("{RUN} --epochs 4 --save-every 4 --keep 3 --quiet")));
    let out = dir.path().join("out");
    let mut kept: Vec<_> = fs::read_dir(&out)
        .expect("a run")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("checkpoint-"))
        .collect();
    kept.sort();
    let expected = [18, 20, 24].map(|step| format!("checkpoint-{step:012}.safetensors"));
    assert_eq!(kept, expected);
    let read = |name: &str| fs::read(out.join(name)).expect("a checkpoint");
    assert!(read(&kept[2]) == read("checkpoint.safetensors"), "the newest has both names");
    assert!(!out.join("lock").exists(), "nobody is at it any more");
}

#[test]
fn time_and_patience_end_a_run() {
    let dir = place();
    let said = succeed(train(&dir, "--max-time 0s --json --quiet"));
    let events = events(&said);
    assert_eq!(events.last().expect("an end").1["status"], "time", "{said}");
    succeed(resume(&dir, ""));
    assert_eq!(weights(&dir.path().join("out/weights.safetensors")).len(), 10);
    // A rate at which nothing is learned: what epochs differ in is noise.
    let still = "--out still --epochs 500 --patience 2 --lr 1e-30 --json --quiet";
    let said = succeed(train(&dir, still));
    let events = crate::program::events(&said);
    let losses: Vec<_> = events.iter().filter_map(|(_, e)| e["test_loss"].as_f64()).collect();
    let (&last, epochs) = losses.split_last().expect("losses");
    assert!(last > 0.0, "the end tells the last epoch's loss again");
    let best = epochs.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(epochs.iter().position(|&loss| loss == best), Some(epochs.len() - 3), "{epochs:?}");
    assert_eq!(events.last().expect("an end").1["status"], "patience", "{said}");
    // It is over, and more patience makes it go on.
    let end = 4 * epochs.len();
    let step = |flags: &str| {
        let run = format!("train --device cpu --quiet --json --resume still {flags}");
        let said = succeed(elbo(&dir, &run));
        crate::program::events(&said).last().expect("an end").1["step"].clone()
    };
    assert_eq!(step(""), end);
    assert!(step("--patience 3").as_u64() > Some(end as u64), "it goes on");
}

#[test]
fn what_cannot_go_on_is_refused() {
    let dir = place();
    succeed(train(&dir, "--quiet"));
    fs::create_dir(dir.path().join("empty")).expect("a folder");
    fs::create_dir(dir.path().join("other")).expect("a folder");
    for set in ["train", "t10k"] {
        let from = dir.path().join(format!("data/{set}-images-idx3-ubyte"));
        let mut bytes = fs::read(from).expect("the data");
        *bytes.last_mut().expect("bytes") ^= 1;
        let to = dir.path().join(format!("other/{set}-images-idx3-ubyte"));
        fs::write(to, bytes).expect("a file");
    }
    let cases = [
        ("--resume missing", 74, "missing"),
        ("--resume empty", 74, "checkpoint.safetensors"),
        ("--resume data/train-images-idx3-ubyte", 74, "checkpoint.safetensors"),
        ("--resume out --lr 0.5", 2, "configuration"),
        ("--resume out --preset big", 2, "configuration"),
        ("--resume out --config out/config.toml", 2, "configuration"),
        ("--resume out --seed 9", 2, "configuration"),
        ("--resume out --data other --epochs 2", 1, "SHA-256"),
        ("--resume out --save-every 0", 2, "`save-every` is 0; it must be 1 or more"),
        ("--resume out --max-time soon", 2, "--max-time"),
    ];
    let before = tree(dir.path());
    for (flags, code, says) in cases {
        let output = output(elbo(&dir, &format!("train --device cpu --quiet {flags}")));
        let fault = refusal_fault(flags, &output, code, says);
        assert_eq!(fault, None);
        assert!(tree(dir.path()) == before, "{flags} changed something");
    }
    let checkpoint = dir.path().join("out/checkpoint.safetensors");
    let bytes = fs::read(&checkpoint).expect("a checkpoint");
    fs::write(&checkpoint, &bytes[..bytes.len() - 1]).expect("a file");
    let broken = output(resume(&dir, ""));
    assert_eq!(refusal_fault("cut", &broken, 1, "out/checkpoint.safetensors"), None);
    fs::write(&checkpoint, bytes).expect("a file");
    assert_refused(&dir, &[("--out out", 2, "holds a run already")]);
}

#[test]
fn weights_go_out_and_come_in() {
    let dir = place();
    succeed(train(&dir, "--quiet"));
    succeed(elbo(&dir, "export out --out out.safetensors"));
    let read = |name: &str| fs::read(dir.path().join(name)).expect("a file");
    assert!(read("out.safetensors") == read("out/weights.safetensors"), "the newest weights");
    succeed(elbo(&dir, "export out --best --out best.safetensors"));
    assert_eq!(weights(&dir.path().join("best.safetensors")).len(), 10);
    // The sizes of the layers are the file's.
    succeed(elbo(&dir, "import out.safetensors --out in --batch-size 16 --epochs 1"));
    let said = succeed(elbo(&dir, "export in --out in.safetensors --json"));
    assert_eq!(events(&said)[0].1["path"], "in.safetensors", "{said}");
    assert!(read("in.safetensors") == read("out.safetensors"), "there and back");
    succeed(elbo(&dir, "train --resume in --data data --device cpu --quiet"));
    for (flags, code, says) in [
        ("export out --out out.safetensors", 74, "out.safetensors"),
        ("export missing --out a.safetensors", 74, "missing"),
        ("export data --out a.safetensors", 74, "data"),
        ("import missing", 74, "missing"),
        ("import data/t10k-images-idx3-ubyte", 1, "no safetensors"),
        ("import out.safetensors --hidden 9", 1, "fc1.weight"),
        ("import out.safetensors --hidden 8,8", 1, "encoder.0.weight"),
        ("import out/checkpoint.safetensors", 1, "optimizer.first.fc1.bias"),
        ("import out.safetensors --out in", 2, "holds a run already"),
    ] {
        let output = output(elbo(&dir, flags));
        assert_eq!(refusal_fault(flags, &output, code, says), None);
    }
}

/// A run that would take minutes, with a state every few steps.
#[cfg(unix)]
fn long(dir: &TempDir) -> Running {
    let mut command = train(dir, "--epochs 100000 --save-every 3 --quiet");
    Running::start(command.stdout(std::process::Stdio::null()))
}

#[cfg(unix)]
#[test]
fn a_signal_saves_and_training_goes_on() {
    let dir = place();
    // An epoch of 60,000 steps, which end with a save as well.
    let mnist = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/mnist");
    let flags = format!("train --data {mnist} --batch-size 1 --device cpu --out out --quiet");
    let mut running = Running::start(elbo(&dir, &flags).stdout(std::process::Stdio::null()));
    let checkpoint = dir.path().join("out/checkpoint.safetensors");
    let step = || State::read(&checkpoint).expect("a state").trained.step;
    running.until("the state before the first step", || checkpoint.exists());
    assert_eq!(step(), 0, "nothing else saves");
    std::thread::sleep(Duration::from_millis(300));
    running.signal("USR1");
    running.until("a save", || step() > 0);
    assert!(step() % 60_000 > 0, "saved within an epoch");
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(running.status(), None, "it goes on");
    running.signal("TERM");
    assert_eq!(running.wait().code(), Some(143));
}

#[cfg(unix)]
#[test]
fn one_process_writes_to_a_folder() {
    let dir = place();
    let mut running = long(&dir);
    let checkpoint = dir.path().join("out/checkpoint.safetensors");
    running.until("the first state", || checkpoint.exists());
    for flags in ["train --out out", "train --resume out"] {
        let second = output(elbo(&dir, &format!("{flags} --data data --device cpu --quiet")));
        let holder = format!("process {}", running.id());
        assert_eq!(refusal_fault(flags, &second, 75, &holder), None);
    }
    running.signal("KILL");
    running.wait();
    // The system took the lock back.
    succeed(resume(&dir, "--max-time 1ms"));
}

#[test]
fn broken_numbers_are_left_out_or_rolled_back() {
    let dir = place();
    // A rate at which the weights grow until the numbers break.
    let flags = "--optimizer sgd --lr 0.3 --epochs 1 --json --quiet";
    let stopped = output(train(&dir, flags));
    assert_eq!(stopped.status.code(), Some(3), "{}", text(&stopped.stdout));
    let said = succeed(train(&dir, &format!("{flags} --out back --non-finite roll-back")));
    let end = events(&said).pop().expect("an end").1;
    assert!(said.contains("the held-out loss is not finite"), "a test loss counts too: {said}");
    assert!(end["rolled_back"].as_u64() > Some(0), "{said}");
    assert!(end["test_loss"].as_f64().is_some_and(f64::is_finite), "{said}");
    assert!(said.contains(r#""event":"rolled-back""#), "{said}");
    let said = succeed(train(&dir, &format!("{flags} --out left --non-finite skip --max-steps 3")));
    assert!(!said.contains("rolled-back"), "{said}");
    // Who resumes a run that stopped meets the same numbers.
    let again = output(elbo(&dir, "train --device cpu --quiet --resume out"));
    assert_eq!(refusal_fault("again", &again, 3, "the held-out loss is not finite"), None);
    let says = text(&again.stderr);
    assert!(says.contains("elbo export out") && !says.contains("--resume out` goes on"), "{says}");
}

/// What happens while an epoch is evaluated and reported does not cost its steps.
#[cfg(target_os = "linux")]
#[test]
fn an_epoch_is_saved_before_it_is_evaluated() {
    let dir = place();
    succeed(train(&dir, &format!("{RUN} --epochs 2 --out whole --quiet")));
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("a full device");
    let mut command = train(&dir, &format!("{RUN} --epochs 2 --quiet"));
    let told = command.stdout(full).output().expect("a run");
    assert_eq!(told.status.code(), Some(74), "{}", text(&told.stderr));
    assert!(
        text(&told.stderr).contains("after step 6: `elbo train --resume"),
        "{}",
        text(&told.stderr)
    );
    let state = State::read(&dir.path().join("out/checkpoint.safetensors")).expect("a state");
    assert_eq!((state.trained.step, state.course.epochs), (6, 0), "trained, not evaluated");
    succeed(resume(&dir, ""));
    assert_eq!(hashes(&dir.path().join("out")), hashes(&dir.path().join("whole")));
}

/// What no honest run writes, or a user types, is no reason to panic.
#[test]
fn odd_limits_and_states_are_refused() {
    let dir = place();
    succeed(train(&dir, "--epochs 2 --quiet --max-time 18446744073709551615s"));
    let path = dir.path().join("out/checkpoint.safetensors");
    let good = State::read(&path).expect("a state");
    let mut odd = good.clone();
    odd.course.epochs = 1;
    odd.course.best = None;
    odd.trained.step = 1000;
    fs::write(&path, odd.to_bytes().expect("bytes")).expect("a file");
    let told = output(resume(&dir, ""));
    assert_eq!(refusal_fault("steps of no epoch", &told, 1, "1 epochs and 1000 steps"), None);
    let mut elsewhere = good.clone();
    elsewhere.device = Some("a device of yore".to_owned());
    fs::write(&path, elsewhere.to_bytes().expect("bytes")).expect("a file");
    let told = output(resume(&dir, "--epochs 3"));
    assert!(text(&told.stderr).contains("a device of yore"), "{}", text(&told.stderr));
    fs::write(&path, good.to_bytes().expect("bytes")).expect("a file");
    fs::write(dir.path().join("out/metrics.jsonl"), "").expect("a file");
    let told = output(resume(&dir, "--epochs 3"));
    assert!(text(&told.stderr).contains("lines of it are lost"), "{}", text(&told.stderr));
    if cfg!(unix) {
        for flags in
            ["import /dev/zero", "export /dev/zero --out a.safetensors", "train --config /dev/zero"]
        {
            let told = output(elbo(&dir, flags));
            assert_eq!(refusal_fault(flags, &told, 74, "not a regular file"), None);
        }
    }
}

/// Where training goes back, later states are of a course that was given up.
#[test]
fn states_of_a_course_that_was_given_up_are_not_kept() {
    let dir = place();
    succeed(train(&dir, &format!("{RUN} --epochs 2 --save-every 1 --keep 3 --quiet")));
    let out = dir.path().join("out");
    let numbered = |step: u64| out.join(format!("checkpoint-{step:012}.safetensors"));
    // As a user goes back: an older state takes the place of the newest.
    fs::copy(numbered(10), out.join("checkpoint.safetensors")).expect("a copy");
    let newest = State::read(&numbered(12)).expect("a state");
    assert_eq!(newest.trained.step, 12, "a copy over one state leaves the others");
    succeed(resume(&dir, "--max-steps 11 --keep 3"));
    assert!(numbered(11).exists() && !numbered(12).exists(), "the later state is gone");
}
