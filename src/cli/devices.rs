//! `elbo devices`: what can be trained on.

use elbo::gpu::adapters;
use elbo::{Device, Result};
use serde_json::json;

use crate::cli::print_line;

pub(super) const EXAMPLES: &str = "Examples:\n  elbo devices\n  elbo train --device 0";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print one JSON object on each line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let found = adapters();
    if args.json {
        print_line(&json!({"event": "device", "device": "cpu", "threads": threads}).to_string())?;
    } else {
        print_line(&format!("cpu  {}", Device::Cpu(threads).name()))?;
    }
    for (number, adapter) in found.iter().enumerate() {
        if args.json {
            let line = json!({
                "event": "device", "device": number.to_string(), "adapter": adapter.name,
                "driver": adapter.driver, "backend": adapter.backend, "software": adapter.software,
            });
            print_line(&line.to_string())?;
        } else {
            let kind = if adapter.software { "software" } else { "hardware" };
            let (name, backend, driver) = (&adapter.name, &adapter.backend, &adapter.driver);
            print_line(&format!("{number:<3}  {name} ({kind}, {backend}, driver {driver})"))?;
        }
    }
    Ok(0)
}
