//! Where a result goes: a file whose name says its format, and which must not be there yet.

use std::io;
use std::path::Path;

use elbo::{Error, Result};

/// What stands behind the last dot of a file's name, in small letters.
pub(super) fn ending(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// Refuses a file that is there, or whose folder is not, before anything is computed for it.
pub(super) fn check_free(path: &Path) -> Result<()> {
    let refuse = |kind: io::ErrorKind| Error::io("write to", path, kind.into());
    if path.symlink_metadata().is_ok() {
        return Err(refuse(io::ErrorKind::AlreadyExists)
            .hint("choose a name that is free, or remove the file"));
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            Err(refuse(io::ErrorKind::NotFound)
                .hint("make its folder, or choose one that is there"))
        }
        _ => Ok(()),
    }
}
