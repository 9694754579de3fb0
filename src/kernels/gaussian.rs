//! The Gaussian posterior: reparameterised samples, its KL divergence, and their gradients.

use std::ops::Range;

use crate::config::{Gradient, LOG_VAR_BOUNDS};
use crate::engine::kernel::params;
use crate::engine::record::rate;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Dtype, Fusion, GradSite, Grid, Kernel, Real, Record, Rows, Schedule,
    Tape, Tensor, real, rows_of, uncounted,
};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{plain, turns, wgsl};
use crate::kernels::draw::{Draw, Weighed, weighed};
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
        /// Which of the model's draws it is, so that each draws noise of its own.
        site: u32,
        /// How many samples are under one logarithm, where they are weighed.
        importance: u32,
        /// The code of the way that the gradient goes, where they are.
        gradient: u32,
        /// Whether dh is added to what is there.
        accumulate: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("philox.wgsl", "gaussian.wgsl"), Cover::Items(32))];

/// Between the counters of an image's samples, so that the first has those that one alone has: more
/// than a quarter of the most dimensions ([`MOST`](crate::config::MOST)).
pub const SAMPLE: u32 = 1 << 18;

/// z (images · samples, n) = μ + ε ⊗ σ, `log_ratio` (images · samples) = log p(z) − log q(z | x) =
/// ½ Σ (ε² + log σ² − z²), as the constants of both normals cancel, and kl (images) = ½ Σ (μ² + σ² −
/// 1 − log σ²), in nats, for h (images, 2 n) = [μ | log σ²], with ε (images · samples, n) drawn for each `image` (images):
/// Kingma and Welling 2014, eq. 10 and appendix B. log σ² is kept within its bounds; all is zero
/// in rows that the record does not fill.
pub static DRAW: Kernel<Gaussian, 6> = Kernel {
    name: "gaussian.draw",
    entry: "draw",
    bindings: [
        Binding::read_words("image"),
        Binding::read("h"),
        Binding::write("eps"),
        Binding::write("z"),
        Binding::write("kl"),
        Binding::write("log_ratio"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (draw, draw),
    cpu: Cpu::Rows(|p| rows(p, |own, h, z| [1, h, z, z, 1, own])),
    turns: |p| turns(p.latent, 4) * (1 + PHILOX + turns(4, 1)),
    flops: uncounted,
};

/// The same with ε (images · samples, n) as it is given.
pub static GIVEN: Kernel<Gaussian, 5> = Kernel {
    name: "gaussian.given",
    entry: "given",
    bindings: [
        Binding::read("given_h"),
        Binding::read("given_eps"),
        Binding::write("given_z"),
        Binding::write("given_kl"),
        Binding::write("given_log_ratio"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (given, given),
    cpu: Cpu::Rows(|p| rows(p, |own, h, z| [h, z, z, 1, own])),
    turns: |p| turns(p.latent, 1),
    flops: uncounted,
};

/// dh (images, 2 n), the gradients at μ and log σ²: Σ dz and ½ σ Σ dz ⊗ ε over the samples, for
/// dz and ε (images · samples, n) and h (images, 2 n); and of the weighted KL, w μ and ½ w (σ² −
/// 1). Where log σ² is out of its bounds it has none.
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
    cpu: Cpu::Rows(|p| rows(p, |_, h, z| [h, z, z, h])),
    turns: |p| turns(p.samples, 1),
    flops: uncounted,
};

/// The same where samples are weighed: dz first gets the prior's share of the bound's gradient and, but for
/// the standard gradient, that of the posterior's density at z, dz + c ω (z − ε / σ), for ω (images ·
/// samples), z (images · samples, n) and c = loss scale · KL weight / samples (Roeder et al. 2017);
/// doubly reparameterised, ω² / K stands for ω (Tucker et al. 2018, eq. 8). What the density has at h
/// of itself counts in the standard gradient alone: −½ c of each log σ², the entropy's.
pub static BACKWARD_WEIGHED: Kernel<Gaussian, 6> = Kernel {
    name: "gaussian.backward_weighed",
    entry: "backward_weighed",
    bindings: [
        Binding::read("back_h"),
        Binding::read("back_eps"),
        Binding::read("dz"),
        Binding::write("dh"),
        Binding::read("back_z"),
        Binding::read("weight"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (backward_weighed, backward_weighed),
    cpu: Cpu::Rows(|p| rows(p, |own, h, z| [h, z, z, h, z, own])),
    turns: |p| turns(p.samples, 1),
    flops: uncounted,
};

/// log σ² within its bounds.
pub(super) fn clamped<T: Real>(log_var: T) -> T {
    let (lowest, highest) = LOG_VAR_BOUNDS;
    log_var.max(T::from_f32(lowest)).min(T::from_f32(highest))
}

fn draw<T: Real>(p: &Gaussian, record: &Record, args: [Arg<'_, T>; 6]) {
    let [image, h, eps, z, kl, log_ratio] = args;
    let (image, h, eps, z) = (image.words(), h.read(), eps.write(), z.write());
    let whole = Parts { count: 1, width: p.latent as usize };
    draw_in_parts(p, record, (image, h), (eps, z), (kl.write(), whole));
    ratio(p, record, (h, eps, z), log_ratio.write());
}

/// Into how many parts the KL of a row is cut, and of how many dimensions each is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    pub(super) count: usize,
    pub(super) width: usize,
}

/// The draw of z, and the KL of each row in parts.
pub(super) fn draw_in_parts<T: Real>(
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
    sample(p, record.rows as usize, (h, eps), z, kl);
}

fn given<T: Real>(p: &Gaussian, record: &Record, args: [Arg<'_, T>; 5]) {
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
        if of >= record.rows as usize {
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
        if of >= rows {
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

pub(super) fn backward<T: Real>(p: &Gaussian, record: &Record, [h, eps, dz, dh]: [Arg<'_, T>; 4]) {
    let dz = dz.read();
    // ∂KL/∂μ = μ, ∂KL/∂log σ² = ½ (σ² − 1).
    let of_kl = |mu: T, log_var: T| (mu, log_var.exp_m1());
    to_posterior(p, record, (h.read(), eps.read()), dh.write(), |at, _, _| dz[at], of_kl);
}

fn backward_weighed<T: Real>(p: &Gaussian, record: &Record, args: [Arg<'_, T>; 6]) {
    let [h, eps, dz, dh, z, omega] = args;
    let (eps, dz, z, omega) = (eps.read(), dz.read(), z.read(), omega.read());
    let rate = |place: usize| real::<T>(record.rates[place]);
    let weight = rate(rate::LOSS_SCALE) * rate(rate::KL_WEIGHT) / real(f64::from(p.samples));
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
    let of_entropy = |_, _| match gradient {
        Gradient::Standard => (T::zero(), -T::one()),
        Gradient::Stl | Gradient::Dreg => (T::zero(), T::zero()),
    };
    to_posterior(p, record, (h.read(), eps), dh.write(), through_z, of_entropy);
}

/// The gradient at h: by way of z, `through_z` of an element, its row and σ, and of the weighted KL, of which
/// `of_kl` says the slope at μ and twice that at log σ².
fn to_posterior<T: Real>(
    p: &Gaussian,
    record: &Record,
    (h, eps): (&[T], &[T]),
    dh: &mut [T],
    through_z: impl Fn(usize, usize, T) -> T,
    of_kl: impl Fn(T, T) -> (T, T),
) {
    let (latent, stride) = (p.latent as usize, p.z_stride as usize);
    let rate = |place: usize| real::<T>(record.rates[place]);
    let weight = rate(rate::KL_WEIGHT) * rate(rate::LOSS_SCALE);
    let (rows, samples) = (p.rows as usize, p.samples as usize);
    for of in 0..rows.div_ceil(samples) {
        let inside = of < record.rows as usize;
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
            let (kl_mu, kl_log_var) = of_kl(mu, clamped(raw));
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

/// Images with so many elements of each binding, which depend on how many samples an image has, and on the
/// elements of its h and z.
fn rows<const N: usize>(
    p: &Gaussian,
    elements: fn(usize, usize, usize) -> [usize; N],
) -> Rows<Gaussian, N> {
    let part = |p: &Gaussian, images: Range<usize>| Gaussian {
        rows: rows_of(images, p.samples, p.rows),
        ..*p
    };
    let (samples, h) = (p.samples as usize, p.h_stride as usize);
    let elements = elements(samples, h, samples * p.z_stride as usize);
    Rows { images: p.rows.div_ceil(p.samples) as usize, elements, part }
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

/// A normal posterior of independent dimensions, and its place in the model.
#[derive(Clone, Copy, Debug)]
pub struct Normal {
    /// [μ | log σ²] (images, 2 n).
    pub h: Tensor,
    /// The noise (images · samples, n).
    pub eps: Tensor,
    /// Which of the model's draws it is, so that each draws noise of its own; the first is 0.
    pub site: usize,
}

impl Normal {
    pub(super) fn params(&self, draw: Draw) -> Gaussian {
        let (h, z) = (self.h, draw.z);
        let samples = z.rows() / h.rows();
        assert_eq!(
            h.cols(),
            2 * z.cols(),
            "gaussian: h holds a mean and a log-variance for each z"
        );
        assert_eq!(z.rows(), samples * h.rows(), "gaussian: every image has as many z");
        Gaussian {
            rows: size(z.padded_rows()),
            latent: size(z.cols()),
            h_stride: size(h.stride()),
            z_stride: size(z.stride()),
            samples: size(samples),
            site: size(self.site),
            importance: 1,
            gradient: 0,
            accumulate: 0,
        }
    }
}

/// Records a draw of z from a normal posterior, into the tensors of `draw`, whose `log_ratio` is stored; and
/// the gradient at its h.
///
/// # Panics
///
/// If the shapes do not fit.
pub fn gaussian(tape: &mut Tape<'_>, of: Normal, noise: Noise, draw: Draw) {
    let Normal { h, eps, .. } = of;
    let Draw { z, kl, log_ratio } = draw;
    let log_ratio = log_ratio.expect("a draw that is no product's stores its log-ratio");
    let (p, rows) = (of.params(draw), Grid::Flat(z.padded_rows()));
    match noise {
        Noise::Drawn { image } => {
            tape.dispatch(&DRAW, p, [image, h, eps, z, kl, log_ratio], rows);
        }
        Noise::Given => tape.dispatch(&GIVEN, p, [h, eps, z, kl, log_ratio], rows),
    }
    on_backward(tape, of, draw);
}

/// That the gradient at h was made in the dispatch that would have made that at z.
#[derive(Clone, Copy, Debug)]
struct Done;

/// Leaves the rule of the gradient at h, and the note that [`alone`] reads.
pub(super) fn on_backward(tape: &mut Tape<'_>, of: Normal, draw: Draw) {
    let (Normal { h, eps, .. }, z) = (of, draw.z);
    tape.note(z, of);
    tape.on_backward(&[h], move |tape| {
        if tape.noted::<Done>(z).is_some() {
            return;
        }
        let dz = tape.grad(z, GradSite::Output).expect("the decoder used z");
        let dh = tape.grad_out(h, GradSite::Output);
        let p = Gaussian { accumulate: dh.accumulate(), ..of.params(draw) };
        let grid = Grid::Flat(z.padded_rows().div_ceil(p.samples as usize) * z.cols());
        match weighed(tape, z) {
            None => tape.dispatch(&BACKWARD, p, [h, eps, dz, dh.at], grid),
            Some(Weighed { weight, importance, gradient }) => {
                let (importance, gradient) = (size(importance), gradient.code());
                let p = Gaussian { importance, gradient, ..p };
                tape.dispatch(&BACKWARD_WEIGHED, p, [h, eps, dz, dh.at, z, weight], grid);
            }
        }
    });
}

/// The posterior that z was drawn from, if whoever asks is the only one to make the gradient at z, and
/// nothing else makes one at h: then it makes that at h at once, and the posterior's own rule rests.
pub(super) fn alone(tape: &mut Tape<'_>, z: Tensor) -> Option<Normal> {
    let of = tape.noted::<Normal>(z).filter(|_| tape.fusion() == Fusion::All)?;
    let one = z.rows() == of.h.rows() && tape.users(z) == 1 && tape.users(of.h) == 1;
    let can = one && weighed(tape, z).is_none();
    if can {
        tape.note(z, Done);
    }
    can.then_some(of)
}

/// Drawn and given noise, latents round a multiple of four, several z of an image, a partial batch,
/// log σ² past both bounds, a later draw of a model, and more than 65,535 workgroups.
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
        cases.push(case(shape, reach, true, 0));
        cases.push(case(shape, reach, false, 0));
    }
    cases.push(case([19, 5, 18, 4], 2.0, true, 3));
    cases.push(case(one(1024, 2049, 1000), 2.0, true, 0));
    cases
}

fn case(
    [images, latent, inside, samples]: [usize; 4],
    reach: f32,
    drawn: bool,
    site: usize,
) -> Case {
    let kind = if drawn { "draw" } else { "given" };
    let name = format!(
        "gaussian.{kind} {inside}/{images}×{latent} within ±{reach}, {samples} z, draw {site}"
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
    let log_ratio = Some(case.plan.vector("log-ratio", rows));
    let dh = case.record(|tape| {
        gaussian(tape, Normal { h, eps, site }, noise, Draw { z, log_ratio, kl });
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
