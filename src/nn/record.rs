//! How the layers of a network are recorded.

use crate::config::{Activation, Convolution, Layer};
use crate::engine::Tensor;
use crate::kernels::activation::activation;
use crate::kernels::add::add;
use crate::kernels::attention::attention;
use crate::kernels::dropout::{Drops, dropout};
use crate::kernels::group_norm::group_norm;
use crate::kernels::map::{of_images, to_images};
use crate::kernels::matmul::convolution::{Ending, Map, Windows, convolution, transposed};
use crate::kernels::matmul::{Affine, Input, linear};
use crate::kernels::pool::pool;
use crate::nn::{Block, Dims, Network, Node, Placed, Sequential};

/// How the numbers of images lie between two layers.
#[derive(Clone, Copy, Debug)]
enum Lies {
    /// A row for each image.
    Rows(Input),
    /// A row for each place, and whether something learns from its gradient.
    Map(Map, bool),
}

/// What some layers of a network made.
#[derive(Clone, Copy, Debug)]
pub struct Top {
    lies: Lies,
    dims: Dims,
}

/// What the layers of a network share while they are recorded.
struct Pass {
    /// Rows of each image, one after another.
    samples: usize,
    /// Dropouts so far, of the same model.
    drawn: usize,
}

/// Parts of a network that are yet to be recorded.
type Rest<'n> = std::iter::Peekable<std::slice::Iter<'n, Node>>;

/// Takes an activation that follows, if there is one and a kernel can `apply` it.
fn next_activation(rest: &mut Rest<'_>, apply: fn(Activation) -> bool) -> Activation {
    let kind = match rest.peek() {
        Some(Node::Layer(Placed { layer: Layer::Activation(kind), .. })) if apply(*kind) => *kind,
        _ => return Activation::Identity,
    };
    rest.next();
    kind
}

impl Network<'_, '_> {
    /// Records all layers but the last, one after another, on x (rows, inputs), where each image has so
    /// many rows, its `samples`, one after another.
    ///
    /// An activation is part of the dispatch before it where that kernel can.
    pub fn hidden(&mut self, network: &Sequential, x: Input, samples: usize) -> Top {
        let top = Top { lies: Lies::Rows(x), dims: network.dims().next().expect("an input") };
        let [nodes @ .., _] = network.nodes() else { return top };
        let mut pass = Pass { samples, drawn: network.dropouts_before };
        self.nodes(nodes, top, &mut pass)
    }

    fn nodes(&mut self, nodes: &[Node], mut top: Top, pass: &mut Pass) -> Top {
        let mut rest = nodes.iter().peekable();
        while let Some(node) = rest.next() {
            top = match node {
                Node::Layer(placed) => self.layer(placed, top, &mut rest, pass),
                Node::Block(block) => self.block(block, top, &mut rest, pass),
            };
        }
        top
    }

    fn layer(&mut self, placed: &Placed, top: Top, rest: &mut Rest<'_>, pass: &mut Pass) -> Top {
        let Placed { layer, path, .. } = placed;
        let dims = placed.output(top.dims).expect("the shapes were judged");
        let lies = match *layer {
            Layer::Linear(_) => {
                let kind = next_activation(rest, |_| true);
                let x = self.rows(top);
                let affine = self.parameters(placed, x.cols());
                row(linear(self.tape, path, x, affine, kind))
            }
            Layer::Convolution(_) | Layer::Attention(_) => {
                let kind = next_activation(rest, |_| true);
                map(self.ending(placed, top, kind.into()))
            }
            Layer::Transposed(of) => {
                let kind = next_activation(rest, |_| true);
                map(self.transposed(placed, top, of, kind))
            }
            Layer::Norm => {
                let kind = next_activation(rest, Activation::slope_from_output);
                let x = self.rows(top).tensor();
                row(self.norm(path, x, kind))
            }
            Layer::GroupNorm(groups) => {
                let kind = next_activation(rest, Activation::slope_from_output);
                let (x, norm) = (self.map(top), self.gain(path, top.dims.channels));
                map(group_norm(self.tape, path, x, (groups, norm), kind))
            }
            Layer::Pool(side) => {
                let x = self.map(top);
                map(pool(self.tape, path, x, side))
            }
            Layer::Activation(Activation::Identity) => top.lies,
            Layer::Activation(kind) => match top.lies {
                Lies::Rows(x) => row(activation(self.tape, kind, x.tensor())),
                Lies::Map(of, _) => map(Map { at: activation(self.tape, kind, of.at), ..of }),
            },
            Layer::Dropout(share) => {
                let drops = Drops { share, layer: pass.drawn, samples: pass.samples };
                pass.drawn += 1;
                let x = self.rows(top).tensor();
                row(dropout(self.tape, path, x, self.image, drops))
            }
            // The same numbers, in the same order; a convolution has them lie as it wants.
            Layer::Map(_) => Lies::Rows(self.rows(top)),
        };
        Top { lies, dims }
    }

