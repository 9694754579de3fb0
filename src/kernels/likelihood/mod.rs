//! −log p(x | z) of the pixel-wise families but Bernoulli's, with its gradient in the same dispatch.

mod family;

use rayon::prelude::*;

use crate::config::{Likelihood, ModelConfig, Scale};
use crate::engine::kernel::params;
use crate::engine::record::rate;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Dtype, GradSite, Grid, Kernel, Real, Record, Schedule, Tape, Tensor, real,
};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{Sum, plain, sum as added, wgsl};
use crate::kernels::matmul::Learned;
use crate::kernels::philox::philox;

pub(crate) use family::{draw, mean};

params! {
    /// Parameters of the likelihood kernels.
    pub struct Pixelwise {
        /// Rows, with the padding.
        rows: u32,
        /// Pixels of an image.
        pixels: u32,
        /// What the decoder makes of an image: so many blocks of all pixels.
        cols: u32,
        /// The distance between rows of what the decoder makes.
        stride: u32,
        /// The distance between rows of x.
        x_stride: u32,
        /// Rows of one image.
        samples: u32,
        /// The likelihood's code.
        family: u32,
        /// The code of where the scale comes from.
        scale: u32,
        /// Levels of a pixel.
        levels: u32,
        /// Components of a mixture.
        components: u32,
        /// Whether the gradient of the one log-scale is added to what is there.
        accumulate: u32,
        /// The fixed scale.
        sigma: f32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("likelihood.wgsl"), Cover::Row)];

/// −log p of each row, and its gradient.
pub static FORWARD: Kernel<Pixelwise, 4> = Kernel {
    name: "likelihood.forward",
    entry: "forward",
    bindings: [
        Binding::read("made"),
        Binding::read("x"),
        Binding::write("nll"),
        Binding::write("dmade"),
    ],
    overrides: &["family", "scale"],
    schedules: SCHEDULES,
    reference: (forward, forward),
    cpu: Some(forward_cpu),
};

/// The same with one log-scale for all pixels, whose gradient is made of each row.
pub static FORWARD_SHARED: Kernel<Pixelwise, 6> = Kernel {
    name: "likelihood.forward_shared",
    entry: "forward_shared",
    bindings: [
        Binding::read("made"),
        Binding::read("x"),
        Binding::write("nll"),
        Binding::write("dmade"),
        Binding::read("log_scale"),
        Binding::write("dlog_scale"),
    ],
    overrides: &["family", "scale"],
    schedules: SCHEDULES,
    reference: (forward_shared, forward_shared),
    cpu: Some(forward_shared_cpu),
};

