//! `elbo sweep`: trains every combination of values, or random ones, and tells which is the best.

mod file;
mod outcome;
mod plan;

use std::path::{Path, PathBuf};

use elbo::checkpoint::{write_new, write_whole};
use elbo::{Error, ErrorKind, Result};

use crate::cli::config_file::ConfigFile;
use crate::cli::settings::{RunArgs, Settings};
use crate::cli::signals::Signals;
use crate::cli::summary::{Kind, Summary};
use crate::cli::sweep::file::Sweep;
use crate::cli::sweep::outcome::{Outcome, tell};
use crate::cli::sweep::plan::Combination;
use crate::cli::{talk, train};

/// What all runs of a sweep share, in its folder.
const BASE: &str = "base.toml";

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo sweep beta.toml --dry-run     # says what would be trained
  elbo sweep beta.toml
  elbo runs sweeps/beta --sort loss

The file is a configuration, as `elbo config` explains it, with the keys that are to vary (a search over \
hyperparameters). This one, beta.toml, trains 4 × 2 runs:

  [sweep]
  preset = \"classic\"               # or config = \"my.toml\"
  out = \"sweeps/beta\"              # where the runs go

  [train]                          # what all runs share
  epochs = 5

  [grid]                           # every combination
  objective.beta = [0.5, 1, 2, 4]
  optimizer.lr = [1e-3, 3e-4]

With [random] in place of [grid], `runs` combinations are drawn by `seed`, both keys of [sweep]. There a \
key also takes a range, as in optimizer.lr = { min = 1e-4, max = 1e-2, log = true }. In both, \
model.hidden = [[400], [512, 256]] sets the encoder and, mirrored, the decoder, as `--hidden` does.

Each combination is a run of its own, in a folder under `out` that its values name, as beta=0.5,lr=0.001. \
The same command goes on where it was stopped and skips what is done; more values may have been added by \
then. `--max-time` is of each run. Several processes may share a sweep, each on its own device: each \
leaves out what another one trains. At the end a table lists the runs by their lowest loss, and sweep.csv \
in `out` has it with the values. With `data.validation-fraction = 0.1` that loss is of validation images. \
Otherwise the test images choose the best run, and its loss on them is flattered.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The TOML file that says what is to be trained
    file: PathBuf,
    /// The folder for the runs [default: `out` in the file, or else sweeps/NAME for NAME.toml]
    #[arg(long, short, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// List the combinations and how far each is, and train nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    run: RunArgs,
    /// No progress on stderr
    #[arg(long, short)]
    quiet: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    let sweep = Sweep::read(&args.file)?;
    // What is wrong with the flags is said before anything is trained.
    args.run.over(sweep.settings.clone())?;
    let out = args.out.clone().unwrap_or_else(|| sweep.out.clone());
    let (faults, code) = match args.dry_run {
        true => (Vec::new(), 0),
        false => train_all(args, &sweep, &out)?,
    };
    // What was left to others may be done by now.
    let faults = faults.into_iter().chain(std::iter::repeat(None));
    let each = sweep.combinations.into_iter().zip(faults);
    let mut outcomes: Vec<_> = each.map(|(c, fault)| Outcome::of(c, &out, fault)).collect();
    if !args.dry_run {
        outcome::sort(&mut outcomes);
        write_whole(&out.join("sweep.csv"), outcome::csv(&outcomes).as_bytes())?;
    }
    tell(&outcomes, args.json)?;
    if code != 0 && !args.quiet {
        talk("the same command goes on");
    }
    let fault = outcomes.iter().find_map(Outcome::fault);
    Ok(fault.filter(|_| code == 0).map_or(code, ErrorKind::exit_code))
}

/// Trains all combinations in turn; why those came to nothing that did, and the code of the end that
/// was asked for.
fn train_all(args: &Args, sweep: &Sweep, out: &Path) -> Result<(Vec<Option<ErrorKind>>, u8)> {
    let signals = Signals::listen(None)?;
    begin(out, &sweep.base)?;
    let (mut faults, count) = (Vec::new(), sweep.combinations.len());
    for (combination, number) in sweep.combinations.iter().zip(1..) {
        if signals.end() != 0 {
            return Ok((faults, 128 + u8::try_from(signals.end()).unwrap_or(0)));
        }
        let name = format!("run {number} of {count}");
        match train_one(args, &sweep.settings, combination, out, &name) {
            Ok(0) => faults.push(None),
            Ok(code) => return Ok((faults, code)),
            // Other values may do better, and another process may be at this one.
            Err(e) if matches!(e.kind(), ErrorKind::Numbers | ErrorKind::InUse) => {
                crate::cli::tell(&e);
                faults.push(Some(e.kind()));
            }
            Err(e) => return Err(e),
        }
    }
    Ok((faults, 0))
}

/// Makes the folder of a sweep, or goes on with the one that is there, if its runs share the same.
fn begin(out: &Path, base: &toml::Table) -> Result<()> {
    let path = out.join(BASE);
    std::fs::create_dir_all(out).map_err(|e| {
        Error::io("make the folder", out, e).hint("name a folder that can be written by `--out`")
    })?;
    if !path.exists() {
        return write_new(&path, base.to_string().as_bytes());
    }
    let fail = |what: String| {
        let hint =
            "name another folder by `--out`: runs of different configurations are no one sweep";
        Err(Error::config(format!("`{}`: {what}", path.display())).hint(hint))
    };
    // A key that an older version did not know has its default.
    let (was, _) = ConfigFile::read(&path)?.into_parts();
    let was = ConfigFile::whole(was, Settings::default()).into_table()?;
    match plan::difference(&was, base) {
        None => Ok(()),
        Some((key, [was, is])) => {
            fail(format!("the runs there share `{key}` = {was}, and the file now says {is}"))
        }
    }
}

/// Trains a combination, or goes on with it, unless it is done; the code that training ended with.
fn train_one(
    args: &Args,
    settings: &Settings,
    combination: &Combination,
    out: &Path,
    name: &str,
) -> Result<u8> {
    let folder = out.join(&combination.name);
    let was = Summary::read(&folder);
    if was.is_finished() {
        return Ok(0);
    }
    if !args.quiet {
        talk(&format!("{name}: {}", combination.name));
    }
    let resume = match was.kind {
        Kind::Saved(_) => true,
        // Training would refuse it as well, but could not say what it is.
        Kind::Damaged(error) => return Err(error),
        Kind::Begun | Kind::Other { .. } => false,
    };
    let begun = matches!(was.kind, Kind::Begun);
    let trained = train::run(&train::Args::of(
        (combination.config.clone(), settings.clone()),
        (None, folder, resume),
        args.run.clone(),
        [args.quiet, args.json],
    ));
    trained.map_err(|e| match begun && e.kind() == ErrorKind::Config {
        true => e.hint("it was never saved: move the folder away, and the same command goes on"),
        false => e,
    })
}
