//! Pictures in a terminal, two pixels in each cell.

use std::fmt::Write as _;
use std::io::IsTerminal;

use elbo::Result;
use ratatui::crossterm::terminal;

use super::canvas::Canvas;
use super::grid::bare;
use super::look::Look;
use crate::cli::print_line;

/// Shows a PNG file of ours in the terminal that reads stdout; elsewhere it does nothing.
pub(in crate::cli) fn show(png: &[u8]) -> Result<()> {
    match columns() {
        Some(columns) => print(&Canvas::from_png(png)?, columns),
        None => Ok(()),
    }
}

/// Shows images and words below them in the terminal that reads stdout; elsewhere it does nothing. A terminal has too few pixels for the words of
/// [`grid`](super::grid).
pub(in crate::cli) fn show_images(
    images: &[f32],
    look: Look,
    across: usize,
    caption: &str,
) -> Result<()> {
    let Some(columns) = columns() else { return Ok(()) };
    print(&bare(images, look, across)?, columns)?;
    print_line(caption)
}

/// The width of the terminal, if stdout is one that knows colours.
fn columns() -> Option<usize> {
    let dumb = std::env::var_os("TERM").is_some_and(|kind| kind == "dumb");
    let seen = std::io::stdout().is_terminal() && !dumb;
    let (columns, _) = terminal::size().ok().filter(|_| seen)?;
    Some(usize::from(columns)).filter(|&columns| columns > 0)
}

fn print(canvas: &Canvas, columns: usize) -> Result<()> {
    half_blocks(canvas, columns).iter().try_for_each(|line| print_line(line))
}

/// Lines for a terminal: each cell shows two pixels, one above the other, each with a colour of its
/// own. What is too wide is scaled down by averaging.
fn half_blocks(canvas: &Canvas, columns: usize) -> Vec<String> {
    let width = canvas.width.min(columns);
    let height = (canvas.height * width).div_ceil(canvas.width.max(1)).max(1);
    let color = |x: usize, y: usize| average(canvas, (x, width), (y, height));
    let mut lines = Vec::new();
    for y in (0..height).step_by(2) {
        let (mut line, mut last) = (String::new(), None);
        for x in 0..width {
            let upper = color(x, y);
            let lower = (y + 1 < height).then(|| color(x, y + 1));
            if last != Some((upper, lower)) {
                last = Some((upper, lower));
                let [r, g, b] = upper;
                // Writing to a string cannot fail.
                let _ = write!(line, "\x1b[38;2;{r};{g};{b}m");
                let _ = match lower {
                    Some([r, g, b]) => write!(line, "\x1b[48;2;{r};{g};{b}m"),
                    // Below the last row is the terminal's own ground.
                    None => write!(line, "\x1b[49m"),
                };
            }
            line.push('▀');
        }
        line.push_str("\x1b[0m");
        lines.push(line);
    }
    lines
}

/// The mean colour of the part of a canvas that pixel `x` of `width` and `y` of `height` stand for.
fn average(canvas: &Canvas, (x, width): (usize, usize), (y, height): (usize, usize)) -> [u8; 3] {
    let part = |at: usize, of: usize, all: usize| {
        let start = (at * all / of).min(all - 1);
        start..((at + 1) * all / of).clamp(start + 1, all)
    };
    let (columns, rows) = (part(x, width, canvas.width), part(y, height, canvas.height));
    let count = (columns.len() * rows.len()) as u64;
    let mut sums = [0_u64; 3];
    for row in rows {
        let start = row * canvas.width;
        let bytes = &canvas.pixels[(start + columns.start) * 3..(start + columns.end) * 3];
        for pixel in bytes.chunks_exact(3) {
            for (sum, byte) in sums.iter_mut().zip(pixel) {
                *sum += u64::from(*byte);
            }
        }
    }
    // A mean of bytes is one.
    sums.map(|sum| ((sum + count / 2) / count) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canvas(width: usize, shades: &[u8]) -> Canvas {
        let pixels = shades.iter().flat_map(|shade| [*shade, 0, 255]).collect();
        Canvas { width, height: shades.len() / width, pixels }
    }

    #[test]
    fn two_pixels_stand_in_a_cell() {
        let lines = half_blocks(&canvas(2, &[1, 2, 3, 4, 5, 5]), 80);
        assert_eq!(
            lines,
            [
                "\x1b[38;2;1;0;255m\x1b[48;2;3;0;255m▀\x1b[38;2;2;0;255m\x1b[48;2;4;0;255m▀\x1b[0m",
                "\x1b[38;2;5;0;255m\x1b[49m▀▀\x1b[0m",
            ]
        );
    }

    #[test]
    fn what_is_too_wide_is_averaged() {
        let shades = [0, 10, 100, 200, 20, 33, 0, 0];
        let lines = half_blocks(&canvas(4, &shades), 2);
        let both = "\x1b[38;2;16;0;255m\x1b[49m▀\x1b[38;2;75;0;255m\x1b[49m▀\x1b[0m";
        assert_eq!(lines, [both], "means of 4 pixels");
        for columns in 1..10 {
            let lines = half_blocks(&canvas(7, &[9; 7 * 5]), columns);
            let width = lines[0].matches('▀').count();
            assert_eq!(width, columns.min(7), "at {columns} columns");
            assert!(lines.iter().all(|line| line.matches('▀').count() == width), "{lines:?}");
        }
    }

    /// Tests have no terminal, so that nothing is shown, and nothing is read.
    #[test]
    fn no_terminal_sees_nothing() {
        if !std::io::stdout().is_terminal() {
            assert_eq!(columns(), None, "the columns of no terminal");
            show(b"no picture").expect("nothing is shown");
            show_images(&[], Look::unit([0, 0]), 0, "nothing").expect("nothing is shown");
        }
    }
}
