//! Words in two weights of Inter (`assets/fonts`), drawn from their outlines. A sign that the fonts do not
//! have is drawn as a box.

use std::sync::LazyLock;

use ab_glyph::{Font as _, FontRef, Glyph, GlyphId, PxScale, ScaleFont as _, point};

use super::canvas::Canvas;
use super::palette::{Color, PAPER};

static REGULAR: LazyLock<FontRef<'static>> =
    LazyLock::new(|| open(include_bytes!("../../../assets/fonts/Inter-Regular.otf")));
static SEMIBOLD: LazyLock<FontRef<'static>> =
    LazyLock::new(|| open(include_bytes!("../../../assets/fonts/Inter-SemiBold.otf")));

fn open(file: &'static [u8]) -> FontRef<'static> {
    // A part of the program, which every test that draws words opens.
    FontRef::try_from_slice(file).expect("the fonts are whole")
}

/// A weight and a size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Font {
    bold: bool,
    /// Pixels of an em.
    size: f32,
}

/// Captions.
pub(super) const LARGE: Font = Font { bold: false, size: 28.0 };
/// Labels among points.
pub(super) const BOLD: Font = Font { bold: true, size: 28.0 };
/// Labels of rows, columns and axes.
pub(super) const MEDIUM: Font = Font { bold: false, size: 24.0 };
/// Labels that have little room.
pub(super) const SMALL: Font = Font { bold: false, size: 20.0 };

/// From the top of a line to its baseline, to the middle of its capitals and digits, and to its end, in ems.
const BASELINE: f32 = 0.97;
const MIDDLE: f32 = 0.605;
const HEIGHT: f32 = 1.21;
/// The space between two lines of a text, in ems.
const LEADING: f32 = 0.2;

/// Which side of a line its place tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Center,
    Right,
}

impl Font {
    /// The pixels from the top of a line to its end.
    pub(super) fn height(self) -> usize {
        (self.size * HEIGHT).ceil() as usize
    }

    /// Where a line begins whose capitals have their middle here.
    pub(super) fn top(self, middle: i32) -> i32 {
        middle - (self.size * MIDDLE).round() as i32
    }

    /// The glyphs of a line with where each begins, kerned, and the width of all.
    fn laid(self, text: &str) -> (Vec<(GlyphId, f32)>, f32) {
        let font = self.scaled();
        let (mut glyphs, mut pen, mut last) = (Vec::new(), 0.0, None);
        for c in text.chars() {
            let c = if c.is_whitespace() || c.is_control() { ' ' } else { c };
            let glyph = font.glyph_id(c);
            pen += last.map_or(0.0, |last| font.kern(last, glyph));
            glyphs.push((glyph, pen));
            pen += font.h_advance(glyph);
            last = Some(glyph);
        }
        (glyphs, pen)
    }

    fn scaled(self) -> ab_glyph::PxScaleFont<&'static FontRef<'static>> {
        let font: &FontRef<'_> = if self.bold { &SEMIBOLD } else { &REGULAR };
        font.as_scaled(self.scale(font))
    }

    /// The crate's scale, which is of a line's height, for a size in ems.
    fn scale(self, font: &FontRef<'_>) -> PxScale {
        let em = font.units_per_em().unwrap_or(1.0);
        PxScale::from(self.size * font.height_unscaled() / em)
    }
}

/// The pixels that a line takes.
pub(super) fn text_width(text: &str, font: Font) -> usize {
    font.laid(text).1.ceil() as usize
}

/// The pixels that so many lines take, with the space below each.
pub(super) fn lines_height(lines: usize, font: Font) -> usize {
    lines * (font.size * (HEIGHT + LEADING)).round() as usize
}

/// As much of a line as so many pixels hold; `…` stands for the rest.
pub(super) fn cut(text: &str, font: Font, width: usize) -> String {
    if text_width(text, font) <= width {
        return text.to_owned();
    }
    // No longer ones, which would be measured in vain.
    let most = (width as f32 / font.size * 8.0) as usize;
    let letters: Vec<_> = text.chars().take(most).collect();
    let some = (0..=letters.len()).rev().map(|count| {
        let some: String = letters[..count].iter().collect();
        some.trim_end().to_owned() + "…"
    });
    some.into_iter().find(|text| text_width(text, font) <= width).unwrap_or_default()
}

