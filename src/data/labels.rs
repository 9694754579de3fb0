//! Labels: the class of each image, where the files have them. Only conditional models learn from them.
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;

use crate::data::Dataset;
use crate::error::{Error, ErrorKind, Result};

/// The most classes: the number of one is a byte.
const MOST_CLASSES: usize = 256;

/// What to do about labels that cannot be used.
pub(super) const CLASSES: &str =
    "number the classes from 0 to 255, one for each image, or leave the labels out";

/// The class of each image.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Labels {
    /// A class for each image.
    pub(super) values: Vec<u8>,
    /// The names of the classes, if they have names.
    pub(super) names: Option<Vec<String>>,
}

impl Labels {
    /// Classes that are numbers: as they are if they are whole and from 0 to 255, else by their order, with
    /// the numbers as names.
    ///
    /// # Errors
    ///
    /// If there are more than 256 of them, in words.
    pub(super) fn of_numbers(numbers: &[f64]) -> std::result::Result<Self, String> {
        let fits = |v: &f64| (0.0..=255.0).contains(v) && v.trunc() == *v;
        if numbers.iter().all(fits) {
            return Ok(Self { values: numbers.iter().map(|&v| v as u8).collect(), names: None });
        }
        let mut order: Vec<f64> = numbers.to_vec();
        order.sort_by(f64::total_cmp);
        order.dedup();
        let names: Vec<String> = order.iter().take(MOST_CLASSES + 1).map(f64::to_string).collect();
        let place = |v: &f64| order.binary_search_by(|o| o.total_cmp(v)).unwrap_or_default();
        Self::named(numbers.iter().map(place), names)
    }

    /// Classes that are words, by the order of their letters.
    ///
    /// # Errors
    ///
    /// If there are more than 256 of them, in words.
    pub(super) fn of_words(words: &[String]) -> std::result::Result<Self, String> {
        let numbers: Option<Vec<f64>> = words.iter().map(|word| word.parse().ok()).collect();
        if let Some(numbers) = numbers.filter(|all| all.iter().all(|v| v.is_finite())) {
            return Self::of_numbers(&numbers);
        }
        let mut names = words.to_vec();
        names.sort();
        names.dedup();
        let place = |word: &String| names.binary_search(word).unwrap_or_default();
        Self::named(words.iter().map(place), names.clone())
    }

    fn named(
        places: impl Iterator<Item = usize>,
        names: Vec<String>,
    ) -> std::result::Result<Self, String> {
        if names.len() > MOST_CLASSES {
            return Err(format!("there are more than {MOST_CLASSES} different classes"));
        }
        Ok(Self { values: places.map(|place| place as u8).collect(), names: Some(names) })
    }
}

impl Dataset {
    /// The same images with a class for each, in their order.
    ///
    /// # Errors
    ///
    /// If there are not as many labels as images.
    pub fn with_labels(mut self, labels: Vec<u8>) -> Result<Self> {
        if labels.len() != self.count {
            let what = format!("{}, expected {}", self.counted(&labels), self.count);
            return Err(Error::new(ErrorKind::Data, what).hint("give one label for each image"));
        }
        self.labels = Some(Labels { values: labels, names: None });
        Ok(self)
    }

    /// The class of each image, where the files have labels: an IDX file beside the images' in their
    /// folder, an array of the archive, the column `label`, or the folders that pictures lie in.
    #[must_use]
    pub fn labels(&self) -> Option<&[u8]> {
        self.labels.as_ref().map(|labels| labels.values.as_slice())
    }

