//! What a Parquet file says of its columns, behind its data.
#![warn(clippy::arithmetic_side_effects)]

use crate::data::formats::parquet::thrift::{BINARY, LIST, STRUCT, Thrift};

/// The most columns, and the most parts of columns, that are read.
pub(super) const MOST_COLUMNS: usize = 1 << 14;
const MOST_CHUNKS: usize = 1 << 17;

/// Columns may lie in groups so deep.
const MOST_DEEP: usize = 16;

/// How the values of a column are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    Bool,
    Int32,
    Int64,
    Float,
    Double,
    Bytes,
    /// What no image and no class is.
    Other,
}

/// A column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// Its name behind those of the groups that it lies in, with dots.
    pub(super) name: String,
    pub(super) stored: Stored,
    /// Whether bytes are text.
    pub(super) text: bool,
    /// Whether integers are unsigned bytes.
    pub(super) byte: bool,
    /// How many of the groups and itself may be missing: a value that is there has this level.
    pub(super) level: u32,
    /// Whether rows have lists in it.
    pub(super) repeated: bool,
}

/// Where the values of a column are for some rows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chunk {
    pub(super) start: u64,
    pub(super) len: u64,
    pub(super) codec: u64,
}

/// Some rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) rows: u64,
    /// A chunk for each column.
    pub(super) chunks: Vec<Chunk>,
}

/// All that is said.
#[derive(Clone, Debug, Default)]
pub(super) struct Footer {
    pub(super) columns: Vec<Column>,
    pub(super) groups: Vec<Group>,
}

/// An element of the schema: a column, or a group of so many elements behind it.
#[derive(Default)]
struct Element {
    kind: Option<u64>,
    repetition: u64,
    name: String,
    children: u64,
    converted: Option<u64>,
    /// Whether it has the logical type of text.
    text: bool,
}

impl Footer {
    /// Reads what is said, if it can be read.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut thrift = Thrift::new(bytes);
        let (mut elements, mut groups, mut chunks) = (Vec::new(), Vec::new(), 0_usize);
        thrift.fields(&mut |thrift, id, kind| {
            match (id, kind) {
                (2, LIST) => {
                    for _ in 0..thrift.list()?.0 {
                        elements.push(element(thrift)?);
                        (elements.len() <= 2 * MOST_COLUMNS).then_some(())?;
                    }
                }
                (4, LIST) => {
                    for _ in 0..thrift.list()?.0 {
                        let group = group(thrift)?;
                        chunks = chunks.checked_add(group.chunks.len())?.checked_add(1)?;
                        (chunks <= MOST_CHUNKS).then_some(())?;
                        groups.push(group);
                    }
                }
                _ => return Some(false),
            }
            Some(true)
        })?;
        let columns = columns(elements)?;
        let whole = groups.iter().all(|group| group.chunks.len() == columns.len());
        (whole && !columns.is_empty()).then_some(Self { columns, groups })
    }
}

fn element(thrift: &mut Thrift<'_>) -> Option<Element> {
    let mut element = Element::default();
    thrift.fields(&mut |thrift, id, kind| {
        match (id, kind) {
            (1, 5) => element.kind = Some(thrift.count()?),
            (3, 5) => element.repetition = thrift.count()?,
            (4, BINARY) => {
                let name = thrift.binary()?;
                element.name = String::from_utf8_lossy(name.get(..64).unwrap_or(name)).into_owned();
            }
            (5, 5) => element.children = thrift.count()?,
            (6, 5) => element.converted = Some(thrift.count()?),
            (10, STRUCT) => thrift.fields(&mut |_, id, _| {
                element.text |= id == 1;
                Some(false)
            })?,
            _ => return Some(false),
        }
        Some(true)
    })?;
    Some(element)
}

/// The columns among the elements, which follow their groups.
fn columns(elements: Vec<Element>) -> Option<Vec<Column>> {
    /// A group whose elements are being read: how many are left, and what they inherit.
    struct Open {
        left: u64,
        name: String,
        level: u32,
        repeated: bool,
    }
    let mut columns = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    for (at, element) in elements.into_iter().enumerate() {
        while open.last().is_some_and(|group| group.left == 0) {
            open.pop();
        }
        let (mut name, mut level, mut repeated) = (element.name, 0_u32, false);
        if let Some(group) = open.last_mut() {
            group.left = group.left.checked_sub(1)?;
            if !group.name.is_empty() {
                name = format!("{}.{name}", group.name);
            }
            (level, repeated) = (group.level, group.repeated);
        } else if at > 0 {
            return None;
        }
        let (optional, list) = (element.repetition == 1, element.repetition == 2);
        let level = if at > 0 && (optional || list) { level.checked_add(1)? } else { level };
        repeated |= at > 0 && list;
        if element.children > 0 || at == 0 {
            let name = if at == 0 { String::new() } else { name };
            open.push(Open { left: element.children, name, level, repeated });
            (open.len() <= MOST_DEEP).then_some(())?;
            continue;
        }
        let stored = match element.kind? {
            0 => Stored::Bool,
            1 => Stored::Int32,
            2 => Stored::Int64,
            4 => Stored::Float,
            5 => Stored::Double,
            6 => Stored::Bytes,
            _ => Stored::Other,
        };
        // Text, numbers of other meanings: a decimal's or a date's.
        let text = element.text || element.converted == Some(0);
        let other = matches!(element.converted, Some(5..=10 | 20..));
        let stored = if other { Stored::Other } else { stored };
        let byte = element.converted == Some(11);
        columns.push(Column { name, stored, text, byte, level, repeated });
        (columns.len() <= MOST_COLUMNS).then_some(())?;
    }
    Some(columns)
}

fn group(thrift: &mut Thrift<'_>) -> Option<Group> {
    let mut group = Group::default();
    thrift.fields(&mut |thrift, id, kind| {
        match (id, kind) {
            (1, LIST) => {
                for _ in 0..thrift.list()?.0 {
                    group.chunks.push(chunk(thrift)?);
                    (group.chunks.len() <= MOST_COLUMNS).then_some(())?;
                }
            }
            (3, 6) => group.rows = thrift.count()?,
            _ => return Some(false),
        }
        Some(true)
    })?;
    Some(group)
}

fn chunk(thrift: &mut Thrift<'_>) -> Option<Chunk> {
    let mut chunk = Chunk::default();
    thrift.fields(&mut |thrift, id, kind| {
        if (id, kind) != (3, STRUCT) {
            return Some(false);
        }
        let (mut data, mut dictionary) = (0, None);
        thrift.fields(&mut |thrift, id, kind| {
            match (id, kind) {
                (4, 5) => chunk.codec = thrift.count()?,
                (7, 6) => chunk.len = thrift.count()?,
                (9, 6) => data = thrift.count()?,
                (11, 6) => dictionary = Some(thrift.count()?),
                _ => return Some(false),
            }
            Some(true)
        })?;
        // Some writers say 0 where there is no dictionary.
        chunk.start = dictionary.filter(|&at| at > 0).map_or(data, |at| data.min(at));
        Some(true)
    })?;
    Some(chunk)
}
