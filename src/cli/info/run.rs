//! What a run is: its model, objective and data, how far it got, its files, and what to type next.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bytesize::ByteSize;

use elbo::checkpoint::{AVERAGE, Best, FIRST, SECOND};
use elbo::metrics::Nats;
use elbo::{Error, ErrorKind, Result};
use serde_json::{Value, json};

use crate::cli::card::{goal, likelihood, rule};
use crate::cli::print_line;
use crate::cli::run_folder::{TIMINGS, lines};
use crate::cli::run_name::typed;
use crate::cli::summary::{Header, Kind, Summary};
use crate::cli::table::{paragraph, table};

/// Where what is told of a label begins.
const INDENT: usize = 12;

/// Tells of the run in a folder.
pub(super) fn tell(path: &Path, json: bool) -> Result<()> {
    if path.is_file() {
        let what = format!("`{}` is a file; `elbo info` takes the folder of a run", path.display());
        return Err(Error::config(what).hint("name the folder that it lies in"));
    }
    let run = Summary::read(path);
    let fault = match run.kind {
        Kind::Saved(ref header) => {
            let ended = ended(path);
            let told = match json {
                true => vec![in_json(&run, header, &ended)?.to_string()],
                false => in_words(&run, header, &ended)?,
            };
            return told.iter().try_for_each(|line| print_line(line));
        }
        Kind::Damaged(error) => return Err(error),
        _ if !path.exists() => "is not there",
        Kind::Begun => "holds a run that was not saved yet",
        Kind::Other { .. } => "holds no run",
    };
    Err(Error::new(ErrorKind::Data, format!("`{}` {fault}", path.display()))
        .hint("`elbo runs` lists the runs under `runs`, `elbo runs FOLDER` those elsewhere"))
}

/// The names and shapes of the weights, without their moments: averages, if there are any.
fn weights(header: &Header) -> Vec<(&str, &[usize])> {
    let averaged = header.config.optimizer.average > 0.0;
    let name = |name| match averaged {
        true => str::strip_prefix(name, AVERAGE),
        false => (!name.starts_with(FIRST) && !name.starts_with(SECOND)).then_some(name),
    };
    let all = header.tensors.iter();
    let mut weights: Vec<_> =
        all.filter_map(|(key, shape)| Some((name(key)?, shape.as_slice()))).collect();
    // From x on, as far as the names tell: files have them by name.
    let paths = header.paths();
    weights.sort_by_key(|(key, _)| paths.iter().position(|path| key.starts_with(path)));
    weights
}

fn count(shape: &[usize]) -> usize {
    shape.iter().fold(1, |all, side| all.saturating_mul(*side))
}

/// How the last session ended, as the run noted; nothing where it did not.
fn ended(path: &Path) -> Option<Value> {
    let session = |line: &Value| matches!(line["event"].as_str(), Some("start" | "end"));
    lines(&path.join(TIMINGS)).filter(session).last().filter(|line| line["event"] == "end")
}

fn in_json(run: &Summary, header: &Header, ended: &Option<Value>) -> Result<Value> {
    let [encoder, decoder] = header.layers()?;
    let weights = weights(header);
    let mut line = run.json();
    let config = serde_json::to_value(&header.config)
        .map_err(|e| Error::config(e).hint("paths that are UTF-8 can be printed"))?;
    for (key, value) in [
        ("encoder", json!(encoder)),
        ("decoder", json!(decoder)),
        ("parameters", json!(weights.iter().map(|(_, shape)| count(shape)).sum::<usize>())),
        ("weights", json!(weights.iter().copied().collect::<std::collections::BTreeMap<_, _>>())),
        ("image", json!([header.size.height, header.size.width, header.size.channels])),
        ("reading", json!(header.reading.to_string())),
        ("fingerprints", header.fingerprints().into_iter().collect()),
        ("device", json!(header.device)),
        ("ended", ended.as_ref().map_or(Value::Null, |end| end["status"].clone())),
        ("seconds", ended.as_ref().map_or(Value::Null, |end| end["seconds"].clone())),
        ("config", config),
    ] {
        line[key] = value;
    }
    Ok(line)
}

