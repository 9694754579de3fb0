//! `elbo completions`: a script that completes verbs and flags in a shell.

use clap::CommandFactory;
use clap_complete::{Shell, generate};
use elbo::Result;

use crate::cli::{Cli, print_line};

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo completions bash > ~/.local/share/bash-completion/completions/elbo
  elbo completions zsh > ~/.zfunc/_elbo
  elbo completions fish > ~/.config/fish/completions/elbo.fish
  elbo completions powershell >> $PROFILE";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell that will read the script
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "elbo", &mut script);
    print_line(String::from_utf8_lossy(&script).trim_end())?;
    Ok(0)
}
