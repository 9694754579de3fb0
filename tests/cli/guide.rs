//! The user guide in `docs/`: every command of it is run, on smaller data, by who follows it page by page.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use crate::program::{elbo, output, succeed, text};

/// Not run here: what needs a network, and what has a test of its own that takes a minute.
const ELSEWHERE: [&str; 2] = ["fetch", "selftest"];

/// An IDX file of values of these extents.
fn idx(extents: &[u32], values: impl Iterator<Item = u8>) -> Vec<u8> {
    let head = std::iter::once(0x0800 + extents.len() as u32).chain(extents.iter().copied());
    head.flat_map(u32::to_be_bytes).chain(values).collect()
}

/// MNIST's files with a few images: a bright bar for each class.
fn digits(folder: &Path) {
    fs::create_dir_all(folder).expect("a folder");
    for (set, count) in [("train", 130_u32), ("t10k", 20)] {
        let pixel = |i: u32| {
            let (image, row) = (i / 784, i % 784 / 28);
            let near = row.abs_diff(2 * (image % 10) + 4);
            (255 / (1 + near) + (i * 7 + image) % 32).min(255) as u8
        };
        let images = idx(&[count, 28, 28], (0..count * 784).map(pixel));
        let labels = idx(&[count], (0..count).map(|image| (image % 10) as u8));
        for (kind, bytes) in [("images-idx3", images), ("labels-idx1", labels)] {
            // As they are published.
            let file = fs::File::create(folder.join(format!("{set}-{kind}-ubyte.gz")));
            let mut packed = GzEncoder::new(file.expect("a file"), Compression::fast());
            packed.write_all(&bytes).and_then(|()| packed.finish()).expect("a file");
        }
    }
}

/// Pictures in colour.
fn photographs(folder: &Path) {
    fs::create_dir_all(folder).expect("a folder");
    for number in 0..30_u32 {
        let file = fs::File::create(folder.join(format!("{number}.png"))).expect("a file");
        let mut encoder = png::Encoder::new(file, 40, 36);
        encoder.set_color(png::ColorType::Rgb);
        let pixels: Vec<u8> = (0..40 * 36 * 3).map(|i| (i / 7 + number * 5) as u8).collect();
        let mut writer = encoder.write_header().expect("a header");
        writer.write_image_data(&pixels).expect("pixels");
    }
}

/// Where a reader of the guide is: MNIST, another set, pictures, a sweep, and two runs.
pub(crate) fn reader() -> TempDir {
    // Of a name that is as long everywhere, since lines with it break by its length.
    let dir = match cfg!(unix) {
        true => tempfile::tempdir_in("/tmp"),
        false => tempfile::tempdir(),
    };
    let dir = dir.expect("a folder");
    digits(&dir.path().join("assets/mnist"));
    digits(&dir.path().join("share/elbo/fashion-mnist"));
    photographs(&dir.path().join("photographs"));
    let sweep =
        "[sweep]\npreset = 'classic'\n[train]\nepochs = 1\n[grid]\nobjective.beta = [1, 4]\n";
    fs::write(dir.path().join("sweep.toml"), sweep).expect("a file");
    for flags in ["", "--latent 2"] {
        succeed(elbo(&dir, &format!("train --epochs 2 --device cpu --quiet {flags}")));
    }
    dir
}

/// The commands of a page that begin with `elbo`.
fn commands(page: &str) -> Vec<&str> {
    let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines = blocks.flat_map(str::lines).filter_map(|line| line.strip_prefix("elbo "));
    // What stands behind two spaces and a number sign is a remark.
    lines.map(|line| line.split("  #").next().unwrap_or(line).trim()).collect()
}

/// The same command with fewer epochs, on the device that is everywhere.
fn smaller(line: &str) -> String {
    let mut words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
    let new = words[0] == "train" && !line.contains("--resume") && !line.contains("--fast-dev-run");
    if new {
        match words.iter().position(|word| word == "--epochs") {
            Some(at) => "1".clone_into(&mut words[at + 1]),
            None => words.extend(["--epochs", "1"].map(str::to_owned)),
        }
    }
    if line.contains("--resume")
        && let Some(at) = words.iter().position(|word| word == "--epochs")
    {
        // One more than the runs have that are there.
        "3".clone_into(&mut words[at + 1]);
    }
    if words[0] == "bench" {
        words.extend(["--repetitions", "1", "--seconds", "0.02"].map(str::to_owned));
    }
    let deviceless =
        ["config", "data", "runs", "info", "report", "compare", "export", "import", "devices"];
    if !deviceless.contains(&words[0].as_str()) && !line.contains("--device") {
        words.extend(["--device", "cpu"].map(str::to_owned));
    }
    words.join(" ")
}

#[test]
fn every_command_of_the_guide_works() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut pages: Vec<_> =
        fs::read_dir(docs).expect("the guide").flatten().map(|page| page.path()).collect();
    pages.sort();
    let (mut run, mut wrong) = (0, Vec::new());
    let dir = reader();
    for page in pages {
        let page_text = fs::read_to_string(&page).expect("a page");
        for line in commands(&page_text) {
            if ELSEWHERE.contains(&line.split(' ').next().unwrap_or_default()) {
                continue;
            }
            let mut command = elbo(&dir, &smaller(line));
            command.env("XDG_DATA_HOME", dir.path().join("share"));
            let output = output(command);
            run += 1;
            if output.status.code() != Some(0) {
                let said = text(&output.stderr);
                wrong.push(format!("{}: elbo {line}\n{said}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(run >= 35, "{run} commands were found");
}

/// Links between the pages and from the README lead somewhere.
#[test]
fn links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = fs::read_dir(root.join("docs")).expect("the guide").flatten().map(|p| p.path());
    let (mut links, mut wrong) = (0, Vec::new());
    for page in pages.chain([root.join("README.md")]) {
        let text = fs::read_to_string(&page).expect("a page");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if target.contains("://") || file.is_empty() {
                continue;
            }
            links += 1;
            if !page.parent().expect("a folder").join(file).exists() {
                wrong.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(links > 10, "{links} links were found");
}
