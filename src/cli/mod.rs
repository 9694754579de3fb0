//! The verbs of the program, one file each; the only place that prints.
mod anomaly;
mod args;
mod bench;
mod card;
mod compare;
mod completions;
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
mod import;
mod info;
mod interpolate;
mod keys;
mod man;
mod onnx;
mod picture;
mod place;
mod probe;
mod reading;
mod reconstruct;
mod report;
mod reproduce;
mod run_folder;
mod run_name;
mod runs;
mod sample;
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

use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use elbo::{Error, Result};

/// Trains variational autoencoders with WGSL compute shaders on any GPU, or on the CPU.
///
/// Results go to stdout, talk and progress to stderr. Exit codes: 0 done, 1 failed (a file's
/// content is wrong, no such device), 2 misused (a flag or a configuration), 3 the numbers broke,
/// 74 the system refused input or output, 75 the run is in use by another process, 130 and 143 ended
/// by a signal, after a save unless it was the second.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Trains a model on images, by default the classic VAE on MNIST.
    #[command(after_help = train::EXAMPLES)]
    Train(train::Args),
    /// Says what would be read of images, and how, without training on them.
    #[command(after_help = data::EXAMPLES)]
    Data(data::Args),
    /// Downloads data sets, such as MNIST, Fashion-MNIST and CIFAR; without a name lists them.
    #[command(after_help = fetch::EXAMPLES)]
    Fetch(fetch::Args),
    /// Says what a trained model is worth: its losses, likelihood and used dimensions.
    #[command(after_help = evaluate::EXAMPLES)]
    Evaluate(evaluate::Args),
    /// Draws images from the prior.
    #[command(after_help = sample::EXAMPLES)]
    Sample(sample::Args),
    /// Shows images beside what the model makes of them.
    #[command(after_help = reconstruct::EXAMPLES)]
    Reconstruct(reconstruct::Args),
    /// Shows the way from one image to another.
    #[command(after_help = interpolate::EXAMPLES)]
    Interpolate(interpolate::Args),
    /// Shows what each dimension of z does, or the plane of a model of two.
    #[command(after_help = traverse::EXAMPLES)]
    Traverse(traverse::Args),
    /// Shows where the encoder puts images, coloured by their labels.
    #[command(after_help = scatter::EXAMPLES)]
    Scatter(scatter::Args),
    /// Writes what the encoder makes of images: means, log-variances and z.
    #[command(after_help = encode::EXAMPLES)]
    Encode(encode::Args),
    /// Writes the images that the decoder makes of z in a file.
    #[command(after_help = decode::EXAMPLES)]
    Decode(decode::Args),
    /// Says how well simple classifiers tell classes by the encoder's means.
    #[command(after_help = probe::EXAMPLES)]
    Probe(probe::Args),
    /// Scores images by how unlikely they are, and says how well that finds anomalies.
    #[command(after_help = anomaly::EXAMPLES)]
    Anomaly(anomaly::Args),
    /// Writes a run's weights as safetensors, or its encoder or decoder as ONNX.
    #[command(after_help = export::EXAMPLES)]
    Export(export::Args),
    /// Makes a run of weights in a safetensors file, such as a PyTorch model's.
    #[command(after_help = import::EXAMPLES)]
    Import(import::Args),
    /// Writes a page with a run's curves, pictures and configuration into its folder.
    #[command(after_help = report::EXAMPLES)]
    Report(report::Args),
    /// Lists the runs of a folder with their models and losses.
    #[command(after_help = runs::EXAMPLES)]
    Runs(runs::Args),
    /// Trains every combination of values, or random ones, each as a run of its own.
    #[command(after_help = sweep::EXAMPLES)]
    Sweep(sweep::Args),
    /// Sets runs side by side: their losses, what differs, and a page with their curves.
    #[command(after_help = compare::EXAMPLES)]
    Compare(compare::Args),
    /// Trains what others have published, and holds the result against theirs.
    #[command(after_help = reproduce::EXAMPLES)]
    Reproduce(reproduce::Args),
    /// Measures a device's peaks and a model's training steps, or runs a burn-in.
    #[command(after_help = bench::EXAMPLES)]
    Bench(bench::Args),
    /// Lists the devices that can be trained on.
    #[command(after_help = devices::EXAMPLES)]
    Devices(devices::Args),
    /// Says what a run is and how far it got; or shows the plan of a model, without a device.
    #[command(after_help = info::EXAMPLES)]
    Info(info::Args),
    /// Runs every kernel's cases on a device and compares them with the f64 reference.
    #[command(after_help = selftest::EXAMPLES)]
    Selftest(selftest::Args),
    /// Prints a configuration file with every key explained.
    #[command(after_help = config::EXAMPLES)]
    Config(config::Args),
    /// Prints a script that completes verbs and flags in a shell.
    #[command(after_help = completions::EXAMPLES)]
    Completions(completions::Args),
    /// Prints the manual, or writes its pages to a folder.
    #[command(after_help = man::EXAMPLES)]
    Man(man::Args),
}

/// Runs what was typed, in a process that began at `start`.
pub(crate) fn run(start: Instant) -> ExitCode {
    let result = match Cli::parse().command {
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

/// Says something on stderr, if anybody listens.
fn talk(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Prints a result, unless whoever reads it has gone away.
fn print_line(line: &str) -> Result<()> {
    use std::io::Write;
    match writeln!(std::io::stdout().lock(), "{line}") {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::io("write to", std::path::Path::new("<stdout>"), e)
                .hint("free some space, or let the output go elsewhere"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    /// Clap finds flags that clash only when they are used, unless it is asked.
    #[test]
    fn flags_do_not_clash() {
        super::Cli::command().debug_assert();
    }

    /// Flags of `train` that have no key: they say what this one call reads, writes and prints.
    const WITHOUT_KEY: [&str; 9] =
        ["preset", "config", "out", "resume", "fast-dev-run", "quiet", "json", "tui", "help"];

    #[test]
    fn every_flag_of_train_is_a_key() {
        let mut program = super::Cli::command();
        program.build();
        let train = program.find_subcommand("train").expect("a verb");
        let is_key = |name: &str| {
            let mut keys = super::keys::TABLES.iter().flat_map(|table| table.keys);
            keys.any(|key| key.name == name)
        };
        let mut flags = 0;
        for flag in train.get_arguments().filter_map(clap::Arg::get_long) {
            let name = match flag {
                "hidden" => "encoder",
                "optimizer" => "rule",
                "grey" | "color" => "channels",
                flag => flag,
            };
            flags += 1;
            assert!(is_key(name) != WITHOUT_KEY.contains(&flag), "--{flag} has a key, or none");
        }
        assert!(flags > 30, "only {flags} flags were found");
    }
}
