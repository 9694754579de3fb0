//! What lies at a path decides how it is read: the content of a file, the entries of a folder.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::config::{Background, Channels, Config, DataConfig, Range};
use crate::data::formats::kinds::{self, Kind};
use crate::data::formats::{
    cifar, classes, idx, market, mat, npy, parquet, pickle, pictures, table, zipped,
};
use crate::data::raw::{self, Found, Raw};
use crate::data::reading::Reading;
use crate::data::source::Ask;
use crate::data::stored::{Cache, Entry, Space, fitted};
use crate::data::{Dataset, Room, channels, source, split};
use crate::error::{Error, Result};

/// Where images lie, and by what they are read.
///
/// ```
/// use elbo::Config;
/// use elbo::data::Sources;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// // An IDX file of 60 images of 4 × 4: its header, and a byte for each pixel.
/// let path = folder.join("images-idx3-ubyte");
/// let header = [0x0803, 60, 4, 4_u32].into_iter().flat_map(u32::to_be_bytes);
/// let pixels = (0..60 * 16).map(|i| (i * i % 251) as u8);
/// # let write = |bytes: Vec<u8>| std::fs::write(&path, bytes).unwrap();
/// write(header.chain(pixels).collect());
///
/// let config = Config::default();
/// let opened = Sources::new(&path, &config).open()?;
/// // No file to test on is named or lies there, so a tenth is kept apart.
/// assert_eq!((opened.train.len(), opened.test.len()), (54, 6));
/// // What was decided while reading, in words.
/// opened.said.iter().for_each(|line| println!("{line}"));
/// # Ok::<(), elbo::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The images, and those to test on if they are there too.
    pub data: &'a Path,
    /// The images to test on, if they are elsewhere.
    pub test: Option<&'a Path>,
    /// How files become images, and the model that they must fit.
    pub config: &'a Config,
    /// How the values of the run's own images became pixels; without one it is decided by these images.
    pub reading: Option<&'a Reading>,
    /// The memory that they may take.
    pub room: Room,
    /// Where those lie that take more, and decoded ones for the next run; without it all stay in memory.
    pub cache: Option<Cache<'a>>,
}

/// Is told how many of a folder's pictures are decoded, and how many there are.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Images that were read.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// The images to learn from.
    pub train: Dataset,
    /// The images kept apart for evaluation.
    pub test: Dataset,
    /// Those set apart from the images to learn from, if the configuration asks for such: training looks at
    /// them in place of the test images.
    pub validation: Option<Dataset>,
    /// How their values became pixels.
    pub reading: Reading,
    /// How files became images, with what the images to train on decided where the configuration left it to
    /// them: the channels of pictures, what lies behind transparent ones, and the size that they are padded
    /// to. A run keeps it, so that later pictures are made like these.
    pub data: DataConfig,
    /// What was taken for what, left out or converted, a sentence each.
    pub said: Vec<String>,
}

impl<'a> Sources<'a> {
    /// Images that are read by a configuration, and those to test on with them, if they are there.
    #[must_use]
    pub fn new(data: &'a Path, config: &'a Config) -> Self {
        Self { data, test: None, config, reading: None, room: Room::default(), cache: None }
    }

    /// Reads the training and the test images of what lies at a path: a folder of IDX files, a folder of
    /// pictures or with folders of them named `train` and `test`, a NumPy `.npz` or `.npy`, an IDX
    /// file, each plain or gz, or a table. The modules of [`formats`](crate::data::formats) say what each
    /// may hold.
    ///
    /// With `test`, which may be of another kind, its test images are taken, or all its images if they are
    /// not divided, and those of `data` but the training images are left out. Where there are no test
    /// images at all, a share of `data` is drawn, as [`Split`](crate::config::Split) says. With a
    /// `validation_fraction` a share of the training images is set apart as well.
    ///
    /// Labels come along where there are such. Classes that have names, as folders do, have the same
    /// numbers in both sets.
    ///
    /// # Errors
    ///
    /// If something cannot be read or is of no kind that is, the two sets differ in the size of their
    /// images, there are too few to divide, or values are not what the likelihood or the run needs.
    pub fn open(self) -> Result<Opened> {
        self.open_told(&|_, _| {})
    }

