//! Which files of a folder are pictures, of which class, to train or to test on.
#![warn(clippy::arithmetic_side_effects)]

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::decode::{LOOKED_AT, shown};
use super::kinds::Format;
use super::names::Named;
use super::notes::counted;
use crate::data::labels::Labels;
use crate::error::{Error, Result};

/// The most folders in each other, and in all: links may lead around.
const MOST_DEPTH: usize = 32;
const MOST_FOLDERS: usize = 100_000;

/// Files of which the first is named.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) count: usize,
    pub(super) first: Option<PathBuf>,
}

impl Counted {
    fn add(&mut self, path: &Path) {
        self.count = self.count.saturating_add(1);
        self.first.get_or_insert_with(|| path.to_owned());
    }
}

/// What is in a folder.
#[derive(Debug, Default)]
struct Tree {
    path: PathBuf,
    pictures: Vec<PathBuf>,
    /// Those with pictures in them, by their names.
    below: Vec<Self>,
}

impl Tree {
    fn count(&self) -> usize {
        self.below.iter().map(Self::count).fold(self.pictures.len(), usize::saturating_add)
    }

    fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// All pictures, those of the folder itself first.
    fn all(self) -> Vec<PathBuf> {
        let below = self.below.into_iter().flat_map(Self::all);
        self.pictures.into_iter().chain(below).collect()
    }
}

/// Pictures with their classes, if they lie in folders of classes.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) pictures: Vec<PathBuf>,
    pub(super) labels: Option<std::result::Result<Labels, String>>,
}

/// What was found in a folder.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) train: Listing,
    pub(super) test: Option<Listing>,
    /// What was taken for the test images, if that is not plain.
    pub(super) said: Option<String>,
    /// What of it is not read, in words.
    pub(super) left: Vec<String>,
}

/// Looks for pictures.
///
/// Where there are folders `train` (or `training`) and `test` (`testing`), or `val` (`valid`,
/// `validation`) if there is no test folder, in letters of any case, these are the two sets. Else, and in
/// each of them, it is the pictures in the folder itself; if there are none, those in its subfolders, which
/// then are the classes, with all that lies deeper. A folder with nothing but one folder of folders is
/// that one.
pub(super) fn list(folder: &Path) -> Result<Listed> {
    let mut finder = Finder::new(folder);
    let mut tree = finder.look(folder, 0)?;
    if tree.count() == 0 {
        return Err(finder.nothing());
    }
    while let ([], [one]) = (tree.pictures.as_slice(), tree.below.as_slice())
        && one.pictures.is_empty()
        && let Some(one) = tree.below.pop()
    {
        tree = one;
    }
    let (train, test) = finder.sets(tree);
    let mut left = finder.left;
    for (counted, one, many) in [
        (
            finder.unread,
            "picture of a kind that is not read",
            "pictures of kinds that are not read",
        ),
        (finder.others, "file that is no picture", "files that are no pictures"),
    ] {
        if let Some(first) = counted.first {
            let first = inside(folder, &first);
            left.push(match counted.count {
                1 => format!("1 {one}, `{first}`"),
                count => format!("{count} {many}, such as `{first}`"),
            });
        }
    }
    Ok(Listed { train, test, said: finder.said, left })
}

/// A path as it is called inside a folder.
pub(super) fn inside(folder: &Path, path: &Path) -> String {
    shown(&path.strip_prefix(folder).unwrap_or(path).to_string_lossy())
}

struct Finder<'a> {
    root: &'a Path,
    /// Real paths of the folders above, so that no link leads around.
    above: HashSet<PathBuf>,
    folders: usize,
    unread: Counted,
    others: Counted,
    said: Option<String>,
    left: Vec<String>,
}

/// What part of a dataset a folder's name says it is.
fn role(name: &str) -> Option<usize> {
    let name = name.to_ascii_lowercase();
    let names: [&[&str]; 3] =
        [&["train", "training"], &["test", "testing"], &["val", "valid", "validation"]];
    names.iter().position(|names| names.contains(&name.as_str()))
}

impl<'a> Finder<'a> {
    fn new(root: &'a Path) -> Self {
        let (unread, others) = (Counted::default(), Counted::default());
        Self {
            root,
            above: HashSet::new(),
            folders: 0,
            unread,
            others,
            said: None,
            left: Vec::new(),
        }
    }

