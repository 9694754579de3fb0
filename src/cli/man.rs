//! `elbo man`: the manual, as one page or as a page a verb.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};
use elbo::checkpoint::write_whole;
use elbo::{Error, Result};

use crate::cli::{help, print_exact};

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo man | man -l -
  elbo man --out ~/.local/share/man/man1";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write elbo.1, elbo-train.1, … to this folder, and replace those of an earlier version
    #[arg(long, short, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    let mut program = help::command().disable_help_subcommand(true);
    // It gives each verb its full name, and its own `--help`.
    program.build();
    match &args.out {
        None => print_exact(whole(&program)?.trim_end())?,
        Some(folder) => {
            for (name, page) in pages(&program)? {
                write(folder, &name, &page)?;
                print_exact(&folder.join(name).display().to_string())?;
            }
        }
    }
    Ok(0)
}

fn write(folder: &Path, name: &str, page: &str) -> Result<()> {
    fs::create_dir_all(folder).map_err(|e| {
        Error::io("make the folder", folder, e).hint("`--out` takes a folder that can be written")
    })?;
    write_whole(&folder.join(name), page.as_bytes())
}

/// Rendering writes to memory, which takes all.
fn render(part: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> Result<String> {
    let mut page = Vec::new();
    part(&mut page).map_err(|e| Error::io("render", Path::new("elbo.1"), e))?;
    Ok(in_ascii(&String::from_utf8_lossy(&page)))
}

/// Pages name what is not ASCII by its number, since readers of pages guess the encoding of a file.
fn in_ascii(page: &str) -> String {
    let name = |c: char| match c.is_ascii() {
        true => c.to_string(),
        false => format!("\\[u{:04X}]", c as u32),
    };
    page.chars().map(name).collect()
}

/// The page of the program, and one for each verb, under the names of their files.
fn pages(program: &Command) -> Result<Vec<(String, String)>> {
    let mut pages = Vec::new();
    for command in std::iter::once(program).chain(program.get_subcommands()) {
        let man = Man::new(command.clone());
        let title = render(|to| man.render_title(to))?;
        let name = render(|to| man.render_name_section(to))?;
        let verbs = match command.has_subcommands() {
            true => render(|to| man.render_subcommands_section(to))?,
            false => String::new(),
        };
        pages.push((man.get_filename(), [title, name, usage(command)?, verbs].concat()));
    }
    Ok(pages)
}

/// One page of all: the verbs are sections, and what are sections of theirs are below.
fn whole(program: &Command) -> Result<String> {
    let man = Man::new(program.clone());
    let title = render(|to| man.render_title(to))?;
    let name = render(|to| man.render_name_section(to))?;
    let mut page = [title, name, usage(program)?].concat();
    for verb in program.get_subcommands() {
        let heading = format!("elbo {}", verb.get_name()).to_uppercase();
        page.push_str(&Roff::new().control("SH", [heading.as_str()]).to_roff());
        page.push_str(&usage(verb)?.replace("\n.SH ", "\n.SS "));
    }
    Ok(page)
}

/// A line that is not filled.
fn literal(page: &mut Roff, line: Inline) -> &mut Roff {
    page.control("nf", []).text([line]).control("fi", [])
}

/// How a command is called, what it does, its flags and its examples.
fn usage(command: &Command) -> Result<String> {
    let man = Man::new(command.clone());
    let synopsis = render(|to| man.render_synopsis_section(to))?;
    let description = render(|to| man.render_description_section(to))?;
    let options = render(|to| man.render_options_section(to))?;
    let mut examples = Roff::new();
    if let Some(text) = command.get_after_help() {
        examples.control("SH", ["EXAMPLES"]);
        let text = text.to_string();
        // What is indented stands as it is; the rest is paragraphs, a line each.
        for line in text.lines().filter(|line| !line.starts_with("Examples:")) {
            match line.strip_prefix("  ") {
                _ if line.is_empty() => examples.control("PP", []),
                Some(_) if line.starts_with("  elbo ") => literal(&mut examples, bold(line)),
                Some(_) => literal(&mut examples, roman(line)),
                None => examples.text([roman(line)]),
            };
        }
    }
    Ok([synopsis, description, options, in_ascii(&examples.render())].concat())
}
