//! The encoder and the decoder, and the names of their layers.

use crate::config::{Activation, Config, Posterior};
use crate::engine::Tensor;
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
pub(super) fn encoder(mut network: Network<'_, '_>, names: &LayerNames, x: Tensor) -> Tensor {
    let latent = network.model.latent;
    let mut top = (x, false);
    for (number, (name, &units)) in names.encoder.iter().zip(&network.model.encoder).enumerate() {
        top = (network.hidden(name, top, units, (number, 1)), true);
    }
    let halves: Vec<_> = names.halves.iter().map(|name| (name.as_str(), latent)).collect();
    let outputs = latent * halves.len().max(1);
    network.layer(&names.posterior, top, outputs, Activation::Identity, &halves)
}

/// Records what the decoder makes of z: what the likelihood takes of each of so many pixels. Each image
/// has so many samples of z, rows one after another.
pub(super) fn decoder(
    mut network: Network<'_, '_>,
    names: &LayerNames,
    (z, samples): (Tensor, usize),
    pixels: usize,
) -> Tensor {
    let mut top = (z, true);
    // The encoder's have the numbers before.
    let numbers = names.encoder.len()..;
    for (number, (name, &units)) in numbers.zip(names.decoder.iter().zip(&network.model.decoder)) {
        top = (network.hidden(name, top, units, (number, samples)), true);
    }
    let last = &names.decoder[names.decoder.len() - 1];
    let outputs = network.model.likelihood.outputs(network.model) * pixels;
    network.layer(last, top, outputs, Activation::Identity, &[])
}
