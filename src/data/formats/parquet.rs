//! Parquet files: a column of pictures with a column of classes, as on the Hugging Face Hub, or a column for
//! each pixel.
//!
//! Read are plain values and dictionaries, unpacked or by Snappy or gzip, which is what `pyarrow` writes unless
//! it is told otherwise.
#![warn(clippy::arithmetic_side_effects)]

mod footer;
mod pages;
mod place;
mod sheet;
mod snappy;
mod thrift;
mod values;

use std::path::Path;

pub(in crate::data) use place::{read_file, read_folder};

use crate::config::DataConfig;
use crate::data::formats::parquet::footer::Footer;
use crate::data::formats::parquet::sheet::Sheet;
use crate::data::raw::Raw;
use crate::data::source::WHOLE;
use crate::error::{Error, Result};

/// How every Parquet file starts, and ends.
pub(in crate::data) const MAGIC: [u8; 4] = *b"PAR1";

/// The way on from what is not read.
const REWRITE: &str = "write it anew: python3 -c \"import pyarrow.parquet as p; p.write_table(p.read_table('FILE'), \
     'new.parquet', compression='snappy')\"";

/// Reads the images of a Parquet file; `path` is named in errors.
///
/// They are pictures in a column of bytes, alone or as the `bytes` of a struct, with a class in the column
/// `label` or in that which `label-column` names; or numbers, a column for each pixel, which make squares if
/// they can, or images of `image-size`.
///
/// # Errors
///
/// A [`Data`](crate::ErrorKind::Data) error if the bytes are no whole Parquet file, hold neither, or a value is
/// missing.
pub fn read(path: &Path, bytes: &[u8], config: &DataConfig) -> Result<Raw> {
    let mut sheet = Sheet::new(config);
    sheet.add(path, bytes)?;
    sheet.finish(path)
}

/// What stands at the end of a file.
fn footer_of(path: &Path, bytes: &[u8]) -> Result<Footer> {
    let fail = |what: &str| Error::data(path, what).hint(WHOLE);
    if !bytes.starts_with(&MAGIC) {
        return Err(fail("is no Parquet file: it does not start with PAR1"));
    }
    let Some((rest, end)) = bytes.split_last_chunk::<4>() else {
        return Err(fail("is cut off: it ends in its first bytes"));
    };
    if end != &MAGIC {
        return Err(fail("is cut off: it does not end with PAR1, as Parquet files do"));
    }
    let said = rest.split_last_chunk().and_then(|(before, len)| {
        let len = u32::from_le_bytes(*len) as usize;
        before.get(before.len().checked_sub(len)?..)
    });
    let footer = said.and_then(Footer::parse);
    footer.ok_or_else(|| fail("has a description of its columns that cannot be read"))
}
