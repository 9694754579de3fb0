//! `elbo data`: what would be read of a path, without training on it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use elbo::checkpoint::write_new;
use elbo::config::Likelihood;
use elbo::data::{Opened, Sources};
use elbo::{Config, Dataset, Error, Result};
use serde_json::{Value, json};

use crate::cli::args::words;
use crate::cli::find::data_folder;
use crate::cli::picture::{Labels, Look, grid, show_images};
use crate::cli::place::check_picture;
use crate::cli::print_line;
use crate::cli::reading::{self, Manner, ReadingArgs};
use crate::cli::train::fit_to_colour;

/// Images of a contact sheet, and how many stand side by side.
const SHOWN: usize = 64;
const ACROSS: usize = 8;

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo data photographs/ --resize 64
  elbo data table.csv --label-column class
  elbo data faces.npy --image-size 28x20 --out sheet.png";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Images, as `elbo train --data` takes them [default: MNIST]
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// The images to test on, as `elbo train` takes them
    #[arg(long, value_name = "PATH")]
    test_data: Option<PathBuf>,
    /// Refuse images that do not fit this likelihood [default: show them, and say what does not fit
    /// `elbo train`]
    #[arg(long, value_parser = words::<Likelihood>())]
    likelihood: Option<Likelihood>,
    #[command(flatten)]
    reading: ReadingArgs,
    /// Write a contact sheet of the first images to a new .png file
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    args.out.as_deref().map_or(Ok(()), check_picture)?;
    let data = data_folder(args.path.as_deref())?;
    let (opened, refusal) = open(args, &data)?;
    let (again, across) = duplicates(&opened)?;
    let shown = opened.train.len().min(SHOWN);
    let (images, look) = (opened.train.pixels(0..shown)?, Look::read(&opened.train));
    let caption = format!("The first {shown} images to train on of {}", data.display());
    let labels = Labels { caption: &caption, ..Labels::default() };
    if let Some(out) = &args.out {
        write_new(out, &grid(&images, look, ACROSS.min(shown), labels)?)?;
    }
    if args.json {
        let mut object = object(&opened, again, across)?;
        object["refused"] = json!(refusal);
        return print_line(&object.to_string()).map(|()| 0);
    }
    let refusal = refusal.map(|why| format!("`elbo train` would refuse this: {why}"));
    for line in lines(&opened, again, across)?.into_iter().chain(refusal) {
        print_line(&line)?;
    }
    show_images(&images, look, ACROSS.min(shown), labels)?;
    Ok(0)
}

/// The images as `elbo train` would read them; and why it would refuse them, in words, if it would. Those that
/// were to fit a likelihood and do not are refused here too.
fn open(args: &Args, data: &Path) -> Result<(Opened, Option<String>)> {
    let mut config = Config::default();
    args.reading.over(&mut config.data)?;
    config.model.likelihood = args.likelihood.unwrap_or(config.model.likelihood);
    config.validate()?;
    let test = args.test_data.as_deref();
    // Who only looks leaves nothing.
    let manner = Manner { quiet: args.json, keep: false };
    let read =
        |config: &Config| reading::open(Sources { test, ..Sources::new(data, config) }, manner);
    let in_words = |error: &Error| match error.advice() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    };
    let mut opened = match (read(&config), args.likelihood) {
        (Err(error), None) => {
            // Any numbers fit a normal likelihood; what else is wrong with a file stays so.
            config.model.likelihood = Likelihood::Normal;
            return match read(&config) {
                Ok(opened) => Ok((opened, Some(in_words(&error)))),
                Err(_) => Err(error),
            };
        }
        (opened, _) => opened?,
    };
    if args.likelihood.is_none() {
        fit_to_colour(&mut config.model, &mut opened);
    }
    let check = |images: &Dataset| images.check(&config.model, config.train.pixels);
    match (check(&opened.train).and_then(|()| check(&opened.test)), args.likelihood) {
        (Err(error), None) => Ok((opened, Some(in_words(&error)))),
        (checked, _) => checked.map(|()| (opened, None)),
    }
}

/// How many images are equal to one before them, and how many to test on to one to train on.
fn duplicates(Opened { train, test, .. }: &Opened) -> Result<(usize, usize)> {
    let (of_train, of_test) = (train.hashes()?, test.hashes()?);
    let known: HashSet<_> = of_train.iter().collect();
    let across = of_test.iter().filter(|hash| known.contains(hash)).count();
    let mut counts: HashMap<&u128, usize> = HashMap::new();
    of_train.iter().chain(&of_test).for_each(|hash| *counts.entry(hash).or_default() += 1);
    Ok((counts.values().map(|count| count - 1).sum(), across))
}

/// The number of images of each class, by its number.
fn counts(data: &Dataset) -> BTreeMap<u8, usize> {
    let mut counts = BTreeMap::new();
    data.labels().unwrap_or_default().iter().for_each(|&l| *counts.entry(l).or_default() += 1);
    counts
}

fn name(data: &Dataset, class: u8) -> String {
    let named = data.class_names().and_then(|names| names.get(usize::from(class)));
    named.map_or(class.to_string(), |name| name.escape_debug().to_string())
}

fn kind(data: &Dataset) -> &'static str {
    if data.spec().bytes { "bytes" } else { "f32" }
}

fn lines(opened: &Opened, again: usize, across: usize) -> Result<Vec<String>> {
    let Opened { train, test, reading, said, .. } = opened;
    let (low, high) = train.range()?;
    let mut lines = vec![
        format!(
            "{} images of {} to train on, {} to test on",
            train.len(),
            train.size(),
            test.len()
        ),
        format!("{reading}"),
        format!("pixels from {low} to {high}, held as {}", kind(train)),
    ];
    lines.extend(said.iter().cloned());
    let tests = counts(test);
    for (class, count) in counts(train) {
        let tested = tests.get(&class).copied().unwrap_or_default();
        lines.push(format!(
            "  class {}: {count} to train on, {tested} to test on",
            name(train, class)
        ));
    }
    lines.push(match again {
        0 => "no image is there twice".to_owned(),
        _ => format!("{again} images are equal to another, {across} to test on to one to train on"),
    });
    Ok(lines)
}

fn object(opened: &Opened, again: usize, across: usize) -> Result<Value> {
    let Opened { train, test, reading, said, .. } = opened;
    let size = train.size();
    let (low, high) = train.range()?;
    let classes = |data: &Dataset| -> Value {
        let counts = counts(data).into_iter();
        counts.map(|(class, count)| (name(data, class), json!(count))).collect()
    };
    Ok(json!({
        "event": "data", "images": train.len(), "test_images": test.len(),
        "height": size.height, "width": size.width, "channels": size.channels,
        "held": kind(train), "seen": reading.seen, "reading": reading.to_string(),
        "pixels": [low, high], "classes": classes(train), "test_classes": classes(test),
        "labels_fault": train.label_fault(), "duplicates": again, "duplicates_across": across,
        "fingerprints": [train.fingerprint()?, test.fingerprint()?], "said": said,
    }))
}
