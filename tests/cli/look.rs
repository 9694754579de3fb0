//! What one sees of a trained model: `evaluate` and the pictures.

use std::fs;
use std::path::Path;

use elbo::checkpoint::State;
use elbo::{Device, Model};
use serde_json::Value;
use tempfile::TempDir;

use crate::program::{elbo, output, place, refusal_fault, succeed, train};

/// A run of 8 × 8 images, of so many dimensions of z.
fn run(latent: usize) -> TempDir {
    let dir = place();
    succeed(train(&dir, &format!("--epochs 3 --latent {latent} --quiet")));
    dir
}

fn one(said: &str) -> Value {
    assert_eq!(said.lines().count(), 1, "one object: {said}");
    serde_json::from_str(said).expect("JSON")
}

#[test]
fn a_run_is_evaluated() {
    let dir = run(4);
    let said = one(&succeed(elbo(&dir, "evaluate out --device cpu --samples 7 --json --quiet")));
    let value = |key: &str| said[key].as_f64().unwrap_or_else(|| panic!("`{key}` in {said}"));
    let metrics = fs::read_to_string(dir.path().join("out/metrics.jsonl")).expect("metrics");
    let last: Value = serde_json::from_str(metrics.lines().last().expect("a line")).expect("JSON");
    for (key, of) in
        [("loss", "test_loss"), ("kl", "test_kl"), ("loss_at_mean", "test_loss_at_mean")]
    {
        let expected = last[of].as_f64().expect("a number");
        let off = (value(key) - expected).abs();
        assert!(off < 1e-5 * expected, "{key}: {}, training said {expected}", value(key));
    }
    assert!(value("nll") < value("loss"), "more samples, a tighter bound: {said}");
    let bits = value("nll") / (64.0 * std::f64::consts::LN_2);
    assert!((value("bits_per_dimension") - bits).abs() < 1e-12, "{said}");
    let list = |key: &str| -> Vec<f64> {
        said[key].as_array().expect(key).iter().map(|v| v.as_f64().expect("a number")).collect()
    };
    let (kl, variance) = (list("kl_by_dimension"), list("variance_by_dimension"));
    assert_eq!((kl.len(), variance.len()), (4, 4), "{said}");
    assert!((kl.iter().sum::<f64>() - value("kl")).abs() < 1e-5 * value("kl"), "{said}");
    let active = variance.iter().filter(|&&v| v > 0.01).count() as u64;
    assert_eq!((&said["active_units"], &said["samples"]), (&active.into(), &7.into()));
    // The same for people, and the report tells it.
    let words = succeed(elbo(&dir, "evaluate out --device gpu --samples 7"));
    let line = words.lines().find(|line| line.starts_with("NLL")).expect("the likelihood");
    let found: f64 = line.split_whitespace().nth(2).and_then(|n| n.parse().ok()).expect("a number");
    assert!((found - value("nll")).abs() < 2e-3, "{words}, and on the CPU {said}");
    succeed(elbo(&dir, "report out"));
    let report = fs::read_to_string(dir.path().join("out/report.html")).expect("a report");
    assert!(report.contains(", 7 importance samples, "), "the report tells it");
    // A run that cannot be written to is evaluated all the same.
    let timings = dir.path().join("out/timings.jsonl");
    fs::remove_file(&timings).expect("a file");
    fs::create_dir(&timings).expect("a folder in its place");
    let told = output(elbo(&dir, "evaluate out --device cpu --json --quiet"));
    assert_eq!(told.status.code(), Some(0), "{told:?}");
    assert!(one(&String::from_utf8_lossy(&told.stdout))["loss"].is_number(), "{told:?}");
    assert!(String::from_utf8_lossy(&told.stderr).contains("report"), "{told:?}");
    fs::remove_dir(&timings).expect("a folder");
    // A part of the images, other weights, other images.
    let said = one(&succeed(elbo(&dir, "evaluate out --device cpu --limit 5 --best --json")));
    assert_eq!((&said["images"], said.get("nll")), (&5.into(), None), "{said}");
    let said = one(&succeed(elbo(&dir, "evaluate out --device cpu --split train --json")));
    assert_eq!(said["split"], "training", "{said}");
    let checkpoint = "evaluate out/checkpoint.safetensors --device cpu --data data --json";
    assert_eq!(one(&succeed(elbo(&dir, checkpoint)))["step"], 12, "a checkpoint");
}

