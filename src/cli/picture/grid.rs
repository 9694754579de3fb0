//! Images side by side, with words that say what they are.

use elbo::config::ImageSize;
use elbo::{Error, Result};

use super::canvas::{Canvas, MOST_PIXELS, too_large};
use super::look::Look;
use super::palette::{AXIS, INK, SOFT};
use super::raster::{drawable, fitted};
use super::text::{Align, LARGE, MEDIUM, SMALL, cut, lines_height, text_width, wrap};

/// What a picture is made to fit, in pixels, unless its images do not even at their own size.
const MOST_WIDTH: usize = 3200;
const MOST_HEIGHT: usize = 3200;
/// An image is scaled to at least this many pixels where there is room.
const WANTED_IMAGE: usize = 144;
/// A row of few images is scaled up to this many pixels.
const WANTED_ROW: usize = 1280;
/// The most that images are scaled by to fill a row.
const MOST_SCALE: usize = 12;
/// A caption has at least this many pixels.
const LEAST_WIDTH: usize = 720;
/// Round the whole picture.
const MARGIN: usize = 28;
/// Between two images.
const GAP: usize = 12;
/// Between two groups of columns, beside the gap.
const GROUP_GAP: usize = 24;
/// The longest label of a row.
const MOST_ROW_LABEL: usize = 480;
/// The width of the line round each image, so that one on a white ground ends somewhere.
const FRAME: usize = 2;

/// The words of a grid. What is empty is left out.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::cli) struct Labels<'a> {
    /// Above the grid: what is seen.
    pub(in crate::cli) caption: &'a str,
    /// Above the columns.
    pub(in crate::cli) columns: &'a [String],
    /// Left of the rows.
    pub(in crate::cli) rows: &'a [String],
    /// Below the images, row by row.
    pub(in crate::cli) images: &'a [String],
    /// Columns that belong together, with more space before the next; 0 if all do.
    pub(in crate::cli) group: usize,
    /// Draw no gaps, as for the manifold of a latent plane.
    pub(in crate::cli) joined: bool,
}

/// Draws images row by row from the top left, and returns the bytes of a PNG file.
///
/// `images` holds one image after another; values outside of the look's range are clamped, and what is
/// not a number is black. Small images are scaled up by a whole factor; what
/// would make the picture too wide is made smaller, and a row of numbers is drawn as a curve.
pub(in crate::cli) fn grid(
    images: &[f32],
    look: Look,
    columns: usize,
    labels: Labels<'_>,
) -> Result<Vec<u8>> {
    let (images, look) = drawable(images, look, room(columns));
    let layout = Layout::new(images.len(), look, columns, &labels)?;
    layout.draw(&images, &labels)?.to_png()
}

/// Columns of images, and the pixels that they have together.
fn room(columns: usize) -> (usize, usize) {
    (columns, (MOST_WIDTH - 2 * MARGIN).saturating_sub(GAP.saturating_mul(columns)))
}

/// Refuses so many images, before they are made, if they could not be drawn.
pub(in crate::cli) fn check(count: usize, look: Look, columns: usize) -> Result<()> {
    let [rows, columns] = [count.div_ceil(columns.max(1)), columns.min(count)];
    let look = fitted(look, room(columns));
    let [height, width] =
        [rows.saturating_mul(look.size.height), columns.saturating_mul(look.size.width)];
    match height.checked_mul(width).is_some_and(|area| area <= MOST_PIXELS) {
        true => Ok(()),
        false => Err(too_large(width, height)),
    }
}

/// The same without words, frames and scale, for who has few pixels.
pub(super) fn bare(images: &[f32], look: Look, columns: usize) -> Result<Canvas> {
    let (images, look) = drawable(images, look, room(columns));
    let mut layout = Layout::new(images.len(), look, columns, &Labels::default())?;
    (layout.scale, layout.gap, layout.margin, layout.frame) = (1, 1, 0, 0);
    layout.draw(&images, &Labels::default())
}

/// Where everything is, in pixels.
#[derive(Debug)]
struct Layout {
    look: Look,
    size: [usize; 2],
    /// Rows and columns of images.
    shape: [usize; 2],
    scale: usize,
    gap: usize,
    /// Round all.
    margin: usize,
    /// The width of the line round each image.
    frame: usize,
    /// Columns of a group, and the space between two groups.
    group: usize,
    group_gap: usize,
    /// Left of the images.
    left: usize,
    /// Below each image.
    below: usize,
}

