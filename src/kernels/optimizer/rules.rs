//! The update rules as plain loops from their formulas, and Adam's CPU schedule.

use rayon::prelude::*;

use crate::engine::record::{RATES, rate};
use crate::engine::{Arg, Real, Record, real};
use crate::kernels::fast::vectorised;
use crate::kernels::finite::WEIGHT;
use crate::kernels::optimizer::Optimizer;

/// Whether a number is finite in f32, also where the oracle could hold a larger one.
#[inline(always)]
pub(in crate::kernels) fn fits<T: Real>(x: T) -> bool {
    x.abs() <= T::from_f32(f32::MAX)
}

/// The gradient as the update sees it.
#[inline(always)]
fn gradient<T: Real>(p: &Optimizer, r: &[T; RATES], norm: T, g: T, w: T) -> T {
    let clipped = if p.clip != 0 { g * norm } else { g };
    if p.decoupled != 0 { clipped } else { clipped + r[rate::DECAY] * w }
}

/// One element of Adam: the new weight and moments.
#[inline(always)]
pub(in crate::kernels) fn adam_element<T: Real>(
    p: &Optimizer,
    r: &[T; RATES],
    norm: T,
    g: T,
    [w, m, v]: [T; 3],
) -> [T; 3] {
    let g = gradient(p, r, norm, g, w);
    let m = r[rate::BETA1] * m + r[rate::ONE_MINUS_BETA1] * g;
    let v = r[rate::BETA2] * v + r[rate::ONE_MINUS_BETA2] * g * g;
    let root = v.sqrt() * r[rate::ROOT_CORRECTION] + r[rate::EPSILON];
    let decay = if p.decoupled != 0 { r[rate::RATE] * r[rate::DECAY] * w } else { T::zero() };
    [w - decay - r[rate::STEP_SIZE] * m / root, m, v]
}

pub(super) fn adam<T: Real>(
    p: &Optimizer,
    record: &Record,
    [guard, norms, g, w, m, v]: [Arg<'_, T>; 6],
) {
    let (rates, guard) = (record.rates.map(real::<T>), guard.words_mut());
    let (norm, g, w, m, v) = (norms.read()[0], g.read(), w.write(), m.write(), v.write());
    if guard[0] != 0 {
        return;
    }
    for i in 0..4 * p.len as usize {
        let new = adam_element(p, &rates, norm, g[i], [w[i], m[i], v[i]]);
        if new.iter().all(|&x| fits(x)) {
            [w[i], m[i], v[i]] = new;
        } else {
            guard[1] |= WEIGHT;
        }
    }
}

/// Elements in a chunk of the CPU schedule: fixed, though for an elementwise rule it cannot matter.
const CHUNK: usize = 16_384;

pub(super) fn adam_cpu(
    p: &Optimizer,
    record: &Record,
    [guard, norms, g, w, m, v]: [Arg<'_, f32>; 6],
) {
    let (rates, guard) = (record.rates.map(|rate| rate as f32), guard.words_mut());
    let (norm, g, w, m, v) = (norms.read()[0], g.read(), w.write(), m.write(), v.write());
    if guard[0] != 0 {
        return;
    }
    let moments = m.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK));
    let broken = w
        .par_chunks_mut(CHUNK)
        .zip(moments)
        .zip(g.par_chunks(CHUNK))
        .map(|((w, (m, v)), g)| {
            vectorised(
                #[inline(always)]
                || adam_chunk(*p, rates, norm, (w, m, v), g),
            )
        })
        .reduce(|| false, |a, b| a | b);
    if broken {
        guard[1] |= WEIGHT;
    }
}

/// A chunk of the CPU schedule; whether something was not finite.
#[inline(always)]
pub(in crate::kernels) fn adam_chunk(
    p: Optimizer,
    rates: [f32; RATES],
    norm: f32,
    (w, m, v): (&mut [f32], &mut [f32], &mut [f32]),
    g: &[f32],
) -> bool {
    let mut broken = 0;
    for (((w, m), v), &g) in w.iter_mut().zip(m).zip(v).zip(g) {
        let new = adam_element(&p, &rates, norm, g, [*w, *m, *v]);
        let fine = fits(new[0]) & fits(new[1]) & fits(new[2]);
        broken |= u32::from(!fine);
        *w = if fine { new[0] } else { *w };
        *m = if fine { new[1] } else { *m };
        *v = if fine { new[2] } else { *v };
    }
    broken != 0
}

