//! A graph of ONNX operations that grows by one after the other.

use elbo::config::Activation;
use elbo::kernels::common::slope;

use super::proto::{
    Attribute, AttributeKind, Dimension, FLOAT, Graph, INT64, Node, Shape, Tensor, TensorType,
    Type, Value,
};

/// A graph that grows by one operation after the other.
#[derive(Debug, Default)]
pub(super) struct Builder(pub(super) Graph);

impl Builder {
    /// Adds y = f(x).
    pub(super) fn activation(&mut self, kind: Activation, x: &str, y: &str) {
        match kind {
            Activation::Identity => self.node("Identity", &[x], y, vec![]),
            Activation::Relu => self.node("Relu", &[x], y, vec![]),
            Activation::LeakyRelu => {
                let slope = float("alpha", slope(Activation::LeakyRelu, -1.0));
                self.node("LeakyRelu", &[x], y, vec![slope]);
            }
            Activation::Tanh => self.node("Tanh", &[x], y, vec![]),
            Activation::Sigmoid => self.node("Sigmoid", &[x], y, vec![]),
            Activation::Softplus => self.node("Softplus", &[x], y, vec![]),
            Activation::Silu => {
                let gate = format!("{y}.gate");
                self.node("Sigmoid", &[x], &gate, vec![]);
                self.node("Mul", &[x, &gate], y, vec![]);
            }
            // The one with the error function, not the approximation by tanh.
            Activation::Gelu => self.node("Gelu", &[x], y, vec![text("approximate", "none")]),
        }
    }

    /// Adds what an operation makes and then an activation of it, under a name; what is between them gets
    /// that name and an ending.
    pub(super) fn then(
        &mut self,
        kind: Activation,
        (name, ending): (&str, &str),
        operation: impl FnOnce(&mut Self, &str),
    ) {
        if kind == Activation::Identity {
            return operation(self, name);
        }
        let between = format!("{name}.{ending}");
        operation(self, &between);
        self.activation(kind, &between, name);
    }

    /// Adds an operation, which is named by what it makes.
    pub(super) fn node(
        &mut self,
        op: &str,
        inputs: &[&str],
        output: &str,
        attribute: Vec<Attribute>,
    ) {
        self.0.node.push(Node {
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.to_owned()],
            name: output.to_owned(),
            op_type: op.to_owned(),
            attribute,
        });
    }

    /// Adds constant numbers; a name stands for the same ones wherever they are used.
    pub(super) fn constant(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, FLOAT, shape, bytes);
    }

    /// Adds a line of integers.
    pub(super) fn integers(&mut self, name: &str, values: &[i64]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, INT64, &[values.len()], bytes);
    }

    fn tensor(&mut self, name: &str, data_type: i32, shape: &[usize], raw_data: Vec<u8>) {
        if self.0.initializer.iter().any(|tensor| tensor.name == name) {
            return;
        }
        let dims = shape.iter().map(|&extent| extent as i64).collect();
        self.0.initializer.push(Tensor { dims, data_type, name: name.to_owned(), raw_data });
    }
}

/// An attribute that is a number.
pub(super) fn float(name: &str, f: f32) -> Attribute {
    Attribute {
        name: name.to_owned(),
        f: Some(f),
        kind: AttributeKind::Float.into(),
        ..Attribute::default()
    }
}

/// An attribute that is an integer.
pub(super) fn integer(name: &str, i: i64) -> Attribute {
    Attribute {
        name: name.to_owned(),
        i: Some(i),
        kind: AttributeKind::Int.into(),
        ..Attribute::default()
    }
}

/// An attribute that is a text.
pub(super) fn text(name: &str, s: &str) -> Attribute {
    Attribute {
        name: name.to_owned(),
        s: Some(s.as_bytes().to_vec()),
        kind: AttributeKind::String.into(),
        ..Attribute::default()
    }
}

/// An attribute that is a line of integers.
pub(super) fn integers(name: &str, ints: &[i64]) -> Attribute {
    Attribute {
        name: name.to_owned(),
        ints: ints.to_vec(),
        kind: AttributeKind::Ints.into(),
        ..Attribute::default()
    }
}

/// An input or output of n rows, where n is free.
pub(super) fn value(name: &str, columns: usize, doc: &str) -> Value {
    let rows = Dimension { dim_param: Some("n".to_owned()), dim_value: None };
    let columns = Dimension { dim_value: Some(columns as i64), dim_param: None };
    let shape = Some(Shape { dim: vec![rows, columns] });
    let tensor = Some(TensorType { elem_type: FLOAT, shape });
    Value { name: name.to_owned(), kind: Some(Type { tensor }), doc_string: doc.to_owned() }
}
