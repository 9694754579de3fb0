//! What is wrong with a configuration file, in words that name the key, the line and the nearest key.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::cli::keys;

/// How alike two words are, of 1, from where on the one may have been meant by the other: `epoch`
/// and `epochs` are 0.97, `dropout` and `data` 0.6.
const ALIKE: f64 = 0.8;

/// What a reader of TOML complains of, in words. Its complaints are those of serde, whose form is
/// fixed by the traits of `serde::de::Error`; what has another form is passed on.
pub(super) fn words(text: &str, error: &toml::de::Error) -> String {
    told(text, error, true)
}

/// What is wrong with a dotted key, such as `objective.beta`, or with a value for it, if anything is.
/// Neither stands in a file, so no line is told.
pub(super) fn of_value(key: &str, value: &toml::Value) -> Option<String> {
    let tables: Vec<_> = keys::TABLES.iter().map(|table| table.name).collect();
    let place = |above: &str, key| Place { above: above.to_owned(), key, line: None };
    let Some((above, name)) = key.split_once('.') else {
        let in_table = |name: &&str| key_is_in(name, key);
        return Some(match tables.iter().find(|name| in_table(name)) {
            Some(table) => format!("`{}` needs its table: `{table}.{key}`", shown(key, 40)),
            None => place("", key).unknown_key(key, &tables, true),
        });
    };
    let Some(table) = keys::TABLES.iter().find(|table| table.name == above) else {
        return Some(place("", above).unknown_key(above, &tables, true));
    };
    if !key_is_in(above, name) {
        let known: Vec<_> = table.keys.iter().map(|key| key.name).collect();
        return Some(place(above, name).unknown_key(name, &known, false));
    }
    let text = format!("{key} = {value}");
    let error = toml::from_str::<super::ConfigFile>(&text).err()?;
    Some(told(&text, &error, false))
}

/// Whether a table has a key.
fn key_is_in(table: &str, key: &str) -> bool {
    let mut tables = keys::TABLES.iter().filter(|known| known.name == table);
    tables.any(|table| table.keys.iter().any(|known| known.name == key))
}

/// What is wrong with a text, whose lines are told if they are the user's.
fn told(text: &str, error: &toml::de::Error, lines: bool) -> String {
    let (message, span) = (error.message(), error.span().unwrap_or_default());
    let line = text.get(..span.start).unwrap_or_default().matches('\n').count() + 1;
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(_) => return format!("line {line} is no TOML: {}", shown(message, 200)),
    };
    let (path, is_table) = path_at(&table, &span).unwrap_or_default();
    let Some((key, above)) = path.split_last() else {
        return format!("line {line}: {}", shown(message, 200));
    };
    let place = Place { above: above.join("."), key, line: lines.then_some(line) };
    if let Some((word, known)) = unknown(message, "unknown field `") {
        return place.unknown_key(word, &known, is_table);
    }
    if let Some((word, known)) = unknown(message, "unknown variant `") {
        return place.unknown_word(word, &known);
    }
    let expected = match message.rsplit_once(", expected ") {
        Some((_, expected)) if message.starts_with("invalid ") => Some(expected),
        // Of the words of an enum the reader says less.
        _ => message.strip_prefix("wanted "),
    };
    match expected {
        Some(expected) => {
            let value = shown(text.get(span).unwrap_or_default(), 40);
            format!("{place}{} `{value}`; it must be {}", place.is(), plain(expected))
        }
        None => format!("{place}: {}", shown(message, 200)),
    }
}

