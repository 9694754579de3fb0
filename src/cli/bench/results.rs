//! A row for each result, which tells all that makes it comparable: to read a sweep, and to be put with those
//! of other machines.

use elbo::bench::Figure;

use crate::cli::bench::about::{About, DATE};
use crate::cli::bench::output::Row;
use crate::cli::bench::text;
use crate::cli::table::table;

/// What a model came to on a device: each column of a Markdown row with its cell, in their order.
pub(super) struct Outcome(Vec<(&'static str, String)>);

/// The figures of a result: the column, and the figure.
const FIGURES: [(&str, &str); 5] = [
    ("steps/s", "steps"),
    ("images/s", "images"),
    ("p50 µs", "step p50"),
    ("p99 µs", "step p99"),
    ("GFLOP/s", "products"),
];

impl Outcome {
    /// Of a row that has steps.
    pub(super) fn of(about: &About, row: &Row, figures: &[Figure]) -> Option<Self> {
        let find = |name: &str| figures.iter().find(|figure| figure.name == name);
        find("steps")?;
        find("step p50")?;
        let mut values = vec![
            ("device", about.device()),
            ("driver", about.get("driver").to_owned()),
            ("CPU", about.get("cpu").to_owned()),
            ("system", about.get("system").to_owned()),
            ("precision", about.get("precision").to_owned()),
            ("model", row.subject.clone()),
            ("batch", row.batch.map_or(String::new(), |batch| batch.to_string())),
        ];
        let shown = |name: &str| find(name).map_or(String::new(), text::median);
        values.extend(FIGURES.map(|(column, name)| (column, shown(name))));
        values.push(("elbo", about.program()));
        values.push((DATE, about.get(DATE).to_owned()));
        Some(Self(values))
    }

    fn cells<const N: usize>(&self, columns: [&str; N]) -> [String; N] {
        columns.map(|column| {
            let cell = self.0.iter().find(|(name, _)| *name == column);
            cell.map_or(String::new(), |(_, value)| value.clone())
        })
    }
}

/// A table of several results for people; one has its own lines already.
pub(super) fn text(outcomes: &[Outcome]) -> Vec<String> {
    if outcomes.len() < 2 {
        return Vec::new();
    }
    let columns = ["device", "model", "batch", "steps/s", "images/s", "p50 µs"];
    let mut rows: Vec<_> = outcomes.iter().map(|outcome| outcome.cells(columns)).collect();
    // What stands in brackets was said above.
    for row in &mut rows {
        row[0] = row[0].split(" (").next().unwrap_or_default().to_owned();
    }
    let lines = table(columns, &rows, 2);
    [String::new(), "all results".to_owned()].into_iter().chain(lines).collect()
}

/// A line of a Markdown table.
pub(super) fn markdown(cells: &[String]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |", cells.join(" | "))
}

/// The first two lines of a Markdown table.
pub(super) fn markdown_head(columns: &[String]) -> [String; 2] {
    const WORDS: [&str; 13] = [
        "subject",
        "figure",
        "unit",
        "bound",
        "verdict",
        "device",
        "driver",
        "CPU",
        "system",
        "precision",
        "model",
        "elbo",
        DATE,
    ];
    let rule = |name: &String| match WORDS.contains(&name.as_str()) {
        true => "---".to_owned(),
        false => "---:".to_owned(),
    };
    [markdown(columns), markdown(&columns.iter().map(rule).collect::<Vec<_>>())]
}

/// A Markdown table of the results, for one of many machines.
pub(super) fn rows(outcomes: &[Outcome]) -> Vec<String> {
    let Some(first) = outcomes.first() else { return Vec::new() };
    let columns: Vec<_> = first.0.iter().map(|(column, _)| (*column).to_owned()).collect();
    let rows = outcomes.iter().map(|Outcome(cells)| {
        markdown(&cells.iter().map(|(_, cell)| cell.clone()).collect::<Vec<_>>())
    });
    std::iter::once(String::new()).chain(markdown_head(&columns)).chain(rows).collect()
}
