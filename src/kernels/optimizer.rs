//! The update of the parameters by one of the rules, and the clipping of the gradients' norm.

mod cases;
mod rules;

use crate::config::{OptimizerConfig, Rule};
use crate::engine::kernel::params;
use crate::engine::params::Arena;
use crate::engine::record::rate;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Fusion, Grid, Kernel, Leaf, Real, Record, Schedule, Tape, Tensor,
    Update, each_row, real, uncounted,
};
use crate::kernels::average::average;
use crate::kernels::common::{halvings, plain, turns, wgsl};
use crate::kernels::finite::{GRADIENT, check_finite};
use crate::kernels::norm::{NormAt, SHRINK, Squares, scaled_square};
use crate::kernels::normalise::{Normed, normalise};
use rules::{adagrad, adam, adam_cpu, adamax, rmsprop, sgd};

pub(crate) use cases::cases;
pub(super) use rules::{adam_by, update_chunk};

params! {
    /// Parameters of the optimiser kernels.
    pub struct Optimizer {
        /// Groups of four gradients, or partial sums.
        len: u32,
        /// Whether weight decay is apart from the gradient.
        decoupled: u32,
        /// Whether SGD's momentum looks ahead.
        nesterov: u32,
        /// Whether the gradients are scaled by the first of `norms`.
        clip: u32,
        /// Where an arena's partial sums begin.
        first: u32,
    }
}

const ELEMENTS: &[Schedule] = &[plain(wgsl!("optimizer.wgsl"), Cover::Items(256))];
const SUMS: &[Schedule] = &[plain(wgsl!("optimizer.wgsl"), Cover::Row)];

/// Groups of four gradients in one partial sum.
const SUMMED: usize = 1024;

/// Lanes of a workgroup that adds up.
const SUMMING: u32 = 256;

/// An invocation updates four groups of four elements.
fn each_turns(_: &Optimizer) -> u64 {
    turns(4, 1)
}

/// One step of Adam (Kingma and Ba 2015, algorithm 1) or `AdamW` (Loshchilov and Hutter 2019,
/// algorithm 2): weights w and moments m and v by gradients g, each (4 · `len`), with the
/// record's rates. `norms` (2) holds the factor that clips. Nothing changes while the guard's
/// status, the first of its words (2), is set; what would not be finite keeps its value and sets
/// the second. So do the four rules below.
pub static ADAM: Kernel<Optimizer, 6> = Kernel {
    name: "optimizer.adam",
    entry: "adam",
    bindings: [
        Binding::flags("guard_words"),
        Binding::read("norms"),
        Binding::read("g"),
        Binding::write("w"),
        Binding::write("m"),
        Binding::write("v"),
    ],
    overrides: &[],
    schedules: ELEMENTS,
    reference: (adam, adam),
    cpu: Cpu::Own(adam_cpu),
    turns: each_turns,
    flops: uncounted,
};

/// Adamax (Kingma and Ba 2015, algorithm 2); v is the largest gradient, decayed.
pub static ADAMAX: Kernel<Optimizer, 6> = Kernel {
    name: "optimizer.adamax",
    entry: "adamax",
    bindings: ADAM.bindings,
    overrides: &[],
    schedules: ELEMENTS,
    reference: (adamax::<f32, false>, adamax::<f64, false>),
    cpu: Cpu::Own(adamax::<f32, true>),
    turns: each_turns,
    flops: uncounted,
};

/// `RMSprop` (Tieleman and Hinton 2012, lecture 6.5), with momentum m.
pub static RMSPROP: Kernel<Optimizer, 6> = Kernel {
    name: "optimizer.rmsprop",
    entry: "rmsprop",
    bindings: ADAM.bindings,
    overrides: &[],
    schedules: ELEMENTS,
    reference: (rmsprop::<f32, false>, rmsprop::<f64, false>),
    cpu: Cpu::Own(rmsprop::<f32, true>),
    turns: each_turns,
    flops: uncounted,
};

/// Adagrad (Duchi et al. 2011, section 1.1) with the sums of squares (4 · `len`).
pub static ADAGRAD: Kernel<Optimizer, 5> = Kernel {
    name: "optimizer.adagrad",
    entry: "adagrad",
    bindings: [
        Binding::flags("guard_words"),
        Binding::read("norms"),
        Binding::read("g"),
        Binding::write("w"),
        Binding::write("squares"),
    ],
    overrides: &[],
    schedules: ELEMENTS,
    reference: (adagrad::<f32, false>, adagrad::<f64, false>),
    cpu: Cpu::Own(adagrad::<f32, true>),
    turns: each_turns,
    flops: uncounted,
};

