//! The encoder and the decoder of a configuration, as lists of layers.

use crate::config::{Entry, Layer, Layers, ModelConfig};
use crate::error::Result;
use crate::nn::{Dims, Placed, Sequential};

/// The two networks of a model: what validation, memory, names, files and cards are made from.
///
/// Parameters are called as in the `PyTorch` example where each list has one hidden layer (`fc1`, `fc21`,
/// `fc22`, `fc3`, `fc4`), else by their place in the configuration's list (`encoder.0`, …).
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    /// From x, and the class if the model is told, to h = [μ | log σ²], or to the point z.
    pub encoder: Sequential,
    /// From z, and the class if the model is told, to what the likelihood takes of each pixel.
    pub decoder: Sequential,
}

impl Architecture {
    /// The networks of a model for images of so many pixels.
    ///
    /// # Errors
    ///
    /// If a layer cannot take what the one before it makes.
    pub fn of(model: &ModelConfig, pixels: usize) -> Result<Self> {
        let one = |layers: &Layers| matches!(layers.0[..], [Entry::Hidden(_)]);
        let classic = one(&model.encoder) && one(&model.decoder);
        let name = |classic_name: &str, path: String| match classic {
            true => classic_name.to_owned(),
            false => path,
        };
        let mut encoder = placed(model, &model.encoder, |i| name("fc1", format!("encoder.{i}")));
        let makes = model.posterior.makes();
        let layer = Layer::Linear(model.latent.saturating_mul(makes.len()));
        encoder.push(match makes {
            [(alone, _)] => Placed::new(layer, *alone),
            parts => Placed {
                layer,
                path: name("fc2", "posterior".to_owned()),
                parts: (1..)
                    .zip(parts)
                    .map(|(i, (part, _))| name(&format!("fc2{i}"), format!("posterior.{part}")))
                    .collect(),
            },
        });
        let mut decoder = placed(model, &model.decoder, |i| name("fc3", format!("decoder.{i}")));
        let outputs = pixels.saturating_mul(model.likelihood.outputs(model));
        let last = name("fc4", format!("decoder.{}", model.decoder.0.len()));
        decoder.push(Placed::new(Layer::Linear(outputs), last));
        let [x, z] = [pixels, model.latent].map(|n| Dims::vector(n.saturating_add(model.classes)));
        let encoder = Sequential::new(encoder, x, None)?;
        let decoder = Sequential::new(decoder, z, Some(&encoder))?;
        Ok(Self { encoder, decoder })
    }
}

/// The layers of a list under the names of its entries.
fn placed(model: &ModelConfig, list: &Layers, name: impl Fn(usize) -> String) -> Vec<Placed> {
    let entry = |(place, entry): (usize, &Entry)| {
        let (name, hidden) = (name(place), matches!(entry, Entry::Hidden(_)));
        let path = move |layer| match layer {
            Layer::Norm if hidden => format!("{name}.norm"),
            Layer::Dropout(_) if hidden => format!("{name}.dropout"),
            _ => name.clone(),
        };
        let layers = entry.layers(model).into_iter();
        layers.map(move |layer| Placed::new(layer, path(layer)))
    };
    list.0.iter().enumerate().flat_map(entry).collect()
}
