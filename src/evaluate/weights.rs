//! The parameters of a model as they go to files and come from them.

use crate::checkpoint::Weight;
use crate::engine::{Parameter, Tensor};
use crate::error::Result;
use crate::evaluate::Model;

/// Where one kind of a parameter's numbers lies.
pub(crate) type Place = fn(&Parameter) -> Tensor;

impl Model {
    /// Takes over one kind of numbers, under the parameters' names behind a prefix: all that there are,
    /// which was checked.
    pub(crate) fn put(&mut self, prefix: &str, place: Place, tensors: &[Weight]) -> Result<()> {
        for parameter in self.vae.parameters.list() {
            let mut values = Vec::new();
            for export in &parameter.exports {
                let key = format!("{prefix}{}", export.key);
                let part = tensors.iter().find(|weight| weight.key == key);
                values.extend_from_slice(&part.expect("every tensor was found").values);
            }
            self.session.write(place(parameter), &parameter.from_file(values))?;
        }
        Ok(())
    }

    /// One kind of numbers under their names in files.
    pub(crate) fn exported(&mut self, prefix: &str, place: Place) -> Result<Vec<Weight>> {
        let mut weights = Vec::new();
        for parameter in self.vae.parameters.list() {
            let values = parameter.to_file(self.session.read(place(parameter))?);
            let mut rest = values.as_slice();
            for (key, shape) in parameter.shapes() {
                let (part, after) = rest.split_at(shape.iter().product());
                let key = format!("{prefix}{key}");
                weights.push(Weight { key, shape, values: part.to_vec() });
                rest = after;
            }
        }
        Ok(weights)
    }
}
