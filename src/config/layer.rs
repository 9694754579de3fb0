//! The layers of a network, as values and as a configuration writes them.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};
use serde::{Serialize, Serializer};

use crate::config::convolution::sides;
use crate::config::validate::{fail, size, within};
use crate::config::{Activation, Convolution, ModelConfig};
use crate::error::Result;

/// The most layers that a configuration may write in one list.
const MOST_LAYERS: usize = 32;

/// A layer of a network. In text it is its word and, where it has one, its number: `linear 400`, `norm`,
/// `gelu`, `dropout 0.1`, `conv 32 3x3`, `map 7x7x64`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layer {
    /// Fully connected, from all its inputs to so many units.
    Linear(usize),
    /// Layer normalisation (Ba et al. 2016, eq. 4).
    Norm,
    /// A function of each unit.
    Activation(Activation),
    /// Leaves out this share of its inputs in a training step (Srivastava et al. 2014).
    Dropout(f64),
    /// Products with the windows of a map.
    Convolution(Convolution),
    /// Takes its inputs as a map: lines, places of a line, and channels, in that order.
    Map([usize; 3]),
}

/// What is expected where a layer is written.
const EXPECTED: &str = "a whole number of units or a layer in quotes, such as \"linear 400\", \"norm\", \"gelu\", \
                        \"dropout 0.1\", \"conv 32 3x3 stride 2\" or \"map 7x7x64\"";

/// Why a text is no layer.
enum NoLayer {
    /// Its first word is not known.
    Word,
    /// Its word is known, but not what follows.
    Number,
}

impl Layer {
    /// The words that layers begin with.
    pub const WORDS: [&'static str; 5 + Activation::ALL.len()] = {
        let mut words = [""; 5 + Activation::ALL.len()];
        (words[0], words[1], words[2]) = ("linear", "norm", "dropout");
        (words[3], words[4]) = ("conv", "map");
        let mut i = 0;
        while i < Activation::ALL.len() {
            words[5 + i] = Activation::ALL[i].name();
            i += 1;
        }
        words
    };

    /// Whether it has a weight matrix.
    #[must_use]
    pub fn has_weight(self) -> bool {
        matches!(self, Self::Linear(_) | Self::Convolution(_))
    }

    fn parse(text: &str) -> std::result::Result<Self, NoLayer> {
        let (word, number) = match text.trim().split_once(char::is_whitespace) {
            Some((word, number)) => (word, Some(number.trim())),
            None => (text.trim(), None),
        };
        fn read<T: FromStr>(number: Option<&str>) -> std::result::Result<T, NoLayer> {
            number.and_then(|number| number.parse().ok()).ok_or(NoLayer::Number)
        }
        let alone = |layer| if number.is_none() { Ok(layer) } else { Err(NoLayer::Number) };
        match word {
            "linear" => read(number).map(Self::Linear),
            "dropout" => read(number).map(Self::Dropout),
            "norm" => alone(Self::Norm),
            "conv" => {
                number.and_then(Convolution::parse).map(Self::Convolution).ok_or(NoLayer::Number)
            }
            "map" => {
                let sides = number.and_then(sides).and_then(|sides| sides.try_into().ok());
                sides.map(Self::Map).ok_or(NoLayer::Number)
            }
            word => match Activation::ALL.into_iter().find(|kind| kind.name() == word) {
                Some(kind) => alone(Self::Activation(kind)),
                None => Err(NoLayer::Word),
            },
        }
    }

    fn validate(self, list: &str) -> Result<()> {
        match self {
            Self::Linear(units) => size(list, units),
            Self::Dropout(share) => within(list, share, 0.0, 1.0),
            Self::Convolution(convolution) => convolution.validate(list),
            Self::Map(sides) => sides.into_iter().try_for_each(|side| size(list, side)),
            Self::Norm | Self::Activation(_) => Ok(()),
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linear(units) => write!(f, "linear {units}"),
            Self::Norm => f.write_str("norm"),
            Self::Activation(kind) => f.write_str(kind.name()),
            Self::Dropout(share) => write!(f, "dropout {share}"),
            Self::Convolution(convolution) => convolution.fmt(f),
            Self::Map([height, width, channels]) => write!(f, "map {height}x{width}x{channels}"),
        }
    }
}

