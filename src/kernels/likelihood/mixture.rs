//! A mixture of discretised logistics that the numbers of a place share: its kernel, each formula, the means and a draw.

use std::ops::Range;

use super::family::{bounded, chosen, log_sum, logistic, logit, nearest, within};
use super::gamma::uniform;
use super::lanes;
use crate::config::ModelConfig;
use crate::engine::kernel::params;
use crate::engine::record::rate;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Grid, Kernel, Real, Record, Rows, Schedule, Tape, by_rows, real,
    rows_of, uncounted,
};
use crate::kernels::common::{Sum, halvings, plain, turns, turns_in_parts, wgsl};
use crate::kernels::likelihood::Observed;

params! {
    /// Parameters of the mixture's kernel.
    pub struct Mixture {
        /// Rows of what the decoder makes, with the padding.
        rows: u32,
        /// Places of an image, n.
        places: u32,
        /// Numbers that the decoder makes of an image: blocks of all places.
        cols: u32,
        /// The distance between rows of what the decoder makes.
        stride: u32,
        /// The distance between rows of x.
        x_stride: u32,
        /// Rows of one image.
        samples: u32,
        /// Levels of a number.
        levels: u32,
        /// Components of the mixture, K.
        components: u32,
        /// Numbers of a place, C, which share the component.
        together: u32,
    }
}

impl Mixture {
    /// Groups of K blocks: the logits, C of locations, C of log-scales, and coefficients of each of C (C − 1) / 2 pairs.
    pub(super) fn groups(&self) -> usize {
        let together = self.together as usize;
        1 + 2 * together + together * (together - 1) / 2
    }

    /// The group of the coefficients of number i; that by number j comes j groups later.
    pub(super) fn pairs_of(&self, i: usize) -> usize {
        1 + 2 * self.together as usize + i * i.saturating_sub(1) / 2
    }
}

const SCHEDULES: &[Schedule] =
    &[plain(wgsl!("likelihood.wgsl", "likelihood.mixture.wgsl"), Cover::Row)];

/// Invocations of a workgroup.
const LANES: u32 = 256;

/// nll (images · samples) = −log p(x | made), in nats, and its gradient dmade (images · samples, K · groups · n) times the
/// record's `loss_scale` over the samples, for made (images · samples, K · groups · n) and x (images, n · C), C numbers a
/// place. p of a place is Σ π Π P over the K components and the C numbers, where P is what a logistic distribution puts
/// into the bin of a level; the location of number i is its own and Σ tanh(r) (x − ½) over the numbers before it, with a
/// coefficient r for each: Salimans et al. 2017, section 2.2, whose numbers go from −1 to 1. Rows that the record does not
/// fill are zero.
pub static MIXTURE: Kernel<Mixture, 4> = Kernel {
    name: "likelihood.mixture",
    entry: "mixture",
    bindings: [
        Binding::read("made"),
        Binding::read("x"),
        Binding::write("nll"),
        Binding::write("dmade"),
    ],
    overrides: &["components", "together"],
    schedules: SCHEDULES,
    reference: (forward, forward),
    cpu: Cpu::Own(forward_cpu),
    turns: row_turns,
    flops: uncounted,
};

/// The lanes share the places of a row; each looks at all components of its own, and again at all their blocks.
fn row_turns(p: &Mixture) -> u64 {
    let (count, together) = (u64::from(p.components), u64::from(p.together));
    let component = turns(p.together, 1) + together * (together - 1) + 2 * together;
    let place = 2 * turns(p.components, 1) + count * (component + p.groups() as u64);
    let places = turns_in_parts(p.places, LANES) + u64::from(p.places.div_ceil(LANES)) * place;
    let filled = places + turns(p.stride - p.cols, LANES);
    filled.max(turns(p.stride, LANES)) + halvings(LANES)
}

