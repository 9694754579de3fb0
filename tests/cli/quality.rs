//! Samplers that are fitted to codes, and `elbo quality`.

use std::fmt::Write;
use std::fs;

use elbo::data::formats::npy;

use crate::program::{elbo, events, output, place, refusal_fault, succeed, text, train, tree};

const POINT: &str = "[model]\nencoder = [8]\ndecoder = [8]\nlatent = 2\nposterior = 'point'\n[train]\n\
                     batch-size = 16\n";

/// The lower half of a picture, where no caption is.
fn below(png: &[u8]) -> Vec<u8> {
    let decoder = png::Decoder::new(std::io::Cursor::new(png));
    let mut reader = decoder.read_info().expect("a picture");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    reader.next_frame(&mut pixels).expect("pixels");
    pixels.split_off(pixels.len() / 2)
}

/// A plain autoencoder has no prior, and samples all the same; what was fitted is kept for just its weights.
#[test]
fn samplers_are_fitted_once() {
    let dir = place();
    fs::write(dir.path().join("plain.toml"), POINT).expect("a file");
    succeed(train(&dir, "--config plain.toml --epochs 1 --quiet"));
    let sample = |flags: &str| {
        let command = elbo(&dir, &format!("sample out -n 4 --device cpu {flags}"));
        let output = output(command);
        assert_eq!(output.status.code(), Some(0), "{flags}: {output:?}");
        (text(&output.stdout).to_owned(), text(&output.stderr).to_owned())
    };
    for (from, says) in
        [("gmm", "of 1, 2 that were tried"), ("two-stage", "a second VAE, 200 epochs")]
    {
        let (_, said) = sample(&format!("--from {from} --json --out {from}.png"));
        assert!(said.contains(&format!("{from}: ")) && said.contains(says), "{said}");
        assert!(!said.contains("under the prior"), "it has none: {said}");
        let (_, again) = sample(&format!("--from {from} --json --out {from}-2.png"));
        assert!(again.contains("as kept"), "{again}");
        let read = |name: String| fs::read(dir.path().join(name)).expect("a picture");
        assert_eq!(read(format!("{from}.png")), read(format!("{from}-2.png")), "{from}: kept");
        sample(&format!("--from {from} --quiet --seed 5 --out {from}-3.png"));
        let images = |name: String| below(&read(name));
        assert_ne!(
            images(format!("{from}.png")),
            images(format!("{from}-3.png")),
            "{from}: a seed"
        );
    }
    let (_, said) = sample("--from gmm --components 2 --out two.png --json");
    assert!(said.contains("2 components;") && !said.contains("as kept"), "{said}");
    // The data is not needed for what is kept, but for what is not.
    fs::rename(dir.path().join("data"), dir.path().join("moved")).expect("a folder");
    let (_, said) = sample("--from gmm --components 2 --out three.png --json");
    assert!(said.contains("as kept"), "{said}");
    let refused = output(elbo(&dir, "sample out --from gmm --components 1 --device cpu"));
    let fault = refusal_fault("moved data", &refused, 74, "data");
    assert!(fault.is_none(), "{fault:?}");
    // A file that is no sampler, and weights that are others.
    fs::rename(dir.path().join("moved"), dir.path().join("data")).expect("a folder");
    let kept = dir.path().join("out/sampler-gmm.safetensors");
    fs::write(&kept, b"nothing").expect("a file");
    let (_, said) = sample("--from gmm --out four.png --json");
    assert!(said.contains("fitted anew") && !said.contains("as kept"), "{said}");
    succeed(elbo(&dir, "train --resume out --epochs 2 --device cpu --quiet"));
    let (_, said) = sample("--from gmm --out five.png --json");
    assert!(!said.contains("as kept"), "{said}");
}

