//! Curves over epochs as SVG.

use std::fmt::Write as _;

use crate::cli::picture::{short, ticks};

/// The size of a chart, in its own units, and the room for words round its plot.
const SIZE: [f64; 2] = [540.0, 300.0];
const LEFT: f64 = 58.0;
const RIGHT: f64 = 106.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 42.0;
/// Dots at the ends of a curve lie half outside its plot, and grow where they are pointed at.
const MARGIN: f64 = 6.0;
/// Two direct labels have at least this between them.
const LINE: f64 = 15.0;

/// A curve of more points is drawn by the means of at most so many spans of epochs.
const MOST_POINTS: usize = 240;
const MOST_SPANS: usize = 160;
/// More points than these have no dots.
const MOST_DOTS: usize = 30;

/// A curve.
#[derive(Clone, Debug)]
pub(super) struct Series {
    /// At its end and in the legend; it stands in the page as it is.
    pub(super) name: String,
    /// Its class in the style sheet.
    pub(super) class: &'static str,
    /// Epochs in their order, and the value after each.
    pub(super) points: Vec<(u64, Option<f64>)>,
}

/// What a chart is of.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'t> {
    pub(super) title: &'t str,
    pub(super) unit: &'static str,
    /// Whether the axis begins at zero and ends above all values.
    pub(super) from_zero: bool,
}

/// A loss or a rate with as many digits as it needs.
pub(in crate::cli) fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if !(1e-4..1e7).contains(&size) => format!("{value:.3e}"),
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.2}"),
        size if size >= 1.0 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

/// Draws curves, or nothing if there is no value.
pub(super) fn chart(about: About, series: &[Series]) -> String {
    let mut all = series.iter().flat_map(|series| series.points.iter());
    if !all.any(|(_, value)| value.is_some()) {
        return String::new();
    }
    let frame = Frame::new(about, series);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}, {}, by epoch\">\n",
        SIZE[0], SIZE[1], about.title, about.unit
    );
    svg += &frame.axes();
    // Names that a page has once: the title alone makes it so.
    let clip = about.title.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let [left, top, width, height] = frame.plot();
    let _ = writeln!(
        svg,
        "<clipPath id=\"{clip}\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/></clipPath>",
        left - MARGIN,
        top - MARGIN,
        width + 2.0 * MARGIN,
        height + 2.0 * MARGIN
    );
    let _ = writeln!(svg, "<g clip-path=\"url(#{clip})\">");
    for series in series {
        svg += &frame.curve(series, about.unit);
    }
    svg += "</g>\n";
    svg += &frame.end_labels(series);
    svg += "</svg>\n";
    let mut legend = String::new();
    for series in series.iter().filter(|_| series.len() > 1) {
        let _ = write!(legend, "<span class=\"key {}\">{}</span> ", series.class, series.name);
    }
    format!(
        "<figure class=\"chart\"><figcaption><b>{}</b>, {} {legend}{}</figcaption>\n{svg}</figure>\n",
        about.title,
        about.unit,
        frame.notes(series)
    )
}

/// The window of a chart: epochs across, values up.
#[derive(Debug)]
struct Frame {
    epochs: [f64; 2],
    values: [f64; 2],
}

impl Frame {
    fn new(about: About, series: &[Series]) -> Self {
        let numbers = || series.iter().flat_map(|s| s.points.iter().map(|(epoch, _)| *epoch));
        let (first, last) = (numbers().min().unwrap_or(1), numbers().max().unwrap_or(1));
        let (first, last) = (first as f64, last as f64);
        // A single epoch stands in the middle.
        let epochs = if first < last { [first, last] } else { [first - 0.5, first + 0.5] };
        let [low, high] = if about.from_zero { whole(series) } else { telling(series) };
        let margin = match high - low {
            span if span > 1e-9 * high.abs() => span * 0.06,
            _ => (high.abs() * 0.02).max(1e-6),
        };
        let low = if about.from_zero { 0.0_f64.min(low) } else { low - margin };
        Self { epochs, values: [low, high + margin] }
    }

    /// Left, top, width and height.
    fn plot(&self) -> [f64; 4] {
        [LEFT, TOP, SIZE[0] - LEFT - RIGHT, SIZE[1] - TOP - BOTTOM]
    }

