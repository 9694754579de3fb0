//! Layers as functions that record: what a network is made of.

mod layer;

use crate::config::{self, Activation, ModelConfig};
use crate::engine::{Init, Parameters, Tape, Tensor};
use crate::kernels::layer_norm::layer_norm;
use crate::kernels::matmul::{Learned, linear};

pub use layer::{Dims, Placed, Sequential, shapes};

/// A tape, and what is recorded on it.
#[derive(Debug)]
pub struct Network<'t, 'p> {
    /// The recording.
    pub tape: &'t mut Tape<'p>,
    /// The parameters.
    pub parameters: &'t mut Parameters,
    /// What layers are like.
    pub model: &'t ModelConfig,
    /// Which image each row of the minibatch is.
    pub image: Tensor,
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

impl Network<'_, '_> {
    /// Records a fully connected layer, x (rows, inputs) to (rows, outputs), whose parameters are
    /// `path.weight` and `path.bias`.
    ///
    /// `parts` are the names and sizes under which its outputs go to files, if not as one; each is a
    /// layer of its own to whoever gives first values. `wants_dx` is false where x is data.
    pub fn layer(
        &mut self,
        path: &str,
        (x, wants_dx): (Tensor, bool),
        outputs: usize,
        activation: Activation,
        parts: &[(&str, usize)],
    ) -> Tensor {
        let inputs = x.cols();
        let own = parts.first().map_or(outputs, |&(_, rows)| rows);
        assert!(parts.iter().all(|&(_, rows)| rows == own), "parts of one size: {parts:?}");
        let [of_weight, of_bias] = first_values(self.model, [own, inputs]);
        let named = |kind: &str| -> Vec<(String, usize)> {
            parts.iter().map(|(name, rows)| (format!("{name}.{kind}"), *rows)).collect()
        };
        let (plan, parameters) = (&mut *self.tape.plan, &mut *self.parameters);
        let w = parameters.matrix(plan, &format!("{path}.weight"), [outputs, inputs], of_weight);
        if !parts.is_empty() {
            parameters.export_last(&named("weight"));
        }
        let b = parameters.vector(plan, &format!("{path}.bias"), outputs, of_bias);
        if !parts.is_empty() {
            parameters.export_last(&named("bias"));
        }
        let w = Learned { value: w.value, grad: w.grad };
        let b = Learned { value: b.value, grad: b.grad };
        linear(self.tape, path, (x, wants_dx), (w, b), activation)
    }

    /// Records the layer normalisation of x (rows, n), whose gain and bias (n) are `path.weight` and
    /// `path.bias`, first 1 and 0.
    pub fn norm(&mut self, path: &str, x: Tensor) -> Tensor {
        let (plan, parameters) = (&mut *self.tape.plan, &mut *self.parameters);
        let [gain, bias] = [("weight", 1.0), ("bias", 0.0)].map(|(kind, first)| {
            let name = format!("{path}.{kind}");
            let made = parameters.vector(plan, &name, x.cols(), Init::Constant(first));
            Learned { value: made.value, grad: made.grad }
        });
        layer_norm(self.tape, path, x, (gain, bias))
    }
}
