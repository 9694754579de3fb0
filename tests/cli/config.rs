//! Configuration files as they are printed and read.

use std::fs;
use std::path::Path;

use elbo::Config;
use serde_json::Value;
use tempfile::TempDir;

use crate::program::{assert_refused, elbo, events, output, place, refusal_fault, succeed};
use crate::program::{text, train, tree};

fn write(dir: &TempDir, name: &str, content: impl AsRef<[u8]>) {
    fs::write(dir.path().join(name), content).expect("the temporary folder takes a file");
}

/// The tables of a printed configuration without `[run]`, which the library does not know.
fn of_library(printed: &str) -> Config {
    let (config, run) = printed.split_once("[run]\n").expect("a [run] table, the last");
    assert!(run.contains("device = ") && run.contains("# max-time = "), "{run}");
    Config::from_toml(config).expect("what is printed is TOML")
}

#[test]
fn printed_configurations_are_read_back() {
    let dir = place();
    let printed = succeed(elbo(&dir, "config"));
    assert_eq!(of_library(&printed), Config::default(), "the default: {printed}");
    let big = succeed(elbo(&dir, "config --preset big --latent 3 --optimizer adamw"));
    let mut expected = Config::preset("big").expect("a preset");
    (expected.model.latent, expected.optimizer.rule) = (3, elbo::config::Rule::Adamw);
    assert_eq!(of_library(&big), expected, "a preset and flags: {big}");
    // What was printed says the same again, and a file says what it comes to.
    let flags = "--data-is-no-flag-here";
    let refused = output(elbo(&dir, &format!("config {flags}")));
    assert_eq!(refusal_fault(flags, &refused, 2, flags), None, "{refused:?}");
    for flags in ["", "--preset big --beta 0.1 --lr 3e-4 --keep 4 --max-time 90min --threads 2"] {
        let first = succeed(elbo(&dir, &format!("config {flags}")));
        write(&dir, "my.toml", &first);
        assert_eq!(succeed(elbo(&dir, "config --config my.toml")), first, "`{flags}` read again");
    }
    write(&dir, "small.toml", "[run]\nkeep = 5\n[train]\nepochs = 7\ndata = \"a \\\"b\\\"\"");
    let json = succeed(elbo(&dir, "config --config small.toml --epochs 8 --json"));
    let (event, json) = &events(&json)[0];
    assert_eq!((event.as_str(), &json["run"]["keep"]), ("config", &5.into()), "{json}");
    assert_eq!((&json["train"]["epochs"], &json["model"]["latent"]), (&8.into(), &20.into()));
    assert_eq!(json["train"]["data"], "a \"b\"", "{json}");
}

/// Trains by a file with `[run]`; what it says on stderr.
fn by_file(dir: &TempDir, flags: &str) -> String {
    let output = output(elbo(dir, &format!("train --data data --config my.toml {flags}")));
    assert_eq!(output.status.code(), Some(0), "{flags}: {output:?}");
    text(&output.stderr).to_owned()
}

fn numbered(run: &Path) -> usize {
    let named = |path: &&std::path::PathBuf| path.display().to_string().contains("checkpoint-");
    tree(run).keys().filter(named).count()
}

#[test]
fn a_file_says_how_to_run() {
    let dir = place();
    let flags = "--hidden 8 --latent 2 --batch-size 16 --epochs 1 --device cpu --threads 1";
    let how = "--save-every 2 --keep 3 --max-time 1h";
    write(&dir, "my.toml", succeed(elbo(&dir, &format!("config {flags} {how}"))));
    let said = by_file(&dir, "--out out");
    assert!(said.starts_with("device: CPU, 1 thread (as asked)"), "`{said}`");
    // Four steps, saved before the first, after the second and after the last.
    assert_eq!(numbered(&dir.path().join("out")), 3, "checkpoints under their steps");
    by_file(&dir, "--out one --keep 1 --quiet");
    assert_eq!(numbered(&dir.path().join("one")), 0, "a flag wins over the file");
    let config = fs::read_to_string(dir.path().join("out/config.toml")).expect("a file");
    let config = Config::from_toml(&config).expect("the library's tables alone");
    assert_eq!((config.train.batch_size, config.train.epochs), (16, 1), "{config:?}");
    // A run that goes on is told anew how to.
    write(&dir, "my.toml", "[run]\nkeep = 9\nsave-every = 1\ndevice = 'cpu'");
    let resume = |flags: &str| output(elbo(&dir, &format!("train --resume out {flags}")));
    let went = resume("--config my.toml --epochs 2");
    assert_eq!(went.status.code(), Some(0), "{went:?}");
    assert_eq!(numbered(&dir.path().join("out")), 7, "three and four more");
    for other in ["[run]\nkeep = 2\n[train]\nepochs = 3", "[model]"] {
        write(&dir, "my.toml", other);
        let refused = resume("--config my.toml --quiet");
        let fault =
            refusal_fault(other, &refused, 2, "a run that is resumed keeps its configuration");
        assert_eq!(fault, None, "{refused:?}");
        assert!(
            text(&refused.stderr).contains("`--config` with the table [run] alone"),
            "{refused:?}"
        );
    }
}

