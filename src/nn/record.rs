//! How the layers of a network are recorded.

use crate::config::{Activation, Convolution, Layer};
use crate::engine::Tensor;
use crate::kernels::activation::activation;
use crate::kernels::dropout::{Drops, dropout};
use crate::kernels::map::{of_images, to_images};
use crate::kernels::matmul::convolution::{Map, Windows, convolution};
use crate::kernels::matmul::{Affine, Input, linear};
use crate::nn::{Dims, Network, Placed, Sequential};

/// How the numbers of images lie between two layers.
#[derive(Clone, Copy, Debug)]
enum Lies {
    /// A row for each image.
    Rows(Input),
    /// A row for each place.
    Map(Map),
}

/// What some layers of a network made.
#[derive(Clone, Copy, Debug)]
pub struct Top {
    lies: Lies,
    dims: Dims,
}

impl Network<'_, '_> {
    /// Records all layers but the last, one after another, on x (rows, inputs), where each image has so
    /// many rows, its `samples`, one after another.
    ///
    /// An activation is part of the dispatch before it where that kernel can.
    pub fn hidden(&mut self, network: &Sequential, x: Input, samples: usize) -> Top {
        let mut drawn = network.dropouts_before;
        let dims: Vec<_> = network.dims().collect();
        let mut top = Top { lies: Lies::Rows(x), dims: dims[0] };
        let [layers @ .., _] = &network.layers[..] else { return top };
        let mut layers = layers.iter().zip(&dims[1..]).peekable();
        while let Some((placed, &made)) = layers.next() {
            let next = match layers.peek().map(|(next, _)| next.layer) {
                Some(Layer::Activation(kind)) => kind,
                _ => Activation::Identity,
            };
            let Placed { layer, path, .. } = placed;
            let lies = match *layer {
                Layer::Linear(_) => {
                    layers.next_if(|(placed, _)| placed.layer == Layer::Activation(next));
                    let x = self.rows(top);
                    let affine = self.parameters(placed, x.cols());
                    row(linear(self.tape, path, x, affine, next))
                }
                Layer::Convolution(_) => {
                    layers.next_if(|(placed, _)| placed.layer == Layer::Activation(next));
                    Lies::Map(self.convolution(placed, top, next))
                }
                Layer::Norm => {
                    let kind = if next.slope_from_output() { next } else { Activation::Identity };
                    layers.next_if(|(placed, _)| placed.layer == Layer::Activation(kind));
                    let x = self.rows(top).tensor();
                    row(self.norm(path, x, kind))
                }
                Layer::Activation(Activation::Identity) => continue,
                Layer::Activation(kind) => match top.lies {
                    Lies::Rows(x) => row(activation(self.tape, kind, x.tensor())),
                    Lies::Map(map) => {
                        Lies::Map(Map { at: activation(self.tape, kind, map.at), ..map })
                    }
                },
                Layer::Dropout(share) => {
                    let drops = Drops { share, layer: drawn, samples };
                    drawn += 1;
                    let x = self.rows(top).tensor();
                    row(dropout(self.tape, path, x, self.image, drops))
                }
                // The same numbers, in the same order; a convolution has them lie as it wants.
                Layer::Map(_) => Lies::Rows(self.rows(top)),
            };
            top = Top { lies, dims: made };
        }
        top
    }

    /// What was made as a row for each image.
    pub fn rows(&mut self, top: Top) -> Input {
        match top.lies {
            Lies::Rows(x) => x,
            Lies::Map(map) => {
                let name = format!("{}.rows", self.tape.plan.name(map.at));
                Input::Made(to_images(self.tape, &name, map, 1))
            }
        }
    }

    /// What was made as a row for each place.
    fn map(&mut self, Top { lies, dims: Dims { height, width, .. } }: Top) -> (Map, bool) {
        match lies {
            Lies::Rows(x) => {
                let (x, wanted) = (x.tensor(), matches!(x, Input::Made(_)));
                let name = format!("{}.map", self.tape.plan.name(x));
                (of_images(self.tape, &name, (x, wanted), [height, width]), wanted)
            }
            Lies::Map(map) => (map, true),
        }
    }

    fn convolution(&mut self, placed: &Placed, top: Top, kind: Activation) -> Map {
        let Placed { layer, path, .. } = placed;
        let (&Layer::Convolution(of), Some(taps)) = (layer, placed.taps(top.dims)) else {
            panic!("`{path}` is no convolution: {layer}")
        };
        let Convolution { outputs, kernel, stride, padding, upsample: zoom } = of;
        let x = self.map(top);
        let affine = self.kernel(path, outputs, taps);
        let windows = Windows { kernel, stride, padding, zoom };
        convolution(self.tape, path, x, affine, windows, kind)
    }

    /// Records the last layer of a network, of what the others made, as a row for each image in which blocks of so many
    /// numbers follow one another.
    pub fn last(&mut self, network: &Sequential, top: Top, block: usize) -> Tensor {
        let placed = last(network);
        if let Layer::Convolution(_) = placed.layer {
            let made = self.convolution(placed, top, Activation::Identity);
            let blocks = made.height * made.width * made.at.cols() / block;
            let name = format!("{}.rows", placed.path);
            return to_images(self.tape, &name, made, blocks);
        }
        let x = self.rows(top);
        let affine = self.parameters(placed, x.cols());
        linear(self.tape, &placed.path, x, affine, Activation::Identity)
    }

    /// The path and the parameters of the last layer, a fully connected one, of so many inputs.
    ///
    /// # Panics
    ///
    /// If it is another.
    pub fn last_affine(&mut self, network: &Sequential, inputs: usize) -> (String, Affine) {
        let last = last(network);
        (last.path.clone(), self.parameters(last, inputs))
    }

    fn parameters(&mut self, Placed { layer, path, parts }: &Placed, inputs: usize) -> Affine {
        let Layer::Linear(units) = *layer else {
            panic!("`{path}` is not fully connected: {layer}")
        };
        self.affine(path, [units, inputs], parts)
    }
}

fn row(made: Tensor) -> Lies {
    Lies::Rows(Input::Made(made))
}

fn last(network: &Sequential) -> &Placed {
    network.layers().last().expect("a network has a last layer")
}
