//! Models that have several features of the family at once, by every verb: each does its work, or refuses
//! with a hint what the model has not.

use std::fs;

use tempfile::TempDir;

use crate::program::{elbo, output, place, refusal_fault, succeed, text, train};
use crate::resume::hashes;
use crate::uses::add_labels;

/// What every run has that its kind does not set.
const SMALL: &str = "model.encoder = [8]
model.decoder = [8]
model.latent = 2
train.batch-size = 12
train.epochs = 2
";

/// The name of a kind of model, and its configuration beyond the small one's.
const KINDS: &[(&str, &str)] = &[
    (
        "iwae",
        "objective.importance = 3\nmodel.layer-norm = true\nmodel.dropout = 0.3\nmodel.classes = 3\n\
         model.likelihood = 'normal'\nmodel.scale = 'shared'\nmodel.output-bias = 'data-mean'",
    ),
    (
        "miwae",
        "objective.samples = 2\nobjective.importance = 2\nobjective.gradient = 'dreg'\n\
         model.likelihood = 'logistic-mixture'\nmodel.components = 3",
    ),
    (
        "denoising",
        "model.posterior = 'point'\nmodel.classes = 3\ntrain.corruption = 'normal'\n\
         train.corruption-level = 0.3\nobjective.mmd = 20.0",
    ),
    (
        "plain",
        "model.posterior = 'point'\nmodel.layer-norm = true\ntrain.corruption = 'mask'\n\
         train.corruption-level = 0.3\ntrain.accumulate = 4\noptimizer.rule = 'rmsprop'\n\
         optimizer.momentum = 0.5\nmodel.likelihood = 'laplace'",
    ),
    (
        "free",
        "objective.samples = 3\nobjective.free-bits = 0.05\nmodel.likelihood = 'continuous-bernoulli'",
    ),
    (
        "capacity",
        "objective.capacity = 3.0\nobjective.capacity-steps = 5\nobjective.beta = 4.0\n\
         model.likelihood = 'categorical'",
    ),
    (
        "coins",
        "objective.importance = 5\nobjective.gradient = 'stl'\ntrain.pixels = 'binarised-once'\n\
         model.likelihood = 'logistic'\nmodel.levels = 2\nmodel.scale = 'shared'",
    ),
    (
        "adamax",
        "optimizer.rule = 'adamax'\noptimizer.average = 0.9\nmodel.layer-norm = true\n\
         model.activation = 'gelu'\nmodel.init = 'glorot'\nmodel.encoder = [8, 6]",
    ),
    (
        "tc",
        "objective.total-correlation = 4.0\nmodel.classes = 3\nmodel.dropout = 0.2\n\
         objective.cycle-steps = 6\ntrain.non-finite = 'roll-back'",
    ),
    (
        "linear",
        "model.encoder = []\nmodel.decoder = []\nmodel.likelihood = 'normal'\nmodel.scale = 'pixel'\n\
         objective.kl = 'sampled'\nobjective.gradient = 'stl'\nobjective.beta = 0.5",
    ),
    (
        "all",
        "objective.importance = 2\nobjective.samples = 2\nmodel.dropout = 0.2\nmodel.layer-norm = true\n\
         model.classes = 3\noptimizer.average = 0.9\noptimizer.schedule = 'cosine'\n\
         optimizer.clip-norm = 9.0\ntrain.accumulate = 3\ntrain.pixels = 'binarised-once'\n\
         train.corruption = 'mask'\ntrain.corruption-level = 0.1\ntrain.non-finite = 'skip'\n\
         train.seed = 18446744073709551615",
    ),
    (
        "mixture",
        "model.prior = 'mixture'\nmodel.prior-components = 5\nobjective.kl = 'sampled'\n\
         objective.warmup-steps = 4\nmodel.likelihood = 'normal'\nmodel.scale = 'shared'",
    ),
    (
        "vamp",
        "model.prior = 'vamp'\nmodel.prior-components = 20\nobjective.importance = 2\n\
         objective.samples = 2\nobjective.gradient = 'dreg'\noptimizer.average = 0.9\n\
         train.accumulate = 3\ntrain.pixels = 'binarised'",
    ),
    (
        "levels",
        "model.above = [{ encoder = [6], latent = 3, decoder = [5] }, { encoder = [4], latent = 2, decoder = [] }]\n\
         objective.importance = 2\nobjective.samples = 2\ntrain.accumulate = 3\noptimizer.average = 0.9\n\
         model.prior = 'mixture'\nmodel.prior-components = 3",
    ),
    (
        "logistic",
        "model.posterior = 'logistic'\nobjective.kl = 'sampled'\nobjective.samples = 2\n\
         objective.gradient = 'stl'\nobjective.warmup-steps = 5\ntrain.accumulate = 3",
    ),
    (
        "schedules",
        "objective.mmd = 9.0\nobjective.warmup-steps = 4\noptimizer.rule = 'adagrad'\n\
         optimizer.normalise = true\n\
         optimizer.schedule = 'plateau'\noptimizer.decay-epochs = 1\noptimizer.warmup-steps = 3\n\
         model.likelihood = 'laplace'\nmodel.scale = 'pixel'\nobjective.reduction = 'mean'\n\
         train.pixels = 'binarised'\nmodel.init = 'normal'\nmodel.init-deviation = 0.1",
    ),
];

