//! What kills, full disks and readers at the wrong moment do to a run: nothing is lost or torn.
//! `ELBO_TEST_SCALE` multiplies how often; a release is tested with more than CI has time for.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use elbo::checkpoint::State;
use tempfile::TempDir;

use crate::program::{Running, output, place, text, train, tree};
use crate::resume::{hashes, resume};

/// How many times as often as in CI.
pub(crate) fn scale() -> usize {
    std::env::var("ELBO_TEST_SCALE").map_or(1, |n| n.parse().expect("a whole number"))
}

const RUN: &str = "--batch-size 12 --seed 7";

fn start(mut command: Command) -> Running {
    Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()))
}

/// Kills runs at random times until each comes to its end; a run never killed has the same files.
#[test]
fn kills_lose_nothing() {
    let dir = place();
    let flags = format!("{RUN} --epochs 60 --save-every 5 --quiet");
    let begun = Instant::now();
    assert!(output(train(&dir, &format!("{flags} --out whole"))).status.success());
    // Long enough that a run gets on between two kills wherever a start alone takes long.
    let most = Duration::from_millis(60) + begun.elapsed() / 4;
    let expected = hashes(&dir.path().join("whole"));
    let out = dir.path().join("out");
    let (mut kills, mut resumed, mut random) = (0, 0, 12345_u64);
    while kills < 25 * scale() {
        let _ = fs::remove_dir_all(&out);
        let mut command = train(&dir, &flags);
        loop {
            let mut running = start(command);
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let some = (random >> 33) % most.as_micros() as u64;
            std::thread::sleep(Duration::from_micros(10_000 + some));
            if let Some(status) = running.status() {
                assert_eq!(status.code(), Some(0), "after {kills} kills");
                break;
            }
            running.signal("KILL");
            running.wait();
            kills += 1;
            command = match out.join("checkpoint.safetensors").exists() {
                true => {
                    resumed += 1;
                    resume(&dir, "--save-every 5")
                }
                // It was killed before its first state.
                false => {
                    let _ = fs::remove_dir_all(&out);
                    train(&dir, &flags)
                }
            };
        }
        assert_eq!(hashes(&out), expected, "after {kills} kills");
    }
    assert!(resumed > 0, "no run was killed after it had saved");
    println!("{kills} kills, {resumed} resumed");
}

#[test]
fn of_many_at_once_one_trains() {
    for round in 0..10 * scale() {
        let dir = place();
        let run = |_| start(train(&dir, "--epochs 40 --quiet"));
        let mut all: Vec<_> = (0..2 + round % 7).map(run).collect();
        let mut codes: Vec<_> = all.iter_mut().map(|one| one.wait().code()).collect();
        codes.sort();
        // One is at it; the others find it so, or come when it is done.
        assert_eq!(codes[0], Some(0), "{codes:?}");
        assert!(codes[1..].iter().all(|code| matches!(code, Some(75 | 2))), "{codes:?}");
    }
}

#[test]
fn no_reader_sees_half_a_state() {
    let dir = place();
    let mut running = start(train(&dir, "--epochs 1000000 --save-every 1 --quiet"));
    let path = dir.path().join("out/checkpoint.safetensors");
    running.until("the first state", || path.exists());
    let (mut steps, mut read) = (Vec::new(), 0);
    // A reader may be much faster than the writer; a minute is enough for both.
    let end = Instant::now() + Duration::from_secs(60);
    while read < 1000 * scale() || (steps.len() <= 10 && Instant::now() < end) {
        read += 1;
        let state = State::read(&path).unwrap_or_else(|e| panic!("read {read}: {e}"));
        assert_eq!(state.tensors.len(), 30, "read {read}");
        assert!(steps.last() <= Some(&state.trained.step), "states come in their order");
        if steps.last() != Some(&state.trained.step) {
            steps.push(state.trained.step);
        }
    }
    assert!(steps.len() > 10, "{} states were seen", steps.len());
    assert_eq!(running.status(), None, "it trains on");
}

