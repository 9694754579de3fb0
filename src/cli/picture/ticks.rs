//! Round numbers along an axis, and how numbers are written there.

/// Round numbers from `low` to `high`, about `count` of them: multiples of 1, 2 or 5 times a power
/// of ten.
pub(in crate::cli) fn ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let span = high - low;
    if !(span.is_finite() && span > 0.0) {
        return vec![low];
    }
    let wanted = span / count.max(1) as f64;
    let power = 10_f64.powf(wanted.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let step = steps.into_iter().find(|step| *step >= wanted * (1.0 - 1e-9)).unwrap_or(wanted);
    // A tick at an end counts, though the division may be rounded.
    let (first, last) = ((low / step - 1e-6).ceil(), (high / step + 1e-6).floor());
    let all = (0..=count * 3).map(|i| first + i as f64).take_while(|&n| n <= last);
    // Zero is never negative.
    all.map(|n| n * step + 0.0).collect()
}

/// A number as it stands at an axis: no more digits than tell these ticks apart.
pub(in crate::cli) fn short(value: f64, ticks: &[f64]) -> String {
    let step = match ticks {
        [first, second, ..] => second - first,
        _ => value.abs() / 100.0,
    };
    let size = value.abs().max(step);
    if size != 0.0 && !(1e-4..1e7).contains(&size) {
        return if value == 0.0 { "0".to_owned() } else { format!("{value:.1e}") };
    }
    let digits = if step > 0.0 { (-step.log10() - 1e-6).ceil().clamp(0.0, 8.0) } else { 0.0 };
    let text = format!("{value:.*}", digits as usize);
    // What rounds to zero has no sign.
    match text.strip_prefix('-') {
        Some(rest) if rest.bytes().all(|b| matches!(b, b'0' | b'.')) => rest.to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        for (low, high, count, expected) in [
            (0.0, 10.0, 5, "0 2 4 6 8 10"),
            (-3.1, 3.3, 6, "-2 0 2"),
            (-3.1, 3.3, 8, "-3 -2 -1 0 1 2 3"),
            (104.9, 105.4, 5, "104.9 105.0 105.1 105.2 105.3 105.4"),
            (0.0, 0.003, 3, "0.000 0.001 0.002 0.003"),
            (1.0, 10_000.0, 5, "2000 4000 6000 8000 10000"),
            (0.0, 2e9, 2, "0 1.0e9 2.0e9"),
            (7.0, 7.0, 5, "7.00"),
            (0.0, 0.0, 5, "0"),
            (0.0, f64::INFINITY, 5, "0"),
            (f64::NAN, 1.0, 5, "NaN"),
        ] {
            let found = ticks(low, high, count);
            let text: Vec<_> = found.iter().map(|tick| short(*tick, &found)).collect();
            assert_eq!(text.join(" "), expected, "{low} to {high}");
        }
    }

    #[test]
    fn ticks_are_few_and_inside() {
        for power in -30..30 {
            for factor in [1.0, 1.7, 3.3, 9.9] {
                let span = factor * 10_f64.powi(power);
                for low in [-0.4 * span, 0.0, 17.3 * span] {
                    let found = ticks(low, low + span, 6);
                    let slack = 1e-5 * span;
                    let inside = |t: &f64| *t >= low - slack && *t <= low + span + slack;
                    assert!(found.iter().all(inside), "{low} + {span}: {found:?}");
                    assert!((2..=8).contains(&found.len()), "{low} + {span}: {found:?}");
                }
            }
        }
    }
}