#[test]
fn a_collapsed_posterior_is_told() {
    let dir = place();
    succeed(train(&dir, "--epochs 4 --latent 4 --beta 100 --quiet"));
    let told = output(elbo(&dir, "evaluate out --split train --device cpu --quiet"));
    let says = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(says.contains("has collapsed in 4 of 4 dimensions"), "{says}");
    assert!(String::from_utf8_lossy(&told.stdout).contains("0 of 4"), "{told:?}");
}

/// The width and the height of a PNG file of ours.
fn extent(path: &Path) -> (u32, u32) {
    let file = fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().expect("a PNG");
    let pixels = pixels(path);
    assert!(pixels.iter().any(|&p| p != pixels[0]), "{} shows something", path.display());
    (reader.info().width, reader.info().height)
}

#[test]
fn pictures_are_drawn() {
    let dir = run(2);
    let images = dir.path().join("out/images");
    for (verb, name) in [
        ("sample out --count 5 --temperature 0.5", "sample"),
        ("reconstruct out --first 3 --count 12", "reconstruct"),
        ("interpolate out --from 0,4 --to 1,2 --steps 5", "interpolate"),
        ("traverse out --image 3 --steps 4", "traverse"),
        ("traverse out --plane --steps 6", "plane"),
        ("scatter out", "scatter"),
    ] {
        let path = succeed(elbo(&dir, &format!("{verb} --device cpu --quiet")));
        let path = dir.path().join(path.trim_end());
        assert_eq!(path, images.join(format!("{name}.png")), "{verb}");
        let (width, height) = extent(&path);
        assert!(width > 100 && height > 40, "{verb}: {width} by {height}");
        // The same picture is not written twice.
        let again = one(&succeed(elbo(&dir, &format!("{verb} --device cpu --quiet --json"))));
        assert_eq!(again["what"], name, "{verb}");
        let again = dir.path().join(again["path"].as_str().expect("a path"));
        assert_eq!(again, path, "{verb}");
        assert!(!images.join(format!("{name}-2.png")).exists(), "{verb}");
    }
    // Another picture takes another name.
    let more = succeed(elbo(&dir, "sample out --count 5 --device cpu --quiet"));
    assert_eq!(dir.path().join(more.trim_end()), images.join("sample-2.png"));
    let named = succeed(elbo(&dir, "sample out/best.safetensors --device gpu --out here.png"));
    assert_eq!(named, "here.png\n");
    extent(&dir.path().join("here.png"));
}

/// A traversal shows the dimensions in the order in which an evaluation tells them.
#[test]
fn traversals_go_by_the_divergences_of_an_evaluation() {
    let dir = run(4);
    let told = one(&succeed(elbo(&dir, "evaluate out --device cpu --json --quiet")));
    let kl: Vec<f64> = told["kl_by_dimension"]
        .as_array()
        .expect("a number for each")
        .iter()
        .map(|kl| kl.as_f64().expect("a number"))
        .collect();
    let mut order: Vec<usize> = (0..4).collect();
    order.sort_by(|&a, &b| kl[b].total_cmp(&kl[a]));
    let names: Vec<_> = order.iter().map(ToString::to_string).collect();
    let picture = |flags: &str| {
        let flags = format!("traverse out --steps 3 --device cpu --quiet {flags}");
        fs::read(dir.path().join(succeed(elbo(&dir, &flags)).trim_end())).expect("a picture")
    };
    let all = picture("--out all.png");
    assert!(all == picture(&format!("--dimensions {} --out named.png", names.join(","))), "{kl:?}");
    order.swap(0, 3);
    let names: Vec<_> = order.iter().map(ToString::to_string).collect();
    assert!(all != picture(&format!("--dimensions {} --out other.png", names.join(","))), "{kl:?}");
}

