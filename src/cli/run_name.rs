//! How a run is named: by its folder, by its name alone under `runs`, or as `latest`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::builder::{PathBufValueParser, TypedValueParser};

use crate::cli::run_folder::CHECKPOINT;

/// Where runs lie whose folder nobody chose.
pub(super) const RUNS: &str = "runs";

/// The word for the run that was saved last.
const LATEST: &str = "latest";

/// Reads the name of a run. A path that is there is taken as it is.
pub(super) fn run_name() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|typed| find(Path::new(""), typed))
}

/// The run that was meant, looked for in a folder.
fn find(here: &Path, typed: PathBuf) -> Result<PathBuf, String> {
    let bare = typed.file_name() == Some(typed.as_os_str());
    if !bare || here.join(&typed).exists() {
        return Ok(typed);
    }
    let runs = Path::new(RUNS);
    if here.join(runs).join(&typed).exists() {
        return Ok(runs.join(typed));
    }
    match typed.to_str() {
        Some(LATEST) => newest(&here.join(runs)).map(|name| runs.join(name)).ok_or_else(|| {
            format!(
                "no run was saved under `{RUNS}` here: `elbo train` makes one, or name the folder of a run"
            )
        }),
        _ => Ok(typed),
    }
}

/// The name of the run under a folder whose checkpoint was written last.
fn newest(runs: &Path) -> Option<PathBuf> {
    let saved = |run: &Path| -> Option<SystemTime> {
        fs::metadata(run.join(CHECKPOINT)).and_then(|about| about.modified()).ok()
    };
    let entries = fs::read_dir(runs).ok()?.flatten();
    // Of two that were saved at once, the one of the higher number.
    let newest = entries.filter_map(|e| Some((saved(&e.path())?, e.file_name()))).max();
    newest.map(|(_, name)| name.into())
}

/// A path as it can be typed in a shell.
pub(super) fn typed(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-=,+:~".contains(c);
    match text.chars().all(plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn runs_are_found_by_name_and_age() {
        let place = tempfile::tempdir().expect("a folder");
        let here = place.path();
        let found = |typed: &str| find(here, typed.into());
        assert!(found("latest").expect_err("no run").contains("`elbo train` makes one"));
        for (name, age) in [("0001", Some(10)), ("0002", Some(60)), ("0003", None)] {
            let run = here.join("runs").join(name);
            fs::create_dir_all(&run).expect("a folder");
            let Some(age) = age else { continue };
            let file = fs::File::create(run.join(CHECKPOINT)).expect("a checkpoint");
            let time = SystemTime::now() - Duration::from_secs(age);
            file.set_modified(time).expect("a time of the past");
        }
        for (typed, expected) in [
            ("latest", "runs/0001"),
            ("0002", "runs/0002"),
            ("0003", "runs/0003"),
            ("0004", "0004"),
            ("./latest", "./latest"),
            ("other/latest", "other/latest"),
        ] {
            assert_eq!(found(typed).expect(typed), PathBuf::from(expected), "{typed}");
        }
        // What is there under the word itself is meant.
        fs::create_dir(here.join("runs/latest")).expect("a folder");
        assert_eq!(found("latest"), Ok("runs/latest".into()), "a run of that name");
        fs::create_dir(here.join("latest")).expect("a folder");
        assert_eq!(found("latest"), Ok("latest".into()), "a folder here");
    }
}