/// The sum over the rows.
pub static SUM: Kernel<Pixelwise, 2> = Kernel {
    name: "likelihood.sum",
    entry: "sum",
    bindings: [Binding::read("each"), Binding::write("whole")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (sum, sum),
    cpu: None,
};

/// −log p of one row of what was made, and the slope at a log-scale that is not the decoder's, both
/// before any weight; the gradient at what was made goes to `d`, times `weight`.
fn row<T: Real>(
    p: &Pixelwise,
    (made, x): (&[T], &[T]),
    log_scale: T,
    (d, weight): (&mut [T], T),
) -> [T; 2] {
    let (pixels, cols) = (p.pixels as usize, p.cols as usize);
    let mut own = vec![T::zero(); cols / pixels];
    let mut slopes = own.clone();
    let mut sums = [Sum::new(); 2];
    for (j, &x) in x[..pixels].iter().enumerate() {
        own.iter_mut()
            .zip(made[j..cols].iter().step_by(pixels))
            .for_each(|(own, &made)| *own = made);
        let found = family::pixel(p, &own, x, log_scale, &mut slopes);
        sums.iter_mut().zip(found).for_each(|(sum, found)| sum.add(found));
        for (d, &slope) in d[j..cols].iter_mut().step_by(pixels).zip(&slopes) {
            *d = slope * weight;
        }
    }
    d[cols..].fill(T::zero());
    sums.map(|sum| sum.total())
}

/// Calls a row's function for each row that the record fills; the others become zero.
fn one<T: Real>(
    p: &Pixelwise,
    record: &Record,
    (made, x): (&[T], &[T]),
    log_scale: T,
    (at, nll, d): (usize, &mut T, &mut [T]),
) -> T {
    let (samples, stride) = (p.samples as usize, p.x_stride as usize);
    if at >= record.rows as usize * samples {
        *nll = T::zero();
        d.fill(T::zero());
        return T::zero();
    }
    let weight = real::<T>(record.rates[rate::LOSS_SCALE] / f64::from(p.samples));
    let x = &x[at / samples * stride..][..stride];
    let made = &made[at * p.stride as usize..][..p.stride as usize];
    let [loss, slope] = row(p, (made, x), log_scale, (d, weight));
    *nll = loss;
    slope * weight
}

fn forward<T: Real>(p: &Pixelwise, record: &Record, [made, x, nll, d]: [Arg<'_, T>; 4]) {
    let (given, log_scale) = ((made.read(), x.read()), T::from_f32(p.sigma).ln());
    let rows = nll.write().iter_mut().zip(d.write().chunks_mut(p.stride as usize));
    for (at, (nll, d)) in rows.enumerate().take(p.rows as usize) {
        one(p, record, given, log_scale, (at, nll, d));
    }
}

fn forward_cpu(p: &Pixelwise, record: &Record, [made, x, nll, d]: [Arg<'_, f32>; 4]) {
    let (given, log_scale) = ((made.read(), x.read()), p.sigma.ln());
    let rows = nll.write().par_iter_mut().zip(d.write().par_chunks_mut(p.stride as usize));
    rows.enumerate().take(p.rows as usize).for_each(|(at, (nll, d))| {
        one(p, record, given, log_scale, (at, nll, d));
    });
}

fn forward_shared<T: Real>(p: &Pixelwise, record: &Record, args: [Arg<'_, T>; 6]) {
    let [made, x, nll, d, log_scale, slopes] = args;
    let (given, (log_scale, slope)) =
        ((made.read(), x.read()), family::bounded(log_scale.read()[0]));
    let rows = nll.write().iter_mut().zip(d.write().chunks_mut(p.stride as usize));
    for (at, ((nll, d), to)) in rows.zip(slopes.write()).enumerate().take(p.rows as usize) {
        *to = slope * one(p, record, given, log_scale, (at, nll, d));
    }
}

fn forward_shared_cpu(p: &Pixelwise, record: &Record, args: [Arg<'_, f32>; 6]) {
    let [made, x, nll, d, log_scale, slopes] = args;
    let (given, (log_scale, slope)) =
        ((made.read(), x.read()), family::bounded(log_scale.read()[0]));
    let rows = nll.write().par_iter_mut().zip(d.write().par_chunks_mut(p.stride as usize));
    let rows = rows.zip(slopes.write()).enumerate().take(p.rows as usize);
    rows.for_each(|(at, ((nll, d), to))| {
        *to = slope * one(p, record, given, log_scale, (at, nll, d));
    });
}

fn sum<T: Real>(p: &Pixelwise, _: &Record, [each, whole]: [Arg<'_, T>; 2]) {
    let total = added(each.read()[..p.rows as usize].iter().copied());
    let whole = whole.write();
    whole[0] = total + if p.accumulate != 0 { whole[0] } else { T::zero() };
}

/// Records nll, in nats, of x (images, n) under what was made (images · samples, outputs · n), with the
/// one log-scale (1) where the scale is shared. The gradient at what was made, times the record's scale
/// over the samples, is made at once.
///
/// On the way back the gradient of the log-scale, of which each row has its share in a vector that
/// the tape holds for it, becomes one number.
pub fn likelihood(
    tape: &mut Tape<'_>,
    model: &ModelConfig,
    samples: usize,
    (made, x): (Tensor, Tensor),
    log_scale: Option<Learned>,
    nll: Tensor,
) {
    let outputs = model.likelihood.outputs(model);
    assert_eq!(made.cols(), outputs * x.cols(), "likelihood: {outputs} numbers for each pixel");
    assert_eq!(made.rows(), samples * x.rows(), "likelihood: {samples} rows of an image");
    let dmade = tape.plan.matrix("dmade", made.rows(), made.cols());
    let p = Pixelwise {
        rows: size(made.padded_rows()),
        pixels: size(x.cols()),
        cols: size(made.cols()),
        stride: size(made.stride()),
        x_stride: size(x.stride()),
        samples: size(samples),
        family: model.likelihood.code(),
        scale: model.scale.code(),
        levels: size(model.levels),
        components: size(model.components),
        accumulate: 0,
        sigma: model.sigma as f32,
    };
    let grid = Grid::Rows(made.padded_rows());
    tape.set_grad(made, dmade);
    let Some(Learned { value, grad }) = log_scale else {
        tape.dispatch(&FORWARD, p, [made, x, nll, dmade], grid);
        return;
    };
    let each = tape.plan.vector("dlog_scale", made.rows());
    tape.dispatch(&FORWARD_SHARED, p, [made, x, nll, dmade, value, each], grid);
    tape.set_grad(value, each);
    tape.on_backward(move |tape| {
        let each = tape.grad(value, GradSite::Output).expect("the forward dispatch made it");
        tape.leaf(&SUM, p, [each, grad], Grid::Rows(1));
    });
}

/// Every family with every scale: one, ragged, a partial batch, several samples of an image, scales and
/// locations past all bounds, the classic size, and more than 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for likelihood in Likelihood::ALL.into_iter().filter(|&l| l != Likelihood::Bernoulli) {
        let scales = [Scale::Fixed, Scale::Shared, Scale::Pixel];
        for scale in scales.into_iter().filter(|&s| s == Scale::Fixed || likelihood.has_scale()) {
            let mut model = ModelConfig { likelihood, scale, sigma: 0.7, ..ModelConfig::default() };
            if likelihood == Likelihood::Categorical {
                model.levels = 10;
            }
            for (shape, samples, rows) in
                [([1, 1], 1, 1), ([5, 37], 1, 5), ([17, 21], 1, 11), ([6, 75], 3, 5)]
            {
                cases.push(case(&model, shape, samples, rows, false));
            }
            cases.push(case(&model, [9, 50], 1, 9, true));
        }
        let model = ModelConfig { likelihood, ..ModelConfig::default() };
        cases.push(case(&model, [32, 784], 1, 32, false));
    }
    let shared = ModelConfig {
        likelihood: Likelihood::Normal,
        scale: Scale::Shared,
        ..ModelConfig::default()
    };
    cases.push(case(&shared, [65_600, 3], 1, 65_599, false));
    cases
}

/// Logits, or locations round the pixels' range, then log-scales; `far` goes past all that models make.
fn made_of(model: &ModelConfig, [rows, pixels]: [usize; 2], far: bool) -> Fill {
    let blocks = model.likelihood.outputs(model);
    let (locations, scales) = match model.likelihood {
        Likelihood::LogisticMixture => (model.components, 2 * model.components),
        likelihood if likelihood.has_scale() => (0, 1),
        _ => (blocks, blocks),
    };
    let value = |i: usize| {
        let word = philox([i as u32, 0, 0, 0], [11, 0x0ca5_e000])[0];
        let unit = f64::from(word >> 8) / 16_777_216.0;
        let (low, high) = match i % (blocks * pixels) / pixels {
            // Steeper ones have no central differences; they are compared with the reference alone.
            block if block >= scales => {
                if far {
                    (-10.0, 10.0)
                } else {
                    (-2.5, 9.0)
                }
            }
            block if block >= locations => {
                if far {
                    (-20.0, 20.0)
                } else {
                    (-0.5, 1.5)
                }
            }
            _ => {
                if far {
                    (-60.0, 60.0)
                } else {
                    (-3.0, 3.0)
                }
            }
        };
        ((low + unit * (high - low)) as f32).to_bits()
    };
    Fill::Words((0..rows * blocks * pixels).map(value).collect())
}

fn case(model: &ModelConfig, shape: [usize; 2], samples: usize, rows: usize, far: bool) -> Case {
    let ([images, pixels], all) = (shape, shape[0] * samples);
    let (name, scale) = (model.likelihood.name(), model.scale);
    let far_away = if far { ", far" } else { "" };
    let name = format!("{name} {scale:?} {rows}/{images}×{samples}×{pixels}{far_away}");
    let mut case = Case::new(name, rows);
    let cols = model.likelihood.outputs(model) * pixels;
    let made = case.input("made", [all, cols], made_of(model, [all, pixels], far));
    // The ends of the range are among the levels; those of bytes do for all families.
    let level = |i: usize| ((i * 89 + i / 5) % model.levels) as f32 / (model.levels - 1) as f32;
    let levels = (0..images * pixels).map(|i| level(i).to_bits()).collect();
    let x = case.input("x", [images, pixels], Fill::Words(levels));
    let log_scale = (model.scale == Scale::Shared).then(|| Learned {
        value: case.input_line("log_scale", 1, Dtype::F32, Fill::Uniform(3, -0.9, -0.8)),
        grad: case.plan.vector("d log_scale", 1),
    });
    let nll = case.plan.vector("nll", all);
    let gradient = case.record(|tape| {
        likelihood(tape, model, samples, (made, x), log_scale, nll);
        tape.backward();
        tape.grad(made, GradSite::Output).expect("the loss made it")
    });
    if !far {
        let weight = case.record.rates[rate::LOSS_SCALE] / samples as f64;
        case.outputs.push((nll, Weight::Same(weight)));
        case.gradients.push((made, gradient));
        case.gradients.extend(log_scale.map(|Learned { value, grad }| (value, grad)));
    }
    // Far from the pixels, and at steep scales, elements are differences of numbers a hundred times as large.
    case.tolerance = if far { 5e-6 } else { 3e-6 };
    case
}
