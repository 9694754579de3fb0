//! The CPU session: the same programs through the kernels' references and CPU schedules.
//!
//! In f32 it is what trains on a machine without a GPU; in f64 it is the oracle of the tests.

use std::ops::Range;
use std::time::Instant;

use crate::engine::plan::BufferSpec;
use crate::engine::report::{Report, SLOT, Slots, Untaken, VALUES};
use crate::engine::{Access, Arg, BufferId, Dispatch, Dtype, Plan, Program, Real, Record, Tensor};
use crate::error::{Error, ErrorKind, Result};

/// Names a program that a session has loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramId(pub(crate) usize);

#[derive(Debug)]
enum Buffer<T> {
    Floats(Vec<T>),
    Words(Vec<u32>),
}

impl<T: Real> Buffer<T> {
    /// The elements of a buffer, if there is memory for them.
    fn zeros(spec: &BufferSpec) -> Option<Self> {
        let mut floats = Vec::new();
        let mut words = Vec::new();
        match spec.dtype {
            Dtype::F32 => floats.try_reserve_exact(spec.words).ok()?,
            Dtype::U32 => words.try_reserve_exact(spec.words).ok()?,
        }
        Some(match spec.dtype {
            Dtype::F32 => {
                floats.resize(spec.words, T::zero());
                Self::Floats(floats)
            }
            Dtype::U32 => {
                words.resize(spec.words, 0);
                Self::Words(words)
            }
        })
    }

    fn len(&self) -> usize {
        match self {
            Self::Floats(data) => data.len(),
            Self::Words(data) => data.len(),
        }
    }
}

/// How a kernel is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedules {
    /// The CPU schedule where there is one.
    Fast,
    /// Always the plain loop.
    Reference,
}

/// More threads than this are a slip of the finger, and would stall the machine.
const MOST_THREADS: usize = 1024;

/// The buffers and programs of a plan in memory.
#[derive(Debug)]
pub struct Session<T> {
    buffers: Vec<Buffer<T>>,
    programs: Vec<Program>,
    slots: Option<Slots>,
    tick: u32,
    untaken: Untaken,
    pool: rayon::ThreadPool,
    schedules: Schedules,
}

impl<T: Real> Session<T> {
    /// Makes every buffer of a plan, filled with zeros. `threads` 0 takes as many as there are
    /// cores; the results do not depend on it. Programs that write the slots report.
    ///
    /// # Errors
    ///
    /// If the system gives no threads or no memory.
    pub fn new(plan: &Plan, slots: Option<Slots>, threads: usize) -> Result<Self> {
        if threads > MOST_THREADS {
            let what = format!("`threads` is {threads}; at most {MOST_THREADS} make sense");
            return Err(
                Error::config(what).hint("leave `--threads` out for one thread on each core")
            );
        }
        let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(threads).build() else {
            let what = format!("the system gives no {threads} threads");
            return Err(Error::new(ErrorKind::Limit, what));
        };
        let schedules = Schedules::Fast;
        let (buffers, programs, untaken) = (Vec::new(), Vec::new(), Untaken::default());
        let mut session = Self { buffers, programs, slots, tick: 0, untaken, pool, schedules };
        session.extend(plan)?;
        Ok(session)
    }

    /// Makes the buffers that the plan has got since the session was made, filled with zeros.
    ///
    /// # Errors
    ///
    /// If the system gives no memory.
    ///
    /// # Panics
    ///
    /// If a buffer that had room has another size now, since what it holds would be lost.
    pub fn extend(&mut self, plan: &Plan) -> Result<()> {
        let made: Vec<_> = self.buffers.iter().map(|buffer| 4 * buffer.len() as u64).collect();
        let new = plan.lacking(&made);
        fits_memory(new.iter().map(|(_, spec)| spec.bytes()).sum())?;
        for (i, spec) in new {
            let made = Buffer::zeros(spec).ok_or_else(|| {
                let (name, bytes, all) = (&spec.name, spec.bytes(), plan.bytes());
                let what = format!("no memory for `{name}`, {bytes} bytes of {all}");
                Error::new(ErrorKind::Limit, what).hint("choose a smaller batch or smaller layers")
            })?;
            match self.buffers.get_mut(i) {
                Some(buffer) => *buffer = made,
                None => self.buffers.push(made),
            }
        }
        Ok(())
    }

    /// Chooses between the CPU schedules and the references.
    pub fn set_schedules(&mut self, schedules: Schedules) {
        self.schedules = schedules;
    }

    /// The number of threads.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Takes a program that [`run`](Self::run) can run.
    pub fn load(&mut self, program: &Program) -> ProgramId {
        self.programs.push(program.clone());
        ProgramId(self.programs.len() - 1)
    }

