//! The parameters of a model: their names, where they and their gradients and moments lie.

use crate::engine::plan::{MAX_BINDING_BYTES, OFFSET_ALIGNMENT, Plan};
use crate::engine::taps::Taps;
use crate::engine::tensor::{BufferId, Dtype, PAD, Tensor};

/// How a parameter gets its first values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Uniform in [−bound, bound).
    Uniform(f64),
    /// Normal round zero, with this deviation.
    Normal(f64),
    /// All the same.
    Constant(f64),
}

/// A name under which rows of a parameter go to files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// The key in a safetensors file.
    pub key: String,
    /// The first row.
    pub first: usize,
    /// The number of rows.
    pub rows: usize,
}

/// A parameter: a weight `[out, in]`, or a bias `[out]`.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// The path, which is also the label of errors.
    pub name: String,
    /// Where the values lie.
    pub value: Tensor,
    /// Where the gradient lies. A step that updates the parameter where its gradient is made has no room
    /// for it.
    pub grad: Tensor,
    /// Where the first moments lie, or the momentum.
    pub first: Tensor,
    /// Where the second moments lie.
    pub second: Tensor,
    /// Where the average of the values over steps lies, if it is made.
    pub average: Option<Tensor>,
    /// How it starts.
    pub init: Init,
    /// What its columns are, if it is the weight of a convolution.
    pub taps: Option<Taps>,
    /// The names of its rows in files; for a bias the rows are its elements.
    pub exports: Vec<Export>,
}

impl Parameter {
    /// Whether this is a vector.
    #[must_use]
    pub fn is_vector(&self) -> bool {
        self.value.stride() == self.value.words()
    }

    /// Where the values lie that a model is used with: their averages, if there are any.
    #[must_use]
    pub fn in_use(&self) -> Tensor {
        self.average.unwrap_or(self.value)
    }

    /// All that lies there for it.
    #[must_use]
    pub fn tensors(&self) -> [Tensor; 5] {
        [self.value, self.grad, self.first, self.second, self.in_use()]
    }

    /// The number of values, without padding.
    #[must_use]
    pub fn len(&self) -> usize {
        self.value.rows() * self.taps.map_or(self.value.cols(), Taps::numbers)
    }

    /// Values in the order of files, of those that its rows and columns hold.
    #[must_use]
    pub fn to_file<T: Copy>(&self, values: Vec<T>) -> Vec<T> {
        match self.taps {
            Some(taps) => taps.to_file(&values),
            None => values,
        }
    }

    /// What its rows and columns hold, of values in the order of files.
    #[must_use]
    pub fn from_file<T: Copy + Default>(&self, values: Vec<T>) -> Vec<T> {
        match self.taps {
            Some(taps) => taps.from_file(&values),
            None => values,
        }
    }

    /// The keys of its rows in files, and their shapes there.
    pub fn shapes(&self) -> impl Iterator<Item = (&str, Vec<usize>)> {
        self.exports.iter().map(|export| {
            let shape = match self.taps {
                _ if self.is_vector() => vec![export.rows],
                Some(Taps { kernel: [down, right], channels }) => {
                    vec![export.rows, channels, down, right]
                }
                None => vec![export.rows, self.value.cols()],
            };
            (export.key.as_str(), shape)
        })
    }

    /// Whether there are no values, which no layer makes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Parameters that share buffers, so that one dispatch updates them all: values, gradients and two
/// moments, each at the same offset in its own buffer.
#[derive(Clone, Copy, Debug)]
pub struct Arena {
    /// The values.
    pub values: Tensor,
    /// The gradients.
    pub grads: Tensor,
    /// The first moments, or the momentum.
    pub first: Tensor,
    /// The second moments.
    pub second: Tensor,
}

/// The buffers of an arena. Only that of the values has room from the start; the others get it when
/// something is recorded that uses them.
#[derive(Clone, Copy, Debug)]
struct Buffers {
    values: BufferId,
    grads: BufferId,
    first: BufferId,
    second: BufferId,
    average: Option<BufferId>,
    /// Whether it is of layers, whose weights and biases products update, or of what is left.
    layers: bool,
}

/// What the columns of a layer's weight are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Columns {
    /// The inputs of a fully connected layer.
    Inputs(usize),
    /// What is under the taps of a convolution.
    Taps(Taps),
    /// What is under the taps of a transposed convolution, whose outputs these channels are: the rows are its inputs.
    Spread(Taps),
}

