//! `elbo config`: every key of a configuration file, what it means and what it comes to.

use elbo::{Error, Result};
use serde_json::json;

use crate::cli::args::ConfigArgs;
use crate::cli::config_file::ConfigFile;
use crate::cli::settings::RunArgs;
use crate::cli::{keys, print_exact};

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo config > my.toml
  elbo train --config my.toml --epochs 3
  elbo config --preset big --beta 4 --set objective.free-bits=0.2
  elbo config --config runs/0001/config.toml --json";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    run: RunArgs,
    /// Print one JSON object, without the keys that have no value
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    let (config, settings) = args.config.read()?;
    let file = ConfigFile::whole(config, args.run.over(settings)?);
    if !args.json {
        print_exact(keys::commented(&file)?.trim_end())?;
        return Ok(0);
    }
    let mut line = json!({"event": "config"});
    let tables = serde_json::to_value(&file)
        .map_err(|e| Error::config(e).hint("paths that are UTF-8 can be printed"))?;
    for (name, table) in tables.as_object().into_iter().flatten() {
        line[name] = table.clone();
    }
    print_exact(&line.to_string())?;
    Ok(0)
}
