//! CIFAR-10 and CIFAR-100 as their authors give them, bare bytes or pickles, in a folder or a tar; and STL-10.
//!
//! A record of bare bytes is a class, or of CIFAR-100 a coarse and a fine one, and 32 × 32 pixels of red, then
//! of green, then of blue.
#![warn(clippy::arithmetic_side_effects)]

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::config::DataConfig;
use crate::data::formats::array::interleaved;
use crate::data::formats::{kinds, pickle, tar};
use crate::data::labels::Labels;
use crate::data::raw::{Found, Kind, Part, Raw};
use crate::data::source::{self, Ask, Start, WHOLE};
use crate::data::stored::{Sink, Space};
use crate::error::{Error, Result};

/// Bytes of an image.
const IMAGE: usize = 3 * 32 * 32;

/// Bytes of an image of STL-10.
const STL: usize = 3 * 96 * 96;

/// So many files to train there are of CIFAR-10.
const BATCHES: usize = 5;

/// The classes of each byte before the pixels: of CIFAR-10, and of CIFAR-100 coarse and fine.
const CLASSES: [&[u8]; 2] = [&[10], &[20, 100]];

/// Whether a file has the length of CIFAR's records, and starts with a class.
pub(in crate::data) fn may_be(start: &Start) -> bool {
    !start.packed && classes_of(start.len, &start.bytes).is_some()
}

/// Whether a file has a name and the length of images of STL-10.
pub(in crate::data) fn may_be_stl(name: &str, start: &Start) -> bool {
    let whole = start.len > 0 && start.len.is_multiple_of(STL as u64);
    !start.packed && whole && name.ends_with("x.bin")
}

/// Which classes stand before the pixels, by a file's length and its first record.
fn classes_of(len: u64, bytes: &[u8]) -> Option<&'static [u8]> {
    CLASSES.into_iter().find(|classes| {
        let record = IMAGE.saturating_add(classes.len()) as u64;
        let fits = bytes.iter().zip(*classes).all(|(byte, most)| byte < most);
        len > 0 && len.is_multiple_of(record) && fits
    })
}

/// Reads a batch of bare bytes; `path` is named in errors. Of CIFAR-100 the fine classes are taken.
///
/// # Errors
///
/// A [`Data`](crate::ErrorKind::Data) error if the bytes are no whole records, or have a class that there
/// is none of.
pub fn read(path: &Path, bytes: &[u8], config: &DataConfig) -> Result<Raw> {
    let ask = Ask { config, space: &Space::default() };
    read_from(path, (&mut &*bytes, bytes.len() as u64), ask)
}

/// The same of a stream of so many bytes.
fn read_from(path: &Path, (from, len): (&mut dyn BufRead, u64), ask: Ask<'_>) -> Result<Raw> {
    let refuse = |what: String| {
        Error::data(path, what).hint(
            "a record of CIFAR-10 has 3073 bytes, a class first; one of CIFAR-100 has 3074; fetch the file again",
        )
    };
    let start = from.fill_buf().map_err(|error| cut_off(path, error))?;
    let Some(classes) = classes_of(len, start) else {
        return Err(refuse(format!("holds {len} bytes, which are no whole records of CIFAR")));
    };
    let record = IMAGE.saturating_add(classes.len());
    let count = len.checked_div(record as u64).unwrap_or_default();
    let pixels = count.saturating_mul(IMAGE as u64);
    let mut sink = Sink::new((path, ask.space), IMAGE, (pixels, pixels), true)?;
    let (mut labels, mut image) = (Vec::new(), Vec::with_capacity(IMAGE));
    let mut buffer = vec![0; record];
    for at in 0..count {
        from.read_exact(&mut buffer).map_err(|error| cut_off(path, error))?;
        let (told, planes) = buffer.split_at(classes.len());
        if let Some((class, most)) = told.iter().zip(classes).find(|(class, most)| class >= most) {
            return Err(refuse(format!(
                "record {at} is of the class {class}, expected one below {most}"
            )));
        }
        labels.extend(told.last());
        image.clear();
        interleaved(planes, [32, 32, 3], false, &mut image);
        sink.push(Part::Bytes(&image))?;
    }
    let raw = Raw::new(path, [32, 32, 3].into(), sink.done()?, Kind::Bytes)?;
    let raw = raw.with(Ok(Labels { values: labels, names: None }));
    Ok(match classes.len() {
        1 => raw,
        _ => raw.noted("the classes are the fine ones of CIFAR-100, not the coarse"),
    })
}

/// A file that became shorter while it was read, or cannot be read.
fn cut_off(path: &Path, error: io::Error) -> Error {
    Error::io("read", path, error).hint(WHOLE)
}

/// Reads one file of CIFAR that was named.
pub(in crate::data) fn read_file(path: &Path, ask: Ask<'_>) -> Result<Found> {
    let (file, len) = source::open(path)?;
    let raw = read_from(path, (&mut BufReader::new(file), len), ask)?;
    let alone =
        "this file of CIFAR is read alone: its folder has all to train, and those to test on";
    Ok(raw.noted(alone).into())
}

