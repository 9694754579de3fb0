//! The parameters of a model: their names, where they and their gradients and moments lie.

use crate::engine::plan::{MAX_BINDING_BYTES, Plan};
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
    /// Where the gradient lies.
    pub grad: Tensor,
    /// Where the first moments lie, or the momentum.
    pub first: Tensor,
    /// Where the second moments lie.
    pub second: Tensor,
    /// Where the average of the values over steps lies, if it is made.
    pub average: Option<Tensor>,
    /// How it starts.
    pub init: Init,
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

    /// The number of values, without padding.
    #[must_use]
    pub fn len(&self) -> usize {
        self.value.rows() * self.value.cols()
    }

    /// The keys of its rows in files, and their shapes there.
    pub fn shapes(&self) -> impl Iterator<Item = (&str, Vec<usize>)> {
        self.exports.iter().map(|export| {
            let shape = match self.is_vector() {
                true => vec![export.rows],
                false => vec![export.rows, self.value.cols()],
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

/// All parameters of a model, in the order they were made.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    list: Vec<Parameter>,
    buffers: Vec<[BufferId; 4]>,
    /// The buffers of values with those of their averages, if these are made.
    averages: Vec<[BufferId; 2]>,
}

impl Parameters {
    /// No parameters.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A weight of so many outputs and inputs.
    pub fn matrix(
        &mut self,
        plan: &mut Plan,
        name: &str,
        [rows, cols]: [usize; 2],
        init: Init,
    ) -> Parameter {
        let words = rows.next_multiple_of(PAD) * cols.next_multiple_of(PAD);
        let (buffers, offset) = self.place(plan, words);
        let value = Tensor::matrix(buffers[0], offset, rows, cols);
        self.push(name, value, buffers, rows, init)
    }

    /// A bias of so many outputs.
    pub fn vector(&mut self, plan: &mut Plan, name: &str, len: usize, init: Init) -> Parameter {
        let (buffers, offset) = self.place(plan, len.next_multiple_of(PAD));
        let value = Tensor::vector(buffers[0], offset, len, Dtype::F32);
        self.push(name, value, buffers, len, init)
    }

    fn push(
        &mut self,
        name: &str,
        value: Tensor,
        buffers: [BufferId; 4],
        rows: usize,
        init: Init,
    ) -> Parameter {
        let [_, grad, first, second] = buffers.map(|buffer| Tensor { buffer, ..value });
        let exports = vec![Export { key: name.to_owned(), first: 0, rows }];
        let name = name.to_owned();
        let average = None;
        let parameter = Parameter { name, value, grad, first, second, average, init, exports };
        self.list.push(parameter.clone());
        parameter
    }

    /// Says under which names the rows of the last parameter go to files.
    ///
    /// # Panics
    ///
    /// If the rows do not add up to the parameter's.
    pub fn export_last(&mut self, exports: &[(String, usize)]) {
        let last = self.list.last_mut().expect("a parameter was made before it is exported");
        let rows: usize = exports.iter().map(|(_, rows)| rows).sum();
        assert_eq!(rows, last.exports[0].rows, "the rows of `{}` as exported", last.name);
        let mut first = 0;
        last.exports.clear();
        for (key, rows) in exports {
            last.exports.push(Export { key: key.clone(), first, rows: *rows });
            first += rows;
        }
    }

    /// Finds room in the last arena, or starts another when a binding would become too large.
    fn place(&mut self, plan: &mut Plan, words: usize) -> ([BufferId; 4], usize) {
        let room = (MAX_BINDING_BYTES / 4) as usize;
        let full = self.buffers.last().is_none_or(|&[values, ..]| {
            plan.buffers()[values.index()].words + words + PAD * PAD > room
        });
        if full {
            let names = ["parameters", "gradients", "first moments", "second moments"];
            self.buffers.push(names.map(|name| plan.buffer(name, 0, Dtype::F32)));
        }
        let buffers = self.buffers[self.buffers.len() - 1];
        let offsets = buffers.map(|buffer| plan.grow(buffer, words));
        (buffers, offsets[0])
    }

    /// Makes room for averages, once every parameter is made.
    pub fn make_averages(&mut self, plan: &mut Plan) {
        for &[values, ..] in &self.buffers {
            let words = plan.buffers()[values.index()].words;
            self.averages.push([values, plan.buffer("averages", words, Dtype::F32)]);
        }
        for i in 0..self.list.len() {
            self.list[i].average = self.average_of(self.list[i].value);
        }
    }

    /// Where the average of a tensor lies, if it is of values that are averaged.
    #[must_use]
    pub fn average_of(&self, tensor: Tensor) -> Option<Tensor> {
        let found = self.averages.iter().find(|[values, _]| *values == tensor.buffer);
        found.map(|&[_, buffer]| Tensor { buffer, ..tensor })
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

    /// The arenas, once every parameter is made.
    #[must_use]
    pub fn arenas(&self, plan: &Plan) -> Vec<Arena> {
        let whole = |buffer: BufferId| {
            let words = plan.buffers()[buffer.index()].words;
            Tensor::vector(buffer, 0, words, Dtype::F32)
        };
        let arena = |&[values, grads, first, second]: &[BufferId; 4]| Arena {
            values: whole(values),
            grads: whole(grads),
            first: whole(first),
            second: whole(second),
        };
        self.buffers.iter().map(arena).collect()
    }
}
