//! The choice between the two sessions: which device to run on, and one that runs there.

use crate::cpu::{self, ProgramId};
use crate::engine::report::{Report, Slots};
use crate::engine::{Plan, Program, Record, Tensor};
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{self, Gpu, Options, adapters};

/// Where programs run.
///
/// ```
/// use elbo::Device;
///
/// // A hardware GPU, or else the CPU with a thread for each core, and why it is that one.
/// let (device, why) = Device::choose("auto", 0)?;
/// println!("{}: {why}", device.name());
/// // On the CPU, two threads.
/// let (device, _) = Device::choose("cpu", 2)?;
/// assert_eq!(device.kind(), "cpu");
/// # Ok::<(), elbo::Error>(())
/// ```
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a program has one of it")]
pub enum Device {
    /// In memory, by so many threads; 0 takes as many as there are cores.
    Cpu(usize),
    /// On a device of ours or of the host application.
    Gpu(Gpu),
}

impl Device {
    /// Chooses by word: `auto` takes a hardware GPU and else the CPU, `gpu` any adapter, `cpu` the
    /// CPU; a number or a part of a name takes that adapter. With it comes the reason, to be shown.
    ///
    /// # Errors
    ///
    /// If there is no such adapter, or it gives no device.
    pub fn choose(word: &str, threads: usize) -> Result<(Self, String)> {
        Self::choose_with(word, threads, &Options::default())
    }

    /// The same, where a GPU is opened by choice.
    ///
    /// # Errors
    ///
    /// As [`choose`](Self::choose).
    pub fn choose_with(word: &str, threads: usize, options: &Options) -> Result<(Self, String)> {
        let lower = word.to_lowercase();
        if lower == "cpu" {
            return Ok((Self::Cpu(threads), "as asked".to_owned()));
        }
        let found = adapters();
        let hardware = found.iter().position(|adapter| !adapter.software);
        let (number, why) = match (lower.as_str(), hardware) {
            ("auto", None) => {
                let why = if found.is_empty() {
                    "wgpu found no adapter".to_owned()
                } else {
                    format!("no hardware GPU; `{}` is software", found[0].name)
                };
                return Ok((Self::Cpu(threads), why));
            }
            ("auto", Some(number)) => {
                return Ok(match Gpu::open_with(number, options) {
                    Ok(gpu) => (Self::Gpu(gpu), "a hardware GPU".to_owned()),
                    Err(e) => (Self::Cpu(threads), format!("the GPU is of no use: {e}")),
                });
            }
            ("gpu", Some(number)) => (number, "a hardware GPU"),
            ("gpu", None) => (0, "a software adapter, the only kind here"),
            _ => {
                let named = |a: &gpu::AdapterDescription| {
                    !lower.is_empty() && a.name.to_lowercase().contains(&lower)
                };
                let number = lower.parse().ok().or_else(|| found.iter().position(named));
                (number.unwrap_or(usize::MAX), "as asked")
            }
        };
        if number >= found.len() {
            let names: Vec<_> = found.iter().map(|adapter| format!("`{}`", adapter.name)).collect();
            let names = if names.is_empty() { "no GPU".to_owned() } else { names.join(", ") };
            let what = format!("there is no device `{word}`; wgpu found {names}");
            let hint = "take `auto`, `cpu`, `gpu`, or a number or name that `elbo devices` lists";
            return Err(Error::new(ErrorKind::Device, what).hint(hint));
        }
        Ok((Self::Gpu(Gpu::open_with(number, options)?), why.to_owned()))
    }

