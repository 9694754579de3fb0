//! Dispatches, and programs of them.

use std::collections::HashMap;

use crate::engine::binding::Access;
use crate::engine::kernel::{AnyKernel, Kernel, Params};
use crate::engine::plan::{Grid, MAX_BINDINGS, MOST_TURNS, OFFSET_ALIGNMENT, Plan};
use crate::engine::schedule::MAX_GROUPS;
use crate::engine::tensor::{BufferId, Dtype, Tensor};
use crate::error::{Error, Result};

/// One kernel over some tensors, with its parameters.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The row of the kernel table.
    pub kernel: &'static dyn AnyKernel,
    /// The bytes of its parameters.
    pub params: Vec<u8>,
    /// The tensors, in the order of the kernel's bindings.
    pub bindings: Vec<Tensor>,
    /// How much work there is.
    pub grid: Grid,
}

impl Dispatch {
    /// A dispatch, checked against what WebGPU will demand of it.
    ///
    /// # Panics
    ///
    /// If a tensor's type is not the binding's, if a buffer is both read and written (usage is
    /// tracked by the buffer, not by the range), if two written ranges overlap, or if a range
    /// starts where it may not: these are faults of the function that records, not of a user.
    #[must_use]
    pub fn new<P: Params, const N: usize>(
        kernel: &'static Kernel<P, N>,
        params: P,
        bindings: [Tensor; N],
        grid: Grid,
    ) -> Self {
        let name = kernel.name;
        assert!(N <= MAX_BINDINGS, "{name}: {N} bindings, at most {MAX_BINDINGS} are portable");
        for (i, (tensor, binding)) in bindings.iter().zip(&kernel.bindings).enumerate() {
            let at = binding.name;
            assert_eq!(tensor.dtype, binding.data.dtype(), "{name}: the type of `{at}`");
            assert_eq!(tensor.offset % OFFSET_ALIGNMENT, 0, "{name}: the offset of `{at}`");
            for (other, other_binding) in bindings.iter().zip(&kernel.bindings).take(i) {
                let same = tensor.buffer == other.buffer;
                let with = other_binding.name;
                assert!(
                    !same || binding.access == other_binding.access,
                    "{name}: one buffer is read and written, as `{at}` and `{with}`"
                );
                let (a, b) = (tensor.range(), other.range());
                assert!(
                    !same || binding.access == Access::Read || a.end <= b.start || b.end <= a.start,
                    "{name}: `{at}` and `{with}` overlap and are written"
                );
            }
        }
        if let Grid::Rows(rows) = grid {
            assert!(rows <= MAX_GROUPS * MAX_GROUPS, "{name}: {rows} rows");
        }
        let params = params.bytes();
        Self { kernel, params, bindings: bindings.to_vec(), grid }
    }

    /// The floating-point operations of its product, if it is one.
    #[must_use]
    pub fn flops(&self) -> u64 {
        self.kernel.flops(&self.params, &self.bindings)
    }

    /// The first tensor of floats that it writes, else of words.
    fn makes(&self) -> Option<Tensor> {
        let uses = self.bindings.iter().zip(self.kernel.bindings());
        let written = uses.filter(|(_, binding)| binding.access == Access::Write);
        written.map(|(&tensor, _)| tensor).min_by_key(|tensor| tensor.dtype == Dtype::U32)
    }

    /// The same dispatch, but what it writes to one of these buffers is added to what is there.
    ///
    /// # Panics
    ///
    /// If it writes there, and its kernel has no parameter `accumulate`, which each has that makes a
    /// gradient of parameters.
    #[must_use]
    pub fn adding(mut self, buffers: &[BufferId]) -> Self {
        let mut uses = self.bindings.iter().zip(self.kernel.bindings());
        if uses.any(|(t, b)| b.access == Access::Write && buffers.contains(&t.buffer)) {
            let mut fields = self.kernel.params_fields().iter();
            let place = fields.position(|&field| field == "accumulate");
            let place = place.unwrap_or_else(|| panic!("{} cannot add", self.kernel.name()));
            self.params[4 * place..][..4].copy_from_slice(&1_u32.to_ne_bytes());
        }
        self
    }
}

