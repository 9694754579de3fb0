//! The machine that is measured on, and what else runs there.

use std::time::Instant;

use sysinfo::{Components, CpuRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// What a machine is, as far as the system tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machine {
    /// The model of its processor.
    pub cpu: String,
    /// Threads that it runs at once for us.
    pub cores: usize,
    /// Bytes of memory, or what a container of ours may take of it.
    pub memory: u64,
    /// The operating system, its version and its kernel's.
    pub system: String,
}

impl Machine {
    /// This machine.
    #[must_use]
    pub fn here() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let Ok(mut system) = System::new() else { return Self { cores, ..Self::default() } };
        system.refresh_cpu_list(CpuRefreshKind::nothing());
        system.refresh_memory();
        let cpu = system.cpus().first().map_or("", |cpu| cpu.brand());
        let contained = system.cgroup_limits().map_or(u64::MAX, |limits| limits.total_memory);
        let name = System::long_os_version().ok();
        let kernel = System::kernel_version().ok().map(|version| format!("kernel {version}"));
        Self {
            cpu: cpu.split_whitespace().collect::<Vec<_>>().join(" "),
            cores,
            memory: system.total_memory().min(contained),
            system: [name, kernel].into_iter().flatten().collect::<Vec<_>>().join(", "),
        }
    }
}

/// How many programs waited for the processor on average in the last minute, where the system tells.
#[must_use]
pub fn load() -> Option<f64> {
    if cfg!(windows) { None } else { System::load_average().ok().map(|load| load.one) }
}

/// Seconds of CPU time that this process took on all cores since it began, where the system tells: other
/// programs change it less than they change how long something takes.
#[must_use]
pub fn cpu_time() -> Option<f64> {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Some(time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9)
    }
    #[cfg(not(unix))]
    None
}

/// The temperature of the hottest part that has a sensor, in °C, where the system tells.
#[must_use]
pub fn temperature() -> Option<f64> {
    let parts = Components::new_with_refreshed_list().ok()?;
    let heat = parts.iter().filter_map(|part| part.temperature());
    heat.map(f64::from).filter(|heat| heat.is_finite()).max_by(f64::total_cmp)
}

/// What other programs take of the CPU, and other machines where this one is virtual.
#[derive(Debug)]
pub struct Others {
    system: System,
    me: Pid,
    cores: f64,
    since: Instant,
    /// CPU time of ours until then, in seconds.
    ours: f64,
}

impl Others {
    /// Begins to look, if the system tells.
    #[must_use]
    pub fn new() -> Option<Self> {
        let (mut system, me) = (System::new().ok()?, sysinfo::get_current_pid().ok()?);
        system.refresh_cpu_usage();
        let mut others = Self { system, me, cores: 1.0, since: Instant::now(), ours: 0.0 };
        others.cores = others.system.cpus().len().max(1) as f64;
        others.ours = others.ours()?;
        Some(others)
    }

    fn ours(&mut self) -> Option<f64> {
        let kind = ProcessRefreshKind::nothing().with_cpu().without_tasks();
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&[self.me]), false, kind);
        Some(self.system.process(self.me)?.accumulated_cpu_time() as f64 / 1e3)
    }

    /// Their share of all cores' time since the last look, from 0 to 1.
    pub fn share(&mut self) -> Option<f64> {
        self.system.refresh_cpu_usage();
        let busy = f64::from(self.system.global_cpu_usage()) / 100.0;
        let (before, now) = (self.ours, self.ours()?);
        let seconds = self.since.elapsed().as_secs_f64();
        (self.since, self.ours) = (Instant::now(), now);
        Some((busy - (now - before) / (seconds * self.cores)).clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_says_what_it_is() {
        let machine = Machine::here();
        assert!(machine.cores > 0 && machine.memory > 1 << 20, "{machine:?}");
        assert!(!machine.system.is_empty() && !machine.cpu.contains("  "), "{machine:?}");
        if let Some(share) = Others::new().and_then(|mut others| others.share()) {
            assert!((0.0..=1.0).contains(&share), "{share}");
        }
    }
}
