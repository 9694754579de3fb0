//! The encoder and the decoder, and the names of their layers.

use crate::config::{Activation, Config, Posterior};
use crate::engine::{Parameters, Tape, Tensor};
use crate::nn::Network;

/// The names of layers: those of the `PyTorch` example for its own shape, paths for all others.
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
}

/// Records h (n, 2 · latent) = [μ | log σ²] of x, or the point h (n, latent).
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
    let halves: Vec<_> = names.halves.iter().map(|name| (name.as_str(), latent)).collect();
    let outputs = latent * halves.len().max(1);
    network.layer(&names.posterior, top, outputs, Activation::Identity, &halves)
}

/// Records what the decoder makes of z: logits, or means, of so many pixels.
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
    network.layer(last, top, pixels, Activation::Identity, &[])
}
