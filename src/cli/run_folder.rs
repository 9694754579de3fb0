//! The folder of a run: what is written there, and by whom alone.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, ErrorKind as IoKind, Read, Write};
use std::path::{Path, PathBuf};

use elbo::checkpoint::{State, sync_folder, write_new, write_whole};
use elbo::{Config, Error, ErrorKind, Result};
use serde_json::Value;

use crate::cli::talk;

/// What a run writes; a folder that has any of it holds a run.
const CONTENTS: [&str; 9] =
    [CONFIG, METRICS, TIMINGS, WEIGHTS, CHECKPOINT, BEST, "images", "model-card.md", "report.html"];

/// How the names begin of what a run writes under numbers.
const NUMBERED: [&str; 2] = ["checkpoint-", "events.out.tfevents."];

/// The configuration.
pub(super) const CONFIG: &str = "config.toml";
/// The weights that the run stands for: of its best epoch after early stopping, else the newest.
pub(super) const WEIGHTS: &str = "weights.safetensors";
/// The newest state.
pub(super) const CHECKPOINT: &str = "checkpoint.safetensors";
/// The state after the best epoch.
pub(super) const BEST: &str = "best.safetensors";
/// Losses and what else does not differ between equal runs.
pub(super) const METRICS: &str = "metrics.jsonl";

/// What does differ: where each session of the run began, on what, how fast its epochs were, why it ended, and
/// what `elbo evaluate` found later.
pub(super) const TIMINGS: &str = "timings.jsonl";

/// Locked by the process that writes to the folder, whose number is in it, and gone when it is done.
const LOCK: &str = "lock";

/// A folder that this process alone writes to.
#[derive(Debug)]
pub(super) struct RunFolder {
    path: PathBuf,
    /// The system takes the lock back when the process ends, however it does.
    _lock: File,
    /// Whether the folder was made here and holds nothing of the run yet.
    empty: bool,
}

impl RunFolder {
    /// Takes a folder for a new run, by default the next free number under `runs`.
    pub(super) fn claim(out: Option<&Path>) -> Result<Self> {
        let fail = |path: &Path, e| {
            Error::io("make the folder", path, e).hint("choose a folder that can be written")
        };
        let (path, made) = match out {
            Some(path) if path.exists() && !path.is_dir() => {
                let error = std::io::Error::from(IoKind::NotADirectory);
                return Err(Error::io("write to", path, error).hint("`--out` takes a folder"));
            }
            Some(path) => {
                let made = !path.exists();
                fs::create_dir_all(path).map_err(|e| fail(path, e))?;
                (path.to_owned(), made)
            }
            None => (next_number().map_err(|e| fail(Path::new("runs"), e))?, true),
        };
        if made {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            sync_folder(parent.unwrap_or(Path::new("."))).map_err(|e| fail(&path, e))?;
        }
        let lock = lock(&path).inspect_err(|_| {
            if made {
                // Nothing of ours is in it; if it cannot be removed, the first error counts.
                let _ = fs::remove_dir(&path);
            }
        })?;
        let folder = Self { _lock: lock, path, empty: made };
        match folder.content().map_err(|e| fail(&folder.path, e))? {
            None => Ok(folder),
            Some(name) => {
                let path = folder.path.display();
                Err(Error::config(format!("`{path}` holds a run already: `{name}`"))
                    .hint(format!("go on with it by `--resume {path}`, or choose another `--out`")))
            }
        }
    }

    /// Takes the folder of a run that goes on, with its newest state.
    pub(super) fn resume(path: &Path) -> Result<(Self, State)> {
        let missing = |what: &str| {
            let what = format!("there is no `{}`, {what}", path.join(CHECKPOINT).display());
            Error::new(ErrorKind::Io, what)
        };
        if !path.is_dir() {
            return Err(missing("and so no run").hint(
                "`--resume` takes the folder of a run, or `latest`; `elbo runs` lists those under runs",
            ));
        }
        // Who is at it may not have saved yet.
        let folder = Self { path: path.to_owned(), _lock: lock(path)?, empty: false };
        if !path.join(CHECKPOINT).exists() {
            return Err(missing("since nothing was saved")
                .hint("remove the folder and train anew, or resume another run"));
        }
        folder.remove_leftovers();
        let state = State::read(&path.join(CHECKPOINT))?;
        Ok((folder, state))
    }

