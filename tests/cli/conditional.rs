//! A run that is told classes, by every verb: what each makes of them, and what it refuses.

use std::fs;
use std::path::Path;

use elbo::checkpoint::State;
use elbo::{Device, Model};
use tempfile::TempDir;

use crate::codes::npy;
use crate::program::{elbo, output, place, refusal_fault, succeed, train, tree};
use crate::uses::{add_labels, class, csv, datasets, model, run, told};

/// A run on images of three classes.
fn trained(flags: &str) -> TempDir {
    let dir = place();
    add_labels(&dir, "train", 64);
    add_labels(&dir, "t10k", 16);
    succeed(train(&dir, &format!("--classes 3 --quiet {flags}")));
    dir
}

/// The numbers of a .npy file that the program wrote.
fn decoded(dir: &TempDir, flags: &str) -> Vec<f32> {
    let path = dir.path().join("made.npy");
    let _ = fs::remove_file(&path);
    run(dir, &format!("decode out codes.npy --out made.npy {flags}"));
    npy(&path).1
}

/// Fails unless both are the same but for the rounding of minibatches of other sizes.
fn near(found: &[f32], expected: &[f32], what: &str) {
    let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(found.len() == expected.len() && apart < 1e-6, "{what}: {apart:e} apart");
}

/// The size of a picture.
fn size(path: &Path) -> (u32, u32) {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    (word(16), word(20))
}

