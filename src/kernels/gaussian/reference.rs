//! The reference of the posterior's kernels.

use super::*;

pub(super) fn draw<T: Real>(p: &Gaussian, record: &Record, args: [Arg<'_, T>; 6]) {
    let [image, h, eps, z, kl, log_ratio] = args;
    let (image, h, eps, z) = (image.words(), h.read(), eps.write(), z.write());
    let whole = Parts { count: 1, width: p.latent as usize };
    draw_in_parts(p, record, (image, h), (eps, z), (kl.write(), whole));
    ratio(p, record, (h, eps, z), log_ratio.write());
}

/// Into how many parts the KL of a row is cut, and of how many dimensions each is.
#[derive(Clone, Copy, Debug)]
pub(in crate::kernels) struct Parts {
    pub(in crate::kernels) count: usize,
    pub(in crate::kernels) width: usize,
}

/// The draw of z, and the KL of each row in parts.
pub(in crate::kernels) fn draw_in_parts<T: Real>(
    p: &Gaussian,
    record: &Record,
    (image, h): (&[u32], &[T]),
    (eps, z): (&mut [T], &mut [T]),
    kl: (&mut [T], Parts),
) {
    let key = key(record.seed);
    let purpose = (p.site << 16) + 16 * record.stream + purpose::NOISE;
    let (latent, stride) = (p.latent as usize, p.z_stride as usize);
    for row in 0..p.rows as usize {
        let (of, nth) = (row / p.each as usize, row as u32 % p.each);
        for j in (0..latent).step_by(4) {
            let counter = [j as u32 / 4 + nth * SAMPLE, image[of], record.step, purpose];
            let noise = normals_of::<T>(philox(counter, key));
            for k in j..latent.min(j + 4) {
                let inside = of < record.rows as usize;
                eps[row * stride + k] = if inside { noise[k - j] } else { T::zero() };
            }
        }
    }
    sample(p, record.rows as usize, (h, eps), z, kl);
}

pub(super) fn given<T: Real>(p: &Gaussian, record: &Record, args: [Arg<'_, T>; 5]) {
    let [h, eps, z, kl, log_ratio] = args;
    let (h, eps, z) = (h.read(), eps.read(), z.write());
    let whole = Parts { count: 1, width: p.latent as usize };
    sample(p, record.rows as usize, (h, eps), z, (kl.write(), whole));
    ratio(p, record, (h, eps, z), log_ratio.write());
}

/// log p(z) − log q(z | x) of each row, together, since both are far larger than their difference.
fn ratio<T: Real>(
    p: &Gaussian,
    record: &Record,
    (h, eps, z): (&[T], &[T], &[T]),
    log_ratio: &mut [T],
) {
    let latent = p.latent as usize;
    for (row, log_ratio) in log_ratio.iter_mut().enumerate().take(p.rows as usize) {
        let of = row / p.samples as usize;
        *log_ratio = T::zero();
        if row / p.each as usize >= record.rows as usize {
            continue;
        }
        for j in 0..latent {
            let at = row * p.z_stride as usize + j;
            let log_var = clamped(h[of * p.h_stride as usize + latent + j]);
            *log_ratio += (eps[at] * eps[at] + log_var - z[at] * z[at]) * real(0.5);
        }
    }
}

fn sample<T: Real>(
    p: &Gaussian,
    rows: usize,
    (h, eps): (&[T], &[T]),
    z: &mut [T],
    (kl, parts): (&mut [T], Parts),
) {
    let (latent, stride) = (p.latent as usize, p.z_stride as usize);
    for row in 0..p.rows as usize {
        let (of, first) = (row / p.samples as usize, row.is_multiple_of(p.samples as usize));
        let kl = &mut kl[of * parts.count..(of + 1) * parts.count];
        if first {
            kl.fill(T::zero());
        }
        z[row * stride..row * stride + latent].fill(T::zero());
        if row / p.each as usize >= rows {
            continue;
        }
        for j in 0..latent {
            let mu = h[of * p.h_stride as usize + j];
            let log_var = clamped(h[of * p.h_stride as usize + latent + j]);
            let sigma = (log_var * real(0.5)).exp();
            z[row * stride + j] = mu + eps[row * stride + j] * sigma;
            if first {
                kl[j / parts.width] += (mu * mu + log_var.exp_m1() - log_var) * real(0.5);
            }
        }
    }
}

pub(in crate::kernels) fn backward<T: Real>(
    p: &Gaussian,
    record: &Record,
    [h, eps, dz, dh]: [Arg<'_, T>; 4],
) {
    let dz = dz.read();
    // ∂KL/∂μ = μ, ∂KL/∂log σ² = ½ (σ² − 1).
    let of_kl = |_, mu: T, log_var: T| (mu, log_var.exp_m1());
    to_posterior(p, record, (h.read(), eps.read()), dh.write(), |at, _, _| dz[at], of_kl);
}

pub(super) fn backward_weighed<T: Real>(p: &Gaussian, record: &Record, args: [Arg<'_, T>; 6]) {
    let [h, eps, dz, dh, z, omega] = args;
    let (eps, dz, z, omega) = (eps.read(), dz.read(), z.read(), omega.read());
    let rate = |place: usize| real::<T>(record.rates[place]);
    let weight = rate(rate::LOSS_SCALE) * rate(rate::KL_WEIGHT) / real(f64::from(p.each));
    let gradient = Gradient::ALL[p.gradient as usize];
    let through_z = |at: usize, row: usize, sigma: T| {
        // −∂log p(z)/∂z = z, −∂log q(z | x)/∂z = (z − μ) / σ² = ε / σ.
        let (omega, prior, posterior) = (omega[row], z[at], eps[at] / sigma);
        match gradient {
            Gradient::Standard => dz[at] + weight * omega * prior,
            Gradient::Stl => dz[at] + weight * omega * (prior - posterior),
            Gradient::Dreg => {
                let share = omega / real(f64::from(p.importance));
                share * (dz[at] + weight * omega * (prior - posterior))
            }
        }
    };
    let samples = p.samples as usize;
    // Where nothing is free the weights of an image's samples have the mean 1.
    let weight_of = |of: usize| {
        let rows = of * samples..(p.rows as usize).min((of + 1) * samples);
        omega[rows].iter().fold(T::zero(), |sum, &one| sum + one) / real(f64::from(p.each))
    };
    let of_entropy = |of, _, _| match gradient {
        Gradient::Standard => (T::zero(), -weight_of(of)),
        Gradient::Stl | Gradient::Dreg => (T::zero(), T::zero()),
    };
    to_posterior(p, record, (h.read(), eps), dh.write(), through_z, of_entropy);
}

/// The gradient at h: by way of z, `through_z` of an element, its row and σ, and of the weighted KL, of which
/// `of_kl` says the slope at μ and twice that at log σ² of a row of h.
fn to_posterior<T: Real>(
    p: &Gaussian,
    record: &Record,
    (h, eps): (&[T], &[T]),
    dh: &mut [T],
    through_z: impl Fn(usize, usize, T) -> T,
    of_kl: impl Fn(usize, T, T) -> (T, T),
) {
    let (latent, stride) = (p.latent as usize, p.z_stride as usize);
    let rate = |place: usize| real::<T>(record.rates[place]);
    let weight = rate(rate::KL_WEIGHT) * rate(rate::LOSS_SCALE);
    let (rows, samples) = (p.rows as usize, p.samples as usize);
    for of in 0..rows.div_ceil(samples) {
        let inside = of * samples / (p.each as usize) < record.rows as usize;
        for j in 0..latent {
            let at = of * p.h_stride as usize + j;
            let (mu, raw) = (h[at], h[at + latent]);
            let sigma = (clamped(raw) * real(0.5)).exp();
            let (mut up, mut along) = (T::zero(), T::zero());
            for row in of * samples..rows.min((of + 1) * samples) {
                let place = row * stride + j;
                let dz = if inside { through_z(place, row, sigma) } else { T::zero() };
                up += dz;
                // ∂z/∂log σ² = ½ ε σ.
                along += dz * eps[place] * sigma;
            }
            let (kl_mu, kl_log_var) = of_kl(of, mu, clamped(raw));
            let mut d_mu = up + weight * kl_mu;
            let mut d_log_var = (along + weight * kl_log_var) * real(0.5);
            if raw != clamped(raw) {
                d_log_var = T::zero();
            }
            if !inside {
                (d_mu, d_log_var) = (T::zero(), T::zero());
            }
            let before = |at: usize| if p.accumulate != 0 { dh[at] } else { T::zero() };
            let (first, second) = (before(at) + d_mu, before(at + latent) + d_log_var);
            (dh[at], dh[at + latent]) = (first, second);
        }
    }
}
