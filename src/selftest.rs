//! Every kernel's cases on a device, compared with the f64 reference: what `elbo selftest` runs.

use crate::cpu;
use crate::engine::{Dtype, Plan, Schedule, Suits};
use crate::error::{ErrorKind, Result};
use crate::gpu::{self, Gpu};
use crate::kernels::case::Case;

/// What writes out of bounds would overwrite: a NaN, so that reading it is noticed too.
const SENTINEL: u32 = 0x7fca_fe00;

/// The largest error of a tensor in mixed precision, as a share of its norm. Operands are off by up
/// to 2⁻¹¹ of themselves, so that about that share of all units lies on the other side of a kink;
/// where the slope is 0 rather than 1 that is 2⁻⁵·⁵ of a norm.
const MIXED: f64 = 0.03;

/// How a case came out.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The case.
    pub case: String,
    /// The schedules that its dispatches ran by, without repetition.
    pub schedules: String,
    /// The largest error, as a share of the largest element of its tensor.
    pub worst: f64,
    /// The largest error that passes.
    pub tolerance: f64,
    /// What is wrong, if anything is.
    pub failure: Option<String>,
}

/// Where a case is run.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// On a device.
    Gpu(&'a Gpu),
    /// In the CPU session, in f32, by its schedules.
    Cpu,
}

/// What the oracle says each buffer of a case holds in the end.
///
/// # Errors
///
/// If the system gives no memory or no thread.
pub fn expected(case: &Case) -> Result<Vec<Vec<f64>>> {
    let mut session = cpu::Session::<f64>::new(&case.plan, None, 1)?;
    for (tensor, fill) in &case.inputs {
        session.write_bits(*tensor, 0, &fill.bits(*tensor));
    }
    let program = session.load(&case.program);
    session.run(program, &[case.record]);
    Ok((0..case.plan.buffers().len()).map(|index| session.read_buffer(index)).collect())
}

/// Runs a case and compares every element of every buffer, margins and padding included.
///
/// # Errors
///
/// If the device is lost. A wrong result, or a shader that the device refuses, is no error but a
/// failed outcome.
pub fn check(case: &Case, expected: &[Vec<f64>], target: Target<'_>) -> Result<Outcome> {
    let (found, schedules) = match target {
        Target::Gpu(gpu) => (on_gpu(case, gpu), gpu_schedules(case, gpu)),
        Target::Cpu => (on_cpu(case), "cpu".to_owned()),
    };
    let mixed = |gpu: &Gpu| {
        let mut dispatches = case.program.dispatches.iter();
        dispatches.any(|d| gpu.schedule(d).suits == Suits::Mixed)
    };
    let rounded = matches!(target, Target::Gpu(gpu) if mixed(gpu));
    let mut outcome = Outcome {
        case: case.name.clone(),
        schedules,
        worst: 0.0,
        tolerance: case.tolerance.max(if rounded { MIXED } else { 0.0 }),
        failure: None,
    };
    let found = match found {
        Ok(found) => found,
        Err(e) if e.kind() == ErrorKind::Lost => return Err(e),
        Err(e) => {
            (outcome.worst, outcome.failure) = (f64::INFINITY, Some(e.to_string()));
            return Ok(outcome);
        }
    };
    let margins = matches!(target, Target::Gpu(_));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        compare(&case.plan, index, (found, expected), (margins, rounded), &mut outcome);
    }
    Ok(outcome)
}

/// The names of the schedules that some dispatch of a case has and the device can run, of those in
/// mixed precision only if the case fits it; where there is a choice, what has none goes without
/// saying.
#[must_use]
pub fn schedules(case: &Case, gpu: &Gpu) -> Vec<&'static str> {
    let all = case.program.dispatches.iter().flat_map(|d| d.kernel.schedules());
    let fits = |s: &&Schedule| case.fits_f16 || s.suits != Suits::Mixed;
    distinct(all.filter(fits).filter(|s| gpu.can_run(s)).map(|s| s.name).collect())
}

