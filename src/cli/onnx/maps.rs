//! Maps in ONNX: a batch of images, channel by channel, as its convolutions want them.

use elbo::Result;
use elbo::config::{Convolution, Layer};
use elbo::engine::Dispatch;

use super::graph::{integers, text};
use super::walk::{Walk, activation_of, bound, parameter};

/// The map of rows of images: these are place by place, and the map channel by channel.
pub(super) fn of_rows(walk: &mut Walk<'_>, dispatch: &Dispatch, name: &str) -> Result<String> {
    let x = walk.value(bound(dispatch, "rows"))?;
    let sides = ["height", "width", "channels"].map(|side| i64::from(parameter(dispatch, side)));
    let [shape, placed] = ["shape", "places"].map(|ending| format!("{name}.{ending}"));
    walk.graph.integers(&shape, &[&[0], &sides[..]].concat());
    walk.graph.node("Reshape", &[&x, &shape], &placed, vec![]);
    walk.graph.node("Transpose", &[&placed], name, vec![integers("perm", &[0, 3, 1, 2])]);
    Ok(name.to_owned())
}

/// The rows of images of a map, block by block of its channels.
pub(super) fn to_rows(walk: &mut Walk<'_>, dispatch: &Dispatch, name: &str) -> Result<String> {
    let map = walk.value(bound(dispatch, "from_map"))?;
    let [height, width, channels, each] =
        ["height", "width", "channels", "each"].map(|side| i64::from(parameter(dispatch, side)));
    let of = |ending: &str| format!("{name}.{ending}");
    let [shape, blocks, places, line] = ["shape", "blocks", "places", "line"].map(of);
    walk.graph.integers(&shape, &[0, channels / each, each, height, width]);
    walk.graph.node("Reshape", &[&map, &shape], &blocks, vec![]);
    walk.graph.node("Transpose", &[&blocks], &places, vec![integers("perm", &[0, 1, 3, 4, 2])]);
    walk.graph.integers(&line, &[0, channels * height * width]);
    walk.graph.node("Reshape", &[&places, &line], name, vec![]);
    Ok(name.to_owned())
}

/// y = f(x ∗ w + b).
pub(super) fn convolve(walk: &mut Walk<'_>, dispatch: &Dispatch, name: &str) -> Result<String> {
    let (w, y) = (bound(dispatch, "w"), bound(dispatch, "y"));
    let Convolution { kernel, stride, padding, upsample, .. } = convolution(walk, dispatch);
    let x = walk.value(bound(dispatch, "x"))?;
    let x = if upsample == 1 { x } else { repeated(walk, &x, name, upsample) };
    let [w, b] = [w, bound(dispatch, "b")].map(|of| walk.learned(of, 0..y.cols(), ""));
    let [kernel, strides, pads] = [kernel.to_vec(), vec![stride; 2], vec![padding; 4]]
        .map(|numbers| numbers.into_iter().map(|number| number as i64).collect::<Vec<_>>());
    let about = vec![
        integers("kernel_shape", &kernel),
        integers("pads", &pads),
        integers("strides", &strides),
    ];
    walk.graph.then(activation_of(dispatch), (name, "linear"), |graph, linear| {
        graph.node("Conv", &[&x, &w, &b], linear, about);
    });
    Ok(name.to_owned())
}

/// A map whose places are repeated so often in both directions.
fn repeated(walk: &mut Walk<'_>, x: &str, name: &str, times: usize) -> String {
    let [scales, made] = ["scales", "repeated"].map(|ending| format!("{name}.{ending}"));
    let times = times as f32;
    walk.graph.constant(&scales, &[4], &[1.0, 1.0, times, times]);
    let about = vec![
        text("mode", "nearest"),
        text("coordinate_transformation_mode", "asymmetric"),
        text("nearest_mode", "floor"),
    ];
    walk.graph.node("Resize", &[x, "", &scales], &made, about);
    made
}

/// The layer whose weight a dispatch binds.
fn convolution(walk: &Walk<'_>, dispatch: &Dispatch) -> Convolution {
    let w = bound(dispatch, "w");
    let weight = walk.vae.parameters.list().iter().find(|parameter| parameter.value == w);
    let path = weight.and_then(|weight| weight.name.strip_suffix(".weight"));
    let networks = walk.vae.networks();
    let mut layers = networks.encoder.layers().iter().chain(networks.decoder.layers());
    let found = layers.find_map(|placed| match placed.layer {
        Layer::Convolution(found) if Some(placed.path.as_str()) == path => Some(found),
        _ => None,
    });
    found.expect("a convolution binds the weight of a layer")
}
