//! Weights in files: safetensors under the names that PyTorch knows, written so that nothing is lost.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView, serialize};

use crate::error::{Error, ErrorKind, Result};

/// A parameter, or a part of one, as it stands in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// The key, as `fc1.weight`.
    pub key: String,
    /// `[out, in]` for a weight, `[out]` for a bias.
    pub shape: Vec<usize>,
    /// The values, row by row.
    pub values: Vec<f32>,
}

/// The bytes of a safetensors file of these weights. The same weights give the same bytes.
///
/// # Errors
///
/// If the weights' shapes do not fit their values, which no model makes.
pub fn weights_to_bytes(weights: &[Weight]) -> Result<Vec<u8>> {
    let fail = |e: safetensors::SafeTensorError| Error::new(ErrorKind::Data, e);
    let mut views = Vec::new();
    for weight in weights {
        let bytes: &[u8] = bytemuck::cast_slice(&weight.values);
        let view = TensorView::new(Dtype::F32, weight.shape.clone(), bytes).map_err(fail)?;
        views.push((weight.key.as_str(), view));
    }
    serialize(views, None).map_err(fail)
}

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
