//! The page of a run: HTML with its style, curves and pictures in it, and nothing from elsewhere.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::cli::report::chart::{About, Series, chart, figure};
use crate::cli::report::evaluation::evaluation;
use crate::cli::report::pictures::pictures;
use crate::cli::report::read::{Epoch, Story};
use crate::cli::report::setting::{configuration, name_alone, sessions};
use crate::cli::report::warnings::warnings;

pub(super) const STYLE: &str = include_str!("style.css");
pub(super) const NATS: &str = "nats per image";

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
    let title = format!("Run {name}");
    let sections = [
        lead(story),
        warnings(story),
        tiles(story),
        curves(story),
        pictures(story),
        evaluation(story),
        sessions(story),
        configuration(story),
    ];
    let foot = "Written by <code>elbo report</code>, version {VERSION}, of <a href=\"metrics.jsonl\">metrics.jsonl</a> \
                and what else lies beside it. Losses are nats per image; the loss is the negative ELBO, \
                reconstruction + KL.";
    document(&title, &sections.concat(), &foot.replace("{VERSION}", env!("CARGO_PKG_VERSION")))
}

/// A page with its style in it, of parts that are HTML.
pub(super) fn document(title: &str, content: &str, foot: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>elbo: {title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{title}</h1>\n{content}<footer>{foot}</footer>\n</main>\n</body>\n</html>\n"
    )
}

/// A value of the configuration in plain text.
pub(in crate::cli) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// The model in words, so far as the configuration has these words.
fn lead(story: &Story) -> String {
    let get = |section: &str, key: &str| {
        Some(plain(story.key(section, key)?)).filter(|text| !text.is_empty())
    };
    let words = [
        get("model", "encoder").map(|v| format!("encoder of {v} units")),
        get("model", "latent").map(|v| format!("{v} latent dimensions")),
        get("model", "decoder").map(|v| format!("decoder of {v} units")),
        get("model", "activation"),
        get("model", "likelihood").map(|v| format!("{v} likelihood")),
        story
            .key("model", "above")
            .and_then(Value::as_array)
            .filter(|above| !above.is_empty())
            .map(|above| format!("{} levels of z", above.len() + 1)),
        get("model", "prior").filter(|v| v != "normal").map(|v| format!("{v} prior")),
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
        get("train", "data").map(|v| format!("images of {}", name_alone(&v))),
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
    let count = |key| story.count("objective", key);
    let z = match count("samples").unwrap_or(1).saturating_mul(count("importance").unwrap_or(1)) {
        1 => "one sampled z".to_owned(),
        z => format!("{z} sampled z"),
    };
    let looked_at = if story.looked_at() == "test" { "Test" } else { "Validation" };
    tile(&format!("{looked_at} loss"), told(loss), format!("{NATS}, {z}"));
    tile("=\u{a0}reconstruction", told(recon), "−log p(x|z)".to_owned());
    tile("+\u{a0}KL", told(kl), "of the posterior from the prior".to_owned());
    let at_mean = format!("{looked_at} loss at z\u{a0}=\u{a0}μ");
    tile(&at_mean, told(last.test_at_mean), "not sampled".to_owned());
    tile("Training loss", told(last.train[0]), "mean over the epoch".to_owned());
    if let Some(objective) = last.objective {
        tile("Objective", figure(objective), "what training minimised".to_owned());
    }
    if let Some(active) = last.active {
        let of =
            story.count("model", "latent").map_or(String::new(), |all| format!("of {all} in z"));
        tile("Active dimensions", active.to_string(), of);
    }
    for (number, [kl, active]) in (1..).zip(&last.levels) {
        let active = active.map_or(String::new(), |active| format!(", {active} active"));
        tile(&format!("KL of level {number}"), told(*kl), format!("nats{active}"));
    }
    if let Some((best, loss)) = story.best() {
        tile(
            "Best epoch",
            best.to_string(),
            format!("{} loss {}", story.looked_at(), figure(loss)),
        );
    }
    let steps = last.step.map_or(String::new(), |step| format!("{step} steps"));
    tile("Epochs", number.to_string(), steps);
    html + "</dl>\n"
}

/// A value of a JSON line in plain text, or nothing.
pub(super) fn text(line: &Map<String, Value>, key: &str) -> String {
    match line.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) if number.is_f64() => {
            number.as_f64().map_or(String::new(), figure)
        }
        Some(other) => other.to_string(),
    }
}

pub(super) fn times(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A row of two cells.
pub(super) fn row(key: &str, value: &str) -> String {
    format!("<tr><th>{}</th><td>{}</td></tr>\n", escape(key), escape(value))
}

/// Losses and throughput by epoch.
fn curves(story: &Story) -> String {
    let series = |name: &str, class, value: &dyn Fn(&Epoch) -> Option<f64>| {
        let points = story.epochs.iter().map(|(number, epoch)| (*number, value(epoch))).collect();
        Series { name: String::from(name), class, points }
    };
    let mut charts = String::new();
    for (part, title) in ["Loss (−ELBO)", "Reconstruction", "KL"].into_iter().enumerate() {
        let both = [
            series("train", "train", &|epoch| epoch.train[part]),
            series(story.looked_at(), "test", &|epoch| epoch.test[part]),
        ];
        charts += &chart(About { title, unit: NATS, from_zero: false }, &both);
    }
    let levels = story.epochs.values().map(|epoch| epoch.levels.len()).max().unwrap_or(0);
    for level in 0..levels {
        let of = series(story.looked_at(), "test", &|epoch| epoch.levels.get(level)?[0]);
        let title = format!("KL of level {}", level + 1);
        charts += &chart(About { title: &title, unit: NATS, from_zero: true }, &[of]);
    }
    let speed = series("training", "speed", &|epoch| epoch.images_per_s);
    let about = About { title: "Throughput", unit: "images per second", from_zero: true };
    charts += &chart(about, &[speed]);
    match charts.is_empty() {
        true => charts,
        false => format!(
            "<h2>Curves</h2>\n<div class=\"charts\">\n{charts}</div>\n\
             <p class=\"note\">Training losses are means over an epoch, while the weights change; \
             {} losses are taken after it.</p>\n",
            story.looked_at()
        ),
    }
}

#[cfg(test)]
mod tests;
