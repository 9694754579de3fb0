//! From the dispatches of a recorded program to ONNX operations, kernel by kernel.

use std::collections::HashMap;
use std::ops::Range;

use elbo::checkpoint::Weight;
use elbo::config::Activation;
use elbo::engine::{Access, Dispatch, Program, Tensor};
use elbo::kernels::layer_norm::EPSILON;
use elbo::model::Vae;
use elbo::{Error, Result};

use super::graph::{Builder, float, integer};
use super::maps;
use super::proto::Value;

/// Adds what a dispatch does to a graph, under a name; what its result is called, which is another name
/// where it passes on its input.
type Operator = fn(&mut Walk<'_>, &Dispatch, &str) -> Result<String>;

/// What the kernels of encoders and decoders are in ONNX, where a model only looks.
const OPERATORS: &[(&str, Operator)] = &[
    ("matmul.forward", product),
    ("matmul.convolve", maps::convolve),
    ("matmul.convolve_add", maps::convolve_add),
    ("matmul.transposed", maps::transposed),
    ("add.forward", maps::add),
    ("attention.forward", maps::attention),
    ("pool.forward", maps::pool),
    ("group_norm.forward", maps::group_norm),
    ("map.of_rows", maps::of_rows),
    ("map.to_rows", maps::to_rows),
    ("layer_norm.forward", layer_norm),
    ("activation.forward", activation),
    ("label.append", append),
    ("counts.seen", log_one_plus),
    // What a training step leaves out, or shows to the encoder otherwise.
    ("dropout.apply", as_it_is),
    ("corrupt.pixels", as_it_is),
];

/// A walk from results back to inputs over the dispatches that make them.
pub(super) struct Walk<'w> {
    pub(super) vae: &'w Vae,
    pub(super) graph: Builder,
    program: &'w Program,
    weights: &'w [Weight],
    /// The names of tensors whose values are in the graph.
    names: HashMap<Tensor, String>,
}

impl<'w> Walk<'w> {
    pub(super) fn new(vae: &'w Vae, program: &'w Program, weights: &'w [Weight]) -> Self {
        Self { vae, graph: Builder::default(), program, weights, names: HashMap::new() }
    }

    /// Says that a tensor is an input of the graph.
    pub(super) fn input(&mut self, tensor: Tensor, value: Value) {
        self.names.insert(tensor, value.name.clone());
        self.graph.0.input.push(value);
    }

    /// Adds what makes a tensor, under a name.
    pub(super) fn output(&mut self, tensor: Tensor, name: &str) -> Result<String> {
        let dispatch = self.maker(tensor)?;
        let kernel = dispatch.kernel.name();
        match OPERATORS.iter().find(|(known, _)| *known == kernel) {
            Some((_, operator)) => operator(self, dispatch, name),
            None => Err(self.no_operator(dispatch)),
        }
    }

    /// Adds so many of a product's outputs alone, with those rows of its weight and bias as constants whose
    /// names have an ending; the name that was given.
    pub(super) fn rows(
        &mut self,
        tensor: Tensor,
        (name, ending): (&str, &str),
        rows: Range<usize>,
    ) -> Result<String> {
        let dispatch = self.maker(tensor)?;
        match dispatch.kernel.name() {
            "matmul.forward" => {}
            "map.to_rows" => return self.columns(tensor, name, rows),
            _ => return Err(self.no_operator(dispatch)),
        }
        let x = self.value(bound(dispatch, "x"))?;
        let [w, b] = ["w", "b"].map(|of| self.learned(bound(dispatch, of), rows.clone(), ending));
        let kind = activation_of(dispatch);
        self.graph.then(kind, (name, "linear"), |graph, linear| {
            graph.node("Gemm", &[&x, &w, &b], linear, vec![integer("transB", 1)]);
        });
        Ok(name.to_owned())
    }

    /// Adds some columns of what was a map; the name that was given.
    fn columns(&mut self, tensor: Tensor, name: &str, columns: Range<usize>) -> Result<String> {
        let all = self.value(tensor)?;
        let ends = [("first", columns.start), ("end", columns.end), ("axis", 1)];
        let ends = ends.map(|(of, at)| {
            let constant = format!("{name}.{of}");
            self.graph.integers(&constant, &[at as i64]);
            constant
        });
        self.graph.node("Slice", &[&all, &ends[0], &ends[1], &ends[2]], name, vec![]);
        Ok(name.to_owned())
    }

    /// The name of a tensor's value, which is added if it is not there yet.
    pub(super) fn value(&mut self, tensor: Tensor) -> Result<String> {
        if let Some(name) = self.names.get(&tensor) {
            return Ok(name.clone());
        }
        // Tensors may share a name, values may not.
        let mut name = self.vae.plan.name(tensor).to_owned();
        while self.names.values().any(|known| *known == name) {
            name += "'";
        }
        let name = self.output(tensor, &name)?;
        self.names.insert(tensor, name.clone());
        Ok(name)
    }

