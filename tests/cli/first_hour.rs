//! The first hour of somebody who types what comes to mind: `tests/first-hour.txt` has each command with all that it
//! says, as it was read and found good. `ELBO_WRITE=1 cargo test --test cli first_hour` writes it anew, to be read again.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::guide::reader;
use crate::program::{elbo, output, text};

/// What begins a command.
const PROMPT: &str = "$ elbo";

/// Numbers that differ between machines stand as `#`: those with decimals, hours, dates and speeds. Spaces between
/// columns are one.
fn alike(said: &str, dir: &TempDir) -> String {
    let whole = fs::canonicalize(dir).expect("the folder");
    let said = said.replace(&whole.display().to_string(), "HERE");
    let said = said.replace(&dir.path().display().to_string(), "HERE");
    said.lines().map(|line| format!("{}\n", alike_line(line).trim_end())).collect()
}

fn alike_line(line: &str) -> String {
    // A row of the table of epochs ends with a speed.
    let cells: Vec<_> = line.split_whitespace().collect();
    let is_number = |cell: &&str| cell.parse::<f64>().is_ok();
    if cells.len() >= 7 && cells.iter().all(is_number) {
        let row: Vec<_> = cells[..cells.len() - 1].iter().map(|cell| number(cell)).collect();
        return format!("{:>7} {} #", row[0], row[1..].join(" "));
    }
    // Which dimension of z has the larger KL divergence may hang on the last bits.
    if !cells.is_empty() && cells.iter().all(|c| is_number(&c.trim_end_matches(':'))) {
        return "  …".to_owned();
    }
    let mut out = String::new();
    for word in line.split_inclusive(' ') {
        let trimmed = word.trim_end_matches([' ', ';', ',', ')']);
        let rest = &word[trimmed.len()..];
        let is_time = trimmed.ends_with('s') && trimmed[..trimmed.len() - 1].parse::<f64>().is_ok();
        let is_date = [("-", 3), (":", 2)].iter().any(|(between, parts)| {
            let parts_of = trimmed.split(between);
            let two = |part: &str| {
                matches!(part.len(), 2 | 4) && part.chars().all(|c| c.is_ascii_digit())
            };
            trimmed.matches(between).count() + 1 == *parts && parts_of.into_iter().all(two)
        });
        let same = if is_time || is_date { "#".to_owned() } else { number(trimmed) };
        out.push_str(&same);
        out.push_str(rest);
    }
    let bytes = cells.last() == Some(&"B");
    // Columns are as wide as their numbers.
    let indent = &line[..line.len() - line.trim_start().len()];
    let mut words: Vec<_> = out.split_whitespace().collect();
    if bytes {
        let at = words.len() - 2;
        words[at] = "#";
    }
    format!("{indent}{}", words.join(" "))
}

/// A word whose digits with a point among them stand as `#`.
fn number(word: &str) -> String {
    let is_part = |c: char| c.is_ascii_digit() || c == '.';
    let (mut out, mut rest) = (String::new(), word);
    while !rest.is_empty() {
        let part = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        if part == 0 {
            let next = rest.find(is_part).unwrap_or(rest.len());
            out.push_str(&rest[..next]);
            rest = &rest[next..];
            continue;
        }
        let digits = &rest[..part];
        let inner = digits.trim_matches('.');
        out.push_str(if inner.contains('.') { "#" } else { digits });
        rest = &rest[part..];
    }
    out
}

#[test]
fn the_first_hour_reads_as_it_was_found_good() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/first-hour.txt");
    let kept = fs::read_to_string(&path).expect("the kept outputs");
    let dir = reader();
    fs::write(dir.path().join("notes.txt"), "These are no images.\n").expect("a file");
    fs::write(dir.path().join("typo.toml"), "[model]\nlatnet = 3\n").expect("a file");
    fs::write(dir.path().join("cut.npy"), b"\x93NUMPY\x01\x00v\x00{'descr'").expect("a file");
    let mut found = String::new();
    let commands: Vec<_> = kept.lines().filter_map(|line| line.strip_prefix(PROMPT)).collect();
    assert!(commands.len() >= 40, "{} commands", commands.len());
    for flags in commands {
        let mut command = elbo(&dir, flags);
        command.env("COLUMNS", "80").env("XDG_DATA_HOME", dir.path().join("share"));
        let output = output(command);
        let code = output.status.code().expect("an exit code");
        writeln!(found, "{PROMPT}{flags}").expect("a string takes it");
        for stream in [&output.stderr, &output.stdout] {
            found.push_str(&alike(text(stream), &dir));
        }
        writeln!(found, "[exit code {code}]\n").expect("a string takes it");
    }
    if std::env::var_os("ELBO_WRITE").is_some() {
        fs::write(&path, &found).expect("the kept outputs");
    }
    let differs = found.lines().zip(kept.lines()).find(|(found, kept)| found != kept);
    assert_eq!(differs, None, "what is said now, and what was kept");
    assert_eq!(found.lines().count(), kept.lines().count(), "lines");
}
