//! What a run's folder tells: its configuration, epochs, sessions and troubles.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind as IoKind;
use std::path::Path;

use elbo::{Error, Result};
use serde_json::{Map, Value};

use crate::cli::report::pictures::{Picture, read_pictures};
use crate::cli::run_folder::{METRICS, TIMINGS};

const DAMAGED: &str = "the file may be damaged; mend or remove the line";

/// Losses in nats per image: −ELBO, reconstruction and KL. What was no number is none.
pub(super) type Parts = [Option<f64>; 3];

/// What was measured after an epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Epoch {
    pub(super) step: Option<u64>,
    pub(super) train: Parts,
    /// The mean of what was minimised, if that is not the loss.
    pub(super) objective: Option<f64>,
    pub(super) test: Parts,
    pub(super) test_at_mean: Option<f64>,
    /// Dimensions of z that say something of the first test images.
    pub(super) active: Option<u64>,
    /// Of each level of z, from below upwards, its KL and its active dimensions, where there are several.
    pub(super) levels: Vec<[Option<f64>; 2]>,
    pub(super) images_per_s: Option<f64>,
}

/// A call of `elbo train`.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) start: Map<String, Value>,
    /// How it ended, if it has and could still tell.
    pub(super) end: Option<Map<String, Value>>,
}

/// All that a run's folder tells.
#[derive(Debug, Default)]
pub(in crate::cli) struct Story {
    pub(super) name: String,
    pub(super) config: Map<String, Value>,
    pub(super) epochs: BTreeMap<u64, Epoch>,
    /// The sessions that trained it, oldest first.
    pub(super) sessions: Vec<Session>,
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
    pub(in crate::cli) fn read(run: &Path) -> Result<Self> {
        let path = run.join("config.toml");
        let config = fs::read(&path).map_err(|e| {
            Error::io("read", &path, e).hint("name the folder of a run, such as runs/0001")
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
        for name in [METRICS, TIMINGS] {
            story.read_lines(&run.join(name))?;
        }
        (story.pictures, story.left_out) = read_pictures(&run.join("images"))?;
        Ok(story)
    }

    /// A value of the configuration.
    pub(super) fn key(&self, section: &str, key: &str) -> Option<&Value> {
        self.config.get(section)?.get(key)
    }

    /// A whole number of the configuration.
    pub(super) fn count(&self, section: &str, key: &str) -> Option<u64> {
        self.key(section, key)?.as_u64()
    }

    /// The images that `test` of an epoch is of: those that training looked at, `validation` or `test`.
    pub(super) fn looked_at(&self) -> &'static str {
        let share = self.key("data", "validation-fraction").and_then(Value::as_f64);
        if share.is_some_and(|share| share > 0.0) { "validation" } else { "test" }
    }

    /// The epoch with the lowest loss on those images, the first of equal ones, and that loss.
    pub(super) fn best(&self) -> Option<(u64, f64)> {
        let all = self.epochs.iter().filter_map(|(n, epoch)| Some((*n, epoch.test[0]?)));
        all.min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Reads JSON lines, if the file is there; a run has none before its first epoch.
    fn read_lines(&mut self, path: &Path) -> Result<()> {
        let bytes = match fs::read(path) {
            Err(e) if e.kind() == IoKind::NotFound => return Ok(()),
            read => read.map_err(|e| {
                Error::io("read", path, e).hint("name the folder of a run, such as runs/0001")
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
                // By what the line has, whatever the configuration says.
                let of = ["validation", "test"];
                let of = of.into_iter().find(|of| line.contains_key(&format!("{of}_loss")));
                let key = |name: &str| format!("{}_{name}", of.unwrap_or("test"));
                epoch.test = parts(&line, [&key("loss"), &key("recon"), &key("kl")])?;
                epoch.objective = number(&line, "train_objective")?;
                epoch.test_at_mean = number(&line, &key("loss_at_mean"))?;
                epoch.active = line.get("active_units").and_then(Value::as_u64);
                let [kl, active] =
                    ["kl_by_level", "active_units_by_level"].map(|key| list(&line, key));
                epoch.levels =
                    kl.into_iter().zip(active).map(|(kl, active)| [kl, active]).collect();
            }
            None if timing => {
                let number = line.get("epoch").and_then(Value::as_u64);
                // What was timed and lost when a run was killed is not part of it.
                if number.is_none_or(|number| self.epochs.contains_key(&number)) {
                    self.epoch(&line)?.images_per_s = self::number(&line, "images_per_s")?;
                }
            }
            Some("start") => self.sessions.push(Session { start: line, end: None }),
            Some("end") => {
                if let Some(session) = self.sessions.last_mut() {
                    session.end = Some(line);
                }
            }
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
}

/// A list of numbers; of those that were not finite nothing.
pub(super) fn list(line: &Map<String, Value>, key: &str) -> Vec<Option<f64>> {
    let values = line.get(key).and_then(Value::as_array).into_iter().flatten();
    values.map(Value::as_f64).collect()
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
