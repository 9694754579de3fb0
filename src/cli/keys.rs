//! Every key of a configuration file with its unit, range, choices and source, as it is printed.

mod data;
mod model;
mod tables;

use elbo::Result;

use crate::cli::config_file::ConfigFile;

pub(super) use tables::TABLES;

/// A table of a configuration file.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    about: &'static str,
    pub(super) keys: &'static [Key],
}

/// A key of a table.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    about: &'static str,
    /// What may stand there, in TOML, if the default is that nothing does.
    example: Option<&'static str>,
}

const fn key(name: &'static str, about: &'static str) -> Key {
    Key { name, about, example: None }
}

const fn optional(name: &'static str, example: &'static str, about: &'static str) -> Key {
    Key { name, about, example: Some(example) }
}

const HEAD: &str = "\
Every key that `elbo train --config FILE` takes. A key that a file leaves out has its default. Flags win \
over --set, and --set over the file. `elbo config > FILE` writes the defaults; `elbo config --config FILE` \
shows what a file comes to. On the command line any key is `--set TABLE.KEY=VALUE`.";

/// Comments fit 80 columns, and no word of them is divided.
fn comments() -> textwrap::Options<'static> {
    textwrap::Options::new(80)
        .initial_indent("# ")
        .subsequent_indent("# ")
        .break_words(false)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
}

/// A file with a comment for every key.
pub(super) fn commented(file: &ConfigFile) -> Result<String> {
    let values = toml::Table::try_from(file)
        .map_err(|e| elbo::Error::config(e).hint("give numbers that TOML can hold"))?;
    let mut text = String::new();
    let comment = |text: &mut String, about: &str| {
        text.push_str(&textwrap::fill(&about.replace('\n', " "), comments()));
        text.push('\n');
    };
    comment(&mut text, HEAD);
    for table in TABLES {
        text.push('\n');
        comment(&mut text, table.about);
        text.push_str(&format!("[{}]\n", table.name));
        for Key { name, about, example } in table.keys {
            comment(&mut text, about);
            match (values.get(table.name).and_then(|table| table.get(name)), example) {
                // Not 0.00000001.
                (Some(toml::Value::Float(value)), _) => {
                    text.push_str(&format!("{name} = {value:?}\n"));
                }
                (Some(value), _) => {
                    let value = within_columns(value, 0, name.len() + 3);
                    text.push_str(&format!("{name} = {value}\n"));
                }
                (None, example) => {
                    text.push_str(&format!("# {name} = {}\n", example.unwrap_or_default()));
                }
            }
        }
    }
    Ok(text)
}