    /// What the schedules of a program were chosen by: `measured`, or `rule`.
    #[must_use]
    pub fn schedules(&self, program: &Program) -> &'static str {
        match self {
            Self::Gpu(gpu) if gpu.is_tuned(program) => "measured",
            _ => "rule",
        }
    }

    /// Measures the schedules of a program, where that is asked for; see [`Gpu::tune`].
    pub fn tune(&self, plan: &Plan, program: &Program, record: &Record) {
        if let Self::Gpu(gpu) = self {
            gpu.tune(plan, program, record);
        }
    }

    /// `cpu` or `gpu`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Cpu(_) => "cpu",
            Self::Gpu(_) => "gpu",
        }
    }

    /// What the bits of its results depend on, in words; on the CPU that is not the number of threads.
    #[must_use]
    pub fn numerics(&self) -> String {
        match self {
            Self::Cpu(_) => "the CPU".to_owned(),
            Self::Gpu(gpu) => {
                let gpu::AdapterDescription { name, driver, backend, .. } = gpu.description();
                let precision = if gpu.is_mixed() { "mixed precision" } else { "f32" };
                format!("{name} ({backend}, {driver}, {precision})")
            }
        }
    }

    /// What it is, in words.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Cpu(0) => "CPU, one thread a core".to_owned(),
            Self::Cpu(1) => "CPU, 1 thread".to_owned(),
            Self::Cpu(threads) => format!("CPU, {threads} threads"),
            Self::Gpu(gpu) => gpu.description().name.clone(),
        }
    }
}

/// The buffers and programs of a plan, on either device.
#[derive(Debug)]
pub enum Session {
    /// In memory.
    Cpu(Box<cpu::Session<f32>>),
    /// On a device.
    Gpu(Box<gpu::Session>),
}

impl Session {
    /// Makes every buffer of a plan, filled with zeros.
    ///
    /// # Errors
    ///
    /// If the plan does not fit the device or its memory.
    pub fn new(device: &Device, plan: &Plan, slots: Slots) -> Result<Self> {
        Ok(match device {
            Device::Cpu(threads) => {
                Self::Cpu(Box::new(cpu::Session::new(plan, Some(slots), *threads)?))
            }
            Device::Gpu(gpu) => Self::Gpu(Box::new(gpu::Session::new(gpu, plan, Some(slots))?)),
        })
    }

    /// Makes the buffers that the plan has got since the session was made, filled with zeros: a program
    /// that was recorded later needs them.
    ///
    /// # Errors
    ///
    /// If the plan does not fit the device or its memory.
    ///
    /// # Panics
    ///
    /// If a buffer that had room has another size now, since what it holds would be lost.
    pub fn extend(&mut self, plan: &Plan) -> Result<()> {
        match self {
            Self::Cpu(session) => session.extend(plan),
            Self::Gpu(session) => session.extend(plan),
        }
    }

    /// Takes a program that [`run`](Self::run) can run.
    ///
    /// # Errors
    ///
    /// If the device refuses a shader.
    pub fn load(&mut self, program: &Program) -> Result<ProgramId> {
        match self {
            Self::Cpu(session) => Ok(session.load(program)),
            Self::Gpu(session) => session.load(program),
        }
    }

    /// Writes a tensor's elements, row by row, without padding.
    ///
    /// # Errors
    ///
    /// If the session has no room for the tensor, or the device is lost.
    ///
    /// # Panics
    ///
    /// If there are more or fewer than the tensor has, or if it holds words.
    pub fn write(&mut self, tensor: Tensor, values: &[f32]) -> Result<()> {
        self.check_room(tensor)?;
        match self {
            Self::Cpu(session) => {
                session.write(tensor, values);
                Ok(())
            }
            Self::Gpu(session) => session.write(tensor, values),
        }
    }

    /// Writes elements with the padding, from `first` on, as the bits of f32 or as words.
    ///
    /// # Errors
    ///
    /// If the session has no room for the tensor, or the device is lost.
    ///
    /// # Panics
    ///
    /// If they do not fit the tensor.
    pub fn write_bits(&mut self, tensor: Tensor, first: usize, bits: &[u32]) -> Result<()> {
        self.check_room(tensor)?;
        match self {
            Self::Cpu(session) => {
                session.write_bits(tensor, first, bits);
                Ok(())
            }
            Self::Gpu(session) => session.write_bits(tensor, first, bits),
        }
    }

    /// Reads a tensor's elements, row by row, without padding. Waits for the device.
    ///
    /// # Errors
    ///
    /// If the session has no room for the tensor, or the device is lost or does not answer in time.
    ///
    /// # Panics
    ///
    /// If it holds words.
    pub fn read(&mut self, tensor: Tensor) -> Result<Vec<f32>> {
        self.check_room(tensor)?;
        match self {
            Self::Cpu(session) => Ok(session.read(tensor)),
            Self::Gpu(session) => session.read(tensor),
        }
    }

