//! What is minimised beside the likelihood and the KL divergence.

use crate::config::{Config, ObjectiveConfig};
use crate::engine::{Tape, Tensor};
use crate::kernels::divergence::{Aim, divergence};
use crate::kernels::mmd::mmd;
use crate::kernels::philox::purpose;
use crate::kernels::random::draw_normals;
use crate::kernels::total_correlation::total_correlation;

/// Records what is minimised beside nll + w KL of codes z (batch, latent) of h: `extra` (batch) in nats,
/// and the gradients at both.
pub(super) fn objective(
    tape: &mut Tape<'_>,
    config: &Config,
    (z, h): (Tensor, Tensor),
    extra: Tensor,
) {
    let &ObjectiveConfig { free_bits, capacity, total_correlation: weight, .. } = &config.objective;
    let &ObjectiveConfig { mmd: discrepancy, mmd_scale, .. } = &config.objective;
    let mut written = false;
    if free_bits > 0.0 || capacity > 0.0 {
        let aim = if capacity > 0.0 { Aim::Capacity } else { Aim::FreeBits };
        divergence(tape, aim, h, (extra, written));
        written = true;
    }
    if weight != 1.0 {
        // The KL divergence has it once.
        total_correlation(tape, weight - 1.0, (z, h), (extra, written));
        written = true;
    }
    if discrepancy > 0.0 {
        let y = tape.plan.matrix("draws of the prior", z.rows(), z.cols());
        draw_normals(tape, purpose::PRIOR, y);
        mmd(tape, [discrepancy, mmd_scale], (z, y), (extra, written));
    }
}
