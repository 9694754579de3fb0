//! Where the data is looked for when `--data` does not say, and where caches are kept.

use std::path::{Path, PathBuf};

use elbo::config::TrainConfig;
use elbo::{Error, Result};

/// Where the images lie: the path that was given, else the first of these that exists:
/// `$ELBO_DATA`, `assets/mnist` in this folder or beside the program or above it, and
/// `$XDG_DATA_HOME/elbo/mnist` or `~/.local/share/elbo/mnist`.
pub(super) fn data_folder(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(folder) = given {
        return Ok(folder.to_owned());
    }
    if let Some(folder) = variable() {
        if folder.exists() {
            return Ok(folder);
        }
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(Error::io("open $ELBO_DATA,", &folder, missing)
            .hint("name images there, as for `--data`, or unset it"));
    }
    let places = places();
    let exists = |folder: &&PathBuf| folder.is_dir();
    places.iter().find(exists).cloned().ok_or_else(|| {
        let listed: Vec<_> = places.iter().map(|p| format!("`{}`", p.display())).collect();
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        Error::io("find MNIST in", Path::new("assets/mnist"), missing).hint(format!(
            "MNIST comes with elbo's repository, in assets/mnist; give that folder, or other \
             images, with `--data`; looked in {}",
            listed.join(", ")
        ))
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
    Ok((data_folder(data.or(run.data.as_deref()))?, test.map(Path::to_owned)))
}

fn places() -> Vec<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let mut places = vec![PathBuf::from("assets/mnist")];
    let program = std::env::current_exe().unwrap_or_default();
    places.extend(program.ancestors().skip(1).take(4).map(|above| above.join("assets/mnist")));
    let home = variable("HOME").map(|home| home.join(".local/share"));
    places.extend(variable("XDG_DATA_HOME").or(home).map(|data| data.join("elbo/mnist")));
    places
}

/// The folder for what may be lost but saves time: `elbo` in the system's place for caches of this
/// user, if it says where that is.
pub(super) fn cache_folder() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    // A relative path is to be ignored, as freedesktop.org's rules say.
    let absolute = |name: &str| variable(name).filter(|path| path.is_absolute());
    let caches = if cfg!(windows) {
        absolute("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        absolute("HOME").map(|home| home.join("Library/Caches"))
    } else {
        absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))
    };
    caches.map(|caches| caches.join("elbo"))
}
