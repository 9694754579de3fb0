//! Every buffer a model needs.

use std::collections::{HashMap, HashSet};

use crate::engine::schedule::MAX_GROUPS;
use crate::engine::tensor::{BufferId, Dtype, Tensor};
use crate::error::{Error, ErrorKind, Result};

/// The most storage bindings of a dispatch (WebGPU's default limit).
pub const MAX_BINDINGS: usize = 8;

/// The largest binding, in bytes (WebGPU's default limit); larger data is split over buffers.
pub const MAX_BINDING_BYTES: u64 = 128 << 20;

/// Ranges that are bound start at multiples of so many elements (256 bytes).
pub const OFFSET_ALIGNMENT: usize = 64;

/// The most turns that one invocation may make in its loops, all together: llvmpipe then leaves them,
/// without a word and with what it has so far.
pub const MOST_TURNS: u64 = 65_535;

/// The most workgroup memory of a schedule that runs everywhere, in bytes.
pub const MOST_WORKGROUP_BYTES: u32 = 8448;

/// How much work a dispatch covers, before a schedule says how many workgroups that takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grid {
    /// So many elements.
    Flat(usize),
    /// A workgroup a row.
    Rows(usize),
    /// A matrix of so many rows and columns, in tiles.
    Matrix(usize, usize),
}

/// One buffer of a plan.
#[derive(Clone, Debug)]
pub struct BufferSpec {
    /// The label: the tensor's name.
    pub name: String,
    /// The number of elements, four bytes each on the device.
    pub words: usize,
    /// What the elements are.
    pub dtype: Dtype,
}

impl BufferSpec {
    /// The size on the device, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        4 * self.words as u64
    }
}

/// What a device allows, as far as a plan is concerned.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest buffer, in bytes.
    pub buffer_bytes: u64,
    /// The largest storage binding, in bytes.
    pub binding_bytes: u64,
    /// Storage bindings in one dispatch.
    pub storage_bindings: u32,
    /// Uniform bindings in one dispatch.
    pub uniform_bindings: u32,
    /// Bind groups in one dispatch.
    pub bind_groups: u32,
    /// Invocations in one workgroup.
    pub invocations: u32,
    /// The most invocations along the first and the second side of a workgroup.
    pub workgroup_sides: [u32; 2],
    /// The most workgroups along one side of a grid.
    pub workgroups: u32,
    /// Workgroup memory, in bytes.
    pub workgroup_bytes: u32,
}

impl Limits {
    /// The largest buffer of a plan, which is bound as one, in bytes.
    #[must_use]
    pub fn most_bytes(&self) -> u64 {
        self.buffer_bytes.min(self.binding_bytes)
    }
}

/// Every buffer of a model: nothing is allocated that is not in its plan.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    buffers: Vec<BufferSpec>,
    margin: usize,
    shared: Option<Shared>,
}

/// The tensors of a plan whose recordings share what has one name and one shape.
#[derive(Clone, Debug, Default)]
struct Shared {
    made: HashMap<String, Vec<Tensor>>,
    /// Those that the recording under way has taken.
    taken: HashSet<Tensor>,
}

impl Plan {
    /// An empty plan.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty plan that leaves a margin before and after every tensor, where a test can look for
    /// writes out of bounds.
    #[must_use]
    pub fn with_margins() -> Self {
        Self { margin: OFFSET_ALIGNMENT, ..Self::default() }
    }

