//! A network as a list of layers and blocks, and the shapes that they make.

use crate::config::Layer;
use crate::engine::Taps;
use crate::error::{Error, Result};
use crate::nn::{Dims, Placed};

/// A part of a network.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A layer.
    Layer(Placed),
    /// Layers whose result is added to what they took.
    Block(Block),
}

/// A residual block: y = shortcut(x) + residual(x).
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// What the paths of its layers begin with.
    pub path: String,
    /// The layers of the way past the others: none pass x on.
    pub shortcut: Vec<Node>,
    /// The layers whose result is added.
    pub residual: Vec<Node>,
}

impl Node {
    /// What it makes of an input. A layer is called with what it gets and makes, in the order in which they are recorded.
    fn output(&self, input: Dims, each: &mut impl FnMut([Dims; 2])) -> Result<Dims> {
        let Block { path, shortcut, residual } = match self {
            Self::Layer(placed) => {
                let output = placed.output(input)?;
                each([input, output]);
                return Ok(output);
            }
            Self::Block(block) => block,
        };
        let [past, made] = [shortcut, residual].map(|nodes| output_of(nodes, input, each));
        let (past, made) = (past?, made?);
        if past == made {
            return Ok(made);
        }
        let what = match shortcut.is_empty() {
            true => format!("`{path}`, a residual block, makes {made} numbers of {input}"),
            false => {
                format!("`{path}`, a residual block, makes {made} numbers, its shortcut {past}")
            }
        };
        let hint = "change its layers, or give it a `shortcut` that makes the same, such as \
                    [\"conv 64 1x1 stride 2\"]";
        Err(Error::config(format!("{what}; what is added must be of one size")).hint(hint))
    }

    /// Adds its layers to a list, in the order in which they are recorded.
    fn list<'n>(&'n self, to: &mut Vec<&'n Placed>) {
        match self {
            Self::Layer(placed) => to.push(placed),
            Self::Block(Block { shortcut, residual, .. }) => {
                shortcut.iter().chain(residual).for_each(|node| node.list(to));
            }
        }
    }
}

fn output_of(nodes: &[Node], input: Dims, each: &mut impl FnMut([Dims; 2])) -> Result<Dims> {
    nodes.iter().try_fold(input, |top, node| node.output(top, each))
}

/// The layers of a network, those of blocks among them, in the order in which they are recorded.
pub fn layers(nodes: &[Node]) -> impl Iterator<Item = &Placed> {
    let mut layers = Vec::new();
    nodes.iter().for_each(|node| node.list(&mut layers));
    layers.into_iter()
}

/// What a network makes of an input.
///
/// # Errors
///
/// If a layer cannot take what it gets: its path, the layer, and what it must be.
pub fn made(nodes: &[Node], input: Dims) -> Result<Dims> {
    output_of(nodes, input, &mut |_| ())
}

/// Layers one after another, with the shapes between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequential {
    input: Dims,
    nodes: Vec<Node>,
    /// What each layer gets and makes.
    ends: Vec<[Dims; 2]>,
    /// Dropouts of the same model before these, whose noise must not be drawn again.
    pub(super) dropouts_before: usize,
}

impl Sequential {
    /// Layers from an input on. `before` are the layers of the same model that come first.
    ///
    /// # Errors
    ///
    /// As [`made`].
    pub fn new(nodes: Vec<Node>, input: Dims, before: Option<&Self>) -> Result<Self> {
        let mut ends = Vec::new();
        output_of(&nodes, input, &mut |each| ends.push(each))?;
        let dropouts_before = before.map_or(0, |before| before.dropouts_before + before.dropouts());
        Ok(Self { input, nodes, ends, dropouts_before })
    }

    fn dropouts(&self) -> usize {
        self.layers().filter(|placed| matches!(placed.layer, Layer::Dropout(_))).count()
    }

    /// Its parts, the last of which is a layer.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The layers, those of blocks among them, in the order in which they are recorded.
    pub fn layers(&self) -> impl Iterator<Item = &Placed> {
        layers(&self.nodes)
    }

    /// The layers with what each gets and makes.
    pub fn shapes(&self) -> impl Iterator<Item = (&Placed, [Dims; 2])> {
        self.layers().zip(self.ends.iter().copied())
    }

    /// The shape of the input, then what each layer makes, with the queries, keys and values of attention before that.
    pub fn dims(&self) -> impl Iterator<Item = Dims> {
        let of_layers = self.shapes().flat_map(|(placed, [input, made])| match placed.layer {
            Layer::Attention(_) => vec![Dims { channels: 3 * input.channels, ..input }, made],
            _ => vec![made],
        });
        std::iter::once(self.input).chain(of_layers)
    }

