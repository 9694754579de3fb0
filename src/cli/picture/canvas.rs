//! A canvas of colours, the words on it, and its way to PNG and back.

use std::convert::Infallible;
use std::io::Cursor;

use elbo::{Error, ErrorKind, Result};
use embedded_graphics::Pixel;
use embedded_graphics::mono_font::iso_8859_1::{FONT_6X13, FONT_8X13, FONT_9X15, FONT_9X15_BOLD};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{DrawTarget, Drawable, OriginDimensions, Point, RgbColor, Size};
use embedded_graphics::text::{Alignment, Baseline, Text, TextStyleBuilder};

/// The most pixels of a picture, 192 MiB of colours.
pub(super) const MOST_PIXELS: usize = 1 << 26;

/// Words and axes: near black, softer than black itself.
pub(super) const INK: Rgb888 = Rgb888::new(0x1a, 0x1a, 0x1a);

/// Captions.
pub(super) const LARGE: &MonoFont<'_> = &FONT_9X15;
/// Labels among points.
pub(super) const BOLD: &MonoFont<'_> = &FONT_9X15_BOLD;
/// Labels of rows, columns and axes.
pub(super) const MEDIUM: &MonoFont<'_> = &FONT_8X13;
/// Labels that have little room.
pub(super) const SMALL: &MonoFont<'_> = &FONT_6X13;

