//! The reference of the posterior's kernels.

use super::*;

pub(super) fn draw<T: Real>(p: &Gaussian, record: &Record, args: [Arg<'_, T>; 6]) {
    let [image, h, eps, z, kl, log_ratio] = args;
    let (image, h, eps, z) = (image.words(), h.read(), eps.write(), z.write());
    let whole = Parts { count: 1, width: p.latent as usize };
    draw_in_parts(p, record, (image, h), (eps, z), (kl.write(), whole));
    ratio(p, record, (h, eps, z), log_ratio.write());
}

/// Four numbers of the family's density of location 0 and scale 1, of four random words.
fn noise_of<T: Real>(family: u32, words: [u32; 4]) -> [T; 4] {
    match Posterior::ALL[family as usize] {
        // The lowest bit is not of the uniform's.
        Posterior::Laplace => words.map(|word| {
            let sign = if word & 1 == 0 { T::one() } else { -T::one() };
            -sign * log_uniform::<T>(word)
        }),
        // log u − log(1 − u).
        Posterior::Logistic => words.map(|word| log_uniform::<T>(word) - log_uniform(!word)),
        Posterior::Normal | Posterior::Point => normals_of(words),
    }
}

/// log p(z) − log q(z | x) of a dimension, in nats.
fn ratio_of<T: Real>(family: u32, (log_var, eps, z): (T, T, T)) -> T {
    let rest = (log_var - z * z) * real(0.5);
    match Posterior::ALL[family as usize] {
        Posterior::Normal | Posterior::Point => (eps * eps + log_var - z * z) * real(0.5),
        Posterior::Laplace => eps.abs() + real(LAPLACE) + rest,
        Posterior::Logistic => {
            eps.abs() + (-eps.abs()).exp().ln_1p() * real(2.0) + real(LOGISTIC) + rest
        }
    }
}

/// log 2 − ½ log 2π.
const LAPLACE: f64 = -0.225_791_352_644_727_43;
/// −½ log 2π.
const LOGISTIC: f64 = -0.918_938_533_204_672_8;

/// −(log f)'.
fn score<T: Real>(family: u32, eps: T) -> T {
    match Posterior::ALL[family as usize] {
        Posterior::Normal | Posterior::Point => eps,
        Posterior::Laplace if eps == T::zero() => eps,
        Posterior::Laplace => eps.signum(),
        Posterior::Logistic => (eps * real(0.5)).tanh(),
    }
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
            let noise = noise_of::<T>(p.family, philox(counter, key));
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
            *log_ratio += ratio_of(p.family, (log_var, eps[at], z[at]));
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
        let (omega, prior, posterior) = (omega[row], z[at], score(p.family, eps[at]) / sigma);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Variances 2 and π² / 3, and three quarters below log 2 and log 3: by the distribution functions 1 − ½ exp −ε and 1 / (1 +
    /// exp −ε).
    #[test]
    fn noise_is_of_its_family() {
        let pi = std::f64::consts::PI;
        for (family, variance, fourth, quartile) in [
            (Posterior::Laplace, 2.0, 24.0, 2.0_f64.ln()),
            (Posterior::Logistic, pi * pi / 3.0, 7.0 * pi.powi(4) / 15.0, 3.0_f64.ln()),
        ] {
            let count = 200_000;
            let of = |place: u32| noise_of::<f64>(family.code(), philox([place, 1, 2, 3], [4, 5]));
            let all: Vec<_> = (0..count / 4).flat_map(of).collect();
            let mean_of = |of: &dyn Fn(f64) -> f64| {
                all.iter().map(|&noise| of(noise)).sum::<f64>() / f64::from(count)
            };
            let error = |variance: f64| 5.0 * (variance / f64::from(count)).sqrt();
            assert!(mean_of(&|noise| noise).abs() < error(variance), "{family:?}: its mean");
            let found = mean_of(&|noise| noise * noise);
            let off = (found - variance).abs();
            assert!(off < error(fourth - variance * variance), "{family:?}: {found}");
            for sign in [1.0, -1.0] {
                let share = mean_of(&|noise| f64::from(u8::from(sign * noise < quartile)));
                assert!((share - 0.75).abs() < error(0.75 * 0.25), "{family:?}: {share}");
            }
        }
    }

    /// The slope of −log f, by differences, and −log f itself at zero.
    #[test]
    fn densities_are_those_of_their_families() {
        for family in [Posterior::Normal, Posterior::Laplace, Posterior::Logistic] {
            for noise in [-3.0, -0.4, 0.7, 12.0] {
                let by_differences =
                    (family.surprise(noise + 1e-6) - family.surprise(noise - 1e-6)) / 2e-6;
                let found = score(family.code(), noise);
                assert!((found - by_differences).abs() < 1e-8, "{family:?} at {noise}: {found}");
                let half = 0.5 * std::f64::consts::TAU.ln();
                let expected = family.surprise(noise) - half + 0.5 * (0.3 - 0.25);
                let found = ratio_of(family.code(), (0.3, noise, 0.5));
                assert!((found - expected).abs() < 1e-12, "{family:?} at {noise}: {found}");
            }
        }
        let at_zero = [Posterior::Laplace, Posterior::Logistic].map(|f| (-f.surprise(0.0)).exp());
        assert!(
            (at_zero[0] - 0.5).abs() < 1e-15 && (at_zero[1] - 0.25).abs() < 1e-15,
            "{at_zero:?}"
        );
    }
}