impl Layout {
    fn new(values: usize, look: Look, columns: usize, labels: &Labels<'_>) -> Result<Self> {
        let ImageSize { height, width, .. } = look.size;
        let whole =
            look.size.checked_len().filter(|&area| values > 0 && values.is_multiple_of(area));
        let Some(area) = whole else {
            let what = format!("a grid of images of {} cannot hold {values} values", look.size);
            return Err(Error::config(what).hint("give one or more whole images"));
        };
        if columns == 0 {
            return Err(Error::config("a grid cannot have 0 columns").hint("give 1 or more"));
        }
        let count = values / area;
        let columns = columns.min(count);
        let rows = count.div_ceil(columns);
        let longest = labels.rows.iter().map(|label| text_width(label, MEDIUM)).max();
        let left = longest.map_or(0, |longest| longest.min(MOST_ROW_LABEL) + 2 * GAP);
        let mut below = if labels.images.is_empty() { 0 } else { lines_height(1, SMALL) };
        let gap = if labels.joined { 0 } else { GAP };
        let group = if labels.group == 0 { columns } else { labels.group };
        let most = |most: usize, taken: usize, each: usize, count: usize| {
            let free = most.saturating_sub(taken + 2 * MARGIN) / count;
            free.saturating_sub(gap) / each
        };
        let fits = most(MOST_WIDTH, left + columns.div_ceil(group) * GROUP_GAP, width, columns)
            .min(most(MOST_HEIGHT, 0, height, rows).max(2));
        let filling = (WANTED_ROW / columns / width).min(MOST_SCALE);
        let scale = WANTED_IMAGE.div_ceil(height.max(width)).max(filling).min(fits).max(1);
        let frame = if labels.joined { 0 } else { FRAME };
        if !labels.rows.is_empty() {
            // So that the label of a row of low images does not overlap the next.
            below = below.max(lines_height(1, MEDIUM).saturating_sub(height * scale + gap));
        }
        let shape = [rows, columns];
        let size = [height, width];
        let (margin, group_gap) = (MARGIN, GROUP_GAP);
        Ok(Self { look, size, shape, scale, gap, margin, frame, group, group_gap, left, below })
    }

    /// The sides of all images with their gaps, if they can be told.
    fn sides(&self) -> Option<[usize; 2]> {
        let side = |size: usize, extra: usize, count: usize| {
            let each = size.checked_mul(self.scale)?.checked_add(extra)?;
            each.checked_mul(count)
        };
        let height = side(self.size[0], self.gap + self.below, self.shape[0])?;
        let width = side(self.size[1], self.gap, self.shape[1])?;
        let width = width.checked_add(self.between(self.shape[1] - 1))?;
        // So that no sum below can overflow.
        let small = |side: usize| (side <= i32::MAX as usize / 4).then_some(side);
        Some([small(height)? - self.gap, small(width)? - self.gap])
    }

    /// The space between groups that lies left of a column.
    fn between(&self, column: usize) -> usize {
        column / self.group * self.group_gap
    }

    fn draw(&self, images: &[f32], labels: &Labels<'_>) -> Result<Canvas> {
        let [rows, columns] = self.shape;
        let [high, wide] = self.sides().ok_or_else(|| {
            too_large(self.size[1].saturating_mul(columns), self.size[0].saturating_mul(rows))
        })?;
        let least = if labels.caption.is_empty() { 0 } else { LEAST_WIDTH };
        let inner = (self.left + wide).max(least);
        let caption = wrap(labels.caption, LARGE, inner);
        let mut top = self.margin;
        let caption_at = [self.margin as i32, top as i32];
        if !caption.is_empty() {
            top += lines_height(caption.len(), LARGE) + GAP;
        }
        let columns_at = top;
        if !labels.columns.is_empty() {
            top += lines_height(1, MEDIUM);
        }
        let mut canvas = Canvas::new(inner + 2 * self.margin, top + high + self.margin)?;
        canvas.write_lines(&caption, LARGE, caption_at, INK);
        self.write_columns(&mut canvas, labels.columns, columns_at);
        self.write_rows(&mut canvas, labels.rows, top);
        let area = self.look.size.len();
        for (index, image) in images.chunks_exact(area).enumerate() {
            let at = self.place(index / columns, index % columns, top);
            self.draw_image(&mut canvas, image, at);
            if let Some(label) = labels.images.get(index) {
                let [high, wide] = self.size.map(|side| side * self.scale);
                let below = [at[0] + (wide / 2) as i32, at[1] + (high + 4) as i32];
                let label = cut(label, SMALL, wide + self.gap);
                canvas.write(&label, SMALL, below, Align::Center, SOFT);
            }
        }
        Ok(canvas)
    }

