//! A plan's buffers and pipelines on a device: created once, then encoded for each step.

mod read;

use std::collections::HashMap;
use std::time::Instant;

use crate::cpu::{ProgramId, fits_memory};
use crate::engine::plan::BufferSpec;
use crate::engine::record::{Record, SLOTS};
use crate::engine::report::{Report, Slots};
use crate::engine::{BufferId, Dispatch, Plan, Program, Tensor};
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::Gpu;
use crate::gpu::pace::Submit;
use crate::gpu::records::Records;
use crate::gpu::ring::Ring;

/// Bytes that go to the device in one piece; more would need as much staging memory at once.
const PIECE: usize = 8 << 20;

/// A dispatch, resolved.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    /// The kernel's, with its schedule where it has a choice.
    pub(super) name: String,
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    workgroups: [u32; 3],
}

impl Resolved {
    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
        let [x, y, z] = self.workgroups;
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.dispatch_workgroups(x, y, z);
    }
}

#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) dispatches: Vec<Resolved>,
    /// Where the program leaves what it reports, if it does.
    slots: Option<Slots>,
}

/// The buffers and programs of a plan on a device.
#[derive(Debug)]
pub struct Session {
    gpu: Gpu,
    buffers: Vec<wgpu::Buffer>,
    pub(super) programs: Vec<Loaded>,
    resolved: HashMap<(&'static str, Vec<u8>, Vec<Tensor>), Resolved>,
    slots: Option<Slots>,
    pub(super) records: Records,
    ring: Ring,
    /// Reports that were asked for so far.
    tick: u32,
    /// Whether a submit failed, or its report: then it is not known what the device holds.
    broken: bool,
}

impl Session {
    /// Makes every buffer of a plan, filled with zeros. Programs that write the slots report.
    ///
    /// # Errors
    ///
    /// If the plan does not fit the device's limits or its memory.
    pub fn new(gpu: &Gpu, plan: &Plan, slots: Option<Slots>) -> Result<Self> {
        plan.check(&gpu.limits())?;
        let made = || (Records::new(gpu), Ring::new(gpu));
        let (records, ring) = gpu.guarded("allocate the records of steps", made)?;
        let mut session = Self {
            gpu: gpu.clone(),
            buffers: Vec::new(),
            programs: Vec::new(),
            resolved: HashMap::new(),
            slots,
            records,
            ring,
            tick: 0,
            broken: false,
        };
        session.extend(plan)?;
        Ok(session)
    }

