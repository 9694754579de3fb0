//! The reference of the kernels of learned priors. Components lie side by side, so that the loops over them are vectors.

use rayon::prelude::*;

use super::Prior;
use crate::engine::record::rate;
use crate::engine::{Arg, Real, Record, each_row, real};
use crate::kernels::common::sum;
use crate::kernels::fast::vectorised;
use crate::kernels::gaussian::clamped;

/// log Σ exp.
fn log_sum<T: Real>(values: &[T]) -> T {
    let most = values.iter().copied().fold(T::neg_infinity(), T::max);
    let total = values.iter().fold(T::zero(), |total, &value| total + (value - most).exp());
    most + total.ln()
}

pub(super) fn prepare<T: Real>(p: &Prior, _: &Record, args: [Arg<'_, T>; 4]) {
    let [logits, parts, wide, base] = args;
    let (logits, parts) = (&logits.read()[..p.count as usize], parts.read());
    let (wide, base) = (wide.write(), base.write());
    let (latent, stride) = (p.latent as usize, p.stride as usize);
    let all = log_sum(logits);
    for (k, part) in parts.chunks(p.parts_stride as usize).take(p.count as usize).enumerate() {
        let mut widths = T::zero();
        for j in 0..latent {
            let log_var = clamped(part[latent + j]);
            wide[j * stride + k] = part[j];
            wide[(latent + j) * stride + k] = (-log_var).exp();
            widths += log_var;
        }
        base[k] = logits[k] - all - widths * real(0.5);
    }
}

/// The components, side by side: μ and 1 / σ² of each in a dimension.
#[derive(Clone, Copy)]
struct Wide<'a, T> {
    wide: &'a [T],
    latent: usize,
    stride: usize,
}

impl<'a, T: Real> Wide<'a, T> {
    fn new(p: &Prior, wide: &'a [T]) -> Self {
        Self { wide, latent: p.latent as usize, stride: p.stride as usize }
    }

    fn of(self, j: usize) -> [&'a [T]; 2] {
        [j, self.latent + j].map(|row| &self.wide[row * self.stride..][..self.stride])
    }
}

/// Whether the record fills a row of z.
fn fills(p: &Prior, record: &Record, row: usize) -> bool {
    row < p.rows as usize && row / (p.samples as usize) < record.rows as usize
}

