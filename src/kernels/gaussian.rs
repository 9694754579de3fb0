//! The Gaussian posterior: reparameterised samples, its KL divergence, and their gradients.

use std::ops::Range;

use crate::config::LOG_VAR_BOUNDS;
use crate::engine::kernel::params;
use crate::engine::record::rate;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Dtype, GradSite, Grid, Kernel, Real, Record, Rows, Schedule, Tape,
    Tensor, real, rows_of, uncounted,
};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{plain, turns, wgsl};
use crate::kernels::philox::{PHILOX, key, normals_of, philox, purpose};

params! {
    /// Parameters of the Gaussian kernels.
    pub struct Gaussian {
        /// Rows of z, with the padding.
        rows: u32,
        /// Dimensions of z, n.
        latent: u32,
        /// The distance between rows of h and of dh.
        h_stride: u32,
        /// The distance between rows of z, ε and dz.
        z_stride: u32,
        /// How many z each image has.
        samples: u32,
        /// What of the KL's gradient is added on the way back, as [`KlGradient`] counts.
        kl_gradient: u32,
        /// Whether dh is added to what is there.
        accumulate: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("philox.wgsl", "gaussian.wgsl"), Cover::Items(32))];

/// Between the counters of an image's samples, so that the first has those that one alone has: more
/// than a quarter of the most dimensions ([`MOST`](crate::config::MOST)).
pub const SAMPLE: u32 = 1 << 18;

/// z (images · samples, n) = μ + ε ⊗ σ and kl (images) = ½ Σ (μ² + σ² − 1 − log σ²), in nats, for
/// h (images, 2 n) = [μ | log σ²], with ε (images · samples, n) drawn for each `image` (images):
/// Kingma and Welling 2014, eq. 10 and appendix B. log σ² is kept within its bounds; all is zero
/// in rows that the record does not fill.
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
    cpu: Cpu::Rows(|p| rows(p, |h, z| [1, h, z, z, 1])),
    turns: |p| turns(p.latent, 4) * (1 + PHILOX + turns(4, 1)),
    flops: uncounted,
};

/// The same with ε (images · samples, n) as it is given.
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
    cpu: Cpu::Rows(|p| rows(p, |h, z| [h, z, z, 1])),
    turns: |p| turns(p.latent, 1),
    flops: uncounted,
};

/// dh (images, 2 n), the gradients at μ and log σ²: Σ dz and ½ σ Σ dz ⊗ ε over the samples, for
/// dz and ε (images · samples, n) and h (images, 2 n); and of the weighted KL, w μ and ½ w (σ² −
/// 1), what `kl_gradient` says. Where log σ² is out of its bounds it has none.
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
    cpu: Cpu::Rows(|p| rows(p, |h, z| [h, z, z, h])),
    turns: |p| turns(p.samples, 1),
    flops: uncounted,
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
        for j in 0..latent {
            let mu = h[of * p.h_stride as usize + j];
            let log_var = clamped(h[of * p.h_stride as usize + latent + j]);
            let sigma = (log_var * real(0.5)).exp();
            z[row * stride + j] = mu + eps[row * stride + j] * sigma;
            if first {
                kl[j / width] += (mu * mu + log_var.exp_m1() - log_var) * real(0.5);
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
            let (kl_mu, kl_log_var) = match KlGradient::of_code(p.kl_gradient) {
                KlGradient::Whole => (weight * mu, weight * clamped(raw).exp_m1()),
                KlGradient::Entropy => (T::zero(), -weight),
                KlGradient::Elsewhere => (T::zero(), T::zero()),
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

/// Images with so many elements of each binding, which depend on those of an image's h and z.
fn rows<const N: usize>(
    p: &Gaussian,
    elements: fn(usize, usize) -> [usize; N],
) -> Rows<Gaussian, N> {
    let part = |p: &Gaussian, images: Range<usize>| Gaussian {
        rows: rows_of(images, p.samples, p.rows),
        ..*p
    };
    let (h, z) = (p.h_stride as usize, (p.samples * p.z_stride) as usize);
    Rows { images: p.rows.div_ceil(p.samples) as usize, elements: elements(h, z), part }
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
pub enum KlGradient {
    /// None of it: it comes from elsewhere.
    Elsewhere,
    /// All of it, by its formula.
    Whole,
    /// That of −½ log σ² alone, the entropy's: the rest comes through z.
    Entropy,
}

impl KlGradient {
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
    kl_gradient: KlGradient,
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
        kl_gradient: kl_gradient.code(),
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
        cases.push(case(shape, reach, true, KlGradient::Whole));
        cases.push(case(shape, reach, false, KlGradient::Whole));
    }
    cases.push(case([19, 5, 18, 4], 2.0, false, KlGradient::Elsewhere));
    cases.push(case(one(1024, 2049, 1000), 2.0, true, KlGradient::Whole));
    cases
}

fn case(
    [images, latent, inside, samples]: [usize; 4],
    reach: f32,
    drawn: bool,
    kl_gradient: KlGradient,
) -> Case {
    let kind = if drawn { "draw" } else { "given" };
    let name = format!(
        "gaussian.{kind} {inside}/{images}×{latent} within ±{reach}, {samples} z, KL {kl_gradient:?}"
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
        gaussian(tape, noise, h, (eps, z, kl), kl_gradient);
        tape.set_grad(z, weight);
        tape.backward();
        tape.grad(h, GradSite::Output).expect("the rule wrote it")
    });
    let kl_weight = case.record.rates[rate::KL_WEIGHT] * case.record.rates[rate::LOSS_SCALE];
    case.outputs = vec![(z, Weight::Of(weight))];
    if kl_gradient == KlGradient::Whole {
        case.outputs.push((kl, Weight::Same(kl_weight)));
    }
    case.gradients.push((h, dh));
    case.tolerance = 3e-6;
    case
}
