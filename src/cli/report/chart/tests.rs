//! Curves of one, few and many epochs, and of values that are missing.

use super::*;

const ABOUT: About = About { title: "Loss", unit: "nats per image", from_zero: false };

fn series(values: impl Iterator<Item = f64>) -> Series {
    let points = values.map(|v| v.is_finite().then_some(v)).zip(1..);
    let points = points.map(|(value, epoch)| (epoch, value)).collect();
    Series { name: "test".to_owned(), class: "test", points }
}

/// A loss as it falls: 100 and what is left of another 100.
fn falling(epochs: u32) -> Series {
    series((1..=epochs).map(|epoch| 100.0 + 100.0 / f64::from(epoch)))
}

#[test]
fn late_epochs_have_most_of_the_axis() {
    for epochs in [10, 100, 10_000] {
        let all = [falling(epochs)];
        let [low, high] = telling(&all);
        let late = |epoch: u32| 100.0 + 100.0 / f64::from(epoch);
        let (first, last) = (late(epochs / 4 + 1), late(epochs));
        assert!(low <= last && high <= 200.0, "{epochs}: {low} to {high}");
        assert!((first - last) / (high - low) > 0.4, "{epochs}: {low} to {high} squash the end");
        assert!(chart(ABOUT, &all).contains("values up to 200.00"), "{epochs} epochs: a note");
    }
    // One spike does not flatten the rest.
    let spiked = series((0..200).map(|i| if i == 150 { 1e9 } else { 100.0 + f64::from(i % 7) }));
    let [_, high] = telling(&[spiked]);
    assert!(high < 120.0, "{high} is the spike's");
}

#[test]
fn curves_are_thin_and_keep_their_peaks() {
    for epochs in [1, 2, 100, 240, 241, 500, 10_000] {
        let mut long = falling(epochs);
        let peak = epochs as usize * 2 / 3;
        long.points[peak].1 = Some(1234.5);
        let thin = spans(&long.points);
        assert!(thin.len() <= MOST_POINTS, "{epochs} leave {}", thin.len());
        assert!(thin.len() >= 80.min(epochs as usize), "{epochs} leave {}", thin.len());
        let high = |span: &Span| span.values.map(|[_, _, high]| high);
        assert!(thin.iter().any(|span| high(span) == Some(1234.5)), "{epochs}: no peak");
        // Every epoch is in one span.
        let mut next = 1;
        for span in &thin {
            assert_eq!(span.epochs[0], next, "{epochs}: {span:?}");
            next = span.epochs[1] + 1;
        }
        assert_eq!(next, u64::from(epochs) + 1, "{epochs}: the last");
        let svg = chart(ABOUT, &[long]);
        assert!(svg.len() < 100_000, "{epochs} epochs have {} bytes", svg.len());
        let told = svg.contains("means of") && svg.contains("<title>epochs ");
        assert_eq!(told, epochs > 240, "{epochs}: what a point is");
    }
    let mut two = series([1.0, 2.0, f64::NAN, 6.0].into_iter()).points;
    let values = |points: &[(u64, Option<f64>)]| spans(points)[0].values;
    assert_eq!(values(&two), Some([1.0; 3]), "an epoch alone");
    two.extend((5..1000).map(|epoch| (epoch, None)));
    assert_eq!(spans(&two)[0].epochs, [1, 7], "of 999");
    assert_eq!(values(&two), Some([1.0, 3.0, 6.0]), "least, mean and greatest");
    assert_eq!(spans(&two)[1].values, None, "nothing but gaps");
}

#[test]
fn what_is_missing_is_a_gap() {
    let nan = f64::NAN;
    let svg = chart(ABOUT, &[series([1.0, 2.0, nan, 3.0].into_iter())]);
    let path = svg.split("class=\"curve\" d=\"").nth(1).and_then(|rest| rest.split('"').next());
    let path = path.expect("a curve");
    assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 1), "{path}");
    assert_eq!(chart(ABOUT, &[series([nan; 3].into_iter())]), "", "nothing but gaps");
    assert_eq!(chart(ABOUT, &[series(std::iter::empty())]), "", "no epochs");
}

/// Nothing is drawn at a place that is no number.
#[test]
fn odd_values_are_drawn() {
    for values in [
        vec![5.0],
        vec![0.0],
        vec![0.0, 0.0, 0.0],
        vec![-3.0, -3.0],
        vec![1e300, -1e300],
        vec![1e-300, 2e-300],
        vec![1e15, 1e15 + 1.0],
        vec![f64::MAX, f64::MIN],
    ] {
        for from_zero in [false, true] {
            let svg = chart(About { from_zero, ..ABOUT }, &[series(values.iter().copied())]);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{values:?}: {svg}");
            assert!(svg.contains("class=\"end test\""), "{values:?} has a label at the end");
        }
    }
}

/// The first and the last dot lie on the plot's edges.
#[test]
fn no_dot_is_cut() {
    let svg = chart(ABOUT, &[falling(3)]);
    let number = |text: &str, key: &str| -> f64 {
        let value =
            text.split(&format!(" {key}=\"")).nth(1).and_then(|rest| rest.split('"').next());
        value.and_then(|value| value.parse().ok()).expect("a number")
    };
    let clip = svg.split("<rect").nth(1).expect("a clip");
    let [left, width] = ["x", "width"].map(|key| number(clip, key));
    let dots: Vec<_> = svg.split("class=\"dot\"").skip(1).map(|dot| number(dot, "cx")).collect();
    assert_eq!(dots.len(), 3, "{svg}");
    for x in dots {
        assert!(left <= x - 5.0 && x + 5.0 <= left + width, "{x} of {left} and {width}");
    }
}

#[test]
fn labels_at_the_ends_do_not_overlap() {
    let two = [falling(10), Series { name: "train".to_owned(), class: "train", ..falling(10) }];
    let frame = Frame::new(ABOUT, &two);
    let labels = frame.end_labels(&two);
    let heights: Vec<f64> = labels
        .split(" y=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next()?.parse().ok())
        .collect();
    assert_eq!(heights.len(), 2, "{labels}");
    assert!((heights[0] - heights[1]).abs() >= LINE - 0.2, "{heights:?}");
}

#[test]
fn figures_have_the_digits_they_need() {
    for (value, expected) in [
        (0.0, "0"),
        (105.634, "105.63"),
        (-3.25, "-3.250"),
        (0.012_34, "0.0123"),
        (5183.5, "5184"),
        (1e-9, "1.000e-9"),
    ] {
        assert_eq!(figure(value), expected);
    }
}