pub(super) fn densities<T: Real, const PARALLEL: bool>(
    p: &Prior,
    record: &Record,
    [z, wide, base, terms]: [Arg<'_, T>; 4],
) {
    let (z, wide, base) = (z.read(), Wide::new(p, wide.read()), base.read());
    let (count, stride, latent) = (p.count as usize, p.stride as usize, p.latent as usize);
    each_row::<_, PARALLEL>(terms.write(), stride, count * latent, |row, terms| {
        terms.fill(T::zero());
        if !fills(p, record, row) {
            return;
        }
        let z = &z[row * p.z_stride as usize..][..latent];
        vectorised(
            #[inline(always)]
            || {
                for (j, &z) in z.iter().enumerate() {
                    let [mu, inverse] = wide.of(j);
                    for ((term, &mu), &inverse) in terms.iter_mut().zip(mu).zip(inverse) {
                        *term += (z - mu) * (z - mu) * inverse;
                    }
                }
            },
        );
        for (term, &base) in terms[..count].iter_mut().zip(base) {
            *term = base - *term * real(0.5);
        }
        terms[count..].fill(T::zero());
    });
}

pub(super) fn share<T: Real, const PARALLEL: bool>(
    p: &Prior,
    record: &Record,
    [z, shares, log_ratio]: [Arg<'_, T>; 3],
) {
    let (z, shares, log_ratio) = (z.read(), shares.write(), log_ratio.write());
    let (count, stride, latent) = (p.count as usize, p.stride as usize, p.latent as usize);
    let of_row = |(row, (shares, log_ratio)): (usize, (&mut [T], &mut T))| {
        let own = &mut shares[..count];
        if !fills(p, record, row) {
            own.fill(T::zero());
            *log_ratio = T::zero();
            return;
        }
        let most = own.iter().copied().fold(T::neg_infinity(), T::max);
        own.iter_mut().for_each(|share| *share = (*share - most).exp());
        let all = sum(own.iter().copied());
        own.iter_mut().for_each(|share| *share /= all);
        let z = &z[row * p.z_stride as usize..][..latent];
        *log_ratio += most + all.ln() + sum(z.iter().map(|&z| z * z)) * real(0.5);
    };
    let log_ratio = &mut log_ratio[..p.rows as usize];
    if PARALLEL {
        shares.par_chunks_mut(stride).zip(log_ratio).enumerate().for_each(of_row);
    } else {
        shares.chunks_mut(stride).zip(log_ratio).enumerate().for_each(of_row);
    }
}

pub(super) fn mean_ratio<T: Real>(p: &Prior, record: &Record, [log_ratio, kl]: [Arg<'_, T>; 2]) {
    let (log_ratio, kl) = (&log_ratio.read()[..p.rows as usize], kl.write());
    let each = log_ratio.chunks(p.samples as usize);
    for (image, (own, kl)) in each.zip(kl).enumerate() {
        let mean = -sum(own.iter().copied()) / real(f64::from(p.samples));
        *kl = if image < record.rows as usize { mean } else { T::zero() };
    }
}

/// What −log p(z) counts in the loss, for a sample of weight 1.
fn scale<T: Real>(p: &Prior, record: &Record) -> T {
    let weight = record.rates[rate::LOSS_SCALE] * record.rates[rate::KL_WEIGHT];
    real(weight / f64::from(p.samples))
}

pub(super) fn backward_z<T: Real, const PARALLEL: bool>(
    p: &Prior,
    record: &Record,
    [z, wide, shares, weight, dz]: [Arg<'_, T>; 5],
) {
    let (z, wide) = (z.read(), Wide::new(p, wide.read()));
    let (shares, weight) = (shares.read(), weight.read());
    let (count, latent, stride) = (p.count as usize, p.latent as usize, p.z_stride as usize);
    let dz = &mut dz.write()[..p.rows as usize * stride];
    each_row::<_, PARALLEL>(dz, stride, count * latent, |row, dz| {
        let shares = &shares[row * p.stride as usize..][..count];
        for (j, dz) in dz[..latent].iter_mut().enumerate() {
            let ([mu, inverse], z) = (wide.of(j), z[row * stride + j]);
            let slope = vectorised(
                #[inline(always)]
                || slope_at(z, shares, mu, inverse),
            ) - z;
            let before = if p.accumulate != 0 { *dz } else { T::zero() };
            let counts = if fills(p, record, row) { weight[row] } else { T::zero() };
            *dz = before + scale::<T>(p, record) * counts * slope;
        }
    });
}

/// Σ share (z − μ) / σ² over components, in lanes.
#[inline(always)]
fn slope_at<T: Real>(z: T, shares: &[T], mu: &[T], inverse: &[T]) -> T {
    let mut lanes = [T::zero(); 16];
    let (whole, rest) = shares.as_chunks::<16>();
    let [mu, inverse] = [mu, inverse].map(|of| of.as_chunks::<16>().0);
    for ((shares, mu), inverse) in whole.iter().zip(mu).zip(inverse) {
        for i in 0..16 {
            lanes[i] += shares[i] * (z - mu[i]) * inverse[i];
        }
    }
    // The components side by side are padded to whole lanes.
    if let (Some(mu), Some(inverse)) = (mu.get(whole.len()), inverse.get(whole.len())) {
        for (i, &share) in rest.iter().enumerate() {
            lanes[i] += share * (z - mu[i]) * inverse[i];
        }
    }
    lanes.iter().fold(T::zero(), |sum, &lane| sum + lane)
}

/// Components whose slopes are made together.
const BLOCK: usize = 64;

pub(super) fn backward_parts<T: Real, const PARALLEL: bool>(
    p: &Prior,
    record: &Record,
    [z, wide, shares, weight, dparts, parts]: [Arg<'_, T>; 6],
) {
    let (z, wide, parts) = (z.read(), Wide::new(p, wide.read()), parts.read());
    let (shares, weight) = (shares.read(), weight.read());
    let (latent, stride) = (p.latent as usize, p.parts_stride as usize);
    let rows = (record.rows * p.samples).min(p.rows) as usize;
    let dparts = &mut dparts.write()[..p.parts_rows as usize * stride];
    let turns = BLOCK * rows * latent / stride;
    each_row::<_, PARALLEL>(dparts, BLOCK * stride, BLOCK * turns, |block, dparts| {
        let (first, all) = (block * BLOCK, (p.count as usize).saturating_sub(block * BLOCK));
        let those = first..first + all.min(BLOCK);
        for j in 0..latent {
            let [mu, inverse] = wide.of(j).map(|of| &of[those.clone()]);
            let mut slopes = [[T::zero(); BLOCK]; 2];
            vectorised(
                #[inline(always)]
                || {
                    for row in 0..rows {
                        let shares = &shares[row * p.stride as usize..][those.clone()];
                        let z = z[row * p.z_stride as usize + j];
                        add_slopes(&mut slopes, (z, weight[row]), [shares, mu, inverse]);
                    }
                },
            );
            for (i, part) in dparts.chunks_mut(stride).enumerate() {
                let own = i < those.len();
                let raw = parts[(first + i) * stride + latent + j];
                let free = own && raw == clamped(raw);
                for (at, slope, counts) in
                    [(j, slopes[0][i], own), (latent + j, slopes[1][i], free)]
                {
                    let before = if p.accumulate != 0 { part[at] } else { T::zero() };
                    let slope = if counts { slope } else { T::zero() };
                    part[at] = before + scale::<T>(p, record) * slope;
                }
            }
        }
    });
}

/// Adds what one z, which counts so much, gives to the slopes at μ and log σ² of some components in a dimension.
#[inline(always)]
fn add_slopes<T: Real>(
    [d_mu, d_log_var]: &mut [[T; BLOCK]; 2],
    (z, counts): (T, T),
    [shares, mu, inverse]: [&[T]; 3],
) {
    let slopes = d_mu.iter_mut().zip(d_log_var);
    for ((((d_mu, d_log_var), &share), &mu), &inverse) in slopes.zip(shares).zip(mu).zip(inverse) {
        let (counts, off) = (counts * share, z - mu);
        *d_mu -= counts * off * inverse;
        *d_log_var -= counts * (off * off * inverse - T::one()) * real(0.5);
    }
}

pub(super) fn backward_logits<T: Real>(
    p: &Prior,
    record: &Record,
    [logits, shares, weight, dlogits]: [Arg<'_, T>; 4],
) {
    let logits = &logits.read()[..p.count as usize];
    let (shares, weight, dlogits) = (shares.read(), weight.read(), dlogits.write());
    let rows = (record.rows * p.samples).min(p.rows) as usize;
    let all = log_sum(logits);
    for (k, &logit) in logits.iter().enumerate() {
        let own = (logit - all).exp();
        let of = |row: usize| weight[row] * (own - shares[row * p.stride as usize + k]);
        let slope = scale::<T>(p, record) * sum((0..rows).map(of));
        dlogits[k] = if p.accumulate != 0 { dlogits[k] + slope } else { slope };
    }
}
