//! `elbo decode`: the images that the decoder makes of z in a file.

use std::path::{Path, PathBuf};

use elbo::checkpoint::{State, read_whole, weights_from_bytes, write_new};
use elbo::data::formats::npy;
use elbo::data::rows::{self, Rows};
use elbo::{Error, Result};
use serde_json::json;

use crate::cli::picture::{Labels, Look, grid};
use crate::cli::place::{check_free, ending, known_ending};
use crate::cli::print_line;
use crate::cli::subject::{self, ModelArgs};

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo decode runs/0001 codes.npy --out images.npy  # a float32 array
  elbo decode runs/0001 z.csv --out images.png      # one picture
  elbo decode runs/digits z.npy --class 7 --out sevens.npy

To draw z from the prior in Python:
  numpy.save(\"z.npy\", numpy.random.randn(64, 20).astype(\"float32\"))";

/// What z is called in files that name it; the first of them that there is, is decoded.
const NAMES: [&str; 2] = ["z", "mean"];

const FILES: &str = "give z as .npy, an array (images, latent), as .csv, or as .safetensors with a \
                     tensor `z` or `mean`; `elbo encode` writes such files";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The latent codes z: a .npy of shape (images, latent), a .csv with columns `z_0`, `z_1`, … or `mean_0`, …
    /// (or all of its columns), or a .safetensors with a tensor z or mean
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The class of a conditional model's images: one for all, or one for each z
    #[arg(long, value_delimiter = ',', value_name = "C,…")]
    class: Vec<u8>,
    /// The new file to write: .npy, or a picture of all images as .png
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Npy,
    Png,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    let hint = "`.npy` takes the images' numbers, `.png` a picture of all of them";
    let format = match known_ending(&args.out, &["npy", "png"], hint)?.as_str() {
        "npy" => Format::Npy,
        _ => Format::Png,
    };
    check_free(&args.out)?;
    let Rows { columns, values } = read(&args.file)?;
    let state = args.model.state()?;
    let latent = state.config.model.latent;
    if columns != latent {
        let what = format!("has rows of {columns} numbers, expected {latent}");
        return Err(Error::data(&args.file, what)
            .hint(format!("z of this model has {latent} dimensions; was it of another model?")));
    }
    let count = values.len() / latent;
    let each = args.class.len();
    if each > 1 && each != count {
        let what = format!("`--class` names {each} classes, and there are {count} z");
        return Err(Error::config(what).hint("give one class for all, or one for each z"));
    }
    let classes = subject::classes_in_turn(&state, &args.class, count)?;
    let mut model = args.model.open(&state, None)?;
    let made = subject::decode(&mut model, &values, classes.as_deref())?;
    let size = model.image_size();
    let bytes = match format {
        Format::Npy => npy::to_bytes(&[vec![count], size.into()].concat(), &made)?,
        Format::Png => picture(&args.file, &state, &made)?,
    };
    write_new(&args.out, &bytes)?;
    let (step, out) = (state.trained.step, args.out.display());
    print_line(&match args.json {
        true => json!({
            "event": "images", "images": count, "height": size.height, "width": size.width,
            "channels": size.channels, "step": step,
            "out": args.out.to_string_lossy(),
        })
        .to_string(),
        false => format!("{count} images of {size} after step {step}: {out}"),
    })?;
    Ok(0)
}

/// The rows of a file, by its name's ending.
fn read(path: &Path) -> Result<Rows> {
    let ending = ending(path);
    if !["npy", "csv", "safetensors"].contains(&ending.as_str()) {
        let what = format!("`{}` must end in `.npy`, `.csv` or `.safetensors`", path.display());
        return Err(Error::config(what).hint(FILES));
    }
    let bytes = read_whole(path, u64::MAX, FILES)?;
    match ending.as_str() {
        "npy" => rows::from_npy(path, &bytes),
        "csv" => rows::from_csv(path, &bytes, &NAMES),
        _ => tensor(path, &bytes),
    }
}

fn tensor(path: &Path, bytes: &[u8]) -> Result<Rows> {
    let tensors = weights_from_bytes(path, bytes)?;
    let named = |name: &str| tensors.iter().find(|tensor| tensor.key == name);
    let Some(tensor) = NAMES.iter().find_map(|name| named(name)) else {
        let what =
            format!("has {} tensors, expected one that is called `z` or `mean`", tensors.len());
        return Err(Error::data(path, what).hint(FILES));
    };
    match tensor.shape[..] {
        [rows, columns] if rows > 0 && columns > 0 => {
            Ok(Rows { columns, values: tensor.values.clone() })
        }
        _ => {
            let (key, shape) = (&tensor.key, &tensor.shape);
            let what = format!("`{key}` has the shape {shape:?}, expected [images, latent]");
            Err(Error::data(path, what).hint(FILES))
        }
    }
}

fn picture(file: &Path, state: &State, images: &[f32]) -> Result<Vec<u8>> {
    let look = Look::of(state);
    let count = images.len() / look.size.len();
    let columns = (1..).find(|columns| columns * columns >= count).unwrap_or(count).max(8);
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let step = state.trained.step;
    let caption = format!("The decoder's means at z in {name}, after step {step}");
    grid(images, look, columns, Labels { caption: &caption, ..Labels::default() })
}
