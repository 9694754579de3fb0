//! What a trained model tells of images: their classes and the anomalies among them, with each number
//! compared with the library's or counted anew; and what all verbs that use a model refuse.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use elbo::checkpoint::State;
use elbo::data::Sources;
use elbo::evaluate::Z;
use elbo::probe::{Features, Logistic, accuracy, detection, nearest};
use elbo::{Config, Dataset, Device, Model};
use serde_json::Value;
use tempfile::TempDir;

use crate::program::{elbo, events, images, output, place, refusal_fault, succeed, train, tree};

/// The class of an image by its number.
pub(crate) fn class(image: usize) -> u8 {
    (image * image % 7 % 3) as u8
}

pub(crate) fn add_labels(dir: &TempDir, set: &str, count: usize) {
    let start = [0x0801_u32, count as u32].into_iter().flat_map(u32::to_be_bytes);
    let file: Vec<u8> = start.chain((0..count).map(class)).collect();
    let path = dir.path().join(format!("data/{set}-labels-idx1-ubyte"));
    fs::write(path, file).expect("the temporary folder takes a file");
}

/// A run on 64 images with labels, tested on 16.
pub(crate) fn trained() -> TempDir {
    let dir = place();
    add_labels(&dir, "train", 64);
    add_labels(&dir, "t10k", 16);
    succeed(train(&dir, "--epochs 2 --quiet"));
    dir
}

pub(crate) fn model(dir: &TempDir, data: &Dataset) -> Model {
    let state = State::read(&dir.path().join("out/checkpoint.safetensors")).expect("a state");
    Model::new(&Device::Cpu(0), &state, Some(data)).expect("a model")
}

pub(crate) fn datasets(dir: &TempDir) -> [Dataset; 2] {
    let (data, config) = (dir.path().join("data"), Config::default());
    let opened = Sources::new(&data, &config).open();
    opened.map(|opened| [opened.train, opened.test]).expect("images")
}

pub(crate) fn run(dir: &TempDir, flags: &str) -> String {
    succeed(elbo(dir, &format!("{flags} --device cpu --quiet")))
}

/// The one object that a verb prints.
pub(crate) fn told(dir: &TempDir, flags: &str) -> Value {
    let mut lines = events(&run(dir, &format!("{flags} --json")));
    assert_eq!(lines.len(), 1, "{flags}: {lines:?}");
    lines.remove(0).1
}

/// The names and the fields of a table.
pub(crate) fn csv(path: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let file = fs::read_to_string(path).expect("a table");
    let fields = |line: &str| line.split(',').map(str::to_owned).collect();
    let mut lines = file.lines().map(fields);
    (lines.next().expect("names"), lines.collect())
}

/// The commonest class of the k nearest rows; of classes as common, the one with the nearest row.
fn vote(rows: &[f32], query: &[f32], k: usize) -> u8 {
    let apart = |row: &[f32]| row.iter().zip(query).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let mut near: Vec<(f64, u8)> =
        rows.chunks(2).enumerate().map(|(image, row)| (apart(row), class(image))).collect();
    near.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    near.truncate(k);
    let votes = |class| near.iter().filter(|(_, other)| *other == class).count();
    let most = near.iter().map(|(_, class)| votes(*class)).max();
    near.iter().find(|(_, class)| Some(votes(*class)) == most).expect("a neighbour").1
}

