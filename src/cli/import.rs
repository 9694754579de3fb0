//! `elbo import`: a run that begins with the weights of another program.

use std::path::{Path, PathBuf};

use elbo::checkpoint::{AVERAGE, State, Weight, prefixes};
use elbo::checkpoint::{check_tensors, read_whole, weights_from_bytes};
use elbo::config::{Entry, ImageSize, Layer};
use elbo::model::{Architecture, DataSpec, Vae};
use elbo::{Config, Error, Result};
use serde_json::json;

use crate::cli::args::ConfigArgs;
use crate::cli::print_line;
use crate::cli::run_folder::RunFolder;

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo import vae.safetensors --out runs/imported
  elbo train --resume runs/imported --epochs 5

In Python:
  safetensors.torch.save_file(model.state_dict(), \"vae.safetensors\")

The tensors are named as in PyTorch's VAE example (fc1, fc21, fc22, fc3, fc4). With other numbers of layers they are encoder.0, …, posterior.mean, posterior.log_var, decoder.0, …. With --classes N, the last N columns of the first layer of encoder and decoder take the one-hot class.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A safetensors file of float32 weights
    #[arg(value_name = "FILE")]
    weights: PathBuf,
    /// The folder of the new run [default: the next number under runs]
    #[arg(long, short, value_name = "FOLDER")]
    out: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    let path = &args.weights;
    let bytes = read_whole(path, u64::MAX, "name a safetensors file of weights")?;
    let weights = weights_from_bytes(path, &bytes)?;
    let mut config = args.config.config()?;
    if !args.config.names_layers() {
        take_layers(&mut config, &weights);
    }
    let state = state(path, config, weights)?;
    let mut folder = RunFolder::claim(args.out.as_deref())?;
    folder.begin(&state.config)?;
    folder.save(&state, 1)?;
    let (run, tensors) = (folder.path().display().to_string(), state.weights().len());
    print_line(&match args.json {
        true => json!({"event": "import", "tensors": tensors, "run": run}).to_string(),
        false => format!("{tensors} tensors: {run}"),
    })?;
    Ok(0)
}

/// The shape of a weight `[out, in]` in a file.
fn shape(weights: &[Weight], key: &str) -> Option<[usize; 2]> {
    let found = weights.iter().find(|weight| weight.key == key)?;
    found.shape.as_slice().try_into().ok()
}

/// Takes the sizes of one hidden layer from weights that are named as in PyTorch's example.
fn take_layers(config: &mut Config, weights: &[Weight]) {
    let rows = |key| shape(weights, key).map(|[rows, _]| rows);
    if let (Some(encoder), Some(latent), Some(decoder)) =
        (rows("fc1.weight"), rows("fc21.weight"), rows("fc3.weight"))
    {
        config.model.encoder = [encoder].into();
        config.model.latent = latent;
        config.model.decoder = [decoder].into();
    }
}

/// A state before the first step with these weights, if they are the configuration's.
fn state(path: &Path, config: Config, mut weights: Vec<Weight>) -> Result<State> {
    config.validate()?;
    let size = match config.data.image_size {
        Some(size) => size,
        None => size_of(path, &config, &weights)?,
    };
    let spec = DataSpec { images: config.train.batch_size, size, bytes: true, window: None };
    let vae = Vae::new(&config, spec, spec)?;
    let shapes = vae.parameters.list().iter().flat_map(|parameter| parameter.shapes());
    let shapes: Vec<_> = shapes.map(|(key, shape)| (key.to_owned(), shape)).collect();
    check_tensors(path, &shapes, &weights)?;
    // Moments begin at zero, averages where the weights are.
    let given = weights.clone();
    for prefix in prefixes(&config).iter().skip(1) {
        weights.extend(given.iter().map(|weight| {
            let values = match *prefix {
                AVERAGE => weight.values.clone(),
                _ => vec![0.0; weight.values.len()],
            };
            Weight { key: format!("{prefix}{}", weight.key), values, shape: weight.shape.clone() }
        }));
    }
    Ok(State::untrained(config, size, weights))
}

/// The size of the images, by the inputs of the first layer: a square, if that can be.
fn size_of(path: &Path, config: &Config, weights: &[Weight]) -> Result<ImageSize> {
    for entry in &config.model.encoder.0 {
        match entry {
            Entry::Hidden(_) | Entry::Layer(Layer::Linear(_)) => break,
            Entry::Layer(Layer::Norm | Layer::Activation(_) | Layer::Dropout(_)) => {}
            Entry::Layer(_) | Entry::Residual(_) => {
                let begins = format!("the encoder begins with `{entry}`");
                let what = format!("{begins}, which does not say how large images are");
                let hint = "name it with `--set data.image-size=[28,28]`";
                return Err(Error::config(what).hint(hint));
            }
        }
    }
    let networks = Architecture::of(&config.model, [1, usize::MAX].into())?;
    let first = networks.encoder.first_path().expect("an encoder has a last layer");
    let first = format!("{first}.weight");
    let Some([_, columns]) = shape(weights, &first) else {
        return Err(Error::data(path, format!("has no `{first}` of two dimensions"))
            .hint("the file must be of the same model: check `--hidden` and `--latent`"));
    };
    let classes = config.model.classes;
    let Some(pixels) = columns.checked_sub(classes).filter(|&pixels| pixels > 0) else {
        let what =
            format!("`{first}` has {columns} columns, too few for pixels and {classes} classes");
        return Err(Error::data(path, what).hint("check `--classes`"));
    };
    Ok(square(pixels))
}

/// The size of images of so many pixels, if it is not known: a square, or a line.
pub(super) fn square(pixels: usize) -> ImageSize {
    let side = pixels.isqrt();
    if side * side == pixels { [side, side].into() } else { [1, pixels].into() }
}