/// A value behind so many columns, a list broken into lines where it would not fit 80.
fn within_columns(value: &toml::Value, indent: usize, before: usize) -> String {
    const COLUMNS: usize = 80;
    let line = value.to_string();
    let fits = before + line.chars().count() <= COLUMNS;
    match value {
        toml::Value::Array(values) if !fits => {
            let inner = indent + 4;
            let mut lines: Vec<String> = Vec::new();
            for value in values {
                let item = within_columns(value, inner, inner) + ",";
                match lines.last_mut() {
                    Some(last) if last.chars().count() + 1 + item.chars().count() <= COLUMNS => {
                        *last += &format!(" {item}");
                    }
                    _ => lines.push(" ".repeat(inner) + &item),
                }
            }
            format!("[\n{}\n{}]", lines.join("\n"), " ".repeat(indent))
        }
        toml::Value::Table(values) if !fits => {
            let item = |(key, value): (&String, _)| {
                let value = within_columns(value, indent, indent + key.len() + 5);
                format!("{key} = {value}")
            };
            format!("{{ {} }}", values.iter().map(item).collect::<Vec<_>>().join(", "))
        }
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use elbo::Config;
    use elbo::config::{Layer, MOST};

    use super::*;
    use crate::cli::settings::Settings;

    /// The words between backticks in serde's complaint of something that is not known.
    fn known(text: &str, what: &str) -> Option<BTreeSet<String>> {
        let error = toml::from_str::<ConfigFile>(text).err()?;
        let rest =
            error.message().strip_prefix(&format!("unknown {what} `nonsense`, expected "))?;
        Some(rest.split('`').skip(1).step_by(2).map(str::to_owned).collect())
    }

    #[test]
    fn every_key_and_choice_is_explained() {
        let names = TABLES.iter().map(|table| table.name.to_owned()).collect();
        assert_eq!(known("nonsense = 1", "field"), Some(names), "the tables that can be read");
        let mut choices = 0;
        for Table { name, keys, .. } in TABLES {
            let names = keys.iter().map(|key| key.name.to_owned()).collect();
            let readable = known(&format!("[{name}]\nnonsense = 1"), "field");
            assert_eq!(readable, Some(names), "the keys of [{name}] that can be read");
            for Key { name: key, about, .. } in *keys {
                let text = format!("[{name}]\n{key} = 'nonsense'");
                for choice in known(&text, "variant").into_iter().flatten() {
                    choices += 1;
                    let mut words = about.split(|c: char| !(c.is_alphanumeric() || c == '-'));
                    assert!(words.any(|word| word == choice), "{key} does not explain {choice}");
                }
            }
        }
        assert!(choices > 20, "only {choices} choices were found");
    }

    /// The words of layers stand with the encoder's, or are activations.
    #[test]
    fn every_layer_is_explained() {
        let words = known("[model]\nencoder = ['nonsense']", "variant").expect("a complaint");
        assert_eq!(words, Layer::WORDS.map(str::to_owned).into(), "the words that can be read");
        let about = |name: &str| {
            let found = TABLES[0].keys.iter().find(|key| key.name == name);
            found.expect("a key of the model").about
        };
        let explained = format!("{} {}", about("encoder"), about("activation"));
        let explained: BTreeSet<_> =
            explained.split(|c: char| !(c.is_alphanumeric() || c == '-')).collect();
        for word in Layer::WORDS {
            assert!(explained.contains(word), "`{word}` is not explained");
        }
    }

    #[test]
    fn what_is_printed_is_read_as_it_was() {
        for preset in elbo::config::PRESETS {
            let config = Config::preset(preset).expect("a preset");
            let settings = Settings { keep: 3, ..Settings::default() };
            let file = ConfigFile::whole(config, settings);
            let text = commented(&file).expect("values that TOML has");
            assert_eq!(toml::from_str::<ConfigFile>(&text).expect("TOML"), file, "{text}");
            let long = text.lines().find(|line| line.chars().count() > 80);
            assert_eq!(long, None, "a line of more than 80 characters");
        }
    }

    /// What is commented out is a key as well, and its example can be read.
    #[test]
    fn what_is_left_out_is_shown() {
        let default = ConfigFile::whole(Config::default(), Settings::default());
        let text = commented(&default).expect("values that TOML has");
        let mut shown = 0;
        for Table { name: table, keys, .. } in TABLES {
            for Key { name, example, .. } in *keys {
                let line =
                    |line: &&str| line.trim_start_matches("# ").starts_with(&format!("{name} = "));
                let line = text.lines().find(line).expect("a line for each key");
                assert_eq!(example.is_some(), line.starts_with("# "), "[{table}] `{line}`");
                if let Some(line) = line.strip_prefix("# ") {
                    shown += 1;
                    let read = format!("[{table}]\n{line}");
                    let read = toml::from_str::<ConfigFile>(&read).expect("an example is valid");
                    assert_ne!(read, ConfigFile::default(), "`{line}` says something");
                }
            }
        }
        assert_eq!(shown, 12, "of [data], [train] and [run]");
    }

    #[test]
    fn ranges_are_those_that_are_held() {
        let most = format!("1 to {MOST}");
        for name in ["encoder", "epochs", "evaluate-every", "batch-size", "keep"] {
            let mut keys = TABLES.iter().flat_map(|table| table.keys);
            let about = keys.find(|key| key.name == name).expect("a key").about;
            assert!(about.replace('\n', " ").contains(&most), "{name}: `{about}`");
        }
    }
}
