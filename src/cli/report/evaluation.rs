//! What `elbo evaluate` found last: a table in words, and the KL of each dimension of z as bars.

use std::fmt::Write as _;

use elbo::evaluate::ACTIVE;
use serde_json::{Map, Value};

use crate::cli::picture::{short, ticks};
use crate::cli::report::chart::figure;
use crate::cli::report::page::{row, text};
use crate::cli::report::read::{Story, list};

/// Bars that can be told apart.
const MOST_BARS: usize = 128;
/// More bars than these have no room for their numbers.
const MOST_NUMBERS: usize = 40;
/// The size of the chart, in its own units, and the room for words round its plot.
const SIZE: [f64; 2] = [1080.0, 240.0];
const LEFT: f64 = 48.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 40.0;

/// Keys of the line that stand in the row of another, or are no numbers for a table.
const TOLD_ELSEWHERE: [&str; 6] =
    ["event", "split", "loss_margin", "nll_margin", "samples", "seconds"];

/// The table and the bars, or nothing.
pub(super) fn evaluation(story: &Story) -> String {
    let Some(line) = &story.evaluation else { return String::new() };
    let rows: String = line
        .iter()
        // What is told of each dimension is too much for a table.
        .filter(|(key, value)| !TOLD_ELSEWHERE.contains(&key.as_str()) && !value.is_array())
        .filter(|(_, value)| !value.is_null())
        .map(|(key, _)| {
            let (name, value) = words(line, key);
            row(&name, &value)
        })
        .collect();
    format!(
        "<h2>Evaluation</h2>\n<div class=\"narrow\"><table>\n<tbody>\n{rows}</tbody></table></div>\n{}",
        levels(line)
    )
}

/// The bars of each level of z, or of the only one.
fn levels(line: &Map<String, Value>) -> String {
    let levels = line.get("levels").and_then(Value::as_array).into_iter().flatten();
    let levels: Vec<_> = levels.filter_map(Value::as_object).collect();
    match levels.is_empty() {
        true => bars(line, ""),
        false => (1..)
            .zip(levels)
            .map(|(number, level)| bars(level, &format!(" of level {number}")))
            .collect(),
    }
}

/// A key and its value as they are told.
fn words(line: &Map<String, Value>, key: &str) -> (String, String) {
    let value = text(line, key);
    let margin = |of: &str| match line.get(of).and_then(Value::as_f64) {
        None => value.clone(),
        Some(margin) => format!("{value} ± {margin:.2} (95 %)"),
    };
    let (name, value) = match key {
        "images" => ("images", format!("{value} {}", text(line, "split"))),
        "step" => ("weights after step", value),
        "loss" => ("loss (−ELBO)", margin("loss_margin")),
        "recon" => ("reconstruction, −log p(x|z)", value),
        "kl" => ("KL of the posterior from the prior", value),
        "loss_at_mean" => ("loss at z = μ, not sampled", value),
        "nll" => {
            let (value, samples) = (margin("nll_margin"), text(line, "samples"));
            let seconds = text(line, "seconds");
            ("NLL, −log p(x)", format!("{value}, {samples} importance samples, {seconds} s"))
        }
        "bits_per_dimension" => ("bits per pixel and channel", value),
        "active_units" => ("active dimensions of z", value),
        other => return (other.replace('_', " "), value),
    };
    (name.to_owned(), value)
}

/// A dimension of z: its number, its KL, and whether it is active.
struct Bar {
    number: usize,
    kl: f64,
    active: bool,
}

/// The KL of each dimension, the largest first.
fn bars(line: &Map<String, Value>, of: &str) -> String {
    let variances = list(line, "variance_by_dimension");
    let is_active = |number: usize| {
        variances.get(number).copied().flatten().is_none_or(|variance| variance > ACTIVE)
    };
    let mut all: Vec<_> = list(line, "kl_by_dimension")
        .into_iter()
        .enumerate()
        .filter_map(|(number, kl)| Some(Bar { number, kl: kl?, active: is_active(number) }))
        .collect();
    if all.is_empty() {
        return String::new();
    }
    all.sort_by(|a, b| b.kl.total_cmp(&a.kl));
    let (count, idle) = (all.len(), all.iter().filter(|bar| !bar.active).count());
    let mut notes = vec![match idle {
        0 => format!("all {count} are active"),
        _ => format!("{} of {count} are active; pale bars are not", count - idle),
    }];
    if count > MOST_BARS {
        all.truncate(MOST_BARS);
        notes.push(format!("the {MOST_BARS} largest are drawn"));
    }
    format!(
        "<figure class=\"chart wide\"><figcaption><b>KL by dimension of z{of}</b>, nats per image, the largest \
         first<span class=\"notes\">{}: the variance of their means is over {ACTIVE}</span></figcaption>\n\
         {}</figure>\n",
        notes.join("; "),
        draw(&all)
    )
}

