//! The page of a run: HTML with its style, curves and pictures in it, and nothing from elsewhere.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::cli::report::chart::{About, Series, chart, figure};
use crate::cli::report::read::{Epoch, Story};

const STYLE: &str = include_str!("style.css");
const NATS: &str = "nats per image";
/// Troubles that are told one by one.
const MOST_TROUBLES: usize = 10;
/// Sessions that are listed, the newest.
const MOST_STARTS: usize = 20;

/// The text with what HTML would take for its own written as references.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The whole page.
pub(super) fn page(story: &Story) -> String {
    let name = escape(&story.name);
    let sections = [
        lead(story),
        tiles(story),
        warning(story),
        curves(story),
        pictures(story),
        evaluation(story),
        sessions(story),
        configuration(story),
    ];
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>elbo: run {name}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>Run {name}</h1>\n{}<footer>Written by <code>elbo report</code>, version {}. \
         Losses are nats per image; the loss is the negative ELBO, reconstruction + KL.</footer>\n\
         </main>\n</body>\n</html>\n",
        sections.concat(),
        env!("CARGO_PKG_VERSION")
    )
}

/// A value of the configuration in plain text.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// The model in words, so far as the configuration has these words.
fn lead(story: &Story) -> String {
    let get = |section: &str, key: &str| {
        let value = story.config.get(section)?.get(key)?;
        Some(plain(value)).filter(|text| !text.is_empty())
    };
    let words = [
        get("model", "encoder").map(|v| format!("encoder of {v} units")),
        get("model", "latent").map(|v| format!("{v} latent dimensions")),
        get("model", "decoder").map(|v| format!("decoder of {v} units")),
        get("model", "activation"),
        get("model", "likelihood").map(|v| format!("{v} likelihood")),
        get("model", "classes").filter(|v| v != "0").map(|v| format!("conditional on {v} classes")),
        get("objective", "beta").map(|v| format!("β = {v}")),
        get("objective", "samples").filter(|v| v != "1").map(|v| format!("samples = {v}")),
        get("objective", "importance").filter(|v| v != "1").map(|v| format!("importance = {v}")),
        get("train", "pixels").map(|v| format!("{v} pixels")),
        get("optimizer", "rule").map(|rule| match get("optimizer", "lr") {
            Some(rate) => format!("{rule}, learning rate {rate}"),
            None => rule,
        }),
        get("train", "batch-size").map(|v| format!("minibatches of {v}")),
        get("train", "seed").map(|v| format!("seed {v}")),
        get("train", "data").map(|v| format!("images of {v}")),
    ];
    let words: Vec<_> = words.into_iter().flatten().collect();
    let kind = match get("model", "posterior").as_deref() {
        Some("point") => "plain",
        _ => "variational",
    };
    format!("<p class=\"lead\">A {kind} autoencoder: {}.</p>\n", escape(&words.join("; ")))
}

/// The last losses, large.
fn tiles(story: &Story) -> String {
    let Some((number, last)) = story.epochs.last_key_value() else {
        return "<p class=\"note\">No epoch was finished yet, so that there is nothing to draw.</p>\n"
            .to_owned();
    };
    let mut html = "<dl class=\"tiles\">\n".to_owned();
    let mut tile = |name: &str, value: String, note: String| {
        let _ = writeln!(html, "<div><dt>{name}</dt><dd>{value}<small>{note}</small></dd></div>");
    };
    let told = |value: Option<f64>| value.map_or("not finite".to_owned(), figure);
    let [loss, recon, kl] = last.test;
    let count = |key| story.config.get("objective")?.get(key)?.as_u64();
    let z = match count("samples").unwrap_or(1).saturating_mul(count("importance").unwrap_or(1)) {
        1 => "one sampled z".to_owned(),
        z => format!("{z} sampled z"),
    };
    tile("Test loss", told(loss), format!("{NATS}, {z}"));
    tile("= reconstruction", told(recon), "−log p(x|z)".to_owned());
    tile("+ KL", told(kl), "of the posterior from the prior".to_owned());
    tile("Test loss at z = μ", told(last.test_at_mean), "not sampled".to_owned());
    tile("Training loss", told(last.train[0]), "mean over the epoch".to_owned());
    let best = story.epochs.iter().filter_map(|(n, epoch)| Some((n, epoch.test[0]?)));
    if let Some((best, loss)) = best.min_by(|a, b| a.1.total_cmp(&b.1)) {
        tile("Best epoch", best.to_string(), format!("test loss {}", figure(loss)));
    }
    let steps = last.step.map_or(String::new(), |step| format!("{step} steps"));
    tile("Epochs", number.to_string(), steps);
    html + "</dl>\n"
}

