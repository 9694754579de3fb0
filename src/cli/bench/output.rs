//! Figures as text, Markdown, CSV and JSON lines, a row at a time.

use clap::ValueEnum;
use elbo::bench::{Bound, Figure, KernelTime, Peaks};
use elbo::{Error, Result};
use serde_json::{Value, json};

use crate::cli::bench::about::About;
use crate::cli::bench::compare::{Beside, Old};
use crate::cli::bench::results::Outcome;
use crate::cli::bench::{csv, results, text};
use crate::cli::table::paragraph;
use crate::cli::{print_exact, print_line};

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Tables for people
    Text,
    /// A row for each result, to be put with those of other machines, and all figures
    #[value(alias = "md")]
    Markdown,
    /// A row for each figure
    Csv,
    /// An object on each line, with all samples
    Json,
}

/// What figures are of.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Row {
    /// A model, or the device.
    pub(super) subject: String,
    pub(super) batch: Option<usize>,
    /// The model in words.
    pub(super) shape: String,
    /// What the schedules of its products were chosen by.
    pub(super) schedules: String,
}

impl Row {
    fn batch(&self) -> String {
        self.batch.map_or(String::new(), |batch| batch.to_string())
    }

    /// With its batch.
    pub(super) fn name(&self) -> String {
        match self.batch {
            None => self.subject.clone(),
            Some(batch) => format!("{}, batch {batch}", self.subject),
        }
    }
}

/// A kernel's time with its roof.
pub(super) struct Kernel<'a> {
    pub(super) figure: &'a Figure,
    pub(super) flops: u64,
    pub(super) bytes: u64,
    /// What it waits for at the least, and the part of its time which that takes.
    pub(super) share: (Bound, f64),
    pub(super) beside: Option<&'a Beside>,
}

/// Prints rows of figures as they come.
pub(super) struct Printer {
    format: Format,
    about: About,
    old: Option<Old>,
    row: Row,
    /// The share of the CPU that others take now.
    pub(super) others: f64,
    outcomes: Vec<Outcome>,
    started: bool,
    figures: usize,
    /// Figures that became slower.
    pub(super) slower: usize,
}

/// What the words of the tables mean, for who reads no manual.
const FOOT: &str = "\
dependent dispatch: a small kernel that waits for the one before. products: the arithmetic of the matrix \
products. bound: bytes, if each dispatch reads and writes its buffers once. depth: the longest chain of \
dispatches that wait for each other. `elbo bench --help` explains the others.";

impl Printer {
    pub(super) fn new(format: Format, old: Option<Old>) -> Self {
        let (about, row) = (About(Vec::new()), Row::default());
        let (outcomes, others) = (Vec::new(), 0.0);
        Self { format, about, old, row, others, outcomes, started: false, figures: 0, slower: 0 }
    }

    /// Compares with a run that was made meanwhile.
    pub(super) fn compare_with(&mut self, old: Old) {
        self.old = Some(old);
    }

