//! Mixed precision: products on cooperative matrices, operands in f16 and sums in f32.
//!
//! Drivers differ in what they make of these matrices, so a device must first pass a test of ours.

use crate::cpu;
use crate::engine::{AnyKernel, Dispatch, Dtype, Suits};
use crate::error::Result;
use crate::gpu::abilities::Abilities;
use crate::gpu::{Gpu, Session};
use crate::kernels;
use crate::kernels::matmul::trial;

/// What a device must be opened with.
pub(super) const FEATURES: wgpu::Features =
    wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX.union(wgpu::Features::SHADER_F16);

/// The largest error of the trial that passes, as a share of a tensor's largest element: each
/// operand is off by at most 2⁻¹¹ of itself, and there are four products one after another.
const TOLERANCE: f64 = 2e-3;

/// The sizes of square matrices that an adapter multiplies with operands in f16 and sums in f32.
pub(super) fn sizes(adapter: &wgpu::Adapter) -> Vec<u32> {
    use wgpu::CooperativeScalarType::{F16, F32};
    if !adapter.features().contains(FEATURES) {
        return Vec::new();
    }
    let found = adapter.cooperative_matrix_properties().into_iter().filter(|p| {
        let square = p.m_size == p.n_size && p.n_size == p.k_size;
        square && p.ab_type == F16 && p.cr_type == F32
    });
    found.map(|p| p.m_size).collect()
}

/// wgpu's consent to features that may yet have faults.
#[expect(unsafe_code, reason = "wgpu wants it said that experimental features may have faults")]
pub(super) fn experimental(wanted: bool) -> wgpu::ExperimentalFeatures {
    if !wanted {
        return wgpu::ExperimentalFeatures::disabled();
    }
    // SAFETY: the matrices' loads and stores lie inside workgroup arrays by construction, and their
    // results are compared before they are used (`Gpu::with_mixed_precision`).
    unsafe { wgpu::ExperimentalFeatures::enabled() }
}

/// Why a device does not run all products in mixed precision, if it does not.
fn obstacle(abilities: &Abilities) -> Option<String> {
    let mixed = |kernel: &'static dyn AnyKernel| {
        kernel.schedules().iter().filter(|schedule| schedule.suits == Suits::Mixed)
    };
    if abilities.matrices.is_empty() {
        let what = "the adapter has no cooperative matrices of f16 with sums in f32";
        return Some(what.to_owned());
    }
    let runs = |kernel| mixed(kernel).any(|schedule| abilities.have(schedule.needs));
    let mut products =
        kernels::ALL.iter().copied().filter(|&kernel| mixed(kernel).next().is_some());
    products.find(|&kernel| !runs(kernel)).map(|kernel| {
        let (sizes, (least, most)) = (&abilities.matrices, abilities.subgroups);
        let name = kernel.name();
        format!(
            "`{name}` has no schedule for cooperative matrices of {sizes:?} and subgroups of {least} \
             to {most} lanes"
        )
    })
}

impl Gpu {
    /// The same adapter with products in mixed precision, if it has the matrices and passes a test;
    /// else it stays as it is. Says which, and why.
    ///
    /// Operands are rounded to f16, which holds numbers up to 65,504 with eleven binary digits;
    /// sums, weights, moments and losses stay f32. What overflows is found by the guard.
    ///
    /// # Errors
    ///
    /// If the adapter gives no device.
    pub fn with_mixed_precision(self) -> Result<(Self, String)> {
        let Some((number, options)) = &self.own else {
            let why = "f32, since a host's device does not say which matrices it multiplies";
            return Ok((self, why.to_owned()));
        };
        let mut gpu = Self::open_for(*number, options, true)?;
        if let Some(obstacle) = obstacle(&gpu.abilities()) {
            return Ok((self, format!("f32, since {obstacle}")));
        }
        (gpu.mixed, gpu.timeout, gpu.schedule) = (true, self.timeout, self.schedule);
        if let Some(name) = self.schedule {
            let other = |d: &Dispatch| gpu.schedule(d).suits != Suits::Mixed;
            if trial().program.dispatches.iter().any(other) {
                return Ok((self, format!("f32, since the schedule `{name}` was asked for")));
            }
        }
        match gpu.error_of_trial() {
            Ok(error) if error <= TOLERANCE => Ok((gpu, "mixed".to_owned())),
            Ok(error) => Ok((self, format!("f32, since the matrices are off by {error:.1e}"))),
            Err(e) => Ok((self, format!("f32, since the matrices failed: {e}"))),
        }
    }

    /// Whether products run in mixed precision.
    #[must_use]
    pub fn is_mixed(&self) -> bool {
        self.mixed
    }

    /// The largest error of a layer and its gradients, as a share of each tensor's largest element.
    fn error_of_trial(&self) -> Result<f64> {
        let case = trial();
        let mut session = Session::new(self, &case.plan, None)?;
        let mut oracle = cpu::Session::<f64>::new(&case.plan, None, 1)?;
        for (tensor, fill) in &case.inputs {
            session.write_bits(*tensor, 0, &fill.bits(*tensor))?;
            oracle.write_bits(*tensor, 0, &fill.bits(*tensor));
        }
        let program = session.load(&case.program)?;
        session.run(program, &[case.record])?;
        let program = oracle.load(&case.program);
        oracle.run(program, &[case.record]);
        let mut worst: f64 = 0.0;
        for (index, buffer) in case.plan.buffers().iter().enumerate() {
            if buffer.dtype != Dtype::F32 {
                continue;
            }
            let expected = oracle.read_buffer(index);
            let found = session.read_buffer(index)?;
            let largest = expected.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
            for (bits, expected) in found.into_iter().zip(expected) {
                let apart = (f64::from(f32::from_bits(bits)) - expected).abs();
                // A NaN must not be lost in a maximum.
                worst = if apart.is_nan() {
                    f64::INFINITY
                } else {
                    worst.max(apart / largest.max(1e-30))
                };
            }
        }
        Ok(worst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes of matrices and lanes of subgroups, as drivers have them.
    #[test]
    fn mixed_is_said_only_where_products_run_so() {
        let with = |matrices: &[u32], subgroups| Abilities {
            limits: wgpu::Limits::default(),
            features: FEATURES,
            subgroups,
            matrices: matrices.to_vec(),
        };
        for (matrices, subgroups, runs) in [
            (vec![8], (8, 8), true),
            (vec![16], (32, 32), true),
            (vec![8, 16], (32, 32), true),
            (vec![], (32, 32), false),
            // RDNA3 and RDNA4 by RADV: a pipeline may get either.
            (vec![16], (32, 64), false),
            (vec![16], (64, 64), false),
            (vec![8], (32, 32), false),
            (vec![16], (8, 8), false),
        ] {
            let found = obstacle(&with(&matrices, subgroups));
            assert_eq!(found.is_none(), runs, "{matrices:?}, {subgroups:?}: {found:?}");
        }
        let told = obstacle(&with(&[16], (32, 64))).expect("two sizes of subgroups");
        assert!(told.contains("32 to 64 lanes"), "{told}");
    }

    #[test]
    fn who_asks_for_another_schedule_is_told_f32() {
        let gpu = Gpu::open(0).expect("an adapter; install mesa-vulkan-drivers");
        let (gpu, said) = gpu.with_schedule("register").with_mixed_precision().expect("a device");
        assert!(said.starts_with("f32") && !gpu.is_mixed(), "{said}");
    }
}
