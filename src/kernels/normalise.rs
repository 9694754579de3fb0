//! Each tensor's gradient over its own norm, before the moments follow it.

use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Grid, Init, Kernel, Parameter, Parameters, Real, Record, Schedule,
    Tape, Tensor, each_row, real, uncounted,
};
use crate::kernels::case::{Case, Fill};
use crate::kernels::common::{halvings, plain, sum, turns, wgsl};
use crate::kernels::fast::vectorised;
use crate::kernels::norm::SHRINK;

params! {
    /// Parameters of the kernels below.
    pub struct Normalise {
        /// Where the tensor starts in what is bound, in elements.
        start: u32,
        /// Its elements, the padding of its rows included.
        len: u32,
        /// Where its partial sums begin.
        first: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("normalise.wgsl"), Cover::Row)];

/// Gradients of a workgroup, and in one partial sum.
const BLOCK: usize = 4096;

/// Lanes of a workgroup.
const WIDTH: u32 = 256;

/// What is added to a norm before a gradient is divided by it, as Tomczak and Welling (2018) have it in their code: where
/// there is no gradient none is made.
pub const LEAST: f64 = 1e-7;

/// Σ g² of each 4,096 of a tensor's gradients (`len`, from `start` on), in the unit of [`SHRINK`] squared, to sums (all
/// tensors' parts) from `first` on.
pub static SQUARES: Kernel<Normalise, 2> = Kernel {
    name: "normalise.squares",
    entry: "squares",
    bindings: [Binding::read("grads"), Binding::write_within("sums")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (squares, squares),
    cpu: Cpu::Own(squares_cpu),
    turns: |_| turns(BLOCK as u32, WIDTH) + halvings(WIDTH),
    flops: uncounted,
};

/// g ← g / (‖g‖ + 10⁻⁷), for the gradients g (`len`, from `start` on) of a tensor, whose squares the partial sums from `first`
/// on add up to: `AdamNormGrad` of Tomczak and Welling (2018) as far as Adam. Nothing changes while the guard's status, the
/// first of its words (2), is set.
pub static DIVIDE: Kernel<Normalise, 3> = Kernel {
    name: "normalise.divide",
    entry: "divide",
    bindings: [
        Binding::read_words("guard_words"),
        Binding::read("all_sums"),
        Binding::write_within("g"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (divide::<f32, false>, divide::<f64, false>),
    cpu: Cpu::Own(divide::<f32, true>),
    turns: |p| {
        let blocks = p.len.div_ceil(BLOCK as u32);
        turns(blocks, WIDTH) + halvings(WIDTH) + turns(BLOCK as u32, WIDTH)
    },
    flops: uncounted,
};

impl Normalise {
    /// Where the gradients lie.
    fn gradients(&self) -> std::ops::Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }

    /// Where their partial sums lie.
    fn sums(&self) -> std::ops::Range<usize> {
        let first = self.first as usize;
        first..first + (self.len as usize).div_ceil(BLOCK)
    }
}

fn squares<T: Real>(p: &Normalise, _: &Record, [grads, sums]: [Arg<'_, T>; 2]) {
    let blocks = grads.read()[p.gradients()].chunks(BLOCK);
    let shrunk = |&gradient: &T| (gradient * real(SHRINK)).powi(2);
    for (own, block) in sums.write()[p.sums()].iter_mut().zip(blocks) {
        *own = sum(block.iter().map(shrunk));
    }
}

/// In lanes, each of which adds up so few that it loses no digit that matters.
fn squares_cpu(p: &Normalise, _: &Record, [grads, sums]: [Arg<'_, f32>; 2]) {
    let grads = &grads.read()[p.gradients()];
    each_row::<_, true>(&mut sums.write()[p.sums()], 1, BLOCK, |block, sum| {
        let first = BLOCK * block;
        let (whole, rest) = grads[first..grads.len().min(first + BLOCK)].as_chunks::<32>();
        sum[0] = vectorised(
            #[inline(always)]
            || {
                let square = |gradient: f32| (gradient * SHRINK as f32).powi(2);
                let mut lanes = [0.0_f32; 32];
                for some in whole {
                    for i in 0..32 {
                        lanes[i] += square(some[i]);
                    }
                }
                for (lane, &gradient) in lanes.iter_mut().zip(rest) {
                    *lane += square(gradient);
                }
                lanes.iter().sum()
            },
        );
    });
}

fn divide<T: Real, const PARALLEL: bool>(
    p: &Normalise,
    _: &Record,
    [guard, sums, grads]: [Arg<'_, T>; 3],
) {
    if guard.words()[0] != 0 {
        return;
    }
    let total = sum(sums.read()[p.sums()].iter().copied());
    let divisor = total.sqrt() / real(SHRINK) + real(LEAST);
    let grads = &mut grads.write()[p.gradients()];
    each_row::<_, PARALLEL>(grads, BLOCK, BLOCK, |_, block| {
        vectorised(
            #[inline(always)]
            || block.iter_mut().for_each(|gradient| *gradient /= divisor),
        );
    });
}

/// The gradient of what is a tensor of its own in files: some rows of a parameter, or some elements of a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Normed {
    /// The whole parameter's gradient.
    grads: Tensor,
    start: usize,
    len: usize,
}

impl Normed {
    /// Those of all parameters. One that goes to files in parts, as a mean and a log-variance of one product, has a norm for
    /// each, as the same network has in `PyTorch`.
    #[must_use]
    pub fn all(parameters: &Parameters) -> Vec<Self> {
        let of = |parameter: &Parameter| {
            let (grads, vector) = (parameter.grad, parameter.is_vector());
            let row = if vector { 1 } else { grads.stride() };
            let parts = parameter.exports.iter();
            parts
                .map(|part| Self { grads, start: part.first * row, len: part.rows * row })
                .collect::<Vec<_>>()
        };
        parameters.list().iter().flat_map(of).collect()
    }

    /// The partial sums of its squares.
    #[must_use]
    pub fn sums(&self) -> usize {
        self.len.div_ceil(BLOCK)
    }
}

/// Records the division of gradients that are stored and were judged; `sums` has room for the partial sums of all, which are
/// those of the gradients as they were.
pub fn normalise(tape: &mut Tape<'_>, all: &[Normed], (guard, sums): (Tensor, Tensor)) {
    let mut end = 0;
    let placed = all.iter().map(|normed| {
        let first = end;
        end += normed.sums();
        let p = Normalise { start: size(normed.start), len: size(normed.len), first: size(first) };
        (p, normed.grads, Grid::Rows(normed.sums()))
    });
    let placed: Vec<_> = placed.collect();
    for &(p, grads, grid) in &placed {
        tape.dispatch(&SQUARES, p, [grads, sums], grid);
    }
    for (p, grads, grid) in placed {
        tape.dispatch(&DIVIDE, p, [guard, sums, grads], grid);
    }
}

/// A layer's weight and bias: one element, ragged, in parts that start at no group of four, of more partial sums than lanes;
/// gradients whose norm is near what is added to it or far below, the largest, none, and the guard's status set.
pub(crate) fn cases() -> Vec<Case> {
    let uniform = |most: f32| Fill::Uniform(7, -most, most);
    let halves: &[(&str, usize)] = &[("mu", 3), ("log_var", 3)];
    let thirds: &[(&str, usize)] = &[("a", 41), ("b", 1), ("c", 163)];
    [
        ([1, 1], &[] as &[_], uniform(2.0), 0),
        ([37, 19], &[], uniform(2.0), 0),
        ([6, 19], halves, uniform(2.0), 0),
        ([205, 100], thirds, uniform(30.0), 0),
        ([4100, 260], &[], uniform(0.1), 0),
        ([6, 19], halves, uniform(1e-8), 0),
        ([6, 19], halves, uniform(1e-11), 0),
        ([6, 19], halves, uniform(1.8e19), 0),
        ([6, 19], halves, Fill::Uniform(7, 0.0, 0.0), 0),
        ([205, 100], thirds, uniform(2.0), 2),
    ]
    .map(case)
    .into()
}

fn case(
    (shape, parts, fill, status): ([usize; 2], &'static [(&'static str, usize)], Fill, u32),
) -> Case {
    let [outputs, inputs] = shape;
    let of = parts.iter().map(|(_, rows)| rows).collect::<Vec<_>>();
    let name = format!("normalise {outputs} × {inputs} in {of:?}, {fill:?}, status {status}");
    let mut case = Case::new(name, 1);
    let guard = case.plan.words("guard", 2);
    case.inputs.push((guard, Fill::Words(vec![status, 0])));
    let grads = case.record(|tape| {
        let made = tape.layer("h", shape, [Init::Constant(0.0); 2], parts);
        let grads = made.map(|value| tape.parameters.gradient_of(tape.plan, value));
        let all = Normed::all(tape.parameters);
        let sums = tape.plan.vector("sums", all.iter().map(Normed::sums).sum());
        normalise(tape, &all, (guard, sums));
        grads
    });
    let grads = grads.map(|grad| grad.expect("a parameter has a gradient"));
    case.inputs.extend(grads.map(|grad| (grad, fill.clone())));
    case
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Plan;

    #[test]
    fn rows_that_go_to_files_apart_have_norms_apart() {
        let (mut plan, mut parameters) = (Plan::new(), Parameters::new());
        let mut tape = Tape::new(&mut plan, &mut parameters);
        tape.layer("h", [6, 19], [Init::Constant(0.0); 2], &[("mu", 2), ("log_var", 4)]);
        tape.parameter("scale", 1, Init::Constant(0.0));
        let found: Vec<_> = Normed::all(&parameters)
            .iter()
            .map(|normed| (normed.grads.cols(), normed.start, normed.len, normed.sums()))
            .collect();
        // Rows of 19 lie 32 apart.
        let expected = [(19, 0, 64, 1), (19, 64, 128, 1), (6, 0, 2, 1), (6, 2, 4, 1), (1, 0, 1, 1)];
        assert_eq!(found, expected, "columns, start, length and partial sums");
    }
    /// What broke is named by looking where it is.
    #[test]
    fn a_broken_step_keeps_its_gradients() {
        let run = |status: u32| {
            let mut grads = [9.0, 3.0_f64, 4.0, 9.0];
            let record = Case::new(String::new(), 1).record;
            let p = Normalise { start: 1, len: 2, first: 0 };
            let mut sums = [0.0];
            squares(&p, &record, [Arg::Read(&grads), Arg::Write(&mut sums)]);
            let (guard, sums) = ([status, 0], sums);
            let args = [Arg::ReadWords(&guard), Arg::Read(&sums), Arg::Write(&mut grads)];
            divide::<f64, false>(&p, &record, args);
            grads
        };
        let norm = 5.0 + 1e-7;
        assert_eq!(run(0), [9.0, 3.0 / norm, 4.0 / norm, 9.0], "over the norm of two");
        assert_eq!(run(2), [9.0, 3.0, 4.0, 9.0], "as they were");
    }
}
