//! Images that take more memory than they may.

use std::fs;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::program::{Running, elbo, output, place, succeed, text, train};

/// 80 images of 8×8 take 5,120 bytes: a window of a quarter of what they may take holds one minibatch.
#[test]
fn what_exceeds_its_budget_is_streamed_to_the_same_bits() {
    let dir = place();
    let file = |name: String| fs::read(dir.path().join(name)).expect("a file of a run");
    for device in ["cpu", "llvmpipe"] {
        let mut runs = Vec::new();
        for (out, flags, said) in [
            ("whole", "", None),
            ("asked", "--stream", Some("5120 bytes, are streamed: as asked")),
            ("small", "--memory-budget 1280", Some("they may take 1280 bytes")),
        ] {
            let out = format!("{out}-{device}");
            let flags = format!("--epochs 3 --device {device} --out {out} {flags}");
            let mut command = train(&dir, &flags);
            command.env("XDG_CACHE_HOME", dir.path().join("caches"));
            let done = output(command);
            assert!(done.status.success(), "{}", text(&done.stderr));
            let (says, streamed) = (text(&done.stderr), "are streamed");
            assert_eq!(said.is_some(), says.contains(streamed), "{flags}: {says}");
            assert!(says.contains(said.unwrap_or_default()), "{flags}: {says}");
            let told = succeed(elbo(&dir, &format!("evaluate {out} --device {device} --stream")));
            runs.push((file(format!("{out}/weights.safetensors")), told));
        }
        assert!(runs.windows(2).all(|two| two[0] == two[1]), "{device}: weights and losses");
    }
}

/// A picture of noise of 256 × 256 in grey, uncompressed: a palette and a byte for each pixel.
fn picture(seed: u32) -> Vec<u8> {
    const SIDE: u32 = 256;
    let start = 54 + 1024;
    let words =
        |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    let head =
        words(&[start + SIDE * SIDE, 0, start, 40, SIDE, SIDE, 1 | 8 << 16, 0, 0, 0, 0, 0, 0]);
    let palette: Vec<u32> = (0..256).map(|level| level * 0x01_0101).collect();
    let pixels = (0..SIDE * SIDE).map(|i| ((i ^ seed).wrapping_mul(0x9e37_79b1) >> 24) as u8);
    b"BM".iter().copied().chain(head).chain(words(&palette)).chain(pixels).collect()
}

#[test]
fn pictures_are_kept_by_who_trains_and_not_by_who_looks() {
    let dir = place();
    let caches = dir.path().join("caches");
    fs::create_dir(dir.path().join("pictures")).expect("a folder");
    for i in 0..65 {
        let path = dir.path().join(format!("pictures/{i}.bmp"));
        fs::write(path, picture(i)).expect("a picture");
    }
    let run = |flags: &str| {
        let mut command = elbo(&dir, flags);
        command.env("XDG_CACHE_HOME", &caches);
        let done = output(command);
        assert!(done.status.success(), "{flags}: {}", text(&done.stderr));
        text(&done.stderr).to_owned()
    };
    run("data pictures --resize 8");
    assert!(!caches.exists(), "who looks leaves nothing");
    let trained =
        "train --data pictures --resize 8 --hidden 4 --latent 2 --max-steps 1 --device cpu";
    let said = run(&format!("{trained} --no-cache --out none"));
    assert!(!caches.exists() && !said.contains("kept for the next run"), "{said}");
    let said = run(&format!("{trained} --out first"));
    assert!(kept(&caches).is_some() && said.contains("are kept for the next run"), "{said}");
    let said = run(&format!("{trained} --out again"));
    assert!(said.contains("kept by an earlier run"), "{said}");
    let weights = ["none", "first", "again"]
        .map(|run| fs::read(dir.path().join(run).join("weights.safetensors")).expect("weights"));
    assert!(weights.iter().all(|bytes| *bytes == weights[0]), "the same weights");
}

/// The only file that holds images of a run.
fn kept(caches: &Path) -> Option<PathBuf> {
    let found = fs::read_dir(caches.join("elbo/images")).ok()?;
    let mut found = found.map(|entry| entry.expect("an entry").path());
    found.find(|path| path.to_string_lossy().ends_with(".train.images"))
}

#[cfg(unix)]
#[test]
fn images_that_are_cut_while_a_run_reads_them_lose_no_step() {
    let dir = place();
    let caches = dir.path().join("caches");
    let caching = |mut command: Command| {
        command.env("XDG_CACHE_HOME", &caches);
        command
    };
    let mut endless = caching(train(&dir, "--memory-budget 1280 --epochs 1000000"));
    let told = dir.path().join("said");
    let mut run = Running::start(
        endless.stdout(Stdio::null()).stderr(fs::File::create(&told).expect("a file")),
    );
    let log = dir.path().join("out/metrics.jsonl");
    run.until("an epoch", || fs::read_to_string(&log).is_ok_and(|log| log.contains("epoch\":2")));
    let file = kept(&caches).expect("the images are kept");
    let images = fs::OpenOptions::new().write(true).open(&file).expect("the images");
    images.set_len(fs::metadata(&file).expect("it").len() / 2).expect("it is cut");
    assert!(!run.wait().success(), "the run ends");
    let said = fs::read_to_string(&told).expect("what it said");
    let name = file.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(said.contains(&name) && said.contains("ends before or within image"), "{said}");
    assert!(said.contains("saved last after step") && said.contains("--resume"), "{said}");
    let step = said.split("saved last after step ").nth(1).and_then(|rest| rest.split(':').next());
    let step: u64 = step.and_then(|step| step.parse().ok()).expect("a step");
    let on = format!("train --resume out --max-steps {} --memory-budget 1280", step + 1);
    let on = output(caching(elbo(&dir, &on)));
    let says = text(&on.stderr);
    assert!(on.status.success() && says.contains("made anew"), "{says}");
    assert!(says.contains(&format!("goes on after step {step}")), "{says}");
}