    /// The same, and `progress` is told how many pictures of a folder are decoded, from several threads.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_told(self, progress: Progress<'_>) -> Result<Opened> {
        let space = Space::new(self.room.budget, self.cache);
        match self.open_in(&space, progress) {
            // Now it is read from where it came from.
            Err(_) if space.was_damaged() => self.open_in(&space, progress),
            opened => opened,
        }
    }

    fn open_in(self, space: &Space<'_>, progress: Progress<'_>) -> Result<Opened> {
        let Self { data, test, config, reading, room, .. } = self;
        let mut said = Vec::new();
        let DataConfig { labels, test_labels, .. } = &config.data;
        let ask = Ask { config: &config.data, space };
        let (mut found, behind) = look(data, ask, progress)?;
        let decided = decided(&config.data, &found.train, behind);
        found.train = with_labels(found.train, labels.as_deref())?;
        let (train, test, of) = match (test, found) {
            (Some(path), found) => {
                let (other, _) = look(path, Ask { config: &decided, space }, progress)?;
                (found.train, other.test.unwrap_or(other.train), path)
            }
            (None, Found { train, test: Some(test) }) => (train, test, data),
            (None, Found { train, test: None }) => {
                let (train, test) = split::divide(data, train, &config.data)?;
                (train, test, data)
            }
        };
        let test = with_labels(test, test_labels.as_deref())?;
        let (train, validation) = match config.data.validation_fraction {
            0.0 => (train, None),
            _ => split::set_apart(data, train, &config.data)
                .map(|(train, validation)| (train, Some(validation)))?,
        };
        if train.size != test.size {
            let what = format!(
                "its test images are of {}, expected {} as to train",
                test.size, train.size
            );
            return Err(Error::data(of, what).hint("take both sets from one dataset"));
        }
        said.extend(train.notes.iter().chain(&test.notes).cloned());
        let reading = match reading {
            Some(reading) => reading.clone(),
            None => {
                let model = (&config.model, config.train.pixels);
                let (reading, more) = Reading::decide((data, &train), config.data.range, model)?;
                said.extend(more);
                reading
            }
        };
        let train = reading.apply(data, train, &mut said)?;
        let test = reading.apply(of, test, &mut said)?.numbered_as(of, &train)?;
        let validation = validation.map(|raw| {
            reading.apply(data, raw, &mut said).and_then(|set| set.numbered_as(data, &train))
        });
        said.extend(train.classes_in_words(&test));
        let sets = [train, test].into_iter().chain(validation.transpose()?).collect();
        let (sets, streamed) = room.lay(sets);
        let mut sets = sets.into_iter();
        let mut next = || sets.next().expect("as many as were laid");
        let (train, test) = (next(), next());
        let validation = sets.next();
        said.extend(streamed.into_iter().chain(space.said()));
        let mut seen = HashSet::new();
        said.retain(|line| seen.insert(line.clone()));
        Ok(Opened { train, test, validation, reading, data: decided, said })
    }
}

/// A configuration with what the training pictures decided: later ones are made like these. What no picture
/// decided stays open.
fn decided(config: &DataConfig, train: &Raw, behind: Option<Background>) -> DataConfig {
    let mut decided = config.clone();
    if config.range == Range::ByFile || !matches!(train.kind, raw::Kind::Pictures { .. }) {
        return decided;
    }
    decided.background = behind.unwrap_or(config.background);
    match train.size.channels {
        1 => decided.channels = Channels::Grey,
        3 => decided.channels = Channels::Color,
        _ => {}
    }
    if config.pad && config.resize == 0 {
        decided.image_size = Some(train.size.sides().into());
    }
    decided
}

