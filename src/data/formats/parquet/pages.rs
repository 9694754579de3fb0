//! The pages of a column: unpacked one after another, their values handed on one by one.
#![warn(clippy::arithmetic_side_effects)]

use flate2::bufread::MultiGzDecoder;

use crate::data::formats::parquet::footer::{Chunk, Column, Stored};
use crate::data::formats::parquet::thrift::{FALSE, STRUCT, TRUE, Thrift};
use crate::data::formats::parquet::values::{Cell, Dictionary, Runs};
use crate::data::formats::parquet::{snappy, values};
use crate::data::source::most_unpacked;

/// What is wrong with a column, in words.
pub(super) type Fault = String;

/// The encodings that are read: values as they are, runs, and places in a dictionary under two names.
const PLAIN: u64 = 0;
const RUNS: u64 = 3;
const PLACES: [u64; 2] = [2, 8];

/// What stands before a page.
#[derive(Debug, Default)]
struct Header {
    kind: u64,
    unpacked: u64,
    packed: u64,
    values: u64,
    encoding: u64,
    /// Of the second version: the bytes of levels, which are not packed, and whether the rest is.
    levels: [u64; 2],
    is_packed: bool,
}

impl Header {
    fn parse(thrift: &mut Thrift<'_>) -> Option<Self> {
        let mut header = Self { is_packed: true, ..Self::default() };
        thrift.fields(&mut |thrift, id, kind| {
            match (id, kind) {
                (1, 5) => header.kind = thrift.count()?,
                (2, 5) => header.unpacked = thrift.count()?,
                (3, 5) => header.packed = thrift.count()?,
                (5 | 7, STRUCT) => thrift.fields(&mut |thrift, id, _| {
                    match id {
                        1 => header.values = thrift.count()?,
                        2 => header.encoding = thrift.count()?,
                        _ => return Some(false),
                    }
                    Some(true)
                })?,
                (8, STRUCT) => thrift.fields(&mut |thrift, id, kind| {
                    match (id, kind) {
                        (1, _) => header.values = thrift.count()?,
                        (4, _) => header.encoding = thrift.count()?,
                        (5, _) => header.levels[1] = thrift.count()?,
                        (6, _) => header.levels[0] = thrift.count()?,
                        (7, TRUE | FALSE) => header.is_packed = kind == TRUE,
                        _ => return Some(false),
                    }
                    Some(true)
                })?,
                _ => return Some(false),
            }
            Some(true)
        })?;
        Some(header)
    }
}

