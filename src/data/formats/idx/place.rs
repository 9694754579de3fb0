//! Where files of the MNIST family lie: in a folder or a little below it, beside one that is named, or in a
//! zip.
#![warn(clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::config::Range;
use crate::data::formats::idx::family::{Files, Name, families, labels_name, mapped};
use crate::data::formats::idx::mapping;
use crate::data::formats::idx::stream::Source;
use crate::data::formats::idx::{classes_of, find_images, raw_of};
use crate::data::raw::{Found, Raw};
use crate::data::source::{self, Ask};
use crate::error::{Error, Result};

/// Folders are looked into so far below: torchvision keeps its files in `MNIST/raw`.
const MOST_DEEP: usize = 2;

/// So many folders side by side are looked into: more are classes of pictures.
const MOST_FOLDERS: usize = 64;

/// How the families of EMNIST begin, whose images lie column by column.
const TURNED: &str = "emnist";

/// A file: on the disk, or unpacked from an archive.
enum File {
    Disk(PathBuf),
    Memory(PathBuf, Vec<u8>),
}

impl File {
    fn path(&self) -> &Path {
        match self {
            Self::Disk(path) | Self::Memory(path, _) => path,
        }
    }

    fn source(&self) -> Result<Source<'_>> {
        match self {
            Self::Disk(path) => Source::open(path),
            Self::Memory(path, bytes) => Source::over(path, bytes.as_slice(), bytes.len() as u64),
        }
    }

    fn read(self) -> Result<Vec<u8>> {
        match self {
            Self::Disk(path) => source::read(&path),
            Self::Memory(_, bytes) => Ok(bytes),
        }
    }
}

/// Reads the images of a folder, if files of the family lie in it or in folders below it.
///
/// # Errors
///
/// If there are several families or several such folders, or a file cannot be read.
pub(in crate::data) fn read_folder(folder: &Path, ask: Ask<'_>) -> Result<Option<Found>> {
    let mut level = vec![folder.to_owned()];
    for _ in 0..=MOST_DEEP {
        let mut places = Vec::new();
        for folder in &level {
            let files = list(folder);
            if families(names(&files)).values().any(Files::has_images) {
                places.push((folder, files));
            }
        }
        match places.as_slice() {
            [] => {}
            [(place, files)] => {
                let path_of = |at: usize| files[at].1.clone();
                let (family, chosen, note) = only(place, families(names(files)), path_of)?;
                let mut load = |at: usize| Ok(File::Disk(path_of(at)));
                let found = assemble(place, (&family, chosen), &mut load, ask)?;
                return Ok(Some(found.noted(note).below(folder, place)));
            }
            [(first, _), ..] => {
                let listed: Vec<_> = places.iter().map(|(at, _)| quoted(at)).take(16).collect();
                let what = format!("holds IDX files in {}", listed.join(", "));
                return Err(Error::data(folder, what)
                    .hint(format!("name one of them, such as {}", quoted(first))));
            }
        }
        level = level.iter().flat_map(|folder| folders(folder)).take(MOST_FOLDERS).collect();
    }
    Ok(None)
}

/// Reads a file of images with what lies beside it: its classes, and if it is to train, the images to test
/// on.
///
/// # Errors
///
/// As [`read`](super::read).
pub(in crate::data) fn read_file(path: &Path, ask: Ask<'_>) -> Result<Found> {
    let alone = || raw_of(Source::open(path)?, ask);
    if ask.config.range == Range::ByFile {
        return alone().map(Raw::into);
    }
    let folder = folder_of(path);
    let own = path.file_name().unwrap_or_default().to_string_lossy();
    let Some(name) = Name::parse(&own) else {
        let images = alone()?;
        let beside = labels_name(&own).map(|labels| folder.join(labels));
        return Ok(match beside.filter(|path| path.is_file()) {
            Some(labels) => with_classes(images, &File::Disk(labels)).into(),
            None => images.into(),
        });
    };
    // It comes first, whatever else says the same.
    let mut files = vec![(own.clone().into_owned(), path.to_owned())];
    files.extend(list(folder).into_iter().filter(|(_, other)| other != path));
    let others = files.iter().map(|(name, _)| name.as_str());
    let mut chosen = families(others).remove(&name.family).unwrap_or_default();
    let set = if name.test { &mut chosen.test } else { &mut chosen.train };
    set[0] = Some(0);
    if name.test {
        chosen = Files { train: chosen.test, test: [None; 2], ..chosen };
    }
    let mut load = |at: usize| Ok(File::Disk(files[at].1.clone()));
    let found = assemble(path, (&name.family, chosen), &mut load, ask)?;
    let beside = chosen.test[0]
        .map(|at| format!("the images to test on are those of `{}` beside it", files[at].0));
    Ok(found.noted(beside))
}

