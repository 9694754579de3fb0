//! Images from other files than IDX, and what a run remembers of them.

use std::fs;

use tempfile::TempDir;

use crate::program::{
    elbo, events, output, place, refusal_fault, succeed, text, train, tree, weights,
};

/// The one object that was printed.
fn one(printed: &str) -> serde_json::Value {
    let mut lines = events(printed);
    assert_eq!(lines.len(), 1, "{printed}");
    lines.remove(0).1
}

/// `count` lines of 64 pixels.
fn lines(count: usize, factor: usize) -> String {
    let line = |i: usize| (0..64).map(move |j| (((i * 64 + j) * factor + i * i) % 256).to_string());
    (0..count).map(|i| line(i).collect::<Vec<_>>().join(",") + "\n").collect()
}

#[test]
fn a_run_remembers_its_test_images() {
    let dir = place();
    for (name, content) in [("x.csv", lines(40, 7)), ("y.csv", lines(10, 11))] {
        fs::write(dir.path().join(name), content).expect("the temporary folder takes a file");
    }
    succeed(train(&dir, "--data x.csv --test-data y.csv"));
    let config = fs::read_to_string(dir.path().join("out/config.toml")).expect("a configuration");
    // In full, so that the run can be used from any folder.
    let named = |key: &str, name: &str| {
        let line = config.lines().find(|line| line.starts_with(&format!("{key} = "))).expect(key);
        assert!(line.ends_with(&format!("{name}\"")) && line.contains("= \"/"), "{line}");
    };
    named("data", "/x.csv");
    named("test-data", "/y.csv");
    // The state knows its images by their hash, so this is the same division.
    succeed(elbo(&dir, "train --resume out --epochs 2 --device cpu"));
    // Data that is named anew is divided by itself.
    let flags = "train --resume out --data x.csv --epochs 3 --device cpu --quiet";
    let says = "the training images are not the checkpoint's";
    let fault = refusal_fault(flags, &output(elbo(&dir, flags)), 1, says);
    assert_eq!(fault, None, "divided otherwise");
    // A tenth of 40.
    let done = output(train(&dir, "--data x.csv --out divided"));
    let said = text(&done.stderr);
    assert!(said.contains("`x.csv`, 36 images of ") && said.contains(", 4 to test on"), "{said}");
}

/// A .npy of f32 of this shape.
fn array(dir: &TempDir, name: &str, shape: &[usize], value: impl Fn(usize) -> f32) {
    let values: Vec<f32> = (0..shape.iter().product()).map(value).collect();
    let bytes = elbo::data::formats::npy::to_bytes(shape, &values).expect("a shape");
    fs::write(dir.path().join(name), bytes).expect("the temporary folder takes a file");
}

/// Blots of three colours, which differ from image to image.
fn colour(i: usize) -> f32 {
    let (image, pixel, channel) = (i / 192, i % 192 / 3, i % 3);
    let place = ((image * 37 + channel * 11) % 64) as f32;
    ((-0.01 * (pixel as f32 - place).powi(2)).exp() * 255.0).round()
}

#[test]
fn what_would_be_read_is_told() {
    let dir = place();
    array(&dir, "x.npy", &[100, 8, 8, 3], colour);
    let said = succeed(elbo(&dir, "data x.npy --out sheet.png"));
    for part in
        ["90 images of 8 × 8 × 3 to train on, 10 to test on", "divided by 255", "held as bytes"]
    {
        assert!(said.contains(part), "`{part}` is not in {said}");
    }
    let sheet = fs::read(dir.path().join("sheet.png")).expect("a contact sheet");
    assert!(is_coloured(&sheet), "the sheet has colours");
    let before = tree(dir.path());
    let told = one(&succeed(elbo(&dir, "data x.npy --grey --json")));
    assert_eq!(tree(dir.path()), before, "nothing is written unless asked for");
    assert_eq!((&told["channels"], &told["images"]), (&1.into(), &90.into()), "{told}");
    // 64 images are there of each blot, a hundred in all.
    assert_eq!(told["duplicates"], 36, "{told}");
    assert_eq!(told["duplicates_across"], 0, "equal images are on one side: {told}");
    let flags = "data x.npy --likelihood bernoulli --range none";
    let fault = refusal_fault(flags, &output(elbo(&dir, flags)), 1, "pixels go from 0 to 255");
    assert_eq!(fault, None, "what does not fit a likelihood");
}

