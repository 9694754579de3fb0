//! Average pooling of maps.

use std::ops::Range;

use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, GradSite, Grid, Kernel, Real, Record, Rows, Schedule, Tape, real,
    uncounted,
};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{plain, turns, wgsl};
use crate::kernels::matmul::convolution::Map;

params! {
    /// Parameters of the pooling kernels.
    pub struct Pool {
        /// Elements of what is written, with the padding.
        len: u32,
        /// How many images there are.
        images: u32,
        /// Lines of an image of x.
        height: u32,
        /// Places of a line of x.
        width: u32,
        /// Lines of an image of y.
        down: u32,
        /// Places of a line of y.
        right: u32,
        /// Places, down and to the right, of which one is made.
        side: u32,
        /// The distance between rows.
        stride: u32,
        /// Whether the result is added to what is there.
        accumulate: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("pool.wgsl"), Cover::Items(64))];

/// y (images · down · right, channels) = the means of side · side places of x (images · height · width, channels).
pub static FORWARD: Kernel<Pool, 2> = Kernel {
    name: "pool.forward",
    entry: "forward",
    bindings: [Binding::read("x"), Binding::write("y")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (forward, forward),
    cpu: Cpu::Rows(|p| by_images(p, |x, y| [x, y], 1)),
    turns: |p| turns(p.side, 1) * (1 + turns(p.side, 1)),
    flops: uncounted,
};

/// dx = dy of the mean that a place counted in, over side · side.
pub static BACKWARD: Kernel<Pool, 2> = Kernel {
    name: "pool.backward",
    entry: "backward",
    bindings: [Binding::read("dy"), Binding::write("dx")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (backward, backward),
    cpu: Cpu::Rows(|p| by_images(p, |x, y| [y, x], 1)),
    turns: |_| 0,
    flops: uncounted,
};

/// Images whose parts of x and y have so many elements; what is past the last one is the padding's.
fn by_images(p: &Pool, elements: fn(usize, usize) -> [usize; 2], written: usize) -> Rows<Pool, 2> {
    let stride = p.stride as usize;
    let elements = elements(p.from() * stride, p.to() * stride);
    let images = (p.len as usize).div_ceil(elements[written]);
    let part = |p: &Pool, images: Range<usize>| Pool {
        images: p.images.saturating_sub(size(images.start)).min(size(images.len())),
        ..*p
    };
    Rows { images, elements, part }
}

impl Pool {
    /// Places of an image of x.
    fn from(&self) -> usize {
        self.height as usize * self.width as usize
    }

    /// Places of an image of y.
    fn to(&self) -> usize {
        self.down as usize * self.right as usize
    }

    /// The place of y, counted over all images, in whose mean a place of x counts.
    fn mean_of(&self, place: usize) -> Option<usize> {
        let (width, side) = (self.width as usize, self.side as usize);
        let (image, within) = (place / self.from(), place % self.from());
        let [top, left] = [within / width / side, within % width / side];
        let inside = top < self.down as usize && left < self.right as usize;
        let inside = inside && image < self.images as usize;
        inside.then(|| image * self.to() + top * self.right as usize + left)
    }
}

fn forward<T: Real>(p: &Pool, _: &Record, [x, y]: [Arg<'_, T>; 2]) {
    let (x, y, stride) = (x.read(), y.write(), p.stride as usize);
    y.fill(T::zero());
    let share = T::one() / real(f64::from(p.side * p.side));
    let places = p.images as usize * p.from();
    for (place, x) in x.chunks(stride).enumerate().take(places) {
        let Some(mean) = p.mean_of(place) else { continue };
        let y = &mut y[mean * stride..][..stride];
        y.iter_mut().zip(x).for_each(|(y, &x)| *y += x * share);
    }
}

fn backward<T: Real>(p: &Pool, _: &Record, [dy, dx]: [Arg<'_, T>; 2]) {
    let (dy, stride) = (dy.read(), p.stride as usize);
    let share = T::one() / real(f64::from(p.side * p.side));
    for (place, dx) in dx.write().chunks_mut(stride).enumerate() {
        if p.accumulate == 0 {
            dx.fill(T::zero());
        }
        if let Some(mean) = p.mean_of(place) {
            let dy = &dy[mean * stride..][..stride];
            dx.iter_mut().zip(dy).for_each(|(dx, &dy)| *dx += dy * share);
        }
    }
}

/// Records the means of `side` · `side` places of a map, and the map's gradient if that is `wanted`. Places that are left over at the lower and
/// the right end count in none, as in `PyTorch`.
///
/// # Panics
///
/// If the map is smaller than that.
pub fn pool(tape: &mut Tape<'_>, name: &str, (x, wanted): (Map, bool), side: usize) -> Map {
    let [down, right] = [x.height / side, x.width / side];
    assert!(down > 0 && right > 0, "pool `{name}`: {side} places of {x:?}");
    let at = tape.plan.matrix(name, x.images() * down * right, x.at.cols());
    let p = Pool {
        len: size(at.words()),
        images: size(x.images()),
        height: size(x.height),
        width: size(x.width),
        down: size(down),
        right: size(right),
        side: size(side),
        stride: size(at.stride()),
        accumulate: 0,
    };
    tape.dispatch(&FORWARD, p, [x.at, at], Grid::Flat(at.words()));
    tape.on_backward(if wanted { std::slice::from_ref(&x.at) } else { &[] }, move |tape| {
        if !wanted {
            return;
        }
        let dy = tape.grad(at, GradSite::Output).expect("something used the means");
        let dx = tape.grad_out(x.at, GradSite::Output);
        let words = x.at.words();
        let p = Pool { len: size(words), accumulate: dx.accumulate(), ..p };
        tape.dispatch(&BACKWARD, p, [dy, dx.at], Grid::Flat(words));
    });
    Map { at, height: down, width: right }
}

/// Sides that fit and that leave places over, channels of one to seventeen, two users, and more than 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    let sizes = [
        (1, [1, 1], 1, 1),
        (5, [4, 6], 3, 2),
        (3, [5, 7], 17, 2),
        (2, [9, 4], 5, 3),
        (17, [2, 3], 16, 2),
        (16, [300, 250], 4, 2),
    ];
    sizes.into_iter().map(case).collect()
}

fn case((images, [height, width], channels, side): (usize, [usize; 2], usize, usize)) -> Case {
    let name = format!("pool {images}·{height}×{width}×{channels} by {side}");
    let mut case = Case::new(name, images);
    let at = case.input("x", [images * height * width, channels], Fill::Uniform(1, -2.0, 2.0));
    let made = [images * (height / side) * (width / side), channels];
    let weights = [0; 2].map(|_| case.weight(made));
    let (ys, dx) = case.record(|tape| {
        let ys = [0; 2].map(|_| pool(tape, "y", (Map { at, height, width }, true), side).at);
        ys.iter().zip(weights).for_each(|(&y, weight)| tape.set_grad(y, weight));
        tape.backward();
        (ys, tape.grad(at, GradSite::Output).expect("two rules wrote it"))
    });
    case.outputs.extend(ys.into_iter().zip(weights.map(Weight::Of)));
    case.gradients.push((at, dx));
    case
}