#[test]
fn faults_of_a_file_are_told() {
    let dir = place();
    let cases = [
        ("key", "[train]\nlr = 1\n", "`key.toml`: unknown key `lr` in [train], line 2; it belongs"),
        (
            "near",
            "[train]\n\nepoch = 1",
            "unknown key `epoch` in [train], line 3; did you mean `epochs`?",
        ),
        ("run", "[run]\nsave_evry = 1", "line 2; did you mean `save-every`?"),
        ("table", "[modle]\n", "unknown table [modle], line 1; did you mean [model]?"),
        (
            "type",
            "[model]\nlatent = 'x'",
            "`latent` in [model], line 2, is `'x'`; it must be a whole",
        ),
        (
            "word",
            "[train]\npixels = 'gray'",
            "is `gray`; did you mean \"grey\"? It is one of \"grey\", ",
        ),
        ("range", "[run]\nkeep = 0", "`keep` is 0; it must be between 1 and 1000000"),
        (
            "time",
            "[run]\nmax-time = 'soon'",
            "`max-time` in [run], line 2, is `'soon'`; it must be a",
        ),
        ("device", "[run]\ntune = 1", "`tune` in [run], line 2, is `1`"),
        ("long", &"#\n".repeat(200_000), "`long.toml` has more than 256 KiB"),
    ];
    let mut files = Vec::new();
    for (name, content, says) in &cases {
        write(&dir, &format!("{name}.toml"), content);
        files.push((format!("--config {name}.toml"), 2, *says));
    }
    write(&dir, "bytes.toml", [0xff, 0xfe]);
    files.push(("--config bytes.toml".to_owned(), 2, "`bytes.toml` is no text in UTF-8"));
    files.push(("--config data".to_owned(), 74, "cannot read `data`"));
    #[cfg(unix)]
    files.push(("--config /dev/zero".to_owned(), 74, "not a regular file"));
    let files: Vec<_> =
        files.iter().map(|(flags, code, says)| (&flags[..], *code, *says)).collect();
    assert_refused(&dir, &files);
    for (flags, code, says) in files {
        let refused = output(elbo(&dir, &format!("config {flags}")));
        assert_eq!(refusal_fault(flags, &refused, code, says), None, "`elbo config` says the same");
    }
    let hint = output(train(&dir, "--config near.toml"));
    assert!(text(&hint.stderr).contains("\nhint: `elbo config` prints every key"), "{hint:?}");
}

/// A printed object is whole for who reads it with other tools.
#[test]
fn json_has_every_table() {
    let json: Value =
        serde_json::from_str(&succeed(elbo(&place(), "config --json"))).expect("one object");
    let names: Vec<_> = json.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["event", "model", "objective", "optimizer", "data", "train", "run"],
        "tables"
    );
}

/// What is minimised stands beside the loss where it is another, and nowhere else.
#[test]
fn what_is_minimised_is_told_where_it_is_not_the_loss() {
    let dir = place();
    let metrics = |out: &str| {
        let path = dir.path().join(out).join("metrics.jsonl");
        events(&fs::read_to_string(path).expect("a run's metrics"))
    };
    let weighed = succeed(train(&dir, "--out bound --samples 2 --importance 3"));
    let epoch = &metrics("bound")[0].1;
    let number = |key: &str| epoch[key].as_f64().unwrap_or_else(|| panic!("{key} in {epoch}"));
    let (objective, loss) = (number("train_objective"), number("train_loss"));
    assert!(objective < loss && objective > 0.5 * loss, "{epoch}: a bound closer to log p(x)");
    let table: Vec<Vec<_>> =
        weighed.lines().take(2).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((table[0][2], table[1][2]), ("minimised", &*format!("{objective:.2}")), "{weighed}");
    assert!(weighed.contains("6 sampled z"), "{weighed}");
    let card = fs::read_to_string(dir.path().join("bound/model-card.md")).expect("a card");
    assert!(card.contains("bound of K = 3 z") && card.contains("6 sampled z an image"), "{card}");
    succeed(elbo(&dir, "report bound"));
    // The same when it is gone on with, and judged.
    succeed(elbo(&dir, "train --resume bound --epochs 2 --device cpu"));
    succeed(elbo(&dir, "evaluate bound --data data --device cpu"));
    let plain = succeed(train(&dir, "--out plain --samples 2"));
    assert!(metrics("plain")[0].1.get("train_objective").is_none(), "{plain}");
    assert!(!plain.contains("minimised"), "{plain}");
    // A gradient that is biased is used, but not in silence.
    for (gradient, noted) in [("stl", true), ("dreg", false)] {
        write(
            &dir,
            "way.toml",
            format!(
                "[objective]\nimportance = 3\ngradient = '{gradient}'\n[train]\nepochs = 1\n\
                 batch-size = 16\n[run]\ndevice = 'cpu'"
            ),
        );
        let flags = format!("--config way.toml --out {gradient} --hidden 8 --latent 2");
        let done = output(train(&dir, &flags));
        assert_eq!(done.status.code(), Some(0), "{done:?}");
        assert_eq!(text(&done.stderr).contains("biased"), noted, "{gradient}: {done:?}");
    }
}