    /// The first name, by the alphabet, of what a run wrote there, if anything: file systems list in orders of
    /// their own.
    fn content(&self) -> std::io::Result<Option<String>> {
        let mut first: Option<String> = None;
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let numbered = NUMBERED.iter().any(|start| name.starts_with(start));
            let before = first.as_ref().is_none_or(|first| name < *first);
            if before && (numbered || CONTENTS.contains(&name.as_str())) {
                first = Some(name);
            }
        }
        Ok(first)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the configuration of a new run.
    pub(super) fn begin(&mut self, config: &Config) -> Result<()> {
        write_new(&self.path.join(CONFIG), config.to_toml().as_bytes())?;
        self.empty = false;
        Ok(())
    }

    /// Goes on where a state was saved: what was logged after it will be logged again.
    pub(super) fn go_on(&self, state: &State) -> Result<()> {
        write_whole(&self.path.join(CONFIG), state.config.to_toml().as_bytes())?;
        let path = self.path.join(METRICS);
        let fail = |e| Error::io("take back lines of", &path, e);
        match OpenOptions::new().write(true).open(&path) {
            Err(e) if e.kind() == IoKind::NotFound => Ok(()),
            Err(e) => Err(fail(e)),
            Ok(file) => {
                let (length, said) = (file.metadata().map_err(fail)?.len(), state.course.log_bytes);
                if length < said {
                    talk(&format!(
                        "`{}` has {length} bytes, and had {said} when the state was saved: lines \
                         of it are lost",
                        path.display()
                    ));
                }
                let cut = file.set_len(length.min(said));
                cut.and_then(|()| file.sync_all()).map_err(fail)
            }
        }
    }

    /// The bytes that were logged so far, which are on the disk by then.
    pub(super) fn log_bytes(&self) -> Result<u64> {
        let path = self.path.join(METRICS);
        match OpenOptions::new().append(true).open(&path) {
            Ok(file) => file
                .sync_data()
                .and_then(|()| Ok(file.metadata()?.len()))
                .map_err(|e| Error::io("look at", &path, e)),
            Err(e) if e.kind() == IoKind::NotFound => Ok(0),
            Err(e) => Err(Error::io("look at", &path, e)),
        }
    }

    /// Writes a state, and keeps the last `keep` under the numbers of their steps as well, if it is
    /// more than one.
    pub(super) fn save(&self, state: &State, keep: usize) -> Result<()> {
        let bytes = state.to_bytes()?;
        write_whole(&self.path.join(CHECKPOINT), &bytes)?;
        if keep < 2 {
            return Ok(());
        }
        // A file of its own and not a link, so that who copies over one does not change the other.
        let numbered = self.path.join(format!("checkpoint-{:012}.safetensors", state.trained.step));
        write_whole(&numbered, &bytes)?;
        let mut kept = self.numbered()?;
        kept.sort();
        // Training may have gone back: what is of later steps is of a course that was given up.
        let later = kept.split_off(kept.partition_point(|path| *path <= numbered));
        let many = kept.len().saturating_sub(keep);
        for old in kept[..many].iter().chain(&later) {
            fs::remove_file(old).map_err(|e| Error::io("remove", old, e))?;
        }
        Ok(())
    }