#[test]
fn what_cannot_be_shown_is_refused() {
    let dir = run(4);
    fs::write(dir.path().join("there.png"), "there").expect("a file");
    fs::create_dir(dir.path().join("wide")).expect("a folder");
    let head = [0, 0, 8, 3, 0, 0, 0, 30, 0, 0, 0, 9, 0, 0, 0, 9];
    for name in ["train-images-idx3-ubyte", "t10k-images-idx3-ubyte"] {
        let file = [&head[..], &[9; 30 * 81]].concat();
        fs::write(dir.path().join("wide").join(name), file).expect("a file");
    }
    let path = dir.path().join("out/checkpoint.safetensors");
    let mut foreign = State::read(&path).expect("a state");
    foreign.tensors.retain(|tensor| !tensor.key.starts_with("fc4"));
    fs::write(dir.path().join("foreign.safetensors"), foreign.to_bytes().expect("bytes"))
        .expect("a file");
    let cases = [
        ("evaluate missing", 74, "missing"),
        ("evaluate data/train-images-idx3-ubyte", 1, "no safetensors"),
        ("evaluate out/weights.safetensors", 1, "no state of a run"),
        ("evaluate foreign.safetensors", 1, "fc4.weight"),
        ("evaluate out --data wide", 1, "9 × 9"),
        ("evaluate out --data missing", 74, "missing"),
        ("evaluate out --samples 0", 2, "--samples"),
        ("evaluate out/checkpoint.safetensors --best", 2, "--best"),
        ("sample out --count 0", 2, "--count"),
        ("sample out --temperature -1", 2, "temperature"),
        ("sample out --out there.png", 74, "there.png"),
        ("sample out --out x.jpg", 2, "`x.jpg`; it must end in `.png`"),
        ("reconstruct out --out x", 2, "`x`; it must end in `.png`"),
        (
            "reconstruct out --first 10 --count 20",
            2,
            "no images 10 to 29; the 16 images are counted from 0 to 15",
        ),
        ("interpolate out --from 99 --to 1", 2, "there is no image 99; the 16 images"),
        ("reconstruct out --first 100000", 2, "counted from 0"),
        ("reconstruct out --count 0", 2, "--count"),
        ("interpolate out --from 0,1 --to 2", 2, "--from"),
        ("interpolate out --from 0 --to 18446744073709551615", 2, "counted from 0"),
        ("interpolate out --steps 1", 2, "--steps"),
        ("traverse out --plane", 2, "2 dimensions"),
        ("traverse out --range 0", 2, "--range"),
        ("traverse out --dimensions 4", 2, "--dimensions"),
        ("traverse out --image 99999", 2, "counted from 0"),
        ("scatter out --dimensions 0", 2, "--dimensions"),
        ("scatter out --data wide", 1, "9 × 9"),
    ];
    for (flags, code, says) in cases {
        let told = output(elbo(&dir, &format!("{flags} --device cpu --quiet")));
        assert_eq!(refusal_fault(flags, &told, code, says), None);
    }
    let images: Vec<_> = fs::read_dir(dir.path().join("out/images")).expect("images").collect();
    assert_eq!(images.len(), 6, "nothing was written: {images:?}");
    assert_eq!(fs::read(dir.path().join("there.png")).ok().as_deref(), Some(&b"there"[..]));
}

/// The pixels of a PNG file of ours.
fn pixels(path: &Path) -> Vec<u8> {
    let file = fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a small one")];
    reader.next_frame(&mut pixels).expect("its pixels");
    pixels
}

/// Another seed gives other images, of the prior and of p(x | z); the run's own gives those without.
#[test]
fn samples_follow_their_seed() {
    let dir = run(2);
    let drawn = |flags: &str| {
        let flags = format!("sample out --count 4 --device cpu -q {flags}");
        pixels(&dir.path().join(succeed(elbo(&dir, &flags)).trim_end()))
    };
    // Captions differ in a number: that is less than an image.
    let same = |one: &[u8], other: &[u8]| {
        assert_eq!(one.len(), other.len(), "pictures of one size");
        one.iter().zip(other).filter(|(a, b)| a != b).count() < 500
    };
    let [two, three] = [2, 3].map(|seed| drawn(&format!("--seed {seed}")));
    assert!(!same(&two, &three), "another seed, other images");
    assert!(two == drawn("-s 2 --out again.png"), "the same seed, the same images");
    let coins = |seed| drawn(&format!("--temperature 0 --pixels drawn --seed {seed}"));
    assert!(!same(&coins(2), &coins(3)), "pixels are drawn anew");
    let means = |seed| drawn(&format!("--temperature 0 --seed {seed}"));
    assert!(same(&means(2), &means(3)), "at temperature 0 z is the prior's mean");
    // The default is the seed of the run.
    let state = State::read(&dir.path().join("out/checkpoint.safetensors")).expect("a state");
    let mut model = Model::new(&Device::Cpu(1), &state, None).expect("a model");
    let plain = model.sample(4, 1.0).expect("samples");
    model.reseed(state.config.train.seed);
    assert_eq!(model.sample(4, 1.0).expect("samples"), plain, "the run's own seed");
    model.reseed(2);
    assert_ne!(model.sample(4, 1.0).expect("samples"), plain, "another");
}
