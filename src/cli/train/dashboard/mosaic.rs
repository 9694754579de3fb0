//! Pictures in a terminal: two pixels a cell, one above the other, by the upper half block.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;
use ratatui::widgets::Widget;

use super::view::Pictures;

/// Rows of pictures: test images, below them their reconstructions, and below these samples.
#[derive(Debug)]
pub(super) struct Mosaic<'a>(pub(super) &'a Pictures);

/// How images are laid out: their size in pixels of the terminal, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tiles {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) columns: usize,
    pub(super) rows: usize,
}

impl Tiles {
    /// The biggest images of which three rows and three to five columns fit, with a pixel between
    /// them, if any fits.
    pub(super) fn fit([height, width]: [usize; 2], [down, across]: [usize; 2]) -> Option<Self> {
        if height.min(width) == 0 || down.min(across) == 0 {
            return None;
        }
        let side = height.max(width) as f64;
        let wanted = [3, 4, 5][(across / 35).min(2)];
        let room = |pixels: usize, count: usize| ((pixels + 1) / count).saturating_sub(1).max(1);
        let scale = |pixels: usize, size: usize| pixels as f64 / size as f64;
        let scale = scale(room(down, 3), height).min(scale(room(across, wanted), width));
        // A row less, and one is left that can be told.
        let scale = scale.max((down.min(across).min(6) as f64) / side);
        let size = |size: usize| ((size as f64 * scale) as usize).max(1);
        let (height, width) = (size(height), size(width));
        let (rows, columns) = ((down + 1) / (height + 1), (across + 1) / (width + 1));
        (rows * columns > 0).then_some(Self { height, width, columns, rows })
    }
}

impl Mosaic<'_> {
    /// The image in a row and column of so many columns.
    fn image(&self, row: usize, column: usize, columns: usize) -> Option<&[f32]> {
        let (images, index) = match row {
            0 => (&self.0.tests, column),
            1 => (&self.0.made, column),
            _ => (&self.0.samples, (row - 2) * columns + column),
        };
        images.chunks_exact(self.0.look.size.len().max(1)).nth(index)
    }
}

impl Widget for Mosaic<'_> {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let area = area.intersection(buffer.area);
        let pixels = [usize::from(area.height) * 2, usize::from(area.width)];
        let sides = self.0.look.size.sides();
        let Some(tiles) = Tiles::fit(sides, pixels) else { return };
        let Tiles { height, width, columns, rows } = tiles;
        let mut canvas = vec![None; pixels[0] * pixels[1]];
        for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |c| (row, c))) {
            let Some(image) = self.image(row, column, columns) else { continue };
            let [red, green, blue] =
                [0, 1, 2].map(|c| average(&self.0.look.plane(image, c), sides, [height, width]));
            for y in 0..height {
                let start = (row * (height + 1) + y) * pixels[1] + column * (width + 1);
                for (x, pixel) in canvas[start..start + width].iter_mut().enumerate() {
                    let at = y * width + x;
                    *pixel = Some(Color::Rgb(red[at], green[at], blue[at]));
                }
            }
        }
        for (y, cells) in canvas.chunks_exact(pixels[1] * 2).enumerate() {
            let (upper, lower) = cells.split_at(pixels[1]);
            for (x, (&above, &below)) in upper.iter().zip(lower).enumerate() {
                let cell = &mut buffer[(area.x + x as u16, area.y + y as u16)];
                // What is between images keeps the terminal's own colour.
                match (above, below) {
                    (Some(above), Some(below)) => cell.set_char('▀').set_fg(above).set_bg(below),
                    (Some(above), None) => cell.set_char('▀').set_fg(above),
                    (None, Some(below)) => cell.set_char('▄').set_fg(below),
                    (None, None) => cell,
                };
            }
        }
    }
}

/// An image at another size: each new pixel is the mean of the old ones that it covers, in parts
/// where it covers parts. White is 255, and what is not a number is black.
pub(super) fn average(image: &[f32], from: [usize; 2], to: [usize; 2]) -> Vec<u8> {
    let covered = |at: usize, old: usize, new: usize| {
        let (start, end) = (at as f64 * old as f64 / new as f64, (at + 1) as f64 * old as f64);
        let end = end / new as f64;
        let cells = start as usize..(end.ceil() as usize).min(old);
        cells
            .map(move |cell| (cell, (end.min(cell as f64 + 1.0) - start.max(cell as f64)).max(0.0)))
    };
    let mut pixels = Vec::with_capacity(to[0] * to[1]);
    for (y, x) in (0..to[0]).flat_map(|y| (0..to[1]).map(move |x| (y, x))) {
        let (mut sum, mut weights) = (0.0, 0.0);
        for (row, tall) in covered(y, from[0], to[0]) {
            for (column, wide) in covered(x, from[1], to[1]) {
                let value = f64::from(image[row * from[1] + column]);
                sum += tall * wide * if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) };
                weights += tall * wide;
            }
        }
        // Casts round down and stop at the ends.
        pixels.push((sum / weights * 255.0 + 0.5) as u8);
    }
    pixels
}