    fn x(&self, epoch: f64) -> f64 {
        let [left, _, width, _] = self.plot();
        left + (epoch - self.epochs[0]) / (self.epochs[1] - self.epochs[0]) * width
    }

    fn y(&self, value: f64) -> f64 {
        let [_, top, _, height] = self.plot();
        let up = (value - self.values[0]) / (self.values[1] - self.values[0]);
        // What lies far outside would have too many digits.
        top + height - up.clamp(-20.0, 20.0) * height
    }

    fn axes(&self) -> String {
        let [left, top, width, height] = self.plot();
        let (right, bottom) = (left + width, top + height);
        let mut svg = String::new();
        let up = ticks(self.values[0], self.values[1], 5);
        for value in &up {
            let y = self.y(*value);
            let _ = writeln!(
                svg,
                "<path class=\"rule\" d=\"M{left} {y:.1}H{right}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 8.0,
                y + 4.0,
                short(*value, &up)
            );
        }
        let across = ticks(self.epochs[0], self.epochs[1], 6);
        let mut whole: Vec<_> = across.into_iter().filter(|v| v.fract().abs() < 1e-6).collect();
        // The first epoch has a tick if nothing is near it.
        let span = self.epochs[1] - self.epochs[0];
        let first = self.epochs[0].ceil();
        if whole.first().is_none_or(|next| next - first > span * 0.09) {
            whole.insert(0, first);
        }
        for epoch in whole {
            let x = self.x(epoch);
            let _ = writeln!(
                svg,
                "<path class=\"axis\" d=\"M{x:.1} {bottom}v5\"/>\
                 <text class=\"tick\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{epoch:.0}</text>",
                bottom + 19.0
            );
        }
        let _ = writeln!(
            svg,
            "<path class=\"axis\" d=\"M{left} {top}V{bottom}H{right}\"/>\
             <text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">epoch</text>",
            left + width / 2.0,
            bottom + 36.0
        );
        svg
    }

    fn curve(&self, series: &Series, unit: &str) -> String {
        let spans = spans(&series.points);
        let dot = if spans.len() <= MOST_DOTS { 3.2 } else { 0.0 };
        let (mut path, mut drawing) = (String::new(), false);
        let (mut bands, mut dots) = (String::new(), String::new());
        for span in &spans {
            let Some([low, mean, high]) = span.values else {
                drawing = false;
                continue;
            };
            let [first, last] = span.epochs;
            let x = self.x((first as f64 + last as f64) / 2.0);
            let [bottom, y, top] = [low, mean, high].map(|value| self.y(value));
            let _ = write!(path, "{}{x:.1} {y:.1}", if drawing { "L" } else { "M" });
            drawing = true;
            let (name, mean) = (&series.name, figure(mean));
            let mut told = format!("epoch {first}: {name} {mean} {unit}");
            if first < last {
                let [left, right] = [first, last + 1].map(|epoch| self.x(epoch as f64 - 0.5));
                let _ = write!(bands, "M{left:.1} {top:.1}H{right:.1}V{bottom:.1}H{left:.1}z");
                let (low, high) = (figure(low), figure(high));
                told = format!("epochs {first} to {last}: {name} {mean} {unit}, {low} to {high}");
            }
            if (TOP..=SIZE[1] - BOTTOM).contains(&y) {
                // The larger, unseen disc is easier to point at.
                let _ = writeln!(
                    dots,
                    "<g><title>{told}</title>\
                     <circle class=\"hit\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"7\"/>\
                     <circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{dot}\"/></g>"
                );
            }
        }
        format!(
            "<g class=\"{}\"><path class=\"band\" d=\"{bands}\"/>\
             <path class=\"curve\" d=\"{path}\"/>\n{dots}</g>\n",
            series.class
        )
    }

