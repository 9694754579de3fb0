//! Models of several levels of z, as their users meet them.

use std::fs;

use serde_json::Value;

use crate::program::{elbo, output, place, refusal_fault, succeed, train};

const SMALL: &str = "--hidden 8 --latent 3 --batch-size 12 --epochs 2 --quiet";
const ABOVE: &str =
    "--set model.above=[{encoder=[6],latent=2,decoder=[5]},{encoder=[],latent=1,decoder=['tanh']}]";

#[test]
fn levels_are_trained_told_and_drawn_from() {
    let dir = place();
    succeed(train(&dir, &format!("{SMALL} {ABOVE} --set train.evaluate-every=1 --out out")));
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).expect("a file");
    // Nobody has to know that the divergence has no formula.
    assert!(read("out/config.toml").contains("kl = \"sampled\""), "the configuration says it");
    let epochs = read("out/metrics.jsonl");
    let epochs = epochs.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let last = epochs.rev().find(|line| line["event"] == "epoch").expect("an epoch");
    for key in ["kl_by_level", "active_units_by_level"] {
        assert_eq!(last[key].as_array().map(Vec::len), Some(3), "{last}");
    }
    let said = succeed(elbo(&dir, "evaluate out --samples 20 --device cpu --quiet"));
    for part in [
        "level of z  dimensions  active  KL divergence\n         1           3",
        "KL by dimension of z of level 2 given the level above, largest first:",
        "KL by dimension of z of level 3, largest first:",
    ] {
        assert!(said.contains(part), "{part}:\n{said}");
    }
    let json = succeed(elbo(&dir, "evaluate out --device cpu --quiet --json"));
    let line: Value = serde_json::from_str(&json).expect("JSON");
    let levels = line["levels"].as_array().expect("levels");
    let counts = |level: &Value| level["kl_by_dimension"].as_array().map(Vec::len);
    assert_eq!(levels.iter().map(counts).collect::<Vec<_>>(), [3, 2, 1].map(Some), "{line}");
    let all: f64 = levels.iter().filter_map(|level| level["kl"].as_f64()).sum();
    let kl = line["kl"].as_f64().expect("a number");
    assert!((all - kl).abs() < 0.3 * kl.abs() + 0.3, "{all}, and {kl} by other draws");
    let card = read("out/model-card.md");
    for part in [
        "of 3 levels of z",
        "| z 2 from z 1 | 3-6-2, to the mean",
        "| z 1 from z 2 | 2-5-3,",
        "z = vae.sample(16)",
    ] {
        assert!(card.contains(part), "{part}:\n{card}");
    }
    let told = succeed(elbo(&dir, "info out"));
    assert!(told.contains("-3, 3-6-2, 2-1"), "{told}");
    succeed(elbo(&dir, "report out"));
    let page = read("out/report.html");
    for part in
        ["<dt>KL of level 3</dt>", "<b>KL by dimension of z of level 2</b>", "3 levels of z"]
    {
        assert!(page.contains(part), "{part}");
    }
    for flags in [
        "sample out --by-level --count 4 --out levels.png --device cpu --quiet",
        "sample out --temperature 0.5,1,0 --out some.png --device cpu --quiet",
        "encode out --level 3 --out top.npy --device cpu --quiet",
        "traverse out --out along.png --device cpu --quiet",
    ] {
        succeed(elbo(&dir, flags));
    }
    for (flags, says) in [
        (
            "sample out --temperature 0.5,1 --device cpu",
            "`--temperature` gives 2, and z has 3 levels",
        ),
        ("sample out --from gmm --temperature 0.5,1,1 --device cpu", "from one distribution"),
        ("sample out --by-level --class 1 --device cpu", "not conditional"),
        ("encode out --level 4 --out none.npy --device cpu", "there is no level 4"),
        ("encode out --level 0 --out none.npy --device cpu", "there is no level 0"),
        ("traverse out --plane --device cpu", "needs a model of 2 dimensions"),
    ] {
        let fault = refusal_fault(flags, &output(elbo(&dir, flags)), 2, says);
        assert!(fault.is_none(), "{fault:?}");
    }
}

#[test]
fn a_model_of_one_level_has_no_rows_of_levels() {
    let dir = place();
    succeed(train(&dir, &format!("{SMALL} --out out")));
    let flags = "sample out --by-level --device cpu";
    let fault = refusal_fault(flags, &output(elbo(&dir, flags)), 2, "this model's z has one");
    assert!(fault.is_none(), "{fault:?}");
}

#[test]
fn a_ladder_goes_through_every_verb() {
    let dir = place();
    succeed(train(
        &dir,
        &format!(
            "{SMALL} {ABOVE} --set model.inference=ladder --set objective.free-bits=0.5 --set \
         objective.free-bits-steps=7 --out out"
        ),
    ));
    for flags in [
        "evaluate out --samples 20 --device cpu --quiet",
        "sample out --by-level --out levels.png --device cpu --quiet",
        "info out",
        "reconstruct out --out same.png --device cpu --quiet",
        "interpolate out --out between.png --device cpu --quiet",
        "anomaly out --out scores.csv --device cpu --quiet",
        "encode out --level 3 --out top.npy --device cpu --quiet",
        "export out --out model.py",
        "export out --part decoder --out decoder.onnx",
        "train --resume out --epochs 3 --device cpu --quiet",
    ] {
        succeed(elbo(&dir, flags));
    }
    let card = fs::read_to_string(dir.path().join("out/model-card.md")).expect("a card");
    for part in [
        "each inferred from below and from above (a ladder",
        "0.5 nats of KL free in each level for 7 steps",
    ] {
        assert!(card.contains(part), "{part}:\n{card}");
    }
    for (flags, says) in [
        ("export out --part encoder --out encoder.onnx", "draws z of the levels above"),
        (
            "train --data data --set model.inference=ladder --out none --device cpu",
            "`inference` is set",
        ),
    ] {
        let fault = refusal_fault(flags, &output(elbo(&dir, flags)), 2, says);
        assert!(fault.is_none(), "{fault:?}");
    }
}

#[test]
fn what_levels_cannot_have_is_refused() {
    let dir = place();
    for (flags, says) in [
        ("--set objective.kl=analytic", "has no formula"),
        ("--set objective.free-bits=0.2 --importance 5", "`free-bits`"),
        ("--set objective.free-bits-steps=5", "`free-bits-steps`"),
        ("--set objective.capacity=5", "`capacity`"),
        ("--set objective.gradient=stl", "`gradient`"),
        ("--prior vamp --prior-components 5", "vamp"),
        ("--set model.posterior=point", "`above`"),
        ("--set model.above=[{encoder=[6],latent=0,decoder=[5]}]", "`above.latent` is 0"),
        ("--set model.above=[{encoder=['map',6],latent=2,decoder=[5]}]", "above"),
    ] {
        let flags = format!("{SMALL} {ABOVE} {flags} --out out");
        let fault = refusal_fault(&flags, &output(train(&dir, &flags)), 2, says);
        assert!(fault.is_none(), "{fault:?}");
        assert!(!dir.path().join("out").exists(), "{flags}: nothing was begun");
    }
}
