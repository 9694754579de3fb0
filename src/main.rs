//! The program: reads the command line, runs a verb, prints what went wrong and exits with its code.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
