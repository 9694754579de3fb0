//! The Gaussian posterior: reparameterised samples, its KL divergence, and their gradients.

use rayon::prelude::*;

use crate::config::LOG_VAR_BOUNDS;
use crate::engine::kernel::params;
use crate::engine::record::rate;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Dtype, GradSite, Grid, Kernel, Real, Record, Schedule, Tape, Tensor, real,
};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{Sum, plain, wgsl};
use crate::kernels::philox::{key, normals_of, philox, purpose};

params! {
    /// Parameters of the Gaussian kernels.
    pub struct Gaussian {
        /// Rows of z, with the padding.
        rows: u32,
        /// Dimensions of z.
        latent: u32,
        /// The distance between rows of h.
        h_stride: u32,
        /// The distance between rows of z and ε.
        z_stride: u32,
        /// How many z each image has.
        samples: u32,
        /// What of the KL's gradient is added on the way back, as [`Divergence`] counts.
        divergence: u32,
        /// Whether the gradient is added to what is there.
        accumulate: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("philox.wgsl", "gaussian.wgsl"), Cover::Items(32))];

/// Between the counters of an image's samples, so that the first has those that one alone has: more
/// than a quarter of the most dimensions ([`MOST`](crate::config::MOST)).
pub const SAMPLE: u32 = 1 << 18;

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
        let (of, nth) = (row / p.samples as usize, row as u32 % p.samples);
        for j in (0..latent).step_by(4) {
            let counter = [j as u32 / 4 + nth * SAMPLE, image[of], record.step, purpose];
            let noise = normals_of::<T>(philox(counter, key));
            for k in j..latent.min(j + 4) {
                let inside = of < record.rows as usize;
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
        let (of, first) = (row / p.samples as usize, row.is_multiple_of(p.samples as usize));
        let kl = &mut kl[of * parts..(of + 1) * parts];
        if first {
            kl.fill(T::zero());
        }
        z[row * stride..row * stride + latent].fill(T::zero());
        if of >= rows {
            continue;
        }
        for (part, start) in (0..latent).step_by(width).enumerate() {
            let mut sum = Sum::new();
            for j in start..latent.min(start + width) {
                let mu = h[of * p.h_stride as usize + j];
                let log_var = clamped(h[of * p.h_stride as usize + latent + j]);
                let sigma = (log_var * real(0.5)).exp();
                z[row * stride + j] = mu + eps[row * stride + j] * sigma;
                sum.add((mu * mu + log_var.exp_m1() - log_var) * real(0.5));
            }
            if first {
                kl[part] = sum.total();
            }
        }
    }
}

