//! Cases of group normalisation.

use super::group_norm;
use crate::config::Activation;
use crate::engine::{Dtype, GradSite};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::layer_norm::Norm;
use crate::kernels::matmul::convolution::Map;

/// One group and one for each channel, channels with and without padding, maps of one place, more places than a block of
/// sums, two users of the map, each activation that is applied at once, and more than 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    let sizes = [
        (1, [1, 1], 4, 1, 1),
        (3, [2, 5], 6, 3, 2),
        (5, [3, 3], 17, 1, 1),
        (2, [17, 31], 16, 4, 1),
        (4, [2, 2], 40, 8, 1),
        (17, [3, 2], 5, 1, 2),
        (16_500, [1, 2], 12, 4, 1),
        (70, [8, 8], 64, 64, 1),
    ];
    let plain = sizes.into_iter().map(|size| case(size, Activation::Identity));
    let kinds = Activation::ALL.into_iter().filter(|kind| kind.slope_from_output());
    plain.chain(kinds.map(|kind| case((3, [2, 5], 6, 3, 2), kind))).collect()
}

fn case(
    (images, [height, width], channels, groups, users): (usize, [usize; 2], usize, usize, usize),
    kind: Activation,
) -> Case {
    let kind_name = kind.name();
    let name = format!(
        "group_norm {images}·{height}×{width}×{channels} by {groups}, {users} users, {kind_name}"
    );
    let mut case = Case::new(name, images);
    let shape = [images * height * width, channels];
    let at = case.input("x", shape, Fill::Uniform(1, -2.0, 3.0));
    let mut vector = |seed, name: &str| {
        case.input_line(name, channels, Dtype::F32, Fill::Uniform(seed, 0.5, 1.5))
    };
    let norms: Vec<_> = (0..users as u32)
        .map(|user| Norm { gain: vector(2 + 2 * user, "gain"), bias: vector(3 + 2 * user, "bias") })
        .collect();
    let weights: Vec<_> = (0..users).map(|_| case.weight(shape)).collect();
    let (ys, gradients) = case.record(|tape| {
        let x = (Map { at, height, width }, true);
        let ys: Vec<_> =
            norms.iter().map(|&norm| group_norm(tape, "y", x, (groups, norm), kind).at).collect();
        ys.iter().zip(&weights).for_each(|(&y, &weight)| tape.set_grad(y, weight));
        tape.backward();
        let of = norms.iter().flat_map(|norm| [norm.bias, norm.gain]).chain([at]);
        let gradient = |of| (of, tape.grad(of, GradSite::Output).expect("the rules wrote it"));
        (ys, of.map(gradient).collect::<Vec<_>>())
    });
    case.outputs.extend(ys.into_iter().zip(weights.into_iter().map(Weight::Of)));
    case.gradients = gradients;
    // The sums over a group cancel against its elements.
    case.tolerance = 5e-6;
    case
}
