//! Records a model's forward dispatches, and from them, last to first, its backward ones.

use std::any::{Any, TypeId};
use std::collections::{HashMap, HashSet};

use crate::engine::kernel::{Kernel, Params};
use crate::engine::params::{Columns, Init, Parameters};
use crate::engine::plan::{Grid, Plan};
use crate::engine::program::Dispatch;
use crate::engine::taps::Taps;
use crate::engine::tensor::{BufferId, Dtype, Tensor};

type Rule = Box<dyn FnOnce(&mut Tape<'_>)>;
/// Records gradients of parameters, or their update.
type Record = Box<dyn FnOnce(&mut Tape<'_>, Option<Update>)>;

/// Where a gradient is taken: at a tensor, or before the activation that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GradSite {
    /// The gradient of the tensor itself.
    Output,
    /// The gradient of what the tensor's activation was applied to: the activation's slope is
    /// already a factor of it.
    Input,
}

/// How much of a step's work is done where its operands are made, in fewer dispatches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fusion {
    /// None: every activation and every gradient is stored.
    #[default]
    Nothing,
    /// The update of weights, where their gradients are made: what pays on a CPU.
    Updates,
    /// All that can be: fewer dispatches that wait for one another, which pays on a GPU.
    All,
}

/// Where the gradient of a tensor goes.
#[derive(Clone, Copy, Debug)]
pub struct Grad {
    /// The gradient, of the tensor's shape.
    pub at: Tensor,
    /// Whether to add to what is there: the first writer stores, each later one adds.
    pub add: bool,
}

impl Grad {
    /// The same as the parameter `accumulate` of kernels.
    #[must_use]
    pub fn accumulate(&self) -> u32 {
        u32::from(self.add)
    }
}

/// An update by Adam or `AdamW` that is made where the gradient is.
#[derive(Clone, Copy, Debug)]
pub struct Update {
    /// The words that stop updates, and that are told what broke.
    pub guard: Tensor,
    /// Whether weight decay is apart from the gradient, as `AdamW` has it.
    pub decoupled: bool,
    /// Where partial sums of the gradients' squares go, where their norm is asked for.
    pub squares: Option<Tensor>,
}

/// What makes gradients of parameters. Nothing in a step but the update waits for it.
pub struct Leaf {
    /// The parameters whose gradients it makes.
    pub makes: Vec<Tensor>,
    /// Whether it can update them instead of storing their gradients.
    pub updates: bool,
    record: Record,
}

impl Leaf {
    /// Records the gradients, or the update by them.
    pub fn record(self, tape: &mut Tape<'_>, update: Option<Update>) {
        (self.record)(tape, update);
    }
}

impl std::fmt::Debug for Leaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leaf").field("makes", &self.makes).finish_non_exhaustive()
    }
}

/// A recording: forward operations append dispatches and leave behind rules for the way back.
///
/// Within [`backward`](Self::backward) the chain of activations' gradients comes first; the
/// gradients of parameters are leaves that nothing waits for, so they follow together.
pub struct Tape<'p> {
    /// The plan that new tensors go to.
    pub plan: &'p mut Plan,
    /// The parameters: those that are there, and those that are made.
    pub parameters: &'p mut Parameters,
    fusion: Fusion,
    averages: bool,
    dispatches: Vec<Dispatch>,
    leaves: Vec<Leaf>,
    rules: Vec<Rule>,
    grads: HashMap<(Tensor, GradSite), Tensor>,
    users: HashMap<Tensor, usize>,
    notes: HashMap<(Tensor, TypeId), Box<dyn Any>>,
}

impl std::fmt::Debug for Tape<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (done, rules) = (&self.dispatches, self.rules.len());
        f.debug_struct("Tape")
            .field("dispatches", done)
            .field("rules", &rules)
            .finish_non_exhaustive()
    }
}

