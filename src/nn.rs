//! Layers as functions that record: what a network is made of.

use crate::config::Activation;
use crate::engine::{Init, Parameters, Tape, Tensor};
use crate::kernels::matmul::{Learned, linear};

/// A tape and the parameters of what is recorded on it.
#[derive(Debug)]
pub struct Network<'t, 'p> {
    /// The recording.
    pub tape: &'t mut Tape<'p>,
    /// The parameters.
    pub parameters: &'t mut Parameters,
}

impl Network<'_, '_> {
    /// Records a fully connected layer, x (rows, inputs) to (rows, outputs), whose parameters are
    /// `path.weight` and `path.bias`, first uniform in ±1/√inputs as `PyTorch`'s.
    ///
    /// `parts` are the names and sizes under which its outputs go to files, if not as one.
    /// `wants_dx` is false where x is data.
    pub fn layer(
        &mut self,
        path: &str,
        (x, wants_dx): (Tensor, bool),
        outputs: usize,
        activation: Activation,
        parts: &[(&str, usize)],
    ) -> Tensor {
        let inputs = x.cols();
        let init = Init::Uniform(1.0 / (inputs as f64).sqrt());
        let named = |kind: &str| -> Vec<(String, usize)> {
            parts.iter().map(|(name, rows)| (format!("{name}.{kind}"), *rows)).collect()
        };
        let (plan, parameters) = (&mut *self.tape.plan, &mut *self.parameters);
        let w = parameters.matrix(plan, &format!("{path}.weight"), [outputs, inputs], init);
        if !parts.is_empty() {
            parameters.export_last(&named("weight"));
        }
        let b = parameters.vector(plan, &format!("{path}.bias"), outputs, init);
        if !parts.is_empty() {
            parameters.export_last(&named("bias"));
        }
        let w = Learned { value: w.value, grad: w.grad };
        let b = Learned { value: b.value, grad: b.grad };
        linear(self.tape, path, (x, wants_dx), (w, b), activation)
    }
}
