//! The JSON lines of a run, to compare figures with.

use std::path::Path;

use elbo::bench::{Comparison, Design, Figure, Verdict, fewest};
use elbo::{Error, Result};
use serde_json::Value;

use crate::cli::bench::about::{About, DATE};
use crate::cli::bench::output::Row;

/// The figure of what other programs took of the CPU.
pub(super) const OTHERS: &str = "CPU of others";

/// A figure of a run.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) subject: String,
    pub(super) batch: Option<u64>,
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) samples: Vec<f64>,
    taken: bool,
}

/// What a run measured on one device.
#[derive(Debug)]
pub(super) struct Run {
    start: Value,
    rows: Vec<Value>,
    pub(super) entries: Vec<Entry>,
}

impl Run {
    /// The runs in JSON lines: one a device.
    pub(super) fn parse(text: &str, fail: impl Fn(String) -> Error) -> Result<Vec<Self>> {
        let mut runs: Vec<Self> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let value: Value = serde_json::from_str(line)
                .map_err(|e| fail(format!("line {number} is no JSON object: {e}")))?;
            let event = value["event"].as_str();
            let event =
                event.ok_or_else(|| fail(format!("line {number} has no event")))?.to_owned();
            if event == "start" {
                runs.push(Self { start: value, rows: Vec::new(), entries: Vec::new() });
                continue;
            }
            let Some(run) = runs.last_mut() else { continue };
            match event.as_str() {
                "row" => run.rows.push(value),
                "figure" => {
                    let entry = entry(&value);
                    run.entries.push(
                        entry.ok_or_else(|| fail(format!("line {number} is no whole figure")))?,
                    );
                }
                // Samples, and what later versions may add.
                _ => {}
            }
        }
        runs.retain(|run| !run.entries.is_empty());
        if runs.is_empty() {
            return Err(fail("it holds no figures of `elbo bench`".to_owned()));
        }
        Ok(runs)
    }

    /// Adds the samples of a later round.
    pub(super) fn append(&mut self, round: Self) {
        for entry in round.entries {
            let mut known = self.entries.iter_mut();
            if let Some(known) = known.find(|known| known.is_of(&entry)) {
                known.samples.extend(entry.samples);
            }
        }
    }

    /// What the row of that name and batch said of itself under a key.
    pub(super) fn said(&self, row: &Row, key: &str) -> Option<String> {
        let batch = row.batch.map(|batch| batch as u64);
        let same = |old: &&Value| old["subject"] == row.subject && old["batch"].as_u64() == batch;
        self.rows.iter().find(same)?[key].as_str().map(str::to_owned)
    }

    fn is_on(&self, about: &About) -> bool {
        ["adapter", "backend"].iter().all(|name| self.start[name] == about.get(name))
    }

    /// The shares of the CPU that others took.
    fn others(&self) -> f64 {
        let told = self.entries.iter().find(|entry| entry.name == OTHERS);
        told.map_or(0.0, |entry| Figure::new("", "", entry.samples.clone()).median() / 100.0)
    }
}

impl Entry {
    fn is_of(&self, other: &Self) -> bool {
        (&self.subject, self.batch, &self.name) == (&other.subject, other.batch, &other.name)
    }
}

fn entry(value: &Value) -> Option<Entry> {
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    let samples = value["samples"].as_array()?;
    Some(Entry {
        subject: text("subject")?,
        batch: value["batch"].as_u64(),
        name: text("figure")?,
        unit: text("unit")?,
        samples: samples.iter().map(Value::as_f64).collect::<Option<Vec<_>>>()?,
        taken: false,
    })
    .filter(|entry| !entry.samples.is_empty())
}

/// What is compared with.
pub(super) struct Old {
    runs: Vec<Run>,
    /// Which of them is of the device that is measured, if any.
    at: Option<usize>,
    paired: bool,
}

/// A figure beside what it was.
pub(super) struct Beside {
    pub(super) was: Figure,
    pub(super) ratio: f64,
    /// With an interval, if there are enough rounds for one.
    pub(super) comparison: Option<Comparison>,
    /// `faster`, `slower`, `within noise`; or of a count `same`, `changed`; or why there is none.
    pub(super) verdict: &'static str,
}

