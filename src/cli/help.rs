//! The command line as clap knows it, with what its derive cannot say: each flag's default, and which
//! flags a verb leaves out of its help.

use std::collections::BTreeMap;

use clap::error::ErrorKind;
use clap::{Arg, Command, CommandFactory, FromArgMatches};
use elbo::Config;

use crate::cli::config_file::ConfigFile;
use crate::cli::settings::Settings;
use crate::cli::{Cli, completions, keys, talk};

/// The headings of flags that stand for keys of a configuration.
const HEADINGS: [&str; 9] = [
    "Model",
    "Objective",
    "Optimiser",
    "Training",
    "Data",
    "Reading files",
    "Device",
    "Memory",
    "Saving and ending",
];

/// What a verb takes, as part of a configuration, and does not need: its help is shorter without.
const LEFT_OUT: [(&str, &[&str]); 2] = [
    (
        "info",
        &[
            "init",
            "seed",
            "lr",
            "schedule",
            "weight-decay",
            "momentum",
            "epochs",
            "max-steps",
            "patience",
            "evaluate-every",
            "log-every",
            "non-finite",
            "limit",
            "test-fraction",
            "split-seed",
        ],
    ),
    (
        "import",
        &[
            "init",
            "max-steps",
            "patience",
            "evaluate-every",
            "log-every",
            "limit",
            "test-fraction",
            "split-seed",
        ],
    ),
];

/// The key that a flag stands for, where that has another name.
pub(super) fn key_of(flag: &str) -> &str {
    match flag {
        "hidden" => "encoder",
        "optimizer" => "rule",
        "grey" | "color" => "channels",
        flag => flag,
    }
}

/// The program's verbs and flags, with defaults.
pub(super) fn command() -> Command {
    let defaults = defaults();
    Cli::command().mut_subcommands(|verb| {
        let left_out = LEFT_OUT.iter().find(|(name, _)| *name == verb.get_name());
        verb.mut_args(|arg| {
            let heading = arg.get_help_heading().unwrap_or_default();
            let flag = arg.get_long().unwrap_or_default().to_owned();
            let hidden = left_out.is_some_and(|(_, flags)| {
                flags.contains(&flag.as_str()) || heading == "Reading files"
            });
            let arg = match HEADINGS.contains(&heading) {
                true => with_default(arg, defaults.get(key_of(&flag))).hide(hidden),
                false => arg,
            };
            completions::with_values(arg)
        })
    })
}

/// The flag with its default behind what it means, unless that says one already.
fn with_default(arg: Arg, default: Option<&String>) -> Arg {
    let Some(help) = arg.get_help().map(ToString::to_string) else { return arg };
    match default {
        Some(default) if arg.get_action().takes_values() && !help.contains("[default:") => {
            arg.help(format!("{help} [default: {default}]"))
        }
        _ => arg,
    }
}

/// The default of each key that has one, as it would be typed.
fn defaults() -> BTreeMap<String, String> {
    let file = ConfigFile::whole(Config::default(), Settings::default());
    let file = toml::Table::try_from(file).expect("defaults can be written as TOML");
    let tables = keys::TABLES.iter().filter_map(|table| file.get(table.name)?.as_table());
    let pairs = tables.flat_map(|table| table.iter());
    pairs.map(|(key, value)| (key.clone(), typed(value))).collect()
}

fn typed(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Float(value) => value.to_string(),
        toml::Value::Array(values) => values.iter().map(typed).collect::<Vec<_>>().join(","),
        value => value.to_string(),
    }
}

/// Reads the command line; or the exit code, where there is nothing more to do.
pub(super) fn parse() -> Result<Cli, u8> {
    let read = || Cli::from_arg_matches(&command().try_get_matches()?);
    let read = match completions::answer() {
        Ok(true) => return Err(0),
        answered => answered.and_then(|_| read()),
    };
    read.map_err(|error| {
        match error.kind() {
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                // Whoever reads it may have gone away.
                let _ = error.print();
            }
            // Its tips look as our hints do.
            _ => talk(error.render().to_string().replace("\n  tip: ", "\nhint: ").trim_end()),
        }
        u8::try_from(error.exit_code()).unwrap_or(2)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verb(name: &str) -> Command {
        let mut program = command();
        program.build();
        program.find_subcommand(name).expect("a verb").clone()
    }

    fn help(verb: &Command, flag: &str) -> String {
        let mut flags = verb.get_arguments().filter(|arg| arg.get_long() == Some(flag));
        flags.next().and_then(Arg::get_help).expect("help of a flag").to_string()
    }

    /// What may be left out has a default, unless nothing stands in its place.
    #[test]
    fn every_key_with_a_default_tells_it() {
        let train = verb("train");
        for (flag, default) in [
            ("hidden", "400"),
            ("lr", "0.001"),
            ("beta", "1"),
            ("epochs", "10"),
            ("likelihood", "bernoulli"),
            ("keep", "1"),
            ("device", "auto"),
            ("range", "auto"),
            ("max-time", "no limit"),
        ] {
            let help = help(&train, flag);
            assert!(help.ends_with(&format!(" [default: {default}]")), "--{flag}: {help}");
        }
        let optional = ["image-size", "label-column", "group-column", "labels", "test-labels"];
        let mut told = 0;
        for arg in train.get_arguments().filter(|arg| arg.get_action().takes_values()) {
            let (flag, heading) = (arg.get_long().unwrap_or_default(), arg.get_help_heading());
            if heading.is_some_and(|h| HEADINGS.contains(&h)) && !optional.contains(&flag) {
                told += 1;
                let help = help(&train, flag);
                assert_eq!(help.matches("[default: ").count(), 1, "--{flag}: {help}");
            }
        }
        assert!(told > 40, "only {told} flags have a default");
    }

    #[test]
    fn a_letter_means_the_same_in_every_verb() {
        let mut program = command();
        program.build();
        let mut letters: BTreeMap<char, String> = BTreeMap::new();
        let flags = || {
            program
                .get_subcommands()
                .flat_map(|verb| verb.get_arguments().map(move |arg| (verb, arg)))
        };
        for (verb, arg) in flags() {
            if let (Some(short), Some(long)) = (arg.get_short(), arg.get_long()) {
                let first = letters.entry(short).or_insert_with(|| long.to_owned());
                assert_eq!(first, long, "-{short} of {}", verb.get_name());
            }
        }
        for (letter, long) in letters {
            for (verb, arg) in flags().filter(|(_, arg)| arg.get_long() == Some(&long)) {
                assert_eq!(arg.get_short(), Some(letter), "--{long} of {}", verb.get_name());
            }
        }
    }

    /// A heading is that of its own flags alone.
    #[test]
    fn a_verbs_own_flags_have_no_heading_of_others() {
        for (name, flag) in [("evaluate", "samples"), ("traverse", "range"), ("data", "json")] {
            let verb = verb(name);
            let mut found = verb.get_arguments().filter(|arg| arg.get_long() == Some(flag));
            let heading = found.next().expect("a flag").get_help_heading();
            assert_eq!(heading, None, "{name} --{flag}");
        }
    }

    #[test]
    fn what_a_verb_leaves_out_is_a_flag_of_it() {
        for (name, flags) in LEFT_OUT {
            let verb = verb(name);
            for flag in flags {
                let mut found = verb.get_arguments().filter(|arg| arg.get_long() == Some(flag));
                let hidden = found.next().expect("a flag").is_hide_set();
                assert!(hidden, "{name} --{flag}");
            }
        }
    }
}
