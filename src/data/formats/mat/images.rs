//! Which of MATLAB's variables are images, along which axis they lie, and which are their classes.
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;

use crate::config::{DataConfig, Layout};
use crate::data::formats::array::layout_told;
use crate::data::formats::mat::{BYTES, Mat, Variable};
use crate::data::labels::Labels;
use crate::data::raw::{Found, Kind, Raw};
use crate::data::source;
use crate::error::{Error, Result};

/// Names of images to train and to test, and whether flat images of these names lie column by column: the
/// silhouettes of Caltech 101, and the characters of Omniglot, do.
const PAIRS: [(&str, &str, bool); 5] = [
    ("traindata", "testdata", true),
    ("data", "testdata", true),
    ("trainimages", "testimages", false),
    ("xtrain", "xtest", false),
    ("trainx", "testx", false),
];

/// Names of classes to train and to test.
const LABELS: [(&str, &str); 5] = [
    ("trainlabels", "testlabels"),
    ("ytrain", "ytest"),
    ("trainy", "testy"),
    ("target", "testtarget"),
    ("labels", "testlabels"),
];

/// Names of the only images, and of their classes.
const SINGLE: [&str; 6] = ["images", "imgs", "x", "data", "ff", "faces"];
const SINGLE_LABELS: [&str; 6] = ["y", "labels", "label", "target", "gnd", "class"];

/// Names of images for validation.
const VALIDATION: [&str; 3] = ["valdata", "validdata", "xval"];

/// The pixels of Frey's faces.
const FREY: [usize; 2] = [28, 20];

/// Reads the images of a MATLAB file; `path` is named in errors.
///
/// They are the variables `train_data` and `test_data`, `data` and `testdata`, or others of such names; else
/// `images`, `X`, `data` or `ff`; else the only array of numbers. Capitals and `_` do not matter. Which axis is
/// that of the images is told by the classes, by the images to test on, by the axis of channels, or by `layout`.
///
/// # Errors
///
/// A [`Data`](crate::ErrorKind::Data) error if the bytes are no whole file of version 5, hold no such arrays,
/// or the axis of the images is not to be told.
pub fn read(path: &Path, bytes: &[u8], config: &DataConfig) -> Result<Found> {
    let mat = Mat::parse(path, bytes)?;
    let array = |name: &str| mat.find(name).filter(|variable| variable.is_array());
    for (train, test, turned) in PAIRS {
        let (Some(train), Some(test)) = (array(train), array(test)) else { continue };
        let labels = LABELS.into_iter().find(|(train, _)| mat.find(train).is_some());
        let [ours, theirs] =
            [labels.map(|(l, _)| l), labels.map(|(_, l)| l)].map(|l| l.and_then(|l| mat.find(l)));
        let mut found = mat.images(train, (ours, Some(test), turned), config)?;
        if let Some(left) = VALIDATION.into_iter().find_map(array) {
            found = found.noted(format!("{} is left out", left.described()));
        }
        let test = mat.images(test, (theirs, Some(train), turned), config)?;
        return Ok(Found { train: found, test: Some(test) });
    }
    // Vectors are no images.
    let wide = |variable: &&Variable| variable.shape.iter().filter(|&&size| size > 1).count() > 1;
    let arrays: Vec<&Variable> =
        mat.variables.iter().filter(|variable| variable.is_array()).filter(wide).collect();
    let only = || arrays.first().copied().filter(|_| arrays.len() == 1);
    if let Some(images) = SINGLE.into_iter().find_map(array).or_else(only) {
        let labels = SINGLE_LABELS.into_iter().find_map(|name| mat.find(name));
        return Ok(mat.images(images, (labels, None, false), config)?.into());
    }
    let listed: Vec<_> = mat.variables.iter().take(16).map(Variable::described).collect();
    let listed = if listed.is_empty() { "no variable".to_owned() } else { listed.join(", ") };
    Err(Error::data(path, format!("holds {listed}; expected images of a known name"))
        .hint("save the images as `X` and the classes as `y`, or as `train_data` and `test_data`"))
}