/// SGD with momentum m, or Nesterov's, as `PyTorch` has it.
pub static SGD: Kernel<Optimizer, 5> = Kernel {
    name: "optimizer.sgd",
    entry: "sgd",
    bindings: [
        Binding::flags("guard_words"),
        Binding::read("norms"),
        Binding::read("g"),
        Binding::write("w"),
        Binding::write("m"),
    ],
    overrides: &[],
    schedules: ELEMENTS,
    reference: (sgd::<f32, false>, sgd::<f64, false>),
    cpu: Cpu::Own(sgd::<f32, true>),
    turns: each_turns,
    flops: uncounted,
};

/// sums (all arenas' parts) of the squares of each 4,096 of an arena's gradients (4 · `len`),
/// in the unit of [`SHRINK`] squared, from `first` on.
pub static SQUARE_SUMS: Kernel<Optimizer, 2> = Kernel {
    name: "optimizer.square_sums",
    entry: "square_sums",
    bindings: [Binding::read("grads"), Binding::write_within("sums")],
    overrides: &[],
    schedules: SUMS,
    reference: (square_sums::<f32, false>, square_sums::<f64, false>),
    cpu: Cpu::Own(square_sums::<f32, true>),
    turns: |_| turns(SUMMED as u32, SUMMING) + halvings(SUMMING),
    flops: uncounted,
};

/// scale (2) = min(1, `max_norm` / (‖g‖ + 10⁻⁶)), as `PyTorch` clips, and the norm ‖g‖, from all
/// partial sums (`len`); a norm that is not finite sets the guard's status.
pub static CLIP: Kernel<Optimizer, 3> = Kernel {
    name: "optimizer.clip",
    entry: "clip",
    bindings: [
        Binding::write_words("guard_words"),
        Binding::read("all_sums"),
        Binding::write_within("scale"),
    ],
    overrides: &[],
    schedules: SUMS,
    reference: (clip, clip),
    cpu: Cpu::Reference,
    turns: |p| turns(p.len, SUMMING) + halvings(SUMMING),
    flops: uncounted,
};