    /// The weight matrices `[outputs, columns]`, in the order of the layers; of a transposed convolution `[inputs, columns]`.
    pub fn weights(&self) -> impl Iterator<Item = [usize; 2]> {
        self.shapes().flat_map(|(placed, [input, _])| match placed.layer {
            Layer::Linear(units) => vec![[units, input.count()]],
            Layer::Convolution(convolution) => {
                vec![[convolution.outputs, placed.taps(input).map_or(0, Taps::columns)]]
            }
            Layer::Transposed(_) => {
                vec![[input.channels, placed.taps(input).map_or(0, Taps::columns)]]
            }
            Layer::Attention(_) => [3, 1].map(|of| [of * input.channels, input.channels]).into(),
            Layer::Norm
            | Layer::Activation(_)
            | Layer::Dropout(_)
            | Layer::GroupNorm(_)
            | Layer::Pool(_)
            | Layer::Map(_) => vec![],
        })
    }

    /// How many numbers each layer gets that has a weight.
    pub fn widths(&self) -> impl Iterator<Item = usize> {
        self.shapes()
            .filter(|(placed, _)| placed.layer.has_weight())
            .map(|(_, [input, _])| input.count())
    }

    /// The last layer.
    ///
    /// # Panics
    ///
    /// If there is none, or a block is the last part, which no model makes.
    #[must_use]
    pub fn last(&self) -> &Placed {
        match self.nodes.last() {
            Some(Node::Layer(placed)) => placed,
            _ => panic!("a network ends in a layer"),
        }
    }

    /// Whether the last layer is a fully connected one.
    #[must_use]
    pub fn ends_fully_connected(&self) -> bool {
        matches!(self.last().layer, Layer::Linear(_))
    }

    /// The path in files of the first layer that has a weight matrix, if there is one.
    #[must_use]
    pub fn first_path(&self) -> Option<&str> {
        let first = self.layers().find(|placed| placed.layer.has_weight())?;
        Some(first.parts.first().unwrap_or(&first.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Activation, Convolution};

    fn placed(layers: &[Layer]) -> Vec<Node> {
        let layer = |(place, &layer)| Node::Layer(Placed::new(layer, format!("encoder.{place}")));
        layers.iter().enumerate().map(layer).collect()
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
        assert_eq!(made(&placed(&layers), map).ok(), Some(vector(2)), "of {map}");
        let network = Sequential::new(placed(&layers), map, None).expect("they fit");
        let expected = [map, map, vector(7), vector(7), vector(7), vector(2)];
        assert_eq!(network.dims().collect::<Vec<_>>(), expected, "of {map}");
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
        let error = made(&layers, Dims::vector(9)).expect_err("one unit has no variance");
        let expected =
            "`encoder.2`, the layer `norm`, takes 1 × 1 × 1 numbers; it must be 2 or more";
        assert_eq!(error.to_string(), expected);
        assert!(error.advice().is_some(), "{error} has a hint");
    }

    #[test]
    fn what_is_added_must_be_of_one_size() {
        let map = Dims { height: 4, width: 4, channels: 2 };
        let block = |shortcut: &[Layer], residual: &[Layer]| {
            let (shortcut, residual) = (placed(shortcut), placed(residual));
            [Node::Block(Block { path: "encoder.3".to_owned(), shortcut, residual })]
        };
        let [one, halved] = [1, 2].map(|stride| {
            Layer::Convolution(Convolution { stride, ..Convolution::new(2, [3, 3]) })
        });
        let half = Dims { height: 2, width: 2, channels: 2 };
        assert_eq!(made(&block(&[], &[one, one]), map).ok(), Some(map), "as it was");
        assert_eq!(
            made(&block(&[Layer::Pool(2)], &[halved]), map).ok(),
            Some(half),
            "with a shortcut"
        );
        for (shortcut, expected) in [
            (vec![], "makes 2 × 2 × 2 numbers of 4 × 4 × 2"),
            (vec![one], "makes 2 × 2 × 2 numbers, its shortcut 4 × 4 × 2"),
        ] {
            let error = made(&block(&shortcut, &[halved]), map).expect_err("of two sizes");
            let expected = format!("`encoder.3`, a residual block, {expected}");
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
        let attention =
            Sequential::new(placed(&[Layer::Attention(1)]), map, None).expect("it fits");
        let inner = Dims { channels: 6, ..map };
        assert_eq!(
            attention.dims().collect::<Vec<_>>(),
            [map, inner, map],
            "queries, keys, values"
        );
        let line = Dims { height: 1, width: 1000, channels: 2 };
        let error = made(&placed(&[Layer::Attention(1)]), line).expect_err("a side is too long");
        assert!(error.to_string().ends_with("a map of at most 1024 places, 896 a side"), "{error}");
        for (layer, expected) in [
            (Layer::GroupNorm(3), "of channels that 3 groups share equally"),
            (Layer::Pool(5), "a map of at least 5 places a side"),
            (Layer::Attention(3), "of channels that 3 heads share equally"),
        ] {
            let error = made(&placed(&[layer]), map).expect_err("it does not fit");
            assert!(error.to_string().ends_with(expected), "{error}");
        }
    }
}
