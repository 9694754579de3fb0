//! From the layers of a network to lines of Python, one after another.

use elbo::config::{Activation, Convolution, LOG_VAR_BOUNDS, Layer};
use elbo::kernels::common::slope;
use elbo::nn::{Block, Dims, Node, Placed, Sequential};
use elbo::{Error, Result};

use super::module::{Module, call};
use super::text::float;

/// How the numbers of images lie in a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lies {
    /// (n, numbers), place by place.
    Rows,
    /// (n, channels, height, width), as PyTorch's convolutions take them.
    Map,
}

/// What the lines so far made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Top {
    lies: Lies,
    dims: Dims,
}

/// Lines that change one variable layer by layer.
pub(super) struct Walk<'m> {
    module: &'m mut Module,
    name: String,
    /// Blocks that the line under way is within.
    within: usize,
    input: Dims,
    pub(super) lines: Vec<String>,
}

impl<'m> Walk<'m> {
    /// A walk through a network, whose input is in a variable.
    pub(super) fn new(module: &'m mut Module, name: &str, network: &Sequential) -> Self {
        let input = network.dims().next().unwrap_or(Dims::vector(0));
        Self { module, name: name.to_owned(), within: 0, input, lines: Vec::new() }
    }

    /// The variable becomes a value.
    pub(super) fn line(&mut self, value: &str) {
        self.lines.push(format!("{} = {value}", self.name));
    }

    /// Puts the classes behind the variable, if the model is told any.
    pub(super) fn classes(&mut self, told: &str) {
        if !told.is_empty() {
            self.line(&format!("torch.cat([{}{told}], 1)", self.name));
        }
    }

    /// All layers but the last.
    pub(super) fn hidden(&mut self, network: &Sequential) -> Result<Top> {
        let top = Top { lies: Lies::Rows, dims: self.input };
        let [nodes @ .., _] = network.nodes() else { return Ok(top) };
        self.nodes(nodes, top)
    }

    fn nodes(&mut self, nodes: &[Node], mut top: Top) -> Result<Top> {
        let mut made = false;
        for node in nodes {
            (top, made) = match node {
                Node::Layer(placed) => self.layer(placed, top, placed.output(top.dims)?, made)?,
                Node::Block(block) => (self.block(block, top)?, true),
            };
        }
        Ok(top)
    }

    /// A residual block, whose way past goes in a variable of its own.
    fn block(&mut self, Block { shortcut, residual, .. }: &Block, top: Top) -> Result<Top> {
        let past = match self.within {
            0 => "past".to_owned(),
            within => format!("past{within}"),
        };
        self.within += 1;
        let name = std::mem::replace(&mut self.name, past.clone());
        self.line(&name);
        let of_past = self.nodes(shortcut, top)?;
        self.name = name;
        let made = self.nodes(residual, top)?;
        self.within -= 1;
        if of_past.lies != made.lies {
            self.map(made);
            let name = std::mem::replace(&mut self.name, past.clone());
            self.map(of_past);
            self.name = name;
        }
        self.line(&format!("{past} + {}", self.name));
        let lies = if of_past.lies == made.lies { made.lies } else { Lies::Map };
        Ok(Top { lies, ..made })
    }

    /// A layer of what was made, which makes `dims`; what it made, and whether by a line that a function can be put round.
    fn layer(&mut self, placed: &Placed, top: Top, dims: Dims, made: bool) -> Result<(Top, bool)> {
        let Placed { layer, path, .. } = placed;
        let rows = Top { lies: Lies::Rows, dims };
        Ok(match *layer {
            Layer::Linear(units) => {
                let inputs = self.rows(top);
                let module = self.linear(path, inputs, units);
                self.line(&call(&module, &self.name));
                (rows, true)
            }
            Layer::Norm => {
                let inputs = self.rows(top);
                let module = self.module.define(path, &format!("nn.LayerNorm({inputs})"), true);
                self.line(&call(&module, &self.name));
                (rows, true)
            }
            Layer::Activation(Activation::Identity) => (top, made),
            Layer::Activation(kind) => {
                self.activation(kind, made);
                (Top { dims, ..top }, true)
            }
            Layer::Dropout(share) => {
                self.rows(top);
                let module = self.module.define(path, &format!("nn.Dropout({share:?})"), false);
                self.line(&call(&module, &self.name));
                (rows, true)
            }
            Layer::Convolution(of) => {
                let (_, value) = self.convolution(path, top, of)?;
                self.line(&value);
                (Top { lies: Lies::Map, dims }, true)
            }
            Layer::Transposed(of) => {
                let module = self.windows(path, "nn.ConvTranspose2d", top, of);
                self.line(&call(&module, &self.name));
                (Top { lies: Lies::Map, dims }, true)
            }
            Layer::GroupNorm(groups) => {
                self.map(top);
                let of = format!("nn.GroupNorm({groups}, {})", dims.channels);
                let module = self.module.define(path, &of, true);
                self.line(&call(&module, &self.name));
                (Top { lies: Lies::Map, dims }, true)
            }
            Layer::Pool(side) => {
                self.map(top);
                self.line(&format!("F.avg_pool2d({}, {side})", self.name));
                (Top { lies: Lies::Map, dims }, true)
            }
            Layer::Attention(heads) => {
                self.map(top);
                self.attention(placed, top, heads);
                (Top { lies: Lies::Map, dims }, true)
            }
            // The same numbers in the same order; a convolution has them lie as it wants.
            Layer::Map(_) => {
                self.rows(top);
                (rows, false)
            }
        })
    }