    /// The names of the columns; the last ones only beside an earlier run.
    fn columns(&self) -> &'static [&'static str] {
        const ALL: &[&str] = &[
            "subject",
            "batch",
            "figure",
            "median",
            "low",
            "high",
            "unit",
            "bound",
            "of bound",
            "old",
            "old low",
            "old high",
            "ratio",
            "ratio low",
            "ratio high",
            "verdict",
        ];
        if self.old.is_some() { ALL } else { &ALL[..9] }
    }

    /// Begins the figures of a device: says what is measured on.
    pub(super) fn start(&mut self, about: About) -> Result<()> {
        let again = std::mem::replace(&mut self.started, true);
        self.about = about;
        if let Some(old) = &mut self.old {
            old.choose(&self.about);
        }
        let columns: Vec<_> = self.columns().iter().map(|&name| name.to_owned()).collect();
        match self.format {
            Format::Text => {
                let gap = if again { "\n" } else { "" };
                print_exact(&format!("{gap}{}", self.about.lines().join("\n")))?;
            }
            Format::Markdown => {
                let parts = self.about.0.iter().filter(|(_, value)| !value.is_empty());
                let line = parts.map(|(name, value)| format!("{name}: {value}"));
                let gap = if again { "\n" } else { "" };
                print_exact(&format!("{gap}{}\n", line.collect::<Vec<_>>().join("; ")))?;
                results::markdown_head(&columns).iter().try_for_each(|line| print_exact(line))?;
            }
            Format::Csv if again => {}
            Format::Csv => {
                let names = || self.about.0.iter().map(|(name, _)| (*name).to_owned());
                let old = self.old.iter().flat_map(|_| names().map(|name| format!("old {name}")));
                let all: Vec<_> = columns.into_iter().chain(names()).chain(old).collect();
                print_exact(&csv::line(&all))?;
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
                print_exact(&results::markdown(&[format!("differs: {name} was {was}, is {is}")]))
            }
            // It has no place for remarks, but its columns say what both were measured on.
            Format::Csv => Ok(()),
            Format::Json => print_line(&line.to_string()),
        }
    }

    /// Prints the figures of a row, and of its kernels on a device of some peaks.
    pub(super) fn row(
        &mut self,
        row: Row,
        figures: &[Figure],
        (kernels, peaks): (&[KernelTime], Option<&Peaks>),
    ) -> Result<()> {
        self.row = row;
        let Row { subject, batch, shape, schedules } = &self.row;
        if self.format == Format::Json {
            let line = json!({
                "event": "row", "subject": subject, "batch": batch, "model": shape, "schedules": schedules,
            });
            print_line(&line.to_string())?;
        }
        if self.format == Format::Text {
            let model = if shape.is_empty() { String::new() } else { format!(" ({shape})") };
            print_line(&format!("\n{}{model}", self.row.name()))?;
        }
        for (key, is, what) in
            [("model", shape, "the model"), ("schedules", schedules, "schedules of")]
        {
            let was = self.old.as_ref().and_then(|old| old.said(&self.row, key));
            // Earlier versions told no schedules.
            if let Some(was) = was.filter(|was| was != is) {
                self.differs(&format!("{what} {subject}"), &was, is)?;
            }
        }
        let others = self.others;
        let beside = |old: &mut Old, figure: &Figure| old.take(&self.row, figure, others);
        let mut besides = |figures: &mut dyn Iterator<Item = &Figure>| -> Vec<Option<Beside>> {
            figures.map(|figure| self.old.as_mut().and_then(|old| beside(old, figure))).collect()
        };
        let of_figures = besides(&mut figures.iter());
        let of_kernels = besides(&mut kernels.iter().map(|kernel| &kernel.figure));
        self.slower +=
            of_figures.iter().chain(&of_kernels).flatten().filter(|b| b.is_slower()).count();
        self.figures += figures.len() + kernels.len();
        self.outcomes.extend(Outcome::of(&self.about, &self.row, figures));
        let roofed = kernels.iter().zip(&of_kernels).filter_map(|(kernel, beside)| {
            let KernelTime { figure, flops, bytes } = kernel;
            let share = kernel.share(peaks?);
            Some(Kernel { figure, flops: *flops, bytes: *bytes, share, beside: beside.as_ref() })
        });
        let roofed: Vec<_> = roofed.collect();
        let shown: Vec<_> = figures.iter().zip(of_figures.iter().map(Option::as_ref)).collect();
        if self.format != Format::Text {
            shown.iter().try_for_each(|(figure, beside)| self.line(figure, None, *beside))?;
            return roofed.iter().try_for_each(|k| self.line(k.figure, Some(k), k.beside));
        }
        let mut lines = match self.old {
            None => text::figures(figures),
            Some(_) => text::compared(&shown),
        };
        if !roofed.is_empty() {
            lines.push(String::new());
            lines.extend(text::kernels(&roofed));
        }
        lines.iter().try_for_each(|line| print_exact(line))
    }

    /// A figure as a line of a format for programs, or of Markdown.
    fn line(
        &self,
        figure: &Figure,
        kernel: Option<&Kernel<'_>>,
        beside: Option<&Beside>,
    ) -> Result<()> {
        let line = match self.format {
            Format::Json => self.object(figure, kernel, beside).to_string(),
            Format::Csv => {
                let cells = self.cells(figure, kernel, beside, |figure| {
                    [figure.median(), figure.low(), figure.high()].map(csv::number)
                });
                let about = self.about.0.iter().map(|(_, value)| value.clone());
                let was = |old: &Old| {
                    self.about.0.iter().map(|(name, _)| old.about(name)).collect::<Vec<_>>()
                };
                let was = self.old.as_ref().map(was).unwrap_or_default();
                csv::line(&cells.into_iter().chain(about).chain(was).collect::<Vec<_>>())
            }
            Format::Markdown | Format::Text => {
                results::markdown(&self.cells(figure, kernel, beside, |figure| {
                    let [low, high] = text::range(figure);
                    [text::median(figure), low, high]
                }))
            }
        };
        print_exact(&line)
    }

    fn cells(
        &self,
        figure: &Figure,
        kernel: Option<&Kernel<'_>>,
        beside: Option<&Beside>,
        numbers: impl Fn(&Figure) -> [String; 3],
    ) -> Vec<String> {
        let [bound, part] = match kernel {
            Some(Kernel { share: (bound, part), .. }) => {
                [bound.name().to_owned(), text::percent(*part)]
            }
            None => [String::new(), String::new()],
        };
        let mut cells = vec![self.row.subject.clone(), self.row.batch(), figure.name.clone()];
        cells.extend(numbers(figure));
        cells.extend([figure.unit.clone(), bound, part]);
        if self.old.is_none() {
            return cells;
        }
        match beside {
            None => cells.extend(["", "", "", "", "", "", "new"].map(str::to_owned)),
            Some(Beside { was, ratio, comparison, verdict }) => {
                cells.extend(numbers(was));
                let ends = comparison.map(|c| [c.low, c.high].map(text::ratio)).unwrap_or_default();
                cells.push(text::ratio(*ratio));
                cells.extend(ends);
                cells.push((*verdict).to_owned());
            }
        }
        cells
    }

    fn object(
        &self,
        figure: &Figure,
        kernel: Option<&Kernel<'_>>,
        beside: Option<&Beside>,
    ) -> Value {
        let mut line = json!({
            "event": "figure", "subject": self.row.subject, "batch": self.row.batch,
            "figure": figure.name, "unit": figure.unit, "median": figure.median(),
            "low": figure.low(), "high": figure.high(), "samples": figure.samples,
        });
        if let Some(Kernel { flops, bytes, share: (bound, part), .. }) = kernel {
            (line["flops"], line["bytes"]) = (json!(flops), json!(bytes));
            (line["bound"], line["of_bound"]) = (json!(bound.name()), json!(part));
        }
        if let Some(Beside { was, ratio, comparison, verdict }) = beside {
            (line["old"], line["old_low"]) = (json!(was.median()), json!(was.low()));
            (line["old_high"], line["ratio"]) = (json!(was.high()), json!(ratio));
            if let Some(comparison) = comparison {
                line["ratio_low"] = json!(comparison.low);
                line["ratio_high"] = json!(comparison.high);
            }
            line["verdict"] = json!(verdict);
        }
        line
    }

    /// Says what the device lacks.
    pub(super) fn lacks(&self, what: &str, why: &str) -> Result<()> {
        match self.format {
            Format::Text => print_line(&format!("{what}: {why}")),
            Format::Json => {
                print_line(&json!({"event": "lacks", "what": what, "why": why}).to_string())
            }
            Format::Markdown => print_exact(&results::markdown(&[format!("{what}: {why}")])),
            Format::Csv => Ok(()),
        }
    }

    /// Says in a sentence what one should know of the figures. CSV has no place for it.
    pub(super) fn note(&self, text: &str) -> Result<()> {
        match self.format {
            Format::Text => print_exact(&format!("\n{}", paragraph("", 0, text).join("\n"))),
            Format::Json => print_line(&json!({"event": "note", "text": text}).to_string()),
            Format::Markdown => print_exact(&format!("\n{text}")),
            Format::Csv => {
                super::talk(text);
                Ok(())
            }
        }
    }

    /// The time of each step that ran alone; only JSON has room for them.
    pub(super) fn alone(&self, rounds: &[Vec<f64>]) -> Result<()> {
        if self.format != Format::Json {
            return Ok(());
        }
        for (round, seconds) in (1..).zip(rounds) {
            let tenth = |s: &f64| json!((s * 1e7).round() / 10.0);
            let line = json!({
                "event": "samples", "subject": self.row.subject, "batch": self.row.batch,
                "repetition": round, "step_us": seconds.iter().map(tenth).collect::<Value>(),
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

    /// The last lines: a table of the results, what the earlier run has that this one has not, and the end.
    pub(super) fn end(&self) -> Result<()> {
        if let Some(rest) = self.old.as_ref().and_then(Old::rest) {
            self.note(&rest)?;
        }
        if self.format == Format::Text && !self.outcomes.is_empty() {
            self.note(FOOT)?;
        }
        let lines = match self.format {
            Format::Text => results::text(&self.outcomes),
            Format::Markdown => results::rows(&self.outcomes),
            Format::Csv => Vec::new(),
            Format::Json => {
                let line = json!({"event": "end", "status": "done", "figures": self.figures});
                vec![line.to_string()]
            }
        };
        lines.iter().try_for_each(|line| print_exact(line))
    }
}
