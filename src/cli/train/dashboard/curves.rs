//! Curves of losses over epochs.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, LegendPosition, Paragraph};

use super::view::{Point, View};

/// Words and lines of the second rank. Only the terminal's own colours are on its ground for certain, so
/// that they are dimmed. What matters is not, also where it lies over what is.
pub(super) const DIM: Style = Style::new().add_modifier(Modifier::DIM);
pub(super) const TRAIN: Style = Style::new().remove_modifier(Modifier::DIM);
/// Of the basic colours the one that is far from black, from white and from both grounds of Solarized.
pub(super) const TEST: Style = TRAIN.fg(Color::Magenta);

/// More points than a chart has columns only take time.
const MOST_POINTS: usize = 1000;

/// How a curve is drawn: told apart by its marks too, where there are no colours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pen {
    /// In the legend, with the marks.
    name: &'static str,
    marker: Marker,
    style: Style,
}

const RUNNING_PEN: Pen = Pen { name: "··· so far", marker: Marker::Custom('·'), style: DIM };
const TRAIN_PEN: Pen = Pen { name: "⠤⠤⠤ train", marker: Marker::Braille, style: TRAIN };

/// The pen of the images that training looks at: `test`, or `validation`.
pub(super) fn test_pen(looked_at: &str) -> Pen {
    let name = if looked_at == "test" { "••• test" } else { "••• validation" };
    Pen { name, marker: Marker::Dot, style: TEST }
}

/// A curve, and how it is drawn.
pub(super) type Curve = (Pen, Vec<(f64, f64)>);

/// The loss, −ELBO, with that of the running epoch.
pub(super) fn losses(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let title = match view.best() {
        Some(best) if area.width >= 56 => {
            let (loss, epoch) = (best.test.loss, best.epoch);
            format!(
                " loss, nats per image · best {} {loss:.2}, epoch {epoch} ",
                view.about.looked_at
            )
        }
        _ => " loss, nats per image ".to_owned(),
    };
    let running = finite(view.curve.iter().copied());
    let curves = [
        (RUNNING_PEN, running),
        (TRAIN_PEN, over(&view.epochs, |p| p.train.loss)),
        (test_pen(view.about.looked_at), over(&view.epochs, |p| p.test.loss)),
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
    view: &View,
    value: impl Fn(&elbo::Losses) -> f64,
) {
    let curves = [
        (TRAIN_PEN, over(&view.epochs, |p| value(&p.train))),
        (test_pen(view.about.looked_at), over(&view.epochs, |p| value(&p.test))),
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
/// would press all later ones flat, with a margin; none without a value.
pub(super) fn y_range(curves: &[Curve]) -> Option<[f64; 2]> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for (_, points) in curves {
        let skipped = points.len() / 4;
        for (index, &(_, y)) in points.iter().enumerate() {
            low = low.min(y);
            if index >= skipped {
                high = high.max(y);
            }
        }
    }
    if low > high {
        return None;
    }
    let margin = ((high - low) * 0.05).max(low.abs().max(high.abs()) * 1e-4).max(1e-6);
    Some([low - margin, high + margin])
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

fn chart(
    frame: &mut Frame<'_>,
    area: Rect,
    title: String,
    curves: &[Curve],
    range: Option<[f64; 2]>,
) {
    let block = Block::bordered().border_style(DIM).title(Line::from(title));
    let Some(y) = range else {
        // Axes would be of values that nobody measured.
        let none = Paragraph::new("no value yet").style(DIM).block(block);
        frame.render_widget(none, area);
        return;
    };
    let ends = curves.iter().filter_map(|(_, points)| points.last());
    let last = ends.map(|point| point.0).fold(0.0, f64::max);
    let starts = curves.iter().filter_map(|(_, points)| points.first());
    let first = starts.map(|point| point.0).fold(f64::INFINITY, f64::min);
    // One epoch is a point, at the left end of a stretch of one.
    let first = if first.is_finite() { first.floor() } else { 0.0 };
    let x = [first, last.ceil().max(first + 1.0)];
    let datasets = curves.iter().filter(|(_, points)| !points.is_empty());
    let datasets = datasets.map(|(pen, points)| {
        // Points leave the line that they lie on to be seen.
        let line = points.len() > 1 && pen.marker != Marker::Dot;
        let kind = if line { GraphType::Line } else { GraphType::Scatter };
        let marker = if line { pen.marker } else { Marker::Dot };
        let set = Dataset::default().name(pen.name).data(points).graph_type(kind);
        set.marker(marker).style(pen.style)
    });
    let middle = f64::midpoint(y[0], y[1]);
    let rows = if area.height > 7 { vec![y[0], middle, y[1]] } else { y.to_vec() };
    let rows = rows.into_iter().map(|value| label(value, y[1] - y[0]));
    let columns = [format!("epoch {:.0}", x[0]), format!("{:.0}", x[1])];
    let x_axis = Axis::default().bounds(x).labels(columns).style(DIM);
    let y_axis = Axis::default().bounds(y).labels(rows).style(DIM);
    let chart = Chart::new(datasets.collect()).block(block).x_axis(x_axis).y_axis(y_axis);
    let most = (Constraint::Ratio(1, 2), Constraint::Ratio(2, 3));
    // The legend lies where curves that rise, or fall, have no late epochs.
    let ends = curves.last().and_then(|(_, points)| points.first().zip(points.last()));
    let corner = match ends {
        Some((first, last)) if last.1 > first.1 => LegendPosition::BottomRight,
        _ => LegendPosition::TopRight,
    };
    let chart = chart.hidden_legend_constraints(most).legend_position(Some(corner));
    frame.render_widget(chart, area);
}
