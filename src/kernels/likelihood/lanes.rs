//! The mixture's CPU schedule: the formula of `mixture::place`, over neighbouring places at a time.

use super::mixture::Mixture;
use crate::config::LOG_SCALE_BOUNDS;
use crate::kernels::common::Sum;
use crate::kernels::fast::{exp_bounded, exp_negative, ln_1m, ln_1p_unit, vectorised};

/// Places that are computed at a time: what is made of them stays in the nearest cache.
const WIDE: usize = 64;

/// One number for each of some places.
type Lanes = [f32; WIDE];

/// What rows are computed with, used again for each.
pub(super) struct Room {
    /// The numbers of the places: all first ones, then all second ones, ….
    x: Vec<Lanes>,
    /// Of each component −log P, and the logit less that.
    joint: Vec<Lanes>,
}

impl Room {
    pub(super) fn new(p: &Mixture) -> Self {
        let lanes = |count: u32| vec![[0.0; WIDE]; count as usize];
        Self { x: lanes(p.together), joint: lanes(p.components) }
    }
}

/// −log p of one row; the gradient at what was made goes to `d`, times `weight`.
pub(super) fn row(
    p: &Mixture,
    (made, x): (&[f32], &[f32]),
    (d, weight): (&mut [f32], f32),
    room: &mut Room,
) -> f32 {
    let (places, mut total) = (p.places as usize, Sum::new());
    for first in (0..places).step_by(WIDE) {
        let part = Part { p, made, x, first, len: WIDE.min(places - first) };
        let losses = vectorised(
            #[inline(always)]
            || part.losses(d, weight, room),
        );
        losses[..part.len].iter().for_each(|&loss| total.add(loss));
    }
    total.total()
}

/// Some neighbouring places of a row.
struct Part<'a> {
    p: &'a Mixture,
    made: &'a [f32],
    x: &'a [f32],
    first: usize,
    len: usize,
}

impl Part<'_> {
    /// Where the numbers of a component's block of a group lie.
    #[inline(always)]
    fn block(&self, group: usize, c: usize) -> std::ops::Range<usize> {
        let at = (group * self.p.components as usize + c) * self.p.places as usize + self.first;
        at..at + self.len
    }

    /// What was made of a block; zeros past the last place.
    #[inline(always)]
    fn load(&self, group: usize, c: usize) -> Lanes {
        self.lanes(&self.made[self.block(group, c)])
    }

    #[inline(always)]
    fn lanes(&self, values: &[f32]) -> Lanes {
        let mut lanes = [0.0; WIDE];
        lanes[..self.len].copy_from_slice(values);
        lanes
    }

    #[inline(always)]
    fn store(&self, d: &mut [f32], (group, c): (usize, usize), lanes: &Lanes) {
        d[self.block(group, c)].copy_from_slice(&lanes[..self.len]);
    }

    /// −log p of each place.
    #[inline(always)]
    fn losses(&self, d: &mut [f32], weight: f32, room: &mut Room) -> Lanes {
        let together = self.p.together as usize;
        let places = self.x[self.first * together..][..self.len * together].chunks(together);
        for (i, x) in room.x.iter_mut().enumerate() {
            x.iter_mut().zip(places.clone()).for_each(|(to, place)| *to = place[i]);
        }
        let mut highest = [[f32::NEG_INFINITY; WIDE]; 2];
        for (c, joint) in room.joint.iter_mut().enumerate() {
            let (logits, losses) = (self.load(0, c), self.component(c, &room.x, d));
            for (joint, (logit, loss)) in joint.iter_mut().zip(logits.iter().zip(&losses)) {
                *joint = logit - loss;
            }
            raise(&mut highest[0], &logits);
            raise(&mut highest[1], joint);
        }
        let mut sums = [[0.0; WIDE]; 2];
        for (c, joint) in room.joint.iter().enumerate() {
            add(&mut sums[0], &self.load(0, c), &highest[0]);
            add(&mut sums[1], joint, &highest[1]);
        }
        for (c, joint) in room.joint.iter().enumerate() {
            self.shares(c, joint, (&highest, &sums), (d, weight));
        }
        let mut losses = [0.0; WIDE];
        for (i, loss) in losses[..self.len].iter_mut().enumerate() {
            let [before, after] = [0, 1].map(|k: usize| highest[k][i] + sums[k][i].ln());
            *loss = before - after;
        }
        losses
    }

    /// −log P of a component; its slopes go to `d`.
    #[inline(always)]
    fn component(&self, c: usize, x: &[Lanes], d: &mut [f32]) -> Lanes {
        let (together, mut losses) = (x.len(), [0.0; WIDE]);
        let levels = Levels::new(self.p.levels);
        for (i, values) in x.iter().enumerate() {
            let (pairs, mut locations) = (self.p.pairs_of(i), self.load(1 + i, c));
            for (j, before) in x[..i].iter().enumerate() {
                let mut raw = self.load(pairs + j, c);
                for ((raw, m), before) in raw.iter_mut().zip(&mut locations).zip(before) {
                    let ([tanh, slope], before) = (tanh_of(*raw), before - 0.5);
                    *m += tanh * before;
                    *raw = slope * before;
                }
                self.store(d, (pairs + j, c), &raw);
            }
            let mut scales = self.load(1 + together + i, c);
            let made = locations.iter_mut().zip(&mut scales);
            for ((x, loss), (m, scale)) in values.iter().zip(&mut losses).zip(made) {
                let found = logistic(levels, *x, *m, *scale);
                *loss += found[0];
                (*m, *scale) = (found[1], found[2]);
            }
            for j in 0..i {
                let pair = &mut d[self.block(pairs + j, c)];
                pair.iter_mut().zip(&locations).for_each(|(d, slope)| *d *= slope);
            }
            self.store(d, (1 + i, c), &locations);
            self.store(d, (1 + together + i, c), &scales);
        }
        losses
    }

    /// The gradient at a component's logit, and its slopes by its share in p.
    #[inline(always)]
    fn shares(
        &self,
        c: usize,
        joint: &Lanes,
        (highest, sums): (&[Lanes; 2], &[Lanes; 2]),
        (d, weight): (&mut [f32], f32),
    ) {
        let mut logits = self.load(0, c);
        share(&mut logits, &highest[0], &sums[0], weight);
        let mut shares = *joint;
        share(&mut shares, &highest[1], &sums[1], weight);
        logits.iter_mut().zip(&shares).for_each(|(logit, share)| *logit -= share);
        self.store(d, (0, c), &logits);
        for group in 1..self.p.groups() {
            let slopes = &mut d[self.block(group, c)];
            slopes.iter_mut().zip(&shares).for_each(|(d, share)| *d *= share);
        }
    }
}