fn forward<T: Real>(p: &Mixture, record: &Record, [made, x, nll, d]: [Arg<'_, T>; 4]) {
    rows(p, record, [made, x, nll, d], |(made, x), d, weight| {
        let (places, together) = (p.places as usize, p.together as usize);
        let mut own = vec![T::zero(); p.components as usize * p.groups()];
        let (mut slopes, mut sum) = (own.clone(), Sum::new());
        for (j, x) in x[..places * together].chunks(together).enumerate() {
            let blocks = made[j..].iter().step_by(places);
            own.iter_mut().zip(blocks).for_each(|(own, &made)| *own = made);
            sum.add(place(p, &own, x, &mut slopes));
            let blocks = d[j..].iter_mut().step_by(places);
            blocks.zip(&slopes).for_each(|(d, &slope)| *d = slope * weight);
        }
        sum.total()
    });
}

/// −log p of each row and its gradient times a weight, by what compares one row; zeros where the record fills none.
fn rows<T: Real>(
    p: &Mixture,
    record: &Record,
    [made, x, nll, d]: [Arg<'_, T>; 4],
    mut row: impl FnMut((&[T], &[T]), &mut [T], T) -> T,
) {
    let (made, x, samples) = (made.read(), x.read(), p.samples as usize);
    let [stride, x_stride, cols] = [p.stride, p.x_stride, p.cols].map(|n| n as usize);
    let weight = real::<T>(record.rates[rate::LOSS_SCALE] / f64::from(p.samples));
    let rows = nll.write().iter_mut().zip(d.write().chunks_mut(stride));
    for (at, (nll, d)) in rows.enumerate().take(p.rows as usize) {
        if at >= record.rows as usize * samples {
            *nll = T::zero();
            d.fill(T::zero());
            continue;
        }
        let (d, padding) = d.split_at_mut(cols);
        padding.fill(T::zero());
        let given = (&made[at * stride..][..cols], &x[at / samples * x_stride..][..x_stride]);
        *nll = row(given, d, weight);
    }
}

/// By functions that are vectorised, over the places of a row.
fn forward_cpu(p: &Mixture, record: &Record, args: [Arg<'_, f32>; 4]) {
    let part = |p: &Mixture, images: Range<usize>| Mixture {
        rows: rows_of(images, p.samples, p.rows),
        ..*p
    };
    let samples = p.samples as usize;
    let made = samples * p.stride as usize;
    let elements = [made, p.x_stride as usize, samples, made];
    let images = p.rows.div_ceil(p.samples) as usize;
    by_rows(Rows { images, elements, part }, p, record, args, |p, record, args| {
        let mut room = lanes::Room::new(p);
        rows(p, record, args, |given, d, weight| lanes::row(p, given, (d, weight), &mut room));
    });
}

/// −log p of the numbers x of a place, of what the decoder `made` of it; the gradient at that goes to `d`.
fn place<T: Real>(p: &Mixture, made: &[T], x: &[T], d: &mut [T]) -> T {
    let (count, together, half) = (p.components as usize, p.together as usize, real::<T>(0.5));
    let logits = &made[..count];
    let mut joint = logits.to_vec();
    for (c, joint) in joint.iter_mut().enumerate() {
        let at = |group: usize| group * count + c;
        for (i, &value) in x.iter().enumerate() {
            let by = |j: usize| at(p.pairs_of(i) + j);
            let mut m = made[at(1 + i)];
            for (j, &before) in x[..i].iter().enumerate() {
                m += made[by(j)].tanh() * (before - half);
            }
            let (log_scale, slope) = bounded(made[at(1 + together + i)]);
            let [nll, at_location, at_scale] = logistic(p.levels, value, m, log_scale);
            *joint -= nll;
            (d[at(1 + i)], d[at(1 + together + i)]) = (at_location, at_scale * slope);
            for (j, &before) in x[..i].iter().enumerate() {
                let t = made[by(j)].tanh();
                d[by(j)] = at_location * (before - half) * (T::one() - t) * (T::one() + t);
            }
        }
    }
    let (before, after) = (log_sum(logits), log_sum(&joint));
    for (c, &joint) in joint.iter().enumerate() {
        let share = (joint - after).exp();
        d[c] = (logits[c] - before).exp() - share;
        d[c + count..].iter_mut().step_by(count).for_each(|d| *d *= share);
    }
    before - after
}

/// The means of the numbers of a place, of what the decoder `made` of it: over the components, of locations within the
/// range, each by those of the numbers before it.
pub(super) fn means<T: Real>(model: &ModelConfig, made: &[T], to: &mut [T]) {
    let all = log_sum(&made[..model.components]);
    let mut means = to.to_vec();
    to.fill(T::zero());
    for c in 0..model.components {
        for i in 0..to.len() {
            means[i] = within(location(model, made, c, &means[..i], to.len()));
            to[i] += (made[c] - all).exp() * means[i];
        }
    }
}

/// The location of the next number of a place under the component c, after those `before` it, of so many in all.
fn location<T: Real>(
    model: &ModelConfig,
    made: &[T],
    c: usize,
    before: &[T],
    together: usize,
) -> T {
    let p = Mixture { together: size(together), ..Mixture::default() };
    let (i, at) = (before.len(), |group: usize| made[group * model.components + c]);
    let follows = |(j, &x): (usize, &T)| at(p.pairs_of(i) + j).tanh() * (x - real(0.5));
    before.iter().enumerate().map(follows).fold(at(1 + i), |m, more| m + more)
}

/// Draws the numbers of a place: the component, then each number after those before it. `more` has four random words of
/// each number from 0 on.
pub(super) fn draw(
    model: &ModelConfig,
    made: &[f64],
    to: &mut [f64],
    more: impl Fn(u32) -> [u32; 4],
) {
    let word = |i: usize| uniform(more(i as u32 / 4)[i % 4]);
    let c = chosen(&made[..model.components], word(0));
    for i in 0..to.len() {
        let (drawn, together) = (&to[..i], to.len());
        let scale = bounded(made[(1 + together + i) * model.components + c]).0.exp();
        let m = location(model, made, c, drawn, together);
        to[i] = nearest(model, m + scale * logit(word(1 + i)));
    }
}

/// Records nll of a model whose likelihood is a mixture, as [`likelihood`](super::likelihood).
pub(super) fn mixture(
    tape: &mut Tape<'_>,
    model: &ModelConfig,
    samples: usize,
    Observed { made, blocks, x, nll }: Observed,
) {
    let dmade = tape.plan.matrix("dmade", made.rows(), made.cols());
    let p = Mixture {
        rows: size(made.padded_rows()),
        places: size(blocks.len),
        cols: size(made.cols()),
        stride: size(made.stride()),
        x_stride: size(x.stride()),
        samples: size(samples),
        levels: size(model.levels),
        components: size(model.components),
        together: size(x.cols() / blocks.len),
    };
    assert_eq!(blocks.count, model.components * p.groups(), "mixture: {p:?}");
    tape.set_grad(made, dmade);
    tape.dispatch(&MIXTURE, p, [made, x, nll, dmade], Grid::Rows(made.padded_rows()));
}
