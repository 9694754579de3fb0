//! Models whose prior is learned, as their users meet them.

use std::fs;

use crate::program::{elbo, output, place, refusal_fault, succeed, train};

const SMALL: &str = "--hidden 8 --latent 2 --batch-size 12 --epochs 2 --quiet";

#[test]
fn a_learned_prior_is_trained_drawn_from_and_told() {
    let dir = place();
    succeed(train(&dir, &format!("{SMALL} --prior vamp --prior-components 9 --out out")));
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).expect("a file");
    // Nobody has to know that the divergence has no formula.
    assert!(read("out/config.toml").contains("kl = \"sampled\""), "the configuration says it");
    succeed(train(&dir, &format!("{SMALL} --prior mixture --importance 3 --out iwae")));
    let said = succeed(elbo(&dir, "evaluate out --samples 20 --device cpu --quiet"));
    assert!(said.contains("each from the prior's own, by samples"), "{said}");
    let card = read("out/model-card.md");
    assert!(card.contains("the posteriors of 9 learned pseudo-inputs"), "{card}");
    succeed(elbo(&dir, "export out --out model.py"));
    let code = read("model.py");
    assert!(code.contains("vae.decode(vae.sample(16))"), "{code}");
    for flags in [
        "sample out --temperature 0 --out cold.png --device cpu --quiet",
        "sample out --seed 5 --out other.png --device cpu --quiet",
        "sample out --prior-components --out components.png --device cpu --quiet",
        "sample iwae --prior-components --count 3 --out three.png --device cpu --quiet",
        "sample out --from gmm --out gmm.png --device cpu",
    ] {
        let said = succeed(elbo(&dir, flags));
        assert!(!said.contains("under the prior"), "that is not N(0, I): {said}");
    }
    assert_ne!(fs::read(dir.path().join("cold.png")).ok(), None, "a picture");
    succeed(train(&dir, &format!("{SMALL} --out normal")));
    let refused = [
        ("traverse out --plane --device cpu", "not this model's prior"),
        ("sample normal --prior-components --device cpu", "N(0, I)"),
    ];
    for (flags, says) in refused {
        let fault = refusal_fault(flags, &output(elbo(&dir, flags)), 2, says);
        assert!(fault.is_none(), "{fault:?}");
    }
}

#[test]
fn what_a_learned_prior_cannot_have_is_refused() {
    let dir = place();
    for (flags, says) in [
        ("--prior vamp --prior-components 65", "there are 64"),
        ("--prior vamp --classes 3", "no class"),
        ("--prior vamp --dropout 0.1", "draws an encoder for each"),
        ("--prior mixture --prior-components 0", "`prior-components` is 0"),
        ("--prior mixture --set objective.free-bits=0.2", "`free-bits`"),
        ("--prior mixture --set objective.kl=analytic", "has no formula"),
        ("--prior mixture --set model.posterior=point", "`prior`"),
        ("--prior-components 5", "`prior-components` is set"),
    ] {
        let flags = format!("{SMALL} {flags} --out out");
        let fault = refusal_fault(&flags, &output(train(&dir, &flags)), 2, says);
        assert!(fault.is_none(), "{fault:?}");
        assert!(!dir.path().join("out").exists(), "{flags}: nothing was begun");
    }
}

#[test]
fn posteriors_of_other_families_are_trained_and_told() {
    let dir = place();
    for family in ["laplace", "logistic"] {
        let set = format!("--set model.posterior={family}");
        succeed(train(&dir, &format!("{SMALL} {set} --out {family}")));
        let read =
            |name: &str| fs::read_to_string(dir.path().join(family).join(name)).expect("a file");
        // Nobody has to know that the divergence has no formula.
        assert!(read("config.toml").contains("kl = \"sampled\""), "the configuration says it");
        let card = read("model-card.md");
        assert!(card.contains("logarithm of the squared scale of q(z \\| x), a "), "{card}");
        let said =
            succeed(elbo(&dir, &format!("evaluate {family} --samples 20 --device cpu --quiet")));
        assert!(said.contains("KL by dimension of z, by samples, largest first:"), "{said}");
        for (verb, name) in [("sample", "a"), ("reconstruct", "b"), ("traverse --plane", "c")] {
            let flags = format!("{verb} {family} --out {family}_{name}.png --device cpu --quiet");
            succeed(elbo(&dir, &flags));
        }
        for (flags, says) in [
            (format!("{set} --set objective.kl=analytic"), "has no formula"),
            (format!("{set} --set objective.free-bits=0.2"), "`free-bits`"),
            (format!("{set} --prior vamp --prior-components 5"), "a mixture of normals"),
            (format!("{set} {LADDER}"), "`inference`"),
        ] {
            let flags = format!("{SMALL} {flags} --out none");
            let fault = refusal_fault(&flags, &output(train(&dir, &flags)), 2, says);
            assert!(fault.is_none(), "{fault:?}");
        }
    }
}

const LADDER: &str =
    "--set model.above=[{encoder=[6],latent=2,decoder=[5]}] --set model.inference=ladder";