    /// Names and last values beside the ends of the curves, one below the other.
    fn end_labels(&self, series: &[Series]) -> String {
        let [left, top, width, height] = self.plot();
        let last = |s: &Series| s.points.iter().rev().find_map(|(_, value)| *value);
        let mut labels: Vec<_> = series
            .iter()
            .filter_map(|series| last(series).map(|value| (self.y(value), value, series)))
            .map(|(y, value, series)| (y.clamp(top, top + height), value, series))
            .collect();
        labels.sort_by(|a, b| a.0.total_cmp(&b.0));
        for i in 1..labels.len() {
            let crowded = LINE - (labels[i].0 - labels[i - 1].0);
            if crowded > 0.0 {
                labels[i - 1].0 -= crowded / 2.0;
                labels[i].0 += crowded / 2.0;
            }
        }
        let mut svg = String::new();
        for (y, value, series) in &labels {
            // A curve that is alone needs no name.
            let name = if labels.len() > 1 { series.name.as_str() } else { "" };
            let _ = writeln!(
                svg,
                "<text class=\"end {}\" x=\"{}\" y=\"{:.1}\">{name} {}</text>",
                series.class,
                left + width + 10.0,
                y + 4.0,
                figure(*value)
            );
        }
        svg
    }

    /// What the window does not show, and what it shows as one, in words.
    fn notes(&self, series: &[Series]) -> String {
        let [low, high] = whole(series);
        let (mut outside, mut notes) = (Vec::new(), Vec::new());
        if high > self.values[1] {
            outside.push(format!("up to {}", figure(high)));
        }
        if low < self.values[0] {
            outside.push(format!("down to {}", figure(low)));
        }
        if !outside.is_empty() {
            notes.push(format!("outside the view: values {}", outside.join(" and ")));
        }
        let most = series.iter().map(|series| series.points.len()).max().unwrap_or(0);
        let each = epochs_of_a_point(most);
        if each > 1 {
            notes.push(format!("means of {each} epochs, and the range of their values"));
        }
        match notes.is_empty() {
            true => String::new(),
            false => format!("<span class=\"notes\">{}</span>", notes.join("; ")),
        }
    }
}

/// The least and the greatest of all values, so far as their difference can be told.
fn whole(series: &[Series]) -> [f64; 2] {
    let values = series.iter().flat_map(|s| s.points.iter().filter_map(|(_, value)| *value));
    let values = values.map(|value| value.clamp(-1e150, 1e150));
    values.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], v| [low.min(v), high.max(v)])
}

/// A range that tells the later epochs apart: that of the last three quarters, without the 2 percent
/// at either end, and half as much beyond where there are values.
fn telling(series: &[Series]) -> [f64; 2] {
    let [least, greatest] = whole(series);
    let mut late: Vec<_> = series
        .iter()
        .flat_map(|series| &series.points[series.points.len() / 4..])
        .filter_map(|(_, value)| *value)
        .map(|value| value.clamp(least, greatest))
        .collect();
    if late.is_empty() {
        return [least, greatest];
    }
    late.sort_by(f64::total_cmp);
    let spared = late.len() / 50;
    let [low, high] = [late[spared], late[late.len() - 1 - spared]];
    let more = (high - low) * 0.5;
    if more == 0.0 {
        return [least, greatest];
    }
    [least.max(low - more), greatest.min(high + more)]
}

/// Epochs that are drawn as one point.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Span {
    /// The first and the last.
    epochs: [u64; 2],
    /// The least, the mean and the greatest value, if there is any.
    values: Option<[f64; 3]>,
}

/// How many of so many epochs are drawn as one point.
fn epochs_of_a_point(count: usize) -> usize {
    match count {
        0..=MOST_POINTS => 1,
        many => many.div_ceil(MOST_SPANS),
    }
}

/// Few enough points: each epoch is one, or where there are many so many at a time.
fn spans(points: &[(u64, Option<f64>)]) -> Vec<Span> {
    let span = |points: &[(u64, Option<f64>)]| {
        let values = points.iter().filter_map(|(_, value)| *value);
        // As far as their sum can be told.
        let values: Vec<_> = values.map(|value| value.clamp(-1e150, 1e150)).collect();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let values = (!values.is_empty()).then_some([least, mean, greatest]);
        Span { epochs: [points[0].0, points[points.len() - 1].0], values }
    };
    points.chunks(epochs_of_a_point(points.len())).map(span).collect()
}

#[cfg(test)]
mod tests;
