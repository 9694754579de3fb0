//! ONNX files of a model's two halves: its encoder and its decoder, for any runtime that reads them.

mod graph;
mod maps;
mod pixels;
mod proto;
mod walk;

use std::path::Path;

use clap::ValueEnum;
use elbo::checkpoint::{State, Weight, check_tensors};
use elbo::config::{ImageSize, Inference, LOG_VAR_BOUNDS, Posterior};
use elbo::model::{DataSpec, Use, Vae};
use elbo::{Config, Error, Result};
use prost::Message;

use crate::cli::card::likelihood;
use graph::value;
use proto::{Graph, Model, Opset, Property};
use walk::Walk;

/// The operators of ONNX 1.15 (2023), the first with `Gelu`.
const OPSET: i64 = 20;
/// The format of files that goes with it.
const IR_VERSION: i64 = 9;

/// The most bytes of a file: protobuf counts no further.
const MOST_BYTES: usize = i32::MAX as usize;

/// The part of a model that goes to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Part {
    /// From images to the mean and the log-variance of their z
    Encoder,
    /// From z to the means of the pixels
    Decoder,
}

impl Part {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Encoder => "encoder",
            Self::Decoder => "decoder",
        }
    }
}

/// The bytes of an ONNX file of a part of a state's model; `path` is named in errors.
pub(super) fn to_bytes(path: &Path, state: &State, part: Part) -> Result<Vec<u8>> {
    let weights = state.weights();
    // Before anything is copied, and with room for what is written beside the weights.
    let bytes: usize = weights.iter().map(|weight| 4 * weight.values.len()).sum();
    if bytes > MOST_BYTES - (1 << 20) {
        let what = format!("{bytes} bytes of weights, expected less than 2 GiB of an ONNX file");
        return Err(Error::config(what).hint("write them to a `.safetensors` file"));
    }
    Ok(model(path, state, &weights, part)?.encode_to_vec())
}

fn model(path: &Path, state: &State, weights: &[Weight], part: Part) -> Result<Model> {
    let pixels = state.size.len();
    let mut vae = recorded(path, &state.config, state.size, weights)?;
    let mut graph = match part {
        Part::Encoder => encoder(&mut vae, weights, &state.config, pixels)?,
        Part::Decoder => {
            decoder(&mut vae, weights, &state.config, (pixels, state.reading.total.unwrap_or(1.0)))?
        }
    };
    graph.name = part.name().to_owned();
    let (doc, step) = (describe(state, part), state.trained.step);
    graph.doc_string.clone_from(&doc);
    let ImageSize { height, width, channels } = state.size;
    let mut about = vec![
        ("height", height.to_string()),
        ("width", width.to_string()),
        ("channels", channels.to_string()),
        ("pixels", state.reading.to_string()),
        ("likelihood", likelihood(&state.config.model)),
        ("step", step.to_string()),
    ];
    if state.config.model.classes > 0 {
        about.push(("classes", state.config.model.classes.to_string()));
    }
    let property = |(key, value): (&str, _)| Property { key: key.to_owned(), value };
    Ok(Model {
        ir_version: IR_VERSION,
        producer_name: "elbo".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: doc,
        graph: Some(graph),
        opset_import: vec![Opset { domain: String::new(), version: OPSET }],
        metadata_props: about.into_iter().map(property).collect(),
    })
}

fn describe(state: &State, part: Part) -> String {
    let (size, step) = (state.size, state.trained.step);
    let model = &state.config.model;
    let (density, conditional) = (model.posterior.is_density(), model.classes > 0);
    let makes: Vec<_> = model.posterior.makes().iter().map(|(_, words)| *words).collect();
    let makes = makes.join(" and ");
    let does = match (part, density, conditional) {
        (Part::Encoder, false, _) => "the codes z of images".to_owned(),
        (Part::Encoder, true, false) => {
            format!("the approximate posterior q(z | x) of images: {makes}")
        }
        (Part::Encoder, true, true) => {
            format!("the approximate posterior q(z | x, y) of images and their classes: {makes}")
        }
        (Part::Decoder, _, false) => "the means of the pixels of p(x | z)".to_owned(),
        (Part::Decoder, _, true) => {
            "the means of the pixels of p(x | z, y), where y is the class".to_owned()
        }
    };
    let kind = match density {
        true => "a variational autoencoder (Kingma and Welling 2014)",
        false => "a plain autoencoder",
    };
    format!(
        "The {} of {kind} for images of {size} after {step} training steps: {does}.",
        part.name()
    )
}