/// What `elbo train` of the same flags would do of them, which it does.
#[test]
fn images_are_shown_as_they_would_be_trained_on() {
    let dir = place();
    let wave = |i: usize| ((i * i % 1009) as f32 / 1008.0 * 7.0).sin();
    array(&dir, "grey.npy", &[100, 8, 8], wave);
    array(&dir, "colour.npy", &[100, 8, 8, 3], wave);
    for name in ["grey", "colour"] {
        let said = succeed(elbo(&dir, &format!("data {name}.npy")));
        assert!(said.contains("mapped from [-1, 1] to [0, 1]"), "{name}: {said}");
        assert_eq!(
            said.contains("`--likelihood normal --scale shared`"),
            name == "colour",
            "{said}"
        );
        assert!(!said.contains("would refuse"), "{name}: {said}");
        let done = output(train(&dir, &format!("--data {name}.npy --out {name}")));
        assert!(text(&done.stderr).contains("mapped from [-1, 1] to [0, 1]"), "{name}");
    }
    array(&dir, "wide.npy", &[100, 8, 8], |i| 3.0 * wave(i));
    let refusal = "the likelihood `bernoulli` needs [0, 1]";
    let said = succeed(elbo(&dir, "data wide.npy"));
    for part in [
        "90 images of 8 × 8",
        "taken as they are",
        "would refuse this",
        refusal,
        "--range standardise",
    ] {
        assert!(said.contains(part), "`{part}` is not in {said}");
    }
    let told = one(&succeed(elbo(&dir, "data wide.npy --json")));
    assert!(told["refused"].as_str().is_some_and(|why| why.contains(refusal)), "{told}");
    let fault = refusal_fault("", &output(train(&dir, "--data wide.npy --out wide")), 1, refusal);
    assert_eq!(fault, None, "it does");
    // Where it is known only by the pixels.
    let said = succeed(elbo(&dir, "data wide.npy --range none"));
    assert!(said.contains("would refuse this: pixels go from -2.99"), "{said}");
    // What the hint says is not refused.
    let mended = one(&succeed(elbo(&dir, "data wide.npy --likelihood normal --json")));
    assert_eq!(mended["refused"], serde_json::Value::Null, "{mended}");
    // A file that cannot be read is refused by both.
    fs::write(dir.path().join("broken.npy"), b"\x93NUMPY").expect("a file");
    let broken = output(elbo(&dir, "data broken.npy"));
    assert_eq!(refusal_fault("data broken.npy", &broken, 1, "broken.npy"), None, "broken");
}

/// Whether a PNG has a pixel whose red and blue differ.
fn is_coloured(png: &[u8]) -> bool {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a small one")];
    reader.next_frame(&mut pixels).expect("its pixels");
    pixels.chunks_exact(3).any(|pixel| pixel[0].abs_diff(pixel[2]) > 16)
}

