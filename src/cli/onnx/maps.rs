//! Maps in ONNX: a batch of images, channel by channel, as its convolutions want them.

use elbo::Result;
use elbo::config::{Convolution, Layer};
use elbo::engine::Dispatch;

use elbo::kernels::layer_norm::EPSILON;

use super::graph::{float, integer, integers, text};
use super::proto::Attribute;
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
    let (operands, about) = operands(walk, dispatch, name)?;
    walk.graph.then(activation_of(dispatch), (name, "linear"), |graph, linear| {
        graph.node("Conv", &operands.each_ref().map(String::as_str), linear, about);
    });
    Ok(name.to_owned())
}

/// y = f(x ∗ w + b + skip).
pub(super) fn convolve_add(walk: &mut Walk<'_>, dispatch: &Dispatch, name: &str) -> Result<String> {
    let skip = walk.value(bound(dispatch, "skip"))?;
    let (operands, about) = operands(walk, dispatch, name)?;
    let alone = format!("{name}.alone");
    walk.graph.node("Conv", &operands.each_ref().map(String::as_str), &alone, about);
    walk.graph.then(activation_of(dispatch), (name, "linear"), |graph, linear| {
        graph.node("Add", &[&alone, &skip], linear, vec![]);
    });
    Ok(name.to_owned())
}

/// y = f(Cᵀ x + b), C being a convolution.
pub(super) fn transposed(walk: &mut Walk<'_>, dispatch: &Dispatch, name: &str) -> Result<String> {
    let (operands, about) = operands(walk, dispatch, name)?;
    walk.graph.then(activation_of(dispatch), (name, "linear"), |graph, linear| {
        graph.node("ConvTranspose", &operands.each_ref().map(String::as_str), linear, about);
    });
    Ok(name.to_owned())
}

/// The map, weight and bias of a convolution, and how its windows lie.
fn operands(
    walk: &mut Walk<'_>,
    dispatch: &Dispatch,
    name: &str,
) -> Result<([String; 3], Vec<Attribute>)> {
    let (w, y) = (bound(dispatch, "w"), bound(dispatch, "y"));
    let Convolution { kernel, stride, padding, upsample, .. } = convolution(walk, dispatch);
    let x = walk.value(bound(dispatch, "x"))?;
    let x = if upsample == 1 { x } else { repeated(walk, &x, name, upsample) };
    let w = walk.learned(w, 0..w.rows(), "");
    let b = walk.learned(bound(dispatch, "b"), 0..y.cols(), "");
    let [kernel, strides, pads] = [kernel.to_vec(), vec![stride; 2], vec![padding; 4]]
        .map(|numbers| numbers.into_iter().map(|number| number as i64).collect::<Vec<_>>());
    let about = vec![
        integers("kernel_shape", &kernel),
        integers("pads", &pads),
        integers("strides", &strides),
    ];
    Ok(([x, w, b], about))
}

/// y = a + b.
pub(super) fn add(walk: &mut Walk<'_>, dispatch: &Dispatch, name: &str) -> Result<String> {
    let [a, b] = ["a", "b"].map(|of| bound(dispatch, of));
    let (a, b) = (walk.value(a)?, walk.value(b)?);
    walk.graph.node("Add", &[&a, &b], name, vec![]);
    Ok(name.to_owned())
}