impl<'p> Tape<'p> {
    /// An empty recording whose tensors go to `plan`.
    pub fn new(plan: &'p mut Plan, parameters: &'p mut Parameters) -> Self {
        plan.begin();
        Self {
            plan,
            parameters,
            fusion: Fusion::Nothing,
            averages: false,
            dispatches: Vec::new(),
            leaves: Vec::new(),
            rules: Vec::new(),
            grads: HashMap::new(),
            users: HashMap::new(),
            notes: HashMap::new(),
        }
    }

    /// The same, but what is recorded from now on is fused so far.
    #[must_use]
    pub fn fused(mut self, fusion: Fusion) -> Self {
        self.fusion = fusion;
        self
    }

    /// From now on parameters are their averages, where those are made: what a trained model is used with.
    pub fn use_averages(&mut self) {
        self.averages = true;
    }

    /// How far what is recorded is fused.
    #[must_use]
    pub fn fusion(&self) -> Fusion {
        self.fusion
    }

    /// The values of a parameter, which is made unless there is one of this name: a vector of so many
    /// elements. Those of products are made by [`layer`](Self::layer).
    ///
    /// # Panics
    ///
    /// If the one that there is has another shape; so does `layer`.
    pub fn parameter(&mut self, name: &str, len: usize, init: Init) -> Tensor {
        self.own(name, Tensor::vector(BufferId(0), 0, len, Dtype::F32), init)
    }

    /// The same for a matrix of so many rows and columns.
    ///
    /// # Panics
    ///
    /// As [`parameter`](Self::parameter).
    pub fn matrix(&mut self, name: &str, [rows, cols]: [usize; 2], init: Init) -> Tensor {
        self.own(name, Tensor::matrix(BufferId(0), 0, rows, cols), init)
    }

    fn own(&mut self, name: &str, shape: Tensor, init: Init) -> Tensor {
        let made = self.parameters.own(self.plan, name, shape, init);
        self.in_use(made)
    }

    /// The weight (outputs, inputs) and the bias (outputs) of a fully connected layer, `path.weight` and
    /// `path.bias`, made unless they are there; `parts` are the names and sizes under which the outputs
    /// go to files, if not as one.
    pub fn layer(
        &mut self,
        path: &str,
        [outputs, inputs]: [usize; 2],
        inits: [Init; 2],
        parts: &[(&str, usize)],
    ) -> [Tensor; 2] {
        self.affine(path, (outputs, Columns::Inputs(inputs)), inits, parts)
    }

    /// The weight (outputs, [`Taps::columns`]) and the bias (outputs) of a convolution, as those of
    /// [`layer`](Self::layer).
    pub fn convolution(
        &mut self,
        path: &str,
        (outputs, taps): (usize, Taps),
        inits: [Init; 2],
    ) -> [Tensor; 2] {
        self.affine(path, (outputs, Columns::Taps(taps)), inits, &[])
    }

    /// The weight (inputs, [`Taps::columns`]) and the bias of as many elements as the taps have channels, which are its
    /// outputs, of a transposed convolution, as those of [`layer`](Self::layer).
    pub fn transposed(
        &mut self,
        path: &str,
        (inputs, taps): (usize, Taps),
        inits: [Init; 2],
    ) -> [Tensor; 2] {
        self.affine(path, (inputs, Columns::Spread(taps)), inits, &[])
    }

    fn affine(
        &mut self,
        path: &str,
        shape: (usize, Columns),
        inits: [Init; 2],
        parts: &[(&str, usize)],
    ) -> [Tensor; 2] {
        let made = self.parameters.layer(self.plan, path, shape, inits, parts);
        made.map(|value| self.in_use(value))
    }

