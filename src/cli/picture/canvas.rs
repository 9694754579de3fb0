//! A canvas of colours, the words on it, and its way to PNG and back.

use std::io::Cursor;

use elbo::{Error, ErrorKind, Result};

use super::palette::Color;

/// The most pixels of a picture, 192 MiB of colours.
pub(super) const MOST_PIXELS: usize = 1 << 26;

/// Pictures have two pixels where a page has one, which their files tell viewers: 144 to an inch, in metres.
const PIXELS_PER_METRE: u32 = 5669;

/// A white sheet of `width` by `height` pixels, red, green and blue, row by row.
#[derive(Debug)]
pub(super) struct Canvas {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) pixels: Vec<u8>,
}

/// That a picture of this many pixels is too large.
pub(super) fn too_large(width: usize, height: usize) -> Error {
    let what = format!("a picture of {width} x {height} pixels is too large to draw");
    Error::new(ErrorKind::Limit, what)
        .hint(format!("draw fewer or smaller images: {MOST_PIXELS} pixels can be drawn"))
}

impl Canvas {
    pub(super) fn new(width: usize, height: usize) -> Result<Self> {
        let area = width.checked_mul(height).filter(|&area| area <= MOST_PIXELS);
        let bytes = area.ok_or_else(|| too_large(width, height))? * 3;
        let mut pixels = Vec::new();
        pixels.try_reserve_exact(bytes).map_err(|_| too_large(width, height))?;
        pixels.resize(bytes, 0xff);
        Ok(Self { width, height, pixels })
    }

    /// The three bytes of a pixel that is on the canvas.
    pub(super) fn at(&mut self, x: i32, y: i32) -> Option<&mut [u8]> {
        let (x, y) = (usize::try_from(x).ok()?, usize::try_from(y).ok()?);
        let on = x < self.width && y < self.height;
        on.then(|| &mut self.pixels[(y * self.width + x) * 3..][..3])
    }

    /// Covers a pixel by a share of a colour, from 0 to 1.
    pub(super) fn blend(&mut self, x: i32, y: i32, color: Color, share: f64) {
        let Some(pixel) = self.at(x, y) else { return };
        for (old, new) in pixel.iter_mut().zip(color) {
            let mixed = f64::from(*old) * (1.0 - share) + f64::from(new) * share;
            *old = mixed.round() as u8;
        }
    }

    /// Fills a box from its left and top, of a width and a height.
    pub(super) fn fill(&mut self, [left, top]: [i32; 2], [width, height]: [i32; 2], color: Color) {
        let within = |from: i32, length: i32, side: usize| {
            let side = i32::try_from(side).unwrap_or(i32::MAX);
            from.clamp(0, side) as usize..(from + length).clamp(0, side) as usize
        };
        let (across, width) = (within(left, width, self.width), self.width);
        for y in within(top, height, self.height) {
            let row =
                &mut self.pixels[(y * width + across.start) * 3..(y * width + across.end) * 3];
            row.as_chunks_mut::<3>().0.fill(color);
        }
    }

    /// Draws a straight line between the middles of two pixels, so many pixels wide.
    pub(super) fn line(&mut self, from: [f64; 2], to: [f64; 2], width: f64, color: Color) {
        let reach = width / 2.0 + 1.0;
        let span = |axis: usize| {
            let low = from[axis].min(to[axis]) - reach;
            let high = from[axis].max(to[axis]) + reach;
            low.floor() as i32..=high.ceil() as i32
        };
        for (x, y) in span(1).flat_map(|y| span(0).map(move |x| (x, y))) {
            let far = distance([f64::from(x), f64::from(y)], from, to);
            let covers = (width / 2.0 + 0.5 - far).clamp(0.0, 1.0);
            if covers > 0.0 {
                self.blend(x, y, color, covers);
            }
        }
    }

    /// The bytes of a PNG file, 8 bits a colour, or 8 bits of grey where there is nothing else.
    pub(super) fn to_png(&self) -> Result<Vec<u8>> {
        let grey = self.pixels.chunks_exact(3).all(|p| p[0] == p[1] && p[1] == p[2]);
        let encoded = match grey {
            false => self.encode(png::ColorType::Rgb, &self.pixels),
            true => {
                let shades: Vec<_> = self.pixels.iter().copied().step_by(3).collect();
                self.encode(png::ColorType::Grayscale, &shades)
            }
        };
        encoded.map_err(|error| {
            Error::new(ErrorKind::Io, format!("cannot encode a picture: {error}"))
                .hint("draw fewer or smaller images")
        })
    }

    fn encode(
        &self,
        color: png::ColorType,
        pixels: &[u8],
    ) -> std::result::Result<Vec<u8>, png::EncodingError> {
        let mut file = Vec::new();
        let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
        let mut encoder = png::Encoder::new(&mut file, side(self.width), side(self.height));
        encoder.set_color(color);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_pixel_dims(Some(png::PixelDimensions {
            xppu: PIXELS_PER_METRE,
            yppu: PIXELS_PER_METRE,
            unit: png::Unit::Meter,
        }));
        // Images that are scaled up repeat their pixels, which the filter makes zeros, and runs of zeros are what the
        // fast encoder is fast at: a tenth of the usual one's time, and a third more bytes.
        encoder.set_compression(png::Compression::Fast);
        encoder.set_filter(png::Filter::Paeth);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(pixels)?;
        writer.finish()?;
        Ok(file)
    }

