//! Where words stand among points: near their own, apart from each other, and joined to them by a line where
//! they stand aside.

/// Between two labels, in pixels.
const SPACE: f64 = 6.0;
/// From one ring of places to the next, in pixels, and the places of a ring.
const STEP: f64 = 16.0;
const PLACES: u32 = 24;

/// A label: the middle of its words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Label {
    /// What it belongs to.
    pub(super) anchor: [f64; 2],
    pub(super) middle: [f64; 2],
    pub(super) size: [f64; 2],
}

impl Label {
    /// Left, top, right and bottom, with so much round them.
    pub(super) fn sides(&self, round: f64) -> [f64; 4] {
        let ([x, y], [wide, high]) = (self.middle, self.size.map(|side| side / 2.0 + round));
        [x - wide, y - high, x + wide, y + high]
    }

    /// Whether it stands aside from what it belongs to.
    pub(super) fn is_aside(&self) -> bool {
        let [x, y] = self.anchor;
        let [left, top, right, bottom] = self.sides(0.0);
        x < left || x > right || y < top || y > bottom
    }

    fn meets(&self, other: &Self) -> bool {
        let ([a, b, c, d], [e, f, g, h]) = (self.sides(SPACE), other.sides(0.0));
        a < g && e < c && b < h && f < d
    }

    /// Whether the line from a label to what it belongs to goes through another.
    fn line_meets(&self, other: &Self) -> bool {
        let [left, top, right, bottom] = other.sides(SPACE / 2.0);
        let [dx, dy] = [self.anchor[0] - self.middle[0], self.anchor[1] - self.middle[1]];
        // The part of the line that lies between two sides of a box (Liang and Barsky 1984).
        let (mut from, mut to) = (0.0_f64, 1.0_f64);
        for (along, low, high) in [
            (dx, left - self.middle[0], right - self.middle[0]),
            (dy, top - self.middle[1], bottom - self.middle[1]),
        ] {
            if along == 0.0 {
                if low > 0.0 || high < 0.0 {
                    return false;
                }
                continue;
            }
            let (near, far) = (low / along, high / along);
            (from, to) = (from.max(near.min(far)), to.min(near.max(far)));
        }
        from < to
    }
}

/// Places labels, each of a size, at what they belong to, or as near as they find room within a frame of left,
/// top, right and bottom. `None` stands for one that finds none.
pub(super) fn place(wanted: &[([f64; 2], [f64; 2])], frame: [f64; 4]) -> Vec<Option<Label>> {
    let mut placed: Vec<Label> = Vec::new();
    let mut all = Vec::new();
    for &(anchor, size) in wanted {
        let within = |label: &Label| {
            let ([a, b, c, d], [left, top, right, bottom]) = (label.sides(SPACE), frame);
            a >= left && b >= top && c <= right && d <= bottom
        };
        let free = |label: &Label| within(label) && !placed.iter().any(|other| label.meets(other));
        let clear = |label: &Label| {
            !placed.iter().any(|other| label.line_meets(other) || other.line_meets(label))
        };
        let far = (frame[2] - frame[0]).hypot(frame[3] - frame[1]);
        let label = |middle: [f64; 2]| Label { anchor, middle, size };
        let around = |ring: u32| {
            (0..PLACES).map(move |turn| {
                // Each ring turned by half a place, which finds more room; the first place is above.
                let turn = f64::from(turn) + if ring.is_multiple_of(2) { 0.5 } else { 0.0 };
                let angle = std::f64::consts::TAU * turn / f64::from(PLACES);
                let off = f64::from(ring) * STEP;
                label([anchor[0] + off * angle.sin(), anchor[1] - off * angle.cos()])
            })
        };
        let near =
            || std::iter::once(label(anchor)).chain((1..=(far / STEP) as u32).flat_map(around));
        let best = near().find(|label| free(label) && clear(label)).or_else(|| near().find(free));
        placed.extend(best);
        all.push(best);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: [f64; 4] = [0.0, 0.0, 800.0, 800.0];

    /// Fails if labels are outside or overlap.
    fn check(all: &[Option<Label>], case: &str) {
        let there: Vec<_> = all.iter().flatten().collect();
        for (i, label) in there.iter().enumerate() {
            let [left, top, right, bottom] = label.sides(0.0);
            assert!(
                left >= 0.0 && top >= 0.0 && right <= 800.0 && bottom <= 800.0,
                "{case}: {label:?}"
            );
            for other in &there[..i] {
                let ([a, b, c, d], [e, f, g, h]) = (label.sides(0.0), other.sides(0.0));
                assert!(c <= e || g <= a || d <= f || h <= b, "{case}: {label:?} covers {other:?}");
            }
        }
    }

    #[test]
    fn labels_find_room() {
        for (case, count, spread) in [
            ("apart", 10, 700.0),
            ("near", 20, 100.0),
            ("at one place", 47, 0.0),
            ("many", 200, 300.0),
        ] {
            let wanted: Vec<_> = (0..count)
                .map(|i| {
                    let turn = f64::from(i) * 2.4;
                    let off = spread / 2.0 * (f64::from(i) / f64::from(count)).sqrt();
                    ([400.0 + off * turn.sin(), 400.0 + off * turn.cos()], [30.0, 24.0])
                })
                .collect();
            let found = place(&wanted, FRAME);
            assert!(found.iter().all(Option::is_some), "{case}: all find room");
            check(&found, case);
            let aside = found.iter().flatten().filter(|label| label.is_aside()).count();
            assert_eq!(aside == 0, case == "apart", "{case}: {aside} stand aside");
        }
    }

    #[test]
    fn labels_without_room_are_left_out() {
        let found = place(&[([400.0, 400.0], [500.0, 500.0]); 3], FRAME);
        assert_eq!(found.iter().filter(|label| label.is_some()).count(), 1, "{found:?}");
        check(&found, "too large");
        assert_eq!(place(&[([0.0, 0.0], [900.0, 10.0])], FRAME), [None], "wider than the frame");
        // At an edge it moves inwards.
        let found = place(&[([0.0, 0.0], [60.0, 40.0])], FRAME);
        check(&found, "at the edge");
        assert!(found[0].is_some(), "{found:?}");
    }

    #[test]
    fn lines_do_not_cross_words() {
        let at = |anchor, middle| Label { anchor, middle, size: [40.0, 20.0] };
        let far = at([0.0, 0.0], [100.0, 0.0]);
        for (middle, expected) in
            [([50.0, 5.0], true), ([50.0, 40.0], false), ([160.0, 0.0], false), ([0.0, 0.0], true)]
        {
            assert_eq!(far.line_meets(&at(middle, middle)), expected, "{middle:?}");
        }
        let three = place(
            &[
                ([400.0, 400.0], [60.0, 30.0]),
                ([410.0, 400.0], [60.0, 30.0]),
                ([390.0, 400.0], [60.0, 30.0]),
            ],
            FRAME,
        );
        let three: Vec<_> = three.into_iter().flatten().collect();
        for (one, other) in [(1, 2), (2, 1)] {
            assert!(!three[one].line_meets(&three[other]), "{three:?}");
        }
    }
}
