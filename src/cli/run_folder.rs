//! The folder of a run: what is written there, and how a folder that holds a run is refused.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind as IoKind, Write};
use std::path::{Path, PathBuf};

use elbo::checkpoint::{write_new, write_whole};
use elbo::{Config, Error, Result};

/// What a run writes; a folder that has any of it holds a run.
const CONTENTS: [&str; 7] = [
    "config.toml",
    "metrics.jsonl",
    "timings.jsonl",
    "weights.safetensors",
    "checkpoint.safetensors",
    "best.safetensors",
    "images",
];

/// A folder that a run writes to.
#[derive(Debug)]
pub(super) struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Refuses a folder that holds a run already, before any work is done.
    pub(super) fn refuse_taken(out: Option<&Path>) -> Result<()> {
        let Some(path) = out else { return Ok(()) };
        if path.exists() && !path.is_dir() {
            let error = std::io::Error::from(IoKind::NotADirectory);
            return Err(Error::io("write to", path, error).hint("`--out` takes a folder"));
        }
        match CONTENTS.iter().find(|name| path.join(name).exists()) {
            None => Ok(()),
            Some(name) => {
                let what = format!("`{}` holds a run already: `{name}`", path.display());
                Err(Error::config(what).hint("choose another `--out`, or move that run away"))
            }
        }
    }

    /// Makes the folder, by default the next free number under `runs`, with the configuration in it.
    pub(super) fn create(out: Option<&Path>, config: &Config) -> Result<Self> {
        Self::refuse_taken(out)?;
        let fail = |path: &Path, e| {
            Error::io("make the folder", path, e).hint("choose a folder that can be written")
        };
        let (path, made) = match out {
            Some(path) => {
                let made = !path.exists();
                fs::create_dir_all(path).map_err(|e| fail(path, e))?;
                (path.to_owned(), made)
            }
            None => (next_number().map_err(|e| fail(Path::new("runs"), e))?, true),
        };
        let folder = Self { path };
        // Of two programs that were given one folder, the second finds it taken here.
        let text = config.to_toml();
        let written = write_new(&folder.path.join("config.toml"), text.as_bytes());
        if written.is_err() && made {
            // Nothing of ours is in it; if it cannot be removed either, the first error counts.
            let _ = fs::remove_dir(&folder.path);
        }
        written.map(|()| folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a picture.
    pub(super) fn write_image(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let images = self.path.join("images");
        fs::create_dir_all(&images).map_err(|e| Error::io("make the folder", &images, e))?;
        write_whole(&images.join(name), bytes)
    }

    /// Appends a line, whole or not at all.
    pub(super) fn append(&self, name: &str, line: &str) -> Result<()> {
        let path = self.path.join(name);
        let fail = |e| {
            Error::io("append a line to", &path, e)
                .hint("free some space, or choose a folder that can be written")
        };
        let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(fail)?;
        let before = file.metadata().map_err(fail)?.len();
        let written = write_line(&mut file, line);
        if written.is_err() {
            // The first error counts, whether or not the half line can be taken back.
            let _ = file.set_len(before);
        }
        written.map_err(fail)
    }
}

fn write_line(file: &mut File, line: &str) -> std::io::Result<()> {
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_data()
}

/// Makes the next free `runs/0001`; two programs at once get two folders.
fn next_number() -> std::io::Result<PathBuf> {
    fs::create_dir_all("runs")?;
    for number in 1.. {
        let path = Path::new("runs").join(format!("{number:04}"));
        match fs::create_dir(&path) {
            Err(e) if e.kind() == IoKind::AlreadyExists => {}
            Err(e) => return Err(e),
            Ok(()) => return Ok(path),
        }
    }
    unreachable!("the numbers do not end")
}
