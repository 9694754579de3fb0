//! Points in a plane, coloured by their labels.

use elbo::{Error, ErrorKind, Result};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Drawable, Point, Primitive};
use embedded_graphics::primitives::{Line, PrimitiveStyle};
use embedded_graphics::text::Alignment;

use super::canvas::{BOLD, Canvas, INK, LARGE, MEDIUM, lines_height, text_width, wrap};
use super::ticks::{short, ticks};

/// The ten colours of Petroff, "Accessible Color Sequences for Data Visualization" (2021), chosen
/// to be told apart with common kinds of colour blindness too.
const COLORS: [Rgb888; 10] = [
    Rgb888::new(0x3f, 0x90, 0xda),
    Rgb888::new(0xff, 0xa9, 0x0e),
    Rgb888::new(0xbd, 0x1f, 0x01),
    Rgb888::new(0x94, 0xa4, 0xa2),
    Rgb888::new(0x83, 0x2d, 0xb6),
    Rgb888::new(0xa9, 0x6b, 0x59),
    Rgb888::new(0xe7, 0x63, 0x00),
    Rgb888::new(0xb9, 0xac, 0x70),
    Rgb888::new(0x71, 0x75, 0x81),
    Rgb888::new(0x92, 0xda, 0xdd),
];
const RULES: Rgb888 = Rgb888::new(0xe4, 0xe4, 0xe4);
const PAPER: Rgb888 = Rgb888::new(0xff, 0xff, 0xff);

/// The longer side of the plot, in pixels, and the least of the other.
const LONG: f64 = 800.0;
const SHORT: f64 = 400.0;
const MARGIN: i32 = 14;
/// Between words and what they belong to.
const SPACE: i32 = 8;
const LEGEND_LINE: i32 = 20;
/// A mark and three digits.
const LEGEND_COLUMN: i32 = 50;

/// The words of a scatter plot.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::cli) struct Axes<'a> {
    /// Above the plot: what is seen.
    pub(in crate::cli) caption: &'a str,
    /// What the first coordinate is.
    pub(in crate::cli) x: &'a str,
    /// What the second coordinate is.
    pub(in crate::cli) y: &'a str,
}

/// Draws points in a plane, with the same scale on both axes, and returns the bytes of a PNG file.
///
/// `labels` has the label of each point: it decides the colour, the shape for every tenth label and
/// those after it, and stands in a legend and at the median of its points. Every label's points are
/// spread evenly over the order of drawing, so that none hides the others. Points that are not
/// finite are left out, which the caption says.
pub(in crate::cli) fn scatter(
    points: &[[f32; 2]],
    labels: Option<&[u8]>,
    axes: Axes<'_>,
) -> Result<Vec<u8>> {
    draw(points, labels, axes)?.to_png()
}

fn draw(points: &[[f32; 2]], labels: Option<&[u8]>, axes: Axes<'_>) -> Result<Canvas> {
    if let Some(labels) = labels.filter(|labels| labels.len() != points.len()) {
        let what = format!("{} points have {} labels", points.len(), labels.len());
        return Err(Error::new(ErrorKind::Data, what).hint("give each point one label"));
    }
    let finite = |point: &[f32; 2]| point.iter().all(|v| v.is_finite());
    let label = |index: usize| labels.map_or(0, |labels| labels[index]);
    let seen: Vec<_> = points.iter().enumerate().filter(|(_, point)| finite(point)).collect();
    let seen: Vec<_> = seen.into_iter().map(|(i, p)| (label(i), p.map(f64::from))).collect();
    if seen.is_empty() {
        let what = format!("none of {} points can be drawn", points.len());
        return Err(Error::new(ErrorKind::Data, what).hint("give one or more finite points"));
    }
    let mut caption = axes.caption.to_owned();
    if seen.len() < points.len() {
        let lost = points.len() - seen.len();
        caption += &format!(" ({lost} of {} points are not finite and left out)", points.len());
    }
    let classes = classes(&seen);
    let legend = if labels.is_some() { classes.as_slice() } else { &[] };
    let mut plot = Plot::new(&seen, &caption, axes, legend)?;
    plot.axes(&caption, axes);
    for (label, point) in in_turn(&seen) {
        plot.dot(class_of(&classes, label), plot.place(point), seen.len());
    }
    plot.legend(legend);
    plot.write_at_medians(legend, &seen);
    Ok(plot.canvas)
}

