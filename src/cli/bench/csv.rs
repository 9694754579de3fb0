//! Numbers and fields of CSV.

/// Six digits that count, and no exponent where a number is of common size: for programs.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        v if v == 0.0 || v.fract() == 0.0 && v < 1e15 => format!("{value:.0}"),
        v if (1e-3..1e9).contains(&v) => {
            let digits = 5 - v.log10().floor() as i32;
            format!("{value:.*}", usize::try_from(digits.clamp(0, 8)).unwrap_or(0))
        }
        _ => format!("{value:.5e}"),
    }
}

/// A field of CSV, quoted where it must be (RFC 4180).
fn field(text: &str) -> String {
    match text.contains([',', '"', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

/// A line of fields.
pub(super) fn line(fields: &[String]) -> String {
    fields.iter().map(|text| field(text)).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_six_digits_and_fields_their_commas() {
        for (value, shown) in [
            (0.0, "0"),
            (18.0, "18"),
            (1_234_567.0, "1234567"),
            (74.123_456_7, "74.1235"),
            (0.012_345_678, "0.0123457"),
            (7_996_420.4, "7996420"),
            (1.5e-7, "1.50000e-7"),
        ] {
            assert_eq!(number(value), shown, "{value}");
        }
        assert_eq!(line(&["a,b".to_owned(), "c\"d".to_owned()]), "\"a,b\",\"c\"\"d\"", "CSV");
    }
}
