//! The operations of a pickle: what they build, and what they are refused.
#![warn(clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use crate::data::formats::pickle::text::{Form, Text};

/// The most values on the stack, and in all lists and dictionaries together. CIFAR-100 has 150,000.
const MOST_VALUES: usize = 1 << 19;

/// The most lists, dictionaries and arrays, each of which costs more than it has in the file.
const MOST_NODES: usize = 1 << 16;

/// The most values that are named, to be used again. CIFAR-100 names 50,000.
const MOST_NAMED: usize = 1 << 18;

/// A value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// A number that nothing is made of.
    Float,
    Text(Text),
    Global(Global),
    /// A place among the nodes.
    Node(usize),
}

impl Value {
    pub(super) fn int(self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(int),
            Self::Bool(bool) => Some(bool.into()),
            _ => None,
        }
    }
}

/// What has parts.
#[derive(Debug)]
pub(super) enum Node {
    List(Vec<Value>),
    Tuple(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    /// A type of numbers, such as `f4`, and the order of their bytes.
    Dtype {
        name: Value,
        order: Value,
    },
    /// An array; without data before it is built.
    Array {
        shape: Value,
        dtype: Value,
        fortran: bool,
        data: Value,
    },
}

/// The functions and classes that a pickle may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    Reconstruct,
    FromBuffer,
    Ndarray,
    Dtype,
    Encode,
}

pub(super) const GLOBALS: [(&str, &str, Global); 7] = [
    ("numpy.core.multiarray", "_reconstruct", Global::Reconstruct),
    ("numpy._core.multiarray", "_reconstruct", Global::Reconstruct),
    ("numpy.core.numeric", "_frombuffer", Global::FromBuffer),
    ("numpy._core.numeric", "_frombuffer", Global::FromBuffer),
    ("numpy", "ndarray", Global::Ndarray),
    ("numpy", "dtype", Global::Dtype),
    ("_codecs", "encode", Global::Encode),
];

/// What is wrong with a pickle, in words.
pub(super) type Run<T> = Result<T, String>;

/// Reads a whole pickle: its nodes, and the value that it is.
pub(super) fn run(bytes: &[u8]) -> Run<(Vec<Node>, Value)> {
    let mut machine = Machine {
        bytes,
        at: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: BTreeMap::new(),
        nodes: Vec::new(),
        held: 0,
    };
    loop {
        let place = machine.at;
        let [op] = *machine.take::<1>()?;
        if op == b'.' {
            let root = machine.pop()?;
            return Ok((machine.nodes, root));
        }
        machine.step(op).map_err(|fault| format!("{fault} (byte {place} of the pickle)"))?;
        if machine.stack.len().max(machine.held) > MOST_VALUES {
            return Err(format!("has more than {MOST_VALUES} values outside of arrays"));
        }
        if machine.nodes.len() > MOST_NODES || machine.marks.len() > MOST_NODES {
            return Err(format!("has more than {MOST_NODES} lists and arrays"));
        }
        if machine.memo.len() > MOST_NAMED {
            return Err(format!("names more than {MOST_NAMED} values"));
        }
    }
}

pub(super) struct Machine<'a> {
    pub(super) bytes: &'a [u8],
    at: usize,
    pub(super) stack: Vec<Value>,
    /// Where on the stack the parts of something begin.
    pub(super) marks: Vec<usize>,
    pub(super) memo: BTreeMap<u64, Value>,
    pub(super) nodes: Vec<Node>,
    /// Values in all nodes.
    held: usize,
}

