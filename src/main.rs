//! The program: reads the command line, runs a verb, prints what went wrong and exits with its code.

mod cli;

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    // Before anything else: `elbo bench` says how long the first step took from here.
    cli::run(Instant::now())
}