#[test]
fn classes_are_told_by_codes() {
    let dir = trained();
    let sets = datasets(&dir);
    let of = |f: fn(&mut Model, usize) -> Vec<f32>| {
        sets.each_ref().map(|data| f(&mut model(&dir, data), data.len()))
    };
    let means = of(|model, images| model.encode(0..images).expect("codes").mean);
    let pixels = of(|model, images| model.pixels(0..images).expect("pixels"));
    let labels = |count: usize| (0..count).map(class).collect::<Vec<_>>();
    let share = |votes: &[u8]| accuracy(votes, &labels(16)).expect("a vote for each");
    let common = (0..3).max_by_key(|c| labels(64).iter().filter(|l| *l == c).count());
    let (mut by_k, mut by_c) = (BTreeSet::new(), BTreeSet::new());
    for (k, c) in [(1, 1e-6), (5, 0.5), (64, 1e4)] {
        let lines = events(&run(&dir, &format!("probe out --k {k} --c {c} --pixels --json")));
        assert_eq!(lines.len(), 2, "a line for each kind: {lines:?}");
        for ((event, line), (name, [train, test], columns)) in
            lines.iter().zip([("means", &means, 2), ("pixels", &pixels, 64)])
        {
            assert_eq!((event.as_str(), &line["features"]), ("probe", &name.into()), "{line}");
            let counts =
                ["columns", "train_images", "test_images", "k"].map(|key| line[key].clone());
            assert_eq!(counts, [columns, 64, 16, k].map(Value::from), "{line}");
            let [rows, queries] = [train, test].map(|x| Features::new(x, columns).expect("rows"));
            let votes = nearest(rows, &labels(64), queries, k).expect("votes");
            assert_eq!(line["nearest"], share(&votes), "k = {k}: {line}");
            if name == "means" {
                let counted: Vec<_> = test.chunks(2).map(|query| vote(train, query, k)).collect();
                assert_eq!(votes, counted, "k = {k}: the votes, counted anew");
            }
            let fitted = Logistic::fit(rows, &labels(64), c).expect("a fit");
            let expected = share(&fitted.predict(queries).expect("classes"));
            assert_eq!(line["logistic"], expected, "C = {c}: {line}");
            let expected = share(&[common.expect("a class"); 16]);
            assert_eq!(line["baseline"], expected, "{line}");
            by_k.insert((name, line["nearest"].to_string()));
            by_c.insert((name, line["logistic"].to_string()));
        }
    }
    assert!(by_k.len() > 2 && by_c.len() > 2, "k or C decides little: {by_k:?}, {by_c:?}");
    let said = run(&dir, "probe out --pixels --limit 12");
    for words in [
        "accuracy on 12 test images, after learning from 12 training images:\n",
        "from the encoder's means after step 8 (2 numbers for each image)\n",
        "from the pixels (64 numbers for each image)\n",
        "  logistic regression, C = 1 ",
        "  nearest neighbours, k = 5 ",
        "the most frequent class",
    ] {
        assert!(said.contains(words), "`{said}` does not say `{words}`");
    }
}

/// The share of pairs in which the anomalous image has the higher score, counted pair by pair.
fn area(scored: &[(f64, bool)]) -> f64 {
    let (mut pairs, mut wins) = (0.0, 0.0);
    for (score, _) in scored.iter().filter(|(_, anomalous)| *anomalous) {
        for (other, _) in scored.iter().filter(|(_, anomalous)| !*anomalous) {
            pairs += 1.0;
            wins += if score > other { 1.0 } else { 0.5 * f64::from(score == other) };
        }
    }
    wins / pairs
}

/// The number, score and mark of each line of a table of scores; its lines hold together.
fn scores(path: &Path, nll: bool) -> Vec<(usize, f64, bool)> {
    let (names, lines) = csv(path);
    assert_eq!(names.join(","), "image,label,score,recon,kl,anomalous", "the names");
    let found: Vec<_> = lines
        .iter()
        .map(|line| {
            let number = |at: usize| line[at].parse::<f64>().expect("a number");
            assert!(nll || number(2) == number(3) + number(4), "{line:?}");
            (number(0) as usize, number(2), number(5) == 1.0)
        })
        .collect();
    assert!(found.is_sorted_by(|a, b| a.1 >= b.1), "the highest first: {found:?}");
    found
}

