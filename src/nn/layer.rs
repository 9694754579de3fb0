//! A network as a list of layers: the shapes that they make, and how they are recorded.

use std::fmt;

use crate::config::{Activation, Layer};
use crate::error::{Error, Result};
use crate::kernels::activation::activation;
use crate::kernels::dropout::{Drops, dropout};
use crate::kernels::matmul::{Affine, Input, linear};
use crate::nn::Network;

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
        self.height.saturating_mul(self.width).saturating_mul(self.channels)
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
        let fail = |rule: &str| {
            let what =
                format!("`{}`, the layer `{}`, takes {input} numbers", self.path, self.layer);
            Err(Error::config(format!("{what}; it must be {rule}"))
                .hint("change the layer before it, or leave it out"))
        };
        match self.layer {
            Layer::Linear(units) => Ok(Dims::vector(units)),
            // A number alone is its own mean.
            Layer::Norm if input.count() < 2 => fail("2 or more"),
            Layer::Norm | Layer::Activation(_) | Layer::Dropout(_) => Ok(input),
        }
    }
}

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
    layers: Vec<Placed>,
    outputs: Vec<Dims>,
    /// Dropouts of the same model before these, whose noise must not be drawn again.
    dropouts_before: usize,
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

    /// The weight matrices `[outputs, inputs]`, in the order of the layers.
    pub fn weights(&self) -> impl Iterator<Item = [usize; 2]> {
        let inputs = self.dims();
        self.layers.iter().zip(inputs).filter_map(|(placed, input)| match placed.layer {
            Layer::Linear(units) => Some([units, input.count()]),
            Layer::Norm | Layer::Activation(_) | Layer::Dropout(_) => None,
        })
    }

    /// What the parameters of the last layer begin with.
    #[must_use]
    pub fn last_path(&self) -> &str {
        self.layers.last().map_or("", |placed| &placed.path)
    }

    /// The path in files of the first layer that has a weight matrix, if there is one.
    #[must_use]
    pub fn first_path(&self) -> Option<&str> {
        let first = self.layers.iter().find(|placed| matches!(placed.layer, Layer::Linear(_)))?;
        Some(first.parts.first().unwrap_or(&first.path))
    }
}

impl Network<'_, '_> {
    /// Records all layers but the last, one after another, on x (rows, inputs), where each image has so
    /// many rows, its `samples`, one after another.
    ///
    /// An activation is part of the dispatch before it where that kernel can.
    pub fn hidden(&mut self, network: &Sequential, x: Input, samples: usize) -> Input {
        let (mut top, mut drawn) = (x, network.dropouts_before);
        let [layers @ .., _] = &network.layers[..] else { return top };
        let mut layers = layers.iter().peekable();
        while let Some(placed) = layers.next() {
            let next = match layers.peek().map(|next| next.layer) {
                Some(Layer::Activation(kind)) => kind,
                _ => Activation::Identity,
            };
            let Placed { layer, path, .. } = placed;
            let y = match *layer {
                Layer::Linear(_) => {
                    layers.next_if(|placed| placed.layer == Layer::Activation(next));
                    let affine = self.parameters(placed, top.cols());
                    linear(self.tape, path, top, affine, next)
                }
                Layer::Norm => {
                    let kind = if next.slope_from_output() { next } else { Activation::Identity };
                    layers.next_if(|placed| placed.layer == Layer::Activation(kind));
                    self.norm(path, top.tensor(), kind)
                }
                Layer::Activation(Activation::Identity) => continue,
                Layer::Activation(kind) => activation(self.tape, kind, top.tensor()),
                Layer::Dropout(share) => {
                    let drops = Drops { share, layer: drawn, samples };
                    drawn += 1;
                    dropout(self.tape, path, top.tensor(), self.image, drops)
                }
            };
            top = Input::Made(y);
        }
        top
    }

    /// The path and the parameters of the last layer, a fully connected one, of so many inputs.
    ///
    /// # Panics
    ///
    /// If it is another, which no architecture makes.
    pub fn last(&mut self, network: &Sequential, inputs: usize) -> (String, Affine) {
        let last = network.layers.last().expect("a network has a last layer");
        (last.path.clone(), self.parameters(last, inputs))
    }

    fn parameters(&mut self, Placed { layer, path, parts }: &Placed, inputs: usize) -> Affine {
        let Layer::Linear(units) = *layer else { panic!("`{path}` has no weight: {layer}") };
        self.affine(path, [units, inputs], parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
