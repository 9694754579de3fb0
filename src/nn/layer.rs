//! A network as a list of layers, and the shapes that they make.

use std::fmt;

use crate::config::{ImageSize, Layer};
use crate::engine::{PAD, Taps};
use crate::error::{Error, Result};

/// The shape of one image's numbers between two layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dims {
    /// Rows of a map; 1 of a vector.
    pub height: usize,
    /// Columns of a map; 1 of a vector.
    pub width: usize,
    /// Numbers at each place of a map; all the numbers of a vector.
    pub channels: usize,
}

impl Dims {
    /// A vector of so many numbers.
    #[must_use]
    pub fn vector(channels: usize) -> Self {
        Self { height: 1, width: 1, channels }
    }

    /// How many numbers there are; the largest that can be counted if there are more.
    #[must_use]
    pub fn count(self) -> usize {
        self.places().saturating_mul(self.channels)
    }

    /// How many places there are; the largest number that can be counted if there are more.
    #[must_use]
    pub fn places(self) -> usize {
        self.height.saturating_mul(self.width)
    }

    /// Elements of an image in memory; the largest number that can be counted if there are more.
    #[must_use]
    pub fn stored(self) -> usize {
        let padded = |cols: usize| cols.saturating_add(PAD - 1) / PAD * PAD;
        let by_place = self.places().saturating_mul(padded(self.channels));
        padded(self.count()).max(by_place)
    }

    /// Whether it has several places. A map of one is the vector of its channels.
    #[must_use]
    pub fn is_map(self) -> bool {
        self.places() > 1
    }
}

impl From<ImageSize> for Dims {
    fn from(ImageSize { height, width, channels }: ImageSize) -> Self {
        Self { height, width, channels }
    }
}

impl fmt::Display for Dims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {} × {}", self.height, self.width, self.channels)
    }
}

/// A layer at its place in a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// What it is.
    pub layer: Layer,
    /// What its parameters begin with, as `fc1` of `fc1.weight`; it also names its place in errors.
    pub path: String,
    /// The paths under which equal shares of its outputs go to files, each a layer of its own there; empty
    /// if it goes to files as one.
    pub parts: Vec<String>,
}

impl Placed {
    /// A layer that goes to files as one.
    pub fn new(layer: Layer, path: impl Into<String>) -> Self {
        Self { layer, path: path.into(), parts: Vec::new() }
    }

    /// What it makes of an input.
    fn output(&self, input: Dims) -> Result<Dims> {
        let refuse = |rule: &str, hint: &str| {
            let what =
                format!("`{}`, the layer `{}`, takes {input} numbers", self.path, self.layer);
            Err(Error::config(format!("{what}; it must be {rule}")).hint(hint))
        };
        let change = "change the layer before it, or leave it out";
        match self.layer {
            Layer::Linear(units) => Ok(Dims::vector(units)),
            // A number alone is its own mean.
            Layer::Norm if input.count() < 2 => refuse("2 or more", change),
            Layer::Norm | Layer::Activation(_) | Layer::Dropout(_) => Ok(input),
            Layer::Convolution(_) if !input.is_map() => refuse(
                "a map of several places",
                "put a layer \"map HxWxC\" before it, which takes H · W · C numbers as a map",
            ),
            Layer::Convolution(convolution) => {
                let sides = [input.height, input.width];
                if sides.into_iter().any(|side| side * convolution.upsample > MOST_PLACES) {
                    let rule = format!("of at most {MOST_PLACES} places a side");
                    return refuse(&rule, "make the images smaller, with `--image-size`");
                }
                match convolution.made(sides) {
                    Some([height, width]) => {
                        Ok(Dims { height, width, channels: convolution.outputs })
                    }
                    None => refuse(
                        "at least as large as the kernel",
                        "choose a smaller kernel, or more `pad`",
                    ),
                }
            }
            Layer::Map([height, width, channels]) => {
                let made = Dims { height, width, channels };
                match made.count() == input.count() {
                    true => Ok(made),
                    false => {
                        let units = made.count();
                        let hint =
                            format!("put a layer of {units} units before it, or change its sides");
                        refuse(&format!("{units}, the numbers of its map"), &hint)
                    }
                }
            }
        }
    }

    /// What the columns of its weight are, if it is a convolution of what it gets.
    #[must_use]
    pub fn taps(&self, input: Dims) -> Option<Taps> {
        match self.layer {
            Layer::Convolution(convolution) => {
                Some(Taps { kernel: convolution.kernel, channels: input.channels })
            }
            _ => None,
        }
    }
}

/// The most places of a map along a side that the kernels count.
const MOST_PLACES: usize = 896;

/// What each layer makes of what the one before it made, the first of the input.
///
/// # Errors
///
/// If a layer cannot take what it gets: its path, the layer, and what it must be.
pub fn shapes(layers: &[Placed], input: Dims) -> Result<Vec<Dims>> {
    let mut top = input;
    let step = |placed: &Placed| {
        top = placed.output(top)?;
        Ok(top)
    };
    layers.iter().map(step).collect()
}