/// A filesystem that has room for ever less: what was saved stays, the error says what had no room,
/// and with room the run ends as if nothing had been.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_loses_nothing() {
    let dir = place();
    let Some(disk) = crate::program::Small::mount(dir.path().join("disk"), "2m") else { return };
    let flags = format!("{RUN} --hidden 24 --quiet --keep 2");
    assert!(output(train(&dir, &format!("{flags} --epochs 3 --out whole"))).status.success());
    let expected = hashes(&dir.path().join("whole"));
    let (run, filler) = (disk.0.join("run"), disk.0.join("filler"));
    let mut refused = 0;
    for step in 0..20 {
        let begun = output(train(&dir, &format!("{flags} --epochs 1 --out disk/run")));
        assert_eq!(begun.status.code(), Some(0), "{}", text(&begun.stderr));
        let before = State::read(&run.join("checkpoint.safetensors")).expect("a state");
        let room = 30 * 1024 * step;
        fill(&filler, room);
        let on = crate::program::elbo(
            &dir,
            "train --device cpu --quiet --keep 2 --resume disk/run --epochs 3",
        );
        let full = output(on);
        if full.status.code() != Some(0) {
            refused += 1;
            let says = text(&full.stderr);
            assert_eq!(full.status.code(), Some(74), "{says}");
            let told = says.contains("`disk/run") && says.contains("No space left");
            assert!(told && says.contains("\nhint: "), "{says}");
            // The sizes of files are known; a folder's, and a lock's, are the system's.
            let sized = says.contains(" bytes to `") || !says.contains("write");
            assert!(sized, "{says}");
            let after = State::read(&run.join("checkpoint.safetensors")).expect("a state");
            let kept = after.trained.step >= before.trained.step;
            assert!(kept, "{room} bytes of room: step {}", after.trained.step);
            assert_no_leftovers(&run);
            fs::remove_file(&filler).expect("a file");
            let on = "train --device cpu --quiet --keep 2 --resume disk/run --epochs 3";
            let done = output(crate::program::elbo(&dir, on));
            assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
        }
        assert_eq!(hashes(&run), expected, "{room} bytes of room");
        fs::remove_dir_all(&run).expect("a folder");
        let _ = fs::remove_file(&filler);
    }
    assert!((3..20).contains(&refused), "{refused} of 20 sizes were too small");
    println!("{refused} of 20 sizes were too small");
}

/// Fills a filesystem but for so many bytes.
#[cfg(target_os = "linux")]
fn fill(filler: &Path, room: usize) {
    use std::io::Write;
    let mut file = fs::File::create(filler).expect("a file");
    while file.write_all(&[1; 1024]).is_ok() {}
    let most = file.metadata().expect("its size").len();
    file.set_len(most.saturating_sub(room as u64)).expect("a smaller file");
}

#[cfg(target_os = "linux")]
fn assert_no_leftovers(run: &Path) {
    for path in tree(run).keys() {
        let name = path.file_name().expect("a name").to_string_lossy();
        assert!(!name.starts_with(".elbo-") && name != "lock", "{} is left", path.display());
    }
}

/// What a killed process has left is removed by the next.
#[test]
fn leftovers_are_removed() {
    let dir: TempDir = place();
    assert!(output(train(&dir, &format!("{RUN} --epochs 4 --keep 2 --quiet"))).status.success());
    let out = dir.path().join("out");
    let older = out.join("checkpoint-000000000001.safetensors");
    fs::copy(out.join("checkpoint.safetensors"), &older).expect("as if it was not yet pruned");
    for name in [".elbo-half", "images/.elbo-half", "lock"] {
        fs::write(out.join(name), "half").expect("a file");
    }
    assert!(output(resume(&dir, "--epochs 5 --keep 2")).status.success());
    for name in [".elbo-half", "images/.elbo-half", "lock"] {
        assert!(!out.join(name).exists(), "{name} is left");
    }
    assert!(!older.exists(), "the old state is gone now");
}

/// The order of the system calls that make a save last: the bytes to the disk, then the name, then
/// the folder's entry of it.
#[test]
#[cfg(target_os = "linux")]
fn a_save_is_on_the_disk_before_it_has_its_name() {
    let dir = place();
    let run = train(&dir, "--quiet");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-o", "calls", "-e", "trace=fsync,rename,renameat,renameat2,write"]);
    strace.arg(run.get_program()).args(run.get_args()).current_dir(dir.path());
    let Ok(traced) = strace.output() else {
        assert!(std::env::var_os("CI").is_none(), "`./test` installs strace");
        println!("there is no strace here: this proves nothing");
        return;
    };
    let calls = fs::read_to_string(dir.path().join("calls")).unwrap_or_default();
    if !traced.status.success() && calls.lines().count() < 3 {
        println!("nothing may be traced here: this proves nothing");
        return;
    }
    let lines: Vec<_> = calls.lines().filter(|line| line.contains("out")).collect();
    let renames: Vec<_> = (0..lines.len())
        .filter(|&i| lines[i].contains("rename") && lines[i].contains("checkpoint.safetensors"))
        .collect();
    assert!(!renames.is_empty(), "{calls}");
    for i in renames {
        let temporary = lines[i].split(".elbo-").nth(1).expect("a temporary name");
        let temporary = &temporary[..6];
        let before = lines[..i].iter().rev().find(|line| line.contains(temporary));
        let before = before.expect("a call on it");
        assert!(before.contains("fsync("), "`{before}`, and then `{}`", lines[i]);
        let after = lines[i + 1];
        let folder = after.contains("fsync(") && after.contains("/out>");
        assert!(folder, "`{}`, and then `{after}`", lines[i]);
    }
}
