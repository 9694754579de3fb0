//! The layers of a network, as values and as a configuration writes them.

use std::fmt;
use std::str::FromStr;

use crate::config::convolution::sides;
use crate::config::validate::{count, size, within};
use crate::config::{Activation, Convolution};
use crate::error::Result;

/// The most places of a map along a side that a layer makes one of.
const MOST_POOLED: usize = 64;

/// A layer of a network. In text it is its word and, where it has one, its number: `linear 400`, `norm`,
/// `gelu`, `dropout 0.1`, `conv 32 3x3`, `transposed 32 4x4 stride 2`, `group-norm 8`, `pool 2`, `attention 4`, `map 7x7x64`.
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
    /// What each place of a map spreads to: the transposed of such products (Dumoulin and Visin 2016, chapter 4).
    Transposed(Convolution),
    /// Normalisation of so many groups of channels of a map, each over all its places (Wu and He 2018, eq. 1 to 7).
    GroupNorm(usize),
    /// Means of so many places down and as many to the right.
    Pool(usize),
    /// Attention of so many heads among the places of a map (Vaswani et al. 2017, section 3.2).
    Attention(usize),
    /// Takes its inputs as a map: lines, places of a line, and channels, in that order.
    Map([usize; 3]),
}

/// Why a text is no layer.
pub(super) enum NoLayer {
    /// Its first word is not known.
    Word,
    /// Its word is known, but not what follows.
    Number,
}

impl Layer {
    /// The words that layers begin with.
    pub const WORDS: [&'static str; 9 + Activation::ALL.len()] = {
        let mut words = [""; 9 + Activation::ALL.len()];
        (words[0], words[1], words[2]) = ("linear", "norm", "dropout");
        (words[3], words[4], words[5]) = ("conv", "group-norm", "pool");
        (words[6], words[7], words[8]) = ("attention", "map", "transposed");
        let mut i = 0;
        while i < Activation::ALL.len() {
            words[9 + i] = Activation::ALL[i].name();
            i += 1;
        }
        words
    };

    /// Whether it is a product with a weight matrix.
    #[must_use]
    pub fn has_weight(self) -> bool {
        matches!(self, Self::Linear(_) | Self::Convolution(_) | Self::Transposed(_))
    }

    /// Whether kernels of convolutions make it: attention has two of them, of each place.
    #[must_use]
    pub fn convolves(self) -> bool {
        matches!(self, Self::Convolution(_) | Self::Transposed(_) | Self::Attention(_))
    }

    /// Whether it ends in a convolution, which may add what went past a block where its sums are made.
    #[must_use]
    pub fn adds(self) -> bool {
        matches!(self, Self::Convolution(_) | Self::Attention(_))
    }

    pub(super) fn parse(text: &str) -> std::result::Result<Self, NoLayer> {
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
            "group-norm" => read(number).map(Self::GroupNorm),
            "pool" => read(number).map(Self::Pool),
            "attention" => read(number).map(Self::Attention),
            "conv" => {
                number.and_then(Convolution::parse).map(Self::Convolution).ok_or(NoLayer::Number)
            }
            // It spreads places over others, so none are repeated.
            "transposed" => number
                .filter(|text| !text.contains("upsample"))
                .and_then(Convolution::parse)
                .map(Self::Transposed)
                .ok_or(NoLayer::Number),
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

    pub(super) fn validate(self, list: &str) -> Result<()> {
        match self {
            Self::Linear(units) => size(list, units),
            Self::Dropout(share) => within(list, share, 0.0, 1.0),
            Self::Convolution(of) | Self::Transposed(of) => of.validate(list, self),
            Self::GroupNorm(groups) => size(list, groups),
            Self::Attention(heads) => size(list, heads),
            Self::Pool(side) => count("pool", side, 1, MOST_POOLED),
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
            Self::Transposed(convolution) => {
                f.write_str("transposed ")?;
                convolution.write(f)
            }
            Self::GroupNorm(groups) => write!(f, "group-norm {groups}"),
            Self::Pool(side) => write!(f, "pool {side}"),
            Self::Attention(heads) => write!(f, "attention {heads}"),
            Self::Map([height, width, channels]) => write!(f, "map {height}x{width}x{channels}"),
        }
    }
}