    /// The left and the top of an image.
    fn place(&self, row: usize, column: usize, top: usize) -> [i32; 2] {
        let x = self.margin + self.left + column * (self.size[1] * self.scale + self.gap);
        let y = top + row * (self.size[0] * self.scale + self.gap + self.below);
        [(x + self.between(column)) as i32, y as i32]
    }

    fn write_columns(&self, canvas: &mut Canvas, labels: &[String], top: usize) {
        let wide = self.size[1] * self.scale;
        // In one font, the larger if all labels have room in it.
        let fit = labels.iter().all(|label| text_width(label, MEDIUM) <= wide);
        let font = if fit { MEDIUM } else { SMALL };
        for (column, label) in labels.iter().take(self.shape[1]).enumerate() {
            let at = [self.place(0, column, 0)[0] + (wide / 2) as i32, top as i32];
            let label = cut(label, font, wide + self.gap);
            canvas.write(&label, font, at, Align::Center, SOFT);
        }
    }

    fn write_rows(&self, canvas: &mut Canvas, labels: &[String], top: usize) {
        let high = self.size[0] * self.scale;
        for (row, label) in labels.iter().take(self.shape[0]).enumerate() {
            let label = cut(label, MEDIUM, MOST_ROW_LABEL);
            let middle = self.place(row, 0, top)[1] + (high / 2) as i32;
            let at = [(self.margin + self.left - 2 * GAP) as i32, MEDIUM.top(middle)];
            canvas.write(&label, MEDIUM, at, Align::Right, SOFT);
        }
    }

