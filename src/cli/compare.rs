//! `elbo compare`: the losses of several runs, what differs between them, and a page of their curves.

use std::path::{Path, PathBuf};

use elbo::checkpoint::write_new;
use elbo::{Error, Result};
use serde_json::{Map, Value, json};

use crate::cli::place::{check_free, ending, numbered};
use crate::cli::print_line;
use crate::cli::report::{Difference, Story, Told, differences, figure, overlay, plain};
use crate::cli::run_name::run_name;

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo compare runs/0001 runs/0002
  elbo compare runs/* --out beta.html
  elbo compare runs/0001 runs/0002 --json";

/// Lines of terminals are as long as this.
const COLUMNS: usize = 80;
/// A longer name of a run is cut in front.
const NAME: usize = 22;
/// A longer value is cut in front.
const VALUE: usize = 40;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folders of two or more runs, under way or ended
    #[arg(value_name = "RUN", value_parser = run_name(), num_args = 2.., required = true)]
    runs: Vec<PathBuf>,
    /// The page to write, which must not be there yet [default: compare.html, or the next free name]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    if let Some(out) = &args.out {
        if !["html", "htm"].contains(&ending(out).as_str()) {
            let what = format!("`--out {}`: the page is HTML", out.display());
            return Err(Error::config(what).hint("give it a name that ends in .html"));
        }
        check_free(out)?;
    }
    let stories: Vec<_> = args.runs.iter().map(|run| Story::read(run)).collect::<Result<_>>()?;
    let page = args.out.clone().unwrap_or_else(free_place);
    write_new(&page, overlay(&stories).as_bytes())?;
    let (page, differing) = (page.display().to_string(), differences(&stories));
    if args.json {
        print_line(&json_line(&args.runs, &stories, &differing, &page).to_string())?;
        return Ok(0);
    }
    let names: Vec<_> = args.runs.iter().map(|run| run.display().to_string()).collect();
    let lines = [table(&names, &stories), differing_lines(&differing), vec![String::new(), page]];
    lines.concat().iter().try_for_each(|line| print_line(line)).map(|()| 0)
}

/// `compare.html` here, or the first with a number that is free.
fn free_place() -> PathBuf {
    let mut names = numbered(Path::new(""), "compare", "html");
    names.find(|path| path.symlink_metadata().is_err()).expect("numbers do not end")
}

fn json_line(runs: &[PathBuf], stories: &[Story], differing: &[Difference], page: &str) -> Value {
    let runs: Vec<_> = runs
        .iter()
        .zip(stories)
        .map(|(run, story)| {
            let Told { epochs, step, last, best, nll, nll_margin } = Told::of(story);
            let (best_epoch, best) = best.unzip();
            json!({
                "run": run.display().to_string(), "epochs": epochs, "step": step, "last_loss": last,
                "best_loss": best, "best_epoch": best_epoch, "nll": nll, "nll_margin": nll_margin,
            })
        })
        .collect();
    let differ: Map<_, _> = differing
        .iter()
        .map(|Difference { section, key, values }| (format!("{section}.{key}"), json!(values)))
        .collect();
    json!({"event": "compare", "runs": runs, "differ": differ, "page": page})
}

/// The end of a text that is too long.
fn cut(text: &str, most: usize) -> String {
    let count = text.chars().count();
    match count > most {
        false => text.to_owned(),
        true => format!("…{}", text.chars().skip(count + 1 - most).collect::<String>()),
    }
}

/// A line for each run.
fn table(names: &[String], stories: &[Story]) -> Vec<String> {
    let names: Vec<_> = names.iter().map(|name| cut(name, NAME)).collect();
    let wide = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(3);
    let line = |number: &str, name: &str, cells: [String; 6]| {
        let [epochs, step, last, best, at, nll] = cells;
        format!(
            "{number:>3}  {name:<wide$}  {epochs:>6} {step:>8} {last:>9} {best:>9} {at:>5} {nll:>9}"
        )
    };
    let head = ["epochs", "steps", "last", "best", "epoch", "NLL"].map(str::to_owned);
    let mut lines = vec![
        "losses of test images (of validation images, where there are some), nats".to_owned(),
        line("", "run", head),
    ];
    for ((name, story), number) in names.iter().zip(stories).zip(1..) {
        let Told { epochs, step, last, best, nll, .. } = Told::of(story);
        let loss = |value: Option<f64>| value.map_or("–".to_owned(), figure);
        let whole = |value: Option<u64>| value.map_or("–".to_owned(), |value| value.to_string());
        let (at, best) = best.unzip();
        let cells = [epochs.to_string(), whole(step), loss(last), loss(best), whole(at), loss(nll)];
        lines.push(line(&number.to_string(), name, cells));
    }
    lines
}

/// A line for each key, with the runs that have the same value together.
fn differing_lines(differing: &[Difference]) -> Vec<String> {
    if differing.is_empty() {
        return vec![String::new(), "no key of the configurations differs".to_owned()];
    }
    let mut lines = vec![String::new(), "keys that differ, as `run: value`".to_owned()];
    let name = |found: &Difference| format!("{}.{}", found.section, found.key);
    let wide = differing.iter().map(|found| name(found).chars().count()).max().unwrap_or(0);
    for found in differing {
        let mut groups: Vec<(&Option<Value>, Vec<usize>)> = Vec::new();
        for (value, number) in found.values.iter().zip(1..) {
            match groups.iter_mut().find(|(was, _)| *was == value) {
                Some((_, runs)) => runs.push(number),
                None => groups.push((value, vec![number])),
            }
        }
        let mut line = format!("  {:<wide$}", name(found));
        for (value, runs) in groups {
            let value = value.as_ref().map_or("not set".to_owned(), plain);
            let runs = ranges(&runs);
            // A line ends after the comma of a run, or after a value.
            for (run, place) in runs.iter().zip(1..) {
                let word = match place == runs.len() {
                    true => format!("{run}: {}", cut(&value, VALUE)),
                    false => format!("{run},"),
                };
                let space = if place == 1 { "  " } else { " " };
                if line.chars().count() + space.len() + word.chars().count() > COLUMNS {
                    lines.push(std::mem::replace(&mut line, " ".repeat(wide + 3)));
                }
                line += &format!("{space}{word}");
            }
        }
        lines.push(line);
    }
    lines
}

/// Numbers in their order, those that follow one another as one.
fn ranges(numbers: &[usize]) -> Vec<String> {
    let rows = numbers.chunk_by(|a, b| a + 1 == *b);
    rows.map(|row| match *row {
        [first, .., last] => format!("{first}–{last}"),
        [only] => only.to_string(),
        [] => String::new(),
    })
    .collect()
}
