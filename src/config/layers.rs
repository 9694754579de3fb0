//! Lists of layers, as a configuration writes them.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Unexpected, Visitor};
use serde::{Serialize, Serializer};

use crate::config::layer::NoLayer;
use crate::config::validate::fail;
use crate::config::{Layer, ModelConfig};
use crate::error::Result;

/// The most layers that a configuration may write in one list.
const MOST_LAYERS: usize = 32;

/// What is expected where a layer is written.
const EXPECTED: &str = "a whole number of units, a layer in quotes, such as \"linear 400\", \"norm\", \"gelu\", \
                        \"dropout 0.1\", \"conv 32 3x3 stride 2\", \"transposed 32 4x4 stride 2\" or \"map 7x7x64\", or a block \
                        of layers, { residual = [...] }";

/// An entry of a list of layers.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A hidden layer of so many units: fully connected, then what `layer-norm`, `activation` and
    /// `dropout` say. In TOML it is a number.
    Hidden(usize),
    /// A layer that stands for itself alone. In TOML it is a text.
    Layer(Layer),
    /// Layers whose result is added to what they took. In TOML it is a table.
    Residual(Residual),
}

/// A residual block (He et al. 2016): y = shortcut(x) + residual(x).
#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residual {
    /// The layers whose result is added.
    pub residual: Layers,
    /// The layers of the way past them, where it has any: those that make x of another size.
    #[serde(default, skip_serializing_if = "Layers::is_empty")]
    pub shortcut: Layers,
}

/// The layers that a number of units means in a model.
#[must_use]
pub fn hidden_layers(units: usize, model: &ModelConfig) -> Vec<Layer> {
    let mut layers = vec![Layer::Linear(units)];
    layers.extend(model.layer_norm.then_some(Layer::Norm));
    layers.push(Layer::Activation(model.activation));
    layers.extend((model.dropout > 0.0).then_some(Layer::Dropout(model.dropout)));
    layers
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hidden(units) => write!(f, "{units}"),
            Self::Layer(layer) => write!(f, "{layer}"),
            Self::Residual(Residual { residual, shortcut }) if shortcut.is_empty() => {
                write!(f, "residual ({residual})")
            }
            Self::Residual(Residual { residual, shortcut }) => {
                write!(f, "residual ({residual}; past it {shortcut})")
            }
        }
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Hidden(units) => units.serialize(to),
            Self::Layer(layer) => to.collect_str(layer),
            Self::Residual(block) => block.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        from.deserialize_any(ReadEntry)
    }
}

struct ReadEntry;

impl<'de> Visitor<'de> for ReadEntry {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_u64<E: de::Error>(self, units: u64) -> std::result::Result<Entry, E> {
        let hidden = usize::try_from(units).map(Entry::Hidden);
        hidden.map_err(|_| E::invalid_value(Unexpected::Unsigned(units), &self))
    }

