//! Group normalisation: each group of channels of an image's map is made of mean 0 and variance 1, then scaled and shifted.

mod cases;

use std::ops::Range;

use crate::config::Activation;
use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, GradSite, Grid, Kernel, PAD, Real, Record, Rows, Schedule, Tape,
    real, uncounted,
};
use crate::kernels::activation::{gradient_before, note_applied};
use crate::kernels::common::{activate, activation_of, halvings, plain, turns, wgsl};
use crate::kernels::layer_norm::{EPSILON, Norm};
use crate::kernels::matmul::convolution::Map;

pub(crate) use cases::cases;

params! {
    /// Parameters of the kernels of group normalisation.
    pub struct GroupNorm {
        /// How many images there are.
        images: u32,
        /// Places of an image.
        places: u32,
        /// Channels, which the groups share equally.
        channels: u32,
        /// The distance between rows of the map.
        stride: u32,
        /// Groups of channels.
        groups: u32,
        /// The distance between rows of the moments.
        moments_stride: u32,
        /// The distance between rows of the slopes.
        slopes_stride: u32,
        /// The code of the activation that is applied to y.
        activation: u32,
        /// Whether the gradient is added to what is there.
        accumulate: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("common.total.wgsl", "group_norm.wgsl"), Cover::Row)];

/// Invocations of a workgroup.
const LANES: u32 = 64;

/// y = f(gain ⊗ normal + bias), for x and y (images · places, channels), gain and bias (channels), where normal = (x − mean)
/// · inverse, inverse = 1 / √(variance + ε), of each group of channels of an image over all its places, the variance
/// divided by the count: Wu and He 2018, eq. 1, 2 and 6. moments (images, 2 · groups) = [mean | inverse]; f is the activation.
pub static FORWARD: Kernel<GroupNorm, 5> = Kernel {
    name: "group_norm.forward",
    entry: "forward",
    bindings: [
        Binding::read("x"),
        Binding::read("gain"),
        Binding::read("bias"),
        Binding::write_within("moments"),
        Binding::write_within("y"),
    ],
    overrides: &["activation"],
    schedules: SCHEDULES,
    reference: (forward, forward),
    cpu: Cpu::Rows(|p| by_images(p, |map, moments, _| [map, 0, 0, moments, map])),
    turns: |p| 3 * turns(p.each_group(), LANES) + 2 * halvings(LANES),
    flops: uncounted,
};