#[test]
fn a_schedule_that_is_longer_than_the_run_is_noted() {
    let dir = place();
    // 64 images in minibatches of 16: eight steps.
    for (place, (key, noted)) in [
        ("objective.warmup-steps=8", false),
        ("objective.warmup-steps=9", true),
        ("optimizer.warmup-steps=100", true),
        ("objective.cycle-steps=9", true),
    ]
    .into_iter()
    .enumerate()
    {
        let flags =
            format!("--batch-size 16 --epochs 2 --hidden 8 --latent 2 --set {key} --out {place}");
        let done = output(train(&dir, &flags));
        let said = text(&done.stderr);
        assert!(done.status.success(), "{key}: {said}");
        let name = key.split_once('=').map_or(key, |(name, _)| name);
        let note = format!("note: `{name}` is ");
        assert_eq!(
            said.contains(&note) && said.contains("the run has 8 steps"),
            noted,
            "{key}: {said}"
        );
    }
}

/// `--set` has every key: over a file and a preset, below flags, with the words of a file's faults.
#[test]
fn any_key_is_set() {
    let dir = place();
    write(&dir, "my.toml", "[objective]\nfree-bits = 0.5\nbeta = 2.0\n[run]\nkeep = 3");
    let shown = |flags: &str| {
        let line = succeed(elbo(&dir, &format!("config --json {flags}")));
        serde_json::from_str::<Value>(&line).expect("one object")
    };
    let over = shown(
        "--config my.toml --set objective.free-bits=0.2 --set objective.beta=3 --beta 4 \
         --set model.encoder=[8,4] --set model.activation=tanh --set run.device=0 --set run.max-time=8h",
    );
    let (objective, model, run) = (&over["objective"], &over["model"], &over["run"]);
    assert_eq!((&objective["free-bits"], &objective["beta"]), (&0.2.into(), &4.0.into()), "{over}");
    assert_eq!(model["encoder"], serde_json::json!([8, 4]), "a list");
    assert_eq!(model["activation"], "tanh", "a word without quotes");
    assert_eq!((&run["device"], &run["max-time"]), (&"0".into(), &"8h".into()), "texts");
    assert_eq!(run["keep"], 3, "what the file says stays");
    assert_eq!(shown("-p big --set train.epochs=7")["train"]["epochs"], 7, "over a preset");
    // It trains so, and what belongs to a run alone may change when it is resumed.
    succeed(train(&dir, "--set objective.warmup-steps=3 --set run.keep=2 --quiet"));
    let kept = fs::read_to_string(dir.path().join("out/config.toml")).expect("a configuration");
    assert!(kept.contains("warmup-steps = 3"), "{kept}");
    succeed(elbo(&dir, "train --resume out --set train.epochs=2 --set run.keep=5 --device cpu -q"));
    for (flags, says) in [
        ("config --set objective.fre-bits=1", "did you mean `free-bits`?"),
        ("config --set objectiv.beta=1", "did you mean [objective]?"),
        ("config --set free-bits=1", "`objective.free-bits`"),
        ("config --set train.lr=1", "it belongs to [optimizer]"),
        (
            "config --set model.latent=x",
            "`latent` in [model] is `\"x\"`; it must be a whole number",
        ),
        ("config --set model.activation=rleu", "did you mean \"relu\"?"),
        ("config --set objective.beta", "TABLE.KEY=VALUE"),
        ("config --set objective.beta=-1", "`beta` is -1"),
        ("config --set run.keep=0", "`keep` is 0"),
        ("config --preset clasic", "'clasic'"),
        ("train --resume out --set model.latent=3", "keeps its configuration"),
    ] {
        assert_eq!(refusal_fault(flags, &output(elbo(&dir, flags)), 2, says), None, "{flags}");
    }
    // What was perhaps meant stands as a hint.
    for (flags, hint) in [
        ("config --preset clasic", "hint: a similar value exists: 'classic'"),
        ("trian", "hint: a similar subcommand exists: 'train'"),
        ("train --data data --device gpuu", "hint: did you mean `--device gpu`?"),
    ] {
        let told = output(elbo(&dir, flags));
        assert!(text(&told.stderr).contains(hint), "{flags}: {told:?}");
    }
}