pub(super) fn backward<T: Real>(p: &Gaussian, record: &Record, [h, eps, dz, dh]: [Arg<'_, T>; 4]) {
    let (h, eps, dz, dh) = (h.read(), eps.read(), dz.read(), dh.write());
    let (latent, stride) = (p.latent as usize, p.z_stride as usize);
    let rate = |place: usize| real::<T>(record.rates[place]);
    let weight = rate(rate::KL_WEIGHT) * rate(rate::LOSS_SCALE);
    let (rows, samples) = (p.rows as usize, p.samples as usize);
    for of in 0..rows.div_ceil(samples) {
        for j in 0..latent {
            let at = of * p.h_stride as usize + j;
            let (mu, raw) = (h[at], h[at + latent]);
            let sigma = (clamped(raw) * real(0.5)).exp();
            let (mut up, mut along) = (T::zero(), T::zero());
            for row in of * samples..rows.min((of + 1) * samples) {
                up += dz[row * stride + j];
                // ∂z/∂log σ² = ½ ε σ.
                along += dz[row * stride + j] * eps[row * stride + j] * sigma;
            }
            // ∂KL/∂μ = μ, ∂KL/∂log σ² = ½ (σ² − 1).
            let (kl_mu, kl_log_var) = match Divergence::of_code(p.divergence) {
                Divergence::Whole => (weight * mu, weight * clamped(raw).exp_m1()),
                Divergence::Entropy => (T::zero(), -weight),
                Divergence::Elsewhere => (T::zero(), T::zero()),
            };
            let mut d_mu = up + kl_mu;
            let mut d_log_var = (along + kl_log_var) * real(0.5);
            if raw != clamped(raw) {
                d_log_var = T::zero();
            }
            if of >= record.rows as usize {
                (d_mu, d_log_var) = (T::zero(), T::zero());
            }
            let before = |at: usize| if p.accumulate != 0 { dh[at] } else { T::zero() };
            let (first, second) = (before(at) + d_mu, before(at + latent) + d_log_var);
            (dh[at], dh[at + latent]) = (first, second);
        }
    }
}

/// Images that one task of the CPU schedules takes.
const ROWS: usize = 16;

/// Elements of h and of z that one task takes.
fn parts(p: &Gaussian) -> (usize, usize) {
    (ROWS * p.h_stride as usize, ROWS * p.samples as usize * p.z_stride as usize)
}

fn draw_cpu(p: &Gaussian, record: &Record, [image, h, eps, z, kl]: [Arg<'_, f32>; 5]) {
    let (image, h, eps, z, kl) = (image.words(), h.read(), eps.write(), z.write(), kl.write());
    let (h_part, z_part) = parts(p);
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
    let (h_part, z_part) = parts(p);
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

/// What of the KL divergence's gradient at h is added where z's becomes h's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divergence {
    /// None of it: it comes from elsewhere.
    Elsewhere,
    /// All of it, by its formula.
    Whole,
    /// That of −½ log σ² alone, the entropy's: the rest comes through z.
    Entropy,
}

impl Divergence {
    /// The number that shaders know it by.
    #[must_use]
    pub fn code(self) -> u32 {
        self as u32
    }

    fn of_code(code: u32) -> Self {
        [Self::Elsewhere, Self::Whole, Self::Entropy][code as usize]
    }
}

/// Records z and KL of h = [μ | log σ²], and the gradient at h, with this much of the KL's.
///
/// `h` is (images, 2 n), `eps` and `z` are (images · samples, n), image by image, `kl` (images) in nats.
pub fn gaussian(
    tape: &mut Tape<'_>,
    noise: Noise,
    h: Tensor,
    (eps, z, kl): (Tensor, Tensor, Tensor),
    divergence: Divergence,
) {
    assert_eq!(h.cols(), 2 * z.cols(), "gaussian: h holds a mean and a log-variance for each z");
    let samples = z.rows() / h.rows();
    assert_eq!(z.rows(), samples * h.rows(), "gaussian: every image has as many z");
    let p = Gaussian {
        rows: size(z.padded_rows()),
        latent: size(z.cols()),
        h_stride: size(h.stride()),
        z_stride: size(z.stride()),
        samples: size(samples),
        divergence: divergence.code(),
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
        let grid = Grid::Flat(z.padded_rows().div_ceil(samples) * z.cols());
        tape.dispatch(&BACKWARD, p, [h, eps, dz, dh], grid);
    });
}

/// Drawn and given noise, latents round a multiple of four, several z of an image, a partial batch,
/// log σ² past both bounds, the KL's gradient from elsewhere, and more than 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let one = |images, latent, inside| [images, latent, inside, 1];
    for (shape, reach) in [
        (one(1, 1, 1), 2.0),
        (one(7, 3, 7), 2.0),
        (one(33, 20, 30), 2.0),
        (one(20, 9, 20), 60.0),
        (one(128, 20, 128), 2.0),
        ([13, 5, 11, 3], 2.0),
        ([17, 6, 17, 16], 60.0),
    ] {
        cases.push(case(shape, reach, true, Divergence::Whole));
        cases.push(case(shape, reach, false, Divergence::Whole));
    }
    cases.push(case([19, 5, 18, 4], 2.0, false, Divergence::Elsewhere));
    cases.push(case(one(1024, 2049, 1000), 2.0, true, Divergence::Whole));
    cases
}

fn case(
    [images, latent, inside, samples]: [usize; 4],
    reach: f32,
    drawn: bool,
    divergence: Divergence,
) -> Case {
    let kind = if drawn { "draw" } else { "given" };
    let name = format!(
        "gaussian.{kind} {inside}/{images}×{latent} within ±{reach}, {samples} z, KL {divergence:?}"
    );
    let mut case = Case::new(name, inside);
    let rows = images * samples;
    let h = case.input("h", [images, 2 * latent], Fill::Uniform(1, -reach, reach));
    let weight = case.weight([rows, latent]);
    let image = case.input_line("image", images, Dtype::U32, Fill::RandomWords(7));
    let (eps, noise) = if drawn {
        (case.plan.matrix("eps", rows, latent), Noise::Drawn { image })
    } else {
        (case.input("eps", [rows, latent], Fill::Uniform(5, -2.0, 2.0)), Noise::Given)
    };
    let (z, kl) = (case.plan.matrix("z", rows, latent), case.plan.vector("kl", images));
    let dh = case.record(|tape| {
        gaussian(tape, noise, h, (eps, z, kl), divergence);
        tape.set_grad(z, weight);
        tape.backward();
        tape.grad(h, GradSite::Output).expect("the rule wrote it")
    });
    let kl_weight = case.record.rates[rate::KL_WEIGHT] * case.record.rates[rate::LOSS_SCALE];
    case.outputs = vec![(z, Weight::Of(weight))];
    if divergence == Divergence::Whole {
        case.outputs.push((kl, Weight::Same(kl_weight)));
    }
    case.gradients.push((h, dh));
    case.tolerance = 3e-6;
    case
}