/// Records the model, and judges the weights by it.
pub(super) fn recorded(
    path: &Path,
    config: &Config,
    size: ImageSize,
    weights: &[Weight],
) -> Result<Vae> {
    let mut config = config.clone();
    config.train.batch_size = 1;
    let spec = DataSpec { images: 1, size, bytes: true, window: None };
    let vae = Vae::to_use(&config, spec).map_err(|e| {
        Error::data(path, format!("its model: {e}")).hint("the file may be damaged")
    })?;
    let shapes = vae.parameters.list().iter().flat_map(|parameter| parameter.shapes());
    let shapes: Vec<_> = shapes.map(|(key, shape)| (key.to_owned(), shape)).collect();
    check_tensors(path, &shapes, weights)?;
    Ok(vae)
}

/// x (n, pixels), and y (n, classes) if there are any, to `mean` and `log_var` (n, latent), or to the
/// point `z`.
fn encoder(vae: &mut Vae, weights: &[Weight], config: &Config, pixels: usize) -> Result<Graph> {
    if config.model.inference == Inference::Ladder {
        let what = "the encoder of a ladder draws z of the levels above on its way, which ONNX has no operator for";
        return Err(Error::config(what)
            .hint("`--out model.py` writes it for PyTorch, by their means; `--part decoder` is a network alone"));
    }
    let latent = config.model.latent;
    let program = vae.program(Use::Encode)?.clone();
    let mut walk = Walk::new(vae, &program, weights);
    let range = match config.model.likelihood.is_of_counts() {
        true => "counts as they are, a row for each image",
        false => "images, a row each, top row first: pixels from 0 (black) to 1 (white)",
    };
    walk.input(vae.ports.x, value("x", pixels, range));
    classes(&mut walk, vae, config.model.classes);
    let outputs = match config.model.posterior {
        Posterior::Point => {
            walk.output(vae.ports.z, "z")?;
            vec![value("z", latent, "the codes, a row each")]
        }
        _ => {
            walk.rows(vae.ports.h, ("mean", ""), 0..latent)?;
            let free = walk.rows(vae.ports.h, ("log_var.linear", ""), latent..2 * latent)?;
            // The bounds of the model, which are part of its function.
            let (lowest, highest) = LOG_VAR_BOUNDS;
            walk.graph.constant("log_var.lowest", &[], &[lowest]);
            walk.graph.constant("log_var.highest", &[], &[highest]);
            let inputs = [&free, "log_var.lowest", "log_var.highest"];
            walk.graph.node("Clip", &inputs, "log_var", vec![]);
            let (mean, log_var) = match config.model.posterior {
                Posterior::Normal => {
                    ("μ of q(z | x)", "log σ² of q(z | x), within the model's bounds")
                }
                _ => (
                    "the location of q(z | x)",
                    "the logarithm of the squared scale of q(z | x), within the model's bounds",
                ),
            };
            vec![value("mean", latent, mean), value("log_var", latent, log_var)]
        }
    };
    Ok(Graph { output: outputs, ..walk.graph.0 })
}

/// z (n, latent), and y (n, classes) if there are any, to the pixels' means (n, pixels); counts share a total.
fn decoder(
    vae: &mut Vae,
    weights: &[Weight],
    config: &Config,
    (pixels, total): (usize, f32),
) -> Result<Graph> {
    let program = vae.program(Use::Decode)?.clone();
    let mut walk = Walk::new(vae, &program, weights);
    let prior = match config.check_prior() {
        Ok(()) if !config.model.above.is_empty() => {
            "latents, a row each; the prior is made by the levels of z above, which are not in this file"
        }
        Ok(()) if config.model.prior.is_learned() => {
            "latents, a row each; the prior is a learned mixture of normals, which is not in this file"
        }
        Ok(()) => "latents, a row each; from the prior, independent standard normals",
        Err(_) => "codes, a row each",
    };
    walk.input(vae.ports.z, value("z", config.model.latent, prior));
    classes(&mut walk, vae, config.model.classes);
    let what = walk.pixels(&config.model, pixels, total)?;
    Ok(Graph { output: vec![value("pixels", pixels, what)], ..walk.graph.0 })
}

/// Adds the input of the classes, if the model has any.
fn classes(walk: &mut Walk<'_>, vae: &Vae, classes: usize) {
    let doc = "classes, a row each: 1 in the column of the class, counted from 0, and 0 elsewhere";
    if let Some(label) = vae.ports.label {
        walk.input(label, value("y", classes, doc));
    }
}

#[cfg(test)]
mod tests;