impl Machine<'_> {
    pub(super) fn take<const N: usize>(&mut self) -> Run<&[u8; N]> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let some = rest.first_chunk().ok_or_else(|| self.cut())?;
        self.at = self.at.saturating_add(N);
        Ok(some)
    }

    fn cut(&self) -> String {
        format!("is cut off: the pickle goes on behind its {} bytes", self.bytes.len())
    }

    /// The next bytes as a string.
    pub(super) fn text(&mut self, len: u64) -> Run<Value> {
        let end = usize::try_from(len).ok().and_then(|len| self.at.checked_add(len));
        let end = end.filter(|&end| end <= self.bytes.len()).ok_or_else(|| self.cut())?;
        let text = Text { start: self.at, end, form: Form::Plain, latin: false };
        self.at = end;
        Ok(Value::Text(text))
    }

    /// The rest of a line as a string.
    pub(super) fn line(&mut self, form: Form) -> Run<Text> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = rest.iter().position(|&byte| byte == b'\n').ok_or_else(|| self.cut())?;
        let (start, end) = (self.at, self.at.saturating_add(len));
        self.at = end.saturating_add(1);
        Ok(Text { start, end, form, latin: false })
    }

    /// The number on the rest of a line.
    pub(super) fn number(&mut self) -> Run<i64> {
        let line = self.line(Form::Plain)?;
        let text = self.bytes.get(line.start..line.end).unwrap_or_default();
        let text = str::from_utf8(text).unwrap_or_default().trim_end_matches('L');
        text.parse().map_err(|_| "has a number that is none".to_owned())
    }

    pub(super) fn pop(&mut self) -> Run<Value> {
        let floor = self.marks.last().copied().unwrap_or_default();
        let value = if self.stack.len() > floor { self.stack.pop() } else { None };
        value.ok_or_else(|| "takes a value where there is none".to_owned())
    }

    pub(super) fn top(&self) -> Run<Value> {
        self.stack.last().copied().ok_or_else(|| "takes a value where there is none".to_owned())
    }

    /// What was put down since the last mark.
    pub(super) fn since_mark(&mut self) -> Run<Vec<Value>> {
        let mark = self.marks.pop().ok_or("ends what was not begun")?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    /// Puts a new node on the stack.
    pub(super) fn put(&mut self, node: Node) {
        self.held = self.held.saturating_add(match &node {
            Node::List(parts) | Node::Tuple(parts) => parts.len(),
            Node::Dict(entries) => entries.len().saturating_mul(2),
            _ => 0,
        });
        self.stack.push(Value::Node(self.nodes.len()));
        self.nodes.push(node);
    }

    pub(super) fn tuple(&mut self, len: usize) -> Run<()> {
        let mut parts: Vec<Value> = (0..len).map(|_| self.pop()).collect::<Run<_>>()?;
        parts.reverse();
        self.put(Node::Tuple(parts));
        Ok(())
    }

    pub(super) fn append(&mut self, parts: Vec<Value>) -> Run<()> {
        self.held = self.held.saturating_add(parts.len());
        let Value::Node(at) = self.top()? else { return Err("adds to what is no list".to_owned()) };
        match self.nodes.get_mut(at) {
            Some(Node::List(list)) => list.extend(parts),
            _ => return Err("adds to what is no list".to_owned()),
        }
        Ok(())
    }

    pub(super) fn entries(parts: &[Value]) -> Run<Vec<(Value, Value)>> {
        let (pairs, rest) = parts.as_chunks::<2>();
        if !rest.is_empty() {
            return Err("has a name without a value".to_owned());
        }
        Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
    }

    pub(super) fn set(&mut self, parts: &[Value]) -> Run<()> {
        self.held = self.held.saturating_add(parts.len());
        let more = Self::entries(parts)?;
        let Value::Node(at) = self.top()? else {
            return Err("adds to what is no dictionary".to_owned());
        };
        match self.nodes.get_mut(at) {
            Some(Node::Dict(entries)) => entries.extend(more),
            _ => return Err("adds to what is no dictionary".to_owned()),
        }
        Ok(())
    }

    pub(super) fn memoize(&mut self, name: u64) -> Run<()> {
        let value = self.top()?;
        self.memo.insert(name, value);
        Ok(())
    }

    pub(super) fn recall(&mut self, name: u64) -> Run<()> {
        let value = self.memo.get(&name).copied().ok_or("recalls what was not named")?;
        self.stack.push(value);
        Ok(())
    }
}