#[test]
fn anomalies_are_found() {
    let dir = trained();
    let at = |name: &str| dir.path().join(name);
    let [_, test] = datasets(&dir);
    let mut model = model(&dir, &test);
    let losses: Vec<_> =
        model.each(Z::Sampled).expect("losses").iter().map(|[r, k]| r + k).collect();
    let nlls: Vec<_> =
        model.log_likelihood(7, |_| {}).expect("likelihoods").iter().map(|log| -log).collect();
    for (flags, out, is_anomalous, expected) in [
        ("--anomalous 0,2", "a.csv", [true, false, true], &losses),
        ("--normal 1", "b.csv", [true, false, true], &losses),
        ("--normal 0,2", "c.csv", [false, true, false], &losses),
        ("--anomalous 1 --samples 7", "d.csv", [false, true, false], &nlls),
    ] {
        let line = told(&dir, &format!("anomaly out {flags} --out {out}"));
        let found = scores(&at(out), flags.contains("samples"));
        assert_eq!(found.len(), 16, "{flags}: all images");
        for &(image, score, anomalous) in &found {
            assert_eq!(score, expected[image], "{flags}: the score of image {image}");
            let marked = is_anomalous[usize::from(class(image))];
            assert_eq!(anomalous, marked, "{flags}: the mark of image {image}");
        }
        let marks: Vec<_> = found.iter().map(|&(_, score, mark)| (score, mark)).collect();
        assert_eq!(line["auroc"], area(&marks), "{flags}: {line}");
        let (values, positive): (Vec<_>, Vec<_>) = marks.iter().copied().unzip();
        let told = detection(&values, &positive).expect("finite scores").expect("both kinds");
        assert_eq!(line["auroc_margin"], Value::from(told.auroc_margin), "{flags}: {line}");
        assert_eq!(line["average_precision"], told.average_precision, "{flags}: {line}");
        assert_eq!(line["fpr_at_95"], told.fpr_at_95, "{flags}: {line}");
        assert_eq!(line["reversed"], told.is_reversed(), "{flags}: {line}");
        let anomalous = marks.iter().filter(|(_, anomalous)| *anomalous).count();
        assert_eq!(
            (&line["anomalous"], &line["normal"]),
            (&anomalous.into(), &(16 - anomalous).into())
        );
        let mean = expected.iter().sum::<f64>() / 16.0;
        assert!((line["mean"].as_f64().expect("a mean") - mean).abs() < 1e-9, "{line}");
        // The median of 16 lies between the eighth and the ninth.
        let median = 0.5 * (found[7].1 + found[8].1);
        let told = line["quantiles"]["50"].as_f64().expect("a median");
        assert!((told - median).abs() < 1e-9, "{flags}: {told}, expected {median}");
        let lowest = line["quantiles"]["5"].as_f64().expect("a quantile");
        assert!((lowest - (0.25 * found[15].1 + 0.75 * found[14].1)).abs() < 1e-9, "{line}");
        let highest = line["highest"].as_array().expect("images");
        let numbers: Vec<_> = highest.iter().filter_map(|image| image["image"].as_u64()).collect();
        let expected: Vec<_> = found[..10].iter().map(|&(image, ..)| image as u64).collect();
        assert_eq!(numbers, expected, "{flags}: {line}");
    }
    let said = run(&dir, "anomaly out --limit 3 --split train");
    assert!(said.starts_with("3 training images, weights after step 8; −ELBO"), "`{said}`");
    assert!(!said.contains("AUROC") && !said.contains("AUPRC"), "`{said}`");
    assert_eq!(said.lines().filter(|line| line.starts_with("  image ")).count(), 3, "`{said}`");
}

/// What is worse than chance is said to be, and the extremes are drawn.
#[test]
fn scores_that_tell_the_wrong_way_round_are_named() {
    let dir = trained();
    let line = told(&dir, "anomaly out --split train");
    let highest = |class: u8| {
        let line = told(&dir, &format!("anomaly out --split train --anomalous {class}"));
        (line["auroc"].as_f64().expect("an area"), line["reversed"] == true)
    };
    assert!(line.get("reversed").is_none(), "nothing is told from others: {line}");
    let all = [0, 1, 2].map(highest);
    for (class, (area, reversed)) in all.into_iter().enumerate() {
        let flags = format!("anomaly out --split train --anomalous {class} --picture {class}.png");
        let said = run(&dir, &flags);
        assert_eq!(said.contains("worse than chance"), reversed, "{area}: `{said}`");
        assert!(!reversed || area < 0.5, "{area} is no worse than chance");
        assert!(said.contains("AUPRC ") && said.contains(", by chance 0."), "`{said}`");
        assert!(said.contains("FPR at 95 % TPR "), "`{said}`");
        assert!(said.ends_with(&format!("picture: {class}.png\n")), "`{said}`");
    }
    let file = fs::read(dir.path().join("0.png")).expect("a picture");
    assert!(file.starts_with(b"\x89PNG"), "a PNG");
}

