//! Figures as tables for people: in 80 columns, with as many digits as the measurement has.

#[cfg(test)]
use elbo::bench::Bound;
use elbo::bench::Figure;

use crate::cli::bench::compare::Beside;
use crate::cli::bench::output::Kernel;
use crate::cli::table::table;

/// The decimals with which a number shows so many digits that count.
fn decimals(value: f64, digits: i32) -> i32 {
    digits - 1 - if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 }
}

/// The decimals of a figure's numbers: three digits of its median count, or four if its samples lie within
/// a hundredth of it.
fn decimals_of(figure: &Figure) -> i32 {
    let median = figure.median();
    let tight = figure.samples.len() > 1 && figure.high() - figure.low() < 0.01 * median.abs();
    decimals(median, if tight { 4 } else { 3 })
}

/// A number rounded to so many decimals, which may be below zero: to tens, to hundreds.
fn rounded(value: f64, decimals: i32) -> String {
    let unit = 10_f64.powi(-decimals);
    match usize::try_from(decimals) {
        Ok(decimals) => format!("{value:.decimals$}"),
        Err(_) => format!("{:.0}", (value / unit).round() * unit),
    }
}

/// The median of a figure, as it is shown. A count is whole.
pub(super) fn median(figure: &Figure) -> String {
    let median = figure.median();
    if figure.unit.is_empty() && median.fract() == 0.0 {
        return format!("{median:.0}");
    }
    rounded(median, decimals_of(figure))
}

/// The lowest and the highest sample, as they are shown beside the median; nothing of one sample.
pub(super) fn range(figure: &Figure) -> [String; 2] {
    match figure.samples.len() {
        0 | 1 => [String::new(), String::new()],
        _ => [figure.low(), figure.high()].map(|value| rounded(value, decimals_of(figure))),
    }
}

/// How far samples lie from their median, in percent: half of their range.
pub(super) fn spread(figure: &Figure) -> String {
    match figure.samples.len() {
        0 | 1 => String::new(),
        _ => format!("{:.0}", 50.0 * (figure.high() - figure.low()) / figure.median().abs()),
    }
}

/// A ratio to a thousandth.
pub(super) fn ratio(value: f64) -> String {
    rounded(value, decimals(value, 3).clamp(0, 3))
}

/// Pads the numbers of a column so that their points stand below one another.
fn align<const N: usize>(rows: &mut [[String; N]], column: usize) {
    let after = |text: &str| text.split_once('.').map_or(0, |(_, digits)| digits.len() + 1);
    let most = rows.iter().map(|row| after(&row[column])).max().unwrap_or(0);
    for cell in rows.iter_mut().map(|row| &mut row[column]).filter(|cell| !cell.is_empty()) {
        let lacks = most - after(cell);
        cell.extend(std::iter::repeat_n(' ', lacks));
    }
}

/// The lines of some figures.
pub(super) fn figures(figures: &[Figure]) -> Vec<String> {
    let row = |figure: &Figure| {
        let [low, high] = range(figure);
        [figure.name.clone(), figure.unit.clone(), median(figure), low, high]
    };
    let mut rows: Vec<_> = figures.iter().map(row).collect();
    (2..5).for_each(|column| align(&mut rows, column));
    table(["", "", "median", "lowest", "highest"], &rows, 2)
}

/// The lines of some figures beside what they were.
pub(super) fn compared(figures: &[(&Figure, Option<&Beside>)]) -> Vec<String> {
    let row = |(figure, beside): &(&Figure, Option<&Beside>)| {
        let [was, then, change, verdict] = match beside {
            Some(Beside { was, ratio: change, verdict, .. }) => {
                [median(was), spread(was), ratio(*change), (*verdict).to_owned()]
            }
            None => ["", "", "", "new"].map(str::to_owned),
        };
        let (name, unit) = (figure.name.clone(), figure.unit.clone());
        [name, unit, median(figure), spread(figure), was, then, change, verdict]
    };
    let rows: Vec<_> = figures.iter().map(row).collect();
    table(["", "", "now", "±%", "was", "±%", "ratio", "verdict"], &rows, 2)
}

/// A part of a whole in percent.
pub(super) fn percent(part: f64) -> String {
    format!("{} %", rounded(100.0 * part, decimals(100.0 * part, 2).clamp(0, 1)))
}

