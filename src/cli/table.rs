//! Tables and paragraphs that fit 80 columns.

use crate::cli::wrap::filled;

/// The columns of a terminal that nobody has widened.
const WIDTH: usize = 80;

/// The lines of a table: words in the first columns, which stand at the left, and numbers in the
/// others. Where a table is too wide, the first column takes a line of its own, so that its names stay
/// whole.
pub(super) fn table<const N: usize>(
    head: [&str; N],
    rows: &[[String; N]],
    words: usize,
) -> Vec<String> {
    let length = |text: &str| text.chars().count();
    let head = head.map(str::to_owned);
    let all = || std::iter::once(&head).chain(rows);
    let widths: Vec<_> =
        (0..N).map(|at| all().map(|row| length(&row[at])).max().unwrap_or(0)).collect();
    let split = widths.iter().sum::<usize>() + 2 * N.saturating_sub(1) > WIDTH;
    let cell = |at: usize, text: &str| match at < words {
        true => format!("{text:<0$}", widths[at]),
        false => format!("{text:>0$}", widths[at]),
    };
    let mut lines = Vec::new();
    for row in all() {
        let mut cells: Vec<_> = row.iter().enumerate().map(|(at, text)| cell(at, text)).collect();
        if split {
            lines.push(row[0].clone());
            cells[0] = String::new();
        }
        lines.push(cells.join("  ").trim_end().to_owned());
    }
    lines
}

/// A paragraph after a label, in lines of at most 80 columns, if its words allow.
pub(super) fn paragraph(label: &str, indent: usize, text: &str) -> Vec<String> {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let starts = [format!("{label:<indent$}"), " ".repeat(indent)];
    filled(&words, WIDTH, [&starts[0], &starts[1]]).lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_stay_within_80_columns() {
        let rows =
            |name: &str| [[name, "relu", "1"], ["b", "x", "12.50"]].map(|r| r.map(str::to_owned));
        let narrow = table(["run", "model", "loss"], &rows("a"), 2);
        assert_eq!(narrow, ["run  model   loss", "a    relu       1", "b    x      12.50"]);
        let fits = rows(&"a".repeat(66));
        assert_eq!(table(["run", "model", "loss"], &fits, 2)[1].len(), 80, "as wide as may be");
        let wide = rows(&"ä".repeat(67));
        let lines = table(["run", "model", "loss"], &wide, 2);
        assert_eq!(lines[2..4], [wide[0][0].clone(), "  relu       1".to_owned()], "{lines:#?}");
    }

    #[test]
    fn paragraphs_wrap_at_words() {
        let text = "word ".repeat(30);
        let lines = paragraph("label", 10, &text);
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [79, 79, 19], "{lines:#?}");
        assert!(lines[0].starts_with("label     word") && lines[1].starts_with("          word"));
        let path = "/".repeat(200);
        assert_eq!(paragraph("data", 6, &path), [format!("data  {path}")], "a path stays whole");
    }
}
