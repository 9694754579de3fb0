//! All pictures of a folder: decoded side by side, made alike, and put one behind another.
#![warn(clippy::arithmetic_side_effects)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rayon::prelude::*;

use super::before;
use super::decode::{Decoded, Was, decode};
use super::fit::{self, Sizes};
use super::folder::{self, Listed, Listing, refuse};
use super::notes::{self, Story};
use super::samples::{self, Sample, Samples};
use super::shelf::{About, Shelf, Shelved};
use crate::config::{Background, Channels, DataConfig, ImageSize, Range};
use crate::data::Progress;
use crate::data::channels::luma;
use crate::data::raw::{Found, Kind, Part, Raw};
use crate::data::source::{self, Ask, reserved};
use crate::data::stored::{Sink, Space};
use crate::error::{Error, Result};

/// So many pictures are decoded before it is looked whether they fit each other.
const PART: usize = 256;

/// Pictures of several sizes are counted until there were so many.
const MOST_COUNTED: usize = 2048;

/// Pictures may unpack to so many bytes, whatever their files have: blank ones and drawings do.
const MOST_FROM_ANYTHING: u64 = 512 << 20;

/// Beyond that, a byte of their files may become so many.
const MOST_FROM_A_BYTE: u64 = 256;

/// A picture as it is read from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Height, width and channels: 1 in grey and 3 in colour, and one more if something of it is
    /// transparent.
    pub size: ImageSize,
    /// Colours on black, and how opaque they are: with white behind it, a pixel has white less that number
    /// more.
    pub samples: Samples,
    /// What it was in its file.
    pub was: Was,
}

/// Reads a picture of any kind and depth, upright; `path` is named in errors.
///
/// Samples are taken as they are, of 8 or 16 bits; fewer bits are spread to 0..=255. Colours that are all
/// grey become one channel. Of an animation the first frame is read, of pages the first.
///
/// # Errors
///
/// A [`Data`](crate::ErrorKind::Data) error if the bytes are no whole picture of a kind that is read, or
/// its pixels would take more than 32 MiB and twice its file with all channels.
pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Picture> {
    let Decoded { mut size, mut samples, was } = decode(path, bytes)?;
    size.channels = samples::reduce(&mut samples, size.channels);
    Ok(Picture { size, samples, was })
}

/// Red, green and blue of a picture, a byte each, what is transparent on black; and whether it has colour.
///
/// # Errors
///
/// As [`from_bytes`].
pub(in crate::data) fn rgb(path: &Path, bytes: &[u8]) -> Result<(ImageSize, Vec<u8>, bool)> {
    let Picture { size, samples, .. } = from_bytes(path, bytes)?;
    let bytes: Vec<u8> = match samples {
        Samples::Bytes(bytes) => bytes,
        // The upper byte, as viewers show it.
        Samples::Words(words) => words.iter().map(|word| (word >> 8) as u8).collect(),
    };
    let coloured = size.channels > 2;
    let pixels = bytes.chunks_exact(size.channels.max(1));
    let rgb = |pixel: &[u8]| match *pixel {
        [r, g, b, ..] => [r, g, b],
        [v, ..] => [v; 3],
        [] => [0; 3],
    };
    let mut all =
        reserved(path, (size.height.saturating_mul(size.width) as u64).saturating_mul(3))?;
    all.extend(pixels.flat_map(rgb));
    Ok((ImageSize { channels: 3, ..size }, all, coloured))
}

/// Reads the pictures of a folder, in the order of their names, byte by byte, so `10.png` comes before
/// `2.png`: to train on, and to test on if there are folders for that. Folders of pictures are classes:
/// their sorted names are 0, 1 and so on.
///
/// All get the channels, the depth and the size that the configuration asks for, or that all can have:
/// colour if one has colour, 16 bits if one has them.
///
/// # Errors
///
/// If there is no picture, one is not as [`from_bytes`] reads it, they are of several sizes and nothing is
/// asked to be done about it, or all would unpack to more than 512 MiB and 256 times their files.
pub fn read_folder(folder: &Path, config: &DataConfig) -> Result<Found> {
    let ask = Ask { config, space: &Space::default() };
    read_told(folder, ask, &|_, _| {}).map(|(found, _)| found)
}

