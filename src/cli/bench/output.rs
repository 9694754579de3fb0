//! Figures as text, Markdown, CSV and JSON lines, as they are measured.

use clap::ValueEnum;
use elbo::bench::Figure;
use elbo::{Device, Error, Result};
use serde_json::{Value, json};

use crate::cli::bench::compare::Old;
use crate::cli::bench::text;
use crate::cli::{print_exact, print_line};

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Markdown,
    Csv,
    Json,
}

/// What all figures were measured on and by. Each value has the name that JSON and CSV give it.
pub(super) struct About(pub(super) Vec<(&'static str, String)>);

impl About {
    pub(super) fn of(device: &Device) -> Self {
        let (driver, backend) = match device {
            Device::Cpu(_) => (String::new(), String::new()),
            Device::Gpu(gpu) => {
                let about = gpu.description();
                (about.driver.clone(), about.backend.clone())
            }
        };
        let mixed = matches!(device, Device::Gpu(gpu) if gpu.is_mixed());
        // A build says which commit it is of by `ELBO_COMMIT=$(git rev-parse HEAD) cargo build`.
        let commit = option_env!("ELBO_COMMIT").unwrap_or("unknown");
        Self(vec![
            ("device", device.kind().to_owned()),
            ("adapter", device.name()),
            ("driver", driver),
            ("backend", backend),
            ("precision", if mixed { "mixed" } else { "f32" }.to_owned()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("commit", commit.to_owned()),
        ])
    }

    fn line(&self) -> String {
        let parts = self.0.iter().filter(|(_, value)| !value.is_empty());
        parts.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
    }
}

/// What figures are of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// A model, or the device.
    pub(super) subject: String,
    pub(super) batch: Option<usize>,
    /// The model in words.
    pub(super) shape: String,
}

impl Row {
    fn batch(&self) -> String {
        self.batch.map_or(String::new(), |batch| batch.to_string())
    }
}

/// Prints rows of figures as they come.
pub(super) struct Printer {
    format: Format,
    about: About,
    old: Option<Old>,
    row: Row,
    started: bool,
    figures: usize,
}

/// Six digits that count, and no exponent where a number is of common size.
fn number(value: f64) -> String {
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

fn csv(fields: &[String]) -> String {
    fields.iter().map(|text| field(text)).collect::<Vec<_>>().join(",")
}

fn markdown(cells: &[String]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |", cells.join(" | "))
}

impl Printer {
    pub(super) fn new(format: Format, about: About, old: Option<Old>) -> Self {
        let row = Row { subject: String::new(), batch: None, shape: String::new() };
        Self { format, about, old, row, started: false, figures: 0 }
    }

    /// The names of the columns; the last two only beside an earlier run.
    fn columns(&self) -> &'static [&'static str] {
        const ALL: &[&str] =
            &["subject", "batch", "figure", "median", "low", "high", "unit", "old", "ratio"];
        if self.old.is_some() { ALL } else { &ALL[..7] }
    }

    /// Says what is measured on.
    pub(super) fn start(&mut self) -> Result<()> {
        self.started = true;
        let columns: Vec<_> = self.columns().iter().map(|&name| name.to_owned()).collect();
        match self.format {
            Format::Text => print_line(&self.about.line())?,
            Format::Markdown => {
                print_exact(&format!("{}\n", self.about.line()))?;
                print_exact(&markdown(&columns))?;
                let rule = |name: &String| match name.as_str() {
                    "subject" | "figure" | "unit" => "---".to_owned(),
                    _ => "---:".to_owned(),
                };
                print_exact(&markdown(&columns.iter().map(rule).collect::<Vec<_>>()))?;
            }
            Format::Csv => {
                let names = || self.about.0.iter().map(|(name, _)| (*name).to_owned());
                let old = self.old.iter().flat_map(|_| names().map(|name| format!("old {name}")));
                let all: Vec<_> = columns.into_iter().chain(names()).chain(old).collect();
                print_exact(&csv(&all))?;
            }
            Format::Json => {
                let mut line = json!({"event": "start"});
                for (name, value) in &self.about.0 {
                    line[*name] = json!(value);
                }
                print_line(&line.to_string())?;
            }
        }
        let Some(old) = &self.old else { return Ok(()) };
        old.differences(&self.about)
            .iter()
            .try_for_each(|(name, was, is)| self.differs(name, was, is))
    }

    /// Says that the earlier run was of something else.
    fn differs(&self, name: &str, was: &str, is: &str) -> Result<()> {
        let line = json!({"event": "differs", "what": name, "old": was, "new": is});
        match self.format {
            Format::Text => print_line(&format!("differs: {name} was {was}, is {is}")),
            // A line of its own would end the table.
            Format::Markdown => {
                print_exact(&markdown(&[format!("differs: {name} was {was}, is {is}")]))
            }
            // It has no place for remarks, but its columns say what both were measured on.
            Format::Csv => Ok(()),
            Format::Json => print_line(&line.to_string()),
        }
    }

    /// Begins the figures of a row.
    pub(super) fn row(&mut self, row: Row) -> Result<()> {
        self.row = row;
        let Row { subject, batch, shape } = &self.row;
        match self.format {
            Format::Text => {
                let head = match batch {
                    None => subject.clone(),
                    Some(batch) => format!("{subject}, batch {batch} ({shape})"),
                };
                print_line(&format!("\n{head}"))?;
                print_exact(&text::head(self.old.is_some()))?;
            }
            Format::Json => {
                let line =
                    json!({"event": "row", "subject": subject, "batch": batch, "model": shape});
                print_line(&line.to_string())?;
            }
            Format::Markdown | Format::Csv => {}
        }
        match self.old.as_ref().and_then(|old| old.shape(&self.row)) {
            Some(was) if was != self.row.shape => {
                self.differs(&format!("the model {}", self.row.subject), &was, &self.row.shape)
            }
            _ => Ok(()),
        }
    }

    /// Prints a figure of the row.
    pub(super) fn figure(&mut self, figure: &Figure) -> Result<()> {
        self.figures += 1;
        let [median, low, high] = [figure.median(), figure.low(), figure.high()].map(number);
        let before = self.old.as_mut().map(|old| old.take(&self.row, &figure.name));
        let ratio = before.map(|old| old.map(|old| figure.median() / old));
        let shown = |value: Option<f64>| value.map_or("-".to_owned(), number);
        let beside: Vec<_> = before.into_iter().chain(ratio).map(shown).collect();
        let Figure { name, unit, samples } = figure;
        let cells = || {
            let (subject, batch, unit) = (self.row.subject.clone(), self.row.batch(), *unit);
            let own = [subject, batch, name.clone(), median.clone(), low.clone(), high.clone()];
            let own = own.into_iter().chain([unit.to_owned()]);
            own.chain(beside.iter().cloned()).collect::<Vec<_>>()
        };
        let line = match self.format {
            Format::Text => {
                text::figure(figure, &before.into_iter().chain(ratio).collect::<Vec<_>>())
            }
            Format::Markdown => markdown(&cells()),
            Format::Csv => {
                let about = self.about.0.iter().map(|(_, value)| value.clone());
                let was = |old: &Old| {
                    self.about.0.iter().map(|(name, _)| old.about(name)).collect::<Vec<_>>()
                };
                let was = self.old.as_ref().map(was).unwrap_or_default();
                csv(&cells().into_iter().chain(about).chain(was).collect::<Vec<_>>())
            }
            Format::Json => {
                let mut line = json!({
                    "event": "figure", "subject": self.row.subject, "batch": self.row.batch,
                    "figure": name, "unit": unit, "median": figure.median(), "low": figure.low(),
                    "high": figure.high(), "samples": samples,
                });
                if let (Some(old), Some(ratio)) = (before, ratio) {
                    (line["old"], line["ratio"]) = (json!(old), json!(ratio));
                }
                line.to_string()
            }
        };
        print_exact(&line)
    }

    /// The time of each step that ran alone; only JSON has room for them.
    pub(super) fn alone(&self, repetitions: &[Vec<f64>]) -> Result<()> {
        if self.format != Format::Json {
            return Ok(());
        }
        for (repetition, seconds) in (1..).zip(repetitions) {
            let tenth = |s: &f64| json!((s * 1e7).round() / 10.0);
            let line = json!({
                "event": "samples", "subject": self.row.subject, "batch": self.row.batch,
                "repetition": repetition, "step_us": seconds.iter().map(tenth).collect::<Value>(),
            });
            print_line(&line.to_string())?;
        }
        Ok(())
    }

    /// The last line of a run that failed after its first, which says how.
    pub(super) fn failed(&self, error: &Error) -> Result<()> {
        if self.format != Format::Json || !self.started {
            return Ok(());
        }
        let (figures, error) = (self.figures, error.to_string());
        let line = json!({"event": "end", "status": "failed", "figures": figures, "error": error});
        print_line(&line.to_string())
    }

    /// The last line; and what the earlier run has that this one has not, in words.
    pub(super) fn end(self) -> Result<Vec<String>> {
        if self.format == Format::Json {
            let line = json!({"event": "end", "status": "done", "figures": self.figures});
            print_line(&line.to_string())?;
        }
        Ok(self.old.map_or(Vec::new(), Old::rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_six_digits() {
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
        assert_eq!(csv(&["a,b".to_owned(), "c\"d".to_owned()]), "\"a,b\",\"c\"\"d\"", "CSV");
    }
}
