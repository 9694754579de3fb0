//! `elbo selftest`: every kernel's cases on the user's device, the first thing to ask for in a report.

use elbo::kernels;
use elbo::selftest::{Outcome, Target, check, expected, schedules};
use elbo::{Device, Result};
use serde_json::json;

use crate::cli::args::Precision;
use crate::cli::print_line;

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo selftest
  elbo selftest --device cpu
  elbo selftest --verbose > selftest.txt  # to send with a bug report

The exit code is 1 if a case fails.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// gpu (any adapter), cpu, auto, or a number or part of a name from `elbo devices`
    #[arg(long, default_value = "gpu", value_name = "DEVICE")]
    device: String,
    /// What products are computed in
    #[arg(long, value_enum, default_value_t)]
    precision: Precision,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    let (device, _) = Device::choose(&args.device, 0)?;
    let (device, precision) = args.precision.of(device)?;
    let driver = match &device {
        Device::Cpu(_) => "no driver".to_owned(),
        Device::Gpu(gpu) => {
            let about = gpu.description();
            format!("{}, driver {}", about.backend, about.driver)
        }
    };
    let (name, version) = (device.name(), env!("CARGO_PKG_VERSION"));
    if args.json {
        let line = json!({
            "event": "start", "device": device.kind(), "adapter": name, "driver": driver,
            "version": version, "precision": precision,
        });
        print_line(&line.to_string())?;
    } else {
        print_line(&format!("elbo {version} on {name} ({driver}; precision: {precision})"))?;
        print_line(&format!("{:>9}  {:>9}  {:<10}  case", "error", "allowed", "schedule"))?;
    }
    let (mut cases, mut failed) = (0, 0);
    for case in kernels::cases() {
        let expected = expected(&case)?;
        for target in targets(&device, &case) {
            let target = match &target {
                Some(gpu) => Target::Gpu(gpu),
                None => Target::Cpu,
            };
            let outcome = check(&case, &expected, target)?;
            cases += 1;
            failed += usize::from(outcome.failure.is_some());
            show(&outcome, args.json)?;
        }
    }
    if args.json {
        print_line(&json!({"event": "end", "cases": cases, "failed": failed}).to_string())?;
    } else {
        print_line(&format!("{} passed, {failed} failed", cases - failed))?;
    }
    Ok(u8::from(failed > 0))
}

/// The device once for each schedule of the case that it can run; none stands for the CPU.
fn targets(device: &Device, case: &kernels::case::Case) -> Vec<Option<elbo::gpu::Gpu>> {
    let Device::Gpu(gpu) = device else { return vec![None] };
    schedules(case, gpu).into_iter().map(|name| Some(gpu.clone().with_schedule(name))).collect()
}

fn show(outcome: &Outcome, json: bool) -> Result<()> {
    let Outcome { case, schedules, worst, tolerance, failure } = outcome;
    if json {
        let worst = worst.is_finite().then_some(*worst);
        let line = json!({
            "event": "case", "case": case, "schedule": schedules, "error": worst,
            "allowed": tolerance, "passed": failure.is_none(), "failure": failure,
        });
        return print_line(&line.to_string());
    }
    print_line(&format!("{worst:>9.1e}  {tolerance:>9.1e}  {schedules:<10}  {case}"))?;
    match failure {
        None => Ok(()),
        Some(failure) => print_line(&format!("  FAILED: {failure}")),
    }
}
