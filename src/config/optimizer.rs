//! How the parameters follow their gradients.

use serde::{Deserialize, Serialize};

/// The update rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Adam (Kingma and Ba 2015); `weight-decay` is added to the gradient.
    Adam,
    /// Adam with `weight-decay` apart from the gradient (Loshchilov and Hutter 2019).
    Adamw,
    /// Stochastic gradient descent with `momentum`.
    Sgd,
}

/// How the parameters follow their gradients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct OptimizerConfig {
    /// The update rule.
    pub rule: Rule,
    /// The learning rate.
    pub lr: f64,
    /// Decay of Adam's first moment.
    pub beta1: f64,
    /// Decay of Adam's second moment.
    pub beta2: f64,
    /// What Adam adds to the root of the second moment.
    pub epsilon: f64,
    /// Weight decay, L2 or apart by the rule.
    pub weight_decay: f64,
    /// Momentum of `sgd`.
    pub momentum: f64,
    /// Whether `sgd` looks ahead (Nesterov).
    pub nesterov: bool,
    /// The gradients' norm is scaled down to this; 0 leaves it as it is.
    pub clip_norm: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            rule: Rule::Adam,
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            momentum: 0.0,
            nesterov: false,
            clip_norm: 0.0,
        }
    }
}