/// Each name once, and `plain` only where it stands alone.
fn distinct(mut names: Vec<&'static str>) -> Vec<&'static str> {
    names.sort_unstable();
    names.dedup();
    if names.len() > 1 {
        names.retain(|&name| name != "plain");
    }
    names
}

fn gpu_schedules(case: &Case, gpu: &Gpu) -> String {
    let dispatches = case.program.dispatches.iter();
    distinct(dispatches.map(|d| gpu.schedule(d).name).collect()).join(" ")
}

fn on_gpu(case: &Case, gpu: &Gpu) -> Result<Vec<Vec<u32>>> {
    let mut session = gpu::Session::new(gpu, &case.plan, None)?;
    session.fill_margins(&case.plan, SENTINEL)?;
    for (tensor, fill) in &case.inputs {
        session.write_bits(*tensor, 0, &fill.bits(*tensor))?;
    }
    let program = session.load(&case.program)?;
    session.run(program, &[case.record])?;
    (0..case.plan.buffers().len()).map(|index| session.read_buffer(index)).collect()
}

fn on_cpu(case: &Case) -> Result<Vec<Vec<u32>>> {
    let mut session = cpu::Session::<f32>::new(&case.plan, None, 0)?;
    for (tensor, fill) in &case.inputs {
        session.write_bits(*tensor, 0, &fill.bits(*tensor));
    }
    let program = session.load(&case.program);
    session.run(program, &[case.record]);
    let bits = |index: usize| {
        let words = case.plan.buffers()[index].dtype == Dtype::U32;
        let values = session.read_buffer(index);
        let bits = |v: f64| if words { v as u32 } else { (v as f32).to_bits() };
        values.into_iter().map(bits).collect()
    };
    Ok((0..case.plan.buffers().len()).map(bits).collect())
}

fn compare(
    plan: &Plan,
    index: usize,
    (found, expected): (&[u32], &[f64]),
    (margins, rounded): (bool, bool),
    outcome: &mut Outcome,
) {
    let (spec, margin) = (&plan.buffers()[index], plan.margin());
    if spec.words == 0 {
        // Of an arena of which nothing was recorded.
        return;
    }
    let mut fail = |what: String| {
        outcome.failure.get_or_insert(format!("`{}` {what}", spec.name));
    };
    let inside = margin..spec.words - margin;
    for (at, &bits) in found.iter().enumerate() {
        if margins && !inside.contains(&at) && bits != SENTINEL {
            fail(format!("was written out of bounds, {at} of {} words", spec.words));
        }
    }
    let pairs = || inside.clone().map(|at| (at - margin, found[at], expected[at]));
    if spec.dtype == Dtype::U32 {
        for (at, found, expected) in pairs() {
            if f64::from(found) != expected {
                fail(format!("holds {found} at {at}, expected {expected}"));
            }
        }
        return;
    }
    if rounded {
        // At a kink of an activation the rounding of an operand may choose the other slope, so that
        // single elements say nothing; the whole tensor does.
        let values = pairs().map(|(_, bits, expected)| (f64::from(f32::from_bits(bits)), expected));
        let apart: f64 = values.clone().map(|(found, expected)| (found - expected).powi(2)).sum();
        let size: f64 = values.map(|(_, expected)| expected.powi(2)).sum();
        let error = if apart == 0.0 { 0.0 } else { (apart / size).sqrt() };
        outcome.worst = outcome.worst.max(error);
        if error.is_nan() || error > outcome.tolerance {
            fail(format!("is {error:.1e} of its norm apart"));
            outcome.worst = f64::INFINITY;
        }
        return;
    }
    let largest = pairs().map(|(_, _, e)| e.abs()).filter(|e| e.is_finite()).fold(0.0, f64::max);
    for (at, bits, expected) in pairs() {
        let value = f64::from(f32::from_bits(bits));
        let same = value == expected || (value.is_nan() && expected.is_nan());
        let error = if same { 0.0 } else { (value - expected).abs() / largest };
        outcome.worst = outcome.worst.max(error);
        // An error that is itself NaN fails too.
        if error.is_nan() || error > outcome.tolerance {
            fail(format!("holds {value:e} at {at}, expected {expected:e}"));
            outcome.worst = f64::INFINITY;
        }
    }
}
