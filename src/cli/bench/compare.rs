//! The JSON lines of an earlier run, to compare figures with.

use std::path::Path;

use elbo::{Error, Result};
use serde_json::Value;

use crate::cli::bench::output::{About, Row};

/// A figure of an earlier run.
struct Entry {
    subject: String,
    batch: Option<u64>,
    name: String,
    median: f64,
    taken: bool,
}

/// An earlier run.
pub(super) struct Old {
    start: Value,
    rows: Vec<Value>,
    entries: Vec<Entry>,
}

impl Old {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let hint = "`elbo bench --json > FILE` writes such a file";
        let text =
            std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e).hint(hint))?;
        let fail = |what: String| Error::data(path, what).hint(hint);
        let mut old = Self { start: Value::Null, rows: Vec::new(), entries: Vec::new() };
        for (number, line) in (1..).zip(text.lines()) {
            let value: Value = serde_json::from_str(line)
                .map_err(|e| fail(format!("line {number} is no JSON object: {e}")))?;
            match value["event"].as_str() {
                Some("start") => old.start = value,
                Some("row") => old.rows.push(value),
                Some("figure") => {
                    let entry = entry(&value);
                    old.entries.push(
                        entry.ok_or_else(|| fail(format!("line {number} is no whole figure")))?,
                    );
                }
                // Samples, and what later versions may add.
                Some(_) => {}
                None => return Err(fail(format!("line {number} has no event"))),
            }
        }
        if old.start.is_null() || old.entries.is_empty() {
            return Err(fail("it holds no figures of `elbo bench`".to_owned()));
        }
        Ok(old)
    }

    /// What the earlier run said of itself under a name, or nothing.
    pub(super) fn about(&self, name: &str) -> String {
        self.start[name].as_str().unwrap_or_default().to_owned()
    }

    /// What else the earlier run was measured on or by: name, earlier value, value now.
    pub(super) fn differences(&self, about: &About) -> Vec<(&'static str, String, String)> {
        let values = about.0.iter().map(|(name, is)| (*name, self.start[*name].as_str(), is));
        values
            .filter(|(_, was, is)| *was != Some(is.as_str()))
            .map(|(name, was, is)| (name, was.unwrap_or("not told").to_owned(), is.clone()))
            .collect()
    }

    /// The model of the row of that name and batch.
    pub(super) fn shape(&self, row: &Row) -> Option<String> {
        let same = |old: &&Value| {
            old["subject"] == row.subject && old["batch"].as_u64() == row.batch.map(|b| b as u64)
        };
        self.rows.iter().find(same)?["model"].as_str().map(str::to_owned)
    }

    /// The earlier median of a figure.
    pub(super) fn take(&mut self, row: &Row, name: &str) -> Option<f64> {
        let batch = row.batch.map(|batch| batch as u64);
        let same = |e: &&mut Entry| e.subject == row.subject && e.batch == batch && e.name == name;
        let entry = self.entries.iter_mut().find(same)?;
        entry.taken = true;
        Some(entry.median)
    }

    /// The figures that nobody asked for, in words.
    pub(super) fn rest(self) -> Vec<String> {
        let left = self.entries.into_iter().filter(|entry| !entry.taken);
        left.map(|Entry { subject, batch, name, .. }| {
            let batch = batch.map_or(String::new(), |batch| format!(", batch {batch}"));
            format!("only in the earlier run: {subject}{batch}: {name}")
        })
        .collect()
    }
}

fn entry(value: &Value) -> Option<Entry> {
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    Some(Entry {
        subject: text("subject")?,
        batch: value["batch"].as_u64(),
        name: text("figure")?,
        median: value["median"].as_f64()?,
        taken: false,
    })
}
