//! The encoder and the decoder of a configuration, as lists of layers.

use crate::config::{
    Blocks, Convolution, Entry, ImageSize, Inference, Layer, Layers, ModelConfig, OutputBias,
    Residual, hidden_layers,
};
use crate::error::{Error, Result};
use crate::nn::{Block, Dims, Node, Placed, Sequential, layers, made};

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
    /// The networks of the levels of z above the first, from below upwards.
    pub above: Vec<Above>,
    /// How these come to z.
    pub inference: Inference,
    /// How what the decoder makes of an image lies.
    pub made: Blocks,
}

/// The networks of a level of z above another.
#[derive(Clone, Debug, PartialEq)]
pub struct Above {
    /// From the z below, of a ladder from its mean, to h = [μ | log σ²] of this level's posterior.
    pub encoder: Sequential,
    /// From this level's z to [μ | log σ²] of the prior of the z below.
    pub decoder: Sequential,
}

impl Architecture {
    /// The networks of a model for images of a size.
    ///
    /// # Errors
    ///
    /// If a layer cannot take what the one before it makes.
    pub fn of(model: &ModelConfig, size: ImageSize) -> Result<Self> {
        let one = |layers: &Layers| matches!(layers.0[..], [Entry::Hidden(_)]);
        let classic = one(&model.encoder) && one(&model.decoder);
        let name = |classic_name: &str, path: String| match classic {
            true => classic_name.to_owned(),
            false => path,
        };
        let mut encoder = nodes(model, &model.encoder, &|i| name("fc1", format!("encoder.{i}")));
        let makes = model.posterior.makes();
        let layer = Layer::Linear(model.latent.saturating_mul(makes.len()));
        encoder.push(Node::Layer(match makes {
            [(alone, _)] => Placed::new(layer, *alone),
            parts => Placed {
                layer,
                path: name("fc2", "posterior".to_owned()),
                parts: (1..)
                    .zip(parts)
                    .map(|(i, (part, _))| name(&format!("fc2{i}"), format!("posterior.{part}")))
                    .collect(),
            },
        }));
        let x = match model.classes {
            0 => Dims::from(size),
            classes => Dims::vector(size.len().saturating_add(classes)),
        };
        told(model, &encoder)?;
        let encoder = Sequential::new(encoder, x, None)?;
        let mut decoder = nodes(model, &model.decoder, &|i| name("fc3", format!("decoder.{i}")));
        let z = Dims::vector(model.latent.saturating_add(model.classes));
        let last = name("fc4", format!("decoder.{}", model.decoder.0.len()));
        let output = output(model, made(&decoder, z)?, size)?;
        decoder.push(Node::Layer(Placed::new(output, last)));
        let decoder = Sequential::new(decoder, z, Some(&encoder))?;
        let above = above(model, &decoder)?;
        let made = Blocks::of(model, size.len(), size.channels);
        Ok(Self { encoder, decoder, above, inference: model.inference, made })
    }

    /// All networks, each with whether its rows are images, else z.
    pub fn all(&self) -> impl Iterator<Item = (&Sequential, bool)> {
        let up_by_image = self.inference == Inference::Ladder;
        let above = self.above.iter();
        let above =
            above.flat_map(move |level| [(&level.encoder, up_by_image), (&level.decoder, false)]);
        [(&self.encoder, true), (&self.decoder, false)].into_iter().chain(above)
    }

    /// What should be known of the decoder for images of this size, if anything: that it ends in a map of other sides, from
    /// which a fully connected layer goes on.
    #[must_use]
    pub fn notice(&self, size: ImageSize) -> Option<String> {
        let (last, [input, _]) = self.decoder.shapes().last()?;
        (input.is_map() && self.decoder.ends_fully_connected()).then(|| {
            format!(
                "note: the decoder's map of {input} is not of the sides of the images of {size}, so that a fully connected \
                 layer of {} parameters ends it",
                last.parameters(input)
            )
        })
    }
}

