//! The Gaussian posterior: reparameterised samples, its KL divergence, and their gradients.

mod cases;
mod reference;

use std::ops::Range;

use crate::config::{Gradient, LOG_VAR_BOUNDS, Posterior};
use crate::engine::kernel::params;
use crate::engine::record::rate;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Dtype, Fusion, GradSite, Grid, Kernel, Real, Record, Rows, Schedule,
    Tape, Tensor, real, rows_of, uncounted,
};
use crate::kernels::common::{plain, turns, wgsl};
use crate::kernels::draw::{Draw, Weighed, weighed};
use crate::kernels::philox::{PHILOX, key, log_uniform, normals_of, philox, purpose};

pub(crate) use cases::cases;
pub(super) use reference::{Parts, backward, draw_in_parts};
use reference::{backward_weighed, draw, given};

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
        /// How many z each row of h has.
        samples: u32,
        /// How many z each image has.
        each: u32,
        /// Which of the model's draws it is, so that each draws noise of its own.
        site: u32,
        /// The code of the family of q(z | x).
        family: u32,
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
///
/// Of another family than the normal ε is of its density f of location 0 and scale 1, drawn by its inverse distribution function: of
/// the Laplace f = ½ exp −|ε|, of the logistic exp −ε / (1 + exp −ε)²; and `log_ratio` is Σ (½ log σ² − log f(ε) − ½ z² − ½ log 2π)
/// (Kingma and Welling 2014, section 2.4). kl is that of the normal then, and nothing reads it.
pub static DRAW: Kernel<Gaussian, 6> = Kernel {
    name: "gaussian.draw",
    entry: "draw",
    bindings: [
        Binding::read_words("image"),
        Binding::read("h"),
        Binding::write_within("eps"),
        Binding::write_within("z"),
        Binding::write_within("kl"),
        Binding::write_within("log_ratio"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (draw, draw),
    cpu: Cpu::Rows(|p| rows(p, |own, h, z, of_h| [1, h, z, z, of_h, own])),
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
    cpu: Cpu::Rows(|p| rows(p, |own, h, z, of_h| [h, z, z, of_h, own])),
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
        Binding::write_within("dh"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (backward, backward),
    cpu: Cpu::Rows(|p| rows(p, |_, h, z, _| [h, z, z, h])),
    turns: |p| turns(p.samples, 1),
    flops: uncounted,
};

/// The same where samples are weighed: dz first gets the prior's share of the bound's gradient and, but for
/// the standard gradient, that of the posterior's density at z, dz + c ω (z − ε / σ), for ω (images ·
/// samples), z (images · samples, n) and c = loss scale · KL weight / samples (Roeder et al. 2017);
/// doubly reparameterised, ω² / K stands for ω (Tucker et al. 2018, eq. 8). Of another family −(log f)' stands for ε there: the sign
/// of ε of the Laplace, tanh ½ ε of the logistic. What the density has at h
/// of itself counts in the standard gradient alone: −½ c of each log σ², the entropy's.
pub static BACKWARD_WEIGHED: Kernel<Gaussian, 6> = Kernel {
    name: "gaussian.backward_weighed",
    entry: "backward_weighed",
    bindings: [
        Binding::read("back_h"),
        Binding::read("back_eps"),
        Binding::read("dz"),
        Binding::write_within("dh"),
        Binding::read("back_z"),
        Binding::read("weight"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (backward_weighed, backward_weighed),
    cpu: Cpu::Rows(|p| rows(p, |own, h, z, _| [h, z, z, h, z, own])),
    turns: |p| turns(p.samples, 1),
    flops: uncounted,
};

/// log σ² within its bounds.
pub(super) fn clamped<T: Real>(log_var: T) -> T {
    let (lowest, highest) = LOG_VAR_BOUNDS;
    log_var.max(T::from_f32(lowest)).min(T::from_f32(highest))
}

/// Images with so many elements of each binding, which depend on how many z an image has, on the elements of its h
/// and z, and on its rows of h.
fn rows<const N: usize>(
    p: &Gaussian,
    elements: fn(usize, usize, usize, usize) -> [usize; N],
) -> Rows<Gaussian, N> {
    let part = |p: &Gaussian, images: Range<usize>| Gaussian {
        rows: rows_of(images, p.each, p.rows),
        ..*p
    };
    let (each, of_h) = (p.each as usize, (p.each / p.samples) as usize);
    let [h, z] = [of_h * p.h_stride as usize, each * p.z_stride as usize];
    Rows { images: p.rows.div_ceil(p.each) as usize, elements: elements(each, h, z, of_h), part }
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

/// A posterior of independent dimensions, z = μ + ε ⊗ σ of noise of a family, and its place in the model.
#[derive(Clone, Copy, Debug)]
pub struct LocationScale {
    /// [μ | log σ²] (images, 2 n), or a row for each z of the level below.
    pub h: Tensor,
    /// What ε is of.
    pub family: Posterior,
    /// How many images there are.
    pub images: usize,
    /// The noise (images · samples, n).
    pub eps: Tensor,
    /// Which of the model's draws it is, so that each draws noise of its own; the first is 0.
    pub site: usize,
}

impl LocationScale {
    pub(super) fn params(&self, draw: Draw) -> Gaussian {
        let (h, z) = (self.h, draw.z);
        let samples = z.rows() / h.rows();
        assert_eq!(
            h.cols(),
            2 * z.cols(),
            "gaussian: h holds a mean and a log-variance for each z"
        );
        assert_eq!(z.rows(), samples * h.rows(), "gaussian: every row of h has as many z");
        assert_eq!(h.rows() % self.images, 0, "gaussian: every image has as many rows of h");
        Gaussian {
            rows: size(z.padded_rows()),
            latent: size(z.cols()),
            h_stride: size(h.stride()),
            z_stride: size(z.stride()),
            samples: size(samples),
            each: size(z.rows() / self.images),
            site: size(self.site),
            family: self.family.code(),
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
pub fn gaussian(tape: &mut Tape<'_>, of: LocationScale, noise: Noise, draw: Draw) {
    let LocationScale { h, eps, .. } = of;
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
pub(super) fn on_backward(tape: &mut Tape<'_>, of: LocationScale, draw: Draw) {
    let (LocationScale { h, eps, .. }, z) = (of, draw.z);
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
pub(super) fn alone(tape: &mut Tape<'_>, z: Tensor) -> Option<LocationScale> {
    let of = tape.noted::<LocationScale>(z).filter(|_| tape.fusion() == Fusion::All)?;
    let one = z.rows() == of.h.rows() && tape.users(z) == 1 && tape.users(of.h) == 1;
    let can = one && weighed(tape, z).is_none();
    if can {
        tape.note(z, Done);
    }
    can.then_some(of)
}