#[test]
fn a_conditional_run_is_of_use_to_every_verb() {
    let dir = trained("");
    let at = |name: &str| dir.path().join(name);
    let read = |name: &str| fs::read_to_string(at(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(read("out/config.toml").contains("classes = 3"), "the run keeps it");
    assert!(read("out/model-card.md").contains("one of 3 classes"), "the card tells of it");
    assert!(read("out/report.html").contains("conditional on 3 classes"), "so does the report");
    // Two z of three classes side by side, four times.
    let (width, height) = size(&at("out/images/sample_1.png"));
    assert!(width > height, "{width}×{height} is no picture of 6 by 4");
    run(&dir, "encode out --out codes.npy");
    let mut model = model(&dir, &datasets(&dir)[1]);
    let codes = model.encode(0..16).expect("codes").mean;
    near(&npy(&at("codes.npy")).1, &codes, "codes");
    let labels: Vec<_> = (0..16).map(class).collect();
    let (_, means) = model.reconstruct(0..16).expect("reconstructions");
    let list = labels.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    near(&decoded(&dir, &format!("--class {list}")), &means, "each of its class");
    let twos = model.decode_of(&codes, &[2; 16]).expect("images");
    near(&decoded(&dir, "--class 2"), &twos, "all of one class");
    assert!(twos != means, "the class says something");
    let loss = told(&dir, "evaluate out --samples 3")["loss"].as_f64().expect("a loss");
    let each = model.each(elbo::evaluate::Z::Sampled).expect("losses");
    let mean = each.iter().map(|[a, b]| a + b).sum::<f64>() / 16.0;
    assert!((loss - mean).abs() < 1e-9 * mean, "{loss} and {mean}");
    run(&dir, "anomaly out --out scores.csv");
    assert_eq!(csv(&at("scores.csv")).1.len(), 16, "a score each");
    for (name, flags) in [
        ("all", "sample out"),
        ("one", "sample out --class 1"),
        ("some", "sample out --class 2,0 --count 5"),
        ("rows", "reconstruct out"),
        ("ways", "interpolate out --from 0,3 --to 1,2 --steps 4"),
        ("dims", "traverse out --class 1"),
        ("near", "traverse out --image 3"),
        ("like", "traverse out --image 3 --class 0"),
        ("plane", "traverse out --plane --class 2 --steps 3"),
        ("codes", "scatter out"),
    ] {
        run(&dir, &format!("{flags} --out {name}.png"));
        assert!(size(&at(&format!("{name}.png"))).0 > 0, "{flags}");
    }
    let bytes = |name: &str| fs::read(at(&format!("{name}.png"))).expect("a picture");
    assert!(bytes("near") != bytes("like"), "another class than the image's");
    let state = State::read(&at("out/checkpoint.safetensors")).expect("a state");
    for part in ["encoder", "decoder"] {
        bare(&dir, &format!("export out --part {part} --out {part}.onnx"));
    }
    // What is exported comes back, if the configuration says so.
    bare(&dir, "export out --out all.safetensors");
    bare(&dir, "import all.safetensors --classes 3 --out back");
    let back = State::read(&at("back/checkpoint.safetensors")).expect("a state");
    assert_eq!((back.size, back.config.model.classes), (state.size, 3), "pixels and classes");
    assert_eq!(back.config.model.latent, 2, "the first layers' columns are not z's");
    let of = |state: &State| {
        let mut model = Model::new(&Device::Cpu(1), state, None).expect("a model");
        model.decode_of(&[0.5, -0.5], &[1]).expect("an image")
    };
    assert_eq!(of(&back), of(&state), "the same model");
}

/// The images of a picture of two columns without labels of rows, which are 144 pixels wide and high.
fn images_of(path: &Path) -> Vec<Vec<u8>> {
    let file = std::io::BufReader::new(fs::File::open(path).expect("a picture"));
    let mut reader = png::Decoder::new(file).read_info().expect("a PNG header");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a small picture")];
    reader.next_frame(&mut pixels).expect("a whole picture");
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    let rows = (height - 28) / (144 + 12);
    let image = |row: usize, column: usize| -> Vec<u8> {
        let (left, below) = (28 + column * (144 + 12), rows - 1 - row);
        let top = height - 28 - 144 - below * (144 + 12);
        (top..top + 144).flat_map(|y| pixels[y * width + left..][..144].to_vec()).collect()
    };
    (0..rows).flat_map(|row| [0, 1].map(|column| image(row, column))).collect()
}

/// A row of samples is of one z, which is that of an image that is drawn by itself.
#[test]
fn samples_of_a_row_share_their_z() {
    let dir = trained("");
    let drawn = |flags: &str, name: &str| {
        run(&dir, &format!("sample out {flags} --out {name}.png"));
        let mut images = images_of(&dir.path().join(format!("{name}.png")));
        // The last are of the sheet; words may stand above.
        images.drain(..images.len() - 4);
        <[Vec<u8>; 4]>::try_from(images).expect("two rows of two")
    };
    let [a, b, c, d] = drawn("--class 1,1 --count 4", "same");
    assert!(a == b && c == d && a != c, "a z for each row");
    let [e, f, g, h] = drawn("--class 1,2 --count 4", "other");
    assert!(e == a && g == c, "of the first class as before");
    assert!(f != b && h != d && f != h, "of the second class otherwise");
    let [i, j, ..] = drawn("--class 1 --count 4", "one");
    assert!(i == a && j == c, "images of one class are of the same z, one after another");
}

/// Runs a verb that takes no device.
fn bare(dir: &TempDir, flags: &str) {
    succeed(elbo(dir, flags));
}

/// What is refused: the flags, the exit code and what is said.
#[rustfmt::skip]
const REFUSED: &[(&str, i32, &str)] = &[
    ("sample out --class 3", 2, "there is no class 3; this model knows 0 to 2"),
    ("sample out --class 256", 2, "256"),
    ("sample out --class x", 2, "'--class"),
    ("sample plain --class 1", 2, "this model is not conditional"),
    ("decode out z.csv --out a.npy", 2, "no class was given"),
    ("decode out z.csv --class 0,1 --out a.npy", 2, "`--class` names 2 classes, and there are 3 z"),
    ("decode out z.csv --class 0,1,7 --out a.npy", 2, "there is no class 7; this model knows 0 to 2"),
    ("decode plain z.csv --class 0 --out a.npy", 2, "this model is not conditional"),
    ("traverse out", 2, "no class was given"),
    ("traverse out --plane", 2, "no class was given"),
    ("traverse plain --class 1", 2, "this model is not conditional"),
    ("probe out", 2, "is told the classes"),
    ("evaluate out --data bare", 1, "`bare`: its test images have no labels"),
    ("encode out --data bare --out a.npy", 1, "`bare`: its test images have no labels"),
    ("reconstruct out --data bare", 1, "have no labels"),
    ("interpolate out --data bare", 1, "have no labels"),
    ("traverse out --class 1 --data bare", 1, "have no labels"),
    ("scatter out --data bare --split train", 1, "no file `train-labels-idx1-ubyte`"),
    ("anomaly out --against bare", 1, "have no labels"),
    ("train --data bare --classes 3 --batch-size 8", 1, "have no labels"),
    ("train --data data --classes 2 --batch-size 8", 1, "has the class 2; the model knows 2 classes, counted from 0"),
    ("train --data data --classes 1", 2, "`classes` is 1"),
    ("train --data data --classes 257", 2, "`classes` is 257"),
    ("import all.safetensors --classes 2 --out b", 1, "`fc3.weight` has the shape [8, 5], expected [8, 4]"),
    ("import all.safetensors --classes 100 --out b", 1, "has 67 columns, too few for pixels and 100 classes"),
];

#[test]
fn what_does_not_know_its_classes_is_refused() {
    let dir = trained("");
    succeed(train(&dir, "--quiet --out plain"));
    bare(&dir, "export out --out all.safetensors");
    fs::create_dir(dir.path().join("bare")).expect("a folder");
    for set in ["train", "t10k"] {
        let name = format!("{set}-images-idx3-ubyte");
        fs::copy(dir.path().join("data").join(&name), dir.path().join("bare").join(&name))
            .expect("a copy");
    }
    fs::write(dir.path().join("z.csv"), "0,1\n1,0\n2,2\n").expect("a table");
    let before = tree(dir.path());
    let mut faults = Vec::new();
    for &(flags, code, says) in REFUSED {
        let device = if flags.starts_with("import") { "" } else { "--device cpu --quiet" };
        let output = output(elbo(&dir, &format!("{flags} {device}")));
        faults.extend(refusal_fault(flags, &output, code, says));
        if tree(dir.path()) != before {
            faults.push(format!("{flags}: something was written"));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// A run that goes on with other labels would not be the same run.
#[test]
fn a_run_does_not_go_on_with_other_labels() {
    let dir = trained("");
    let path = dir.path().join("data/train-labels-idx1-ubyte");
    let good = fs::read(&path).expect("labels");
    let mut swapped = good.clone();
    let last = swapped.len() - 1;
    swapped[last] = (swapped[last] + 1) % 3;
    fs::write(&path, swapped).expect("labels");
    let flags = "train --resume out --epochs 2 --device cpu --quiet";
    let fault = refusal_fault(flags, &output(elbo(&dir, flags)), 1, "or their labels are not");
    assert_eq!(fault, None, "one other label");
    fs::write(&path, good).expect("labels");
    succeed(elbo(&dir, flags));
}
