//! Figures as a table for people: in 80 columns, with as many digits as a measurement has.

use elbo::bench::Figure;

/// The columns of a figure's name; a longer one has a line of its own.
const NAME: usize = 25;

/// The names of the columns; the last two only beside an earlier run.
pub(super) fn head(beside: bool) -> String {
    let old = if beside { ["old", "ratio"].map(str::to_owned).to_vec() } else { Vec::new() };
    row("", ["median", "low", "high"].map(str::to_owned), "", &old)
}

/// A figure, and beside it an earlier one and the ratio to it, each if there is one.
pub(super) fn figure(figure: &Figure, beside: &[Option<f64>]) -> String {
    let median = figure.median();
    let spread = match figure.samples.len() {
        // A median of one is no more than that.
        1 => [String::new(), String::new()],
        _ => [figure.low(), figure.high()].map(|value| number(value, median)),
    };
    let [low, high] = spread;
    let beside: Vec<_> = match beside {
        [old, ratio] => [(old, median), (ratio, 1.0)]
            .map(|(value, like)| value.map_or("-".to_owned(), |value| number(value, like)))
            .to_vec(),
        _ => Vec::new(),
    };
    row(&figure.name, [number(median, median), low, high], figure.unit, &beside)
}

fn row(name: &str, [median, low, high]: [String; 3], unit: &str, beside: &[String]) -> String {
    let name = match name.chars().count() {
        0..NAME => format!("  {name:<NAME$}"),
        _ => format!("  {name}\n  {:<NAME$}", ""),
    };
    let beside = match beside {
        [old, ratio] => format!("{old:>9}{ratio:>7}"),
        _ => String::new(),
    };
    format!("{name}{median:>9}{low:>9}{high:>9}  {unit:<8}{beside}").trim_end().to_owned()
}

/// A number with the decimals that give `like` four digits that count; a whole one of a whole number.
fn number(value: f64, like: f64) -> String {
    match like.abs() {
        size if size.fract() == 0.0 && value.fract() == 0.0 && size < 1e8 => format!("{value:.0}"),
        size if (1e-3..1e8).contains(&size) && value.abs() < 1e8 => {
            let digits = 3 - size.log10().floor() as i32;
            format!("{value:.*}", usize::try_from(digits).unwrap_or(0))
        }
        _ => format!("{value:.2e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_row_are_aligned() {
        for (value, like, shown) in [
            (18.0, 18.0, "18"),
            (74.123_456, 74.123_456, "74.12"),
            (9.1, 74.123_456, "9.10"),
            (1_234.567, 1_234.567, "1235"),
            (7_996_420.4, 7_996_420.4, "7996420"),
            (0.098_660_2, 0.098_660_2, "0.09866"),
            (0.842_252, 1.0, "0.842"),
            (1.5e-7, 1.5e-7, "1.50e-7"),
            (3.5e12, 3.5e12, "3.50e12"),
        ] {
            assert_eq!(number(value, like), shown, "{value} like {like}");
        }
    }

    #[test]
    fn the_longest_names_fit() {
        let name = "matmul.bernoulli_bytes (broadcast) ×12";
        let long = Figure::new(name, "GFLOP/s", vec![1.5e-7, 2.5e-7]);
        for line in figure(&long, &[Some(1.5e-7), Some(123.45)]).lines() {
            assert!(line.chars().count() <= 80, "`{line}`");
        }
        let head = head(true);
        assert!(head.ends_with("old  ratio") && head.len() == 80, "`{head}`");
    }
}
