//! Which of a pickle's arrays are images, and which are their classes.
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;

use crate::config::{DataConfig, Layout};
use crate::data::formats::array::{Array, layout_told};
use crate::data::formats::npz::{LABELS, PAIRS, SINGLE, SINGLE_LABELS};
use crate::data::formats::pickle::machine::Value;
use crate::data::formats::pickle::{PLAIN, Pickle};
use crate::data::labels::Labels;
use crate::data::raw::{Found, Raw};
use crate::error::{Error, Result};

/// Under which names a batch of CIFAR has its classes: the fine ones before the coarse.
const BATCH_LABELS: [&str; 2] = ["fine_labels", "labels"];

/// Reads the images of a pickle; `path` is named in errors.
///
/// It is a batch of CIFAR, a dictionary of arrays named as in a `.npz`, an array, a pair of images and
/// classes, two such pairs to train and to test, or three with one for validation between them, which is left
/// out, as in `mnist.pkl.gz`. Nothing in it is ever run.
///
/// # Errors
///
/// A [`Data`](crate::ErrorKind::Data) error if the bytes are no whole pickle, name what is no array, list,
/// dictionary or string, or hold no images as these.
pub fn read(path: &Path, bytes: &[u8], config: &DataConfig) -> Result<Found> {
    let pickle = Pickle::parse(path, bytes)?;
    let root = pickle.root();
    if let Some(array) = pickle.array(root, "array") {
        return Ok(array?.images(config)?.into());
    }
    if let Some(raw) = pickle.batch(config)? {
        return Ok(raw.into());
    }
    if let Some(found) = pickle.named(config)? {
        return Ok(found);
    }
    let parts = pickle.parts(root).unwrap_or_default().to_vec();
    if let &[images, labels] = parts.as_slice()
        && let Some(raw) = pickle.set([images, labels], ["x", "y"], config)
    {
        return Ok(raw?.into());
    }
    let pairs: Option<Vec<[Value; 2]>> =
        parts.iter().map(|part| pickle.parts(*part)?.try_into().ok()).collect();
    let set = |pair: [Value; 2], names| {
        let none = || Err(pickle.none("pairs of images and classes, of which one has no images"));
        pickle.set(pair, names, config).unwrap_or_else(none)
    };
    match pairs.as_deref() {
        Some(&[train, test]) => {
            let train = set(train, ["x_train", "y_train"])?;
            Ok(Found { train, test: Some(set(test, ["x_test", "y_test"])?) })
        }
        Some(&[train, valid, test]) => {
            let train = set(train, ["x_train", "y_train"])?;
            let left = pickle.array(valid[0], "x_valid").transpose()?;
            let count = left.and_then(|left| left.shape.first().copied()).unwrap_or_default();
            let note = format!("its second part, {count} images for validation, is left out");
            let test = Some(set(test, ["x_test", "y_test"])?);
            Ok(Found { train: train.noted(note), test })
        }
        _ => Err(pickle.none(&pickle.found())),
    }
}

/// Reads a batch of CIFAR, or of what is pickled as such.
pub(in crate::data::formats) fn read_batch(
    path: &Path,
    bytes: &[u8],
    config: &DataConfig,
) -> Result<Raw> {
    let pickle = Pickle::parse(path, bytes)?;
    pickle.batch(config)?.ok_or_else(|| pickle.none(&pickle.found()))
}

/// Reads the names of CIFAR's classes.
pub(in crate::data::formats) fn read_names(path: &Path, bytes: &[u8]) -> Option<Vec<String>> {
    let pickle = Pickle::parse(path, bytes).ok()?;
    let names = pickle.get(pickle.root(), &["fine_label_names", "label_names"])?;
    pickle.words(names)
}