/// Reads images of STL-10, with the classes in the file beside it whose name has a `y`, and if it is to train,
/// those of the file beside it that is to test.
pub(in crate::data) fn read_stl(path: &Path, ask: Ask<'_>) -> Result<Found> {
    let train = stl(path, ask)?;
    let [_, Some(beside)] = stl_beside(path) else { return Ok(train.into()) };
    let note = format!("the images to test on are those of `{}`", beside.display());
    Ok(Found { train: train.noted(note), test: Some(stl(&beside, ask)?) })
}

/// The classes of STL-10's images, and the images to test on if these are to train, as far as they are there.
fn stl_beside(path: &Path) -> [Option<PathBuf>; 2] {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let classes = name.strip_suffix("X.bin").map(|name| format!("{name}y.bin"));
    let test = name.contains("train").then(|| name.replacen("train", "test", 1));
    let beside = |name: String| Some(path.with_file_name(name)).filter(|path| path.is_file());
    [classes.and_then(beside), test.and_then(beside)]
}

/// The files that may be read with one that is named.
pub(in crate::data) fn beside(path: &Path) -> Vec<PathBuf> {
    let [classes, test] = stl_beside(path);
    let theirs = test.as_deref().map(stl_beside).into_iter().flatten();
    theirs.chain([classes, test.clone()]).flatten().collect()
}

fn stl(path: &Path, ask: Ask<'_>) -> Result<Raw> {
    let (file, len) = source::open(path)?;
    let raw = stl_from(path, (&mut BufReader::new(file), len), ask.space)?;
    let [Some(labels), _] = stl_beside(path) else { return Ok(raw) };
    let values = source::read(&labels)?;
    let fault = format!("`{}` has classes other than 1 to 10", labels.display());
    let lower: Option<Vec<u8>> =
        values.iter().map(|v| v.checked_sub(1).filter(|&v| v < 10)).collect();
    let raw = raw.with(lower.map(|values| Labels { values, names: None }).ok_or(fault));
    Ok(raw.noted("the classes 1 to 10 of STL-10 are numbered from 0"))
}

/// Reads images of STL-10; `path` is named in errors. They are bare bytes of 96 × 96 pixels, plane by plane and
/// column by column.
///
/// # Errors
///
/// A [`Data`](crate::ErrorKind::Data) error if the bytes are no whole images.
pub fn stl_images(path: &Path, bytes: &[u8]) -> Result<Raw> {
    stl_from(path, (&mut &*bytes, bytes.len() as u64), &Space::default())
}

/// The same of a stream of so many bytes.
fn stl_from(path: &Path, (from, len): (&mut dyn Read, u64), space: &Space<'_>) -> Result<Raw> {
    if len == 0 || !len.is_multiple_of(STL as u64) {
        let what = format!("holds {len} bytes, expected {STL} for each image of STL-10");
        return Err(Error::data(path, what).hint(WHOLE));
    }
    let mut sink = Sink::new((path, space), STL, (len, len), true)?;
    let (mut planes, mut image) = (vec![0; STL], Vec::with_capacity(STL));
    for _ in 0..len.checked_div(STL as u64).unwrap_or_default() {
        from.read_exact(&mut planes).map_err(|error| cut_off(path, error))?;
        image.clear();
        interleaved(&planes, [96, 96, 3], true, &mut image);
        sink.push(Part::Bytes(&image))?;
    }
    let raw = Raw::new(path, [96, 96, 3].into(), sink.done()?, Kind::Bytes)?;
    Ok(raw.noted("images of STL-10 lie column by column: they are turned upright"))
}

/// The files of one copy, by their places in a list of names.
#[derive(Debug, Default, PartialEq)]
struct Files {
    train: Vec<usize>,
    test: Option<usize>,
    /// The names of the classes.
    names: Option<usize>,
    /// Whether those are CIFAR-10's, of which there are five to train.
    ten: bool,
}

/// Finds the files of CIFAR among names: those of bare bytes, or those that are pickled.
fn find(names: &[String]) -> Option<Files> {
    let place = |name: &str| names.iter().position(|other| other.eq_ignore_ascii_case(name));
    for (ending, ten, hundred) in
        [(".bin", "batches.meta.txt", "fine_label_names.txt"), ("", "batches.meta", "meta")]
    {
        let of = |name: &str| place(&format!("{name}{ending}"));
        let train: Vec<_> = (1..=BATCHES).filter_map(|i| of(&format!("data_batch_{i}"))).collect();
        if !train.is_empty() {
            return Some(Files { train, test: of("test_batch"), names: place(ten), ten: true });
        }
        let names = place(hundred);
        // Without an ending such names are not CIFAR's alone.
        if let (Some(train), Some(test)) = (of("train"), of("test"))
            && (names.is_some() || !ending.is_empty())
        {
            return Some(Files { train: vec![train], test: Some(test), names, ten: false });
        }
    }
    None
}

