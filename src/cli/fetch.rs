//! `elbo fetch`: downloads data sets from where their publishers keep them, or lists those that it knows.

mod download;
pub(super) mod sets;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use elbo::{Error, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::cli::find::data_home;
use crate::cli::{print_line, talk};
use download::{agent, download, is_there};
use sets::Set;

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo fetch                                # what there is, and what is here
  elbo fetch fashion-mnist
  elbo train --data fashion-mnist
  elbo fetch cifar10 --out /data/cifar10";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The sets to download; without a name they are listed
    #[arg(value_name = "NAME", value_parser = names())]
    sets: Vec<&'static Set>,
    /// The folder for the files of one set [default: one where `--data NAME` finds it]
    #[arg(long, short, value_name = "FOLDER", requires = "sets")]
    out: Option<PathBuf>,
    /// Print one JSON object for each set
    #[arg(long)]
    json: bool,
    /// Say nothing on stderr but what went wrong
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    if args.sets.is_empty() {
        return list(args.json);
    }
    if args.out.is_some() && args.sets.len() > 1 {
        return Err(Error::config("`--out` is the folder of one set, and several are named")
            .hint("give `--out` with one name at a time, or leave it out"));
    }
    for set in &args.sets {
        let folder = match &args.out {
            Some(folder) => folder.clone(),
            None => home_of(set)?,
        };
        fetch(set, &folder, args)?;
        tell(set, &folder, args)?;
    }
    Ok(0)
}

/// For tests: where all sets are served from, in place of the scheme and the host of each address. Only what
/// has the published hashes is taken from there, too.
fn served_here() -> Option<String> {
    std::env::var("ELBO_FETCH_FROM").ok()
}

fn names() -> impl TypedValueParser<Value = &'static Set> {
    PossibleValuesParser::new(sets::all().map(|set| set.name))
        .map(|name| named(Path::new(&name)).expect("the parser lets no other name through"))
}

/// The set of a name, as others write it too: `CIFAR-10`, `fashion_mnist`.
pub(super) fn named(name: &Path) -> Option<&'static Set> {
    let plain = |name: &str| -> String {
        let letters = name.chars().filter(|c| !matches!(c, '-' | '_'));
        letters.map(|c| c.to_ascii_lowercase()).collect()
    };
    let name = plain(name.to_str()?);
    sets::all().find(|set| plain(set.name) == name)
}

/// How large something is, in words.
pub(super) fn size(bytes: u64) -> String {
    ByteSize(bytes).display().si().to_string()
}

/// What is read of a set if it was downloaded.
pub(super) fn fetched(set: &Set) -> Option<PathBuf> {
    let folder = data_home()?.join(set.name);
    is_here(set, &folder).then(|| read_of(set, &folder))
}

/// The name of a set that was perhaps meant by a word.
pub(super) fn meant(word: &Path) -> Option<&'static str> {
    let word = word.to_str()?.to_lowercase();
    let likeness = |set: &&Set| strsim::jaro_winkler(&word, set.name);
    let nearest = sets::all().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(&nearest) >= 0.85).then_some(nearest.name)
}

/// What `--data` takes of a set in a folder.
fn read_of(set: &Set, folder: &Path) -> PathBuf {
    set.read.map_or(folder.to_owned(), |name| folder.join(name))
}

/// Whether all files are in a folder; a file that was downloaded has its name only when it is whole.
fn is_here(set: &Set, folder: &Path) -> bool {
    set.files.iter().all(|file| folder.join(file.name).is_file())
}

/// Whether a folder has nothing, or a download that is to go on.
pub(super) fn is_begun(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    names.is_empty()
        || names.iter().any(|name| Path::new(name).extension().is_some_and(|end| end == "part"))
}

fn home_of(set: &Set) -> Result<PathBuf> {
    data_home().map(|home| home.join(set.name)).ok_or_else(|| {
        Error::config("the system does not say where this user's data belongs")
            .hint("set HOME, or name a folder with `--out`")
    })
}

/// Downloads the files of a set that are not there.
fn fetch(set: &Set, folder: &Path, args: &Args) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|e| {
        Error::io("make the folder", folder, e)
            .hint("choose a folder that can be written with `--out`")
    })?;
    let silent = args.quiet || args.json;
    if !silent {
        talk(&format!("{}: {}, {}", set.name, set.what, size(set.bytes())));
    }
    let from = served_here();
    let agent = agent(from.is_none());
    for file in set.files {
        if is_there(&folder.join(file.name), file)? {
            if !silent {
                talk(&format!("  {} is here", file.name));
            }
            continue;
        }
        let addresses: Vec<_> = set
            .mirrors
            .iter()
            .map(|mirror| moved(&format!("{mirror}{}", file.name), from.as_deref()))
            .collect();
        let bar = if silent { ProgressBar::hidden() } else { ProgressBar::new(file.bytes) };
        let style =
            ProgressStyle::with_template("  {msg} {wide_bar} {bytes}/{total_bytes}  {eta} left");
        let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(file.name);
        let got = download(&agent, (file, &addresses), folder, &|bytes| bar.set_position(bytes));
        bar.finish_and_clear();
        got?;
        if !silent {
            talk(&format!("  {}, {}, as published", file.name, size(file.bytes)));
        }
    }
    Ok(())
}

/// An address, or the same path on another server.
fn moved(address: &str, server: Option<&str>) -> String {
    let path = address.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    match (server, path) {
        (Some(server), Some((_, path))) => format!("{server}/{path}"),
        _ => address.to_owned(),
    }
}

/// What to type to train on a set.
fn command(set: &Set, folder: &Path, out: Option<&Path>) -> String {
    match out {
        None => format!("elbo train --data {}", set.name),
        Some(_) => format!("elbo train --data {}", read_of(set, folder).display()),
    }
}

/// Says where a set lies, and what to do with it.
fn tell(set: &Set, folder: &Path, args: &Args) -> Result<()> {
    if args.json {
        let mut object = about(set, folder);
        object["event"] = json!("fetched");
        object["data"] = json!(read_of(set, folder));
        return print_line(&object.to_string());
    }
    print_line(&format!("{} is in {}", set.name, folder.display()))?;
    if !args.quiet {
        talk(&format!("train on it: {}", command(set, folder, args.out.as_deref())));
    }
    Ok(())
}

fn about(set: &Set, folder: &Path) -> serde_json::Value {
    json!({
        "event": "set", "name": set.name, "what": set.what, "bytes": set.bytes(),
        "licence": set.licence, "home": set.home, "here": is_here(set, folder), "folder": folder,
    })
}

/// Lists the sets.
fn list(as_json: bool) -> Result<u8> {
    for set in sets::all() {
        let folder = home_of(set)?;
        if as_json {
            print_line(&about(set, &folder).to_string())?;
            continue;
        }
        let here = match is_here(set, &folder) {
            true => format!("here: {}", folder.display()),
            false => format!("{} to download", size(set.bytes())),
        };
        print_line(&format!("{:<14} {}", set.name, set.what))?;
        print_line(&format!("{:<14} {here}", ""))?;
        print_line(&format!("{:<14} licence: {}", "", set.licence))?;
        print_line(&format!("{:<14} {}", "", set.home))?;
    }
    if !as_json && std::io::stderr().is_terminal() {
        talk("`elbo fetch NAME` downloads one; then `elbo train --data NAME` trains on it");
    }
    Ok(0)
}
