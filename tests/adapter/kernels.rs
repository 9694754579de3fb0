//! Every case of every kernel and schedule equals the f64 reference, on the GPU and on the CPU.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use elbo::engine::AnyKernel;
use elbo::gpu::Gpu;
use elbo::kernels;
use elbo::selftest::{Outcome, Target, check, expected};

fn assert_all_pass(outcomes: &[Outcome]) {
    let failed: Vec<_> = outcomes.iter().filter(|o| o.failure.is_some()).collect();
    for Outcome { case, schedules, failure, .. } in &failed {
        println!("{case} ({schedules}): {failure:?}");
    }
    assert!(failed.is_empty(), "{} of {} cases failed", failed.len(), outcomes.len());
}

/// On the GPU by every schedule that it can run, with cooperative matrices where it has them, and on the CPU.
#[test]
fn gpu_and_cpu_equal_the_reference() {
    let (gpu, precision) = crate::common::gpu().with_mixed_precision().expect("the adapter works");
    println!("precision: {precision}");
    let mut names: Vec<&'static str> =
        kernels::ALL.iter().flat_map(|k| k.schedules()).map(|s| s.name).collect();
    names.sort_unstable();
    names.dedup();
    let mut outcomes = Vec::new();
    let mut ran = Vec::new();
    for case in kernels::cases() {
        let expected = expected(&case).expect("enough memory");
        outcomes.push(check(&case, &expected, Target::Cpu).expect("the CPU works"));
        for &name in &names {
            let gpu = gpu.clone().with_schedule(name);
            if case.program.dispatches.iter().any(|d| runs(&gpu, d.kernel, name)) {
                let outcome = check(&case, &expected, Target::Gpu(&gpu)).expect("the device works");
                ran.push(name);
                outcomes.push(outcome);
            }
        }
    }
    for name in names {
        let count = ran.iter().filter(|&&n| n == name).count();
        println!("{name}: {count} cases");
        // A schedule that the device has what it needs for must not be left out in silence.
        let possible = kernels::ALL.iter().any(|kernel| runs(&gpu, *kernel, name));
        assert_eq!(count > 0, possible, "cases by {name}, which the device can run or cannot");
    }
    assert_all_pass(&outcomes);
}

/// Whether a device can run a kernel by a schedule of this name.
pub(crate) fn runs(gpu: &Gpu, kernel: &dyn AnyKernel, name: &str) -> bool {
    kernel.schedules().iter().any(|s| s.name == name && gpu.can_run(s))
}

#[test]
fn every_kernel_has_a_case_of_one_and_of_many_workgroups() {
    let cases = kernels::cases();
    for kernel in kernels::ALL {
        let dispatches: Vec<_> = cases
            .iter()
            .flat_map(|case| &case.program.dispatches)
            .filter(|dispatch| dispatch.kernel.name() == kernel.name())
            .collect();
        assert!(dispatches.len() > 1, "{} has {} cases", kernel.name(), dispatches.len());
    }
}
