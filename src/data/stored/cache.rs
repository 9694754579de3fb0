//! Images that were decoded, or that memory does not hold, for the next run: found again, kept, and removed
//! where they take too much of a disk.
#![warn(clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::disk::{PREFIX, free};
use super::entry::{self, About};
use super::key::Key;
use super::{Cache, Space, Spool};
use crate::config::{Background, DataConfig};
use crate::data::held::Held;
use crate::data::raw::{Found, Kind, Raw, Values};
use crate::data::room::in_words;
use crate::error::{Error, Result};
use crate::files::sync_folder;

/// All kept files may take so many bytes, and no more than half of what would be free without them.
const MOST: u64 = if cfg!(test) { 100 << 10 } else { 32 << 30 };

/// Pictures of fewer bytes are decoded sooner than one would notice.
const WORTH: u64 = if cfg!(test) { 1 } else { 4 << 20 };

/// What a process left unfinished is removed when it is so old.
const OLD: Duration = Duration::from_secs(60);

/// The files of the images to train and to test on.
const ENDINGS: [&str; 2] = ["train.images", "test.images"];

/// The place of some images among those that are kept.
#[derive(Debug)]
pub(in crate::data) struct Entry<'a> {
    folder: &'a Path,
    key: Key,
}

/// Images, and what lies behind their transparent pixels.
type Known = (Found, Option<Background>);

impl<'a> Entry<'a> {
    /// The place of what lies at a path, and is read with some files beside it, if images are kept.
    pub(in crate::data) fn of(
        space: &Space<'a>,
        path: &Path,
        beside: &[PathBuf],
        config: &DataConfig,
    ) -> Option<Self> {
        let cache = space.cache.filter(|cache| cache.keep)?;
        Some(Self { folder: cache.folder, key: Key::of(path, beside, config)? })
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.key.name))
    }

    /// The images, if they are there and whole.
    pub(in crate::data) fn open(&self, space: &Space<'_>) -> Option<Known> {
        let path = self.path(ENDINGS[0]);
        if !path.exists() {
            return None;
        }
        let shown = path.display();
        let Some((known, bytes)) = self.read(space) else {
            space.say(format!("`{shown}` is damaged or foreign, and is made anew"));
            self.remove();
            return None;
        };
        for ending in ENDINGS {
            // What was used last is removed last.
            let file = File::options().append(true).open(self.path(ending));
            let _ = file.and_then(|file| file.set_modified(SystemTime::now()));
        }
        space.say(format!(
            "the images, {}, are in `{shown}`, kept by an earlier run",
            in_words(bytes)
        ));
        Some(known)
    }

    fn read(&self, space: &Space<'_>) -> Option<(Known, u64)> {
        let one = |ending: &str| entry::open(&self.path(ending), &self.key.name);
        let (About { test_beside, behind, .. }, train) = one(ENDINGS[0])?;
        let test = if test_beside { Some(one(ENDINGS[1])?.1) } else { None };
        let found = Found { train, test };
        let bytes = sets(&found).map(|raw| raw.values.bytes()).fold(0, u64::saturating_add);
        for raw in sets(&found) {
            if let Held::Stored(stored) = &raw.values {
                space.opened(&stored.table, ENDINGS.map(|ending| self.path(ending)));
            }
        }
        Some(((fitted(space, found).ok()?, behind), bytes))
    }

    fn remove(&self) {
        for ending in ENDINGS {
            let _ = fs::remove_file(self.path(ending));
        }
    }

    /// The same images, kept if that is worth it; `now` is what they would be kept under by now. What cannot be
    /// kept is not, which is said.
    pub(in crate::data) fn keep(
        &self,
        space: &Space<'_>,
        (found, behind): Known,
        now: Option<&Self>,
    ) -> Known {
        let on_disk = |raw: &&Raw| matches!(raw.values, Held::Stored(_));
        let needs = |raws: &mut dyn Iterator<Item = &Raw>| {
            raws.map(|raw| raw.values.bytes()).fold(0, u64::saturating_add)
        };
        let (all, there) = (needs(&mut sets(&found)), needs(&mut sets(&found).filter(on_disk)));
        let decoded = matches!(found.train.kind, Kind::Pictures { .. });
        let worth = there > 0 || decoded && self.key.bytes >= WORTH;
        // Files that changed while they were read are not those that have this name.
        if !worth || now.is_none_or(|now| now.key != self.key) {
            return (found, behind);
        }
        if let Err(why) = self.make_room(space, (all, there)) {
            space.say(format!("the images, {}, are not kept: {why}", in_words(all)));
            return (found, behind);
        }
        let Found { train, test } = found;
        let beside = (test.is_some(), behind);
        // Those to train on say that there are others, so they come last.
        let (test, mut fault) = match test.map(|raw| self.put(raw, ENDINGS[1], beside)) {
            Some((raw, fault)) => (Some(raw), fault),
            None => (None, None),
        };
        let mut train = train;
        if fault.is_none() {
            (train, fault) = self.put(train, ENDINGS[0], beside);
        }
        let path = self.path(ENDINGS[0]);
        space.say(match fault {
            None => format!(
                "the images, {}, are kept for the next run in `{}`",
                in_words(all),
                path.display()
            ),
            Some(fault) => format!("the images are not kept for the next run: {fault}"),
        });
        (Found { train, test }, behind)
    }

    /// Puts the images of one set in their place; and what hindered that, if anything did.
    fn put(
        &self,
        raw: Raw,
        ending: &str,
        (test_beside, behind): (bool, Option<Background>),
    ) -> (Raw, Option<String>) {
        let mut raw = raw;
        let none = Values::Bytes(Vec::new()).into();
        let (memory, mut stored) = match std::mem::replace(&mut raw.values, none) {
            Held::Stored(stored) => (None, stored),
            Held::Memory(values) => match Spool::all(self.folder, raw.size.len(), values.view()) {
                Ok(stored) => (Some(values), stored),
                Err(error) => {
                    raw.values = values.into();
                    return (raw, Some(error.to_string()));
                }
            },
        };
        let about = About::of(&raw, (!stored.table.bytes, &stored.steps));
        let about = about.map(|about| about.under(self.key.name.clone(), test_beside, behind));
        let fault = match (Arc::get_mut(&mut stored.table), about) {
            (Some(table), Some(about)) => {
                let finished = entry::finish(table, &about, &raw, &self.path(ending));
                finished.and_then(|()| sync_folder(self.folder)).err()
            }
            _ => Some(io::Error::other("they are in use, or were changed")),
        };
        raw.values = memory.map_or(Held::Stored(stored), Held::from);
        (raw, fault.map(|fault| fault.to_string()))
    }

    /// Removes what was not used for the longest time until there is room for as many bytes as are to be kept,
    /// of which some are on the disk already; says why there cannot be.
    fn make_room(
        &self,
        space: &Space<'_>,
        (needs, there): (u64, u64),
    ) -> std::result::Result<(), String> {
        let kept = self.others();
        let mut used = kept.iter().map(|(_, bytes, _)| *bytes).fold(0, u64::saturating_add);
        let most = free(self.folder)
            .map_or(MOST, |free| MOST.min(free.saturating_add(used).saturating_add(there) / 2));
        if needs > most {
            return Err(format!(
                "all that is kept there may take {}, half of what is free and {} at the most",
                in_words(most),
                in_words(MOST)
            ));
        }
        for (_, bytes, paths) in kept {
            if used.saturating_add(needs) <= most {
                break;
            }
            for path in &paths {
                let _ = fs::remove_file(path);
            }
            let shown = paths.first().map(|path| path.display().to_string()).unwrap_or_default();
            space.say(format!(
                "`{shown}` was not used for the longest time, and is removed: what is kept may take {}",
                in_words(most)
            ));
            used = used.saturating_sub(bytes);
        }
        Ok(())
    }

    /// What else is kept: when it was used, its bytes, and its files, the oldest first. What a process that has
    /// ended left unfinished is removed.
    fn others(&self) -> Vec<(SystemTime, u64, Vec<PathBuf>)> {
        let mut found: BTreeMap<String, (SystemTime, u64, Vec<PathBuf>)> = BTreeMap::new();
        for entry in fs::read_dir(self.folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let Ok(about) = entry.metadata() else { continue };
            let time = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            if name.starts_with(PREFIX) {
                remove_if_left(&path, time);
                continue;
            }
            let key = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending));
            let Some(key) = key.filter(|key| key.trim_end_matches('.') != self.key.name) else {
                continue;
            };
            let none = || (SystemTime::UNIX_EPOCH, 0, Vec::new());
            let other = found.entry(key.to_owned()).or_insert_with(none);
            other.0 = other.0.max(time);
            other.1 = other.1.saturating_add(about.len());
            other.2.push(path);
        }
        let mut others: Vec<_> = found.into_values().collect();
        others.sort();
        others
    }
}

