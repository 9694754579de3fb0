//! Probes against scikit-learn's numbers, which `tests/golden/probe.py` wrote; and on MNIST.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use std::fs;
use std::path::Path;
use std::time::Instant;

use elbo::probe::{DEFAULT_C, DEFAULT_K, Features, Logistic, accuracy, detection, nearest};
use serde_json::Value;

/// The generator of `tests/golden/README.md`, in [-1, 1).
fn value(seed: u64, i: u64) -> f64 {
    let mixed = (seed << 32).wrapping_add(i).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let z = z ^ (z >> 31);
    (z >> 40) as f64 / f64::from(1 << 24) * 2.0 - 1.0
}

/// One case of the golden file, with its inputs made again.
struct Case {
    found: Value,
    columns: usize,
    x: Vec<f32>,
    labels: Vec<u8>,
}

impl Case {
    fn new(found: Value) -> Self {
        let number = |key: &str| found[key].as_u64().expect(key);
        let [seed, rows, columns, classes] = ["seed", "rows", "columns", "classes"].map(number);
        let scale = floats(&found["scale"]);
        let labels: Vec<_> = (0..rows).map(|i| (7 * i + i / 5) % classes).collect();
        let mut x = Vec::new();
        for (i, label) in (0..rows).zip(&labels) {
            for (j, scale) in (0..columns).zip(&scale) {
                let (own, shared) =
                    (value(seed, i * columns + j), value(seed + 1, label * columns + j));
                x.push((own * scale + 0.6 * scale * shared) as f32);
            }
        }
        let labels = labels.iter().map(|&label| label as u8).collect();
        Self { found, columns: columns as usize, x, labels }
    }

    fn name(&self) -> &str {
        self.found["name"].as_str().expect("a name")
    }

    /// What is learnt from and what is judged, with their labels.
    fn halves(&self) -> [(Features<'_>, &[u8]); 2] {
        let half = self.labels.len() / 2;
        let (train, test) = self.x.split_at(half * self.columns);
        let (labels, test_labels) = self.labels.split_at(half);
        [(train, labels), (test, test_labels)]
            .map(|(x, labels)| (Features::new(x, self.columns).expect("rows"), labels))
    }
}

fn floats(list: &Value) -> Vec<f64> {
    let list = list.as_array().expect("a list");
    list.iter().map(|v| v.as_f64().expect("a number")).collect()
}

fn bytes(list: &Value) -> Vec<u8> {
    floats(list).into_iter().map(|v| v as u8).collect()
}

fn cases() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/probe.json");
    let text = fs::read_to_string(path).expect("the golden file");
    let all: Vec<Value> = serde_json::from_str(&text).expect("a list");
    assert_eq!(all.len(), 5, "the cases");
    all.into_iter().map(Case::new).collect()
}

#[test]
fn logistic_regression_is_that_of_scikit_learn() {
    for case in &cases() {
        let [(x, labels), (test, test_labels)] = case.halves();
        let c = case.found["c"].as_f64().expect("C");
        let model = Logistic::fit(x, labels, c).expect("a fit");
        assert!(model.converged(), "{}: {} iterations", case.name(), model.iterations());
        let scale = floats(&case.found["scale"]);
        let mut most = 0.0_f64;
        let expected = floats(&case.found["coefficients"]);
        assert_eq!(model.weights().len(), expected.len(), "{}: coefficients", case.name());
        for (i, (found, expected)) in model.weights().iter().zip(expected).enumerate() {
            // What a weight does is its product with a feature.
            most = most.max((found - expected).abs() * scale[i % case.columns].max(1.0));
        }
        let expected = floats(&case.found["intercepts"]);
        assert_eq!(model.intercepts().len(), expected.len(), "{}: intercepts", case.name());
        for (found, expected) in model.intercepts().iter().zip(expected) {
            most = most.max((found - expected).abs());
        }
        println!("{}: {most:.1e} apart after {} iterations", case.name(), model.iterations());
        assert!(most < 1e-4, "{}: coefficients are {most} apart", case.name());
        let predicted = model.predict(test).expect("classes");
        assert_eq!(predicted, bytes(&case.found["predicted"]), "{}: classes", case.name());
        let expected = case.found["accuracy"].as_f64().expect("a share");
        let found = accuracy(&predicted, test_labels).expect("a share");
        assert!((found - expected).abs() < 1e-12, "{}: {found}, not {expected}", case.name());
    }
}

