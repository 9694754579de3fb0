//! Images as they can be drawn: rows of numbers become curves, and what is too wide is made smaller.

use std::borrow::Cow;

use elbo::config::ImageSize;

use super::canvas::distance;
use super::look::Look;

/// A row of fewer numbers is drawn as pixels.
const LEAST_CURVE: usize = 16;
/// Height of a curve, in pixels.
const CURVE_HEIGHT: usize = 144;
/// The narrowest and the widest curve.
const CURVE_WIDTHS: (usize, usize) = (192, 560);
/// The ground of a curve, the line at zero, and the curve itself.
const GROUND: f32 = 1.0;
const ZERO: f32 = 0.8;
const LINE: f32 = 0.1;
/// Half the width of a curve's line, in pixels.
const HALF_LINE: f64 = 1.25;

/// What is drawn in place of images, and how it is shown.
pub(super) fn drawable<'a>(
    images: &'a [f32],
    look: Look,
    (columns, room): (usize, usize),
) -> (Cow<'a, [f32]>, Look) {
    let size = look.size;
    let fitted = fitted(look, (columns, room));
    if fitted == look || images.is_empty() || size.is_empty() {
        return (Cow::Borrowed(images), look);
    }
    let all = images.chunks_exact(size.len());
    let made = match is_curve(size) {
        true => all.flat_map(|row| curve(row, look.range, fitted.size)).collect(),
        false => all.flat_map(|image| smaller(image, size, fitted.size)).collect(),
    };
    (Cow::Owned(made), fitted)
}

/// How images are shown that many of stand side by side in so many pixels.
pub(super) fn fitted(look: Look, (columns, room): (usize, usize)) -> Look {
    let ImageSize { height, width, channels } = look.size;
    let most = (room / columns.max(1)).max(1);
    if is_curve(look.size) {
        let width = width.clamp(CURVE_WIDTHS.0, CURVE_WIDTHS.1).min(most.max(LEAST_CURVE));
        return Look { size: [CURVE_HEIGHT, width].into(), range: [0.0, 1.0] };
    }
    if width <= most {
        return look;
    }
    // The cast rounds down.
    let height = (height as f64 * most as f64 / width as f64) as usize;
    Look { size: [height.max(1), most, channels].into(), ..look }
}

/// Images as they are seen where there are few pixels: rows of numbers as curves.
pub(in crate::cli) fn shown(images: &[f32], look: Look) -> (Cow<'_, [f32]>, Look) {
    drawable(images, look, (1, usize::MAX))
}

/// Whether an image is a row of numbers, as a signal is.
fn is_curve(size: ImageSize) -> bool {
    size.height == 1 && size.channels == 1 && size.width >= LEAST_CURVE
}

/// A row of numbers as a dark curve on white, from the least that is shown below to the most above; what is
/// not a number lies below.
fn curve(row: &[f32], [low, high]: [f32; 2], size: ImageSize) -> Vec<f32> {
    let [height, width] = size.sides();
    let mut pixels = vec![GROUND; height * width];
    // From the top, with room for the line's own width.
    let down = |v: f32| {
        let share = f64::from((v - low) / (high - low));
        let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        HALF_LINE + (1.0 - share) * (height as f64 - 1.0 - 2.0 * HALF_LINE).max(0.0)
    };
    if low < 0.0 && high > 0.0 {
        pixels[down(0.0).round() as usize * width..][..width].fill(ZERO);
    }
    let across = (width - 1) as f64 / (row.len() - 1).max(1) as f64;
    let points: Vec<_> =
        row.iter().enumerate().map(|(i, &v)| [i as f64 * across, down(v)]).collect();
    let reach = HALF_LINE + 0.5;
    for x in 0..width {
        // The pieces that come near this column.
        let number = |x: f64| (x / across).clamp(0.0, (row.len() - 1) as f64);
        let first = number(x as f64 - reach).floor() as usize;
        let last = number(x as f64 + reach).ceil() as usize;
        let near = &points[first..=last];
        let top = near.iter().fold(height as f64, |top, point| top.min(point[1])) - reach;
        let bottom = near.iter().fold(0.0_f64, |bottom, point| bottom.max(point[1])) + reach;
        for y in top.max(0.0) as usize..=(bottom as usize).min(height - 1) {
            let far = |ends: &[[f64; 2]]| distance([x as f64, y as f64], ends[0], ends[1]);
            let far = near.windows(2).map(far).fold(f64::INFINITY, f64::min);
            let covers = (HALF_LINE + 0.5 - far).clamp(0.0, 1.0) as f32;
            let pixel = &mut pixels[y * width + x];
            *pixel += covers * (LINE - *pixel);
        }
    }
    pixels
}

/// An image of fewer pixels, each the mean of those that it stands for.
fn smaller(image: &[f32], from: ImageSize, to: ImageSize) -> Vec<f32> {
    let part = |at: usize, of: usize, all: usize| {
        let start = at * all / of;
        start..((at + 1) * all / of).max(start + 1)
    };
    let mut pixels = Vec::with_capacity(to.len());
    for y in 0..to.height {
        let rows = part(y, to.height, from.height);
        for x in 0..to.width {
            let columns = part(x, to.width, from.width);
            let count = (rows.len() * columns.len()) as f32;
            for channel in 0..from.channels {
                let at = |row: usize, column: usize| {
                    image[(row * from.width + column) * from.channels + channel]
                };
                let sum: f32 =
                    rows.clone().flat_map(|row| columns.clone().map(move |c| at(row, c))).sum();
                pixels.push(sum / count);
            }
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_numbers_become_curves() {
        let rows: Vec<f32> = (0..40).map(|i| (i % 20) as f32 / 19.0).collect();
        let (made, look) = drawable(&rows, Look::unit([1, 20]), (2, 3200));
        assert_eq!(look.size, [CURVE_HEIGHT, CURVE_WIDTHS.0].into(), "a curve's size");
        assert_eq!(made.len(), 2 * look.size.len(), "two curves");
        let dark = |y: usize, x: usize| made[y * look.size.width + x] < 0.3;
        assert!(dark(CURVE_HEIGHT - 2, 0), "it begins at the bottom");
        assert!(dark(1, look.size.width - 1), "and ends at the top");
        for x in 0..look.size.width {
            assert!((0..CURVE_HEIGHT).any(|y| dark(y, x)), "no gap at {x}");
        }
        let paler = made.iter().filter(|&&v| v > LINE + 0.1 && v < GROUND - 0.1).count();
        assert!(paler > look.size.width, "its edge is smooth: {paler} pixels");
        let few = [0.5; 8];
        assert!(matches!(drawable(&few, Look::unit([1, 8]), (1, 1600)).0, Cow::Borrowed(_)), "few");
        let odd = curve(&[f32::NAN; 16], [0.0, 1.0], [8, 16].into());
        let dark = odd.iter().enumerate().filter(|(_, v)| **v < 0.2).map(|(place, _)| place / 16);
        let rows: Vec<_> = dark.collect();
        assert!(rows.len() >= 16 && rows.iter().all(|&row| row >= 5), "below: {rows:?}");
    }

    #[test]
    fn what_is_too_wide_is_made_smaller() {
        let wide: Vec<f32> = (0..2 * 4000 * 3).map(|i| (i % 3) as f32).collect();
        let (made, look) = drawable(&wide, Look::unit([2, 4000, 3]), (8, 1600));
        assert_eq!(look.size, [1, 200, 3].into(), "an eighth of the room each");
        assert!(made.chunks(3).all(|pixel| pixel == [0.0, 1.0, 2.0]), "channels stay apart");
    }
}