/// The space between two lines of a text.
const LEADING: u32 = 4;

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
    pub(super) fn blend(&mut self, x: i32, y: i32, color: Rgb888, share: f64) {
        let Some(pixel) = self.at(x, y) else { return };
        for (old, new) in pixel.iter_mut().zip([color.r(), color.g(), color.b()]) {
            let mixed = f64::from(*old) * (1.0 - share) + f64::from(new) * share;
            *old = mixed.round() as u8;
        }
    }

    /// Writes one line, from the left, to the right or round the middle of a point at its top.
    pub(super) fn write(&mut self, text: &str, font: &MonoFont<'_>, at: Point, align: Alignment) {
        self.write_in(text, font, at, align, INK);
    }

    /// As [`write`](Self::write), in a colour.
    pub(super) fn write_in(
        &mut self,
        text: &str,
        font: &MonoFont<'_>,
        at: Point,
        align: Alignment,
        color: Rgb888,
    ) {
        let layout = TextStyleBuilder::new().baseline(Baseline::Top).alignment(align).build();
        let text = printable(text);
        let Ok(_) =
            Text::with_text_style(&text, at, MonoTextStyle::new(font, color), layout).draw(self);
    }

    /// Writes lines one below the other.
    pub(super) fn write_lines(&mut self, lines: &[String], font: &MonoFont<'_>, at: Point) {
        for (line, down) in lines.iter().zip(0..) {
            let top = at.y + down * (font.character_size.height + LEADING) as i32;
            self.write(line, font, Point::new(at.x, top), Alignment::Left);
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
        encoder.set_compression(png::Compression::Balanced);
        // Images that are scaled up repeat their rows, which this makes zeros.
        encoder.set_filter(png::Filter::Up);
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

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        // A canvas has at most 2^26 pixels, so its sides are not cut.
        Size::new(self.width as u32, self.height as u32)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> std::result::Result<(), Infallible>
    where
        I: IntoIterator<Item = Pixel<Rgb888>>,
    {
        for Pixel(Point { x, y }, color) in pixels {
            if let Some(pixel) = self.at(x, y) {
                pixel.copy_from_slice(&[color.r(), color.g(), color.b()]);
            }
        }
        Ok(())
    }
}

/// The text with signs that the fonts have, which are those of Latin-1.
fn printable(text: &str) -> String {
    let mut printable = String::new();
    for c in text.chars() {
        match c {
            'μ' => printable.push('µ'),
            '−' | '–' | '—' => printable.push('-'),
            '‘' | '’' => printable.push('\''),
            '“' | '”' => printable.push('"'),
            '…' => printable.push_str("..."),
            '→' => printable.push_str("->"),
            'β' => printable.push_str("beta"),
            'σ' => printable.push_str("sigma"),
            ' '..='~' | '\u{a0}'..='\u{ff}' => printable.push(c),
            c if c.is_whitespace() => printable.push(' '),
            _ => printable.push('?'),
        }
    }
    printable
}

/// The pixels that a line takes.
pub(super) fn text_width(text: &str, font: &MonoFont<'_>) -> usize {
    printable(text).chars().count() * font.character_size.width as usize
}

/// The pixels that so many lines take.
pub(super) fn lines_height(lines: usize, font: &MonoFont<'_>) -> usize {
    lines * (font.character_size.height + LEADING) as usize
}

/// As much of a line as so many pixels hold; two dots stand for the rest.
pub(super) fn cut(text: &str, font: &MonoFont<'_>, width: usize) -> String {
    let text = printable(text);
    let room = width / font.character_size.width as usize;
    match text.chars().count() <= room {
        true => text,
        false if room < 3 => text.chars().take(room).collect(),
        false => text.chars().take(room - 2).chain("..".chars()).collect(),
    }
}

/// Lines of at most so many pixels, divided between words; a word that is longer is divided itself.
pub(super) fn wrap(text: &str, font: &MonoFont<'_>, width: usize) -> Vec<String> {
    let room = (width / font.character_size.width as usize).max(1);
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let (mut line, mut length) = (String::new(), 0);
        for word in printable(paragraph).split_whitespace() {
            let letters: Vec<_> = word.chars().collect();
            for (part, letters) in letters.chunks(room).enumerate() {
                if part > 0 || (length > 0 && length + 1 + letters.len() > room) {
                    lines.push(std::mem::take(&mut line));
                    length = 0;
                }
                if length > 0 {
                    line.push(' ');
                    length += 1;
                }
                line.extend(letters);
                length += letters.len();
            }
        }
        if length > 0 {
            lines.push(line);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped_between_words() {
        let width = 9 * 12;
        for (text, expected) in [
            ("", vec![]),
            ("one line", vec!["one line"]),
            ("exactly twelve", vec!["exactly", "twelve"]),
            ("twelve signs", vec!["twelve signs"]),
            ("a wordthatislongerthanaline b", vec!["a", "wordthatislo", "ngerthanalin", "e b"]),
            ("first\nsecond", vec!["first", "second"]),
            ("μ → σ² − 漢", vec!["µ -> sigma²", "- ?"]),
        ] {
            assert_eq!(wrap(text, LARGE, width), expected, "`{text}`");
        }
        assert_eq!(wrap("ab", LARGE, 0), ["a", "b"], "no room at all");
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        for (width, expected) in
            [(60, "label"), (30, "label"), (29, "la.."), (18, "l.."), (12, "la"), (0, "")]
        {
            assert_eq!(cut("label", SMALL, width), expected, "in {width} pixels");
        }
    }

    #[test]
    fn words_stand_where_they_are_put() {
        let mut canvas = Canvas::new(100, 40).expect("a small canvas");
        canvas.write("H", LARGE, Point::new(99, 10), Alignment::Right);
        canvas.write("beyond", LARGE, Point::new(95, 30), Alignment::Left);
        let inked = |x: usize, y: usize| canvas.pixels[(y * 100 + x) * 3] < 0x80;
        let all = (0..40).flat_map(|y| (0..100).map(move |x| (x, y)));
        let upper: Vec<_> = all.filter(|&(x, y)| y < 28 && inked(x, y)).collect();
        assert!(upper.len() > 10, "a letter has {} pixels", upper.len());
        let inside = |&(x, y): &(usize, usize)| (90..100).contains(&x) && (10..25).contains(&y);
        assert!(upper.iter().all(inside), "the letter is at its place: {upper:?}");
    }

    #[test]
    fn a_canvas_comes_back_from_its_png() {
        let mut canvas = Canvas::new(7, 3).expect("a small canvas");
        canvas.blend(2, 1, Rgb888::new(255, 0, 100), 0.5);
        canvas.blend(-1, 1, INK, 1.0);
        canvas.blend(7, 1, INK, 1.0);
        let read = Canvas::from_png(&canvas.to_png().expect("a PNG")).expect("a canvas");
        assert_eq!((read.width, read.height), (7, 3));
        assert_eq!(read.pixels, canvas.pixels);
        let changed: Vec<_> = read.pixels.iter().enumerate().filter(|(_, v)| **v < 255).collect();
        assert_eq!(changed, [(28, &128), (29, &178)], "half of the colour at one pixel");
        let mut grey = Canvas::new(7, 3).expect("a small canvas");
        grey.blend(6, 2, Rgb888::new(55, 55, 55), 1.0);
        let file = grey.to_png().expect("a PNG");
        let read = Canvas::from_png(&file).expect("a canvas");
        assert_eq!((file[25], read.pixels), (0, grey.pixels), "in a file of grey");
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