    fn attention(&mut self, placed: &Placed, top: Top, heads: usize) {
        let channels = top.dims.channels;
        let [into, out] = placed.projections(top.dims).map(|projection| projection.path);
        let into =
            self.module.define(&into, &format!("nn.Conv2d({channels}, {}, 1)", 3 * channels), true);
        let out = self.module.define(&out, &format!("nn.Conv2d({channels}, {channels}, 1)"), true);
        self.module.attends = true;
        self.line(&call(&into, &self.name));
        self.line(&format!("{out}(attend({}, {heads}))", self.name));
    }

    /// Puts an activation round what the last line made, or into a line of its own.
    fn activation(&mut self, kind: Activation, made: bool) {
        let assigned = format!("{} = ", self.name);
        let last = match made {
            true => self.lines.pop(),
            false => None,
        };
        let of =
            last.as_deref().and_then(|last| last.strip_prefix(&assigned)).unwrap_or(&self.name);
        let value = match kind {
            Activation::Identity => of.to_owned(),
            Activation::Relu => format!("F.relu({of})"),
            Activation::LeakyRelu => {
                format!("F.leaky_relu({of}, {})", float(slope(Activation::LeakyRelu, -1.0_f32)))
            }
            Activation::Tanh => format!("torch.tanh({of})"),
            Activation::Sigmoid => format!("torch.sigmoid({of})"),
            Activation::Softplus => format!("F.softplus({of})"),
            Activation::Silu => format!("F.silu({of})"),
            // The one with the error function, which is what PyTorch takes by itself.
            Activation::Gelu => format!("F.gelu({of})"),
        };
        self.line(&value);
    }

    /// Makes a fully connected layer; how code calls it.
    pub(super) fn linear(&mut self, path: &str, inputs: usize, units: usize) -> String {
        self.module.define(path, &format!("nn.Linear({inputs}, {units})"), true)
    }

    /// Ends in the parts of a network's last layer, each of so many numbers, log σ² within its bounds: all lines.
    pub(super) fn parts(mut self, network: &Sequential, (top, each): (Top, usize)) -> Vec<String> {
        let (last, inputs) = (network.last(), self.rows(top));
        let parts = match &last.parts[..] {
            [] => std::slice::from_ref(&last.path),
            parts => parts,
        };
        let made = parts.iter().map(|part| call(&self.linear(part, inputs, each), &self.name));
        let (lowest, highest) = LOG_VAR_BOUNDS;
        let made = match &made.collect::<Vec<_>>()[..] {
            [mean, log_var] => format!("{mean}, {log_var}.clamp({lowest:?}, {highest:?})"),
            made => made.concat(),
        };
        self.lines.push(format!("return {made}"));
        self.lines
    }

    /// Makes a convolution of what was made; what it makes, and its value in code.
    pub(super) fn convolution(
        &mut self,
        path: &str,
        top: Top,
        of: Convolution,
    ) -> Result<(Top, String)> {
        let Dims { height, width, .. } = top.dims;
        let Some([lines, places]) = of.made([height, width]) else {
            return Err(Error::config(format!("`{path}`: no window fits a map of {}", top.dims)));
        };
        let module = self.windows(path, "nn.Conv2d", top, of);
        let x = match of.upsample {
            1 => self.name.clone(),
            times => {
                format!("F.interpolate({}, scale_factor={times}, mode=\"nearest\")", self.name)
            }
        };
        let dims = Dims { height: lines, width: places, channels: of.outputs };
        Ok((Top { lies: Lies::Map, dims }, call(&module, &x)))
    }

    /// Makes a module of a class that has windows on what was made; how code calls it.
    fn windows(&mut self, path: &str, class: &str, top: Top, of: Convolution) -> String {
        let Convolution { outputs, kernel: [down, right], stride, padding, .. } = of;
        self.map(top);
        let mut about = format!("{}, {outputs}, ({down}, {right})", top.dims.channels);
        for (word, value, usual) in [("stride", stride, 1), ("padding", padding, 0)] {
            if value != usual {
                about += &format!(", {word}={value}");
            }
        }
        self.module.define(path, &format!("{class}({about})"), true)
    }

    /// Has what was made lie as rows; how many numbers each has.
    pub(super) fn rows(&mut self, top: Top) -> usize {
        if top.lies == Lies::Map {
            self.line(&format!("{}.permute(0, 2, 3, 1).flatten(1)", self.name));
        }
        top.dims.count()
    }

    /// Has what was made lie as a map.
    fn map(&mut self, Top { lies, dims: Dims { height, width, channels } }: Top) {
        if lies == Lies::Rows {
            let sides = format!("{height}, {width}, {channels}");
            self.line(&format!("{}.unflatten(1, ({sides})).permute(0, 3, 1, 2)", self.name));
        }
    }

    /// The value of a map as rows, in blocks of so many numbers each.
    pub(super) fn blocks(&self, Top { dims, .. }: Top, block: usize) -> String {
        let blocks = dims.count() / block;
        match blocks {
            1 => format!("{}.permute(0, 2, 3, 1).flatten(1)", self.name),
            _ => {
                let each = dims.channels / blocks;
                format!(
                    "{}.unflatten(1, ({blocks}, {each})).permute(0, 1, 3, 4, 2).flatten(1)",
                    self.name
                )
            }
        }
    }
}