/// The same, whose progress is told; and what was put behind transparent pixels, if there are such.
pub(in crate::data) fn read_told(
    folder: &Path,
    ask: Ask<'_>,
    progress: Progress<'_>,
) -> Result<(Found, Option<Background>)> {
    let config = ask.config;
    if config.range == Range::ByFile {
        return before::read(folder).map(|found| (found, None));
    }
    let Listed { train, test, said, left } = folder::list(folder)?;
    let all: Vec<&PathBuf> =
        train.pictures.iter().chain(test.iter().flat_map(|test| &test.pictures)).collect();
    let (mut shelf, sizes) = decoded(folder, &all, ask, progress)?;
    let story = Story::of(folder, &all, shelf.about());
    let ([height, width], fitted) = fit::common((folder, all.len()), &sizes, config)?;
    let transparent = story.transparent > 0;
    let white = match config.background {
        Background::White => true,
        Background::Black => false,
        // Ink that lies in the alpha of a black picture.
        Background::Auto => transparent && shelf.about().iter().all(|about| about.black),
    };
    let channels = match config.channels {
        Channels::Grey => 1,
        Channels::Color => 3,
        Channels::AsFiles if story.coloured > 0 => 3,
        Channels::AsFiles => 1,
    };
    let size = ImageSize { height, width, channels };
    let plan = Plan { size, wide: story.wide > 0, white };
    let mut constant = Vec::new();
    let mut set = |listing: Listing| {
        let (raw, blank) =
            plan.carry_out((folder, ask.space), &mut shelf, listing.pictures.len())?;
        let named = listing.pictures.iter().zip(blank).filter(|(_, blank)| *blank);
        constant.extend(named.map(|(path, _)| folder::inside(folder, path)));
        let labels = listing.labels;
        Ok(match labels {
            Some(labels) => raw.with(labels),
            None => raw,
        })
    };
    let counts = [train.pictures.len(), test.as_ref().map_or(0, |test| test.pictures.len())];
    let mut train: Raw = set(train)?;
    let test = test.map(set).transpose()?;
    let names = train.labels.as_ref().and_then(|labels| labels.names.as_deref());
    train.notes.push(story.told(names, channels, config.channels));
    train.notes.extend(said.into_iter().chain(fitted));
    if transparent {
        let color = if white { "white" } else { "black" };
        train.notes.push(format!("transparent pixels lie on {color}"));
    }
    train.notes.extend(notes::left_out(&left));
    train.notes.extend(notes::constant(&constant, counts));
    let behind = if white { Background::White } else { Background::Black };
    Ok((Found { train, test }, transparent.then_some(behind)))
}

/// All pictures, scaled if that is asked for, and their sizes.
fn decoded<'a>(
    folder: &Path,
    paths: &[&PathBuf],
    ask: Ask<'a>,
    progress: Progress<'_>,
) -> Result<(Shelf<'a>, Sizes)> {
    let Ask { config, space } = ask;
    let (kept, done) = (AtomicU64::new(0), AtomicUsize::new(0));
    let mut bytes_of_files = 0_u64;
    for path in paths {
        let about = fs::metadata(path).map_err(|e| refuse("read", path, e))?;
        bytes_of_files = bytes_of_files.saturating_add(about.len());
    }
    let most = bytes_of_files.saturating_mul(MOST_FROM_A_BYTE).max(MOST_FROM_ANYTHING);
    let one = |path: &&PathBuf| {
        let bytes = source::read(path)?;
        let mut picture = from_bytes(path, &bytes)?;
        fit::scale(&mut picture.size, &mut picture.samples, config);
        progress(done.fetch_add(1, Ordering::Relaxed).saturating_add(1), paths.len());
        let unpacked = picture.samples.bytes();
        let sum = kept.fetch_add(unpacked, Ordering::Relaxed).saturating_add(unpacked);
        match sum <= most {
            true => Ok(Shelved::of(picture)),
            false => Err(too_much(folder, bytes_of_files, most)),
        }
    };
    let any = config.resize > 0 || config.pad;
    let (mut shelf, mut sizes, mut read) = (Shelf::new(space), Sizes::default(), 0_usize);
    for part in paths.chunks(PART) {
        let mut rest = part;
        while !rest.is_empty() {
            let (some, behind) = rest.split_at(shelf.together().min(rest.len()));
            let some: Vec<Result<Shelved>> = some.par_iter().map(one).collect();
            for picture in some {
                let picture = picture?;
                sizes.add(picture.about.size);
                shelf.put(picture)?;
            }
            rest = behind;
        }
        read = read.saturating_add(part.len());
        if let Some(About { size, .. }) = shelf.about().first().filter(|_| sizes.are_one()) {
            // Whether there would be room for all, before there is none for the next.
            let all = (size.len() as u64).saturating_mul(paths.len() as u64);
            if all <= space.left() {
                drop(reserved::<u8>(folder, all)?);
            }
        }
        if !any && !sizes.are_one() {
            // What is counted is not kept.
            shelf = Shelf::new(space);
            kept.store(0, Ordering::Relaxed);
            if read >= MOST_COUNTED {
                return Err(sizes.refuse(folder, read, paths.len()));
            }
        }
    }
    Ok((shelf, sizes))
}

fn too_much(folder: &Path, packed: u64, most: u64) -> Error {
    let what = format!(
        "its pictures of {packed} bytes would unpack to more than {most}, which no such files should need"
    );
    Error::data(folder, what).hint("`--resize 64` keeps less of each; or give fewer of them")
}

