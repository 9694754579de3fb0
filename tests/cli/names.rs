//! Data sets by name, where `--data` and its like take a path.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::program::{elbo, output, place, text};

/// The stderr of a call that found nothing.
#[track_caller]
fn missed(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(74), "{output:?}");
    text(&output.stderr)
}

fn with_data(mut command: Command, share: &Path) -> Output {
    command.env("XDG_DATA_HOME", share);
    output(command)
}

#[test]
fn a_set_that_is_not_here_can_be_downloaded() {
    let dir = place();
    for (flags, hint) in [
        ("train --data fashion-mnist", "`elbo fetch fashion-mnist` downloads it (30.9 MB)"),
        ("train --data Fashion_MNIST", "`elbo fetch fashion-mnist` downloads it (30.9 MB)"),
        ("train --data data --test-data svhn", "`elbo fetch svhn` downloads it (246.3 MB)"),
        ("bench --data kmnist --to-loss 1", "`elbo fetch kmnist` downloads it (21.2 MB)"),
        ("data cifar-10", "`elbo fetch cifar10` downloads it (170.1 MB)"),
    ] {
        let failed = with_data(elbo(&dir, flags), dir.path());
        assert!(missed(&failed).contains(&format!("hint: {hint}")), "{flags}: {failed:?}");
    }
}

/// Of a set of which one file is read, that to test on is found beside it.
#[test]
fn a_set_brings_its_test_images() {
    let dir = place();
    let folder = dir.path().join("elbo/svhn");
    fs::create_dir_all(&folder).expect("a folder");
    let images = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/others/faces.mat");
    for name in ["train_32x32.mat", "test_32x32.mat"] {
        fs::copy(images, folder.join(name)).expect("a copy");
    }
    let shown = with_data(elbo(&dir, "data svhn"), dir.path());
    let said = text(&shown.stdout);
    assert!(said.starts_with("3 images of 28 × 20 to train on, 3 to test on"), "{shown:?}");
    assert!(said.contains("test_32x32.mat"), "{said}");
}

/// MNIST is read where nothing is named, so the way to it is named where it is missing.
#[test]
fn mnist_that_is_missing_can_be_downloaded() {
    let dir = place();
    // The program of the tests lies in the repository, which has MNIST: a copy elsewhere does not.
    let program = dir.path().join("elbo");
    fs::copy(env!("CARGO_BIN_EXE_elbo"), &program).expect("a copy");
    let share = dir.path().join("share");
    let read = || {
        let mut command = Command::new(&program);
        command.arg("data").current_dir(&dir).env_remove("ELBO_DATA");
        with_data(command, &share)
    };
    let way = "hint: `elbo fetch mnist` downloads it";
    assert!(missed(&read()).contains(way), "no folder at all");
    // A download that is to go on is no MNIST yet; images that a user put there are.
    let mnist = share.join("elbo/mnist");
    fs::create_dir_all(&mnist).expect("a folder");
    assert!(missed(&read()).contains(way), "an empty folder");
    fs::write(mnist.join("train-images-idx3-ubyte.gz.part"), "").expect("a file");
    assert!(missed(&read()).contains(way), "a part");
    fs::remove_dir_all(&mnist).expect("a folder");
    fs::rename(dir.path().join("data"), &mnist).expect("a folder");
    assert_eq!(read().status.code(), Some(0), "the user's own images");
}