#[test]
fn images_from_elsewhere_are_found() {
    let dir = trained();
    let line = |i: usize| (0..64).map(move |j| (255 * ((i + j) % 2)).to_string());
    let lines = (0..11).map(|i| line(i).collect::<Vec<_>>().join(",") + "\n");
    fs::write(dir.path().join("other.csv"), lines.collect::<String>()).expect("a table");
    let line = told(&dir, "anomaly out --against other.csv --out scores.csv");
    let found = scores(&dir.path().join("scores.csv"), false);
    // All of images that are not divided.
    assert_eq!((&line["anomalous"], &line["normal"]), (&11.into(), &16.into()), "{line}");
    let marks: Vec<_> = found.iter().map(|&(_, score, mark)| (score, mark)).collect();
    assert_eq!((marks.len(), &line["auroc"]), (27, &area(&marks).into()), "{line}");
    // Labels are of the run's own images; the others have none.
    for line in csv(&dir.path().join("scores.csv")).1 {
        let own = line[5] == "0";
        let image: usize = line[0].parse().expect("a number");
        let expected = if own { class(image).to_string() } else { String::new() };
        assert_eq!(line[1], expected, "{line:?}");
    }
    let said = run(&dir, "anomaly out --against other.csv --limit 4");
    assert!(said.starts_with("4 test images and 4 of `other.csv`, weights"), "`{said}`");
    let others = told(&dir, "anomaly out --against data --split train");
    assert_eq!(others["anomalous"], 64, "the same split: {others}");
    assert_eq!(others["auroc"], 0.5, "the same images score the same: {others}");
}

