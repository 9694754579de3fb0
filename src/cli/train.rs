//! `elbo train`: trains, says how it goes, and leaves a run folder.

mod about;
mod dashboard;
mod finished;
mod log;
mod run;
mod screen;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

use elbo::checkpoint::{Course, State};
use elbo::config::{Gradient, Likelihood, ModelConfig, Scale};
use elbo::data::{Opened, Sources};
use elbo::model::Architecture;
use elbo::train::scale_is_far;
use elbo::{Config, Dataset, Error, ErrorKind, Result, Trainer};
use serde_json::json;
use tempfile::TempDir;

use crate::cli::args::ConfigArgs;
use crate::cli::find::{data_places, is_in_variable};
use crate::cli::reading::{self, Manner};
use crate::cli::run_folder::RunFolder;
use crate::cli::run_name::run_name;
use crate::cli::settings::{RunArgs, Settings};
use crate::cli::signals::Signals;
use crate::cli::train::finished::finished;
pub(super) use crate::cli::train::finished::is_written;
use crate::cli::train::log::Log;
use crate::cli::train::run::{Run, Span};
use crate::cli::{print_line, talk};

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo train
  elbo train --device gpu --epochs 3 --out runs/first
  elbo train --data images/ --hidden 512,256 --latent 32 --beta 4
  elbo train --epochs 500 --patience 10 --max-time 8h --out runs/long
  elbo train --resume runs/long
  elbo train --set objective.free-bits=0.2 --set optimizer.warmup-steps=500
  elbo train --tui

The defaults are those of the preset classic. Flags win over --set, --set over --config or --preset. \
`elbo config` prints all hyperparameters with what they mean. Among those without a flag of their own \
are KL annealing (objective.warmup-steps, objective.cycle-steps), free bits against posterior collapse \
(objective.free-bits), and the learning rate's warm-up (optimizer.warmup-steps).";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Images: a folder of IDX files or pictures, or a file such as .npy, .npz, .csv or .mat; `elbo
    /// data` shows what is read [default: MNIST in assets/mnist, here or beside the program]
    #[arg(long, short, value_name = "PATH", help_heading = "Data")]
    data: Option<PathBuf>,
    /// The test images [default: those that --data holds, or a tenth of its images]
    #[arg(long, value_name = "PATH", help_heading = "Data")]
    test_data: Option<PathBuf>,
    /// The folder of the run [default: the next number under runs]
    #[arg(long, short, value_name = "FOLDER", help_heading = "Output")]
    out: Option<PathBuf>,
    /// Go on with the run in this folder, as if it had never stopped
    #[arg(long, value_name = "RUN", value_parser = run_name(), conflicts_with = "out", help_heading = "Output")]
    resume: Option<PathBuf>,
    /// Try everything once on a few images: steps, evaluation, saving, pictures, report; keep nothing
    #[arg(long, conflicts_with_all = ["out", "resume", "epochs", "max_steps", "limit"], help_heading = "Output")]
    fast_dev_run: bool,
    /// Print no progress on stderr
    #[arg(long, short, help_heading = "Output")]
    quiet: bool,
    /// Print one JSON object on each line
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// Show a dashboard with curves, speed, pictures and messages: q or Ctrl-C saves and ends, s saves
    #[arg(long, conflicts_with_all = ["json", "quiet"], help_heading = "Output")]
    tui: bool,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    run: RunArgs,
}

impl Args {
    /// What trains a configuration by such settings on data, or the default, in a folder, where it goes on
    /// if it is to be resumed.
    pub(super) fn of(
        (config, settings): (Config, Settings),
        (data, folder, resume): (Option<PathBuf>, PathBuf, bool),
        run: RunArgs,
        [quiet, json]: [bool; 2],
    ) -> Self {
        let (out, resume) = if resume { (None, Some(folder)) } else { (Some(folder), None) };
        let config = ConfigArgs::of(config, settings);
        let (test_data, fast_dev_run, tui) = (None, false, false);
        Self { config, data, test_data, out, resume, fast_dev_run, run, quiet, json, tui }
    }
}