    /// Words of a buffer, of which there are none before a program needs it.
    pub(crate) fn room(&self, buffer: BufferId) -> usize {
        self.buffers.get(buffer.index()).map_or(0, Buffer::len)
    }

    fn floats(&mut self, tensor: Tensor) -> &mut [T] {
        match &mut self.buffers[tensor.buffer().index()] {
            Buffer::Floats(data) => &mut data[tensor.range()],
            Buffer::Words(_) => panic!("a tensor of floats in a buffer of words"),
        }
    }

    fn words(&mut self, tensor: Tensor) -> &mut [u32] {
        match &mut self.buffers[tensor.buffer().index()] {
            Buffer::Words(data) => &mut data[tensor.range()],
            Buffer::Floats(_) => panic!("a tensor of words in a buffer of floats"),
        }
    }

    /// Writes a tensor's elements, row by row, without padding.
    ///
    /// # Panics
    ///
    /// If there are more or fewer than the tensor has, or if it holds words.
    pub fn write(&mut self, tensor: Tensor, values: &[T]) {
        assert_eq!(values.len(), tensor.rows() * tensor.cols(), "the elements of a tensor");
        let rows = self.floats(tensor).chunks_mut(tensor.stride());
        for (row, values) in rows.zip(values.chunks(tensor.cols())) {
            row[..tensor.cols()].copy_from_slice(values);
        }
    }

    /// Writes elements with the padding, from `first` on, as the bits of f32 or as words.
    ///
    /// # Panics
    ///
    /// If they do not fit the tensor.
    pub fn write_bits(&mut self, tensor: Tensor, first: usize, bits: &[u32]) {
        let range = first..first + bits.len();
        match tensor.dtype() {
            Dtype::U32 => self.words(tensor)[range].copy_from_slice(bits),
            Dtype::F32 => {
                for (to, from) in self.floats(tensor)[range].iter_mut().zip(bits) {
                    *to = T::from_f32(f32::from_bits(*from));
                }
            }
        }
    }

    /// Reads a tensor's elements, row by row, without padding.
    #[must_use]
    pub fn read(&mut self, tensor: Tensor) -> Vec<T> {
        let (rows, cols, stride) = (tensor.rows(), tensor.cols(), tensor.stride());
        let data = self.floats(tensor);
        (0..rows).flat_map(|row| &data[row * stride..row * stride + cols]).copied().collect()
    }

    /// Reads a tensor of words, padding included.
    #[must_use]
    pub fn read_words(&mut self, tensor: Tensor) -> Vec<u32> {
        self.words(tensor).to_vec()
    }

    /// Reads all floats of a buffer; words come as numbers.
    #[must_use]
    pub fn read_buffer(&self, index: usize) -> Vec<f64> {
        match &self.buffers[index] {
            Buffer::Floats(data) => data.iter().map(|v| v.widen()).collect(),
            Buffer::Words(data) => data.iter().map(|&v| f64::from(v)).collect(),
        }
    }

    /// Runs a program once for each record; gives the tick of the first. Of reports that nobody takes
    /// the newest [`UNTAKEN`](crate::engine::report::UNTAKEN) are kept.
    pub fn run(&mut self, program: ProgramId, records: &[Record]) -> u32 {
        self.run_for(&vec![program; records.len()], records, false)
    }

    /// The same, a program for each record, and keeps the reports until they are taken, if they are
    /// `awaited`.
    pub(crate) fn run_for(
        &mut self,
        programs: &[ProgramId],
        records: &[Record],
        awaited: bool,
    ) -> u32 {
        let first = self.tick;
        for (program, record) in programs.iter().zip(records) {
            let (buffers, schedules) = (&mut self.buffers, self.schedules);
            let program = &self.programs[program.0];
            on_threads::<T, _>(&self.pool, || {
                for dispatch in &program.dispatches {
                    execute(buffers, dispatch, record, schedules);
                }
            });
            if let Some(slots) = self.slots.filter(|slots| program.writes(slots.values)) {
                let report = self.report(slots);
                self.untaken.keep(report, awaited);
                self.tick = self.tick.wrapping_add(1);
            }
        }
        first
    }

    /// Reads what the step that just ran has left.
    fn report(&mut self, slots: Slots) -> Report {
        let mut values = [0.0; VALUES];
        let slot = &self.floats(slots.values)[1..SLOT];
        values.iter_mut().zip(slot).for_each(|(value, found)| *value = found.widen());
        let guard = self.words(slots.guard);
        let status = guard[0] | guard[1];
        Report { tick: self.tick, values, status }
    }