/// A list of dispatches, run in order.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// What it does, as `step`.
    pub name: String,
    /// The dispatches.
    pub dispatches: Vec<Dispatch>,
}

impl Program {
    /// A program of sections one after another.
    #[must_use]
    pub fn new(name: &str, sections: &[&[Dispatch]]) -> Self {
        Self { name: name.to_owned(), dispatches: sections.concat() }
    }

    /// The buffers that its dispatches use.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = BufferId> {
        self.dispatches.iter().flat_map(|dispatch| &dispatch.bindings).map(|tensor| tensor.buffer)
    }

    /// Whether some dispatch writes a tensor.
    #[must_use]
    pub fn writes(&self, tensor: Tensor) -> bool {
        self.dispatches.iter().any(|dispatch| {
            let mut uses = dispatch.bindings.iter().zip(dispatch.kernel.bindings());
            uses.any(|(&used, binding)| used == tensor && binding.access == Access::Write)
        })
    }

    /// The floating-point operations of the products, of tensors without their padding. All else is
    /// small beside them.
    #[must_use]
    pub fn flops(&self) -> u64 {
        self.dispatches.iter().map(Dispatch::flops).sum()
    }

    /// Refuses loops that turn more often than every adapter allows; `plan` holds the tensors' names.
    ///
    /// # Errors
    ///
    /// A [`Config`](crate::ErrorKind::Config) error that names the kernel, what it makes and the turns.
    pub fn check(&self, plan: &Plan) -> Result<()> {
        for dispatch in &self.dispatches {
            let (kernel, turns) = (dispatch.kernel.name(), dispatch.kernel.turns(&dispatch.params));
            if turns > MOST_TURNS {
                let makes = dispatch.makes().map_or("nothing", |tensor| plan.name(tensor));
                return Err(Error::config(format!(
                    "`{kernel}`, which makes `{makes}`, would turn {turns} times in its loops; some \
                     adapters end them after {MOST_TURNS}"
                ))
                .hint(
                    "choose a smaller `--batch-size`, fewer `--samples` or `--importance`, smaller images, \
                     smaller layers (`--hidden`) or a smaller `--latent`",
                ));
            }
        }
        Ok(())
    }

    /// The number of barriers that wgpu puts between the dispatches: one before each dispatch that
    /// uses a buffer which an earlier one wrote, or writes one which an earlier one used, with no
    /// barrier since. Usage counts by the buffer, so disjoint ranges do not help.
    #[must_use]
    pub fn barriers(&self) -> usize {
        let mut last: HashMap<BufferId, Access> = HashMap::new();
        let mut barriers = 0;
        for dispatch in &self.dispatches {
            let uses = || dispatch.bindings.iter().zip(dispatch.kernel.bindings());
            let must_wait = uses().any(|(tensor, binding)| match last.get(&tensor.buffer) {
                None => false,
                Some(&before) => before == Access::Write || binding.access == Access::Write,
            });
            barriers += usize::from(must_wait);
            for (tensor, binding) in uses() {
                last.insert(tensor.buffer, binding.access);
            }
        }
        barriers
    }

    /// The length of the longest chain of dispatches that need one another's results, by ranges:
    /// what would be left if independent dispatches ran side by side. Those that only add bits to
    /// the same words do not need one another.
    #[must_use]
    pub fn depth(&self) -> usize {
        let mut depths: Vec<usize> = Vec::new();
        for (i, dispatch) in self.dispatches.iter().enumerate() {
            let depends = |earlier: &Dispatch| {
                dispatch.bindings.iter().zip(dispatch.kernel.bindings()).any(|(a, x)| {
                    earlier.bindings.iter().zip(earlier.kernel.bindings()).any(|(b, y)| {
                        a.buffer == b.buffer
                            && (x.access == Access::Write || y.access == Access::Write)
                            && !(x.joins && y.joins)
                            && a.range().start < b.range().end
                            && b.range().start < a.range().end
                    })
                })
            };
            let before = (0..i).filter(|&j| depends(&self.dispatches[j])).map(|j| depths[j]).max();
            depths.push(before.unwrap_or(0) + 1);
        }
        depths.into_iter().max().unwrap_or(0)
    }
}