#[test]
fn neighbours_are_those_of_scikit_learn() {
    for case in &cases() {
        let [(x, labels), (test, _)] = case.halves();
        for (k, expected) in case.found["neighbours"].as_object().expect("a list for each k") {
            let found = nearest(x, labels, test, k.parse().expect("k")).expect("classes");
            assert_eq!(found, bytes(expected), "{}: k = {k}", case.name());
        }
    }
}

#[test]
fn detection_is_that_of_scikit_learn() {
    for case in &cases() {
        let last = case.labels.iter().max().expect("labels");
        let positive: Vec<_> = case.labels.iter().map(|label| label == last).collect();
        let firsts = case.x.chunks(case.columns).map(|x| f64::from(x[0]));
        // As NumPy rounds: halves to even.
        let tied = firsts.clone().map(|x| (x * 4.0).round_ties_even());
        let all = [("detection", firsts.collect::<Vec<_>>()), ("detection_tied", tied.collect())];
        for (scored, scores) in all {
            let found = detection(&scores, &positive).expect("finite scores").expect("both kinds");
            for (key, value) in [
                ("auroc", found.auroc),
                ("auroc_margin", found.auroc_margin.expect("many of both")),
                ("average_precision", found.average_precision),
                ("fpr_at_95", found.fpr_at_95),
            ] {
                let expected = case.found[scored][key].as_f64().expect("a number");
                let case = format!("{}, {scored}, {key}", case.name());
                assert!((value - expected).abs() < 1e-12, "{case}: {value}, expected {expected}");
            }
        }
    }
}

/// The accuracies of scikit-learn 1.9.1 on MNIST's 49 means: `LogisticRegression(max_iter=10000,
/// tol=1e-8)`, which is 0.8948 where it stops after 100 iterations by default, and
/// `KNeighborsClassifier(5)`.
const LOGISTIC: f64 = 0.8960;
const NEIGHBOURS: f64 = 0.9542;

/// MNIST's images as means of 4 x 4 pixels, from 0 to 1, with their labels.
fn mnist() -> [(Vec<f32>, Vec<u8>); 2] {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/mnist");
    let files = elbo::data::formats::idx::read_folder(&folder).expect("MNIST lies in assets/mnist");
    let sets = [(files.train, files.train_labels), (files.test, files.test_labels)];
    sets.map(|(images, labels)| {
        let mut features = Vec::new();
        for image in images.pixels.chunks(784) {
            for place in 0..49 {
                let first = place / 7 * 4 * 28 + place % 7 * 4;
                let pixels = (0..16).map(|i| u32::from(image[first + i / 4 * 28 + i % 4]));
                features.push((f64::from(pixels.sum::<u32>()) / (16.0 * 255.0)) as f32);
            }
        }
        (features, labels.expect("labels beside the images"))
    })
}

#[test]
#[ignore = "takes a minute; run it with --release"]
fn mnist_in_49_means_is_judged_as_by_scikit_learn() {
    let [(train, labels), (test, test_labels)] = mnist();
    let [x, test] = [&train, &test].map(|x| Features::new(x, 49).expect("rows"));
    let start = Instant::now();
    let model = Logistic::fit(x, &labels, DEFAULT_C).expect("a fit");
    let share = accuracy(&model.predict(test).expect("classes"), &test_labels).expect("a share");
    let iterations = model.iterations();
    println!("logistic: {share} after {iterations} iterations, {:?}", start.elapsed());
    assert!(model.converged(), "{iterations} iterations");
    assert!((share - LOGISTIC).abs() < 0.002, "{share}, not {LOGISTIC}");
    let start = Instant::now();
    let found = nearest(x, &labels, test, DEFAULT_K).expect("classes");
    let share = accuracy(&found, &test_labels).expect("a share");
    println!("neighbours: {share}, {:?}", start.elapsed());
    assert!((share - NEIGHBOURS).abs() < 0.002, "{share}, not {NEIGHBOURS}");
}