    /// Runs a program once, and gives the kernels' names with the seconds that each dispatch took.
    /// The step's report is left out.
    pub fn profile(&mut self, program: ProgramId, record: Record) -> Vec<(String, f64)> {
        let (buffers, schedules) = (&mut self.buffers, self.schedules);
        let dispatches = &self.programs[program.0].dispatches;
        on_threads::<T, _>(&self.pool, || {
            let timed = dispatches.iter().map(|dispatch| {
                let start = Instant::now();
                execute(buffers, dispatch, &record, schedules);
                (dispatch.kernel.name().to_owned(), start.elapsed().as_secs_f64())
            });
            timed.collect()
        })
    }

    /// The oldest step's report that was not taken yet.
    pub fn next_report(&mut self) -> Option<Report> {
        self.untaken.take()
    }
}

/// Does something on a pool's threads if kernels share work; to hand plain loops to one would only cost.
fn on_threads<T: Real, R: Send>(
    pool: &rayon::ThreadPool,
    something: impl FnOnce() -> R + Send,
) -> R {
    if T::PARALLEL { pool.install(something) } else { something() }
}

/// The machine's free memory in bytes, where the system tells.
pub(crate) fn free_memory() -> Option<u64> {
    let mut system = sysinfo::System::new().ok()?;
    system.refresh_memory();
    // What a container has left is not known: what it counts as used, it could take back from caches.
    let container = system.cgroup_limits().map_or(u64::MAX, |limits| limits.total_memory);
    Some(system.available_memory().min(container))
}

/// Refuses buffers that take more than the machine's free memory, where the system tells how much that
/// is. Systems promise memory that they do not have, and end the process that touches it.
///
/// # Errors
///
/// A [`Limit`](ErrorKind::Limit) error with both numbers.
pub(crate) fn fits_memory(bytes: u64) -> Result<()> {
    let Some(free) = free_memory().filter(|&free| bytes > free) else { return Ok(()) };
    let (needed, free) = (bytes >> 20, free >> 20);
    let what = format!("the plan takes {needed} MiB, and {free} MiB of memory are free");
    Err(Error::new(ErrorKind::Limit, what).hint("choose a smaller batch or smaller layers"))
}

/// Runs one dispatch.
fn execute<T: Real>(
    buffers: &mut [Buffer<T>],
    dispatch: &Dispatch,
    record: &Record,
    schedules: Schedules,
) {
    let args = arguments(buffers, dispatch);
    T::run(dispatch.kernel, &dispatch.params, record, args, schedules == Schedules::Reference);
}

/// Borrows each binding's range: shared where it is read, disjoint parts where it is written. The
/// work is that of the dispatch's own bindings, however many buffers there are.
fn arguments<'a, T: Real>(buffers: &'a mut [Buffer<T>], dispatch: &Dispatch) -> Vec<Arg<'a, T>> {
    let bindings = dispatch.kernel.bindings();
    let place = |i: usize| (dispatch.bindings[i].buffer().index(), dispatch.bindings[i].range());
    let mut order: Vec<usize> = (0..bindings.len()).collect();
    order.sort_by_key(|&i| (place(i).0, place(i).1.start));
    let mut args: Vec<Option<Arg<'a, T>>> = bindings.iter().map(|_| None).collect();
    let (mut rest, mut at) = (buffers, 0);
    for uses in order.chunk_by(|&i, &j| place(i).0 == place(j).0) {
        let index = place(uses[0]).0;
        let (buffer, after) =
            rest[index - at..].split_first_mut().expect("the plan has the buffer");
        (rest, at) = (after, index + 1);
        let ranges = uses.iter().map(|&i| place(i).1);
        // A dispatch reads a buffer or writes it, never both.
        let reads = bindings[uses[0]].access == Access::Read;
        let found: Vec<_> = match buffer {
            Buffer::Floats(data) => match reads {
                true => shared(data, ranges).map(Arg::Read).collect(),
                false => parts(data, ranges).map(Arg::Write).collect(),
            },
            Buffer::Words(data) => match reads {
                true => shared(data, ranges).map(Arg::ReadWords).collect(),
                false => parts(data, ranges).map(Arg::WriteWords).collect(),
            },
        };
        for (&i, arg) in uses.iter().zip(found) {
            args[i] = Some(arg);
        }
    }
    args.into_iter().map(|arg| arg.expect("each binding is in some buffer")).collect()
}

/// Ranges of data.
fn shared<E>(data: &[E], ranges: impl Iterator<Item = Range<usize>>) -> impl Iterator<Item = &[E]> {
    ranges.map(|range| &data[range])
}

/// Splits data into ranges that ascend and do not overlap.
fn parts<E>(
    data: &mut [E],
    ranges: impl Iterator<Item = Range<usize>>,
) -> impl Iterator<Item = &mut [E]> {
    let (mut rest, mut at) = (data, 0);
    ranges.map(move |range| {
        let (_, tail) = std::mem::take(&mut rest).split_at_mut(range.start - at);
        let (part, tail) = tail.split_at_mut(range.len());
        (rest, at) = (tail, range.end);
        part
    })
}
