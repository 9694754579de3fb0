//! Weights in files: safetensors under the names that PyTorch knows.

use safetensors::tensor::{Dtype, TensorView, serialize};

use crate::error::{Error, ErrorKind, Result};
pub use crate::files::{write_new, write_whole};

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
