//! Layers as functions that record: what a network is made of.

use crate::config::{self, Activation, ModelConfig};
use crate::engine::{Init, Tape, Tensor};
use crate::kernels::activation::activation;
use crate::kernels::dropout::{Drops, dropout};
use crate::kernels::layer_norm::{Norm, layer_norm};
use crate::kernels::matmul::{Affine, Input, linear};

/// A tape, and what the layers on it are like.
#[derive(Debug)]
pub struct Layers<'t, 'p> {
    /// The recording.
    pub tape: &'t mut Tape<'p>,
    /// What layers are like.
    pub model: &'t ModelConfig,
    /// Which image each row of the minibatch is.
    pub image: Tensor,
}

/// Which hidden layer one is.
#[derive(Clone, Copy, Debug)]
pub struct Hidden {
    /// Tells it from the model's other hidden layers, so that each draws its own noise.
    pub number: usize,
    /// How many rows each image has, one after another.
    pub samples: usize,
}

/// The first values of a layer's weight and bias.
fn first_values(model: &ModelConfig, [outputs, inputs]: [usize; 2]) -> [Init; 2] {
    let (inputs, outputs) = (inputs as f64, outputs as f64);
    let zero = Init::Constant(0.0);
    match model.init {
        config::Init::Pytorch => [Init::Uniform(1.0 / inputs.sqrt()); 2],
        config::Init::Glorot => [Init::Uniform((6.0 / (inputs + outputs)).sqrt()), zero],
        config::Init::He => [Init::Normal((2.0 / inputs).sqrt()), zero],
        config::Init::Normal => [Init::Normal(model.init_deviation), zero],
    }
}

impl Layers<'_, '_> {
    /// Records a hidden layer, x (rows, inputs) to (rows, units): a fully connected one, normalised if the
    /// model says so, its activation and dropout.
    pub fn hidden(&mut self, path: &str, x: Input, units: usize, of: Hidden) -> Tensor {
        let &ModelConfig { activation: kind, layer_norm, dropout: share, .. } = self.model;
        let layer = self.affine(path, [units, x.cols()], &[]);
        let mut y = if layer_norm {
            let y = linear(self.tape, path, x, layer, Activation::Identity);
            self.norm(path, y, kind)
        } else {
            linear(self.tape, path, x, layer, kind)
        };
        if share > 0.0 {
            let drops = Drops { share, layer: of.number, samples: of.samples };
            y = dropout(self.tape, &format!("{path}.dropout"), y, self.image, drops);
        }
        y
    }

    /// The parameters `path.weight` (outputs, inputs) and `path.bias` (outputs) of a fully connected layer.
    ///
    /// `parts` are the names and sizes under which its outputs go to files, if not as one; each is a
    /// layer of its own to whoever gives first values.
    pub fn affine(
        &mut self,
        path: &str,
        [outputs, inputs]: [usize; 2],
        parts: &[(&str, usize)],
    ) -> Affine {
        let own = parts.first().map_or(outputs, |&(_, rows)| rows);
        assert!(parts.iter().all(|&(_, rows)| rows == own), "parts of one size: {parts:?}");
        let inits = first_values(self.model, [own, inputs]);
        self.tape.layer(path, [outputs, inputs], inits, parts).into()
    }

    /// Records the layer normalisation of a layer's outputs and an activation, gain and bias being
    /// `path.norm.weight` and `path.norm.bias`, first 1 and 0.
    fn norm(&mut self, path: &str, x: Tensor, kind: Activation) -> Tensor {
        let name = format!("{path}.norm");
        let [gain, bias] = [("weight", 1.0), ("bias", 0.0)].map(|(of, first)| {
            self.tape.parameter(&format!("{name}.{of}"), x.cols(), Init::Constant(first))
        });
        let norm = Norm { gain, bias };
        if kind.slope_from_output() {
            return layer_norm(self.tape, &name, x, norm, kind);
        }
        let y = layer_norm(self.tape, &name, x, norm, Activation::Identity);
        activation(self.tape, kind, y)
    }
}
