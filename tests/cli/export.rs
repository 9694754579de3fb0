//! What `elbo export` writes and refuses.

use std::fs;

use crate::program::{elbo, output, place, refusal_fault, succeed, train, tree};

#[test]
fn parts_go_to_onnx_files() {
    let dir = place();
    succeed(train(&dir, "--quiet"));
    let read = |name: &str| fs::read(dir.path().join(name)).expect("a file");
    let mut files = Vec::new();
    for part in ["encoder", "decoder"] {
        let said = succeed(elbo(&dir, &format!("export out --part {part} --out {part}.onnx")));
        assert_eq!(said, format!("{part} after step 4: {part}.onnx\n"), "what was written");
        let again = format!("export out/checkpoint.safetensors --part {part} --out {part}.ONNX");
        succeed(elbo(&dir, &again));
        assert!(read(&format!("{part}.onnx")) == read(&format!("{part}.ONNX")), "the same bytes");
        files.push(read(&format!("{part}.onnx")));
    }
    // Each holds its own layers' numbers and not the other's; the larger ones have 8 × 64.
    let holds = |file: &[u8], name: &str| file.windows(name.len()).any(|w| w == name.as_bytes());
    for (layer, there) in [("fc1.weight", [true, false]), ("fc4.weight", [false, true])] {
        let found = [holds(&files[0], layer), holds(&files[1], layer)];
        assert_eq!(found, there, "`{layer}` in the encoder, and in the decoder");
    }
    succeed(elbo(&dir, "export out --best --part decoder --out best.onnx"));
    assert!(read("best.onnx") == files[1], "the only epoch is the best");
}

#[test]
fn what_cannot_be_exported_is_refused() {
    let dir = place();
    succeed(train(&dir, "--quiet"));
    fs::write(dir.path().join("old.onnx"), "mine").expect("a file");
    let checkpoint = dir.path().join("out/checkpoint.safetensors");
    let bytes = fs::read(&checkpoint).expect("a checkpoint");
    fs::write(dir.path().join("cut.safetensors"), &bytes[..bytes.len() - 4]).expect("a file");
    let before = tree(dir.path());
    let mut faults = Vec::new();
    for (flags, code, says) in [
        ("out", 2, "required arguments"),
        ("out --out a", 2, "`.safetensors`, `.py` or `.onnx`"),
        ("out --out a.pt", 2, "`a.pt`; it must end in `.safetensors`, `.py` or `.onnx`"),
        ("out --out a.onnx.gz --part decoder", 2, "`.safetensors`, `.py` or `.onnx`"),
        ("out --out .onnx --part decoder", 2, "`.safetensors`, `.py` or `.onnx`"),
        ("out --out a.onnx", 2, "`a.onnx` holds one part of the model, and none was chosen"),
        ("out --out a.safetensors --part encoder", 2, "`--part encoder`"),
        (
            "out --out a.py --part decoder",
            2,
            "`--part decoder`, but `a.py` holds the code of both parts",
        ),
        ("out --out a.py.txt", 2, "`a.py.txt`"),
        ("missing --out a.py", 74, "missing"),
        ("cut.safetensors --out a.py", 1, "cut.safetensors"),
        ("out --out a.onnx --part both", 2, "both"),
        ("out/checkpoint.safetensors --best --out a.safetensors", 2, "`--best`"),
        ("out/best.safetensors --best --out a.onnx --part encoder", 2, "`--best`"),
        ("missing --best --out a.safetensors", 74, "missing"),
        ("missing --out a.onnx --part encoder", 74, "missing"),
        ("data --out a.onnx --part encoder", 74, "data"),
        ("data/t10k-images-idx3-ubyte --out a.onnx --part encoder", 1, "no safetensors"),
        ("out/weights.safetensors --out a.onnx --part encoder", 1, "no state of a run"),
        ("cut.safetensors --out a.onnx --part encoder", 1, "cut.safetensors"),
        ("out --out old.onnx --part encoder", 74, "old.onnx"),
        ("out --out nowhere/a.onnx --part encoder", 74, "nowhere/a.onnx"),
    ] {
        let output = output(elbo(&dir, &format!("export {flags}")));
        faults.extend(refusal_fault(flags, &output, code, says));
        if tree(dir.path()) != before {
            faults.push(format!("{flags}: something was written"));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
