//! Numbers as they are written in tables, and what stands where none is.
#![warn(clippy::arithmetic_side_effects)]

/// What is written where a value is missing.
const MISSING: [&str; 9] = ["", "-", "NA", "N/A", "#N/A", "NaN", "null", "None", "?"];

/// What the commas of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comma {
    /// There is one, before the decimals.
    Decimal,
    /// There is one, before the decimals or between thousands: `1,234`.
    Either,
    /// They are between thousands: `1,234,567` or `1,000.5`.
    Thousands,
}

/// What the commas of a number are; nothing if it is no number, or has none.
pub(super) fn comma(field: &str) -> Option<Comma> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (before, after) = field.trim_start_matches(['-', '+']).split_once(',')?;
    if !digits(before) {
        return None;
    }
    let thousands = (1..=3).contains(&before.len()) && !before.starts_with('0');
    let (whole, decimals) = after.split_once('.').unwrap_or((after, ""));
    let groups = whole.split(',').all(|group| group.len() == 3 && digits(group));
    if groups && thousands && digits(decimals) {
        let more = after.contains([',', '.']);
        return Some(if more { Comma::Thousands } else { Comma::Either });
    }
    let (decimals, power) = after.split_once(['e', 'E']).unwrap_or((after, "0"));
    let power = power.parse::<i32>().is_ok();
    (power && !decimals.is_empty() && digits(decimals)).then_some(Comma::Decimal)
}

/// The number of a field, which may not be finite; its comma may be `decimal`.
pub(super) fn number(field: &str, decimal: bool) -> Option<f32> {
    match field.parse() {
        Ok(value) => Some(value),
        Err(_) if decimal && comma(field).is_some_and(|comma| comma != Comma::Thousands) => {
            field.replace(',', ".").parse().ok()
        }
        Err(_) => None,
    }
}

/// Whether a field is written as a number, however the commas in it are meant.
pub(super) fn looks(field: &str) -> bool {
    field.parse::<f32>().is_ok() || comma(field).is_some()
}

/// Whether a field says that its value is missing.
pub(super) fn missing(field: &str) -> bool {
    MISSING.iter().any(|word| word.eq_ignore_ascii_case(field))
}

/// What a field is that should be a finite number, and what to do.
pub(super) fn fault(field: &str) -> (String, &'static str) {
    let shown = field.escape_debug();
    if field.is_empty() {
        return ("is empty".to_owned(), FILL);
    }
    if missing(field) {
        return (format!("is `{shown}`, so its value is missing"), FILL);
    }
    match comma(field) {
        Some(Comma::Decimal) => {
            return (format!("is `{shown}`, whose comma is no point as in other numbers"), POINTS);
        }
        Some(_) => {
            return (format!("is `{shown}`, with commas between its thousands"), THOUSANDS);
        }
        None => {}
    }
    match field.parse::<f32>() {
        Ok(_) => (format!("is `{shown}`, expected a finite number of f32"), FILL),
        Err(_) if field.contains([';', '\t', ' ', '|']) => {
            (format!("is `{shown}`, no number"), SEPARATORS)
        }
        Err(_) => (format!("is `{shown}`, no number"), ""),
    }
}

const FILL: &str =
    "leave such lines or the column out, or put a number there: `df.dropna()` or `df.fillna(0)`";

pub(super) const POINTS: &str =
    "write decimals behind a point, as `1.5`, and no commas between thousands";

const THOUSANDS: &str = "write numbers without them, as `1000.5`: `pandas.read_csv(path, thousands=\",\")` reads \
                         them, and `to_csv` writes numbers without";

const SEPARATORS: &str =
    "divide the fields of all lines by commas, by semicolons, by tabs, or by white space";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_are_told_apart() {
        for (field, expected) in [
            ("1,5", Some(Comma::Decimal)),
            ("-0,126", Some(Comma::Decimal)),
            (",5", Some(Comma::Decimal)),
            ("1234,567", Some(Comma::Decimal)),
            ("1,5e-3", Some(Comma::Decimal)),
            ("1,234", Some(Comma::Either)),
            ("12,345,678", Some(Comma::Thousands)),
            ("1,000.5", Some(Comma::Thousands)),
            ("1.5", None),
            ("1.234,5", None),
            ("1,", None),
            ("1,2,3", None),
            ("a,5", None),
            ("1,5e", None),
        ] {
            assert_eq!(comma(field), expected, "{field}");
        }
        assert_eq!(number("-2,5e1", true), Some(-25.0), "a decimal comma");
        assert_eq!(number("1,000.5", true), None, "thousands");
    }
}
