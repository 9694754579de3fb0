//! Files that are written whole or not at all, so that nothing is lost.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::error::{Error, Result};

/// Writes a file whole or not at all: to a temporary file beside it, which takes its place when it
/// is on the disk.
///
/// # Errors
///
/// If the system refuses; then what was there before is still there.
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
    let fail = |e| {
        let action = format!("write {} bytes to", bytes.len());
        Error::io(&action, path, e).hint("free some space, or choose a folder that can be written")
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".elbo-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // What the user's umask leaves of it; a temporary file would be its owner's alone.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
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
    // The new name is on the disk only when the folder is. Not every system can open one.
    if let Ok(folder) = File::open(folder) {
        folder.sync_all().map_err(fail)?;
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::cell::RefCell;
    use std::fs;
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
