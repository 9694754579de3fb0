//! Attention among the places of a map (Vaswani et al. 2017, section 3.2).

mod cases;
mod products;

use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, GradSite, Grid, Kernel, Real, Record, Schedule, Tape, Tensor, real,
};
use crate::kernels::common::{halvings, plain, turns, wgsl};

pub(crate) use cases::cases;

/// The most places of an image that attend to one another, as many as a workgroup keeps.
pub const MOST_PLACES: usize = 1024;

params! {
    /// Parameters of the kernels of attention.
    pub struct Attention {
        /// How many images there are.
        images: u32,
        /// Places of an image.
        places: u32,
        /// Heads.
        heads: u32,
        /// Channels of a head.
        each: u32,
        /// The distance between rows of queries, keys and values.
        stride: u32,
        /// The distance between rows of y.
        y_stride: u32,
        /// The distance between rows of the logarithms.
        logs_stride: u32,
        /// Whether the gradient is added to what is there.
        accumulate: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("common.total.wgsl", "attention.wgsl"), Cover::Row)];

/// Invocations of a workgroup.
const LANES: u32 = 64;

/// y (images · places, heads · each) = softmax(q kᵀ / √each) v of each image and head, for `in_proj` (images · places, 3 ·
/// heads · each) = [q | k | v], heads within each (Vaswani et al. 2017, eq. 1). logs (images · places, heads) are the
/// logarithms of the sums that the softmax divides by.
pub static FORWARD: Kernel<Attention, 3> = Kernel {
    name: "attention.forward",
    entry: "forward",
    bindings: [Binding::read("in_proj"), Binding::write_within("logs"), Binding::write_within("y")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (forward, forward),
    cpu: Cpu::Own(products::forward),
    turns: |p| p.of_places() + 3 * turns(p.places, LANES) + 2 * halvings(LANES),
    flops: |p, _| 2 * p.products(),
};

/// The gradient of q: Σ over the keys of s (dy · v − dy · y) k / √each, s being the share of a key.
pub static BACKWARD_QUERIES: Kernel<Attention, 5> = Kernel {
    name: "attention.backward_queries",
    entry: "backward_queries",
    bindings: BACKWARD,
    overrides: &[],
    schedules: SCHEDULES,
    reference: (backward::<f32, true>, backward::<f64, true>),
    cpu: Cpu::Own(products::backward_queries),
    turns: |p| 2 * p.of_places() + turns(p.each, 1),
    flops: |p, _| 3 * p.products(),
};

/// The gradients of k, Σ over the queries of s (dy · v − dy · y) q / √each, and of v, Σ s dy.
pub static BACKWARD_KEYS: Kernel<Attention, 5> = Kernel {
    name: "attention.backward_keys",
    entry: "backward_keys",
    bindings: BACKWARD,
    overrides: &[],
    schedules: SCHEDULES,
    reference: (backward::<f32, false>, backward::<f64, false>),
    cpu: Cpu::Own(products::backward_keys),
    turns: |p| 3 * p.of_places(),
    flops: |p, _| 4 * p.products(),
};

const BACKWARD: [Binding; 5] = [
    Binding::read("in_proj"),
    Binding::read("made_logs"),
    Binding::read("made"),
    Binding::read("dy"),
    Binding::write_within("d_in"),
];

impl Attention {
    /// Turns over the places, with those over channels in them, and the other way round.
    fn of_places(&self) -> u64 {
        turns(self.places, LANES) * (1 + turns(self.each, 1))
            + turns(self.each, LANES) * (1 + turns(self.places, 1))
    }

    /// Operations of one product of every query with every key.
    fn products(&self) -> u64 {
        let [images, places] = [self.images, self.places].map(u64::from);
        2 * images * places * places * u64::from(self.heads * self.each)
    }

    /// Where a head's part of a place begins: of the queries (0), the keys (1) or the values (2).
    fn part(&self, image: usize, head: usize, place: usize, which: usize) -> usize {
        let row = image * self.places as usize + place;
        row * self.stride as usize + (which * self.heads as usize + head) * self.each as usize
    }

    /// Where what a head made of a place begins.
    fn made(&self, image: usize, head: usize, place: usize) -> usize {
        (image * self.places as usize + place) * self.y_stride as usize + head * self.each as usize
    }

    /// Every head of every image.
    fn heads(&self) -> impl Iterator<Item = (usize, usize)> {
        let heads = self.heads as usize;
        (0..self.images as usize * heads).map(move |at| (at / heads, at % heads))
    }

    fn scale<T: Real>(&self) -> T {
        T::one() / real::<T>(f64::from(self.each)).sqrt()
    }
}

fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    a.iter().zip(b).fold(T::zero(), |sum, (&a, &b)| sum + a * b)
}

