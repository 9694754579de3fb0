//! The verbs of the program, one file each; the only place that prints.
mod anomaly;
mod args;
mod bench;
mod card;
mod compare;
mod completions;
mod components;
mod config;
mod config_file;
mod data;
mod decode;
mod devices;
mod encode;
mod evaluate;
mod events;
mod export;
mod fetch;
mod find;
mod gallery;
mod help;
mod import;
mod info;
mod interpolate;
mod keys;
mod levels;
mod limit;
mod man;
mod onnx;
mod picture;
mod place;
mod probe;
mod python;
mod quality;
mod reading;
mod reconstruct;
mod report;
mod reproduce;
mod run_folder;
mod run_name;
mod runs;
mod sample;
mod sampler;
mod scatter;
mod selftest;
mod settings;
mod signals;
mod subject;
mod summary;
mod sweep;
mod table;
mod train;
mod traverse;
mod weights;
mod widths;
mod wrap;

use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use elbo::{Error, Result};

/// Trains variational autoencoders with WGSL compute shaders on any GPU, or on the CPU.
///
/// Results go to stdout, messages and progress to stderr. Exit codes: 0 done; 1 failed (a file's content
/// is wrong, there is no such device); 2 a wrong flag or configuration; 3 the numbers are not finite; 74 the
/// system refused to read or write; 75 another process uses the run; 129, 130 and 143 a signal ended it,
/// after a save unless it was the second one.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 80)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Trains a model on images, by default the classic VAE on MNIST.
    #[command(after_help = train::EXAMPLES)]
    Train(train::Args),
    /// Shows how images would be read, without training on them.
    #[command(after_help = data::EXAMPLES)]
    Data(data::Args),
    /// Downloads data sets, such as MNIST, Fashion-MNIST and CIFAR, or lists them.
    #[command(after_help = fetch::EXAMPLES)]
    Fetch(fetch::Args),
    /// Evaluates a model: its losses, its likelihood and its active latent dimensions.
    #[command(after_help = evaluate::EXAMPLES)]
    Evaluate(evaluate::Args),
    /// Samples images from the prior, or from a fit to the codes.
    #[command(after_help = sample::EXAMPLES)]
    Sample(sample::Args),
    /// Shows images beside their reconstructions.
    #[command(after_help = reconstruct::EXAMPLES)]
    Reconstruct(reconstruct::Args),
    /// Interpolates between images through the latent space.
    #[command(after_help = interpolate::EXAMPLES)]
    Interpolate(interpolate::Args),
    /// Shows what each dimension of z does (latent traversal).
    #[command(after_help = traverse::EXAMPLES)]
    Traverse(traverse::Args),
    /// Plots the latent codes of images, coloured by class.
    #[command(after_help = scatter::EXAMPLES)]
    Scatter(scatter::Args),
    /// Encodes images: writes means, log-variances and z.
    #[command(after_help = encode::EXAMPLES)]
    Encode(encode::Args),
    /// Decodes latent codes from a file, and writes the images.
    #[command(after_help = decode::EXAMPLES)]
    Decode(decode::Args),
    /// Measures how well simple classifiers work on the latent codes.
    #[command(after_help = probe::EXAMPLES)]
    Probe(probe::Args),
    /// Measures the quality of samples and reconstructions.
    #[command(after_help = quality::EXAMPLES)]
    Quality(quality::Args),
    /// Scores images by how unlikely they are (anomaly detection).
    #[command(after_help = anomaly::EXAMPLES)]
    Anomaly(anomaly::Args),
    /// Exports weights as safetensors, or the encoder or decoder as ONNX.
    #[command(after_help = export::EXAMPLES)]
    Export(export::Args),
    /// Imports weights, such as a PyTorch model's, as a new run.
    #[command(after_help = import::EXAMPLES)]
    Import(import::Args),
    /// Writes a web page with a run's curves, pictures and configuration.
    #[command(after_help = report::EXAMPLES)]
    Report(report::Args),
    /// Lists the runs of a folder with their models and losses.
    #[command(after_help = runs::EXAMPLES)]
    Runs(runs::Args),
    /// Trains every combination of hyperparameters, or random ones, each as a run.
    #[command(after_help = sweep::EXAMPLES)]
    Sweep(sweep::Args),
    /// Compares runs: their losses, what differs, and a page with their curves.
    #[command(after_help = compare::EXAMPLES)]
    Compare(compare::Args),
    /// Trains a published model, and compares the result with the published one.
    #[command(after_help = reproduce::EXAMPLES)]
    Reproduce(reproduce::Args),
    /// Benchmarks a device and training steps, or runs a stress test.
    #[command(after_help = bench::EXAMPLES)]
    Bench(bench::Args),
    /// Lists the devices to train on.
    #[command(after_help = devices::EXAMPLES)]
    Devices(devices::Args),
    /// Describes a run; or shows the plan of a model, without a device.
    #[command(after_help = info::EXAMPLES)]
    Info(info::Args),
    /// Tests every kernel on a device against its f64 reference.
    #[command(after_help = selftest::EXAMPLES)]
    Selftest(selftest::Args),
    /// Prints a configuration file that explains every hyperparameter.
    #[command(after_help = config::EXAMPLES)]
    Config(config::Args),
    /// Prints a script that completes commands in a shell.
    #[command(after_help = completions::EXAMPLES)]
    Completions(completions::Args),
    /// Prints the manual, or writes its pages to a folder.
    #[command(after_help = man::EXAMPLES)]
    Man(man::Args),
}

