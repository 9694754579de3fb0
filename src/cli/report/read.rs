//! What a run's folder tells: its configuration, epochs, sessions, troubles and pictures.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind as IoKind;
use std::path::{Path, PathBuf};

use elbo::{Error, Result};
use serde_json::{Map, Value};

use crate::cli::run_folder::METRICS;

/// The most pictures of a report, which keep it below a few megabytes.
const MOST_PICTURES: usize = 6;
/// A picture of more bytes is left out.
const MOST_BYTES: usize = 1 << 20;

const DAMAGED: &str = "the file may be damaged; mend or remove the line";

/// Losses in nats per image: −ELBO, reconstruction and KL. What was no number is none.
pub(super) type Parts = [Option<f64>; 3];

/// What was measured after an epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Epoch {
    pub(super) step: Option<u64>,
    pub(super) train: Parts,
    pub(super) test: Parts,
    pub(super) test_at_mean: Option<f64>,
    pub(super) images_per_s: Option<f64>,
}

/// A picture of the run, after an epoch if its name tells which.
#[derive(Debug, PartialEq)]
pub(super) struct Picture {
    pub(super) kind: String,
    pub(super) epoch: Option<u64>,
    pub(super) png: Vec<u8>,
}

/// All that a run's folder tells.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub(super) name: String,
    pub(super) config: Map<String, Value>,
    pub(super) epochs: BTreeMap<u64, Epoch>,
    /// The sessions that trained it, oldest first.
    pub(super) starts: Vec<Map<String, Value>>,
    /// Steps that were left out, and returns to an earlier state.
    pub(super) skipped: Vec<Map<String, Value>>,
    pub(super) rolled_back: Vec<Map<String, Value>>,
    /// The newest `elbo evaluate`.
    pub(super) evaluation: Option<Map<String, Value>>,
    pub(super) pictures: Vec<Picture>,
    /// Pictures that are too large for a page.
    pub(super) left_out: Vec<String>,
}

impl Story {
    /// Reads a run's folder.
    pub(super) fn read(run: &Path) -> Result<Self> {
        let path = run.join("config.toml");
        let config = fs::read(&path).map_err(|e| {
            Error::io("read", &path, e).hint("`elbo report` takes the folder of a run")
        })?;
        let broken = |what: &str| {
            Error::data(&path, format!("is no configuration: {what}"))
                .hint("mend it, or take the one in the run's checkpoint: `elbo train --resume`")
        };
        let config = String::from_utf8(config).map_err(|_| broken("it is not UTF-8"))?;
        // `toml::Table` has no integers above 2⁶³, and a seed may be one.
        let config = toml::from_str(&config).map_err(|e| broken(e.message()))?;
        let name = fs::canonicalize(run).ok();
        let name = name.as_deref().unwrap_or(run).file_name().unwrap_or(run.as_os_str());
        let name = name.to_string_lossy().into_owned();
        let mut story = Self { name, config, ..Self::default() };
        for name in [METRICS, "timings.jsonl"] {
            story.read_lines(&run.join(name))?;
        }
        story.read_pictures(&run.join("images"))?;
        Ok(story)
    }