/// An entry of a list of layers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Entry {
    /// A hidden layer of so many units: fully connected, then what `layer-norm`, `activation` and
    /// `dropout` say. In TOML it is a number.
    Hidden(usize),
    /// A layer that stands for itself alone. In TOML it is a text.
    Layer(Layer),
}

impl Entry {
    /// The layers that it means in a model, the first of which goes by the entry's own name.
    #[must_use]
    pub fn layers(self, model: &ModelConfig) -> Vec<Layer> {
        let units = match self {
            Self::Hidden(units) => units,
            Self::Layer(layer) => return vec![layer],
        };
        let mut layers = vec![Layer::Linear(units)];
        layers.extend(model.layer_norm.then_some(Layer::Norm));
        layers.push(Layer::Activation(model.activation));
        layers.extend((model.dropout > 0.0).then_some(Layer::Dropout(model.dropout)));
        layers
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hidden(units) => write!(f, "{units}"),
            Self::Layer(layer) => write!(f, "{layer}"),
        }
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Hidden(units) => units.serialize(to),
            Self::Layer(layer) => to.collect_str(layer),
        }
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        from.deserialize_any(ReadEntry)
    }
}

struct ReadEntry;

impl Visitor<'_> for ReadEntry {
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
        let units = |entry: &Entry| match *entry {
            Entry::Hidden(units) => Some(units),
            Entry::Layer(_) => None,
        };
        self.0.iter().map(units).collect()
    }

    /// Whether a hidden layer is among them, which takes after the keys of the model.
    pub(super) fn has_hidden(&self) -> bool {
        self.0.iter().any(|entry| matches!(entry, Entry::Hidden(_)))
    }

    /// Judges each layer by itself; whether they fit one another depends on the images.
    pub(super) fn validate(&self, name: &str, model: &ModelConfig) -> Result<()> {
        if self.0.len() > MOST_LAYERS {
            let rule = format!("at most {MOST_LAYERS} layers");
            return fail(name, &format!("{} layers", self.0.len()), &rule);
        }
        for entry in &self.0 {
            match *entry {
                Entry::Hidden(units) => Layer::Linear(units).validate(name)?,
                Entry::Layer(layer) => layer.validate(name)?,
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
    use crate::config::Config;

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
                    200]";
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
                "linear" | "dropout" => "0",
                "conv" => "4 3x3",
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
            ("[\"linear\"]", "a whole number of units or a layer"),
            ("[\"linear -4\"]", "a whole number of units or a layer"),
            ("[\"linear 4 5\"]", "a whole number of units or a layer"),
            ("[\"norm 4\"]", "a whole number of units or a layer"),
            ("[\"relu 4\"]", "a whole number of units or a layer"),
            ("[\"dropout\"]", "a whole number of units or a layer"),
            ("[\"conv 4\"]", "a whole number of units or a layer"),
            ("[\"map\"]", "a whole number of units or a layer"),
            ("[\"map 4x4\"]", "a whole number of units or a layer"),
            ("[\"map 4 x 4 x 1\"]", "a whole number of units or a layer"),
            ("[-1]", "a whole number of units or a layer"),
            ("[4.5]", "a whole number of units or a layer"),
            ("[[4]]", "a whole number of units or a layer"),
            ("4", "expected a sequence"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.message().contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_number_takes_after_the_model_and_a_text_does_not() {
        let mut model = ModelConfig::default();
        let layers = |model: &ModelConfig, entry: Entry| {
            let layers = entry.layers(model).iter().map(ToString::to_string).collect::<Vec<_>>();
            layers.join(", ")
        };
        assert_eq!(layers(&model, Entry::Hidden(9)), "linear 9, relu");
        (model.layer_norm, model.dropout, model.activation) = (true, 0.25, Activation::Gelu);
        assert_eq!(layers(&model, Entry::Hidden(9)), "linear 9, norm, gelu, dropout 0.25");
        assert_eq!(layers(&model, Entry::Layer(Layer::Linear(9))), "linear 9");
    }
}
