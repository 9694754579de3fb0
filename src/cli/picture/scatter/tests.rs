//! Plots of odd points, of many classes, and of names.

use super::*;
use crate::cli::picture::palette::contrast;

/// How many pixels have exactly a colour.
fn count(canvas: &Canvas, color: Color) -> usize {
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
            .unwrap_or_else(|error| panic!("{points:?}: {error}"))
            .canvas;
        assert!(canvas.width <= 3200 && canvas.height <= 3200, "{points:?}");
        assert!(count(&canvas, of_class(0).0) > 80, "{points:?} has a legend");
        let bare = bare(&points, Some(&all)).expect("the points alone");
        assert!(count(&bare, PAPER) < bare.width * bare.height, "{points:?} has points");
        scatter(&points, None, Axes::default()).expect("a picture");
    }
    let all: Vec<_> = (0..=255).collect();
    let points: Vec<_> = (0..256).map(|i| [i as f32, (i * i % 97) as f32]).collect();
    let canvas = draw(&points, Some(&all), Axes::default()).expect("256 labels").canvas;
    assert!(canvas.width <= 3200, "256 labels are {} wide", canvas.width);
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
    for seen in [few.clone().chain(many.clone()).collect(), many.chain(few).collect::<Vec<_>>()] {
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
            let canvas = Canvas::new(29, 29).expect("a canvas");
            let labels = Vec::new();
            let mut plot = Plot { canvas, frame: [0; 4], origin: [0.0; 2], scale: 1.0, labels };
            plot.shape(class, [14.0, 14.0], 10.0, 1.0);
            plot.canvas.pixels
        })
        .collect();
    for (i, mark) in marks.iter().enumerate() {
        let same = marks.iter().position(|other| other == mark);
        assert_eq!(same, Some(i), "the mark of class {i} is that of another");
    }
}

/// However many classes there are and wherever they lie, each has its label, in words that can be read,
/// within the frame and apart from the others.
#[test]
fn every_class_has_its_label() {
    let names: Vec<_> = (0..47).map(|i| format!("class {i}")).collect();
    for (count, spread, names) in [
        (10, 9.0, &[][..]),
        (20, 4.0, &[]),
        (47, 3.0, &[]),
        (47, 0.0, &[]),
        (20, 3.0, &names),
        (47, 9.0, &names),
    ] {
        let case = format!("{count} classes, {spread} apart, {} names", names.len());
        let labels: Vec<u8> = (0..40 * count).map(|i| (i % count) as u8).collect();
        let points: Vec<_> = labels
            .iter()
            .enumerate()
            .map(|(i, &label)| {
                let (turn, own) = (i as f32 * 2.4, f32::from(label) * 2.4);
                let off = spread * (f32::from(label) / count as f32).sqrt();
                [turn.sin() + off * own.sin(), turn.cos() + off * own.cos()]
            })
            .collect();
        let axes = Axes { names, ..Axes::default() };
        let plot = draw(&points, Some(&labels), axes).expect("a plot");
        let all: Vec<_> = plot.labels.iter().map(|(label, _)| *label).collect();
        assert_eq!(all, (0..count as u8).collect::<Vec<_>>(), "{case}: each has a label");
        let [left, top, right, bottom] = plot.frame.map(f64::from);
        for (i, (label, there)) in plot.labels.iter().enumerate() {
            let [a, b, c, d] = there.sides(0.0);
            assert!(a >= left && b >= top && c <= right && d <= bottom, "{case}: {there:?}");
            for (other, beside) in &plot.labels[..i] {
                let [e, f, g, h] = beside.sides(0.0);
                assert!(c <= e || g <= a || d <= f || h <= b, "{case}: {label} on {other}");
            }
            let color = color_of_words(i);
            let ink = (b as usize..d as usize).flat_map(|y| {
                (a as usize..c as usize).map(move |x| (y * plot.canvas.width + x) * 3)
            });
            let ink = ink.filter(|&place| plot.canvas.pixels[place..place + 3] == color);
            assert!(ink.count() > 20, "{case}: {label} is written in its colour");
            assert!(contrast(color, PAPER) >= 3.0, "{case}: {label} can be read");
        }
    }
}

#[test]
fn a_legend_tells_names() {
    let names = ["a".to_owned(), "a name that is rather long".to_owned()];
    let (points, labels) = ([[0.0, 0.0], [1.0, 1.0]], [0, 1]);
    let width = |names| {
        let axes = Axes { names, ..Axes::default() };
        draw(&points, Some(&labels), axes).expect("a plot").canvas.width
    };
    let longer = text_width(&names[1], MEDIUM) - text_width("1", MEDIUM);
    assert_eq!(width(&names) - width(&[]), longer, "room for the longest");
}
