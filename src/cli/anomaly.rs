//! `elbo anomaly`: which images are unlikely, and how well that tells anomalies from others.

use std::fmt::Write;
use std::path::PathBuf;

use elbo::checkpoint::{State, write_new};
use elbo::data::Sources;
use elbo::evaluate::Z;
use elbo::probe::{Detection, detection};
use elbo::{Dataset, Device, Error, Model, Result};
use serde_json::{Value, json};

use crate::cli::evaluate::{check_samples, nlls};
use crate::cli::find::of_name;
use crate::cli::picture::{Labels, Look, check, grid, show_images};
use crate::cli::place::{check_free, check_picture, known_ending};
use crate::cli::print_line;
use crate::cli::reading;
use crate::cli::subject::{ImageArgs, ModelArgs, Split};

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo anomaly runs/0001 --out scores.csv
  elbo anomaly runs/0001 --anomalous 1,5           # these classes are
  elbo anomaly runs/0001 --normal 0 --samples 100  # all others are; by the NLL
  elbo anomaly runs/0001 --against other-images/   # all of these are
  elbo anomaly runs/0001 --picture extremes.png    # the highest and the lowest

An image's score is its −ELBO with one sampled z, or with --samples its negative log-likelihood (NLL), in nats: the higher, the less likely the image. The AUROC is the probability that an anomalous image scores higher than a normal one: 0.5 is chance, 1 is perfect; ± is half a 95 % confidence interval over images. The AUPRC is the average precision over thresholds: chance is the share of images that are anomalous. The FPR at 95 % TPR is the share of normal images that are taken for anomalous where 95 % of the anomalous ones are found: lower is better.";

/// Images that are named on stdout.
const SHOWN: usize = 10;

/// What a score that is worse than chance means (Nalisnick et al. 2019; Serrà et al. 2020).
const REVERSED: &str = "worse than chance: the anomalous images score lower than the others. Likelihoods of pixels measure \
                        how simple an image is, and simple ones score low whatever they show: rank by the \
                        lowest scores, or by the columns recon and kl of `--out`";

/// The quantiles that are told, in percent.
const QUANTILES: [u32; 5] = [5, 25, 50, 75, 95];

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    images: ImageArgs,
    /// Use only the first N images [default: all]
    #[arg(long, default_value_t = 0, value_name = "N", hide_default_value = true)]
    limit: usize,
    /// Score by the NLL with K importance samples; without a number 5000
    #[arg(long, value_name = "K", num_args = 0..=1, default_missing_value = "5000")]
    samples: Option<usize>,
    /// The classes that are anomalous, separated by commas
    #[arg(long, value_name = "LABELS", value_delimiter = ',', conflicts_with = "normal")]
    anomalous: Vec<u8>,
    /// The classes that are normal; all others are anomalous
    #[arg(long, value_name = "LABELS", value_delimiter = ',')]
    normal: Vec<u8>,
    /// Images that are all anomalous, a path as --data takes it: its test images, or with --split train
    /// its training images
    #[arg(long, value_name = "PATH", conflicts_with_all = ["anomalous", "normal"])]
    against: Option<PathBuf>,
    /// Write all scores, the highest first, to a new .csv file
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the images with the highest and the lowest scores to a new .png file
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// An image with its score, in nats.
#[derive(Clone, Copy, Debug)]
struct Scored {
    /// Its number in its dataset, from 0.
    image: usize,
    label: Option<u8>,
    score: f64,
    recon: f64,
    kl: f64,
    anomalous: bool,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    check_samples(args.samples)?;
    if let Some(out) = &args.out {
        known_ending(out, &["csv"], "the scores are written as a table")?;
        check_free(out)?;
    }
    args.picture.as_deref().map_or(Ok(()), check_picture)?;
    let state = args.model.state()?;
    if args.picture.is_some() {
        check(2 * SHOWN, Look::of(&state), SHOWN)?;
    }
    let manner = args.model.manner(args.json);
    let data = args.images.open(&state, manner)?.limited(args.limit);
    let marks = marks(args, &state, &data)?;
    let others = args.against.as_deref().map(|path| {
        // Named twice, images that are not divided are all of each set.
        let (config, reading) = (&state.config, Some(&state.reading));
        let room = args.images.data.room.room();
        let path = &of_name(path)?;
        let sources = Sources { test: Some(path), reading, room, ..Sources::new(path, config) };
        let opened = reading::open(sources, manner)?;
        let others = if args.images.split == Split::Train { opened.train } else { opened.test };
        Ok::<_, Error>(others.limited(args.limit))
    });
    let others = others.transpose()?;
    let device = args.model.device()?;
    let mut scored = score(args, &device, &state, &data, &marks)?;
    if let Some(others) = &others {
        scored.extend(score(args, &device, &state, others, &vec![true; others.len()])?);
    }
    let marked = !marks.is_empty() || others.is_some();
    let told = if marked { tell(&scored)? } else { None };
    // The order of those that are equal stays as it was.
    scored.sort_by(|a, b| b.score.total_cmp(&a.score));
    if let Some(out) = &args.out {
        write_new(out, table(&scored, marked).as_bytes())?;
    }
    let told = told.as_ref();
    let print = || match args.json {
        true => print_line(&report(args, &state, &scored, told).to_string()),
        false => lines(args, &state, &scored, told).iter().try_for_each(|line| print_line(line)),
    };
    let shown = !args.json && !args.model.quiet;
    if !shown && args.picture.is_none() {
        return print().map(|()| 0);
    }
    let extremes = Extremes::new(&scored, &data, others.as_ref())?;
    let (look, caption) = (Look::of(&state), extremes.caption(args, &state, told.is_some()));
    let Extremes { images, rows, scores } = &extremes;
    let labels = Labels { caption: &caption, rows, images: scores, ..Labels::default() };
    if let Some(path) = &args.picture {
        write_new(path, &grid(images, look, SHOWN, labels)?)?;
    }
    print()?;
    if shown {
        show_images(images, look, SHOWN, labels)?;
    }
    Ok(0)
}