    /// Reads all elements with the padding, as bits. Waits for the device.
    pub(crate) fn read_bits(&mut self, tensor: Tensor) -> Result<Vec<u32>> {
        self.check_room(tensor)?;
        match self {
            Self::Cpu(session) => Ok(session.read(tensor).into_iter().map(f32::to_bits).collect()),
            Self::Gpu(session) => session.read_bits(tensor, 0, tensor.words()),
        }
    }

    /// Refuses a tensor that there is no room for. There is some once a program that uses it was recorded and
    /// the session extended: a step that updates weights where their gradients are made has none for those.
    fn check_room(&self, tensor: Tensor) -> Result<()> {
        let words = match self {
            Self::Cpu(session) => session.room(tensor.buffer()),
            Self::Gpu(session) => session.room(tensor.buffer()),
        };
        let range = tensor.range();
        if range.end <= words {
            return Ok(());
        }
        let what =
            format!("words {range:?} of a buffer for which the session has room for {words}");
        Err(Error::config(what)
            .hint("record a program that uses the tensor, and extend the session by its plan"))
    }

    /// Runs a program once for each record; gives the tick of the first. A device may still be at
    /// it on return. Of reports that nobody takes the newest
    /// [`UNTAKEN`](crate::engine::report::UNTAKEN) are kept.
    ///
    /// # Errors
    ///
    /// If the device is lost, refuses, or does not finish in time.
    ///
    /// # Panics
    ///
    /// If there are more records than [`SLOTS`](crate::engine::record::SLOTS).
    pub fn run(&mut self, program: ProgramId, records: &[Record]) -> Result<u32> {
        match self {
            Self::Cpu(session) => Ok(session.run(program, records)),
            Self::Gpu(session) => session.run(program, records),
        }
    }

    /// The same, a program for each record, and keeps the reports until they are taken: for who waits for
    /// each. The time that they take counts as that of `program`.
    pub(crate) fn run_awaited(
        &mut self,
        program: ProgramId,
        programs: &[ProgramId],
        records: &[Record],
    ) -> Result<u32> {
        match self {
            Self::Cpu(session) => Ok(session.run_for(programs, records, true)),
            Self::Gpu(session) => session.run_for(program, programs, records, true),
        }
    }

    /// How many steps of a program are well run at once: on a device as many as keep it for
    /// [`SUBMIT_BUDGET`](gpu::SUBMIT_BUDGET), as far as it is known.
    #[must_use]
    pub fn steps_per_submit(&self, program: ProgramId) -> usize {
        match self {
            // Each is done on return, so that any number is as fast.
            Self::Cpu(_) => 1,
            Self::Gpu(session) => session.steps_per_submit(program),
        }
    }

    /// The oldest step's report that was not taken yet; with `wait`, waits for one on its way.
    ///
    /// # Errors
    ///
    /// If the device is lost or does not finish in time.
    pub fn next_report(&mut self, wait: bool) -> Result<Option<Report>> {
        match self {
            Self::Cpu(session) => Ok(session.next_report()),
            Self::Gpu(session) => session.next_report(wait),
        }
    }

    /// Waits until everything that was queued is done.
    ///
    /// # Errors
    ///
    /// If the device is lost or does not finish in time.
    pub fn wait(&self) -> Result<()> {
        match self {
            Self::Cpu(_) => Ok(()),
            Self::Gpu(session) => session.wait(),
        }
    }

    /// Runs a program once, and gives the kernels' names with the seconds that each dispatch took:
    /// by the device's timestamps around a pass of its own, or by the host's clock on the CPU. The
    /// step's report is left out.
    ///
    /// # Errors
    ///
    /// If the device has no timestamps, is lost, or does not finish in time.
    pub fn profile(&mut self, program: ProgramId, record: Record) -> Result<Vec<(String, f64)>> {
        match self {
            Self::Cpu(session) => Ok(session.profile(program, record)),
            Self::Gpu(session) => session.profile(program, record),
        }
    }
}