/// y = softmax(q kᵀ / √each) v of each head.
pub(super) fn attention(walk: &mut Walk<'_>, dispatch: &Dispatch, name: &str) -> Result<String> {
    let x = walk.value(bound(dispatch, "in_proj"))?;
    let [places, heads, each] =
        ["places", "heads", "each"].map(|of| i64::from(parameter(dispatch, of)));
    let of = |ending: &str| format!("{name}.{ending}");
    let [axis, sides, shape] = ["axis", "sides", "shape"].map(of);
    walk.graph.integers(&axis, &[1]);
    walk.graph.integers(&sides, &[0, heads, each, places]);
    let [q, k, v] = ["q", "k", "v"].map(of);
    for (at, part) in (0..).zip([&q, &k, &v]) {
        let [first, end, map] = ["first", "end", "map"].map(|ending| format!("{part}.{ending}"));
        walk.graph.integers(&first, &[at * heads * each]);
        walk.graph.integers(&end, &[(at + 1) * heads * each]);
        walk.graph.node("Slice", &[&x, &first, &end, &axis], &map, vec![]);
        walk.graph.node("Reshape", &[&map, &sides], part, vec![]);
    }
    // As the map of the queries lies.
    walk.graph.node("Shape", &[&format!("{q}.map")], &shape, vec![]);
    let [turned, scores, scale, scaled, shares, back, made] =
        ["turned", "scores", "scale", "scaled", "shares", "back", "made"].map(of);
    let turn = || vec![integers("perm", &[0, 1, 3, 2])];
    // (images, heads, queries, keys).
    walk.graph.node("Transpose", &[&q], &turned, turn());
    walk.graph.node("MatMul", &[&turned, &k], &scores, vec![]);
    walk.graph.constant(&scale, &[], &[1.0 / (each as f32).sqrt()]);
    walk.graph.node("Mul", &[&scores, &scale], &scaled, vec![]);
    walk.graph.node("Softmax", &[&scaled], &shares, vec![integer("axis", 3)]);
    walk.graph.node("Transpose", &[&shares], &back, turn());
    walk.graph.node("MatMul", &[&v, &back], &made, vec![]);
    walk.graph.node("Reshape", &[&made, &shape], name, vec![]);
    Ok(name.to_owned())
}

/// The means of places.
pub(super) fn pool(walk: &mut Walk<'_>, dispatch: &Dispatch, name: &str) -> Result<String> {
    let x = walk.value(bound(dispatch, "x"))?;
    let side = i64::from(parameter(dispatch, "side"));
    let about = vec![integers("kernel_shape", &[side; 2]), integers("strides", &[side; 2])];
    walk.graph.node("AveragePool", &[&x], name, about);
    Ok(name.to_owned())
}

/// y = f(gain ⊗ normal + bias), `normal` being that of an instance whose channels are the groups.
pub(super) fn group_norm(walk: &mut Walk<'_>, dispatch: &Dispatch, name: &str) -> Result<String> {
    let (x, groups) = (bound(dispatch, "x"), parameter(dispatch, "groups") as usize);
    let learned = ["gain", "bias"].map(|of| walk.learned(bound(dispatch, of), 0..x.cols(), ""));
    let channels = x.cols() as i64;
    let x = walk.value(x)?;
    let of = |ending: &str| format!("{name}.{ending}");
    let [ones, zeros, grouped, line, normal] =
        ["ones", "zeros", "grouped", "line", "normal"].map(of);
    walk.graph.constant(&ones, &[groups], &vec![1.0; groups]);
    walk.graph.constant(&zeros, &[groups], &vec![0.0; groups]);
    walk.graph.integers(&line, &[0, groups as i64, -1]);
    walk.graph.node("Reshape", &[&x, &line], &grouped, vec![]);
    let about = vec![float("epsilon", EPSILON as f32)];
    walk.graph.node("InstanceNormalization", &[&grouped, &ones, &zeros], &normal, about);
    let [as_x, shaped, scale, shift, scaled] =
        ["shape", "shaped", "scale", "shift", "scaled"].map(of);
    walk.graph.node("Shape", &[&x], &as_x, vec![]);
    walk.graph.node("Reshape", &[&normal, &as_x], &shaped, vec![]);
    let sides = of("sides");
    walk.graph.integers(&sides, &[channels, 1, 1]);
    walk.graph.node("Reshape", &[&learned[0], &sides], &scale, vec![]);
    walk.graph.node("Reshape", &[&learned[1], &sides], &shift, vec![]);
    walk.graph.node("Mul", &[&shaped, &scale], &scaled, vec![]);
    walk.graph.then(activation_of(dispatch), (name, "shifted"), |graph, shifted| {
        graph.node("Add", &[&scaled, &shift], shifted, vec![]);
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
    let mut layers = networks.all().flat_map(|(network, _)| network.layers());
    let path = path.expect("the weight of a layer has its path");
    let found = layers.find_map(|placed| match placed.layer {
        Layer::Convolution(found) | Layer::Transposed(found) if placed.path == path => Some(found),
        // What attention makes of each place.
        Layer::Attention(_) if path.starts_with(&format!("{}.", placed.path)) => {
            Some(Convolution::new(bound(dispatch, "y").cols(), [1, 1]))
        }
        _ => None,
    });
    found.expect("a convolution binds the weight of a layer")
}