/// Runs a rule on the gradient and an element's weight and moments, for all elements; what would not
/// be finite keeps its own value, with all of its element.
fn each<T: Real, const PARALLEL: bool, const N: usize>(
    p: &Optimizer,
    record: &Record,
    [guard, norms, g]: [Arg<'_, T>; 3],
    kept: [Arg<'_, T>; N],
    rule: impl Fn(&[T; RATES], T, [T; N]) -> [T; N] + Sync,
) {
    let (r, guard) = (record.rates.map(real::<T>), guard.words_mut());
    let (norm, g, mut kept) = (norms.read()[0], g.read(), kept.map(Arg::write));
    if guard[0] != 0 {
        return;
    }
    let some = |g: &[T], mut kept: [&mut [T]; N]| {
        let mut broken = false;
        for (i, &g) in g.iter().enumerate() {
            let old: [T; N] = std::array::from_fn(|k| kept[k][i]);
            let new = rule(&r, gradient(p, &r, norm, g, old[0]), old);
            let fine = new.iter().all(|&x| fits(x));
            if fine {
                kept.iter_mut().zip(new).for_each(|(to, value)| to[i] = value);
            }
            broken |= !fine;
        }
        broken
    };
    let parts = g[..4 * p.len as usize].chunks(CHUNK).map(|g| {
        let own = kept.each_mut().map(|all| all.split_off_mut(..g.len()));
        (g, own.map(|own| own.expect("as many weights and moments as gradients")))
    });
    let broken = match PARALLEL {
        false => parts.fold(false, |broken, (g, kept)| broken | some(g, kept)),
        true => {
            let parts: Vec<_> = parts.collect();
            parts.into_par_iter().map(|(g, kept)| some(g, kept)).reduce(|| false, |a, b| a | b)
        }
    };
    if broken {
        guard[1] |= WEIGHT;
    }
}

/// Kingma and Ba 2015, algorithm 2; ε as `torch.optim.Adamax` adds it.
pub(super) fn adamax<T: Real, const PARALLEL: bool>(
    p: &Optimizer,
    record: &Record,
    args: [Arg<'_, T>; 6],
) {
    let [guard, norms, g, w, m, v] = args;
    each::<T, PARALLEL, _>(p, record, [guard, norms, g], [w, m, v], |r, g, [w, m, u]| {
        let m = r[rate::BETA1] * m + r[rate::ONE_MINUS_BETA1] * g;
        let u = (r[rate::BETA2] * u).max(g.abs() + r[rate::EPSILON]);
        [w - r[rate::STEP_SIZE] * (m / u), m, u]
    });
}

/// Tieleman and Hinton 2012, lecture 6.5; ε and momentum as `torch.optim.RMSprop` has them.
pub(super) fn rmsprop<T: Real, const PARALLEL: bool>(
    p: &Optimizer,
    record: &Record,
    args: [Arg<'_, T>; 6],
) {
    let [guard, norms, g, w, m, v] = args;
    each::<T, PARALLEL, _>(p, record, [guard, norms, g], [w, m, v], |r, g, [w, m, v]| {
        let v = r[rate::BETA2] * v + r[rate::ONE_MINUS_BETA2] * g * g;
        let m = r[rate::MOMENTUM] * m + g / (v.sqrt() + r[rate::EPSILON]);
        [w - r[rate::RATE] * m, m, v]
    });
}

/// Duchi et al. 2011, section 1.1 with diagonal matrices; ε as `torch.optim.Adagrad` has it.
pub(super) fn adagrad<T: Real, const PARALLEL: bool>(
    p: &Optimizer,
    record: &Record,
    args: [Arg<'_, T>; 5],
) {
    let [guard, norms, g, w, sums] = args;
    each::<T, PARALLEL, _>(p, record, [guard, norms, g], [w, sums], |r, g, [w, sum]| {
        let sum = sum + g * g;
        let root = (r[rate::ACCUMULATOR] + sum).sqrt() + r[rate::EPSILON];
        [w - r[rate::RATE] * (g / root), sum]
    });
}

/// SGD with momentum; Nesterov's is as `torch.optim.SGD` has it.
pub(super) fn sgd<T: Real, const PARALLEL: bool>(
    p: &Optimizer,
    record: &Record,
    args: [Arg<'_, T>; 5],
) {
    let [guard, norms, g, w, m] = args;
    let nesterov = p.nesterov != 0;
    each::<T, PARALLEL, _>(p, record, [guard, norms, g], [w, m], |r, g, [w, m]| {
        let velocity = r[rate::MOMENTUM] * m + g;
        let along = if nesterov { g + r[rate::MOMENTUM] * velocity } else { velocity };
        [w - r[rate::RATE] * along, velocity]
    });
}
