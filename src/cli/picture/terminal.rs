//! Pictures in a terminal: as they are where it takes pictures, else two pixels in each cell.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use elbo::Result;

use super::canvas::Canvas;
use super::grid::{Labels, bare, grid};
use super::look::Look;
use super::palette::Color;
use super::protocol::{Protocol, Screen, fit};
use super::scatter::{Axes, bare as points_alone, key, scatter};
use super::sixel::sixel;
use crate::cli::print_line;

/// Kitty takes a picture in parts of so many characters.
const PART: usize = 4096;

/// Shows points in the terminal that reads stdout, as [`show_images`] images.
pub(in crate::cli) fn show_points(
    points: &[[f32; 2]],
    labels: Option<&[u8]>,
    axes: Axes<'_>,
) -> Result<()> {
    match Screen::find() {
        None => Ok(()),
        Some(screen) if screen.protocol == Protocol::Blocks => {
            blocks(&points_alone(points, labels)?, screen)?;
            print_line(axes.caption)?;
            let mark = |([r, g, b], name): (Color, String)| {
                format!("\x1b[38;2;{r};{g};{b}m●\x1b[0m {name}")
            };
            let legend: Vec<_> = key(labels.unwrap_or_default(), axes).map(mark).collect();
            if legend.is_empty() { Ok(()) } else { print_line(&legend.join("  ")) }
        }
        Some(screen) => show_in(screen, &scatter(points, labels, axes)?),
    }
}

/// Shows images in the terminal that reads stdout; elsewhere it does nothing. Where it takes pictures they
/// have their words; cells are too few for these, and the caption stands below.
pub(in crate::cli) fn show_images(
    images: &[f32],
    look: Look,
    across: usize,
    labels: Labels<'_>,
) -> Result<()> {
    match Screen::find() {
        None => Ok(()),
        Some(screen) if screen.protocol == Protocol::Blocks => {
            blocks(&bare(images, look, across)?, screen)?;
            print_line(labels.caption)
        }
        Some(screen) => show_in(screen, &grid(images, look, across, labels)?),
    }
}

fn show_in(screen: Screen, png: &[u8]) -> Result<()> {
    let canvas = Canvas::from_png(png)?;
    let [columns, rows] = screen.cells([canvas.width, canvas.height]);
    match screen.protocol {
        Protocol::Kitty => print_line(&kitty(png, [columns, rows])),
        Protocol::Iterm => print_line(&iterm(png, [columns, rows])),
        Protocol::Sixel => {
            let [across, down] = screen.cell;
            let size = fit([canvas.width, canvas.height], [columns * across, rows * down]);
            print_line(&sixel(&scaled(&canvas, size)?))
        }
        Protocol::Blocks => blocks(&canvas, screen),
    }
}

/// A PNG file by kitty's protocol, which asks for no answer and scales it to the cells.
fn kitty(png: &[u8], [columns, rows]: [usize; 2]) -> String {
    let encoded = STANDARD.encode(png);
    let mut text = String::new();
    let mut keys = format!("a=T,f=100,q=2,c={columns},r={rows},");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (part, after) = rest.split_at(rest.len().min(PART));
        let more = u8::from(!after.is_empty());
        let _ = write!(text, "\x1b_G{keys}m={more};{part}\x1b\\");
        keys.clear();
        rest = after;
    }
    text
}

/// A PNG file by iTerm's protocol, which scales it to the cells.
fn iterm(png: &[u8], [columns, rows]: [usize; 2]) -> String {
    format!(
        "\x1b]1337;File=inline=1;preserveAspectRatio=1;size={};width={columns};height={rows}:{}\x07",
        png.len(),
        STANDARD.encode(png)
    )
}

fn blocks(canvas: &Canvas, screen: Screen) -> Result<()> {
    let room = [screen.columns, screen.free_rows() * 2];
    half_blocks(canvas, room).iter().try_for_each(|line| print_line(line))
}

/// The picture at another size.
fn scaled(canvas: &Canvas, [width, height]: [usize; 2]) -> Result<Canvas> {
    let mut small = Canvas::new(width, height)?;
    for (place, pixel) in small.pixels.chunks_exact_mut(3).enumerate() {
        let color = average(canvas, (place % width, width), (place / width, height));
        pixel.copy_from_slice(&color);
    }
    Ok(small)
}

/// Lines for a terminal: each cell shows two pixels, one above the other, each with a colour of its
/// own. What is larger than the room, in pixels across and down, is scaled down by averaging.
fn half_blocks(canvas: &Canvas, room: [usize; 2]) -> Vec<String> {
    let [width, height] = fit([canvas.width, canvas.height], room);
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
        let lines = half_blocks(&canvas(2, &[1, 2, 3, 4, 5, 5]), [80, 80]);
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
        let lines = half_blocks(&canvas(4, &shades), [2, 80]);
        let both = "\x1b[38;2;16;0;255m\x1b[49m▀\x1b[38;2;75;0;255m\x1b[49m▀\x1b[0m";
        assert_eq!(lines, [both], "means of 4 pixels");
        for columns in 1..10 {
            let lines = half_blocks(&canvas(7, &[9; 7 * 5]), [columns, 80]);
            let width = lines[0].matches('▀').count();
            assert_eq!(width, columns.min(7), "at {columns} columns");
            assert!(lines.iter().all(|line| line.matches('▀').count() == width), "{lines:?}");
        }
    }

    /// A tall picture is seen whole.
    #[test]
    fn what_is_too_tall_is_averaged() {
        for rows in 1..30 {
            let lines = half_blocks(&canvas(10, &[9; 10 * 50]), [80, rows * 2]);
            let width = lines[0].matches('▀').count();
            assert_eq!(lines.len(), rows.min(25), "at {rows} rows");
            let expected = (10 * rows * 2).div_ceil(50).min(10);
            assert!(
                width.abs_diff(expected) <= 1,
                "{width} columns in {rows} rows, not {expected}"
            );
        }
    }

    #[test]
    fn terminals_get_the_whole_file() {
        let png: Vec<u8> = (0..10_000).map(|i| i as u8).collect();
        let text = kitty(&png, [40, 20]);
        let parts: Vec<_> = text.split_terminator("\x1b\\").collect();
        assert_eq!(parts.len(), 4, "13336 characters in parts of 4096");
        assert!(parts[0].starts_with("\x1b_Ga=T,f=100,q=2,c=40,r=20,m=1;"), "{}", &parts[0][..40]);
        assert!(parts[1].starts_with("\x1b_Gm=1;") && parts[3].starts_with("\x1b_Gm=0;"), "{text}");
        let sent: String = parts.iter().filter_map(|part| part.split(';').next_back()).collect();
        assert_eq!(STANDARD.decode(sent).expect("base64"), png, "by kitty's protocol");
        let text = iterm(&png, [40, 20]);
        assert!(
            text.contains("inline=1;") && text.contains("size=10000;width=40;height=20:"),
            "{text}"
        );
        let sent = text.trim_end_matches('\x07').split(':').next_back().expect("a file");
        assert_eq!(STANDARD.decode(sent).expect("base64"), png, "by iTerm's protocol");
    }

    /// Tests have no terminal, so that nothing is shown, and nothing is read.
    #[test]
    fn no_terminal_sees_nothing() {
        use std::io::IsTerminal as _;
        if !std::io::stdout().is_terminal() {
            assert_eq!(Screen::find(), None, "no terminal");
            show_points(&[], None, Axes::default()).expect("nothing is shown");
            let none = Labels::default();
            show_images(&[], Look::unit([0, 0]), 0, none).expect("nothing is shown");
        }
    }
}
