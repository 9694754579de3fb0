//! Which combinations a sweep trains, and what they are called.

use std::collections::BTreeSet;

use elbo::config::Config;
use elbo::{Error, Result};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::{Table, Value};

use crate::cli::config_file::{ConfigFile, set};
use crate::cli::keys;

/// What sets the encoder's layers and, mirrored, the decoder's, as the flag `--hidden` does.
const HIDDEN: &str = "model.hidden";

/// The most runs of a sweep.
const MOST: usize = 10_000;

/// The most characters of a name, below what file systems allow.
const MOST_NAME: usize = 120;

/// How values are put together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Way {
    /// Every combination.
    Grid,
    /// So many that are drawn by a seed.
    Random { runs: usize, seed: u64 },
}

impl Way {
    fn table(self) -> &'static str {
        match self {
            Self::Grid => "grid",
            Self::Random { .. } => "random",
        }
    }
}

/// A configuration that is one run of a sweep.
#[derive(Clone, Debug)]
pub(super) struct Combination {
    /// The name of its folder, of its values.
    pub(super) name: String,
    /// The keys that vary, with its values.
    pub(super) values: Vec<(String, Value)>,
    pub(super) config: Config,
}

/// The values that a key may have.
#[derive(Clone, Debug, PartialEq)]
enum Choice {
    List(Vec<Value>),
    Range { low: Value, high: Value, log: bool },
}

/// A range as it stands in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    min: Value,
    max: Value,
    #[serde(default)]
    log: bool,
}

/// The combinations of a table of keys over a configuration, each judged.
pub(super) fn combinations(varied: &Table, way: Way, base: &Table) -> Result<Vec<Combination>> {
    let table = way.table();
    let mut keys = Vec::new();
    for (key, value) in flat(varied) {
        let fail = |what: String| Error::config(format!("`{key}` in [{table}] {what}"));
        if key.starts_with("run.") {
            return Err(fail("cannot vary: it does not decide the numbers of a run".to_owned())
                .hint("put it into a table [run], which all runs share"));
        }
        keys.push((
            key.clone(),
            choice(&value, way).map_err(|what| {
                fail(what).hint(match way {
                    Way::Grid => "give a list, such as [0.5, 1, 2]",
                    Way::Random { .. } => {
                        "give a list, or a range such as { min = 1e-4, max = 1e-2, log = true }"
                    }
                })
            })?,
        ));
    }
    let count = match way {
        Way::Grid => {
            keys.iter().fold(1_usize, |all, (_, choice)| all.saturating_mul(choice.count()))
        }
        Way::Random { runs, .. } => runs,
    };
    if keys.is_empty() || !(1..=MOST).contains(&count) {
        let what = format!(
            "[{table}] makes {} runs; a sweep has 1 to {MOST}",
            if keys.is_empty() { 0 } else { count }
        );
        return Err(
            Error::config(what).hint("give keys with lists of values, as objective.beta = [1, 2]")
        );
    }
    let mut names = BTreeSet::new();
    let mut all = Vec::new();
    for number in 0..count {
        let values = match way {
            Way::Grid => nth(&keys, number),
            Way::Random { seed, .. } => drawn(&keys, seed, number),
        };
        let combination = combination(values, base)?;
        // Draws from short lists come twice, and one run of each is enough.
        if names.insert(combination.name.clone()) {
            all.push(combination);
        }
    }
    Ok(all)
}

/// Keys and values, where a key may be dotted or stand in a table of its own.
fn flat(varied: &Table) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (name, value) in varied {
        match value {
            Value::Table(keys) if !name.contains('.') => {
                all.extend(
                    keys.iter().map(|(key, value)| (format!("{name}.{key}"), value.clone())),
                );
            }
            value => all.push((name.clone(), value.clone())),
        }
    }
    all
}

/// Reads the values of a key; the error goes on after its name.
fn choice(value: &Value, way: Way) -> std::result::Result<Choice, String> {
    match value {
        Value::Array(values) if values.is_empty() => Err("has no values".to_owned()),
        Value::Array(values) => Ok(Choice::List(values.clone())),
        Value::Table(_) if way != Way::Grid => {
            let range: Range = value
                .clone()
                .try_into()
                .map_err(|e: toml::de::Error| format!("is no range: {}", e.message()))?;
            let Range { min, max, log } = range;
            match [&min, &max].map(number) {
                [Some(low), Some(high)] if low < high && (low > 0.0 || !log) => {
                    Ok(Choice::Range { low: min, high: max, log })
                }
                [Some(_), Some(_)] if log => {
                    Err(format!("is from {min} to {max}; with `log` it goes up from above 0"))
                }
                _ => Err(format!("is from {min} to {max}; expected numbers that go up")),
            }
        }
        other => Err(format!("is {other}; it must be a list of values")),
    }
}

/// A finite number.
fn number(value: &Value) -> Option<f64> {
    let number = value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64));
    number.filter(|number| number.is_finite())
}

impl Choice {
    fn count(&self) -> usize {
        match self {
            Self::List(values) => values.len(),
            Self::Range { .. } => 1,
        }
    }

