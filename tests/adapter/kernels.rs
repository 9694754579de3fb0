//! Every case of every kernel and schedule equals the f64 reference, on the GPU and on the CPU.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use elbo::kernels;
use elbo::selftest::{Outcome, Target, check, expected};

fn assert_all_pass(outcomes: &[Outcome]) {
    let failed: Vec<_> = outcomes.iter().filter(|o| o.failure.is_some()).collect();
    for Outcome { case, schedules, failure, .. } in &failed {
        println!("{case} ({schedules}): {failure:?}");
    }
    assert!(failed.is_empty(), "{} of {} cases failed", failed.len(), outcomes.len());
}

#[test]
fn gpu_equals_reference() {
    // With cooperative matrices, where the adapter has them.
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
        for &name in &names {
            let gpu = gpu.clone().with_schedule(name);
            let uses = |d: &elbo::engine::Dispatch| {
                d.kernel.schedules().iter().any(|s| s.name == name && gpu.can_run(s))
            };
            if case.program.dispatches.iter().any(uses) {
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
        let can = |kernel: &&&dyn elbo::engine::AnyKernel| {
            kernel.schedules().iter().any(|s| s.name == name && gpu.can_run(s))
        };
        let possible = kernels::ALL.iter().find(can).is_some();
        assert_eq!(count > 0, possible, "cases by {name}, which the device can run or cannot");
    }
    assert_all_pass(&outcomes);
}

#[test]
fn cpu_schedules_equal_reference() {
    let outcomes: Vec<_> = kernels::cases()
        .iter()
        .map(|case| {
            let expected = expected(case).expect("enough memory");
            check(case, &expected, Target::Cpu).expect("the CPU works")
        })
        .collect();
    assert_all_pass(&outcomes);
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
