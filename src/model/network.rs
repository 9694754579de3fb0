//! The encoder and the decoder, and the names of their layers.

use crate::config::{Config, Posterior};
use crate::engine::Tensor;
use crate::kernels::matmul::{Affine, Input};
use crate::nn::{Hidden, Layers};

/// The names of layers: those of the `PyTorch` example for its own shape, paths for all others.
#[derive(Clone, Debug)]
pub(super) struct LayerNames {
    encoder: Vec<String>,
    posterior: String,
    /// Mean and log-variance, which are one layer here and two in files; a point has none.
    halves: Vec<String>,
    /// The hidden layers and the last.
    decoder: Vec<String>,
}

impl LayerNames {
    pub(super) fn of(config: &Config) -> Self {
        let (encoder, decoder) = (config.model.encoder.len(), config.model.decoder.len());
        let all = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let numbered = |path: &str, count| (0..count).map(|i| format!("{path}.{i}")).collect();
        let mut names = if (encoder, decoder) == (1, 1) {
            Self {
                encoder: all(&["fc1"]),
                posterior: "fc2".to_owned(),
                halves: all(&["fc21", "fc22"]),
                decoder: all(&["fc3", "fc4"]),
            }
        } else {
            Self {
                encoder: numbered("encoder", encoder),
                posterior: "posterior".to_owned(),
                halves: all(&["posterior.mean", "posterior.log_var"]),
                decoder: numbered("decoder", decoder + 1),
            }
        };
        if config.model.posterior == Posterior::Point {
            (names.posterior, names.halves) = ("code".to_owned(), Vec::new());
        }
        names
    }

    /// That of the decoder's last layer.
    pub(super) fn output(&self) -> &str {
        &self.decoder[self.decoder.len() - 1]
    }
}

/// The encoder and the decoder of a model, on a tape.
pub(super) struct Network<'t, 'p> {
    pub(super) layers: Layers<'t, 'p>,
    pub(super) names: &'t LayerNames,
}

impl Network<'_, '_> {
    /// Records the hidden layers of the encoder; what the posterior's is applied to.
    pub(super) fn encoder(&mut self, x: Input) -> Input {
        let mut top = x;
        let widths = &self.layers.model.encoder;
        for (number, (name, &units)) in self.names.encoder.iter().zip(widths).enumerate() {
            top = Input::Made(self.layers.hidden(name, top, units, Hidden { number, samples: 1 }));
        }
        top
    }

    /// The path and the parameters of the layer that makes h (n, 2 · latent) = [μ | log σ²], or the point
    /// h (n, latent).
    pub(super) fn posterior(&mut self, top: Input) -> (String, Affine) {
        let (names, latent) = (self.names, self.layers.model.latent);
        let halves: Vec<_> = names.halves.iter().map(|name| (name.as_str(), latent)).collect();
        let outputs = latent * halves.len().max(1);
        let shape = [outputs, top.cols()];
        (names.posterior.clone(), self.layers.affine(&names.posterior, shape, &halves))
    }

    /// Records the hidden layers of the decoder. Each image has so many samples of z, rows one after
    /// another.
    pub(super) fn decoder(&mut self, z: Tensor, samples: usize) -> Tensor {
        let mut top = z;
        // The encoder's have the numbers before.
        let numbers = self.names.encoder.len()..;
        let widths = &self.layers.model.decoder;
        for (number, (name, &units)) in numbers.zip(self.names.decoder.iter().zip(widths)) {
            top = self.layers.hidden(name, Input::Made(top), units, Hidden { number, samples });
        }
        top
    }

    /// The path and the parameters of the decoder's last layer, which makes what the likelihood takes of
    /// each of so many pixels.
    pub(super) fn output(&mut self, top: Tensor, pixels: usize) -> (String, Affine) {
        let model = self.layers.model;
        let outputs = model.likelihood.outputs(model) * pixels;
        let path = self.names.output();
        (path.to_owned(), self.layers.affine(path, [outputs, top.cols()], &[]))
    }
}