    /// Reads JSON lines, if the file is there; a run has none before its first epoch.
    fn read_lines(&mut self, path: &Path) -> Result<()> {
        let bytes = match fs::read(path) {
            Err(e) if e.kind() == IoKind::NotFound => return Ok(()),
            read => read.map_err(|e| {
                Error::io("read", path, e).hint("`elbo report` takes the folder of a run")
            })?,
        };
        // What follows the last line's end is being written, or was when the process was killed.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for (line, number) in bytes[..whole].split(|byte| *byte == b'\n').zip(1_usize..) {
            if !line.trim_ascii().is_empty() {
                let fail = |what: String| {
                    Error::data(path, format!("line {number}: {what}")).hint(DAMAGED)
                };
                let object = serde_json::from_slice(line);
                let object = object.map_err(|e| fail(format!("expected a JSON object: {e}")))?;
                self.take(object).map_err(fail)?;
            }
        }
        Ok(())
    }

    /// Takes in what a line tells; the error says what is wrong with it.
    fn take(&mut self, line: Map<String, Value>) -> std::result::Result<(), String> {
        let timing = !line.contains_key("event") && line.contains_key("epoch");
        match line.get("event").and_then(Value::as_str) {
            Some("epoch") => {
                let epoch = self.epoch(&line)?;
                epoch.step = line.get("step").and_then(Value::as_u64);
                epoch.train = parts(&line, ["train_loss", "train_recon", "train_kl"])?;
                epoch.test = parts(&line, ["test_loss", "test_recon", "test_kl"])?;
                epoch.test_at_mean = number(&line, "test_loss_at_mean")?;
            }
            None if timing => {
                let number = line.get("epoch").and_then(Value::as_u64);
                // What was timed and lost when a run was killed is not part of it.
                if number.is_none_or(|number| self.epochs.contains_key(&number)) {
                    self.epoch(&line)?.images_per_s = self::number(&line, "images_per_s")?;
                }
            }
            Some("start") => self.starts.push(line),
            Some("skipped") => self.skipped.push(line),
            Some("rolled-back") => self.rolled_back.push(line),
            Some("evaluation") => self.evaluation = Some(line),
            // Others tell nothing here, or are of a newer version.
            _ => {}
        }
        Ok(())
    }

    fn epoch(&mut self, line: &Map<String, Value>) -> std::result::Result<&mut Epoch, String> {
        let value = line.get("epoch").unwrap_or(&Value::Null);
        let number = value.as_u64().filter(|number| *number > 0);
        let number = number.ok_or_else(|| format!("`epoch` is {value}, expected 1 or more"))?;
        Ok(self.epochs.entry(number).or_default())
    }

    /// Reads the pictures of the first, the middle and the last epoch of each kind.
    fn read_pictures(&mut self, folder: &Path) -> Result<()> {
        let fail = |e| Error::io("list", folder, e).hint("allow this user to read it");
        let entries = match fs::read_dir(folder) {
            Err(e) if e.kind() == IoKind::NotFound => return Ok(()),
            entries => entries.map_err(fail)?,
        };
        let mut kinds: BTreeMap<String, Vec<(Option<u64>, PathBuf)>> = BTreeMap::new();
        for entry in entries {
            let path = entry.map_err(fail)?.path();
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let png = path.extension().is_some_and(|extension| extension == "png");
            if png && !stem.starts_with('.') {
                // A second picture of the same, as `scatter-2`, is no kind of its own.
                let stem = match stem.rsplit_once('-') {
                    Some((name, n)) if n.parse::<u64>().is_ok() => name,
                    _ => &stem,
                };
                let (kind, epoch) = kind(stem);
                kinds.entry(kind.to_owned()).or_default().push((epoch, path));
            }
        }
        // Those that training drew, one for an epoch, before what was asked for later.
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by_key(|(_, paths)| paths.iter().all(|(epoch, _)| epoch.is_none()));
        let each = (MOST_PICTURES / kinds.len().max(1)).clamp(1, 3);
        for (kind, mut paths) in kinds.into_iter().take(MOST_PICTURES) {
            paths.sort();
            // Of a name with and without epochs, those with.
            if paths.last().is_some_and(|(epoch, _)| epoch.is_some()) {
                paths.retain(|(epoch, _)| epoch.is_some());
            }
            for place in chosen(paths.len(), each) {
                let (epoch, path) = &paths[place];
                let png = fs::read(path).map_err(|e| {
                    Error::io("read", path, e).hint("allow this user to read it, or remove it")
                })?;
                if !png.starts_with(b"\x89PNG\r\n\x1a\n") {
                    let what = "is no PNG file, expected a picture of the run";
                    return Err(Error::data(path, what).hint("remove it"));
                }
                if png.len() > MOST_BYTES {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    self.left_out.push(name.into_owned());
                } else {
                    self.pictures.push(Picture { kind: kind.clone(), epoch: *epoch, png });
                }
            }
        }
        Ok(())
    }
}