#[test]
fn colour_is_trained_on_and_shown() {
    let dir = place();
    array(&dir, "x.npy", &[100, 8, 8, 3], colour);
    let done = output(train(&dir, "--data x.npy --epochs 30 --hidden 32"));
    let said = text(&done.stderr);
    assert!(
        said.contains("images of 8 × 8 × 3 to train on") && said.contains("divided by 255"),
        "{said}"
    );
    assert!(said.contains("`--likelihood normal --scale shared`"), "{said}");
    let config = fs::read_to_string(dir.path().join("out/config.toml")).expect("a configuration");
    assert!(
        config.contains("likelihood = \"normal\"\n") && config.contains("scale = \"shared\""),
        "{config}"
    );
    let card = fs::read_to_string(dir.path().join("out/model-card.md")).expect("a card");
    assert!(card.contains("8 × 8 × 3") && card.contains("divided by 255"), "{card}");
    for flags in ["sample out", "reconstruct out", "traverse out", "interpolate out"] {
        succeed(elbo(&dir, &format!("{flags} --device cpu --quiet --out picture.png")));
        let picture = dir.path().join("picture.png");
        assert!(is_coloured(&fs::read(&picture).expect("a picture")), "{flags} shows colours");
        fs::remove_file(picture).expect("the picture");
    }
    succeed(elbo(&dir, "encode out --out z.npy --device cpu --quiet"));
    let told =
        one(&succeed(elbo(&dir, "decode out z.npy --out x.npy.npy --device cpu --json --quiet")));
    assert_eq!(told["channels"], 3, "{told}");
    // Grey images are not those of the run.
    let flags = "evaluate out --data data --device cpu";
    let says = "the checkpoint is of images of 8 × 8 × 3, the data's are 8 × 8";
    let fault = refusal_fault(flags, &output(elbo(&dir, flags)), 1, says);
    assert_eq!(fault, None, "grey images");
}

/// Channels that share the component of a mixture, from a fully connected last layer and from a map, by every verb.
#[test]
fn colours_are_modelled_together() {
    let dir = place();
    array(&dir, "x.npy", &[100, 8, 8, 3], colour);
    for (run, decoder, outputs) in [
        ("flat", "[16]", "decoder.1"),
        ("map", "['linear 64', 'map 4x4x4', 'conv 5 3x3 upsample 2', 'relu']", "decoder.4"),
    ] {
        let config = format!(
            "[model]\nlikelihood = 'colour-mixture'\ncomponents = 2\nencoder = [16, 8]\nlatent = 2\n\
             decoder = {decoder}\n[train]\nbatch-size = 10\nepochs = 12\n[optimizer]\nlr = 0.01\n"
        );
        fs::write(dir.path().join("colour.toml"), config).expect("a configuration");
        succeed(train(&dir, &format!("--config colour.toml --data x.npy --quiet --out {run}")));
        // 20 numbers for each place: of a convolution so many outputs, else of 64 places.
        let shape = &weights(&dir.path().join(run).join("weights.safetensors"))
            [&format!("{outputs}.weight")];
        assert_eq!(shape[0], if run == "map" { 20 } else { 20 * 64 }, "{run}: {shape:?}");
        let metrics =
            fs::read_to_string(dir.path().join(run).join("metrics.jsonl")).expect("metrics");
        let losses: Vec<_> = events(&metrics)
            .iter()
            .filter(|(event, _)| event == "epoch")
            .map(|(_, epoch)| epoch["test_loss"].as_f64().expect("a loss"))
            .collect();
        assert!(losses[11] < losses[0], "{run} learns: {losses:?}");
        let told =
            one(&succeed(elbo(&dir, &format!("evaluate {run} --device cpu --json --quiet"))));
        let bits = told["bits_per_dimension"].as_f64().expect("bits of each of 192 numbers");
        let expected = told["loss"].as_f64().expect("nats") / (192.0 * std::f64::consts::LN_2);
        assert!((bits - expected).abs() < 1e-12 && bits > 0.0 && bits < 10.0, "{run}: {told}");
        let card = fs::read_to_string(dir.path().join(run).join("model-card.md")).expect("a card");
        assert!(card.contains("colour-mixture of 2 components, 256 levels"), "{card}");
        for flags in ["sample", "sample --pixels drawn", "reconstruct"] {
            let (verb, more) = flags.split_once(' ').unwrap_or((flags, ""));
            succeed(elbo(
                &dir,
                &format!("{verb} {run} {more} --device cpu --quiet --out picture.png"),
            ));
            let picture = dir.path().join("picture.png");
            assert!(is_coloured(&fs::read(&picture).expect("a picture")), "{flags} shows colours");
            fs::remove_file(picture).expect("the picture");
        }
        succeed(elbo(&dir, &format!("export {run} --part decoder --out {run}.onnx")));
    }
}