/// Raises what is lower than some values; NaN is kept.
#[inline(always)]
fn raise(highest: &mut Lanes, values: &Lanes) {
    for (highest, &value) in highest.iter_mut().zip(values) {
        *highest = if *highest > value { *highest } else { value };
    }
}

/// Adds exponentials over those of the highest.
#[inline(always)]
fn add(sums: &mut Lanes, values: &Lanes, highest: &Lanes) {
    for ((sum, value), highest) in sums.iter_mut().zip(values).zip(highest) {
        *sum += exp_negative(value - highest);
    }
}

/// The same as a share in their sum, times a weight.
#[inline(always)]
fn share(values: &mut Lanes, highest: &Lanes, sums: &Lanes, weight: f32) {
    for ((value, highest), sum) in values.iter_mut().zip(highest).zip(sums) {
        *value = weight * (exp_negative(*value - highest) / sum);
    }
}

/// tanh of a number, and its slope, which keeps its digits where tanh is nearly 1.
#[inline(always)]
fn tanh_of(raw: f32) -> [f32; 2] {
    let (a, e) = (raw.abs(), exp_negative(-2.0 * raw.abs()));
    let q = a * a;
    let series =
        1.0 + q * (-0.333_333_33 + q * (0.133_333_33 + q * (-0.053_968_25 + q * 0.021_869_49)));
    let size = if a < 0.25 { a * series } else { (1.0 - e) / (1.0 + e) };
    [size.copysign(raw), 4.0 * e / ((1.0 + e) * (1.0 + e))]
}

/// log(1 + exp v), and its slope σ(v).
#[inline(always)]
fn softplus(v: f32) -> [f32; 2] {
    let e = exp_negative(-v.abs());
    let [positive, top] = if v < 0.0 { [0.0, e] } else { [v, 1.0] };
    [positive + ln_1p_unit(e), top / (1.0 + e)]
}

/// What levels need of their number.
#[derive(Clone, Copy)]
struct Levels {
    steps: f32,
    log_steps: f32,
    half: f32,
}

impl Levels {
    #[inline(always)]
    fn new(levels: u32) -> Self {
        let steps = (levels - 1) as f32;
        Self { steps, log_steps: steps.ln(), half: 0.5 / steps }
    }
}

/// −log P of a level by `family::logistic`, and its slopes at the location and at the log-scale as it was made.
#[inline(always)]
fn logistic(Levels { steps, log_steps, half }: Levels, x: f32, m: f32, raw: f32) -> [f32; 3] {
    let (lowest, highest) = LOG_SCALE_BOUNDS;
    let log_scale = if raw < lowest { lowest } else { raw };
    let log_scale = if log_scale > highest { highest } else { log_scale };
    let inverse = exp_bounded(-log_scale);
    let (a, b) = (((x - m) + half) * inverse, ((x - m) - half) * inverse);
    let (first, last) = (x < half, x > 1.0 - half);
    let [above, below] = [softplus(-a), softplus(b)];
    let [above, miss_above] = if last { [0.0; 2] } else { above };
    let [below, miss_below] = if first { [0.0; 2] } else { below };
    let [inside, bend] =
        if first || last { [0.0; 2] } else { bin(inverse / steps, log_scale + log_steps) };
    let at_scale = a * miss_above - b * miss_below + bend;
    let at_scale = if raw == log_scale { at_scale } else { 0.0 };
    [above + below + inside, (miss_above - miss_below) * inverse, at_scale]
}

/// −log(1 − exp −w) of a bin's width w in units of the scale, of which −log w is given too, and w / (exp w − 1). Below 1 by
/// series of Bernoulli numbers, of log((1 − exp −w) / w) and of the second.
#[inline(always)]
fn bin(width: f32, minus_log: f32) -> [f32; 2] {
    let (e, q) = (exp_negative(-width), width * width);
    let unit =
        q * (0.041_666_668 + q * (-3.472_222_2e-4 + q * (5.511_463_8e-6 - q * 1.033_399_5e-7)));
    let bend =
        q * (0.083_333_336 + q * (-1.388_888_9e-3 + q * (3.306_878_3e-5 - q * 8.267_196e-7)));
    match width < 1.0 {
        true => [minus_log + 0.5 * width - unit, 1.0 - 0.5 * width + bend],
        false => [-ln_1m(e), width * e / (1.0 - e)],
    }
}