/// Whether a picture has no colour but black.
pub(super) fn is_black(picture: &Picture) -> bool {
    fn black<T: Sample>(samples: &[T], channels: usize) -> bool {
        let colors = if channels.is_multiple_of(2) { channels.saturating_sub(1) } else { channels };
        let pixels = samples.chunks_exact(channels.max(1));
        pixels.flat_map(|pixel| pixel.iter().take(colors)).all(|v| *v == T::default())
    }
    match &picture.samples {
        Samples::Bytes(samples) => black(samples, picture.size.channels),
        Samples::Words(samples) => black(samples, picture.size.channels),
    }
}

/// What all pictures become.
#[derive(Clone, Copy, Debug)]
struct Plan {
    size: ImageSize,
    /// Of 16 bits.
    wide: bool,
    /// On white, else on black.
    white: bool,
}

/// A number of an image.
trait Number: Copy + Default + PartialEq + Send {
    fn of(value: u32) -> Self;
}

impl Number for u8 {
    fn of(value: u32) -> Self {
        value as Self
    }
}

impl Number for f32 {
    fn of(value: u32) -> Self {
        value as Self
    }
}

impl Plan {
    /// So many images, and which of them are of one colour.
    fn carry_out(
        self,
        (folder, space): (&Path, &Space<'_>),
        shelf: &mut Shelf<'_>,
        count: usize,
    ) -> Result<(Raw, Vec<bool>)> {
        let (row, mut blank) = (self.size.len(), Vec::new());
        let all = (row as u64).saturating_mul(count as u64);
        let mut sink = Sink::new((folder, space), row, (all, all), !self.wide)?;
        while blank.len() < count {
            let left = count.saturating_sub(blank.len());
            let some = shelf.take(shelf.together().min(left))?;
            match self.wide {
                true => sink.push(Part::Floats(&self.images(folder, some, &mut blank)?))?,
                false => sink.push(Part::Bytes(&self.images(folder, some, &mut blank)?))?,
            }
        }
        let white = if self.wide { u16::MAX } else { 255 };
        Ok((Raw::new(folder, self.size, sink.done()?, Kind::Pictures { white })?, blank))
    }

    /// The values of some images, and for each whether it is of one colour.
    fn images<O: Number>(
        self,
        folder: &Path,
        pictures: Vec<Picture>,
        blank: &mut Vec<bool>,
    ) -> Result<Vec<O>> {
        let len = self.size.len();
        let all = len.saturating_mul(pictures.len());
        let mut values: Vec<O> = reserved(folder, all as u64)?;
        values.resize(all, O::default());
        let one = |(image, picture): (&mut [O], Picture)| {
            match &picture.samples {
                Samples::Bytes(samples) => self.image(image, picture.size, samples),
                Samples::Words(samples) => self.image(image, picture.size, samples),
            }
            image.iter().all(|v| *v == image[0])
        };
        blank.par_extend(values.par_chunks_mut(len.max(1)).zip(pictures).map(one));
        Ok(values)
    }

    /// One picture in the middle of its image.
    fn image<T: Sample, O: Number>(self, image: &mut [O], from: ImageSize, samples: &[T]) {
        let ImageSize { height, width, channels } = self.size;
        let white = if self.wide { u32::from(u16::MAX) } else { u32::from(u8::MAX) };
        let factor = white.checked_div(T::WHITE).unwrap_or(1);
        if self.white && from.sides() != self.size.sides() {
            image.fill(O::of(white));
        }
        let [top, left] = [(height, from.height), (width, from.width)]
            .map(|(all, some)| all.saturating_sub(some) / 2);
        let rows = image.chunks_exact_mut(width.saturating_mul(channels).max(1)).skip(top);
        let row = from.width.saturating_mul(from.channels).max(1);
        for (to, from_row) in rows.zip(samples.chunks_exact(row)) {
            let pixels = to.chunks_exact_mut(channels.max(1)).skip(left);
            for (to, pixel) in pixels.zip(from_row.chunks_exact(from.channels.max(1))) {
                let rgb = self.color(pixel).map(|v| v.saturating_mul(factor));
                match (to, from.channels > 2) {
                    ([grey], true) => *grey = O::of(luma(rgb)),
                    (to, _) => to.iter_mut().zip(rgb).for_each(|(to, v)| *to = O::of(v)),
                }
            }
        }
    }

    /// Red, green and blue of a pixel on what lies behind it.
    fn color<T: Sample>(self, pixel: &[T]) -> [u32; 3] {
        let behind = |alpha: T| match self.white {
            true => T::WHITE.saturating_sub(alpha.into()),
            false => 0,
        };
        let on = |v: T, alpha: T| v.into().saturating_add(behind(alpha)).min(T::WHITE);
        match *pixel {
            [v] => [v.into(); 3],
            [v, alpha] => [on(v, alpha); 3],
            [r, g, b] => [r, g, b].map(Into::into),
            [r, g, b, alpha] => [r, g, b].map(|v| on(v, alpha)),
            _ => [0; 3],
        }
    }
}