pub(super) fn run(args: &Args) -> Result<u8> {
    let start = Instant::now();
    let signals = listen(args.tui)?;
    let (mut folder, state) = match &args.resume {
        Some(path) => RunFolder::resume(path).map(|(folder, state)| (Some(folder), Some(state)))?,
        None => (None, None),
    };
    let (mut config, settings) = match &state {
        Some(state) => args.config.resumed(&state.config)?,
        None => args.config.read()?,
    };
    let settings = args.run.over(settings)?;
    if let (Some(state), Some(folder)) = (&state, &folder)
        && let Some([why, more]) = finished(folder.path(), state, &config)?
    {
        return say_finished(args, (folder.path(), state.trained.step), [&why, &more]);
    }
    // A time that no clock reaches is no limit.
    let until = settings.max_time.and_then(|time| start.checked_add(time));
    let scratch = args.fast_dev_run.then(scratch).transpose()?;
    if let Some(path) = scratch.as_ref().map(TempDir::path).or(args.out.as_deref()) {
        folder = Some(RunFolder::claim(Some(path))?);
    }
    if args.fast_dev_run {
        (config.train.epochs, config.train.limit) = (1, FEW * config.train.batch_size);
    }
    let (opened, data) = open_data((args, &settings), &mut config, state.as_ref())?;
    let (device, why, precision) = settings.open()?;
    if !args.quiet {
        talk(&format!("device: {} ({why}), {precision}", device.name()));
    }
    let held_out = opened.validation.as_ref().unwrap_or(&opened.test);
    let mut trainer = Trainer::new(&device, &config, &opened.train, held_out)?;
    let looked_at = config.data.looked_at();
    if let Some(steps) = settings.steps_per_submit {
        trainer.set_steps_per_submit(steps);
    }
    let mut folder = match folder {
        Some(folder) => folder,
        None => RunFolder::claim(None)?,
    };
    if !args.quiet {
        let output = if args.fast_dev_run { None } else { Some(folder.path()) };
        tell_start(&trainer, &opened, (&data, output))?;
    }
    // What is looked at lies on the device now.
    let Opened { train, test, validation, .. } = opened;
    let test = validation.is_some().then_some(test);
    drop((train, validation));
    let (course, save) = match state {
        None => folder.begin(&config).map(|()| (Course::default(), true))?,
        Some(state) => go_on(args, state, (&mut trainer, config), &folder)?,
    };
    let resumed = args.resume.as_ref().map(|_| course.epochs * trainer.steps_per_epoch());
    let mut log = Log::new(args, folder, resumed, (data.display().to_string(), looked_at), start)?;
    log.start(&trainer, &device, &precision)?;
    if args.tui {
        log.show(&trainer, &device, &precision, &signals)?;
    }
    let span = Span { start, until, device, test };
    let mut run = Run::new((args, settings), (trainer, log, signals), course, span)?;
    if save {
        // From here on it can be resumed, with this configuration.
        run.save()?;
    }
    run.train()
}

/// Says what is trained, what was taken for what, and what may be better.
fn tell_start(trainer: &Trainer, opened: &Opened, places: (&Path, Option<&Path>)) -> Result<()> {
    let config = trainer.config();
    about::start(trainer, opened, places)?.iter().for_each(|line| talk(line));
    opened.said.iter().for_each(|said| talk(said));
    let notice = opened.train.notice(&config.model, config.train.pixels)?;
    notice.into_iter().for_each(talk);
    let size = opened.train.size();
    let of_decoder = Architecture::of(&config.model, size)?.notice(size);
    of_decoder.iter().for_each(|notice| talk(notice));
    tell_of_scale(config, trainer.deviation());
    tell_of_bias(config);
    tell_of_schedules(config, trainer.steps_per_epoch());
    Ok(())
}

/// Takes up a run where its state was saved; how far it is, and whether its configuration is another now.
fn go_on(
    args: &Args,
    mut state: State,
    (trainer, config): (&mut Trainer, Config),
    folder: &RunFolder,
) -> Result<(Course, bool)> {
    trainer.restore(&state)?;
    fits(trainer, state.course)?;
    other_device(state.device.as_deref(), trainer.device());
    let save = state.config != config;
    state.config = config;
    folder.go_on(&state)?;
    if !args.quiet {
        let (run, step) = (folder.path().display(), trainer.steps_taken());
        talk(&format!("`{run}` goes on after step {step}"));
    }
    Ok((state.course, save))
}

/// Minibatches of a run that only tries everything.
const FEW: usize = 4;

/// A folder for a run of which nothing is kept.
fn scratch() -> Result<TempDir> {
    tempfile::tempdir().map_err(|e| {
        Error::io("make a folder in", &std::env::temp_dir(), e)
            .hint("name a folder that can be written by the variable `TMPDIR`")
    })
}

/// Listens for signals; with a dashboard, an end at once gives the terminal back before.
fn listen(tui: bool) -> Result<Signals> {
    if tui && !std::io::stdout().is_terminal() {
        return Err(Error::config("`--tui` needs a terminal, and stdout is none")
            .hint("leave it out; `--json` is for programs that watch a run"));
    }
    let restore: fn() = dashboard::restore;
    Signals::listen(tui.then_some(restore))
}

/// Says that a run has nothing left to do.
fn say_finished(args: &Args, (run, step): (&Path, u64), [why, more]: [&str; 2]) -> Result<u8> {
    let name = run.display();
    print_line(&match args.json {
        true => {
            json!({"event": "end", "status": "finished", "step": step, "run": name.to_string()})
                .to_string()
        }
        false => format!("`{name}` is finished: {why}; nothing was changed"),
    })?;
    talk(&format!("hint: {more}"));
    Ok(0)
}

/// Says so where the likelihood's scale is fixed far from what the pixels deviate by.
fn tell_of_scale(config: &Config, deviation: f64) {
    if let Some([sigma, deviation]) = scale_is_far(&config.model, deviation) {
        talk(&format!(
            "note: the likelihood's scale is fixed at {sigma}, and the pixels' standard deviation is \
             {deviation:.3}: `--scale shared` learns the scale"
        ));
    }
}

