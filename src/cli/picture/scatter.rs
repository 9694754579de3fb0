//! Points in a plane, coloured by their labels.

use elbo::{Error, ErrorKind, Result};

use super::canvas::Canvas;
use super::labels::{Label, place};
use super::palette::{AXIS, Color, INK, PAPER, RULE, SOFT, for_words, of_class};
use super::text::{Align, BOLD, Font, LARGE, MEDIUM, cut, lines_height, text_width, wrap};
use super::ticks::{short, ticks};

/// The longer side of the plot, in pixels, and the least of the other.
const LONG: f64 = 1600.0;
const SHORT: f64 = 800.0;
/// Between the outermost points and the plot's sides.
const INSET: f64 = 30.0;
const MARGIN: i32 = 28;
/// Between words and what they belong to.
const SPACE: i32 = 16;
/// The length of a tick.
const TICK: i32 = 8;
/// The width of axes and of the lines behind points.
const LINE: i32 = 2;
const LEGEND_LINE: i32 = 40;
/// From the left of a mark in the legend to its words.
const LEGEND_WORDS: i32 = 36;
/// The longest words of a legend, and of a label among points.
const MOST_WORDS: usize = 420;
const MOST_LABEL: usize = 200;
/// The edge of paper round a label, and round a line.
const EDGE: i32 = 5;

/// The words of a scatter plot.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::cli) struct Axes<'a> {
    /// Above the plot: what is seen.
    pub(in crate::cli) caption: &'a str,
    /// What the first coordinate is.
    pub(in crate::cli) x: &'a str,
    /// What the second coordinate is.
    pub(in crate::cli) y: &'a str,
    /// The name of each label, if they have names.
    pub(in crate::cli) names: &'a [String],
}

impl Axes<'_> {
    fn name(&self, label: u8) -> String {
        self.names.get(usize::from(label)).cloned().unwrap_or_else(|| label.to_string())
    }
}

/// Draws points in a plane, with the same scale on both axes, and returns the bytes of a PNG file.
///
/// `labels` has the label of each point: it decides the colour, the shape for every tenth label and
/// those after it, and stands in a legend and at the median of its points, or beside that where another
/// stands there. Every label's points are spread evenly over the order of drawing, so that none hides the
/// others. Points that are not finite are left out, which the caption says.
pub(in crate::cli) fn scatter(
    points: &[[f32; 2]],
    labels: Option<&[u8]>,
    axes: Axes<'_>,
) -> Result<Vec<u8>> {
    draw(points, labels, axes)?.canvas.to_png()
}

/// The points alone, for who has few pixels.
pub(super) fn bare(points: &[[f32; 2]], labels: Option<&[u8]>) -> Result<Canvas> {
    let Seen { seen, classes } = Seen::new(points, labels)?;
    let mut plot = Plot::new(&seen, "", Axes::default(), &[])?;
    plot.dots(&seen, &classes);
    let [left, top, right, bottom] = plot.frame.map(|side| side as usize);
    let mut canvas = Canvas::new(right - left, bottom - top)?;
    for (y, row) in canvas.pixels.chunks_exact_mut(3 * (right - left)).enumerate() {
        let start = ((top + y) * plot.canvas.width + left) * 3;
        row.copy_from_slice(&plot.canvas.pixels[start..][..row.len()]);
    }
    Ok(canvas)
}

/// The points that can be drawn, each with its label.
struct Seen {
    seen: Vec<(u8, [f64; 2])>,
    /// The labels that there are, in their order.
    classes: Vec<u8>,
}

impl Seen {
    fn new(points: &[[f32; 2]], labels: Option<&[u8]>) -> Result<Self> {
        if let Some(labels) = labels.filter(|labels| labels.len() != points.len()) {
            let what = format!("{} points have {} labels", points.len(), labels.len());
            return Err(Error::new(ErrorKind::Data, what).hint("give each point one label"));
        }
        let label = |index: usize| labels.map_or(0, |labels| labels[index]);
        let finite = |(_, point): &(usize, &[f32; 2])| point.iter().all(|v| v.is_finite());
        let seen = points.iter().enumerate().filter(finite);
        let seen: Vec<_> = seen.map(|(i, point)| (label(i), point.map(f64::from))).collect();
        if seen.is_empty() {
            let what = format!("none of {} points can be drawn", points.len());
            return Err(Error::new(ErrorKind::Data, what).hint("give one or more finite points"));
        }
        let classes = classes(seen.iter().map(|(label, _)| *label));
        Ok(Self { seen, classes })
    }
}