/// Lines of at most so many pixels, divided between words; a word that is longer is divided itself.
pub(super) fn wrap(text: &str, font: Font, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if text_width(&longer, font) <= width {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for letter in word.chars() {
                line.push(letter);
                if text_width(&line, font) > width && line.chars().count() > 1 {
                    line.pop();
                    lines.push(std::mem::replace(&mut line, letter.to_string()));
                }
            }
        }
        if !line.is_empty() {
            lines.push(line);
        }
    }
    lines
}

impl Canvas {
    /// Writes one line from the left, round the middle or to the right of a point at its top.
    pub(super) fn write(
        &mut self,
        text: &str,
        font: Font,
        at: [i32; 2],
        align: Align,
        color: Color,
    ) {
        covered(text, font, at, align, |x, y, share| self.blend(x, y, color, share));
    }

    /// As [`write`](Self::write), on an edge of paper that is so many pixels wide.
    pub(super) fn write_on_edge(
        &mut self,
        text: &str,
        font: Font,
        at: [i32; 2],
        color: Color,
        edge: i32,
    ) {
        let wide = f64::from(edge);
        covered(text, font, at, Align::Center, |x, y, share| {
            for (dx, dy) in (-edge..=edge).flat_map(|dx| (-edge..=edge).map(move |dy| (dx, dy))) {
                let within = (wide + 0.5 - f64::from(dx).hypot(f64::from(dy))).clamp(0.0, 1.0);
                self.blend(x + dx, y + dy, PAPER, share * within);
            }
        });
        self.write(text, font, at, Align::Center, color);
    }

    /// Writes lines one below the other.
    pub(super) fn write_lines(
        &mut self,
        lines: &[String],
        font: Font,
        [x, y]: [i32; 2],
        color: Color,
    ) {
        for (number, line) in lines.iter().enumerate() {
            let top = y + lines_height(number, font) as i32;
            self.write(line, font, [x, top], Align::Left, color);
        }
    }
}

