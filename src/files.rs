//! Files that are written whole or not at all, so that nothing is lost.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::error::{Error, Result};

/// Writes a file whole or not at all: to a temporary file beside it, which takes its place when it
/// is on the disk.
///
/// # Errors
///
/// If the system refuses; then what was there before is still there.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, bytes, true)
}

/// Writes a file that must not be there yet, whole or not at all.
///
/// # Errors
///
/// If the system refuses, or the file is there.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, bytes, false)
}

fn write(path: &Path, bytes: &[u8], replace: bool) -> Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let fail = |e| {
        let action = format!("write {} bytes to", bytes.len());
        Error::io(&action, path, e).hint("free some space, or choose a folder that can be written")
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".elbo-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // What the user's umask leaves of it; a temporary file would be its owner's alone.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).map_err(fail)?;
    // The file itself, since the wrapper would name the temporary path in the error.
    file.as_file_mut().write_all(bytes).map_err(fail)?;
    file.as_file().sync_all().map_err(fail)?;
    match replace {
        true => file.persist(path).map_err(|e| fail(e.error))?,
        false => file.persist_noclobber(path).map_err(|e| fail(e.error))?,
    };
    // The new name is on the disk only when the folder is. Not every system can open one.
    if let Ok(folder) = File::open(folder) {
        folder.sync_all().map_err(fail)?;
    }
    Ok(())
}
