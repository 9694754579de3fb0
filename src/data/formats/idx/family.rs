//! The names that files of the MNIST family have, and which of them belong together.

use std::collections::BTreeMap;

/// What the name of a file says: `emnist-letters-train-images-idx3-ubyte.gz` is of `emnist-letters`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// What stands before the name of the set; MNIST's own files have nothing there.
    pub(super) family: String,
    /// Whether it is of the images, or classes, to test on.
    pub(super) test: bool,
    /// Whether it is of classes.
    pub(super) labels: bool,
    /// Of two files that say the same, which comes first: a plain one, and one with the hyphen.
    rank: (bool, bool),
}

/// How files of each set are called.
const SETS: [(&str, bool); 3] = [("train", false), ("t10k", true), ("test", true)];

impl Name {
    /// Reads a name, if it is one of the family.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let packed = name.ends_with(".gz");
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        let (before, labels, after) = [("images", false), ("labels", true)]
            .into_iter()
            .find_map(|(word, labels)| name.rsplit_once(word).map(|(a, b)| (a, labels, b)))?;
        let (dotted, kind) = match after.strip_prefix('-') {
            Some(kind) => (false, kind),
            None => (true, after.strip_prefix('.')?),
        };
        let (dims, _) = kind.strip_prefix("idx")?.split_once('-')?;
        dims.parse::<u8>().ok()?;
        let before = before.strip_suffix('-')?;
        let (family, set) = before.rsplit_once('-').unwrap_or(("", before));
        let (_, test) = SETS.into_iter().find(|(word, _)| *word == set)?;
        Some(Self { family: family.to_owned(), test, labels, rank: (packed, dotted) })
    }

    /// Whether two names say the same, in other letters perhaps.
    pub(super) fn says_as(&self, other: &Self) -> bool {
        let of = |name: &Self| (name.family.clone(), name.test, name.labels);
        of(self) == of(other)
    }
}

/// The files of one family, by their places in a list: the images and the classes to train, then those to
/// test, and the one that names the classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) train: [Option<usize>; 2],
    pub(super) test: [Option<usize>; 2],
    pub(super) mapping: Option<usize>,
}

/// How the file is called that names the classes of a family, behind the family's name.
const MAPPING: &str = "-mapping.txt";

/// The family whose classes a file of this name names: `emnist-letters` of `emnist-letters-mapping.txt`.
pub(super) fn mapped(name: &str) -> Option<String> {
    name.to_ascii_lowercase().strip_suffix(MAPPING).map(str::to_owned)
}

impl Files {
    pub(super) fn has_images(&self) -> bool {
        self.train[0].is_some() || self.test[0].is_some()
    }
}

/// The families among so many names. Of two files that say the same, the first in the order of [`Name`]
/// counts, else the first.
pub(super) fn families<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<String, Files> {
    let mut found: BTreeMap<String, Files> = BTreeMap::new();
    let mut parsed = Vec::new();
    for (at, name) in names.enumerate() {
        parsed.push((at, Name::parse(name)));
        if let Some(family) = mapped(name) {
            found.entry(family).or_default().mapping.get_or_insert(at);
        }
    }
    // The first of its rank comes first.
    parsed.sort_by_key(|(_, name)| name.as_ref().map(|name| name.rank));
    for (at, name) in parsed {
        let Some(name) = name else { continue };
        let files = found.entry(name.family).or_default();
        let set = if name.test { &mut files.test } else { &mut files.train };
        set[usize::from(name.labels)].get_or_insert(at);
    }
    found
}

/// How the file of the classes is probably called that belong to images of this name.
pub(super) fn labels_name(images: &str) -> Option<String> {
    let (before, after) = images.rsplit_once("images")?;
    let ones = ["idx2", "idx3", "idx4"]
        .iter()
        .fold(after.to_owned(), |name, idx| name.replace(idx, "idx1"));
    Some(format!("{before}labels{ones}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_family_are_known() {
        let of = |name| Name::parse(name).map(|n| (n.family, n.test, n.labels));
        let is = |family: &str, test, labels| Some((family.to_owned(), test, labels));
        for (name, expected) in [
            ("train-images-idx3-ubyte", is("", false, false)),
            ("t10k-labels.idx1-ubyte.gz", is("", true, true)),
            ("emnist-letters-test-images-idx3-ubyte.gz", is("emnist-letters", true, false)),
            ("qmnist-train-labels-idx2-int.gz", is("qmnist", false, true)),
            ("Train-Images-IDX4-ubyte", is("", false, false)),
            ("images-idx3-ubyte", None),
            ("train-images", None),
            ("train-images-idx-ubyte", None),
            ("my-train-pictures-idx3-ubyte", None),
            ("emnist-letters-mapping.txt", None),
        ] {
            assert_eq!(of(name), expected, "{name}");
        }
        let labels = labels_name("rgb-images.idx4-ubyte.gz");
        assert_eq!(labels.as_deref(), Some("rgb-labels.idx1-ubyte.gz"), "beside images");
    }

    #[test]
    fn a_plain_file_comes_first() {
        let names = [
            "t10k-images-idx3-ubyte.gz",
            "train-images.idx3-ubyte",
            "emnist-digits-train-labels-idx1-ubyte",
            "t10k-images.idx3-ubyte",
            "train-images-idx3-ubyte",
            "train-images-idx3-ubyte",
            "emnist-digits-mapping.txt",
        ];
        let found = families(names.into_iter());
        let mnist = Files { train: [Some(4), None], test: [Some(3), None], mapping: None };
        assert_eq!(found.get(""), Some(&mnist), "those of MNIST");
        let emnist = Files { train: [None, Some(2)], test: [None; 2], mapping: Some(6) };
        assert_eq!(found.get("emnist-digits"), Some(&emnist), "those of EMNIST");
        assert!(mnist.has_images() && !emnist.has_images(), "images");
    }
}