/// The values of a later file are those that they were to the run, whatever else is in it.
#[test]
fn a_later_file_is_read_as_the_run_was() {
    let dir = place();
    let value = |i: usize| ((i * 7 + i / 64 * 13) % 17) as f32;
    array(&dir, "digits.npy", &[100, 8, 8], value);
    let done = output(train(&dir, "--data digits.npy"));
    let said = text(&done.stderr);
    assert!(said.contains("values from 0 to 16, divided by 16"), "{said}");
    // Its largest is 8, which is a half and not white.
    array(&dir, "dark.npy", &[100, 8, 8], |i| value(i).min(8.0));
    let flags = "reconstruct out --data dark.npy --count 10 --device cpu --quiet --out dark.png";
    succeed(elbo(&dir, flags));
    let sheet = fs::read(dir.path().join("dark.png")).expect("a picture");
    let mut reader = png::Decoder::new(std::io::Cursor::new(sheet)).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a small one")];
    reader.next_frame(&mut pixels).expect("its pixels");
    // The first of two rows, of images above their reconstructions; right of the middle are no words. The
    // frames are 0x8d, the paper is white.
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    let row = height - 28 - (144 + 12) - 144;
    let row = pixels[row * width..(row + 144) * width].chunks(width);
    let shades =
        row.flat_map(|row| &row[width / 2..]).filter(|shade| ![0x8d, 255].contains(*shade));
    let lightest = shades.max().copied();
    assert_eq!(lightest, Some(128), "half of white is the brightest");
    array(&dir, "shares.npy", &[100, 8, 8], |i| value(i) / 16.0);
    let flags = "evaluate out --data shares.npy --device cpu";
    let says = "those of the run's data are whole numbers, divided by 16";
    let fault = refusal_fault(flags, &output(elbo(&dir, flags)), 1, says);
    assert_eq!(fault, None, "floats");
    // The run goes on with its own reading.
    succeed(elbo(&dir, "train --resume out --epochs 2 --device cpu --quiet"));
}

/// A folder of pictures of 8 × 8, with so many channels.
fn pictures(dir: &TempDir, name: &str, color: png::ColorType) {
    let folder = dir.path().join(name);
    fs::create_dir(&folder).expect("a folder");
    for i in 0..30_usize {
        let file = fs::File::create(folder.join(format!("{i:02}.png"))).expect("a file");
        let mut encoder = png::Encoder::new(file, 8, 8);
        encoder.set_color(color);
        let pixels: Vec<u8> =
            (0..64 * color.samples()).map(|j| (i * 37 + j * (j % 3 + i)) as u8).collect();
        let mut writer = encoder.write_header().expect("a header");
        writer.write_image_data(&pixels).expect("a picture");
    }
}

/// What was left to the training pictures is the run's from then on.
#[test]
fn later_pictures_get_the_channels_of_the_run() {
    let dir = place();
    pictures(&dir, "grey", png::ColorType::Grayscale);
    pictures(&dir, "colour", png::ColorType::Rgb);
    for (name, other) in [("grey", "colour"), ("colour", "grey")] {
        succeed(train(&dir, &format!("--data {name} --out run-{name} --batch-size 27")));
        let flags = format!("evaluate run-{name} --data {other} --device cpu");
        let done = output(elbo(&dir, &flags));
        assert!(done.status.success(), "{flags}: {}", text(&done.stderr));
        let made_grey = text(&done.stderr).contains("30 in colour, made grey");
        assert_eq!(made_grey, name == "grey", "{}", text(&done.stderr));
        // It goes on with what it had.
        succeed(elbo(&dir, &format!("train --resume run-{name} --epochs 2 --device cpu --quiet")));
    }
}