/// Hands on the values of a chunk of a column, of which there must be so many.
pub(super) fn each(
    file: &[u8],
    (column, chunk): (&Column, Chunk),
    rows: u64,
    take: &mut dyn FnMut(Cell<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let end = chunk.start.checked_add(chunk.len).and_then(|end| usize::try_from(end).ok());
    let bytes = end.and_then(|end| file.get(chunk.start as usize..end));
    let bytes = bytes.ok_or("lies outside of the file")?;
    let mut thrift = Thrift::new(bytes);
    let mut dictionary = Dictionary::default();
    let mut left = rows;
    while left > 0 {
        let header = Header::parse(&mut thrift).ok_or("has a page whose header cannot be read")?;
        let rest = bytes.get(thrift.at..).unwrap_or_default();
        let packed = usize::try_from(header.packed).ok().and_then(|len| rest.get(..len));
        let packed = packed.ok_or("ends within a page")?;
        thrift.at = thrift.at.saturating_add(packed.len());
        match header.kind {
            0 => {
                let page = unpack(packed, header.unpacked, chunk.codec)?;
                let (levels, values) = split(&page, column.level > 0)?;
                left = data(&header, (levels, values), column, &dictionary, left, take)?;
            }
            2 => {
                if header.encoding != PLAIN && !PLACES.contains(&header.encoding) {
                    return Err("has a dictionary of an unknown encoding".to_owned());
                }
                let page = unpack(packed, header.unpacked, chunk.codec)?;
                dictionary = Dictionary::parse(page, header.values, column.stored)?;
            }
            3 => {
                let [repeated, levels] =
                    header.levels.map(|len| usize::try_from(len).unwrap_or(usize::MAX));
                let behind = packed.get(repeated..).unwrap_or_default();
                let (levels, values) =
                    behind.split_at_checked(levels).ok_or("ends within its levels")?;
                let both = (packed.len() as u64).saturating_sub(values.len() as u64);
                let unpacked = header.unpacked.saturating_sub(both);
                let codec = if header.is_packed { chunk.codec } else { 0 };
                let values = unpack(values, unpacked, codec)?;
                left = data(&header, (levels, &values), column, &dictionary, left, take)?;
            }
            // An index.
            1 => {}
            kind => return Err(format!("has a page of the unknown kind {kind}")),
        }
    }
    Ok(())
}

/// The levels before the values of a page of the first version, if there are such.
fn split(page: &[u8], has_levels: bool) -> Result<(&[u8], &[u8]), Fault> {
    if !has_levels {
        return Ok((&[], page));
    }
    let (len, rest) = page.split_first_chunk().ok_or("ends within its levels")?;
    let split = rest.split_at_checked(u32::from_le_bytes(*len) as usize);
    Ok(split.ok_or("ends within its levels")?)
}

/// Hands on the values of a page; how many are left then.
fn data(
    header: &Header,
    (levels, values): (&[u8], &[u8]),
    column: &Column,
    dictionary: &Dictionary,
    left: u64,
    take: &mut dyn FnMut(Cell<'_>) -> Result<(), Fault>,
) -> Result<u64, Fault> {
    let after = left.checked_sub(header.values).ok_or("has more values than rows")?;
    let mut levels = Runs::new(levels, u32::BITS.saturating_sub(column.level.leading_zeros()));
    let mut values = match header.encoding {
        PLAIN => values::Values::Plain(values, 0),
        RUNS if column.stored == Stored::Bool => {
            values::Values::Places(Runs::new(values.get(4..).unwrap_or_default(), 1))
        }
        encoding if PLACES.contains(&encoding) => {
            let (width, runs) = values.split_first().unwrap_or((&0, &[]));
            values::Values::Places(Runs::new(runs, (*width).into()))
        }
        encoding => {
            return Err(format!(
                "has the encoding {encoding}, expected plain values or a dictionary"
            ));
        }
    };
    for _ in 0..header.values {
        let there = match column.level {
            0 => true,
            level => levels.next().ok_or("ends within its levels")? == level,
        };
        match there {
            false => take(Cell::Missing)?,
            true => take(
                values
                    .next(column.stored, dictionary)
                    .ok_or("ends before the last of its values")?,
            )?,
        }
    }
    Ok(after)
}

/// The bytes of a page.
fn unpack(packed: &[u8], unpacked: u64, codec: u64) -> Result<Vec<u8>, Fault> {
    let most = most_unpacked(packed.len() as u64);
    if unpacked > most {
        let len = packed.len();
        return Err(format!(
            "has {len} packed bytes that are to unpack to {unpacked}, expected {most} at the most"
        ));
    }
    let damaged = "has a page that cannot be unpacked";
    let page = match codec {
        0 => packed.to_vec(),
        1 => snappy::unpack(packed, unpacked).ok_or(damaged)?,
        2 => {
            let mut page = Vec::new();
            let most = unpacked.saturating_add(1);
            let decoder = std::io::Read::take(MultiGzDecoder::new(packed), most);
            std::io::Read::read_to_end(&mut { decoder }, &mut page).map_err(|_| damaged)?;
            page
        }
        codec => {
            let name = ["3, LZO", "4, Brotli", "5, LZ4", "6, Zstandard", "7, LZ4"];
            let name = codec.checked_sub(3).and_then(|at| name.get(usize::try_from(at).ok()?));
            let name = name.map_or(codec.to_string(), |name| (*name).to_owned());
            return Err(format!("is packed by the codec {name}, expected Snappy, gzip or none"));
        }
    };
    if page.len() as u64 != unpacked {
        return Err(damaged.to_owned());
    }
    Ok(page)
}
