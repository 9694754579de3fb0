//! A layer at its place, and what it makes of what it gets.

use std::fmt;

use crate::config::{Convolution, ImageSize, Layer};
use crate::engine::{PAD, Taps};
use crate::error::{Error, Result};
use crate::kernels::attention;

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

    /// Its sides, in places.
    #[must_use]
    pub fn sides(self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// The longer of its sides, in places.
    #[must_use]
    pub fn longest(self) -> usize {
        self.height.max(self.width)
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
    ///
    /// # Errors
    ///
    /// If it cannot take that: its path, the layer, and what it must be.
    pub fn output(&self, input: Dims) -> Result<Dims> {
        let refuse = |rule: &str, hint: &str| self.refuse(input, rule, hint);
        let change = "change the layer before it, or leave it out";
        let most = attention::MOST_PLACES;
        match self.layer {
            Layer::Linear(units) => Ok(Dims::vector(units)),
            // A number alone is its own mean.
            Layer::Norm if input.count() < 2 => refuse("2 or more", change),
            Layer::GroupNorm(groups) if !input.channels.is_multiple_of(groups) => {
                refuse(&format!("of channels that {groups} groups share equally"), change)
            }
            Layer::GroupNorm(groups) if input.count() / groups < 2 => {
                refuse("2 or more numbers in each group", "choose fewer groups")
            }
            Layer::Attention(_) if input.places() > most || input.longest() > MOST_PLACES => {
                let rule = format!("a map of at most {most} places, {MOST_PLACES} a side");
                refuse(&rule, "put it where the map is smaller")
            }
            Layer::Attention(heads) if !input.channels.is_multiple_of(heads) => {
                refuse(&format!("of channels that {heads} heads share equally"), change)
            }
            Layer::Norm
            | Layer::Activation(_)
            | Layer::Dropout(_)
            | Layer::GroupNorm(_)
            | Layer::Attention(_) => Ok(input),
            Layer::Pool(side) => match [input.height / side, input.width / side] {
                [0, _] | [_, 0] => {
                    refuse(&format!("a map of at least {side} places a side"), change)
                }
                [height, width] => Ok(Dims { height, width, ..input }),
            },
            Layer::Convolution(of) => self.convolved(of, input),
            Layer::Transposed(of) => self.spread(of, input),
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

    /// Says that it cannot take an input, and what that must be.
    fn refuse(&self, input: Dims, rule: &str, hint: &str) -> Result<Dims> {
        let what = format!("`{}`, the layer `{}`, takes {input} numbers", self.path, self.layer);
        Err(Error::config(format!("{what}; it must be {rule}")).hint(hint))
    }

    fn convolved(&self, of: Convolution, input: Dims) -> Result<Dims> {
        let refuse = |rule: &str, hint: &str| self.refuse(input, rule, hint);
        if !input.is_map() {
            return refuse(
                "a map of several places",
                "put a layer \"map HxWxC\" before it, which takes H · W · C numbers as a map",
            );
        }
        if input.longest() * of.upsample > MOST_PLACES {
            let rule = format!("of at most {MOST_PLACES} places a side");
            return refuse(&rule, "make the images smaller, with `--image-size`");
        }
        match of.made(input.sides()) {
            Some([height, width]) => Ok(Dims { height, width, channels: of.outputs }),
            None => {
                refuse("at least as large as the kernel", "choose a smaller kernel, or more `pad`")
            }
        }
    }

    /// What a transposed convolution makes of a map, or of a vector, which is a map of one place.
    fn spread(&self, of: Convolution, input: Dims) -> Result<Dims> {
        let Some([height, width]) = of.spread(input.sides()) else {
            let rule = "so large that places are left without the padding";
            return self.refuse(input, rule, "choose less `pad`");
        };
        let made = Dims { height, width, channels: of.outputs };
        if made.longest().max(input.longest()) > MOST_PLACES {
            let rule = format!("so small that {MOST_PLACES} places a side are made at most");
            let hint = "choose a smaller `stride`, or make the images smaller, with `--image-size`";
            return self.refuse(input, &rule, hint);
        }
        Ok(made)
    }

    /// The multiply-adds of products that it takes to make what it makes of one image's input.
    ///
    /// # Panics
    ///
    /// If it cannot take that.
    #[must_use]
    pub fn multiply_adds(&self, input: Dims) -> u64 {
        let output = self.output(input).expect("the shapes were judged");
        let product = |counts: &[usize]| counts.iter().map(|&count| count as u64).product::<u64>();
        match self.layer {
            Layer::Linear(units) => product(&[input.count(), units]),
            Layer::Convolution(Convolution { kernel, .. }) => {
                product(&[output.count(), kernel[0], kernel[1], input.channels])
            }
            Layer::Transposed(Convolution { outputs, kernel, .. }) => {
                product(&[input.count(), kernel[0], kernel[1], outputs])
            }
            Layer::Attention(_) => {
                let [places, channels] = [input.places(), input.channels];
                let projections = product(&[4, places, channels, channels]);
                projections + product(&[2, places, places, channels])
            }
            Layer::Norm
            | Layer::Activation(_)
            | Layer::Dropout(_)
            | Layer::GroupNorm(_)
            | Layer::Pool(_)
            | Layer::Map(_) => 0,
        }
    }

    /// How many parameters it has where it takes such an input.
    #[must_use]
    pub fn parameters(&self, input: Dims) -> usize {
        match self.layer {
            Layer::Linear(units) => units * (input.count() + 1),
            Layer::Convolution(Convolution { outputs, kernel, .. })
            | Layer::Transposed(Convolution { outputs, kernel, .. }) => {
                outputs * (kernel[0] * kernel[1] * input.channels + 1)
            }
            Layer::Attention(_) => 4 * input.channels * (input.channels + 1),
            Layer::Norm => 2 * input.count(),
            Layer::GroupNorm(_) => 2 * input.channels,
            Layer::Activation(_) | Layer::Dropout(_) | Layer::Pool(_) | Layer::Map(_) => 0,
        }
    }

    /// The convolutions of each place by which attention makes its queries, keys and values, and its result.
    #[must_use]
    pub fn projections(&self, input: Dims) -> [Self; 2] {
        [("in_proj", 3), ("out_proj", 1)].map(|(name, times)| {
            let convolution = Convolution::new(times * input.channels, [1, 1]);
            Self::new(Layer::Convolution(convolution), format!("{}.{name}", self.path))
        })
    }

    /// What the columns of its weight are, if it is a convolution of what it gets, or a transposed one, which has its outputs
    /// under the taps.
    #[must_use]
    pub fn taps(&self, input: Dims) -> Option<Taps> {
        match self.layer {
            Layer::Convolution(convolution) => {
                Some(Taps { kernel: convolution.kernel, channels: input.channels })
            }
            Layer::Transposed(Convolution { outputs, kernel, .. }) => {
                Some(Taps { kernel, channels: outputs })
            }
            _ => None,
        }
    }
}

/// The most places of a map along a side that the kernels count.
const MOST_PLACES: usize = 896;
