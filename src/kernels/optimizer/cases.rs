//! Cases of the update rules and of clipping.

use crate::config::{OptimizerConfig, Rule};
use crate::engine::Dtype;
use crate::engine::params::Arena;
use crate::kernels::case::{Case, Fill};
use crate::kernels::optimizer::{chunks, update};

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
    case.record(|tape| {
        let sums = (clip > 0.0).then(|| tape.plan.vector("sums", chunks(&arena)));
        update(tape, config, &[arena], (guard, sums));
    });
    if clip > 0.0 {
        // The reference's plain f32 sums of 4,096 squares err by about as many roundings' root.
        case.tolerance = 5e-6;
    }
    case
}
