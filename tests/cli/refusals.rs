//! What the program refuses, with which exit code and words, and that it leaves nothing behind.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::Value;

#[cfg(target_os = "linux")]
use crate::program::Small;
#[cfg(unix)]
use crate::program::below;
use crate::program::{
    assert_refused, elbo, images, output, place, refusal_fault, succeed, text, train, tree,
};

#[test]
fn misuse_is_refused() {
    let dir = place();
    fs::write(dir.path().join("key.toml"), "[train]\nepoch = 3\n").expect("a file");
    fs::write(dir.path().join("no.toml"), "not [[ TOML").expect("a file");
    fs::write(dir.path().join("latent.toml"), "[model]\nlatent = -2\n").expect("a file");
    assert_refused(
        &dir,
        &[
            ("--data missing", 74, "`missing`"),
            ("--data key.toml", 1, "`key.toml`: starts with"),
            ("--batch-size 0", 2, "`batch-size` is 0"),
            ("--batch-size 65", 2, "`batch-size` is 65"),
            ("--limit 15", 2, "15 images"),
            ("--lr nan", 2, "`lr` is NaN"),
            ("--lr -1", 2, "`lr` is -1"),
            ("--lr inf", 2, "`lr` is inf"),
            ("--latent 0", 2, "`latent` is 0"),
            ("--hidden 0", 2, "`encoder` is 0"),
            ("--hidden 8,x", 2, "`8,x`"),
            ("--momentum 0.9", 2, "`momentum`"),
            ("--epochs 9223372036854775808", 2, "`epochs`"),
            ("--epochs 0", 2, "`epochs` is 0"),
            ("--steps-per-submit 0", 2, "steps-per-submit"),
            ("--device nonsense", 1, "`nonsense`"),
            ("--preset nonsense", 2, "'nonsense'"),
            ("--config missing.toml", 74, "`missing.toml`"),
            ("--config key.toml", 2, "key.toml"),
            ("--config no.toml", 2, "no.toml"),
            ("--config latent.toml", 2, "latent.toml"),
            ("--nonsense", 2, "--nonsense"),
            ("--out key.toml", 74, "`key.toml`"),
            ("--out key.toml/below", 74, "`key.toml/below`"),
        ],
    );
}

#[test]
fn wrong_files_are_refused() {
    let good = images(64);
    let with = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(&good).expect("memory takes what is written");
    let mut packed = packed.finish().expect("memory takes what is written");
    packed.truncate(packed.len() - 9);
    let labels: Vec<_> = [0x0801_u32, 64].into_iter().flat_map(u32::to_be_bytes).collect();
    let labels = [labels, vec![7; 64]].concat();
    for (case, content, says) in [
        ("wrong magic", with(2, &[0x0d]), "12288 are missing"),
        ("truncated", good[..good.len() - 1].to_vec(), "found 4095"),
        ("header cut", good[..9].to_vec(), "holds 9 bytes"),
        ("2^31 images", with(4, &[0x80, 0, 0, 0]), "2147483648 images"),
        ("labels", labels, "holds labels"),
        ("gz cut off", packed, "gzip data end too early"),
        ("other size", with(4, &[0, 0, 0, 32, 0, 0, 0, 16]), "8 × 8, expected 16 × 8"),
    ] {
        let dir = place();
        let path = dir.path().join("data/train-images-idx3-ubyte");
        fs::write(path, content).expect("the temporary folder takes a file");
        println!("{case}");
        // The file is named, and what is wrong with it.
        let name = if case == "other size" { "`data`" } else { "-images-idx3-ubyte`" };
        assert_refused(&dir, &[("", 1, name), ("", 1, says)]);
    }
}

#[test]
fn a_folder_that_holds_a_run_is_kept() {
    let dir = place();
    succeed(train(&dir, ""));
    assert_refused(&dir, &[("--seed 2", 2, "`out` holds a run")]);
    // Whatever is left of a run is somebody's.
    fs::remove_file(dir.path().join("out/config.toml")).expect("a file to remove");
    assert_refused(&dir, &[("", 2, "`out` holds a run")]);
}

