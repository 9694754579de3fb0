//! ONNX files of a model's two halves: its encoder and its decoder, for any runtime that reads them.

mod pixels;
mod proto;

use std::ops::Range;
use std::path::Path;

use clap::ValueEnum;
use elbo::checkpoint::{State, Weight, check_tensors};
use elbo::config::{Activation, LOG_VAR_BOUNDS, ModelConfig, Posterior};
use elbo::kernels::common::slope;
use elbo::kernels::layer_norm::EPSILON;
use elbo::model::{DataSpec, Vae};
use elbo::{Config, Error, Result};
use prost::Message;

use crate::cli::card::likelihood;
use proto::{
    Attribute, AttributeKind, Dimension, FLOAT, Graph, INT64, Model, Node, Opset, Property, Shape,
    Tensor, TensorType, Type, Value,
};

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
    let pixels = state.size[0] * state.size[1];
    let layers = Layers::of(path, &state.config, pixels, weights)?;
    let mut graph = Builder { weights, graph: Graph::default() };
    match part {
        Part::Encoder => graph.encoder(&layers, &state.config, pixels),
        Part::Decoder => graph.decoder(&layers, &state.config, pixels),
    }
    let mut graph = graph.graph;
    graph.name = part.name().to_owned();
    let (doc, step) = (describe(state, part), state.trained.step);
    graph.doc_string.clone_from(&doc);
    let [height, width] = state.size;
    let mut about = vec![
        ("height", height.to_string()),
        ("width", width.to_string()),
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
    let ([height, width], step) = (state.size, state.trained.step);
    let model = &state.config.model;
    let (posterior, conditional) = (model.posterior, model.classes > 0);
    let does = match (part, posterior, conditional) {
        (Part::Encoder, Posterior::Point, _) => "the codes z of images",
        (Part::Encoder, Posterior::Normal, false) => {
            "the approximate posterior q(z | x) of images: mean and log-variance"
        }
        (Part::Encoder, Posterior::Normal, true) => {
            "the approximate posterior q(z | x, y) of images and their classes: mean and log-variance"
        }
        (Part::Decoder, _, false) => "the means of the pixels of p(x | z)",
        (Part::Decoder, _, true) => "the means of the pixels of p(x | z, y), where y is the class",
    };
    let kind = match posterior {
        Posterior::Normal => "a variational autoencoder (Kingma and Welling 2014)",
        Posterior::Point => "a plain autoencoder",
    };
    format!(
        "The {} of {kind} for images of {height}×{width} after {step} training steps: {does}.",
        part.name()
    )
}

/// The paths of a model's layers in files, as in `fc1` of `fc1.weight`.
struct Layers {
    encoder: Vec<String>,
    /// The mean's, or the point's.
    mean: String,
    log_var: Option<String>,
    /// The hidden layers and the last.
    decoder: Vec<String>,
}

impl Layers {
    /// Records the model to learn them, and judges the weights by it.
    fn of(path: &Path, config: &Config, pixels: usize, weights: &[Weight]) -> Result<Self> {
        let mut config = config.clone();
        (config.train.batch_size, config.train.accumulate) = (1, 1);
        let spec = DataSpec { images: 1, pixels, bytes: true };
        let vae = Vae::new(&config, spec, spec).map_err(|e| {
            Error::data(path, format!("its model: {e}")).hint("the file may be damaged")
        })?;
        let parameters = vae.parameters.list();
        let shapes = parameters.iter().flat_map(|parameter| parameter.shapes());
        let shapes: Vec<_> = shapes.map(|(key, shape)| (key.to_owned(), shape)).collect();
        check_tensors(path, &shapes, weights)?;
        let paths = shapes.iter().filter_map(|(key, _)| key.strip_suffix(".weight"));
        // The norm of a layer goes by the layer's name.
        let mut paths = paths.filter(|path| !path.ends_with(".norm"));
        let mut next = || paths.next().expect("the model has its layers").to_owned();
        let hidden = &config.model;
        Ok(Self {
            encoder: hidden.encoder.0.iter().map(|_| next()).collect(),
            mean: next(),
            log_var: (hidden.posterior == Posterior::Normal).then(&mut next),
            decoder: (0..=hidden.decoder.0.len()).map(|_| next()).collect(),
        })
    }
}