/// The pixels that a line covers, each with the share of it that is covered, from 0 to 1.
fn covered(
    text: &str,
    font: Font,
    [x, y]: [i32; 2],
    align: Align,
    mut cover: impl FnMut(i32, i32, f64),
) {
    let scaled = font.scaled();
    let (glyphs, width) = font.laid(text);
    let left = x as f32
        - match align {
            Align::Left => 0.0,
            Align::Center => (width / 2.0).round(),
            Align::Right => width.ceil(),
        };
    let baseline = y as f32 + (font.size * BASELINE).round();
    for (id, begins) in glyphs {
        let position = point(left + begins, baseline);
        let glyph = Glyph { id, scale: scaled.scale(), position };
        let Some(outline) = scaled.outline_glyph(glyph) else { continue };
        let bounds = outline.px_bounds();
        let (left, top) = (bounds.min.x as i32, bounds.min.y as i32);
        outline.draw(|x, y, share| {
            cover(left + x as i32, top + y as i32, f64::from(share).clamp(0.0, 1.0));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::palette::INK;
    use super::*;

    /// The first and the last column and row that are dark.
    fn extent(canvas: &Canvas) -> [usize; 4] {
        let dark = |place: &usize| canvas.pixels[place * 3] < 0x80;
        let all: Vec<_> = (0..canvas.width * canvas.height).filter(dark).collect();
        assert!(!all.is_empty(), "nothing is written");
        let columns = || all.iter().map(|place| place % canvas.width);
        let rows = || all.iter().map(|place| place / canvas.width);
        let [left, right] = [columns().min(), columns().max()].map(Option::unwrap_or_default);
        let [top, bottom] = [rows().min(), rows().max()].map(Option::unwrap_or_default);
        [left, top, right, bottom]
    }

    fn written(text: &str, font: Font, at: [i32; 2], align: Align) -> Canvas {
        let mut canvas = Canvas::new(400, 80).expect("a small canvas");
        canvas.write(text, font, at, align, INK);
        canvas
    }

    #[test]
    fn words_stand_where_they_are_put() {
        for font in [LARGE, BOLD, MEDIUM, SMALL] {
            let wide = text_width("Height", font);
            for (align, from) in
                [(Align::Left, 200), (Align::Center, 200 - wide / 2), (Align::Right, 200 - wide)]
            {
                let [left, top, right, bottom] = extent(&written("Height", font, [200, 20], align));
                let case = format!("{font:?} {align:?}: {left} to {right}, {top} to {bottom}");
                assert!(left >= from && left < from + 6, "{case}");
                assert!(right <= from + wide && right + 6 > from + wide, "{case}");
                assert!(top >= 20 && bottom <= 20 + font.height(), "{case}");
            }
            // Its middle is where it was asked for.
            let [_, top, _, bottom] = extent(&written("H", font, [9, font.top(40)], Align::Left));
            assert!((top + bottom).abs_diff(80) <= 2, "{font:?}: {top} to {bottom} round 40");
        }
        // What lies beyond the canvas is left out.
        let mut canvas = Canvas::new(20, 20).expect("a small canvas");
        canvas.write("beyond", LARGE, [15, 10], Align::Left, INK);
        canvas.write("before", LARGE, [5, -10], Align::Right, INK);
    }

    /// Every sign that we write has a glyph of its own; what has none is a box.
    #[test]
    fn signs_are_there() {
        let signs = "azAZ09 .,;:!?()[]{}/\\'\"`_-+=<>@#%&*|~^$ äöüßéèñçåøæ μσβελαθ Σ − – — … × · ² ½ ± → ← ↑ ↓ ≤ ≥ ≈ ∞ √ “”‘’";
        for font in [LARGE, BOLD] {
            let lacks: String =
                signs.chars().filter(|c| font.scaled().glyph_id(*c).0 == 0).collect();
            assert_eq!(lacks, "", "signs that {font:?} lacks");
            let [left, top, right, bottom] = extent(&written("漢", font, [9, 9], Align::Left));
            assert!(right > left + 5 && bottom > top + 5, "{font:?}: a box for what is not there");
        }
        assert_eq!(
            written("a\tb\u{7}", LARGE, [9, 9], Align::Left).pixels,
            written("a b ", LARGE, [9, 9], Align::Left).pixels
        );
    }

    #[test]
    fn letters_are_kerned_and_digits_are_of_one_width() {
        let width = |text: &str| LARGE.laid(text).1;
        assert!(width("AV") < width("A") + width("V") - 0.5, "a pair that is kerned");
        assert_eq!(width("11111"), width("88888"), "columns of numbers stand in line");
    }

    #[test]
    fn edges_are_of_paper() {
        let mut canvas = Canvas::new(80, 60).expect("a small canvas");
        canvas.pixels.fill(0x40);
        canvas.write_on_edge("I", BOLD, [40, 12], INK, 4);
        let middle = BOLD.top(0).unsigned_abs() as usize + 12;
        let row: Vec<_> = (0..80).map(|x| canvas.pixels[(middle * 80 + x) * 3]).collect();
        let ink = row.iter().position(|&v| v < 0x30).expect("ink");
        assert!(row[ink - 3] > 0xf0 && row[ink - 9] == 0x40, "{row:?}");
    }

    #[test]
    fn lines_are_wrapped_between_words() {
        let width = text_width("twelve signs", LARGE);
        for (text, expected) in [
            ("", vec![]),
            ("one line", vec!["one line"]),
            ("twelve signs", vec!["twelve signs"]),
            ("twelve signs more", vec!["twelve signs", "more"]),
            ("first\nsecond", vec!["first", "second"]),
            ("  of  spaces ", vec!["of spaces"]),
        ] {
            assert_eq!(wrap(text, LARGE, width), expected, "`{text}`");
        }
        let lines = wrap("a wordthatislongerthanasingleline b", LARGE, width);
        assert_eq!(
            lines.concat(),
            "awordthatislongerthanasingleline b",
            "no letter is lost: {lines:?}"
        );
        assert!(lines.iter().all(|line| text_width(line, LARGE) <= width), "{lines:?}");
        assert_eq!(wrap("ab", LARGE, 0), ["a", "b"], "no room at all");
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        let whole = text_width("a long label", SMALL);
        assert_eq!(cut("a long label", SMALL, whole), "a long label");
        assert_eq!(cut("a long label", SMALL, 0), "");
        for width in 1..whole {
            let some = cut("a long label", SMALL, width);
            assert!(text_width(&some, SMALL) <= width, "`{some}` in {width}");
            let begins = some.strip_suffix('…').unwrap_or("?").to_owned();
            assert!(some.is_empty() || "a long label".starts_with(&begins), "`{some}` in {width}");
        }
        assert_eq!(cut("a long label", SMALL, whole - 1), "a long la…");
        let long = "x".repeat(100_000);
        assert!(cut(&long, SMALL, 300).len() < 60, "a long one takes no longer");
    }
}