/// Layers one after another, with the shapes between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequential {
    input: Dims,
    pub(super) layers: Vec<Placed>,
    outputs: Vec<Dims>,
    /// Dropouts of the same model before these, whose noise must not be drawn again.
    pub(super) dropouts_before: usize,
}

impl Sequential {
    /// Layers from an input on. `before` are the layers of the same model that come first.
    ///
    /// # Errors
    ///
    /// As [`shapes`].
    pub fn new(layers: Vec<Placed>, input: Dims, before: Option<&Self>) -> Result<Self> {
        let outputs = shapes(&layers, input)?;
        let dropouts_before = before.map_or(0, |before| before.dropouts_before + before.dropouts());
        Ok(Self { input, layers, outputs, dropouts_before })
    }

    fn dropouts(&self) -> usize {
        self.layers.iter().filter(|placed| matches!(placed.layer, Layer::Dropout(_))).count()
    }

    /// The layers.
    #[must_use]
    pub fn layers(&self) -> &[Placed] {
        &self.layers
    }

    /// The shape of the input, then what each layer makes.
    pub fn dims(&self) -> impl Iterator<Item = Dims> {
        std::iter::once(self.input).chain(self.outputs.iter().copied())
    }

    /// The layers with what each gets.
    fn placed(&self) -> impl Iterator<Item = (&Placed, Dims)> {
        self.layers.iter().zip(self.dims())
    }

    /// The weight matrices `[outputs, columns]`, in the order of the layers.
    pub fn weights(&self) -> impl Iterator<Item = [usize; 2]> {
        self.placed().filter_map(|(placed, input)| match placed.layer {
            Layer::Linear(units) => Some([units, input.count()]),
            Layer::Convolution(convolution) => {
                Some([convolution.outputs, placed.taps(input).map_or(0, Taps::columns)])
            }
            Layer::Norm | Layer::Activation(_) | Layer::Dropout(_) | Layer::Map(_) => None,
        })
    }

    /// How many numbers each layer gets that has a weight.
    pub fn widths(&self) -> impl Iterator<Item = usize> {
        self.placed()
            .filter(|(placed, _)| placed.layer.has_weight())
            .map(|(_, input)| input.count())
    }

    /// Whether the last layer is a fully connected one.
    #[must_use]
    pub fn ends_fully_connected(&self) -> bool {
        self.layers.last().is_some_and(|placed| matches!(placed.layer, Layer::Linear(_)))
    }

    /// What the parameters of the last layer begin with.
    #[must_use]
    pub fn last_path(&self) -> &str {
        self.layers.last().map_or("", |placed| &placed.path)
    }

    /// The path in files of the first layer that has a weight matrix, if there is one.
    #[must_use]
    pub fn first_path(&self) -> Option<&str> {
        let first = self.layers.iter().find(|placed| placed.layer.has_weight())?;
        Some(first.parts.first().unwrap_or(&first.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Activation;

    fn placed(layers: &[Layer]) -> Vec<Placed> {
        let path = |place| format!("encoder.{place}");
        layers.iter().enumerate().map(|(place, &layer)| Placed::new(layer, path(place))).collect()
    }

    #[test]
    fn each_layer_takes_what_the_one_before_makes() {
        let map = Dims { height: 4, width: 3, channels: 2 };
        let layers = [
            Layer::Norm,
            Layer::Linear(7),
            Layer::Activation(Activation::Relu),
            Layer::Dropout(0.5),
            Layer::Linear(2),
        ];
        let vector = Dims::vector;
        let made = shapes(&placed(&layers), map).expect("they fit");
        assert_eq!(made, [map, vector(7), vector(7), vector(7), vector(2)], "of {map}");
        let network = Sequential::new(placed(&layers), map, None).expect("they fit");
        assert_eq!(network.weights().collect::<Vec<_>>(), [[7, 24], [2, 7]], "weights");
        assert_eq!(network.dims().map(Dims::count).collect::<Vec<_>>(), [24, 24, 7, 7, 7, 2]);
        assert_eq!(network.first_path(), Some("encoder.1"), "the first with a weight");
        let decoder = Sequential::new(placed(&layers), map, Some(&network)).expect("they fit");
        assert_eq!(decoder.dropouts_before, 1, "noise of its own");
        assert_eq!(Dims { channels: usize::MAX, ..map }.count(), usize::MAX, "no overflow");
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        let layers = placed(&[Layer::Linear(1), Layer::Activation(Activation::Tanh), Layer::Norm]);
        let error = shapes(&layers, Dims::vector(9)).expect_err("one unit has no variance");
        let expected =
            "`encoder.2`, the layer `norm`, takes 1 × 1 × 1 numbers; it must be 2 or more";
        assert_eq!(error.to_string(), expected);
        assert!(error.advice().is_some(), "{error} has a hint");
    }
}
