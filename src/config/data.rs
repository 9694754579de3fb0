//! How files become images: what a file cannot tell, or a user decides.

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::config::validate::{fail, has_effect, size, within};
use crate::error::{Error, Result};

/// The most channels of an image: grey, grey with alpha, colour, colour with alpha.
pub const MOST_CHANNELS: usize = 4;

/// The size of an image in pixels, and the numbers of a pixel. An image lies row by row, the channels of
/// a pixel side by side. In TOML it is `[height, width]`, and `[height, width, channels]` in colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<usize>", into = "Vec<usize>")]
pub struct ImageSize {
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// Numbers of a pixel: 1 in grey, 3 in colour.
    pub channels: usize,
}

impl ImageSize {
    /// The numbers of an image, if there are any and they can be counted.
    #[must_use]
    pub fn checked_len(self) -> Option<usize> {
        let pixels = self.height.checked_mul(self.width)?;
        pixels.checked_mul(self.channels).filter(|&len| len > 0)
    }

    /// The numbers of an image, which were counted before.
    #[must_use]
    pub fn len(self) -> usize {
        self.height.saturating_mul(self.width).saturating_mul(self.channels)
    }

    /// Whether an image has no numbers, which none has that was read.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Height and width.
    #[must_use]
    pub fn sides(self) -> [usize; 2] {
        [self.height, self.width]
    }
}

impl From<[usize; 2]> for ImageSize {
    fn from([height, width]: [usize; 2]) -> Self {
        Self { height, width, channels: 1 }
    }
}

impl From<[usize; 3]> for ImageSize {
    fn from([height, width, channels]: [usize; 3]) -> Self {
        Self { height, width, channels }
    }
}

impl TryFrom<Vec<usize>> for ImageSize {
    type Error = String;

    fn try_from(sides: Vec<usize>) -> std::result::Result<Self, String> {
        match *sides.as_slice() {
            [height, width] => Ok([height, width].into()),
            [height, width, channels] => Ok([height, width, channels].into()),
            _ => Err(format!("{sides:?} is no size, expected height, width and perhaps channels")),
        }
    }
}

impl From<ImageSize> for Vec<usize> {
    fn from(ImageSize { height, width, channels }: ImageSize) -> Self {
        match channels {
            1 => vec![height, width],
            _ => vec![height, width, channels],
        }
    }
}

impl Display for ImageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {}", self.height, self.width)?;
        if self.channels > 1 {
            write!(f, " × {}", self.channels)?;
        }
        Ok(())
    }
}

/// How the values of a file become pixels. It is decided once, by the training images, and kept with the
/// run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Range {
    /// By what the training images are: bytes of pictures over 255; whole numbers from 0 on over the
    /// largest, or over 255 if that is the largest; floats in [0, 1] as they are, and where pixels must be
    /// there, floats in [−1, 1] mapped to it. Counts are taken as they are.
    #[default]
    Auto,
    /// v / 255.
    Bytes,
    /// As they are.
    None,
    /// (v − low) / (high − low).
    Between(f32, f32),
    /// (v − mean) / deviation, both of all values of the training images.
    Standardise,
    /// (v − mean) / deviation, both of each column of the training images.
    Columns,
    /// Each file by its own content, as older runs did: integers from 0 to 255 as bytes, all else as
    /// it is.
    ByFile,
}

const RANGES: [(&str, Range); 6] = [
    ("auto", Range::Auto),
    ("bytes", Range::Bytes),
    ("none", Range::None),
    ("standardise", Range::Standardise),
    ("columns", Range::Columns),
    ("by-file", Range::ByFile),
];

impl Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Between(low, high) = self {
            return write!(f, "{low},{high}");
        }
        let word = RANGES.iter().find(|(_, range)| range == self);
        f.write_str(word.map_or("auto", |(word, _)| word))
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if let Some((_, range)) = RANGES.iter().find(|(word, _)| *word == text) {
            return Ok(*range);
        }
        let expected = || {
            format!(
                "`{text}` is no range, expected auto, bytes, none, standardise, columns, or LOW,HIGH as `-1,1`"
            )
        };
        let (low, high) = text.split_once(',').ok_or_else(expected)?;
        let number = |text: &str| text.trim().parse::<f32>().ok().filter(|v| v.is_finite());
        match (number(low), number(high)) {
            (Some(low), Some(high)) if low < high => Ok(Self::Between(low, high)),
            (Some(_), Some(_)) => {
                Err(format!("`{text}` is no range, expected the lower number first"))
            }
            _ => Err(expected()),
        }
    }
}

impl Serialize for Range {
    fn serialize<S: serde::Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// How images are divided where none are given to test on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Split {
    /// A share of each class is drawn by a hash of the seed and the image; equal images, and those of one
    /// group, are never on both sides.
    #[default]
    Drawn,
    /// Every tenth image, as older runs did: of ordered data a biased sample.
    EveryTenth,
}