fn draw(points: &[[f32; 2]], labels: Option<&[u8]>, axes: Axes<'_>) -> Result<Plot> {
    let Seen { seen, classes } = Seen::new(points, labels)?;
    let mut caption = axes.caption.to_owned();
    if seen.len() < points.len() {
        let lost = points.len() - seen.len();
        caption += &format!(" ({lost} of {} points are not finite and left out)", points.len());
    }
    let legend = if labels.is_some() { classes.as_slice() } else { &[] };
    let mut plot = Plot::new(&seen, &caption, axes, legend)?;
    plot.axes(&caption, axes);
    plot.dots(&seen, &classes);
    plot.legend(legend, axes);
    plot.write_at_medians(legend, axes, &seen);
    Ok(plot)
}

/// The colours of labels, and how they are called.
pub(super) fn key<'a>(
    labels: &[u8],
    axes: Axes<'a>,
) -> impl Iterator<Item = (Color, String)> + use<'a> {
    let classes = classes(labels.iter().copied()).into_iter().enumerate();
    classes.map(move |(class, label)| (of_class(class).0, axes.name(label)))
}

/// The labels that there are, in their order.
fn classes(labels: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut there = [false; 256];
    labels.for_each(|label| there[usize::from(label)] = true);
    (0..=255).filter(|label| there[usize::from(*label)]).collect()
}

fn class_of(classes: &[u8], label: u8) -> usize {
    classes.iter().position(|class| *class == label).unwrap_or(0)
}

/// The points in an order that spreads each label's evenly from first to last.
fn in_turn(seen: &[(u8, [f64; 2])]) -> Vec<(u8, [f64; 2])> {
    let mut counts = [0_u32; 256];
    seen.iter().for_each(|(label, _)| counts[usize::from(*label)] += 1);
    let mut taken = [0_u32; 256];
    let mut order: Vec<_> = seen
        .iter()
        .map(|&(label, point)| {
            let taken = &mut taken[usize::from(label)];
            *taken += 1;
            let turn = (f64::from(*taken) - 0.5) / f64::from(counts[usize::from(label)]);
            (turn, label, point)
        })
        .collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    order.into_iter().map(|(_, label, point)| (label, point)).collect()
}

/// The lines of a legend beside a plot of so many pixels, which has at least [`SHORT`].
fn legend_lines(height: f64) -> usize {
    (height / f64::from(LEGEND_LINE)) as usize
}

/// A canvas with a window on the plane.
struct Plot {
    canvas: Canvas,
    /// Left, top, right and bottom of the plot, in pixels.
    frame: [i32; 4],
    /// The point of the plane at the plot's left and bottom.
    origin: [f64; 2],
    /// Pixels for one unit.
    scale: f64,
    /// The labels among the points.
    labels: Vec<(u8, Label)>,
}

impl Plot {
    fn new(seen: &[(u8, [f64; 2])], caption: &str, axes: Axes<'_>, legend: &[u8]) -> Result<Self> {
        let bound = |axis: usize, better: fn(f64, f64) -> f64, from: f64| {
            seen.iter().map(|(_, point)| point[axis]).fold(from, better)
        };
        let low = [0, 1].map(|axis| bound(axis, f64::min, f64::INFINITY));
        let high = [0, 1].map(|axis| bound(axis, f64::max, f64::NEG_INFINITY));
        let widest = (high[0] - low[0]).max(high[1] - low[1]);
        // A single point has a window round it, as wide as it is far from zero.
        let far = high.iter().chain(&low).fold(0.0_f64, |far, v| far.max(v.abs()));
        let widest = if widest > 1e-6 * far { widest } else { far.max(1.0) * 0.1 };
        let scale = (LONG - INSET) / widest;
        let side = |axis: usize| ((high[axis] - low[axis]) * scale + INSET).clamp(SHORT, LONG);
        let (wide, tall) = (side(0), side(1));
        let origin = [(0, wide), (1, tall)]
            .map(|(axis, side)| (low[axis] + high[axis]) / 2.0 - side / scale / 2.0);
        let lines = wrap(caption, LARGE, wide as usize).len();
        let mut top = MARGIN + lines_height(lines, LARGE) as i32 + SPACE;
        if !axes.y.is_empty() {
            top += lines_height(1, MEDIUM) as i32;
        }
        let numbers = ticks(origin[1], origin[1] + tall / scale, 6);
        let longest = numbers.iter().map(|v| text_width(&signed(*v, &numbers), MEDIUM)).max();
        let left = MARGIN + SPACE + longest.unwrap_or(0) as i32;
        let columns = legend.len().div_ceil(legend_lines(tall)) as i32;
        let column = legend_column(legend, axes);
        let [right, bottom] = [left + wide as i32, top + tall as i32];
        let below = SPACE + 2 * lines_height(1, MEDIUM) as i32;
        let width = right + SPACE + columns * column + MARGIN;
        let height = bottom + below + MARGIN;
        let canvas = Canvas::new(width as usize, height as usize)?;
        let frame = [left, top, right, bottom];
        Ok(Self { canvas, frame, origin, scale, labels: Vec::new() })
    }

