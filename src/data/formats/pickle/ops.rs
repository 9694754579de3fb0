//! What each operation of a pickle does, and the few functions that are known.
#![warn(clippy::arithmetic_side_effects)]

use crate::data::formats::pickle::machine::{GLOBALS, Global, Machine, Node, Run, Value};
use crate::data::formats::pickle::text::{Form, Text};

impl Machine<'_> {
    /// Does one operation.
    pub(super) fn step(&mut self, op: u8) -> Run<()> {
        match op {
            // The protocol, and the length of what follows.
            0x80 => self.take::<1>().map(drop)?,
            0x95 => self.take::<8>().map(drop)?,
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop()?;
                }
            }
            b'1' => drop(self.since_mark()?),
            b'2' => self.stack.push(self.top()?),
            b'a' => {
                let value = self.pop()?;
                self.append(vec![value])?;
            }
            b'e' => {
                let parts = self.since_mark()?;
                self.append(parts)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])?;
            }
            b'u' => {
                let parts = self.since_mark()?;
                self.set(&parts)?;
            }
            b'l' => {
                let parts = self.since_mark()?;
                self.put(Node::List(parts));
            }
            b't' => {
                let parts = self.since_mark()?;
                self.put(Node::Tuple(parts));
            }
            b'd' => {
                let parts = self.since_mark()?;
                self.put(Node::Dict(Self::entries(&parts)?));
            }
            b']' => self.put(Node::List(Vec::new())),
            b'}' => self.put(Node::Dict(Vec::new())),
            b')' => self.put(Node::Tuple(Vec::new())),
            0x85..=0x87 => self.tuple(usize::from(op.saturating_sub(0x84)))?,
            b'p' | b'q' | b'r' | b'g' | b'h' | b'j' | 0x94 => self.named(op)?,
            b'c' => {
                let (module, name) = (self.line(Form::Plain)?, self.line(Form::Plain)?);
                self.global(module, name)?;
            }
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => self.global(module, name)?,
                _ => return Err("names a function by what is no string".to_owned()),
            },
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            op => {
                let value = self.plain(op)?;
                self.stack.push(value);
            }
        }
        Ok(())
    }

    /// Names the value on top, or puts down again what was named.
    fn named(&mut self, op: u8) -> Run<()> {
        let name = match op {
            b'p' | b'g' => self.number()? as u64,
            b'q' | b'h' => u8::from_le_bytes(*self.take()?).into(),
            b'r' | b'j' => u32::from_le_bytes(*self.take()?).into(),
            _ => self.memo.len() as u64,
        };
        match op {
            b'g' | b'h' | b'j' => self.recall(name),
            _ => self.memoize(name),
        }
    }

    /// The value that an operation puts on the stack.
    fn plain(&mut self, op: u8) -> Run<Value> {
        Ok(match op {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'I' => Value::Int(self.number()?),
            b'L' => Value::Int(self.number()?),
            b'K' => Value::Int(u8::from_le_bytes(*self.take()?).into()),
            b'M' => Value::Int(u16::from_le_bytes(*self.take()?).into()),
            b'J' => Value::Int(i32::from_le_bytes(*self.take()?).into()),
            0x8a => {
                let len = u8::from_le_bytes(*self.take()?);
                self.long(len.into())?
            }
            0x8b => {
                let len = u32::from_le_bytes(*self.take()?);
                self.long(len.into())?
            }
            b'F' => {
                self.line(Form::Plain)?;
                Value::Float
            }
            b'G' => {
                self.take::<8>()?;
                Value::Float
            }
            b'S' => Value::Text(self.line(Form::Quoted)?),
            b'V' => Value::Text(self.line(Form::Raw)?),
            // Strings of Python 2, Unicode, bytes.
            b'U' | 0x8c | b'C' => {
                let len = u8::from_le_bytes(*self.take()?);
                self.text(len.into())?
            }
            b'T' | b'X' | b'B' => {
                let len = u32::from_le_bytes(*self.take()?);
                self.text(len.into())?
            }
            0x8d | 0x8e | 0x96 => {
                let len = u64::from_le_bytes(*self.take()?);
                self.text(len)?
            }
            b'P' | b'Q' => return Err("refers to what is kept elsewhere".to_owned()),
            b'i' | b'o' | 0x81 | 0x92 => {
                return Err("makes an object, which is no plain value".to_owned());
            }
            0x82..=0x84 => return Err("names a function by a number".to_owned()),
            0x8f..=0x91 => return Err("holds a set, which is no plain value".to_owned()),
            0x97 | 0x98 => return Err("refers to bytes that are kept elsewhere".to_owned()),
            op => return Err(format!("has no operation 0x{op:02x}")),
        })
    }

    /// A number of so many bytes, if it is one of 64 bits.
    fn long(&mut self, len: u64) -> Run<Value> {
        let Value::Text(Text { start, end, .. }) = self.text(len)? else {
            return Err("has a number that is none".to_owned());
        };
        let bytes = self.bytes.get(start..end).unwrap_or_default();
        if bytes.len() > 8 {
            return Err(format!("has a number of {len} bytes, expected 8 at the most"));
        }
        let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut word = if negative { [0xff; 8] } else { [0; 8] };
        word.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Ok(Value::Int(i64::from_le_bytes(word)))
    }

    /// Puts a function or class on the stack that a pickle may name.
    fn global(&mut self, module: Text, name: Text) -> Run<()> {
        let (Some(module), Some(name)) = (module.bytes(self.bytes), name.bytes(self.bytes)) else {
            return Err("names a function by what is no string".to_owned());
        };
        let is = |text: &[u8], known: &str| text == known.as_bytes();
        let found = GLOBALS.iter().find(|(a, b, _)| is(&module, a) && is(&name, b));
        let Some((.., global)) = found else {
            let [module, name] = [&module, &name].map(|text| super::shown(text));
            return Err(format!(
                "names `{module}.{name}`, which is none of the plain arrays, lists and strings that are read, \
                 and nothing of it was run"
            ));
        };
        self.stack.push(Value::Global(*global));
        Ok(())
    }

    /// What a function makes of its arguments.
    fn reduce(&mut self) -> Run<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (Value::Global(global), Value::Node(at)) = (function, arguments) else {
            return Err("calls what is no function".to_owned());
        };
        let Some(Node::Tuple(arguments)) = self.nodes.get(at) else {
            return Err("calls a function without arguments".to_owned());
        };
        match (global, arguments.as_slice()) {
            (Global::Encode, [Value::Text(text), Value::Text(codec)]) => {
                let codec = codec.bytes(self.bytes).unwrap_or_default();
                if codec.as_ref() != b"latin1" && codec.as_ref() != b"latin-1" {
                    return Err("encodes a string by another code than latin1".to_owned());
                }
                self.stack.push(Value::Text(Text { latin: true, ..*text }));
            }
            (Global::Dtype, [name @ Value::Text(_), ..]) => {
                self.put(Node::Dtype { name: *name, order: Value::None });
            }
            (Global::Reconstruct, [Value::Global(Global::Ndarray), ..]) => {
                let (shape, dtype, data) = (Value::None, Value::None, Value::None);
                self.put(Node::Array { shape, dtype, fortran: false, data });
            }
            (Global::FromBuffer, &[data @ Value::Text(_), dtype, shape, Value::Text(order)]) => {
                let fortran = order.bytes(self.bytes).is_some_and(|order| order.as_ref() == b"F");
                self.put(Node::Array { shape, dtype, fortran, data });
            }
            _ => return Err("calls a function by arguments that it does not have".to_owned()),
        }
        Ok(())
    }

    /// Fills in what was made.
    fn build(&mut self) -> Run<()> {
        let (state, Value::Node(to)) = (self.pop()?, self.top()?) else {
            return Err("fills in what is no array".to_owned());
        };
        let state = match state {
            Value::Node(at) => match self.nodes.get(at) {
                Some(Node::Tuple(state)) => state.as_slice(),
                _ => &[],
            },
            _ => &[],
        };
        let state: [Option<Value>; 5] = std::array::from_fn(|i| state.get(i).copied());
        match (self.nodes.get_mut(to), state) {
            (
                Some(Node::Dtype { order, .. }),
                [
                    Some(Value::Int(_)),
                    Some(written),
                    Some(Value::None),
                    Some(Value::None),
                    Some(Value::None),
                ],
            ) => *order = written,
            (
                Some(Node::Array { shape, dtype, fortran, data }),
                [Some(Value::Int(_)), Some(sizes), Some(of), Some(order), Some(values)],
            ) => {
                let order = order.int().ok_or("fills in an array of no known order")?;
                (*shape, *dtype, *fortran, *data) = (sizes, of, order != 0, values);
            }
            (Some(Node::Dtype { .. }), _) => {
                return Err("has an array of records, expected plain numbers".to_owned());
            }
            _ => return Err("fills in what is no array of plain numbers".to_owned()),
        }
        Ok(())
    }
}
