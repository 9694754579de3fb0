//! Pictures of many grey images side by side, as PNG.

use crate::error::{Error, ErrorKind, Result};

/// Black pixels between two images and round them all.
const BORDER: usize = 2;

/// Draws grey images in a grid, row by row from the top left, and returns the bytes of a PNG file
/// (8-bit greyscale).
///
/// `images` holds one image after another, each of `height` rows of `width` values from 0 (black)
/// to 1 (white); values outside are clamped, and what is not a number is black. The picture has
/// `columns` images in a row (fewer where there are fewer), two black pixels round each of them,
/// and black where the last row is not full: the layout of torchvision's `save_image`, save that
/// a single image has its border too.
///
/// # Errors
///
/// [`ErrorKind::Config`] when there is no image, `images` does not hold whole images, `columns` is
/// 0, or the picture is too big for a PNG; [`ErrorKind::Io`] when the encoder fails.
pub fn encode_grid(images: &[f32], height: usize, width: usize, columns: usize) -> Result<Vec<u8>> {
    let area = height.checked_mul(width).filter(|&area| area > 0);
    let whole = area.filter(|&area| !images.is_empty() && images.len().is_multiple_of(area));
    let Some(area) = whole else {
        let found = images.len();
        let message = format!("a grid of {height} x {width} images cannot hold {found} values");
        return Err(Error::config(message).hint("give one or more whole images"));
    };
    if columns == 0 {
        return Err(Error::config("a grid cannot have 0 columns").hint("give 1 or more"));
    }
    let count = images.len() / area;
    let columns = columns.min(count);
    let (Some((across, png_width)), Some((down, png_height))) =
        (side(columns, width), side(count.div_ceil(columns), height))
    else {
        let message = format!("a grid of {count} images of {height} x {width} is too big");
        return Err(Error::config(message).hint("draw fewer images, or change the columns"));
    };
    let Some(total) = across.checked_mul(down) else {
        return Err(Error::config("a grid is too big for memory").hint("draw fewer images"));
    };
    let mut picture = vec![0_u8; total];
    for (index, image) in images.chunks_exact(area).enumerate() {
        let top = BORDER + index / columns * (height + BORDER);
        let left = BORDER + index % columns * (width + BORDER);
        for (row, values) in image.chunks_exact(width).enumerate() {
            let start = (top + row) * across + left;
            for (pixel, value) in picture[start..start + width].iter_mut().zip(values) {
                *pixel = shade(*value);
            }
        }
    }
    encode(&picture, png_width, png_height)
        .map_err(|error| Error::new(ErrorKind::Io, format!("cannot encode a picture: {error}")))
}

/// The pixels along a side with `count` images of `size`; none where a PNG cannot be as long.
fn side(count: usize, size: usize) -> Option<(usize, u32)> {
    let pixels = size.checked_add(BORDER)?.checked_mul(count)?.checked_add(BORDER)?;
    // The PNG specification, 11.2.2: a side is at most 2^31 - 1.
    let side = i32::try_from(pixels).ok()?;
    Some((pixels, side.unsigned_abs()))
}

/// The nearest of 256 shades; the cast takes what is not a number to 0.
fn shade(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8
}

fn encode(
    picture: &[u8],
    width: u32,
    height: u32,
) -> std::result::Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(picture)?;
    writer.finish()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shade_is_its_own_nearest() {
        for byte in 0..=255_u8 {
            let value = f32::from(byte) / 255.0;
            for near in [value - 0.4 / 255.0, value, value + 0.4 / 255.0] {
                assert_eq!(shade(near), byte, "the shade of {near}");
            }
        }
        let odd = [f32::NAN, f32::NEG_INFINITY, -0.0, 1.5, f32::INFINITY].map(shade);
        assert_eq!(odd, [0, 0, 0, 255, 255], "what lies outside");
    }

    #[test]
    fn impossible_grids_are_refused() {
        for (case, values, height, width, columns) in [
            ("no image", 0, 2, 2, 1),
            ("half an image", 6, 2, 2, 1),
            ("no height", 4, 0, 2, 1),
            ("no width", 4, 2, 0, 1),
            ("no columns", 4, 2, 2, 0),
            ("area overflows to 4", 4, usize::MAX / 2 + 3, 2, 1),
        ] {
            let error = encode_grid(&vec![0.5; values], height, width, columns).expect_err(case);
            assert_eq!(error.kind(), ErrorKind::Config, "{case}: the kind of `{error}`");
            assert!(error.advice().is_some(), "{case}: `{error}` has no hint");
        }
    }

    #[test]
    fn sides_end_where_png_ends() {
        let most = i32::MAX as usize;
        assert_eq!(side(1, most - 4), Some((most, i32::MAX as u32)), "the longest side");
        assert_eq!(side(1, most - 3), None, "one pixel more");
        assert_eq!(side(2, usize::MAX / 2), None, "an overflow");
    }
}