impl Old {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let hint = "`elbo bench --json > FILE` writes such a file";
        let text =
            std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e).hint(hint))?;
        let runs = Run::parse(&text, |what| Error::data(path, what).hint(hint))?;
        Ok(Self { runs, at: None, paired: false })
    }

    /// A run whose rounds were measured in turn with those that are compared.
    pub(super) fn beside(run: Run) -> Self {
        Self { runs: vec![run], at: None, paired: true }
    }

    /// Chooses what was measured on a device. One run alone is compared on any.
    pub(super) fn choose(&mut self, about: &About) {
        let one = (self.runs.len() == 1).then_some(0);
        self.at = self.runs.iter().position(|run| run.is_on(about)).or(one);
    }

    fn run(&self) -> Option<&Run> {
        self.runs.get(self.at?)
    }

    /// What the earlier run said of itself under a name, or nothing.
    pub(super) fn about(&self, name: &str) -> String {
        let told = self.run().and_then(|run| run.start[name].as_str());
        told.unwrap_or_default().to_owned()
    }

    /// What else the earlier run was measured on or by: name, earlier value, value now.
    pub(super) fn differences(&self, about: &About) -> Vec<(&'static str, String, String)> {
        let Some(run) = self.run() else { return Vec::new() };
        let values = about.0.iter().filter(|(name, _)| *name != DATE);
        values
            .map(|(name, is)| (*name, run.start[*name].as_str(), is))
            .filter(|(_, was, is)| *was != Some(is.as_str()))
            .map(|(name, was, is)| (name, was.unwrap_or("not told").to_owned(), is.clone()))
            .collect()
    }

    /// What the row of that name and batch said of itself under a key.
    pub(super) fn said(&self, row: &Row, key: &str) -> Option<String> {
        self.run()?.said(row, key)
    }

    /// A figure beside what it was, if it was. `others` is the share of the CPU that others take now.
    pub(super) fn take(&mut self, row: &Row, figure: &Figure, others: f64) -> Option<Beside> {
        let design = match self.paired {
            true => Design::Paired,
            false => Design::Apart([self.run()?.others(), others]),
        };
        let batch = row.batch.map(|batch| batch as u64);
        let same =
            |e: &&mut Entry| e.subject == row.subject && e.batch == batch && e.name == figure.name;
        let entry = self.runs[self.at?].entries.iter_mut().find(same)?;
        entry.taken = true;
        let was = Figure::new(&entry.name, &figure.unit, entry.samples.clone());
        Some(Beside::of(was, figure, design))
    }

    /// In one line what nobody asked for, if there is anything.
    pub(super) fn rest(&self) -> Option<String> {
        let mut left: Vec<(String, usize)> = Vec::new();
        let entries = self.runs.iter().flat_map(|run| &run.entries);
        for Entry { subject, batch, .. } in entries.filter(|entry| !entry.taken) {
            let batch = batch.map_or(String::new(), |batch| format!(", batch {batch}"));
            let of = format!("{subject}{batch}");
            match left.iter_mut().find(|(known, _)| *known == of) {
                Some((_, count)) => *count += 1,
                None => left.push((of, 1)),
            }
        }
        let name = |(of, count): &(String, usize)| match count {
            1 => format!("one figure of {of}"),
            _ => format!("{count} figures of {of}"),
        };
        let left: Vec<_> = left.iter().map(name).collect();
        (!left.is_empty()).then(|| format!("only in the earlier run: {}", left.join("; ")))
    }
}

impl Beside {
    fn of(was: Figure, now: &Figure, design: Design) -> Self {
        let comparison = Comparison::of(&was.samples, &now.samples, design);
        let ratio = match (design, comparison) {
            (Design::Paired, Some(comparison)) => comparison.ratio,
            _ => now.median() / was.median(),
        };
        let verdict = match (now.better(), comparison) {
            (None, _) if now.unit.is_empty() && ratio == 1.0 => "same",
            (None, _) if now.unit.is_empty() => "changed",
            (None, _) => "",
            (Some(_), None) if was.samples.len().min(now.samples.len()) < fewest(design) => {
                "too few"
            }
            // A slope of a dispatch that came out negative, say.
            (Some(_), None) => "unclear",
            (Some(better), Some(comparison)) => comparison.verdict(better).name(),
        };
        Self { was, ratio, comparison, verdict }
    }

    pub(super) fn is_slower(&self) -> bool {
        self.verdict == Verdict::Slower.name()
    }
}