    fn draw_image(&self, canvas: &mut Canvas, image: &[f32], [left, top]: [i32; 2]) {
        let [high, wide] = self.size.map(|side| side * self.scale);
        let frame = self.frame as i32;
        let outer = [wide as i32 + 2 * frame, high as i32 + 2 * frame];
        canvas.fill([left - frame, top - frame], outer, AXIS);
        for y in 0..high {
            let channels = self.look.size.channels;
            let wide_row = self.size[1] * channels;
            let row = &image[y / self.scale * wide_row..][..wide_row];
            let start = ((top as usize + y) * canvas.width + left as usize) * 3;
            let pixels = canvas.pixels[start..start + wide * 3].chunks_exact_mut(3 * self.scale);
            for (pixels, pixel) in pixels.zip(row.chunks_exact(channels)) {
                let color = self.look.color(pixel);
                pixels.chunks_exact_mut(3).for_each(|place| place.copy_from_slice(&color));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use elbo::ErrorKind;

    use super::*;
    use crate::cli::picture::look::shade;

    fn words(count: usize) -> Vec<String> {
        (0..count).map(|i| format!("word {i}")).collect()
    }

    /// The pixels of a PNG, as (width, height, red of each).
    fn reds(png: &[u8]) -> (usize, usize, Vec<u8>) {
        let canvas = Canvas::from_png(png).expect("a picture");
        (canvas.width, canvas.height, canvas.pixels.iter().copied().step_by(3).collect())
    }

    #[test]
    fn impossible_grids_are_refused() {
        for (case, values, height, width, columns) in [
            ("no image", 0, 2, 2, 1),
            ("half an image", 6, 2, 2, 1),
            ("no height", 4, 0, 2, 1),
            ("no width", 4, 2, 0, 1),
            ("no columns", 4, 2, 2, 0),
            ("area overflows to 4", 4, usize::MAX / 2 + 3, 2, 1),
        ] {
            let found =
                grid(&vec![0.5; values], Look::unit([height, width]), columns, Labels::default());
            let error = found.expect_err(case);
            assert_eq!(error.kind(), ErrorKind::Config, "{case}: the kind of `{error}`");
            assert!(error.advice().is_some(), "{case}: `{error}` has no hint");
        }
        let error = grid(&vec![0.5; 1 << 20], Look::unit([1, 1]), 1, Labels::default())
            .expect_err("too high");
        assert_eq!(error.kind(), ErrorKind::Limit, "the kind of `{error}`");
    }

    /// Every pixel of every image is where the layout puts it, whatever stands beside it.
    #[test]
    fn images_are_drawn_where_they_belong() {
        let images: Vec<_> = (0..5 * 12).map(|i| i as f32 / 59.0).collect();
        let some = words(5);
        for (case, labels) in [
            ("bare", Labels::default()),
            ("joined", Labels { joined: true, ..Labels::default() }),
            ("in groups", Labels { group: 1, columns: &some, ..Labels::default() }),
            ("a caption", Labels { caption: "what is seen", ..Labels::default() }),
            (
                "all",
                Labels {
                    caption: "x",
                    columns: &some,
                    rows: &some,
                    images: &some,
                    ..Labels::default()
                },
            ),
            (
                "too few words",
                Labels { columns: &some[..1], rows: &some[..1], ..Labels::default() },
            ),
        ] {
            let (wide, high, found) =
                reds(&grid(&images, Look::unit([3, 4]), 2, labels).expect("a small grid"));
            let layout = Layout::new(60, Look::unit([3, 4]), 2, &labels).expect("a layout");
            let [grid_high, grid_wide] = layout.sides().expect("small sides");
            let top = high - MARGIN - grid_high;
            assert!(wide >= MARGIN * 2 + layout.left + grid_wide, "{case}: {wide} wide");
            assert!(top >= MARGIN, "{case}: images begin at {top}");
            for (index, value) in images.iter().enumerate() {
                let at = layout.place(index / 12 / 2, index / 12 % 2, top);
                let (row, column) = (index % 12 / 4, index % 4);
                for (y, x) in [(0, 0), (layout.scale - 1, layout.scale - 1)] {
                    let x = at[0] as usize + column * layout.scale + x;
                    let y = at[1] as usize + row * layout.scale + y;
                    assert_eq!(found[y * wide + x], shade(*value), "{case}: value {index}");
                }
            }
        }
    }

    #[test]
    fn groups_stand_apart() {
        let labels = Labels { group: 2, ..Labels::default() };
        let layout = Layout::new(6 * 64, Look::unit([8, 8]), 6, &labels).expect("a layout");
        let lefts: Vec<_> = (0..6).map(|column| layout.place(0, column, 0)[0]).collect();
        let steps: Vec<_> = lefts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let (step, wider) = (steps[0], steps[0] + GROUP_GAP as i32);
        assert_eq!(steps, [step, wider, step, wider, step], "two by two");
    }

    #[test]
    fn pictures_have_a_size_that_can_be_read() {
        let few = words(10);
        for (count, side, columns, scale) in [
            (16, 28, 8, 6),
            (64, 28, 8, 6),
            (1, 28, 1, 12),
            (400, 28, 20, 4),
            (100, 28, 10, 6),
            (64, 8, 8, 18),
            (10, 64, 10, 3),
            (4, 1, 2, 144),
            (8, 256, 8, 1),
            (1000, 28, 10, 2),
        ] {
            let values = vec![0.5; count * side * side];
            let labels = Labels { rows: &few, caption: "a caption", ..Labels::default() };
            let layout = Layout::new(values.len(), Look::unit([side, side]), columns, &labels);
            let layout = layout.expect("a layout");
            let case = format!("{count} images of {side} in {columns}");
            assert_eq!(layout.scale, scale, "{case}");
            let (wide, _, _) =
                reds(&grid(&values, Look::unit([side, side]), columns, labels).expect("a grid"));
            assert!((LEAST_WIDTH..=MOST_WIDTH).contains(&wide) || scale == 1, "{case}: {wide}");
        }
    }

    #[test]
    fn words_are_drawn() {
        let images = vec![1.0; 4 * 64];
        let some = words(4);
        let dark = |labels: Labels<'_>| {
            let (_, _, found) =
                reds(&grid(&images, Look::unit([8, 8]), 2, labels).expect("a grid"));
            found.iter().filter(|red| **red < 0x80).count()
        };
        assert_eq!(dark(Labels::default()), 0, "white images without words");
        for (case, labels) in [
            ("caption", Labels { caption: "words", ..Labels::default() }),
            ("columns", Labels { columns: &some, ..Labels::default() }),
            ("rows", Labels { rows: &some, ..Labels::default() }),
            ("images", Labels { images: &some, ..Labels::default() }),
        ] {
            assert!(dark(labels) > 50, "{case}: {} dark pixels", dark(labels));
        }
    }
}
