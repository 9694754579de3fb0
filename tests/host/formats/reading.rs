//! One reading of a run's data: how values become pixels, which axis is what, and which images test.

use std::path::{Path, PathBuf};

use elbo::config::{Config, Layout, Likelihood, Range, Scale, image_size};
use elbo::data::formats::npy::to_bytes;
use elbo::data::reading::How;
use elbo::data::{Opened, Reading, Sources};
use elbo::{Error, Result};
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).expect("the temporary folder takes a file");
        path
    }

    fn array(&self, name: &str, shape: &[usize], value: impl Fn(usize) -> f32) -> PathBuf {
        let values: Vec<f32> = (0..shape.iter().product()).map(value).collect();
        self.put(name, to_bytes(shape, &values).expect("a shape"))
    }
}

/// A number below `end` that is another for the next `i`, so that no two images are equal.
fn mixed(i: usize, end: usize) -> f32 {
    ((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as f32 % end as f32
}

/// Bytes whose largest is in every image.
fn byte(i: usize) -> f32 {
    if i.is_multiple_of(4) { 255.0 } else { mixed(i, 256) }
}

fn open(data: &Path, config: &Config, reading: Option<&Reading>) -> Result<Opened> {
    Sources { reading, ..Sources::new(data, config) }.open()
}

fn normal() -> Config {
    let mut config = Config::default();
    (config.model.likelihood, config.model.scale) = (Likelihood::Normal, Scale::Shared);
    config
}

fn says(error: &Error, what: &str) {
    assert!(error.to_string().contains(what), "`{error}` does not say `{what}`");
    assert!(error.advice().is_some(), "`{error}` has no hint");
}

/// What `auto` takes for what, by the training images.
#[test]
fn values_are_read_by_what_they_are() {
    let folder = Folder::new();
    let unit = Config::default();
    let line = normal();
    let over = |white| How::Over { white };
    for (case, config, value, how, range) in [
        ("bytes", &unit, byte as fn(usize) -> f32, over(255.0), (0.0, 1.0)),
        ("digits", &unit, |i| mixed(i, 17), over(16.0), (0.0, 1.0)),
        (
            "12 bits",
            &unit,
            |i| if i.is_multiple_of(5) { 4095.0 } else { mixed(i, 4096) },
            over(4095.0),
            (0.0, 1.0),
        ),
        ("black and white", &unit, |i| mixed(i, 2), over(1.0), (0.0, 1.0)),
        ("shares", &unit, |i| mixed(i, 10) / 9.0, How::AsItIs, (0.0, 1.0)),
        (
            "signs",
            &unit,
            |i| mixed(i, 21) / 10.0 - 1.0,
            How::Between { low: -1.0, high: 1.0 },
            (0.0, 1.0),
        ),
        ("signs under a line", &line, |i| mixed(i, 21) / 10.0 - 1.0, How::AsItIs, (-1.0, 1.0)),
        ("any numbers", &line, |i| mixed(i, 21) - 9.5, How::AsItIs, (-9.5, 10.5)),
    ] {
        let file = folder.array("x.npy", &[200, 5, 7], value);
        let Opened { train, test, reading, .. } = open(&file, config, None).expect(case);
        assert_eq!(reading.how, how, "{case}");
        let (low, high) = train.range().expect("a range");
        let near = |a: f32, b: f32| (a - b).abs() < 1e-6;
        assert!(near(low, range.0) && near(high, range.1), "{case}: {low} to {high}");
        assert_eq!((train.len(), test.len()), (180, 20), "{case}: a tenth tests");
        assert_eq!(train.size(), [5, 7].into(), "{case}");
    }
    let file = folder.array("x.npy", &[20, 3, 3], |i| i as f32 - 9.5);
    let error = open(&file, &unit, None).expect_err("any numbers under Bernoulli");
    says(&error, "the likelihood `bernoulli` needs [0, 1]");
    let hint = error.advice().unwrap_or_default();
    assert!(hint.contains("--range standardise --likelihood normal --scale shared"), "{hint}");
    let mut followed = normal();
    followed.data.range = Range::Standardise;
    let Opened { train, .. } = open(&file, &followed, None).expect("the hint, followed");
    let mean: f64 = train.mean_image().expect("a mean").iter().sum::<f64>() / 9.0;
    assert!(mean.abs() < 1e-6, "the mean is {mean}");
}

/// A cell changes nothing of how the others are read, and later files are read as the first was.
#[test]
fn later_files_are_read_as_the_run_was() {
    let folder = Folder::new();
    let config = Config::default();
    let file = folder.array("x.npy", &[100, 1, 4], byte);
    let first = open(&file, &config, None).expect("bytes");
    // Its largest is 99, and it is read over 255 still.
    let dark = folder.array("y.npy", &[100, 1, 4], |i| mixed(i, 100));
    let later = open(&dark, &config, Some(&first.reading)).expect("dark images");
    assert!(
        later.train.range().expect("a range").1 <= 99.0 / 255.0,
        "{:?}",
        later.train.range().expect("a range")
    );
    // One cell of 301 does not make the others raw: the pixel is above 1, which Bernoulli refuses.
    let cell = folder.array("z.npy", &[100, 1, 4], |i| if i == 7 { 301.0 } else { byte(i) });
    let later = open(&cell, &config, Some(&first.reading)).expect("one cell of 301");
    let range = [later.train.range().expect("a range").1, later.test.range().expect("a range").1];
    assert!(range.iter().all(|&high| high <= 301.0 / 255.0), "{range:?}");
    let sets = [&later.train, &later.test];
    let refused = sets.iter().filter(|d| d.check(&config.model, config.train.pixels).is_err());
    assert_eq!(refused.count(), 1, "the set with the cell");
    let shares = folder.array("u.npy", &[100, 1, 4], |i| mixed(i, 10) / 9.0);
    let error = open(&shares, &config, Some(&first.reading)).expect_err("shares");
    says(&error, "and those of the run's data are whole numbers");
}

#[test]
fn what_was_asked_for_is_taken() {
    let folder = Folder::new();
    let file = folder.array("x.npy", &[100, 1, 4], |i| (i % 4) as f32 * (i / 4) as f32);
    let mut config = normal();
    for (range, expected) in [
        (Range::None, (0.0, 297.0)),
        (Range::Bytes, (0.0, 297.0 / 255.0)),
        (Range::Between(0.0, 297.0), (0.0, 1.0)),
    ] {
        config.data.range = range;
        let Opened { train, test, .. } = open(&file, &config, None).expect("numbers");
        let high = train.range().expect("a range").1.max(test.range().expect("a range").1);
        assert_eq!((train.range().expect("a range").0, high), expected, "{range}");
    }
    config.data.range = Range::Columns;
    let Opened { train, .. } = open(&file, &config, None).expect("columns");
    let means = train.mean_image().expect("a mean");
    assert!(means.iter().all(|mean| mean.abs() < 1e-6), "{means:?}");
    assert!(
        train.range().expect("a range").1 < 2.0,
        "the first column is constant: {:?}",
        train.range().expect("a range")
    );
    for (text, fault) in
        [("1,0", "the lower number first"), ("x", "is no range"), ("0,inf", "no range")]
    {
        let error = text.parse::<Range>().expect_err(text);
        assert!(error.contains(fault), "{error}");
    }
    for text in ["auto", "bytes", "none", "standardise", "columns", "by-file", "-1,1", "0,65535"] {
        assert_eq!(
            text.parse::<Range>().map(|range| range.to_string()),
            Ok(text.to_owned()),
            "{text}"
        );
    }
}

/// A shape that could be read in two ways is refused until it is said.
#[test]
fn axes_are_never_guessed() {
    let folder = Folder::new();
    let value = |i: usize| mixed(i, 2);
    for (shape, fault, layout, size, expected) in [
        (
            vec![28, 28, 300],
            "300 images of 28 × 28 with the images last",
            Layout::Hwn,
            "",
            "28 × 28",
        ),
        (vec![28, 28], "one image of 28 × 28, or 28 rows", Layout::Nhwc, "", "1 × 28"),
        (vec![40, 20, 3], "one image of 40 × 20 in colour", Layout::Nhwc, "", "20 × 3"),
        (vec![30, 3, 8, 4], "more than one axis", Layout::Nchw, "", "8 × 4 × 3"),
        (vec![560, 400], "", Layout::Hwn, "28x20", "28 × 20"),
    ] {
        let file = folder.array("x.npy", &shape, value);
        let mut config = Config::default();
        if !fault.is_empty() {
            says(&open(&file, &config, None).expect_err(fault), fault);
        }
        config.data.layout = Some(layout);
        if !size.is_empty() {
            config.data.image_size = Some(image_size(size).expect("a size"));
        }
        let found = open(&file, &config, None).expect("what was said");
        assert_eq!(found.train.size().to_string(), expected, "{shape:?}");
    }
    let file = folder.array("x.npy", &[400, 560], value);
    let mut config = Config::default();
    config.data.image_size = Some(image_size("28x20").expect("a size"));
    assert_eq!(open(&file, &config, None).expect("faces").train.size(), [28, 20].into(), "faces");
    let turned = folder.array("y.npy", &[560, 400], value);
    says(
        &open(&turned, &config, None).expect_err("turned"),
        "the first axis is that of the 28 × 20",
    );
    for (shape, expected) in [(vec![50, 8, 6, 3], "8 × 6 × 3"), (vec![50, 3, 8, 6], "8 × 6 × 3")]
    {
        let file = folder.array("x.npy", &shape, |i| mixed(i, 251));
        let found = open(&file, &Config::default(), None).expect("colour");
        assert_eq!(found.train.size().to_string(), expected, "{shape:?}");
    }
    for text in ["28", "28x", "axb", "1x2x3x4", ""] {
        says(&image_size(text).expect_err(text), "no size of images");
    }
}