/// Says so where the gradient that was asked for is not that of what is minimised.
fn tell_of_bias(config: &Config) {
    if config.objective.gradient == Gradient::Stl && config.objective.importance > 1 {
        talk(
            "note: with `--importance` above 1 the gradient `stl` is biased (Tucker et al. 2018); \
             `--set objective.gradient=dreg` is not",
        );
    }
}

/// Says so where a schedule is longer than the run of so many steps, so that what it leads to is never reached.
fn tell_of_schedules(config: &Config, per_epoch: u64) {
    let all = per_epoch * config.train.epochs as u64;
    let most = config.train.max_steps;
    let steps = if most > 0 { all.min(most) } else { all };
    for (key, length) in [
        ("objective.warmup-steps", config.objective.warmup_steps),
        ("objective.cycle-steps", config.objective.cycle_steps),
        ("objective.capacity-steps", config.objective.capacity_steps),
        ("objective.free-bits-steps", config.objective.free_bits_steps),
        ("optimizer.warmup-steps", config.optimizer.warmup_steps),
    ] {
        if length > steps {
            talk(&format!(
                "note: `{key}` is {length}, and the run has {steps} steps, so that it does not come to its end"
            ));
        }
    }
}

/// What colour is modelled by, and why.
const COLOUR: &str = "colours are modelled by `--likelihood normal --scale shared`, one learned scale for \
                      all (Rybkin et al. 2021): a coin for each colour would call grey the most likely";

/// The images, and where they were found. The configuration names them from now on, in full, so that the run
/// can be used from any folder; what was found by default is looked for again.
fn open_data(
    (args, settings): (&Args, &Settings),
    config: &mut Config,
    state: Option<&State>,
) -> Result<(Opened, PathBuf)> {
    let (data, test_data) =
        data_places(args.data.as_deref(), args.test_data.as_deref(), &config.train)?;
    let (test, reading) = (test_data.as_deref(), state.map(|state| &state.reading));
    let room = settings.room();
    let sources = Sources { test, reading, room, ..Sources::new(&data, config) };
    let quiet = args.quiet || args.json || args.tui;
    let opened = reading::open(sources, Manner { quiet, keep: !settings.no_cache });
    let mut opened = match &args.resume {
        Some(_) if args.data.is_none() => opened.map_err(|e| {
            e.hint("the run began with this data, from another folder perhaps: name it by `--data`")
        })?,
        _ => opened?,
    };
    opened.train = opened.train.limited(config.train.limit);
    if args.fast_dev_run {
        let few = |data: Dataset| data.limited(FEW * config.train.batch_size);
        (opened.test, opened.validation) = (few(opened.test), opened.validation.map(few));
    }
    if state.is_none() {
        fit_to_data(&args.config, config, &mut opened);
        // Later files are read as these were.
        config.data = opened.data.clone();
    }
    let named = args.data.is_some() || config.train.data.is_some() || is_in_variable();
    config.train.data = named.then(|| in_full(&data));
    config.train.test_data = test_data.as_deref().map(in_full);
    for labels in [&mut config.data.labels, &mut config.data.test_labels] {
        *labels = labels.as_deref().map(in_full);
    }
    config.validate()?;
    Ok((opened, data))
}

/// A path from the root, if the system says where this folder is.
fn in_full(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The likelihood of colour, where nobody chose one.
pub(super) fn fit_to_colour(model: &mut ModelConfig, opened: &mut Opened) {
    if opened.train.size().channels > 2 {
        (model.likelihood, model.scale) = (Likelihood::Normal, Scale::Shared);
        opened.said.push(COLOUR.to_owned());
    }
}

/// What nobody chose becomes what fits the data, which is said.
fn fit_to_data(typed: &ConfigArgs, config: &mut Config, opened: &mut Opened) {
    if typed.likelihood_is_default() {
        fit_to_colour(&mut config.model, opened);
    }
    let images = opened.train.len();
    if typed.batch_is_default() && images < config.train.batch_size {
        config.train.batch_size = images;
        let what = format!("a minibatch has all {images} images, since there are no more");
        opened.said.push(what);
    }
}

/// Refuses a course that cannot be that of so many steps.
fn fits(trainer: &Trainer, course: Course) -> Result<()> {
    let (step, per_epoch) = (trainer.steps_taken(), trainer.steps_per_epoch());
    let next = course.epochs.saturating_add(trainer.config().train.evaluate_every as u64);
    let (from, to) = (course.epochs.saturating_mul(per_epoch), next.saturating_mul(per_epoch));
    if (from..=to).contains(&step) {
        return Ok(());
    }
    let what = format!("a checkpoint of {} epochs and {step} steps", course.epochs);
    let what = format!("{what}, expected {from} to {to} steps");
    Err(Error::new(ErrorKind::Data, what).hint("the file may be damaged; take an older one"))
}

/// Says so where a run goes on elsewhere than it was.
fn other_device(was: Option<&str>, is: &str) {
    if let Some(was) = was.filter(|was| *was != is) {
        talk(&format!(
            "the run was on {was} and goes on on {is}: its numbers will not be the same to the bit"
        ));
    }
}
