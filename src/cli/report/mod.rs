//! `elbo report`: a page that tells of a run, in one file, of what lies in its folder.

mod chart;
mod evaluation;
mod overlay;
mod page;
mod pictures;
mod read;
mod setting;
mod warnings;

use std::path::{Path, PathBuf};

use elbo::Result;
use elbo::checkpoint::write_whole;
use serde_json::json;

use crate::cli::print_line;
pub(super) use crate::cli::report::chart::figure;
pub(super) use crate::cli::report::overlay::{Difference, Told, differences, overlay};
use crate::cli::report::page::page;
pub(super) use crate::cli::report::page::plain;
pub(super) use crate::cli::report::read::Story;
use crate::cli::run_name::run_name;

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo report runs/0001
  xdg-open \"$(elbo report runs/0001)\"";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder of a run, under way or ended
    #[arg(value_name = "RUN", value_parser = run_name())]
    run: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    let path = write(&args.run)?;
    let path = path.display().to_string();
    match args.json {
        true => print_line(&json!({"event": "report", "report": path}).to_string())?,
        false => print_line(&path)?,
    }
    Ok(0)
}

/// The test loss after each epoch of a run, in nats per image.
pub(super) fn test_losses(run: &Path) -> Result<Vec<f64>> {
    Ok(Story::read(run)?.epochs.values().filter_map(|epoch| epoch.test[0]).collect())
}

/// Writes `report.html` into the folder of a run, of what lies there, and returns its path.
///
/// A run without `metrics.jsonl` has no epoch yet; `config.toml` there must be.
pub(super) fn write(run: &Path) -> Result<PathBuf> {
    let html = page(&Story::read(run)?);
    let path = run.join("report.html");
    write_whole(&path, html.as_bytes())?;
    Ok(path)
}
