//! The page of several runs: their losses in a table, their curves over one another, and what differs.

use std::fmt::Write as _;

use serde_json::Value;

use crate::cli::report::chart::{About, Series, chart, figure};
use crate::cli::report::page::{NATS, document, escape};
use crate::cli::report::read::{Epoch, Story};
use crate::cli::report::setting::shown;

/// A colour for each of six runs; the next six have them again, dashed.
const CLASSES: [&str; 12] = [
    "run-1",
    "run-2",
    "run-3",
    "run-4",
    "run-5",
    "run-6",
    "run-1 dash",
    "run-2 dash",
    "run-3 dash",
    "run-4 dash",
    "run-5 dash",
    "run-6 dash",
];

/// A key of the configuration that has not the same value in all runs, and the value in each, if it has one.
#[derive(Debug, PartialEq)]
pub(in crate::cli) struct Difference {
    pub(in crate::cli) section: String,
    pub(in crate::cli) key: String,
    pub(in crate::cli) values: Vec<Option<Value>>,
}

/// The keys whose values differ between runs, in the order of the first run that has them.
pub(in crate::cli) fn differences(stories: &[Story]) -> Vec<Difference> {
    let mut found: Vec<Difference> = Vec::new();
    for story in stories {
        for (section, keys) in &story.config {
            for key in keys.as_object().into_iter().flat_map(serde_json::Map::keys) {
                if found.iter().any(|was| was.section == *section && was.key == *key) {
                    continue;
                }
                let values = stories.iter().map(|story| story.key(section, key).cloned()).collect();
                found.push(Difference { section: section.clone(), key: key.clone(), values });
            }
        }
    }
    found.retain(|found| found.values.iter().any(|value| *value != found.values[0]));
    found
}

/// The page of runs, which are numbered from 1.
pub(in crate::cli) fn overlay(stories: &[Story]) -> String {
    let count = stories.len();
    let content = [table(stories), curves(stories), differing(stories)].concat();
    let foot = format!(
        "Written by <code>elbo compare</code>, version {}. Losses are nats per image; the loss is the negative \
         ELBO, reconstruction + KL.",
        env!("CARGO_PKG_VERSION")
    );
    document(&format!("{count} runs compared"), &content, &foot)
}

fn class(place: usize) -> &'static str {
    CLASSES[place % CLASSES.len()]
}

fn table(stories: &[Story]) -> String {
    let names = ["run", "epochs", "steps", "last loss", "best loss", "in epoch", "NLL"];
    let head: String = names.iter().map(|name| format!("<th>{name}</th>")).collect();
    let mut html = format!(
        "<div class=\"scroll\"><table class=\"stack\">\n<thead><tr>{head}</tr></thead>\n<tbody>\n"
    );
    for (place, story) in stories.iter().enumerate() {
        let told = Told::of(story);
        let number = |value: Option<f64>| value.map_or("–".to_owned(), figure);
        let whole = |value: Option<u64>| value.map_or("–".to_owned(), |value| value.to_string());
        let margin = told.nll_margin.map_or(String::new(), |margin| format!(" ± {margin:.2}"));
        let cells = [
            format!(
                "<span class=\"key {}\">{}: {}</span>",
                class(place),
                place + 1,
                escape(&story.name)
            ),
            told.epochs.to_string(),
            whole(told.step),
            number(told.last),
            number(told.best.map(|(_, loss)| loss)),
            whole(told.best.map(|(epoch, _)| epoch)),
            number(told.nll) + &margin,
        ];
        let cells = cells.iter().zip(names);
        let cells: String =
            cells.map(|(cell, name)| format!("<td data-name=\"{name}\">{cell}</td>")).collect();
        let _ = writeln!(html, "<tr>{cells}</tr>");
    }
    html + "</tbody></table></div>\n"
}

fn curves(stories: &[Story]) -> String {
    let all = |value: &dyn Fn(&Epoch) -> Option<f64>| -> Vec<Series> {
        let runs = stories.iter().enumerate();
        let series = runs.map(|(place, story)| {
            let points = story.epochs.iter().map(|(number, epoch)| (*number, value(epoch)));
            Series { name: (place + 1).to_string(), class: class(place), points: points.collect() }
        });
        series.filter(|series| series.points.iter().any(|(_, value)| value.is_some())).collect()
    };
    let mut charts = String::new();
    for (part, title) in
        ["Test loss (−ELBO)", "Test reconstruction", "Test KL"].into_iter().enumerate()
    {
        charts +=
            &chart(About { title, unit: NATS, from_zero: false }, &all(&|epoch| epoch.test[part]));
    }
    let train = About { title: "Training loss", unit: NATS, from_zero: false };
    charts += &chart(train, &all(&|epoch| epoch.train[0]));
    let speed = About { title: "Throughput", unit: "images per second", from_zero: true };
    charts += &chart(speed, &all(&|epoch| epoch.images_per_s));
    match charts.is_empty() {
        true => "<p class=\"note\">No run has finished an epoch yet.</p>\n".to_owned(),
        false => format!("<h2>Curves</h2>\n<div class=\"charts\">\n{charts}</div>\n"),
    }
}

fn differing(stories: &[Story]) -> String {
    let all = differences(stories);
    if all.is_empty() {
        return "<h2>Configuration</h2>\n<p>No key differs.</p>\n".to_owned();
    }
    let head: String = (1..=stories.len()).map(|number| format!("<th>{number}</th>")).collect();
    let rows = all.iter().map(|Difference { section, key, values }| {
        let cells = values.iter().zip(1..).map(|(value, number)| {
            let value = value.as_ref().map_or("–".to_owned(), |value| escape(&shown(key, value)));
            format!("<td data-name=\"run {number}\">{value}</td>")
        });
        let name = escape(&format!("{section}.{key}"));
        format!("<tr><th>{name}</th>{}</tr>\n", cells.collect::<String>())
    });
    format!(
        "<h2>What differs in the configurations</h2>\n<div class=\"scroll\"><table class=\"stack\">\n\
         <thead><tr><th>key</th>{head}</tr></thead>\n<tbody>\n{}</tbody></table></div>\n",
        rows.collect::<String>()
    )
}

/// What is told of a run in a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::cli) struct Told {
    /// The last epoch that was finished.
    pub(in crate::cli) epochs: u64,
    pub(in crate::cli) step: Option<u64>,
    /// The loss after it on the images that training looked at: to validate on, or else to test on.
    pub(in crate::cli) last: Option<f64>,
    /// The epoch with the lowest such loss, and that loss.
    pub(in crate::cli) best: Option<(u64, f64)>,
    /// By the newest `elbo evaluate`, if it was asked for one.
    pub(in crate::cli) nll: Option<f64>,
    pub(in crate::cli) nll_margin: Option<f64>,
}

impl Told {
    pub(in crate::cli) fn of(story: &Story) -> Self {
        let last = story.epochs.last_key_value();
        let evaluated = |key| story.evaluation.as_ref()?.get(key)?.as_f64();
        Self {
            epochs: last.map_or(0, |(number, _)| *number),
            step: last.and_then(|(_, epoch)| epoch.step),
            last: last.and_then(|(_, epoch)| epoch.test[0]),
            best: story.best(),
            nll: evaluated("nll"),
            nll_margin: evaluated("nll_margin"),
        }
    }
}
