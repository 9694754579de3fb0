//! Python's pickles of NumPy arrays, lists, dictionaries and strings: CIFAR's batches, `mnist.pkl.gz`.
//!
//! A pickle is a program, and this one is never run: its operations build plain values in a list of nodes,
//! and the only functions that it may name are those by which NumPy writes arrays. Strings stay where they
//! are in the file until they are wanted, so that naming one again costs nothing. Protocols 0 to 5.
#![warn(clippy::arithmetic_side_effects)]

mod images;
mod machine;
mod ops;
mod text;

use std::borrow::Cow;
use std::path::Path;

pub use images::read;
pub(super) use images::{read_batch, read_names};

use crate::data::formats::array::Array;
use crate::data::formats::pickle::machine::{Node, Value};
use crate::error::{Error, Result};

/// The longest string that is taken for a name.
const MOST_WORD: usize = 256;

const PLAIN: &str =
    "save the arrays with `numpy.savez`: a pickle is a program, and is not run here";

/// Whether a file starts as a pickle of protocol 2 or later does.
pub(in crate::data) fn is_one(start: &[u8]) -> bool {
    matches!(start, [0x80, 2..=5, ..])
}

/// What a pickle holds.
#[derive(Debug)]
struct Pickle<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    nodes: Vec<Node>,
    root: Value,
}

impl<'a> Pickle<'a> {
    /// Reads a pickle; `path` is named in errors.
    ///
    /// # Errors
    ///
    /// If it is no whole pickle, names another function or class, or has more parts than are read.
    fn parse(path: &'a Path, bytes: &'a [u8]) -> Result<Self> {
        let (nodes, root) =
            machine::run(bytes).map_err(|what| Error::data(path, what).hint(PLAIN))?;
        Ok(Self { path, bytes, nodes, root })
    }

    fn root(&self) -> Value {
        self.root
    }

    fn node(&self, value: Value) -> Option<&Node> {
        match value {
            Value::Node(at) => self.nodes.get(at),
            _ => None,
        }
    }

    /// The parts of a list or a tuple.
    fn parts(&self, value: Value) -> Option<&[Value]> {
        match self.node(value)? {
            Node::List(parts) | Node::Tuple(parts) => Some(parts),
            _ => None,
        }
    }

    /// What a dictionary has under one of these names, in their order.
    fn get(&self, value: Value, names: &[&str]) -> Option<Value> {
        let Some(Node::Dict(entries)) = self.node(value) else { return None };
        names.iter().find_map(|name| {
            let is =
                |key: &Value| self.word(*key).is_some_and(|text| text.as_ref() == name.as_bytes());
            entries.iter().find(|(key, _)| is(key)).map(|(_, value)| *value)
        })
    }

    /// The names in a dictionary.
    fn names(&self, value: Value) -> Option<Vec<String>> {
        let Some(Node::Dict(entries)) = self.node(value) else { return None };
        let name = |(key, _): &(Value, Value)| self.word(*key).map(|text| shown(&text));
        Some(entries.iter().take(16).filter_map(name).collect())
    }

    /// The bytes of a string.
    fn text(&self, value: Value) -> Option<Cow<'a, [u8]>> {
        match value {
            Value::Text(text) => text.bytes(self.bytes),
            _ => None,
        }
    }

    /// The bytes of a string that is as short as names are: one may be there many times.
    fn word(&self, value: Value) -> Option<Cow<'a, [u8]>> {
        match value {
            Value::Text(text) if text.end.saturating_sub(text.start) <= MOST_WORD => {
                self.text(value)
            }
            _ => None,
        }
    }

    /// The words of a list.
    fn words(&self, value: Value) -> Option<Vec<String>> {
        let parts = self.parts(value)?;
        let word =
            |part: &Value| self.word(*part).map(|text| String::from_utf8_lossy(&text).into_owned());
        parts.iter().map(word).collect()
    }

    /// The array of NumPy that a value is, if it is one.
    fn array(&self, value: Value, name: &str) -> Option<Result<Array<'a>>> {
        let Some(Node::Array { shape, dtype, fortran, data }) = self.node(value) else {
            return None;
        };
        let path = self.path.join(name);
        let what = |what: &str| Error::data(&path, what).hint(PLAIN);
        let made = || {
            let (Value::Node(dtype), Some(text)) = (*dtype, self.text(*data)) else {
                return Err(what("is an array without numbers"));
            };
            let Some(Node::Dtype { name, order }) = self.nodes.get(dtype) else {
                return Err(what("is an array of no known type"));
            };
            let (name, order) = (self.text(*name), self.text(*order));
            let order = order.as_deref().unwrap_or(b"<");
            let descr = [order, name.as_deref().unwrap_or_default()].concat();
            let sizes = self.parts(*shape).unwrap_or_default().iter();
            let sizes: Option<Vec<usize>> = sizes.map(|size| size.int()?.try_into().ok()).collect();
            let Some(shape) = sizes else { return Err(what("is an array of no known shape")) };
            // The type is read again from the words that NumPy has for it.
            let descr = descr.escape_ascii().to_string();
            Ok(Array { path: path.clone(), descr, fortran: *fortran, shape, data: text })
        };
        Some(made())
    }

    /// Whole numbers of a list.
    fn ints(&self, value: Value) -> Option<Vec<f64>> {
        self.parts(value)?.iter().map(|part| Some(part.int()? as f64)).collect()
    }
}

/// A string for messages.
fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text.get(..64).unwrap_or(text)).escape_debug().to_string()
}
