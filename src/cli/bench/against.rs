//! `elbo bench --against PROGRAM`: two builds in turn, so that what the machine does meets both.

use std::path::Path;
use std::process::Command;

use elbo::bench::{Figure, Pace};
use elbo::{Device, Error, Result};

use crate::cli::bench::about::About;
use crate::cli::bench::compare::{Old, Run};
use crate::cli::bench::output::{Printer, Row};
use crate::cli::bench::workload::Workload;
use crate::cli::bench::{Args, Progress};

/// The flags of one round, which earlier versions know too.
fn flags(args: &Args, workloads: &[Workload]) -> Vec<String> {
    let mut flags: Vec<_> =
        ["bench", "--json", "--quiet", "--repetitions", "1"].map(str::to_owned).into();
    flags.extend(["--seconds".to_owned(), args.seconds.to_string()]);
    flags.extend(args.device.flags());
    let models = args.model.iter().flat_map(|name| ["--model".to_owned(), name.clone()]);
    flags.extend(models);
    if let Some(path) = &args.config {
        flags.extend(["--config".to_owned(), path.to_string_lossy().into_owned()]);
    }
    // Each once, though they were judged for every model.
    let sizes = if args.batch_size.is_empty() { &[] } else { &workloads[..args.batch_size.len()] };
    for Workload { config, .. } in sizes {
        flags.extend(["--batch-size".to_owned(), config.train.batch_size.to_string()]);
    }
    flags
}

/// One round of a program.
fn round(program: &Path, flags: &[String]) -> Result<Run> {
    let output = Command::new(program).args(flags).output();
    let output = output.map_err(|e| {
        Error::io("run", program, e).hint("`--against` takes another build of elbo, by its path")
    })?;
    let fail = |what: String| {
        Error::data(program, what).hint("run its `elbo bench --json` alone to see more")
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let error = said.lines().find(|line| line.starts_with("error")).unwrap_or("no error told");
        return Err(fail(format!("ended with {}: {error}", output.status)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut runs = Run::parse(&text, |what| fail(format!("printed no benchmark: {what}")))?;
    Ok(runs.swap_remove(0))
}

/// Measures both in rounds, each of which begins with the one that the last ended with.
pub(super) fn against(
    args: &Args,
    program: &Path,
    device: Device,
    (pace, workloads): (Pace, &[Workload]),
    printer: &mut Printer,
) -> Result<u8> {
    let about = About::of(&device);
    // A device of ours would only be in the way.
    drop(device);
    let ours = std::env::current_exe().map_err(|e| Error::io("find", Path::new("elbo"), e))?;
    let flags = flags(args, workloads);
    let mut runs: [Option<Run>; 2] = [None, None];
    let mut progress = Progress::new(args, pace);
    for number in 0..pace.repetitions() {
        let order = if number % 2 == 0 { [0, 1] } else { [1, 0] };
        for at in order {
            let found = round([ours.as_path(), program][at], &flags)?;
            match &mut runs[at] {
                None => runs[at] = Some(found),
                Some(run) => run.append(found),
            }
        }
        progress.round(number);
    }
    let [Some(ours), Some(theirs)] = runs else { return Ok(0) };
    printer.compare_with(Old::beside(theirs));
    printer.start(about)?;
    let groups = ours.entries.chunk_by(|a, b| (&a.subject, a.batch) == (&b.subject, b.batch));
    for group in groups {
        let figures = group.iter().map(|e| Figure::new(&e.name, &e.unit, e.samples.clone()));
        let figures: Vec<_> = figures.collect();
        let batch = group[0].batch.map(|batch| batch as usize);
        let mut row = Row { subject: group[0].subject.clone(), batch, ..Row::default() };
        row.shape = ours.said(&row, "model").unwrap_or_default();
        row.schedules = ours.said(&row, "schedules").unwrap_or_default();
        printer.row(row, &figures, (&[], None))?;
    }
    Ok(0)
}
