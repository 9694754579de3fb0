//! Images from other files than IDX, and what a run remembers of them.

use std::fs;

use crate::program::{elbo, output, place, refusal_fault, succeed, text, train};

/// `count` lines of 64 pixels.
fn lines(count: usize, factor: usize) -> String {
    let line = |i: usize| (0..64).map(move |j| ((i * 64 + j) * factor % 256).to_string());
    (0..count).map(|i| line(i).collect::<Vec<_>>().join(",") + "\n").collect()
}

#[test]
fn a_run_remembers_its_test_images() {
    let dir = place();
    for (name, content) in [("x.csv", lines(40, 7)), ("y.csv", lines(10, 11))] {
        fs::write(dir.path().join(name), content).expect("the temporary folder takes a file");
    }
    succeed(train(&dir, "--data x.csv --test-data y.csv"));
    let config = fs::read_to_string(dir.path().join("out/config.toml")).expect("a configuration");
    assert!(config.contains("data = \"x.csv\"\ntest-data = \"y.csv\"\n"), "{config}");
    // The state knows its images by their hash, so this is the same division.
    succeed(elbo(&dir, "train --resume out --epochs 2 --device cpu"));
    // Data that is named anew is divided by itself.
    let flags = "train --resume out --data x.csv --device cpu --quiet";
    let says = "the training images are not the checkpoint's";
    let fault = refusal_fault(flags, &output(elbo(&dir, flags)), 1, says);
    assert_eq!(fault, None, "divided otherwise");
    // Every tenth image of 40.
    let done = output(train(&dir, "--data x.csv --out divided"));
    let said = text(&done.stderr);
    assert!(said.contains("36 images of `x.csv` to train on, 4 to test"), "{said}");
}
