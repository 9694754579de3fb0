//! Networks as the widths of their layers, such as 784-400-20.

use elbo::config::ModelConfig;
use elbo::model::Architecture;
use elbo::nn::Sequential;

/// The widths of a network's layers from one end to the other.
pub(super) fn widths([first, last]: [usize; 2], network: &Sequential) -> Vec<usize> {
    let hidden = network.widths().skip(1);
    std::iter::once(first).chain(hidden).chain([last]).collect()
}

/// Widths as 784-400-20.
pub(super) fn dashed(widths: &[usize]) -> String {
    widths.iter().map(ToString::to_string).collect::<Vec<_>>().join("-")
}

/// The widths of both ways, network by network: from x of so many pixels up to the highest z, and from there down, with `told`
/// more numbers behind x and z, of classes.
pub(super) fn ways(
    model: &ModelConfig,
    networks: &Architecture,
    (pixels, told): (usize, usize),
) -> [Vec<Vec<usize>>; 2] {
    let latent = model.latent;
    let mut up = vec![widths([pixels.saturating_add(told), latent], &networks.encoder)];
    let mut down = vec![widths([latent.saturating_add(told), pixels], &networks.decoder)];
    let mut below = latent;
    for (level, own) in model.above.iter().zip(&networks.above) {
        up.push(widths([below, level.latent], &own.encoder));
        down.push(widths([level.latent, below], &own.decoder));
        below = level.latent;
    }
    down.reverse();
    [up, down]
}

/// A way as 784-400-20, or of several levels as 784-400-20, 20-10-5.
pub(super) fn way(networks: &[Vec<usize>]) -> String {
    networks.iter().map(|network| dashed(network)).collect::<Vec<_>>().join(", ")
}
