//! `elbo export`: what a run has learned as a file for other programs.

use std::path::{Path, PathBuf};

use elbo::checkpoint::{weights_to_bytes, write_new};
use elbo::{Error, Result};
use serde_json::json;

use crate::cli::onnx::{self, Part};
use crate::cli::place::{check_free, ending};
use crate::cli::run_name::run_name;
use crate::cli::weights::{Chosen, WeightArgs};
use crate::cli::{print_line, talk};

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo export runs/0001 --out vae.safetensors
  elbo export runs/0001 --best --out best.safetensors
  elbo export runs/0001 --part encoder --out encoder.onnx
  elbo export runs/0001 --part decoder --out decoder.onnx

In Python: model.load_state_dict(safetensors.torch.load_file(\"vae.safetensors\")), or
onnxruntime.InferenceSession(\"decoder.onnx\").run(None, {\"z\": z}); both parts of a conditional model
take a second input `y`, the one-hot classes.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder of a run, or a checkpoint
    #[arg(value_name = "RUN", value_parser = run_name())]
    run: PathBuf,
    /// The file to write, which must not be there yet: all weights as .safetensors, or a part of the
    /// model as .onnx
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The part that goes to an ONNX file
    #[arg(long, value_enum)]
    part: Option<Part>,
    #[command(flatten)]
    weights: WeightArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What is written.
#[derive(Clone, Copy, Debug)]
enum Format {
    Safetensors,
    Onnx(Part),
}

pub(super) fn run(args: &Args) -> Result<u8> {
    let format = format(&args.out, args.part)?;
    check_free(&args.out)?;
    let Chosen { path, state, said } = args.weights.of(&args.run)?;
    said.iter().for_each(|said| talk(said));
    let (bytes, what) = match format {
        Format::Safetensors => {
            let weights = state.weights();
            (weights_to_bytes(&weights)?, format!("{} tensors", weights.len()))
        }
        Format::Onnx(part) => (onnx::to_bytes(&path, &state, part)?, part.name().to_owned()),
    };
    write_new(&args.out, &bytes)?;
    let (step, path) = (state.trained.step, args.out.display().to_string());
    print_line(&match args.json {
        true => json!({"event": "export", "what": what, "step": step, "path": path}).to_string(),
        false => format!("{what} after step {step}: {path}"),
    })?;
    Ok(0)
}

/// What a file's name and the part mean.
fn format(out: &Path, part: Option<Part>) -> Result<Format> {
    let (shown, parts) = (out.display(), "`--part encoder` or `--part decoder`");
    match (ending(out).as_str(), part) {
        ("safetensors", None) => Ok(Format::Safetensors),
        ("onnx", Some(part)) => Ok(Format::Onnx(part)),
        ("safetensors", Some(part)) => {
            let what = format!("`--part {}`, but `{shown}` is to hold all weights", part.name());
            Err(Error::config(what).hint("leave out `--part`, or let `--out` end in `.onnx`"))
        }
        ("onnx", None) => {
            let what = format!("`{shown}` is to hold a part of the model; it must be said which");
            Err(Error::config(what).hint(format!("add {parts}")))
        }
        _ => {
            let what = format!("`--out` is `{shown}`; it must end in `.safetensors` or `.onnx`");
            Err(Error::config(what).hint(format!(
                "`.safetensors` takes all weights; `.onnx` takes {parts}, for other runtimes"
            )))
        }
    }
}
