//! `elbo runs`: a folder's runs with their models, losses and sizes.

use std::cmp::{Ordering, Reverse};
use std::fs;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use clap::ValueEnum;
use elbo::{Error, Result};

use crate::cli::run_name::RUNS;
use crate::cli::summary::{Kind, Summary};
use crate::cli::table::table;
use crate::cli::{print_line, talk};

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo runs
  elbo runs sweeps/beta --sort loss
  elbo runs --json
  elbo evaluate latest     # the newest run under runs

Losses are those of the test images (or of the validation images, where a run has set some apart), in nats \
per image: `best` is the lowest of all epochs, `last` that of the last epoch, and `NLL` is from `elbo \
evaluate --samples`. Runs of different data, likelihoods or pixels (grey or binarised) cannot be compared \
by them.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder that the runs lie in
    #[arg(value_name = "FOLDER", default_value = RUNS)]
    folder: PathBuf,
    /// By name, by the lowest loss, or the newest first
    #[arg(long, value_enum, default_value_t)]
    sort: Sort,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Sort {
    #[default]
    Name,
    Loss,
    Date,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    let mut runs = read(&args.folder)?;
    match args.sort {
        Sort::Name => runs.sort_by(|one, other| one.path.cmp(&other.path)),
        Sort::Loss => runs.sort_by(by_loss),
        Sort::Date => runs.sort_by_key(|run| Reverse(run.saved)),
    }
    if args.json {
        return runs.iter().try_for_each(|run| print_line(&run.json().to_string())).map(|()| 0);
    }
    if runs.is_empty() {
        let folder = args.folder.display();
        talk(&format!("no run in `{folder}` yet: `elbo train` makes one under `{RUNS}`"));
        return Ok(0);
    }
    lines(&runs).iter().try_for_each(|line| print_line(line))?;
    if let Some(run) = runs.iter().find(|run| matches!(run.kind, Kind::Damaged(_))) {
        talk(&format!("hint: `elbo info {}` says what is damaged", run.path.display()));
    }
    Ok(0)
}

/// The lowest loss first; what has none last.
pub(super) fn by_loss(one: &Summary, other: &Summary) -> Ordering {
    let loss = |run: &Summary| run.best.map_or(f64::INFINITY, |best| best.loss);
    loss(one).total_cmp(&loss(other))
}

/// Each folder in a folder; of a run, itself.
fn read(folder: &Path) -> Result<Vec<Summary>> {
    if folder == Path::new(RUNS) && !folder.exists() {
        return Ok(Vec::new());
    }
    let here = Summary::read(folder);
    if !matches!(here.kind, Kind::Other { .. }) {
        return Ok(vec![here]);
    }
    let entries = fs::read_dir(folder).map_err(|e| {
        Error::io("list", folder, e).hint("name a folder of runs; `elbo train` makes `runs`")
    })?;
    let paths = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
    Ok(paths.map(|path| Summary::read(&path)).collect())
}

/// A table of runs, by their names.
fn lines(runs: &[Summary]) -> Vec<String> {
    let head = ["run", "model", "epochs", "best", "last", "NLL", "size", "saved (UTC)"];
    let rows: Vec<_> = runs
        .iter()
        .map(|run| {
            let [epochs, best, last] = progress(run);
            // To the minute, which is what people remember.
            let date = run.date().map(|date| date.replace('T', " ").chars().take(16).collect());
            let size = ByteSize(run.bytes).display().iec_short().to_string();
            [
                run.name(),
                run.model(),
                epochs,
                best,
                last,
                loss(run.nll),
                size,
                date.unwrap_or_default(),
            ]
        })
        .collect();
    table(head, &rows, 2)
}

/// How far a run is, its lowest loss, and its last one.
pub(super) fn progress(run: &Summary) -> [String; 3] {
    let epochs = run.header().map_or(String::new(), |header| {
        format!("{}/{}", header.course.epochs, header.config.train.epochs)
    });
    [epochs, loss(run.best.map(|best| best.loss)), loss(run.last)]
}

/// A loss as it stands in a table.
fn loss(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.abs() >= 1e6 => format!("{value:.1e}"),
        Some(value) => format!("{value:.2}"),
    }
}
