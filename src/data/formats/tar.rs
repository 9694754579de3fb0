//! Archives of `tar`, whose members are handed on in memory and never written to the disk.
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;

use crate::data::source::WHOLE;
use crate::error::{Error, Result};

/// What stands at byte 257 of an archive.
pub(in crate::data) const MAGIC: [u8; 5] = *b"ustar";

/// Members lie in blocks of so many bytes.
const BLOCK: usize = 512;

/// The most members that are looked at.
const MOST_MEMBERS: usize = 4096;

/// The regular files of an archive: their names without folders, and their content. `path` is named in errors.
///
/// Names that are too long for a member's own header, which those of data sets are not, are cut.
///
/// # Errors
///
/// If a member goes on behind the end of the archive.
pub(super) fn members<'a>(path: &Path, bytes: &'a [u8]) -> Result<Vec<(String, &'a [u8])>> {
    let mut rest = bytes;
    let mut found = Vec::new();
    // Blocks of zeros end it.
    while rest.first().is_some_and(|&byte| byte != 0) && found.len() < MOST_MEMBERS {
        let Some((header, behind)) = rest.split_at_checked(BLOCK) else {
            return Err(Error::data(path, "ends within the header of a member").hint(WHOLE));
        };
        let name = field(header, 0, 100);
        let size = octal(field(header, 124, 12));
        let size = size.and_then(|size| usize::try_from(size).ok());
        let Some(content) = size.and_then(|size| behind.get(..size)) else {
            let name = String::from_utf8_lossy(name);
            let what = format!("ends within its member `{}`", name.escape_debug());
            return Err(Error::data(path, what).hint(WHOLE));
        };
        if matches!(header.get(156), Some(b'0' | 0)) {
            let name = String::from_utf8_lossy(name);
            found.push((name.rsplit('/').next().unwrap_or_default().to_owned(), content));
        }
        rest = behind.get(content.len().next_multiple_of(BLOCK)..).unwrap_or_default();
    }
    Ok(found)
}

/// The bytes of a field up to its first zero.
fn field(header: &[u8], at: usize, len: usize) -> &[u8] {
    let field = header.get(at..at.saturating_add(len)).unwrap_or_default();
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn octal(field: &[u8]) -> Option<u64> {
    u64::from_str_radix(str::from_utf8(field).ok()?.trim(), 8).ok()
}