/// A verb with its flags, and the words of those kinds' refusals that have not what it needs.
const VERBS: &[(&str, &[(&str, &str)])] = &[
    ("evaluate RUN", &[]),
    ("evaluate RUN --samples 20", &[("denoising", "no likelihood"), ("plain", "no likelihood")]),
    ("sample RUN --count 6 --out sample.png", &[("plain", "no prior")]),
    ("sample RUN --pixels drawn --out drawn.png", &[("plain", "no prior")]),
    ("reconstruct RUN --out reconstruct.png", &[]),
    ("interpolate RUN --out interpolate.png", &[]),
    ("traverse RUN --image 1 --out traverse.png", &[("plain", "no prior")]),
    ("scatter RUN --out scatter.png", &[]),
    ("encode RUN --out codes.csv", &[]),
    ("encode RUN --what mean --out codes.npy", &[]),
    ("anomaly RUN --out scores.csv", &[]),
    ("anomaly RUN --samples 5", &[("denoising", "no likelihood"), ("plain", "no likelihood")]),
    (
        "probe RUN",
        &[
            ("iwae", "is told the classes"),
            ("denoising", "is told the classes"),
            ("tc", "is told the classes"),
            ("all", "is told the classes"),
        ],
    ),
];

/// Those that need no device.
const BARE: &[&str] = &[
    "report RUN",
    "export RUN --out all.safetensors",
    "import all.safetensors --config RUN.toml --out back",
    "export back --out again.safetensors",
    "export RUN --out model.py",
    "export RUN --part encoder --out encoder.onnx",
    "export RUN --part decoder --out decoder.onnx",
    "info --config RUN.toml",
];

/// What is wrong with a verb on a kind of model.
fn fault(dir: &TempDir, flags: &str, refusal: Option<&str>) -> Option<String> {
    let said = output(elbo(dir, flags));
    match refusal {
        Some(says) => refusal_fault(flags, &said, 2, says),
        None if said.status.code() == Some(0) => None,
        None => Some(format!("{flags}: {}, {}", said.status, text(&said.stderr))),
    }
}

#[test]
fn every_verb_takes_every_kind_of_model() {
    let mut faults = Vec::new();
    for (kind, keys) in KINDS {
        let dir = place();
        add_labels(&dir, "train", 64);
        add_labels(&dir, "t10k", 16);
        let set = |line: &&str| {
            let key = line.split(" = ").next().expect("a key");
            !keys.lines().any(|other| other.split(" = ").next() == Some(key))
        };
        let usual: Vec<_> = SMALL.lines().filter(set).collect();
        let text = format!("{}\n{keys}\n", usual.join("\n"));
        fs::write(dir.path().join(format!("{kind}.toml")), text).expect("a file");
        let flags = format!("--config {kind}.toml --quiet");
        succeed(train(&dir, &format!("{flags} --out whole")));
        // In the middle of the first epoch, of six steps.
        succeed(train(&dir, &format!("{flags} --max-steps 4 --out {kind}")));
        succeed(elbo(&dir, &format!("train --resume {kind} --max-steps 0 --device cpu --quiet")));
        let of = |run: &str| hashes(&dir.path().join(run));
        if of(kind) != of("whole") {
            faults.push(format!("{kind}: it went on otherwise than if it had never stopped"));
        }
        for (flags, refusals) in VERBS {
            let flags = format!("{} --device cpu --quiet", flags.replace("RUN", kind));
            let refusal = refusals.iter().find(|(of, _)| of == kind).map(|(_, says)| *says);
            faults.extend(fault(&dir, &flags, refusal));
        }
        let mut bare: Vec<_> = BARE.iter().map(|flags| flags.replace("RUN", kind)).collect();
        let told = if keys.contains("model.classes") { "--class 1" } else { "" };
        bare.push(format!("decode {kind} codes.npy {told} --out decoded.npy --device cpu --quiet"));
        faults.extend(bare.iter().filter_map(|flags| fault(&dir, flags, None)));
        let gpu = format!("evaluate {kind} --device gpu --tune off --quiet");
        faults.extend(fault(&dir, &gpu, None));
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