    /// The value at a share, from 0 to below 1, of the way.
    fn at(&self, share: f64) -> Value {
        match self {
            Self::List(values) => {
                values[(share * values.len() as f64) as usize % values.len()].clone()
            }
            Self::Range { low, high, log } => match (low, high) {
                // Both ends may come, each as often as those between.
                (&Value::Integer(low), &Value::Integer(high)) => {
                    let (from, to) = (low as f64, high as f64 + 1.0);
                    let whole = between(from, to, share, *log).floor() as i64;
                    Value::Integer(whole.clamp(low, high))
                }
                _ => {
                    let [low, high] = [low, high].map(|end| number(end).unwrap_or_default());
                    Value::Float(rounded(between(low, high, share, *log)).clamp(low, high))
                }
            },
        }
    }
}

fn between(low: f64, high: f64, share: f64, log: bool) -> f64 {
    match log {
        true => (low.ln() + share * (high.ln() - low.ln())).exp(),
        false => low + share * (high - low),
    }
}

/// Three digits, which a name has room for; what is trained is what is told.
fn rounded(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

/// The values of a combination of a grid, the last key first.
fn nth(keys: &[(String, Choice)], mut number: usize) -> Vec<(String, Value)> {
    let mut values = Vec::new();
    for (key, choice) in keys.iter().rev() {
        let count = choice.count();
        values.push((key.clone(), choice.at((number % count) as f64 / count as f64)));
        number /= count;
    }
    values.reverse();
    values
}

/// The values of a drawn combination. A key's values do not depend on the others, nor on how many are
/// drawn, so that a sweep can be made longer.
fn drawn(keys: &[(String, Choice)], seed: u64, number: usize) -> Vec<(String, Value)> {
    let value = |(key, choice): &(String, Choice)| {
        let hash = Sha256::digest(format!("{seed} {number} {key}"));
        let word = hash.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        // 53 bits, as many as a number below 1 has.
        (key.clone(), choice.at((word >> 11) as f64 / (1_u64 << 53) as f64))
    };
    keys.iter().map(value).collect()
}

/// The configuration of values over a base, judged.
fn combination(values: Vec<(String, Value)>, base: &Table) -> Result<Combination> {
    let mut table = base.clone();
    for (key, value) in &values {
        if key != HIDDEN {
            set(&mut table, key, value.clone())?;
            continue;
        }
        let layers = match value {
            Value::Array(layers) => layers.clone(),
            one => vec![one.clone()],
        };
        set(&mut table, "model.encoder", Value::Array(layers.clone()))?;
        set(&mut table, "model.decoder", Value::Array(layers.into_iter().rev().collect()))?;
    }
    let (name, (config, _)) = (name(&values), ConfigFile::from_table(table)?.into_parts());
    config.validate().map_err(|e| {
        let advice = e.advice().unwrap_or("leave that value out").to_owned();
        Error::config(format!("{name}: {e}")).hint(advice)
    })?;
    Ok(Combination { name, values, config })
}

/// The name of values, as beta=0.5,lr=0.001.
fn name(values: &[(String, Value)]) -> String {
    let each: Vec<_> =
        values.iter().map(|(key, value)| format!("{}={}", short(key), shown(value))).collect();
    let exact = each.join(",");
    let plain = |c: char| c.is_ascii_alphanumeric() || "=.,+-_".contains(c);
    let name: String =
        exact.chars().map(|c| if plain(c) { c } else { '-' }).take(MOST_NAME).collect();
    match name == exact {
        true => name,
        false => {
            let hash = Sha256::digest(exact.as_bytes());
            let digits: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            format!("{name}-{digits}")
        }
    }
}

/// A key without its table, where there is one of that name.
fn short(key: &str) -> &str {
    let last = key.rsplit('.').next().unwrap_or(key);
    let named = keys::TABLES.iter().filter(|table| table.keys.iter().any(|key| key.name == last));
    if named.count() > 1 { key } else { last }
}

/// A value as it stands in names and tables.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let each: Vec<_> = values.iter().map(shown).collect();
            if each.is_empty() { "none".to_owned() } else { each.join("-") }
        }
        // Not 0.00000001.
        Value::Float(value) => format!("{value:?}").trim_end_matches(".0").to_owned(),
        value => value.to_string(),
    }
}

/// The first key of what decides the numbers of two configurations that differs, with both values.
pub(super) fn difference(was: &Table, is: &Table) -> Option<(String, [String; 2])> {
    let tables: BTreeSet<_> = was.keys().chain(is.keys()).collect();
    // How a run is done is no part of what it is.
    tables.into_iter().filter(|name| *name != "run").find_map(|name| {
        let keys =
            |table: &Table| table.get(name).and_then(Value::as_table).cloned().unwrap_or_default();
        let (was, is) = (keys(was), keys(is));
        let all: BTreeSet<_> = was.keys().chain(is.keys()).collect();
        let key = all.into_iter().find(|key| was.get(*key) != is.get(*key))?;
        let shown =
            |table: &Table| table.get(key).map_or("nothing".to_owned(), ToString::to_string);
        Some((format!("{name}.{key}"), [shown(&was), shown(&is)]))
    })
}