fn forward<T: Real>(p: &Attention, _: &Record, [x, logs, y]: [Arg<'_, T>; 3]) {
    let (x, logs, y) = (x.read(), logs.write(), y.write());
    let (places, each) = (p.places as usize, p.each as usize);
    for (image, head) in p.heads() {
        let of = |place, which| &x[p.part(image, head, place, which)..][..each];
        for i in 0..places {
            let scores: Vec<_> =
                (0..places).map(|j| dot(of(i, 0), of(j, 1)) * p.scale::<T>()).collect();
            let top = scores.iter().copied().fold(T::neg_infinity(), T::max);
            let shares: Vec<_> = scores.iter().map(|&score| (score - top).exp()).collect();
            let all = shares.iter().fold(T::zero(), |sum, &share| sum + share);
            let to = &mut y[p.made(image, head, i)..][..each];
            for (c, to) in to.iter_mut().enumerate() {
                let made = (0..places).fold(T::zero(), |sum, j| sum + shares[j] * of(j, 2)[c]);
                *to = made / all;
            }
            logs[(image * places + i) * p.logs_stride as usize + head] = top + all.ln();
        }
    }
}

/// The gradients of the queries, or those of the keys and values.
fn backward<T: Real, const QUERIES: bool>(p: &Attention, _: &Record, args: [Arg<'_, T>; 5]) {
    let [x, logs, y, dy, dx] = args;
    let (x, logs, y, dy, dx) = (x.read(), logs.read(), y.read(), dy.read(), dx.write());
    let (places, each) = (p.places as usize, p.each as usize);
    for (image, head) in p.heads() {
        let of = |place, which| &x[p.part(image, head, place, which)..][..each];
        let mut sums = vec![T::zero(); 3 * places * each];
        for i in 0..places {
            let made = p.made(image, head, i)..p.made(image, head, i) + each;
            let mean = dot(&dy[made.clone()], &y[made.clone()]);
            let log = logs[(image * places + i) * p.logs_stride as usize + head];
            for j in 0..places {
                let share = (dot(of(i, 0), of(j, 1)) * p.scale::<T>() - log).exp();
                let slope = share * (dot(&dy[made.clone()], of(j, 2)) - mean) * p.scale();
                for c in 0..each {
                    sums[i * each + c] += slope * of(j, 1)[c];
                    sums[(places + j) * each + c] += slope * of(i, 0)[c];
                    sums[(2 * places + j) * each + c] += share * dy[made.start + c];
                }
            }
        }
        for which in if QUERIES { 0..1 } else { 1..3 } {
            for place in 0..places {
                let own = &sums[(which * places + place) * each..][..each];
                let to = &mut dx[p.part(image, head, place, which)..][..each];
                for (to, &own) in to.iter_mut().zip(own) {
                    *to = if p.accumulate != 0 { *to + own } else { own };
                }
            }
        }
    }
}

/// Records y (images · places, heads · each) of `in_proj` (images · places, 3 · heads · each) = [q | k | v], and its gradient.
///
/// # Panics
///
/// If the shapes do not fit, or an image has more than [`MOST_PLACES`].
pub fn attention(
    tape: &mut Tape<'_>,
    name: &str,
    in_proj: Tensor,
    (places, heads): (usize, usize),
) -> Tensor {
    let (rows, channels) = (in_proj.rows(), in_proj.cols() / 3);
    let fits = channels * 3 == in_proj.cols() && channels.is_multiple_of(heads);
    assert!(
        fits,
        "attention `{name}`: {in_proj:?} are no queries, keys and values of {heads} heads"
    );
    let whole = rows.is_multiple_of(places) && places <= MOST_PLACES;
    assert!(whole, "attention `{name}`: {rows} rows of {places} places");
    let logs = tape.plan.matrix(&format!("{name}.logs"), rows, heads);
    let y = tape.plan.matrix(name, rows, channels);
    let mut p = Attention {
        images: size(rows / places),
        places: size(places),
        heads: size(heads),
        each: size(channels / heads),
        stride: size(in_proj.stride()),
        y_stride: size(y.stride()),
        logs_stride: size(logs.stride()),
        accumulate: 0,
    };
    let grid = Grid::Rows(rows * heads);
    tape.dispatch(&FORWARD, p, [in_proj, logs, y], grid);
    tape.on_backward(&[in_proj], move |tape| {
        let dy = tape.grad(y, GradSite::Output).expect("something used what was attended to");
        let dx = tape.grad_out(in_proj, GradSite::Output);
        p.accumulate = dx.accumulate();
        tape.dispatch(&BACKWARD_QUERIES, p, [in_proj, logs, y, dy, dx.at], grid);
        tape.dispatch(&BACKWARD_KEYS, p, [in_proj, logs, y, dy, dx.at], grid);
    });
    y
}