    /// Reads a PNG file as [`to_png`](Self::to_png) writes it.
    pub(super) fn from_png(file: &[u8]) -> Result<Self> {
        let fail = |what: &str| {
            Error::new(ErrorKind::Data, format!("a picture cannot be shown: {what}"))
                .hint("open its file in a viewer of images")
        };
        let reader = png::Decoder::new(Cursor::new(file)).read_info();
        let mut reader = reader.map_err(|e| fail(&e.to_string()))?;
        let (width, height) = (reader.info().width as usize, reader.info().height as usize);
        let mut canvas = Self::new(width, height)?;
        let grey = match reader.output_color_type() {
            (png::ColorType::Rgb, png::BitDepth::Eight) => false,
            (png::ColorType::Grayscale, png::BitDepth::Eight) => true,
            _ => return Err(fail("expected 8 bits of grey, or of red, green and blue")),
        };
        let mut shades = vec![0; if grey { width * height } else { 0 }];
        let pixels = if grey { &mut shades } else { &mut canvas.pixels };
        reader.next_frame(pixels).map_err(|e| fail(&e.to_string()))?;
        for (pixel, shade) in canvas.pixels.chunks_exact_mut(3).zip(shades) {
            pixel.fill(shade);
        }
        Ok(canvas)
    }
}

/// How far a point is from the straight line between two others.
pub(super) fn distance(point: [f64; 2], from: [f64; 2], to: [f64; 2]) -> f64 {
    let [along, off] =
        [[to[0] - from[0], to[1] - from[1]], [point[0] - from[0], point[1] - from[1]]];
    let length = along[0].powi(2) + along[1].powi(2);
    let share = (off[0] * along[0] + off[1] * along[1]) / length.max(f64::MIN_POSITIVE);
    let share = share.clamp(0.0, 1.0);
    (off[0] - share * along[0]).hypot(off[1] - share * along[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_drawn_at_their_width() {
        let mut canvas = Canvas::new(40, 40).expect("a small canvas");
        canvas.line([5.0, 10.0], [30.0, 10.0], 2.0, [0; 3]);
        let column: Vec<_> = (8..13).map(|y| canvas.pixels[(y * 40 + 20) * 3]).collect();
        assert_eq!(column, [255, 128, 0, 128, 255], "two pixels, half of them beside the middle");
        for (from, to) in [([5.0, 20.0], [30.0, 38.0]), ([30.0, 5.5], [30.0, 35.5])] {
            let mut canvas = Canvas::new(40, 40).expect("a small canvas");
            canvas.line(from, to, 3.0, [0; 3]);
            let ink: f64 =
                canvas.pixels.iter().step_by(3).map(|&v| 1.0 - f64::from(v) / 255.0).sum();
            let length = (to[0] - from[0]).hypot(to[1] - from[1]);
            // Its ends are half discs.
            let expected = 3.0 * length + std::f64::consts::PI * 1.5 * 1.5;
            assert!((ink / expected - 1.0).abs() < 0.03, "{ink} of ink, expected {expected}");
        }
        canvas.line([-5.0, 20.0], [60.0, 20.0], 1.0, [9; 3]);
        canvas.fill([38, 38], [9, 9], [9; 3]);
        assert_eq!(
            canvas.pixels.iter().filter(|&&v| v == 9).count(),
            3 * (40 + 4),
            "what is there"
        );
    }

    #[test]
    fn a_canvas_comes_back_from_its_png() {
        let mut canvas = Canvas::new(7, 3).expect("a small canvas");
        canvas.blend(2, 1, [255, 0, 100], 0.5);
        canvas.blend(-1, 1, [0; 3], 1.0);
        canvas.blend(7, 1, [0; 3], 1.0);
        let read = Canvas::from_png(&canvas.to_png().expect("a PNG")).expect("a canvas");
        assert_eq!((read.width, read.height), (7, 3));
        assert_eq!(read.pixels, canvas.pixels);
        let changed: Vec<_> = read.pixels.iter().enumerate().filter(|(_, v)| **v < 255).collect();
        assert_eq!(changed, [(28, &128), (29, &178)], "half of the colour at one pixel");
        let mut grey = Canvas::new(7, 3).expect("a small canvas");
        grey.blend(6, 2, [55; 3], 1.0);
        let file = grey.to_png().expect("a PNG");
        let read = Canvas::from_png(&file).expect("a canvas");
        assert_eq!((file[25], read.pixels), (0, grey.pixels), "in a file of grey");
        let dots = file.windows(4).position(|name| name == b"pHYs").expect("its resolution");
        assert_eq!(file[dots + 4..][..9], [0, 0, 22, 37, 0, 0, 22, 37, 1], "5669 pixels a metre");
        assert!(Canvas::from_png(b"no PNG").is_err(), "what is no PNG");
    }

    #[test]
    fn large_canvases_are_refused() {
        for (width, height) in [(usize::MAX, 2), (1 << 20, 1 << 20), ((1 << 26) + 1, 1)] {
            let error = Canvas::new(width, height).expect_err("too large");
            assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
            assert!(error.advice().is_some(), "{error} has a hint");
        }
    }
}