    /// Refuses data whose labels are not those that a model of so many classes is told; one of 0 classes
    /// is told none.
    ///
    /// # Errors
    ///
    /// If there are classes and an image has none, or one that the model does not know.
    pub fn check_classes(&self, classes: usize) -> Result<()> {
        if classes == 0 {
            return Ok(());
        }
        let Some(labels) = self.labels() else {
            let none =
                self.label_fault().map_or("the images have no labels".to_owned(), str::to_owned);
            let what =
                format!("{none}, and a model of {classes} classes must be told the class of each");
            return Err(Error::new(ErrorKind::Data, what)
                .hint("give images with labels, or leave out `--classes` to model images alone"));
        };
        let largest = labels.iter().copied().max().map_or(0, usize::from);
        if largest < classes {
            return Ok(());
        }
        let image = labels.iter().position(|&label| usize::from(label) == largest).unwrap_or(0);
        let what = format!(
            "image {image} has the class {largest}; the model knows {classes} classes, counted from 0"
        );
        Err(Error::new(ErrorKind::Data, what).hint(format!(
            "`--classes {}` makes a model that knows all classes of these images",
            largest.saturating_add(1)
        )))
    }

    /// The names of the classes, where they have names: those of the folders that pictures lie in, the words
    /// of a table, the characters of EMNIST.
    #[must_use]
    pub fn class_names(&self) -> Option<&[String]> {
        self.labels.as_ref()?.names.as_deref()
    }

    /// What is known of the classes of the images to train on and of those to test on.
    pub(super) fn classes_in_words(&self, test: &Self) -> Option<String> {
        if let Some(fault) = self.label_fault() {
            return Some(format!("labels are not used: {fault}"));
        }
        let counts = |data: &Self| {
            let mut counts = [0_usize; MOST_CLASSES];
            for &label in data.labels().unwrap_or_default() {
                let count = &mut counts[usize::from(label)];
                *count = count.saturating_add(1);
            }
            counts
        };
        let (train, tests) = (counts(self), counts(test));
        let known =
            (0..MOST_CLASSES).filter(|&class| train[class].saturating_add(tests[class]) > 0);
        let known: Vec<usize> = known.collect();
        let (first, last) = (known.first()?, known.last()?);
        let range = |counts: [usize; MOST_CLASSES]| {
            let of = known.iter().map(|&class| counts[class]);
            match (of.clone().min().unwrap_or(0), of.max().unwrap_or(0)) {
                (least, most) if least == most => least.to_string(),
                (least, most) => format!("{least} to {most}"),
            }
        };
        let tested = match test.labels() {
            Some(_) => format!(", {} to test on", range(tests)),
            None => String::new(),
        };
        Some(format!(
            "{} classes, {first} to {last}: {} images of each to train on{tested}",
            known.len(),
            range(train)
        ))
    }

    /// Why there are labels that cannot be used, if there are such.
    #[must_use]
    pub fn label_fault(&self) -> Option<&str> {
        self.label_fault.as_deref()
    }

    fn counted(&self, labels: &[u8]) -> String {
        format!("{} labels for {} images", labels.len(), self.count)
    }

    /// Gives the classes the numbers that they have in another dataset, by their names. Those that it
    /// lacks come behind its own.
    pub(super) fn numbered_as(mut self, path: &Path, other: &Self) -> Result<Self> {
        let (Some(names), Some(labels)) = (other.class_names(), &mut self.labels) else {
            return Ok(self);
        };
        let Some(own) = &mut labels.names else { return Ok(self) };
        let mut all = names.to_vec();
        let mut numbers = Vec::new();
        for name in own.iter() {
            let place = all.iter().position(|other| other == name).unwrap_or(all.len());
            numbers.push(check_class(path, place)?);
            if place == all.len() {
                all.push(name.clone());
            }
        }
        for value in &mut labels.values {
            *value = numbers.get(usize::from(*value)).copied().unwrap_or(*value);
        }
        *own = all;
        Ok(self)
    }
}

/// The number of a class as a byte.
pub(super) fn check_class(path: &Path, class: usize) -> Result<u8> {
    u8::try_from(class).map_err(|_| {
        let what = format!(
            "has the class {class}, expected {MOST_CLASSES} folders of pictures at the most"
        );
        Error::data(path, what).hint("if they are no classes, put all pictures into one folder")
    })
}