/// The labels that there are, in their order.
fn classes(seen: &[(u8, [f64; 2])]) -> Vec<u8> {
    let mut there = [false; 256];
    seen.iter().for_each(|(label, _)| there[usize::from(*label)] = true);
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
        let scale = (LONG - 30.0) / widest;
        let side = |axis: usize| ((high[axis] - low[axis]) * scale + 30.0).clamp(SHORT, LONG);
        let (wide, tall) = (side(0), side(1));
        let origin = [(0, wide), (1, tall)]
            .map(|(axis, side)| (low[axis] + high[axis]) / 2.0 - side / scale / 2.0);
        let lines = wrap(caption, LARGE, wide as usize).len();
        let mut top = MARGIN + lines_height(lines, LARGE) as i32 + SPACE;
        if !axes.y.is_empty() {
            top += lines_height(1, MEDIUM) as i32;
        }
        let numbers = ticks(origin[1], origin[1] + tall / scale, 6);
        let longest = numbers.iter().map(|v| text_width(&short(*v, &numbers), MEDIUM)).max();
        let left = MARGIN + SPACE + longest.unwrap_or(0) as i32;
        let columns = legend.len().div_ceil(legend_lines(tall)) as i32;
        let [right, bottom] = [left + wide as i32, top + tall as i32];
        let below = SPACE + 2 * lines_height(1, MEDIUM) as i32;
        let width = right + columns * LEGEND_COLUMN + MARGIN + if columns > 0 { SPACE } else { 0 };
        let height = bottom + below + MARGIN;
        let canvas = Canvas::new(width as usize, height as usize)?;
        Ok(Self { canvas, frame: [left, top, right, bottom], origin, scale })
    }

    /// The pixels of a point.
    fn place(&self, point: [f64; 2]) -> [f64; 2] {
        let [left, _, _, bottom] = self.frame.map(f64::from);
        let [x, y] = [0, 1].map(|axis| (point[axis] - self.origin[axis]) * self.scale);
        [left + x, bottom - y]
    }

    fn line(&mut self, from: [i32; 2], to: [i32; 2], color: Rgb888) {
        let line = Line::new(Point::new(from[0], from[1]), Point::new(to[0], to[1]));
        let Ok(()) = line.into_styled(PrimitiveStyle::with_stroke(color, 1)).draw(&mut self.canvas);
    }

    fn axes(&mut self, caption: &str, axes: Axes<'_>) {
        let [left, top, right, bottom] = self.frame;
        let lines = wrap(caption, LARGE, (right - left) as usize);
        self.canvas.write_lines(&lines, LARGE, Point::new(left, MARGIN));
        let across = self.ticks(0, right - left);
        for value in &across {
            let x = self.place([*value, 0.0])[0].round() as i32;
            self.line([x, top], [x, bottom], RULES);
            self.line([x, bottom], [x, bottom + 4], INK);
            let at = Point::new(x, bottom + SPACE);
            self.canvas.write(&short(*value, &across), MEDIUM, at, Alignment::Center);
        }
        let up = self.ticks(1, bottom - top);
        for value in &up {
            let y = self.place([0.0, *value])[1].round() as i32;
            self.line([left, y], [right, y], RULES);
            self.line([left - 4, y], [left, y], INK);
            let at = Point::new(left - SPACE, y - 6);
            self.canvas.write(&short(*value, &up), MEDIUM, at, Alignment::Right);
        }
        self.line([left, bottom], [right, bottom], INK);
        self.line([left, top], [left, bottom], INK);
        let words = lines_height(1, MEDIUM) as i32;
        let below = Point::new((left + right) / 2, bottom + SPACE + words);
        self.canvas.write(axes.x, MEDIUM, below, Alignment::Center);
        let above = Point::new(left, top - words);
        self.canvas.write(axes.y, MEDIUM, above, Alignment::Left);
    }

    /// Round numbers of an axis that has so many pixels.
    fn ticks(&self, axis: usize, pixels: i32) -> Vec<f64> {
        let low = self.origin[axis];
        ticks(low, low + f64::from(pixels) / self.scale, 8)
    }

    /// Draws a point of a class, smaller and paler the more there are in all.
    fn dot(&mut self, class: usize, [x, y]: [f64; 2], all: usize) {
        let (radius, share) = match all {
            0..=500 => (4.0, 0.85),
            501..=3000 => (3.0, 0.75),
            3001..=20_000 => (2.3, 0.65),
            _ => (1.6, 0.5),
        };
        self.shape(class, [x, y], radius, share);
    }

    /// Draws the mark of a class round a pixel: a disc, a square, a diamond or a cross.
    fn shape(&mut self, class: usize, [x, y]: [f64; 2], radius: f64, share: f64) {
        let color = COLORS[class % COLORS.len()];
        let reach = radius.ceil() as i32 + 1;
        let (middle_x, middle_y) = (x.round() as i32, y.round() as i32);
        for row in middle_y - reach..=middle_y + reach {
            for column in middle_x - reach..=middle_x + reach {
                let (dx, dy) = ((f64::from(column) - x).abs(), (f64::from(row) - y).abs());
                let far = match class / COLORS.len() % 4 {
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

    fn legend(&mut self, classes: &[u8]) {
        let [_, top, right, bottom] = self.frame;
        let lines = legend_lines(f64::from(bottom - top));
        for (index, label) in classes.iter().enumerate() {
            let column = (index / lines) as i32;
            let x = right + 2 * SPACE + column * LEGEND_COLUMN;
            let y = top + (index % lines) as i32 * LEGEND_LINE;
            self.shape(index, [f64::from(x + 6), f64::from(y + 8)], 5.0, 1.0);
            let at = Point::new(x + 18, y + 2);
            self.canvas.write(&label.to_string(), MEDIUM, at, Alignment::Left);
        }
    }

    /// Writes labels at the medians of their points, in ink on a white edge; one that would cover
    /// another is left to the legend.
    fn write_at_medians(&mut self, labels: &[u8], seen: &[(u8, [f64; 2])]) {
        let mut taken: Vec<Point> = Vec::new();
        for &label in labels {
            let median = [0, 1].map(|axis| {
                let own = seen.iter().filter(|(other, _)| *other == label);
                let mut values: Vec<_> = own.map(|(_, point)| point[axis]).collect();
                values.sort_by(f64::total_cmp);
                values[values.len() / 2]
            });
            let [x, y] = self.place(median).map(|v| v.round() as i32);
            let at = Point::new(x, y - 7);
            if taken.iter().any(|other| (other.x - x).abs() < 30 && (other.y - at.y).abs() < 18) {
                continue;
            }
            taken.push(at);
            let text = label.to_string();
            for (dx, dy) in (-2..=2).flat_map(|dx| (-2..=2).map(move |dy| (dx, dy))) {
                let edge = at + Point::new(dx, dy);
                self.canvas.write_in(&text, BOLD, edge, Alignment::Center, PAPER);
            }
            self.canvas.write(&text, BOLD, at, Alignment::Center);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many pixels have exactly a colour.
    fn count(canvas: &Canvas, color: Rgb888) -> usize {
        use embedded_graphics::prelude::RgbColor;
        let color = [color.r(), color.g(), color.b()];
        canvas.pixels.chunks_exact(3).filter(|pixel| *pixel == color).count()
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        let nan = [f32::NAN, 0.0];
        for (case, points, labels) in [
            ("no points", vec![], None),
            ("none finite", vec![nan, [0.0, f32::INFINITY]], None),
            ("too few labels", vec![[0.0; 2]; 3], Some(vec![1, 2])),
            ("too many labels", vec![[0.0; 2]; 1], Some(vec![1, 2])),
        ] {
            let error = scatter(&points, labels.as_deref(), Axes::default()).expect_err(case);
            assert_eq!(error.kind(), ErrorKind::Data, "{case}: `{error}`");
            assert!(error.advice().is_some(), "{case}: `{error}` has a hint");
        }
    }

    /// None of these is refused, and none panics.
    #[test]
    fn odd_points_are_drawn() {
        for points in [
            vec![[0.0, 0.0]],
            vec![[5.0, 5.0]; 4],
            vec![[f32::MAX, f32::MIN], [f32::MIN, f32::MAX]],
            vec![[1e-38, 0.0], [2e-38, 0.0]],
            vec![[1e7, 1.0], [1e7 + 1.0, 1.0]],
            vec![[0.0, 0.0], [1000.0, 1.0], [f32::NAN, 0.0]],
        ] {
            let all = vec![3; points.len()];
            let canvas = draw(&points, Some(&all), Axes::default())
                .unwrap_or_else(|error| panic!("{points:?}: {error}"));
            assert!(canvas.width <= 1600 && canvas.height <= 1600, "{points:?}");
            assert!(count(&canvas, COLORS[0]) > 20, "{points:?} has a legend");
            scatter(&points, None, Axes::default()).expect("a picture");
        }
        let all: Vec<_> = (0..=255).collect();
        let points: Vec<_> = (0..256).map(|i| [i as f32, (i * i % 97) as f32]).collect();
        let canvas = draw(&points, Some(&all), Axes::default()).expect("256 labels");
        assert!(canvas.width <= 1600, "256 labels are {} wide", canvas.width);
    }

    #[test]
    fn both_axes_have_the_same_scale() {
        let points = [[0.0, 0.0], [10.0, 0.0], [0.0, 3.0]];
        let seen: Vec<_> = points.iter().map(|point| (0, *point)).collect();
        let plot = Plot::new(&seen, "", Axes::default(), &[]).expect("a plot");
        let [origin, right, up] = points.map(|point| plot.place(point));
        assert!(((right[0] - origin[0]) / 10.0 - (origin[1] - up[1]) / 3.0).abs() < 1e-9);
        let [left, top, end, bottom] = plot.frame.map(f64::from);
        for [x, y] in [origin, right, up] {
            assert!(x > left && x < end && y > top && y < bottom, "{x}, {y} in {:?}", plot.frame);
        }
    }

    /// A label with few points is seen, though it comes first and last in the data.
    #[test]
    fn no_label_hides_another() {
        let many = (0..1000).map(|i| (1, [f64::from(i), 0.0]));
        let few = (0..10).map(|i| (0, [f64::from(i), 1.0]));
        for seen in [few.clone().chain(many.clone()).collect(), many.chain(few).collect::<Vec<_>>()]
        {
            let places: Vec<_> = in_turn(&seen)
                .iter()
                .enumerate()
                .filter(|(_, (label, _))| *label == 0)
                .map(|(place, _)| place)
                .collect();
            assert_eq!(places.len(), 10, "all are drawn");
            for (turn, place) in places.iter().enumerate() {
                let even = 101 * turn + 50;
                assert!(place.abs_diff(even) <= 2, "point {turn} is drawn as number {place}");
            }
        }
    }

    #[test]
    fn labels_have_colours_and_shapes_of_their_own() {
        let marks: Vec<_> = (0..40)
            .map(|class| {
                let canvas = Canvas::new(15, 15).expect("a canvas");
                let mut plot = Plot { canvas, frame: [0; 4], origin: [0.0; 2], scale: 1.0 };
                plot.shape(class, [7.0, 7.0], 5.0, 1.0);
                plot.canvas.pixels
            })
            .collect();
        for (i, mark) in marks.iter().enumerate() {
            let same = marks.iter().position(|other| other == mark);
            assert_eq!(same, Some(i), "the mark of class {i} is that of another");
        }
    }
}