    /// The pixels of a point.
    fn place(&self, point: [f64; 2]) -> [f64; 2] {
        let [left, _, _, bottom] = self.frame.map(f64::from);
        let [x, y] = [0, 1].map(|axis| (point[axis] - self.origin[axis]) * self.scale);
        [left + x, bottom - y]
    }

    fn axes(&mut self, caption: &str, axes: Axes<'_>) {
        let [left, top, right, bottom] = self.frame;
        let [wide, tall] = [right - left, bottom - top];
        let lines = wrap(caption, LARGE, wide as usize);
        self.canvas.write_lines(&lines, LARGE, [left, MARGIN], INK);
        let across = self.ticks(0, wide);
        for value in &across {
            let x = self.place([*value, 0.0])[0].round() as i32;
            self.canvas.fill([x, top], [LINE, tall], RULE);
            self.canvas.fill([x, bottom], [LINE, TICK], AXIS);
            let words = signed(*value, &across);
            self.canvas.write(&words, MEDIUM, [x, bottom + SPACE], Align::Center, SOFT);
        }
        let up = self.ticks(1, tall);
        for value in &up {
            let y = self.place([0.0, *value])[1].round() as i32;
            self.canvas.fill([left, y], [wide, LINE], RULE);
            self.canvas.fill([left - TICK, y], [TICK, LINE], AXIS);
            let at = [left - SPACE, MEDIUM.top(y)];
            self.canvas.write(&signed(*value, &up), MEDIUM, at, Align::Right, SOFT);
        }
        self.canvas.fill([left, bottom], [wide, LINE], AXIS);
        self.canvas.fill([left, top], [LINE, tall + LINE], AXIS);
        let words = lines_height(1, MEDIUM) as i32;
        let below = [(left + right) / 2, bottom + SPACE + words];
        self.canvas.write(axes.x, MEDIUM, below, Align::Center, SOFT);
        self.canvas.write(axes.y, MEDIUM, [left, top - words], Align::Left, SOFT);
    }

    /// Round numbers of an axis that has so many pixels.
    fn ticks(&self, axis: usize, pixels: i32) -> Vec<f64> {
        let low = self.origin[axis];
        ticks(low, low + f64::from(pixels) / self.scale, 8)
    }

    /// Draws the points of all classes, smaller and paler the more there are.
    fn dots(&mut self, seen: &[(u8, [f64; 2])], classes: &[u8]) {
        let (radius, share) = match seen.len() {
            0..=500 => (8.0, 0.85),
            501..=3000 => (6.0, 0.75),
            3001..=20_000 => (4.6, 0.65),
            _ => (3.2, 0.5),
        };
        for (label, point) in in_turn(seen) {
            self.shape(class_of(classes, label), self.place(point), radius, share);
        }
    }

