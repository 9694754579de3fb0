//! How near reconstructions come to their images, pixel by pixel and window by window.

use rayon::prelude::*;

use crate::config::ImageSize;
use crate::error::Result;
use crate::quality::refuse;

/// The smallest mean squared error that [`psnr`] tells apart, which is 100 dB.
pub const LOWEST_ERROR: f64 = 1e-10;

/// The side of the windows that [`ssim`] compares (Wang et al. 2004, section III.C).
pub const WINDOW: usize = 11;

/// The deviation of a window's weights, in pixels.
const SIGMA: f64 = 1.5;

/// The constants that keep its quotients finite, K₁ and K₂ of the paper, for pixels from 0 to 1.
const K: [f64; 2] = [0.01, 0.03];

/// The peak signal-to-noise ratio of each image in dB, −10 log₁₀ of the mean squared error over its pixels
/// and channels: the peak is 1, for pixels from 0 to 1. An error below [`LOWEST_ERROR`] counts as that.
///
/// # Errors
///
/// If images and reconstructions are not as many numbers, or no whole number of images.
pub fn psnr(images: &[f32], made: &[f32], size: ImageSize) -> Result<Vec<f64>> {
    check(images, made, size)?;
    let pairs = images.par_chunks(size.len()).zip(made.par_chunks(size.len()));
    let each = pairs.map(|(image, made)| {
        let squares = image.iter().zip(made).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
        let error = squares.sum::<f64>() / size.len() as f64;
        -10.0 * error.max(LOWEST_ERROR).log10()
    });
    Ok(each.collect())
}

/// The mean structural similarity of each image and its reconstruction (Wang et al. 2004, eq. 13): windows of
/// 11 × 11 pixels, weighted by a normal of deviation 1.5, K₁ = 0.01, K₂ = 0.03, pixels from 0 to 1; the mean
/// over all windows that lie wholly within the image, and over channels. 1 is an equal image.
///
/// # Errors
///
/// As [`psnr`], and if images are smaller than a window.
pub fn ssim(images: &[f32], made: &[f32], size: ImageSize) -> Result<Vec<f64>> {
    check(images, made, size)?;
    if size.height < WINDOW || size.width < WINDOW {
        return Err(refuse(format!("images of {size} hold no window of {WINDOW}×{WINDOW}"))
            .hint("SSIM has no meaning for smaller images; take PSNR"));
    }
    let weights = weights();
    let pairs = images.par_chunks(size.len()).zip(made.par_chunks(size.len()));
    let each = pairs.map(|(image, made)| {
        let channel = |values: &[f32], at: usize| -> Vec<f64> {
            values.iter().skip(at).step_by(size.channels).map(|&v| f64::from(v)).collect()
        };
        let all = (0..size.channels)
            .map(|at| similarity(&channel(image, at), &channel(made, at), size.width, &weights));
        all.sum::<f64>() / size.channels as f64
    });
    Ok(each.collect())
}

fn check(images: &[f32], made: &[f32], size: ImageSize) -> Result<()> {
    if images.len() == made.len() && !images.is_empty() && images.len().is_multiple_of(size.len()) {
        return Ok(());
    }
    let (a, b) = (images.len(), made.len());
    Err(refuse(format!("{a} and {b} pixels, expected as many, of whole images of {size}"))
        .hint("give each image and its reconstruction"))
}

/// The weights of a row of a window, whose sum is 1.
fn weights() -> [f64; WINDOW] {
    let middle = (WINDOW / 2) as f64;
    let weights: [f64; WINDOW] =
        std::array::from_fn(|i| (-0.5 * ((i as f64 - middle) / SIGMA).powi(2)).exp());
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| weight / sum)
}