/// Which images count as anomalous by their labels; none of them if nobody asked.
fn marks(args: &Args, state: &State, data: &Dataset) -> Result<Vec<bool>> {
    let (named, flag, labels) = match (args.anomalous.as_slice(), args.normal.as_slice()) {
        ([], []) => return Ok(Vec::new()),
        ([], labels) => (false, "--normal", labels),
        (labels, _) => (true, "--anomalous", labels),
    };
    let classes = args.images.labels(state, data)?;
    let marks: Vec<_> = classes.iter().map(|class| labels.contains(class) == named).collect();
    let count = marks.iter().filter(|&&anomalous| anomalous).count();
    if count == 0 || count == marks.len() {
        let mut classes = classes.to_vec();
        classes.sort_unstable();
        classes.dedup();
        let what = format!("with `{flag}` {count} of {} images are anomalous", marks.len());
        let classes: Vec<_> = classes.iter().map(ToString::to_string).collect();
        return Err(Error::config(format!("{what}; some must be, and others not"))
            .hint(format!("the images have the classes {}", classes.join(", "))));
    }
    Ok(marks)
}

/// The scores of a dataset's images, in their order.
fn score(
    args: &Args,
    device: &Device,
    state: &State,
    data: &Dataset,
    marks: &[bool],
) -> Result<Vec<Scored>> {
    let mut model = Model::new(device, state, Some(data))?;
    let each = model.each(Z::Sampled)?;
    let nlls =
        args.samples.map(|samples| nlls(&mut model, samples, args.model.quiet)).transpose()?;
    let scored = each.iter().enumerate().map(|(image, &[recon, kl])| Scored {
        image,
        label: data.labels().map(|labels| labels[image]),
        score: nlls.as_ref().map_or(recon + kl, |nlls| nlls[image]),
        recon,
        kl,
        anomalous: marks.get(image).is_some_and(|&anomalous| anomalous),
    });
    Ok(scored.collect())
}

/// How well the scores tell anomalous images from others, if there are both.
fn tell(scored: &[Scored]) -> Result<Option<Detection>> {
    let scores: Vec<_> = scored.iter().map(|image| image.score).collect();
    let marks: Vec<_> = scored.iter().map(|image| image.anomalous).collect();
    detection(&scores, &marks)
}

