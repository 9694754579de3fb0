//! `elbo completions`: a script that completes verbs and flags in a shell.

use clap_complete::{Shell, generate};
use elbo::Result;

use crate::cli::{help, print_exact};

pub(super) const EXAMPLES: &str = "\
Examples:
  mkdir -p ~/.local/share/bash-completion/completions
  elbo completions bash > ~/.local/share/bash-completion/completions/elbo

  mkdir -p ~/.zfunc  # and in ~/.zshrc: fpath+=(~/.zfunc); autoload -U compinit; compinit
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

pub(super) fn run(args: &Args) -> Result<u8> {
    let mut script = Vec::new();
    generate(args.shell, &mut help::command(), "elbo", &mut script);
    print_exact(String::from_utf8_lossy(&script).trim_end())?;
    Ok(0)
}