    /// The dispatch that makes a tensor.
    fn maker(&self, tensor: Tensor) -> Result<&'w Dispatch> {
        let found = self.program.dispatches.iter().find(|dispatch| {
            let mut uses = dispatch.bindings.iter().zip(dispatch.kernel.bindings());
            uses.any(|(&used, binding)| used == tensor && binding.access == Access::Write)
        });
        found.ok_or_else(|| {
            let (name, program) = (self.vae.plan.name(tensor), &self.program.name);
            Error::config(format!("`{name}` is made nowhere in the program `{program}`"))
                .hint("write the weights to a `.safetensors` file")
        })
    }

    fn no_operator(&self, dispatch: &Dispatch) -> Error {
        let what = format!("{} has no operator of ONNX here", dispatch.kernel.name());
        Error::config(what).hint("write the weights to a `.safetensors` file")
    }

    /// Adds rows of a parameter as a constant: of a weight `[out, in]` as in files; its name.
    pub(super) fn learned(&mut self, tensor: Tensor, rows: Range<usize>, ending: &str) -> String {
        let mut list = self.vae.parameters.list().iter();
        let parameter = list.find(|p| p.value == tensor).expect("layers bind parameters");
        let export = parameter
            .exports
            .iter()
            .find(|export| export.first <= rows.start && rows.end <= export.first + export.rows);
        let export = export.expect("a part of a model is within what files hold as one");
        let weight = self.weights.iter().find(|weight| weight.key == export.key);
        let Weight { key, shape, values } = weight.expect("the weights were judged");
        let width = shape[1..].iter().product::<usize>();
        let (shape, name) = ([&[rows.len()], &shape[1..]].concat(), format!("{key}{ending}"));
        let (first, end) = (rows.start - export.first, rows.end - export.first);
        self.graph.constant(&name, &shape, &values[first * width..end * width]);
        name
    }
}

/// y = f(x wᵀ + b).
fn product(walk: &mut Walk<'_>, dispatch: &Dispatch, name: &str) -> Result<String> {
    let y = bound(dispatch, "y");
    walk.rows(y, (name, ""), 0..y.cols())
}

fn layer_norm(walk: &mut Walk<'_>, dispatch: &Dispatch, name: &str) -> Result<String> {
    let x = bound(dispatch, "x");
    let learned = ["gain", "bias"].map(|of| walk.learned(bound(dispatch, of), 0..x.cols(), ""));
    let (x, epsilon) = (walk.value(x)?, float("epsilon", EPSILON as f32));
    let inputs = [x.as_str(), &learned[0], &learned[1]];
    walk.graph.then(activation_of(dispatch), (name, "shifted"), |graph, shifted| {
        graph.node("LayerNormalization", &inputs, shifted, vec![epsilon]);
    });
    Ok(name.to_owned())
}

fn activation(walk: &mut Walk<'_>, dispatch: &Dispatch, name: &str) -> Result<String> {
    let x = walk.value(bound(dispatch, "x"))?;
    walk.graph.activation(activation_of(dispatch), &x, name);
    Ok(name.to_owned())
}

fn append(walk: &mut Walk<'_>, dispatch: &Dispatch, name: &str) -> Result<String> {
    let [a, label] = ["a", "label"].map(|of| bound(dispatch, of));
    let (a, label) = (walk.value(a)?, walk.value(label)?);
    walk.graph.node("Concat", &[&a, &label], name, vec![integer("axis", 1)]);
    Ok(name.to_owned())
}

/// log(1 + x).
fn log_one_plus(walk: &mut Walk<'_>, dispatch: &Dispatch, name: &str) -> Result<String> {
    let x = walk.value(bound(dispatch, "counts"))?;
    walk.graph.constant("one", &[], &[1.0]);
    let more = format!("{name}.sum");
    walk.graph.node("Add", &[&x, "one"], &more, vec![]);
    walk.graph.node("Log", &[&more], name, vec![]);
    Ok(name.to_owned())
}

fn as_it_is(walk: &mut Walk<'_>, dispatch: &Dispatch, _: &str) -> Result<String> {
    walk.value(bound(dispatch, "x"))
}

/// The tensor that a dispatch binds under a name.
pub(super) fn bound(dispatch: &Dispatch, name: &str) -> Tensor {
    let place = dispatch.kernel.bindings().iter().position(|binding| binding.name == name);
    dispatch.bindings[place.expect("a kernel's bindings have the names of its row")]
}

/// The activation among a dispatch's parameters.
pub(super) fn activation_of(dispatch: &Dispatch) -> Activation {
    elbo::kernels::common::activation_of(parameter(dispatch, "activation"))
}

/// A parameter of a dispatch.
pub(super) fn parameter(dispatch: &Dispatch, name: &str) -> u32 {
    let place = dispatch.kernel.params_fields().iter().position(|&field| field == name);
    let place = place.expect("a kernel's parameters have the names of its row");
    let word = dispatch.params[4 * place..][..4].try_into().expect("four bytes a parameter");
    u32::from_ne_bytes(word)
}