    /// Records a residual block. A convolution at its end adds what went past it.
    fn block(&mut self, block: &Block, top: Top, rest: &mut Rest<'_>, pass: &mut Pass) -> Top {
        let Block { path, shortcut, residual } = block;
        // Both ways take it as it lies, so a map is made once.
        let top = match top.dims.is_map() {
            true => {
                let (map, wanted) = self.map(top);
                Top { lies: Lies::Map(map, wanted), ..top }
            }
            false => top,
        };
        let past = self.nodes(shortcut, top, pass);
        if let [before @ .., Node::Layer(last)] = &residual[..]
            && last.layer.adds()
        {
            let top = self.nodes(before, top, pass);
            let dims = last.output(top.dims).expect("the shapes were judged");
            let (skip, wants) = self.map(past);
            let kind = next_activation(rest, |_| true);
            let ending = Ending { kind, skip: Some((skip.at, wants)) };
            return Top { lies: map(self.ending(last, top, ending)), dims };
        }
        let made = self.nodes(residual, top, pass);
        let lies = match (past.lies, made.lies) {
            (Lies::Rows(a), Lies::Rows(b)) => {
                let terms = [a, b].map(|of| (of.tensor(), matches!(of, Input::Made(_))));
                row(add(self.tape, path, terms))
            }
            _ => {
                let [(a, wants_a), (b, wants_b)] = [past, made].map(|of| self.map(of));
                let at = add(self.tape, path, [(a.at, wants_a), (b.at, wants_b)]);
                map(Map { at, ..a })
            }
        };
        Top { lies, ..made }
    }

    /// What was made as a row for each image.
    pub fn rows(&mut self, top: Top) -> Input {
        match top.lies {
            Lies::Rows(x) => x,
            Lies::Map(map, _) => {
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
            Lies::Map(map, wanted) => (map, wanted),
        }
    }

    /// Records what ends in a convolution: that, or attention.
    fn ending(&mut self, placed: &Placed, top: Top, ending: Ending) -> Map {
        let Layer::Attention(heads) = placed.layer else {
            return self.convolution(placed, top, ending);
        };
        let Dims { height, width, .. } = top.dims;
        let [in_proj, out_proj] = placed.projections(top.dims);
        let made = self.convolution(&in_proj, top, Activation::Identity.into());
        let at = attention(self.tape, &placed.path, made.at, (height * width, heads));
        let top = Top { lies: map(Map { at, height, width }), dims: top.dims };
        self.convolution(&out_proj, top, ending)
    }

    fn convolution(&mut self, placed: &Placed, top: Top, ending: Ending) -> Map {
        let Placed { layer, path, .. } = placed;
        let (&Layer::Convolution(of), Some(taps)) = (layer, placed.taps(top.dims)) else {
            panic!("`{path}` is no convolution: {layer}")
        };
        let Convolution { outputs, kernel, stride, padding, upsample: zoom } = of;
        let x = self.map(top);
        let affine = self.kernel(path, outputs, taps);
        let windows = Windows { kernel, stride, padding, zoom };
        convolution(self.tape, path, x, affine, windows, ending)
    }

    fn transposed(&mut self, placed: &Placed, top: Top, of: Convolution, kind: Activation) -> Map {
        let Convolution { kernel, stride, padding, .. } = of;
        let taps = placed.taps(top.dims).expect("it has taps");
        let x = self.map(top);
        let affine = self.spread(&placed.path, top.dims.channels, (taps, stride));
        let windows = Windows { kernel, stride, padding, zoom: 1 };
        transposed(self.tape, &placed.path, x, affine, windows, kind)
    }

    /// Records the last layer of a network, of what the others made, as a row for each image in which blocks of so many
    /// numbers follow one another.
    pub fn last(&mut self, network: &Sequential, top: Top, block: usize) -> Tensor {
        let placed = network.last();
        if let Layer::Convolution(_) = placed.layer {
            let made = self.convolution(placed, top, Activation::Identity.into());
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
        let last = network.last();
        (last.path.clone(), self.parameters(last, inputs))
    }

    fn parameters(&mut self, Placed { layer, path, parts }: &Placed, inputs: usize) -> Affine {
        let Layer::Linear(units) = *layer else {
            panic!("`{path}` is not fully connected: {layer}")
        };
        self.affine(path, [units, inputs], parts)
    }
}

fn map(made: Map) -> Lies {
    Lies::Map(made, true)
}

fn row(made: Tensor) -> Lies {
    Lies::Rows(Input::Made(made))
}