/// The mean over all windows of two channels.
fn similarity(x: &[f64], y: &[f64], width: usize, weights: &[f64; WINDOW]) -> f64 {
    let product =
        |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a * b).collect() };
    let means = |values: &[f64]| blurred(values, width, weights);
    let (mx, my) = (means(x), means(y));
    let (xx, yy, xy) = (means(&product(x, x)), means(&product(y, y)), means(&product(x, y)));
    let [c1, c2] = K.map(|k| k * k);
    let window = |i: usize| {
        let (mx, my) = (mx[i], my[i]);
        let (vx, vy, cov) = (xx[i] - mx * mx, yy[i] - my * my, xy[i] - mx * my);
        (2.0 * mx * my + c1) * (2.0 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    };
    (0..mx.len()).map(window).sum::<f64>() / mx.len() as f64
}

/// The weighted mean of each window, along rows and then along columns.
fn blurred(values: &[f64], width: usize, weights: &[f64; WINDOW]) -> Vec<f64> {
    let sum = |window: &[f64]| window.iter().zip(weights).map(|(v, w)| v * w).sum::<f64>();
    let rows: Vec<f64> =
        values.chunks(width).flat_map(|row| row.windows(WINDOW).map(sum)).collect();
    let width = width - WINDOW + 1;
    let down = |at: usize| (0..WINDOW).map(|i| rows[at + i * width] * weights[i]).sum();
    (0..rows.len() - (WINDOW - 1) * width).map(down).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::golden::{assert_near, count, golden, number, numbers, value};

    #[test]
    fn errors_are_in_decibels() {
        let size = ImageSize::from([1, 2]);
        let found = psnr(&[0.0, 1.0, 0.5, 0.5], &[0.1, 0.9, 0.5, 0.5], size).expect("two images");
        // A mean squared error of 0.01 is 20 dB; one of 0 counts as 1e-10.
        assert!((found[0] - 20.0).abs() < 1e-5, "{}", found[0]);
        assert!((found[1] - 100.0).abs() < 1e-9, "{}", found[1]);
    }

    /// Of flat images only the first factor is not 1: (2 a b + c) / (a² + b² + c).
    #[test]
    fn flat_images_differ_by_their_means() {
        let size = ImageSize::from([12, 13]);
        let [a, b, c] = [0.25_f64, 0.75, 1e-4];
        let [one, other] = [a, b].map(|v| vec![v as f32; size.len()]);
        let found = ssim(&one, &other, size).expect("an image")[0];
        let expected = (2.0 * a * b + c) / (a * a + b * b + c);
        assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
        let same = ssim(&one, &one, size).expect("an image")[0];
        assert!((same - 1.0).abs() < 1e-12, "{same}");
    }

    #[test]
    fn both_are_those_of_scikit_image() {
        let all = golden("pictures");
        for case in all.as_array().expect("cases") {
            let sides: Vec<_> = numbers(&case["size"]).iter().map(|&side| side as usize).collect();
            let size = ImageSize::try_from(sides).expect("a size");
            let seed = count(case, "seed") as u64;
            let images: Vec<_> =
                (0..size.len()).map(|i| ((value(seed, i) + 1.0) / 2.0) as f32).collect();
            let made = images.iter().enumerate();
            let made: Vec<_> =
                made.map(|(i, &x)| (f64::from(x) + 0.2 * value(seed + 1, i)) as f32).collect();
            for (name, found) in
                [("psnr", psnr(&images, &made, size)), ("ssim", ssim(&images, &made, size))]
            {
                assert_near(&found.expect(name), &[number(case, name)], 1e-9, name);
            }
        }
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let size = ImageSize::from([10, 11]);
        let error = ssim(&[0.0; 110], &[0.0; 110], size).expect_err("small");
        assert!(error.to_string().contains("hold no window of 11×11"), "{error}");
        for (a, b) in [(110, 220), (0, 0), (100, 100)] {
            let error = psnr(&vec![0.0; a], &vec![0.0; b], size).expect_err("numbers");
            assert!(error.to_string().contains(&format!("{a} and {b} pixels")), "{error}");
        }
    }
}