    fn visit_i64<E: de::Error>(self, units: i64) -> std::result::Result<Entry, E> {
        let hidden = usize::try_from(units).map(Entry::Hidden);
        hidden.map_err(|_| E::invalid_value(Unexpected::Signed(units), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Entry, E> {
        Layer::parse(text).map(Entry::Layer).map_err(|why| match why {
            NoLayer::Word => E::unknown_variant(text, &Layer::WORDS),
            NoLayer::Number => E::invalid_value(Unexpected::Str(text), &self),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Entry, A::Error> {
        Residual::deserialize(MapAccessDeserializer::new(map)).map(Entry::Residual)
    }
}

/// The layers of an encoder or a decoder before its last one, as a configuration writes them.
/// `[512, 256].into()` are two hidden layers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Layers(pub Vec<Entry>);

impl Layers {
    /// Whether there are none: the last layer is the only one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The units of each hidden layer, if there is nothing else in the list.
    #[must_use]
    pub fn units(&self) -> Option<Vec<usize>> {
        let units = |entry: &Entry| match entry {
            Entry::Hidden(units) => Some(*units),
            Entry::Layer(_) | Entry::Residual(_) => None,
        };
        self.0.iter().map(units).collect()
    }

    /// Whether a hidden layer is among them, which takes after the keys of the model.
    pub(super) fn has_hidden(&self) -> bool {
        self.any(&|entry| matches!(entry, Entry::Hidden(_)))
    }

    /// Whether a training step of the model leaves out some of what these make.
    pub(super) fn drops(&self, model: &ModelConfig) -> bool {
        self.any(&|entry| match entry {
            Entry::Hidden(_) => model.dropout > 0.0,
            entry => matches!(entry, Entry::Layer(Layer::Dropout(_))),
        })
    }

    /// Whether something holds of an entry, or of one within a block.
    fn any(&self, holds: &dyn Fn(&Entry) -> bool) -> bool {
        self.0.iter().any(|entry| match entry {
            Entry::Residual(block) => block.residual.any(holds) || block.shortcut.any(holds),
            entry => holds(entry),
        })
    }

    /// Judges each layer by itself; whether they fit one another depends on the images.
    pub(super) fn validate(&self, name: &str, model: &ModelConfig) -> Result<()> {
        if self.0.len() > MOST_LAYERS {
            let rule = format!("at most {MOST_LAYERS} layers");
            return fail(name, &format!("{} layers", self.0.len()), &rule);
        }
        for entry in &self.0 {
            match entry {
                Entry::Hidden(units) => Layer::Linear(*units).validate(name)?,
                Entry::Layer(layer) => layer.validate(name)?,
                Entry::Residual(Residual { residual, shortcut }) => {
                    if residual.is_empty() {
                        return fail(name, &"with a block of no layers", "with blocks of layers");
                    }
                    residual.validate(name, model)?;
                    shortcut.validate(name, model)?;
                }
            }
        }
        if model.layer_norm && self.0.contains(&Entry::Hidden(1)) {
            return fail(name, &"of 1 unit", "of 2 or more, to be normalised by `layer-norm`");
        }
        Ok(())
    }
}

impl From<Vec<usize>> for Layers {
    fn from(units: Vec<usize>) -> Self {
        Self(units.into_iter().map(Entry::Hidden).collect())
    }
}

impl<const N: usize> From<[usize; N]> for Layers {
    fn from(units: [usize; N]) -> Self {
        units.to_vec().into()
    }
}

impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&entries.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Activation, Config, Convolution};

    fn read(encoder: &str) -> std::result::Result<Layers, toml::de::Error> {
        #[derive(serde::Deserialize)]
        struct Table {
            encoder: Layers,
        }
        toml::from_str::<Table>(&format!("encoder = {encoder}")).map(|table| table.encoder)
    }

    #[test]
    fn layers_are_read_as_they_are_written() {
        let text = "[7, \"linear 400\", \"norm\", \"leaky-relu\", \"dropout 0.1\", \"map 5x4x10\", \"conv 4 3x3\", \
                    \"group-norm 2\", \"pool 3\", \"attention 2\", \"transposed 4 4x4 stride 2 pad 0\", 200]";
        let found = read(text).expect("layers");
        let layer = Entry::Layer;
        let expected = vec![
            Entry::Hidden(7),
            layer(Layer::Linear(400)),
            layer(Layer::Norm),
            layer(Layer::Activation(Activation::LeakyRelu)),
            layer(Layer::Dropout(0.1)),
            layer(Layer::Map([5, 4, 10])),
            layer(Layer::Convolution(Convolution::new(4, [3, 3]))),
            layer(Layer::GroupNorm(2)),
            layer(Layer::Pool(3)),
            layer(Layer::Attention(2)),
            layer(Layer::Transposed(Convolution {
                stride: 2,
                padding: 0,
                ..Convolution::new(4, [4, 4])
            })),
            Entry::Hidden(200),
        ];
        assert_eq!(found, Layers(expected), "{text}");
        let mut config = Config::default();
        config.model.encoder = found;
        let written = config.to_toml();
        assert!(written.contains(&format!("encoder = {text}\n")), "{written}");
        assert_eq!(Config::from_toml(&written).ok(), Some(config), "read back");
        assert_eq!(read("[\" linear\t 4 \"]").ok(), Some(Layers(vec![layer(Layer::Linear(4))])));
        for word in Layer::WORDS {
            let text = match word {
                "linear" | "dropout" | "group-norm" | "pool" | "attention" => "0",
                "conv" | "transposed" => "4 3x3",
                "map" => "4x3x2",
                _ => "",
            };
            let found = read(&format!("[\"{word} {text}\"]")).expect("a word that is known");
            assert!(found.to_string().starts_with(word), "{word} was read as {found}");
        }
    }

    #[test]
    fn what_is_no_layer_is_refused() {
        for (text, expected) in [
            (
                "[\"nrom\"]",
                "unknown variant `nrom`, expected one of `linear`, `norm`, `dropout`, `",
            ),
            ("[\"\"]", "unknown variant ``"),
            ("[\"400\"]", "unknown variant `400`"),
            ("[\"linear\"]", "a whole number of units, a layer"),
            ("[\"linear -4\"]", "a whole number of units, a layer"),
            ("[\"linear 4 5\"]", "a whole number of units, a layer"),
            ("[\"norm 4\"]", "a whole number of units, a layer"),
            ("[\"relu 4\"]", "a whole number of units, a layer"),
            ("[\"dropout\"]", "a whole number of units, a layer"),
            ("[\"conv 4\"]", "a whole number of units, a layer"),
            ("[\"transposed 4\"]", "a whole number of units, a layer"),
            ("[\"transposed 4 3x3 upsample 2\"]", "a whole number of units, a layer"),
            ("[\"transposed 4 3x3 upsample 1\"]", "a whole number of units, a layer"),
            ("[\"map\"]", "a whole number of units, a layer"),
            ("[\"map 4x4\"]", "a whole number of units, a layer"),
            ("[\"map 4 x 4 x 1\"]", "a whole number of units, a layer"),
            ("[\"pool 2x2\"]", "a whole number of units, a layer"),
            ("[\"group-norm\"]", "a whole number of units, a layer"),
            ("[-1]", "a whole number of units, a layer"),
            ("[4.5]", "a whole number of units, a layer"),
            ("[[4]]", "a whole number of units, a layer"),
            ("4", "expected a sequence"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.message().contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_number_takes_after_the_model_and_a_text_does_not() {
        let mut model = ModelConfig::default();
        let layers = |model: &ModelConfig| {
            let layers =
                hidden_layers(9, model).iter().map(ToString::to_string).collect::<Vec<_>>();
            layers.join(", ")
        };
        assert_eq!(layers(&model), "linear 9, relu");
        (model.layer_norm, model.dropout, model.activation) = (true, 0.25, Activation::Gelu);
        assert_eq!(layers(&model), "linear 9, norm, gelu, dropout 0.25");
    }

    #[test]
    fn blocks_are_read_as_they_are_written() {
        let text =
            "[7, { residual = [\"relu\", { residual = [9] }], shortcut = [\"conv 4 1x1\"] }]";
        let found = read(text).expect("blocks");
        assert_eq!(found.to_string(), "7, residual (relu, residual (9); past it conv 4 1x1)");
        assert!(found.has_hidden() && found.units().is_none(), "{found}");
        for all in [text, "[{ residual = [\"relu\"] }]"] {
            let mut config = Config::default();
            config.model.encoder = read(all).expect("blocks");
            let written = config.to_toml();
            assert_eq!(Config::from_toml(&written).ok(), Some(config), "read back: {written}");
        }
        for (text, expected) in [
            ("[{ residual = [] , skip = [] }]", "unknown field `skip`"),
            ("[{ shortcut = [] }]", "missing field `residual`"),
            ("[{ residual = [\"nrom\"] }]", "unknown variant `nrom`"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.message().contains(expected), "{text}: {error}");
        }
        let empty = read("[{ residual = [] }]").expect("a block");
        let error =
            empty.validate("encoder", &ModelConfig::default()).expect_err("nothing is added");
        assert!(error.to_string().contains("a block of no layers"), "{error}");
    }
}
