//! A convolution as a configuration writes it.

use std::fmt;

use crate::config::validate::fail;
use crate::config::{Layer, MOST};
use crate::error::Result;

/// The most taps of a window along a side, and places from one to the next.
const MOST_TAPS: usize = 64;

/// What a convolution makes of a map. In text it is `conv 32 3x3`, with ` stride 2` behind it unless windows follow one
/// another place by place, ` upsample 2` if places are repeated, and ` pad 0` unless the padding is (k − 1) / 2 of the
/// kernel's larger side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Channels of what it makes.
    pub outputs: usize,
    /// Lines of a window, and places of a line.
    pub kernel: [usize; 2],
    /// Places from one window to the next, in both directions.
    pub stride: usize,
    /// Places outside of the map, at each of its sides, that windows reach; they count as zero.
    pub padding: usize,
    /// How often each place of the map is repeated in both directions before that: upsampling by the nearest neighbour.
    pub upsample: usize,
}

impl Convolution {
    /// A convolution with windows that follow one another place by place and have the usual padding.
    #[must_use]
    pub fn new(outputs: usize, kernel: [usize; 2]) -> Self {
        Self { outputs, kernel, stride: 1, padding: usual_padding(kernel), upsample: 1 }
    }

    /// What follows the word in a text; none if it is something else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let outputs = words.next()?.parse().ok()?;
        let kernel = match sides(words.next()?)?[..] {
            [side] => [side, side],
            [down, right] => [down, right],
            _ => return None,
        };
        let (mut stride, mut padding, mut upsample) = (None, None, None);
        while let Some(word) = words.next() {
            let place = match word {
                "stride" => &mut stride,
                "pad" => &mut padding,
                "upsample" => &mut upsample,
                _ => return None,
            };
            if place.is_some() {
                return None;
            }
            *place = Some(words.next()?.parse().ok()?);
        }
        let usual = Self::new(outputs, kernel);
        Some(Self {
            stride: stride.unwrap_or(usual.stride),
            padding: padding.unwrap_or(usual.padding),
            upsample: upsample.unwrap_or(usual.upsample),
            ..usual
        })
    }

    /// Judges it in a list, as the layer that it is of.
    pub(super) fn validate(self, list: &str, layer: Layer) -> Result<()> {
        let judge = |holds: bool, rule: &str| match holds {
            true => Ok(()),
            false => fail(list, &format!("with the layer `{layer}`"), &format!("with {rule}")),
        };
        let sides = self.kernel.map(|side| (1..=MOST_TAPS).contains(&side));
        judge((1..=MOST).contains(&self.outputs), &format!("1 to {MOST} outputs"))?;
        judge(sides == [true; 2], &format!("kernels of 1 to {MOST_TAPS} places a side"))?;
        let stride = (1..=MOST_TAPS).contains(&self.stride);
        judge(stride, &format!("strides of 1 to {MOST_TAPS} places"))?;
        let upsample = (1..=MOST_TAPS).contains(&self.upsample);
        judge(upsample, &format!("upsampling by 1 to {MOST_TAPS}"))?;
        // It would skip what it has just repeated.
        let either = self.stride == 1 || self.upsample == 1;
        judge(either, "`stride` or `upsample`, not both")?;
        // Some window would see nothing of the map.
        let padding = self.padding < self.kernel[0].min(self.kernel[1]);
        judge(padding, "padding (`pad 0`) that is less than each side of the kernel")
    }

    /// The extents of what it makes of a map of these extents; none where no window fits.
    #[must_use]
    pub fn made(self, extents: [usize; 2]) -> Option<[usize; 2]> {
        let Self { kernel, stride, padding, upsample, .. } = self;
        windows_that_fit(extents, kernel, [stride, padding, upsample])
    }

    /// The extents of what it makes of a map of these extents if it is transposed; none where there is no place.
    #[must_use]
    pub fn spread(self, extents: [usize; 2]) -> Option<[usize; 2]> {
        places_reached(extents, self.kernel, [self.stride, self.padding])
    }
}

/// How many windows of a kernel fit a map in either direction: with a stride, a padding, and places that are so often repeated.
pub(crate) fn windows_that_fit(
    extents: [usize; 2],
    kernel: [usize; 2],
    [stride, padding, upsample]: [usize; 3],
) -> Option<[usize; 2]> {
    let along = |extent: usize, taps: usize| {
        let extent = extent.saturating_mul(upsample);
        Some(extent.saturating_add(2 * padding).checked_sub(taps)? / stride + 1)
    };
    Some([along(extents[0], kernel[0])?, along(extents[1], kernel[1])?])
}

/// How many places windows cover in either direction where as many as this fit: with a stride, and without the padding. None
/// where there is none.
pub(crate) fn places_reached(
    windows: [usize; 2],
    kernel: [usize; 2],
    [stride, padding]: [usize; 2],
) -> Option<[usize; 2]> {
    let along = |windows: usize, taps: usize| {
        let reached = windows.checked_sub(1)?.saturating_mul(stride).saturating_add(taps);
        reached.checked_sub(2 * padding).filter(|&places| places > 0)
    };
    Some([along(windows[0], kernel[0])?, along(windows[1], kernel[1])?])
}

/// Keeps the extents of kernels with odd sides, and halves them by a stride of 2 and a side of 4.
fn usual_padding(kernel: [usize; 2]) -> usize {
    kernel[0].max(kernel[1]).saturating_sub(1) / 2
}