/// slopes (images, 2 · stride) = [Σ dy ⊗ normal | Σ dy] over the places of each image.
pub static SUMS: Kernel<GroupNorm, 4> = Kernel {
    name: "group_norm.sums",
    entry: "sums",
    bindings: [
        Binding::read("x"),
        Binding::read("dy"),
        Binding::read("made"),
        Binding::write_within("slopes"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (sums, sums),
    cpu: Cpu::Rows(|p| by_images(p, |map, moments, slopes| [map, map, moments, slopes])),
    turns: |p| turns(p.places, LANES / PAD as u32) + 2 * halvings(LANES),
    flops: uncounted,
};

/// dx = inverse · (dn − mean(dn) − normal · mean(dn ⊗ normal)) with dn = dy ⊗ gain; the means are of each group of an image.
pub static BACKWARD: Kernel<GroupNorm, 6> = Kernel {
    name: "group_norm.backward",
    entry: "backward",
    bindings: [
        Binding::read("x"),
        Binding::read("dy"),
        Binding::read("made"),
        Binding::read("back_gain"),
        Binding::read("summed"),
        Binding::write_within("dx"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (backward, backward),
    cpu: Cpu::Rows(|p| by_images(p, |map, moments, slopes| [map, map, moments, 0, slopes, map])),
    turns: |p| turns(p.channels, LANES) + turns(p.each_group(), LANES) + 2 * halvings(LANES),
    flops: uncounted,
};

/// dgain and dbias (channels) = the sums of the slopes over the images.
pub static PARAMETERS: Kernel<GroupNorm, 3> = Kernel {
    name: "group_norm.parameters",
    entry: "parameters",
    bindings: [
        Binding::read("each_image"),
        Binding::write_within("dgain"),
        Binding::write("dbias"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (parameters, parameters),
    cpu: Cpu::Reference,
    turns: |p| turns(p.images, LANES) + 2 * halvings(LANES),
    flops: uncounted,
};

impl GroupNorm {
    /// Numbers of a group of an image.
    fn each_group(&self) -> u32 {
        self.places * (self.channels / self.groups)
    }

    /// Elements of an image's map.
    fn map(&self) -> usize {
        self.places as usize * self.stride as usize
    }

    /// The mean and the inverse deviation of each channel of an image.
    fn of_channels<T: Real>(&self, moments: &[T], image: usize) -> [Vec<T>; 2] {
        let (each, groups) = ((self.channels / self.groups) as usize, self.groups as usize);
        let moments = &moments[image * self.moments_stride as usize..][..2 * groups];
        let (means, inverses) = moments.split_at(groups);
        let of = |of: &[T]| (0..self.channels as usize).map(|channel| of[channel / each]).collect();
        [of(means), of(inverses)]
    }

    /// The sum of what the channels of each group have.
    fn of_groups<T: Real>(&self, channels: &[T]) -> Vec<T> {
        let each = (self.channels / self.groups) as usize;
        let add = |of: &[T]| of.iter().fold(T::zero(), |sum, &value| sum + value);
        channels[..self.channels as usize].chunks(each).map(add).collect()
    }
}

/// Images with so many elements of each binding, which depend on those of an image's map, moments and slopes.
fn by_images<const N: usize>(
    p: &GroupNorm,
    elements: fn(usize, usize, usize) -> [usize; N],
) -> Rows<GroupNorm, N> {
    let part = |p: &GroupNorm, images: Range<usize>| GroupNorm { images: size(images.len()), ..*p };
    let elements = elements(p.map(), p.moments_stride as usize, p.slopes_stride as usize);
    Rows { images: p.images as usize, elements, part }
}

/// The sums over places of what `terms` adds for a row to each channel, in blocks of 256 places, so that f32 keeps its digits.
fn over_places<T: Real>(
    p: &GroupNorm,
    rows: &[T],
    mut add: impl FnMut(&mut [T], usize, &[T]),
) -> Vec<T> {
    let (channels, stride) = (p.channels as usize, p.stride as usize);
    let (mut all, mut block) = (vec![T::zero(); channels], vec![T::zero(); channels]);
    for (place, row) in rows.chunks(stride).enumerate() {
        add(&mut block, place, &row[..channels]);
        if place % 256 == 255 || place + 1 == p.places as usize {
            all.iter_mut().zip(&mut block).for_each(|(all, block)| {
                *all += std::mem::replace(block, T::zero());
            });
        }
    }
    all
}

fn forward<T: Real>(p: &GroupNorm, _: &Record, [x, gain, bias, moments, y]: [Arg<'_, T>; 5]) {
    let (x, gain, bias) = (x.read(), gain.read(), bias.read());
    let (moments, y) = (moments.write(), y.write());
    let (channels, stride, groups) = (p.channels as usize, p.stride as usize, p.groups as usize);
    let count = real::<T>(f64::from(p.each_group()));
    let kind = activation_of(p.activation);
    for image in 0..p.images as usize {
        let x = &x[image * p.map()..][..p.map()];
        let totals = over_places(p, x, |sums, _, row| {
            sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += x);
        });
        let to = &mut moments[image * p.moments_stride as usize..][..2 * groups];
        for (mean, total) in to.iter_mut().zip(p.of_groups(&totals)) {
            *mean = total / count;
        }
        let [means, _] = p.of_channels(moments, image);
        let squares = over_places(p, x, |sums, _, row| {
            let terms = sums.iter_mut().zip(row).zip(&means);
            terms.for_each(|((sum, &x), &mean)| *sum += (x - mean) * (x - mean));
        });
        let to = &mut moments[image * p.moments_stride as usize..][groups..2 * groups];
        for (inverse, squares) in to.iter_mut().zip(p.of_groups(&squares)) {
            *inverse = T::one() / (squares / count + real(EPSILON)).sqrt();
        }
        let [_, inverses] = p.of_channels(moments, image);
        let y = &mut y[image * p.map()..][..p.map()];
        for (x, y) in x.chunks(stride).zip(y.chunks_mut(stride)) {
            for c in 0..channels {
                let normal = (x[c] - means[c]) * inverses[c];
                y[c] = activate(kind, normal * gain[c] + bias[c]);
            }
        }
    }
}

fn sums<T: Real>(p: &GroupNorm, _: &Record, [x, dy, moments, slopes]: [Arg<'_, T>; 4]) {
    let (x, dy, moments, slopes) = (x.read(), dy.read(), moments.read(), slopes.write());
    let stride = p.stride as usize;
    for image in 0..p.images as usize {
        let [means, inverses] = p.of_channels(moments, image);
        let (x, dy) = (&x[image * p.map()..][..p.map()], &dy[image * p.map()..][..p.map()]);
        let by_gain = over_places(p, dy, |sums, place, dy| {
            let terms = sums.iter_mut().zip(dy).zip(&x[place * stride..]);
            let of = means.iter().zip(&inverses);
            terms.zip(of).for_each(|(((sum, &dy), &x), (&mean, &inverse))| {
                *sum += dy * (x - mean) * inverse;
            });
        });
        let by_bias = over_places(p, dy, |sums, _, dy| {
            sums.iter_mut().zip(dy).for_each(|(sum, &dy)| *sum += dy);
        });
        let to = &mut slopes[image * p.slopes_stride as usize..];
        to[..by_gain.len()].copy_from_slice(&by_gain);
        to[stride..][..by_bias.len()].copy_from_slice(&by_bias);
    }
}

/// The Jacobian of `normal` at x is that of [`layer_norm`](crate::kernels::layer_norm), over a group of an image.
fn backward<T: Real>(p: &GroupNorm, _: &Record, args: [Arg<'_, T>; 6]) {
    let [x, dy, moments, gain, slopes, dx] = args;
    let (x, dy, moments) = (x.read(), dy.read(), moments.read());
    let (gain, slopes, dx) = (gain.read(), slopes.read(), dx.write());
    let (channels, stride) = (p.channels as usize, p.stride as usize);
    let (each, count) = (channels / p.groups as usize, real::<T>(f64::from(p.each_group())));
    for image in 0..p.images as usize {
        let slopes = &slopes[image * p.slopes_stride as usize..];
        let mean_of = |slopes: &[T]| {
            let terms: Vec<_> = slopes.iter().zip(gain).map(|(&s, &g)| s * g).collect();
            let sums = p.of_groups(&terms);
            (0..channels).map(|c| sums[c / each] / count).collect::<Vec<_>>()
        };
        let (along, across) =
            (mean_of(&slopes[..channels]), mean_of(&slopes[stride..][..channels]));
        let [means, inverses] = p.of_channels(moments, image);
        let whole = image * p.map()..(image + 1) * p.map();
        let rows = x[whole.clone()].chunks(stride).zip(dy[whole.clone()].chunks(stride));
        for ((x, dy), dx) in rows.zip(dx[whole].chunks_mut(stride)) {
            for c in 0..channels {
                let normal = (x[c] - means[c]) * inverses[c];
                let own = inverses[c] * (dy[c] * gain[c] - across[c] - normal * along[c]);
                dx[c] = if p.accumulate != 0 { dx[c] + own } else { own };
            }
        }
    }
}

fn parameters<T: Real>(p: &GroupNorm, _: &Record, [slopes, dgain, dbias]: [Arg<'_, T>; 3]) {
    let (slopes, stride) = (slopes.read(), p.stride as usize);
    for (to, first) in [(dgain.write(), 0), (dbias.write(), stride)] {
        for (channel, to) in to.iter_mut().enumerate().take(stride) {
            let of = |image: usize| slopes[image * p.slopes_stride as usize + first + channel];
            let sum = (0..p.images as usize).fold(T::zero(), |sum, image| sum + of(image));
            *to = if p.accumulate != 0 { *to + sum } else { sum };
        }
    }
}

/// Records y = f(gain ⊗ normal + bias) of a map, normalised by so many groups of channels, for an activation whose slope is
/// known at its output, and the gradients of x, if that is `wanted`, gain and bias.
///
/// # Panics
///
/// If the shapes do not fit, or the activation's slope is taken at its input.
pub fn group_norm(
    tape: &mut Tape<'_>,
    name: &str,
    (x, wanted): (Map, bool),
    (groups, Norm { gain, bias }): (usize, Norm),
    kind: Activation,
) -> Map {
    let channels = x.at.cols();
    let lengths = [gain, bias].map(|of| of.cols());
    assert_eq!(lengths, [channels; 2], "group_norm `{name}`: gain and bias of {channels} channels");
    assert!(channels.is_multiple_of(groups), "group_norm `{name}`: {groups} groups of {channels}");
    assert!(kind.slope_from_output(), "group_norm: {} is applied apart", kind.name());
    let images = x.images();
    let y = Map { at: tape.plan.matrix(name, x.at.rows(), channels), ..x };
    let moments = tape.plan.matrix(&format!("{name}.moments"), images, 2 * groups);
    let stride = x.at.stride();
    let mut p = GroupNorm {
        images: size(images),
        places: size(x.height * x.width),
        channels: size(channels),
        stride: size(stride),
        groups: size(groups),
        moments_stride: size(moments.stride()),
        slopes_stride: size(2 * stride),
        activation: kind.code(),
        accumulate: 0,
    };
    let of_groups = Grid::Rows(images * groups);
    tape.dispatch(&FORWARD, p, [x.at, gain, bias, moments, y.at], of_groups);
    note_applied(tape, y.at, kind);
    let name = name.to_owned();
    tape.on_backward(if wanted { std::slice::from_ref(&x.at) } else { &[] }, move |tape| {
        let dy = gradient_before(tape, kind, y.at);
        let slopes = tape.plan.matrix(&format!("{name}.slopes"), images, 2 * stride);
        let of_columns = Grid::Rows(images * stride / PAD);
        tape.dispatch(&SUMS, p, [x.at, dy, moments, slopes], of_columns);
        if wanted {
            let dx = tape.grad_out(x.at, GradSite::Output);
            p.accumulate = dx.accumulate();
            tape.dispatch(&BACKWARD, p, [x.at, dy, moments, gain, slopes, dx.at], of_groups);
        }
        tape.leaf(&[gain, bias], false, move |tape, _| {
            let [dgain, dbias] = [gain, bias].map(|of| tape.grad_out(of, GradSite::Output));
            p.accumulate = dgain.accumulate();
            tape.dispatch(&PARAMETERS, p, [slopes, dgain.at, dbias.at], Grid::Rows(stride));
        });
    });
    y
}