/// The files that may be read with one that is named.
pub(in crate::data) fn beside(path: &Path) -> Vec<PathBuf> {
    let folder = folder_of(path);
    let own = path.file_name().unwrap_or_default().to_string_lossy();
    let labels = labels_name(&own).map(|labels| folder.join(labels));
    let labels = labels.into_iter().filter(|path| path.is_file());
    match Name::parse(&own) {
        Some(_) => list(folder).into_iter().map(|(_, path)| path).chain(labels).collect(),
        None => labels.collect(),
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Reads the images of an archive, if files of the family are among its members; `load` unpacks one.
///
/// # Errors
///
/// If there are several families, or a file cannot be read.
pub(in crate::data) fn read_archive(
    path: &Path,
    members: &[String],
    load: &mut dyn FnMut(usize) -> Result<Vec<u8>>,
    ask: Ask<'_>,
) -> Result<Option<Found>> {
    let base = |name: &String| name.rsplit('/').next().unwrap_or_default().to_owned();
    let bases: Vec<String> = members.iter().map(base).collect();
    let found = families(bases.iter().map(String::as_str));
    if !found.values().any(Files::has_images) {
        return Ok(None);
    }
    let (family, files, note) = only(path, found, |at| path.join(&bases[at]))?;
    let mut load = |at: usize| Ok(File::Memory(path.join(&bases[at]), load(at)?));
    Ok(Some(assemble(path, (&family, files), &mut load, ask)?.noted(note)))
}

/// The one family among several. MNIST's own names, which have no family, come before others, which is said.
fn only(
    of: &Path,
    found: BTreeMap<String, Files>,
    path_of: impl Fn(usize) -> PathBuf,
) -> Result<(String, Files, Option<String>)> {
    let mut found: Vec<_> = found.into_iter().filter(|(_, files)| files.has_images()).collect();
    let listed: Vec<_> =
        found.iter().map(|(family, _)| format!("`{}`", family.escape_debug())).collect();
    let own = found.first().is_some_and(|(family, _)| family.is_empty());
    if found.len() > 1 && !own {
        let images = found.iter().find_map(|(_, files)| files.train[0].or(files.test[0]));
        let what = format!("holds several sets of images: {}", listed.join(", "));
        return Err(Error::data(of, what).hint(format!(
            "name the file of the training images of one, such as {}: its classes and its images to test on \
             are found beside it",
            quoted(&path_of(images.unwrap_or_default()))
        )));
    }
    let note = (found.len() > 1)
        .then(|| format!("{} beside MNIST's names is left out", listed[1..].join(", ")));
    let (family, files) = found.drain(..).next().unwrap_or_default();
    Ok((family, files, note))
}

/// The images and classes of one family.
fn assemble(
    of: &Path,
    (family, files): (&str, Files),
    load: &mut dyn FnMut(usize) -> Result<File>,
    ask: Ask<'_>,
) -> Result<Found> {
    let characters = files.mapping.filter(|_| ask.config.range != Range::ByFile).map(|at| {
        let file = load(at)?;
        let path = file.path().to_owned();
        mapping::read(&path, &file.read()?)
    });
    let mut set = |[images, labels]: [Option<usize>; 2]| {
        let Some(images) = images else { return Ok(None) };
        let images = raw_of(load(images)?.source()?, ask)?;
        let images = match labels {
            Some(labels) => with_classes(images, &load(labels)?),
            None => images,
        };
        let images = match &characters {
            Some(characters) => mapping::named(images, characters),
            None => images,
        };
        let images = match (family, labels) {
            ("qmnist", Some(_)) => images.noted("the first column of QMNIST's labels is the class"),
            _ => images,
        };
        turned(of, images, family, ask).map(Some)
    };
    let Some(train) = set(files.train)? else {
        return Err(find_images(of, "train").err().unwrap_or_else(|| Error::data(of, "has none")));
    };
    Ok(Found { train, test: set(files.test)? })
}

/// Images with the classes of a file, or with what is wrong with it: nobody may have asked for them.
fn with_classes(images: Raw, labels: &File) -> Raw {
    let path = labels.path();
    let read = labels.source().and_then(|source| classes_of(source));
    match read {
        Ok(found) => images.with(found.map_err(|fault| format!("{}: {fault}", quoted(path)))),
        Err(error) => images.with(Err(error.to_string())),
    }
}

/// Images of EMNIST lie column by column, and others as one sees them. Runs that began before there was a
/// choice learned from them as they lie.
fn turned(of: &Path, images: Raw, family: &str, ask: Ask<'_>) -> Result<Raw> {
    if !family.starts_with(TURNED) || ask.config.range == Range::ByFile {
        return Ok(images);
    }
    let upright = images.upright(of)?;
    Ok(upright.noted("the images of EMNIST lie column by column: they are turned upright"))
}

/// The files of the family in a folder. What Kaggle unpacks has folders of the files' names with the files
/// in them; these come last.
fn list(folder: &Path) -> Vec<(String, PathBuf)> {
    let (mut files, mut inside) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        let parsed = Name::parse(&name);
        if path.is_file() {
            if parsed.is_some() || mapped(&name).is_some() {
                files.push((name, path));
            }
            continue;
        }
        let Some(parsed) = parsed else { continue };
        if path.is_dir() {
            let below = fs::read_dir(&path).into_iter().flatten().flatten().take(MOST_FOLDERS);
            for entry in below {
                let name = entry.file_name().to_string_lossy().into_owned();
                let same = Name::parse(&name).is_some_and(|name| name.says_as(&parsed));
                if same && entry.path().is_file() {
                    inside.push((name, entry.path()));
                }
            }
        }
    }
    files.sort();
    inside.sort();
    files.append(&mut inside);
    files
}

/// The folders in a folder that are not hidden.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let hidden = |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(b".");
    let mut found: Vec<_> = entries
        .filter(|entry| !hidden(entry) && entry.file_type().is_ok_and(|kind| !kind.is_file()))
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .take(MOST_FOLDERS)
        .collect();
    found.sort();
    found
}

fn names(files: &[(String, PathBuf)]) -> impl Iterator<Item = &str> {
    files.iter().map(|(name, _)| name.as_str())
}

fn quoted(path: &Path) -> String {
    format!("`{}`", path.display())
}