impl Pickle<'_> {
    /// The images of a dictionary with `data` and classes.
    fn batch(&self, config: &DataConfig) -> Result<Option<Raw>> {
        let (root, label) = (self.root(), |name: &str| self.get(self.root(), &[name]));
        let found = BATCH_LABELS.into_iter().find_map(|name| Some((name, label(name)?)));
        let Some((name, labels)) = found else { return Ok(None) };
        let data = self.get(root, &["data"]).and_then(|data| self.array(data, "data"));
        let Some(mut data) = data.transpose()? else { return Ok(None) };
        let mut note = None;
        let mut config = config.clone();
        if let &[count, columns] = data.shape.as_slice()
            && let Some(side) = side_of_planes(columns)
            && config.image_size.is_none()
        {
            data.shape = vec![count, 3, side, side];
            if data.fortran {
                return Err(self.none("an array of CIFAR in Fortran's order"));
            }
            config.layout = Some(Layout::Nchw);
            note = Some(format!(
                "rows of {columns} values are taken for planes of red, green and blue of {side} × {side}"
            ));
        }
        let mut raw = data.images(&config)?;
        raw.notes.extend(note);
        if name == "fine_labels" {
            raw = raw.noted("the classes are the fine ones, `fine_labels`");
        }
        Ok(Some(raw.with(self.classes(labels, name))))
    }

    /// The images of a dictionary whose names are those of a `.npz`.
    fn named(&self, config: &DataConfig) -> Result<Option<Found>> {
        let set = |name: &str, labels: &[&str]| -> Result<Option<Raw>> {
            let Some(images) = self.get(self.root(), &[name]) else { return Ok(None) };
            let Some(array) = self.array(images, name) else { return Ok(None) };
            let mut named =
                labels.iter().filter_map(|name| Some((*name, self.get(self.root(), &[name])?)));
            self.labelled(&array?, named.next(), config).map(Some)
        };
        for (train, test) in PAIRS {
            if let Some(train) = set(train, &LABELS[0])? {
                return Ok(Some(Found { train, test: set(test, &LABELS[1])? }));
            }
        }
        for name in SINGLE {
            if let Some(raw) = set(name, &SINGLE_LABELS)? {
                return Ok(Some(raw.into()));
            }
        }
        Ok(None)
    }

    /// The images of a pair, if its first part is an array.
    fn set(
        &self,
        [images, labels]: [Value; 2],
        names: [&str; 2],
        config: &DataConfig,
    ) -> Option<Result<Raw>> {
        let images = self.array(images, names[0])?;
        Some(images.and_then(|images| self.labelled(&images, Some((names[1], labels)), config)))
    }

    /// Images with their classes, whose number tells along which axis the images lie.
    fn labelled(
        &self,
        images: &Array<'_>,
        labels: Option<(&str, Value)>,
        config: &DataConfig,
    ) -> Result<Raw> {
        let Some((name, labels)) = labels else { return images.images(config) };
        let classes = self.classes(labels, name);
        let count = classes.as_ref().ok().map(|labels| labels.values.len());
        let layout = config.layout.or_else(|| layout_told(&images.shape, count, None));
        Ok(images.images(&DataConfig { layout, ..config.clone() })?.with(classes))
    }

    /// Classes in an array or a list.
    fn classes(&self, value: Value, name: &str) -> std::result::Result<Labels, String> {
        let fault = |fault: String| format!("the labels `{name}`: {fault}");
        if let Some(array) = self.array(value, name) {
            // Nobody may have asked for them.
            let read = array.and_then(|array| array.labels());
            return read.unwrap_or_else(|error| Err(error.to_string())).map_err(fault);
        }
        if let Some(ints) = self.ints(value) {
            return Labels::of_numbers(&ints).map_err(fault);
        }
        match self.words(value) {
            Some(words) => Labels::of_words(&words).map_err(fault),
            None => Err(fault("they are no list of whole numbers or words".to_owned())),
        }
    }

    /// What the pickle is, for messages.
    fn found(&self) -> String {
        if let Some(names) = self.names(self.root()) {
            let listed: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            return format!("a dictionary of {}", listed.join(", "));
        }
        match self.parts(self.root()) {
            Some(parts) => format!("a list of {} parts", parts.len()),
            None => "one value".to_owned(),
        }
    }

    fn none(&self, found: &str) -> Error {
        let what = format!(
            "is a pickle of {found}; expected an array, pairs of images and classes, or a dictionary with `data`"
        );
        Error::data(self.path, what).hint(PLAIN)
    }
}

/// The side of squares of which three are a row of so many values.
fn side_of_planes(columns: usize) -> Option<usize> {
    let plane = columns.checked_div(3).filter(|&plane| plane > 1 && columns.is_multiple_of(3))?;
    let side = plane.isqrt();
    (side.checked_mul(side) == Some(plane)).then_some(side)
}