#[test]
fn broken_numbers_are_told_apart() {
    for device in ["cpu", "gpu"] {
        let dir = place();
        let flags = format!("--device {device} --lr 1e6 --epochs 50 --quiet");
        let fault = refusal_fault(&flags, &output(train(&dir, &flags)), 3, "at step 2: `");
        assert_eq!(fault, None, "a tensor of the model is named, and so is the step");
        let weights = dir.path().join("out/weights.safetensors");
        assert!(!weights.exists(), "broken weights are not saved as if they were good");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    assert_refused(
        &place(),
        &[
            // 64,000 · 640 floats are 164 MB; WebGPU promises bindings of 128 MiB.
            ("--device gpu --hidden 64000,640 --latent 1", 1, "`parameters` takes 163842560 bytes"),
            // Sums of so many terms are loops that llvmpipe leaves.
            ("--hidden 900000 --latent 1", 2, "`matmul.forward`"),
            // Ten times 46,000 · 46,000 weights with gradients and moments are 339 GB.
            ("--hidden 46000,46000,46000,46000,46000,46000", 1, "memory are free"),
            // More elements than 32 bits count.
            ("--hidden 1000000,1000000", 2, ""),
        ],
    );
}

/// Where memory for a few hundred threads is left, so that the machine is not drowned in them.
#[test]
#[cfg(target_os = "linux")]
fn a_million_threads_are_refused() {
    let dir = place();
    let output = output(below("ulimit -v 1000000", &train(&dir, "--threads 1000000 --quiet")));
    assert_eq!(refusal_fault("threads", &output, 2, "threads"), None, "a million threads");
}

/// Each file that is there is whole, and none is the half of another.
fn assert_whole(out: &Path) {
    for (path, content) in tree(out) {
        let name = path.file_name().expect("a file's name").to_string_lossy();
        assert!(!name.starts_with(".elbo-"), "{} is left", path.display());
        if name.ends_with(".jsonl") {
            let lines = text(&content).lines().map(serde_json::from_str::<Value>);
            assert!(lines.into_iter().all(|line| line.is_ok()), "{} is whole", path.display());
        }
    }
    assert!(!out.join("weights.safetensors").exists(), "weights that were not written");
}

/// A file may not grow over 16 KiB: a disk that is full for who is not root.
#[test]
#[cfg(unix)]
fn a_file_that_cannot_grow_is_told() {
    let dir = place();
    let command = train(&dir, "--hidden 64 --quiet");
    let output = output(below("trap '' XFSZ; ulimit -f 32", &command));
    let (code, stderr) = (output.status.code(), text(&output.stderr));
    assert_eq!(code, Some(74), "{output:?}");
    assert!(stderr.contains(".safetensors`") && stderr.contains("\nhint: "), "`{stderr}`");
    assert_whole(&dir.path().join("out"));
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_or_read_only_filesystem_is_told() {
    let dir = place();
    assert_refused(&dir, &[("--out /dev/full/x", 74, "`/dev/full/x`")]);
    let Some(small) = Small::mount(dir.path().join("small"), "64k") else { return };
    // Room for all but a state, whose weights take 305 KB.
    let output = output(train(&dir, "--out small/late --hidden 400 --quiet"));
    assert_eq!(output.status.code(), Some(74), "{output:?}");
    let stderr = text(&output.stderr);
    assert!(stderr.contains("`small/late/checkpoint.safetensors`: No space"), "`{stderr}`");
    assert!(stderr.contains("\nhint: "), "`{stderr}` hints");
    assert_whole(&small.0.join("late"));
    // Room for nothing.
    fs::remove_dir_all(small.0.join("late")).expect("a folder to remove");
    let filled = fs::write(small.0.join("filler"), vec![1; 1 << 17]);
    assert!(filled.is_err(), "128 KiB do not fit in 64");
    assert_refused(&dir, &[("--out small/early", 74, "`small/early")]);
    small.call("mount", &["-o", "remount,ro"]);
    let cases = [("--out small/early", 74, "`small/early`"), ("--out small", 74, "`small/")];
    assert_refused(&dir, &cases);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_stdout_is_told() {
    let dir = place();
    for verb in ["devices", "info", "info --json", "config", "man", "completions bash"] {
        let full = fs::File::options().write(true).open("/dev/full").expect("the full device");
        let output = elbo(&dir, verb).stdout(full).output().expect("the program starts");
        let fault = refusal_fault(verb, &output, 74, "stdout");
        assert_eq!(fault, None, "a full disk under stdout");
    }
}