/// Where in a file a key stands.
struct Place<'a> {
    /// The name of its table; empty outside any.
    above: String,
    key: &'a str,
    /// The line, unless it stands in no file.
    line: Option<usize>,
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`{}{}", shown(self.key, 40), within(&self.above), self.line())
    }
}

impl Place<'_> {
    /// The line in words.
    fn line(&self) -> String {
        self.line.map_or(String::new(), |line| format!(", line {line}"))
    }

    /// What stands between the place and a value.
    fn is(&self) -> &'static str {
        if self.line.is_some() { ", is" } else { " is" }
    }

    fn unknown_key(&self, word: &str, known: &[&str], is_table: bool) -> String {
        let known = by_likeness(word, known);
        let shown = shown(word, 40);
        let line = self.line();
        // At the top everything that is known is a table.
        let top = self.above.is_empty();
        let quote = |name: &str| if top { format!("[{name}]") } else { format!("`{name}`") };
        let what = match is_table {
            true if top => format!("unknown table [{shown}]{line}"),
            true => format!("unknown table [{}.{shown}]{line}", self.above),
            false if top => format!("unknown key `{shown}` outside of a table{line}"),
            false => format!("unknown key `{shown}` in [{}]{line}", self.above),
        };
        let elsewhere = keys::TABLES.iter().find(|table| table.keys.iter().any(|k| k.name == word));
        match (known.first(), elsewhere) {
            (_, Some(table)) if !is_table => format!("{what}; it belongs to [{}]", table.name),
            (Some(&(near, name)), _) if near >= ALIKE => {
                format!("{what}; did you mean {}?", quote(name))
            }
            _ => {
                let known: Vec<_> = known.iter().map(|(_, name)| quote(name)).collect();
                format!("{what}; known are {}", known.join(", "))
            }
        }
    }

    fn unknown_word(&self, word: &str, known: &[&str]) -> String {
        let known = by_likeness(word, known);
        let meant = match known.first() {
            Some((near, name)) if *near >= ALIKE => format!("did you mean \"{name}\"? It"),
            _ => "it".to_owned(),
        };
        let all: Vec<_> = known.iter().map(|(_, name)| format!("\"{name}\"")).collect();
        let word = shown(word, 40);
        format!("{self}{} `{word}`; {meant} is one of {}", self.is(), all.join(", "))
    }
}

fn within(table: &str) -> String {
    match table {
        "" => String::new(),
        table => format!(" in [{}]", shown(table, 80)),
    }
}

/// What was not known, and what is, of a message that begins so.
fn unknown<'a>(message: &'a str, begins: &str) -> Option<(&'a str, Vec<&'a str>)> {
    let rest = message.strip_prefix(begins)?;
    // The word is the user's and may be anything; the names after it are ours.
    let (word, known) = rest.rsplit_once("`, ")?;
    let (word, known) = match word.rsplit_once("`, expected ") {
        Some((word, _)) => (word, &rest[word.len() + 1..]),
        None => (word, known),
    };
    Some((word, known.split('`').skip(1).step_by(2).collect()))
}

/// Known words with their likeness to another one, the likest first.
fn by_likeness<'a>(word: &str, known: &[&'a str]) -> Vec<(f64, &'a str)> {
    let word = word.to_lowercase().replace('_', "-");
    let mut known: Vec<_> =
        known.iter().map(|name| (strsim::jaro_winkler(&word, name), *name)).collect();
    known.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    known
}

/// The path of the key or value at a span, and whether it is a table.
fn path_at(table: &DeTable<'_>, span: &Range<usize>) -> Option<(Vec<String>, bool)> {
    table.iter().find_map(|(key, value)| {
        let name = || key.get_ref().to_string();
        let value_span = value.span();
        let inner = match value.get_ref() {
            DeValue::Table(inner) => path_at(inner, span),
            _ => None,
        };
        if let Some((mut path, is_table)) = inner {
            path.insert(0, name());
            return Some((path, is_table));
        }
        let inside = value_span.start <= span.start && span.end <= value_span.end;
        let is_table = value.get_ref().is_table();
        let here = key.span() == *span || value_span == *span || (inside && !is_table);
        here.then(|| (vec![name()], is_table))
    })
}

/// What serde calls a type, as a user would.
fn plain(expected: &str) -> &str {
    match expected {
        "usize" | "u64" | "u32" => "a whole number, 0 or more",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list of layers, such as [512, 256]",
        "a string" | "path string" => "text in quotes",
        "string or table" => "a word in quotes",
        other if other.starts_with("struct ") => "a table of keys",
        other => other,
    }
}

/// A piece of a file that can be printed: not too long, and without what moves a terminal's cursor.
fn shown(text: &str, most: usize) -> String {
    let text = text.trim();
    let cut: String = text.chars().take(most).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{more}", cut.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'"))
}

#[cfg(test)]
mod tests {
    use elbo::Config;
    use elbo::config::MOST_TOML;

    use crate::cli::config_file::{ConfigFile, from_toml, set};
    use crate::cli::keys;
    use crate::cli::settings::Settings;

