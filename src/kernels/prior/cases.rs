//! What the kernels of learned priors are tested by.

use super::*;
use crate::config::{Gradient, Posterior};
use crate::engine::Dtype;
use crate::engine::record::rate;
use crate::kernels::bernoulli::bernoulli;
use crate::kernels::bound::{Losses, bound};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::gaussian::{LocationScale, Noise, gaussian};

/// One component and as many as lanes, more and ragged; several z of an image, under one logarithm and apart; a partial
/// batch; log σ² of components past its bounds; logits that are learned and not; a mixture that two draws use; every
/// gradient, of which the standard one is a derivative; more than 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, groups, learns) in [
        ([1, 1, 1, 1], [1, 1], true),
        ([7, 3, 5, 6], [1, 1], true),
        ([13, 5, 64, 13], [1, 1], false),
        ([33, 20, 130, 30], [2, 1], true),
        ([9, 4, 17, 7], [2, 3], true),
    ] {
        for gradient in [Gradient::Standard, Gradient::Stl, Gradient::Dreg] {
            cases.push(case(shape, groups, (gradient, learns), (1.5, 1)));
        }
    }
    cases.push(case([7, 3, 5, 6], [1, 1], (Gradient::Standard, true), (1.5, 2)));
    cases.push(case([5, 2, 3, 5], [1, 1], (Gradient::Standard, true), (26.0, 1)));
    cases.push(case([2100, 1, 2000, 2099], [1, 1], (Gradient::Standard, false), (1.0, 1)));
    cases
}

fn case(
    [images, latent, count, inside]: [usize; 4],
    [groups, importance]: [usize; 2],
    (gradient, learns_logits): (Gradient, bool),
    (reach, times): (f32, usize),
) -> Case {
    let learns = if learns_logits { ", logits too" } else { "" };
    let name = format!(
        "prior {gradient:?} of {count} within ±{reach}{learns}, {inside}/{images}×{latent} of \
         {groups}×{importance}, {times}×"
    );
    let mut case = Case::new(name, inside);
    let rows = images * groups * importance;
    let mut draws = Vec::new();
    let parts = case.input("parts", [count, 2 * latent], Fill::Uniform(7, -reach, reach));
    let logits = case.input_line("logits", count, Dtype::F32, Fill::Uniform(8, -1.0, 1.0));
    for time in 0..times as u32 {
        let h = case.input("h", [images, 2 * latent], Fill::Uniform(10 + time, -1.0, 1.0));
        let eps = case.input("eps", [rows, latent], Fill::Uniform(20 + time, -1.5, 1.5));
        let x = case.input("x", [images, latent], Fill::Uniform(40 + time, 0.0, 1.0));
        let z = case.plan.matrix("z", rows, latent);
        let [nll, log_ratio] = ["nll", "log-ratio"].map(|name| case.plan.vector(name, rows));
        let [kl, own_kl, extra] =
            ["kl", "own kl", "extra"].map(|name| case.plan.vector(name, images));
        draws.push(([h, eps, x, z], [nll, log_ratio, kl, own_kl, extra]));
    }
    let of = Mixture { parts, logits, learns_logits };
    let gradients = case.record(|tape| {
        for &([h, eps, x, z], [nll, log_ratio, kl, own_kl, extra]) in &draws {
            let draw = Draw { z, log_ratio: Some(log_ratio), kl: own_kl };
            gaussian(
                tape,
                LocationScale { h, family: Posterior::Normal, images, eps, site: 0 },
                Noise::Given,
                draw,
            );
            mixture(tape, of, draw, images);
            divergence(tape, log_ratio, (z, kl));
            // Logits as they were drawn: the likelihood's gradient is at z.
            bernoulli(tape, z, x, nll);
            let dz = tape.grad(z, GradSite::Output).expect("the likelihood made it");
            // By the other KL: what a bound of one z has more than the samples' own is nothing but rounding.
            bound(tape, draw, (importance, gradient), Losses { nll, extra }, &[dz]);
        }
        tape.backward();
        // The logit of the only one has no slope.
        let learned = [parts, logits].into_iter().take(1 + usize::from(learns_logits && count > 1));
        let all = learned.chain(draws.iter().map(|(own, _)| own[0]));
        let at = |of| tape.grad(of, GradSite::Output).expect("the rules wrote it");
        all.map(|of| (of, at(of))).collect::<Vec<_>>()
    });
    if gradient == Gradient::Standard && reach < 2.0 {
        let scale = case.record.rates[rate::LOSS_SCALE];
        let of_kl = scale * case.record.rates[rate::KL_WEIGHT];
        for &(_, [nll, _, _, own_kl, extra]) in &draws {
            case.outputs.push((nll, Weight::Same(scale / (groups * importance) as f64)));
            case.outputs.push((own_kl, Weight::Same(of_kl)));
            case.outputs.push((extra, Weight::Same(scale)));
        }
        case.gradients = gradients;
    }
    // Exponentials of differences of sums over the dimensions.
    case.tolerance = 2e-5;
    case
}
