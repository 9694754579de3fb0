//! Cases: a recorded operation with its inputs, used to compare, to differentiate and to time.

use crate::engine::record::{RATES, Record, rate};
use crate::engine::{Dtype, Parameters, Plan, Program, Tape, Tensor};
use crate::kernels::philox::philox;

/// What an input holds; padding stays zero.
#[derive(Clone, Debug)]
pub enum Fill {
    /// Uniform in an interval, by a seed of its own.
    Uniform(u32, f32, f32),
    /// Ones, but for one element.
    OnesBut(usize, f32),
    /// These words.
    Words(Vec<u32>),
    /// Random words, by a seed of its own.
    RandomWords(u32),
}

impl Fill {
    /// The elements for a tensor, padding included, as bits.
    #[must_use]
    pub fn bits(&self, tensor: Tensor) -> Vec<u32> {
        let mut block = (usize::MAX, [0; 4]);
        let mut word = |seed, i: usize| {
            if block.0 != i / 4 {
                block = (i / 4, philox([i as u32 / 4, 0, 0, 0], [seed, 0x0ca5_e000]));
            }
            block.1[i % 4]
        };
        let mut at = |i: usize| match self {
            Self::Uniform(seed, low, high) => {
                let unit = (word(*seed, i) >> 8) as f32 / 16_777_216.0;
                (low + unit * (high - low)).to_bits()
            }
            Self::OnesBut(place, value) => if i == *place { *value } else { 1.0 }.to_bits(),
            Self::Words(values) => values[i],
            Self::RandomWords(seed) => word(*seed, i),
        };
        let mut bits = vec![0; tensor.words()];
        for row in 0..tensor.rows() {
            for col in 0..tensor.cols() {
                bits[row * tensor.stride() + col] = at(row * tensor.cols() + col);
            }
        }
        bits
    }
}

/// How much an output counts in the scalar that gradients are taken of.
#[derive(Clone, Copy, Debug)]
pub enum Weight {
    /// Each element by the one of this tensor, from which the backward dispatches start.
    Of(Tensor),
    /// All the same: a loss, whose weight its kernel knows from the record.
    Same(f64),
}

/// One operation with its inputs.
#[derive(Clone, Debug)]
pub struct Case {
    /// The operation and the shapes.
    pub name: String,
    /// The buffers, with margins.
    pub plan: Plan,
    /// Those of layers, where the case is about their updates.
    pub parameters: Parameters,
    /// Forward and, where there is one, backward.
    pub program: Program,
    /// The record to run with.
    pub record: Record,
    /// The inputs and what they hold.
    pub inputs: Vec<(Tensor, Fill)>,
    /// Σ weight · output is what gradients are taken of.
    pub outputs: Vec<(Tensor, Weight)>,
    /// Inputs, each with the tensor that holds its gradient.
    pub gradients: Vec<(Tensor, Tensor)>,
    /// The largest error against the f64 reference that passes, as a share of the tensor's largest
    /// element. Sums of n terms in f32 err by about √n · 6·10⁻⁸.
    pub tolerance: f64,
    /// Whether its operands are numbers that f16 holds, so that mixed precision has a meaning.
    pub fits_f16: bool,
}

impl Case {
    /// A case whose record has so many rows.
    #[must_use]
    pub fn new(name: String, rows: usize) -> Self {
        let mut rates = [0.0; RATES];
        rates[rate::LOSS_SCALE] = 0.25;
        rates[rate::KL_WEIGHT] = 1.5;
        let record = Record {
            first: 0,
            rows: rows as u32,
            step: 3,
            epoch: 2,
            images: rows as u32,
            shuffle: false,
            window: None,
            stream: 1,
            seed: 0x0123_4567_89ab_cdef,
            rates,
        };
        Self {
            name,
            plan: Plan::with_margins(),
            parameters: Parameters::new(),
            program: Program::default(),
            record,
            inputs: Vec::new(),
            outputs: Vec::new(),
            gradients: Vec::new(),
            fits_f16: true,
            tolerance: 1e-6,
        }
    }

    /// A matrix that holds something before the program runs.
    pub fn input(&mut self, name: &str, [rows, cols]: [usize; 2], fill: Fill) -> Tensor {
        let tensor = self.plan.matrix(name, rows, cols);
        self.inputs.push((tensor, fill));
        tensor
    }

    /// A vector that holds something before the program runs.
    pub fn input_line(&mut self, name: &str, len: usize, dtype: Dtype, fill: Fill) -> Tensor {
        let tensor = match dtype {
            Dtype::F32 => self.plan.vector(name, len),
            Dtype::U32 => self.plan.words(name, len),
        };
        self.inputs.push((tensor, fill));
        tensor
    }

    /// A matrix of weights for an output of this shape, to start the backward dispatches from.
    pub fn weight(&mut self, shape: [usize; 2]) -> Tensor {
        let seed = 90 + self.inputs.len() as u32;
        self.input("weight", shape, Fill::Uniform(seed, -1.0, 1.0))
    }

    /// Records the operation.
    pub fn record<R>(&mut self, record: impl FnOnce(&mut Tape<'_>) -> R) -> R {
        let mut tape = Tape::new(&mut self.plan, &mut self.parameters);
        let result = record(&mut tape);
        self.program.dispatches.append(&mut tape.take());
        self.program.name.clone_from(&self.name);
        result
    }
}