    #[test]
    fn faults_of_layers_are_told_in_words() {
        for (text, expected) in [
            (
                "[model]\nencoder = [4,\n'nrom']",
                "`encoder` in [model], line 3, is `nrom`; did you mean \"norm\"? It is one of \"norm\", ",
            ),
            (
                "[model]\ndecoder = ['zzz']",
                "`decoder` in [model], line 2, is `zzz`; it is one of \"",
            ),
            (
                "[model]\nencoder = ['linear']",
                "line 2, is `'linear'`; it must be a whole number of units, a layer in quotes, such as",
            ),
        ] {
            let found = from_toml::<ConfigFile>(text).expect_err(text);
            assert!(found.contains(expected), "`{text}`:\n{found}\nshould have\n{expected}");
        }
    }

    #[test]
    fn faults_are_told_in_words() {
        let mut wrong = Vec::new();
        for (text, expected) in [
            (
                "\n[train]\nepoch = 3",
                "unknown key `epoch` in [train], line 3; did you mean `epochs`?",
            ),
            ("[train]\nbatch_size = 3", "in [train], line 2; did you mean `batch-size`?"),
            ("train.epoch = 3", "unknown key `epoch` in [train], line 1; did you mean `epochs`?"),
            ("run = { kep = 3 }", "unknown key `kep` in [run], line 1; did you mean `keep`?"),
            ("[trian]\nepochs = 3", "unknown table [trian], line 1; did you mean [train]?"),
            ("[train.data]\nx = 3", "`data` in [train], line 1, is `"),
            ("[train.nest]\nx = 3", "unknown table [train.nest], line 1; known are `"),
            ("[train]\nlr = 3", "unknown key `lr` in [train], line 2; it belongs to [optimizer]"),
            (
                "epochs = 3",
                "unknown key `epochs` outside of a table, line 1; it belongs to [train]",
            ),
            ("zzz = 3", "unknown key `zzz` outside of a table, line 1; known are [model], ["),
            ("[run]\nzzz = 3", "unknown key `zzz` in [run], line 2; known are `"),
            ("[run]\n\"a`, expected `b\" = 3", "unknown key `a`, expected `b` in [run], line 2;"),
            (
                "[model]\nactivation = 'rleu'",
                "`activation` in [model], line 2, is `rleu`; did you mean \"relu\"? It is one of \
                 \"relu\", ",
            ),
            ("[model]\nactivation = 'zzz'", "is `zzz`; it is one of \""),
            (
                "[model]\nactivation = 3",
                "`activation` in [model], line 2, is `3`; it must be a word",
            ),
            ("[run]\ntune = 'of'", "`tune` in [run], line 2, is `of`; did you mean \"off\"?"),
            (
                "[model]\nlatent = -2",
                "`latent` in [model], line 2, is `-2`; it must be a whole number, 0 or more",
            ),
            ("[model]\nlatent = 2.5", "`latent` in [model], line 2, is `2.5`; it must be a whole"),
            ("[model]\nlatent = 'x'", "`latent` in [model], line 2, is `'x'`; it must be a whole"),
            ("[model]\nencoder = 3", "is `3`; it must be a list of layers, such as [512, 256]"),
            ("[model]\nencoder = [4,\n-1]", "`encoder` in [model], line 3, is `-1`; it must be a"),
            (
                "[objective]\nbeta = 'x'",
                "`beta` in [objective], line 2, is `'x'`; it must be a num",
            ),
            ("[optimizer]\nnesterov = 1", "is `1`; it must be true or false"),
            ("[run]\ndevice = 0", "`device` in [run], line 2, is `0`; it must be text in quotes"),
            (
                "[run]\nmax-time = '8x'",
                "`max-time` in [run], line 2, is `'8x'`; it must be a time, s",
            ),
            ("[run]\nmax-time = 8", "`max-time` in [run], line 2, is `8`; it must be text in q"),
            ("train = 3", "`train`, line 1, is `3`; it must be a table of keys"),
            ("[[train]]", "`train`, line 1, is `"),
            ("not [[ TOML", "line 1 is no TOML: "),
            ("[run]\nkeep = 1\nkeep = 2", "line 3 is no TOML: duplicate key"),
            ("[run]\n\"\\u001b[2J\" = 1", "unknown key `\\u{1b}[2J` in [run], line 2; known"),
        ] {
            let found = from_toml::<ConfigFile>(text).expect_err(text);
            if !found.contains(expected) {
                wrong.push(format!("`{text}`:\n{found}\nshould have\n{expected}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
        let long = format!("[run]\n{} = 3", "k".repeat(200_000));
        let found = from_toml::<ConfigFile>(&long).expect_err("no such key");
        assert!(found.len() < 300, "a long key is cut: {} bytes", found.len());
    }

    /// What stands in no file is judged in the same words, without a line.
    #[test]
    fn faults_of_single_values_name_no_line() {
        let value =
            |text: &str| format!("x = {text}").parse::<toml::Table>().expect("TOML")["x"].clone();
        for (key, text, expected) in [
            ("beta", "1", "`beta` needs its table: `objective.beta`"),
            ("zzz", "1", "unknown table [zzz]; known are [model], ["),
            ("objectiv.beta", "1", "unknown table [objectiv]; did you mean [objective]?"),
            ("objective.bta", "1", "unknown key `bta` in [objective]; did you mean `beta`?"),
            ("objective.lr", "1", "unknown key `lr` in [objective]; it belongs to [optimizer]"),
            ("objective.beta.x", "1", "unknown key `beta.x` in [objective]; did you mean `beta`?"),
            ("objective.beta", "'x'", "`beta` in [objective] is `\"x\"`; it must be a number"),
            (
                "model.latent",
                "-2",
                "`latent` in [model] is `-2`; it must be a whole number, 0 or more",
            ),
            (
                "model.activation",
                "'rleu'",
                "`activation` in [model] is `rleu`; did you mean \"relu\"?",
            ),
            ("model.encoder", "[4, -1]", "`encoder` in [model] is `-1`; it must be a whole number"),
        ] {
            let mut table = toml::Table::new();
            let error = set(&mut table, key, value(text)).expect_err(key);
            assert!(error.to_string().starts_with(expected), "{key}: {error}\nnot {expected}");
            assert!(error.advice().is_some() && table.is_empty(), "{key}: a hint, and nothing set");
        }
        let mut table = toml::Table::new();
        for (key, text) in
            [("objective.beta", "4"), ("objective.beta", "0.5"), ("model.encoder", "[4, 'norm']")]
        {
            set(&mut table, key, value(text)).expect(key);
        }
        let (config, _) = ConfigFile::from_table(table).expect("a configuration").into_parts();
        assert_eq!(
            (config.objective.beta, config.model.encoder.0.len()),
            (0.5, 2),
            "the last wins"
        );
    }

    /// Whatever a file holds, it is read or refused with words that can be shown.
    #[test]
    fn no_file_is_too_hostile() {
        let file = ConfigFile::whole(Config::default(), Settings::default());
        let good: Vec<_> = keys::commented(&file).expect("TOML").chars().collect();
        let pieces =
            ["[", "]", "{", "}", "\"", "'", "=", ".", "é", "\u{202e}", "\0", "\n", "1", "x"];
        let mut random = 1_u64;
        let mut below = |most: usize| {
            // Knuth's generator: the high bits are good enough here.
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) as usize % most
        };
        let (mut read, mut refused) = (0, 0);
        for case in 0..20_000 {
            let mut text = good.clone();
            for _ in 0..=below(4) {
                let at = below(text.len());
                let end = (at + below(9)).min(text.len());
                text.splice(at..end, pieces[below(pieces.len())].chars());
            }
            let text: String = text.into_iter().collect();
            match from_toml::<ConfigFile>(&text) {
                Ok(_) => read += 1,
                Err(words) => {
                    refused += 1;
                    let fine = words.contains("line ") && words.len() < 1000;
                    let printed = words.chars().all(|c| !c.is_control() && c != '\u{202e}');
                    assert!(fine && printed, "case {case}: {words:?}");
                }
            }
        }
        assert!(read > 1000 && refused > 1000, "{read} read and {refused} refused");
        for deep in ["a.", "[", "[a]\n", "a={", "[[a]]\n", "a=["] {
            let words = from_toml::<ConfigFile>(&deep.repeat(MOST_TOML / deep.len()));
            assert!(words.expect_err(deep).len() < 1000, "`{deep}` over and over");
        }
    }
}