    fn in_use(&self, value: Tensor) -> Tensor {
        let average = self.parameters.average_of(value).filter(|_| self.averages);
        average.unwrap_or(value)
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

    /// Leaves what makes the gradients of parameters for after the whole chain. It is called with what
    /// updates them, if that is done at once, which only one that `updates` is asked for; else it takes
    /// the places of the gradients from [`grad_out`](Self::grad_out).
    pub fn leaf(
        &mut self,
        makes: &[Tensor],
        updates: bool,
        record: impl FnOnce(&mut Tape<'_>, Option<Update>) + 'static,
    ) {
        self.leaves.push(Leaf { makes: makes.to_vec(), updates, record: Box::new(record) });
    }

    /// Takes what has been recorded since the last time, as a section of a program.
    #[must_use]
    pub fn take(&mut self) -> Vec<Dispatch> {
        std::mem::take(&mut self.dispatches)
    }

    /// Leaves a rule that records the way back of what was just recorded, to the gradients of `inputs`.
    pub fn on_backward(&mut self, inputs: &[Tensor], rule: impl FnOnce(&mut Tape<'_>) + 'static) {
        for &input in inputs {
            *self.users.entry(input).or_default() += 1;
        }
        self.rules.push(Box::new(rule));
    }

    /// How many rules write a tensor's gradient.
    #[must_use]
    pub fn users(&self, tensor: Tensor) -> usize {
        self.users.get(&tensor).copied().unwrap_or(0)
    }

    /// Notes how a tensor was made, for whoever makes its gradient; one note of each type.
    pub fn note<N: Copy + 'static>(&mut self, of: Tensor, note: N) {
        self.notes.insert((of, TypeId::of::<N>()), Box::new(note));
    }

    /// What was noted of a tensor.
    #[must_use]
    pub fn noted<N: Copy + 'static>(&self, of: Tensor) -> Option<N> {
        self.notes.get(&(of, TypeId::of::<N>()))?.downcast_ref().copied()
    }

    /// The gradient of a tensor at a site, if some later operation has written one.
    #[must_use]
    pub fn grad(&self, tensor: Tensor, site: GradSite) -> Option<Tensor> {
        self.grads.get(&(tensor, site)).copied()
    }

    /// The buffers of all gradients so far that are not of parameters.
    pub(crate) fn gradients(&self) -> Vec<BufferId> {
        let list = self.parameters.list();
        let of_parameters: HashSet<_> = list.iter().map(|own| own.grad.buffer).collect();
        let all = self.grads.values().map(|tensor| tensor.buffer);
        all.filter(|buffer| !of_parameters.contains(buffer)).collect()
    }

    /// Where to write the gradient of a tensor, be it an activation or a parameter. A parameter's lies
    /// beside it in the arena of gradients.
    pub fn grad_out(&mut self, tensor: Tensor, site: GradSite) -> Grad {
        if let Some(at) = self.grad(tensor, site) {
            return Grad { at, add: true };
        }
        let own = self.parameters.gradient_of(self.plan, tensor);
        let at = own.unwrap_or_else(|| {
            let name = match site {
                GradSite::Output => format!("d{}", self.plan.name(tensor)),
                GradSite::Input => format!("d{}.input", self.plan.name(tensor)),
            };
            if tensor.rows == 1 && tensor.stride == tensor.words {
                self.plan.vector(&name, tensor.cols)
            } else {
                self.plan.matrix(&name, tensor.rows, tensor.cols)
            }
        });
        self.grads.insert((tensor, site), at);
        Grad { at, add: false }
    }

    /// Says where a tensor's gradient already is: a loss that made it in its forward dispatch, or
    /// the value that a test starts from.
    pub fn set_grad(&mut self, tensor: Tensor, grad: Tensor) {
        self.grads.insert((tensor, GradSite::Output), grad);
    }

    /// Records the way back, last to first, then the parameters' gradients.
    pub fn backward(&mut self) {
        for leaf in self.backward_chain() {
            leaf.record(self, None);
        }
    }

    /// Records the way back, last to first; what makes the gradients of parameters is the caller's to
    /// record.
    #[must_use]
    pub fn backward_chain(&mut self) -> Vec<Leaf> {
        while let Some(rule) = self.rules.pop() {
            rule(self);
        }
        std::mem::take(&mut self.leaves)
    }
}