/// In which order the axes of an array lie: N images, height, width and channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Layout {
    /// Images, height, width and perhaps channels; or images and pixels.
    Nhwc,
    /// Images, channels, height and width.
    Nchw,
    /// Height, width, perhaps channels, and images; or pixels and images.
    Hwn,
}

/// Which channels images have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Channels {
    /// Those of the files: colour if one picture has colour, else grey.
    #[default]
    AsFiles,
    /// One: (299 red + 587 green + 114 blue) / 1000, the weights of Rec. 601.
    Grey,
    /// Three: red, green and blue.
    Color,
}

/// What lies behind what is transparent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Background {
    /// Black, but white if the pictures would all be of one colour on black.
    #[default]
    Auto,
    /// Black.
    Black,
    /// White.
    White,
}

/// How files become images, and which of them test. A run keeps it, since later files are read by it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DataConfig {
    /// How values become pixels.
    pub range: Range,
    /// How images are divided where none are given to test on.
    pub split: Split,
    /// The share of images that is to test.
    pub test_fraction: f64,
    /// The share of the training images that is set apart to validate: training looks at them after each
    /// epoch in place of the test images, so that nothing is chosen by those; 0 sets none apart.
    pub validation_fraction: f64,
    /// The seed of the division, apart from that of training.
    pub split_seed: u64,
    /// Height and width, and perhaps channels, of images that lie as flat rows; or height and width of what
    /// pictures are padded to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_size: Option<ImageSize>,
    /// The order of an array's axes, where they could be more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// Which channels images have.
    pub channels: Channels,
    /// What lies behind what is transparent.
    pub background: Background,
    /// Pictures are scaled until their short side is so long, and the middle is cut out; 0 leaves them.
    pub resize: usize,
    /// Pictures are padded with the background instead of cut: to squares of `resize`, or to `image_size`, or
    /// to the largest.
    pub pad: bool,
    /// The column of a table that holds the class: a name, `first`, `last` or `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_column: Option<String>,
    /// The column of a table whose equal values must not be divided, such as a patient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_column: Option<String>,
    /// A file of the training images' classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<PathBuf>,
    /// A file of the test images' classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_labels: Option<PathBuf>,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            range: Range::default(),
            split: Split::default(),
            test_fraction: 0.1,
            validation_fraction: 0.0,
            split_seed: 1,
            image_size: None,
            layout: None,
            channels: Channels::default(),
            background: Background::default(),
            resize: 0,
            pad: false,
            label_column: None,
            group_column: None,
            labels: None,
            test_labels: None,
        }
    }
}

impl DataConfig {
    /// How runs read that began before there was a choice.
    #[must_use]
    pub fn before() -> Self {
        let (range, split) = (Range::ByFile, Split::EveryTenth);
        Self { range, split, channels: Channels::Grey, ..Self::default() }
    }

    /// The images that training looks at after each epoch, as an adjective: `validation`, or `test`.
    #[must_use]
    pub fn looked_at(&self) -> &'static str {
        if self.validation_fraction > 0.0 { "validation" } else { "test" }
    }

    pub(super) fn validate(&self) -> Result<()> {
        within("test-fraction", self.test_fraction, 0.0, 1.0)?;
        if self.test_fraction == 0.0 {
            return fail("test-fraction", &0, "above 0: a share of the images is kept to test on");
        }
        within("validation-fraction", self.validation_fraction, 0.0, 1.0)?;
        let drawn = self.split == Split::Drawn;
        has_effect("test-fraction", drawn || self.test_fraction == 0.1, "`split = \"drawn\"`")?;
        if let Some(image) = self.image_size {
            for (name, side) in [("height", image.height), ("width", image.width)] {
                size(&format!("image-size: {name}"), side)?;
            }
            if !(1..=MOST_CHANNELS).contains(&image.channels) {
                return fail("image-size: channels", &image.channels, "between 1 and 4");
            }
        }
        if self.resize > 1 << 14 {
            return fail("resize", &self.resize, "16384 or less");
        }
        for (name, path) in [("labels", &self.labels), ("test-labels", &self.test_labels)] {
            if let Some(path) = path.as_ref().filter(|path| path.to_str().is_none()) {
                return fail(name, &path.display(), "of Unicode, to be kept with the run");
            }
        }
        Ok(())
    }
}

/// Reads a size as it is typed: `28x20`, height first, or `32x32x3`.
///
/// # Errors
///
/// If it is none.
pub fn image_size(text: &str) -> Result<ImageSize> {
    let sides: Option<Vec<usize>> =
        text.split(['x', '×', ',']).map(|n| n.trim().parse().ok()).collect();
    sides.and_then(|sides| ImageSize::try_from(sides).ok()).ok_or_else(|| {
        Error::config(format!("`{text}` is no size of images"))
            .hint("give height x width, such as `28x20`, and channels if there are some: `32x32x3`")
    })
}