fn square_sums<T: Real, const PARALLEL: bool>(
    p: &Optimizer,
    _: &Record,
    [grads, sums]: [Arg<'_, T>; 2],
) {
    let (grads, sums) = (&grads.read()[..4 * p.len as usize], sums.write());
    let sums = &mut sums[p.first as usize..][..grads.len().div_ceil(4 * SUMMED)];
    each_row::<_, PARALLEL>(sums, 1, 4 * SUMMED, |chunk, sum| {
        let first = 4 * SUMMED * chunk;
        let chunk = &grads[first..grads.len().min(first + 4 * SUMMED)];
        sum[0] = scaled_square(chunk);
    });
}

fn clip<T: Real>(p: &Optimizer, record: &Record, [guard, sums, scale]: [Arg<'_, T>; 3]) {
    let max_norm = real::<T>(record.rates[rate::MAX_NORM]);
    let (sums, scale) = (sums.read(), scale.write());
    let mut total = T::zero();
    sums[..p.len as usize].iter().for_each(|&sum| total += sum);
    let norm = total.sqrt() / real(SHRINK);
    scale[0] = (max_norm / (norm + real(1e-6))).min(T::one());
    scale[1] = norm;
    if !total.is_finite() {
        guard.words_mut()[0] |= GRADIENT;
    }
}

/// Records the way back of what is on the tape, the `report`, and the update of the parameters.
///
/// On a tape that is [fused](Fusion) Adam updates a parameter where its gradient is made, if that is one
/// dispatch and no norm of gradients is clipped or made one; then that gradient is not stored. The others
/// are judged and updated together. The report goes before any update, which a broken loss must stop,
/// and after the gradients that are stored, which wait for nothing either. The norm of the gradients
/// is reported last, if there is a place for it.
pub fn learn(
    tape: &mut Tape<'_>,
    config: &OptimizerConfig,
    (guard, norm): (Tensor, Option<NormAt>),
    report: impl FnOnce(&mut Tape<'_>),
) {
    let leaves = tape.backward_chain();
    let makers = |of: Tensor| leaves.iter().filter(|leaf| leaf.makes.contains(&of)).count();
    let at_once = updates_at_once(tape.fusion(), config);
    let updates = |leaf: &Leaf| {
        at_once && leaf.updates && leaf.makes.iter().all(|&parameter| makers(parameter) == 1)
    };
    let updates: Vec<_> = leaves.iter().map(updates).collect();
    let (updating, storing): (Vec<_>, Vec<_>) =
        leaves.into_iter().zip(updates).partition(|(_, updates)| *updates);
    storing.into_iter().for_each(|(leaf, _)| leaf.record(tape, None));
    report(tape);
    let updating = updating.into_iter().map(|(leaf, _)| leaf).collect();
    settle(tape, config, (guard, norm), updating);
}

/// Whether Adam's updates are made where gradients are, on a tape that is fused so far.
#[must_use]
pub fn updates_at_once(fusion: Fusion, config: &OptimizerConfig) -> bool {
    let adam = matches!(config.rule, Rule::Adam | Rule::Adamw);
    let as_they_are = config.clip_norm == 0.0 && !config.normalise;
    fusion != Fusion::Nothing && adam && as_they_are
}

/// Records the update of all parameters: those of these leaves where their gradients are made, the others
/// by gradients that were stored, which are judged first, and each tensor's divided by its norm if that is asked for. The norm
/// of all of them, as they are before clipping or that, is reported if there is a place for it.
pub fn settle(
    tape: &mut Tape<'_>,
    config: &OptimizerConfig,
    (guard, norm): (Tensor, Option<NormAt>),
    updating: Vec<Leaf>,
) {
    let updated: Vec<_> = updating.iter().flat_map(|leaf| leaf.makes.clone()).collect();
    let rest = tape.parameters.ranges(&updated).into_iter();
    let rest: Vec<_> = rest.map(|values| tape.parameters.arena(tape.plan, values)).collect();
    if !updates_at_once(tape.fusion(), config) {
        // Else what updates them judges them.
        rest.iter().for_each(|arena| check_finite(tape, arena.grads, guard));
    }
    let normed = if config.normalise { Normed::all(tape.parameters) } else { Vec::new() };
    let stored = match config.normalise {
        true => normed.iter().map(Normed::sums).sum(),
        false => rest.iter().map(chunks).sum(),
    };
    let squares = (norm.is_some() || config.clip_norm > 0.0 || config.normalise)
        .then(|| Squares::new(tape, stored, &updating));
    let decoupled = config.rule == Rule::Adamw;
    for (i, leaf) in updating.into_iter().enumerate() {
        let squares = squares.as_ref().map(|squares| squares.updated[i]);
        leaf.record(tape, Some(Update { guard, decoupled, squares }));
    }
    let mut sums = squares.as_ref().and_then(|squares| squares.stored);
    if let Some(sums) = sums.take_if(|_| config.normalise) {
        normalise(tape, &normed, (guard, sums));
    }
    update(tape, config, &rest, (guard, sums));
    if let (Some(squares), Some(norm)) = (squares, norm) {
        squares.report(tape, norm);
    }
    if config.average > 0.0 {
        for values in tape.parameters.ranges(&[]) {
            let averages = tape.parameters.average_of(values);
            average(tape, guard, values, averages.expect("parameters with averages were made"));
        }
    }
}

/// Partial sums of the squares of an arena's gradients.
fn chunks(arena: &Arena) -> usize {
    (arena.grads.words() / 4).div_ceil(SUMMED)
}

/// Records the update of every arena, whose values, gradients and moments have one length. Where
/// there is a place for partial sums of the squares of all gradients, they are made first; clipping
/// needs them. `guard` has two words.
pub fn update(
    tape: &mut Tape<'_>,
    config: &OptimizerConfig,
    arenas: &[Arena],
    (guard, sums): (Tensor, Option<Tensor>),
) {
    if arenas.is_empty() {
        return;
    }
    let clipped = config.clip_norm > 0.0;
    let norms = tape.plan.vector("gradient norm", 2);
    let p = Optimizer {
        len: 0,
        decoupled: u32::from(config.rule == Rule::Adamw),
        nesterov: u32::from(config.nesterov),
        clip: u32::from(clipped),
        first: 0,
    };
    if let Some(sums) = sums {
        let mut first = 0;
        for arena in arenas {
            let p = Optimizer { len: size(arena.grads.words() / 4), first: size(first), ..p };
            tape.dispatch(&SQUARE_SUMS, p, [arena.grads, sums], Grid::Rows(chunks(arena)));
            first += chunks(arena);
        }
        if clipped {
            let p = Optimizer { len: size(first), ..p };
            tape.dispatch(&CLIP, p, [guard, sums, norms], Grid::Rows(1));
        }
    }
    for arena in arenas {
        let len = arena.grads.words() / 4;
        let p = Optimizer { len: size(len), ..p };
        let Arena { values, grads, first, second } = *arena;
        let (grid, both) = (Grid::Flat(len), [guard, norms, grads, values, first, second]);
        let one = |moment| [guard, norms, grads, values, moment];
        match config.rule {
            Rule::Adam | Rule::Adamw => tape.dispatch(&ADAM, p, both, grid),
            Rule::Adamax => tape.dispatch(&ADAMAX, p, both, grid),
            Rule::Rmsprop => tape.dispatch(&RMSPROP, p, both, grid),
            Rule::Adagrad => tape.dispatch(&ADAGRAD, p, one(second), grid),
            Rule::Sgd => tape.dispatch(&SGD, p, one(first), grid),
        }
    }
}
