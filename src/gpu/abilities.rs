//! What a device can run: what schedules need, held against its limits, features and subgroups.

use crate::engine::Needs;

/// Features that schedules use where the device has them.
pub(super) const WANTED: wgpu::Features =
    wgpu::Features::SUBGROUP.union(wgpu::Features::SHADER_INT64);

/// What a device has that schedules ask for.
#[derive(Clone, Debug)]
pub(super) struct Abilities {
    pub(super) limits: wgpu::Limits,
    pub(super) features: wgpu::Features,
    /// Lanes of the smallest and the largest subgroup.
    pub(super) subgroups: (u32, u32),
    /// The sizes of its cooperative matrices, if it was opened for them.
    pub(super) matrices: Vec<u32>,
}

impl Abilities {
    /// Whether the device has what a schedule needs.
    pub(super) fn have(&self, needs: Needs) -> bool {
        match needs {
            Needs::Nothing => true,
            Needs::Workgroup { bytes, sides } => {
                let limits = &self.limits;
                let most = [
                    limits.max_compute_workgroup_size_x,
                    limits.max_compute_workgroup_size_y,
                    limits.max_compute_workgroup_size_z,
                ];
                bytes <= limits.max_compute_workgroup_storage_size
                    && sides.iter().zip(most).all(|(&side, most)| side <= most)
                    && sides.iter().product::<u32>() <= limits.max_compute_invocations_per_workgroup
            }
            Needs::Subgroups(lanes) => {
                self.features.contains(WANTED) && self.subgroups == (lanes, lanes)
            }
            Needs::F16 => self.features.contains(wgpu::Features::SHADER_F16),
            Needs::Matrices { size, lanes } => {
                self.matrices.contains(&size) && self.subgroups == (lanes, lanes)
            }
        }
    }
}
