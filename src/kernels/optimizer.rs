//! The update of the parameters by one of the rules, and the clipping of the gradients' norm.

mod rules;

use crate::config::{OptimizerConfig, Rule};
use crate::engine::kernel::params;
use crate::engine::params::Arena;
use crate::engine::record::rate;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Dtype, Grid, Kernel, Real, Record, Schedule, Tape, Tensor, real,
};
use crate::kernels::case::{Case, Fill};
use crate::kernels::common::{plain, sum as added, wgsl};
use crate::kernels::finite::GRADIENT;
use rules::{adagrad, adam, adam_cpu, adamax, rmsprop, sgd};

pub(super) use rules::{adam_chunk, adam_element, fits};

params! {
    /// Parameters of the optimiser kernels.
    pub struct Optimizer {
        /// Groups of four gradients, or partial sums.
        len: u32,
        /// Whether weight decay is apart from the gradient.
        decoupled: u32,
        /// Whether SGD looks ahead.
        nesterov: u32,
        /// Whether the gradients are scaled by norms\[0\].
        clip: u32,
        /// Where the partial sums of an arena begin.
        first: u32,
    }
}

const ELEMENTS: &[Schedule] = &[plain(wgsl!("optimizer.wgsl"), Cover::Items(256))];
const SUMS: &[Schedule] = &[plain(wgsl!("optimizer.wgsl"), Cover::Row)];

/// Groups of four gradients in one partial sum.
const SUMMED: usize = 1024;

/// Adam and `AdamW`.
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
    cpu: Some(adam_cpu),
};

/// Adamax.
pub static ADAMAX: Kernel<Optimizer, 6> = Kernel {
    name: "optimizer.adamax",
    entry: "adamax",
    bindings: ADAM.bindings,
    overrides: &[],
    schedules: ELEMENTS,
    reference: (adamax, adamax),
    cpu: None,
};

/// `RMSprop`.
pub static RMSPROP: Kernel<Optimizer, 6> = Kernel {
    name: "optimizer.rmsprop",
    entry: "rmsprop",
    bindings: ADAM.bindings,
    overrides: &[],
    schedules: ELEMENTS,
    reference: (rmsprop, rmsprop),
    cpu: None,
};

/// Adagrad.
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
    reference: (adagrad, adagrad),
    cpu: None,
};

/// SGD with momentum.
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
    reference: (sgd, sgd),
    cpu: None,
};

/// Partial sums of the squares of an arena's gradients.
pub static SQUARE_SUMS: Kernel<Optimizer, 2> = Kernel {
    name: "optimizer.square_sums",
    entry: "square_sums",
    bindings: [Binding::read("grads"), Binding::write("sums")],
    overrides: &[],
    schedules: SUMS,
    reference: (square_sums, square_sums),
    cpu: None,
};

/// The factor that clips, from all partial sums.
pub static CLIP: Kernel<Optimizer, 3> = Kernel {
    name: "optimizer.clip",
    entry: "clip",
    bindings: [
        Binding::write_words("guard_words"),
        Binding::read("all_sums"),
        Binding::write("scale"),
    ],
    overrides: &[],
    schedules: SUMS,
    reference: (clip, clip),
    cpu: None,
};