/// Runs what was typed, in a process that began at `start`.
pub(crate) fn run(start: Instant) -> ExitCode {
    let cli = match help::parse() {
        Ok(cli) => cli,
        Err(code) => return ExitCode::from(code),
    };
    let result = match cli.command {
        Command::Train(args) => train::run(&args),
        Command::Data(args) => data::run(&args),
        Command::Fetch(args) => fetch::run(&args),
        Command::Bench(args) => bench::run(&args, start),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Sample(args) => sample::run(&args),
        Command::Reconstruct(args) => reconstruct::run(&args),
        Command::Interpolate(args) => interpolate::run(&args),
        Command::Traverse(args) => traverse::run(&args),
        Command::Scatter(args) => scatter::run(&args),
        Command::Encode(args) => encode::run(&args),
        Command::Decode(args) => decode::run(&args),
        Command::Probe(args) => probe::run(&args),
        Command::Quality(args) => quality::run(&args),
        Command::Anomaly(args) => anomaly::run(&args),
        Command::Devices(args) => devices::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Info(args) => info::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Reproduce(args) => reproduce::run(&args),
        Command::Runs(args) => runs::run(&args),
        Command::Sweep(args) => sweep::run(&args),
        Command::Selftest(args) => selftest::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            tell(&error);
            ExitCode::from(error.kind().exit_code())
        }
    }
}

fn tell(error: &Error) {
    talk(&format!("error: {error}"));
    if let Some(advice) = error.advice() {
        talk(&format!("hint: {advice}"));
    }
}

/// Says something on stderr, if anybody listens, in lines that fit its terminal.
fn talk(line: &str) {
    use std::io::Write;
    let stderr = std::io::stderr();
    let line = wrap::wrapped(line, wrap::columns(&stderr));
    let _ = writeln!(stderr.lock(), "{line}");
}

/// Prints a result in lines that fit the terminal, unless whoever reads it has gone away.
fn print_line(line: &str) -> Result<()> {
    match wrap::is_exact(line) {
        true => print_exact(line),
        false => print_exact(&wrap::wrapped(line, wrap::columns(std::io::stdout()))),
    }
}

/// The date and the time, in UTC.
fn now() -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()
}

/// Whether nobody reads stdout any more: a pipe's reader ended, or a terminal was closed.
fn is_gone(error: &std::io::Error) -> bool {
    let closed = error.kind() == std::io::ErrorKind::BrokenPipe;
    // A terminal that is gone gives EIO, as a broken disk does for a file.
    #[cfg(unix)]
    let closed = closed
        || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
            && rustix::fs::fstat(std::io::stdout()).is_ok_and(|stdout| {
                rustix::fs::FileType::from_raw_mode(stdout.st_mode).is_char_device()
            });
    closed
}

/// Prints a result that programs read, or that is copied: as it is.
fn print_exact(line: &str) -> Result<()> {
    use std::io::Write;
    match writeln!(std::io::stdout().lock(), "{line}") {
        Err(e) if !is_gone(&e) => Err(Error::io("write to", std::path::Path::new("<stdout>"), e)
            .hint("free some space, or let the output go elsewhere")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    /// Clap finds flags that clash only when they are used, unless it is asked.
    #[test]
    fn flags_do_not_clash() {
        super::help::command().debug_assert();
    }

    /// Flags of `train` that have no key: they say what this one call reads, writes and prints.
    const WITHOUT_KEY: [&str; 10] = [
        "preset",
        "config",
        "set",
        "out",
        "resume",
        "fast-dev-run",
        "quiet",
        "json",
        "tui",
        "help",
    ];

    #[test]
    fn every_flag_of_train_is_a_key() {
        let mut program = super::help::command();
        program.build();
        let train = program.find_subcommand("train").expect("a verb");
        let is_key = |name: &str| {
            let mut keys = super::keys::TABLES.iter().flat_map(|table| table.keys);
            keys.any(|key| key.name == name)
        };
        let mut flags = 0;
        for flag in train.get_arguments().filter_map(clap::Arg::get_long) {
            flags += 1;
            assert!(
                is_key(super::help::key_of(flag)) != WITHOUT_KEY.contains(&flag),
                "--{flag} has a key, or none"
            );
        }
        assert!(flags > 30, "only {flags} flags were found");
    }
}