#[test]
fn the_default_batch_fits_itself() {
    let dir = place();
    array(&dir, "few.npy", &[20, 4, 4], |i| (i * i % 1009) as f32 / 1008.0);
    let done =
        output(elbo(&dir, "train --data few.npy --device cpu --hidden 4 --epochs 1 --out out"));
    let said = text(&done.stderr);
    assert!(said.contains("a minibatch has all 18 images"), "{said}");
    let flags = "train --data few.npy --device cpu --batch-size 64 --out other";
    let fault = refusal_fault(flags, &output(elbo(&dir, flags)), 2, "`batch-size` is 64");
    assert_eq!(fault, None, "one that was asked for is not changed");
}

/// Each hint mends what it is said of.
#[test]
fn what_is_wrong_is_told_and_its_hint_mends_it() {
    let dir = place();
    // Faint signals under a scale of 1: nothing is to be gained by a code.
    let faint = |i: usize| 0.3 * ((i % 32) as f32 * (0.05 + 0.001 * (i / 32) as f32)).sin();
    array(&dir, "faint.npy", &[200, 1, 32], faint);
    let flags = "--data faint.npy --likelihood normal --latent 4 --lr 0.003 --hidden 32";
    let said = text(&output(train(&dir, &format!("{flags} --epochs 60"))).stderr).to_owned();
    assert!(
        said.contains(
            "the likelihood's scale is fixed at 1, and the pixels' standard deviation is 0.1"
        ),
        "{said}"
    );
    assert!(said.contains("only 0 of 4 dimensions of z are active"), "{said}");
    assert!(said.contains("hint: `--scale shared` learns the scale"), "{said}");
    let mended = text(
        &output(train(
            &dir,
            &format!("{flags} --scale shared --epochs 200 --evaluate-every 200 --out shared"),
        ))
        .stderr,
    )
    .to_owned();
    assert!(!mended.contains("warning:"), "{mended}");
    // In the first steps there is nothing to say.
    let first =
        text(&output(train(&dir, "--latent 4 --max-steps 3 --out first")).stderr).to_owned();
    assert!(!first.contains("warning:"), "{first}");
    // A rate so high that the codes run away.
    let fast = "--epochs 40 --lr 0.3 --latent 4 --hidden 32 --out fast";
    let said = text(&output(train(&dir, fast)).stderr).to_owned();
    assert!(said.contains("that of the best constant image"), "{said}");
    assert!(!said.contains("dimensions of z are active; the others"), "no collapse: {said}");
    let slow = "--epochs 40 --lr 0.003 --latent 4 --hidden 32 --out slow";
    let mended = text(&output(train(&dir, slow)).stderr).to_owned();
    assert!(!mended.contains("which the best model has"), "{mended}");
    // Numbers that no rate fits.
    array(&dir, "huge.npy", &[100, 1, 16], |i| 1e30 * ((i * 31 % 17) as f32 - 8.0));
    let flags = "--data huge.npy --likelihood normal --scale shared --epochs 3 --out huge";
    let broke = output(train(&dir, flags));
    let said = text(&broke.stderr);
    assert_eq!(broke.status.code(), Some(3), "{said}");
    assert!(said.contains("`--range standardise` brings them near 1"), "{said}");
    succeed(train(&dir, &format!("{flags}r --range standardise")));
}

/// Labels that cannot be used refuse no images, and whoever needs them is told why.
#[test]
fn a_verb_that_needs_labels_says_why_there_are_none() {
    let dir = place();
    succeed(train(&dir, "--quiet"));
    let line = |i: usize| {
        let pixels = (0..64).map(|j| ((i * 31 + j * 7) % 256).to_string()).collect::<Vec<_>>();
        format!("name{i},{}\n", pixels.join(","))
    };
    let names = (0..64).map(|j| format!("p{j}")).collect::<Vec<_>>().join(",");
    let text: String = (0..300).map(line).collect();
    fs::write(dir.path().join("words.csv"), format!("label,{names}\n{text}")).expect("a file");
    succeed(elbo(&dir, "evaluate out --data words.csv --device cpu --quiet"));
    let flags = "probe out --data words.csv --device cpu";
    let says = "more than 256 different classes";
    assert_eq!(refusal_fault(flags, &output(elbo(&dir, flags)), 1, says), None, "their fault");
}
