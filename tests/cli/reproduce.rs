//! `elbo reproduce`: what is listed, a short run that is stopped and goes on, and what is refused.

use std::fs;

use elbo::config::{PRESETS, Preset};
use tempfile::TempDir;

use crate::program::{elbo, events, images, output, place, refusal_fault, succeed, text};

/// As many images as the presets' batches need.
fn many() -> TempDir {
    let dir = place();
    fs::write(dir.path().join("data/train-images-idx3-ubyte"), images(150)).expect("images");
    dir
}

#[test]
fn what_was_published_is_listed() {
    let said = succeed(elbo(&place(), "reproduce"));
    let mut listed = 0;
    for name in PRESETS {
        let published = Preset::named(name).expect("a preset").published;
        let line = said.lines().find(|line| line.starts_with(&format!("{name}: ")));
        assert_eq!(line.is_some(), published.is_some(), "{name} in `{said}`");
        if let (Some(line), Some(published)) = (line, published) {
            listed += 1;
            assert!(line.contains(&published.value.to_string()), "{line}");
            assert!(said.contains(&published.source), "the source of {name} in `{said}`");
        }
    }
    assert!(listed > 0, "nothing was published");
    let lines = events(&succeed(elbo(&place(), "reproduce --json")));
    assert_eq!(lines.len(), listed, "a line each: {lines:?}");
    for (event, line) in lines {
        let name = line["name"].as_str().expect("a name");
        let preset = Preset::named(name).expect("a preset");
        let published = preset.published.expect("it was published");
        assert_eq!((event.as_str(), &line["published"]), ("preset", &published.value.into()));
        assert_eq!(line["epochs"], preset.config.train.epochs, "{line}");
    }
}

#[test]
fn a_reproduction_goes_on_and_is_judged() {
    let dir = many();
    let stopped = output(elbo(&dir, "reproduce classic --short --data data --max-time 1ms"));
    assert_eq!(stopped.status.code(), Some(0), "{stopped:?}");
    assert!(text(&stopped.stderr).contains("0 of 2 epochs are done"), "{stopped:?}");
    // These images are not MNIST, so that the result is another than the published one.
    let flags = "reproduce classic --short --data data --json --quiet";
    let done = output(elbo(&dir, flags));
    assert_eq!(done.status.code(), Some(1), "not what was published: {done:?}");
    let (name, result) = events(text(&done.stdout)).pop().expect("events");
    assert_eq!(name, "reproduction", "{result}");
    let published = Preset::named("classic").expect("a preset").published.expect("it is known");
    assert_eq!(result["expected"], published.curve[1], "after two epochs: {result}");
    assert_eq!((&result["within"], &result["epochs"]), (&false.into(), &2.into()), "{result}");
    let last = result["curve"].as_array().expect("a curve").last().cloned();
    let here = result["here"].as_f64().expect("a number");
    assert_eq!(result["curve"].as_array().map(Vec::len), Some(2), "{result}");
    // The same weights, images and noise, added up in another order.
    let apart = (here - last.and_then(|v| v.as_f64()).expect("a number")).abs();
    assert!(apart < 1e-3, "{apart} between the run's own test loss and {result}");
    let again = output(elbo(&dir, flags));
    let (_, judged) = events(text(&again.stdout)).pop().expect("events");
    assert_eq!(judged["here"], result["here"], "a run that is done is judged again");
}

#[test]
fn misuse_of_reproduce_is_refused() {
    let dir = many();
    succeed(elbo(&dir, "train --data data --batch-size 100 --epochs 1 --out other --quiet"));
    for (flags, code, says) in [
        ("reproduce nothing", 2, "'nothing'"),
        ("reproduce big", 2, "there is no published result for the preset `big`"),
        ("reproduce classic --samples 0", 2, "`--samples` is 0"),
        ("reproduce classic --samples 50", 2, "the published result of `classic` is a loss"),
        ("reproduce classic --out other", 2, "`other` holds a run of another configuration"),
        ("reproduce classic --data missing", 74, "`missing`"),
    ] {
        let fault = refusal_fault(flags, &output(elbo(&dir, flags)), code, says);
        assert_eq!(fault, None, "{flags}");
    }
}