/// Images with the classes of a file of their own, if one is named.
fn with_labels(images: Raw, path: Option<&Path>) -> Result<Raw> {
    let Some(path) = path else { return Ok(images) };
    let labels = classes::read(path)?;
    let (found, count) = (labels.values.len(), images.count);
    if found != count {
        let what = format!("holds {found} labels, expected {count} as there are images");
        return Err(Error::data(path, what).hint("give one class for each image, in their order"));
    }
    Ok(Raw { labels: Some(labels), label_fault: None, ..images })
}

/// Reads what lies at a path; and what was put behind its transparent pixels, if it has such.
fn look(path: &Path, ask: Ask<'_>, progress: Progress<'_>) -> Result<(Found, Option<Background>)> {
    let beside = if path.is_dir() { Vec::new() } else { beside(path) };
    let entry = || Entry::of(ask.space, path, &beside, ask.config);
    let kept = entry();
    let known = match kept.as_ref().and_then(|kept| kept.open(ask.space)) {
        Some(known) => known,
        None => {
            let found = match path.is_dir() {
                true => look_into(path, ask, progress)?,
                false => (look_at(path, ask)?, None),
            };
            match &kept {
                Some(kept) => kept.keep(ask.space, found, entry().as_ref()),
                None => found,
            }
        }
    };
    let (found, behind) = (fitted(ask.space, known.0)?, known.1);
    ask.space.tell(&found);
    let wanted = |raw| channels::wanted(path, raw, ask.config.channels);
    let (train, test) = (wanted(found.train)?, found.test.map(wanted).transpose()?);
    Ok((Found { train, test }, behind))
}

/// The files that are read with one that is named.
fn beside(path: &Path) -> Vec<PathBuf> {
    idx::beside(path).into_iter().chain(cifar::beside(path)).collect()
}

/// Reads a file by what it is.
fn look_at(path: &Path, ask: Ask<'_>) -> Result<Found> {
    let start = source::start(path)?;
    let (kind, config) = (kinds::kind_of(path, &start)?, ask.config);
    let content = || source::content(path);
    Ok(match kind {
        Kind::Idx => idx::read_file(path, ask)?,
        Kind::Npy if !start.packed => npy::read_file(path, ask)?.into(),
        Kind::Npy => npy::read(path, &content()?, config)?.into(),
        Kind::Zip if !start.packed => zipped::read_file(path, ask)?,
        Kind::Zip => zipped::read(path, &content()?, ask)?,
        Kind::Parquet => parquet::read_file(path, config)?,
        Kind::Matlab => mat::read_file(path, config)?,
        Kind::Pickle => pickle::read(path, &content()?, config)?,
        Kind::Tar => cifar::read_tar_in(path, &content()?, ask)?,
        Kind::Cifar => cifar::read_file(path, ask)?,
        Kind::Stl => cifar::read_stl(path, ask)?,
        Kind::Table => read_text(path, &content()?, config)?,
    })
}

/// Reads a table or a matrix.
fn read_text(path: &Path, bytes: &[u8], config: &DataConfig) -> Result<Found> {
    match bytes.starts_with(market::MAGIC) {
        true => market::read(path, bytes, config).map(Raw::into),
        false => table::read(path, bytes, config).map(Raw::into),
    }
}

/// Reads a folder by what is in it.
fn look_into(
    folder: &Path,
    ask: Ask<'_>,
    progress: Progress<'_>,
) -> Result<(Found, Option<Background>)> {
    for read in [idx::read_family, cifar::read_folder] {
        if let Some(found) = read(folder, ask)? {
            return Ok((found, None));
        }
    }
    if let Some(found) = parquet::read_folder(folder, ask.config)? {
        return Ok((found, None));
    }
    if let Some(nothing) = kinds::nothing_in(folder) {
        return Err(nothing);
    }
    pictures::read_told(folder, ask, progress)
}