/// The networks of the levels above, under `above.I.encoder`, `above.I.posterior`, `above.I.decoder` and `above.I.prior`, I from 0.
fn above(model: &ModelConfig, decoder: &Sequential) -> Result<Vec<Above>> {
    let (mut below, mut all) = (model.latent, Vec::<Above>::new());
    for (place, level) in model.above.iter().enumerate() {
        let path = format!("above.{place}");
        let network =
            |layers: &Layers, [from, to]: [usize; 2], names: [&str; 2], before: &Sequential| {
                let mut nodes = nodes(model, layers, &|i| format!("{path}.{}.{i}", names[0]));
                let of = format!("{path}.{}", names[1]);
                nodes.push(Node::Layer(Placed {
                    layer: Layer::Linear(to.saturating_mul(2)),
                    parts: ["mean", "log_var"].map(|part| format!("{of}.{part}")).into(),
                    path: of,
                }));
                Sequential::new(nodes, Dims::vector(from), Some(before))
            };
        let before = all.last().map_or(decoder, |last| &last.decoder);
        let up = network(&level.encoder, [below, level.latent], ["encoder", "posterior"], before)?;
        let down = network(&level.decoder, [level.latent, below], ["decoder", "prior"], &up)?;
        all.push(Above { encoder: up, decoder: down });
        below = level.latent;
    }
    Ok(all)
}

/// Refuses an encoder that is told of a class, which lies behind the pixels, and takes both as a map.
fn told(model: &ModelConfig, encoder: &[Node]) -> Result<()> {
    let first = layers(encoder).find(|placed| placed.layer.has_weight());
    match first.map(|placed| (placed, placed.layer)) {
        Some((Placed { path, layer, .. }, Layer::Convolution(_) | Layer::Transposed(_)))
            if model.classes > 0 =>
        {
            let what =
                format!("`{path}`, the layer `{layer}`, takes the image with its class behind it");
            Err(Error::config(format!("{what}; it must be fully connected"))
                .hint("begin `encoder` with a fully connected layer, such as 400, or leave out `--classes`"))
        }
        _ => Ok(()),
    }
}

/// The decoder's last layer after those of its list: a convolution where these end in a map of the images' sides.
fn output(model: &ModelConfig, made: Dims, size: ImageSize) -> Result<Layer> {
    let blocks = Blocks::of(model, size.len(), size.channels);
    if !made.is_map() || [made.height, made.width] != size.sides() {
        return Ok(Layer::Linear(blocks.numbers()));
    }
    if model.output_bias == OutputBias::DataMean {
        let what =
            format!("the decoder ends in a map of {made}, whose last bias has no pixel of its own");
        return Err(Error::config(what)
            .hint("leave out `output-bias`, or end `decoder` with a layer of units"));
    }
    Ok(Layer::Convolution(Convolution::new(blocks.numbers() / (size.height * size.width), [3, 3])))
}

/// The layers and blocks of a list under the names of its entries.
fn nodes(model: &ModelConfig, list: &Layers, name: &dyn Fn(usize) -> String) -> Vec<Node> {
    let entry = |(place, entry): (usize, &Entry)| {
        let name = name(place);
        match entry {
            Entry::Hidden(units) => hidden(model, *units, &name),
            Entry::Layer(layer) => vec![Node::Layer(Placed::new(*layer, name))],
            Entry::Residual(Residual { residual, shortcut }) => {
                let within = |list: &Layers, way: &str| {
                    nodes(model, list, &|place| format!("{name}.{way}.{place}"))
                };
                let (shortcut, residual) =
                    (within(shortcut, "shortcut"), within(residual, "residual"));
                vec![Node::Block(Block { path: name, shortcut, residual })]
            }
        }
    };
    list.0.iter().enumerate().flat_map(entry).collect()
}

/// A hidden layer, the first of whose layers goes by its own name.
fn hidden(model: &ModelConfig, units: usize, name: &str) -> Vec<Node> {
    let path = |layer| match layer {
        Layer::Norm => format!("{name}.norm"),
        Layer::Dropout(_) => format!("{name}.dropout"),
        _ => name.to_owned(),
    };
    let layers = hidden_layers(units, model).into_iter();
    layers.map(|layer| Node::Layer(Placed::new(layer, path(layer)))).collect()
}
