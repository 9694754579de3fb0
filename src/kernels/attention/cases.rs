//! Cases of attention.

use super::attention;
use crate::engine::GradSite;
use crate::kernels::case::{Case, Fill, Weight};

/// One place and many, heads of one channel and of more than a workgroup's lanes, two users of the queries, keys and values,
/// and more than 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    let sizes = [
        (1, 1, 1, 1, 1),
        (3, 5, 2, 3, 2),
        (2, 16, 1, 16, 1),
        (2, 70, 3, 5, 1),
        (1, 9, 2, 70, 1),
        (5500, 4, 3, 2, 1),
    ];
    sizes.into_iter().map(case).collect()
}

fn case((images, places, heads, each, users): (usize, usize, usize, usize, usize)) -> Case {
    let name = format!("attention {images}·{places}, {heads} heads of {each}, {users} users");
    let mut case = Case::new(name, images);
    let (rows, channels) = (images * places, heads * each);
    let x = case.input("in_proj", [rows, 3 * channels], Fill::Uniform(1, -2.0, 2.0));
    let weights: Vec<_> = (0..users).map(|_| case.weight([rows, channels])).collect();
    let (ys, dx) = case.record(|tape| {
        let ys: Vec<_> = weights.iter().map(|_| attention(tape, "y", x, (places, heads))).collect();
        ys.iter().zip(&weights).for_each(|(&y, &weight)| tape.set_grad(y, weight));
        tape.backward();
        (ys, tape.grad(x, GradSite::Output).expect("the rules wrote it"))
    });
    case.outputs.extend(ys.into_iter().zip(weights.into_iter().map(Weight::Of)));
    case.gradients.push((x, dx));
    // Softmax's shares err by the scores' last digits.
    case.tolerance = 5e-6;
    case
}