fn draw(bars: &[Bar]) -> String {
    let [width, height] = [SIZE[0] - LEFT - 8.0, SIZE[1] - TOP - BOTTOM];
    let (right, bottom) = (LEFT + width, TOP + height);
    // What lies beyond would have too many digits.
    let most = bars.iter().map(|bar| bar.kl).fold(1e-6, f64::max).min(1e150);
    let mut svg = format!(
        "<div class=\"across\"><svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"KL by dimension of z\">\n",
        SIZE[0], SIZE[1]
    );
    let up = ticks(0.0, most, 4);
    for value in &up {
        let y = bottom - value / most * height;
        let _ = writeln!(
            svg,
            "<path class=\"rule\" d=\"M{LEFT} {y:.1}H{right}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            y + 4.0,
            short(*value, &up)
        );
    }
    // A few bars do not become slabs.
    let each = (width / bars.len() as f64).min(64.0);
    for (bar, place) in bars.iter().zip(0..) {
        let x = LEFT + f64::from(place) * each;
        let tall = (bar.kl / most).clamp(0.0, 1.0) * height;
        let class = if bar.active { "bar" } else { "bar idle" };
        let (number, kl) = (bar.number, figure(bar.kl));
        let said = if bar.active { "" } else { ", not active" };
        let _ = writeln!(
            svg,
            "<g><title>dimension {number}: {kl} nats{said}</title><rect class=\"{class}\" x=\"{:.1}\" \
             y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/></g>",
            x + each * 0.1,
            bottom - tall.max(1.0),
            each * 0.8,
            tall.max(1.0)
        );
        if bars.len() <= MOST_NUMBERS {
            let _ = writeln!(
                svg,
                "<text class=\"tick\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{number}</text>",
                x + each * 0.5,
                bottom + 17.0
            );
        }
    }
    let _ = writeln!(
        svg,
        "<path class=\"axis\" d=\"M{LEFT} {TOP}V{bottom}H{right}\"/>\
         <text class=\"tick\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">dimension of z</text>",
        LEFT + width / 2.0,
        bottom + 35.0
    );
    svg + "</svg></div>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Story {
        let line = serde_json::from_str(text).expect("a JSON object");
        Story { evaluation: Some(line), ..Story::default() }
    }

    #[test]
    fn keys_are_told_in_words() {
        let html = evaluation(&line(
            r#"{"event":"evaluation","images":100,"split":"test","step":9,"loss":105.63,"loss_margin":0.51,
            "recon":80.6,"nll":101.2,"nll_margin":0.5,"samples":50,"seconds":3.25,"bits_per_dimension":null,
            "active_units":18,"something_new":1}"#,
        ));
        for part in [
            "<th>images</th><td>100 test</td>",
            "<th>loss (−ELBO)</th><td>105.63 ± 0.51 (95 %)</td>",
            "<th>NLL, −log p(x)</th><td>101.20 ± 0.50 (95 %), 50 importance samples, 3.250 s</td>",
            "<th>something new</th><td>1</td>",
        ] {
            assert!(html.contains(part), "`{part}` is in {html}");
        }
        for raw in ["margin", "recon<", "bits", "split", "<svg"] {
            assert!(!html.contains(raw), "`{raw}` is in {html}");
        }
    }

    #[test]
    fn dimensions_are_bars() {
        let html = evaluation(&line(
            r#"{"kl_by_dimension":[0.5,2.0,0.0,null],"variance_by_dimension":[0.4,0.9,0.001,0.5]}"#,
        ));
        let first = html.find("dimension 1: 2.000 nats<").expect("the largest");
        let second = html.find("dimension 0: 0.5000 nats<").expect("the second");
        assert!(first < second, "{html}");
        assert!(html.contains("dimension 2: 0 nats, not active"), "{html}");
        assert_eq!(
            html.matches("<rect class=\"bar").count(),
            3,
            "what is no number has no bar: {html}"
        );
        assert!(html.contains("2 of 3 are active; pale bars are not"), "{html}");
    }

    #[test]
    fn odd_dimensions_are_drawn() {
        let many = vec!["0.25"; 1000].join(",");
        let html = evaluation(&line(&format!(r#"{{"kl_by_dimension":[{many}]}}"#)));
        assert_eq!(html.matches("<rect").count(), MOST_BARS, "the largest alone");
        assert!(
            html.contains("the 128 largest are drawn") && html.len() < 60_000,
            "{}",
            html.len()
        );
        for values in ["0", "-1", "1e300,1e-300", "0,0,0"] {
            let html = evaluation(&line(&format!(r#"{{"kl_by_dimension":[{values}]}}"#)));
            assert!(
                html.contains("<rect") && !html.contains("NaN") && !html.contains("inf"),
                "{html}"
            );
        }
    }
}
