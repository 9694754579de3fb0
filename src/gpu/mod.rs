//! The GPU session and the device it runs on: the only modules that name wgpu.
//!
//! The device is our own or the host application's. On a borrowed device nothing global is
//! touched: no handler is set, every call is made inside error scopes of its own, and it is only
//! waited for inside calls that say so.

// First, so that rustdoc lists it first: methods come in the order of modules.
mod open;

mod abilities;
mod adapter;
mod cache;
mod guard;
mod mixed;
mod pace;
mod pipeline;
mod profile;
mod records;
mod ring;
mod session;
mod tune;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::engine::{AnyKernel, Dispatch, Grid, Limits, Schedule, Suits};
use crate::gpu::abilities::Abilities;
use crate::gpu::cache::Cache;
use crate::gpu::pipeline::make_pipeline;
use crate::gpu::tune::Choices;

pub use adapter::{AdapterDescription, adapters};
pub use pace::SUBMIT_BUDGET;
pub use session::Session;
pub use tune::Tune;
pub use wgpu;

/// How a device of our own is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A folder where the driver's compiled pipelines are kept from run to run, if it can give them
    /// (Vulkan's can), and the schedules that were measured. Pipelines are written when the last
    /// clone of the device is dropped. A file that is broken, foreign or cannot be written is told
    /// to `tracing` and else left out.
    pub cache: Option<PathBuf>,
    /// When schedules are measured.
    pub tune: Tune,
}

/// Pipelines that were made, by kernel, schedule and compiled-in parameters.
type Pipelines = HashMap<(&'static str, &'static str, Vec<u32>), wgpu::ComputePipeline>;

/// A device to run on, our own or the host's. Clones share it.
#[derive(Clone, Debug)]
pub struct Gpu {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    description: AdapterDescription,
    timeout: Duration,
    schedule: Option<&'static str>,
    /// Where the adapter stands in [`adapters`], if the device is our own, and how it was opened.
    own: Option<(usize, Options)>,
    /// The cooperative matrices of the device: their size, if it was opened for them.
    matrices: Vec<u32>,
    /// Whether products use them.
    mixed: bool,
    /// Schedules that were measured.
    tuned: Arc<Mutex<Choices>>,
    pipelines: Arc<Mutex<Pipelines>>,
    cache: Option<Arc<Cache>>,
    lost: Arc<Mutex<Option<String>>>,
}

/// How long a wait for the device may take, unless [`Gpu::with_timeout`] says otherwise. A submit
/// of several steps of a large model takes seconds on a software adapter.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);

impl Gpu {
    /// The same device with another limit on how long a wait may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same device, where kernels that have a schedule of this name use it if the device can.
    #[must_use]
    pub fn with_schedule(mut self, name: &'static str) -> Self {
        self.schedule = Some(name);
        self
    }

    /// What the device runs on.
    #[must_use]
    pub fn description(&self) -> &AdapterDescription {
        &self.description
    }

    /// What the device allows a plan.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let limits = self.device.limits();
        Limits {
            buffer_bytes: limits.max_buffer_size,
            binding_bytes: limits.max_storage_buffer_binding_size,
            storage_bindings: limits.max_storage_buffers_per_shader_stage,
            uniform_bindings: limits.max_uniform_buffers_per_shader_stage,
            bind_groups: limits.max_bind_groups,
            invocations: limits.max_compute_invocations_per_workgroup,
            workgroup_sides: [
                limits.max_compute_workgroup_size_x,
                limits.max_compute_workgroup_size_y,
            ],
            workgroups: limits.max_compute_workgroups_per_dimension,
            workgroup_bytes: limits.max_compute_workgroup_storage_size,
        }
    }

    /// Whether the device can run a schedule.
    #[must_use]
    pub fn can_run(&self, schedule: &Schedule) -> bool {
        self.abilities().have(schedule.needs)
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            limits: self.device.limits(),
            features: self.device.features(),
            subgroups: self.description.subgroups,
            matrices: self.matrices.clone(),
        }
    }

    /// Whether a schedule that the device can run is worth choosing for a grid.
    fn suits(&self, schedule: &Schedule, grid: Grid) -> bool {
        match schedule.suits {
            Suits::All => true,
            Suits::Mixed => self.mixed,
            Suits::Hardware { groups } => {
                let [x, y, z] = schedule.groups(grid);
                !self.description.software && (x * y * z) as usize >= groups
            }
        }
    }

    /// The schedule that a dispatch runs by here: the one that was asked for, that was measured to be
    /// the fastest, or that the rule has, which is the first of the row that suits.
    pub(crate) fn schedule(&self, dispatch: &Dispatch) -> &'static Schedule {
        let named = |name: &str| {
            let mut all = dispatch.kernel.schedules().iter();
            all.find(|s| s.name == name && self.can_run(s))
        };
        let asked = self.schedule.and_then(named);
        let measured = || {
            let tuned = self.tuned();
            let name = if tuned.is_empty() { None } else { tuned.get(&tune::key(dispatch)) };
            name.and_then(|name| named(name))
        };
        asked.or_else(measured).unwrap_or_else(|| self.schedule_by_rule(dispatch))
    }

    fn schedule_by_rule(&self, dispatch: &Dispatch) -> &'static Schedule {
        let mut all = dispatch.kernel.schedules().iter();
        let suited = all.find(|s| self.can_run(s) && self.suits(s, dispatch.grid));
        suited.expect("the last schedule of a row needs nothing")
    }

    fn tuned(&self) -> MutexGuard<'_, Choices> {
        self.tuned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops every pipeline, so that none of a load that failed is taken for a good one.
    pub(crate) fn forget_pipelines(&self) {
        self.pipelines.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The pipeline of a kernel, with its compiled-in parameters, made on first use.
    pub(crate) fn pipeline(
        &self,
        kernel: &'static dyn AnyKernel,
        schedule: &'static Schedule,
        params: &[u8],
    ) -> wgpu::ComputePipeline {
        let word = |name: &&str| {
            let at = kernel.params_fields().iter().position(|field| field == name);
            let at = 4 * at.expect("an override is a parameter");
            u32::from_ne_bytes([params[at], params[at + 1], params[at + 2], params[at + 3]])
        };
        let values: Vec<u32> = kernel.overrides().iter().map(word).collect();
        let key = (kernel.name(), schedule.name, values.clone());
        let mut pipelines = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        let made = pipelines.entry(key).or_insert_with(|| {
            let names = kernel.overrides().iter();
            let constants: Vec<_> =
                names.zip(&values).map(|(&name, &value)| (name, f64::from(value))).collect();
            let cache = self.cache.as_ref().map(|cache| cache.pipelines());
            make_pipeline(&self.device, kernel, schedule, &constants, cache)
        });
        made.clone()
    }
}