/// Reads the batches of a folder or of the only folder in it that has some, if there are such.
///
/// # Errors
///
/// If one cannot be read.
pub(in crate::data) fn read_folder(folder: &Path, ask: Ask<'_>) -> Result<Option<Found>> {
    const FEW: usize = 64;
    let list = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).take(4096).collect::<Vec<PathBuf>>()
    };
    let top = list(folder);
    let below = top.iter().filter(|path| path.is_dir()).take(FEW).cloned();
    for place in [folder.to_owned()].into_iter().chain(below) {
        let paths: Vec<_> = list(&place).into_iter().filter(|path| path.is_file()).collect();
        let name =
            |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let names: Vec<String> = paths.iter().map(name).collect();
        if let Some(files) = find(&names) {
            let mut load = |at: usize| Ok((paths[at].clone(), source::content(&paths[at])?));
            let found = assemble(&place, &files, &mut load, ask)?;
            return Ok(Some(found.below(folder, &place)));
        }
    }
    Ok(None)
}

/// Reads the batches in a tar.
///
/// # Errors
///
/// If there are none, or one cannot be read.
pub fn read_tar(path: &Path, bytes: &[u8], config: &DataConfig) -> Result<Found> {
    read_tar_in(path, bytes, Ask { config, space: &Space::default() })
}

/// The same where there is so much room.
pub(in crate::data) fn read_tar_in(path: &Path, bytes: &[u8], ask: Ask<'_>) -> Result<Found> {
    let members = tar::members(path, bytes)?;
    let names: Vec<String> = members.iter().map(|(name, _)| name.clone()).collect();
    let Some(files) = find(&names) else {
        let first = names.first().map(|name| format!(", such as `{}`", name.escape_debug()));
        let what = format!("is a tar of {} files{}", names.len(), first.unwrap_or_default());
        return Err(kinds::must_unpack(path, &what, "tar xf"));
    };
    let mut load = |at: usize| Ok((path.join(&members[at].0), members[at].1.to_vec()));
    assemble(path, &files, &mut load, ask)
}

/// A path and what is there.
type Loaded = Result<(PathBuf, Vec<u8>)>;

fn assemble(
    of: &Path,
    files: &Files,
    load: &mut dyn FnMut(usize) -> Loaded,
    ask: Ask<'_>,
) -> Result<Found> {
    let names = files.names.map(&mut *load).transpose()?;
    let names = names.and_then(|(path, bytes)| class_names(&path, &bytes));
    let mut batch = |at: usize| {
        let (path, bytes) = load(at)?;
        let mut raw = match pickle::is_one(&bytes) {
            true => pickle::read_batch(&path, &bytes, ask.config)?,
            false => read(&path, &bytes, ask.config)?,
        };
        if let (Some(labels), Some(names)) = (&mut raw.labels, &names) {
            let all = labels.values.iter().all(|&class| usize::from(class) < names.len());
            labels.names = all.then(|| names.clone());
        }
        Ok::<_, Error>(raw)
    };
    // Batches are in memory one by one, and all of them where there is room.
    let mut all = |files: &[usize]| {
        let mut all = batch(files.first().copied().unwrap_or_default())?;
        let mut sink = all.sink((of, ask.space), files.len())?;
        for &at in files.iter().skip(1) {
            all = all.joined(of, batch(at)?, &mut sink)?;
        }
        all.values = sink.done()?;
        Ok::<_, Error>(all)
    };
    let mut train = all(&files.train)?;
    let found = files.train.len();
    if files.ten && found != BATCHES {
        train =
            train.noted(format!("{found} of the {BATCHES} batches of CIFAR-10 are there to train"));
    }
    Ok(Found { train, test: files.test.map(|at| all(&[at])).transpose()? })
}

/// The names of classes: a line for each, or a pickle.
fn class_names(path: &Path, bytes: &[u8]) -> Option<Vec<String>> {
    if pickle::is_one(bytes) {
        return pickle::read_names(path, bytes);
    }
    let lines = str::from_utf8(bytes).ok()?.lines().map(|line| line.trim().to_owned());
    let names: Vec<String> = lines.filter(|line| !line.is_empty()).take(256).collect();
    (!names.is_empty()).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_their_names() {
        let names =
            |names: &[&str]| -> Vec<String> { names.iter().map(|&name| name.to_owned()).collect() };
        let of = |given: &[&str]| find(&names(given));
        let ten = Files { train: vec![2, 0], test: Some(1), names: Some(3), ten: true };
        let found =
            of(&["data_batch_2.bin", "test_batch.bin", "data_batch_1.bin", "batches.meta.txt"]);
        assert_eq!(found, Some(ten), "CIFAR-10, bare");
        let hundred = Files { train: vec![0], test: Some(1), names: Some(2), ten: false };
        assert_eq!(of(&["train", "test", "meta"]), Some(hundred), "CIFAR-100, pickled");
        assert_eq!(of(&["train", "test"]), None, "no names of classes");
        assert_eq!(of(&["test_batch.bin"]), None, "none to train");
    }
}
