//! Records a model's forward dispatches, and from them, last to first, its backward ones.

use std::collections::HashMap;

use crate::config::Activation;
use crate::engine::kernel::{Kernel, Params};
use crate::engine::plan::{Dispatch, Grid, Plan};
use crate::engine::tensor::Tensor;

type Rule = Box<dyn FnOnce(&mut Tape<'_>)>;

/// Where a gradient is taken: at a tensor, or before the activation that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GradSite {
    /// The gradient of the tensor itself.
    Output,
    /// The gradient of what the tensor's activation was applied to: the activation's slope is
    /// already a factor of it.
    Input,
}

/// A recording: forward operations append dispatches and leave behind rules for the way back.
///
/// Within [`backward`](Self::backward) the chain of activations' gradients comes first; the
/// gradients of parameters are leaves that nothing waits for, so they follow together.
pub struct Tape<'p> {
    /// The plan that new tensors go to.
    pub plan: &'p mut Plan,
    dispatches: Vec<Dispatch>,
    leaves: Vec<Dispatch>,
    rules: Vec<Rule>,
    grads: HashMap<(Tensor, GradSite), Tensor>,
    activations: HashMap<Tensor, Activation>,
}

impl std::fmt::Debug for Tape<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (done, rules) = (&self.dispatches, self.rules.len());
        f.debug_struct("Tape").field("dispatches", done).field("rules", &rules).finish()
    }
}

impl<'p> Tape<'p> {
    /// An empty recording whose tensors go to `plan`.
    pub fn new(plan: &'p mut Plan) -> Self {
        Self {
            plan,
            dispatches: Vec::new(),
            leaves: Vec::new(),
            rules: Vec::new(),
            grads: HashMap::new(),
            activations: HashMap::new(),
        }
    }

    /// Appends a dispatch. The compiler counts the bindings, [`Dispatch::new`] checks them.
    pub fn dispatch<P: Params, const N: usize>(
        &mut self,
        kernel: &'static Kernel<P, N>,
        params: P,
        bindings: [Tensor; N],
        grid: Grid,
    ) {
        self.dispatches.push(Dispatch::new(kernel, params, bindings, grid));
    }

    /// Appends a dispatch that makes a parameter's gradient: it runs after the whole chain.
    pub fn leaf<P: Params, const N: usize>(
        &mut self,
        kernel: &'static Kernel<P, N>,
        params: P,
        bindings: [Tensor; N],
        grid: Grid,
    ) {
        self.leaves.push(Dispatch::new(kernel, params, bindings, grid));
    }

    /// Takes what has been recorded since the last time, as a section of a program.
    #[must_use]
    pub fn take(&mut self) -> Vec<Dispatch> {
        std::mem::take(&mut self.dispatches)
    }

    /// Leaves a rule that records the way back of what was just recorded.
    pub fn on_backward(&mut self, rule: impl FnOnce(&mut Tape<'_>) + 'static) {
        self.rules.push(Box::new(rule));
    }

    /// Says that `y` is the output of an activation that was applied where `y` was made.
    pub fn set_activation(&mut self, y: Tensor, activation: Activation) {
        self.activations.insert(y, activation);
    }

    /// The activation that made `x`; the identity if none did.
    #[must_use]
    pub fn activation(&self, x: Tensor) -> Activation {
        self.activations.get(&x).copied().unwrap_or(Activation::Identity)
    }

    /// The gradient of a tensor at a site, if some later operation has written one.
    #[must_use]
    pub fn grad(&self, tensor: Tensor, site: GradSite) -> Option<Tensor> {
        self.grads.get(&(tensor, site)).copied()
    }

    /// Where to write the gradient of a tensor, and whether to add: the first writer stores, each
    /// later one adds.
    pub fn grad_out(&mut self, tensor: Tensor, site: GradSite) -> (Tensor, bool) {
        if let Some(grad) = self.grad(tensor, site) {
            return (grad, true);
        }
        let name = match site {
            GradSite::Output => format!("d{}", self.plan.name(tensor)),
            GradSite::Input => format!("d{}.input", self.plan.name(tensor)),
        };
        let grad = if tensor.rows == 1 && tensor.stride == tensor.words {
            self.plan.vector(&name, tensor.cols)
        } else {
            self.plan.matrix(&name, tensor.rows, tensor.cols)
        };
        self.grads.insert((tensor, site), grad);
        (grad, false)
    }

    /// Says where a tensor's gradient already is: a loss that made it in its forward dispatch, or
    /// the value that a test starts from.
    pub fn set_grad(&mut self, tensor: Tensor, grad: Tensor) {
        self.grads.insert((tensor, GradSite::Output), grad);
    }

    /// Records the way back, last to first, then the parameters' gradients.
    pub fn backward(&mut self) {
        while let Some(rule) = self.rules.pop() {
            rule(self);
        }
        self.dispatches.append(&mut self.leaves);
    }
}