/// A value of a JSON line in plain text, or nothing.
fn text(line: &Map<String, Value>, key: &str) -> String {
    match line.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) if number.is_f64() => {
            number.as_f64().map_or(String::new(), figure)
        }
        Some(other) => other.to_string(),
    }
}

fn times(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// What broke, if anything did.
fn warning(story: &Story) -> String {
    let (skipped, back) = (story.skipped.len(), story.rolled_back.len());
    if skipped + back == 0 {
        return String::new();
    }
    let mut html = format!(
        "<div class=\"warning\" role=\"note\"><b>The numbers broke {}:</b> {} left out, {} to an \
         earlier state.\n<ul>\n",
        times(skipped + back, "time"),
        times(skipped, "step"),
        times(back, "return")
    );
    let mut all: Vec<_> = story.skipped.iter().chain(&story.rolled_back).collect();
    all.sort_by_key(|line| line.get("step").and_then(Value::as_u64));
    for line in all.into_iter().take(MOST_TROUBLES) {
        let to = text(line, "to");
        let went_on = match to.is_empty() {
            true => "left out".to_owned(),
            false => {
                let scale = line.get("rate_scale").unwrap_or(&Value::Null);
                format!("back to the state after step {to}, at {scale} of the learning rate")
            }
        };
        let told = format!("step {}: {}; {went_on}", text(line, "step"), text(line, "what"));
        let _ = writeln!(html, "<li>{}</li>", escape(&told));
    }
    if skipped + back > MOST_TROUBLES {
        let _ = writeln!(html, "<li>… and {} more</li>", skipped + back - MOST_TROUBLES);
    }
    html + "</ul></div>\n"
}

/// Losses and throughput by epoch.
fn curves(story: &Story) -> String {
    let series = |name, class, value: &dyn Fn(&Epoch) -> Option<f64>| {
        let points = story.epochs.iter().map(|(number, epoch)| (*number, value(epoch))).collect();
        Series { name, class, points }
    };
    let mut charts = String::new();
    for (part, title) in ["Loss (−ELBO)", "Reconstruction", "KL"].into_iter().enumerate() {
        let both = [
            series("train", "train", &|epoch| epoch.train[part]),
            series("test", "test", &|epoch| epoch.test[part]),
        ];
        charts += &chart(About { title, unit: NATS, from_zero: false }, &both);
    }
    let speed = series("training", "speed", &|epoch| epoch.images_per_s);
    let about = About { title: "Throughput", unit: "images per second", from_zero: true };
    charts += &chart(about, &[speed]);
    match charts.is_empty() {
        true => charts,
        false => format!(
            "<h2>Curves</h2>\n<div class=\"charts\">\n{charts}</div>\n\
             <p class=\"note\">Training losses are means over an epoch, while the weights change; \
             test losses are taken after it.</p>\n"
        ),
    }
}

fn pictures(story: &Story) -> String {
    if story.pictures.is_empty() && story.left_out.is_empty() {
        return String::new();
    }
    let mut html = "<h2>Pictures</h2>\n<div class=\"pictures\">\n".to_owned();
    for picture in &story.pictures {
        let kind = match picture.kind.as_str() {
            "reconstruction" => "Test images and reconstructions".to_owned(),
            "sample" => "Samples of the prior".to_owned(),
            other => other.replace('_', " "),
        };
        let caption = match picture.epoch {
            Some(epoch) => format!("{kind}, epoch {epoch}"),
            None => kind,
        };
        let caption = escape(&caption);
        let _ = writeln!(
            html,
            "<figure><figcaption>{caption}</figcaption>\
             <img alt=\"{caption}\" src=\"data:image/png;base64,{}\"></figure>",
            STANDARD.encode(&picture.png)
        );
    }
    html += "</div>\n";
    if !story.left_out.is_empty() {
        let names = escape(&story.left_out.join(", "));
        let _ = writeln!(html, "<p class=\"note\">Too large for this page: {names}.</p>");
    }
    html
}

fn row(key: &str, value: &str) -> String {
    format!("<tr><th>{}</th><td>{}</td></tr>\n", escape(key), escape(value))
}

fn evaluation(story: &Story) -> String {
    let Some(line) = &story.evaluation else { return String::new() };
    let rows: String = line
        .iter()
        // What is told of each dimension is too much for a table.
        .filter(|(key, value)| *key != "event" && !value.is_array())
        .map(|(key, _)| row(&key.replace('_', " "), &text(line, key)))
        .collect();
    format!(
        "<h2>Evaluation</h2>\n<div class=\"scroll narrow\"><table>\n<tbody>\n{rows}</tbody></table></div>\n"
    )
}

/// The time that training took, by the images of each epoch's steps and their number a second.
fn training_time(story: &Story) -> Option<Duration> {
    let batch = story.config.get("train")?.get("batch-size")?.as_u64()?;
    let (mut seconds, mut before) = (0.0, 0);
    for epoch in story.epochs.values() {
        let step = epoch.step?;
        let images = step.checked_sub(before)? as f64 * batch as f64;
        let speed = epoch.images_per_s.filter(|speed| *speed > 0.0)?;
        (seconds, before) = (seconds + images / speed, step);
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|_| before > 0)
}

/// What it was trained on, and for how long.
fn sessions(story: &Story) -> String {
    let columns = [
        ("step", "from step"),
        ("device", "device"),
        ("adapter", "adapter"),
        ("precision", "precision"),
        ("schedules", "schedules"),
        ("version", "elbo"),
    ];
    let mut html = String::new();
    if !story.starts.is_empty() {
        let head: String = columns.iter().map(|(_, name)| format!("<th>{name}</th>")).collect();
        let _ = write!(
            html,
            "<div class=\"scroll\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n"
        );
        let older = story.starts.len().saturating_sub(MOST_STARTS);
        for start in story.starts.iter().skip(older) {
            let cells = columns.map(|(key, _)| format!("<td>{}</td>", escape(&text(start, key))));
            let _ = writeln!(html, "<tr>{}</tr>", cells.concat());
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
    if let Some(time) = training_time(story) {
        let seconds = time.as_secs_f64();
        let shown = match seconds < 10.0 {
            true => format!("{seconds:.1}s"),
            false => humantime::format_duration(Duration::from_secs(time.as_secs())).to_string(),
        };
        let _ = writeln!(
            html,
            "<p>About {shown} of training, by the throughput of each epoch; tests and saves not counted.</p>"
        );
    }
    match html.is_empty() {
        true => html,
        false => format!("<h2>Device and time</h2>\n{html}"),
    }
}

fn configuration(story: &Story) -> String {
    let (mut alone, mut html) = (String::new(), String::new());
    for (key, value) in &story.config {
        match value {
            Value::Object(section) => {
                let rows: String = section.iter().map(|(key, v)| row(key, &plain(v))).collect();
                let _ = writeln!(
                    html,
                    "<section><h3>{}</h3><table>\n<tbody>\n{rows}</tbody></table></section>",
                    escape(key)
                );
            }
            value => alone += &row(key, &plain(value)),
        }
    }
    if !alone.is_empty() {
        let _ = writeln!(html, "<section><table>\n<tbody>\n{alone}</tbody></table></section>");
    }
    format!("<h2>Configuration</h2>\n<div class=\"tables\">\n{html}</div>\n")
}

#[cfg(test)]
mod tests;