fn in_words(run: &Summary, header: &Header, ended: &Option<Value>) -> Result<Vec<String>> {
    let Header { config, size, reading, .. } = header;
    let [encoder, decoder] = header.layers()?;
    let weights = weights(header);
    let parameters: usize = weights.iter().map(|(_, shape)| count(shape)).sum();
    let train = &config.train;
    let data = match &train.data {
        Some(path) => path.display().to_string(),
        // Nobody named it, and it was found.
        None if header.data.is_some() => {
            "MNIST, found where it is looked for by default".to_owned()
        }
        None => "not named".to_owned(),
    };
    let limit = match train.limit {
        0 => String::new(),
        limit => format!("; the first {limit} training images"),
    };
    let mut told: Vec<(&str, String)> = vec![
        ("run", run.path.display().to_string()),
        ("encoder", format!("{encoder}, {} parameters in all", parameters)),
        ("decoder", decoder),
        ("activation", config.model.activation.name().to_owned()),
        ("likelihood", likelihood(&config.model)),
        ("minimised", goal(&config.model, &config.objective)),
        ("optimiser", format!("{}; batch {}", rule(&config.optimizer), train.batch_size)),
        ("data", data),
        ("images", format!("{size}{limit}: {reading}")),
    ];
    if header.data.is_some() {
        let prints = header.fingerprints().into_iter();
        let short = prints.map(|(of, print)| format!("{print:.12}… ({of})"));
        told.push(("SHA-256", short.collect::<Vec<_>>().join(", ")));
    }
    told.push(("trained", trained(run, header)));
    told.push(("ended", words_of_end(run, ended)));
    told.extend(header.device.iter().map(|device| ("device", device.clone())));
    let mut lines: Vec<_> =
        told.iter().flat_map(|(label, text)| paragraph(label, INDENT, text)).collect();
    lines.push(String::new());
    let rows: Vec<_> = weights
        .iter()
        .map(|(name, shape)| {
            let sides: Vec<_> = shape.iter().map(ToString::to_string).collect();
            [(*name).to_owned(), sides.join(" × "), count(shape).to_string()]
        })
        .collect();
    lines.extend(table(["weights", "shape", "parameters"], &rows, 1));
    lines.push(String::new());
    lines.extend(table(["file", "size"], &files(&run.path), 1));
    lines.push(String::new());
    lines.push("next".to_owned());
    lines.extend(next(run).into_iter().map(|command| format!("  {command}")));
    Ok(lines)
}

/// How far training is, and its losses.
fn trained(run: &Summary, header: &Header) -> String {
    let Header { trained, course, config, .. } = header;
    let epochs = format!("{} of {} epochs", course.epochs, config.train.epochs);
    let mut text = format!("{} steps, {epochs}", trained.step);
    if let Some(best) = run.best {
        let (looked_at, Best { epoch, loss }) = (config.data.looked_at(), best);
        text += &format!("; the lowest {looked_at} loss is {:.2}, in epoch {epoch}", Nats(loss));
    }
    if let Some(last) = run.last {
        text += &format!("; the last is {:.2}", Nats(last));
    }
    if let Some(nll) = run.nll {
        text += &format!("; NLL {nll:.2}");
    }
    if trained.skipped + trained.rolled_back > 0 {
        let (skipped, back) = (trained.skipped, trained.rolled_back);
        text += &format!("; numbers broke: {skipped} steps left out, {back} times back");
    }
    text
}

/// Why the last session ended.
fn words_of_end(run: &Summary, ended: &Option<Value>) -> String {
    let Some(end) = ended else {
        return match run.is_done() {
            true => "there is nothing left to train".to_owned(),
            false => "not yet, or it was killed".to_owned(),
        };
    };
    let why = match end["status"].as_str().unwrap_or_default() {
        "done" => "all epochs or steps are done",
        "patience" => "no epoch was better for too long (early stopping by patience)",
        "time" => "the time was up (max-time)",
        "asked" => "the key q asked for it",
        "signal" => "a signal, such as Ctrl-C",
        "failed" => "it failed",
        _ => "for a reason that this version does not know",
    };
    let seconds = end["seconds"].as_f64().and_then(|s| Duration::try_from_secs_f64(s.round()).ok());
    let time = seconds.map_or(String::new(), |time| {
        format!("; the last session took {}", humantime::format_duration(time))
    });
    format!("{why}{time}")
}

/// The files of a run with their sizes; folders with the sizes of what they hold.
fn files(run: &Path) -> Vec<[String; 2]> {
    let entries = fs::read_dir(run).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .filter_map(|entry| {
            let (name, about) =
                (entry.file_name().to_string_lossy().into_owned(), entry.metadata().ok()?);
            Some(match about.is_dir() {
                true => (format!("{name}/"), crate::cli::summary::bytes(&entry.path())),
                false => (name, about.len()),
            })
        })
        .collect();
    files.sort();
    let size = |bytes| ByteSize(bytes).display().iec().to_string();
    files.into_iter().map(|(name, bytes)| [name, size(bytes)]).collect()
}

/// Commands that can be typed next.
fn next(run: &Summary) -> Vec<String> {
    let path = typed(&run.path);
    let more = match run.limit().zip(run.header()) {
        Some((limit, header)) => limit.more(&run.path, &header.config),
        None => Some(format!("elbo train --resume {path}")),
    };
    let mut commands = Vec::from_iter(more);
    commands.push(format!("elbo sample {path}"));
    if run.nll.is_none() {
        commands.push(format!("elbo evaluate {path} --samples 1000"));
    }
    commands.push(format!("elbo report {path}"));
    commands
}