/// The images with the highest and the lowest scores, as they are drawn.
struct Extremes {
    /// Whole rows of [`SHOWN`]: where there are fewer images, the rest is black.
    images: Vec<f32>,
    rows: Vec<String>,
    scores: Vec<String>,
}

impl Extremes {
    /// Of images in the order of their scores; those of the others, if there are some, are anomalous.
    fn new(scored: &[Scored], data: &Dataset, others: Option<&Dataset>) -> Result<Self> {
        let (highest, rest) = scored.split_at(scored.len().min(SHOWN));
        let lowest = &rest[rest.len().saturating_sub(SHOWN)..];
        let (mut images, mut rows, mut scores) = (Vec::new(), Vec::new(), Vec::new());
        let lowest: Vec<_> = lowest.iter().rev().collect();
        for (name, row) in [("highest", highest.iter().collect()), ("lowest", lowest)] {
            if row.is_empty() {
                continue;
            }
            rows.push(name.to_owned());
            for scored in row {
                let data = others.filter(|_| scored.anomalous).unwrap_or(data);
                images.extend(data.pixels(scored.image..scored.image + 1)?);
                let mark = if scored.anomalous { " *" } else { "" };
                scores.push(format!("{:.1}{mark}", scored.score));
            }
            images.resize(images.len().next_multiple_of(SHOWN * data.size().len()), 0.0);
            scores.resize(scores.len().next_multiple_of(SHOWN), String::new());
        }
        Ok(Self { images, rows, scores })
    }

    fn caption(&self, args: &Args, state: &State, marked: bool) -> String {
        format!(
            "The {} images with the highest and the lowest scores: {} in nats{}, after step {}",
            args.images.split.name(),
            score_in_words(args, state),
            if marked { ", with * where anomalous" } else { "" },
            state.trained.step
        )
    }
}

/// What a score is.
fn score_in_words(args: &Args, state: &State) -> String {
    match args.samples {
        Some(samples) => format!("NLL with {samples} importance samples"),
        None if state.config.model.posterior.is_density() => "−ELBO with one sampled z".to_owned(),
        None => "reconstruction".to_owned(),
    }
}

/// A line for each image below one of names. A label is left out where there is none.
fn table(scored: &[Scored], marked: bool) -> String {
    let labels = scored.iter().any(|image| image.label.is_some());
    let mut text = "image".to_owned();
    text.push_str(if labels { ",label,score,recon,kl" } else { ",score,recon,kl" });
    text.push_str(if marked { ",anomalous\n" } else { "\n" });
    for Scored { image, label, score, recon, kl, anomalous } in scored {
        let _ = write!(text, "{image}");
        if labels {
            let _ = write!(text, ",{}", label.map_or(String::new(), |label| label.to_string()));
        }
        let _ = write!(text, ",{score:?},{recon:?},{kl:?}");
        if marked {
            let _ = write!(text, ",{}", u8::from(*anomalous));
        }
        text.push('\n');
    }
    text
}

fn mean(scored: &[Scored]) -> f64 {
    scored.iter().map(|image| image.score).sum::<f64>() / scored.len() as f64
}

/// The quantiles of scores that are sorted from the highest down, by the straight line between the two
/// nearest (Hyndman and Fan 1996, definition 7).
fn quantile(scored: &[Scored], percent: u32) -> f64 {
    let place = (scored.len() - 1) as f64 * (1.0 - f64::from(percent) / 100.0);
    let (before, part) = (place.floor() as usize, place.fract());
    let at = |place: usize| scored[place.min(scored.len() - 1)].score;
    at(before) + part * (at(before + 1) - at(before))
}