    /// The states that are kept under the numbers of their steps.
    fn numbered(&self) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(&self.path).map_err(|e| Error::io("list", &self.path, e))?;
        let of_step = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let number = name.strip_prefix("checkpoint-");
            let number = number.and_then(|rest| rest.strip_suffix(".safetensors"));
            number.is_some_and(|n| n.len() == 12 && n.bytes().all(|b| b.is_ascii_digit()))
        };
        Ok(entries.flatten().map(|entry| entry.path()).filter(of_step).collect())
    }

    /// Writes the state after the best epoch.
    pub(super) fn save_best(&self, state: &State) -> Result<()> {
        write_whole(&self.path.join(BEST), &state.to_bytes()?)
    }

    /// Writes a picture.
    pub(super) fn write_image(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let images = self.path.join("images");
        let made = fs::create_dir_all(&images).and_then(|()| sync_folder(&self.path));
        made.map_err(|e| Error::io("make the folder", &images, e))?;
        write_whole(&images.join(name), bytes)
    }

    /// Appends a line, whole or not at all, and has it on the disk.
    pub(super) fn append(&self, name: &str, line: &str) -> Result<()> {
        self.write(name, &format!("{line}\n"), true)
    }

    /// Appends whole lines, all or none, which the system may bring to the disk later: what is lost with it is logged
    /// again.
    pub(super) fn add(&self, name: &str, lines: &str) -> Result<()> {
        self.write(name, lines, false)
    }

    fn write(&self, name: &str, lines: &str, synced: bool) -> Result<()> {
        let path = self.path.join(name);
        let fail = |e| {
            Error::io(&format!("append {} bytes to", lines.len()), &path, e)
                .hint("free some space, or choose a folder that can be written")
        };
        let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(fail)?;
        let before = file.metadata().map_err(fail)?.len();
        let mut written = file.write_all(lines.as_bytes());
        if synced {
            written = written.and_then(|()| file.sync_data());
        }
        if written.is_err() {
            // The first error counts, whether or not the half line can be taken back.
            let _ = file.set_len(before);
        }
        written.map_err(fail)
    }

    /// Removes what a process that was killed while it wrote has left. Who holds the lock is the only
    /// one to write here; what cannot be removed does no harm.
    fn remove_leftovers(&self) {
        for folder in [self.path.clone(), self.path.join("images")] {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().starts_with(".elbo-") {
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
    }
}

impl Drop for RunFolder {
    /// A run that came to nothing leaves nothing behind. If a folder cannot be removed, something is
    /// in it.
    fn drop(&mut self) {
        let _ = fs::remove_file(self.path.join(LOCK));
        if self.empty {
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// The JSON objects of a log of a run, a line each; what is none is left out.
pub(super) fn lines(path: &Path) -> impl Iterator<Item = Value> {
    let file = File::open(path).ok().into_iter();
    let lines = file.flat_map(|file| BufReader::new(file).lines().map_while(|line| line.ok()));
    lines.filter_map(|line| serde_json::from_str(&line).ok())
}

/// Appends a line to a run's file without its lock, from beside whoever trains it.
pub(super) fn note(run: &Path, name: &str, line: &str) -> Result<()> {
    let path = run.join(name);
    let file = OpenOptions::new().append(true).open(&path);
    file.and_then(|mut file| write_line(&mut file, line))
        .map_err(|e| Error::io(&format!("append {} bytes to", line.len() + 1), &path, e))
}

/// Locks a folder, or says which process has.
fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    let fail = |e| {
        Error::io("lock", &path, e).hint("choose a folder that can be written, on a local disk")
    };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    loop {
        let mut file = options.open(&path).map_err(fail)?;
        match file.try_lock() {
            // Whoever held it has removed the file meanwhile: this one is nobody's.
            Ok(()) if !is_at(&file, &path) => {}
            Ok(()) => {
                let number = format!("{}\n", std::process::id());
                let written = file.set_len(0).and_then(|()| file.write_all(number.as_bytes()));
                if written.is_err() {
                    let _ = fs::remove_file(&path);
                }
                return written.map(|()| file).map_err(fail);
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // It may not have written its number yet, and some systems lock reading as well.
                let holder = match file.read_to_string(&mut holder) {
                    Ok(_) if !holder.trim().is_empty() => format!("process {}", holder.trim()),
                    _ => "another process".to_owned(),
                };
                let what = format!("`{}` is in use by {holder}", folder.display());
                return Err(Error::new(ErrorKind::InUse, what)
                    .hint("wait until it is done, or choose another folder"));
            }
            Err(TryLockError::Error(e)) => return Err(fail(e)),
        }
    }
}

/// Whether an open file is the one at a path.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |about: fs::Metadata| (about.dev(), about.ino());
    let (open, there) = (file.metadata().map(place), fs::metadata(path).map(place));
    open.is_ok_and(|open| there.is_ok_and(|there| open == there))
}

/// Where an open file keeps its name until it is closed, it is the one at its path.
#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
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