/// A graph that grows by one operation after the other.
struct Builder<'w> {
    weights: &'w [Weight],
    graph: Graph,
}

impl Builder<'_> {
    /// x (n, pixels), and y (n, classes) if there are any, to `mean` and `log_var` (n, latent), or to the
    /// point `z`.
    fn encoder(&mut self, layers: &Layers, config: &Config, pixels: usize) {
        let latent = config.model.latent;
        let range = "images, a row each, top row first: pixels from 0 (black) to 1 (white)";
        self.graph.input = vec![value("x", pixels, range)];
        let mut top = self.told("x", config.model.classes);
        for layer in &layers.encoder {
            top = self.hidden(layer, &top, &config.model);
        }
        let Some(log_var) = &layers.log_var else {
            self.linear(&layers.mean, &top, "z".to_owned());
            self.graph.output = vec![value("z", latent, "the codes, a row each")];
            return;
        };
        self.linear(&layers.mean, &top, "mean".to_owned());
        let free = self.linear(log_var, &top, "log_var.linear".to_owned());
        // The bounds of the model, which are part of its function.
        let (lowest, highest) = LOG_VAR_BOUNDS;
        self.constant("log_var.lowest", &[], &[lowest]);
        self.constant("log_var.highest", &[], &[highest]);
        self.node("Clip", &[&free, "log_var.lowest", "log_var.highest"], "log_var", vec![]);
        let (mean, log_var) = ("μ of q(z | x)", "log σ² of q(z | x), within the model's bounds");
        self.graph.output = vec![value("mean", latent, mean), value("log_var", latent, log_var)];
    }

    /// z (n, latent), and y (n, classes) if there are any, to the pixels' means (n, pixels).
    fn decoder(&mut self, layers: &Layers, config: &Config, pixels: usize) {
        let prior = match config.check_prior() {
            Ok(()) => "latents, a row each; from the prior, independent standard normals",
            Err(_) => "codes, a row each",
        };
        self.graph.input = vec![value("z", config.model.latent, prior)];
        let mut top = self.told("z", config.model.classes);
        let (last, hidden) = layers.decoder.split_last().expect("a decoder has a last layer");
        for layer in hidden {
            top = self.hidden(layer, &top, &config.model);
        }
        let what = self.pixels(&config.model, last, &top, pixels);
        self.graph.output = vec![value("pixels", pixels, what)];
    }

    /// Adds a hidden layer; the name of what it makes. Dropout is of training alone.
    fn hidden(&mut self, layer: &str, x: &str, model: &ModelConfig) -> String {
        let mut top = self.linear(layer, x, format!("{layer}.linear"));
        if model.layer_norm {
            let keys = self.learned(&format!("{layer}.norm"));
            let epsilon = float("epsilon", EPSILON as f32);
            let y = format!("{layer}.normalised");
            self.node("LayerNormalization", &[&top, &keys[0], &keys[1]], &y, vec![epsilon]);
            top = y;
        }
        self.activation(model.activation, &top, layer)
    }

    /// Adds the input of the classes, and what puts it behind the columns of another one; the name of both
    /// together. A model without classes has no such input.
    fn told(&mut self, input: &str, classes: usize) -> String {
        if classes == 0 {
            return input.to_owned();
        }
        let doc =
            "classes, a row each: 1 in the column of the class, counted from 0, and 0 elsewhere";
        self.graph.input.push(value("y", classes, doc));
        let both = format!("{input} with y");
        self.node("Concat", &[input, "y"], &both, vec![integer("axis", 1)]);
        both
    }

    /// Adds the weight and the bias of a path as constants; their names.
    fn learned(&mut self, path: &str) -> [String; 2] {
        ["weight", "bias"].map(|kind| {
            let Weight { key, shape, values } = self.weight(&format!("{path}.{kind}")).clone();
            self.constant(&key, &shape, &values);
            key
        })
    }

    /// Adds y = x Wᵀ + b, with W as in files; the name of y.
    fn linear(&mut self, layer: &str, x: &str, y: String) -> String {
        let rows = self.weight(&format!("{layer}.bias")).shape[0];
        self.linear_rows((layer, ""), 0..rows, x, y)
    }

    fn weight(&self, key: &str) -> &Weight {
        let found = self.weights.iter().find(|weight| weight.key == key);
        found.expect("the weights are the model's")
    }

    /// The same with some rows of W and b, whose names have an ending.
    fn linear_rows(
        &mut self,
        (layer, ending): (&str, &str),
        rows: Range<usize>,
        x: &str,
        y: String,
    ) -> String {
        let keys = ["weight", "bias"].map(|kind| {
            let key = format!("{layer}.{kind}");
            let Weight { shape, values, .. } = self.weight(&key).clone();
            let width = shape[1..].iter().product::<usize>();
            let shape = [&[rows.len()], &shape[1..]].concat();
            let name = key + ending;
            self.constant(&name, &shape, &values[rows.start * width..rows.end * width]);
            name
        });
        self.node("Gemm", &[x, &keys[0], &keys[1]], &y, vec![integer("transB", 1)]);
        y
    }

    /// Adds an activation; the name of what it makes.
    fn activation(&mut self, kind: Activation, x: &str, layer: &str) -> String {
        let y = format!("{layer}.{}", kind.name());
        let word = |name: &str, s: &str| Attribute {
            name: name.to_owned(),
            s: Some(s.as_bytes().to_vec()),
            kind: AttributeKind::String.into(),
            ..Attribute::default()
        };
        match kind {
            Activation::Identity => self.node("Identity", &[x], &y, vec![]),
            Activation::Relu => self.node("Relu", &[x], &y, vec![]),
            Activation::LeakyRelu => {
                let slope = float("alpha", slope(Activation::LeakyRelu, -1.0));
                self.node("LeakyRelu", &[x], &y, vec![slope]);
            }
            Activation::Tanh => self.node("Tanh", &[x], &y, vec![]),
            Activation::Sigmoid => self.node("Sigmoid", &[x], &y, vec![]),
            Activation::Softplus => self.node("Softplus", &[x], &y, vec![]),
            Activation::Silu => {
                let gate = format!("{layer}.gate");
                self.node("Sigmoid", &[x], &gate, vec![]);
                self.node("Mul", &[x, &gate], &y, vec![]);
            }
            // The one with the error function, not the approximation by tanh.
            Activation::Gelu => self.node("Gelu", &[x], &y, vec![word("approximate", "none")]),
        }
        y
    }

    /// Adds an operation, which is named by what it makes.
    fn node(&mut self, op: &str, inputs: &[&str], output: &str, attribute: Vec<Attribute>) {
        self.graph.node.push(Node {
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.to_owned()],
            name: output.to_owned(),
            op_type: op.to_owned(),
            attribute,
        });
    }

    fn constant(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, FLOAT, shape, bytes);
    }

    /// Adds a line of integers.
    fn integers(&mut self, name: &str, values: &[i64]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, INT64, &[values.len()], bytes);
    }

    fn tensor(&mut self, name: &str, data_type: i32, shape: &[usize], raw_data: Vec<u8>) {
        let dims = shape.iter().map(|&extent| extent as i64).collect();
        self.graph.initializer.push(Tensor { dims, data_type, name: name.to_owned(), raw_data });
    }
}

/// An attribute that is a number.
fn float(name: &str, f: f32) -> Attribute {
    Attribute {
        name: name.to_owned(),
        f: Some(f),
        kind: AttributeKind::Float.into(),
        ..Attribute::default()
    }
}

/// An attribute that is an integer.
fn integer(name: &str, i: i64) -> Attribute {
    Attribute {
        name: name.to_owned(),
        i: Some(i),
        kind: AttributeKind::Int.into(),
        ..Attribute::default()
    }
}

/// An input or output of n rows, where n is free.
fn value(name: &str, columns: usize, doc: &str) -> Value {
    let rows = Dimension { dim_param: Some("n".to_owned()), dim_value: None };
    let columns = Dimension { dim_value: Some(columns as i64), dim_param: None };
    let shape = Some(Shape { dim: vec![rows, columns] });
    let tensor = Some(TensorType { elem_type: FLOAT, shape });
    Value { name: name.to_owned(), kind: Some(Type { tensor }), doc_string: doc.to_owned() }
}

#[cfg(test)]
mod tests;
