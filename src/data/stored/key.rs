//! What images are kept under: the files that they were read from, and how they were read.
#![warn(clippy::arithmetic_side_effects)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use crate::config::{DataConfig, Range};

/// The form of the files, and of all that readers do: what an older one made is made anew.
const VERSION: &str = "1";

/// So many files are looked at; who has more decodes them each time.
const MOST_FILES: usize = 4 << 20;

/// So far below a folder it is looked; links may lead around.
const MOST_DEPTH: usize = 32;

/// A name for images by all that they depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) name: String,
    /// Bytes of all files.
    pub(super) bytes: u64,
}

impl Key {
    /// That of what lies at a path, if the system tells enough: the real path, the name, length and time of
    /// each file in the folder, or of the file and of those `beside` it that are read with it, and the options
    /// that readers look at.
    pub(super) fn of(path: &Path, beside: &[PathBuf], config: &DataConfig) -> Option<Self> {
        let path = fs::canonicalize(path).ok()?;
        let mut files = Vec::new();
        match path.is_dir() {
            true => walk(&path, 0, &mut files)?,
            false => files.push(path.clone()),
        }
        for file in beside {
            files.push(fs::canonicalize(file).ok()?);
        }
        files.sort();
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        };
        add(VERSION.as_bytes());
        add(options(config)?.as_bytes());
        add(path.as_os_str().as_encoded_bytes());
        let mut bytes = 0_u64;
        for file in files {
            let about = fs::metadata(&file).ok()?;
            let time = about.modified().ok()?;
            // Before that time there were no such files.
            let time = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
            add(file.as_os_str().as_encoded_bytes());
            add(&about.len().to_le_bytes());
            add(&time.to_le_bytes());
            bytes = bytes.saturating_add(about.len());
        }
        let name: String =
            hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Some(Self { name, bytes })
    }
}

/// The options that decide how files become images. What is done with these does not matter.
fn options(config: &DataConfig) -> Option<String> {
    let before = config.range == Range::ByFile;
    let matters = DataConfig {
        range: if before { Range::ByFile } else { Range::Auto },
        image_size: config.image_size,
        layout: config.layout,
        channels: config.channels,
        background: config.background,
        resize: config.resize,
        pad: config.pad,
        label_column: config.label_column.clone(),
        group_column: config.group_column.clone(),
        ..DataConfig::default()
    };
    toml::to_string(&matters).ok()
}

/// All files in a folder that are not hidden.
fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Option<()> {
    for entry in fs::read_dir(folder).ok()? {
        let entry = entry.ok()?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        match path.is_dir() {
            true if depth < MOST_DEPTH => walk(&path, depth.saturating_add(1), files)?,
            // What leads nowhere is no file, and a pipe has no content.
            _ if !path.is_file() => {}
            _ => files.push(path),
        }
        if files.len() > MOST_FILES {
            return None;
        }
    }
    Some(())
}