    /// The same plan, but from now on a recording takes the tensors that an earlier one made under the
    /// same name and of the same shape, so that programs which run in turn share their room. What a
    /// program leaves behind is there for the next one to read, as long as none between writes it.
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.shared = Some(Shared::default());
        self
    }

    /// Begins a recording: it may take every tensor that is shared.
    pub(crate) fn begin(&mut self) {
        if let Some(shared) = &mut self.shared {
            shared.taken.clear();
        }
    }

    /// Leaves a buffer without room, whose tensors have moved to others; no later recording takes them.
    pub(crate) fn forget(&mut self, buffer: BufferId) {
        self.buffers[buffer.0].words = 0;
        for made in self.shared.iter_mut().flat_map(|shared| shared.made.values_mut()) {
            made.retain(|tensor| tensor.buffer != buffer);
        }
    }

    /// The elements before and after each tensor that no kernel may touch.
    #[must_use]
    pub fn margin(&self) -> usize {
        self.margin
    }

    /// The buffers.
    #[must_use]
    pub fn buffers(&self) -> &[BufferSpec] {
        &self.buffers
    }

    /// The sum of the buffers' sizes on the device, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.buffers.iter().map(BufferSpec::bytes).sum()
    }

    /// A new buffer of `words` elements, without margins.
    pub fn buffer(&mut self, name: &str, words: usize, dtype: Dtype) -> BufferId {
        self.buffers.push(BufferSpec { name: name.to_owned(), words, dtype });
        BufferId(self.buffers.len() - 1)
    }

    /// Makes a buffer longer by `words` elements and gives the offset of the first, aligned so that
    /// it can be bound. There are margins at both ends of the buffer, and none within.
    pub fn grow(&mut self, buffer: BufferId, words: usize) -> usize {
        let spec = &mut self.buffers[buffer.0];
        let end = spec.words.saturating_sub(self.margin).max(self.margin);
        let offset = end.next_multiple_of(OFFSET_ALIGNMENT);
        spec.words = offset + words + self.margin;
        offset
    }

    /// Makes a buffer as long as another.
    pub(crate) fn make_as_long(&mut self, buffer: BufferId, other: BufferId) {
        self.buffers[buffer.0].words = self.buffers[other.0].words;
    }

    /// The buffers that a session lacks whose buffers are of these sizes, in bytes: those that the plan has
    /// got since, and those that had no room yet.
    ///
    /// # Panics
    ///
    /// If one that had room has another size now, since what it holds would be lost.
    pub(crate) fn lacking(&self, made: &[u64]) -> Vec<(usize, &BufferSpec)> {
        let lacks = |&(i, spec): &(usize, &BufferSpec)| {
            let (name, before, now) = (&spec.name, made.get(i).copied().unwrap_or(0), spec.bytes());
            assert!(
                before == 0 || before == now,
                "`{name}`, in use, was {before} bytes and is {now}"
            );
            i >= made.len() || before != now
        };
        self.buffers.iter().enumerate().filter(lacks).collect()
    }

    /// A matrix of floats in a buffer of its own, rows and columns padded to [`PAD`](crate::engine::PAD).
    pub fn matrix(&mut self, name: &str, rows: usize, cols: usize) -> Tensor {
        let shape = Tensor::matrix(BufferId(0), self.margin, rows, cols);
        self.tensor(name, shape)
    }

    /// A vector of floats in a buffer of its own, padded to [`PAD`](crate::engine::PAD).
    pub fn vector(&mut self, name: &str, len: usize) -> Tensor {
        self.tensor(name, Tensor::vector(BufferId(0), self.margin, len, Dtype::F32))
    }

    /// A vector of words in a buffer of its own, padded to [`PAD`](crate::engine::PAD).
    pub fn words(&mut self, name: &str, len: usize) -> Tensor {
        self.tensor(name, Tensor::vector(BufferId(0), self.margin, len, Dtype::U32))
    }

    /// A tensor like this one, in a buffer of its own: one that an earlier recording made, if it is shared.
    fn tensor(&mut self, name: &str, shape: Tensor) -> Tensor {
        if let Some(shared) = &mut self.shared {
            let like = |made: &&Tensor| Tensor { buffer: shape.buffer, ..**made } == shape;
            let mut made = shared.made.get(name).into_iter().flatten().filter(like);
            if let Some(&found) = made.find(|found| !shared.taken.contains(*found)) {
                shared.taken.insert(found);
                return found;
            }
        }
        let buffer = self.buffer(name, shape.words + 2 * self.margin, shape.dtype);
        let made = Tensor { buffer, ..shape };
        if let Some(shared) = &mut self.shared {
            shared.made.entry(name.to_owned()).or_default().push(made);
            shared.taken.insert(made);
        }
        made
    }

    /// The name of the buffer that a tensor lies in.
    #[must_use]
    pub fn name(&self, tensor: Tensor) -> &str {
        &self.buffers[tensor.buffer.0].name
    }

    /// Compares every buffer with what a device allows, before anything is allocated.
    ///
    /// # Errors
    ///
    /// A [`Limit`](ErrorKind::Limit) error that names the first buffer that is too large.
    pub fn check(&self, limits: &Limits) -> Result<()> {
        let fail = |what: String, hint: &str| {
            Err(Error::new(ErrorKind::Limit, format!("the plan does not fit the device: {what}"))
                .hint(hint))
        };
        // What the schedules that run everywhere need: no more than WebGPU's default limits.
        let needs = [
            ("storage buffers in a stage", limits.storage_bindings, MAX_BINDINGS as u32),
            ("uniform buffers in a stage", limits.uniform_bindings, 2),
            ("bind groups", limits.bind_groups, 2),
            ("invocations in a workgroup", limits.invocations, 256),
            ("invocations along a workgroup", limits.workgroup_sides[0], 256),
            ("invocations along a workgroup's second side", limits.workgroup_sides[1], 8),
            ("workgroups along a grid", limits.workgroups, MAX_GROUPS as u32),
            ("bytes of workgroup memory", limits.workgroup_bytes, MOST_WORKGROUP_BYTES),
        ];
        if let Some((what, found, needed)) = needs.iter().find(|(_, found, needed)| found < needed)
        {
            return fail(
                format!("it allows {found} {what}, {needed} are needed"),
                "ask for WebGPU's default limits when the device is made, or use `--device cpu`",
            );
        }
        let most = limits.most_bytes();
        match self.buffers.iter().find(|spec| spec.bytes() > most) {
            None => Ok(()),
            Some(spec) => fail(
                format!(
                    "`{}` takes {} bytes, a buffer may have {most} (the whole plan: {} bytes)",
                    spec.name,
                    spec.bytes(),
                    self.bytes()
                ),
                "choose a smaller batch or smaller layers, or use `--device cpu`",
            ),
        }
    }

    /// The largest buffer, where it is larger than a device allows, and how many bytes that are.
    #[must_use]
    pub fn beyond(&self, limits: &Limits) -> Option<(&BufferSpec, u64)> {
        let most = limits.most_bytes();
        let largest = self.buffers.iter().max_by_key(|spec| spec.words)?;
        (largest.bytes() > most).then_some((largest, most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_gets_what_it_lacks_and_loses_nothing() {
        let mut plan = Plan::new();
        let [used, late] = ["used", "late"].map(|name| plan.buffer(name, 0, Dtype::F32));
        plan.grow(used, 16);
        let made: Vec<_> = plan.buffers().iter().map(BufferSpec::bytes).collect();
        assert_eq!(made, [64, 0], "bytes at first");
        assert!(plan.lacking(&made).is_empty(), "nothing is new");
        plan.grow(late, 32);
        plan.vector("new", 16);
        let lacks = |plan: &Plan| plan.lacking(&made).iter().map(|&(i, _)| i).collect::<Vec<_>>();
        assert_eq!(lacks(&plan), [1, 2], "one that had no room, and one that was not there");
        plan.grow(used, 16);
        let grown = std::panic::catch_unwind(|| lacks(&plan)).expect_err("what it holds is lost");
        let text = grown.downcast_ref::<String>().expect("a text");
        assert!(text.contains("`used`, in use, was 64 bytes"), "{text}");
    }
}
