//! Every verb's help and output fits a terminal of 80 columns, and what it says breaks between words.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::program::{elbo, events, output, place, succeed, text, train};

/// Lines that are too wide and could be narrower. A single word, such as a path, cannot.
fn too_wide(said: &str, columns: usize) -> Vec<&str> {
    let wide = |line: &&str| line.chars().count() > columns && line.trim().contains(' ');
    said.lines().filter(wide).collect()
}

fn verbs(dir: &TempDir) -> Vec<String> {
    let help = succeed(elbo(dir, "--help"));
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let verbs = lines.take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    verbs.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn help_fits() {
    let dir = place();
    let mut wrong = Vec::new();
    let verbs = verbs(&dir);
    assert!(verbs.len() > 20, "{verbs:?}");
    for verb in verbs.iter().map(String::as_str).chain([""]) {
        for (flag, columns) in [("-h", "80"), ("--help", "80"), ("--help", "200")] {
            // `elbo help` takes no flags.
            let line = if verb == "help" { "help".to_owned() } else { format!("{verb} {flag}") };
            let mut command = elbo(&dir, &line);
            command.env("COLUMNS", columns);
            let help = succeed(command);
            wrong.extend(too_wide(&help, 80).into_iter().map(|wide| format!("{line}: {wide}")));
            // An example that does not fit would go on in a line of its own.
            let examples = help.split_once("Examples:").map_or("", |(_, examples)| examples);
            for example in examples.lines().filter(|line| line.starts_with("  ")) {
                let begins = [
                    "elbo ",
                    "mkdir ",
                    "xdg-open ",
                    "numpy.",
                    "model.",
                    "onnxruntime.",
                    "safetensors.",
                    // The file of a sweep.
                    "[",
                    "preset ",
                    "out ",
                    "epochs ",
                    "objective.",
                    "optimizer.",
                ];
                if !begins.iter().any(|begin| example.trim_start().starts_with(begin)) {
                    wrong.push(format!("{line}: an example goes on: {example}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a verb prints and says in a terminal of so many columns.
fn said(dir: &TempDir, flags: &str, columns: usize) -> [String; 2] {
    let mut command = elbo(dir, flags);
    command.env("COLUMNS", columns.to_string());
    let output = output(command);
    [&output.stdout, &output.stderr].map(|bytes| text(bytes).to_owned())
}

#[test]
fn what_verbs_say_fits() {
    let dir = place();
    for (set, count) in [("train", 64), ("t10k", 16)] {
        let head = [0x0801, count].into_iter().flat_map(u32::to_be_bytes);
        let labels: Vec<_> = head.chain((0..count).map(|image| image as u8 % 3)).collect();
        let path = dir.path().join(format!("data/{set}-labels-idx1-ubyte"));
        fs::write(path, labels).expect("a file");
    }
    succeed(train(&dir, "--quiet"));
    let sweep = "[sweep]\nconfig = 'out/config.toml'\n[grid]\noptimizer.lr = [1e-3, 1e-4]\n";
    fs::write(dir.path().join("sweep.toml"), sweep).expect("a file");
    let mut wrong = Vec::new();
    for flags in [
        "train --data data --device cpu --hidden 8 --latent 2 --batch-size 16 --epochs 2 --out more",
        "train --resume more --device cpu --epochs 3",
        "train --data data --lr -1",
        "train --data data --preset clasic",
        "train --resume missing",
        "train --set model.activation=rleu",
        "data data",
        "evaluate out --device cpu --samples 3",
        "evaluate missing --device cpu",
        "sample out --device cpu",
        "sample out --device cpu --from gmm",
        "sample out --device nonsense",
        "quality out --device cpu --from prior,gmm",
        "reconstruct out --device cpu",
        "reconstruct out --device cpu --first 99",
        "interpolate out --device cpu",
        "traverse out --device cpu",
        "scatter out --device cpu",
        "encode out --device cpu --out codes.csv",
        "decode out codes.csv --device cpu --out images.npy",
        "probe out --device cpu --k 3",
        "anomaly out --device cpu --anomalous 1",
        "export out --out weights.safetensors",
        "import weights.safetensors --out imported",
        "report out",
        "reproduce",
        "reproduce big",
        "devices",
        "fetch",
        "runs",
        "runs --sort loss",
        "info",
        "info out",
        "compare out more",
        "sweep sweep.toml --device cpu",
        "sweep out",
        "train --data data --hidden 8 --latent 2 --batch-size 16 --device cpu --fast-dev-run",
        "train --resume more --device cpu",
        "train --resume more --device cpu --epochs 1",
        "config",
        "bench --device cpu --config out/config.toml --repetitions 1 --seconds 0.01 --kernels",
        "nonsense",
    ] {
        for (columns, part) in [(80, 0), (80, 1), (40, 1)] {
            // What was written stays, so a second call may be refused, which is said too.
            let said = &said(&dir, flags, columns)[part];
            let wide = too_wide(said, columns);
            wrong.extend(wide.iter().map(|wide| format!("{flags}, {columns} columns: {wide}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Programs read the same whatever the width, and so do files.
#[test]
fn what_programs_read_is_not_wrapped() {
    let dir = place();
    let [info, _] = said(&dir, "info --json", 40);
    assert!(events(&info).len() > 10, "an object a line: {info}");
    let [toml, _] = said(&dir, "config", 40);
    assert_eq!(toml, said(&dir, "config", 200)[0], "a file is the same at any width");
    let mut command = elbo(&dir, "man --out");
    command.arg(Path::new("a folder with a long name/and pages")).env("COLUMNS", "40");
    let pages = succeed(command);
    assert!(pages.lines().all(|page| dir.path().join(page).is_file()), "paths are whole: {pages}");
}