/// Numbers with an `x` between them.
pub(super) fn sides(text: &str) -> Option<Vec<usize>> {
    text.split('x').map(|side| side.parse().ok()).collect()
}

impl Convolution {
    /// What follows the word in a text.
    pub(super) fn write(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { outputs, kernel: [down, right], stride, padding, upsample } = self;
        write!(f, "{outputs} {down}x{right}")?;
        if stride != 1 {
            write!(f, " stride {stride}")?;
        }
        if upsample != 1 {
            write!(f, " upsample {upsample}")?;
        }
        if padding != usual_padding(self.kernel) {
            write!(f, " pad {padding}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Convolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("conv ")?;
        self.write(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_convolution_is_read_as_it_is_written() {
        let of = |outputs, kernel, stride, padding| Convolution {
            outputs,
            kernel,
            stride,
            padding,
            upsample: 1,
        };
        for (text, expected, written) in [
            ("32 3x3", of(32, [3, 3], 1, 1), "conv 32 3x3"),
            ("64 4x4 stride 2", of(64, [4, 4], 2, 1), "conv 64 4x4 stride 2"),
            ("64 5 stride 2 pad 2", of(64, [5, 5], 2, 2), "conv 64 5x5 stride 2"),
            ("8 5x3  pad 0", of(8, [5, 3], 1, 0), "conv 8 5x3 pad 0"),
            ("8 1 pad 0 stride 3", of(8, [1, 1], 3, 0), "conv 8 1x1 stride 3"),
            (
                "8 3x3 upsample 2",
                Convolution { upsample: 2, ..of(8, [3, 3], 1, 1) },
                "conv 8 3x3 upsample 2",
            ),
        ] {
            let found = Convolution::parse(text).expect(text);
            assert_eq!(found, expected, "{text}");
            assert_eq!(found.to_string(), written, "{text}");
            let rest = written.strip_prefix("conv ").expect("its word");
            assert_eq!(Convolution::parse(rest), Some(expected), "{written}");
        }
        for text in [
            "",
            "32",
            "32 3x3x3",
            "32 x3",
            "3x3",
            "32 3x3 2",
            "32 3x3 stride",
            "32 3x3 stride -1",
            "32 3x3 step 2",
            "32 3x3 pad 1 pad 1",
            "32 3.5",
            "32 3x3 upsample",
        ] {
            assert_eq!(Convolution::parse(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_that_make_no_sense_are_refused() {
        for (text, rule) in [
            (
                "0 3x3",
                "`encoder` is with the layer `conv 0 3x3`; it must be with 1 to 1000000 outputs",
            ),
            ("8 0x3", "with kernels of 1 to 64 places a side"),
            ("8 65", "with kernels of 1 to 64 places a side"),
            ("8 3x3 stride 0", "with strides of 1 to 64 places"),
            ("8 3x3 upsample 0", "with upsampling by 1 to 64"),
            ("8 3x3 upsample 2 stride 2", "with `stride` or `upsample`, not both"),
            ("8 3x3 pad 3", "less than each side of the kernel"),
            ("8 5x3 pad 3", "less than each side of the kernel"),
        ] {
            let layer = Convolution::parse(text).expect(text);
            let error = Layer::Convolution(layer).validate("encoder").expect_err(text);
            assert!(error.to_string().contains(rule), "{text}: {error}");
        }
        Layer::Convolution(Convolution::new(8, [64, 1]))
            .validate("encoder")
            .expect_err("the usual padding is too wide");
        let narrow = Convolution::new(8, [5, 3]);
        for layer in [Layer::Convolution(narrow), Layer::Transposed(narrow)] {
            layer.validate("encoder").expect("it sees something");
        }
        let error = Layer::Transposed(Convolution { padding: 3, ..narrow });
        let error = error.validate("encoder").expect_err("its places would reach nothing");
        assert!(error.to_string().contains("layer `transposed 8 5x3 pad 3`"), "{error}");
    }

    #[test]
    fn extents_are_those_of_the_windows_that_fit() {
        let made = |text: &str, extents| Convolution::parse(text).expect(text).made(extents);
        assert_eq!(made("1 3x3", [5, 4]), Some([5, 4]));
        assert_eq!(made("1 4x4 stride 2", [28, 14]), Some([14, 7]));
        assert_eq!(made("1 5x3 pad 0", [5, 4]), Some([1, 2]));
        assert_eq!(made("1 5x3 pad 0", [4, 4]), None);
        assert_eq!(made("1 3x3 upsample 2", [7, 5]), Some([14, 10]));
        assert_eq!(made("1 4x4 upsample 2 pad 0", [7, 1]), None);
        let spread = |text: &str, extents| Convolution::parse(text).expect(text).spread(extents);
        assert_eq!(spread("1 4x4 stride 2", [14, 7]), Some([28, 14]));
        assert_eq!(spread("1 5x3 pad 0", [1, 2]), Some([5, 4]));
        assert_eq!(spread("1 2 stride 5 pad 0", [3, 1]), Some([12, 2]), "places between");
        assert_eq!(spread("1 3 pad 2", [2, 3]), None);
        assert_eq!(spread("1 3 pad 2", [3, 3]), Some([1, 1]));
    }
}