/// Reads a file, and if its name says that it is to train, the one beside it that is to test, as of SVHN.
///
/// # Errors
///
/// As [`read`].
pub(in crate::data) fn read_file(path: &Path, config: &DataConfig) -> Result<Found> {
    let found = read(path, &source::content(path)?, config)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(name.replacen("train", "test", 1));
    if found.test.is_some() || !name.starts_with("train") || !beside.is_file() {
        return Ok(found);
    }
    let note = format!("the images to test on are those of `{}`", beside.display());
    let test = read(&beside, &source::content(&beside)?, config)?;
    Ok(Found { train: found.train.noted(note), test: Some(test.train) })
}

impl Mat<'_> {
    /// The images of a variable, given the variable of their classes, and other images of the same size.
    fn images(
        &self,
        images: &Variable,
        (labels, other, turned): (Option<&Variable>, Option<&Variable>, bool),
        config: &DataConfig,
    ) -> Result<Raw> {
        let count = labels.and_then(|labels| labels.shape.iter().copied().max());
        let mut config = config.clone();
        let mut note = None;
        let flat = images.shape.len() == 2;
        if config.layout.is_none() {
            config.layout =
                layout_told(&images.shape, count, other.map(|other| other.shape.as_slice()));
        }
        let frey = FREY[0].saturating_mul(FREY[1]);
        if images.name == "ff"
            && flat
            && images.shape.contains(&frey)
            && config.image_size.is_none()
        {
            let last = images.shape.first() == Some(&frey);
            config.layout.get_or_insert(if last { Layout::Hwn } else { Layout::Nhwc });
            config.image_size = Some(FREY.into());
            note = Some(
                "`ff` is taken for Frey's faces: 560 values are 28 × 20 pixels, row by row"
                    .to_owned(),
            );
        }
        if flat && config.layout.is_none() && config.image_size.is_none() {
            let what = format!(
                "holds {}, of which either axis may be that of the images",
                images.described()
            );
            return Err(Error::data(self.path, what).hint(
                "say which: `--layout hwn` if each column is an image, `--layout nhwc` if each row is one",
            ));
        }
        let mut raw = self.array(images)?.images(&config)?;
        if images.class != BYTES {
            // They may only be stored as bytes.
            raw.kind = Kind::Numbers;
        }
        raw.notes.extend(note);
        let square = raw.size.height == raw.size.width && raw.size.height > 1;
        if flat && turned && square {
            raw = raw
                .upright(self.path)?
                .noted("the pixels of an image lie column by column: they are turned upright");
        }
        let Some(labels) = labels else { return Ok(raw) };
        let name = labels.name.escape_debug();
        let mut found =
            self.classes(labels).map_err(|fault| format!("the labels `{name}`: {fault}"));
        if let (Ok(labels), [32, 32, 3, _]) = (&mut found, images.shape.as_slice())
            && labels.values.contains(&10)
            && labels.values.iter().all(|class| (1..=10).contains(class))
        {
            labels.values.iter_mut().filter(|class| **class == 10).for_each(|class| *class = 0);
            raw = raw.noted("the class 10 of SVHN is the digit 0");
        }
        Ok(raw.with(found))
    }

    /// The classes of a vector that lies along either axis.
    fn classes(&self, labels: &Variable) -> std::result::Result<Labels, String> {
        if !labels.is_array() {
            return Err("are no numbers".to_owned());
        }
        // Nobody may have asked for them.
        let mut array = self.array(labels).map_err(|error| error.to_string())?;
        if let Some(len) = array.len().filter(|len| array.shape.contains(len)) {
            array.shape = vec![len];
        }
        array.labels().unwrap_or_else(|error| Err(error.to_string()))
    }
}
