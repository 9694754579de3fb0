//! What figures were measured on and by.

use bytesize::ByteSize;
use elbo::Device;
use elbo::bench::Machine;

use crate::cli::bench::commit::commit;
use crate::cli::now;
use crate::cli::table::paragraph;

/// What all figures of a device were measured on and by. Each value has the name that JSON and CSV give it.
#[derive(Clone, Debug)]
pub(super) struct About(pub(super) Vec<(&'static str, String)>);

/// What differs between any two runs and says nothing of either's speed.
pub(super) const DATE: &str = "date";

impl About {
    pub(super) fn of(device: &Device) -> Self {
        let machine = Machine::here();
        let (driver, backend, mixed, threads) = match device {
            Device::Cpu(0) => (String::new(), String::new(), false, machine.cores.to_string()),
            Device::Cpu(threads) => (String::new(), String::new(), false, threads.to_string()),
            Device::Gpu(gpu) => {
                let about = gpu.description();
                (about.driver.clone(), about.backend.clone(), gpu.is_mixed(), String::new())
            }
        };
        let memory = ByteSize(machine.memory).display().iec().to_string();
        Self(vec![
            ("device", device.kind().to_owned()),
            ("adapter", device.name()),
            ("driver", driver),
            ("backend", backend),
            ("precision", if mixed { "mixed" } else { "f32" }.to_owned()),
            ("threads", threads),
            ("cpu", format!("{}, {} cores", machine.cpu, machine.cores)),
            ("memory", memory),
            ("system", machine.system),
            (DATE, now()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("commit", commit().unwrap_or_else(|| "unknown".to_owned())),
        ])
    }

    /// The value of a name above; nothing if there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// The device with what tells it from others of its name.
    pub(super) fn device(&self) -> String {
        match self.get("backend") {
            "" => format!("CPU, {} threads", self.get("threads")),
            backend => format!("{} ({backend})", self.get("adapter")),
        }
    }

    /// The program: its version, and its commit if that is known.
    pub(super) fn program(&self) -> String {
        match self.get("commit") {
            "unknown" => self.get("version").to_owned(),
            commit => format!("{} ({commit})", self.get("version")),
        }
    }

    /// In lines for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let driver = self.get("driver");
        let lines = [
            ("device", format!("{}, {}", self.device(), self.get("precision"))),
            ("driver", driver.to_owned()),
            ("CPU", format!("{}, {} of memory", self.get("cpu"), self.get("memory"))),
            ("system", self.get("system").to_owned()),
            ("elbo", format!("{}, {}", self.program(), self.get(DATE))),
        ];
        let told = lines.iter().filter(|(_, value)| !value.is_empty());
        told.flat_map(|(name, value)| paragraph(name, 8, value)).collect()
    }
}
