//! `elbo compare`: what it lists of runs, the page of their curves, and what it refuses.

use std::fs;

use tempfile::TempDir;

use crate::program::{elbo, events, output, place, refusal_fault, succeed, train, tree};

/// A folder with two runs, `out` and `other`, that differ in two keys.
fn two() -> TempDir {
    let dir = place();
    succeed(train(&dir, "--epochs 2 --quiet"));
    succeed(train(&dir, "--epochs 3 --beta 4 --out other --quiet"));
    dir
}

#[test]
fn runs_are_set_side_by_side() {
    let dir = two();
    let said = succeed(elbo(&dir, "compare out other"));
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    assert!(said.contains("  1  out         2        8"), "epochs and steps: {said}");
    assert!(said.contains("  2  other       3       12"), "epochs and steps: {said}");
    let differ: Vec<_> =
        said.lines().filter(|line| line.starts_with("  ") && line.contains('.')).skip(2).collect();
    let expected = ["  objective.beta  1: 1.0  2: 4.0", "  train.epochs    1: 2  2: 3"];
    assert_eq!(differ, expected, "{said}");
    assert!(said.ends_with("\ncompare.html\n"), "the page comes last: {said}");
    let page = fs::read_to_string(dir.path().join("compare.html")).expect("a page");
    for part in [
        "<h1>2 runs compared</h1>",
        "Test loss (−ELBO)",
        ">1: out<",
        ">2: other<",
        "epoch 2: 1 ",
        "epoch 3: 2 ",
        "<th>objective.beta</th><td data-name=\"run 1\">1.0</td><td data-name=\"run 2\">4.0</td>",
    ] {
        assert!(page.contains(part), "`{part}` is in {page}");
    }
    assert!(!page.contains("<script") && !page.contains("http"), "it needs nothing else: {page}");
    // A second page does not take the place of the first.
    assert!(
        succeed(elbo(&dir, "compare out out")).contains("no key of the configurations differs")
    );
    assert!(dir.path().join("compare-2.html").is_file(), "{:?}", tree(dir.path()).keys());
    // As one object too, with what `metrics.jsonl` says.
    let said = events(&succeed(elbo(&dir, "compare out other --json --out page.html")));
    let (name, line) = &said[0];
    let loss = |run: &str| {
        let lines = fs::read_to_string(dir.path().join(run).join("metrics.jsonl")).expect("lines");
        events(&lines).pop().expect("an epoch").1["test_loss"].clone()
    };
    assert_eq!((name.as_str(), &line["page"]), ("compare", &"page.html".into()), "{line}");
    for (place, run) in ["out", "other"].into_iter().enumerate() {
        assert_eq!(line["runs"][place]["run"], run, "{line}");
        assert_eq!(line["runs"][place]["last_loss"], loss(run), "{line}");
    }
    let expected = serde_json::json!({"objective.beta": [1.0, 4.0], "train.epochs": [2, 3]});
    assert_eq!(line["differ"], expected, "{line}");
}

/// Long names, many runs and words that HTML would take for its own.
#[test]
fn odd_runs_are_compared() {
    let dir = two();
    let name = "a<b>&c-and-a-very-long-name-that-no-terminal-has-room-for";
    fs::rename(dir.path().join("other"), dir.path().join(name)).expect("a name");
    let config = dir.path().join(name).join("config.toml");
    let text = fs::read_to_string(&config).expect("a configuration");
    let long = format!("data = \"/{}set\"", "folder/".repeat(30));
    let own = text.lines().find(|line| line.starts_with("data = ")).expect("the data");
    fs::write(&config, text.replace(own, &long)).expect("a file");
    fs::remove_file(dir.path().join(name).join("metrics.jsonl")).expect("a file");
    let said = succeed(elbo(&dir, &format!("compare {name} {}", "out ".repeat(20))));
    assert!(said.contains("1: 4.0  2–21: 1.0"), "{said}");
    let alternate = format!("compare {} --out twice.html", format!("{name} out ").repeat(40));
    let many = succeed(elbo(&dir, &alternate));
    assert!(many.lines().all(|line| line.chars().count() <= 80), "{many}");
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    assert!(said.contains("…") && said.contains(" 21  out"), "{said}");
    let page = fs::read_to_string(dir.path().join("compare.html")).expect("a page");
    assert!(page.contains("a&lt;b&gt;&amp;c-and") && !page.contains("<b>&c"), "{page}");
    assert!(
        page.contains(">set</td>") && !page.contains("folder/"),
        "paths by their names: {page}"
    );
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let dir = two();
    fs::write(dir.path().join("taken.html"), "mine").expect("a file");
    let before = tree(dir.path());
    let faults: Vec<_> = [
        ("compare out", 2, "2 values required"),
        ("compare out missing", 74, "`missing/config.toml`"),
        ("compare out other --out taken.html", 74, "taken.html"),
        ("compare out other --out nowhere/page.html", 74, "nowhere/page.html"),
        ("compare out other --out page.png", 2, "the page is HTML"),
    ]
    .into_iter()
    .filter_map(|(verb, code, says)| refusal_fault(verb, &output(elbo(&dir, verb)), code, says))
    .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(tree(dir.path()) == before, "what is refused leaves nothing");
}
