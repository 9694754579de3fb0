//! A run whose networks have convolutions, by the verbs that read its layers.

use std::fs;

use tempfile::TempDir;

use crate::program::{elbo, events, output, place, refusal_fault, succeed, text, train, weights};
use crate::resume::{hashes, resume};

const CONFIG: &str = "[model]
encoder = ['conv 4 3x3 stride 2', 'relu', 9]
latent = 2
decoder = ['linear 4', 'map 2x2x1', 'transposed 5 4x4 stride 2', 'conv 3 3x3 upsample 2', 'relu']
[train]
batch-size = 12
epochs = 2
";

/// A folder with small data and the configuration.
fn place_with_config() -> TempDir {
    let dir = place();
    fs::write(dir.path().join("conv.toml"), CONFIG).expect("a configuration");
    dir
}

#[test]
fn a_run_with_convolutions_is_of_use_to_every_verb() {
    let dir = place_with_config();
    succeed(train(&dir, "--config conv.toml --quiet --out whole"));
    succeed(train(&dir, "--config conv.toml --quiet --max-steps 7"));
    succeed(resume(&dir, "--max-steps 0"));
    let [whole, resumed] = ["whole", "out"].map(|run| hashes(&dir.path().join(run)));
    assert_eq!(resumed, whole, "the bytes of a run that stopped");
    let shapes = weights(&dir.path().join("out/weights.safetensors"));
    assert_eq!(shapes["encoder.0.weight"], [4, 1, 3, 3], "as PyTorch has it");
    assert_eq!(shapes["encoder.2.weight"], [9, 64], "4 × 4 places of 4 channels");
    assert_eq!(shapes["decoder.2.weight"], [1, 5, 4, 4], "as PyTorch has one that is transposed");
    assert_eq!(shapes["decoder.2.bias"], [5], "of its outputs");
    assert_eq!(shapes["decoder.5.weight"], [1, 3, 3, 3], "the last layer");
    let card = fs::read_to_string(dir.path().join("out/model-card.md")).expect("a card");
    assert!(card.contains("64-64-9-2"), "the widths of the encoder: {card}");
    for verb in [
        "evaluate out --device cpu",
        "sample out --device cpu --out sample.png",
        "reconstruct out --device cpu --out again.png",
        "encode out --device cpu --out codes.npy",
        "info out",
        "export out --part encoder --out encoder.onnx",
        "export out --part decoder --out decoder.onnx",
        "export out --out vae.safetensors",
    ] {
        succeed(elbo(&dir, verb));
    }
    let import = "import vae.safetensors --config conv.toml";
    succeed(elbo(&dir, &format!("{import} --out imported --set data.image-size=[8,8]")));
    succeed(elbo(&dir, "export imported --out back.safetensors"));
    let read = |name: &str| fs::read(dir.path().join(name)).expect("a file");
    assert!(read("back.safetensors") == read("vae.safetensors"), "what was imported");
    let fault = refusal_fault(import, &output(elbo(&dir, import)), 2, "`conv 4 3x3 stride 2`");
    assert_eq!(fault, None, "a convolution does not say how large images are");
}

#[test]
fn a_plan_shows_layers_with_their_shapes() {
    let dir = place_with_config();
    let said = succeed(elbo(&dir, "info --config conv.toml --image-pixels 64"));
    for line in [
        "name                 layer                         makes parameters   MiB  MFLOP",
        "encoder.0            conv 4 3x3 stride 2           4×4×4        40   0.0 0.0012",
        "decoder.1            map 2x2x1                     2×2×1         0   0.0      0",
        "decoder.2            transposed 5 4x4 stride 2     4×4×5        85   0.0 0.0006",
        "decoder.3            conv 3 3x3 upsample 2         8×8×3       138   0.0 0.0173",
        "decoder.5            conv 1 3x3                    8×8×1        28   0.0 0.0035",
    ] {
        assert!(said.contains(line), "`{line}` is in {said}");
    }
    let output = output(elbo(&dir, "info --config conv.toml --image-pixels 64 --json"));
    let events = events(text(&output.stdout));
    let (_, layer) = events.iter().find(|(event, _)| event == "layer").expect("a layer");
    assert_eq!(layer["layer"], "conv 4 3x3 stride 2", "{layer}");
    assert_eq!(layer["output"], serde_json::json!([4, 4, 4]), "{layer}");
}
