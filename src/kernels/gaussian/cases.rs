//! What the kernels of the posterior are tested by.

use super::*;
use crate::kernels::case::{Case, Fill, Weight};

/// Drawn and given noise, latents round a multiple of four, several z of an image, a partial batch,
/// log σ² past both bounds, a later draw of a model, and more than 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let one = |images, latent, inside| [images, latent, inside, 1];
    for (shape, reach) in [
        (one(1, 1, 1), 2.0),
        (one(7, 3, 7), 2.0),
        (one(33, 20, 30), 2.0),
        (one(20, 9, 20), 60.0),
        (one(128, 20, 128), 2.0),
        ([13, 5, 11, 3], 2.0),
        ([17, 6, 17, 16], 60.0),
    ] {
        cases.push(case(shape, reach, true, 0, Posterior::Normal));
        cases.push(case(shape, reach, false, 0, Posterior::Normal));
    }
    for family in [Posterior::Laplace, Posterior::Logistic] {
        for drawn in [true, false] {
            cases.push(case([13, 5, 11, 3], 2.0, drawn, 0, family));
        }
    }
    cases.push(case([19, 5, 18, 4], 2.0, true, 3, Posterior::Normal));
    cases.push(case(one(1024, 2049, 1000), 2.0, true, 0, Posterior::Normal));
    cases
}

fn case(
    [images, latent, inside, samples]: [usize; 4],
    reach: f32,
    drawn: bool,
    site: usize,
    family: Posterior,
) -> Case {
    let kind = if drawn { "draw" } else { "given" };
    let name = format!(
        "gaussian.{kind} {inside}/{images}×{latent} within ±{reach}, {samples} z, draw {site} of {}",
        family.name()
    );
    let mut case = Case::new(name, inside);
    let rows = images * samples;
    let h = case.input("h", [images, 2 * latent], Fill::Uniform(1, -reach, reach));
    let weight = case.weight([rows, latent]);
    let image = case.input_line("image", images, Dtype::U32, Fill::RandomWords(7));
    let (eps, noise) = if drawn {
        (case.plan.matrix("eps", rows, latent), Noise::Drawn { image })
    } else {
        // By this seed no log-ratio of a single element is a difference of equals, which would have no digits left.
        (case.input("eps", [rows, latent], Fill::Uniform(6, -2.0, 2.0)), Noise::Given)
    };
    let (z, kl) = (case.plan.matrix("z", rows, latent), case.plan.vector("kl", images));
    let log_ratio = Some(case.plan.vector("log-ratio", rows));
    let dh = case.record(|tape| {
        gaussian(
            tape,
            LocationScale { h, family, images, eps, site },
            noise,
            Draw { z, log_ratio, kl },
        );
        tape.set_grad(z, weight);
        tape.backward();
        tape.grad(h, GradSite::Output).expect("the rule wrote it")
    });
    let kl_weight = case.record.rates[rate::KL_WEIGHT] * case.record.rates[rate::LOSS_SCALE];
    case.outputs = vec![(z, Weight::Of(weight)), (kl, Weight::Same(kl_weight))];
    case.gradients.push((h, dh));
    case.tolerance = 3e-6;
    case
}