    /// Makes the buffers that the plan has got since the session was made, filled with zeros.
    ///
    /// # Errors
    ///
    /// If the plan does not fit the device's limits or its memory.
    ///
    /// # Panics
    ///
    /// If a buffer that had room has another size now, since what it holds would be lost.
    pub fn extend(&mut self, plan: &Plan) -> Result<()> {
        let made: Vec<_> = self.buffers.iter().map(wgpu::Buffer::size).collect();
        let new = plan.lacking(&made);
        if new.is_empty() {
            return Ok(());
        }
        plan.check(&self.gpu.limits())?;
        let bytes = new.iter().map(|(_, spec)| spec.bytes()).sum();
        if self.gpu.description().software {
            // It takes the machine's own, and promises any amount.
            fits_memory(bytes)?;
        }
        let gpu = self.gpu.clone();
        let made = gpu.guarded(&format!("allocate {bytes} bytes"), || {
            let make = |(_, spec): &(usize, &BufferSpec)| {
                gpu.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some(&format!("elbo {}", spec.name)),
                    size: spec.bytes(),
                    usage: wgpu::BufferUsages::STORAGE
                        | wgpu::BufferUsages::COPY_SRC
                        | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                })
            };
            new.iter().map(make).collect::<Vec<_>>()
        })?;
        for ((i, _), made) in new.into_iter().zip(made) {
            match self.buffers.get_mut(i) {
                Some(buffer) => *buffer = made,
                None => self.buffers.push(made),
            }
        }
        Ok(())
    }

    /// The device the session runs on.
    #[must_use]
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Makes the pipelines and bind groups of a program, which [`run`](Self::run) can then run.
    ///
    /// # Errors
    ///
    /// If the device refuses a shader.
    pub fn load(&mut self, program: &Program) -> Result<ProgramId> {
        let gpu = self.gpu.clone();
        let dispatches = gpu.guarded(&format!("load `{}`", program.name), || {
            program.dispatches.iter().map(|dispatch| self.resolve(dispatch)).collect()
        });
        if dispatches.is_err() {
            // What was made is invalid, and must not serve this session or the next.
            self.resolved.clear();
            gpu.forget_pipelines();
        }
        let dispatches = dispatches?;
        let slots = self.slots.filter(|slots| program.writes(slots.values));
        self.programs.push(Loaded { dispatches, slots });
        Ok(ProgramId(self.programs.len() - 1))
    }

    /// The same, by the schedule of this name where a kernel has it.
    pub(super) fn load_by(&mut self, program: &Program, name: &'static str) -> Result<ProgramId> {
        self.gpu.schedule = Some(name);
        self.resolved.clear();
        self.load(program)
    }

    fn resolve(&mut self, dispatch: &Dispatch) -> Resolved {
        let (kernel, params) = (dispatch.kernel, &dispatch.params);
        let key = (kernel.name(), params.clone(), dispatch.bindings.clone());
        if let Some(resolved) = self.resolved.get(&key) {
            return resolved.clone();
        }
        let schedule = self.gpu.schedule(dispatch);
        let pipeline = self.gpu.pipeline(kernel, schedule, params);
        let mut bytes = params.clone();
        bytes.resize(bytes.len().next_multiple_of(16), 0);
        let uniform = self.gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(&format!("elbo {} parameters", kernel.name())),
            size: bytes.len() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.gpu.queue.write_buffer(&uniform, 0, &bytes);
        let storage = dispatch.bindings.iter().map(|tensor| {
            wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &self.buffers[tensor.buffer().index()],
                offset: 4 * tensor.range().start as u64,
                size: std::num::NonZeroU64::new(4 * tensor.words() as u64),
            })
        });
        let resources = std::iter::once(uniform.as_entire_binding()).chain(storage);
        let entries: Vec<_> = (0..)
            .zip(resources)
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource })
            .collect();
        let group = self.gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&format!("elbo {}", kernel.name())),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        let workgroups = schedule.groups(dispatch.grid);
        let name = match kernel.schedules() {
            [_] => kernel.name().to_owned(),
            _ => format!("{} ({})", kernel.name(), schedule.name),
        };
        let resolved = Resolved { name, pipeline, group, workgroups };
        self.resolved.insert(key, resolved.clone());
        resolved
    }

    /// Writes elements with the padding, from `first` on, as the bits of f32 or as words.
    ///
    /// # Errors
    ///
    /// If the device is lost.
    ///
    /// # Panics
    ///
    /// If they do not fit the tensor.
    pub fn write_bits(&mut self, tensor: Tensor, first: usize, bits: &[u32]) -> Result<()> {
        assert!(first + bits.len() <= tensor.words(), "{} elements for {tensor:?}", bits.len());
        let buffer = &self.buffers[tensor.buffer().index()];
        let start = 4 * (tensor.range().start + first) as u64;
        let bytes: &[u8] = bytemuck::cast_slice(bits);
        for (i, piece) in bytes.chunks(PIECE).enumerate() {
            self.gpu.guarded("write a tensor", || {
                self.gpu.queue.write_buffer(buffer, start + (i * PIECE) as u64, piece);
                if bytes.len() > PIECE {
                    self.gpu.queue.submit([]);
                }
            })?;
            if bytes.len() > PIECE {
                self.gpu.wait(None, "take the data")?;
            }
        }
        Ok(())
    }

    /// Fills the margins round every tensor of a plan that has them.
    pub(crate) fn fill_margins(&mut self, plan: &Plan, sentinel: u32) -> Result<()> {
        let words = vec![sentinel; plan.margin()];
        let bytes: &[u8] = bytemuck::cast_slice(&words);
        self.gpu.guarded("fill margins", || {
            // An arena of which nothing has been recorded has no buffer yet.
            for buffer in self.buffers.iter().filter(|buffer| buffer.size() > 0) {
                self.gpu.queue.write_buffer(buffer, 0, bytes);
                let last = buffer.size() - bytes.len() as u64;
                self.gpu.queue.write_buffer(buffer, last, bytes);
            }
        })
    }

    /// Writes a tensor's elements, row by row, without padding.
    ///
    /// # Errors
    ///
    /// If the device is lost.
    pub fn write(&mut self, tensor: Tensor, values: &[f32]) -> Result<()> {
        assert_eq!(values.len(), tensor.rows() * tensor.cols(), "the elements of a tensor");
        let mut bits = vec![0; tensor.words()];
        for (row, values) in bits.chunks_mut(tensor.stride()).zip(values.chunks(tensor.cols())) {
            row.iter_mut().zip(values).for_each(|(bits, value)| *bits = value.to_bits());
        }
        self.write_bits(tensor, 0, &bits)
    }

    /// Runs a program once for each record, in one command buffer and one submit. It returns the first tick when the submit is queued; it waits only if too many are in flight.
    /// Of reports that nobody takes the newest [`UNTAKEN`](crate::engine::report::UNTAKEN) are kept.
    ///
    /// # Errors
    ///
    /// If the device is lost, refuses, or does not finish an earlier submit in time.
    ///
    /// # Panics
    ///
    /// If there are more records than [`SLOTS`].
    pub fn run(&mut self, program: ProgramId, records: &[Record]) -> Result<u32> {
        self.run_for(program, &vec![program; records.len()], records, false)
    }

    /// The same, a program for each record, and keeps the reports until they are taken, if they are
    /// `awaited`. The time that they take counts as that of `program`.
    pub(crate) fn run_for(
        &mut self,
        program: ProgramId,
        programs: &[ProgramId],
        records: &[Record],
        awaited: bool,
    ) -> Result<u32> {
        assert!(records.len() <= SLOTS, "{} records in one submit", records.len());
        if self.broken {
            let what = "an earlier submit failed, so that what the device holds is not known";
            return Err(Error::new(ErrorKind::Lost, what).hint("start again from what was saved"));
        }
        let mut report = None;
        if let Some(slots) = self.programs[program.0].slots {
            let taken = self.ring.take(&self.gpu);
            report = Some((slots, self.note(taken)?));
        }
        let ticks = report.is_some();
        let (gpu, first) = (self.gpu.clone(), self.tick);
        let submitted = gpu.guarded("run a program", || {
            self.records.write(&gpu.queue, records);
            let mut encoder = self.encode(programs);
            if let Some((slots, stage)) = &report {
                let [values, guard] = [slots.values, slots.guard].map(|t| self.start(t));
                Ring::copy(&mut encoder, values, guard, stage, records.len());
            }
            let commands = encoder.finish();
            let at = Instant::now();
            let submission = gpu.queue.submit([commands]);
            if let Some((_, stage)) = report {
                let submit = Submit { program: program.0, steps: records.len(), at };
                self.ring.map(stage, submission, (first, awaited), submit);
            }
        });
        let submitted = self.note(submitted);
        if ticks {
            self.tick = self.tick.wrapping_add(records.len() as u32);
        }
        submitted.map(|()| first)
    }

    /// How many steps of a program may share a submit, so that it keeps the device no longer than
    /// [`SUBMIT_BUDGET`](crate::gpu::SUBMIT_BUDGET), or the one step that takes longer: what the
    /// reports that came so far say, at first one.
    #[must_use]
    pub fn steps_per_submit(&self, program: ProgramId) -> usize {
        self.ring.pace.steps(program.0)
    }

    /// Remembers a failure that the session cannot go on after. A wait that ended early is none:
    /// what it waited for is still under way.
    pub(super) fn note<R>(&mut self, result: Result<R>) -> Result<R> {
        self.broken |= result.as_ref().is_err_and(|e| e.kind() != ErrorKind::Timeout);
        result
    }

    /// Words of a buffer, of which there are none before a program needs it.
    pub(crate) fn room(&self, buffer: BufferId) -> usize {
        self.buffers.get(buffer.index()).map_or(0, |buffer| buffer.size() as usize / 4)
    }

    /// The buffer of a tensor, and where in it the tensor starts, in bytes.
    fn start(&self, tensor: Tensor) -> (&wgpu::Buffer, u64) {
        (&self.buffers[tensor.buffer().index()], 4 * tensor.range().start as u64)
    }

    /// Encodes a program for each of the submit's records: one pass in one command buffer, since
    /// another of either costs the host as much as several dispatches.
    fn encode(&self, programs: &[ProgramId]) -> wgpu::CommandEncoder {
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for (slot, program) in programs.iter().enumerate() {
            pass.set_bind_group(1, self.records.group(slot), &[]);
            self.programs[program.0].dispatches.iter().for_each(|d| d.encode(&mut pass));
        }
        drop(pass);
        encoder
    }

    /// The oldest step's report that was not taken yet. With `wait`, waits for one that is on its
    /// way; without, gives what has arrived.
    ///
    /// # Errors
    ///
    /// If the device is lost or does not finish in time.
    pub fn next_report(&mut self, wait: bool) -> Result<Option<Report>> {
        if let Some(report) = self.ring.next() {
            return Ok(Some(report));
        }
        let wait = wait && self.ring.in_flight();
        let collected = self.ring.collect(&self.gpu, wait);
        self.note(collected)?;
        Ok(self.ring.next())
    }
}
