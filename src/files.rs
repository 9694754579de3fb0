//! Files that are written whole or not at all, so that nothing is lost, and regular files that are read
//! whole.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// Opens a regular file, and says how long it is; `hint` tells what to give instead.
pub(crate) fn open_regular(path: &Path, hint: &str) -> Result<(File, u64)> {
    let refuse = |error| Error::io("read", path, error).hint(hint);
    // Looked at before it is opened, since opening a named pipe would wait for a writer.
    let about = fs::metadata(path).map_err(refuse)?;
    if about.is_dir() {
        return Err(refuse(io::ErrorKind::IsADirectory.into()));
    }
    if !about.is_file() {
        return Err(refuse(io::Error::other("not a regular file")));
    }
    let file = File::open(path).map_err(refuse)?;
    let len = file.metadata().map_err(refuse)?.len();
    Ok((file, len))
}

/// All bytes of a regular file, or one byte more than `most` of a longer one; `hint` tells what to
/// give instead of what is no such file.
///
/// # Errors
///
/// If it is none, the system refuses, or there is no memory for it.
pub fn read_whole(path: &Path, most: u64, hint: &str) -> Result<Vec<u8>> {
    let (file, len) = open_regular(path, hint)?;
    let most = len.min(most.saturating_add(1));
    let mut bytes = reserved(path, most)?;
    // No more than was reserved, though the file may grow meanwhile.
    let read = file.take(most).read_to_end(&mut bytes);
    read.map_err(|e| Error::io("read", path, e).hint("try again, or copy the file elsewhere"))?;
    Ok(bytes)
}

/// An empty vector with room for `len` elements, or an error where there is no such room.
pub(crate) fn reserved<T>(path: &Path, len: u64) -> Result<Vec<T>> {
    let mut vec = Vec::new();
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    vec.try_reserve_exact(len)
        .map_err(|e| Error::io("read", path, e.into()).hint("free some memory"))?;
    Ok(vec)
}

/// Writes a file whole or not at all: to a temporary file beside it, which takes its place when it
/// is on the disk.
///
/// # Errors
///
/// If the system refuses. Then what was there before is still there, unless it was only the folder
/// that could not be brought to the disk after the file had taken its place.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, bytes, true, |_| {})
}

/// Writes a file that must not be there yet, whole or not at all.
///
/// # Errors
///
/// If the system refuses, or the file is there.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, bytes, false, |_| {})
}

/// How far a file is, where a test may end the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    /// Nothing was done.
    Start,
    /// Half of the bytes are in the temporary file.
    Half,
    /// All are, but perhaps not on the disk.
    Written,
    /// The temporary file is on the disk.
    Synced,
    /// It has taken its place, but perhaps not on the disk.
    Renamed,
}

fn write(path: &Path, bytes: &[u8], replace: bool, at: impl Fn(Point)) -> Result<()> {
    at(Point::Start);
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let fail = |e: io::Error| {
        let action = format!("write {} bytes to", bytes.len());
        let there = e.kind() == io::ErrorKind::AlreadyExists;
        let error = Error::io(&action, path, e);
        match there {
            true => error.hint("choose a name that is free, or remove the file"),
            false => error.hint("free some space, or choose a folder that can be written"),
        }
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".elbo-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // What the user's umask leaves of it; a temporary file would be its owner's alone.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).map_err(fail)?;
    // The file itself, since the wrapper would name the temporary path in the error.
    let (first, second) = bytes.split_at(bytes.len() / 2);
    file.as_file_mut().write_all(first).map_err(fail)?;
    at(Point::Half);
    file.as_file_mut().write_all(second).map_err(fail)?;
    at(Point::Written);
    file.as_file().sync_all().map_err(fail)?;
    at(Point::Synced);
    match replace {
        true => file.persist(path).map_err(|e| fail(e.error))?,
        false => file.persist_noclobber(path).map_err(|e| fail(e.error))?,
    };
    at(Point::Renamed);
    sync_folder(folder).map_err(fail)
}

/// Brings a folder's names to the disk: a new file lasts only when its name does.
///
/// # Errors
///
/// If the system refuses. Not every system can open a folder; where none can, there is nothing to do.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder) {
        Ok(folder) => folder.sync_all(),
        Err(_) => Ok(()),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::cell::RefCell;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use super::*;

    const POINTS: [Point; 5] =
        [Point::Start, Point::Half, Point::Written, Point::Synced, Point::Renamed];

    const OLD: [u8; 1000] = [1; 1000];
    const NEW: [u8; 3000] = [2; 3000];

    /// Where the child of the next test is to write, and when to be killed.
    const PLACE: &str = "ELBO_TEST_PLACE";

    /// Runs as a process of its own, and not unless that is asked for.
    #[test]
    fn child() {
        let Ok(place) = std::env::var(PLACE) else { return };
        let (point, path) = place.split_once(' ').expect("a point and a path");
        let kill = |at: Point| {
            if format!("{at:?}") == point {
                let me = std::process::id().to_string();
                Command::new("kill").args(["-KILL", &me]).status().expect("a kill");
                // Should it be slow to come.
                std::thread::sleep(std::time::Duration::from_secs(60));
            }
        };
        write(Path::new(path), &NEW, true, kill).expect("a file");
    }

    #[test]
    fn a_kill_at_any_point_leaves_the_old_or_the_new() {
        for older in [None, Some(OLD.as_slice())] {
            for point in POINTS {
                let folder = tempfile::tempdir().expect("a folder");
                let path = folder.path().join("state");
                if let Some(older) = older {
                    fs::write(&path, older).expect("a file");
                }
                let mut command = Command::new(std::env::current_exe().expect("this program"));
                command.args(["--exact", "files::tests::child"]);
                command.env(PLACE, format!("{point:?} {}", path.display()));
                let output = command.output().expect("a child");
                assert_eq!(output.status.signal(), Some(9), "{point:?}: {output:?}");
                let found = fs::read(&path).ok();
                let expected = if point == Point::Renamed { Some(&NEW[..]) } else { older };
                assert_eq!(found.as_deref(), expected, "killed at {point:?}");
                // The next save is not hindered by what was left.
                write_whole(&path, &NEW).expect("a file");
                assert_eq!(fs::read(&path).expect("a file"), NEW, "after {point:?}");
            }
        }
    }

    #[test]
    fn points_come_in_their_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let seen = RefCell::new(Vec::new());
        write(&folder.path().join("state"), &NEW, false, |at| seen.borrow_mut().push(at))
            .expect("a file");
        assert_eq!(seen.into_inner(), POINTS);
        let again = write_new(&folder.path().join("state"), &OLD);
        assert!(again.is_err(), "a file that is there is not replaced");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing is left");
    }
}
