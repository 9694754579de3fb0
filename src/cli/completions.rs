//! `elbo completions`: what a shell asks to complete verbs, flags and their values.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use clap::{Arg, ValueEnum};
use clap_complete::engine::{
    ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};
use clap_complete::env::Shells;
use clap_complete::{CompleteEnv, Shell};
use elbo::{Error, Result};

use crate::cli::run_folder::CHECKPOINT;
use crate::cli::{help, print_exact};

pub(super) const EXAMPLES: &str = "\
Examples:
  mkdir -p ~/.local/share/bash-completion/completions
  elbo completions bash > ~/.local/share/bash-completion/completions/elbo

  mkdir -p ~/.zfunc  # in ~/.zshrc, before compinit: fpath+=(~/.zfunc)
  elbo completions zsh > ~/.zfunc/_elbo

  mkdir -p ~/.config/fish/completions
  elbo completions fish > ~/.config/fish/completions/elbo.fish

  elbo completions powershell >> $PROFILE";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell that will read the script
    #[arg(value_enum)]
    shell: Shell,
}

/// What a shell's script sets when it asks the program.
const VARIABLE: &str = "ELBO_COMPLETE";

pub(super) fn run(args: &Args) -> Result<u8> {
    let name = args.shell.to_possible_value();
    let name = name.as_ref().map_or("", |name| name.get_name());
    let shells = Shells::builtins();
    let shell = shells.completer(name).ok_or_else(|| {
        Error::config(format!("there are no completions for `{name}`")).hint("choose another shell")
    })?;
    let mut script = Vec::new();
    // Writing to memory does not fail.
    let _ = shell.write_registration(VARIABLE, "elbo", "elbo", "elbo", &mut script);
    print_exact(String::from_utf8_lossy(&script).trim())?;
    Ok(0)
}

/// Answers a shell that asks how a line may go on; whether one did.
pub(super) fn answer() -> clap::error::Result<bool> {
    let folder = std::env::current_dir().ok();
    CompleteEnv::with_factory(help::command)
        .var(VARIABLE)
        .try_complete(std::env::args_os(), folder.as_deref())
}

/// The flag with what it may be given, where clap does not know that.
pub(super) fn with_values(arg: Arg) -> Arg {
    let name = arg.get_value_names().and_then(<[_]>::first).map(ToString::to_string);
    match name.as_deref() {
        Some("RUN") => arg.add(ArgValueCompleter::new(runs)),
        Some("DEVICE") => arg.add(ArgValueCandidates::new(|| {
            ["auto", "cpu", "gpu"].map(CompletionCandidate::new).into()
        })),
        _ => arg,
    }
}

/// The runs in the folder `runs`, and any path.
fn runs(typed: &OsStr) -> Vec<CompletionCandidate> {
    let entries = fs::read_dir("runs").into_iter().flatten().flatten();
    let mut runs: Vec<_> = entries
        .filter(|entry| entry.path().join(CHECKPOINT).is_file())
        .map(|entry| Path::new("runs").join(entry.file_name()))
        .filter(|path| path.to_string_lossy().starts_with(&*typed.to_string_lossy()))
        .collect();
    runs.sort();
    let mut found: Vec<_> = runs.iter().map(CompletionCandidate::new).collect();
    // What has no run below `runs` may have one elsewhere.
    if found.is_empty() {
        found = PathCompleter::any().complete(typed);
    }
    found
}
