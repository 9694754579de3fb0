//! Where a result goes: a file whose name says its format, and which must not be there yet.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use elbo::{Error, Result};

/// What stands behind the last dot of a file's name, in small letters.
pub(super) fn ending(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// The ending of a file that is to be written, one of these, or the error that it is none of them.
pub(super) fn known_ending(out: &Path, known: &[&str], hint: &str) -> Result<String> {
    let ending = ending(out);
    if known.contains(&ending.as_str()) {
        return Ok(ending);
    }
    let known: Vec<_> = known.iter().map(|known| format!("`.{known}`")).collect();
    let known = match known.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        one => one.concat(),
    };
    let what = format!("`--out` is `{}`; it must end in {known}", out.display());
    Err(Error::config(what).hint(hint))
}

/// Refuses a picture's file by its name, before the picture is made.
pub(super) fn check_picture(out: &Path) -> Result<()> {
    known_ending(out, &["png"], "pictures are written as PNG alone")?;
    check_free(out)
}

/// The names of a file of that name and of its followers in a folder: `name.png`, `name-2.png`, …
pub(super) fn numbered(folder: &Path, name: &str, ending: &str) -> impl Iterator<Item = PathBuf> {
    (1_u64..).map(move |n| match n {
        1 => folder.join(format!("{name}.{ending}")),
        n => folder.join(format!("{name}-{n}.{ending}")),
    })
}

/// The first name in a folder that is free, of `name.png`, `name-2.png`, …; or one before it, if that file
/// holds these bytes already.
pub(super) fn free_or_equal(
    folder: &Path,
    name: &str,
    ending: &str,
    bytes: &[u8],
) -> (PathBuf, bool) {
    let mut paths = numbered(folder, name, ending);
    loop {
        let path = paths.next().expect("numbers do not end");
        if !path.exists() {
            return (path, false);
        }
        let as_long = path.metadata().is_ok_and(|file| file.len() == bytes.len() as u64);
        if as_long && fs::read(&path).is_ok_and(|there| there == bytes) {
            return (path, true);
        }
    }
}

/// Refuses a file that is there, or whose folder is not, before anything is computed for it.
pub(super) fn check_free(path: &Path) -> Result<()> {
    let refuse = |kind: io::ErrorKind| Error::io("write to", path, kind.into());
    if path.symlink_metadata().is_ok() {
        return Err(refuse(io::ErrorKind::AlreadyExists)
            .hint("choose a name that is free, or remove the file"));
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            Err(refuse(io::ErrorKind::NotFound)
                .hint("make its folder, or choose one that is there"))
        }
        _ => Ok(()),
    }
}