/// All parameters of a model, in the order they were made.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    list: Vec<Parameter>,
    buffers: Vec<Buffers>,
    averaged: bool,
}

impl Parameters {
    /// No parameters.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No parameters; those that are made have averages.
    #[must_use]
    pub fn averaged() -> Self {
        Self { averaged: true, ..Self::default() }
    }

    /// The weight (outputs, columns) and the bias (outputs) of a layer, as [`Tape::layer`] says; of a transposed convolution
    /// the weight is (inputs, columns).
    ///
    /// [`Tape::layer`]: crate::engine::Tape::layer
    pub(crate) fn layer(
        &mut self,
        plan: &mut Plan,
        path: &str,
        (rows, columns): (usize, Columns),
        inits: [Init; 2],
        parts: &[(&str, usize)],
    ) -> [Tensor; 2] {
        let (cols, taps, outputs) = match columns {
            Columns::Inputs(inputs) => (inputs, None, rows),
            Columns::Taps(taps) => (taps.columns(), Some(taps), rows),
            Columns::Spread(taps) => (taps.columns(), Some(taps), taps.channels),
        };
        let names = ["weight", "bias"].map(|kind| format!("{path}.{kind}"));
        if let [Some(weight), Some(bias)] = names.each_ref().map(|name| self.find(name)) {
            let found = [weight.rows(), weight.cols(), bias.cols()];
            assert_eq!(found, [rows, cols, outputs], "the shapes of the layer `{path}`");
            return [weight, bias];
        }
        let weight_words = rows.next_multiple_of(PAD) * cols.next_multiple_of(PAD);
        let before_bias = weight_words.next_multiple_of(OFFSET_ALIGNMENT);
        let words = before_bias + outputs.next_multiple_of(PAD);
        let (buffers, offset) = self.place(plan, words, true);
        let weight = Tensor::matrix(buffers.values, offset, rows, cols);
        let bias = Tensor::vector(buffers.values, offset + before_bias, outputs, Dtype::F32);
        for (kind, name, value, init) in
            [("weight", &names[0], weight, inits[0]), ("bias", &names[1], bias, inits[1])]
        {
            let rows = if kind == "weight" { rows } else { outputs };
            let mut exports = vec![Export { key: name.clone(), first: 0, rows }];
            if !parts.is_empty() {
                exports = exports_of(parts, kind, rows);
            }
            let taps = taps.filter(|_| kind == "weight");
            self.push(name, value, buffers, init, (taps, exports));
        }
        [weight, bias]
    }

    /// A vector or matrix, like this one, that no product updates, as [`Tape::parameter`] says.
    ///
    /// [`Tape::parameter`]: crate::engine::Tape::parameter
    pub(crate) fn own(&mut self, plan: &mut Plan, name: &str, shape: Tensor, init: Init) -> Tensor {
        if let Some(found) = self.find(name) {
            let same = [found.rows(), found.cols()] == [shape.rows(), shape.cols()];
            assert!(same, "the shape of the parameter `{name}`");
            return found;
        }
        let (buffers, offset) = self.place(plan, shape.words(), false);
        let value = Tensor { buffer: buffers.values, offset, ..shape };
        let rows = if value.stride() == value.words() { value.cols() } else { value.rows() };
        let exports = vec![Export { key: name.to_owned(), first: 0, rows }];
        self.push(name, value, buffers, init, (None, exports));
        value
    }

