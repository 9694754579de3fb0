//! What came of a sweep: a table, lines of JSON and a file of comma-separated values.

use std::path::Path;

use elbo::{ErrorKind, Result};
use serde_json::{Value, json};

use crate::cli::run_name::typed;
use crate::cli::runs::{by_loss, progress};
use crate::cli::summary::Summary;
use crate::cli::sweep::plan::{Combination, shown};
use crate::cli::table::table;
use crate::cli::{print_line, talk};

/// What came of a combination.
#[derive(Debug)]
pub(super) struct Outcome {
    combination: Combination,
    run: Summary,
    /// Why it came to nothing now, if it did.
    fault: Option<ErrorKind>,
}

impl Outcome {
    /// What the folder of a combination tells, and why it came to nothing.
    pub(super) fn of(combination: Combination, out: &Path, fault: Option<ErrorKind>) -> Self {
        let run = Summary::read(&out.join(&combination.name));
        Self { combination, run, fault }
    }

    /// Why it came to nothing, unless another process has done it meanwhile.
    pub(super) fn fault(&self) -> Option<ErrorKind> {
        self.fault.filter(|_| !self.run.is_done())
    }

    /// How it is, in a word.
    fn state(&self) -> &'static str {
        match (self.fault(), self.run.header()) {
            (Some(ErrorKind::Numbers), _) => "numbers broke",
            (Some(_), _) => "in use",
            (None, None) => "to do",
            (None, Some(_)) if self.run.is_done() => "done",
            (None, Some(_)) => "stopped",
        }
    }

    fn json(&self) -> Value {
        let values = self.combination.values.iter();
        let values: serde_json::Map<_, _> =
            values.map(|(key, value)| (key.clone(), json!(value))).collect();
        let mut line = self.run.json();
        line["event"] = json!("sweep-run");
        line["state"] = json!(self.state());
        line["values"] = Value::Object(values);
        line
    }
}

/// Puts the lowest loss first.
pub(super) fn sort(outcomes: &mut [Outcome]) {
    outcomes.sort_by(|one, other| by_loss(&one.run, &other.run));
}

/// Prints all, as they are sorted.
pub(super) fn tell(outcomes: &[Outcome], json: bool) -> Result<()> {
    if json {
        return outcomes.iter().try_for_each(|outcome| print_line(&outcome.json().to_string()));
    }
    let rows: Vec<_> = outcomes
        .iter()
        .map(|outcome| {
            let [epochs, best, last] = progress(&outcome.run);
            let at = outcome.run.best.map_or(String::new(), |best| best.epoch.to_string());
            let name = outcome.combination.name.clone();
            [name, outcome.state().to_owned(), epochs, best, at, last]
        })
        .collect();
    let head = ["run", "state", "epochs", "best", "in epoch", "last"];
    table(head, &rows, 2).iter().try_for_each(|line| print_line(line))?;
    if let Some(best) = outcomes.first().filter(|outcome| outcome.run.best.is_some()) {
        talk(&format!("the lowest loss: {}", typed(&best.run.path)));
    }
    Ok(())
}

/// All with their values, a line each.
pub(super) fn csv(outcomes: &[Outcome]) -> String {
    let keys = outcomes.first().map_or(&[][..], |first| &first.combination.values);
    let mut rows = vec![["run".to_owned(), "state".to_owned()].into_iter().collect::<Vec<_>>()];
    rows[0].extend(keys.iter().map(|(key, _)| key.clone()));
    rows[0].extend(["epochs", "best_loss", "best_epoch", "last_loss"].map(str::to_owned));
    for outcome in outcomes {
        let Outcome { combination, run, .. } = outcome;
        let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
        let mut row = vec![combination.name.clone(), outcome.state().to_owned()];
        row.extend(combination.values.iter().map(|(_, value)| shown(value)));
        row.push(run.header().map_or(String::new(), |header| header.course.epochs.to_string()));
        row.push(number(run.best.map(|best| best.loss)));
        row.push(run.best.map_or(String::new(), |best| best.epoch.to_string()));
        row.push(number(run.last));
        rows.push(row);
    }
    rows.iter()
        .map(|row| {
            let cells: Vec<_> = row.iter().map(|cell| quoted(cell)).collect();
            format!("{}\n", cells.join(","))
        })
        .collect()
}

/// A cell as RFC 4180 has it.
fn quoted(cell: &str) -> String {
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}