    /// Reads a folder and all below it.
    fn look(&mut self, folder: &Path, depth: usize) -> Result<Tree> {
        let mut tree = Tree { path: folder.to_owned(), ..Tree::default() };
        let fail = |error| refuse("read the folder", folder, error);
        let real = fs::canonicalize(folder).map_err(fail)?;
        self.folders = self.folders.saturating_add(1);
        if self.folders > MOST_FOLDERS {
            let what = format!("holds more than {MOST_FOLDERS} folders");
            return Err(Error::data(self.root, what)
                .hint("links may lead around in it: give the folder that the pictures lie in"));
        }
        if depth > MOST_DEPTH || !self.above.insert(real.clone()) {
            let name = inside(self.root, folder);
            self.left.push(format!("`{name}`, a link that leads around"));
            return Ok(tree);
        }
        let mut folders = Vec::new();
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(fail)? {
            paths.push(entry.map_err(fail)?.path());
        }
        paths.sort();
        for path in paths {
            let name = path.file_name().unwrap_or_default();
            let kept = ["__MACOSX", "Thumbs.db", "desktop.ini"];
            if name.as_encoded_bytes().starts_with(b".") || kept.iter().any(|kept| name == *kept) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if is_picture(&path) {
                tree.pictures.push(path);
            } else if Named::of(&path) == Named::Unread {
                self.unread.add(&path);
            } else {
                self.others.add(&path);
            }
        }
        for path in folders {
            let below = self.look(&path, depth.saturating_add(1))?;
            if below.count() > 0 {
                tree.below.push(below);
            }
        }
        self.above.remove(&real);
        Ok(tree)
    }

    /// Divides what was found.
    fn sets(&mut self, mut tree: Tree) -> (Listing, Option<Listing>) {
        let of = |wanted| tree.below.iter().position(|below| role(&below.name()) == Some(wanted));
        let [train, test, val] = [of(0), of(1), of(2)];
        let (Some(train), Some(test)) = (train, test.or(val)) else {
            return (self.listing(tree), None);
        };
        let mut below: Vec<_> = std::mem::take(&mut tree.below).into_iter().map(Some).collect();
        let mut take =
            |place: usize| below.get_mut(place).and_then(Option::take).unwrap_or_default();
        let (train, test) = (take(train), take(test));
        if role(&test.name()) == Some(2) {
            let name = inside(self.root, &test.path);
            self.said =
                Some(format!("the folder `{name}` is to test on, since there is none of tests"));
        }
        tree.below = below.into_iter().flatten().collect();
        self.leave(&tree);
        (self.listing(train), Some(self.listing(test)))
    }

    /// The pictures of one set.
    fn listing(&mut self, mut tree: Tree) -> Listing {
        if !tree.pictures.is_empty() {
            let pictures = std::mem::take(&mut tree.pictures);
            self.leave(&tree);
            return Listing { pictures, labels: None };
        }
        if let [one] = tree.below.as_slice()
            && one.pictures.is_empty()
            && let Some(one) = tree.below.pop()
        {
            return self.listing(one);
        }
        let names: Vec<_> = tree.below.iter().map(Tree::name).collect();
        let (mut pictures, mut values) = (Vec::new(), Vec::new());
        for (class, below) in tree.below.into_iter().enumerate() {
            pictures.extend(below.all());
            values.resize(pictures.len(), class as u8);
        }
        let labels = match names.len() {
            0..=256 => Ok(Labels { values, names: Some(names) }),
            many => Err(format!("the pictures lie in {many} folders, more than 256 classes")),
        };
        Listing { pictures, labels: Some(labels) }
    }

    /// Says what is in a folder that is not read.
    fn leave(&mut self, tree: &Tree) {
        if let Some(first) = tree.pictures.first() {
            let (some, first) = (counted(tree.pictures.len()), inside(self.root, first));
            self.left.push(format!("{some} beside the folders, such as `{first}`"));
        }
        for below in &tree.below {
            let (some, name) = (counted(below.count()), inside(self.root, &below.path));
            self.left.push(format!("the folder `{name}` with {some}"));
        }
    }

    /// That there is no picture, and what there is.
    fn nothing(&self) -> Error {
        let Some(first) = &self.unread.first else { return none(self.root) };
        let (count, first) = (self.unread.count, inside(self.root, first));
        let what = format!("holds no picture that is read, but {count} others such as `{first}`");
        Error::data(self.root, what).hint(
            "convert them to PNG or JPEG, as by `magick mogrify -format png` with their names",
        )
    }
}

/// Whether a file is, or is called, a picture of a kind that is read.
fn is_picture(path: &Path) -> bool {
    match Named::of(path) {
        Named::Picture => true,
        Named::Unread => false,
        Named::Else => {
            // No named pipe, which would wait for a writer.
            if !path.is_file() {
                return false;
            }
            let mut start = Vec::new();
            let file = fs::File::open(path);
            let read = file.and_then(|file| file.take(LOOKED_AT as u64).read_to_end(&mut start));
            read.is_ok() && Format::of(&start).is_some()
        }
    }
}

pub(super) fn refuse(action: &str, path: &Path, error: io::Error) -> Error {
    Error::io(action, path, error).hint("give a folder of pictures that can be read")
}

/// That there is no picture.
pub(super) fn none(folder: &Path) -> Error {
    let none = io::Error::from(io::ErrorKind::NotFound);
    Error::io("find IDX files or pictures in", folder, none).hint(
        "IDX files are named train-images-idx3-ubyte and t10k-images-idx3-ubyte, with or without .gz; \
         pictures lie in the folder, or in folders below it, as `train` and `test`, or one for each class",
    )
}
