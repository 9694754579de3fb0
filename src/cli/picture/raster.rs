//! Images as they can be drawn: rows of numbers become curves, and what is too wide is made smaller.

use std::borrow::Cow;

use elbo::config::ImageSize;

use super::look::Look;

/// A row of fewer numbers is drawn as pixels.
const LEAST_CURVE: usize = 16;
/// Height of a curve, in pixels.
const CURVE_HEIGHT: usize = 72;
/// The narrowest and the widest curve.
const CURVE_WIDTHS: (usize, usize) = (96, 280);
/// The ground of a curve, the line at zero, and the curve itself.
const GROUND: f32 = 1.0;
const ZERO: f32 = 0.8;
const LINE: f32 = 0.1;

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

/// A row of numbers as a dark curve on white, from the least that is shown below to the most above.
fn curve(row: &[f32], [low, high]: [f32; 2], size: ImageSize) -> Vec<f32> {
    let [height, width] = size.sides();
    let mut pixels = vec![GROUND; height * width];
    // From the top; the cast takes what is not a number to the bottom.
    let place = |v: f32| {
        let share = ((v - low) / (high - low)).clamp(0.0, 1.0);
        height - 1 - ((share * (height - 1) as f32 + 0.5) as usize).min(height - 1)
    };
    if low < 0.0 && high > 0.0 {
        pixels[place(0.0) * width..][..width].fill(ZERO);
    }
    for x in 0..width {
        // The numbers of this column, and the next one, so that the curve has no gaps.
        let first = x * row.len() / width;
        let last = ((x + 1) * row.len() / width).clamp(first + 1, row.len());
        let some = &row[first..(last + 1).min(row.len())];
        let places = some.iter().map(|&v| place(v));
        let (top, bottom) = places.fold((height, 0), |(a, b), y| (a.min(y), b.max(y)));
        for y in top.min(height - 1)..=bottom {
            pixels[y * width + x] = LINE;
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
        let (made, look) = drawable(&rows, Look::unit([1, 20]), (2, 1600));
        assert_eq!(look.size, [CURVE_HEIGHT, CURVE_WIDTHS.0].into(), "a curve's size");
        assert_eq!(made.len(), 2 * look.size.len(), "two curves");
        let dark = |y: usize, x: usize| made[y * look.size.width + x] == LINE;
        assert!(dark(CURVE_HEIGHT - 1, 0), "it begins at the bottom");
        assert!(dark(0, look.size.width - 1), "and ends at the top");
        for x in 0..look.size.width {
            assert!((0..CURVE_HEIGHT).any(|y| dark(y, x)), "no gap at {x}");
        }
        let few = [0.5; 8];
        assert!(matches!(drawable(&few, Look::unit([1, 8]), (1, 1600)).0, Cow::Borrowed(_)), "few");
        let odd = curve(&[f32::NAN; 16], [0.0, 1.0], [8, 16].into());
        assert_eq!(odd.iter().filter(|&&v| v == LINE).count(), 16, "what is no number lies below");
    }

    #[test]
    fn what_is_too_wide_is_made_smaller() {
        let wide: Vec<f32> = (0..2 * 4000 * 3).map(|i| (i % 3) as f32).collect();
        let (made, look) = drawable(&wide, Look::unit([2, 4000, 3]), (8, 1600));
        assert_eq!(look.size, [1, 200, 3].into(), "an eighth of the room each");
        assert!(made.chunks(3).all(|pixel| pixel == [0.0, 1.0, 2.0]), "channels stay apart");
    }
}