fn square_sums<T: Real>(p: &Optimizer, _: &Record, [grads, sums]: [Arg<'_, T>; 2]) {
    let (grads, sums) = (&grads.read()[..4 * p.len as usize], sums.write());
    for (chunk, sum) in grads.chunks(4 * SUMMED).zip(&mut sums[p.first as usize..]) {
        *sum = added(chunk.iter().map(|&g| g * g));
    }
}

fn clip<T: Real>(p: &Optimizer, record: &Record, [guard, sums, scale]: [Arg<'_, T>; 3]) {
    let max_norm = real::<T>(record.rates[rate::MAX_NORM]);
    let (sums, scale) = (sums.read(), scale.write());
    let total = added(sums[..p.len as usize].iter().copied());
    scale[0] = (max_norm / (total.sqrt() + real(1e-6))).min(T::one());
    scale[1] = total.sqrt();
    if !total.is_finite() {
        guard.words_mut()[0] |= GRADIENT;
    }
}

/// Records the update of every arena. Where the norm is clipped, all gradients are summed first.
pub fn update(tape: &mut Tape<'_>, config: &OptimizerConfig, arenas: &[Arena], guard: Tensor) {
    let clipped = config.clip_norm > 0.0;
    let norms = tape.plan.vector("gradient norm", 2);
    let p = Optimizer {
        len: 0,
        decoupled: u32::from(config.rule == Rule::Adamw),
        nesterov: u32::from(config.nesterov),
        clip: u32::from(clipped),
        first: 0,
    };
    if clipped {
        let chunks = |arena: &Arena| (arena.grads.words() / 4).div_ceil(SUMMED);
        let total: usize = arenas.iter().map(chunks).sum();
        let sums = tape.plan.vector("gradient square sums", total);
        let mut first = 0;
        for arena in arenas {
            let p = Optimizer { len: size(arena.grads.words() / 4), first: size(first), ..p };
            tape.dispatch(&SQUARE_SUMS, p, [arena.grads, sums], Grid::Rows(chunks(arena)));
            first += chunks(arena);
        }
        let p = Optimizer { len: size(total), ..p };
        tape.dispatch(&CLIP, p, [guard, sums, norms], Grid::Rows(1));
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

/// Each rule with and without decay and clipping, one element and many, the guard's status set, and
/// values that break. An arena fits a binding, which is never 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    let with = |rule, weight_decay, momentum, nesterov, clip_norm| OptimizerConfig {
        rule,
        weight_decay,
        momentum,
        nesterov,
        clip_norm,
        ..OptimizerConfig::default()
    };
    let configs = [
        with(Rule::Adam, 0.0, 0.0, false, 0.0),
        with(Rule::Adam, 0.1, 0.0, false, 0.5),
        with(Rule::Adamw, 0.1, 0.0, false, 0.0),
        with(Rule::Sgd, 0.0, 0.0, false, 0.0),
        with(Rule::Sgd, 0.1, 0.9, false, 2.0),
        with(Rule::Sgd, 0.1, 0.9, true, 0.0),
        with(Rule::Adamax, 0.0, 0.0, false, 0.0),
        with(Rule::Adamax, 0.1, 0.0, false, 0.5),
        with(Rule::Rmsprop, 0.0, 0.0, false, 0.0),
        with(Rule::Rmsprop, 0.1, 0.9, false, 2.0),
        with(Rule::Adagrad, 0.0, 0.0, false, 0.0),
        OptimizerConfig { initial_accumulator: 0.3, ..with(Rule::Adagrad, 0.1, 0.0, false, 0.5) },
    ];
    let mut cases = Vec::new();
    for config in &configs {
        for len in [1, 5000, 660_000] {
            if len > 5000 && !matches!(config.rule, Rule::Adam | Rule::Adamw) {
                continue;
            }
            cases.push(case(config, len, 0, 0.1));
        }
    }
    cases.push(case(&configs[0], 100, 2, 0.1));
    cases.push(case(&configs[3], 100, 1, 0.1));
    // A rate at which some weights, and not others, leave the range of f32.
    for config in &configs[3..] {
        // What Adamax divides the rate by must leave it in range.
        let lr = if config.rule == Rule::Adamax { 8e37 } else { 3e38 };
        cases.push(case(config, 100, 0, lr));
    }
    cases
}

fn case(config: &OptimizerConfig, len: usize, status: u32, lr: f64) -> Case {
    let rule = format!("{:?}", config.rule).to_lowercase();
    let (decay, momentum, clip) = (config.weight_decay, config.momentum, config.clip_norm);
    let name = format!(
        "optimizer.{rule} {len} decay {decay} momentum {momentum} nesterov {} clip {clip} \
         status {status} lr {lr}",
        config.nesterov
    );
    let mut case = Case::new(name, 1);
    let mut line = |name: &str, fill| case.input_line(name, len, Dtype::F32, fill);
    let arena = Arena {
        values: line("w", Fill::Uniform(1, -1.0, 1.0)),
        grads: line("g", Fill::Uniform(2, -2.0, 2.0)),
        first: line("m", Fill::Uniform(3, -0.5, 0.5)),
        second: line("v", Fill::Uniform(4, 0.01, 1.0)),
    };
    let guard = case.input_line("guard", 2, Dtype::U32, Fill::Words(vec![status, 0]));
    let rates = &mut case.record.rates;
    *rates = crate::kernels::common::optimizer_rates(config, lr, 3);
    case.record(|tape| update(tape, config, &[arena], guard));
    case
}
