//! A file of images that is kept: behind the rows stands all else that is known of them.
//!
//! It is the start of [`START`], the rows, the checksum of each, and if there are such the class and the group
//! of each; then a text in TOML, and at the end its length, a checksum of all that stands behind the rows, and
//! [`END`]. Nothing of it is believed unless all of that fits the file's length.
#![warn(clippy::arithmetic_side_effects)]

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use super::spool::START;
use super::{Stored, Table, checksum, read_at};
use crate::config::{Background, ImageSize};
use crate::data::held::Held;
use crate::data::labels::Labels;
use crate::data::raw::{Kind, Raw};
use crate::data::step::Step;

/// How every kept file ends.
const END: [u8; 12] = *b"elbo images\n";

/// Bytes of the end: a length, a checksum and [`END`].
const TAIL: u64 = 8 + 4 + END.len() as u64;

/// The longest text that is read: names of classes and notes.
const MOST_TEXT: u64 = 16 << 20;

/// What is known of a set besides its numbers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct About {
    /// What the file is kept under.
    pub(super) key: String,
    /// Whether there is a file of images to test on too.
    pub(super) test_beside: bool,
    /// What lies behind transparent pixels, if there were such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) behind: Option<Background>,
    size: ImageSize,
    images: u32,
    floats: bool,
    /// The white of pictures, or that they are bytes, or else numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    white: Option<u16>,
    bytes: bool,
    /// Whether images lie column by column.
    turned: bool,
    classes: bool,
    groups: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    names: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label_fault: Option<String>,
    notes: Vec<String>,
}

impl About {
    /// Of images whose values lie in a file with these changes.
    pub(super) fn of(raw: &Raw, (floats, steps): (bool, &[Step])) -> Option<Self> {
        let turned = match steps {
            [] => false,
            [Step::Upright(_)] => true,
            _ => return None,
        };
        let white = match raw.kind {
            Kind::Pictures { white } => Some(white),
            _ => None,
        };
        Some(Self {
            key: String::new(),
            test_beside: false,
            behind: None,
            size: raw.size,
            images: u32::try_from(raw.count).ok()?,
            floats,
            white,
            bytes: raw.kind == Kind::Bytes,
            turned,
            classes: raw.labels.is_some(),
            groups: raw.groups.is_some(),
            names: raw.labels.as_ref().and_then(|labels| labels.names.clone()),
            label_fault: raw.label_fault.clone(),
            notes: raw.notes.clone(),
        })
    }

    /// The same, kept under a key.
    pub(super) fn under(self, key: String, test_beside: bool, behind: Option<Background>) -> Self {
        Self { key, test_beside, behind, ..self }
    }

    fn kind(&self) -> Kind {
        match (self.white, self.bytes) {
            (Some(white), _) => Kind::Pictures { white },
            (None, true) => Kind::Bytes,
            (None, false) => Kind::Numbers,
        }
    }
}

/// Writes what is known of images behind their rows, and puts the file in its place when it is on the disk.
pub(super) fn finish(table: &mut Table, about: &About, raw: &Raw, path: &Path) -> io::Result<()> {
    let mut rest: Vec<u8> = table.sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
    rest.extend(raw.labels.iter().flat_map(|labels| &labels.values));
    rest.extend(raw.groups.iter().flatten().flat_map(|group| group.to_le_bytes()));
    let text = toml::to_string(about).map_err(io::Error::other)?;
    rest.extend(text.as_bytes());
    let sum = checksum(&rest);
    rest.extend((text.len() as u64).to_le_bytes());
    rest.extend(sum.to_le_bytes());
    rest.extend(END);
    table.file.seek(SeekFrom::End(0))?;
    table.file.write_all(&rest)?;
    table.file.sync_all()?;
    // Others read it from now on, which a lock hinders on some systems.
    let _ = table.file.unlock();
    if let Some(temporary) = table.temporary.take() {
        if let Err(error) = temporary.persist(path) {
            table.temporary = Some(error.path);
            return Err(error.error);
        }
        path.clone_into(&mut table.path);
    }
    Ok(())
}

/// The images of a file, and what else stands there, if it is whole; `path` is named in errors to come.
pub(super) fn open(path: &Path, key: &str) -> Option<(About, Raw)> {
    let file = File::open(path).ok()?;
    let len = file.metadata().ok().filter(|about| about.is_file())?.len();
    let read = |at: u64, bytes: u64| {
        // No more than the file has.
        let inside = at.checked_add(bytes).is_some_and(|end| end <= len);
        let mut some = vec![0; usize::try_from(bytes).ok().filter(|_| inside)?];
        read_at(&file, &mut some, at).ok().map(|()| some)
    };
    let tail_at = len.checked_sub(TAIL)?;
    let tail = read(tail_at, TAIL)?;
    let (&text_len, tail) = tail.split_first_chunk::<8>()?;
    let (&sum, end) = tail.split_first_chunk::<4>()?;
    let text_len = u64::from_le_bytes(text_len);
    if end != END || text_len > MOST_TEXT || read(0, START.len() as u64)? != START {
        return None;
    }
    let text = read(tail_at.checked_sub(text_len)?, text_len)?;
    let about: About = toml::from_str(str::from_utf8(&text).ok()?).ok()?;
    let row = about.size.checked_len()?;
    let row_bytes = if about.floats { row.checked_mul(4)? } else { row };
    let images = u64::from(about.images);
    let rest_at = images.checked_mul(row_bytes as u64)?.checked_add(START.len() as u64)?;
    let per_image = [4, u64::from(about.classes), if about.groups { 4 } else { 0 }];
    let known = images.checked_mul(per_image.iter().sum())?;
    if rest_at.checked_add(known)?.checked_add(text_len)? != tail_at || images == 0 {
        return None;
    }
    let rest = read(rest_at, known.checked_add(text_len)?)?;
    if checksum(&rest) != u32::from_le_bytes(sum) || about.key != key {
        return None;
    }
    let words = |bytes: &[u8]| -> Vec<u32> {
        bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
    };
    let count = about.images as usize;
    let (sums, rest) = rest.split_at_checked(count.checked_mul(4)?)?;
    let (labels, rest) = rest.split_at_checked(if about.classes { count } else { 0 })?;
    let groups = rest.get(..count.checked_mul(4)?).filter(|_| about.groups);
    let table = Table {
        path: path.to_owned(),
        file,
        temporary: None,
        start: START.len() as u64,
        row_bytes,
        bytes: !about.floats,
        sums: words(sums),
        damaged: AtomicBool::new(false),
    };
    let mut stored = Stored::all(table);
    if about.turned {
        stored = stored.stepped(Step::Upright([
            about.size.height,
            about.size.width,
            about.size.channels,
        ]));
    }
    let labels = about.classes.then(|| Labels { values: labels.to_vec(), names: None });
    let raw = Raw {
        size: about.size,
        count,
        values: Held::Stored(stored),
        kind: about.kind(),
        labels: labels.map(|labels| Labels { names: about.names.clone(), ..labels }),
        label_fault: about.label_fault.clone(),
        groups: groups.map(words),
        notes: about.notes.clone(),
    };
    Some((about, raw))
}
