//! The colours of pictures, and how well words in them are told from the paper.

/// Red, green and blue.
pub(super) type Color = [u8; 3];

pub(super) const PAPER: Color = [0xff; 3];
/// Captions. These greys are as light as those of a report's page, which are a little blue: pictures of grey
/// images stay grey, and their files a third.
pub(super) const INK: Color = [0x1c; 3];
/// Labels of rows, columns and axes.
pub(super) const SOFT: Color = [0x5d; 3];
/// Axes, and the frames of images.
pub(super) const AXIS: Color = [0x8d; 3];
/// Lines behind points.
pub(super) const RULE: Color = [0xe3; 3];

/// The ten colours of Petroff, "Accessible Color Sequences for Data Visualization" (2021), chosen
/// to be told apart with common kinds of colour blindness too.
const CLASSES: [Color; 10] = [
    [0x3f, 0x90, 0xda],
    [0xff, 0xa9, 0x0e],
    [0xbd, 0x1f, 0x01],
    [0x94, 0xa4, 0xa2],
    [0x83, 0x2d, 0xb6],
    [0xa9, 0x6b, 0x59],
    [0xe7, 0x63, 0x00],
    [0xb9, 0xac, 0x70],
    [0x71, 0x75, 0x81],
    [0x92, 0xda, 0xdd],
];

/// The contrast of words that everybody can read (WCAG 2.2, success criterion 1.4.3).
const LEGIBLE: f64 = 4.5;

/// The colour of a class, and how often all colours had their turn before it.
pub(super) fn of_class(class: usize) -> (Color, usize) {
    (CLASSES[class % CLASSES.len()], class / CLASSES.len())
}

/// The colour in which words can be read on paper: the same, or as much darker as that takes.
pub(super) fn for_words(color: Color) -> Color {
    let darker = |step: u32| color.map(|part| (u32::from(part) * step / 64) as u8);
    let all = (0..=64).rev().map(darker);
    all.into_iter().find(|&color| contrast(color, PAPER) >= LEGIBLE).unwrap_or(INK)
}

/// The contrast of two colours, from 1 to 21 (WCAG 2.2, "contrast ratio" and "relative luminance").
pub(super) fn contrast(one: Color, other: Color) -> f64 {
    let luminance = |color: Color| {
        let linear = color.map(|part| match f64::from(part) / 255.0 {
            v if v <= 0.04045 => v / 12.92,
            v => ((v + 0.055) / 1.055).powf(2.4),
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    };
    let (a, b) = (luminance(one) + 0.05, luminance(other) + 0.05);
    a.max(b) / a.min(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By published figures: black and white by definition, the greys of `WebAIM`'s checker.
    #[test]
    fn contrasts_are_those_of_wcag() {
        for (color, expected) in [
            ([0; 3], 21.0),
            ([0xff; 3], 1.0),
            ([0x76; 3], 4.54),
            ([0x77; 3], 4.48),
            ([0xff, 0, 0], 4.00),
            ([0, 0, 0xff], 8.59),
        ] {
            let found = contrast(PAPER, color);
            assert!((found - expected).abs() < 0.005, "{color:?}: {found}, expected {expected}");
            assert_eq!(found, contrast(color, PAPER), "either way");
        }
    }

    #[test]
    fn words_of_all_classes_can_be_read() {
        for (class, &color) in CLASSES.iter().enumerate() {
            let words = for_words(color);
            let found = contrast(words, PAPER);
            assert!(
                (LEGIBLE..LEGIBLE + 0.5).contains(&found) || words == color,
                "{class}: {found}"
            );
            assert!(found >= LEGIBLE, "{class}: {found}");
        }
        assert!(CLASSES.iter().any(|&color| contrast(color, PAPER) < 2.0), "some are pale as dots");
    }

    /// A report's page and the pictures on it have one style.
    #[test]
    fn greys_are_as_dark_as_those_of_a_report() {
        let style = include_str!("../report/style.css");
        for (name, color) in [("ink", INK), ("soft", SOFT), ("axis", AXIS), ("rule", RULE)] {
            let (_, rest) = style.split_once(&format!("--{name}: #")).expect(name);
            let number = u32::from_str_radix(&rest[..6], 16).expect("six digits");
            let there = [number >> 16, number >> 8, number].map(|part| part as u8);
            let (ours, theirs) = (contrast(color, PAPER), contrast(there, PAPER));
            assert!((ours / theirs - 1.0).abs() < 0.02, "{name}: {ours} and {theirs}");
        }
    }
}
