//! The encoder and the decoder, and the names of their layers.

use crate::config::{Activation, Config};
use crate::engine::{Parameters, Tape, Tensor};
use crate::nn::Network;

/// The names of layers: those of the `PyTorch` example for its own shape, paths for all others.
pub(super) struct LayerNames {
    encoder: Vec<String>,
    posterior: String,
    /// Mean and log-variance, which are one layer here and two in files.
    halves: [String; 2],
    /// The hidden layers and the last.
    decoder: Vec<String>,
}

impl LayerNames {
    pub(super) fn of(config: &Config) -> Self {
        let (encoder, decoder) = (config.model.encoder.len(), config.model.decoder.len());
        let all = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        if (encoder, decoder) == (1, 1) {
            return Self {
                encoder: all(&["fc1"]),
                posterior: "fc2".to_owned(),
                halves: ["fc21", "fc22"].map(str::to_owned),
                decoder: all(&["fc3", "fc4"]),
            };
        }
        let numbered = |path: &str, count| (0..count).map(|i| format!("{path}.{i}")).collect();
        Self {
            encoder: numbered("encoder", encoder),
            posterior: "posterior".to_owned(),
            halves: ["posterior.mean", "posterior.log_var"].map(str::to_owned),
            decoder: numbered("decoder", decoder + 1),
        }
    }
}

/// Records h (n, 2 · latent) = [μ | log σ²] of x.
pub(super) fn encoder(
    tape: &mut Tape<'_>,
    parameters: &mut Parameters,
    config: &Config,
    names: &LayerNames,
    x: Tensor,
) -> Tensor {
    let mut network = Network { tape, parameters };
    let (hidden, latent) = (config.model.activation, config.model.latent);
    let mut top = (x, false);
    for (name, &units) in names.encoder.iter().zip(&config.model.encoder) {
        top = (network.layer(name, top, units, hidden, &[]), true);
    }
    let [mean, log_var] = &names.halves;
    let halves = [(mean.as_str(), latent), (log_var.as_str(), latent)];
    network.layer(&names.posterior, top, 2 * latent, Activation::Identity, &halves)
}

/// Records what the decoder makes of z: what the likelihood takes of each of so many pixels.
pub(super) fn decoder(
    tape: &mut Tape<'_>,
    parameters: &mut Parameters,
    config: &Config,
    names: &LayerNames,
    (z, pixels): (Tensor, usize),
) -> Tensor {
    let mut network = Network { tape, parameters };
    let hidden = config.model.activation;
    let mut top = (z, true);
    for (name, &units) in names.decoder.iter().zip(&config.model.decoder) {
        top = (network.layer(name, top, units, hidden, &[]), true);
    }
    let last = &names.decoder[names.decoder.len() - 1];
    let outputs = config.model.likelihood.outputs(&config.model) * pixels;
    network.layer(last, top, outputs, Activation::Identity, &[])
}
