//! Which commit the program was built from, where that can be known.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

/// What the program is built from.
const SOURCES: [&str; 4] = ["src", "shaders", "Cargo.toml", "Cargo.lock"];

/// The commit that the build was told by `ELBO_COMMIT`, or else that of the checkout it was built in. A
/// wrong one would be worse than none, so there is none if the sources, or the commit itself, are newer than
/// the program; `-dirty` says that the sources differ from the commit.
pub(super) fn commit() -> Option<String> {
    if let Some(told) = option_env!("ELBO_COMMIT").filter(|told| !told.is_empty()) {
        return Some(told.to_owned());
    }
    let built = std::env::current_exe().ok()?.metadata().ok()?.modified().ok()?;
    of_checkout(Path::new(env!("CARGO_MANIFEST_DIR")), built)
}

fn of_checkout(root: &Path, built: SystemTime) -> Option<String> {
    // Git would go up to a repository that this only lies in.
    if !root.join(".git").exists() {
        return None;
    }
    let git = |words: &[&str], paths: &[&str]| {
        let mut command = Command::new("git");
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(name);
        }
        // Another git may be at work there, so nothing is refreshed.
        let output = command.arg("--no-optional-locks").arg("-C").arg(root).args(words).args(paths);
        let output = output.output().ok().filter(|output| output.status.success())?;
        String::from_utf8(output.stdout).ok()
    };
    let log = git(&["log", "-1", "--format=%h %ct"], &[])?;
    let (commit, seconds) = log.trim().split_once(' ')?;
    let made = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.parse().ok()?);
    let files = git(&["ls-files", "-z", "--"], &SOURCES)?;
    let newer = |file: &str| {
        let changed = root.join(file).metadata().and_then(|about| about.modified());
        changed.map_or(true, |changed| changed > built)
    };
    if made > built || files.split('\0').filter(|file| !file.is_empty()).any(newer) {
        return None;
    }
    let changes = git(&["status", "--porcelain", "--"], &SOURCES)?;
    let dirty = if changes.is_empty() { "" } else { "-dirty" };
    Some(format!("{commit}{dirty}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn git(root: &Path, words: &str) {
        let mut command = Command::new("git");
        command.arg("-C").arg(root).args(["-c", "user.name=a", "-c", "user.email=a@b"]);
        let output = command.args(words.split(' ')).output().expect("git");
        assert!(output.status.success(), "git {words}: {output:?}");
    }

    #[test]
    fn a_commit_is_told_only_where_it_is_known() {
        let dir = tempfile::tempdir().expect("a folder");
        let root = dir.path();
        let later = SystemTime::now() + Duration::from_secs(100);
        assert_eq!(of_checkout(root, later), None, "no checkout");
        fs::create_dir(root.join("src")).expect("a folder");
        let file = root.join("src/main.rs");
        fs::write(&file, "fn main() {}\n").expect("a file");
        git(root, "init --quiet");
        git(root, "add .");
        git(root, "commit --quiet -m one");
        let clean = of_checkout(root, later).expect("a commit");
        assert!(clean.len() >= 7 && clean.chars().all(|c| c.is_ascii_hexdigit()), "{clean}");
        let before = SystemTime::now() - Duration::from_secs(100);
        assert_eq!(of_checkout(root, before), None, "built before the commit");
        fs::write(&file, "fn main() { }\n").expect("a file");
        assert_eq!(of_checkout(root, later), Some(format!("{clean}-dirty")), "changed, then built");
        let newer = fs::File::options().write(true).open(&file).expect("a file");
        newer.set_modified(later + Duration::from_secs(9)).expect("a time");
        assert_eq!(of_checkout(root, later), None, "changed since it was built");
    }
}