/// The sets of a place.
fn sets(found: &Found) -> impl Iterator<Item = &Raw> {
    [Some(&found.train), found.test.as_ref()].into_iter().flatten()
}

/// The same images, in memory if there is room for all of them.
pub(in crate::data) fn fitted(space: &Space<'_>, found: Found) -> Result<Found> {
    let stored = sets(&found).filter(|raw| matches!(raw.values, Held::Stored(_)));
    let needs = stored.map(|raw| raw.values.bytes()).fold(0, u64::saturating_add);
    if needs == 0 || needs > space.left() {
        return Ok(found);
    }
    space.hold(needs);
    let one = |raw: Raw| Ok::<_, Error>(Raw { values: raw.values.in_memory()?, ..raw });
    Ok(Found { train: one(found.train)?, test: found.test.map(one).transpose()? })
}

impl Space<'_> {
    /// Says where images are that take more memory than they may, unless it was said.
    pub(in crate::data) fn tell(&self, found: &Found) {
        let bytes = |stored: bool| {
            let those = sets(found).filter(|raw| matches!(raw.values, Held::Stored(_)) == stored);
            those.map(|raw| raw.values.bytes()).fold(0, u64::saturating_add)
        };
        let (file, memory) = (bytes(true), bytes(false));
        match self.cache {
            Some(Cache { folder, keep: false }) if file > 0 => self.say(format!(
                "the images, {}, lie in a file in `{}`, which is gone when they are",
                in_words(file),
                folder.display()
            )),
            _ if memory > self.budget => self.say(format!(
                "files of this kind are read whole, {}, and streamed from memory",
                in_words(memory)
            )),
            _ => {}
        }
    }
}

/// Removes an unfinished file whose process has ended: another holds a lock on it.
fn remove_if_left(path: &Path, time: SystemTime) {
    let old = SystemTime::now().duration_since(time).is_ok_and(|age| age > OLD);
    let left = old && File::open(path).is_ok_and(|file| file.try_lock().is_ok());
    if left {
        let _ = fs::remove_file(path);
    }
}
