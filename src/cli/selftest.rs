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
    /// gpu (any adapter), cpu, auto, or a number or a part of a name from `elbo devices`
    #[arg(long, default_value = "gpu", value_name = "DEVICE")]
    device: String,
    /// The precision of matrix products
    #[arg(long, value_enum, default_value_t)]
    precision: Precision,
    /// Print every case, not only those that fail
    #[arg(long, short)]
    verbose: bool,
    /// Print one JSON object on each line, for every case
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
    }
    let mut headed = false;
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
            if args.json {
                print_line(&json_line(&outcome))?;
            } else if args.verbose || outcome.failure.is_some() {
                if !headed {
                    headed = true;
                    print_line(&row("error", "allowed", "schedule", "case"))?;
                }
                show(&outcome)?;
            }
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

fn json_line(outcome: &Outcome) -> String {
    let Outcome { case, schedules, worst, tolerance, failure } = outcome;
    let worst = worst.is_finite().then_some(*worst);
    let line = json!({
        "event": "case", "case": case, "schedule": schedules, "error": worst,
        "allowed": tolerance, "passed": failure.is_none(), "failure": failure,
    });
    line.to_string()
}

fn row(error: &str, allowed: &str, schedule: &str, case: &str) -> String {
    format!("{error:>9}  {allowed:>9}  {schedule:<10}  {case}")
}

fn show(outcome: &Outcome) -> Result<()> {
    let Outcome { case, schedules, worst, tolerance, failure } = outcome;
    print_line(&row(&format!("{worst:.1e}"), &format!("{tolerance:.1e}"), schedules, case))?;
    match failure {
        None => Ok(()),
        Some(failure) => print_line(&format!("  FAILED: {failure}")),
    }
}
