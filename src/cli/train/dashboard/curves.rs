//! Curves of losses over epochs.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, LegendPosition};

use super::view::{Point, View};

pub(super) const TRAIN: Color = Color::LightBlue;
pub(super) const TEST: Color = Color::LightYellow;
pub(super) const DIM: Color = Color::DarkGray;

/// More points than a chart has columns only take time.
const MOST_POINTS: usize = 1000;

/// A named curve.
pub(super) type Curve = (&'static str, Color, Vec<(f64, f64)>);

/// The loss, −ELBO, with that of the running epoch.
pub(super) fn losses(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let title = match view.best() {
        Some(best) if area.width >= 56 => {
            let (loss, epoch) = (best.test.loss, best.epoch);
            format!(" loss, nats per image · best test {loss:.2}, epoch {epoch} ")
        }
        _ => " loss, nats per image ".to_owned(),
    };
    let running = finite(view.curve.iter().copied());
    let curves = [
        ("so far", DIM, running),
        ("train", TRAIN, over(&view.epochs, |p| p.train.loss)),
        ("test", TEST, over(&view.epochs, |p| p.test.loss)),
    ];
    // The mean of an epoch that has just begun may lie anywhere; it is shown where it fits.
    let range = y_range(if view.epochs.is_empty() { &curves } else { &curves[1..] });
    chart(frame, area, title, &curves, range);
}

/// One of the loss's parts.
pub(super) fn part(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    epochs: &[Point],
    value: impl Fn(&elbo::Losses) -> f64,
) {
    let curves = [
        ("train", TRAIN, over(epochs, |p| value(&p.train))),
        ("test", TEST, over(epochs, |p| value(&p.test))),
    ];
    let range = y_range(&curves);
    chart(frame, area, format!(" {title} "), &curves, range);
}

fn over(epochs: &[Point], value: impl Fn(&Point) -> f64) -> Vec<(f64, f64)> {
    let every = epochs.len().div_ceil(MOST_POINTS).max(1);
    // The newest is always among them.
    let chosen = epochs.iter().rev().step_by(every);
    let mut points = finite(chosen.map(|point| (point.epoch as f64, value(point))));
    points.reverse();
    points
}

/// Without what cannot be drawn, and what would overflow where the range is computed.
fn finite(points: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    points.filter(|(_, y)| y.abs() < 1e100).collect()
}

/// From the lowest value to the highest without the first quarter of the epochs, whose steep fall
/// would press all later ones flat, with a margin.
pub(super) fn y_range(curves: &[Curve]) -> [f64; 2] {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for (_, _, points) in curves {
        let skipped = points.len() / 4;
        for (index, &(_, y)) in points.iter().enumerate() {
            low = low.min(y);
            if index >= skipped {
                high = high.max(y);
            }
        }
    }
    if low > high {
        return [0.0, 1.0];
    }
    let margin = ((high - low) * 0.05).max(low.abs().max(high.abs()) * 1e-4).max(1e-6);
    [low - margin, high + margin]
}

/// A value with the digits that tell the ends of a range apart.
pub(super) fn label(value: f64, span: f64) -> String {
    match span {
        _ if value.abs() >= 1e7 => format!("{value:.2e}"),
        ..0.1 => format!("{value:.4}"),
        ..2.0 => format!("{value:.2}"),
        ..20.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn chart(frame: &mut Frame<'_>, area: Rect, title: String, curves: &[Curve], y: [f64; 2]) {
    let ends = curves.iter().filter_map(|(_, _, points)| points.last());
    let last = ends.map(|point| point.0).fold(0.0, f64::max);
    let starts = curves.iter().filter_map(|(_, _, points)| points.first());
    let first = starts.map(|point| point.0).fold(f64::INFINITY, f64::min);
    // One epoch is a point, at the left end of a stretch of one.
    let first = if first.is_finite() { first.floor() } else { 0.0 };
    let x = [first, last.ceil().max(first + 1.0)];
    let datasets = curves.iter().filter(|(_, _, points)| !points.is_empty());
    let datasets = datasets.map(|(name, color, points)| {
        let kind = if points.len() > 1 { GraphType::Line } else { GraphType::Scatter };
        let marker = if points.len() > 1 { Marker::Braille } else { Marker::Dot };
        let set = Dataset::default().name(*name).data(points).graph_type(kind);
        set.marker(marker).style(Style::new().fg(*color))
    });
    let middle = f64::midpoint(y[0], y[1]);
    let rows = if area.height > 7 { vec![y[0], middle, y[1]] } else { y.to_vec() };
    let rows = rows.into_iter().map(|value| label(value, y[1] - y[0]));
    let columns = [format!("epoch {:.0}", x[0]), format!("{:.0}", x[1])];
    let dim = Style::new().fg(DIM);
    let x_axis = Axis::default().bounds(x).labels(columns).style(dim);
    let y_axis = Axis::default().bounds(y).labels(rows).style(dim);
    let block = Block::bordered().border_style(dim).title(Line::from(title));
    let chart = Chart::new(datasets.collect()).block(block).x_axis(x_axis).y_axis(y_axis);
    let most = (Constraint::Ratio(1, 2), Constraint::Ratio(2, 3));
    // The legend lies where curves that rise, or fall, have no late epochs.
    let ends = curves.last().and_then(|(_, _, points)| points.first().zip(points.last()));
    let corner = match ends {
        Some((first, last)) if last.1 > first.1 => LegendPosition::BottomRight,
        _ => LegendPosition::TopRight,
    };
    let chart = chart.hidden_legend_constraints(most).legend_position(Some(corner));
    frame.render_widget(chart, area);
}