/// What a picture shows, and the epoch at the end of its name.
fn kind(stem: &str) -> (&str, Option<u64>) {
    match stem.rsplit_once('_').map(|(kind, number)| (kind, number.parse())) {
        Some((kind, Ok(epoch))) if !kind.is_empty() => (kind, Some(epoch)),
        _ => (stem, None),
    }
}

/// Which of so many pictures are shown: the last; the first too; the middle too.
fn chosen(count: usize, most: usize) -> Vec<usize> {
    let last = count.saturating_sub(1);
    let mut places = match most {
        1 => vec![last],
        2 => vec![0, last],
        _ => vec![0, last / 2, last],
    };
    places.dedup();
    places
}

fn parts(line: &Map<String, Value>, keys: [&str; 3]) -> std::result::Result<Parts, String> {
    let [loss, recon, kl] = keys.map(|key| number(line, key));
    Ok([loss?, recon?, kl?])
}

/// A number; none where it is missing or was not finite, which JSON calls null.
fn number(line: &Map<String, Value>, key: &str) -> std::result::Result<Option<f64>, String> {
    match line.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => Ok(number.as_f64().filter(|number| number.is_finite())),
        Some(other) => Err(format!("`{key}` is {other}, expected a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_pictures_tell_epochs() {
        for (stem, expected) in [
            ("sample_12", ("sample", Some(12))),
            ("latent_walk_3", ("latent_walk", Some(3))),
            ("manifold", ("manifold", None)),
            ("_7", ("_7", None)),
            ("sample_", ("sample_", None)),
            ("sample_-1", ("sample_-1", None)),
        ] {
            assert_eq!(kind(stem), expected, "{stem}");
        }
    }

    #[test]
    fn few_pictures_are_chosen() {
        for (count, most, expected) in [
            (1, 3, vec![0]),
            (2, 3, vec![0, 1]),
            (3, 3, vec![0, 1, 2]),
            (10, 3, vec![0, 4, 9]),
            (10, 2, vec![0, 9]),
            (1, 2, vec![0]),
            (10, 1, vec![9]),
        ] {
            assert_eq!(chosen(count, most), expected, "{most} of {count}");
        }
    }

    #[test]
    fn lines_are_taken_in_or_named() {
        let mut story = Story::default();
        let mut take = |text: &str| {
            let line = serde_json::from_str(text).expect("a JSON object");
            story.take(line).err()
        };
        for (text, fault) in [
            (r#"{"event":"epoch","epoch":2,"step":9,"train_loss":3.5,"test_kl":null}"#, None),
            (r#"{"epoch":2,"images_per_s":1000}"#, None),
            (r#"{"epoch":3,"images_per_s":1000}"#, None),
            (r#"{"event":"news","epoch":"none"}"#, None),
            (r#"{"something":1}"#, None),
            (r#"{"event":"epoch"}"#, Some("`epoch` is null, expected 1 or more")),
            (r#"{"event":"epoch","epoch":0}"#, Some("`epoch` is 0, expected 1 or more")),
            (r#"{"epoch":-1}"#, Some("`epoch` is -1, expected 1 or more")),
            (
                r#"{"event":"epoch","epoch":5,"test_kl":"x"}"#,
                Some("`test_kl` is \"x\", expected a number"),
            ),
        ] {
            assert_eq!(take(text).as_deref(), fault, "{text}");
        }
        let expected = Epoch {
            step: Some(9),
            train: [Some(3.5), None, None],
            images_per_s: Some(1000.0),
            ..Epoch::default()
        };
        assert_eq!(story.epochs[&2], expected, "the second line is of the same epoch");
        assert!(!story.epochs.contains_key(&3), "an epoch that was lost");
    }
}