/// The lines of a step's kernels, each with its roof, or beside what it took.
pub(super) fn kernels(kernels: &[Kernel<'_>]) -> Vec<String> {
    if kernels.iter().any(|kernel| kernel.beside.is_some()) {
        let row = |kernel: &Kernel<'_>| {
            let (name, now) = (kernel.figure.name.clone(), median(kernel.figure));
            match kernel.beside {
                Some(Beside { was, ratio: change, verdict, .. }) => {
                    [name, now, median(was), ratio(*change), (*verdict).to_owned()]
                }
                None => [name, now, String::new(), String::new(), "new".to_owned()],
            }
        };
        let rows: Vec<_> = kernels.iter().map(row).collect();
        return table(["kernel", "µs now", "was", "ratio", "verdict"], &rows, 1);
    }
    let row = |kernel: &Kernel<'_>| {
        let (bound, part) = kernel.share;
        let (name, time) = (kernel.figure.name.clone(), median(kernel.figure));
        [name, time, spread(kernel.figure), percent(part), bound.name().to_owned()]
    };
    let mut rows: Vec<_> = kernels.iter().map(row).collect();
    align(&mut rows, 1);
    table(["kernel", "µs", "±%", "of bound", "bound by"], &rows, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_count() {
        let shown = |samples: &[f64]| {
            let figure = Figure::new("x", "µs", samples.to_vec());
            let [low, high] = range(&figure);
            [median(&figure), low, high]
        };
        assert_eq!(shown(&[0.098_660_2, 0.09, 0.11]), ["0.0987", "0.0900", "0.1100"]);
        assert_eq!(shown(&[54.726_1, 39.4, 69.8]), ["54.7", "39.4", "69.8"]);
        assert_eq!(
            shown(&[9354.59, 9354.0, 9355.0]),
            ["9355", "9354", "9355"],
            "within a hundredth"
        );
        assert_eq!(shown(&[45_285.5, 40_001.0, 50_049.0]), ["45300", "40000", "50000"]);
        assert_eq!(shown(&[7_996_420.4]), ["8000000", "", ""], "one sample has no range");
        assert_eq!(shown(&[0.0, 0.0]), ["0.00", "0.00", "0.00"]);
        assert_eq!(median(&Figure::new("dispatches", "", vec![16.0])), "16", "a count");
        assert_eq!(spread(&Figure::new("x", "", vec![90.0, 100.0, 130.0])), "20");
        assert_eq!([ratio(0.842_252), ratio(12.34), ratio(1234.0)], ["0.842", "12.3", "1234"]);
        assert_eq!([percent(0.6213), percent(0.0123), percent(1.5)], ["62 %", "1.2 %", "150 %"]);
    }

    #[test]
    fn points_stand_below_one_another() {
        let figure = |name: &str, samples: [f64; 3]| Figure::new(name, "GB/s", samples.to_vec());
        let lines =
            figures(&[figure("a long name", [1.0, 2.0, 3.0]), figure("b", [99.0, 345.0, 600.0])]);
        let points: Vec<_> =
            lines[1..].iter().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
        assert_eq!(points[0], ["a", "long", "name", "GB/s", "2.00", "1.00", "3.00"]);
        assert_eq!(lines[1].find('.'), lines[2].find("345").map(|at| at + 3), "{lines:#?}");
    }

    /// The longest names that there are, with numbers as wide as they get.
    #[test]
    fn tables_fit() {
        let wide = Figure::new("share of multiply-adds", "GFLOP/s", vec![12_345.0, 20_000.0]);
        let beside =
            Beside { was: wide.clone(), ratio: 0.999, comparison: None, verdict: "within noise" };
        let name = "matmul.bernoulli_bytes (broadcast) ×12";
        let kernel = Figure::new(name, "µs", vec![9354.59, 10_000.0]);
        let share = (Bound::Arithmetic, 1.23);
        let [plain, old] = [None, Some(&beside)].map(|beside| {
            kernels(&[Kernel { figure: &kernel, flops: 0, bytes: 0, share, beside }])
        });
        let lines =
            [figures(std::slice::from_ref(&wide)), compared(&[(&wide, Some(&beside))]), plain, old];
        for line in lines.iter().flatten() {
            assert!(line.chars().count() <= 80, "`{line}`");
        }
        assert!(lines.iter().all(|lines| lines.len() == 2), "none is broken: {lines:#?}");
    }
}
