//! Where the data is looked for when `--data` does not say, and where caches are kept.

use std::path::{Path, PathBuf};

use elbo::config::TrainConfig;
use elbo::{Error, ErrorKind, Result};

use crate::cli::fetch;

/// Where the images lie: the path that was given, or the set of that name that was downloaded; else the first of
/// these that exists: `$ELBO_DATA`, `assets/mnist` in this folder or beside the program or above it, and what
/// `elbo fetch mnist` downloads.
pub(super) fn data_folder(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(given) = given {
        return of_name(given);
    }
    if let Some(folder) = variable() {
        if folder.exists() {
            return Ok(folder);
        }
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(Error::io("open $ELBO_DATA,", &folder, missing)
            .hint("name images there, as for `--data`, or unset it"));
    }
    mnist().ok_or_else(|| {
        Error::new(ErrorKind::Io, "MNIST, which is read where `--data` names nothing, is not here")
            .hint(
                "`elbo fetch mnist` downloads it (12 MB); or name images of yours with `--data`; or go to \
                 elbo's repository, which has it in assets/mnist",
            )
    })
}

/// The images that the environment names.
fn variable() -> Option<PathBuf> {
    std::env::var_os("ELBO_DATA").map(PathBuf::from)
}

/// Whether the environment names images, so that none are looked for.
pub(super) fn is_in_variable() -> bool {
    variable().is_some()
}

/// Where the images lie that were asked for, or else those that a run had; and the test images, if they
/// are elsewhere: those that a run names belong to the data that it names.
pub(super) fn data_places(
    data: Option<&Path>,
    test_data: Option<&Path>,
    run: &TrainConfig,
) -> Result<(PathBuf, Option<PathBuf>)> {
    let test = match (data, test_data) {
        (None, None) => run.test_data.as_deref(),
        _ => test_data,
    };
    Ok((data_folder(data.or(run.data.as_deref()))?, test.map(of_name).transpose()?))
}

/// A path that was given, or where the set of that name lies, if there is no such path.
pub(super) fn of_name(given: &Path) -> Result<PathBuf> {
    if given.exists() {
        return Ok(given.to_owned());
    }
    let Some(set) = fetch::named(given) else {
        return match fetch::meant(given) {
            None => Ok(given.to_owned()),
            Some(name) => {
                let what = format!("there is no file, folder or data set `{}`", given.display());
                Err(Error::new(ErrorKind::Io, what).hint(format!("did you mean `--data {name}`?")))
            }
        };
    };
    let found = fetch::fetched(set).or_else(|| mnist().filter(|_| set.name == "mnist"));
    found.ok_or_else(|| {
        let (name, size) = (set.name, fetch::size(set.bytes()));
        let what =
            format!("the data set `{name}` is not here, and no file or folder has that name");
        Error::new(ErrorKind::Io, what).hint(format!("`elbo fetch {name}` downloads it ({size})"))
    })
}

/// The first place that has MNIST.
fn mnist() -> Option<PathBuf> {
    let mut places = vec![PathBuf::from("assets/mnist")];
    let program = std::env::current_exe().unwrap_or_default();
    places.extend(program.ancestors().skip(1).take(4).map(|above| above.join("assets/mnist")));
    let downloaded = data_home().map(|home| home.join("mnist"));
    places.extend(downloaded.filter(|folder| !fetch::is_begun(folder)));
    places.into_iter().find(|folder| folder.is_dir())
}

/// An absolute path in a variable of the environment. A relative one is to be ignored, as freedesktop.org's
/// rules say.
fn absolute(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// The folder for data sets that were downloaded: `elbo` in the system's place for data of this user, if it
/// says where that is.
pub(super) fn data_home() -> Option<PathBuf> {
    if cfg!(windows) {
        return absolute("LOCALAPPDATA").map(|local| local.join("elbo/data"));
    }
    let home = || match cfg!(target_os = "macos") {
        true => absolute("HOME").map(|home| home.join("Library/Application Support")),
        false => absolute("HOME").map(|home| home.join(".local/share")),
    };
    absolute("XDG_DATA_HOME").or_else(home).map(|data| data.join("elbo"))
}

/// The folder for what may be lost but saves time: `elbo` in the system's place for caches of this
/// user, if it says where that is.
pub(super) fn cache_folder() -> Option<PathBuf> {
    let caches = if cfg!(windows) {
        absolute("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        absolute("HOME").map(|home| home.join("Library/Caches"))
    } else {
        absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))
    };
    caches.map(|caches| caches.join("elbo"))
}
