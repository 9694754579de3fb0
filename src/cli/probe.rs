//! `elbo probe`: how well simple classifiers tell classes by what the encoder makes of images.

use elbo::checkpoint::State;
use elbo::probe::{DEFAULT_C, DEFAULT_K, Features, Logistic, accuracy, nearest};
use elbo::{Dataset, Device, Error, Model, Result};
use serde_json::json;

use crate::cli::subject::{DataArgs, ModelArgs, Split};
use crate::cli::{print_line, talk};

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo probe runs/0001
  elbo probe runs/0001 --k 10 --c 0.1 --json
  elbo probe runs/0001 --limit 5000 --pixels   # and the pixels, to compare

The classifiers learn from the encoder's means of the training images. Their accuracy is measured on the test images. With --pixels it may take minutes; --limit shortens it.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    data: DataArgs,
    /// The number of nearest neighbours that vote (k-NN)
    #[arg(long, default_value_t = DEFAULT_K)]
    k: usize,
    /// The inverse strength C of the logistic regression's L2 penalty, as in scikit-learn
    #[arg(long, default_value_t = DEFAULT_C)]
    c: f64,
    /// Use only the first N training images and the first N test images [default: all]
    #[arg(long, default_value_t = 0, value_name = "N", hide_default_value = true)]
    limit: usize,
    /// Also classify by the pixels, to compare
    #[arg(long)]
    pixels: bool,
    /// Print one JSON object for each kind of features
    #[arg(long)]
    json: bool,
}

/// One kind of features of some images, row by row.
struct Kind {
    name: &'static str,
    columns: usize,
    values: Vec<f32>,
}

/// How well classes are told by one kind of features: accuracies from 0 to 1.
struct Found {
    logistic: f64,
    converged: bool,
    nearest: f64,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    if args.k == 0 {
        return Err(Error::config("`--k` is 0; it must be 1 or more").hint("5 is usual"));
    }
    if !(args.c.is_finite() && args.c > 0.0) {
        let what = format!("`--c` is {}; it must be a finite number above 0", args.c);
        return Err(Error::config(what).hint("1 is usual; a smaller C keeps the weights smaller"));
    }
    let state = args.model.state()?;
    if state.config.model.classes > 0 {
        let what =
            "the encoder of a conditional model is told the classes, so its means may repeat them";
        return Err(Error::config(what).hint("probe a model that was trained without `--classes`"));
    }
    let [train, test] = args
        .data
        .open_both(&state, args.model.manner(args.json))?
        .map(|data| data.limited(args.limit));
    let labels = args.data.labels(&state, Split::Train, &train)?;
    let test_labels = args.data.labels(&state, Split::Test, &test)?;
    check_training(args.k, labels)?;
    let (common, baseline) = baseline(labels, test_labels)?;
    let device = args.model.device()?;
    let kinds = kinds(&device, &state, &train, args.pixels)?;
    let test_kinds = kinds.iter().zip(self::kinds(&device, &state, &test, args.pixels)?);
    let step = state.trained.step;
    if !args.json {
        print_line(&format!(
            "accuracy on {} test images, after learning from {} training images:",
            test.len(),
            train.len()
        ))?;
    }
    for (kind, test_kind) in test_kinds {
        let found = judge(args, [kind, &test_kind], [labels, test_labels])?;
        if !found.converged {
            talk("warning: the logistic regression did not converge in 5000 steps");
        }
        let Found { logistic, converged, nearest } = found;
        if args.json {
            let line = json!({
                "event": "probe", "features": kind.name, "columns": kind.columns, "step": step,
                "train_images": train.len(), "test_images": test.len(),
                "c": args.c, "logistic": logistic, "converged": converged,
                "k": args.k, "nearest": nearest, "baseline": baseline, "baseline_class": common,
            });
            print_line(&line.to_string())?;
            continue;
        }
        let (of, after) = match kind.name {
            "means" => ("encoder's ", format!(" after step {step}")),
            _ => ("", String::new()),
        };
        let Kind { name, columns, .. } = kind;
        print_line(&format!("from the {of}{name}{after} ({columns} numbers for each image)"))?;
        for (name, share) in [
            (format!("logistic regression, C = {}", args.c), logistic),
            (format!("nearest neighbours, k = {}", args.k), nearest),
        ] {
            print_line(&format!("  {name:<32} {:6.2} % correct", 100.0 * share))?;
        }
    }
    if !args.json {
        let name = format!("always {common}, the most frequent class");
        print_line(&format!("{name:<34} {:6.2} % correct", 100.0 * baseline))?;
    }
    Ok(0)
}

/// Refuses training images that nothing can be learned from, before they are encoded.
fn check_training(k: usize, labels: &[u8]) -> Result<()> {
    if k > labels.len() {
        let what = format!("`--k` is {k}, but there are {} training images", labels.len());
        return Err(Error::config(what).hint("5 is usual; raise `--limit` if it was given"));
    }
    if labels.iter().all(|label| *label == labels[0]) {
        let what = format!("all {} training images are of the class {}", labels.len(), labels[0]);
        return Err(Error::config(what).hint("raise `--limit`, or give other images with `--data`"));
    }
    Ok(())
}

/// The most frequent class of the training images, and the share of test images that have it.
fn baseline(labels: &[u8], test_labels: &[u8]) -> Result<(u8, f64)> {
    let mut counts = [0_usize; 256];
    labels.iter().for_each(|&label| counts[usize::from(label)] += 1);
    // Of classes as frequent, the lowest.
    let common = (0..=255).rev().max_by_key(|&class: &u8| counts[usize::from(class)]);
    let common = common.unwrap_or_default();
    Ok((common, accuracy(&vec![common; test_labels.len()], test_labels)?))
}

/// What images are told by.
fn kinds(device: &Device, state: &State, data: &Dataset, pixels: bool) -> Result<Vec<Kind>> {
    let mut model = Model::new(device, state, Some(data))?;
    let all = 0..model.images();
    let columns = model.config().model.latent;
    let mut kinds = vec![Kind { name: "means", columns, values: model.encode(all.clone())?.mean }];
    if pixels {
        let values = model.pixels(all)?;
        kinds.push(Kind { name: "pixels", columns: data.size().len(), values });
    }
    Ok(kinds)
}

/// Fits to the first kind's rows and judges on the second's.
fn judge(args: &Args, kinds: [&Kind; 2], [labels, test_labels]: [&[u8]; 2]) -> Result<Found> {
    let [train, test] = kinds.map(|kind| Features::new(&kind.values, kind.columns));
    let (train, test) = (train?, test?);
    let fitted = Logistic::fit(train, labels, args.c)?;
    let votes = nearest(train, labels, test, args.k)?;
    Ok(Found {
        logistic: accuracy(&fitted.predict(test)?, test_labels)?,
        converged: fitted.converged(),
        nearest: accuracy(&votes, test_labels)?,
    })
}
