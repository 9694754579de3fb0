//! The Gaussian posterior: a reparameterised sample, its KL divergence, and their gradients.

use rayon::prelude::*;

use crate::config::LOG_VAR_BOUNDS;
use crate::engine::kernel::params;
use crate::engine::record::rate;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Dtype, GradSite, Grid, Kernel, Real, Record, Schedule, Tape, Tensor, real,
};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{plain, wgsl};
use crate::kernels::philox::{key, normals_of, philox, purpose};

params! {
    /// Parameters of the Gaussian kernels.
    pub struct Gaussian {
        /// Rows, with the padding.
        rows: u32,
        /// Dimensions of z.
        latent: u32,
        /// The distance between rows of h.
        h_stride: u32,
        /// The distance between rows of z and ε.
        z_stride: u32,
        /// Whether the gradient is added to what is there.
        accumulate: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("philox.wgsl", "gaussian.wgsl"), Cover::Items(32))];

/// z, KL and ε of h, drawing ε.
pub static DRAW: Kernel<Gaussian, 5> = Kernel {
    name: "gaussian.draw",
    entry: "draw",
    bindings: [
        Binding::read_words("image"),
        Binding::read("h"),
        Binding::write("eps"),
        Binding::write("z"),
        Binding::write("kl"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (draw, draw),
    cpu: Some(draw_cpu),
};

/// z and KL of h and a given ε.
pub static GIVEN: Kernel<Gaussian, 4> = Kernel {
    name: "gaussian.given",
    entry: "given",
    bindings: [
        Binding::read("given_h"),
        Binding::read("given_eps"),
        Binding::write("given_z"),
        Binding::write("given_kl"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (given, given),
    cpu: None,
};

/// The gradient at h of what comes after z, and of the weighted KL.
pub static BACKWARD: Kernel<Gaussian, 4> = Kernel {
    name: "gaussian.backward",
    entry: "backward",
    bindings: [
        Binding::read("back_h"),
        Binding::read("back_eps"),
        Binding::read("dz"),
        Binding::write("dh"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (backward, backward),
    cpu: Some(backward_cpu),
};

/// log σ² within its bounds.
pub(super) fn clamped<T: Real>(log_var: T) -> T {
    let (lowest, highest) = LOG_VAR_BOUNDS;
    log_var.max(T::from_f32(lowest)).min(T::from_f32(highest))
}

fn draw<T: Real>(p: &Gaussian, record: &Record, [image, h, eps, z, kl]: [Arg<'_, T>; 5]) {
    let whole = (1, p.latent as usize);
    draw_in_parts(
        p,
        record,
        (image.words(), h.read()),
        (eps.write(), z.write()),
        kl.write(),
        whole,
    );
}

/// The draw, with the KL of each row in parts: how many, and of how many dimensions.
pub(super) fn draw_in_parts<T: Real>(
    p: &Gaussian,
    record: &Record,
    (image, h): (&[u32], &[T]),
    (eps, z): (&mut [T], &mut [T]),
    kl: &mut [T],
    parts: (usize, usize),
) {
    let key = key(record.seed);
    let purpose = 16 * record.stream + purpose::NOISE;
    let (latent, stride) = (p.latent as usize, p.z_stride as usize);
    for row in 0..p.rows as usize {
        for j in (0..latent).step_by(4) {
            let counter = [j as u32 / 4, image[row], record.step, purpose];
            let noise = normals_of::<T>(philox(counter, key));
            for k in j..latent.min(j + 4) {
                let inside = row < record.rows as usize;
                eps[row * stride + k] = if inside { noise[k - j] } else { T::zero() };
            }
        }
    }
    sample(p, record.rows as usize, (h, eps), z, kl, parts);
}

fn given<T: Real>(p: &Gaussian, record: &Record, [h, eps, z, kl]: [Arg<'_, T>; 4]) {
    let rows = record.rows as usize;
    let whole = (1, p.latent as usize);
    sample(p, rows, (h.read(), eps.read()), z.write(), kl.write(), whole);
}

fn sample<T: Real>(
    p: &Gaussian,
    rows: usize,
    (h, eps): (&[T], &[T]),
    z: &mut [T],
    kl: &mut [T],
    (parts, width): (usize, usize),
) {
    let (latent, stride) = (p.latent as usize, p.z_stride as usize);
    for row in 0..p.rows as usize {
        let kl = &mut kl[row * parts..(row + 1) * parts];
        kl.fill(T::zero());
        z[row * stride..row * stride + latent].fill(T::zero());
        if row >= rows {
            continue;
        }
        for j in 0..latent {
            let mu = h[row * p.h_stride as usize + j];
            let log_var = clamped(h[row * p.h_stride as usize + latent + j]);
            let sigma = (log_var * real(0.5)).exp();
            z[row * stride + j] = mu + eps[row * stride + j] * sigma;
            kl[j / width] += (mu * mu + log_var.exp_m1() - log_var) * real(0.5);
        }
    }
}

pub(super) fn backward<T: Real>(p: &Gaussian, record: &Record, [h, eps, dz, dh]: [Arg<'_, T>; 4]) {
    let (h, eps, dz, dh) = (h.read(), eps.read(), dz.read(), dh.write());
    let (latent, stride) = (p.latent as usize, p.z_stride as usize);
    let rate = |place: usize| real::<T>(record.rates[place]);
    let weight = rate(rate::KL_WEIGHT) * rate(rate::LOSS_SCALE);
    for row in 0..p.rows as usize {
        for j in 0..latent {
            let at = row * p.h_stride as usize + j;
            let (mu, raw, up) = (h[at], h[at + latent], dz[row * stride + j]);
            let sigma = (clamped(raw) * real(0.5)).exp();
            let mut d_mu = up + weight * mu;
            // ∂z/∂log σ² = ½ ε σ, ∂KL/∂log σ² = ½ (σ² − 1).
            let mut d_log_var =
                (up * eps[row * stride + j] * sigma + weight * clamped(raw).exp_m1()) * real(0.5);
            if raw != clamped(raw) {
                d_log_var = T::zero();
            }
            if row >= record.rows as usize {
                (d_mu, d_log_var) = (T::zero(), T::zero());
            }
            let before = |at: usize| if p.accumulate != 0 { dh[at] } else { T::zero() };
            let (first, second) = (before(at) + d_mu, before(at + latent) + d_log_var);
            (dh[at], dh[at + latent]) = (first, second);
        }
    }
}

/// Rows that one task of the CPU schedules takes.
const ROWS: usize = 16;

fn draw_cpu(p: &Gaussian, record: &Record, [image, h, eps, z, kl]: [Arg<'_, f32>; 5]) {
    let (image, h, eps, z, kl) = (image.words(), h.read(), eps.write(), z.write(), kl.write());
    let (h_part, z_part) = (ROWS * p.h_stride as usize, ROWS * p.z_stride as usize);
    let read = image.par_chunks(ROWS).zip(h.par_chunks(h_part));
    let written = eps.par_chunks_mut(z_part).zip(z.par_chunks_mut(z_part));
    let parts = read.zip(written.zip(kl.par_chunks_mut(ROWS)));
    parts.enumerate().for_each(|(part, ((image, h), ((eps, z), kl)))| {
        let p = Gaussian { rows: (z.len() / p.z_stride as usize) as u32, ..*p };
        let args =
            [Arg::ReadWords(image), Arg::Read(h), Arg::Write(eps), Arg::Write(z), Arg::Write(kl)];
        draw(&p, &record.after_rows(part * ROWS), args);
    });
}

fn backward_cpu(p: &Gaussian, record: &Record, [h, eps, dz, dh]: [Arg<'_, f32>; 4]) {
    let (h_part, z_part) = (ROWS * p.h_stride as usize, ROWS * p.z_stride as usize);
    let posterior = h.read().par_chunks(h_part).zip(dh.write().par_chunks_mut(h_part));
    let draws = eps.read().par_chunks(z_part).zip(dz.read().par_chunks(z_part));
    posterior.zip(draws).enumerate().for_each(|(part, ((h, dh), (eps, dz)))| {
        let p = Gaussian { rows: (dz.len() / p.z_stride as usize) as u32, ..*p };
        let args = [Arg::Read(h), Arg::Read(eps), Arg::Read(dz), Arg::Write(dh)];
        backward(&p, &record.after_rows(part * ROWS), args);
    });
}

/// Where ε comes from.
#[derive(Clone, Copy, Debug)]
pub enum Noise {
    /// Drawn, for the images of this tensor, by the record's stream and step.
    Drawn {
        /// The image of each row.
        image: Tensor,
    },
    /// As it stands in the tensor ε.
    Given,
}

/// Records z and KL of h = [μ | log σ²], and the gradient at h.
///
/// `eps` and `z` are (rows, n), `kl` (rows) in nats per image.
pub fn gaussian(
    tape: &mut Tape<'_>,
    noise: Noise,
    h: Tensor,
    (eps, z, kl): (Tensor, Tensor, Tensor),
) {
    assert_eq!(h.cols(), 2 * z.cols(), "gaussian: h holds a mean and a log-variance for each z");
    let p = Gaussian {
        rows: size(z.padded_rows()),
        latent: size(z.cols()),
        h_stride: size(h.stride()),
        z_stride: size(z.stride()),
        accumulate: 0,
    };
    let rows = Grid::Flat(z.padded_rows());
    match noise {
        Noise::Drawn { image } => {
            tape.dispatch(&DRAW, p, [image, h, eps, z, kl], rows);
        }
        Noise::Given => tape.dispatch(&GIVEN, p, [h, eps, z, kl], rows),
    }
    tape.on_backward(move |tape| {
        let dz = tape.grad(z, GradSite::Output).expect("the decoder used z");
        let (dh, accumulate) = tape.grad_out(h, GradSite::Output);
        let p = Gaussian { accumulate: u32::from(accumulate), ..p };
        let grid = Grid::Flat(z.padded_rows() * z.cols());
        tape.dispatch(&BACKWARD, p, [h, eps, dz, dh], grid);
    });
}

/// Drawn and given noise, latents round a multiple of four, a partial batch, log σ² past both
/// bounds, and more than 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, latent, record_rows, reach) in
        [(1, 1, 1, 2.0), (7, 3, 7, 2.0), (33, 20, 30, 2.0), (20, 9, 20, 60.0), (128, 20, 128, 2.0)]
    {
        cases.push(case(rows, latent, record_rows, reach, true));
        cases.push(case(rows, latent, record_rows, reach, false));
    }
    cases.push(case(1024, 2049, 1000, 2.0, true));
    cases
}

fn case(rows: usize, latent: usize, record_rows: usize, reach: f32, drawn: bool) -> Case {
    let kind = if drawn { "draw" } else { "given" };
    let name = format!("gaussian.{kind} {record_rows}/{rows}×{latent} within ±{reach}");
    let mut case = Case::new(name, record_rows);
    let h = case.input("h", [rows, 2 * latent], Fill::Uniform(1, -reach, reach));
    let weight = case.weight([rows, latent]);
    let image = case.input_line("image", rows, Dtype::U32, Fill::RandomWords(7));
    let (eps, noise) = if drawn {
        (case.plan.matrix("eps", rows, latent), Noise::Drawn { image })
    } else {
        (case.input("eps", [rows, latent], Fill::Uniform(5, -2.0, 2.0)), Noise::Given)
    };
    let (z, kl) = (case.plan.matrix("z", rows, latent), case.plan.vector("kl", rows));
    let dh = case.record(|tape| {
        gaussian(tape, noise, h, (eps, z, kl));
        tape.set_grad(z, weight);
        tape.backward();
        tape.grad(h, GradSite::Output).expect("the rule wrote it")
    });
    let kl_weight = case.record.rates[rate::KL_WEIGHT] * case.record.rates[rate::LOSS_SCALE];
    case.outputs = vec![(z, Weight::Of(weight)), (kl, Weight::Same(kl_weight))];
    case.gradients.push((h, dh));
    case.tolerance = 3e-6;
    case
}