/// Flags, the exit code, and what the error says.
#[rustfmt::skip]
const REFUSED: &[(&str, i32, &str)] = &[
    ("encode data/t10k-images-idx3-ubyte --out a.npy", 1, "no safetensors"),
    ("encode out/weights.safetensors --out a.npy", 1, "no state of a run"),
    ("encode missing --out a.npy", 74, "`missing`"),
    ("encode out", 2, "required arguments"),
    ("encode out --out a.pt", 2, "`a.pt`; it must end in `.npy`, `.csv` or `.safetensors`"),
    ("encode out --out npy", 2, "`.npy`, `.csv` or `.safetensors`"),
    ("encode out --out a.csv --what z", 2, "`--what` chooses one array, and `a.csv`"),
    ("encode out --out a.npy --what sigma", 2, "sigma"),
    ("encode out --out old.npy", 74, "`old.npy`"),
    // Before anything is looked at.
    ("encode missing --out old.npy", 74, "`old.npy`"),
    ("decode missing missing.csv --out old.png", 74, "`old.png`"),
    ("anomaly missing --out old.csv", 74, "`old.csv`"),
    ("encode out --out nowhere/a.npy", 74, "`nowhere/a.npy`"),
    ("encode out --out a.npy --data missing", 74, "`missing`"),
    ("encode out --out a.npy --data large", 1, "images of 8 × 8, the data's are 16 × 8"),
    ("decode out three.csv --out a.npy", 1, "`three.csv`: has rows of 3 numbers, expected 2"),
    ("decode out bad.csv --out a.npy", 1, "`bad.csv`: line 2: `x` is no number"),
    ("decode out bytes.npy --out a.npy", 1, "`bytes.npy`: ends in the length"),
    ("decode out z.txt --out a.npy", 2, "`z.txt` must end in `.npy`, `.csv` or `.safetensors`"),
    ("decode out out/weights.safetensors --out a.npy", 1, "called `z` or `mean`"),
    ("decode out missing.npy --out a.npy", 74, "`missing.npy`"),
    ("decode out/weights.safetensors two.csv --out a.npy", 1, "no state of a run"),
    ("decode out two.csv --out a.jpg", 2, "`a.jpg`; it must end in `.npy` or `.png`"),
    ("decode out two.csv --out old.png", 74, "`old.png`"),
    ("decode out two.csv", 2, "required arguments"),
    ("probe out --k 0", 2, "`--k` is 0"),
    ("probe out --k 65", 2, "`--k` is 65, but there are 64 training images"),
    ("probe out --c 0", 2, "`--c` is 0"),
    ("probe out --c nan", 2, "`--c` is NaN"),
    ("probe out --limit 1 --k 1", 2, "all 1 training images are of the class 0"),
    ("probe out --data bare", 1, "`bare`: its training images have no labels: there is no file `train-labels-idx1-ubyte`"),
    ("probe out --data data --test-data bare", 1, "`bare`: its test images have no labels: there is no file `t10k-labels-idx1-ubyte`"),
    ("probe out --data large", 1, "have no labels"),
    ("probe out/weights.safetensors", 1, "no state of a run"),
    ("anomaly out --samples 0", 2, "`--samples` is 0"),
    ("anomaly out --out a.npy", 2, "`a.npy`; it must end in `.csv`"),
    ("anomaly out --out old.csv", 74, "`old.csv`"),
    ("anomaly out --picture old.png", 74, "`old.png`"),
    ("anomaly out --picture a.csv", 2, "`a.csv`; it must end in `.png`"),
    ("anomaly out --anomalous 256", 2, "256"),
    ("anomaly out --anomalous 7", 2, "with `--anomalous` 0 of 16 images are anomalous"),
    ("anomaly out --normal 7", 2, "with `--normal` 16 of 16 images are anomalous"),
    ("anomaly out --normal 0 --anomalous 1", 2, "cannot be used with"),
    ("anomaly out --normal 0 --against bare", 2, "cannot be used with"),
    ("anomaly out --anomalous 1 --data bare", 1, "no file `t10k-labels-idx1-ubyte`"),
    ("anomaly out --data large", 1, "images of 8 × 8, the data's are 16 × 8"),
    ("anomaly out --against large --out a.csv", 1, "images of 8 × 8, the data's are 16 × 8"),
    ("anomaly out --against missing", 74, "`missing`"),
    ("anomaly data/t10k-images-idx3-ubyte", 1, "no safetensors"),
];

#[test]
fn what_cannot_be_used_is_refused() {
    let dir = trained();
    let write = |name: &str, content: &[u8]| {
        fs::write(dir.path().join(name), content).expect("the temporary folder takes a file");
    };
    for folder in ["bare", "large"] {
        fs::create_dir(dir.path().join(folder)).expect("a folder");
        for set in ["train", "t10k"] {
            let mut file = images(16);
            if folder == "large" {
                (file[7], file[11]) = (8, 16);
            }
            write(&format!("{folder}/{set}-images-idx3-ubyte"), &file);
        }
    }
    ["old.npy", "old.png", "old.csv"].iter().for_each(|name| write(name, b"mine"));
    write("three.csv", b"1,2,3\n");
    write("two.csv", b"1,2\n");
    write("bad.csv", b"z_0,z_1\n1,x\n");
    write("bytes.npy", b"\x93NUMPY\x01\0");
    write("z.txt", b"1,2\n");
    let before = tree(dir.path());
    let mut faults = Vec::new();
    for &(flags, code, says) in REFUSED {
        let output = output(elbo(&dir, &format!("{flags} --device cpu --quiet")));
        faults.extend(refusal_fault(flags, &output, code, says));
        if tree(dir.path()) != before {
            faults.push(format!("{flags}: something was written"));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
