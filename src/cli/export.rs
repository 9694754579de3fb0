//! `elbo export`: the weights of a run as a file for other programs.

use std::path::{Path, PathBuf};

use elbo::Result;
use elbo::checkpoint::{State, weights_to_bytes, write_new};

use crate::cli::print_line;
use crate::cli::run_folder::{BEST, CHECKPOINT};

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo export runs/0001 --out vae.safetensors
  elbo export runs/0001 --best --out best.safetensors

In Python: model.load_state_dict(safetensors.torch.load_file(\"vae.safetensors\"))";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder of a run, or a checkpoint
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The file to write, which must not be there yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Take the best epoch's weights instead of the newest
    #[arg(long)]
    best: bool,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    let state = State::read(&checkpoint(&args.run, args.best))?;
    let weights = state.weights();
    write_new(&args.out, &weights_to_bytes(&weights)?)?;
    let (count, step) = (weights.len(), state.trained.step);
    print_line(&format!("{count} tensors after step {step}: {}", args.out.display()))?;
    Ok(0)
}

/// The checkpoint of a run's folder, or the one that was named.
fn checkpoint(run: &Path, best: bool) -> PathBuf {
    match run.is_dir() {
        true => run.join(if best { BEST } else { CHECKPOINT }),
        false => run.to_owned(),
    }
}