fn report(args: &Args, state: &State, scored: &[Scored], told: Option<&Detection>) -> Value {
    let quantiles =
        QUANTILES.map(|percent| (percent.to_string(), quantile(scored, percent).into()));
    let highest = scored.iter().take(SHOWN).map(|image| {
        let mut line = json!({"image": image.image, "score": image.score});
        if let Some(label) = image.label {
            line["label"] = json!(label);
        }
        if told.is_some() {
            line["anomalous"] = json!(image.anomalous);
        }
        line
    });
    let mut line = json!({
        "event": "anomaly", "images": scored.len(), "split": args.images.split.name(),
        "step": state.trained.step, "score": if args.samples.is_some() { "nll" } else { "loss" },
        "mean": mean(scored), "quantiles": Value::Object(quantiles.into_iter().collect()),
        "highest": highest.collect::<Vec<_>>(),
    });
    if let Some(samples) = args.samples {
        line["samples"] = json!(samples);
    }
    if let Some(told) = told {
        line["auroc"] = json!(told.auroc);
        line["auroc_margin"] = json!(told.auroc_margin);
        line["average_precision"] = json!(told.average_precision);
        line["fpr_at_95"] = json!(told.fpr_at_95);
        line["reversed"] = json!(told.is_reversed());
        line["anomalous"] = json!(told.positive);
        line["normal"] = json!(told.others);
    }
    if let Some(out) = &args.out {
        line["out"] = json!(out.to_string_lossy());
    }
    if let Some(picture) = &args.picture {
        line["picture"] = json!(picture.to_string_lossy());
    }
    line
}

fn lines(args: &Args, state: &State, scored: &[Scored], told: Option<&Detection>) -> Vec<String> {
    let by = score_in_words(args, state);
    let (split, step) = (args.images.split.name(), state.trained.step);
    let images = match (&args.against, told) {
        (Some(path), Some(Detection { positive, others, .. })) => {
            format!("{others} {split} images and {positive} of `{}`", path.display())
        }
        _ => format!("{} {split} images", scored.len()),
    };
    let quantiles =
        QUANTILES.map(|percent| format!("{percent} %: {:.2}", quantile(scored, percent)));
    let mut lines = vec![
        format!("{images}, weights after step {step}; {by}, nats per image"),
        format!("mean {:.2}; quantiles {}", mean(scored), quantiles.join(", ")),
    ];
    lines.extend(told.into_iter().flat_map(verdict));
    lines.push("the highest scores:".to_owned());
    lines.extend(scored.iter().take(SHOWN).map(|image| {
        let label = image.label.map_or(String::new(), |label| format!("  label {label:>3}"));
        let anomalous = if image.anomalous { "  anomalous" } else { "" };
        format!("  image {:>6}{label}  {:9.2}{anomalous}", image.image, image.score)
    }));
    lines.extend(args.out.as_ref().map(|out| format!("all scores: {}", out.display())));
    lines.extend(args.picture.as_ref().map(|path| format!("picture: {}", path.display())));
    lines
}

/// How well scores tell, and what it means where they tell the wrong way round.
fn verdict(told: &Detection) -> Vec<String> {
    let Detection { auroc, average_precision, fpr_at_95, positive, others, .. } = told;
    let margin = told.auroc_margin.map_or(String::new(), |margin| format!(" ± {margin:.4}"));
    let share = *positive as f64 / (positive + others) as f64;
    let mut lines = vec![
        format!("AUROC {auroc:.4}{margin}, of {positive} anomalous and {others} other images"),
        format!(
            "AUPRC {average_precision:.4}, by chance {share:.4}; FPR at 95 % TPR {fpr_at_95:.4}"
        ),
    ];
    if told.is_reversed() {
        lines.push(REVERSED.to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{detection, verdict};

    #[test]
    fn what_is_worse_than_chance_is_said_to_be() {
        let scores: Vec<_> = (0..40).map(f64::from).collect();
        let said = |anomalous: fn(usize) -> bool| {
            let marks: Vec<_> = (0..40).map(anomalous).collect();
            verdict(&detection(&scores, &marks).expect("scores").expect("both kinds")).join("\n")
        };
        let simple = said(|image| image < 10);
        assert!(
            simple.starts_with("AUROC 0.0000 ± 0.0000, of 10 anomalous and 30 other"),
            "{simple}"
        );
        assert!(simple.contains("by chance 0.2500; FPR at 95 % TPR 1.0000"), "{simple}");
        assert!(simple.contains("\nworse than chance: "), "{simple}");
        for other in [said(|image| image >= 30), said(|image| image % 2 == 0)] {
            assert!(!other.contains("worse"), "{other}");
        }
    }
}