    /// Draws the mark of a class round a pixel: a disc, a square, a diamond or a cross.
    fn shape(&mut self, class: usize, [x, y]: [f64; 2], radius: f64, share: f64) {
        let (color, round) = of_class(class);
        let reach = radius.ceil() as i32 + 1;
        let (middle_x, middle_y) = (x.round() as i32, y.round() as i32);
        for row in middle_y - reach..=middle_y + reach {
            for column in middle_x - reach..=middle_x + reach {
                let (dx, dy) = ((f64::from(column) - x).abs(), (f64::from(row) - y).abs());
                let far = match round % 4 {
                    0 => dx.hypot(dy),
                    1 => dx.max(dy) * 1.1,
                    2 => (dx + dy) * 0.75,
                    _ => dx.max(dy).max(dx.min(dy) * 3.0),
                };
                // How much of the pixel the mark covers, by its distance from the edge.
                let covers = (radius - far + 0.5).clamp(0.0, 1.0);
                self.canvas.blend(column, row, color, covers * share);
            }
        }
    }

    fn legend(&mut self, classes: &[u8], axes: Axes<'_>) {
        let [_, top, right, bottom] = self.frame;
        let (lines, column) = (legend_lines(f64::from(bottom - top)), legend_column(classes, axes));
        for (index, label) in classes.iter().enumerate() {
            let x = right + 2 * SPACE + (index / lines) as i32 * column;
            let middle = top + LEGEND_LINE / 2 + (index % lines) as i32 * LEGEND_LINE;
            self.shape(index, [f64::from(x + 12), f64::from(middle)], 10.0, 1.0);
            let words = cut(&axes.name(*label), MEDIUM, MOST_WORDS);
            let at = [x + LEGEND_WORDS, MEDIUM.top(middle)];
            self.canvas.write(&words, MEDIUM, at, Align::Left, INK);
        }
    }

    /// Writes labels at the medians of their points, or beside and with a line to them, in a colour of
    /// theirs that can be read, on an edge of paper. One that finds no room is left to the legend.
    fn write_at_medians(&mut self, labels: &[u8], axes: Axes<'_>, seen: &[(u8, [f64; 2])]) {
        let words: Vec<_> =
            labels.iter().map(|&label| cut(&axes.name(label), BOLD, MOST_LABEL)).collect();
        let wanted = labels.iter().zip(&words).map(|(&label, words)| {
            let size = [text_width(words, BOLD), capitals(BOLD)].map(|side| side as f64);
            (self.place(median(seen, label)), size.map(|side| side + 2.0 * f64::from(EDGE)))
        });
        let placed = place(&wanted.collect::<Vec<_>>(), self.frame.map(f64::from));
        for (class, label) in placed.iter().enumerate() {
            let Some(label) = label.filter(Label::is_aside) else { continue };
            let wide = 2.0 + 2.0 * f64::from(EDGE - 2);
            self.canvas.line(label.middle, label.anchor, wide, PAPER);
            self.canvas.line(label.middle, label.anchor, 2.0, color_of_words(class));
        }
        for (class, (label, words)) in placed.into_iter().zip(&words).enumerate() {
            let Some(label) = label else { continue };
            let [x, y] = label.middle.map(|side| side.round() as i32);
            let at = [x, BOLD.top(y)];
            self.canvas.write_on_edge(words, BOLD, at, color_of_words(class), EDGE);
            self.labels.push((labels[class], label));
        }
    }
}

/// The colour of a class's words.
fn color_of_words(class: usize) -> Color {
    for_words(of_class(class).0)
}

/// The median of a label's points, by each coordinate.
fn median(seen: &[(u8, [f64; 2])], label: u8) -> [f64; 2] {
    [0, 1].map(|axis| {
        let own = seen.iter().filter(|(other, _)| *other == label);
        let mut values: Vec<_> = own.map(|(_, point)| point[axis]).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    })
}

/// The height of digits and capitals.
fn capitals(font: Font) -> usize {
    font.height() * 5 / 8
}

/// The width of a column of the legend: a mark and the longest words.
fn legend_column(classes: &[u8], axes: Axes<'_>) -> i32 {
    let words = classes.iter().map(|&label| text_width(&axes.name(label), MEDIUM).min(MOST_WORDS));
    words.max().map_or(0, |longest| LEGEND_WORDS + longest as i32 + SPACE + SPACE / 2)
}

/// A tick's number, with the sign that numbers have in print.
fn signed(value: f64, ticks: &[f64]) -> String {
    short(value, ticks).replacen('-', "−", 1)
}

#[cfg(test)]
mod tests;
