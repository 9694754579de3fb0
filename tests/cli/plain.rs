//! What the program does with a plain autoencoder, and what it says of a posterior that collapses.

use std::fs;

use crate::program::{elbo, events, output, place, refusal_fault, succeed, text, train, tree};

const SMALL: &str = "[model]\nencoder = [8]\ndecoder = [8]\nlatent = 2\n[train]\nbatch-size = 16\n";

#[test]
fn what_needs_a_prior_or_a_density_is_refused() {
    let dir = place();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("a file");
    let point = SMALL.replace("latent = 2", "latent = 2\nposterior = 'point'");
    write("plain.toml", &point);
    succeed(train(&dir, "--config plain.toml --epochs 2 --quiet"));
    let said = succeed(elbo(&dir, "evaluate out --device cpu --json"));
    let (_, line) = events(&said).remove(0);
    assert_eq!((&line["kl"], &line["bits_per_dimension"]), (&0.0.into(), &().into()), "{line}");
    assert_eq!((&line["loss"], &line["loss_at_mean"]), (&line["recon"], &line["recon"]), "{line}");
    assert!(!dir.path().join("out/images/sample_1.png").exists(), "there is no prior to draw from");
    let said = succeed(elbo(&dir, "encode out --device cpu --out codes.csv --json"));
    assert_eq!(events(&said)[0].1["parts"], serde_json::json!(["mean", "z"]), "{said}");
    for verb in [
        "decode out codes.csv --out images.npy --device cpu",
        "interpolate out --device cpu --quiet",
        "reconstruct out --device cpu --quiet",
        "export out --part encoder --out encoder.onnx",
        "anomaly out --device cpu --quiet",
        "info --config plain.toml",
        "train --resume out --epochs 3 --device cpu --quiet",
    ] {
        succeed(elbo(&dir, verb));
    }
    let before = tree(dir.path());
    let faults: Vec<_> = [
        ("sample out --device cpu", "no prior"),
        ("traverse out --device cpu", "no prior"),
        ("evaluate out --samples 5 --device cpu", "no likelihood"),
        ("anomaly out --samples 5 --device cpu", "no likelihood"),
        ("encode out --what log-var --out log_var.npy --device cpu", "`--what log-var`"),
    ]
    .into_iter()
    .filter_map(|(verb, says)| refusal_fault(verb, &output(elbo(&dir, verb)), 2, says))
    .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(tree(dir.path()) == before, "what is refused leaves nothing");
    // Codes that were held to a prior can be drawn from it.
    write("wae.toml", &format!("{point}[objective]\nmmd = 100.0\n"));
    succeed(train(&dir, "--config wae.toml --epochs 1 --out wae --quiet"));
    succeed(elbo(&dir, "sample wae --count 4 --device cpu --quiet"));
}

#[test]
fn one_image_has_no_total_correlation() {
    let dir = place();
    let text = SMALL.replace("batch-size = 16", "batch-size = 1");
    let text = format!("{text}[objective]\ntotal-correlation = 4.0\n");
    fs::write(dir.path().join("one.toml"), text).expect("a file");
    let refused = output(train(&dir, "--config one.toml --quiet"));
    let fault = refusal_fault("one image", &refused, 2, "no total correlation");
    assert_eq!(fault, None, "a batch of one");
}

#[test]
fn a_collapse_is_told_once() {
    let dir = place();
    // 64 test images, as many as tell something.
    let images = fs::read(dir.path().join("data/train-images-idx3-ubyte")).expect("images");
    fs::write(dir.path().join("data/t10k-images-idx3-ubyte"), images).expect("a file");
    let told = output(train(&dir, "--epochs 30 --latent 4 --beta 100"));
    let says = text(&told.stderr);
    assert_eq!(says.matches("of 4 dimensions of z are active; the others").count(), 1, "{says}");
    assert!(
        says.contains("hint: this is posterior collapse: try `--set objective.free-bits=0.2`"),
        "{says}"
    );
    let log = fs::read_to_string(dir.path().join("out/metrics.jsonl")).expect("a log");
    let epochs = events(&log).into_iter().filter(|(event, _)| event == "epoch");
    let active: Vec<_> = epochs.map(|(_, line)| line["active_units"].clone()).collect();
    assert_eq!((active.len(), active.last()), (30, Some(&0.into())), "{active:?}");
}