#[test]
fn quality_is_told() {
    let dir = place();
    let (mut images, mut factors) = (Vec::new(), "row,column,flat\n".to_owned());
    for image in 0..200_usize {
        let (row, column) = (image % 5, image / 5 % 4);
        let near = |i: usize| (i / 12).abs_diff(2 * row + 1).max((i % 12).abs_diff(3 * column + 1));
        let bright = 1.0 - image as f32 / 400.0;
        images.extend((0..144).map(|i| if near(i) < 2 { bright } else { 0.0 }));
        let _ = writeln!(factors, "{row},{column},3");
    }
    let bytes = npy::to_bytes(&[200, 12, 12], &images).expect("an array");
    fs::write(dir.path().join("bars.npy"), bytes).expect("a file");
    fs::write(dir.path().join("factors.csv"), factors).expect("a file");
    succeed(train(&dir, "--data bars.npy --epochs 3 --quiet"));
    let flags = "quality out --device cpu --from prior,gmm -n 20 --factors factors.csv";
    let (_, line) = events(&succeed(elbo(&dir, &format!("{flags} --json")))).remove(0);
    let rows = line["distances"].as_array().expect("rows");
    let names: Vec<_> = rows.iter().filter_map(|row| row["from"].as_str()).collect();
    assert_eq!(names, ["training images", "prior", "gmm"], "{line}");
    let number = |row: usize, key: &str| rows[row][key].as_f64().expect(key);
    for key in ["precision", "recall"] {
        assert!(number(0, key) > 0.5 && number(1, key) <= 1.0, "{line}");
    }
    assert!(number(1, "frechet") > number(0, "frechet"), "{line}");
    assert!((0.0..=1.0).contains(&line["ssim"].as_f64().expect("similarity")), "{line}");
    assert!(line["psnr"].as_f64().expect("dB") > 5.0, "{line}");
    assert_eq!(line["features"]["columns"], 8, "{line}");
    let each = line["factors"]["each"].as_array().expect("factors");
    assert_eq!(each.len(), 2, "the flat one tells nothing: {line}");
    for key in ["mig", "disentanglement", "completeness"] {
        assert!((0.0..=1.0).contains(&line["factors"][key].as_f64().expect(key)), "{key}: {line}");
    }
    let said = succeed(elbo(&dir, flags));
    for words in ["PSNR", "SSIM", "training images", "gmm", "gap (MIG)", "column", "mean"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // By another run's encoder.
    succeed(train(&dir, "--data bars.npy --hidden 9 --out other --quiet"));
    let by = succeed(elbo(&dir, "quality out --device cpu -n 20 --features other --json"));
    assert_eq!(events(&by)[0].1["features"]["columns"], 9, "{by}");
}

#[test]
fn what_has_no_quality_is_refused() {
    let dir = place();
    succeed(train(&dir, "--quiet"));
    fs::write(dir.path().join("plain.toml"), POINT).expect("a file");
    succeed(train(&dir, "--config plain.toml --out plain --epochs 1 --quiet"));
    for set in [("train", 64_u32), ("t10k", 16)] {
        let head = [0x0801, set.1].into_iter().flat_map(u32::to_be_bytes);
        let labels: Vec<_> = head.chain((0..set.1).map(|image| image as u8 % 3)).collect();
        let path = dir.path().join(format!("data/{}-labels-idx1-ubyte", set.0));
        fs::write(path, labels).expect("a file");
    }
    succeed(train(&dir, "--classes 3 --out told --quiet"));
    fs::write(dir.path().join("short.csv"), "a,b\n1,2\n2,3\n").expect("a file");
    fs::write(dir.path().join("flat.csv"), "a,b\n1,2\n1,3\n").expect("a file");
    let before = tree(dir.path());
    let faults: Vec<_> = [
        ("sample told --from gmm", 2, "this model is conditional"),
        ("sample out --from nonsense", 2, "nonsense"),
        ("sample out --components 3", 2, "`--components` is of the gmm"),
        ("sample out --from two-stage --components 3", 2, "`--components` is of the gmm"),
        ("sample out --from gmm --components 0", 2, "`--components` has a 0"),
        ("sample out --from gmm --components 99", 2, "99 components for 58 codes"),
        ("sample out --from gmm --temperature -1", 2, "temperature"),
        ("sample out --data data", 2, "the prior is not fitted"),
        ("sample out --from gmm --data missing", 74, "missing"),
        ("quality out --from prior,told", 2, "told"),
        ("quality plain --from prior", 2, "no prior"),
        ("quality out -n 9", 2, "`--count` must be 10 or more"),
        ("quality out -n 17", 2, "17 samples, but 16 test images"),
        ("quality out --features missing", 74, "missing"),
        ("quality out --features told", 2, "`--features` is conditional"),
        ("quality out --factors short.csv", 1, "has factors of 2 images"),
        ("quality out --factors flat.csv", 1, "1 of 2 factors change"),
        ("quality out --factors short.txt", 2, "must end in `.npy` or `.csv`"),
        ("quality out --factors missing.csv", 74, "missing.csv"),
    ]
    .into_iter()
    .filter_map(|(flags, code, says)| {
        refusal_fault(flags, &output(elbo(&dir, &format!("{flags} --device cpu"))), code, says)
    })
    .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(tree(dir.path()) == before, "what is refused leaves nothing");
    // A conditional model and a plain autoencoder have a default each that works.
    for run in ["told", "plain"] {
        succeed(elbo(&dir, &format!("quality {run} --device cpu --json")));
    }
}