    /// The parameter of a name, if it is made.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Parameter> {
        self.list.iter().find(|parameter| parameter.name == name)
    }

    fn find(&self, name: &str) -> Option<Tensor> {
        self.named(name).map(|found| found.value)
    }

    fn push(
        &mut self,
        name: &str,
        value: Tensor,
        buffers: Buffers,
        init: Init,
        (taps, exports): (Option<Taps>, Vec<Export>),
    ) {
        let beside = |buffer| Tensor { buffer, ..value };
        self.list.push(Parameter {
            name: name.to_owned(),
            value,
            grad: beside(buffers.grads),
            first: beside(buffers.first),
            second: beside(buffers.second),
            average: buffers.average.map(beside),
            init,
            taps,
            exports,
        });
    }

    /// Finds room in the last arena of its kind, or starts another when a binding would become too
    /// large.
    fn place(&mut self, plan: &mut Plan, words: usize, layers: bool) -> (Buffers, usize) {
        let room = (MAX_BINDING_BYTES / 4) as usize;
        let last = self.buffers.iter().rfind(|buffers| buffers.layers == layers).copied();
        let fits =
            |of: &Buffers| plan.buffers()[of.values.index()].words + words + PAD * PAD <= room;
        let buffers = last.filter(fits).unwrap_or_else(|| {
            let mut buffer = |name| plan.buffer(name, 0, Dtype::F32);
            let made = Buffers {
                values: buffer("parameters"),
                grads: buffer("gradients"),
                first: buffer("first moments"),
                second: buffer("second moments"),
                average: self.averaged.then(|| buffer("averages")),
                layers,
            };
            self.buffers.push(made);
            made
        });
        let offset = plan.grow(buffers.values, words);
        if let Some(average) = buffers.average {
            plan.make_as_long(average, buffers.values);
        }
        (buffers, offset)
    }

    fn arena_of(&self, tensor: Tensor) -> Option<&Buffers> {
        self.buffers.iter().find(|buffers| buffers.values == tensor.buffer)
    }

    /// Where the average of a tensor lies, if it is of values that are averaged.
    #[must_use]
    pub fn average_of(&self, tensor: Tensor) -> Option<Tensor> {
        let buffer = self.arena_of(tensor)?.average?;
        Some(Tensor { buffer, ..tensor })
    }

    /// Where the gradient of a parameter lies; from now on there is room for it.
    pub(crate) fn gradient_of(&self, plan: &mut Plan, tensor: Tensor) -> Option<Tensor> {
        let &Buffers { values, grads, .. } = self.arena_of(tensor)?;
        plan.make_as_long(grads, values);
        Some(Tensor { buffer: grads, ..tensor })
    }

    /// The first and the second moments of a range of values; from now on there is room for them.
    ///
    /// # Panics
    ///
    /// If they are no values of parameters.
    pub(crate) fn moments_of(&self, plan: &mut Plan, range: Tensor) -> [Tensor; 2] {
        let found = self.arena_of(range).expect("moments are of parameters");
        [found.first, found.second].map(|buffer| {
            plan.make_as_long(buffer, found.values);
            Tensor { buffer, ..range }
        })
    }

    /// The parameters, in the order they were made.
    #[must_use]
    pub fn list(&self) -> &[Parameter] {
        &self.list
    }

    /// The number of values, without padding.
    #[must_use]
    pub fn count(&self) -> usize {
        self.list.iter().map(Parameter::len).sum()
    }

    /// The values of all parameters but some, as ranges that lie together, once every parameter is made.
    #[must_use]
    pub fn ranges(&self, without: &[Tensor]) -> Vec<Tensor> {
        let mut ranges: Vec<Tensor> = Vec::new();
        for buffers in &self.buffers {
            let mut own: Vec<_> = self
                .list
                .iter()
                .map(|parameter| parameter.value)
                .filter(|value| value.buffer == buffers.values && !without.contains(value))
                .collect();
            own.sort_unstable_by_key(|value| value.offset);
            for value in own {
                let end = value.range().end;
                match ranges.last_mut() {
                    Some(last)
                        if last.buffer == value.buffer
                            && last.range().end.next_multiple_of(OFFSET_ALIGNMENT)
                                == value.offset =>
                    {
                        let len = end - last.offset;
                        *last = Tensor::vector(last.buffer, last.offset, len, Dtype::F32);
                    }
                    _ => {
                        let len = end - value.offset;
                        ranges.push(Tensor::vector(value.buffer, value.offset, len, Dtype::F32));
                    }
                }
            }
        }
        ranges
    }

    /// A range of values with all that lies beside it; from now on there is room for it.
    ///
    /// # Panics
    ///
    /// If they are no values of parameters.
    pub fn arena(&self, plan: &mut Plan, values: Tensor) -> Arena {
        let grads = self.gradient_of(plan, values).expect("gradients are of parameters");
        let [first, second] = self.moments_of(plan, values);
        Arena { values, grads, first, second }
    }
}

/// The names under which so many rows go to files, in parts.
///
/// # Panics
///
/// If the parts do not add up to the rows.
fn exports_of(parts: &[(&str, usize)], kind: &str, rows: usize) -> Vec<Export> {
    let mut first = 0;
    let mut exports = Vec::new();
    for &(name, rows) in parts {
        exports.push(Export { key: format!("{name}.{kind}"), first, rows });
        first += rows;
    }
    assert_eq!(first, rows, "the rows of {parts:?} as exported");
    exports
}
