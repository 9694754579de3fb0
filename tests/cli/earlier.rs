//! Runs that an earlier version left go on from it, to the same bits.

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde_json::Value;
use tempfile::TempDir;

use crate::program::{elbo, succeed};

/// Runs, data, and what the version that wrote them (`make.py`) made of them afterwards.
fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runs")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a folder can be made");
    for entry in std::fs::read_dir(from).expect("the folder is checked in") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("it has a name");
        std::fs::copy(&path, to.join(name)).expect("a file can be copied");
    }
}

/// The largest distance of two files' tensors, as a share of the largest element of each, and whether all
/// bits are equal.
fn apart(found: &Path, expected: &Path) -> (f64, bool) {
    let [found, expected] = [found, expected].map(|path| std::fs::read(path).expect("a state"));
    let read = |bytes| SafeTensors::deserialize(bytes).expect("a state is safetensors");
    let (found, expected) = (read(&found), read(&expected));
    assert_eq!(found.names().len(), expected.names().len(), "tensors of a state");
    let (mut worst, mut equal) = (0.0_f64, true);
    for (name, expected) in expected.iter() {
        let found = found.tensor(name).expect("every tensor is there");
        equal &= found.data() == expected.data();
        let floats = |data: &[u8]| -> Vec<f32> {
            data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
        };
        let (found, expected) = (floats(found.data()), floats(expected.data()));
        let largest = expected.iter().fold(f32::MIN_POSITIVE, |most, v| most.max(v.abs()));
        let distances = found.iter().zip(&expected).map(|(a, b)| f64::from((a - b).abs()));
        worst = worst.max(distances.fold(0.0, f64::max) / f64::from(largest));
    }
    (worst, equal)
}

/// Whether sums are made as where the runs were written: in the vectors of AVX-512, and in blocks that fit the
/// caches of AMD's processors. On Intel's the last digits are others.
fn is_like_the_writer() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        std::arch::is_x86_feature_detected!("avx512f") && information.contains("AuthenticAMD")
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

#[test]
fn runs_of_an_earlier_version_go_on() {
    let dir = TempDir::new().expect("a folder for the test");
    copy(&kept().join("images"), &dir.path().join("images"));
    let floats = kept().join("floats.npz");
    std::fs::copy(floats, dir.path().join("floats.npz")).expect("a file can be copied");
    let text = std::fs::read_to_string(kept().join("expected.json")).expect("it is checked in");
    let expected: Value = serde_json::from_str(&text).expect("it is JSON");
    let expected = expected.as_object().expect("an object of runs");
    assert_eq!(expected.len(), 7, "runs of every kind");
    for (name, expected) in expected {
        copy(&kept().join(name), &dir.path().join(name));
        succeed(elbo(&dir, &format!("train --quiet --resume {name} --device cpu --max-steps 20")));
        let run = dir.path().join(name);
        let after = kept().join(format!("{name}.after.safetensors"));
        let (worst, equal) = apart(&run.join("checkpoint.safetensors"), &after);
        if is_like_the_writer() {
            assert!(equal, "{name}: weights and moments differ by {worst:e}");
        }
        assert!(equal || worst < 1e-5, "{name}: weights and moments differ by {worst:e}");
        let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).expect("a run has them");
        let found: Vec<Value> =
            metrics.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let found: Vec<_> = found.iter().filter(|line| line["event"] != "step").collect();
        let epochs = expected["epochs"].as_array().expect("a list of epochs");
        assert_eq!(found.len(), epochs.len(), "{name}: epochs");
        for (found, expected) in found.into_iter().zip(epochs) {
            for (key, expected) in expected.as_object().expect("an epoch") {
                let Some(expected) = expected.as_f64() else { continue };
                let value = found[key].as_f64().expect("the same keys");
                let near = (value - expected).abs() <= 1e-6 * expected.abs().max(1.0);
                assert!(near, "{name}: {key} is {value}, it was {expected}");
            }
        }
    }
}
