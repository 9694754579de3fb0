//! Pictures as sixels: bands of six rows, in which each character is a column of six pixels of one colour
//! (DEC VT330/340 programmer reference, chapter 14).

use std::fmt::Write as _;

use super::canvas::Canvas;

/// Levels of red, of green and of blue among the colours.
const LEVELS: usize = 6;
/// Greys beside those, which most of our pictures are of: black to white in equal steps.
const GREYS: usize = 40;
/// As many as every terminal with sixels has.
const COLORS: usize = LEVELS * LEVELS * LEVELS + GREYS;

/// The nearest of a number of levels to a byte.
fn level(byte: u8, levels: usize) -> usize {
    (usize::from(byte) * (levels - 1) + 127) / 255
}

/// The number of the colour that is nearest to a pixel.
fn color(pixel: &[u8]) -> usize {
    match *pixel {
        [r, g, b] if r == g && g == b => COLORS - GREYS + level(r, GREYS),
        [r, g, b] => (level(r, LEVELS) * LEVELS + level(g, LEVELS)) * LEVELS + level(b, LEVELS),
        _ => 0,
    }
}

/// Red, green and blue of a colour in percent.
fn percent(color: usize) -> [usize; 3] {
    match color.checked_sub(COLORS - GREYS) {
        Some(grey) => [grey * 100 / (GREYS - 1); 3],
        None => [color / (LEVELS * LEVELS), color / LEVELS % LEVELS, color % LEVELS]
            .map(|level| level * 100 / (LEVELS - 1)),
    }
}

/// What a terminal with sixels shows as the picture.
pub(super) fn sixel(canvas: &Canvas) -> String {
    let (width, height) = (canvas.width, canvas.height);
    let colors: Vec<_> = canvas.pixels.chunks_exact(3).map(color).collect();
    let mut text = format!("\x1bPq\"1;1;{width};{height}");
    let mut used = [false; COLORS];
    colors.iter().for_each(|color| used[*color] = true);
    for (color, _) in used.iter().enumerate().filter(|(_, used)| **used) {
        let [r, g, b] = percent(color);
        // Writing to a string cannot fail.
        let _ = write!(text, "#{color};2;{r};{g};{b}");
    }
    for band in colors.chunks(width.max(1) * 6) {
        let mut present = [false; COLORS];
        band.iter().for_each(|color| present[*color] = true);
        for (color, _) in present.iter().enumerate().filter(|(_, present)| **present) {
            let _ = write!(text, "#{color}");
            let bits = |x: usize| {
                let rows = band.chunks(width).zip(0_u8..);
                rows.filter(|(row, _)| row[x] == color).fold(0, |bits, (_, y)| bits | 1 << y)
            };
            let columns: Vec<u8> = (0..width).map(bits).collect();
            for run in columns.chunk_by(u8::eq) {
                let shown = char::from(b'?' + run[0]);
                let _ = match run.len() {
                    1..=3 => write!(text, "{}", shown.to_string().repeat(run.len())),
                    count => write!(text, "!{count}{shown}"),
                };
            }
            // Back to the left, for the next colour of these rows.
            text.push('$');
        }
        text.push('-');
    }
    text + "\x1b\\"
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws sixels, as a terminal does.
    fn drawn(text: &str) -> Canvas {
        let body = text.strip_prefix("\x1bPq\"").and_then(|text| text.strip_suffix("\x1b\\"));
        let mut rest = body.expect("a string of sixels");
        let number = |rest: &mut &str| {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (digits, after) = rest.split_at(end);
            *rest = after.strip_prefix(';').unwrap_or(after);
            digits.parse::<usize>().expect("a number")
        };
        let [_, _, width, height] = [0; 4].map(|_| number(&mut rest));
        let mut canvas = Canvas::new(width, height).expect("room");
        let (mut palette, mut color, [mut x, mut y]) = (vec![[0; 3]; COLORS], 0, [0, 0]);
        while let Some(c) = rest.chars().next() {
            rest = &rest[1..];
            match c {
                '#' => {
                    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                    let defined = rest[end..].starts_with(';');
                    color = number(&mut rest);
                    if defined {
                        let [_, r, g, b] = [0; 4].map(|_| number(&mut rest));
                        palette[color] = [r, g, b].map(|part| (part * 255 / 100) as u8);
                    }
                }
                '$' => x = 0,
                '-' => [x, y] = [0, y + 6],
                c => {
                    let count = if c == '!' { number(&mut rest) } else { 1 };
                    let mut shown = c;
                    if c == '!' {
                        shown = rest.chars().next().expect("what is repeated");
                        rest = &rest[1..];
                    }
                    for column in x..x + count {
                        for row in (0..6).filter(|row| (shown as u8 - b'?') >> row & 1 == 1) {
                            let at = canvas.at(column as i32, (y + row) as i32).expect("within");
                            at.copy_from_slice(&palette[color]);
                        }
                    }
                    x += count;
                }
            }
        }
        canvas
    }

    #[test]
    fn pictures_are_drawn_again() {
        for (width, height) in [(1, 1), (3, 5), (40, 6), (17, 13), (256, 20)] {
            let mut canvas = Canvas::new(width, height).expect("room");
            for (place, byte) in canvas.pixels.iter_mut().enumerate() {
                // Greys in the left half, colours in the right.
                let (pixel, part) = (place / 3, place % 3);
                let grey = pixel % width < width / 2;
                *byte = (pixel * 7 + if grey { 0 } else { part * 83 }) as u8;
            }
            let again = drawn(&sixel(&canvas));
            assert_eq!((again.width, again.height), (width, height), "the size");
            for (was, is) in canvas.pixels.chunks(3).zip(again.pixels.chunks(3)) {
                let most = if was[0] == was[1] && was[1] == was[2] { 6 } else { 29 };
                let near = was.iter().zip(is).all(|(was, is)| was.abs_diff(*is) <= most);
                assert!(near, "{was:?} is drawn as {is:?} in {width} x {height}");
            }
        }
        let white = sixel(&Canvas::new(100, 6).expect("room"));
        assert_eq!(white, "\x1bPq\"1;1;100;6#255;2;100;100;100#255!100~$-\x1b\\", "a run");
    }
}
