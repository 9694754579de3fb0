//! Layers as functions that record: what a network is made of.

mod layer;
mod record;
mod sequential;

use crate::config::{self, Activation, ModelConfig};
use crate::engine::{Init, Tape, Taps, Tensor};
use crate::kernels::layer_norm::{Norm, layer_norm};
use crate::kernels::matmul::Affine;

pub use layer::{Dims, Placed};
pub use record::Top;
pub use sequential::{Block, Node, Sequential, layers, made};

/// A tape, and what is recorded on it.
#[derive(Debug)]
pub struct Network<'t, 'p> {
    /// The recording.
    pub tape: &'t mut Tape<'p>,
    /// What layers are like.
    pub model: &'t ModelConfig,
    /// Which image each row of the minibatch is.
    pub image: Tensor,
}

/// The first values of a layer's weight and bias, by how many outputs an input has, and inputs an output.
fn first_values(model: &ModelConfig, [outputs, inputs]: [f64; 2]) -> [Init; 2] {
    let zero = Init::Constant(0.0);
    match model.init {
        config::Init::Pytorch => [Init::Uniform(1.0 / inputs.sqrt()); 2],
        config::Init::Glorot => [Init::Uniform((6.0 / (inputs + outputs)).sqrt()), zero],
        config::Init::He => [Init::Normal((2.0 / inputs).sqrt()), zero],
        config::Init::Normal => [Init::Normal(model.init_deviation), zero],
    }
}

impl Network<'_, '_> {
    /// The parameters `path.weight` (outputs, inputs) and `path.bias` (outputs) of a fully connected layer.
    ///
    /// `parts` are the names under which equal shares of its outputs go to files, if not as one; each is a
    /// layer of its own to whoever gives first values.
    fn affine(&mut self, path: &str, [outputs, inputs]: [usize; 2], parts: &[String]) -> Affine {
        let own = outputs / parts.len().max(1);
        let inits = first_values(self.model, [own, inputs].map(|of| of as f64));
        let parts: Vec<_> = parts.iter().map(|part| (part.as_str(), own)).collect();
        self.tape.layer(path, [outputs, inputs], inits, &parts).into()
    }

    /// The parameters `path.weight` and `path.bias` of a convolution of so many outputs.
    fn kernel(&mut self, path: &str, outputs: usize, taps: Taps) -> Affine {
        // As `PyTorch` counts: an input is under every tap of some window.
        let inits =
            first_values(self.model, [outputs * taps.count(), taps.numbers()].map(|of| of as f64));
        self.tape.convolution(path, (outputs, taps), inits).into()
    }

    /// The parameters `path.weight` and `path.bias` of a transposed convolution of so many inputs, to the taps' channels.
    fn spread(&mut self, path: &str, inputs: usize, (taps, stride): (Taps, usize)) -> Affine {
        let outputs = taps.numbers() as f64;
        // A place that is reached is so by this share of the taps.
        let taps_each = taps.kernel.map(|side| (side as f64 / stride as f64).max(1.0));
        let inputs_each = match self.model.init {
            // It counts what is behind the first side of the weight, which are the outputs here.
            config::Init::Pytorch => outputs,
            _ => inputs as f64 * taps_each[0] * taps_each[1],
        };
        let inits = first_values(self.model, [outputs, inputs_each]);
        self.tape.transposed(path, (inputs, taps), inits).into()
    }

    /// The gain and the bias of so many channels, `path.weight` and `path.bias`, first 1 and 0.
    fn gain(&mut self, path: &str, channels: usize) -> Norm {
        let [gain, bias] = [("weight", 1.0), ("bias", 0.0)].map(|(of, first)| {
            self.tape.parameter(&format!("{path}.{of}"), channels, Init::Constant(first))
        });
        Norm { gain, bias }
    }

    /// Records the layer normalisation of x (rows, n) and an activation.
    fn norm(&mut self, path: &str, x: Tensor, kind: Activation) -> Tensor {
        let norm = self.gain(path, x.cols());
        layer_norm(self.tape, path, x, norm, kind)
    }
}
