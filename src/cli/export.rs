//! `elbo export`: what a run has learned as a file for other programs.

use std::path::{Path, PathBuf};

use elbo::checkpoint::{weights_to_bytes, write_new};
use elbo::{Error, Result};
use serde_json::json;

use crate::cli::onnx::{self, Part};
use crate::cli::place::{check_free, known_ending};
use crate::cli::python;
use crate::cli::run_name::run_name;
use crate::cli::weights::{Chosen, WeightArgs};
use crate::cli::{print_line, talk};

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo export runs/0001 --out vae.safetensors
  elbo export runs/0001 --out model.py
  elbo export runs/0001 --part encoder --out encoder.onnx
  elbo export runs/0001 --part decoder --out decoder.onnx

In Python, with a `model = Vae()` of the class in model.py:
  model.load_state_dict(safetensors.torch.load_file(\"vae.safetensors\"))
  onnxruntime.InferenceSession(\"decoder.onnx\").run(None, {\"z\": z})

Both parts of a conditional model take a second input y, the one-hot classes.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder of a run, or a checkpoint
    #[arg(value_name = "RUN", value_parser = run_name())]
    run: PathBuf,
    /// The new file to write: all weights as .safetensors, the model's code for PyTorch as .py, or one part of
    /// the model as .onnx
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// The part to write to an .onnx file
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
    Python,
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
        Format::Python => (python::to_text(&path, &state)?.into_bytes(), "code".to_owned()),
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
    let hint = format!(
        "`.safetensors` takes all weights; `.py` the model's code for PyTorch; `.onnx` takes {parts}"
    );
    let ending = known_ending(out, &["safetensors", "py", "onnx"], &hint)?;
    let (format, holds) = match (ending.as_str(), part) {
        ("onnx", Some(part)) => return Ok(Format::Onnx(part)),
        ("onnx", None) => {
            let what = format!("`{shown}` holds one part of the model, and none was chosen");
            return Err(Error::config(what).hint(format!("add {parts}")));
        }
        ("py", _) => (Format::Python, "the code of both parts"),
        _ => (Format::Safetensors, "all weights"),
    };
    match part {
        None => Ok(format),
        Some(part) => {
            let what = format!("`--part {}`, but `{shown}` holds {holds}", part.name());
            Err(Error::config(what).hint("leave out `--part`, or let `--out` end in `.onnx`"))
        }
    }
}
