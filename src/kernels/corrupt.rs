//! What the encoder of a denoising autoencoder sees of an image.

use std::ops::Range;

use crate::engine::kernel::params;
use crate::engine::record::rate;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Dtype, Grid, Kernel, Real, Record, Rows, Schedule, Tape, Tensor,
    uncounted,
};
use crate::kernels::case::{Case, Fill};
use crate::kernels::common::{plain, wgsl};
use crate::kernels::philox::{PHILOX, key, normals_of, philox, purpose};

params! {
    /// Parameters of the corrupt kernel.
    pub struct Corrupt {
        /// Groups of four pixels, with the padding.
        len: u32,
        /// Pixels of an image, n.
        cols: u32,
        /// The distance between rows of x.
        stride: u32,
        /// Of 2²⁴ random numbers, those that set a pixel to 0.
        masked: u32,
        /// The standard deviation of the noise, in units of the pixels.
        deviation: f32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("philox.wgsl", "corrupt.wgsl"), Cover::Items(64))];

/// seen (batch, n) = what the encoder sees of x (batch, n), whose images are `image` (batch):
/// pixels set to 0 (Vincent et al. 2008, section 2.3), or x + deviation · ε with ε standard
/// normal (Im et al. 2017, section 4). Where the record's `learning` is 0 it is x.
pub static PIXELS: Kernel<Corrupt, 3> = Kernel {
    name: "corrupt.pixels",
    entry: "pixels",
    bindings: [Binding::read_words("image"), Binding::read("x"), Binding::write("seen")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (pixels, pixels),
    cpu: Cpu::Rows(rows),
    turns: |_| PHILOX,
    flops: uncounted,
};

fn rows(p: &Corrupt) -> Rows<Corrupt, 3> {
    let stride = p.stride as usize;
    let part =
        |p: &Corrupt, rows: Range<usize>| Corrupt { len: rows.len() as u32 * p.stride / 4, ..*p };
    Rows { images: 4 * p.len as usize / stride, elements: [1, stride, stride], part }
}

fn pixels<T: Real>(p: &Corrupt, record: &Record, [image, x, seen]: [Arg<'_, T>; 3]) {
    let (image, x, seen) = (image.words(), x.read(), seen.write());
    seen.copy_from_slice(x);
    if record.rates[rate::LEARNING] == 0.0 {
        return;
    }
    let (cols, rows) = (p.cols as usize, record.rows as usize);
    let purpose = 16 * record.stream + purpose::CORRUPTION;
    for (row, seen) in seen.chunks_mut(p.stride as usize).enumerate().take(rows) {
        for (at, pixels) in seen[..cols].chunks_mut(4).enumerate() {
            let counter = [at as u32, image[row], record.step, purpose];
            let words = philox(counter, key(record.seed));
            let noise = normals_of::<T>(words);
            for (j, pixel) in pixels.iter_mut().enumerate() {
                if words[j] >> 8 < p.masked {
                    *pixel = T::zero();
                }
                if p.deviation > 0.0 {
                    *pixel += T::from_f32(p.deviation) * noise[j];
                }
            }
        }
    }
}

/// How an image is corrupted.
#[derive(Clone, Copy, Debug)]
pub enum PixelNoise {
    /// This share of its pixels is 0, in the mean.
    Mask(f64),
    /// Normal noise of this deviation is added to each pixel.
    Normal(f64),
}

/// Records what is seen (batch, n) of the images x (batch, n), whose numbers are `image` (batch).
pub fn corrupt(tape: &mut Tape<'_>, noise: PixelNoise, (image, x): (Tensor, Tensor)) -> Tensor {
    let seen = tape.plan.matrix("x as it is seen", x.rows(), x.cols());
    let (masked, deviation) = match noise {
        PixelNoise::Mask(share) => ((share * f64::from(1 << 24)).round() as u32, 0.0),
        PixelNoise::Normal(deviation) => (0, deviation as f32),
    };
    let len = x.words() / 4;
    let (cols, stride) = (size(x.cols()), size(x.stride()));
    let p = Corrupt { len: size(len), cols, stride, masked, deviation };
    tape.dispatch(&PIXELS, p, [image, x, seen], Grid::Flat(len));
    seen
}

/// Both kinds, one pixel, ragged sizes, a partial batch, a program that only looks, the classic size, and
/// more than 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, noise) in [("mask", PixelNoise::Mask(0.3)), ("normal", PixelNoise::Normal(0.5))] {
        for (rows, cols, record_rows, learning) in [
            (1, 1, 1, 1.0),
            (7, 37, 6, 1.0),
            (33, 16, 33, 0.0),
            (128, 784, 128, 1.0),
            (262_200, 3, 262_190, 1.0),
        ] {
            let name = format!("corrupt {kind} {record_rows}/{rows}×{cols}, learning {learning}");
            let mut case = Case::new(name, record_rows);
            case.record.rates[rate::LEARNING] = learning;
            let image = case.input_line("image", rows, Dtype::U32, Fill::RandomWords(7));
            // Pixels have an upper bound; rows past the record's are zero in a model, and kept here.
            let x = case.input("x", [rows, cols], Fill::Uniform(1, 0.0, 1.0));
            case.record(|tape| corrupt(tape, noise, (image, x)));
            case.tolerance = 2e-6;
            cases.push(case);
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Session;

    /// What 128 images of 784 pixels of one half become.
    fn seen(noise: PixelNoise, learning: f64) -> Vec<f64> {
        let mut case = Case::new("corrupt".to_owned(), 128);
        case.record.rates[rate::LEARNING] = learning;
        let image = case.input_line("image", 128, Dtype::U32, Fill::Words((0..128).collect()));
        let x = case.input("x", [128, 784], Fill::Uniform(1, 0.5, 0.5));
        let seen = case.record(|tape| corrupt(tape, noise, (image, x)));
        let mut session = Session::<f64>::new(&case.plan, None, 1).expect("enough memory");
        for (tensor, fill) in &case.inputs {
            session.write_bits(*tensor, 0, &fill.bits(*tensor));
        }
        let program = session.load(&case.program);
        session.run(program, &[case.record]);
        session.read(seen)
    }

    /// Bounds are five standard errors of 100,352 pixels.
    #[test]
    fn noise_has_its_share_and_its_moments() {
        let count = 100_352.0;
        let black = seen(PixelNoise::Mask(0.3), 1.0).iter().filter(|&&v| v == 0.0).count() as f64;
        assert!((black / count - 0.3).abs() < 0.0073, "{black} of {count} are black");
        let noisy = seen(PixelNoise::Normal(0.2), 1.0);
        let mean = noisy.iter().sum::<f64>() / count;
        let variance = noisy.iter().map(|v| (v - 0.5).powi(2)).sum::<f64>() / count;
        assert!(
            (mean - 0.5).abs() < 0.0032 && (variance - 0.04).abs() < 0.0009,
            "{mean} {variance}"
        );
        let clean = seen(PixelNoise::Mask(0.3), 0.0);
        assert!(clean.iter().all(|&v| v == 0.5), "what only looks sees the image");
    }
}
