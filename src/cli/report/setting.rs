//! What a run was trained with: its devices, the time that it took, and its configuration.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use elbo::Config;
use serde_json::{Map, Value};

use crate::cli::report::page::{escape, plain, row, text, times};
use crate::cli::report::read::{Session, Story};

/// Sessions that are listed, the newest.
const MOST_SESSIONS: usize = 20;

/// Keys that are paths.
const PATHS: [&str; 4] = ["data", "test-data", "labels", "test-labels"];

/// The last name of a path, since the folders before it are nobody else's business.
pub(super) fn name_alone(path: &str) -> &str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or(path)
}

/// A value of the configuration as it is told.
pub(super) fn shown(key: &str, value: &Value) -> String {
    let value = plain(value);
    if PATHS.contains(&key) { name_alone(&value).to_owned() } else { value }
}

/// The configuration that nobody changed.
pub(super) fn usual() -> Map<String, Value> {
    // It is ours, and TOML.
    toml::from_str(&Config::default().to_toml()).unwrap_or_default()
}

/// The seconds that training took as its sessions tell, or else about, by the images of each epoch's steps and
/// their number a second.
pub(super) fn training_time(story: &Story) -> Option<(&'static str, Duration)> {
    let ends = story.sessions.iter().map(|session| session.end.as_ref()?.get("seconds")?.as_f64());
    let told: Option<f64> = ends.sum();
    if let Some(seconds) = told.filter(|seconds| *seconds > 0.0) {
        return Some(("", Duration::try_from_secs_f64(seconds).ok()?));
    }
    let batch = story.count("train", "batch-size")?;
    let (mut seconds, mut before) = (0.0, 0);
    for epoch in story.epochs.values() {
        let step = epoch.step?;
        let images = step.checked_sub(before)? as f64 * batch as f64;
        let speed = epoch.images_per_s.filter(|speed| *speed > 0.0)?;
        (seconds, before) = (seconds + images / speed, step);
    }
    let time = Duration::try_from_secs_f64(seconds).ok().filter(|_| before > 0)?;
    Some(("by the throughput of each epoch; tests and saves not counted", time))
}

/// What it was trained on, when, and for how long.
pub(super) fn sessions(story: &Story) -> String {
    let columns = [
        ("date", "date"),
        ("step", "from step"),
        ("device", "device"),
        ("adapter", "adapter"),
        ("precision", "precision"),
        ("schedules", "schedules"),
        ("version", "elbo"),
    ];
    // Runs of earlier versions have no date.
    let known = |key: &str| story.sessions.iter().any(|session| session.start.contains_key(key));
    let columns: Vec<_> =
        columns.into_iter().filter(|(key, _)| *key != "date" || known(key)).collect();
    let mut html = String::new();
    if !story.sessions.is_empty() {
        let head: String = columns.iter().map(|(_, name)| format!("<th>{name}</th>")).collect();
        let _ = write!(
            html,
            "<div class=\"scroll\"><table class=\"stack\">\n<thead><tr>{head}</tr></thead>\n<tbody>\n"
        );
        let older = story.sessions.len().saturating_sub(MOST_SESSIONS);
        for Session { start, .. } in story.sessions.iter().skip(older) {
            let cell = |&(key, name): &(&str, &str)| {
                format!("<td data-name=\"{name}\">{}</td>", escape(&text(start, key)))
            };
            let _ = writeln!(html, "<tr>{}</tr>", columns.iter().map(cell).collect::<String>());
        }
        html += "</tbody></table></div>\n";
        if older > 0 {
            let _ = writeln!(
                html,
                "<p class=\"note\">{} before these are not listed.</p>",
                times(older, "session")
            );
        }
    }
    if let Some((how, time)) = training_time(story) {
        let _ = match how {
            "" => writeln!(html, "<p>Training took {}.</p>", duration(time)),
            how => writeln!(html, "<p>About {} of training, {how}.</p>", duration(time)),
        };
    }
    match html.is_empty() {
        true => html,
        false => format!("<h2>Device and time</h2>\n{html}"),
    }
}

/// A time in whole seconds, unless it is short.
pub(super) fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds < 10.0 {
        true => format!("{seconds:.1}s"),
        false => humantime::format_duration(Duration::from_secs(time.as_secs())).to_string(),
    }
}

/// All keys, those that somebody changed marked.
pub(super) fn configuration(story: &Story) -> String {
    let (mut alone, mut html, mut changed) = (String::new(), String::new(), 0);
    let usual = usual();
    for (name, value) in &story.config {
        let Value::Object(section) = value else {
            alone += &row(name, &plain(value));
            continue;
        };
        let mut rows = String::new();
        for (key, value) in section {
            let value_shown = shown(key, value);
            match usual.get(name).and_then(|section| section.get(key)).filter(|was| *was != value) {
                Some(was) => {
                    changed += 1;
                    let (value, was) = (escape(&value_shown), escape(&plain(was)));
                    let _ = writeln!(
                        rows,
                        "<tr class=\"changed\"><th>{}</th><td>{value} <small>default {was}</small></td></tr>",
                        escape(key)
                    );
                }
                None => rows += &row(key, &value_shown),
            }
        }
        let _ = writeln!(
            html,
            "<section><h3>{}</h3><table>\n<tbody>\n{rows}</tbody></table></section>",
            escape(name)
        );
    }
    if !alone.is_empty() {
        let _ = writeln!(html, "<section><table>\n<tbody>\n{alone}</tbody></table></section>");
    }
    let note = match changed {
        0 => "All keys have their default values.".to_owned(),
        1 => "One key differs from its default, and is marked.".to_owned(),
        many => format!("{many} keys differ from their defaults, and are marked."),
    };
    format!(
        "<h2>Configuration</h2>\n<p class=\"note\">{note}</p>\n<div class=\"tables\">\n{html}</div>\n"
    )
}
